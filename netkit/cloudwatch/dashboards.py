"""Dashboards: from rows of widgets to a body on the 24-column grid, what differs from one that exists, what it needs to be drawn.

Pure. Sources: CloudWatch API Reference, PutDashboard and "Dashboard Body Structure and Syntax"; check() is in
dashboard_grammar.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from netkit.cloudwatch.dashboard_grammar import (
    ALIASES,
    COLUMNS,
    DEFAULT_SIZE,
    LOG_VIEWS,
    MOST_WIDGETS,
    VIEWS,
    boxes,
    check,
    expanded,
    refuse_errors,
)
from netkit.cloudwatch.metrics import MetricQuery
from netkit.core.errors import InputError

__all__ = [
    "DashboardSpec", "Widget", "WidgetQuery", "alarms", "boxes", "chart", "check", "check_name", "compare", "expanded", "logs",
    "number", "queries", "refuse_errors", "request", "text", "translated",
]  # fmt: skip

PERIOD = 300
DIFFERENCES = ("widget", "title", "change", "path", "existing", "wanted")
# Least width and usual height of a widget that does not say its own.
_LEAST_WIDTH = {"metric": 6, "log": 12, "alarm": 6, "text": 3}
_HEIGHT = {"metric": 6, "log": 6, "alarm": 3, "text": 2}
_NUMBER_WIDTH, _NUMBER_HEIGHT = 3, 4

Metric = MetricQuery | Sequence[Any]


# ---------------------------------------------------------------------------------------------------------- a description


@dataclass(frozen=True)
class Widget:
    """One widget of a description: its type in the body, its properties, and where wanted its width and height in grid units.

    width 0 is its share of its row, height 0 the usual one. Made by chart, number, logs, alarms and text. Raises InputError
    for a width or height that no dashboard has.
    """

    type: str
    properties: Mapping[str, Any]
    width: int = 0
    height: int = 0

    def __post_init__(self) -> None:
        for name, most in (("width", COLUMNS), ("height", 1000)):
            size = getattr(self, name)
            if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= most:
                raise InputError(
                    f"a widget with the {name} {str(size)[:20]} is off the grid",
                    subject=str(self.properties.get("title", self.type))[:100],
                    hint=f"1 to {most:,}; 0 lets netkit choose",
                )

    @property
    def _single(self) -> bool:
        return self.properties.get("view") in ("singleValue", "gauge")

    @property
    def least_width(self) -> int:
        """The columns it takes when a row is full."""
        return self.width or (_NUMBER_WIDTH if self._single else _LEAST_WIDTH.get(self.type, DEFAULT_SIZE))

    @property
    def lines(self) -> int:
        """Its height in grid units."""
        return self.height or (_NUMBER_HEIGHT if self._single else _HEIGHT.get(self.type, DEFAULT_SIZE))


def chart(
    title: str,
    metrics: Iterable[Metric],
    *,
    view: str = "timeSeries",
    stat: str = "Average",
    period_s: int = PERIOD,
    least: float | None = None,
    most: float | None = None,
    stacked: bool = False,
    lines: Mapping[str, float] | None = None,
    width: int = 0,
    height: int = 0,
    region: str = "",
) -> Widget:
    """A graph of metrics: each a MetricQuery, or a row in AWS's form as ["AWS/EC2", "CPUUtilization", "InstanceId", "i-…"].

    view    timeSeries, bar, pie, table, gauge (which needs least and most), singleValue
    lines   horizontal lines by their label, as a threshold
    period_s and stat are for rows that have none. Raises InputError for a view that is none.
    """
    if view not in VIEWS:
        raise InputError(f"{view!r} is no view of metrics", subject=title, hint=f"one of {', '.join(VIEWS)}")
    made: dict[str, Any] = {"title": title, "view": view, "stat": stat, "period": period_s, "metrics": [_row(one) for one in metrics]}  # fmt: skip
    made |= {"stacked": True} if stacked else {}
    ends = {name: end for name, end in (("min", least), ("max", most)) if end is not None}
    made |= {"yAxis": {"left": ends}} if ends else {}
    if lines:
        made["annotations"] = {"horizontal": [{"label": label, "value": value} for label, value in lines.items()]}
    return Widget("metric", made | ({"region": region} if region else {}), width, height)


def number(
    title: str,
    metrics: Iterable[Metric],
    *,
    stat: str = "Average",
    period_s: int = PERIOD,
    trend: bool = True,
    width: int = 0,
    height: int = 0,
    region: str = "",
) -> Widget:
    """The newest value of metrics as figures; trend draws the line below them."""
    made = chart(title, metrics, view="singleValue", stat=stat, period_s=period_s, width=width, height=height, region=region)  # fmt: skip
    return Widget("metric", {**made.properties, **({"sparkline": True} if trend else {})}, width, height)


def logs(
    title: str,
    query: str,
    groups: Sequence[str] = (),
    *,
    view: str = "table",
    width: int = 0,
    height: int = 0,
    region: str = "",
) -> Widget:
    """The answer to a Logs Insights query of groups; without groups the query begins with its own SOURCE.

    Raises InputError for a view that is none, and where the groups are named nowhere.
    """
    if view not in LOG_VIEWS:
        raise InputError(f"{view!r} is no view of logs", subject=title, hint=f"one of {', '.join(LOG_VIEWS)}")
    named = bool(re.match(r"\s*SOURCE\s", query, re.IGNORECASE))
    if named == bool(groups):
        raise InputError(
            "the query names its groups and groups are given too" if named else "the query has no SOURCE",
            subject=title,
            hint="groups=[…], or a query that begins SOURCE 'group' | …",
        )
    if bad := [one for one in groups if "'" in one or not one]:
        raise InputError(f"{bad[0][:80]!r} is no name of a log group", subject=title)
    sources = " | ".join(f"SOURCE '{one}'" for one in groups)
    whole = query if named else f"{sources} | {query.strip().removeprefix('|').strip()}"
    made = {"title": title, "query": whole, "view": view}
    return Widget("log", made | ({"region": region} if region else {}), width, height)


def alarms(title: str, arns: Sequence[str], *, width: int = 0, height: int = 0) -> Widget:
    """The states of alarms, by their ARNs, those in ALARM first."""
    made = {"title": title, "alarms": list(arns), "sortBy": "stateUpdatedTimestamp"}
    return Widget("alarm", made, width, height)


def text(markdown: str, *, width: int = 0, height: int = 0) -> Widget:
    """A text in Markdown."""
    return Widget("text", {"markdown": markdown}, width, height)


_MAKERS: Mapping[str, Callable[..., Widget]] = {
    "metric": chart,
    "number": number,
    "log": logs,
    "alarm": alarms,
    "text": text,
}


def _widget(given: Widget | Mapping[str, Any], notices: list[str]) -> Widget:
    """A widget from a mapping {"type": …, and the parameters of its maker}, as a file of parameters has it."""
    if isinstance(given, Widget):
        return given
    named = {str(name): value for name, value in given.items()}
    kind = str(named.pop("type", ""))
    singular = {"numbers": "number", "metrics": "metric", "logs": "log", "alarms": "alarm"}.get(kind, kind)
    if singular not in _MAKERS:
        raise InputError(f"{kind[:40]!r} is no type of widget here", hint=f"one of {', '.join(_MAKERS)}")
    if singular == "number":
        notices.append(f"the widget type {kind!r} is read as metric with the view singleValue")
    elif singular != kind:
        notices.append(f"the widget type {kind!r} is read as {singular}")
    try:
        return _MAKERS[singular](**named)
    except TypeError as bad:
        raise InputError(f"a {singular} widget cannot be made of these members: {bad}", hint=f"see the parameters of its maker: {singular}") from None  # fmt: skip


def _row(one: Metric) -> list[Any]:
    if not isinstance(one, MetricQuery):
        if isinstance(one, str):
            raise InputError(f"the metric {one[:80]!r} is no row", hint='as ["AWS/EC2", "CPUUtilization", "InstanceId", "i-…"]')  # fmt: skip
        return list(one)
    options: dict[str, Any] = {"label": one.label} if one.label else {}
    options |= {"period": one.period_s} if one.period_s else {}
    if one.expression:
        return [{"expression": one.expression, **options}]
    flat = [part for pair in one.dimensions for part in pair]
    return [one.namespace, one.metric, *flat, {"stat": one.statistic, **options}]


# ----------------------------------------------------------------------------------------------------------------- a body


@dataclass(frozen=True)
class DashboardSpec:
    """A dashboard from rows of widgets. Raises InputError for a name, a widget or a body that CloudWatch refuses.

    rows      each a list of Widget, or of mappings {"type": "metric", "title": …}; a widget without a width has its share of
              the row, and what does not fit goes on below
    region    of widgets that do not name theirs
    start     as -PT3H, -P7D, or a time; "" is CloudWatch's own
    notices   what was translated
    body      the document, laid out without overlap
    """

    name: str
    rows: Sequence[Sequence[Widget | Mapping[str, Any]]]
    region: str
    start: str = ""
    end: str = ""
    period_override: str = ""
    notices: tuple[str, ...] = field(init=False, default=())
    body: Mapping[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        said: list[str] = []
        widgets = [[_widget(one, said) for one in row] for row in self.rows]
        if (count := sum(map(len, widgets))) > MOST_WIDGETS:
            raise InputError(f"a dashboard has at most {MOST_WIDGETS} widgets, these are {count:,}", subject=self.name)
        body: dict[str, Any] = {
            name: value
            for name, value in (("start", self.start), ("end", self.end), ("periodOverride", self.period_override))
            if value
        }
        body["widgets"] = list(_laid_out(widgets, self.region))
        refuse_errors(body, self.name, strict=True)
        object.__setattr__(self, "body", body)
        object.__setattr__(self, "notices", tuple(said))

    def request(self) -> dict[str, str]:
        """The members of cloudwatch:PutDashboard."""
        return request(self.name, self.body)


def check_name(name: str) -> str:
    """The name of a dashboard. Raises InputError for one that PutDashboard refuses."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", name):
        raise InputError(f"{name[:80]!r} is no name of a dashboard", hint="1 to 255 of A-Z a-z 0-9 - _")
    return name


