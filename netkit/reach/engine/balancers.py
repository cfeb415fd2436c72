"""Through a load balancer: its listener, what the listener's rules do, and on to one of the targets. Pure.

Rules: Elastic Load Balancing guides (listeners, listener rules, target groups, client IP preservation, troubleshooting of network
load balancers), facts 6.11 and appendix C.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from netkit.core.errors import InputError
from netkit.core.model import Blocker, Unknown, Verdict
from netkit.core.net import TCP, UDP
from netkit.core.packets import Box, Packets
from netkit.reach.engine.answer import verdict_of
from netkit.reach.engine.leg import REMAPPED, Leg
from netkit.reach.engine.service import Service
from netkit.reach.engine.walk import between, out_of
from netkit.reach.network.ends import End, find_end
from netkit.reach.network.network import Network
from netkit.reach.network.records import Balancer, Interface, Listener, TargetGroup

_LISTENER = {"TCP": (TCP,), "TLS": (TCP,), "HTTP": (TCP,), "HTTPS": (TCP,), "UDP": (UDP,), "TCP_UDP": (TCP, UDP)}
_BEST_FIRST = ("REACHABLE", "UNKNOWN", "NOT_REACHABLE")
Ask = Callable[[End, End, Service], Verdict]


@dataclass(frozen=True)
class Try:
    """One target that a listener can send to, by which of its actions, and what became of it."""

    by: str
    group: TargetGroup
    target: tuple[str, int, str]
    verdict: Verdict


def through(leg: Leg, balancer: Balancer, entry: Interface, ask: Ask) -> None:
    """From a load balancer's interface on to its targets: one that packets get to is enough. ask: the path between two ends."""
    leg.hop(balancer.id, "load-balancer", name=balancer.name, vpc=balancer.vpc)
    if balancer.state != "active":
        leg.block(balancer.id, "BAD_STATE", f"{balancer.name} is {balancer.state}, not active")
    if balancer.listeners is None:
        leg.lacks("LoadBalancerListeners", balancer.id)
        return
    box = leg.asked.boxes[0]
    heard = [
        one
        for one in balancer.listeners
        if (one.port, one.port) == box.port
        and any(box.protocol == (number, number) for number in _LISTENER.get(one.protocol, ()))
    ]
    if heard:
        _by_listener(leg, balancer, entry, heard[0], ask)
        return
    held = ", ".join(f"{one.protocol} {one.port}" for one in balancer.listeners) or "none"
    because = f"{balancer.name} has no listener for {leg.service()}; it has {held}"
    leg.block(balancer.id, "ELBV2_LISTENERS_MISMATCH", because)


def _by_listener(leg: Leg, balancer: Balancer, entry: Interface, listener: Listener, ask: Ask) -> None:
    """What the default action and the rules lead to: a target, an answer of the load balancer's own, or nothing that is known."""
    where = f"the listener {listener.protocol} {listener.port} of {balancer.name}"
    actions = [("default action", listener.default), *((one.when, one.action) for one in listener.rules or ())]
    forwards = [(by, name) for by, action in actions if action.kind == "forward" for name in action.groups]
    answers = [f"{by}: {action.says}" for by, action in actions if action.answers]
    lacking = _rules_lacking(leg.network, balancer, listener)
    if not forwards:
        if lacking:
            leg.unknowns.append(lacking)
        elif answers:
            leg.notes.append(f"{where} answers itself and sends nothing on to a target ({'; '.join(answers[:4])})")
        else:
            leg.block(balancer.id, "ELBV2_LISTENER_REQUIRES_TG_ACCEPT", f"{where} forwards to no target group")
        return
    if answers:
        leg.notes.append(f"{where} answers some requests itself ({'; '.join(answers[:4])})")
    _to_targets(leg, balancer, entry, where, forwards, lacking, ask)


def _rules_lacking(network: Network, balancer: Balancer, listener: Listener) -> Unknown | None:
    """What is missing where rules that were not collected may lead elsewhere than the default action; None where they cannot."""
    if listener.rules is not None or balancer.kind != "application":
        return None
    if listener.default.kind == "forward" and network.known("TargetGroups"):
        others = [one for one in network.target_groups.values() if one.id not in listener.default.groups]
        if all(one.balancers is not None and balancer.id not in one.balancers for one in others):
            return None  # no other target group is this load balancer's, so no rule leads to one
    why = f"the rules of {listener.id} were not collected, and a host or path may lead elsewhere than its default action ({listener.default.says})"
    return Unknown("ListenerRules", why, "UNKNOWN_RESOURCE")


