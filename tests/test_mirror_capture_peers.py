"""Captures beside what others say of them: real captures beside tshark, and packets that dpkt built beside what went in."""

from __future__ import annotations

import json
import shutil
import socket
import struct
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dpkt import ethernet, icmp, icmp6, ip, ip6, pcap, tcp, udp
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.mirror import PEERS, measure
from bench.mirror_input import write
from netkit.mirror import Capture, read_capture

ROOT = Path(__file__).parents[1]
CAPTURES = ROOT.parent / "shared" / "data" / "captures"
EXPECTED = CAPTURES / "expected_inner_flows.json"
TCP, UDP, SCTP, ICMP, ICMPV6, FRAGMENT = 6, 17, 132, 1, 58, 44

# vni, protocol, source, source port, destination, destination port: one direction
Flow = tuple[int, int, str, int, str, int]
needs_captures = pytest.mark.skipif(not CAPTURES.is_dir(), reason="../shared/data/captures is not here")
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def directions(capture: Capture) -> dict[Flow, tuple[int, int]]:
    """Packets and bytes of each direction that had any."""
    found = {}
    for one in capture.conversations.astype(object).fillna(0).itertuples():
        there = (one.vni, one.protocol, one.source, one.source_port, one.destination, one.destination_port)
        back = (one.vni, one.protocol, one.destination, one.destination_port, one.source, one.source_port)
        found |= {there: (one.packets, one.bytes)} if one.packets else {}
        found |= {back: (one.packets_back, one.bytes_back)} if one.packets_back else {}
    return found


# ----------------------------------------------------------------------------------------------------- beside tshark


def told_by_tshark(path: Path) -> tuple[int, dict[Flow, tuple[int, int]]]:
    """The frames, and packets and bytes of each inner direction, from tshark's own fields."""
    names = (
        "frame.protocols", "vxlan.vni", "geneve.vni", "ip.src", "ip.dst", "ip.proto", "ip.len", "ipv6.src", "ipv6.dst", "ipv6.nxt", "ipv6.plen",
        "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "sctp.srcport", "sctp.dstport",
    )  # fmt: skip
    order = ["tshark", "-n", "-r", str(path), "-T", "fields", *(word for name in names for word in ("-e", name))]
    lines = subprocess.run(order, check=True, capture_output=True, text=True).stdout.splitlines()
    packets: Counter[Flow] = Counter()
    size: Counter[Flow] = Counter()
    for line in lines:
        row = {name: text.split(",") for name, text in zip(names, line.split("\t"), strict=True)}
        layers = row["frame.protocols"][0].split(":")
        tunnel = max((at for at, layer in enumerate(layers) if layer in ("vxlan", "geneve")), default=len(layers))
        outer, inner = layers[:tunnel], [layer for layer in layers[tunnel:] if layer in ("ip", "ipv6")]
        if not inner:
            continue
        family = inner[0]
        at = outer.count(family)  # the outer headers come first in every field
        protocol = int(row["ip.proto" if family == "ip" else "ipv6.nxt"][at])
        layer = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}.get(protocol, "")
        ports = [int(row[f"{layer}.{side}port"][outer.count(layer)]) if layer else 0 for side in ("src", "dst")]
        total = int(row["ip.len"][at]) if family == "ip" else int(row["ipv6.plen"][at]) + 40
        vni = int(row["vxlan.vni" if layers[tunnel] == "vxlan" else "geneve.vni"][-1], 0)
        flow = (vni, protocol, row[f"{family}.src"][at], ports[0], row[f"{family}.dst"][at], ports[1])
        packets[flow] += 1
        size[flow] += total
    return len(lines), {flow: (packets[flow], size[flow]) for flow in packets}


@needs_captures
@needs_tshark
@pytest.mark.parametrize("name", sorted(path.name for path in CAPTURES.glob("*.pcap")))
def test_real_captures_are_read_as_tshark_reads_them(name: str) -> None:
    capture = read_capture(CAPTURES / name)
    frames, flows = told_by_tshark(CAPTURES / name)
    assert capture.count("frames") == frames > 0
    assert directions(capture) == flows
    assert capture.count("in_conversations") == sum(packets for packets, _ in flows.values())
    assert not capture.warnings


