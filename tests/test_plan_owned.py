"""Whose a thing is: lost answers are ours, what others made or changed since is not; a damaged ledger; no ledger at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from inprocess import ACCOUNT, REGION, Kill, account, calls

from netkit.cloudwatch.alarms import AlarmSpec
from netkit.cloudwatch.log_groups import MetricFilter
from netkit.cloudwatch.provision import plan_alarms, plan_dashboard, plan_log_group
from netkit.core.errors import PlanError, StepFailed
from netkit.core.plan import Ledger, Owner, Plan, teardown
from netkit.core.session import Session
from netkit.flowlogs.provision import plan_flow_logs
from netkit.flowlogs.table import FlowLogSpec

BODY = {"widgets": [{"type": "text", "width": 6, "height": 2, "properties": {"markdown": "netkit"}}]}


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    with account(monkeypatch) as one:
        yield one


def dashboards(session: Session) -> list[str]:
    return [one["DashboardName"] for one in session.pages("cloudwatch", "list_dashboards", "DashboardEntries")]


def alarms(session: Session) -> list[str]:
    return [one["AlarmName"] for one in session.pages("cloudwatch", "describe_alarms", "MetricAlarms")]


def killed(operation: str, moment: str) -> Callable[[int, str, str], None]:
    def on_call(number: int, name: str, when: str) -> None:
        if (name, when) == (operation, moment):
            raise Kill(name)

    return on_call


def answered(operation: str, code: str, status: int, retries: int = 0) -> Callable[[int, str, str], None]:
    """AWS does the work, and then answers that, once."""
    left = [1]

    def on_call(number: int, name: str, when: str) -> None:
        if (name, when) == (operation, "after") and left:
            left.pop()
            about = {"HTTPStatusCode": status, "RetryAttempts": retries}
            raise ClientError({"Error": {"Code": code, "Message": "x"}, "ResponseMetadata": about}, name)

    return on_call


def to_cloudwatch(session: Session, folder: Path) -> Plan:
    vpcs = session.pages("ec2", "describe_vpcs", "Vpcs")
    spec = FlowLogSpec(ACCOUNT, REGION, resource_ids=(vpcs[0]["VpcId"],), destination="cloud-watch-logs", log_group="/flows")  # fmt: skip
    return plan_flow_logs(session, spec, lifecycle_days=7, folder=folder)


# -------------------------------------------------------------------------------------------------------- not ours


def test_what_a_colleague_made_after_a_kill_stays(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for apply_again in (True, False):
        folder = tmp_path / str(apply_again)
        one = plan_dashboard(session, "net", BODY, folder=folder)
        with calls(monkeypatch, killed("PutDashboard", "before")), pytest.raises(Kill):
            one.apply(armed=True)
        session.call("cloudwatch", "put_dashboard", DashboardName="net", DashboardBody=json.dumps(BODY))
        if apply_again:
            assert plan_dashboard(session, "net", BODY, folder=folder).apply(armed=True)["outcome"].tolist() == ["kept"]
        torn = teardown(session, one.run_id, folder=folder, armed=True)
        assert not torn["outcome"].eq("removed").any()
        assert dashboards(session) == ["net"]
        session.call("cloudwatch", "delete_dashboards", DashboardNames=["net"])


def test_where_aws_shows_no_owner_it_is_left_and_said(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A metric filter on a log group of others carries no tag."""
    session.call("logs", "create_log_group", logGroupName="/theirs")
    counts = MetricFilter("errors", "ERROR", "Team", "Errors")
    plan: Callable[[], Plan] = lambda: plan_log_group(session, "/theirs", filters=[counts], folder=tmp_path)  # noqa: E731
    one = plan()
    with calls(monkeypatch, killed("PutMetricFilter", "before")), pytest.raises(Kill):
        one.apply(armed=True)
    session.call("logs", "put_metric_filter", **counts.request("/theirs"))
    plan().apply(armed=True)
    torn = plan().teardown(armed=True)
    assert torn[["outcome", "reason"]].to_numpy().tolist() == [["left", "AWS does not show whether this run made it"]]
    assert len(session.pages("logs", "describe_metric_filters", "metricFilters", logGroupName="/theirs")) == 1


