"""What arrived from agents, drawn: a line for each metric and log file, a column for each host, in colour what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.graph_objects import Figure

from netkit.core.model import Window
from netkit.core.text import escaped
from netkit.show.plots import GREY, REJECT, _figure, nothing

_STATES = {"arrived": "#009E73", "unnamed": "#CC79A7", "quiet": "#56B4E9", "unknown": GREY, "stopped": "#E69F00", "missing": REJECT}  # fmt: skip
_ORDER = tuple(_STATES)
_MARKS = {"arrived": "✓", "unnamed": "✓", "quiet": "○", "unknown": "?", "stopped": "■", "missing": "✗"}
INK = "#111111"  # on every state's ground 4.5 and more
_WORDS = {
    "arrived": "arrives", "unnamed": "arrives without InstanceId", "quiet": "log is quiet", "unknown": "not known", "stopped": "stopped",
    "missing": "never came",
}  # fmt: skip


def arrival_grid(
    arrivals: pd.DataFrame, logs: pd.DataFrame, *, window: Window, names: Mapping[str, str] | None = None,
    title: str = "What arrived of what the agents promise",
) -> Figure:  # fmt: skip
    """Hosts by metric and log file, coloured by state; over a cell its first and last point and the likely cause.

    arrivals: proof.ARRIVAL_COLUMNS; logs: proof.LOG_COLUMNS; times are UTC, judged at the window's end.
    names: of the instances, by id.
    """
    columns = ["instance_id", "what", "state", "first", "last", "cause"]
    rows = [frame.rename(columns={name: "what"})[columns] for frame, name in ((arrivals, "metric"), (logs, "source")) if len(frame)]  # fmt: skip
    if not rows:
        return nothing(title, "the configuration sends nothing")
    cells = pd.concat(rows, ignore_index=True)
    worst = cells.assign(rank=cells["state"].map(_ORDER.index)).sort_values("rank").drop_duplicates(["instance_id", "what"], keep="last")  # fmt: skip
    whats, hosts = list(dict.fromkeys(cells["what"])), list(dict.fromkeys(cells["instance_id"]))
    shape = worst.pivot(index="what", columns="instance_id", values="rank").reindex(index=whats, columns=hosts)
    words = worst.assign(words=[_hover(row) for row in worst.to_dict("records")]).pivot(index="what", columns="instance_id", values="words").reindex(index=whats, columns=hosts)  # fmt: skip
    told = _MARKS if len(hosts) > 6 else {state: f"{mark} {_WORDS[state]}" for state, mark in _MARKS.items()}
    marks = shape.map(lambda rank: "" if pd.isna(rank) else told[_ORDER[int(rank)]])
    size = len(_ORDER)
    scale = [(edge / size, colour) for place, colour in enumerate(_STATES.values()) for edge in (place, place + 1)]
    figure = _figure(f"{title} ({window.end:%Y-%m-%d %H:%MZ})", height=170 + 26 * len(whats))
    figure.add_trace(
        go.Heatmap(z=shape.to_numpy(), x=[f"{(names or {}).get(one, '')}<br>{one}" for one in hosts], y=whats, customdata=words.to_numpy(), hovertemplate="%{customdata}<extra></extra>", zmin=-0.5, zmax=size - 0.5,
                   colorscale=scale, showscale=False, xgap=3, ygap=3, text=marks.to_numpy(), texttemplate="%{text}", textfont={"color": INK, "size": 13})
    )  # fmt: skip
    for state in _ORDER:
        if cells["state"].eq(state).any():
            figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", name=_WORDS[state], marker={"color": _STATES[state], "size": 11, "symbol": "square"}))  # fmt: skip
    figure.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"})
    return figure.update_yaxes(autorange="reversed", automargin=True).update_xaxes(showgrid=False)


def _hover(row: Mapping[Any, Any]) -> str:
    times = [f"{name} {row[name]:%m-%d %H:%MZ}" for name in ("first", "last") if not pd.isna(row[name])]
    return "<br>".join(escaped(str(one)) for one in [f"{row['instance_id']} {row['what']}: {_WORDS[str(row['state'])]}", *times, row["cause"]] if one)  # fmt: skip
