"""Flow logs of any source, asked in one way: `open_logs` picks the engine and gives a FlowLogs, all that a notebook sees.

DuckDB over files and objects (local.py), Athena over a table (athena.py), Logs Insights over a log group (loggroup.py). Each
answers the same names with the same columns and numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from netkit.core.errors import QueryError, SourceError, WindowError
from netkit.core.model import Coverage, Window
from netkit.core.session import Session
from netkit.core.text import escaped
from netkit.flowlogs import adhoc, files, read
from netkit.flowlogs.athena import AthenaEngine, literal
from netkit.flowlogs.catalog import Param, Query, Value, catalogue, find_query
from netkit.flowlogs.copy import MOST_BYTES
from netkit.flowlogs.engine import COVERAGE_COLUMNS, Engine, Ran, bounded
from netkit.flowlogs.fields import COLUMNS, FIELDS, named_format
from netkit.flowlogs.local import FileEngine, ObjectEngine
from netkit.flowlogs.loggroup import InsightsEngine
from netkit.flowlogs.table import check_identifier

__all__ = [
    "AthenaEngine",
    "Engine",
    "FileEngine",
    "FlowLogs",
    "InsightsEngine",
    "ObjectEngine",
    "Ran",
    "literal",
    "open_logs",
]

_WINDOW_START = Param("window_start", "epoch", None, "start of the window, Unix seconds")


class FlowLogs:
    """Flow logs that can be asked: `.query(name, **parameters)`, `.names()`, `.coverage()`, `.explain(name)`; and what the
    catalogue has not: `.sql(text, **values)`, `.records(**filters)`.

    fields: field names the log carries; window: what it is bounded by (for files the span of their records). A record that
    overlaps the window counts, whole.
    """

    def __init__(self, source: str, engine: Engine, window: Window | None) -> None:
        self.source = source
        self.engine = engine
        self._window = window
        self.last: Ran | None = None
        self._coverage: pd.DataFrame | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """Field names (with hyphens) that records have. Where formats differ, a query reads those that have all it needs."""
        return tuple(COLUMNS[name].name for name in self.engine.columns if name in COLUMNS)

    @property
    def window(self) -> Window:
        """The window asked for; for files without one, the span of their records. Raises WindowError for empty files."""
        if self._window is None:
            seen = self.coverage().dropna(subset=["first_seen"])
            if seen.empty:
                notes = [note for note in self.coverage()["note"] if note]
                hint = notes[0] if notes else "look at .coverage()"
                raise WindowError(
                    "there are no well-formed records, so there is no window", subject=self.source, hint=hint
                )
            first, last = int(seen["first_seen"].min()), int(seen["last_seen"].max())
            self._window = Window(datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last + 1, UTC))
        return self._window

    def names(self, *, all_queries: bool = False) -> list[str]:
        """Names of the queries that this log's fields allow (or of all)."""
        return [name for name, query in catalogue().items() if all_queries or self._format(query) is not None]

    def _format(self, query: Query) -> tuple[str, ...] | None:
        """The first format that has all that a query needs."""
        return next((columns for columns in self.engine.formats if not query.missing(columns)), None)

    def _check_fields(self, query: Query) -> None:
        """Raise FieldError, naming what lacks, unless some format has all that a query needs."""
        if self._format(query) is None:
            nearest = min(self.engine.formats or ((),), key=lambda columns: len(query.missing(columns)))
            query.check_fields(nearest)

    def explain(self, name: str) -> str:
        """A query's question, parameters, columns, notes and text."""
        query = find_query(name)
        return f"{query}\n\n{query.sql}"

    def query(self, name: str, **parameters: Any) -> pd.DataFrame:
        """The answer to a query of the catalogue, with the columns and dtypes that its header says.

        Raises QueryError for an unknown name, parameter or value and FieldError for a field that the log lacks, all
        before any AWS call; BudgetError above the budget; QueryFailed when the engine fails it.
        """
        query = find_query(name)
        given = dict(parameters)
        self._check_fields(query)
        sql, values = self._bind(query, given)
        frame, self.last = self.engine.run(query, sql, values, self._widened(given))
        return self._noted(query.typed(frame))

    def sql(self, text: str, **values: Any) -> pd.DataFrame:
        """The answer to a SELECT of your own over `flows`, whose columns are the log's fields with "_" for "-".

        Values are bound: `:name` in the text takes name=…, a list in `IN (:ports)` too. It only reads, only `flows`, only the
        window, and is priced as every query is. Raises QueryError for anything else, FieldError for a field that the log lacks,
        BudgetError above the budget, QueryFailed with the engine's reason.
        """
        dialect = "athena" if self.engine.name == "athena" else "duckdb"
        query, sql, bound = adhoc.sql_query(text, values, self.engine.columns, dialect)
        return self._asked(query, sql, bound)

    def records(self, *, limit: int = 1000, **filters: Any) -> pd.DataFrame:
        """Records as they are, every field of the log as a column, earliest first.

        filters: host, source, destination (addresses), port, source_port, destination_port, protocol, interface, action, status
        limit: records at most. Raises as sql() does.
        """
        query, sql, bound = adhoc.records_query(filters, limit, self.engine.columns)
        return self._asked(query, sql, bound)

    def _asked(self, query: Query, sql: str, bound: list[Value]) -> pd.DataFrame:
        self._check_fields(query)
        frame, self.last = self.engine.run(query, sql, bound, self._window)
        return self._noted(adhoc.typed(frame))

    def _noted(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame, which says in attrs["left_out"] what was not read for want of a field."""
        if self.last and self.last.notes:
            frame.attrs["left_out"] = list(self.last.notes)
        return frame

    def _bind(self, query: Query, given: dict[str, Any]) -> tuple[str, list[Value]]:
        """query.bind(), with the window's start where the text asks for it: a value that only netkit gives."""
        if ":window_start" not in query.sql:
            return query.bind(given)
        declared = replace(query, params=(*query.params, _WINDOW_START))
        return declared.bind({**given, "window_start": self.window.epoch()[0]})

    def _widened(self, given: Mapping[str, Any]) -> Window | None:
        """The window, begun earlier where the query has a baseline. Raises QueryError for one that does not come before."""
        if "baseline_start" not in given:
            return self._window
        start = datetime.fromtimestamp(int(given["baseline_start"]), UTC)
        if start >= self.window.start:
            raise QueryError(
                f"the baseline starts at {start:%Y-%m-%dT%H:%MZ}, not before the window",
                hint="baseline_start: Unix seconds",
            )
        return Window(start, self.window.end)

    def coverage(self) -> pd.DataFrame:
        """How much of the source was read: account, region, table, state, rows, skipped (malformed lines), note (examples),
        first_seen, last_seen (Unix seconds of the records). One row a file, or one a table."""
        if self._coverage is None:
            self._coverage = self.engine.coverage(self._window)
        return self._coverage

    def coverage_rows(self) -> tuple[Coverage, ...]:
        """The same as Coverage values, for findings."""
        rows = self.coverage()[list(COVERAGE_COLUMNS[:7])].to_dict("records")
        return tuple(Coverage(**{str(key): value for key, value in row.items()}) for row in rows)

    def __str__(self) -> str:
        return f"flow logs from {self.source} ({self.engine.name}), {len(self.fields)} fields, {self._window or 'whole files'}"

    def _repr_html_(self) -> str:
        return f"<p><b>{escaped(self)}</b><br><code>{escaped(' '.join(self.fields))}</code></p>"


def open_logs(
    source: str | Path,
    session: Session | None = None,
    window: Window | None = None,
    format: str | Sequence[str] | None = None,
    *,
    workgroup: str = "netkit",
    results: str = "",
    account: str = "",
    budget_usd: float = 1.0,
    ledger: Path | None = None,
    disk_bytes: int = MOST_BYTES,
) -> FlowLogs:
    """Flow logs from files, S3, an Athena table or a log group.

    source     a path, folder or glob; "s3://bucket/prefix"; "database.table" (Athena); "logs:GROUP" (Logs Insights)
    session    needed for all but local files
    window     needed for Athena and Logs Insights; for files the default is the span of their records
    format     the fields of records that no header line names: "v5" (AWS's fields up to that version, in its order), "tgw", a
               LogFormat "${version} ${srcaddr} …", or several of these; AWS's default format needs none
    workgroup  Athena workgroup; results: s3:// location of its results, where the workgroup does not set one
    budget_usd what one query may cost at most; ledger: file for the cost of each
    disk_bytes what the private copy of text files may take on disk (copy.py)

    What a file is, is told by its content (forms.py); what holds no flow logs is left out and named in coverage.
    Raises SourceError for a source that is none, WindowError for an unbounded one, and what session reads raise.
    """
    text = str(source).strip()
    formats = _formats(format)
    if text.startswith("s3://"):
        objects = ObjectEngine(_needed(session, text), text, window, formats=formats, disk_bytes=disk_bytes)
        return FlowLogs(text, objects, window)
    if text.startswith("logs:"):
        span, group = bounded(window, text), text.removeprefix("logs:")
        return FlowLogs(text, InsightsEngine(_needed(session, text), group, span, budget_usd, ledger, formats), span)
    looks_like_table = re.fullmatch(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*", text) and not Path(text).exists()
    if looks_like_table and session is not None:
        database, _, table = text.partition(".")
        span = bounded(window, text)
        shape = read.table_shape(session, check_identifier(database), check_identifier(table))
        return FlowLogs(text, AthenaEngine(session, shape, workgroup, results, account, budget_usd, ledger), span)
    return FlowLogs(text, FileEngine(files.find_files(source), formats=formats, disk_bytes=disk_bytes), window)


def _formats(given: str | Sequence[str] | None) -> tuple[tuple[str, ...], ...]:
    """Columns of the formats named. Raises FieldError for one that is none."""
    texts = [given] if isinstance(given, str) else list(given or ())
    return tuple(tuple(FIELDS[name].column for name in named_format(one)) for one in texts if one.strip())


def _needed(session: Session | None, source: str) -> Session:
    if session is None:
        raise SourceError("this source needs a session", subject=source, hint="netkit.connect(...) gives one")
    return session
