"""Frames and streams of kinds that captures of others have: link types side by side, tags, SCTP, duplicates, ports used again.

What tshark can judge is judged by the installed one; each fault found once stands here with others of its kind.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from little_capture import (
    ACK,
    FIN,
    PSH,
    RST,
    SYN,
    cooked,
    ethernet,
    geneve,
    ip,
    mirrored,
    pcap,
    pcapng,
    sctp,
    talk,
    tcp,
    udp,
    vxlan,
)  # fmt: skip
from test_mirror_capture_peers import directions, told_by_tshark

from netkit.mirror import Capture, read_capture

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
CLIENT, SERVER = ("10.0.7.7", 40000), ("10.0.0.5", 80)


def read(folder: Path, content: bytes) -> Capture:
    path = folder / "mirror.pcapng"
    path.write_bytes(content)
    return read_capture(path)


def out(seq: int, ack: int = 0, flags: int = ACK, size: int = 0) -> bytes:
    return tcp(*CLIENT, *SERVER, seq=seq, ack=ack, flags=flags, size=size)


def back(seq: int, ack: int = 0, flags: int = ACK, size: int = 0) -> bytes:
    return tcp(*SERVER, *CLIENT, seq=seq, ack=ack, flags=flags, size=size)


def row(folder: Path, packets: list[bytes], **how: Any) -> pd.Series[Any]:
    return read(folder, pcap(mirrored(*packets), **how)).conversations.iloc[0]


# --------------------------------------------------------------------------------------------- link types and envelopes

ENVELOPES = [vxlan(ethernet(one)) for one in talk()]
LINKS = {
    "Ethernet and Linux cooked": ((1, 113), lambda: [(ethernet, 0), (cooked, 1)]),
    "Ethernet and raw IP": ((1, 101), lambda: [(ethernet, 0), (bytes, 1)]),
    "three, one with nothing in it": ((276, 113, 1), lambda: [(lambda one: cooked(one, version=2), 0), (ethernet, 2)]),
    "Linux cooked with a tag": ((113,), lambda: [(lambda one: cooked(one, vlans=[7]), 0)]),
    "Linux cooked with two tags": ((113,), lambda: [(lambda one: cooked(one, vlans=[7, 8]), 0)]),
    "Linux cooked 2 with a tag": ((276,), lambda: [(lambda one: cooked(one, vlans=[7], version=2), 0)]),
}


@pytest.mark.parametrize("name", LINKS)
def test_each_frame_is_read_by_its_own_interface(name: str, tmp_path: Path) -> None:
    links, forms = LINKS[name]
    chosen = [forms()[number % len(forms())] for number in range(len(ENVELOPES))]
    frames = [form(one) for (form, _), one in zip(chosen, ENVELOPES, strict=True)]
    capture = read(tmp_path, pcapng(frames, links=links, at=[place for _, place in chosen]))
    assert capture.count("in_conversations") == capture.count("frames") == len(frames)
    assert (capture.conversations.at[0, "handshake"], capture.conversations.at[0, "lost_bytes_back"]) == ("complete", 0)
    assert not capture.warnings
    if shutil.which("tshark"):
        assert told_by_tshark(tmp_path / "mirror.pcapng") == (len(frames), directions(capture))


def test_frames_of_an_interface_without_ip_are_counted_and_told(tmp_path: Path) -> None:
    frames = [*(ethernet(one) for one in ENVELOPES), bytes(64), bytes(64)]
    capture = read(tmp_path, pcapng(frames, links=(1, 249), at=[0] * len(ENVELOPES) + [1, 1]))
    assert (capture.count("in_conversations"), capture.count("outer_not_ip")) == (len(ENVELOPES), 2)
    assert capture.warnings == ("mirror.pcapng: 2 frames of link type 249, which netkit does not read",)
    assert capture.files.at[0, "link"] == "Ethernet, link type 249"


@pytest.mark.parametrize("family", [("10.0.0.5", "10.0.7.7"), ("2001:db8::5", "2001:db8::7")])
@pytest.mark.parametrize("envelope", ["vxlan", "geneve"])
def test_associations_of_sctp_are_told_apart_by_their_ports(family: tuple[str, str], envelope: str, tmp_path: Path) -> None:  # fmt: skip
    one, other = family
    packets = [sctp(one, 3868, other, 50000), sctp(other, 50000, one, 3868), sctp(one, 3868, other, 50001), sctp(one, 36412, other, 36412)]  # fmt: skip
    frames = mirrored(*packets)
    if envelope == "geneve":
        frames = [ethernet(geneve(ethernet(one), kind=0x6558, vni=11)) for one in packets]
    capture = read(tmp_path, pcap(frames))
    assert capture.conversations[["packets", "packets_back"]].to_numpy().tolist() == [[1, 1], [1, 0], [1, 0]]
    if shutil.which("tshark"):
        assert told_by_tshark(tmp_path / "mirror.pcapng") == (4, directions(capture))


def test_outer_fragments_are_the_mirrors_only_when_the_first_says_so(tmp_path: Path) -> None:
    copy = vxlan(ethernet(tcp(*SERVER, *CLIENT, size=1400)), vni=77)
    halves = [ip("10.0.0.5", "10.0.9.9", 17, copy[20:1020], more=True, ident=4), ip("10.0.0.5", "10.0.9.9", 17, copy[1020:], fragment=1000, ident=4)]  # fmt: skip
    nfs = udp("10.0.3.3", 2049, "10.0.9.9", 900, bytes(1500))
    foreign = [ip("10.0.3.3", "10.0.9.9", 17, nfs[20:1020], more=True, ident=4), ip("10.0.3.3", "10.0.9.9", 17, nfs[1020:], fragment=1000, ident=4)]  # fmt: skip
    capture = read(tmp_path, pcap([ethernet(one) for one in (*halves, *foreign)]))
    assert (capture.count("outer_fragments"), capture.count("outer_later_of_mirrored")) == (1, 1)
    assert (capture.count("outer_later_fragments"), capture.count("outer_other_traffic")) == (2, 1)


def test_flags_that_the_capture_cut_are_not_flags_that_were_not_there(tmp_path: Path) -> None:
    frames = mirrored(*talk())
    cut = read(tmp_path, pcap(frames, snap=14 + 20 + 8 + 8 + 14 + 20 + 8)).conversations.iloc[0]
    assert (cut["handshake"], cut["packets"] + cut["packets_back"]) == ("not readable", 16)
    assert row(tmp_path, talk()[4:])["handshake"] == "not seen"
    whole = pcap(frames[:3]) + pcap(frames[3:], snap=70, start=1_700_000_001)[24:]
    assert read(tmp_path, whole).conversations.at[0, "handshake"] == "complete"


# ---------------------------------------------------------------------------------------------------------- duplicates


def lone(capture: Capture) -> list[int]:
    """Packets without duplicates of each direction."""
    rows = capture.conversations
    return (rows[["packets", "packets_back"]].to_numpy() - rows[["duplicates", "duplicates_back"]].to_numpy()).ravel().tolist()  # fmt: skip


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("apart", [False, True])
def test_packets_that_come_twice_are_duplicates_and_not_sent_again(times: int, apart: bool, tmp_path: Path) -> None:
    packets = [
        *talk(),
        udp("10.0.7.7", 99, "10.0.0.5", 53, b"question"),
        udp("10.0.0.5", 53, "10.0.7.7", 99, b"answer"),
    ]
    frames = mirrored(*packets)
    every = frames * times if apart else [one for one in frames for _ in range(times)]
    capture = read(tmp_path, pcap(every))
    rows = capture.conversations
    assert capture.count("in_conversations") == times * 18
    assert lone(capture) == [8, 8, 1, 1]
    assert rows[["retransmissions", "retransmissions_back", "lost_bytes", "lost_bytes_back"]].to_numpy().sum() == 0
    assert rows["duplicate_bytes"].sum() == (times - 1) * (rows["bytes"].sum() // times)


def test_copies_of_two_interfaces_are_duplicates_however_few(tmp_path: Path) -> None:
    packets = talk(answers=20_000)
    envelopes = [vxlan(ethernet(one)) for one in packets]
    frames = [(ethernet(one), 0) for one in envelopes]
    frames.insert(8, (cooked(envelopes[7]), 1))  # the one segment that the second interface saw too
    content = pcapng([one for one, _ in frames], links=(1, 113), at=[place for _, place in frames])
    one = read(tmp_path, content).conversations.iloc[0]
    assert (one["duplicates_back"], one["retransmissions_back"]) == (1, 0)


def numbered(packet: bytes, ident: int) -> bytes:
    return packet[:4] + ident.to_bytes(2) + packet[6:]


@pytest.mark.parametrize(("ident", "duplicate"), [(7, True), (9000, False)])
def test_a_sender_that_numbers_its_packets_tells_which_it_is(ident: int, duplicate: bool, tmp_path: Path) -> None:
    packets = [numbered(one, place) for place, one in enumerate(talk(answers=20_000))]
    again = numbered(packets[7], ident)
    one = row(tmp_path, [*packets[:9], again, *packets[9:]])
    assert (one["duplicates_back"], one["retransmissions_back"]) == ((1, 0) if duplicate else (0, 1))


def test_what_is_sent_again_now_and_then_is_no_duplicate(tmp_path: Path) -> None:
    packets = talk(answers=20_000)
    for again in ([7], [7, 9], [7, 7]):
        order = [*packets[:11], *(packets[one] for one in again), *packets[11:]]
        one = row(tmp_path, order)
        assert (one["duplicates_back"], one["retransmissions_back"]) == (0, len(again))
    twice = row(tmp_path, [out(1, flags=SYN), out(1, flags=SYN)])
    assert (twice["duplicates"], twice["retransmissions"], twice["handshake"]) == (0, 1, "no answer")


def test_a_heartbeat_is_no_duplicate(tmp_path: Path) -> None:
    beats = [udp("10.0.0.5", 9000 + number % 4, "10.0.7.7", 8125, b"up:1") for number in range(200)]
    rows = read(tmp_path, pcap(mirrored(*beats), step=0.1)).conversations
    assert (len(rows), rows["duplicates"].sum()) == (4, 0)


def test_duplicates_are_found_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from netkit.mirror import pcap as files

    monkeypatch.setattr(files, "BLOCK", 300)
    capture = read(tmp_path, pcap([one for one in mirrored(*talk()) for _ in range(2)]))
    assert lone(capture) == [8, 8]


# ------------------------------------------------------------------------------------------------- a port used again


def first(isn: int = 100, theirs: int = 900) -> list[bytes]:
    """A whole conversation with both FINs: 10 bytes there, 20 back."""
    return [
        out(isn, flags=SYN), back(theirs, isn + 1, SYN | ACK), out(isn + 1, theirs + 1), out(isn + 1, theirs + 1, PSH | ACK, 10),
        back(theirs + 1, isn + 11, PSH | ACK, 20), out(isn + 11, theirs + 21), back(theirs + 21, isn + 11, FIN | ACK),
        out(isn + 11, theirs + 22, FIN | ACK), back(theirs + 22, isn + 12),
    ]  # fmt: skip


FURTHER = st.integers(-(2**31), 2**31 - 1).filter(lambda step: abs(step) > 2000)


@given(FURTHER, FURTHER, st.sampled_from([(), (0,), (1,), (0, 1)]), st.booleans())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_port_used_again_loses_nothing_whatever_is_missing_of_its_handshake(
    tmp_path: Path, here: int, there: int, missing: tuple[int, ...], reset: bool
) -> None:
    """Both FINs, or a reset, and then another connection, its SYN or its SYN-ACK or both not seen: not a byte was lost."""
    before = [*first()[:6], out(111, 921, RST | ACK)] if reset else first()
    again = [one for place, one in enumerate(first(100 + here, 900 + there)) if place not in missing]
    one = row(tmp_path, [*before, *again])
    assert one[["lost_bytes", "lost_bytes_back", "retransmissions", "retransmissions_back"]].to_list() == [0, 0, 0, 0]


@pytest.mark.parametrize("seen", ["client", "server", "SYN only", "SYN-ACK only"])
@pytest.mark.parametrize("isn", [5_000_000, 3_000_000_000])
def test_half_of_a_port_used_again(seen: str, isn: int, tmp_path: Path) -> None:
    """What one direction acknowledges in the second connection says nothing of the other's bytes in the first."""
    second = first(isn, isn + 7_000_000)
    part = {
        "client": [one for one in second if one[12:16] == bytes([10, 0, 7, 7])], "server": [one for one in second if one[12:16] == bytes([10, 0, 0, 5])],
        "SYN only": second[:1], "SYN-ACK only": second[1:2],
    }[seen]  # fmt: skip
    one = row(tmp_path, [*first(), *part])
    assert one[["lost_bytes", "lost_bytes_back"]].to_list() == [0, 0]


