"""Reachability: traces a second, loading, and the matrix beside one trace a pair. `python -m bench.paths matrix N` measures one matrix."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from bench.estate import estate
from netkit.core.model import VERDICTS
from netkit.reach import load_snapshot, trace
from netkit.reach.engine.matrix import classes, matrix, statuses
from netkit.reach.network.network import network_of

ROOT = Path(__file__).parent.parent
DATA = ROOT.parent / "shared" / "data" / "reach" / "batfish"
SIZES = (1_000, 10_000)
SAMPLE = 400

Show = Callable[[str, Sequence[str], Sequence[Sequence[Any]]], None]


def paths(show: Show, sizes: Sequence[int] = SIZES, times: int = 50) -> None:
    """Both tables: traces of every pair so many times over, and the matrix at each of the sizes."""
    show(
        "reachability: one trace, on the live account's snapshot with the most records",
        ("what", "value"),
        _traces(times),
    )
    rows = []
    for size in sizes:
        command = [sys.executable, "-m", "bench.paths", "matrix", str(size)]
        rows.append(
            _row(size, json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout))
        )
    head = (
        "interfaces",
        "classes",
        "matrix s",
        "as a frame s",
        "peak MB",
        "ms a trace",
        "a trace a pair s",
        "ratio",
        "disagreements",
    )
    show(
        f"reachability: all pairs of a generated estate, tcp/443 (one trace a pair: {SAMPLE} pairs, scaled)", head, rows
    )


def _traces(times: int) -> list[tuple[str, str]]:
    if not DATA.is_dir():
        return [("skipped", "../shared/data/reach is not here")]
    folders = {
        path: sum(len(rows) for held in load_snapshot(path).tables.values() for rows in held.values())
        for path in sorted(DATA.glob("test-*"))
    }
    largest = max(folders, key=lambda path: folders[path])
    begun = time.perf_counter()
    held = load_snapshot(largest)
    interfaces = sorted(network_of(held).interfaces)
    loaded = time.perf_counter() - begun
    pairs = (
        list(permutations(interfaces, 2))
        + [("internet", one) for one in interfaces]
        + [(one, "internet") for one in interfaces]
    )
    begun = time.perf_counter()
    for _ in range(times):
        for source, destination in pairs:
            trace(held, source=source, destination=destination, protocol="tcp", port=22)
    each = (time.perf_counter() - begun) / times / len(pairs)
    return [
        ("snapshot", f"{largest.name}, {folders[largest]} records"), ("load", f"{loaded * 1000:.1f} ms"), ("one trace", f"{each * 1000:.2f} ms"),
        ("traces a second", f"{1 / each:,.0f}"),
    ]  # fmt: skip


def _row(size: int, measured: dict[str, Any]) -> tuple[str, ...]:
    pairs = measured["ms_a_trace"] / 1000 * size * size
    return (
        f"{size:,}", f"{measured['classes']:,}", f"{measured['matrix_s']:.2f}", f"{measured['frame_s']:.2f}", f"{measured['peak_mb']:,.0f}",
        f"{measured['ms_a_trace']:.2f}", f"{pairs:,.0f}", f"{pairs / measured['matrix_s']:,.0f}", str(measured["disagreements"]),
    )  # fmt: skip


def measure(size: int) -> dict[str, Any]:
    """The figures of one estate, in a process of its own so that its peak memory is its own."""
    held = estate(size)
    _ = network_of(held)
    begun = time.perf_counter()
    ids, codes = statuses(held, protocol="tcp", port=443)
    took = time.perf_counter() - begun
    chance, wrong = random.Random(7), 0
    reached = np.argwhere(codes == 0)
    pairs = [(chance.randrange(size), chance.randrange(size)) for _ in range(SAMPLE // 2)] + [
        tuple(reached[chance.randrange(len(reached))]) for _ in range(SAMPLE // 2)
    ]
    begun = time.perf_counter()
    for row, column in pairs:
        verdict = trace(held, source=ids[row], destination=ids[column], protocol="tcp", port=443)
        wrong += verdict.status != VERDICTS[codes[row, column]]
    each = (time.perf_counter() - begun) / len(pairs)
    del codes, reached
    begun = time.perf_counter()
    frame = matrix(held, protocol="tcp", port=443)
    framed = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "classes": len(set(classes(held).values())), "matrix_s": took, "frame_s": framed, "peak_mb": peak, "ms_a_trace": each * 1000,
        "disagreements": wrong, "shape": frame.shape,
    }  # fmt: skip


if __name__ == "__main__" and sys.argv[1:2] == ["matrix"]:
    print(json.dumps(measure(int(sys.argv[2]))))
