"""Replay: AWS's own tables of missing data, and whole series beside a plain loop that was written from the pages alone."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netkit.cloudwatch.alarms import AlarmSpec
from netkit.cloudwatch.replay import TRANSITIONS, evaluate, propose, replay, replay_many
from netkit.core.errors import InputError
from netkit.show.alarms import replay_chart

SEEN = {"0": False, "X": True, "-": None}
WORDS = {"A": "ALARM", "O": "OK", "I": "INSUFFICIENT_DATA", "R": "retain"}
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")

# CloudWatch User Guide, "Configuring how CloudWatch alarms treat missing data": both tables, a letter a column (missing, ignore,
# breaching, notBreaching). N is 3, the evaluation range 5.
THREE_OF_THREE = {
    "0 - X - X": "OOOO",
    "0 - - - -": "OOOO",
    "- - - - -": "IRAO",
    "0 X X - X": "AAAA",
    "- - X - -": "ARAO",
}
TWO_OF_THREE = {"0 - X - X": "AAAA", "0 0 X 0 X": "AAAA", "0 - X - -": "OOAO", "- - - - 0": "OOAO", "- - - X -": "ARAO"}
# The same page's text, and the rows of its 2019 text that the present tables do not show.
ALONE = {"- - - - X": "IRAO", "X - - - -": "ARAO", "- - - X -": "IRAO"}
ROWS = [
    *((row, 3, said) for row, said in THREE_OF_THREE.items()),
    *((row, 2, said) for row, said in TWO_OF_THREE.items()),
    *((row, 3, said) for row, said in ALONE.items() if row != "- - - X -"),
    ("- - - - X", 2, "IRAO"),
]


@pytest.mark.parametrize(("row", "m", "said"), ROWS)
def test_a_row_of_awss_tables(row: str, m: int, said: str) -> None:
    pattern = [SEEN[one] for one in row.split()]
    for treatment, letter in zip(TREATMENTS, said, strict=True):
        for current in ("OK", "ALARM", "INSUFFICIENT_DATA"):
            state = current if letter == "R" else WORDS[letter]
            assert evaluate(pattern, n=3, m=m, treat_missing=treatment, current=current) == state, (treatment, current)


def test_a_young_breaching_point_alone_does_not_alarm_at_once() -> None:
    for row in ("- - - - X", "- - - X -"):
        assert evaluate([SEEN[one] for one in row.split()], n=3, m=3) != "ALARM"


def spec(**values: Any) -> AlarmSpec:
    plain = {
        "name": "a",
        "namespace": "Shop",
        "metric": "Errors",
        "statistic": "Average",
        "period": 60,
        "threshold": 10,
    }
    return AlarmSpec(**(plain | values))


def minutes(values: list[float], *, start: str = "2026-11-19T09:00:00Z", every: int = 60) -> pd.DataFrame:
    times = pd.date_range(start, periods=len(values), freq=f"{every}s")
    frame = pd.DataFrame({"time": times, "value": values})
    return frame[frame["value"].notna()].reset_index(drop=True)


def plain_loop(values: list[float | None], m: int, n: int, reach: int, treat: str, threshold: float) -> list[str]:
    """One state for each period, read off the User Guide with lists and nothing else."""
    state, told = "INSUFFICIENT_DATA", []
    for now in range(len(values)):
        window = [values[place] if place >= 0 else None for place in range(now, now - reach, -1)]  # newest first
        real = [(age, value > threshold) for age, value in enumerate(window, 1) if value is not None]
        newest = real[:n]
        breaching = sum(bad for _, bad in newest)
        lacking = n - len(newest)
        if lacking > 0 and treat == "breaching":
            breaching += lacking
        if breaching >= m:
            state = "ALARM"
        elif lacking <= 0 or treat in ("breaching", "notBreaching") or any(not bad for _, bad in newest):
            state = "OK"
        elif treat == "missing":
            state = "ALARM" if newest and newest[-1][0] >= m else "INSUFFICIENT_DATA"
        told.append(state)
    return told


SERIES = st.lists(st.sampled_from([None, 1.0, 20.0]), min_size=2, max_size=40).filter(lambda one: one[0] is not None and one[-1] is not None)  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(SERIES, st.integers(1, 4), st.integers(0, 3), st.integers(0, 4), st.sampled_from(TREATMENTS))
def test_a_series_beside_the_plain_loop(
    values: list[float | None], m: int, more: int, further: int, treat: str
) -> None:
    n = m + more
    asked = spec(evaluation_periods=n, datapoints_to_alarm=m, treat_missing=treat)
    points = minutes([math.nan if one is None else one for one in values])
    done = replay(asked, points, evaluation_range=n + further, end=points["time"].iloc[-1] + pd.Timedelta("60s"))
    states = done.series["state"].astype(str).tolist()
    assert states == plain_loop(values, m, n, n + further, treat, 10)
    # The first point misses the first evaluation, so that the other way is taken, to the same states from the second on.
    late = points.assign(arrived=points["time"] + pd.Timedelta("60s"))
    late["arrived"] += pd.to_timedelta([30, *[0] * (len(late) - 1)], unit="s")
    by_age = replay(asked, late, evaluation_range=n + further, end=points["time"].iloc[-1] + pd.Timedelta("60s"))
    assert treat == "ignore" or by_age.series["state"].astype(str).tolist()[1:] == states[1:]
    moved = [now for now, before in zip(states, ["INSUFFICIENT_DATA", *states], strict=False) if now != before]
    assert done.transitions["state"].tolist() == moved


def test_an_alarm_names_the_points_that_raised_it() -> None:
    done = replay(spec(evaluation_periods=3, datapoints_to_alarm=2), minutes([1, 20, 1, 30, 40, 1, 1, 1]))
    fired = done.fired
    assert fired["datapoints"].tolist() == [[20.0, 1.0, 30.0]]
    assert fired["time"].iloc[0] == pd.Timestamp("2026-11-19T09:04:00Z")  # when the fourth minute had ended
    assert fired["times"].iloc[0][0] == pd.Timestamp("2026-11-19T09:01:00Z")
    assert fired["until"].iloc[0] == pd.Timestamp("2026-11-19T09:07:00Z")
    assert fired["seconds"].tolist() == [180.0]
    assert "2 out of 3 needed for OK -> ALARM" in fired["reason"].iloc[0]


@pytest.mark.parametrize(
    ("statistic", "joined"),
    [
        ("Average", 2.0),
        ("Sum", 10.0),
        ("Minimum", 0.0),
        ("Maximum", 4.0),
        ("SampleCount", 5.0),
        ("p50", 2.0),
        ("p75", 3.0),
    ],
)
def test_points_of_a_period_are_joined_and_the_unfinished_period_waits(statistic: str, joined: float) -> None:
    asked = spec(**{"period": 300, "statistic": "", "extended_statistic": statistic} if statistic[0] == "p" else {"period": 300, "statistic": statistic})  # fmt: skip
    done = replay(asked, minutes([3, 1, 4, 0, 2, 99, 99]))
    assert done.series["value"].tolist() == [joined]
    assert len(replay(asked, minutes([3, 1, 4, 0])).series) == 0


def test_what_came_late_is_seen_when_it_came() -> None:
    points = minutes([1, 20, 1, 1, 1, 1])
    points["arrived"] = points["time"] + pd.Timedelta("60s")
    on_time = replay(spec(evaluation_periods=1), points).fired
    assert on_time["time"].tolist() == [pd.Timestamp("2026-11-19T09:02:00Z")]
    points["arrived"] += pd.to_timedelta([0, 90, 0, 0, 0, 0], unit="s")
    late = replay(spec(evaluation_periods=2, datapoints_to_alarm=1), points).fired
    # Two evaluations missed it; at the third it is the third newest of three, and N is 2: it never counts.
    assert late.empty
    points["arrived"] -= pd.to_timedelta([0, 60, 0, 0, 0, 0], unit="s")
    seen = replay(spec(evaluation_periods=2, datapoints_to_alarm=1), points).fired
    assert seen["time"].tolist() == [pd.Timestamp("2026-11-19T09:03:00Z")]
    assert seen["datapoints"].tolist() == [[20.0, 1.0]]


def test_a_metric_that_stops_goes_to_insufficient_data_or_alarms() -> None:
    points = minutes([1, 1, 1])
    end = pd.Timestamp("2026-11-19T09:10:00Z")
    quiet = replay(spec(evaluation_periods=1), points, end=end).transitions
    assert quiet["state"].tolist() == ["OK", "INSUFFICIENT_DATA"]
    assert quiet["time"].iloc[1] == pd.Timestamp("2026-11-19T09:06:00Z")  # the range of 3 minutes is empty
    dead = replay(spec(evaluation_periods=1, treat_missing="breaching"), points, end=end).transitions
    assert dead["state"].tolist() == ["OK", "ALARM"]
    assert dead["datapoints"].iloc[1] == []


def test_a_band_is_left_on_its_sides() -> None:
    band: list[dict[str, Any]] = [
        {
            "Id": "m1",
            "MetricStat": {"Metric": {"Namespace": "Shop", "MetricName": "Errors"}, "Period": 60, "Stat": "Sum"},
        },
        {"Id": "ad1", "Expression": "ANOMALY_DETECTION_BAND(m1, 2)"},
    ]
    points = minutes([5, 1, 5, 9, 5]).assign(lower=2.0, upper=8.0)
    for comparison, times in (
        ("LessThanLowerThreshold", [2]), ("GreaterThanUpperThreshold", [4]), ("LessThanLowerOrGreaterThanUpperThreshold", [2, 4]),
    ):  # fmt: skip
        asked = AlarmSpec(name="a", metrics=tuple(band), threshold_metric="ad1", comparison=comparison)
        assert [one.minute for one in replay(asked, points).fired["time"]] == times
        with pytest.raises(InputError, match="no column lower"):
            replay(asked, points.drop(columns="lower"))


def test_many_alarms_in_times_order_and_an_empty_answer_with_columns() -> None:
    found = replay_many(
        [spec(name="late", threshold=25), spec(name="early")],
        {"late": minutes([1, 20, 30]), "early": minutes([1, 20, 30])},
    )
    assert found["alarm"].tolist() == ["early", "late"]
    none = replay_many([spec()], minutes([1, 1]))
    assert none.empty and list(none)[:2] == ["alarm", "time"]
    assert list(replay_many([], {})) == list(none)
    with pytest.raises(InputError, match="no points"):
        replay_many([spec()], {})


def test_a_proposal_says_what_it_would_have_fired_on() -> None:
    points = minutes([1, 1, 50, 1, 1, 1, 50, 50, 50, 1] * 5)
    found = propose(spec(), points)
    own = found[found["threshold"] == 10]
    assert sorted(zip(own["datapoints_to_alarm"], own["evaluation_periods"], own["alarms"], strict=True)) == [
        (1, 1, 10),
        (2, 3, 5),
        (3, 5, 5),
    ]
    for row in own.to_dict("records"):
        done = replay(
            spec(datapoints_to_alarm=row["datapoints_to_alarm"], evaluation_periods=row["evaluation_periods"]), points
        )
        assert row["first"] == done.fired["time"].iloc[0]
        assert row["alarm_share"] == pytest.approx((done.series["state"] == "ALARM").mean())
    assert found["alarms"].is_monotonic_increasing
    below = propose(spec(comparison="LessThanThreshold", threshold=5), points)
    assert set(below["threshold"]) == {1.0, 5.0}


def test_bad_points_are_refused() -> None:
    good = minutes([1, 2])
    for points, words in (
        (good.drop(columns="value"), "no column value"),
        (good.assign(time=good["time"].dt.tz_localize(None)), "no time zone"),
    ):
        with pytest.raises(InputError, match=words):
            replay(spec(), points)
    with pytest.raises(InputError, match="evaluation range"):
        replay(spec(evaluation_periods=3), good, evaluation_range=2)
    with pytest.raises(InputError, match="not a state"):
        replay(spec(), good, initial="FINE")
    with pytest.raises(InputError, match="cannot be joined"):
        replay(spec(period=300, statistic="", extended_statistic="TM(10%:90%)"), minutes([1] * 6))


def test_no_points_no_evaluations() -> None:
    done = replay(spec(), minutes([1]).iloc[:0])
    assert done.series.empty and done.fired.empty and list(done.transitions) == list(TRANSITIONS)


def test_the_figure_shades_each_alarm_and_marks_its_points() -> None:
    done = replay(spec(evaluation_periods=3, datapoints_to_alarm=2), minutes([1, 20, 1, 30, 40, 1, 1, 1]))
    figure = replay_chart(done)
    assert len([shape for shape in figure.layout.shapes if shape.type == "rect"]) == 1
    line, marks = figure.data
    assert list(line.y) == [1, 20, 1, 30, 40, 1, 1, 1] and list(marks.y) == [20, 30]  # those that breach
    assert ": 1 alarm" in figure.layout.title.text and len(figure.layout.annotations) == 1
    many = replay_chart(replay(spec(), minutes([1, 1, 30] * 7000)))
    assert len(many.data[0].y) <= 20_000 and set(many.data[0].y) == {1, 30}  # no peak is lost
    assert "longest shaded" in many.layout.title.text
    assert not replay_chart(replay(spec(), minutes([1]).iloc[:0])).data


# what is proposed


def day(values: list[float]) -> pd.DataFrame:
    times = pd.date_range("2026-11-19", periods=len(values), freq="60s", tz="UTC")
    return pd.DataFrame({"time": times, "value": values})


def test_proposals_are_quiet_before_the_incident_and_fire_in_it() -> None:
    """A long incident fills the day's upper percentiles: thresholds come from before it."""
    spec = AlarmSpec(
        name="x", namespace="n", metric="m", statistic="Maximum", period=60, threshold=5, evaluation_periods=3
    )
    calm = [float(one % 4) for one in range(300)]
    found = propose(spec, day(calm + [9.0] * 600))
    assert found["fires"].iloc[0] and found["before"].iloc[0] == 0 and found["threshold"].iloc[0] < 9
    assert found["first"].iloc[0] >= pd.Timestamp("2026-11-19T05:00Z")
    quiet = found[found["fires"]]
    assert quiet["before"].is_monotonic_increasing and not found["fires"].iloc[len(quiet) :].any()


@pytest.mark.parametrize("since", [None, pd.Timestamp("2026-11-19T05:00Z")])
def test_without_an_incident_the_quietest_is_first(since: Any) -> None:
    spec = AlarmSpec(name="x", namespace="n", metric="m", statistic="Maximum", period=60, threshold=99)
    found = propose(spec, day([float(one % 4) for one in range(400)]), since=since)
    assert found["threshold"].iloc[0] == 3 or found["alarms"].iloc[0] == 0


def test_an_alarm_that_fired_before_is_not_quiet() -> None:
    spec = AlarmSpec(name="x", namespace="n", metric="m", statistic="Maximum", period=60, threshold=5)
    values = [0.0] * 50 + [7.0] + [0.0] * 50 + [9.0] * 50
    found = propose(spec, day(values), since=pd.Timestamp("2026-11-19T01:41Z"), percentiles=(50,))
    own = found[found["threshold"].eq(5)]
    assert (
        own.set_index("evaluation_periods").loc[1, "before"] == 1
        and own.set_index("evaluation_periods").loc[3, "before"] == 0
    )
    assert found.iloc[0]["before"] == 0 and found["fires"].all()
