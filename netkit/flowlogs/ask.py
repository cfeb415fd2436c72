"""Questions that take several queries: who is who in a log, and how far it can be trusted."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd

from netkit.errors import SourceError
from netkit.flowlogs import read
from netkit.flowlogs.engines import FlowLogs
from netkit.flowlogs.investigate import Trust, find_gaps
from netkit.flowlogs.names import AddressBook, from_dns, from_inventory, from_log, from_services
from netkit.session import Session

_NO_REWRITES = ("interface_id", "own_address", "real_address", "side", "port", "flow_count", "packets", "bytes")


def address_book(logs: FlowLogs, session: Session | None = None, *, vpc_id: str = "", resolver_logs: str = "") -> AddressBook:
    """Names for the addresses of a log, best source first: the account's inventory, DNS answers, the log's own evidence.

    session        None for files of somebody else's account
    vpc_id         the VPC whose inventory names them; "" takes the one that the log's interfaces are in
    resolver_logs  a file of Route 53 Resolver query logs (JSON lines, gzip or plain)
    """
    own = logs.query("interface_addresses")
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
        for name in from_services(logs.query("aws_services")):
            book.add(name)
    for name in from_log(own, rewrites(logs, book)):
        book.add(name)
    return book


def rewrites(logs: FlowLogs, book: AddressBook | None = None) -> pd.DataFrame:
    """Where an interface shows its own address for another one (query address_rewrites).

    Without an inventory the log's own evidence is all there is; with one the search, which joins the log with itself, is
    not needed and an empty frame comes back.
    """
    if book is not None and any(name.known_from == "inventory" for name in book.names()):
        return pd.DataFrame(columns=list(_NO_REWRITES))
    return logs.query("address_rewrites")


def resolver_answers(path: Path) -> pd.DataFrame:
    """query_name and answers of Route 53 Resolver query logs. Raises SourceError for a file that is none.

    Source: Amazon Route 53 Developer Guide, "Values that appear in VPC Resolver query logs".
    """
    try:
        body = path.read_bytes()
        text = (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode("utf-8")
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        return pd.DataFrame([{"query_name": row["query_name"], "answers": row.get("answers", [])} for row in rows], columns=["query_name", "answers"])
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise SourceError(f"these are no Resolver query logs: {problem}", subject=str(path), hint="JSON lines with query_name and answers") from None


def trust(logs: FlowLogs, *, bucket_s: int = 600) -> tuple[Trust, pd.DataFrame]:
    """How far the log can be trusted, and the counts per interface and time bucket (query time_gaps) that say so.

    bucket_s: seconds a bucket, not below the aggregation interval
    """
    buckets = logs.query("time_gaps", bucket_s=bucket_s)
    return Trust(logs.window, logs.coverage_rows(), find_gaps(buckets, logs.window, bucket_s)), buckets


def scans(logs: FlowLogs, book: AddressBook, *, min_ports: int = 20, most: int = 20) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sources that try many ports (query port_scan, with `reached`), and what they tried (query scan_probes), the worst first.

    reached: accepted records that came to a host. The interface of a NAT gateway accepts what strangers send it, and the
    gateway drops it, so that is not reach.
    """
    found = logs.query("port_scan", min_ports=min_ports, limit=most)
    probes = [logs.query("scan_probes", source=source) for source in found["srcaddr"]]
    reached = [sum(action == "ACCEPT" and not book.stands_in(target) for action, target in zip(one["action"], one["dstaddr"], strict=True)) for one in probes]
    tried = pd.concat(probes, ignore_index=True) if probes else logs.query("scan_probes", source="0.0.0.0", limit=1).head(0)
    return found.assign(reached=pd.Series(reached, index=found.index, dtype="int64")), tried
