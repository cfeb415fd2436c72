"""The private columnar copy: text is read once, whatever it is asked afterwards. Pure: local files only.

Text of any form becomes typed columns, judged on the way: Parquet in a private folder, or tables in memory while they are small.
Parquet that is well typed is read where it is.
The folder is of its owner only, bounded, named in coverage, and removed when the copy is closed, when it is forgotten, or at the
end of the interpreter; what a killed process left is removed by the next.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from netkit.core.errors import SourceError
from netkit.flowlogs import duck, files, forms
from netkit.flowlogs.duck import identifier, text
from netkit.flowlogs.fields import family_of
from netkit.flowlogs.files import Layout
from netkit.flowlogs.forms import Part, Reading

MOST_BYTES = 50_000_000_000  # of a copy on disk; it is about as large as the gzip text that it is of
_LEAST_FREE = 500_000_000
_HELD_BYTES = (
    300_000_000  # of text that is held in memory, as tables twice that; writing it would take as long as reading it
)
_BATCH_BYTES, _BATCH_FILES = 64_000_000, 200
_BAR_BYTES = 30_000_000  # less is read before a bar would be drawn
_PREFIX = "netkit-flows-"
_HELD = re.compile(r"nk_held_\d+$")


@dataclass
class File:
    """One of the person's files: its name as shown, what it came to, and what was counted in it."""

    path: Path
    name: str
    reading: Reading
    rows: int = 0
    malformed: int = 0
    examples: list[str] = field(default_factory=list)
    mended: int = 0
    doubts: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    first: int | None = None
    last: int | None = None
    left_out: str = ""
    odd: bool = False
    columns: tuple[str, ...] = ()


@dataclass
class Piece:
    """Records of one layout in the copy: the SELECT of all their columns, and the files that have been taken out of it."""

    columns: tuple[str, ...]
    sql: str
    numbers: set[int]
    excluded: set[int] = field(default_factory=set)
    judged: bool = True  # whether it has nk_wrong

    def select(self, *, every: bool = False) -> str:
        """SELECT of the well-formed records (or of `every` line), with nk_file."""
        tests = [] if every or not self.judged else ["nk_wrong IS NULL"]
        if self.excluded and not every:
            tests.append(f"nk_file NOT IN ({', '.join(map(str, sorted(self.excluded)))})")
        return f"SELECT * FROM ({self.sql}) AS piece" + (f" WHERE {' AND '.join(tests)}" if tests else "")


