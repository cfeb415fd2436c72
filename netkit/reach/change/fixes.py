"""The smallest changes that open a blocked path: what to change, the proof, and what it would open besides. Pure.

    for fix in propose(snapshot, source="web", destination="db", protocol="tcp", port=5432):
        fix.changes, fix.proof, fix.blast

Each blocker of the verdict is answered by the narrowest change known, the path is traced on the changed snapshot, and so on
until it is open or nothing more can be done. A change without which the path is open too is left out. Other ways to open
the same blockers are alternatives, ordered by what they open besides: to the internet first, then to other hosts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from netkit.core.errors import InputError
from netkit.core.look import block
from netkit.core.model import Blocker, Finding, Verdict
from netkit.core.tables import frame_html
from netkit.core.text import escaped, list_html
from netkit.reach.change.blast import Blast, Pair, Yardstick
from netkit.reach.change.changes import Change, apply, destination_of, revert
from netkit.reach.change.options import Question, Ways, narrow_places, ways
from netkit.reach.explain import LIMITS, rests_on
from netkit.reach.network.ends import End
from netkit.reach.network.network import network_of
from netkit.reach.network.snapshot import Snapshot

__all__ = [
    "Change",
    "Fix",
    "Question",
    "apply",
    "apply_all",
    "changes_frame",
    "fix_findings",
    "opens_frame",
    "propose",
    "revert",
]

CHANGE_COLUMNS = ("order", "component", "operation", "why", "command", "reverse", "notes")
OPENS_COLUMNS = ("effect", "source", "destination", "source_name", "destination_name", "protocol", "port")
_BLOCKERS, _ALTERNATIVES = 24, 6


@dataclass(frozen=True)
class Fix:
    """Changes that open a path, and their proof.

    changes   in the order in which they are made
    proof     the trace on the changed snapshot
    blast     what they open and close besides, for the same protocol and port
    decide    what somebody has to decide before a rule can be named
    remains   what no change known to netkit opens, and what is not known
    rank      1 is the fix that opens least besides
    """

    question: Question
    changes: tuple[Change, ...]
    proof: Verdict
    blast: Blast
    decide: tuple[str, ...] = ()
    remains: tuple[str, ...] = ()
    rank: int = 1
    after: Snapshot | None = field(default=None, repr=False, compare=False)

    @property
    def works(self) -> bool:
        """Whether the path is open on the changed snapshot."""
        return self.proof.reachable

    @property
    def steps(self) -> str:
        """All its `aws` lines in their order, and as comments below them the lines that take them back, the last change first.

        A shell runs it as it stands; "" where the fix does not open the path. The id of an exclusion from Block Public Access
        is AWS's answer, so the line that takes it back looks it up.
        """
        if not (self.works and self.changes):
            return ""
        back = [f"# {change.undo}" for change in reversed(self.changes)]
        return "\n".join([*(change.command for change in self.changes), "# to take it back:", *back])

    @property
    def opens(self) -> tuple[Pair, ...]:
        """Pairs of interfaces newly reachable besides the path asked for."""
        return self.blast.opened

    @property
    def status(self) -> str:
        """works, decide (somebody has to), or incomplete."""
        return "works" if self.works else "decide" if self.decide else "incomplete"

    def __str__(self) -> str:
        lines = [f"{self.status}: {self.proof.question}"]
        for number, change in enumerate(self.changes, 1):
            lines += [f"  {number}. {change.why}", f"     {change.command}"]
            lines += [f"     note: {note}" for note in change.notes]
        lines += [f"  to decide: {text}" for text in self.decide] + [f"  remains: {text}" for text in self.remains]
        return "\n".join([*lines, f"  opens besides: {self.blast}"] if self.works else lines)

    def _repr_html_(self) -> str:
        head = f"<p><b>fix {self.rank}: {self.status}</b> {escaped(self.proof.question)}</p>"
        shown = frame_html(changes_frame(self).drop(columns="operation")) if self.changes else ""
        besides = f"<p>opens besides: {escaped(str(self.blast))}</p>" if self.works else ""
        return block(head + shown + list_html("To decide", self.decide) + list_html("Remains", self.remains) + besides)


def propose(
    snapshot: Snapshot,
    *,
    source: str,
    destination: str,
    protocol: str | int = "tcp",
    port: int | str | None = None,
    source_port: int | str | None = None,
    icmp_type: int | None = None,
    icmp_code: int | None = None,
    vpc: str = "",
    wide: bool = False,
) -> list[Fix]:
    """Fixes of a blocked path, the one that opens least besides first; none for a path that is open.

    The parameters are those of trace(). wide lets rules name the whole internet and Block Public Access be excluded; without
    it such a fix says what has to be decided. A verdict that is UNKNOWN, or that nothing opens, gives one fix that says what
    remains.

    Raises InputError as trace() does.
    """
    question = Question(source, destination, protocol, port, source_port, icmp_type, icmp_code, vpc)
    first = question.ask(snapshot)
    if first.reachable:
        return []
    drafts = _drafts(snapshot, question, wide)
    asked, yardstick = _pair(snapshot, question), Yardstick(snapshot, question)
    fixes = [_fix(yardstick, draft, asked) for draft in drafts]
    working = [fix for fix in fixes if fix.works] or fixes[:1]
    order = sorted(working, key=lambda fix: (*fix.blast.size[:2], len(fix.changes), fix.blast.size[2]))
    return [replace(fix, rank=rank) for rank, fix in enumerate(order, 1)]


def apply_all(snapshot: Snapshot, changes: Sequence[Change]) -> Snapshot:
    """The snapshot after several changes, in their order."""
    for change in changes:
        snapshot = apply(snapshot, change)
    return snapshot


# --- drafts


@dataclass(frozen=True)
class _Draft:
    """Changes, the snapshot and verdict after them; widths: how many ways there are for each blocker answered."""

    changes: tuple[Change, ...]
    after: Snapshot
    verdict: Verdict
    decide: tuple[str, ...]
    remains: tuple[str, ...]
    widths: Mapping[str, int]

    @property
    def keys(self) -> frozenset[str]:
        """Its changes, whatever their order."""
        return frozenset(change.key for change in self.changes)


def _drafts(snapshot: Snapshot, question: Question, wide: bool) -> list[_Draft]:
    """The narrowest way to answer each blocker, and others that differ from it in one answer."""
    base = _draft(snapshot, question, wide, {})
    found = [base]
    for key, width in base.widths.items():
        for place in range(1, width):
            if len(found) > _ALTERNATIVES:
                return found
            other = _draft(snapshot, question, wide, {key: place})
            if other.keys not in [one.keys for one in found] and not _twice(other):
                found.append(other)
    return found


def _said(blocker: Blocker, reason: str) -> str:
    return f"{blocker.code} at {blocker.component} cannot be fixed by a change of configuration that netkit knows: {reason}"


def _in_the_way(snapshot: Snapshot, verdict: Verdict) -> list[Blocker]:
    """The blockers of a verdict; where it is UNKNOWN for the client's port, the network ACLs that make it so."""
    if verdict.status == "UNKNOWN" and any(one.what == "client port" for one in verdict.unknowns):
        return narrow_places(snapshot, verdict)
    return verdict.blockers


