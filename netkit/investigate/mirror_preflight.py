"""Will a mirror's copies arrive? What is looked at before it is made, and what may still keep a capture empty after that. Pure.

It stands above the wings, for it needs two: the mirror's own rules, and the reachability of its target. A copy is a UDP datagram
to port 4789 that expects no answer: only the way there counts, by the source subnet's routes; the source's own outbound security
group does not filter it (Amazon VPC Traffic Mirroring, "Traffic mirror targets", "Traffic mirror sessions", "Limitations").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import pandas as pd

from netkit.core.errors import InputError
from netkit.core.model import Blocker, Unknown, Verdict
from netkit.core.packets import Packets
from netkit.mirror.advice import unanswered, unanswered_text
from netkit.mirror.filters import (
    DIRECTIONS,
    MOST_RULES,
    MirrorFilter,
    MirrorSession,
    MirrorTarget,
    Stolen,
    parse_filter,
    stolen,
)
from netkit.mirror.ids import target_request
from netkit.mirror.limits import (
    BALANCER_LENGTH,
    ENDPOINT_MTU,
    LARGEST_MTU,
    LARGEST_UNCUT,
    OVERHEAD,
    SESSIONS_PER_INTERFACE,
    SHORTEST_LENGTH,
    SOURCES_PER_INTERFACE_TARGET,
    SOURCES_PER_LARGEST_TARGET,
    VXLAN_PORT,
    source_type,
)
from netkit.mirror.provision import free_number, sources_of
from netkit.mirror.read import Mirrors, interface_problem, tag
from netkit.reach import Snapshot, trace
from netkit.reach.network.network import Network, network_of
from netkit.reach.network.records import Balancer, TargetGroup

State = Literal["ok", "warning", "fails", "unknown"]
COLUMNS = ("check", "subject", "state", "says", "next_step")
Record = Mapping[str, Any]

NETWORK_INTERFACE, BALANCER, ENDPOINT = "network-interface", "network-load-balancer", "gateway-load-balancer-endpoint"
_MEMBER_KINDS = {"NetworkInterfaceId": NETWORK_INTERFACE, "NetworkLoadBalancerArn": BALANCER, "GatewayLoadBalancerEndpointId": ENDPOINT}  # fmt: skip


class Row(NamedTuple):
    """One answer: what was looked at, of what, how it stands, a sentence, and what to do."""

    check: str
    subject: str
    state: State
    says: str
    next_step: str = ""


@dataclass(frozen=True)
class _Case:
    """What is asked about: a mirror that may be made, or one that is there (`own` is its session ids)."""

    snapshot: Snapshot
    held: Mirrors
    sources: tuple[str, ...]
    kind: str
    resource: str
    mirror: MirrorFilter
    number: int | None
    packet_length: int | None
    name: str
    source_mtu: int | None
    target_mtu: int | None

    @cached_property
    def network(self) -> Network:
        """The snapshot as typed values."""
        return network_of(self.snapshot)

    def others(self, source: str) -> list[Record]:
        """The sessions on a source interface that are not this mirror's own."""
        return [one for one in self.held.of_interface(source) if not self.own(one)]

    def own(self, one: Record) -> bool:
        """Whether a session is one of this mirror."""
        return bool(self.name) and self.name in (tag(one, "Name"), one.get("TrafficMirrorSessionId"))

    def number_on(self, source: str) -> int:
        """The session number on a source: as asked, as it is, or the first behind the others."""
        if self.number is not None:
            return self.number
        for one in self.held.of_interface(source):
            if self.own(one):
                return int(one["SessionNumber"])
        return free_number(int(one["SessionNumber"]) for one in self.others(source))


