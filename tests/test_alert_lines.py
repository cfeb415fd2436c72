"""A line, or a member, of any length is read in a bounded memory and counted as lost."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest

from netkit.mirror.alerts import read_alerts

ALERT = json.dumps({
    "timestamp": "2026-11-19T10:00:00.000000+0000", "event_type": "alert", "src_ip": "10.0.0.1", "src_port": 1, "dest_ip": "10.0.0.2", "dest_port": 2,
    "proto": "TCP", "alert": {"signature": "ET SCAN", "signature_id": 1, "severity": 2, "category": "x", "action": "allowed"},
})  # fmt: skip


def write(path: Path, *parts: bytes) -> Path:
    with gzip.open(path, "wb", compresslevel=1) as file:
        for part in parts:
            file.write(part)
    return path


@pytest.mark.parametrize("long", [b"a", b'{"x": "', b" ", b"{"])
def test_a_line_over_the_cap_is_lost_and_counted(long: bytes, tmp_path: Path) -> None:
    line = ALERT.encode() + b"\n"
    path = write(tmp_path / "eve.json.gz", line, *[long * 2**20] * 60, b"\n", line)
    tracemalloc.start()
    read = read_alerts(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(read.frame) == 2
    assert (read.lines, read.malformed) == (3, 1)
    assert most < 40 * 2**20


def test_a_first_line_over_the_cap_and_one_without_an_end(tmp_path: Path) -> None:
    read = read_alerts(
        write(tmp_path / "eve.json.gz", b"{" + b"x" * 2**21 + b"\n", ALERT.encode() + b"\n", b"y" * 2**21)
    )
    assert (len(read.frame), read.lines, read.malformed) == (1, 3, 2)


def test_a_member_of_an_array_over_the_cap(tmp_path: Path) -> None:
    read = read_alerts(
        write(tmp_path / "eve.json.gz", f"[{ALERT}, ".encode(), b'{"x": "', *[b"a" * 2**20] * 20, b'"}]')
    )
    assert (len(read.frame), read.malformed) == (1, 1)
    whole = read_alerts(write(tmp_path / "eve2.json.gz", ("[" + ", ".join([ALERT] * 6000) + "]").encode()))
    assert (len(whole.frame), whole.malformed) == (6000, 0)


def test_deep_nesting_is_a_malformed_line(tmp_path: Path) -> None:
    deep = b'{"a":' * 100_000 + b"\n"
    read = read_alerts(write(tmp_path / "eve.json.gz", ALERT.encode() + b"\n", deep))
    assert (len(read.frame), read.malformed) == (1, 1)
