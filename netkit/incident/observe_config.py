"""What the configuration says: the fault at each place where the trace blocks, as of the trouble. Pure.

The trace speaks in AWS's explanation codes; here a blocker becomes a fault of the catalogue, told apart by what stood there before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from netkit.core.model import Blocker, Verdict
from netkit.incident.atoms import Observation
from netkit.incident.scene import Scene
from netkit.reach.network.network import Network, network_of

# Faults that the trace decides by itself, so that an open path is evidence against each of them.
DECIDED = (
    *("sg-no-ingress", "sg-no-egress", "nacl-denies-request", "nacl-denies-reply", "nacl-ephemeral-range-too-narrow"),
    *("stale-peer-group-reference", "route-missing", "route-blackhole", "return-route-missing", "peering-not-active"),
    *("no-public-address", "source-dest-check", "block-public-access", "tgw-route-missing", "tgw-no-propagation"),
    *(
        "tgw-wrong-association",
        "tgw-blackhole",
        "tgw-zone-not-attached",
        "inspection-no-return-route",
        "lb-no-listener",
    ),
    *("instance-stopped", "no-such-address", "endpoint-no-ingress", "endpoint-route-missing"),
)


def observe(scene: Scene) -> Iterator[Observation]:
    """c-path-open, and c-<fault> of each place that blocks, in the newest snapshot that is of the trouble."""
    then = scene.then
    if then is None:
        yield Observation("c-path-open", "", "could-not-see", "there is no snapshot")
        return
    verdict = scene.verdict_of(then.snapshot)
    stamp = str(then)
    if verdict is None:
        words = f"an end of the question is not in the {stamp}"
        yield Observation("c-path-open", "", "could-not-see", words, rests_on=(stamp,))
        return
    before = network_of(scene.before.snapshot) if scene.before is not None else None
    after = network_of(then.snapshot)
    found = [one for blocker in verdict.blockers for one in _faults(scene, blocker, before, after)]
    found += list(_narrow(verdict, after))
    for fault, resource, says in found:
        yield Observation(f"c-{fault}", resource, "seen", says, rests_on=(stamp,))
    if verdict.status == "REACHABLE":
        yield Observation(
            "c-path-open",
            "",
            "seen",
            f"the configuration lets the connection through, both ways ({stamp})",
            rests_on=(stamp,),
        )
    elif verdict.status == "NOT_REACHABLE":
        yield Observation(
            "c-path-open",
            "",
            "seen-not",
            f"the configuration does not let the connection through ({stamp})",
            rests_on=(stamp,),
        )
    else:
        what = "; ".join(f"{one.what}: {one.why}" for one in verdict.unknowns[:3])
        yield Observation("c-path-open", "", "could-not-see", f"the trace does not decide: {what}", rests_on=(stamp,))


Fault = tuple[str, str, str]


def _faults(scene: Scene, blocker: Blocker, before: Network | None, after: Network) -> Iterator[Fault]:
    """What a blocker is, in the catalogue's words: a look-up where AWS's code says it all, else a look at what stands around it."""
    code = blocker.code
    if code in _SIMPLE:
        yield _SIMPLE[code], blocker.component, blocker.because
    elif code in _LOOKS:
        yield from _LOOKS[code](scene, blocker, before, after)


_SIMPLE = {
    "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS": "no-public-address",
    "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS": "no-public-address",
    "ENI_SOURCE_DEST_CHECK_RESTRICTION": "source-dest-check",
    "TGW_RTB_BAD_STATE_ROUTE": "tgw-blackhole",
    "TGW_ROUTE_AZ_RESTRICTION": "tgw-zone-not-attached",
    "ELBV2_LISTENER_PORT_RESTRICTION": "lb-no-listener",
    "ELBV2_LISTENERS_MISMATCH": "lb-no-listener",
    "ELB_NOT_CROSSZONE": "nlb-zone-without-target",
    "ELBV2_NO_TARGETS_IN_AZ": "nlb-zone-without-target",
}


def _narrow(verdict: Verdict, after: Network) -> Iterator[Fault]:
    """A network ACL that lets replies through to a part of the ports that clients use: the trace leaves that open, by the ACL's name."""
    for one in verdict.unknowns:
        if one.what == "client port":
            for acl in after.acls:
                if acl in one.why.split(":")[0].replace(",", " ").split():
                    yield "nacl-ephemeral-range-too-narrow", acl, one.why


