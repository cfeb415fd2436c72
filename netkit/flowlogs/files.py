"""Flow-log files as DuckDB relations: what a file is, by its content, and the SQL that reads it. Pure: local files only.

A file is Parquet or text; text is gzip or plain, with a header line (as S3 delivery writes), headless in AWS's default
format, or a CloudWatch Logs export (an ISO time before each record), separated by runs of spaces, tabs or commas.

Nothing malformed is dropped in silence or guessed. A line is malformed when it has too few or too many fields, a number
that is none (DuckDB alone would read 1.5 as 2 and 1E+09 as a thousand million), an account id that is none (a spreadsheet's
6.02485E+11), or an action or status that AWS does not write. Lines of the wrong width are put aside by DuckDB while it
reads; the others fail `valid`. Strings that are missing stay "-", as Athena has them; numbers that are missing are NULL.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq
from pyarrow.lib import ArrowInvalid

from netkit.core.errors import FieldError, SourceError
from netkit.flowlogs.duck import identifier, text
from netkit.flowlogs.fields import COLUMNS, DEFAULT_V2, FIELDS

_HEAD_BYTES = 64 * 1024
_ISO_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_ACTIONS, _STATUSES = ("ACCEPT", "REJECT", "-"), ("OK", "NODATA", "SKIPDATA")
_BLANKS = (
    "blanks"  # separator of a layout whose lines only a pattern can cut: runs of blanks, or a comma after the time
)
_NO_SUCH_SIGN = "\\x1f"

# none: the files were judged and are well formed; typed: everything but the spelling of numbers; raw: everything
Check = Literal["none", "typed", "raw"]


@dataclass(frozen=True)
class Layout:
    """How the records of a file are laid out; files of one layout are read together.

    columns: column names in record order, for text with "event_time" first in an export. Others' names never get here: a
    column that is no flow-log field is "nk_" and its place, so that only names of ours reach SQL
    names, types: for Parquet, the columns as the file spells them and their Arrow types
    """

    kind: str  # parquet, text
    columns: tuple[str, ...]
    types: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    separator: str = " "
    header: bool = False
    compression: str = "none"

    @property
    def known(self) -> tuple[str, ...]:
        """The columns that are flow-log fields."""
        return tuple(name for name in self.columns if name in COLUMNS)


def find_files(source: str | Path) -> list[Path]:
    """The files of a path, a folder (all below it) or a glob, in order. Raises SourceError where there is none."""
    path = Path(source).expanduser()
    text = str(path)
    if any(sign in text for sign in "*?["):
        anchor = Path(path.anchor or ".")
        found = [
            one for one in anchor.glob(str(path.relative_to(path.anchor)) if path.anchor else text) if one.is_file()
        ]
    elif path.is_dir():
        found = [one for one in path.rglob("*") if one.is_file() and not one.name.startswith((".", "_"))]
    else:
        found = [path] if path.exists() else []
    if not found:
        raise SourceError(
            "there are no flow-log files here",
            subject=text,
            hint="give a file, a folder or a pattern such as logs/*.gz",
        )
    return sorted(found)


def sniff(path: Path) -> Layout:
    """The layout of a file, by its content. Raises SourceError for a file that is not flow logs, naming it."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        if magic == b"PAR1":
            return _sniff_parquet(path)
        packed = magic[:2] == b"\x1f\x8b"
        if not packed and path.suffix == ".gz":
            raise SourceError(
                "the file is named .gz and is not gzip", subject=str(path), hint="unpack or fetch it again"
            )
        lines = _head(path, packed=packed)
    except (OSError, EOFError, zlib.error) as problem:
        raise SourceError(f"the file cannot be read: {problem}", subject=str(path), hint="fetch it again") from None
    return _sniff_text(lines, path, "gzip" if packed else "none")


