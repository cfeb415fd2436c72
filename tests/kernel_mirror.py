"""A mirror in the kernel: client, server, a router that stands for the VPC, and an analyser, in network namespaces of their own.

The server's eth0 is the mirrored interface. `tc` copies what a filter takes from it into a VXLAN device, with the rules in
the order of their numbers; copies leave by the server's eth1, through the router, to the analyser, where tcpdump or
dumpcap captures. Run as a script, this file is what the client and the server do inside their namespaces.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, build_opener

if TYPE_CHECKING:
    from netkit.mirror import MirrorFilter, Rule

CLIENT, SERVER, ANALYSER = "10.77.1.2", "10.77.1.10", "10.77.3.2"
CLIENT6, SERVER6 = "fd77:1::2", "fd77:1::10"
WEB, ADMIN, DNS = 8080, 8081, 53
VNI, FIRST_VNI, VXLAN_PORT = 7701, 7777, 4789
_LATER = 16_000  # rule numbers of a session that is asked second, on one scale with the first one's
TOOLS = ("ip", "tc", "nft")
SNIFFERS = ("tcpdump", "dumpcap")
# Later fragments have no UDP header, so a filter on the port alone would hide that there are any.
CAPTURE_FILTER = f"udp port {VXLAN_PORT} or (ip[6:2] & 0x1fff != 0) or udp port 123"
_MARK = b"netkit: the end of this capture"


def run(*command: str, stdin: str | None = None) -> str:
    """A command's output. Raises CalledProcessError with its words in stderr."""
    return subprocess.run(command, input=stdin, check=True, capture_output=True, text=True, timeout=20).stdout


