"""What each rule of AWS does to a path, one small network a test. Sections are those of the kit's notes on AWS (6.x)."""

from __future__ import annotations

import pytest
from little_net import ALL, OPEN_ACL, Net, allow, codes, entry, kinds, pair, two_vpcs

from netkit.core.errors import InputError
from netkit.reach.engine.trace import trace
from netkit.reach.network.network import network_of

# --- hops


def test_hops_in_awss_order() -> None:
    verdict = pair().ask("client", "server")
    assert verdict.reachable, str(verdict)
    there = [
        "instance",
        "network-interface",
        "security-group",
        "network-acl",
        "route-table",
        "network-acl",
        "security-group",
        "network-interface",
        "instance",
    ]
    assert kinds(verdict.forward) == kinds(verdict.back) == there
    assert [hop.component for hop in verdict.back][::8] == ["i-server", "i-client"]
    assert [hop.rule is None for hop in verdict.back if hop.type == "security-group"] == [
        True,
        True,
    ]  # stateful: no rule speaks
    assert verdict.forward[2].rule and str(verdict.forward[2].rule) == "allow all to 0.0.0.0/0"
    assert verdict.forward[4].rule and verdict.forward[4].rule.target == "local"
    assert verdict.passes and verdict.passes.destination_ports == ("443",)
    assert verdict.passes.source_ports == ("32768-60999",)


# --- 6.2 security groups


@pytest.mark.parametrize(("inbound", "status"), [
    ([allow("tcp", (443, 443), "10.0.1.0/24")], "REACHABLE"),
    ([allow("tcp", (1, 442), "0.0.0.0/0"), allow("tcp", (444, 999), "0.0.0.0/0")], "NOT_REACHABLE"),
    ([allow("udp", (443, 443), "0.0.0.0/0")], "NOT_REACHABLE"),
    ([allow("tcp", (443, 443), "10.0.2.0/24")], "NOT_REACHABLE"),
    ([allow("tcp", (443, 443), "::/0")], "NOT_REACHABLE"),
    ([allow("-1", None, "10.0.1.10/32")], "REACHABLE"),
    ([allow("tcp", (443, 443), "sg-a")], "REACHABLE"),
    ([allow("tcp", (443, 443), "sg-s")], "NOT_REACHABLE"),
    ([allow("tcp", (443, 443), "pl-1")], "REACHABLE"),
    ([allow("tcp", (443, 443), "pl-2")], "UNKNOWN"),
    ([], "NOT_REACHABLE"),
])  # fmt: skip
def test_inbound_rules(inbound: list[dict[str, object]], status: str) -> None:
    net = pair()
    net.group("sg-s", "vpc-a", inbound, ALL)
    net.tables["PrefixLists"].append(
        {"PrefixListId": "pl-1", "PrefixListName": "mine", "Cidrs": ["10.0.1.8/29", "192.0.2.0/24"]}
    )
    net.find("NetworkInterfaces", "eni-server")["Groups"] = [{"GroupId": "sg-s"}]
    verdict = net.ask("client", "server")
    assert verdict.status == status, str(verdict)
    if status == "NOT_REACHABLE":
        assert codes(verdict) == ["ENI_SG_RULES_MISMATCH"]
        assert (verdict.blockers[0].component, verdict.blockers[0].direction, verdict.blockers[0].where) == (
            "sg-s",
            "ingress",
            "eni-server",
        )
        assert "sg-s" in verdict.blockers[0].because and "10.0.1.10" in verdict.blockers[0].because


def test_the_union_of_several_groups() -> None:
    net = pair()
    net.group("sg-one", "vpc-a", [allow("tcp", (1, 300), "0.0.0.0/0")], ALL)
    net.group("sg-two", "vpc-a", [allow("tcp", (301, 65535), "0.0.0.0/0"), allow("tcp", (0, 0), "0.0.0.0/0")], ALL)
    net.find("NetworkInterfaces", "eni-server")["Groups"] = [{"GroupId": "sg-one"}, {"GroupId": "sg-two"}]
    assert net.ask("client", "server", every_port=True).reachable  # every port, by two groups together
    assert net.ask("client", "server", "all").status == "NOT_REACHABLE"
    hop = next(
        hop
        for hop in net.ask("client", "server").forward
        if hop.attached_to == "eni-server" and hop.type == "security-group"
    )
    assert hop.component == "sg-two"  # the one whose rule lets it in


def test_a_reply_needs_no_rule() -> None:
    net = pair()
    net.group("sg-s", "vpc-a", [allow("tcp", (443, 443), "0.0.0.0/0")], [])
    net.group("sg-c", "vpc-a", [], [allow("tcp", (443, 443), "10.0.2.10/32")])
    net.find("NetworkInterfaces", "eni-server")["Groups"] = [{"GroupId": "sg-s"}]
    net.find("NetworkInterfaces", "eni-client")["Groups"] = [{"GroupId": "sg-c"}]
    assert net.ask("client", "server").reachable
    assert codes(net.ask("server", "client")) == ["ENI_SG_RULES_MISMATCH", "ENI_SG_RULES_MISMATCH"]


def test_icmp_types_and_other_protocols() -> None:
    net = pair()
    net.group(
        "sg-s",
        "vpc-a",
        [allow("icmp", (8, 0), "0.0.0.0/0"), allow("icmp", (3, -1), "0.0.0.0/0"), allow("47", None, "0.0.0.0/0")],
        ALL,
    )
    net.find("NetworkInterfaces", "eni-server")["Groups"] = [{"GroupId": "sg-s"}]
    assert net.ask("client", "server", "icmp").reachable
    assert net.ask("client", "server", "icmp", icmp_type=3).reachable
    assert net.ask("client", "server", "icmp", icmp_type=8).status == "NOT_REACHABLE"  # every code of type 8
    assert net.ask("client", "server", "gre").reachable
    assert net.ask("client", "server", 50).status == "NOT_REACHABLE"


# --- 6.3 network ACLs


def test_the_lowest_number_decides() -> None:
    net = pair()
    rules = [entry(90, "deny", egress=False, protocol="6", ports=(443, 443), cidr="10.0.1.10/32"), *OPEN_ACL]
    net.acl("acl-s", "vpc-a", "subnet-s", entries=rules)
    verdict = net.ask("client", "server")
    assert codes(verdict) == ["SUBNET_ACL_RESTRICTION"]
    assert verdict.blockers[0].rule and verdict.blockers[0].rule.number == 90
    rules[0]["RuleNumber"] = 110
    assert net.ask("client", "server").reachable


