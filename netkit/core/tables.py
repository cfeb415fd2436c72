"""A frame as people read it, in HTML: times and units in words, protocols by name, ids whole, text left, wide and long ones in a box.

Three other ways were looked at on 2026-11-28 in JupyterLab 4.6 at 1280 px in its dark theme, and in a report, both with no
network. pandas' own HTML (3.1): ids broken over two lines, sentences and commands cut off after fifty signs. great_tables 1.1:
in the dark theme a white head over dark grey words on black, `${a} x ${b}` typeset as mathematics, ids broken. itables 2.9:
sorts and filters, by a script of 0.97 MB in the notebook; in the dark theme its head was white on white and each row one line
to scroll; the report, which runs no script of a cell, stays at "Loading ITables". So: plain HTML, no script; whoever wants to
sort has the frame.
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pandas as pd

from netkit.core.errors import redact
from netkit.core.look import block, command, is_command
from netkit.core.net import protocol_name
from netkit.core.text import escaped

MOST = 200
_NONE = "<span class='faint'>-</span>"
_TIMES = {"start", "end", "first", "last", "bucket", "time", "since", "until", "seen", "at", "created", "expires"}
_PLAIN = {
    "port",
    "dstport",
    "srcport",
    "number",
    "vni",
    "account",
    "order",
    "step",
    "code",
    "type",
    "asn",
    "id",
    "year",
}
_VERDICTS = {
    "REACHABLE": "✓ reachable",
    "NOT_REACHABLE": "✗ not reachable",
    "UNKNOWN": "? unknown",
    "ACCEPT": "✓ ACCEPT",
    "REJECT": "✗ REJECT",
}
# Ids, names with a hyphen, addresses and times inside a sentence are never broken over lines.
_WHOLE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d\S*|(?<!\S)(?=\S{5,60}(?!\S))\S*(?:-\w|\d\.\d)\S*")
_ISO = re.compile(r"(?<![\w-])(\d{4}-\d\d-\d\d)T(\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z)(?!\w)")
_BREAK = re.compile(r"(?<=[:/,=_])")


@dataclass(frozen=True)
class Link:
    """A cell that opens a file: its words, and the file's path from where the page stands."""

    words: str
    path: str

    def __str__(self) -> str:
        return self.words


def frame_html(frame: pd.DataFrame, *, most: int = MOST) -> str:
    """The frame as a block of HTML: the first `most` rows, a heading for each column, and what was left out in a line.

    Names say how a column is read: bytes, `_s` (seconds), `_usd`, first_seen and the like (times), protocol, port, command.
    A column that says nothing goes into that line, and of a wide table one that says the same in every row.
    """
    some = frame.head(most)
    if some.index.name or not pd.api.types.is_integer_dtype(some.index):
        some = some.reset_index(names=None if some.index.name else [""] * some.index.nlevels)
    names = [" ".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in some.columns]
    columns = [[cell(value, name) for value in some.iloc[:, place]] for place, name in enumerate(names)]
    kept, said = _folded(names, columns)
    if len(frame) > len(some):
        said.append(f"{len(frame):,} rows; the first {len(some)} are shown")
    heads = "".join(
        f"<th title='{escaped(name)}' class='{_class(name, columns[place])}'>{escaped(heading(name))}</th>"
        for place, name in kept
    )
    classes = [_class(name, columns[place]) for place, name in kept]
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td class='{kind}'>{columns[place][row]}</td>" for (place, _), kind in zip(kept, classes, strict=True)
        )
        + "</tr>"
        for row in range(len(some))
    )
    if not rows:
        rows = f"<tr><td colspan='{max(1, len(kept))}'>no rows</td></tr>"
    notes = f"<p class='faint'>{'; '.join(said)}</p>" if said else ""
    return block(
        f"<div class='nk-scroll'><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{notes}"
    )


def _folded(names: Sequence[str], columns: Sequence[Sequence[str]]) -> tuple[list[tuple[int, str]], list[str]]:
    """The columns that stay, and in words those that need not stand in every row."""
    places = list(enumerate(names))
    rows = len(columns[0]) if columns else 0
    if rows == 0 or len(names) < 5:
        return places, []
    wide = len(names) > (6 if rows > 3 else 11)  # of two rows a reader sees at once what is the same
    empty = [(place, name) for place, name in places if all(one in ("", _NONE) for one in columns[place])]
    same = [
        (place, name)
        for place, name in places
        if rows > 1 and wide and (place, name) not in empty and len(set(columns[place])) == 1
    ]
    if len(empty) + len(same) >= len(names):
        return places, []
    said = [f"{escaped(heading(name))} {columns[place][0]} in every row" for place, name in same]
    if empty:
        said.append(f"nothing in: {escaped(', '.join(heading(name) for _, name in empty))}")
    gone = {place for place, _ in (*empty, *same)}
    return [(place, name) for place, name in places if place not in gone], said


def _class(name: str, cells: Iterable[str]) -> str:
    """n: figures, right; c: commands; w: sentences, which want some width."""
    held = [one for one in cells if one not in ("", _NONE)]
    if held and all(one.startswith("<data") for one in held):
        return "n"
    if any("class='cmd'" in one for one in held):
        return "c"
    return "w" if any(" " in one and len(re.sub(r"<[^>]+>", "", one)) > 45 for one in held) else ""


def heading(name: str) -> str:
    """A column's name in words: first_seen -> first seen, aggregation_s -> aggregation, monthly_usd -> monthly cost."""
    if name == "seconds":
        return "duration"
    words = re.sub(r"_(s|seconds|ms|us)$", "", name)
    words = re.sub(r"(_cost)?_usd$", "_cost", words) if words != "cost_usd" else "cost"
    return words.replace("_", " ").strip()