def request(name: str, body: Mapping[str, Any] | str) -> dict[str, str]:
    """The members of cloudwatch:PutDashboard for a body, which goes as JSON text. Raises InputError for a name or body that it is
    known to refuse; what only its page forbids is among the warnings of check()."""
    refuse_errors(body, check_name(name))
    document = json.loads(body) if isinstance(body, str) else body
    return {"DashboardName": name, "DashboardBody": json.dumps(document, ensure_ascii=False, separators=(",", ":"))}


def _laid_out(rows: Sequence[Sequence[Widget]], region: str) -> Iterator[dict[str, Any]]:
    """The widgets with their places: lines of at most 24 columns, each as high as its highest widget."""
    y = 0
    for row in rows:
        for line in _lines(row):
            x = 0
            for one, width in zip(line, _widths(line), strict=True):
                yield {"type": one.type, "x": x, "y": y, "width": width, "height": one.lines, "properties": _in_region(one, region)}  # fmt: skip
                x += width
            y += max(one.lines for one in line)


def _lines(row: Sequence[Widget]) -> Iterator[list[Widget]]:
    line: list[Widget] = []
    for one in row:
        if line and sum(other.least_width for other in line) + one.least_width > COLUMNS:
            yield line
            line = []
        line.append(one)
    if line:
        yield line