def test_within_a_subnet_no_acl_is_asked() -> None:
    net = pair()
    net.acl("acl-c", "vpc-a", "subnet-c", entries=[])
    net.host("neighbour", "subnet-c", "10.0.1.11")
    verdict = net.ask("client", "neighbour")
    assert verdict.reachable
    assert "network-acl" not in kinds(verdict.forward) and "route-table" not in kinds(verdict.forward)
    assert codes(net.ask("client", "server")) == ["SUBNET_ACL_RESTRICTION", "return SUBNET_ACL_RESTRICTION"]


def test_replies_need_the_ephemeral_ports() -> None:
    net = pair()
    narrow = [entry(100, "allow", egress=True), entry(100, "allow", egress=False, protocol="6", ports=(0, 1023))]
    net.acl("acl-c", "vpc-a", "subnet-c", entries=narrow)
    verdict = net.ask("client", "server")
    assert codes(verdict) == ["return SUBNET_ACL_RESTRICTION"]
    assert (verdict.blockers[0].component, verdict.blockers[0].direction) == ("acl-c", "ingress")
    assert net.ask("client", "server", source_port=500).reachable


@pytest.mark.parametrize(("platform", "first", "status"), [
    ("", 32768, "REACHABLE"), ("", 49152, "UNKNOWN"), ("windows", 49152, "REACHABLE"), ("windows", 60000, "UNKNOWN"), ("", 61001, "NOT_REACHABLE"),
])  # fmt: skip
def test_the_clients_platform_says_which(platform: str, first: int, status: str) -> None:
    net = pair()
    net.host("other", "subnet-c", "10.0.1.99", platform=platform)
    net.acl(
        "acl-c",
        "vpc-a",
        "subnet-c",
        entries=[
            entry(100, "allow", egress=True),
            entry(100, "allow", egress=False, protocol="6", ports=(first, 65535)),
        ],
    )
    verdict = net.ask("other", "server")
    assert verdict.status == status, str(verdict)
    if status == "UNKNOWN":
        assert verdict.unknowns[0].what == "client port" and "acl-c" in verdict.unknowns[0].why
    assert net.ask("other", "server", source_port=first).reachable


def test_an_interface_of_no_instance_may_use_any_port() -> None:
    net = pair()
    net.interface("eni-managed", "subnet-c", "10.0.1.77")
    net.acl(
        "acl-c",
        "vpc-a",
        "subnet-c",
        entries=[
            entry(100, "allow", egress=True),
            entry(100, "allow", egress=False, protocol="6", ports=(32768, 65535)),
        ],
    )
    assert net.ask("eni-managed", "server").status == "UNKNOWN"


def test_every_blocker_and_not_only_the_first() -> None:
    net = pair()
    net.group("sg-none", "vpc-a", [], [])
    for name in ("eni-client", "eni-server"):
        net.find("NetworkInterfaces", name)["Groups"] = [{"GroupId": "sg-none"}]
    net.acl("acl-c", "vpc-a", "subnet-c", entries=[])
    net.acl("acl-s", "vpc-a", "subnet-s", entries=[])
    verdict = net.ask("client", "server")
    assert [(one.component, one.direction, one.leg) for one in verdict.blockers] == [
        ("sg-none", "egress", "forward"), ("acl-c", "egress", "forward"), ("acl-s", "ingress", "forward"), ("sg-none", "ingress", "forward"),
        ("acl-s", "egress", "return"), ("acl-c", "ingress", "return"),
    ]  # fmt: skip
    assert [hop.blocked for hop in verdict.forward] == [False, False, True, True, False, True, True, False, False]


def test_two_filters_that_only_block_together() -> None:
    """Each lets half of the internet in, and the halves do not meet."""
    net = pair()
    net.igw("igw-1", "vpc-a")
    net.route("rtb-a", "0.0.0.0/0", "igw-1")
    net.group("sg-s", "vpc-a", [allow("tcp", (443, 443), "0.0.0.0/1")], ALL)
    net.acl("acl-s", "vpc-a", "subnet-s", entries=[entry(10, "deny", egress=False, cidr="0.0.0.0/1"), *OPEN_ACL])
    net.host("open", "subnet-s", "10.0.2.20", public="198.51.100.7", groups=("sg-s",))
    verdict = net.ask("internet", "open")
    assert verdict.status == "NOT_REACHABLE"
    assert codes(verdict) == ["ENI_SG_RULES_MISMATCH"]


# --- 6.4 routes


def test_no_route_and_black_hole() -> None:
    net = two_vpcs()
    verdict = net.ask("client", "server")
    assert codes(verdict) == ["NO_ROUTE_TO_DESTINATION", "return NO_ROUTE_TO_DESTINATION"]
    assert [one.component for one in verdict.blockers] == ["rtb-a", "rtb-b"]
    net.peering("pcx-1", "vpc-a", "vpc-b")
    net.route("rtb-a", "10.1.0.0/16", "pcx-1")
    net.route("rtb-b", "10.0.0.0/16", "pcx-1", state="blackhole")
    verdict = net.ask("client", "server")
    assert codes(verdict) == ["return BAD_STATE_ROUTE"]
    assert verdict.blockers[0].rule and verdict.blockers[0].rule.state == "blackhole"


def test_the_longest_prefix_wins_also_when_it_is_a_black_hole() -> None:
    net = two_vpcs()
    net.peering("pcx-1", "vpc-a", "vpc-b")
    net.route("rtb-a", "10.1.0.0/16", "pcx-1")
    net.route("rtb-b", "10.0.0.0/16", "pcx-1")
    assert net.ask("client", "server").reachable
    net.route("rtb-a", "10.1.1.0/24", "pcx-gone", state="blackhole")
    assert codes(net.ask("client", "server")) == ["BAD_STATE_ROUTE"]


