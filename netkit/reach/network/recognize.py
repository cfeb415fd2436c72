"""Of which table a document's records are: by the key they stand under, or by what they are made of. Pure.

The key is that of AWS's answer, whatever the file is called; a `--query` takes it off, and then the records' own members tell
(botocore's EC2, Elastic Load Balancing v2 and Network Firewall models). A file's name only decides of an empty list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netkit.reach.network.identity import ACCOUNT, REGION
from netkit.reach.network.tables import CARRIED, TABLES

KNOWN = TABLES.keys() | CARRIED.keys()
DEPTH = 4  # {account: {region: {call: answer}}}
# What a record of each table has, the most telling first: the first that fits is it.
_MADE_OF: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Reservations", ("Instances",)),
    ("Instance", ("InstanceId", "ImageId")),
    ("Instance", ("InstanceId", "InstanceType")),
    ("Instance", ("InstanceId", "State")),
    ("VpcBlockPublicAccessExclusions", ("ExclusionId", "InternetGatewayExclusionMode")),
    ("VpcBlockPublicAccessOptions", ("InternetGatewayBlockMode",)),
    ("FlowLogs", ("FlowLogId",)),
    ("Addresses", ("AllocationId", "PublicIp")),
    ("SecurityGroupRules", ("SecurityGroupRuleId", "GroupId", "IsEgress")),
    ("SecurityGroups", ("GroupId", "IpPermissions")),
    ("SecurityGroups", ("GroupId", "IpPermissionsEgress")),
    ("NetworkAcls", ("NetworkAclId", "Entries")),
    ("RouteTables", ("RouteTableId", "Routes")),
    ("NetworkInterfaces", ("NetworkInterfaceId", "SubnetId", "VpcId")),
    ("InternetGateways", ("InternetGatewayId",)),
    ("EgressOnlyInternetGateways", ("EgressOnlyInternetGatewayId",)),
    ("VpcPeeringConnections", ("VpcPeeringConnectionId",)),
    ("NatGateways", ("NatGatewayId", "VpcId")),
    ("TransitGatewayVpcAttachments", ("TransitGatewayAttachmentId", "SubnetIds")),
    ("TransitGatewayAttachments", ("TransitGatewayAttachmentId", "ResourceType", "TransitGatewayId")),
    ("TransitGatewayRoutes", ("TransitGatewayRouteTableId", "Routes")),
    ("TransitGatewayPropagations", ("TransitGatewayRouteTableId", "TransitGatewayRouteTablePropagations")),
    ("TransitGatewayRouteTables", ("TransitGatewayRouteTableId", "TransitGatewayId")),
    ("TransitGateways", ("TransitGatewayId", "TransitGatewayArn")),
    ("TransitGateways", ("TransitGatewayId", "Options", "State")),
    ("VpnConnections", ("VpnConnectionId",)),
    ("CustomerGateways", ("CustomerGatewayId",)),
    ("VpnGateways", ("VpnGatewayId",)),
    ("VpcEndpoints", ("VpcEndpointId", "ServiceName")),
    ("ManagedPrefixListEntries", ("PrefixListId", "Entries")),
    ("ManagedPrefixLists", ("PrefixListId", "PrefixListArn")),
    ("ManagedPrefixLists", ("PrefixListId", "AddressFamily")),
    ("PrefixLists", ("PrefixListId", "Cidrs")),
    ("LoadBalancerListeners", ("LoadBalancerArn", "Listeners")),
    ("LoadBalancerAttributes", ("LoadBalancerArn", "Attributes")),
    ("LoadBalancerTargetHealth", ("TargetGroupArn", "TargetHealthDescriptions")),
    ("TargetGroupAttributes", ("TargetGroupArn", "Attributes")),
    ("ListenerRules", ("ListenerArn", "Rules")),
    ("ListenerAttributes", ("ListenerArn", "Attributes")),
    ("Listener", ("ListenerArn", "LoadBalancerArn")),
    ("Rule", ("RuleArn", "Conditions")),
    ("TargetGroups", ("TargetGroupArn", "TargetGroupName")),
    ("LoadBalancers", ("LoadBalancerArn", "LoadBalancerName")),
    ("Firewalls", ("Firewall",)),
    ("FirewallPolicies", ("FirewallPolicyResponse",)),
    ("FirewallRuleGroups", ("RuleGroupResponse",)),
    ("HostedZonesByVpc", ("VPCId", "HostedZoneSummaries")),
    ("Subnets", ("SubnetId", "VpcId", "CidrBlock")),
    ("Subnets", ("SubnetId", "VpcId", "Ipv6CidrBlockAssociationSet")),
    ("Vpcs", ("VpcId", "CidrBlock")),
    ("Vpcs", ("VpcId", "CidrBlockAssociationSet")),
)
# Answers that do not say of what they were asked.
_NAMELESS = {
    "TargetHealthDescriptions": ("describe-target-health", "TargetGroupArn"),
    "Attributes": ("describe-load-balancer-attributes or -target-group-attributes", "LoadBalancerArn or TargetGroupArn"),
    "Routes": ("search-transit-gateway-routes", "TransitGatewayRouteTableId"),
    "TransitGatewayRouteTablePropagations": ("get-transit-gateway-route-table-propagations", "TransitGatewayRouteTableId"),
    "Entries": ("get-managed-prefix-list-entries", "PrefixListId"),
}  # fmt: skip
_ONE_EACH = {"Firewalls", "FirewallPolicies", "FirewallRuleGroups"}  # described one by one
_TOKENS = ("NextToken", "nextToken", "NextMarker", "Marker")


@dataclass
class Found:
    """Records of one table from one file. account, region: as the document says; lost: members of the list that are no objects."""

    key: str
    records: list[dict[str, Any]] = field(default_factory=list)
    account: str = ""
    region: str = ""
    cut: bool = False
    alone: bool = False
    lost: int = 0
    note: str = ""


def table_of(record: Mapping[str, Any]) -> str:
    """The table that a record is of, by its members; Instance, Listener and Rule for those that stand inside one; "" for none."""
    return next((key for key, members in _MADE_OF if all(name in record for name in members)), "")


def recognized(document: Any, named: str, why: list[str]) -> Iterator[Found]:
    """The tables in a document. named: the table of the file's name, "" for none; why: what was not recognised is said there."""
    yield from _walk(document, named, ("", ""), DEPTH, why)


