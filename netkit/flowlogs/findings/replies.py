"""Replies that are refused: a network ACL, and on which side. Pure.

Amazon VPC User Guide, "Security group and network ACL rules" (flow-logs-records-examples): an accepted request whose reply is rejected is a network
ACL, since security groups are stateful. The record is that of the interface that refuses: at the server's it is the outbound ACL of the server's
subnet, at the client's the inbound ACL of the client's. A REJECT can also be a packet that came after a close; only a connection without any
accepted reply counts here.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from netkit.core.model import Finding, Severity
from netkit.core.net import protocol_name
from netkit.flowlogs.findings.trust import Trust, counted_finding
from netkit.flowlogs.findings.words import (
    NO_RULE_ID,
    clock,
    counted,
    listed,
    reachability_command,
    since_when_command,
    with_files,
)
from netkit.flowlogs.names import AddressBook

MIN_PROVEN = 3  # connections whose whole opening is in the log; of protocols that are never closed one is enough
MIN_DEAD = 5  # connections without an accepted reply of which the opening was not seen, or has no flags
_SIDES = {
    "client": "inbound network ACL of the client's subnet",
    "server": "outbound network ACL of the server's subnet",
}


def return_path_findings(
    paths: pd.DataFrame, book: AddressBook, trust: Trust, *, min_connections: int = MIN_PROVEN
) -> list[Finding]:
    """FLOW-RETURN-PATH-DEAD for each interface that accepts requests and rejects replies, all of them or a share.

    paths: query dead_return_paths. At the client's side all servers are summed before anything is judged, at the server's side all clients: a network
    ACL that lets part of the ports through refuses a share of all.
    """
    return [_finding(rows, side, book, trust) for side, rows in _sided(paths, book) if _enough(rows, min_connections)]


def few_replies(paths: pd.DataFrame, book: AddressBook, *, min_connections: int = MIN_PROVEN) -> str:
    """Rejected replies that are no finding, in words; "" where there were none."""
    small = [rows for _, rows in _sided(paths, book) if not _enough(rows, min_connections)]
    if not small:
        return ""
    rows = pd.concat(small)
    dead, all_of_them = int(rows["dead"].sum()), int(rows["connections"].sum())
    return (
        f"replies of {counted(all_of_them, 'connection')} rejected at {listed(sorted(rows['interface_id'].unique()))}, {dead} of them without an accepted reply: "
        "too few to tell from packets that came after a close"
    )


def _sided(paths: pd.DataFrame, book: AddressBook) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each refusing side: ("client" or "server" or "", rows)."""
    if paths.empty:
        return []
    sides = [_side(row, book) for row in paths.to_dict("records")]
    keyed = paths.assign(side=sides, asked=paths["server_port"])
    client = keyed["side"] == "client"
    keyed["who"] = keyed["client"].where(client, keyed["server"])
    keyed["asked"] = keyed["server_port"].where(~client, -1)
    groups = keyed.groupby(["interface_id", "side", "who", "protocol", "asked"])
    return [(str(key[1]), rows) for key, rows in groups]


def _side(row: dict[Any, Any], book: AddressBook) -> str:
    direction = row.get("reply_direction")
    if direction in ("ingress", "egress"):
        return "client" if direction == "ingress" else "server"
    client, server = (book.owns(row["interface_id"], row[end]) for end in ("client", "server"))
    return "" if client == server else "client" if client else "server"


def _enough(rows: pd.DataFrame, min_connections: int) -> bool:
    endless = rows[~rows["protocol"].isin((6, 17, 132))]
    return bool(
        rows["proven"].sum() >= min_connections
        or rows["dead"].sum() >= max(MIN_DEAD, min_connections)
        or endless["dead"].sum() >= 1
    )


def _finding(rows: pd.DataFrame, side: str, book: AddressBook, trust: Trust) -> Finding:
    rows = rows[rows["dead"] > 0].sort_values(
        ["dead", "client", "server", "server_port"], ascending=[False, True, True, True]
    )
    top = rows.iloc[0]
    interface, protocol, port = str(top["interface_id"]), int(top["protocol"]), int(top["server_port"])
    clients, servers = sorted(rows["client"].unique()), sorted(rows["server"].unique())
    ports = sorted(int(one) for one in rows["server_port"].unique())
    first, last = int(rows["first_seen"].min()), int(rows["last_seen"].max())
    dead, lost = int(rows["dead"].sum()), int(rows["replies_rejected"].sum())
    answered = int(top[f"{side or 'server'}_answered"])
    name = protocol_name(protocol)
    where = f"{name}/{listed(ports)}" if ports != [0] else name
    of = (
        f"{dead} of {dead + answered} connections ({100 * dead // (dead + answered)} %)"
        if answered
        else counted(dead, "connection")
    )
    acl = _SIDES.get(side, "network ACL of its subnet")
    claim = (
        f"{listed(map(book.label, clients))} {'asks' if len(clients) == 1 else 'ask'} {listed(map(book.label, servers))} on {where}, and the replies of {of} are rejected at "
        f"{'the ' + side + chr(39) + 's own interface' if side else 'the interface'} {interface}: {counted(lost, 'packet')}, {clock(first)} to {clock(last)}: the {acl}, "
        "since security groups are stateful"
    )
    if answered:
        claim += "; a share of them gets through, so it lets part of the client ports through (clients use ports from 1024 to 65535)"
    evidence: dict[str, Any] = {
        "server": str(top["server"]), "servers": servers, "port": port, "ports": ports, "client": str(top["client"]), "clients": clients, "side": side,
        "network_acl": acl, "connections": dead, "answered": answered, "replies_rejected": lost, "interface": interface,
        "first_seen": clock(first), "last_seen": clock(last),
    }  # fmt: skip
    asked = (str(top["client"]), str(top["server"]), protocol, port)
    if trust.files:
        step = with_files(trust.again(*asked[:2]), *asked)
    else:
        step = "\n".join([reachability_command(*asked, interface), since_when_command(*asked, interface, first, last)])
    seen = trust.rests_on([interface], first, last)
    severity: Severity = "high" if dead >= 0.25 * (dead + answered) else "medium"
    subject = (interface, *(clients if side == "client" else servers)[:20])
    return counted_finding("FLOW-RETURN-PATH-DEAD", severity, subject, claim, evidence, seen, step, (NO_RULE_ID,))
