"""Does the mirror show what it should? A session, its filter and a capture, as findings. Pure.

What is right follows from the configuration: the VNI and the outer source are the session's, every packet is one that the
filter takes and no session with a lower number takes first, both directions of a conversation are there where rules
take both, nothing is cut, and the byte streams have no holes. Flow logs and CloudWatch say it independently.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from netkit.core.model import Coverage, Finding, Severity, Status, Window
from netkit.core.net import protocol_name
from netkit.mirror.capture import Capture
from netkit.mirror.expected import (
    addresses_of,
    as_filter,
    as_session,
    beside_flow_logs,
    decided,
    direction_of,
    flows,
    guess_addresses,
    interface_records,
    ours,
    rule_coverage,
    without_ports,
    without_reply,
)
from netkit.mirror.filters import MirrorFilter, MirrorSession, Stolen, stolen
from netkit.mirror.pcap import Array

Others = Sequence[tuple[MirrorSession, MirrorFilter]]
_EXAMPLES = 5
# Delivery of flow logs and clocks apart: records of conversations that go on at the capture's ends are not compared.
_QUIET = timedelta(minutes=10)
_SKIPPED = ("NetworkSkipMirrorIn", "NetworkSkipMirrorOut")
_MIRRORED = ("NetworkMirrorIn", "NetworkMirrorOut")
_SKIPPED_PACKETS = ("NetworkPacketsSkipMirrorIn", "NetworkPacketsSkipMirrorOut")
LIMITS = (
    "A capture shows what arrived; what was never mirrored shows only beside flow logs or in holes of TCP streams.",
)
NEVER_MIRRORED = "AWS never mirrors ARP, DHCP, instance metadata, Amazon Time Sync and Windows activation."


@dataclass(frozen=True)
class Look:
    """What a verification looks at, and what follows from it once."""

    capture: Capture
    session: MirrorSession
    filter: MirrorFilter
    addresses: tuple[str, ...] = ()
    primary: str = ""
    others: Others = ()
    flow_logs: Any = None
    metrics: pd.DataFrame | None = None
    causes: tuple[str, ...] = ()
    window: Window | None = None
    now: datetime | None = None

    @cached_property
    def conversations(self) -> pd.DataFrame:
        """The session's own, or all where none has its VNI: the rest can be judged all the same."""
        mine = ours(self.capture, self.session)
        return self.capture.conversations if mine.empty else mine

    @cached_property
    def own(self) -> tuple[str, ...]:
        """The mirrored interface's addresses, as given or as the capture shows them."""
        return self.addresses or guess_addresses(self.conversations)

    @cached_property
    def flows(self) -> pd.DataFrame:
        """Each direction of each conversation, and the rule that decides."""
        return flows(self.conversations, self.filter, self.own)

    @cached_property
    def rules(self) -> pd.DataFrame:
        """Each rule, and what of the capture it decided."""
        return rule_coverage(self.flows, self.filter)

    @cached_property
    def before(self) -> Others:
        """The sessions of the same interface that are asked first: those with a lower number."""
        mine = self.session
        return [
            pair for pair in self.others if pair[0].interface in (mine.interface, "") and pair[0].number < mine.number
        ]

    @cached_property
    def stolen(self) -> list[Stolen]:
        """The packets that they take, by rule algebra."""
        return stolen(self.session, self.filter, self.before)

    @cached_property
    def beside(self) -> pd.DataFrame | None:
        """The flow log's numbers beside the mirror's, or None without a flow log."""
        if self.flow_logs is None or not self.own:
            return None
        records = interface_records(self.flow_logs, self.session.interface)
        return beside_flow_logs(
            self.flows, records, self.filter, self.own, self.window or self.capture.window, self.before
        )

    @property
    def seen(self) -> int:
        """Mirrored packets."""
        return self.capture.count("in_conversations")

    @property
    def subject(self) -> tuple[str, ...]:
        """The session and its interface."""
        return tuple(one for one in (self.session.id, self.session.interface) if one) or ("mirror",)

    def coverage(self) -> Coverage:
        """How much of the capture could be read."""
        left = self.capture.count("frames") - self.seen
        damaged = self.capture.count("damaged_bytes") or bool(self.capture.warnings)
        state = "ok" if self.capture.count("frames") else "empty"
        note = self.capture.warnings[0] if damaged and self.capture.warnings else ""
        return Coverage(self.session.owner, "", "capture", state, self.capture.count("frames"), left, note)

    def found(
        self, code: str, severity: Severity, claim: str, evidence: dict[str, Any], next_step: str = "", *,
        status: Status = "confirmed", limits: tuple[str, ...] = LIMITS,
    ) -> Finding:  # fmt: skip
        """A finding that rests on the capture."""
        return Finding(code, status, severity, self.subject, claim, evidence, limits, (self.coverage(),), next_step)


