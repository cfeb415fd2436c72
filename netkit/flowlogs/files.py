"""Flow-log files: which there are, how the records of one are laid out, by its content, and the SQL that reads them. Pure.

Nothing malformed is dropped in silence or guessed. A line is malformed when it has too few or too many fields, a number
that is none (DuckDB alone would read 1.5 as 2 and 1E+09 as a thousand million), or an action or status that AWS does not write.
Lines of the wrong width are put aside by DuckDB while it reads; the others get their text in `nk_wrong`. An account id that is
none (a spreadsheet's 6.02485E+11) leaves the record a record, and is a doubt that coverage says. A header line in the middle
is no record and no loss. Strings that are missing stay "-", as Athena has them; numbers that are missing are NULL.

Only names of ours reach SQL: columns are read by their place, files by numbered links (copy.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from pyarrow.lib import ArrowInvalid

from netkit.core.errors import SourceError
from netkit.flowlogs.duck import identifier, text
from netkit.flowlogs.fields import COLUMNS, DEFAULT_V2, FIELDS, column_of, family_of

ISO_TIME = re.compile(r"^\"?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
BLANKS = "blanks"  # separator of a layout whose lines only a pattern can cut: runs of blanks, or a comma after the time
UNIT = "\x1f"  # separator of what netkit itself wrote; no field holds it
_NO_SUCH_SIGN = "\\x1e"
_ACTIONS, _STATUSES = ("ACCEPT", "REJECT", "-"), ("OK", "NODATA", "SKIPDATA")
V2 = tuple(FIELDS[name].column for name in DEFAULT_V2)


@dataclass(frozen=True)
class Layout:
    """How the records of a file are laid out; files of one layout are read together.

    columns      column names in record order. Others' names never get here: a column that is no flow-log field is "nk_" and
                 its place, so that only names of ours reach SQL
    names, types for Parquet, the columns as the file spells them and their Arrow types
    quote        the sign around values, or ""
    """

    kind: str  # parquet, text
    columns: tuple[str, ...]
    types: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    separator: str = " "
    header: bool = False
    compression: str = "none"
    quote: str = ""

    @property
    def known(self) -> tuple[str, ...]:
        """The columns that are flow-log fields."""
        return tuple(name for name in self.columns if name in COLUMNS)

    @property
    def family(self) -> str:
        """vpc or tgw."""
        return family_of(self.known)


def find_files(source: str | Path) -> list[Path]:
    """The files of a path, a folder (all below it) or a glob, in order. Raises SourceError where there is none."""
    path = Path(source).expanduser()
    text = str(path)
    if path.is_file():
        found = [path]  # a file may have the signs of a pattern in its name
    elif path.is_dir():
        found = [one for one in path.rglob("*") if one.is_file() and not one.name.startswith((".", "_"))]
    elif any(sign in text for sign in "*?["):
        anchor = Path(path.anchor or ".")
        found = [
            one for one in anchor.glob(str(path.relative_to(path.anchor)) if path.anchor else text) if one.is_file()
        ]
    else:
        found = []
    if not found:
        raise SourceError(
            "there are no flow-log files here",
            subject=text,
            hint="give a file, a folder or a pattern such as logs/*.gz",
        )
    return sorted(found)


def safe_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Flow-log fields by their column names, each once, and "nk_" and the place for every other name."""
    meant = [column_of(name) for name in names]
    exact = {name.strip().strip('"').replace("-", "_") for name in names}
    found: list[str] = []
    for place, (name, column) in enumerate(zip(names, meant, strict=True)):
        # where two names mean one field, the one that is spelled as AWS spells it
        spelled = name.strip().strip('"').replace("-", "_")
        take = column and column not in found and (spelled == column or column not in exact)
        found.append(column if take else f"nk_{place}")
    return tuple(found)


# ------------------------------------------------------------------------------------------------------ by its content


def sniff_parquet(path: Path) -> Layout:
    """The layout of a Parquet file. Raises SourceError for one that is broken or no flow log."""
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


