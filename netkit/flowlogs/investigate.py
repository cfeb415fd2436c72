"""From frames to what a person needs to know: gaps, reject clusters, scans, guessing, new talkers, leaks, as findings.

Pure: every function takes frames that the queries of this wing return (their columns are in the query's header) and an
AddressBook, and gives a frame or findings. Nothing here sees AWS, draws, or asks again.

How rejects are read follows the Amazon VPC User Guide, "Security group and network ACL rules" (flow-logs-records-examples):
a lone inbound REJECT is a security group or the inbound network ACL; inbound ACCEPT with the reply's outbound REJECT is the
network ACL, since security groups are stateful; no rule id is ever logged. A REJECT can also be a late packet of a
connection that was already closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from netkit.flowlogs.names import AddressBook, service_name
from netkit.model import Coverage, Finding, Severity, Window
from netkit.net import protocol_name

NEVER_LOGGED = (
    "never logged: DNS to the Amazon resolver, DHCP, instance metadata, Amazon Time Sync, Windows activation, ARP, "
    "mirrored traffic at its source"
)
_NO_RULE_ID = "flow logs name no rule: which security group or network ACL it was, the configuration tells"


def clock(epoch_s: float) -> str:
    """A Unix time in seconds as people say it: "2026-11-19 09:40Z"."""
    return f"{datetime.fromtimestamp(float(epoch_s), UTC):%Y-%m-%d %H:%MZ}"


def size(count: float) -> str:
    """Bytes with an SI prefix: "41.9 MB"."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def listed(items: Iterable[object], most: int = 4) -> str:
    """ "a, b and c", the rest counted: "a, b, c, d and 7 more"."""
    texts = [str(item) for item in items]
    shown, more = texts[:most], len(texts) - most
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join(([", ".join(shown[:-1])] if shown[:-1] else []) + shown[-1:])


# ------------------------------------------------------------------------------------------------- can it be trusted


@dataclass(frozen=True)
class Trust:
    """How far the log can be trusted, by interface and time.

    window    what was asked for
    coverage  rows of the source itself (malformed lines are its `skipped`)
    gaps      interface_id, kind (missing or skipdata), first_seen, last_seen (epoch s): spans with lost or no records;
              interface_id "" means all interfaces
    """

    window: Window
    coverage: tuple[Coverage, ...]
    gaps: pd.DataFrame = field(repr=False)

    def over(self, interfaces: Iterable[str], first_seen: float, last_seen: float) -> Coverage:
        """The Coverage of some interfaces over a span: "skipped" where a gap touches it, else the source's own state."""
        wanted = sorted(set(interfaces))
        hit = self.gaps[
            (self.gaps["interface_id"].isin([*wanted, ""]))
            & (self.gaps["first_seen"] < last_seen)
            & (self.gaps["last_seen"] > first_seen)
        ]
        base = self.coverage[0] if self.coverage else Coverage("", "", "flow logs", "empty")
        worst = next((row for row in self.coverage if row.state not in ("ok", "skipped")), None)
        rows = sum(row.rows for row in self.coverage)
        table = f"flow logs at {listed(wanted, 3) or 'all interfaces'}, {clock(first_seen)} to {clock(last_seen)}"
        if worst is not None:
            return Coverage(base.account, base.region, table, worst.state, rows, note=worst.note)
        if len(hit):
            return Coverage(
                base.account,
                base.region,
                table,
                "skipped",
                rows,
                len(hit),
                note=f"{hit.iloc[0]['kind']} from {clock(hit.iloc[0]['first_seen'])}",
            )
        return Coverage(base.account, base.region, table, "ok", rows)

    def all(self) -> Coverage:
        """The Coverage of the whole window: what a claim that something did not happen rests on."""
        start, end = self.window.epoch()
        whole = self.over((), start, end)
        skipped = sum(row.skipped for row in self.coverage)
        state = "skipped" if whole.state == "ok" and (len(self.gaps) or skipped) else whole.state
        note = whole.note or (f"{len(self.gaps)} gaps, {skipped} malformed lines" if state == "skipped" else "")
        return Coverage(whole.account, whole.region, f"flow logs, {self.window}", state, whole.rows, skipped, note)


