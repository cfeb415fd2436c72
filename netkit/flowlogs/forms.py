"""What a file is, by its content alone: which of the forms that people hold, and what DuckDB is to read of it. Pure.

Plain forms (text with a header or headless in a known format, gzip or not; Parquet) are read where they are. Whatever is wrapped
(zip, gzip within gzip, UTF-16, JSON of any AWS call, base64, exports as CSV, OCSF) is taken apart in one pass, in bounded memory,
into plain text in a private folder, one file for each format of record that is in it.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import itertools
import lzma
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TextIO

import pyarrow.parquet as pq
from pyarrow.lib import ArrowInvalid

from netkit.core.errors import SourceError
from netkit.flowlogs import envelopes, files
from netkit.flowlogs.envelopes import Lost, Record
from netkit.flowlogs.files import Layout

_HEAD_BYTES = 64 * 1024
UNIT = files.UNIT
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}
_OPENERS: dict[str, Callable[..., Any]] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
_NUMBER = itertools.count()
_MOST_LAYERS = 4
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, ArrowInvalid)


@dataclass(frozen=True)
class Part:
    """What DuckDB reads: a file of one layout, the person's own or one in the private folder."""

    layout: Layout
    path: Path
    own: bool = False


@dataclass
class Reading:
    """What a file came to: its parts, what was lost of it on the way, and notes."""

    parts: list[Part] = field(default_factory=list)
    lost: Lost = field(default_factory=Lost)
    notes: list[str] = field(default_factory=list)


def read(path: Path, folder: Path, formats: Sequence[tuple[str, ...]] = ()) -> Reading:
    """What a file holds. What has to be taken apart is written below `folder`.

    formats: columns of the formats that headless lines may have, beside AWS's default
    Raises SourceError, naming the file, for one that holds no flow logs or cannot be read.
    """
    try:
        return _read(path, path, folder, formats)
    except DAMAGE as problem:
        raise SourceError(
            f"the file cannot be read to its end: {problem}", subject=str(path), hint="fetch it again"
        ) from None


def split_file(path: Path, folder: Path, formats: Sequence[tuple[str, ...]] = ()) -> Reading:
    """A text file in which formats change: each by itself, by the header lines in the middle and the width of the lines."""
    reading = Reading()
    with _unpacked(path)[0] as raw, _text(raw) as stream:
        _sort(reading, envelopes.lines(stream, reading.lost), path, folder, formats)
    return reading


def _read(path: Path, named: Path, folder: Path, formats: Sequence[tuple[str, ...]]) -> Reading:
    """What is in `path`, which is the person's file `named` or what was packed in it."""
    raw, layers = _unpacked(path)
    with raw:
        if layers == ("zip",):
            return _read_zip(path, named, folder, formats)
        head = raw.peek(4)[:4]  # type: ignore[attr-defined]
        wide = head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        if layers not in ((), ("gzip",)) or wide or (layers and head == b"PAR1"):
            return _read(_unpack(raw, folder, wide=wide), named, folder, formats)
        if head == b"PAR1":
            return _read_parquet(path, named, folder)
        lines = _head(raw)
    return _read_text(path, named, folder, formats, lines, "gzip" if layers else "none")


def _unpacked(path: Path) -> tuple[IO[bytes], tuple[str, ...]]:
    """A file with its packing taken off, and what that was; zip is only named."""
    raw: IO[bytes] = path.open("rb")
    layers: list[str] = []
    while len(layers) < _MOST_LAYERS:
        head = raw.peek(6)[:6]  # type: ignore[attr-defined]
        kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "")
        if not kind or (kind == "zip" and layers):
            break
        layers.append(kind)
        if kind == "zip":
            break
        raw = io.BufferedReader(_OPENERS[kind](raw, "rb"))
    return raw, tuple(layers)


def _unpack(raw: IO[bytes], folder: Path, *, wide: bool) -> Path:
    target = _free(folder)
    if wide:
        with io.TextIOWrapper(raw, "utf-16", "replace", newline="") as text, target.open("w", newline="") as out:
            shutil.copyfileobj(text, out, 1 << 20)
    else:
        with target.open("wb") as file:
            shutil.copyfileobj(raw, file, 1 << 20)
    return target


def _free(folder: Path) -> Path:
    return folder / f"{next(_NUMBER):06}.part"


def _read_zip(path: Path, named: Path, folder: Path, formats: Sequence[tuple[str, ...]]) -> Reading:
    """The files in a zip, what is none left out and named."""
    whole = Reading()
    with zipfile.ZipFile(path) as packed:
        for one in packed.infolist():
            if one.is_dir() or Path(one.filename).name.startswith((".", "_")):
                continue
            with packed.open(one) as raw:
                inner = _unpack(raw, folder, wide=False)
            try:
                found = _read(inner, named, folder, formats)
            except (SourceError, *DAMAGE) as problem:
                why = problem.what if isinstance(problem, SourceError) else str(problem)
                whole.notes.append(f"{one.filename} in it left out: {why}")
                continue
            whole.parts += [Part(part.layout, part.path, part.own or part.path == inner) for part in found.parts]
            whole.lost.count += found.lost.count
            whole.lost.examples += found.lost.examples
            whole.notes += found.notes
    if not whole.parts:
        raise SourceError("there are no flow logs in this zip", subject=str(named), hint="; ".join(whole.notes)[:200])
    return whole


def _read_parquet(path: Path, named: Path, folder: Path) -> Reading:
    schema = pq.read_schema(path)
    if {"src_endpoint", "dst_endpoint"} <= set(schema.names):
        reading = Reading()
        rows = (row for batch in pq.ParquetFile(path).iter_batches(10_000) for row in batch.to_pylist())
        _sort(reading, envelopes.parquet_records(rows), named, folder, ())
        return reading
    return Reading([Part(_named(lambda: files.sniff_parquet(path), named), path, path != named)])


