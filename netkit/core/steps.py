"""What a plan is made of: steps, what was found of them, how they are taken back, and the same as an `aws` command."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from netkit.core.awscli import Ref, Request, aws_command
from netkit.core.policy import statements_of
from netkit.core.session import Session

RUN_TAG, EXPIRES_TAG = "netkit:run", "netkit:expires"
STATEMENTS_UNDO = "remove_bucket_policy_statements"  # the one undo that is not a single boto3 call


class Action(StrEnum):
    """What a step does, or would do."""

    CREATE = "create"
    UPDATE = "update"
    KEEP = "keep"
    CONFLICT = "conflict"


@dataclass(frozen=True)
class Guard:
    """A read that must come back empty before something is removed; `why` says what it means when it does not.

    containing  only items count whose JSON holds one of these texts; () counts all
    """

    service: str
    operation: str
    key: str
    request: Request
    why: str
    containing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Look:
    """A read, and the member of its answer that counts."""

    service: str
    operation: str
    request: Request
    key: str


@dataclass(frozen=True)
class Undo:
    """How a step is taken back.

    by_tag  how EC2 ids of its kind begin ("fl-"): so it is found by its netkit:run tag when its id was never seen
    look    what is there: taken back only while it still is as it was right after it was made
    owner   its tags: they tell whose it is where the run was cut short between its call and the answer. Without them, and
            without a step before it that is this run's, it then is nobody's known, and is left
    adopt   it is taken for this run's all the same: AWS itself removes it only while nothing is in it (a bucket), or it has no
            name, and the same to the letter as what this run was about to make (an entry of a fix) would be made by nobody else
    """

    service: str
    operation: str
    request: Request
    guards: tuple[Guard, ...] = ()
    by_tag: str = ""
    look: Look | None = None
    owner: Look | None = None
    adopt: bool = False


@dataclass(frozen=True)
class Found:
    """What exists now: the action that follows, why, and `answer`, in the shape of the operation's own answer for Refs.

    difference  for update and conflict: one line for each thing that differs
    request     for update: the request, merged with what exists
    run         value of the netkit:run tag, "" when there is none, None where the API cannot tag
    undo        for update: how to take back what the merged request adds
    """

    action: Action
    reason: str
    answer: Request = field(default_factory=dict)
    difference: tuple[str, ...] = ()
    request: Request | None = None
    run: str | None = None
    undo: Undo | None = None


Find = Callable[[Session, Request], Found | None]


@dataclass(frozen=True)
class Step:
    """One change: a resource, the boto3 call that makes it, and how to see whether it is there.

    key        short name of the step, unique in its plan
    find       what exists now, or None; called with the resolved request when planning, and again right before the call
    token      name of the request's idempotency token, filled in by the plan
    monthly_usd  running cost; None is unknown, which is not zero
    after      keys of steps that must be there first
    """

    key: str
    resource: str
    name: str
    service: str
    operation: str
    request: Request
    find: Find
    reason: str = ""
    undo: Undo | None = None
    monthly_usd: float | None = 0.0
    token: str = ""
    after: tuple[str, ...] = ()
    action: Action = Action.CREATE
    difference: tuple[str, ...] = ()
    region: str = ""
    wanted: Request | None = None  # the request as it was before it was merged with what exists

    @property
    def command(self) -> str:
        """The same as a line for the AWS command line; references to earlier answers stand as <step.path>."""
        return aws_command(self.service, self.operation, shown(self.request), self.region)


def resolved(value: Any, answers: Mapping[str, Request]) -> Any:
    """The value with every Ref replaced whose step has answered."""
    if isinstance(value, Ref):
        return _at(answers[value.step], value) if value.step in answers else value
    if isinstance(value, Mapping):
        return {name: resolved(one, answers) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [resolved(one, answers) for one in value]
    return value


def _at(answer: Any, ref: Ref) -> Any:
    for part in ref.path.split("."):
        try:
            answer = answer[int(part)] if part.isdecimal() else answer[part]
        except (KeyError, IndexError, TypeError):
            return ref
    return answer


def unresolved(value: Any) -> bool:
    """Whether a Ref is left, as itself or as the ledger writes it."""
    if isinstance(value, Mapping):
        return "$ref" in value or any(unresolved(one) for one in value.values())
    return isinstance(value, Ref) or (isinstance(value, list | tuple) and any(unresolved(one) for one in value))


def undo_of(step: Step, answers: Mapping[str, Request]) -> dict[str, Any] | None:
    """The undo as plain JSON; a Ref that has no answer yet stands as {"$ref": path}."""
    if step.undo is None:
        return None
    own = {**answers, "": answers[step.key]} if step.key in answers else answers
    request = _plain(resolved(step.undo.request, own))
    reads = [asdict(one) | {"request": _plain(resolved(one.request, own))} if one else None for one in (*step.undo.guards, step.undo.look, step.undo.owner)]  # fmt: skip
    return {
        "service": step.undo.service, "operation": step.undo.operation, "request": request, "guards": reads[:-2], "by_tag": step.undo.by_tag,
        "look": reads[-2], "owner": reads[-1], "adopt": step.undo.adopt,
    }  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, Ref):
        return {"$ref": value.path, "step": value.step}
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def shown(value: Any) -> Any:
    """The value for people: Refs as <step.path>."""
    if isinstance(value, Mapping):
        return {name: shown(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [shown(one) for one in value]
    return str(value) if isinstance(value, Ref) else value


def undo_call(step: Step, request: Request) -> tuple[str, str, Request] | None:
    """An undo as a call of boto3: statements are taken out of a bucket's policy by putting the rest, or by deleting it."""
    undo = step.undo
    if undo is None:
        return None
    if undo.operation != STATEMENTS_UNDO:
        return undo.service, undo.operation, request
    written, bucket = json.loads(str(step.request.get("Policy", "{}"))), {"Bucket": request["Bucket"]}
    rest = [one for one in statements_of(written) if one not in request["Statements"]]
    if not rest:
        return "s3", "delete_bucket_policy", bucket
    return "s3", "put_bucket_policy", {**bucket, "Policy": json.dumps(written | {"Statement": rest})}
