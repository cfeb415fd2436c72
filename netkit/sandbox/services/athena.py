"""Athena that answers: DDL into the sandbox's Glue, SELECT on DuckDB over the objects in its S3.

Follows the Amazon Athena User Guide: partition projection (enum, integer, date, injected; "Use partition projection"),
execution parameters ("Use prepared statements"), text tables read by position with a value that does not parse as NULL
(LazySimpleSerDe), Parquet by name, types that Trino does not compare. The numbers of DataScannedInBytes are those of the
objects, once for every reference to them: whole ones for text and for Parquet up to 3 MB, else the chunks of the columns that
the query names.
"""

from __future__ import annotations

import bisect
import csv
import gzip
import hashlib
import io
import itertools
import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import sqlglot
from moto.athena.models import AthenaBackend, Execution, QueryResults
from moto.core.exceptions import JsonRESTError
from moto.glue.models import glue_backends
from moto.s3.models import s3_backends
from sqlglot import exp

from netkit import sandbox
from netkit.flowlogs.scans import scans

_TYPES = {
    "string": "VARCHAR", "varchar": "VARCHAR", "char": "VARCHAR", "int": "INTEGER", "integer": "INTEGER", "bigint": "BIGINT",
    "smallint": "SMALLINT", "tinyint": "TINYINT", "double": "DOUBLE", "float": "FLOAT", "boolean": "BOOLEAN", "date": "DATE",
    "timestamp": "TIMESTAMP",
}  # fmt: skip
_ANSWER_TYPES = {
    "BIGINT": "bigint", "INTEGER": "integer", "SMALLINT": "smallint", "TINYINT": "tinyint", "DOUBLE": "double", "FLOAT": "float",
    "BOOLEAN": "boolean", "DATE": "date", "HUGEINT": "bigint", "TIMESTAMP": "timestamp",
}  # fmt: skip
_DDL = re.compile(
    r"^\s*(CREATE\s+(EXTERNAL\s+TABLE|DATABASE|SCHEMA)|DROP\s+(TABLE|DATABASE|SCHEMA)|MSCK|SHOW|DESCRIBE|ALTER)",
    re.IGNORECASE,
)
_MOST_PARTITIONS = 500_000
_SMALL_PARQUET = 3 * 1024 * 1024  # Trino's parquet.small-file-threshold: read whole
_WHOLE = ("tinyint", "smallint", "int", "integer", "bigint")


class InvalidRequestException(JsonRESTError):
    """A call that Athena refuses."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidRequestException", message)


class Failed(Exception):
    """A query that Athena would fail; the text is its StateChangeReason."""


@dataclass
class Answer:
    """Columns with Athena's type names, rows, and what was read."""

    columns: list[tuple[str, str]] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    scanned_bytes: int = 0


def start_query_execution(
    self: AthenaBackend,
    query: str,
    context: Any,
    config: Any,
    workgroup: str,
    execution_parameters: list[str] | None,
) -> str:
    """In place of moto's: runs the query now and keeps its state, statistics and results."""
    group = self.work_groups.get(workgroup or "primary")
    if group is None:
        raise InvalidRequestException(f"WorkGroup {workgroup} is not found.")
    settings = group.configuration
    own = (settings.get("ResultConfiguration") or {}).get("OutputLocation", "")
    asked = (config or {}).get("OutputLocation", "")
    output = own if own and settings.get("EnforceWorkGroupConfiguration") else asked or own
    if not output:
        raise InvalidRequestException(
            "No output location provided. An output location is required either through the Workgroup result configuration setting or as an API input."
        )
    execution = Execution(query, context, {"OutputLocation": output}, group, execution_parameters)
    self.executions[execution.id] = execution
    _run(self, execution, (context or {}).get("Database", "default"), settings.get("BytesScannedCutoffPerQuery"))
    return execution.id


