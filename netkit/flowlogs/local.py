"""DuckDB over files: those of this machine, and objects of S3 that are fetched once."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from tqdm.auto import tqdm

from netkit.core.errors import AwsError, FieldError, QueryFailed, SourceError, WindowError
from netkit.core.model import Window
from netkit.core.session import Session, aws_errors
from netkit.flowlogs import duck, read
from netkit.flowlogs.catalog import Query, Value, part
from netkit.flowlogs.copy import MOST_BYTES, Copy, File, Piece
from netkit.flowlogs.duck import identifier
from netkit.flowlogs.engine import COVERAGE_COLUMNS, Ran, overlapping
from netkit.flowlogs.fields import COLUMNS, family_of
from netkit.flowlogs.shared import Shared, reader
from netkit.flowlogs.table import check_bucket

_KEPT_ANSWERS, _KEPT_ROWS = 32, 50_000


class FileEngine:
    """DuckDB over files. All are read once, at the first question, into a private columnar copy (copy.py).

    A query reads the formats that have every field it needs; VPC and Transit Gateway records are never added up. What it leaves
    out for want of a field is in `Ran.notes` and in coverage.

    names: how a file is called in coverage and errors, where it is not by its path
    """

    name = "duckdb"

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        formats: Sequence[tuple[str, ...]] = (),
        names: Mapping[Path, str] | None = None,
        disk_bytes: int = MOST_BYTES,
        strict: bool = True,
    ) -> None:
        self._copy = Copy(formats, disk_bytes)
        self._strict = strict
        self._answers: dict[tuple[str, tuple[Value, ...]], pd.DataFrame] = {}
        self._shared: Shared | None = None
        self.add(paths, names or {})

    def add(self, paths: Sequence[Path], names: Mapping[Path, str]) -> None:
        """More files. Raises SourceError where none of all holds flow logs."""
        self._copy.add([(path, names.get(path, str(path))) for path in paths])

    @property
    def formats(self) -> tuple[tuple[str, ...], ...]:
        """The columns of each format of record that the files have, the richest first."""
        if self._copy.pieces:
            found = list(self._copy.formats_read())
        else:
            found = list({frozenset(layout.known): layout.known for layout in self._copy.layouts}.values())
        return tuple(sorted(found, key=lambda columns: (family_of(columns) == "tgw", -len(columns))))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that records have: of VPC flow logs, or of Transit Gateways' where there are no others."""
        families = [family_of(columns) for columns in self.formats]
        chosen = [one for one, family in zip(self.formats, families, strict=True) if family == families[0]]
        return tuple(dict.fromkeys(name for columns in chosen for name in columns))

    def run(self, query: Query, sql: str, values: list[Value], window: Window | None) -> tuple[pd.DataFrame, Ran]:
        """Raises FieldError where a window is asked of a log without start, WindowError for a window that the files miss,
        SourceError where nothing can be read, QueryFailed with DuckDB's reason."""
        begun = time.monotonic()
        self._judge()
        if window and self._strict:
            self._check_window(window)
        while True:
            flows, bound, notes = self._flows(query, window)
            text, whole = query.over(flows, sql, (*query.fields, *query.optional)), [*bound, *values]
            key = (text, tuple(whole))
            if key in self._answers:  # files do not change once they are read
                return self._answers[key].copy(), Ran(text, tuple(whole), time.monotonic() - begun, notes=notes)
            try:
                frame = self._asked(query, sql, values, window, (text, whole))
            except duckdb.Error as problem:
                if not self._leave_out_culprit():
                    raise QueryFailed(f"DuckDB failed the query: {duck.first_line(problem)}") from None
                continue
            self._remember(key, frame)
            return frame, Ran(text, tuple(whole), time.monotonic() - begun, notes=notes)

    def _remember(self, key: tuple[str, tuple[Value, ...]], frame: pd.DataFrame) -> None:
        """Keep the last few answers that are small: an investigation asks some questions twice."""
        if len(frame) <= _KEPT_ROWS:
            self._answers[key] = frame.copy()
            while len(self._answers) > _KEPT_ANSWERS:
                del self._answers[next(iter(self._answers))]

    def _asked(
        self, query: Query, sql: str, values: list[Value], window: Window | None, plain: tuple[str, list[Value]]
    ) -> pd.DataFrame:
        """The answer to a query, over what it has in common with others where it has that."""
        if part("legs") not in sql:
            return duck.run(self._db, *plain).df()
        if self._shared is None or self._shared.db is not self._db:
            self._shared = Shared(self._db)
        flows, bound, _ = self._flows(reader(), window, self._chosen(query))
        if text := self._shared.over(sql, flows, bound):
            return duck.run(self._db, text, values).df()
        flows, bound, _ = self._flows(query, window)
        text = self._shared.lighter(query, sql, flows, bound)
        return duck.run(self._db, text or plain[0], [*bound, *values]).df()

    def _judge(self) -> None:
        """Read what was not yet read."""
        self._copy.ensure()

    @property
    def _db(self) -> duckdb.DuckDBPyConnection:
        return self._copy.db

    def _chosen(self, query: Query) -> list[tuple[tuple[str, ...], list[Piece]]]:
        """The formats that have what a query needs, of one family."""
        able = [one for one in self._copy.formats_read().items() if not query.missing(one[0])]
        families = {family_of(columns) for columns, _ in able}
        family = "vpc" if "vpc" in families else "tgw"
        return [one for one in able if family_of(one[0]) == family]

    def _flows(
        self, query: Query, window: Window | None, formats: Sequence[tuple[tuple[str, ...], list[Piece]]] | None = None
    ) -> tuple[str, list[Value], tuple[str, ...]]:
        """The records that a query reads (of these formats), its columns typed and in one order, and what was left out."""
        parts: list[str] = []
        values: list[Value] = []
        chosen = self._chosen(query) if formats is None else formats
        for columns, pieces in chosen:
            if window and "start" not in columns:
                raise FieldError(
                    "these records have no start, so that no window can be cut from them",
                    hint="open them without a window",
                )
            select = ", ".join(f"{query.column(name, columns)} AS {identifier(name)}" for name in query.reads_all)
            union = " UNION ALL ".join(_select(piece, columns) for piece in pieces)
            where, bound = overlapping(window, columns)
            parts.append(f"SELECT {select} FROM ({union}) AS records{where}")
            values += bound
        if not parts:  # every file of the format was left out
            empty = ", ".join(f"{query.column(name, ())} AS {identifier(name)}" for name in query.reads_all)
            parts = [f"SELECT {empty} WHERE false"]
        return "\nUNION ALL\n".join(parts), values, self._left_out(query, chosen)

    def _left_out(self, query: Query, chosen: Sequence[tuple[tuple[str, ...], list[Piece]]]) -> tuple[str, ...]:
        notes = []
        for columns, pieces in self._copy.formats_read().items():
            if columns in {one[0] for one in chosen}:
                continue
            numbers = {number for piece in pieces for number in piece.numbers - piece.excluded}
            rows = sum(self._copy.files[number].rows for number in numbers)
            lacks = ", ".join(query.missing(columns)) or "they are of a Transit Gateway"
            notes.append(f"{rows:,} records of {len(numbers)} files left out: {lacks}")
        return tuple(notes)

    def _check_window(self, window: Window) -> None:
        """Refuse a window that these files miss wholly: nothing in it can be told from them."""
        seen = [one for one in self._copy.files if one.first is not None and one.last is not None]
        if not seen:
            return
        first, last = min(one.first or 0 for one in seen), max(one.last or 0 for one in seen)
        start, end = window.epoch()
        if end <= first or start > last:
            span = f"{_moment(first)} to {_moment(last + 1)}"
            raise WindowError(
                f"no record of these files is in the window {window}: they hold {span}",
                subject=seen[0].name + (f" and {len(seen) - 1} more" if len(seen) > 1 else ""),
                hint='give a window within that, or none (window_start "" and window_end "") for all of the files',
            )

    def _leave_out_culprit(self) -> bool:
        """Leave out the first file that cannot be read by itself, since DuckDB does not always name it; whether there is one."""
        for piece in self._copy.pieces:
            for number in sorted(piece.numbers - piece.excluded):
                one = self._copy.files[number]
                try:
                    duck.run(self._db, f"SELECT max(hash(one)) FROM ({piece.select()}) AS one WHERE nk_file = {number}")
                except duckdb.Error as problem:
                    self._copy._leave_out(number, f"the file cannot be read to its end: {duck.first_line(problem)}")
                    self._copy._check_any()
                    return True
                del one
        return False

    def coverage(self, window: Window | None) -> pd.DataFrame:
        """One row a file: rows are its well-formed records (of any time), skipped its malformed lines. Files that are no flow
        logs, or cannot be read, are named with the reason."""
        self._judge()
        rows = [_file_row(one, self._lacking(one)) for one in self._copy.files]
        frame = pd.DataFrame(rows, columns=[*COVERAGE_COLUMNS])
        if len(frame) and (told := "; ".join([*self._edges(window), *self._kept()])):
            note = str(frame.loc[0, "note"])
            frame.loc[0, "note"] = f"{note}; {told}" if note else told
        return frame

    def _lacking(self, one: File) -> str:
        """The fields that other files of its family have and this one has not."""
        if not one.columns or family_of(one.columns) != family_of(self.columns):
            return (
                "Transit Gateway records, asked by their own queries" if one.columns and len(self.formats) > 1 else ""
            )
        lacks = [COLUMNS[name].name for name in self.columns if name not in one.columns and name != "log_status"]
        return f"has no {', '.join(lacks[:6])}{' …' if len(lacks) > 6 else ''}, as other files have" if lacks else ""

    def _edges(self, window: Window | None) -> list[str]:
        """How many records reach over the window's ends; they count whole."""
        if window is None:
            return []
        start, end = window.epoch()
        before = after = 0
        for columns, pieces in self._copy.formats_read().items():
            if not {"start", "end"} <= set(columns):
                continue
            union = " UNION ALL ".join(f'SELECT "start", "end" FROM ({piece.select()}) AS one' for piece in pieces)
            sql = (
                'SELECT count(*) FILTER ("start" < ? AND "end" >= ?), count(*) FILTER ("start" < ? AND "end" >= ?)'
                f" FROM ({union}) AS records"
            )
            found = duck.run(self._db, sql, [start, start, end, end]).fetchall()[0]
            before, after = before + found[0], after + found[1]
        told = [f"{before:,} records begin before the window and count whole"] if before else []
        return told + ([f"{after:,} records end after it and count whole"] if after else [])

    def _kept(self) -> list[str]:
        size, held = self._copy.bytes, self._copy.held
        told = [f"private copy of {size / 1e6:,.1f} MB on disk, removed at the end"] if size > 1_000_000 else []
        return told + ([f"some {held / 1e6:,.0f} MB of text held in memory"] if held > 10_000_000 else [])

    def close(self) -> None:
        """Remove the private copy."""
        self._copy.close()