def _twice(draft: _Draft) -> bool:
    """Whether one change undoes another: a route that is made, and then turned elsewhere."""
    held = [(one.component, destination_of(one.request.request)) for one in draft.changes]
    routes = [one for one in held if one[1]]
    return len(set(routes)) < len(routes)


def _draft(snapshot: Snapshot, question: Question, wide: bool, chosen: Mapping[str, int]) -> _Draft:
    now, verdict = snapshot, question.ask(snapshot)
    changes: list[Change] = []
    widths: dict[str, int] = {}
    decide: dict[str, None] = {}
    remains: dict[str, str] = {}
    tried: set[str] = set()
    while waiting := [one for one in _in_the_way(now, verdict) if _key(one) not in tried][: _BLOCKERS - len(tried)]:
        key = _key(waiting[0])
        tried.add(key)
        found = ways(now, question, verdict, waiting[0], wide=wide)
        choices = _ranked(now, question, found, key)
        if not choices:
            decide.update(dict.fromkeys([found.decide] if found.decide else []))
            remains.update({key: _said(waiting[0], found.reason)} if found.reason else {})
            continue
        widths[key] = len(choices)
        for change in choices[min(chosen.get(key, 0), len(choices) - 1)]:
            changes.append(change)
            now = apply(now, change)
        verdict = question.ask(now)
    return _finished(
        snapshot, question, _Draft(tuple(changes), now, verdict, tuple(decide), tuple(remains.values()), widths)
    )


