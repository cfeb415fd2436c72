"""Questions to AWS's analyzer: what is asked, refused, kept, finished after a kill, paid for once, and taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import botocore.validate
import pytest
from inprocess import ACCOUNT, REGION, Kill, account, calls, only_watch, writes

from netkit.core import costs
from netkit.core.errors import BudgetError, InputError, NotArmedError, PlanError
from netkit.core.model import Verdict
from netkit.core.plan import Plan, teardown
from netkit.core.session import Session
from netkit.investigate import path as ask
from netkit.reach import read
from netkit.reach.analyzer.answers import differences
from netkit.reach.engine.trace import trace
from netkit.reach.network.snapshot import Snapshot
from netkit.reach.provision import asked, path_request, plan_question, question_of
from netkit.sandbox.labs import reach as reach_lab
from netkit.sandbox.labs.reach import BY_NAME, CASES, Case
from netkit.sandbox.services import network_insights
from netkit.sandbox.world import world

CLIENT, SERVER = BY_NAME["reachable-client"], BY_NAME["reachable-server"]
IGW = world.ident(reach_lab.NAME, "igw", "igw")
NOON = "2026-11-23T12:00:00Z"


@dataclass
class Run:
    """As much of a notebook's run as ask.py needs."""

    session: Session
    folder: Path

    def path(self, source: str) -> str:
        return source


@pytest.fixture(scope="module")
def lab() -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch, account(patch) as session:
        reach_lab.seed()
        yield session


@pytest.fixture(scope="module")
def held(lab: Session) -> Snapshot:
    return network_insights.snapshot_now(ACCOUNT, REGION)


@pytest.fixture
def session(lab: Session, held: Snapshot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """The lab without paths and analyses; its configuration does not change here, so it is collected once."""
    monkeypatch.setattr(network_insights, "snapshot_now", lambda *_: held)
    monkeypatch.setattr(read.time, "sleep", lambda _: None)
    yield lab
    for one in read.analyses(lab):
        lab.call("ec2", "delete_network_insights_analysis", NetworkInsightsAnalysisId=one["NetworkInsightsAnalysisId"])
    for one in read.network_insights_paths(lab):
        lab.call("ec2", "delete_network_insights_path", NetworkInsightsPathId=one["NetworkInsightsPathId"])


def plan(session: Session, folder: Path, **changes: Any) -> Plan:
    request: dict[str, Any] = {
        "source": CLIENT.interface_id, "destination": SERVER.instance_id, "protocol": "tcp", "port": 443, "moment": NOON, "budget_usd": 0.5,
    }  # fmt: skip
    return plan_question(session, **request | changes, folder=folder)


def actions(one: Plan) -> list[str]:
    return [str(step.action) for step in one.steps]


# ------------------------------------------------------------------------------------------------------ what is asked


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("eni-0123456789abcdef0", "i-01234567", "TCP", 443), {"Destination": "i-01234567", "Protocol": "tcp", "DestinationPort": 443}),
        (("eni-0123456789abcdef0", "i-01234567", "udp"), {"Destination": "i-01234567", "Protocol": "udp"}),
        (
            ("eni-0123456789abcdef0", "151.101.64.81", "tcp", 443),
            {"Protocol": "tcp", "FilterAtSource": {"DestinationAddress": "151.101.64.81", "DestinationPortRange": {"FromPort": 443, "ToPort": 443}}},
        ),
        (
            ("eni-0123456789abcdef0", "vpce-01234567", "tcp", 443, "32768-61000"),
            {
                "Destination": "vpce-01234567", "Protocol": "tcp",
                "FilterAtSource": {"DestinationPortRange": {"FromPort": 443, "ToPort": 443}, "SourcePortRange": {"FromPort": 32768, "ToPort": 61000}},
            },
        ),
    ],
)  # fmt: skip
def test_a_request_is_as_awss_model_and_guide_have_it(words: tuple[Any, ...], expected: dict[str, Any]) -> None:
    """FilterAtSource excludes SourceIp and DestinationPort; an address is asked for without Destination (guide)."""
    request = path_request(*words[:4], source_port=words[4] if len(words) > 4 else None)
    assert request == expected | {"Source": "eni-0123456789abcdef0"}
    shape = botocore.session.get_session().get_service_model("ec2").operation_model("CreateNetworkInsightsPath")
    report = botocore.validate.ParamValidator().validate(request | {"ClientToken": "t"}, shape.input_shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"protocol": "icmp"}, "the snapshot answers it"),
        ({"protocol": "all"}, "the snapshot answers it"),
        ({"source": "internet"}, "internet gateway"),
        ({"source": f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/net/a/0123456789abcdef"}, "load balancer is on the way"),
        ({"destination": "nat-0123456789abcdef0"}, "instance behind it"),
        ({"source": "10.64.10.10"}, "interface that has the address"),
        ({"destination": "2001:db8::1"}, "IPv4"),
        ({"destination": "i-123"}, "8 or 17"),
        ({"destination": "sg-0123456789abcdef0"}, "AWS takes"),
        ({"destination": "reachable-server"}, "AWS takes"),
        ({"port": 70000}, "65535"),
        ({"expire_days": 121}, "120"),
        ({"source_address": "fd00::1"}, "IPv4"),
    ],
)  # fmt: skip
def test_what_aws_refuses_is_refused_before_any_call(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], says: str
) -> None:
    with calls(monkeypatch, only_watch) as made, pytest.raises(InputError) as caught:
        plan(session, tmp_path, **changes)
    assert says in str(caught.value)
    assert made == []


