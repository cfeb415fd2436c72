"""Reading is free, writing is a Plan: the only code of netkit that changes anything in AWS.

A wing's provision.py describes what should be as Steps. `Plan.of` looks at what is there and gives each step its action:

    create    nothing of that name exists
    update    it exists and lacks something; the request holds what exists, merged
    keep      it exists as it should be (or is not netkit's to change)
    conflict  it exists and differs; it is shown, and never replaced

`plan.apply(armed=True)` looks once more before each call, and writes an intent line and a result line around it to
runs/ledger/<run id>.jsonl. The run id follows from account, region and what is planned, so the same plan made again
takes up the same ledger: a run killed at any point is finished by applying the plan again, without a duplicate.
`teardown` undoes in reverse order what that ledger says was made.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import pandas as pd
from botocore import xform_name
from tqdm.auto import tqdm

from netkit.core.errors import AccessError, AwsError, ConflictError, InputError, NotArmedError, PlanError, StepFailed
from netkit.core.look import block
from netkit.core.policy import statements_of
from netkit.core.session import Session, error_code
from netkit.core.tables import frame_html
from netkit.core.text import escaped

LEDGER_FOLDER = Path("runs/ledger")
RUN_TAG, EXPIRES_TAG = "netkit:run", "netkit:expires"
PREVIEW_COLUMNS = (
    "order", "step", "resource", "name", "action", "reason", "difference", "service", "operation", "request", "command",
    "monthly_usd", "undo", "after",
)  # fmt: skip
APPLIED_COLUMNS = ("step", "resource", "name", "outcome", "reason")
MADE_COLUMNS = ("step", "resource", "name", "state", "time", "undo")
REMOVED_COLUMNS = ("step", "resource", "name", "outcome", "reason")
STATEMENTS_UNDO = "remove_bucket_policy_statements"  # the one undo that is not a single boto3 call

Request = Mapping[str, Any]
_ABSENT = re.compile(r"NotFound|NoSuch|DoesNotExist|^404$")
_THERE_ALREADY = re.compile(r"Already|Exists|Duplicate|Conflict")
# What AWS changes by itself, or writes of every read, says nothing of whether a thing is still as it was made.
_CHANGES_ALONE = re.compile(
    r"Time(stamp)?$|Date$|^State(Reason|ReasonData|Value|TransitionedReason)?$|Status$|Bytes$|^Version|^ResponseMetadata$|Arn$|ARN$|^(Created|Updated)|^(Is|Cross)|Until$"
)
_TAGS = ("tags", "Tags", "TagList", "Table.Parameters")
_LOADED = ("file://", "fileb://")  # the AWS command line reads these files in place of the value
_PLAIN_WORD = re.compile(r"[\w<.:/@+*][\w<>.:/@+*-]*")  # in a list of words none may look like an option or JSON
_SETTLE_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)


class Action(StrEnum):
    """What a step does, or would do."""

    CREATE = "create"
    UPDATE = "update"
    KEEP = "keep"
    CONFLICT = "conflict"


@dataclass(frozen=True)
class Ref:
    """A value out of the answer of an earlier step, as Ref("role", "Role.Arn"). In an undo, step "" is the step itself."""

    step: str
    path: str

    def __str__(self) -> str:
        return f"<{self.step}.{self.path}>" if self.step else f"<{self.path}>"


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
        return aws_command(self.service, self.operation, _shown(self.request), self.region)


def aws_command(service: str, operation: str, request: Request, region: str = "") -> str:
    """A boto3 call as an `aws` command: options in kebab case, structures as JSON, quoted for a POSIX shell.

    A value that the command line would read as something else (an option, JSON, a file to load) is given in a form in which
    it is only a value.
    """
    words = ["aws", {"s3": "s3api"}.get(service, service), operation.replace("_", "-")]
    if any(isinstance(value, str) and value.startswith(_LOADED) for value in request.values()):
        words += ["--cli-input-json", json.dumps(request)]
    else:
        words += [word for name, value in request.items() for word in _option(xform_name(name, "-"), value)]
    return shlex.join(words + (["--region", region] if region else []))


# Flags whose other side the command line names in its own way (awscli, customizations/ec2: network ACL entries).
_NO = {"egress": "ingress"}


def _option(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--{_NO.get(name, f'no-{name}')}"]
    if isinstance(value, list) and value and all(_PLAIN_WORD.fullmatch(str(one)) for one in value):
        return [f"--{name}", *map(str, value)]
    text = json.dumps(value) if isinstance(value, dict | list) else str(value)
    return [f"--{name}={text}"] if text.startswith("-") else [f"--{name}", text]


@dataclass(frozen=True)
class Owner:
    """Who makes things: the run id, which follows from account, region and `what`, its tags and its ledger."""

    session: Session
    what: str
    expires: date
    folder: Path = LEDGER_FOLDER

    @property
    def run_id(self) -> str:
        """Deterministic, so that the same plan made again goes on where it stopped."""
        seed = "|".join((self.session.account_id, self.session.region, self.what))
        return "nk-" + hashlib.sha256(seed.encode()).hexdigest()[:12]

    @property
    def ledger(self) -> Ledger:
        """The ledger of this run id."""
        return Ledger(self.folder / f"{self.run_id}.jsonl")

    @property
    def tags(self) -> dict[str, str]:
        """The tags that everything created carries."""
        return {RUN_TAG: self.run_id, EXPIRES_TAG: self.expires.isoformat()}

    def arn(self, service: str, resource: str, *, anywhere: bool = False) -> str:
        """The ARN of something of this account; `anywhere` for what has no region."""
        region = "" if anywhere else self.session.region
        partition = self.session.boto3.get_partition_for_region(self.session.region)
        return f"arn:{partition}:{service}:{region}:{self.session.account_id}:{resource}"

    def tag_list(self, **more: str) -> list[dict[str, str]]:
        """The tags as AWS's [{Key, Value}]."""
        return [{"Key": key, "Value": value} for key, value in (self.tags | more).items()]


