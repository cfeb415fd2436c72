"""Frames and capture files for tests, written byte by byte from the RFCs, so that nothing of netkit's is used to make them."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Sequence

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def ip(
    source: str, destination: str, protocol: int, body: bytes, *, fragment: int = 0, more: bool = False, ident: int = 7
) -> bytes:
    """An IPv4 (RFC 791) or IPv6 (RFC 8200) packet."""
    one, other = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    if one.version == 4:
        piece = fragment // 8 | (0x2000 if more else 0)
        return (
            struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), ident, piece, 64, protocol, 0)
            + one.packed
            + other.packed
            + body
        )
    if fragment or more:
        body = struct.pack(">BBHI", protocol, 0, fragment | more, ident) + body
        protocol = 44
    return struct.pack(">IHBB", 6 << 28, len(body), protocol, 64) + one.packed + other.packed + body


def tcp(
    source: str,
    source_port: int,
    destination: str,
    port: int,
    *,
    seq: int = 0,
    ack: int = 0,
    flags: int = ACK,
    size: int = 0,
) -> bytes:
    """An IP packet with a TCP segment of `size` bytes (RFC 9293)."""
    head = struct.pack(">HHIIBBHHH", source_port, port, seq % 2**32, ack % 2**32, 0x50, flags, 500, 0, 0)
    return ip(source, destination, 6, head + b"x" * size)


def udp(source: str, source_port: int, destination: str, port: int, body: bytes = b"") -> bytes:
    """An IP packet with a UDP datagram (RFC 768)."""
    return ip(source, destination, 17, struct.pack(">HHHH", source_port, port, 8 + len(body), 0) + body)


def ethernet(packet: bytes, *, kind: int | None = None, vlans: Iterable[int] = ()) -> bytes:
    """An Ethernet frame around an IP packet, with VLAN tags (IEEE 802.1Q) if wanted."""
    kind = kind if kind is not None else 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    tags = b"".join(struct.pack(">HH", 0x8100, vlan) for vlan in vlans)
    return bytes.fromhex("0242ac1100030242ac110002") + tags + struct.pack(">H", kind) + packet


def vxlan(
    inner: bytes,
    *,
    vni: int = 11,
    source: str = "10.0.0.5",
    target: str = "10.0.9.9",
    flags: int = 8,
    cut: int | None = None,
) -> bytes:
    """A VXLAN packet (RFC 7348) as a mirror sends it: outer IP, UDP 4789, the inner frame cut to `cut` bytes."""
    return udp(source, 55555, target, 4789, struct.pack(">II", flags << 24, vni << 8) + inner[:cut])


def sctp(source: str, source_port: int, destination: str, port: int, *, tag: int = 1, body: bytes = b"x" * 4) -> bytes:
    """An IP packet with an SCTP DATA chunk (RFC 9260, 3.1 and 3.3.1)."""
    chunk = struct.pack(">BBHIHHI", 0, 3, 16 + len(body), 1, 0, 0, 0) + body
    return ip(source, destination, 132, struct.pack(">HHII", source_port, port, tag, 0) + chunk)


def cooked(packet: bytes, *, vlans: Iterable[int] = (), version: int = 1) -> bytes:
    """A frame of Linux's "any" device around an IP packet (LINKTYPE_LINUX_SLL, _SLL2), with VLAN tags behind its header if wanted."""
    kind = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    kinds = [*(0x8100 for _ in vlans), kind]
    tags = b"".join(struct.pack(">HH", vlan, after) for vlan, after in zip(vlans, kinds[1:], strict=True))
    mac = bytes.fromhex("0242ac1100020000")
    head = struct.pack(">HHH", 0, 1, 6) + mac + struct.pack(">H", kinds[0])
    return (head if version == 1 else struct.pack(">HHIHBB", kinds[0], 0, 2, 1, 0, 6) + mac) + tags + packet