def _group(scene: Scene, blocker: Blocker, before: Network | None, after: Network) -> Iterator[Fault]:
    """A group that does not let the packets pass: the one whose rules changed, among those that together decide."""
    ids = list(dict.fromkeys([*blocker.components, blocker.component]))
    changed = [
        one
        for one in ids
        if before is not None and one in before.groups and before.groups[one] != after.groups.get(one)
    ]
    for resource in changed or ids:
        if resource not in after.groups:
            continue
        if blocker.direction == "egress" and _only_six(scene):
            yield "ipv6-egress-missing", resource, blocker.because
        elif blocker.direction == "egress":
            yield "sg-no-egress", resource, blocker.because
        elif stale := _stale(after, resource):
            yield "stale-peer-group-reference", resource, f"{blocker.because}; {stale}"
        elif _endpoint_of(after, blocker.where):
            yield "endpoint-no-ingress", resource, blocker.because
        else:
            yield "sg-no-ingress", resource, blocker.because


def _acl(scene: Scene, blocker: Blocker, before: Network | None, after: Network) -> Iterator[Fault]:
    six = _only_six(scene) and blocker.direction == "egress" and blocker.leg == "forward"
    yield (
        "nacl-denies-reply" if blocker.leg == "return" else "ipv6-egress-missing" if six else "nacl-denies-request",
        blocker.component,
        blocker.because,
    )


def _nowhere(scene: Scene, blocker: Blocker, before: Network | None, after: Network) -> Iterator[Fault]:
    if not scene.destination.interfaces:
        yield "no-such-address", scene.question.destination, blocker.because


def _only_six(scene: Scene) -> bool:
    """Whether the destination is called by IPv6 alone."""
    return bool(scene.destination.addresses) and all(":" in one for one in scene.destination.addresses)


def _blocked_public(scene: Scene, blocker: Blocker, before: Network | None, after: Network) -> Iterator[Fault]:
    """The VPC whose gateway is blocked: Block Public Access holds for an account and Region, and the VPC is what an exclusion would name."""
    if blocker.component.startswith(("vpc-", "subnet-")):
        yield "block-public-access", blocker.component, blocker.because
        return
    ends = scene.source.interfaces | scene.destination.interfaces
    gateway = after.igws.get(blocker.component) or after.eigws.get(blocker.component)
    vpcs = (
        set(gateway.vpcs)
        if gateway is not None
        else {after.interfaces[one].vpc for one in ends if one in after.interfaces}
    )
    for vpc in sorted(vpcs):
        yield "block-public-access", vpc, blocker.because


def _stale(network: Network, group: str) -> str:
    """Which peer's group a rule names by a connection that is not active, "" for none."""
    for _, record in network.snapshot.records("SecurityGroups"):
        if record.get("GroupId") != group:
            continue
        for rule in record.get("IpPermissions") or ():
            for pair in rule.get("UserIdGroupPairs") or ():
                peering = str(pair.get("VpcPeeringConnectionId") or "")
                dead = peering and (peering not in network.peerings or network.peerings[peering].status != "active")
                if dead or str(pair.get("PeeringStatus") or "active") not in ("active", ""):
                    return f"it names {pair.get('GroupId')} over {peering or 'a peering'} that is not active"
    return ""


def _endpoint_of(network: Network, interface: str) -> str:
    return next((one.id for one in network.endpoints.values() if interface in one.interfaces), "")


def _route(scene: Scene, blocker: Blocker, before: Network | None, after: Network) -> Iterator[Fault]:
    table = blocker.component
    held = after.tables.get(table)
    source_vpcs = {after.interfaces[one].vpc for one in scene.source.interfaces if one in after.interfaces}
    target_vpcs = {after.interfaces[one].vpc for one in scene.destination.interfaces if one in after.interfaces}
    between = held is not None and held.vpc not in source_vpcs | target_vpcs
    if blocker.leg == "return":
        yield ("inspection-no-return-route" if between else "return-route-missing"), table, blocker.because
    elif between:
        yield "inspection-no-return-route", table, blocker.because
    elif _only_six(scene):
        yield "ipv6-egress-missing", table, blocker.because
    elif gone := _lost_endpoint(before, after, table):
        yield "endpoint-route-missing", table, f"{blocker.because}; it had the route of {gone}"
    else:
        yield "route-missing", table, blocker.because


