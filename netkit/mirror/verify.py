"""Does the mirror show what it should? A session, its filter and a capture, as findings. Pure.

What is right follows from the configuration: the VNI and the outer source are the session's, every packet is one that the
filter takes and no session with a lower number takes first, both directions of a conversation are there where rules
take both, nothing is cut, and the byte streams have no holes. Flow logs and CloudWatch say it independently.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from netkit.core.model import Finding, Status, Window
from netkit.core.net import TCP, protocol_name
from netkit.mirror.capture import Capture
from netkit.mirror.empty import empty, unread
from netkit.mirror.expected import (
    addresses_of,
    as_filter,
    as_session,
    decided,
    direction_of,
    without_ports,
    without_reply,
)
from netkit.mirror.filters import ANYWHERE, MirrorFilter, MirrorSession, Rule, any_packet
from netkit.mirror.look import EXAMPLES, LIMITS, NEVER_MIRRORED, Look, examples
from netkit.mirror.pcap import Array

# Delivery of flow logs and clocks apart: records of conversations that go on at the capture's ends are not compared.
_QUIET = timedelta(minutes=10)
_SKIPPED = ("NetworkSkipMirrorIn", "NetworkSkipMirrorOut")
_MIRRORED = ("NetworkMirrorIn", "NetworkMirrorOut")
_SKIPPED_PACKETS = ("NetworkPacketsSkipMirrorIn", "NetworkPacketsSkipMirrorOut")
# Codes that leave open whether a mirror shows what it should, when they are inconclusive.
_DOUBTS = ("MIRROR-ONE-WAY", "MIRROR-FLOW-LOG", "MIRROR-STOLEN", "MIRROR-FRAGMENTED", "MIRROR-SKIPPED")
# AWS's packet length and what was cut by it differ by no more than an Ethernet header with its tag.
_LENGTH_SLACK = 18


def verify(
    capture: Capture,
    session: Mapping[str, Any] | MirrorSession,
    filter: Mapping[str, Any] | MirrorFilter | None = None,
    flow_logs: Any = None,
    *,
    interface: Mapping[str, Any] | Iterable[str] | None = None,
    others: Iterable[tuple[Mapping[str, Any] | MirrorSession, Mapping[str, Any] | MirrorFilter]] = (),
    metrics: pd.DataFrame | None = None,
    causes: Iterable[str] = (),
    window: Window | None = None,
    now: datetime | None = None,
) -> list[Finding]:
    """Whether a capture shows what a session and its filter should mirror, as findings, the gravest first.

    session, filter   AWS's records (DescribeTrafficMirrorSessions, DescribeTrafficMirrorFilters) or netkit's values; without a
                      filter every packet is expected, and nothing is said of rules
    flow_logs         the source interface's flow log: a frame of records or an open log; packets and bytes of each conversation
                      are compared, by the interface's addresses where the session names no interface
    interface         the source interface: its describe record, or its private addresses, primary first
    others            the other sessions of the interface, each with its filter
    metrics           time, metric, value of NetworkMirror* and NetworkSkipMirror* of the source instance (CloudWatch)
    causes            what may make an empty capture, likeliest first: from preflight
    window            when the capture ran; without it from its first frame to its last
    now               until when packets of the session could have come: says how long it has been silent

    Of a capture with several VNIs only the session's is judged. Codes: MIRROR-EMPTY, -WRONG-VNI, -OUTER-SOURCE, -STOLEN, -ONE-WAY,
    -UNEXPECTED, -RULE-UNSEEN, -TRUNCATED, -FRAGMENTED, -LOSS, -DUPLICATES, -SKIPPED, -FLOW-LOG, -SILENT, -DAMAGED, and
    MIRROR-AS-CONFIGURED when none of them is confirmed above info.
    """
    pairs = [(as_session(one), as_filter(theirs)) for one, theirs in others]
    mirror = any_packet() if filter is None else as_filter(filter)
    look = Look(
        capture, as_session(session), mirror, addresses_of(interface), pairs, flow_logs, metrics, tuple(causes), window, now
    )  # fmt: skip
    checks = CHECKS if look.seen else (_wrong_vni,) if len(capture.conversations) and not unread(look) else (empty,)
    found = [one for check in (*checks, _skipped, _damaged) for one in check(look)]
    if look.seen and not any(one.status == "confirmed" and one.at_least("low") for one in found):
        found.append(_as_configured(look, found))
    found = _told_by_skipped(found)
    weight = {"confirmed": 0, "inconclusive": 1, "refuted": 2}
    ranks = ("critical", "high", "medium", "low", "info")
    return sorted(found, key=lambda one: (weight[one.status], ranks.index(one.severity)))


# ----------------------------------------------------------------------------------------------------------- checks


def _wrong_vni(look: Look) -> Iterator[Finding]:
    wanted = look.session.vni
    seen = look.capture.conversations.groupby("vni")[["packets", "packets_back"]].sum().sum(axis=1)
    if wanted is None or wanted in seen.index:
        return
    known = {one.vni: one.id or str(one.number) for one, _ in look.others if one.vni}
    explained = [f"{vni} is session {known[vni]}" for vni in seen.index if vni in known]
    shown = ", ".join(f"{vni} ({packets:,} packets)" for vni, packets in seen.items())
    yield look.found(
        "MIRROR-WRONG-VNI", "high",
        f"No packet has the session's VNI {wanted}; the capture holds {shown}"
        + (f": {'; '.join(explained)}" if explained else ""),
        {"expected_vni": wanted, "packets_by_vni": {str(vni): int(packets) for vni, packets in seen.items()}},
        "the capture is older than the session's VNI, or of another session: compare VirtualNetworkId in describe-traffic-mirror-sessions",
    )  # fmt: skip


def _outer_source(look: Look) -> Iterator[Finding]:
    """Copies come from the interface's primary address; another of its own is no other interface's."""
    if not look.addresses:
        return
    families = {":" in one for one in look.addresses}
    sender = look.conversations["outer_source"]
    strange = look.conversations[~sender.isin(look.addresses) & sender.str.contains(":", regex=False).isin(families)]
    if strange.empty:
        return
    by = strange.groupby("outer_source")[["packets", "packets_back"]].sum().sum(axis=1)
    yield look.found(
        "MIRROR-OUTER-SOURCE", "medium",
        f"{int(by.sum()):,} packets come from {', '.join(map(str, by.index[:3]))} and not from the source interface's address {look.addresses[0]}",
        {"expected": look.addresses[0], "packets_by_outer_source": {str(one): int(count) for one, count in by.items()}},
        "another interface uses the same VNI, or the capture is of another session",
    )  # fmt: skip


def _stolen(look: Look) -> Iterator[Finding]:
    if not look.stolen:
        return
    taken = look.flows[_taken_first(look, look.flows)]
    came = int(taken["packets"].sum())
    by = {one.by.id or str(one.by.number): one.by.number for one in look.stolen}
    names = ", ".join(f"session {number} ({name})" if name != str(number) else f"session {number}" for name, number in by.items())  # fmt: skip
    what = "; ".join(dict.fromkeys(f"{one.direction} {one.packets.header()}" for one in look.stolen))
    yield look.found(
        "MIRROR-STOLEN", "high",
        f"{names} of the same interface has a lower number and takes packets first: {what}",
        {"sessions": by, "packets_that_came_all_the_same": came, "taken": [str(one) for one in look.stolen]},
        "give this session the lower number, or narrow the other's filter: each packet is mirrored once",
        status="inconclusive" if came else "confirmed",
        limits=(*LIMITS, "By the rules in force now; the capture may be older.") if came else LIMITS,
    )  # fmt: skip


def _one_way(look: Look) -> Iterator[Finding]:
    alone = without_reply(look.conversations)
    if alone.empty:
        return
    alone = alone.assign(direction=direction_of(alone["source"], alone["destination"], look.own))
    reply = alone.rename(columns={"source": "destination", "source_port": "destination_port", "destination": "source", "destination_port": "source_port"})  # fmt: skip
    reply["direction"] = direction_of(reply["source"], reply["destination"], look.own)
    answer = decided(reply, look.filter)
    unruled = (answer["action"] != "accept").to_numpy()
    yield from _replies_not_taken(look, decided(alone, look.filter)[unruled], answer[unruled])
    rest = alone[~unruled & ~_taken_first(look, reply)]
    proven = rest[rest["proven"]]
    if len(proven):
        yield look.found(
            "MIRROR-ONE-WAY", "medium",
            f"{len(proven):,} TCP conversations show one direction only, although their packets acknowledge the other and the filter takes it",
            {"conversations": len(proven), "examples": examples(proven)},
            "look for loss on the way, and whether the replies leave by another interface",
        )  # fmt: skip
    elif len(rest):
        yield look.found(
            "MIRROR-ONE-WAY", "low",
            f"{len(rest):,} conversations show one direction only; whether anything answered cannot be seen",
            {"conversations": len(rest), "examples": examples(rest)},
            "compare with the flow log of the source interface",
            status="inconclusive",
        )  # fmt: skip


def _taken_first(look: Look, rows: pd.DataFrame) -> Array:
    """Which rows a session with a lower number takes."""
    taken = np.zeros(len(rows), bool)
    for _, mirror in look.before:
        taken |= (decided(rows, mirror)["action"] == "accept").to_numpy()
    return taken


def _replies_not_taken(look: Look, alone: pd.DataFrame, answer: pd.DataFrame) -> Iterator[Finding]:
    """Conversations whose other direction no rule takes: proved where an acknowledgement shows that the other was there."""
    if alone.empty:
        return
    why = pd.Series(_reasons(look.filter, alone, answer), index=alone.index, dtype=object)
    sure = why.isin(set(why[alone["proven"]]))
    for some, proven in ((alone[sure], int(alone["proven"].sum())), (alone[~sure], 0)):
        if some.empty:
            continue
        reasons = why[some.index].value_counts().index.tolist()
        rules = [words for words, _ in reasons[:EXAMPLES]]
        more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        claim = f"{len(some):,} conversations show one direction only"
        yield look.found(
            "MIRROR-ONE-WAY", "high" if proven else "low",
            f"{claim}, because no rule takes the other: {rules[0]}{more}" if proven
            else f"{claim}; whether anything answered cannot be seen, and no rule takes it: {rules[0]}{more}",
            {"conversations": len(some), "acknowledge_the_other_direction": proven,
             "missing_rules": [words.removesuffix(" is missing") for words in rules], "examples": examples(some)},
            reasons[0][1],
            status="confirmed" if proven else "inconclusive",
        )  # fmt: skip


def _reasons(mirror: MirrorFilter, alone: pd.DataFrame, answer: pd.DataFrame) -> list[tuple[str, str]]:
    rules = {(str(rule.direction), rule.number): rule for rule in mirror.rules}
    held = [
        [rules.get((str(direction), int(number))) for direction, number in zip(rows["direction"], rows["rule"].fillna(-1), strict=True)]
        for rows in (alone, answer)
    ]  # fmt: skip
    return [_why_not(taker, refuser, back) for taker, refuser, back in zip(*held, answer.itertuples(), strict=True)]


def _why_not(taker: Rule | None, refuser: Rule | None, back: Any) -> tuple[str, str]:
    """What keeps the other direction out, and what to do: a rule that rejects it, or the one that is missing beside `taker`."""
    if refuser is not None and back.action == "reject":
        return (
            f"{refuser} rejects it",
            f"remove the rule, or accept the packets under a lower number than {refuser.number}",
        )
    missing = _missing_rule(taker, back)
    return f"{missing} is missing", f"add a rule for the other direction: {missing}"


def _missing_rule(taker: Rule | None, back: Any) -> str:
    """The rule that the one that took the seen direction has for its other half: with its port, or with the service's where it names
    none or a range, in which clients' own ports may be."""
    ports, ends = {}, {}
    if taker is not None:
        ports = {"source": taker.destination_ports, "destination": taker.source_ports}
        ends = {"source": taker.destination, "destination": taker.source}
    if back.service and not any(span and span[0] == span[1] for span in ports.values()):
        # The service of the seen direction stands at the other end of this one.
        end = "destination" if back.service == "source" else "source"
        port = getattr(back, f"{end}_port")
        ports = {end: None if pd.isna(port) or not port else (int(port), int(port))}
    words = [f"{back.direction} accept" if back.direction else "accept", protocol_name(back.protocol)]
    for end, preposition in (("source", "from"), ("destination", "to")):
        if ends.get(end, ANYWHERE[4]) not in ANYWHERE.values():
            words += [preposition, ends[end]]
        if span := ports.get(end):
            words += [f"{end} port", str(span[0]) if span[0] == span[1] else f"{span[0]}-{span[1]}"]
    return " ".join(words)


