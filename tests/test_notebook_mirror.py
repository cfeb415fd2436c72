"""Notebooks 30 and 31 headless: every scenario names its fault and nothing else, on the sandbox and on captures of others."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from little_capture import ethernet, mirrored, pcap, talk, tcp

from netkit.core.errors import NetkitError
from netkit.core.model import Finding
from netkit.core.plan import teardown
from netkit.core.session import connect
from netkit.runs import runbook
from netkit.runs.codes import unlisted

ROOT = Path(__file__).parents[1]
PROVISION, VERIFICATION = (
    ROOT / f"notebooks/{name}.ipynb" for name in ("30_mirror_provision", "31_mirror_verification")
)
CAPTURES = ROOT.parent / "shared/data/captures"
ALONE = {"session": "", "flow_logs": "", "window_start": "", "window_end": ""}

# What each scenario has to be called, above info; and a number in its evidence that another source confirms.
SCENARIOS = {
    "right": [], "replies-missing": ["MIRROR-ONE-WAY"], "port-closed": ["MIRROR-EMPTY"], "wrong-vni": ["MIRROR-WRONG-VNI"],
    "truncated": ["MIRROR-TRUNCATED"], "second-session": ["MIRROR-STOLEN"], "loss": ["MIRROR-LOSS", "MIRROR-FLOW-LOG", "MIRROR-SKIPPED"],
}  # fmt: skip


def run(path: Path, out: Path, file: str = "", **values: str) -> dict[str, Finding]:
    chosen = ROOT / f"parameters/sandbox/{file}.yaml" if file else None
    found = runbook.run(path, file=chosen, pairs=list(values.items()), out=out, progress=False).findings
    assert unlisted(found) == []
    return {one.code: one for one in found}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_scenario_is_named(scenario: str, tmp_path: Path) -> None:
    found = run(VERIFICATION, tmp_path, f"mirror/{scenario}")
    faults = [code for code, one in found.items() if one.status == "confirmed" and one.at_least("low")]
    assert faults == SCENARIOS[scenario]
    if scenario == "right":
        assert found["MIRROR-AS-CONFIGURED"].evidence["rules_seen"] == 6
        assert (
            found["MIRROR-FLOW-LOG"].evidence["packets_mirrored"]
            == found["MIRROR-FLOW-LOG"].evidence["packets_logged"]
            > 1000
        )
    if scenario == "loss":
        lost = found["MIRROR-FLOW-LOG"].evidence
        skipped = found["MIRROR-SKIPPED"].evidence["packets_skipped"]
        assert lost["packets_logged"] - lost["packets_mirrored"] == skipped > 0
    if scenario == "port-closed":
        assert found["MIRROR-EMPTY"].evidence["causes"][0].startswith("security group of eni-")
        assert "udp/4789" in found["MIRROR-EMPTY"].evidence["causes"][0]
    if scenario == "second-session":
        assert "database-audit" in found["MIRROR-STOLEN"].claim or "tms-" in found["MIRROR-STOLEN"].claim


@pytest.mark.skipif(not CAPTURES.exists(), reason="../shared is not here: captures of others are read from it")
def test_captures_of_others_and_alerts(tmp_path: Path) -> None:
    alerts = CAPTURES / "eve_alerts_honeypot-2018.json"
    found = run(VERIFICATION, tmp_path, captures=str(CAPTURES), alerts=str(alerts), **ALONE)
    frames = sum(one["frames"] for one in json.loads((CAPTURES / "expected_inner_flows.json").read_text()))
    assert found["MIRROR-AS-CONFIGURED"].coverage[0].rows >= frames
    assert found["MIRROR-ALERT"].status == "confirmed"
    assert "without a session" in found["MIRROR-AS-CONFIGURED"].claim


def test_alerts_stand_on_the_axis_of_their_conversation(tmp_path: Path) -> None:
    (tmp_path / "ring").mkdir()
    (tmp_path / "ring/mirror_00001_20231114221320.pcap.gz").write_bytes(gzip.compress(pcap(mirrored(*talk()))))
    entry = {
        "timestamp": "2023-11-14T22:13:20.005Z", "event_type": "alert", "src_ip": "10.0.0.5", "src_port": 80, "dest_ip": "10.0.7.7", "dest_port": 40000,
        "proto": "TCP", "alert": {"signature": "ET MALWARE Beacon", "signature_id": 1, "category": "x", "severity": 1},
    }  # fmt: skip
    (tmp_path / "eve.json").write_text(json.dumps(entry) + "\n")
    values = ALONE | {"rules": '["web: tcp 80"]', "vni": "11", "addresses": '["10.0.0.5"]'}
    found = run(
        VERIFICATION, tmp_path / "out", captures=str(tmp_path / "ring"), alerts=str(tmp_path / "eve.json"), **values
    )
    assert found["MIRROR-ALERT"].severity == "high"
    assert found["MIRROR-ALERT"].evidence["conversations"] == 1
    assert found["MIRROR-AS-CONFIGURED"].evidence["rules_seen"] == 2
    report = (tmp_path / "out/report.html").read_text()
    assert "ET MALWARE Beacon" in report


def test_captures_without_a_session_are_compared_by_addresses(tmp_path: Path) -> None:
    """The packets that the session's own comparison lacks are lacking here too; a log of nobody's addresses is refused."""
    told = run(VERIFICATION, tmp_path / "a", "mirror/loss")["MIRROR-FLOW-LOG"]
    alone = run(VERIFICATION, tmp_path / "b", "mirror/loss", session="")["MIRROR-FLOW-LOG"]
    assert alone.status == told.status == "confirmed"
    assert alone.evidence["packets_lacking"] >= told.evidence["packets_lacking"] > 0
    with pytest.raises(NetkitError, match=r"no interface of this flow log has the address 192\.0\.2\.1"):
        run(VERIFICATION, tmp_path / "c", "mirror/loss", session="", addresses='["192.0.2.1"]')


def test_an_empty_mirror_is_an_answer_whatever_else_the_capture_holds(tmp_path: Path) -> None:
    (tmp_path / "ring").mkdir()
    ssh = [tcp("10.0.3.3", 50022, "10.0.9.9", 22, size=1400)] * 9
    (tmp_path / "ring/mirror.pcap").write_bytes(pcap([ethernet(one) for one in (*talk(), *ssh)]))
    found = run(VERIFICATION, tmp_path / "out", "mirror/port-closed", captures=str(tmp_path / "ring"))
    assert found["MIRROR-EMPTY"].status == "confirmed"
    assert found["MIRROR-EMPTY"].evidence["causes"][0].startswith("security group of eni-")


def test_silence_shows_in_the_notebook(tmp_path: Path) -> None:
    values = {"window_end": "2026-11-19T15:10:00Z", "flow_logs": ""}
    found = run(VERIFICATION, tmp_path, "mirror/right", **values)
    assert "2 hours 0 minutes ago" in found["MIRROR-SILENT"].claim


def test_a_mirror_is_planned_made_proved_and_taken_back(tmp_path: Path) -> None:
    session = connect()

    def there() -> list[str]:
        held = session.pages("ec2", "describe_traffic_mirror_sessions", "TrafficMirrorSessions")
        return [one["TrafficMirrorSessionId"] for one in held if {"Key": "Name", "Value": "test-watch"} in one["Tags"]]

    unarmed = run(PROVISION, tmp_path / "a", "30_mirror_provision", name="test-watch", prefix="test-watch")
    assert [(one.code, one.status) for one in unarmed.values()] == [("MIRROR-PREFLIGHT", "refuted")]
    assert there() == []
    armed = run(PROVISION, tmp_path / "b", "30_mirror_provision", name="test-watch", prefix="test-watch", armed="true")
    assert list(there()) == list(armed["MIRROR-IN-FORCE"].subject)
    assert armed["MIRROR-AS-CONFIGURED"].evidence["packets"] > 1000
    (run_id,) = {
        tag["Value"]
        for one in session.pages("ec2", "describe_traffic_mirror_sessions", "TrafficMirrorSessions")
        if one["TrafficMirrorSessionId"] in there()
        for tag in one["Tags"]
        if tag["Key"] == "netkit:run"
    }
    done = teardown(session, run_id, folder=ROOT / "runs/ledger", armed=True)
    assert there() == []
    assert len(done) >= 6


@pytest.mark.parametrize(
    ("path", "values", "says"),
    [
        (VERIFICATION, {"session": "no-such-mirror"}, "no mirror sessions are called 'no-such-mirror'"),
        (VERIFICATION, ALONE | {"captures": "README.md"}, "this is no capture"),
        (PROVISION, {"destination": "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/gwy/g/0123456789abcdef"}, "endpoint"),
    ],
)  # fmt: skip
def test_bad_input_is_told_in_three_lines(path: Path, values: dict[str, str], says: str, tmp_path: Path) -> None:
    with pytest.raises(NetkitError, match=says) as caught:
        run(path, tmp_path, f"{path.stem}", **values)
    assert len(str(caught.value).splitlines()) <= 3
