"""What a text table of Athena's loses without a word, looked for in the beginning of its objects. Pure.

A text table is read by position, a field from one blank to the next, and a field that is no number of the column's type is NULL
(Hive's LazySimpleSerDe); skip.header.line.count drops the first lines of every object, whatever they hold.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from netkit.flowlogs.fields import COLUMNS

_WHOLE = re.compile(rb"[+-]?[0-9]+|-|\\N")
_HEADER = re.compile(rb"[a-z][a-z0-9_-]*")


@dataclass(frozen=True)
class TextCheck:
    """notes: what was found, one a kind and object; bad: lines of the objects that Athena does not show as the records they are."""

    notes: tuple[str, ...] = ()
    bad: int = 0

    def __add__(self, other: TextCheck) -> TextCheck:
        return TextCheck(tuple(dict.fromkeys([*self.notes, *other.notes])), self.bad + other.bad)


def check_text(body: bytes, key: str, columns: Mapping[str, str], skip: int, *, whole: bool = True) -> TextCheck:
    """What of an object's beginning a table with these columns (name: type, in order) and skipped lines does not show.

    whole: whether the body is all of the object; else its last line is left out.
    """
    text, problem = _opened(body, key)
    if problem:
        return TextCheck((f"{shown_name(key)}: {problem}",), 1)
    lines = text.removeprefix(b"\xef\xbb\xbf").splitlines()
    if not whole and lines:
        lines.pop()
    found: Counter[str] = Counter(_heads(lines, columns, skip))
    for line in lines[skip:]:
        if line and not _is_header(line) and (what := _fault(line, columns)):
            found[what] += 1
    return TextCheck(
        tuple(f"{shown_name(key)}: {what} ({count})" for what, count in found.items()), sum(found.values())
    )


def shown_name(key: str) -> str:
    """The last part of an object's key for a message: on one line, not too long."""
    return "".join(one if one.isprintable() else "?" for one in key.rsplit("/", 1)[-1])[:80]


def _opened(body: bytes, key: str) -> tuple[bytes, str]:
    """The text, as Athena opens it: by the name's ending, not by the content."""
    packed = body[:2] == b"\x1f\x8b"
    if key.endswith(".gz") and not packed:
        return b"", "its name ends in .gz and it is no gzip, which fails a query"
    if packed and not key.endswith(".gz"):
        return b"", "gzip whose name does not end in .gz, which is read as text"
    if not packed:
        return body, ""
    try:
        return zlib.decompressobj(31).decompress(body), ""
    except zlib.error:
        return b"", "gzip that is damaged, which fails a query"


def _is_header(line: bytes) -> bool:
    """Whether a line is names of fields."""
    words = line.split()
    return (
        bool(words) and all(_HEADER.fullmatch(word) for word in words) and b"-" not in words and not line[:1].isdigit()
    )


def _heads(lines: list[bytes], columns: Mapping[str, str], skip: int) -> list[str]:
    """What is wrong with the first lines of an object."""
    if not lines:
        return []
    header = _is_header(lines[0])
    wrong: list[str] = []
    wrong += ["its first record is skipped as if it were a header"] * sum(not _is_header(one) for one in lines[:skip])
    if header and not skip:
        wrong.append("its header is read as a record")
    names = [word.decode("ascii").replace("-", "_") for word in lines[0].split()] if header else []
    declared = list(columns)
    if header and names[: len(declared)] != declared[: len(names)] and set(names) <= set(COLUMNS):
        wrong.append("its fields are in another order than the table's columns")
    return wrong


def _fault(line: bytes, columns: Mapping[str, str]) -> str:
    """Why a line is not shown as the record that it is; "" where it is."""
    if line[:1] in b" \t" or b"  " in line or b"\t" in line:
        return "a leading, doubled or other blank, which shifts the fields"
    words = line.rstrip(b" ").split(b" ")
    if len(words) != len(columns):
        return f"{len(words)} fields where the table has {len(columns)} columns"
    for word, (name, kind) in zip(words, columns.items(), strict=True):
        if kind in ("int", "integer", "bigint", "smallint", "tinyint") and not _fits(word, kind):
            return f"a number in {name} that Athena reads as NULL"
    return ""


def _fits(word: bytes, kind: str) -> bool:
    if not _WHOLE.fullmatch(word):
        return False
    bits = {"tinyint": 7, "smallint": 15, "int": 31, "integer": 31, "bigint": 63}[kind]
    return word in (b"-", b"\\N") or -(2**bits) <= int(word) < 2**bits