class Copy:
    """The files of a source, read once.

    formats     columns of the formats that headless lines may have
    most_bytes  what it may take on disk
    """

    def __init__(self, formats: Sequence[tuple[str, ...]] = (), most_bytes: int = MOST_BYTES) -> None:
        _sweep()
        self.formats, self.most_bytes = tuple(formats), most_bytes
        self.files: list[File] = []
        self.pieces: list[Piece] = []
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        self.close = weakref.finalize(self, shutil.rmtree, str(self.folder), ignore_errors=True)
        for name in ("in", "out", "parts"):
            (self.folder / name).mkdir()
        self._waiting: list[tuple[int, Part]] = []
        self._written = self._linked = self._held = 0
        self._db: duckdb.DuckDBPyConnection | None = None

    # ------------------------------------------------------------------------------------------------------ opening

    def add(self, found: Sequence[tuple[Path, str]]) -> None:
        """More files, by path and name as shown: what each is, by its content. They are read by ensure().

        Raises SourceError where not one of all files holds flow logs.
        """
        first: SourceError | None = None
        for path, name in found:
            number = len(self.files)
            try:
                reading = forms.read(path, self.folder / "parts", self.formats)
            except SourceError as problem:
                first = first or problem
                self.files.append(File(path, name, Reading(), left_out=problem.what, odd=True))
                continue
            self.files.append(File(path, name, reading))
            self._waiting += [(number, part) for part in reading.parts]
        if first and all(one.left_out for one in self.files):
            raise _renamed(first, found)

    @property
    def layouts(self) -> list[Layout]:
        """The layouts of all that was opened, in order of the files."""
        return list(dict.fromkeys(part.layout for one in self.files if not one.left_out for part in one.reading.parts))

    # ------------------------------------------------------------------------------------------------------ reading

    def ensure(self) -> None:
        """Read what was added and not yet read. Raises SourceError where nothing can be read, or the disk is too small."""
        if not self._waiting:
            return
        self._park()
        waiting, self._waiting = self._waiting, []
        whole = False
        try:
            with _bar(sum(_size(part.path) for _, part in waiting), len(waiting)) as bar:
                for batch in _batches(waiting):
                    self._read(batch, bar)
            whole = True
        finally:
            if not whole:  # stopped, as by Ctrl-C: nothing is half there, and the next question begins again
                self._waiting = waiting
                self._forget({number for number, _ in waiting})
        for path in (self.folder / "parts").iterdir():
            if path not in {part.path for _, part in waiting if part.layout.kind == "parquet"}:
                path.unlink()
        drop_repeated(self)
        self._check_any()

    def _forget(self, numbers: set[int]) -> None:
        for piece in self.pieces:
            if piece.numbers & numbers and (held := _HELD.search(piece.sql)):
                duck.run(self.db, f"DROP TABLE {held[0]}")
        self.pieces = [piece for piece in self.pieces if not piece.numbers & numbers]
        for number in numbers:
            old = self.files[number]
            self.files[number] = File(old.path, old.name, old.reading)

    def _check_any(self) -> None:
        alive = [one for one in self.files if not one.left_out]
        if not alive:
            worst = next(one for one in self.files if not one.odd)
            raise SourceError(worst.left_out, subject=worst.name, hint="fetch it again")

    def _read(self, batch: Sequence[tuple[int, Part]], bar: tqdm[Any] | None) -> None:
        """One batch of parts of one layout; where that fails, each by itself, and what cannot be read is left out."""
        try:
            self._convert(batch, bar)
        except duckdb.Error as problem:
            if isinstance(problem, duckdb.OutOfMemoryException) or "No space" in str(problem):
                raise SourceError(
                    f"the copy cannot be written: {duck.first_line(problem)}", subject=str(self.folder)
                ) from None
            if len(batch) > 1:
                for one in batch:
                    self._read([one], bar)
                return
            self._leave_out(batch[0][0], f"the file cannot be read to its end: {duck.first_line(problem)}")

    def _leave_out(self, number: int, why: str) -> None:
        one = self.files[number]
        one.left_out, one.rows, one.first, one.last = why, 0, None, None
        for piece in self.pieces:
            if number in piece.numbers:
                piece.excluded.add(number)

    def _convert(self, batch: Sequence[tuple[int, Part]], bar: tqdm[Any] | None) -> None:
        layout = batch[0][1].layout
        sql = files.copy_sql(layout, self._links(batch))
        numbers = {number for number, _ in batch}
        in_place = layout.kind == "parquet" and files.well_typed(layout)
        db = self.db.cursor()  # what DuckDB puts aside is a cursor's own
        try:
            if not in_place:
                sql = self._write(db, sql, bar, sum(map(_unpacked_size, batch)))
            piece = Piece(layout.known, sql, numbers)
            rejected = _rejected(db) if layout.kind == "text" else {}
            redo = self._settle(db, piece, batch, rejected)
        finally:
            db.close()
        piece.judged = not in_place
        self.pieces.append(piece)
        for number, part in redo:
            self._redo(number, part, piece)
        if bar is not None:
            bar.update(max(sum(_size(part.path) for _, part in batch) - _shown(bar), 0))
            bar.nk_shown = 0  # type: ignore[attr-defined]

    def _links(self, batch: Sequence[tuple[int, Part]]) -> list[Path]:
        """Links with names of ours: no name of others reaches SQL, and no sign in it is taken for a pattern."""
        self._linked += 1
        folder = self.folder / "in" / f"{self._linked:06}"
        folder.mkdir()
        links = [folder / f"{number:06}" for number, _ in batch]
        for link, (_, part) in zip(links, batch, strict=True):
            _link(part.path.resolve(), link)
        return links

    def _write(self, db: duckdb.DuckDBPyConnection, sql: str, bar: tqdm[Any] | None, size: int) -> str:
        """The rows of a SELECT, of text of about this size, in the copy: in memory while that is little, else as Parquet; the
        SELECT of them."""
        self._written += 1
        self._check_room()
        if self._held + size <= _HELD_BYTES:
            self._held += size
            table = f"nk_held_{self._written}"
            with _watched(db, bar):
                duck.run(db, f"CREATE TABLE {table} AS {sql}")
            return f"SELECT * FROM {table}"
        target = self.folder / "out" / f"{self._written:06}.parquet"
        with _watched(db, bar):
            duck.run(db, f"COPY ({sql}) TO {text(str(target))} (FORMAT parquet, COMPRESSION lz4)")
        return f"SELECT * FROM read_parquet({text(str(target))})"

    def _park(self) -> None:
        """Write what is held in memory to disk, since the connection is to be another one."""
        for piece in self.pieces:
            if _HELD.search(piece.sql):
                self._check_room()
                self._written += 1
                target = self.folder / "out" / f"{self._written:06}.parquet"
                duck.run(self.db, f"COPY ({piece.sql}) TO {text(str(target))} (FORMAT parquet, COMPRESSION lz4)")
                piece.sql = f"SELECT * FROM read_parquet({text(str(target))})"
        self._db, self._held = None, 0

    def _check_room(self) -> None:
        taken = self.bytes
        free = shutil.disk_usage(self.folder).free
        if taken > self.most_bytes or free < _LEAST_FREE:
            raise SourceError(
                f"the private copy of these logs would take more than {taken / 1e9:.1f} GB ({free / 1e9:.1f} GB are free)",
                subject=str(self.folder),
                hint="give disk_bytes, a TMPDIR with more room, or fewer files",
            )

    @property
    def held(self) -> int:
        """About how many bytes of text it holds in memory instead."""
        return self._held

    @property
    def bytes(self) -> int:
        """What the copy takes on disk."""
        return sum(one.stat().st_size for one in self.folder.rglob("*") if one.is_file() and not one.is_symlink())

    def _settle(
        self,
        db: duckdb.DuckDBPyConnection,
        piece: Piece,
        batch: Sequence[tuple[int, Part]],
        rejected: Mapping[int, list[str]],
    ) -> list[tuple[int, Part]]:
        """Count what a piece holds, file by file. Returns the parts in which the format changes, to be read anew."""
        layout = batch[0][1].layout
        counted = _counted(db, piece)
        wrong = _wrong(db, piece) if any(row.bad for row in counted.values()) else {}
        redo = []
        for number, part in batch:
            one, row = self.files[number], counted.get(number)
            lines = [*rejected.get(number, ()), *wrong.get(number, ())]
            if layout.kind == "text" and not part.own and self._changes(lines, layout):
                redo.append((number, part))
                continue
            mended = [fields for line in rejected.get(number, ()) if (fields := files.mend(line, layout))]
            repeated = sum(files.is_header(files.split(line, layout.separator)) for line in rejected.get(number, ()))
            bad = len(rejected.get(number, ())) - len(mended) - repeated + (row.bad if row else 0)
            if bad and layout.compression == "gzip" and (damage := _damage(part.path)):
                self._leave_out(number, damage)
                piece.excluded.add(number)
                continue
            self._count(one, row, piece.columns)
            one.malformed += bad
            left = [
                line
                for line in lines
                if not files.mend(line, layout) and not files.is_header(files.split(line, layout.separator))
            ]
            one.examples += left[: 3 - len(one.examples)]
            if mended:
                one.mended += len(mended)
                self._insert(one, number, layout, mended)
        for number, account, records in _accounts(db, piece):
            if number is not None and not self.files[number].left_out:
                self.files[number].doubts[account] = self.files[number].doubts.get(account, 0) + records
        return redo

    def _changes(self, lines: Sequence[str], layout: Layout) -> bool:
        """Whether lines that do not fit are records of another format, or its header."""
        for line in lines[:10_000]:
            words = files.split(line, layout.separator)
            if files.is_header(words) and files.safe_columns(words) != layout.columns:
                return True
            found = files.match_format(words, self.formats) if len(words) != len(layout.columns) else ()
            if found and [one for one in found if not one.startswith("nk_")] != list(layout.known):
                return True
        return False

    def _count(self, one: File, row: Any, columns: tuple[str, ...]) -> None:
        if row is not None:
            one.rows += row.n
            one.first = min((at for at in (one.first, row.a) if at is not None), default=None)
            one.last = max((at for at in (one.last, row.b) if at is not None), default=None)
        one.columns = tuple(dict.fromkeys((*one.columns, *columns)))

    def _insert(self, one: File, number: int, layout: Layout, records: Sequence[Sequence[str]]) -> None:
        """Records that were put aside for runs of blanks."""
        arrays: dict[str, Any] = {}
        for name in layout.known:
            texts = [fields[layout.columns.index(name)] for fields in records]
            numeric = files.duckdb_type(name) == "BIGINT"
            values = [None if word == "-" else int(word) for word in texts] if numeric else texts
            arrays[name] = pa.array(values, pa.int64() if numeric else pa.string())
        for name, last in (("start", False), ("end", True)):
            times = [at for at in arrays.get(name, pa.array([])).to_pylist() if at is not None]
            if times and last:
                one.last = max([*times, *([one.last] if one.last is not None else [])])
            elif times:
                one.first = min([*times, *([one.first] if one.first is not None else [])])
        one.rows += len(records)
        arrays["nk_file"] = pa.array([number] * len(records), pa.int32())
        arrays["nk_wrong"] = pa.nulls(len(records), pa.string())
        self._written += 1
        target = self.folder / "out" / f"{self._written:06}.parquet"
        pq.write_table(pa.table(arrays), target)
        self.pieces.append(Piece(layout.known, f"SELECT * FROM read_parquet({text(str(target))})", {number}))

    def _redo(self, number: int, part: Part, piece: Piece) -> None:
        """Read a text file in which formats change once more, line by line."""
        piece.excluded.add(number)
        one = self.files[number]
        try:
            one.reading = forms.split_file(part.path, self.folder / "parts", self.formats)
        except (SourceError, *forms.DAMAGE) as problem:
            self._leave_out(number, problem.what if isinstance(problem, SourceError) else str(problem))
            return
        for inner in one.reading.parts:
            self._read([(number, inner)], None)

    # ------------------------------------------------------------------------------------------------------- asking

    @property
    def db(self) -> duckdb.DuckDBPyConnection:
        """The connection that reads the copy and nothing else."""
        if self._db is None:
            own = [one.path for one in self.files if not one.left_out]
            parts = [part.path for one in self.files for part in one.reading.parts if part.layout.kind == "parquet"]
            self._db = duck.connect([*own, *parts], folder=self.folder)
        return self._db

    def formats_read(self) -> dict[tuple[str, ...], list[Piece]]:
        """The pieces by the fields that they have."""
        found: dict[frozenset[str], list[Piece]] = {}
        for piece in self.pieces:
            if piece.numbers - piece.excluded:
                found.setdefault(frozenset(piece.columns), []).append(piece)
        return {pieces[0].columns: pieces for pieces in found.values()}


