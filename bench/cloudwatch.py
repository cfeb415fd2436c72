"""CloudWatch: replay of 100 alarms beside a plain loop that gives the same states; points through the sandbox and back."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from netkit.cloudwatch.alarms import AlarmSpec
from netkit.cloudwatch.metrics import MetricQuery, prepare
from netkit.cloudwatch.provision import send_metrics
from netkit.cloudwatch.read import metric_data
from netkit.cloudwatch.replay import replay, replay_many, replays
from netkit.core.model import Window
from netkit.core.session import connect

ALARMS, DAYS, LOOPED = 100, 90, 4
POINTS, SINGLY = 100_000, 300
Show = Callable[[str, Sequence[str], Sequence[Sequence[Any]]], None]


def alarms(count: int = ALARMS, days: int = DAYS) -> list[tuple[AlarmSpec, pd.DataFrame]]:
    """Alarms of several M of N and treatments, each on one-minute points of its own, of which some two in a hundred are missing."""
    generator = np.random.default_rng(5)
    times = pd.Series(pd.date_range("2026-08-01", periods=days * 1440, freq="min", tz="UTC"))
    made = []
    for number in range(count):
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


def monitoring(show: Show, count: int = ALARMS, days: int = DAYS) -> None:
    """The table, of `count` alarms; the loop is timed on some of the alarms and scaled, and its states are compared there."""
    given = alarms(count, days)
    replay(*given[0])
    begun = time.perf_counter()
    done = replays([spec for spec, _ in given], {spec.name: points for spec, points in given})
    ours = time.perf_counter() - begun
    begun = time.perf_counter()
    one_by_one = [replay(spec, points) for spec, points in given]
    alone = time.perf_counter() - begun
    begun = time.perf_counter()
    fired = replay_many([spec for spec, _ in given], {spec.name: points for spec, points in given})
    told_all = time.perf_counter() - begun
    chosen = range(0, count, count // LOOPED + 1)  # each M of N and each treatment once
    begun = time.perf_counter()
    told = [looped(*given[place]) for place in chosen]
    loop = (time.perf_counter() - begun) * count / len(told)
    for place, states in zip(chosen, told, strict=True):
        assert done[place].series["state"].astype(str).tolist() == states, given[place][0]
    minutes = sum(len(one.states) for one in done)
    assert all((one.states == other.states).all() for one, other in zip(done, one_by_one, strict=True))
    show(
        f"replay of {count} alarms over {days} days of one-minute data, {minutes:,} evaluations (loop: {len(told)} alarms, scaled; same states)",
        ("who", "seconds", "evaluations a second", "times ours"),
        [
            ("replays, on all cores", f"{ours:.2f}", f"{minutes / ours:,.0f}", "1.0"),
            ("replay, one after the other", f"{alone:.2f}", f"{minutes / alone:,.0f}", f"{alone / ours:.1f}"),
            (
                f"replay_many, with points and reason of {len(fired):,} alarms",
                f"{told_all:.2f}",
                f"{minutes / told_all:,.0f}",
                f"{told_all / ours:.1f}",
            ),
            ("plain loop", f"{loop:.1f}", f"{minutes / loop:,.0f}", f"{loop / ours:.1f}"),
        ],
    )


def points(show: Show, count: int = POINTS, singly_sent: int = SINGLY) -> None:
    """Points put into the sandbox and read back; beside them one call a point, on a few and scaled. The sandbox's time is in it."""
    session = connect()
    now = pd.Timestamp.now("UTC").floor("min")
    space, hosts, minutes = f"Bench/{now:%H%M%S%f}{time.time_ns()}", 100, count // 100
    frame = pd.DataFrame(
        {
            "metric": "Load", "value": np.random.default_rng(7).gamma(2, 10, count).round(3),
            "time": np.tile(np.array(pd.date_range(end=now, periods=minutes, freq="min", tz="UTC")), hosts),
            "dimensions": np.repeat([f"Host=h{number}" for number in range(hosts)], minutes),
        }
    )  # fmt: skip
    begun = time.perf_counter()
    ready = prepare(space, frame)
    made = time.perf_counter() - begun
    begun = time.perf_counter()
    send_metrics(session, space, ready, armed=True, progress=False)
    sent = time.perf_counter() - begun
    begun = time.perf_counter()
    for row in frame.head(singly_sent).to_dict("records"):
        one = {"MetricName": row["metric"], "Value": row["value"], "Timestamp": row["time"]}
        session.call("cloudwatch", "put_metric_data", Namespace=f"{space}/singly", MetricData=[one])
    singly = (time.perf_counter() - begun) * count / singly_sent
    window = Window(
        (now - pd.Timedelta(minutes=minutes)).to_pydatetime(), (now + pd.Timedelta(minutes=1)).to_pydatetime()
    )
    queries = [MetricQuery(space, "Load", {"Host": f"h{number}"}, "Sum", 60, f"h{number}") for number in range(hosts)]
    begun = time.perf_counter()
    found = metric_data(session, queries, window, progress=False)
    read = time.perf_counter() - begun
    assert len(found) == count and abs(found["value"].sum() - frame["value"].sum()) < 1
    show(
        f"{count:,} points of {hosts} metrics into the sandbox and back ({len(ready.requests)} requests; singly: {singly_sent} calls, scaled)",
        ("what", "seconds", "points a second", "times put"),
        [
            (name, f"{seconds:.2f}", f"{count / seconds:,.0f}", f"{seconds / (made + sent):.2f}")
            for name, seconds in (("prepare", made), ("send", sent), ("prepare and send", made + sent), ("one call a point", singly), ("read back", read))
        ],
    )  # fmt: skip
