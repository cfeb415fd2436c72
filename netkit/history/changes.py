"""What changed between two snapshots, with the write that did it: who, when, from where. Pure."""

from __future__ import annotations

import pandas as pd

from netkit.history.trail import Trail, Write
from netkit.reach.network.compare import CHANGE_COLUMNS, compare_snapshots
from netkit.reach.network.snapshot import Snapshot

WHO_COLUMNS = (*CHANGE_COLUMNS, "time", "event", "actor", "from_address", "event_id")
REFUSED_COLUMNS = ("time", "event", "actor", "from_address", "resources", "error")


def changes(before: Snapshot, after: Snapshot, trail: Trail) -> pd.DataFrame:
    """Every component that came, went or changed, with the writes that name it: WHO_COLUMNS, one row a change and write.

    time, event, actor, from_address, event_id are empty where no write of the trail names the component: that is a change that the trail does not
    cover, not one that nobody made.
    """
    rows = []
    for change in compare_snapshots(before, after).itertuples(index=False):
        head = tuple(getattr(change, name) for name in CHANGE_COLUMNS)
        writes = trail.of(str(change.component)) if change.component else []
        rows += [(*head, *_who(one)) for one in writes] or [(*head, pd.NaT, "", "", "", "")]
    return pd.DataFrame(rows, columns=list(WHO_COLUMNS))


def _who(one: Write) -> tuple[object, ...]:
    return one.time, one.event, one.actor, one.address, one.event_id


def refused(trail: Trail) -> pd.DataFrame:
    """Writes that AWS refused, which changed nothing: REFUSED_COLUMNS, earliest first."""
    rows = [
        (one.time, one.event, one.actor, one.address, ", ".join(one.ids), one.error)
        for one in trail.writes
        if one.refused
    ]
    return pd.DataFrame(rows, columns=list(REFUSED_COLUMNS))
