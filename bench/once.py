"""An investigation of twenty-five questions over gzip text beside one pass over it. One call is one process: `python -m bench.once NAME FOLDER`.

One pass is what anybody has to do at least: read and parse every field of every record, typed, into a table in memory, by bare
DuckDB, without a check (`CREATE TABLE … AS SELECT * FROM read_csv(…)`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb as bare

from netkit import flowlogs
from netkit.core.model import Window
from netkit.flowlogs import files, forms
from netkit.flowlogs.catalog import find_query

_PAIR = {"source": "10.0.10.22", "destination": "185.220.101.34"}
# What notebook 21 asks of files, and four more questions of the catalogue.
QUESTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    *((name, {}) for name in ("records_by_status", "interface_addresses", "aws_services", "packet_rewrites", "health_checks")),
    ("time_gaps", {"bucket_s": 600}),
    ("timeline", {"bucket_s": 600}),
    *((name, {}) for name in ("reject_clusters", "reject_heatmap", "dead_return_paths", "conversations", "tcp_outcomes")),
    ("port_scan", {"min_ports": 20, "limit": 20}),
    ("scan_probes", {"source": "193.163.125.77"}),
    *((name, {}) for name in ("host_sweep", "login_guessing", "new_talkers", "egress_spikes", "egress_by_destination")),
    ("flow_hops", _PAIR),
    *((name, {}) for name in ("top_talkers", "rejected_connections", "failed_connections", "long_connections", "asymmetric_flows")),
)  # fmt: skip


def _reader(folder: Path) -> tuple[str, tuple[str, ...]]:
    paths = [str(path) for path in files.find_files(folder)]
    with tempfile.TemporaryDirectory() as private:
        columns = forms.read(Path(paths[0]), Path(private)).parts[0].layout.columns
    types = {name: files.duckdb_type(name) for name in columns}
    return (
        f"read_csv({paths}, delim=' ', header=true, auto_detect=false, nullstr='-', quote='', escape='', columns={types})",
        columns,
    )


def _bare() -> bare.DuckDBPyConnection:
    db = bare.connect()
    db.execute("SET TimeZone='UTC'; SET preserve_insertion_order=false")
    return db


def one_pass(folder: Path) -> int:
    """Every field of every record, typed, into a table in memory."""
    db = _bare()
    db.execute(f"CREATE TABLE flows AS SELECT * FROM {_reader(folder)[0]}")
    return 0


def one_question(folder: Path) -> int:
    """top_talkers over the text."""
    reader, columns = _reader(folder)
    sql, values = find_query("top_talkers").bind({})
    return len(_bare().execute(find_query("top_talkers").over(f"SELECT * FROM {reader}", sql, columns), values).df())


def _questions(window: Window) -> list[tuple[str, dict[str, Any]]]:
    start = int((window.start - timedelta(days=1)).timestamp())
    baseline = {"new_talkers": {"baseline_start": start}, "egress_spikes": {"baseline_start": start}}
    return [(name, {**given, **baseline.get(name, {})}) for name, given in QUESTIONS]


def ours(folder: Path) -> int:
    """netkit: coverage(), then all questions."""
    logs = flowlogs.open(folder)
    logs.coverage()
    return sum(len(logs.query(name, **given)) for name, given in _questions(logs.window))


def ours_read(folder: Path) -> int:
    """netkit: what is read once, and the coverage of it."""
    return len(flowlogs.open(folder).coverage())


def ours_question(folder: Path) -> int:
    """netkit: the first question alone."""
    return len(flowlogs.open(folder).query("top_talkers"))


def table(folder: Path) -> int:
    """Bare DuckDB: one pass into a table, and the same SQL over it, without a check."""
    db = _bare()
    reader, columns = _reader(folder)
    db.execute(f"CREATE TABLE records AS SELECT * FROM {reader}")
    first, last = db.execute('SELECT min("start"), max("end") FROM records').fetchall()[0]
    window = Window(datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last + 1, UTC))
    found = 0
    for name, given in _questions(window):
        query = find_query(name)
        sql, values = flowlogs.FlowLogs("bench", None, window)._bind(query, given)  # type: ignore[arg-type]
        found += len(db.execute(query.over("SELECT * FROM records", sql, columns), values).df())
    return found


PEERS: dict[str, Callable[[Path], int]] = {
    "one pass (bare DuckDB)": one_pass,
    "top_talkers (bare DuckDB)": one_question,
    "netkit: top_talkers": ours_question,
    "netkit: read once": ours_read,
    f"netkit: read and {len(QUESTIONS)} questions": ours,
    f"bare DuckDB: a table, {len(QUESTIONS)} questions": table,
}


def main() -> None:
    """Run one peer once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("folder", type=Path)
    chosen = parser.parse_args()
    begun, used = time.perf_counter(), time.process_time()
    answer = PEERS[chosen.name](chosen.folder)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used
    # not ru_maxrss, which begins with the parent's
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak_mb = int(status["VmHWM"].split()[0]) / 1024
    sys.stdout.write(json.dumps({"answer": answer, "seconds": seconds, "cpu": cpu, "peak_mb": peak_mb}) + "\n")


if __name__ == "__main__":
    main()
