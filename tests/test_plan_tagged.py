"""A run whose ledger is gone is listed and taken down by its tag; what carries no tag of it, or holds data, is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from inprocess import REGION, account, calls, only_watch, writes
from test_mirror_provision import hosts, planned
from test_plan_killed import to_a_new_bucket, to_cloudwatch, to_their_bucket
from test_plan_matrix import KINDS, whole

from netkit.__main__ import main
from netkit.core.errors import InputError, NotArmedError
from netkit.core.plan import Plan
from netkit.core.session import Session
from netkit.core.tagged import TAGGED_COLUMNS, tagged, teardown_tagged, without_ledger

RUN = "nk-0123456789ab"
MADE: dict[str, Callable[[Session, Path], Callable[[], Plan]]] = {
    **KINDS, "flow logs to S3, Athena": to_a_new_bucket, "flow logs to their bucket": to_their_bucket, "flow logs to CloudWatch": to_cloudwatch,
}  # fmt: skip


@pytest.mark.parametrize("kind", MADE)
def test_by_tag_what_the_ledger_would_have_taken_back(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with account(monkeypatch) as session:
        plan = MADE[kind](session, tmp_path)()
        before = whole(session)
        plan.apply(armed=True)
        assert not without_ledger(plan.run_id, tmp_path)
        plan.owner.ledger.path.unlink()
        assert without_ledger(plan.run_id, tmp_path)
        with calls(monkeypatch, only_watch) as made:
            listed = tagged(session, plan.run_id)
            with pytest.raises(NotArmedError):
                teardown_tagged(session, plan.run_id, folder=tmp_path)
        assert not writes(made)
        assert list(listed.columns) == list(TAGGED_COLUMNS) and set(listed["state"]) == {"tagged"}
        assert listed["undo"].str.startswith("aws ").all()
        torn = teardown_tagged(session, plan.run_id, folder=tmp_path, armed=True)
        assert list(torn["step"]) == list(listed["step"]) and set(torn["outcome"]) == {"removed"}, torn.to_string()
        again = teardown_tagged(session, plan.run_id, folder=tmp_path, armed=True)
        assert set(again["outcome"]) <= {"gone"}  # EC2 shows the tags of what is deleted for a while
        after = whole(session)
        if kind == "flow logs to their bucket":  # what cannot be found by a tag
            policy = json.loads(json.dumps(after.pop("theirs-already policy"))), before.pop("theirs-already policy")
            assert "Auditors" in str(policy[0]) and policy[0] != policy[1]
        assert after == before


def test_data_and_others_things_are_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        plan = to_a_new_bucket(session, tmp_path)()
        plan.apply(armed=True)
        plan.owner.ledger.path.unlink()
        session.call("s3", "put_object", Bucket="new-bucket", Key="logs/AWSLogs/one", Body=b"record")
        session.call("glue", "create_table", DatabaseName="flows", TableInput={"Name": "theirs"})
        session.call("athena", "create_named_query", Name="saved", Database="flows", QueryString="SELECT 1", WorkGroup="net")  # fmt: skip
        session.call("sqs", "create_queue", QueueName="q", tags=plan.owner.tags)
        another = {"netkit:run": "nk-ffffffffffff"}
        session.call("logs", "create_log_group", logGroupName="/another-run", tags=another)
        torn = teardown_tagged(session, plan.run_id, folder=tmp_path, armed=True).set_index("resource")
        assert torn.loc["Glue table", "outcome"] == "removed" and set(torn.loc[["flow log"], "outcome"]) == {"removed"}
        left = torn[torn["outcome"] == "left"]["reason"]
        assert set(left.index) == {"bucket", "Glue database", "Athena workgroup", "sqs"}, torn.to_string()
        assert "not empty" in left["bucket"] and left["Glue database"] == "it still holds tables (1)"
        assert [one["logGroupName"] for one in session.pages("logs", "describe_log_groups", "logGroups")] == [
            "/another-run"
        ]
        again = teardown_tagged(session, plan.run_id, folder=tmp_path, armed=True)
        assert set(again["outcome"]) == {"left", "gone"} and set(again[again["outcome"] == "left"]["resource"]) == set(
            left.index
        )


def test_a_role_and_a_rule_that_others_added_to_are_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        plan = to_cloudwatch(session, tmp_path)()
        plan.apply(armed=True)
        plan.owner.ledger.path.unlink()
        (role,) = [
            one["RoleName"] for one in session.pages("iam", "list_roles", "Roles") if "netkit" in one["RoleName"]
        ]
        document = json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}]}
        )
        session.call("iam", "put_role_policy", RoleName=role, PolicyName="theirs", PolicyDocument=document)
        torn = teardown_tagged(session, plan.run_id, folder=tmp_path, armed=True).set_index("resource")
        assert torn.loc["IAM role", "outcome"] == "left"
        held = session.call("iam", "list_role_policies", RoleName=role)["PolicyNames"]
        assert held == ["theirs"]


def test_denied_is_not_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        plan = to_cloudwatch(session, tmp_path)()
        plan.apply(armed=True)

        def denied(number: int, name: str, when: str) -> None:
            if name in ("GetResources", "ListRoles"):
                raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, name)

        with calls(monkeypatch, denied):
            listed = tagged(session, plan.run_id)
        assert set(listed[listed["state"] == "denied"]["resource"]) == {"tag:GetResources", "iam:ListRoles"}
        assert set(listed[listed["state"] == "tagged"]["resource"]) == {"flow log"}


@pytest.mark.parametrize("name", ["", "../../x", "nk-0123456789ab\n", "nk-0123456789AB", "*", "nk-\u0966123456789ab"])
def test_what_is_no_run_is_refused_before_any_call(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session, calls(monkeypatch, only_watch) as made:
        for ask in (lambda: tagged(session, name), lambda: without_ledger(name, tmp_path)):
            with pytest.raises(InputError):
                ask()
        assert not made and session.region == REGION


def test_a_mirror_an_agent_and_a_question(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        (source, _), target = hosts(session)
        plan = planned(session, tmp_path, target=target, sources=[source])
        plan.apply(armed=True)
        plan.owner.ledger.path.unlink()
        for name in ("/team/agent", "AmazonCloudWatch-agent"):
            session.call("ssm", "put_parameter", Name=name, Value="{}", Type="String", Tags=plan.owner.tag_list())
        marked = [{"ResourceType": "network-insights-path", "Tags": plan.owner.tag_list()}]
        session.call("ec2", "create_network_insights_path", Source=source, Destination=target, Protocol="tcp", TagSpecifications=marked, ClientToken="x")  # fmt: skip
        torn = teardown_tagged(session, plan.run_id, folder=tmp_path, armed=True)
        assert list(torn["resource"]) == [
            *("analyzer path", "mirror session", "mirror filter", "mirror target", "parameter", "parameter"),
        ] and set(torn["outcome"]) == {"removed"}, torn.to_string()
        assert not session.pages("ssm", "describe_parameters", "Parameters")


def test_the_command_line_goes_by_tag(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with account(monkeypatch) as session:
        monkeypatch.setattr("netkit.core.session.connect", lambda **_: session)
        monkeypatch.setattr("netkit.sandbox.status", lambda: "it runs")
        assert main(["teardown", RUN, "--ledger", str(tmp_path), "--armed"]) == 2
        assert "no ledger" in capsys.readouterr().err
        session.call("logs", "create_log_group", logGroupName="/ours", tags={"netkit:run": RUN})
        for words, groups in (([], 1), (["--armed"], 0)):
            assert main(["teardown", RUN, "--ledger", str(tmp_path), *words]) == 0
            said = capsys.readouterr().out
            assert "by its tag" in said and "/ours" in said and "not found by a tag" in said
            assert len(session.pages("logs", "describe_log_groups", "logGroups")) == groups
