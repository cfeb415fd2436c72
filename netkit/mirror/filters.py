"""What a mirror copies: filters and their rules as an algebra of packets, sessions and targets as values. Pure.

Rules (Amazon VPC Traffic Mirroring, "Traffic mirror filters" and "Traffic mirror sessions"): lowest rule number first, the
first match decides, no match means not mirrored; every packet is mirrored once, by the session with the lowest number
whose filter takes it. Directions are those of the source interface: ingress is what comes to it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from netkit.core.errors import InputError
from netkit.core.net import TCP, UDP, parse_cidr, parse_port, protocol_name, protocol_number
from netkit.core.packets import ANY_ADDRESS, ANY_PORT, ANY_PROTOCOL, Box, Packets, Span, join

Direction = Literal["ingress", "egress"]
DIRECTIONS: tuple[Direction, ...] = ("ingress", "egress")
ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}

MOST_RULES = 10  # per filter; "Traffic Mirroring quotas and considerations"
RULE_NUMBERS: Span = (1, 32766)
SESSION_NUMBERS: Span = (1, 32766)
VNIS: Span = (1, 2**24 - 1)  # RFC 7348: 24 bits
PACKET_LENGTHS: Span = (1, 8500)  # bytes after the VXLAN header (EC2 API, CreateTrafficMirrorSession)
WHOLE_PACKETS = 65535  # what the seed writes for whole packets, which AWS does by leaving the length out

_PORTED = (TCP, UDP)


@dataclass(frozen=True)
class Rule:
    """One filter rule: the packets it names, in one direction, and whether they are copied.

    source and destination are CIDR blocks of one family; protocol None means every protocol; ports are (first, last) and
    only TCP and UDP have them. Raises InputError for anything that AWS would refuse.
    """

    direction: Direction
    number: int
    action: Literal["accept", "reject"]
    source: str
    destination: str
    protocol: int | None = None
    source_ports: Span | None = None
    destination_ports: Span | None = None
    description: str = field(default="", compare=False)
    id: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS or self.action not in ("accept", "reject"):
            raise InputError(
                f"{self.direction!r} {self.action!r} is no direction and action of a mirror rule",
                hint="directions are ingress and egress, actions accept and reject",
            )
        _in_span(self.number, RULE_NUMBERS, "rule number")
        source, destination = parse_cidr(self.source), parse_cidr(self.destination)
        if source.version != destination.version:
            raise InputError(
                f"rule {self.number} has one CIDR block of each family: {source} and {destination}",
                hint="make two rules, one for IPv4 and one for IPv6",
            )
        object.__setattr__(self, "source", str(source))
        object.__setattr__(self, "destination", str(destination))
        if self.protocol is not None:
            object.__setattr__(self, "protocol", protocol_number(self.protocol))
        if (self.source_ports or self.destination_ports) and self.protocol not in _PORTED:
            raise InputError(
                f"rule {self.number} names ports of {self.protocol_text}, which has none",
                hint="only tcp (6) and udp (17) rules take ports",
            )
        for ports in (self.source_ports, self.destination_ports):
            if ports and not 0 <= ports[0] <= ports[1] <= 65535:
                raise InputError(
                    f"rule {self.number} has the port range {ports[0]}-{ports[1]}", hint="as 80 or 8000-8080"
                )

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Rule:
        """The rule in a TrafficMirrorFilterRule of AWS's (EC2 API Reference)."""
        return cls(
            direction=record["TrafficDirection"],
            number=int(record["RuleNumber"]),
            action=record["RuleAction"],
            source=record.get("SourceCidrBlock") or _beside(record.get("DestinationCidrBlock")),
            destination=record.get("DestinationCidrBlock") or _beside(record.get("SourceCidrBlock")),
            protocol=int(record["Protocol"]) if record.get("Protocol") is not None else None,
            source_ports=_port_range(record.get("SourcePortRange")),
            destination_ports=_port_range(record.get("DestinationPortRange")),
            description=record.get("Description", ""),
            id=record.get("TrafficMirrorFilterRuleId", ""),
        )

    def request(self) -> dict[str, Any]:
        """The members of CreateTrafficMirrorFilterRule, without the filter's id."""
        request: dict[str, Any] = {
            "TrafficDirection": self.direction,
            "RuleNumber": self.number,
            "RuleAction": self.action,
            "SourceCidrBlock": self.source,
            "DestinationCidrBlock": self.destination,
        }
        if self.protocol is not None:
            request["Protocol"] = self.protocol
        for name, ports in (("SourcePortRange", self.source_ports), ("DestinationPortRange", self.destination_ports)):
            if ports:
                request[name] = {"FromPort": ports[0], "ToPort": ports[1]}
        return request | ({"Description": self.description} if self.description else {})

    @property
    def family(self) -> int:
        """4 or 6."""
        return parse_cidr(self.source).version

    @property
    def protocol_text(self) -> str:
        """The protocol's name, or "all"."""
        return "all" if self.protocol is None else protocol_name(self.protocol)

    def packets(self) -> Packets:
        """The set of packets that the rule names, whatever lower numbers say."""
        protocol = ANY_PROTOCOL if self.protocol is None else (self.protocol, self.protocol)
        box = Box(
            protocol, _bounds(self.source), _bounds(self.destination), self.source_ports or ANY_PORT, self.destination_ports or ANY_PORT
        )  # fmt: skip
        return Packets(self.family, (box,))

    def takes(
        self, protocol: int, source: str, destination: str, source_port: int | None, destination_port: int | None
    ) -> bool:
        """Whether the rule names a packet. A rule with ports does not name a packet without (a later fragment)."""
        return (
            (self.protocol is None or self.protocol == protocol)
            and ipaddress.ip_address(source) in parse_cidr(self.source)
            and ipaddress.ip_address(destination) in parse_cidr(self.destination)
            and _has(self.source_ports, source_port)
            and _has(self.destination_ports, destination_port)
        )

    def __str__(self) -> str:
        def end(block: str, ports: Span | None) -> str:
            return block if ports is None else f"{block} port {_ports_text(ports)}"

        return (
            f"{self.direction} {self.number} {self.action} {self.protocol_text} "
            f"{end(self.source, self.source_ports)} -> {end(self.destination, self.destination_ports)}"
        )