def _link(path: Path, link: Path) -> None:
    """A link to a file. DuckDB takes a backslash for a slash when it looks at what is allowed, so such a file is held by itself."""
    if "\\" not in str(path):
        link.symlink_to(path)
        return
    try:
        link.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, link)


def _renamed(problem: SourceError, found: Sequence[tuple[Path, str]]) -> SourceError:
    names = {str(path): name for path, name in found}
    return SourceError(problem.what, subject=names.get(problem.subject, problem.subject), hint=problem.hint)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _unpacked_size(one: tuple[int, Part]) -> int:
    """About how large the text of a part is: gzip text of flow logs is some twelve times smaller."""
    return _size(one[1].path) * (1 if one[1].layout.compression == "none" else 12)


def _batches(waiting: Sequence[tuple[int, Part]]) -> Iterator[list[tuple[int, Part]]]:
    """Parts of one layout together, up to so many bytes; one file is in a batch once."""
    groups: dict[Layout, list[tuple[int, Part]]] = {}
    for number, part in waiting:
        groups.setdefault(part.layout, []).append((number, part))
    for group in groups.values():
        batch: list[tuple[int, Part]] = []
        for one in group:
            full = sum(_size(part.path) for _, part in batch) > _BATCH_BYTES or len(batch) >= _BATCH_FILES
            if batch and (full or one[0] in {number for number, _ in batch}):
                yield batch
                batch = []
            batch.append(one)
        yield batch


