"""The reachability lab, the calls that moto lacks or gets wrong, and Reachability Analyzer's API: one account for the file.

What an analysis says is netkit's own trace, so nothing here proves the trace: that is done on recorded networks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from inprocess import ACCOUNT, REGION, account

from netkit.core.errors import AwsError
from netkit.core.model import Verdict
from netkit.core.session import Session, connect, error_code
from netkit.reach.engine.trace import trace
from netkit.reach.network.network import network_of
from netkit.reach.network.snapshot import TABLES, Snapshot
from netkit.sandbox.labs import reach as reach_lab
from netkit.sandbox.labs import seeds
from netkit.sandbox.labs.reach import BY_NAME, CASES, Case
from netkit.sandbox.services import network_insights
from netkit.sandbox.services.network_insights import snapshot_now
from netkit.sandbox.world import world

CASE = {case.ending: case for case in CASES}


def name(thing: str, prefix: str) -> str:
    return world.ident(reach_lab.NAME, thing, prefix)


@pytest.fixture(scope="module")
def lab() -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch, account(patch) as session:
        seeds.seed_all()
        yield session


@pytest.fixture(scope="module")
def before(lab: Session) -> Snapshot:
    return snapshot_now(ACCOUNT, REGION)


def verdict(snapshot: Snapshot, case: Case) -> Verdict:
    return trace(snapshot, source=case.source, destination=case.destination, protocol="tcp", port=case.port)


def refusal(session: Session, operation: str, **request: Any) -> str:
    with pytest.raises(AwsError) as caught:
        session.call("ec2", operation, **request)
    return error_code(caught.value)


# ---------------------------------------------------------------------------------------------------------- the lab


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.ending)
def test_each_ending_ends_so(before: Snapshot, case: Case) -> None:
    found = verdict(before, case)
    assert (found.status, found.unknowns) == (case.status, [])
    assert [(one.code, one.component, one.leg) for one in found.blockers] == [
        (code, where, case.leg) for code, where in zip(case.codes, case.where, strict=True)
    ]


def test_every_table_is_told_and_can_be_read(before: Snapshot) -> None:
    assert network_of(before).damaged == {}
    silent = {key for key, table in TABLES.items() if table.operation and not before.known(key)}
    assert silent == set()
    assert network_of(before).bpa_era
    assert set(network_of(before).bpa.values()) == {"off"}


def test_hosts_are_up_and_where_they_should_be(before: Snapshot) -> None:
    for host in BY_NAME.values():
        one = network_of(before).interfaces[host.interface_id]
        assert (one.status, one.kind, one.check, one.instance) == ("in-use", "interface", True, host.instance_id)
        assert network_of(before).instances[host.instance_id].state == "running"
        assert not network_of(before).instances[host.instance_id].windows
        assert [reach_lab.VPCS[host.vpc].split(".")[1], "10"] == host.address.split(".")[1::2]
        assert network_of(before).subnets[one.subnet].holds((4, one.pairs[0][0]))


def test_the_shops_configuration_tells_the_story_of_their_traffic(before: Snapshot) -> None:
    def ask(scenario: str, source: str, destination: str, port: int) -> list[tuple[str, str, str]]:
        hosts = {host.name: host.interface_id(scenario) for host in world.HOSTS}
        found = trace(before, source=hosts[source], destination=hosts[destination], protocol="tcp", port=port)
        assert found.status == ("NOT_REACHABLE" if found.blockers else "REACHABLE")
        return [(one.code, one.component, one.leg) for one in found.blockers]

    blocked, dead = "blocked-database", "dead-return-path"
    group, acl = world.ident(blocked, "sg-db", "sg"), world.ident(dead, "acl-app-b", "acl")
    assert ask(blocked, "app-1", "db-primary", 5432) == [("ENI_SG_RULES_MISMATCH", group, "forward")]
    assert ask(blocked, "web-1", "app-1", 8080) == ask(dead, "app-3", "db-primary", 5432) == []
    assert ask(dead, "web-2", "app-3", 8080) == [("SUBNET_ACL_RESTRICTION", acl, "return")]
    assert ask(dead, "web-1", "app-1", 8080) == []


# ------------------------------------------------------------------------------------------- changes, dry and carried out


def rule(port: int, cidr: str) -> list[dict[str, Any]]:
    return [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": cidr}]}]


def entry(acl: str, number: int, egress: bool, port: tuple[int, int]) -> dict[str, Any]:
    ports = {"From": port[0], "To": port[1]}
    return {"NetworkAclId": name(acl, "acl"), "RuleNumber": number, "Egress": egress, "Protocol": "6", "RuleAction": "allow", "CidrBlock": "10.64.0.0/13", "PortRange": ports}  # fmt: skip


ATTACHMENT = {
    "TransitGatewayAttachmentId": name("attach-reach-spoke-c", "tgw-attach"),
    "TransitGatewayRouteTableId": name("tgw-rtb", "tgw-rtb"),
}
NACL = ("NetworkAclId", "RuleNumber", "Egress")
ROUTE = ("RouteTableId", "DestinationCidrBlock")
# ending -> what opens it, and what takes that back
FIXES: dict[str, list[tuple[str, dict[str, Any], str, dict[str, Any]]]] = {}


def fix(ending: str, do: str, request: dict[str, Any], undo: str, back: dict[str, Any] | tuple[str, ...] = ()) -> None:
    reverse = back if isinstance(back, dict) else {key: request[key] for key in back} if back else request
    FIXES.setdefault(ending, []).append((do, request, undo, reverse))


for _ending in ("sg-inbound", "two-blockers"):
    _group = {"GroupId": name(f"{_ending}-server", "sg"), "IpPermissions": rule(443, "10.64.0.0/16")}
    fix(_ending, "authorize_security_group_ingress", _group, "revoke_security_group_ingress")
fix("sg-outbound", "authorize_security_group_egress", {"GroupId": name("sg-outbound-client", "sg"), "IpPermissions": rule(443, "10.64.13.10/32")}, "revoke_security_group_egress")  # fmt: skip
for _ending, _host, _egress, _ports in (
    ("nacl-outbound", "nacl-outbound-client", True, (443, 443)),
    ("nacl-inbound", "nacl-inbound-server", False, (443, 443)),
    ("two-blockers", "two-blockers-client", True, (443, 443)),
    ("stateless-return", "stateless-return-server", True, (32768, 61000)),
):
    fix(_ending, "create_network_acl_entry", entry(_host, 80, _egress, _ports), "delete_network_acl_entry", NACL)
for _ending, _destination in (("no-route", "10.65.0.0/16"), ("peering-no-return", "10.64.0.0/16")):
    _route = {"RouteTableId": name(_ending, "rtb"), "DestinationCidrBlock": _destination, "VpcPeeringConnectionId": name("pcx", "pcx")}  # fmt: skip
    fix(_ending, "create_route", _route, "delete_route", ROUTE)
fix("private-no-nat", "create_route", {"RouteTableId": name("private-no-nat", "rtb"), "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": name("nat", "nat")}, "delete_route", ROUTE)  # fmt: skip
fix("alb-target", "authorize_security_group_ingress", {"GroupId": name("alb-target-server", "sg"), "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 8443, "ToPort": 8443, "UserIdGroupPairs": [{"GroupId": name("reach-alb", "sg")}]}]}, "revoke_security_group_ingress")  # fmt: skip
fix("tgw-no-association", "associate_transit_gateway_route_table", ATTACHMENT, "disassociate_transit_gateway_route_table")  # fmt: skip
fix(
    "s3-no-route",
    "modify_vpc_endpoint",
    {"VpcEndpointId": name("s3", "vpce"), "AddRouteTableIds": [name("private-no-s3", "rtb")]},
    "modify_vpc_endpoint",
    {"VpcEndpointId": name("s3", "vpce"), "RemoveRouteTableIds": [name("private-no-s3", "rtb")]},
)


def without_times(snapshot: Snapshot) -> str:
    kept = {key: rows for key, rows in snapshot.tables[ACCOUNT, REGION].items() if key != "Reservations"}
    return json.dumps(kept, default=str, sort_keys=True)


def test_a_dry_run_changes_nothing(lab: Session, before: Snapshot) -> None:
    requests = [(do, request) for fixes in FIXES.values() for do, request, _, _ in fixes]
    more: list[tuple[str, dict[str, Any]]] = [
        ("revoke_security_group_ingress", {"GroupId": name("sg-inbound-server", "sg"), "IpPermissions": rule(22, "10.64.0.0/16")}),
        ("delete_network_acl_entry", {"NetworkAclId": name("nacl-outbound-client", "acl"), "RuleNumber": 90, "Egress": True}),
        ("replace_network_acl_entry", entry("nacl-outbound-client", 90, True, (443, 443))),
        ("delete_route", {"RouteTableId": name("public", "rtb"), "DestinationCidrBlock": "0.0.0.0/0"}),
        ("replace_route", {"RouteTableId": name("public", "rtb"), "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": name("nat", "nat")}),
        ("associate_route_table", {"RouteTableId": name("public", "rtb"), "SubnetId": name("reachable-client", "subnet")}),
        ("modify_network_interface_attribute", {"NetworkInterfaceId": name("reachable-client", "eni"), "SourceDestCheck": {"Value": False}}),
        ("modify_vpc_block_public_access_options", {"InternetGatewayBlockMode": "block-ingress"}),
        ("delete_vpc_peering_connection", {"VpcPeeringConnectionId": name("pcx", "pcx")}),
    ]  # fmt: skip
    for operation, request in requests + more:
        assert refusal(lab, operation, **request, DryRun=True) == "DryRunOperation", operation
    assert without_times(snapshot_now(ACCOUNT, REGION)) == without_times(before)


def test_every_blocked_ending_has_a_change_that_opens_it() -> None:
    assert set(FIXES) == {case.ending for case in CASES if case.status == "NOT_REACHABLE"}


def test_the_changes_open_the_paths_and_their_reverses_close_them(lab: Session, before: Snapshot) -> None:
    for fixes in FIXES.values():
        for do, request, _, _ in fixes:
            lab.call("ec2", do, **request)
    opened = snapshot_now(ACCOUNT, REGION)
    assert {ending: verdict(opened, CASE[ending]).status for ending in FIXES} == dict.fromkeys(FIXES, "REACHABLE")
    for fixes in FIXES.values():
        for _, _, undo, request in fixes:
            lab.call("ec2", undo, **request)
    closed = snapshot_now(ACCOUNT, REGION)
    assert [verdict(closed, case).status for case in CASES] == [case.status for case in CASES]
    assert without_times(closed) == without_times(before)


@pytest.mark.parametrize(
    ("operation", "request_", "code"),
    [
        ("create_route", {"RouteTableId": name("no-route", "rtb"), "DestinationPrefixListId": "pl-63a5400a", "GatewayId": name("s3", "vpce")}, "InvalidParameterValue"),
        ("create_route", {"RouteTableId": name("no-route", "rtb"), "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-0123456789abcdef0"}, "NatGatewayNotFound"),
        ("create_route", {"RouteTableId": name("public", "rtb"), "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": name("nat", "nat")}, "RouteAlreadyExists"),
        ("create_network_acl_entry", entry("nacl-outbound-client", 90, True, (1, 2)), "NetworkAclEntryAlreadyExists"),
        ("create_network_acl_entry", entry("nacl-outbound-client", 32767, True, (1, 2)), "InvalidParameterValue"),
        ("delete_network_acl_entry", {"NetworkAclId": name("nacl-outbound-client", "acl"), "RuleNumber": 91, "Egress": True}, "InvalidNetworkAclEntry.NotFound"),
        ("associate_transit_gateway_route_table", ATTACHMENT | {"TransitGatewayAttachmentId": name("attach-reach-spoke-a", "tgw-attach")}, "Resource.AlreadyAssociated"),
        ("associate_transit_gateway_route_table", ATTACHMENT | {"TransitGatewayRouteTableId": "tgw-rtb-0123456789abcdef0"}, "InvalidRouteTableID.NotFound"),
        ("get_managed_prefix_list_entries", {"PrefixListId": "pl-00000000"}, "InvalidPrefixListID.NotFound"),
        ("search_transit_gateway_routes", {"TransitGatewayRouteTableId": name("tgw-rtb", "tgw-rtb"), "Filters": [{"Name": "nosuch", "Values": ["x"]}]}, "InvalidParameterValue"),
        ("modify_vpc_block_public_access_options", {"InternetGatewayBlockMode": "on"}, "InvalidParameterValue"),
    ],
)  # fmt: skip
def test_what_aws_refuses_is_refused(lab: Session, operation: str, request_: dict[str, Any], code: str) -> None:
    assert refusal(lab, operation, **request_) == code


def states(session: Session, table: str) -> dict[str, str]:
    found = session.pages("ec2", "describe_route_tables", "RouteTables", RouteTableIds=[name(table, "rtb")])[0]
    return {
        next(value for key, value in one.items() if key.startswith("Destination")): one["State"]
        for one in found["Routes"]
    }


def test_a_route_whose_target_is_gone_is_a_blackhole(lab: Session) -> None:
    where = {"InternetGatewayId": name("igw", "igw"), "VpcId": name("vpc-reach-lab", "vpc")}
    lab.call("ec2", "detach_internet_gateway", **where)
    assert states(lab, "public") == {"10.64.0.0/16": "active", "0.0.0.0/0": "blackhole"}
    lab.call("ec2", "attach_internet_gateway", **where)
    assert set(states(lab, "public").values()) == {"active"}


def test_transit_gateway_tables_show_what_is_announced_and_what_is_written(lab: Session) -> None:
    table = {"TransitGatewayRouteTableId": name("tgw-rtb", "tgw-rtb")}
    static = {"DestinationCidrBlock": "10.66.0.0/16", "TransitGatewayAttachmentId": name("attach-reach-spoke-b", "tgw-attach")}  # fmt: skip

    def routes(*filters: tuple[str, str]) -> dict[str, str]:
        asked = [{"Name": key, "Values": [value]} for key, value in filters]
        answer = lab.call("ec2", "search_transit_gateway_routes", **table, Filters=asked)
        return {
            one["DestinationCidrBlock"]: f"{one['Type']} {one['TransitGatewayAttachments'][0]['ResourceId']}"
            for one in answer["Routes"]
        }

    vpcs = {spoke: name(f"vpc-reach-{spoke}", "vpc") for spoke in ("spoke-a", "spoke-b", "spoke-c")}
    announced = {f"10.{66 + number}.0.0/16": f"propagated {vpc}" for number, vpc in enumerate(vpcs.values())}
    assert routes(("state", "active")) == announced
    lab.call("ec2", "create_transit_gateway_route", **table, **static)
    assert routes(("state", "active"))["10.66.0.0/16"] == f"static {vpcs['spoke-b']}"
    assert set(routes(("type", "propagated"))) == {"10.67.0.0/16", "10.68.0.0/16"}
    assert set(routes(("route-search.subnet-of-match", "10.66.0.0/15"))) == {"10.66.0.0/16", "10.67.0.0/16"}
    lab.call("ec2", "delete_transit_gateway_route", **table, DestinationCidrBlock="10.66.0.0/16")
    assert routes(("state", "active")) == announced


def test_an_address_and_a_nat_gateway_made_here_are_like_aws_makes_them(lab: Session) -> None:
    made = lab.call("ec2", "allocate_address", Domain="vpc")
    host = name("reachable-client", "eni")
    lab.call("ec2", "associate_address", AllocationId=made["AllocationId"], NetworkInterfaceId=host)
    eni = lab.pages("ec2", "describe_network_interfaces", "NetworkInterfaces", NetworkInterfaceIds=[host])[0]
    assert eni["PrivateIpAddresses"][0]["Association"]["PublicIp"] == eni["Association"]["PublicIp"] == made["PublicIp"]
    assert not made["PublicIp"].startswith("127.")
    lab.call("ec2", "disassociate_address", PublicIp=made["PublicIp"])
    again = lab.pages("ec2", "describe_network_interfaces", "NetworkInterfaces", NetworkInterfaceIds=[host])[0]
    assert "Association" not in again["PrivateIpAddresses"][0]
    nat = lab.call(
        "ec2",
        "create_nat_gateway",
        SubnetId=name("public-server", "subnet"),
        AllocationId=made["AllocationId"],
    )["NatGateway"]
    held = lab.pages(
        "ec2",
        "describe_network_interfaces",
        "NetworkInterfaces",
        NetworkInterfaceIds=[nat["NatGatewayAddresses"][0]["NetworkInterfaceId"]],
    )[0]
    assert (held["InterfaceType"], held["Status"], held["Groups"]) == ("nat_gateway", "in-use", [])
    assert held["PrivateIpAddress"].startswith("10.64.34.")
    lab.call("ec2", "delete_nat_gateway", NatGatewayId=nat["NatGatewayId"])


# ------------------------------------------------------------------------------------------------ Reachability Analyzer

CLIENT, SERVER = BY_NAME["reachable-client"], BY_NAME["reachable-server"]


def path(session: Session, **request: Any) -> str:
    asked = {"Source": CLIENT.interface_id, "Destination": SERVER.instance_id, "Protocol": "tcp"} | request
    made = session.call(
        "ec2", "create_network_insights_path", **{key: one for key, one in asked.items() if one is not None}
    )
    return str(made["NetworkInsightsPath"]["NetworkInsightsPathId"])


def analysis(session: Session, path_id: str) -> dict[str, Any]:
    started = session.call("ec2", "start_network_insights_analysis", NetworkInsightsPathId=path_id)["NetworkInsightsAnalysis"]  # fmt: skip
    ids = [started["NetworkInsightsAnalysisId"]]
    look = [session.pages("ec2", "describe_network_insights_analyses", "NetworkInsightsAnalyses", NetworkInsightsAnalysisIds=ids)[0] for _ in range(2)]  # fmt: skip
    assert [started["Status"], look[0]["Status"]] == ["running", "running"]
    assert "NetworkPathFound" not in look[0]
    return look[1]


IGW, NAT = name("igw", "igw"), name("nat", "nat")
AT_SOURCE: dict[str, Any] = {"DestinationAddress": SERVER.address, "DestinationPortRange": {"FromPort": 443, "ToPort": 443}}  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"Protocol": "icmp"}, "InvalidParameterValue"),
        ({"Protocol": "6"}, "InvalidParameterValue"),
        ({"Destination": NAT}, "InvalidParameterValue"),
        ({"Source": f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/shop/0123456789abcdef"}, "InvalidParameterValue"),
        ({"Source": name("reachable-client", "sg")}, "InvalidParameterValue"),
        ({"Source": "i-123"}, "InvalidParameterValue"),
        ({"Source": "reachable-client"}, "InvalidParameterValue"),
        ({"Destination": "10.64.11.10"}, "InvalidParameterValue"),
        ({"Source": f"arn:aws:ec2:{REGION}:999999999999:network-interface/{CLIENT.interface_id}"}, "InvalidParameterValue"),
        ({"Source": "i-0123456789abcdef0"}, "NetworkInsightsSource.NotFound"),
        ({"Destination": "eni-0123456789abcdef0"}, "NetworkInsightsDestination.NotFound"),
        ({"Destination": None}, "MissingParameter"),
        ({"Destination": None, "DestinationIp": SERVER.address}, "MissingParameter"),
        ({"FilterAtSource": AT_SOURCE, "DestinationPort": 443}, "InvalidParameterCombination"),
        ({"FilterAtSource": AT_SOURCE, "SourceIp": CLIENT.address}, "InvalidParameterCombination"),
        ({"FilterAtDestination": {"DestinationAddress": SERVER.address}, "DestinationIp": SERVER.address}, "InvalidParameterCombination"),
        ({"DestinationIp": "2001:db8::1"}, "InvalidParameterValue"),
        ({"FilterAtSource": {"DestinationAddress": "::1"}}, "InvalidParameterValue"),
        ({"DestinationPort": 65536}, "InvalidParameterValue"),
        ({"FilterAtSource": {"DestinationPortRange": {"FromPort": 9, "ToPort": 8}}}, "InvalidParameterValue"),
        ({"DryRun": True}, "DryRunOperation"),
    ],
)  # fmt: skip
def test_paths_that_aws_refuses(lab: Session, request_: dict[str, Any], code: str) -> None:
    count = len(lab.pages("ec2", "describe_network_insights_paths", "NetworkInsightsPaths"))
    with pytest.raises(AwsError) as caught:
        path(lab, **request_)
    assert error_code(caught.value) == code
    assert len(lab.pages("ec2", "describe_network_insights_paths", "NetworkInsightsPaths")) == count


def test_a_path_from_birth_to_death(lab: Session) -> None:
    tags = [{"ResourceType": "network-insights-path", "Tags": [{"Key": "netkit:run", "Value": "r1"}]}]
    made = path(lab, DestinationPort=443, TagSpecifications=tags, ClientToken="t1")
    assert path(lab, DestinationPort=443, TagSpecifications=tags, ClientToken="t1") == made
    with pytest.raises(AwsError, match="IdempotentParameterMismatch"):
        path(lab, DestinationPort=444, ClientToken="t1")
    other = path(lab, Destination=None, FilterAtSource=AT_SOURCE, Protocol="udp")
    told = lab.call("ec2", "describe_network_insights_paths", NetworkInsightsPathIds=[made])["NetworkInsightsPaths"][0]
    assert (told["Source"], told["Destination"]) == (CLIENT.interface_id, SERVER.instance_id)
    assert told["DestinationArn"] == f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{SERVER.instance_id}"
    assert told["Tags"] == tags[0]["Tags"]
    lab.call("ec2", "create_tags", Resources=[made], Tags=[{"Key": "owner", "Value": "me"}])
    listed = lab.pages("ec2", "describe_tags", "Tags", Filters=[{"Name": "resource-id", "Values": [made]}])
    assert {(one["ResourceType"], one["Key"]) for one in listed} == {("network-insights-path", "netkit:run"), ("network-insights-path", "owner")}  # fmt: skip

    def found(key: str, value: str) -> set[str]:
        asked = [{"Name": key, "Values": [value]}]
        rows = lab.pages("ec2", "describe_network_insights_paths", "NetworkInsightsPaths", Filters=asked)
        return {one["NetworkInsightsPathId"] for one in rows} & {made, other}

    assert found("tag:owner", "me") == found("protocol", "tcp") == found("tag-key", "netkit:run") == {made}
    assert found("filter-at-source.destination-port-range", "443-443") == {other}
    with pytest.raises(AwsError, match="InvalidParameterValue"):
        found("colour", "blue")
    first = lab.call("ec2", "start_network_insights_analysis", NetworkInsightsPathId=made)["NetworkInsightsAnalysis"]
    assert refusal(lab, "delete_network_insights_path", NetworkInsightsPathId=made) == "AnalysisExistsForNetworkInsightsPath"  # fmt: skip
    assert refusal(lab, "delete_network_insights_analysis", NetworkInsightsAnalysisId=first["NetworkInsightsAnalysisId"], DryRun=True) == "DryRunOperation"  # fmt: skip
    lab.call("ec2", "delete_network_insights_analysis", NetworkInsightsAnalysisId=first["NetworkInsightsAnalysisId"])
    for one in (made, other):
        lab.call("ec2", "delete_network_insights_path", NetworkInsightsPathId=one)
    missing = "InvalidNetworkInsightsPathId.NotFound"
    assert refusal(lab, "describe_network_insights_paths", NetworkInsightsPathIds=[made]) == missing
    assert refusal(lab, "start_network_insights_analysis", NetworkInsightsPathId=made) == missing
    assert refusal(lab, "delete_network_insights_path", NetworkInsightsPathId=made) == missing
    assert lab.pages("ec2", "describe_tags", "Tags", Filters=[{"Name": "resource-id", "Values": [made]}]) == []


def ends(case: Case) -> dict[str, Any]:
    """A case as a path: hosts by id, an address on the internet as the destination of packets to the gateway."""
    source = IGW if case.source == "internet" else BY_NAME[case.source].instance_id
    if case.destination == reach_lab.PARTNER:
        return {"Source": source, "Destination": None, "FilterAtSource": {"DestinationAddress": case.destination, "DestinationPortRange": {"FromPort": case.port, "ToPort": case.port}}}  # fmt: skip
    known = BY_NAME.get(case.destination)
    return {"Source": source, "Destination": known.interface_id if known else case.destination, "DestinationPort": case.port}  # fmt: skip


def test_an_analysis_says_how_each_ending_ends(lab: Session, monkeypatch: pytest.MonkeyPatch, before: Snapshot) -> None:
    monkeypatch.setattr(network_insights, "snapshot_now", lambda *_: before)  # nothing changes here: asked once
    shape = botocore.session.get_session().get_service_model("ec2").shape_for("NetworkInsightsAnalysis")
    for case in CASES:
        if case.destination.startswith("arn:"):  # a load balancer, which cannot be an end
            assert refusal(lab, "create_network_insights_path", **ends(case), Protocol="tcp") == "InvalidParameterValue"
            continue
        told = analysis(lab, path(lab, **ends(case)))
        assert (told["Status"], told["NetworkPathFound"]) == ("succeeded", case.status == "REACHABLE"), case.ending
        assert set(told) <= set(shape.members)
        assert {one["ExplanationCode"] for one in told.get("Explanations", [])} == set(case.codes), case.ending
        assert bool(told.get("ForwardPathComponents")) == (case.status == "REACHABLE")


def test_an_analysis_is_of_the_configuration_at_its_start(lab: Session) -> None:
    asked = path(lab, **ends(CASE["no-route"]))
    route = {"RouteTableId": name("no-route", "rtb"), "DestinationCidrBlock": "10.65.0.0/16"}
    closed = analysis(lab, asked)
    lab.call("ec2", "create_route", **route, VpcPeeringConnectionId=name("pcx", "pcx"))
    opened = analysis(lab, asked)
    lab.call("ec2", "delete_route", **route)
    assert (closed["NetworkPathFound"], opened["NetworkPathFound"]) == (False, True)
    rows = lab.call("ec2", "describe_network_insights_analyses", NetworkInsightsPathId=asked)["NetworkInsightsAnalyses"]
    assert [one["NetworkPathFound"] for one in rows] == [False, True]


def test_analyses_in_pages_and_by_filter(lab: Session, monkeypatch: pytest.MonkeyPatch, before: Snapshot) -> None:
    monkeypatch.setattr(network_insights, "snapshot_now", lambda *_: before)
    asked = path(lab, DestinationPort=443)
    made = [analysis(lab, asked)["NetworkInsightsAnalysisId"] for _ in range(5)]
    pages = list(
        lab.client("ec2")
        .get_paginator("describe_network_insights_analyses")
        .paginate(NetworkInsightsPathId=asked, PaginationConfig={"PageSize": 2})
    )
    assert [len(page["NetworkInsightsAnalyses"]) for page in pages] == [2, 2, 1]
    assert [one["NetworkInsightsAnalysisId"] for page in pages for one in page["NetworkInsightsAnalyses"]] == made

    def count(**request: Any) -> int:
        return len(lab.pages("ec2", "describe_network_insights_analyses", "NetworkInsightsAnalyses", NetworkInsightsPathId=asked, **request))  # fmt: skip

    assert count(Filters=[{"Name": "path-found", "Values": ["true"]}]) == 5
    assert count(Filters=[{"Name": "status", "Values": ["failed"]}]) == 0
    assert count(AnalysisStartTime="2030-01-01T00:00:00Z") == 0
    assert count(AnalysisStartTime="2020-01-01T00:00:00Z") == 5
    assert refusal(lab, "describe_network_insights_analyses", MaxResults=101) == "InvalidParameterValue"
    bad = {"NetworkInsightsAnalysisIds": ["nia-0123456789abcdef0"]}
    assert refusal(lab, "describe_network_insights_analyses", **bad) == "InvalidNetworkInsightsAnalysisId.NotFound"


def test_a_path_without_a_port_is_found_by_any_port(
    lab: Session, monkeypatch: pytest.MonkeyPatch, before: Snapshot
) -> None:
    monkeypatch.setattr(network_insights, "snapshot_now", lambda *_: before)
    assert analysis(lab, path(lab))["NetworkPathFound"]
    assert not analysis(lab, path(lab, FilterAtSource={"DestinationPortRange": {"FromPort": 1, "ToPort": 442}}))["NetworkPathFound"]  # fmt: skip
    assert analysis(lab, path(lab, FilterAtSource={"DestinationPortRange": {"FromPort": 400, "ToPort": 500}}))["NetworkPathFound"]  # fmt: skip


def test_addresses_that_are_not_an_ends_own(lab: Session, monkeypatch: pytest.MonkeyPatch, before: Snapshot) -> None:
    monkeypatch.setattr(network_insights, "snapshot_now", lambda *_: before)
    for request in ({"SourceIp": "10.64.99.9"}, {"DestinationIp": "10.64.99.9"}):
        told = analysis(lab, path(lab, DestinationPort=443, **request))
        assert [one["ExplanationCode"] for one in told["Explanations"]] == ["ENI_ADDRESS_RESTRICTION"]
    own = {"SourceIp": CLIENT.address, "DestinationIp": SERVER.address}
    assert analysis(lab, path(lab, DestinationPort=443, **own))["NetworkPathFound"]
    outside = {"Source": IGW, "Destination": BY_NAME["public-server"].interface_id, "SourceIp": "198.51.100.7"}
    assert analysis(lab, path(lab, DestinationPort=443, **outside))["NetworkPathFound"]


def test_what_the_sandbox_does_not_analyse_fails_and_says_so(lab: Session) -> None:
    asked = path(lab, DestinationPort=443)
    only = [f"arn:aws:ec2:{REGION}:{ACCOUNT}:internet-gateway/{IGW}"]
    started = lab.call(
        "ec2", "start_network_insights_analysis", NetworkInsightsPathId=asked, FilterInArns=only
    )["NetworkInsightsAnalysis"]  # fmt: skip
    ids = [started["NetworkInsightsAnalysisId"]]
    for _ in range(2):
        told = lab.call("ec2", "describe_network_insights_analyses", NetworkInsightsAnalysisIds=ids)["NetworkInsightsAnalyses"][0]  # fmt: skip
    assert told["Status"] == "failed"
    assert "FilterInArns" in told["StatusMessage"]
    assert told["FilterInArns"] == only


def test_through_a_transit_gateway_only_the_way_there_is_looked_at(
    lab: Session, monkeypatch: pytest.MonkeyPatch, before: Snapshot
) -> None:
    """Reachability Analyzer guide, "considerations": TCP through a transit gateway route table is one-directional."""
    rows = [dict(record) for _, record in before.records("RouteTables")]
    for one in rows:
        if one["RouteTableId"] == name("spoke-b", "rtb"):
            one["Routes"] = [route for route in one["Routes"] if route.get("GatewayId") == "local"]
    no_way_back = before.with_records("RouteTables", rows, (ACCOUNT, REGION))
    assert verdict(no_way_back, CASE["tgw-reachable"]).status == "NOT_REACHABLE"
    monkeypatch.setattr(network_insights, "snapshot_now", lambda *_: no_way_back)
    told = analysis(lab, path(lab, **ends(CASE["tgw-reachable"])))
    assert told["NetworkPathFound"]
    assert not told.get("ReturnPathComponents")
    details = [detail["AdditionalDetailType"] for hop in told["ForwardPathComponents"] for detail in hop.get("AdditionalDetails", [])]  # fmt: skip
    assert details == ["UNIDIRECTIONAL_PATH_ANALYSIS_ONLY"]


def test_the_server_answers_as_this_process_does() -> None:
    session = connect(target="sandbox")
    asked = path(session, **ends(CASE["two-blockers"]))
    told = analysis(session, asked)
    assert {one["ExplanationCode"] for one in told["Explanations"]} == set(CASE["two-blockers"].codes)
    session.call("ec2", "delete_network_insights_analysis", NetworkInsightsAnalysisId=told["NetworkInsightsAnalysisId"])
    session.call("ec2", "delete_network_insights_path", NetworkInsightsPathId=asked)