@dataclass(frozen=True)
class MirrorFilter:
    """Rules in both directions, and whether packets to and from Amazon's DNS are copied as well.

    written is False where nobody wrote it: it takes every packet, and nothing is said of its rules. Raises InputError for an eleventh rule and for a number used twice in one direction.
    """

    rules: tuple[Rule, ...]
    id: str = ""
    network_services: tuple[str, ...] = ()
    description: str = ""
    name: str = ""
    written: bool = True

    def __post_init__(self) -> None:
        if len(self.rules) > MOST_RULES:
            raise InputError(
                f"the filter has {len(self.rules)} rules, and AWS takes {MOST_RULES}",
                subject=self.id,
                hint="join ports into ranges and blocks into larger ones, or use a second session",
            )
        used = [(rule.direction, rule.number) for rule in self.rules]
        twice = sorted({one for one in used if used.count(one) > 1})
        if twice:
            raise InputError(f"{twice[0][0]} rule number {twice[0][1]} is used twice", subject=self.id, hint="number each rule once per direction")  # fmt: skip

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> MirrorFilter:
        """The filter in a TrafficMirrorFilter of AWS's, its rules in the order in which they are tried."""
        rules = [Rule.of(one) for key in ("IngressFilterRules", "EgressFilterRules") for one in record.get(key, ())]
        return cls(
            tuple(sorted(rules, key=lambda rule: (DIRECTIONS.index(rule.direction), rule.number))),
            id=record.get("TrafficMirrorFilterId", ""),
            network_services=tuple(record.get("NetworkServices", ())),
            description=record.get("Description", ""),
            name=_name_tag(record),
        )

    def of_direction(self, direction: Direction) -> tuple[Rule, ...]:
        """The rules of one direction, lowest number first."""
        return tuple(sorted((rule for rule in self.rules if rule.direction == direction), key=lambda rule: rule.number))

    def first(
        self, direction: Direction, protocol: int, source: str, destination: str, source_port: int | None, destination_port: int | None
    ) -> Rule | None:  # fmt: skip
        """The rule that decides about a packet, or None: no rule names it, so it is not copied."""
        rules = self.of_direction(direction)
        return next((rule for rule in rules if rule.takes(protocol, source, destination, source_port, destination_port)), None)  # fmt: skip

    def taken(self, direction: Direction, family: int) -> list[tuple[Rule, Packets]]:
        """Each rule of one direction and family with the packets that it decides: none for a rule that never gets to speak."""
        left = Packets.of(family, [_everything(family)])
        decided = []
        for rule in self.of_direction(direction):
            if rule.family == family:
                decided.append((rule, left & rule.packets()))
                left = left - rule.packets()
        return decided

    def accepted(self, direction: Direction, family: int) -> Packets:
        """The packets that the filter copies in one direction."""
        boxes = [
            box for rule, packets in self.taken(direction, family) if rule.action == "accept" for box in packets.boxes
        ]
        return Packets(family, tuple(boxes))