@needs_captures
@pytest.mark.parametrize("at", range(3))
def test_the_recorded_answers(at: int) -> None:
    known = json.loads(EXPECTED.read_text("utf-8"))[at]
    capture = read_capture(CAPTURES / known["pcap"])
    names = ("vni", "proto", "src", "sport", "dst", "dport")
    assert {flow: packets for flow, (packets, _) in directions(capture).items()} == {
        tuple(one[name] for name in names): one["packets"] for one in known["inner_flows"]
    }
    assert capture.count("frames") == known["frames"]
    assert capture.count("frames") - capture.count("in_conversations") == known["frames_without_inner_ip"]
    outer = set(zip(capture.conversations["outer_source"], capture.conversations["outer_target"], strict=True))
    assert outer <= {(one["src"], one["dst"]) for one in known["outer_flows"]}


@needs_tshark
def test_all_peers_of_the_bench_count_the_same(tmp_path: Path) -> None:
    """What `python -m bench --only mirror` compares is one answer, to the packet and byte of every conversation."""
    write(tmp_path / "some.pcap", 2_000)
    answers = {name: measure(name, tmp_path / "some.pcap") for name in PEERS if name != "scapy"}
    assert {answer["packets"] for answer in answers.values()} == {2_000}
    assert len({answer["digest"] for answer in answers.values()}) == 1
    assert answers["netkit"]["conversations"] > 8


# ------------------------------------------------------------------------------------------------------- beside dpkt


@dataclass
class Sent:
    """Some inner packets of one datagram or segment, as bytes of Ethernet, and what should be said of them."""

    flow: Flow
    frames: list[bytes] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    flags: int = 0
    tags: int = 0
    ident: int = 0

    @property
    def pieces(self) -> int:
        """Fragments among them."""
        return len(self.frames) if len(self.frames) > 1 else 0


HOSTS = {4: ("10.0.0.1", "10.0.0.2", "192.168.7.7"), 6: ("2001:db8::1", "2001:db8::2", "fd00::7:7")}
PORTS = st.sampled_from((80, 443, 53, 40_000, 65_535, 1))


@st.composite
def sent(draw: st.DrawFn) -> Sent:
    """A packet of any kind, or the fragments of one, in order."""
    family = draw(st.sampled_from((4, 6)))
    protocol = draw(st.sampled_from((TCP, UDP, ICMP if family == 4 else ICMPV6, 47, SCTP)))
    source, destination = draw(st.permutations(HOSTS[family]))[:2]
    ports = (draw(PORTS), draw(PORTS)) if protocol in (TCP, UDP, SCTP) else (0, 0)
    flags = draw(st.integers(0, 63)) if protocol == TCP else 0
    body = _upper(protocol, ports, flags, b"x" * draw(st.integers(0, 300)))
    one = Sent(
        (draw(st.sampled_from((1, 77, 2**24 - 1))), protocol, source, ports[0], destination, ports[1]), flags=flags
    )
    one.tags, one.ident = draw(st.integers(0, 2)), draw(st.integers(1, 2**16 - 1))
    size = draw(st.sampled_from((len(body), 24, 64))) if protocol in (TCP, UDP) else len(body)
    options = b"\1" * 4 * draw(st.integers(0, 10))  # IPv4: "no operation" (RFC 791, 3.1)
    extensions = draw(st.lists(st.sampled_from((0, 43, 60)), max_size=3))
    pieces = [(at, body[at : at + size], at + size < len(body)) for at in range(0, max(len(body), 1), size or 1)]
    for at, piece, more in pieces:
        packet = (
            _ipv4(one, at, piece, more, options)
            if family == 4
            else _ipv6(one, at, piece, more, len(pieces) > 1, extensions)
        )
        one.frames.append(_ethernet(packet, family, one.tags))
        one.sizes.append(len(packet))
    return one


def _upper(protocol: int, ports: tuple[int, int], flags: int, data: bytes) -> bytes:
    if protocol == TCP:
        return bytes(tcp.TCP(sport=ports[0], dport=ports[1], flags=flags, seq=7, ack=9, data=data))
    if protocol == UDP:
        return bytes(udp.UDP(sport=ports[0], dport=ports[1], ulen=8 + len(data), data=data))
    if protocol in (ICMP, ICMPV6):
        return bytes((icmp.ICMP if protocol == ICMP else icmp6.ICMP6)(type=8, data=b"\0\1\0\1" + data))
    return struct.pack(">HH4x", *ports) + data  # SCTP: ports, tag (RFC 9260, 3.1); of another protocol zeros


def _ipv4(one: Sent, at: int, piece: bytes, more: bool, options: bytes) -> bytes:
    packet = ip.IP(p=one.flow[1], src=socket.inet_aton(one.flow[2]), dst=socket.inet_aton(one.flow[4]), id=one.ident, data=piece)  # fmt: skip
    packet.opts, packet.hl = options, 5 + len(options) // 4
    packet._flags_offset = (more << 13) | at // 8
    packet.len = len(packet)
    return bytes(packet)


