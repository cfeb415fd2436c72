"""Captures: netkit beside tshark, dpkt and scapy on one generated capture, and memory at two sizes.

All count the same: packets and bytes of both directions of each inner conversation. `python -m bench.mirror NAME FILE`
runs one of them in a process of its own and prints one JSON line; `digest` is of all conversations, to see that all agree.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import resource
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bench.mirror_input import PER_CONVERSATION, write

ROOT = Path(__file__).parent.parent
SLICE = 20_000
# (VNI, protocol, lower end, higher end) to [packets and bytes from the lower, packets and bytes from the higher]
Ends = tuple[int, int, tuple[str, int], tuple[str, int]]
Counted = dict[Ends, list[int]]
Show = Callable[[str, Sequence[str], Sequence[Sequence[Any]]], None]

FIELDS = (
    "frame.time_epoch", "frame.len", "vxlan.vni", "ip.src", "ip.dst", "ip.proto", "ip.len", "ipv6.src", "ipv6.dst", "ipv6.nxt", "ipv6.plen",
    "tcp.srcport", "tcp.dstport", "tcp.flags", "tcp.seq_raw", "tcp.ack_raw", "tcp.len", "udp.srcport", "udp.dstport",
)  # fmt: skip
# What tshark spares when it need not follow streams; -n (no names) is in both.
TUNED = (
    "-o", "tcp.analyze_sequence_numbers:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE", "-o", "tcp.calculate_timestamps:FALSE",
    "-o", "ip.defragment:FALSE",
)  # fmt: skip
PEERS = ("netkit", "dpkt", "tshark -T fields", "tshark, tuned", "scapy")


def _of_frame(table: Any) -> Counted:
    """read_capture's conversations in the common form; not part of its time."""
    names = ("vni", "protocol", "source", "source_port", "destination", "destination_port", "packets", "bytes", "packets_back", "bytes_back")  # fmt: skip
    counted: Counted = {}
    for vni, protocol, source, sport, destination, dport, *there_and_back in zip(
        *(table[name].fillna(0).tolist() for name in names), strict=True
    ):
        for (one, other), (packets, size) in zip(
            (((source, int(sport)), (destination, int(dport))), ((destination, int(dport)), (source, int(sport)))),
            (there_and_back[:2], there_and_back[2:]),
            strict=True,
        ):
            _count(counted, vni, protocol, one, other, size, packets)
    return counted


def _count(
    counted: Counted, vni: int, protocol: int, one: tuple[str, int], other: tuple[str, int], size: int, packets: int = 1
) -> None:
    turned = one > other
    sums = counted.setdefault((vni, protocol, other, one) if turned else (vni, protocol, one, other), [0, 0, 0, 0])
    sums[2 * turned] += packets
    sums[2 * turned + 1] += size


def tshark(file: Path, *options: str) -> Iterable[str]:
    """tshark's fields of the innermost headers, a line a packet."""
    wanted = [word for name in FIELDS for word in ("-e", name)]
    order = ["tshark", "-n", "-r", str(file), *options, "-T", "fields", "-E", "occurrence=l", *wanted]
    told = file.with_suffix(".fields")
    with told.open("wb") as out:
        subprocess.run(order, check=True, stdout=out, stderr=subprocess.DEVNULL)
    return told.open()


def _of_fields(lines: Iterable[str]) -> Counted:
    """What tshark says, counted; not part of its time."""
    counted: Counted = {}
    for line in lines:
        row = dict(zip(FIELDS, line.rstrip("\n").split("\t"), strict=True))
        six = bool(row["ipv6.src"])
        protocol = int(row["ipv6.nxt"] if six else row["ip.proto"])
        layer = {6: "tcp", 17: "udp"}.get(protocol, "")
        ports = [int(row[f"{layer}.{side}port"]) if layer else 0 for side in ("src", "dst")]
        source, destination = (row["ipv6.src"], row["ipv6.dst"]) if six else (row["ip.src"], row["ip.dst"])
        size = int(row["ipv6.plen"]) + 40 if six else int(row["ip.len"])
        _count(counted, int(row["vxlan.vni"]), protocol, (source, ports[0]), (destination, ports[1]), size)
    return counted


def dpkt(file: Path) -> Counted:
    """dpkt: an object a packet; VXLAN's eight bytes by hand, which it does not know."""
    from dpkt import ethernet, ip6, pcap, tcp, udp

    counted: Counted = {}
    with file.open("rb") as source:
        for _, frame in pcap.Reader(source):
            outer = ethernet.Ethernet(frame).data.data
            if not isinstance(outer, udp.UDP) or outer.dport != 4789:
                continue
            vni = struct.unpack_from(">I", outer.data, 4)[0] >> 8
            inner = ethernet.Ethernet(outer.data[8:]).data
            six = isinstance(inner, ip6.IP6)
            family, protocol, size = (socket.AF_INET6, inner.p, inner.plen + 40) if six else (socket.AF_INET, inner.p, inner.len)  # fmt: skip
            ports = (inner.data.sport, inner.data.dport) if isinstance(inner.data, (tcp.TCP, udp.UDP)) else (0, 0)
            ends = [(socket.inet_ntop(family, address), port) for address, port in zip((inner.src, inner.dst), ports, strict=True)]  # fmt: skip
            _count(counted, vni, protocol, ends[0], ends[1], size)
    return counted