def _to_targets(
    leg: Leg,
    balancer: Balancer,
    entry: Interface,
    where: str,
    forwards: Sequence[tuple[str, str]],
    lacking: Unknown | None,
    ask: Ask,
) -> None:
    network = leg.network
    named = {name: label for label, name in reversed(forwards)}  # the first action that leads to a group names it
    groups = [
        network.target_groups[name]
        for name in dict.fromkeys(name for _, name in forwards)
        if name in network.target_groups
    ]
    missing = [name for name in named if name not in network.target_groups]
    untold = [group for group in groups if group.targets is None]
    zone = network.subnets[entry.subnet].az if entry.subnet in network.subnets else ""
    tries = [
        Try(named[group.id], group, target, _to_target(leg, balancer, entry, group, target, zone, ask))
        for group in groups
        for target in group.targets or ()
    ]
    best = min(tries, key=lambda one: _BEST_FIRST.index(one.verdict.status), default=None)
    if best is None or not best.verdict.reachable:
        for name in missing:
            leg.lacks("TargetGroups", name)
        for group in untold:
            leg.lacks("LoadBalancerTargetHealth", group.id)
        if lacking:
            leg.unknowns.append(lacking)
    if best is None:
        if not (missing or untold or lacking):
            leg.block(balancer.id, "ELBV2_LISTENER_HAS_NO_TG", f"the target groups of {where} have no targets")
        return
    _shown(leg, balancer, entry, best, tries, doubt=bool(missing or untold or lacking))


def _shown(leg: Leg, balancer: Balancer, entry: Interface, best: Try, tries: Sequence[Try], *, doubt: bool) -> None:
    """The path to the best target. doubt: others may exist, so that what blocks these is no answer."""
    reached = sum(1 for one in tries if one.verdict.reachable)
    leg.notes.append(
        f"{reached} of {len(tries)} targets of {balancer.name} can be reached; the path to {best.target[0]} is shown ({best.by}). Health of targets is not modelled"
    )
    leg.hop(best.group.id, "target-group", name=best.group.name)
    leg.hops += [hop for hop in best.verdict.forward if hop.component not in (entry.id,)]
    leg.inner_back = best.verdict.back
    leg.unknowns += best.verdict.unknowns
    leg.notes += best.verdict.notes
    if doubt and best.verdict.blockers:
        leg.notes += [f"the way to {best.target[0]} is blocked: {one}" for one in best.verdict.blockers[:2]]
    else:
        leg.blockers += best.verdict.blockers


def _unknown(balancer: Balancer, name: str, what: str, why: str, code: str) -> Verdict:
    return Verdict("UNKNOWN", balancer.name, name, "tcp", unknowns=[Unknown(what, why, code)])


def _to_target(
    leg: Leg,
    balancer: Balancer,
    entry: Interface,
    group: TargetGroup,
    target: tuple[str, int, str],
    zone: str,
    ask: Ask,
) -> Verdict:
    """The second leg, from the load balancer's interface to one target."""
    network = leg.network
    name, port, target_zone = target
    if group.kind in ("lambda", "alb"):
        return _unknown(
            balancer, name, group.id, f"targets of type {group.kind} are not modelled", "UNSUPPORTED_COMPONENT"
        )
    try:
        end = find_end(network, name, "destination", group.vpc)
    except InputError:
        return _unknown(balancer, name, name, "this target is not in the snapshot", "UNKNOWN_RESOURCE")
    if end.missing:
        return Verdict("UNKNOWN", balancer.name, name, "tcp", unknowns=[end.missing])
    home = network.subnets.get(end.interface.subnet) if end.interface else None
    where = target_zone or (home.az if home else "")
    if problem := _zones(balancer, group, zone, where):
        return Verdict(problem[0], balancer.name, name, "tcp", blockers=problem[1], unknowns=problem[2])
    service = Service(leg.asked.boxes[0].protocol, (port, port), REMAPPED, leg.one_way)
    origin = End(balancer.name, "load-balancer", entry.id, interface=entry)
    if balancer.kind != "network":
        return ask(origin, end, service)
    if group.preserves is None:
        return _either_way(leg, group, _preserved(leg, origin, end, service), ask(origin, end, service))
    found = _preserved(leg, origin, end, service) if group.preserves else ask(origin, end, service)
    if not group.preserves_said:
        kept = "kept" if group.preserves else "not kept"
        found.notes.append(
            f"assumed: client addresses are {kept}, AWS's default for {group.kind} targets of {group.name}"
        )
    return found


