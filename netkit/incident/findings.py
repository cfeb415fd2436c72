"""An incident's findings: the ranked causes, that it is not the network, that it is not known, what contradicts, what to measure next. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from netkit.core.model import Coverage, Finding, Severity, Status
from netkit.incident.atoms import Observation, once
from netkit.incident.faults import INSUFFICIENT, NOT_THE_NETWORK, catalogue
from netkit.incident.measure_next import measures
from netkit.incident.rank import SURE, Ranked
from netkit.incident.scene import Scene

SYSTEM_OF = {
    "c": "snapshots",
    "f": "flow_logs",
    "m": "metrics",
    "d": "dns",
    "p": "captures",
    "t": "cloudtrail",
    "o": "firewall",
}
_WANTED = ("snapshots", "flow_logs", "cloudtrail", "metrics")
# Atoms of trouble that no complete connection outweighs.
_TROUBLE = (
    "f-fail",
    "f-source-quiet",
    "f-idle-breaks",
    "d-name-fails",
    "p-large-lost",
    "p-gap-rst",
    "p-gap-silence",
    "f-v6-fails-v4-works",
    "f-icmp-refused",
)
_LIMITS = (
    "It ranks what the evidence allows: a fault that none of the systems handed over can show is not among the causes.",
)


def findings(scene: Scene, rows: Sequence[Ranked], observations: Sequence[Observation]) -> list[Finding]:
    """INCIDENT-CAUSE for each ranked cause, or INCIDENT-NOT-NETWORK, or INCIDENT-UNKNOWN; then INCIDENT-CONTRADICTION and INCIDENT-NEXT.

    They tell of one event, but for a second cause that is proved too: that is another.
    """
    made = _found(scene, rows, observations)
    return [
        replace(one, evidence={**one.evidence, "event": "incident"})
        if number == 0 or one.status != "confirmed"
        else one
        for number, one in enumerate(made)
    ]


def _found(scene: Scene, rows: Sequence[Ranked], observations: Sequence[Observation]) -> list[Finding]:
    causes = [row for row in rows if row.hypothesis.fault != NOT_THE_NETWORK and row.decided and row.points > 0]
    healthy = next(row for row in rows if row.hypothesis.fault == NOT_THE_NETWORK)
    made = [_cause(scene, row, number) for number, row in enumerate(causes, start=1)]
    rest = [*_contradictions(observations), *_next(scene, rows)]
    if causes and (causes[0].points >= healthy.points or (causes[0].points >= SURE and not causes[0].against)):
        return [*made, *rest]
    if _healthy(observations):
        return [_not_network(scene, healthy), *rest]
    return [_unknown(scene), *made, *rest]


def _healthy(observations: Sequence[Observation]) -> bool:
    held = once(observations)
    complete, opened = held.get(("f-complete", "")), held.get(("c-path-open", ""))
    fails = [one for one in observations if one.state == "seen" and one.atom in _TROUBLE and not one.subject]
    return bool(complete and complete.state == "seen" and opened and opened.state == "seen") and not fails


def stamp(moment: datetime | None) -> str:
    """A time in ISO 8601, "" for none."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


def _cause(scene: Scene, row: Ranked, number: int) -> Finding:
    one, fault = row.hypothesis, catalogue()[row.hypothesis.fault]
    coverage = _rests_on(scene, row)
    sure = row.standing == "proved" and bool(coverage) and all(each.state == "ok" for each in coverage)
    status: Status = "confirmed" if sure else "inconclusive"
    severity: Severity = "high" if row.standing in ("proved", "likely") else "medium"
    since = f", since {stamp(one.since)}" if one.since else ""
    actor = f", changed by {one.actor}" if one.actor else ""
    claim = f"{fault.says} It is {one.resource}{since}{actor} ({row.standing})."
    evidence = {
        "fault": one.fault, "resource": one.resource, "rank": number, "since": stamp(one.since), "actor": one.actor, "standing": row.standing,
        "points": row.points, "change": one.change, "why": [str(point) for point in row.why], "against": [str(point) for point in row.against],
    }  # fmt: skip
    return Finding("INCIDENT-CAUSE", status, severity, (one.resource,), claim, evidence, _LIMITS, coverage, _step(row))