def _damage(path: Path) -> str:
    """What is wrong with a gzip file, whose checksum DuckDB does not look at; damage in it looks like malformed lines."""
    import gzip

    try:
        with gzip.open(path, "rb") as file:
            while file.read(1 << 20):
                pass
    except forms.DAMAGE as problem:
        return f"the file cannot be read to its end: {problem}"
    return ""


def _rejected(db: duckdb.DuckDBPyConnection) -> dict[int, list[str]]:
    """Lines that DuckDB put aside, by the number of their file, in order."""
    found = db.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'reject_errors'").fetchall()
    if not found[0][0]:
        return {}
    rows = db.execute(
        "SELECT DISTINCT s.file_path, e.line, e.csv_line FROM reject_errors e JOIN reject_scans s USING (scan_id, file_id) ORDER BY 1, 2"
    ).fetchall()
    lines: dict[int, list[str]] = {}
    for path, _, line in rows:
        lines.setdefault(int(path[-6:]), []).append(line)
    return lines


def _counted(db: duckdb.DuckDBPyConnection, piece: Piece) -> dict[int, Any]:
    first = '"start"' if "start" in piece.columns else "CAST(NULL AS BIGINT)"
    last = '"end"' if "end" in piece.columns else first
    sql = (
        "SELECT nk_file, count(*) FILTER (nk_wrong IS NULL) AS n, count(*) FILTER (nk_wrong <> '') AS bad,"
        f" min({first}) FILTER (nk_wrong IS NULL) AS a, max({last}) FILTER (nk_wrong IS NULL) AS b"
        f" FROM ({piece.sql}) AS piece GROUP BY nk_file"
    )
    return {row[0]: _Row(*row[1:]) for row in duck.run(db, sql).fetchall()}