def _walk(document: Any, named: str, scope: tuple[str, str], depth: int, why: list[str]) -> Iterator[Found]:
    if isinstance(document, list):
        yield from _of_list(document, named, scope, depth, why)
    elif not isinstance(document, dict):
        why.append("holds null: the --query found nothing" if document is None else "holds no object")
    elif key := table_of(document):
        yield Found(
            key, [wrapped(key, document)], *scope, alone=TABLE_OF_ONE.get(key, key) not in _ONE_EACH | _PER_RECORD
        )
    else:
        yield from _of_answer(document, named, scope, depth, why)


_PER_RECORD = {key for key, table in TABLES.items() if table.per} | {"VpcBlockPublicAccessOptions", "ListenerAttributes", "HostedZonesByVpc"}  # fmt: skip
TABLE_OF_ONE = {"Instance": "Reservations", "Listener": "LoadBalancerListeners", "Rule": "ListenerRules"}


def _of_answer(
    document: Mapping[str, Any], named: str, scope: tuple[str, str], depth: int, why: list[str]
) -> Iterator[Found]:
    """An answer, or several of them in one object, by call, by Region or by account."""
    cut, seen = any(document.get(name) for name in _TOKENS), False
    for name, held in document.items():
        value = [held] if name == "VpcBlockPublicAccessOptions" and isinstance(held, dict) else held
        if name in KNOWN and (value is None or isinstance(value, list)):
            yield _under(name, value or [], named, scope, cut)
            seen = True
        elif isinstance(value, list) and name in _NAMELESS:
            call, member = _NAMELESS[name]
            why.append(f'{call} does not say of what: save it as [{{"{member}": "...", "{name}": [...]}}]')
            seen = True
        elif isinstance(value, list) and value and all(isinstance(one, dict) and table_of(one) for one in value):
            for found in _of_list(value, "", scope, 0, why):
                found.cut = cut
                yield found
            seen = True
        elif isinstance(value, dict) and depth:
            yield from _walk(value, named, _within(scope, str(name)), depth - 1, why)
            seen = True
    if not seen:
        keys = ", ".join(str(name) for name in list(document)[:4])
        why.append(f"has no key of a table (its keys: {keys})" if keys else "is an empty object")


def _within(scope: tuple[str, str], name: str) -> tuple[str, str]:
    return (name if ACCOUNT.fullmatch(name) else scope[0], name if REGION.fullmatch(name) else scope[1])


def _under(name: str, value: Sequence[Any], named: str, scope: tuple[str, str], cut: bool) -> Found:
    """What stands under a table's key. describe-prefix-lists and describe-managed-prefix-lists both answer PrefixLists."""
    records = [one for one in value if isinstance(one, dict)]
    key = name
    if name == "PrefixLists":
        kinds = {table_of(one) for one in records}
        if kinds == {"ManagedPrefixLists"} or (not records and named == "ManagedPrefixLists"):
            key = "ManagedPrefixLists"
    records = [with_id(key, one) for one in records] if key in _INNER_ID else records
    found = Found(key, records, *scope, cut=cut, lost=len(value) - len(records))
    if name in _ONE_EACH and records and not any(table_of(one) == name for one in records):
        found.note = "only names, of a list call: the describe calls are missing"
    return found