def test_an_appliance_on_the_way_is_unknown_and_its_check_blocks() -> None:
    net = pair()
    net.subnet("subnet-f", "vpc-a", "10.0.9.0/24")
    net.host("firewall", "subnet-f", "10.0.9.9")
    net.table("rtb-c", "vpc-a", "subnet-c")
    net.route("rtb-c", "10.0.2.0/24", "eni-firewall")
    verdict = net.ask("client", "server")
    assert codes(verdict) == ["ENI_SOURCE_DEST_CHECK_RESTRICTION"]
    net.find("NetworkInterfaces", "eni-firewall")["SourceDestCheck"] = False
    verdict = net.ask("client", "server")
    assert verdict.status == "UNKNOWN"
    assert verdict.unknowns[0].what == "i-firewall"


def test_a_prefix_list_that_is_not_known_makes_the_route_unknown() -> None:
    net = pair()
    net.route("rtb-a", "pl-9", "nat-1")
    assert net.ask("client", "server").status == "UNKNOWN"
    net.tables["PrefixLists"].append({"PrefixListId": "pl-9", "PrefixListName": "x", "Cidrs": ["203.0.113.0/24"]})
    assert net.ask("client", "server").reachable


# --- 6.5, 6.6 interfaces, internet gateways, Block Public Access


def public() -> Net:
    net = pair()
    net.igw("igw-1", "vpc-a")
    net.route("rtb-a", "0.0.0.0/0", "igw-1")
    net.host("web", "subnet-s", "10.0.2.80", public="198.51.100.80")
    return net


def test_to_and_from_the_internet() -> None:
    net = public()
    out = net.ask("web", "internet")
    assert out.reachable, str(out)
    assert kinds(out.forward)[-2:] == ["internet-gateway", "internet"]
    assert out.forward[-2].inbound and out.forward[-2].inbound.source == ("10.0.2.80/32",)
    assert out.forward[-2].outbound and out.forward[-2].outbound.source == ("198.51.100.80/32",)
    inbound = net.ask("internet", "web")
    assert inbound.reachable, str(inbound)
    assert kinds(inbound.forward)[:4] == ["internet", "internet-gateway", "network-acl", "security-group"]
    assert (
        net.ask("igw-1", "web").reachable
        and net.ask("web", "igw-1").reachable
        and net.ask("web", "192.0.2.9").reachable
    )
    assert net.ask("203.0.113.5", "198.51.100.80").reachable


def test_without_a_public_address() -> None:
    net = public()
    assert codes(net.ask("client", "internet")) == ["IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"]
    assert "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS" in codes(net.ask("internet", "client"))
    assert "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS" in codes(net.ask("internet", "10.0.2.80"))


def test_only_part_of_the_internet_is_said() -> None:
    net = public()
    net.group("sg-s", "vpc-a", [allow("tcp", (443, 443), "203.0.113.0/24")], ALL)
    net.find("NetworkInterfaces", "eni-web")["Groups"] = [{"GroupId": "sg-s"}]
    verdict = net.ask("internet", "web")
    assert verdict.reachable
    assert "only from 203.0.113.0/24" in verdict.notes
    assert net.ask("192.0.2.1", "web").status == "NOT_REACHABLE"


def test_who_may_come_in_has_no_way_back() -> None:
    """The group lets one block in, and the only route back is for another: each passes something, together nothing."""
    net = public()
    net.table("rtb-s", "vpc-a", "subnet-s")
    net.route("rtb-s", "198.18.0.0/15", "igw-1")
    net.group("sg-s", "vpc-a", [allow("tcp", (443, 443), "203.0.113.0/24")], ALL)
    net.find("NetworkInterfaces", "eni-web")["Groups"] = [{"GroupId": "sg-s"}]
    assert codes(net.ask("internet", "web")) == ["return NO_ROUTE_TO_DESTINATION"]


@pytest.mark.parametrize("address", ["10.0.0.2", "169.254.169.253", "169.254.169.254", "10.0.2.1"])
def test_amazons_own_services_are_not_filtered(address: str) -> None:
    net = public()
    net.group("sg-none", "vpc-a", [], [])
    net.find("NetworkInterfaces", "eni-web")["Groups"] = [{"GroupId": "sg-none"}]
    verdict = net.ask("web", address, "udp", 53)
    assert verdict.status == "UNKNOWN"
    assert "Amazon's own service" in verdict.unknowns[0].why


def test_from_the_inside_by_a_public_address() -> None:
    verdict = public().ask("web", "198.51.100.80")
    assert verdict.status == "UNKNOWN"
    assert verdict.unknowns[0].code == "IGW_NAT_REFLECTION"


def test_private_addresses_do_not_pass_an_internet_gateway() -> None:
    assert codes(public().ask("web", "172.16.0.9")) == ["IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS"]


def test_a_gateway_of_another_vpc() -> None:
    net = public()
    net.tables["InternetGateways"] = []
    assert net.ask("web", "internet").status == "UNKNOWN"  # the route names a gateway that nobody described
    net.igw("igw-1", "vpc-other")
    assert codes(net.ask("web", "internet")) == ["UNASSOCIATED_COMPONENT", "return UNASSOCIATED_COMPONENT"]
    assert codes(net.ask("internet", "web"))[0] == "UNASSOCIATED_COMPONENT"


@pytest.mark.parametrize(("mode", "exclusion", "out", "inbound", "by_nat"), [
    ("off", "", "REACHABLE", "REACHABLE", "REACHABLE"),
    ("block-bidirectional", "", "NOT_REACHABLE", "NOT_REACHABLE", "NOT_REACHABLE"),
    ("block-ingress", "", "NOT_REACHABLE", "NOT_REACHABLE", "REACHABLE"),
    ("block-bidirectional", "allow-bidirectional", "REACHABLE", "REACHABLE", "REACHABLE"),
    ("block-bidirectional", "allow-egress", "UNKNOWN", "NOT_REACHABLE", "REACHABLE"),
])  # fmt: skip
def test_block_public_access(mode: str, exclusion: str, out: str, inbound: str, by_nat: str) -> None:
    net = public()
    net.table("rtb-c", "vpc-a", "subnet-c")
    net.nat("nat-1", "subnet-s", "10.0.2.200", "198.51.100.200")
    net.route("rtb-c", "0.0.0.0/0", "nat-1")
    net.tables["VpcBlockPublicAccessOptions"][0]["InternetGatewayBlockMode"] = mode
    if exclusion:
        net.tables["VpcBlockPublicAccessExclusions"].append({
            "ExclusionId": "vpcbpa-exclude-1", "InternetGatewayExclusionMode": exclusion, "State": "create-complete",
            "ResourceArn": "arn:aws:ec2:us-east-1:123456789012:vpc/vpc-a",
        })  # fmt: skip
    verdicts = net.ask("web", "internet"), net.ask("internet", "web"), net.ask("client", "internet")
    assert tuple(one.status for one in verdicts) == (out, inbound, by_nat), "\n".join(map(str, verdicts))
    assert all("VPC_BLOCK_PUBLIC_ACCESS_ENABLED" in codes(one) for one in verdicts if one.status == "NOT_REACHABLE")
    assert network_of(net.snapshot().without("VpcBlockPublicAccessOptions")).bpa == {}
    gone = trace(net.snapshot().without("VpcBlockPublicAccessOptions"), source="web", destination="internet", port=443)
    assert gone.status == "UNKNOWN"


