"""Random small networks for hypothesis: two or three VPCs, few hosts, and rules from pools so small that they collide."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from little_net import ALL, OPEN_ACL, Net, allow, entry

CIDRS = (
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.0.0.0/16",
    "10.1.0.0/16",
    "10.0.1.0/24",
    "10.0.2.0/24",
    "10.1.1.0/24",
    "10.0.1.10/32",
    "10.1.1.10/32",
    "203.0.113.0/24",
)
PORTS = ((443, 443), (0, 65535), (1024, 65535), (400, 500), (0, 1023), (30000, 30000), (40000, 61000))
OUTSIDE = "203.0.113.9"


@st.composite
def entries(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The entries of a network ACL: a few at random before an open or a closed end."""
    made = []
    for number in draw(st.lists(st.integers(1, 40), max_size=4, unique=True)):
        protocol = draw(st.sampled_from(("-1", "6", "17", "1")))
        ports = (
            draw(st.sampled_from(PORTS))
            if protocol in ("6", "17")
            else draw(st.sampled_from(((-1, -1), (8, 0), (0, 0), (8, -1))))
        )
        made.append(
            entry(
                number,
                draw(st.sampled_from(("allow", "deny"))),
                egress=draw(st.booleans()),
                protocol=protocol,
                ports=ports,
                cidr=draw(st.sampled_from(CIDRS)),
            )
        )
    return made + (
        list(OPEN_ACL) if draw(st.integers(0, 3)) else [one for one in OPEN_ACL if one["RuleNumber"] > 32000]
    )