@dataclass(frozen=True)
class _Row:
    n: int
    bad: int
    a: int | None
    b: int | None


def _wrong(db: duckdb.DuckDBPyConnection, piece: Piece) -> dict[int, list[str]]:
    """Malformed lines of the right width, some of each file."""
    sql = (
        f"SELECT nk_file, nk_wrong FROM ({piece.sql}) AS piece WHERE nk_wrong <> ''"
        " QUALIFY row_number() OVER (PARTITION BY nk_file ORDER BY nk_wrong) <= 1000 ORDER BY 1, 2"
    )
    found: dict[int, list[str]] = {}
    for number, line in duck.run(db, sql).fetchall():
        found.setdefault(number, []).append(line)
    return found


def _accounts(db: duckdb.DuckDBPyConnection, piece: Piece) -> list[tuple[int, str, int]]:
    """Records whose account id is none, by file and id."""
    if "account_id" not in piece.columns:
        return []
    sql = f"SELECT nk_file, account_id, count(*) FROM ({piece.sql}) AS piece WHERE nk_wrong IS NULL GROUP BY 1, 2 LIMIT 10000"
    return [row for row in duck.run(db, sql).fetchall() if files.doubtful_account(row[1])]


# ----------------------------------------------------------------------------------------------- the same record twice