def _finished(snapshot: Snapshot, question: Question, draft: _Draft) -> _Draft:
    """Without the changes that turn out not to be needed, and with what is still in the way."""
    verdict = draft.verdict
    if verdict.reachable:
        return _pruned(snapshot, question, replace(draft, decide=(), remains=()))
    still = [f"not known: {one}" for one in verdict.unknowns]
    told = " ".join((*draft.remains, *draft.decide))
    if not draft.decide:
        still += [
            f"{one.code} at {one.component} is still in the way: {one.because}" for one in verdict.blockers if f"{one.code} at {one.component}" not in told
        ]  # fmt: skip
    return replace(draft, remains=(*draft.remains, *still))


def _pruned(snapshot: Snapshot, question: Question, draft: _Draft) -> _Draft:
    """A blocker that stood only on a way not taken any more needs no change."""
    changes = list(draft.changes)
    for change in list(changes) if len(changes) > 1 else []:
        rest = [one for one in changes if one is not change]
        after = apply_all(snapshot, rest)
        verdict = question.ask(after)
        if rest and verdict.reachable:
            changes, draft = rest, replace(draft, after=after, verdict=verdict)
    return replace(draft, changes=tuple(changes))


def _key(blocker: Blocker) -> str:
    return " ".join((blocker.leg, blocker.code, blocker.component, blocker.direction, blocker.where))


def _ranked(now: Snapshot, question: Question, found: Ways, key: str) -> list[tuple[Change, ...]]:
    """Ways to open a blocker, those first that do open it and leave least in the way."""

    def left(choice: tuple[Change, ...]) -> tuple[bool, int, int]:
        verdict = question.ask(apply_all(now, choice))
        return key in map(_key, _in_the_way(now, verdict)), len(verdict.blockers), len(verdict.unknowns)

    tried = [(left(choice), place, choice) for place, choice in enumerate(found.choices)]
    useful = [one for one in tried if not one[0][0]]
    return [choice for _, _, choice in sorted(useful, key=lambda one: one[:2])]


def _pair(snapshot: Snapshot, question: Question) -> Pair:
    """The interfaces at both ends, "internet" where an end is outside."""

    def named(end: End) -> str:
        return end.interface.id if end.interface else "internet" if end.kind in ("internet", "address") else end.id

    source, destination = question.ends(network_of(snapshot))
    return named(source), named(destination)


def _fix(yardstick: Yardstick, draft: _Draft, asked: Pair) -> Fix:
    works = draft.verdict.reachable
    seen = yardstick.measure(draft.after, draft.changes, asked) if works else Blast(asked=asked)
    question = yardstick.question
    return Fix(question, draft.changes, draft.verdict, seen, draft.decide, draft.remains, after=draft.after)


# --- for the notebook


