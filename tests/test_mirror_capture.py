"""Captures: every form of file, every envelope, and a count for all that is left out. Judges: the RFCs and real tshark."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from little_capture import ACK, FIN, SYN, ethernet, geneve, ip, mirrored, pcap, pcapng, talk, tcp, udp, vxlan

from netkit.core.errors import InputError, SourceError
from netkit.mirror import capture as reading
from netkit.mirror import conversations as summing
from netkit.mirror import pcap as files
from netkit.mirror.capture import Capture, read_capture
from netkit.mirror.decode import OUTCOMES
from netkit.mirror.streams import Streams

SHARED = Path(__file__).parents[2] / "shared/data/captures"


def read(folder: Path, *contents: bytes, name: str = "mirror.pcap", **how: bool) -> Capture:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, content in enumerate(contents):
        paths.append(folder / (name if number == 0 else f"{number}-{name}"))
        paths[-1].write_bytes(content)
    return read_capture(paths, **how)


def adds_up(capture: Capture) -> None:
    assert capture.count("frames") == sum(capture.count(name) for name in OUTCOMES)


FORMS = {
    "pcap": pcap,
    "big endian": lambda frames: pcap(frames, order=">"),
    "nanoseconds": lambda frames: pcap(frames, nano=True),
    "big endian, nanoseconds": lambda frames: pcap(frames, order=">", nano=True),
    "gzip": lambda frames: gzip.compress(pcap(frames)),
    "pcapng": pcapng,
    "pcapng, big endian": lambda frames: pcapng(frames, order=">"),
    "pcapng, nanoseconds": lambda frames: pcapng(frames, ticks=9),
    "pcapng, tenths of a nanosecond": lambda frames: pcapng(frames, ticks=10),
    "pcapng, two sections": lambda frames: pcapng(frames[:5]) + pcapng(frames[5:], order=">", start=1_700_000_000.005),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_file_gives_the_same_conversation(tmp_path: Path, form: str) -> None:
    frames = mirrored(*talk())
    capture = read(tmp_path, FORMS[form](frames))
    assert capture.warnings == ()
    adds_up(capture)
    (row,) = capture.conversations.to_dict("records")
    assert (row["vni"], row["outer_source"], row["outer_target"]) == (11, "10.0.0.5", "10.0.9.9")
    assert (row["source"], row["source_port"], row["destination"], row["destination_port"]) == (
        "10.0.7.7",
        40000,
        "10.0.0.5",
        80,
    )
    assert (row["packets"], row["packets_back"]) == (8, 8)
    assert (row["bytes"], row["bytes_back"]) == (8 * 40 + 300, 8 * 40 + 5000)
    assert row["handshake"] == "complete"
    assert (row["tcp_flags"], row["tcp_flags_back"]) == (SYN | ACK | FIN | 8, SYN | ACK | FIN | 8)
    assert row["lost_bytes"] == row["lost_bytes_back"] == row["retransmissions"] == row["truncated"] == 0
    assert row["first"].isoformat() == "2023-11-14T22:13:20+00:00"
    assert abs((row["last"] - row["first"]).total_seconds() - 0.015) < 1e-5


def test_blocks_join_wherever_they_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = mirrored(*talk(answers=40_000))
    for form in ("pcap", "gzip", "pcapng"):
        whole = read(tmp_path, FORMS[form](frames))
        for size in (50, 1000, 4096):
            with monkeypatch.context() as patch:
                patch.setattr(files, "BLOCK", size)
                pieces = read(tmp_path, FORMS[form](frames))
            assert pieces.conversations.equals(whole.conversations)
            assert pieces.counters.equals(whole.counters)


def test_a_ring_is_read_in_the_order_of_its_frames(tmp_path: Path) -> None:
    frames = mirrored(*talk())
    late, early = pcap(frames[8:], start=1_700_000_009), pcap(frames[:8])
    capture = read(tmp_path, late, early)
    assert list(capture.files["packets"]) == [8, 8]
    assert capture.files["first"].is_monotonic_increasing
    assert capture.conversations.at[0, "lost_bytes_back"] == 0
    assert capture.conversations.at[0, "late_back"] == 0


def test_envelopes(tmp_path: Path) -> None:
    inner = udp("10.1.1.1", 1111, "10.2.2.2", 53, b"question")
    copy = vxlan(ethernet(inner), vni=0xABCDEF, source="10.0.0.5", target="10.0.3.3")
    capture = read(
        tmp_path,
        pcap(
            [
                ethernet(copy),
                ethernet(copy, vlans=[5, 6]),
                ethernet(vxlan(ethernet(inner, vlans=[7]), vni=0xABCDEF, source="10.0.0.5", target="10.0.3.3")),
                ethernet(geneve(copy, kind=0x0800, options=bytes(12), source="10.0.8.8", target="10.0.9.9")),
                ethernet(geneve(ethernet(copy), kind=0x6558)),
                ethernet(vxlan(ethernet(inner), vni=0xABCDEF, source="2001:db8::5", target="2001:db8::9")),
                ethernet(geneve(ethernet(inner), kind=0x6558, vni=99)),
            ]
        ),
    )  # fmt: skip
    adds_up(capture)
    assert capture.count("geneve") == 3
    assert capture.count("inner_vlan") == 1
    rows = capture.conversations.set_index(["vni", "outer_source"])["packets"].to_dict()
    assert rows == {(0xABCDEF, "10.0.0.5"): 5, (0xABCDEF, "2001:db8::5"): 1, (99, "10.0.0.5"): 1}


@pytest.mark.parametrize(
    ("link", "before"), [(101, b""), (113, bytes(14) + b"\x08\x00"), (276, b"\x08\x00" + bytes(18)), (228, b"")]
)
def test_other_link_types(tmp_path: Path, link: int, before: bytes) -> None:
    frames = [before + frame[14:] for frame in mirrored(*talk())]
    capture = read(tmp_path, pcap(frames, link=link))
    assert capture.conversations.at[0, "packets"] == 8


def test_what_is_no_inner_ip_is_counted_by_its_kind(tmp_path: Path) -> None:
    packet = udp("10.1.1.1", 1, "10.2.2.2", 2)
    frames = [
        *mirrored(packet),
        ethernet(vxlan(ethernet(bytes(28), kind=0x0806))),
        ethernet(vxlan(ethernet(bytes(28), kind=0x88CC))),
        ethernet(vxlan(ethernet(packet[:12], kind=0x0800))),
        ethernet(vxlan(ethernet(b"\x4f" + packet[1:], kind=0x0800))),
        ethernet(vxlan(ethernet(packet), flags=0)),
        ethernet(udp("10.0.0.5", 1, "10.0.9.9", 4789, b"1234")),
        ethernet(bytes(28), kind=0x0806),
        ethernet(udp("10.0.0.5", 1, "10.0.9.9", 5353)),
        ethernet(ip("10.0.0.5", "10.0.9.9", 17, bytes(64), fragment=1480)),
        ethernet(vxlan(ethernet(packet)))[:30],
    ]
    capture = read(tmp_path, pcap(frames))
    adds_up(capture)
    counted = {name: capture.count(name) for name in OUTCOMES if capture.count(name)}
    assert counted == {
        "in_conversations": 1, "inner_arp": 1, "inner_not_ip": 1, "inner_cut_short": 1, "inner_damaged": 1, "vxlan_without_vni": 1,
        "envelope_cut_short": 1, "outer_not_ip": 1, "outer_other_traffic": 1, "outer_later_fragments": 1, "outer_cut_short": 1,
    }  # fmt: skip


def test_the_mirrors_cut_and_the_captures_cut_are_told_apart(tmp_path: Path) -> None:
    inner = ethernet(tcp("10.0.0.5", 80, "10.0.7.7", 40000, size=1000))
    by_mirror = read(tmp_path / "a", pcap([ethernet(vxlan(inner, cut=128)), ethernet(vxlan(inner))]))
    row = by_mirror.conversations.iloc[0]
    assert (row["truncated"], row["truncated_by_capture"], row["truncated_to"], row["bytes"]) == (1, 0, 128, 2080)
    by_capture = read(tmp_path / "b", pcap([ethernet(vxlan(inner))] * 2, snap=128))
    row = by_capture.conversations.iloc[0]
    assert (row["truncated"], row["truncated_by_capture"], row["packets"], row["bytes"]) == (0, 2, 2, 2080)
    assert row["tcp_flags"] == ACK


def test_fragments_inside_find_their_conversation(tmp_path: Path) -> None:
    for source, other in (("10.1.1.1", "10.2.2.2"), ("2001:db8::1", "2001:db8::2")):
        datagram = bytes.fromhex("0457") + bytes.fromhex("0035") + (8 + 2000).to_bytes(2) + bytes(2) + bytes(2000)
        pieces = [
            ip(source, other, 17, datagram[:1000], more=True),
            ip(source, other, 17, datagram[1000:], fragment=1000),
        ]
        alone = ip(source, other, 17, bytes(100), fragment=800, ident=9)
        capture = read(tmp_path, pcap(mirrored(*pieces, alone)))
        rows = capture.conversations
        assert list(rows["packets"]) == [2, 1]
        assert list(rows["source_port"].fillna(-1)) == [1111, -1]
        assert capture.count("inner_fragments") == 3
        assert capture.count("inner_fragments_alone") == 1


def test_a_fragmented_tcp_segment_leaves_no_hole(tmp_path: Path) -> None:
    whole = tcp("10.0.0.5", 80, "10.0.7.7", 40000, seq=5, size=2000)[20:]
    packets = [
        ip("10.0.0.5", "10.0.7.7", 6, whole[:1000], more=True), ip("10.0.0.5", "10.0.7.7", 6, whole[1000:], fragment=1000),
        tcp("10.0.0.5", 80, "10.0.7.7", 40000, seq=2005, size=10),
    ]  # fmt: skip
    row = read(tmp_path, pcap(mirrored(*packets))).conversations.iloc[0]
    assert (row["packets"], row["lost_bytes"], row["retransmissions"]) == (3, 0, 0)


def test_outer_fragments_are_named(tmp_path: Path) -> None:
    copy = vxlan(ethernet(tcp("10.0.0.5", 80, "10.0.7.7", 40000, size=1400)))
    frames = [
        ethernet(ip("10.0.0.5", "10.0.9.9", 17, copy[20:1020], more=True)), ethernet(ip("10.0.0.5", "10.0.9.9", 17, copy[1020:], fragment=1000)),
    ]  # fmt: skip
    capture = read(tmp_path, pcap(frames))
    adds_up(capture)
    assert (capture.count("outer_fragments"), capture.count("outer_later_fragments")) == (1, 1)
    assert capture.conversations.at[0, "bytes"] == 1440
    assert capture.conversations.at[0, "truncated"] == 0


HANDSHAKES = {
    "complete": [(True, SYN), (False, SYN | ACK), (True, ACK)], "not finished": [(True, SYN), (False, SYN | ACK)],
    "refused": [(True, SYN), (False, 4 | ACK)], "no answer": [(True, SYN), (True, SYN)], "answer only": [(False, SYN | ACK), (False, ACK)],
    "request only": [(True, SYN), (True, ACK), (False, ACK)], "not seen": [(True, ACK), (False, ACK)],
}  # fmt: skip


@pytest.mark.parametrize("outcome", HANDSHAKES)
def test_handshakes(tmp_path: Path, outcome: str) -> None:
    packets = [
        tcp("10.9.9.9", 5000, "10.0.0.5", 80, seq=1, flags=flags) if out else tcp("10.0.0.5", 80, "10.9.9.9", 5000, seq=9, ack=2, flags=flags)
        for out, flags in HANDSHAKES[outcome]
    ]  # fmt: skip
    row = read(tmp_path, pcap(mirrored(*packets))).conversations.iloc[0]
    assert (row["handshake"], row["source"]) == (outcome, "10.9.9.9")


# ----------------------------------------------------------------------------------------------- damage, and bad input


def test_a_cut_off_last_packet_is_counted(tmp_path: Path) -> None:
    content = pcap(mirrored(*talk()))
    for cut in (1, 15, 16, 17, 100):
        capture = read(tmp_path, content[: -len(mirrored(talk()[-1])[0]) - 16 + cut])
        assert capture.count("in_conversations") == 15
        assert capture.count("frames_cut_off") == 1
        assert "cut off" in capture.warnings[0]
    capture = read(tmp_path, pcapng(mirrored(*talk()))[:-5])
    assert (capture.count("in_conversations"), capture.count("frames_cut_off")) == (15, 1)


def test_a_damaged_header_ends_the_file_with_a_count(tmp_path: Path) -> None:
    frames = mirrored(*talk())
    content = bytearray(pcap(frames))
    at = 24 + sum(16 + len(frame) for frame in frames[:10])
    content[at + 8 : at + 12] = b"\xff\xff\xff\x7f"
    capture = read(tmp_path, bytes(content))
    assert capture.count("in_conversations") == 10
    left = capture.counters.set_index("counter").at["damaged_bytes", "bytes"]
    assert left == len(content) - at
    assert "damaged" in capture.warnings[0]
    blocks = bytearray(pcapng(frames))
    at = len(pcapng(frames[:10]))
    blocks[at + 4 : at + 8] = (13).to_bytes(4, "little")
    assert read(tmp_path, bytes(blocks)).count("in_conversations") == 10


def test_a_length_that_cannot_be_is_counted_and_the_frame_kept(tmp_path: Path) -> None:
    content = bytearray(pcap(mirrored(*talk())))
    content[24 + 12 : 24 + 16] = (5).to_bytes(4, "little")
    capture = read(tmp_path, bytes(content))
    assert (capture.count("wrong_length"), capture.count("in_conversations")) == (1, 16)


def test_damaged_gzip_keeps_what_came_before(tmp_path: Path) -> None:
    content = gzip.compress(pcap(mirrored(*talk(answers=400_000))))
    capture = read(tmp_path, content[: len(content) // 2])
    assert 0 < capture.count("in_conversations") < len(talk(answers=400_000))
    assert any("gzip" in one for one in capture.warnings)


def test_the_hosts_own_drops_are_taken_over(tmp_path: Path) -> None:
    assert read(tmp_path, pcapng(mirrored(*talk()), dropped=12)).count("capture_dropped") == 12


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"no capture at all", "no capture"),
        (gzip.compress(b"no capture", mtime=0), "no capture"),
        (pcap([bytes(40)], link=105), "link type 105"),
        (pcapng([bytes(40)], links=(105, 249)), "link type 105"),
        (pcap([frame[50:] for frame in mirrored(*talk())]), "no mirrored packet, but 16 others: tcp/80"),
    ],
)
def test_a_file_of_something_else_is_refused_in_three_lines(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(SourceError, match=says) as caught:
        read(tmp_path, content)
    assert len(str(caught.value).splitlines()) <= 3


def test_a_ring_with_a_file_missing(tmp_path: Path) -> None:
    names = [f"mirror_0000{number}_2026111908000{number}.pcap" for number in (1, 2, 4, 5)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(pcap(mirrored(*talk(client_port=40000 + number)), start=1_700_000_000 + number))
    with pytest.raises(SourceError, match="the ring lacks mirror_00003"):
        read_capture(tmp_path)
    capture = read_capture(tmp_path, incomplete=True)
    assert len(capture.conversations) == 4
    assert capture.warnings == ("the ring lacks mirror_00003",)
    (tmp_path / "mirror_00001_20261119090000.pcap").write_bytes(pcap([], start=1))  # begun again: counts from 1
    with pytest.raises(SourceError, match="the ring lacks mirror_00003"):
        read_capture(tmp_path)


def test_the_newest_file_of_a_ring_may_be_empty_yet(tmp_path: Path) -> None:
    (tmp_path / "mirror_00001_20261119080001.pcap").write_bytes(pcap(mirrored(*talk())))
    (tmp_path / "mirror_00002_20261119080002.pcap").write_bytes(b"")
    capture = read_capture(tmp_path)
    assert capture.count("in_conversations") == 16
    assert capture.warnings == ("mirror_00002_20261119080002.pcap: nothing is in it yet",)


KINDS = (
    pcap,
    pcapng,
    lambda frames: pcap(frames, order=">"),
    lambda frames: pcapng(frames, order=">", ticks=9, dropped=3),
)


@given(
    st.sampled_from(range(len(KINDS))),
    st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 255), st.integers(0, 3)), min_size=1, max_size=20),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_is_damaged_every_frame_is_counted(
    tmp_path: Path, kind: int, damage: list[tuple[int, int, int]]
) -> None:
    """Bytes changed, taken out and put in anywhere: an answer that adds up, or a refusal; never an exception of another kind."""
    content = bytearray(KINDS[kind]([*mirrored(*talk()), ethernet(geneve(vxlan(ethernet(talk()[0])), kind=0x0800))]))
    for place, value, what in damage:
        at = place % len(content)
        content[at : at + (what != 3)] = [bytes([value]), b"", bytes([value]) * 3, bytes([value])][what]
    try:
        capture = read(tmp_path, bytes(content))
    except SourceError:
        return
    adds_up(capture)
    conversations = capture.conversations
    assert (conversations["packets"] + conversations["packets_back"]).sum() == capture.count("in_conversations")
    assert str(capture)


@pytest.mark.parametrize("paths", ["nothing-here.pcap", "nothing-*.pcap", []])
def test_no_file_is_told(paths: object) -> None:
    with pytest.raises(InputError):
        read_capture(paths)  # type: ignore[arg-type]


def test_an_empty_capture_keeps_its_columns(tmp_path: Path) -> None:
    capture = read(tmp_path, pcap([]))
    assert list(capture.conversations) == list(reading.COLUMNS)
    assert capture.conversations.empty
    assert capture.window is None
    noise = read(
        tmp_path, pcap([ethernet(bytes(28), kind=0x0806), ethernet(udp("10.0.0.1", 5353, "224.0.0.251", 5353))])
    )
    assert str(noise) == "2 frames, none of them mirrored"


# --------------------------------------------------------------------------------------------------------- TCP streams


def test_loss_repeats_and_late_packets(tmp_path: Path) -> None:
    packets = talk(answers=14_000)
    # Segments of the answer stand at 5, 7, 9, ...; one is lost, one comes twice, one comes after the next.
    order = [*packets[:7], *packets[9:11], packets[9], packets[15], *packets[11:15], *packets[16:]]
    row = read(tmp_path, pcap(mirrored(*order))).conversations.iloc[0]
    assert row["lost_bytes_back"] == 1400
    assert row["retransmissions_back"] == 1
    assert row["late_back"] == 2
    capture = read(tmp_path, pcap(mirrored(*order)))
    assert capture.gaps[["back", "bytes"]].to_dict("records") == [{"back": True, "bytes": 1400}]
    assert capture.timeline["lost_bytes"].sum() == 1400


def test_loss_at_the_end_shows_in_what_the_other_side_acknowledged(tmp_path: Path) -> None:
    packets = talk(answers=2800)
    without = [one for place, one in enumerate(packets) if place not in (7, 9, 11)]
    row = read(tmp_path, pcap(mirrored(*without))).conversations.iloc[0]
    assert row["lost_bytes_back"] == 1401  # the second segment, and the FIN


def test_a_port_used_again_is_a_new_stream(tmp_path: Path) -> None:
    again = [
        tcp("10.0.7.7", 40000, "10.0.0.5", 80, seq=3_000_000_000, flags=SYN),
        tcp("10.0.7.7", 40000, "10.0.0.5", 80, seq=3_000_000_001, size=50),
    ]
    row = read(tmp_path, pcap(mirrored(*talk(), *again))).conversations.iloc[0]
    assert (row["lost_bytes"], row["retransmissions"]) == (0, 0)


def test_keep_alives_are_no_retransmissions(tmp_path: Path) -> None:
    packets = [
        tcp("10.0.7.7", 40000, "10.0.0.5", 80, seq=at, size=size) for at, size in ((1, 10), (10, 1), (10, 0), (11, 5))
    ]
    row = read(tmp_path, pcap(mirrored(*packets))).conversations.iloc[0]
    assert (row["retransmissions"], row["lost_bytes"]) == (0, 0)


@st.composite
def segments(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    """A first sequence number, and (offset, size) of segments in the order in which they came."""
    first = draw(st.one_of(st.integers(0, 2**32 - 1), st.just(2**32 - 50)))
    return first, draw(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 30)), min_size=1, max_size=30))


@given(segments(), st.integers(1, 7))
def test_holes_are_what_a_plain_account_of_every_byte_says(
    given: tuple[int, list[tuple[int, int]]], pieces: int
) -> None:
    import numpy as np

    isn, came = given
    streams = Streams()
    for at in range(0, len(came), pieces):
        some = np.array(came[at : at + pieces], np.int64)
        size = len(some)
        streams.add(
            np.full(size, 3),
            (isn + some[:, 0]) % 2**32,
            some[:, 1],
            np.full(size, ACK),
            np.zeros(size, np.int64),
            np.arange(size),
        )
    seen, top, low = set[int](), came[0][0], came[0][0]
    repeated = late = 0
    for start, size in came:
        new = set(range(start, start + size)) - seen
        behind = {byte for byte in range(start, min(start + size, top)) if byte >= low and byte not in seen}
        early = {
            byte for byte in new if byte < low
        }  # from before the first that was seen: late, but no hole is known of it
        if start < top and size and not (size == 1 and start == top - 1):
            late, repeated = late + bool(behind or early), repeated + (not (behind or early))
        seen |= new
        top = max(top, start + size, start)
    missing = {byte for byte in range(low, top) if byte not in seen}
    holes = [byte for hole in streams.left(3) for byte in range(hole.start + low, hole.end + low)]
    assert sorted(holes) == sorted(missing)
    assert (streams.repeated[3], streams.late[3]) == (repeated, late)


def test_a_hash_that_deceives_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    rows = np.random.default_rng(1).integers(0, 3, (500, len(summing._KEY))).astype(np.uint64)
    monkeypatch.setattr(summing.pd, "factorize", lambda values: (np.zeros(len(values), np.int64), None))
    codes, first = summing._grouped(rows)
    assert (rows[first][codes] == rows).all()
    assert len(first) == len(np.unique(rows, axis=0))


def test_the_timeline_gets_coarser_before_it_gets_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_SLOTS", 8)
    capture = read(tmp_path, pcap(mirrored(*talk(answers=40_000)), step=1.0))
    assert (capture.step, len(capture.timeline)) == (16, 5)
    assert capture.timeline["packets"].sum() == capture.count("in_conversations")


# ------------------------------------------------------------------------------------------------------- real tshark


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_sees_the_same_packets_in_our_fixtures(tmp_path: Path) -> None:
    """Our builder is held to a judge too: what tshark calls inner TCP, UDP and retransmission is what we count."""
    packets = talk(answers=14_000)
    order = [*packets[:7], *packets[9:11], packets[9], *packets[11:], udp("10.1.1.1", 9, "10.2.2.2", 9)]
    path = tmp_path / "mirror.pcap"
    path.write_bytes(pcap(mirrored(*order)))
    shown = subprocess.run(
        ["tshark", "-r", path, "-Y", "vxlan.vni == 11", "-T", "fields", "-E", "occurrence=l", "-e", "ip.src", "-e", "tcp.len", "-e", "udp.dstport"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    capture = read_capture(path)
    assert len(shown) == capture.count("in_conversations")
    sent = sum(int(line.split("\t")[1] or 0) for line in shown if line.startswith("10.0.0.5"))
    row = capture.conversations.iloc[0]
    assert row["bytes_back"] - 40 * row["packets_back"] == sent
    assert row["lost_bytes_back"] == 1400
