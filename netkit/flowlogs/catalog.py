"""The query catalogue: files in queries/, their headers, and the binding of values. Pure.

A query is one file, queries/<name>.sql, in the SQL that Athena (Trino) and DuckDB both read. It selects from `flows`, whose
columns are those of the log, bounded by the window. Its header is made of comment lines:

    -- question: Who sends most bytes to whom?
    -- param limit: int = 10 | rows at most
    -- fields: srcaddr dstaddr bytes action log_status
    -- optional: type
    -- column bytes: int | bytes sent
    -- aws: VpcFlowLogsTopTalkers
    -- note: what the numbers mean and do not mean

Values are bound: `:name` in the text becomes `?`, in order. They are never formatted into the text. A line `-- include: legs` stands
for the text of queries/parts/legs.sql: common table expressions that several queries share.

A log without log-status is asked all the same: its records with a source address are taken for OK, and FlowLogs says so.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd

from netkit.core.errors import FieldError, InputError, QueryError
from netkit.core.net import cidr_bounds, parse_address, parse_cidr, parse_port, protocol_number
from netkit.flowlogs.duck import identifier
from netkit.flowlogs.fields import COLUMNS, log_format

Value = str | int | float

_HEADER = re.compile(r"^--\s*(question|param|fields|optional|column|aws|note)\s*(\w*)\s*:\s*(.*)$")
_INCLUDE = re.compile(r"^--\s*include\s*:\s*(\w+)\s*$")
_PLACEHOLDER = re.compile(r"(?<!:):([a-z_][a-z0-9_]*)")
_DTYPES = {"int": "Int64", "float": "Float64", "str": "object", "bool": "boolean"}
_RANGES = {"int": (0, 2**53), "seconds": (1, 366 * 86400), "epoch": (0, 253402300799)}  # an epoch up to the year 9999
_TELL_TRAFFIC = ("srcaddr", "pkt_srcaddr", "packets", "bytes", "dstaddr")
MAX_VALUE = 1000  # Athena takes 1,024 characters an execution parameter, quotes included


@dataclass(frozen=True)
class Param:
    """A parameter of a query. kind: int, seconds (at least 1), float, address, cidr, port, protocol, epoch, word."""

    name: str
    kind: str
    default: str | None
    help: str

    def read(self, value: Any) -> dict[str, Value]:
        """The placeholder values for a given value. Raises QueryError for one that does not fit the kind."""
        try:
            return self._read(value)
        except (InputError, ValueError, TypeError) as problem:
            why = problem.what if isinstance(problem, InputError) else f"{str(value)[:60]!r} is not {self.kind}"
            raise QueryError(f"parameter {self.name}: {why}", hint=f"{self.name}: {self.kind}, {self.help}") from None

    def _read(self, value: Any) -> dict[str, Value]:
        if isinstance(value, str) and len(value) > MAX_VALUE:
            raise InputError(f"a value of {len(value)} characters")
        if self.kind == "cidr":
            if parse_cidr(str(value)).version == 6:
                raise InputError(f"{value} is IPv6; netkit compares IPv4 blocks only", hint="give an address instead")
            low, high = cidr_bounds(str(value))
            return {f"{self.name}_low": low, f"{self.name}_high": high}
        return {self.name: self._scalar(value)}

    def _scalar(self, value: Any) -> Value:
        if isinstance(value, bool):
            raise InputError(f"{value} is not {self.kind}")
        if self.kind in _RANGES:
            whole, (least, most) = int(str(value).strip()), _RANGES[self.kind]
            if not least <= whole <= most:
                raise InputError(f"{whole} is not from {least} to {most}")
            return whole
        if self.kind == "float":
            number = float(value)
            if not math.isfinite(number):
                raise InputError(f"{value} is not a finite number")
            return number
        if self.kind == "word" and not re.fullmatch(r"[\w.:/-]*", str(value), re.ASCII):
            raise InputError(f"{str(value)[:60]!r} is not a plain word")
        readers: dict[str, Any] = {
            "address": parse_address,
            "port": parse_port,
            "protocol": protocol_number,
            "word": str,
        }
        return readers[self.kind](str(value))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Query:
    """One query of the catalogue: its question, parameters, the columns it needs and gives, notes and text."""

    name: str
    question: str
    params: tuple[Param, ...]
    fields: tuple[str, ...]
    optional: tuple[str, ...]
    columns: dict[str, tuple[str, str]]
    aws: str
    notes: tuple[str, ...]
    sql: str

    def bind(self, given: Mapping[str, Any]) -> tuple[str, list[Value]]:
        """The text with ? for each placeholder, and the values in order.

        Raises QueryError for an unknown or missing parameter and for a value that does not fit.
        """
        names = [param.name for param in self.params]
        for name in given:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(names) or 'none'}"
                raise QueryError(f"the query {self.name} has no parameter {name!r}", hint=hint)
        values: dict[str, Value] = {}
        for param in self.params:
            value = given.get(param.name, param.default)
            if value is None:
                raise QueryError(f"the query {self.name} needs {param.name}", hint=f"{param.kind}: {param.help}")
            values |= param.read(value)
        order = _PLACEHOLDER.findall(self.sql)
        return _PLACEHOLDER.sub("?", self.sql), [values[name] for name in order]

    def missing(self, columns: Sequence[str]) -> tuple[str, ...]:
        """The field names that the query needs and a log with these columns lacks. A log without log-status lacks nothing by
        that: its records are taken for OK (see column)."""
        return tuple(COLUMNS[name].name for name in self.fields if name not in columns and name != "log_status")

    @property
    def reads_all(self) -> list[str]:
        """The columns that the text speaks of."""
        return list(dict.fromkeys([*self.fields, *self.optional]))

    def reads(self, columns: Sequence[str]) -> list[str]:
        """The columns to read from a log with these columns: all that are needed, the optional ones it has, and what tells a
        record with traffic where it has no log-status."""
        found = [name for name in self.reads_all if name in columns]
        tells = [name for name in _TELL_TRAFFIC if name in columns][:1] if self._lacks_status(columns) else []
        return list(dict.fromkeys([*found, *tells])) or list(columns[:1])

    def _lacks_status(self, columns: Sequence[str]) -> bool:
        return "log_status" in self.reads_all and "log_status" not in columns

    def column(self, name: str, columns: Sequence[str]) -> str:
        """The SQL of one column over a log with these columns.

        A log without log-status says of no record that it is OK, but AWS writes an address and counts only into those that
        are; NODATA and SKIPDATA have none (VPC User Guide, "Flow log record examples").
        """
        if name in columns:
            return identifier(name)
        if name != "log_status":
            return f"CAST(NULL AS {'bigint' if COLUMNS[name].numeric else 'varchar'})"
        tells = next((one for one in _TELL_TRAFFIC if one in columns), "")
        if not tells:
            return "'OK'"
        present = identifier(tells) if COLUMNS[tells].numeric else f"NULLIF({identifier(tells)}, '-')"
        return f"CASE WHEN {present} IS NULL THEN '-' ELSE 'OK' END"

    def over(self, flows: str, sql: str, columns: Sequence[str]) -> str:
        """The bound text with `flows` as its first common table expression; columns that lack are made up in it: optional ones
        are NULL, log_status is as column() says."""
        lacking = [
            name for name in self.reads_all if name not in columns and (name in self.optional or name == "log_status")
        ]
        made = "".join(f", {self.column(name, columns)} AS {name}" for name in lacking)
        whole = f"SELECT *{made} FROM (\n{flows}\n) AS present" if lacking else flows
        head = f"flows AS (\n{whole}\n)"
        if begins := re.match(r"(?i)with\s+(recursive\s)?", sql):
            return f"WITH {'RECURSIVE ' if begins[1] else ''}{head},\n{sql[begins.end() :].lstrip()}"
        return f"WITH {head}\n{sql}"

    def check_fields(self, columns: Sequence[str]) -> None:
        """Raise FieldError, naming what lacks and the format to ask for, unless the log has all that is needed."""
        lacking = self.missing(columns)
        if lacking:
            known = [COLUMNS[name].name for name in columns if name in COLUMNS]
            raise FieldError(
                f"the query {self.name} needs {', '.join(lacking)}, which this log does not have",
                hint=f"a flow log cannot be changed; make one with the format {log_format([*known, *lacking])}",
            )

    def typed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with exactly the header's columns and dtypes (Int64, Float64, object); "-" and NaN become None."""
        typed = pd.DataFrame(index=frame.index)
        for name, (kind, _) in self.columns.items():
            column = frame[name] if name in frame else pd.Series(dtype="object", index=frame.index)
            if kind == "str":
                plain = column.astype("object")
                typed[name] = plain.where(plain.notna() & (plain != "-"), None)
            else:
                typed[name] = pd.to_numeric(column).astype(_DTYPES[kind])  # type: ignore[call-overload]
        return typed.reset_index(drop=True)

    def __str__(self) -> str:
        params = "".join(f"\n  {one.name}: {one.kind} = {one.default}  {one.help}" for one in self.params)
        columns = "".join(f"\n  {name}: {kind}  {meaning}" for name, (kind, meaning) in self.columns.items())
        notes = "".join(f"\nNote: {note}" for note in self.notes)
        return f"{self.name}: {self.question}\nparameters:{params or ' none'}\ncolumns:{columns}{notes}"


