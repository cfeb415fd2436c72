"""The sandbox as a server: one for all, found again, stopped; flow-log calls as AWS answers them; Logs Insights."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import botocore.session
import pytest

from netkit import sandbox
from netkit.core.errors import AwsError, SandboxError
from netkit.core.session import Session, connect, error_code, may_call
from netkit.sandbox.services.logs_insights import Malformed, answer


@pytest.fixture(scope="module")
def session() -> Session:
    return connect(target="sandbox")


def test_many_starters_make_one_server(tmp_path: Path) -> None:
    environment = os.environ | {"NETKIT_HOME": str(tmp_path)}
    code = "from netkit import sandbox; running = sandbox.ensure(); print(running.pid, running.endpoint)"
    starters = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = {starter.communicate(timeout=120)[0].strip() for starter in starters}
    assert len(answers) == 1
    endpoint = answers.pop().split()[1]
    assert endpoint.startswith("http://127.0.0.1:")
    command = [sys.executable, "-m", "netkit", "sandbox"]
    assert subprocess.run([*command, "status"], env=environment, check=False, capture_output=True).returncode == 0
    assert (
        "is down"
        in subprocess.run([*command, "down"], env=environment, check=True, capture_output=True, text=True).stdout
    )
    assert subprocess.run([*command, "status"], env=environment, check=False, capture_output=True).returncode == 1


def test_a_stale_state_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETKIT_HOME", str(tmp_path))
    for state in (
        "",
        "{",
        "[]",
        json.dumps(
            {
                "endpoint": "http://127.0.0.1:9",
                "account_id": "1",
                "region": "r",
                "pid": os.getpid(),
                "home": str(tmp_path),
            }
        ),
    ):
        (tmp_path / "sandbox.json").write_text(state)
        assert sandbox.status() is None
        assert sandbox.down() is False
    assert os.getpid()  # this process, whose id stood in the file, is still here


def test_a_busy_server_is_not_taken_for_gone(session: Session) -> None:
    running = sandbox.ensure()
    os.kill(running.pid, signal.SIGSTOP)
    try:
        assert sandbox.status() == running
        assert sandbox.ensure() == running
    finally:
        os.kill(running.pid, signal.SIGCONT)
    assert session.call("sts", "get_caller_identity")["Account"] == running.account_id


def test_a_start_that_fails_names_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETKIT_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SandboxError, match="did not start") as caught:
        sandbox.up()
    assert "sandbox.log" in caught.value.subject


def test_the_server_knows_no_key_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("AWS_PROFILE", "prod")
    clean = sandbox._clean_environment()
    assert clean["AWS_SECRET_ACCESS_KEY"] == "testing"
    assert "AWS_PROFILE" not in clean


def test_all_reads_that_the_notebooks_need(session: Session) -> None:
    """None is denied; of Reachability Analyzer's paths there are none before somebody asks for one."""
    states = {row.table: row.state for row in may_call(session)}
    assert states.pop("ec2:describe_network_insights_paths") in ("ok", "empty")
    assert set(states.values()) == {"ok"}


def test_answers_fit_botocores_model(session: Session) -> None:
    """What DescribeFlowLogs gives is what its output shape has."""
    shape = botocore.session.get_session().get_service_model("ec2").operation_model("DescribeFlowLogs").output_shape
    known = set(shape.members["FlowLogs"].member.members)
    for one in session.pages("ec2", "describe_flow_logs", "FlowLogs"):
        assert set(one) <= known
        assert one["FlowLogStatus"] == "ACTIVE"
    options = [
        one["DestinationOptions"]
        for one in session.pages("ec2", "describe_flow_logs", "FlowLogs")
        if one["LogDestinationType"] == "s3"
    ]
    assert {"FileFormat": "parquet", "HiveCompatiblePartitions": False, "PerHourPartition": True} in options


def base(session: Session, **changes: object) -> dict[str, object]:
    vpc = session.pages("ec2", "describe_vpcs", "Vpcs", Filters=[{"Name": "tag:Name", "Values": ["shop-quiet"]}])[0][
        "VpcId"
    ]
    request = {
        "ResourceIds": [vpc], "ResourceType": "VPC", "TrafficType": "REJECT", "LogDestinationType": "s3",
        "LogDestination": "arn:aws:s3:::netkit-sandbox-flow-logs/base-tests/", "ClientToken": "t",
    }  # fmt: skip
    return {name: value for name, value in (request | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"LogFormat": "${srcaddr} ${windowstart}"}, "Unknown fields"),
        ({"LogFormat": "${srcaddr} ${tgw-id}"}, "Unknown fields"),
        ({"TrafficType": "SOME"}, "traffic type"),
        ({"MaxAggregationInterval": 300}, "Aggregation Interval"),
        ({"LogDestination": "arn:aws:s3:::netkit-sandbox-flow-logs/AWSLogs/"}, "AWSLogs"),
        (
            {"LogDestinationType": "cloud-watch-logs", "LogDestination": None, "LogGroupName": "x"},
            "DeliverLogsPermissionArn",
        ),
        ({"LogDestination": None}, "LogDestination"),
        ({"DeliverLogsPermissionArn": "arn:aws:iam::123456789012:role/x"}, "not applicable for s3"),
    ],
)
def test_what_aws_refuses_is_refused(session: Session, changes: dict[str, object], says: str) -> None:
    with pytest.raises(AwsError, match=says) as caught:
        session.call("ec2", "create_flow_logs", **base(session, ClientToken=None, **changes))
    assert error_code(caught.value) == "InvalidParameter"


