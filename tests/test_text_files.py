"""Other people's text files: one line of gigabytes in a gzip of some MB is counted as lost, and never held whole."""

from __future__ import annotations

import gzip
import json
import resource
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netkit.core.textfiles import MAX_LINE, LongLines, document, lines
from netkit.history.trail import read_trail

EVENT = {"eventName": "CreateRoute", "eventTime": "2026-11-19T08:00:00Z", "eventID": "1", "requestParameters": {}}
# What each reader says of a file, in a process with little memory: (state, rows, skipped).
READERS = {
    "trail": "from netkit.history.trail import read_trail as r; said = r([path]).coverage[0]",
    "dns": "from netkit.incident.evidence import _dns as r; said = r([path])[1][0]",
    "alarms": "from netkit.incident.evidence import _objects as r; said = r([path], 'alarms', 'MetricAlarms')[1][0]",
    "metrics": "from netkit.incident.evidence import _metrics as r; said = r([path])[1][0]",
    "access": "from netkit.incident.evidence import _access as r; said = r([path])[1][0]",
    "flows": "from netkit.incident.flow_records import read_flows as r; said = r([path])[1][0]",
    "resolver": """
from netkit.investigate.flow_logs import resolver_answers as r
from netkit.core.errors import SourceError
from netkit.core.model import Coverage
try: r(path)
except SourceError: said = Coverage("", "", "x", "skipped")""",
}


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gzip of some MB that holds one line of 1.5 GB."""
    path = tmp_path_factory.mktemp("bomb") / "eve.json.gz"
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b"x" * 2**20
    with path.open("wb") as file:
        for _ in range(1500):
            file.write(packer.compress(block))
        file.write(packer.flush())
    assert path.stat().st_size < 4 * 2**20
    return path


@pytest.mark.parametrize("reader", ["trail", "dns", "flows"])
def test_a_bomb_is_a_coverage_row(reader: str, bomb: Path) -> None:
    code = f"from pathlib import Path\npath = Path({str(bomb)!r})\n{READERS[reader]}\nprint(said.state, said.rows)"
    little = 1_400 * 2**20  # of address space, most of it what the libraries map
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (little, little)), env={"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": "/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.stdout.split() == ["skipped", "0"], done.stderr[-600:]


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_counts_a_long_line(reader: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json.gz"
    path.write_bytes(gzip.compress(b"x" * (65 * 2**20), 1))
    found: dict[str, Any] = {"path": path}
    exec(READERS[reader], found)
    assert (found["said"].state, found["said"].rows) == ("skipped", 0)


def test_lines_beside_a_long_one_are_read(tmp_path: Path) -> None:
    path = tmp_path / "events.json.gz"
    text = "\n".join(
        [json.dumps(EVENT), "y" * (3 * MAX_LINE), json.dumps(EVENT | {"eventID": "2"}), "z" * (MAX_LINE + 1)]
    )
    path.write_bytes(gzip.compress(text.encode(), 1))
    trail = read_trail([path])
    assert trail.records == 2 and "2 lines of more than" in trail.coverage[0].note


@pytest.mark.parametrize("length", [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 2 * MAX_LINE + 1])
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\nlast"])
def test_the_cap_is_where_it_says(length: int, end: str, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(("a" * length + end).encode())
    lost = LongLines()
    found = list(lines(path, lost))
    kept = length <= MAX_LINE
    assert [len(one) for one in found] == [length] * kept + [4] * end.endswith("last") and lost.count == (not kept)


def test_a_document_of_one_long_line_is_one(tmp_path: Path) -> None:
    """CloudTrail delivers all records of five minutes in one line."""
    path = tmp_path / "delivered.json"
    path.write_text(json.dumps({"Records": [EVENT | {"eventID": str(one), "pad": "p" * 900} for one in range(3000)]}))
    assert path.stat().st_size > 2 * MAX_LINE
    assert read_trail([path]).coverage[0].rows == 3000 and document(path)


def _damaged(body: bytes) -> bytes:
    return body[:20] + bytes([body[20] ^ 0xFF, body[21] ^ 0xFF]) + body[22:]


@pytest.mark.parametrize("change", [lambda body: body[:-9], lambda body: body[:12], _damaged, lambda body: b"\x1f\x8b"])
def test_a_damaged_gzip_is_an_os_error(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path: Any = tmp_path / "x.gz"
    path.write_bytes(change(gzip.compress(bytes(range(256)).hex().encode() * 20)))
    with pytest.raises((OSError, UnicodeDecodeError)):
        list(lines(path, LongLines()))
    assert read_trail([path]).coverage[0].state == "skipped"