def missing() -> str:
    """Why there can be no mirror here, found out by trying; "" where there can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "needs root for network namespaces"
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    if absent:
        return f"needs {', '.join(absent)} (Debian: iproute2, nftables)"
    if not any(map(shutil.which, SNIFFERS)):
        return f"needs {' or '.join(SNIFFERS)}"
    name = f"nk-{secrets.token_hex(3)}-try"
    try:
        run("ip", "netns", "add", name)
        _batch(
            "ip",
            name,
            ["link add eth0 type veth peer name eth1", "link add vx0 type vxlan id 1 remote 10.77.3.2 dstport 4789"],
        )
        rule = "match ip protocol 6 0xff action mirred egress mirror dev vx0"
        _batch("tc", name, ["qdisc add dev eth0 clsact", f"filter add dev eth0 ingress protocol ip pref 1 u32 {rule}"])
        _nft(name, "add table inet t; add chain inet t c; add rule inet t c numgen random mod 100 < 20 drop")
    except (subprocess.SubprocessError, OSError) as error:
        return f"this kernel does not do it: {(getattr(error, 'stderr', '') or str(error)).strip()}"
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
    return ""


def _batch(tool: str, namespace: str, lines: Sequence[str]) -> None:
    run(tool, "-n", namespace, "-batch", "-", stdin="\n".join(lines) + "\n")


def _nft(namespace: str, commands: str) -> str:
    return run("ip", "netns", "exec", namespace, "nft", "-f", "-", stdin=commands.replace("; ", "\n") + "\n")


# ------------------------------------------------------------------------------------------- a filter's rules for tc


def tc_filters(mirror: MirrorFilter, target: str, turn: int, later: int = 0) -> list[str]:
    """The filter's rules as `tc filter add` lines for the server's eth0: lowest number first, the first match decides.

    accept copies to the target device; reject is a match without an action, which ends the search: the kernel may lack gact.
    `later` is added to the numbers, for a filter that is asked after another.
    """

    def action(rule: Rule) -> str:
        index = _index(turn, rule.direction, rule.number + later)
        return f"action mirred egress mirror dev {target} index {index}" if rule.action == "accept" else ""

    return [
        f"filter add dev eth0 {rule.direction} protocol {'ip' if rule.family == 4 else 'ipv6'} pref {rule.number + later} "
        f"u32 {words} flowid 1:1 {action(rule)}".rstrip()
        for rule in mirror.rules
        for words in u32(rule)
    ]


def _index(turn: int, direction: str, number: int) -> int:
    """What the kernel counts a rule's copies under: all filters of one rule in one turn share one action.

    The kernel frees actions some time after their filters, so a number used again would bring the old action back.
    """
    return turn * 2**16 + 2 * number + (direction == "egress")


def u32(rule: Rule) -> list[str]:
    """The u32 matches of one rule: one for each pair of blocks that its port ranges consist of."""
    ip = "ip" if rule.family == 4 else "ip6"
    words = [f"match {ip} src {rule.source}", f"match {ip} dst {rule.destination}"]
    if rule.protocol is not None:
        words.append(f"match {ip} protocol {rule.protocol} 0xff")
    if rule.family == 4 and (rule.source_ports or rule.destination_ports):
        words.append("match u16 0 0x1fff at 6")  # later fragments have no ports
    sources = _ports(f"match {ip} sport", rule.source_ports)
    return [
        " ".join(filter(None, (*words, source, destination)))
        for source in sources
        for destination in _ports(f"match {ip} dport", rule.destination_ports)
    ]


def _ports(match: str, ports: tuple[int, int] | None) -> list[str]:
    """A range as values under masks, as CIDR blocks are: u32 knows no ranges."""
    if ports is None:
        return [""]
    found, low = [], ports[0]
    while low <= ports[1]:
        size = low & -low or 65536
        while low + size - 1 > ports[1]:
            size //= 2
        found.append(f"{match} {low} {0x10000 - size:#06x}")
        low += size
    return found


# -------------------------------------------------------------------------------------------------------- the network


@dataclass
class Lab:
    """The four namespaces, the server in its own, and what is in force now."""

    folder: Path
    client: str = ""
    server: str = ""
    router: str = ""
    analyser: str = ""
    turn: int = 0
    _processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def build(self) -> None:
        """Namespaces, links, addresses, routes, and the server."""
        run_id = f"nk-{os.getpid()}-{secrets.token_hex(2)}"
        for place in ("client", "server", "router", "analyser"):
            setattr(self, place, f"{run_id}-{place}")
            run("ip", "netns", "add", getattr(self, place))
        # One segment a packet: the copies are the packets of the wire, as AWS's are, not what offloads make of them.
        for one, device, other, peer, mtu in (
            (self.client, "eth0", self.server, "eth0", 1500),
            (self.server, "eth1", self.router, "eth0", 9001),
            (self.router, "eth1", self.analyser, "eth0", 9001),
        ):
            _batch("ip", one, [f"link add {device} mtu {mtu} type veth peer name {peer} mtu {mtu} netns {other}"])
        addresses = {
            self.client: [("eth0", f"{CLIENT}/24"), ("eth0", f"{CLIENT6}/64")],
            self.server: [("eth0", f"{SERVER}/24"), ("eth0", f"{SERVER6}/64"), ("eth1", "10.77.2.10/24")],
            self.router: [("eth0", "10.77.2.1/24"), ("eth1", "10.77.3.1/24")],
            self.analyser: [("eth0", f"{ANALYSER}/24")],
        }
        for place, held in addresses.items():
            devices = dict.fromkeys(device for device, _ in held)
            _batch("ip", place, ["link set lo up", *(f"link set {device} up gso_max_segs 1" for device in devices)])
            _batch(
                "ip",
                place,
                [f"addr add {address} dev {device}{' nodad' if ':' in address else ''}" for device, address in held],
            )
        _batch("ip", self.server, ["route add 10.77.3.0/24 via 10.77.2.1"])
        # The analyser has no way back: nobody there listens on 4789, and its answers would be traffic that AWS has not.
        run("ip", "netns", "exec", self.router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        _batch("tc", self.server, ["qdisc add dev eth0 clsact"])
        server = self._start(self.server, sys.executable, "-I", __file__, "serve")
        assert server.stdout is not None
        assert server.stdout.readline().strip() == "ready"

    def remove(self) -> None:
        """Everything that was started and made."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for place in (self.client, self.server, self.router, self.analyser):
            subprocess.run(["ip", "netns", "del", place], check=False, capture_output=True)

    def _start(self, namespace: str, *command: str) -> subprocess.Popen[str]:
        # `ip netns exec` becomes the command, so the process id is the command's own.
        started = subprocess.Popen(
            ["ip", "netns", "exec", namespace, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._processes.append(started)
        return started

    # ------------------------------------------------------------------------------------------------ what is in force

    def mirror(
        self,
        mirror: MirrorFilter,
        *,
        vni: int = VNI,
        mtu: int = 9001,
        dropping: str = "",
        first: MirrorFilter | None = None,
    ) -> None:
        """Put a filter, a VNI, the MTU of the analyser's link and an nft rule of the router in force, and nothing else.

        dropping is what nft drops of the copies on their way: "" nothing, "all", or a share as "numgen random mod 100 < 20".
        first is the filter, without rejections, of a session that is asked before, with FIRST_VNI.
        """
        self.turn += 1
        for direction in ("ingress", "egress"):
            run("tc", "-n", self.server, "filter", "del", "dev", "eth0", direction)
        for device, number in (("mirror0", vni), ("mirror1", FIRST_VNI)):
            subprocess.run(["ip", "-n", self.server, "link", "del", device], check=False, capture_output=True)
            if device == "mirror0" or first:
                self._device(device, number)
        _batch("ip", self.router, [f"link set eth1 mtu {mtu}"])
        lines = tc_filters(first, "mirror1", self.turn) if first else []
        _batch("tc", self.server, lines + tc_filters(mirror, "mirror0", self.turn, _LATER if first else 0))
        chain = "add chain inet way on { type filter hook forward priority 0; }"
        _nft(self.router, f"add table inet way; flush table inet way; {chain}")
        if dropping:
            share = "" if dropping == "all" else dropping
            _nft(self.router, f"add rule inet way on udp dport {VXLAN_PORT} {share} counter drop")

    def _device(self, name: str, vni: int) -> None:
        ends = f"local {SERVER} remote {ANALYSER} dstport {VXLAN_PORT}"
        _batch("ip", self.server, [f"link add {name} type vxlan id {vni} {ends} nolearning noudpcsum"])
        # Without IPv6 of its own: the device would announce itself, and that would look like a mirrored packet.
        run("ip", "netns", "exec", self.server, "sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1")
        _batch("ip", self.server, [f"link set {name} up mtu 8950"])

    def copied(self, device: str = "mirror0") -> int:
        """The packets that the kernel put into a VXLAN device."""
        told = json.loads(run("ip", "-n", self.server, "-j", "-s", "link", "show", device))
        return int(told[0]["stats64"]["tx"]["packets"])

    def dropped(self) -> int:
        """The copies that nft dropped on the way."""
        found = re.search(
            r"counter packets (\d+)", run("ip", "netns", "exec", self.router, "nft", "list", "table", "inet", "way")
        )
        return int(found[1]) if found else 0

    def by_rule(self) -> dict[tuple[str, int], int]:
        """The packets that each accepting rule copied, by direction and number, as the kernel counts them."""
        told = run("tc", "-n", self.server, "-s", "actions", "show", "action", "mirred")
        counted = {
            int(index): int(packets)
            for index, packets in re.findall(r"index (\d+) ref.*?Sent \d+ bytes (\d+) pkt", told, re.DOTALL)
        }
        return {
            (("ingress", "egress")[index % 2], index % 2**16 // 2): packets
            for index, packets in counted.items()
            if index >> 16 == self.turn
        }

    # --------------------------------------------------------------------------------------------------- traffic, capture

    @contextlib.contextmanager
    def capturing(self, path: Path, tool: str, snap: int = 9216) -> Iterator[None]:
        """Capture on the analyser while the body runs; at the end all that was on its way is in the file."""
        process = self._sniff(self.analyser, path, tool, snap, CAPTURE_FILTER)
        yield
        self._settle(path)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)

    @contextlib.contextmanager
    def on_the_wire(self, path: Path, tool: str) -> Iterator[None]:
        """Capture what the server's own interface sends and gets on its web port: what a mirror should show."""
        process = self._sniff(self.server, path, tool, 9216, f"tcp port {WEB}")
        yield
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)

    def _sniff(self, namespace: str, path: Path, tool: str, snap: int, wanted: str) -> subprocess.Popen[str]:
        plain = (
            ["--immediate-mode", "-U", "-Z", "root", "-n", "-B", "16384"] if tool == "tcpdump" else ["-q", "-B", "16"]
        )
        order = [tool, *plain, "-i", "eth0", "-s", str(snap), "-w", str(path)]
        process = self._start(namespace, *order, *([wanted] if tool == "tcpdump" else ["-f", wanted]))
        assert process.stderr is not None
        for line in process.stderr:
            if "listening on" in line or line.startswith("File:"):
                return process
        raise RuntimeError(f"{tool} did not start: {process.wait()}")

    def _settle(self, path: Path) -> None:
        """Wait until the copies are through, then until a packet sent after them is in the capture."""
        before = -1
        while before != (now := self.copied()):
            before = now
            time.sleep(0.1)
        until = time.monotonic() + 10
        run("ip", "netns", "exec", self.router, sys.executable, "-I", __file__, "mark")
        while _MARK not in path.read_bytes():
            assert time.monotonic() < until, "the capture never showed the packet that marks its end"
            time.sleep(0.02)

    def traffic(self) -> dict[str, int]:
        """The client's work: HTTP over both families, on the admin port too, name queries, pings, one in fragments."""
        done = run("ip", "netns", "exec", self.client, sys.executable, "-I", __file__, "ask")
        answer: dict[str, int] = json.loads(done)
        return answer


# --------------------------------------------------------------------------- inside the namespaces, run as a script


class _Pages(BaseHTTPRequestHandler):
    """/NUMBER is answered with so many bytes."""

    def do_GET(self) -> None:
        body = b"m" * int(self.path.strip("/") or 0)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


class _Server6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def serve() -> None:
    """HTTP on two ports in both families, and names on UDP, on the server's own addresses only."""
    for port in (WEB, ADMIN):
        for kind, address in ((ThreadingHTTPServer, SERVER), (_Server6, SERVER6)):
            threading.Thread(target=kind((address, port), _Pages).serve_forever, daemon=True).start()
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind((SERVER, DNS))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        query, peer = names.recvfrom(512)
        answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(SERVER)
        names.sendto(query[:2] + struct.pack(">5H", 0x8180, 1, 1, 0, 0) + query[12:] + answer, peer)


def ask() -> dict[str, int]:
    """What the client does; what it got, to be sure that there was such traffic."""
    got = {"web": 0, "web6": 0, "admin": 0, "names": 0, "pings": 0}
    opener = build_opener(ProxyHandler({}))
    for name, host, port, sizes in (
        ("web", SERVER, WEB, (120_000, 60_000, 1_000, 0)), ("web6", f"[{SERVER6}]", WEB, (50_000, 500)), ("admin", SERVER, ADMIN, (5_000,)),
    ):  # fmt: skip
        for size in sizes:
            got[name] += len(opener.open(f"http://{host}:{port}/{size}", timeout=5).read())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as names:
        names.settimeout(5)
        for number in range(5):
            names.sendto(
                struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + b"\x04host\x04test\x00\x00\x01\x00\x01", (SERVER, DNS)
            )
            got["names"] += names.recv(512)[-4:] == socket.inet_aton(SERVER)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as pings:
        pings.settimeout(5)
        for number, size in enumerate((56, 56, 56, 3000)):
            pings.sendto(_echo(number, size), (SERVER, 0))
            got["pings"] += pings.recv(4096)[20] == 0
    return got


def _echo(number: int, size: int) -> bytes:
    head, body = struct.pack(">BBHHH", 8, 0, 0, 77, number), b"p" * size
    total = sum(struct.unpack(f">{(len(head) + size) // 2}H", head + body))
    total = (total >> 16) + (total & 0xFFFF)
    return struct.pack(">BBHHH", 8, 0, ~(total + (total >> 16)) & 0xFFFF, 77, number) + body


def mark() -> None:
    """The packet that says that all before it has arrived; from the router, on a port that every host talks on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(_MARK, (ANALYSER, 123))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    elif sys.argv[1] == "ask":
        sys.stdout.write(json.dumps(ask()))
    else:
        mark()
