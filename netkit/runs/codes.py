"""Every code that a finding of netkit can have: what it says, and the members of its evidence. Data; the documentation's page is made of it.

A test holds this equal to the codes in the package, and the members to what the sandbox's scenarios publish.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from netkit.core.model import Finding

WINGS: Mapping[str, str] = {
    "START": "Access: notebook 00",
    "CW": "Monitoring: notebook 10",
    "FLOW": "Flow logs: notebooks 00, 20 and 21",
    "MIRROR": "Traffic mirroring: notebooks 30 and 31",
    "REACH": "Reachability: notebook 40",
    "INCIDENT": "Incidents: notebook 50",
}


class Code(NamedTuple):
    """says: what a confirmed finding of it means, and what another status does where that is not plain; evidence: all members it may have."""

    says: str
    evidence: tuple[str, ...]


def _code(says: str, evidence: str) -> Code:
    return Code(says, tuple(evidence.split()))


# Members that any finding may have: the event of which it tells, and codes whose findings it explains; runs.answer puts them together.
TOGETHER = ("event", "explains")
_SEEN = "first_seen last_seen"

CODES: Mapping[str, Code] = {
    "START-ACCESS-DENIED": _code("Reads that the notebooks need are denied; what rests on them stays inconclusive.", "denied"),
    "START-READY": _code("Every read that the notebooks need is allowed.", "calls"),
    # -- monitoring
    "CW-AGENT-CONFIG": _code("The CloudWatch agent refuses its configuration (high), or takes it and data will not come (low). Refuted: nothing is doubtful.", "window seen"),
    "CW-AGENT-SILENT": _code("A host sends no metric, no longer, or not all that its agent is configured for. Refuted: everything arrives.", "window seen denied"),
    "CW-ALARM-FIRING": _code("An alarm is in ALARM. Refuted: none of the alarms is. Inconclusive: there is no alarm, or alarms may not be read.", "window seen denied"),
    "CW-ALARM-MUTE": _code("Alarms that tell nobody: no action, or actions switched off, and no composite alarm that tells for them.", "window seen"),
    "CW-ALARM-NO-DATA": _code("An alarm is in INSUFFICIENT_DATA and has nothing to judge by.", "window seen"),
    "CW-CONFLICT": _code("Something of the same name is there and differs from what a plan asks for, so that plan changes nothing.", "difference"),
    "CW-DIMENSION-MISMATCH": _code("An alarm waits for a metric with dimensions other than those with which the metric is sent.", "window seen"),
    "CW-ERROR-LINES": _code("Error lines in a log group, grouped by message.", "window lines"),
    "CW-LOG-SILENT": _code("Hosts have no events in a log group that their agent is configured to send to. Refuted: every file has its stream.", "window seen denied"),
    "CW-METRIC-UNALARMED": _code("Metrics that tell of trouble on the hops of a path have no alarm. Refuted: each has one.", "window seen"),
    # -- flow logs
    "FLOW-COVERAGE-GAP": _code(
        "A part of the window, of the interfaces or of the lines was not seen, so that silence there means nothing. Inconclusive: no record at all is of the window.",
        "spans span_count minutes interfaces hidden malformed_lines examples first_record last_record",
    ),
    "FLOW-COVERAGE-UNKNOWN": _code("Which interfaces have no flow log is unknown, because the reads are denied.", "denied"),
    "FLOW-EGRESS-SPIKE": _code("A host sends an outside address many times what it did in the baseline.", f"client server server_port bytes_sent baseline_bytes active_hours {_SEEN}"),
    "FLOW-HOST-SWEEP": _code("One address tried one port on many hosts and was refused.", f"srcaddr dstport hosts rejected {_SEEN}"),
    "FLOW-LOGIN-GUESSING": _code(
        "Many short connections to a login service, the shape of password guessing; whether a login succeeded is not in a flow log.",
        f"srcaddr dstaddr dstport connections packets_per_connection bytes {_SEEN}",
    ),
    "FLOW-LOG-IN-FORCE": _code("Flow logs are in force and their records can be read. Inconclusive: none has arrived yet.", "flow_logs log_format records"),
    "FLOW-LOG-NOT-DELIVERED": _code("A flow log is there and its delivery fails; AWS's error stands in the claim.", "flow_logs log_format"),
    "FLOW-LOG-NOT-IN-FORCE": _code("No flow log of the resource writes there yet.", ""),
    "FLOW-NEW-TALKER": _code("One of our hosts talks to someone it did not know in the baseline. Inconclusive as well where it is not known which end asked.", f"client server server_port connections bytes_sent bytes {_SEEN}"),
    "FLOW-NOTHING-FOUND": _code(
        "Refuted: what was looked for is not there, as far as a threshold reaches. Inconclusive: not found, and not all of the window was seen.", "looked_for below_threshold"
    ),
    "FLOW-PORT-SCAN": _code("One address tried many ports and was refused; whether anything reached a host is told.", f"srcaddr ports targets rejected accepted reached {_SEEN}"),
    "FLOW-REJECT-CLUSTER": _code(
        "Traffic is rejected again and again for one reason: which rule is missing or in the way, and the command that opens it.",
        f"kind sources target targets port ports protocol rejected late packets accepted interfaces reason also {_SEEN}",
    ),
    "FLOW-RETURN-PATH-DEAD": _code(
        "Requests arrive and their replies are rejected: a network ACL, since security groups are stateful.",
        f"client clients server servers port ports side network_acl connections answered replies_rejected interface {_SEEN}",
    ),
    "FLOW-TGW-LOST": _code("A transit gateway lost packets: no route, blackhole, too large, or TTL run out.", f"tgw_attachment_id cause packets_lost packets flows pairs srcaddr dstaddr {_SEEN}"),
    # -- mirrors
    "MIRROR-ALERT": _code("Suricata alerts of one signature, with the conversation they belong to.", "signature_id category alerts watched conversations flow_log_records last"),
    "MIRROR-ALERTS-NONE": _code("Refuted: Suricata's records were read and hold no alert. Inconclusive: there were no records.", "records"),
    "MIRROR-AS-CONFIGURED": _code(
        "The mirror shows what its session and filter ask for. Inconclusive: nothing is proved against it, and something is left open.",
        "packets conversations tcp_conversations_followed beside_the_flow_log left_open seconds first last rules_seen accepting_rules",
    ),
    "MIRROR-DAMAGED": _code("A part of the capture files could not be read.", "counters warnings"),
    "MIRROR-DUPLICATES": _code("Packets are in the capture a second time, byte for byte: not retransmissions.", "duplicates packets packets_once conversations examples"),
    "MIRROR-EMPTY": _code("No mirrored packet can be read, and why, likeliest cause first.", "frames causes other arrived cut_by_capture captures"),
    "MIRROR-FLOW-LOG": _code(
        "The mirror beside the flow log, flow by flow: what it lacks (medium, high), or that it shows the same (info).",
        "flows_in_both flows_in_the_flow_log_only flows_in_the_capture_only packets_mirrored packets_logged bytes_mirrored bytes_logged flows_that_differ "
        "packets_lacking packets_too_many flows_with_other_bytes missing short too_many",
    ),
    "MIRROR-FRAGMENTED": _code("Mirrored packets came in fragments: with the VXLAN headers they exceed a link's MTU.", "first_fragments later_fragments later_fragments_of_unknown"),
    "MIRROR-IN-FORCE": _code("The sessions that a plan made are there. Refuted: none is.", "sessions"),
    "MIRROR-LOSS": _code("Sequence numbers of TCP have gaps: bytes that were never seen.", "bytes conversations of_conversations gaps bytes_seen_in_them capture_dropped_packets examples"),
    "MIRROR-ONE-WAY": _code("Conversations show one direction only, and why, as far as the filter tells.", "conversations acknowledge_the_other_direction missing_rules examples"),
    "MIRROR-OUTER-SOURCE": _code("Copies come from another address than the source interface's.", "expected packets_by_outer_source"),
    "MIRROR-PREFLIGHT": _code("Something stands in the way of the copies. Refuted: nothing does. Inconclusive: a check has no answer.", "checks states"),
    "MIRROR-RULE-UNSEEN": _code("Accepting rules of the filter that show nothing in the capture, or can never decide.", "rules with_packets_in_the_flow_log"),
    "MIRROR-SILENT": _code("The last mirrored packet came long ago; whether there was traffic since is not known.", "seconds until"),
    "MIRROR-SKIPPED": _code("The source skipped mirrored packets under load, by its metrics. Refuted: it skipped none.", "bytes_skipped packets_skipped bytes_mirrored bytes_captured"),
    "MIRROR-STOLEN": _code("Another session of the same interface has a lower number and takes packets first.", "sessions packets_that_came_all_the_same taken"),
    "MIRROR-TRUNCATED": _code("Packets are cut: by the session's packet length, an MTU, or the capture.", "packets conversations longest_bytes packet_length examples"),
    "MIRROR-UNEXPECTED": _code("The capture holds packets that the filter does not take.", "packets explained_by_session examples"),
    "MIRROR-WRONG-VNI": _code("No packet has the session's VNI; others are there.", "expected_vni packets_by_vni"),
    # -- reachability
    "REACH-ANALYZER-DISAGREES": _code("AWS's Reachability Analyzer says otherwise. Refuted: both agree. Inconclusive: one has no verdict.", "ours theirs differences"),
    "REACH-BLOCKED": _code(
        "The path does not get through, with every blocker. Refuted: it gets through, and the replies too. Inconclusive: unknown, with what is missing.",
        "question verdict path return_path blockers unknowns collected",
    ),
    "REACH-EXPOSED": _code("Interfaces that the internet reaches on the service asked for, but for those expected. Refuted: none.", "interfaces from"),
    "REACH-FIX": _code(
        "The smallest changes that open the path, proved by the trace on the changed snapshot. Inconclusive: no change that netkit can name does.",
        "question verdict_after changes opens_pairs closes_pairs from_internet to_internet alternatives",
    ),
    "REACH-FIX-APPLIED": _code("The changes were applied and a new snapshot says that the path is open. Inconclusive: it is not, and how to take them back.", "run verdict"),
    "REACH-INTENT-UNKNOWN": _code("Whether an intent holds is not known.", "intent place why verdict blockers"),
    "REACH-INTENT-VIOLATED": _code("What must get through does not, or what must not does.", "intent place why verdict blockers"),
    "REACH-INTENTS-HOLD": _code("Every intent holds.", "intents"),
    # -- incidents
    "INCIDENT-CAUSE": _code(
        "A ranked cause: a fault of the catalogue, the resource to change, since when and by whom. Confirmed where it is proved.",
        "fault resource rank since actor standing points change why against",
    ),
    "INCIDENT-CONTRADICTION": _code("Two systems say what cannot both be so of one time.", "atoms says"),
    "INCIDENT-NEXT": _code("What to measure next, which causes it would part, and its cost.", "system parts minutes usd command"),
    "INCIDENT-NOT-NETWORK": _code("Connections between the two ends were made, delivered and answered: look elsewhere.", "fault resource standing why against"),
    "INCIDENT-REJECT": _code(
        "Refused records of one cause: which rule refused them by the configuration of that second, since when, and who changed it.",
        "cause resource rule interface direction dport protocol change actor records packets sources first last",
    ),
    "INCIDENT-UNKNOWN": _code("The evidence does not decide it, and what is missing.", "fault missing damaged standing"),
}  # fmt: skip


def unlisted(findings: Iterable[Finding]) -> list[str]:
    """What findings have that stands not in CODES: "CODE", or "CODE: member" for a member of the evidence."""
    told = []
    for one in findings:
        known = CODES.get(one.code)
        if known is None:
            told.append(one.code)
        else:
            told += [f"{one.code}: {name}" for name in one.evidence if name not in (*known.evidence, *TOGETHER)]
    return told