def _of_list(listed: Sequence[Any], named: str, scope: tuple[str, str], depth: int, why: list[str]) -> Iterator[Found]:
    """Bare records of one table or more, pages, or lists of either."""
    if not listed:
        if named:
            yield Found(named, [], *scope)
        else:
            why.append("is an empty list, which does not say of what; keep the key of the answer")
        return
    held: dict[str, Found] = {}
    kinds: list[str] = [table_of(one) if isinstance(one, dict) else "" for one in listed]
    for kind, one in zip(kinds, listed, strict=True):
        if kind:
            held.setdefault(kind, Found(kind, [], *scope)).records.append(wrapped(kind, one))
    rest = [one for kind, one in zip(kinds, listed, strict=True) if not kind]
    yield from held.values()
    if rest and not held and named and _has_id(rest, named):
        records = [one for one in rest if isinstance(one, dict)]
        yield Found(named, records, *scope, lost=len(rest) - len(records))
    elif rest and held and not depth:
        next(iter(held.values())).lost += len(rest)
    elif rest:
        for one in rest if depth else ():
            yield from _walk(one, named, scope, depth - 1, why)
        if not depth:
            why.append("holds records that are none of a table's: a --query took their members off")


def _has_id(records: Sequence[Any], named: str) -> bool:
    wanted = TABLES[named].id if named in TABLES else CARRIED[named]
    return any(isinstance(one, dict) and wanted in one for one in records)


def wrapped(kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as its table has it: an instance in its reservation, a listener beside its balancer, a rule beside its listener."""
    if kind == "Instance":
        owner = next((str(one["OwnerId"]) for one in record.get("NetworkInterfaces") or () if one.get("OwnerId")), "")
        return {**({"OwnerId": owner} if owner else {}), "Instances": [dict(record)]}
    if kind == "Listener":
        return {"LoadBalancerArn": record["LoadBalancerArn"], "Listeners": [dict(record)]}
    if kind == "Rule":  # ...:listener-rule/app/name/balancer/listener/rule
        arn = str(record["RuleArn"]).replace(":listener-rule/", ":listener/", 1).rpartition("/")[0]
        return {"ListenerArn": arn, "Rules": [dict(record)]}
    return with_id(kind, record)


# Where the answer of a describe call has the id that its record goes by.
_INNER_ID = {"Firewalls": "Firewall", "FirewallPolicies": "FirewallPolicyResponse", "FirewallRuleGroups": "RuleGroupResponse"}  # fmt: skip


def with_id(key: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with its id beside the rest, which answers on one firewall, policy or rule group have further in; without its token."""
    held = record.get(_INNER_ID.get(key, ""))
    member = TABLES[key].id if key in TABLES else ""
    found = {name: value for name, value in record.items() if name not in ("UpdateToken", "ResponseMetadata")}
    return {member: held[member], **found} if isinstance(held, Mapping) and member in held else found


def joined(found: Sequence[Found]) -> list[Found]:
    """Those of one table and place as one: pages in their order, of which the last says whether there are more."""
    held: dict[tuple[str, str, str], Found] = {}
    for one in found:
        key = TABLE_OF_ONE.get(one.key, one.key)
        whole = held.setdefault((key, one.account, one.region), Found(key, [], one.account, one.region, alone=True))
        first = not whole.records
        whole.records += one.records
        whole.cut, whole.alone, whole.lost = one.cut, one.alone and whole.alone and first, whole.lost + one.lost
        whole.note = whole.note or one.note
    for whole in held.values():
        if whole.key in _INNER:
            whole.records = _together(whole.records, *_INNER[whole.key])
    return list(held.values())


_INNER = {"LoadBalancerListeners": ("LoadBalancerArn", "Listeners"), "ListenerRules": ("ListenerArn", "Rules")}


def _together(records: Sequence[dict[str, Any]], owner: str, inner: str) -> list[dict[str, Any]]:
    """Listeners by balancer and rules by listener, as netkit asks for them."""
    held: dict[str, dict[str, Any]] = {}
    for one in records:
        if owner not in one or not isinstance(one.get(inner), list):
            return list(records)
        whole = held.setdefault(str(one[owner]), {**one, inner: []})
        whole[inner] += [each for each in one[inner] if each not in whole[inner]]
    return list(held.values())


def _names() -> dict[str, str]:
    found = {key.lower(): key for key in KNOWN}
    for key, table in TABLES.items():
        call = table.operation.replace("_", "")
        if call:
            found.setdefault(call, key)
            found.setdefault(re.sub(r"^(describe|get|search)", "", call), key)
    return found


_NAMES = _names()
_SERVICE = re.compile(r"^(aws)?(ec2|elbv2|networkfirewall)?")


def named_table(stem: str) -> str:
    """The table that a file's name (without ending and Region) says: its key or its call, in any case; "" for neither."""
    plain = re.sub(r"[^a-z0-9]", "", stem.lower())
    return _NAMES.get(plain) or _NAMES.get(_SERVICE.sub("", plain, count=1), "")
