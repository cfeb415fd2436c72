"""What the notebook asks, a step each: snapshot, what changed, the pairs around a path, AWS's analyzer, the fix and its proof."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pandas as pd

from netkit.errors import InputError
from netkit.model import Verdict
from netkit.reach.compare import compare_snapshots
from netkit.reach.read import collect
from netkit.reach.snapshot import Snapshot, load_snapshot, save_snapshot
from netkit.session import Session, connect


class Run(Protocol):
    """What this module needs of a notebook's run (netkit.notebook.Run)."""

    @property
    def session(self) -> Session:
        """The session."""
        ...

    @property
    def folder(self) -> Path:
        """Where runs are written."""
        ...

    def path(self, source: str) -> str:
        """A path from the project's folder."""
        ...


def snapshot(run: Run, folder: str = "", *, regions: Sequence[str] = (), others: Sequence[str] = ()) -> Snapshot:
    """The snapshot in a folder, or one collected now and kept in a new folder under the runs.

    regions: further regions; others: further accounts, as PROFILE@ACCOUNT
    Raises SourceError for a folder that cannot be read, InputError for an account that is not written so.
    """
    if folder:
        return load_snapshot(run.path(folder))
    sessions = [run.session, *(_other(run.session, one) for one in others)]
    found = collect(sessions, regions=list(dict.fromkeys([run.session.region, *regions])))
    keep = run.folder / "snapshots" / found.collected.replace(":", "")
    number = 1
    while keep.exists():
        number += 1
        keep = keep.with_name(f"{found.collected.replace(':', '')}-{number}")
    save_snapshot(found, keep)
    return found


def changes(run: Run, before: str, now: Snapshot) -> pd.DataFrame:
    """What changed since an earlier snapshot (compare.compare_snapshots); an empty frame where none is named."""
    return compare_snapshots(load_snapshot(run.path(before)) if before else now, now)


def _other(session: Session, word: str) -> Session:
    profile, mark, account = word.partition("@")
    if not mark or not account.isdigit() or len(account) != 12:
        raise InputError(f"{word!r} does not name an account", hint="write PROFILE@ACCOUNT, as audit@123456789012")
    return connect(target=session.target, region=session.region, profile=profile, account_id=account)


def around(snapshot: Snapshot, verdict: Verdict) -> Snapshot:
    """The snapshot with the interfaces of those VPCs alone that a path is in or goes through: for a grid that can be read."""
    vpcs = {hop.vpc for hop in (*verdict.forward, *verdict.back) if hop.vpc}
    kept = snapshot
    for scope in snapshot.scopes:
        records = [one for one in snapshot.tables[scope].get("NetworkInterfaces", ()) if one.get("VpcId") in vpcs]
        kept = (
            kept.with_records("NetworkInterfaces", records, scope)
            if "NetworkInterfaces" in snapshot.tables[scope]
            else kept
        )
    return kept
