"""One packet at a time through describe answers, written plainly from AWS's pages and without netkit: a second opinion on trace().

It asks of one packet (protocol, addresses, ports) whether it arrives and whether its one reply comes back. No sets, no
explanations, no speed. The comments name the page whose rule a step follows.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

Record = dict[str, Any]
Tables = dict[str, list[Record]]


@dataclass(frozen=True)
class Packet:
    """A packet; for ICMP the destination port is type * 256 + code, and the source port is nothing."""

    protocol: int
    source: str
    destination: str
    source_port: int
    port: int

    def reply(self) -> Packet | None:
        """What answers it: ends swapped; an echo reply for an echo request."""
        if self.protocol == 1:
            if self.port >> 8 != 8:
                return None
            return Packet(1, self.destination, self.source, 0, self.port & 255)
        return Packet(self.protocol, self.destination, self.source, self.port, self.source_port)


def inside(address: str, block: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(block, strict=False)


class World:
    """The tables, and the questions that a router would ask them."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def one(self, table: str, key: str, value: str) -> Record:
        return next(record for record in self.tables[table] if record[key] == value)

    def interface_with(self, vpc: str, address: str) -> Record | None:
        return next(
            (
                one
                for one in self.tables["NetworkInterfaces"]
                if one["VpcId"] == vpc and one["PrivateIpAddress"] == address
            ),
            None,
        )

    def blocks(self, vpc: str) -> list[str]:
        held = self.one("Vpcs", "VpcId", vpc)["CidrBlockAssociationSet"]
        return [one["CidrBlock"] for one in held if one["CidrBlockState"]["State"] == "associated"]

    def table_of(self, subnet: Record) -> Record:
        """VPC guide, VPC_Route_Tables: the explicit association, else the main table."""
        for table in self.tables["RouteTables"]:
            if any(one.get("SubnetId") == subnet["SubnetId"] for one in table["Associations"]):
                return table
        return next(
            one
            for one in self.tables["RouteTables"]
            if one["VpcId"] == subnet["VpcId"] and any(held.get("Main") for held in one["Associations"])
        )

    def acl_of(self, subnet: Record) -> Record:
        """VPC guide, vpc-network-acls: the associated one, else the VPC's default."""
        for acl in self.tables["NetworkAcls"]:
            if any(one["SubnetId"] == subnet["SubnetId"] for one in acl["Associations"]):
                return acl
        return next(one for one in self.tables["NetworkAcls"] if one["VpcId"] == subnet["VpcId"] and one["IsDefault"])

    def acl_lets(self, subnet_id: str, packet: Packet, *, egress: bool) -> bool:
        """VPC guide, nacl-rules: lowest number first, the first that matches decides, else denied."""
        acl = self.acl_of(self.one("Subnets", "SubnetId", subnet_id))
        for entry in sorted(acl["Entries"], key=lambda one: one["RuleNumber"]):
            if entry["Egress"] != egress or "CidrBlock" not in entry or not _protocol_fits(entry["Protocol"], packet):
                continue
            if not inside(packet.destination if egress else packet.source, entry["CidrBlock"]):
                continue
            if (
                entry["Protocol"] in ("6", "17")
                and not entry["PortRange"]["From"] <= packet.port <= entry["PortRange"]["To"]
            ):
                continue
            if entry["Protocol"] == "1" and not _icmp_fits(
                entry["IcmpTypeCode"]["Type"], entry["IcmpTypeCode"]["Code"], packet
            ):
                continue
            return bool(entry["RuleAction"] == "allow")
        return False

    def groups_let(self, interface: Record, packet: Packet, far_groups: set[str], *, egress: bool) -> bool:
        """VPC guide, security-group-rules: any rule of any group; a reference means interfaces that carry the group."""
        if not interface["Groups"]:
            return True
        far = packet.destination if egress else packet.source
        for held in interface["Groups"]:
            group = self.one("SecurityGroups", "GroupId", held["GroupId"])
            for rule in group["IpPermissionsEgress" if egress else "IpPermissions"]:
                if not _protocol_fits(rule["IpProtocol"], packet) or not _ports_fit(rule, packet):
                    continue
                if any(inside(far, one["CidrIp"]) for one in rule["IpRanges"]):
                    return True
                lists = [self.prefix_list(one["PrefixListId"]) for one in rule["PrefixListIds"]]
                if any(inside(far, block) for blocks in lists for block in blocks):
                    return True
                if any(one["GroupId"] in far_groups for one in rule["UserIdGroupPairs"]):
                    return True
        return False

    def prefix_list(self, name: str) -> list[str]:
        return list(self.one("PrefixLists", "PrefixListId", name)["Cidrs"])

    def route(self, table: Record, address: str) -> Record | None:
        """VPC guide, route-tables-priority: the longest prefix; a static route before a prefix list's, before a propagated one.

        What is propagated never counts within the VPC's own blocks, where the local route is preferred.
        """
        own = any(inside(address, block) for block in self.blocks(table["VpcId"]))
        best: tuple[tuple[int, int], Record] | None = None
        for route in table["Routes"]:
            propagated = route["Origin"] == "EnableVgwRoutePropagation"
            if propagated and own:
                continue
            listed = "DestinationPrefixListId" in route
            blocks = (
                self.prefix_list(route["DestinationPrefixListId"])
                if listed
                else [route["DestinationCidrBlock"]]
                if "DestinationCidrBlock" in route
                else []
            )
            for block in blocks:
                rank = (ipaddress.ip_network(block).prefixlen, -1 if propagated else 0 if listed else 1)
                if inside(address, block) and (best is None or rank > best[0]):
                    best = rank, route
        return best[1] if best else None

    def alive(self, interface: Record) -> bool:
        instance = interface["Attachment"].get("InstanceId")
        if interface["Status"] != "in-use":
            return False
        if instance is None:
            return True
        states = [
            one["State"]["Name"]
            for held in self.tables["Reservations"]
            for one in held["Instances"]
            if one["InstanceId"] == instance
        ]
        return states == ["running"]


