"""Since when, and who: the write of the trail that fits a suspect. Pure.

A write fits where its event is one that can bring the fault about, AWS did not refuse it, it names the resource (or what hangs on it), its time is
that of the onset, and, of several, its own words (port, block, table) are those of the question.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from netkit.history.trail import Write
from netkit.incident.evidence import Taken
from netkit.incident.faults import Fault
from netkit.incident.scene import Scene
from netkit.reach.network.network import Network

BEFORE, AFTER = timedelta(minutes=15), timedelta(minutes=2)
# Events that name no resource of the path: they hold for an account and region.
_WIDE = ("ModifyVpcBlockPublicAccessOptions",)


def related(scene: Scene, resource: str) -> set[str]:
    """The resource's id and the ids that a write on it may name instead: addresses of an interface, listeners of a balancer, …"""
    found = {resource}
    for network in scene.networks:
        found |= _beside(network, resource)
    for taken in scene.snapshots:
        found |= _held_by(taken, resource)
        found |= _balanced(taken, resource) | _zoned(taken, resource) | _inspected(taken, found)
    return found


def _beside(network: Network, resource: str) -> set[str]:
    """Interfaces of an instance and the instance of an interface; subnets of a route table and of a network ACL."""
    found: set[str] = set()
    if resource in network.instances:
        found |= {one.id for one in network.interfaces_of.get(resource, ())}
    if (one := network.interfaces.get(resource)) is not None:
        found |= {one.instance} - {""}
    if (table := network.tables.get(resource)) is not None:
        found |= set(table.subnets)
    if (acl := network.acls.get(resource)) is not None:
        found |= set(acl.subnets)
    return found


def _held_by(taken: Taken, resource: str) -> set[str]:
    """What hangs on an interface, a route table, a VPN connection, a group: the ids that a write may name instead."""
    kind = next((table for prefix, table in _TABLES.items() if resource.startswith(prefix)), "")
    rows = [one for _, one in taken.snapshot.records(kind) if resource in one.values()] if kind else []
    found = {name for one in rows for name in _HANGS[kind](one)}
    held = [one for _, one in taken.snapshot.records("Addresses") if one.get("NetworkInterfaceId") == resource]
    return (
        found | {str(one.get(name) or "") for one in held for name in ("AssociationId", "AllocationId", "PublicIp")}
    ) - {""}


def _of_interface(one: Mapping[str, Any]) -> Iterator[str]:
    for pair in (one, *(one.get("PrivateIpAddresses") or ())):
        yield from (
            str((pair.get("Association") or {}).get(name) or "")
            for name in ("AssociationId", "AllocationId", "PublicIp")
        )


def _of_table(one: Mapping[str, Any]) -> Iterator[str]:
    """The targets of its dead routes, and its associations."""
    for route in one.get("Routes") or ():
        if route.get("State") == "blackhole":
            yield from (str(value or "") for name, value in route.items() if name.endswith("Id"))
    yield from (str(each.get("RouteTableAssociationId") or "") for each in one.get("Associations") or ())


def _of_vpn(one: Mapping[str, Any]) -> Iterator[str]:
    yield from (str(one.get(name) or "") for name in ("TransitGatewayId", "VpnGatewayId"))


def _of_group(one: Mapping[str, Any]) -> Iterator[str]:
    """The peerings that its rules name."""
    for rule in (*(one.get("IpPermissions") or ()), *(one.get("IpPermissionsEgress") or ())):
        yield from (str(pair.get("VpcPeeringConnectionId") or "") for pair in rule.get("UserIdGroupPairs") or ())


_TABLES = {"eni-": "NetworkInterfaces", "rtb-": "RouteTables", "vpn-": "VpnConnections", "sg-": "SecurityGroups"}
_HANGS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "NetworkInterfaces": _of_interface, "RouteTables": _of_table, "VpnConnections": _of_vpn, "SecurityGroups": _of_group,
}  # fmt: skip


def _balanced(taken: Taken, resource: str) -> set[str]:
    """The balancers of a target group and the target groups of a balancer."""
    together = [
        {str(record.get("TargetGroupArn", "")), *map(str, record.get("LoadBalancerArns") or ())}
        for _, record in taken.snapshot.records("TargetGroups")
    ]
    return {name for one in together if resource in one for name in one}


