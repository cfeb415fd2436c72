"""plotly figures of an incident: everything that happened on one axis of time."""

from __future__ import annotations

import pandas as pd
from plotly.graph_objects import Figure, Scatter

from netkit.show.plots import ACCEPT, GREY, REJECT, _figure, _nothing

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
        return _nothing(title, "nothing of the evidence has a time within the window")
    lanes = list(dict.fromkeys(frame["lane"]))
    figure = _figure(title, height=140 + 46 * len(lanes))
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
    figure.update_xaxes(title="UTC")
    return figure.update_layout(legend={"orientation": "h", "y": -0.18, "x": 0}, margin={"l": 150})
