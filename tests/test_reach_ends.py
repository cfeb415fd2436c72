"""One of several ends, balancers' rules and addresses, assumed ports, and the questions of ports and source addresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from little_net import ALL, Net, allow, codes, entry, pair
from test_reach_trace import ALB, GROUP, balanced, public

from netkit.core.errors import InputError
from netkit.core.model import Verdict
from netkit.reach import ports, trace
from netkit.reach.engine.matrix import matrix
from netkit.reach.network.snapshot import Snapshot


def says(verdict: Verdict, *words: str) -> bool:
    return any(all(word in note for word in words) for note in verdict.notes)


# --- a client that is its own target


def to_itself(*targets: str, preserve: str = "true", protocol: str = "TCP") -> Net:
    net = balanced("network", preserve=preserve)
    net.find("SecurityGroups", "sg-lb")["IpPermissionsEgress"] = list(ALL)
    for name in ("eni-server", "eni-client"):
        net.find("NetworkInterfaces", name)["Groups"] = [{"GroupId": "sg-a"}]
    net.tables["TargetGroups"][0]["Protocol"] = protocol
    net.tables["LoadBalancerTargetHealth"][0]["TargetHealthDescriptions"] = [{"Target": {"Id": one, "Port": 8080}} for one in targets]  # fmt: skip
    return net


@pytest.mark.parametrize(("targets", "preserve", "status"), [
    (("i-client",), "true", "NOT_REACHABLE"), (("10.0.1.10",), "true", "NOT_REACHABLE"), (("i-client",), "", "NOT_REACHABLE"),
    (("i-client",), "false", "REACHABLE"), (("i-client", "i-server"), "true", "REACHABLE"), (("i-server",), "true", "REACHABLE"),
])  # fmt: skip
def test_a_target_does_not_reach_itself_while_addresses_are_kept(
    targets: tuple[str, ...], preserve: str, status: str
) -> None:
    net = to_itself(*targets, preserve=preserve)
    for way in ("front", ALB.replace("/app/", "/net/"), "10.0.3.30", "eni-lb"):
        verdict = net.ask("client", way)
        assert verdict.status == status, str(verdict)
        if status == "NOT_REACHABLE":
            assert codes(verdict) == ["ELBV2_SOURCE_ADDRESS_PRESERVATION"]
    assert says(net.ask("client", "front"), f"{sum(one != 'i-client' for one in targets)} of {len(targets)}") or preserve != "true" or "10.0.1.10" in targets  # fmt: skip
    frame = matrix(net.snapshot(), protocol="tcp", port=443)
    assert frame.loc["eni-client", "eni-lb"] == status


def test_by_another_address_of_the_same_host_nobody_knows() -> None:
    net = to_itself("10.0.1.20")
    net.interface("eni-second", "subnet-c", "10.0.1.20")
    net.tables["NetworkInterfaces"][-1]["Attachment"] = {
        "Status": "attached",
        "DeviceIndex": 1,
        "InstanceId": "i-client",
    }
    assert net.ask("eni-client", "front").status == "UNKNOWN"


# --- attributes that were not collected


@pytest.mark.parametrize(("inbound", "status"), [
    ((allow("tcp", (8080, 8080), "0.0.0.0/0"),), "REACHABLE"), ((allow("tcp", (8080, 8080), "192.0.2.0/24"),), "NOT_REACHABLE"),
    ((allow("tcp", (8080, 8080), "10.0.1.0/24"),), "UNKNOWN"), ((allow("tcp", (8080, 8080), "10.0.3.0/24"),), "UNKNOWN"),
])  # fmt: skip
def test_without_attributes_both_ways_are_asked(inbound: tuple[dict[str, Any], ...], status: str) -> None:
    net = balanced("network", preserve="true")
    net.find("SecurityGroups", "sg-lb")["IpPermissionsEgress"] = list(ALL)
    net.find("SecurityGroups", "sg-t")["IpPermissions"] = list(inbound)
    verdict = trace(net.snapshot().without("TargetGroupAttributes"), source="client", destination="front", port=443)
    assert verdict.status == status, str(verdict)
    assert says(verdict, "either way") == (status != "UNKNOWN")
    if status == "UNKNOWN":
        assert [one.code for one in verdict.unknowns] == ["MISSING_TARGET_GROUP_ATTRIBUTES"]


@pytest.mark.parametrize("protocol", ["UDP", "TCP_UDP"])
@pytest.mark.parametrize("kind", ["ip", "instance"])
@pytest.mark.parametrize("gone", [True, False])
def test_for_udp_addresses_are_always_kept(protocol: str, kind: str, gone: bool) -> None:
    net = balanced("network", preserve="false")
    net.tables["LoadBalancerListeners"][0]["Listeners"][0]["Protocol"] = protocol
    net.tables["TargetGroups"][0] |= {"Protocol": protocol, "TargetType": kind}
    for name in ("sg-lb", "sg-t"):
        net.find("SecurityGroups", name)["IpPermissionsEgress"] = list(ALL)
        net.find("SecurityGroups", name)["IpPermissions"] = [allow("udp", (0, 65535), "10.0.1.0/24")]
    target = "10.0.2.10" if kind == "ip" else "i-server"
    net.tables["LoadBalancerTargetHealth"][0]["TargetHealthDescriptions"] = [{"Target": {"Id": target, "Port": 8080}}]
    held = net.snapshot().without("TargetGroupAttributes") if gone else net.snapshot()
    assert trace(held, source="client", destination="front", protocol="udp", port=443).reachable


def test_a_default_that_was_not_said_is_said() -> None:
    net = balanced("network")
    net.find("SecurityGroups", "sg-lb")["IpPermissionsEgress"] = list(ALL)
    net.find("SecurityGroups", "sg-t")["IpPermissions"] = [allow("tcp", (8080, 8080), "10.0.0.0/16")]
    assert says(net.ask("client", "front"), "assumed", "default")


# --- rules of a listener

FIXED = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
REDIRECT = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}
FORWARD = {"Type": "forward", "TargetGroupArn": GROUP}


def ruled(default: dict[str, Any], *actions: dict[str, Any], field: str = "host-header", asked: bool = True) -> Net:
    net = balanced()
    net.tables["LoadBalancerListeners"][0]["Listeners"][0]["DefaultActions"] = [default]
    rules = [
        {"RuleArn": f"r{number}", "Priority": str(number), "IsDefault": False, "Actions": [action], "Conditions": [{"Field": field, "Values": ["api.example.com"]}]}
        for number, action in enumerate(actions, 1)
    ]  # fmt: skip
    if asked:
        net.tables["ListenerRules"].append(
            {"ListenerArn": "l", "Rules": [*rules, {"RuleArn": "r0", "Priority": "default", "IsDefault": True, "Actions": [default], "Conditions": []}]}
        )  # fmt: skip
    return net


@pytest.mark.parametrize("default", [FIXED, REDIRECT])
def test_a_listener_that_answers_itself(default: dict[str, Any]) -> None:
    unseen = ruled(default, asked=False).ask("client", "front")
    assert unseen.status == "UNKNOWN" and unseen.unknowns[0].what == "ListenerRules"
    for field in ("host-header", "path-pattern"):
        verdict = ruled(default, FORWARD, field=field).ask("client", "front")
        assert verdict.reachable and says(verdict, field, "api.example.com"), str(verdict)
    alone = ruled(default).ask("client", "front")
    assert alone.reachable and says(alone, "answers itself"), str(alone)
    blocked = ruled(default, FORWARD)
    blocked.find("SecurityGroups", "sg-t")["IpPermissions"] = []
    assert codes(blocked.ask("client", "front")) == ["ENI_SG_RULES_MISMATCH" if blocked.find("SecurityGroups", "sg-t")["IpPermissionsEgress"] else "SG_HAS_NO_RULES"]  # fmt: skip
    assert trace(ruled(default, FORWARD).snapshot().without("ListenerRules"), source="client", destination="front", port=443).status == "UNKNOWN"  # fmt: skip


def test_rules_that_were_not_collected_may_lead_elsewhere() -> None:
    for arns, status in (([ALB], "UNKNOWN"), (None, "UNKNOWN"), ([], "NOT_REACHABLE")):
        net = ruled(FORWARD, asked=False)
        net.find("SecurityGroups", "sg-t")["IpPermissions"] = [allow("tcp", (1, 1), "0.0.0.0/0")]
        other = dict(net.tables["TargetGroups"][0], TargetGroupArn="arn:other", TargetGroupName="other")
        net.tables["TargetGroups"].append(other | ({} if arns is None else {"LoadBalancerArns": arns}))
        assert net.ask("client", "front").status == status


def test_a_target_group_of_weight_0_gets_nothing() -> None:
    weighed = {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": GROUP, "Weight": 0}]}}
    assert codes(ruled(weighed).ask("client", "front")) == ["ELBV2_LISTENER_REQUIRES_TG_ACCEPT"]


# --- one of several ends


def two_interfaces() -> Net:
    net = public()
    net.interface("eni-second", "subnet-c", "10.0.1.20", public="198.51.100.99")
    web = net.find("NetworkInterfaces", "eni-web")
    del web["PrivateIpAddresses"][0]["Association"]
    net.tables["NetworkInterfaces"][-1]["Attachment"] = {"Status": "attached", "DeviceIndex": 1, "InstanceId": "i-web"}
    return net


@pytest.mark.parametrize("name", ["i-web", "web"])
def test_an_instance_is_all_of_its_interfaces(name: str) -> None:
    net = two_interfaces()
    verdict = net.ask("internet", name)
    assert verdict.reachable and says(verdict, "2 interfaces", "eni-second"), str(verdict)
    out = net.ask(name, "internet")
    assert out.reachable and says(out, "eni-second"), str(out)
    assert net.ask("internet", "eni-web").status == "NOT_REACHABLE"
    net.find("NetworkInterfaces", "eni-second")["PrivateIpAddresses"][0].pop("Association")
    none = net.ask("internet", name)
    assert none.status == "NOT_REACHABLE" and says(none, "none of them"), str(none)


def two_zones(cross: str = "false") -> Net:
    net = balanced("network", preserve="false")
    net.find("SecurityGroups", "sg-t")["IpPermissions"] = [allow("tcp", (8080, 8080), "10.0.0.0/16")]
    net.subnet("subnet-m", "vpc-a", "10.0.4.0/24", az="us-east-1b")
    arn = ALB.replace("/app/", "/net/").split("loadbalancer/")[1]
    net.interface(
        "eni-lb2", "subnet-m", "10.0.4.30", groups=("sg-lb",), Description=f"ELB {arn}", RequesterManaged=True
    )
    net.tables["LoadBalancers"][0]["AvailabilityZones"].append({"ZoneName": "us-east-1b", "SubnetId": "subnet-m"})
    net.tables["LoadBalancerAttributes"][0]["Attributes"][0]["Value"] = cross
    return net


def test_a_zone_without_a_target_is_a_condition() -> None:
    net = two_zones()
    for name in ("front", ALB.replace("/app/", "/net/")):
        verdict = net.ask("client", name)
        assert verdict.reachable and says(verdict, "condition", "us-east-1a", "10.0.3.30"), str(verdict)
    assert codes(net.ask("client", "10.0.3.30")) == ["ELB_NOT_CROSSZONE"]
    assert not says(two_zones("true").ask("client", "front"), "condition")


# --- ports that are assumed


def answering(low: int, high: int) -> Net:
    net = pair()
    net.acl("acl-s", "vpc-a", "subnet-s", entries=[entry(100, "allow", egress=False), entry(100, "allow", egress=True, protocol="6", ports=(low, high))])  # fmt: skip
    return net


def test_assumed_ports_are_said_where_they_count() -> None:
    linux = answering(32768, 60999).ask("client", "server")
    assert linux.reachable and says(linux, "assumed", "32768-60999", "Linux"), str(linux)
    assert not says(pair().ask("client", "server"), "assumed")
    given = answering(32768, 60999).ask("client", "server", source_port=40000)
    assert given.reachable and not says(given, "assumed")
    assert answering(40000, 60999).ask("client", "server").status == "UNKNOWN"
    blocked = answering(1024, 2000).ask("client", "server")
    assert blocked.status == "NOT_REACHABLE" and says(blocked, "assumed", "32768-60999")


@pytest.mark.parametrize("tag", ["eks:cluster-name", "kubernetes.io/cluster/shop", "interface"])
def test_a_kubernetes_node_uses_any_port(tag: str) -> None:
    def node(low: int) -> Net:
        net = answering(low, 65535)
        if tag == "interface":
            net.find("NetworkInterfaces", "eni-client")["Description"] = "aws-K8S-i-client"
        else:
            net.find("Reservations", "r-client")["Instances"][0]["Tags"].append({"Key": tag, "Value": "shop"})
        return net

    assert node(32768).ask("client", "server").status == "UNKNOWN"
    assert matrix(node(32768).snapshot(), protocol="tcp", port=443).loc["eni-client", "eni-server"] == "UNKNOWN"
    whole = node(1024).ask("client", "server")
    assert whole.reachable and says(whole, "1024-65535", "Kubernetes"), str(whole)


# --- the public address of another host


def two_public(same: bool = True) -> Net:
    net = public()
    vpc, subnet = ("vpc-a", "subnet-c") if same else ("vpc-z", "subnet-z")
    if not same:
        net.vpc("vpc-z", "10.9.0.0/16")
        net.subnet("subnet-z", "vpc-z", "10.9.1.0/24")
        net.igw("igw-z", "vpc-z")
        net.route("rtb-z", "0.0.0.0/0", "igw-z")
    net.group("sg-open", vpc, [allow("tcp", (443, 443), "198.51.100.0/24")], ALL)
    net.host("other", subnet, "10.0.1.77" if same else "10.9.1.77", public="198.51.100.77", groups=("sg-open",))
    return net


@pytest.mark.parametrize("same", [True, False])
def test_the_public_address_of_another_host(same: bool) -> None:
    net = two_public(same)
    verdict = net.ask("web", "198.51.100.77")
    assert verdict.reachable, str(verdict)
    assert verdict.forward[-1].component == "i-other" and verdict.back[-1].component == "i-web"
    for rule in ([], [allow("tcp", (443, 443), "sg-a")], [allow("tcp", (443, 443), "10.0.0.0/8")]):
        net.find("SecurityGroups", "sg-open")["IpPermissions"] = rule
        assert codes(net.ask("web", "198.51.100.77"))[0] in ("ENI_SG_RULES_MISMATCH", "SG_REFERENCES_NOT_PRESERVED")
    net.find("SecurityGroups", "sg-open")["IpPermissions"] = list(ALL)
    del net.find("NetworkInterfaces", "eni-web")["PrivateIpAddresses"][0]["Association"]
    assert codes(net.ask("web", "198.51.100.77"))[0] == "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"
    assert trace(net.snapshot().without("NetworkInterfaces"), source="web", destination="198.51.100.77", port=443).status == "UNKNOWN"  # fmt: skip


def test_the_public_address_of_another_host_through_nat() -> None:
    net = two_public(False)
    net.subnet("subnet-p", "vpc-a", "10.0.5.0/24")
    net.host("inner", "subnet-p", "10.0.5.5")
    net.nat("nat-1", "subnet-c", "10.0.1.200", "198.51.100.200")
    net.table("rtb-p", "vpc-a", "subnet-p")
    net.route("rtb-p", "0.0.0.0/0", "nat-1")
    verdict = net.ask("inner", "198.51.100.77")
    assert verdict.reachable, str(verdict)
    assert verdict.back[-1].component == "i-inner"
    net.find("SecurityGroups", "sg-open")["IpPermissions"] = [allow("tcp", (443, 443), "198.51.100.80/32")]
    assert codes(net.ask("inner", "198.51.100.77")) == ["ENI_SG_RULES_MISMATCH"]


@pytest.mark.parametrize("gateway", ["igw-a", "eigw-1"])
def test_the_ipv6_address_of_a_host_in_another_vpc(gateway: str) -> None:
    net = Net()
    for letter, four, six in (("a", "10.0", "2600:1f16:1"), ("b", "10.1", "2600:1f16:2")):
        net.vpc(f"vpc-{letter}", f"{four}.0.0/16", f"{six}::/56")
        net.subnet(f"subnet-{letter}", f"vpc-{letter}", f"{four}.1.0/24", f"{six}::/64")
        net.igw(f"igw-{letter}", f"vpc-{letter}")
        net.host(letter, f"subnet-{letter}", f"{four}.1.10", v6=f"{six}::10")
    net.tables["EgressOnlyInternetGateways"].append({"EgressOnlyInternetGatewayId": "eigw-1", "Attachments": [{"VpcId": "vpc-a", "State": "attached"}]})  # fmt: skip
    net.route("rtb-a", "::/0", gateway)
    net.route("rtb-b", "::/0", "igw-b")
    verdict = net.ask("a", "2600:1f16:2::10")
    assert verdict.reachable and verdict.forward[-1].component == "i-b" and verdict.back[-1].component == "i-a", str(
        verdict
    )
    net.find("SecurityGroups", "sg-b")["IpPermissions"] = [allow("tcp", (443, 443), "10.0.0.0/8")]
    assert codes(net.ask("a", "2600:1f16:2::10")) == ["ENI_SG_RULES_MISMATCH"]


@pytest.mark.parametrize("kind", ["application", "network"])
def test_an_internet_facing_balancer_asked_from_inside(kind: str) -> None:
    net = balanced(kind, preserve="false" if kind == "network" else "")
    net.igw("igw-1", "vpc-a")
    net.route("rtb-a", "0.0.0.0/0", "igw-1")
    net.tables["LoadBalancers"][0]["Scheme"] = "internet-facing"
    for name, outer in (("eni-lb", "198.51.100.30"), ("eni-client", "198.51.100.31")):
        net.find("NetworkInterfaces", name)["PrivateIpAddresses"][0]["Association"] = {"PublicIp": outer}
    verdict = net.ask("client", "198.51.100.30")
    assert verdict.reachable, str(verdict)
    assert "i-server" in [hop.component for hop in verdict.forward] and verdict.back[-1].component == "i-client"
    assert says(net.ask("client", "front"), "assumed", "198.51.100.30")
    assert codes(net.ask("server", "198.51.100.30"))[0] != "IGW_NAT_REFLECTION"
    net.find("SecurityGroups", "sg-lb")["IpPermissions"] = [allow("tcp", (443, 443), "10.0.0.0/8")]
    assert codes(net.ask("client", "198.51.100.30")) == ["ENI_SG_RULES_MISMATCH"]


# --- the matrix on the same


@pytest.mark.parametrize("port", [443, "440-445", None])
@pytest.mark.parametrize("make", [
    lambda: to_itself("i-client"), lambda: to_itself("i-server", "i-client"), lambda: ruled(FIXED, FORWARD), lambda: ruled(REDIRECT, asked=False),
    two_zones, two_interfaces, two_public, lambda: two_public(False), lambda: answering(32768, 60999), lambda: ranged(),  # noqa: PLW0108
])  # fmt: skip
def test_the_matrix_says_the_same(make: Callable[[], Net], port: int | str | None) -> None:
    snapshot = make().snapshot()
    frame = matrix(snapshot, protocol="tcp", port=port)
    for one in frame.index:
        for other in frame.columns:
            assert frame.loc[one, other] == trace(snapshot, source=one, destination=other, port=port).status, (
                f"{one} {other}"
            )


# --- source addresses, ranges, which ports


def test_from_another_source_address() -> None:
    net = pair()
    eni = net.find("NetworkInterfaces", "eni-client")
    eni["PrivateIpAddresses"].append({"PrivateIpAddress": "10.0.1.11", "Primary": False})
    net.group("sg-one", "vpc-a", [allow("tcp", (443, 443), "10.0.1.11/32")], ALL)
    net.find("NetworkInterfaces", "eni-server")["Groups"] = [{"GroupId": "sg-one"}]
    assert net.ask("client", "server").status == "NOT_REACHABLE"
    assert net.ask("client", "server", source_address="10.0.1.11").reachable
    assert codes(net.ask("client", "server", source_address="10.7.7.7"))[0] == "ENI_SOURCE_DEST_CHECK_RESTRICTION"
    eni["SourceDestCheck"] = False
    net.find("SecurityGroups", "sg-one")["IpPermissions"] = [allow("tcp", (443, 443), "10.7.0.0/16")]
    lost = net.ask("client", "server", source_address="10.7.7.7")
    assert codes(lost) == ["return NO_ROUTE_TO_DESTINATION"]
    net.route("rtb-a", "10.7.0.0/16", "eni-client")
    assert net.ask("client", "server", source_address="10.7.7.7").reachable
    with pytest.raises(InputError):
        net.ask("client", "server", source_address="nonsense")


def test_from_one_address_of_the_internet() -> None:
    net = public()
    net.group("sg-few", "vpc-a", [allow("tcp", (443, 443), "203.0.113.0/24")], ALL)
    net.find("NetworkInterfaces", "eni-web")["Groups"] = [{"GroupId": "sg-few"}]
    assert net.ask("internet", "web", source_address="203.0.113.9").reachable
    assert net.ask("internet", "web", source_address="192.0.1.9").status == "NOT_REACHABLE"
    with pytest.raises(InputError, match="no address of the internet"):
        net.ask("internet", "web", source_address="10.0.0.1")


def ranged() -> Net:
    net = pair()
    net.group("sg-r", "vpc-a", [allow("tcp", (8000, 8100), "10.0.1.0/24"), allow("tcp", (22, 22), "10.0.1.0/24"), allow("tcp", (9000, 9000), "pl-9")], ALL)  # fmt: skip
    net.find("NetworkInterfaces", "eni-server")["Groups"] = [{"GroupId": "sg-r"}]
    net.acl("acl-s", "vpc-a", "subnet-s", entries=[entry(90, "deny", egress=False, protocol="6", ports=(8050, 8060)), entry(100, "allow", egress=False), entry(100, "allow", egress=True)])  # fmt: skip
    return net


def test_a_port_range_has_to_get_through_whole() -> None:
    net = ranged()
    assert net.ask("client", "server", "tcp", "8000-8049").reachable
    assert net.ask("client", "server", "tcp", "8000-8050").status == "NOT_REACHABLE"
    frame = matrix(net.snapshot(), protocol="tcp", port="8061-8100")
    assert frame.loc["eni-client", "eni-server"] == "REACHABLE"
    for bad in ("8100-8000", "1-70000", "a-b", "-5"):
        with pytest.raises(InputError):
            net.ask("client", "server", "tcp", bad)


def test_which_ports_get_through() -> None:
    snapshot = ranged().snapshot()
    answer = ports(snapshot, source="client", destination="server")
    assert answer.reachable == ((22, 22), (8000, 8049), (8061, 8100))
    assert answer.unknown == ((9000, 9000),)
    assert "8000-8049" in str(answer)
    spans = [*answer.reachable, *answer.not_reachable, *answer.unknown]
    assert sum(high - low + 1 for low, high in spans) == 65536
    for status, held in (("REACHABLE", answer.reachable), ("NOT_REACHABLE", answer.not_reachable)):
        for one in {port for span in held for port in span}:
            assert trace(snapshot, source="client", destination="server", port=one).status == status
    assert ports(snapshot, source="client", destination="server", port="8040-8070").reachable == (
        (8040, 8049),
        (8061, 8070),
    )
    assert ports(snapshot, source="client", destination="server", protocol="udp").reachable == ()
    with pytest.raises(InputError, match="has no ports"):
        ports(snapshot, source="client", destination="server", protocol="icmp")


def test_which_ports_of_a_balancer() -> None:
    assert ports(balanced().snapshot(), source="client", destination="front").reachable == ((443, 443),)


@pytest.mark.parametrize("table", ["ListenerRules", "TargetGroupAttributes", "LoadBalancerAttributes", "LoadBalancerListeners", "TargetGroups", "LoadBalancerTargetHealth", "NetworkInterfaces", "InternetGateways", "VpcBlockPublicAccessOptions", "Reservations"])  # fmt: skip
def test_taking_a_table_out_opens_nothing(table: str) -> None:
    blocked_rule = ruled(FIXED, FORWARD)
    blocked_rule.find("SecurityGroups", "sg-t")["IpPermissions"] = []
    nets: list[Snapshot] = [net.snapshot() for net in (blocked_rule, ruled(FIXED), ruled(FORWARD, FIXED), to_itself("i-client"), to_itself("i-server"), two_zones(), two_interfaces(), two_public(), two_public(False))]  # fmt: skip
    for snapshot in nets:
        for source in ("i-client", "i-web", "internet"):
            for destination in ("front", "i-server", "i-web", "198.51.100.77"):
                try:
                    whole = trace(snapshot, source=source, destination=destination, port=443)
                    less = trace(snapshot.without(table), source=source, destination=destination, port=443)
                except InputError:
                    continue
                assert whole.reachable or not less.reachable, f"{table}: {whole}\n{less}"