def safe_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Flow-log fields by their column names, each once, and "nk_" and the place for every other name."""
    found: list[str] = []
    for place, name in enumerate(names):
        column = name.replace("-", "_")
        found.append(column if column in COLUMNS and column not in found else f"nk_{place}")
    return tuple(found)


def _head(path: Path, *, packed: bool) -> list[str]:
    """The first lines of a file, whole ones only, with their ends."""
    with gzip.open(path, "rb") if packed else path.open("rb") as file:
        block = file.read(_HEAD_BYTES)
    text = block.decode("utf-8-sig", "replace")
    if text.count("\ufffd") * 20 > len(text):
        return []
    lines = re.split(r"(?<=\n)", text)
    return [line for line in (lines[:-1] if len(block) == _HEAD_BYTES else lines) if line.strip()]


def _sniff_parquet(path: Path) -> Layout:
    try:
        schema = pq.read_schema(path)
    except (ArrowInvalid, OSError) as problem:
        raise SourceError(
            f"the Parquet file cannot be read: {problem}", subject=str(path), hint="fetch it again"
        ) from None
    columns = safe_columns(schema.names)
    layout = Layout("parquet", columns, tuple(str(kind) for kind in schema.types), tuple(schema.names))
    if len(layout.known) < 3 or not {"start", "srcaddr"} <= set(layout.known):
        raise SourceError(
            "this Parquet file holds no flow logs",
            subject=str(path),
            hint=f"its columns are {', '.join(schema.names[:6])}",
        )
    return layout


def _sniff_text(lines: Sequence[str], path: Path, compression: str) -> Layout:
    if not lines:
        raise SourceError(
            "the file is empty or not text", subject=str(path), hint="flow logs are text, gzip or Parquet"
        )
    ends = {line.endswith("\r\n") for line in lines if line.endswith("\n")}
    lines = [line.strip() for line in lines]
    separator = _BLANKS if len(ends) == 2 else _cutter(lines)
    first = _split(lines[0], separator)
    names = safe_columns([word.strip().strip('"') for word in first])
    if sum(name in COLUMNS for name in names) >= max(2, len(names) - 3):
        return Layout("text", names, separator=separator, header=True, compression=compression)
    widths = [len(_split(line, separator)) for line in lines]
    common = max(set(widths), key=widths.count)
    timed = sum(bool(_ISO_TIME.match(line.lstrip('"'))) for line in lines) * 2 > len(lines)
    default = tuple(FIELDS[name].column for name in DEFAULT_V2)
    columns = ("event_time", *default) if timed else default
    versions = [
        _split(line, separator)[1 if timed else 0] for line in lines if len(_split(line, separator)) == len(columns)
    ]
    if common != len(columns) or not any(version == "2" for version in versions):
        raise SourceError(
            f"no header line, and not AWS's default format: {len(columns)} fields expected, most lines have {common}",
            subject=str(path),
            hint="netkit does not guess columns; give files with their header line, or put it in front",
        )
    return Layout("text", columns, separator=separator, compression=compression)


def _separator(lines: Sequence[str]) -> str:
    sample = lines[: min(len(lines), 50)]
    return max((" ", "\t", ","), key=lambda sign: sum(line.count(sign) for line in sample))


def _split(line: str, separator: str) -> list[str]:
    """Fields of a line: any run of blanks separates (an AWS sample has a double space), commas singly."""
    if separator == _BLANKS:
        return re.split(r"[\s,]+", line.strip())
    return line.split(separator) if separator == "," else line.split()


def _cutter(lines: Sequence[str]) -> str:
    """The separator of some lines: the one sign that cuts most of them as a pattern would, or _BLANKS."""
    sign = _separator(lines)
    width = len(_split(lines[-1], sign))
    plain = sum(len(line.split(sign)) == len(_split(line, sign)) for line in lines)
    timed = bool(_ISO_TIME.match(lines[-1])) and sign != "," and "," in lines[-1].split()[0]
    return _BLANKS if timed or (width > 1 and plain * 2 < len(lines)) else sign


def group(paths: Sequence[Path]) -> dict[Layout, list[Path]]:
    """Files by layout. Raises SourceError as sniff() does."""
    groups: dict[Layout, list[Path]] = {}
    for path in paths:
        groups.setdefault(sniff(path), []).append(path)
    return groups


def common_columns(layouts: Sequence[Layout]) -> tuple[str, ...]:
    """The fields that every file has, in the order of the first. Raises FieldError where files have none in common."""
    shared = [name for name in layouts[0].known if all(name in layout.known for layout in layouts)]
    if not shared:
        raise FieldError("these files have no field in common", hint="open them one by one")
    return tuple(shared)


def duckdb_type(column: str) -> str:
    """DuckDB type of a field; whole numbers are wide, since files by others are not always typed as AWS's."""
    return "BIGINT" if column in COLUMNS and COLUMNS[column].numeric else "VARCHAR"


