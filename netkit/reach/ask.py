"""What the notebook asks, a step each: snapshot, what changed, the pairs around a path, AWS's analyzer, the fix and its proof."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netkit.errors import InputError
from netkit.model import Verdict
from netkit.reach.read import collect
from netkit.reach.snapshot import Snapshot, load_snapshot, save_snapshot
from netkit.session import Session, connect


def snapshot(
    session: Session | None,
    folder: str = "",
    *,
    regions: Sequence[str] = (),
    others: Sequence[str] = (),
    keep: Path | None = None,
) -> Snapshot:
    """The snapshot in a folder, or one collected now and kept in a new folder under `keep`.

    regions: further regions; others: further accounts, as PROFILE@ACCOUNT
    Raises SourceError for a folder that cannot be read, InputError for an account that is not written so.
    """
    if folder:
        return load_snapshot(folder)
    if session is None:
        raise InputError("there is neither a snapshot folder nor an account to collect from", hint="name one")
    sessions = [session, *(_other(session, one) for one in others)]
    asked = list(dict.fromkeys([session.region, *regions]))
    found = collect(sessions, regions=asked)
    if keep is not None:
        save_snapshot(found, keep / f"snapshot-{found.collected.replace(':', '')}")
    return found


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
