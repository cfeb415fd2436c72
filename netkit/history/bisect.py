"""The first bad state: over snapshots in a row, the first in which a path breaks, in few traces; and the write that broke it. Pure.

Between two snapshots the trail's writes are played on one by one, so that what was changed and changed back is found too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from netkit.core.errors import InputError
from netkit.core.model import Verdict
from netkit.history.trail import Trail, Write
from netkit.history.unroll import TOUCHES, played
from netkit.reach.network.snapshot import Snapshot

Tracer = Callable[[Snapshot], Verdict]


@dataclass(frozen=True)
class FirstBad:
    """The first state in which a path is not open.

    time      of the first bad snapshot, or of the write that broke it where the trail has it; None where every state is good
    good      time of the last good snapshot before it, None where none was
    write     the write after which the path is broken, None where the trail does not say
    until     time of the write that mended it, where it was mended between two snapshots
    verdict   of the first bad state
    traces    how many traces it took
    """

    time: datetime | None
    good: datetime | None = None
    write: Write | None = None
    until: datetime | None = None
    verdict: Verdict | None = None
    traces: int = 0


def first_bad(states: Sequence[tuple[datetime, Snapshot]], ask: Tracer, trail: Trail | None = None) -> FirstBad:
    """The first of some snapshots (in order of time) in which the path is not open, in at most log2(N) + 2 traces of them.

    ask: the trace of a snapshot. A path that is good at both ends is looked for in the trail, write by write. Raises InputError for no snapshot.
    """
    if not states:
        raise InputError("there is no snapshot to look at", hint="name folders of snapshots, oldest first")
    counted = _Counted(ask)
    verdict = counted(states[-1][1])
    if verdict.reachable:
        return _between(states, counted, trail)
    low, high = -1, len(states) - 1
    while high - low > 1:
        middle = (low + high) // 2
        found = counted(states[middle][1])
        if found.reachable:
            low = middle
        else:
            high, verdict = middle, found
    if low < 0:
        return FirstBad(states[0][0], verdict=verdict, traces=counted.traces)
    broke = _breaking(states[low], states[high][0], ask, trail)
    write = broke[0] if broke else None
    return FirstBad(write.time if write else states[high][0], states[low][0], write, None, verdict, counted.traces)


class _Counted:
    """A trace that counts how often it was asked."""

    def __init__(self, ask: Tracer) -> None:
        self.ask, self.traces = ask, 0

    def __call__(self, snapshot: Snapshot) -> Verdict:
        self.traces += 1
        return self.ask(snapshot)


def _breaking(
    good: tuple[datetime, Snapshot], until: datetime, ask: Tracer, trail: Trail | None
) -> tuple[Write, Verdict] | None:
    """The first write after a good snapshot that, played on, breaks the path; with the verdict after it."""
    if trail is None:
        return None
    held = good[1]
    for write in trail.writes:
        if write.refused or write.event not in TOUCHES or not good[0] < write.time <= until:
            continue
        step = played(held, [write])
        if not step.done:
            continue
        held = step.snapshot
        verdict = ask(held)
        if verdict.status == "NOT_REACHABLE":
            return write, verdict
    return None


def _between(states: Sequence[tuple[datetime, Snapshot]], counted: _Counted, trail: Trail | None) -> FirstBad:
    """Both ends are good: what the trail changed and changed back between two snapshots."""
    for number, (time, snapshot) in enumerate(states):
        end = states[number + 1][0] if number + 1 < len(states) else datetime.max.replace(tzinfo=time.tzinfo)
        broke = _breaking((time, snapshot), end, counted.ask, trail)
        if broke is None:
            continue
        write, verdict = broke
        later = [
            one
            for one in (trail.writes if trail else ())
            if time < one.time <= end and not one.refused and one.event in TOUCHES
        ]
        held, mended = snapshot, None
        for one in later:
            held = played(held, [one]).snapshot
            if one.time > write.time and counted.ask(held).reachable:
                mended = one.time
                break
        return FirstBad(write.time, time, write, mended, verdict, counted.traces)
    return FirstBad(None, states[-1][0], traces=counted.traces)
