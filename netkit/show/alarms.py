"""plotly figures of alarms: what a replay saw, and when it would have fired."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.graph_objects import Figure

from netkit.cloudwatch.replay import Replay
from netkit.show.plots import ACCEPT, GREY, REJECT, _figure, nothing

_MOST_BANDS = 200
_MOST_POINTS = 20_000


def replay_chart(replay: Replay, *, title: str = "") -> Figure:
    """The data points of a replay with the threshold, the times in ALARM shaded, and the points that raised each alarm.

    Times are UTC. Over 20,000 points, each stretch of them is drawn by its largest (for "less than": smallest) value; over 200
    alarms, the longest are shaded and the title says so.
    """
    spec, series, fired = replay.spec, replay.series, replay.fired
    name = title or f"{spec.name}: {spec.m} out of {spec.evaluation_periods}, {spec.evaluated_period} s"
    known = series[series["value"].notna()]
    if known.empty:
        return nothing(name, "there are no data points")
    shaded = fired.nlargest(_MOST_BANDS, "seconds")
    more = f"; the {_MOST_BANDS} longest shaded" if len(fired) > _MOST_BANDS else ""
    figure = _figure(f"{name}: {len(fired):,} alarm{'s' if len(fired) != 1 else ''}{more}")
    step = -(-len(known) // _MOST_POINTS)
    if step > 1:
        worst = known["value"] * (-1 if spec.comparison.startswith("Less") else 1)
        places = worst.reset_index(drop=True).groupby(lambda place: place // step).idxmax()
        known = known.iloc[places]
    figure.add_trace(go.Scatter(x=known["time"], y=known["value"], mode="lines", name=spec.metric or spec.name, line={"color": ACCEPT, "width": 1}))  # fmt: skip
    breaching = set(series.loc[series["breaching"], "time"])
    raised = [(when, value) for times, values in zip(shaded["times"], shaded["datapoints"], strict=True) for when, value in zip(times, values, strict=True) if when in breaching]  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=[when for when, _ in raised], y=[value for _, value in raised], mode="markers", name="points that raised it",
            marker={"color": REJECT, "size": 7},
        )
    )  # fmt: skip
    if spec.threshold is not None:
        figure.add_hline(y=spec.threshold, line={"color": GREY, "dash": "dash"}, annotation_text=f"threshold {spec.threshold:g}")  # fmt: skip
    bands = [
        {"type": "rect", "xref": "x", "yref": "paper", "x0": row["time"], "x1": row["until"], "y0": 0, "y1": 1, "fillcolor": REJECT, "opacity": 0.15, "line": {"width": 0}}
        for row in shaded.to_dict("records")
    ]  # fmt: skip
    figure.update_layout(shapes=[*figure.layout.shapes, *bands], yaxis_title=spec.unit or "value", xaxis_title="time (UTC)")  # fmt: skip
    return figure