def _run(backend: AthenaBackend, execution: Any, database: str, cutoff: int | None) -> None:
    begun = time.monotonic()
    execution.reason, answer = "", Answer()
    try:
        answer = answer_query(backend, execution.query, database, execution.execution_parameters or [])
        state = "SUCCEEDED"
        if cutoff and answer.scanned_bytes > cutoff:
            state, execution.reason = "CANCELLED", "Bytes scanned limit was exceeded"
    except Failed as failed:
        state, execution.reason = "FAILED", str(failed)
    execution._status = state
    execution.scanned_bytes = answer.scanned_bytes
    execution.millis = int((time.monotonic() - begun) * 1000)
    execution.end_time = time.time()
    if state == "SUCCEEDED":
        info = [_column_info(name, kind) for name, kind in answer.columns]
        texts = [[_text(value) for value in row] for row in answer.rows]
        head = [] if _DDL.match(execution.query) else [{"Data": [{"VarCharValue": name} for name, _ in answer.columns]}]
        rows = [{"Data": [{} if text is None else {"VarCharValue": text} for text in row]} for row in texts]
        backend.query_results[execution.id] = QueryResults(head + rows, info)
        _store(backend, execution.config["OutputLocation"], answer, texts)


def _column_info(name: str, kind: str) -> dict[str, Any]:
    info = {"CatalogName": "hive", "SchemaName": "", "TableName": "", "Name": name, "Label": name, "Type": kind}
    return info | {"Precision": 19, "Scale": 0, "Nullable": "UNKNOWN", "CaseSensitive": kind == "varchar"}


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03d}"
    return str(value)


def _store(backend: AthenaBackend, location: str, answer: Answer, texts: Sequence[Sequence[str | None]]) -> None:
    """The result file as Athena writes it: every value in quotes, NULL as nothing."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow([name for name, _ in answer.columns])
    for row in texts:
        out.write(",".join("" if text is None else '"' + text.replace('"', '""') + '"' for text in row) + "\n")
    bucket, _, key = location.removeprefix("s3://").partition("/")
    store = s3_backends[backend.account_id][backend.partition]
    store.put_object(bucket, key, out.getvalue().encode())
    store.put_object(bucket, key + ".metadata", b"")


def execution_json(execution: Any) -> dict[str, Any]:
    """QueryExecution as GetQueryExecution gives it."""
    status = {
        "State": execution.status,
        "SubmissionDateTime": execution.start_time,
        "CompletionDateTime": execution.end_time,
    }
    if execution.reason:
        status |= {
            "StateChangeReason": execution.reason,
            "AthenaError": {"ErrorCategory": 2, "ErrorType": 1, "ErrorMessage": execution.reason},
        }
    millis = ("EngineExecutionTimeInMillis", "TotalExecutionTimeInMillis")
    query = {
        "QueryExecutionId": execution.id,
        "Query": execution.query,
        "StatementType": "DDL" if _DDL.match(execution.query) else "DML",
        "ResultConfiguration": execution.config,
        "QueryExecutionContext": execution.context or {},
        "Status": status,
        "Statistics": {"DataScannedInBytes": execution.scanned_bytes, **dict.fromkeys(millis, execution.millis)},
        "WorkGroup": execution.workgroup.name,
    }
    if execution.execution_parameters:
        query["ExecutionParameters"] = execution.execution_parameters
    return {"QueryExecution": query}


# ------------------------------------------------------------------------------------------------------- statements


def answer_query(backend: AthenaBackend, text: str, database: str, parameters: Sequence[str]) -> Answer:
    """Run one statement. Raises Failed with Athena's kind of reason."""
    text = text.strip().rstrip(";")
    if _DDL.match(text):
        if parameters:
            raise Failed("Execution parameters are only supported for SELECT, INSERT INTO, CTAS and UNLOAD")
        return _define(backend, text, database)
    bound = bind(text, parameters)
    try:
        tree = sqlglot.parse_one(bound, read="athena")
    except sqlglot.errors.SqlglotError as problem:
        raise Failed(f"SYNTAX_ERROR: {str(problem).splitlines()[0]}") from None
    if not isinstance(tree, exp.Query):
        raise Failed("NOT_SUPPORTED: the sandbox answers DDL and SELECT")
    if any(isinstance(node, exp.Cast) and "IPADDRESS" in node.to.sql().upper() for node in tree.walk()):
        raise Failed("NOT_SUPPORTED: the sandbox has no IPADDRESS; compare addresses as integers")
    return _select(backend, tree, database)


