"""A mirror in the kernel: `tc` copies what a filter takes, real programs talk through it, and netkit says what is wrong with it.

Nothing here is netkit's but the filter and the judgement: the kernel mirrors, counts, drops, cuts and fragments; tcpdump
and dumpcap write the captures; http.server, urllib and the kernel's own echo are the traffic.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import kernel_mirror
import pytest
from dpkt import ethernet, pcap, tcp
from kernel_mirror import ADMIN, ANALYSER, CLIENT, CLIENT6, FIRST_VNI, SERVER, SERVER6, SNIFFERS, VNI, WEB, Lab

from netkit.core.model import Finding
from netkit.core.packets import Box, Packets
from netkit.mirror import (
    Capture,
    MirrorFilter,
    MirrorSession,
    Rule,
    parse_filter,
    read_capture,
    rule_coverage,
    stolen,
    verify,
)
from netkit.mirror.expected import flows

# Ten rules, both families, a range that is no power of two, and a rejection that has to come first to matter.
FILTER = parse_filter(
    f"admin: reject tcp {ADMIN}; web: tcp {WEB}-{WEB + 10} from any; names: udp 53 from 10.77.0.0/16; icmp"
)
SESSION = MirrorSession("eni-0123456789abcdef0", "tmt-0123456789abcdef0", "tmf-0123456789abcdef0", 1, vni=VNI)
GOT = {"web": 181_000, "web6": 50_500, "admin": 5_000, "names": 5, "pings": 4}
TOOL = next((tool for tool in SNIFFERS if shutil.which(tool)), "")
NOTHING_WRONG = {"MIRROR-AS-CONFIGURED"}


Right = tuple[Capture, int, dict[tuple[str, int], int]]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if why := kernel_mirror.missing():
        pytest.skip(f"no mirror in the kernel: {why}")
    built = Lab(tmp_path_factory.mktemp("kernel"))
    try:
        built.build()
        yield built
    finally:
        built.remove()


def captured(lab: Lab, *, tool: str = TOOL, snap: int = 9216) -> tuple[Path, Capture]:
    """The capture of one round of traffic through what is in force, as a file and as netkit reads it."""
    path = lab.folder / f"{len(list(lab.folder.iterdir()))}.pcap"
    with lab.capturing(path, tool, snap):
        assert lab.traffic() == GOT, "the mirror must not disturb what it mirrors"
    return path, read_capture(path)


def shown(
    lab: Lab,
    mirror: MirrorFilter,
    *,
    tool: str = TOOL,
    snap: int = 9216,
    mtu: int = 9001,
    first: MirrorFilter | None = None,
) -> Capture:
    """The capture of a mirror that loses nothing by itself: a busy machine may drop a copy on the way, so it is tried again."""
    for _ in range(3):
        lab.mirror(mirror, mtu=mtu, first=first)
        _, capture = captured(lab, tool=tool, snap=snap)
        if capture.count("in_conversations") == lab.copied() + (lab.copied("mirror1") if first else 0):
            break
    return capture


def judged(capture: Capture, mirror: MirrorFilter = FILTER) -> list[Finding]:
    """The verdict, from the server's own addresses as its interface."""
    return verify(capture, SESSION, mirror, interface=[SERVER, SERVER6])


def confirmed(findings: list[Finding]) -> set[str]:
    return {one.code for one in findings if one.status == "confirmed"}


def finding(findings: list[Finding], code: str) -> Finding:
    return next(one for one in findings if one.code == code)


def without(mirror: MirrorFilter, direction: str, port: int) -> MirrorFilter:
    """The filter without one direction of one service."""
    lost = {"ingress": "destination_ports", "egress": "source_ports"}[direction]
    kept = [rule for rule in mirror.rules if rule.direction != direction or not (ports := getattr(rule, lost)) or not (ports[0] <= port <= ports[1] and rule.action == "accept")]  # fmt: skip
    assert len(kept) < len(mirror.rules)
    return replace(mirror, rules=tuple(kept))


@pytest.fixture(scope="module", params=[tool for tool in SNIFFERS if shutil.which(tool)])
def right(lab: Lab, request: pytest.FixtureRequest) -> Right:
    """The mirror as it should be, by each tool: the capture, the packets that the kernel copied, and by which rule."""
    capture = shown(lab, FILTER, tool=request.param)
    return capture, lab.copied(), lab.by_rule()


def test_a_right_mirror_is_found_right(right: Right) -> None:
    capture, copied, _ = right
    findings = judged(capture)
    assert {one.code for one in findings} == NOTHING_WRONG
    assert capture.count("in_conversations") == copied > 300
    assert capture.count("frames") == copied + 1  # and the packet that marks the end
    assert set(capture.conversations["vni"]) == {VNI}
    assert set(capture.conversations["outer_source"]) == {SERVER}
    assert set(capture.conversations["outer_target"]) == {ANALYSER}
    table = capture.conversations
    assert (table.loc[table["protocol"] == 6, "handshake"] == "complete").all()
    assert table["source"].isin([CLIENT, CLIENT6]).all()
    web = table[table["destination_port"] == WEB]
    assert web.groupby("destination").size().to_dict() == {SERVER: 4, SERVER6: 2}
    for address, body in ((SERVER, GOT["web"]), (SERVER6, GOT["web6"])):
        headers = 40 if address == SERVER else 60
        carried = web[web["destination"] == address]
        assert body < carried["bytes_back"].sum() - headers * carried["packets_back"].sum() < body * 1.2