def _select(piece: Piece, columns: Sequence[str]) -> str:
    names = ", ".join(identifier(name) for name in columns)
    return f"SELECT {names} FROM ({piece.select()}) AS one"


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _file_row(one: File, lacks: str) -> dict[str, Any]:
    """The coverage row of a file: what was well formed, malformed, in doubt, dropped, or why it was left out."""
    base = one.name.rsplit("/", 1)[-1]
    named = re.match(r"(\d{12})_(?:vpcflowlogs|transitgateway)_([a-z0-9-]+)_", base)
    account, region = named.groups() if named else ("", "")
    lost = one.reading.lost
    skipped = one.malformed + lost.count
    examples = [*one.examples, *lost.examples]
    if one.left_out:
        # a file of something else is no loss; one that is broken is
        state = "empty" if one.odd and "cannot be read" not in one.left_out else "skipped"
        note = f"left out: {one.left_out}"[:400]
        return dict(zip(COVERAGE_COLUMNS, (account, region, base, state, 0, 0, note, None, None), strict=True))
    notes = [f"{skipped} malformed, as: {' | '.join(examples[:3])[:300]}"] if skipped else []
    notes += [f"{one.mended} with runs of blanks taken in"] if one.mended else []
    doubts = sum(one.doubts.values())
    notes += [f"{doubts} with an account id that is none, as {sorted(one.doubts)[0]}"] if doubts else []
    notes += [f"{count} dropped, {why}" for why, count in one.dropped.items() if count]
    notes += ["no log-status: records are taken for OK"] if one.columns and "log_status" not in one.columns else []
    notes += [*one.reading.notes, *([lacks] if lacks else [])]
    state = "skipped" if skipped else "ok" if one.rows or one.dropped else "empty"
    values = (account, region, base, state, one.rows, skipped, "; ".join(notes), one.first, one.last)
    return dict(zip(COVERAGE_COLUMNS, values, strict=True))


