"""What the incident notebook asks: the evidence, the answer, its timeline, the path with the fault on it, what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

import pandas as pd

from netkit.cloudwatch.read import alarm_records
from netkit.core.errors import InputError
from netkit.core.model import Verdict
from netkit.core.session import Session
from netkit.incident.answer import Answer, answer
from netkit.incident.evidence import Evidence, alarms_of, read_folder
from netkit.incident.live import read_live
from netkit.incident.measure_next import measures, measures_frame
from netkit.incident.rejects import clusters as reject_clusters
from netkit.incident.rejects import rejects as attribute_rejects
from netkit.incident.scene import Scene, when
from netkit.reach.change.fixes import CHANGE_COLUMNS, changes_frame, propose
from netkit.reach.network.snapshot import Snapshot

TIMELINE_COLUMNS = ("time", "lane", "kind", "what", "count")
WHY_COLUMNS = ("rank", "fault", "resource", "points", "atom", "says", "rests_on")


class Run(Protocol):
    """What this module needs of a notebook's run (netkit.runs.notebook.Run)."""

    @property
    def session(self) -> Session:
        """The session."""
        ...

    def path(self, source: str) -> str:
        """A path from the project's folder."""
        ...


def evidence(run: Run, folder: str = "", *, budget_usd: float = 0.05, **asked: Any) -> Evidence:
    """The evidence in a folder, or read live for the question that `asked` makes (source, destination, protocol, port, window_start, …).

    Raises InputError for a question that lacks an end or a window, SourceError for a folder that holds no evidence, BudgetError where
    reading live would cost more than the budget.
    """
    given = {**asked, **_alarmed(run, folder, str(asked.get("alarm") or ""), asked)}
    if folder:
        return read_folder(run.path(folder), asked=given)
    return read_live(run.session, given, budget_usd=budget_usd)