def _widths(line: Sequence[Widget]) -> list[int]:
    """Columns of each: what was asked for, and of what is left over its least and an equal share."""
    widths = [one.least_width for one in line]
    growing = [place for place, one in enumerate(line) if not one.width]
    while growing and sum(widths) < COLUMNS:
        widths[min(growing, key=lambda place: widths[place])] += 1
    return widths


def _in_region(one: Widget, region: str) -> dict[str, Any]:
    named = one.type in ("metric", "log") and "region" not in one.properties
    return {**one.properties, **({"region": region} if named else {})}


def translated(body: Mapping[str, Any] | str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A body in other people's words as CloudWatch takes it, and a notice for each word that was changed.

    The type "number" of some guides is a metric widget with the view singleValue; plurals are read as singular. The rest is
    left as it is, for check() to judge. Raises InputError for text that is no JSON object.
    """
    refuse = InputError("the body of a dashboard is a JSON object", hint="it begins with { and has widgets")
    try:
        document = json.loads(body) if isinstance(body, str) else dict(body)
    except json.JSONDecodeError:
        raise refuse from None
    if not isinstance(document, dict):
        raise refuse
    notices: list[str] = []
    widgets = document.get("widgets")
    made = []
    for place, one in enumerate(widgets if isinstance(widgets, list) else ()):
        kind = one.get("type") if isinstance(one, Mapping) else None
        if not isinstance(kind, str) or kind not in ALIASES:
            made.append(one)
            continue
        single = kind.startswith("number")
        properties = one.get("properties")
        properties = {"view": "singleValue"} | properties if single and isinstance(properties, dict) else properties
        notices.append(f"/widgets/{place}/type: {kind!r} is read as {ALIASES[kind]}{' with the view singleValue' if single else ''}")  # fmt: skip
        made.append({**one, "type": ALIASES[kind], "properties": properties})
    return document | ({"widgets": made} if isinstance(widgets, list) else {}), tuple(notices)


# -------------------------------------------------------------------------------------------------------- what it needs


@dataclass(frozen=True)
class WidgetQuery:
    """One metric or expression that a widget needs.

    widget  its number in the body             key   its id in a GetMetricData request for this widget alone
    shown   False for one that only an expression uses         right  on the right axis        colour  "" is the next one
    region  where to ask; account is "" for one's own
    """

    widget: int
    key: str
    query: MetricQuery
    shown: bool = True
    right: bool = False
    colour: str = ""
    region: str = ""
    account: str = ""


def queries(body: Mapping[str, Any] | str, widget: int | None = None) -> list[WidgetQuery]:
    """What GetMetricData has to be asked so that the metric widgets of a body (or one of them) can be drawn.

    Ids are unique within a widget only, as expressions name them: ask for each widget by itself. Labels are unique within a
    widget: a row without its own is called by what tells it from the others. Raises InputError where the body has errors.
    """
    refuse_errors(body)
    document = json.loads(body) if isinstance(body, str) else body
    found: list[WidgetQuery] = []
    for number_, one in enumerate(document["widgets"]):
        if one["type"] == "metric" and widget in (None, number_):
            found += _widget_queries(number_, one["properties"])
    return found


def _widget_queries(number_: int, properties: Mapping[str, Any]) -> Iterator[WidgetQuery]:
    rows = [_fields(row) for row in expanded(properties.get("metrics", ()))]
    asked = {str(options["id"]) for _, options in rows if "id" in options}
    names = _labels(rows, properties)
    for place, ((fields, options), label) in enumerate(zip(rows, names, strict=True)):
        key = str(options.get("id", "")) or _free_key(place, asked)
        period = options.get("period", properties.get("period", PERIOD))
        pairs = list(zip(fields[2::2], fields[3::2], strict=True))
        period_s = period if isinstance(period, int) else PERIOD
        if fields:
            query = MetricQuery(fields[0], fields[1], pairs, _stat_of(options, properties), period_s, label)
        else:
            query = MetricQuery(expression=str(options["expression"]), period_s=period_s, label=label)
        yield WidgetQuery(
            number_, key, query, options.get("visible", True) is not False, options.get("yAxis") == "right", str(options.get("color", "")),
            str(options.get("region", properties.get("region", ""))), str(options.get("accountId", properties.get("accountId", ""))),
        )  # fmt: skip


def _fields(row: Sequence[Any]) -> tuple[list[str], Mapping[str, Any]]:
    if row and isinstance(row[-1], Mapping):
        return list(row[:-1]), row[-1]
    return list(row), {}


def _stat_of(options: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    """The statistic of a row; one that another tool fills in is drawn as Average."""
    stat = str(options.get("stat", properties.get("stat", "Average")))
    return "Average" if "${" in stat else stat


def _free_key(place: int, asked: set[str]) -> str:
    key = f"row{place}"
    while key in asked:
        key += "x"
    return key


def _labels(rows: Sequence[tuple[list[str], Mapping[str, Any]]], properties: Mapping[str, Any]) -> list[str]:
    """A label for each row that no other has: its own, or of metric, dimensions and statistic what differs in the widget."""
    stats = [_stat_of(options, properties) for _, options in rows]
    parts = [[*fields[1:2], *fields[3::2], stat] for (fields, _), stat in zip(rows, stats, strict=True) if fields]
    wide = max(map(len, parts), default=0)
    same = [all(len(one) > place and one[place] == parts[0][place] for one in parts) for place in range(wide)]
    labels: list[str] = []
    for (fields, options), stat in zip(rows, stats, strict=True):
        mine = [*fields[1:2], *fields[3::2], stat]
        differs = " ".join(one for one, all_have in zip(mine, same, strict=False) if not all_have)
        label = str(options.get("label", "")) or (
            differs or fields[1] if fields else str(options.get("expression", ""))
        )
        again = sum(one == label or one.startswith(f"{label} (") for one in labels)
        labels.append(f"{label} ({again + 1})" if again else label)
    return labels


# --------------------------------------------------------------------------------------------------------- what differs


def compare(existing: Mapping[str, Any] | str, wanted: Mapping[str, Any] | str) -> pd.DataFrame:
    """What PutDashboard would change of an existing body, a row a difference: DIFFERENCES. Empty: they show the same.

    widget    its number in the wanted body, in the existing one where it is removed; -1 is the dashboard itself
    change    added, removed or changed
    path      in that widget, as properties/metrics/1; "" is all of it
    existing, wanted   the values, None for none

    Widgets are the same by type and title, else by type and place. How a metric is written ("." and "..."), the order of members, and a
    size or a statistic that is CloudWatch's own do not count. Raises InputError for text that is no JSON object.
    """
    before, after = translated(existing)[0], translated(wanted)[0]
    rows = [(-1, "", *one) for one in _differences(_without_widgets(before), _without_widgets(after))]
    old = [_plain(one) for one in before.get("widgets", ())]
    new = [_plain(one) for one in after.get("widgets", ())]
    pairs = _pairs(old, new)
    for number_, one in enumerate(new):
        if number_ not in pairs:
            rows.append((number_, _title(one), "added", "", None, one))
        else:
            rows += [(number_, _title(one), *change) for change in _differences(old[pairs[number_]], one)]
    gone = sorted(set(range(len(old))) - set(pairs.values()))
    rows += [(number_, _title(old[number_]), "removed", "", old[number_], None) for number_ in gone]
    return pd.DataFrame(rows, columns=list(DIFFERENCES)).astype({"widget": "int64"})


def _without_widgets(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "widgets"}


def _plain(widget: Any) -> dict[str, Any]:
    """A widget with its defaults said and its metrics written out, where it is one."""
    if not isinstance(widget, Mapping):
        return {"type": str(widget)}
    made = {"width": DEFAULT_SIZE, "height": DEFAULT_SIZE} | dict(widget)
    properties = made.get("properties")
    if made.get("type") == "metric" and isinstance(properties, Mapping):
        properties = {"view": "timeSeries", "stat": "Average", "period": PERIOD, "stacked": False} | dict(properties)
        rows = properties.get("metrics")
        if isinstance(rows, list) and not any(one.level == "error" for one in check({"widgets": [dict(widget)]})):
            properties["metrics"] = expanded(rows)
        made["properties"] = properties
    return made


def _title(widget: Mapping[str, Any]) -> str:
    properties = widget.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    first = str(properties.get("markdown", "")).strip().partition("\n")[0]
    return str(properties.get("title", "")) or first[:60]


def _pairs(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Which existing widget each wanted one replaces."""
    pairs: dict[int, int] = {}
    free = dict(enumerate(old))
    for same in (lambda one: one, _named, lambda one: (one.get("type"), one.get("x"), one.get("y"))):
        for number_, one in enumerate(new):
            if number_ in pairs or (same is _named and not _title(one)):
                continue
            found = next((place for place, other in free.items() if same(other) == same(one)), None)
            if found is not None:
                pairs[number_] = found
                del free[found]
    return pairs


def _named(widget: Mapping[str, Any]) -> tuple[Any, str]:
    return widget.get("type"), _title(widget)


def _differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str, Any, Any]]:
    """(change, path, existing, wanted) of each member that differs, down to lists of lists."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys([*old, *new]):
            below = f"{path}/{name}" if path else str(name)
            if name not in new:
                yield "removed", below, old[name], None
            elif name not in old:
                yield "added", below, None, new[name]
            else:
                yield from _differences(old[name], new[name], below)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and path.endswith("/metrics"):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, f"{path}/{place}")
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield "changed", path, old, new
