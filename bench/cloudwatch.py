"""CloudWatch: the replay of 100 alarms over 90 days of one-minute data, beside a plain loop that gives the same states."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from netkit.cloudwatch.alarms import AlarmSpec
from netkit.cloudwatch.replay import replay, replay_many

ALARMS, DAYS, LOOPED = 100, 90, 4
Show = Callable[[str, Sequence[str], Sequence[Sequence[Any]]], None]


def alarms(days: int = DAYS) -> list[tuple[AlarmSpec, pd.DataFrame]]:
    """Alarms of several M of N and treatments, each on one-minute points of its own, of which some two in a hundred are missing."""
    generator = np.random.default_rng(5)
    times = pd.Series(pd.date_range("2026-08-01", periods=days * 1440, freq="min", tz="UTC"))
    made = []
    for number in range(ALARMS):
        values = generator.gamma(2, 10, len(times)) + np.where(generator.random(len(times)) < 0.001, 80, 0)
        kept = generator.random(len(times)) > 0.02
        m, n = ((1, 1), (2, 3), (3, 5), (5, 5))[number % 4]
        treat = ("missing", "ignore", "breaching", "notBreaching")[number // 4 % 4]
        spec = AlarmSpec(
            name=f"alarm-{number}", namespace="Bench", metric=f"m{number}", statistic="Average", period=60, threshold=60,
            evaluation_periods=n, datapoints_to_alarm=m, treat_missing=treat,
        )  # fmt: skip
        made.append((spec, pd.DataFrame({"time": times[kept], "value": values[kept]})))
    return made


def looped(spec: AlarmSpec, points: pd.DataFrame) -> list[str]:
    """The state after each minute, point by point."""
    found = dict(
        zip((points["time"].dt.as_unit("s").astype("int64") // 60).tolist(), points["value"].tolist(), strict=True)
    )
    n, m, threshold, treat = spec.evaluation_periods, spec.m, spec.threshold or 0.0, spec.treat_missing
    state, told = "INSUFFICIENT_DATA", []
    window: deque[float | None] = deque([None] * (n + 2), maxlen=n + 2)
    for minute in range(min(found), max(found) + 1):
        window.appendleft(found.get(minute))
        real = [(age, value > threshold) for age, value in enumerate(window, 1) if value is not None][:n]
        breaching = sum(bad for _, bad in real)
        if treat == "breaching":
            breaching += n - len(real)
        if breaching >= m:
            state = "ALARM"
        elif len(real) == n or treat in ("breaching", "notBreaching") or any(not bad for _, bad in real):
            state = "OK"
        elif treat == "missing":
            state = "ALARM" if real and real[-1][0] >= m else "INSUFFICIENT_DATA"
        told.append(state)
    return told


def monitoring(show: Show) -> None:
    """The table; the loop is timed on some of the alarms and scaled, and its states are compared there."""
    given = alarms()
    replay(*given[0])
    begun = time.perf_counter()
    done = [replay(spec, points) for spec, points in given]
    ours = time.perf_counter() - begun
    begun = time.perf_counter()
    fired = replay_many([spec for spec, _ in given], {spec.name: points for spec, points in given})
    told_all = time.perf_counter() - begun
    chosen = range(0, ALARMS, ALARMS // LOOPED + 1)  # each M of N and each treatment once
    begun = time.perf_counter()
    told = [looped(*given[place]) for place in chosen]
    loop = (time.perf_counter() - begun) * ALARMS / len(told)
    for place, states in zip(chosen, told, strict=True):
        assert done[place].series["state"].astype(str).tolist() == states, given[place][0]
    minutes = sum(len(one.states) for one in done)
    show(
        f"replay of {ALARMS} alarms over {DAYS} days of one-minute data, {minutes:,} evaluations (loop: {len(told)} alarms, scaled; same states)",
        ("who", "seconds", "evaluations a second", "times ours"),
        [
            ("replay", f"{ours:.2f}", f"{minutes / ours:,.0f}", "1.0"),
            (
                f"replay_many, with points and reason of {len(fired):,} alarms",
                f"{told_all:.2f}",
                f"{minutes / told_all:,.0f}",
                f"{told_all / ours:.1f}",
            ),
            ("plain loop", f"{loop:.1f}", f"{minutes / loop:,.0f}", f"{loop / ours:.1f}"),
        ],
    )