class ObjectEngine:
    """DuckDB over objects in S3: those that a window can be in are fetched once into a temporary folder and read there.

    DuckDB's own S3 reader is an extension that is downloaded at run time; fetching through the session keeps one set of
    credentials and endpoints, and a second query costs nothing. A query with a baseline fetches what it needs beyond.
    """

    name = "duckdb"

    def __init__(
        self,
        session: Session,
        source: str,
        window: Window | None,
        *,
        formats: Sequence[tuple[str, ...]] = (),
        disk_bytes: int = MOST_BYTES,
    ) -> None:
        bucket, _, self._prefix = source.removeprefix("s3://").partition("/")
        self._bucket, self._session, self._source = check_bucket(bucket), session, source
        self._chosen: dict[str, Any] = {"formats": formats, "disk_bytes": disk_bytes}
        self._folder = tempfile.TemporaryDirectory(prefix="netkit-objects-")
        self._fetched: set[str] = set()
        self._span: Window | None = None
        self._files: FileEngine | None = None
        self._over(window)

    @property
    def columns(self) -> tuple[str, ...]:
        """As FileEngine.columns."""
        return self._files.columns if self._files else ()

    @property
    def formats(self) -> tuple[tuple[str, ...], ...]:
        """As FileEngine.formats."""
        return self._files.formats if self._files else ()

    def run(self, query: Query, sql: str, values: list[Value], window: Window | None) -> tuple[pd.DataFrame, Ran]:
        """Raises what FileEngine.run does."""
        return self._over(window).run(query, sql, values, window)

    def coverage(self, window: Window | None) -> pd.DataFrame:
        """One row an object that the window can be in, as FileEngine.coverage."""
        return self._over(window).coverage(window)

    def _over(self, window: Window | None) -> FileEngine:
        """The engine over all that was fetched, and what this window needs beyond."""
        inside = self._span is None or (
            window is not None and self._span.start <= window.start and window.end <= self._span.end
        )
        if self._files and inside:
            return self._files
        found = read.objects(self._session, self._bucket, [self._prefix], window)
        if not found and not self._files:
            hint = "look at 20_flow_logs_provision: is a flow log active?"
            raise SourceError("there are no flow-log objects here for this window", subject=self._source, hint=hint)
        fetched = self._fetch(
            [str(one["Key"]) for one in found if f"s3://{self._bucket}/{one['Key']}" not in self._fetched]
        )
        self._fetched |= set(fetched.values())
        if self._files is None:
            # a quiet window of a bucket is an answer; that of a file is a mistake
            self._files = FileEngine(sorted(fetched), names=fetched, strict=False, **self._chosen)
        elif fetched:
            self._files.add(sorted(fetched), fetched)
        self._span = window
        return self._files

    def _fetch(self, keys: Sequence[str]) -> dict[Path, str]:
        """Objects into files; what each is called: s3://, the bucket and its key."""
        client = self._session.client("s3")
        first = len(self._fetched)

        def fetch(numbered: tuple[int, str]) -> tuple[Path, str]:
            number, key = numbered
            path = Path(self._folder.name) / f"{number:06}"  # no name of others on this disk
            address = f"s3://{self._bucket}/{key}"
            try:
                with aws_errors("s3:get_object"):
                    client.download_file(self._bucket, key, str(path))
            except AwsError as refused:
                refused.subject = f"{address} ({refused.subject})"  # which of the many
                raise
            return path, address

        with ThreadPoolExecutor(8) as pool:
            asked = pool.map(fetch, enumerate(keys, first))
            bar = tqdm(
                asked, total=len(keys), desc="fetching objects", unit="object", leave=False, disable=len(keys) < 3
            )
            return dict(bar)
