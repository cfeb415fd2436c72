"""A plan killed at any of its calls, before or after AWS did the work, is finished by applying it again. So is a teardown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inprocess import ACCOUNT, READS, REGION, Kill, account, calls, only_watch

from netkit.core.plan import Ledger, Plan, teardown
from netkit.core.session import Session
from netkit.flowlogs.fields import INVESTIGATION
from netkit.flowlogs.provision import plan_flow_logs
from netkit.flowlogs.table import FlowLogSpec

FOREIGN = {
    "Sid": "Auditors", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "s3:ListBucket",
    "Resource": "arn:aws:s3:::theirs-already",
}  # fmt: skip


def network(session: Session) -> tuple[str, str]:
    made = [session.call("ec2", "create_vpc", CidrBlock=f"10.{number}.0.0/16")["Vpc"]["VpcId"] for number in (1, 2)]
    return made[0], made[1]


def to_a_new_bucket(session: Session, folder: Path) -> Callable[[], Plan]:
    spec = FlowLogSpec(
        ACCOUNT, REGION, resource_ids=network(session), fields=INVESTIGATION, bucket="new-bucket", prefix="logs"
    )
    return lambda: plan_flow_logs(session, spec, database="flows", table="all_flows", workgroup="net", folder=folder)


def to_their_bucket(session: Session, folder: Path) -> Callable[[], Plan]:
    session.call("s3", "create_bucket", Bucket="theirs-already")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [FOREIGN]})
    session.call("s3", "put_bucket_policy", Bucket="theirs-already", Policy=policy)
    spec = FlowLogSpec(ACCOUNT, REGION, resource_ids=network(session)[:1], bucket="theirs-already", hive=True)
    return lambda: plan_flow_logs(session, spec, folder=folder)


def to_cloudwatch(session: Session, folder: Path) -> Callable[[], Plan]:
    spec = FlowLogSpec(
        ACCOUNT,
        REGION,
        resource_ids=network(session),
        destination="cloud-watch-logs",
        log_group="/flows",
        aggregation_s=60,
    )
    return lambda: plan_flow_logs(session, spec, lifecycle_days=7, folder=folder)


WORLDS = [to_a_new_bucket, to_their_bucket, to_cloudwatch]


def everything(session: Session) -> dict[str, Any]:
    """The state that matters, without ids, dates and order: what an unbroken and a broken run must agree on."""
    state: dict[str, Any] = {}
    for name in sorted(one["Name"] for one in session.pages("s3", "list_buckets", "Buckets")):
        for what in ("policy", "encryption", "lifecycle_configuration", "tagging"):
            state[f"{name} {what}"] = _or_error(session, "s3", f"get_bucket_{what}", Bucket=name)
        state[f"{name} block"] = _or_error(session, "s3", "get_public_access_block", Bucket=name)
    resources = [
        one["VpcId"] for one in sorted(session.pages("ec2", "describe_vpcs", "Vpcs"), key=lambda one: one["CidrBlock"])
    ]
    state["flow logs"] = sorted(
        _plain({name: value for name, value in one.items() if name not in ("FlowLogId", "CreationTime", "ResourceId", "DeliverLogsPermissionArn")})
        + str(resources.index(one["ResourceId"]))
        for one in session.pages("ec2", "describe_flow_logs", "FlowLogs")
    )  # fmt: skip
    for database in session.pages("glue", "get_databases", "DatabaseList"):
        tables = session.pages("glue", "get_tables", "TableList", DatabaseName=database["Name"])
        state[f"database {database['Name']}"] = sorted(_plain(_without_times(table)) for table in tables)
    groups = session.pages("athena", "list_work_groups", "WorkGroups")
    state["workgroups"] = sorted(
        _plain(session.call("athena", "get_work_group", WorkGroup=one["Name"])["WorkGroup"]["Configuration"])
        for one in groups
    )
    state["log groups"] = sorted(
        f"{one['logGroupName']} {one.get('retentionInDays')}" for one in session.pages("logs", "describe_log_groups", "logGroups")
    )  # fmt: skip
    for role in session.pages("iam", "list_roles", "Roles"):
        names = session.pages("iam", "list_role_policies", "PolicyNames", RoleName=role["RoleName"])
        state[f"role {role['RoleName']}"] = (_plain(role["AssumeRolePolicyDocument"]), tuple(names))
    return state


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _without_times(table: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if not name.endswith("Time") and name != "VersionId"}


def _or_error(session: Session, service: str, operation: str, **request: Any) -> str:
    from netkit.core.errors import AwsError

    try:
        answer = session.call(service, operation, **request)
    except AwsError as error:
        return error.what
    return _plain({name: value for name, value in answer.items() if name != "ResponseMetadata"})


def kill_at(wanted: int, moment: str) -> Callable[[int, str, str], None]:
    def on_call(number: int, operation: str, when: str) -> None:
        if (number, when) == (wanted, moment):
            raise Kill(f"{moment} call {number}, {operation}")

    return on_call


@pytest.mark.parametrize("world", WORLDS)
def test_killed_at_every_call_and_finished_by_the_same_plan(
    world: Callable[[Session, Path], Callable[[], Plan]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with account(monkeypatch) as session:
        plan = world(session, tmp_path / "unbroken")
        before = everything(session)
        ready = plan()
        with calls(monkeypatch, only_watch) as made:
            ready.apply(armed=True)
        whole = everything(session)
        assert whole != before
        plan().teardown(armed=True)
        assert everything(session) == before
    assert len(made) > 15
    earlier = ""
    for number, (operation, _) in enumerate(made, 1):
        # A read changes nothing, in AWS or in the ledger: killed after it, or before the next one, is the same as before it.
        same = operation.startswith(READS) and earlier.startswith(READS)
        earlier = operation
        for moment in () if same else ("before",) if operation.startswith(READS) else ("before", "after"):
            with account(monkeypatch) as session:
                folder = tmp_path / f"{number}-{moment}"
                plan = world(session, folder)
                started = plan()
                with calls(monkeypatch, kill_at(number, moment)), pytest.raises(Kill):
                    started.apply(armed=True)
                plan().apply(armed=True)
                assert everything(session) == whole, f"killed {moment} call {number}, {operation}"
                # And the ledger knows all that was made, though it never saw one answer.
                removed = plan().teardown(armed=True)
                assert everything(session) == before, (
                    f"killed {moment} call {number}; torn down: {removed.to_dict('records')}"
                )


@pytest.mark.parametrize("world", WORLDS)
def test_torn_down_right_after_a_kill(
    world: Callable[[Session, Path], Callable[[], Plan]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without finishing first: what AWS made after the last line of the ledger is ours too, and goes."""
    with account(monkeypatch) as session:
        plan = world(session, tmp_path / "whole")
        ready = plan()
        with calls(monkeypatch, only_watch) as made:
            ready.apply(armed=True)
    for number, (operation, _) in enumerate(made, 1):
        if operation.startswith(("Create", "Put")):
            with account(monkeypatch) as session:
                plan = world(session, tmp_path / str(number))
                before = everything(session)
                ready = plan()
                with calls(monkeypatch, kill_at(number, "after")), pytest.raises(Kill):
                    ready.apply(armed=True)
                if (
                    operation == "CreateBucket"
                ):  # the plan alone, without its ledger, would not know whose bucket that is
                    assert "is not of this run" not in str(plan())
                teardown(session, plan().run_id, folder=tmp_path / str(number), armed=True)
                assert everything(session) == before, f"killed after call {number}, {operation}"


