"""A pcap file from frames: classic format, microseconds or nanoseconds, Ethernet, gzip by its name.

Source: draft-ietf-opsawg-pcap (IETF).
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

# (time in ns since 1970, the frame, its own length in bytes where less than all of it was kept)
Frame = tuple[int, bytes] | tuple[int, bytes, int]
MICROSECONDS, NANOSECONDS, ETHERNET = 0xA1B2C3D4, 0xA1B23C4D, 1
SNAP_LENGTH = 262_144


def pcap_bytes(frames: Iterable[Frame], *, nanoseconds: bool = False, link_type: int = ETHERNET) -> bytes:
    """A capture file in memory, little-endian; a frame may come with its own length (bytes), else it is whole."""
    unit = 1 if nanoseconds else 1000
    parts = [struct.pack("<IHHiIII", NANOSECONDS if nanoseconds else MICROSECONDS, 2, 4, 0, 0, SNAP_LENGTH, link_type)]
    head = struct.Struct("<IIII").pack
    for time, frame, *length in frames:
        second, rest = divmod(time, 1_000_000_000)
        parts += (head(second, rest // unit, len(frame), length[0] if length else len(frame)), frame)
    return b"".join(parts)


def write_pcap(
    file: str | Path | BinaryIO, frames: Iterable[Frame], *, nanoseconds: bool = False, link_type: int = ETHERNET
) -> int:
    """Write a capture file; a name that ends in .gz is compressed, the same bytes every time. Gives its size (bytes)."""
    body = pcap_bytes(frames, nanoseconds=nanoseconds, link_type=link_type)
    if isinstance(file, str | Path):
        body = gzip.compress(body, compresslevel=5, mtime=0) if str(file).endswith(".gz") else body
        Path(file).write_bytes(body)
    else:
        file.write(body)
    return len(body)