def _protocol_fits(word: str, packet: Packet) -> bool:
    return (
        word == "-1"
        or {"tcp": 6, "udp": 17, "icmp": 1}.get(word, int(word) if word.isdigit() else -2) == packet.protocol
    )


def _icmp_fits(kind: int, code: int, packet: Packet) -> bool:
    return kind == -1 or (kind == packet.port >> 8 and code in (-1, packet.port & 255))


def _ports_fit(rule: Record, packet: Packet) -> bool:
    if rule["IpProtocol"] == "-1" or packet.protocol not in (1, 6, 17):
        return True  # other protocols have no ports, whatever is written
    if packet.protocol == 1:
        return _icmp_fits(rule["FromPort"], rule["ToPort"], packet)
    return bool(rule["FromPort"] <= packet.port <= rule["ToPort"])


@dataclass
class Trip:
    """What happened on the way there that the way back depends on."""

    end: Record | None = None  # the interface it came to; None beyond an internet gateway
    by: str = ""  # the gateway it left by
    crossed: tuple[str, ...] = ()
    nat: Record | None = None
    before_nat: Packet | None = None
    arrived: Packet | None = None


def delivered(tables: Tables, packet: Packet, *, source: str = "", vpc: str = "") -> bool:
    """Whether the packet arrives and its reply comes back. source: the sending interface, or "internet" into `vpc`."""
    world = World(tables)
    sender = None if source == "internet" else world.one("NetworkInterfaces", "NetworkInterfaceId", source)
    trip = Trip()
    there = _from_internet(world, packet, vpc, trip) if sender is None else _send(world, sender, packet, trip, None)
    if there is None:
        return False
    reply = there.reply()
    return reply is None or _comes_back(world, trip, reply, sender, packet)


