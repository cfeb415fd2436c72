"""Why can A not reach B: both directions, every blocker, from a snapshot. Pure.

The semantics are the VPC, peering, transit gateway, PrivateLink and load balancing guides', gathered in netkit's notes on AWS.
What is not modelled makes UNKNOWN, with its name; nothing is assumed open and nothing assumed closed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from netkit.core.errors import InputError
from netkit.core.model import Blocker, Hop, Verdict
from netkit.core.net import parse_address
from netkit.core.packets import Span, blocks, port_text, protocol_text
from netkit.reach.engine.course import BOTH_FAMILIES, course
from netkit.reach.engine.service import Service, service_of
from netkit.reach.network.ends import End, find_end, public_spans, which_vpc
from netkit.reach.network.network import Network, network_of
from netkit.reach.network.records import Interface, address_of
from netkit.reach.network.snapshot import Snapshot

_BEST_FIRST = ("REACHABLE", "UNKNOWN", "NOT_REACHABLE")


def trace(
    snapshot: Snapshot,
    *,
    source: str,
    destination: str,
    protocol: str | int = "tcp",
    port: int | str | None = None,
    source_port: int | str | None = None,
    icmp_type: int | None = None,
    icmp_code: int | None = None,
    vpc: str = "",
    one_way: bool = False,
    source_address: str = "",
) -> Verdict:
    """Whether packets get from source to destination and the replies back, and every reason why not.

    source, destination   an id, an IP address, "internet", a load balancer's ARN, or a Name tag. An instance is all of its
               interfaces, a load balancer or endpoint all of its zones': one that works is enough, and the notes say which do not
    protocol   tcp, udp, icmp, another name or number, or all: with all every protocol has to get through
    port       the destination port, or a range as "8000-8100", of which every port has to get through; None with tcp or udp asks
               for every port. ports() says which do
    source_port   the client's port or range; None asks for all that the client may use: 32768-60999 for a Linux instance,
               49152-65535 for a Windows one, else 1024-65535. Replies let through to only some of them make UNKNOWN; where the
               answer rests on the range, a note says it
    icmp_type, icmp_code   the message; without them a ping: an echo request and its reply
    vpc        the VPC that is meant where an address or name is in several: its id or Name, or an interface in it
    one_way    only the way there counts: for a sender that expects no answer, as copies of mirrored packets
    source_address   the address that the packets come from, where it is not the source's own first one: of a pod or container
               behind an interface, one of its other addresses, one address of the internet or beyond a gateway

    Raises InputError for an unknown id, for one that cannot be an end, an ambiguous name, a port out of range or beside a
    protocol that has none.
    """
    network = network_of(snapshot)
    service = service_of(protocol, port, source_port, icmp_type, icmp_code, one_way=one_way)
    vpc = which_vpc(network, vpc)
    start, goal = find_end(network, str(source), "source", vpc), find_end(network, str(destination), "destination", vpc)
    missing = [end.missing for end in (start, goal) if end.missing]
    if missing:
        return Verdict("UNKNOWN", str(source), str(destination), *service.words(), unknowns=missing)
    if source_address:
        start = _from_address(start, source_address)
    return _best(network, start, goal, service)


def _from_address(end: End, text: str) -> End:
    address = address_of(parse_address(text))
    if end.kind in BOTH_FAMILIES and not any(low <= address[1] <= high for low, high in public_spans(address[0])):
        raise InputError(
            f"{text} is no address of the internet",
            subject="source_address",
            hint="name the interface or gateway it comes from",
        )
    note = f"the packets come from {parse_address(text)}"
    return replace(end, address=address, notes=(*end.notes, note))


def _best(network: Network, source: End, destination: End, service: Service) -> Verdict:
    """The best answer of all interfaces that two ends stand for, with what becomes of the others."""
    froms, tos = _each(network, source, destination), _each(network, destination, source)
    found: list[tuple[End, End, Verdict]] = []
    for one, other in itertools.product(froms, tos):
        verdict = _asked(network, one, other, service)
        found.append((one, other, verdict))
        if verdict.reachable and destination.balancer is None and destination.kind != "vpc-endpoint":
            break
    one, other, best = min(found, key=lambda row: _BEST_FIRST.index(row[2].status))
    notes = [
        *_chosen(source, one, froms, best),
        *_chosen(destination, other, tos, best),
        *_conditions(network, other, found, best),
    ]
    best.notes[:0] = [*_by_name(source, destination), *notes]
    return best


def _each(network: Network, end: End, other: End) -> list[End]:
    """The interfaces that an end stands for: of an instance, primary first; of a load balancer or endpoint, the other end's zone first."""
    if end.kind not in ("instance", "load-balancer", "vpc-endpoint") or end.interface is None or len(end.choices) < 2:
        return [end]
    if end.address and (own := [one for one in end.choices if one.owns(end.address)]):
        return [replace(end, interface=one) for one in own]
    held = list(end.choices)
    if end.kind != "instance" and other.interface:
        held.sort(key=lambda one: _zone(network, one) != _zone(network, other.interface))
    return [replace(end, interface=one) for one in held]


