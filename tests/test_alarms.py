"""Alarms as values: what CloudWatch takes passes botocore's own model, what it refuses is refused before any call."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from netkit.cloudwatch import alarms
from netkit.cloudwatch.alarms import AlarmSpec, CompositeSpec, dimensions
from netkit.core.errors import InputError
from netkit.core.policy import merge_statements

TOPIC = "arn:aws:sns:us-east-1:123456789012:cpu-alarm-topic"
PLAIN: dict[str, Any] = {
    "name": "High-CPU-Usage", "namespace": "AWS/EC2", "metric": "CPUUtilization", "statistic": "Average", "period": 300, "threshold": 70,
    "evaluation_periods": 2, "dimensions": {"InstanceId": "i-1234567890abcdef0"}, "alarm_actions": TOPIC, "region": "us-east-1",
}  # fmt: skip
BAND = (
    {"Id": "m1", "ReturnData": True, "MetricStat": {"Metric": {"Namespace": "Shop", "MetricName": "Errors"}, "Period": 60, "Stat": "Sum"}},
    {"Id": "ad1", "Expression": "ANOMALY_DETECTION_BAND(m1, 2)", "ReturnData": True},
)  # fmt: skip
MATH = (
    {"Id": "m1", "ReturnData": False, "MetricStat": {"Metric": {"Namespace": "Shop", "MetricName": "Errors"}, "Period": 60, "Stat": "Sum"}},
    {"Id": "e1", "Expression": "RATE(m1)", "ReturnData": True},
)  # fmt: skip
ANOMALY: dict[str, Any] = {
    "name": "band",
    "metrics": BAND,
    "threshold_metric": "ad1",
    "comparison": "GreaterThanUpperThreshold",
}
RATE: dict[str, Any] = {"name": "rate", "metrics": MATH, "threshold": 0}


def by_botocore(service: str, operation: str, given: dict[str, Any]) -> str:
    model = botocore.session.Session().get_service_model(service).operation_model(operation)
    return str(ParamValidator().validate(given, model.input_shape).generate_report())


@pytest.mark.parametrize("given", [PLAIN, ANOMALY, RATE, PLAIN | {"tags": {"team": "net"}, "threshold": 0}], ids=["metric", "band", "math", "tags"])  # fmt: skip
def test_a_request_passes_the_model_and_comes_back_from_its_record(given: dict[str, Any]) -> None:
    spec = AlarmSpec(**given)
    asked = spec.request()
    assert by_botocore("cloudwatch", "PutMetricAlarm", asked) == ""
    again = AlarmSpec.of({key: value for key, value in asked.items() if key != "Tags"})
    assert again.request() == {key: value for key, value in asked.items() if key != "Tags"}


def test_the_seeds_alarm_is_taken_whole() -> None:
    asked = AlarmSpec(**PLAIN | {"dimensions": "Dimensions=InstanceId=i-1234567890abcdef0"}).request()
    assert asked["Dimensions"] == [{"Name": "InstanceId", "Value": "i-1234567890abcdef0"}]
    assert (asked["Period"], asked["Threshold"], asked["EvaluationPeriods"], asked["DatapointsToAlarm"]) == (
        300,
        70,
        2,
        2,
    )
    assert asked["AlarmActions"] == [TOPIC] and "Unit" not in asked


@pytest.mark.parametrize(
    ("given", "notices"),
    [
        ({"InstanceId": "i-1", "path": "/"}, 0), ([{"Name": "InstanceId", "Value": "i-1"}, {"Name": "path", "Value": "/"}], 0),
        ("InstanceId=i-1,path=/", 1), ("Dimensions=InstanceId=i-1,path=/", 1),
        ("Dimensions=[{Name=InstanceId,Value=i-1},{Name=path,Value=/}]", 1), ((("InstanceId", "i-1"), ("path", "/")), 0),
    ],
)  # fmt: skip
def test_every_form_of_dimensions_is_one(given: Any, notices: int) -> None:
    found, told = dimensions(given)
    assert found == (("InstanceId", "i-1"), ("path", "/")) and len(told) == notices
    assert all(str(given) in one for one in told)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"period": 45}, "period of 45"), ({"period": 0}, "period of 0"), ({"period": 10}, "metric of one minute"),
        ({"period": 60}, "every 300 s"), ({"evaluation_periods": 289}, "86,700 s"),
        ({"period": 3600, "evaluation_periods": 169}, "608,400 s"),
        ({"extended_statistic": "p99"}, "both"), ({"statistic": ""}, "no statistic"), ({"statistic": "Mean"}, "not a statistic"),
        ({"statistic": "", "extended_statistic": "q90"}, "not an extended"), ({"datapoints_to_alarm": 3}, "3 out of 2"),
        ({"datapoints_to_alarm": 0}, "0 out of 2"), ({"treat_missing": "bad"}, "missing data"), ({"low_samples": "skip"}, "few samples"),
        ({"comparison": "Above"}, "comparison operator"), ({"comparison": "GreaterThanUpperThreshold"}, "go together"),
        ({"threshold": None}, "threshold of None"), ({"threshold": float("nan")}, "threshold of nan"),
        ({"alarm_actions": "mail me"}, "no ARN"), ({"alarm_actions": TOPIC.replace("us-east-1", "eu-west-1")}, "eu-west-1 on an alarm in us-east-1"),
        ({"ok_actions": [TOPIC] * 6}, "6 actions"), ({"dimensions": "InstanceId"}, "no dimension"), ({"dimensions": [1]}, "no dimension"),
        ({"dimensions": {str(one): "x" for one in range(31)}}, "at most 30 dimensions"), ({"dimensions": [("a", "1"), ("a", "2")]}, "twice"),
        ({"dimensions": {"a": ""}}, "no value of a dimension"), ({"name": ""}, "1 to 255"), ({"description": "x" * 1025}, "1025"),
        ({"namespace": ":x"}, "refuses"), ({"metric": ""}, "watches"), ({"metrics": MATH}, "beside them"),
        ({"dimensions": {"ImageId": "ami-1"}, "alarm_actions": "arn:aws:automate:us-east-1:ec2:recover"}, "one instance"),
    ],
)  # fmt: skip
def test_what_cloudwatch_refuses_is_refused_in_three_lines(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        AlarmSpec(**PLAIN | given)
    assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (ANOMALY | {"threshold": 1}, "no threshold"), (ANOMALY | {"threshold_metric": "m9"}, "metrics are watched"),
        (ANOMALY | {"alarm_actions": "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:1:autoScalingGroupName/g:policyName/p"}, "Auto Scaling"),
        (RATE | {"metrics": (MATH[0], MATH[1] | {"Id": "m1"})}, "Id of its own"), (RATE | {"metrics": (MATH[0],)}, "0 metrics are watched"),
        (RATE | {"metrics": (MATH[0] | {"Expression": "1"}, MATH[1])}, "Expression or a MetricStat"),
        (RATE | {"metrics": (MATH[0] | {"MetricStat": MATH[0]["MetricStat"] | {"Stat": "Mean"}}, MATH[1])}, "not a statistic"),  # type: ignore[operator]
    ],
)  # fmt: skip
def test_expressions_and_bands_have_rules_of_their_own(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        AlarmSpec(**given)


@pytest.mark.parametrize("given", [{"period": 86_400, "evaluation_periods": 7}, {"period": 300, "evaluation_periods": 288}, {"period": 60, "resolution": 60}, {"period": 10, "resolution": 1}, {"metric": "StatusCheckFailed", "period": 60}, {"statistic": "", "extended_statistic": "TM(10%:90%)"}])  # fmt: skip
def test_what_cloudwatch_takes_at_its_limits(given: dict[str, Any]) -> None:
    assert AlarmSpec(**PLAIN | given).request()["AlarmName"] == "High-CPU-Usage"


@pytest.mark.parametrize(
    ("arn", "kind"),
    [
        (TOPIC, "sns"), (TOPIC + ".fifo", "sns"), ("arn:aws-cn:sns:cn-north-1:123456789012:t", "sns"), ("arn:aws:automate:us-east-1:ec2:stop", "ec2"),
        ("arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:6b2f:autoScalingGroupName/web:policyName/out", "autoscaling"),
        ("arn:aws:lambda:us-east-1:123456789012:function:f:live", "lambda"), ("arn:aws:ssm:us-east-1:123456789012:opsitem:1#CATEGORY=Performance", "opsitem"),
        ("arn:aws:ssm-incidents::123456789012:response-plan/net", "incident"),
    ],
)  # fmt: skip
def test_the_forms_of_actions(arn: str, kind: str) -> None:
    assert alarms.action_kind(arn) == kind


def test_a_composite_alarm_knows_what_it_asks() -> None:
    rule = '(ALARM("a b") OR ALARM(c)) AND NOT OK(arn:aws:cloudwatch:us-east-1:123456789012:alarm:d) OR FALSE'
    spec = CompositeSpec(name="path", rule=rule, alarm_actions=(TOPIC,), tags={"team": "net"})
    assert spec.names == ("a b", "c", "arn:aws:cloudwatch:us-east-1:123456789012:alarm:d")
    assert by_botocore("cloudwatch", "PutCompositeAlarm", spec.request()) == ""
    assert CompositeSpec.of(spec.request()).request() == {
        key: one for key, one in spec.request().items() if key != "Tags"
    }
    with pytest.raises(InputError, match="no ec2 action"):
        CompositeSpec(name="path", rule="ALARM(a)", alarm_actions=("arn:aws:automate:us-east-1:ec2:stop",))


@pytest.mark.parametrize("rule", ["", "ALARM(a) ALARM(b)", "ALARM(a) AND", "(ALARM(a)", "ALARM(a))", "BROKEN(a)", "NOT", "AND ALARM(a)", "ALARM()"])  # fmt: skip
def test_a_rule_that_does_not_parse_is_refused(rule: str) -> None:
    with pytest.raises(InputError):
        CompositeSpec(name="path", rule=rule)


def test_the_topic_lets_alarms_and_the_rule_publish_and_is_merged_once() -> None:
    ours = alarms.topic_statement(TOPIC, account="123456789012", region="us-east-1")
    assert ours["Condition"]["ArnLike"]["aws:SourceArn"] == "arn:aws:cloudwatch:us-east-1:123456789012:alarm:*"
    theirs = alarms.rule_topic_statement(TOPIC, rule="arn:aws:events:us-east-1:123456789012:rule/r")
    policy, added = merge_statements(None, [ours, theirs])
    assert added == ("NetkitAlarmsPublish", "NetkitRulePublishes")
    assert merge_statements(policy, [ours, theirs]) == (policy, ())
    with pytest.raises(InputError, match="no SNS topic"):
        alarms.topic_statement("topic", account="123456789012", region="us-east-1")


def test_the_rule_and_its_target_pass_the_model() -> None:
    rule = alarms.state_change_rule("alarms", names=["a"], prefix="net-", states=("ALARM", "OK"))
    assert by_botocore("events", "PutRule", rule) == ""
    assert json.loads(rule["EventPattern"])["detail"] == {
        "alarmName": ["a", {"prefix": "net-"}],
        "state": {"value": ["ALARM", "OK"]},
    }
    assert by_botocore("events", "PutTargets", alarms.state_change_target("alarms", TOPIC)) == ""
    assert "alarmName" not in json.loads(alarms.state_change_rule("all")["EventPattern"])["detail"]
    with pytest.raises(InputError, match="state of an alarm"):
        alarms.state_change_rule("alarms", states=("BAD",))


def test_a_promql_alarm_is_not_read_as_a_metrics_alarm() -> None:
    with pytest.raises(InputError, match="PromQL"):
        AlarmSpec.of({"AlarmName": "p", "EvaluationCriteria": {"PromQLCriteria": {}}})