def _send(world: World, sender: Record, packet: Packet, trip: Trip, request: Trip | None) -> Packet | None:
    """Out of an interface. request: the trip that this replies to; then groups are not asked (they are stateful)."""
    if not world.alive(sender):
        return None
    subnet = world.one("Subnets", "SubnetId", sender["SubnetId"])
    if request is None and not world.groups_let(sender, packet, _seen_groups_out(world, sender, packet), egress=True):
        return None
    if inside(packet.destination, subnet["CidrBlock"]):
        return _into_vpc(world, sender["VpcId"], packet, trip, request, sender, came_from=sender["SubnetId"])
    if not world.acl_lets(sender["SubnetId"], packet, egress=True):
        return None
    if (
        request
        and request.nat
        and packet.destination == request.nat["NatGatewayAddresses"][0]["PrivateIp"]
        and any(one.startswith("pcx") for one in request.crossed)
    ):
        return _into_vpc(
            world, request.nat["VpcId"], packet, trip, request, sender, came_from=""
        )  # NAT guide: remembered
    return _routed(world, sender["VpcId"], subnet, packet, trip, request, sender, depth=0)


def _seen_groups_out(world: World, sender: Record, packet: Packet) -> set[str]:
    """Whose groups an outbound rule may name: of an interface in this VPC, or over an active peering in this Region."""
    near = world.interface_with(sender["VpcId"], packet.destination)
    if near:
        return {one["GroupId"] for one in near["Groups"]}
    subnet = world.one("Subnets", "SubnetId", sender["SubnetId"])
    route = world.route(world.table_of(subnet), packet.destination)
    if route and "VpcPeeringConnectionId" in route:
        peering = next(
            (
                one
                for one in world.tables["VpcPeeringConnections"]
                if one["VpcPeeringConnectionId"] == route["VpcPeeringConnectionId"]
            ),
            None,
        )
        far = _other_side(peering, sender["VpcId"]) if peering and peering["Status"]["Code"] == "active" else None
        met = world.interface_with(far, packet.destination) if far and _same_region(peering) else None
        return {one["GroupId"] for one in met["Groups"]} if met else set()
    return set()


def _same_region(peering: Record | None) -> bool:
    return bool(peering) and peering["RequesterVpcInfo"]["Region"] == peering["AccepterVpcInfo"]["Region"]  # type: ignore[index]


def _other_side(peering: Record, vpc: str) -> str | None:
    one, two = peering["RequesterVpcInfo"]["VpcId"], peering["AccepterVpcInfo"]["VpcId"]
    return two if one == vpc else one if two == vpc else None


def _routed(
    world: World,
    vpc: str,
    subnet: Record,
    packet: Packet,
    trip: Trip,
    request: Trip | None,
    sender: Record | None,
    *,
    depth: int,
) -> Packet | None:
    if depth > 5:
        return None
    route = world.route(world.table_of(subnet), packet.destination)
    if route is None or route["State"] != "active":
        return None
    if route.get("GatewayId") == "local":
        return _into_vpc(world, vpc, packet, trip, request, sender, came_from=subnet["SubnetId"])
    if "VpcPeeringConnectionId" in route:
        return _over_peering(world, vpc, packet, trip, request, sender, route["VpcPeeringConnectionId"])
    if "TransitGatewayId" in route:
        return _over_transit(world, vpc, subnet, packet, trip, request, sender, route["TransitGatewayId"], depth)
    if "NatGatewayId" in route:
        return _through_nat(world, vpc, subnet, packet, trip, request, route["NatGatewayId"], depth)
    if str(route.get("GatewayId", "")).startswith("igw-"):
        return _out_by_igw(world, vpc, packet, trip, request, sender, route["GatewayId"])
    if str(route.get("GatewayId", "")).startswith("vpce-"):
        return _to_endpoint(world, vpc, packet, trip, request, route["GatewayId"])
    raise NotImplementedError(route)