@st.composite
def permissions(draw: st.DrawFn, groups: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rules of a security group in one direction."""
    if draw(st.integers(0, 2)) == 0:
        return list(ALL)
    made = []
    for _ in range(draw(st.integers(0, 2))):
        protocol = draw(st.sampled_from(("tcp", "tcp", "udp", "icmp", "47", "-1")))
        ports = (
            draw(st.sampled_from(PORTS))
            if protocol in ("tcp", "udp")
            else draw(st.sampled_from(((-1, -1), (8, 0), (8, -1))))
            if protocol == "icmp"
            else None
        )
        made.append(allow(protocol, ports, draw(st.sampled_from((*CIDRS, *groups, "pl-1")))))
    return made


@st.composite
def small_networks(draw: st.DrawFn) -> Net:
    """A network of two VPCs with what connects them, or does not."""
    net = Net()
    net.tables["PrefixLists"].append(
        {
            "PrefixListId": "pl-1",
            "PrefixListName": "com.amazonaws.us-east-1.s3",
            "Cidrs": ["203.0.113.0/28", "10.1.1.0/26"],
        }
    )
    groups = ("sg-1", "sg-2", "sg-3")
    for letter in "ab":
        _vpc(draw, net, letter)
    for place, name in enumerate(groups):
        net.group(name, "vpc-a" if place < 2 else "vpc-b", draw(permissions(groups)), draw(permissions(groups)))
    _hosts(draw, net)
    _between(draw, net)
    return net


def _vpc(draw: st.DrawFn, net: Net, letter: str) -> None:
    vpc, head = f"vpc-{letter}", "10.0" if letter == "a" else "10.1"
    net.vpc(vpc, f"{head}.0.0/16")
    for number in (1, 2):
        net.subnet(
            f"subnet-{letter}{number}",
            vpc,
            f"{head}.{number}.0/24",
            az=draw(st.sampled_from(("us-east-1a", "us-east-1b"))),
        )
    if draw(st.booleans()):
        net.acl(f"acl-{letter}1", vpc, f"subnet-{letter}1", entries=draw(entries()))
    net.find("NetworkAcls", f"acl-{letter}")["Entries"] = (
        draw(entries()) if draw(st.integers(0, 2)) == 0 else list(OPEN_ACL)
    )
    if draw(st.booleans()):
        net.table(f"rtb-{letter}1", vpc, f"subnet-{letter}1")
    if draw(st.booleans()):
        net.igw(f"igw-{letter}", vpc, state=draw(st.sampled_from(("available", "available", "detaching"))))
        for table in _tables(net, vpc):
            if draw(st.booleans()):
                net.route(
                    table,
                    draw(st.sampled_from(("0.0.0.0/0", "203.0.113.0/24"))),
                    f"igw-{letter}",
                    state=draw(st.sampled_from(("active", "active", "active", "blackhole"))),
                )
    if draw(st.integers(0, 2)) == 0:
        _propagated(draw, net, vpc, head)
    if draw(st.integers(0, 2)) == 0:
        net.tables["VpcEndpoints"].append(
            {
                "VpcEndpointId": f"vpce-{letter}",
                "VpcEndpointType": "Gateway",
                "State": draw(st.sampled_from(("available", "deleting"))),
                "VpcId": vpc,
                "ServiceName": "com.amazonaws.us-east-1.s3",
                "RouteTableIds": [],
            }
        )
        net.route(draw(st.sampled_from(_tables(net, vpc))), "pl-1", f"vpce-{letter}")


def _propagated(draw: st.DrawFn, net: Net, vpc: str, head: str) -> None:
    """A VPN gateway that propagates a block within the VPC's own, as nobody should."""
    gateway = f"vgw-{vpc[-1]}"
    net.tables["VpnGateways"].append({"VpnGatewayId": gateway, "VpcAttachments": [{"VpcId": vpc, "State": "attached"}]})
    for table in _tables(net, vpc):
        block = draw(st.sampled_from((f"{head}.1.0/24", f"{head}.2.10/32", f"{head}.0.0/17")))
        net.route(table, block, gateway, state=draw(st.sampled_from(("active", "blackhole"))))
        net.find("RouteTables", table)["Routes"][-1]["Origin"] = "EnableVgwRoutePropagation"
        net.find("RouteTables", table)["PropagatingVgws"] = [{"GatewayId": gateway}]


def _tables(net: Net, vpc: str) -> list[str]:
    return [one["RouteTableId"] for one in net.tables["RouteTables"] if one["VpcId"] == vpc]


def _hosts(draw: st.DrawFn, net: Net) -> None:
    for letter, head in (("a", "10.0"), ("b", "10.1")):
        for number in (1, 2):
            held = draw(
                st.lists(st.sampled_from(("sg-1", "sg-2", "sg-3", f"sg-{letter}")), min_size=1, max_size=2, unique=True)
            )
            public = f"198.51.100.{ord(letter) - 96}{number}" if draw(st.booleans()) else ""
            state = draw(st.sampled_from(("running",) * 7 + ("stopped",)))
            net.host(
                f"{letter}{number}",
                f"subnet-{letter}{number}",
                f"{head}.{number}.10",
                groups=tuple(sorted(held)),
                public=public,
                state=state,
            )
    if draw(st.booleans()):
        net.nat("nat-1", "subnet-a2", "10.0.2.200", draw(st.sampled_from(("198.51.100.200", ""))))
        net.tables["NatGateways"][0]["State"] = draw(st.sampled_from(("available",) * 4 + ("failed",)))
        held = [
            table
            for table in _tables(net, "vpc-a")
            if not any(
                route.get("DestinationCidrBlock") == "0.0.0.0/0" for route in net.find("RouteTables", table)["Routes"]
            )
        ]
        if held:
            net.route(held[-1], "0.0.0.0/0", "nat-1")


def _between(draw: st.DrawFn, net: Net) -> None:
    if draw(st.booleans()):
        regions = draw(st.sampled_from((("us-east-1", "us-east-1"), ("us-east-1", "eu-west-1"))))
        net.peering(
            "pcx-1", "vpc-a", "vpc-b", status=draw(st.sampled_from(("active",) * 4 + ("deleted",))), regions=regions
        )
        _lead(draw, net, "pcx-1")
    if draw(st.booleans()):
        net.transit(
            "tgw-1",
            ("tgw-attach-a", "vpc-a", draw(st.sampled_from(("subnet-a1", "subnet-a2")))),
            ("tgw-attach-b", "vpc-b", draw(st.sampled_from(("subnet-b1", "subnet-b2")))),
            SecurityGroupReferencingSupport=draw(st.sampled_from(("enable", "disable"))),
        )
        routes = net.tables["TransitGatewayRoutes"][0]["Routes"]
        if draw(st.integers(0, 3)) == 0:
            net.tables["TransitGatewayAttachments"][draw(st.integers(0, 1))]["Association"] = {}
        if draw(st.integers(0, 3)) == 0:
            routes.pop()
        if draw(st.integers(0, 3)) == 0:
            routes.append(net.transit_route("10.1.1.0/24", "", state="blackhole", origin="static"))
        _lead(draw, net, "tgw-1")


def _lead(draw: st.DrawFn, net: Net, target: str) -> None:
    for vpc, far in (("vpc-a", "10.1"), ("vpc-b", "10.0")):
        for table in _tables(net, vpc):
            destination = draw(st.sampled_from((f"{far}.0.0/16", f"{far}.1.0/24", "10.0.0.0/8", "")))
            held = [route.get("DestinationCidrBlock") for route in net.find("RouteTables", table)["Routes"]]
            if destination and destination not in held:
                net.route(table, destination, target, state=draw(st.sampled_from(("active",) * 5 + ("blackhole",))))