def sniff_text(
    lines: Sequence[str], path: Path, compression: str, formats: Sequence[tuple[str, ...]] = ()
) -> tuple[Layout, bool]:
    """The layout of text by its first lines, and whether lines of another known format are among them.

    formats: column names of the formats that headless lines may have, beside AWS's default. Raises SourceError for text that
    is no flow log, or headless in a format that nobody named.
    """
    if not lines:
        raise SourceError(
            "the file is empty or not text", subject=str(path), hint="flow logs are text, gzip or Parquet"
        )
    ends = {line.endswith("\r\n") for line in lines if line.endswith("\n")}
    lines = [line.strip() for line in lines]
    quote = '"' if any('"' in line for line in lines[:50]) else ""
    separator = BLANKS if len(ends) == 2 and not quote else _cutter(lines)
    names = split(lines[0], separator)
    columns = safe_columns(names)
    if is_header(names):
        mixed = any(is_header(split(line, separator)) and split(line, separator) != names for line in lines[1:])
        return Layout("text", columns, separator=separator, header=True, compression=compression, quote=quote), mixed
    return _sniff_headless(
        lines, path, Layout("text", (), separator=separator, compression=compression, quote=quote), formats
    )


def _sniff_headless(
    lines: Sequence[str], path: Path, bare: Layout, formats: Sequence[tuple[str, ...]]
) -> tuple[Layout, bool]:
    cut = [split(line, bare.separator) for line in lines]
    found: dict[tuple[str, ...], int] = {}
    for words in cut:
        if columns := match_format(words, formats):
            found[columns] = found.get(columns, 0) + 1
    if not found:
        widths = [len(words) for words in cut]
        common = max(set(widths), key=widths.count)
        if is_header(words := max(cut, key=len)):
            common = len(words)
        raise SourceError(
            f"no header line, and not AWS's default format: {len(V2)} fields expected, most lines have {common}",
            subject=str(path),
            hint='say which fields the lines have: format="v5", or format="${version} ${srcaddr} …"; netkit does not guess columns',
        )
    best = max(found, key=lambda columns: found[columns])
    layout = Layout("text", best, (), (), bare.separator, False, bare.compression, bare.quote)
    return layout, len(found) > 1 or any(is_header(words) for words in cut)