def bind(text: str, parameters: Sequence[str]) -> str:
    """The statement with each ? replaced by its parameter, which must be one literal, as Athena takes it."""
    marks = [
        token for token in sqlglot.tokenize(text, read="athena") if token.token_type == sqlglot.TokenType.PLACEHOLDER
    ]
    if len(marks) != len(parameters):
        raise Failed(
            f"INVALID_PARAMETER_USAGE: Incorrect number of parameters: expected {len(marks)} but found {len(parameters)}"
        )
    for token, parameter in reversed(list(zip(marks, parameters, strict=True))):
        text = text[: token.start] + _one_literal(parameter) + text[token.end + 1 :]
    return text


def _one_literal(parameter: str) -> str:
    try:
        tree = sqlglot.parse_one(parameter, read="athena")
    except sqlglot.errors.SqlglotError:
        raise Failed(f"INVALID_PARAMETER_USAGE: {parameter[:60]} is not a literal") from None
    inner = tree.this if isinstance(tree, exp.Neg | exp.Cast) else tree
    if not isinstance(inner, exp.Literal | exp.Boolean | exp.Null):
        raise Failed(f"INVALID_PARAMETER_USAGE: {parameter[:60]} is not a literal")
    return tree.sql(dialect="athena")


def _select(backend: AthenaBackend, tree: exp.Query, database: str) -> Answer:
    db = duckdb.connect()
    db.execute("SET TimeZone='UTC'")
    sizes: dict[str, int] = {}
    named = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
    mentioned = {column.name for column in tree.find_all(exp.Column)}
    for number, table in enumerate([one for one in tree.find_all(exp.Table) if one.db or one.name not in named]):
        source = _table(backend, table.db or database, table.name)
        _check_comparisons(source, table)
        columns = set(source.columns) if _stars(table) else mentioned & set(source.columns)
        sizes[f"t{number}"] = _define_view(backend, db, f"t{number}", source, columns, table)
        table.replace(exp.alias_(exp.to_table(f"t{number}"), table.alias_or_name, table=True))
    text = tree.sql(dialect="duckdb")
    scanned = sum(size * scans(text, view, "duckdb") for view, size in sizes.items())
    try:
        cursor = db.execute(text)
        kinds = [(one[0], _answer_type(str(one[1]))) for one in cursor.description or []]
        return Answer(kinds, cursor.fetchall(), scanned)
    except duckdb.BinderException as problem:
        column = re.search(r'column "?(\w+)"? ', str(problem))
        raise Failed(
            f"COLUMN_NOT_FOUND: Column '{column[1]}' cannot be resolved" if column else f"SYNTAX_ERROR: {problem}"
        ) from None
    except duckdb.ConversionException as problem:
        raise Failed(f"HIVE_BAD_DATA: {str(problem).splitlines()[0]}") from None
    except duckdb.Error as problem:
        raise Failed(f"GENERIC_INTERNAL_ERROR: {str(problem).splitlines()[0]}") from None


def _answer_type(kind: str) -> str:
    if kind.startswith("DECIMAL"):
        return kind.lower()
    return _ANSWER_TYPES.get(kind, "timestamp" if kind.startswith("TIMESTAMP") else "varchar")


def _stars(table: exp.Table) -> bool:
    select = table.find_ancestor(exp.Select)
    return bool(select and any(isinstance(one, exp.Star) for one in select.expressions))


@dataclass(frozen=True)
class Source:
    """A Glue table, as a query needs it."""

    name: str
    columns: dict[str, str]
    keys: tuple[str, ...]
    properties: dict[str, str]
    location: str
    parquet: bool
    separator: str
    registered: tuple[tuple[tuple[str, ...], str], ...]
    key_types: tuple[str, ...] = ()

    def type_of(self, key: str) -> str:
        """The type of a partition key."""
        return dict(zip(self.keys, self.key_types, strict=False)).get(key, "string")


