"""Custom metrics as PutMetricData requests within AWS's limits, findings as metrics, and queries of metrics. Pure.

Sources: CloudWatch API Reference, PutMetricData, MetricDatum and GetMetricData; botocore's model of them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

import pandas as pd

from netkit.core.errors import InputError
from netkit.core.model import SEVERITIES, STATUSES, Finding

MOST_METRICS, MOST_VALUES, MOST_BYTES, MOST_DIMENSIONS = 1000, 150, 1_000_000, 30
OLDEST, NEWEST = timedelta(weeks=2), timedelta(hours=2)
LARGEST = 2.0**360
POINT_COLUMNS = ("metric", "value", "time", "unit", "dimensions", "resolution_s")
_SIZES = ("", "Kilo", "Mega", "Giga", "Tera")
_AMOUNTS = tuple(f"{size}{unit}" if size else unit.title() for unit in ("bytes", "bits") for size in _SIZES)
UNITS = (
    *("Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "Count/Second", "None"),
    *_AMOUNTS,
    *(f"{one}/Second" for one in _AMOUNTS),
)
# Age of the oldest point that is still stored with a period of so many seconds.
STORED = (
    (1, timedelta(hours=3)),
    (60, timedelta(days=15)),
    (300, timedelta(days=63)),
    (3600, timedelta(days=455)),
)
_STATISTIC = re.compile(
    r"SampleCount|Average|Sum|Minimum|Maximum|IQM|(p|tm|tc|ts|wm)\d{1,3}(\.\d{1,10})?|(PR|TM|TC|TS|WM)\([^()]*:[^()]*\)"
)


@dataclass(frozen=True)
class Prepared:
    """Requests for PutMetricData, and what became of every point.

    points   how many points are in the requests
    dropped  how many are not, by reason; {} unless they were asked to be dropped
    """

    requests: tuple[dict[str, Any], ...]
    points: int
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        lost = "".join(f", {count} dropped ({why})" for why, count in self.dropped.items())
        return f"{self.points} points in {len(self.requests)} requests{lost}"


def check_namespace(namespace: str) -> str:
    """A namespace of one's own: 1 to 255 characters, no colon at the start, not AWS's. Raises InputError."""
    if not re.fullmatch(r"[A-Za-z0-9._/#: -]{1,255}", namespace) or namespace.startswith(":"):
        raise InputError(
            f"{namespace[:80]!r} is no namespace", hint="1 to 255 of A-Z a-z 0-9 . - _ / # :, no : in front"
        )
    if namespace.upper().startswith("AWS/"):
        raise InputError(f"the namespace {namespace!r} is for AWS's own metrics", hint="as Custom/Application")
    return namespace


def dimensions_of(given: object) -> tuple[tuple[str, str], ...]:
    """Dimensions in any spelling as sorted (name, value) pairs.

    Taken are a mapping, AWS's [{Name, Value}], (name, value) pairs, and text as "InstanceId=i-…,Path=/" (the seed's form,
    which the AWS command line refuses). Raises InputError for more than 30, doubled names, and texts AWS does not take.
    """
    pairs = sorted(_pairs(given))
    names = [name for name, _ in pairs]
    if len(pairs) > MOST_DIMENSIONS:
        raise InputError(f"a metric has at most {MOST_DIMENSIONS} dimensions, these are {len(pairs)}")
    if len(set(names)) < len(names):
        raise InputError("a dimension is given twice", subject=", ".join(names)[:200])
    for name, value in pairs:
        for text, most, what in ((name, 255, "name"), (value, 1024, "value")):
            if not (text.strip() and len(text) <= most and text.isascii() and text.isprintable()):
                raise InputError(
                    f"{text[:60]!r} is no {what} of a dimension", hint=f"1 to {most} printable ASCII characters"
                )
        if name.startswith(":"):
            raise InputError(f"the dimension {name[:60]!r} begins with a colon", hint="AWS does not take it")
    return tuple(pairs)


def _pairs(given: object) -> list[tuple[str, str]]:
    if given is None or given == "" or (isinstance(given, float) and math.isnan(given)):
        return []
    if isinstance(given, Mapping):
        return [(str(name), str(value)) for name, value in given.items()]
    if isinstance(given, str):
        parts = [part.strip() for part in given.split(",")]
        if not all("=" in part for part in parts):
            raise InputError(f"{given[:80]!r} are no dimensions", hint="as InstanceId=i-0123456789abcdef0,Path=/")
        return [(part.partition("=")[0].strip(), part.partition("=")[2].strip()) for part in parts]
    if isinstance(given, Iterable):
        return [_pair(one) for one in given]
    raise InputError(f"{str(given)[:80]!r} are no dimensions", hint='as {"InstanceId": "i-…"}')


def _pair(one: object) -> tuple[str, str]:
    if isinstance(one, Mapping) and set(one) == {"Name", "Value"}:
        return str(one["Name"]), str(one["Value"])
    if isinstance(one, tuple | list) and len(one) == 2:
        return str(one[0]), str(one[1])
    raise InputError(f"{str(one)[:80]!r} is no dimension", hint='as {"Name": "InstanceId", "Value": "i-…"}')


def listed_dimensions(given: object) -> list[dict[str, str]]:
    """Dimensions in any spelling as AWS's [{Name, Value}], sorted by name. Raises as dimensions_of()."""
    return [{"Name": name, "Value": value} for name, value in dimensions_of(given)]


