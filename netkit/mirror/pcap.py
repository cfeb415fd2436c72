"""Capture files as blocks of frames: pcap and pcapng, both byte orders, gzip, one file after another, never whole. Pure.

Sources: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng (IETF). What cannot be read is counted in bytes and said in a
sentence; a file that is no capture at all raises SourceError.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from netkit.core.errors import SourceError

Array = np.ndarray[Any, np.dtype[Any]]

BLOCK = 8 * 2**20  # bytes decoded at a time: fits the processor's cache, and memory stays flat
LARGEST = 262_144  # bytes in one frame: the limit of libpcap and Wireshark
_LATEST_S = 2**33  # the year 2242; 64-bit nanoseconds end in 2262
ROOM = 64  # zero bytes behind a block, so that a header cut off at its end can be looked at without a test

_PCAP = {
    b"\xa1\xb2\xc3\xd4": (">", 1000), b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1), b"\x4d\x3c\xb2\xa1": ("<", 1),
}  # fmt: skip
_SECTION = b"\x0a\x0d\x0d\x0a"
_GZIP = b"\x1f\x8b"

# Link types whose frames lead to an IP header (https://www.tcpdump.org/linktypes.html).
ETHERNET, RAW, LINUX_COOKED, LINUX_COOKED_2, RAW_IPV4, RAW_IPV6, NULL = 1, 101, 113, 276, 228, 229, 0
LINK_TYPES = {
    ETHERNET: "Ethernet", RAW: "raw IP", 12: "raw IP", 14: "raw IP", LINUX_COOKED: "Linux cooked", LINUX_COOKED_2: "Linux cooked 2",
    RAW_IPV4: "raw IPv4", RAW_IPV6: "raw IPv6",
}  # fmt: skip


@dataclass
class Frames:
    """Some frames of one file: the bytes, and for each frame where it starts, how much of it was kept, how long it was.

    start and captured index into data (bytes); length is the frame's own length (bytes); time is ns since 1970 UTC; interface
    is its number in the file, from 0 (a plain pcap has one), link_type that interface's.
    """

    data: Array
    start: Array
    captured: Array
    length: Array
    time: Array
    link_type: Array
    interface: Array


@dataclass
class FileNotes:
    """What one file held, and what of it could not be read: bytes and a sentence each."""

    path: Path
    kind: str = ""
    link_types: list[int] = field(default_factory=list)
    frames: int = 0
    size: int = 0
    first: int = 0
    last: int = 0
    cut_off: int = 0
    wrong_length: int = 0
    damaged_bytes: int = 0
    interface_dropped: int = 0
    unread: Counter[int] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def link(self) -> str:
        """The link types of its interfaces, in words."""
        return ", ".join(dict.fromkeys(link_name(one) for one in self.link_types))

    def damaged(self, count: int, why: str) -> None:
        """Take note of bytes that were left unread."""
        self.damaged_bytes += count
        self.problems.append(f"{self.path.name}: {why}")


def frames(path: Path, notes: FileNotes, advance: Callable[[int], object] = lambda _: None) -> Iterator[Frames]:
    """The frames of one file, some thousands at a time; `advance` is told of bytes read from disk.

    Each frame has the link type of its own interface. Raises SourceError for a file that is no capture, and for one whose link
    types all lead to no IP header.
    """
    with path.open("rb") as raw:
        source = _Source(raw, path, notes, advance)
        head = source.peek(4)
        if head in _PCAP:
            yield from _pcap(source, notes)
        elif head == _SECTION:
            yield from _pcapng(source, notes)
            _note_unread(notes)
        else:
            raise _no_capture(path, head)


def first_time(path: Path) -> int:
    """The time of the first frame of a file in ns since 1970, or 0 where it has none. Raises what `frames` raises."""
    for some in frames(path, FileNotes(path)):
        return int(some.time[0])
    return 0


def _no_capture(path: Path, head: bytes) -> SourceError:
    if not head:
        return SourceError(
            "the capture file is empty: not even a header", subject=path.name, hint="wait until the ring file is finished, or fetch it again"
        )  # fmt: skip
    return SourceError(
        f"this is no capture: it begins with {head!r}",
        subject=path.name,
        hint="netkit reads pcap and pcapng, plain or gzip, as tshark and tcpdump write them",
    )


class _Source:
    """Bytes of a file, unpacked where it is gzip, with what is left of the last block in front of the next."""

    def __init__(self, raw: IO[bytes], path: Path, notes: FileNotes, advance: Callable[[int], object]) -> None:
        self.raw, self.path, self.notes, self.advance = raw, path, notes, advance
        self.told = 0
        zipped = raw.read(2) == _GZIP
        raw.seek(0)
        self.file = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if zipped else raw
        self.rest = b""
        self.ended = False

    def peek(self, count: int) -> bytes:
        """The next bytes, which stay unread."""
        self._fill(count)
        return self.rest[:count]

    def take(self, count: int) -> bytes:
        """The next bytes; fewer only at the end."""
        self._fill(count)
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def _fill(self, count: int) -> None:
        while len(self.rest) < count and not self.ended:
            self.rest += self._read(max(count - len(self.rest), 65536))

    def block(self, more: int = 0) -> bytes:
        """What is left over and up to BLOCK bytes behind it."""
        got = b"" if self.ended else self._read(max(BLOCK, more))
        taken, self.rest = self.rest + got, b""
        return taken

    def _read(self, count: int) -> bytes:
        try:
            got = self.file.read(count)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self.ended = True
            self.notes.damaged(0, f"the gzip stream is damaged ({error}); what came before it was read")
            return b""
        at = self.raw.tell()
        self.advance(at - self.told)
        self.told = at
        self.notes.size = at
        self.ended = not got
        return got


# -------------------------------------------------------------------------------------------------------------- pcap


def _pcap(source: _Source, notes: FileNotes) -> Iterator[Frames]:
    header = source.take(24)
    order, unit = _PCAP[header[:4]]
    notes.kind = "pcap"
    if len(header) < 24:
        notes.damaged(len(header), "the file ends within its header")
        return
    notes.link_types = [struct.unpack_from(order + "I", header, 20)[0] & 0xFFFF]
    _check_link_types(notes)
    length = struct.Struct(order + "I").unpack_from
    missing = 0
    while True:
        block = source.block(missing)
        offsets, end, bad = _records(block, length)
        if offsets:
            yield _pcap_frames(block, offsets, order, unit, notes)
        if bad:
            notes.damaged(_drain(source, len(block) - end), f"a frame header at its byte {end} of a block is damaged; the rest was left unread")  # fmt: skip
            return
        source.rest = block[end:]
        missing = 16 + length(block, end + 8)[0] if len(block) - end >= 16 else 16
        if source.ended:
            _note_cut_off(notes, len(source.rest))
            return


def _records(block: bytes, length: Callable[[bytes, int], tuple[Any, ...]]) -> tuple[list[int], int, bool]:
    """Where the whole records of a block begin, where the first unfinished one does, and whether that one is damaged."""
    offsets: list[int] = []
    note = offsets.append
    at, last = 0, len(block) - 16
    while at <= last:
        captured = length(block, at + 8)[0]
        if captured > LARGEST:
            return offsets, at, True
        after = at + 16 + captured
        if after > len(block):
            break
        note(at)
        at = after
    return offsets, at, False


def _pcap_frames(block: bytes, offsets: list[int], order: str, unit: int, notes: FileNotes) -> Frames:
    data = _padded(block)
    at = np.array(offsets, np.int64)
    words = words_of(data, order)
    seconds, fraction = words[at].astype(np.int64), words[at + 4].astype(np.int64)
    captured, length = words[at + 8].astype(np.int64), words[at + 12].astype(np.int64)
    same = np.zeros(len(at), np.int64)
    time = seconds * 1_000_000_000 + fraction * unit
    return _noted(Frames(data, at + 16, captured, length, time, same + notes.link_types[0], same), notes)


def _noted(some: Frames, notes: FileNotes) -> Frames:
    wrong = some.length < some.captured
    notes.wrong_length += int(wrong.sum())
    some.length = np.maximum(some.length, some.captured)
    if notes.frames == 0:
        notes.first = int(some.time[0])
    notes.first = min(notes.first, int(some.time.min()))
    notes.last = max(notes.last, int(some.time.max()))
    notes.frames += len(some.start)
    unread = some.link_type[~np.isin(some.link_type, list(LINK_TYPES))]
    notes.unread.update(unread.tolist())
    return some


def _note_cut_off(notes: FileNotes, left: int) -> None:
    if left:
        notes.cut_off += 1
        notes.damaged(left, f"the last frame is cut off: {left} bytes of it are there")


def _drain(source: _Source, left: int) -> int:
    while got := source.block():
        left += len(got)
    return left


# ------------------------------------------------------------------------------------------------------------ pcapng

_INTERFACE, _PACKET, _SIMPLE, _STATISTICS, _ENHANCED = 1, 2, 3, 5, 6
_OPTION_RESOLUTION, _OPTION_OFFSET, _OPTION_DROPPED = 9, 14, 5


@dataclass
class _Section:
    """One section: its byte order, and of each interface its link type, the time unit (ticks a second), offset (s) and snap length.

    first is the number of its first interface in the file.
    """

    order: str
    first: int = 0
    link_type: list[int] = field(default_factory=list)
    ticks: list[int] = field(default_factory=list)
    offset: list[int] = field(default_factory=list)
    snap: list[int] = field(default_factory=list)


def _pcapng(source: _Source, notes: FileNotes) -> Iterator[Frames]:
    notes.kind = "pcapng"
    section = _Section("<")
    missing = 0
    while True:
        block = source.block(missing)
        at, missing = 0, 0
        while True:
            if block[at : at + 4] == _SECTION and len(block) - at >= 12:
                little = block[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a"
                section = _Section("<" if little else ">", len(notes.link_types))
            packets, others, after, state = _blocks(block, at, section.order)
            for where in others:
                _take_block(block, where, section, notes)
            yield from _ng_frames(block, packets, section, notes)
            at = after
            if state == "damaged":
                notes.damaged(_drain(source, len(block) - at), "a block header is damaged; the rest was left unread")
                return
            if state != "again":
                break
        source.rest = block[at:]
        missing = struct.unpack_from(section.order + "I", block, at + 4)[0] if len(block) - at >= 12 else 12
        if source.ended:
            _note_cut_off(notes, len(source.rest))
            return


def _blocks(block: bytes, at: int, order: str) -> tuple[list[int], list[int], int, str]:
    """Packets, other blocks, where reading stopped, and why: "more" bytes needed, "again" (descriptions come first), "damaged"."""
    unpack = struct.Struct(order + "II").unpack_from
    packets: list[int] = []
    others: list[int] = []
    begun = at
    while len(block) - at >= 12:
        kind, size = unpack(block, at)
        if kind == 0x0A0D0D0A and at != begun:
            return packets, others, at, "again"
        if size < 12 or size % 4 or size > 16 * 2**20:
            return packets, others, at, "damaged"
        if at + size > len(block):
            break
        if kind in (_ENHANCED, _SIMPLE, _PACKET):
            packets.append(at)
        elif packets and kind == _INTERFACE:
            return packets, others, at, "again"
        else:
            others.append(at)
        at += size
    return packets, others, at, "more"


def _take_block(block: bytes, at: int, section: _Section, notes: FileNotes) -> None:
    kind, size = struct.unpack_from(section.order + "II", block, at)
    if kind == _INTERFACE and size >= 20:
        link_type, _, snap = struct.unpack_from(section.order + "HHI", block, at + 8)
        notes.link_types.append(link_type)
        section.link_type.append(link_type)
        options = _options(block, at + 16, at + size - 4, section.order)
        section.ticks.append(_ticks(options.get(_OPTION_RESOLUTION, b"\x06")))
        offset = options.get(_OPTION_OFFSET, b"")
        section.offset.append(struct.unpack(section.order + "q", offset)[0] if len(offset) == 8 else 0)
        section.snap.append(snap or LARGEST)
    elif kind == _STATISTICS and size >= 24:
        dropped = _options(block, at + 20, at + size - 4, section.order).get(_OPTION_DROPPED, b"")
        notes.interface_dropped += struct.unpack(section.order + "Q", dropped)[0] if len(dropped) == 8 else 0


def _options(block: bytes, at: int, end: int, order: str) -> dict[int, bytes]:
    found = {}
    while at + 4 <= end:
        code, size = struct.unpack_from(order + "HH", block, at)
        if code == 0 or at + 4 + size > end:
            break
        found[code] = block[at + 4 : at + 4 + size]
        at += 4 + size + -size % 4
    return found


def _ticks(resolution: bytes) -> int:
    power = resolution[0] if resolution else 6
    return int(min(2 ** (power & 0x7F) if power & 0x80 else 10**power, 2**63))


def _ng_frames(block: bytes, packets: list[int], section: _Section, notes: FileNotes) -> Iterator[Frames]:
    if not packets:
        return
    data = _padded(block)
    words = words_of(data, section.order)
    at = np.array(packets, np.int64)
    kind, size = words[at].astype(np.int64), words[at + 4].astype(np.int64)
    simple = kind == _SIMPLE
    halves = np.ndarray((len(data) - 1,), section.order + "u2", buffer=data, strides=(1,))
    number = np.where(simple, 0, np.where(kind == _PACKET, halves[at + 8].astype(np.int64), words[at + 8]))
    known = number < len(section.ticks)
    start = at + np.where(simple, 12, 28)
    length = words[np.where(simple, at + 8, at + 24)].astype(np.int64)
    snap = np.array([*section.snap, 0])[np.minimum(number, len(section.snap))]
    captured = np.where(simple, np.minimum(length, snap), words[at + 20])
    fits = known & (captured >= 0) & (start + captured <= at + size - 4)
    if not fits.all():
        notes.damaged(
            int(size[~fits].sum()),
            f"{int((~fits).sum())} packet blocks name no interface or a length that does not fit",
        )
    if not fits.any():
        return
    ticks = (words[at + 12].astype(np.uint64) << np.uint64(32)) | words[at + 16].astype(np.uint64)
    time = np.where(simple, 0, _nanoseconds(ticks, number, section))
    link_type = np.array(section.link_type, np.int64)[number[fits].astype(np.int64)]
    interface = number[fits].astype(np.int64) + section.first
    yield _noted(Frames(data, start[fits], captured[fits], length[fits], time[fits], link_type, interface), notes)


def _nanoseconds(ticks: Array, number: Array, section: _Section) -> Array:
    """Ticks of each frame's own interface in ns; whole seconds and the rest apart, so that nothing overflows."""
    time = np.zeros(len(ticks), np.int64)
    for one, (unit, offset) in enumerate(zip(section.ticks, section.offset, strict=True)):
        mine = number == one
        seconds, rest = (part.astype(np.int64) for part in np.divmod(ticks[mine], np.uint64(unit)))
        if unit > 1_000_000_000:
            fraction = (rest.astype(np.float64) * (1e9 / unit)).astype(np.int64)
        else:
            fraction = rest * 1_000_000_000 // unit
        # A damaged block can name any time: what is no time of this age is put at its ends.
        time[mine] = np.clip(seconds + offset, 0, _LATEST_S) * 1_000_000_000 + fraction
    return time


