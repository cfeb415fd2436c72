"""Plans for flow logs: what they ask of AWS, by botocore's model and the facts, and what they leave as it is."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import botocore.validate
import pandas as pd
import pytest
from botocore import xform_name
from inprocess import ACCOUNT, REGION, account, calls, only_watch, writes
from test_table import parsed

from netkit.core.errors import ConflictError, InputError, StepFailed
from netkit.core.plan import Owner, Plan
from netkit.core.session import Session
from netkit.flowlogs.fields import INVESTIGATION
from netkit.flowlogs.policies import bucket_statements, permissions_policy, trust_policy
from netkit.flowlogs.provision import (
    TableChoice,
    check_location,
    differences,
    plan_flow_logs,
    table_differences,
    table_input,
)
from netkit.flowlogs.read import flow_logs, table_shape
from netkit.flowlogs.table import FlowLogSpec

FACTS = Path(__file__).parents[1] / ".." / "shared" / "aws-facts.md"
needs_facts = pytest.mark.skipif(not FACTS.exists(), reason="../shared/aws-facts.md is not here")
TODAY = date(2026, 11, 20)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    with account(monkeypatch) as made:
        yield made


@pytest.fixture
def vpc(session: Session) -> str:
    return str(session.call("ec2", "create_vpc", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])


def spec(*resources: str, **more: Any) -> FlowLogSpec:
    return FlowLogSpec(
        **(
            {
                "account": ACCOUNT,
                "region": REGION,
                "resource_ids": resources,
                "bucket": "my-flow-logs",
                "fields": INVESTIGATION,
            }
            | more
        )
    )


def to_logs(*resources: str, **more: Any) -> FlowLogSpec:
    return spec(*resources, **({"bucket": "", "destination": "cloud-watch-logs", "log_group": "/net/flows"} | more))


def actions(plan: Plan) -> dict[str, str]:
    return {step.key: str(step.action) for step in plan.steps}


def whole(session: Session, vpc: str, folder: Path) -> list[Plan]:
    """Plans that together hold every kind of step."""
    with_table: dict[str, Any] = {
        "database": "net",
        "table": "flow_logs",
        "workgroup": "net",
        "folder": folder,
        "today": TODAY,
    }
    return [
        plan_flow_logs(session, spec(vpc, prefix="a/b"), **with_table),
        plan_flow_logs(session, spec(vpc, hive=True, file_format="plain-text"), **with_table),
        plan_flow_logs(session, to_logs(vpc), folder=folder, today=TODAY),
        plan_flow_logs(
            session,
            spec("tgw-0123456789abcdef0", resource_type="TransitGateway", fields=()),
            folder=folder,
            today=TODAY,
        ),
    ]


@cache
def model_of(service: str) -> Any:
    """A service's model; loading EC2's takes far longer than checking a request."""
    return botocore.session.get_session().get_service_model(service)


def calls_of(plan: Plan) -> list[tuple[str, str, dict[str, Any]]]:
    return [(step.service, step.operation, dict(step.request)) for step in plan.steps]


def input_shape(service: str, operation: str) -> Any:
    model = model_of(service)
    (name,) = [one for one in model.operation_names if xform_name(one) == operation]
    return model.operation_model(name).input_shape


def test_every_request_and_every_undo_is_valid_by_botocores_model(session: Session, vpc: str, tmp_path: Path) -> None:
    checked = set()
    for plan in whole(session, vpc, tmp_path):
        for service, operation, request in calls_of(plan):
            report = botocore.validate.ParamValidator().validate(request, input_shape(service, operation))
            assert not report.has_errors(), report.generate_report()
            checked.add((service, operation))
        for undo in (step.undo for step in plan.steps if step.undo and "statements" not in step.undo.operation):
            assert set(undo.request) <= set(input_shape(undo.service, undo.operation).members)
            for guard in undo.guards:
                assert set(guard.request) <= set(input_shape(guard.service, guard.operation).members)
    assert len(checked) == 14


def test_every_command_line_says_the_request(session: Session, vpc: str, tmp_path: Path) -> None:
    """Read back by botocore's own names, as the AWS command line makes its options from them."""
    for plan in whole(session, vpc, tmp_path):
        for step in plan.steps:
            program, service, command, *words = shlex.split(step.command)
            assert (program, service.replace("s3api", "s3")) == ("aws", step.service)
            assert command.replace("-", "_") == step.operation
            shape = input_shape(step.service, step.operation)
            members = {xform_name(name, "-"): name for name in shape.members}
            read: dict[str, Any] = {}
            for word in words:
                if word.startswith("--"):
                    option = word[2:]
                    read[option] = []
                else:
                    read[option].append(word)
            assert read.pop("region") == [REGION]
            request = {
                members[option]: _typed(shape.members[members[option]], values) for option, values in read.items()
            }
            assert request == step.request