def read_sql(layout: Layout, paths: Sequence[Path], columns: Sequence[str], *, check: Check = "raw") -> str:
    """SELECT of these columns from files of one layout, typed, malformed records left out.

    The file names are the only text put in, quoted; they come from the file system and not from a user's SQL.
    """
    if layout.kind == "parquet":
        chosen = ", ".join(_parquet_column(layout, name) for name in columns)
        return f"SELECT {chosen} FROM {_parquet(paths)} WHERE {_parquet_valid(layout)}"
    if check == "raw" or layout.separator == _BLANKS:
        chosen = ", ".join(_typed(name) for name in columns)
        return f"SELECT {chosen} FROM ({raw_sql(layout, paths)}) AS raw WHERE {valid(layout)}"
    chosen = ", ".join(_kept(name) for name in columns)
    where = "true" if check == "none" else _typed_valid(layout)
    return f"SELECT {chosen} FROM {_csv(layout, paths, duckdb_type, rejects=check != 'none')} WHERE {where}"


def raw_sql(layout: Layout, paths: Sequence[Path], *, named: bool = False) -> str:
    """SELECT of every column as text, "-" as NULL, of every line of the right width; `named` adds the file as nk_file."""
    extra = ", nk_file" if named else ""
    if layout.separator != _BLANKS:
        return (
            f"SELECT *{extra.replace(', nk_file', '')} FROM {_csv(layout, paths, _as_text, rejects=True, named=named)}"
        )
    whole = Layout("text", ("nk_line",), separator=_NO_SUCH_SIGN, header=layout.header, compression=layout.compression)
    parts = ", ".join(f"NULLIF(nk_part[{place}], '-') AS \"{name}\"" for place, name in enumerate(layout.columns, 1))
    cut = f"SELECT string_split_regex(trim(nk_line), '[\\s,]+') AS nk_part{extra} FROM {_csv(whole, paths, _as_text, rejects=True, named=named)}"
    return f"SELECT {parts}, len(nk_part) AS nk_width{extra} FROM ({cut}) AS cut WHERE nk_part <> ['']"


def _as_text(column: str) -> str:
    del column
    return "VARCHAR"


def _csv(
    layout: Layout, paths: Sequence[Path], type_of: Callable[[str], str], *, rejects: bool, named: bool = False
) -> str:
    """A read_csv call. Only whole lines are read without strict_mode: that lets line ends differ, but cuts off what is too much."""
    types = ", ".join(f"{text(name)}: '{type_of(name)}'" for name in layout.columns)
    separator = layout.separator.replace("\t", "\\t")
    options = ", store_rejects=true, rejects_limit=0" if rejects else ""
    options += ", filename='nk_file'" if named else ""
    strict = str(layout.separator != _NO_SUCH_SIGN).lower()
    return (
        f"read_csv([{', '.join(text(str(path)) for path in paths)}], delim='{separator}', header={str(layout.header).lower()},"
        f" auto_detect=false, nullstr='-', quote='', escape='', strict_mode={strict}, compression='{layout.compression}',"
        f" columns={{{types}}}{options})"
    )