def _zoned(taken: Taken, name: str) -> set[str]:
    """The private zones that hold a name, and the endpoints of the service that it is of."""
    zones = [
        zone
        for _, record in taken.snapshot.records("HostedZonesByVpc")
        for zone in record.get("HostedZoneSummaries") or ()
    ]
    found = {str(zone.get("HostedZoneId", "")) for zone in zones if under(name, str(zone.get("Name", "")))}
    for _, one in taken.snapshot.records("VpcEndpoints"):
        parts = str(one.get("ServiceName", "")).split(".")[2:]  # com.amazonaws.REGION.SERVICE
        if len(parts) >= 2 and under(name, ".".join([*reversed(parts[1:]), parts[0], "amazonaws.com"])):
            found.add(str(one.get("VpcEndpointId", "")))
    return found


def _inspected(taken: Taken, found: set[str]) -> set[str]:
    """The endpoints and the policy of a firewall, and the rule groups of that policy."""
    held = [
        record
        for _, record in taken.snapshot.records("Firewalls")
        if (record.get("Firewall") or {}).get("FirewallArn") in found
    ]
    policies = {str(record["Firewall"].get("FirewallPolicyArn", "")) for record in held}
    states = [one for record in held for one in ((record.get("FirewallStatus") or {}).get("SyncStates") or {}).values()]
    endpoints = {str((one.get("Attachment") or {}).get("EndpointId", "")) for one in states}
    groups = {
        str(one.get("ResourceArn", ""))
        for _, record in taken.snapshot.records("FirewallPolicies")
        if (record.get("FirewallPolicyResponse") or {}).get("FirewallPolicyArn") in policies
        for kind in ("StatefulRuleGroupReferences", "StatelessRuleGroupReferences")
        for one in (record.get("FirewallPolicy") or {}).get(kind) or ()
    }
    return (policies | groups | endpoints) - {""}


def under(name: str, zone: str) -> bool:
    """Whether a name is a zone's own or below it, with or without closing dots."""
    name, zone = name.rstrip(".").lower(), zone.rstrip(".").lower()
    return bool(zone) and (name == zone or name.endswith(f".{zone}"))


def change_of(scene: Scene, fault: Fault, resource: str, began: datetime | None) -> Write | None:
    """The write that fits best: of those around the onset the one whose words fit the question, else the last before it."""
    ids = related(scene, resource)
    good = scene.onset.last_good_before
    late = (began or scene.question.window.end) + AFTER
    early = (
        datetime.fromtimestamp(good, late.tzinfo) - BEFORE
        if good is not None and began is not None
        else scene.question.window.start - timedelta(hours=1)
    )
    near = [
        one
        for one in scene.evidence.trail.writes
        if one.event in fault.events
        and not one.refused
        and early <= one.time <= late
        and (_names(one, ids) or one.event in _WIDE)
    ]
    return max(near, key=lambda one: (_fits(one, scene), one.time), default=None)


def _names(write: Write, ids: set[str]) -> bool:
    """Whether a write names one of the ids, or a part of it: a listener's ARN begins as its balancer's, but for one word."""
    if any(_is_name(one) and one.rstrip(".").lower() in str(write.request).lower() for one in ids):
        return True
    pairs = [(one, name) for one in _plain(write.ids) for name in _plain(ids)]
    return any(one == name or one.startswith(f"{name}/") or name.startswith(f"{one}/") for one, name in pairs)


def _is_name(word: str) -> bool:
    """Whether an id is a name in DNS."""
    return "." in word and ":" not in word and not word.replace(".", "").isdigit()


def _plain(ids: Iterable[str]) -> list[str]:
    return [one.replace(":listener/", ":loadbalancer/") for one in ids]


def _fits(write: Write, scene: Scene) -> int:
    """How well a write's own words fit the question: its port range holds the port, its block holds an end."""
    asked = scene.question
    ends = scene.source.addresses | scene.destination.addresses
    score = 0
    for low, high in _ports(write.request):
        score += 1 if low <= asked.port <= high or (low, high) == (0, 0) or high - low > 20000 else -1
    blocks = list(_blocks(write.request))
    if blocks:
        score += 1 if any(_holds(block, ends) for block in blocks) else -1
    return score


def _ports(value: Any) -> Iterator[tuple[int, int]]:
    if isinstance(value, Mapping):
        low, high = value.get("fromPort", value.get("from")), value.get("toPort", value.get("to"))
        if isinstance(low, int) and isinstance(high, int):
            yield low, high
        for one in value.values():
            yield from _ports(one)
    elif isinstance(value, list):
        for one in value:
            yield from _ports(one)


def _blocks(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            if isinstance(one, str) and "cidr" in name.lower():
                yield one
            else:
                yield from _blocks(one)
    elif isinstance(value, list):
        for one in value:
            yield from _blocks(one)


def _holds(block: str, addresses: Iterable[str]) -> bool:
    try:
        held = ipaddress.ip_network(block, strict=False)
    except ValueError:
        return False
    return any(one.version == held.version and one in held for one in map(ipaddress.ip_address, addresses))
