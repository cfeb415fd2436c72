"""From frames to what a person needs to know: gaps, reject clusters, scans, guessing, new talkers, leaks, as findings.

Pure: every function takes frames that the queries of this wing return (their columns are in the query's header) and an
AddressBook, and gives a frame or findings. Nothing here sees AWS, draws, or asks again.

How rejects are read follows the Amazon VPC User Guide, "Security group and network ACL rules" (flow-logs-records-examples):
a lone inbound REJECT is a security group or the inbound network ACL; inbound ACCEPT with the reply's outbound REJECT is the
network ACL, since security groups are stateful; no rule id is ever logged. A REJECT can also be a late packet of a
connection that was already closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from netkit.core.commandline import run_command
from netkit.core.costs import PRICES, nat_cost
from netkit.core.model import SEVERITIES, Coverage, Finding, Severity, Status, Window
from netkit.core.net import protocol_name
from netkit.flowlogs.names import AddressBook, service_name

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


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 port", "30 ports"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


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
        state = "skipped" if whole.state == "ok" and (len(self.gaps) or skipped) else whole.state
        note = whole.note or (f"{len(self.gaps)} gaps, {skipped} malformed lines" if state == "skipped" else "")
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
    denied = tuple(row for row in inventory if row.state == "denied")
    if denied:
        claim = f"Which interfaces have no flow log, and how they are called, is unknown: {listed(row.table for row in denied)} denied"
        step = "ask for these reads; until then addresses may lack names, and gateways may be taken for hosts"
        evidence = {"denied": [row.note for row in denied]}
        found.append(Finding("FLOW-COVERAGE-UNKNOWN", "inconclusive", "medium", (), claim, evidence, (), denied, step))
    return found


def _gap_finding(trust: Trust, kind: Any, rows: pd.DataFrame) -> Finding:
    interfaces = [one for one in rows["interface_id"].unique() if one]
    whole = rows[rows["interface_id"] == ""]
    minutes = int((rows["last_seen"] - rows["first_seen"]).sum() // 60)
    spans = [f"{clock(a)} to {clock(b)}" for a, b in zip(rows["first_seen"], rows["last_seen"], strict=True)]
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
    "sources", "target", "protocol", "leg", "port", "rejected", "packets", "accepted", "accepted_until", "first_seen", "last_seen",
    "interfaces", "inside", "reading", "story", "command",
)  # fmt: skip


def cluster_rejects(rejects: pd.DataFrame, book: AddressBook, rewrites: pd.DataFrame | None = None) -> pd.DataFrame:
    """Rejected traffic as clusters that a person can read: who was refused at which target and port, since when.

    rejects   query reject_clusters
    rewrites  query address_rewrites, to say which second address of the target was meant

    Returns one row a cluster, inside traffic first, then most often rejected: sources (list), target, protocol, leg, port,
    rejected (records), packets, accepted (records), accepted_until, first_seen, last_seen (epoch s), interfaces (list),
    inside (both ends ours), reading (what it can be), story (a sentence), command (opens the reachability notebook on it; ""
    for the internet's).
    """
    inside = [
        book.is_inside(source) and book.is_inside(target)
        for source, target in zip(rejects["srcaddr"], rejects["dstaddr"], strict=True)
    ]
    keyed = rejects.assign(inside=inside)
    # Sources that are outside say little one by one, so the internet's noise is one cluster a target.
    keyed["shown_port"] = keyed["port"].where(keyed["inside"], -1)
    keys = ["dstaddr", "protocol", "leg", "shown_port", "inside"]
    rows = [_cluster(rows, book, rewrites) for _, rows in keyed.groupby(keys)]
    frame = pd.DataFrame(rows, columns=list(CLUSTER_COLUMNS)).astype({"inside": bool})
    order = ["inside", "rejected", "target", "port"]
    return frame.sort_values(order, ascending=[False, False, True, True], ignore_index=True)


def _cluster(group: pd.DataFrame, book: AddressBook, rewrites: pd.DataFrame | None) -> dict[str, Any]:
    first = group.iloc[0]
    sources = list(group.groupby("srcaddr")["rejected"].sum().sort_values(ascending=False, kind="stable").index)
    until = group["accepted_until"].dropna()
    row: dict[str, Any] = {
        "sources": sources,
        "target": str(first["dstaddr"]),
        "protocol": int(first["protocol"]),
        "leg": str(first["leg"]),
        "port": int(first["shown_port"]),
        "rejected": int(group["rejected"].sum()),
        "packets": int(group["rejected_packets"].sum()),
        "accepted": int(group["accepted"].sum()),
        "accepted_until": int(until.max()) if len(until) else 0,
        "first_seen": int(group["first_seen"].min()),
        "last_seen": int(group["last_seen"].max()),
        "interfaces": sorted(group["interface_id"].unique()),
        "inside": bool(first["inside"]),
    }
    row["reading"] = _reading(row, book)
    row["story"] = _story(row, book, group["port"].nunique(), _second_addresses(row, rewrites))
    asked = (row["target"], sources[0]) if row["leg"] == "reply" else (sources[0], row["target"])
    row["command"] = (
        reachability_command(*asked, row["protocol"], row["port"], row["interfaces"][0]) if row["inside"] else ""
    )
    return row


def _reading(row: dict[str, Any], book: AddressBook) -> str:
    """What can have rejected it, by where it was seen (User Guide, "Security group and network ACL rules")."""
    if row["leg"] == "reply":
        return "replies: groups are stateful, so a network ACL; or packets that came after their connection was closed"
    if row["accepted"] and row["accepted_until"] <= row["first_seen"] + 60:
        return f"accepted until {clock(row['accepted_until'])} and not since: a rule changed"
    if row["accepted"]:
        return "accepted at other times: a rule that came or went, or packets after their connection was closed"
    at_target = book.get(row["target"]).interface_id in row["interfaces"]
    if not at_target and any(book.get(source).interface_id in row["interfaces"] for source in row["sources"]):
        return "nothing accepted, seen at the sender: its security group or its outbound network ACL"
    return "nothing accepted: a security group or the inbound network ACL"


def _second_addresses(row: dict[str, Any], rewrites: pd.DataFrame | None) -> list[str]:
    if rewrites is None or rewrites.empty:
        return []
    own = (
        (rewrites["own_address"] == row["target"])
        & (rewrites["side"] == "destination")
        & (rewrites["port"] == row["port"])
    )
    return sorted(rewrites.loc[own & rewrites["interface_id"].isin(row["interfaces"]), "real_address"].unique())


def _story(row: dict[str, Any], book: AddressBook, ports: int, seconds: Sequence[str]) -> str:
    name = protocol_name(row["protocol"])
    where = f"{name}/{row['port']}" if row["port"] > 0 else name
    if row["port"] < 0 and name in ("tcp", "udp"):
        where = f"{counted(ports, 'port')} ({name})"
    who = (
        listed(map(book.label, row["sources"]))
        if row["inside"]
        else f"{counted(len(row['sources']), 'outside address', 'outside addresses')}"
    )
    what = f"replies from {where}" if row["leg"] == "reply" else where
    story = (
        f"{who} to {book.label(row['target'])}, {what}, {counted(row['rejected'], 'time')} ({counted(row['packets'], 'packet')}) since "
        f"{clock(row['first_seen'])}, seen at {listed(row['interfaces'])}, {row['reading']}"
    )
    also = f"; that is its primary address, and the packets were sent to {listed(seconds)}, which it carries as well"
    return story + (also if seconds else "")


def reachability_command(source: str, destination: str, protocol: int, port: int, interface: str = "") -> str:
    """The command line that opens the reachability notebook on this question.

    interface: one in the VPC that is meant, since VPCs may share their addresses; "" where none is known.
    """
    vpc = interface if interface.startswith("eni-") else None
    ends = {"source": source, "destination": destination}
    return run_command("40_reachability_debugging", **ends, protocol=protocol_name(protocol), port=port, vpc=vpc)


def reject_findings(clusters: pd.DataFrame, trust: Trust, *, min_records: int = 10) -> list[Finding]:
    """FLOW-REJECT-CLUSTER for each inside cluster of requests rejected at least `min_records` times."""
    inside = clusters[clusters["inside"] & (clusters["leg"] == "request") & (clusters["rejected"] >= min_records)]
    return [_reject_finding(row, trust) for row in inside.to_dict("records")]


def _reject_finding(row: dict[Any, Any], trust: Trust) -> Finding:
    names = ("sources", "target", "protocol", "port", "rejected", "packets", "accepted", "interfaces")
    evidence = {name: row[name] for name in names} | _span(row)
    severity: Severity = "high" if row["rejected"] >= 50 else "medium"
    seen = trust.rests_on(row["interfaces"], row["first_seen"], row["last_seen"])
    subject = (*row["interfaces"], row["target"])
    return _finding(
        "FLOW-REJECT-CLUSTER", severity, subject, row["story"], evidence, seen, row["command"], (_NO_RULE_ID,)
    )


def _span(row: dict[Any, Any]) -> dict[str, str]:
    return {"first_seen": clock(row["first_seen"]), "last_seen": clock(row["last_seen"])}


def _finding(
    code: str,
    severity: Severity,
    subject: Sequence[str],
    claim: str,
    evidence: dict[str, Any],
    seen: tuple[Coverage, tuple[str, ...]],
    step: str,
    limits: Sequence[str] = (),
) -> Finding:
    """A finding that is confirmed where its coverage is ok, and inconclusive elsewhere: lost records weaken any count."""
    coverage, lower_bound = seen
    status: Status = "confirmed" if coverage.state == "ok" else "inconclusive"
    return Finding(code, status, severity, tuple(subject), claim, evidence, (*limits, *lower_bound), (coverage,), step)


def return_path_findings(
    paths: pd.DataFrame, book: AddressBook, trust: Trust, *, min_packets: int = 20
) -> list[Finding]:
    """FLOW-RETURN-PATH-DEAD for each interface that accepts requests and rejects most of their replies.

    paths: query dead_return_paths
    """
    dead = paths[(paths["replies_rejected"] >= min_packets) & (paths["replies_rejected"] > paths["replies_accepted"])]
    found = []
    for key, rows in dead.groupby(["interface_id", "server", "protocol", "server_port"]):
        interface, server, protocol, port = (str(part) for part in key)
        clients, first, last = (
            sorted(rows["client"].unique()),
            int(rows["first_seen"].min()),
            int(rows["last_seen"].max()),
        )
        lost, connections = int(rows["replies_rejected"].sum()), int(rows["connections"].sum())
        claim = (
            f"{book.label(server)} gets requests from {listed(map(book.label, clients))} on {protocol_name(int(protocol))}/{port}, and "
            f"its replies are rejected at its own interface: {connections} connections, {lost} packets, {clock(first)} to {clock(last)}: "
            "the outbound network ACL of its subnet, since security groups are stateful"
        )
        evidence = {
            "server": server,
            "port": int(port),
            "clients": clients,
            "connections": connections,
            "replies_rejected": lost,
        }
        evidence |= {"first_seen": clock(first), "last_seen": clock(last)}
        step = reachability_command(clients[0], server, int(protocol), int(port), str(interface))
        seen = trust.rests_on([interface], first, last)
        found.append(
            _finding("FLOW-RETURN-PATH-DEAD", "high", (interface, server), claim, evidence, seen, step, (_NO_RULE_ID,))
        )
    return found


# ------------------------------------------------------------------------------------------- scans, guessing, strangers


def scan_findings(scans: pd.DataFrame, sweeps: pd.DataFrame, book: AddressBook, trust: Trust) -> list[Finding]:
    """FLOW-PORT-SCAN and FLOW-HOST-SWEEP.

    scans: query port_scan with `reached`, the accepted records that came to a host (ask.scans); sweeps: query host_sweep.
    """
    found = []
    for row in scans.to_dict("records"):
        inside = book.is_inside(row["srcaddr"])
        claim = (
            f"{book.label(row['srcaddr'])} tried {counted(row['ports'], 'port')} of {counted(row['targets'], 'address', 'addresses')} and was refused "
            f"{counted(row['rejected'], 'time')}, {clock(row['first_seen'])} to {clock(row['last_seen'])}; {_reach(row)}"
        )
        severity: Severity = "high" if inside else "medium" if row["ports"] >= 100 or row["reached"] else "low"
        step = (
            "an inside host that scans: isolate it and look"
            if inside
            else "look at what was accepted: query host_flows for this address"
        )
        evidence = {
            name: row[name] for name in ("srcaddr", "ports", "targets", "rejected", "accepted", "reached")
        } | _span(row)
        seen = trust.rests_on((), row["first_seen"], row["last_seen"])
        found.append(_finding("FLOW-PORT-SCAN", severity, (row["srcaddr"],), claim, evidence, seen, step))
    for row in sweeps.to_dict("records"):
        inside = book.is_inside(row["srcaddr"])
        where = f"{protocol_name(int(row['protocol']))}/{row['dstport']}"
        claim = f"{book.label(row['srcaddr'])} tried {where} on {row['hosts']} hosts and was refused {row['rejected']} times since {clock(row['first_seen'])}"
        evidence = {name: row[name] for name in ("srcaddr", "dstport", "hosts", "rejected")} | _span(row)
        seen = trust.rests_on((), row["first_seen"], row["last_seen"])
        step = "is this a monitor or a backup? then name it; otherwise look at the host"
        found.append(
            _finding("FLOW-HOST-SWEEP", "medium" if inside else "low", (row["srcaddr"],), claim, evidence, seen, step)
        )
    return found


def _reach(row: dict[Any, Any]) -> str:
    """What became of the records that were accepted: an interface of a NAT gateway accepts what reaches no host."""
    if row["reached"]:
        return f"{counted(row['reached'], 'record')} of it came to a host"
    return "nothing of it came to a host" + (
        " (a NAT gateway's interface accepts, and drops)" if row["accepted"] else ""
    )


def guessing_findings(guesses: pd.DataFrame, book: AddressBook, trust: Trust) -> list[Finding]:
    """FLOW-LOGIN-GUESSING. guesses: query login_guessing."""
    found = []
    for row in guesses.to_dict("records"):
        if book.stands_in(row["dstaddr"]):
            continue  # what a NAT gateway's interface accepts reaches no host
        claim = (
            f"{book.label(row['srcaddr'])} opened {row['connections']} short connections to {book.label(row['dstaddr'])} on "
            f"{service_name(row['dstport'])}, {row['packets_per_connection']:.0f} packets each, "
            f"{clock(row['first_seen'])} to {clock(row['last_seen'])}: the shape of password guessing"
        )
        evidence = {
            name: row[name]
            for name in ("srcaddr", "dstaddr", "dstport", "connections", "packets_per_connection", "bytes")
        } | _span(row)
        step = "narrow the group that admits the world to this port, and look into the host's own log for a success"
        limits = ("flow logs do not say whether a login succeeded",)
        seen = trust.rests_on([row["interface_id"]], row["first_seen"], row["last_seen"])
        subject = (row["interface_id"], row["srcaddr"])
        found.append(_finding("FLOW-LOGIN-GUESSING", "medium", subject, claim, evidence, seen, step, limits))
    return found


def new_talker_findings(talkers: pd.DataFrame, book: AddressBook, trust: Trust, *, most: int = 10) -> list[Finding]:
    """FLOW-NEW-TALKER for our hosts that talk to someone they did not know in the baseline, most bytes first.

    talkers: query new_talkers. What NAT gateways and load balancers do for others is theirs, not new.
    """
    own = [
        not book.stands_in(client) and not book.stands_in(server)
        for client, server in zip(talkers["client"], talkers["server"], strict=True)
    ]
    found = []
    for row in talkers[pd.Series(own, index=talkers.index, dtype=bool)].head(most).to_dict("records"):
        outside = not book.is_inside(row["server"])
        claim = (
            f"{book.label(row['client'])} talks to {book.label(row['server'])} on {service_name(row['server_port'], int(row['protocol'])) or 'no port'} "
            f"since {clock(row['first_seen'])} ({row['connections']} connections, {size(row['bytes_sent'])} sent), and did not in the baseline"
        )
        evidence = {
            name: row[name] for name in ("client", "server", "server_port", "connections", "bytes_sent", "bytes")
        } | _span(row)
        severity: Severity = "medium" if outside and row["bytes_sent"] >= 10_000_000 else "low"
        seen = trust.rests_on([row["interface_id"]], row["first_seen"], row["last_seen"])
        step = "ask the owner of the host; if nobody knows, capture the traffic (30_mirror_provision)"
        limits = ("new means: not in the baseline window",)
        found.append(
            _finding(
                "FLOW-NEW-TALKER", severity, (row["interface_id"], row["client"]), claim, evidence, seen, step, limits
            )
        )
    return found


def egress_findings(spikes: pd.DataFrame, book: AddressBook, trust: Trust) -> list[Finding]:
    """FLOW-EGRESS-SPIKE for hosts that send an outside address far more than in the baseline. spikes: query egress_spikes."""
    found = []
    for row in spikes.to_dict("records"):
        if book.stands_in(row["client"]):
            continue  # the NAT gateway repeats what its hosts sent
        before = size(row["baseline_bytes"]) if row["baseline_bytes"] else "nothing"
        claim = (
            f"{book.label(row['client'])} sent {size(row['bytes_sent'])} to {book.label(row['server'])} on {service_name(row['server_port'])} in "
            f"{row['active_hours']} hours, {clock(row['first_seen'])} to {clock(row['last_seen'])}; in the baseline it sent {before}"
        )
        evidence = {
            name: row[name]
            for name in ("client", "server", "server_port", "bytes_sent", "baseline_bytes", "active_hours")
        } | _span(row)
        seen = trust.rests_on([row["interface_id"]], row["first_seen"], row["last_seen"])
        step = "find the process on the host, and close the way out until it is known"
        found.append(
            _finding("FLOW-EGRESS-SPIKE", "high", (row["interface_id"], row["server"]), claim, evidence, seen, step)
        )
    return found


def nothing_found(trust: Trust, looked_for: Sequence[str]) -> Finding:
    """FLOW-NOTHING-FOUND: what was looked for and not found; refuted only as far as the whole window was seen."""
    whole = trust.all()
    status: Status = "refuted" if whole.state == "ok" else "inconclusive"
    claim = f"Looked for {listed(looked_for, 9)} and found none in {trust.window}"
    step = "look again with a wider window" if status == "refuted" else "mend the gaps first"
    return Finding(
        "FLOW-NOTHING-FOUND",
        status,
        "info",
        (),
        claim,
        {"looked_for": list(looked_for)},
        (NEVER_LOGGED,),
        (whole,),
        step,
    )


# ------------------------------------------------------------------------------------------------ frames for figures


def coverage_states(buckets: pd.DataFrame, gaps: pd.DataFrame, book: AddressBook, bucket_s: int) -> pd.DataFrame:
    """What each interface logged in each time bucket: label, bucket (epoch s), state (ok, nodata, skipdata, missing).

    buckets: query time_gaps; gaps: find_gaps of the same.
    """
    names = {name.interface_id: name for name in book.names() if name.interface_id and name.primary}
    labels = {
        one: f"{names[one].name or names[one].address} {one[-5:]}" if one in names else one
        for one in buckets["interface_id"].unique()
    }
    states = pd.Series("missing", index=buckets.index)
    states[buckets["nodata"] > 0] = "nodata"
    states[buckets["ok"] > 0] = "ok"
    states[buckets["skipdata"] > 0] = "skipdata"
    rows = pd.DataFrame({"label": buckets["interface_id"].map(labels), "bucket": buckets["bucket"], "state": states})
    holes = [
        {"label": label, "bucket": bucket, "state": "missing"}
        for gap in gaps[gaps["kind"] == "missing"].to_dict("records")
        for label in ([labels[gap["interface_id"]]] if gap["interface_id"] else labels.values())
        for bucket in range(int(gap["first_seen"]), int(gap["last_seen"]), bucket_s)
    ]
    return pd.concat([rows, pd.DataFrame(holes, columns=list(rows.columns))], ignore_index=True).sort_values(
        ["label", "bucket"], ignore_index=True
    )


def grouped(conversations: pd.DataFrame, book: AddressBook) -> pd.DataFrame:
    """Conversations with client_group, service, server_group and bytes, each counted once.

    What a NAT gateway's interface logged again is left out (the host's own interface has it), and so are strangers who
    knock at the gateway: its interface accepts what reaches no host. conversations: query conversations.
    """
    gateway = [
        any(book.get(end).kind == "nat gateway" for end in pair)
        for pair in zip(conversations["client"], conversations["server"], strict=True)
    ]
    own = conversations[~pd.Series(gateway, index=conversations.index, dtype=bool)]
    service = [
        service_name(port, int(number)) or protocol_name(int(number))
        for port, number in zip(own["server_port"], own["protocol"], strict=True)
    ]
    return own.assign(
        client_group=own["client"].map(book.group),
        service=[
            name if own_port < 32768 else "high ports"
            for name, own_port in zip(service, own["server_port"], strict=True)
        ],
        server_group=own["server"].map(book.group),
        bytes=own["bytes_out"] + own["bytes_back"],
    ).reset_index(drop=True)


def with_rejects(conversations: pd.DataFrame, rejects: pd.DataFrame) -> pd.DataFrame:
    """Accepted conversations and rejected ones in one frame, told apart by `action`.

    conversations: query conversations; rejects: query reject_clusters, whose sources and targets become clients and
    servers (the other way round for replies). For what was rejected `connections` are attempts.
    """
    request = rejects["leg"] == "request"
    ends = {
        "client": rejects["srcaddr"].where(request, rejects["dstaddr"]),
        "server": rejects["dstaddr"].where(request, rejects["srcaddr"]),
    }
    zero = pd.Series(0, index=rejects.index, dtype="Int64")
    counts = {
        f"{what}_{way}": rejects[f"rejected_{what}"].where(request == (way == "out"), zero)
        for what in ("bytes", "packets")
        for way in ("out", "back")
    }
    same = {name: rejects[name] for name in ("protocol", "interface_id", "first_seen", "last_seen")}
    made = pd.DataFrame({**ends, **same, **counts, "server_port": rejects["port"], "connections": rejects["attempts"]})
    refused = made.assign(interfaces=1, action="REJECT")[[*conversations.columns, "action"]]
    accepted = conversations.assign(action="ACCEPT")
    return pd.concat([part for part in (accepted, refused) if len(part)] or [accepted], ignore_index=True)


def order_hops(hops: pd.DataFrame, book: AddressBook, source: str) -> pd.DataFrame:
    """The hops of one flow in path order: the request from its source on, then the reply, as far as either came.

    hops    query flow_hops (or pair_flows), whose columns it keeps
    source  the end that asked

    Adds label (who logged it), source_label and destination_label (the ends of this leg by name).
    """
    rows = hops.to_dict("records")
    forward = [row for row in rows if source in (row["srcaddr"], row.get("pkt_srcaddr"))]
    vias = {row["dstaddr"] for row in forward} | {row["srcaddr"] for row in forward}
    ends = {source, *(row.get("pkt_dstaddr") or row["dstaddr"] for row in forward)}
    onward = [
        row
        for row in rows
        if row not in forward and row["srcaddr"] in vias - ends and row["dstaddr"] in ends - {source}
    ]
    back = [row for row in rows if row not in forward and row not in onward]
    # On the way out a flow is at its source first (egress there), then at what stands between, then at the end.
    path = [*_along(forward + onward, source), *_along(back, None, reverse_of=source)]
    frame = pd.DataFrame(path, columns=list(hops.columns))
    frame["label"] = [_interface_label(one, book) for one in frame["interface_id"]]
    frame["source_label"] = frame["srcaddr"].map(book.label)
    frame["destination_label"] = frame["dstaddr"].map(book.label)
    return frame


def _along(rows: list[dict[Any, Any]], start: str | None, *, reverse_of: str = "") -> list[dict[Any, Any]]:
    """Rows of one direction by their place on the way: near the start first, and at one place egress after ingress."""

    def place(row: dict[Any, Any]) -> tuple[int, int, str]:
        leaves = row.get("flow_direction") == "egress"
        if start is not None:
            near = 0 if row["srcaddr"] == start and leaves else 2 if row["srcaddr"] != start and not leaves else 1
        else:
            near = (
                2
                if row["dstaddr"] == reverse_of and not leaves
                else 0
                if row.get("pkt_dstaddr") != reverse_of and not leaves
                else 1
            )
        return near, int(leaves), str(row["interface_id"])

    return sorted(rows, key=place)


def _interface_label(interface: str, book: AddressBook) -> str:
    return next(
        (f"{name.name or name.address}" for name in book.names() if name.interface_id == interface and name.primary),
        interface,
    )


def readable(frame: pd.DataFrame, book: AddressBook, *addresses: str) -> pd.DataFrame:
    """A query's frame for people: names beside addresses, protocols by name, first_seen and last_seen as UTC times."""
    shown = book.name_columns(frame, *addresses)
    for column in ("first_seen", "last_seen"):
        if column in shown:
            shown[column] = [clock(one) if pd.notna(one) else "" for one in shown[column]]
    if "protocol" in shown:
        shown["protocol"] = [protocol_name(int(one)) for one in shown["protocol"]]
    return shown


