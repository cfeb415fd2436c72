"""Preflight: what keeps copies from arriving is named, what is not known stays so, and what cannot stop a copy is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from little_net import ALL, Net, allow, entry, pair, two_vpcs

from netkit.core.errors import InputError
from netkit.core.model import Coverage
from netkit.investigate.mirror_preflight import ALWAYS_POSSIBLE, COLUMNS, causes, preflight, preflight_of
from netkit.mirror.filters import MirrorFilter, parse_filter
from netkit.mirror.read import Mirrors
from netkit.reach import Snapshot, load_snapshot, trace
from netkit.reach.network.network import network_of

BATFISH = Path(__file__).parents[1].parent / "shared" / "data" / "reach" / "batfish"
NLB = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/probe/50dc6c495c0c9188"
GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/probe/73e2d6bc24d8a067"
WEB = "web: tcp 80,443"
SOURCE, TARGET = "eni-client", "eni-server"
NOTHING = Mirrors((), (), ())
WAY = ("route", "security group", "network ACL")


def asked(net: Net | Snapshot, held: Mirrors = NOTHING, **changes: Any) -> pd.DataFrame:
    wanted: dict[str, Any] = {"sources": [SOURCE], "target": TARGET, "filter": WEB}
    return preflight(net.snapshot() if isinstance(net, Net) else net, held, **wanted | changes)


def state(found: pd.DataFrame, check: str) -> str:
    """The one state of a check."""
    (one,) = found.loc[found["check"].eq(check), "state"]
    return str(one)


def says(found: pd.DataFrame, check: str) -> str:
    return "; ".join(found.loc[found["check"].eq(check), "says"])


def session(name: str, number: int, rules: str, interface: str = SOURCE, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """A session and its filter, as AWS describes them."""
    made = parse_filter(rules)
    record: dict[str, Any] = {"TrafficMirrorFilterId": f"tmf-{name}", "NetworkServices": list(made.network_services)}
    for key, direction in (("IngressFilterRules", "ingress"), ("EgressFilterRules", "egress")):
        record[key] = [one.request() for one in made.rules if one.direction == direction]
    one = {
        "TrafficMirrorSessionId": f"tms-{name}", "TrafficMirrorFilterId": f"tmf-{name}", "TrafficMirrorTargetId": "tmt-1",
        "NetworkInterfaceId": interface, "SessionNumber": number, **more,
    }  # fmt: skip
    return one, record


def held(*pairs: tuple[dict[str, Any], dict[str, Any]], target: str = TARGET) -> Mirrors:
    targets = ({"TrafficMirrorTargetId": "tmt-1", "Type": "network-interface", "NetworkInterfaceId": target},)
    return Mirrors(tuple(one for one, _ in pairs), tuple(rules for _, rules in pairs), targets)


# ------------------------------------------------------------------------------------------------------- the way there


def test_nothing_is_in_the_way() -> None:
    net = pair()
    for one in net.tables["Reservations"]:
        one["Instances"][0]["InstanceType"] = "t3.micro"
    found = asked(net)
    assert tuple(found.columns) == COLUMNS
    assert set(found["state"]) == {"ok", "unknown"}
    assert found.loc[found["state"].eq("unknown"), "check"].tolist() == ["MTU"]
    assert found.loc[found["state"].ne("ok"), "next_step"].ne("").all()


def test_udp_4789_closed_at_the_target() -> None:
    net = pair()
    net.group("sg-closed", "vpc-a", [allow("tcp", (4789, 4789), "0.0.0.0/0"), allow("udp", (4790, 4790), "0.0.0.0/0")], ALL)  # fmt: skip
    net.find("NetworkInterfaces", TARGET)["Groups"] = [{"GroupId": "sg-closed"}]
    found = asked(net)
    assert [state(found, check) for check in WAY] == ["ok", "fails", "ok"]
    assert "sg-closed" in says(found, "security group")
    assert causes(found)[0].startswith(f"security group of {SOURCE} to {TARGET}")
    net.group("sg-open", "vpc-a", [allow("udp", (4789, 4789), "sg-a")], [])  # by a reference to the source's own group
    net.find("NetworkInterfaces", TARGET)["Groups"] = [{"GroupId": "sg-closed"}, {"GroupId": "sg-open"}]
    assert state(asked(net), "security group") == "ok"


def test_what_cannot_stop_a_copy_is_left_out() -> None:
    """The source's own outbound group, and whatever would stop a reply: there is none."""
    net = pair()
    net.group("sg-silent", "vpc-a", ALL, [])
    net.find("NetworkInterfaces", SOURCE)["Groups"] = [{"GroupId": "sg-silent"}, {"GroupId": "sg-not-collected"}]
    net.acl("acl-one-way", "vpc-a", "subnet-s", entries=[entry(1, "allow", egress=False, protocol="17", ports=(4789, 4789))])  # fmt: skip
    assert trace(net.snapshot(), source=SOURCE, destination=TARGET, protocol="udp", port=4789).status == "NOT_REACHABLE"
    found = asked(net)
    assert [state(found, check) for check in WAY] == ["ok", "ok", "ok"], found.to_string()
    net.find("NetworkInterfaces", SOURCE)["Groups"] = [{"GroupId": "sg-silent"}]
    assert [state(asked(net), check) for check in WAY] == ["ok", "ok", "ok"]


