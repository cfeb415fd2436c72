"""What the configuration says beside the trace: quotas, zones, timers' owners, controls, and names that overlap. Pure.

Each check is the rule that faults.yaml names, of a resource on the path; "seen" says that the rule holds as of the newest snapshot.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from netkit.core.net import protocol_number
from netkit.incident.atoms import Observation
from netkit.incident.blame import related
from netkit.incident.evidence import Taken
from netkit.incident.scene import Scene
from netkit.reach.engine.trace import trace
from netkit.reach.network.firewall import DROP, Connection, judge
from netkit.reach.network.network import Network, network_of
from netkit.reach.network.snapshot import Snapshot

RULES_QUOTA = 60  # rules a direction a group, IPv4 and IPv6 apart (VPC User Guide, "Amazon VPC quotas")
NEEDED = 8  # free addresses that a load balancer wants in a subnet


def observe(scene: Scene) -> Iterator[Observation]:
    """c- atoms of faults that no trace decides."""
    if not scene.snapshots:
        return
    assert scene.then is not None
    taken = Taken(scene.then.time, scene.then.snapshot)
    stamp = (f"snapshot of {taken.time:%Y-%m-%dT%H:%M:%SZ}",)
    for check in (
        _addresses,
        _controls,
        _hairpin,
        _unhealthy,
        _overlap,
        _appliance,
        _zones,
        _vpn,
        _quota,
        _ipv6,
        _collision,
        _firewall,
        _names,
        _wrong_zone,
        _prefixes,
        _no_way_home,
    ):
        for atom, subject, says in check(scene, taken):
            yield Observation(atom, subject, "seen", says, rests_on=stamp)


Said = tuple[str, str, str]


def _addresses(scene: Scene, taken: Taken) -> Iterator[Said]:
    """Subnets without free addresses, of the VPCs of the path."""
    vpcs = {
        scene.interfaces[one].vpc
        for one in scene.source.interfaces | scene.destination.interfaces
        if one in scene.interfaces
    }
    for _, one in taken.snapshot.records("Subnets"):
        free = one.get("AvailableIpAddressCount")
        if isinstance(free, int) and free < NEEDED and one.get("VpcId") in vpcs:
            yield "c-subnet-addresses-exhausted", str(one["SubnetId"]), f"{one['SubnetId']} has {free} free addresses"


def _controls(scene: Scene, taken: Taken) -> Iterator[Said]:
    for _, one in taken.snapshot.records("VpcEncryptionControls"):
        if one.get("VpcId") in scene.components and str(one.get("Mode", "")) == "enforce":
            yield "c-encryption-controls", str(one["VpcId"]), f"encryption controls of {one['VpcId']} are enforced"


def _attributes(taken: Taken, table: str, member: str) -> Mapping[str, Mapping[str, str]]:
    """ARN to attribute key to value."""
    return {
        str(record.get(member, "")): {
            str(one.get("Key")): str(one.get("Value")) for one in record.get("Attributes") or ()
        }
        for _, record in taken.snapshot.records(table)
    }


def _targets(taken: Taken) -> Iterator[tuple[Mapping[str, Any], list[Mapping[str, Any]]]]:
    """Each target group's record with its targets' health descriptions."""
    health = {
        str(one.get("TargetGroupArn", "")): one.get("TargetHealthDescriptions") or []
        for _, one in taken.snapshot.records("LoadBalancerTargetHealth")
    }
    for _, group in taken.snapshot.records("TargetGroups"):
        yield group, list(health.get(str(group.get("TargetGroupArn", "")), []))


def _preserves(taken: Taken, group: Mapping[str, Any]) -> bool:
    """Whether client addresses are kept: by attribute, else on for instance targets, and always for UDP (NLB guide)."""
    if str(group.get("Protocol", "")) not in ("TCP", "TLS", "UDP", "TCP_UDP"):
        return False
    said = (
        _attributes(taken, "TargetGroupAttributes", "TargetGroupArn")
        .get(str(group.get("TargetGroupArn", "")), {})
        .get("preserve_client_ip.enabled")
    )
    return str(group.get("Protocol", "")) in ("UDP", "TCP_UDP") or (
        said == "true" if said is not None else group.get("TargetType") == "instance"
    )


def _on_balancer(scene: Scene, group: Mapping[str, Any]) -> bool:
    """Whether a target group stands behind the balancer that is asked for, or one on the path."""
    arns = {str(group.get("TargetGroupArn", "")), *map(str, group.get("LoadBalancerArns") or ())}
    return bool(arns & (scene.components | {scene.destination.balancer}))


def _hairpin(scene: Scene, taken: Taken) -> Iterator[Said]:
    """The client is one of the targets of a balancer that keeps client addresses."""
    ours = scene.source.instances | scene.source.addresses
    for group, targets in _targets(taken):
        ids = {str((one.get("Target") or {}).get("Id", "")) for one in targets}
        if _on_balancer(scene, group) and ids & ours and _preserves(taken, group):
            yield (
                "c-nlb-hairpin",
                str(group["TargetGroupArn"]),
                f"{', '.join(sorted(ids & ours))} is a target of the balancer that it calls, which keeps client addresses",
            )


def _unhealthy(scene: Scene, taken: Taken) -> Iterator[Said]:
    for group, targets in _targets(taken):
        states = [str((one.get("TargetHealth") or {}).get("State", "")) for one in targets]
        if _on_balancer(scene, group) and states and not set(states) & {"healthy", "initial", "unused", "unavailable"}:
            reasons = sorted({str((one.get("TargetHealth") or {}).get("Reason", "")) for one in targets} - {""})
            yield (
                "c-lb-targets-unhealthy",
                str(group["TargetGroupArn"]),
                f"no target is healthy: {', '.join(reasons) or ', '.join(sorted(set(states)))}",
            )


def _collision(scene: Scene, taken: Taken) -> Iterator[Said]:
    cross = _attributes(taken, "LoadBalancerAttributes", "LoadBalancerArn")
    for group, _ in _targets(taken):
        arns = [str(one) for one in group.get("LoadBalancerArns") or ()]
        wide = (
            any(cross.get(one, {}).get("load_balancing.cross_zone.enabled") == "true" for one in arns) or len(arns) > 1
        )
        if _on_balancer(scene, group) and _preserves(taken, group) and wide:
            yield (
                "c-nlb-source-port-collision",
                str(group["TargetGroupArn"]),
                "client addresses are kept and connections spread over zones",
            )


def _zones(scene: Scene, taken: Taken) -> Iterator[Said]:
    """A zone of the asked-for NLB without a healthy target while cross-zone balancing is off."""
    cross = _attributes(taken, "LoadBalancerAttributes", "LoadBalancerArn")
    network = scene.networks[-1]
    zone_of = {
        one.instance: network.subnets[one.subnet].az
        for one in network.interfaces.values()
        if one.instance and one.subnet in network.subnets
    }
    for group, targets in _targets(taken):
        for arn in group.get("LoadBalancerArns") or ():
            balancer = network.balancers.get(str(arn))
            off = cross.get(str(arn), {}).get("load_balancing.cross_zone.enabled") == "false"
            if balancer is None or balancer.kind != "network" or not off or not _on_balancer(scene, group):
                continue
            well = {
                zone_of.get(str((one.get("Target") or {}).get("Id", "")), "")
                for one in targets
                if (one.get("TargetHealth") or {}).get("State") == "healthy"
            }
            empty = sorted(zone for zone, _ in balancer.zones if zone not in well)
            if empty and well:
                yield (
                    "c-nlb-zone-without-target",
                    str(group["TargetGroupArn"]),
                    f"no healthy target in {', '.join(empty)}, and cross-zone balancing is off",
                )


def _overlap(scene: Scene, taken: Taken) -> Iterator[Said]:
    """Two attached VPCs with overlapping blocks, one of them on the path: the newer attachment's routes are not propagated."""
    network = scene.networks[-1]
    made = {
        str(one.get("TransitGatewayAttachmentId", "")): str(one.get("CreationTime", ""))
        for _, one in taken.snapshot.records("TransitGatewayVpcAttachments")
    }
    old = {name for _, name in network_of(scene.before.snapshot).attachments} if scene.before is not None else set()
    held = [one for one in network.attachments.values() if one.resource in network.vpcs]
    for number, one in enumerate(held):
        for other in held[number + 1 :]:
            if (
                one.transit == other.transit
                and {one.resource, other.resource} & scene.components
                and _meet(taken, one.resource, other.resource)
            ):
                newer = max((one, other), key=lambda each: (each.id not in old, made.get(each.id, ""), each.id))
                yield "c-tgw-overlapping-cidr", newer.id, f"{one.resource} and {other.resource} have overlapping blocks"


