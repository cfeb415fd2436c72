"""A fix as a Plan: looked up before it is made, tried by AWS's dry run, made only when armed, verified, and taken back with one call.

    plan = plan_fix(session, fix)      # reads, and asks AWS for a dry run of each change
    plan.apply(armed=True)
    verify(session, fix)               # collects again and traces
    roll_back(session, fix, armed=True)  # takes back what was made

A rule, entry or route that is there already is kept, and teardown leaves it; one that differs, or a change that AWS would
refuse, is a conflict, and then nothing is changed. Sources: botocore's EC2 model; EC2 API reference, "DryRun".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from netkit.core.awscli import Ref, Request
from netkit.core.errors import AwsError, ConflictError, CredentialsError, InputError
from netkit.core.model import Verdict
from netkit.core.plan import LEDGER_FOLDER, Action, Find, Found, Owner, Plan, Step, Undo
from netkit.core.session import Session, error_code
from netkit.reach.change.changes import Call, Change, destination_of, has_peer, same_rule, target_of
from netkit.reach.change.fixes import Fix
from netkit.reach.read import collect

DRY_RUN_COLUMNS = ("order", "component", "operation", "outcome", "reason", "command")
_PEERS = ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")
_RESOURCES = {
    "sg": "security group", "acl": "network ACL", "rtb": "route table", "vpce": "VPC endpoint", "tgw": "transit gateway", "eni": "network interface",
    "i": "instance", "subnet": "subnet",
}  # fmt: skip
# Changes that cost money for as long as they stand, and how much is not known here.
_COSTS = ("start_instances",)


def plan_fix(
    session: Session,
    fix: Fix,
    *,
    dry_run: bool = True,
    expire_days: int = 30,
    folder: Path = LEDGER_FOLDER,
    today: date | None = None,
) -> Plan:
    """The changes of a fix as a plan, in their order. Reads, and with dry_run has AWS check each change; changes nothing.

    The same fix has the same run id, so a plan that was cut short goes on where it stopped. Changes in another account or
    region than the session's are not in the plan; a notice names them.

    Raises InputError for a fix that does not open its path, or that has no change here; AccessError where looking is denied.
    """
    if not fix.works:
        raise InputError(
            f"this fix does not open {fix.proof.question}",
            subject="; ".join((*fix.decide, *fix.remains))[:300],
            hint="a plan is made of a fix that is proved",
        )
    here = [one for one in fix.changes if _is_here(session, one)]
    away = [one for one in fix.changes if not _is_here(session, one)]
    if not here:
        raise InputError(
            f"nothing of this fix is in {session.account_id}/{session.region}",
            hint=f"connect to {', '.join(sorted({'/'.join(one.scope) for one in away}))}",
        )
    day = (today or datetime.now(UTC).date()) + timedelta(days=expire_days)
    what = f"fix {fix.proof.question}: {'; '.join(one.key for one in here)}"
    steps = [_step(number, change, dry_run=dry_run) for number, change in enumerate(here, 1)]
    return Plan.of(Owner(session, what, day, folder), steps, _notices(fix, here, away))


def _is_here(session: Session, change: Change) -> bool:
    account, region = change.scope
    return account in ("", session.account_id) and region in ("", session.region)


def _notices(fix: Fix, here: Sequence[Change], away: Sequence[Change]) -> list[str]:
    return [
        f"proof: {fix.proof.question} is {fix.proof.status} on the changed snapshot",
        f"opens besides: {fix.blast}",
        *(f"{change.component}: {note}" for change in here for note in change.notes),
        *(f"not in this plan, for it is in {'/'.join(change.scope)}: {change.command}" for change in away),
    ]


def _step(number: int, change: Change, *, dry_run: bool) -> Step:
    call = change.request
    look = _LOOKS[call.operation]
    prefix = change.component.split("-", 1)[0]
    cost = None if call.operation in _COSTS else 0.0
    return Step(
        f"{number}-{change.component}", _RESOURCES.get(prefix, prefix), change.component, call.service, call.operation, dict(call.request),
        _tried(look, call, dry_run=dry_run), change.why, _undo(change), monthly_usd=cost,
    )  # fmt: skip


def _undo(change: Change) -> Undo:
    back = change.reverse
    if back.operation == "delete_vpc_block_public_access_exclusion":
        return Undo(
            back.service,
            back.operation,
            {"ExclusionId": Ref("", "VpcBlockPublicAccessExclusion.ExclusionId")},
            adopt=True,
        )
    return Undo(back.service, back.operation, dict(back.request), adopt=True)


def _tried(look: Find, call: Call, *, dry_run: bool) -> Find:
    """Look whether it is there; where it is not, ask AWS whether it would make it."""

    def find(session: Session, request: Request) -> Found | None:
        found = look(session, request)
        if not dry_run or (found is not None and found.action != Action.UPDATE):
            return found
        outcome, reason = try_call(session, Call(call.service, call.operation, request))
        if outcome == "refused":
            return Found(Action.CONFLICT, "AWS would refuse it (dry run)", difference=(reason,))
        return found

    return find


def try_call(session: Session, call: Call) -> tuple[str, str]:
    """What AWS says of a call with DryRun=True, which changes nothing: ("allowed" or "refused", AWS's words)."""
    try:
        session.call(call.service, call.operation, **{**call.request, "DryRun": True})
    except CredentialsError:
        raise
    except AwsError as error:
        if error_code(error) == "DryRunOperation":
            return "allowed", "the request would have succeeded (dry run)"
        return "refused", error.what
    return "allowed", ""


def dry_run(session: Session, fix: Fix) -> pd.DataFrame:
    """What AWS says of each change of a fix with DryRun=True: DRY_RUN_COLUMNS; outcome is allowed or refused. Changes nothing."""
    rows = [
        (number, one.component, one.request.operation, *try_call(session, one.request), one.command)
        for number, one in enumerate(fix.changes, 1)
        if _is_here(session, one)
    ]
    return pd.DataFrame(rows, columns=list(DRY_RUN_COLUMNS))


def roll_back(session: Session, fix: Fix, *, folder: Path = LEDGER_FOLDER, armed: bool = False) -> pd.DataFrame:
    """Take back what the plan of a fix made, in reverse order (plan.teardown), if all of it still is as it was made.

    AWS deletes an entry by its number and a route by its destination, whatever is there now; so one that somebody has
    changed since is a ConflictError, and nothing is taken back. Raises NotArmedError unless armed, InputError where the
    plan was never applied.
    """
    plan = plan_fix(session, fix, dry_run=False, folder=folder)
    changed = [step for step in plan.conflicts if plan.owner.ledger.made(step.key)]
    if changed:
        raise ConflictError(
            f"{len(changed)} of {len(plan.steps)} changes are not as they were made, so nothing was taken back",
            subject="; ".join(f"{step.name}: {', '.join(step.difference) or step.reason}" for step in changed),
            hint="look at them by hand; plan.teardown(armed=True) takes back what is there all the same",
        )
    return plan.teardown(armed=armed)


def verify(sessions: Session | Sequence[Session], fix: Fix, *, wait_s: float = 0.0, progress: bool = False) -> Verdict:
    """The question of a fix on a snapshot that is collected now: REACHABLE once the fix is applied, blocked after teardown.

    sessions   those that the first snapshot was collected with
    wait_s     while it is not REACHABLE, look again for so long: an association or an instance takes a while to come up
    Raises as collect() and trace() do.
    """
    until, pause = time.monotonic() + wait_s, 1.0
    while True:
        verdict = fix.question.ask(collect(sessions, progress=progress))
        if verdict.reachable or time.monotonic() + pause > until:
            return verdict
        time.sleep(pause)
        pause = min(2 * pause, 15.0)


# --- whether a change is there already


def _one(session: Session, operation: str, key: str, **request: Any) -> dict[str, Any] | None:
    """The one record that a describe call answers, None where there is no such thing any more."""
    try:
        return next(iter(session.pages("ec2", operation, key, **request)), None)
    except AwsError as error:
        if "NotFound" in error_code(error):
            return None
        raise


def _gone(what: str) -> Found:
    return Found(Action.CONFLICT, f"{what} is not there any more", difference=("collect the snapshot again",))


def _rule(member: str) -> Find:
    def look(session: Session, request: Request) -> Found | None:
        group = _one(session, "describe_security_groups", "SecurityGroups", GroupIds=[request["GroupId"]])
        if group is None:
            return _gone(request["GroupId"])
        there = [
            any(same_rule(held, wanted) and has_peer(held, kind, peer) for held in group[member])
            for wanted in request["IpPermissions"]
            for kind in _PEERS
            for peer in wanted.get(kind) or ()
        ]
        return Found(Action.KEEP, "the rule is there") if all(there) else None

    return look


def _entry(session: Session, request: Request) -> Found | None:
    acl = _one(session, "describe_network_acls", "NetworkAcls", NetworkAclIds=[request["NetworkAclId"]])
    if acl is None:
        return _gone(request["NetworkAclId"])
    there = next(
        (
            one
            for one in acl["Entries"]
            if (one["RuleNumber"], one["Egress"]) == (request["RuleNumber"], request["Egress"])
        ),
        None,
    )
    if there is None:
        return None
    differs = tuple(
        f"{name}: {there.get(name)} there, {value} asked for"
        for name, value in request.items()
        if name != "NetworkAclId" and there.get(name) != value
    )
    reason = f"rule {request['RuleNumber']} is there"
    return Found(Action.CONFLICT if differs else Action.KEEP, reason, difference=differs)


def _route(session: Session, request: Request) -> Found | None:
    table = _one(session, "describe_route_tables", "RouteTables", RouteTableIds=[request["RouteTableId"]])
    if table is None:
        return _gone(request["RouteTableId"])
    there = next((one for one in table["Routes"] if destination_of(one) == destination_of(request)), None)
    if there is None:
        return None
    same = target_of(there) == target_of(request)
    differs = () if same else (f"{destination_of(there)} goes to {target_of(there)}, {target_of(request)} asked for",)
    return Found(Action.KEEP if same else Action.CONFLICT, "such a route is there", difference=differs)


def _turned_route(session: Session, request: Request) -> Found | None:
    found = _route(session, request)
    if found is None:
        return _gone(f"the route {destination_of(request)} of {request['RouteTableId']}")
    if found.action == Action.CONFLICT and found.reason == "such a route is there":
        return Found(Action.UPDATE, "it leads elsewhere", request=dict(request), difference=found.difference)
    return found


def _endpoint(session: Session, request: Request) -> Found | None:
    held = _one(session, "describe_vpc_endpoints", "VpcEndpoints", VpcEndpointIds=[request["VpcEndpointId"]])
    if held is None:
        return _gone(request["VpcEndpointId"])
    there = set(request["AddRouteTableIds"]) <= set(held.get("RouteTableIds", []))
    return Found(Action.KEEP, "the table has its route") if there else None


def _association(session: Session, request: Request) -> Found | None:
    name = request["TransitGatewayAttachmentId"]
    held = _one(
        session, "describe_transit_gateway_attachments", "TransitGatewayAttachments", TransitGatewayAttachmentIds=[name]
    )
    if held is None:
        return _gone(name)
    table = (held.get("Association") or {}).get("TransitGatewayRouteTableId", "")
    if not table:
        return None
    same = table == request["TransitGatewayRouteTableId"]
    return Found(
        Action.KEEP if same else Action.CONFLICT, f"it is associated with {table}", difference=() if same else (table,)
    )


def _transit_route(session: Session, request: Request) -> Found | None:
    filters = [
        {"Name": "route-search.exact-match", "Values": [request["DestinationCidrBlock"]]},
        {"Name": "type", "Values": ["static"]},
    ]
    answer = session.call(
        "ec2", "search_transit_gateway_routes", TransitGatewayRouteTableId=request["TransitGatewayRouteTableId"], Filters=filters
    )  # fmt: skip
    there = next(iter(answer["Routes"]), None)
    if there is None:
        return None
    targets = [one["TransitGatewayAttachmentId"] for one in there.get("TransitGatewayAttachments", [])]
    same = targets == [request["TransitGatewayAttachmentId"]]
    differs = () if same else (f"it goes to {', '.join(targets) or 'nowhere'}",)
    return Found(Action.KEEP if same else Action.CONFLICT, "such a route is there", difference=differs)


def _propagation(session: Session, request: Request) -> Found | None:
    rows = session.pages(
        "ec2", "get_transit_gateway_route_table_propagations", "TransitGatewayRouteTablePropagations",
        TransitGatewayRouteTableId=request["TransitGatewayRouteTableId"],
    )  # fmt: skip
    there = [one for one in rows if one["TransitGatewayAttachmentId"] == request["TransitGatewayAttachmentId"]]
    on = any(one.get("State") in ("enabled", "enabling") for one in there)
    return Found(Action.KEEP, "it is enabled") if on else None


def _attachment(session: Session, request: Request) -> Found | None:
    name = request["TransitGatewayAttachmentId"]
    held = _one(
        session, "describe_transit_gateway_vpc_attachments", "TransitGatewayVpcAttachments", TransitGatewayAttachmentIds=[name]
    )  # fmt: skip
    if held is None:
        return _gone(name)
    there = set(request["AddSubnetIds"]) <= set(held["SubnetIds"])
    return Found(Action.KEEP, "it has the subnet") if there else None


def _check(session: Session, request: Request) -> Found | None:
    name = request["NetworkInterfaceId"]
    held = _one(session, "describe_network_interfaces", "NetworkInterfaces", NetworkInterfaceIds=[name])
    if held is None:
        return _gone(name)
    wanted = request["SourceDestCheck"]["Value"]
    if bool(held.get("SourceDestCheck", True)) == wanted:
        return Found(Action.KEEP, f"the check is {'on' if wanted else 'off'}")
    return Found(Action.UPDATE, f"the check is {'off' if wanted else 'on'}", request=dict(request))


def _start(session: Session, request: Request) -> Found | None:
    names = request["InstanceIds"]
    held = _one(session, "describe_instances", "Reservations", InstanceIds=names)
    if held is None:
        return _gone(names[0])
    state = next(one["State"]["Name"] for one in held["Instances"] if one["InstanceId"] in names)
    if state in ("running", "pending"):
        return Found(Action.KEEP, f"it is {state}")
    if state == "stopped":
        return Found(Action.UPDATE, "it is stopped", request=dict(request))
    return Found(Action.CONFLICT, f"it is {state}", difference=("only a stopped instance can be started",))


def _exclusion(session: Session, request: Request) -> Found | None:
    rows = session.pages(
        "ec2", "describe_vpc_block_public_access_exclusions", "VpcBlockPublicAccessExclusions"
    )  # fmt: skip
    there = next(
        (
            one
            for one in rows
            if one["ResourceArn"].endswith(f"/{request['SubnetId']}") and "delete" not in one["State"]
        ),
        None,
    )
    if there is None:
        return None
    same = there["InternetGatewayExclusionMode"] == request["InternetGatewayExclusionMode"]
    answer: Mapping[str, Any] = {"VpcBlockPublicAccessExclusion": there}
    return Found(
        Action.KEEP if same else Action.CONFLICT,
        "it is excluded",
        answer,
        () if same else (str(there["InternetGatewayExclusionMode"]),),
    )


_LOOKS: dict[str, Callable[[Session, Request], Found | None]] = {
    "authorize_security_group_ingress": _rule("IpPermissions"),
    "authorize_security_group_egress": _rule("IpPermissionsEgress"),
    "create_network_acl_entry": _entry,
    "create_route": _route,
    "replace_route": _turned_route,
    "modify_vpc_endpoint": _endpoint,
    "associate_transit_gateway_route_table": _association,
    "create_transit_gateway_route": _transit_route,
    "enable_transit_gateway_route_table_propagation": _propagation,
    "modify_transit_gateway_vpc_attachment": _attachment,
    "modify_network_interface_attribute": _check,
    "start_instances": _start,
    "create_vpc_block_public_access_exclusion": _exclusion,
}
