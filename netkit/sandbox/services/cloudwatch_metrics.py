"""CloudWatch's points in the sandbox: GetMetricData, GetMetricStatistics, ListMetrics and what PutMetricData refuses, on numpy.

In place of moto's, which has no percentiles, cuts periods where a query begins, and forgets a namespace where dimensions are
given. Points are those that somebody put, and those of the world (cloudwatch_world). Source: CloudWatch API Reference,
GetMetricData, PutMetricData, MetricDatum; CloudWatch User Guide, "Using metric math".
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from moto.cloudwatch.exceptions import InvalidParameterCombination, InvalidParameterValue, ValidationError
from moto.cloudwatch.models import CloudWatchBackend, MetricAggregatedDatum, MetricDatum
from numpy.typing import NDArray

from netkit.cloudwatch.metrics import LARGEST, MOST_DIMENSIONS, MOST_METRICS, MOST_VALUES, NEWEST, OLDEST
from netkit.sandbox.world import cloudwatch as cloudwatch_world

Pairs = tuple[tuple[str, str], ...]
Key = tuple[str, str, Pairs]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MOST_QUERIES = 500
keep_points = (
    CloudWatchBackend.put_metric_data
)  # moto's own, which AWS's side of the sandbox may call with AWS's namespaces


def install() -> None:
    """Put these answers in place of moto's."""
    CloudWatchBackend.get_metric_data = get_metric_data  # type: ignore[method-assign]
    CloudWatchBackend.get_metric_statistics = get_metric_statistics  # type: ignore[method-assign,assignment]
    CloudWatchBackend.list_metrics = list_metrics  # type: ignore[method-assign]
    CloudWatchBackend.put_metric_data = put_metric_data  # type: ignore[method-assign]


# -------------------------------------------------------------------------------------------------------------- points


@dataclass(frozen=True)
class Points:
    """The points of one metric, by time (Unix seconds): sums, least and greatest values, and how many samples each stands for."""

    times: Ints
    sums: Floats
    least: Floats
    greatest: Floats
    counts: Floats
    unit: str = ""

    @classmethod
    def of(cls, times: Ints, values: Floats, unit: str = "") -> Points:
        """Points of one sample each."""
        return cls(times, values, values, values, np.ones(len(times)), unit)


_NONE = Points.of(np.empty(0, dtype=np.int64), np.empty(0))


def pairs_of(dimensions: Sequence[Any]) -> Pairs:
    """Dimensions, as dicts or moto's objects, as sorted pairs."""
    return tuple(sorted((one["Name"], one["Value"]) if isinstance(one, dict) else (one.name, one.value) for one in dimensions))  # fmt: skip


def points(backend: Any, namespace: str, metric: str, dimensions: Pairs) -> Points:
    """All points of a metric: those put, and the world's."""
    parts = [_put_points(backend, (namespace, metric, dimensions))]
    world = cloudwatch_world.series(namespace, metric, dimensions)
    if world is not None:
        parts.append(Points.of(*world))
    parts = [one for one in parts if len(one.times)]
    if not parts:
        return _NONE
    joined = [np.concatenate([getattr(one, name) for one in parts]) for name in ("times", "sums", "least", "greatest", "counts")]  # fmt: skip
    order = np.argsort(joined[0], kind="stable")
    times, sums, least, greatest, counts = (one[order] for one in joined)
    return Points(times, sums, least, greatest, counts, parts[-1].unit)


def _put_points(backend: Any, key: Key) -> Points:
    """What was put under a key. The index is taken further while moto's list grows, and made again where it was replaced."""
    known, index, upto = backend.__dict__.get("_netkit_index", (None, {}, 0))
    if known is not backend.metric_data:
        index, upto = {}, 0
    for one in backend.metric_data[upto:]:
        index.setdefault((one.namespace, one.name, pairs_of(one.dimensions)), []).append(one)
    backend.__dict__["_netkit_index"] = (backend.metric_data, index, len(backend.metric_data))
    held = index.get(key, [])
    if not held:
        return _NONE
    times = np.array([int(one.timestamp.replace(tzinfo=UTC).timestamp()) for one in held], dtype=np.int64)
    rows = np.array([_measured(one) for one in held], dtype=np.float64).T
    return Points(times, rows[0], rows[1], rows[2], rows[3], held[-1].unit if isinstance(held[-1], MetricDatum) else "")