def _typed(shape: Any, values: list[str]) -> Any:
    if shape.type_name == "list" and shape.member.type_name == "string":
        return values
    (value,) = values
    return json.loads(value) if shape.type_name in ("structure", "list", "map", "integer") else value


def test_only_s3_takes_no_role_and_only_cloudwatch_makes_one(session: Session, vpc: str, tmp_path: Path) -> None:
    s3 = plan_flow_logs(session, spec(vpc), folder=tmp_path)
    logs = plan_flow_logs(session, to_logs(vpc), folder=tmp_path)
    assert not {step.service for step in s3.steps} & {"iam", "logs"}
    assert all("DeliverLogsPermissionArn" not in step.request for step in s3.steps)
    role = next(step for step in logs.steps if step.key == "role")
    flow_log = logs.steps[-1]
    assert flow_log.request["DeliverLogsPermissionArn"] == f"arn:aws:iam::{ACCOUNT}:role/{role.name}"
    assert set(flow_log.after) >= {"role", "role-policy", "log-group"}


@needs_facts
@pytest.mark.parametrize("hive", [False, True])
def test_the_bucket_policy_is_that_of_the_facts(hive: bool) -> None:
    section = FACTS.read_text("utf-8").partition("### 1.6")[2]
    text = section.partition("```json")[2].partition("```")[0]
    folder = "aws-account-id=ACCT" if hive else "ACCT"
    text = text.replace("AWSLogs/ACCT/*", f"AWSLogs/{folder}/*")
    for name, value in {"BUCKET": "my-flow-logs", "PREFIX": "pre/fix", "ACCT": ACCOUNT, "REGION": REGION}.items():
        text = text.replace(name, value)
    assert bucket_statements(spec(prefix="pre/fix", hive=hive)) == json.loads(text)["Statement"]


