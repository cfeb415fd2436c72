"""Mirrors as plans: made once, kept, finished after a kill, taken back; what AWS refuses is refused before any call."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import botocore.validate
import pytest
from botocore.stub import Stubber
from inprocess import READS, Kill, account, calls, only_watch, writes
from moto.cloudwatch.models import cloudwatch_backends

from netkit.core.errors import AccessError, ConflictError, InputError, NotArmedError, SourceError
from netkit.core.model import Window
from netkit.core.plan import Plan, teardown
from netkit.core.session import Session
from netkit.mirror import read
from netkit.mirror.commands import seed_command, seed_commands
from netkit.mirror.filters import MirrorFilter, Rule, parse_filter
from netkit.mirror.limits import source_type
from netkit.mirror.provision import plan_mirror, target_request
from netkit.sandbox.services.cloudwatch_metrics import keep_points

SEED = Path(__file__).parents[1] / ".." / "shared" / "seed.txt"
needs_seed = pytest.mark.skipif(not SEED.exists(), reason="../shared/seed.txt is not here")
ENI, OTHER = "eni-0123456789abcdef0", "eni-0123456789abcdef1"
GWLB = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/gwy/inspect/50dc6c495c0c9188"
NLB = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/analysis-nlb/50dc6c495c0c9188"
WEB = "web: tcp 80,443"
FULL = "web: tcp 80,443\ncalls: udp 123 to 10.0.0.0/8\nreject tcp 22\ndns: amazon-dns"


def hosts(session: Session, count: int = 2) -> tuple[list[str], str]:
    """Interfaces of `count` instances in one subnet, and one of an analysis host in another."""
    vpc = session.call("ec2", "create_vpc", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    places = [session.call("ec2", "create_subnet", VpcId=vpc, CidrBlock=f"10.0.{one}.0/24")["Subnet"]["SubnetId"] for one in (1, 2)]  # fmt: skip
    made = []
    for place, number in ((places[0], count), (places[1], 1)):
        answer = session.call(
            "ec2", "run_instances", ImageId="ami-12c6146b", MinCount=number, MaxCount=number, SubnetId=place, InstanceType="t3.micro",
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Role", "Value": "web" if number == count else "analysis"}]}],
        )  # fmt: skip
        made.append(sorted(one["NetworkInterfaces"][0]["NetworkInterfaceId"] for one in answer["Instances"]))
    return made[0], made[1][0]


def planned(session: Session, folder: Path, **changes: Any) -> Plan:
    asked: dict[str, Any] = {"name": "shop", "filter": WEB, "target": OTHER, "sources": [ENI], "folder": folder}
    return plan_mirror(session, **asked | changes)


def everything(session: Session) -> dict[str, Any]:
    """What mirrors, without ids: what an unbroken and a broken run must agree on."""
    held = read.mirrors(session)
    hidden = ("TrafficMirrorFilterId", "TrafficMirrorSessionId", "TrafficMirrorTargetId", "TrafficMirrorFilterRuleId", "NetworkInterfaceId", "VirtualNetworkId")  # fmt: skip

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items() if key not in hidden}
        return [plain(one) for one in value] if isinstance(value, list) else value

    tables = {"sessions": held.sessions, "filters": held.filters, "targets": held.targets}
    return {name: sorted(json.dumps(plain(one), sort_keys=True) for one in rows) for name, rows in tables.items()}


# ------------------------------------------------------------------------------------------------- made, kept, removed


def test_made_once_kept_and_taken_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        sources, target = hosts(session)
        before = everything(session)
        plan = planned(session, tmp_path, filter=FULL, target=target, sources=sources, vni=4242, packet_length=65535)
        shown = plan.preview()
        with calls(monkeypatch, only_watch) as made, pytest.raises(NotArmedError):
            plan.apply()
        assert made == []
        with calls(monkeypatch, only_watch) as made:
            plan.apply(armed=True)
        assert writes(made).count("CreateTrafficMirrorSession") == 2
        assert shown["operation"].tolist()[-1] == "create_traffic_mirror_session"

        sessions, rules = read.sessions(session), read.filters(session)
        assert sessions["number"].tolist() == [1, 1]
        assert sessions["vni"].tolist() == [4242, 4242]
        assert sessions["packet_length"].isna().all()
        assert set(sessions["interface_id"]) == set(sources)
        assert rules["network_services"].iloc[0] == ["amazon-dns"]
        there = MirrorFilter.of(read.mirrors(session).filters[0])
        assert set(there.rules) == set(parse_filter(FULL).rules)
        assert read.targets(session)[["kind", "resource"]].to_numpy().tolist() == [["network-interface", target]]
        tags = {one["Key"]: one["Value"] for one in read.mirrors(session).sessions[0]["Tags"]}
        assert tags["netkit:run"] == plan.run_id
        assert len(tags["netkit:expires"]) == 10

        whole = everything(session)
        again = planned(session, tmp_path, filter=FULL, target=target, sources=sources, vni=4242)
        assert set(again.preview()["action"]) == {"keep"}
        with calls(monkeypatch, only_watch) as made:
            again.apply(armed=True)
        assert writes(made) == []
        assert everything(session) == whole

        with calls(monkeypatch, only_watch) as made:
            removed = again.teardown(armed=True)
        assert set(removed["outcome"]) == {"removed"}
        order = [one.removeprefix("DeleteTrafficMirror") for one in writes(made)]
        assert order == ["Session", "Session", "Target", *["FilterRule"] * (len(order) - 4), "Filter"]
        assert everything(session) == before


def test_another_source_joins_the_same_filter_and_target(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        (first, second), target = hosts(session)
        planned(session, tmp_path, target=target, sources=[first]).apply(armed=True)
        more = planned(session, tmp_path, target=target, sources=[], tags={"Role": "web"})
        assert set(more.preview().set_index("step")["action"].filter(like="session")) == {"keep", "create"}
        more.apply(armed=True)
        assert len(read.filters(session)["filter_id"].unique()) == 1
        assert len(read.targets(session)) == 1
        assert set(read.sessions(session)["interface_id"]) == {first, second}


def test_an_existing_target_is_named_by_its_id_and_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        (first, _), target = hosts(session)
        answer = session.call("ec2", "create_traffic_mirror_target", NetworkInterfaceId=target)
        name = answer["TrafficMirrorTarget"]["TrafficMirrorTargetId"]
        plan = planned(session, tmp_path, target=name, sources=[first])
        assert "target" not in [step.key for step in plan.steps]
        plan.apply(armed=True)
        assert read.sessions(session)["target_id"].tolist() == [name]
        plan.teardown(armed=True)
        assert read.targets(session)["target_id"].tolist() == [name]


def test_a_filter_of_that_name_with_other_rules_is_shown_and_never_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with account(monkeypatch) as session:
        (first, second), target = hosts(session)
        planned(session, tmp_path, target=target, sources=[first]).apply(armed=True)
        before = everything(session)
        for other in ("web: tcp 80", "web: tcp 80,8443", FULL):
            plan = planned(session, tmp_path / "theirs", target=target, sources=[second], filter=other, name="shop")
            changed = [step for step in plan.steps if step.action == "conflict"]
            # Of one's own filter more rules may be made, in numbers that are free; nothing else.
            assert changed or other == FULL, other
            if changed:
                with pytest.raises(ConflictError, match=r"has (e|in)gress|lacks (e|in)gress"):
                    plan.apply(armed=True)
        assert everything(session) == before


def test_a_filter_that_another_session_uses_keeps_its_rules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        (first, second), target = hosts(session)
        plan = planned(session, tmp_path, target=target, sources=[first])
        plan.apply(armed=True)
        made = read.sessions(session).iloc[0]
        session.call(
            "ec2", "create_traffic_mirror_session", NetworkInterfaceId=second, TrafficMirrorTargetId=made.target_id,
            TrafficMirrorFilterId=made.filter_id, SessionNumber=7,
        )  # fmt: skip
        rules = read.filters(session)
        removed = plan.teardown(armed=True).set_index("step")["outcome"]
        assert removed[f"session-{first}"] == "removed"
        assert set(removed.drop(f"session-{first}")) == {"left"}
        assert read.filters(session).equals(rules)
        assert read.sessions(session)["number"].tolist() == [7]


# --------------------------------------------------------------------------------------------------- killed anywhere


def kill_at(wanted: int, moment: str) -> Callable[[int, str, str], None]:
    def on_call(number: int, operation: str, when: str) -> None:
        if (number, when) == (wanted, moment):
            raise Kill(f"{moment} call {number}, {operation}")

    return on_call


def test_killed_at_every_call_finished_by_the_same_plan_and_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    filter = "web: tcp 80\ndns: amazon-dns"
    with account(monkeypatch) as session:
        (first, _), target = hosts(session)
        before = everything(session)
        ready = planned(session, tmp_path / "whole", target=target, sources=[first], filter=filter)
        with calls(monkeypatch, only_watch) as made:
            ready.apply(armed=True)
        whole = everything(session)
        assert whole != before
        ready.teardown(armed=True)
        # Reads change nothing, so of several in a row the first tells as much as the others.
        reads = [operation.startswith(READS) for operation, _ in made]
        points = [
            (number, moment)
            for number, read_only in enumerate(reads, 1)
            for moment in (("before",) if read_only else ("before", "after"))
            if not (read_only and number > 1 and reads[number - 2])
        ]
        assert len(points) > 15
        for number, moment in points:
            folder = tmp_path / f"{number}-{moment}"
            started = planned(session, folder, target=target, sources=[first], filter=filter)
            with calls(monkeypatch, kill_at(number, moment)), pytest.raises(Kill):
                started.apply(armed=True)
            again = planned(session, folder, target=target, sources=[first], filter=filter)
            again.apply(armed=True)
            assert everything(session) == whole, f"killed {moment} call {number}"
            again.teardown(armed=True)
            assert everything(session) == before, f"killed {moment} call {number}, then torn down"


def test_torn_down_right_after_a_kill(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without finishing first: what AWS made after the last line of the ledger is found by its tag, and goes."""
    with account(monkeypatch) as session:
        (first, _), target = hosts(session)
        before = everything(session)
        ready = planned(session, tmp_path / "whole", target=target, sources=[first])
        with calls(monkeypatch, only_watch) as made:
            ready.apply(armed=True)
        ready.teardown(armed=True)
        creations = [number for number, (operation, _) in enumerate(made, 1) if operation.startswith("Create")]
        assert len(creations) == 7
        for number in creations:
            folder = tmp_path / str(number)
            started = planned(session, folder, target=target, sources=[first])
            with calls(monkeypatch, kill_at(number, "after")), pytest.raises(Kill):
                started.apply(armed=True)
            removed = teardown(session, started.run_id, folder=folder, armed=True)
            assert everything(session) == before, f"killed after call {number}: {removed.to_dict('records')}"


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"vni": 0}, "VNI 0 is out of range"),
        ({"vni": 2**24}, "1 to 16777215"),
        ({"packet_length": 8501}, "leave it out for whole packets"),
        ({"packet_length": 0}, "packet length 0"),
        ({"number": 32767}, "session number 32767"),
        ({"target": GWLB}, "GatewayLoadBalancerEndpointId"),
        ({"target": GWLB.replace("gwy", "app")}, "takes no UDP"),
        ({"target": "arn:aws:s3:::captures"}, "no load balancer"),
        ({"target": "eni-analyzer123456"}, "8 or 17 hexadecimal digits"),
        ({"target": "i-0123456789abcdef0"}, "eni- or vpce-"),
        ({"target": ENI}, "its own target"),
        ({"sources": ["eni-source123456"]}, "8 or 17 hexadecimal digits"),
        ({"sources": ["vpc-0123456789abcdef0"]}, "eni- or i-"),
        ({"sources": [], "subnets": ["subnet-web"]}, "subnet-"),
        ({"sources": []}, "no source was chosen"),
        ({"filter": "\n".join(f"one{port}: tcp {port}" for port in range(80, 86))}, "12 rules, and AWS takes 10"),
        ({"filter": "tcp 80 between 10.0.0.0/8 and ::/0"}, "not a line"),
        ({"filter": ""}, "empty"),
        ({"name": ""}, "Name tag"),
        ({"expire_days": 0}, "expire_days"),
    ],
)  # fmt: skip
def test_what_aws_refuses_is_refused_before_any_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with (
        account(monkeypatch) as session,
        calls(monkeypatch, only_watch) as made,
        pytest.raises(InputError) as caught,
    ):
        planned(session, tmp_path, **changes)
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3
    assert made == []


