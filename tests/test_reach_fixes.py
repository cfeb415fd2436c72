"""Fixes: the narrowest changes that open a path, proved on the changed snapshot, and taken back exactly."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from little_net import ALL, OPEN_ACL, Net, allow, entry, pair, two_vpcs

from netkit.reach.change import blast
from netkit.reach.change.changes import OPERATIONS
from netkit.reach.change.fixes import (
    CHANGE_COLUMNS,
    OPENS_COLUMNS,
    Fix,
    apply_all,
    changes_frame,
    fix_findings,
    opens_frame,
    propose,
    revert,
)
from netkit.reach.change.remedy import _LOOKS
from netkit.reach.network.network import network_of
from netkit.reach.network.snapshot import Snapshot, load_snapshot


def fixes(net: Net, source: str = "client", destination: str = "server", **more: Any) -> list[Fix]:
    """propose(), each fix held to what every fix must be."""
    snapshot = net.snapshot()
    asked = {"protocol": "tcp", "port": 443} | more
    found = propose(snapshot, source=source, destination=destination, **asked)
    for fix in found:
        held(snapshot, fix)
    return found


@cache
def operation(name: str) -> Any:
    """botocore's shape of what an EC2 call takes, by boto3's name of it."""
    model = botocore.session.get_session().get_service_model("ec2")
    return next(model.operation_model(one).input_shape for one in model.operation_names if xform_name(one) == name)


def held(snapshot: Snapshot, fix: Fix) -> None:
    """The proof is the trace after the changes, all of them are needed, and their reverse gives back what was.

    AWS's model takes every request.
    """
    for call in [call for one in fix.changes for call in (one.request, one.reverse)]:
        report = ParamValidator().validate({**call.request, "DryRun": True}, operation(call.operation))
        assert not report.has_errors(), report.generate_report()
        assert call.operation in OPERATIONS
    assert all(change.request.operation in _LOOKS for change in fix.changes)
    after = apply_all(snapshot, fix.changes)
    assert fix.question.ask(after) == fix.proof
    for change in reversed(fix.changes):
        after = revert(after, change)
    assert after == snapshot
    if fix.works:
        for change in fix.changes:
            rest = [one for one in fix.changes if one is not change]
            assert not fix.question.ask(apply_all(snapshot, rest)).reachable, change.why


def requests(fix: Fix) -> list[tuple[str, dict[str, Any]]]:
    return [(one.request.operation, dict(one.request.request)) for one in fix.changes]


def groups(net: Net, client: list[dict[str, Any]], server: list[dict[str, Any]]) -> Net:
    """Groups of their own for client and server."""
    net.group("sg-c", "vpc-a", [], client)
    net.group("sg-s", net.find("NetworkInterfaces", "eni-server")["VpcId"], server, ALL)
    net.find("NetworkInterfaces", "eni-client")["Groups"] = [{"GroupId": "sg-c"}]
    net.find("NetworkInterfaces", "eni-server")["Groups"] = [{"GroupId": "sg-s"}]
    return net


# --- security groups


def test_a_path_that_is_open_needs_nothing() -> None:
    assert fixes(pair()) == []


def test_the_other_ends_group_on_the_exact_port() -> None:
    by_group, by_address = fixes(groups(pair(), ALL, [allow("tcp", (22, 22), "0.0.0.0/0")]))
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    wanted = {"GroupId": "sg-s", "IpPermissions": [{**rule, "UserIdGroupPairs": [{"GroupId": "sg-c"}]}]}
    assert requests(by_group) == [("authorize_security_group_ingress", wanted)]
    assert by_address.changes[0].request.request["IpPermissions"] == [
        {**rule, "IpRanges": [{"CidrIp": "10.0.1.10/32"}]}
    ]
    assert by_group.works and by_group.rank == 1 and by_group.opens == ()
    assert by_group.changes[0].command.startswith(
        "aws ec2 authorize-security-group-ingress --group-id sg-s --ip-permissions"
    )
    assert by_group.changes[0].undo == by_group.changes[0].command.replace("authorize", "revoke")


def test_a_full_group_is_said() -> None:
    net = groups(pair(), ALL, [allow("tcp", (number, number), "10.0.1.10/32") for number in range(60)])
    assert any("default quota" in note for note in fixes(net)[0].changes[0].notes)


def test_what_opens_less_comes_first() -> None:
    net = groups(pair(), ALL, [])
    net.host("third", "subnet-c", "10.0.1.30", groups=("sg-c",))
    by_address, by_group = fixes(net)
    assert by_address.changes[0].request.request["IpPermissions"][0]["IpRanges"] == [{"CidrIp": "10.0.1.10/32"}]
    assert (by_address.opens, by_group.opens) == ((), (("eni-third", "eni-server"),))
    frame = opens_frame(by_group)
    assert list(frame.columns) == list(OPENS_COLUMNS)
    assert frame[["effect", "source_name", "destination_name"]].to_numpy().tolist() == [
        ["asked", "client", "server"],
        ["opens", "third", "server"],
    ]


def test_many_pairs_are_asked_of_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in (*range(0, 18, 2), 38):
        net = random_net(Random(seed))
        traced = fixes(net)
        with monkeypatch.context() as patch:
            patch.setattr(blast, "PAIRS_AT_MOST", -1)
            patch.setattr(blast, "HOSTS_AT_MOST", -1)
            compared = fixes(net)
        for one, other in zip(traced, compared, strict=True):
            assert (one.changes, set(one.opens), set(one.blast.closed)) == (
                other.changes,
                set(other.opens),
                set(other.blast.closed),
            )
            assert not one.works or (other.blast.complete and other.blast.pairs >= one.blast.pairs > 0)
    net = groups(pair(), ALL, [])
    for number in range(30, 40):
        net.host(f"host{number}", "subnet-c", f"10.0.1.{number}", groups=("sg-c",))
    with monkeypatch.context() as patch:
        patch.setattr(blast, "PAIRS_AT_MOST", -1)
        patch.setattr(blast, "LISTED_AT_MOST", 4)
        by_group = fixes(net)[-1]
    assert (len(by_group.opens), by_group.blast.size) == (4, (0, 0, 10)) and "10 more pairs" in str(by_group.blast)


def test_a_group_over_a_peering_is_named_with_its_account() -> None:
    net = groups(two_vpcs(), ALL, [])
    net.peering("pcx-1", "vpc-a", "vpc-b")
    net.route("rtb-a", "10.1.0.0/16", "pcx-1")
    net.route("rtb-b", "10.0.0.0/16", "pcx-1")
    for name, owner in (("eni-client", "111111111111"), ("eni-server", "222222222222")):
        net.find("NetworkInterfaces", name)["OwnerId"] = owner
    by_group = fixes(net)[0].changes[0].request.request["IpPermissions"][0]
    assert by_group["UserIdGroupPairs"] == [{"GroupId": "sg-c", "UserId": "111111111111"}]
    net.find("VpcPeeringConnections", "pcx-1")["AccepterVpcInfo"]["Region"] = "eu-west-1"
    (by_address,) = fixes(net)  # no reference counts between Regions
    assert by_address.works and "IpRanges" in by_address.changes[0].request.request["IpPermissions"][0]


def test_of_several_groups_the_one_that_fewest_carry() -> None:
    net = groups(pair(), ALL, [])
    net.group("sg-all", "vpc-a", [], ALL)
    net.find("NetworkInterfaces", "eni-server")["Groups"].append({"GroupId": "sg-all"})
    net.host("fourth", "subnet-s", "10.0.2.40", groups=("sg-all",))
    assert fixes(net)[0].changes[0].component == "sg-s"
    assert {fix.changes[0].component for fix in fixes(net)} == {"sg-s", "sg-all"}
    assert fixes(net)[-1].opens == (("eni-client", "eni-fourth"),)


@pytest.mark.parametrize(("more", "rule"), [
    ({"protocol": "icmp", "port": None}, {"IpProtocol": "icmp", "FromPort": 8, "ToPort": 0}),
    ({"protocol": "icmp", "port": None, "icmp_type": 3}, {"IpProtocol": "icmp", "FromPort": 3, "ToPort": -1}),
    ({"protocol": "all", "port": None}, {"IpProtocol": "-1"}),
    ({"protocol": "gre", "port": None}, {"IpProtocol": "47"}),
    ({"protocol": "udp", "port": None}, {"IpProtocol": "udp", "FromPort": 0, "ToPort": 65535}),
])  # fmt: skip
def test_every_protocol_in_its_own_words(more: dict[str, Any], rule: dict[str, Any]) -> None:
    found = fixes(groups(pair(), ALL, []), **more)
    assert found[0].works
    permission = dict(found[0].changes[0].request.request["IpPermissions"][0])
    permission.pop("UserIdGroupPairs")
    assert permission == rule


def test_both_ends_and_ipv6() -> None:
    net = Net()
    net.vpc("vpc-a", "10.0.0.0/16", "2600:1f18::/56")
    net.subnet("subnet-c", "vpc-a", "10.0.1.0/24", "2600:1f18:0:1::/64")
    net.subnet("subnet-s", "vpc-a", "10.0.2.0/24", "2600:1f18:0:2::/64")
    net.host("client", "subnet-c", "10.0.1.10", v6="2600:1f18:0:1::a")
    net.host("server", "subnet-s", "10.0.2.10", v6="2600:1f18:0:2::a")
    groups(net, [], [])
    found = fixes(net, destination="2600:1f18:0:2::a")
    assert found[0].works and [one.component for one in found[0].changes] == ["sg-c", "sg-s"]
    ranges = [
        one["Ipv6Ranges"]
        for fix in found
        for change in fix.changes
        for one in change.request.request["IpPermissions"]
        if "Ipv6Ranges" in one
    ]
    assert [{"CidrIpv6": "2600:1f18:0:2::a/128"}] in ranges and [{"CidrIpv6": "2600:1f18:0:1::a/128"}] in ranges  # fmt: skip


# --- network ACLs


def test_an_entry_before_the_one_that_denies() -> None:
    net = pair()
    entries = [
        *OPEN_ACL,
        entry(10, "deny", egress=True, protocol="6", ports=(443, 443)),
        entry(9, "deny", egress=True, protocol="17", ports=(1, 2)),
    ]
    net.acl("acl-c", "vpc-a", "subnet-c", entries=entries)  # fmt: skip
    (fix,) = fixes(net)
    assert requests(fix) == [("create_network_acl_entry", {
        "NetworkAclId": "acl-c", "RuleNumber": 8, "Egress": True, "Protocol": "6", "PortRange": {"From": 443, "To": 443}, "RuleAction": "allow",
        "CidrBlock": "10.0.2.10/32",
    })]  # fmt: skip
    assert fix.changes[0].undo.startswith(
        "aws ec2 delete-network-acl-entry --network-acl-id acl-c --rule-number 8 --egress"
    )


def test_replies_to_the_clients_ports() -> None:
    net = pair()
    net.host("windows", "subnet-c", "10.0.1.20", platform="windows")
    net.acl(
        "acl-s", "vpc-a", "subnet-s", entries=[entry(100, "allow", egress=False), entry(32767, "deny", egress=True)]
    )
    for source, ports in (("client", (32768, 60999)), ("windows", (49152, 65535))):
        (fix,) = fixes(net, source)
        request = fix.changes[0].request.request
        assert (request["PortRange"], request["Egress"], request["RuleNumber"]) == (
            {"From": ports[0], "To": ports[1]},
            True,
            10,
        )
        assert fix.works and fix.changes[0].leg == "return"
    (ping,) = fixes(net, protocol="icmp", port=None)
    assert ping.works and ping.changes[0].request.request["IcmpTypeCode"] == {"Type": 0, "Code": 0}


def test_replies_to_some_of_the_clients_ports_are_let_to_all() -> None:
    net = pair()
    some = entry(100, "allow", egress=True, protocol="6", ports=(40000, 50000))
    net.acl(
        "acl-s",
        "vpc-a",
        "subnet-s",
        entries=[entry(100, "allow", egress=False), some, entry(32767, "deny", egress=True)],
    )
    assert net.ask("client", "server").status == "UNKNOWN"
    (fix,) = fixes(net)
    assert fix.works and [(one["PortRange"], one["RuleNumber"]) for _, one in requests(fix)] == [
        ({"From": 32768, "To": 60999}, 110)
    ]


def test_no_free_number_is_said() -> None:
    net = pair()
    net.acl("acl-c", "vpc-a", "subnet-c", entries=[*OPEN_ACL, entry(1, "deny", egress=True)])
    (fix,) = fixes(net)
    assert not fix.works and fix.changes == () and "no number below it is free" in fix.remains[0]


def test_one_acl_at_both_ends_gets_two_numbers() -> None:
    net = pair()
    net.acl(
        "acl-x",
        "vpc-a",
        "subnet-c",
        "subnet-s",
        entries=[entry(32767, "deny", egress=egress) for egress in (True, False)],
    )
    (fix,) = fixes(net)
    assert fix.works and len(fix.changes) == 4
    used = {(one.request.request["Egress"], one.request.request["RuleNumber"]) for one in fix.changes}
    assert len(used) == 4


# --- routes


def test_routes_both_ways_over_a_peering() -> None:
    net = two_vpcs()
    net.peering("pcx-1", "vpc-a", "vpc-b")
    found = fixes(net)
    assert requests(found[0]) == [
        (
            "create_route",
            {"RouteTableId": "rtb-a", "DestinationCidrBlock": "10.1.1.10/32", "VpcPeeringConnectionId": "pcx-1"},
        ),
        (
            "create_route",
            {"RouteTableId": "rtb-b", "DestinationCidrBlock": "10.0.1.10/32", "VpcPeeringConnectionId": "pcx-1"},
        ),
    ]
    assert found[0].works
    net.find("VpcPeeringConnections", "pcx-1")["Status"]["Code"] = "pending-acceptance"
    (fix,) = fixes(net)
    assert not fix.works and "nothing that vpc-a is connected to leads to 10.1.1.10/32" in fix.remains[0]


def test_a_black_hole_is_gone_round_or_turned() -> None:
    net = two_vpcs()
    net.peering("pcx-1", "vpc-a", "vpc-b")
    net.route("rtb-b", "10.0.0.0/16", "pcx-1")
    net.route("rtb-a", "10.1.0.0/16", "pcx-gone", "blackhole")
    assert [name for name, _ in requests(fixes(net)[0])] == ["create_route"]
    net.find("RouteTables", "rtb-a")["Routes"].pop()
    net.route("rtb-a", "10.1.1.10/32", "pcx-gone", "blackhole")
    turned = fixes(net)[0]
    assert turned.works and requests(turned)[0][0] == "replace_route"
    assert turned.changes[0].reverse.request["VpcPeeringConnectionId"] == "pcx-gone"


@pytest.mark.parametrize("default", ["igw-1", "nat-1", "pcx-2"])
def test_a_default_route_takes_what_is_for_a_peer(default: str) -> None:
    net = two_vpcs()
    net.vpc("vpc-c", "10.2.0.0/16")
    net.igw("igw-1", "vpc-a")
    net.subnet("subnet-n", "vpc-a", "10.0.9.0/24")
    net.table("rtb-n", "vpc-a", "subnet-n")
    net.route("rtb-n", "0.0.0.0/0", "igw-1")
    net.nat("nat-1", "subnet-n", "10.0.9.9", "52.1.1.1")
    net.peering("pcx-1", "vpc-a", "vpc-b")
    net.peering("pcx-2", "vpc-a", "vpc-c")
    net.route("rtb-b", "10.0.0.0/16", "pcx-1")
    net.route("rtb-a", "0.0.0.0/0", default)
    best = fixes(net)[0]
    assert best.works and requests(best) == [
        (
            "create_route",
            {"RouteTableId": "rtb-a", "DestinationCidrBlock": "10.1.1.10/32", "VpcPeeringConnectionId": "pcx-1"},
        )
    ]
    back = fixes(net, "server", "client")  # the replies go out by the default route
    assert back[0].works and requests(back[0]) == requests(best)


def test_a_gateways_own_table_is_left_alone() -> None:
    net = pair()
    net.igw("igw-1", "vpc-a")
    net.route("rtb-a", "0.0.0.0/0", "igw-1")
    net.host("public", "subnet-s", "10.0.2.50", public="52.2.2.2")
    net.table("rtb-edge", "vpc-a", gateway="igw-1")
    net.route("rtb-edge", "10.0.2.0/24", "eni-gone", "blackhole")
    (fix,) = fixes(net, "151.101.64.81", "public")
    assert not fix.works and fix.changes == () and "gateway's route table" in fix.remains[0]


def test_a_transit_gateway_without_association_routes_or_zone() -> None:
    net = two_vpcs()
    net.subnet("subnet-a2", "vpc-a", "10.0.2.0/24", az="us-east-1b")
    net.transit("tgw-1", ("tgw-attach-a", "vpc-a", "subnet-a2"), ("tgw-attach-b", "vpc-b", "subnet-b"))
    net.route("rtb-a", "10.0.0.0/8", "tgw-1")
    net.route("rtb-b", "10.0.0.0/8", "tgw-1")
    net.find("TransitGatewayAttachments", "tgw-attach-a").pop("Association")
    best = fixes(net)[0]
    assert best.works
    assert [name for name, _ in requests(best)] == [
        "modify_transit_gateway_vpc_attachment",
        "associate_transit_gateway_route_table",
    ]
    net.find("TransitGatewayRoutes", "tgw-rtb-1")["Routes"].pop()
    found = fixes(net)
    kinds = [[name for name, _ in requests(fix)][-1] for fix in found]
    assert set(kinds) == {"create_transit_gateway_route", "enable_transit_gateway_route_table_propagation"}


def test_the_internet_by_nat_for_one_address_and_wide_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    net = pair()
    net.igw("igw-1", "vpc-a")
    net.subnet("subnet-n", "vpc-a", "10.0.9.0/24")
    net.table("rtb-n", "vpc-a", "subnet-n")
    net.route("rtb-n", "0.0.0.0/0", "igw-1")
    net.nat("nat-1", "subnet-n", "10.0.9.9", "52.1.1.1")
    best = fixes(net, destination="151.101.64.81")[0]
    assert requests(best) == [
        ("create_route", {"RouteTableId": "rtb-a", "DestinationCidrBlock": "151.101.64.81/32", "NatGatewayId": "nat-1"})
    ]
    (asked,) = fixes(net, destination="internet")
    assert asked.status == "decide" and asked.changes == () and "wide=True" in asked.decide[0]
    wide = fixes(net, destination="internet", wide=True)[0]
    assert wide.works and requests(wide)[0][1]["DestinationCidrBlock"] == "0.0.0.0/0"
    assert wide.blast.to_internet == ("eni-server",)
    with monkeypatch.context() as patch:
        patch.setattr(blast, "HOSTS_AT_MOST", -1)
        assert fixes(net, destination="internet", wide=True)[0].blast.to_internet == ("eni-server",)


def test_the_internet_is_never_let_in_unasked() -> None:
    net = groups(pair(), ALL, [])
    net.igw("igw-1", "vpc-a")
    net.route("rtb-a", "0.0.0.0/0", "igw-1")
    net.host("public", "subnet-s", "10.0.2.50", public="52.2.2.2", groups=("sg-s",))
    (fix,) = fixes(net, "internet", "public")
    assert fix.status == "decide" and fix.changes == ()
    best = fixes(net, "internet", "public", wide=True)[0]
    assert best.works and best.changes[0].request.request["IpPermissions"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]
    assert fixes(net, "151.101.64.81", "public")[0].changes[0].request.request["IpPermissions"][0]["IpRanges"] == [
        {"CidrIp": "151.101.64.81/32"}
    ]
    (none,) = fixes(net, "internet", "server", wide=True)
    assert not none.works and "Elastic IP" in " ".join(none.remains)


def test_ipv6_goes_out_by_an_egress_only_gateway() -> None:
    net = Net()
    net.vpc("vpc-a", "10.0.0.0/16", "2600:1f18::/56")
    net.subnet("subnet-c", "vpc-a", "10.0.1.0/24", "2600:1f18:0:1::/64")
    net.host("client", "subnet-c", "10.0.1.10", v6="2600:1f18:0:1::a")
    net.tables["EgressOnlyInternetGateways"].append(
        {"EgressOnlyInternetGatewayId": "eigw-1", "Attachments": [{"VpcId": "vpc-a", "State": "attached"}]}
    )
    best = fixes(net, destination="2a04:4e42::81")[0]
    assert best.works and requests(best) == [
        (
            "create_route",
            {
                "RouteTableId": "rtb-a",
                "DestinationIpv6CidrBlock": "2a04:4e42::81/128",
                "EgressOnlyInternetGatewayId": "eigw-1",
            },
        )
    ]


def test_no_public_address_goes_out_by_nat() -> None:
    net = pair()
    net.igw("igw-1", "vpc-a")
    net.route("rtb-a", "0.0.0.0/0", "igw-1")
    (fix,) = fixes(net, destination="151.101.64.81")
    assert not fix.works and "allocate-address" in fix.remains[0]
    net.subnet("subnet-n", "vpc-a", "10.0.9.0/24")
    net.nat("nat-1", "subnet-n", "10.0.9.9", "52.1.1.1")
    net.table("rtb-n", "vpc-a", "subnet-n")
    net.route("rtb-n", "0.0.0.0/0", "igw-1")
    best = fixes(net, destination="151.101.64.81")[0]
    assert best.works and requests(best)[0][1]["NatGatewayId"] == "nat-1"


def test_a_gateway_endpoint_without_its_route() -> None:
    net = pair()
    net.tables["PrefixLists"].append(
        {"PrefixListId": "pl-1", "PrefixListName": "com.amazonaws.us-east-1.s3", "Cidrs": ["52.216.0.0/15"]}
    )
    net.tables["VpcEndpoints"].append({
        "VpcEndpointId": "vpce-1", "VpcEndpointType": "Gateway", "State": "available", "VpcId": "vpc-a", "ServiceName": "com.amazonaws.us-east-1.s3", "RouteTableIds": [],
    })  # fmt: skip
    for destination in ("vpce-1", "52.216.8.10"):
        (fix,) = fixes(net, destination=destination)
        assert fix.works and requests(fix) == [
            ("modify_vpc_endpoint", {"VpcEndpointId": "vpce-1", "AddRouteTableIds": ["rtb-a"]})
        ]
        assert fix.opens == (("eni-server", "vpce-1"),)  # its subnet uses the same route table


# --- hosts, and what no change opens


def test_an_instance_is_started() -> None:
    net = pair()
    net.host("sleeper", "subnet-s", "10.0.2.60", state="stopped")
    (fix,) = fixes(net, destination="sleeper")
    assert fix.works and requests(fix) == [("start_instances", {"InstanceIds": ["i-sleeper"]})]
    assert any("costs money" in note for note in fix.changes[0].notes)
    net.host("gone", "subnet-s", "10.0.2.61", state="shutting-down")
    (none,) = fixes(net, destination="gone")
    assert not none.works and "only a stopped instance" in none.remains[0]


def test_an_appliance_takes_packets_and_stays_unknown() -> None:
    net = two_vpcs()
    net.host("box", "subnet-a", "10.0.1.99")
    net.route("rtb-a", "10.1.0.0/16", "eni-box")
    (fix,) = fixes(net)
    assert fix.proof.status == "UNKNOWN" and requests(fix)[0][0] == "modify_network_interface_attribute"
    assert any("appliance" in text for text in fix.remains)


def test_block_public_access_is_excluded_only_when_asked() -> None:
    net = pair()
    net.igw("igw-1", "vpc-a")
    net.route("rtb-a", "0.0.0.0/0", "igw-1")
    net.host("public", "subnet-s", "10.0.2.50", public="52.2.2.2")
    net.tables["VpcBlockPublicAccessOptions"][0]["InternetGatewayBlockMode"] = "block-bidirectional"
    (fix,) = fixes(net, "151.101.64.81", "public")
    assert fix.status == "decide" and "Block Public Access" in fix.decide[0]
    (wide,) = fixes(net, "151.101.64.81", "public", wide=True)
    assert wide.works and requests(wide)[0][1] == {
        "SubnetId": "subnet-s",
        "InternetGatewayExclusionMode": "allow-bidirectional",
    }


def test_behind_a_nat_gateway_egress_alone_is_excluded() -> None:
    net = pair()
    net.igw("igw-1", "vpc-a")
    net.subnet("subnet-n", "vpc-a", "10.0.9.0/24")
    net.table("rtb-n", "vpc-a", "subnet-n")
    net.route("rtb-n", "0.0.0.0/0", "igw-1")
    net.nat("nat-1", "subnet-n", "10.0.9.9", "52.1.1.1")
    net.route("rtb-a", "0.0.0.0/0", "nat-1")
    net.tables["VpcBlockPublicAccessOptions"][0]["InternetGatewayBlockMode"] = "block-bidirectional"
    best = fixes(net, destination="151.101.64.81", wide=True)[0]
    assert best.works and requests(best)[0][1] == {
        "SubnetId": "subnet-n",
        "InternetGatewayExclusionMode": "allow-egress",
    }


def test_what_is_missing_and_what_cannot_be_is_named() -> None:
    net = groups(pair(), ALL, [])
    del net.tables["NetworkAcls"]
    (fix,) = fixes(net)
    assert fix.proof.status == "UNKNOWN" and "NetworkAcls" in " ".join(fix.remains)
    (nobody,) = fixes(pair(), destination="10.0.2.77")
    assert nobody.changes == () and "NO_POSSIBLE_DESTINATION" in nobody.remains[0]


# --- frames and findings


def test_frames_and_findings() -> None:
    net = groups(pair(), ALL, [])
    found = fixes(net)
    frame = changes_frame(found[0])
    assert list(frame.columns) == list(CHANGE_COLUMNS) and frame["order"].tolist() == [1]
    assert frame["reverse"][0].startswith("aws ec2 revoke-security-group-ingress")
    (finding,) = fix_findings(found, net.snapshot())
    assert (finding.code, finding.status) == ("REACH-FIX", "confirmed") and finding.evidence[
        "verdict_after"
    ] == "REACHABLE"
    (none,) = fix_findings(fixes(pair(), destination="10.0.2.77"), net.snapshot())
    assert none.status == "inconclusive" and fix_findings([], net.snapshot()) == []


# --- any network

RECORDED = Path(__file__).parents[1].parent / "shared" / "data" / "reach" / "batfish"


@pytest.mark.skipif(not RECORDED.is_dir(), reason="../shared/data/reach is not here")
def test_on_recorded_accounts() -> None:
    works = 0
    for folder in sorted(one for one in RECORDED.iterdir() if one.is_dir()):
        snapshot, dice = load_snapshot(folder), Random(1)
        ends = [
            *sorted(one.id for one in network_of(snapshot).interfaces.values() if one.pairs),
            "internet",
            "151.101.64.81",
        ]
        for _ in range(12):
            source, destination = dice.sample(ends, 2)
            for fix in propose(snapshot, source=source, destination=destination, protocol="tcp", port=443):
                held(snapshot, fix)
                assert fix.works or fix.decide or fix.remains
                works += fix.works
    assert works > 20


def random_net(dice: Random) -> Net:
    """Two VPCs that may be connected, hosts with groups, ACLs and routes as they fall."""
    net = two_vpcs()
    ports, blocks = (
        [(443, 443), (1, 442), (400, 500), (32768, 61000), (0, 65535)],
        ["10.0.0.0/16", "10.1.1.0/24", "0.0.0.0/0", "10.0.1.10/32"],
    )
    peers = [*blocks, "sg-1", "sg-2", "sg-3"]

    def rules() -> list[dict[str, Any]]:
        return [allow("tcp", dice.choice(ports), dice.choice(peers)) for _ in range(dice.randrange(3))]

    for number, vpc in enumerate(("vpc-a", "vpc-a", "vpc-b"), 1):
        net.group(f"sg-{number}", vpc, rules(), dice.choice([ALL, rules()]))
    net.subnet("subnet-a2", "vpc-a", "10.0.2.0/24", az=dice.choice(["us-east-1a", "us-east-1b"]))
    for number, subnet in enumerate(("subnet-a", "subnet-a2", "subnet-b"), 1):
        address = f"{'10.1.1' if number == 3 else f'10.0.{number}'}.20"
        net.host(
            f"host{number}", subnet, address, groups=(f"sg-{number}",), state=dice.choice(["running"] * 5 + ["stopped"])
        )
        if dice.random() < 0.4:
            entries = [
                entry(dice.randrange(1, 9), dice.choice(["allow", "deny"]), egress=egress, protocol=dice.choice(["6", "-1"]), ports=dice.choice(ports), cidr=dice.choice(blocks))
                for egress in (True, False)
                for _ in range(dice.randrange(3))
            ]  # fmt: skip
            unique = {(one["RuleNumber"], one["Egress"]): one for one in entries}
            net.acl(f"acl-{number}", "vpc-b" if number == 3 else "vpc-a", subnet, entries=[*unique.values(), *OPEN_ACL])
    connect(net, dice)
    if dice.random() < 0.6:
        edge(net, dice)
    return net


def edge(net: Net, dice: Random) -> None:
    """An internet gateway, a public host, a NAT gateway and a gateway endpoint in the first VPC, with routes or not."""
    net.igw("igw-1", "vpc-a")
    net.subnet("subnet-p", "vpc-a", "10.0.9.0/24")
    net.table("rtb-p", "vpc-a", "subnet-p")
    if dice.random() < 0.7:
        net.route("rtb-p", "0.0.0.0/0", "igw-1")
    if dice.random() < 0.5:
        net.nat("nat-1", "subnet-p", "10.0.9.9", "52.1.1.1", State=dice.choice(["available"] * 3 + ["failed"]))
    net.host("public", "subnet-p", "10.0.9.20", public="52.2.2.2", groups=(dice.choice(["sg-1", "sg-2", "sg-a"]),))
    target = dice.choice(["", "igw-1", "nat-1"])
    if target and (target == "igw-1" or net.tables["NatGateways"]):
        net.route("rtb-a", "0.0.0.0/0", target)
    net.tables["VpcBlockPublicAccessOptions"][0]["InternetGatewayBlockMode"] = dice.choice(
        ["off", "off", "off", "block-ingress"]
    )


def connect(net: Net, dice: Random) -> None:
    """A peering, a transit gateway and routes, or not."""
    if dice.random() < 0.5:
        net.peering("pcx-1", "vpc-a", "vpc-b")
    if dice.random() < 0.5:
        net.transit("tgw-1", ("tgw-attach-a", "vpc-a", "subnet-a"), ("tgw-attach-b", "vpc-b", "subnet-b"))
        if dice.random() < 0.3:
            net.find("TransitGatewayAttachments", "tgw-attach-a").pop("Association")
        if dice.random() < 0.3:
            net.find("TransitGatewayRoutes", "tgw-rtb-1")["Routes"].pop()
    for table, block in (("rtb-a", "10.1.0.0/16"), ("rtb-b", "10.0.0.0/16")):
        target = dice.choice(["", "pcx-1", "tgw-1", "pcx-gone"])
        if target:
            net.route(table, block, target, "active" if target != "pcx-gone" and net_has(net, target) else "blackhole")


def net_has(net: Net, name: str) -> bool:
    return any(
        name in (one.get("VpcPeeringConnectionId"), one.get("TransitGatewayId"))
        for key in ("VpcPeeringConnections", "TransitGateways")
        for one in net.tables[key]
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_in_any_network_a_fix_opens_and_closes_nothing_else(seed: int) -> None:
    dice = Random(seed)
    net = random_net(dice)
    snapshot = net.snapshot()
    hosts = ["client", "server", "host1", "host2", "host3", *(["public"] if net.tables["InternetGateways"] else [])]
    source, destination = dice.sample([*hosts, "internet", "151.101.64.81"], 2)
    if not {source, destination} & set(hosts):
        destination = "client"
    wide = dice.random() < 0.3
    for fix in fixes(net, source, destination, wide=wide):
        assert fix.works or fix.remains or fix.decide, str(fix)
        assert wide or not any("0.0.0.0/0" in change.command or "exclusion" in change.command for change in fix.changes)
        after = apply_all(snapshot, fix.changes)
        now = {
            (one, other): fix.question.between(one, other).ask(after).reachable
            for one in hosts
            for other in hosts
            if one != other
        }
        was = {pair: fix.question.between(*pair).ask(snapshot).reachable for pair in now}
        assert all(now[pair] for pair in was if was[pair])
        if fix.works:
            opened = {pair for pair in now if now[pair] and not was[pair]} - {(source, destination)}
            assert {(f"eni-{one}", f"eni-{other}") for one, other in opened} == set(fix.opens)
            outside = [(one, "internet") for one in hosts] + [("internet", one) for one in hosts]
            newly = {
                pair
                for pair in outside
                if fix.question.between(*pair).ask(after).reachable
                and not fix.question.between(*pair).ask(snapshot).reachable
            }
            told = {(name, "internet") for name in fix.blast.to_internet} | {
                ("internet", name) for name in fix.blast.from_internet
            }
            meant = {fix.blast.asked}
            assert {
                (f"eni-{one}" if one != "internet" else one, f"eni-{other}" if other != "internet" else other)
                for one, other in newly
            } - meant == told