@needs_facts
def test_the_role_is_that_of_the_facts() -> None:
    line = re.search(r"CloudWatch Logs role .*", FACTS.read_text("utf-8"))
    assert line
    (statement,) = permissions_policy()["Statement"]
    assert [action.removeprefix("logs:") for action in statement["Action"]] == [
        name.removeprefix("logs:") for name in re.search(r"permissions `([^`]+)`", line[0])[1].split(", ")  # type: ignore[index]
    ]  # fmt: skip
    (trust,) = trust_policy(to_logs())["Statement"]
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/*"},
    }


@pytest.mark.parametrize("file_format", ["parquet", "plain-text"])
@pytest.mark.parametrize("hive", [False, True])
def test_the_glue_table_is_the_ddl(session: Session, tmp_path: Path, file_format: str, hive: bool) -> None:
    one = spec(file_format=file_format, hive=hive, prefix="x")
    owner = Owner(session, "what", TODAY, tmp_path)
    made = table_input(owner, one, TableChoice("net", "flow_logs"))
    ddl = parsed(one.ddl("net", "flow_logs"))
    storage = made["StorageDescriptor"]
    assert [(column["Name"], column["Type"]) for column in storage["Columns"]] == ddl["columns"]
    assert [key["Name"] for key in made["PartitionKeys"]] == ddl["keys"]
    assert storage["Location"] == ddl["location"]
    properties = {
        name: value
        for name, value in made["Parameters"].items()
        if not name.startswith("netkit:") and name != "EXTERNAL"
    }
    assert properties == ddl["properties"]
    assert ("Parquet" in storage["InputFormat"]) is ddl["parquet"]


def test_it_makes_what_it_says_and_reads_back_the_same(session: Session, vpc: str, tmp_path: Path) -> None:
    one = spec(vpc, prefix="pre", per_hour=False, aggregation_s=60)
    plan = plan_flow_logs(
        session,
        one,
        database="net",
        table="flow_logs",
        workgroup="net",
        results="s3://other-results/x",
        folder=tmp_path,
        today=TODAY,
    )
    plan.apply(armed=True)
    (row,) = flow_logs(session, resource_ids=[vpc]).to_dict("records")
    assert (row["file_format"], row["per_hour"], row["aggregation_s"], row["log_destination"]) == (
        "parquet",
        False,
        60,
        "arn:aws:s3:::my-flow-logs/pre/",
    )
    shape = table_shape(session, "net", "flow_logs")
    assert tuple(shape.columns) == one.columns
    assert (shape.partition_keys, shape.projected, shape.file_format) == (("acct", "rgn", "dt"), True, "parquet")
    group = session.call("athena", "get_work_group", WorkGroup="net")["WorkGroup"]["Configuration"]
    assert group["ResultConfiguration"]["OutputLocation"] == "s3://other-results/x/"
    assert group["BytesScannedCutoffPerQuery"] == 100_000_000_000
    policy = json.loads(session.call("s3", "get_bucket_policy", Bucket="my-flow-logs")["Policy"])
    assert policy["Statement"] == bucket_statements(one)
    tags = session.call("s3", "get_bucket_tagging", Bucket="my-flow-logs")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"netkit:run": plan.run_id, "netkit:expires": "2026-12-20"}
    rules = session.call("s3", "get_bucket_lifecycle_configuration", Bucket="my-flow-logs")["Rules"]
    assert [(rule["Filter"], rule["Expiration"]["Days"]) for rule in rules] == [({"Prefix": "pre/AWSLogs/"}, 90)]
    blocked = session.call("s3", "get_public_access_block", Bucket="my-flow-logs")["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}
    assert set(actions(plan_flow_logs(session, one, database="net", table="flow_logs", folder=tmp_path)).values()) == {
        "keep"
    }


def test_a_bucket_out_of_us_east_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch, "eu-central-1") as session:
        vpc = session.call("ec2", "create_vpc", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        plan_flow_logs(session, spec(vpc, region="eu-central-1"), folder=tmp_path).apply(armed=True)
        assert session.call("s3", "get_bucket_location", Bucket="my-flow-logs")["LocationConstraint"] == "eu-central-1"


# What exists.


def theirs(session: Session, policy: list[dict[str, Any]] | None = None) -> None:
    session.call("s3", "create_bucket", Bucket="my-flow-logs")
    if policy:
        session.call(
            "s3",
            "put_bucket_policy",
            Bucket="my-flow-logs",
            Policy=json.dumps({"Version": "2012-10-17", "Statement": policy}),
        )


def test_a_bucket_that_was_there_keeps_its_settings(session: Session, vpc: str, tmp_path: Path) -> None:
    audit = {
        "Sid": "Audit",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": "s3:ListBucket",
        "Resource": "arn:aws:s3:::my-flow-logs",
    }
    theirs(session, [audit])
    session.call(
        "s3", "put_bucket_tagging", Bucket="my-flow-logs", Tagging={"TagSet": [{"Key": "team", "Value": "net"}]}
    )
    plan = plan_flow_logs(session, spec(vpc), folder=tmp_path)
    kept = {key: action for key, action in actions(plan).items() if key.startswith("bucket")}
    assert kept.pop("bucket-policy") == "update"
    assert set(kept.values()) == {"keep"}
    policy = next(step for step in plan.steps if step.key == "bucket-policy")
    assert policy.difference == ("adds AWSLogDeliveryWrite, AWSLogDeliveryAclCheck",)
    assert "1 statements are there and stay" in policy.reason
    plan.apply(armed=True)
    after = json.loads(session.call("s3", "get_bucket_policy", Bucket="my-flow-logs")["Policy"])["Statement"]
    assert after == [audit, *bucket_statements(spec(vpc))]
    plan.teardown(armed=True)
    assert json.loads(session.call("s3", "get_bucket_policy", Bucket="my-flow-logs")["Policy"])["Statement"] == [audit]
    assert session.call("s3", "get_bucket_tagging", Bucket="my-flow-logs")["TagSet"] == [
        {"Key": "team", "Value": "net"}
    ]


def test_the_seeds_own_policy_is_recognised_and_its_hole_is_named(session: Session, vpc: str, tmp_path: Path) -> None:
    write, check = bucket_statements(spec(vpc))
    seed = [
        {name: value for name, value in one.items() if name != "Condition"}
        for one in (write, check | {"Sid": "AWSLogDeliveryCheck"})
    ]
    theirs(session, [seed[0] | {"Resource": "arn:aws:s3:::my-flow-logs/*"}, seed[1]])
    policy = next(
        step for step in plan_flow_logs(session, spec(vpc), folder=tmp_path).steps if step.key == "bucket-policy"
    )
    assert str(policy.action) == "keep"
    assert "AWSLogDeliveryWrite, AWSLogDeliveryCheck has no aws:SourceAccount condition" in policy.reason


def test_a_policy_statement_changed_since_is_not_ours_any_more(session: Session, vpc: str, tmp_path: Path) -> None:
    plan = plan_flow_logs(session, spec(vpc), folder=tmp_path)
    plan.apply(armed=True)
    write, check = bucket_statements(spec(vpc))
    changed = [write | {"Action": ["s3:PutObject", "s3:PutObjectTagging"]}, check]
    session.call(
        "s3",
        "put_bucket_policy",
        Bucket="my-flow-logs",
        Policy=json.dumps({"Version": "2012-10-17", "Statement": changed}),
    )
    session.call("s3", "put_object", Bucket="my-flow-logs", Key="AWSLogs/x", Body=b"logs")
    frame = plan.teardown(armed=True).set_index("step")
    assert frame.loc["bucket-policy", "outcome"] == "left"
    assert frame.loc["bucket-policy", "reason"] == "AWSLogDeliveryWrite was changed since"
    assert (
        json.loads(session.call("s3", "get_bucket_policy", Bucket="my-flow-logs")["Policy"])["Statement"] == changed[:1]
    )
    assert (frame.loc["bucket", "outcome"], "BucketNotEmpty" in str(frame.loc["bucket", "reason"])) == ("left", True)


def described_as(session: Session, vpc: str, **more: Any) -> str:
    request = spec(vpc, **more).create_request()
    return str(session.call("ec2", "create_flow_logs", **request)["FlowLogIds"][0])


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"fields": ()}, "log format"),
        ({"file_format": "plain-text"}, "file format: plain-text there, parquet asked for"),
        ({"hive": True}, "Hive-compatible keys: True there, False asked for"),
        ({"per_hour": False}, "per hour: False there, True asked for"),
        ({"aggregation_s": 60}, "aggregation: 60 s there, 600 s asked for"),
    ],
)
def test_a_flow_log_that_differs_is_shown_and_not_replaced(
    *, session: Session, vpc: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], says: str
) -> None:
    theirs(session)
    existing = described_as(session, vpc, **more)
    plan = plan_flow_logs(session, spec(vpc), folder=tmp_path)
    (conflict,) = plan.conflicts
    assert says in "; ".join(conflict.difference)
    with calls(monkeypatch, only_watch) as made, pytest.raises(ConflictError) as refused:
        plan.apply(armed=True)
    assert not writes(made)
    assert says in str(refused.value)
    assert flow_logs(session)["flow_log_id"].tolist() == [existing]


def test_flow_logs_that_write_the_same_are_kept_and_others_left_alone(session: Session, tmp_path: Path) -> None:
    theirs(session)
    first, second = (
        session.call("ec2", "create_vpc", CidrBlock=f"10.{number}.0.0/16")["Vpc"]["VpcId"] for number in (1, 2)
    )
    same = described_as(session, first)
    elsewhere = described_as(session, first, prefix="elsewhere", fields=())
    rejects = described_as(session, second, traffic="REJECT")
    plan = plan_flow_logs(session, spec(first, second), folder=tmp_path)
    assert [actions(plan)[f"flow-log-{one}-ALL"] for one in (first, second)] == ["keep", "create"]
    plan.apply(armed=True)
    plan.teardown(armed=True)
    assert set(flow_logs(session)["flow_log_id"]) == {same, elsewhere, rejects}


def test_what_another_run_still_needs_stays(session: Session, vpc: str, tmp_path: Path) -> None:
    """Two runs, two prefixes, one bucket: the first is torn down while the second still delivers there."""
    first = plan_flow_logs(session, spec(vpc, prefix="one"), folder=tmp_path)
    first.apply(armed=True)
    plan_flow_logs(session, spec(vpc, prefix="two"), folder=tmp_path).apply(armed=True)
    frame = first.teardown(armed=True).set_index("step")["outcome"]
    assert frame.to_dict() == {f"flow-log-{vpc}-ALL": "removed", "bucket-policy": "left", "bucket": "left"}
    assert len(json.loads(session.call("s3", "get_bucket_policy", Bucket="my-flow-logs")["Policy"])["Statement"]) == 3


def test_a_database_that_holds_others_tables_stays(session: Session, vpc: str, tmp_path: Path) -> None:
    plan = plan_flow_logs(session, spec(vpc), database="net", table="flow_logs", folder=tmp_path)
    plan.apply(armed=True)
    session.call("glue", "create_table", DatabaseName="net", TableInput={"Name": "theirs"})
    frame = plan.teardown(armed=True).set_index("step")
    assert frame.loc["table-net.flow_logs", "outcome"] == "removed"
    assert frame.loc["database-net", "reason"] == "it still holds tables (1)"
    assert [table["Name"] for table in session.pages("glue", "get_tables", "TableList", DatabaseName="net")] == [
        "theirs"
    ]


def test_a_log_group_with_events_stays(session: Session, vpc: str, tmp_path: Path) -> None:
    plan = plan_flow_logs(session, to_logs(vpc), folder=tmp_path)
    plan.apply(armed=True)
    session.call("logs", "create_log_stream", logGroupName="/net/flows", logStreamName="eni-1")
    frame = plan.teardown(armed=True).set_index("step")
    assert frame.loc["log-group", "reason"] == "it holds log streams (1)"
    assert frame["outcome"].to_dict() == {
        f"flow-log-{vpc}-ALL": "removed",
        "role-policy": "removed",
        "role": "removed",
        "log-group": "left",
    }


def test_a_table_that_differs_is_a_conflict_that_names_the_columns(session: Session, vpc: str, tmp_path: Path) -> None:
    plan_flow_logs(session, spec(vpc), database="net", table="flow_logs", folder=tmp_path).apply(armed=True)
    plan = plan_flow_logs(
        session,
        spec(vpc, fields=INVESTIGATION[:-1]),
        database="net",
        table="flow_logs",
        since="2025",
        folder=tmp_path / "other",
    )
    table = next(step for step in plan.conflicts if step.key.startswith("table"))
    assert "column interface_type: string there, none asked for" in table.difference
    assert "projection.dt.range: 2024/01/01,NOW there, 2025/01/01,NOW asked for" in table.difference


def test_columns_of_text_are_compared_in_order_and_of_parquet_by_name(session: Session, tmp_path: Path) -> None:
    owner, choice = Owner(session, "what", TODAY, tmp_path), TableChoice("net", "t")
    for file_format, lines in (("parquet", 0), ("plain-text", 1)):
        one, other = (
            table_input(owner, spec(fields=fields, file_format=file_format), choice)
            for fields in (("srcaddr", "dstaddr"), ("dstaddr", "srcaddr"))
        )
        assert len(table_differences(one, other)) == lines
        assert not table_differences(one, one)
    narrow = json.loads(
        json.dumps(table_input(owner, spec(), choice)).replace(
            '"packets", "Type": "bigint"', '"packets", "Type": "int"'
        )
    )
    assert table_differences(table_input(owner, spec(), choice), narrow) == (
        "column packets: int there, bigint asked for",
    )


def test_a_role_that_flow_logs_may_not_take_is_a_conflict(session: Session, vpc: str, tmp_path: Path) -> None:
    document: dict[str, Any] = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    session.call("iam", "create_role", RoleName="theirs", AssumeRolePolicyDocument=json.dumps(document))
    one = to_logs(vpc, role_arn=f"arn:aws:iam::{ACCOUNT}:role/theirs")
    assert [step.key for step in plan_flow_logs(session, one, folder=tmp_path).conflicts] == ["role"]
    document["Statement"][0]["Principal"] = {
        "Service": "vpc-flow-logs.amazonaws.com"
    }  # as the seed has it, without conditions
    session.call("iam", "update_assume_role_policy", RoleName="theirs", PolicyDocument=json.dumps(document))
    plan = plan_flow_logs(session, one, folder=tmp_path)
    assert actions(plan)["role"] == actions(plan)["role-policy"] == "keep"
    assert "its trust names no aws:SourceAccount" in str(plan)
    plan.apply(armed=True)
    plan.teardown(armed=True)
    assert session.call("iam", "get_role", RoleName="theirs")["Role"]["RoleName"] == "theirs"


def test_a_workgroup_that_differs_is_a_conflict(session: Session, vpc: str, tmp_path: Path) -> None:
    session.call("athena", "create_work_group", Name="net", Configuration={"EnforceWorkGroupConfiguration": False})
    plan = plan_flow_logs(session, spec(vpc), database="net", table="t", workgroup="net", folder=tmp_path)
    (workgroup,) = plan.conflicts
    assert {line.partition(":")[0] for line in workgroup.difference} == {"results", "enforced", "scan limit"}


def test_one_resource_that_aws_refuses(session: Session, vpc: str, tmp_path: Path) -> None:
    missing = "vpc-00000000000000000"
    plan = plan_flow_logs(session, spec(vpc, missing), folder=tmp_path)
    with pytest.raises(StepFailed, match=missing):
        plan.apply(armed=True)
    assert flow_logs(session)["resource_id"].tolist() == [vpc]  # the one that worked stays, and is in the ledger
    assert plan.teardown(armed=True).set_index("step")["outcome"].to_dict() == {
        f"flow-log-{vpc}-ALL": "removed", "bucket-policy": "removed", "bucket": "removed",
    }  # fmt: skip
    assert flow_logs(session).empty


def test_applied_torn_down_and_applied_again(session: Session, vpc: str, tmp_path: Path) -> None:
    """A second life needs a second client token: with the first AWS would answer with the ids of what is gone."""
    for _ in range(2):
        plan = plan_flow_logs(session, spec(vpc), folder=tmp_path)
        plan.apply(armed=True)
        assert len(flow_logs(session)) == 1
        plan.teardown(armed=True)
        assert flow_logs(session).empty


def test_what_was_lost_and_made_again_is_removed_and_not_told_as_gone(
    session: Session, vpc: str, tmp_path: Path
) -> None:
    plan_flow_logs(session, spec(vpc), folder=tmp_path).apply(armed=True)
    session.call("ec2", "delete_flow_logs", FlowLogIds=list(flow_logs(session)["flow_log_id"]))
    plan = plan_flow_logs(session, spec(vpc), folder=tmp_path)
    plan.apply(armed=True)
    torn = plan.teardown(armed=True).set_index("resource")["outcome"]
    assert torn["flow log"] == "removed"
    assert flow_logs(session).empty


def test_a_bucket_of_somebody_else(session: Session, vpc: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ClientError

    def denied(number: int, operation: str, when: str) -> None:
        if operation == "HeadBucket" and when == "before":
            raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadBucket")

    from netkit.flowlogs.provision import bucket_steps

    owner = Owner(session, "what", TODAY, tmp_path)
    with calls(monkeypatch, denied):
        plan = Plan.of(owner, bucket_steps(owner, spec(vpc), 0)[:1])
    assert "another account's" in plan.conflicts[0].reason


# Bad input: refused before any call.


@pytest.mark.parametrize(
    ("more", "asked", "says"),
    [
        ({}, {"database": "net; DROP", "table": "t"}, "not a name netkit puts into SQL"),
        ({}, {"database": "net", "table": "Flows"}, "not a name netkit puts into SQL"),
        ({}, {"database": "net"}, "a database and a table"),
        ({}, {"workgroup": "net"}, "a database and a table"),
        ({}, {"database": "net", "table": "t", "workgroup": "a b"}, "workgroup name"),
        ({}, {"database": "net", "table": "t", "scan_limit_bytes": 9_999_999}, "10000000 or more"),
        ({}, {"database": "net", "table": "t", "results": "my-bucket/x"}, "not an S3 location"),
        ({}, {"database": "net", "table": "t", "results": "s3://My_Bucket/"}, "bucket name"),
        ({}, {"database": "net", "table": "t", "since": "24"}, "not a year"),
        ({}, {"expire_days": 0}, "expire_days"),
        ({}, {"lifecycle_days": -1}, "lifecycle_days"),
        ({"account": "999999999999"}, {}, "the session is in"),
        ({"region": "eu-west-1"}, {}, "the session is in"),
        ({"resource_ids": ()}, {}, "nothing to log"),
    ],
)
def test_bad_input_is_refused_before_any_call(
    *,
    session: Session,
    vpc: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: dict[str, Any],
    asked: dict[str, Any],
    says: str,
) -> None:
    with calls(monkeypatch, only_watch) as made, pytest.raises(InputError) as refused:
        plan_flow_logs(session, spec(**({"resource_ids": (vpc,)} | more)), folder=tmp_path, **asked)
    assert not made
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("more", "days", "says"),
    [
        ({"log_group": "aws/x"}, 90, "log group name"),
        ({"log_group": "a b"}, 90, "log group name"),
        ({}, 31, "the nearest is 30"),
        ({"role_arn": "arn:aws:iam::999999999999:role/x"}, 90, "not a role of account"),
        ({"role_arn": "flowlogsRole"}, 90, "not a role of account"),
    ],
)
def test_bad_input_for_cloudwatch_logs(
    *,
    session: Session,
    vpc: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: dict[str, Any],
    days: int,
    says: str,
) -> None:
    with calls(monkeypatch, only_watch) as made, pytest.raises(InputError) as refused:
        plan_flow_logs(session, to_logs(vpc, **more), lifecycle_days=days, folder=tmp_path)
    assert not made
    assert says in str(refused.value)


def test_athena_does_not_read_cloudwatch_logs(session: Session, vpc: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Athena reads flow logs in S3"):
        plan_flow_logs(session, to_logs(vpc), database="net", table="t", folder=tmp_path)


def test_firehose_needs_its_stream(session: Session, vpc: str, tmp_path: Path) -> None:
    arn = f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/flows"
    one = spec(vpc, bucket="", destination="kinesis-data-firehose", stream_arn=arn)
    with pytest.raises(InputError, match="no Firehose delivery stream"):
        plan_flow_logs(session, one, folder=tmp_path)
    session.call("s3", "create_bucket", Bucket="stream-bucket")
    session.call(
        "firehose", "create_delivery_stream", DeliveryStreamName="flows",
        S3DestinationConfiguration={"RoleARN": f"arn:aws:iam::{ACCOUNT}:role/x", "BucketARN": "arn:aws:s3:::stream-bucket"},
    )  # fmt: skip
    plan = plan_flow_logs(session, one, folder=tmp_path)
    plan.apply(armed=True)
    assert flow_logs(session)["log_destination"].tolist() == [arn]
    assert set(actions(plan_flow_logs(session, one, folder=tmp_path)).values()) == {"keep"}


@pytest.mark.parametrize(
    ("given", "read"), [("s3://abc", "s3://abc/"), ("s3://abc/x/y", "s3://abc/x/y/"), ("s3://abc/x/", "s3://abc/x/")]
)
def test_locations_end_with_a_slash(given: str, read: str) -> None:
    assert check_location(given) == read


def test_differences_name_what_is_there_and_what_was_asked() -> None:
    assert differences(spec(), spec()) == ()
    assert differences(spec(), spec(hive=True, per_hour=False)) == (
        "Hive-compatible keys: True there, False asked for", "per hour: False there, True asked for",
    )  # fmt: skip


def test_a_flow_log_with_a_field_newer_than_this_kit(
    session: Session, vpc: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is listed as AWS describes it; and in the same place it is a conflict, since it writes something else."""
    theirs(session)
    described_as(session, vpc)
    real = Session.pages

    def newer(self: Session, service: str, operation: str, key: str, **request: Any) -> list[dict[str, Any]]:
        items = real(self, service, operation, key, **request)
        return [item | {"LogFormat": "${srcaddr} ${quantum-state}"} if key == "FlowLogs" else item for item in items]

    monkeypatch.setattr(Session, "pages", newer)
    assert flow_logs(session)["log_format"].tolist() == ["${srcaddr} ${quantum-state}"]
    (conflict,) = plan_flow_logs(session, spec(vpc), folder=tmp_path).conflicts
    assert "quantum-state" in conflict.difference[0]


def test_a_preview_is_a_frame_with_its_documented_columns(session: Session, vpc: str, tmp_path: Path) -> None:
    frame = plan_flow_logs(session, spec(vpc), notices=["a is read as b: why"], folder=tmp_path).preview()
    assert isinstance(frame, pd.DataFrame)
    assert frame["order"].tolist() == list(range(1, len(frame) + 1))
    assert frame.loc[frame["resource"].eq("flow log"), "monthly_usd"].isna().all()  # by the GB: unknown, and not zero
    assert frame["command"].str.startswith("aws ").all()
