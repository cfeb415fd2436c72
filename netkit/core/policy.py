"""Policy documents: merged statement by statement, never overwritten. Pure.

Statements are those for service principals, as log delivery, alarms and rules need them in bucket and topic policies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any


def merge_statements(
    policy: Mapping[str, Any] | None, statements: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A policy with these statements added, and the Sids that were. Nothing that is there is changed.

    A statement already there under any Sid that allows the same is left to do its work; where its Sid is taken by another
    statement, ours gets a number behind its own.
    """
    document: dict[str, Any] = dict(policy or {"Version": "2012-10-17", "Statement": []})
    existing = statements_of(document)
    added: list[dict[str, Any]] = []
    for statement in statements:
        if any(allows_as_much(one, statement) for one in existing):
            continue
        taken = {one.get("Sid") for one in [*existing, *added]}
        sids = (statement["Sid"] + (str(number) if number else "") for number in range(len(taken) + 1))
        added.append({**statement, "Sid": next(sid for sid in sids if sid not in taken)})
    return document | {"Statement": [*existing, *added]}, tuple(one["Sid"] for one in added)


def statements_of(policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The statements of a policy document, which may hold a single one without a list."""
    statements = policy.get("Statement", [])
    return [statements] if isinstance(statements, dict) else list(statements)


def allows_as_much(existing: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether an Allow statement grants all that `wanted` does: same principal, actions and resources covered, no condition
    that `wanted` would not meet. A condition whose meaning is not plain counts as not met."""
    if existing.get("Effect") != "Allow" or any(
        f"Not{part}" in existing for part in ("Action", "Resource", "Principal")
    ):
        return False
    service = set(listed(wanted["Principal"]["Service"]))
    principal = existing.get("Principal", {})
    if not (isinstance(principal, dict) and service <= set(listed(principal.get("Service", [])))):
        return False
    parts_covered = all(
        all(
            any(_covers(pattern, one, part) for pattern in listed(existing.get(part, [])))
            for one in listed(wanted[part])
        )
        for part in ("Action", "Resource")
        if part in wanted  # a trust policy has no resource
    )
    return parts_covered and _conditions_met(existing.get("Condition", {}), wanted.get("Condition", {}))


def _covers(pattern: str, one: str, part: str) -> bool:
    if part == "Action":  # actions compare without case
        pattern, one = pattern.lower(), one.lower()
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), one) is not None


def _conditions_met(existing: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    for operator, keys in existing.items():
        met = {key.lower(): listed(value) for key, value in wanted.get(operator, {}).items()}
        for key, values in keys.items():
            given = met.get(key.lower(), [])
            like = operator.startswith(("ArnLike", "StringLike"))
            if not given or not all(
                any(one == value or (like and _covers(value, one, "")) for value in listed(values)) for one in given
            ):
                return False
    return True


def listed(value: Any) -> list[Any]:
    """A policy value as a list: IAM writes one value bare and several in a list."""
    return list(value) if isinstance(value, list | tuple) else [value]