def test_the_cost_is_said_before_and_refused_above_the_budget(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with calls(monkeypatch, only_watch) as made:
        with pytest.raises(BudgetError, match=r"0\.1000"):
            plan(session, tmp_path, budget_usd=0.09)
        with pytest.raises(BudgetError, match="unknown"):
            plan(session, tmp_path, prices=costs.PRICES | {"reachability_analysis_usd": float("nan")})
        assert made == []
        seen = plan(session, tmp_path)
    assert writes(made) == []
    assert "$0.10" in str(seen)
    assert "not confirmed" in str(seen)
    with pytest.raises(NotArmedError):
        seen.apply()


# --------------------------------------------------------------------------------------- made once, kept, taken back


def test_a_question_is_asked_once_and_a_new_moment_asks_anew(session: Session, tmp_path: Path) -> None:
    first = plan(session, tmp_path)
    assert actions(first) == ["create", "create"]
    with pytest.raises(PlanError, match="yet"):
        asked(first)
    first.apply(armed=True)
    again = plan(session, tmp_path)
    assert actions(again) == ["keep", "keep"]
    assert "nothing is charged again" in again.notices[0]
    again.apply(armed=True)
    later = plan(session, tmp_path, moment="2026-11-24T12:00:00Z")
    assert (later.run_id != first.run_id, actions(later)) == (True, ["keep", "create"])
    later.apply(armed=True)
    path, analysis = asked(later)
    assert len(read.network_insights_paths(session)) == 1
    assert [one["NetworkInsightsAnalysisId"] for one in read.analyses(session, path["NetworkInsightsPathId"])] == [
        asked(first)[1]["NetworkInsightsAnalysisId"],
        analysis["NetworkInsightsAnalysisId"],
    ]
    assert {tag["Key"] for tag in path["Tags"]} == {tag["Key"] for tag in analysis["Tags"]} == {"netkit:run", "netkit:expires", "Name"}  # fmt: skip
    left = teardown(session, first.run_id, folder=tmp_path, armed=True)  # the path is still used by the later run
    assert list(left["outcome"]) == ["removed", "left"]
    assert list(later.teardown(armed=True)["outcome"]) == ["removed"]
    assert list(teardown(session, first.run_id, folder=tmp_path, armed=True)["outcome"]) == ["removed"]
    assert read.network_insights_paths(session) == read.analyses(session) == []


def test_a_path_that_others_made_is_used_and_stays(session: Session, tmp_path: Path) -> None:
    theirs = {"Source": CLIENT.interface_id, "Destination": SERVER.instance_id, "Protocol": "tcp"}
    session.call("ec2", "create_network_insights_path", **theirs, DestinationPort=80)
    session.call("ec2", "create_network_insights_path", **theirs, DestinationPort=443)
    one = plan(session, tmp_path)
    assert actions(one) == ["keep", "create"]
    one.apply(armed=True)
    assert asked(one)[0]["DestinationPort"] == 443
    assert list(one.teardown(armed=True)["step"]) == ["analysis"]
    assert len(read.network_insights_paths(session)) == 2


def test_two_ways_to_write_one_question_are_one(session: Session, tmp_path: Path) -> None:
    arn = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{SERVER.instance_id}"
    plain = {"Source": CLIENT.interface_id, "Destination": arn, "Protocol": "tcp", "DestinationPort": 443}
    ranged = {"Source": CLIENT.interface_id, "Destination": SERVER.instance_id, "Protocol": "tcp", "FilterAtSource": {"DestinationPortRange": {"FromPort": 443, "ToPort": 443}}}  # fmt: skip
    assert question_of(plain) == question_of(ranged)
    assert question_of(plain) != question_of(plain | {"DestinationPort": 444})
    assert question_of(plain) != question_of(plain | {"SourceIp": CLIENT.address})


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", ["CreateNetworkInsightsPath", "StartNetworkInsightsAnalysis"])
def test_a_killed_run_asks_and_pays_once(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str, when: str
) -> None:
    def kill(_: int, called: str, moment: str) -> None:
        if (called, moment) == (operation, when):
            raise Kill

    with calls(monkeypatch, kill), pytest.raises(Kill):
        plan(session, tmp_path).apply(armed=True)
    again = plan(session, tmp_path)
    again.apply(armed=True)
    assert (len(read.network_insights_paths(session)), len(read.analyses(session))) == (1, 1)
    assert list(again.teardown(armed=True)["outcome"]) == ["removed", "removed"]


# ------------------------------------------------------------------------------------------------------ awaiting


def test_an_analysis_is_awaited_and_its_cost_noted_once(session: Session, tmp_path: Path) -> None:
    plan(session, tmp_path).apply(armed=True)
    name = asked(plan(session, tmp_path))[1]["NetworkInsightsAnalysisId"]
    for _ in range(2):
        told = read.await_analysis(session, name, progress=False, ledger=tmp_path / "costs.jsonl")
        assert (told["Status"], told["NetworkPathFound"]) == ("succeeded", True)
    spent = costs.CostLedger(tmp_path / "costs.jsonl").frame()
    assert list(zip(spent["what"], spent["cost_usd"], strict=True)) == [(f"analysis {name}", 0.10)]


def test_one_that_never_ends_is_given_up_with_a_word(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    clock = iter(range(0, 10000, 5))
    with monkeypatch.context() as patch:
        patch.setattr(read.time, "sleep", slept.append)
        patch.setattr(read.time, "monotonic", lambda: float(next(clock)))
        patch.setattr(Session, "pages", lambda *_, **__: [{"Status": "running"}])
        with pytest.raises(PlanError, match="costs nothing"):
            read.await_analysis(session, "nia-0123456789abcdef0", limit_s=60, progress=False)
    assert slept[:5] == [1.0, 2.0, 4.0, 8.0, 8.0]


# --------------------------------------------------------------------------------------------- what the notebook asks


def question(run: Run, held: Snapshot, case: Case, **service: Any) -> tuple[Verdict, Plan | str]:
    ends = {"source": case.source, "destination": case.destination, "vpc": ""}
    words = {"protocol": "tcp", "port": case.port} | service
    ours = trace(held, **ends, **words)
    return ours, ask.analyzer_plan(run, held, ours, ends, words, 0.5)


def test_every_ending_asked_of_the_analyzer_agrees(session: Session, held: Snapshot, tmp_path: Path) -> None:
    """In the sandbox both sides are netkit: what is proved is that the question arrives as it was asked, and the answer too."""
    run, told = Run(session, tmp_path), {}
    for case in CASES:
        ours, made = question(run, held, case)
        if isinstance(made, str):
            told[case.ending] = made
            continue
        theirs = ask.analyzer_verdict(run, made, analyzer=True)
        assert theirs.status == case.status, (case.ending, theirs)
        assert differences(ours, theirs).empty, case.ending
        (finding,) = ask.analyzer_findings(theirs, ours, held)
        assert (finding.code, finding.status) == ("REACH-ANALYZER-DISAGREES", "refuted")
    assert set(told) == {"nlb-reachable", "alb-target"}
    assert all("load balancer" in one for one in told.values())
    assert len(costs.CostLedger(tmp_path / "costs.jsonl").frame()) == len(CASES) - 2


def test_a_disagreement_is_a_finding(session: Session, held: Snapshot, tmp_path: Path) -> None:
    run = Run(session, tmp_path)
    (case,) = (one for one in CASES if one.ending == "sg-inbound")
    rules = [dict(one) for _, one in held.records("SecurityGroups")]
    open_rule = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    stale = held.with_records(
        "SecurityGroups", [one | {"IpPermissions": [open_rule]} for one in rules], (ACCOUNT, REGION)
    )
    ours, made = question(run, stale, case)
    (finding,) = ask.analyzer_findings(ask.analyzer_verdict(run, made, analyzer=True), ours, stale)
    assert (finding.status, finding.severity) == ("confirmed", "high")


def test_not_asked_says_so_and_finds_nothing(session: Session, held: Snapshot, tmp_path: Path) -> None:
    run = Run(session, tmp_path)
    ours, made = question(run, held, CASES[0])
    theirs = ask.analyzer_verdict(run, made, analyzer=False)
    assert theirs.status == "UNKNOWN"
    assert "not asked: analyzer is false" in str(theirs.unknowns[0])
    assert ask.analyzer_findings(theirs, ours, held) == []
    assert read.network_insights_paths(session) == []


@pytest.mark.parametrize(
    ("ends", "service", "says"),
    [
        ({}, {"protocol": "icmp", "port": None}, "the snapshot answers it"),
        ({}, {"port": None}, "one port"),
        ({"destination": "2001:db8::1"}, {}, "IPv4"),
        ({"source": "tgw-reachable-client", "destination": "internet"}, {}, "no internet gateway"),
        ({"destination": world.ident(reach_lab.NAME, "vpc-reach-lab", "vpc")}, {}, "does not take"),
        ({"destination": "nobody"}, {}, "nobody"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_a_reason(
    session: Session, held: Snapshot, tmp_path: Path, ends: dict[str, str], service: dict[str, Any], says: str
) -> None:
    asked_ends = {"source": "reachable-client", "destination": "reachable-server", "vpc": ""} | ends
    nothing = Verdict("NOT_REACHABLE", "", "", "")
    made = ask.analyzer_plan(
        Run(session, tmp_path), held, nothing, asked_ends, {"protocol": "tcp", "port": 443} | service, 0.5
    )
    assert isinstance(made, str)
    assert says in made
    theirs = ask.analyzer_verdict(Run(session, tmp_path), made, analyzer=True)
    (finding,) = ask.analyzer_findings(theirs, nothing, held)
    assert finding.status == "inconclusive"


def test_no_budget_and_another_account_are_reasons(session: Session, held: Snapshot, tmp_path: Path) -> None:
    ends, service = {"source": "reachable-client", "destination": "reachable-server", "vpc": ""}, {"protocol": "tcp", "port": 443}  # fmt: skip
    ours = trace(held, **ends, **service)
    run = Run(session, tmp_path)
    assert "budget" in str(ask.analyzer_plan(run, held, ours, ends, service, 0.01))
    elsewhere = Run(Session("aws", "999999999999", REGION, "me", session.boto3), tmp_path)
    assert "account 123456789012" in str(ask.analyzer_plan(elsewhere, held, ours, ends, service, 0.5))


@pytest.mark.parametrize(
    ("source", "destination", "expected"),
    [
        (CLIENT.address, SERVER.address, {"Source": CLIENT.interface_id, "FilterAtSource": {"DestinationAddress": SERVER.address}}),
        ("198.51.100.7", "public-server", {"Source": IGW, "Destination": BY_NAME["public-server"].instance_id, "FilterAtSource": {"SourceAddress": "198.51.100.7"}}),
        ("nat-reachable-client", "internet", {"Source": BY_NAME["nat-reachable-client"].instance_id, "Destination": IGW, "FilterAtSource": {}}),
    ],
)  # fmt: skip
def test_ends_go_to_aws_by_ids_that_it_takes(
    session: Session, held: Snapshot, tmp_path: Path, source: str, destination: str, expected: dict[str, Any]
) -> None:
    ends, service = {"source": source, "destination": destination, "vpc": ""}, {"protocol": "tcp", "port": 443}
    made = ask.analyzer_plan(Run(session, tmp_path), held, trace(held, **ends, **service), ends, service, 0.5)
    assert isinstance(made, Plan), made
    request = dict(made.steps[0].request)
    filters = request["FilterAtSource"]
    assert filters.pop("DestinationPortRange") == {"FromPort": 443, "ToPort": 443}
    assert filters.pop("SourcePortRange")["FromPort"] >= 1024
    assert {
        key: value for key, value in request.items() if key in ("Source", "Destination", "FilterAtSource")
    } == expected


def test_the_answer_of_any_kind_of_run_is_a_verdict(session: Session, held: Snapshot, tmp_path: Path) -> None:
    run = Run(session, tmp_path)
    by_kind: dict[str, Callable[[], Plan | str]] = {
        "asked": lambda: question(run, held, CASES[0])[1],
        "asked again": lambda: question(run, held, CASES[0])[1],
    }
    names = [ask.analyzer_verdict(run, make(), analyzer=True).origin for make in by_kind.values()]
    assert len(set(names)) == 1
    assert names[0].startswith("nia-")