def geneve(
    inner: bytes, *, kind: int, vni: int = 0, options: bytes = b"", source: str = "10.0.0.5", target: str = "10.0.9.9"
) -> bytes:
    """A Geneve packet (RFC 8926)."""
    return udp(
        source, 55555, target, 6081, struct.pack(">BBHI", len(options) // 4, 0, kind, vni << 8) + options + inner
    )


def mirrored(*packets: bytes, **how: object) -> list[bytes]:
    """Outer frames of mirrored IP packets."""
    return [ethernet(vxlan(ethernet(one), **how)) for one in packets]  # type: ignore[arg-type]


def pcap(
    frames: Iterable[bytes],
    *,
    order: str = "<",
    nano: bool = False,
    start: float = 1_700_000_000,
    step: float = 0.001,
    snap: int = 262144,
    link: int = 1,
) -> bytes:
    """A pcap file."""
    unit = 1_000_000_000 if nano else 1_000_000
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link)]
    for number, frame in enumerate(frames):
        seconds, rest = divmod(round((start + number * step) * unit), unit)
        parts.append(struct.pack(order + "IIII", seconds, rest, min(len(frame), snap), len(frame)) + frame[:snap])
    return b"".join(parts)


def pcapng(
    frames: Iterable[bytes],
    *,
    order: str = "<",
    ticks: int = 6,
    links: tuple[int, ...] = (1,),
    start: float = 1_700_000_000,
    step: float = 0.001,
    dropped: int = 0,
    at: Sequence[int] = (),
) -> bytes:
    """A pcapng file with an interface for each link type; frames go to the first, or to those that `at` names. ticks: power of ten a second."""

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        size = struct.pack(order + "I", 12 + len(body))
        return struct.pack(order + "I", kind) + size + body + size

    resolution = struct.pack(order + "HHB3xHH", 9, 1, ticks, 0, 0)
    parts = [block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))]
    parts += [block(1, struct.pack(order + "HHI", link, 0, 0) + resolution) for link in links]
    for number, frame in enumerate(frames):
        when = round((start + number * step) * 10**ticks)
        parts.append(
            block(
                6,
                struct.pack(
                    order + "IIIII", at[number] if at else 0, when >> 32, when & 0xFFFFFFFF, len(frame), len(frame)
                )
                + frame,
            )
        )
    if dropped:
        parts.append(block(5, struct.pack(order + "III", 0, 0, 0) + struct.pack(order + "HHQHH", 5, 8, dropped, 0, 0)))
    return b"".join(parts)


def talk(
    client: str = "10.0.7.7",
    server: str = "10.0.0.5",
    port: int = 80,
    *,
    asks: int = 300,
    answers: int = 5000,
    client_port: int = 40000,
    mss: int = 1400,
) -> list[bytes]:
    """A whole TCP conversation: handshake, a request, an answer in segments, acknowledgements, both FINs."""

    def out(seq: int, ack: int, flags: int, size: int = 0) -> bytes:
        return tcp(
            client,
            client_port,
            server,
            port,
            seq=100 + seq,
            ack=900 + ack if flags & ACK else 0,
            flags=flags,
            size=size,
        )

    def back(seq: int, ack: int, flags: int, size: int = 0) -> bytes:
        return tcp(server, port, client, client_port, seq=900 + seq, ack=100 + ack, flags=flags, size=size)

    packets = [
        out(0, 0, SYN),
        back(0, 1, SYN | ACK),
        out(1, 1, ACK),
        out(1, 1, PSH | ACK, asks),
        back(1, 1 + asks, ACK),
    ]
    for at in range(0, answers, mss):
        size = min(mss, answers - at)
        packets += [back(1 + at, 1 + asks, PSH | ACK, size), out(1 + asks, 1 + at + size, ACK)]
    packets += [
        back(1 + answers, 1 + asks, FIN | ACK),
        out(1 + asks, 2 + answers, FIN | ACK),
        back(2 + answers, 2 + asks, ACK),
    ]
    return packets
