"""Mirrors drawn: figures hold what the frames say, the explorer follows its knobs and opens a conversation."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from little_capture import mirrored, pcap, talk, udp

from netkit.core.errors import InputError
from netkit.mirror import beside_flow_logs, flows, parse_filter, read_capture, rule_coverage
from netkit.mirror.capture import Capture
from netkit.show import mirror_map, mirror_timeline, mirrored_beside_logged, packet_ladder, rule_grid
from netkit.show.mirrors import _Conversations, conversation_table, select_conversations


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    folder = tmp_path_factory.mktemp("ring")
    lossy = talk(client_port=40001)
    first = mirrored(*talk(), *lossy[:7], *lossy[8:])
    (folder / "mirror_00001_20231114221320.pcap").write_bytes(pcap(first))
    last = mirrored(*talk(client_port=40002), cut=400) + mirrored(udp("10.0.7.9", 5, "10.0.0.5", 53))
    (folder / "mirror_00002_20231114221420.pcap").write_bytes(pcap(last, start=1_700_000_060))
    return read_capture(folder)


def test_the_map_has_a_band_for_each_session() -> None:
    rows = [
        ("tms-1", "web", "eni-1", "tmt-1", "tmf-1", 1, None, 11),
        ("tms-2", "db", "eni-2", "tmt-1", "tmf-1", 2, 128, 12),
    ]
    sessions = pd.DataFrame(
        rows, columns=["session_id", "name", "interface_id", "target_id", "filter_id", "number", "packet_length", "vni"]
    )
    targets = pd.DataFrame(
        [("tmt-1", "analyser", "network-interface", "eni-9")], columns=["target_id", "name", "kind", "resource"]
    )
    (sankey,) = mirror_map(sessions, targets).data
    assert len(sankey.link.source) == 4
    assert [label for label in sankey.node.label if label.startswith("analyser")] == ["analyser (tmt-1…)"]
    assert "VNI 12, 128 bytes" in sankey.link.customdata[2]
    assert "whole packets" in sankey.link.customdata[0]
    assert "nothing is mirrored" in mirror_map(sessions[:0], targets).layout.annotations[0].text


def test_rules_and_flows(seen: Capture) -> None:
    mirror = parse_filter("tcp 80,443")
    rows = flows(seen.conversations, mirror, ["10.0.0.5"])
    cells = rule_grid(rule_coverage(rows, mirror)).data[0].cells.values
    assert list(cells[-1]) == ["seen", "seen", "not seen", "not seen"]
    assert list(cells[4])[:2] == [3, 3]
    log = pd.DataFrame(
        [("10.0.7.7", "10.0.0.5", 40000, 80, 6, 8, 620, 1_700_000_000, 1_700_000_050), ("10.0.7.8", "10.0.0.5", 9, 443, 6, 3, 99, 1_700_000_000, 1_700_000_050)],
        columns=["srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end"],
    )  # fmt: skip
    beside = beside_flow_logs(rows, log, mirror, ["10.0.0.5"], seen.window)
    figure = mirrored_beside_logged(beside)
    points = {one.name: len(one.x) for one in figure.data[1:]}
    assert points == {"seen by both": 1, "seen by capture": 5, "seen by flow log": 1}
    assert "no flow log" in mirrored_beside_logged(None).layout.annotations[0].text


def test_time_with_gaps_silence_and_alerts(seen: Capture) -> None:
    alerts = pd.DataFrame(
        {"time": [seen.window.start], "severity": pd.array([1], "Int64"), "signature": ["ET MALWARE"]}
    )  # type: ignore[union-attr]
    figure = mirror_timeline(seen, alerts)
    drawn = {one.name: one for one in figure.data}
    assert sum(drawn["packets"].y) == seen.count("in_conversations")
    assert sum(drawn["truncated packets"].y) == seen.count("truncated") > 0
    assert list(drawn["bytes lost"].customdata) == [1400]
    assert list(drawn["alert"].text) == ["ET MALWARE"]
    assert figure.layout.annotations[0].text == "silent"


@pytest.mark.parametrize(
    ("knobs", "left"),
    [
        ({}, 4), ({"protocol": "udp"}, 1), ({"port": 80}, 3), ({"port": 40001}, 1), ({"text": "10.0.7.9"}, 1), ({"text": "10.0.7.8/31"}, 1), ({"only": "lost"}, 1),
        ({"only": "truncated"}, 1), ({"only": "one way"}, 1), ({"only": "not complete"}, 0), ({"only": "retransmitted"}, 0),
    ],
)  # fmt: skip
def test_the_knobs_keep_what_they_say(seen: Capture, knobs: dict[str, object], left: int) -> None:
    assert len(select_conversations(seen.conversations, **knobs)) == left  # type: ignore[arg-type]


def test_a_knob_that_makes_no_sense(seen: Capture) -> None:
    with pytest.raises(InputError, match="no kind of conversation"):
        select_conversations(seen.conversations, only="strange")
    with pytest.raises(InputError, match="host bits"):
        select_conversations(seen.conversations, text="10.0.7.1/24")


def test_the_explorer_follows_its_knobs_and_opens_a_conversation(seen: Capture) -> None:
    explorer = _Conversations(seen, "", 0, "", "")
    explorer._choices(seen.conversations)
    assert explorer.open.value in (0, 1, 2)
    explorer.only.value = "lost"
    assert "application/vnd.plotly.v1+json" in explorer.view.outputs[0]["data"]
    assert explorer.view.msg_id == ""  # set, not captured: see widgets.fill
    assert explorer.help.value == "1 of 4 conversations"
    assert explorer.open.options[0][0] == "1: tcp 10.0.7.7:40001 → 10.0.0.5:80"
    explorer.text.value = "10.0.7.1/24"
    assert "host bits" in explorer.help.value
    assert explorer.open.value is None, "no old answer under a question that cannot be answered"
    explorer.text.value = "nowhere"
    assert explorer.open.value is None


def test_one_conversation_packet_by_packet(seen: Capture, tmp_path: Path) -> None:
    packets = seen.packets(0)
    assert len(packets) == 16
    assert packets["flags"].tolist()[:3] == ["SYN", "SYN ACK", "ACK"]
    assert packets["payload"].sum() == 5300
    assert packets["back"].sum() == 8
    figure = packet_ladder(packets)
    assert sum(len(one.x) for one in figure.data) == 16
    with pytest.raises(InputError, match="no conversation 99"):
        seen.packets(99)
    assert next(iter(conversation_table(seen.conversations)["source"])).startswith("10.0.7.7:4000")