# ---------------------------------------------------------------------------------------------------- points to requests


def prepare(
    namespace: str,
    points: pd.DataFrame | Iterable[Mapping[str, Any]],
    *,
    now: datetime | None = None,
    drop: bool = False,
) -> Prepared:
    """Requests for PutMetricData that hold every point: at most 1,000 metrics, 150 values a metric, and 1 MB a request.

    points has POINT_COLUMNS: metric and value, and where wanted time (with its zone; now), unit (None), dimensions (any
    spelling of dimensions_of) and resolution_s (60, or 1 for high resolution). Points of one metric and time become one
    datum with Values and Counts. A size is that of the body before gzip, which botocore applies, so it errs to the safe side.

    Raises InputError for a value that is NaN, infinite or beyond 2^360, and for a time more than two weeks ago or two hours
    ahead, unless drop: then those points are left out and counted by reason. Raises for any other bad member always.
    """
    check_namespace(namespace)
    at = now or datetime.now(UTC)
    groups: dict[tuple[Any, ...], Counter[float]] = {}
    dropped: Counter[str] = Counter()
    taken = 0
    for number, point in enumerate(_records(points)):
        value, time = _number(point, number), _time(point, at, number)
        problem = _value_problem(value) or _time_problem(time, at)
        if problem and not drop:
            raise InputError(f"point {number} cannot be sent: {problem}", subject=str(point["metric"])[:100], hint="mend it, or drop=True leaves it out and counts it")  # fmt: skip
        if problem:
            dropped[problem.partition(":")[0]] += 1
            continue
        groups.setdefault((*_identity(point), time), Counter())[value] += 1
        taken += 1
    data = [datum for key, values in groups.items() for datum in _data(key, values)]
    return Prepared(tuple(_requests(namespace, data)), taken, dict(dropped))


def _records(points: pd.DataFrame | Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    rows: Iterable[Any] = points.to_dict("records") if isinstance(points, pd.DataFrame) else points
    for row in rows:
        unknown = set(map(str, row)) - set(POINT_COLUMNS)
        missing = {"metric", "value"} - set(row)
        if unknown or missing:
            raise InputError(
                f"a point {'has no' if missing else 'has an unknown'} {', '.join(sorted(missing or unknown))[:100]}",
                hint=f"its members are {', '.join(POINT_COLUMNS)}",
            )
        yield row


def _number(point: Mapping[str, Any], number: int) -> float:
    try:
        return float(point["value"])
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"the value of point {number} is {str(point['value'])[:40]!r}, no number") from None


