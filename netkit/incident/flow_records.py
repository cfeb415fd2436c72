"""Flow-log records as an incident needs them: one frame of typed columns, whatever format the files have. Pure but for reading files."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from netkit.core.model import Coverage
from netkit.core.textfiles import LongLines, lines
from netkit.flowlogs.fields import DEFAULT_V2

FLOW_COLUMNS = (
    *(
        "interface",
        "src",
        "dst",
        "sport",
        "dport",
        "protocol",
        "packets",
        "bytes",
        "start",
        "end",
        "action",
        "status",
        "flags",
    ),
    *("pkt_src", "pkt_dst", "direction", "vpc", "subnet", "az", "traffic_path", "reject_reason", "log"),
)
_NAMES = {
    "interface-id": "interface", "srcaddr": "src", "dstaddr": "dst", "srcport": "sport", "dstport": "dport", "protocol": "protocol",
    "packets": "packets", "bytes": "bytes", "start": "start", "end": "end", "action": "action", "log-status": "status", "tcp-flags": "flags",
    "pkt-srcaddr": "pkt_src", "pkt-dstaddr": "pkt_dst", "flow-direction": "direction", "vpc-id": "vpc", "subnet-id": "subnet", "az-id": "az",
    "traffic-path": "traffic_path", "reject-reason": "reject_reason",
}  # fmt: skip
_NUMBERS = ("sport", "dport", "protocol", "packets", "bytes", "start", "end", "flags", "traffic_path")
_SAME = [
    "interface",
    "src",
    "dst",
    "sport",
    "dport",
    "protocol",
    "start",
    "end",
    "action",
    "packets",
    "bytes",
    "status",
]


def read_flows(paths: Iterable[Path]) -> tuple[pd.DataFrame, list[Coverage]]:
    """Records of all files, FLOW_COLUMNS: text as text ("" for absent), numbers as int64 (-1 for absent), start and end in Unix seconds.

    A file that cannot be read is a coverage row, and the rest is read. The same record in two files counts once.
    """
    frames, coverage = [], []
    for path in paths:
        table = f"flow_logs {path.name}"
        try:
            long = LongLines()
            frame = _read(path, long)
        except (OSError, EOFError, ValueError) as problem:
            coverage.append(Coverage("", "", table, "skipped", note=f"cannot be read: {type(problem).__name__}"))
            continue
        frames.append(frame)
        coverage.append(Coverage("", "", table, _state(frame, long), len(frame), long.count))
    whole = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(FLOW_COLUMNS))
    return whole.drop_duplicates(_SAME).sort_values(["start", "end", *_SAME[:6], "action"], ignore_index=True), coverage


def _state(frame: pd.DataFrame, long: LongLines) -> str:
    return "ok" if len(frame) else "skipped" if long.count else "empty"


def _read(path: Path, long: LongLines) -> pd.DataFrame:
    held = list(lines(path, long, errors="replace"))
    first = held[0].split() if held else []
    headed = "srcaddr" in first or "interface-id" in first
    names = first if headed else list(DEFAULT_V2)
    if not headed and first and len(first) != len(names):
        raise ValueError("no header, and not the default format")
    raw = pd.read_csv(
        io.StringIO("\n".join(held)), sep=" ", names=names, header=0 if headed else None, dtype=str, keep_default_na=False, on_bad_lines="skip"
    )  # fmt: skip
    return typed(raw.rename(columns=_NAMES), path.name)


def typed(raw: pd.DataFrame, log: str) -> pd.DataFrame:
    """Columns of text under FLOW_COLUMNS' names as the frame that read_flows() gives; what is absent is filled in."""
    frame = pd.DataFrame(index=raw.index)
    for name in FLOW_COLUMNS:
        given = raw[name] if name in raw else pd.Series("-", index=raw.index, dtype=str)
        if name in _NUMBERS:
            frame[name] = pd.to_numeric(given, errors="coerce").fillna(-1).astype(np.int64)
        else:
            frame[name] = given.replace("-", "")
    frame["log"] = log
    frame["pkt_src"] = frame["pkt_src"].where(frame["pkt_src"] != "", frame["src"])
    frame["pkt_dst"] = frame["pkt_dst"].where(frame["pkt_dst"] != "", frame["dst"])
    frame.loc[frame["status"] == "", "status"] = "OK"
    return frame