CHANGES: dict[str, tuple[Callable[[Session, Path], Plan], Callable[[Session], Any], Callable[[Session], bool]]] = {
    "dashboard": (
        lambda session, folder: plan_dashboard(session, "net", BODY, folder=folder),
        lambda session: session.call("cloudwatch", "put_dashboard", DashboardName="net", DashboardBody='{"widgets": []}'),
        lambda session: dashboards(session) == ["net"],
    ),
    "alarm": (
        lambda session, folder: plan_alarms(session, [ALARM], folder=folder),
        lambda session: session.call("cloudwatch", "put_metric_alarm", **{**ALARM.request(), "Threshold": 77.0}),
        lambda session: alarms(session) == ["high"],
    ),
    "metric filter": (
        lambda session, folder: plan_log_group(session, "/ours", filters=[MetricFilter("errors", "ERROR", "Team", "Errors")], folder=folder),
        lambda session: session.call("logs", "put_metric_filter", **MetricFilter("errors", "FATAL", "Team", "Errors").request("/ours")),
        lambda session: len(session.pages("logs", "describe_metric_filters", "metricFilters", logGroupName="/ours")) >= 1,
    ),
}  # fmt: skip
ALARM = AlarmSpec(
    name="high", namespace="AWS/EC2", metric="NetworkIn", dimensions={"InstanceId": "i-0123456789abcdef0"}, statistic="Average", period=300, threshold=5.0,
)  # fmt: skip


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("changed", [True, False])
def test_what_somebody_changed_since_is_left(kind: str, changed: bool, session: Session, tmp_path: Path) -> None:
    plan, change, there = CHANGES[kind]
    one = plan(session, tmp_path)
    one.apply(armed=True)
    if changed:
        change(session)
    else:  # what AWS changes by itself is no change
        session.call("cloudwatch", "set_alarm_state", AlarmName="high", StateValue="ALARM", StateReason="x") if kind == "alarm" else None  # fmt: skip
    torn = one.teardown(armed=True)
    if changed:
        assert "it was changed since" in torn["reason"].tolist()
        assert there(session)
    else:
        assert torn["outcome"].eq("removed").all(), torn.to_dict("records")


# ------------------------------------------------------------------------------------------------------- lost answers

MODELS_5XX = [("InternalFailure", 500), ("ServiceFailure", 500), ("InternalServiceError", 500), ("InternalServerError", 500), ("InternalException", 500), ("InternalServerException", 500), ("ServiceUnavailable", 503), ("SlowDown", 503), ("BadGateway", 502)]  # fmt: skip