# The same record: same interface, 5-tuple, start, end and counts; and what else all files have that can tell two apart.
_SAME = ("srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end")
_WHERE = ("interface_id", "tgw_attachment_id", "resource_id")
_TELLS = ("action", "log_status", "flow_direction", "tcp_flags", "pkt_srcaddr", "pkt_dstaddr", "traffic_path", "tgw_id")
_DELIVERED = re.compile(r"_(fl-[0-9a-f]+)_\d{8}T\d{4}Z_")


def drop_repeated(copy: Copy) -> None:
    """Take out records that are in several files: those of two flow logs over one interface, or x.log.gz beside x.log.

    Each is kept as often as the file has it that has it most often. Within one file nothing is taken for a repetition.
    """
    for family in ("vpc", "tgw"):
        pieces = [one for one in copy.pieces if family_of(one.columns) == family and one.numbers - one.excluded]
        able = [one for one in pieces if set(_SAME) <= set(one.columns) and set(_WHERE) & set(one.columns)]
        _drop_records(copy, able)
        _drop_files(copy, [one for one in pieces if one not in able])


def _may_repeat(copy: Copy, numbers: set[int]) -> bool:
    """Whether records of these files can be the same: not where one flow log delivered all, under names of its own."""
    alive = [copy.files[number] for number in numbers if copy.files[number].rows]
    logs = {match[1] if (match := _DELIVERED.search(one.name)) else None for one in alive}
    once = len({one.name.rsplit("/", 1)[-1].removesuffix(".gz") for one in alive}) == len(alive)
    if None not in logs and len(logs) == 1 and once:
        return False
    spans = sorted((one.first or 0, one.last or 0) for one in alive)
    return any(later[0] <= earlier[1] for earlier, later in zip(spans, spans[1:], strict=False))


def _twice_covered(copy: Copy, numbers: set[int]) -> tuple[int, int]:
    """From when to when more than one file has records: what is in two of them is within that."""
    spans = sorted((one.first or 0, one.last or 0) for one in (copy.files[number] for number in numbers) if one.rows)
    reach, both = spans[0][1], []
    for first, last in spans[1:]:
        if first <= reach:
            both.append((first, min(last, reach)))
        reach = max(reach, last)
    return min(low for low, _ in both), max(high for _, high in both)


def _drop_records(copy: Copy, pieces: list[Piece]) -> None:
    numbers = {number for piece in pieces for number in piece.numbers - piece.excluded}
    if len(numbers) < 2 or not _may_repeat(copy, numbers):
        return
    shared = set.intersection(*(set(piece.columns) for piece in pieces))
    place = [name for name in _WHERE if name in shared]
    if not place:
        return
    key = ", ".join(identifier(name) for name in (*place[:1], *_SAME, *(name for name in _TELLS if name in shared)))
    low, high = _twice_covered(copy, numbers)
    union = " UNION ALL ".join(
        f'SELECT hash({key}) AS h, nk_file FROM ({piece.select()}) AS one WHERE "end" >= {low} AND "start" <= {high}'
        for piece in pieces
    )
    db = copy.db
    rows = sum(copy.files[number].rows for number in numbers)
    passes = 1 + rows // 10_000_000  # so that what is grouped at once is bounded
    duck.run(db, "CREATE OR REPLACE TEMP TABLE nk_drops (h UBIGINT, nk_file INTEGER)")
    for step in range(passes):
        duck.run(
            db,
            f"INSERT INTO nk_drops WITH counted AS (SELECT h, nk_file, count(*) AS n FROM ({union}) AS all_files"
            f" WHERE h % {passes} = {step} GROUP BY h, nk_file),"
            " ranked AS (SELECT *, row_number() OVER (PARTITION BY h ORDER BY n DESC, nk_file) AS place FROM counted"
            " QUALIFY count(*) OVER (PARTITION BY h) > 1) SELECT h, nk_file FROM ranked WHERE place > 1",
        )
    dropped = duck.run(db, "SELECT DISTINCT nk_file FROM nk_drops").fetchall()
    for piece in pieces:
        if mine := sorted({row[0] for row in dropped} & piece.numbers):
            _rewrite(copy, piece, mine, f"hash({key})")
    duck.run(db, "DROP TABLE nk_drops")


