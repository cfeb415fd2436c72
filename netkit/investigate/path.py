"""What the notebook asks, a step each: snapshot, what changed, the pairs around a path, AWS's analyzer, the fix and its proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from netkit.core.commandline import incident_command, teardown_command
from netkit.core.errors import AccessError, BudgetError, InputError
from netkit.core.model import NOT_ASKED, Finding, Unknown, Verdict
from netkit.core.packets import blocks
from netkit.core.plan import Plan
from netkit.core.session import Session, connect
from netkit.reach.analyzer.answers import compare_finding, verdict_of
from netkit.reach.change.fixes import OPENS_COLUMNS, Fix, opens_frame
from netkit.reach.change.remedy import plan_fix, verify
from netkit.reach.engine.exposure import exposure
from netkit.reach.engine.intents import check_intents, load_intents
from netkit.reach.engine.matrix import matrix
from netkit.reach.explain import rests_on
from netkit.reach.network.compare import compare_snapshots
from netkit.reach.network.ends import End, find_end, which_vpc
from netkit.reach.network.network import Network, network_of
from netkit.reach.network.snapshot import Snapshot, load_snapshot, save_snapshot
from netkit.reach.provision import asked, plan_question
from netkit.reach.read import await_analysis, collect


class Run(Protocol):
    """What this module needs of a notebook's run (netkit.runs.notebook.Run)."""

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


PAIRS_AT_MOST = 400  # interfaces in a grid that a person can read


def neighbours(snapshot: Snapshot, verdict: Verdict) -> list[str]:
    """The interfaces of the VPCs that a path is in or goes through; of its subnets alone where those are too many."""
    hops = (*verdict.forward, *verdict.back)
    vpcs, subnets = {hop.vpc for hop in hops if hop.vpc}, {hop.subnet for hop in hops if hop.subnet}
    held = [one for one in network_of(snapshot).interfaces.values() if one.vpc in vpcs]
    if len(held) > PAIRS_AT_MOST:
        held = [one for one in held if one.subnet in subnets]
    return sorted(one.id for one in held)


def around(snapshot: Snapshot, verdict: Verdict, service: Mapping[str, Any]) -> pd.DataFrame:
    """All pairs of the interfaces around a path, for its service (matrix.matrix)."""
    return matrix(
        snapshot, protocol=service["protocol"], port=service.get("port"), interfaces=neighbours(snapshot, verdict)
    )


def exposed(snapshot: Snapshot, verdict: Verdict, service: Mapping[str, Any]) -> pd.DataFrame:
    """What the internet reaches among the interfaces around a path, and what of them reaches the internet (exposure.exposure)."""
    return exposure(
        snapshot, protocol=service["protocol"], port=service.get("port"), interfaces=neighbours(snapshot, verdict)
    )


def intent_findings(run: Run, file: str, snapshot: Snapshot) -> list[Finding]:
    """The findings of an intents file (intents.check_intents); none where no file is named."""
    return check_intents(snapshot, load_intents(run.path(file))) if file else []


# --- the fix


def fix_plan(run: Run, fixes: Sequence[Fix]) -> Plan | str:
    """The plan of the best fix, checked by AWS's dry run; or why there is none."""
    if not fixes:
        return "the path is open: there is nothing to fix"
    try:
        return plan_fix(run.session, fixes[0], folder=run.folder / "ledger")
    except (InputError, AccessError) as problem:
        return f"{problem.what}; {problem.hint}" if problem.hint else problem.what


def apply_fix(run: Run, plan: Plan | str, fixes: Sequence[Fix], *, armed: bool) -> Verdict | None:
    """With armed: the plan applied, and the verdict on a snapshot that is collected afterwards; None when nothing was done."""
    if not armed or isinstance(plan, str):
        return None
    plan.apply(armed=True)
    return verify(run.session, fixes[0], progress=True)


def proof(verdict: Verdict, fixes: Sequence[Fix], applied: Verdict | None) -> Verdict:
    """The verdict after the fix: of the account once it is applied, else of the changed copy of the snapshot."""
    if applied is not None:
        return applied
    return fixes[0].proof if fixes else verdict


def fix_opens(fixes: Sequence[Fix]) -> pd.DataFrame:
    """What the best fix opens, the path that it is for first (fixes.opens_frame); no rows where there is none."""
    return opens_frame(fixes[0]) if fixes else pd.DataFrame(columns=list(OPENS_COLUMNS))


