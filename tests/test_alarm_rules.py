"""Composite alarms (rules, suppressors, who acts for whom), expressions of alarms, and percentiles of few samples."""

from __future__ import annotations

import itertools
from typing import Any

import botocore.session
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.cloudwatch import AlarmSpec, CompositeSpec, replay
from netkit.cloudwatch.alarm_rules import holds, parse_rule, rule_alarms
from netkit.cloudwatch.expressions import functions_of, ids_of
from netkit.cloudwatch.proof import quiet_on_purpose
from netkit.cloudwatch.replay import needed_samples
from netkit.core.errors import InputError


def members(operation: str) -> set[str]:
    model = botocore.session.get_session().get_service_model("cloudwatch")
    return set(model.operation_model(operation).input_shape.members)


@pytest.mark.parametrize(
    ("rule", "alarms"),
    [
        ("AT_LEAST(2, ALARM, (a, b, c))", ("a", "b", "c")),
        ("AT_LEAST(50%, NOT OK, (a, b))", ("a", "b")),
        ('(AT_LEAST(1, INSUFFICIENT_DATA, ("a b", arn:aws:cloudwatch:eu-central-1:123456789012:alarm:c)) OR TRUE)', ("a b", "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:c")),
        ("ALARM(a) AND NOT AT_LEAST(1,OK,(b))", ("a", "b")),
        (r'ALARM("say \"hi\" \\ now")', (r'say "hi" \ now',)),
        ("ALARM(a) OR ALARM(a)", ("a",)),
        ("NOT NOT (TRUE)", ()),
    ],
)  # fmt: skip
def test_a_rule_and_the_alarms_it_asks(rule: str, alarms: tuple[str, ...]) -> None:
    assert CompositeSpec(name="c", rule=rule).names == alarms == rule_alarms(parse_rule(rule, "c"))