def _unexpected(look: Look) -> Iterator[Finding]:
    if not look.filter.written:
        return
    strange = look.flows[(look.flows["action"] != "accept") & ~without_ports(look.flows)]
    if strange.empty:
        return
    explained = {
        other.id or str(other.number): int((decided(strange, mirror)["action"] == "accept").sum())
        for other, mirror in look.others
    }
    by = ", ".join(f"session {name} takes {count:,} of them" for name, count in explained.items() if count)
    yield look.found(
        "MIRROR-UNEXPECTED", "medium",
        f"{int(strange['packets'].sum()):,} packets of {strange['conversation'].nunique():,} conversations are none that the filter takes"
        + (f"; {by}" if by else ", and no other session given explains them"),
        {"packets": int(strange["packets"].sum()), "explained_by_session": explained, "examples": examples(strange)},
        "the filter was changed since the capture, or the capture is of another session",
    )  # fmt: skip


def _rule_unseen(look: Look) -> Iterator[Finding]:
    if not look.filter.written:
        return
    never = look.rules[look.rules["state"] == "never asked"]
    if len(never):
        yield look.found(
            "MIRROR-RULE-UNSEEN", "low",
            f"{len(never)} rules never decide anything, because lower numbers name all their packets: {never['rule'].iloc[0]}",
            {"rules": never["rule"].tolist()},
            "remove them, or give them a lower number",
        )  # fmt: skip
    unseen = look.rules[look.rules["state"] == "not seen"]
    if unseen.empty:
        return
    beside = look.beside
    # What was logged before or after the capture says nothing of it.
    logged = None if beside is None else beside[(beside["seen_by"] == "flow log") & beside["whole"]]
    missed = decided(logged, look.filter) if logged is not None and len(logged) else None
    sure = [] if missed is None else [rule for rule, direction, number in zip(unseen["rule"], unseen["direction"], unseen["number"], strict=True) if ((missed["direction"] == direction) & (missed["rule"] == number)).any()]  # fmt: skip
    total = int((look.rules["action"] == "accept").sum())
    yield look.found(
        "MIRROR-RULE-UNSEEN", "medium" if sure else "low",
        f"{len(unseen)} of {total} accepting rules show nothing in the capture: {'; '.join(unseen['rule'].head(3))}"
        + (f". The flow log has packets for {len(sure)} of them" if sure else ""),
        {"rules": unseen["rule"].tolist(), "with_packets_in_the_flow_log": sure},
        "see whether there was such traffic at all: its flow log, or make some",
        status="confirmed" if sure else "inconclusive",
    )  # fmt: skip


