"""AWS Config's configuration items as the describe records that they hold. Pure.

Sources: AWS Config Developer Guide, "Components of a configuration item", "Delivery of the configuration snapshot" (files of
`configurationItems`); botocore's Config model (get_resource_config_history, batch_get_resource_config: `configuration` is text;
select_resource_config: Results are texts). A resource's `configuration` is the describe answer with names that begin in lower case,
and a security group's `ipv4Ranges` are what the describe call has as IpRanges. Types that are written otherwise are passed over, named.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from netkit.reach.network.recognize import TABLE_OF_ONE, Found, joined, table_of, wrapped

Item = Mapping[str, Any]
_GONE = {"resourcedeleted", "resourcedeletednotrecorded", "resourcenotrecorded"}
_LISTS = ("configurationItems", "baseConfigurationItems")
_TYPES = {
    "AWS::EC2::VPC": "Vpcs",
    "AWS::EC2::Subnet": "Subnets",
    "AWS::EC2::NetworkInterface": "NetworkInterfaces",
    "AWS::EC2::Instance": "Instance",
    "AWS::EC2::RouteTable": "RouteTables",
    "AWS::EC2::NetworkAcl": "NetworkAcls",
    "AWS::EC2::SecurityGroup": "SecurityGroups",
    "AWS::EC2::InternetGateway": "InternetGateways",
    "AWS::EC2::EgressOnlyInternetGateway": "EgressOnlyInternetGateways",
    "AWS::EC2::NatGateway": "NatGateways",
    "AWS::EC2::VPCPeeringConnection": "VpcPeeringConnections",
    "AWS::EC2::VPCEndpoint": "VpcEndpoints",
    "AWS::EC2::VPNGateway": "VpnGateways",
    "AWS::EC2::VPNConnection": "VpnConnections",
    "AWS::EC2::CustomerGateway": "CustomerGateways",
    "AWS::EC2::EIP": "Addresses",
    "AWS::EC2::FlowLog": "FlowLogs",
    "AWS::EC2::TransitGateway": "TransitGateways",
    "AWS::EC2::TransitGatewayAttachment": "TransitGatewayVpcAttachments",
    "AWS::EC2::TransitGatewayRouteTable": "TransitGatewayRouteTables",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "LoadBalancers",
    "AWS::ElasticLoadBalancingV2::Listener": "Listener",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "TargetGroups",
}
# Names that are not the describe answer's with a lower first letter.
_NAMES = {"dnsname": "DNSName", "dNSName": "DNSName", "vpcid": "VpcId"}


def items_of(document: Any) -> list[Item]:
    """The configuration items in a document: a delivery, an answer of one of AWS Config's calls, or a list of items; [] for another."""
    if isinstance(document, list):
        return [one for one in document if isinstance(one, dict) and _is_item(one)]
    if not isinstance(document, dict):
        return []
    if _is_item(document):
        return [document]
    for name in _LISTS:
        if isinstance(document.get(name), list):
            return items_of(document[name])
    if isinstance(document.get("Results"), list) and all(isinstance(one, str) for one in document["Results"]):
        return items_of([_json(one) for one in document["Results"]])
    return []


def whole(document: Any) -> str:
    """Why a document's items may not be all of their types; "" for a delivery and for an answer to a question over all."""
    if isinstance(document, dict):
        if document.get("NextToken") or document.get("nextToken"):
            return "only its first pages are here (NextToken)"
        if "Results" in document or "configSnapshotId" in document:
            return ""
    return "AWS Config's answer on single resources: there may be others"


def _is_item(one: Item) -> bool:
    return "resourceType" in one and "configuration" in one


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def newest(items: Iterable[Item]) -> list[Item]:
    """Of each resource its last item, and none of those that were deleted."""
    held: dict[tuple[str, ...], Item] = {}
    for one in items:
        name = (str(one["resourceType"]), str(one.get("resourceId")), *_place(one))
        if name not in held or _time(one) >= _time(held[name]):
            held[name] = one
    return [one for one in held.values() if str(one.get("configurationItemStatus", "")).lower() not in _GONE]


def _time(one: Item) -> str:
    return str(one.get("configurationItemCaptureTime") or "")


def _place(one: Item) -> tuple[str, str]:
    account = one.get("awsAccountId") or one.get("accountId") or ""
    return str(account), str(one.get("awsRegion") or "")


def tables_of(items: Sequence[Item], why: list[str]) -> list[Found]:
    """The records that items hold, by table and place. why: how many of which types were passed over is said there."""
    found, lost = [], Counter[str]()
    for one in items:
        kind = str(one["resourceType"])
        record = _record(one, kind)
        key = table_of(record) if record else ""
        if not key or key != _TYPES.get(kind):
            lost[kind] += 1
            continue
        found.append(Found(key, [wrapped(key, record)], *_place(one)))
    known = [kind for kind in lost if kind in _TYPES]
    if lost:
        others = f", and {len(lost) - len(known)} types that no path depends on" if len(lost) > len(known) else ""
        why.append(
            f"holds items of AWS Config not written as a describe answer: {', '.join(sorted(known)) or 'none'}{others}"
        )
    tables = joined(found)
    for table in tables:
        kinds = {kind for kind in known if TABLE_OF_ONE.get(_TYPES[kind], _TYPES[kind]) == table.key}
        if kinds:
            table.note = f"{sum(lost[kind] for kind in kinds)} items are not written as a describe answer"
    return tables


def _record(item: Item, kind: str) -> dict[str, Any]:
    held = item["configuration"]
    held = _json(held) if isinstance(held, str) else held
    if not isinstance(held, dict) or kind not in _TYPES:
        return {}
    record: dict[str, Any] = _renamed(held)
    if kind == "AWS::EC2::SecurityGroup":
        for one in _permissions(record):
            four = one.pop("Ipv4Ranges", None)
            one["IpRanges"] = four if four else [_range(each) for each in one.get("IpRanges") or ()]
    tags = item.get("tags")
    if not record.get("Tags") and not record.get("TagSet") and tags and isinstance(tags, dict):
        record["Tags"] = [{"Key": str(name), "Value": str(value)} for name, value in tags.items()]
    return record


def _permissions(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name in ("IpPermissions", "IpPermissionsEgress"):
        yield from (one for one in record.get(name) or () if isinstance(one, dict))


def _range(one: Any) -> Any:
    return {"CidrIp": one} if isinstance(one, str) else one


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {_NAMES.get(name, name[:1].upper() + name[1:]): _renamed(held) for name, held in value.items()}
    return [_renamed(one) for one in value] if isinstance(value, list) else value