@dataclass(frozen=True)
class MirrorSession:
    """One session: copies of the packets of an interface that a filter takes go to a target, under a number and a VNI.

    packet_length is in bytes of the inner frame, None for whole packets; vni None lets AWS choose. Raises InputError for a
    number, VNI or packet length out of range; 65535 stands for whole packets, as the guide has it.
    """

    interface: str
    target: str
    filter: str
    number: int
    packet_length: int | None = None
    vni: int | None = None
    id: str = ""
    name: str = ""
    description: str = ""
    owner: str = ""

    def __post_init__(self) -> None:
        _in_span(self.number, SESSION_NUMBERS, "session number")
        if self.packet_length == WHOLE_PACKETS:
            object.__setattr__(self, "packet_length", None)
        if self.packet_length is not None:
            _in_span(self.packet_length, PACKET_LENGTHS, "packet length", "leave it out for whole packets")
        if self.vni is not None:
            _in_span(self.vni, VNIS, "VNI", "it has 24 bits (RFC 7348)")

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> MirrorSession:
        """The session in a TrafficMirrorSession of AWS's."""
        return cls(
            interface=record.get("NetworkInterfaceId", ""),
            target=record.get("TrafficMirrorTargetId", ""),
            filter=record.get("TrafficMirrorFilterId", ""),
            number=int(record.get("SessionNumber", 1)),
            packet_length=record.get("PacketLength"),
            vni=record.get("VirtualNetworkId"),
            id=record.get("TrafficMirrorSessionId", ""),
            name=_name_tag(record),
            description=record.get("Description", ""),
            owner=record.get("OwnerId", ""),
        )


@dataclass(frozen=True)
class MirrorTarget:
    """Where copies go: an interface, a Network Load Balancer (its ARN) or a Gateway Load Balancer endpoint."""

    id: str
    kind: Literal["network-interface", "network-load-balancer", "gateway-load-balancer-endpoint"]
    resource: str
    description: str = ""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> MirrorTarget:
        """The target in a TrafficMirrorTarget of AWS's."""
        resource = next(
            (record[key] for key in ("NetworkInterfaceId", "NetworkLoadBalancerArn", "GatewayLoadBalancerEndpointId") if record.get(key)), ""
        )  # fmt: skip
        return cls(record.get("TrafficMirrorTargetId", ""), record["Type"], resource, record.get("Description", ""))


