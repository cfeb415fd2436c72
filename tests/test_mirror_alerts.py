"""Alerts: EVE in every layout and fast.log, counted lines, joined to conversations and flow-log records."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from little_capture import mirrored, pcap, talk

from netkit.core.errors import InputError, SourceError
from netkit.mirror.alerts import (
    COLUMNS,
    alert_findings,
    join_conversations,
    join_flow_logs,
    read_alerts,
    summary,
    watch,
)
from netkit.mirror.capture import read_capture

EVE = Path(__file__).parents[2] / "shared/data/captures/eve_alerts_honeypot-2018.json"
NEEDS_DATA = pytest.mark.skipif(not EVE.exists(), reason="../shared/data is absent")


def eve(
    signature: str = "ET MALWARE Beacon",
    *,
    severity: int = 1,
    when: str = "2023-11-14T23:13:20.010000+0100",
    **more: Any,
) -> dict[str, Any]:
    ends = {"src_ip": "10.0.0.5", "src_port": 80, "dest_ip": "10.0.7.7", "dest_port": 40000, "proto": "TCP"}
    alert = {
        "signature": signature,
        "signature_id": 2024001,
        "category": "A Network Trojan was detected",
        "severity": severity,
        "action": "allowed",
    }
    return {"timestamp": when, "flow_id": 1844674407370955161, "event_type": "alert", **ends, "alert": alert} | more


def lines(*entries: Any) -> bytes:
    return "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in entries).encode()


FAST = (
    "11/14/2023-22:13:20.010000  [**] [1:2024001:3] ET EXPLOIT [x] -> y [**] [Classification: Attempted Admin] [Priority: 1] {TCP} 10.0.0.5:80 -> 10.0.7.7:40000\n"
    "11/14/2023-22:13:21.000000  [Drop] [**] [1:9:1] ping [**] [Classification: (null)] [Priority: 3] {ICMP} 10.0.0.5:8 -> 10.0.7.7:0\n"
    "11/14/2023-22:13:22.000000  [**] [1:10:1] six [**] [Priority: 2] {UDP} 2001:0db8:0000:0000:0000:0000:0000:0005:53 -> 2001:db8::7:4000\n"
    "this is no line of Suricata's\n"
)


@NEEDS_DATA
def test_recorded_alerts_of_a_honeypot() -> None:
    alerts = read_alerts(EVE)
    assert (len(alerts.frame), alerts.malformed, alerts.unzoned) == (44, 0, 44)
    by = summary(alerts.frame, "category").set_index("category")["alerts"].to_dict()
    assert by == {
        "Misc Attack": 33,
        "Attempted Information Leak": 6,
        "Potentially Bad Traffic": 4,
        "Not Suspicious Traffic": 1,
    }
    assert summary(alerts.frame, "severity")[["severity", "alerts"]].values.tolist() == [[2, 43], [3, 1]]
    assert set(alerts.frame["protocol"]) == {6, 17}
    assert alerts.frame["time"].is_monotonic_increasing
    assert len(watch(alerts.frame)) == 0
    assert len(watch(alerts.frame, "sipvicious")) == 2
    found = alert_findings(alerts)
    assert len(found) == 11
    assert sum(one.evidence["alerts"] for one in found) == 44


@pytest.mark.parametrize("form", ["lines", "array", "pretty", "gzip"])
def test_every_layout_of_eve_gives_the_same(tmp_path: Path, form: str) -> None:
    entries = [
        eve(),
        eve("ET INFO b", severity=3, when="2023-11-14T22:13:20.5Z"),
        {"event_type": "dns"},
        {"event_type": "dns"},
    ]
    content = {
        "lines": lines(*entries), "array": json.dumps(entries).encode(), "pretty": json.dumps(entries, indent=2).encode(), "gzip": gzip.compress(lines(*entries)),
    }[form]  # fmt: skip
    path = tmp_path / "eve.json"
    path.write_bytes(content)
    alerts = read_alerts(path)
    assert list(alerts.frame) == list(COLUMNS)
    assert (len(alerts.frame), alerts.lines, dict(alerts.others), alerts.unzoned) == (2, 4, {"dns": 2}, 0)
    first = alerts.frame.iloc[0]
    assert first["time"].isoformat() == "2023-11-14T22:13:20.010000+00:00"
    assert first["flow_id"] == 1844674407370955161
    assert (first["source"], first["source_port"], first["protocol"]) == ("10.0.0.5", 80, 6)


def test_fast_log(tmp_path: Path) -> None:
    (tmp_path / "fast.log").write_text(FAST)
    alerts = read_alerts(tmp_path / "fast.log")
    assert (len(alerts.frame), alerts.malformed, alerts.unzoned) == (3, 1, 3)
    rows = alerts.frame.fillna({"source_port": -1}).to_dict("records")
    assert [(row["signature"], row["severity"], row["protocol"], row["source_port"], row["action"]) for row in rows] == [
        ("ET EXPLOIT [x] -> y", 1, 6, 80, "allowed"), ("ping", 3, 1, -1, "blocked"), ("six", 2, 17, 53, "allowed"),
    ]  # fmt: skip
    assert rows[2]["destination"] == "2001:db8::7"
    assert rows[1]["category"] == ""


def test_rotated_files_and_damage(tmp_path: Path) -> None:
    (tmp_path / "eve.json").write_bytes(
        lines(eve(), '{"event_type": "alert", "cut', "", {"no": "type"}, eve(timestamp="yesterday"), eve(src_port="x"))
    )
    (tmp_path / "eve.json.1").write_bytes(
        lines(eve("older", when="2023-11-13T00:00:00Z", tunnel={"src_ip": "10.9.9.9", "dest_ip": "10.9.9.1"}))
    )
    whole = gzip.compress(
        lines(*(eve(f"s{number}", when=f"2023-11-12T00:00:{number % 60:02d}.{number:06d}Z") for number in range(3000)))
    )
    (tmp_path / "eve.json.2.gz").write_bytes(whole[:-2000])
    alerts = read_alerts(tmp_path)
    assert alerts.malformed == 4
    assert len(alerts.frame) > 1000
    assert "gzip" in alerts.warnings[0]
    assert alerts.frame.iloc[-2]["outer_source"] == "10.9.9.9"
    assert read_alerts(str(tmp_path / "eve.json*")).lines == alerts.lines


def test_joined_to_conversations_and_flow_logs(tmp_path: Path) -> None:
    (tmp_path / "mirror.pcap").write_bytes(pcap(mirrored(*talk(client_port=39999), *talk())))
    conversations = read_capture(tmp_path / "mirror.pcap").conversations
    late = eve("late", when="2023-11-14T23:13:20Z")
    ping = eve("ping", proto="ICMP", src_port=None, dest_port=None)
    (tmp_path / "eve.json").write_bytes(lines(eve(), late, ping))
    alerts = read_alerts(tmp_path / "eve.json")
    joined = join_conversations(alerts.frame, conversations)
    assert joined.set_index("signature")["conversation"].fillna(-1).to_dict() == {
        "ET MALWARE Beacon": 1,
        "ping": -1,
        "late": -1,
    }
    records = pd.DataFrame(
        [("10.0.7.7", "10.0.0.5", 40000, 80, 6, 1_700_000_000, 1_700_000_030, "a"), ("10.0.0.5", "10.0.7.7", 80, 40000, 6, 1_700_000_000, 1_700_000_030, "b"),
         ("10.0.0.5", "10.0.7.7", 0, 0, 1, 1_700_000_000, 1_700_000_030, "c"), ("10.0.0.5", "10.0.7.7", 80, 40000, 6, 1_600_000_000, 1_600_000_030, "d")],
        columns=["srcaddr", "dstaddr", "srcport", "dstport", "protocol", "start", "end", "which"],
    )  # fmt: skip
    logged = join_flow_logs(alerts.frame, records)
    assert logged[["alert", "which"]].values.tolist() == [[0, "a"], [0, "b"], [1, "c"]]
    found = alert_findings(alerts, conversations=conversations, records=records)
    assert (found[0].code, found[0].severity, found[0].evidence["watched"]) == ("MIRROR-ALERT", "high", True)
    assert (found[0].evidence["conversations"], found[0].evidence["flow_log_records"]) == (1, 2)


def test_nothing_found_is_said_with_what_was_read(tmp_path: Path) -> None:
    (tmp_path / "eve.json").write_bytes(lines({"event_type": "flow"}, {"event_type": "stats"}))
    (one,) = alert_findings(read_alerts(tmp_path / "eve.json"))
    assert (one.code, one.status, one.coverage[0].rows) == ("MIRROR-ALERTS-NONE", "refuted", 2)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/eve.json").write_bytes(b"")
    (none,) = alert_findings(read_alerts(tmp_path / "empty"))
    assert none.status == "inconclusive"


def test_bad_input_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello\nworld\n")
    with pytest.raises(SourceError, match="no line of this file"):
        read_alerts(tmp_path / "notes.txt")
    with pytest.raises(InputError, match="no alert file"):
        read_alerts(tmp_path / "nothing.json")
    frame = pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS)
    with pytest.raises(InputError, match="no regular expression"):
        watch(frame, "(")
    with pytest.raises(InputError, match="not grouped by"):
        summary(frame, "colour")
