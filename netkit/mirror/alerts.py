"""Suricata's alerts as frames, joined to the conversations of a capture and to flow-log records. Pure.

Sources: Suricata user guide, "Eve JSON Format" (alert, tunnel) and "Fast log"; severity 1 is the gravest. In a mirror
Suricata decodes VXLAN, so the addresses of an alert are those of the inner packet, and `tunnel` has the outer ones.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pandas as pd

from netkit.core.errors import InputError, SourceError
from netkit.core.model import Coverage, Finding, Severity
from netkit.core.net import protocol_name, protocol_number
from netkit.mirror.beside import canonical, canonical_text

COLUMNS = {
    "time": "datetime64[ns, UTC]", "severity": "Int64", "signature": "str", "signature_id": "Int64", "category": "str", "action": "str",
    "protocol": "Int64", "source": "str", "source_port": "Int64", "destination": "str", "destination_port": "Int64",
    "outer_source": "str", "outer_target": "str", "flow_id": "Int64", "file": "str",
}  # fmt: skip
WATCH = "MALWARE|TROJAN|EXPLOIT"  # the guide's own list
GROUPS = ("severity", "signature", "category")
SEVERITIES: dict[int, Severity] = {1: "high", 2: "medium", 3: "low"}
_FIVE = ["protocol", "source", "source_port", "destination", "destination_port"]
_TURNED = {
    "source": "destination",
    "source_port": "destination_port",
    "destination": "source",
    "destination_port": "source_port",
}
_LONGEST_PATTERN = 500
_LONGEST_LINE = 2**20  # EVE records have some hundred bytes, with payload and packet some ten thousand
TOO_LONG = object()
_BLOCK = 2**20

_FAST = re.compile(
    r"^(?P<time>\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d(?:\.\d+)?)\s+(?:\[(?P<action>\w+)\]\s+)?\[\*\*\]\s+\[\d+:(?P<id>\d+):\d+\]\s+(?P<signature>.*?)\s+\[\*\*\]"
    r"(?:\s+\[Classification:\s*(?P<category>[^\]]*)\])?\s+\[Priority:\s*(?P<severity>\d+)\]\s+\{(?P<protocol>[^}]+)\}\s+(?P<source>\S+)\s+->\s+(?P<destination>\S+)\s*$"
)


@dataclass(frozen=True)
class Alerts:
    """The alerts of some files (frame, COLUMNS, by time) and what else their lines were.

    lines      lines or entries read
    malformed  lines that are no EVE record and no fast.log line
    others     EVE records that are no alerts, by type
    unzoned    alerts whose time names no zone: read as UTC
    """

    frame: pd.DataFrame
    lines: int = 0
    malformed: int = 0
    others: Mapping[str, int] = field(default_factory=dict)
    unzoned: int = 0
    files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        kinds = self.frame["signature"].nunique()
        rest = f", {self.malformed:,} lines are malformed" if self.malformed else ""
        return f"{len(self.frame):,} alerts of {kinds:,} signatures in {self.lines:,} records{rest}"


def read_alerts(paths: str | Path | Iterable[str | Path]) -> Alerts:
    """The alerts of eve.json and fast.log files: one, several, rotated, gzip, a folder or a pattern.

    Raises InputError where there is no file, and SourceError for one in which no line is of either form.
    """
    reading = _Reading()
    files = _files(paths)
    for path in files:
        reading.read(path)
    frame = pd.DataFrame(reading.rows, columns=list(COLUMNS), dtype=object)  # whole numbers stay whole beside None
    frame["time"] = pd.to_datetime(frame["time"], utc=True, format="ISO8601")
    frame = frame.astype(COLUMNS).sort_values("time", kind="stable", ignore_index=True)
    return Alerts(frame, reading.lines, reading.malformed, dict(reading.others), reading.unzoned, tuple(path.name for path in files), tuple(reading.warnings))  # fmt: skip


def _files(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    found: list[Path] = []
    for one in map(Path, given):
        if one.is_dir():
            found += sorted(path for path in one.iterdir() if path.is_file() and path.name.startswith(("eve", "fast")))
        elif one.is_file():
            found.append(one)
        elif any(sign in one.name for sign in "*?["):
            found += sorted(one.parent.glob(one.name))
    if not found:
        raise InputError("there is no alert file", subject=", ".join(map(str, given)), hint="give eve.json or fast.log, a folder of them, or a pattern as eve.json*")  # fmt: skip
    return list(dict.fromkeys(found))


class _Reading:
    """What has been read so far."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.others: Counter[str] = Counter()
        self.lines = self.malformed = self.unzoned = 0
        self.warnings: list[str] = []

    def read(self, path: Path) -> None:
        """Take in one file."""
        before = self.lines - self.malformed
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = io.TextIOWrapper(
                cast(Any, gzip.GzipFile(fileobj=raw) if zipped else raw), "utf-8", errors="replace"
            )
            try:
                for entry in _entries(stream):
                    self._take(entry, path.name)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                self.warnings.append(f"{path.name}: the gzip stream is damaged ({error}); what came before it was read")
        if self.lines - self.malformed == before and self.malformed:
            raise SourceError("no line of this file is an EVE record or a fast.log line", subject=path.name, hint="give Suricata's eve.json or fast.log")  # fmt: skip

    def _take(self, entry: Any, file: str) -> None:
        self.lines += 1
        if entry is TOO_LONG:
            self._bad()
            return
        row = self._eve(entry, file) if isinstance(entry, dict) else self._fast(str(entry), file)
        if row is not None:
            self.rows.append(row)

    def _eve(self, entry: Mapping[str, Any], file: str) -> tuple[Any, ...] | None:
        kind = entry.get("event_type")
        if not isinstance(kind, str):
            return self._bad()
        if kind != "alert":
            self.others[kind] += 1
            return None
        alert, tunnel = entry.get("alert"), entry.get("tunnel")
        when = self._when(str(entry.get("timestamp", "")))
        if not isinstance(alert, dict) or when is None:
            return self._bad()
        outer = tunnel if isinstance(tunnel, dict) else {}
        try:
            return (
                when, _whole(alert.get("severity")), str(alert.get("signature", "")), _whole(alert.get("signature_id")), str(alert.get("category") or ""),
                str(alert.get("action", "")), _protocol(str(entry.get("proto", ""))), *_ends(entry, "src"), *_ends(entry, "dest"),
                canonical_text(str(outer.get("src_ip", ""))), canonical_text(str(outer.get("dest_ip", ""))),
                _whole(entry.get("flow_id")), file,
            )  # fmt: skip
        except (TypeError, ValueError):
            return self._bad()

    def _fast(self, line: str, file: str) -> tuple[Any, ...] | None:
        match = _FAST.match(line)
        if match is None:
            return self._bad()
        day, _, clock = match["time"].partition("-")
        month, number, year = day.split("/")
        when = self._when(f"{year}-{month}-{number}T{clock}")
        if when is None:
            return self._bad()
        protocol = _protocol(match["protocol"])
        source, destination = (_end(match[name], protocol) for name in ("source", "destination"))
        category = "" if (match["category"] or "").strip() in ("", "(null)") else match["category"].strip()
        action = {"Drop": "blocked", "wDrop": "blocked"}.get(match["action"] or "", "allowed")
        return (
            when, int(match["severity"]), match["signature"], int(match["id"]), category, action, protocol, *source, *destination, "", "", None, file,
        )  # fmt: skip

    def _when(self, text: str) -> str | None:
        try:
            moment = pd.Timestamp(re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text))
        except ValueError:
            return None
        if pd.isna(moment):
            return None
        if moment.tzinfo is None:
            self.unzoned += 1
            moment = moment.tz_localize("UTC")
        return str(moment.tz_convert("UTC").isoformat())

    def _bad(self) -> tuple[Any, ...] | None:
        self.malformed += 1
        return None