def _ipv6(one: Sent, at: int, piece: bytes, more: bool, fragmented: bool, extensions: list[int]) -> bytes:
    """Extension headers by RFC 8200, 4: each names the next; lengths are in 8 bytes beyond the first 8."""
    kinds = [*extensions, *([FRAGMENT] if fragmented else []), one.flow[1]]
    chain = b""
    for place, kind in enumerate(kinds[:-1]):
        following = kinds[place + 1]
        if kind == FRAGMENT:
            chain += struct.pack(">BBHI", following, 0, at | more, one.ident)
        else:
            chain += struct.pack(">BB6x", following, place) + b"\0" * 8 * place
    ends = {"src": socket.inet_pton(socket.AF_INET6, one.flow[2]), "dst": socket.inet_pton(socket.AF_INET6, one.flow[4])}  # fmt: skip
    packet = ip6.IP6(nxt=kinds[0], plen=len(chain) + len(piece), hlim=64, **ends)
    packet.data, packet.extension_hdrs, packet.all_extension_headers = chain + piece, {}, []
    return bytes(packet)[:40] + chain + piece


def _ethernet(packet: bytes, family: int, tags: int) -> bytes:
    kind = ethernet.ETH_TYPE_IP if family == 4 else ethernet.ETH_TYPE_IP6
    head = bytes(ethernet.Ethernet(src=b"\2\0\0\0\0\1", dst=b"\2\0\0\0\0\2", type=kind, data=b""))[:14]
    tagged = b"".join(struct.pack(">HH", 0x88A8 if tags == 2 and at == 0 else 0x8100, 100 + at) for at in range(tags))
    return head[:12] + tagged + head[12:] + packet


def _enveloped(frame: bytes, vni: int, six: bool) -> bytes:
    """In VXLAN (RFC 7348, 5), by dpkt's UDP, IP and Ethernet."""
    datagram = udp.UDP(sport=50_000, dport=4789, data=struct.pack(">II", 0x08000000, vni << 8) + frame)
    datagram.ulen = len(datagram)
    outer = ip6.IP6(nxt=UDP, plen=len(datagram), src=b"\xfd" + b"\0" * 14 + b"\1", dst=b"\xfd" + b"\0" * 14 + b"\2", data=datagram) if six else ip.IP(p=UDP, src=b"\x0a\1\1\1", dst=b"\x0a\1\1\2", data=datagram)  # fmt: skip
    if six:
        outer.extension_hdrs, outer.all_extension_headers = {}, []
    kind = ethernet.ETH_TYPE_IP6 if six else ethernet.ETH_TYPE_IP
    return bytes(ethernet.Ethernet(src=b"\2" * 6, dst=b"\4" * 6, type=kind, data=outer))


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.lists(sent(), min_size=1, max_size=12, unique_by=lambda one: one.ident), st.booleans())
def test_packets_that_dpkt_built_come_out_as_they_went_in(every: list[Sent], outer_six: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "built.pcap"
        with path.open("wb") as file:
            writer = pcap.Writer(file)
            frames = [_enveloped(frame, one.flow[0], outer_six) for one in every for frame in one.frames]
            for at, frame in enumerate(frames):
                writer.writepkt(frame, ts=1_795_000_000 + at)
        capture = read_capture(path)
    packets: Counter[Flow] = Counter()
    size: Counter[Flow] = Counter()
    flags: dict[Flow, int] = {}
    for one in every:
        packets[one.flow] += len(one.frames)
        size[one.flow] += sum(one.sizes)
        flags[one.flow] = flags.get(one.flow, 0) | one.flags
    assert directions(capture) == {flow: (packets[flow], size[flow]) for flow in packets}
    assert capture.count("frames") == capture.count("in_conversations") == len(frames)
    assert capture.count("inner_vlan") == sum(len(one.frames) for one in every if one.tags)
    assert capture.count("inner_fragments") == sum(one.pieces for one in every)
    assert capture.count("inner_fragments_alone") == capture.count("truncated") == 0
    for row in capture.conversations.astype(object).fillna(0).itertuples():
        ends = (row.source, row.source_port), (row.destination, row.destination_port)
        for (one, other), told in zip((ends, ends[::-1]), (row.tcp_flags, row.tcp_flags_back), strict=True):
            assert told == flags.get((row.vni, row.protocol, *one, *other), 0)
    assert not capture.warnings