_TEXTS = ("account", "region", "action", "resource", "name")
_UNDO = {"service": str, "operation": str, "request": dict, "guards": list, "by_tag": str}


def _is_event(line: Any) -> bool:
    """Whether a line of a ledger is an event of a step, its members of the kind that is read."""
    if not isinstance(line, dict) or not all(isinstance(line.get(name), str) for name in ("event", "step")):
        return False
    texts = [line[name] for name in _TEXTS if name in line]
    sound = isinstance(line.get("undo"), dict | None) and isinstance(line.get("after", []), list)
    return sound and all(isinstance(one, str) for one in texts)


def _whole_undo(undo: Mapping[str, Any] | None) -> bool:
    return bool(undo) and all(isinstance((undo or {}).get(name), kind) for name, kind in _UNDO.items())


def _whole_intent(line: Mapping[str, Any]) -> bool:
    whole = line["event"] == "intent" and all(name in line for name in (*_TEXTS, "undo", "after", "time"))
    return whole and (line["undo"] is None or _whole_undo(line["undo"]))


class Ledger:
    """A JSON Lines file of what was meant and what was done, flushed to disk line by line.

    Events of a step: intent, then result, partial, failed or unclear (it is there, and nothing says who made it), and seen
    (how it then looked) or appeared (it was there right after a call without an answer); later removed or left.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[dict[str, Any]]:
        """All lines, oldest first, without one that a kill cut short or that is damaged: what it meant is looked up in AWS."""
        return [line for text in self._texts() if (line := self._parsed(text))]

    def damaged(self) -> int:
        """How many lines cannot be read as an event of a step; they are skipped."""
        return sum(self._parsed(text) is None for text in self._texts())

    def _texts(self) -> list[bytes]:
        return [text for text in self.path.read_bytes().split(b"\n") if text.strip()] if self.path.exists() else []

    @staticmethod
    def _parsed(text: bytes) -> dict[str, Any] | None:
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return line if _is_event(line) else None

    def write(self, event: str, step: str, **more: Any) -> None:
        """Add a line, and have it on disk before returning."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, "step": step} | more
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                if file.tell() and self._cut_short(file):
                    file.write(b"\n")
                file.write(json.dumps(line, default=str).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as problem:
            raise PlanError(
                f"the ledger cannot be written ({problem.strerror}), so the plan goes no further", subject=str(self.path),
                hint="make room there, and apply the same plan again: it goes on where it stopped",
            ) from None  # fmt: skip

    @staticmethod
    def _cut_short(file: Any) -> bool:
        file.seek(-1, os.SEEK_END)
        return bool(file.read(1) != b"\n")

    def state(self, step: str) -> str:
        """The last that happened to a step: "", intent, result, partial, failed, unclear or removed."""
        beside = ("left", "seen", "appeared")  # they change nothing of who made it
        events = [line["event"] for line in self.lines() if line["step"] == step and line["event"] not in beside]
        return str(events[-1]) if events else ""

    def made(self, step: str) -> bool:
        """Whether this run made it, as far as is known: an intent without a result counts, since the call may have gone out."""
        return self.state(step) in ("intent", "result", "partial")

    def intended_undo(self, step: str) -> dict[str, Any] | None:
        """The undo in the last intent of a step where that was an update: it alone knows what was there before."""
        found = [line for line in self.lines() if line["step"] == step and line["event"] == "intent"]
        if not found or found[-1].get("action") != Action.UPDATE or _unresolved(found[-1].get("undo") or {}):
            return None
        return dict(found[-1].get("undo") or {}) or None

    def intended_action(self, step: str) -> str:
        """What the last intent of a step was to do: create or update; "" where there is none."""
        found = [
            str(line.get("action", "")) for line in self.lines() if line["step"] == step and line["event"] == "intent"
        ]
        return found[-1] if found else ""

    def appeared(self, step: str) -> bool:
        """Whether the thing of an open intent was there right after its call, and not right before."""
        events = [line["event"] for line in self.lines() if line["step"] == step]
        return "appeared" in events[len(events) - events[::-1].index("intent") :] if "intent" in events else False

    def seen(self, step: str) -> Any:
        """How a step's thing looked right after it was made, or None where nobody looked."""
        found = [line.get("seen") for line in self.lines() if line["step"] == step and line["event"] == "seen"]
        return found[-1] if found else None

    def generation(self, step: str) -> int:
        """How often an attempt at the step came to an end: what follows is a new attempt, and needs a new idempotency token."""
        return sum(
            line["event"] in ("result", "partial", "failed", "unclear", "removed")
            for line in self.lines()
            if line["step"] == step
        )


@dataclass(frozen=True)
class Plan:
    """Ordered steps, each with what it would do and why. Nothing changes until apply(armed=True)."""

    owner: Owner
    steps: tuple[Step, ...]
    notices: tuple[str, ...] = ()

    @classmethod
    def of(cls, owner: Owner, steps: Sequence[Step], notices: Sequence[str] = ()) -> Plan:
        """A plan from steps as they should be: looks at what exists, reads only. Raises AccessError where that is denied."""
        answers: dict[str, Request] = {}
        seen: list[Step] = []
        for step in steps:
            unknown = set(step.after) - {one.key for one in seen}
            if unknown or step.key in {one.key for one in seen}:
                raise PlanError(f"the step {step.key} is doubled, or comes before {', '.join(sorted(unknown))}")
            ready = _ready(owner, step)
            found = _look(owner.session, ready, answers)
            if found is not None:
                answers[step.key] = found.answer
            seen.append(_decided(ready, found))
        return cls(owner, tuple(seen), tuple(notices))

    @property
    def run_id(self) -> str:
        """The run that this plan belongs to; the netkit:run tag and the ledger's name."""
        return self.owner.run_id

    @property
    def conflicts(self) -> tuple[Step, ...]:
        """Steps whose resource exists and differs."""
        return tuple(step for step in self.steps if step.action == Action.CONFLICT)

    def preview(self) -> pd.DataFrame:
        """One row a step, in order: PREVIEW_COLUMNS. monthly_usd is NaN where it is unknown; undo is a command line."""
        rows = [
            (
                number, step.key, step.resource, step.name, str(step.action), step.reason, "; ".join(step.difference), step.service,
                step.operation, _shown(step.request), "" if step.action in (Action.KEEP, Action.CONFLICT) else step.command,
                float("nan") if step.monthly_usd is None else step.monthly_usd,
                aws_command(step.undo.service, step.undo.operation, _shown(step.undo.request), step.region) if step.undo else "",
                ", ".join(step.after),
            )
            for number, step in enumerate(self.steps, 1)
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=list(PREVIEW_COLUMNS)).astype({"monthly_usd": "float64"})

    def __str__(self) -> str:
        cost = sum(step.monthly_usd or 0.0 for step in self.steps)
        unknown = [step.key for step in self.steps if step.monthly_usd is None and step.action != Action.KEEP]
        lines = [
            f"{step.action:<8} {step.resource} {step.name}: {step.reason}{_bracketed(step.difference)}"
            for step in self.steps
        ]
        total = f"estimated ${cost:.2f} a month" + (f", without {', '.join(unknown)} (unknown)" if unknown else "")
        return "\n".join([f"plan {self.run_id} in {self.owner.session}", *lines, *self.notices, total])

    def _repr_html_(self) -> str:
        shown = self.preview()[["action", "resource", "name", "reason", "difference", "command", "monthly_usd"]]
        notices = "".join(f"<p>{escaped(notice)}</p>" for notice in self.notices)
        title = escaped(f"plan {self.run_id} in {self.owner.session}")
        return block(f"<p><b>{title}</b></p>{notices}{frame_html(shown)}")

    def apply(self, *, armed: bool = False) -> pd.DataFrame:
        """Do it, and return one row a step: APPLIED_COLUMNS; outcome is created, updated or kept.

        Raises NotArmedError unless armed, and ConflictError before the first call when anything exists and differs; then
        nothing was changed. Raises StepFailed when a call is refused: what was done before stands in the ledger, and
        applying the same plan again goes on from there.
        """
        if not armed:
            raise NotArmedError(
                "this plan is not armed, so nothing was changed", subject=self.run_id, hint="apply(armed=True)"
            )
        # The plan may be hours old: look again before anything is changed.
        self._refuse_conflicts(Plan.of(self.owner, self.steps).conflicts)
        answers: dict[str, Request] = {}
        rows = [self._done(step, answers) for step in tqdm(self.steps, desc=f"apply {self.run_id}", unit="step")]
        return pd.DataFrame(rows, columns=list(APPLIED_COLUMNS))

    def teardown(self, *, armed: bool = False) -> pd.DataFrame:
        """Take back what this plan made; see teardown()."""
        return teardown(self.owner.session, self.run_id, folder=self.owner.folder, armed=armed)

    def _refuse_conflicts(self, steps: Sequence[Step]) -> None:
        if steps:
            shown = "; ".join(
                f"{step.resource} {step.name}: {', '.join(step.difference) or step.reason}" for step in steps
            )
            raise ConflictError(
                f"{len(steps)} of {len(self.steps)} resources exist and differ, so nothing was changed",
                subject=shown, hint="use another name, or change that resource by hand",
            )  # fmt: skip

    def _done(self, step: Step, answers: dict[str, Request]) -> tuple[str, ...]:
        """Bring one step about; its answer goes into `answers`."""
        ledger = self.owner.ledger
        ready = _ready(self.owner, step)
        found = _look(self.owner.session, ready, answers)
        now = _decided(ready, found)
        self._refuse_conflicts([now] if now.action == Action.CONFLICT else [])
        if found is not None and now.action == Action.KEEP:
            answers[step.key] = found.answer
            # An earlier run was killed between its call and its result line, or an answer never came.
            ours = ledger.state(step.key) == "intent" and self._settled(step, found, answers)
            return (step.key, step.resource, step.name, "created" if ours else "kept", now.reason)
        request = _resolved(now.request, answers)
        if _unresolved(request):
            raise StepFailed(f"the step {step.key} needs what an earlier step did not answer", subject=now.command)
        self._intend(now, request, answers)
        answers[step.key] = self._called(now, request, answers)
        if now.action == Action.CREATE:
            _settle(self.owner.session, step, request)
        self._remember(now, answers)
        return (step.key, step.resource, step.name, f"{now.action}d", now.reason)

    def _settled(self, step: Step, found: Found, answers: Mapping[str, Request]) -> bool:
        """End an open intent whose thing is there: whether it is this run's."""
        ledger = self.owner.ledger
        created = ledger.intended_action(step.key) == Action.CREATE
        safe = step.undo is None or step.undo.adopt or any(ledger.made(one) for one in step.after)
        if found.run == self.run_id or (found.run is None and (ledger.appeared(step.key) or safe or not created)):
            # What now looks kept may be an update: taken back as if it were created, it would not come back but go.
            ledger.write("result", step.key, adopted=True, undo=ledger.intended_undo(step.key) or _undo(step, answers))
            self._remember(step, answers)
            return True
        if created and found.run is None:
            ledger.write(
                "unclear",
                step.key,
                error="the call may have made it, or others meanwhile: AWS does not show whose it is",
            )
        elif created:
            # The call never came about, and somebody else has made a thing of that name: it is not ours to take away.
            ledger.write("failed", step.key, error=f"made by {found.run or 'others'} meanwhile")
        return False

    def _remember(self, step: Step, answers: Mapping[str, Request]) -> None:
        """Write how it looks now, so that teardown can tell whether somebody has changed it since."""
        undo = _undo(step, answers)
        if undo and undo["look"] and not _unresolved(undo["look"]["request"]):
            self.owner.ledger.write("seen", step.key, seen=_looks(self.owner.session, undo["look"]))

    def _intend(self, step: Step, request: Request, answers: Mapping[str, Request]) -> None:
        self.owner.ledger.write(
            "intent", step.key, run=self.run_id, account=self.owner.session.account_id, region=self.owner.session.region,
            action=str(step.action), resource=step.resource, name=step.name, service=step.service, operation=step.operation,
            request=request, undo=_undo(step, answers), undone_with="" if step.undo else "what it belongs to", after=step.after,
        )  # fmt: skip

    def _called(self, step: Step, request: Request, answers: Mapping[str, Request]) -> Request:
        ledger = self.owner.ledger
        again = "apply the same plan again to go on"
        try:
            answer = self.owner.session.call(step.service, step.operation, **request)
        except AwsError as error:
            if (there := self._done_after_all(step, error, request, answers)) is not None:
                return there
            raise StepFailed(
                f"the step {step.key} failed: {error.what}", subject=f"{step.resource} {step.name}", hint=again
            ) from error
        kept = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
        errors = _errors(answer)
        undo = _undo(step, {**answers, step.key: kept})
        worked = undo is not None and not _unresolved(undo["request"]) and all(undo["request"].values())
        ledger.write(
            ("partial" if worked else "failed") if errors else "result", step.key, answer=kept, undo=undo, errors=errors
        )
        if errors:
            raise StepFailed(
                f"the step {step.key} failed for {len(errors)}: {errors[0]}",
                subject=f"{step.resource} {step.name}",
                hint=again,
            )
        return kept

    def _done_after_all(
        self, step: Step, error: AwsError, request: Request, answers: Mapping[str, Request]
    ) -> Request | None:
        """What AWS had made when botocore's repetition of a lost call was refused; None where that is not so, or not known.

        Where the last answer was a 5xx, or none came, AWS may have done the work all the same: the intent stays open, and the
        next run goes on from what is there. Where AWS shows no owner, it has to know that it appeared with this call.
        """
        ledger, code = self.owner.ledger, error_code(error)
        repeated = error.retries > 0 and bool(_THERE_ALREADY.search(code))
        if code and error.status < 500 and not repeated:
            ledger.write("failed", step.key, error=error.what)
            return None
        try:
            found = step.find(self.owner.session, _resolved(step.wanted or request, answers))
        except AwsError:
            return None
        if found is None or found.action != Action.KEEP:
            return None
        if found.run is None:
            ledger.write("appeared", step.key)
        return found.answer if repeated and self._settled(step, found, {**answers, step.key: found.answer}) else None


def made(run_id: str, *, folder: Path = LEDGER_FOLDER) -> pd.DataFrame:
    """What teardown would take back, by the ledger alone, in its order: MADE_COLUMNS; time in UTC, undo is a command line.

    state is result, partial, or intent where the run was cut short and only AWS knows. Raises InputError without a ledger.
    """
    ledger, intents = _opened(run_id, folder)
    rows = [
        (key, line["resource"], line["name"], ledger.state(key), line["time"], _undo_line((_undos(ledger, key) or [line["undo"]])[0], line["region"]))
        for key, line in reversed(intents.items())
        if ledger.made(key) and line["undo"] is not None
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(MADE_COLUMNS))


def _undo_line(undo: Mapping[str, Any], region: str) -> str:
    return aws_command(undo["service"], undo["operation"], _shown_again(undo["request"]), region)


def _shown_again(value: Any) -> Any:
    """As _shown, for a Ref as the ledger writes it."""
    if isinstance(value, Mapping):
        return f"<{value['$ref']}>" if "$ref" in value else {name: _shown_again(one) for name, one in value.items()}
    return value


def _opened(run_id: str, folder: Path) -> tuple[Ledger, dict[str, dict[str, Any]]]:
    """A run's ledger and the last intent of each step, in order of the first. Raises InputError where there is none."""
    ledger = Ledger(folder / f"{run_id}.jsonl")
    named = re.fullmatch(r"nk-[0-9a-f]{12}", run_id)
    intents = {line["step"]: line for line in ledger.lines() if _whole_intent(line)} if named else {}
    if not intents:
        raise InputError(
            f"there is no ledger of a run {run_id[:40]!r}",
            subject=str(folder),
            hint="its name is in the netkit:run tag",
        )
    return ledger, intents


def teardown(session: Session, run_id: str, *, folder: Path = LEDGER_FOLDER, armed: bool = False) -> pd.DataFrame:
    """Undo what a run made, in reverse order, and return one row for each: REMOVED_COLUMNS.

    Only what the ledger says this run made, or what carries its netkit:run tag where the run was cut short before AWS's
    answer was seen. outcome: removed, gone (it was not there any more) or left, with the reason: data is never deleted,
    and a policy keeps every statement that is not ours.

    Raises NotArmedError unless armed, and InputError for a run without a ledger, or one of another account or region.
    """
    ledger, intents = _opened(run_id, folder)
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
    undos: list[dict[str, Any]] | None = _undos(ledger, key) or [intent["undo"]]
    if any(_unresolved(undo["request"]) for undo in undos or ()):
        undos = _by_tag(session, run_id, ledger, intent["undo"])
    if undos is None:
        return "left", "the run was cut short before its id was seen; apply the same plan again, then tear it down"
    if why := _not_ours(session, ledger, run_id, key, intent) or _changed_since(session, ledger, key, undos):
        return why
    # Newest first: what was created and then updated is put back to what it was, and then goes.
    outcomes = [_undone(session, undo) for undo in reversed(undos)]
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
    tags = _looks(session, undo["owner"])
    if tags is None:
        return None  # gone, or never made: the undo says so
    run = _run_tag(tags)
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
    if not look or before is None or _unresolved(look["request"]):
        return None
    now = _looks(session, look)
    return ("left", "it was changed since") if now not in (None, before) else None


def tagged_run(owner: Owner, step: str, tags: Look) -> str | None:
    """The netkit:run tag of what is there, "" without one. None where it need not be known, or may not.

    It has to be known only after a kill between intent and result: then it tells whether the call came about, or
    somebody else has made a thing of that name.
    """
    if owner.ledger.state(step) != "intent":
        return None
    try:
        found = _looks(owner.session, asdict(tags))
    except AwsError:
        return None
    return None if found is None else _run_tag(found)


def _run_tag(tags: Any) -> str:
    pairs = tags if isinstance(tags, dict) else {one.get("Key"): one.get("Value") for one in tags}
    return str(pairs.get(RUN_TAG, ""))


def _looks(session: Session, look: Mapping[str, Any]) -> Any:
    """What a Look shows, without what changes by itself; None where there is nothing."""
    try:
        answer = if_there(session, look["service"], look["operation"], **look["request"])
    except AccessError:
        raise
    except AwsError:  # Athena's and CloudWatch's own ways to say that there is no such thing
        return None
    found = None if answer is None else _lasting(_at_or_none(answer, look["key"]))
    return None if found in (None, [], {}) and look["key"] not in _TAGS else found


def _at_or_none(answer: Any, path: str) -> Any:
    for part in path.split("."):
        answer = answer.get(part) if isinstance(answer, Mapping) else None
    return answer


def _lasting(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _lasting(one) for name, one in value.items() if not _CHANGES_ALONE.search(name)}
    if isinstance(value, list | tuple):
        return [_lasting(one) for one in value]
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):  # a document within: its spaces say nothing
        try:
            return _lasting(json.loads(value))
        except (ValueError, RecursionError):
            return value
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _undos(ledger: Ledger, key: str) -> list[dict[str, Any]]:
    """The undo of every call that made a part of the step since it was last removed."""
    undos: list[dict[str, Any]] = []
    for line in ledger.lines():
        if line["step"] == key and line["event"] == "removed":
            undos = []
        elif line["step"] == key and line["event"] in ("result", "partial"):
            undos += [line["undo"]] if _whole_undo(line.get("undo")) else []
    return undos