def _entries(stream: io.TextIOWrapper) -> Iterator[Any]:
    """EVE records as dicts, other lines as text; a file that is one JSON array gives its members; TOO_LONG for a line over the cap."""
    lines = _lines(stream)
    first = next((line for line in lines if line is TOO_LONG or str(line).strip()), "")
    if isinstance(first, str) and first.lstrip().startswith("["):
        yield from _array(first, stream)
        return
    for line in itertools.chain([first], lines):
        if line is TOO_LONG:
            yield line
        elif str(line).strip():
            yield _parsed(str(line))


def _lines(stream: io.TextIOWrapper) -> Iterator[object]:
    """The lines of a file, TOO_LONG in place of one over the cap, which is never held as a whole."""
    while line := stream.readline(_LONGEST_LINE + 1):
        if len(line) <= _LONGEST_LINE:
            yield line
            continue
        if line.lstrip().startswith("["):  # an array stands in one line, and its members have the cap
            yield line
            continue
        while line and not line.endswith("\n"):
            line = stream.readline(_BLOCK)
        yield TOO_LONG


def _parsed(line: str) -> Any:
    if not line.lstrip().startswith("{"):
        return line.rstrip("\n")
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line


def _array(first: str, stream: io.TextIOWrapper) -> Iterator[Any]:
    """The members of a JSON array, one at a time, however the file is laid out."""
    decoder, text = json.JSONDecoder(), first.lstrip()[1:]
    while True:
        text = text.lstrip(" \r\n\t,")
        if text.startswith("]"):
            return
        try:
            entry, end = decoder.raw_decode(text)
        except RecursionError:
            yield TOO_LONG
            return
        except ValueError:
            if len(text) > _LONGEST_LINE + _BLOCK:  # where the next member begins cannot be known
                yield TOO_LONG
                return
            more = stream.read(_BLOCK)
            if not more:
                if text.strip():
                    yield text[:200]
                return
            text += more
            continue
        yield entry
        text = text[end:]


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _protocol(text: str) -> int | None:
    name = text.strip().lower().replace("ipv6-icmp", "icmpv6").replace("ipv6_icmp", "icmpv6").removeprefix("proto:")
    try:
        return protocol_number(name)
    except InputError:
        return None