# ----------------------------------------------------------------------------------------------------- who takes what


@dataclass(frozen=True)
class Stolen:
    """Packets that a session does not get because a session with a lower number takes them first."""

    by: MirrorSession
    direction: Direction
    packets: Packets

    def __str__(self) -> str:
        return f"session {self.by.number}{f' ({self.by.id})' if self.by.id else ''} takes {self.direction} {self.packets.header()}"


def stolen(
    session: MirrorSession, mirror: MirrorFilter, others: Iterable[tuple[MirrorSession, MirrorFilter]]
) -> list[Stolen]:
    """Which packets that a session's filter takes go to other sessions of the same interface, exactly.

    Every packet is mirrored once, by the lowest session number whose filter takes it ("Traffic mirror sessions").
    """
    before = sorted(
        (pair for pair in others if pair[0].interface == session.interface and pair[0].number < session.number),
        key=lambda pair: pair[0].number,
    )
    found = []
    for direction in DIRECTIONS:
        for family in (4, 6):
            left = mirror.accepted(direction, family)
            for other, theirs in before:
                shared = left & theirs.accepted(direction, family)
                if shared:
                    found.append(Stolen(other, direction, shared))
                left = left - shared
    return found


# -------------------------------------------------------------------------------------------- a filter from a few words

_LINE = re.compile(r"^(?:(?P<name>[A-Za-z][\w-]*):\s+)?(?P<words>.+)$")


@dataclass(frozen=True)
class _Wish:
    """One line of a short description: what a person wants to see, before it is rules."""

    name: str
    action: Literal["accept", "reject"]
    protocol: int | None
    ports: tuple[Span, ...]
    peers: tuple[str, ...]
    calls: bool


def parse_filter(lines: str | Sequence[str], *, name: str = "", id: str = "") -> MirrorFilter:
    """A filter from a short description, a line each (or ";" between them), with rules for requests and for replies.

        web: tcp 80,443               the source serves: what comes to these ports, and what they answer
        calls: tcp 443 to 10.0.0.0/8  the source is the client: what it sends there, and what comes back
        reject tcp 22                 not these, whatever later lines say
        icmp from 10.0.0.0/16         a protocol by name or number, or "all"; peers after "from" or "to", comma between
        all from ::/0                 IPv6; "any" stands for both families
        dns: amazon-dns               the packets to and from Amazon's DNS server

    Lines are numbered in their order, 100 apart. Raises InputError with the line that is wrong, and for an eleventh rule.
    """
    texts = lines.replace(";", "\n").splitlines() if isinstance(lines, str) else list(lines)
    wishes, services = [], []
    for text in (one.strip() for one in texts):
        if not text or text.startswith("#"):
            continue
        if _wants_dns(text):
            services.append("amazon-dns")
        else:
            wishes.append(_wish(text))
    if not wishes and not services:
        raise InputError("the filter description is empty, so nothing would be mirrored", hint='as "web: tcp 80,443"')
    return MirrorFilter(tuple(_numbered(wishes)), id=id, network_services=tuple(dict.fromkeys(services)), name=name)


def any_packet() -> MirrorFilter:
    """What is asked of a capture whose filter nobody named: every packet in both directions."""
    return replace(parse_filter("all from any"), written=False)


def _wants_dns(text: str) -> bool:
    match = _LINE.match(text)
    return bool(match and match["words"].strip().lower() == "amazon-dns")