def _named(sniff: Callable[[], Layout], named: Path) -> Layout:
    try:
        return sniff()
    except SourceError as problem:
        raise SourceError(problem.what, subject=str(named), hint=problem.hint) from None


def _head(raw: IO[bytes]) -> list[str]:
    """The first lines of a file, whole ones only, with their ends."""
    block = raw.read(_HEAD_BYTES)
    text = block.decode("utf-8-sig", "replace")
    if text.count("\ufffd") * 20 > len(text):
        return []
    lines = re.split(r"(?<=\n)", text)
    return [line for line in (lines[:-1] if len(block) == _HEAD_BYTES and len(lines) > 1 else lines) if line.strip()]


def _text(raw: IO[bytes]) -> TextIO:
    return io.TextIOWrapper(raw, "utf-8-sig", "replace", newline=None)


def _read_text(
    path: Path, named: Path, folder: Path, formats: Sequence[tuple[str, ...]], lines: list[str], compression: str
) -> Reading:
    reader = _wrapped(lines)
    if reader is None:
        layout, mixed = files.sniff_text(lines, named, compression, formats)
        if mixed:
            return split_file(path, folder, formats)
        return Reading([Part(layout, path, path != named)])
    reading = Reading()
    with _unpacked(path)[0] as raw, _text(raw) as stream:
        _sort(reading, reader(stream, reading.lost), named, folder, formats)
    return reading


def _wrapped(lines: Sequence[str]) -> Callable[[TextIO, Lost], Iterator[Record]] | None:
    """The reader of an envelope, by a text's first lines; None for plain records."""
    first = lines[0].strip() if lines else ""
    if first.startswith(("{", "[")):
        return envelopes.json_records
    if any(line.startswith("EVENTS\t") for line in lines):
        return envelopes.event_records
    if re.fullmatch(r"\"?(H4sI[A-Za-z0-9+/]{16,}|[A-Za-z0-9+/]{60,})={0,2}\"?,?", first):
        return envelopes.base64_records
    for sign in (",", "\t", ";"):
        names = first.split(sign)
        discovered = any(name.strip('"').startswith("@") for name in names) and files.is_header(names)
        if discovered or (envelopes.message_place(names) is not None and not files.is_header(names)):
            return lambda stream, lost: envelopes.table_records(stream, lost, sign)
    return None


# --------------------------------------------------------------------------------- records, sorted by format into text


class Sorter:
    """Record lines and records taken apart, each written with others of its format below a folder."""

    def __init__(self, folder: Path, formats: Sequence[tuple[str, ...]], lost: Lost) -> None:
        self._folder, self._formats, self._lost = folder, formats, lost
        self._open: dict[tuple[str, ...], tuple[TextIO, Path]] = {}
        self._header: tuple[str, ...] = ()
        self.seen = 0
        self.width = 0

    def take(self, record: Record) -> None:
        """One record: where it fits no format, it is lost."""
        self.seen += 1
        if isinstance(record, dict):
            self._take_mapping(record)
            return
        words = record.replace(UNIT, " ").replace("\t", " ").split()
        if not words:
            self.seen -= 1
            return
        if len(words) == 1 and "," in record:
            words = [word.strip('"') or "-" for word in record.split(",")]
        if files.is_header(words):
            self._header = files.safe_columns(words)
            self.seen -= 1
            self._writer(self._header)
            return
        columns = self._header if len(words) == len(self._header) else files.match_format(words, self._formats)
        if columns:
            self._write(columns, words)
        else:
            self.width = self.width or len(words)
            self._lost.add(record)

    def _take_mapping(self, record: dict[str, str]) -> None:
        if not record:
            self._lost.add("a record without fields")
            return
        columns = next((one for one in self._open if record.keys() <= set(one)), tuple(record))
        self._write(columns, [record.get(name, "-") for name in columns])

    def _write(self, columns: tuple[str, ...], words: Sequence[str]) -> None:
        self._writer(columns).write(UNIT.join(words) + "\n")

    def _writer(self, columns: tuple[str, ...]) -> TextIO:
        if columns not in self._open:
            path = _free(self._folder)
            self._open[columns] = (path.open("w", encoding="utf-8", newline="\n"), path)
        return self._open[columns][0]

    def close(self) -> list[Part]:
        """The files that were written, by layout."""
        for file, _ in self._open.values():
            file.close()
        return [Part(Layout("text", columns, separator=UNIT), path, True) for columns, (_, path) in self._open.items()]


def _sort(
    reading: Reading, records: Iterable[Record], named: Path, folder: Path, formats: Sequence[tuple[str, ...]]
) -> None:
    """Records into the reading's parts. Raises SourceError where none is of a known format."""
    sorter = Sorter(folder, formats, reading.lost)
    try:
        for record in records:
            sorter.take(record)
    finally:
        reading.parts += sorter.close()
    if reading.parts or not (sorter.seen or reading.lost.count):
        if not reading.parts:
            raise SourceError("there are no flow-log records in it", subject=str(named), hint="is it another export?")
        return
    if sorter.width:
        raise SourceError(
            f"no header line, and not AWS's default format: {len(files.V2)} fields expected, lines have {sorter.width}",
            subject=str(named),
            hint='say which fields the lines have: format="v5", or format="${version} ${srcaddr} …"; netkit does not guess columns',
        )
    example = reading.lost.examples[0][:80] if reading.lost.examples else ""
    raise SourceError("there are no flow-log records in it", subject=str(named), hint=f"it holds {example}")
