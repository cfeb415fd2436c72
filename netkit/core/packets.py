"""Sets of packets, exactly: unions of boxes over protocol, ports and addresses, as rules and routes speak of them. Pure.

A box holds one interval in each of five dimensions. In the port dimension an ICMP packet has type * 256 + code as its
destination port, so that a rule for a type and code is an interval too. The family (IPv4 or IPv6) is the caller's.
Idea: header space analysis (Kazemian, Varghese, McKeown, NSDI 2012), with intervals for wildcards.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from netkit.core.model import Header
from netkit.core.net import ICMP, ICMPV6, TCP, UDP, protocol_name

Span = tuple[int, int]  # first and last, both in
ANY_PROTOCOL: Span = (0, 255)
ANY_PORT: Span = (0, 65535)
ANY_ADDRESS: dict[int, Span] = {4: (0, 2**32 - 1), 6: (0, 2**128 - 1)}


class Box(NamedTuple):
    """One interval in each dimension; source_port is (0, 65535) where the protocol has none."""

    protocol: Span
    source: Span
    destination: Span
    source_port: Span
    port: Span


def meet(one: Span, other: Span) -> Span | None:
    """What two intervals share, or None."""
    low, high = max(one[0], other[0]), min(one[1], other[1])
    return (low, high) if low <= high else None


def _both(one: Box, other: Box) -> Box | None:
    spans = []
    for mine, theirs in zip(one, other, strict=True):
        low = mine[0] if mine[0] >= theirs[0] else theirs[0]
        high = mine[1] if mine[1] <= theirs[1] else theirs[1]
        if low > high:
            return None
        spans.append((low, high))
    return Box(*spans)


def _less(one: Box, hole: Box) -> Iterator[Box]:
    """The parts of a box outside a hole that lies within it."""
    rest = one
    for place, (outer, inner) in enumerate(zip(one, hole, strict=True)):
        if outer[0] < inner[0]:
            yield rest._replace(**{Box._fields[place]: (outer[0], inner[0] - 1)})
        if inner[1] < outer[1]:
            yield rest._replace(**{Box._fields[place]: (inner[1] + 1, outer[1])})
        rest = rest._replace(**{Box._fields[place]: inner})


@dataclass(frozen=True, slots=True)
class Packets:
    """A set of packets of one family (4 or 6): boxes that do not overlap."""

    family: int
    boxes: tuple[Box, ...]

    @classmethod
    def of(cls, family: int, boxes: Iterable[Box]) -> Packets:
        """The union of boxes that may overlap."""
        made = cls(family, ())
        for box in boxes:
            made = made | cls(family, (box,))
        return made

    def __bool__(self) -> bool:
        return bool(self.boxes)

    def __and__(self, other: Packets) -> Packets:
        both = (_both(mine, theirs) for mine in self.boxes for theirs in other.boxes)
        return Packets(self.family, tuple(box for box in both if box))

    def __sub__(self, other: Packets) -> Packets:
        rest = self.boxes
        for hole in other.boxes:
            left: list[Box] = []
            for box in rest:
                inner = _both(box, hole)
                left.extend((box,) if inner is None else _less(box, inner))
            rest = tuple(left)
        return Packets(self.family, rest)

    def __or__(self, other: Packets) -> Packets:
        return Packets(self.family, self.boxes + (other - self).boxes)

    def covers(self, other: Packets) -> bool:
        """Whether every packet of the other set is in this one."""
        return not other - self

    def within(self, **spans: Span) -> Packets:
        """Those packets whose named dimensions lie in the spans."""
        whole = Box(ANY_PROTOCOL, ANY_ADDRESS[self.family], ANY_ADDRESS[self.family], ANY_PORT, ANY_PORT)
        return self & Packets(self.family, (whole._replace(**spans),))

    def within_any(self, name: str, spans: Iterable[Span]) -> Packets:
        """Those packets of which one dimension lies in any of the spans."""
        return Packets.of(self.family, [box for span in spans for box in self.within(**{name: span}).boxes])

    def spans(self, name: str) -> tuple[Span, ...]:
        """The values of one dimension, as sorted intervals that do not touch."""
        return join(getattr(box, name) for box in self.boxes)

    def with_span(self, **spans: Span) -> Packets:
        """The packets rewritten to have these values: what address and port translation does."""
        return Packets.of(self.family, [box._replace(**spans) for box in self.boxes])

    def services(self) -> Packets:
        """What protocols and ports are in the set, whatever the addresses and source ports."""
        any_address = ANY_ADDRESS[self.family]
        return self.with_span(source=any_address, destination=any_address, source_port=ANY_PORT)

    def size(self, name: str) -> int:
        """How many values one dimension has."""
        return sum(high - low + 1 for low, high in self.spans(name))

    def reply(self) -> Packets:
        """The packets that answer these: ends swapped; for ICMP the echo reply of an echo request, else none.

        A box of every ICMP type and code keeps every one. RFC 792, RFC 4443.
        """
        return Packets.of(self.family, [answer for box in self.boxes for answer in _replies(box, self.family)])

    def header(self) -> Header:
        """The set as AWS writes headers: CIDR blocks and port ranges (the smallest box around it)."""
        return Header(
            ", ".join(protocol_text(span) for span in self.spans("protocol")),
            tuple(block for span in self.spans("source") for block in blocks(span, self.family)),
            tuple(block for span in self.spans("destination") for block in blocks(span, self.family)),
            tuple(port_text(span) for span in self.spans("source_port")) if self._ports() else (),
            tuple(port_text(span) for span in self.spans("port")) if self._ports() else (),
        )

    def _ports(self) -> bool:
        return self.boxes != () and all(box.protocol in ((TCP, TCP), (UDP, UDP)) for box in self.boxes)


_ECHO = {(ICMP, 4): (8, 0), (ICMPV6, 6): (128, 129)}


def _replies(box: Box, family: int) -> Iterator[Box]:
    for low, high in _apart(box.protocol):
        echo = _ECHO.get((low, family)) if low == high else None
        swapped = Box((low, high), box.destination, box.source, box.port, box.source_port)
        if low != high or low not in (ICMP, ICMPV6):
            yield swapped
        elif box.port == ANY_PORT:
            yield swapped._replace(source_port=ANY_PORT, port=ANY_PORT)
        elif echo and (asked := meet(box.port, (echo[0] * 256, echo[0] * 256 + 255))):
            shift = (echo[1] - echo[0]) * 256
            yield swapped._replace(source_port=ANY_PORT, port=(asked[0] + shift, asked[1] + shift))


def _apart(span: Span) -> list[Span]:
    """A protocol interval with ICMP and ICMPv6 set apart, since their ports mean something else."""
    parts, low = [], span[0]
    for number in (ICMP, ICMPV6):
        if low <= number <= span[1]:
            parts += [(low, number - 1)] if low < number else []
            parts.append((number, number))
            low = number + 1
    return parts + ([(low, span[1])] if low <= span[1] else [])


def join(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Intervals as a sorted union."""
    joined: list[Span] = []
    for low, high in sorted(spans):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(joined)