def preflight(
    snapshot: Snapshot,
    held: Mirrors,
    *,
    sources: Sequence[str],
    target: str,
    filter: MirrorFilter | str,
    number: int | None = None,
    packet_length: int | None = None,
    name: str = "",
    source_mtu: int | None = None,
    target_mtu: int | None = None,
) -> pd.DataFrame:
    """Whether copies will get from sources to target, a row for each thing that has to be right: check, subject, state, says, next_step.

    snapshot   the configuration, as netkit.reach.read.collect() reads it or load_snapshot() loads it
    held       the mirrors that are there, as netkit.mirror.read.mirrors() reads them
    sources    network interfaces; target an eni-, the ARN of a Network Load Balancer, a vpce- or a tmt-
    number, packet_length, name   as plan_mirror() has them; a session of that name (or id) is this mirror's own
    source_mtu, target_mtu   bytes, where you know them: AWS's calls do not say

    state is ok, warning (copies arrive, or may not be all), fails (nothing arrives, or AWS refuses it) or unknown, with the
    reason in says. Raises InputError for what plan_mirror() refuses by its words alone.
    """
    if not sources:
        raise InputError("no source was named", hint="give network interface ids")
    if isinstance(filter, str):
        filter = parse_filter(filter, name=name)
    # Made for its checks: number, packet length (65535 is whole packets).
    asked = MirrorSession("", "", "", 1 if number is None else number, packet_length)
    kind, resource = _target(held, target)
    case = _Case(snapshot, held, tuple(dict.fromkeys(sources)), kind, resource, filter, number, asked.packet_length, name, source_mtu, target_mtu)  # fmt: skip
    rows = [row for look in _LOOKS for row in look(case)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def preflight_of(snapshot: Snapshot, held: Mirrors, session_id: str, **mtu: int | None) -> pd.DataFrame:
    """preflight() of a session that is there, by its id: what may be wrong with it now. Raises InputError where it is not there."""
    found = next((one for one in held.sessions if one["TrafficMirrorSessionId"] == session_id), None)
    rules = held.filter(str(found["TrafficMirrorFilterId"])) if found else None
    if found is None or rules is None:
        raise InputError(f"there is no mirror session {session_id[:80]} with a filter to see", hint="netkit.mirror.read.sessions() lists them")  # fmt: skip
    return preflight(
        snapshot, held, sources=[found["NetworkInterfaceId"]], target=found["TrafficMirrorTargetId"], filter=MirrorFilter.of(rules),
        number=int(found["SessionNumber"]), packet_length=_chosen_length(found, held), name=session_id, **mtu,
    )  # fmt: skip


def _chosen_length(found: Record, held: Mirrors) -> int | None:
    """The packet length that somebody chose: AWS writes 8500 itself for a session to a Network Load Balancer."""
    length, target = found.get("PacketLength"), held.target(str(found["TrafficMirrorTargetId"]))
    by_aws = length == BALANCER_LENGTH and bool(target and target.get("Type") == BALANCER)
    return None if by_aws or length is None else int(length)


def _target(held: Mirrors, word: str) -> tuple[str, str]:
    """Kind and resource of a target. A tmt- that cannot be seen is of no kind."""
    record = held.target(word)
    if record is not None:
        one = MirrorTarget.of(record)
        return one.kind, one.resource
    if word.startswith("tmt-"):
        return "", word
    if word.startswith("eni-"):  # of any form: a snapshot may be a fixture
        return NETWORK_INTERFACE, word
    if word.startswith("vpce-"):
        return ENDPOINT, word
    member, value = next(iter(target_request(word).items()))
    return _MEMBER_KINDS[member], value


# --------------------------------------------------------------------------------------------------------------- sources


def _raw(case: _Case, key: str, member: str, value: str) -> Record | None:
    return next((one for _, one in case.snapshot.records(key) if one.get(member) == value), None)


def _sources(case: _Case) -> Iterator[Row]:
    """Whether AWS takes each interface as a source, by type, state and instance."""
    for source in case.sources:
        record = _raw(case, "NetworkInterfaces", "NetworkInterfaceId", source)
        if record is None:
            known = case.network.known("NetworkInterfaces")
            yield Row("source", source, "fails" if known else "unknown", "it is not in the snapshot", "check account, region and id")  # fmt: skip
            continue
        yield _source(case, source, record)
        yield _family(case, source)


def _source(case: _Case, source: str, record: Record) -> Row:
    one, problem = case.network.interfaces.get(source), interface_problem(record, case.held)
    if source == case.resource:
        return Row("source", source, "fails", "it is its own target", "choose another target")
    if problem:
        return Row("source", source, "fails", problem, "choose another source")
    if one is None:
        return Row("source", source, "unknown", "its record cannot be read", "collect the snapshot again")
    if not one.pairs:
        return Row("source", source, "fails", "it has no IPv4 address: mirroring does not work in IPv6-only subnets", "choose another source")  # fmt: skip
    if one.status not in ("in-use", ""):
        return Row("source", source, "fails", f"it is {one.status}, attached to nothing", "attach it first")
    state = case.network.instances[one.instance].state if one.instance in case.network.instances else ""
    if state and state != "running":
        return Row("source", source, "fails", f"its instance {one.instance} is {state}", "start it")
    return Row("source", source, "ok", f"a network interface of {one.instance or one.description or 'no instance'}, in {one.subnet}")  # fmt: skip


def _family(case: _Case, source: str) -> Row:
    one = case.network.interfaces.get(source)
    held = (instance for _, group in case.snapshot.records("Reservations") for instance in group.get("Instances", ()))
    record: Record = next((instance for instance in held if one and instance.get("InstanceId") == one.instance), {})
    state, says = source_type(str(record.get("InstanceType", "")))
    return Row("instance family", source, state, says, "" if state == "ok" else "see AWS's list, or try: AWS refuses the session if not")  # fmt: skip


def _sessions(case: _Case) -> Iterator[Row]:
    """Sessions on each interface, and the numbers in use."""
    for source in case.sources:
        if not case.held.known("TrafficMirrorSessions"):
            yield Row("sessions", source, "unknown", "the mirror sessions could not be read", "allow ec2:DescribeTrafficMirrorSessions")  # fmt: skip
            continue
        others = case.others(source)
        numbers = {int(one["SessionNumber"]): one["TrafficMirrorSessionId"] for one in others}
        wanted = case.number_on(source)
        used = f"{len(others)} other sessions of {SESSIONS_PER_INTERFACE}, numbers {', '.join(map(str, sorted(numbers))) or 'none'}"  # fmt: skip
        if len(others) >= SESSIONS_PER_INTERFACE:
            yield Row("sessions", source, "fails", f"{used}: a fourth is refused", "end one of them")
        elif wanted in numbers:
            yield Row("sessions", source, "fails", f"number {wanted} is taken by {numbers[wanted]}", f"{free_number(numbers)} is free")  # fmt: skip
        else:
            yield Row("sessions", source, "ok", f"{used}; this one is number {wanted}")


# ---------------------------------------------------------------------------------------------- which session takes what


def _taken_first(case: _Case) -> Iterator[Row]:
    """Packets that go to sessions with lower numbers, and that this one takes from those with higher ones, by rule algebra."""
    for source in case.sources:
        mine = MirrorSession(source, "", "", case.number_on(source))
        others = [
            (MirrorSession.of(one), case.held.filter(str(one.get("TrafficMirrorFilterId"))))
            for one in case.others(source)
        ]
        pairs = [(one, MirrorFilter.of(rules)) for one, rules in others if rules]
        lacking = [one for one, rules in others if not rules and one.number < mine.number]
        yield from _from_me(case, mine, pairs, lacking)
        yield from _from_others(case, mine, pairs)


def _from_me(
    case: _Case, mine: MirrorSession, others: Sequence[tuple[MirrorSession, MirrorFilter]], lacking: Sequence[MirrorSession]
) -> Iterator[Row]:  # fmt: skip
    lost = stolen(mine, case.mirror, others)
    if lacking:
        says = f"the filter of {', '.join(one.id for one in lacking)}, which comes first, cannot be seen"
        yield Row("taken first", mine.interface, "unknown", says, "read it in the account that owns it")
    if lost:
        whole = not _left(case.mirror, lost)
        says = f"{'every packet goes' if whole else 'some packets go'} to another session first: {_told(lost)}"
        yield Row("taken first", mine.interface, "fails" if whole else "warning", says, "take a lower number, or narrow the other filter")  # fmt: skip
    elif not lacking:
        yield Row("taken first", mine.interface, "ok", "no session with a lower number takes these packets")


def _from_others(case: _Case, mine: MirrorSession, others: Sequence[tuple[MirrorSession, MirrorFilter]]) -> Iterator[Row]:  # fmt: skip
    for other, rules in others:
        if lost := stolen(other, rules, [(mine, case.mirror)]):
            says = f"session {other.number} ({other.id}) loses packets to this one: {_told(lost)}"
            yield Row("takes from others", mine.interface, "warning", says, f"a number above {other.number} leaves them")  # fmt: skip


def _left(mirror: MirrorFilter, lost: Iterable[Stolen]) -> bool:
    """Whether any packet that the filter takes is left."""
    gone = list(lost)
    for direction in DIRECTIONS:
        for family in (4, 6):
            left = mirror.accepted(direction, family)
            for one in gone:
                if one.direction == direction and one.packets.family == family:
                    left = left - one.packets
            if left:
                return True
    return False


def _told(lost: Sequence[Stolen]) -> str:
    return "; ".join(map(str, lost[:4])) + (f" and {len(lost) - 4} more" if len(lost) > 4 else "")


# ---------------------------------------------------------------------------------------------------------------- filter


def _filter(case: _Case) -> Iterator[Row]:
    """Rules per filter, and whether both halves of each conversation are taken."""
    rules, subject = case.mirror.rules, case.mirror.name or case.mirror.id or "filter"
    taken: list[Packets] = [case.mirror.accepted(direction, family) for direction in DIRECTIONS for family in (4, 6)]
    if not any(taken) and not case.mirror.network_services:
        yield Row("filter", subject, "fails", f"its {len(rules)} rules take no packet, so nothing is mirrored", "add an accept rule in each direction")  # fmt: skip
        return
    yield Row("filter", subject, "ok", f"{len(rules)} rules of {MOST_RULES}")
    for direction, packets in unanswered(case.mirror):
        yield Row("both directions", subject, "warning", unanswered_text(direction, packets), "add the rule for the other direction")  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ the way there

_FILTERS = {"security group": "SecurityGroups", "network ACL": "NetworkAcls"}
# What AWS names as ways for copies: within a VPC, intra-Region peering, a transit gateway, a Gateway Load Balancer endpoint.
_NO_WAY = {"internet-gateway", "nat-gateway", "egress-only-internet-gateway", "vpn-gateway", "vpn-connection"}


def _way(case: _Case) -> Iterator[Row]:
    """Route, security groups and network ACLs from each source to the target, for UDP 4789, one way."""
    for source in case.sources:
        end = _end(case)
        if source not in case.network.interfaces or not end:
            why = "the target is not in the snapshot: of another account or region, or gone" if not end else "the source is not in the snapshot"  # fmt: skip
            yield from (Row(check, source, "unknown", why, "collect the snapshot there too") for check in ("route", *_FILTERS))  # fmt: skip
        elif source != end:
            yield from _asked(case, source, end)


def _end(case: _Case) -> str:
    """What to ask the way to: an interface of the target, or the load balancer; "" where the snapshot has it not."""
    if case.kind == BALANCER:
        return case.resource if case.resource in case.network.balancers else ""
    if case.kind == ENDPOINT:
        endpoint = case.network.endpoints.get(case.resource)
        return next((one for one in endpoint.interfaces if one in case.network.interfaces), "") if endpoint else ""
    return case.resource if case.resource in case.network.interfaces else ""


def _asked(case: _Case, source: str, end: str) -> Iterator[Row]:
    verdict = trace(case.snapshot, source=source, destination=end, protocol="udp", port=VXLAN_PORT, one_way=True)
    blockers = [one for one in verdict.blockers if _counts(case, source, end, one)]
    unknowns = [one for one in verdict.unknowns if one.what not in case.network.interfaces[source].groups]
    got_there = any(hop.component == end for hop in verdict.forward)
    for check in ("route", *_FILTERS):
        mine = [one for one in blockers if _check_of(one.component) == check]
        open_questions = [one for one in unknowns if _check_of_unknown(one) == check]
        if check in _FILTERS and not got_there and not mine and not open_questions:
            open_questions = [Unknown(end, "the way there breaks off before it")]
        yield _one_check(check, f"{source} to {case.resource}", mine, open_questions, verdict, _far(case.network))


def _counts(case: _Case, source: str, end: str, one: Blocker) -> bool:
    """Whether a blocker stops copies: not the source's own outbound groups; and a Gateway Load Balancer endpoint takes them in."""
    own_groups = one.direction == "egress" and one.where == source and one.component in case.network.interfaces[source].groups  # fmt: skip
    taken_in = case.kind == ENDPOINT and one.component == end and one.code == "NO_POSSIBLE_DESTINATION"
    # The state of source and target, and what a load balancer lacks, have checks of their own.
    elsewhere = one.code.startswith("ELB") or (one.code == "BAD_STATE" and one.component.startswith(("i-", "eni-", "arn:")))  # fmt: skip
    return not own_groups and not taken_in and not elsewhere


def _check_of(component: str) -> str:
    return "security group" if component.startswith("sg-") else "network ACL" if component.startswith("acl-") else "route"  # fmt: skip


def _check_of_unknown(one: Unknown) -> str:
    return next((check for check, table in _FILTERS.items() if one.what == table), _check_of(one.what))


def _far(network: Network) -> frozenset[str]:
    """The peerings between Regions: AWS names those within one only."""
    return frozenset(one.id for one in network.peerings.values() if one.sides[0].region != one.sides[1].region)


_REMEDY = {
    "route": "add a route from the source's subnet to the target",
    "security group": f"let UDP {VXLAN_PORT} in from the source's address",
    "network ACL": f"let UDP {VXLAN_PORT} through, out of the source's subnet and into the target's",
}


def _one_check(
    check: str, subject: str, blockers: Sequence[Blocker], unknowns: Sequence[Unknown], verdict: Verdict, far: frozenset[str]
) -> Row:  # fmt: skip
    if blockers:
        return Row(check, subject, "fails", "; ".join(dict.fromkeys(one.because for one in blockers)), _REMEDY[check])
    if unknowns:
        return Row(check, subject, "unknown", "; ".join(dict.fromkeys(map(str, unknowns))), "collect what is missing")
    if check == "route":
        if odd := [hop.component for hop in verdict.forward if hop.type in _NO_WAY or hop.component in far]:
            says = f"the way leads through {', '.join(odd)}, which AWS does not name as a way for copies"
            return Row(
                check, subject, "warning", says, "use the same VPC, a peering in the Region or a transit gateway"
            )
        route = next((hop for hop in verdict.forward if hop.type == "route-table" and hop.rule), None)
        return Row(check, subject, "ok", f"by {route.component}: {route.rule}" if route else "in the same subnet")
    names = [hop.component for hop in verdict.forward if hop.type == check.lower().replace(" ", "-") and hop.direction == "ingress"]  # fmt: skip
    return Row(check, subject, "ok", f"{', '.join(names)} lets UDP {VXLAN_PORT} in" if names else "none is in the way")


# ------------------------------------------------------------------------------------------------------------ the target


def _targets(case: _Case) -> Iterator[Row]:
    """The target itself: its state, its load balancer's listener and targets, and how many sources it takes."""
    looks = {NETWORK_INTERFACE: _interface_target, BALANCER: _balancer_target, ENDPOINT: _endpoint_target}
    if case.kind in looks:
        yield from looks[case.kind](case)
        return
    denied = not case.held.known("TrafficMirrorTargets")
    yield Row("target", case.resource, "unknown" if denied else "fails", "no such mirror target can be seen", "check its id, and that it is shared with this account")  # fmt: skip


def _interface_target(case: _Case) -> Iterator[Row]:
    one = case.network.interfaces.get(case.resource)
    if one is None:
        yield Row("target", case.resource, "unknown", "it is not in the snapshot: of another account or region, or gone", "collect the snapshot there too")  # fmt: skip
    elif one.status not in ("in-use", ""):
        yield Row(
            "target", one.id, "fails", f"it is {one.status}, attached to nothing", "attach it to the analysis host"
        )
    elif one.instance in case.network.instances and case.network.instances[one.instance].state != "running":
        yield Row("target", one.id, "fails", f"{one.instance} is {case.network.instances[one.instance].state}", "start the analysis host")  # fmt: skip
    else:
        yield Row("target", one.id, "ok", f"a network interface of {one.instance or 'no instance'}, {one.status or 'state not said'}")  # fmt: skip
    yield _source_quota(case)


def _source_quota(case: _Case) -> Row:
    count = len(sources_of(case.held, case.resource) | set(case.sources))
    says = f"{count} sources; AWS takes {SOURCES_PER_INTERFACE_TARGET}, and {SOURCES_PER_LARGEST_TARGET} for the largest sizes"  # fmt: skip
    state: State = "fails" if count > SOURCES_PER_LARGEST_TARGET else "warning" if count > SOURCES_PER_INTERFACE_TARGET else "ok"  # fmt: skip
    return Row("sources per target", case.resource, state, says, "" if state == "ok" else "put the analysis hosts behind a Network Load Balancer")  # fmt: skip


def _endpoint_target(case: _Case) -> Iterator[Row]:
    one = case.network.endpoints.get(case.resource)
    if one is None:
        known = case.network.known("VpcEndpoints")
        yield Row("target", case.resource, "fails" if known else "unknown", "the endpoint is not in the snapshot", "check its id, account and region")  # fmt: skip
    elif one.kind != "gatewayloadbalancer":
        yield Row("target", one.id, "fails", f"it is an endpoint of type {one.kind}", "name an endpoint of a Gateway Load Balancer")  # fmt: skip
    else:
        fine = one.state == "available"
        yield Row("target", one.id, "ok" if fine else "fails", f"the endpoint is {one.state}", "" if fine else "accept it, or make it again")  # fmt: skip


def _balancer_target(case: _Case) -> Iterator[Row]:
    one = case.network.balancers.get(case.resource)
    if one is None:
        known = case.network.known("LoadBalancers")
        yield Row("target", case.resource, "fails" if known else "unknown", "the load balancer is not in the snapshot", "check its ARN, account and region")  # fmt: skip
        return
    fine = one.state == "active"
    yield Row("target", one.name, "ok" if fine else "fails", f"the load balancer is {one.state}", "" if fine else "wait until it is active")  # fmt: skip
    yield from _listener(case, one)
    zones = len(one.zones)
    if one.cross_zone is None:
        yield Row("cross-zone", one.name, "unknown", "its attributes were not collected", "collect them")
    elif not one.cross_zone or zones < 2:
        says = f"{zones} zones, cross-zone load balancing {'on' if one.cross_zone else 'off'}: copies from a zone without a healthy target are lost"  # fmt: skip
        yield Row("cross-zone", one.name, "warning", says, "use two zones or more, and turn cross-zone load balancing on")  # fmt: skip
    else:
        yield Row("cross-zone", one.name, "ok", f"{zones} zones, cross-zone load balancing on")


def _listener(case: _Case, one: Balancer) -> Iterator[Row]:
    if one.listeners is None:
        yield Row("listener", one.name, "unknown", "its listeners were not collected", "collect them")
        return
    udp = [held for held in one.listeners if held.port == VXLAN_PORT and held.protocol in ("UDP", "TCP_UDP")]
    if not udp:
        there = ", ".join(f"{held.protocol} {held.port}" for held in one.listeners) or "none"
        yield Row("listener", one.name, "fails", f"no listener for UDP {VXLAN_PORT}; it has {there}. Copies are dropped without a word", f"add a listener for UDP {VXLAN_PORT}")  # fmt: skip
        return
    yield Row("listener", one.name, "ok", f"{udp[0].protocol} {VXLAN_PORT}")
    if not udp[0].default.groups:
        yield Row("target group", one.name, "fails", "the listener forwards to no target group", "name one")
    for name in udp[0].default.groups:
        group = case.network.target_groups.get(name)
        if group is None:
            yield Row("target group", name, "unknown", "it is not in the snapshot", "collect target groups")
        else:
            yield from _target_group(case, group)


def _target_group(case: _Case, group: TargetGroup) -> Iterator[Row]:
    fine = group.protocol in ("UDP", "TCP_UDP") and group.port == VXLAN_PORT
    yield Row(
        "target group", group.name, "ok" if fine else "fails", f"{group.protocol} {group.port}",
        "" if fine else f"make one of UDP {VXLAN_PORT}: that is the port of the copies",
    )  # fmt: skip
    record = _raw(case, "LoadBalancerTargetHealth", "TargetGroupArn", group.id)
    if record is None:
        yield Row("target health", group.name, "unknown", "the health of its targets was not collected", "collect it")
        return
    states = [str(one.get("TargetHealth", {}).get("State", "")) for one in record.get("TargetHealthDescriptions", ())]
    well = states.count("healthy")
    says = f"{well} of {len(states)} targets healthy" + (f" ({', '.join(sorted(set(states)))})" if states else "")
    state: State = "ok" if states and well == len(states) else "warning" if well else "fails"
    yield Row("target health", group.name, state, says, "" if state == "ok" else "look at the targets' health check: it is of TCP or HTTP, not of UDP")  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------- length


def _lengths(case: _Case) -> Iterator[Row]:
    """What is cut: by the packet length that was chosen, and by the MTU on the way."""
    length = case.packet_length
    if length is None:
        yield Row("packet length", case.name or "session", "ok", "whole packets")
    elif length < SHORTEST_LENGTH[4]:
        yield Row("packet length", case.name or "session", "fails", f"{length} bytes, and AWS takes {SHORTEST_LENGTH[4]} (IPv6: {SHORTEST_LENGTH[6]}) or more", "leave it out for whole packets")  # fmt: skip
    else:
        yield Row("packet length", case.name or "session", "warning", f"what is beyond {length} bytes of a packet is not copied", "leave it out for whole packets")  # fmt: skip
    yield _mtu(case)


def _mtu(case: _Case) -> Row:
    if case.kind == ENDPOINT:
        says = f"an endpoint passes {ENDPOINT_MTU} bytes: packets over {LARGEST_UNCUT[4]} (IPv6: {LARGEST_UNCUT[6]}) are cut"
        return Row("MTU", case.resource, _fits(case.source_mtu, LARGEST_UNCUT[4]), says, f"source MTU of {LARGEST_UNCUT[4]} or less")  # fmt: skip
    if case.kind == BALANCER:
        says = f"AWS sets a packet length of {BALANCER_LENGTH} for a load balancer where none is given"
        return Row("MTU", case.resource, _fits(case.source_mtu, BALANCER_LENGTH), says, f"source MTU of {BALANCER_LENGTH} or less")  # fmt: skip
    room = OVERHEAD[4]
    if case.target_mtu is None or case.source_mtu is None:
        says = f"AWS's calls do not say MTUs: the source's has to be the target's less {room} (IPv6: {OVERHEAD[6]}) or lower, else packets are cut"  # fmt: skip
        return Row("MTU", case.resource, "unknown", says, f"with {LARGEST_MTU} at the target, {LARGEST_MTU - room} at the source")  # fmt: skip
    says = f"source {case.source_mtu}, target {case.target_mtu}: {case.target_mtu - room} bytes get through whole"
    return Row("MTU", case.resource, _fits(case.source_mtu, case.target_mtu - room), says, f"source MTU of {case.target_mtu - room} or less")  # fmt: skip


def _fits(mtu: int | None, most: int) -> State:
    return "unknown" if mtu is None else "ok" if mtu <= most else "warning"


_LOOKS: tuple[Callable[[_Case], Iterator[Row]], ...] = (_sources, _sessions, _filter, _taken_first, _targets, _way, _lengths)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------- causes

# What can make a capture empty, the likeliest first, each with the states in which it still can.
_DECIDES: dict[str, tuple[State, ...]] = {
    "security group": ("fails", "unknown"),
    "network ACL": ("fails", "unknown"),
    "route": ("fails", "unknown", "warning"),
    "target": ("fails", "unknown"),
    "listener": ("fails", "unknown"),
    "target group": ("fails", "unknown"),
    "target health": ("fails", "unknown", "warning"),
    "cross-zone": ("warning", "unknown"),
    "taken first": ("fails", "unknown", "warning"),
    "filter": ("fails",),
    "source": ("fails", "unknown"),
    "instance family": ("warning", "unknown"),
    "sessions": ("fails", "unknown"),
    "packet length": ("fails",),
}
# What no describe call shows.
ALWAYS_POSSIBLE = (
    "no packet that the filter takes passed the source in that time: look at the source's flow log or NetworkPacketsIn and NetworkPacketsOut",
    f"the analysis host drops UDP {VXLAN_PORT} itself: look at its own firewall (nft list ruleset) and capture on its own interface",
    "the capture ran on another interface or with a capture filter that leaves the copies out: udp port 4789 is the one",
    "copies were skipped, for the source's own traffic comes first: look at NetworkSkipMirrorIn and NetworkSkipMirrorOut",
    "what was looked for is never mirrored: ARP, DHCP, instance metadata, time, Windows activation, and Amazon's DNS without its network service",
    "the source's security group or network ACL drops the packets before they come in, and those are not mirrored",
)


def causes(checked: pd.DataFrame) -> list[str]:
    """Why a capture may be empty, in the order to look at: what preflight() found failing, then what it could not know or warned of,
    then what no call of AWS's shows."""
    found = []
    for wanted in (("fails",), ("unknown", "warning")):
        for check, states in _DECIDES.items():
            rows = checked[checked["check"].eq(check) & checked["state"].isin(set(states) & set(wanted))]
            found += [f"{check} of {row.subject}: {row.says}" for row in rows.itertuples()]
    return [*dict.fromkeys(found), *ALWAYS_POSSIBLE]