def test_states() -> None:
    net = public()
    net.host("stopped", "subnet-s", "10.0.2.81", state="stopped")
    assert codes(net.ask("client", "stopped")) == ["BAD_STATE"]
    net.find("NetworkInterfaces", "eni-stopped").update(Status="available", Attachment={})
    assert codes(net.ask("client", "eni-stopped")) == ["BAD_STATE"]
    net.find("NetworkInterfaces", "eni-web")["DenyAllIgwTraffic"] = True
    assert codes(net.ask("internet", "web")) == ["IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS"]


# --- 6.7 NAT


def behind_nat() -> Net:
    net = public()
    net.table("rtb-c", "vpc-a", "subnet-c")
    net.nat("nat-1", "subnet-s", "10.0.2.200", "198.51.100.200")
    net.route("rtb-c", "0.0.0.0/0", "nat-1")
    return net


def test_nat_translates_there_and_back() -> None:
    verdict = behind_nat().ask("client", "internet")
    assert verdict.reachable, str(verdict)
    nat = next(hop for hop in verdict.forward if hop.type == "nat-gateway")
    assert nat.inbound and nat.outbound
    assert (nat.inbound.source, nat.outbound.source, nat.outbound.source_ports) == (
        ("10.0.1.10/32",),
        ("10.0.2.200/32",),
        ("1024-65535",),
    )
    back = next(hop for hop in verdict.back if hop.type == "nat-gateway")
    assert (
        back.outbound
        and back.outbound.destination == ("10.0.1.10/32",)
        and back.outbound.destination_ports == ("32768-60999",)
    )
    assert (
        kinds(verdict.forward)[-6:]
        == ["nat-gateway", "network-acl", "route-table", "internet-gateway", "internet"][-6:]
        or kinds(verdict.forward)[-1] == "internet"
    )


@pytest.mark.parametrize("member", ["pending", "deleted", "failed"])
def test_a_nat_gateway_that_is_not_available(member: str) -> None:
    net = behind_nat()
    net.tables["NatGateways"][0]["State"] = member
    assert codes(net.ask("client", "internet")) == ["BAD_STATE"]


def test_nat_limits() -> None:
    net = behind_nat()
    assert codes(net.ask("client", "internet", 50)) == ["PROTOCOL_RESTRICTION"]
    assert codes(net.ask("client", "internet", "all")) == ["PROTOCOL_RESTRICTION"]
    assert net.ask("client", "internet", "icmp").reachable
    assert codes(net.ask("internet", "198.51.100.200")) == ["NO_POSSIBLE_DESTINATION"]
    net.acl(
        "acl-s",
        "vpc-a",
        "subnet-s",
        entries=[entry(100, "allow", egress=True), entry(100, "allow", egress=False, protocol="6", ports=(1, 1023))],
    )
    assert "return SUBNET_ACL_RESTRICTION" in codes(net.ask("client", "internet"))
    net.find("NetworkAcls", "acl-s")["Entries"][1]["PortRange"] = {"From": 443, "To": 50000}
    assert net.ask("client", "internet").status == "UNKNOWN"


def test_a_private_nat_has_no_way_to_the_internet() -> None:
    net = behind_nat()
    net.tables["NatGateways"] = []
    net.nat("nat-1", "subnet-s", "10.0.2.201")
    assert codes(net.ask("client", "internet"))[0] == "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"


def test_a_nat_gateway_keeps_no_group_identity() -> None:
    net = two_vpcs()
    net.subnet("subnet-n", "vpc-a", "10.0.7.0/24")
    net.nat("nat-1", "subnet-n", "10.0.7.7")
    net.peering("pcx-1", "vpc-a", "vpc-b")
    net.table("rtb-c", "vpc-a", "subnet-a")
    net.route("rtb-c", "10.1.0.0/16", "nat-1")
    net.route("rtb-a", "10.1.0.0/16", "pcx-1")
    verdict = net.ask("client", "server")
    assert verdict.reachable, str(verdict)  # the replies come back without a route: the connection is remembered
    assert any("remembered" in note for note in verdict.notes)
    net.group("sg-s", "vpc-b", [allow("tcp", (443, 443), "sg-a")], ALL)
    net.find("NetworkInterfaces", "eni-server")["Groups"] = [{"GroupId": "sg-s"}]
    assert codes(net.ask("client", "server")) == ["SG_REFERENCES_NOT_PRESERVED"]


# --- 6.8 peering


def peered() -> Net:
    net = two_vpcs()
    net.peering("pcx-1", "vpc-a", "vpc-b")
    net.route("rtb-a", "10.1.0.0/16", "pcx-1")
    net.route("rtb-b", "10.0.0.0/16", "pcx-1")
    return net


def test_peering() -> None:
    verdict = peered().ask("client", "server")
    assert verdict.reachable
    assert kinds(verdict.forward)[4:6] == ["route-table", "vpc-peering-connection"]
    net = peered()
    net.tables["RouteTables"][1]["Routes"].pop()
    assert codes(net.ask("client", "server")) == ["return NO_ROUTE_TO_DESTINATION"]
    net = peered()
    net.tables["VpcPeeringConnections"][0]["Status"]["Code"] = "pending-acceptance"
    assert codes(net.ask("client", "server")) == ["BAD_STATE", "return BAD_STATE"]


def test_a_peering_is_not_transitive() -> None:
    net = peered()
    net.route("rtb-a", "10.9.0.0/16", "pcx-1")
    assert codes(net.ask("client", "10.9.0.1")) == ["PCX_REQUIRES_ADDRESS_IN_VPC_CIDR"]


