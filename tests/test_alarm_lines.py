"""Alarms in a line each."""

from __future__ import annotations

import pytest

from netkit.cloudwatch.alarm_lines import parse_alarms
from netkit.core.errors import InputError

HOSTS = {"i-00000000000000001": "web-1", "i-00000000000000002": ""}


def test_a_line_per_host_is_an_alarm_for_each() -> None:
    first, second = parse_alarms(["cpu: Average AWS/EC2 CPUUtilization per host > 70, 2 of 3 x 300s, missing breaching"], HOSTS, prefix="shop-")  # fmt: skip
    assert (first.name, second.name) == ("shop-cpu-i-00000000000000001", "shop-cpu-i-00000000000000002")
    request = first.request()
    assert request["Dimensions"] == [{"Name": "InstanceId", "Value": "i-00000000000000001"}]
    assert (request["Period"], request["DatapointsToAlarm"], request["EvaluationPeriods"], request["Threshold"]) == (300, 2, 3, 70)  # fmt: skip
    assert (request["ComparisonOperator"], request["Statistic"], request["TreatMissingData"]) == ("GreaterThanThreshold", "Average", "breaching")  # fmt: skip


def test_the_other_forms() -> None:
    lines = ["slow: p99 Shop Latency with Service=web,Zone=a >= 1.5, 5 x 60s", "errors: Sum Shop Errors < 1, 1 x 60s"]
    slow, errors = parse_alarms(lines, {})
    assert slow.extended_statistic == "p99" and slow.dimensions == (("Service", "web"), ("Zone", "a"))
    assert (slow.m, slow.evaluation_periods, slow.threshold) == (5, 5, 1.5)
    assert errors.dimensions == () and errors.comparison == "LessThanThreshold"


def test_commas_can_be_words() -> None:
    with_commas = parse_alarms(["e: Sum S M > 0, 3 of 5 x 300s, missing ignore"], {})[0].request()
    without = parse_alarms(["e: Sum S M > 0 for 3 of 5 x 300s missing ignore"], {})[0].request()
    assert with_commas | {"AlarmDescription": ""} == without | {"AlarmDescription": ""}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("cpu above 70", "is no alarm"),
        ("cpu: Average AWS/EC2 CPUUtilization per host > 70, 2 x 45s", "a period of 45 s"),
        ("cpu: Average AWS/EC2 CPUUtilization per host > 70, 2 x 60s", "a point every 300 s"),
        ("cpu: Mean AWS/EC2 CPUUtilization per host > 70, 2 x 300s", "extended statistic"),
        ("cpu: Average AWS/EC2 CPUUtilization per host > 7.0.0, 2 x 300s", "is no number"),
        ("cpu: Average AWS/EC2 CPUUtilization per host > 70, 3 of 2 x 300s", "3 out of 2"),
        ("cpu: Average AWS/EC2 CPUUtilization per host > 70, 2 x 300s, missing nothing", "is no alarm"),
        ("cpu: Average AWS/EC2 CPUUtilization per host > 70, 300 x 300s", "90,000 s"),
    ],
)
def test_what_is_refused(line: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as refused:
        parse_alarms([line], HOSTS)
    assert len(str(refused.value).splitlines()) <= 3


def test_no_host_and_a_name_twice() -> None:
    with pytest.raises(InputError, match="and no host"):
        parse_alarms(["cpu: Average AWS/EC2 CPUUtilization per host > 70, 2 x 300s"], {})
    with pytest.raises(InputError, match="two alarms of one name"):
        parse_alarms(["a: Sum S M > 1, 1 x 60s", "a: Sum S M > 2, 1 x 60s"], {})