def _meet(taken: Taken, one: str, other: str) -> bool:
    blocks = {
        str(record.get("VpcId", "")): [
            ipaddress.ip_network(str(each["CidrBlock"]))
            for each in record.get("CidrBlockAssociationSet") or [record]
            if each.get("CidrBlock")
        ]
        for _, record in taken.snapshot.records("Vpcs")
    }
    return any(a.overlaps(b) for a in blocks.get(one, []) for b in blocks.get(other, []))


def _appliance(scene: Scene, taken: Taken) -> Iterator[Said]:
    """Attachments of inspection VPCs on the path (VPCs with a firewall's endpoints) without appliance mode."""
    network = scene.networks[-1]
    inspecting = {one.vpc for one in network.endpoints.values() if one.kind == "gatewayloadbalancer"}
    for one in network.attachments.values():
        if one.resource in inspecting and not one.appliance and one.id in scene.components:
            yield "c-tgw-appliance-mode-off", one.id, f"appliance mode of {one.id}, the inspection VPC's, is off"


def _vpn(scene: Scene, taken: Taken) -> Iterator[Said]:
    """VPN connections of which every tunnel is down, where an end is beyond AWS."""
    for _, one in taken.snapshot.records("VpnConnections") if scene.beyond else ():
        tunnels = one.get("VgwTelemetry") or []
        if tunnels and all(str(each.get("Status")) == "DOWN" for each in tunnels):
            yield "c-vpn-tunnel-down", str(one.get("VpnConnectionId", "")), "every tunnel is DOWN"


