"""Observations: a named atom of one system, about one subject, in one of four states. Pure.

could-not-see is never seen-not: who makes an observation says "seen-not" only where what allows it holds (the interface is logged with ALL,
the lag has passed, the trail covers region and time, the metric has points).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import pandas as pd

State = Literal["seen", "seen-not", "could-not-see", "not-looked"]
STATES: tuple[State, ...] = ("seen", "seen-not", "could-not-see", "not-looked")
SYSTEMS = {
    "c": "configuration",
    "f": "flow logs",
    "p": "packets",
    "m": "metrics",
    "t": "CloudTrail",
    "d": "DNS",
    "o": "other logs",
}
OBSERVATION_COLUMNS = ("atom", "system", "subject", "state", "since", "says", "rests_on")


@dataclass(frozen=True, order=True)
class Observation:
    """One atom's state.

    atom      a letter of its system, a hyphen, the name: f-request-refused-in; the deciding atom of a fault is c-, m-, … and its code
    subject   the resource that it is about, "" for the path as a whole
    since     when it began, where it has a beginning
    says      a sentence with the numbers
    rests_on  what it was read from: tables, records, event ids
    """

    atom: str
    subject: str
    state: State
    says: str = ""
    since: datetime | None = None
    rests_on: tuple[str, ...] = ()

    @property
    def system(self) -> str:
        """The system that it is of, in a word."""
        return SYSTEMS[self.atom[0]]


def once(observations: Iterable[Observation]) -> dict[tuple[str, str], Observation]:
    """Observations by (atom, subject), each once, whatever their order: seen counts before seen-not, and either before a blank."""
    found: dict[tuple[str, str], Observation] = {}
    for one in sorted(observations, key=_strength):
        found.setdefault((one.atom, one.subject), one)
    return found


def _strength(one: Observation) -> tuple[object, ...]:
    return (
        one.atom,
        one.subject,
        STATES.index(one.state),
        one.since.timestamp() if one.since else 0.0,
        one.says,
        one.rests_on,
    )


def frame(observations: Iterable[Observation]) -> pd.DataFrame:
    """One row an observation: atom, system, subject, state, since, says, rests_on."""
    rows = [
        (one.atom, one.system, one.subject, one.state, one.since, one.says, ", ".join(one.rests_on))
        for one in once(observations).values()
    ]
    return pd.DataFrame(rows, columns=list(OBSERVATION_COLUMNS))