def _step(row: Ranked) -> str:
    words = {
        "proved": "Undo the change, or make the smallest one that opens the way: notebook 40 proves it, and applies it.",
        "likely": "Look at the resource, then fix it.",
        "open": "Measure what parts it from the next cause.",
    }
    return words.get(row.standing, "")


def _rests_on(scene: Scene, row: Ranked) -> tuple[Coverage, ...]:
    parts = {SYSTEM_OF[point.atom[0]] for point in row.why}
    return tuple(
        each for each in scene.evidence.coverage if each.table.split(" ")[0] in parts and each.state != "empty"
    )


def _not_network(scene: Scene, row: Ranked) -> Finding:
    last = max((one.end for one in scene.good()), default=0)
    claim = f"The network is not the cause: {len(scene.good())} connections between the two ends were made, delivered and answered"
    claim += (
        f", the last at {datetime.fromtimestamp(last, scene.question.window.start.tzinfo):%H:%M:%S}." if last else "."
    )
    evidence = {
        "fault": NOT_THE_NETWORK, "resource": "", "standing": row.standing if row.decided else "likely",
        "why": [str(one) for one in row.why], "against": [str(one) for one in row.against],
    }  # fmt: skip
    return Finding("INCIDENT-NOT-NETWORK", "inconclusive", "info", (), claim, evidence, _LIMITS, _rests_on(scene, row))


def _unknown(scene: Scene) -> Finding:
    missing = [row.table for row in scene.evidence.coverage if row.state == "skipped" and row.table in _WANTED]
    damaged = [
        row.table
        for row in scene.evidence.coverage
        if row.state == "skipped" and row.table not in _WANTED and " " in row.table
    ]
    claim = "The evidence does not decide it" + (f"; missing: {', '.join(missing)}" if missing else "") + "."
    if damaged:
        claim = f"{claim[:-1]}; damaged: {', '.join(damaged[:5])}."
    evidence = {"fault": INSUFFICIENT, "missing": missing, "damaged": damaged, "standing": "unknown"}
    return Finding("INCIDENT-UNKNOWN", "inconclusive", "medium", (), claim, evidence, _LIMITS)


# Atoms that cannot both be so of one time: what the pair of them says.
_CLASHES = (
    (
        "c-path-open",
        "f-request-refused",
        "the configuration lets the request through, and the flow log shows it refused: one of them is of another time",
    ),
    (
        "c-path-open",
        "f-reply-refused",
        "the configuration lets the reply through, and the flow log shows it refused: one of them is of another time",
    ),
)


def _contradictions(observations: Sequence[Observation]) -> Iterator[Finding]:
    held = {one.atom: one for one in observations if one.state == "seen" and not one.subject}
    for one, other, words in _CLASHES:
        if one in held and other in held:
            evidence = {"atoms": [one, other], "says": [held[one].says, held[other].says]}
            yield Finding("INCIDENT-CONTRADICTION", "inconclusive", "medium", (), f"Evidence disagrees: {words}.", evidence, (), (), "Take a snapshot of the time of the trouble, or look into the trail for a change that was taken back.")  # fmt: skip
    shut, whole = (
        next((one for one in observations if one.atom == "c-path-open" and one.state == "seen-not"), None),
        held.get("f-complete"),
    )
    if shut is not None and whole is not None:
        words = "the configuration does not let the connection through, and the flow log shows complete connections to the end"
        yield Finding("INCIDENT-CONTRADICTION", "inconclusive", "medium", (), f"Evidence disagrees: {words}.", {"atoms": ["c-path-open", "f-complete"], "says": [shut.says, whole.says]})  # fmt: skip


def _next(scene: Scene, rows: Sequence[Ranked]) -> Iterator[Finding]:
    if rows and rows[0].standing == "proved":
        return
    for one in measures(scene, rows)[:3]:
        parts = f"would part {', '.join(one.parts[:5])}" if one.parts else "would show more"
        claim = f"To measure next: {one.system}, which {parts}: {one.why}."
        evidence = {
            "system": one.system,
            "parts": list(one.parts),
            "minutes": one.minutes,
            "usd": one.usd,
            "command": one.command,
        }
        yield Finding("INCIDENT-NEXT", "inconclusive", "info", (), claim, evidence, (), (), one.command)
