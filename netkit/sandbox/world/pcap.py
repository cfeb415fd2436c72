"""A pcap file from frames: classic format, microseconds or nanoseconds, Ethernet, gzip by its name.

Source: draft-ietf-opsawg-pcap (IETF).
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

# (time in ns since 1970, the frame, its own length in bytes where less than all of it was kept)
Frame = tuple[int, bytes] | tuple[int, bytes, int]
MICROSECONDS, NANOSECONDS, ETHERNET = 0xA1B2C3D4, 0xA1B23C4D, 1
SNAP_LENGTH = 262_144


def parts(frames: Iterable[Frame], *, nanoseconds: bool = False, link_type: int = ETHERNET) -> Iterator[bytes]:
    """A capture file piece by piece, little-endian; a frame may come with its own length (bytes), else it is whole."""
    unit = 1 if nanoseconds else 1000
    yield struct.pack("<IHHiIII", NANOSECONDS if nanoseconds else MICROSECONDS, 2, 4, 0, 0, SNAP_LENGTH, link_type)
    head = struct.Struct("<IIII").pack
    for time, frame, *length in frames:
        second, rest = divmod(time, 1_000_000_000)
        yield head(second, rest // unit, len(frame), length[0] if length else len(frame)) + frame


def pcap_bytes(frames: Iterable[Frame], *, nanoseconds: bool = False, link_type: int = ETHERNET) -> bytes:
    """A capture file in memory."""
    return b"".join(parts(frames, nanoseconds=nanoseconds, link_type=link_type))


def write_pcap(
    file: str | Path | BinaryIO, frames: Iterable[Frame], *, nanoseconds: bool = False, link_type: int = ETHERNET
) -> int:
    """Write a capture file, never whole in memory; a name that ends in .gz is compressed, the same bytes every time.

    Gives its size (bytes, before compression).
    """
    if isinstance(file, str | Path):
        with Path(file).open("wb") as raw:
            if not str(file).endswith(".gz"):
                return write_pcap(raw, frames, nanoseconds=nanoseconds, link_type=link_type)
            with gzip.GzipFile("", "wb", 5, raw, mtime=0) as packed:
                return write_pcap(cast(BinaryIO, packed), frames, nanoseconds=nanoseconds, link_type=link_type)
    return sum(file.write(part) for part in parts(frames, nanoseconds=nanoseconds, link_type=link_type))
