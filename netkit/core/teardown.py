"""What a run made is taken back: in reverse order, only what its ledger or its tag says is its own, and no data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from netkit.core.awscli import aws_command
from netkit.core.errors import AwsError, InputError, NotArmedError
from netkit.core.ledger import LEDGER_FOLDER, Ledger, opened, undos_of
from netkit.core.looks import ABSENT, bucket_policy, errors_of, looks, run_tag
from netkit.core.policy import statements_of
from netkit.core.session import Session, error_code
from netkit.core.steps import RUN_TAG, STATEMENTS_UNDO, Action, unresolved

MADE_COLUMNS = ("step", "resource", "name", "state", "time", "undo")
REMOVED_COLUMNS = ("step", "resource", "name", "outcome", "reason")


def made(run_id: str, *, folder: Path = LEDGER_FOLDER) -> pd.DataFrame:
    """What teardown would take back, by the ledger alone, in its order: MADE_COLUMNS; time in UTC, undo is a command line.

    state is result, partial, or intent where the run was cut short and only AWS knows. Raises InputError without a ledger.
    """
    ledger, intents = opened(run_id, folder)
    rows = [
        (key, line["resource"], line["name"], ledger.state(key), line["time"], _undo_line((undos_of(ledger, key) or [line["undo"]])[0], line["region"]))
        for key, line in reversed(intents.items())
        if ledger.made(key) and line["undo"] is not None
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(MADE_COLUMNS))


def _undo_line(undo: Mapping[str, Any], region: str) -> str:
    return aws_command(undo["service"], undo["operation"], _shown_again(undo["request"]), region)


def _shown_again(value: Any) -> Any:
    """As shown, for a Ref as the ledger writes it."""
    if isinstance(value, Mapping):
        return f"<{value['$ref']}>" if "$ref" in value else {name: _shown_again(one) for name, one in value.items()}
    return value


def teardown(session: Session, run_id: str, *, folder: Path = LEDGER_FOLDER, armed: bool = False) -> pd.DataFrame:
    """Undo what a run made, in reverse order, and return one row for each: REMOVED_COLUMNS.

    Only what the ledger says this run made, or what carries its netkit:run tag where the run was cut short before AWS's
    answer was seen. outcome: removed, gone (it was not there any more) or left, with the reason: data is never deleted,
    and a policy keeps every statement that is not ours.

    Raises NotArmedError unless armed, and InputError for a run without a ledger, or one of another account or region.
    """
    ledger, intents = opened(run_id, folder)
    for line in intents.values():
        if (line["account"], line["region"]) != (session.account_id, session.region):
            raise InputError(
                f"the run {run_id} was made in {line['account']}/{line['region']}",
                subject=str(session), hint="connect to that account and region",
            )  # fmt: skip
    if not armed:
        raise NotArmedError("this teardown is not armed, so nothing was removed", subject=run_id, hint="armed=True")
    rows: list[tuple[str, ...]] = []
    left: set[str] = set()
    for key, intent in reversed(intents.items()):
        if ledger.state(key) == "unclear":
            rows.append((key, intent["resource"], intent["name"], "left", "AWS does not show whether this run made it"))
        if not ledger.made(key) or intent["undo"] is None:
            continue
        users = sorted(one for one in left if key in intents[one]["after"])
        outcome, reason = (
            ("left", f"still used by {users[0]}") if users else _removed(session, ledger, run_id, key, intent)
        )
        ledger.write("left" if outcome == "left" else "removed", key, reason=reason)
        # Statements that stay in a policy do not hold up the bucket they belong to; that has to be empty anyway.
        if outcome == "left" and intent["undo"]["operation"] != STATEMENTS_UNDO:
            left.add(key)
        rows.append((key, intent["resource"], intent["name"], outcome, reason))
    return pd.DataFrame(rows, columns=list(REMOVED_COLUMNS))


def _removed(session: Session, ledger: Ledger, run_id: str, key: str, intent: Mapping[str, Any]) -> tuple[str, str]:
    """Undo one step, all the calls that made parts of it. Returns outcome and reason."""
    undos: list[dict[str, Any]] | None = undos_of(ledger, key) or [intent["undo"]]
    if any(unresolved(undo["request"]) for undo in undos or ()):
        undos = _by_tag(session, run_id, ledger, intent["undo"])
    if undos is None:
        return "left", "the run was cut short before its id was seen; apply the same plan again, then tear it down"
    if why := _not_ours(session, ledger, run_id, key, intent) or _changed_since(session, ledger, key, undos):
        return why
    # Newest first: what was created and then updated is put back to what it was, and then goes.
    outcomes = [undone(session, undo) for undo in reversed(undos)]
    telling = ("left", "removed", "gone")  # of several parts the first of these is what a person has to know
    return min(outcomes, key=lambda one: telling.index(one[0]), default=("gone", "it was never made"))


def _not_ours(
    session: Session, ledger: Ledger, run_id: str, key: str, intent: Mapping[str, Any]
) -> tuple[str, str] | None:
    """Why something is left that was meant and never answered: it is another's, or nothing says whose it is."""
    undo = intent["undo"]
    sure = undo.get("adopt") or undo["by_tag"] or any(ledger.made(one) for one in intent["after"])
    if (
        ledger.state(key) != "intent"
        or intent["action"] != Action.CREATE
        or sure
        or undo["operation"] == STATEMENTS_UNDO
    ):
        return None
    if not undo.get("owner"):
        return "left", "the run was cut short before AWS answered, and AWS does not show who made it"
    tags = looks(session, undo["owner"])
    if tags is None:
        return None  # gone, or never made: the undo says so
    run = run_tag(tags)
    return (
        None
        if run == run_id
        else ("left", f"others made it meanwhile ({f'run {run}' if run else 'it has no netkit:run tag'})")
    )


