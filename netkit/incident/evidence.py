"""What there is to look at: snapshots in a row, flow logs, CloudTrail, metrics, alarms, names, packets, and what others logged.

A folder that a colleague made with stock tools is read as it is (snapshots/<time>/…, flow_logs/, cloudtrail/, metrics/, alarms/, dns/,
captures/, firewall/, health/, access_logs/, kubernetes/); each part may be absent, empty or damaged, and each has its coverage row. A part
that is not there weakens an answer; it is never read as "nothing happened".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from netkit.core.errors import InputError, SourceError
from netkit.core.model import Coverage, Window
from netkit.core.textfiles import MAX_LINE, LongLines, document, lines
from netkit.history.trail import Trail, read_trail, time_of
from netkit.incident.flow_records import FLOW_COLUMNS, read_flows
from netkit.mirror.capture import Capture, read_capture
from netkit.reach.network.snapshot import Snapshot, load_snapshot

METRIC_COLUMNS = ("namespace", "metric", "dimensions", "stat", "period_s", "time", "value")
DNS_COLUMNS = ("time", "vpc", "name", "type", "rcode", "answers", "source", "instance", "rule_action", "rule_group")
PARTS = (
    *(
        "snapshots",
        "flow_logs",
        "cloudtrail",
        "metrics",
        "alarms",
        "dns",
        "captures",
        "firewall",
        "health",
        "access_logs",
    ),
    "kubernetes",
)
_MEMBERS = ("title", "source", "destination", "protocol", "port", "window_start", "window_end", "alarm", "vpc")
_FIELDS = {
    "flow_logs": ("flows",), "cloudtrail": ("trail",), "captures": ("captures", "packets"), "access_logs": ("access",), "kubernetes": (),
}  # fmt: skip


@dataclass(frozen=True)
class Question:
    """The ticket: two ends, a service and a window, with what somebody said of it (which may be wrong)."""

    source: str
    destination: str
    protocol: str
    port: int
    window: Window
    title: str = ""
    vpc: str = ""


@dataclass(frozen=True)
class Taken:
    """A snapshot and the time (UTC) at which it was taken."""

    time: datetime
    snapshot: Snapshot


@dataclass(frozen=True)
class Evidence:
    """All parts, read. Frames have their columns though they are empty; `coverage` says of each part how much of it is there.

    flows     FLOW_COLUMNS   metrics  METRIC_COLUMNS (dimensions a tuple of pairs)   dns  DNS_COLUMNS (answers a tuple of texts)
    alarms, firewall, health, access   dicts, as AWS writes them (access: one dict a request)
    packets   the capture files themselves
    """

    question: Question
    snapshots: tuple[Taken, ...] = ()
    flows: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(FLOW_COLUMNS)))
    trail: Trail = field(default_factory=Trail)
    metrics: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(METRIC_COLUMNS)))
    alarms: tuple[Mapping[str, Any], ...] = ()
    dns: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(DNS_COLUMNS)))
    captures: tuple[Capture, ...] = ()
    packets: tuple[Path, ...] = ()
    firewall: tuple[Mapping[str, Any], ...] = ()
    health: tuple[Mapping[str, Any], ...] = ()
    access: tuple[Mapping[str, Any], ...] = ()
    coverage: tuple[Coverage, ...] = ()

    def has(self, part: str) -> bool:
        """Whether that part was handed over and something of it could be read; an empty answer counts as read."""
        return any(row.table.split(" ")[0] == part and row.state in ("ok", "empty") for row in self.coverage)

    def without(self, part: str) -> Evidence:
        """The evidence as if that part (of PARTS) had not been handed over; "nothing" takes nothing away."""
        if part == "nothing":
            return self
        bare = Evidence(self.question)
        names = _FIELDS.get(part, (part,))
        rows = tuple(row for row in self.coverage if row.table.split(" ")[0] != part)
        lost = Coverage("", "", part, "skipped", note="not handed over")
        return replace(self, coverage=(*rows, lost), **{name: getattr(bare, name) for name in names})


def read_folder(folder: str | Path, *, asked: Mapping[str, Any] | None = None) -> Evidence:
    """The evidence in a folder of the layout that the module names. `asked` overrides what its incident.yaml says.

    Raises InputError for a question that lacks an end or a window, SourceError for a folder that is none or holds no part.
    """
    root = Path(folder)
    if not root.is_dir():
        raise SourceError(
            f"there is no folder {folder}", hint="name the folder that holds snapshots/, flow_logs/ and so on"
        )
    there = [name for name in PARTS if (root / name).is_dir()]
    if not there:
        raise SourceError(
            "this folder holds no evidence", subject=str(folder), hint=f"expected some of {', '.join(PARTS)}"
        )
    given = {name: value for name, value in (asked or {}).items() if value not in ("", None, 0)}
    question = question_of(_ticket(root) | given)
    snapshots, *rows = _snapshots(root / "snapshots")
    flows, flow_rows = read_flows(files(root / "flow_logs"))
    trail = read_trail(files(root / "cloudtrail"))
    metrics, metric_rows = _metrics(files(root / "metrics"))
    alarms, alarm_rows = _objects(files(root / "alarms"), "alarms", "MetricAlarms", "CompositeAlarms")
    dns, dns_rows = _dns(files(root / "dns"))
    captures, capture_rows = _captures(files(root / "captures"))
    firewall, firewall_rows = _objects(files(root / "firewall"), "firewall")
    health, health_rows = _objects(files(root / "health"), "health", "events")
    access, access_rows = _access(files(root / "access_logs"))
    rows += [flow_rows, list(trail.coverage), metric_rows, alarm_rows, dns_rows, capture_rows, firewall_rows]
    rows += [health_rows, access_rows]
    rows += [[Coverage("", "", name, "skipped", note="not handed over") for name in PARTS if name not in there]]
    return Evidence(
        question, snapshots, flows, trail, metrics, alarms, dns, captures, tuple(files(root / "captures")), firewall, health,
        access, tuple(row for part in rows for row in part),
    )  # fmt: skip


def question_of(said: Mapping[str, Any]) -> Question:
    """The question that a ticket's members make. Raises InputError that names what is missing."""
    missing = [name for name in ("source", "destination", "window_start", "window_end") if not said.get(name)]
    if missing:
        raise InputError(
            f"the question lacks {', '.join(missing)}", hint="give it as a parameter, or in the folder's incident.yaml"
        )
    try:
        port = int(said.get("port") or 0)
    except (TypeError, ValueError):
        raise InputError(
            f"port {said.get('port')!r} is no number", hint="a number from 1 to 65535, or 0 for none"
        ) from None
    if not 0 <= port <= 65535:
        raise InputError(f"port {port} is out of range", hint="a number from 1 to 65535, or 0 for none")
    window = Window.parse(str(said["window_start"]), str(said["window_end"]))
    protocol = str(said.get("protocol") or "tcp").lower()
    return Question(
        str(said["source"]),
        str(said["destination"]),
        protocol,
        port,
        window,
        str(said.get("title") or ""),
        str(said.get("vpc") or ""),
    )