def _rewrite(copy: Copy, piece: Piece, numbers: Sequence[int], key: str) -> None:
    """A piece without the records that other files have, and how many those were."""
    counted = "SELECT nk_file, count(*) FROM ({}) AS one GROUP BY 1"
    before = dict(duck.run(copy.db, counted.format(piece.select())).fetchall())
    twice = f"EXISTS (SELECT 1 FROM nk_drops AS d WHERE d.nk_file = one.nk_file AND d.h = {key})"
    if held := _HELD.search(piece.sql):
        mine = f"nk_file IN ({', '.join(map(str, numbers))})"
        duck.run(copy.db, f"DELETE FROM {held[0]} AS one WHERE {mine} AND nk_wrong IS NULL AND {twice}")
    else:
        copy._written += 1
        target = copy.folder / "out" / f"{copy._written:06}.parquet"
        kept = f"SELECT * FROM ({piece.select()}) AS one WHERE NOT {twice}"
        duck.run(copy.db, f"COPY ({kept}) TO {text(str(target))} (FORMAT parquet, COMPRESSION lz4)")
        piece.sql, piece.excluded = f"SELECT * FROM read_parquet({text(str(target))})", set(piece.excluded)
    left = dict(duck.run(copy.db, counted.format(piece.select())).fetchall())
    for number in numbers:
        gone = before.get(number, 0) - left.get(number, 0)
        copy.files[number].dropped["records that another file has too"] = gone
        copy.files[number].rows -= gone


def _drop_files(copy: Copy, pieces: list[Piece]) -> None:
    """Where the fields cannot tell records apart: whole files that hold the same lines."""
    seen: dict[tuple[Any, ...], int] = {}
    for piece in pieces:
        names = ", ".join(identifier(name) for name in sorted(piece.columns))
        sql = f"SELECT nk_file, count(*), sum(hash({names})), bit_xor(hash({names})) FROM ({piece.select()}) AS one GROUP BY 1 ORDER BY 1"
        for number, *mark in duck.run(copy.db, sql).fetchall() if len(piece.numbers) > 1 or len(pieces) > 1 else ():
            key = (tuple(sorted(piece.columns)), *mark)
            if (first := seen.setdefault(key, number)) != number:
                piece.excluded.add(number)
                one = copy.files[number]
                one.dropped[f"the same lines as {copy.files[first].name}"] = one.rows
                one.rows = 0


# ------------------------------------------------------------------------------------------------------------- progress


def _sweep() -> None:
    """Remove what killed processes of this user left."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        match = re.fullmatch(rf"{_PREFIX}(\d+)-\w+", path.name)
        if match and path.is_dir() and path.stat().st_uid == os.getuid() and not _runs(int(match[1])):
            shutil.rmtree(path, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _shown(bar: tqdm[Any]) -> int:
    return int(getattr(bar, "nk_shown", 0))


@contextmanager
def _bar(total: int, count: int) -> Iterator[tqdm[Any] | None]:
    """A bar in bytes for what takes a while; one line instead where nobody watches."""
    if total < _BAR_BYTES:
        yield None
    elif not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        sys.stderr.write(f"netkit: reading {count} flow-log files once, {total / 1e6:,.0f} MB\n")
        yield None
    else:
        with tqdm(total=total, desc="reading flow logs once", unit="B", unit_scale=True, leave=False) as bar:
            yield bar


@contextmanager
def _watched(db: duckdb.DuckDBPyConnection, bar: tqdm[Any] | None) -> Iterator[None]:
    """While a statement runs, move the bar by what DuckDB says of its progress."""
    if bar is None:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            share = db.query_progress()
            if 0 < share <= 100 and bar.total:
                step = int(share / 100 * min(bar.total - bar.n + _shown(bar), _BATCH_BYTES)) - _shown(bar)
                if step > 0:
                    bar.update(step)
                    bar.nk_shown = _shown(bar) + step  # type: ignore[attr-defined]

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
