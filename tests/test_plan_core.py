"""Plan, Step, Ledger and teardown, with a plan of two EC2 resources of which one needs the other's id."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from inprocess import ACCOUNT, REGION, Kill, account, calls, only_watch, writes

from netkit.core.awscli import Ref, Request, aws_command
from netkit.core.errors import AccessError, AwsError, ConflictError, InputError, NotArmedError, PlanError, StepFailed
from netkit.core.plan import (
    APPLIED_COLUMNS,
    MADE_COLUMNS,
    PREVIEW_COLUMNS,
    REMOVED_COLUMNS,
    RUN_TAG,
    Action,
    Found,
    Guard,
    Ledger,
    Owner,
    Plan,
    Step,
    Undo,
    if_there,
    made,
    teardown,
)
from netkit.core.session import Session


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    with account(monkeypatch) as one:
        yield one


def owner(session: Session, folder: Path, what: str = "a network") -> Owner:
    return Owner(session, what, date(2026, 12, 24), folder)


def tagged(one: Owner, kind: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": one.tag_list(Name="planned")}]


def find_vpc(session: Session, request: Request) -> Found | None:
    vpcs = session.pages("ec2", "describe_vpcs", "Vpcs", Filters=[{"Name": "tag:Name", "Values": ["planned"]}])
    if not vpcs:
        return None
    same = vpcs[0]["CidrBlock"] == request["CidrBlock"]
    run = next((tag["Value"] for tag in vpcs[0]["Tags"] if tag["Key"] == RUN_TAG), "")
    differs = () if same else (f"CIDR block: {vpcs[0]['CidrBlock']} there, {request['CidrBlock']} asked for",)
    return Found(Action.KEEP if same else Action.CONFLICT, "it exists", {"Vpc": vpcs[0]}, differs, run=run)


def find_subnet(session: Session, request: Request) -> Found | None:
    found = session.pages(
        "ec2", "describe_subnets", "Subnets", Filters=[{"Name": "vpc-id", "Values": [request["VpcId"]]}]
    )
    return Found(Action.KEEP, "it exists", {"Subnet": found[0]}) if found else None


def steps(one: Owner, cidr: str = "10.9.0.0/16") -> list[Step]:
    vpc = Step(
        "vpc", "VPC", "planned", "ec2", "create_vpc", {"CidrBlock": cidr, "TagSpecifications": tagged(one, "vpc")}, find_vpc, "there is none",
        Undo("ec2", "delete_vpc", {"VpcId": Ref("", "Vpc.VpcId")}, by_tag="vpc-"),
    )  # fmt: skip
    request = {"VpcId": Ref("vpc", "Vpc.VpcId"), "CidrBlock": "10.9.1.0/24", "TagSpecifications": tagged(one, "subnet")}
    subnet = Step(
        "subnet", "subnet", "in it", "ec2", "create_subnet", request, find_subnet, "there is none",
        Undo("ec2", "delete_subnet", {"SubnetId": Ref("", "Subnet.SubnetId")}, by_tag="subnet-"), monthly_usd=None, after=("vpc",),
    )  # fmt: skip
    return [vpc, subnet]


def plan(session: Session, folder: Path, cidr: str = "10.9.0.0/16") -> Plan:
    one = owner(session, folder)
    return Plan.of(one, steps(one, cidr))


def planned(session: Session) -> list[str]:
    return [
        one["CidrBlock"]
        for one in session.pages("ec2", "describe_vpcs", "Vpcs", Filters=[{"Name": "tag:Name", "Values": ["planned"]}])
    ]


def test_looking_changes_nothing_and_says_everything(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with calls(monkeypatch, only_watch) as seen:
        one = plan(session, tmp_path)
        frame = one.preview()
        text, page = str(one), one._repr_html_()
    assert not writes(seen)
    assert not list(tmp_path.iterdir())
    assert tuple(frame.columns) == PREVIEW_COLUMNS
    assert frame["action"].tolist() == ["create", "create"]
    assert frame["monthly_usd"].isna().tolist() == [False, True]
    assert "without subnet (unknown)" in text  # unknown is not zero
    assert str(frame.loc[1, "command"]).startswith('aws ec2 create-subnet --vpc-id "$(aws ec2 describe-tags ')
    assert str(frame.loc[0, "undo"]).startswith('aws ec2 delete-vpc --vpc-id "$(aws ec2 describe-tags ')
    assert one.run_id in page
    assert "&lt;vpc.Vpc.VpcId&gt;" not in page  # what is printed runs: such a mark is no id
    assert "vpc_vpc_id=$(aws ec2 create-vpc " in one.script()
    assert 'create-subnet --vpc-id "${vpc_vpc_id}"' in one.script()
    assert one.undo_script().splitlines()[-1] == 'aws ec2 delete-vpc --vpc-id "${vpc_vpc_id}" --region us-east-1'


def test_the_run_id_follows_from_account_region_and_what(session: Session, tmp_path: Path) -> None:
    assert owner(session, tmp_path).run_id == owner(session, tmp_path / "elsewhere").run_id
    other = Session("aws", ACCOUNT, "eu-west-1", "me", session.boto3)
    assert (
        len({owner(session, tmp_path).run_id, owner(other, tmp_path).run_id, owner(session, tmp_path, "else").run_id})
        == 3
    )


def test_unarmed_nothing_happens(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = plan(session, tmp_path)
    with calls(monkeypatch, only_watch) as seen, pytest.raises(NotArmedError, match="nothing was changed"):
        one.apply()
    assert not seen


def test_applied_with_the_id_of_the_step_before(session: Session, tmp_path: Path) -> None:
    frame = plan(session, tmp_path).apply(armed=True)
    assert tuple(frame.columns) == APPLIED_COLUMNS
    assert frame["outcome"].tolist() == ["created", "created"]
    (vpc,) = session.pages("ec2", "describe_vpcs", "Vpcs", Filters=[{"Name": "tag:Name", "Values": ["planned"]}])
    (subnet,) = session.pages(
        "ec2", "describe_subnets", "Subnets", Filters=[{"Name": "tag:Name", "Values": ["planned"]}]
    )
    assert subnet["VpcId"] == vpc["VpcId"]
    assert {tag["Key"]: tag["Value"] for tag in subnet["Tags"]} == {
        "Name": "planned", "netkit:run": plan(session, tmp_path).run_id, "netkit:expires": "2026-12-24",
    }  # fmt: skip
    again = plan(session, tmp_path)
    assert again.preview()["action"].tolist() == ["keep", "keep"]
    assert again.apply(armed=True)["outcome"].tolist() == ["kept", "kept"]


def test_the_ledger_has_an_intent_before_and_a_result_after_each_call(session: Session, tmp_path: Path) -> None:
    one = plan(session, tmp_path)
    one.apply(armed=True)
    text = (tmp_path / f"{one.run_id}.jsonl").read_text("utf-8").splitlines()
    lines = [json.loads(line) for line in text]
    assert [(line["step"], line["event"]) for line in lines] == [
        ("vpc", "intent"), ("vpc", "result"), ("subnet", "intent"), ("subnet", "result"),
    ]  # fmt: skip
    assert lines[2]["request"]["VpcId"].startswith("vpc-")
    assert lines[3]["undo"]["request"] == {"SubnetId": lines[3]["answer"]["Subnet"]["SubnetId"]}
    assert "ResponseMetadata" not in json.dumps(lines)


def test_a_conflict_stops_everything_before_the_first_call(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.call(
        "ec2",
        "create_vpc",
        CidrBlock="10.8.0.0/16",
        TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "planned"}]}],
    )
    one = plan(session, tmp_path)
    assert [step.key for step in one.conflicts] == ["vpc"]
    with calls(monkeypatch, only_watch) as seen, pytest.raises(ConflictError) as refused:
        one.apply(armed=True)
    assert not writes(seen)
    assert "10.8.0.0/16 there, 10.9.0.0/16 asked for" in str(refused.value)
    assert planned(session) == ["10.8.0.0/16"]


def test_a_conflict_that_came_up_after_planning(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = plan(session, tmp_path)
    session.call(
        "ec2",
        "create_vpc",
        CidrBlock="10.8.0.0/16",
        TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "planned"}]}],
    )
    assert not one.conflicts
    with calls(monkeypatch, only_watch) as seen, pytest.raises(ConflictError):
        one.apply(armed=True)
    assert not writes(seen)


def test_a_refused_step_names_aws_words_and_keeps_what_was_done(session: Session, tmp_path: Path) -> None:
    one = plan(session, tmp_path, "10.0.0.0/16")  # the subnet, 10.9.1.0/24, is out of its range
    with pytest.raises(StepFailed, match=r"InvalidSubnet\.Range") as refused:
        one.apply(armed=True)
    assert "apply the same plan again" in str(refused.value)
    assert len(str(refused.value).splitlines()) <= 3
    ledger = one.owner.ledger
    assert (ledger.state("vpc"), ledger.state("subnet")) == ("result", "failed")
    assert one.teardown(armed=True)["step"].tolist() == ["vpc"]
    assert not planned(session)


def test_an_answer_that_never_came_leaves_the_intent_open(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS may have done it: the next run looks, finds it, and takes it as its own."""

    def lost(number: int, operation: str, when: str) -> None:
        if (operation, when) == ("CreateVpc", "after"):
            raise ReadTimeoutError(endpoint_url="https://ec2.us-east-1.amazonaws.com")

    one = plan(session, tmp_path)
    with calls(monkeypatch, lost), pytest.raises(StepFailed, match="did not reach AWS"):
        one.apply(armed=True)
    assert one.owner.ledger.state("vpc") == "intent"
    assert plan(session, tmp_path).apply(armed=True)["outcome"].tolist() == ["created", "created"]
    assert planned(session) == ["10.9.0.0/16"]
    assert plan(session, tmp_path).teardown(armed=True)["outcome"].tolist() == ["removed", "removed"]
    assert not planned(session)


