"""Reachability Analyzer's answers: AWS's recorded ones and the guide's dialect are read to the same values; ours go out as AWS's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from little_net import Net, codes, pair
from test_reach_trace import behind_nat, peered, public, transited, with_s3

from netkit.core.errors import InputError
from netkit.core.model import Coverage, Header, Rule, Verdict
from netkit.reach.analyzer.answers import (
    analysis_of,
    compare_finding,
    component_type,
    differences,
    verdict_of,
    verdicts_of,
)
from netkit.reach.analyzer.codes import ALIASES, EXPLANATIONS

ANSWERS = Path(__file__).parents[1].parent / "shared" / "data" / "reach" / "aws_answers"
recorded = pytest.mark.skipif(not ANSWERS.is_dir(), reason="../shared/data/reach/aws_answers is not here")


def answer(name: str) -> list[Verdict]:
    return verdicts_of(json.loads((ANSWERS / name).read_text("utf-8")))


@recorded
def test_every_code_of_aws_has_a_sentence() -> None:
    listed = {line.split("\t")[1] for line in (ANSWERS / "explanation_codes.tsv").read_text("utf-8").splitlines()[1:]}
    assert EXPLANATIONS.keys() == listed
    assert set(ALIASES.values()) <= listed and not ALIASES.keys() & listed


@recorded
def test_the_recorded_path() -> None:
    (verdict,) = answer("reachable_example2.json")
    assert verdict.reachable
    assert [hop.type for hop in verdict.forward] == [
        "internet-gateway",
        "network-acl",
        "security-group",
        "network-interface",
        "instance",
    ]
    assert [hop.type for hop in verdict.back] == [
        "instance",
        "network-interface",
        "security-group",
        "network-acl",
        "route-table",
        "internet-gateway",
    ]
    assert verdict.forward[0].inbound == Header(
        "tcp", ("0.0.0.0/5", "11.0.0.0/8", "12.0.0.0/6"), ("34.230.71.227/32",), ("0-65535",), ("22",)
    )
    assert verdict.forward[1].rule == Rule("acl-rule", "ingress", "all", "", "0.0.0.0/0", "allow", 100)
    assert verdict.forward[2].rule == Rule("security-group-rule", "ingress", "tcp", "22", "0.0.0.0/0")
    assert verdict.back[2].rule is None
    assert verdict.back[4].rule == Rule(
        "route", peer="0.0.0.0/0", target="igw-0797cccdc9d73b0e5", state="active", origin="createroute"
    )
    assert (verdict.protocol, verdict.port, verdict.origin) == ("tcp", "22", "nia-076744f74a04c3c7f")


@recorded
def test_the_recorded_blocks() -> None:
    (one,) = answer("describe-network-insights-analyses.0.json")
    found = one.blockers[0]
    assert (one.status, found.code, found.component, found.direction, found.where) == (
        "NOT_REACHABLE", "ENI_SG_RULES_MISMATCH", "sg-02f0d35a850ba727f", "ingress", "eni-0a25edef15a6cc08c",
    )  # fmt: skip
    first, second = answer("not_reachable_example1.json")
    assert first.blockers[0].components == ("sg-0abc123def456789", "sg-0def456789abc0123")
    assert "tcp/443" in first.blockers[0].because  # the guide's scalar Protocol, which the model does not have
    assert second.blockers[0].rule == Rule("security-group-rule", "ingress", "tcp", "80", "10.0.0.0/16")
    (running,) = answer("start-network-insights-analysis.0.json")
    assert (running.status, running.unknowns[0].what) == ("UNKNOWN", "nia-02207aa13eb480c7a")


def test_the_guides_dialect_is_read_to_the_same_values() -> None:
    """The guide prints one analysis with types and details that AWS does not have (facts 51 to 56)."""

    def both(rule: dict[str, Any], theirs: dict[str, Any]) -> tuple[Verdict, Verdict]:
        group = {"Id": "sg-0a", "Arn": "arn:aws:ec2:us-east-1:123456789012:security-group/sg-0a"}
        guide = {
            "SequenceNumber": 1,
            "Component": group,
            "ComponentType": "AWS::EC2::SecurityGroup",
            "ComponentDetails": {"SecurityGroupRule": rule},
        }
        aws = {"SequenceNumber": 1, "Component": group, "SecurityGroupRule": theirs}
        held = {"NetworkInsightsAnalysisId": "nia-1", "Status": "succeeded", "NetworkPathFound": True}
        old = verdicts_of({"NetworkInsightsAnalysis": {**held, "ForwardPathComponents": [guide]}})
        new = verdicts_of({"NetworkInsightsAnalyses": [{**held, "ForwardPathComponents": [aws]}]})
        return old[0], new[0]

    old, new = both(
        {"Direction": "outbound", "Protocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrBlock": "0.0.0.0/0"},
        {"Direction": "egress", "Protocol": "tcp", "PortRange": {"From": 443, "To": 443}, "Cidr": "0.0.0.0/0"},
    )
    assert old == new
    assert old.forward[0].rule == Rule("security-group-rule", "egress", "tcp", "443", "0.0.0.0/0")
    with_id, _ = both(
        {
            "Direction": "outbound",
            "SecurityGroupRuleId": "sgr-1",
            "Protocol": "tcp",
            "FromPort": 443,
            "ToPort": 443,
            "CidrBlock": "0.0.0.0/0",
        },
        {},
    )
    assert with_id.forward[0].rule and with_id.forward[0].rule.id == "sgr-1"


@pytest.mark.parametrize(("guide", "code"), ALIASES.items())
def test_the_guides_codes_are_mapped_and_never_written(guide: str, code: str) -> None:
    told = {
        "ExplanationCode": guide,
        "Direction": "outbound",
        "Protocol": "tcp",
        "Port": 443,
        "SecurityGroup": {"Id": "sg-0a"},
    }
    verdict = verdict_of({"Status": "succeeded", "NetworkPathFound": False, "Explanations": [told]})
    found = verdict.blockers[0]
    assert (found.code, found.direction, found.component) == (code, "egress", "sg-0a")
    assert guide not in json.dumps(analysis_of(verdict, pair().snapshot()))


def test_unknown_codes_and_members_pass() -> None:
    told = {"ExplanationCode": "SOMETHING_NEW", "Whatever": 1, "Component": {"Id": "eni-1"}}
    verdict = verdict_of({"Status": "SUCCEEDED", "NetworkPathFound": False, "Explanations": [told], "More": True})
    assert (verdict.blockers[0].code, verdict.blockers[0].component) == ("SOMETHING_NEW", "eni-1")
    failed = verdict_of(
        {"NetworkInsightsAnalysisId": "nia-2", "Status": "failed", "StatusMessage": "insufficient permissions"}
    )
    assert "insufficient permissions" in failed.unknowns[0].why
    with pytest.raises(InputError, match="no answer of Reachability Analyzer"):
        verdicts_of({"Vpcs": []})
    assert component_type({"Id": "tgw-attach-1"}) == "transit-gateway-attachment"
    assert component_type({"Arn": "arn:aws:ec2:us-east-1:1:natgateway/nat-1"}) == "nat-gateway"


CASES: list[tuple[Net, str, str]] = [
    (pair(), "client", "server"), (public(), "internet", "web"), (behind_nat(), "client", "internet"), (peered(), "client", "server"),
    (transited(), "client", "server"), (with_s3(), "client", "vpce-s3"), (transited(), "client", "10.9.9.9"),
]  # fmt: skip


@pytest.mark.parametrize(("net", "source", "destination"), CASES)
def test_ours_goes_out_in_awss_dialect_and_comes_back(net: Net, source: str, destination: str) -> None:
    """What we write fits botocore's model, and is read back as what it was."""
    verdict = net.ask(source, destination)
    written = analysis_of(verdict, net.snapshot())
    shape = botocore.session.get_session().get_service_model("ec2").shape_for("NetworkInsightsAnalysis")
    assert not ParamValidator().validate(written, shape).has_errors()
    unknown = _unmodelled(written, shape)
    assert not unknown, unknown
    again = verdict_of({**written, "Status": "succeeded", "NetworkInsightsAnalysisId": "nia-1"})
    assert again.status == verdict.status
    assert differences(verdict, again).empty, differences(verdict, again)
    assert [one.code for one in again.blockers] == [one.code for one in verdict.blockers]


