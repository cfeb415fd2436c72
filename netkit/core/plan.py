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
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from netkit.core.awscli import Line, Ref, Request, aws_command, from_tag, owned_by, refs_in, script, undo_script
from netkit.core.errors import AwsError, ConflictError, NotArmedError, PlanError, StepFailed
from netkit.core.ledger import LEDGER_FOLDER, Ledger
from netkit.core.look import block, command
from netkit.core.looks import bucket_policy, errors_of, if_there, looks, run_tag
from netkit.core.session import Session, error_code
from netkit.core.steps import (
    EXPIRES_TAG,
    RUN_TAG,
    STATEMENTS_UNDO,
    Action,
    Find,
    Found,
    Guard,
    Look,
    Step,
    Undo,
    resolved,
    shown,
    undo_call,
    undo_of,
    unresolved,
)
from netkit.core.tables import frame_html
from netkit.core.teardown import MADE_COLUMNS, REMOVED_COLUMNS, made, remove_statements, teardown
from netkit.core.text import escaped

__all__ = [
    "APPLIED_COLUMNS",
    "EXPIRES_TAG",
    "LEDGER_FOLDER",
    "MADE_COLUMNS",
    "PREVIEW_COLUMNS",
    "REMOVED_COLUMNS",
    "RUN_TAG",
    "STATEMENTS_UNDO",
    "Action",
    "Find",
    "Found",
    "Guard",
    "Ledger",
    "Look",
    "Owner",
    "Plan",
    "Ref",
    "Request",
    "Step",
    "Undo",
    "aws_command",
    "bucket_policy",
    "if_there",
    "made",
    "remove_statements",
    "tagged_run",
    "teardown",
]

PREVIEW_COLUMNS = (
    "order", "step", "resource", "name", "action", "reason", "difference", "service", "operation", "request", "command",
    "monthly_usd", "undo", "after",
)  # fmt: skip
APPLIED_COLUMNS = ("step", "resource", "name", "outcome", "reason")
_THERE_ALREADY = re.compile(r"Already|Exists|Duplicate|Conflict")
_SETTLE_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)


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


@dataclass(frozen=True)
class Plan:
    """Ordered steps, each with what it would do and why. Nothing changes until apply(armed=True)."""

    owner: Owner
    steps: tuple[Step, ...]
    notices: tuple[str, ...] = ()
    answers: Mapping[str, Request] = field(default_factory=dict, repr=False, compare=False)  # of what is there already

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
        return cls(owner, tuple(seen), tuple(notices), answers)

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
                step.operation, shown(step.request), self._line(step) if step in self.changing else "",
                float("nan") if step.monthly_usd is None else step.monthly_usd,
                self._undo_line(step),
                ", ".join(step.after),
            )
            for number, step in enumerate(self.steps, 1)
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=list(PREVIEW_COLUMNS)).astype({"monthly_usd": "float64"})

    @property
    def changing(self) -> tuple[Step, ...]:
        """The steps that would change something."""
        return tuple(step for step in self.steps if step.action in (Action.CREATE, Action.UPDATE))

    def script(self) -> str:
        """What the plan would do as one bash script of `aws` lines; "" where there is nothing to do. It keeps no ledger."""
        if not self.changing:
            return ""
        lines = [
            Line(one.key, one.service, one.operation, self._known(one.request), one.region) for one in self.changing
        ]
        wanted = [ref for line in [*lines, *self._undo_lines()] for ref in refs_in(line.request)]
        return script(f"plan {self.run_id}: {len(lines)} calls, in order", lines, wanted, f"{self.run_id}.ids")

    def undo_script(self) -> str:
        """The script that takes back what script() made, the last call first; "" where there is nothing to take back."""
        lines = self._undo_lines()
        return undo_script(f"takes back plan {self.run_id}", lines, f"{self.run_id}.ids") if lines else ""

    def _known(self, request: Request) -> Request:
        """The request with what is there already in place of its references."""
        return dict(resolved(request, self.answers))

    def _undo_lines(self) -> list[Line]:
        return [
            Line(step.key, *undo, step.region)
            for step in reversed(self.changing)
            if step.undo and (undo := undo_call(step, self._known(owned_by(step.key, step.undo.request))))
        ]

    def _line(self, step: Step) -> str:
        """A step as a line that runs by itself: ids that the plan makes are looked up by its tag."""
        return aws_command(step.service, step.operation, self._known(step.request), step.region, fill=self._looked_up)

    def _undo_line(self, step: Step) -> str:
        """How a step is taken back; "" where it changes nothing: what was there before is not the plan's to take away."""
        ours = step.undo if step in self.changing else None
        undo = ours and undo_call(step, self._known(owned_by(step.key, ours.request)))
        return aws_command(*undo, step.region, fill=self._looked_up) if undo else ""

    def _looked_up(self, ref: Ref) -> str:
        step = next(one for one in self.steps if one.key == ref.step)
        prefix = step.undo.by_tag if step.undo else ""
        if not prefix:
            return f"${{{ref.variable}}}"
        return from_tag(RUN_TAG, self.run_id, prefix, step.region, several=ref.path.endswith("s"))

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
        return block(f"<p><b>{title}</b></p>{notices}{frame_html(shown)}{self._scripts_html()}")

    def _scripts_html(self) -> str:
        shown = {"the same as one script": self.script(), "and the script that takes it back": self.undo_script()}
        return "".join(
            f"<details><summary>{words}</summary>{command(text)}</details>" for words, text in shown.items() if text
        )

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
        request = resolved(now.request, answers)
        if unresolved(request):
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
            ledger.write(
                "result", step.key, adopted=True, undo=ledger.intended_undo(step.key) or undo_of(step, answers)
            )
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
        undo = undo_of(step, answers)
        if undo and undo["look"] and not unresolved(undo["look"]["request"]):
            self.owner.ledger.write("seen", step.key, seen=looks(self.owner.session, undo["look"]))

    def _intend(self, step: Step, request: Request, answers: Mapping[str, Request]) -> None:
        self.owner.ledger.write(
            "intent", step.key, run=self.run_id, account=self.owner.session.account_id, region=self.owner.session.region,
            action=str(step.action), resource=step.resource, name=step.name, service=step.service, operation=step.operation,
            request=request, undo=undo_of(step, answers), undone_with="" if step.undo else "what it belongs to", after=step.after,
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
        errors = errors_of(answer)
        undo = undo_of(step, {**answers, step.key: kept})
        worked = undo is not None and not unresolved(undo["request"]) and all(undo["request"].values())
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
            found = step.find(self.owner.session, resolved(step.wanted or request, answers))
        except AwsError:
            return None
        if found is None or found.action != Action.KEEP:
            return None
        if found.run is None:
            ledger.write("appeared", step.key)
        return found.answer if repeated and self._settled(step, found, {**answers, step.key: found.answer}) else None


def tagged_run(owner: Owner, step: str, tags: Look) -> str | None:
    """The netkit:run tag of what is there, "" without one. None where it need not be known, or may not.

    It has to be known only after a kill between intent and result: then it tells whether the call came about, or
    somebody else has made a thing of that name.
    """
    if owner.ledger.state(step) != "intent":
        return None
    try:
        found = looks(owner.session, asdict(tags))
    except AwsError:
        return None
    return None if found is None else run_tag(found)


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
    request = resolved(step.request, answers)
    return None if unresolved(request) else step.find(session, request)


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


def _bracketed(lines: Iterator[str] | Sequence[str]) -> str:
    text = "; ".join(lines)
    return f" [{text}]" if text else ""
