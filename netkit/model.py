"""Frozen values shared by all wings: Window, Flow, Coverage, Finding. No I/O, no AWS package."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from netkit.errors import FindingError, InputError, WindowError
from netkit.net import parse_address, protocol_name, protocol_number

Status = Literal["confirmed", "refuted", "inconclusive"]
Severity = Literal["info", "low", "medium", "high", "critical"]

STATUSES: tuple[Status, ...] = ("confirmed", "refuted", "inconclusive")
SEVERITIES: tuple[Severity, ...] = ("info", "low", "medium", "high", "critical")
COVERAGE_STATES = ("ok", "empty", "denied", "skipped")

_RELATIVE = re.compile(r"^last\s*(\d+)\s*([mhdw])$")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, order=True)
class Window:
    """A half-open span of time [start, end) in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name, moment in (("start", self.start), ("end", self.end)):
            if moment.tzinfo is None:
                raise WindowError(
                    f"the window's {name} {moment.isoformat()} has no time zone",
                    hint='write UTC, as "2026-11-19T08:00:00Z"; netkit never guesses local time',
                )
            object.__setattr__(self, name, moment.astimezone(UTC))
        if self.end <= self.start:
            raise WindowError(
                f"the window {self} is {'empty' if self.end == self.start else 'reversed'}",
                hint="end must come after start",
            )

    @classmethod
    def parse(cls, start: str, end: str = "", *, now: datetime | None = None) -> Window:
        """A window from two ISO 8601 times in UTC, or from "last 6h" (m, h, d, w) up to `now`.

        Raises WindowError for a time without a zone or with one other than UTC, and for an empty or reversed window.
        """
        if relative := _RELATIVE.match(start.strip().lower()):
            if end:
                raise WindowError(
                    f"the window start {start!r} is relative, so it takes no end", hint='leave the end ""'
                )
            upto = now or datetime.now(UTC)
            return cls(upto - timedelta(**{_UNITS[relative[2]]: int(relative[1])}), upto)
        return cls(_utc(start, "start"), _utc(end, "end"))

    @property
    def seconds(self) -> int:
        """Length in seconds."""
        return int((self.end - self.start).total_seconds())

    def epoch(self) -> tuple[int, int]:
        """(start, end) as Unix seconds, the unit of the flow-log fields start and end."""
        return int(self.start.timestamp()), int(self.end.timestamp())

    def widened(self, *, before: timedelta = timedelta(0), after: timedelta = timedelta(0)) -> Window:
        """The window with `before` and `after` added at its ends."""
        return Window(self.start - before, self.end + after)

    def hours(self) -> Iterator[datetime]:
        """Every whole UTC hour that the window touches, in order."""
        hour = self.start.replace(minute=0, second=0, microsecond=0)
        while hour < self.end:
            yield hour
            hour += timedelta(hours=1)

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%dT%H:%M:%SZ} to {self.end:%Y-%m-%dT%H:%M:%SZ}"


def _utc(text: str, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise WindowError(
            f"the window's {name} {text!r} is not a time",
            hint='write ISO 8601 in UTC, as "2026-11-19T08:00:00Z", or "last 6h"',
        ) from None
    if moment.tzinfo is None or moment.utcoffset() != timedelta(0):
        raise WindowError(
            f"the window's {name} {text!r} is not in UTC", hint="end it with Z; AWS writes flow logs in UTC"
        )
    return moment


@dataclass(frozen=True)
class Flow:
    """A 5-tuple. Ports are None where the protocol has none (or any is meant)."""

    protocol: int
    source: str
    destination: str
    source_port: int | None = None
    destination_port: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "protocol", protocol_number(self.protocol))
        object.__setattr__(self, "source", parse_address(self.source))
        object.__setattr__(self, "destination", parse_address(self.destination))

    def reply(self) -> Flow:
        """The same conversation seen from the other end."""
        return Flow(self.protocol, self.destination, self.source, self.destination_port, self.source_port)

    def __str__(self) -> str:
        def end(address: str, port: int | None) -> str:
            return address if port is None else (f"[{address}]:{port}" if ":" in address else f"{address}:{port}")

        return f"{protocol_name(self.protocol)} {end(self.source, self.source_port)} -> {end(self.destination, self.destination_port)}"


