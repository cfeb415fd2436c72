"""CloudWatch Logs Insights for the sandbox: fields, parse, filter, stats … by bin(), sort, limit, display, on DuckDB.

Follows the CloudWatch Logs User Guide, "Logs Insights QL": 1,000 rows unless a limit says more, never above 10,000; text
compares as a number where both sides are numbers. A command that is not here fails the query, as a malformed one does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pandas as pd
from moto.logs.exceptions import LogsClientError
from moto.logs.models import LogsBackend
from moto.moto_api._internal import mock_random

from netkit.cloudwatch.filter_patterns import commands_of

_MOST_ROWS, _DEFAULT_ROWS = 10_000, 1_000
_TOKEN = re.compile(
    r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|/(?:[^/\\]|\\.)+/|`[^`]+`|[A-Za-z@_][\w.@]*|-?\d+(?:\.\d+)?[a-z]*|!=|<=|>=|=~|[=<>(),\[\]*+\-])"""
)
_SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Malformed(LogsClientError):
    """A query that Insights refuses."""

    def __init__(self, message: str) -> None:
        super().__init__("MalformedQueryException", message)


@dataclass
class Pipe:
    """A query on its way into SQL: the relation so far, values bound in it, the columns it has and those to show."""

    sql: str
    values: list[Any] = field(default_factory=list)
    columns: list[str] = field(default_factory=lambda: ["@timestamp", "@message", "@logStream", "@ptr"])
    shown: list[str] | None = None
    limit: int = 0
    grouped: bool = False
    order: str = ""


def start_query(
    self: LogsBackend, log_group_names: list[str], start_time: int, end_time: int, query_string: str
) -> str:
    """In place of moto's: runs the query now. Times are Unix seconds, both ends in."""
    from moto.logs.exceptions import ResourceNotFoundException

    for name in log_group_names:
        if name not in self.groups:
            raise ResourceNotFoundException()
    events = [
        (event.timestamp, event.message, stream.log_stream_name)
        for name in log_group_names
        for stream in self.groups[name].streams.values()
        for event in stream.events
        if start_time * 1000 <= event.timestamp <= end_time * 1000 + 999
    ]
    query_id = str(mock_random.uuid4())
    self.queries[query_id] = Done(query_id, query_string, *answer(query_string, events))  # type: ignore[assignment]
    return query_id


@dataclass
class Done:
    """A finished query, in the shape that moto's responses ask for."""

    query_id: str
    query: str
    rows: list[list[dict[str, str]]]
    statistics: dict[str, float]
    status: str = "Complete"

    def to_result_json(self) -> dict[str, Any]:
        """GetQueryResults."""
        return {"results": self.rows, "status": self.status, "statistics": self.statistics}


def answer(query: str, events: Sequence[tuple[int, str, str]]) -> tuple[list[list[dict[str, str]]], dict[str, float]]:
    """Rows and statistics of a query over events (timestamp ms, message, stream). Raises Malformed."""
    db = duckdb.connect()
    db.execute("SET TimeZone='UTC'")
    db.register("events", pd.DataFrame(events, columns=["time_ms", "message", "stream"]))
    pipe = Pipe(
        "SELECT CAST(time_ms AS BIGINT) AS nk_ms, strftime(make_timestamp(CAST(time_ms AS BIGINT) * 1000), '%Y-%m-%d %H:%M:%S.%g') AS \"@timestamp\","
        ' CAST(message AS VARCHAR) AS "@message", CAST(stream AS VARCHAR) AS "@logStream", \'ptr\' AS "@ptr" FROM events'
    )
    for command in commands_of(query):
        name, _, rest = command.replace("\n", " ").partition(" ")
        step = _COMMANDS.get(name.lower())
        if step is None:
            raise Malformed(f"unexpected symbol found {name} at line 1 and position 0")
        step(pipe, rest.strip())
    shown = pipe.shown or (pipe.columns if pipe.grouped else ["@timestamp", "@message", "@ptr"])
    limit = min(pipe.limit or _DEFAULT_ROWS, _MOST_ROWS)
    order = pipe.order or ("" if pipe.grouped else "ORDER BY nk_ms DESC")
    text = f"SELECT {', '.join(map(_quoted, shown))} FROM ({pipe.sql}) {order} LIMIT {limit}"
    try:
        rows = db.execute(text, pipe.values).fetchall()
        matched = db.execute(f"SELECT count(*) FROM ({pipe.sql})", pipe.values).fetchall()[0][0]
    except duckdb.Error as problem:
        raise Malformed(str(problem).splitlines()[0]) from None
    results = [
        [{"field": name, "value": _text(value)} for name, value in zip(shown, row, strict=True) if value is not None]
        for row in rows
    ]
    scanned = float(sum(len(message) for _, message, _ in events))
    return results, {"recordsMatched": float(matched), "recordsScanned": float(len(events)), "bytesScanned": scanned}


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Malformed(f"unexpected symbol found {text[at : at + 10].strip()} at line 1 and position {at}")
        tokens.append(match[1])
        at = match.end()
    return tokens


