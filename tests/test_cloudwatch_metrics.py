"""Custom metrics: nothing lost on the way into requests, which botocore takes and which keep AWS's limits."""

from __future__ import annotations

import gzip
import json
import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.awsrequest
import botocore.serialize
import botocore.session
import botocore.validate
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netkit.cloudwatch import log_groups, metrics
from netkit.cloudwatch.metrics import MetricQuery, dimensions_of, finding_points, period_for, prepare
from netkit.core.errors import InputError
from netkit.core.model import Finding, check_retention

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MODEL = botocore.session.Session().get_service_model("cloudwatch")
LOGS = botocore.session.Session().get_service_model("logs")
SEED = "InstanceId=i-1234567890abcdef0"


def accepted(operation: str, request: dict[str, Any], model: Any = MODEL) -> None:
    report = botocore.validate.ParamValidator().validate(request, model.operation_model(operation).input_shape)
    assert not report.has_errors(), report.generate_report()


def sent(requests: Any) -> Counter[tuple[Any, ...]]:
    """Every point in some requests, as it was given."""
    found: Counter[tuple[Any, ...]] = Counter()
    for request in requests:
        for datum in request["MetricData"]:
            key = (
                datum["MetricName"],
                tuple((one["Name"], one["Value"]) for one in datum["Dimensions"]),
                datum["Timestamp"],
            )
            values, counts = datum.get("Values", [datum.get("Value")]), datum.get("Counts", [1.0])
            for value, count in zip(values, counts, strict=True):
                found[*key, value] += int(count)
    return found


points = st.lists(
    st.fixed_dictionaries(
        {
            "metric": st.sampled_from(["a", "b"]),
            "value": st.floats(allow_nan=True, allow_infinity=True),
            "time": st.sampled_from([NOW, NOW - timedelta(days=3), NOW - timedelta(weeks=3), NOW + timedelta(hours=3)]),
            "dimensions": st.sampled_from([{}, {"InstanceId": "i-1"}, SEED]),
        }
    ),
    max_size=400,
)


@settings(max_examples=40, deadline=None)
@given(points)
def test_what_comes_in_goes_out_or_is_counted(given_points: list[dict[str, Any]]) -> None:
    made = prepare("Custom/App", given_points, now=NOW, drop=True)
    good = [
        one for one in given_points
        if math.isfinite(one["value"]) and abs(one["value"]) <= 2**360 and (one["time"] - NOW).days >= -14 and one["time"] <= NOW + timedelta(hours=2)
    ]  # fmt: skip
    assert sent(made.requests) == Counter((one["metric"], dimensions_of(one["dimensions"]), one["time"], one["value"]) for one in good)  # fmt: skip
    assert made.points == len(good)
    assert made.points + sum(made.dropped.values()) == len(given_points)
    for request in made.requests:
        accepted("PutMetricData", request)


