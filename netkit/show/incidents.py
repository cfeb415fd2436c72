"""plotly figures and the widget of an incident: everything that happened on one axis of time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as w
import pandas as pd
from plotly.graph_objects import Bar, Figure, Scatter

from netkit.show.plots import _LEGEND as _LEGEND_TOP
from netkit.show.plots import ACCEPT, GREY, REJECT, _figure, nothing
from netkit.show.widgets import fill, panel

_MARKS = {
    "bad": ("x", REJECT),
    "change": ("diamond", "#E69F00"),
    "good": ("circle", ACCEPT),
    "note": ("line-ns-open", GREY),
}
_LEGEND = {"bad": "went wrong", "change": "changed", "good": "well", "note": "looked at"}


def incident_timeline(frame: pd.DataFrame, *, title: str = "What happened, on one axis") -> Figure:
    """A lane a system; changes, failures and what was well, in time. Hover says what and who.

    frame: time (UTC), lane, kind (bad, change, good, note), what, count: investigate.incident.timeline
    """
    if frame.empty:
        return nothing(title, "nothing of the evidence has a time within the window")
    lanes = list(dict.fromkeys(frame["lane"]))
    figure = _figure(title, height=150 + 46 * len(lanes), legend=_LEGEND_TOP, showlegend=True)
    for kind, (symbol, colour) in _MARKS.items():
        rows = frame[frame["kind"] == kind]
        if rows.empty:
            continue
        sizes = (7 + rows["count"].clip(upper=30) * 0.35).tolist()
        marker = {"symbol": symbol, "color": colour, "size": sizes, "line": {"width": 1.5, "color": colour}}
        figure.add_trace(
            Scatter(
                x=rows["time"], y=rows["lane"], mode="markers", name=_LEGEND[kind], marker=marker, text=rows["what"],
                hovertemplate="%{x|%H:%M:%S}<br>%{text}<extra>%{y}</extra>",
            )
        )  # fmt: skip
    figure.update_yaxes(categoryorder="array", categoryarray=lanes[::-1], title="")
    figure.update_xaxes(title="time (UTC)")
    return figure.update_yaxes(automargin=True)


PARTS = ("nothing", "snapshots", "flow_logs", "cloudtrail", "metrics", "dns", "captures", "firewall")
_STANDING = {"proved": REJECT, "likely": "#E69F00", "open": ACCEPT, "unknown": GREY}


def incident_ranking(frame: pd.DataFrame, *, title: str = "The causes, by points") -> Figure:
    """A bar a cause, its points in decibans, the first on top; colour and words say how sure.

    frame: rank, fault, resource, standing, points (investigate.incident.ranked)
    """
    if frame.empty:
        return nothing(title, "no cause is named")
    top = frame.head(8)
    names = [
        f"{fault} {str(resource)[-40:]}".strip() for fault, resource in zip(top["fault"], top["resource"], strict=True)
    ]
    figure = _figure(title, height=130 + 38 * len(top), showlegend=False)
    words = [f"{standing} ({points:+d})" for standing, points in zip(top["standing"], top["points"], strict=True)]
    figure.add_trace(
        Bar(
            x=top["points"], y=[f"{number}. {name}: {word}" for number, name, word in zip(top["rank"], names, words, strict=True)], orientation="h", text=words, textposition="none",
            marker={"color": [_STANDING[one] for one in top["standing"]]}, hovertemplate="%{y}<br>%{text}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", automargin=True)
    return figure.update_xaxes(title="decibans")


def incident_explorer(held: Any, without: Callable[[Any, str], Any], ranked: Callable[[Any], pd.DataFrame]) -> None:
    """The ranked causes as they would be had a part of the evidence been missing: a box to choose the part, and the bars.

    held: the evidence; without(held, part) gives the answer, ranked(answer) its frame. Without a kernel the whole evidence's bars stand there.
    """
    part = w.Dropdown(options=PARTS, value="nothing", description="without")
    view = w.Output()

    def draw(_: object = None) -> dict[str, Any]:
        words = "The causes, by points" if part.value == "nothing" else f"The causes, had {part.value} been missing"
        return fill(view, incident_ranking(ranked(without(held, part.value)), title=words))

    part.observe(draw, "value")
    panel(w.VBox([part, view]), draw())