def touch_sql(layout: Layout, path: Path) -> str:
    """Read all of one file, to see whether that can be done."""
    source = _parquet([path]) if layout.kind == "parquet" else _csv(layout, [path], _as_text, rejects=True)
    return f"SELECT max(hash(record)) FROM {source} AS record"


def _typed(name: str) -> str:
    """A column of raw_sql with its type."""
    return f'TRY_CAST("{name}" AS BIGINT) AS "{name}"' if duckdb_type(name) == "BIGINT" else _kept(name)


def _kept(name: str) -> str:
    """A column that has its type; strings get their "-" back, so that every engine compares the same values."""
    return f'"{name}"' if duckdb_type(name) == "BIGINT" else f'coalesce("{name}", \'-\') AS "{name}"'


def _parquet(paths: Sequence[Path], *, named: str = "") -> str:
    extra = f", filename={text(named)}" if named else ""
    return f"read_parquet([{', '.join(text(str(path)) for path in paths)}], union_by_name=true{extra})"


def _parquet_column(layout: Layout, name: str) -> str:
    return f'{_parquet_value(layout, name)} AS "{name}"'


def _parquet_value(layout: Layout, name: str) -> str:
    """A column's value: whole numbers wherever a file has them as floats, times or strings."""
    place = layout.columns.index(name)
    original, kind = identifier(layout.names[place]), layout.types[place]
    if not (name in COLUMNS and COLUMNS[name].numeric) or re.match(r"u?int", kind):
        return original
    if kind.startswith("timestamp"):
        return f"CAST(epoch({original}) AS BIGINT)"
    return f"TRY_CAST({_present(original)} AS BIGINT)" if _is_text(kind) else f"CAST({original} AS BIGINT)"


def _present(original: str) -> str:
    """A string column without the ways to say "nothing" in it: AWS's "-", and what Python writes for its None and nan."""
    return f"CASE WHEN {original} NOT IN ('-', '', 'None', 'nan', 'NaN', 'null', '<NA>') THEN {original} END"


def _is_text(kind: str) -> bool:
    return "string" in kind


def _parquet_valid(layout: Layout) -> str:
    """The predicate that a record meets where a Parquet file holds numbers as strings: AWS's own files cannot go wrong so."""
    places = [
        place
        for place, name in enumerate(layout.columns)
        if name in COLUMNS and COLUMNS[name].numeric and _is_text(layout.types[place])
    ]
    texts = ", ".join(_present(identifier(layout.names[place])) for place in places)
    return f"NOT regexp_matches(concat({texts}), '[^0-9]')" if places else "true"


def parquet_summary_sql(layout: Layout, paths: Sequence[Path]) -> str:
    """One row a file: nk_file, n well-formed records, bad ones, examples of those, first and last time."""
    last = "end" if "end" in layout.columns else "start"
    shown = (identifier(layout.names[layout.columns.index(name)]) for name in layout.known)
    examples = ", ".join(f"coalesce(CAST({name} AS VARCHAR), '-')" for name in shown)
    free = "nk_file"
    while free in {name.casefold() for name in layout.names}:
        free += "_"
    return _summary_sql(
        f"{_parquet(paths, named=free)}", _parquet_valid(layout), f"concat_ws(' ', {examples})",
        _parquet_value(layout, "start"), _parquet_value(layout, last), free,
    )  # fmt: skip


def text_summary_sql(layout: Layout, paths: Sequence[Path]) -> str:
    """The same for text; lines of the wrong width are not in it but in reject_errors (except where a pattern cuts lines)."""
    examples = ", ".join(f"coalesce(\"{name}\", '-')" for name in layout.columns)
    first = 'TRY_CAST("start" AS BIGINT)' if "start" in layout.columns else "NULL"
    last = 'TRY_CAST("end" AS BIGINT)' if "end" in layout.columns else first
    source = f"({raw_sql(layout, paths, named=True)}) AS raw"
    return _summary_sql(source, valid(layout), f"concat_ws(' ', {examples})", first, last)