def test_one_cidr_of_each_family_is_refused() -> None:
    with pytest.raises(InputError, match="one for IPv4 and one for IPv6"):
        Rule("ingress", 100, "accept", "10.0.0.0/8", "::/0")
    with pytest.raises(InputError, match="of each family"):
        seed_command(
            "aws ec2 create-traffic-mirror-filter-rule --traffic-mirror-filter-id tmf-1234567890abcdef0 --traffic-direction ingress "
            "--rule-number 1 --rule-action accept --source-cidr-block 10.0.0.0/8 --destination-cidr-block ::/0"
        )


def test_a_fourth_session_a_taken_number_and_no_source_change_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with account(monkeypatch) as session:
        (first, second), target = hosts(session)
        for name in ("one", "two", "three"):
            planned(session, tmp_path, name=name, target=target, sources=[first]).apply(armed=True)
        assert read.sessions(session)["number"].tolist() == [1, 2, 3]
        with calls(monkeypatch, only_watch) as made:
            with pytest.raises(InputError, match="a fourth session"):
                planned(session, tmp_path, name="four", target=target, sources=[first])
            with pytest.raises(InputError, match="cannot be mirrored: it is a mirror target"):
                planned(session, tmp_path, name="four", target=first, sources=[target])
            with pytest.raises(SourceError, match="no network interface here"):
                planned(session, tmp_path, name="four", target=target, sources=[ENI])
        assert writes(made) == []
        # The third may still be planned again: it is there already.
        assert set(planned(session, tmp_path, name="three", target=target, sources=[first]).preview()["action"]) == {"keep"}  # fmt: skip
        planned(session, tmp_path, name="five", target=target, sources=[second], number=7).apply(armed=True)
        with pytest.raises(InputError, match="is taken by tms-"):
            planned(session, tmp_path, name="six", target=target, sources=[second], number=7)
        behind = planned(session, tmp_path, name="six", target=target, sources=[second])
        assert "session number 8 gets what tms-" in str(behind)