def _measured(one: MetricDatum | MetricAggregatedDatum) -> tuple[float, float, float, float]:
    if isinstance(one, MetricAggregatedDatum):
        return one.sum, one.min, one.max, one.sample_count
    return one.value, one.value, one.value, 1.0


def newest_put(backend: Any, namespace: str, metric: str, dimensions: Pairs) -> int | None:
    """The time (Unix seconds) of the newest point that somebody put, or None."""
    times = _put_points(backend, (namespace, metric, dimensions)).times
    return int(times.max()) if len(times) else None


def reduced(held: Points, period: int, stat: str, start: int, end: int) -> tuple[Ints, Floats]:
    """The start of each period within [start, end) that has points, and their statistic. Raises ValidationError for another."""
    inside = (held.times >= start) & (held.times < end)
    if not inside.any():
        return np.empty(0, dtype=np.int64), np.empty(0)
    bins, place = np.unique(held.times[inside] // period, return_inverse=True)
    counts = np.bincount(place, held.counts[inside])
    sums = np.bincount(place, held.sums[inside])
    simple = {"SampleCount": counts, "Sum": sums, "Average": sums / np.maximum(counts, 1e-300)}
    if stat in simple:
        return bins * period, simple[stat].astype(np.float64)
    if stat in ("Minimum", "Maximum"):
        values = held.least[inside] if stat == "Minimum" else held.greatest[inside]
        found = np.full(len(bins), np.inf if stat == "Minimum" else -np.inf)
        (np.minimum if stat == "Minimum" else np.maximum).at(found, place, values)
        return bins * period, found
    share = re.fullmatch(r"p(\d{1,2}(?:\.\d+)?|100)", stat)
    if share is None:
        raise ValidationError(f"The value {stat} for parameter Stat is not supported.")
    values = held.sums[inside]
    cuts = np.flatnonzero(np.diff(place)) + 1
    return bins * period, np.array([np.percentile(part, float(share[1])) for part in np.split(values, cuts)])


# ---------------------------------------------------------------------------------------------------------------- reads


def get_metric_data(
    self: CloudWatchBackend, queries: list[dict[str, Any]], start_time: datetime, end_time: datetime, scan_by: str = "TimestampDescending"
) -> list[dict[str, Any]]:  # fmt: skip
    """In place of moto's: periods on whole multiples, percentiles, expressions over the other queries."""
    start, end = _span(start_time, end_time)
    if len(queries) > MOST_QUERIES:
        raise ValidationError(f"The collection MetricDataQueries must not have a size greater than {MOST_QUERIES}.")
    ids = [query["Id"] for query in queries]
    for one in ids:
        if not re.fullmatch(r"[a-z][A-Za-z0-9_]*", one):
            raise ValidationError(f'The value for key "Id" is invalid: {one}. It must begin with a lowercase letter.')
    if len(set(ids)) < len(ids):
        raise ValidationError('The values for parameter "Id" in MetricDataQueries must be unique.')
    held: dict[str, tuple[Ints, Floats]] = {}
    periods: dict[str, int] = {}
    for query in queries:
        if stat := query.get("MetricStat"):
            metric, period = stat["Metric"], _period(stat["Period"])
            wanted = points(self, metric.get("Namespace", ""), metric.get("MetricName", ""), pairs_of(metric.get("Dimensions", ())))  # fmt: skip
            periods[query["Id"]] = period
            held[query["Id"]] = reduced(wanted, period, stat["Stat"], start // period * period, end)
    for query in queries:
        if text := query.get("Expression"):
            period = int(query.get("Period") or max(periods.values(), default=60))
            held[query["Id"]] = evaluate(text, held, period, start, end)
    step = -1 if scan_by == "TimestampDescending" else 1
    return [_result(query, *held[query["Id"]], step) for query in queries if query.get("ReturnData", True) not in (False, "false")]  # fmt: skip


def _result(query: dict[str, Any], times: Ints, values: Floats, step: int) -> dict[str, Any]:
    name = query["MetricStat"]["Metric"].get("MetricName", "") if query.get("MetricStat") else query["Id"]
    moments = [datetime.fromtimestamp(int(one), UTC).replace(tzinfo=None) for one in times[::step]]
    return {"id": query["Id"], "label": query.get("Label") or name, "values": values[::step].tolist(), "timestamps": moments, "status_code": "Complete"}  # fmt: skip


def _span(start_time: datetime, end_time: datetime) -> tuple[int, int]:
    start, end = (int(one.replace(tzinfo=one.tzinfo or UTC).timestamp()) for one in (start_time, end_time))
    if start >= end:
        raise ValidationError("The parameter EndTime must be greater than StartTime.")
    return start, end


def _period(given: Any) -> int:
    period = int(given)
    if not (period in (1, 5, 10, 20, 30) or (period > 0 and period % 60 == 0)):
        raise ValidationError(f"Period must be 1, 5, 10, 20, 30 or a multiple of 60; it is {period}.")
    return period


def get_metric_statistics(
    self: CloudWatchBackend, namespace: str, metric_name: str, start_time: datetime, end_time: datetime, period: int, stats: list[str],
    dimensions: list[dict[str, str]], unit: str | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """In place of moto's; at most 1,440 points, as AWS gives."""
    start, end = _span(start_time, end_time)
    seconds = _period(period)
    if (end - start) / seconds > 1440:
        raise InvalidParameterCombination("You have requested more than 1,440 datapoints, which exceeds the limit.")
    held = points(self, namespace, metric_name, pairs_of(dimensions))
    rows: dict[int, dict[str, Any]] = {}
    for stat in stats:
        times, values = reduced(held, seconds, stat, start // seconds * seconds, end)
        for moment, value in zip(times.tolist(), values.tolist(), strict=True):
            at = datetime.fromtimestamp(moment, UTC).replace(tzinfo=None)
            rows.setdefault(moment, {"Timestamp": at, "Unit": unit or held.unit or "None"})[stat] = value
    return list(rows.values())


def list_metrics(
    self: CloudWatchBackend, next_token: str | None, namespace: str | None, metric_name: str | None, dimensions: list[dict[str, Any]] | None
) -> tuple[str | None, list[Any]]:  # fmt: skip
    """In place of moto's: each metric once, those put and the world's."""
    if next_token:
        if next_token not in self.paged_metric_data:
            raise InvalidParameterValue("Request parameter NextToken is invalid")
        return self._get_paginated(self.paged_metric_data.pop(next_token))
    keys: dict[Key, None] = {}
    for one in self.get_all_metrics():
        keys.setdefault((one.namespace, one.name, pairs_of(one.dimensions)))
    for key in cloudwatch_world.listed():
        keys.setdefault(key)
    wanted = [(one["Name"], one.get("Value")) for one in dimensions or ()]
    found = [key for key in keys if _chosen(key, namespace, metric_name, wanted)]
    records: list[Any] = [_listed(key) for key in found]
    return self._get_paginated(records)


def _chosen(key: Key, namespace: str | None, metric: str | None, wanted: list[tuple[str, str | None]]) -> bool:
    named = dict(key[2])
    fits = all(name in named and value in (None, named[name]) for name, value in wanted)
    return fits and namespace in (None, key[0]) and metric in (None, key[1])


def _listed(key: Key) -> dict[str, Any]:
    return {"Namespace": key[0], "MetricName": key[1], "Dimensions": [{"Name": name, "Value": value} for name, value in key[2]]}  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- metric math

Series = tuple[Ints, Floats]
_FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "SUM": lambda rows: np.asarray(np.nansum(rows, axis=0)),
    "AVG": lambda rows: np.asarray(np.nanmean(rows, axis=0)),
    "MIN": lambda rows: np.asarray(np.nanmin(rows, axis=0)),
    "MAX": lambda rows: np.asarray(np.nanmax(rows, axis=0)),
}
_OPERATIONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide, ast.Pow: np.power,
}  # fmt: skip


def evaluate(text: str, held: dict[str, Series], period: int, start: int, end: int) -> Series:
    """An expression over other series: + - * / ^, numbers, SUM AVG MIN MAX of an array or METRICS(), FILL, RATE, ABS, PERIOD.

    Raises ValidationError for anything else, and for an id that is not there, as AWS does.
    """
    try:
        tree = ast.parse(text.replace("^", "**"), mode="eval").body
    except SyntaxError:
        raise ValidationError(f"Error in expression: {text}") from None
    times = np.arange(start // period * period, end, period, dtype=np.int64)
    rows = {name: _on(times, one) for name, one in held.items()}
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.broadcast_to(np.asarray(_Math(rows, times, period).of(tree), dtype=np.float64), times.shape)
    known = np.isfinite(value)
    return times[known], np.array(value[known])


def _on(times: Ints, series: Series) -> Floats:
    found = np.full(len(times), np.nan)
    place = np.searchsorted(times, series[0])
    inside = (place < len(times)) & (times[np.minimum(place, len(times) - 1)] == series[0])
    found[place[inside]] = series[1][inside]
    return found


@dataclass(frozen=True)
class _Math:
    rows: dict[str, Floats]
    times: Ints
    period: int

    def of(self, node: ast.AST) -> Any:
        """The value of a part of an expression, NaN where there is no data."""
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return float(node.value)
        if isinstance(node, ast.Name) and node.id in self.rows:
            return self.rows[node.id]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return np.negative(self.of(node.operand))
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
            return _OPERATIONS[type(node.op)](self.of(node.left), self.of(node.right))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._call(node.func.id, node.args)
        raise ValidationError(f"Error in expression: {ast.unparse(node) if isinstance(node, ast.expr) else node}")

    def _call(self, name: str, given: Sequence[ast.expr]) -> Any:
        if name in _FUNCTIONS and len(given) == 1:
            return _FUNCTIONS[name](np.array(self._array(given[0])))
        if name == "PERIOD" and len(given) == 1:
            return float(self.period)
        if name == "FILL" and len(given) == 2:
            values = np.asarray(self.of(given[0]))
            return np.where(np.isnan(values), self.of(given[1]), values)
        if name == "RATE" and len(given) == 1:
            values = np.asarray(self.of(given[0]))
            return np.concatenate(([np.nan], np.diff(values) / self.period)) if len(values) else values
        if name == "ABS" and len(given) == 1:
            return np.abs(self.of(given[0]))
        raise ValidationError(f"Unsupported function: {name}")

    def _array(self, node: ast.expr) -> list[Floats]:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "METRICS":
            return list(self.rows.values())
        return [np.asarray(self.of(one)) for one in (node.elts if isinstance(node, ast.List | ast.Tuple) else [node])]


# ---------------------------------------------------------------------------------------------------------------- puts


def put_metric_data(self: CloudWatchBackend, namespace: str, metric_data: list[dict[str, Any]]) -> None:
    """In place of moto's: refuses what AWS does before anything is kept."""
    if len(metric_data) > MOST_METRICS:
        raise InvalidParameterValue(f"The collection MetricData must not have a size greater than {MOST_METRICS}.")
    if namespace.startswith("AWS/"):
        raise InvalidParameterValue("The value AWS/ for parameter Namespace is invalid.")
    now = datetime.now(UTC)
    for number, one in enumerate(metric_data, 1):
        _check_datum(f"MetricData.member.{number}", one, now)
    keep_points(self, namespace, metric_data)


def _check_datum(name: str, one: dict[str, Any], now: datetime) -> None:
    values = [*one.get("Values", ()), *([one["Value"]] if "Value" in one else []), *one.get("StatisticValues", {}).values()]  # fmt: skip
    for value in values:
        if not math.isfinite(float(value)) or abs(float(value)) > LARGEST:
            raise InvalidParameterValue(f"The value {value} for parameter {name}.Value is invalid.")
    if len(one.get("Values", ())) > MOST_VALUES:
        raise InvalidParameterValue(f"The collection {name}.Values must not have a size greater than {MOST_VALUES}.")
    if len(one.get("Dimensions", ())) > MOST_DIMENSIONS:
        raise InvalidParameterValue(f"The collection {name}.Dimensions must not have a size greater than {MOST_DIMENSIONS}.")  # fmt: skip
    if int(one.get("StorageResolution") or 60) not in (1, 60):
        raise InvalidParameterValue(f"The value for parameter {name}.StorageResolution is invalid. Valid values are 1 and 60.")  # fmt: skip
    at = one.get("Timestamp")
    if isinstance(at, datetime) and not now - OLDEST - timedelta(minutes=1) <= at.replace(tzinfo=at.tzinfo or UTC) <= now + NEWEST:  # fmt: skip
        raise InvalidParameterValue(f"The parameter {name}.Timestamp must specify a time no more than two weeks in the past, and no more than two hours in the future.")  # fmt: skip