def find_gaps(buckets: pd.DataFrame, window: Window, bucket_s: int) -> pd.DataFrame:
    """Spans without records, or with lost ones, from counts per interface and time bucket.

    buckets: query time_gaps: interface_id, bucket (epoch s), records, skipdata. An idle interface still writes NODATA, so
    a bucket without any record between an interface's first and last is lost, as is one that all interfaces lack.
    Returns interface_id ("" for all), kind, first_seen, last_seen (epoch s), oldest first.
    """
    columns = ["interface_id", "kind", "first_seen", "last_seen"]
    if buckets.empty:
        return pd.DataFrame(columns=columns)
    start, end = window.epoch()
    everywhere = _holes(sorted(buckets["bucket"].unique()), start - start % bucket_s, end, bucket_s)
    rows = [("", "missing", first, last) for first, last in everywhere]
    for interface, own in buckets.groupby("interface_id"):
        seen = sorted(own["bucket"].unique())
        rows += [
            (interface, "missing", first, last)
            for first, last in _holes(seen, int(seen[0]), int(seen[-1]) + bucket_s, bucket_s)
            if not any(a <= first and last <= b for a, b in everywhere)
        ]
        skipped = sorted(own.loc[own["skipdata"] > 0, "bucket"].unique())
        rows += [(interface, "skipdata", first, last) for first, last in _runs(skipped, bucket_s)]
    return pd.DataFrame(rows, columns=columns).sort_values(["first_seen", "interface_id"], ignore_index=True)


def _holes(seen: Sequence[int], start: int, end: int, step: int) -> list[tuple[int, int]]:
    """Runs of buckets from start to end that are not in `seen`."""
    have = set(seen)
    return _runs([bucket for bucket in range(start, end, step) if bucket not in have], step)


def _runs(buckets: Sequence[int], step: int) -> list[tuple[int, int]]:
    """Neighbouring buckets joined into (first, end) spans."""
    spans: list[tuple[int, int]] = []
    for bucket in map(int, buckets):
        if spans and spans[-1][1] == bucket:
            spans[-1] = (spans[-1][0], bucket + step)
        else:
            spans.append((bucket, bucket + step))
    return spans


def coverage_findings(trust: Trust, unlogged: Sequence[str] = ()) -> list[Finding]:
    """FLOW-COVERAGE-GAP for missing hours, lost records, malformed lines and interfaces that no flow log covers."""
    found = [_gap_finding(trust, kind, rows) for kind, rows in trust.gaps.groupby("kind")]
    skipped = sum(row.skipped for row in trust.coverage)
    if skipped:
        claim = f"{skipped} lines of the log are malformed and count nowhere"
        examples = [row.note for row in trust.coverage if row.skipped]
        found.append(
            _coverage_gap(
                trust,
                "medium",
                (),
                claim,
                {"malformed_lines": skipped, "examples": examples},
                "look at logs.coverage()",
            )
        )
    if unlogged:
        claim = f"{len(unlogged)} interfaces have no flow log: {listed(unlogged)}"
        step = "run 20_flow_logs_provision on their VPC"
        found.append(_coverage_gap(trust, "medium", unlogged, claim, {"interfaces": list(unlogged)}, step))
    return found