@pytest.mark.parametrize(
    ("regions", "status"), [(("us-east-1", "us-east-1"), "REACHABLE"), (("us-east-1", "eu-west-1"), "NOT_REACHABLE")]
)
def test_references_over_a_peering_count_within_a_region(regions: tuple[str, str], status: str) -> None:
    net = peered()
    net.tables["VpcPeeringConnections"] = []
    net.peering("pcx-1", "vpc-a", "vpc-b", regions=regions)
    net.group("sg-s", "vpc-b", [allow("tcp", (443, 443), "sg-a")], ALL)
    net.group("sg-c", "vpc-a", [], [allow("tcp", (443, 443), "sg-s")])
    net.find("NetworkInterfaces", "eni-server")["Groups"] = [{"GroupId": "sg-s"}]
    assert net.ask("client", "server").status == status
    if status == "REACHABLE":
        net.find("NetworkInterfaces", "eni-client")["Groups"] = [{"GroupId": "sg-c"}, {"GroupId": "sg-a"}]
        assert net.ask("client", "server").reachable
        net.find("SecurityGroups", "sg-s")["IpPermissions"][0]["UserIdGroupPairs"][0]["PeeringStatus"] = "deleted"
        assert codes(net.ask("client", "server")) == ["ENI_SG_RULES_MISMATCH"]


def test_a_peer_that_is_not_in_the_snapshot() -> None:
    net = peered()
    net.tables["Vpcs"].pop()
    verdict = net.ask("client", "10.1.1.10")
    assert verdict.status == "UNKNOWN"
    assert "vpc-b" in verdict.unknowns[0].what


# --- 6.9 transit gateways


def transited(**options: str) -> Net:
    net = two_vpcs()
    net.transit("tgw-1", ("tgw-attach-a", "vpc-a", "subnet-a"), ("tgw-attach-b", "vpc-b", "subnet-b"), **options)
    net.route("rtb-a", "10.1.0.0/16", "tgw-1")
    net.route("rtb-b", "10.0.0.0/16", "tgw-1")
    return net


def test_transit_gateway() -> None:
    verdict = transited().ask("client", "server")
    assert verdict.reachable, str(verdict)
    want = [
        "route-table",
        "network-acl",
        "transit-gateway-attachment",
        "transit-gateway",
        "transit-gateway-route-table",
        "transit-gateway-attachment",
    ]
    assert kinds(verdict.forward)[4:10] == want


def test_transit_gateway_ways_to_fail() -> None:
    net = transited()
    net.tables["TransitGatewayAttachments"][0]["Association"] = {}
    assert codes(net.ask("client", "server"))[0] == "TGW_ATTACH_MISSING_TGW_RTB_ASSOCIATION"
    net = transited()
    net.tables["TransitGatewayRoutes"][0]["Routes"].pop()
    assert codes(net.ask("client", "server"))[0] == "TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT"
    assert codes(net.ask("server", "client")) == ["return TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT"]
    net = transited()
    net.tables["TransitGatewayRoutes"][0]["Routes"].append(
        net.transit_route("10.1.1.0/24", "", state="blackhole", origin="static")
    )
    assert codes(net.ask("client", "server"))[0] == "TGW_RTB_BAD_STATE_ROUTE"
    net = transited()
    net.tables["TransitGatewayRoutes"][0]["AdditionalRoutesAvailable"] = True
    assert net.ask("client", "server").unknowns[0].code == "TGW_RTB_ROUTES_ARE_UNKNOWN"
    net = transited()
    net.find("Subnets", "subnet-a")["AvailabilityZone"] = "us-east-1c"
    net.subnet("subnet-x", "vpc-a", "10.0.5.0/24", az="us-east-1b")
    net.host("far", "subnet-x", "10.0.5.5")
    assert codes(net.ask("far", "server"))[0] == "TGW_ROUTE_AZ_RESTRICTION"
    net = transited()
    net.tables["TransitGatewayAttachments"][1]["State"] = "deleting"
    assert "BAD_STATE_ATTACHMENT" in codes(net.ask("client", "server"))


def test_a_static_route_hides_a_propagated_one() -> None:
    net = transited()
    net.tables["TransitGatewayRoutes"][0]["Routes"].append(
        net.transit_route("10.1.0.0/16", "tgw-attach-vpn", "vpn-1", kind="vpn", origin="static")
    )
    net.tables["TransitGatewayAttachments"].append(
        {
            "TransitGatewayAttachmentId": "tgw-attach-vpn",
            "TransitGatewayId": "tgw-1",
            "State": "available",
            "ResourceType": "vpn",
            "ResourceId": "vpn-1",
        }
    )
    verdict = net.ask("client", "server")
    assert (verdict.status, verdict.unknowns[0].what) == ("UNKNOWN", "tgw-attach-vpn")


def test_the_acl_of_the_attachments_subnet() -> None:
    """Workload to gateway: inbound at the attachment's subnet; gateway to workload: outbound there (facts 6.3)."""
    net = transited()
    for letter, block in (("a", "10.0.8.0/28"), ("b", "10.1.8.0/28")):
        net.subnet(f"subnet-t{letter}", f"vpc-{letter}", block)
        net.find("TransitGatewayVpcAttachments", f"tgw-attach-{letter}")["SubnetIds"] = [f"subnet-t{letter}"]
    net.acl("acl-ta", "vpc-a", "subnet-ta", entries=[entry(100, "allow", egress=True)])
    net.acl("acl-tb", "vpc-b", "subnet-tb", entries=[entry(100, "allow", egress=False)])
    verdict = net.ask("client", "server")
    assert [(one.component, one.direction, one.leg) for one in verdict.blockers] == [
        ("acl-ta", "ingress", "forward"),
        ("acl-tb", "egress", "forward"),
    ]


@pytest.mark.parametrize(("support", "code"), [("enable", []), ("disable", ["SG_REFERENCING_SUPPORT"])])
def test_references_over_a_transit_gateway(support: str, code: list[str]) -> None:
    net = transited(SecurityGroupReferencingSupport=support)
    net.group("sg-s", "vpc-b", [allow("tcp", (443, 443), "sg-a")], ALL)
    net.find("NetworkInterfaces", "eni-server")["Groups"] = [{"GroupId": "sg-s"}]
    assert codes(net.ask("client", "server")) == code
    net.group("sg-c", "vpc-a", [], [allow("tcp", (443, 443), "sg-s")])
    net.find("NetworkInterfaces", "eni-client")["Groups"] = [{"GroupId": "sg-c"}, {"GroupId": "sg-a"}]
    net.find("SecurityGroups", "sg-a")["IpPermissionsEgress"] = []
    assert codes(net.ask("client", "server"))[0] == "SG_REFERENCING_SUPPORT"  # never outbound


