"""Flow-log files as DuckDB relations: what a file is, by its content, and the SQL that reads it. Pure: local files only.

A file is Parquet or text; text is gzip or plain, with a header line (as S3 delivery writes), headless in AWS's default
format, or a CloudWatch Logs export (an ISO time before each record), separated by runs of spaces, tabs or commas.

Nothing malformed is dropped in silence or guessed. A line is malformed when it has too few or too many fields, a number
that is none, an account id that is none (a spreadsheet's 6.02485E+11), or an action or status that AWS does not write.
DuckDB rejects the first two kinds while it reads and keeps the line; the others are filtered by `_VALID` and counted apart.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from pyarrow.lib import ArrowInvalid

from netkit.errors import FieldError, SourceError
from netkit.flowlogs.fields import COLUMNS, DEFAULT_V2, FIELDS

_HEAD_BYTES = 64 * 1024
_ISO_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_ACTIONS, _STATUSES = ("ACCEPT", "REJECT", "-"), ("OK", "NODATA", "SKIPDATA")


@dataclass(frozen=True)
class Layout:
    """How the records of a file are laid out; files of one layout are read together.

    columns: column names in record order (unknown fields keep their name); for text "event_time" comes first in an export
    """

    kind: str  # parquet, text
    columns: tuple[str, ...]
    types: tuple[str, ...] = ()
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


def _head(path: Path, *, packed: bool) -> list[str]:
    """The first lines of a file, whole ones only."""
    with gzip.open(path, "rb") if packed else path.open("rb") as file:
        block = file.read(_HEAD_BYTES)
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError:
        text = block.decode("utf-8", "ignore") if len(block) == _HEAD_BYTES else ""
    lines = text.splitlines()
    return [line for line in (lines[:-1] if len(block) == _HEAD_BYTES else lines) if line.strip()]


def _sniff_parquet(path: Path) -> Layout:
    try:
        schema = pq.read_schema(path)
    except (ArrowInvalid, OSError) as problem:
        raise SourceError(
            f"the Parquet file cannot be read: {problem}", subject=str(path), hint="fetch it again"
        ) from None
    columns = tuple(name.replace("-", "_") for name in schema.names)
    layout = Layout("parquet", columns, tuple(str(kind) for kind in schema.types))
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
    separator = _separator(lines)
    first = _split(lines[0], separator)
    names = tuple(word.strip().strip('"').replace("-", "_") for word in first)
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
    return line.split(separator) if separator == "," else line.split()


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


def read_sql(layout: Layout, paths: Sequence[Path], columns: Sequence[str], *, keep_rejects: bool = True) -> str:
    """SELECT of these columns from files of one layout, typed, malformed records left out (and kept aside by DuckDB).

    The file names are the only text put in, quoted; they come from the file system and not from a user's SQL.
    """
    files = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    if layout.kind == "parquet":
        return f"SELECT {', '.join(_parquet_column(layout, name) for name in columns)} FROM read_parquet([{files}], union_by_name=true)"
    types = ", ".join(f"'{name}': '{duckdb_type(name)}'" for name in layout.columns)
    separator = layout.separator.replace("\t", "\\t")
    rejects = ", store_rejects=true, rejects_limit=0" if keep_rejects else ", ignore_errors=true"
    reader = (
        f"read_csv([{files}], delim='{separator}', header={str(layout.header).lower()}, auto_detect=false, nullstr='-', quote='',"
        f" escape='', compression='{layout.compression}', columns={{{types}}}{rejects})"
    )
    chosen = ", ".join(f'"{name}"' for name in columns)
    return f"SELECT {chosen} FROM {reader} WHERE {valid(layout)}"


def _parquet_column(layout: Layout, name: str) -> str:
    position = layout.columns.index(name)
    original = name
    if layout.types[position] in ("string", "large_string") and COLUMNS[name].numeric:
        return f'TRY_CAST(NULLIF("{original}", \'-\') AS BIGINT) AS "{name}"'
    return f'"{original}"'


def valid(layout: Layout) -> str:
    """The predicate that a well-formed text record meets beyond its types."""
    tests = ["true"]
    if "account_id" in layout.columns:
        tests.append("(account_id IS NULL OR account_id = 'unknown' OR regexp_full_match(account_id, '[0-9]{12}'))")
    if "action" in layout.columns:
        tests.append("(action IS NULL OR action = 'ACCEPT' OR action = 'REJECT')")
    if "log_status" in layout.columns:
        tests.append("log_status IN ('OK', 'NODATA', 'SKIPDATA')")
    return " AND ".join(tests)


def mend(line: str, layout: Layout) -> list[str] | None:
    """The fields of a rejected line if it is well formed but for runs of blanks; None if it is malformed."""
    fields = _split(line, layout.separator)
    if layout.separator == "," or len(fields) != len(layout.columns):
        return None
    named = dict(zip(layout.columns, fields, strict=True))
    numbers = (named[name] for name in layout.columns if duckdb_type(name) == "BIGINT")
    well = all(re.fullmatch(r"-|\d{1,19}", number) for number in numbers)
    well = well and bool(re.fullmatch(r"\d{12}|unknown|-", named.get("account_id", "-")))
    well = well and named.get("action", "-") in _ACTIONS and named.get("log_status", "OK") in _STATUSES
    return fields if well else None