def _table(backend: AthenaBackend, database: str, name: str) -> Source:
    glue = glue_backends[backend.account_id][backend.region_name]
    found = glue.databases[database].tables.get(name) if database in glue.databases else None
    if found is None:
        raise Failed(f"TABLE_NOT_FOUND: line 1:1: Table 'awsdatacatalog.{database}.{name}' does not exist")
    shape = found.as_dict()
    storage = shape["StorageDescriptor"]
    serde = storage.get("SerdeInfo", {}).get("Parameters", {})
    registered = tuple(
        (tuple(values), part.as_dict()["StorageDescriptor"]["Location"])
        for values, part in ((one.values, one) for one in found.partitions.values())
    )
    return Source(
        f"{database}.{name}",
        {one["Name"].lower(): one["Type"].lower() for one in storage["Columns"]},
        tuple(one["Name"].lower() for one in shape.get("PartitionKeys", [])),
        {key.lower(): value for key, value in shape.get("Parameters", {}).items()},
        storage.get("Location", ""),
        "parquet" in storage.get("InputFormat", "").lower(),
        serde.get("field.delim", " "),
        registered,
        tuple(one.get("Type", "string").lower() for one in shape.get("PartitionKeys", [])),
    )


def _check_comparisons(source: Source, table: exp.Table) -> None:
    """Raise Failed where Trino does not compare: a column of the table with a literal of another kind."""
    select = table.find_ancestor(exp.Select)
    where = select.args.get("where") if select else None
    kinds = {**source.columns, **{key: source.type_of(key) for key in source.keys}}
    for one in where.find_all(exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between) if where else []:
        column = one.this
        if not isinstance(column, exp.Column) or column.name.lower() not in kinds:
            continue
        kind = kinds[column.name.lower()]
        others = [part for part in one.iter_expressions() if part is not column and isinstance(part, exp.Literal)]
        for other in others:
            given = f"varchar({len(other.name)})" if other.is_string else "integer"
            if (kind.startswith(("string", "varchar", "char"))) != other.is_string:
                shown = "varchar" if kind == "string" else kind
                raise Failed(f"TYPE_MISMATCH: line 1:1: Cannot apply operator: {shown} = {given}")


# ------------------------------------------------------------------------------------------------------- partitions


def _conjuncts(table: exp.Table, keys: Sequence[str]) -> list[exp.Expression]:
    """The parts of the WHERE above a table that speak of its partition columns only."""
    select = table.find_ancestor(exp.Select)
    where = select.args.get("where") if select else None
    if where is None:
        return []
    parts = where.this.flatten() if isinstance(where.this, exp.And) else [where.this]
    parts = [one.unnest() for one in parts]
    found = []
    for part in parts:
        names = {column.name for column in part.find_all(exp.Column)}
        if names and names <= set(keys):
            found.append(part)
    return found


def partitions(source: Source, conjuncts: Sequence[exp.Expression], now: datetime) -> list[tuple[tuple[str, ...], str]]:
    """(values, S3 location) of the partitions that some conjuncts keep."""
    if not source.keys:
        return [((), source.location)]
    if source.properties.get("projection.enabled", "").lower() != "true":
        return _kept(
            source, source.keys, [values for values, _ in source.registered], conjuncts, dict(source.registered)
        )
    columns = [_projected(source, key, conjuncts, now) for key in source.keys]
    total = 1
    for values in columns:
        total *= len(values)
    if total > _MOST_PARTITIONS:
        raise Failed(
            f"GENERIC_INTERNAL_ERROR: {total} projected partitions are too many; filter on the partition columns"
        )
    several = [one for one in conjuncts if len({column.name for column in one.find_all(exp.Column)}) > 1]
    template = (
        source.properties.get("storage.location.template")
        or source.location.rstrip("/") + "/" + "/".join(f"{key}=${{{key}}}" for key in source.keys) + "/"
    )
    kept = _kept(source, source.keys, list(itertools.product(*columns)), several, {})
    return [(values, _location(template, source.keys, values)) for values, _ in kept]


def _location(template: str, keys: Sequence[str], values: Sequence[str]) -> str:
    for key, value in zip(keys, values, strict=True):
        template = re.sub(re.escape(f"${{{key}}}"), lambda _, value=value: value, template, flags=re.IGNORECASE)  # type: ignore[misc]
    return template