def _truncated(look: Look) -> Iterator[Finding]:
    cut = look.conversations[look.conversations["truncated"] > 0]
    if len(cut):
        count, to = int(cut["truncated"].sum()), int(cut["truncated_to"].max())
        length = look.session.packet_length
        by_length = length is not None and abs(to - length) <= _LENGTH_SLACK
        why = f"the session's packet length {length}" if by_length else "an MTU on the way or of the target"
        why += "" if look.session.id or by_length else ", or by the packet length of a session that is not known"
        yield look.found(
            "MIRROR-TRUNCATED", "low" if by_length else "medium",
            f"{count:,} packets of {len(cut):,} conversations are cut at {to:,} bytes by {why}",
            {"packets": count, "conversations": len(cut), "longest_bytes": to, "packet_length": look.session.packet_length, "examples": examples(cut)},
            "leave the packet length out for whole packets" if by_length else "set the source's MTU to the target's less 54 bytes (IPv4) or 74 (IPv6)",
        )  # fmt: skip
    short = look.conversations[look.conversations["truncated_by_capture"] > 0]
    if len(short):
        yield look.found(
            "MIRROR-TRUNCATED", "low",
            f"{int(short['truncated_by_capture'].sum()):,} packets were cut by the capture itself (snap length), not by the mirror",
            {"packets": int(short["truncated_by_capture"].sum()), "conversations": len(short), "examples": examples(short)},
            "capture with -s 0 where whole packets are wanted",
        )  # fmt: skip