def _time(point: Mapping[str, Any], now: datetime, number: int) -> datetime:
    given = point.get("time")
    if given is None or given is pd.NaT:
        return now
    try:
        time = pd.Timestamp(given)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"the time of point {number} is {str(given)[:60]!r}, no time", hint="as 2026-11-19T08:00:00Z") from None  # fmt: skip
    if time.tzinfo is None:
        raise InputError(f"the time {given} of point {number} has no zone", hint="write UTC; netkit never guesses")
    found: datetime = time.to_pydatetime(warn=False)
    return found.astimezone(UTC)


def _value_problem(value: float) -> str:
    if not math.isfinite(value):
        return f"not a finite number: {value}"
    return f"beyond 2^360: {value:g}" if abs(value) > LARGEST else ""


def _time_problem(time: datetime, now: datetime) -> str:
    if time < now - OLDEST:
        return f"more than two weeks ago: {time:%Y-%m-%dT%H:%M:%SZ}"
    return f"more than two hours ahead: {time:%Y-%m-%dT%H:%M:%SZ}" if time > now + NEWEST else ""


def _identity(point: Mapping[str, Any]) -> tuple[str, tuple[tuple[str, str], ...], str, int]:
    name, unit, resolution = str(point["metric"]), point.get("unit"), point.get("resolution_s")
    if not (1 <= len(name) <= 255 and name.isascii() and name.isprintable()) or name.startswith(":"):
        raise InputError(f"{name[:80]!r} is no name of a metric", hint="1 to 255 printable ASCII characters")
    unit = "None" if unit is None or unit is pd.NA or unit != unit or unit == "" else str(unit)  # noqa: PLR0124 (NaN)
    if unit not in UNITS:
        raise InputError(f"{unit[:40]!r} is no unit of CloudWatch", hint=f"as {', '.join(UNITS[:8])}")
    resolution = 60 if resolution is None or resolution != resolution else resolution  # noqa: PLR0124 (NaN)
    if resolution not in (1, 60):
        raise InputError(f"the resolution {resolution} s is neither 1 nor 60", subject=name)
    return name, dimensions_of(point.get("dimensions")), unit, int(resolution)


def _data(key: tuple[Any, ...], values: Counter[float]) -> Iterator[dict[str, Any]]:
    """The MetricDatum members of one metric and time, at most 150 different values each."""
    name, dimensions, unit, resolution, time = key
    base = {
        "MetricName": name,
        "Dimensions": [{"Name": one, "Value": value} for one, value in dimensions],
        "Timestamp": time,
        "Unit": unit,
        "StorageResolution": resolution,
    }
    counted = sorted(values.items())
    for start in range(0, len(counted), MOST_VALUES):
        part = counted[start : start + MOST_VALUES]
        if part == [(part[0][0], 1)]:
            yield base | {"Value": part[0][0]}
        else:
            yield base | {"Values": [value for value, _ in part], "Counts": [float(count) for _, count in part]}


