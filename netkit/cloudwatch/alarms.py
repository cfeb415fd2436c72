"""Alarms as values, checked as CloudWatch checks them, before any call. Pure.

Source of the rules: the PutMetricAlarm and PutCompositeAlarm API reference. botocore insists on AlarmName alone, so that an
alarm that is incomplete, or on a period that its metric never has, would be found out by AWS, or by nobody.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from netkit.cloudwatch.alarm_rules import STATES, Node, parse_rule, rule_alarms
from netkit.cloudwatch.expressions import check_alarm_metrics
from netkit.cloudwatch.metrics import dimensions_of
from netkit.core.errors import InputError

STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
BAND_OPERATORS = ("LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold")
OPERATORS = (
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
    *BAND_OPERATORS,
)
TREATMENTS = ("missing", "notBreaching", "breaching", "ignore")
LOW_SAMPLES = ("evaluate", "ignore")
MOST_ACTIONS = 5
DAY, WEEK = 86_400, 604_800
BASIC_MONITORING = 300

_NUMBER = r"\d+(?:\.\d+)?"
_EXTENDED = re.compile(
    rf"(?:p|tm|tc|ts|wm){_NUMBER}|IQM|PR\((?:-?{_NUMBER})?:(?:-?{_NUMBER})?\)|(?:TM|TC|TS|WM)\((?:{_NUMBER}%?)?:(?:{_NUMBER}%?)?\)"
)
_AWS = r"arn:aws[a-z-]*"
_ACTIONS: dict[str, re.Pattern[str]] = {
    kind: re.compile(pattern)
    for kind, pattern in {
        "sns": rf"{_AWS}:sns:(?P<region>[a-z0-9-]+):\d{{12}}:[A-Za-z0-9_-]{{1,256}}(\.fifo)?",
        "autoscaling": rf"{_AWS}:autoscaling:(?P<region>[a-z0-9-]+):\d{{12}}:scalingPolicy:[^:]+:(autoScalingGroupName/[^:]+|resource/[^:]+):policyName/.+",
        "ec2": rf"{_AWS}:automate:(?P<region>[a-z0-9-]+):ec2:(stop|terminate|reboot|recover)",
        "ec2 by role": rf"{_AWS}:swf:(?P<region>[a-z0-9-]+):\d{{12}}:action/actions/AWS_EC2\.InstanceId\.(Stop|Terminate|Reboot)/1\.0",
        "lambda": rf"{_AWS}:lambda:(?P<region>[a-z0-9-]+):\d{{12}}:function:[A-Za-z0-9_-]+(:[$A-Za-z0-9_-]+)?",
        "opsitem": rf"{_AWS}:ssm:(?P<region>[a-z0-9-]+):\d{{12}}:opsitem:[1-4](#CATEGORY=\w+)?",
        "incident": rf"{_AWS}:ssm-incidents::\d{{12}}:response-plan/[A-Za-z0-9_-]+",
        "investigation": rf"{_AWS}:aiops:(?P<region>[a-z0-9-]+):\d{{12}}:investigation-group/.+",
    }.items()
}
Pairs = tuple[tuple[str, str], ...]


def dimensions(given: Any) -> tuple[Pairs, tuple[str, ...]]:
    """Dimensions as sorted (name, value) pairs, and a notice for each translation made.

    given: AWS's list of {Name, Value}, a mapping, pairs, or text: K=V, K=V,K2=V2, Name=K,Value=V, and the form of notes that the
    command line refuses, Dimensions=InstanceId=i-…. Raises InputError for anything else, over 30, an empty value, a
    name twice, text that is not ASCII.
    """
    if not isinstance(given, str):
        return dimensions_of(given), ()
    bare = given.strip().removeprefix("Dimensions=").strip("[]{}")
    named = re.findall(r"Name=([^,{}]+),Value=([^,{}]*)", bare)
    pairs = dimensions_of(named or bare)
    if not pairs or (named and not given.strip().startswith("Dimensions=")):
        return pairs, ()
    shown = ", ".join(f"{name}={value}" for name, value in pairs)
    return pairs, (f"{given!r} was read as {shown}; AWS takes a list of Name and Value",)


def action_kind(arn: str) -> str:
    """What an action's ARN does: sns, autoscaling, ec2, ec2 by role, lambda, opsitem, incident, investigation.

    Raises InputError for an ARN in no form that PutMetricAlarm takes.
    """
    for kind, pattern in _ACTIONS.items():
        if pattern.fullmatch(arn):
            return kind
    raise InputError("an alarm action is no ARN that CloudWatch takes", subject=arn, hint="as arn:aws:sns:us-east-1:123456789012:topic or arn:aws:automate:us-east-1:ec2:recover")  # fmt: skip


def _check_actions(name: str, region: str, groups: Iterable[Sequence[str]]) -> set[str]:
    kinds: set[str] = set()
    for arns in groups:
        if len(arns) > MOST_ACTIONS:
            raise InputError(f"{len(arns)} actions for one state", subject=name, hint=f"CloudWatch takes {MOST_ACTIONS}")  # fmt: skip
        for arn in arns:
            kind = action_kind(arn)
            kinds.add(kind)
            found = _ACTIONS[kind].fullmatch(arn)
            there = found.groupdict().get("region") if found else None
            if region and there and there != region:
                raise InputError(f"an action in {there} on an alarm in {region}", subject=arn, hint=f"an alarm acts in its own region; make the topic in {region}")  # fmt: skip
    return kinds


def _check_name(name: str, description: str) -> None:
    if not (1 <= len(name) <= 255 and name.isascii()):
        raise InputError("an alarm's name has 1 to 255 ASCII characters", subject=name[:80])
    if len(description) > 1024:
        raise InputError(f"a description of {len(description)} characters", subject=name, hint="at most 1,024")


def _one_of(value: str, allowed: Sequence[str], what: str, name: str) -> None:
    if value not in allowed:
        raise InputError(f"{value!r} is not a {what}", subject=name, hint=", ".join(allowed))


@dataclass(frozen=True, kw_only=True)
class AlarmSpec:
    """One metric alarm: on a metric, on an expression (`metrics`), or on an anomaly band (`metrics` and `threshold_metric`).

    resolution: seconds between the metric's points; 0 takes 300 for AWS/EC2 (basic monitoring; give 60 with detailed
    monitoring), 60 for others. Periods of 10, 20 and 30 s need 1. region: where the alarm will be, for its actions.
    dimensions may be given in any form that `dimensions()` reads. kept: members of PutMetricAlarm that nothing here looks into, as
    they are (KEPT). Raises InputError for what CloudWatch refuses.
    """

    name: str
    namespace: str = ""
    metric: str = ""
    dimensions: Any = ()
    statistic: str = ""
    extended_statistic: str = ""
    period: int = 0
    evaluation_periods: int = 1
    datapoints_to_alarm: int | None = None
    threshold: float | None = None
    comparison: str = "GreaterThanThreshold"
    treat_missing: str = "missing"
    low_samples: str = ""
    metrics: tuple[Mapping[str, Any], ...] = ()
    threshold_metric: str = ""
    unit: str = ""
    alarm_actions: tuple[str, ...] = ()
    ok_actions: tuple[str, ...] = ()
    insufficient_actions: tuple[str, ...] = ()
    actions_enabled: bool = True
    description: str = ""
    tags: Any = ()
    resolution: int = 0
    region: str = ""
    kept: Any = ()

    def __post_init__(self) -> None:
        for field in ("alarm_actions", "ok_actions", "insufficient_actions", "metrics"):
            given = getattr(self, field)
            object.__setattr__(self, field, (given,) if isinstance(given, str | Mapping) else tuple(given))
        object.__setattr__(self, "dimensions", dimensions(self.dimensions)[0])
        object.__setattr__(self, "tags", tuple(dict(self.tags).items()))
        object.__setattr__(self, "kept", tuple(dict(self.kept).items()))
        _check_name(self.name, self.description)
        self._check_words()
        self._check_what_is_watched()
        self._check_times()
        self._check_level()
        self._check_what_it_does()

    @property
    def kind(self) -> str:
        """metric, math or anomaly."""
        return "anomaly" if self.threshold_metric else "math" if self.metrics else "metric"

    @property
    def m(self) -> int:
        """How many of the evaluation periods have to breach."""
        return self.datapoints_to_alarm or self.evaluation_periods

    @property
    def evaluated_period(self) -> int:
        """Seconds of one data point; of an expression, the period of its metrics."""
        if self.period:
            return self.period
        found = [int(one.get("Period") or one.get("MetricStat", {}).get("Period") or 0) for one in self.metrics]
        return max(found, default=0)

    def changed(self, **values: Any) -> AlarmSpec:
        """The same alarm with other values, checked again."""
        return replace(self, **values)

    def _check_words(self) -> None:
        _one_of(self.comparison, OPERATORS, "comparison operator", self.name)
        _one_of(self.treat_missing, TREATMENTS, "treatment of missing data", self.name)
        if self.low_samples:
            _one_of(self.low_samples, LOW_SAMPLES, "treatment of few samples", self.name)

    def _check_what_is_watched(self) -> None:
        if self.metrics:
            self._check_expression()
            return
        if not (self.metric and self.namespace):
            raise InputError("an alarm watches a metric of a namespace, or metrics", subject=self.name)
        if self.namespace.startswith(":") or len(self.namespace) > 255 or len(self.metric) > 255:
            raise InputError("a namespace or metric that CloudWatch refuses", subject=f"{self.namespace} {self.metric}", hint="1-255 characters, no leading colon")  # fmt: skip
        if bool(self.statistic) == bool(self.extended_statistic):
            both = "both a statistic and an extended one" if self.statistic else "no statistic"
            raise InputError(f"an alarm with {both}", subject=self.name, hint="exactly one: statistic or extended_statistic")  # fmt: skip
        if self.statistic:
            _one_of(self.statistic, STATISTICS, "statistic", self.name)
        elif not _EXTENDED.fullmatch(self.extended_statistic):
            raise InputError(f"{self.extended_statistic!r} is not an extended statistic", subject=self.name, hint="as p99, tm90, IQM, PR(0:100), TM(10%:90%)")  # fmt: skip

    def _check_expression(self) -> None:
        single = (self.metric, self.namespace, self.dimensions, self.statistic, self.extended_statistic, self.period, self.unit)  # fmt: skip
        if any(single):
            raise InputError("an alarm on metrics names no metric, statistic, dimension or period beside them", subject=self.name)  # fmt: skip
        ids = [str(one.get("Id", "")) for one in self.metrics]
        if len(set(ids)) < len(ids) or not all(re.fullmatch(r"[a-z][A-Za-z0-9_]{0,254}", one) for one in ids):
            raise InputError("each metric has an Id of its own that begins with a small letter", subject=self.name)
        if any(bool(one.get("Expression")) == bool(one.get("MetricStat")) for one in self.metrics):
            raise InputError("each metric is an Expression or a MetricStat", subject=self.name)
        watched = [one for one in self.metrics if one.get("ReturnData", True) and one["Id"] != self.threshold_metric]
        if len(watched) != 1:
            raise InputError(f"{len(watched)} metrics are watched", subject=self.name, hint="ReturnData is true for one, the others have False")  # fmt: skip
        check_alarm_metrics(self.metrics, self.name)
        for one in self.metrics:
            if stat := one.get("MetricStat"):
                word = str(stat.get("Stat", ""))
                if word not in STATISTICS and not _EXTENDED.fullmatch(word):
                    raise InputError(f"{word!r} is not a statistic", subject=self.name, hint=", ".join(STATISTICS))

    def _check_times(self) -> None:
        period, n = self.evaluated_period, self.evaluation_periods
        if not (period in (10, 20, 30) or (period > 0 and period % 60 == 0)):
            raise InputError(f"a period of {period} s", subject=self.name, hint="10, 20, 30 or a multiple of 60")
        if n < 1 or not 1 <= self.m <= n or self.datapoints_to_alarm == 0:
            raise InputError(f"{self.datapoints_to_alarm} out of {n} data points", subject=self.name, hint="datapoints_to_alarm lies between 1 and evaluation_periods")  # fmt: skip
        most = WEEK if period >= 3600 else DAY
        if period * n > most:
            raise InputError(f"{n} periods of {period} s are {period * n:,} s", subject=self.name, hint=f"at most {most:,} s with this period")  # fmt: skip
        if period < 60 and self.resolution != 1:
            raise InputError(f"a period of {period} s on a metric of one minute", subject=self.name, hint="only a high-resolution metric has it: resolution=1")  # fmt: skip
        if period < self._points_every():
            raise InputError(f"a period of {period} s on a metric with a point every {self._points_every()} s", subject=self.name, hint="period=300, or detailed monitoring and resolution=60")  # fmt: skip

    def _points_every(self) -> int:
        if self.resolution:
            return self.resolution
        basic = self.namespace == "AWS/EC2" and not self.metric.startswith("StatusCheckFailed")
        return BASIC_MONITORING if basic else 60

    def _check_level(self) -> None:
        band = self.comparison in BAND_OPERATORS
        if band != bool(self.threshold_metric):
            raise InputError("an anomaly band and its comparison go together", subject=self.name, hint=f"threshold_metric with one of {', '.join(BAND_OPERATORS)}")  # fmt: skip
        if band and self.threshold is not None:
            raise InputError("an anomaly alarm has a band and no threshold", subject=self.name)
        if band and self.threshold_metric not in {one.get("Id") for one in self.metrics}:
            raise InputError(f"{self.threshold_metric!r} is no Id among the metrics", subject=self.name)
        if not band and (self.threshold is None or not math.isfinite(self.threshold)):
            raise InputError(f"a threshold of {self.threshold}", subject=self.name, hint="a finite number")

    def _check_what_it_does(self) -> None:
        kinds = _check_actions(self.name, self.region, (self.alarm_actions, self.ok_actions, self.insufficient_actions))
        if self.kind == "anomaly" and "autoscaling" in kinds:
            raise InputError("an anomaly alarm takes no Auto Scaling action", subject=self.name)
        if kinds & {"ec2", "ec2 by role"} and "InstanceId" not in dict(self.dimensions):
            raise InputError("an EC2 action needs an alarm on a metric of one instance", subject=self.name, hint="dimensions={'InstanceId': 'i-…'}")  # fmt: skip

    def request(self) -> dict[str, Any]:
        """The parameters of PutMetricAlarm. Tags are read by AWS on creation only."""
        asked: dict[str, Any] = {
            "AlarmName": self.name, "AlarmDescription": self.description, "ActionsEnabled": self.actions_enabled,
            "AlarmActions": list(self.alarm_actions), "OKActions": list(self.ok_actions),
            "InsufficientDataActions": list(self.insufficient_actions), "EvaluationPeriods": self.evaluation_periods,
            "DatapointsToAlarm": self.m, "ComparisonOperator": self.comparison, "TreatMissingData": self.treat_missing,
        }  # fmt: skip
        optional = {
            "Namespace": self.namespace, "MetricName": self.metric, "Statistic": self.statistic, "Unit": self.unit,
            "ExtendedStatistic": self.extended_statistic, "Period": self.period, "Threshold": self.threshold,
            "Dimensions": [{"Name": name, "Value": value} for name, value in self.dimensions],
            "EvaluateLowSampleCountPercentile": self.low_samples, "Metrics": [dict(one) for one in self.metrics],
            "ThresholdMetricId": self.threshold_metric, "Tags": [{"Key": key, "Value": value} for key, value in self.tags],
        }  # fmt: skip
        given = {key: value for key, value in optional.items() if value or (key == "Threshold" and value is not None)}
        return asked | given | dict(self.kept)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> AlarmSpec:
        """The alarm of a MetricAlarms record of DescribeAlarms.

        Its period is taken as the metric's own, since AWS has accepted it. Raises InputError for a PromQL alarm, and
        where the record breaks a rule.
        """
        if record.get("EvaluationCriteria"):
            raise InputError("an alarm on a PromQL query has no metric to look at", subject=str(record["AlarmName"]))
        period = int(record.get("Period") or 0)
        given = {field: record[key] for key, field in _MEMBERS.items() if record.get(key) not in (None, "", [])}
        kept = {key: record[key] for key in KEPT if record.get(key)}
        return cls(**given, resolution=1 if period < 60 else min(period, 60), kept=kept)


KEPT = ("ActionConfiguration", "EvaluationWindow", "WarmUpConfiguration")
_MEMBERS = {
    "AlarmName": "name", "Namespace": "namespace", "MetricName": "metric", "Dimensions": "dimensions", "Statistic": "statistic",
    "ExtendedStatistic": "extended_statistic", "Period": "period", "EvaluationPeriods": "evaluation_periods",
    "DatapointsToAlarm": "datapoints_to_alarm", "Threshold": "threshold", "ComparisonOperator": "comparison",
    "TreatMissingData": "treat_missing", "EvaluateLowSampleCountPercentile": "low_samples", "Metrics": "metrics",
    "ThresholdMetricId": "threshold_metric", "Unit": "unit", "AlarmActions": "alarm_actions", "OKActions": "ok_actions",
    "InsufficientDataActions": "insufficient_actions", "ActionsEnabled": "actions_enabled", "AlarmDescription": "description",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CompositeSpec:
    """An alarm on the states of other alarms: `rule` of ALARM(), OK(), INSUFFICIENT_DATA(), AND, OR, NOT, TRUE, FALSE, AT_LEAST().

    suppressor   name or ARN of an alarm; while it is in ALARM nothing is done. suppressor_wait and suppressor_extension are seconds:
                 how long it is waited for after a change of state, and after it has left ALARM; all three, or none

    Raises InputError for a rule that does not parse, and for actions other than SNS, Lambda, OpsItem and investigation.
    """

    name: str
    rule: str
    alarm_actions: tuple[str, ...] = ()
    ok_actions: tuple[str, ...] = ()
    insufficient_actions: tuple[str, ...] = ()
    actions_enabled: bool = True
    suppressor: str = ""
    suppressor_wait: int | None = None
    suppressor_extension: int | None = None
    description: str = ""
    tags: Any = ()
    region: str = ""
    kept: Any = ()

    def __post_init__(self) -> None:
        for field in ("alarm_actions", "ok_actions", "insufficient_actions"):
            given = getattr(self, field)
            object.__setattr__(self, field, (given,) if isinstance(given, str) else tuple(given))
        object.__setattr__(self, "tags", tuple(dict(self.tags).items()))
        object.__setattr__(self, "kept", tuple(dict(self.kept).items()))
        _check_name(self.name, self.description)
        parse_rule(self.rule, self.name)
        self._check_suppressor()
        kinds = _check_actions(self.name, self.region, (self.alarm_actions, self.ok_actions, self.insufficient_actions))
        if wrong := kinds & {"ec2", "ec2 by role", "autoscaling"}:
            raise InputError(f"a composite alarm takes no {', '.join(sorted(wrong))} action", subject=self.name)

    def _check_suppressor(self) -> None:
        times = (self.suppressor_wait, self.suppressor_extension)
        if len(self.suppressor) > 1600 or any(one is not None and one < 0 for one in times):
            raise InputError(
                "a suppressor that CloudWatch refuses",
                subject=self.name,
                hint="a name or ARN, and seconds of 0 or more",
            )
        if any((one is None) == bool(self.suppressor) for one in times):
            raise InputError(
                "a suppressor and its two times go together",
                subject=self.name,
                hint="suppressor, suppressor_wait and suppressor_extension, or none of them",
            )

    @property
    def tree(self) -> Node:
        """The rule as alarm_rules.holds reads it."""
        return parse_rule(self.rule, self.name)

    @property
    def names(self) -> tuple[str, ...]:
        """The alarms that the rule asks, by name or ARN, each once."""
        return rule_alarms(self.tree)

    def request(self) -> dict[str, Any]:
        """The parameters of PutCompositeAlarm."""
        asked: dict[str, Any] = {
            "AlarmName": self.name, "AlarmRule": self.rule, "AlarmDescription": self.description, "ActionsEnabled": self.actions_enabled,
            "AlarmActions": list(self.alarm_actions), "OKActions": list(self.ok_actions), "InsufficientDataActions": list(self.insufficient_actions),
        }  # fmt: skip
        asked |= dict(self.kept)
        if self.suppressor:
            asked |= {
                "ActionsSuppressor": self.suppressor, "ActionsSuppressorWaitPeriod": self.suppressor_wait,
                "ActionsSuppressorExtensionPeriod": self.suppressor_extension,
            }  # fmt: skip
        return asked | ({"Tags": [{"Key": key, "Value": value} for key, value in self.tags]} if self.tags else {})

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> CompositeSpec:
        """The alarm of a CompositeAlarms record of DescribeAlarms."""
        wanted = {field.name for field in fields(cls)}
        members = _MEMBERS | {
            "AlarmRule": "rule", "ActionsSuppressor": "suppressor", "ActionsSuppressorWaitPeriod": "suppressor_wait",
            "ActionsSuppressorExtensionPeriod": "suppressor_extension",
        }  # fmt: skip
        given = {field: record[key] for key, field in members.items() if field in wanted and record.get(key) not in (None, "", [])}  # fmt: skip
        return cls(**given, kept={key: record[key] for key in KEPT if record.get(key)})


def topic_statement(topic: str, *, account: str, region: str) -> dict[str, Any]:
    """The statement by which alarms of this account and region may publish to an SNS topic; policy.merge_statements adds it.

    A topic's own default policy lets its account publish; one that was replaced needs this. Source: CloudWatch User Guide,
    "Notifying users on alarm changes". Raises InputError for what is no topic's ARN.
    """
    partition = _topic_partition(topic)
    return {
        "Sid": "NetkitAlarmsPublish",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "SNS:Publish",
        "Resource": topic,
        "Condition": {
            "ArnLike": {"aws:SourceArn": f"{partition}:cloudwatch:{region}:{account}:alarm:*"},
            "StringEquals": {"aws:SourceAccount": account},
        },
    }


def rule_topic_statement(topic: str, *, rule: str) -> dict[str, Any]:
    """The statement by which one EventBridge rule (its ARN) may publish to an SNS topic. Source: EventBridge User Guide,
    "Using resource-based policies". Raises InputError for what is no topic's ARN."""
    _topic_partition(topic)
    return {
        "Sid": "NetkitRulePublishes",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "SNS:Publish",
        "Resource": topic,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }


