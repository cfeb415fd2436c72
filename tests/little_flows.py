"""Little flow logs for the tests of what netkit says of them: records by hand, and the whole investigation as notebook 21 does it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netkit import flowlogs
from netkit.core.model import Finding
from netkit.flowlogs import findings as inv
from netkit.flowlogs.fields import DEFAULT_V2
from netkit.flowlogs.names import AddressBook
from netkit.investigate import flow_logs as ask

V2 = DEFAULT_V2
V5 = (
    *V2,
    "vpc-id",
    "subnet-id",
    "instance-id",
    "tcp-flags",
    "type",
    "pkt-srcaddr",
    "pkt-dstaddr",
    "flow-direction",
    "traffic-path",
)
T0 = 1700000400


def flow(source: str, destination: str, **more: Any) -> dict[str, Any]:
    """One record: "10.0.0.1:40000" or a bare address where the protocol has no ports; tcp, 3 packets of 60 bytes, one minute, ACCEPT, OK."""
    ends: dict[str, Any] = {}
    for side, text in (("src", source), ("dst", destination)):
        address, port = (text, "0") if text.count(":") != 1 and not text.startswith("[") else text.rsplit(":", 1)
        ends |= {f"{side}addr": address.strip("[]"), f"{side}port": int(port)}
    row: dict[str, Any] = {
        "version": 5, "account-id": "123456789012", "interface-id": "eni-a", **ends, "protocol": 6, "packets": 3, "bytes": 180,
        "start": T0, "end": T0 + 59, "action": "ACCEPT", "log-status": "OK", "pkt-srcaddr": ends["srcaddr"], "pkt-dstaddr": ends["dstaddr"],
    }  # fmt: skip
    given = {name.replace("_", "-"): value for name, value in more.items()}
    if "minute" in given:
        given |= {"start": T0 + 60 * given["minute"], "end": T0 + 60 * given.pop("minute") + 59}
    return row | given


def write(path: Path, rows: Sequence[dict[str, Any]], names: Sequence[str] = V2) -> Path:
    lines = [" ".join(str(row.get(name, "-")) for name in names) for row in rows]
    path.write_text("\n".join([" ".join(names), *lines]) + "\n")
    return path


def investigate(logs: flowlogs.FlowLogs, book: AddressBook | None = None) -> list[Finding]:
    """What the last cells of notebook 21 publish for files without a baseline."""
    book = book or ask.address_book(logs)
    trust, _ = ask.trust(logs)
    rejects, paths = ask.answer(logs, "reject_clusters"), ask.answer(logs, "dead_return_paths")
    clusters = inv.cluster_rejects(rejects, book, ask.rewrites(logs, book))
    scans, _ = ask.scans(logs, book)
    sweeps, guesses, lost = (ask.answer(logs, name) for name in ("host_sweep", "login_guessing", "tgw_lost_packets"))
    asked = {
        "FLOW-REJECT-CLUSTER": rejects, "FLOW-RETURN-PATH-DEAD": paths, "FLOW-PORT-SCAN": scans, "FLOW-HOST-SWEEP": sweeps,
        "FLOW-LOGIN-GUESSING": guesses, "FLOW-TGW-LOST": lost,
    }  # fmt: skip
    found = [
        *inv.coverage_findings(trust),
        *inv.reject_findings(clusters, trust),
        *inv.return_path_findings(paths, book, trust),
        *inv.scan_findings(scans, sweeps, book, trust),
        *inv.guessing_findings(guesses, book, trust),
        *inv.lost_findings(lost, trust),
    ]
    looked = ask.looked(asked, min_ports=20, min_hosts=8, min_egress_bytes=10**8, baseline=False)
    return inv.conclude(found, trust, looked=looked, below=ask.below(clusters, paths, book))


def said(folder: Path, rows: Sequence[dict[str, Any]], names: Sequence[str] = V2) -> list[Finding]:
    """The findings of a file with these records. One idle interface keeps the window whole."""
    first, last = min(row["start"] for row in rows), max(row["end"] for row in rows)
    idle = [
        {"version": 2, "account-id": "123456789012", "interface-id": row["interface-id"], "start": at, "end": at + 59, "log-status": "NODATA"}
        for row in {row["interface-id"]: row for row in rows}.values()
        for at in range(first, last + 1, 300)
    ]  # fmt: skip
    return investigate(flowlogs.open(write(folder / "flow.log", [*rows, *idle], names)))


def one(found: Sequence[Finding], code: str) -> Finding:
    (finding,) = [finding for finding in found if finding.code == code]
    return finding