@pytest.mark.parametrize(("code", "status"), MODELS_5XX)
@pytest.mark.parametrize(
    "operation", ["CreateRole", "CreateLogGroup", "PutRetentionPolicy", "PutRolePolicy", "CreateFlowLogs"]
)
def test_done_and_answered_with_5xx(operation: str, code: str, status: int, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    one = to_cloudwatch(session, tmp_path)
    with calls(monkeypatch, answered(operation, code, status)), pytest.raises(StepFailed, match=code):
        one.apply(armed=True)
    to_cloudwatch(session, tmp_path).apply(armed=True)
    (role,) = session.pages("iam", "list_roles", "Roles")
    assert session.pages("iam", "list_role_policies", "PolicyNames", RoleName=role["RoleName"])
    (group,) = session.pages("logs", "describe_log_groups", "logGroups")
    assert group["retentionInDays"] == 7
    one.teardown(armed=True)
    for service, read, key in (("iam", "list_roles", "Roles"), ("logs", "describe_log_groups", "logGroups"), ("ec2", "describe_flow_logs", "FlowLogs")):  # fmt: skip
        assert session.pages(service, read, key) == []


@pytest.mark.parametrize(("operation", "code"), [("CreateLogGroup", "ResourceAlreadyExistsException"), ("CreateRole", "EntityAlreadyExists")])  # fmt: skip
def test_botocores_own_repetition_is_refused(operation: str, code: str, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """The first try did the work and its answer was lost: the plan goes on, and knows it as its own."""
    with calls(monkeypatch, answered(operation, code, 400, retries=1)):
        to_cloudwatch(session, tmp_path).apply(armed=True)
    assert session.pages("logs", "describe_log_groups", "logGroups")[0]["retentionInDays"] == 7
    to_cloudwatch(session, tmp_path).teardown(armed=True)
    assert session.pages("logs", "describe_log_groups", "logGroups") == session.pages("iam", "list_roles", "Roles") == []  # fmt: skip


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_dashboard_and_an_alarm_answered_with_500(moment: str, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    plans = {"PutDashboard": lambda: plan_dashboard(session, "net", BODY, folder=tmp_path), "PutMetricAlarm": lambda: plan_alarms(session, [ALARM], folder=tmp_path)}  # fmt: skip
    for operation, plan in plans.items():
        one = plan()

        def fault(number: int, name: str, when: str, operation: str = operation) -> None:
            if (name, when) == (operation, moment):
                raise ClientError({"Error": {"Code": "InternalServiceError", "Message": "x"}, "ResponseMetadata": {"HTTPStatusCode": 500}}, name)  # fmt: skip

        with calls(monkeypatch, fault), pytest.raises(StepFailed):
            one.apply(armed=True)
        assert plan().apply(armed=True)["outcome"].tolist() == ["created"]
        assert plan().teardown(armed=True)["outcome"].tolist() == ["removed"]
    assert dashboards(session) == alarms(session) == []


def test_refused_since_another_made_it_first_is_not_ours(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    def first(number: int, name: str, when: str) -> None:
        if (name, when) == ("CreateLogGroup", "before"):
            with monkeypatch.context():
                raise ClientError({"Error": {"Code": "ResourceAlreadyExistsException", "Message": "x"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, name)  # fmt: skip

    with calls(monkeypatch, first), pytest.raises(StepFailed):
        to_cloudwatch(session, tmp_path).apply(armed=True)
    session.call("logs", "create_log_group", logGroupName="/flows")
    to_cloudwatch(session, tmp_path).apply(armed=True)
    to_cloudwatch(session, tmp_path).teardown(armed=True)
    assert [one["logGroupName"] for one in session.pages("logs", "describe_log_groups", "logGroups")] == ["/flows"]


# --------------------------------------------------------------------------------------------------- damaged ledgers

DAMAGE = [b"\xff\xfe\n", b"5\n", b"null\n", b'"x"\n', b"[" * 100_000 + b"\n", b'{"event": 5, "step": "dashboard"}\n', b'{"event": "intent", "step": "dashboard"}\n',
          b'{"event": "result", "step": "dashboard", "undo": 7}\n', b"\x00\x00\n", "\u2028\n".encode(), b'{"event":"result"}\n', b"\r\n"]  # fmt: skip


@pytest.mark.parametrize("line", DAMAGE)
def test_a_damaged_line_is_skipped_and_counted(line: bytes, session: Session, tmp_path: Path) -> None:
    one = plan_dashboard(session, "net", BODY, folder=tmp_path)
    one.apply(armed=True)
    ledger: Ledger = one.owner.ledger
    sound = ledger.path.read_bytes()
    for damaged in (line + sound, sound + line, sound.replace(b"\n", b"\n" + line, 1)):
        ledger.path.write_bytes(damaged)
        assert len(ledger.lines()) >= sound.count(b"\n")
        assert ledger.damaged() == (0 if line in (b"\r\n", DAMAGE[6]) else 1)
        assert one.teardown(armed=True)["outcome"].tolist() == ["removed"]
        ledger.path.write_bytes(sound)
        again = {"DashboardName": "net", "DashboardBody": json.dumps(BODY), "Tags": one.owner.tag_list()}
        session.call("cloudwatch", "put_dashboard", **again)


def test_a_full_disk_is_one_clear_error(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = plan_dashboard(session, "net", BODY, folder=tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(PlanError, match="No space left") as failed:
        one.apply(armed=True)
    assert len(str(failed.value).splitlines()) <= 3
    assert dashboards(session) == []


def test_an_owner_names_its_account(session: Session) -> None:
    one = Owner(session, "x", date(2026, 12, 1))
    assert one.arn("logs", "log-group:/a") == f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/a"
    assert one.arn("cloudwatch", "dashboard/a", anywhere=True) == f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/a"
