"""What must and what must not get through, written down and checked against a snapshot. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from netkit.core.commandline import run_command
from netkit.core.errors import InputError, ParameterError
from netkit.core.model import Finding, Verdict
from netkit.reach.engine.service import service_of
from netkit.reach.engine.trace import trace
from netkit.reach.explain import LIMITS, rests_on
from netkit.reach.network.network import network_of
from netkit.reach.network.snapshot import Snapshot

_KEYS = ("from", "to", "protocol", "port", "expect", "why", "vpc")
_NEEDED = ("from", "to", "expect", "why")


@dataclass(frozen=True)
class Intent:
    """One line of an intents file: from and to (an end as trace() takes it, or a pattern of Name tags such as web-*), expect
    allow or deny, and why. place says where it stands."""

    source: str
    destination: str
    protocol: str
    port: str
    expect: str
    why: str
    vpc: str = ""
    place: str = ""

    def __str__(self) -> str:
        return (
            f"{self.expect} {self.source} to {self.destination}, {self.protocol}{'/' + self.port if self.port else ''}"
        )


def load_intents(path: str | Path) -> list[Intent]:
    """The intents of a YAML file, a list of mappings with the keys from, to, protocol (tcp), port, expect, why and vpc.

    Values are read as text, so that a port or an id stays what was written. Raises ParameterError for a file that is not
    such a list, naming file, entry and key.
    """
    file = Path(path)
    try:
        body = yaml.load(file.read_text("utf-8"), Loader=yaml.BaseLoader)  # noqa: S506  (BaseLoader makes text only)
    except OSError as problem:
        raise ParameterError(
            f"{file.name} cannot be read: {problem.strerror}", subject=str(path), hint="name an intents file"
        ) from None
    except yaml.YAMLError as problem:
        raise ParameterError(
            f"{file.name} is not YAML: {str(problem).splitlines()[0]}",
            subject=str(path),
            hint="see parameters/intents/",
        ) from None
    if not isinstance(body, list) or not body:
        raise ParameterError(
            f"{file.name} is not a list of intents",
            subject=str(path),
            hint='each as "- {from: a, to: b, port: 443, expect: allow, why: ...}"',
        )
    return [_intent(file.name, number, entry) for number, entry in enumerate(body, 1)]


def _intent(name: str, number: int, entry: Any) -> Intent:
    place = f"{name}, entry {number}"
    if not isinstance(entry, Mapping):
        raise ParameterError("an intent is a mapping", subject=place, hint=f"with the keys {', '.join(_KEYS)}")
    wrong = [key for key in entry if key not in _KEYS]
    lacking = [key for key in _NEEDED if not str(entry.get(key, "")).strip()]
    if wrong or lacking:
        what = f"there is no key {wrong[0]!r}" if wrong else f"the key {lacking[0]!r} is missing"
        raise ParameterError(
            what, subject=place, hint=f"the keys are {', '.join(_KEYS)}; needed are {', '.join(_NEEDED)}"
        )
    if entry["expect"] not in ("allow", "deny"):
        raise ParameterError(f"expect {entry['expect']!r} is neither allow nor deny", subject=f"{place}, key expect")
    made = Intent(
        entry["from"],
        entry["to"],
        entry.get("protocol", "tcp"),
        entry.get("port", ""),
        entry["expect"],
        entry["why"],
        entry.get("vpc", ""),
        place,
    )
    try:
        service_of(made.protocol, made.port or None)
    except InputError as problem:
        raise ParameterError(
            problem.what, subject=f"{place}, key {'port' if 'port' in problem.what else 'protocol'}", hint=problem.hint
        ) from None
    return made


def check_intents(snapshot: Snapshot, intents: Iterable[Intent]) -> list[Finding]:
    """Each violation a finding: REACH-INTENT-VIOLATED; REACH-INTENT-UNKNOWN where nothing can be said; else REACH-INTENTS-HOLD.

    Every pair that an intent's patterns stand for is traced. An allow is violated when any pair does not get through, a deny
    when any does. Raises InputError, naming the intent, for an end that is not there.
    """
    listed = list(intents)
    findings = [finding for intent in listed for finding in _checked(snapshot, intent)]
    if findings:
        return findings
    seen = tuple(row for row in snapshot.coverage if row.state != "empty")
    weak = any(row.state != "ok" for row in seen)
    claim = f"all {len(listed)} intents hold"
    return [
        Finding(
            "REACH-INTENTS-HOLD",
            "inconclusive" if weak else "confirmed",
            "info",
            (),
            claim,
            {"intents": [str(one) for one in listed]},
            LIMITS,
            seen,
        )
    ]


def _checked(snapshot: Snapshot, intent: Intent) -> list[Finding]:
    asked: dict[str, Any] = {"protocol": intent.protocol, "port": intent.port or None, "vpc": intent.vpc}
    found = []
    for source in _expanded(snapshot, intent.source):
        for destination in _expanded(snapshot, intent.destination):
            if source == destination:
                continue
            try:
                verdict = trace(snapshot, source=source, destination=destination, **asked)
            except InputError as problem:
                raise InputError(f"{intent.place}: {problem.what}", subject=str(intent), hint=problem.hint) from None
            found += _judged(snapshot, intent, verdict)
    return found


def _expanded(snapshot: Snapshot, word: str) -> list[str]:
    """The ends that a pattern of Name tags stands for; a word without * or ? stands for itself. Raises InputError for none."""
    if not any(mark in word for mark in "*?["):
        return [word]
    network = network_of(snapshot)
    held = [
        name
        for name, ids in network.names.items()
        if fnmatchcase(name, word) and any(one.startswith(("i-", "eni-", "arn:")) for one in ids)
    ]
    if not held:
        raise InputError(
            f"no Name tag matches {word}", hint="names of instances, interfaces and load balancers are looked at"
        )
    return sorted(held)


def _judged(snapshot: Snapshot, intent: Intent, verdict: Verdict) -> list[Finding]:
    if (verdict.status, intent.expect) in (("REACHABLE", "allow"), ("NOT_REACHABLE", "deny")):
        return []
    seen = rests_on(verdict, snapshot)
    subject = (verdict.source, verdict.destination, *(one.component for one in verdict.blockers))
    evidence: dict[str, Any] = {
        "intent": str(intent),
        "place": intent.place,
        "why": intent.why,
        "verdict": verdict.status,
        "blockers": [str(one) for one in verdict.blockers],
    }
    ends = {"source": verdict.source, "destination": verdict.destination}
    step = run_command("40_reachability_debugging", **ends, protocol=intent.protocol, port=intent.port or None)
    if verdict.status == "UNKNOWN":
        why = "; ".join(str(one) for one in verdict.unknowns[:2])
        return [
            Finding(
                "REACH-INTENT-UNKNOWN",
                "inconclusive",
                "medium",
                subject,
                f"whether {verdict.question} gets through, as {intent.place} asks, is not known: {why}",
                evidence,
                LIMITS,
                seen,
                step,
            )
        ]
    what = (
        "gets through, and must not"
        if intent.expect == "deny"
        else f"does not get through, and must: {verdict.blockers[0].because}"
    )
    weak = any(row.state != "ok" for row in seen)
    return [
        Finding(
            "REACH-INTENT-VIOLATED",
            "inconclusive" if weak else "confirmed",
            "high",
            subject,
            f"{verdict.question} {what} ({intent.why})",
            evidence,
            LIMITS,
            seen,
            step,
        )
    ]