def _by_tag(session: Session, run_id: str, ledger: Ledger, undo: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Undos of the EC2 resources of that kind which carry the run's tag and which no other step's result has; or None."""
    if not undo["by_tag"]:
        return None
    wanted = {"key": RUN_TAG, "value": run_id}
    filters = [{"Name": name, "Values": [value]} for name, value in wanted.items()]
    tagged = {tag["ResourceId"] for tag in session.pages("ec2", "describe_tags", "Tags", Filters=filters)}
    known = json.dumps([line.get("undo") for line in ledger.lines() if line["event"] in ("result", "partial")])
    ids = sorted(one for one in tagged if one.startswith(undo["by_tag"]) and one not in known)
    (name,) = (name for name, value in undo["request"].items() if _unresolved(value))
    as_list = [{**undo, "request": {**undo["request"], name: ids}}] if ids else []
    return as_list if name.endswith("s") else [{**undo, "request": {**undo["request"], name: one}} for one in ids]


def _undone(session: Session, undo: Mapping[str, Any]) -> tuple[str, str]:
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
        errors = _errors(session.call(undo["service"], undo["operation"], **undo["request"]))
    except AwsError as error:
        if _ABSENT.search(error_code(error)) or "is not found" in error.what:
            return "gone", "it was not there any more"
        return "left", error.what
    gone = [one for one in errors if _ABSENT.search(one)]
    if len(errors) > len(gone):
        return "left", next(one for one in errors if one not in gone)
    return ("gone", "it was not there any more") if gone else ("removed", "")


def bucket_policy(session: Session, bucket: str) -> dict[str, Any] | None:
    """The policy document of a bucket, or None where it has none (or there is no such bucket)."""
    answer = if_there(session, "s3", "get_bucket_policy", Bucket=bucket)
    return None if answer is None else dict(json.loads(answer["Policy"]))


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


def if_there(session: Session, service: str, operation: str, **request: Any) -> dict[str, Any] | None:
    """One read, None where AWS says there is no such thing. Raises AccessError where it is denied: that is not absent."""
    try:
        return session.call(service, operation, **request)
    except AccessError:
        raise
    except AwsError as error:
        if _ABSENT.search(error_code(error)):
            return None
        raise


def _ready(owner: Owner, step: Step) -> Step:
    """The step with its region, and its idempotency token where the call takes one."""
    request = step.wanted or step.request
    if not step.token:
        return replace(step, region=owner.session.region, request=request)
    seed = f"{owner.run_id}/{step.key}/{owner.ledger.generation(step.key)}"
    token = hashlib.sha256(seed.encode()).hexdigest()[:48]
    return replace(step, region=owner.session.region, request={**request, step.token: token})


def _look(session: Session, step: Step, answers: Mapping[str, Request]) -> Found | None:
    """What is there. A step that builds on one which does not exist yet cannot exist either."""
    request = _resolved(step.request, answers)
    return None if _unresolved(request) else step.find(session, request)


def _decided(step: Step, found: Found | None) -> Step:
    if found is None:
        return replace(step, action=Action.CREATE, difference=())
    if found.request is not None:
        step = replace(step, request=found.request, wanted=step.request, undo=found.undo or step.undo)
    return replace(step, action=found.action, reason=found.reason, difference=found.difference)


def _settle(session: Session, step: Step, request: Request) -> None:
    """Wait until what was created can be seen: AWS is eventually consistent, and the next step may need it."""
    for pause in _SETTLE_S:
        time.sleep(pause)
        if step.find(session, request) is not None:
            return
    raise StepFailed(
        f"the step {step.key} was accepted, but nothing can be seen of it after {sum(_SETTLE_S):.0f} s",
        subject=f"{step.resource} {step.name}", hint="apply the same plan again in a minute",
    )  # fmt: skip


def _resolved(value: Any, answers: Mapping[str, Request]) -> Any:
    """The value with every Ref replaced whose step has answered."""
    if isinstance(value, Ref):
        return _at(answers[value.step], value) if value.step in answers else value
    if isinstance(value, Mapping):
        return {name: _resolved(one, answers) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(one, answers) for one in value]
    return value


def _at(answer: Any, ref: Ref) -> Any:
    for part in ref.path.split("."):
        try:
            answer = answer[int(part)] if part.isdecimal() else answer[part]
        except (KeyError, IndexError, TypeError):
            return ref
    return answer


def _unresolved(value: Any) -> bool:
    """Whether a Ref is left, as itself or as the ledger writes it."""
    if isinstance(value, Mapping):
        return "$ref" in value or any(_unresolved(one) for one in value.values())
    return isinstance(value, Ref) or (isinstance(value, list | tuple) and any(_unresolved(one) for one in value))


def _undo(step: Step, answers: Mapping[str, Request]) -> dict[str, Any] | None:
    """The undo as plain JSON; a Ref that has no answer yet stands as {"$ref": path}."""
    if step.undo is None:
        return None
    own = {**answers, "": answers[step.key]} if step.key in answers else answers
    request = _plain(_resolved(step.undo.request, own))
    reads = [asdict(one) | {"request": _plain(_resolved(one.request, own))} if one else None for one in (*step.undo.guards, step.undo.look, step.undo.owner)]  # fmt: skip
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


def _shown(value: Any) -> Any:
    """The value for people: Refs as <step.path>."""
    if isinstance(value, Mapping):
        return {name: _shown(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    return str(value) if isinstance(value, Ref) else value


def _errors(answer: Mapping[str, Any]) -> list[str]:
    """What a 200 answer still says went wrong, one line each."""
    return [
        f"{one.get('ResourceId') or one.get('TargetId', '')}: {one.get('Error', one).get('Code') or one.get('ErrorCode')}: "
        f"{one.get('Error', one).get('Message') or one.get('ErrorMessage', '')}"
        for key in ("Unsuccessful", "FailedEntries")
        for one in answer.get(key) or []
    ]


def _bracketed(lines: Iterator[str] | Sequence[str]) -> str:
    text = "; ".join(lines)
    return f" [{text}]" if text else ""
