"""Packets for records of a flow log: as many, and as many bytes, as the records count, with headers that are right.

A TCP connection gets its handshake, data with sequence numbers and acknowledgements that fit, and its end (RFC 9293); other
records become equal datagrams. Addresses, ports, counts and times are the records'; the rest is made up, the same every time.
"""

from __future__ import annotations

import ipaddress
import random
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

TCP, UDP, ICMP = 6, 17, 1
FIN, SYN, PSH, ACK = 1, 2, 8, 16
MSS = 1460
HEADERS = 40  # bytes: IPv4 and TCP without options
SECOND = 1_000_000_000  # ns
_INGRESS_TTL, _EGRESS_TTL = 63, 64


@dataclass(frozen=True)
class Way:
    """One direction of a conversation at an interface, as its flow-log record counts it: bytes are of IP packets."""

    egress: bool
    protocol: int
    source: str
    destination: str
    source_port: int
    destination_port: int
    packets: int
    bytes: int
    start: int  # s
    end: int  # s
    flags: int = 0

    def answers(self, other: Way) -> bool:
        """Whether it is the other direction of the same conversation."""
        mine = (self.source, self.source_port, self.destination, self.destination_port)
        theirs = (other.destination, other.destination_port, other.source, other.source_port)
        return mine == theirs and self.egress != other.egress and self.protocol == other.protocol


@dataclass(frozen=True)
class Packet:
    """One packet at the source interface: when (ns since 1970), which way, the IP packet itself."""

    time: int
    way: Way
    body: bytes = field(repr=False)


def expand(there: Way, back: Way | None = None) -> list[Packet]:
    """The packets of a conversation, in their order; `there` is the direction of who began it.

    Raises ValueError for records that no packets can have: fewer bytes than headers need, more than packets carry.
    """
    rng = random.Random(zlib.crc32(repr((there, back)).encode()))  # noqa: S311  (no secret, the same every time)
    if there.protocol == TCP and back is not None and there.flags & SYN and back.flags & SYN:
        return _connection(there, back, rng)
    ways = [there] if back is None else [there, back]
    return sorted((packet for way in ways for packet in _alone(way, rng)), key=lambda packet: packet.time)


# ------------------------------------------------------------------------------------------------------ connections


@dataclass
class _End:
    """One end of a connection while its packets are written."""

    way: Way
    next: int  # its next sequence number
    data: bytes
    sizes: list[int]  # payload bytes of the packets between SYN and FIN
    last: int  # payload bytes of the FIN
    ident: int
    sent: int = 0

    def take(self, size: int) -> bytes:
        """The next bytes of its stream."""
        self.sent += size
        return self.data[self.sent - size : self.sent]


