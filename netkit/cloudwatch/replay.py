"""When an alarm would have fired on past data, as CloudWatch evaluates it. Pure: numpy and pandas over whole series.

Sources: CloudWatch User Guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data". Three points
that those pages leave open are parameters or said here: how many points beyond N are fetched (`evaluation_range`; AWS says 5
for N = 3, taken as N + 2), how periods lie in time (whole periods from the epoch, evaluated when each ends, where AWS slides
every minute), and young breaching points alone (see `replay`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from netkit.cloudwatch.alarms import BAND_OPERATORS, AlarmSpec
from netkit.core.errors import InputError

STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")
TRANSITIONS = ("time", "state", "previous", "reason", "datapoints", "times")
PROPOSALS = (
    *("threshold", "datapoints_to_alarm", "evaluation_periods", "alarms", "alarm_share", "first", "longest_s"),
    *("before", "fires"),
)
_OK, _ALARM, _INSUFFICIENT, _RETAIN = 0, 1, 2, -1
_WORDS = {
    "GreaterThanThreshold": "greater than",
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
    "LessThanLowerOrGreaterThanUpperThreshold": "outside the band of",
    "LessThanLowerThreshold": "below the band of",
    "GreaterThanUpperThreshold": "above the band of",
}
_NS = {"us": 10**3, "ms": 10**6, "s": 10**9}
Floats = NDArray[np.float64]
Ints = NDArray[Any]
Bools = NDArray[np.bool_]


def replay(
    spec: AlarmSpec, points: pd.DataFrame, *, evaluation_range: int | None = None, initial: str = "INSUFFICIENT_DATA",
    start: pd.Timestamp | None = None, end: pd.Timestamp | None = None,
) -> Replay:  # fmt: skip
    """When the alarm would have changed its state on these points, and on which of them.

    points: time (UTC), value; also `arrived` (UTC) where points came late, lower, upper (the band) for an anomaly alarm, and
    `samples`, how many samples a point stands for (one without that column), for an alarm on a percentile that ignores few: where
    its N periods hold fewer than 10/(1 - p) of them (10/p below p50), the state stays as it was.
    Several points in one period are joined by the alarm's statistic; a single one is the data point. A period that has not
    ended by `end` (by default: the last point and the points' own spacing) is not evaluated. `evaluation_range` is how many
    of the last periods are looked at. Of N periods wanted, the newest real points are taken; where the range has fewer than
    N, missing ones are filled: breaching, notBreaching; for `missing` and `ignore` a range without any point is
    INSUFFICIENT_DATA, or the state as it was, and so is a range of breaching points alone, fewer than M, until the oldest is M
    periods old; from then `missing` alarms (AWS's premature alarm state).

    Raises InputError for a frame without those columns, times without a zone, a range below N, a statistic that cannot be
    joined from raw points.
    """
    plan = _prepared(spec, points, evaluation_range, initial)
    grid = _Grid.over(points, spec.evaluated_period, start, end)
    values, breaching = _datapoints(spec, points, grid, late=0)
    late, few = _lateness(points, grid), _few_samples(spec, points, grid, plan)
    if late is None:
        codes = np.where(few, _RETAIN, _codes(values, breaching, plan)) if few is not None else _codes(values, breaching, plan)  # fmt: skip
        return Replay(spec, _held(codes, plan.initial), plan, grid.bare(), values, breaching)
    seen = [_datapoints(spec, points, grid, late=age, lateness=late) for age in range(plan.range)]
    codes = _codes_by_age(seen, plan)
    states = _held(codes if few is None else np.where(few, _RETAIN, codes), plan.initial)
    return Replay(spec, states, plan, grid.bare(), values, breaching, tuple(one[0] for one in seen))


def replays(specs: Sequence[AlarmSpec], points: Mapping[str, pd.DataFrame] | pd.DataFrame) -> list[Replay]:
    """The replay of each spec, in their order, some at a time: numpy lets go of the interpreter while it counts.

    points: by alarm name, or one frame for all. Raises InputError for a spec without points, and as replay() does.
    """
    given = [points if isinstance(points, pd.DataFrame) else points.get(spec.name) for spec in specs]
    for spec, frame in zip(specs, given, strict=True):
        if frame is None:
            raise InputError("there are no points for an alarm", subject=spec.name, hint="give a frame for each name")
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(replay, specs, given))


def replay_many(specs: Sequence[AlarmSpec], points: Mapping[str, pd.DataFrame] | pd.DataFrame) -> pd.DataFrame:
    """The alarms of several specs: alarm, time (UTC), until (UTC), seconds, reason, datapoints, times, in time's order.

    points: by alarm name, or one frame for all. Raises InputError for a spec without points, and as replay() does.
    """
    frames = []
    for done in replays(specs, points):
        found = done.fired
        frames.append(found.assign(alarm=done.spec.name)[["alarm", *found.columns]])
    if not frames:
        return pd.DataFrame(columns=["alarm", "time", "until", "seconds", "reason", "datapoints", "times"])
    kept = [frame for frame in frames if not frame.empty] or frames[:1]
    return pd.concat(kept, ignore_index=True).sort_values(["time", "alarm"], ignore_index=True)


def evaluate(pattern: Sequence[bool | None], *, n: int, m: int, treat_missing: str = "missing", current: str = "INSUFFICIENT_DATA") -> str:  # fmt: skip
    """The state after one evaluation of a range of data points, oldest first: True breaches, False does not, None is missing.

    `current` is the state before, which `ignore` may retain. Source: the two tables of "Configuring how CloudWatch alarms
    treat missing data".
    """
    values = np.array([np.nan if one is None else 0.0 for one in pattern])
    breaching = np.array([one is True for one in pattern])
    plan = _Plan(n, m, len(values), treat_missing, STATES.index(current))
    return STATES[int(_held(_codes(values, breaching, plan)[-1:], plan.initial)[0])]


def propose(
    spec: AlarmSpec, points: pd.DataFrame, *, percentiles: Sequence[float] = (95, 99, 99.9),
    out_of: Sequence[tuple[int, int]] = ((1, 1), (2, 3), (3, 5)), since: pd.Timestamp | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Thresholds and M of N from past data, those first that are quiet before the incident and fire in it.

    since     when the incident began (UTC): by default with the first data point of the spec's own first alarm. Where that has
              none there is no incident: quietest first

    Columns: threshold, datapoints_to_alarm, evaluation_periods, alarms (count), alarm_share (of the time in ALARM), first
    (UTC, NaT when never), longest_s, before (alarms before the incident), fires (in it; False without one). A threshold is a
    percentile of the data points before the incident, of all where there are none (its mirror image for "less than"); the spec's own
    is among them. Raises InputError for a band alarm, and as replay() does.
    """
    if spec.comparison in BAND_OPERATORS:
        raise InputError("an anomaly alarm has no threshold to propose", subject=spec.name, hint="its band is learnt")
    done = replay(spec, points)
    series = done.series.dropna(subset="value")
    if series.empty:
        return pd.DataFrame(columns=list(PROPOSALS))
    onset = since if since is not None else _onset(done)
    calm = series if onset is None else series[series["time"] < onset]
    base = (calm if len(calm) else series)["value"]
    below = spec.comparison.startswith("Less")
    levels = {float(np.percentile(base, 100 - one if below else one)) for one in percentiles}
    if spec.threshold is not None:
        levels.add(float(spec.threshold))
    rows = []
    for threshold in sorted(levels):
        for m, n in out_of:
            tried = spec.changed(threshold=threshold, datapoints_to_alarm=m, evaluation_periods=n)
            rows.append((threshold, m, n, *_measured(replay(tried, points), onset)))
    frame = pd.DataFrame(rows, columns=list(PROPOSALS))
    order = ["fires", "before", "alarms", "alarm_share", "threshold"]
    return frame.sort_values(order, ascending=[False, True, True, True, True], ignore_index=True)


def _onset(done: Replay) -> pd.Timestamp | None:
    """The first breaching data point behind an alarm's first ALARM; None where it never fired."""
    fired = done.fired
    if fired.empty:
        return None
    series = done.series.set_index("time")
    held = [time for time in fired["times"].iloc[0] if bool(series.loc[time, "breaching"])]
    return pd.Timestamp(min(held)) if held else pd.Timestamp(fired["time"].iloc[0])


def _measured(done: Replay, onset: pd.Timestamp | None) -> tuple[int, float, Any, float, int, bool]:
    fired = done.fired
    share = float((done.series["state"] == "ALARM").mean())
    longest = 0.0 if fired.empty else float(fired["seconds"].max())
    before = len(fired) if onset is None else int((fired["time"] <= onset).sum())
    return len(fired), share, pd.NaT if fired.empty else fired["time"].iloc[0], longest, before, len(fired) > before


@dataclass(frozen=True)
class _Plan:
    n: int
    m: int
    range: int
    treat: str
    initial: int


@dataclass(frozen=True)
class _Grid:
    """Whole periods: `first` is the start of period 0 in ns, `size` how many have ended; `bins` the period of each point."""

    first: int
    period: int
    size: int
    bins: Ints
    times: Ints

    @classmethod
    def over(cls, points: pd.DataFrame, seconds: int, start: pd.Timestamp | None, end: pd.Timestamp | None) -> _Grid:
        """The periods from the first point (or `start`) to the last that ended by `end`."""
        period = seconds * 10**9
        times = _nanoseconds(points["time"])
        if not len(times) and (start is None or end is None):
            return cls(0, period, 0, times, times)
        first = (int(times.min()) if start is None else start.value) // period * period
        last = int(times.max()) + _spacing(times, period) if end is None else end.value
        size = max(0, (last - first) // period)
        return cls(first, period, size, (times - first) // period, times)

    def bare(self) -> _Grid:
        """The grid without its points, so that a replay does not keep them in memory."""
        none = np.empty(0, dtype=np.int64)
        return _Grid(self.first, self.period, self.size, none, none)

    def starts(self) -> Ints:
        """When each period started, in ns."""
        return self.first + np.arange(self.size, dtype=np.int64) * self.period


@dataclass(frozen=True)
class Replay:
    """What an alarm would have done: one evaluation for each whole period. Frames are made when they are asked for."""

    spec: AlarmSpec
    states: NDArray[np.int8]
    _plan: _Plan
    _grid: _Grid
    _values: Floats
    _breaching: Bools
    _seen: tuple[Floats, ...] = ()

    @cached_property
    def series(self) -> pd.DataFrame:
        """time (UTC, start of the period), value (NaN: missing), breaching, evaluated (UTC, when the period ended), state."""
        starts = self._grid.starts()
        return pd.DataFrame(
            {
                "time": pd.to_datetime(starts, utc=True),
                "value": self._values,
                "breaching": self._breaching,
                "evaluated": pd.to_datetime(starts + self._grid.period, utc=True),
                "state": pd.Categorical.from_codes(self.states, categories=pd.Index(STATES)),
            }
        )

    @cached_property
    def changes(self) -> Ints:
        """The evaluations at which the state changed, as places in `states`."""
        before = np.concatenate(([self._plan.initial], self.states[:-1]))[: len(self.states)]
        return np.flatnonzero(self.states != before)

    @cached_property
    def transitions(self) -> pd.DataFrame:
        """time (UTC), state, previous, reason, datapoints (values evaluated, oldest first), times (of their periods)."""
        starts, previous, rows = self._grid.starts(), STATES[self._plan.initial], []
        taken = [_taken(place, self._plan, self._values, self._seen) for place in self.changes.tolist()]
        moments = iter(pd.to_datetime(starts[[one for held in taken for one, _ in held]], utc=True).tolist())
        for place, held in zip(self.changes.tolist(), taken, strict=True):
            state, found = STATES[self.states[place]], [value for _, value in held]
            reason = _reason(self.spec, self._plan, state, previous, found)
            rows.append((state, previous, reason, found, [next(moments) for _ in held]))
            previous = state
        moved = pd.DataFrame(rows, columns=list(TRANSITIONS[1:]))
        moved.insert(0, "time", pd.to_datetime(starts[self.changes] + self._grid.period, utc=True))
        return moved

    @property
    def fired(self) -> pd.DataFrame:
        """Its alarms: time (UTC), until (UTC; the end of the data when it was still in ALARM), seconds, reason, datapoints, times."""
        columns = ["time", "until", "seconds", "reason", "datapoints", "times"]
        moved = self.transitions
        if moved.empty:
            return moved.assign(until=moved["time"], seconds=pd.Series(dtype=float))[columns]
        until = moved["time"].shift(-1).fillna(self.series["evaluated"].iloc[-1])
        held = moved.assign(until=until, seconds=(until - moved["time"]).dt.total_seconds())
        return held[held["state"] == "ALARM"][columns].reset_index(drop=True)


def _nanoseconds(times: pd.Series) -> Ints:
    if not isinstance(times.dtype, pd.DatetimeTZDtype):
        raise InputError(
            "the points' times have no time zone", subject=str(times.name), hint="pd.to_datetime(…, utc=True)"
        )
    held = times.to_numpy(f"datetime64[{times.dt.unit}]").view(np.int64)  # in its own unit, as pandas converts slowly
    return np.asarray(held if times.dt.unit == "ns" else held * _NS[times.dt.unit])


def _spacing(times: Ints, period: int) -> int:
    apart = np.diff(times)
    if len(apart) and apart.min() <= 0:
        apart = np.diff(np.unique(times))
    return int(min(apart.min(), period)) if len(apart) else period


def _prepared(spec: AlarmSpec, points: pd.DataFrame, evaluation_range: int | None, initial: str) -> _Plan:
    band = ("lower", "upper") if spec.comparison in BAND_OPERATORS else ()
    if lacking := {"time", "value", *band} - set(points.columns):
        raise InputError(f"the points have no column {', '.join(sorted(lacking))}", subject=spec.name, hint="time, value; lower and upper for a band")  # fmt: skip
    n = spec.evaluation_periods
    if initial not in STATES:
        raise InputError(f"{initial!r} is not a state of an alarm", subject=spec.name, hint=", ".join(STATES))
    if evaluation_range is not None and evaluation_range < n:
        raise InputError(f"an evaluation range of {evaluation_range} is below the {n} evaluation periods", subject=spec.name, hint=f"{n} or more")  # fmt: skip
    return _Plan(n, spec.m, evaluation_range or n + 2, spec.treat_missing, STATES.index(initial))


def _few_samples(spec: AlarmSpec, points: pd.DataFrame, grid: _Grid, plan: _Plan) -> Bools | None:
    """Which evaluations have too few samples to change the state; None for an alarm that has no such rule.

    Source: "Percentile-based alarms and low data samples". Periods without any sample are missing data, and judged as that.
    """
    least = needed_samples(spec)
    if not least or not grid.size:
        return None
    known = points["value"].notna().to_numpy() & (grid.bins >= 0) & (grid.bins < grid.size)
    each = points["samples"].to_numpy(np.float64)[known] if "samples" in points.columns else None
    total = np.cumsum(np.bincount(grid.bins[known], each, grid.size))
    total[plan.n :] -= total[: -plan.n].copy()
    return np.asarray((total > 0) & (total < least - 1e-9))


def needed_samples(spec: AlarmSpec) -> float:
    """How many samples an alarm on a percentile wants before its state may change; 0 where any number will do."""
    found = re.fullmatch(r"p(\d+(?:\.\d+)?)", spec.extended_statistic)
    share = float(found[1]) / 100 if found else 0.0
    if spec.low_samples != "ignore" or not 0 < share < 1:
        return 0.0
    return 10 / (1 - share) if share >= 0.5 else 10 / share


def _lateness(points: pd.DataFrame, grid: _Grid) -> Ints | None:
    """How many evaluations each point missed; None when none did."""
    if "arrived" not in points.columns:
        return None
    arrived = _nanoseconds(points["arrived"])
    ends = grid.first + (grid.bins + 1) * grid.period
    missed: Ints = np.maximum(0, -((ends - arrived) // grid.period))
    return missed if missed.any() else None


def _datapoints(
    spec: AlarmSpec, points: pd.DataFrame, grid: _Grid, *, late: int, lateness: Ints | None = None
) -> tuple[Floats, Bools]:
    """The data point of each period, of the points that missed at most `late` evaluations, and whether it breaches."""
    values = points["value"].to_numpy(np.float64)
    inside = _inside(values, grid)
    if lateness is not None:
        on_time = lateness <= late
        inside = on_time if inside is None else inside & on_time
    bins = grid.bins if inside is None else grid.bins[inside]
    found = _joined(spec, values if inside is None else values[inside], bins, grid.size)
    if spec.comparison not in BAND_OPERATORS:
        assert spec.threshold is not None  # AlarmSpec holds it
        return found, _COMPARE[spec.comparison](found, spec.threshold)
    bands = [points[name].to_numpy(np.float64) for name in ("lower", "upper")]
    edges = [_last(one if inside is None else one[inside], bins, grid.size) for one in bands]
    below, above = found < edges[0], found > edges[1]
    sides = {"LessThanLowerThreshold": below, "GreaterThanUpperThreshold": above}
    return found, sides.get(spec.comparison, below | above)


def _inside(values: Floats, grid: _Grid) -> Bools | None:
    """Which points are numbers and lie in the grid; None for all, which is the usual and costs no mask."""
    known = ~np.isnan(values)
    if not len(values) or (known.all() and grid.bins.min() >= 0 and grid.bins.max() < grid.size):
        return None
    return np.asarray((grid.bins >= 0) & (grid.bins < grid.size) & known)


_COMPARE = {
    "GreaterThanThreshold": np.greater,
    "GreaterThanOrEqualToThreshold": np.greater_equal,
    "LessThanThreshold": np.less,
    "LessThanOrEqualToThreshold": np.less_equal,
}


def _last(values: Floats, bins: Ints, size: int) -> Floats:
    found = np.full(size, np.nan)
    found[bins] = values
    return found


def _joined(spec: AlarmSpec, values: Floats, bins: Ints, size: int) -> Floats:
    apart = np.diff(bins)
    if len(apart) and apart.min() <= 0:
        counts = np.bincount(bins, minlength=size)
        if counts.max(initial=0) > 1:
            return _reduced(spec, values, bins, counts)
    return _last(values, bins, size)


def _reduced(spec: AlarmSpec, values: Floats, bins: Ints, counts: Ints) -> Floats:
    empty, size = counts == 0, len(counts)
    if spec.statistic in ("Average", "Sum", "SampleCount"):
        sums = counts.astype(np.float64) if spec.statistic == "SampleCount" else np.bincount(bins, values, size)
        divisor = np.maximum(counts, 1) if spec.statistic == "Average" else 1
        return np.where(empty, np.nan, sums / divisor)
    order = np.lexsort((values, bins))
    sorted_values, ends = values[order], np.cumsum(counts)
    starts = ends - counts
    share = _share(spec)
    # Linear between the two nearest, as numpy's percentile: AWS does not say how it lies between two samples.
    place = starts + share * np.maximum(counts - 1, 0)
    low = np.minimum(np.floor(place).astype(np.int64), len(values) - 1)
    high = np.minimum(np.ceil(place).astype(np.int64), len(values) - 1)
    between = sorted_values[low] + (place - low) * (sorted_values[high] - sorted_values[low])
    return np.where(empty, np.nan, between)


def _share(spec: AlarmSpec) -> float:
    plain = {"Minimum": 0.0, "Maximum": 1.0}
    if spec.statistic in plain:
        return plain[spec.statistic]
    if spec.extended_statistic.startswith("p"):
        return float(spec.extended_statistic[1:]) / 100
    raise InputError(f"{spec.extended_statistic or 'an expression'} cannot be joined from raw points here", subject=spec.name, hint="give one point a period, as GetMetricData returns it")  # fmt: skip


def _codes(values: Floats, breaching: Bools, plan: _Plan) -> NDArray[np.int8]:
    """The outcome of each evaluation, in a constant number of passes whatever N is.

    Real points have ordinals; the range of evaluation k holds ordinals first[k] to upto[k] - 1, and prefix sums over ordinals
    count what breaches among any run of them.
    """
    size = len(values)
    real = ~np.isnan(values)
    upto = np.cumsum(real, dtype=np.int32)
    where = np.flatnonzero(real)
    prefix = np.zeros(len(where) + 1, dtype=np.int32)
    np.cumsum(np.take(breaching, where), out=prefix[1:])
    count = upto.copy()
    count[plan.range :] -= upto[: max(size - plan.range, 0)]
    whole = prefix.copy()  # of the newest N real points up to each
    whole[plan.n :] -= prefix[: max(len(prefix) - plan.n, 0)]
    codes: NDArray[np.int8] = np.take((whole >= plan.m).view(np.int8), upto)
    short = np.flatnonzero(count < plan.n)  # few, so that what is missing costs little
    have = count[short]
    held = prefix[upto[short]] - prefix[upto[short] - have]
    if plan.treat in ("breaching", "notBreaching"):
        codes[short] = _filled(held, have, plan)
        return codes
    firsts = np.minimum(upto[short] - have, max(len(where) - 1, 0))
    oldest = short - where[firsts] + 1 if len(where) else short
    codes[short] = _unfilled(held, have, oldest, plan)
    return codes


def _filled(bad: Ints, count: Ints, plan: _Plan) -> NDArray[np.int8]:
    """Breaching and notBreaching: what is missing of N counts as one or the other."""
    if plan.treat == "breaching":
        bad = bad + np.maximum(plan.n - count, 0)
    return (bad >= plan.m).astype(np.int8)


def _unfilled(bad: Ints, count: Ints, oldest: Ints, plan: _Plan) -> NDArray[np.int8]:
    """Missing and ignore: only breaching points, too few, alarm once the oldest is M periods old (missing) or retain (ignore)."""
    retain = plan.treat == "ignore"
    young, old = (_RETAIN, _RETAIN) if retain else (_INSUFFICIENT, _ALARM)
    alone = (count < plan.n) & (bad == count)
    chosen = np.select(
        [bad >= plan.m, count == 0, alone & (oldest >= plan.m), alone],
        [_ALARM, _RETAIN if retain else _INSUFFICIENT, old, young],
        _OK,
    )
    return chosen.astype(np.int8)


def _codes_by_age(seen: Sequence[tuple[Floats, Bools]], plan: _Plan) -> NDArray[np.int8]:
    """The same where points came late: what a period's data point was depends on how old it is at the evaluation."""
    size = len(seen[0][0])
    count, total, bad, oldest = (np.zeros(size, dtype=np.int64) for _ in range(4))
    for age, (values, breaching) in enumerate(seen):
        real, breaks = (np.concatenate((np.zeros(min(age, size), dtype=bool), one[: max(size - age, 0)])) for one in (~np.isnan(values), breaching))  # fmt: skip
        taken = real & (count < plan.n)
        bad += taken & breaks
        count += taken
        total += real
        oldest[real] = age + 1
    if plan.treat in ("breaching", "notBreaching"):
        return _filled(bad, total, plan)
    return _unfilled(bad, total, oldest, plan)


def _held(codes: NDArray[np.int8], initial: int) -> NDArray[np.int8]:
    """Every state, where a retained one is the last that was not."""
    if (codes != _RETAIN).all():
        return codes
    last = np.maximum.accumulate(np.where(codes == _RETAIN, -1, np.arange(len(codes))))
    return np.where(last < 0, initial, codes[last]).astype(np.int8)


def _taken(place: int, plan: _Plan, values: Floats, seen: Sequence[Floats]) -> list[tuple[int, float]]:
    """The periods and values that one evaluation took, oldest first: the newest N real ones of its range."""
    held: list[tuple[int, float]] = []
    for age in range(min(plan.range, place + 1)):
        value = float(seen[age][place - age] if seen else values[place - age])
        if not np.isnan(value) and len(held) < plan.n:
            held.append((place - age, value))
    return held[::-1]


def _reason(spec: AlarmSpec, plan: _Plan, state: str, previous: str, found: Sequence[float]) -> str:
    """A sentence in the manner of StateReason."""
    missing = max(plan.n - len(found), 0)
    filled = f"; {missing} of {plan.n} missing, treated as {plan.treat}" if missing else ""
    if state == "INSUFFICIENT_DATA":
        return f"Insufficient data: {len(found)} of {plan.n} data points were there{filled}"
    words = _WORDS[spec.comparison]
    level = spec.threshold_metric or f"the threshold ({spec.threshold})"
    values = ", ".join(f"{one:g}" for one in found[-10:])
    need = f"{plan.m} out of {plan.n} needed for {previous} -> {state}" if state == "ALARM" else f"fewer than {plan.m} out of {plan.n} were breaching"  # fmt: skip
    verb = "Threshold crossed" if state == "ALARM" else "Within the threshold"
    return f"{verb}: the last data points [{values}] against {words} {level}{filled} ({need})"
