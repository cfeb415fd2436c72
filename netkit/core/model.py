"""Frozen values shared by all wings: Window, Flow, Coverage, Finding, Hop, Verdict. No I/O, no AWS package."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from netkit.core.errors import FindingError, InputError, WindowError
from netkit.core.net import parse_address, protocol_name, protocol_number
from netkit.core.text import escaped, list_html, pairs_html

Status = Literal["confirmed", "refuted", "inconclusive"]
Severity = Literal["info", "low", "medium", "high", "critical"]

STATUSES: tuple[Status, ...] = ("confirmed", "refuted", "inconclusive")
SEVERITIES: tuple[Severity, ...] = ("info", "low", "medium", "high", "critical")
COVERAGE_STATES = ("ok", "empty", "denied", "skipped")
# Days that logs:PutRetentionPolicy takes (CloudWatch Logs API Reference); botocore's model has them not as an enumeration.
RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)

_RELATIVE = re.compile(r"^last\s*(\d+)\s*([mhdw])$")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def check_retention(days: int) -> int:
    """Days for which CloudWatch Logs keeps events, or 0 for ever. Raises InputError that names the nearest it takes."""
    if days and days not in RETENTION_DAYS:
        near = min(RETENTION_DAYS, key=lambda one: abs(one - days))
        raise InputError(
            f"CloudWatch Logs keeps no events for {days} days", hint=f"the nearest is {near}; 0 is for ever"
        )
    return days


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
            try:
                since = upto - timedelta(**{_UNITS[relative[2]]: int(relative[1])})
            except OverflowError:
                raise WindowError(
                    f"the window {start[:40]!r} begins before the first year", hint='as "last 6h"'
                ) from None
            return cls(since, upto)
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
class Header:
    """The packets at one point of a path, as AWS writes them: CIDR blocks, and ports as "443" or "1024-65535".

    protocol is a name or number, or "all". Ports are empty where the protocol has none.
    """

    protocol: str
    source: tuple[str, ...]
    destination: tuple[str, ...]
    source_ports: tuple[str, ...] = ()
    destination_ports: tuple[str, ...] = ()

    def __str__(self) -> str:
        def end(blocks: tuple[str, ...], ports: tuple[str, ...]) -> str:
            shown = blocks[0] if len(blocks) == 1 else f"{blocks[0]} and {len(blocks) - 1} more" if blocks else "none"
            return shown.removesuffix("/32").removesuffix("/128") + (f" port {','.join(ports)}" if ports else "")

        return (
            f"{self.protocol} {end(self.source, self.source_ports)} -> {end(self.destination, self.destination_ports)}"
        )


@dataclass(frozen=True)
class Rule:
    """The rule or route that decided, whatever table it is from.

    kind       security-group-rule, acl-rule, route or tgw-route
    direction  egress or ingress for the first two
    protocol   tcp, udp, ..., a number, or all
    ports      "443", "1024-65535", "" for every port; "type 8 code 0" for ICMP
    peer       the CIDR block, prefix list or security group that the rule names, or the route's destination
    action     allow or deny (acl-rule)
    number     rule number (acl-rule)
    target     where the route leads: "local" or an id
    state      active or blackhole (routes); origin: createroute, static, propagated, ...
    id         sgr-..., where it is known (AWS's analyzer does not say it)
    """

    kind: str
    direction: str = ""
    protocol: str = ""
    ports: str = ""
    peer: str = ""
    action: str = ""
    number: int | None = None
    target: str = ""
    state: str = ""
    origin: str = ""
    id: str | None = None

    def __str__(self) -> str:
        if self.kind in ("route", "tgw-route"):
            return f"{self.peer} -> {self.target}" + ("" if self.state in ("", "active") else f" ({self.state})")
        number = "" if self.number is None else f"rule {self.number if self.number < 32767 else '*'} "
        what = f"{self.protocol} {self.ports}".strip()
        return f"{number}{self.action or 'allow'} {what} {'to' if self.direction == 'egress' else 'from'} {self.peer}"


@dataclass(frozen=True)
class Hop:
    """One component on a path, in AWS's order.

    component    its id; "internet" where the path ends beyond AWS
    type         instance, network-interface, security-group, network-acl, route-table, internet-gateway, nat-gateway,
                 egress-only-internet-gateway, vpc-peering-connection, transit-gateway, transit-gateway-attachment,
                 transit-gateway-route-table, vpc-endpoint, vpn-gateway, vpn-connection, load-balancer, target-group, vpc, internet
    direction    egress or ingress, for a security group or network ACL
    rule         the rule or route that let the packets through, or that stopped them; None where none speaks
    inbound, outbound   the packets before and after, where the component changes them (and at the ends)
    subnet, vpc, attached_to   where it is
    blocked      whether the packets stop here; codes: AWS's explanation codes, when they do
    """

    component: str
    type: str
    direction: str = ""
    rule: Rule | None = None
    inbound: Header | None = None
    outbound: Header | None = None
    subnet: str = ""
    vpc: str = ""
    attached_to: str = ""
    name: str = ""
    blocked: bool = False
    codes: tuple[str, ...] = ()
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        label = f"{self.type} {self.component}" + (f" ({self.name})" if self.name else "")
        return ("x " if self.blocked else "  ") + label + (f": {self.rule}" if self.rule else "")


@dataclass(frozen=True)
class Blocker:
    """One thing that by itself keeps the packets from getting through.

    component  what has to change: a security group, network ACL, route table, gateway, interface, ...
    direction  egress or ingress, "" where it has none; leg: forward, or return for the replies
    code       AWS's explanation code (https://docs.aws.amazon.com/vpc/latest/reachability/explanation-codes.html)
    rule       the rule or route that denies; None where none allows
    because    a sentence that a person understands
    where      the network interface, subnet or gateway at which it happens
    components every component that would have to allow it, where several together do (all groups of an interface)
    """

    component: str
    direction: str
    code: str
    rule: Rule | None
    because: str
    leg: str = "forward"
    where: str = ""
    components: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.code} at {self.component} ({self.leg}): {self.because}"


@dataclass(frozen=True)
class Unknown:
    """Something that the verdict would need and does not have: what (table, call, component), and why."""

    what: str
    why: str
    code: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


VERDICTS = ("REACHABLE", "NOT_REACHABLE", "UNKNOWN")
# How the why of an unknown begins where nobody was asked; shown as that, not as UNKNOWN.
NOT_ASKED = "not asked"


@dataclass(frozen=True)
class Verdict:
    """Whether packets get from source to destination and their replies back, and by which hops.

    status     REACHABLE, NOT_REACHABLE (a blocker holds whatever else is unknown) or UNKNOWN (see unknowns)
    source, destination   as they were asked; protocol and port too ("" for none)
    forward, back   the hops there and of the replies
    blockers   everything that stops the packets by itself, not only the first
    unknowns   what is missing for a verdict
    notes      what a reader should know: assumptions, what was chosen among several, what is beyond the network
    origin     who says so: "snapshot", or an analysis id of AWS's
    passes     the packets that get through at the destination, None where none do
    """

    status: str
    source: str
    destination: str
    protocol: str
    port: str = ""
    forward: list[Hop] = field(default_factory=list)
    back: list[Hop] = field(default_factory=list)
    blockers: list[Blocker] = field(default_factory=list)
    unknowns: list[Unknown] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    origin: str = "snapshot"
    passes: Header | None = None

    def __post_init__(self) -> None:
        _one_of("verdict status", self.status, VERDICTS, self.source)

    @property
    def reachable(self) -> bool:
        """Whether the status is REACHABLE."""
        return self.status == "REACHABLE"

    @property
    def question(self) -> str:
        """What was asked, in words."""
        service = f"{self.protocol}/{self.port}" if self.port else self.protocol
        return f"{self.source} to {self.destination}" + (f", {service}" if service else "")

    def __str__(self) -> str:
        lines = [f"{self.status}: {self.question}"]
        lines += [f"  forward {hop}" for hop in self.forward] + [f"  back    {hop}" for hop in self.back]
        lines += [f"  blocked by {one}" for one in self.blockers] + [f"  unknown: {one}" for one in self.unknowns]
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])

    def _repr_html_(self) -> str:
        asked = not self.unknowns or not all(one.why.startswith(NOT_ASKED) for one in self.unknowns)
        return (
            f"<p><b>{self.status.replace('_', ' ') if asked else NOT_ASKED}</b> {escaped(self.question)}</p>"
            + list_html("Blocked by", self.blockers)
            + list_html("Unknown" if asked else "Why", self.unknowns)
            + list_html("Note", self.notes)
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
        cells = pairs_html({name: text for name, text in rows.items() if text})
        return f"<p><b>{escaped(self.code)}</b> {escaped(self.status)}, {escaped(self.severity)}</p>{cells}"


def _one_of(name: str, value: str, allowed: Sequence[str], subject: str) -> None:
    if value not in allowed:
        raise FindingError(f"{name} {value!r} is none of {', '.join(allowed)}", subject=subject)
