"""Scans, sweeps, password guessing, new talkers and egress, from the answers of queries. Pure."""

from __future__ import annotations

from typing import Any

import pandas as pd

from netkit.core.model import Finding, Severity
from netkit.core.net import protocol_name
from netkit.flowlogs.findings.trust import Trust, counted_finding, span
from netkit.flowlogs.findings.words import clock, counted, size
from netkit.flowlogs.names import AddressBook, service_name


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
        # The internet scans everybody: what was refused did no harm.
        severity: Severity = "high" if inside else "medium" if row["reached"] else "info"
        step = trust.again(row["srcaddr"])
        evidence = {
            name: row[name] for name in ("srcaddr", "ports", "targets", "rejected", "accepted", "reached")
        } | span(row)
        seen = trust.rests_on((), row["first_seen"], row["last_seen"])
        found.append(counted_finding("FLOW-PORT-SCAN", severity, (row["srcaddr"],), claim, evidence, seen, step))
    for row in sweeps.to_dict("records"):
        inside = book.is_inside(row["srcaddr"])
        where = f"{protocol_name(int(row['protocol']))}/{row['dstport']}"
        claim = f"{book.label(row['srcaddr'])} tried {where} on {row['hosts']} hosts and was refused {row['rejected']} times since {clock(row['first_seen'])}"
        evidence = {name: row[name] for name in ("srcaddr", "dstport", "hosts", "rejected")} | span(row)
        seen = trust.rests_on((), row["first_seen"], row["last_seen"])
        step = trust.again(row["srcaddr"])  # a monitor, or a backup? else look at the host
        found.append(
            counted_finding(
                "FLOW-HOST-SWEEP", "medium" if inside else "info", (row["srcaddr"],), claim, evidence, seen, step
            )
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
        } | span(row)
        step = trust.again(row["srcaddr"], row["dstaddr"])
        limits = ("flow logs do not say whether a login succeeded: the host's own log does",)
        seen = trust.rests_on([row["interface_id"]], row["first_seen"], row["last_seen"])
        subject = (row["interface_id"], row["srcaddr"])
        found.append(counted_finding("FLOW-LOGIN-GUESSING", "medium", subject, claim, evidence, seen, step, limits))
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
        } | span(row)
        severity: Severity = "medium" if outside and row["bytes_sent"] >= 10_000_000 else "low"
        seen = trust.rests_on([row["interface_id"]], row["first_seen"], row["last_seen"])
        step = trust.again(row["client"], row["server"])
        limits: tuple[str, ...] = ("new means: not in the baseline window",)
        unsure = row.get("known_by", "") == "none"
        if unsure:
            limits = (*limits, "which end asked is not known")
        found.append(
            counted_finding(
                "FLOW-NEW-TALKER",
                severity,
                (row["interface_id"], row["client"]),
                claim,
                evidence,
                seen,
                step,
                limits,
                doubtful=unsure,
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
        } | span(row)
        seen = trust.rests_on([row["interface_id"]], row["first_seen"], row["last_seen"])
        step = trust.again(row["client"], row["server"])
        found.append(
            counted_finding(
                "FLOW-EGRESS-SPIKE", "high", (row["interface_id"], row["server"]), claim, evidence, seen, step
            )
        )
    return found