def scapy(file: Path) -> Counted:
    """scapy: a stack of layers a packet."""
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether
    from scapy.layers.vxlan import VXLAN
    from scapy.utils import PcapReader

    counted: Counted = {}
    with PcapReader(str(file)) as packets:
        for packet in packets:
            if VXLAN not in packet:
                continue
            mirrored = packet[VXLAN]
            inner = mirrored[Ether].payload
            six = isinstance(inner, IPv6)
            protocol, size = (inner.nh, inner.plen + 40) if six else (inner[IP].proto, inner[IP].len)
            above = inner.payload
            ports = (above.sport, above.dport) if isinstance(above, (TCP, UDP)) else (0, 0)
            _count(counted, mirrored.vni, protocol, (inner.src, ports[0]), (inner.dst, ports[1]), size)
    return counted


def measure(name: str, file: Path) -> dict[str, Any]:
    """One peer once: seconds, peak memory, and what it counted. Starting Python and imports are not in the seconds."""
    seconds, peak, counted = (_by_tshark if name.startswith("tshark") else _in_process)(name, file)
    rows = sorted(f"{key} {sums}" for key, sums in counted.items())
    return {
        "seconds": seconds, "peak_mb": peak, "conversations": len(rows), "digest": hashlib.sha256("\n".join(rows).encode()).hexdigest(),
        "packets": sum(sums[0] + sums[2] for sums in counted.values()),
    }  # fmt: skip


def _by_tshark(name: str, file: Path) -> tuple[float, float, Counted]:
    begun = time.perf_counter()
    lines = tshark(file, *(TUNED if name == "tshark, tuned" else ()))
    seconds = time.perf_counter() - begun
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, _of_fields(lines)


def _in_process(name: str, file: Path) -> tuple[float, float, Counted]:
    from netkit.mirror import read_capture

    peer: Callable[[Path], Any] = {"netkit": read_capture, "dpkt": dpkt, "scapy": scapy}[name]
    for module in {"dpkt": ("dpkt.ethernet",), "scapy": ("scapy.layers.inet6", "scapy.layers.vxlan")}.get(name, ()):
        importlib.import_module(module)
    begun = time.perf_counter()
    answer = peer(file)
    seconds = time.perf_counter() - begun
    peak = _own_peak()
    return seconds, peak, _of_frame(answer.conversations) if name == "netkit" else answer


def _own_peak() -> float:
    # not ru_maxrss, which begins with the parent's
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


# ------------------------------------------------------------------------------------------------------------ figures


def mirrors(show: Show, folder: Path, packets: int, large: int, times: int) -> None:
    """Both tables: speed at `packets`, memory there and at `large` (0 leaves it out)."""
    file, part = folder / "mirror.pcap", folder / "part.pcap"
    size = write(file, packets)
    write(part, min(SLICE, packets))
    _speed(show, file, part, packets, size, times)
    if large:
        _memory(show, folder, file, packets, large)


def _memory(show: Show, folder: Path, file: Path, packets: int, large: int) -> None:
    """Peak memory where only packets are more, and where conversations are more as well."""
    rows, first = [], 0.0
    for count, each in ((packets, PER_CONVERSATION), (large, PER_CONVERSATION * large // packets), (large, PER_CONVERSATION)):  # fmt: skip
        if rows:
            file = folder / "large.pcap"
            write(file, count, each)
        answer = run("netkit", file)
        first = first or float(answer["peak_mb"])
        rows.append(
            (
                f"{count:,}", f"{file.stat().st_size / 1e6:,.0f}", f"{answer['conversations']:,}", f"{answer['seconds']:.2f}", f"{answer['peak_mb']:.0f}",
                f"{answer['peak_mb'] / first:.2f}",
            )
        )  # fmt: skip
    show("read_capture: memory", ("packets", "MB", "conversations", "seconds", "peak MB", "ratio"), rows)


def _speed(show: Show, file: Path, part: Path, packets: int, size: int, times: int) -> None:
    found: dict[str, dict[str, Any]] = {}
    for name in tqdm(PEERS, desc="captures", leave=False):
        if name.startswith("tshark") and not shutil.which("tshark"):
            continue
        slow = name == "scapy"
        # Peers that take half a minute and more run once: chance is small beside that.
        runs = [run(name, part if slow else file) for _ in range(times if name == "netkit" else 1)]
        found[name] = min(runs, key=lambda answer: float(answer["seconds"]))
        if slow:
            assert found[name]["digest"] == run("netkit", part)["digest"], "scapy counts otherwise"
            found[name]["seconds"] *= packets / min(SLICE, packets)
    whole = {name: answer for name, answer in found.items() if name != "scapy"}
    assert len({answer["digest"] for answer in whole.values()}) == 1, whole
    assert all(answer["packets"] == packets for answer in whole.values()), whole
    base = found["netkit"]["seconds"]
    rows = [
        (name, f"{answer['seconds']:.2f}", f"{answer['seconds'] / base:.1f}", f"{packets / answer['seconds']:,.0f}", f"{answer['peak_mb']:.0f}")
        for name, answer in found.items()
    ]  # fmt: skip
    same = f"{found['netkit']['conversations']:,} conversations, the same by all to the packet and byte"
    show(
        f"a VXLAN capture of {packets:,} packets, {size / 1e6:,.0f} MB ({same})",
        ("who", "seconds", "times netkit", "packets/s", "peak MB"),
        rows,
    )
    print(f"  scapy: measured on {min(SLICE, packets):,} packets and scaled; tshark: without the counting of its lines")


def run(name: str, file: Path) -> dict[str, Any]:
    """One peer in a process of its own."""
    command = [sys.executable, "-m", "bench.mirror", name, str(file)]
    answer: dict[str, Any] = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    )
    return answer


def main() -> None:
    """Run one peer once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("file", type=Path)
    chosen = parser.parse_args()
    sys.stdout.write(json.dumps(measure(chosen.name, chosen.file)) + "\n")


if __name__ == "__main__":
    main()
