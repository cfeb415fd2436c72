"""How far a log can be trusted, by interface and time, and the findings that say so. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from netkit.core.commandline import run_command
from netkit.core.model import Coverage, Finding, Severity, Status, Window
from netkit.flowlogs.findings.words import NEVER_LOGGED, clock, flow_command, listed

_PROVISION = run_command("20_flow_logs_provision")  # with a format that has what lacks


@dataclass(frozen=True)
class Trust:
    """How far the log can be trusted, by interface and time.

    window    what was asked for
    coverage  rows of the source itself (malformed lines are its `skipped`)
    gaps      interface_id, kind (missing or skipdata), first_seen, last_seen (epoch s): spans with lost or no records;
              interface_id "" means all interfaces
    busy      the share of the records that each interface has, 0 to 1: how much a gap there hides
    records   first and last second of the source's records, in the window or not; None where that is not known
    statuses  whether the log has log-status: without it nobody can see that records were lost
    source    what was opened, for commands that open it again
    files     whether that is files alone: no account to ask
    """

    window: Window
    coverage: tuple[Coverage, ...]
    gaps: pd.DataFrame = field(repr=False)
    busy: Mapping[str, float] = field(default_factory=dict, repr=False)
    records: tuple[int, int] | None = None
    statuses: bool = True
    source: str = ""
    files: bool = False

    def again(self, one: str = "", other: str = "", **more: object) -> str:
        """The command line that opens this log again, in the same window: on one host, on one pair, or on all."""
        window = {
            "window_start": f"{self.window.start:%Y-%m-%dT%H:%M:%SZ}",
            "window_end": f"{self.window.end:%Y-%m-%dT%H:%M:%SZ}",
        }
        return flow_command(self.source, one, other, **{**window, "baseline_start": "", **more})

    @property
    def elsewhere(self) -> bool:
        """Whether the source has records, and all of them outside the window."""
        start, end = self.window.epoch()
        return self.records is not None and (self.records[1] < start or self.records[0] >= end)

    def over(self, interfaces: Iterable[str], first_seen: float, last_seen: float) -> Coverage:
        """The Coverage of some interfaces over a span: "skipped" where a gap touches it, else the source's own state."""
        wanted = sorted(set(interfaces))
        hit = self._gaps_in(wanted, first_seen, last_seen)
        base = self.coverage[0] if self.coverage else Coverage("", "", "flow logs", "empty")
        rows = sum(row.rows for row in self.coverage)
        # One empty file among others takes nothing away; a denied one, or nothing but empty ones, does.
        bad = ("denied",) if rows else ("denied", "empty")
        worst = next((row for row in self.coverage if row.state in bad), None if rows else base)
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

    def rests_on(
        self, interfaces: Sequence[str], first_seen: float, last_seen: float
    ) -> tuple[Coverage, tuple[str, ...]]:
        """What a claim that something did happen rests on: the whole span, or the part of it before the first gap.

        Lost records cannot take back what was seen, but they make every count a lower bound: the limit says so.
        """
        whole = self.over(interfaces, first_seen, last_seen)
        hit = self._gaps_in(interfaces, first_seen, last_seen)
        if whole.state != "skipped" or hit.empty:
            return whole, ()
        clean = float(hit["first_seen"].min())
        missing = f"records are missing from {clock(clean)} on for a while, so counts are lower bounds"
        return (self.over(interfaces, first_seen, clean), (missing,)) if clean > first_seen else (whole, ())

    def _gaps_in(self, interfaces: Iterable[str], first_seen: float, last_seen: float) -> pd.DataFrame:
        touched = (self.gaps["first_seen"] < last_seen) & (self.gaps["last_seen"] > first_seen)
        return self.gaps[self.gaps["interface_id"].isin([*interfaces, ""]) & touched]

    def all(self) -> Coverage:
        """The Coverage of the whole window: what a claim that something did not happen rests on."""
        start, end = self.window.epoch()
        whole = self.over((), start, end)
        skipped = sum(row.skipped for row in self.coverage)
        doubt = len(self.gaps) or skipped or not self.statuses
        state = "skipped" if whole.state == "ok" and doubt else whole.state
        why = f"{len(self.gaps)} gaps, {skipped} malformed lines" + ("" if self.statuses else ", no log-status")
        note = whole.note or (why if state == "skipped" else "")
        return Coverage(whole.account, whole.region, f"flow logs, {self.window}", state, whole.rows, skipped, note)


def find_gaps(buckets: pd.DataFrame, window: Window, bucket_s: int, *, until: float | None = None) -> pd.DataFrame:
    """Spans without records, or with lost ones, from counts per interface and time bucket.

    buckets: query time_gaps: interface_id, bucket (epoch s), records, skipdata. An idle interface still writes NODATA, so
    a bucket without any record between an interface's first and last is lost, as is one that all interfaces lack.
    until: Unix seconds; what starts later may still be on its way and is no gap
    Returns interface_id ("" for all), kind, first_seen, last_seen (epoch s), oldest first.
    """
    columns = ["interface_id", "kind", "first_seen", "last_seen"]
    start, end = window.epoch()
    if buckets.empty:  # no record of any kind in the whole window
        return pd.DataFrame([("", "missing", start, end)], columns=columns)
    settled = end if until is None else min(end, int(until))
    everywhere = _holes(sorted(buckets["bucket"].unique()), start - start % bucket_s, settled, bucket_s)
    rows = [("", "missing", first, last) for first, last in everywhere]
    for name, own in buckets.groupby("interface_id"):
        interface = str(name)
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