def _requests(namespace: str, data: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    batch: list[Any] = []
    room = 0
    for datum in data:
        size = _size(datum)
        if batch and (len(batch) == MOST_METRICS or size > room):
            yield {"Namespace": namespace, "MetricData": batch}
            batch = []
        if not batch:
            room = MOST_BYTES - 1000 - 3 * len(namespace)
        batch.append(datum)
        room -= size
    if batch:
        yield {"Namespace": namespace, "MetricData": batch}


def _size(datum: Mapping[str, Any]) -> int:
    """Bytes of a datum in the longest of AWS's protocols, the query form: each leaf with its whole path, at 4 digits a number."""
    start = len("&MetricData.member.1000.")
    size = 5 * (start + len("StorageResolution=") + 40) + 3 * len(quote_plus(str(datum["MetricName"])))
    for one in datum["Dimensions"]:
        size += 2 * (start + len("Dimensions.member.30.Value=")) + sum(len(quote_plus(text)) for text in one.values())
    numbers = 2 * len(datum.get("Values", ()))
    return size + numbers * (start + len("Values.member.150=") + 28)


# ----------------------------------------------------------------------------------------------------- findings as metrics

FINDINGS_NAMESPACE = "netkit"


def finding_points(findings: Sequence[Finding], notebook: str, *, time: datetime | None = None) -> pd.DataFrame:
    """What a notebook found as points of POINT_COLUMNS for the namespace netkit, so that a nightly run can be alarmed on.

    Findings (Count)  by Notebook, Code, Status and Severity, for what was found; and by Notebook, Status and Severity for
                      all that can be, zeros too, so that an alarm returns to OK
    Runs (Count)      by Notebook, 1: its absence says that the run did not happen
    """
    at = time or datetime.now(UTC)
    if at.tzinfo is None:
        raise InputError("the time of a run has no zone", hint="write UTC; netkit never guesses local time")
    counts: Counter[tuple[tuple[str, str], ...]] = Counter()
    for status in STATUSES:
        for severity in SEVERITIES:
            counts[dimensions_of({"Notebook": notebook, "Status": status, "Severity": severity})] = 0
    for one in findings:
        whole = {"Notebook": notebook, "Status": one.status, "Severity": one.severity}
        counts[dimensions_of(whole)] += 1
        counts[dimensions_of(whole | {"Code": one.code})] += 1
    rows = [("Findings", float(count), at, "Count", dict(named), 60) for named, count in counts.items()]
    rows.append(("Runs", 1.0, at, "Count", dict(dimensions_of({"Notebook": notebook})), 60))
    return pd.DataFrame(rows, columns=list(POINT_COLUMNS))


# ------------------------------------------------------------------------------------------------------ queries of metrics


@dataclass(frozen=True)
class MetricQuery:
    """One metric and statistic to read, or an expression over others (metric "", namespace "").

    label   how its rows are called; "" is metric and statistic
    period_s  0 is the shortest that is stored for the window's age, at least 60
    Raises InputError for a statistic or period that AWS refuses.
    """

    namespace: str = ""
    metric: str = ""
    dimensions: Any = ()
    statistic: str = "Average"
    period_s: int = 0
    label: str = ""
    expression: str = ""

    def __post_init__(self) -> None:
        if bool(self.expression) == bool(self.metric) or bool(self.metric) != bool(self.namespace):
            raise InputError(
                "a query has a namespace and a metric, or an expression", subject=self.label or self.metric
            )
        if not _STATISTIC.fullmatch(self.statistic):
            raise InputError(f"{self.statistic!r} is no statistic", hint="as Average, Sum, Maximum or p90")
        if self.period_s and not (self.period_s in (1, 5, 10, 20, 30) or (self.period_s > 0 and self.period_s % 60 == 0)):  # fmt: skip
            raise InputError(f"a period of {self.period_s} s is refused", hint="1, 5, 10, 20, 30 or a multiple of 60")
        object.__setattr__(self, "dimensions", dimensions_of(self.dimensions))

    @property
    def name(self) -> str:
        """The label, or metric and statistic."""
        return self.label or self.expression or f"{self.metric} {self.statistic}"

    def request(self, key: str, start: datetime, now: datetime) -> dict[str, Any]:
        """The MetricDataQuery of GetMetricData under an id, with a period that is stored for points as old as `start`."""
        period = period_for(start, now, self.period_s)
        shown = {"Id": key, "Label": self.name}
        if self.expression:
            return shown | {"Expression": self.expression, "Period": period}
        metric = {"Namespace": self.namespace, "MetricName": self.metric, "Dimensions": listed_dimensions(self.dimensions)}  # fmt: skip
        return shown | {"MetricStat": {"Metric": metric, "Period": period, "Stat": self.statistic}}


def period_for(start: datetime, now: datetime, asked_s: int = 0) -> int:
    """Seconds of the shortest period, from asked_s (60) on, in which points as old as start are stored.

    CloudWatch keeps points of less than 60 s for 3 hours, of 60 s for 15 days, of 300 s for 63 and of 3,600 s for 455
    (GetMetricData). Raises InputError for a start before that.
    """
    age = now - start
    stored = next((period for period, oldest in STORED if age <= oldest), 0)
    if not stored:
        raise InputError(f"CloudWatch keeps no points for {age.days} days", hint="it keeps them for 455")
    asked = asked_s or 60
    return max(asked, stored) if stored <= 60 else math.ceil(asked / stored) * stored