def verify(
    capture: Capture,
    session: Mapping[str, Any] | MirrorSession,
    filter: Mapping[str, Any] | MirrorFilter,
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

    session, filter   AWS's records (DescribeTrafficMirrorSessions, DescribeTrafficMirrorFilters) or netkit's values
    flow_logs         the source interface's flow log: a frame of records or an open log; packets and bytes are compared
    interface         the source interface: its describe record, or its private addresses, primary first
    others            the other sessions of the interface, each with its filter
    metrics           time, metric, value of NetworkMirror* and NetworkSkipMirror* of the source instance (CloudWatch)
    causes            what may make an empty capture, likeliest first: from preflight
    window            when the capture ran; "" takes its first and last packet
    now               to say how long ago the last packet came

    Codes: MIRROR-EMPTY, -WRONG-VNI, -OUTER-SOURCE, -STOLEN, -ONE-WAY, -UNEXPECTED, -RULE-UNSEEN, -TRUNCATED, -FRAGMENTED, -LOSS,
    -SKIPPED, -FLOW-LOG, -SILENT, -DAMAGED, and MIRROR-AS-CONFIGURED when none of them is confirmed above info.
    """
    pairs = [(as_session(one), as_filter(theirs)) for one, theirs in others]
    addresses = addresses_of(interface)
    look = Look(
        capture, as_session(session), as_filter(filter), addresses, addresses[0] if addresses else "", pairs, flow_logs, metrics,
        tuple(causes), window, now,
    )  # fmt: skip
    found = [*_empty(look)] if not look.seen else [one for check in CHECKS for one in check(look)]
    found += [*_skipped(look), *_damaged(look)]
    if look.seen and not any(one.status == "confirmed" and one.at_least("low") for one in found):
        found.append(_as_configured(look))
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
    if not look.primary:
        return
    strange = look.conversations[look.conversations["outer_source"] != look.primary]
    if strange.empty:
        return
    by = strange.groupby("outer_source")["packets"].sum() + strange.groupby("outer_source")["packets_back"].sum()
    yield look.found(
        "MIRROR-OUTER-SOURCE", "medium",
        f"{int(by.sum()):,} packets come from {', '.join(map(str, by.index[:3]))} and not from the source interface's primary address {look.primary}",
        {"expected": look.primary, "packets_by_outer_source": {str(one): int(count) for one, count in by.items()}},
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
    reply = pd.DataFrame(
        {
            "protocol": alone["protocol"], "source": alone["destination"], "source_port": alone["destination_port"],
            "destination": alone["source"], "destination_port": alone["source_port"],
        }
    )  # fmt: skip
    reply["direction"] = direction_of(reply["source"], reply["destination"], look.own)
    unruled = (decided(reply, look.filter)["action"] != "accept").to_numpy()
    elsewhere = _taken_first(look, reply)
    yield from _replies_not_taken(look, alone[unruled], reply[unruled])
    rest = alone[~unruled & ~elsewhere]
    proven = rest[rest["proven"]]
    if len(proven):
        yield look.found(
            "MIRROR-ONE-WAY", "medium",
            f"{len(proven):,} TCP conversations show one direction only, although their packets acknowledge the other and the filter takes it",
            {"conversations": len(proven), "examples": _examples(proven)},
            "look for loss on the way, and whether the replies leave by another interface",
        )  # fmt: skip
    elif len(rest):
        yield look.found(
            "MIRROR-ONE-WAY", "low",
            f"{len(rest):,} conversations show one direction only; whether anything answered cannot be seen",
            {"conversations": len(rest), "examples": _examples(rest)},
            "compare with the flow log of the source interface",
            status="inconclusive",
        )  # fmt: skip


def _taken_first(look: Look, rows: pd.DataFrame) -> Array:
    """Which rows a session with a lower number takes."""
    taken = np.zeros(len(rows), bool)
    for _, mirror in look.before:
        taken |= (decided(rows, mirror)["action"] == "accept").to_numpy()
    return taken


def _replies_not_taken(look: Look, alone: pd.DataFrame, reply: pd.DataFrame) -> Iterator[Finding]:
    if alone.empty:
        return
    proven = int(alone["proven"].sum())
    services = reply.groupby(["direction", "protocol", "source_port"], dropna=False).size().sort_values(ascending=False)
    rules = [_missing_rule(direction, protocol, port) for direction, protocol, port in services.index[:_EXAMPLES]]
    yield look.found(
        "MIRROR-ONE-WAY", "high" if proven else "medium",
        f"{len(alone):,} conversations show one direction only, because no rule takes the other: {rules[0]} is missing"
        + (f", and {len(services) - 1} more" if len(services) > 1 else ""),
        {"conversations": len(alone), "acknowledge_the_other_direction": proven, "missing_rules": rules, "examples": _examples(alone)},
        f"add a rule for the replies: {rules[0]}",
    )  # fmt: skip


def _missing_rule(direction: str, protocol: int, port: Any) -> str:
    where = f"{direction} " if direction else ""
    return f"{where}accept {protocol_name(protocol)}" + (f" source port {int(port)}" if pd.notna(port) and port else "")


def _unexpected(look: Look) -> Iterator[Finding]:
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
        {"packets": int(strange["packets"].sum()), "explained_by_session": explained, "examples": _examples(strange)},
        "the filter was changed since the capture, or the capture is of another session",
    )  # fmt: skip


def _rule_unseen(look: Look) -> Iterator[Finding]:
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
    logged = look.beside[look.beside["seen_by"] == "flow log"] if look.beside is not None else None
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
        by_length = look.session.packet_length is not None and to <= look.session.packet_length
        why = (
            f"the session's packet length {look.session.packet_length}"
            if by_length
            else "an MTU on the way or of the target"
        )
        yield look.found(
            "MIRROR-TRUNCATED", "low" if by_length else "medium",
            f"{count:,} packets of {len(cut):,} conversations are cut at {to:,} bytes by {why}",
            {"packets": count, "conversations": len(cut), "longest_bytes": to, "packet_length": look.session.packet_length, "examples": _examples(cut)},
            "leave the packet length out for whole packets" if by_length else "set the source's MTU to the target's less 54 bytes (IPv4) or 74 (IPv6)",
        )  # fmt: skip
    short = look.conversations[look.conversations["truncated_by_capture"] > 0]
    if len(short):
        yield look.found(
            "MIRROR-TRUNCATED", "low",
            f"{int(short['truncated_by_capture'].sum()):,} packets were cut by the capture itself (snap length), not by the mirror",
            {"packets": int(short["truncated_by_capture"].sum()), "conversations": len(short), "examples": _examples(short)},
            "capture with -s 0 where whole packets are wanted",
        )  # fmt: skip


def _fragmented(look: Look) -> Iterator[Finding]:
    first, later = look.capture.count("outer_fragments"), look.capture.count("outer_later_fragments")
    if first or later:
        yield look.found(
            "MIRROR-FRAGMENTED", "medium",
            f"{max(first, later):,} mirrored packets came in fragments: with the VXLAN headers they are larger than a link's MTU",
            {"first_fragments": first, "later_fragments": later},
            "raise the MTU between source and target by 50 bytes (IPv4) or 70 (IPv6), or set a packet length",
            limits=(*LIMITS, "Later fragments are not put together: what they carry is counted, not read."),
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
        f"{lost:,} bytes of {len(holed):,} TCP conversations were never seen: sequence numbers have {len(look.capture.gaps):,} gaps",
        {
            "bytes": lost, "conversations": len(holed), "of_conversations": len(table), "gaps": len(look.capture.gaps),
            "bytes_seen_in_them": carried, "capture_dropped_packets": look.capture.count("capture_dropped"), "examples": _examples(holed),
        },
        "look at NetworkSkipMirrorIn/Out of the source, the drop counters of the capturing host, and the target's bandwidth",
        limits=(*LIMITS, "Loss of UDP and ICMP does not show; packets that the sender itself lost on the way look the same until repeated."),
    )  # fmt: skip


def _flow_log(look: Look) -> Iterator[Finding]:
    beside = look.beside
    if beside is None:
        return
    whole = beside[beside["whole"]]
    missing = whole[whole["seen_by"] == "flow log"]
    both = whole[whole["seen_by"] == "both"]
    alone = beside[beside["seen_by"] == "capture"]
    packets, logged = int(both["packets_mirrored"].sum()), int(both["packets_logged"].sum())
    evidence = {
        "flows_in_both": len(both), "flows_in_the_flow_log_only": len(missing), "flows_in_the_capture_only": len(alone),
        "packets_mirrored": packets, "packets_logged": logged, "bytes_mirrored": int(both["bytes_mirrored"].sum()),
        "bytes_logged": int(both["bytes_logged"].sum()), "flows_that_differ": int((both["packet_ratio"] != 1).sum()),
        "missing": _examples(missing),
    }  # fmt: skip
    limits = (*LIMITS, "Flows that go on before or after the capture are left out.", NEVER_MIRRORED)
    if len(missing) or (logged and packets < logged):
        lost = int(missing["packets_logged"].sum()) + max(logged - packets, 0)
        yield look.found(
            "MIRROR-FLOW-LOG", "high" if len(missing) > len(both) else "medium",
            f"The flow log has {lost:,} packets that the filter takes and the capture lacks: {len(missing):,} of {len(missing) + len(both):,} flows entirely",
            evidence, "compare the times of the missing flows with the gaps of the capture", limits=limits,
        )  # fmt: skip
    elif logged:
        yield look.found(
            "MIRROR-FLOW-LOG", "info",
            f"The mirror shows what the flow log does: {packets:,} packets beside {logged:,} in {len(both):,} flows",
            evidence, limits=limits,
        )  # fmt: skip
    else:
        yield look.found(
            "MIRROR-FLOW-LOG", "low", "The flow log has no flow within the capture's time that the filter takes: nothing to compare",
            evidence, status="inconclusive", limits=limits,
        )  # fmt: skip


def _silent(look: Look) -> Iterator[Finding]:
    if look.now is None or look.capture.window is None:
        return
    since = look.now - look.capture.window.end
    if since > _QUIET:
        yield look.found(
            "MIRROR-SILENT", "low",
            f"The last mirrored packet came {_span(since)} ago, at {look.capture.window.end:%Y-%m-%d %H:%M:%SZ}",
            {"seconds": int(since.total_seconds())},
            "fetch the newest ring file, and see whether the source has had traffic since",
            status="inconclusive",
        )  # fmt: skip


CHECKS = (_wrong_vni, _outer_source, _stolen, _one_way, _unexpected, _rule_unseen, _truncated, _fragmented, _loss, _flow_log, _silent)  # fmt: skip


def _skipped(look: Look) -> Iterator[Finding]:
    if look.metrics is None or look.metrics.empty:  # no points is not a count of zero
        return
    sums = look.metrics.groupby("metric")["value"].sum()
    skipped = int(sum(sums.get(name, 0) for name in _SKIPPED))
    mirrored = int(sum(sums.get(name, 0) for name in _MIRRORED))
    packets = int(sum(sums.get(name, 0) for name in _SKIPPED_PACKETS))
    captured = int(look.capture.conversations[["bytes", "bytes_back"]].sum().sum())
    evidence = {
        "bytes_skipped": skipped,
        "packets_skipped": packets,
        "bytes_mirrored": mirrored,
        "bytes_captured": captured,
    }
    if skipped or packets:
        yield look.found(
            "MIRROR-SKIPPED", "medium",
            f"The source skipped {packets:,} packets ({skipped:,} bytes) that the filter takes, because its own traffic went first",
            evidence,
            "mirror less (narrower rules, a packet length), or use a larger instance: mirrored bytes count against its bandwidth",
            status="confirmed" if look.capture.count("frames") else "inconclusive",
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
            limits=("The metrics are the instance's, of all its sessions, in points of five minutes.",),
        )  # fmt: skip


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


def _empty(look: Look) -> Iterator[Finding]:
    frames = look.capture.count("frames")
    causes = list(look.causes or default_causes(look))
    expected = look.beside[look.beside["seen_by"] == "flow log"] if look.beside is not None else None
    if expected is not None and expected.empty:
        causes.insert(0, "there was nothing to mirror: the flow log has no accepted packet that the filter takes")
    asked = (
        ""
        if expected is None
        else f"; the flow log has {int(expected['packets_logged'].sum()):,} packets that it should show"
    )
    yield Finding(
        "MIRROR-EMPTY",
        "confirmed" if frames or expected is not None or look.causes else "inconclusive",
        "high",
        look.subject,
        f"The capture shows no mirrored packet ({frames:,} frames of other kinds){asked}. Likeliest cause: {causes[0]}",
        {"frames": frames, "causes": causes, "other": dict(look.capture.other)},
        (*LIMITS, NEVER_MIRRORED),
        (look.coverage(),) if frames else (),
        f"look in this order: {'; '.join(causes[:3])}",
    )  # fmt: skip


def default_causes(look: Look) -> list[str]:
    """Why a capture can be empty, likeliest first, without a preflight: from the configuration alone, then what only AWS knows."""
    copied = any(look.filter.accepted(direction, family) for direction in ("ingress", "egress") for family in (4, 6))
    known = [] if copied or look.filter.network_services else ["the filter has no rule that accepts anything"]
    known += [f"{one}" for one in look.stolen]
    return [
        *known,
        "the target's security group or a network ACL does not let UDP 4789 in",
        "no route leads from the source's subnet to the target",
        "a load balancer target has no UDP listener on 4789, or no healthy target",
        "the source had no packet that the filter takes",
        "the source skips mirrored packets under load (NetworkSkipMirrorIn/Out)",
        "the capture ran on another interface than the target's, or with a filter other than udp port 4789",
    ]


def _as_configured(look: Look) -> Finding:
    window = look.capture.window
    known = bool(look.session.id or look.session.interface)
    seen = look.rules[look.rules["state"] == "seen"]
    total = int((look.rules["action"] == "accept").sum())
    return look.found(
        "MIRROR-AS-CONFIGURED", "info",
        ("The mirror shows what it should" if known else "The capture is sound by itself, without a session to compare it with")
        + f": {look.seen:,} packets in {len(look.conversations):,} conversations, {len(seen)} of {total} accepting rules seen, no loss",
        {
            "packets": look.seen, "conversations": len(look.conversations), "rules_seen": len(seen), "accepting_rules": total,
            "seconds": window.seconds if window else 0, "first": str(window.start) if window else "", "last": str(window.end) if window else "",
        },
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------ small things


def _examples(rows: pd.DataFrame) -> list[str]:
    def end(address: Any, port: Any) -> str:
        return (
            str(address)
            if pd.isna(port)
            else f"{address}:{int(port)}"
            if ":" not in str(address)
            else f"[{address}]:{int(port)}"
        )

    names = ("protocol", "source", "source_port", "destination", "destination_port")
    columns = (rows[name].head(_EXAMPLES).tolist() for name in names)
    return [
        f"{protocol_name(protocol)} {end(source, source_port)} -> {end(destination, destination_port)}"
        for protocol, source, source_port, destination, destination_port in zip(*columns, strict=True)
    ]


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
