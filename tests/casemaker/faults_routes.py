"""Routes, gateways and peering."""

from __future__ import annotations

from .case import Case, dims
from .registry import fault
from .traffic import OK, Fate, Path, Place, lost, refused, reply_lost, to_internet
from .world import ALL4


def _lose(c: Case, names: list[str], at: int = 1) -> None:
    for name in names:
        c.usual(name, c.after(lost(at)))


@fault("route-missing")
def route_missing(c: Case) -> None:
    """The application's table loses its route to the tools."""
    c.freeze()
    c.w.drop_route("app", c.id("tools-cidr"))
    c.cause(c.at, "ec2", "DeleteRoute", {"routeTableId": c.id("rtb-app"), "destinationCidrBlock": c.id("tools-cidr")})
    _lose(c, ["tools-1", "tools-2"])
    # The default route is still there: what has no route of its own goes to the NAT gateway and dies there.
    c.w.drop_route("app", ALL4)
    c.before["RouteTables"] = [_without(t, c.id("rtb-app")) for t in c.before["RouteTables"]]
    for n in (1, 2):
        del c.talks[f"out-{n}"]
    for n in (1, 2):
        c.usual(f"metrics-{n}", c.after(reply_lost(1)))
    c.ask(c.eni("app-1").name, c.eni("tools").name, 8443, "tools API: timeout from all application hosts")
    c.blame(c.id("rtb-app"), cleared=(c.id("sg-tools"), c.id("tgw-rtb"), c.id("acl-app")))


def _without(table: dict, rtb: str) -> dict:  # type: ignore[type-arg]
    return table | {
        "Routes": [r for r in table["Routes"] if table["RouteTableId"] != rtb or r.get("DestinationCidrBlock") != ALL4]
    }


@fault("route-blackhole")
def route_blackhole(c: Case) -> None:
    """The NAT gateway is deleted, the route to it stays."""
    c.freeze()
    nat = c.id("nat")
    c.w.route("app", ALL4)["State"] = "blackhole"
    c.w.row("NatGateways", "NatGatewayId", nat)["State"] = "deleted"
    c.w.tables["NetworkInterfaces"] = [
        e for e in c.w.tables["NetworkInterfaces"] if e["NetworkInterfaceId"] != c.eni("nat").id
    ]
    c.cause(
        c.at,
        "ec2",
        "DeleteNatGateway",
        {"DeleteNatGatewayRequest": {"NatGatewayId": nat}},
        {"DeleteNatGatewayResponse": {"natGatewayId": nat}},
    )
    _lose(c, ["out-1", "out-2"])
    c.ask(c.eni("app-2").name, c.service, 443, "no outbound calls to the payment provider")
    c.blame(c.id("rtb-app"), nat, cleared=(c.id("sg-app"), c.id("acl-app"), c.id("igw")))


@fault("return-route-missing")
def return_route_missing(c: Case) -> None:
    """The tools' table loses its route back."""
    c.freeze()
    c.w.drop_route("tools", c.id("main-cidr"))
    c.cause(c.at, "ec2", "DeleteRoute", {"routeTableId": c.id("rtb-tools"), "destinationCidrBlock": c.id("main-cidr")})
    for n in (1, 2):
        c.usual(f"tools-{n}", c.after(reply_lost(1)))
    _lose(c, ["metrics-1", "metrics-2"])
    c.ask(
        c.eni("app-1").name,
        c.eni("tools").name,
        8443,
        "requests reach the tools host, we see them in tcpdump, but nothing comes back",
    )
    c.blame(c.id("rtb-tools"), cleared=(c.id("rtb-app"), c.id("sg-tools"), c.id("tgw")))


@fault("peering-not-active")
def peering_not_active(c: Case) -> None:
    """The peering is deleted; the routes stay as blackholes."""
    c.freeze()
    pcx = c.id("pcx")
    c.w.row("VpcPeeringConnections", "VpcPeeringConnectionId", pcx)["Status"] = {
        "Code": "deleted",
        "Message": "Deleted by owner",
    }
    for table in c.w.tables["RouteTables"]:
        for r in table["Routes"]:
            if r.get("VpcPeeringConnectionId") == pcx:
                r["State"] = "blackhole"
    c.cause(c.at, "ec2", "DeleteVpcPeeringConnection", {"vpcPeeringConnectionId": pcx})
    _lose(c, ["partner-1", "partner-2", "report"])
    c.ask(c.eni("app-1").name, c.eni("partner").ip, 443, "partner's API is not reachable")
    c.blame(pcx, cleared=(c.id("sg-partner"), c.id("acl-partner"), c.id("sg-app")))