def name_servers(outcomes: pd.DataFrame, book: AddressBook) -> pd.DataFrame:
    """TCP outcomes with a label for each server and port. outcomes: query tcp_outcomes"""
    labels = [
        f"{book.label(server)} {service_name(port)}"
        for server, port in zip(outcomes["server"], outcomes["server_port"], strict=True)
    ]
    named = outcomes.assign(label=pd.Series(labels, index=outcomes.index, dtype="object"))
    named.attrs.update(outcomes.attrs)
    return named


def nat_costs(egress: pd.DataFrame, book: AddressBook, prices: Mapping[str, float] = PRICES) -> pd.DataFrame:
    """What was sent through NAT gateways and what its processing costs about: source, destination, bytes, cost_usd.

    egress: query egress_by_destination; AWS has no path code for a NAT gateway, so other ways without one are in here too
    """
    through = egress[egress["path"] == "NAT gateway or other"]
    cost = [round(nat_cost(int(count), prices), 4) for count in through["bytes"]]
    named = {"source": through["srcaddr"].map(book.label), "destination": through["dstaddr"].map(book.label)}
    return pd.DataFrame({**named, "bytes": through["bytes"], "cost_usd": cost}).reset_index(drop=True)


def egress_table(egress: pd.DataFrame, book: AddressBook) -> pd.DataFrame:
    """Egress as a figure wants it: label (destination), path, bytes, source. egress: query egress_by_destination."""
    labels = [
        service or book.label(address)
        for service, address in zip(egress["aws_service"], egress["dstaddr"], strict=True)
    ]
    sums = (
        egress.assign(label=labels, source=egress["srcaddr"].map(book.label))
        .groupby(["label", "path", "source"], as_index=False)["bytes"]
        .sum()
    )
    table = pd.DataFrame(sums).sort_values("bytes", ascending=False, ignore_index=True)
    table.attrs.update(egress.attrs)
    return table


def conclude(findings: Sequence[Finding], trust: Trust, *, baseline: bool = True) -> list[Finding]:
    """The findings of an investigation, worst first, and FLOW-NOTHING-FOUND for what was looked for and is not among them.

    baseline: whether there was one; without it nobody looked for new talkers and egress spikes
    """
    looked = {
        "FLOW-REJECT-CLUSTER": "rejected inside traffic",
        "FLOW-RETURN-PATH-DEAD": "rejected replies",
        "FLOW-PORT-SCAN": "port scans",
        "FLOW-HOST-SWEEP": "host sweeps",
        "FLOW-LOGIN-GUESSING": "login guessing",
    }
    looked |= {"FLOW-NEW-TALKER": "new talkers", "FLOW-EGRESS-SPIKE": "egress spikes"} if baseline else {}
    codes = {one.code for one in findings}
    absent = [words for code, words in looked.items() if code not in codes]
    ranked = sorted(findings, key=lambda one: -SEVERITIES.index(one.severity))
    return [*ranked, *([nothing_found(trust, absent)] if absent else [])]