def match_format(words: Sequence[str], formats: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The columns of a headless line: those of the first format that it fits, after up to three words of time and stream; or ()."""
    for columns in (*formats, V2):
        for lead in range(4):
            if len(words) != len(columns) + lead or (lead and not ISO_TIME.match(" ".join(words[:2]))):
                continue
            if fits(words[lead:], columns, default=columns is V2):
                return (*(f"nk_{place}" for place in range(lead)), *columns)
    return ()


def fits(words: Sequence[str], columns: Sequence[str], *, default: bool = False) -> bool:
    """Whether a line can be of a format, by the forms of its values. The default one has to say that it is version 2."""
    named = dict(zip(columns, (word.strip('"') for word in words), strict=True))
    if default and named["version"] != "2":
        return False
    wrong = [name for name, word in named.items() if name in COLUMNS and not _has_form(name, word)]
    return len(wrong) <= len(columns) // 4  # one bad value is a bad value, and not another format


def _has_form(name: str, word: str) -> bool:
    if word in ("-", ""):
        return True
    if COLUMNS[name].numeric:
        return bool(re.fullmatch(r"[0-9.eE+]+", word))
    forms = {"action": r"ACCEPT|REJECT", "log_status": r"OK|NODATA|SKIPDATA", "interface_id": r"eni-\w+"}
    forms |= {
        "srcaddr": r"[0-9a-fA-F.:]+",
        "dstaddr": r"[0-9a-fA-F.:]+",
        "vpc_id": r"vpc-\w+",
        "subnet_id": r"subnet-\w+",
    }
    return bool(re.fullmatch(forms.get(name, r".*"), word))


def is_header(words: Sequence[str]) -> bool:
    """Whether the words of a line are names of fields: an address among them, and most of them known."""
    known = [column for word in words if (column := column_of(word))]
    core = {"srcaddr", "dstaddr", "pkt_srcaddr", "interface_id", "tgw_id", "bytes"} & set(known)
    return bool(core) and len(set(known)) >= max(2, len(words) // 2)


def split(line: str, separator: str) -> list[str]:
    """Fields of a line: any run of blanks separates (an AWS sample has a double space), commas and the like singly."""
    if separator == BLANKS:
        return re.split(r"[\s,]+", line.strip())
    return line.split(separator) if separator in (",", ";", UNIT) else line.split()


def _separator(lines: Sequence[str]) -> str:
    sample = lines[: min(len(lines), 50)]
    return max((" ", "\t", ",", ";"), key=lambda sign: sum(line.count(sign) for line in sample))


def _cutter(lines: Sequence[str]) -> str:
    """The separator of some lines: the one sign that cuts most of them as a pattern would, or BLANKS."""
    sign = _separator(lines)
    width = len(split(lines[-1], sign))
    plain = sum(len(line.split(sign)) == len(split(line, sign)) for line in lines)
    timed = bool(ISO_TIME.match(lines[-1])) and sign not in (",", ";") and "," in lines[-1].split()[0]
    return BLANKS if timed or (width > 1 and plain * 2 < len(lines)) else sign


# ----------------------------------------------------------------------------------------------------------------- SQL


def duckdb_type(column: str) -> str:
    """DuckDB type of a field; whole numbers are wide, since files by others are not always typed as AWS's."""
    return "BIGINT" if column in COLUMNS and COLUMNS[column].numeric else "VARCHAR"


def copy_sql(layout: Layout, paths: Sequence[Path]) -> str:
    """SELECT of the known columns, typed, with nk_file (the number at the end of its link's name) and nk_wrong.

    nk_wrong is NULL for a well-formed record, "" for a header line in the middle, else the line. Lines of the wrong width are
    not in it but in DuckDB's reject_errors.
    """
    if layout.kind == "parquet":
        return _parquet_sql(layout, paths)
    cells = {name: identifier(f"c{place}") for place, name in enumerate(layout.columns)}
    chosen = ", ".join(f"{_typed(name, cells[name])} AS {identifier(name)}" for name in layout.known)
    shown = ", ".join(f"coalesce({cell}, '-')" for cell in cells.values())
    line = f"concat_ws(' ', {shown})"
    good = f"coalesce({_valid(layout, cells)}, false)"
    header = " AND ".join(
        f"lower(replace({cells[name]}, '-', '_')) = {text(name)}" for name in layout.known[: min(3, len(layout.known))]
    )
    wrong = f"CASE WHEN {good} THEN NULL WHEN {header} THEN '' ELSE {line} END AS nk_wrong"
    return f"SELECT {chosen}, {_number('nk_path')} AS nk_file, {wrong} FROM {_cells(layout, paths)} AS raw"


def _number(path: str) -> str:
    return f"CAST(right({path}, 6) AS INTEGER)"


def _typed(name: str, cell: str) -> str:
    """A column from its text; strings get their "-" back, so that every engine compares the same values."""
    return f"TRY_CAST({cell} AS BIGINT)" if duckdb_type(name) == "BIGINT" else f"coalesce({cell}, '-')"


def _cells(layout: Layout, paths: Sequence[Path]) -> str:
    """Every line of the right width as c0, c1, … of text, "-" as NULL, with nk_path."""
    if layout.separator != BLANKS:
        return _csv(layout, paths, [f"c{place}" for place in range(len(layout.columns))])
    whole = Layout("text", ("nk_line",), separator=_NO_SUCH_SIGN, header=layout.header, compression=layout.compression)
    parts = ", ".join(f"NULLIF(nk_part[{place + 1}], '-') AS c{place}" for place in range(len(layout.columns)))
    cut = f"SELECT string_split_regex(trim(nk_line), '[\\s,]+') AS nk_part, nk_path FROM {_csv(whole, paths, ['nk_line'])}"
    return f"(SELECT {parts}, len(nk_part) AS nk_width, nk_path FROM ({cut}) AS cut WHERE nk_part <> [''])"


def _csv(layout: Layout, paths: Sequence[Path], names: Sequence[str]) -> str:
    """A read_csv call. Only whole lines are read without strict_mode: that lets line ends differ, but cuts off what is too much."""
    types = ", ".join(f"{text(name)}: 'VARCHAR'" for name in names)
    separator = layout.separator.replace("\t", "\\t")
    strict = str(layout.separator != _NO_SUCH_SIGN).lower()
    null = "nullstr='-'" if layout.separator in (" ", "\t", _NO_SUCH_SIGN) else "nullstr=['-', '']"
    return (
        f"read_csv([{', '.join(text(str(path)) for path in paths)}], delim='{separator}', header={str(layout.header).lower()},"
        f" auto_detect=false, {null}, quote={text(layout.quote)}, escape={text(layout.quote)}, strict_mode={strict},"
        f" compression='{layout.compression}', columns={{{types}}}, filename='nk_path', hive_partitioning=false,"
        f" store_rejects=true, rejects_limit=0)"
    )


def _valid(layout: Layout, cells: dict[str, str]) -> str:
    """The predicate that a well-formed record meets."""
    tests = [f"nk_width = {len(layout.columns)}"] if layout.separator == BLANKS else []
    numbers = [cells[name] for name in layout.known if duckdb_type(name) == "BIGINT"]
    if numbers:
        longest = ", ".join(f"coalesce(strlen({cell}), 0)" for cell in numbers)
        tests.append(
            f"NOT regexp_matches(concat({', '.join(numbers)}), '[^0-9]') AND greatest({longest}) BETWEEN 0 AND 18"
        )
    if "action" in cells:
        tests.append(f"({cells['action']} IS NULL OR {cells['action']} IN ('ACCEPT', 'REJECT'))")
    if "log_status" in cells:
        tests.append(f"{cells['log_status']} IN ('OK', 'NODATA', 'SKIPDATA')")
    return " AND ".join(tests or ["true"])


def _parquet_sql(layout: Layout, paths: Sequence[Path]) -> str:
    free = "nk_path"
    while free in {name.casefold() for name in layout.names}:  # a file may have a column of that name
        free += "_"
    chosen = ", ".join(f"{_parquet_value(layout, name)} AS {identifier(name)}" for name in layout.known)
    shown = ", ".join(f"coalesce(CAST({_original(layout, name)} AS VARCHAR), '-')" for name in layout.known)
    good = _parquet_valid(layout)
    wrong = (
        "CAST(NULL AS VARCHAR)" if good == "true" else f"CASE WHEN {good} THEN NULL ELSE concat_ws(' ', {shown}) END"
    )
    listed = ", ".join(text(str(path)) for path in paths)
    source = f"read_parquet([{listed}], union_by_name=true, filename={text(free)}, hive_partitioning=false)"
    return f"SELECT {chosen}, {_number(free)} AS nk_file, {wrong} AS nk_wrong FROM {source}"


def _original(layout: Layout, name: str) -> str:
    return identifier(layout.names[layout.columns.index(name)])


def _parquet_value(layout: Layout, name: str) -> str:
    """A column's value: whole numbers wherever a file has them as floats, times or strings; no string missing."""
    original, kind = _original(layout, name), layout.types[layout.columns.index(name)]
    if duckdb_type(name) == "VARCHAR":
        return f"coalesce({original if _is_text(kind) else f'CAST({original} AS VARCHAR)'}, '-')"
    if re.match(r"u?int", kind):
        return f"CAST({original} AS BIGINT)"
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
    kinds = dict(zip(layout.columns, layout.types, strict=True))
    numbers = [name for name in layout.known if duckdb_type(name) == "BIGINT" and _is_text(kinds[name])]
    texts = ", ".join(_present(_original(layout, name)) for name in numbers)
    return f"NOT regexp_matches(concat({texts}), '[^0-9]')" if numbers else "true"


def well_typed(layout: Layout) -> bool:
    """Whether a Parquet file has nothing that could be malformed, so that it can be read where it is."""
    return _parquet_valid(layout) == "true"


def mend(line: str, layout: Layout) -> list[str] | None:
    """The fields of a rejected line if it is well formed but for runs of blanks; None if it is malformed."""
    fields = split(line, layout.separator)
    if layout.separator not in (" ", "\t") or layout.quote or len(fields) != len(layout.columns):
        return None
    named = dict(zip(layout.columns, fields, strict=True))
    numbers = (named[name] for name in layout.columns if duckdb_type(name) == "BIGINT")
    well = all(re.fullmatch(r"-|[0-9]{1,18}", number) for number in numbers)
    well = well and named.get("action", "-") in _ACTIONS and named.get("log_status", "OK") in _STATUSES
    return fields if well else None


def doubtful_account(account: str) -> bool:
    """Whether an account id is none: not twelve digits, and not what AWS writes where it does not know."""
    return not re.fullmatch(r"[0-9]{12}|unknown|-|amazon|aws", account)