@fault("no-public-address")
def no_public_address(c: Case) -> None:
    """The host in a public subnet loses its Elastic IP address."""
    w = c.w
    public = "18.199.7.41"
    w.group("edge", "main", [])
    edge = w.instance("edge", "public-b", "edge", public=public)
    alloc, assoc = w.new("eipalloc"), w.new("eipassoc")
    w.tables["Addresses"].append({"PublicIp": public, "AllocationId": alloc, "AssociationId": assoc, "Domain": "vpc", "InstanceId": edge.instance,
                                  "NetworkInterfaceId": edge.id, "PrivateIpAddress": edge.ip})  # fmt: skip
    c.freeze()
    row = w.row("NetworkInterfaces", "NetworkInterfaceId", edge.id)
    row.pop("Association")
    row["PrivateIpAddresses"][0].pop("Association")
    for key in ("AssociationId", "InstanceId", "NetworkInterfaceId", "PrivateIpAddress"):
        w.row("Addresses", "AllocationId", alloc).pop(key)
    c.cause(c.at, "ec2", "DisassociateAddress", {"associationId": assoc})
    c.talk("edge", to_internet(edge, c.service), 443, fate=c.after(lost(1)))
    c.ask(edge.name, c.service, 443, "edge proxy cannot fetch from the origin")
    c.blame(edge.id, cleared=(c.id("sg-edge"), c.id("rtb-public"), c.id("acl-public"), c.id("igw")))


def _nat_instance(c: Case, *, check: bool) -> None:
    """A NAT instance in place of the gateway for the database's subnets."""
    w = c.w
    from .world import permission

    w.group("natbox", "main", [permission("-1", None, cidrs=[c.id("main-cidr")])])
    w.instance("natbox", "public-b", "natbox", "t3.small", public="18.156.20.9", check=check)
    w.add_route("db", ALL4, "NetworkInterfaceId", c.eni("natbox").id)
    w.route("db", ALL4)["InstanceId"] = c.eni("natbox").instance


def _through(c: Case, *, translated: bool) -> Path:
    db, box, to = c.eni("db"), c.eni("natbox"), c.service
    out = Place(box, "egress", box.ip if translated else db.ip, to, path="8")
    there = (Place(db, "egress", db.ip, to, path="1"), Place(box, "ingress", db.ip, to), out)
    back = (
        Place(box, "ingress", to, box.ip),
        Place(box, "egress", to, db.ip, path="1"),
        Place(db, "ingress", to, db.ip),
    )
    return Path(there, back)


@fault("source-dest-check")
def source_dest_check(c: Case) -> None:
    """Somebody switches the check of the NAT instance on."""
    _nat_instance(c, check=False)
    c.freeze()
    box = c.eni("natbox")
    c.w.row("NetworkInterfaces", "NetworkInterfaceId", box.id)["SourceDestCheck"] = True
    c.w.row("Reservations", "InstanceId", box.instance)["SourceDestCheck"] = True
    c.cause(c.at, "ec2", "ModifyInstanceAttribute", {"instanceId": box.instance, "sourceDestCheck": {"value": True}})
    c.talk("updates", _through(c, translated=True), 443, fate=c.after(lost(1)))
    c.ask(c.eni("db").name, c.service, 443, "database host cannot fetch its updates")
    c.blame(box.id, cleared=(c.id("rtb-db"), c.id("sg-natbox"), c.id("acl-public"), c.id("nat")))


@fault("nat-instance-not-translating")
def nat_instance_not_translating(c: Case) -> None:
    """The NAT instance loses its masquerade rule at a reboot."""
    _nat_instance(c, check=False)
    c.freeze()
    good, bad = _through(c, translated=True), _through(c, translated=False)
    c.talk("updates", good, 443, fate=lambda t, _p: OK if t < c.at else Fate("absent"))
    c.talk("updates-bad", bad, 443, fate=lambda t, _p: lost(3) if t >= c.at else Fate("absent"))
    box = c.eni("natbox")
    c.metric(
        "AWS/EC2", "NetworkIn", dims(InstanceId=box.instance), c.step(c.noise(9_000_000), c.noise(60_000)), "Sum", 300
    )
    c.ask(c.eni("db").name, c.service, 443, "database host cannot fetch its updates")
    c.blame(box.instance, box.id, cleared=(c.id("rtb-db"), c.id("sg-natbox"), c.id("acl-public")))
    c.silent_since()


@fault("block-public-access")
def block_public_access(c: Case) -> None:
    """Block Public Access is switched on for the Region."""
    from .base import CUSTOM

    c.fields = [*CUSTOM, "reject-reason"]
    for row in c.w.tables["FlowLogs"]:
        row["LogFormat"] = " ".join(f"${{{f}}}" for f in c.fields)
    c.freeze()
    w = c.w
    w.tables["VpcBlockPublicAccessOptions"] |= {
        "InternetGatewayBlockMode": "block-bidirectional",
        "State": "update-complete",
    }
    for table in ("Vpcs", "Subnets"):
        for row in w.tables[table]:
            row["BlockPublicAccessStates"] = {"InternetGatewayBlockMode": "block-bidirectional"}
    c.cause(
        c.at,
        "ec2",
        "ModifyVpcBlockPublicAccessOptions",
        {"ModifyVpcBlockPublicAccessOptionsRequest": {"InternetGatewayBlockMode": "block-bidirectional"}},
    )
    for z in "ab":
        c.usual(f"user-{z}", c.after(refused(0, "BPA")))
    for n in (1, 2):
        c.usual(f"out-{n}", c.after(refused(2, "BPA")))
    c.ask("internet", c.id("lb-web"), 443, "the shop is gone from the internet, the hosts are fine")
    public = c.id("subnet-public-a")
    c.blame(c.id("main"), public, c.id("subnet-public-b"), cleared=(c.id("sg-lb"), c.id("acl-public"), c.id("igw")))