@dataclass(frozen=True)
class Coverage:
    """How much of one table was seen: account, region, table, state (ok, empty, denied, skipped), rows, skipped."""

    account: str
    region: str
    table: str
    state: str
    rows: int = 0
    skipped: int = 0
    note: str = ""

    def __post_init__(self) -> None:
        if self.state not in COVERAGE_STATES:
            raise InputError(
                f"coverage state {self.state!r} is none of {', '.join(COVERAGE_STATES)}", subject=self.table
            )

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        note = f" ({self.note})" if self.note else ""
        return (
            f"{self.table} in {self.account or '-'}/{self.region or '-'}: {self.state}, {self.rows} rows{skipped}{note}"
        )


@dataclass(frozen=True)
class Finding:
    """One thing that an investigation says, with what it rests on.

    code       stable and upper case, WING-WHAT, as FLOW-PORT-SCAN
    status     confirmed, refuted or inconclusive
    severity   info, low, medium, high or critical
    subject    resource ids or addresses
    claim      one sentence that a person understands
    evidence   JSON values: numbers with units in their names, rows, resource ids
    limits     what this finding cannot know
    coverage   the tables it rests on
    next_step  what to do now, as a sentence or a command line

    Raises FindingError for a word out of these lists, an empty claim, and for a confirmed finding that rests on a table
    whose coverage is other than ok: that is inconclusive at best.
    """

    code: str
    status: Status
    severity: Severity
    subject: tuple[str, ...]
    claim: str
    evidence: dict[str, Any] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    next_step: str = ""

    def __post_init__(self) -> None:
        for name in ("subject", "limits", "coverage"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str | Coverage) else tuple(value))
        if not re.fullmatch(r"[A-Z][A-Z0-9]*(-[A-Z0-9]+)+", self.code):
            raise FindingError(f"finding code {self.code!r} is not of the form WING-WHAT", hint="as FLOW-PORT-SCAN")
        _one_of("status", self.status, STATUSES, self.code)
        _one_of("severity", self.severity, SEVERITIES, self.code)
        if not self.claim.strip():
            raise FindingError("a finding needs a claim", subject=self.code, hint="say in one sentence what was found")
        weak = [str(row) for row in self.coverage if row.state != "ok"]
        if self.status == "confirmed" and weak:
            raise FindingError(
                f"a confirmed finding rests on coverage that is not ok: {weak[0]}",
                subject=self.code,
                hint='collect the table, or publish the finding as "inconclusive"',
            )
        try:
            json.dumps(self.as_dict())
        except TypeError as problem:
            raise FindingError(
                f"the evidence is not JSON: {problem}", subject=self.code, hint="use plain numbers, strings and lists"
            ) from None

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON values, tuples as lists."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def at_least(self, severity: Severity) -> bool:
        """Whether the finding is of that severity or a higher one."""
        return SEVERITIES.index(self.severity) >= SEVERITIES.index(severity)

    def __str__(self) -> str:
        return f"{self.code} [{self.status}, {self.severity}] {self.claim}"

    def _repr_html_(self) -> str:
        rows = {
            "claim": self.claim,
            "subject": ", ".join(self.subject),
            "next step": self.next_step,
            "limits": "; ".join(self.limits),
        }
        cells = "".join(f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in rows.items() if text)
        return f"<p><b>{html.escape(self.code)}</b> {self.status}, {self.severity}</p><table>{cells}</table>"


def _one_of(name: str, value: str, allowed: Sequence[str], subject: str) -> None:
    if value not in allowed:
        raise FindingError(f"{name} {value!r} is none of {', '.join(allowed)}", subject=subject)