def _kept(
    source: Source,
    keys: Sequence[str],
    rows: list[tuple[str, ...]],
    conjuncts: Sequence[exp.Expression],
    where: dict[tuple[str, ...], str],
) -> list[tuple[tuple[str, ...], str]]:
    if conjuncts and rows:
        test = " AND ".join(f"({one.sql(dialect='duckdb')})" for one in conjuncts)
        types = tuple(source.type_of(key) for key in keys)
        rows = _rows_kept(tuple(keys), types, tuple(rows), test)
    return [(tuple(row), where.get(tuple(row), "")) for row in rows]


@lru_cache(256)
def _rows_kept(
    keys: tuple[str, ...], types: tuple[str, ...], rows: tuple[tuple[str, ...], ...], test: str
) -> list[tuple[str, ...]]:
    """The partition values that a condition keeps, as DuckDB reads it; the same windows are asked again and again."""
    import pandas as pd

    with duckdb.connect() as db:
        names = [f"as_written_{place}" for place in range(len(keys))]
        columns = [f'"{key}" {_duck_type(kind)}' for key, kind in zip(keys, types, strict=True)]
        db.execute(f"CREATE TABLE parts ({', '.join([*columns, *(f'{name} VARCHAR' for name in names)])})")
        typed = [[*(_key_value(text, kind) for text, kind in zip(row, types, strict=True)), *row] for row in rows]
        db.register("rows_", pd.DataFrame(typed, columns=[*keys, *names], dtype="object"))
        db.execute("INSERT INTO parts SELECT * FROM rows_")
        return db.execute(f"SELECT {', '.join(names)} FROM parts WHERE {test}").fetchall()


def _duck_type(kind: str) -> str:
    return _TYPES.get(kind.split("(")[0], "VARCHAR")


def _key_value(text: str, kind: str) -> str | None:
    """A partition's value as its key's type has it, still as text: a date of whatever spelling as ISO."""
    if text == "__HIVE_DEFAULT_PARTITION__":
        return None
    if kind == "date" and (match := re.match(r"(\d{4})\D?(\d{2})\D?(\d{2})", text)):
        return "-".join(match.groups())
    return text


def _projected(source: Source, key: str, conjuncts: Sequence[exp.Expression], now: datetime) -> list[str]:
    """The values that one projected column can have, those kept that its own conjuncts keep."""
    own = [one for one in conjuncts if {column.name for column in one.find_all(exp.Column)} == {key}]
    kind = source.properties.get(f"projection.{key}.type", "").lower()
    if kind == "injected":
        values = _injected(key, own)
    elif kind == "enum":
        values = source.properties[f"projection.{key}.values"].split(",")
    elif kind == "integer":
        values = _integers(source.properties, key)
    elif kind == "date":
        values = _dates(source.properties, key, now)
    else:
        raise Failed(f"INVALID_TABLE_PROPERTY: projection.{key}.type is missing or unknown for table {source.name}")
    return [row[0] for row, _ in _kept(source, [key], [(value,) for value in values], own, {})]


def _injected(key: str, own: Sequence[exp.Expression]) -> list[str]:
    values = [literal.name for one in own if isinstance(one, exp.EQ | exp.In) for literal in one.find_all(exp.Literal)]
    if not values:
        raise Failed(
            f"CONSTRAINT_VIOLATION: For the injected projected partition column {key}, the WHERE clause must contain only static equality conditions, and at least one such condition must be present."
        )
    return values


def _integers(properties: dict[str, str], key: str) -> list[str]:
    low, high = (int(part) for part in properties[f"projection.{key}.range"].split(","))
    digits = int(properties.get(f"projection.{key}.digits", "0"))
    step = int(properties.get(f"projection.{key}.interval", "1"))
    return [str(number).zfill(digits) for number in range(low, high + 1, step)]


