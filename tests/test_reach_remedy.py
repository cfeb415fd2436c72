"""A fix as a plan, in the lab: nothing before it is armed, AWS's dry run, made, verified, made again, taken back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inprocess import Kill, account, calls, only_watch, writes

from netkit.core.errors import ConflictError, InputError, NotArmedError
from netkit.core.plan import made
from netkit.core.session import Session
from netkit.reach.change.changes import Call, Change
from netkit.reach.change.fixes import Fix, fix_of, propose
from netkit.reach.change.remedy import DRY_RUN_COLUMNS, dry_run, plan_fix, roll_back, verify
from netkit.reach.network.snapshot import Snapshot
from netkit.reach.read import collect
from netkit.sandbox.labs import reach as reach_lab
from netkit.sandbox.labs.reach import BY_NAME, CASES, Case
from netkit.sandbox.world.world import ident

BLOCKED = [case for case in CASES if case.status == "NOT_REACHABLE"]
MADE = ("no-route", "sg-outbound", "two-blockers", "tgw-no-association", "s3-no-route")


@pytest.fixture(scope="module")
def lab() -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch, account(patch) as session:
        reach_lab.seed()
        yield session


@pytest.fixture(scope="module")
def before(lab: Session) -> Snapshot:
    return collect(lab, progress=False)


def proposed(snapshot: Snapshot, ending: str) -> list[Fix]:
    case = next(one for one in CASES if one.ending == ending)
    return propose(snapshot, source=case.source, destination=case.destination, protocol="tcp", port=case.port)


def changing(seen: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
    """Of some calls those that change something."""
    names = [one for one in writes(seen) if not one.startswith("Search")]
    return [(operation, request) for operation, request in seen if operation in names]


def camel(fix: Fix) -> list[str]:
    return ["".join(word.title() for word in change.request.operation.split("_")) for change in fix.changes]


def same(one: Snapshot, other: Snapshot) -> bool:
    """Whether two snapshots hold the same, whenever they were taken."""
    return replace(one, collected="") == replace(other, collected="")


@pytest.mark.parametrize("case", BLOCKED, ids=lambda case: case.ending)
def test_every_blocked_ending_has_a_proof(before: Snapshot, case: Case) -> None:
    fixes = proposed(before, case.ending)
    assert fix_of(fixes).proof.reachable and [fix.rank for fix in fixes] == list(range(1, len(fixes) + 1))


@pytest.mark.parametrize("ending", MADE)
def test_made_verified_and_taken_back(
    lab: Session, before: Snapshot, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fix = fix_of(proposed(before, ending))
    with calls(monkeypatch, only_watch) as seen:
        plan = plan_fix(lab, fix, folder=tmp_path)
        with pytest.raises(NotArmedError):
            plan.apply()
    assert [operation for operation, _ in changing(seen)] == camel(fix)
    assert all(request["DryRun"] is True for _, request in changing(seen))
    preview = plan.preview()
    assert set(preview["action"]) == {"create"} and preview["undo"].tolist() == [one.undo for one in fix.changes]
    assert preview["command"].tolist() == [one.command for one in fix.changes]
    plan.apply(armed=True)
    assert verify(lab, fix).reachable
    assert set(plan.teardown(armed=True)["outcome"]) == {"removed"} and made(plan.run_id, folder=tmp_path).empty
    after = collect(lab, progress=False)
    assert same(after, before) and not fix.question.ask(after).reachable


def test_made_again_it_is_kept(lab: Session, before: Snapshot, tmp_path: Path) -> None:
    fix = fix_of(proposed(before, "two-blockers"))
    plan = plan_fix(lab, fix, folder=tmp_path)
    plan.apply(armed=True)
    again = plan_fix(lab, fix, folder=tmp_path)
    assert again.run_id == plan.run_id and set(again.preview()["action"]) == {"keep"}
    assert set(again.apply(armed=True)["outcome"]) == {"kept"}
    assert set(again.teardown(armed=True)["outcome"]) == {"removed"}


def test_what_somebody_else_made_is_kept_and_left(lab: Session, before: Snapshot, tmp_path: Path) -> None:
    fix = fix_of(proposed(before, "two-blockers"))
    entry = next(one for one in fix.changes if one.component.startswith("acl-"))
    lab.call("ec2", entry.request.operation, **entry.request.request)
    plan = plan_fix(lab, fix, folder=tmp_path)
    assert sorted(plan.preview()["action"]) == ["create", "keep"]
    plan.apply(armed=True)
    assert verify(lab, fix).reachable
    assert [name for name in plan.teardown(armed=True)["name"] if name.startswith("acl-")] == []
    assert plan_fix(lab, fix, folder=tmp_path).preview().set_index("name").loc[entry.component, "action"] == "keep"
    lab.call("ec2", entry.reverse.operation, **entry.reverse.request)


def name(thing: str, prefix: str) -> str:
    return ident(reach_lab.NAME, thing, prefix)


TABLE, SPOKE = name("tgw-rtb", "tgw-rtb"), name("attach-reach-spoke-a", "tgw-attach")
ROUTE = {"RouteTableId": name("private-no-nat", "rtb"), "DestinationCidrBlock": "192.0.2.7/32"}
OTHERS: dict[str, tuple[tuple[str, dict[str, Any]], tuple[str, dict[str, Any]]]] = {
    "source/destination check": (
        ("modify_network_interface_attribute", {"NetworkInterfaceId": BY_NAME["reachable-server"].interface_id, "SourceDestCheck": {"Value": False}}),
        ("modify_network_interface_attribute", {"NetworkInterfaceId": BY_NAME["reachable-server"].interface_id, "SourceDestCheck": {"Value": True}}),
    ),
    "transit gateway route": (
        ("create_transit_gateway_route", {"DestinationCidrBlock": "10.66.10.10/32", "TransitGatewayRouteTableId": TABLE, "TransitGatewayAttachmentId": SPOKE}),
        ("delete_transit_gateway_route", {"DestinationCidrBlock": "10.66.10.10/32", "TransitGatewayRouteTableId": TABLE}),
    ),
    "route turned": (
        ("replace_route", ROUTE | {"NatGatewayId": name("nat", "nat")}),
        ("replace_route", ROUTE | {"VpcPeeringConnectionId": name("pcx", "pcx")}),
    ),
    "instance started": (
        ("start_instances", {"InstanceIds": [BY_NAME["reachable-server"].instance_id]}),
        ("stop_instances", {"InstanceIds": [BY_NAME["reachable-server"].instance_id]}),
    ),
    "propagation": (
        ("enable_transit_gateway_route_table_propagation", {"TransitGatewayRouteTableId": TABLE, "TransitGatewayAttachmentId": SPOKE}),
        ("disable_transit_gateway_route_table_propagation", {"TransitGatewayRouteTableId": TABLE, "TransitGatewayAttachmentId": SPOKE}),
    ),
    "subnet of an attachment": (
        ("modify_transit_gateway_vpc_attachment", {"TransitGatewayAttachmentId": SPOKE, "AddSubnetIds": [name("tgw-reachable-client", "subnet")]}),
        ("modify_transit_gateway_vpc_attachment", {"TransitGatewayAttachmentId": SPOKE, "RemoveSubnetIds": [name("tgw-reachable-client", "subnet")]}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
def test_every_other_change_is_found_made_and_taken_back(
    lab: Session, before: Snapshot, kind: str, tmp_path: Path
) -> None:
    request, reverse = (Call("ec2", *one) for one in OTHERS[kind])
    if kind in ("instance started", "propagation"):  # as it is in the lab already
        lab.call("ec2", reverse.operation, **reverse.request)
    elif kind == "route turned":
        lab.call("ec2", "create_route", **reverse.request)
    change = Change("it", kind, request, reverse)
    fix = replace(fix_of(proposed(before, "sg-inbound")), changes=(change,))
    plan = plan_fix(lab, fix, folder=tmp_path)
    assert set(plan.preview()["action"]) <= {"create", "update"}, plan.preview()[["action", "difference"]]
    plan.apply(armed=True)
    assert set(plan_fix(lab, fix, folder=tmp_path).preview()["action"]) == {"keep"}
    assert set(plan.teardown(armed=True)["outcome"]) == {"removed"}
    assert set(plan_fix(lab, fix, folder=tmp_path).preview()["action"]) <= {"create", "update"}
    if kind in ("instance started", "propagation"):
        lab.call("ec2", request.operation, **request.request)
    elif kind == "route turned":
        lab.call("ec2", "delete_route", **ROUTE)


def test_killed_in_between_it_goes_on(
    lab: Session, before: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fix = fix_of(proposed(before, "two-blockers"))
    plan = plan_fix(lab, fix, dry_run=False, folder=tmp_path)

    def kill(number: int, operation: str, when: str) -> None:
        if when == "after" and operation == camel(fix)[0]:
            raise Kill

    with pytest.raises(Kill), calls(monkeypatch, kill):
        plan.apply(armed=True)
    assert set(plan.apply(armed=True)["outcome"]) == {"created"}
    assert verify(lab, fix).reachable
    assert set(plan.teardown(armed=True)["outcome"]) == {"removed"}


def test_what_differs_is_a_conflict_and_nothing_is_changed(
    lab: Session, before: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fix = fix_of(proposed(before, "two-blockers"))
    entry = next(one for one in fix.changes if one.component.startswith("acl-"))
    lab.call("ec2", entry.request.operation, **{**entry.request.request, "CidrBlock": "10.99.0.0/16"})
    plan = plan_fix(lab, fix, folder=tmp_path)
    (conflict,) = plan.conflicts
    assert any("10.99.0.0/16 there" in line for line in conflict.difference)
    with pytest.raises(ConflictError), calls(monkeypatch, only_watch) as seen:
        plan.apply(armed=True)
    assert all(request.get("DryRun") for _, request in changing(seen))
    lab.call("ec2", entry.reverse.operation, **entry.reverse.request)


def test_what_was_changed_since_is_not_taken_back(lab: Session, before: Snapshot, tmp_path: Path) -> None:
    fix = fix_of(proposed(before, "two-blockers"))
    plan_fix(lab, fix, folder=tmp_path).apply(armed=True)
    with pytest.raises(NotArmedError):
        roll_back(lab, fix, folder=tmp_path)
    entry = next(one for one in fix.changes if one.component.startswith("acl-"))
    lab.call("ec2", "replace_network_acl_entry", **{**entry.request.request, "CidrBlock": "10.99.0.0/16"})
    with pytest.raises(ConflictError, match=r"nothing was taken back"):
        roll_back(lab, fix, folder=tmp_path, armed=True)
    lab.call("ec2", "replace_network_acl_entry", **entry.request.request)
    assert set(roll_back(lab, fix, folder=tmp_path, armed=True)["outcome"]) == {"removed"}


def test_what_aws_would_refuse_is_a_conflict(lab: Session, before: Snapshot, tmp_path: Path) -> None:
    fix = fix_of(proposed(before, "private-no-nat"))
    (change,) = fix.changes
    gone = replace(change.request, request={**change.request.request, "NatGatewayId": "nat-0123456789abcdef0"})
    refused = replace(fix, changes=(replace(change, request=gone),))
    (conflict,) = plan_fix(lab, refused, folder=tmp_path).conflicts
    assert "dry run" in conflict.reason and "NatGatewayNotFound" in conflict.difference[0]
    assert plan_fix(lab, refused, dry_run=False, folder=tmp_path).conflicts == ()
    assert dry_run(lab, refused)["outcome"].tolist() == ["refused"]
    told = dry_run(lab, fix)
    assert list(told.columns) == list(DRY_RUN_COLUMNS) and told["outcome"].tolist() == ["allowed"]


def test_only_a_proved_fix_of_this_account_becomes_a_plan(lab: Session, before: Snapshot, tmp_path: Path) -> None:
    (none,) = propose(before, source="reachable-client", destination="10.64.11.77", protocol="tcp", port=443)
    with pytest.raises(InputError, match="does not open"):
        plan_fix(lab, none, folder=tmp_path)
    fix = fix_of(proposed(before, "two-blockers"))
    there = replace(fix, changes=tuple(replace(one, scope=("999999999999", "eu-west-1")) for one in fix.changes))
    with pytest.raises(InputError, match="999999999999/eu-west-1"):
        plan_fix(lab, there, folder=tmp_path)
    partly = replace(fix, changes=(fix.changes[0], there.changes[1]))
    plan = plan_fix(lab, partly, folder=tmp_path)
    assert len(plan.steps) == 1 and any("999999999999" in notice for notice in plan.notices)