def test_two_tables_of_a_transit_gateway_there_and_back() -> None:
    net = transited()
    net.tables["TransitGatewayRouteTables"].append(
        {"TransitGatewayRouteTableId": "tgw-rtb-2", "TransitGatewayId": "tgw-1"}
    )
    net.tables["TransitGatewayRoutes"].append(
        {"TransitGatewayRouteTableId": "tgw-rtb-2", "Routes": [], "AdditionalRoutesAvailable": False}
    )
    net.find("TransitGatewayAttachments", "tgw-attach-b")["Association"]["TransitGatewayRouteTableId"] = "tgw-rtb-2"
    verdict = net.ask("client", "server")
    assert [(one.component, one.leg) for one in verdict.blockers] == [("tgw-rtb-2", "return")]


def test_egress_through_another_vpcs_nat() -> None:
    """The shared-egress pattern: over the transit gateway to a NAT gateway in vpc-b, whose subnet routes back."""
    net = transited()
    net.subnet("subnet-n", "vpc-b", "10.1.7.0/24")
    net.table("rtb-t", "vpc-b", "subnet-b")
    net.table("rtb-n", "vpc-b", "subnet-n")
    net.igw("igw-b", "vpc-b")
    net.nat("nat-b", "subnet-n", "10.1.7.7", "198.51.100.7")
    net.route("rtb-a", "0.0.0.0/0", "tgw-1")
    net.route("rtb-t", "0.0.0.0/0", "nat-b")
    net.route("rtb-n", "0.0.0.0/0", "igw-b")
    net.tables["TransitGatewayRoutes"][0]["Routes"].append(
        net.transit_route("0.0.0.0/0", "tgw-attach-b", "vpc-b", origin="static")
    )
    assert (
        codes(net.ask("client", "internet")) == ["return NO_ROUTE_TO_DESTINATION"]
        or not net.ask("client", "internet").reachable
    )
    net.route("rtb-n", "10.0.0.0/16", "tgw-1")
    verdict = net.ask("client", "internet")
    assert verdict.reachable, str(verdict)


# --- 6.10 endpoints


def with_s3() -> Net:
    net = pair()
    net.tables["PrefixLists"].append(
        {
            "PrefixListId": "pl-s3",
            "PrefixListName": "com.amazonaws.us-east-1.s3",
            "Cidrs": ["52.216.0.0/15", "3.5.0.0/19"],
        }
    )
    net.tables["VpcEndpoints"].append({
        "VpcEndpointId": "vpce-s3", "VpcEndpointType": "Gateway", "State": "available", "VpcId": "vpc-a", "ServiceName": "com.amazonaws.us-east-1.s3", "RouteTableIds": [],
    })  # fmt: skip
    return net


def test_gateway_endpoint() -> None:
    net = with_s3()
    assert codes(net.ask("client", "vpce-s3")) == ["NO_ROUTE_TO_DESTINATION"]
    net.route("rtb-a", "pl-s3", "vpce-s3")
    assert net.ask("client", "vpce-s3").reachable
    assert net.ask("client", "52.216.1.1").reachable
    assert codes(net.ask("client", "192.0.2.1")) == ["NO_ROUTE_TO_DESTINATION"]
    assert codes(net.ask("client", "vpce-s3", "udp", 443)) == ["VPCE_GATEWAY_PROTOCOL_RESTRICTION"]
    assert net.ask("client", "vpce-s3", "icmp").reachable
    assert codes(net.ask("vpce-s3", "client")) == ["VPCE_INTRA_VPC_TRAFFIC"]
    net.group("sg-c", "vpc-a", [], [allow("tcp", (443, 443), "pl-s3")])
    net.find("NetworkInterfaces", "eni-client")["Groups"] = [{"GroupId": "sg-c"}]
    assert net.ask("client", "vpce-s3").reachable
    net.tables["VpcEndpoints"][0]["State"] = "deleting"
    assert codes(net.ask("client", "vpce-s3")) == ["BAD_STATE"]


def test_interface_endpoint() -> None:
    net = pair()
    net.group("sg-e", "vpc-a", [allow("tcp", (443, 443), "10.0.1.0/24")], [])
    net.interface("eni-e", "subnet-s", "10.0.2.44", groups=("sg-e",), kind="vpc_endpoint")
    net.tables["VpcEndpoints"].append(
        {
            "VpcEndpointId": "vpce-i",
            "VpcEndpointType": "Interface",
            "State": "Available",
            "VpcId": "vpc-a",
            "ServiceName": "x",
            "NetworkInterfaceIds": ["eni-e"],
        }
    )
    assert net.ask("client", "vpce-i").reachable
    assert codes(net.ask("client", "vpce-i", "tcp", 80)) == ["ENI_SG_RULES_MISMATCH"]


def test_behind_a_gateway_load_balancer_endpoint_nobody_looks() -> None:
    net = public()
    net.tables["VpcEndpoints"].append(
        {
            "VpcEndpointId": "vpce-g",
            "VpcEndpointType": "GatewayLoadBalancer",
            "State": "available",
            "VpcId": "vpc-a",
            "ServiceName": "x",
        }
    )
    net.table("rtb-s", "vpc-a", "subnet-s")
    net.route("rtb-s", "0.0.0.0/0", "vpce-g")
    assert net.ask("web", "internet").unknowns[0].code == "PATH_THROUGH_GWLB_NOT_CHECKED"


# --- 6.11 load balancers

ALB = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/front/0123456789abcdef"
GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef"