@pytest.mark.parametrize(("subnet", "egress"), [("subnet-c", True), ("subnet-s", False)])
def test_a_network_acl_is_in_the_way(subnet: str, egress: bool) -> None:
    net = pair()
    rules = [entry(1, "deny", egress=egress, protocol="17", ports=(4000, 5000)), entry(2, "allow", egress=egress)]
    net.acl("acl-tight", "vpc-a", subnet, entries=rules)
    found = asked(net)
    assert [state(found, check) for check in WAY] == ["ok", "ok", "fails"]
    assert "acl-tight" in says(found, "network ACL")


def test_no_route_to_another_vpc_and_one_by_peering() -> None:
    net = two_vpcs()
    found = asked(net)
    assert state(found, "route") == "fails"
    assert "no route" in says(found, "route")
    net.peering("pcx-1", "vpc-a", "vpc-b")
    net.route("rtb-a", "10.1.0.0/16", "pcx-1")  # and none back: no copy needs it
    assert [state(asked(net), check) for check in WAY] == ["ok", "ok", "ok"]
    assert "pcx-1" in says(asked(net), "route")


def test_ways_that_aws_does_not_name_for_copies() -> None:
    net = two_vpcs()
    net.peering("pcx-far", "vpc-a", "vpc-b", regions=("us-east-1", "eu-west-1"))
    net.route("rtb-a", "10.1.0.0/16", "pcx-far")
    found = asked(net)
    assert state(found, "route") == "warning"
    assert "pcx-far" in says(found, "route")
    assert any(one.startswith("route") for one in causes(found))


def test_mirrors_that_could_not_be_read_are_unknown() -> None:
    rows = tuple(Coverage("", "", table, "denied") for table in ("TrafficMirrorSessions", "TrafficMirrorTargets"))
    found = asked(pair(), Mirrors((), (), (), rows), target="tmt-0123456789abcdef0")
    assert (state(found, "sessions"), state(found, "target")) == ("unknown", "unknown")


def test_what_was_not_collected_is_unknown_and_never_open() -> None:
    whole = pair().snapshot()
    for table, check in (("SecurityGroups", "security group"), ("NetworkAcls", "network ACL"), ("RouteTables", "route")):  # fmt: skip
        found = asked(whole.without(table))
        assert state(found, check) == "unknown", table
        assert table in says(found, check) or "not collected" in says(found, check)
        assert any(one.startswith(check) for one in causes(found))
    away = asked(whole, target="eni-0123456789abcdef0")
    assert {state(away, check) for check in WAY} == {"unknown"}
    assert "another account" in says(away, "target")


# ---------------------------------------------------------------------------------------------------- sources, sessions


@pytest.mark.parametrize(
    ("members", "wanted", "words"),
    [
        ({"InterfaceType": "nat_gateway"}, "fails", "type nat_gateway"),
        ({"RequesterManaged": True, "Description": "ELB app/web/1"}, "fails", "RDS and ElastiCache"),
        ({"RequesterManaged": True, "RequesterId": "amazon-rds", "Description": "RDSNetworkInterface"}, "ok", ""),
        ({"Status": "available"}, "fails", "attached to nothing"),
        ({"PrivateIpAddresses": [], "PrivateIpAddress": None, "Ipv6Addresses": [{"Ipv6Address": "fd00::5"}]}, "fails", "IPv6-only"),
    ],
)  # fmt: skip
def test_what_aws_takes_as_a_source(members: dict[str, Any], wanted: str, words: str) -> None:
    net = pair()
    net.find("NetworkInterfaces", SOURCE).update(members)
    found = asked(net)
    assert state(found, "source") == wanted
    assert words in says(found, "source")