def _dates(properties: dict[str, str], key: str, now: datetime) -> list[str]:
    pattern = properties[f"projection.{key}.format"]
    fmt = pattern
    for java, python in (("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M"), ("'", "")):
        fmt = fmt.replace(java, python)
    low, high = (_moment(part.strip(), fmt, now) for part in properties[f"projection.{key}.range"].split(","))
    unit = properties.get(
        f"projection.{key}.interval.unit", "HOURS" if "HH" in pattern else "DAYS" if "dd" in pattern else "MONTHS"
    ).upper()
    count = int(properties.get(f"projection.{key}.interval", "1"))
    values, moment = [], datetime.strptime(low.strftime(fmt), fmt).replace(tzinfo=UTC)
    while moment <= high:
        values.append(moment.strftime(fmt))
        moment = _step(moment, unit, count)
    return list(dict.fromkeys(values))


def _moment(text: str, fmt: str, now: datetime) -> datetime:
    relative = re.fullmatch(r"NOW(?:\s*([+-])\s*(\d+)\s*(YEAR|MONTH|WEEK|DAY|HOUR|MINUTE)S?)?", text, re.IGNORECASE)
    if relative is None:
        return datetime.strptime(text, fmt).replace(tzinfo=UTC)
    sign, count, unit = relative.groups()
    return _step(now, f"{unit}S".upper(), int(count) * (1 if sign == "+" else -1)) if unit else now