def test_batches_keep_every_limit_as_botocore_sends_them() -> None:
    wide = {f"dimension-{number}": "ü".encode().hex() * 200 for number in range(30)}
    many = [{"metric": f"m{number}", "value": 1.0} for number in range(2500)]
    crowd = [{"metric": "latency", "value": one / 7, "time": NOW - timedelta(minutes=number)} for number in range(60) for one in range(400)]  # fmt: skip
    broad = [{"metric": f"w{number}", "value": 1, "dimensions": wide} for number in range(60)]
    made = prepare("Custom/App", [*many, *crowd, *broad], now=NOW)
    assert made.points == 2500 + 24000 + 60
    assert sum(sent(made.requests).values()) == made.points
    assert len(made.requests) > 3
    for protocol in ("query", "json"):
        serializer = botocore.serialize.create_serializer(protocol)
        for request in made.requests:
            assert len(request["MetricData"]) <= 1000
            assert all(len(one.get("Values", [])) <= 150 for one in request["MetricData"])
            body = serializer.serialize_to_request(request, MODEL.operation_model("PutMetricData"))["body"]
            raw = botocore.awsrequest.AWSRequest("POST", "https://x", data=body).prepare().body
            assert len(raw if isinstance(raw, bytes) else raw.encode()) <= 1_000_000
    assert MODEL.operation_model("PutMetricData").request_compression == {"encodings": ["gzip"]}
    assert len(gzip.compress(json.dumps(made.requests[0], default=str).encode())) < 1_000_000


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"value": math.nan}, "not a finite number"),
        ({"value": -math.inf}, "not a finite number"),
        ({"value": 2.0**361}, "beyond 2\\^360"),
        ({"value": "many"}, "no number"),
        ({"time": NOW - timedelta(weeks=3)}, "two weeks"),
        ({"time": NOW + timedelta(hours=2, seconds=1)}, "two hours"),
        ({"time": datetime(2026, 11, 20)}, "no zone"),
        ({"time": "yesterday-ish"}, "no time"),
        ({"time": object()}, "no time"),
        ({"unit": "count"}, "unit"),
        ({"resolution_s": 30}, "neither 1 nor 60"),
        ({"dimensions": "InstanceId"}, "no dimensions"),
        ({"dimensions": {f"d{one}": "x" for one in range(31)}}, "at most 30"),
        ({"dimensions": {"InstanceId": ""}}, "no value"),
        ({"dimensions": {"Ort": "Köln"}}, "ASCII"),
        ({"dimensions": [("a", "1"), ("a", "2")]}, "twice"),
        ({"metric": ""}, "no name"),
        ({"Value": 1}, "unknown"),
    ],
)  # fmt: skip
def test_a_bad_point_is_one_clear_error(change: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as refused:
        prepare("Custom/App", [{"metric": "m", "value": 1} | change], now=NOW)
    assert len(str(refused.value).splitlines()) <= 3


def test_dimensions_in_every_spelling_and_frames_as_points() -> None:
    spelt = [SEED, {"InstanceId": "i-1234567890abcdef0"}, [{"Name": "InstanceId", "Value": "i-1234567890abcdef0"}], [("InstanceId", "i-1234567890abcdef0")]]  # fmt: skip
    assert {dimensions_of(one) for one in spelt} == {(("InstanceId", "i-1234567890abcdef0"),)}
    frame = pd.DataFrame({"metric": ["a", "a", "a"], "value": [1, 1, 2], "time": [NOW] * 3, "dimensions": [SEED] * 3, "unit": ["Count"] * 3, "resolution_s": [1] * 3})  # fmt: skip
    (request,) = prepare("Custom/App", frame, now=NOW).requests
    (datum,) = request["MetricData"]
    assert (datum["Values"], datum["Counts"], datum["StorageResolution"]) == ([1.0, 2.0], [2.0, 1.0], 1)
    for namespace in ("AWS/EC2", "", ":own", "x" * 256):
        with pytest.raises(InputError):
            prepare(namespace, frame, now=NOW)


def test_units_are_those_of_the_model() -> None:
    assert sorted(metrics.UNITS) == sorted(MODEL.shape_for("StandardUnit").enum)


def test_findings_as_metrics_count_what_was_found_and_return_to_zero() -> None:
    found = [Finding("FLOW-PORT-SCAN", "confirmed", "high", ("i-1",), "it scans"), Finding("FLOW-PORT-SCAN", "confirmed", "high", ("i-2",), "it scans")]  # fmt: skip
    frame = finding_points(found, "21_flow_logs", time=NOW)
    accepted("PutMetricData", prepare("netkit", frame, now=NOW).requests[0])

    def value(**named: str) -> float:
        rows = frame[[one == {"Notebook": "21_flow_logs"} | named for one in frame["dimensions"]]]
        return float(rows["value"].iloc[0])

    assert value(Status="confirmed", Severity="high") == 2
    assert value(Status="confirmed", Severity="high", Code="FLOW-PORT-SCAN") == 2
    assert value(Status="inconclusive", Severity="low") == 0
    assert value() == 1


@pytest.mark.parametrize(
    ("days", "asked", "period"), [(0, 0, 60), (0.1, 1, 1), (1, 1, 60), (15, 60, 60), (16, 60, 300), (16, 420, 600), (64, 60, 3600), (455, 0, 3600)],
)  # fmt: skip
def test_the_period_is_one_that_is_still_stored(days: float, asked: int, period: int) -> None:
    assert period_for(NOW - timedelta(days=days), NOW, asked) == period


def test_queries_that_aws_refuses() -> None:
    with pytest.raises(InputError, match="455"):
        period_for(NOW - timedelta(days=456), NOW)
    with pytest.raises(InputError, match="45 s"):
        MetricQuery("AWS/EC2", "CPUUtilization", period_s=45)
    with pytest.raises(InputError, match="statistic"):
        MetricQuery("AWS/EC2", "CPUUtilization", statistic="Mean")
    with pytest.raises(InputError, match="expression"):
        MetricQuery("AWS/EC2", "CPUUtilization", expression="m1")


# ------------------------------------------------------------------------------------------------------------- log groups


def test_log_group_requests_and_what_is_refused() -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    accepted("CreateLogGroup", log_groups.group_request("/aws/ec2/app", region="us-east-1", kms_key=key, tags={"a": "b"}, protected=True), LOGS)  # fmt: skip
    for changes, says in (
        ({"name": "aws/app"}, "aws/"), ({"name": "a b"}, "no name"), ({"log_class": "standard"}, "class"),
        ({"kms_key": "alias/x"}, "ARN"), ({"kms_key": key.replace("us-east-1", "eu-west-1")}, "eu-west-1"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=says):
            log_groups.group_request(**({"name": "/app", "region": "us-east-1"} | changes))
    with pytest.raises(InputError, match="nearest is 30") as refused:
        check_retention(42)
    assert len(str(refused.value).splitlines()) <= 3
    assert [check_retention(days) for days in (0, 1096, 3653)] == [0, 1096, 3653]


def test_the_filter_of_rejects_is_aws_s_own() -> None:
    request = log_groups.flow_rejects(port=22).request("/flows")
    accepted("PutMetricFilter", request, LOGS)
    assert request["filterPattern"] == '[version, account, eni, source, destination, srcport, destport="22", protocol, packets, bytes, windowstart, windowend, action="REJECT", flowlogstatus]'  # fmt: skip
    with pytest.raises(InputError, match="field"):
        log_groups.flow_rejects(fields=["srcaddr", "dstaddr"])
    with pytest.raises(InputError, match="at most 3"):
        log_groups.MetricFilter("f", "ERROR", "netkit", "Errors", dimensions={f"d{one}": "$x" for one in range(4)})