def changes_frame(fix: Fix) -> pd.DataFrame:
    """The changes in order: CHANGE_COLUMNS; command and reverse are lines for the AWS command line."""
    rows = [
        (number, one.component, one.request.operation, one.why, one.command, one.undo, "; ".join(one.notes))
        for number, one in enumerate(fix.changes, 1)
    ]
    return pd.DataFrame(rows, columns=list(CHANGE_COLUMNS))


def opens_frame(fix: Fix) -> pd.DataFrame:
    """What the fix opens and closes, the path that it is for first: OPENS_COLUMNS.

    effect is asked, opens, closes, opens to the internet or opens from the internet; ends are interfaces or "internet".
    """
    seen, names = fix.blast, _names(fix.after)
    held: list[tuple[str, str, str]] = [("asked", *seen.asked)] if fix.works else []
    held += [("opens from the internet", "internet", one) for one in seen.from_internet]
    held += [("opens to the internet", one, "internet") for one in seen.to_internet]
    held += [("opens", *pair) for pair in seen.opened] + [("closes", *pair) for pair in seen.closed]
    rows = [
        (
            effect,
            source,
            destination,
            names.get(source, ""),
            names.get(destination, ""),
            fix.proof.protocol,
            fix.proof.port,
        )
        for effect, source, destination in held
    ]
    return pd.DataFrame(rows, columns=list(OPENS_COLUMNS))


def _names(snapshot: Snapshot | None) -> dict[str, str]:
    if snapshot is None:
        return {}
    network = network_of(snapshot)
    instances = {one.id: one.name for one in network.instances.values()}
    return {one.id: one.name or instances.get(one.instance, "") for one in network.interfaces.values()}


def fix_findings(fixes: Sequence[Fix], snapshot: Snapshot) -> list[Finding]:
    """REACH-FIX: what to change to open the path (confirmed when the trace proves it), or why no change does."""
    if not fixes:
        return []
    best = fixes[0]
    seen = rests_on(best.proof, snapshot)
    weak = any(row.state != "ok" for row in seen)
    evidence: dict[str, Any] = {
        "question": best.proof.question,
        "verdict_after": best.proof.status,
        "changes": [{"component": one.component, "why": one.why, "command": one.command, "reverse": one.undo} for one in best.changes],
        "opens_pairs": best.blast.size[2],
        "closes_pairs": best.blast.size[0],
        "from_internet": list(best.blast.from_internet),
        "to_internet": list(best.blast.to_internet),
        "alternatives": len(fixes) - 1,
    }  # fmt: skip
    subject = tuple(dict.fromkeys(one.component for one in best.changes)) or (best.proof.source, best.proof.destination)
    limits = (*(note for one in best.changes for note in one.notes), *LIMITS)
    if best.works:
        claim = f"{best.proof.question} gets through after {len(best.changes)} {'change' if len(best.changes) == 1 else 'changes'}: {'; '.join(one.why for one in best.changes)}. Besides it opens: {best.blast}"
        step = best.steps
        return [
            Finding(
                "REACH-FIX",
                "inconclusive" if weak else "confirmed",
                "info",
                subject,
                claim,
                evidence,
                limits,
                seen,
                step,
            )
        ]
    what = "; ".join((*best.decide, *best.remains))
    claim = f"{best.proof.question} is not opened by a change that netkit can name: {what}"
    step = "decide, and ask again" if best.decide else "change what is named by hand"
    return [Finding("REACH-FIX", "inconclusive", "medium", subject, claim, evidence, limits, seen, step)]


def fix_of(fixes: Sequence[Fix], rank: int = 1) -> Fix:
    """The fix of a rank. Raises InputError when there is none, or when it does not open the path."""
    found = next((fix for fix in fixes if fix.rank == rank), None)
    if found is None:
        raise InputError(f"there is no fix {rank}", hint=f"there are {len(fixes)}; a path that is open needs none")
    if not found.works:
        raise InputError(f"fix {rank} does not open the path", subject="; ".join((*found.decide, *found.remains))[:300])
    return found
