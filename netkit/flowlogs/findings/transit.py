"""What a transit gateway lost, from Transit Gateway flow logs. Pure.

Amazon VPC Transit Gateways guide, "Transit Gateway Flow Log records": packets-lost-no-route, -blackhole, -mtu-exceeded and -ttl-expired.
"""

from __future__ import annotations

import pandas as pd

from netkit.core.model import Finding, Severity
from netkit.flowlogs.findings.trust import Trust, counted_finding, span
from netkit.flowlogs.findings.words import clock, counted

_CAUSES: dict[str, tuple[Severity, str]] = {
    "no-route": ("high", "its route table has no route to where they went"),
    "blackhole": ("high", "the route they matched is a blackhole"),
    "mtu-exceeded": (
        "medium",
        "they are larger than the gateway takes (8,500 bytes; 1,500 over VPN), and may not be fragmented",
    ),
    "ttl-expired": ("medium", "their time to live ran out: a loop of routes"),
}


def lost_findings(lost: pd.DataFrame, trust: Trust) -> list[Finding]:
    """FLOW-TGW-LOST for each attachment and cause with lost packets. lost: query tgw_lost_packets."""
    found = []
    for row in lost.to_dict("records"):
        severity, why = _CAUSES[row["cause"]]
        attachment = str(row["tgw_attachment_id"])
        claim = (
            f"The transit gateway lost {counted(row['packets_lost'], 'packet')} of {counted(row['packets'], 'packet')} that came by {attachment}, "
            f"{clock(row['first_seen'])} to {clock(row['last_seen'])}: {why} ({counted(row['pairs'], 'pair')} of addresses, as {row['srcaddr']} to {row['dstaddr']})"
        )
        names = ("tgw_attachment_id", "cause", "packets_lost", "packets", "flows", "pairs", "srcaddr", "dstaddr")
        evidence = {name: row[name] for name in names} | span(row)
        step = f"aws ec2 describe-transit-gateway-attachments --transit-gateway-attachment-ids {attachment}"
        seen = trust.rests_on([attachment], row["first_seen"], row["last_seen"])
        found.append(counted_finding("FLOW-TGW-LOST", severity, (attachment,), claim, evidence, seen, step))
    return found