def test_a_stopped_source_a_missing_one_and_the_target_itself() -> None:
    net = pair()
    net.tables["Reservations"][0]["Instances"][0]["State"]["Name"] = "stopped"
    found = asked(net, sources=[SOURCE, "eni-gone", TARGET])
    by_source = found[found["check"].eq("source")].set_index("subject")
    assert by_source["state"].tolist() == ["fails"] * 3
    assert "stopped" in by_source.loc[SOURCE, "says"]
    assert "its own target" in by_source.loc[TARGET, "says"]
    assert not found.loc[found["check"].eq("route"), "state"].eq("fails").any()


def test_a_family_that_is_not_listed_warns() -> None:
    net = pair()
    net.tables["Reservations"][0]["Instances"][0]["InstanceType"] = "t2.micro"
    assert state(asked(net), "instance family") == "warning"


def test_sessions_of_an_interface() -> None:
    three = [session(f"{one}", one, WEB) for one in (1, 2, 5)]
    assert state(asked(pair(), held(*three[:2])), "sessions") == "ok"
    assert "number 3" in says(asked(pair(), held(*three[:2])), "sessions")
    assert "a fourth is refused" in says(asked(pair(), held(*three)), "sessions")
    taken = asked(pair(), held(*three[:2]), number=2)
    assert state(taken, "sessions") == "fails"
    assert "tms-2" in says(taken, "sessions")
    # A session of one's own is not in its own way.
    own = asked(pair(), held(*three), name="tms-5")
    assert "2 other sessions of 3, numbers 1, 2; this one is number 5" in says(own, "sessions")


# ------------------------------------------------------------------------------------------------------- rule algebra


def test_which_packets_another_session_takes_first() -> None:
    found = asked(pair(), held(session("https", 1, "tcp 443")), number=2)
    assert state(found, "taken first") == "warning"
    assert "session 1 (tms-https) takes ingress tcp" in says(found, "taken first")
    assert "443" in says(found, "taken first")
    assert "port 80" not in says(found, "taken first")

    every = asked(pair(), held(session("all", 1, "all")), number=2)
    assert state(every, "taken first") == "fails"
    assert causes(every)[0].startswith("taken first")
    parts = asked(pair(), held(session("a", 1, "tcp 80"), session("b", 2, "tcp 400-500")), number=3)
    assert state(parts, "taken first") == "fails", "two sessions together take every packet"
    rejected = asked(pair(), held(session("none", 1, "reject tcp 80,443\nall")), number=2)
    assert state(rejected, "taken first") == "ok", "what the other rejects is left to this one"
    elsewhere = asked(pair(), held(session("all", 1, "all", interface="eni-else")), number=2)
    assert state(elsewhere, "taken first") == "ok"


def test_a_filter_that_cannot_be_seen_is_unknown() -> None:
    one, _ = session("theirs", 1, WEB)
    found = asked(pair(), Mirrors((one,), (), ()), number=2)
    assert state(found, "taken first") == "unknown"
    assert "tms-theirs" in says(found, "taken first")


def test_a_session_that_would_lose_packets_to_this_one() -> None:
    found = asked(pair(), held(session("there", 5, "tcp 1-100")), number=1)
    assert state(found, "takes from others") == "warning"
    assert "tms-there" in says(found, "takes from others")
    assert not asked(pair(), held(session("there", 5, "udp 53"))).check.eq("takes from others").any()


def test_filters_that_take_nothing_or_half() -> None:
    assert state(asked(pair(), filter="reject tcp 80"), "filter") == "fails"
    half = MirrorFilter(parse_filter(WEB).of_direction("ingress"))
    found = asked(pair(), filter=half)
    assert state(found, "both directions") == "warning"
    assert "egress packets of tcp/443, tcp/80" in says(found, "both directions") or "tcp/80, tcp/443" in says(found, "both directions")  # fmt: skip
    assert not asked(pair()).check.eq("both directions").any()


# ------------------------------------------------------------------------------------------------------------- targets


