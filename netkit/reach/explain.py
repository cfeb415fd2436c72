"""A verdict as frames and findings: what a person reads, and what a runbook publishes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from netkit.core.model import Coverage, Finding, Severity, Verdict
from netkit.core.net import TCP, UDP, protocol_number
from netkit.reach.network.snapshot import Snapshot

HOP_COLUMNS = ("leg", "step", "component", "type", "name", "rule", "before", "after", "blocked", "subnet", "vpc")
BLOCKER_COLUMNS = ("leg", "component", "direction", "code", "rule", "because", "where")
# The table that a component's record is in.
_TABLE = {
    "instance": "Reservations",
    "network-interface": "NetworkInterfaces",
    "security-group": "SecurityGroups",
    "network-acl": "NetworkAcls",
    "route-table": "RouteTables",
    "internet-gateway": "InternetGateways",
    "egress-only-internet-gateway": "EgressOnlyInternetGateways",
    "nat-gateway": "NatGateways",
    "vpc-peering-connection": "VpcPeeringConnections",
    "transit-gateway": "TransitGateways",
    "transit-gateway-attachment": "TransitGatewayAttachments",
    "transit-gateway-route-table": "TransitGatewayRouteTables",
    "vpc-endpoint": "VpcEndpoints",
    "network-firewall": "Firewalls",
    "vpn-gateway": "VpnGateways",
    "load-balancer": "LoadBalancers",
    "target-group": "TargetGroups",
    "vpc": "Vpcs",
}
LIMITS = (
    "Not looked at: processes that listen, host firewalls, DNS, health of targets, MTU, IAM and endpoint policies.",
    "It holds for the moment of the snapshot.",
)


def question(protocol: str, port: int = -1, source_port: int = -1) -> dict[str, Any]:
    """The service parameters of trace() from a notebook's: a port below 0 is none, and 0 too where the protocol has none."""
    asked: dict[str, Any] = {"protocol": protocol}
    ported = protocol.strip().lower() not in ("all", "-1", "") and protocol_number(protocol) in (TCP, UDP)
    for name, value in (("port", port), ("source_port", source_port)):
        if value > 0 or (value == 0 and ported):
            asked[name] = value
    return asked