@pytest.mark.parametrize(
    "rule",
    [
        *("", "AT_LEAST", "AT_LEAST(2, ALARM, (a))", "AT_LEAST(0, ALARM, (a))", "AT_LEAST(101%, OK, (a))"),
        *("AT_LEAST(1.5, OK, (a, b))", "AT_LEAST(1, WARN, (a))", "AT_LEAST(1, ALARM, ())", "AT_LEAST(1, ALARM, a)"),
        *("AT_LEAST(1, ALARM, (a,))", "AT_LEAST(1, ALARM, (a)", "ALARM(a, b)", "ALARM()", 'ALARM("")', "ALARM(a) ALARM(b)"),
        *("ALARM(a) AND", "(ALARM(a)", "ALARM(a))", "OR ALARM(a)", 'ALARM("a)', "alarm(a)", "NOT", "ALARM a"),
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused_in_three_lines(rule: str) -> None:
    with pytest.raises(InputError) as caught:
        CompositeSpec(name="c", rule=rule)
    assert len(str(caught.value).splitlines()) <= 3


def test_a_rule_asks_a_hundred_alarms_at_most() -> None:
    names = [f"a{one}" for one in range(101)]
    CompositeSpec(name="c", rule=f"AT_LEAST(1, ALARM, ({', '.join(names[:100])}))")
    with pytest.raises(InputError, match="101 alarms"):
        CompositeSpec(name="c", rule=" OR ".join(f"ALARM({one})" for one in names))


@given(
    states=st.lists(st.sampled_from(["ALARM", "OK", "INSUFFICIENT_DATA"]), min_size=1, max_size=5),
    wanted=st.sampled_from(["ALARM", "OK", "INSUFFICIENT_DATA"]),
    negated=st.booleans(),
    data=st.data(),
)
def test_at_least_is_what_it_says_written_out(
    states: list[str], wanted: str, negated: bool, data: st.DataObject
) -> None:
    names = [f"a{place}" for place in range(len(states))]
    least = data.draw(st.integers(1, len(names)))
    word = f"NOT {wanted}" if negated else wanted
    short = parse_rule(f"AT_LEAST({least}, {word}, ({', '.join(names)}))", "c")
    each = [f"NOT {wanted}({one})" if negated else f"{wanted}({one})" for one in names]
    long = " OR ".join(f"({' AND '.join(some)})" for some in itertools.combinations(each, least))
    held = dict(zip(names, states, strict=True))
    assert holds(short, held) == holds(parse_rule(long, "c"), held)


def test_a_percentage_is_rounded_up() -> None:
    tree = parse_rule("AT_LEAST(34%, ALARM, (a, b, c))", "c")
    assert not holds(tree, {"a": "ALARM"}) and holds(tree, {"a": "ALARM", "c": "ALARM"})


# settings are kept


SUPPRESSED = {
    "AlarmName": "c", "AlarmRule": "ALARM(a)", "ActionsSuppressor": "quiet", "ActionsSuppressorWaitPeriod": 0,
    "ActionsSuppressorExtensionPeriod": 120, "ActionsEnabled": False, "AlarmDescription": "d",
    "AlarmActions": ["arn:aws:sns:eu-central-1:123456789012:t"], "OKActions": [], "InsufficientDataActions": [], "ActionConfiguration": {"AlarmTagsPropagation": {"Enabled": True}},
}  # fmt: skip


def test_a_composite_alarm_is_read_and_written_whole() -> None:
    """Every member that PutCompositeAlarm has, but for tags, which an update leaves alone: an undo puts back what was there."""
    assert set(SUPPRESSED) == members("PutCompositeAlarm") - {"Tags"}
    assert CompositeSpec.of(SUPPRESSED).request() == SUPPRESSED
    assert not {one for one in CompositeSpec(name="c", rule="TRUE").request() if one.startswith("ActionsSuppressor")}


def test_a_metric_alarm_is_read_and_written_whole() -> None:
    single = {
        "AlarmName": "m", "AlarmDescription": "d", "ActionsEnabled": False, "OKActions": [], "InsufficientDataActions": [],
        "AlarmActions": ["arn:aws:sns:eu-central-1:123456789012:t"], "MetricName": "x", "Namespace": "n", "ExtendedStatistic": "p99",
        "Dimensions": [{"Name": "a", "Value": "b"}], "Period": 60, "Unit": "Count", "EvaluationPeriods": 3, "DatapointsToAlarm": 2,
        "Threshold": 0.0, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "ignore", "EvaluateLowSampleCountPercentile": "ignore",
        "ActionConfiguration": {"AlarmTagsPropagation": {"Enabled": False}}, "EvaluationWindow": {"WallClockWindow": {"Timezone": "UTC"}},
        "WarmUpConfiguration": {"WarmUpPeriodDurationInMinutes": 5},
    }  # fmt: skip
    elsewhere = {"Tags", "Statistic", "Metrics", "ThresholdMetricId", "EvaluationCriteria", "EvaluationInterval"}
    assert set(single) == members("PutMetricAlarm") - elsewhere
    assert AlarmSpec.of(single).request() == single


@pytest.mark.parametrize(
    "given",
    [
        {"suppressor": "a"},
        {"suppressor": "a", "suppressor_wait": 1},
        {"suppressor_wait": 1, "suppressor_extension": 1},
        {"suppressor": "a", "suppressor_wait": -1, "suppressor_extension": 1},
    ],
)
def test_a_suppressor_comes_with_its_times(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="suppressor"):
        CompositeSpec(name="c", rule="TRUE", **given)


# who acts


ACTS = {"AlarmActions": ["arn:aws:sns:eu-central-1:123456789012:t"]}


def test_who_needs_no_action_of_its_own() -> None:
    records: list[dict[str, Any]] = [
        {"AlarmName": "parent", "AlarmRule": 'ALARM("child") OR ALARM(arn:aws:cloudwatch:eu-central-1:1:alarm:by-arn)', **ACTS},
        {"AlarmName": "child"},
        {"AlarmName": "by-arn"},
        {"AlarmName": "middle", "AlarmRule": "AT_LEAST(1, ALARM, (deep))"},
        {"AlarmName": "top", "AlarmRule": "ALARM(middle)", "ActionsSuppressor": "night", **ACTS},
        {"AlarmName": "deep"},
        {"AlarmName": "night"},
        {"AlarmName": "silent-parent", "AlarmRule": "ALARM(orphan)", "ActionsEnabled": False, **ACTS},
        {"AlarmName": "orphan"},
        {"AlarmName": "tells-of-ok", "OKActions": ["arn:aws:sns:eu-central-1:123456789012:t"]},
        {"AlarmName": "odd", "AlarmRule": "SOMETHING_NEW(named)", **ACTS},
        {"AlarmName": "named"},
    ]  # fmt: skip
    assert quiet_on_purpose(records) == {"child", "by-arn", "middle", "deep", "night", "tells-of-ok", "named"}


# expressions


def stat(ident: str) -> dict[str, Any]:
    metric = {"Namespace": "n", "MetricName": ident, "Dimensions": []}
    return {"Id": ident, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, "ReturnData": False}


def over(*expressions: tuple[str, str], metrics: int = 2) -> AlarmSpec:
    made = [
        {"Id": ident, "Expression": text, "ReturnData": not place} for place, (ident, text) in enumerate(expressions)
    ]
    return AlarmSpec(name="x", metrics=(*made, *(stat(f"m{one}") for one in range(1, metrics + 1))), threshold=1)


@pytest.mark.parametrize(
    ("expressions", "said"),
    [
        ([("e", "SUM(SEARCH('{AWS/EC2,InstanceId} CPUUtilization', 'Average', 300))")], "SEARCH"),
        ([("e", "search('x', 'Sum', 60)")], "SEARCH"),
        ([("e", "m1/m2/m3")], "m3"),
        ([("e", "IF(errors > 5, m1, 0)")], "errors"),
        ([("e", "e + m1")], "made of itself"),
        ([("e", "f + m1"), ("f", "e * 2")], "made of itself"),
        ([("e", "(m1 + m2")], "brackets"),
        ([("e", "m1 + 'x")], "brackets or quotes"),
    ],
)
def test_what_an_alarm_may_not_compute(expressions: list[tuple[str, str]], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        over(*expressions)
    assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.parametrize(
    "text",
    [
        *("m1/m2", "100*(m1/m2)", "IF(m1 > 5 AND m2 != 0, m1, FILL(m2, REPEAT))", "SUM(METRICS())", "m1 * 1e3 + 2.5E-1"),
        *('SELECT MAX(CPUUtilization) FROM SCHEMA("AWS/EC2", InstanceId)', "ANOMALY_DETECTION_BAND(m1, 2)", "m1 / SERVICE_QUOTA(m1)"),
        *("SUM(METRICS('SEARCH(m9')) + m1", "PERIOD(m1) + DIFF_TIME(m2)"),
    ],
)  # fmt: skip
def test_what_an_alarm_may_compute(text: str) -> None:
    assert over(("e", text)).kind == "math"


def test_at_most_ten_metrics() -> None:
    over(("e", "SUM(METRICS())"), metrics=10)
    with pytest.raises(InputError, match="11 metrics"):
        over(("e", "SUM(METRICS())"), metrics=11)


def test_ids_and_functions_are_told_apart() -> None:
    text = "IF(m1 > avg_1, RATE(m2), FILL(m3, LINEAR)) + METRICS('m9')"
    assert ids_of(text) == {"m1", "avg_1", "m2", "m3"} and functions_of(text) == {"IF", "RATE", "FILL", "METRICS"}


# few samples


def p99(**more: Any) -> AlarmSpec:
    usual = {"name": "p", "namespace": "n", "metric": "m", "extended_statistic": "p99", "period": 60, "threshold": 10.0}
    return AlarmSpec(**(usual | {"low_samples": "ignore"} | more))


def points(values: list[float], samples: list[float] | None = None) -> pd.DataFrame:
    times = pd.date_range("2026-11-01", periods=len(values), freq="60s", tz="UTC")
    return pd.DataFrame({"time": times, "value": values} | ({"samples": samples} if samples else {}))


STEPS = [1.0, 1.0, 99.0, 99.0, 1.0, 1.0]


def states(spec: AlarmSpec, frame: pd.DataFrame, **more: Any) -> list[str]:
    return [str(one) for one in replay(spec, frame, **more).series["state"]]


def test_few_samples_change_nothing() -> None:
    """Source: "Percentile-based alarms and low data samples": under 1,000 samples p99 is not looked at."""
    assert states(p99(), points(STEPS), initial="OK") == ["OK"] * 6
    assert states(p99(low_samples="evaluate"), points(STEPS)) == ["OK", "OK", "ALARM", "ALARM", "OK", "OK"]
    assert states(p99(low_samples=""), points(STEPS)) == ["OK", "OK", "ALARM", "ALARM", "OK", "OK"]
    many = [1000.0, 1000.0, 1000.0, 1000.0, 999.0, 1000.0]
    assert states(p99(), points(STEPS, many)) == ["OK", "OK", "ALARM", "ALARM", "ALARM", "OK"]
    assert states(p99(extended_statistic="p50"), points(STEPS, [20.0] * 6)) == [
        "OK",
        "OK",
        "ALARM",
        "ALARM",
        "OK",
        "OK",
    ]
    assert states(p99(extended_statistic="p10"), points(STEPS, [99.0] * 6), initial="OK") == ["OK"] * 6
    several = p99(evaluation_periods=3, datapoints_to_alarm=1)
    assert states(several, points(STEPS, [500.0] * 6))[2] == "ALARM"  # 1,500 in its three periods


def test_missing_data_is_not_few_samples() -> None:
    frame = points(STEPS).iloc[[0, 5]]
    end = pd.Timestamp("2026-11-01T00:06Z")
    assert "INSUFFICIENT_DATA" in states(p99(evaluation_periods=1), frame, initial="ALARM", end=end)


@pytest.mark.parametrize(
    ("statistic", "least"), [("p99", 1000), ("p50", 20), ("p90", 100), ("p10", 100), ("tm99", 0), ("p100", 0)]
)
def test_how_many_samples_are_wanted(statistic: str, least: float) -> None:
    assert needed_samples(p99(extended_statistic=statistic)) == pytest.approx(least)