def _unmodelled(value: Any, shape: Any) -> list[str]:
    """Members that botocore's model does not have."""
    if shape.type_name == "structure":
        return [name for name in value if name not in shape.members] + [
            more for name in value if name in shape.members for more in _unmodelled(value[name], shape.members[name])
        ]
    return [more for one in value for more in _unmodelled(one, shape.member)] if shape.type_name == "list" else []


def test_a_disagreement_is_a_finding() -> None:
    net = pair()
    ours = net.ask("client", "server")
    theirs = verdict_of(
        {**analysis_of(ours, net.snapshot()), "Status": "succeeded", "NetworkInsightsAnalysisId": "nia-1"}
    )
    seen = (Coverage("1", "r", "SecurityGroups", "ok", 1),)
    assert (compare_finding(ours, theirs, seen).status, compare_finding(ours, theirs, seen).code) == (
        "refuted",
        "REACH-ANALYZER-DISAGREES",
    )
    net.group("sg-none", "vpc-a", [], [])
    net.find("NetworkInterfaces", "eni-server")["Groups"] = [{"GroupId": "sg-none"}]
    blocked = net.ask("client", "server")
    assert codes(blocked) == ["SG_HAS_NO_RULES"]
    finding = compare_finding(blocked, theirs, seen)
    assert (finding.status, finding.severity) == ("confirmed", "high")
    assert "NOT_REACHABLE" in finding.claim
    other = verdict_of(
        {
            "Status": "succeeded",
            "NetworkPathFound": False,
            "Explanations": [{"ExplanationCode": "NO_ROUTE_TO_DESTINATION", "RouteTable": {"Id": "rtb-9"}}],
        }
    )
    assert list(differences(blocked, other)["theirs"]) == ["NO_ROUTE_TO_DESTINATION at rtb-9"]
    running = verdict_of({"Status": "running", "NetworkInsightsAnalysisId": "nia-1"})
    assert compare_finding(ours, running).status == "inconclusive"