def outside(holes: Sequence[Span], whole: Span) -> tuple[Span, ...]:
    """The whole without the holes."""
    rest, low = [], whole[0]
    for first, last in join(holes):
        if first > low:
            rest.append((low, min(first - 1, whole[1])))
        low = max(low, last + 1)
    return (*rest, *([(low, whole[1])] if low <= whole[1] else []))


@lru_cache(maxsize=4096)
def blocks(span: Span, family: int) -> tuple[str, ...]:
    """An address interval as CIDR blocks, with their length, as AWS writes addresses."""
    kind = ipaddress.IPv4Address if family == 4 else ipaddress.IPv6Address
    return tuple(str(block) for block in ipaddress.summarize_address_range(kind(span[0]), kind(span[1])))


def port_text(span: Span) -> str:
    """A port interval as "443" or "1024-65535"."""
    return str(span[0]) if span[0] == span[1] else f"{span[0]}-{span[1]}"


def protocol_text(span: Span) -> str:
    """A protocol interval as tcp, all or 3-5."""
    if span == ANY_PROTOCOL:
        return "all"
    return protocol_name(span[0]) if span[0] == span[1] else f"{span[0]}-{span[1]}"


def service_text(protocol: Span, port: Span) -> str:
    """A protocol with its ports or ICMP type and code, for a sentence: tcp/443, icmp type 8 code 0, all."""
    name = protocol_text(protocol)
    if protocol[0] != protocol[1] or (protocol[0] in (TCP, UDP) and port == ANY_PORT):
        return f"{name} on every port" if protocol[0] == protocol[1] else f"{name} protocols"
    if protocol[0] in (TCP, UDP):
        return f"{name}/{port_text(port)}"
    if protocol[0] in (ICMP, ICMPV6) and port != ANY_PORT:
        return f"{name} {icmp_text(port)}"
    return name


def icmp_text(port: Span) -> str:
    """An interval of the port dimension as ICMP type and code."""
    kinds, codes = (port[0] >> 8, port[1] >> 8), (port[0] & 255, port[1] & 255)
    if kinds[0] != kinds[1]:
        return f"types {kinds[0]}-{kinds[1]}"
    return f"type {kinds[0]}" + ("" if codes == (0, 255) else f" code {port_text(codes)}")