def balanced(kind: str = "application", *, preserve: str = "") -> Net:
    net = pair()
    net.subnet("subnet-l", "vpc-a", "10.0.3.0/24")
    arn = ALB if kind == "application" else ALB.replace("/app/", "/net/")
    net.group("sg-lb", "vpc-a", [allow("tcp", (443, 443), "0.0.0.0/0")], [allow("tcp", (8080, 8080), "10.0.2.0/24")])
    net.interface(
        "eni-lb",
        "subnet-l",
        "10.0.3.30",
        groups=("sg-lb",),
        Description=f"ELB {arn.split('loadbalancer/')[1]}",
        RequesterManaged=True,
    )
    net.group("sg-t", "vpc-a", [allow("tcp", (8080, 8080), "sg-lb")], [])
    net.find("NetworkInterfaces", "eni-server")["Groups"] = [{"GroupId": "sg-t"}]
    net.tables["LoadBalancers"].append({
        "LoadBalancerArn": arn, "LoadBalancerName": "front", "Type": kind, "State": {"Code": "active"}, "VpcId": "vpc-a", "Scheme": "internal",
        "AvailabilityZones": [{"ZoneName": "us-east-1a", "SubnetId": "subnet-l"}],
    })  # fmt: skip
    net.tables["LoadBalancerListeners"].append({"LoadBalancerArn": arn, "Listeners": [{
        "ListenerArn": "l", "Protocol": "HTTPS" if kind == "application" else "TCP", "Port": 443, "DefaultActions": [{"Type": "forward", "TargetGroupArn": GROUP}],
    }]})  # fmt: skip
    net.tables["LoadBalancerAttributes"].append(
        {"LoadBalancerArn": arn, "Attributes": [{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}]}
    )
    net.tables["TargetGroups"].append(
        {
            "TargetGroupArn": GROUP,
            "TargetGroupName": "web",
            "Protocol": "HTTP" if kind == "application" else "TCP",
            "Port": 8080,
            "TargetType": "instance",
            "VpcId": "vpc-a",
        }
    )
    held = [{"Key": "preserve_client_ip.enabled", "Value": preserve}] if preserve else []
    net.tables["TargetGroupAttributes"].append({"TargetGroupArn": GROUP, "Attributes": held})
    net.tables["LoadBalancerTargetHealth"].append(
        {"TargetGroupArn": GROUP, "TargetHealthDescriptions": [{"Target": {"Id": "i-server", "Port": 8080}}]}
    )
    return net


def test_application_load_balancer_to_its_target() -> None:
    net = balanced()
    verdict = net.ask("client", "front")
    assert verdict.reachable, str(verdict)
    assert [hop.component for hop in verdict.forward if hop.type in ("load-balancer", "target-group", "instance")] == [
        "i-client",
        ALB,
        GROUP,
        "i-server",
    ]
    assert net.ask("client", ALB).reachable and net.ask("client", "10.0.3.30").reachable
    assert codes(net.ask("client", "front", "tcp", 80)) == ["ENI_SG_RULES_MISMATCH", "ELBV2_LISTENERS_MISMATCH"]
    net.find("SecurityGroups", "sg-t")["IpPermissions"] = [
        allow("tcp", (8080, 8080), "sg-a")
    ]  # the client's group: not kept
    assert codes(net.ask("client", "front")) == ["ENI_SG_RULES_MISMATCH"]
    net.tables["LoadBalancerTargetHealth"][0]["TargetHealthDescriptions"] = []
    assert codes(net.ask("client", "front")) == ["ELBV2_LISTENER_HAS_NO_TG"]
    gone = trace(net.snapshot().without("LoadBalancers"), source="client", destination="eni-lb", port=443)
    assert gone.status == "UNKNOWN"


def test_network_load_balancer_and_the_clients_address() -> None:
    net = balanced("network", preserve="true")
    net.find("SecurityGroups", "sg-lb")["IpPermissionsEgress"] = list(ALL)
    net.find("SecurityGroups", "sg-t")["IpPermissions"] = [allow("tcp", (8080, 8080), "10.0.1.0/24")]
    assert net.ask("client", "front").reachable, str(net.ask("client", "front"))
    net.tables["TargetGroupAttributes"][0]["Attributes"][0]["Value"] = "false"
    assert codes(net.ask("client", "front")) == ["ENI_SG_RULES_MISMATCH"]


# --- 6.12 edges, IPv6, ends


def test_a_vpn_gateway_with_bgp_is_unknown() -> None:
    net = pair()
    net.tables["VpnGateways"].append(
        {"VpnGatewayId": "vgw-1", "VpcAttachments": [{"VpcId": "vpc-a", "State": "attached"}]}
    )
    net.tables["VpnConnections"].append(
        {
            "VpnConnectionId": "vpn-1",
            "State": "available",
            "VpnGatewayId": "vgw-1",
            "Options": {"StaticRoutesOnly": False},
            "Routes": [],
        }
    )
    net.route("rtb-a", "192.168.0.0/16", "vgw-1")
    assert (net.ask("client", "192.168.5.5").status, net.ask("client", "192.168.5.5").unknowns[0].what) == (
        "UNKNOWN",
        "vgw-1",
    )
    assert net.ask("client", "vgw-1").reachable
    assert net.ask("vgw-1", "server").reachable
    net.route("rtb-a", "172.31.0.0/16", "lgw-1")
    assert net.ask("client", "172.31.0.1").unknowns[0].what == "lgw-1"


def test_ipv6() -> None:
    net = Net()
    net.vpc("vpc-a", "10.0.0.0/16", "2001:db8:1::/56")
    net.subnet("subnet-c", "vpc-a", "10.0.1.0/24", "2001:db8:1:1::/64")
    net.subnet("subnet-s", "vpc-a", "10.0.2.0/24", "2001:db8:1:2::/64")
    net.host("client", "subnet-c", "10.0.1.10", v6="2001:db8:1:1::10")
    net.host("server", "subnet-s", "10.0.2.10", v6="2001:db8:1:2::10")
    assert net.ask("client", "2001:db8:1:2::10").reachable
    assert net.ask("client", "2001:db8:1:2::10", "icmp").reachable
    net.igw("igw-1", "vpc-a")
    net.route("rtb-a", "::/0", "igw-1")
    assert net.ask("internet", "server").reachable  # by IPv6 alone: no public IPv4 address is needed
    net.tables["RouteTables"][0]["Routes"].pop()
    net.tables["EgressOnlyInternetGateways"].append(
        {"EgressOnlyInternetGatewayId": "eigw-1", "Attachments": [{"VpcId": "vpc-a", "State": "attached"}]}
    )
    net.route("rtb-a", "::/0", "eigw-1")
    assert net.ask("client", "internet").reachable
    assert not net.ask("internet", "server").reachable
    net.find("SecurityGroups", "sg-a")["IpPermissions"] = [allow("-1", None, "0.0.0.0/0")]  # of IPv4 only
    assert codes(net.ask("client", "2001:db8:1:2::10")) == ["ENI_SG_RULES_MISMATCH"]


