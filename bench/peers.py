"""The two questions, answered by netkit and by its peers. One call is one process: `python -m bench.peers NAME QUERY FOLDER`.

Prints one JSON line: rows (the first answer row, to see that all answer alike), seconds and peak_mb of memory.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from netkit import flowlogs
from netkit.flowlogs import files, forms
from netkit.flowlogs.catalog import find_query

QUERIES = ("top_talkers", "rejected_connections")
KEYS = {
    "top_talkers": ["srcaddr", "dstaddr"],
    "rejected_connections": ["srcaddr", "dstaddr", "dstport", "protocol", "interface_id"],
}
ACTION = {"top_talkers": "ACCEPT", "rejected_connections": "REJECT"}


def ours(query: str, folder: Path) -> float:
    """netkit on files that it has not seen: every line is read, checked and kept in the private copy."""
    return float(_measure_of(query, flowlogs.open(folder).query(query)))


def ours_judged(query: str, folder: Path) -> tuple[float, float]:
    """netkit after coverage(), as in a notebook: (answer, seconds of the query alone)."""
    logs = flowlogs.open(folder)
    logs.coverage()
    begun = time.perf_counter()
    return _measure_of(query, logs.query(query)), time.perf_counter() - begun


def duckdb(query: str, folder: Path) -> float:
    """Bare DuckDB, the same SQL over read_csv or read_parquet, typed and with no check at all."""
    import duckdb as bare

    found_files = files.find_files(folder)
    paths = [str(path) for path in found_files]
    with tempfile.TemporaryDirectory() as private:
        layout = forms.read(found_files[0], Path(private)).parts[0].layout
    types = {name: files.duckdb_type(name) for name in layout.columns}
    reader = (
        f"read_parquet({paths})"
        if layout.kind == "parquet"
        else f"read_csv({paths}, delim=' ', header=true, auto_detect=false, nullstr='-', quote='', escape='', columns={types})"
    )
    found = find_query(query)
    sql, values = found.bind({})
    db = bare.connect()
    db.execute("SET TimeZone='UTC'; SET preserve_insertion_order=false")
    return _measure_of(query, db.execute(found.over(f"SELECT * FROM {reader}", sql, layout.columns), values).df())


def pandas(query: str, folder: Path) -> float:
    """pandas, file by file, only the columns needed, grouped per file and again over all."""
    import pandas as pd

    keys, parts = KEYS[query], []
    for path in files.find_files(folder):
        wanted = [*keys, "bytes", "packets", "action", "log_status"]
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path, columns=wanted)
        else:
            frame = pd.read_csv(
                path, sep=" ", usecols=[name.replace("_", "-") for name in wanted], na_values="-", compression="gzip"
            )
            frame.columns = [name.replace("-", "_") for name in frame.columns]
        kept = frame[(frame["log_status"] == "OK") & (frame["action"] == ACTION[query])]
        parts.append(
            kept.groupby(keys, observed=True).agg(bytes=("bytes", "sum"), reject_count=("bytes", "size")).reset_index()
        )
    whole = pd.concat(parts).groupby(keys, observed=True).sum()
    return float(whole["bytes" if query == "top_talkers" else "reject_count"].max())


def awk(query: str, folder: Path) -> float:
    """zcat | awk, by the default format's field numbers, which the bench's files begin with."""
    key = "$4 FS $5" if query == "top_talkers" else "$4 FS $5 FS $7 FS $8 FS $3"
    value = "$10" if query == "top_talkers" else "1"
    program = f'$14 == "OK" && $13 == "{ACTION[query]}" {{ sums[{key}] += {value} }} END {{ for (one in sums) if (sums[one] > most) most = sums[one]; printf "%.0f\\n", most }}'
    command = f"zcat {folder}/*.gz | awk '{program}'"
    return float(subprocess.run(["/bin/sh", "-c", command], check=True, capture_output=True, text=True).stdout)


def flowlogs_reader(query: str, folder: Path) -> float:
    """flowlogs-reader: one Python object a record."""
    from flowlogs_reader import FlowRecord

    sums: dict[tuple[Any, ...], int] = {}
    for path in files.find_files(folder):
        with gzip.open(path, "rt") as lines:
            names = [name.replace("-", "_") for name in next(lines).split()]
            for line in lines:
                one = FlowRecord(dict(zip(names, line.split(), strict=True)))
                if one.log_status == "OK" and one.action == ACTION[query]:
                    key = tuple(getattr(one, name) for name in KEYS[query])
                    sums[key] = sums.get(key, 0) + (one.bytes if query == "top_talkers" else 1)
    return float(max(sums.values()))


def _measure_of(query: str, frame: Any) -> float:
    return float(frame["bytes" if query == "top_talkers" else "reject_count"].iloc[0])


PEERS: dict[str, Callable[[str, Path], Any]] = {
    "ours": ours,
    "ours after coverage()": ours_judged,
    "DuckDB, same SQL": duckdb,
    "pandas": pandas,
    "zcat | awk": awk,
    "flowlogs-reader": flowlogs_reader,
}


def main() -> None:
    """Run one peer once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("query", choices=QUERIES)
    parser.add_argument("folder", type=Path)
    chosen = parser.parse_args()
    begun = time.perf_counter()
    answer = PEERS[chosen.name](chosen.query, chosen.folder)
    seconds = time.perf_counter() - begun
    if isinstance(answer, tuple):
        answer, seconds = answer
    # not ru_maxrss, which begins with the parent's
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak_mb = int(status["VmHWM"].split()[0]) / 1024
    sys.stdout.write(json.dumps({"answer": answer, "seconds": seconds, "peak_mb": peak_mb}) + "\n")


if __name__ == "__main__":
    main()