def _zone(network: Network, one: Interface | None) -> str:
    held = network.subnets.get(one.subnet) if one else None
    return held.az if held else ""


def _by_name(source: End, destination: End) -> list[str]:
    """An internet-facing load balancer's name gives its public addresses, within its VPC too (ELB guide)."""
    held = destination.balancer
    if held is None or destination.kind != "load-balancer" or not held.internet_facing or source.interface is None:
        return []
    public = [
        blocks((out, out), 4)[0].removesuffix("/32")
        for one in destination.choices
        for _, out in one.pairs
        if out is not None
    ]
    if not public:
        return []
    return [
        f"assumed: {held.name} is asked by its private addresses; its name gives {', '.join(public)}, which take another way: ask for those too"
    ]


def _chosen(end: End, used: End, ways: Sequence[End], best: Verdict) -> list[str]:
    if end.kind != "instance" or len(ways) < 2 or used.interface is None:
        return []
    count = f"{end.given} has {len(ways)} interfaces"
    if best.reachable:
        return [f"{count}; the path is that of {used.interface.id}"]
    return [f"{count}, and none of them gets a better answer than {used.interface.id}, which is shown"]


def _conditions(network: Network, used: End, found: Sequence[tuple[End, End, Verdict]], best: Verdict) -> list[str]:
    """Of a load balancer or endpoint: in which zones its address does not work, though it does in another."""
    if not best.reachable or used.kind not in ("load-balancer", "vpc-endpoint"):
        return []
    worked = {other.interface.id for _, other, verdict in found if verdict.reachable and other.interface}
    told: dict[str, str] = {}
    for _, other, verdict in found:
        one = other.interface
        if one is None or one.id in worked or one.id in told:
            continue
        why = (
            verdict.blockers[0].because
            if verdict.blockers
            else str(verdict.unknowns[0])
            if verdict.unknowns
            else "it is not known"
        )
        addresses = ", ".join(
            blocks((value, value), 4)[0].removesuffix("/32")
            for pair in one.pairs
            for value in pair
            if value is not None
        )
        said = "does not work" if verdict.blockers else "may not work"
        told[one.id] = (
            f"only on condition: {used.given} in zone {_zone(network, one)} ({one.id}, {addresses}) {said}: {why}; who asks by that address or endpoint, or keeps it, does not get through"
        )
    return list(told.values())


def _asked(network: Network, source: End, destination: End, service: Service) -> Verdict:
    families = [family for family in _families(source) if family in _families(destination)]
    if not families:
        return _no_family(source, destination, service)
    first = course(network, source, destination, service, families[0])
    wide = source.kind in BOTH_FAMILIES or destination.kind in BOTH_FAMILIES
    if first.reachable or not wide or len(families) == 1:
        return first
    second = course(network, source, destination, service, families[1])
    return second if _BEST_FIRST.index(second.status) < _BEST_FIRST.index(first.status) else first


def _no_family(source: End, destination: End, service: Service) -> Verdict:
    because = f"{source.given} and {destination.given} have no address family in common (one has IPv4 only, the other IPv6 only)"
    at = destination.interface.id if destination.interface else destination.id or destination.given
    return Verdict(
        "NOT_REACHABLE",
        source.given,
        destination.given,
        *service.words(),
        blockers=[Blocker(at, "", "ENI_ADDRESS_RESTRICTION", None, because)],
    )


def _families(end: End) -> list[int]:
    """The families an end can speak, IPv4 first."""
    if end.address:
        return [end.address[0]]
    if end.interface:
        return [*([4] if end.interface.pairs else []), *([6] if end.interface.v6 else [])]
    return [6] if end.kind == "egress-only-internet-gateway" else [4, 6]


