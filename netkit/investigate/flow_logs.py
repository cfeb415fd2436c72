"""Questions that take several queries: who is who in a log, how far it can be trusted, what it cannot answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from netkit.core.commandline import run_command
from netkit.core.errors import NetkitError, SourceError, WindowError
from netkit.core.model import Coverage, Finding, Window
from netkit.core.session import Session
from netkit.core.textfiles import MAX_LINE, LongLines, lines
from netkit.flowlogs import read
from netkit.flowlogs.catalog import catalogue, find_query
from netkit.flowlogs.engines import FileEngine, FlowLogs, open_logs
from netkit.flowlogs.fields import COLUMNS
from netkit.flowlogs.findings import (
    Trust,
    cluster_rejects,
    counted,
    few_rejects,
    few_replies,
    find_gaps,
    looked_for,
    order_hops,
)
from netkit.flowlogs.findings import cross_zone as zones_crossed
from netkit.flowlogs.findings.words import flow_command
from netkit.flowlogs.names import AddressBook, from_dns, from_inventory, from_log, from_services
from netkit.flowlogs.table import FlowLogSpec

# Delivery takes some ten minutes and is best effort (User Guide, Flow log records); later than this it is late.
DELIVERY_S = 20 * 60
_NO_REWRITES = ("interface_id", "own_address", "real_address", "side", "port", "flow_count", "packets", "bytes")


def address_book(
    logs: FlowLogs, session: Session | None = None, *, vpc_id: str = "", resolver_logs: str = ""
) -> AddressBook:
    """Names for the addresses of a log, best source first: the account's inventory, DNS answers, the log's own evidence.

    session        None for files of somebody else's account
    vpc_id         the VPC whose inventory names them; "" takes the one that the log's interfaces are in
    resolver_logs  a file of Route 53 Resolver query logs (JSON lines, gzip or plain)
    """
    own = answer(logs, "interface_addresses")
    book = AddressBook()
    if session is not None:
        interfaces, _ = read.interfaces(session, vpc_id=vpc_id)
        vpcs = interfaces.loc[interfaces["interface_id"].isin(own["interface_id"]), "vpc_id"].unique()
        for name in from_inventory(interfaces[interfaces["vpc_id"].isin([vpc_id] if vpc_id else vpcs)]):
            book.add(name)
    if resolver_logs:
        for name in from_dns(resolver_answers(Path(resolver_logs))):
            book.add(name)
    if "aws_services" in logs.names():
        for name in from_services(answer(logs, "aws_services")):
            book.add(name)
    known = any(name.known_from == "inventory" for name in book.names())
    checks = find_query("health_checks").typed(pd.DataFrame()) if known else answer(logs, "health_checks")
    for name in from_log(own, rewrites(logs, book), checks):
        book.add(name)
    return book


def rewrites(logs: FlowLogs, book: AddressBook | None = None) -> pd.DataFrame:
    """Where an interface shows its own address for another one: query packet_rewrites, and address_rewrites for logs without the pkt- fields.

    Without an inventory the log's own evidence is all there is; with one the search is not needed and an empty frame comes back.
    """
    if book is not None and any(name.known_from == "inventory" for name in book.names()):
        return pd.DataFrame(columns=list(_NO_REWRITES))
    names = logs.names()
    if "packet_rewrites" in names:
        return answer(logs, "packet_rewrites")
    return answer(logs, "address_rewrites")


def resolver_answers(path: Path) -> pd.DataFrame:
    """query_name and answers of Route 53 Resolver query logs. Raises SourceError for a file that is none.

    Source: Amazon Route 53 Developer Guide, "Values that appear in VPC Resolver query logs".
    """
    try:
        long = LongLines()
        rows = [json.loads(line) for line in lines(path, long)]
        if long.count:
            raise ValueError(f"{long.count} lines of more than {MAX_LINE:,} characters")
        return pd.DataFrame(
            [{"query_name": row["query_name"], "answers": row.get("answers", [])} for row in rows],
            columns=["query_name", "answers"],
        )
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise SourceError(
            f"these are no Resolver query logs: {problem}",
            subject=str(path),
            hint="JSON lines with query_name and answers",
        ) from None


def trust(logs: FlowLogs, *, bucket_s: int = 600) -> tuple[Trust, pd.DataFrame]:
    """How far the log can be trusted, and the counts per interface and time bucket (query time_gaps) that say so.

    bucket_s: seconds a bucket, not below the aggregation interval
    """
    transit = "time_gaps" not in logs.names()
    buckets = answer(logs, "tgw_time_gaps" if transit else "time_gaps", bucket_s=bucket_s)
    settled = datetime.now(UTC).timestamp() - DELIVERY_S
    gaps = find_gaps(buckets, logs.window, bucket_s, until=settled - bucket_s)
    counts = buckets.groupby("interface_id")["ok"].sum()
    total = int(counts.sum())
    busy = {str(one): int(count) / total for one, count in counts.items()} if total else {}
    statuses = "log-status" in logs.fields
    seen = logs.coverage().dropna(subset=["first_seen"])
    records = (int(seen["first_seen"].min()), int(seen["last_seen"].max())) if len(seen) else None
    return Trust(logs.window, logs.coverage_rows(), gaps, busy, records, statuses, logs.source, _files(logs)), buckets


def _files(logs: FlowLogs) -> bool:
    return isinstance(logs.engine, FileEngine)


class Placed(Protocol):
    """What clusters() needs of a notebook's run (netkit.runs.notebook.Run)."""

    def here(self, text: str) -> str:
        """A command that goes where the run went."""
        ...