def _unquote(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1])


# ---------------------------------------------------------------------------------------------------------- commands


def _parse(pipe: Pipe, text: str) -> None:
    match = re.fullmatch(r"""(?:(\S+)\s+)?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|/.+/)(?:\s+as\s+(.+))?""", text)
    if match is None:
        raise Malformed("unexpected symbol found in parse")
    source, pattern, names = (
        match[1] or "@message",
        match[2],
        [one.strip() for one in (match[3] or "").split(",") if one.strip()],
    )
    if pattern[0] == "/":
        regex, names = pattern[1:-1], re.findall(r"\(\?<(\w+)>", pattern)
        regex = re.sub(r"\(\?<(\w+)>", "(", regex)
    else:
        pieces = [re.escape(piece) for piece in _unquote(pattern).split("*")]
        if len(pieces) - 1 != len(names):
            raise Malformed(f"parse has {len(pieces) - 1} wildcards and {len(names)} names")
        regex = "^" + "(.*?)".join(pieces[:-1]) + "(.*)" + pieces[-1] + "$" if names else pieces[0]
        if set(_unquote(pattern).replace("*", "")) <= {" "} and "**" not in pattern:
            _parse_blanks(pipe, source, names)
            return
    listed = ", ".join(f"'{name}'" for name in names)
    pipe.sql = f"SELECT *, regexp_extract({_quoted(source)}, ?, [{listed}]) AS nk_parsed FROM ({pipe.sql})"
    pipe.values = [regex, *pipe.values]
    chosen = ", ".join(f"nk_parsed['{name}'] AS {_quoted(name)}" for name in names)
    pipe.sql = f"SELECT * EXCLUDE (nk_parsed), {chosen} FROM ({pipe.sql}) WHERE true"
    pipe.columns += names


def _parse_blanks(pipe: Pipe, source: str, names: Sequence[str]) -> None:
    """parse "* * *": one field a blank, the last one takes the rest. The same as the general way, and quicker."""
    count = len(names)
    parts = [f"nk_parts[{number}] AS {_quoted(name)}" for number, name in enumerate(names[:-1], 1)]
    parts.append(f"array_to_string(nk_parts[{count}:], ' ') AS {_quoted(names[-1])}")
    inner = f"SELECT *, string_split({_quoted(source)}, ' ') AS nk_parts FROM ({pipe.sql})"
    pipe.sql = f"SELECT * EXCLUDE (nk_parts), {', '.join(parts)} FROM ({inner})"
    pipe.columns += list(names)


def _fields(pipe: Pipe, text: str) -> None:
    names = [one.strip() for one in text.split(",")]
    for name in names:
        if name not in pipe.columns:
            pipe.sql = f"SELECT *, NULL AS {_quoted(name)} FROM ({pipe.sql})"
            pipe.columns.append(name)
    pipe.shown = [*names]


def _filter(pipe: Pipe, text: str) -> None:
    tokens = _tokens(text)
    values: list[Any] = []
    sql, rest = _either(tokens, pipe, values)
    if rest:
        raise Malformed(f"unexpected symbol found {rest[0]}")
    pipe.sql = f"SELECT * FROM ({pipe.sql}) WHERE {sql}"
    pipe.values = [*pipe.values, *values]


def _either(tokens: list[str], pipe: Pipe, values: list[Any]) -> tuple[str, list[str]]:
    left, tokens = _both(tokens, pipe, values)
    while tokens and tokens[0].lower() == "or":
        right, tokens = _both(tokens[1:], pipe, values)
        left = f"({left} OR {right})"
    return left, tokens


def _both(tokens: list[str], pipe: Pipe, values: list[Any]) -> tuple[str, list[str]]:
    left, tokens = _test(tokens, pipe, values)
    while tokens and tokens[0].lower() == "and":
        right, tokens = _test(tokens[1:], pipe, values)
        left = f"({left} AND {right})"
    return left, tokens


def _test(tokens: list[str], pipe: Pipe, values: list[Any]) -> tuple[str, list[str]]:
    if not tokens:
        raise Malformed("unexpected end of filter")
    if tokens[0].lower() == "not":
        inner, rest = _test(tokens[1:], pipe, values)
        return f"(NOT {inner})", rest
    if tokens[0] == "(":
        inner, rest = _either(tokens[1:], pipe, values)
        if not rest or rest[0] != ")":
            raise Malformed("expected )")
        return inner, rest[1:]
    if tokens[0].lower() == "ispresent" and len(tokens) > 3 and (tokens[1], tokens[3]) == ("(", ")"):
        found = tokens[2].strip("`")
        return (f"({_quoted(found)} IS NOT NULL)" if found in pipe.columns else "false"), tokens[4:]
    if len(tokens) < 3:
        raise Malformed(f"unexpected end of filter after {tokens[0]}")
    column = _quoted(tokens[0]) if tokens[0] in pipe.columns else "NULL"
    sign = tokens[1].lower()
    if sign == "not":
        inner, rest = _test([tokens[0], *tokens[2:]], pipe, values)
        return f"(NOT {inner})", rest
    if sign == "in":
        end = tokens.index("]")
        options = [word for word in tokens[3:end] if word != ","]
        values += [_value(word) for word in options]
        return f"(CAST({column} AS VARCHAR) IN ({', '.join('?' * len(options))}))", tokens[end + 1 :]
    return _compare(column, sign, tokens[2], values), tokens[3:]