def applied_findings(plan: Plan | str, applied: Verdict | None) -> list[Finding]:
    """REACH-FIX-APPLIED: confirmed when the path is open on the snapshot that was collected after the change."""
    if applied is None or isinstance(plan, str):
        return []
    made_in = plan.owner.session
    undo = teardown_command(plan.run_id, target=made_in.target, account_id=made_in.account_id, region=made_in.region)
    subject = tuple(step.name for step in plan.steps)
    if applied.reachable:
        claim = f"{applied.question} gets through now: {len(plan.steps)} changes were applied, and asked again on a new snapshot"
        return [
            Finding(
                "REACH-FIX-APPLIED",
                "confirmed",
                "info",
                subject,
                claim,
                {"run": plan.run_id, "verdict": applied.status},
                next_step=f"to take it back: {undo}",
            )
        ]
    why = "; ".join(str(one) for one in (*applied.blockers, *applied.unknowns)[:3])
    claim = f"{applied.question} is {applied.status.replace('_', ' ').lower()} after the change: {why}"
    return [
        Finding(
            "REACH-FIX-APPLIED",
            "inconclusive",
            "high",
            subject,
            claim,
            {"run": plan.run_id, "verdict": applied.status},
            next_step=f"take it back: {undo}",
        )
    ]


def next_step(run: Run, verdict: Verdict, fixes: Sequence[Fix], ends: Mapping[str, str], folder: str = "") -> str:
    """What to do now: all commands of the best fix with their undo, or what has to be decided; then since when, and who changed it.

    ends: source, destination and vpc as they were asked; folder: of the snapshot, "" where it was taken now: of an older one
    the account that is asked now says nothing
    """
    best = fixes[0] if fixes else None
    step = (best.steps or "; ".join((*best.decide, *best.remains))[:400]) if best else ""
    if folder or verdict.reachable or not verdict.protocol or "internet" in ends.values():
        return step
    now = run.session.now()
    port = int(verdict.port) if verdict.port.isdecimal() else 0
    since = incident_command(
        ends["source"],
        ends["destination"],
        verdict.protocol,
        port,
        vpc=ends.get("vpc"),
        start=now - _LOOK_BACK,
        end=now,
    )
    return "\n".join([*([step] if step else []), "# since when, and who changed it:", since])


_LOOK_BACK = timedelta(hours=4)  # reading live costs by the hour


# --- AWS's own analyzer

ANALYZER = "AWS's analyzer"


def analyzer_plan(
    run: Run,
    snapshot: Snapshot,
    verdict: Verdict,
    ends: Mapping[str, str],
    service: Mapping[str, Any],
    budget_usd: float,
) -> Plan | str:
    """The plan that asks AWS's analyzer what a verdict answers, or why it cannot be asked. Nothing is charged yet.

    ends: source, destination and vpc; service: protocol, port and source_port, as trace() takes them. The snapshot says which
    ids they stand for, and its time which question it is: the same one of the same snapshot is asked once.
    """
    try:
        words = _for_aws(run.session, snapshot, verdict, ends)
        if service.get("port") is None and str(service["protocol"]).lower() in ("tcp", "udp"):
            raise InputError(f"without a port {ANALYZER} asks whether any gets through", hint="ask about one port")
        return plan_question(
            run.session,
            source=words["source"],
            destination=words["destination"],
            source_address=words.get("source_address", ""),
            protocol=str(service["protocol"]),
            port=service.get("port"),
            source_port=service.get("source_port") or _client_ports(verdict),
            moment=snapshot.collected,
            budget_usd=budget_usd,
            folder=run.folder / "ledger",
        )
    except (InputError, BudgetError, AccessError) as problem:
        return f"{problem.what}; {problem.hint}" if problem.hint else problem.what


def _client_ports(verdict: Verdict) -> str | None:
    """The client's ports that the verdict is about: AWS's analyzer would take any, the ephemeral ones or not."""
    header = next((one for hop in verdict.forward for one in (hop.inbound, hop.outbound) if one), None)
    return header.source_ports[0] if header and len(header.source_ports) == 1 else None


