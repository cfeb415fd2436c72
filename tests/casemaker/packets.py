"""Packets of a traffic mirror: Ethernet in VXLAN in UDP, with the checksums that a host would write."""

from __future__ import annotations

import ipaddress
import struct

from .case import Case
from .world import Eni

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def _sum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip4(src: str, dst: str, proto: int, body: bytes, *, df: bool = True, ident: int = 1) -> bytes:
    a, b = ipaddress.ip_address(src).packed, ipaddress.ip_address(dst).packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), ident, 0x4000 if df else 0, 64, proto, 0) + a + b
    return head[:10] + struct.pack("!H", _sum(head)) + head[12:] + body


def tcp(
    src: str, dst: str, sport: int, dport: int, flags: int, seq: int, ack: int, data: bytes = b"", mss: int = 0
) -> bytes:
    option = struct.pack("!BBH", 2, 4, mss) if mss else b""
    head = (
        struct.pack("!HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, (20 + len(option)) << 2, flags, 26883, 0, 0)
        + option
    )
    pseudo = (
        ipaddress.ip_address(src).packed
        + ipaddress.ip_address(dst).packed
        + struct.pack("!BBH", 0, 6, len(head) + len(data))
    )
    check = _sum(pseudo + head + data)
    return ip4(src, dst, 6, head[:16] + struct.pack("!H", check) + head[18:] + data)


def udp(src: str, dst: str, sport: int, dport: int, data: bytes) -> bytes:
    return ip4(src, dst, 17, struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data, df=False)


def mirrored(case: Case, tap: Eni, t: float, packet: bytes, vni: int = 11) -> None:
    """Adds a packet that the interface sent or received to the case's capture."""
    macs = bytes.fromhex("0a0000000001") + bytes.fromhex("0a0000000002")
    inner = macs + b"\x08\x00" + packet
    body = struct.pack("!II", 0x08000000, vni << 8) + inner
    outer = udp(tap.ip, "10.250.0.10", 49152 + case.rng.randrange(9999), 4789, body)
    case.packets.append((t, macs + b"\x08\x00" + outer))


class Stream:
    """One TCP connection seen at an interface; a is the client."""

    def __init__(self, case: Case, tap: Eni, a: str, b: str, sport: int, dport: int, t: float, mss: int = 8961) -> None:
        self.case, self.tap, self.a, self.b, self.sport, self.dport, self.t, self.mss = (
            case,
            tap,
            a,
            b,
            sport,
            dport,
            t,
            mss,
        )
        self.seq = [case.rng.getrandbits(31), case.rng.getrandbits(31)]

    def send(
        self, side: int, flags: int, data: bytes = b"", *, after: float = 0.001, again: bool = False, mss: int = 0
    ) -> None:
        """A packet of the client (0) or the server (1); again repeats it without moving on."""
        self.t += after
        ends = (self.a, self.b, self.sport, self.dport) if side == 0 else (self.b, self.a, self.dport, self.sport)
        ack = self.seq[1 - side] if flags & ACK else 0
        mirrored(self.case, self.tap, self.t, tcp(*ends, flags, self.seq[side], ack, data, mss))
        if not again:
            self.seq[side] += len(data) + (1 if flags & (SYN | FIN) else 0)

    def open(self) -> None:
        self.send(0, SYN, mss=self.mss)
        self.send(1, SYN | ACK, mss=self.mss)
        self.send(0, ACK)

    def talk(self, ask: int = 360, answer: int = 900) -> None:
        self.send(0, PSH | ACK, b"q" * ask, after=0.01)
        self.send(1, PSH | ACK, b"a" * answer, after=0.01)
        self.send(0, ACK, after=0.01)

    def close(self) -> None:
        self.send(0, FIN | ACK, after=0.01)
        self.send(1, FIN | ACK)
        self.send(0, ACK)