def _fragmented(look: Look) -> Iterator[Finding]:
    first, later = look.count("outer_fragments"), look.count("outer_later_of_mirrored")
    unknown = look.capture.count("outer_later_fragments") - look.capture.count("outer_later_of_mirrored")
    evidence = {"first_fragments": first, "later_fragments": later, "later_fragments_of_unknown": unknown}
    step = "raise the MTU between source and target by 50 bytes (IPv4) or 70 (IPv6), or set a packet length"
    limits = (*LIMITS, "Later fragments are not put together: what they carry is counted, not read.")
    if first or later:
        yield look.found(
            "MIRROR-FRAGMENTED", "medium",
            f"{max(first, later):,} mirrored packets came in fragments: with the VXLAN headers they are larger than a link's MTU",
            evidence, step, limits=limits,
        )  # fmt: skip
    elif unknown:
        yield look.found(
            "MIRROR-FRAGMENTED", "low",
            f"{unknown:,} later fragments came without their first: whether they are mirrored packets cannot be seen",
            evidence, step, status="inconclusive", limits=limits,
        )  # fmt: skip


def _loss(look: Look) -> Iterator[Finding]:
    table = look.conversations
    lost = int(table["lost_bytes"].sum() + table["lost_bytes_back"].sum())
    if not lost:
        return
    holed = table[(table["lost_bytes"] > 0) | (table["lost_bytes_back"] > 0)]
    carried = int(holed["bytes"].sum() + holed["bytes_back"].sum())
    yield look.found(
        "MIRROR-LOSS", "medium",
        f"{lost:,} bytes of {len(holed):,} TCP conversations were never seen: sequence numbers have {len(look.mine.gaps):,} gaps",
        {
            "bytes": lost, "conversations": len(holed), "of_conversations": len(table), "gaps": len(look.mine.gaps),
            "bytes_seen_in_them": carried, "capture_dropped_packets": look.capture.count("capture_dropped"), "examples": examples(holed),
        },
        "look at NetworkSkipMirrorIn/Out of the source, the drop counters of the capturing host, and the target's bandwidth",
        limits=(*LIMITS, "Loss of UDP and ICMP does not show; packets that the sender itself lost on the way look the same until repeated."),
    )  # fmt: skip