def _quota(scene: Scene, taken: Taken) -> Iterator[Said]:
    """Groups of the path with as many inbound rules as the default quota allows."""
    for _, one in taken.snapshot.records("SecurityGroups"):
        rules = sum(
            len(rule.get("IpRanges") or ())
            + len(rule.get("UserIdGroupPairs") or ())
            + len(rule.get("PrefixListIds") or ())
            for rule in one.get("IpPermissions") or ()
        )
        if one.get("GroupId") in scene.components and rules >= RULES_QUOTA:
            yield "c-sg-rule-quota", str(one["GroupId"]), f"{rules} inbound rules of {RULES_QUOTA}"


def _firewall(scene: Scene, taken: Taken) -> Iterator[Said]:
    """What the firewalls on the path do with the connection, by their rules."""
    ends = sorted(scene.source.addresses), sorted(scene.destination.addresses)
    number = protocol_number(scene.question.protocol) if scene.question.protocol in ("tcp", "udp") else 6
    if not all(ends):
        return
    for _, one in taken.snapshot.records("Firewalls"):
        arn = str((one.get("Firewall") or {}).get("FirewallArn", ""))
        if not related(scene, arn) & scene.components:
            continue
        pairs = [(one, other) for one in ends[0] for other in ends[1] if (":" in one) == (":" in other)]
        said = [judge(taken.snapshot, arn, Connection(number, *pair, -1, scene.question.port)) for pair in pairs]
        if said and all(each.action == DROP for each in said):
            yield "c-firewall-drops", arn, said[0].because