def coverage_findings(trust: Trust, unlogged: Sequence[str] = (), inventory: Sequence[Coverage] = ()) -> list[Finding]:
    """FLOW-COVERAGE-GAP for missing hours, lost records, malformed lines and interfaces that no flow log covers.

    unlogged, inventory: ask.unlogged; where a read of the inventory was denied, which interfaces lack a flow log is
    unknown, and FLOW-COVERAGE-UNKNOWN says so
    """
    if trust.elsewhere:
        return [_elsewhere_finding(trust)]
    found = [_gap_finding(trust, kind, rows) for kind, rows in trust.gaps.groupby("kind")]
    if not trust.statuses:
        claim = "This log has no log-status: its records are taken for OK, and whether records were lost (SKIPDATA) cannot be seen"
        found.append(_coverage_gap(trust, "info", (), claim, {"field": "log-status"}, _PROVISION))
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
                trust.again(),  # its table of coverage says which files
            )
        )
    if unlogged:
        claim = f"{len(unlogged)} interfaces have no flow log: {listed(unlogged)}"
        step = _PROVISION
        found.append(_coverage_gap(trust, "medium", unlogged, claim, {"interfaces": list(unlogged)}, step))
    denied = tuple(row for row in inventory if row.state == "denied")
    if denied:
        claim = f"Which interfaces have no flow log, and how they are called, is unknown: {listed(row.table for row in denied)} denied"
        step = run_command("00_start_here")  # which reads to ask for
        limits = ("until these reads are allowed addresses may lack names, and gateways may be taken for hosts",)
        evidence = {"denied": [row.note for row in denied]}
        found.append(
            Finding("FLOW-COVERAGE-UNKNOWN", "inconclusive", "medium", (), claim, evidence, limits, denied, step)
        )
    return found


def _elsewhere_finding(trust: Trust) -> Finding:
    """A window of another day: not a loss of records, and nothing that was looked for was looked for."""
    first, last = trust.records or (0, 0)
    claim = f"The records of this source are from {clock(first)} to {clock(last)}; none is in {trust.window}"
    evidence = {"first_record": clock(first), "last_record": clock(last)}
    window = {"window_start": _instant(first), "window_end": _instant(last + 1), "baseline_start": ""}
    step = trust.again(**window)
    seen = Coverage(*_place(trust), f"flow logs, {trust.window}", "empty", 0, note=claim)
    return Finding("FLOW-COVERAGE-GAP", "inconclusive", "medium", (), claim, evidence, (NEVER_LOGGED,), (seen,), step)


def _instant(epoch_s: float) -> str:
    return f"{datetime.fromtimestamp(float(epoch_s), UTC):%Y-%m-%dT%H:%M:%SZ}"


def _gap_finding(trust: Trust, kind: Any, rows: pd.DataFrame) -> Finding:
    interfaces = [one for one in rows["interface_id"].unique() if one]
    whole = rows[rows["interface_id"] == ""]
    minutes = int((rows["last_seen"] - rows["first_seen"]).sum() // 60)
    spans = [f"{clock(a)} to {clock(b)}" for a, b in zip(rows["first_seen"], rows["last_seen"], strict=True)]
    where = "any interface" if len(whole) else listed(interfaces)
    hidden = _hidden(trust, rows)
    what = "records were lost (SKIPDATA)" if kind == "skipdata" else "there are no records, not even NODATA,"
    step = "aws ec2 describe-flow-logs"  # DeliverLogsErrorMessage says why deliveries fail
    if kind == "skipdata":
        step = f"aws ec2 describe-network-interfaces --network-interface-ids {' '.join(interfaces[:20])}"
    evidence = {
        "spans": spans[:50],
        "span_count": len(rows),
        "minutes": minutes,
        "interfaces": interfaces,
        "hidden": round(hidden, 3),
    }
    claim = f"{what} at {where}: {listed(spans, 2)}"
    if trust.records and len(whole):
        claim += f" (this source has records from {clock(trust.records[0])} to {clock(trust.records[1])})"
    severity: Severity = "high" if hidden >= 0.5 else "medium" if hidden >= 0.02 or len(whole) else "low"
    if len(whole) and int((whole["last_seen"] - whole["first_seen"]).sum()) >= 1800:
        severity = "high"
    return _coverage_gap(trust, severity, interfaces, claim, evidence, step)


def _hidden(trust: Trust, rows: pd.DataFrame) -> float:
    """How much of all that there was to see some gaps touch, 0 to 1: time without sight, weighed by the interface's share of the records."""
    seconds = max(trust.window.seconds, 1)
    shares = [1.0 if not one else trust.busy.get(str(one), 1 / max(len(trust.busy), 1)) for one in rows["interface_id"]]
    lengths = (rows["last_seen"] - rows["first_seen"]).clip(upper=seconds)
    return min(1.0, sum(share * float(length) / seconds for share, length in zip(shares, lengths, strict=True)))


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


def span(row: Mapping[Any, Any]) -> dict[str, str]:
    """first_seen and last_seen of a row, for evidence."""
    return {"first_seen": clock(row["first_seen"]), "last_seen": clock(row["last_seen"])}


def counted_finding(
    code: str,
    severity: Severity,
    subject: Sequence[str],
    claim: str,
    evidence: dict[str, Any],
    seen: tuple[Coverage, tuple[str, ...]],
    step: str,
    limits: Sequence[str] = (),
    *,
    doubtful: bool = False,
) -> Finding:
    """A finding that is confirmed where its coverage is ok, and inconclusive elsewhere: lost records weaken any count.

    doubtful: what was seen can be read in another way, so it is inconclusive whatever the coverage
    """
    coverage, lower_bound = seen
    status: Status = "confirmed" if coverage.state == "ok" and not doubtful else "inconclusive"
    return Finding(code, status, severity, tuple(subject), claim, evidence, (*limits, *lower_bound), (coverage,), step)