def test_what_another_made_in_the_meantime_is_not_adopted(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead(number: int, operation: str, when: str) -> None:
        if (operation, when) == ("CreateVpc", "before"):
            raise ReadTimeoutError(endpoint_url="https://ec2.us-east-1.amazonaws.com")

    with calls(monkeypatch, dead), pytest.raises(StepFailed):
        plan(session, tmp_path).apply(armed=True)
    session.call(
        "ec2",
        "create_vpc",
        CidrBlock="10.9.0.0/16",
        TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "planned"}]}],
    )
    assert plan(session, tmp_path).apply(armed=True)["outcome"].tolist() == ["kept", "created"]
    torn = plan(session, tmp_path).teardown(armed=True).set_index("step")["outcome"]
    assert torn["subnet"] == "removed"
    assert planned(session) == ["10.9.0.0/16"]


def find_nothing(session: Session, request: Request) -> Found | None:
    return None


def flow_logs_of(session: Session, folder: Path) -> Plan:
    """One step over two resources, of which the second does not exist."""
    vpc = session.call("ec2", "create_vpc", CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    session.call("s3", "create_bucket", Bucket="logs-here")
    request = {
        "ResourceIds": [vpc, "vpc-00000000000000000"], "ResourceType": "VPC", "TrafficType": "ALL", "LogDestinationType": "s3",
        "LogDestination": "arn:aws:s3:::logs-here",
    }  # fmt: skip
    undo = Undo("ec2", "delete_flow_logs", {"FlowLogIds": Ref("", "FlowLogIds")}, by_tag="fl-")
    step = Step(
        "logs",
        "flow logs",
        "both",
        "ec2",
        "create_flow_logs",
        request,
        find_nothing,
        undo=undo,
        token="ClientToken",
    )
    return Plan.of(owner(session, folder, "logs"), [step])


def test_unsuccessful_in_an_answer_is_an_error_and_what_worked_is_kept(session: Session, tmp_path: Path) -> None:
    one = flow_logs_of(session, tmp_path)
    with pytest.raises(StepFailed, match="vpc-00000000000000000") as refused:
        one.apply(armed=True)
    assert "failed for 1" in str(refused.value)
    (made,) = session.pages("ec2", "describe_flow_logs", "FlowLogs")
    last = one.owner.ledger.lines()[-1]
    assert (last["event"], last["answer"]["FlowLogIds"]) == ("partial", [made["FlowLogId"]])
    assert "NotFound" in last["errors"][0]
    assert one.teardown(armed=True)["outcome"].tolist() == ["removed"]
    assert not session.pages("ec2", "describe_flow_logs", "FlowLogs")


def test_the_client_token_is_the_same_until_an_attempt_has_ended(session: Session, tmp_path: Path) -> None:
    one = flow_logs_of(session, tmp_path)
    token = one.steps[0].request["ClientToken"]
    assert token == Plan.of(one.owner, one.steps).steps[0].request["ClientToken"]
    assert 32 <= len(token) <= 64
    with pytest.raises(StepFailed):
        one.apply(armed=True)
    assert Plan.of(one.owner, one.steps).steps[0].request["ClientToken"] != token


# Teardown.


def test_teardown_says_what_it_removed(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = plan(session, tmp_path)
    one.apply(armed=True)
    with calls(monkeypatch, only_watch) as seen, pytest.raises(NotArmedError):
        teardown(session, one.run_id, folder=tmp_path)
    assert not seen
    frame = teardown(session, one.run_id, folder=tmp_path, armed=True)
    assert tuple(frame.columns) == REMOVED_COLUMNS
    assert frame[["step", "outcome"]].to_numpy().tolist() == [["subnet", "removed"], ["vpc", "removed"]]
    assert not planned(session)
    empty = teardown(session, one.run_id, folder=tmp_path, armed=True)
    assert empty.empty
    assert tuple(empty.columns) == REMOVED_COLUMNS


def test_what_a_run_made_is_shown_by_its_ledger_alone(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = plan(session, tmp_path)
    one.apply(armed=True)
    with calls(monkeypatch, only_watch) as seen:
        frame = made(one.run_id, folder=tmp_path)
    assert not seen
    assert tuple(frame.columns) == MADE_COLUMNS
    assert frame["step"].tolist() == ["subnet", "vpc"]
    assert (
        frame["undo"]
        .str.fullmatch(r"aws ec2 delete-(subnet|vpc) --(subnet|vpc)-id (subnet|vpc)-[0-9a-f]+ --region us-east-1")
        .all()
    )
    one.teardown(armed=True)
    assert made(one.run_id, folder=tmp_path).empty
    with pytest.raises(InputError, match="no ledger"):
        made("../x", folder=tmp_path)


def test_a_run_cut_short_shows_what_is_not_known(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(number: int, operation: str, when: str) -> None:
        if (operation, when) == ("CreateVpc", "after"):
            raise Kill

    one = plan(session, tmp_path)
    with calls(monkeypatch, die), pytest.raises(Kill):
        one.apply(armed=True)
    (row,) = made(one.run_id, folder=tmp_path).to_dict("records")
    assert (row["state"], row["undo"]) == ("intent", "aws ec2 delete-vpc --vpc-id '<Vpc.VpcId>' --region us-east-1")
    assert one.teardown(armed=True)["outcome"].tolist() == ["removed"]


def test_teardown_leaves_what_others_use(session: Session, tmp_path: Path) -> None:
    """Somebody put an interface into our subnet: AWS refuses, it says so, and the VPC below it stays too."""
    one = plan(session, tmp_path)
    one.apply(armed=True)
    (subnet,) = session.pages(
        "ec2", "describe_subnets", "Subnets", Filters=[{"Name": "tag:Name", "Values": ["planned"]}]
    )
    guard = Guard(
        "ec2",
        "describe_network_interfaces",
        "NetworkInterfaces",
        {},
        "it holds interfaces",
        (f'"{subnet["SubnetId"]}"',),
    )
    session.call("ec2", "create_network_interface", SubnetId=subnet["SubnetId"])
    ledger = one.owner.ledger
    intent = next(line for line in ledger.lines() if line["event"] == "result" and line["step"] == "subnet")
    ledger.write("result", "subnet", undo={**intent["undo"], "guards": [vars(guard)]})
    frame = one.teardown(armed=True)
    assert frame["outcome"].tolist() == ["left", "left"]
    assert frame["reason"].tolist() == ["it holds interfaces (1)", "still used by subnet"]


def test_teardown_of_what_is_gone_already(session: Session, tmp_path: Path) -> None:
    one = plan(session, tmp_path)
    one.apply(armed=True)
    for subnet in session.pages(
        "ec2", "describe_subnets", "Subnets", Filters=[{"Name": "tag:Name", "Values": ["planned"]}]
    ):
        session.call("ec2", "delete_subnet", SubnetId=subnet["SubnetId"])
    assert one.teardown(armed=True)["outcome"].tolist() == ["gone", "removed"]


def test_teardown_of_another_account_or_of_nothing(session: Session, tmp_path: Path) -> None:
    one = plan(session, tmp_path)
    one.apply(armed=True)
    other = Session("aws", "999999999999", REGION, "me", session.boto3)
    with pytest.raises(InputError, match=f"made in {ACCOUNT}"):
        teardown(other, one.run_id, folder=tmp_path, armed=True)
    for run in ("nk-000000000000", "../../etc/passwd", ""):
        with pytest.raises(InputError, match="no ledger"):
            teardown(session, run, folder=tmp_path, armed=True)
    assert planned(session) == ["10.9.0.0/16"]


# Small parts.


def test_steps_out_of_order_are_a_mistake(session: Session, tmp_path: Path) -> None:
    one = owner(session, tmp_path)
    with pytest.raises(PlanError, match="subnet"):
        Plan.of(one, steps(one)[::-1])
    with pytest.raises(PlanError, match="doubled"):
        Plan.of(one, steps(one)[:1] * 2)


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_ledger_whose_last_line_was_cut_short_goes_on(cut: int, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "one.jsonl")
    ledger.write("intent", "a")
    ledger.write("result", "a", undo={"x": {"y": 1}})
    text = ledger.path.read_bytes()
    ledger.path.write_bytes(text[:-cut])
    assert ledger.state("a") == ("result" if cut == 1 else "intent")
    ledger.write("result", "a")
    assert ledger.state("a") == "result"
    assert [line["event"] for line in ledger.lines()].count("intent") == 1


def test_denied_is_not_absent(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(error: Exception) -> Callable[..., Any]:
        def call(*_: Any, **__: Any) -> Any:
            raise error

        return call

    with monkeypatch.context() as patch:
        patch.setattr(Session, "call", answers(AccessError("AWS denied it (AccessDenied): no")))
        with pytest.raises(AccessError):
            if_there(session, "s3", "get_bucket_policy", Bucket="b")
    with monkeypatch.context() as patch:
        patch.setattr(Session, "call", answers(AwsError("AWS refused it (Throttling): slow down")))
        with pytest.raises(AwsError):
            if_there(session, "s3", "get_bucket_policy", Bucket="b")
    assert if_there(session, "s3", "get_bucket_policy", Bucket="no-such-bucket-here") is None


def test_a_command_line_is_quoted_for_the_shell() -> None:
    line = aws_command(
        "s3",
        "put_object",
        {"Bucket": "b", "Key": "it's; rm -rf $HOME", "Tags": {"a": "b c"}, "Ids": ["x", "y"], "On": True, "Off": False},
        "eu-west-1",
    )
    assert line == (
        "aws s3api put-object --bucket b --key 'it'\"'\"'s; rm -rf $HOME' --tags '{\"a\": \"b c\"}' --ids x y --on --no-off --region eu-west-1"
    )  # fmt: skip