def _wrong_zone(scene: Scene, taken: Taken) -> Iterator[Said]:
    """Route tables that send one zone's subnets to a firewall's endpoint of another zone, or the two ways of a connection to two endpoints."""
    network = network_of(taken.snapshot)
    ends = {one.id: one for one in network.endpoints.values() if one.kind == "gatewayloadbalancer"}
    zone_of = {
        name: {network.subnets[each].az for each in one.subnets if each in network.subnets}
        for name, one in ends.items()
    }
    for table in network.tables.values():
        zones = {network.subnets[name].az for name in table.subnets if name in network.subnets}
        for route in table.routes:
            there = zone_of.get(route.target, set())
            if len(zones) == 1 and there and not zones & there:
                yield (
                    "c-firewall-wrong-zone",
                    table.id,
                    f"{table.id} of {', '.join(zones)} sends {route.text} to {route.target} in {', '.join(sorted(there))}",
                )
    yield from _two_ways(scene, network, set(ends))


def _two_ways(scene: Scene, network: Network, ends: set[str]) -> Iterator[Said]:
    """The table of the source's subnet and that of the destination's name different endpoints for one connection."""
    for one in sorted(scene.source.interfaces):
        for other in sorted(scene.destination.interfaces):
            there, back = (
                _towards(network, one, scene.destination.addresses),
                _towards(network, other, scene.source.addresses),
            )
            if there is None or back is None or there[1] == back[1] or not {there[1], back[1]} <= ends:
                continue
            before = network_of(scene.before.snapshot) if scene.before is not None else None
            changed = [
                name for name, target in (there, back) if before is not None and _names_other(before, name, target)
            ]
            says = f"{there[0]} sends the way there to {there[1]}, {back[0]} the way back to {back[1]}"
            yield "c-firewall-wrong-zone", changed[0] if changed else back[0], says


def _names_other(before: Network, table: str, target: str) -> bool:
    """Whether a table did not name that target before."""
    return table in before.tables and all(route.target != target for route in before.tables[table].routes)


def _towards(network: Network, interface: str, addresses: frozenset[str]) -> tuple[str, str] | None:
    """The table of an interface's subnet, and the target of the most specific route to the first of some addresses."""
    held = network.interfaces.get(interface)
    table = (network.table_of.get(held.subnet) or network.main_table.get(held.vpc)) if held else None
    for text in sorted(addresses):
        address = ipaddress.ip_address(text)
        fits = [
            (route.block[2] - route.block[1], route.target)
            for route in (table.routes if table else ())
            if route.block and route.block[0] == address.version and route.block[1] <= int(address) <= route.block[2]
        ]
        if table is not None and fits:
            return table.id, min(fits)[1]
    return None


def _no_way_home(scene: Scene, taken: Taken) -> Iterator[Said]:
    """Tables of a firewall's or NAT gateway's subnets in an inspection VPC that had a route back to the source's block and have none."""
    if scene.before is None:
        return
    now, before = network_of(taken.snapshot), network_of(scene.before.snapshot)
    inspecting = {one.vpc for one in now.endpoints.values() if one.kind == "gatewayloadbalancer"}
    for table in now.tables.values():
        if table.vpc not in inspecting or table.id not in before.tables:
            continue
        for text in sorted(scene.source.addresses | scene.destination.addresses):
            was, is_ = _best(before, table.id, text), _best(now, table.id, text)
            if was.startswith(("tgw-", "vpce-", "pcx-")) and not is_.startswith(("tgw-", "vpce-", "pcx-")):
                yield (
                    "c-inspection-no-return-route",
                    table.id,
                    f"{table.id} led to {text} by {was}, and now {'by ' + is_ if is_ else 'nowhere'}",
                )


def _best(network: Network, table: str, text: str) -> str:
    """The target of the most specific active route of a table to an address, "" for none."""
    address = ipaddress.ip_address(text)
    fits = [
        (route.block[2] - route.block[1], route.target)
        for route in network.tables[table].routes
        if route.block
        and route.block[0] == address.version
        and route.block[1] <= int(address) <= route.block[2]
        and route.state != "blackhole"
    ]
    return min(fits)[1] if fits else ""