def _over_peering(
    world: World, vpc: str, packet: Packet, trip: Trip, request: Trip | None, sender: Record | None, name: str
) -> Packet | None:
    """Peering guide: active, addresses of the two VPCs only."""
    peering = world.one("VpcPeeringConnections", "VpcPeeringConnectionId", name)
    far = _other_side(peering, vpc)
    if peering["Status"]["Code"] != "active" or far is None:
        return None
    if not any(inside(packet.source, block) for block in world.blocks(vpc)) or not any(
        inside(packet.destination, block) for block in world.blocks(far)
    ):
        return None
    trip.crossed += (f"pcx {'near' if _same_region(peering) else 'far'}",)
    return _into_vpc(world, far, packet, trip, request, sender, came_from="")


def _over_transit(
    world: World,
    vpc: str,
    subnet: Record,
    packet: Packet,
    trip: Trip,
    request: Trip | None,
    sender: Record | None,
    name: str,
    depth: int,
) -> Packet | None:
    """Transit gateway guide: how-transit-gateways-work, tgw-nacls."""
    transit = world.one("TransitGateways", "TransitGatewayId", name)
    mine = [
        one
        for one in world.tables["TransitGatewayAttachments"]
        if one["ResourceId"] == vpc and one["State"] == "available"
    ]
    if transit["State"] != "available" or not mine:
        return None
    attachment = world.one(
        "TransitGatewayVpcAttachments", "TransitGatewayAttachmentId", mine[0]["TransitGatewayAttachmentId"]
    )
    zone = subnet["AvailabilityZone"]
    doors = [
        one for one in attachment["SubnetIds"] if world.one("Subnets", "SubnetId", one)["AvailabilityZone"] == zone
    ]
    if not doors or not world.acl_lets(doors[0], packet, egress=False):
        return None
    table = mine[0].get("Association", {}).get("TransitGatewayRouteTableId")
    if not table:
        return None
    route = _transit_route(world, table, packet.destination)
    if route is None or route["State"] != "active":
        return None
    there = world.one(
        "TransitGatewayVpcAttachments",
        "TransitGatewayAttachmentId",
        route["TransitGatewayAttachments"][0]["TransitGatewayAttachmentId"],
    )
    if there["State"] != "available":
        return None
    refers = transit["Options"].get("SecurityGroupReferencingSupport") == "enable"
    trip.crossed += (f"tgw {'refers' if refers else 'bare'}",)
    held = [world.one("Subnets", "SubnetId", one) for one in there["SubnetIds"]]
    landing = next((one for one in held if one["AvailabilityZone"] == zone), held[0])
    target = world.interface_with(there["VpcId"], packet.destination)
    if target and target["SubnetId"] == landing["SubnetId"]:
        return _into_vpc(world, there["VpcId"], packet, trip, request, sender, came_from=landing["SubnetId"])
    if not world.acl_lets(landing["SubnetId"], packet, egress=True):
        return None
    return _routed(world, there["VpcId"], landing, packet, trip, request, sender, depth=depth + 1)


def _transit_route(world: World, table: str, address: str) -> Record | None:
    held = world.one("TransitGatewayRoutes", "TransitGatewayRouteTableId", table)["Routes"]
    fits = [one for one in held if inside(address, one["DestinationCidrBlock"])]
    return max(
        fits,
        key=lambda one: (ipaddress.ip_network(one["DestinationCidrBlock"]).prefixlen, one["Type"] == "static"),
        default=None,
    )