def _summary_sql(source: str, good: str, line: str, first: str, last: str, file: str = "nk_file") -> str:
    """The line is put together in a CASE, which works only on bad ones; in a FILTER it would on all."""
    judged = (
        f"SELECT {file} AS nk_file, coalesce({good}, false) AS good, {first} AS first_time, {last} AS last_time,"
        f" CASE WHEN coalesce({good}, false) THEN NULL ELSE {line} END AS wrong_line FROM {source}"
    )
    return (
        "SELECT nk_file, count(*) FILTER (good) AS n, count(*) FILTER (NOT good) AS bad,"
        " array_to_string(min(wrong_line, 3) FILTER (NOT good), ' | ') AS wrong,"
        f" min(first_time) FILTER (good) AS a, max(last_time) FILTER (good) AS b FROM ({judged}) AS judged GROUP BY nk_file"
    )


def valid(layout: Layout) -> str:
    """The predicate that a well-formed record of raw_sql meets."""
    tests = [f"nk_width = {len(layout.columns)}"] if layout.separator == _BLANKS else []
    numbers = [name for name in layout.columns if duckdb_type(name) == "BIGINT"]
    if numbers:
        texts = ", ".join(f'"{name}"' for name in numbers)
        longest = ", ".join(f'coalesce(strlen("{name}"), 0)' for name in numbers)
        tests.append(f"NOT regexp_matches(concat({texts}), '[^0-9]') AND greatest({longest}) BETWEEN 0 AND 18")
    if "account_id" in layout.columns:
        tests.append("(account_id IS NULL OR account_id = 'unknown' OR regexp_full_match(account_id, '[0-9]{12}'))")
    return " AND ".join([*tests, *_words_valid(layout)])


def _words_valid(layout: Layout) -> list[str]:
    tests = ["true"]
    if "action" in layout.columns:
        tests.append("(action IS NULL OR action IN ('ACCEPT', 'REJECT'))")
    if "log_status" in layout.columns:
        tests.append("log_status IN ('OK', 'NODATA', 'SKIPDATA')")
    return tests


def _typed_valid(layout: Layout) -> str:
    """valid() for columns that DuckDB has typed already. Every number is looked at, so that a bad one in a column which
    the query does not read is rejected too and each query leaves out the same lines."""
    tests = _words_valid(layout)
    numbers = ", ".join(f'"{name}"' for name in layout.columns if duckdb_type(name) == "BIGINT")
    tests += [f"least(0, {numbers}) = 0"] if numbers else []
    if "account_id" in layout.columns:
        whole = (
            "length(account_id) = 12 AND NOT contains(account_id, '.') AND TRY_CAST(account_id AS BIGINT) IS NOT NULL"
        )
        tests.append(f"(account_id IS NULL OR account_id = 'unknown' OR ({whole}))")
    return " AND ".join(tests)


def mend(line: str, layout: Layout) -> list[str] | None:
    """The fields of a rejected line if it is well formed but for runs of blanks; None if it is malformed."""
    fields = _split(line, layout.separator)
    if layout.separator == "," or len(fields) != len(layout.columns):
        return None
    named = dict(zip(layout.columns, fields, strict=True))
    numbers = (named[name] for name in layout.columns if duckdb_type(name) == "BIGINT")
    well = all(re.fullmatch(r"-|[0-9]{1,18}", number) for number in numbers)
    well = well and bool(re.fullmatch(r"[0-9]{12}|unknown|-", named.get("account_id", "-")))
    well = well and named.get("action", "-") in _ACTIONS and named.get("log_status", "OK") in _STATUSES
    return fields if well else None


def check_gzip(path: Path) -> None:
    """Raise SourceError, naming the file, unless it is whole gzip with a right checksum, which DuckDB does not look at."""
    try:
        with gzip.open(path, "rb") as file:
            while file.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error) as problem:
        raise SourceError(
            f"the file cannot be read to its end: {problem}", subject=str(path), hint="fetch it again"
        ) from None