VPN_ROUTES = {
    "TransitGatewayId": 1000,
    "VpnGatewayId": 100,
}  # BGP routes a connection takes (Site-to-Site VPN guide, "Quotas")


def _prefixes(scene: Scene, taken: Taken) -> Iterator[Said]:
    """VPN connections with a tunnel down whose accepted routes are near the quota."""
    for _, one in taken.snapshot.records("VpnConnections") if scene.beyond else ():
        quota = next((most for member, most in VPN_ROUTES.items() if one.get(member)), 0)
        tunnels = one.get("VgwTelemetry") or []
        counts = [int(each.get("AcceptedRouteCount") or 0) for each in tunnels]
        said = " ".join(str(each.get("StatusMessage") or "") for each in tunnels).lower()
        if quota and (
            max(counts, default=0) >= 0.95 * quota or "prefix" in said or ("routes" in said and "exceed" in said)
        ):
            yield (
                "c-bgp-prefix-limit",
                str(one.get("VpnConnectionId", "")),
                f"{max(counts, default=0)} routes accepted of {quota}; {said}".strip("; "),
            )


def _names(scene: Scene, taken: Taken) -> Iterator[Said]:
    """Private zones and endpoints' private names that the source's VPC had before and has no more."""
    if scene.before is None:
        return
    vpcs = {scene.interfaces[one].vpc for one in scene.source.interfaces if one in scene.interfaces}
    for name in sorted(_zones_of(scene.before.snapshot, vpcs) - _zones_of(taken.snapshot, vpcs)):
        if taken.snapshot.known("HostedZonesByVpc"):
            yield "c-dns-public-answer", name, f"the source's VPC is no more associated with {name}"
    for name in sorted(_private_names(scene.before.snapshot, vpcs) - _private_names(taken.snapshot, vpcs)):
        if taken.snapshot.known("VpcEndpoints"):
            yield "c-dns-public-answer", name, f"private DNS of {name} is off"


def _zones_of(snapshot: Snapshot, vpcs: set[str]) -> set[str]:
    held = [one for _, one in snapshot.records("HostedZonesByVpc") if one.get("VPCId") in vpcs]
    return {str(zone.get("HostedZoneId", "")) for one in held for zone in one.get("HostedZoneSummaries") or ()}


def _private_names(snapshot: Snapshot, vpcs: set[str]) -> set[str]:
    held = [one for _, one in snapshot.records("VpcEndpoints") if one.get("VpcId") in vpcs]
    return {str(one.get("VpcEndpointId", "")) for one in held if one.get("PrivateDnsEnabled")}


_LACKS = {
    "ENI_SG_RULES_MISMATCH": "group",
    "SG_HAS_NO_RULES": "group",
    "NO_ROUTE_TO_DESTINATION": "route table",
    "SUBNET_ACL_RESTRICTION": "network ACL",
}


def _ipv6(scene: Scene, taken: Taken) -> Iterator[Said]:
    """What keeps the source's IPv6 packets in, where it calls an IPv6 address of the service."""
    flows = scene.evidence.flows
    own = flows[flows["interface"].isin(scene.source.interfaces) & flows["dst"].str.contains(":", regex=False)]
    called = sorted(
        {one for one in scene.destination.addresses if ":" in one}
        | set(own.loc[own["dport"] == scene.question.port, "dst"]) - scene.source.addresses
    )
    for address in called[:3]:
        for interface in sorted(scene.source.interfaces):
            verdict = trace(
                taken.snapshot,
                source=interface,
                destination=address,
                protocol=scene.question.protocol,
                port=scene.question.port or None,
            )
            for one in verdict.blockers:
                if one.code in _LACKS and one.leg == "forward" and one.direction in ("egress", ""):
                    yield (
                        "c-ipv6-egress-missing",
                        one.component,
                        f"the {_LACKS[one.code]} lets no IPv6 out: {one.because}",
                    )