def test_partial_failures_tokens_and_doubles(session: Session) -> None:
    made = session.call("ec2", "create_flow_logs", **base(session, ClientToken="one"))
    assert (
        session.call("ec2", "create_flow_logs", **base(session, ClientToken="one"))["FlowLogIds"] == made["FlowLogIds"]
    )
    with pytest.raises(AwsError, match="IdempotentParameterMismatch"):
        session.call("ec2", "create_flow_logs", **base(session, ClientToken="one", MaxAggregationInterval=60))
    doubled = session.call("ec2", "create_flow_logs", **base(session, ClientToken="two"))
    assert doubled["Unsuccessful"][0]["Error"]["Code"] == "FlowLogAlreadyExists"
    request = base(session, ClientToken="three", TrafficType="ACCEPT")
    mixed = session.call(
        "ec2", "create_flow_logs", **request | {"ResourceIds": [*request["ResourceIds"], "vpc-0123456789abcdef0"]}
    )  # type: ignore[misc]
    assert (len(mixed["FlowLogIds"]), len(mixed["Unsuccessful"])) == (1, 1)
    nowhere = session.call(
        "ec2",
        "create_flow_logs",
        **base(session, ClientToken="four", LogDestination="arn:aws:s3:::no-such-bucket-here"),
    )
    assert "does not exist" in nowhere["Unsuccessful"][0]["Error"]["Message"]
    session.call("ec2", "delete_flow_logs", FlowLogIds=[*made["FlowLogIds"], *mixed["FlowLogIds"]])
    left = {one["FlowLogId"] for one in session.pages("ec2", "describe_flow_logs", "FlowLogs")}
    assert not left & {*made["FlowLogIds"], *mixed["FlowLogIds"]}


EVENTS = [
    (1000 * second, f"{second % 3} 10.0.0.{second % 5} {second * 10} {'ACCEPT' if second % 2 else 'REJECT'}", "s")
    for second in range(100)
]
PARSE = 'parse @message "* * * *" as f_kind, f_address, f_bytes, f_action'


def values(query: str) -> list[list[str]]:
    return [[cell["value"] for cell in row] for row in answer(query, EVENTS)[0]]


def test_insights_answers_what_plain_python_counts() -> None:
    rejected = [event for event in EVENTS if "REJECT" in event[1]]
    assert values(f'{PARSE} | filter f_action = "REJECT" | stats count(*) as n') == [[str(len(rejected))]]
    large = sum(int(message.split()[2]) for _, message, _ in EVENTS if int(message.split()[2]) >= 500)
    assert values(f"{PARSE} | filter f_bytes >= 500 | stats sum(f_bytes) as b") == [[str(large)]]
    by_kind = values(f"{PARSE} | stats count(*) as n, max(f_bytes) as m by f_kind | sort f_kind asc")
    assert by_kind == [["0", "34", "990"], ["1", "33", "970"], ["2", "33", "980"]]
    assert values("stats count(*) as n by bin(60s) as minute | sort minute asc") == [
        ["1970-01-01 00:00:00.000", "60"],
        ["1970-01-01 00:01:00.000", "40"],
    ]
    assert values(
        f'{PARSE} | filter f_address in ["10.0.0.1", "10.0.0.2"] and not f_action like /REJ/ | stats count_distinct(f_address) as n'
    ) == [["2"]]
    assert len(values("fields @timestamp, @message | limit 7")) == 7
    assert values(f"{PARSE} | fields f_bytes | sort f_bytes desc | limit 2") == [["990"], ["980"]]


def test_insights_compares_numbers_as_numbers_and_binds_its_values() -> None:
    assert values(f"{PARSE} | filter f_bytes < 20 | stats count(*) as n") == [["2"]]
    hostile = "x' OR '1'='1"
    assert values(f'{PARSE} | filter f_action = "{hostile}" | stats count(*) as n') == [["0"]]


@pytest.mark.parametrize(
    "query",
    [
        "explode",
        "filter",
        "stats nosuch(f_x)",
        "limit 20000",
        "limit many",
        'parse @message "* *" as one',
        "filter @message ~ 3",
    ],
)
def test_insights_refuses_what_it_does_not_know(query: str) -> None:
    with pytest.raises(Malformed):
        answer(query, EVENTS)
