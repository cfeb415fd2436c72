"""Notebook 10 headless: each scenario named, an armed run made, proved and taken back, bad input told before anything is made."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from netkit.cloudwatch import read
from netkit.core.errors import NetkitError
from netkit.core.model import Finding
from netkit.core.plan import teardown
from netkit.core.session import connect
from netkit.runs import runbook
from netkit.runs.codes import unlisted
from netkit.sandbox.labs import cloudwatch as cloudwatch_lab

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks/10_cloudwatch_monitoring.ipynb"
FILES = ROOT / "parameters/sandbox"
LABS = {lab.name: lab for lab in cloudwatch_lab.LABS}
# What each lab teaches, as confirmed findings above info: code and severity, how many, and words of the first.
SCENARIOS: dict[str, list[tuple[str, str, int, str]]] = {
    "healthy": [],
    "alarm-firing": [
        ("CW-ALARM-FIRING", "high", 1, "alarm-firing-errors is in ALARM since 2026-11-19 09:55Z"),
        ("CW-ERROR-LINES", "medium", 1, "could not connect to 10.0.20.5:5432"),
        ("CW-METRIC-UNALARMED", "low", 1, "7 of 7 metrics that tell of trouble on the path have no alarm"),
    ],
    "agent-silent": [
        ("CW-AGENT-SILENT", "high", 2, "sends no metric"),
        ("CW-LOG-SILENT", "medium", 1, "1 of 3 hosts have no events"),
        ("CW-ALARM-NO-DATA", "medium", 4, "has no data to judge by"),
    ],
    "wrong-dimension": [
        ("CW-ALARM-FIRING", "high", 1, "wrong-dimension-errors"),
        ("CW-DIMENSION-MISMATCH", "high", 4, "it is sent with host=ip-10-0-10-2"),
        ("CW-ERROR-LINES", "medium", 1, "error lines"),
        ("CW-CONFLICT", "low", 1, "differs from what is asked for"),
        ("CW-AGENT-CONFIG", "low", 1, "AmazonCloudWatch-netkit-wrong-dimension"),
    ],
}


def run(out: Path, scenario: str = "alarm-firing", **values: str) -> list[Finding]:
    file = (
        FILES / "10_cloudwatch_monitoring.yaml" if scenario == "alarm-firing" else FILES / f"cloudwatch/{scenario}.yaml"
    )
    found = list(runbook.run(NOTEBOOK, file=file, pairs=list(values.items()), out=out, progress=False).findings)
    assert unlisted(found) == []
    return found


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_scenario_is_named(scenario: str, tmp_path: Path) -> None:
    found = [one for one in run(tmp_path, scenario) if one.status == "confirmed" and one.severity != "info"]
    seen = [(one.code, one.severity) for one in found]
    wanted = SCENARIOS[scenario]
    assert {(code, severity, seen.count((code, severity))) for code, severity in seen} == {line[:3] for line in wanted}
    for code, _, _, words in wanted:
        assert words in next(one for one in found if one.code == code).claim
    if scenario == "agent-silent":
        causes = json.dumps([one.evidence for one in found])
        assert "since 2026-11-19 12:59Z" in causes and "was never given the configuration" in causes
    if scenario == "wrong-dimension":
        told = json.dumps([one.evidence for one in found])
        assert "add append_dimensions" in told and "it would have fired" in told
        assert "metrics.append_dimensions is null" in told, "the plan shows what the configuration lacks"


def test_it_is_planned_made_proved_and_taken_back(tmp_path: Path) -> None:
    session = connect()
    lab = LABS["healthy"]
    before = _there(session)
    mine = {
        "parameter": "AmazonCloudWatch-mine", "namespace": "Mine", "log_group": "/mine/app", "alarm_prefix": "mine-", "topic": "mine-alarms",
        "dashboard": "mine", "rule": "mine-changes", "armed": True, "path": [f"nat-gateway {_gateway()}"],
        "values": [f"MetricName=ConnectionCount,Value=25,Unit=Count,Dimensions=InstanceId={next(iter(lab.instances))}"],
    }  # fmt: skip
    first = run(tmp_path / "first", "healthy", **mine)
    codes = {one.code: one.status for one in first}
    assert codes["CW-AGENT-SILENT"] == codes["CW-LOG-SILENT"] == "refuted", "the agents send by the new configuration"
    assert codes["CW-METRIC-UNALARMED"] == "confirmed"
    made = _there(session)
    assert len(made["alarms"]) == len(before["alarms"]) + 7 and "mine" in made["dashboards"]
    again = json.loads((tmp_path / "first/notebook.ipynb").read_text())
    runs = sorted({text for text in _texts(again) if text.startswith("nk-")})
    run(tmp_path / "second", "healthy", **mine)
    assert _there(session) == made, "nothing is made twice"
    sent = read.list_metrics(session, "netkit")
    assert {"Findings", "Runs"} <= set(sent["metric"]), "a nightly run can be alarmed on"
    assert read.list_metrics(session, "Mine", metric="ConnectionCount")["dimensions"].tolist() == [(("InstanceId", next(iter(lab.instances))),)]  # fmt: skip
    for run_id in runs:
        teardown(session, run_id, folder=ROOT / "runs/ledger", armed=True)
    after = _there(session)
    assert after | {"groups": before["groups"]} == before
    assert set(after["groups"]) - set(before["groups"]) == {"/mine/app"}, "a log group that holds streams stays"


def _gateway() -> str:
    from netkit.sandbox.world import world

    return world.ident("quiet", "nat-gateway", "nat")


def _there(session: Any) -> dict[str, Any]:
    return {
        "alarms": sorted(one["AlarmName"] for one in read.alarm_records(session)),
        "topics": sorted(one["TopicArn"] for one in session.pages("sns", "list_topics", "Topics")),
        "rules": sorted(one["Name"] for one in session.pages("events", "list_rules", "Rules")),
        "dashboards": sorted(one["DashboardName"] for one in session.pages("cloudwatch", "list_dashboards", "DashboardEntries")),
        "parameters": sorted(one["Name"] for one in session.pages("ssm", "describe_parameters", "Parameters")),
        "groups": sorted(read.log_groups(session)["group"]),
    }  # fmt: skip


def _texts(notebook: dict[str, Any]) -> list[str]:
    return re.findall(r"nk-[0-9a-f]{12}", json.dumps(notebook))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"retention_days": 42}, "nearest is 30"),
        ({"log_group": "aws/app"}, "begins with aws/"),
        ({"alarms": ["cpu: Average AWS/EC2 CPUUtilization per host > 70, 2 x 45s"]}, "a period of 45 s"),
        ({"path_ends": ["app-1"]}, "are no two ends"),
        ({"tag": "netkit:lab:no-such-lab"}, "there is no such instance"),
    ],
)
def test_bad_input_is_told_in_three_lines(values: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(NetkitError, match=says) as failed:
        run(tmp_path / "run", armed=True, **values)
    assert len(str(failed.value).splitlines()) <= 3