def test_each_rule_decides_what_the_kernel_counted_for_it(
    right: Right,
) -> None:
    capture, _, by_rule = right
    rules = rule_coverage(flows(capture.conversations, FILTER, [SERVER, SERVER6]), FILTER)
    ours = {(one.direction, one.number): one.packets for one in rules.itertuples() if one.action == "accept"}
    assert ours == by_rule
    assert len(ours) == 8
    assert all(ours.values())


def test_rejected_packets_are_not_there_although_a_later_rule_takes_them(
    right: Right,
) -> None:
    capture = right[0]
    assert not (capture.conversations["destination_port"] == ADMIN).any()
    assert WEB < ADMIN < WEB + 10


def test_fragments_inside_are_put_to_their_conversation(
    right: Right,
) -> None:
    capture = right[0]
    pings = capture.conversations[capture.conversations["protocol"] == 1]
    # Three echoes of 84 bytes, one of 3,008 in three pieces (RFC 791): 3 x 20 bytes of headers.
    assert pings[["packets", "packets_back", "bytes", "bytes_back"]].values.tolist() == [[6, 6, 3320, 3320]]
    assert capture.count("inner_fragments") == 6


def test_packets_that_the_filter_does_not_take(right: Right) -> None:
    """The same capture, beside a filter that has no rule for names: as when the filter was changed since."""
    capture = right[0]
    findings = judged(capture, without(without(FILTER, "ingress", 53), "egress", 53))
    assert confirmed(findings) == {"MIRROR-UNEXPECTED"}
    assert finding(findings, "MIRROR-UNEXPECTED").evidence["packets"] == 10


def test_the_rule_for_replies_is_missing(lab: Lab) -> None:
    mirror = without(FILTER, "egress", WEB)
    lab.mirror(mirror)
    findings = judged(captured(lab)[1], mirror)
    assert "MIRROR-AS-CONFIGURED" not in confirmed(findings)
    named = finding(findings, "MIRROR-ONE-WAY")
    assert (named.status, named.severity) == ("confirmed", "high")
    assert f"egress accept tcp source port {WEB} is missing" in named.claim
    assert named.evidence["conversations"] == named.evidence["acknowledge_the_other_direction"] == 6


def test_the_vni_is_wrong(lab: Lab) -> None:
    lab.mirror(FILTER, vni=VNI + 1)
    findings = judged(captured(lab)[1])
    assert confirmed(findings) == {"MIRROR-WRONG-VNI"}
    assert list(finding(findings, "MIRROR-WRONG-VNI").evidence["packets_by_vni"]) == [str(VNI + 1)]


def test_the_way_to_4789_is_closed(lab: Lab) -> None:
    lab.mirror(FILTER, dropping="all")
    findings = judged(captured(lab)[1])
    assert confirmed(findings) == {"MIRROR-EMPTY"}
    assert "UDP 4789" in finding(findings, "MIRROR-EMPTY").claim
    assert lab.dropped() == lab.copied() > 300


def test_packets_are_lost_on_the_way(lab: Lab) -> None:
    """Where both ends of a stream came, the bytes lost are those that the wire says; chance decides in which round they did."""
    whole = 0
    for number in range(12):
        whole += lost_exactly(lab, number)
        if whole > 10_000:
            return
    pytest.fail(f"only {whole} bytes could be compared in 12 rounds")


def lost_exactly(lab: Lab, number: int) -> int:
    """One round with a fifth of the copies dropped; the bytes lost of streams both of whose ends came."""
    lab.mirror(FILTER, dropping="numgen random mod 100 < 20")
    wire = lab.folder / f"wire-{number}.pcap"
    with lab.on_the_wire(wire, TOOL):
        path, capture = captured(lab)
    findings = judged(capture)
    assert "MIRROR-LOSS" in confirmed(findings)
    assert "MIRROR-AS-CONFIGURED" not in confirmed(findings)
    assert capture.count("in_conversations") == lab.copied() - lab.dropped() > 0
    assert lab.dropped() > 20
    sent, seen = octets(wire, mirrored=False), octets(path, mirrored=True)
    whole = 0
    for one in capture.conversations[capture.conversations["protocol"] == 6].itertuples():
        there = (one.source, int(one.source_port), one.destination, int(one.destination_port))
        for way, lost in ((there, one.lost_bytes), ((*there[2:], *there[:2]), one.lost_bytes_back)):
            came, all_of_it = seen.get(way, set()), sent[way]
            # Before the first packet that came, and behind the last, a capture cannot know that there was anything.
            if came and min(all_of_it) in came and max(all_of_it) in came:
                assert lost == len(all_of_it - came), way
                whole += lost
            else:
                assert lost <= len(all_of_it - came), way
    return whole


