"""Rejected requests: clusters that a person can read, and the findings of those that are one missing rule. Pure.

How rejects are read follows the Amazon VPC User Guide, "Security group and network ACL rules" (flow-logs-records-examples): a lone inbound
REJECT is a security group or the inbound network ACL; no rule id is ever logged. A REJECT can also be a late packet of a connection that was
already closed. reject-reason (version 8) names VPC Block Public Access (BPA) and encryption controls (EC).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from netkit.core.model import Finding, Severity
from netkit.core.net import protocol_name
from netkit.flowlogs.findings.trust import Trust, counted_finding, span
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

CLUSTER_COLUMNS = (
    "sources", "target", "targets", "protocol", "leg", "port", "ports", "also", "kind", "rejected", "late", "packets", "accepted", "accepted_until",
    "first_seen", "last_seen", "interfaces", "reason", "inside", "known_by", "reading", "story", "command",
)  # fmt: skip
MIN_RECORDS = 10  # rejected records that make a finding; fewer are listed
_ADDED: dict[str, Any] = {
    "late": 0,
    "known_by": "tcp-flags",
    "reason": None,
    "meant": None,
    "direction": None,
}  # what a frame may lack
_REASONS = {
    "BPA": "VPC Block Public Access (reject-reason BPA), and no group or network ACL",
    "EC": "VPC encryption controls (reject-reason EC): the traffic is not encrypted",
}


def cluster_rejects(
    rejects: pd.DataFrame, book: AddressBook, rewrites: pd.DataFrame | None = None, *, min_records: int = MIN_RECORDS
) -> pd.DataFrame:
    """Rejected traffic as clusters that a person can read: who was refused at which target and port, since when.

    rejects      query reject_clusters
    rewrites     query address_rewrites, to say which second address of the target was meant where the log does not say so itself
    min_records  targets with fewer are put together by who asked, and on which port: many small refusals can be one missing rule

    Same sources, same target, several ports is one cluster: it is one missing rule. Returns one row a cluster, our own traffic first, then most
    often rejected: sources (list), target and targets (list), protocol, leg, port (most rejected) and ports (all that the same sources were refused on),
    also (ports on which only some of the sources were), kind (inside: both ends ours; outward: ours to the outside; inward; unknown: an IPv6 end of
    which nobody knows whose it is), rejected (records), late (those of them that look like packets after a close), packets, accepted (records),
    accepted_until, first_seen, last_seen (epoch s), interfaces (list), reason, inside (kind is not inward), known_by (how the direction is known), reading
    (what it can be), story (a sentence), command (opens the reachability notebook on it; "" for the internet's).
    """
    lacking = {name: value for name, value in _ADDED.items() if name not in rejects}
    keyed = rejects.assign(**lacking)
    rows = keyed.to_dict("records")
    keyed["kind"] = pd.Series([_kind(row, book) for row in rows], index=keyed.index, dtype="object")
    groups = [rows for rows in _apart(keyed) if len(rows)]
    found = [_cluster(group, book, rewrites) for group in _by_asker(_joined(groups), min_records)]
    frame = pd.DataFrame(found, columns=list(CLUSTER_COLUMNS)).astype({"inside": bool})
    order = ["inside", "rejected", "target", "port"]
    return frame.sort_values(order, ascending=[False, False, True, True], ignore_index=True)


def _kind(row: dict[Any, Any], book: AddressBook) -> str:
    source, target = book.sides(str(row["srcaddr"]), str(row["dstaddr"]))
    if "unknown" in (source, target):
        return "unknown"
    if source == target == "inside":
        return "inside"
    # A reply that leaves us was asked for by somebody outside: that is for return_path_findings.
    return "outward" if source == "inside" and row["leg"] != "reply" else "inward"


def _apart(keyed: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of one target and port; of the internet one group a target, since its sources say little one by one."""
    keyed = keyed.assign(shown_port=keyed["port"].where(keyed["kind"] != "inward", -1), why=keyed["reason"].fillna(""))
    return [rows for _, rows in keyed.groupby(["dstaddr", "protocol", "leg", "shown_port", "kind", "why"])]


def _joined(groups: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Groups of one target with the same sources put together, and those of fewer sources beside a larger one as its `also`."""
    parts: dict[tuple[Any, ...], list[pd.DataFrame]] = {}
    for group in sorted(groups, key=lambda one: str(one.iloc[0]["leg"])):  # reply, request, unknown
        first = group.iloc[0]
        place = (first["dstaddr"], first["protocol"], first["kind"], first["why"])
        # Where requests of the same to the same are refused, one more whose direction nothing tells is most likely one of them.
        leg = (
            "request"
            if first["leg"] == "unknown" and _within(group, parts.get((*place, "request"), ()))
            else first["leg"]
        )
        parts.setdefault((*place, leg), []).append(group)
    found: list[pd.DataFrame] = []
    for same in parts.values():
        if same[0].iloc[0]["kind"] == "inward":
            found += same
            continue
        by_sources: dict[frozenset[str], list[pd.DataFrame]] = {}
        for group in same:
            by_sources.setdefault(frozenset(group["srcaddr"]), []).append(group)
        merged = {who: pd.concat(ones).assign(extra=False) for who, ones in by_sources.items()}
        for who in sorted(merged, key=lambda one: (len(one), sorted(one))):
            larger = [one for one in merged if who < one]
            if larger:
                home = max(larger, key=lambda one: (int(merged[one]["rejected"].sum()), sorted(one)))
                merged[home] = pd.concat([merged[home], merged.pop(who).assign(extra=True)])
        found += list(merged.values())
    return found


def _within(group: pd.DataFrame, others: Sequence[pd.DataFrame]) -> bool:
    """Whether all sources of a group are among those of one of some others."""
    return any(set(group["srcaddr"]) <= set(one["srcaddr"]) for one in others)


def _by_asker(groups: Sequence[pd.DataFrame], min_records: int) -> list[pd.DataFrame]:
    """Groups too small to tell, put together by who asked on which port where that makes enough: a sum comes before its judgement."""
    small: dict[tuple[Any, ...], list[pd.DataFrame]] = {}
    found: list[pd.DataFrame] = []
    for group in groups:
        first = group.iloc[0]
        single = first["kind"] in ("inside", "outward") and first["leg"] != "reply"
        if not single or _counts(group) >= min_records:
            found.append(group)
            continue
        key = (tuple(sorted(set(group["srcaddr"]))), first["protocol"], first["leg"], first["kind"], first["why"])
        small.setdefault(key, []).append(group)
    for same in small.values():
        total = pd.concat(same)
        found += [total] if len(same) > 1 and _counts(total) >= min_records else same
    return found


def _counts(group: pd.DataFrame) -> int:
    """Rejected records that are not late packets of closed connections."""
    return int(group["rejected"].sum() - group["late"].sum())


def _cluster(group: pd.DataFrame, book: AddressBook, rewrites: pd.DataFrame | None) -> dict[str, Any]:
    extra = group["extra"] if "extra" in group else pd.Series(False, index=group.index)
    main, beside = group[~extra.astype(bool)], group[extra.astype(bool)]
    first = main.iloc[0]

    def most(frame: pd.DataFrame, column: str) -> list[Any]:
        sums = frame.groupby(column)["rejected"].sum().reset_index()
        return list(sums.sort_values(["rejected", column], ascending=[False, True])[column])

    ports = [int(one) for one in most(main, "shown_port")]
    until = main["accepted_until"].dropna()
    row: dict[str, Any] = {
        "sources": most(main, "srcaddr"),
        "targets": most(main, "dstaddr"),
        "protocol": int(first["protocol"]),
        "leg": str(first["leg"]),
        "port": ports[0],
        "ports": sorted(ports),
        "also": sorted({int(one) for one in beside["shown_port"]}),
        "kind": str(first["kind"]),
        "rejected": int(main["rejected"].sum()),
        "late": int(main["late"].sum()),
        "packets": int(main["rejected_packets"].sum()),
        "accepted": int(main["accepted"].sum()),
        "accepted_until": int(until.max()) if len(until) else 0,
        "first_seen": int(main["first_seen"].min()),
        "last_seen": int(main["last_seen"].max()),
        "interfaces": sorted(main["interface_id"].unique()),
        "reason": str(first["reason"] or ""),
        "known_by": "none" if (main["known_by"] == "none").all() else str(main["known_by"].max()),
        "inside": first["kind"] != "inward",
    }
    row["target"] = str(row["targets"][0])
    directions = set(main["direction"].dropna())
    row["reading"] = _reading(row, book, next(iter(directions)) if len(directions) == 1 else "")
    meant = sorted(main["meant"].dropna().unique())
    row["story"] = _story(row, book, group["port"].nunique(), meant, [] if meant else _second_addresses(row, rewrites))
    asked = (row["target"], row["sources"][0]) if row["leg"] == "reply" else (row["sources"][0], row["target"])
    where = row["interfaces"][0] if len(row["interfaces"]) else ""
    row["command"] = reachability_command(*asked, row["protocol"], row["port"], where) if row["inside"] else ""
    return row


def _reading(row: dict[str, Any], book: AddressBook, direction: str) -> str:
    """What can have rejected it, by where it was seen (User Guide, "Security group and network ACL rules")."""
    if row["reason"] in _REASONS:
        return _REASONS[row["reason"]]
    if row["leg"] == "reply":
        return "replies: groups are stateful, so a network ACL; or packets that came after their connection was closed"
    if row["late"] >= row["rejected"]:
        return "packets that came after their connection was closed"
    if row["accepted"] and row["accepted_until"] <= row["first_seen"] + 60:
        return f"accepted until {clock(row['accepted_until'])} and not since: a rule changed"
    if row["accepted"]:
        return "accepted at other times: a rule that came or went, or packets after their connection was closed"
    at_target = any(book.owns(one, target) for one in row["interfaces"] for target in row["targets"])
    at_sender = any(book.owns(one, source) for one in row["interfaces"] for source in row["sources"])
    if direction == "egress" or (not direction and at_sender and not at_target):
        return "nothing accepted, seen at the sender: its security group or its outbound network ACL"
    if direction == "ingress" or at_target:
        return "nothing accepted: a security group or the inbound network ACL"
    return "nothing accepted: a security group or a network ACL of the interface that logged it"


def _second_addresses(row: dict[str, Any], rewrites: pd.DataFrame | None) -> list[str]:
    if rewrites is None or rewrites.empty:
        return []
    own = (
        (rewrites["own_address"] == row["target"])
        & (rewrites["side"] == "destination")
        & (rewrites["port"].isin(row["ports"]))
    )
    return sorted(rewrites.loc[own & rewrites["interface_id"].isin(row["interfaces"]), "real_address"].unique())


def _where(row: Mapping[Any, Any], ports: int) -> str:
    name = protocol_name(row["protocol"])
    if row["port"] < 0 and name in ("tcp", "udp"):
        return f"{counted(ports, 'port')} ({name})"
    shown = [port for port in row["ports"] if port > 0]
    return f"{name}/{listed(shown, 8)}" if shown else name


def _story(row: dict[str, Any], book: AddressBook, ports: int, meant: Sequence[str], seconds: Sequence[str]) -> str:
    where = _where(row, ports)
    who = (
        listed(map(book.label, row["sources"]))
        if row["inside"]
        else f"{counted(len(row['sources']), 'outside address', 'outside addresses')}"
    )
    what = f"replies from {where}" if row["leg"] == "reply" else where
    story = (
        f"{who} to {listed(map(book.label, row['targets']))}, {what}, {counted(row['rejected'], 'time')} ({counted(row['packets'], 'packet')}) since "
        f"{clock(row['first_seen'])}, seen at {listed(row['interfaces'])}, {row['reading']}"
    )
    if meant:
        story += (
            f"; the packets were sent to {listed(meant)}, and {row['target']} is the interface that they came through"
        )
    if seconds:
        story += (
            f"; that is its primary address, and the packets were sent to {listed(seconds)}, which it carries as well"
        )
    if row["also"]:
        story += f"; some of these sources were refused on {listed(row['also'])} too"
    if row["leg"] == "unknown":
        story += "; who asked is not known: the log has no tcp-flags of it, and no end sees many ports of the other"
    return story


def reject_findings(clusters: pd.DataFrame, trust: Trust, *, min_records: int = MIN_RECORDS) -> list[Finding]:
    """FLOW-REJECT-CLUSTER for each cluster of our own requests rejected at least `min_records` times, late packets not counted.

    Confirmed where both ends are known to be ours, or our own host's way out is closed; inconclusive where nobody knows whose an IPv6 address is, or
    who asked. What VPC Block Public Access or encryption controls refuse of the outside's is said as info.
    """
    found = []
    for row in clusters.to_dict("records"):
        if row["leg"] == "reply" or row["rejected"] - row["late"] < min_records:
            continue
        if row["inside"] or row["reason"] in _REASONS:
            found.append(_reject_finding(row, trust))
    return found


def _reject_finding(row: dict[Any, Any], trust: Trust) -> Finding:
    names = (
        "sources",
        "target",
        "targets",
        "protocol",
        "port",
        "ports",
        "also",
        "kind",
        "rejected",
        "late",
        "packets",
        "accepted",
        "interfaces",
        "reason",
    )
    evidence = {name: row[name] for name in names} | span(row)
    severity: Severity = "info" if not row["inside"] else "high" if row["rejected"] - row["late"] >= 50 else "medium"
    seen = trust.rests_on(row["interfaces"], row["first_seen"], row["last_seen"])
    subject = (*row["interfaces"], *row["targets"][:20])
    limits = () if row["reason"] in _REASONS else (NO_RULE_ID,)
    doubtful = row["kind"] == "unknown" or row["leg"] == "unknown"
    if row["kind"] == "unknown":
        limits = (*limits, "whose these IPv6 addresses are is not known: with the account's inventory it would be")
    step = _reject_step(row, trust)
    return counted_finding(
        "FLOW-REJECT-CLUSTER", severity, subject, row["story"], evidence, seen, step, limits, doubtful=doubtful
    )


def _reject_step(row: Mapping[Any, Any], trust: Trust) -> str:
    """Why it is refused, and since when; of files the flow itself."""
    if not row["command"]:
        return "aws ec2 describe-vpc-block-public-access-options"
    asked = (row["sources"][0], row["target"], row["protocol"], row["port"])
    if trust.files:
        return with_files(trust.again(*asked[:2]), *asked)
    place = row["interfaces"][0] if row["interfaces"] else ""
    return "\n".join([row["command"], since_when_command(*asked, place, row["first_seen"], row["last_seen"])])


def few_rejects(clusters: pd.DataFrame, *, min_records: int = MIN_RECORDS) -> str:
    """What was rejected of our own traffic and is under the threshold, in words; "" where there was none."""
    if clusters.empty:
        return ""
    counts = clusters["rejected"] - clusters["late"]
    small = clusters[clusters["inside"] & (counts < min_records) & ((clusters["leg"] != "reply") | (counts > 0))]
    if small.empty:
        return ""
    late = int(small["late"].sum())
    after = f", {late} of them after a close" if late else ""
    shown = [
        f"{listed(row['sources'], 2)} to {listed(row['targets'], 2)} {_where(row, 1)} ({counted(row['rejected'], 'time')})"
        for row in small.to_dict("records")
    ]
    return f"{counted(int(small['rejected'].sum()), 'rejected record')} of our own traffic{after}, fewer than {min_records} in each case: {listed(shown, 5)}"