def test_somebody_takes_the_number_after_the_plan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        (first, _), target = hosts(session)
        mine = planned(session, tmp_path, name="mine", target=target, sources=[first])
        planned(session, tmp_path, name="theirs", target=target, sources=[first]).apply(armed=True)
        with pytest.raises(ConflictError, match="took session number 1"):
            mine.apply(armed=True)
        assert read.sessions(session)["name"].tolist() == ["theirs"]


def test_more_sources_than_an_interface_takes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        sources, target = hosts(session, 11)
        plan = planned(session, tmp_path, target=target, sources=sources)
        assert "11 sources" in str(plan)
        # 11 sessions at the price in costs.PRICES
        assert plan.preview()["monthly_usd"].sum() == pytest.approx(11 * 730 * 0.015)


# ---------------------------------------------------------------------------------------------------- the guide's words


def valid(operation: str, request: dict[str, Any]) -> None:
    """What botocore's model says of a request. (It checks members and types; enumerations and ranges are AWS's.)"""
    model = botocore.session.get_session().get_service_model("ec2")
    name = "".join(part.capitalize() for part in operation.split("_"))
    shape = model.operation_model(name).input_shape
    report = botocore.validate.ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()


@needs_seed
def test_the_seeds_commands_are_requests_that_aws_takes() -> None:
    seed = seed_commands(SEED.read_text("utf-8"))
    assert [len(seed.of(kind)) for kind in ("filter", "filter_rule", "target", "session")] == [1, 3, 2, 1]
    for call in seed.calls:
        valid(call.operation, call.request)
    assert [one.request["DestinationCidrBlock"] for one in seed.of("filter_rule")] == ["0.0.0.0/0"] * 3
    assert "PacketLength" not in seed.of("session")[0].request
    assert seed.of("filter")[0].name == "WebTrafficFilter"
    for says in (
        "--destination-cidr-block is missing", "--source-cidr-block is missing", "65535 is left out", "UDP listener on 4789",
        "eni-source123456 is made up", "egress packets of tcp/443 are not mirrored",
    ):  # fmt: skip
        assert any(says in notice for notice in seed.notices), says