def octets(path: Path, *, mirrored: bool) -> dict[tuple[str, int, str, int], set[int]]:
    """The sequence numbers of each direction of each web conversation in a capture, as dpkt reads it; SYN and FIN have one."""
    found: dict[tuple[str, int, str, int], set[int]] = {}
    with path.open("rb") as file:
        for _, frame in pcap.UniversalReader(file):
            packet = ethernet.Ethernet(frame).data
            if mirrored:
                if packet.data.dport != kernel_mirror.VXLAN_PORT:
                    continue
                packet = ethernet.Ethernet(packet.data.data[8:]).data
            segment = packet.data
            if isinstance(segment, tcp.TCP):
                size = packet.len - packet.hl * 4 if packet.v == 4 else packet.plen
                size += bool(segment.flags & (tcp.TH_SYN | tcp.TH_FIN)) - segment.off * 4
                ends = (str(ip_address(packet.src)), segment.sport, str(ip_address(packet.dst)), segment.dport)
                taken = {(segment.seq + at) % 2**32 for at in range(size)}
                found[ends] = found.get(ends, set()) | taken
    return found


def test_the_capture_cuts_packets(lab: Lab) -> None:
    capture = shown(lab, FILTER, snap=128)
    findings = judged(capture)
    assert confirmed(findings) == {"MIRROR-TRUNCATED"}
    named = finding(findings, "MIRROR-TRUNCATED")
    assert "snap length" in named.claim
    assert capture.count("truncated") == 0
    # All that is longer than 128 bytes with the outer headers (50 bytes) is cut, and nothing else.
    assert capture.count("truncated_by_capture") == named.evidence["packets"] > 150
    assert capture.count("in_conversations") == lab.copied()


def test_copies_are_fragmented_on_the_way(lab: Lab) -> None:
    capture = shown(lab, FILTER, mtu=1400)
    findings = judged(capture)
    assert confirmed(findings) == {"MIRROR-FRAGMENTED"}
    first, later = capture.count("outer_fragments"), capture.count("outer_later_fragments")
    assert first == later > 150
    assert capture.count("in_conversations") == lab.copied()
    assert capture.count("truncated") == capture.count("truncated_by_capture") == 0


def test_a_session_with_a_lower_number_takes_the_packets(lab: Lab) -> None:
    """Each packet is copied once: the first filter's web packets are missing from the second session, and explained."""
    first = parse_filter(f"web: tcp {WEB} from any")
    asked_first = replace(SESSION, id="tms-0123456789abcdef1", number=1, vni=FIRST_VNI)
    session = replace(SESSION, id="tms-0123456789abcdef2", number=2)
    capture = shown(lab, FILTER, first=first)
    packets = (capture.conversations["packets"] + capture.conversations["packets_back"]).groupby(capture.conversations["vni"]).sum()  # fmt: skip
    assert packets.to_dict() == {VNI: lab.copied(), FIRST_VNI: lab.copied("mirror1")}
    findings = verify(capture, session, FILTER, interface=[SERVER, SERVER6], others=[(asked_first, first)])
    assert confirmed(findings) == {"MIRROR-STOLEN"}
    assert "session 1 (tms-0123456789abcdef1)" in finding(findings, "MIRROR-STOLEN").claim
    # What the algebra says the first session takes is what the kernel gave it, and the other has none of it.
    taken = [one for one in stolen(session, FILTER, [(asked_first, first)]) if one.direction == "ingress"]
    for one in capture.conversations.astype(object).fillna(0).itertuples():
        family = 6 if ":" in one.source else 4
        box = Packets.of(family, [exactly(one.protocol, one.source, one.destination, one.source_port, one.destination_port)])  # fmt: skip
        assert any(both.packets.family == family and both.packets & box for both in taken) == (one.vni == FIRST_VNI)


def exactly(protocol: int, source: str, destination: str, source_port: int, destination_port: int) -> Box:
    """One packet's header as a set."""
    ends = [(int(ip_address(address)),) * 2 for address in (source, destination)]
    return Box((protocol, protocol), ends[0], ends[1], (source_port, source_port), (destination_port, destination_port))


@pytest.mark.parametrize("ports", [(0, 65535), (80, 80), (1, 65535), (8080, 8090), (1023, 49152), (65534, 65535)])
def test_a_port_range_becomes_masks_that_take_it_and_nothing_else(ports: tuple[int, int]) -> None:
    """Needs no kernel: what the set-up itself stands on."""
    rule = Rule("ingress", 1, "accept", "::/0", "::/0", 6, destination_ports=ports)
    pairs = [re.search(r"dport (\d+) (0x[0-9a-f]{4})$", words) for words in kernel_mirror.u32(rule)]
    masks = [(int(pair[1]), int(pair[2], 16)) for pair in pairs if pair]
    taken = {port for port in range(65536) for value, mask in masks if port & mask == value}
    assert taken == set(range(ports[0], ports[1] + 1))
    assert len(masks) == len(pairs) <= 30