def balanced(
    *, protocol: str = "UDP", port: int = 4789, group_port: int = 4789, health: str = "healthy", cross: str = "true"
) -> Net:
    net = pair()
    net.interface("eni-nlb", "subnet-s", "10.0.2.40", kind="network_load_balancer", Description="ELB net/probe/50dc6c495c0c9188")  # fmt: skip
    net.find("NetworkInterfaces", "eni-nlb")["Groups"] = []
    zones = [{"ZoneName": f"us-east-1{one}", "SubnetId": place} for one, place in (("a", "subnet-c"), ("b", "subnet-s"))]  # fmt: skip
    net.tables["LoadBalancers"].append({"LoadBalancerArn": NLB, "LoadBalancerName": "probe", "Type": "network", "State": {"Code": "active"}, "VpcId": "vpc-a", "AvailabilityZones": zones, "Scheme": "internal"})  # fmt: skip
    net.tables["LoadBalancerListeners"].append({"LoadBalancerArn": NLB, "Listeners": [{"ListenerArn": "l", "Protocol": protocol, "Port": port, "DefaultActions": [{"Type": "forward", "TargetGroupArn": GROUP}]}]})  # fmt: skip
    net.tables["LoadBalancerAttributes"].append({"LoadBalancerArn": NLB, "Attributes": [{"Key": "load_balancing.cross_zone.enabled", "Value": cross}]})  # fmt: skip
    net.tables["TargetGroups"].append({"TargetGroupArn": GROUP, "TargetGroupName": "probe", "Protocol": "UDP", "Port": group_port, "TargetType": "instance", "VpcId": "vpc-a", "LoadBalancerArns": [NLB]})  # fmt: skip
    net.tables["TargetGroupAttributes"].append({"TargetGroupArn": GROUP, "Attributes": [{"Key": "preserve_client_ip.enabled", "Value": "true"}, {"Key": "load_balancing.cross_zone.enabled", "Value": "use_load_balancer_configuration"}]})  # fmt: skip
    net.tables["LoadBalancerTargetHealth"].append({"TargetGroupArn": GROUP, "TargetHealthDescriptions": [{"Target": {"Id": "i-server", "Port": group_port}, "TargetHealth": {"State": health}}]})  # fmt: skip
    return net


def test_a_network_load_balancer_as_it_should_be() -> None:
    found = asked(balanced(), target=NLB)
    for check in ("target", "listener", "target group", "target health", "cross-zone", *WAY):
        assert state(found, check) == "ok", (check, found.to_string())
    assert not found["check"].eq("sources per target").any()


@pytest.mark.parametrize(
    ("changes", "check", "wanted"),
    [
        ({"protocol": "TCP"}, "listener", "fails"),
        ({"port": 4790}, "listener", "fails"),
        ({"group_port": 4790}, "target group", "fails"),
        ({"health": "unhealthy"}, "target health", "fails"),
        ({"cross": "false"}, "cross-zone", "warning"),
    ],
)  # fmt: skip
def test_what_a_load_balancer_lacks(changes: dict[str, Any], check: str, wanted: str) -> None:
    found = asked(balanced(**changes), target=NLB)
    assert state(found, check) == wanted
    assert any(one.startswith(check) for one in causes(found))


def test_a_closed_analysis_host_behind_a_load_balancer() -> None:
    net = balanced()
    net.group("sg-closed", "vpc-a", [], ALL)
    net.find("NetworkInterfaces", TARGET)["Groups"] = [{"GroupId": "sg-closed"}]
    assert state(asked(net, target=NLB), "security group") == "fails"


def test_a_gateway_load_balancer_endpoint() -> None:
    net = pair()
    net.interface("eni-gwlbe", "subnet-s", "10.0.2.50", kind="gateway_load_balancer_endpoint")
    net.find("NetworkInterfaces", "eni-gwlbe")["Groups"] = []
    net.tables["VpcEndpoints"].append({"VpcEndpointId": "vpce-1", "VpcEndpointType": "GatewayLoadBalancer", "State": "available", "VpcId": "vpc-a", "ServiceName": "s", "NetworkInterfaceIds": ["eni-gwlbe"], "SubnetIds": ["subnet-s"]})  # fmt: skip
    found = asked(net, target="vpce-1", source_mtu=9001)
    assert [state(found, check) for check in ("target", *WAY)] == ["ok"] * 4, found.to_string()
    assert state(found, "MTU") == "warning"
    net.find("VpcEndpoints", "vpce-1")["State"] = "pendingAcceptance"
    assert state(asked(net, target="vpce-1"), "target") == "fails"
    net.find("VpcEndpoints", "vpce-1").update(State="available", VpcEndpointType="Interface")
    assert "type interface" in says(asked(net, target="vpce-1"), "target")