def _duplicates(look: Look) -> Iterator[Finding]:
    table = look.conversations
    twice = int(table[["duplicates", "duplicates_back"]].to_numpy().sum())
    if not twice:
        return
    mine = table[(table["duplicates"] > 0) | (table["duplicates_back"] > 0)]
    yield look.found(
        "MIRROR-DUPLICATES", "low",
        f"{twice:,} of {look.seen:,} packets are in the capture a second time, byte for byte: duplicates, no retransmissions",
        {"duplicates": twice, "packets": look.seen, "packets_once": look.seen - twice, "conversations": len(mine), "examples": examples(mine)},
        "capture on one interface (a bond or its members, not both), and let each packet go to one target",
    )  # fmt: skip


def _flow_log(look: Look) -> Iterator[Finding]:
    """Conversation by conversation: what one lacks is not made good by what another has too many."""
    if look.flow_logs is None:
        return
    beside = look.beside
    limits = (*LIMITS, "Flows that go on before or after the capture are left out.", NEVER_MIRRORED)
    if beside is None:
        yield look.found(
            "MIRROR-FLOW-LOG", "low", "The flow log is not compared: which addresses are the mirrored interface's is not known",
            {}, "name the interface, or its addresses", status="inconclusive", limits=limits,
        )  # fmt: skip
        return
    whole = beside[beside["whole"]]
    missing, both = whole[whole["seen_by"] == "flow log"], whole[whole["seen_by"] == "both"]
    more = both["packets_mirrored"] - both["packets_logged"]
    short, over = both[more < 0], both[more > 0]
    other_bytes = both[(more == 0) & (both["bytes_mirrored"] != both["bytes_logged"])]
    lacking, surplus = int(missing["packets_logged"].sum() - more[more < 0].sum()), int(more[more > 0].sum())
    packets, logged = int(both["packets_mirrored"].sum()), int(both["packets_logged"].sum())
    evidence = {
        "flows_in_both": len(both), "flows_in_the_flow_log_only": len(missing), "flows_in_the_capture_only": int((beside["seen_by"] == "capture").sum()),
        "packets_mirrored": packets, "packets_logged": logged, "bytes_mirrored": int(both["bytes_mirrored"].sum()),
        "bytes_logged": int(both["bytes_logged"].sum()), "flows_that_differ": len(short) + len(over) + len(other_bytes),
        "packets_lacking": lacking, "packets_too_many": surplus, "flows_with_other_bytes": len(other_bytes),
        "missing": examples(missing), "short": examples(short), "too_many": examples(over),
    }  # fmt: skip
    too_many = (
        f"{len(over):,} flows have {surplus:,} packets more in the mirror than in the flow log" if len(over) else ""
    )
    if len(missing) or len(short):
        yield look.found(
            "MIRROR-FLOW-LOG", "high" if len(missing) > len(both) else "medium",
            f"The flow log has {lacking:,} packets that the filter takes and the capture lacks: {len(missing):,} of {len(missing) + len(both):,} flows entirely"
            f", {len(short):,} in part" + (f"; {too_many}" if too_many else ""),
            evidence, "compare the times of the missing flows with the gaps of the capture", limits=limits,
        )  # fmt: skip
    elif len(over) or len(other_bytes):
        words = [too_many] if too_many else []
        words += [f"{len(other_bytes):,} flows have as many packets and other bytes"] if len(other_bytes) else []
        yield look.found(
            "MIRROR-FLOW-LOG", "low", f"Mirror and flow log differ, though nothing is lacking: {'; '.join(words)}",
            evidence, "see whether the flow log skipped records (SKIPDATA) or the capture holds packets twice", status="inconclusive", limits=limits,
        )  # fmt: skip
    elif logged:
        yield look.found(
            "MIRROR-FLOW-LOG", "info",
            f"The mirror shows what the flow log does: {packets:,} packets beside {logged:,} in {len(both):,} flows, each with as many",
            evidence, limits=limits,
        )  # fmt: skip
    else:
        yield look.found(
            "MIRROR-FLOW-LOG", "low", "The flow log has no flow within the capture's time that the filter takes: nothing to compare",
            evidence, status="inconclusive", limits=limits,
        )  # fmt: skip