# ------------------------------------------------------------------------------------------------------- small things


def link_name(link_type: int) -> str:
    """A link type in words."""
    return LINK_TYPES.get(link_type, f"link type {link_type}")


def _check_link_types(notes: FileNotes) -> None:
    """Refuse a file of which no interface leads to IP headers."""
    if notes.link_types and not set(notes.link_types) & set(LINK_TYPES):
        raise SourceError(
            f"the capture is of link type {notes.link_types[0]}, which netkit does not read",
            subject=notes.path.name,
            hint=f"capture on the mirror target's network interface: {', '.join(dict.fromkeys(LINK_TYPES.values()))}",
        )


def _note_unread(notes: FileNotes) -> None:
    """Frames of interfaces that netkit does not read stand among those without IP; a file that has no others is refused."""
    _check_link_types(notes)
    for link_type, count in notes.unread.items():
        notes.problems.append(
            f"{notes.path.name}: {count:,} frames of {link_name(link_type)}, which netkit does not read"
        )


def _padded(block: bytes) -> Array:
    return np.frombuffer(block + bytes(ROOM), np.uint8)


def words_of(data: Array, order: str) -> Array:
    """Every 4 bytes of a buffer as one number, wherever they begin; no copy."""
    return np.ndarray((len(data) - 3,), order + "u4", buffer=data, strides=(1,))


def halves_of(data: Array) -> Array:
    """Every 2 bytes of a buffer as one number in network order; no copy."""
    return np.ndarray((len(data) - 1,), ">u2", buffer=data, strides=(1,))


def longs_of(data: Array) -> Array:
    """Every 8 bytes of a buffer as one number in network order; no copy."""
    return np.ndarray((len(data) - 7,), ">u8", buffer=data, strides=(1,))


__all__ = [
    "LINK_TYPES",
    "FileNotes",
    "Frames",
    "first_time",
    "frames",
    "halves_of",
    "link_name",
    "longs_of",
    "words_of",
]