def _compare(column: str, sign: str, token: str, values: list[Any]) -> str:
    if sign in ("like", "=~"):
        regex = token[1:-1] if token[0] == "/" else re.escape(_unquote(token))
        values.append(regex)
        return f"regexp_matches(CAST({column} AS VARCHAR), ?)"
    if sign not in ("=", "!=", "<", "<=", ">", ">="):
        raise Malformed(f"unexpected symbol found {sign}")
    value = _value(token)
    try:
        values.append(float(value))
    except ValueError:
        values.append(value)
        return f"(CAST({column} AS VARCHAR) {sign} ?)"
    return f"(TRY_CAST({column} AS DOUBLE) {sign} ?)"


def _value(token: str) -> str:
    return _unquote(token) if token[0] in "\"'" else token


def _stats(pipe: Pipe, text: str) -> None:
    match = re.fullmatch(r"(.+?)(?:\s+by\s+(.+))?", text, re.DOTALL)
    assert match is not None  # the pattern matches any text
    keys = [_named(one, pipe) for one in _split(match[2] or "")]
    sums = [_named(one, pipe) for one in _split(match[1])]
    chosen = ", ".join(f"{sql} AS {_quoted(name)}" for sql, name in [*keys, *sums])
    grouping = f" GROUP BY {', '.join(str(number) for number in range(1, len(keys) + 1))}" if keys else ""
    pipe.sql = f"SELECT {chosen} FROM ({pipe.sql}){grouping}"
    pipe.columns = [name for _, name in [*keys, *sums]]
    pipe.shown, pipe.grouped = None, True


def _split(text: str) -> list[str]:
    """Parts between commas outside of parentheses."""
    return [part.strip() for part in re.split(r",(?![^()]*\))", text) if part.strip()]


def _named(text: str, pipe: Pipe) -> tuple[str, str]:
    body, _, name = re.match(r"(.+?)(\s+as\s+(\S+))?$", text).groups()  # type: ignore[union-attr]
    call = re.fullmatch(r"(\w+)\((.*)\)", body.strip())
    if call is None:
        return (_quoted(body) if body in pipe.columns else "NULL"), name or body
    function, argument = call[1].lower(), call[2].strip()
    if function == "bin":
        count, unit = re.fullmatch(r"(\d+)\s*([smhd])\w*", argument).groups()  # type: ignore[union-attr]
        step = int(count) * _SPANS[unit] * 1000
        stamp = f"strftime(make_timestamp((nk_ms - nk_ms % {step}) * 1000), '%Y-%m-%d %H:%M:%S.%g')"
        return stamp, name or body
    if function == "count":
        return ("count(*)" if argument in ("*", "") else f"count({_quoted(argument)})"), name or body
    column = _quoted(argument) if argument in pipe.columns else "NULL"
    number = f"TRY_CAST({column} AS DOUBLE)"
    functions = {
        "sum": f"sum({number})",
        "avg": f"avg({number})",
        "min": f"min({number})",
        "max": f"max({number})",
        "count_distinct": f"count(DISTINCT {column})",
    }
    if function not in functions:
        raise Malformed(f"unknown function {function}")
    return functions[function], name or body


def _sort(pipe: Pipe, text: str) -> None:
    parts = []
    for one in _split(text):
        name, _, way = one.partition(" ")
        column = "nk_ms" if name == "@timestamp" and not pipe.grouped else _quoted(name)
        numeric = f"TRY_CAST(CAST({column} AS VARCHAR) AS DOUBLE)"
        down = "ASC" if way.strip().lower() == "asc" else "DESC"
        parts.append(f"{numeric} {down} NULLS LAST, CAST({column} AS VARCHAR) {down}")
    pipe.order = f"ORDER BY {', '.join(parts)}"


def _limit(pipe: Pipe, text: str) -> None:
    if not text.isdecimal() or not 0 < int(text) <= _MOST_ROWS:
        raise Malformed(f"limit must be from 1 to {_MOST_ROWS}")
    pipe.limit = int(text)


_COMMANDS = {
    "parse": _parse,
    "fields": _fields,
    "display": _fields,
    "filter": _filter,
    "stats": _stats,
    "sort": _sort,
    "limit": _limit,
}