def _silent(look: Look) -> Iterator[Finding]:
    window = look.mine.window
    if look.now is None or window is None:
        return
    since = look.now - window.end
    if since > _QUIET:
        yield look.found(
            "MIRROR-SILENT", "low",
            f"The last mirrored packet came {_span(since)} ago, at {window.end:%Y-%m-%d %H:%M:%SZ}",
            {"seconds": int(since.total_seconds()), "until": f"{look.now:%Y-%m-%dT%H:%M:%SZ}"},
            "fetch the newest ring file, and see whether the source has had traffic since",
            status="inconclusive",
        )  # fmt: skip


CHECKS = (
    _wrong_vni, _outer_source, _stolen, _one_way, _unexpected, _rule_unseen, _truncated, _fragmented, _loss, _duplicates, _flow_log, _silent,
)  # fmt: skip


def _skipped(look: Look) -> Iterator[Finding]:
    if look.metrics is None or look.metrics.empty:  # no points is not a count of zero
        return
    sums = look.metrics.groupby("metric")["value"].sum()
    skipped = int(sum(sums.get(name, 0) for name in _SKIPPED))
    mirrored = int(sum(sums.get(name, 0) for name in _MIRRORED))
    packets = int(sum(sums.get(name, 0) for name in _SKIPPED_PACKETS))
    captured = int(look.conversations[["bytes", "bytes_back"]].to_numpy().sum())
    evidence = {
        "bytes_skipped": skipped,
        "packets_skipped": packets,
        "bytes_mirrored": mirrored,
        "bytes_captured": captured,
    }
    limits = ("The metrics are the instance's, of all its sessions, in points of five minutes.",)
    if skipped or packets:
        yield look.found(
            "MIRROR-SKIPPED", "medium",
            f"The source skipped {packets:,} packets ({skipped:,} bytes) that a filter takes, because its own traffic went first",
            evidence,
            "mirror less (narrower rules, a packet length), or use a larger instance: mirrored bytes count against its bandwidth",
            status="confirmed" if look.capture.count("frames") else "inconclusive", limits=limits,
        )  # fmt: skip
    elif mirrored and not captured:
        yield look.found(
            "MIRROR-SKIPPED", "high",
            f"The source sent {mirrored:,} mirrored bytes (NetworkMirrorIn and Out), and none of them is in the capture",
            evidence, "the loss is on the way or at the target: route, UDP 4789 in its security group and network ACL, load balancer",
            status="inconclusive",
        )  # fmt: skip
    else:
        yield look.found(
            "MIRROR-SKIPPED", "info", f"The source skipped nothing; it mirrored {mirrored:,} bytes, {captured:,} were captured",
            evidence, status="refuted",
            limits=limits,
        )  # fmt: skip