def _through_nat(
    world: World, vpc: str, subnet: Record, packet: Packet, trip: Trip, request: Trip | None, name: str, depth: int
) -> Packet | None:
    """NAT gateway guide: TCP, UDP and ICMP, begun inside its VPC; then its own subnet's ACL and routes."""
    nat = world.one("NatGateways", "NatGatewayId", name)
    if request is not None or nat["State"] != "available" or nat["VpcId"] != vpc or packet.protocol not in (1, 6, 17):
        return None
    home = world.one("Subnets", "SubnetId", nat["SubnetId"])
    if home["SubnetId"] != subnet["SubnetId"] and not world.acl_lets(home["SubnetId"], packet, egress=False):
        return None
    trip.nat, trip.before_nat = nat, packet
    own = nat["NatGatewayAddresses"][0]["PrivateIp"]
    out = replace(packet, source=own, source_port=0 if packet.protocol == 1 else NAT_PORT)
    trip.crossed += ("nat",)
    face = world.interface_with(vpc, own)
    if inside(out.destination, home["CidrBlock"]):
        return _into_vpc(world, vpc, out, trip, request, face, came_from=home["SubnetId"])
    if not world.acl_lets(home["SubnetId"], out, egress=True):
        return None
    return _routed(world, vpc, home, out, trip, request, face, depth=depth + 1)


NAT_PORT = 30000  # one of the ports that a NAT gateway may choose


def _private(address: str) -> bool:
    return any(inside(address, block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))


def _out_by_igw(
    world: World, vpc: str, packet: Packet, trip: Trip, request: Trip | None, sender: Record | None, name: str
) -> Packet | None:
    """Internet gateway guide: attached, a public address for the source, a public destination."""
    gateway = world.one("InternetGateways", "InternetGatewayId", name)
    if not any(one["VpcId"] == vpc and one["State"] in ("available", "attached") for one in gateway["Attachments"]):
        return None
    public = _public(sender) if sender and sender["PrivateIpAddress"] == packet.source else None
    if public is None or _private(packet.destination):
        return None
    met = next((one for one in world.tables["NetworkInterfaces"] if _public(one) == packet.destination), None)
    if met is not None:
        return _in_again(world, replace(packet, source=public), met, trip, request, sender)
    trip.by, trip.arrived = name, replace(packet, source=public)
    return trip.arrived


def _in_again(
    world: World, packet: Packet, met: Record, trip: Trip, request: Trip | None, sender: Record | None
) -> Packet | None:
    """A public address of a host in the same or another VPC: in by that VPC's gateway, from a public address, so groups are not seen."""
    trip.crossed += ("igw",)
    doors = [
        held for one in world.tables["InternetGateways"] for held in one["Attachments"] if held["VpcId"] == met["VpcId"]
    ]
    if not any(one["State"] in ("available", "attached") for one in doors):
        return None
    inner = replace(packet, destination=met["PrivateIpAddress"])
    return _into_vpc(world, met["VpcId"], inner, trip, request, sender, came_from="")


def _public(interface: Record) -> str | None:
    held = interface["PrivateIpAddresses"][0].get("Association", {}).get("PublicIp")
    return str(held) if held else None


def _to_endpoint(world: World, vpc: str, packet: Packet, trip: Trip, request: Trip | None, name: str) -> Packet | None:
    """PrivateLink guide, gateway-endpoints: its own VPC's addresses, TCP and ping."""
    endpoint = world.one("VpcEndpoints", "VpcEndpointId", name)
    ping = packet.protocol == 1 and packet.port >> 8 == 8
    own = any(inside(packet.source, block) for block in world.blocks(vpc))
    if request is not None or endpoint["State"] != "available" or not (packet.protocol == 6 or ping) or not own:
        return None
    trip.by = name
    return packet


def _into_vpc(
    world: World, vpc: str, packet: Packet, trip: Trip, request: Trip | None, sender: Record | None, *, came_from: str
) -> Packet | None:
    found = world.interface_with(vpc, packet.destination)
    if found is None:
        return None
    if came_from != found["SubnetId"] and not world.acl_lets(found["SubnetId"], packet, egress=False):
        return None
    if found["InterfaceType"] == "nat_gateway":
        return _back_through_nat(world, found, packet, trip, request)
    if found["InterfaceType"] != "interface" or not world.alive(found):
        return None
    if request is None and not world.groups_let(found, packet, _seen_groups_in(trip, sender), egress=False):
        return None
    trip.end = found
    return packet