def _either_way(leg: Leg, group: TargetGroup, kept: Verdict, replaced: Verdict) -> Verdict:
    """Whether client addresses are kept was not collected: the answer where it does not matter, else UNKNOWN."""
    if kept.status == replaced.status:
        kept.notes.append(
            f"whether {group.name} keeps client addresses was not collected; either way the answer is the same"
        )
        return kept
    why = f"whether {group.name} keeps client addresses: if so {kept.status}, else {replaced.status}"
    missing = Unknown("TargetGroupAttributes", why, "MISSING_TARGET_GROUP_ATTRIBUTES")
    return Verdict("UNKNOWN", kept.source, kept.destination, kept.protocol, kept.port, unknowns=[missing])


def _zones(
    balancer: Balancer, group: TargetGroup, zone: str, where: str
) -> tuple[str, list[Blocker], list[Unknown]] | None:
    """Without cross-zone load balancing only targets in the zone of entry are used."""
    cross = group.cross_zone if group.cross_zone is not None else balancer.cross_zone
    if cross is None and zone != where:
        return (
            "UNKNOWN",
            [],
            [Unknown("LoadBalancerAttributes", f"whether {balancer.name} balances across zones", "UNKNOWN_RESOURCE")],
        )
    if cross is False and where not in (zone, "all"):
        because = f"{balancer.name} came in by {zone} and does not balance across zones; this target is in {where}"
        return "NOT_REACHABLE", [Blocker(balancer.id, "", "ELB_NOT_CROSSZONE", None, because)], []
    return None


def _preserved(leg: Leg, origin: End, end: End, service: Service) -> Verdict:
    """To a target that sees the client's own address: filters are asked with it, routes with the load balancer's place."""
    one, entry = end.interface, origin.interface
    if one is None or entry is None or one.vpc != entry.vpc:
        why = "a target outside the VPC of a load balancer that keeps client addresses is not modelled"
        missing = Unknown(end.given, why, "UNSUPPORTED_COMPONENT")
        return Verdict("UNKNOWN", origin.given, end.given, "tcp", unknowns=[missing])
    clients = leg.asked.spans("source")
    value = end.address[1] if end.address else one.v6[0] if leg.family == 6 and one.v6 else one.pairs[0][0]
    box = leg.asked.boxes[0]
    boxes = tuple(Box(service.protocol, span, (value, value), box.source_port, service.port) for span in clients)
    packets = Packets(leg.family, boxes)
    there = Leg(leg.network, "forward", origin, end, packets, packets)
    if problem := _to_itself(leg, one, value):
        there.unknowns += problem.unknowns
        there.blockers += problem.blockers
    out_of(there, entry)
    if service.one_way:
        return verdict_of(there, None, replace(service, source_port=None))
    replies = there.asked.reply()
    back = Leg(leg.network, "return", end, origin, replies, there.live.reply(), ports_why=leg.ports_why)
    between(back, one, entry)
    return verdict_of(there, back, service)


def _to_itself(leg: Leg, target: Interface, value: int) -> Verdict | None:
    """A client that is its own target: source and destination would be one address, and the connection times out.

    NLB guide, troubleshooting ("Requests time out for connections from a target to its load balancer").
    """
    client = leg.home.interface
    if tuple(leg.asked.spans("source")) == ((value, value),):
        because = f"{target.id} would get packets from its own address, which it drops: with client addresses kept a target cannot reach itself"
        blocker = Blocker(target.id, "ingress", "ELBV2_SOURCE_ADDRESS_PRESERVATION", None, because)
        return Verdict("NOT_REACHABLE", "", "", "tcp", blockers=[blocker])
    if client and client.instance and client.instance == target.instance and not leg.translations:
        why = f"{client.instance} is client and target by two of its addresses; whether its system takes such packets is its own affair"
        return Verdict("UNKNOWN", "", "", "tcp", unknowns=[Unknown(client.instance, why, "UNSUPPORTED_COMPONENT")])
    return None