def test_how_many_sources_an_interface_takes() -> None:
    def count(many: int) -> str:
        others = [session(f"{one}", 1, WEB, interface=f"eni-{one}") for one in range(many - 1)]
        return state(asked(pair(), held(*others)), "sources per target")

    assert [count(many) for many in (10, 11, 100, 101)] == ["ok", "warning", "warning", "fails"]


def test_a_target_that_cannot_be_seen() -> None:
    assert state(asked(pair(), target="tmt-0123456789abcdef0"), "target") == "fails"
    assert state(asked(pair(), held(), target="tmt-1"), "target") == "ok"


@pytest.mark.parametrize(
    ("mtus", "wanted"), [((9001, 9001), "warning"), ((8947, 9001), "ok"), ((8948, 9001), "warning"), ((1500, None), "unknown")]
)  # fmt: skip
def test_room_for_the_outer_headers(mtus: tuple[int, int | None], wanted: str) -> None:
    assert state(asked(pair(), source_mtu=mtus[0], target_mtu=mtus[1]), "MTU") == wanted


@pytest.mark.parametrize(("length", "wanted"), [(None, "ok"), (65535, "ok"), (128, "warning"), (34, "fails")])
def test_packet_lengths(length: int | None, wanted: str) -> None:
    assert state(asked(pair(), packet_length=length), "packet length") == wanted


# -------------------------------------------------------------------------------------------------- causes, bad input


def test_causes_begin_with_what_fails_and_end_with_what_no_call_shows() -> None:
    net = pair()
    net.acl("acl-none", "vpc-a", "subnet-s", entries=[])
    told = causes(asked(net, held(session("all", 1, "tcp 443")), number=2))
    assert told[0].startswith("network ACL")
    assert [one.split(" of ")[0] for one in told[1:3]] == ["taken first", "instance family"]
    assert tuple(told[-len(ALWAYS_POSSIBLE) :]) == ALWAYS_POSSIBLE
    assert not any("MTU" in one for one in told), "a packet that is cut is not an empty capture"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sources": []}, "no source"),
        ({"target": NLB.replace("/net/", "/gwy/")}, "its endpoint is"),
        ({"target": "sg-0123456789abcdef0"}, "8 or 17"),
        ({"number": 0}, "session number 0"),
        ({"packet_length": 8501}, "packet length 8501"),
        ({"filter": "\n".join(f"tcp {port}" for port in range(80, 90, 2)) + "\nudp 1"}, "AWS takes 10"),
    ],
)  # fmt: skip
def test_bad_input(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        asked(pair(), **changes)
    assert words in str(caught.value)


def test_of_a_session_that_is_there() -> None:
    mirrors = held(session("mine", 2, WEB, PacketLength=128), session("first", 1, "tcp 443"))
    found = preflight_of(pair().snapshot(), mirrors, "tms-mine")
    assert state(found, "taken first") == "warning"
    assert state(found, "sessions") == "ok"
    assert "128" in says(found, "packet length")
    with pytest.raises(InputError, match="no mirror session"):
        preflight_of(pair().snapshot(), mirrors, "tms-none")


# ------------------------------------------------------------------------------------------- on accounts of others


@pytest.mark.skipif(not BATFISH.is_dir(), reason="../shared/data/reach is not here")
@pytest.mark.parametrize("name", ["test-vpc-peering", "test-transit-gateway", "test-subnet"])
def test_batfishs_accounts_with_the_source_opened(name: str) -> None:
    """Preflight fails where a trace of the forward way fails once the source's own groups let everything out, and nowhere else."""
    snapshot = load_snapshot(BATFISH / name)
    hosts = [one.id for one in network_of(snapshot).interfaces.values() if one.instance]
    seen = set()
    for source in hosts:
        groups = network_of(snapshot).interfaces[source].groups
        records = [dict(one) for _, one in snapshot.records("SecurityGroups")]
        for one in records:
            if one["GroupId"] in groups:
                one["IpPermissionsEgress"] = ALL
        opened = snapshot.with_records("SecurityGroups", records)
        for target in hosts:
            if source == target:
                continue
            verdict = trace(opened, source=source, destination=target, protocol="udp", port=4789)
            expected = any(one.leg == "forward" and one.code != "BAD_STATE" for one in verdict.blockers)
            found = asked(snapshot, sources=[source], target=target)
            fails = found.loc[found["check"].isin(WAY), "state"].eq("fails").any()
            assert fails == expected, (source, target, str(verdict), found.to_string())
            seen.add(bool(fails))
    assert seen, "the account has two instances or more"
