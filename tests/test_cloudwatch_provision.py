"""Plans of monitoring: made once, kept after, told apart where they differ, finished after a kill, taken back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inprocess import Kill, account, calls, only_watch, writes

from netkit.cloudwatch import read
from netkit.cloudwatch.agent import AgentConfig
from netkit.cloudwatch.alarms import AlarmSpec, CompositeSpec
from netkit.cloudwatch.log_groups import MetricFilter, flow_rejects
from netkit.cloudwatch.metrics import MetricQuery
from netkit.cloudwatch.provision import (
    await_commands,
    dashboard_messages,
    plan_agent,
    plan_alarms,
    plan_dashboard,
    plan_log_group,
    send_metrics,
    topic_arn,
)
from netkit.core.errors import ConflictError, InputError, NetkitError, NotArmedError
from netkit.core.model import Window
from netkit.core.plan import Plan
from netkit.core.session import Session
from netkit.sandbox.labs import cloudwatch as cloudwatch_lab
from netkit.sandbox.labs import seeds

INSTANCE = "i-0123456789abcdef0"
TOPIC = "arn:aws:sns:us-east-1:123456789012:watch"
BODY = {"widgets": [{"type": "text", "x": 0, "y": 0, "width": 6, "height": 3, "properties": {"markdown": "hello"}}]}


def spec(**more: Any) -> AlarmSpec:
    return AlarmSpec(**({"name": "cpu", "namespace": "AWS/EC2", "metric": "CPUUtilization", "dimensions": {"InstanceId": INSTANCE}, "statistic": "Average", "period": 300, "evaluation_periods": 2, "threshold": 70} | more))  # fmt: skip


def group_plan(session: Session, folder: Path, **more: Any) -> Plan:
    return plan_log_group(session, "/shop/app", filters=[MetricFilter("errors", "ERROR", "Shop", "Errors"), flow_rejects()], folder=folder, **more)  # fmt: skip


def alarm_plan(session: Session, folder: Path, **more: Any) -> Plan:
    both = CompositeSpec(name="both", rule='ALARM("cpu")')
    return plan_alarms(session, [spec(), both], topic="watch", email="oncall@example.com", rule="changes", folder=folder, **more)  # fmt: skip


def dashboard_plan(session: Session, folder: Path, **more: Any) -> Plan:
    return plan_dashboard(session, "shop", more.pop("body", BODY), folder=folder, **more)


PLANS: dict[str, Callable[..., Plan]] = {"log group": group_plan, "alarms": alarm_plan, "dashboard": dashboard_plan}


def everything(session: Session) -> str:
    """What there is of all that these plans make, without times and ids that moto draws."""
    topics = [one["TopicArn"] for one in session.pages("sns", "list_topics", "Topics")]
    rules = session.pages("events", "list_rules", "Rules")
    seen = {
        "groups": read.log_groups(session).drop(columns="created").to_dict("records"),
        "filters": [{key: one[key] for key in ("filterName", "filterPattern")} for one in session.pages("logs", "describe_metric_filters", "metricFilters")],
        "alarms": read.alarms(read.alarm_records(session)).drop(columns=["since", "reason", "state"]).to_dict("records"),
        "topics": {one: session.call("sns", "get_topic_attributes", TopicArn=one)["Attributes"]["Policy"] for one in topics},
        "subscribed": [two["Endpoint"] for one in topics for two in session.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=one)],
        "rules": [(one["Name"], one["EventPattern"], [two["Arn"] for two in session.pages("events", "list_targets_by_rule", "Targets", Rule=one["Name"])]) for one in rules],
        "dashboard": read.dashboard(session, "shop"),
    }  # fmt: skip
    return json.dumps(seen, default=str, indent=1)


def kill_at(wanted: int, moment: str) -> Callable[[int, str, str], None]:
    def on_call(number: int, operation: str, when: str) -> None:
        if (number, when) == (wanted, moment):
            raise Kill

    return on_call


@pytest.mark.parametrize("name", PLANS)
def test_made_kept_killed_and_taken_back(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plan = PLANS[name]
    with account(monkeypatch) as session:
        before = everything(session)
        ready = plan(session, tmp_path / "whole")
        with pytest.raises(NotArmedError):
            ready.apply()
        with calls(monkeypatch, only_watch) as made:
            assert set(ready.apply(armed=True)["outcome"]) <= {"created", "updated", "kept"}
        whole = everything(session)
        assert whole != before
        again = plan(session, tmp_path / "whole")
        assert set(again.preview()["action"]) == {"keep"}
        with calls(monkeypatch, only_watch) as twice:
            again.apply(armed=True)
        assert writes(twice) == []
        ready.teardown(armed=True)
        assert everything(session) == before
        changes = [number for number, (operation, _) in enumerate(made, 1) if operation in writes(made)]
        for number in changes:
            for moment in ("before", "after"):
                folder = tmp_path / f"{number}-{moment}"
                started = plan(session, folder)
                with calls(monkeypatch, kill_at(number, moment)), pytest.raises(Kill):
                    started.apply(armed=True)
                finished = plan(session, folder)
                finished.apply(armed=True)
                assert everything(session) == whole, f"killed {moment} call {number}"
                finished.teardown(armed=True)
                assert everything(session) == before, f"killed {moment} call {number}, then torn down"


def test_what_differs_is_a_conflict_and_replaced_only_when_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with account(monkeypatch) as session:
        plan_alarms(session, [spec()], folder=tmp_path).apply(armed=True)
        other = [spec(threshold=90)]
        conflict = plan_alarms(session, other, folder=tmp_path / "b")
        assert conflict.preview()["difference"].tolist() == ["Threshold is 70.0, not 90"]
        with pytest.raises(ConflictError):
            conflict.apply(armed=True)
        update = plan_alarms(session, other, folder=tmp_path / "b", replace=True)
        assert update.apply(armed=True)["outcome"].tolist() == ["updated"]
        assert read.alarm_records(session)[0]["Threshold"] == 90
        update.teardown(armed=True)
        assert read.alarm_records(session)[0]["Threshold"] == 70

        dashboard_plan(session, tmp_path).apply(armed=True)
        body = {"widgets": [BODY["widgets"][0] | {"properties": {"markdown": "other"}}]}
        assert (
            "changed properties/markdown"
            in dashboard_plan(session, tmp_path / "c", body=body).conflicts[0].difference[0]
        )
        changed = dashboard_plan(session, tmp_path / "c", body=body, replace=True)
        changed.apply(armed=True)
        assert read.dashboard(session, "shop") == body and dashboard_messages(changed) == []
        changed.teardown(armed=True)
        assert read.dashboard(session, "shop") == BODY


def test_a_group_of_others_is_kept_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        session.call("logs", "create_log_group", logGroupName="/shop/app", logGroupClass="INFREQUENT_ACCESS")
        session.call("logs", "put_retention_policy", logGroupName="/shop/app", retentionInDays=365)
        plan = plan_log_group(session, "/shop/app", retention_days=7, folder=tmp_path)
        assert plan.preview()["reason"].tolist() == ["it exists; its class is INFREQUENT_ACCESS", "the log group is not of this run, so it stays at 365 days"]  # fmt: skip
        with calls(monkeypatch, only_watch) as made:
            plan.apply(armed=True)
        assert writes(made) == []
        refused = plan_log_group(session, "/shop/app", filters=[MetricFilter("e", "A", "Shop", "E")], folder=tmp_path)
        assert refused.conflicts[0].difference == ("its class is INFREQUENT_ACCESS, not STANDARD",)
        session.call("logs", "create_log_group", logGroupName="/shop/web")
        plan = plan_log_group(session, "/shop/web", filters=[MetricFilter("e", "ERROR", "Shop", "E")], folder=tmp_path)
        plan.apply(armed=True)
        others = MetricFilter("e", "WARN", "Shop", "E"), MetricFilter("e", "ERROR", "Shop", "E", default=None)
        said = [plan_log_group(session, "/shop/web", filters=[one], folder=tmp_path).conflicts for one in others]
        assert [one[0].difference for one in said] == [("pattern 'ERROR', not 'WARN'",), ("defaultValue is 0.0, not None",)]  # fmt: skip


def test_a_secret_is_neither_read_nor_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        session.call("ssm", "put_parameter", Name="AmazonCloudWatch-a", Value="hidden", Type="SecureString")
        plan = plan_agent(
            session, AgentConfig.of("mem").document(), "AmazonCloudWatch-a", replace=True, folder=tmp_path
        )
        assert plan.conflicts[0].difference == ("its type is SecureString, not String",) and "hidden" not in str(plan)


def test_a_configuration_that_was_small_is_put_back_in_the_tier_it_has_now(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    large = AgentConfig.of("mem", {f"/var/log/{'x' * 40}{one}.log": f"/{'y' * 40}{one}" for one in range(30)})
    with account(monkeypatch) as session:
        plan_agent(session, AgentConfig.of("mem").document(), "AmazonCloudWatch-a", folder=tmp_path).apply(armed=True)
        plan = plan_agent(session, large.document(), "AmazonCloudWatch-a", replace=True, folder=tmp_path / "b")
        (step,) = plan.steps
        assert step.undo is not None and step.request["Tier"] == step.undo.request["Tier"] == "Advanced"


def test_a_rule_that_is_disabled_is_no_rule(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        alarm_plan(session, tmp_path).apply(armed=True)
        session.call("events", "disable_rule", Name="changes")
        assert [one.difference for one in alarm_plan(session, tmp_path).conflicts] == [("it is disabled",)]


def test_an_expression_is_kept_with_the_words_that_aws_adds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stat = {"Metric": {"Namespace": "A", "MetricName": "B", "Dimensions": [{"Name": "Z", "Value": "1"}, {"Name": "C", "Value": "1"}]}, "Period": 60, "Stat": "Sum"}  # fmt: skip
    metrics = ({"Id": "m1", "MetricStat": stat, "ReturnData": False}, {"Id": "e1", "Expression": "m1 * 2"})
    one = AlarmSpec(name="double", metrics=metrics, threshold=1, evaluation_periods=1)
    record = one.request() | {"Metrics": [metrics[0], {**metrics[1], "ReturnData": True}], "StateValue": "OK"}
    monkeypatch.setattr("netkit.cloudwatch.provision.alarm_records", lambda *args, **more: [record])
    with account(monkeypatch) as session:
        assert plan_alarms(session, [one], folder=tmp_path).preview()["action"].tolist() == ["keep"]
        swapped = ({**metrics[0], "MetricStat": {**stat, "Stat": "Average"}}, metrics[1])
        assert plan_alarms(session, [one.changed(metrics=swapped)], folder=tmp_path).conflicts


def test_composite_alarms_come_behind_those_they_ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        plan = plan_alarms(session, [CompositeSpec(name="both", rule='ALARM("cpu")'), spec()], folder=tmp_path)
    assert [one.name for one in plan.steps] == ["cpu", "both"]


def test_a_log_group_with_streams_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        plan = plan_log_group(session, "/shop/app", folder=tmp_path)
        plan.apply(armed=True)
        session.call("logs", "create_log_stream", logGroupName="/shop/app", logStreamName="s")
        left = plan.teardown(armed=True).set_index("step").loc["log-group"]
        assert left["outcome"] == "left" and "holds log streams" in left["reason"]


def test_a_topic_of_others_keeps_its_statements(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = {"Version": "2012-10-17", "Statement": [{"Sid": "Own", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "SNS:Subscribe", "Resource": TOPIC}]}  # fmt: skip
    with account(monkeypatch) as session:
        session.call("sns", "create_topic", Name="watch")
        session.call(
            "sns", "set_topic_attributes", TopicArn=TOPIC, AttributeName="Policy", AttributeValue=json.dumps(own)
        )
        plan = plan_alarms(session, [spec()], topic="watch", rule="changes", folder=tmp_path)
        plan.apply(armed=True)
        statements = json.loads(session.call("sns", "get_topic_attributes", TopicArn=TOPIC)["Attributes"]["Policy"])[
            "Statement"
        ]
        assert [one["Sid"] for one in statements] == ["Own", "NetkitAlarmsPublish", "NetkitRulePublishes"]
        assert read.alarm_records(session)[0]["AlarmActions"] == [TOPIC] == read.alarm_records(session)[0]["OKActions"]
        plan.teardown(armed=True)
        left = json.loads(session.call("sns", "get_topic_attributes", TopicArn=TOPIC)["Attributes"]["Policy"])[
            "Statement"
        ]
        assert [one["Sid"] for one in left] == ["Own"]


# --------------------------------------------------------------------------------------------------------------- agents


def test_an_agent_is_planned_made_awaited_and_arrives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lab = next(one for one in cloudwatch_lab.LABS if one.name == "agent-silent")
    app3 = next(instance for instance, name in lab.instances.items() if name == "app-3")
    config = AgentConfig.of("mem", {"/var/log/mine.log": "/mine"}, namespace="Mine").document()
    with account(monkeypatch) as session:
        seeds.seed_all()
        session.call("iam", "create_role", RoleName="mine", AssumeRolePolicyDocument="{}")

        def plan(folder: str = "a", **more: Any) -> Plan:
            return plan_agent(
                session,
                config | more.pop("change", {}),
                "AmazonCloudWatch-mine",
                [app3],
                role="mine",
                folder=tmp_path / folder,
                **more,
            )

        ready = plan()
        assert ready.preview()["step"].tolist() == ["policy-CloudWatchAgentServerPolicy", "policy-AmazonSSMManagedInstanceCore", "parameter", "install-1", "configure-1"]  # fmt: skip
        assert set(ready.apply(armed=True)["outcome"]) == {"created"}
        assert await_commands(session, [app3])["status"].tolist() == ["Success"]
        assert read.list_metrics(session, "Mine")["dimensions"].tolist() == [(("InstanceId", app3),)]
        assert read.log_streams(session, "/mine")["stream"].tolist() == [app3]
        assert set(plan().preview()["action"]) == {"keep"}
        slower = {"agent": {"metrics_collection_interval": 300}}
        conflict = plan("b", change=slower).conflicts[0]
        assert conflict.difference == ("agent.metrics_collection_interval is 60, not 300",)
        replaced = plan("b", change=slower, replace=True)
        replaced.apply(armed=True)
        assert read.agent_config(session, "AmazonCloudWatch-mine")["agent"] == slower["agent"]  # type: ignore[index]
        again = plan("b", change=slower, replace=True)
        assert set(again.preview()["action"]) == {"keep"}, "the changed parameter was given once more, and then no more"
        replaced.teardown(armed=True)
        assert read.agent_config(session, "AmazonCloudWatch-mine") == config


def test_a_command_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("netkit.core.plan._SETTLE_S", (0.0,))
    with account(monkeypatch) as session:
        plan = plan_agent(session, AgentConfig.of("mem").document(), "AmazonCloudWatch-mine", [INSTANCE], install=False, folder=tmp_path)  # fmt: skip
        with pytest.raises(NetkitError):
            plan.apply(armed=True)  # nothing of it can be seen, since it failed
        (row,) = await_commands(session, [INSTANCE]).to_dict("records")
        assert row["status"] == "Failed" and "not managed" in row["detail"]


# --------------------------------------------------------------------------------------------------------- points, input


def test_points_are_sent_and_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC).replace(microsecond=0)
    points = [{"metric": "ConnectionCount", "value": float(value), "unit": "Count", "dimensions": f"InstanceId={INSTANCE}", "time": now - timedelta(minutes=value)} for value in range(5)]  # fmt: skip
    with account(monkeypatch) as session:
        with pytest.raises(NotArmedError):
            send_metrics(session, "Custom/Application", points)
        assert send_metrics(session, "Custom/Application", points, armed=True)["outcome"].tolist() == ["sent"]
        query = MetricQuery("Custom/Application", "ConnectionCount", {"InstanceId": INSTANCE}, "Sum")
        found = read.metric_data(session, [query], Window(now - timedelta(hours=1), now + timedelta(minutes=1)))
        assert sorted(found["value"]) == [0, 1, 2, 3, 4]


def test_points_left_out_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [{"metric": "m", "value": value} for value in (1.0, float("nan"), float("inf"))]
    with account(monkeypatch) as session:
        sent = send_metrics(session, "Own", points, armed=True, drop=True)
    assert sent.to_numpy().tolist() == [[1, 1, "sent"], [0, 2, "dropped: not a finite number"]]


def test_a_request_that_is_refused_keeps_back_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [{"metric": f"m{number}", "value": 1.0} for number in range(1500)]
    with account(monkeypatch) as session:
        real = Session.call

        def refusing(self: Session, service: str, operation: str, **request: Any) -> Any:
            if request.get("MetricData", [{}])[0].get("MetricName") == "m0":
                request["MetricData"][0]["Value"] = float("nan")
            return real(self, service, operation, **request)

        monkeypatch.setattr(Session, "call", refusing)
        sent = send_metrics(session, "Own", points, armed=True, progress=False)
    assert sent["metrics"].tolist() == [1000, 500]
    assert "invalid" in sent["outcome"][0] and sent["outcome"][1] == "sent"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda session: plan_log_group(session, "/a", retention_days=42), "nearest is 30"),
        (lambda session: plan_log_group(session, "aws/a"), "begins with aws/"),
        (lambda session: plan_log_group(session, "/a", kms_key="alias/a"), "not the ARN of a key"),
        (lambda session: plan_log_group(session, "/a", log_class="DELIVERY", filters=[flow_rejects()]), "has no metric filters"),
        (lambda session: plan_agent(session, AgentConfig.of("mem").document(), "mine", [INSTANCE]), "may not read a parameter"),
        (lambda session: plan_agent(session, AgentConfig.of("mem").document(), "AmazonCloudWatch-a", ["web-1"]), "no id of an instance"),
        (lambda session: plan_agent(session, {"metrics": {}}, "AmazonCloudWatch-a", [INSTANCE]), "metrics"),
        (lambda session: plan_alarms(session, []), "no alarm to plan"),
        (lambda session: plan_alarms(session, [spec()], topic="a b"), "no name of a topic"),
        (lambda session: plan_alarms(session, [spec()], email="a@b.example"), "needs a topic"),
        (lambda session: plan_alarms(session, [spec()], topic="t", email="nobody"), "no e-mail address"),
        (lambda session: plan_alarms(session, [spec(alarm_actions="arn:aws:sns:eu-west-1:123456789012:t")]), "an action in eu-west-1"),
        (lambda session: plan_alarms(session, [spec(alarm_actions="oncall")]), "no ARN that CloudWatch takes"),
        (lambda session: plan_dashboard(session, "my dashboard", BODY), "no name of a dashboard"),
        (lambda session: plan_dashboard(session, "d", {"widgets": [{"type": "metric", "properties": {}}]}), "region"),
        (lambda session: send_metrics(session, "Own", [{"metric": "m", "value": float("nan")}], armed=True), "not a finite number"),
        (lambda session: send_metrics(session, "AWS/EC2", [{"metric": "m", "value": 1.0}], armed=True), "AWS's own metrics"),
    ],
)  # fmt: skip
def test_bad_input_is_told_before_any_call(
    make: Callable[[Session], Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with account(monkeypatch) as session, calls(monkeypatch, only_watch) as made:
        with pytest.raises(InputError) as refused:
            make(session)
        assert says in str(refused.value) and len(str(refused.value).splitlines()) <= 3
        assert made == []


def test_the_topic_is_in_the_sessions_account_and_region(monkeypatch: pytest.MonkeyPatch) -> None:
    with account(monkeypatch) as session:
        assert topic_arn(session, "watch") == TOPIC