def _changed_since(
    session: Session, ledger: Ledger, key: str, undos: Sequence[Mapping[str, Any]]
) -> tuple[str, str] | None:
    """That something is left, because somebody has changed it since this run made it; None where it is as it was, or gone."""
    look, before = (undos[-1].get("look") if undos else None), ledger.seen(key)
    if not look or before is None or unresolved(look["request"]):
        return None
    now = looks(session, look)
    return ("left", "it was changed since") if now not in (None, before) else None


def _by_tag(session: Session, run_id: str, ledger: Ledger, undo: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Undos of the EC2 resources of that kind which carry the run's tag and which no other step's result has; or None."""
    if not undo["by_tag"]:
        return None
    wanted = {"key": RUN_TAG, "value": run_id}
    filters = [{"Name": name, "Values": [value]} for name, value in wanted.items()]
    tagged = {tag["ResourceId"] for tag in session.pages("ec2", "describe_tags", "Tags", Filters=filters)}
    known = json.dumps([line.get("undo") for line in ledger.lines() if line["event"] in ("result", "partial")])
    ids = sorted(one for one in tagged if one.startswith(undo["by_tag"]) and one not in known)
    (name,) = (name for name, value in undo["request"].items() if unresolved(value))
    as_list = [{**undo, "request": {**undo["request"], name: ids}}] if ids else []
    return as_list if name.endswith("s") else [{**undo, "request": {**undo["request"], name: one}} for one in ids]


def undone(session: Session, undo: Mapping[str, Any]) -> tuple[str, str]:
    """Make the call of an undo, unless one of its guards holds; outcome (removed, gone, left) and reason."""
    try:
        for guard in undo["guards"]:
            items = session.pages(guard["service"], guard["operation"], guard["key"], **guard["request"])
            texts = [json.dumps(item, default=str) for item in items]
            held = [
                text for text in texts if not guard["containing"] or any(one in text for one in guard["containing"])
            ]
            if held:
                return "left", f"{guard['why']} ({len(held)})"
        if undo["operation"] == STATEMENTS_UNDO:
            return remove_statements(session, **undo["request"])
        errors = errors_of(session.call(undo["service"], undo["operation"], **undo["request"]))
    except AwsError as error:
        if ABSENT.search(error_code(error)) or "is not found" in error.what:
            return "gone", "it was not there any more"
        return "left", error.what
    gone = [one for one in errors if ABSENT.search(one)]
    if len(errors) > len(gone):
        return "left", next(one for one in errors if one not in gone)
    return ("gone", "it was not there any more") if gone else ("removed", "")


def remove_statements(session: Session, Bucket: str, Statements: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Take exactly these statements out of a bucket policy; returns outcome and reason. One changed since is not ours any more."""
    policy = bucket_policy(session, Bucket)
    if policy is None:
        return "gone", "the bucket has no policy any more"
    ours = [one for one in statements_of(policy) if one in Statements]
    rest = [one for one in statements_of(policy) if one not in Statements]
    changed = {one["Sid"] for one in Statements} & {one.get("Sid") for one in rest}
    if not ours:
        return (
            ("left", f"{', '.join(sorted(changed))} was changed since")
            if changed
            else ("gone", "they were not there any more")
        )
    if rest:
        session.call("s3", "put_bucket_policy", Bucket=Bucket, Policy=json.dumps(policy | {"Statement": rest}))
    else:
        session.call("s3", "delete_bucket_policy", Bucket=Bucket)
    kept = f"{len(rest)} statements that are not ours stay" if rest else ""
    return ("left", f"{', '.join(sorted(changed))} was changed since") if changed else ("removed", kept)