def _gap_finding(trust: Trust, kind: Any, rows: pd.DataFrame) -> Finding:
    interfaces = [one for one in rows["interface_id"].unique() if one]
    whole = rows[rows["interface_id"] == ""]
    minutes = int((rows["last_seen"] - rows["first_seen"]).sum() // 60)
    spans = [f"{clock(row.first_seen)} to {clock(row.last_seen)}" for row in rows.itertuples()]
    where = "any interface" if len(whole) else listed(interfaces)
    what = "records were lost (SKIPDATA)" if kind == "skipdata" else "there are no records, not even NODATA,"
    step = (
        "SKIPDATA is AWS's own loss under load; counts in these spans are a lower bound"
        if kind == "skipdata"
        else "look for late or failed deliveries: DeliverLogsErrorMessage of the flow log, the bucket policy and its key"
    )
    severity: Severity = "high" if len(whole) and minutes >= 30 else "medium" if len(whole) else "low"
    evidence = {"spans": spans[:50], "span_count": len(rows), "minutes": minutes, "interfaces": interfaces}
    return _coverage_gap(trust, severity, interfaces, f"{what} at {where}: {listed(spans, 2)}", evidence, step)


def _coverage_gap(
    trust: Trust, severity: Severity, subject: Sequence[str], claim: str, evidence: dict[str, Any], step: str
) -> Finding:
    # The gap itself is what was looked at, so this claim does rest on coverage that is ok.
    seen = Coverage(*_place(trust), "log status, delivery and format", "ok", sum(row.rows for row in trust.coverage))
    return Finding(
        "FLOW-COVERAGE-GAP",
        "confirmed",
        severity,
        tuple(subject),
        claim[0].upper() + claim[1:],
        evidence,
        (NEVER_LOGGED,),
        (seen,),
        step,
    )


def _place(trust: Trust) -> tuple[str, str]:
    return (trust.coverage[0].account, trust.coverage[0].region) if trust.coverage else ("", "")


# ------------------------------------------------------------------------------------------------- what is rejected

CLUSTER_COLUMNS = (
    "sources", "target", "protocol", "port", "rejected", "packets", "accepted", "first_seen", "last_seen",
    "interfaces", "inside", "reading", "story", "command",
)  # fmt: skip


def cluster_rejects(rejects: pd.DataFrame, book: AddressBook, rewrites: pd.DataFrame | None = None) -> pd.DataFrame:
    """Rejected traffic as clusters that a person can read: who was refused at which target and port, since when.

    rejects   query reject_clusters: srcaddr, dstaddr, protocol, dstport, interface_id, rejected (records),
              rejected_packets, accepted (records between the same ends and port), first_seen, last_seen (epoch s)
    rewrites  query address_rewrites, to say which second address of the target was really meant

    Returns one row a cluster, inside traffic first, then most often rejected: sources (list), target, protocol, port,
    rejected (records), packets, accepted, first_seen, last_seen (epoch s), interfaces (list), inside (both ends ours),
    reading (what it can be), story (a sentence), command (opens the reachability notebook on it; "" for the internet).
    """
    rows = [
        _cluster(key, group, book, rewrites)
        for key, group in rejects.groupby(
            ["dstaddr", "protocol", "dstport", "_inside"] if "_inside" in rejects else _keys(rejects, book)
        )
    ]
    frame = pd.DataFrame(rows, columns=list(CLUSTER_COLUMNS))
    return frame.sort_values(
        ["inside", "rejected", "target", "port"], ascending=[False, False, True, True], ignore_index=True
    )


def _keys(rejects: pd.DataFrame, book: AddressBook) -> list[Any]:
    inside = [
        book.is_inside(source) and book.is_inside(target)
        for source, target in zip(rejects["srcaddr"], rejects["dstaddr"], strict=True)
    ]
    return [
        rejects["dstaddr"],
        rejects["protocol"],
        rejects["dstport"],
        pd.Series(inside, index=rejects.index, dtype=bool),
    ]


def _cluster(key: Any, group: pd.DataFrame, book: AddressBook, rewrites: pd.DataFrame | None) -> dict[str, Any]:
    target, protocol, port, inside = key
    by_source = group.groupby("srcaddr")["rejected"].sum().sort_values(ascending=False)
    sources, interfaces = list(by_source.index), sorted(group["interface_id"].unique())
    row: dict[str, Any] = {
        "sources": sources, "target": target, "protocol": int(protocol), "port": int(port), "rejected": int(by_source.sum()),
        "packets": int(group["rejected_packets"].sum()), "accepted": int(group["accepted"].sum()),
        "first_seen": int(group["first_seen"].min()), "last_seen": int(group["last_seen"].max()),
        "interfaces": interfaces, "inside": bool(inside),
    }  # fmt: skip
    row["reading"] = _reading(row, book)
    row["story"] = _story(row, book, _seconds(row, rewrites))
    row["command"] = reachability_command(sources[0], target, int(protocol), int(port)) if inside else ""
    return row


def _reading(row: dict[str, Any], book: AddressBook) -> str:
    """What can have rejected it, by where it was seen (User Guide, "Security group and network ACL rules")."""
    at_target = book.get(row["target"]).interface_id in row["interfaces"]
    at_source = any(book.get(source).interface_id in row["interfaces"] for source in row["sources"])
    if row["accepted"]:
        return "partly accepted: a rule that changed, or packets after a connection was closed"
    if at_source and not at_target:
        return "rejected on the way out: the sender's security group or its outbound network ACL"
    return "nothing accepted: a security group or the inbound network ACL of the target"


def _seconds(row: dict[str, Any], rewrites: pd.DataFrame | None) -> list[str]:
    if rewrites is None or rewrites.empty:
        return []
    meant = rewrites[
        (rewrites["own_address"] == row["target"])
        & (rewrites["side"] == "destination")
        & rewrites["interface_id"].isin(row["interfaces"])
    ]
    return sorted(meant["real_address"].unique())


def _story(row: dict[str, Any], book: AddressBook, seconds: Sequence[str]) -> str:
    where = f"{protocol_name(row['protocol'])}/{row['port']}" if row["port"] else protocol_name(row["protocol"])
    story = (
        f"{listed(map(book.label, row['sources']))} to {book.label(row['target'])}, {where}, {row['rejected']} records "
        f"({row['packets']} packets) since {clock(row['first_seen'])}, seen at {listed(row['interfaces'])}, {row['reading']}"
    )
    also = f"; {row['target']} is that interface's primary address, and it also carries {listed(seconds)}: the packet may have meant one of these"
    return story + (also if seconds else "")


def reachability_command(source: str, destination: str, protocol: int, port: int) -> str:
    """The command line that opens the reachability notebook on this question."""
    return (
        "python -m netkit run notebooks/40_reachability_debugging.ipynb "
        f"-p source {source} -p destination {destination} -p protocol {protocol_name(protocol)} -p port {port}"
    )


def reject_findings(clusters: pd.DataFrame, trust: Trust, *, min_records: int = 10) -> list[Finding]:
    """FLOW-REJECT-CLUSTER for each inside cluster rejected at least `min_records` times."""
    inside = clusters[clusters["inside"] & (clusters["rejected"] >= min_records)]
    return [_reject_finding(row, trust) for row in inside.to_dict("records")]


def _reject_finding(row: dict[Any, Any], trust: Trust) -> Finding:
    severity: Severity = "high" if not row["accepted"] and row["rejected"] >= 50 else "medium"
    evidence = {
        name: row[name]
        for name in ("sources", "target", "protocol", "port", "rejected", "packets", "accepted", "interfaces")
    }
    evidence |= {"first_seen": clock(row["first_seen"]), "last_seen": clock(row["last_seen"])}
    return Finding(
        "FLOW-REJECT-CLUSTER", "confirmed", severity, (*row["interfaces"], row["target"]), row["story"], evidence,
        (_NO_RULE_ID,), (trust.over(row["interfaces"], row["first_seen"], row["last_seen"]),), row["command"],
    )  # fmt: skip
