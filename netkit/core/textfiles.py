"""Text files of others, plain or gzipped, read without ever holding more than fits: a gzip of a few MB may hold gigabytes.

A document may have MAX_DOCUMENT characters (CloudTrail writes one line of some MB), a line MAX_LINE; a longer line is counted as lost.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

MAX_LINE = 1 << 20
MAX_DOCUMENT = 1 << 26
_GZIP = b"\x1f\x8b"


@dataclass
class LongLines:
    """How many lines were longer than MAX_LINE, and so lost."""

    count: int = 0


@contextmanager
def opened(path: Path, errors: str = "strict") -> Iterator[TextIO]:
    """A file as text in UTF-8, unpacked as it is read. Raises OSError where it is damaged, UnicodeDecodeError where it is no text."""
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        try:
            with io.TextIOWrapper(gzip.open(raw) if packed else raw, "utf-8-sig", errors=errors) as stream:
                yield stream
        except (EOFError, zlib.error) as problem:
            raise OSError(f"it is cut short or damaged: {problem}") from None


def document(path: Path) -> str | None:
    """The whole text of a file, or None where it is longer than any document. Raises as opened() does."""
    with opened(path) as stream:
        text = stream.read(MAX_DOCUMENT + 1)
    return text if len(text) <= MAX_DOCUMENT else None


def lines(path: Path, lost: LongLines, *, errors: str = "strict") -> Iterator[str]:
    """The lines of a file that hold anything, without their ends. Raises as opened() does."""
    with opened(path, errors) as stream:
        while line := stream.readline(MAX_LINE + 1):
            if len(line) <= MAX_LINE or line.endswith("\n"):
                if line.strip():
                    yield line.rstrip("\r\n")
                continue
            lost.count += 1
            while (rest := stream.readline(MAX_LINE)) and not rest.endswith("\n"):
                pass
