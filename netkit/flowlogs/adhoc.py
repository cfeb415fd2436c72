"""Questions that the catalogue has not: SQL over `flows`, checked and bound, and records by what they carry. Pure.

Only reading is let through, and only of `flows`: one SELECT, no other table, no file, no table function. Values are bound.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import sqlglot
from sqlglot import exp

from netkit.core.errors import QueryError
from netkit.flowlogs.catalog import MAX_VALUE, Param, Query, Value
from netkit.flowlogs.duck import identifier
from netkit.flowlogs.fields import COLUMNS

_MOST_TEXT = 100_000
_TOKEN = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|(?<![:\w]):([A-Za-z_]\w*)|\?|\$\w+", re.DOTALL
)
_HINT = "one SELECT over flows, as SELECT dstport, SUM(bytes) AS bytes FROM flows WHERE srcaddr = :source GROUP BY 1"

RECORD_FILTERS: dict[str, tuple[str, Param]] = {
    "host": ("(srcaddr = ? OR dstaddr = ?)", Param("host", "address", None, "an address at either end")),
    "source": ("srcaddr = ?", Param("source", "address", None, "the source address")),
    "destination": ("dstaddr = ?", Param("destination", "address", None, "the destination address")),
    "port": ("(srcport = ? OR dstport = ?)", Param("port", "port", None, "a port at either end")),
    "source_port": ("srcport = ?", Param("source_port", "port", None, "the source port")),
    "destination_port": ("dstport = ?", Param("destination_port", "port", None, "the destination port")),
    "protocol": ("protocol = ?", Param("protocol", "protocol", None, "a protocol's name or number")),
    "interface": ("interface_id = ?", Param("interface", "word", None, "an interface")),
    "action": ("action = ?", Param("action", "word", None, "ACCEPT or REJECT")),
    "status": ("log_status = ?", Param("status", "word", None, "OK, NODATA or SKIPDATA")),
}


def sql_query(
    text: str, given: Mapping[str, Any], columns: Sequence[str], dialect: str
) -> tuple[Query, str, list[Value]]:
    """A text of somebody's own as a Query, with ? for each :name, and the values in order.

    columns  those that the log has; dialect: "duckdb", or "athena"
    Raises QueryError for what is no single SELECT over flows, and for a value that lacks, is too much or is none.
    """
    bound, values = _bound(text, given)
    tree = _parsed(bound, dialect)
    _check(tree)
    starred = any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star))
    names = {column.name.lower() for column in tree.find_all(exp.Column)}
    aliases = {one.alias.lower() for one in tree.find_all(exp.Alias)}
    spoken = [name for name in COLUMNS if name in names and (name in columns or name not in aliases)]
    needed = [name for name in spoken if name != "log_status" or name in columns or name not in aliases]
    optional = tuple(name for name in (*columns, "log_status") if name not in needed) if starred else ()
    if not needed and not optional:  # COUNT(*) alone
        optional = tuple(columns[:1])
    return _query("sql", needed, optional), bound.strip().rstrip(";").strip(), values


def records_query(filters: Mapping[str, Any], limit: int, columns: Sequence[str]) -> tuple[Query, str, list[Value]]:
    """A Query for whole records by what they carry (RECORD_FILTERS), earliest first.

    Raises QueryError for a filter that there is none of, and for a value that does not fit.
    """
    clauses: list[str] = []
    values: list[Value] = []
    needed: set[str] = set()
    for name, value in filters.items():
        if name not in RECORD_FILTERS:
            raise QueryError(f"records have no filter {name!r}", hint=f"there are {', '.join(RECORD_FILTERS)}")
        clause, param = RECORD_FILTERS[name]
        read = param.read(value)[name]
        clauses.append(clause)
        values += [read] * clause.count("?")
        needed |= {column for column in COLUMNS if re.search(rf"\b{column}\b", clause)}
    most = Param("limit", "int", None, "records at most").read(limit)["limit"]
    optional = tuple(name for name in columns if name not in needed)
    shown = [name for name in COLUMNS if name in columns]
    chosen = ", ".join(identifier(name) for name in shown)
    order = ", ".join(identifier(name) for name in ("start", *shown) if name in columns)
    where = f"\nWHERE {' AND '.join(clauses)}" if clauses else ""
    sql = f"SELECT {chosen}\nFROM flows{where}\nORDER BY {order}\nLIMIT ?"
    return _query("records", [name for name in COLUMNS if name in needed], optional), sql, [*values, most]


def _query(name: str, fields: Sequence[str], optional: Sequence[str]) -> Query:
    return Query(name, "", (), tuple(fields), tuple(dict.fromkeys(optional)), {}, "", (), "")


def _bound(text: str, given: Mapping[str, Any]) -> tuple[str, list[Value]]:
    """The text with ? for each :name that stands in no string or comment. A list becomes as many as it has."""
    if not isinstance(text, str) or not text.strip() or len(text) > _MOST_TEXT:
        raise QueryError("there is no SQL text, or it is too long", hint=_HINT)
    values: list[Value] = []
    used: set[str] = set()

    def mark(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            if match[0][0] in "?$":
                raise QueryError(f"{match[0]} is no value by name", hint="write :name, and give name=…")
            return " " if match[0].startswith(("--", "/*")) else match[0]
        if name not in given:
            raise QueryError(f"the SQL needs a value for :{name}", hint=f"give {name}=…")
        used.add(name)
        many = given[name] if isinstance(given[name], list | tuple | set) else [given[name]]
        values.extend(_value(name, one) for one in many)
        if not many:
            raise QueryError(f"the list {name} is empty", hint="give it at least one value")
        return ", ".join("?" * len(many))

    bound = _TOKEN.sub(mark, text)
    if unused := sorted(set(given) - used):
        raise QueryError(f"the SQL has no :{unused[0]}", hint="name every value in the text")
    return bound, values


def _value(name: str, value: Any) -> Value:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise QueryError(f"the value {name} is {type(value).__name__}", hint="give a text or a number")
    if isinstance(value, str) and len(value) > MAX_VALUE:
        raise QueryError(f"the value {name} has {len(value)} characters", hint=f"at most {MAX_VALUE}")
    if isinstance(value, float) and not math.isfinite(value):
        raise QueryError(f"the value {name} is not a finite number", hint="give a number")
    return value


def _parsed(text: str, dialect: str) -> exp.Query:
    try:
        trees = [tree for tree in sqlglot.parse(text, read=dialect) if tree is not None]
    except (sqlglot.errors.SqlglotError, RecursionError) as problem:
        why = re.sub(r"\x1b\[\d*m", "", str(problem)).splitlines()[0][:150] if str(problem) else "too deep"
        raise QueryError(f"this is no SQL: {why}", hint=_HINT) from None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise QueryError("only one SELECT is run; nothing else is read or written", hint=_HINT)
    return trees[0]


def _check(tree: exp.Query) -> None:
    """Raise QueryError for any table but flows and what the text itself names."""
    named = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    if "flows" in named:
        raise QueryError("flows is the log itself", hint="give the part of the query another name")
    if any(tree.find_all(exp.Into, exp.DML, exp.DDL, exp.Command)) and not isinstance(tree, exp.Query):
        raise QueryError("only one SELECT is run; nothing else is read or written", hint=_HINT)
    if tree.find(exp.Into, exp.Insert, exp.Update, exp.Delete, exp.Create, exp.Drop, exp.Command):
        raise QueryError("only one SELECT is run; nothing else is read or written", hint=_HINT)
    found = list(tree.find_all(exp.Table))
    for table in found:
        plain = isinstance(table.this, exp.Identifier) and not table.args.get("db") and not table.args.get("catalog")
        if not plain or table.name.lower() not in {*named, "flows"}:
            raise QueryError(f"the SQL reads {table.sql()[:60]!r}; there is only flows", hint=_HINT)
    if not any(table.name.lower() == "flows" for table in found):
        raise QueryError("the SQL does not read flows", hint=_HINT)


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """An answer with the dtypes that every engine gives: Int64, Float64, boolean, and object with None."""
    found = pd.DataFrame(index=frame.index)
    for place, name in enumerate(frame.columns):
        column = frame.iloc[:, place]
        kind = getattr(column.dtype, "kind", "O")
        if kind in "iu":
            found[name] = column.astype("Int64")
        elif kind == "f":
            whole = column.dropna()
            found[name] = column.astype(
                "Int64" if len(whole) and (whole % 1 == 0).all() and column.isna().any() else "Float64"
            )
        elif kind == "b":
            found[name] = column.astype("boolean")
        else:
            plain = column.astype("object")
            found[name] = plain.where(plain.notna(), None)
    return found.reset_index(drop=True)
