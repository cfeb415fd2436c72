"""CloudTrail: who wrote what, when, from where; refused writes apart. Pure but for reading files.

Read are delivered files ({"Records": [...]}, gzip or not), the output of `aws cloudtrail lookup-events`
({"Events": [{"CloudTrailEvent": "..."}]}), JSON lines, and records as dicts (a table of CloudTrail asked with Athena).

Source: CloudTrail User Guide, "CloudTrail record contents" and "CloudTrail log file examples".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from netkit.core.errors import SourceError
from netkit.core.model import Coverage
from netkit.core.textfiles import MAX_LINE, LongLines, document, lines

TRAIL_COLUMNS = ("time", "event", "actor", "from_address", "resources", "error", "region", "account", "event_id")
# Events that read, where a record does not say so (readOnly is absent from old records).
_READS = re.compile(
    r"^(Describe|Get|List|Lookup|Head|Search|BatchGet|Scan|Query|Select|Test|Simulate|Assume|ConsoleLogin)"
)
# An id as AWS writes it: a word, a hyphen, hex digits; an ARN; a hosted zone's id; a name of a resolver's thing.
_ID = re.compile(
    r"(?<![0-9A-Za-z-])(?:[a-z]+-)+[0-9a-f]{8,17}(?![0-9A-Za-z-])|arn:aws[a-z-]*:[^\s\"]+"
    r"|(?<![0-9A-Za-z])Z[A-Z0-9]{9,31}(?![0-9A-Za-z])|rslvr-[a-z]+-[0-9a-z]+"
)


@dataclass(frozen=True)
class Write:
    """One call that CloudTrail recorded and that does more than read.

    time       UTC, when the call was made
    actor      userIdentity.arn, else the service or type that stands there
    address    sourceIPAddress: an address, or a service's name
    ids        every resource id and ARN in request and response, in order, once
    error      errorCode, "" for a call that took effect
    """

    time: datetime
    event: str
    service: str
    actor: str
    address: str
    account: str
    region: str
    ids: tuple[str, ...]
    error: str = ""
    message: str = ""
    request: Mapping[str, Any] = field(default_factory=dict, hash=False)
    response: Mapping[str, Any] = field(default_factory=dict, hash=False)
    event_id: str = ""

    @property
    def refused(self) -> bool:
        """Whether AWS refused it, so that it changed nothing."""
        return bool(self.error)

    def __str__(self) -> str:
        refused = f" (refused: {self.error})" if self.error else ""
        return f"{self.time:%Y-%m-%dT%H:%M:%SZ} {self.event} by {self.actor or 'nobody named'}{refused}"


@dataclass(frozen=True)
class Trail:
    """What was read of a trail: its writes in order of time, every record's span, and its coverage.

    first, last   times of the first and last record of any kind, reads too; None where there is none
    regions       regions that records are of
    denied        data and network activity events with an error, as dicts: what an endpoint's policy refused
    """

    writes: tuple[Write, ...] = ()
    denied: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    first: datetime | None = None
    last: datetime | None = None
    regions: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    records: int = 0
    coverage: tuple[Coverage, ...] = ()

    def covers(self, start: datetime, end: datetime) -> bool:
        """Whether records lie on both sides of that span or within five minutes of it: CloudTrail says nothing by silence alone."""
        if self.first is None or self.last is None:
            return False
        slack = 300
        return (self.first - start).total_seconds() <= slack and (end - self.last).total_seconds() <= 3 * slack

    def of(self, *ids: str, refused: bool = False) -> list[Write]:
        """Writes that name one of these ids, earliest first; refused ones only where asked for."""
        wanted = set(ids)
        return [one for one in self.writes if wanted & set(one.ids) and (refused or not one.refused)]

    def frame(self) -> pd.DataFrame:
        """One row a write: time, event, actor, from_address, resources, error, region, account, event_id."""
        rows = [
            (
                one.time,
                one.event,
                one.actor,
                one.address,
                ", ".join(one.ids),
                one.error,
                one.region,
                one.account,
                one.event_id,
            )
            for one in self.writes
        ]
        return pd.DataFrame(rows, columns=list(TRAIL_COLUMNS))


def read_trail(paths: Iterable[str | Path]) -> Trail:
    """The trail in some files, of any form that the module names. A damaged file is a coverage row, and the rest is read.

    Raises SourceError for a file that is not there.
    """
    records: list[Mapping[str, Any]] = []
    coverage = []
    for path in map(Path, paths):
        if not path.is_file():
            raise SourceError(
                f"there is no file {path.name}", subject=str(path), hint="name the files that CloudTrail delivered"
            )
        found, note = _records_of(path)
        records += found
        coverage.append(
            Coverage("", "", f"cloudtrail {path.name}", _state(found, note), len(found), int(bool(note)), note)
        )
    return trail_of(records, coverage)


def _state(found: Sequence[object], note: str) -> str:
    return "skipped" if note else "ok" if found else "empty"


def trail_of(records: Iterable[Mapping[str, Any]], coverage: Iterable[Coverage] = ()) -> Trail:
    """The trail of records, as dicts of CloudTrail's own members, in any order; one that stands twice (eventID) counts once."""
    seen: dict[str, Mapping[str, Any]] = {}
    for number, record in enumerate(records):
        seen.setdefault(str(record.get("eventID") or f"#{number}"), record)
    dated = [(moment, record) for record in seen.values() if (moment := time_of(record.get("eventTime"))) is not None]
    dated.sort(key=lambda one: (one[0], str(one[1].get("eventID", ""))))
    writes = tuple(_write(moment, record) for moment, record in dated if not _reads(record))
    denied = tuple(record for _, record in dated if record.get("errorCode") and record.get("vpcEndpointId"))
    return Trail(
        writes,
        denied,
        dated[0][0] if dated else None,
        dated[-1][0] if dated else None,
        frozenset(str(record.get("awsRegion", "")) for _, record in dated) - {""},
        frozenset(str(record.get("recipientAccountId", "")) for _, record in dated) - {""},
        len(dated),
        tuple(coverage),
    )