def _seen_groups_in(trip: Trip, sender: Record | None) -> set[str]:
    """VPC, peering and transit gateway guides: where the sender's groups are still known."""
    if sender is None or any(one in ("nat", "igw", "pcx far", "tgw bare") for one in trip.crossed):
        return set()
    return {one["GroupId"] for one in sender["Groups"]}


def _back_through_nat(world: World, face: Record, packet: Packet, trip: Trip, request: Trip | None) -> Packet | None:
    if (
        request is None
        or request.nat is None
        or request.before_nat is None
        or request.nat["NatGatewayAddresses"][0]["NetworkInterfaceId"] != face["NetworkInterfaceId"]
    ):
        return None
    asked = request.before_nat
    back = replace(packet, destination=asked.source, port=packet.port if packet.protocol == 1 else asked.source_port)
    home = world.one("Subnets", "SubnetId", face["SubnetId"])
    rest = replace_nat(request)
    if inside(back.destination, home["CidrBlock"]):
        return _into_vpc(world, face["VpcId"], back, trip, rest, face, came_from=home["SubnetId"])
    if not world.acl_lets(home["SubnetId"], back, egress=True):
        return None
    return _routed(world, face["VpcId"], home, back, trip, rest, face, depth=0)


def replace_nat(request: Trip) -> Trip:
    return Trip(request.end, request.by, request.crossed, None, None, request.arrived)


def _from_internet(world: World, packet: Packet, vpc: str, trip: Trip) -> Packet | None:
    """To a public address of an interface of the VPC, by its internet gateway."""
    gateways = [
        one["InternetGatewayId"]
        for one in world.tables["InternetGateways"]
        if any(held["VpcId"] == vpc and held["State"] in ("available", "attached") for held in one["Attachments"])
    ]
    target = next(
        (
            one
            for one in world.tables["NetworkInterfaces"]
            if one["VpcId"] == vpc and _public(one) == packet.destination
        ),
        None,
    )
    if not gateways or target is None:
        return None
    trip.by = gateways[0]
    return _into_vpc(
        world, vpc, replace(packet, destination=target["PrivateIpAddress"]), trip, None, None, came_from=""
    )


def _comes_back(world: World, trip: Trip, reply: Packet, sender: Record | None, first: Packet) -> bool:
    back = Trip()
    if trip.end is not None:
        got = _send(world, trip.end, reply, back, trip)
        if sender is None:  # it must leave by the internet gateway, from the address that was asked
            return got is not None and back.by.startswith("igw-") and got.source == first.destination
        return (
            got is not None and back.end is not None and back.end["NetworkInterfaceId"] == sender["NetworkInterfaceId"]
        )
    vpc = next(_vpcs_of(world, trip.by))
    if trip.by.startswith("igw-"):
        face = next(
            one
            for one in world.tables["NetworkInterfaces"]
            if one["VpcId"] == vpc and _public(one) == reply.destination
        )
        reply = replace(reply, destination=face["PrivateIpAddress"])
    got = _into_vpc(world, vpc, reply, back, trip, None, came_from="")
    return (
        got is not None
        and back.end is not None
        and sender is not None
        and back.end["NetworkInterfaceId"] == sender["NetworkInterfaceId"]
    )


def _vpcs_of(world: World, gateway: str) -> Iterator[str]:
    for one in world.tables["InternetGateways"]:
        if one["InternetGatewayId"] == gateway:
            yield from (held["VpcId"] for held in one["Attachments"])
    for one in world.tables["VpcEndpoints"]:
        if one["VpcEndpointId"] == gateway:
            yield one["VpcId"]