def _step(moment: datetime, unit: str, count: int) -> datetime:
    if unit.startswith(("YEAR", "MONTH")):
        months = moment.year * 12 + moment.month - 1 + count * (12 if unit.startswith("YEAR") else 1)
        return moment.replace(year=months // 12, month=months % 12 + 1, day=min(moment.day, 28))
    names = {"WEEK": "weeks", "DAY": "days", "HOUR": "hours", "MINUTE": "minutes"}
    return moment + timedelta(**{next(name for start, name in names.items() if unit.startswith(start)): count})


# ---------------------------------------------------------------------------------------------------------- objects


def _define_view(
    backend: AthenaBackend, db: Any, view: str, source: Source, columns: set[str], table: exp.Table
) -> int:
    """Make a DuckDB view over a table's objects and return the bytes that a query over these columns reads."""
    conjuncts = _conjuncts(table, source.keys)
    kept = partitions(source, conjuncts, datetime.now(UTC))
    for part in conjuncts:  # exact already, so they need not run again on every row
        part.replace(exp.true())
    listed = _objects(backend, [location for _, location in kept])
    found = [(values, key) for (values, _), keys in zip(kept, listed, strict=True) for key in keys]
    if wrong := [key.name for _, key in found if not source.parquet and _no_gzip(key)]:
        raise Failed(f"HIVE_CURSOR_ERROR: Failed to read file: s3 object {wrong[0]}: not in gzip format")
    files = {str(_local(backend, key)): (values, key) for values, key in found}
    scanned = 0
    if source.parquet:
        footers = {path: _footer(path) for path in files}
        sizes = {path: int(key.size) for path, (_, key) in files.items()}
        scanned = sum(
            sizes[path] if sizes[path] <= _SMALL_PARQUET else _chunks(footer, columns)
            for path, footer in footers.items()
        )
    else:
        scanned = sum(int(key.size) for _, key in found)
    db.execute(f'CREATE VIEW "{view}" AS {_relation(source, list(files), db, view, files)}')
    return scanned


def _objects(backend: AthenaBackend, locations: Sequence[str]) -> list[list[Any]]:
    """The objects under each of some S3 locations, by name. A bucket is listed once for all of them."""
    wanted = [location.removeprefix("s3://").partition("/")[::2] for location in locations]
    store = s3_backends[backend.account_id][backend.partition]
    listed: dict[str, tuple[list[str], list[Any]]] = {}
    for bucket in dict.fromkeys(bucket for bucket, _ in wanted):
        if bucket not in store.buckets:
            raise Failed(f"GENERIC_USER_ERROR: The specified bucket does not exist: {bucket}")
        shared = os.path.commonprefix([prefix for one, prefix in wanted if one == bucket])  # noqa: RUF071 -- keys are texts
        keys, *_ = store.list_objects(store.get_bucket(bucket), shared, None, None, None)
        shown = [key for key in keys if key.size and not key.name.rsplit("/", 1)[-1].startswith((".", "_"))]
        shown.sort(key=lambda one: str(one.name))
        listed[bucket] = ([str(key.name) for key in shown], shown)
    found = []
    for bucket, prefix in wanted:
        names, held = listed[bucket]
        first = bisect.bisect_left(names, prefix)
        last = first
        while last < len(names) and names[last].startswith(prefix):
            last += 1
        found.append(held[first:last])
    return found


def _local(backend: AthenaBackend, key: Any) -> Path:
    """An object's content as a file for DuckDB, kept by its ETag; gzip by content, since names lie."""
    body_id = hashlib.sha256(f"{key.name}{key.etag}".encode()).hexdigest()[:32]
    path = sandbox.private(sandbox.home() / "athena") / body_id
    if not path.exists():
        part = path.with_suffix(f".{time.monotonic_ns()}")
        body = key.value
        part.write_bytes(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
        part.replace(path)
    return path


def _no_gzip(key: Any) -> bool:
    """Whether an object's name ends in .gz, by which a text table opens it, and its content is none."""
    return str(key.name).endswith(".gz") and key.value[:2] != b"\x1f\x8b"


@lru_cache(maxsize=20_000)
def _footer(path: str) -> Any:
    """The footer of a cached object; its file never changes, since its name is that of its content."""
    return pq.read_metadata(path)


def _chunks(footer: Any, columns: Iterable[str]) -> int:
    wanted = set(columns)
    total = 0
    for group in range(footer.num_row_groups):
        row_group = footer.row_group(group)
        for number in range(footer.num_columns):
            chunk = row_group.column(number)
            total += chunk.total_compressed_size if chunk.path_in_schema.lower() in wanted else 0
    return total


def _relation(source: Source, paths: list[str], db: Any, view: str, files: dict[str, Any]) -> str:
    types = {name: _TYPES.get(kind.split("(")[0], "VARCHAR") for name, kind in source.columns.items()}
    if not paths:
        empty = [f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in types.items()]
        empty += [f'CAST(NULL AS {_duck_type(source.type_of(key))}) AS "{key}"' for key in source.keys]
        return f"SELECT {', '.join(empty)} WHERE false"
    listed = ", ".join(f"'{path}'" for path in paths)
    if source.parquet:
        have = set(pq.read_schema(paths[0]).names)
        chosen = [
            f'CAST("{name}" AS {kind}) AS "{name}"' if name in have else f'CAST(NULL AS {kind}) AS "{name}"'
            for name, kind in types.items()
        ]
        reader = f"read_parquet([{listed}], union_by_name=true, filename='nk_file')"
    else:
        # The trim keeps DuckDB from casting while it reads, which would drop the line.
        # A number that does not parse is NULL, and fields beyond the declared ones are dropped (LazySimpleSerDe).
        raw = ", ".join(f"'{name}': 'VARCHAR'" for name in types)
        chosen = [
            f'TRY_CAST(trim("{name}") AS {kind}) AS "{name}"' if kind != "VARCHAR" else f'"{name}"'
            for name, kind in types.items()
        ]
        skip = int(source.properties.get("skip.header.line.count", "0"))
        reader = (
            f"read_csv([{listed}], delim='{source.separator}', header=false, skip={skip}, auto_detect=false, quote='', escape='',"
            f" null_padding=true, ignore_errors=true, strict_mode=false, columns={{{raw}}}, filename='nk_file')"
        )
    if not source.keys:
        return f"SELECT {', '.join(chosen)} FROM {reader}"
    declared = ", ".join(f'"{key}" {_duck_type(source.type_of(key))}' for key in source.keys)
    db.execute(f"CREATE TABLE parts_{view} (nk_file VARCHAR, {declared})")
    db.executemany(
        f"INSERT INTO parts_{view} VALUES ({', '.join('?' * (len(source.keys) + 1))})",
        [
            [
                path,
                *(_key_value(text, source.type_of(key)) for key, text in zip(source.keys, files[path][0], strict=True)),
            ]
            for path in paths
        ],
    )
    keys = ", ".join(f'p."{key}"' for key in source.keys)
    return f"SELECT {', '.join(chosen)}, {keys} FROM {reader} JOIN parts_{view} p USING (nk_file)"


# -------------------------------------------------------------------------------------------------------------- DDL


def _define(backend: AthenaBackend, text: str, database: str) -> Answer:
    glue = glue_backends[backend.account_id][backend.region_name]
    head = text.upper().split()
    if head[0] == "MSCK":
        return Answer()
    if head[0] == "SHOW" and head[1] == "TABLES":
        name = text.split()[-1].strip("`") if len(head) > 2 else database
        return Answer(
            [("tab_name", "string")],
            [(one,) for one in sorted(glue.databases[name].tables)] if name in glue.databases else [],
        )
    if head[0] == "CREATE" and head[1] in ("DATABASE", "SCHEMA"):
        name = text.split()[-1].strip("`")
        if name not in glue.databases:
            glue.create_database(name, {"Name": name})
        elif "EXISTS" not in head:
            raise Failed(f"FAILED: Database {name} already exists")
        return Answer()
    if head[0] == "DROP":
        return _drop(glue, text, head, database)
    if head[0] == "CREATE":
        return _create_table(glue, text, database)
    raise Failed(f"NOT_SUPPORTED: {' '.join(head[:2])} in the sandbox")


def _drop(glue: Any, text: str, head: Sequence[str], database: str) -> Answer:
    name = text.split()[-1].replace("`", "")
    if head[1] != "TABLE":
        glue.databases.pop(name, None)
        return Answer()
    owner, _, table = name.rpartition(".")
    owner = owner or database
    if owner in glue.databases and table in glue.databases[owner].tables:
        del glue.databases[owner].tables[table]
    elif "EXISTS" not in head:
        raise Failed(f"FAILED: SemanticException [Error 10001]: Table not found {table}")
    return Answer()


def _create_table(glue: Any, text: str, database: str) -> Answer:
    try:
        tree: Any = sqlglot.parse_one(text, read="athena")
    except sqlglot.errors.SqlglotError as problem:
        raise Failed(f"FAILED: ParseException {str(problem).splitlines()[0]}") from None
    schema = tree.this
    table = schema.this
    owner = table.db or database
    if owner not in glue.databases:
        raise Failed(f"FAILED: SemanticException [Error 10072]: Database does not exist: {owner}")
    if table.name in glue.databases[owner].tables:
        if not tree.args.get("exists"):
            raise Failed(f"FAILED: AlreadyExistsException: Table {table.name} already exists")
        return Answer()
    glue.create_table(owner, table.name, table_input(tree))
    return Answer()


def table_input(tree: exp.Create) -> dict[str, Any]:
    """What Athena gives Glue for a CREATE EXTERNAL TABLE."""
    properties = tree.args["properties"].expressions if tree.args.get("properties") else []
    settings = {one.this.name: one.args["value"].name for one in properties if type(one) is exp.Property}
    keys: list[Any] = next(
        (one.this.expressions for one in properties if isinstance(one, exp.PartitionedByProperty)), []
    )
    location = next((one.this.name for one in properties if isinstance(one, exp.LocationProperty)), "")
    stored = next((one.this.sql() for one in properties if isinstance(one, exp.FileFormatProperty)), "TEXTFILE")
    parquet = "PARQUET" in stored.upper()
    delimiter = next(
        (
            one.args["fields"].name
            for one in properties
            if isinstance(one, exp.RowFormatDelimitedProperty) and one.args.get("fields")
        ),
        "\x01",
    )
    if parquet:
        formats = (
            "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
        )
    else:
        formats = (
            "org.apache.hadoop.mapred.TextInputFormat",
            "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
            "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
        )
    return {
        "Name": tree.this.this.name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE", **settings},
        "PartitionKeys": [_glue_column(one) for one in keys],
        "StorageDescriptor": {
            "Columns": [_glue_column(one) for one in tree.this.expressions],
            "Location": location,
            "InputFormat": formats[0],
            "OutputFormat": formats[1],
            "SerdeInfo": {
                "SerializationLibrary": formats[2],
                "Parameters": {} if parquet else {"field.delim": delimiter},
            },
        },
    }


def _glue_column(definition: exp.Expression) -> dict[str, str]:
    kind = definition.args["kind"].sql(dialect="hive").lower() if definition.args.get("kind") else "string"
    return {"Name": definition.name.lower(), "Type": kind}