def _wish(text: str) -> _Wish:
    match = _LINE.match(text)
    if match is None:
        raise _unread(text)
    words = re.sub(r"\s*,\s*", ",", match["words"]).split()
    action: Literal["accept", "reject"] = "accept"
    if words and words[0].lower() in ("accept", "reject"):
        action = cast(Literal["accept", "reject"], words.pop(0).lower())
    peers: tuple[str, ...] = (ANYWHERE[4],)
    calls = False
    if len(words) >= 2 and words[-2].lower() in ("from", "to"):
        calls = words[-2].lower() == "to"
        peers = tuple(block for one in words[-1].split(",") for block in _peer(one))
        words = words[:-2]
    if not 1 <= len(words) <= 2:
        raise _unread(text)
    protocol = None if words[0].lower() in ("all", "any") else protocol_number(words[0])
    ports = _ports(words[1]) if len(words) == 2 else ()
    if ports and protocol not in _PORTED:
        raise InputError(f"{text!r} names ports, and only tcp and udp have them", hint='as "tcp 80,443"')
    return _Wish((match["name"] or "").strip(), action, protocol, ports, peers, calls)


def _unread(text: str) -> InputError:
    return InputError(
        f"{text!r} is not a line of a mirror filter",
        hint='as "web: tcp 80,443", "calls: udp 53 to 10.0.0.0/8", "reject tcp 22", "icmp" or "amazon-dns"',
    )


def _peer(text: str) -> tuple[str, ...]:
    if text.lower() in ("any", "anywhere"):
        return (ANYWHERE[4], ANYWHERE[6])
    return (str(parse_cidr(text)),)


def _ports(text: str) -> tuple[Span, ...]:
    spans = []
    for one in text.split(","):
        first, _, last = one.partition("-")
        low, high = parse_port(first), parse_port(last or first)
        if low > high:
            raise InputError(f"the port range {one!r} is reversed", hint=f"write {high}-{low}")
        spans.append((low, high))
    return join(spans)


def _numbered(wishes: Iterable[_Wish]) -> Iterator[Rule]:
    number = dict.fromkeys(DIRECTIONS, 0)
    for wish in wishes:
        for peer in wish.peers:
            for ports in wish.ports or (None,):
                for rule in _both_ways(wish, peer, ports):
                    number[rule.direction] += 100
                    yield replace(rule, number=number[rule.direction])


def _both_ways(wish: _Wish, peer: str, ports: Span | None) -> tuple[Rule, Rule]:
    anywhere = ANYWHERE[parse_cidr(peer).version]
    to_peer, from_peer = (anywhere, peer), (peer, anywhere)
    there: Direction = "egress" if wish.calls else "ingress"
    back: Direction = "ingress" if wish.calls else "egress"
    asked, answered = (to_peer, from_peer) if wish.calls else (from_peer, to_peer)
    return (
        Rule(there, 1, wish.action, *asked, wish.protocol, destination_ports=ports, description=wish.name),
        Rule(back, 1, wish.action, *answered, wish.protocol, source_ports=ports, description=f"{wish.name} replies".strip()),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ small things


def _everything(family: int) -> Box:
    return Box(ANY_PROTOCOL, ANY_ADDRESS[family], ANY_ADDRESS[family], ANY_PORT, ANY_PORT)


def _bounds(block: str) -> Span:
    network = parse_cidr(block)
    return int(network.network_address), int(network.broadcast_address)


def _beside(block: str | None) -> str:
    """Everywhere, in the family of the other block: what the guide's one-sided commands mean."""
    return ANYWHERE[parse_cidr(block).version if block else 4]


def _has(ports: Span | None, port: int | None) -> bool:
    return ports is None or (port is not None and ports[0] <= port <= ports[1])


def _port_range(given: Mapping[str, Any] | None) -> Span | None:
    return None if not given else (int(given["FromPort"]), int(given.get("ToPort", given["FromPort"])))


def _ports_text(ports: Span) -> str:
    return str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"


def _in_span(value: int, span: Span, what: str, hint: str = "") -> None:
    if not span[0] <= value <= span[1]:
        raise InputError(f"{what} {value} is out of range", hint=f"{span[0]} to {span[1]}{f'; {hint}' if hint else ''}")


def _name_tag(record: Mapping[str, Any]) -> str:
    return next((tag["Value"] for tag in record.get("Tags", ()) if tag["Key"] == "Name"), "")
