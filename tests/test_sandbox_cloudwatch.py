"""The sandbox's CloudWatch: points right per period, alarms that evaluate and act, refusals as AWS's, agents by their configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inprocess import account

from netkit.cloudwatch import read
from netkit.cloudwatch.agent_install import configure_request, install_request
from netkit.cloudwatch.alarm_rules import holds, parse_rule
from netkit.cloudwatch.metrics import MetricQuery
from netkit.core.errors import AwsError
from netkit.core.model import Window
from netkit.core.session import Session
from netkit.sandbox.labs import cloudwatch as cloudwatch_lab
from netkit.sandbox.labs import seeds
from netkit.sandbox.services.cloudwatch_metrics import Points, evaluate, reduced
from netkit.sandbox.world import cloudwatch as cloudwatch_world
from netkit.sandbox.world import traffic, world

DAY = Window.parse("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z")
NOW = datetime.now(UTC).replace(second=0, microsecond=0)
LABS = {lab.name: lab for lab in cloudwatch_lab.LABS}


@pytest.fixture(scope="module")
def lab() -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch, account(patch) as session:
        seeds.seed_all()
        yield session


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    with account(monkeypatch) as session:
        yield session


def put(session: Session, values: list[float], *, every_s: int = 60, name: str = "Load", **more: Any) -> None:
    data = [
        {"MetricName": name, "Timestamp": NOW - timedelta(seconds=every_s * (len(values) - at)), "Value": value, **more}
        for at, value in enumerate(values)
    ]
    session.call("cloudwatch", "put_metric_data", Namespace="Own", MetricData=data)


# ---------------------------------------------------------------------------------------------------------------- points


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(-50, 50)), min_size=1, max_size=40),
    st.sampled_from([60, 300, 3600]),
)
def test_each_statistic_is_that_of_the_period(given_points: list[tuple[int, int]], period: int) -> None:
    ordered = sorted(given_points)
    held = Points.of(
        np.array([at for at, _ in ordered], dtype=np.int64), np.array([float(value) for _, value in ordered])
    )
    groups: dict[int, list[int]] = {}
    for at, value in ordered:
        groups.setdefault(at // period * period, []).append(value)
    for stat, plain in {"Sum": sum, "Minimum": min, "Maximum": max, "SampleCount": len, "p50": np.median}.items():
        times, values = reduced(held, period, stat, 0, 3600)
        assert dict(zip(times.tolist(), values.tolist(), strict=True)) == {
            at: float(plain(group)) for at, group in groups.items()
        }  # type: ignore[operator]


def test_math_goes_by_time_and_leaves_gaps() -> None:
    times = np.array([0, 60, 120], dtype=np.int64)
    held = {"m1": (times, np.array([2.0, 4.0, 9.0])), "m2": (times[[0, 2]], np.array([1.0, 3.0]))}
    assert [one.tolist() for one in evaluate("m1 / m2 * 100", held, 60, 0, 180)] == [[0, 120], [200.0, 300.0]]
    assert evaluate("SUM([m1, FILL(m2, 0)])", held, 60, 0, 180)[1].tolist() == [3.0, 4.0, 12.0]
    assert evaluate("RATE(m1)", held, 60, 0, 180)[1].tolist() == pytest.approx([2 / 60, 5 / 60])


def test_a_metric_is_its_exact_dimensions(empty: Session) -> None:
    put(empty, [1, 2], Dimensions=[{"Name": "A", "Value": "1"}])
    window = Window(NOW - timedelta(hours=1), NOW + timedelta(minutes=1))
    queries = [MetricQuery("Own", "Load", {"A": "1"}, "Sum", 3600), MetricQuery("Own", "Load", (), "Sum", 3600, "none"), MetricQuery("Other", "Load", {"A": "1"}, "Sum", 3600, "other")]  # fmt: skip
    found = read.metric_data(empty, queries, window)
    assert found["value"].sum() == 3 and set(found["label"]) == {"Load Sum"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"Timestamp": NOW - timedelta(weeks=3)}, "two weeks"),
        ({"Timestamp": NOW + timedelta(hours=3)}, "two hours"),
        ({"Value": float("nan")}, "invalid"),
        ({"Value": 2.0**361}, "invalid"),
        ({"StorageResolution": 30}, "1 and 60"),
    ],
)
def test_points_that_aws_refuses(empty: Session, change: dict[str, Any], says: str) -> None:
    datum = {"MetricName": "Load", "Value": 1.0, "Timestamp": NOW} | change
    with pytest.raises(AwsError, match=says):
        empty.call("cloudwatch", "put_metric_data", Namespace="Own", MetricData=[datum])


# ---------------------------------------------------------------------------------------------------------------- alarms

ALARM = {
    "AlarmName": "load", "Namespace": "Own", "MetricName": "Load", "Statistic": "Maximum", "Period": 60, "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2, "Threshold": 5.0, "ComparisonOperator": "GreaterThanThreshold",
}  # fmt: skip


def test_an_alarm_evaluates_acts_and_has_a_history(empty: Session) -> None:
    topic = empty.call("sns", "create_topic", Name="t")["TopicArn"]
    queue = empty.call("sqs", "create_queue", QueueName="q")["QueueUrl"]
    empty.call("sns", "subscribe", TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:q")
    empty.call("cloudwatch", "put_metric_alarm", **ALARM, AlarmActions=[topic])
    assert [one["StateValue"] for one in read.alarm_records(empty)] == ["INSUFFICIENT_DATA"]
    put(empty, [1, 1, 1, 9, 9])
    (record,) = read.alarm_records(empty)
    assert record["StateValue"] == "ALARM" and json.loads(record["StateReasonData"])["recentDatapoints"][-2:] == [
        9.0,
        9.0,
    ]
    history = read.alarm_history(empty, "load")
    assert history["state"].tolist()[:3] == ["OK", "ALARM", ""]
    assert set(history["kind"]) == {"ConfigurationUpdate", "StateUpdate", "Action"}
    (message,) = empty.call("sqs", "receive_message", QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert json.loads(json.loads(message["Body"])["Message"])["NewStateValue"] == "ALARM"
    read.alarm_records(empty)  # looking again does not act again
    assert "Messages" not in empty.call("sqs", "receive_message", QueueUrl=queue)


def test_a_state_set_by_hand_holds_until_the_next_point(empty: Session) -> None:
    empty.call("cloudwatch", "put_metric_alarm", **ALARM)
    put(empty, [1, 1, 1])
    empty.call("cloudwatch", "set_alarm_state", AlarmName="load", StateValue="ALARM", StateReason="a test")
    assert read.alarm_records(empty)[0]["StateReason"] == "a test"
    put(empty, [1])
    assert read.alarm_records(empty)[0]["StateValue"] == "OK"


def test_a_composite_alarm_follows_the_others(empty: Session) -> None:
    empty.call("cloudwatch", "put_metric_alarm", **ALARM)
    empty.call("cloudwatch", "put_composite_alarm", AlarmName="both", AlarmRule='ALARM("load") AND NOT OK("load")')
    put(empty, [9, 9, 9])
    assert {one["AlarmName"]: one["StateValue"] for one in read.alarm_records(empty)} == {
        "load": "ALARM",
        "both": "ALARM",
    }


def test_a_suppressor_is_kept(empty: Session) -> None:
    asked = {
        "ActionsSuppressor": "quiet-hours",
        "ActionsSuppressorWaitPeriod": 60,
        "ActionsSuppressorExtensionPeriod": 0,
    }
    empty.call("cloudwatch", "put_composite_alarm", AlarmName="both", AlarmRule="FALSE", **asked)
    (held,) = read.alarm_records(empty, kinds=("CompositeAlarm",))
    assert asked.items() <= held.items()


@pytest.mark.parametrize(
    ("rule", "true"),
    [
        ("ALARM(a)", True), ("OK(a)", False), ("NOT ALARM(b)", True), ("ALARM(b) OR ALARM(a) AND OK(b)", True),
        ("(ALARM(b) OR ALARM(a)) AND ALARM(b)", False), ("NOT (ALARM(a) AND OK(b))", False), ("TRUE AND FALSE OR TRUE", True),
    ],
)  # fmt: skip
def test_rules_bind_not_before_and_before_or(rule: str, true: bool) -> None:
    assert holds(parse_rule(rule, "x"), {"a": "ALARM", "b": "OK"}) is true


@pytest.mark.parametrize(
    ("change", "says"),
    [({"Period": 45}, "45 s"), ({"ExtendedStatistic": "p90"}, "both"), ({"DatapointsToAlarm": 4}, "4 out of 3"), ({"Period": 3600, "EvaluationPeriods": 200}, "604,800")],
)  # fmt: skip
def test_alarms_that_aws_refuses(empty: Session, change: dict[str, Any], says: str) -> None:
    with pytest.raises(AwsError, match=says):
        empty.call("cloudwatch", "put_metric_alarm", **(ALARM | change))


# ------------------------------------------------------------------------------------------------- dashboards, log groups


def test_dashboards_are_looked_at(empty: Session) -> None:
    bad = {"widgets": [{"type": "metric", "x": 0, "y": 0, "properties": {"metrics": [["A", "B"]], "period": 45}}]}
    with pytest.raises(AwsError, match="DataPath"):
        empty.call("cloudwatch", "put_dashboard", DashboardName="d", DashboardBody=json.dumps(bad))
    assert read.dashboard(empty, "d") is None
    good = {"widgets": [{"type": "text", "x": 0, "y": 0, "width": 6, "height": 3, "properties": {"markdown": "hello"}}]}
    assert empty.call("cloudwatch", "put_dashboard", DashboardName="d", DashboardBody=json.dumps(good))["DashboardValidationMessages"] == []  # fmt: skip
    assert read.dashboard(empty, "d") == good


def test_log_groups_keep_class_and_protection(empty: Session) -> None:
    empty.call("logs", "create_log_group", logGroupName="/a", logGroupClass="INFREQUENT_ACCESS", deletionProtectionEnabled=True)  # fmt: skip
    (row,) = read.log_groups(empty, "/a").to_dict("records")
    assert (row["class"], row["protected"], row["metric_filters"]) == ("INFREQUENT_ACCESS", True, 0)
    for operation, request in (("delete_log_group", {}), ("put_retention_policy", {"retentionInDays": 42})):
        with pytest.raises(AwsError):
            empty.call("logs", operation, logGroupName="/a", **request)
    with pytest.raises(AwsError, match="reserved"):
        empty.call("logs", "create_log_group", logGroupName="aws/a")


# ------------------------------------------------------------------------------------------------------------ the world


def states(session: Session, name: str) -> dict[str, str]:
    return {one["AlarmName"].removeprefix(f"{name}-").split("-")[0] + "/" + LABS[name].instances.get(one["AlarmName"][-19:], ""): one["StateValue"] for one in read.alarm_records(session, prefix=f"{name}-")}  # fmt: skip


def test_each_lab_is_in_the_state_that_it_teaches(lab: Session) -> None:
    assert set(states(lab, "healthy").values()) == {"OK"}
    assert states(lab, "alarm-firing")["errors/"] == "ALARM"
    silent = states(lab, "agent-silent")
    assert {silent[f"memory/{name}"] for name in ("web-2", "app-3")} == {"INSUFFICIENT_DATA"} and silent["memory/app-2"] == "OK"  # fmt: skip
    blind = states(lab, "wrong-dimension")
    assert blind["memory/app-1"] == "INSUFFICIENT_DATA" and blind["errors/"] == "ALARM"


def test_error_lines_are_the_rejected_connections(lab: Session) -> None:
    one = LABS["alarm-firing"]
    lines = read.log_events(lab, one.group, DAY, pattern="ERROR")
    spec = world.scenario(one.scenario).spec
    columns, _ = traffic.records(world.scenario(one.scenario), spec)
    rejected = (columns["action"] == traffic.REJECT) & (columns["dport"] == 5432) & (columns["status"] == traffic.OK)
    assert len(lines) == rejected.sum() > 2000
    began = lines["time"].min()
    assert began == datetime.fromtimestamp(int(columns["start"][rejected].min()), UTC) + timedelta(seconds=3)
    counted = read.metric_data(lab, [MetricQuery(one.namespace, "Errors", (), "Sum", 3600)], DAY)
    assert counted["value"].sum() == len(lines)


def test_bytes_are_those_of_the_flow_log(lab: Session) -> None:
    instance = next(iter(LABS["healthy"].instances))
    found = read.metric_data(lab, [MetricQuery("AWS/EC2", "NetworkOut", {"InstanceId": instance}, "Sum", 300)], DAY)
    one = world.scenario("quiet")
    columns, _ = traffic.records(one, one.spec)
    number = next(at for at, host in enumerate(world.HOSTS) if host.instance_id("quiet") == instance)
    start = int(DAY.start.timestamp())
    mine = (columns["host"] == number) & (columns["egress"] == 1) & (columns["start"] >= start) & (columns["action"] == traffic.ACCEPT) & (columns["status"] == traffic.OK)  # fmt: skip
    assert found["value"].sum() == pytest.approx(float(columns["bytes"][mine].sum()))


def test_a_configuration_decides_what_arrives(lab: Session) -> None:
    app3 = next(key for key, name in LABS["agent-silent"].instances.items() if name == "app-3")
    config = {key: value for key, value in LABS["agent-silent"].config().items() if key != "logs"}
    config["metrics"] = config["metrics"] | {"namespace": "Later"}
    lab.call("ssm", "put_parameter", Name="AmazonCloudWatch-later", Value=json.dumps(config), Type="String")
    for request in (install_request([app3]), configure_request("AmazonCloudWatch-later", [app3])):
        command = lab.call("ssm", "send_command", **request)["Command"]["CommandId"]
        assert lab.call("ssm", "get_command_invocation", CommandId=command, InstanceId=app3)["Status"] == "Success"
    found = read.list_metrics(lab, "Later", metric="mem_used_percent")
    assert found["dimensions"].tolist() == [(("InstanceId", app3),)]
    command = lab.call("ssm", "send_command", **configure_request("AmazonCloudWatch-none", [app3]))["Command"][
        "CommandId"
    ]
    (row,) = lab.call("ssm", "list_command_invocations", CommandId=command)["CommandInvocations"]
    assert row["Status"] == "Failed" and "unable to find parameter" in row["CommandPlugins"][0]["Output"]


@pytest.mark.parametrize(
    ("pattern", "message", "fields"),
    [
        ("ERROR", "an ERROR here", {}), ("ERROR", "all is well", None), ('"could not" -timed', "could not: timed", None),
        ("?WARN ?ERROR", "WARN", {}), ("?WARN ?ERROR", "INFO", None),
        ('[a, b="REJECT", n > 3]', "x REJECT 4", {"a": "x", "b": "REJECT", "n": "4"}), ('[a, b="REJECT", n > 3]', "x REJECT 3", None),
        ("[a, b=1*, c!=x]", "z 17 y", {"a": "z", "b": "17", "c": "y"}), ("[a, b]", "one two three", None),
    ],
)  # fmt: skip
def test_filter_patterns(pattern: str, message: str, fields: dict[str, str] | None) -> None:
    assert cloudwatch_world.matcher(pattern)(message) == fields


def test_insights_counts_by_the_hour_and_beyond_its_limit(lab: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    group = LABS["alarm-firing"].group
    by_hour = read.query_logs(lab, group, "filter @message like /ERROR/ | stats count(*) as n by bin(1h)", DAY)
    every = read.query_logs(lab, group, "fields @timestamp, @message | filter @message like /ERROR/", DAY)
    assert by_hour.frame["n"].sum() == len(every.frame) > 2000 and by_hour.scanned_bytes > 100_000
    monkeypatch.setattr("netkit.core.insights.MOST_ROWS", 500)
    cut = read.query_logs(lab, group, "fields @timestamp, @message | filter @message like /ERROR/", DAY, progress=False)
    assert cut.whole and len(cut.frame) == len(every.frame)
    assert cut.frame["@timestamp"].is_monotonic_decreasing and set(cut.frame["@message"]) == set(
        every.frame["@message"]
    )
    assert not read.query_logs(lab, group, "fields @message | sort @message asc", DAY).whole


def test_the_tail_gives_each_event_once(lab: Session) -> None:
    group = LABS["healthy"].group
    parts = list(read.tail(lab, group, since=datetime(2026, 11, 19, 23, 30, tzinfo=UTC), seconds=0.05, poll_s=0.01))
    assert len(parts) == 1 and parts[0]["time"].is_monotonic_increasing and len(parts[0]) == 12