def _ticket(root: Path) -> dict[str, Any]:
    path = root / "incident.yaml"
    if not path.exists():
        return {}
    try:
        said = yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)  # noqa: S506  (BaseLoader makes text only)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        words = " ".join(str(problem).split())[:160]
        raise SourceError(f"incident.yaml cannot be read: {words}", subject=str(path)) from None
    if not isinstance(said, dict):
        raise SourceError(
            "incident.yaml is no list of `name: value`", subject=str(path), hint=f"known names: {', '.join(_MEMBERS)}"
        )
    return {str(name): value for name, value in said.items() if name in _MEMBERS}


def files(folder: Path) -> list[Path]:
    """Every file below a folder, hidden ones aside; [] for a folder that is not there."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _snapshots(folder: Path) -> tuple[tuple[Taken, ...], list[Coverage]]:
    taken, rows = [], []
    for path in sorted(one for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []:
        table, moment = f"snapshots {path.name}", folder_time(path.name)
        if moment is None:
            rows.append(Coverage("", "", table, "skipped", note="the folder's name is no time"))
            continue
        try:
            held = load_snapshot(path)
        except SourceError as problem:
            rows.append(Coverage("", "", table, "skipped", note=problem.what))
            continue
        taken.append(Taken(moment, held))
        size = sum(len(records) for tables in held.tables.values() for records in tables.values())
        rows.append(Coverage("", "", table, "ok", size))
    return tuple(sorted(taken, key=lambda one: one.time)), rows


def folder_time(name: str) -> datetime | None:
    """The time that a snapshot's folder is named by: 2026-10-10T073000Z, with or without colons; None for another name."""
    for form in ("%Y-%m-%dT%H%M%SZ", "%Y%m%dT%H%M%SZ", "%Y-%m-%dT%H-%M-%SZ"):
        try:
            return datetime.strptime(name, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return time_of(name)


def _text(path: Path) -> str:
    """A document's text. Raises OSError and UnicodeDecodeError where it cannot be read, ValueError where it is too long for one."""
    text = document(path)
    if text is None:
        raise ValueError("longer than a document can be")
    return text


def _lost(part: str, path: Path, problem: Exception) -> Coverage:
    return Coverage("", "", f"{part} {path.name}", "skipped", note=f"cannot be read: {type(problem).__name__}")


def _metrics(paths: Iterable[Path]) -> tuple[pd.DataFrame, list[Coverage]]:
    """`get-metric-data` queries and results side by side, matched by Id."""
    rows: list[tuple[Any, ...]] = []
    coverage = []
    for path in paths:
        try:
            body = json.loads(_text(path))
            results: dict[str, Mapping[str, Any]] = {str(one.get("Id")): one for one in body["MetricDataResults"]}
            found = [row for query in body["MetricDataQueries"] for row in _series(query, results)]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
            coverage.append(_lost("metrics", path, problem))
            continue
        rows += found
        coverage.append(Coverage("", "", f"metrics {path.name}", "ok" if found else "empty", len(found)))
    return pd.DataFrame(rows, columns=list(METRIC_COLUMNS)), coverage


def _series(query: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    asked, answer = query.get("MetricStat"), results.get(str(query.get("Id")))
    if not asked or answer is None:
        return []
    metric = asked["Metric"]
    dimensions = tuple(sorted((str(one["Name"]), str(one["Value"])) for one in metric.get("Dimensions", ())))
    head = (
        *(str(metric["Namespace"]), str(metric["MetricName"]), dimensions),
        *(str(asked.get("Stat", "")), int(asked.get("Period", 60))),
    )
    points = zip(answer.get("Timestamps", ()), answer.get("Values", ()), strict=False)
    return sorted((*head, moment, float(value)) for at, value in points if (moment := time_of(at)) is not None)


def _objects(paths: Iterable[Path], part: str, *members: str) -> tuple[tuple[Mapping[str, Any], ...], list[Coverage]]:
    """JSON objects: in a document's lists with these members, in a list, or one a line."""
    found: list[Mapping[str, Any]] = []
    coverage = []
    for path in paths:
        try:
            here, bad = _json_objects(path, members)
        except (OSError, EOFError, UnicodeDecodeError) as problem:
            coverage.append(_lost(part, path, problem))
            continue
        found += here
        note = f"{bad} lines are not JSON, or longer than {MAX_LINE:,} characters" if bad else ""
        state = "ok" if here else "skipped" if bad else "empty"
        coverage.append(Coverage("", "", f"{part} {path.name}", state, len(here), bad, note))
    return tuple(found), coverage


def _json_objects(path: Path, members: tuple[str, ...]) -> tuple[list[Mapping[str, Any]], int]:
    try:
        body = json.loads(document(path) or "")
    except UnicodeDecodeError:
        raise
    except (ValueError, RecursionError):
        return _json_lines(path)
    if isinstance(body, dict) and members:
        body = [one for name in members for one in body.get(name) or ()]
    listed = body if isinstance(body, list) else [body]
    return [one for one in listed if isinstance(one, dict)], 0


def _json_lines(path: Path) -> tuple[list[Mapping[str, Any]], int]:
    here: list[Mapping[str, Any]] = []
    bad, long = 0, LongLines()
    for line in lines(path, long):
        try:
            one = json.loads(line)
        except (ValueError, RecursionError):
            one = None
        if isinstance(one, dict):
            here.append(one)
        else:
            bad += 1
    return here, bad + long.count


def alarms_of(folder: str | Path) -> tuple[Mapping[str, Any], ...]:
    """The alarms of a folder of evidence."""
    return _objects(files(Path(folder) / "alarms"), "alarms", "MetricAlarms", "CompositeAlarms")[0]


def _dns(paths: Iterable[Path]) -> tuple[pd.DataFrame, list[Coverage]]:
    """Resolver query logs, one query a row. Source: Route 53 Developer Guide, "Values that appear in VPC Resolver query logs"."""
    records, coverage = _objects(paths, "dns")
    rows = [row for one in records if (row := _query(one)) is not None]
    frame = pd.DataFrame(rows, columns=list(DNS_COLUMNS))
    return frame.sort_values(["time", "name", "type", "source"], ignore_index=True), coverage


def _query(one: Mapping[str, Any]) -> tuple[Any, ...] | None:
    moment = time_of(one.get("query_timestamp"))
    if moment is None:
        return None
    answers = tuple(str(each.get("Rdata", "")) for each in one.get("answers") or () if isinstance(each, dict))
    ids = one.get("srcids") if isinstance(one.get("srcids"), dict) else {}
    assert isinstance(ids, dict)

    def text(name: str) -> str:
        return str(one.get(name) or "")

    return (
        *(
            moment,
            text("vpc_id"),
            text("query_name").lower(),
            text("query_type"),
            text("rcode"),
            answers,
            text("srcaddr"),
        ),
        *(str(ids.get("instance", "")), text("firewall_rule_action"), text("firewall_rule_group_id")),
    )


def _captures(paths: Iterable[Path]) -> tuple[tuple[Capture, ...], list[Coverage]]:
    found, coverage = [], []
    for path in paths:
        try:
            held = read_capture(path)
        except SourceError as problem:
            coverage.append(Coverage("", "", f"captures {path.name}", "skipped", note=problem.what))
            continue
        found.append(held)
        coverage.append(Coverage("", "", f"captures {path.name}", "ok", len(held.conversations)))
    return tuple(found), coverage


# The first members of a request in an Application Load Balancer's access log (ALB guide, "Access log entries").
_ACCESS = (
    "type",
    "time",
    "elb",
    "client",
    "target",
    "request_s",
    "target_s",
    "response_s",
    "elb_status",
    "target_status",
)


def _access(paths: Iterable[Path]) -> tuple[tuple[Mapping[str, Any], ...], list[Coverage]]:
    found: list[Mapping[str, Any]] = []
    coverage = []
    for path in paths:
        try:
            long = LongLines()
            cut = [line.split(" ", len(_ACCESS)) for line in lines(path, long)]
        except (OSError, EOFError, UnicodeDecodeError) as problem:
            coverage.append(_lost("access_logs", path, problem))
            continue
        here = [dict(zip(_ACCESS, words, strict=False)) for words in cut if len(words) > len(_ACCESS)]
        found += here
        state = "ok" if here else "skipped" if long.count else "empty"
        coverage.append(
            Coverage("", "", f"access_logs {path.name}", state, len(here), len(cut) - len(here) + long.count)
        )
    return tuple(found), coverage
