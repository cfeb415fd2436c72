"""A dashboard drawn from its body before it is made: each widget at its place, with the points that it would show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.graph_objects import Figure

from netkit.cloudwatch.dashboard_grammar import COLUMNS, DEFAULT_SIZE, boxes
from netkit.cloudwatch.dashboards import translated
from netkit.core.text import escaped
from netkit.show.plots import _FAINT, ACCEPT, GREY, PALETTE, REJECT, _figure, nothing

_LINE_PX = 52  # of one grid unit
_GAP_PX, _GAP = 26, 0.012
_ALARM_COLOURS = {"ALARM": REJECT, "OK": "#009E73", "INSUFFICIENT_DATA": GREY}


def draw_dashboard(
    body: Mapping[str, Any] | str, points: pd.DataFrame, *, tables: Mapping[int, pd.DataFrame] | None = None, states: Mapping[str, str] | None = None,
    title: str = "",
) -> Figure:  # fmt: skip
    """A dashboard's widgets at their places on the grid of 24 columns, as CloudWatch would lay them out. Times are UTC.

    points   widget (its number), label, time (UTC), value: of its metric widgets (cloudwatch_check.dashboard_points)
    tables   by widget number the answer of a log widget; states: by alarm name the state of an alarm widget's
    A widget without data says so. Views other than graphs and figures are drawn as graphs.
    """
    document, _ = translated(body)
    widgets = list(document.get("widgets", ()))
    if not widgets:
        return nothing(title or "Dashboard", "it has no widgets")
    places = _places(widgets)
    rows = max(y + height for _, y, _, height in places)
    figure = _figure(title or "Dashboard", height=90 + rows * _LINE_PX, showlegend=False)
    axis = 0
    for number, (one, (x, y, width, height)) in enumerate(zip(widgets, places, strict=True)):
        domain = _domain(x, y, width, height, rows)
        mine = points[points["widget"].eq(number)]
        properties = _mapping(_mapping(one).get("properties"))
        _head(figure, str(properties.get("title", "")), domain)
        kind = "number" if properties.get("view") in ("singleValue", "gauge") else _mapping(one).get("type")
        if kind == "number":
            _figures(figure, mine, domain)
        elif kind == "metric":
            axis += 1
            _graph(figure, mine, properties, domain, axis)
        elif kind == "log":
            _table(figure, (tables or {}).get(number), properties, domain)
        elif kind == "alarm":
            _alarms(figure, properties, states or {}, domain)
        else:
            _words(figure, _plain_text(str(properties.get("markdown", ""))), domain)
    return figure


def _mapping(value: Any) -> Mapping[str, Any]:
    """What has members, else nothing: a body of others may hold anything anywhere."""
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


Domain = dict[str, tuple[float, float]]
Box = tuple[int, int, int, int]


def _places(widgets: list[Any]) -> list[Box]:
    """Where each widget lies; one that does not say it goes below the others, as CloudWatch puts it where there is room."""
    said = boxes(widgets)
    below = max((y + height for _, y, _, height in said.values()), default=0)
    found: list[Box] = []
    for number, one in enumerate(widgets):
        box = said.get(number)
        if box is None:
            width, height = (_number(_mapping(one).get(name)) or DEFAULT_SIZE for name in ("width", "height"))
            box = (0, below, int(width), int(height))
            below += box[3]
        found.append(box)
    return found


def _domain(x: int, y: int, width: int, height: int, rows: int) -> Domain:
    gap = _GAP_PX / (rows * _LINE_PX)
    bottom, top = 1 - (y + height) / rows, 1 - y / rows
    return {"x": (x / COLUMNS + _GAP, (x + width) / COLUMNS - _GAP), "y": (bottom + gap * 0.6, top - gap)}


def _head(figure: Figure, text: str, domain: Domain) -> None:
    if text:
        figure.add_annotation(text=f"<b>{escaped(text)}</b>", x=domain["x"][0], y=domain["y"][1], xref="paper", yref="paper", xanchor="left", yanchor="bottom", showarrow=False)  # fmt: skip


def _words(figure: Figure, text: str, domain: Domain, colour: str = "#222222") -> None:
    figure.add_annotation(text=text, x=domain["x"][0], y=domain["y"][1], xref="paper", yref="paper", xanchor="left", yanchor="top", align="left", showarrow=False, font={"color": colour})  # fmt: skip


def _plain_text(markdown: str) -> str:
    """Markdown as the few marks that a figure can show: headings bold, lines kept."""
    lines = [escaped(line) for line in markdown.splitlines()]
    return "<br>".join(f"<b>{line.lstrip('# ')}</b>" if re.match(r"#+ ", line) else line for line in lines)


def _figures(figure: Figure, mine: pd.DataFrame, domain: Domain) -> None:
    newest = mine.groupby("label", sort=False)["value"].last()
    if newest.empty:
        _words(figure, "no data", domain, _FAINT)
        return
    left, right = domain["x"]
    step = (right - left) / len(newest)
    for place, (label, value) in enumerate(newest.items()):
        figure.add_trace(
            go.Indicator(mode="number", value=float(value), title={"text": escaped(str(label)), "font": {"size": 11}}, number={"font": {"size": 26}, "valueformat": ",.4~g"},
                         domain={"x": (left + place * step, left + (place + 1) * step), "y": domain["y"]})
        )  # fmt: skip


def _graph(figure: Figure, mine: pd.DataFrame, properties: Mapping[str, Any], domain: Domain, axis: int) -> None:
    name = "" if axis == 1 else str(axis)
    figure.update_layout({
        f"xaxis{name}": {"domain": domain["x"], "anchor": f"y{name}", "tickfont": {"size": 9}},
        f"yaxis{name}": {"domain": domain["y"], "anchor": f"x{name}", "tickfont": {"size": 9}, "rangemode": "tozero"},
    })  # fmt: skip
    if mine.empty:
        _words(figure, "no data", domain, _FAINT)
    for number, (label, rows) in enumerate(mine.groupby("label", sort=False)):
        figure.add_trace(
            go.Scatter(x=rows["time"], y=rows["value"], name=str(label), mode="lines", line={"width": 1.4, "color": PALETTE[number % len(PALETTE)]},
                       xaxis=f"x{name}", yaxis=f"y{name}", stackgroup=f"s{name}" if properties.get("stacked") else None)
        )  # fmt: skip
    _lines(figure, properties, name)


def _lines(figure: Figure, properties: Mapping[str, Any], name: str) -> None:
    """The annotations of a graph: a line for each, a shaded band for two in a list; one without a value that can be drawn is left out."""
    marks = _mapping(properties.get("annotations"))
    for key in ("horizontal", "vertical"):
        given = marks.get(key)
        for one in given if isinstance(given, list) else ():
            ends = [_place(part, key) for part in (one if isinstance(one, list) else [one])]
            if None not in ends and ends:
                _mark(figure, name, key, ends)


def _place(part: Any, key: str) -> Any:
    """Where an annotation stands: a number, or a time; None where it is neither."""
    value = _mapping(part).get("value")
    if key == "horizontal":
        return _number(value)
    time = pd.to_datetime(value, utc=True, errors="coerce") if isinstance(value, str) else pd.NaT
    return None if pd.isna(time) else time


def _mark(figure: Figure, name: str, key: str, ends: list[Any]) -> None:
    across = {"xref": f"x{name} domain", "yref": f"y{name}", "x0": 0, "x1": 1} if key == "horizontal" else {"yref": f"y{name} domain", "xref": f"x{name}", "y0": 0, "y1": 1}  # fmt: skip
    along = "y" if key == "horizontal" else "x"
    sides = {f"{along}0": min(ends), f"{along}1": max(ends)}
    if len(ends) == 1:
        figure.add_shape(type="line", **across, **sides, line={"color": REJECT, "dash": "dash", "width": 1})
    else:
        figure.add_shape(type="rect", **across, **sides, fillcolor=REJECT, opacity=0.12, line={"width": 0})


def _table(figure: Figure, frame: pd.DataFrame | None, properties: Mapping[str, Any], domain: Domain) -> None:
    if frame is None or frame.empty:
        _words(figure, escaped(str(properties.get("query", ""))[:160]), domain, _FAINT)
        return
    cells = [frame[name].astype(str) for name in frame.columns]
    figure.add_trace(go.Table(header={"values": list(frame.columns), "align": "left"}, cells={"values": cells, "align": "left"}, domain=domain))  # fmt: skip


def _alarms(figure: Figure, properties: Mapping[str, Any], states: Mapping[str, str], domain: Domain) -> None:
    given = properties.get("alarms")
    names = [str(arn).rpartition(":alarm:")[2] for arn in (given if isinstance(given, list) else ())]
    ordered = sorted(names, key=lambda one: (states.get(one) != "ALARM", one))
    shown = [f'<span style="color:{_ALARM_COLOURS.get(states.get(one, ""), ACCEPT)}">■</span> {escaped(one)}: {escaped(states.get(one, "not there yet"))}' for one in ordered[:6]]  # fmt: skip
    more = [f"and {len(ordered) - 6} more"] if len(ordered) > 6 else []
    _words(figure, "<br>".join([*shown, *more]), domain)