def time_of(text: object) -> datetime | None:
    """An ISO 8601 time in UTC, or None for what is none."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _records_of(path: Path) -> tuple[list[Mapping[str, Any]], str]:
    """The records of a file, and what was wrong with it ("" for nothing)."""
    try:
        text = document(path)
        with suppress(ValueError, RecursionError):
            return list(flattened(json.loads(text or ""))), ""
        return _lines(path)
    except (OSError, UnicodeDecodeError) as problem:
        return [], f"cannot be read: {problem}"


def _lines(path: Path) -> tuple[list[Mapping[str, Any]], str]:
    found: list[Mapping[str, Any]] = []
    bad, long = 0, LongLines()
    for line in lines(path, long):
        try:
            found += flattened(json.loads(line))
        except (ValueError, RecursionError):
            bad += 1
    told = [f"{bad} lines are not JSON"] * bool(bad) + [
        f"{long.count} lines of more than {MAX_LINE:,} characters"
    ] * bool(long.count)
    return found, "; ".join(told)


def flattened(body: Any) -> Iterator[Mapping[str, Any]]:
    """Records within any of the envelopes."""
    if isinstance(body, list):
        for one in body:
            yield from flattened(one)
    elif isinstance(body, dict):
        for member in ("Records", "Events"):
            if isinstance(body.get(member), list):
                yield from flattened(body[member])
                return
        if isinstance(body.get("CloudTrailEvent"), str):
            yield from flattened(json.loads(body["CloudTrailEvent"]))
        elif "eventName" in body:
            yield body


def _reads(record: Mapping[str, Any]) -> bool:
    said = record.get("readOnly")
    if said is None:
        return bool(_READS.match(str(record.get("eventName", ""))))
    return said is True or str(said).lower() == "true"


def _write(moment: datetime, record: Mapping[str, Any]) -> Write:
    who = record.get("userIdentity") or {}
    request, response = record.get("requestParameters") or {}, record.get("responseElements") or {}
    ids = tuple(dict.fromkeys([*ids_in(request), *ids_in(response)]))
    return Write(
        moment,
        str(record.get("eventName", "")),
        str(record.get("eventSource", "")).removesuffix(".amazonaws.com"),
        str(who.get("arn") or who.get("invokedBy") or who.get("userName") or who.get("type") or ""),
        str(record.get("sourceIPAddress", "")),
        str(record.get("recipientAccountId") or who.get("accountId") or ""),
        str(record.get("awsRegion", "")),
        ids,
        str(record.get("errorCode") or ""),
        str(record.get("errorMessage") or ""),
        request if isinstance(request, dict) else {},
        response if isinstance(response, dict) else {},
        str(record.get("eventID", "")),
    )


def ids_in(value: Any) -> Iterator[str]:
    """Every resource id and ARN that stands somewhere in a request or response, in order."""
    if isinstance(value, dict):
        for one in value.values():
            yield from ids_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from ids_in(one)
    elif isinstance(value, str):
        yield from _ID.findall(value)