def test_loss_within_a_port_used_again_is_still_loss(tmp_path: Path) -> None:
    second = [
        out(5_000_000, flags=SYN), back(9_000_000, 5_000_001, SYN | ACK), out(5_000_001, 9_000_001), out(5_000_001, 9_000_001, PSH | ACK, 10),
        back(9_000_001, 5_000_011, size=100), back(9_000_201, 5_000_011, size=100), out(5_000_011, 9_000_401),
    ]  # fmt: skip
    for handshake in (second[:3], second[1:3], second[2:3]):
        one = row(tmp_path, [*first(), *handshake, *second[3:]])
        assert one["lost_bytes_back"] == 200
    assert row(tmp_path, [*first()[:4], *first()[5:]])["lost_bytes_back"] == 20


def test_a_jump_that_no_network_carries_is_another_connection(tmp_path: Path) -> None:
    """A sequence number half a gigabyte on, a millisecond later, would be 4 Tbit/s."""
    far = [out(1, 1, size=10), out(500_000_001, 1, size=10)]
    assert row(tmp_path, far)["lost_bytes"] == 0
    assert row(tmp_path, [out(1, 1, size=10), out(1_000_001, 1, size=10)])["lost_bytes"] == 999_990


def test_both_ends_open_at_once(tmp_path: Path) -> None:
    """RFC 9293, 3.5, figure 7: a SYN of each, then a SYN-ACK of each with the same sequence number."""
    packets = [out(100, flags=SYN), back(300, flags=SYN), out(100, 301, SYN | ACK), back(300, 101, SYN | ACK), out(101, 301), back(301, 101)]  # fmt: skip
    one = row(tmp_path, packets)
    assert one[["retransmissions", "retransmissions_back", "lost_bytes"]].to_list() == [0, 0, 0]
    again = row(tmp_path, [*packets[:4], packets[2], *packets[4:]])
    assert again["retransmissions"] == 1