def _told_by_skipped(found: Sequence[Finding]) -> list[Finding]:
    """MIRROR-SKIPPED explains the loss and the lack beside the flow log where they are no more than what was skipped."""
    skipped = next((one for one in found if one.code == "MIRROR-SKIPPED" and one.status == "confirmed"), None)
    if skipped is None:
        return list(found)
    most = {"MIRROR-LOSS": ("bytes", "bytes_skipped"), "MIRROR-FLOW-LOG": ("packets_lacking", "packets_skipped")}
    within = [
        one.code
        for one in found
        if one.code in most and one.status == "confirmed"
        if 0 < one.evidence.get(most[one.code][0], 0) <= skipped.evidence[most[one.code][1]]
    ]
    told = replace(skipped, evidence={**skipped.evidence, "explains": within}) if within else skipped
    return [told if one is skipped else one for one in found]


def _damaged(look: Look) -> Iterator[Finding]:
    capture = look.capture
    count = {name: capture.count(name) for name in ("frames_cut_off", "wrong_length", "capture_dropped", "inner_damaged", "vxlan_without_vni", "envelope_cut_short")}  # fmt: skip
    if not capture.warnings and not any(count.values()):
        return
    first = (
        capture.warnings[0]
        if capture.warnings
        else ", ".join(f"{name} {value:,}" for name, value in count.items() if value)
    )
    yield look.found(
        "MIRROR-DAMAGED", "low", f"Part of the capture could not be read: {first}",
        {"counters": count, "warnings": list(capture.warnings)},
        "fetch the files again; what is missing shows as loss",
        status="confirmed" if capture.count("frames") else "inconclusive",
    )  # fmt: skip


def _as_configured(look: Look, found: Iterable[Finding]) -> Finding:
    """Nothing above info is proved. Confirmed only where nothing is left open either; what was not looked at is not called right."""
    window = look.mine.window
    known = bool(look.session.id or look.session.interface)
    seen = look.rules[look.rules["state"] == "seen"]
    total = int((look.rules["action"] == "accept").sum())
    table = look.conversations
    followed = int(((table["protocol"] == TCP) & (table["handshake"] != "not readable")).sum())
    logged = any(one.code == "MIRROR-FLOW-LOG" and one.status == "confirmed" for one in found)
    doubts = sorted({one.code for one in found if one.status == "inconclusive" and one.code in _DOUBTS})
    whole = [f"no gap in {followed:,} TCP conversations"] if followed else []
    whole += ["no flow short beside the flow log"] if logged else []
    start = (
        "The mirror shows what it should"
        if known
        else "The capture is sound by itself, without a session to compare it with"
    )
    claim = [f"{look.seen:,} packets in {len(table):,} conversations"]
    claim += [f"{len(seen)} of {total} accepting rules seen"] if look.filter.written else []
    claim += whole or ["whether anything was lost cannot be told without TCP and without a flow log"]
    status: Status = "inconclusive" if doubts or not whole else "confirmed"
    if status == "inconclusive":
        start = "Nothing is proved against the mirror" + ("" if known else ", without a session to compare it with")
        start += f"; {', '.join(doubts)} left open" if doubts else ""
    rules = {"rules_seen": len(seen), "accepting_rules": total} if look.filter.written else {}
    return look.found(
        "MIRROR-AS-CONFIGURED", "info", f"{start}: {', '.join(claim)}",
        {
            "packets": look.seen, "conversations": len(table), "tcp_conversations_followed": followed, "beside_the_flow_log": logged, "left_open": doubts,
            "seconds": window.seconds if window else 0, "first": str(window.start) if window else "", "last": str(window.end) if window else "",
        } | rules,
        status=status,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------ small things


def _span(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    days, hours = divmod(minutes // 60, 24)
    return (
        f"{days} days {hours} hours"
        if days
        else f"{hours} hours {minutes % 60} minutes"
        if hours
        else f"{minutes} minutes"
    )