def parse_query(name: str, text: str) -> Query:
    """A Query from the text of its file. Raises QueryError for a header line that cannot be read."""
    params: list[Param] = []
    columns: dict[str, tuple[str, str]] = {}
    single: dict[str, list[str]] = {"question": [], "fields": [], "optional": [], "aws": [], "note": []}
    body: list[str] = []
    for line in text.splitlines():
        match = _HEADER.match(line)
        if match is None:
            if included := _INCLUDE.match(line):
                body.append(part(included[1]))
            elif not line.startswith("--"):
                body.append(line)
            continue
        key, word, rest = match.groups()
        front, _, back = (part.strip() for part in rest.partition("|"))
        if key == "param":
            kind, _, default = (part.strip() for part in front.partition("="))
            params.append(Param(word, kind, default or None, back))
        elif key == "column":
            columns[word] = (front, back)
        else:
            single[key].append(rest.strip())
    sql = "\n".join(body).strip().rstrip(";")
    fields, optional = (tuple(" ".join(single[key]).split()) for key in ("fields", "optional"))
    notes = tuple(single["note"])
    return Query(
        name,
        " ".join(single["question"]),
        tuple(params),
        fields,
        optional,
        columns,
        " ".join(single["aws"]),
        notes,
        sql,
    )


@cache
def part(name: str) -> str:
    """Common table expressions that queries share, without their comment, ending in a comma."""
    text = (resources.files("netkit.flowlogs") / "queries" / "parts" / f"{name}.sql").read_text("utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip() + ","


@cache
def catalogue() -> dict[str, Query]:
    """All queries by name."""
    folder = resources.files("netkit.flowlogs") / "queries"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return {file.name[:-4]: parse_query(file.name[:-4], file.read_text("utf-8")) for file in files}


def find_query(name: str) -> Query:
    """The query of that name, or of AWS's name for it (VpcFlowLogs…). Raises QueryError, naming the nearest."""
    queries = catalogue()
    by_aws = {alias: query for query in queries.values() for alias in query.aws.split()}
    found = queries.get(name) or by_aws.get(name)
    if found is None:
        near = difflib.get_close_matches(str(name)[:80], [*queries, *by_aws], n=1, cutoff=0.4)
        raise QueryError(
            f"there is no query {str(name)[:80]!r}", hint=f"did you mean {near[0]}?" if near else "see .names()"
        )
    return found
