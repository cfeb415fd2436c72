"""What arrived of what a configuration promises, what alarms see of it, and the findings that say so."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from netkit.cloudwatch import proof
from netkit.cloudwatch.agent import AgentConfig
from netkit.core.model import Finding, Window
from netkit.runs.answer import events

DAY = Window.parse("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z")
WEB, APP = "i-00000000000000001", "i-00000000000000002"
HOSTS = pd.DataFrame(
    {
        "instance_id": [WEB, APP],
        "name": ["web", "app"],
        "state": "running",
        "private_dns": ["ip-10-0-1-10.ec2.internal", "ip-10-0-1-11.ec2.internal"],
        "address": ["10.0.1.10", "10.0.1.11"],
        "profile": "arn:aws:iam::123456789012:instance-profile/web",
        "managed": True,
        "ping": "Online",
    }
)
CONFIG: dict[str, Any] = {
    "agent": {"metrics_collection_interval": 60, "run_as_user": "cwagent"},
    "metrics": {
        "namespace": "Shop",
        "append_dimensions": {"InstanceId": "${aws:InstanceId}"},
        "metrics_collected": {"mem": {"measurement": ["mem_used_percent"]}, "disk": {"measurement": ["used_percent"], "resources": ["*"]}},
    },
    "logs": {
        "logs_collected": {
            "files": {"collect_list": [{"file_path": "/var/log/httpd/access_log", "log_group_name": "/shop", "log_stream_name": "{instance_id}"}]}
        }
    },
}  # fmt: skip
HOSTLESS = CONFIG | {"metrics": {name: value for name, value in CONFIG["metrics"].items() if name != "append_dimensions"}}  # fmt: skip


def listed(*rows: tuple[str, dict[str, str]]) -> pd.DataFrame:
    made = [("Shop", metric, tuple(sorted(dims.items()))) for metric, dims in rows]
    return pd.DataFrame(made, columns=["namespace", "metric", "dimensions"])


def full(instance: str) -> list[tuple[str, dict[str, str]]]:
    disk = {"path": "/", "device": "xvda1", "fstype": "xfs"}
    return [("mem_used_percent", {"InstanceId": instance}), ("disk_used_percent", {"InstanceId": instance, **disk}), ("disk_used_percent", {"InstanceId": instance, **disk, "path": "/data"})]  # fmt: skip


def points(**ends: str) -> pd.DataFrame:
    """By label the minutes of the day at which a point came: "0-1439", or "" for none."""
    rows = []
    for label, span in ends.items():
        first, _, last = span.partition("-")
        rows += [(label.removeprefix("r"), DAY.start + pd.Timedelta(minutes=at), 1.0, 60) for at in range(int(first), int(last) + 1)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["label", "time", "value", "period_s"])
    return frame.assign(time=pd.to_datetime(frame["time"], utc=True))


def arrived(config: dict[str, Any], hosts: pd.DataFrame, there: pd.DataFrame, seen: pd.DataFrame) -> pd.DataFrame:
    expected = proof.promised(config, hosts, there)
    return proof.arrivals(config, hosts, expected, seen, DAY)


def codes(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.code, one.status) for one in findings]


def test_a_host_whose_metrics_all_come_is_well() -> None:
    there = listed(*full(WEB), *full(APP))
    expected = proof.promised(CONFIG, HOSTS, there)
    assert expected[["instance_id", "metric", "others", "waited"]].values.tolist() == [
        [WEB, "mem_used_percent", 0, True], [WEB, "disk_used_percent", 1, True],
        [APP, "mem_used_percent", 0, True], [APP, "disk_used_percent", 1, True],
    ]  # fmt: skip
    found = proof.arrivals(CONFIG, HOSTS, expected, points(r0="0-1439", r1="0-1439", r2="0-1439", r3="5-1439"), DAY)
    assert found["state"].tolist() == ["arrived"] * 4
    assert found["first"].iloc[3] == pd.Timestamp("2026-11-19T00:05Z")
    assert found["last"].iloc[0] == pd.Timestamp("2026-11-19T23:59Z")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({}, "others with it do send"),
        ({"state": "stopped"}, "the instance is stopped"),
        ({"profile": ""}, "no instance profile"),
        ({"managed": False, "ping": ""}, "Systems Manager does not know it"),
        ({"ping": "ConnectionLost"}, "says ConnectionLost"),
    ],
)
def test_a_silent_host_has_the_likeliest_cause(change: dict[str, Any], cause: str) -> None:
    hosts = HOSTS.copy()
    for name, value in change.items():
        hosts[name] = hosts[name].astype(object)
        hosts.loc[1, name] = value
    found = arrived(CONFIG, hosts, listed(*full(WEB), *full(APP)), points(r0="0-1439", r1="0-1439", r2="0-700", r3="0-700"))  # fmt: skip
    assert found["state"].tolist() == ["arrived", "arrived", "stopped", "stopped"]
    assert cause in found["cause"].iloc[2] and "since 2026-11-19 11:40Z" in found["cause"].iloc[2]
    (finding, *_) = proof.agent_findings(found, DAY)
    assert (finding.code, finding.status, finding.subject) == ("CW-AGENT-SILENT", "confirmed", (APP,))
    assert "since 2026-11-19 11:40Z" in finding.claim and finding.next_step


def test_a_plugin_that_does_not_run_is_not_the_whole_agent() -> None:
    there = listed(*full(WEB), ("mem_used_percent", {"InstanceId": APP}))
    found = arrived(CONFIG, HOSTS, there, points(r0="0-1439", r1="0-1439", r2="0-1439"))
    assert found["state"].tolist() == ["arrived", "arrived", "arrived", "missing"]
    assert "sends other metrics" in found["cause"].iloc[3]
    (finding, *_) = proof.agent_findings(found, DAY)
    assert (finding.severity, finding.subject) == ("medium", (APP,)) and "1 of 2" in finding.claim


def test_nobody_sends_and_an_empty_account_says_so() -> None:
    found = arrived(CONFIG, HOSTS, listed(), points())
    assert found["state"].eq("missing").all() and found["cause"].str.contains("no host with this configuration sends").all()  # fmt: skip


def test_metrics_by_host_name_are_found_and_called_unnamed() -> None:
    there = listed(("mem_used_percent", {"host": "ip-10-0-1-10"}), ("disk_used_percent", {"host": "ip-10-0-1-10", "path": "/"}), ("mem_used_percent", {"host": "ip-10-0-1-99"}))  # fmt: skip
    found = arrived(HOSTLESS, HOSTS, there, points(r0="0-1439", r1="0-1439"))
    assert found["state"].tolist() == ["unnamed", "unnamed", "missing", "missing"]
    assert "append_dimensions" in found["cause"].iloc[0]


def streams(**last: str) -> pd.DataFrame:
    rows = [("/shop", name.replace("_", "-"), "2026-11-18T01:00Z", at) for name, at in last.items()]
    frame = pd.DataFrame(rows, columns=["group", "stream", "first", "last"])
    return frame.assign(first=pd.to_datetime(frame["first"], utc=True), last=pd.to_datetime(frame["last"], utc=True))


def test_a_log_without_its_stream_names_the_user_that_may_not_read_it() -> None:
    there = streams(**{WEB: "2026-11-19T23:59Z"})
    there["stream"] = [WEB]
    logs = proof.log_arrivals(CONFIG, HOSTS, there, DAY)
    assert logs["state"].tolist() == ["arrived", "missing"]
    assert "cwagent, which may not be allowed to read /var/log/httpd/access_log" in logs["cause"].iloc[1]
    well = arrived(CONFIG, HOSTS, listed(*full(WEB), *full(APP)), points(r0="0-1439", r1="0-1439", r2="0-1439", r3="0-1439"))  # fmt: skip
    findings = [*proof.agent_findings(well, DAY), *proof.log_findings(logs, DAY)]
    assert codes(findings) == [("CW-AGENT-SILENT", "refuted"), ("CW-LOG-SILENT", "confirmed")]


@pytest.mark.parametrize(("silent", "groups"), [(("app",), 1), (("app", "web"), 3)])
def test_a_silent_host_and_its_silent_log_are_one_event(silent: tuple[str, ...], groups: int) -> None:
    gone = {"app": APP, "web": WEB}
    rows = [(host, "mem", "missing" if host in [gone[one] for one in silent] else "arrived") for host in (WEB, APP)]
    found = pd.DataFrame(rows, columns=["instance_id", "metric", "state"]).assign(last=DAY.end, cause="it is silent")
    logs = found.rename(columns={"metric": "source"}).assign(group="/shop/web")
    findings = [*proof.agent_findings(found, DAY), *proof.log_findings(logs, DAY)]
    assert len(findings) == len(silent) + 1
    assert len(events(findings)) == groups


def test_a_stream_that_only_the_host_can_name_is_unknown() -> None:
    config = AgentConfig.of(["mem"], {"/var/log/app.log": "/shop/{hostname}"}).document()
    logs = proof.log_arrivals(config, HOSTS, streams(), DAY)
    assert logs["state"].eq("unknown").all() and logs["cause"].str.contains("on the host only").all()


def alarm(name: str, metric: str, dims: dict[str, str], state: str = "OK", **more: Any) -> dict[str, Any]:
    return {
        "AlarmName": name, "Namespace": "Shop", "MetricName": metric, "StateValue": state, "StateReason": "why", "EvaluationPeriods": 1,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dims.items()], **more,
    }  # fmt: skip


def test_an_alarm_that_waits_for_other_dimensions_is_told_apart_from_one_on_nothing() -> None:
    there = listed(("mem_used_percent", {"host": "ip-10-0-1-10"}), ("mem_used_percent", {"host": "ip-10-0-1-11"}))
    records = [
        alarm("by-id", "mem_used_percent", {"InstanceId": WEB}),
        alarm("other-host", "mem_used_percent", {"host": "ip-10-0-1-77"}),
        alarm("seen", "mem_used_percent", {"host": "ip-10-0-1-11"}),
        alarm("nothing", "no_such_metric", {"InstanceId": WEB}),
        {"AlarmName": "both", "AlarmRule": 'ALARM("by-id") OR ALARM("seen")'},
    ]
    seen = proof.sights(records, there, HOSTLESS)
    assert seen.set_index("alarm")["state"].to_dict() == {
        "by-id": "other-dimensions", "other-host": "other-values", "seen": "seen", "nothing": "absent",
    }  # fmt: skip
    first = seen.iloc[0]
    assert first["sent_with"] == (("host", "ip-10-0-1-10"),) and "add append_dimensions" in first["cause"]


def test_every_state_of_alarms_has_its_finding() -> None:
    from netkit.cloudwatch import read

    records = [
        alarm("a-firing", "mem_used_percent", {"InstanceId": WEB}, "ALARM", StateUpdatedTimestamp="2026-11-19T10:04:00Z", AlarmActions=["arn:aws:sns:us-east-1:123456789012:t"]),
        alarm("b-blind", "mem_used_percent", {"host": "x"}, "INSUFFICIENT_DATA", AlarmActions=["arn:aws:sns:us-east-1:123456789012:t"]),
        alarm("c-empty", "no_such", {}, "INSUFFICIENT_DATA", ActionsEnabled=False, AlarmActions=["arn:aws:sns:us-east-1:123456789012:t"]),
        alarm("d-ok", "mem_used_percent", {"InstanceId": WEB}, "OK"),
    ]  # fmt: skip
    seen = proof.sights(records, listed(*full(WEB)), CONFIG)
    findings = proof.alarm_findings(read.alarms(records), seen, DAY, would={"b-blind": "it would have fired"})
    assert codes(findings) == [(code, "confirmed") for code in ("CW-ALARM-FIRING", "CW-DIMENSION-MISMATCH", "CW-ALARM-NO-DATA", "CW-ALARM-MUTE")]  # fmt: skip
    assert "since 2026-11-19 10:04Z" in findings[0].claim
    assert "it would have fired" in findings[1].evidence["seen"]
    assert findings[3].evidence["seen"] == ["c-empty", "d-ok"]


def test_no_alarm_is_not_the_same_as_all_is_well() -> None:
    from netkit.cloudwatch import read

    none = proof.alarm_findings(read.alarms([]), proof.sights([], listed()), DAY)
    assert codes(none) == [("CW-ALARM-FIRING", "inconclusive")]
    well = [alarm("ok", "mem_used_percent", {"InstanceId": WEB}, AlarmActions=["arn:aws:sns:us-east-1:123456789012:t"])]
    assert codes(proof.alarm_findings(read.alarms(well), proof.sights(well, listed(*full(WEB))), DAY)) == [("CW-ALARM-FIRING", "refuted")]  # fmt: skip