def test_out_of_order_at_the_start_of_a_capture(tmp_path: Path) -> None:
    """A segment from before the first that was seen was late; the same one once more was sent again."""
    packets = [back(2001, size=100), back(1901, size=100), back(2101, size=100)]
    one = row(tmp_path, packets)
    assert (one["late"], one["retransmissions"], one["lost_bytes"]) == (1, 0, 0)
    again = row(tmp_path, [*packets, packets[1]])
    assert (again["late"], again["retransmissions"], again["lost_bytes"]) == (1, 1, 0)
    opened = row(tmp_path, [back(2000, flags=SYN), back(2001, size=100), back(1901, size=100)])
    assert (opened["late"], opened["retransmissions"]) == (0, 1)


# ------------------------------------------------------------------------------- what proves that the other direction was

PROOFS = {
    "a reset": ([out(1, 900, RST | ACK)], False), "a last acknowledgement": ([out(1, 900)], False),
    "the same one three times": ([out(1, 900)] * 3, False), "data that acknowledges nothing new": ([out(1, 900, size=10), out(11, 900, size=10)], False),
    "a SYN-ACK, twice": ([out(1, 900, SYN | ACK)] * 2, False), "a SYN alone": ([out(1, flags=SYN)] * 2, False),
    "a SYN and a reset": ([out(1, flags=SYN), out(2, 900, RST | ACK)], False), "acknowledgement and reset": ([out(1, 900), out(1, 950, RST | ACK)], False),
    "a last acknowledgement, then a new SYN": ([out(1, 900), out(5_000_000, flags=SYN)], False),
    "an acknowledgement that moves on": ([out(1, 900), out(1, 950)], True), "one that wraps": ([out(1, 2**32 - 10), out(1, 90)], True),
    "a SYN and the handshake's end": ([out(1, flags=SYN), out(2, 900)], True), "one that moves back only": ([out(1, 900), out(1, 800)], False),
    "a SYN-ACK and its data's": ([out(1, 900, SYN | ACK), out(2, 950)], True),
}  # fmt: skip