def _topic_partition(topic: str) -> str:
    if not _ACTIONS["sns"].fullmatch(topic):
        raise InputError("this is no SNS topic", subject=topic, hint="as arn:aws:sns:us-east-1:123456789012:topic")
    return topic.split(":sns:", 1)[0]


def state_change_rule(
    rule: str, *, names: Sequence[str] = (), prefix: str = "", states: Sequence[str] = ("ALARM",)
) -> dict[str, Any]:
    """The parameters of PutRule for changes of alarms into these states: those named, or whose name has the prefix, or all.

    Source: CloudWatch User Guide, "Alarm events and EventBridge". Raises InputError for an unknown state.
    """
    for state in states:
        _one_of(state, STATES, "state of an alarm", rule)
    wanted: list[Any] = [*names, *([{"prefix": prefix}] if prefix else [])]
    detail: dict[str, Any] = {"alarmName": wanted} if wanted else {}
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "detail": detail | {"state": {"value": list(states)}},
    }
    return {"Name": rule, "EventPattern": json.dumps(pattern), "State": "ENABLED"}


def state_change_target(rule: str, target: str, *, role: str = "", ident: str = "netkit") -> dict[str, Any]:
    """The parameters of PutTargets for one target of a rule. A target without a role needs a policy on its own side; what was
    not taken is in FailedEntryCount of an answer that says 200."""
    return {"Rule": rule, "Targets": [{"Id": ident, "Arn": target} | ({"RoleArn": role} if role else {})]}