def _connection(there: Way, back: Way, rng: random.Random) -> list[Packet]:
    loads = [_load(way) for way in (there, back)]
    needs = [-(-load // MSS) for load in loads]
    sizes = [_sizes(way, loads[k], needs[1 - k]) for k, way in enumerate((there, back))]
    words = _words(there, back, loads)
    client, server = (
        _End(way, rng.randrange(1, 2**31), words[k], sizes[k][0], sizes[k][1], rng.randrange(2**16))
        for k, way in enumerate((there, back))
    )
    made = [_segment(client, server, SYN), _segment(server, client, SYN | ACK)]
    for one, other, size in _turns(client, server):
        made.append(_segment(one, other, ACK | (PSH if size else 0), size))
    for one, other in ((server, client), (client, server)):
        made.append(_segment(one, other, FIN | ACK | (PSH if one.last else 0), one.last))
    times = _times(there, len(made), rng)
    return [Packet(time, way, body) for time, (way, body) in zip(times, made, strict=True)]


def _load(way: Way) -> int:
    """Payload bytes of a direction whose SYN has four bytes of options."""
    load = way.bytes - HEADERS * way.packets - 4
    if way.packets < 2 or not 0 <= load <= (way.packets - 1) * MSS:
        raise ValueError(f"{way.packets} packets of TCP cannot have {way.bytes} bytes")
    return load


def _sizes(way: Way, load: int, answered: int) -> tuple[list[int], int]:
    """Payload bytes of the packets between SYN and FIN, zero for those that only acknowledge, and of the FIN."""
    between = way.packets - 2
    last = max(0, load - between * MSS)
    load -= last
    carriers = min(between, load, max(-(-load // MSS), between - max(1, min(answered, between // 2))))
    even = [load // carriers + (k < load % carriers) for k in range(carriers)] if carriers else []
    return even + [0] * (between - carriers), last


def _turns(client: _End, server: _End) -> Iterator[tuple[_End, _End, int]]:
    """Who sends what, in order: the client acknowledges, asks, is answered; where both talk at length, in turn."""
    talk = min(len([size for size in end.sizes if size]) for end in (client, server)) > 8
    order: list[tuple[float, int, int]] = []
    for number, end in enumerate((client, server)):
        asks, acks = [size for size in end.sizes if size], end.sizes.count(0)
        first = 0.0 if talk or number == 0 else 0.2
        width = 0.9 if talk or number == 1 else 0.1
        order += [(first + width * (k + 0.5 + 0.1 * number) / len(asks), number, size) for k, size in enumerate(asks)]
        if acks and number == 0:
            order.append((-1.0, 0, 0))  # the third packet of the handshake
        spare = acks - (number == 0)
        room = 0.85 if talk or number == 0 else 0.05  # who answers acknowledges the question first
        order += [(0.15 + room * (k + 0.7) / spare, number, 0) for k in range(spare)]
    ends = (client, server)
    for _, number, size in sorted(order, key=lambda turn: turn[:2]):
        yield ends[number], ends[1 - number], size


def _times(way: Way, count: int, rng: random.Random) -> list[int]:
    """Rising times within the seconds that the record names: a handshake in a millisecond, the end at the end."""
    first = way.start * SECOND + rng.randrange(1_000_000, 300_000_000)
    last = way.end * SECOND + rng.randrange(700_000_000, 990_000_000)
    steps = np.cumsum([rng.uniform(0.2, 1.8) for _ in range(count - 3)])
    middle = first + 1_000_000 + steps / steps[-1] * (last - first - 1_000_000)
    return [first, first + 400_000, first + 900_000, *middle.astype(np.int64).tolist()]


def _segment(one: _End, other: _End, flags: int, size: int = 0) -> tuple[Way, bytes]:
    """One TCP segment of an end, which moves its sequence number on."""
    options = struct.pack("!BBH", 2, 4, MSS) if flags & SYN else b""
    acknowledged = other.next if flags & ACK else 0
    one.ident = (one.ident + 1) % 2**16
    window = 64240 if flags & SYN else 501 + one.ident % 13
    head = (one.way.source_port, one.way.destination_port, one.next, acknowledged, flags, window)
    body = tcp(one.way.source, one.way.destination, head, options, one.take(size))
    one.next = (one.next + size + bool(flags & (SYN | FIN))) % 2**32
    return one.way, ip(one.way, body, one.ident)


# ---------------------------------------------------------------------------------------------- everything else


def _alone(way: Way, rng: random.Random) -> Iterator[Packet]:
    """Packets of one direction that belong to no connection: SYNs sent again, datagrams, echoes."""
    start, ident = way.start * SECOND + rng.randrange(1_000_000, 300_000_000), rng.randrange(2**16)
    span = max(1, way.end - way.start) * SECOND - 310_000_000
    number = rng.randrange(1, 2**31)
    for k in range(way.packets):
        size = way.bytes // way.packets + (k < way.bytes % way.packets)
        yield Packet(start + span * k // way.packets, way, ip(way, _datagram(way, size - 20, k, number), ident + k))


def _datagram(way: Way, size: int, k: int, number: int) -> bytes:
    if way.protocol == TCP:
        options = min(40, (size - 20) // 4 * 4) if way.flags & SYN else 0
        fill = (struct.pack("!BBH", 2, 4, MSS) + b"\x01" * options)[:options]
        head = (way.source_port, way.destination_port, number, 0, way.flags or ACK, 64240)
        return tcp(way.source, way.destination, head, fill, bytes(size - 20 - options))
    if way.protocol == UDP:
        return udp(way, bytes(size - 8))
    if way.protocol == ICMP:
        kind = 8 if way.egress else 0
        body = struct.pack("!BBHHH", kind, 0, 0, number % 2**16, k) + bytes(size - 8)
        return body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    return bytes(size)


def lookup(own: str, resolver: str, name: str, answer: str, time: int) -> list[Packet]:
    """A question to a DNS server for the address of a name, and its answer 600 microseconds later (RFC 1035)."""
    number = zlib.crc32(f"{own}{name}{time}".encode())
    question = b"".join(struct.pack("B", len(one)) + one.encode() for one in name.split(".")) + b"\0" + struct.pack("!HH", 1, 1)  # fmt: skip
    record = struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + packed(answer)
    made = []
    for egress, flags, tail in ((True, 0x0100, b""), (False, 0x8180, record)):
        data = struct.pack("!HHHHHH", number % 2**16, flags, 1, bool(tail), 0, 0) + question + tail
        ends = (own, resolver, 32768 + number % 28000, 53) if egress else (resolver, own, 53, 32768 + number % 28000)
        way = Way(egress, UDP, *ends, 1, 28 + len(data), time // SECOND, time // SECOND)
        made.append(Packet(time + (0 if egress else 600_000), way, ip(way, udp(way, data), number % 2**16)))
    return made


# ---------------------------------------------------------------------------------------------------------- headers


def checksum(body: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = body + b"\0" if len(body) % 2 else body
    total = int(np.frombuffer(padded, ">u2").sum(dtype=np.int64))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _pseudo(source: str, destination: str, protocol: int, size: int) -> bytes:
    return packed(source) + packed(destination) + struct.pack("!BBH", 0, protocol, size)


def packed(address: str) -> bytes:
    """An IPv4 address as its four bytes."""
    return ipaddress.IPv4Address(address).packed


def tcp(source: str, destination: str, head: tuple[int, int, int, int, int, int], options: bytes, data: bytes) -> bytes:
    """A TCP segment with its checksum; head: ports, sequence and acknowledgement number, flags, window."""
    first, second, sequence, acknowledged, flags, window = head
    offset = (20 + len(options)) // 4 << 4
    body = struct.pack("!HHIIBBHHH", first, second, sequence, acknowledged, offset, flags, window, 0, 0) + options + data  # fmt: skip
    total = checksum(_pseudo(source, destination, TCP, len(body)) + body)
    return body[:16] + struct.pack("!H", total) + body[18:]


def udp(way: Way, data: bytes) -> bytes:
    """A UDP datagram with its checksum."""
    size = 8 + len(data)
    body = struct.pack("!HHHH", way.source_port, way.destination_port, size, 0) + data
    total = checksum(_pseudo(way.source, way.destination, UDP, size) + body) or 0xFFFF
    return body[:6] + struct.pack("!H", total) + body[8:]


def ip(way: Way, body: bytes, ident: int) -> bytes:
    """An IPv4 packet with its checksum, not to be fragmented."""
    ttl = _EGRESS_TTL if way.egress else _INGRESS_TTL
    return ipv4(way.source, way.destination, way.protocol, body, ident, ttl)


def ipv4(source: str, destination: str, protocol: int, body: bytes, ident: int, ttl: int = 64) -> bytes:
    """An IPv4 packet with its checksum, not to be fragmented."""
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), ident % 2**16, 0x4000, ttl, protocol, 0, packed(source), packed(destination))  # fmt: skip
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


# ----------------------------------------------------------------------------------------------------------- contents

_PAGES = ("/", "/cart", "/item/1207", "/item/88", "/checkout", "/search?q=lamp", "/api/stock", "/api/price")


def _words(there: Way, back: Way, loads: Sequence[int]) -> tuple[bytes, bytes]:
    """What the two ends say, so many bytes each: HTTP on the web's ports, what looks like ciphertext elsewhere."""
    seed = zlib.crc32(repr((there.source_port, there.start)).encode())
    if there.destination_port in (80, 8080):
        page = _PAGES[seed % len(_PAGES)]
        return (
            _filled(f"GET {page} HTTP/1.1\r\nHost: shop.example\r\nCookie: s=", b"x", "\r\n\r\n", loads[0]),
            _page(loads[1]),
        )
    noise = np.random.default_rng(seed).integers(0, 256, max(loads) + 1, np.uint8).tobytes()
    return noise[: loads[0]], noise[1 : loads[1] + 1]


def _filled(head: str, fill: bytes, tail: str, size: int) -> bytes:
    """Head, filling, tail, so many bytes in all; cut off where there is no room."""
    first, last = head.encode(), tail.encode()
    return (first + fill * (size - len(first) - len(last)) + last)[:size] if size > len(first) + len(last) else first[:size]  # fmt: skip


def _page(size: int) -> bytes:
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n"
    length = size - len(head.format(size))
    while length > 0 and len(head.format(length)) + length < size:
        length += 1
    return _filled(head.format(max(0, length)), b"shop ", "", size)[:size].ljust(size, b".")
