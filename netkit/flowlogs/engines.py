"""Three engines for one catalogue: DuckDB over files, Athena over a table, Logs Insights over a log group.

Each answers the same names with the same columns and numbers. `open_logs` picks the engine by the source and gives a
FlowLogs, which is all that a notebook sees.
"""

from __future__ import annotations

import io
import math
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pandas as pd
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from netkit.core import costs, insights
from netkit.core.errors import FieldError, QueryError, QueryFailed, SourceError, WindowError
from netkit.core.model import Coverage, Window
from netkit.core.session import Session
from netkit.core.text import escaped
from netkit.flowlogs import duck, files, read
from netkit.flowlogs.catalog import Param, Query, Value, catalogue, find_query
from netkit.flowlogs.fields import COLUMNS
from netkit.flowlogs.table import (
    PARTITIONS_AFTER,
    PARTITIONS_BEFORE,
    FlowLogSpec,
    check_bucket,
    check_identifier,
    partition_predicates,
)

COVERAGE_COLUMNS = ("account", "region", "table", "state", "rows", "skipped", "note", "first_seen", "last_seen")
LISTING_S = 60.0  # how long a listing of a window's objects serves for estimates
_WINDOW_START = Param("window_start", "epoch", None, "start of the window, Unix seconds")
_SMALL_BYTES = 8_000_000  # files so small in all are judged at their first query; it takes about a second


@dataclass(frozen=True)
class Ran:
    """What the last query was and took: its text as sent, bound values, seconds, scanned bytes and cost (0 for files)."""

    sql: str
    values: tuple[Value, ...]
    seconds: float
    scanned_bytes: int = 0
    estimated_usd: float = 0.0
    cost_usd: float = 0.0


class Engine(Protocol):
    """What FlowLogs asks of an engine."""

    name: str
    columns: tuple[str, ...]

    def run(self, query: Query, sql: str, values: list[Value], window: Window | None) -> tuple[pd.DataFrame, Ran]:
        """The rows of a query whose text and values are bound, over the window."""
        ...

    def coverage(self, window: Window | None) -> pd.DataFrame:
        """COVERAGE_COLUMNS, one row a file or table."""
        ...


