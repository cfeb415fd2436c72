"""The grammar of a dashboard's body: what PutDashboard refuses and what it only warns of, said before the call. Pure.

Sources: CloudWatch API Reference, "Dashboard Body Structure and Syntax"; the quotas of CloudWatch (metrics of a dashboard);
where users have published what PutDashboard answered, its words are used (aws-cdk issues 5026 and 31066,
aws-eda-slurm-cluster issue 116, amazon-cloudwatch-user-guide issue 10). A value that is nothing but a placeholder, as
"${var.region}", passes every rule: what stands in it is not known here.

An error is what PutDashboard is known to have refused. What only the page says is a warning: dashboards that break it have stood for
years. A body that is made here has to keep to the page as well (strict).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from netkit.cloudwatch.agent_grammar import Problem
from netkit.cloudwatch.known_dimensions import doubt
from netkit.cloudwatch.metrics import _STATISTIC
from netkit.core.errors import InputError

COLUMNS = 24
MOST_WIDGETS, MOST_METRICS, MOST_DASHBOARD_METRICS, MOST_VARIABLES = 500, 500, 2500, 25
DEFAULT_SIZE = 6
VIEWS = ("timeSeries", "singleValue", "gauge", "bar", "pie", "table")
LOG_VIEWS = ("table", "timeSeries", "bar", "pie")
TYPES = ("metric", "text", "log", "alarm", "explorer", "custom", "chart")
# What people write for a type; the guide this kit grew from speaks of "numbers".
ALIASES = {"number": "metric", "numbers": "metric", "metrics": "metric", "logs": "log", "alarms": "alarm"}

_PLACEHOLDER = re.compile(r"\$\{[^{}]+\}")
_COLOUR = r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"
_ALARM = r"arn:aws[a-z-]*:cloudwatch:[a-z0-9-]+:\d{12}:alarm:.{1,255}"
_ISO = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})"
_RELATIVE = r"-P(\d+[DWM]|T\d+[HM])"
_SOURCE = re.compile(r"\s*SOURCE\s", re.IGNORECASE)
# A group of an access log by its name: what it holds are requests, not errors with that word.
_ACCESS_LOG = re.compile(r"SOURCE\s+['\"]?[^'\"|]*access", re.IGNORECASE)
_SEEKS_ERROR = re.compile(r"like\s*(/\(?\??i?\)?ERROR/|['\"]ERROR['\"])")

Rule = Callable[[str, Any], Iterator[Problem]]


class _Documented(Problem):
    """What the page does not allow, and no refusal is recorded of: a warning, and an error in what is made here."""


def check(body: object, *, strict: bool = False) -> list[Problem]:
    """Every message of a dashboard's body, in the order of its members; an "error" is what AWS is known to refuse.

    body: the document, or its JSON text. path has the form of AWS's DataPath, as /widgets/0/properties/metrics/1; "" is the
    whole. A warning is what AWS takes and a reader suffers from, or what only AWS's page forbids; with strict the latter are errors.
    Beyond the page's rules it doubts what cannot be drawn whole: a widget that reaches past the 24th column.
    """
    found = _problems(body)
    return [
        Problem("error", one.path, one.message) if strict and isinstance(one, _Documented) else one for one in found
    ]


def _problems(body: object) -> list[Problem]:
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except json.JSONDecodeError as bad:
            return [_error("", f"The field DashboardBody must be a valid JSON object: {bad}")]
    if not isinstance(body, Mapping):
        return [_error("", "The field DashboardBody must be a valid JSON object")]
    found = list(_BODY("", body))
    if isinstance(body.get("widgets"), list):
        found += [*_too_many_metrics(body["widgets"]), *_overlaps(body["widgets"])]
    if "end" in body and "start" not in body:
        found.append(Problem("warning", "/end", "has no start beside it and is ignored"))
    return found


def refuse_errors(body: object, subject: str = "", *, strict: bool = False) -> None:
    """Raise InputError with the first error of a body (check), if there is one, and with how many more there are."""
    errors = [one for one in check(body, strict=strict) if one.level == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        where = f"{subject}: {errors[0].path or 'the body'}" if subject else errors[0].path
        raise InputError(f"CloudWatch refuses this dashboard: {errors[0].message}{more}", subject=where)


# --------------------------------------------------------------------------------------------------------------- the words


def _error(path: str, message: str) -> Problem:
    return Problem("error", path, message)


def _documented(path: str, message: str) -> Problem:
    return _Documented("warning", path, message)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _open(value: object) -> bool:
    """Whether a value is nothing but a placeholder that another tool fills."""
    return isinstance(value, str) and _PLACEHOLDER.fullmatch(value) is not None


def _anything(path: str, value: object) -> Iterator[Problem]:
    yield from ()


def _flag(path: str, value: object) -> Iterator[Problem]:
    if not isinstance(value, bool) and not _open(value):
        yield _documented(path, f"{_shown(value)} is not true or false")


def _text(pattern: str = "", what: str = "", *, least: int = 0, most: int = 0) -> Rule:
    """A text, where wanted of a pattern that placeholders inside it may fill."""

    def rule(path: str, value: object) -> Iterator[Problem]:
        if not isinstance(value, str):
            yield _documented(path, f"{_shown(value)} is not a text")
        elif len(value) < least:
            yield _documented(path, "is empty")
        elif most and len(value) > most:
            yield _documented(path, f"is longer than {most:,} characters")
        elif pattern and not _PLACEHOLDER.search(value) and not re.fullmatch(pattern, value):
            yield _documented(path, f"{_shown(value)} is not {what}")

    return rule


def _among(*values: str) -> Rule:
    def rule(path: str, value: object) -> Iterator[Problem]:
        if value not in values and not _open(value):
            yield _documented(path, f"{_shown(value)} is none of {', '.join(values)}")

    return rule


def _whole(least: int, most: int | None = None) -> Rule:
    def rule(path: str, value: object) -> Iterator[Problem]:
        if _open(value):
            return
        if isinstance(value, bool) or not isinstance(value, int):
            yield _documented(path, f"{_shown(value)} is not a whole number")
        elif value < least or (most is not None and value > most):
            yield _documented(path, f"{value} is not {f'between {least} and {most}' if most is not None else f'{least} or more'}")  # fmt: skip

    return rule


def _number(path: str, value: object) -> Iterator[Problem]:
    if (isinstance(value, bool) or not isinstance(value, int | float)) and not _open(value):
        yield _documented(path, f"{_shown(value)} is not a number")


def _period(path: str, value: object) -> Iterator[Problem]:
    if _open(value):
        return
    if isinstance(value, bool) or not isinstance(value, int):
        yield _documented(path, f"{_shown(value)} is not a whole number of seconds")
    elif value < 60 or value % 60:
        near = max(60, round(value / 60) * 60)
        yield _documented(path, f"a period of {value} s is not a multiple of 60 (the nearest is {near})")


def _stat(path: str, value: object) -> Iterator[Problem]:
    if not _open(value) and not (isinstance(value, str) and _STATISTIC.fullmatch(value)):
        yield _documented(path, f"{_shown(value)} is no statistic, as Average, Sum, Maximum or p90")


def _many(of: Rule, least: int = 0, most: int = 0, *, say: Callable[[str, str], Problem] = _error) -> Rule:
    def rule(path: str, value: object) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield _error(path, f"{_shown(value)} is not a list")
            return
        if len(value) < least:
            yield say(path, f"Should NOT have less than {least} items")
        if most and len(value) > most:
            yield say(path, f"Should NOT have more than {most} items ({len(value):,})")
            return
        for place, one in enumerate(value):
            yield from of(f"{path}/{place}", one)

    return rule


def _members(
    known: Mapping[str, Rule], required: Collection[str] = (), ignored: str = "", *, extra: Rule = _anything,
    say: Callable[[str, str], Problem] = _error,
) -> Rule:  # fmt: skip
    """An object; ignored is what a warning says of a name that is not known, "" says nothing; say is for what is missing."""

    def rule(path: str, value: object) -> Iterator[Problem]:
        if not isinstance(value, Mapping):
            yield _error(path, f"{_shown(value)} is not an object")
            return
        yield from (say(path, f"Should have required property '{name}'") for name in required if name not in value)
        for name, one in value.items():
            if name in known:
                yield from known[name](f"{path}/{name}", one)
            elif ignored:
                yield Problem("warning", path, f'The "{name}" property is not expected {ignored}will be ignored')
        yield from extra(path, value)

    return rule


# ------------------------------------------------------------------------------------------------------- a row of metrics


def expanded(metrics: Sequence[Any]) -> list[list[Any]]:
    """The rows of a metrics array with "." and "..." replaced by what they repeat.

    "." is the same field of the metric before; "..." stands for as many of its fields as leave room for the rest of the row,
    so that ["...", "i-2"] differs in the last. An expression is skipped. Raises InputError where there is nothing to repeat.
    """
    rows: list[list[Any]] = []
    before: list[Any] = []
    for place, row in enumerate(metrics):
        fields, options = _split(row)
        if fields:
            full = _repeated(fields, before)
            if isinstance(full, str):
                raise InputError(full, subject=f"metrics/{place}")
            before = full
            fields = full
        rows.append([*fields, *([dict(options)] if options is not None else [])])
    return rows


def _split(row: Sequence[Any]) -> tuple[list[Any], Mapping[str, Any] | None]:
    if row and isinstance(row[-1], Mapping):
        return list(row[:-1]), row[-1]
    return list(row), None


def _repeated(fields: Sequence[str], before: Sequence[str]) -> list[str] | str:
    """The fields in full, or what is wrong with them."""
    if "..." in fields:
        at = fields.index("...")
        rest = len(fields) - at - 1
        if len(before) < at + rest or not before:
            return 'Repeat marker "..." used but not enough fields in previous metric'
        fields = [*fields[:at], *before[at : len(before) - rest], *fields[at + 1 :]]
    full = []
    for place, one in enumerate(fields):
        if one == "." and place >= len(before):
            return 'Repeat marker "." used but not enough fields in previous metric'
        full.append(before[place] if one == "." else one)
    return full


def _metrics(path: str, value: object) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield _error(path, f"{_shown(value)} is not a list")
        return
    if len(value) > MOST_METRICS:
        yield _error(path, f"Should NOT have more than {MOST_METRICS} items ({len(value):,})")
        return
    before: list[str] = []
    for place, row in enumerate(value):
        where = f"{path}/{place}"
        if not isinstance(row, list) or not row:
            yield _error(where, f"{_shown(row)} is not a list of namespace, metric, dimensions and options")
            continue
        fields, options = _split(row)
        yield from _options(where, row, options)
        if fields:
            before = yield from _fields(where, row, fields, before)
        elif options is not None and "expression" not in options:
            yield _error(f"{where}/0", "Should have required property 'expression'")
    yield from _ids(path, value)
    yield from _mixed_units(path, value)
    yield from _misnamed(path, value)


def _misnamed(path: str, value: list[Any]) -> Iterator[Problem]:
    """A warning for each row whose dimensions are nearly those of the metric."""
    before: list[str] = []
    for place, row in enumerate(value):
        fields = _split(row)[0] if isinstance(row, list) else []
        full = _repeated(fields, before) if fields and all(isinstance(one, str) for one in fields) else ""
        if isinstance(full, str) or len(full) < 2:
            continue
        before = full
        if why := doubt(full[0], full[1], full[2::2]):
            yield Problem("warning", f"{path}/{place}", f"shows nothing: {why}")


def _fields(where: str, row: list[Any], fields: list[Any], before: list[str]) -> Any:
    """Problems of namespace, metric and dimensions; returns what the next row may repeat."""
    odd = [place for place, one in enumerate(fields) if not isinstance(one, str)]
    if odd:
        yield _error(f"{where}/{odd[0]}", 'Invalid metric field type, only "String" type is allowed')
        return before
    full = _repeated(fields, before)
    if isinstance(full, str):
        dots = [place for place, one in enumerate(fields) if one == "..." or (one == "." and place >= len(before))]
        yield _error(f"{where}/{dots[0]}", full)
        return before
    if len(full) < 2:
        yield _error(where, "Should NOT have less than 2 items (namespace and metric)")
    elif len(full) % 2:
        yield _error(where, f"Should NOT have more than {len(row) - 1} items (a dimension has a name and a value)")
    else:
        empty = [place for place, one in enumerate(full) if not one]
        yield from (_documented(f"{where}/{place}", "is empty") for place in empty[:1])
    return full


_ROW = {
    "accountId": _text(), "color": _text(_COLOUR, "a colour as #1f77b4"), "expression": _text(least=1),
    "id": _text(r"[a-z][A-Za-z0-9_]*", "an id, which begins with a small letter"), "label": _text(),
    "period": _period, "region": _text(least=1), "stat": _stat, "visible": _flag, "yAxis": _among("left", "right"),
}  # fmt: skip


def _options(where: str, row: list[Any], options: Mapping[str, Any] | None) -> Iterator[Problem]:
    """AWS says of a row whose options it does not take that it has an item too many; the reason is added."""
    if options is None:
        return
    place = len(row) - 1
    for name, one in options.items():
        found = list(_ROW.get(name, _anything)(f"{where}/{place}/{name}", one))
        if found and name != "color":
            yield from found
        elif found:
            say = _documented if str(one).startswith("#") else _error  # the recorded refusals are of words
            yield say(where, f"Should NOT have more than {place} items ({name}: {found[0].message})")
        elif name in ("dimension", "dimensions"):
            yield _error(where, f"Should NOT have more than {place} items (dimensions stand in the row: name, value)")
        elif name not in _ROW:
            yield Problem("warning", f"{where}/{place}", f'The "{name}" property is not expected in the options of a metric')  # fmt: skip


def _ids(path: str, value: list[Any]) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, row in enumerate(value):
        one = row[-1].get("id") if isinstance(row, list) and row and isinstance(row[-1], Mapping) else None
        if isinstance(one, str) and one in seen:
            yield Problem("warning", f"{path}/{place}", f"the id {one!r} is given twice: an expression over it has no one meaning")  # fmt: skip
        seen |= {one} if isinstance(one, str) else set()


def _unit(namespace: str, metric: str) -> str:
    """The unit of a metric of AWS/EC2 that the user guide names, or "" where the name does not say it."""
    if namespace != "AWS/EC2":
        return ""
    if metric.endswith("Utilization"):
        return "percent"
    return "bytes" if re.fullmatch(r"(Network|Disk|EBS)(Mirror)?(In|Out|ReadBytes|WriteBytes)", metric) else ""


def _mixed_units(path: str, value: list[Any]) -> Iterator[Problem]:
    before: list[str] = []
    units: dict[str, str] = {}
    for row in value:
        fields, options = _split(row) if isinstance(row, list) else ([], None)
        full = _repeated(fields, before) if fields and all(isinstance(one, str) for one in fields) else ""
        if isinstance(full, str) or len(full) < 2:
            continue
        before = full
        if (options or {}).get("yAxis") != "right" and (options or {}).get("visible") is not False:
            units.setdefault(_unit(*full[:2]), full[1])
    if {"percent", "bytes"} <= units.keys():
        yield Problem("warning", path, f"{units['percent']} in percent and {units['bytes']} in bytes share the left axis, where percent is a line at the bottom; give one yAxis right")  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- properties

_LEGEND = _members({"position": _among("right", "bottom", "hidden")})
_AXIS = _members({"label": _text(), "min": _number, "max": _number, "showUnits": _flag})
_SHADED = ("above", "below", "none", "before", "after")


def _annotation(value_rule: Rule) -> Rule:
    """One annotation, or a band of two."""
    one = _members(
        {"value": value_rule, "label": _text(), "color": _text(_COLOUR, "a colour as #1f77b4"), "fill": _among(*_SHADED), "visible": _flag, "yAxis": _among("left", "right")},
        ("value",), say=_documented,
    )  # fmt: skip

    def rule(path: str, value: object) -> Iterator[Problem]:
        yield from _many(one, 2, 2, say=_documented)(path, value) if isinstance(value, list) else one(path, value)

    return rule


_ANNOTATIONS = _members(
    {
        "alarms": _many(_text(_ALARM, "the ARN of an alarm"), 0, 1, say=_documented),
        "horizontal": _many(_annotation(_number)),
        "vertical": _many(_annotation(_text(_ISO, "a time as 2026-11-19T12:00:00Z"))),
    }
)
_TABLE = _members(
    {"layout": _among("vertical", "horizontal"), "stickySummary": _flag, "showTimeSeriesData": _flag, "summaryColumns": _many(_among("MIN", "MAX", "SUM", "AVG"))}
)  # fmt: skip


def _whole_metric(path: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    """What holds between the properties of a metric widget."""
    marks = value.get("annotations")
    marks = marks if isinstance(marks, Mapping) else {}
    if "metrics" not in value and not marks.get("alarms") and "insightRule" not in value:
        yield _error(path, "Should have required property 'metrics'")
        yield _error(path, "The metric widget should have specified a region and a data source or an alarm annotation")
        if "annotations" not in value:
            yield _error(path, "Should have required property 'annotations'")
    elif "region" not in value:
        yield _error(path, "The metric widget should have specified a region and a data source or an alarm annotation")
    if marks.get("alarms") and value.get("metrics"):
        yield _documented(f"{path}/annotations/alarms", "a widget has metrics or the graph of an alarm, not both")
    if marks.get("alarms") and (marks.get("horizontal") or marks.get("vertical")):
        yield _documented(f"{path}/annotations/alarms", "a widget has an alarm or lines of its own, not both")
    yield from _gauge(path, value)
    yield from _view_ignores(path, value)


def _gauge(path: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if value.get("view") != "gauge":
        return
    axes = value.get("yAxis")
    left = axes.get("left") if isinstance(axes, Mapping) else None
    left = left if isinstance(left, Mapping) else {}
    for name in ("min", "max"):
        if name not in left:
            yield _documented(f"{path}/yAxis/left", f"Should have required property '{name}': a gauge needs both ends of its scale")  # fmt: skip
    least, most = left.get("min"), left.get("max")
    if isinstance(least, int | float) and isinstance(most, int | float) and least >= most:
        yield _documented(f"{path}/yAxis/left", f"min {least} is not below max {most}")


def _view_ignores(path: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if value.get("view") == "singleValue" and value.get("stacked") is True:
        yield Problem("warning", f"{path}/stacked", "is ignored for a number")
    if value.get("sparkline") is True and value.get("view", "timeSeries") != "singleValue":
        yield Problem("warning", f"{path}/sparkline", "is ignored but for a number")


def _whole_log(path: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    """A query names its log groups itself: SOURCE 'group' | …"""
    yield from (
        _documented(path, f"Should have required property '{name}'")
        for name in ("region", "query")
        if name not in value
    )
    query = value.get("query")
    if not isinstance(query, str) or _open(query):
        return
    if value.get("queryLanguage", "CWLI") == "CWLI" and not _SOURCE.match(query):
        yield _documented(f"{path}/query", "has no SOURCE: it begins with SOURCE 'log group' | …")
    if _ACCESS_LOG.match(query) and _SEEKS_ERROR.search(query):
        yield Problem("warning", f"{path}/query", "seeks the word ERROR in an access log, whose lines have requests and status codes; filter the status, as / 5[0-9][0-9] /")  # fmt: skip


_IGNORED = "here, "
_METRIC = _members(
    {
        **dict.fromkeys(("liveData", "setPeriodToTimeRange", "singleValueFullPrecision", "sparkline", "stacked", "trend"), _flag),
        "accountId": _text(), "annotations": _ANNOTATIONS, "end": _text(), "insightRule": _anything, "labels": _anything, "legend": _LEGEND, "metrics": _metrics,
        "period": _period, "region": _text(least=1), "start": _text(), "stat": _stat, "table": _TABLE, "title": _text(),
        "timezone": _text(r"[+-]\d{4}", "a time zone as +0130"), "view": _among(*VIEWS), "yAxis": _members({"left": _AXIS, "right": _AXIS}),
    },
    ("region",), _IGNORED, extra=_whole_metric,
)  # fmt: skip
_LOG = _members(
    {
        "accountId": _text(), "query": _text(least=1, most=10_000), "queryLanguage": _among("CWLI", "SQL", "PPL"), "region": _text(least=1),
        "stacked": _flag, "title": _text(), "view": _among(*LOG_VIEWS),
    },
    (), _IGNORED, extra=_whole_log,
)  # fmt: skip
_STATES = ("ALARM", "INSUFFICIENT_DATA", "OK")
_ALARMS = _members(
    {
        "alarms": _many(_text(_ALARM, "the ARN of an alarm"), 1, 100), "sortBy": _among("default", "stateUpdatedTimestamp", "timestamp"),
        "states": _many(_among(*_STATES)), "title": _text(),
    },
    ("alarms",), _IGNORED,
)  # fmt: skip
_TEXT = _members({"markdown": _text(), "background": _among("solid", "transparent")}, ("markdown",), _IGNORED)
_EXPLORED = _members({"metricName": _text(least=1), "resourceType": _text(least=1), "stat": _stat}, ("metricName", "resourceType"), say=_documented)  # fmt: skip
_EXPLORER = _members({"metrics": _many(_EXPLORED, 1, 100, say=_documented), "labels": _many(_anything), "period": _period, "title": _text()}, ("metrics", "labels"), say=_documented)  # fmt: skip
_PROPERTIES: Mapping[str, Rule] = {"metric": _METRIC, "log": _LOG, "alarm": _ALARMS, "text": _TEXT, "explorer": _EXPLORER}  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------- widgets


def _whole_widget(path: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    kind = value.get("type")
    if isinstance(kind, str) and kind in _PROPERTIES and "properties" in value:
        yield from _PROPERTIES[kind](f"{path}/properties", value["properties"])
    for one, other in (("x", "y"), ("y", "x")):
        if one in value and other not in value:
            yield _documented(path, f"Should have required property '{other}': x and y go together")
    x, width = value.get("x", 0), value.get("width", DEFAULT_SIZE)
    if _is_count(x) and _is_count(width) and x < COLUMNS and 1 <= width <= COLUMNS < x + width:
        yield _documented(path, f"is off the grid: column {x} and a width of {width} reach past its {COLUMNS} columns")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _type(path: str, value: object) -> Iterator[Problem]:
    if value in TYPES or _open(value):
        return
    meant = ALIASES.get(value, "") if isinstance(value, str) else ""
    hint = f"; write {meant}{' with the view singleValue' if str(value).startswith('number') else ''}" if meant else ""
    yield (_error if meant else _documented)(path, f"{_shown(value)} is none of {', '.join(TYPES)}{hint}")


_WIDGET = _members(
    {
        "type": _type, "x": _whole(0, COLUMNS - 1), "y": _whole(0), "width": _whole(1, COLUMNS), "height": _whole(1, 1000),
        "properties": _anything,
    },
    ("type", "properties"), "to be part of a widget definition, ", extra=_whole_widget,
)  # fmt: skip


def _whole_variable(path: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if value.get("inputType") in ("select", "radio") and "values" not in value and not {"search", "populateFrom"} <= value.keys():  # fmt: skip
        yield _documented(path, "Should have required property 'values': or search and populateFrom")
    if value.get("type") in ("property", "pattern") and value["type"] not in value:
        yield _documented(path, f"Should have required property '{value['type']}'")


_VALUE = _members({"value": _anything, "label": _text(most=255)}, ("value",), say=_documented)
_VARIABLE = _members(
    {
        "type": _among("property", "pattern"), "inputType": _among("input", "select", "radio"), "visible": _flag,
        "id": _text(r"[0-9A-Za-z_-]{1,32}", "an id of 1 to 32 of 0-9 A-Z a-z - _"), "label": _text(most=30),
        "values": _many(_VALUE, 1, 500), "search": _text(most=2048), "populateFrom": _text(),
    },
    ("type", "inputType", "id"), extra=_whole_variable, say=_documented,
)  # fmt: skip
_TIME = _text(f"{_ISO}|{_RELATIVE}", "a time as 2026-11-19T12:00:00Z, or back from now as -PT3H or -P7D")
_BODY = _members(
    {
        "widgets": _many(_WIDGET, 0, MOST_WIDGETS), "variables": _many(_VARIABLE, 0, MOST_VARIABLES),
        "periodOverride": _among("auto", "inherit"), "start": _TIME, "end": _TIME,
    },
    ("widgets",), _IGNORED,
)  # fmt: skip


def _too_many_metrics(widgets: list[Any]) -> Iterator[Problem]:
    count = sum(len(rows) for rows in map(_rows, widgets))
    if count > MOST_DASHBOARD_METRICS:
        yield _documented(
            "/widgets", f"a dashboard has at most {MOST_DASHBOARD_METRICS:,} metrics, these are {count:,}"
        )


def _rows(widget: object) -> list[Any]:
    properties = widget.get("properties") if isinstance(widget, Mapping) else None
    rows = properties.get("metrics") if isinstance(properties, Mapping) else None
    return rows if isinstance(rows, list) else []


def boxes(widgets: Sequence[Any]) -> dict[int, tuple[int, int, int, int]]:
    """x, y, width and height of the widgets that say where they are, by their number in the body."""
    placed = {}
    for number, one in enumerate(widgets):
        if isinstance(one, Mapping):
            box = (one.get("x"), one.get("y"), one.get("width", DEFAULT_SIZE), one.get("height", DEFAULT_SIZE))
            if all(_is_count(side) for side in box):
                placed[number] = box
    return placed  # type: ignore[return-value]  # the sides are counts by now


def _overlaps(widgets: list[Any]) -> Iterator[Problem]:
    """A warning for each widget that lies on an earlier one: AWS's own page has such a body, so it is taken."""
    taken: dict[tuple[int, int], int] = {}
    if len(widgets) > MOST_WIDGETS:
        return
    for number, (x, y, width, height) in boxes(widgets).items():
        cells = [(column, line) for column in range(x, min(x + width, COLUMNS)) for line in range(y, y + min(height, 1000))]  # fmt: skip
        under = next((taken[cell] for cell in cells if cell in taken), None)
        if under is not None:
            yield Problem("warning", f"/widgets/{number}", f"lies on widget {under}")
        taken.update(dict.fromkeys(cells, number))
