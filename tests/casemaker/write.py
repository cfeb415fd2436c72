"""Writes a case as the folder that a colleague hands over."""

from __future__ import annotations

import gzip
import json
import struct
from datetime import UTC, datetime
from pathlib import Path as File
from typing import Any

from .base import CUSTOM, DEFAULT
from .case import Case, text_time
from .traffic import Record
from .world import Eni, Row


def write(case: Case, out: File) -> Row:
    """The folder; returns the case's answer."""
    out.mkdir(parents=True)
    (out / "incident.yaml").write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in case.ticket.items()))
    _snapshots(case, out)
    _flow_logs(case, out)
    if case.series and "metrics" not in case.blind:
        _json(out / "metrics" / "get-metric-data.json", _metrics(case))
    if "cloudtrail" not in case.blind:
        name = f"{case.w.account}_CloudTrail_{case.w.region}_{_stamp(case.end)}_{case.rng.getrandbits(64):016x}.json.gz"
        _gzip(
            out / "cloudtrail" / name, json.dumps({"Records": sorted(case.events, key=lambda e: str(e["eventTime"]))})
        )
    _json(out / "alarms" / "describe-alarms.json", {"MetricAlarms": case.alarms, "CompositeAlarms": []})
    _lines(out / "dns" / "resolver.jsonl", sorted(case.dns, key=lambda q: str(q["query_timestamp"])))
    _lines(out / "firewall" / "alert.jsonl", case.alerts)
    if case.health:
        _json(out / "health" / "events.json", {"events": case.health})
    if case.access:
        name = f"{case.w.account}_elasticloadbalancing_{case.w.region}_{case.id('lbpath-web').replace('/', '.')}_{_stamp(case.end)}_10.0.0.1_abc.log.gz"
        _gzip(out / "access_logs" / name, "".join(line + "\n" for line in case.access))
    if case.packets:
        _pcap(out / "captures" / "mirror.pcap", case)
    shape = {
        "variant": case.variant,
        "also_right": [],
        "also_cause": [],
        "since": "",
        "actor": "",
        "cleared": [],
        "unknown_ok": False,
        "missing": "",
    }
    return shape | case.answer


def _stamp(t: int) -> str:
    return datetime.fromtimestamp(t, UTC).strftime("%Y%m%dT%H%MZ")


def _json(path: File, body: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body, indent=1))


def _gzip(path: File, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 1, mtime=0))


def _lines(path: File, rows: list[Row]) -> None:
    if rows:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(r) + "\n" for r in rows))


def _snapshots(case: Case, out: File) -> None:
    moments = [(case.start - 1800, case.before), (case.end, case.w.tables)]
    for t, tables in moments[1:] if "snapshot" in case.blind else moments:
        place = (
            out
            / "snapshots"
            / datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%dT%H%M%SZ")
            / case.w.account
            / case.w.region
        )
        place.mkdir(parents=True)
        for name, rows in tables.items():
            (place / f"{name}.json").write_text(json.dumps({name: rows}))


# -- flow logs
def _flow_logs(case: Case, out: File) -> None:
    fields = DEFAULT if "v2" in case.blind else case.fields or CUSTOM
    logs = {r["ResourceId"]: r for r in case.w.tables["FlowLogs"]}
    records = [r for t in case.talks.values() for r in t.records(case.start, case.end, case.rng)] + case.extra
    lines: dict[tuple[str, int], list[tuple[int, str]]] = {}
    seen: set[tuple[str, int]] = set()
    for r in records:
        log = logs.get(r.eni.vpc)
        if (
            log is None
            or not case.start <= r.start < case.end
            or ("reject-only" in case.blind and r.action != "REJECT")
        ):
            continue
        seen.add((r.eni.id, r.start // 60))
        lines.setdefault((r.eni.vpc, r.start // 3600), []).append(
            (r.start, " ".join(_fields(case, r)[f] for f in fields))
        )
    if "reject-only" not in case.blind:
        _no_data(case, logs, seen, fields, lines)
    for (vpc, hour), rows in lines.items():
        name = f"{case.w.account}_vpcflowlogs_{case.w.region}_{logs[vpc]['FlowLogId']}_{_stamp(hour * 3600)}_{case.rng.getrandbits(32):08x}.log.gz"
        head = [] if fields is DEFAULT else [" ".join(fields)]
        _gzip(out / "flow_logs" / name, "\n".join(head + [line for _, line in sorted(rows)]) + "\n")


def _no_data(
    case: Case,
    logs: Row,
    seen: set[tuple[str, int]],
    fields: list[str],
    lines: dict[tuple[str, int], list[tuple[int, str]]],
) -> None:
    """An interface without traffic in a minute has a NODATA record."""
    for eni in {e.id: e for e in case.w.enis.values() if e.vpc in logs}.values():
        for t in range(case.start, case.end, 60):
            if (eni.id, t // 60) not in seen:
                row = dict.fromkeys(fields, "-") | {"version": "2" if fields is DEFAULT else "5", "account-id": case.w.account, "interface-id": eni.id,
                                                    "start": str(t), "end": str(t + 59), "log-status": "NODATA"}  # fmt: skip
                lines.setdefault((eni.vpc, t // 3600), []).append((t, " ".join(row[f] for f in fields)))


def _fields(case: Case, r: Record) -> dict[str, str]:
    e: Eni = r.eni
    return {
        "version": "2" if "v2" in case.blind else "5", "account-id": case.w.account, "interface-id": e.id, "srcaddr": r.src, "dstaddr": r.dst,
        "srcport": str(r.sport), "dstport": str(r.dport), "protocol": str(r.proto), "packets": str(r.packets), "bytes": str(r.size),
        "start": str(r.start), "end": str(r.end), "action": r.action, "log-status": "OK", "vpc-id": e.vpc, "subnet-id": e.subnet, "instance-id": e.instance,
        "tcp-flags": str(r.flags), "type": "IPv6" if ":" in r.src else "IPv4", "pkt-srcaddr": r.psrc, "pkt-dstaddr": r.pdst, "region": case.w.region,
        "az-id": e.zone_id, "flow-direction": r.way, "traffic-path": r.path, "reject-reason": r.reason,
    }  # fmt: skip


# -- metrics and packets
def _metrics(case: Case) -> Row:
    queries, results = [], []
    for n, (row, value) in enumerate(case.series):
        metric = {"Namespace": row["Namespace"], "MetricName": row["MetricName"], "Dimensions": row["Dimensions"]}
        queries.append({"Id": f"q{n}", "MetricStat": {"Metric": metric, "Period": row["Period"], "Stat": row["Stat"]}})
        times = range(case.start, case.end, row["Period"])
        points = [(t, float(v)) for t in times if (v := value(t)) is not None][::-1]
        results.append({"Id": f"q{n}", "Label": row["MetricName"], "Timestamps": [text_time(t) for t, _ in points], "Values": [v for _, v in points],
                        "StatusCode": "Complete"})  # fmt: skip
    return {"MetricDataQueries": queries, "MetricDataResults": results, "Messages": []}


def _pcap(path: File, case: Case) -> None:
    path.parent.mkdir(parents=True)
    body = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for t, data in sorted(case.packets):
        body += struct.pack("<IIII", int(t), round(t % 1 * 1e6) % 1_000_000, len(data), len(data)) + data
    path.write_bytes(body[: len(body) * 2 // 3] if "capture" in case.blind else body)