# --- which ports


@dataclass(frozen=True)
class Ports:
    """Which ports get through, as ranges of port numbers; the three together are every port that was asked for.

    because   for each range that does not get through or is not known, the first reason
    """

    source: str
    destination: str
    protocol: str
    reachable: tuple[Span, ...]
    not_reachable: tuple[Span, ...]
    unknown: tuple[Span, ...]
    because: tuple[tuple[Span, str], ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.source} to {self.destination}, {self.protocol}"]
        for word, spans in (
            ("REACHABLE", self.reachable),
            ("NOT_REACHABLE", self.not_reachable),
            ("UNKNOWN", self.unknown),
        ):
            lines.append(f"  {word}: {', '.join(map(port_text, spans)) or 'none'}")
        return "\n".join(lines + [f"  {port_text(span)}: {why}" for span, why in self.because])


def ports(
    snapshot: Snapshot,
    *,
    source: str,
    destination: str,
    protocol: str | int = "tcp",
    port: int | str | None = None,
    source_port: int | str | None = None,
    vpc: str = "",
    source_address: str = "",
) -> Ports:
    """Which ports get through at all, from source to destination: ranges by verdict, each as trace() answers for every port in it.

    protocol: tcp or udp; port: a range to look at, as "8000-8100", None for every port; the rest as in trace(), whose errors are
    raised too.
    """
    asked = service_of(protocol, port)
    if not asked.has_ports:
        raise InputError(f"{asked.words()[0]} has no ports", hint="ask for tcp or udp")
    network = network_of(snapshot)

    def ask(span: Span) -> Verdict:
        return trace(
            snapshot, source=source, destination=destination, protocol=protocol, port=f"{span[0]}-{span[1]}", source_port=source_port,
            vpc=vpc, source_address=source_address,
        )  # fmt: skip

    known: dict[Span, Verdict] = {asked.port: ask(asked.port)}
    while True:  # what is on the path may differ from port to port, as behind a load balancer
        edges = {edge for verdict in known.values() for edge in _edges(network, verdict, asked.protocol[0])}
        spans = _cut(asked.port, edges)
        if all(span in known for span in spans):
            break
        known = {span: known.get(span) or ask(span) for span in spans}
    return _ranges(source, destination, protocol_text(asked.protocol), known)


def _edges(network: Network, verdict: Verdict, protocol: int) -> Iterable[int]:
    """Where the ports of the rules on a path begin, and the first ones after they end."""
    hops: list[Hop] = [*verdict.forward, *verdict.back]
    held = {name for hop in hops for name in (hop.component, hop.attached_to)}
    groups = {name for one in held if one in network.interfaces for name in network.interfaces[one].groups}
    rules = [
        (rule.protocol, rule.port) for name in groups if name in network.groups for rule in network.groups[name].rules
    ]
    rules += [
        (entry.protocol, entry.port) for name in held if name in network.acls for entry in network.acls[name].entries
    ]
    spans = [port for numbers, port in rules if numbers[0] <= protocol <= numbers[1]]
    spans += [
        (one.port, one.port)
        for name in held
        if name in network.balancers
        for one in network.balancers[name].listeners or ()
    ]
    return [edge for low, high in spans for edge in (low, high + 1)]


def _cut(whole: Span, edges: Iterable[int]) -> list[Span]:
    starts = [whole[0], *sorted({edge for edge in edges if whole[0] < edge <= whole[1]})]
    return list(zip(starts, [*(edge - 1 for edge in starts[1:]), whole[1]], strict=True))


def _ranges(source: str, destination: str, protocol: str, known: dict[Span, Verdict]) -> Ports:
    joined: dict[str, list[Span]] = {status: [] for status in _BEST_FIRST}
    because: list[tuple[Span, str]] = []
    for (low, high), verdict in sorted(known.items()):
        held = joined[verdict.status]
        why = verdict.blockers[0].because if verdict.blockers else str(verdict.unknowns[0]) if verdict.unknowns else ""
        if held and held[-1][1] == low - 1:
            held[-1] = (held[-1][0], high)
        else:
            held.append((low, high))
        if why:
            because.append(((low, high), why))
    yes, maybe, no = (tuple(joined[status]) for status in _BEST_FIRST)
    return Ports(source, destination, protocol, yes, no, maybe, tuple(because))