def _alarmed(run: Run, folder: str, name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The question that an alarm stands for: its resource as the destination, an hour on both sides of its last change."""
    if not name or (asked.get("source") and asked.get("destination")):
        return {}
    held = alarms_of(run.path(folder)) if folder else tuple(alarm_records(run.session, names=[name]))
    alarm = next((one for one in held if one.get("AlarmName") == name), None)
    if alarm is None:
        known = ", ".join(sorted(str(one.get("AlarmName", "")) for one in held)[:8])
        raise InputError(
            f"there is no alarm {name!r}", hint=f"there are {known}" if known else "name the two ends instead"
        )
    dimensions = {str(one.get("Name")): str(one.get("Value")) for one in alarm.get("Dimensions") or ()}
    end = next((dimensions[key] for key in _ALARMED if key in dimensions), "")
    if not end:
        raise InputError(f"the alarm {name!r} names no resource that can be an end", hint="name the two ends instead")
    moment = pd.to_datetime(str(alarm.get("StateUpdatedTimestamp") or ""), utc=True, errors="coerce")
    made: dict[str, Any] = {"destination": asked.get("destination") or end, "source": asked.get("source") or "internet"}
    if not pd.isna(moment) and not asked.get("window_start"):
        around = (moment - pd.Timedelta("1h"), moment + pd.Timedelta("1h"))
        made |= dict(zip(("window_start", "window_end"), (f"{one:%Y-%m-%dT%H:%M:%SZ}" for one in around), strict=True))
    return made


_ALARMED = ("InstanceId", "NatGatewayId", "LoadBalancer")


def conclude(held: Evidence) -> Answer:
    """The answer that evidence gives."""
    return answer(Scene(held))


def timeline(found: Answer) -> pd.DataFrame:
    """Everything with a time within the window: TIMELINE_COLUMNS, earliest first. kind: bad, change, good or note."""
    window = found.scene.question.window
    rows = [row for part in (_changes, _connections, _observed, _alarms, _snapshots) for row in part(found)]
    kept = [row for row in rows if window.start <= row[0] <= window.end]
    return pd.DataFrame(sorted(kept, key=lambda row: (row[0], row[1])), columns=list(TIMELINE_COLUMNS))


Row = tuple[datetime, str, str, str, int]


def _changes(found: Answer) -> Iterator[Row]:
    for write in found.scene.evidence.trail.writes:
        kind = "note" if write.refused else "change"
        yield write.time, "changes", kind, f"{write} {', '.join(write.ids[:2])}", 1


def _connections(found: Answer) -> Iterator[Row]:
    """Connections a minute, failed and complete."""
    tally: dict[tuple[int, bool], int] = {}
    for one, bad in found.scene.outcomes:
        tally[one.start // 60, bad] = tally.get((one.start // 60, bad), 0) + 1
    for (minute, bad), count in tally.items():
        lane, kind = ("failed connections", "bad") if bad else ("complete connections", "good")
        yield when(minute * 60), lane, kind, f"{count} {'failed' if bad else 'complete'}", count


def _observed(found: Answer) -> Iterator[Row]:
    for row in found.observations.itertuples(index=False):
        if (
            row.state == "seen"
            and isinstance(row.since, datetime)
            and str(row.atom)[0] in "mdop"
            and "-any" not in str(row.atom)
        ):
            yield row.since, str(row.system), "bad", f"{row.says} {row.subject}".strip(), 1


def _alarms(found: Answer) -> Iterator[Row]:
    for alarm in found.scene.evidence.alarms:
        moment = pd.to_datetime(str(alarm.get("StateUpdatedTimestamp", "")), utc=True, errors="coerce")
        if not pd.isna(moment):
            kind = "bad" if alarm.get("StateValue") == "ALARM" else "note"
            yield moment.to_pydatetime(), "alarms", kind, f"{alarm.get('AlarmName')} is {alarm.get('StateValue')}", 1


def _snapshots(found: Answer) -> Iterator[Row]:
    for taken, verdict in zip(found.scene.snapshots, found.scene.verdicts, strict=True):
        words = verdict.status if verdict else "cannot be asked"
        yield taken.time, "snapshots", "good" if verdict and verdict.reachable else "bad", f"snapshot: {words}", 1


def coverage(held: Evidence) -> pd.DataFrame:
    """How much of each part is there: part, state, rows, skipped, note."""
    rows = [(one.table, one.state, one.rows, one.skipped, one.note) for one in held.coverage]
    return pd.DataFrame(rows, columns=["part", "state", "rows", "skipped", "note"])


def snapshot(found: Answer) -> Snapshot:
    """The newest snapshot; an empty one where there is none."""
    return found.scene.snapshots[-1].snapshot if found.scene.snapshots else Snapshot({}, ())


def rejects(found: Answer) -> pd.DataFrame:
    """Refused records put together by what refused them: cause, resource, rule, …, records, sources, change, actor; the most first, 20 at most."""
    return reject_clusters(attribute_rejects(found.scene)).head(20)


def verdicts(found: Answer) -> pd.DataFrame:
    """The trace over each snapshot: time, status, blocked_by, because."""
    rows = []
    for taken, verdict in zip(found.scene.snapshots, found.scene.verdicts, strict=True):
        blockers = verdict.blockers if verdict else []
        because = "; ".join(one.because for one in blockers) or "; ".join(map(str, verdict.unknowns if verdict else ()))
        rows.append(
            (
                taken.time,
                verdict.status if verdict else "an end is not in it",
                ", ".join(one.component for one in blockers),
                because,
            )
        )
    return pd.DataFrame(rows, columns=["time", "status", "blocked_by", "because"])


def path(found: Answer) -> Verdict:
    """The newest snapshot's verdict; an UNKNOWN one that says so where there is no snapshot or an end is not in it."""
    verdict = found.scene.verdicts[-1] if found.scene.verdicts else None
    asked = found.scene.question
    return verdict or Verdict("UNKNOWN", asked.source, asked.destination, asked.protocol, str(asked.port or ""))


def ranked(found: Answer) -> pd.DataFrame:
    """The ranked causes: rank, fault, resource, since, actor, standing, points. That it is not the network stands among them."""
    return found.ranked[["rank", "fault", "resource", "since", "actor", "standing", "points"]]


def why(found: Answer, most: int = 3) -> pd.DataFrame:
    """Every point of the first causes, for and against, with the rows that it rests on: WHY_COLUMNS."""
    rows = [
        (
            row.rank,
            row.hypothesis.fault,
            row.hypothesis.resource,
            point.points,
            point.atom,
            point.observation.says,
            ", ".join(point.observation.rests_on),
        )
        for row in found.rows[:most]
        for point in (*row.why, *row.against)
    ]
    return pd.DataFrame(rows, columns=list(WHY_COLUMNS))


def next_measures(found: Answer) -> pd.DataFrame:
    """What would part the causes that are left: system, would_part, command, minutes, usd, why."""
    return measures_frame(measures(found.scene, found.rows))


def fix(found: Answer) -> pd.DataFrame:
    """The smallest change that opens the path in the newest snapshot, with its commands; an empty frame where the path is open."""
    verdict = path(found)
    if verdict.status != "NOT_REACHABLE" or not found.scene.snapshots:
        return pd.DataFrame(columns=list(CHANGE_COLUMNS))
    asked = found.scene.question
    snapshot = found.scene.snapshots[-1].snapshot
    try:
        fixes = propose(
            snapshot,
            source=asked.source,
            destination=asked.destination,
            protocol=asked.protocol,
            port=asked.port or None,
            vpc=asked.vpc,
        )
    except InputError:
        return pd.DataFrame(columns=list(CHANGE_COLUMNS))
    return changes_frame(fixes[0]) if fixes else pd.DataFrame(columns=list(CHANGE_COLUMNS))


def without(held: Evidence, part: str) -> Answer:
    """The answer as it would be had that part not been handed over: snapshots, flow_logs, cloudtrail, metrics, dns or captures."""
    return answer(Scene(held.without(part)))