def _ends(entry: Mapping[str, Any], side: str) -> tuple[str, int | None]:
    """Address and port of one end of an EVE record. Suricata writes IPv6 in full: addresses are compared as values (RFC 5952)."""
    return canonical_text(str(entry.get(f"{side}_ip", ""))), _whole(entry.get(f"{side}_port"))


def _end(text: str, protocol: int | None) -> tuple[str, int | None]:
    """Address and port of "10.0.0.1:443"; fast.log writes ICMP's type and code where ports are."""
    address, _, port = text.rpartition(":")
    return canonical_text(address.strip("[]")), int(port) if protocol in (6, 17, 132) else None


# ------------------------------------------------------------------------------------------------- reading the alerts


def summary(alerts: pd.DataFrame, by: str = "signature") -> pd.DataFrame:
    """How often each severity, signature or category was seen: severity, [signature|category], alerts, sources, targets, first, last.

    The gravest first, then the most. Raises InputError for another word.
    """
    if by not in GROUPS:
        raise InputError(f"alerts are not grouped by {by!r}", hint=f"one of {', '.join(GROUPS)}")
    keys = ["severity"] if by == "severity" else ["severity", by]
    grouped = alerts.groupby(keys, dropna=False).agg(
        alerts=("time", "size"), sources=("source", "nunique"), targets=("destination", "nunique"), first=("time", "min"), last=("time", "max")
    )  # fmt: skip
    return grouped.reset_index().sort_values(
        ["severity", "alerts"], ascending=[True, False], kind="stable", ignore_index=True
    )


def watch(alerts: pd.DataFrame, pattern: str = WATCH) -> pd.DataFrame:
    """The alerts whose signature or category matches a regular expression, whatever the case. Raises InputError for a bad one."""
    if len(pattern) > _LONGEST_PATTERN:
        raise InputError(f"the pattern has {len(pattern)} characters", hint=f"at most {_LONGEST_PATTERN}")
    try:
        wanted = re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise InputError(f"{pattern!r} is no regular expression: {error}", hint=f"as {WATCH}") from None
    hits = {text for name in ("signature", "category") for text in alerts[name].unique() if wanted.search(text)}
    return alerts[alerts["signature"].isin(hits) | alerts["category"].isin(hits)]


def join_conversations(alerts: pd.DataFrame, conversations: pd.DataFrame, *, slack_s: float = 60) -> pd.DataFrame:
    """The alerts with `conversation`: the row of the capture's conversation with the same 5-tuple in either direction, else <NA>.

    Of several at different times (a port used again, two sources of a mirror) the one that was going on, within `slack_s` seconds,
    and then the nearest in time.
    """
    there = conversations.reset_index(names="conversation")[["conversation", *_FIVE, "first", "last"]]
    pairs = _either_way(alerts, there)
    early, late = pairs["first"] - pairs["time"], pairs["time"] - pairs["last"]
    gap = early.where(early > late, late).dt.total_seconds().clip(lower=0)
    pairs = pairs.assign(gap=gap)[gap <= slack_s]
    best = (
        pairs.sort_values(["gap", "conversation"], kind="stable")
        .drop_duplicates("alert")
        .set_index("alert")["conversation"]
    )
    return alerts.assign(conversation=best.reindex(alerts.index).astype("Int64"))


def join_flow_logs(alerts: pd.DataFrame, records: pd.DataFrame, *, slack_s: float = 60) -> pd.DataFrame:
    """A row for each flow-log record of an alert's 5-tuple, in either direction: alert (its row), and the record's columns.

    records: srcaddr, dstaddr, srcport, dstport, protocol, start, end (Unix seconds), and whatever else they have
    """
    named = records.rename(
        columns={"srcaddr": "source", "dstaddr": "destination", "srcport": "source_port", "dstport": "destination_port"}
    )
    named = named.assign(
        source=canonical(named["source"]),
        destination=canonical(named["destination"]),
        first=pd.to_datetime(named["start"], unit="s", utc=True),
        last=pd.to_datetime(named["end"], unit="s", utc=True),
        record=range(len(named)),
    )
    pairs = _either_way(alerts, named[["record", *_FIVE, "first", "last"]])
    slack = pd.Timedelta(seconds=slack_s)
    near = pairs[(pairs["time"] >= pairs["first"] - slack) & (pairs["time"] <= pairs["last"] + slack)].sort_values(
        ["alert", "record"]
    )
    found = records.iloc[near["record"].to_numpy(int)].reset_index(drop=True)
    found.insert(0, "alert", near["alert"].to_numpy(int))
    return found