def _for_aws(session: Session, snapshot: Snapshot, verdict: Verdict, ends: Mapping[str, str]) -> dict[str, str]:
    """source, destination and source_address as plan_question() takes them. Raises InputError for what AWS does not take."""
    network = network_of(snapshot)
    vpc = which_vpc(network, ends.get("vpc", ""))
    source = find_end(network, ends["source"], "source", vpc)
    destination = find_end(network, ends["destination"], "destination", vpc)
    for end in (source, destination):
        _refuse(session, network, end)
    words = {
        "source": _named(network, source, destination, verdict),
        "destination": _named(network, destination, source, verdict),
    }
    if destination.kind == "address" and destination.address:
        words["destination"] = _text(destination.address)
    if source.address and (source.kind == "internet" or _second(source)):
        words["source_address"] = _text(source.address)
    return words


def _text(address: tuple[int, int]) -> str:
    (block,) = blocks((address[1], address[1]), address[0])
    return block.partition("/")[0]


def _second(end: End) -> bool:
    """Whether an address is its interface's own and not the first, which is the one that is meant without a word."""
    one = end.interface
    return bool(one and end.address and end.address[0] == 4 and one.pairs and end.address[1] != one.pairs[0][0])


def _refuse(session: Session, network: Network, end: End) -> None:
    if end.missing:
        raise InputError(str(end.missing), hint="the snapshot has to hold both ends")
    if end.balancer and end.kind == "load-balancer":
        raise InputError(f"{ANALYZER} takes no load balancer as an end", hint="ask for a target, or for its interface")
    one = end.interface
    if (end.address and end.address[0] == 6) or (one and not one.pairs):
        raise InputError(f"{ANALYZER} knows IPv4 alone", hint="the snapshot answers it")
    scope = one.scope if one else ("", "")
    for held, here, word in zip(scope, (session.account_id, session.region), ("account", "Region"), strict=True):
        if held and held != here:
            raise InputError(
                f"{end.given} is in {word} {held}, and the session in {here}", hint=f"connect to that {word}"
            )


def _named(network: Network, end: End, other: End, verdict: Verdict) -> str:
    """The id that AWS knows an end by; for the internet the gateway on the path, or that of the other end's VPC."""
    if end.kind == "internet":
        on_path = [hop.component for hop in (*verdict.forward, *verdict.back) if hop.type == "internet-gateway"]
        home = other.interface.vpc if other.interface else ""
        attached = sorted(one.id for one in network.igws.values() if home in one.vpcs)
        if not on_path and not attached:
            raise InputError(
                f"{home or other.given} has no internet gateway to ask {ANALYZER} about", hint="the snapshot answers it"
            )
        return (on_path or attached)[0]
    if end.kind == "address":
        return end.id or (end.interface.id if end.interface else end.given)
    return end.id or end.given


def analyzer_verdict(run: Run, plan: Plan | str, *, analyzer: bool) -> Verdict:
    """What AWS's analyzer says, asked and awaited when `analyzer` is true; otherwise UNKNOWN, which says that it was not asked.

    What it costs is written to runs/costs.jsonl. Raises StepFailed when AWS refuses, PlanError when it does not come to an end.
    """
    if isinstance(plan, str) or not analyzer:
        source, _, destination = ("", "", "") if isinstance(plan, str) else plan.steps[0].name.partition(" to ")
        why = f"cannot be asked: {plan}" if isinstance(plan, str) and analyzer else f"{NOT_ASKED}: analyzer is false"
        return Verdict("UNKNOWN", source, destination, "", unknowns=[Unknown(ANALYZER, why)], origin=ANALYZER)
    plan.apply(armed=True)
    path, analysis = asked(plan)
    name = analysis["NetworkInsightsAnalysisId"]
    return verdict_of(await_analysis(run.session, name, ledger=run.folder / "costs.jsonl"), path)


def analyzer_findings(theirs: Verdict, ours: Verdict, snapshot: Snapshot) -> list[Finding]:
    """REACH-ANALYZER-DISAGREES (answers.compare_finding), or nothing where AWS was not asked."""
    if any(one.why.startswith(NOT_ASKED) for one in theirs.unknowns):
        return []
    return [compare_finding(ours, theirs, rests_on(ours, snapshot))]


def analyzer_after(
    run: Run,
    applied: Verdict | None,
    ends: Mapping[str, str],
    service: Mapping[str, Any],
    budget_usd: float,
    *,
    analyzer: bool,
) -> list[Finding]:
    """AWS's analyzer asked once more after a fix was applied, on a new snapshot; nothing where it was not, or is not to be asked."""
    if applied is None or not analyzer:
        return []
    now = collect(run.session)
    plan = analyzer_plan(run, now, applied, ends, service, budget_usd)
    return analyzer_findings(analyzer_verdict(run, plan, analyzer=True), applied, now)