def cell(value: Any, name: str = "") -> str:
    """One value as HTML, read as the column's name says. Others' words are escaped."""
    if isinstance(value, Link):
        return f"<a class='i' href='{quote(value.path)}'>{escaped(redact(value.words))}</a>" if value.path else _NONE
    if isinstance(value, Mapping):
        return prose(", ".join(f"{key}={one}" for key, one in value.items())) if value else _NONE
    if isinstance(value, list | tuple | set | frozenset) or type(value).__name__ == "ndarray":
        return _listed(list(value))
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        return "unknown" if name.endswith("_usd") else _NONE
    if isinstance(value, datetime):
        return f"<span class='i'>{moment(pd.Timestamp(value))}</span>"
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return "yes" if value else "no"
    if isinstance(value, numbers.Integral):
        return _number(int(value), name)
    if isinstance(value, numbers.Real):
        return _number(float(value), name) if math.isfinite(value) else str(value)
    return _text(str(value), name)


def _listed(values: Sequence[Any]) -> str:
    if not values:
        return _NONE
    pairs = all(isinstance(one, tuple) and len(one) == 2 for one in values)
    return prose(", ".join(f"{one[0]}={one[1]}" if pairs else str(one) for one in values))


def _text(text: str, name: str) -> str:
    if name in ("protocol", "proto") and text.isdecimal() and int(text) < 256:
        return escaped(protocol_name(int(text)))
    if text in _VERDICTS:
        return f"<span class='i'>{_VERDICTS[text]}</span>"
    text = redact(text)  # here, while it is whole: marks or a cut within a key would hide it from the report's own
    if is_command(text):
        first = " ".join(text.split()[:3])
        return f"<details><summary><code>{escaped(first)} …</code></summary>{command(text)}</details>"
    if len(text) > 300:
        return f"<details><summary>{prose(text[:140])} …</summary>{prose(text)}</details>"
    return prose(text)


def prose(text: str) -> str:
    """Words in HTML, with ids and addresses whole; one long word without blanks may break behind a colon, slash or comma.

    Times of ISO 8601 read as in the tables: 2026-11-19T09:41:00Z is 2026-11-19 09:41:00Z.
    """
    text = _ISO.sub(r"\1 \2", redact(text))
    if " " not in text and len(text) > (44 if "_" not in text else 30):
        return "<wbr>".join(f"<span class='i'>{escaped(part)}</span>" for part in _BREAK.split(text))
    if len(text) <= 28:
        return f"<span class='i'>{escaped(text)}</span>" if text else ""
    out, at = [], 0
    for found in _WHOLE.finditer(text):
        out += [escaped(text[at : found.start()]), f"<span class='i'>{escaped(found[0])}</span>"]
        at = found.end()
    return "".join([*out, escaped(text[at:])]) if " " in text else f"<span class='i'>{escaped(text)}</span>"


def _number(value: float, name: str) -> str:
    words = set(name.lower().split("_"))
    if words & {"protocol"} and isinstance(value, int) and 0 <= value < 256:
        return escaped(protocol_name(value))
    if words & _TIMES and 631_152_000 <= value < 4_102_444_800:
        return f"<span class='i'>{moment(pd.Timestamp(value, unit='s', tz='UTC'))}</span>"
    return f"<data value='{value!r}' title='{value!r}'>{_measure(value, name.lower(), words)}</data>"


def _measure(value: float, name: str, words: set[str]) -> str:
    """A number with the unit that its column's name tells."""
    units: tuple[tuple[bool, Callable[[float], str]], ...] = (
        (bool(words & {"bytes", "size"}) and "per" not in words, size),
        (name.endswith(("_s", "seconds")), span),
        (name.endswith("_ms"), lambda number: f"{plain(number)} ms"),
        (name.endswith("_usd"), dollars),
        (name.endswith("share"), lambda number: f"{plain(round(number * 100, 2))} %"),
        (bool(words & _PLAIN) or name.endswith("port"), str),
    )
    return next((show(value) for fits, show in units if fits), plain(value))


def moment(time: pd.Timestamp) -> str:
    """A time in UTC to the second, to the millisecond where it has some; a time without a zone is taken for UTC."""
    time = time.tz_convert("UTC") if time.tzinfo else time.tz_localize("UTC")
    fraction = f".{time.microsecond // 1000:03d}" if time.microsecond >= 1000 else ""
    return f"{time:%Y-%m-%d %H:%M:%S}{fraction}Z"


def size(value: float) -> str:
    """Bytes with a unit, three digits: 532 B, 1.20 GB (of 1000)."""
    number = abs(value)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 999.5 or unit == "TB":
            digits = f"{number:.0f}" if unit == "B" or number >= 99.95 else f"{number:.{2 if number < 9.995 else 1}f}"
            return f"{'-' if value < 0 else ''}{digits} {unit}"
        number /= 1000
    return str(value)


def span(seconds: float) -> str:
    """Seconds in words, the two largest units: 4 min 38 s, 12 h 46 min, 3 d."""
    if abs(seconds) < 60:
        return f"{plain(seconds)} s"
    parts: list[str] = []
    rest = round(abs(seconds))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return ("-" if seconds < 0 else "") + " ".join(one for one in parts[:2] if one)


def dollars(value: float) -> str:
    """Dollars: cents, and two digits of what is less."""
    return f"${value:,.2f}" if value == 0 or abs(value) >= 0.01 else f"${value:.2g}"


def plain(value: float) -> str:
    """A number: thousands parted, four digits of a fraction."""
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