class FlowLogs:
    """Flow logs that can be asked: `.query(name, **parameters)`, `.names()`, `.coverage()`, `.explain(name)`.

    fields: field names the log carries; window: what it is bounded by (for files the span of their records)
    """

    def __init__(self, source: str, engine: Engine, window: Window | None) -> None:
        self.source = source
        self.engine = engine
        self._window = window
        self.last: Ran | None = None
        self._coverage: pd.DataFrame | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """Field names (with hyphens) that every record has."""
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
        return [name for name, query in catalogue().items() if all_queries or not query.missing(self.engine.columns)]

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
        query.check_fields(self.engine.columns)
        sql, values = self._bind(query, given)
        frame, self.last = self.engine.run(query, sql, values, self._widened(given))
        return query.typed(frame)

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
    *,
    workgroup: str = "netkit",
    results: str = "",
    account: str = "",
    budget_usd: float = 1.0,
    ledger: Path | None = None,
) -> FlowLogs:
    """Flow logs from files, S3, an Athena table or a log group.

    source     a path, folder or glob; "s3://bucket/prefix"; "database.table" (Athena); "logs:GROUP" (Logs Insights)
    session    needed for all but local files
    window     needed for Athena and Logs Insights; for files the default is the span of their records
    workgroup  Athena workgroup; results: s3:// location of its results, where the workgroup does not set one
    budget_usd what one query may cost at most; ledger: file for the cost of each

    Raises SourceError for a source that is none, WindowError for an unbounded one, and what session reads raise.
    """
    text = str(source).strip()
    if text.startswith("s3://"):
        return FlowLogs(text, ObjectEngine(_needed(session, text), text, window), window)
    if text.startswith("logs:"):
        bounded = _bounded(window, text)
        return FlowLogs(
            text, InsightsEngine(_needed(session, text), text.removeprefix("logs:"), budget_usd, ledger), bounded
        )
    looks_like_table = re.fullmatch(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*", text) and not Path(text).exists()
    if looks_like_table and session is not None:
        database, _, table = text.partition(".")
        bounded = _bounded(window, text)
        shape = read.table_shape(session, check_identifier(database), check_identifier(table))
        return FlowLogs(text, AthenaEngine(session, shape, workgroup, results, account, budget_usd, ledger), bounded)
    return FlowLogs(text, FileEngine(files.find_files(text)), window)


def _needed(session: Session | None, source: str) -> Session:
    if session is None:
        raise SourceError("this source needs a session", subject=source, hint="netkit.connect(...) gives one")
    return session


def _bounded(window: Window | None, source: str) -> Window:
    if window is None:
        raise WindowError(
            "a query without a window is refused: it would read everything",
            subject=source,
            hint="give window=Window.parse(…)",
        )
    return window


# ------------------------------------------------------------------------------------------------------------- files


class FileEngine:
    """DuckDB over local files. Nothing is loaded: each query streams the columns that it needs.

    Files are judged once, line by line: at the first query where they are small, else with coverage(). Before that a
    query checks what it reads itself; after it files without a malformed line are read with no check at all.
    """

    name = "duckdb"

    def __init__(self, paths: Sequence[Path]) -> None:
        self._groups = files.group(paths)
        self.columns = files.common_columns(list(self._groups))
        self._small = sum(path.stat().st_size for path in paths) <= _SMALL_BYTES
        self._db = duck.connect(paths)
        self._judged: pd.DataFrame | None = None
        self._clean: set[Path] = set()
        self._mended: dict[files.Layout, list[list[str]]] = {}

    def run(self, query: Query, sql: str, values: list[Value], window: Window | None) -> tuple[pd.DataFrame, Ran]:
        """Raises FieldError where a window is asked of a log without start, SourceError for a file that cannot be read to
        its end, QueryFailed with DuckDB's reason."""
        if window and "start" not in self.columns:
            raise FieldError(
                "these records have no start, so that no window can be cut from them", hint="open them without a window"
            )
        begun = time.monotonic()
        if self._small:
            self._judge()
        frame, text, bound = self._answer(query, sql, values, window)
        if self._judged is None and self._rejected():
            self._judge()
            frame, text, bound = self._answer(query, sql, values, window)
        return frame, Ran(text, tuple(bound), time.monotonic() - begun)

    def _answer(
        self, query: Query, sql: str, values: list[Value], window: Window | None
    ) -> tuple[pd.DataFrame, str, list[Value]]:
        flows, window_values = self._flows(query.reads(self.columns), window)
        text, bound = query.over(flows, sql, self.columns), [*window_values, *values]
        return self._fetch(text, bound), text, bound

    def _fetch(self, text: str, bound: Sequence[Value] = ()) -> pd.DataFrame:
        try:
            return self._db.execute(text, list(bound)).df()
        except duckdb.Error as problem:
            why = _first_line(problem)
            if culprit := self._culprit():
                raise SourceError(
                    f"the file cannot be read to its end: {why}", subject=culprit, hint="fetch it again"
                ) from None
            raise QueryFailed(f"DuckDB failed the query: {why}") from None

    def _culprit(self) -> str:
        """The first file that cannot be read by itself; DuckDB does not always name it."""
        for layout, paths in self._groups.items():
            for path in paths:
                try:
                    self._db.execute(files.touch_sql(layout, path)).fetchall()
                except duckdb.Error:
                    return str(path)
        return ""

    def _flows(self, columns: Sequence[str], window: Window | None) -> tuple[str, list[Value]]:
        needed = list(dict.fromkeys([*columns, *(["start"] if window else [])]))
        parts = [part for layout, paths in self._groups.items() for part in self._parts(layout, paths, needed)]
        union = "\nUNION ALL\n".join(parts)
        if window is None:
            return union, []
        return f'SELECT * FROM (\n{union}\n)\nWHERE "start" >= ? AND "start" < ?', list(window.epoch())

    def _parts(self, layout: files.Layout, paths: Sequence[Path], columns: Sequence[str]) -> list[str]:
        """The SELECTs of one layout: files not judged yet, or those found clean, those found not, and mended lines."""
        if self._judged is None:
            return [files.read_sql(layout, paths, columns, check="typed")]
        clean = [path for path in paths if path in self._clean]
        other = [path for path in paths if path not in self._clean]
        parts = [files.read_sql(layout, clean, columns, check="none")] if clean else []
        parts += [files.read_sql(layout, other, columns, check="raw")] if other else []
        return parts + ([self._mended_sql(layout, columns)] if self._mended.get(layout) else [])

    def _mended_sql(self, layout: files.Layout, columns: Sequence[str]) -> str:
        name = f"mended_{list(self._groups).index(layout)}"
        self._db.register(name, pd.DataFrame(self._mended[layout], columns=list(layout.columns), dtype="object"))
        numbers = {one for one in columns if files.duckdb_type(one) == "BIGINT"}
        chosen = ", ".join(
            f'CAST(NULLIF("{one}", \'-\') AS BIGINT) AS "{one}"' if one in numbers else f'"{one}"' for one in columns
        )
        return f"SELECT {chosen} FROM {name}"

    def _rejected(self) -> bool:
        return self._has_rejects() and bool(self._db.execute("SELECT count(*) FROM reject_errors").fetchall()[0][0])

    def _has_rejects(self) -> bool:
        found = self._db.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'reject_errors'").fetchall()
        return bool(found[0][0])

    def _forget_rejects(self) -> None:
        if self._has_rejects():
            self._db.execute("DELETE FROM reject_errors; DELETE FROM reject_scans")

    def _judge(self) -> pd.DataFrame:
        """Read every column of every line, once: per file what is well formed, what is not, and examples."""
        if self._judged is None:
            rows = [row for layout, paths in self._groups.items() for row in self._judge_group(layout, paths)]
            self._judged = pd.DataFrame(rows, columns=[*COVERAGE_COLUMNS])
        return self._judged

    def _judge_group(self, layout: files.Layout, paths: Sequence[Path]) -> list[dict[str, Any]]:
        self._forget_rejects()
        summary = files.parquet_summary_sql if layout.kind == "parquet" else files.text_summary_sql
        seen = {row.nk_file: row for row in self._fetch(summary(layout, paths)).itertuples()}
        rejected = self._rejects() if layout.kind == "text" else {}
        rows = []
        for path in paths:
            mended = [(line, files.mend(line, layout)) for line in rejected.get(str(path), ())]
            malformed = [line for line, fields in mended if fields is None]
            taken = [fields for _, fields in mended if fields is not None]
            row = _file_row(path, seen.get(str(path)), malformed, taken, layout)
            if row["skipped"] and layout.compression == "gzip":
                files.check_gzip(path)  # damage within a file looks like malformed lines
            if not mended and not row["skipped"]:
                self._clean.add(path)
            self._mended.setdefault(layout, []).extend(taken)
            rows.append(row)
        self._forget_rejects()
        return rows

    def _rejects(self) -> dict[str, list[str]]:
        """Lines that DuckDB put aside, by file, in order."""
        if not self._has_rejects():
            return {}
        found = self._db.execute(
            "SELECT DISTINCT s.file_path, e.line, e.csv_line FROM reject_errors e JOIN reject_scans s USING (scan_id, file_id) ORDER BY 1, 2"
        ).fetchall()
        lines: dict[str, list[str]] = {}
        for path, _, line in found:
            lines.setdefault(path, []).append(line)
        return lines

    def coverage(self, window: Window | None) -> pd.DataFrame:
        """One row a file: rows are its well-formed records (of any time), skipped its malformed lines."""
        del window  # the files are judged whole
        return self._judge().copy()


def _file_row(
    path: Path, seen: Any, malformed: Sequence[str], taken: Sequence[Sequence[str]], layout: files.Layout
) -> dict[str, Any]:
    """The coverage row of a file: what was well formed, malformed, and taken in although it has runs of blanks."""
    rows, bad = (int(seen.n), int(seen.bad)) if seen is not None else (0, 0)
    skipped = bad + len(malformed)
    examples = [*malformed[:3], *([seen.wrong] if bad else [])]
    named = re.match(r"(\d{12})_vpcflowlogs_([a-z0-9-]+)_", path.name)
    account, region = named.groups() if named else ("", "")
    state = "skipped" if skipped else "ok" if rows + len(taken) else "empty"
    notes = [f"{skipped} malformed, as: {' | '.join(examples)[:300]}"] if skipped else []
    notes += [f"{len(taken)} with runs of blanks taken in"] if taken else []
    span = _span(seen, taken, layout)
    values = (account, region, path.name, state, rows + len(taken), skipped, "; ".join(notes), *span)
    return dict(zip(COVERAGE_COLUMNS, values, strict=True))


def _span(seen: Any, taken: Sequence[Sequence[str]], layout: files.Layout) -> tuple[int | None, int | None]:
    """First start and last end among the records of a file."""
    firsts = [int(seen.a)] if seen is not None and pd.notna(seen.a) else []
    lasts = [int(seen.b)] if seen is not None and pd.notna(seen.b) else []
    for values, name in ((firsts, "start"), (lasts, "end")):
        if name in layout.columns:
            place = layout.columns.index(name)
            values.extend(int(fields[place]) for fields in taken if fields[place] != "-")
    return min(firsts, default=None), max(lasts, default=None)


def _first_line(problem: Exception) -> str:
    return str(problem).strip().splitlines()[0][:300]


class ObjectEngine:
    """DuckDB over objects in S3: those that a window can be in are fetched once into a temporary folder and read there.

    DuckDB's own S3 reader is an extension that is downloaded at run time; fetching through the session keeps one set of
    credentials and endpoints, and a second query costs nothing. A query with a baseline fetches what it needs beyond.
    """

    name = "duckdb"

    def __init__(self, session: Session, source: str, window: Window | None) -> None:
        bucket, _, self._prefix = source.removeprefix("s3://").partition("/")
        self._bucket, self._session, self._source = check_bucket(bucket), session, source
        self._folder = tempfile.TemporaryDirectory(prefix="netkit-")
        self._fetched: dict[str, Path] = {}
        self._span: Window | None = None
        self._files = self._over(window)
        self.columns = self._files.columns

    def run(self, query: Query, sql: str, values: list[Value], window: Window | None) -> tuple[pd.DataFrame, Ran]:
        """Raises what FileEngine.run does."""
        return self._over(window).run(query, sql, values, window)

    def coverage(self, window: Window | None) -> pd.DataFrame:
        """One row an object that the window can be in, as FileEngine.coverage."""
        return self._over(window).coverage(window)

    def _over(self, window: Window | None) -> FileEngine:
        """The engine over all that was fetched, and what this window needs beyond."""
        if self._fetched and (
            self._span is None or (window and self._span.start <= window.start and window.end <= self._span.end)
        ):
            return self._files
        found = read.objects(self._session, self._bucket, [self._prefix], window)
        if not found and not self._fetched:
            hint = "look at 20_flow_logs_provision: is a flow log active?"
            raise SourceError("there are no flow-log objects here for this window", subject=self._source, hint=hint)
        self._fetch([str(one["Key"]) for one in found if one["Key"] not in self._fetched])
        self._span = window
        self._files = FileEngine(sorted(self._fetched.values()))
        return self._files

    def _fetch(self, keys: Sequence[str]) -> None:
        client = self._session.client("s3")
        first = len(self._fetched)

        def fetch(numbered: tuple[int, str]) -> tuple[str, Path]:
            number, key = numbered
            path = Path(self._folder.name) / str(number) / Path(key).name  # two folders may hold the same name
            path.parent.mkdir()
            client.download_file(self._bucket, key, str(path))
            return key, path

        with ThreadPoolExecutor(8) as pool:
            asked = pool.map(fetch, enumerate(keys, first))
            self._fetched |= dict(tqdm(asked, total=len(keys), desc="fetching objects", unit="object", leave=False))


# ------------------------------------------------------------------------------------------------------------ Athena


class AthenaEngine:
    """Athena over a table, through awswrangler, with an estimate before and a ledger line after each query."""

    name = "athena"

    def __init__(
        self,
        session: Session,
        shape: read.TableShape,
        workgroup: str,
        results: str,
        account: str,
        budget_usd: float,
        ledger: Path | None,
    ) -> None:
        self._session, self._shape, self._workgroup, self._results = session, shape, workgroup, results
        self._account = account or session.account_id
        self._budget_usd = budget_usd
        self._ledger = costs.CostLedger(ledger) if ledger else None
        self._listed: dict[Window, tuple[float, list[dict[str, Any]]]] = {}
        self._footers: dict[str, dict[str, int]] = {}
        self.columns = tuple(name for name in shape.columns if name in COLUMNS)

    def run(self, query: Query, sql: str, values: list[Value], window: Window | None) -> tuple[pd.DataFrame, Ran]:
        """Raises BudgetError before anything is started, QueryFailed with Athena's reason."""
        import awswrangler as wr

        flows, window_values = self._flows(query.reads(self.columns), _bounded(window, self._shape.table))
        text, bound = query.over(flows, sql, self.columns), [*window_values, *values]
        estimate = self.estimate_bytes(query.reads(self.columns), _bounded(window, self._shape.table))
        estimated_usd = costs.athena_cost(estimate)
        costs.check_budget(estimated_usd, self._budget_usd, f"the query {query.name}")
        begun = time.monotonic()
        try:
            frame = wr.athena.read_sql_query(
                text, database=self._shape.database, ctas_approach=False, unload_approach=False, workgroup=self._workgroup,
                s3_output=self._results or None, paramstyle="qmark", params=[literal(value) for value in bound],
                boto3_session=self._session.boto3, athena_query_wait_polling_delay=0.25,
            )  # fmt: skip
        except wr.exceptions.QueryFailed as problem:
            raise QueryFailed(f"Athena failed the query: {_first_line(problem)}", subject=self._shape.table) from None
        except wr.exceptions.QueryCancelled as problem:
            raise QueryFailed(
                f"Athena cancelled the query: {_first_line(problem)}", hint="the workgroup has a scan limit"
            ) from None
        scanned = int(frame.query_metadata["Statistics"]["DataScannedInBytes"])
        ran = Ran(text, tuple(bound), time.monotonic() - begun, scanned, estimated_usd, costs.athena_cost(scanned))
        if self._ledger:
            self._ledger.record(
                f"athena {query.name}", estimated_usd=estimated_usd, cost_usd=ran.cost_usd, scanned_bytes=scanned
            )
        return frame, ran

    def _flows(self, columns: Sequence[str], window: Window) -> tuple[str, list[Value]]:
        predicates, values = self._partitions(window)
        chosen = ", ".join(f'"{name}"' for name in columns)
        where = " AND ".join([*([predicates] if predicates else []), '"start" >= ?', '"start" < ?'])
        text = f'SELECT {chosen}\nFROM "{self._shape.database}"."{self._shape.table}"\nWHERE {where}'
        return text, [*values, *window.epoch()]

    def _partitions(self, window: Window) -> tuple[str, list[Value]]:
        """Predicates for account, region and time, by the names that netkit and AWS's own tables give their partitions."""
        keys = self._shape.partition_keys
        clauses: list[str] = []
        values: list[Value] = []
        for names, value in (
            (("acct", "aws-account-id", "account"), self._account),
            (("rgn", "aws-region"), self._session.region),
        ):
            for key in names:
                if key in keys:
                    clauses.append(f'"{key}" = ?')
                    values.append(value)
        date_key = next((key for key in ("dt", "date", "day") if key in keys), "dt")
        date_format = self._shape.parameters.get(f"projection.{date_key}.format", "yyyy/MM/dd")
        times, time_values = partition_predicates(keys, window, date_format=date_format)
        return " AND ".join([*clauses, *([times] if times else [])]), [*values, *time_values]

    def estimate_bytes(self, columns: Sequence[str], window: Window) -> int:
        """Bytes that a query over these columns and this window will scan, about: the objects of the window, and for
        Parquet the columns' share of one of them. An upper bound for text."""
        bucket, prefixes = self._prefixes(window)
        found = self._objects(bucket, prefixes, window)
        total = sum(int(one["Size"]) for one in found)
        if not found or self._shape.file_format != "parquet":
            return total
        largest = max(found, key=lambda one: int(one["Size"]))
        return math.ceil(total * self._share(bucket, largest["Key"], {*columns, "start"}))

    def _objects(self, bucket: str, prefixes: Sequence[str], window: Window) -> list[dict[str, Any]]:
        """The objects of a window, listed once a minute: a notebook asks forty questions about one window, and this is an estimate."""
        listed, found = self._listed.get(window, (0.0, []))
        if not listed or time.monotonic() - listed > LISTING_S:
            found = [
                one
                for prefix in prefixes
                for one in self._session.pages("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix)
            ]
            self._listed[window] = (time.monotonic(), found)
        return found

    def _prefixes(self, window: Window) -> tuple[str, list[str]]:
        template = self._shape.parameters.get("storage.location.template", self._shape.location)
        bucket, _, path = template.removeprefix("s3://").partition("/")
        _, values = partition_predicates(self._shape.partition_keys, window)
        if not values:
            return bucket, [re.split(r"\$\{", path)[0]]
        known = path.replace("${acct}", self._account).replace("${rgn}", self._session.region)
        span = window.widened(before=PARTITIONS_BEFORE, after=PARTITIONS_AFTER)
        parts = {"dt": "%Y/%m/%d", "year": "%Y", "month": "%m", "day": "%d", "hour": "%H"}
        return bucket, sorted({_fill(known, hour, parts) for hour in span.hours()})

    def _share(self, bucket: str, key: str, columns: set[str]) -> float:
        """The share of some columns in the bytes of a Parquet object, from its footer."""
        sizes = self._sizes(bucket, key)
        wanted = sum(size for name, size in sizes.items() if name.replace("-", "_") in columns)
        return wanted / max(sizes[""], 1)

    def _sizes(self, bucket: str, key: str) -> dict[str, int]:
        """Bytes of each column of a Parquet object, and of the whole under ""; read once."""
        if key not in self._footers:
            body = self._session.call("s3", "get_object", Bucket=bucket, Key=key)["Body"].read()
            meta = pq.ParquetFile(io.BytesIO(body)).metadata
            sizes = {"": len(body)}
            for group in range(meta.num_row_groups):
                for column in range(meta.num_columns):
                    chunk = meta.row_group(group).column(column)
                    sizes[chunk.path_in_schema] = sizes.get(chunk.path_in_schema, 0) + chunk.total_compressed_size
            self._footers[key] = sizes
        return self._footers[key]

    def coverage(self, window: Window | None) -> pd.DataFrame:
        """One row, the table: rows of any status in the window. Athena reads a field that is no number as NULL, so that
        malformed lines of text tables cannot be counted here."""
        query = find_query("interface_coverage")
        sql, values = query.bind({})
        frame, _ = self.run(query, sql, values, window)
        note = "" if self._shape.file_format == "parquet" else "Athena hides malformed lines of text"
        return _one_row(self._account, self._session.region, f"{self._shape.database}.{self._shape.table}", frame, note)


def _fill(path: str, when: datetime, parts: Mapping[str, str]) -> str:
    for key, fmt in parts.items():
        path = path.replace(f"${{{key}}}", when.strftime(fmt))
    return path


def _one_row(account: str, region: str, table: str, frame: pd.DataFrame, note: str) -> pd.DataFrame:
    rows = int(frame["records"].sum()) if len(frame) else 0
    span = (frame["first_seen"].min(), frame["last_seen"].max()) if rows else (None, None)
    values = (account, region, table, "ok" if rows else "empty", rows, 0, note, *span)
    return pd.DataFrame([dict(zip(COVERAGE_COLUMNS, values, strict=True))])


def literal(value: Value) -> str:
    """A value as an Athena execution parameter: a string in single quotes, doubled inside; a number bare."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)


# ---------------------------------------------------------------------------------------------------- Logs Insights


class InsightsEngine:
    """Logs Insights over a log group: it finds and cuts the records of the window, DuckDB runs the catalogue's SQL on them.

    Insights gives at most 10,000 rows a query, so the window is cut by the number of records in it. It charges by bytes
    scanned whatever the fields, so all fields of a window are fetched once and later queries within it cost nothing.
    """

    name = "insights"

    def __init__(self, session: Session, group: str, budget_usd: float, ledger: Path | None) -> None:
        self._session, self._group, self._budget_usd = session, group, budget_usd
        self._ledger = costs.CostLedger(ledger) if ledger else None
        found = session.pages(
            "ec2", "describe_flow_logs", "FlowLogs", Filter=[{"Name": "log-group-name", "Values": [group]}]
        )
        specs = {FlowLogSpec.from_described(one, session.account_id, session.region).columns for one in found}
        if len(specs) != 1:
            what = (
                "no flow log writes to this log group"
                if not specs
                else "flow logs of different formats write to this log group"
            )
            raise SourceError(
                what, subject=group, hint="netkit reads the format from DescribeFlowLogs and does not guess it"
            )
        self.columns = specs.pop()
        self.scanned_bytes = 0
        self._span: Window | None = None
        self._db = duck.connect()

    def run(self, query: Query, sql: str, values: list[Value], window: Window | None) -> tuple[pd.DataFrame, Ran]:
        """Raises BudgetError before anything is started, QueryFailed with Insights' reason."""
        begun, self.scanned_bytes = time.monotonic(), 0
        bounded = _bounded(window, self._group)
        estimated_usd = 0.0 if self._has(bounded) else costs.insights_cost(self._stored_bytes())
        costs.check_budget(estimated_usd, self._budget_usd, f"the query {query.name}")
        if not self._has(bounded):
            self._fetch(bounded)
        columns = list(dict.fromkeys([*query.reads(self.columns), "start"]))
        flows = f'SELECT {", ".join(f"{chr(34)}{name}{chr(34)}" for name in columns)} FROM fetched WHERE "start" >= ? AND "start" < ?'
        text, bound = query.over(flows, sql, self.columns), [*bounded.epoch(), *values]
        frame = self._db.execute(text, bound).df()
        ran = Ran(
            text,
            tuple(bound),
            time.monotonic() - begun,
            self.scanned_bytes,
            estimated_usd,
            costs.insights_cost(self.scanned_bytes),
        )
        if self._ledger:
            self._ledger.record(
                f"insights {query.name}",
                estimated_usd=estimated_usd,
                cost_usd=ran.cost_usd,
                scanned_bytes=ran.scanned_bytes,
            )
        return frame, ran

    def _has(self, window: Window) -> bool:
        return self._span is not None and self._span.start <= window.start and window.end <= self._span.end

    def _fetch(self, window: Window) -> None:
        """All fields of a window's records into the table `fetched`, slice by slice."""
        kinds = ", ".join(f'"{name}" {files.duckdb_type(name)}' for name in self.columns)
        self._db.execute(f"CREATE OR REPLACE TABLE fetched ({kinds})")
        numbers = {name for name in self.columns if files.duckdb_type(name) == "BIGINT"}
        chosen = ", ".join(
            f"TRY_CAST(NULLIF(\"{name}\", '-') AS BIGINT)" if name in numbers else f'"{name}"' for name in self.columns
        )
        for rows in self._records(window):
            self._db.register("part", pd.DataFrame(rows, columns=list(self.columns), dtype="object"))
            self._db.execute(f"INSERT INTO fetched SELECT {chosen} FROM part")
            self._db.unregister("part")
        self._span = window

    def _stored_bytes(self) -> int:
        """What the whole group stores: an upper bound of what a query of it scans."""
        groups = self._session.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=self._group)
        return sum(int(one.get("storedBytes", 0)) for one in groups if one["logGroupName"] == self._group)

    def _records(self, window: Window) -> Iterator[list[list[str]]]:
        """The records of a window, a slice at a time."""
        marks = " ".join("*" for _ in self.columns)
        names = [f"f_{name}" for name in self.columns]
        wanted = (
            f'parse @message "{marks}" as {", ".join(names)} | fields {", ".join(names)} | limit {insights.MOST_ROWS}'
        )
        start, end = window.epoch()  # event time is a record's start
        slices, self.scanned_bytes = insights.slices(self._session, [self._group], start, end - 1)
        for first, last in tqdm(slices, desc="Logs Insights", unit="slice", leave=False, disable=len(slices) < 3):
            answer = insights.ask(self._session, [self._group], wanted, first, last)
            self.scanned_bytes += answer.scanned_bytes
            yield [[cells.get(name) or "-" for name in names] for cells in answer.rows]

    def coverage(self, window: Window | None) -> pd.DataFrame:
        """One row, the log group: records of any status in the window."""
        query = find_query("interface_coverage")
        sql, values = query.bind({})
        frame, _ = self.run(query, sql, values, window)
        return _one_row(self._session.account_id, self._session.region, self._group, frame, "")