def test_ends_by_name_arn_and_address() -> None:
    net = pair()
    want = net.ask("i-client", "i-server")
    for source in ("client", "eni-client", "10.0.1.10", "arn:aws:ec2:us-east-1:123456789012:instance/i-client"):
        assert net.ask(source, "10.0.2.10").status == want.status == "REACHABLE"
    assert [hop.component for hop in net.ask("10.0.1.10", "server").forward] == [hop.component for hop in want.forward]
    assert net.ask("vpc-a", "server").reachable


@pytest.mark.parametrize(("source", "destination", "more", "words"), [
    ("i-0123456789abcdef0", "server", {}, "no i-0123456789abcdef0"),
    ("sg-0123456789abcdef0", "server", {}, "cannot be a source"),
    ("client", "nat-0123456789abcdef0", {}, "NAT gateway is only ever on the way"),
    ("clint", "server", {}, "did you mean client"),
    ("10.0.1.77", "server", {}, "no network interface has the address"),
    ("192.168.7.7", "server", {}, "in no VPC of this snapshot"),
    ("", "server", {}, "there is no source"),
    ("client", "server", {"port": 70000}, "is not a port"),
    ("client", "server", {"protocol": "icmp", "port": 80}, "icmp has no ports"),
    ("client", "server", {"protocol": "all", "port": 80}, "all has no ports"),
    ("client", "server", {"protocol": "quic", "port": 80}, "is not an IP protocol"),
    ("client", "server", {"protocol": "icmp", "icmp_type": 300}, "between 0 and 255"),
    ("client", "server", {"icmp_type": 3}, "belong to icmp"),
    ("client", "10.0.300.1", {}, "is not an IP address"),
])  # fmt: skip
def test_bad_input(source: str, destination: str, more: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as caught:
        trace(
            pair().snapshot(),
            source=source,
            destination=destination,
            **{"protocol": "tcp", "port": None if "icmp" in str(more) else 443, **more},
        )  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_an_address_of_two_vpcs_is_ambiguous() -> None:
    net = pair()
    net.vpc("vpc-b", "10.0.0.0/16")
    net.subnet("subnet-b", "vpc-b", "10.0.1.0/24")
    net.host("twin", "subnet-b", "10.0.1.10")
    with pytest.raises(InputError, match="several interfaces"):
        net.ask("10.0.1.10", "server")
    assert net.ask("10.0.1.10", "server", vpc="vpc-a").reachable
    assert (
        net.ask("client", "10.0.1.10").forward[-1].component == "i-client"
        or net.ask("server", "10.0.1.10").forward[-1].component == "i-client"
    )


def test_without_a_table_nothing_is_guessed() -> None:
    held = pair().snapshot()
    for table in (
        "NetworkInterfaces",
        "Subnets",
        "Vpcs",
        "RouteTables",
        "NetworkAcls",
        "SecurityGroups",
        "Reservations",
    ):
        verdict = trace(held.without(table), source="i-client", destination="i-server", port=443)
        assert verdict.status == "UNKNOWN", table
        assert table in [one.what for one in verdict.unknowns]


# --- gateways as ends, and the gateway's own route table


def test_a_gateway_route_table_sends_inbound_traffic_to_an_appliance() -> None:
    net = public()
    net.host("firewall", "subnet-c", "10.0.1.99", public="198.51.100.99")
    net.table("rtb-edge", "vpc-a", gateway="igw-1")
    assert net.ask("internet", "web").reachable  # only its local route yet
    net.route("rtb-edge", "10.0.2.0/24", "eni-firewall")
    assert codes(net.ask("internet", "web")) == ["ENI_SOURCE_DEST_CHECK_RESTRICTION"]
    net.find("NetworkInterfaces", "eni-firewall")["SourceDestCheck"] = False
    assert net.ask("internet", "web").unknowns[0].what == "i-firewall"
    assert (
        trace(net.snapshot().without("RouteTables"), source="internet", destination="web", port=443).status == "UNKNOWN"
    )


def test_gateways_as_ends() -> None:
    net = peered()
    assert net.ask("client", "pcx-1").reachable and net.ask("pcx-1", "server").reachable
    net.group("sg-s", "vpc-b", [allow("tcp", (443, 443), "sg-a")], ALL)
    net.find("NetworkInterfaces", "eni-server")["Groups"] = [{"GroupId": "sg-s"}]
    verdict = net.ask("pcx-1", "server")  # whoever is behind the peering may carry that group, or not
    assert (verdict.status, verdict.unknowns[0].code) == ("UNKNOWN", "UNKNOWN_PEERED_SGS")
    net = transited()
    for source, destination in (
        ("client", "tgw-1"),
        ("client", "tgw-attach-a"),
        ("client", "tgw-attach-b"),
        ("tgw-attach-a", "server"),
        ("tgw-1", "server"),
    ):
        assert net.ask(source, destination).reachable, f"{source} {destination}"
    net = public()
    net.tables["VpnGateways"].append(
        {"VpnGatewayId": "vgw-1", "VpcAttachments": [{"VpcId": "vpc-a", "State": "attached"}]}
    )
    assert codes(net.ask("vgw-1", "web")) == [
        "return NO_POSSIBLE_DESTINATION"
    ]  # the replies leave by the internet gateway
    assert codes(net.ask("vgw-1", "198.51.100.80")) == ["VGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS"]


def test_load_balancers_at_either_end() -> None:
    net = balanced()
    assert net.ask("front", "server", "tcp", 8080).reachable
    assert "internet gateway is attached" in net.ask("internet", "front").blockers[0].because
    net.igw("igw-1", "vpc-a")
    net.route("rtb-a", "0.0.0.0/0", "igw-1")
    net.find("NetworkInterfaces", "eni-lb")["PrivateIpAddresses"][0]["Association"] = {"PublicIp": "198.51.100.30"}
    verdict = net.ask("internet", "front")
    assert verdict.reachable
    assert [hop.component for hop in verdict.back][:2] == ["i-server", "eni-server"]
    assert verdict.back[-1].component == "internet"
    assert any("no load balancer as an end" in note for note in verdict.notes)
