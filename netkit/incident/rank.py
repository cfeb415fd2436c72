"""The ranking: hypotheses, their points, and how sure that is. Pure, integers, independent of order and repetition.

A hypothesis is (fault, resource). Every atom that its fault predicts adds its points where it was seen, takes them off where it was seen not to be,
and adds nothing where nobody could see. Atoms of one physical fact count once: the one that says most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from netkit.incident.atoms import Observation, once
from netkit.incident.faults import POINTS, Fault, fact_of

Standing = Literal["proved", "likely", "open", "unknown"]
SURE, AHEAD = 20, 10  # decibans before the next that make a cause proved, or likely


@dataclass(frozen=True)
class Point:
    """One atom's part in a hypothesis' points."""

    atom: str
    points: int
    observation: Observation

    def __str__(self) -> str:
        return f"{self.points:+d} {self.atom}: {self.observation.says}"


@dataclass(frozen=True)
class Hypothesis:
    """A suspect: a fault at a resource, since when, and who changed it, with the change's words."""

    fault: str
    resource: str
    since: datetime | None = None
    actor: str = ""
    change: str = ""
    change_id: str = ""


@dataclass(frozen=True)
class Ranked:
    """A hypothesis with its points. why and against: points above and below 0, the most first; decided: its own deciding atom was seen."""

    hypothesis: Hypothesis
    points: int
    why: tuple[Point, ...]
    against: tuple[Point, ...]
    decided: bool
    blind: tuple[str, ...]
    standing: Standing = "open"
    rank: int = 0


def points_of(fault: Fault, resource: str, seen: Mapping[tuple[str, str], Observation]) -> list[Point]:
    """The points that observations give a fault at a resource: one a physical fact."""
    best: dict[str, Point] = {}
    for atom, word in fault.predicts.items():
        one = seen.get((atom, resource)) or seen.get((atom, ""))
        if one is None or one.state not in ("seen", "seen-not"):
            continue
        worth = POINTS[word] if one.state == "seen" else -POINTS[word]
        point = Point(atom, worth, one)
        held = best.get(fact_of(atom))
        if worth and (held is None or _weight(point) > _weight(held)):
            best[fact_of(atom)] = point
    return sorted(best.values(), key=lambda point: (-abs(point.points), point.atom))


def _weight(point: Point) -> tuple[int, int, str]:
    return abs(point.points), -point.points, point.atom  # of equal weight, what speaks against


def rank(
    hypotheses: Iterable[Hypothesis], observations: Iterable[Observation], faults: Mapping[str, Fault]
) -> list[Ranked]:
    """Hypotheses with points, most first; equal ones by name. Standing is of each beside the best other."""
    seen = once(observations)
    rows = [_one(one, faults[one.fault], seen) for one in sorted(set(hypotheses), key=_name)]
    rows.sort(key=lambda row: (-row.points, not row.decided, _name(row.hypothesis)))
    return [_placed(number, row, rows) for number, row in enumerate(rows, start=1)]


def _name(one: Hypothesis) -> tuple[str, str, float, str]:
    return one.fault, one.resource, one.since.timestamp() if one.since else 0.0, one.actor


def _one(one: Hypothesis, fault: Fault, seen: Mapping[tuple[str, str], Observation]) -> Ranked:
    points = points_of(fault, one.resource, seen)
    if one.change_id:
        said = Observation("t-change", one.resource, "seen", one.change, one.since, (one.change_id,))
        points.append(Point("t-change", POINTS["likely"], said))
    decided = any(
        (held := seen.get((atom, one.resource))) is not None and held.state == "seen" for atom in fault.decides
    )
    blind = tuple(sorted({atom for atom in fault.predicts if _blind(atom, one.resource, seen)}))
    why = tuple(point for point in points if point.points > 0)
    against = tuple(point for point in points if point.points < 0)
    return Ranked(one, sum(point.points for point in points), why, against, decided, blind)


def _blind(atom: str, resource: str, seen: Mapping[tuple[str, str], Observation]) -> bool:
    one = seen.get((atom, resource)) or seen.get((atom, ""))
    return one is None or one.state in ("could-not-see", "not-looked")


def _placed(number: int, row: Ranked, rows: Sequence[Ranked]) -> Ranked:
    others = [other.points for other in rows if other.hypothesis != row.hypothesis and other.decided]
    lead = row.points - max(others, default=row.points - 2 * SURE)
    systems = {point.observation.system for point in row.why if point.points >= POINTS["likely"]}
    standing: Standing = "unknown"
    if row.decided and row.points > 0:
        standing = "open"
        if lead >= SURE and len(systems) >= 2 and not row.against:
            standing = "proved"
        elif lead >= AHEAD:
            standing = "likely"
    return Ranked(row.hypothesis, row.points, row.why, row.against, row.decided, row.blind, standing, number)
