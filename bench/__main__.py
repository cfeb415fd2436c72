"""`python -m bench [--records N] [--large N]`: all figures of one run on this machine, and the command that made them.

`--smallest` runs every part on as little as it takes, in about a minute: to see that it runs, not for its figures.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import nbformat
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

import netkit
from bench import cloudwatch, mirror, once
from bench import paths as reach
from bench.given import facts, given
from bench.peers import PEERS, QUERIES
from netkit import flowlogs
from netkit.core.model import Window
from netkit.flowlogs import read
from netkit.flowlogs.catalog import catalogue
from netkit.flowlogs.fields import COLUMNS
from netkit.sandbox.world import delivery, traffic, world

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "notebooks" / "21_flow_logs_analysis.ipynb"
WINDOW = Window.parse("2026-11-19T09:00:00Z", "2026-11-19T12:00:00Z")
SMALLEST_NOTEBOOK = ROOT / "notebooks" / "00_start_here.ipynb"
TEXT_ONLY = ("zcat | awk", "flowlogs-reader")


def make(folder: Path, records: int) -> dict[str, Path]:
    """About so many records of the sandbox's bad day, in files of some half a million, as gzip text and as Parquet.

    A slice for slow peers holds the first file's first records. Each file holds the records
    of the one before, a day later: records that are the same would count once.
    """
    one = world.scenario("bad-day")
    made: dict[str, Path] = {}
    for kind, suffix in (("plain-text", ".log.gz"), ("parquet", ".log.parquet")):
        spec = replace(one.spec, file_format=kind)  # type: ignore[arg-type]
        columns, addresses = traffic.records(one, spec)
        table = traffic.table(one, spec, columns, addresses)
        made[kind] = folder / kind
        made[kind].mkdir(parents=True)
        whole, rest = divmod(records, table.num_rows)
        for number in range(whole):
            (made[kind] / f"{number:03}{suffix}").write_bytes(delivery.encode(spec, _later(table, number)))
        if rest:
            (made[kind] / f"{whole:03}{suffix}").write_bytes(delivery.encode(spec, _later(table, whole).slice(0, rest)))
        if kind == "plain-text":
            made["slice"] = folder / "slice"
            made["slice"].mkdir()
            (made["slice"] / f"0{suffix}").write_bytes(delivery.encode(spec, table.slice(0, min(SLICE, records))))
    return made


SLICE = 100_000
PARTS = ("speed", "once", "memory", "scanned", "starts", "paths", "mirror", "cloudwatch")
SMALLEST = {"records": 2_000, "large": 4_000, "packets": 2_000, "large_packets": 4_000, "times": 1}


def _later(table: pa.Table, days: int) -> pa.Table:
    """The same records some days later."""
    for name in ("start", "end"):
        place = table.schema.get_field_index(name)
        moved = pc.add(table[name], pa.scalar(days * 86400, table.schema.field(name).type))
        table = table.set_column(place, table.schema.field(name), moved)
    return table


def run(name: str, query: str, folder: Path, times: int = 1) -> dict[str, Any]:
    """The quickest of some runs of a peer, each in a process of its own."""
    return _quickest([sys.executable, "-m", "bench.peers", name, query, str(folder)], times)


def _quickest(command: Sequence[str], times: int) -> dict[str, Any]:
    answers = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout)
        for _ in range(times)
    ]
    return min(answers, key=lambda answer: float(answer["seconds"]))


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on standard output."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[place]) for row in cells) for place in range(len(head))]
    print(f"\n{title}")
    for row in cells:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def speed(made: dict[str, Path], records: int, times: int) -> None:
    """Both questions over both formats, by all peers; slow ones on the slice, scaled."""
    for kind in ("plain-text", "parquet"):
        for query in QUERIES:
            found: dict[str, tuple[float, float]] = {}
            answers: dict[str, set[float]] = {"whole": set(), "slice": set()}
            for name in tqdm(PEERS, desc=f"{query}, {kind}", leave=False):
                if kind == "parquet" and name in TEXT_ONLY:
                    continue
                part = "slice" if name == "flowlogs-reader" else "whole"
                answer = run(name, query, made["slice" if part == "slice" else kind], times if part == "whole" else 1)
                scale = records / min(SLICE, records) if part == "slice" else 1.0
                found[name] = (float(answer["seconds"]) * scale, float(answer["peak_mb"]))
                answers[part].add(float(answer["answer"]))
            if kind == "plain-text":
                answers["slice"].add(float(run("ours", query, made["slice"])["answer"]))
            assert len(answers["whole"]) == 1, answers
            assert len(answers["slice"]) <= 1, answers
            base = found["ours"][0]
            rows = [
                (name, f"{seconds:.2f}", f"{seconds / base:.2f}", f"{peak:.0f}")
                for name, (seconds, peak) in found.items()
            ]
            title = f"{query}, {records:,} records, {'gzip text' if kind == 'plain-text' else 'Parquet'} (all give the same answer)"
            show(title, ("who", "seconds", "times ours", "peak MB"), rows)
    print(f"  flowlogs-reader: measured on {min(SLICE, records):,} records and scaled")


def reading_once(made: dict[str, Path], records: int, times: int) -> None:
    """An investigation over gzip text beside one pass over it."""
    rows, base = [], 0.0
    for name in tqdm(once.PEERS, desc="once", leave=False):
        answer = _quickest([sys.executable, "-m", "bench.once", name, str(made["plain-text"])], times)
        base = base or float(answer["seconds"])
        seconds, cpu, peak = (float(answer[key]) for key in ("seconds", "cpu", "peak_mb"))
        rows.append((name, f"{seconds:.2f}", f"{seconds / base:.2f}", f"{cpu:.2f}", f"{peak:.0f}"))
    title = f"{len(once.QUESTIONS)} questions over {records:,} records of gzip text"
    show(title, ("who", "seconds", "passes", "CPU seconds", "peak MB"), rows)


def memory(small: dict[str, Path], large: dict[str, Path], sizes: tuple[int, int]) -> None:
    """Peak memory of our process at two sizes."""
    rows = []
    for kind in ("plain-text", "parquet"):
        for query in QUERIES:
            peaks = [float(run("ours", query, made[kind])["peak_mb"]) for made in (small, large)]
            rows.append((query, kind, *(f"{peak:.0f}" for peak in peaks), f"{peaks[1] / peaks[0]:.2f}"))
    show("peak memory of netkit's process", ("query", "format", *(f"MB at {size:,}" for size in sizes), "ratio"), rows)


def scanned() -> None:
    """Bytes that Athena (the sandbox's) says it scanned, beside the least: the columns that the text needs, by their footers,
    in the hourly folders that a record starting in the window can be in (its own hours, and the next for what ends later).
    """
    session = netkit.connect(target="sandbox")
    logs = flowlogs.open(f"{world.DATABASE}.flow_logs_bad_day", session, WINDOW)
    found = [
        one["Key"] for one in read.objects(session, world.BUCKET, ["bad-day/"], None) if _in_hours(str(one["Key"]))
    ]
    sizes: dict[str, int] = {}
    for key in found:
        body = session.call("s3", "get_object", Bucket=world.BUCKET, Key=key)["Body"].read()
        meta = pq.ParquetFile(io.BytesIO(body)).metadata
        for group in range(meta.num_row_groups):
            for place in range(meta.num_columns):
                chunk = meta.row_group(group).column(place)
                sizes[chunk.path_in_schema] = sizes.get(chunk.path_in_schema, 0) + chunk.total_compressed_size
    rows = []
    seen = facts(logs)
    for name, query in tqdm(catalogue().items(), desc="Athena", leave=False):
        if name not in logs.names() or any(param.kind == "epoch" for param in query.params):
            continue  # of another kind of log; and a baseline reads hours before the window
        logs.query(name, **given(query, seen))
        assert logs.last is not None
        words = {
            word
            for word in COLUMNS
            if word
            in query.sql.replace('"', " ")
            .replace(".", " ")
            .replace(",", " ")
            .replace("(", " ")
            .replace(")", " ")
            .split()
        }
        least = sum(
            sizes[word] for word in {*words, "start"} if word in sizes
        )  # not every optional column is in this log
        rows.append((name, f"{logs.last.scanned_bytes:,}", f"{least:,}", f"{logs.last.scanned_bytes / least:.2f}"))
    show(
        f"bytes scanned, bad-day, {WINDOW}; everything is {sum(sizes.values()):,}",
        ("query", "scanned", "least", "ratio"),
        rows,
    )


def _in_hours(key: str) -> bool:
    time_of = read.file_time(key)
    return time_of is not None and WINDOW.start <= time_of < WINDOW.end + timedelta(hours=1)


def starts(notebook: Path = NOTEBOOK, times: int = 5) -> None:
    """import netkit (the quickest of some times), the sandbox from nothing, and a notebook headless beside its cells as a script."""

    def timed(*command: str, home: str = "") -> float:
        begun = time.perf_counter()
        environment = os.environ | ({"NETKIT_HOME": home} if home else {})
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=environment)
        return time.perf_counter() - begun

    bare = min(timed(sys.executable, "-c", "pass") for _ in range(times))
    rows = [
        (
            "import netkit, beyond python itself",
            f"{min(timed(sys.executable, '-c', 'import netkit') for _ in range(times)) - bare:.3f}",
            "",
        )
    ]
    with tempfile.TemporaryDirectory() as home:
        rows.append(
            ("sandbox up, from nothing", f"{timed(sys.executable, '-m', 'netkit', 'sandbox', 'up', home=home):.2f}", "")
        )
        try:
            source = nbformat.read(notebook, as_version=4)
            cells = [f"_ = 0\n{cell.source}" for cell in source.cells if cell.cell_type == "code"]
            script = Path(home) / "cells.py"
            script.write_text("\n\n".join(cells))
            out = ("--out", str(Path(home) / "out"))
            timed(
                sys.executable, "-m", "netkit", "run", str(notebook), *out, home=home
            )  # the first delivers the world's objects
            plain = timed(sys.executable, str(script), home=home)
            headless = timed(sys.executable, "-m", "netkit", "run", str(notebook), *out, home=home)
            rows += [
                (f"notebook {notebook.stem[:2]}: its cells as a script", f"{plain:.1f}", "1.00"),
                (f"notebook {notebook.stem[:2]}: netkit run", f"{headless:.1f}", f"{headless / plain:.2f}"),
            ]
        finally:
            timed(sys.executable, "-m", "netkit", "sandbox", "down", home=home)
    show("starting", ("what", "seconds", "ratio"), rows)


def main() -> None:
    """Make the input, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--records", type=int, default=5_000_000)
    parser.add_argument("--large", type=int, default=20_000_000, help="records of the memory figure; 0 leaves it out")
    parser.add_argument(
        "--packets", type=int, default=1_000_000, help="packets of the mirror's capture, 500 bytes each"
    )
    parser.add_argument("--large-packets", type=int, default=5_000_000, help="of its memory figure; 0 leaves it out")
    parser.add_argument("--times", type=int, default=3, help="runs of which the quickest counts")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--smallest", action="store_true", help="every part on as little as it takes")
    chosen = parser.parse_args()
    if chosen.smallest:
        for name, size in SMALLEST.items():
            setattr(chosen, name, size)
    print(
        f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}; made by: python -m bench {' '.join(sys.argv[1:])}".rstrip()
    )
    with tempfile.TemporaryDirectory(prefix="netkit-bench-") as folder:
        if chosen.only in (None, "speed", "memory", "once"):
            small = make(Path(folder) / "small", chosen.records)
            if chosen.only in (None, "once"):
                reading_once(small, chosen.records, chosen.times)
            if chosen.only in (None, "speed"):
                speed(small, chosen.records, chosen.times)
            if chosen.large and chosen.only in (None, "memory"):
                memory(small, make(Path(folder) / "large", chosen.large), (chosen.records, chosen.large))
        if chosen.only in (None, "scanned"):
            scanned()
        for name, part in _others(chosen, Path(folder)).items():
            if chosen.only in (None, name):
                part()


def _others(chosen: argparse.Namespace, folder: Path) -> dict[str, Callable[[], None]]:
    """The parts that take nothing of each other, at the sizes that were chosen."""
    small = chosen.smallest

    def monitoring() -> None:
        cloudwatch.monitoring(show, *((16, 1) if small else ()))
        cloudwatch.points(show, *((1_000, 10) if small else ()))

    return {
        "starts": lambda: starts(*((SMALLEST_NOTEBOOK, 1) if small else ())),
        "paths": lambda: reach.paths(show, (400,) if small else reach.SIZES, 1 if small else 50),
        "mirror": lambda: mirror.mirrors(show, folder, chosen.packets, chosen.large_packets, chosen.times),
        "cloudwatch": monitoring,
    }


if __name__ == "__main__":
    main()