@needs_seed
def test_the_seeds_mirror_stands_with_ones_own_ids(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = SEED.read_text("utf-8")
    with account(monkeypatch) as session:
        (first, _), target = hosts(session)
        with calls(monkeypatch, only_watch) as made, pytest.raises(InputError, match="analyzer123456"):
            plan_mirror(session, folder=tmp_path, **seed_commands(text).arguments())
        assert made == []
        ids = {"eni-source123456": first, "eni-analyzer123456": target}
        plan_mirror(session, folder=tmp_path, **seed_commands(text, ids).arguments()).apply(armed=True)
        one = read.sessions(session).iloc[0]
        assert (one["name"], one["vni"], one["number"]) == ("WebServerMirror", 12345, 1)
        assert len(read.filters(session)) == 3


RULE = "aws ec2 create-traffic-mirror-filter-rule --traffic-mirror-filter-id tmf-1234567890abcdef0 --traffic-direction ingress --rule-number 1 --rule-action accept "
SESSION = "aws ec2 create-traffic-mirror-session --network-interface-id eni-12345678 --traffic-mirror-target-id tmt-12345678 --traffic-mirror-filter-id tmf-12345678 --session-number 1 "


def test_a_missing_block_follows_the_family_of_the_other() -> None:
    call = seed_command(RULE + "--source-cidr-block fd00::/8")
    assert call.request["DestinationCidrBlock"] == "::/0"
    assert "read as ::/0" in call.notices[0]
    assert seed_command(RULE).request["SourceCidrBlock"] == "0.0.0.0/0"
    json_range = seed_command(RULE + """--protocol 6 --destination-port-range '{"FromPort":80,"ToPort":81}'""")
    assert json_range.request["DestinationPortRange"] == {"FromPort": 80, "ToPort": 81}
    for one in (call, json_range):
        valid(one.operation, one.request)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (SESSION + "--packet-length 9001", "leave it out for whole packets"),
        (SESSION + "--virtual-network-id 16777216", "VNI 16777216"),
        (SESSION.replace("--session-number 1 ", ""), "needs --session-number"),
        (SESSION + "--snap-length 5", "no option '--snap-length'"),
        (SESSION + "--packet-length", "takes one value, and has 0"),
        (SESSION + "--packet-length many", "not a whole number"),
        (RULE + "--protocol 1 --destination-port-range FromPort=80,ToPort=80", "only tcp (6) and udp (17)"),
        (RULE + "--protocol 6 --destination-port-range 80", "FromPort=80,ToPort=80"),
        (RULE + "--source-cidr-block 10.0.0.1/8", "did you mean 10.0.0.0/8"),
        (RULE.replace("accept", "allow"), "accept and reject"),
        (f"aws ec2 create-traffic-mirror-target --gateway-load-balancer-endpoint-id {GWLB}", "vpce-"),
        (f"aws ec2 create-traffic-mirror-target --network-load-balancer-arn {GWLB}", "vpce-"),
        (f"aws ec2 create-traffic-mirror-target --gateway-load-balancer-endpoint-id {NLB}", "vpce-"),
        ("aws ec2 create-traffic-mirror-target --description x", "one thing, and 0 are named"),
        ("aws ec2 create-traffic-mirror-filter --tag-specifications Name=web", "has no tags"),
        ("aws ec2 create-traffic-mirror-filter --description 'open", "open quote"),
        ("aws ec2 create-traffic-mirror-filter web", "before any option"),
        ("aws ec2 run-instances", "not a command that creates a mirror"),
    ],
)
def test_commands_that_aws_refuses_say_why(line: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        seed_command(line)
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


def test_targets_of_the_three_kinds() -> None:
    assert target_request(ENI) == {"NetworkInterfaceId": ENI}
    assert target_request(NLB) == {"NetworkLoadBalancerArn": NLB}
    assert target_request("vpce-0123456789abcdef0") == {"GatewayLoadBalancerEndpointId": "vpce-0123456789abcdef0"}
    assert target_request("tmt-0123456789abcdef0") == {}


@pytest.mark.parametrize(
    ("kind", "state"),
    [("t3.micro", "ok"), ("c5n.large", "ok"), ("m4.xlarge", "ok"), ("t2.micro", "warning"), ("m8g.large", "warning"), ("m7g.metal", "warning"), ("m6i.large", "warning"), ("", "unknown")],
)  # fmt: skip
def test_instance_families_warn_and_never_fail(kind: str, state: str) -> None:
    assert source_type(kind)[0] == state


# --------------------------------------------------------------------------------------------------------------- reads


def test_one_mirror_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        (first, second), target = hosts(session)
        for name, filter in (("first", WEB), ("second", "all")):
            planned(session, tmp_path, name=name, target=target, sources=[first], filter=filter).apply(armed=True)
        planned(session, tmp_path, name="other", target=target, sources=[second]).apply(armed=True)
        mirror = read.mirror_of(session, "second")
        assert mirror.session["SessionNumber"] == 2
        assert len(mirror.filter["IngressFilterRules"]) == 1
        assert mirror.target is not None and mirror.target["NetworkInterfaceId"] == target
        assert mirror.interface is not None and mirror.interface["NetworkInterfaceId"] == first
        assert mirror.instance.startswith("i-")
        ((other, rules),) = mirror.others
        assert other["SessionNumber"] == 1
        assert rules is not None and len(rules["IngressFilterRules"]) == 2
        assert read.mirror_of(session, mirror.session["TrafficMirrorSessionId"]).session == mirror.session
        with pytest.raises(SourceError, match="first, other, second"):
            read.mirror_of(session, "third")
        rules_read = read.filter_rules(session, mirror.filter["TrafficMirrorFilterId"])
        assert {one["TrafficDirection"] for one in rules_read} == {"ingress", "egress"}


def test_rules_of_a_filter_over_several_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's stubber checks the requests and the answers' shape against its model."""
    with account(monkeypatch) as session, Stubber(session.client("ec2")) as stubbed:
        name, last = "tmf-1234567890abcdef0", {}
        for number, token in ((1, "more"), (2, "")):
            rule = {"TrafficMirrorFilterRuleId": f"tmfr-{number}", "RuleNumber": number}
            answer = {"TrafficMirrorFilterRules": [rule]} | ({"NextToken": token} if token else {})
            stubbed.add_response(
                "describe_traffic_mirror_filter_rules", answer, {"TrafficMirrorFilterId": name, **last}
            )
            last = {"NextToken": token}
        assert [one["RuleNumber"] for one in read.filter_rules(session, name)] == [1, 2]
        stubbed.assert_no_pending_responses()


def test_a_denied_read_is_coverage_and_no_empty_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with account(monkeypatch) as session, Stubber(session.client("ec2")) as stubbed:
        stubbed.add_client_error("describe_traffic_mirror_sessions", "UnauthorizedOperation", "no")
        stubbed.add_response("describe_traffic_mirror_filters", {"TrafficMirrorFilters": []})
        stubbed.add_response("describe_traffic_mirror_targets", {"TrafficMirrorTargets": []})
        held = read.mirrors(session)
    assert [row.state for row in held.coverage] == ["denied", "empty", "empty"]
    assert (held.known("TrafficMirrorSessions"), held.known("TrafficMirrorTargets")) == (False, True)


def test_a_plan_that_may_not_see_the_sessions_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        (first, _), target = hosts(session)
        with Stubber(session.client("ec2")) as stubbed:
            stubbed.add_client_error("describe_traffic_mirror_sessions", "UnauthorizedOperation", "no")
            stubbed.add_response("describe_traffic_mirror_filters", {"TrafficMirrorFilters": []})
            stubbed.add_response("describe_traffic_mirror_targets", {"TrafficMirrorTargets": []})
            with pytest.raises(AccessError, match="DescribeTrafficMirror"):
                planned(session, tmp_path, target=target, sources=[first])


def test_sources_by_id_subnet_and_tag(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with account(monkeypatch) as session:
        sources, target = hosts(session)
        planned(session, tmp_path, target=target, sources=sources[:1]).apply(armed=True)
        found = read.sources(session)
        assert len(found) == 3
        by_id = found.set_index("interface_id")
        assert by_id.loc[sources[0], "numbers"] == [1]
        assert by_id.loc[target, ["usable", "says"]].tolist() == [
            False,
            "it is a mirror target, which cannot be a source",
        ]
        assert by_id.loc[sources[1], "instance_type"] == "t3.micro"
        subnet = by_id.loc[target, "subnet_id"]
        assert read.sources(session, subnets=[subnet])["interface_id"].tolist() == [target]
        assert read.sources(session, tags={"Role": "web"})["interface_id"].tolist() == sources
        instance = by_id.loc[sources[1], "instance_id"]
        assert read.sources(session, ids=[instance])["interface_id"].tolist() == [sources[1]]
        assert list(read.sources(session, tags={"Role": "nothing"}).columns) == list(read.SOURCE_COLUMNS)


def test_an_empty_account_has_frames_with_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    with account(monkeypatch) as session:
        assert tuple(read.sessions(session).columns) == read.SESSION_COLUMNS
        assert tuple(read.filters(session).columns) == read.FILTER_COLUMNS
        assert tuple(read.targets(session).columns) == read.TARGET_COLUMNS
        window = Window.parse("2026-11-19T08:00:00Z", "2026-11-19T09:00:00Z")
        assert tuple(read.mirror_metrics(session, "i-0123456789abcdef0", window).columns) == read.METRIC_COLUMNS


def test_metrics_of_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    window = Window.parse("2026-11-19T08:00:00Z", "2026-11-19T09:00:00Z")
    instance = "i-0123456789abcdef0"
    with account(monkeypatch) as session:
        # AWS's own metrics: PutMetricData takes none of them.
        keep_points(
            cloudwatch_backends[session.account_id][session.region], "AWS/EC2",
            [
                {"MetricName": name, "Dimensions": [{"Name": "InstanceId", "Value": instance}], "Value": value, "Timestamp": window.start}
                for name, value in (("NetworkMirrorOut", 1000.0), ("NetworkMirrorOut", 500.0), ("NetworkPacketsSkipMirrorIn", 3.0))
            ],
        )  # fmt: skip
        found = read.mirror_metrics(session, instance, window)
        with pytest.raises(InputError):
            read.mirror_metrics(session, "i-analyzer123456", window)
    assert found[["metric", "value", "unit"]].to_numpy().tolist() == [
        ["NetworkMirrorOut", 1500.0, "bytes"], ["NetworkPacketsSkipMirrorIn", 3.0, "packets"],
    ]  # fmt: skip
    assert str(found["time"].dtype).endswith("UTC]")


# ------------------------------------------------------------------------------------------------------------- captures


def test_captures_come_in_the_order_of_their_ring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = ["mirror_99999_20261119081000.pcap.gz", "mirror_100000_20261119081100.pcap.gz", "eve.json"]
    with account(monkeypatch) as session:
        session.call("s3", "create_bucket", Bucket="netkit-captures")
        for name in names:
            session.call("s3", "put_object", Bucket="netkit-captures", Key=f"right/{name}", Body=name.encode())
        found = read.fetch_captures(session, "s3://netkit-captures/right/", tmp_path, progress=False)
        assert [one.name for one in found] == names[:2]
        assert [one.read_bytes() for one in found] == [one.encode() for one in names[:2]]
        with calls(monkeypatch, only_watch) as made:
            again = read.fetch_captures(session, "s3://netkit-captures/right/", tmp_path, progress=False)
        assert again == found
        assert not [operation for operation, _ in made if operation.endswith("Object")]
        os.utime(found[0], (0, 0))  # what was written again in the bucket since, in the same size, is fetched again
        session.call(
            "s3", "put_object", Bucket="netkit-captures", Key=f"right/{names[0]}", Body=names[0].upper().encode()
        )
        assert read.fetch_captures(session, "s3://netkit-captures/right/", tmp_path, progress=False) == found
        assert found[0].read_bytes() == names[0].upper().encode()
        with pytest.raises(SourceError, match="1 objects are there"):
            read.fetch_captures(session, "s3://netkit-captures/right/eve", tmp_path, progress=False)
        with pytest.raises(SourceError, match="not a bucket"):
            read.fetch_captures(session, "s3://Captures/right/", tmp_path, progress=False)
    folder = found[0].parent
    assert read.fetch_captures(None, folder, tmp_path) == found
    assert read.fetch_captures(None, str(folder / "*_100000_*"), tmp_path) == found[1:]
    with pytest.raises(SourceError, match="no capture here"):
        read.fetch_captures(None, tmp_path / "nowhere", tmp_path)


def test_an_object_whose_name_leads_out_of_the_folder_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with account(monkeypatch) as session:
        session.call("s3", "create_bucket", Bucket="netkit-captures")
        session.call("s3", "put_object", Bucket="netkit-captures", Key="right/../../x.pcap", Body=b"x")
        with pytest.raises(SourceError, match="leads out"):
            read.fetch_captures(session, "s3://netkit-captures/right/", tmp_path / "in", progress=False)
    assert not (tmp_path / "x.pcap").exists()