def test_a_teardown_killed_at_every_call_is_finished_by_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with account(monkeypatch) as session:
        plan = to_a_new_bucket(session, tmp_path / "whole")
        before = everything(session)
        plan().apply(armed=True)
        ready = plan()
        with calls(monkeypatch, only_watch) as made:
            ready.teardown(armed=True)
    for number in range(1, len(made) + 1):
        with account(monkeypatch) as session:
            plan = to_a_new_bucket(session, tmp_path / str(number))
            plan().apply(armed=True)
            ready = plan()
            with calls(monkeypatch, kill_at(number, "after")), pytest.raises(Kill):
                ready.teardown(armed=True)
            again = ready.teardown(armed=True)
            assert everything(session) == before, f"killed after call {number}"
            assert not again["outcome"].eq("left").any()


def test_a_ledger_cut_in_the_middle_of_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        plan = to_a_new_bucket(session, tmp_path)
        before = everything(session)
        plan().apply(armed=True)
        whole = everything(session)
        ledger = plan().owner.ledger
        text = ledger.path.read_bytes()
        ledger.path.write_bytes(text[: text.rstrip().rindex(b"\n") + 40])  # the last result, half written
        assert len(ledger.lines()) == text.count(b"\n") - 1
        plan().apply(armed=True)
        assert everything(session) == whole
        assert Ledger(ledger.path).state("table-flows.all_flows") == "result"
        plan().teardown(armed=True)
        assert everything(session) == before