def hops_frame(verdict: Verdict) -> pd.DataFrame:
    """The hops of both legs in order: leg, step, component, type, name, rule, the packets before and after, blocked, subnet, vpc."""
    rows = [
        (
            leg, step, hop.component, hop.type, hop.name, str(hop.rule or ""), str(hop.inbound or ""), str(hop.outbound or ""), hop.blocked, hop.subnet, hop.vpc,
        )
        for leg, hops in (("forward", verdict.forward), ("return", verdict.back))
        for step, hop in enumerate(hops, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(HOP_COLUMNS))


def blockers_frame(verdict: Verdict) -> pd.DataFrame:
    """Everything that stops the packets by itself: leg, component, direction, AWS's code, rule, the sentence, where."""
    rows = [
        (one.leg, one.component, one.direction, one.code, str(one.rule or ""), one.because, one.where)
        for one in verdict.blockers
    ]
    return pd.DataFrame(rows, columns=list(BLOCKER_COLUMNS))


def coverage_frame(snapshot: Snapshot) -> pd.DataFrame:
    """How much of each table was collected: account, region, table (or file passed over), state, rows, skipped, note."""
    rows = [
        (one.account, one.region, one.table, one.state, one.rows, one.skipped, one.note)
        for one in (*snapshot.coverage, *snapshot.passed)
    ]
    return pd.DataFrame(rows, columns=["account", "region", "table", "state", "rows", "skipped", "note"])


def rests_on(verdict: Verdict, snapshot: Snapshot) -> tuple[Coverage, ...]:
    """The coverage of the tables that the hops and blockers of a verdict are from, where they hold anything."""
    tables = {_TABLE[hop.type] for hop in (*verdict.forward, *verdict.back) if hop.type in _TABLE} | {
        "NetworkInterfaces",
        "Subnets",
    }
    return tuple(row for row in snapshot.coverage if row.table in tables and row.state != "empty")


def path_findings(
    verdict: Verdict, snapshot: Snapshot, *, next_step: str = "", severity: Severity = "high"
) -> list[Finding]:
    """REACH-BLOCKED: confirmed when nothing gets through, refuted when it does, inconclusive when something is missing.

    severity is that of a blocked path. A verdict that rests on a table only partly read is inconclusive.
    """
    seen = rests_on(verdict, snapshot)
    evidence: dict[str, object] = {
        "question": verdict.question,
        "verdict": verdict.status,
        "path": [hop.component for hop in verdict.forward],
        "return_path": [hop.component for hop in verdict.back],
        "blockers": [
            {
                "leg": one.leg,
                "component": one.component,
                "direction": one.direction,
                "code": one.code,
                "because": one.because,
                "where": one.where,
            }
            for one in verdict.blockers
        ],
        "unknowns": [str(one) for one in verdict.unknowns],
        "collected": snapshot.collected,
    }
    subject = tuple(dict.fromkeys((verdict.source, verdict.destination, *(one.component for one in verdict.blockers))))
    limits = (*verdict.notes, *LIMITS)
    if verdict.status == "UNKNOWN":
        missing = "; ".join(str(one) for one in verdict.unknowns[:3])
        return [
            Finding(
                "REACH-BLOCKED",
                "inconclusive",
                "medium",
                subject,
                f"Whether {verdict.question} gets through is not known: {missing}",
                evidence,
                limits,
                seen,
                next_step or "collect what is missing, or ask AWS's analyzer (analyzer: true)",
            )
        ]
    if verdict.reachable:
        return [
            Finding(
                "REACH-BLOCKED",
                "refuted",
                "info",
                subject,
                f"{verdict.question} gets through, and so do the replies, by {len(verdict.forward)} hops",
                evidence,
                limits,
                seen,
                next_step or "look at the hosts themselves: the process, its port, its firewall",
            )
        ]
    why = "; ".join(
        f"{number}. {one.because}" + (" (the replies)" if one.leg == "return" else "")
        for number, one in enumerate(verdict.blockers, 1)
    )
    weak = any(row.state != "ok" for row in seen)
    return [
        Finding(
            "REACH-BLOCKED",
            "inconclusive" if weak else "confirmed",
            severity,
            subject,
            f"{verdict.question} does not get through: {why}",
            evidence,
            limits,
            seen,
            next_step,
        )
    ]


def exposure_findings(frame: pd.DataFrame, snapshot: Snapshot, *, expected: Sequence[str] = ()) -> list[Finding]:
    """REACH-EXPOSED: interfaces that the whole internet reaches on the service asked for, but for those expected.

    frame: matrix.exposure
    """
    open_to_all = frame[
        (frame["from_internet"] == "REACHABLE") & ~frame["interface"].isin(expected) & ~frame["name"].isin(expected)
    ]
    seen = tuple(
        row
        for row in snapshot.coverage
        if row.table in ("NetworkInterfaces", "SecurityGroups", "RouteTables", "NetworkAcls") and row.state != "empty"
    )
    names = [
        f"{name} ({one})" if name else one
        for one, name in zip(open_to_all["interface"], open_to_all["name"], strict=True)
    ]
    weak = any(row.state != "ok" for row in seen)
    if not names:
        return [
            Finding(
                "REACH-EXPOSED",
                "inconclusive" if weak else "refuted",
                "info",
                (),
                "nothing unexpected is reached from the internet on the service asked for",
                {},
                LIMITS,
                seen,
            )
        ]
    evidence: Mapping[str, object] = {
        "interfaces": open_to_all["interface"].tolist(),
        "from": open_to_all["from_addresses"].tolist(),
    }
    return [
        Finding(
            "REACH-EXPOSED",
            "inconclusive" if weak else "confirmed",
            "medium",
            tuple(open_to_all["interface"]),
            f"the internet reaches {', '.join(names[:6])}" + (f" and {len(names) - 6} more" if len(names) > 6 else ""),
            dict(evidence),
            LIMITS,
            seen,
            "narrow the sources of their security groups, or name them as expected",
        )
    ]