@pytest.mark.parametrize("name", PROOFS)
def test_proof_is_an_acknowledgement_that_moves_on(name: str, tmp_path: Path) -> None:
    packets, proven = PROOFS[name]
    one = row(tmp_path, packets)
    seen = "acknowledges" if one["source"] == CLIENT[0] else "acknowledges_back"
    assert one[seen] == proven
    assert not (one["acknowledges"] and one["acknowledges_back"])


# ------------------------------------------------------------------------------------------------- one VNI among several


def test_a_part_of_a_capture_is_one_vni(tmp_path: Path) -> None:
    frames = [*mirrored(*talk()), *mirrored(*[one for place, one in enumerate(talk()) if place != 7], vni=12)]
    capture = read(tmp_path, pcap([*frames, ethernet(vxlan(ethernet(bytes(28), kind=0x0806), vni=12))], step=1.0))
    mine, other = capture.of(11), capture.of(12)
    assert (len(capture.gaps), len(mine.gaps), len(other.gaps)) == (1, 0, 1)
    assert other.gaps.at[0, "conversation"] == 0
    assert (mine.timeline["packets"].sum(), other.timeline["packets"].sum()) == (16, 15)
    assert capture.timeline["packets"].sum() == capture.count("in_conversations") == 31
    assert (capture.count("inner_arp", 11), capture.count("inner_arp", 12), capture.count("in_conversations", 12)) == (0, 1, 15)  # fmt: skip
    assert mine.window.end < other.window.start < other.window.end < capture.running.end  # type: ignore[union-attr]
    assert str(mine).startswith("16 mirrored packets in 1 conversations, VNI 11,")
    assert len(other.packets(0)) == 15
    assert capture.of(99).conversations.empty


CHECKS = [one for _ in range(3) for one in first()]  # a balancer's: connect, ask, close
SSH = [tcp("10.0.3.3", 50022, "10.0.9.9", 22, seq=1 + 1400 * number, size=1400) for number in range(20)]
OWN = {"health checks": CHECKS, "SSH": SSH, "both": [*CHECKS, *SSH], "a probe that is refused": [out(1, flags=SYN), back(0, 2, RST | ACK)]}  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_what_every_target_says_and_hears_leaves_an_empty_mirror_an_answer(name: str, tmp_path: Path) -> None:
    capture = read(tmp_path, pcap([ethernet(one) for one in OWN[name]]))
    assert capture.conversations.empty
    assert capture.count("outer_other_traffic") == len(OWN[name])
    path = tmp_path / "web.pcap"
    path.write_bytes(pcap([ethernet(one) for one in talk()]))
    assert read_capture(path, empty=True).count("outer_other_traffic") == 16
