"""Traffic Mirroring's calls in the sandbox, through boto3: what is made, told, changed, deleted, and what AWS refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from inprocess import ACCOUNT, account

from netkit.core.errors import AwsError
from netkit.core.session import Session, error_code
from netkit.mirror.filters import MirrorFilter, MirrorSession, MirrorTarget, parse_filter

WEB = parse_filter(["web: tcp 80,443", "reject tcp 22", "dns: amazon-dns"])
RULE = {
    "TrafficDirection": "ingress",
    "RuleNumber": 900,
    "RuleAction": "accept",
    "SourceCidrBlock": "0.0.0.0/0",
    "DestinationCidrBlock": "10.0.0.0/16",
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch, account(patch) as session:
        yield session


class Lab:
    """A subnet with hosts, a target and a filter to mirror with."""

    def __init__(self, session: Session) -> None:
        self.session = session
        vpc = self.call("create_vpc", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnet = self.call("create_subnet", VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        self.analyser = self.host()
        self.target = self.call("create_traffic_mirror_target", NetworkInterfaceId=self.analyser)[
            "TrafficMirrorTarget"
        ]["TrafficMirrorTargetId"]
        self.filter = self.call("create_traffic_mirror_filter")["TrafficMirrorFilter"]["TrafficMirrorFilterId"]

    def call(self, operation: str, **request: Any) -> Any:
        return self.session.call("ec2", operation, **request)

    def host(self, kind: str = "m5.large") -> str:
        """The interface of a new instance."""
        made = self.call(
            "run_instances", ImageId="ami-12c6146b", MinCount=1, MaxCount=1, InstanceType=kind, SubnetId=self.subnet
        )
        return str(made["Instances"][0]["NetworkInterfaces"][0]["NetworkInterfaceId"])

    def mirror(self, source: str, number: int = 1, **more: Any) -> Any:
        request = {"TrafficMirrorTargetId": self.target, "TrafficMirrorFilterId": self.filter} | more
        made = self.call("create_traffic_mirror_session", NetworkInterfaceId=source, SessionNumber=number, **request)
        return made["TrafficMirrorSession"]

    def rule(self, **more: Any) -> Any:
        request = {"TrafficMirrorFilterId": self.filter} | RULE | more
        return self.call("create_traffic_mirror_filter_rule", **request)["TrafficMirrorFilterRule"]

    def own(self, thing: str) -> Any:
        """The filters, rules, targets or sessions of this lab, as AWS tells them."""
        name, value = ("filter", self.filter) if thing.startswith("filter") else ("target", self.target)
        given = [{"Name": f"traffic-mirror-{name}-id", "Values": [value]}]
        told = self.call(f"describe_traffic_mirror_{thing}", Filters=given)
        return next(rows for key, rows in told.items() if key.startswith("TrafficMirror"))

    def refused(self, operation: str, **request: Any) -> str:
        with pytest.raises(AwsError) as caught:
            self.call(operation, **request)
        return error_code(caught.value)


@pytest.fixture
def lab(shared: Session) -> Lab:
    return Lab(shared)


def test_what_is_made_is_told_and_reads_as_it_was_meant(lab: Lab) -> None:
    for rule in WEB.rules:
        made = lab.call("create_traffic_mirror_filter_rule", TrafficMirrorFilterId=lab.filter, **rule.request())
        assert re.fullmatch("tmfr-[0-9a-f]{17}", made["TrafficMirrorFilterRule"]["TrafficMirrorFilterRuleId"])
    lab.call(
        "modify_traffic_mirror_filter_network_services",
        TrafficMirrorFilterId=lab.filter,
        AddNetworkServices=["amazon-dns"],
    )
    told = lab.own("filters")
    found = MirrorFilter.of(told[0])
    assert sorted(found.rules, key=str) == sorted(WEB.rules, key=str)
    assert (found.network_services, found.id) == (("amazon-dns",), lab.filter)
    assert [rule["RuleNumber"] for rule in told[0]["IngressFilterRules"]] == [100, 200, 300]
    target = MirrorTarget.of(lab.own("targets")[0])
    assert (target.kind, target.resource) == ("network-interface", lab.analyser)
    source = lab.host()
    made = lab.mirror(source, 3, PacketLength=128, VirtualNetworkId=77, Description="one")
    session = MirrorSession.of(lab.own("sessions")[0])
    assert (session.interface, session.target, session.filter) == (source, lab.target, lab.filter)
    assert (session.number, session.packet_length, session.vni, session.owner) == (3, 128, 77, ACCOUNT)
    assert session.id == made["TrafficMirrorSessionId"]
    for name, prefix in ((lab.filter, "tmf"), (lab.target, "tmt"), (session.id, "tms")):
        assert re.fullmatch(f"{prefix}-[0-9a-f]{{17}}", name)


def test_a_vni_is_chosen_and_whole_packets_have_no_length(lab: Lab) -> None:
    made = [lab.mirror(lab.host()) for _ in range(4)]
    assert len({one["VirtualNetworkId"] for one in made}) == 4
    assert all(1 <= one["VirtualNetworkId"] < 2**24 and "PacketLength" not in one for one in made)


def test_sessions_are_modified_and_fields_go_back_to_their_defaults(lab: Lab) -> None:
    name = lab.mirror(lab.host(), PacketLength=64, VirtualNetworkId=5, Description="a")["TrafficMirrorSessionId"]

    def change(**more: Any) -> Any:
        return lab.call("modify_traffic_mirror_session", TrafficMirrorSessionId=name, **more)["TrafficMirrorSession"]

    other = lab.call("create_traffic_mirror_filter")["TrafficMirrorFilter"]["TrafficMirrorFilterId"]
    after = change(SessionNumber=9, PacketLength=1500, TrafficMirrorFilterId=other)
    assert (after["SessionNumber"], after["PacketLength"], after["TrafficMirrorFilterId"]) == (9, 1500, other)
    after = change(RemoveFields=["packet-length", "description", "virtual-network-id"])
    assert {"PacketLength", "Description"} & after.keys() == set()
    assert after["VirtualNetworkId"] != 5
    assert lab.refused("modify_traffic_mirror_session", TrafficMirrorSessionId=name, RemoveFields=["protocol"]) == "InvalidParameterValue"  # fmt: skip
    assert lab.refused("modify_traffic_mirror_session", TrafficMirrorSessionId=name, PacketLength=9000) == "InvalidParameterValue"  # fmt: skip
    assert change(Description="b")["SessionNumber"] == 9


def test_rules_are_modified_and_checked_again(lab: Lab) -> None:
    first, second = lab.rule(RuleNumber=1, Protocol=6, DestinationPortRange={"FromPort": 80, "ToPort": 80}), lab.rule()
    name = first["TrafficMirrorFilterRuleId"]

    def change(**more: Any) -> Any:
        return lab.call("modify_traffic_mirror_filter_rule", TrafficMirrorFilterRuleId=name, **more)["TrafficMirrorFilterRule"]  # fmt: skip

    assert change(RuleAction="reject", RuleNumber=2)["RuleAction"] == "reject"
    refused = lab.refused(
        "modify_traffic_mirror_filter_rule", TrafficMirrorFilterRuleId=name, RemoveFields=["protocol"]
    )
    assert refused == "InvalidParameterValue"  # its port range would stand alone
    after = change(RemoveFields=["protocol", "destination-port-range"])
    assert {"Protocol", "DestinationPortRange"} & after.keys() == set()
    number = second["RuleNumber"]
    assert lab.refused("modify_traffic_mirror_filter_rule", TrafficMirrorFilterRuleId=name, RuleNumber=number) == "TrafficMirrorFilterRuleAlreadyExists"  # fmt: skip
    assert change(RuleNumber=number, TrafficDirection="egress")["TrafficDirection"] == "egress"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"DestinationCidrBlock": "2001:db8::/32"}, "InvalidParameterValue"),
        ({"SourceCidrBlock": "10.0.0.0/33"}, "InvalidParameterValue"),
        ({"SourceCidrBlock": ""}, "MissingParameter"),
        ({"DestinationPortRange": {"FromPort": 80, "ToPort": 80}}, "InvalidParameterValue"),
        ({"Protocol": 1, "SourcePortRange": {"FromPort": 1, "ToPort": 2}}, "InvalidParameterValue"),
        ({"Protocol": 6, "SourcePortRange": {"FromPort": 90, "ToPort": 80}}, "InvalidParameterValue"),
        ({"Protocol": 256}, "InvalidParameterValue"),
        ({"RuleNumber": 0}, "InvalidParameterValue"),
        ({"TrafficDirection": "in"}, "InvalidParameterValue"),
        ({"RuleAction": "allow"}, "InvalidParameterValue"),
        ({"TrafficMirrorFilterId": "tmf-0123456789abcdef0"}, "InvalidTrafficMirrorFilterId.NotFound"),
        ({"TrafficMirrorFilterId": "tmf-web123456"}, "InvalidTrafficMirrorFilterId.Malformed"),
    ],
)
def test_rules_that_aws_refuses(lab: Lab, more: dict[str, Any], code: str) -> None:
    request = {"TrafficMirrorFilterId": lab.filter} | RULE | more
    assert lab.refused("create_traffic_mirror_filter_rule", **request) == code
    assert lab.own("filter_rules") == []


def test_a_number_is_used_once_per_direction_and_the_eleventh_rule_is_refused(lab: Lab) -> None:
    request = {"TrafficMirrorFilterId": lab.filter} | RULE
    lab.rule()
    assert lab.refused("create_traffic_mirror_filter_rule", **request) == "TrafficMirrorFilterRuleAlreadyExists"
    lab.rule(TrafficDirection="egress")
    for number in range(1, 9):
        lab.rule(RuleNumber=number)
    assert lab.refused("create_traffic_mirror_filter_rule", **request | {"RuleNumber": 9}) == "TrafficMirrorFilterRuleLimitExceeded"  # fmt: skip


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"PacketLength": 8501}, "InvalidParameterValue"),
        ({"PacketLength": 65535}, "InvalidParameterValue"),
        ({"PacketLength": 0}, "InvalidParameterValue"),
        ({"SessionNumber": 0}, "InvalidParameterValue"),
        ({"SessionNumber": 32767}, "InvalidParameterValue"),
        ({"VirtualNetworkId": 2**24}, "InvalidParameterValue"),
        ({"VirtualNetworkId": 0}, "InvalidParameterValue"),
        ({"TrafficMirrorTargetId": "tmt-0123456789abcdef0"}, "InvalidTrafficMirrorTargetId.NotFound"),
        ({"TrafficMirrorFilterId": "eni-0123456789abcdef0"}, "InvalidTrafficMirrorFilterId.Malformed"),
        ({"NetworkInterfaceId": "eni-0123456789abcdef0"}, "InvalidNetworkInterfaceID.NotFound"),
    ],
)
def test_sessions_that_aws_refuses(lab: Lab, more: dict[str, Any], code: str) -> None:
    request = {
        "NetworkInterfaceId": lab.host(),
        "TrafficMirrorTargetId": lab.target,
        "TrafficMirrorFilterId": lab.filter,
        "SessionNumber": 1,
    }
    assert lab.refused("create_traffic_mirror_session", **request | more) == code
    assert lab.own("sessions") == []


def test_sources(lab: Lab) -> None:
    request = {"TrafficMirrorTargetId": lab.target, "TrafficMirrorFilterId": lab.filter, "SessionNumber": 1}
    alone = lab.call("create_network_interface", SubnetId=lab.subnet)["NetworkInterface"]["NetworkInterfaceId"]
    old, busy = lab.host("t2.micro"), lab.host()
    for source in (alone, old):
        assert lab.refused("create_traffic_mirror_session", NetworkInterfaceId=source, **request) == "NetworkInterfaceNotSupported"  # fmt: skip
    assert lab.refused("create_traffic_mirror_session", NetworkInterfaceId=lab.analyser, **request) == "InvalidParameterValue"  # fmt: skip
    for number in (1, 2, 3):
        lab.mirror(busy, number)
    request["NetworkInterfaceId"] = busy
    assert lab.refused("create_traffic_mirror_session", **request) == "InvalidParameterValue"  # the number is used
    assert lab.refused("create_traffic_mirror_session", **request | {"SessionNumber": 4}) == "TrafficMirrorSessionsPerInterfaceLimitExceeded"  # fmt: skip
    assert (
        lab.refused("create_traffic_mirror_target", NetworkInterfaceId=busy) == "InvalidParameterValue"
    )  # it is a source


def test_a_target_interface_takes_ten_sources(lab: Lab) -> None:
    for _ in range(10):
        lab.mirror(lab.host())
    again = lab.call("create_traffic_mirror_target", NetworkInterfaceId=lab.analyser)["TrafficMirrorTarget"]
    request = {"NetworkInterfaceId": lab.host(), "TrafficMirrorFilterId": lab.filter, "SessionNumber": 1}
    for target in (lab.target, again["TrafficMirrorTargetId"]):
        assert lab.refused("create_traffic_mirror_session", TrafficMirrorTargetId=target, **request) == "TrafficMirrorSourcesPerTargetLimitExceeded"  # fmt: skip


def test_a_network_load_balancer_as_target(lab: Lab) -> None:
    balancers = {
        kind: lab.session.call("elbv2", "create_load_balancer", Name=f"for-{kind}", Subnets=[lab.subnet], Type=kind)[
            "LoadBalancers"
        ][0]["LoadBalancerArn"]
        for kind in ("network", "gateway")
    }
    target = lab.call("create_traffic_mirror_target", NetworkLoadBalancerArn=balancers["network"])[
        "TrafficMirrorTarget"
    ]
    assert target["Type"] == "network-load-balancer"
    made = lab.mirror(lab.host(), TrafficMirrorTargetId=target["TrafficMirrorTargetId"])
    assert made["PacketLength"] == 8500
    assert lab.refused("create_traffic_mirror_target", NetworkLoadBalancerArn=balancers["gateway"]) == "InvalidParameterValue"  # fmt: skip
    both = {"NetworkLoadBalancerArn": balancers["network"], "NetworkInterfaceId": lab.host()}
    assert lab.refused("create_traffic_mirror_target", **both) == "InvalidParameterCombination"
    assert lab.refused("create_traffic_mirror_target") == "MissingParameter"
    assert lab.refused("create_traffic_mirror_target", GatewayLoadBalancerEndpointId=balancers["gateway"]) == "InvalidVpcEndpointId.Malformed"  # fmt: skip
    assert lab.refused("create_traffic_mirror_target", NetworkInterfaceId="eni-0123456789abcdef0") == "InvalidTrafficMirrorTarget"  # fmt: skip


def test_what_is_used_is_not_deleted_and_a_filter_takes_its_rules_along(lab: Lab) -> None:
    lab.rule()
    session = lab.mirror(lab.host())["TrafficMirrorSessionId"]
    assert lab.refused("delete_traffic_mirror_filter", TrafficMirrorFilterId=lab.filter) == "TrafficMirrorFilterInUse"
    assert lab.refused("delete_traffic_mirror_target", TrafficMirrorTargetId=lab.target) == "TrafficMirrorTargetInUseException"  # fmt: skip
    lab.call("delete_traffic_mirror_session", TrafficMirrorSessionId=session)
    assert lab.refused("delete_traffic_mirror_session", TrafficMirrorSessionId=session) == "InvalidTrafficMirrorSessionId.NotFound"  # fmt: skip
    lab.call("delete_traffic_mirror_filter", TrafficMirrorFilterId=lab.filter)
    lab.call("delete_traffic_mirror_target", TrafficMirrorTargetId=lab.target)
    assert lab.own("filter_rules") == []
    assert lab.own("targets") == []


def test_sessions_end_with_their_source(lab: Lab) -> None:
    source, other = lab.host(), lab.host()
    lab.mirror(source)
    kept = lab.mirror(other)["TrafficMirrorSessionId"]
    lab.call("delete_network_interface", NetworkInterfaceId=source)
    assert [one["TrafficMirrorSessionId"] for one in lab.own("sessions")] == [kept]


def test_a_rule_is_deleted_by_itself(lab: Lab) -> None:
    name = lab.rule()["TrafficMirrorFilterRuleId"]
    lab.call("delete_traffic_mirror_filter_rule", TrafficMirrorFilterRuleId=name)
    assert lab.own("filters")[0]["IngressFilterRules"] == []
    assert lab.refused("delete_traffic_mirror_filter_rule", TrafficMirrorFilterRuleId=name) == "InvalidTrafficMirrorFilterRuleId.NotFound"  # fmt: skip


def test_a_token_makes_one(lab: Lab) -> None:
    request = {"TrafficMirrorFilterId": lab.filter, "ClientToken": "once"} | RULE
    made = [lab.call("create_traffic_mirror_filter_rule", **request)["TrafficMirrorFilterRule"] for _ in range(2)]
    assert made[0] == made[1]
    assert (
        lab.refused("create_traffic_mirror_filter_rule", **request | {"RuleNumber": 7}) == "IdempotentParameterMismatch"
    )


def test_dry_runs_change_nothing(lab: Lab) -> None:
    session = lab.mirror(lab.host())["TrafficMirrorSessionId"]
    for operation, request in (
        ("create_traffic_mirror_filter", {}),
        ("create_traffic_mirror_filter_rule", {"TrafficMirrorFilterId": lab.filter} | RULE),
        ("modify_traffic_mirror_session", {"TrafficMirrorSessionId": session, "VirtualNetworkId": 3}),
        ("delete_traffic_mirror_session", {"TrafficMirrorSessionId": session}),
        ("describe_traffic_mirror_sessions", {}),
    ):
        assert lab.refused(operation, DryRun=True, **request) == "DryRunOperation"
    told = lab.own("sessions")
    assert [one["VirtualNetworkId"] != 3 for one in told] == [True]
    assert lab.own("filters")[0]["IngressFilterRules"] == []


def test_tags_filters_and_pages(lab: Lab) -> None:
    tags = [{"ResourceType": "traffic-mirror-filter", "Tags": [{"Key": "Name", "Value": "web"}]}]
    named = lab.call("create_traffic_mirror_filter", Description="of web", TagSpecifications=tags)[
        "TrafficMirrorFilter"
    ]
    name = named["TrafficMirrorFilterId"]
    assert named["Tags"] == tags[0]["Tags"]
    lab.call("create_tags", Resources=[name], Tags=[{"Key": "netkit:run", "Value": "r1"}])
    tagged = lab.call("describe_tags", Filters=[{"Name": "resource-type", "Values": ["traffic-mirror-filter"]}])["Tags"]
    assert {(one["ResourceId"], one["Key"]) for one in tagged} == {(name, "Name"), (name, "netkit:run")}

    def filters(*given: tuple[str, str]) -> list[str]:
        wanted = [{"Name": key, "Values": [value]} for key, value in given]
        told = lab.call("describe_traffic_mirror_filters", Filters=wanted)["TrafficMirrorFilters"]
        return [one["TrafficMirrorFilterId"] for one in told]

    assert filters(("tag:Name", "web")) == filters(("tag-key", "netkit:*")) == filters(("description", "of web")) == [name]  # fmt: skip
    assert filters(("tag:Name", "web"), ("description", "of app")) == []
    assert lab.refused("describe_traffic_mirror_filters", Filters=[{"Name": "state", "Values": ["x"]}]) == "InvalidParameterValue"  # fmt: skip
    source = lab.host()
    lab.mirror(source, 4)
    for key, value in (("network-interface-id", source), ("session-number", "4"), ("owner-id", ACCOUNT)):
        given = [("traffic-mirror-target-id", lab.target), (key, value)]
        told = lab.call(
            "describe_traffic_mirror_sessions", Filters=[{"Name": one, "Values": [two]} for one, two in given]
        )
        assert len(told["TrafficMirrorSessions"]) == 1
    for number in range(8):
        lab.call("create_traffic_mirror_filter", Description=f"page {number}")
    paged = {"Filters": [{"Name": "description", "Values": ["page ?"]}], "MaxResults": 5}
    first = lab.call("describe_traffic_mirror_filters", **paged)
    rest = lab.call("describe_traffic_mirror_filters", **paged, NextToken=first["NextToken"])
    assert (len(first["TrafficMirrorFilters"]), len(rest["TrafficMirrorFilters"]), "NextToken" in rest) == (5, 3, False)
    assert lab.refused("describe_traffic_mirror_filters", MaxResults=1001) == "InvalidParameterValue"
    unknown = "tms-0123456789abcdef0"
    assert lab.refused("describe_traffic_mirror_sessions", TrafficMirrorSessionIds=[unknown]) == "InvalidTrafficMirrorSessionId.NotFound"  # fmt: skip