def clusters(run: Placed, logs: FlowLogs, rejects: pd.DataFrame, book: AddressBook) -> pd.DataFrame:
    """Rejected traffic as clusters (netkit.flowlogs.findings.cluster_rejects), their commands for where the run went.

    Of files the commands open the flow itself: there is no account to ask for its rules.
    """
    found = cluster_rejects(rejects, book, rewrites(logs, book))
    if not _files(logs):
        return found.assign(command=found["command"].map(run.here))
    start, end = (f"{one:%Y-%m-%dT%H:%M:%SZ}" for one in (logs.window.start, logs.window.end))
    window = {"window_start": start, "window_end": end, "baseline_start": ""}
    again = [
        flow_command(logs.source, sources[0], target, **window) if command else ""
        for sources, target, command in zip(found["sources"], found["target"], found["command"], strict=True)
    ]
    return found.assign(command=pd.Series(again, index=found.index, dtype="object"))


def scans(
    logs: FlowLogs, book: AddressBook, *, min_ports: int = 20, most: int = 20
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sources that try many ports (query port_scan, with `reached`), and what they tried (query scan_probes), the worst first.

    reached: accepted records that came to a host. The interface of a NAT gateway accepts what strangers send it, and the
    gateway drops it, so that is not reach.
    """
    found = answer(logs, "port_scan", min_ports=min_ports, limit=most)
    probes = [logs.query("scan_probes", source=source) for source in found["srcaddr"]]
    reached = [
        sum(
            action == "ACCEPT" and not book.stands_in(target)
            for action, target in zip(one["action"], one["dstaddr"], strict=True)
        )
        for one in probes
    ]
    tried = pd.concat(probes, ignore_index=True) if probes else find_query("scan_probes").typed(pd.DataFrame())
    named = found.assign(reached=pd.Series(reached, index=found.index, dtype="int64"))
    named.attrs.update(found.attrs)
    tried.attrs.update(found.attrs)
    return named, tried


def answer(logs: FlowLogs, name: str, **parameters: Any) -> pd.DataFrame:
    """logs.query(), or its columns without rows where the log lacks a field that the query needs (see not_answerable), or
    where files miss the window wholly: how far a log can be trusted (trust) says which span they have."""
    query = find_query(name)
    lacking = query.missing([COLUMNS[one.replace("-", "_")].column for one in logs.fields])
    if lacking:
        empty = query.typed(pd.DataFrame())
        empty.attrs["lacks"] = ", ".join(lacking)  # so that a figure of it says why, and not that there was nothing
        return empty
    try:
        return logs.query(name, **parameters)
    except WindowError as missed:
        empty = query.typed(pd.DataFrame())
        empty.attrs["lacks"] = missed.what
        return empty


def not_answerable(logs: FlowLogs) -> pd.DataFrame:
    """The questions that this log cannot answer: question, query, lacks (field names). Empty for a log with all fields."""
    have = [one.replace("-", "_") for one in logs.fields]
    rows = [
        (query.question, name, ", ".join(query.missing(have)))
        for name, query in catalogue().items()
        if query.missing(have)
    ]
    return pd.DataFrame(rows, columns=["question", "query", "lacks"])


def against_baseline(logs: FlowLogs, name: str, baseline_start: str, **parameters: Any) -> pd.DataFrame:
    """A query that compares the window with what came before it; its columns without rows where no baseline is given.

    baseline_start: ISO 8601 in UTC, or "" for none
    """
    if not baseline_start:
        return find_query(name).typed(pd.DataFrame())
    start = Window.parse(baseline_start, f"{logs.window.start:%Y-%m-%dT%H:%M:%SZ}").epoch()[0]
    return answer(logs, name, baseline_start=start, **parameters)


def hops(logs: FlowLogs, book: AddressBook, source: str, destination: str) -> pd.DataFrame:
    """The traffic between two addresses at every interface that saw it, in path order (investigate.order_hops).

    Follows the packet's own addresses where the log has them (query flow_hops), otherwise what is left (pair_flows).
    """
    name = "flow_hops" if "flow_hops" in logs.names() else "pair_flows"
    found = (
        answer(logs, name, source=source, destination=destination)
        if source and destination
        else find_query(name).typed(pd.DataFrame())
    )
    ordered = order_hops(found, book, source)
    ordered.attrs.update(found.attrs)
    return ordered


def host_bytes(logs: FlowLogs, book: AddressBook, host: str) -> pd.DataFrame:
    """Bytes between one host and each peer, each counted once (query host_bytes), without what NAT gateways and other gateways repeat.

    For logs without interface-type and the pkt- fields the book's own evidence of who is a gateway is all there is.
    """
    found = answer(logs, "host_bytes", host=host)
    ours = [not book.stands_in(peer) for peer in found["peer"]]
    kept = found[pd.Series(ours, index=found.index, dtype=bool)].reset_index(drop=True)
    kept.attrs.update(found.attrs)
    return kept


def cross_zone(logs: FlowLogs, zones: dict[str, str] | None = None) -> pd.DataFrame:
    """Traffic between availability zones and its cost about: query cross_zone_traffic where the log has az-id, else by the subnets' zones.

    zones: subnet (CIDR) to zone, for logs without az-id. Raises InputError for what is no CIDR block, SourceError where neither is there.
    """
    if zones:
        return zones_crossed(logs.query("conversations"), zones)
    if "cross_zone_traffic" not in logs.names():
        raise SourceError(
            "this log has no az-id, so that zones are not known",
            subject=logs.source,
            hint='give zones={"10.0.1.0/24": "use1-az1", …}',
        )
    return logs.query("cross_zone_traffic")


def gone_interfaces(logs: FlowLogs, session: Session | None = None, *, quiet_s: int = 600) -> pd.DataFrame:
    """Traffic to addresses that fell silent (query silent_targets), with `gone`: 1 where no interface of the account has the address any more.

    gone is none where there is no account to ask, or the read was denied: then silence is all that is known.
    """
    found = logs.query("silent_targets", quiet_s=quiet_s)
    gone: list[int | None] = [None] * len(found)
    if session is not None and len(found):
        interfaces, seen = read.interfaces(session)
        if all(row.state == "ok" for row in seen):
            names = {name.address for name in from_inventory(interfaces)}
            gone = [int(address not in names) for address in found["address"]]
    return found.assign(gone=pd.Series(gone, index=found.index, dtype="Int64"))


def looked(
    asked: dict[str, pd.DataFrame], *, min_ports: int, min_hosts: int, min_egress_bytes: int, baseline: bool
) -> dict[str, str]:
    """What was looked for, by code, with the thresholds of the queries in words (findings.looked_for)."""
    thresholds = {
        "FLOW-PORT-SCAN": f"{min_ports} refused ports or more",
        "FLOW-HOST-SWEEP": f"{min_hosts} refusing hosts or more",
        "FLOW-LOGIN-GUESSING": "60 short connections or more",
        "FLOW-EGRESS-SPIKE": f"{min_egress_bytes:,} bytes or more",
    }
    return looked_for(asked, thresholds, baseline=baseline)


def below(clusters: pd.DataFrame, paths: pd.DataFrame, book: AddressBook) -> dict[str, str]:
    """What was seen and is no finding, in words by code: it is listed, and never called absent."""
    return {"FLOW-REJECT-CLUSTER": few_rejects(clusters), "FLOW-RETURN-PATH-DEAD": few_replies(paths, book)}


def unlogged(session: Session | None, book: AddressBook, vpc_id: str = "") -> tuple[list[str], tuple[Coverage, ...]]:
    """Interfaces of the log's VPC that no active flow log covers, and how much of the inventory could be read.

    Nothing, and no coverage, where there is no account to ask.
    """
    if session is None:
        return [], ()
    interfaces, seen = read.interfaces(session, vpc_id=vpc_id)
    logs, seen_logs = session.read("ec2", "describe_flow_logs", "FlowLogs")
    if any(row.state == "denied" for row in (*seen, seen_logs)):
        return [], (*seen, seen_logs)
    known = {name.interface_id for name in book.names()}
    vpcs = interfaces.loc[interfaces["interface_id"].isin(known), "vpc_id"].unique()
    active = pd.DataFrame(
        [(one["ResourceId"], one.get("FlowLogStatus", ""), one.get("DeliverLogsStatus", "")) for one in logs],
        columns=["resource_id", "status", "deliver_status"],
    )
    missing = read.unlogged(interfaces[interfaces["vpc_id"].isin(vpcs)], active)
    return list(missing["interface_id"]), (*seen, seen_logs)


def delivery_lag(session: Session | None, source: str, window: Window) -> pd.DataFrame:
    """Objects that flow logs delivered for a window to S3, with their lag in seconds (read.deliveries); empty elsewhere.

    source: "s3://bucket/prefix" or an Athena table, whose location it then is
    """
    if session is None or source.startswith("logs:"):
        return pd.DataFrame(columns=list(read.DELIVERY_COLUMNS))
    location = source if source.startswith("s3://") else read.table_shape(session, *source.split(".", 1)).location
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    return read.deliveries(session, bucket, prefix, window)


def provision_findings(
    session: Session,
    spec: FlowLogSpec,
    *,
    armed: bool,
    window: Window,
    database: str = "",
    table: str = "",
    workgroup: str = "",
) -> list[Finding]:
    """What became of a provisioning: FLOW-LOG-IN-FORCE with the records that arrived, or why there is nothing yet."""
    logs = read.flow_logs(session, resource_ids=spec.resource_ids)
    mine = logs[(logs["log_destination"] == spec.log_destination) & logs["status"].eq("ACTIVE")]
    described = Coverage(
        session.account_id, session.region, "flow logs (DescribeFlowLogs)", "ok" if len(logs) else "empty", len(logs)
    )
    subject = tuple(mine["flow_log_id"]) or spec.resource_ids
    if mine.empty:
        claim = f"No flow log writes {counted(len(spec.fields), 'field')} of {', '.join(spec.resource_ids)} to {spec.log_destination} yet"
        step = "look at the plan, then run this notebook with armed true" if not armed else "look at the ledger"
        return [Finding("FLOW-LOG-NOT-IN-FORCE", "inconclusive", "info", subject, claim, {}, (), (described,), step)]
    evidence: dict[str, Any] = {"flow_logs": list(subject), "log_format": mine.iloc[0]["log_format"]}
    failed = mine[mine["deliver_status"] == "FAILED"]
    if len(failed):
        claim = f"The flow log {failed.iloc[0]['flow_log_id']} does not deliver: {failed.iloc[0]['deliver_error']}"
        return [
            Finding(
                "FLOW-LOG-NOT-DELIVERED",
                "confirmed",
                "high",
                subject,
                claim,
                evidence,
                (),
                (described,),
                "aws ec2 describe-flow-logs --flow-log-ids " + " ".join(subject),
            )
        ]
    records, seen = _arrived(session, spec, database, table, workgroup, window)
    evidence["records"] = records
    claim = (
        f"Flow logs are in force on {', '.join(spec.resource_ids)}; {counted(records, 'record')} of {window} are there"
    )
    step = (
        run_command("21_flow_logs_analysis", source=f"{database}.{table}")
        if table
        else run_command("21_flow_logs_analysis")
    )
    status = "confirmed" if seen.state == "ok" else "inconclusive"
    limits = ("a new flow log takes some ten minutes to deliver, and nothing before its creation",)
    return [Finding("FLOW-LOG-IN-FORCE", status, "info", subject, claim, evidence, limits, (described, seen), step)]  # type: ignore[arg-type]


def _arrived(
    session: Session, spec: FlowLogSpec, database: str, table: str, workgroup: str, window: Window
) -> tuple[int, Coverage]:
    """How many records of a window can be read where a spec writes them, and the Coverage of that look."""
    sources = {"s3": f"s3://{spec.bucket}/{spec.prefix}", "cloud-watch-logs": f"logs:{spec.log_group}"}
    source = f"{database}.{table}" if table else sources.get(spec.destination, "")
    try:
        rows = open_logs(source, session, window, workgroup=workgroup or "netkit").coverage_rows()
    except NetkitError as problem:
        return 0, Coverage(session.account_id, session.region, source or "Firehose", "empty", note=problem.what)
    return sum(row.rows for row in rows), rows[0]


def coverage_frame(rows: Sequence[Coverage]) -> pd.DataFrame:
    """Coverage rows as a frame: account, region, table, state, rows, skipped, note."""
    return pd.DataFrame(
        [vars(row) for row in rows], columns=["account", "region", "table", "state", "rows", "skipped", "note"]
    )


def start_findings(calls: Sequence[Coverage], interfaces: pd.DataFrame, logs: pd.DataFrame) -> list[Finding]:
    """START-READY or START-ACCESS-DENIED, and FLOW-COVERAGE-GAP for interfaces that no flow log covers."""
    denied = [row for row in calls if row.state == "denied"]
    found = []
    if denied:
        claim = f"{counted(len(denied), 'read')} of {len(calls)} denied: {', '.join(row.table for row in denied)}"
        step = "ask for these actions; what rests on them stays inconclusive until then"
        found.append(
            Finding(
                "START-ACCESS-DENIED",
                "inconclusive",
                "medium",
                (),
                claim,
                {"denied": [row.note for row in denied]},
                (),
                tuple(denied),
                step,
            )
        )
    else:
        claim = f"All {len(calls)} reads that the notebooks need are allowed"
        done = Coverage(calls[0].account, calls[0].region, "reads tried", "ok", len(calls))
        found.append(
            Finding(
                "START-READY",
                "confirmed",
                "info",
                (),
                claim,
                {"calls": [row.table for row in calls]},
                (),
                (done,),
                run_command("21_flow_logs_analysis"),
            )
        )
    blind = read.unlogged(interfaces, logs)
    if len(blind) and not denied:
        claim = f"{counted(len(blind), 'interface')} of {len(interfaces)} without a flow log"
        seen = Coverage(calls[0].account, calls[0].region, "NetworkInterfaces and FlowLogs", "ok", len(interfaces))
        evidence = {"interfaces": list(blind["interface_id"][:100])}
        found.append(
            Finding(
                "FLOW-COVERAGE-GAP",
                "confirmed",
                "medium",
                tuple(blind["vpc_id"].unique()),
                claim,
                evidence,
                (),
                (seen,),
                run_command("20_flow_logs_provision"),
            )
        )
    return found