def _either_way(alerts: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """alert, time, and the rows with its 5-tuple as it is or turned round. Without ports (ICMP) the addresses decide."""
    asked = alerts[["time", *_FIVE]].reset_index(names="alert")
    both = pd.concat([rows, rows.rename(columns=_TURNED)[list(rows.columns)]], ignore_index=True).drop_duplicates()
    for name in ("source_port", "destination_port"):
        asked[name] = asked[name].fillna(0).astype("int64")
        both[name] = both[name].fillna(0).astype("int64")
    asked["protocol"], both["protocol"] = (
        asked["protocol"].fillna(-1).astype("int64"),
        both["protocol"].fillna(-2).astype("int64"),
    )
    return asked.merge(both, on=_FIVE)


def alert_findings(
    alerts: Alerts,
    *,
    conversations: pd.DataFrame | None = None,
    records: pd.DataFrame | None = None,
    pattern: str = WATCH,
    most: int = 10,
) -> list[Finding]:
    """MIRROR-ALERT for each of the `most` gravest signatures (the watched ones first) and one for all others; MIRROR-ALERTS-NONE for none.

    Its evidence says in how many of the capture's conversations, and in how many flow-log records, the alerts were seen.
    """
    seen = Coverage(
        "",
        "",
        f"alerts ({', '.join(alerts.files[:3])})",
        "ok" if alerts.lines else "empty",
        alerts.lines,
        alerts.malformed,
    )
    limits = tuple(
        text
        for text, there in (
            (f"{alerts.malformed:,} lines could not be read", alerts.malformed),
            (f"the times of {alerts.unzoned:,} alerts name no zone and were read as UTC", alerts.unzoned),
        )
        if there
    )
    if alerts.frame.empty:
        claim = f"No alert in {alerts.lines:,} records"
        return [Finding("MIRROR-ALERTS-NONE", "refuted" if alerts.lines else "inconclusive", "info", "mirror", claim, {"records": dict(alerts.others)}, limits, seen)]  # type: ignore[arg-type]  # fmt: skip
    frame = alerts.frame if conversations is None else join_conversations(alerts.frame, conversations)
    watched = set(watch(frame, pattern).index)
    weight = frame.assign(watched=frame.index.isin(watched)).groupby("signature").agg(watched=("watched", "max"), severity=("severity", "min"), count=("time", "size"))  # fmt: skip
    order = weight.sort_values(["watched", "severity", "count"], ascending=[False, True, False], kind="stable").index
    shown = frame["signature"].where(frame["signature"].isin(order[:most]), f"{len(order) - most} further signatures")
    found = []
    for signature, some in frame.groupby(shown, sort=False):
        logged = None if records is None else len(join_flow_logs(some, records))
        found.append(_alert(str(signature), some, bool(watched & set(some.index)), logged, seen, limits))
    ranks = ("critical", "high", "medium", "low", "info")
    rest = f"{len(order) - most} further signatures"
    return sorted(
        found,
        key=lambda one: (one.claim.startswith(rest), not one.evidence["watched"], ranks.index(one.severity)),
    )


def _alert(signature: str, some: pd.DataFrame, watched: bool, logged: int | None, seen: Coverage, limits: tuple[str, ...]) -> Finding:  # fmt: skip
    first = some.iloc[0]
    gravest = some["severity"].min()
    severity: Severity = "high" if watched else SEVERITIES.get(0 if pd.isna(gravest) else int(gravest), "low")
    joined = some["conversation"].dropna().nunique() if "conversation" in some else None
    protocol = "" if pd.isna(first["protocol"]) else f" over {protocol_name(int(first['protocol']))}"
    port = "" if pd.isna(first["destination_port"]) else f":{int(first['destination_port'])}"
    return Finding(
        "MIRROR-ALERT", "confirmed", severity, tuple(dict.fromkeys([*some["source"].head(3), *some["destination"].head(3)])),
        f"{signature}: {len(some):,} times, first {first['source']} to {first['destination']}{port}{protocol} at {first['time']:%Y-%m-%d %H:%M:%SZ}",
        {
            "signature_id": None if pd.isna(first["signature_id"]) else int(first["signature_id"]), "category": str(first["category"]), "alerts": len(some),
            "watched": watched, "conversations": joined, "flow_log_records": logged, "last": str(some["time"].max()),
        },
        limits, (seen,),
        "open the conversation, and look at the flow-log records of its ends",
    )  # fmt: skip
