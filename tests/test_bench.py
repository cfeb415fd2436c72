"""The bench runs: every part at its smallest size, and every query of the catalogue has what it asks for. Times are not asserted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import PARTS
from bench.given import given
from netkit.flowlogs.catalog import catalogue

ROOT = Path(__file__).parent.parent
SEEN = {
    "srcaddr": "10.0.10.21", "dstaddr": "10.0.20.5", "dstport": 5432, "protocol": 6, "interface_id": "eni-0123456789abcdef0",
    "first_seen": 1795078800,
}  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_bench_runs_at_its_smallest_size(part: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--smallest", "--only", part],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    head, *tables = done.stdout.strip().split("\n\n")
    assert "python -m bench --smallest" in head
    assert tables and all(len(table.splitlines()) > 2 for table in tables), done.stdout


@pytest.mark.parametrize("name", catalogue())
def test_every_query_gets_a_value_that_fits_for_each_parameter_without_a_default(name: str) -> None:
    query = catalogue()[name]
    values = given(query, SEEN)
    for param in query.params:
        assert param.default is not None or param.read(values[param.name])