def _lost_endpoint(before: Network | None, after: Network, table: str) -> str:
    """The gateway endpoint whose route a table had before and has no more, "" for none."""
    if before is None:
        return ""
    for taken, name in ((one, one.get("VpcEndpointId", "")) for _, one in before.snapshot.records("VpcEndpoints")):
        now = next((one for _, one in after.snapshot.records("VpcEndpoints") if one.get("VpcEndpointId") == name), None)
        if table in (taken.get("RouteTableIds") or ()) and (
            now is None or table not in (now.get("RouteTableIds") or ())
        ):
            return str(name)
    return ""


def _dead_route(scene: Scene, blocker: Blocker, before: Network | None, after: Network) -> Iterator[Fault]:
    target = _target_of(after, blocker)
    if target.startswith("pcx-"):
        yield "peering-not-active", target, blocker.because
    else:
        yield "route-blackhole", blocker.component, blocker.because


def _target_of(network: Network, blocker: Blocker) -> str:
    """What a dead route points at, by the route's own record."""
    words = str(blocker.rule or "") + " " + blocker.because
    return next(
        (word.strip(".,;()") for word in words.split() if word.startswith(("pcx-", "nat-", "eni-", "igw-", "tgw-"))), ""
    )


def _state(scene: Scene, blocker: Blocker, before: Network | None, after: Network) -> Iterator[Fault]:
    name = blocker.component
    prefix = name.split("-")[0]
    if prefix == "pcx":
        yield "peering-not-active", name, blocker.because
    elif prefix == "i":
        yield "instance-stopped", name, blocker.because
    elif prefix == "eni":
        held = after.interfaces.get(name)
        instance = held.instance if held else ""
        if instance and instance in after.instances and after.instances[instance].state != "running":
            yield "instance-stopped", instance, blocker.because
    elif prefix in ("igw", "nat"):
        for table in after.tables.values():
            if any(route.target == name for route in table.routes):
                yield "route-blackhole", table.id, blocker.because
    elif name.startswith("tgw-attach-"):
        yield "tgw-wrong-association", name, blocker.because


def _transit(scene: Scene, blocker: Blocker, before: Network | None, after: Network) -> Iterator[Fault]:
    """Which of three: the attachment asks another table than before, a propagation is gone, or the route is simply not there."""
    table = blocker.component
    says = blocker.because
    if table.startswith("tgw-attach-"):
        yield "tgw-wrong-association", table, says
        return
    moved = [
        name
        for (transit, name), now in after.attachments.items()
        if now.table == table
        and before is not None
        and (then := before.attachments.get((transit, name))) is not None
        and then.table != table
    ]
    if moved:
        for name in moved:
            yield "tgw-wrong-association", name, f"{says}; {name} was associated with another table before"
        return
    lost = sorted(_propagations(before, table) - _propagations(after, table)) if before is not None else []
    if lost:
        yield "tgw-no-propagation", table, f"{says}; {', '.join(lost)} propagated into it before"
    else:
        yield "tgw-route-missing", table, says


def _propagations(network: Network, table: str) -> set[str]:
    found: set[str] = set()
    for _, record in network.snapshot.records("TransitGatewayPropagations"):
        if record.get("TransitGatewayRouteTableId") == table:
            listed: Sequence[dict[str, Any]] = record.get("TransitGatewayRouteTablePropagations") or ()
            found |= {
                str(one.get("TransitGatewayAttachmentId", ""))
                for one in listed
                if one.get("State", "enabled") == "enabled"
            }
    return found


Look = Callable[[Scene, Blocker, Network | None, Network], Iterator[Fault]]
_LOOKS: Mapping[str, Look] = {
    **dict.fromkeys(
        ("ENI_SG_RULES_MISMATCH", "SG_HAS_NO_RULES", "SG_REFERENCES_NOT_PRESERVED", "SG_REFERENCING_SUPPORT"), _group
    ),
    **dict.fromkeys(("BAD_STATE", "BAD_STATE_ATTACHMENT", "UNASSOCIATED_COMPONENT"), _state),
    **dict.fromkeys(
        ("TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT", "TGW_RTB_CANNOT_ROUTE", "TGW_ATTACH_MISSING_TGW_RTB_ASSOCIATION"),
        _transit,
    ),
    "SUBNET_ACL_RESTRICTION": _acl,
    "VPC_BLOCK_PUBLIC_ACCESS_ENABLED": _blocked_public,
    "NO_ROUTE_TO_DESTINATION": _route,
    "BAD_STATE_ROUTE": _dead_route,
    "NO_POSSIBLE_DESTINATION": _nowhere,
}
