"""A network in AWS's describe shapes, built a line at a time: for tests that say what one rule does."""

from __future__ import annotations

import ipaddress
from typing import Any

from netkit.core.model import Coverage, Verdict
from netkit.reach.engine.trace import trace
from netkit.reach.network.snapshot import TABLES, Snapshot

ACCOUNT, REGION = "123456789012", "us-east-1"
ALL = [
    {
        "IpProtocol": "-1",
        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
        "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
        "PrefixListIds": [],
        "UserIdGroupPairs": [],
    }
]
ACTIVE = {"Origin": "CreateRoute", "State": "active"}


def allow(protocol: str, ports: tuple[int, int] | None, *peers: str) -> dict[str, Any]:
    """One permission of a security group; a peer is a CIDR block, a prefix list or a group."""
    rule: dict[str, Any] = {
        "IpProtocol": protocol,
        "IpRanges": [],
        "Ipv6Ranges": [],
        "PrefixListIds": [],
        "UserIdGroupPairs": [],
    }
    if ports:
        rule |= {"FromPort": ports[0], "ToPort": ports[1]}
    for peer in peers:
        if peer.startswith("pl-"):
            rule["PrefixListIds"].append({"PrefixListId": peer})
        elif peer.startswith("sg-"):
            rule["UserIdGroupPairs"].append({"GroupId": peer, "UserId": ACCOUNT})
        elif ":" in peer:
            rule["Ipv6Ranges"].append({"CidrIpv6": peer})
        else:
            rule["IpRanges"].append({"CidrIp": peer})
    return rule


def entry(
    number: int,
    action: str,
    *,
    egress: bool,
    protocol: str = "-1",
    ports: tuple[int, int] | None = None,
    cidr: str = "0.0.0.0/0",
) -> dict[str, Any]:
    """One network ACL entry; for ICMP ports are type and code."""
    made: dict[str, Any] = {"RuleNumber": number, "RuleAction": action, "Egress": egress, "Protocol": protocol}
    made["Ipv6CidrBlock" if ":" in cidr else "CidrBlock"] = cidr
    if ports and protocol in ("6", "17"):
        made["PortRange"] = {"From": ports[0], "To": ports[1]}
    elif ports:
        made["IcmpTypeCode"] = {"Type": ports[0], "Code": ports[1]}
    return made


OPEN_ACL = [entry(100, "allow", egress=True), entry(100, "allow", egress=False), entry(32767, "deny", egress=True), entry(32767, "deny", egress=False)] + [
    made for egress in (True, False) for made in (entry(101, "allow", egress=egress, cidr="::/0"), entry(32768, "deny", egress=egress, cidr="::/0"))
]  # fmt: skip


class Net:
    """Tables that grow: n = Net(); n.vpc("vpc-a", "10.0.0.0/16"); n.host("web", "subnet-a", "10.0.0.5") ..."""

    def __init__(self) -> None:
        self.tables: dict[str, list[dict[str, Any]]] = {
            key: [] for key, table in TABLES.items() if table.operation and key not in ("SecurityGroupRules",)
        }
        self.tables["VpcBlockPublicAccessOptions"].append(
            {"AwsAccountId": ACCOUNT, "AwsRegion": REGION, "InternetGatewayBlockMode": "off", "State": "default-state"}
        )

    def find(self, key: str, name: str) -> dict[str, Any]:
        """The record of a table that has an id."""
        return next(one for one in self.tables[key] if one[TABLES[key].id] == name)

    def vpc(self, name: str, *blocks: str) -> None:
        """A VPC with a main route table rtb-<name>, a default ACL acl-<name> and an open group sg-<name>."""
        self.tables["Vpcs"].append({
            "VpcId": name,
            "CidrBlockAssociationSet": [{"CidrBlock": one, "CidrBlockState": {"State": "associated"}} for one in blocks if ":" not in one],
            "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": one, "Ipv6CidrBlockState": {"State": "associated"}} for one in blocks if ":" in one],
            "BlockPublicAccessStates": {"InternetGatewayBlockMode": "off"},
        })  # fmt: skip
        short = name.removeprefix("vpc-")
        self.table(f"rtb-{short}", name, main=True)
        self.tables["NetworkAcls"].append(
            {
                "NetworkAclId": f"acl-{short}",
                "VpcId": name,
                "IsDefault": True,
                "Associations": [],
                "Entries": list(OPEN_ACL),
            }
        )
        self.group(f"sg-{short}", name, ALL, ALL)

    def table(self, name: str, vpc: str, *subnets: str, main: bool = False, gateway: str = "") -> None:
        """A route table with the VPC's local routes."""
        blocks = next(one for one in self.tables["Vpcs"] if one["VpcId"] == vpc)
        local = [
            {
                "DestinationCidrBlock": one["CidrBlock"],
                "GatewayId": "local",
                "Origin": "CreateRouteTable",
                "State": "active",
            }
            for one in blocks["CidrBlockAssociationSet"]
        ]
        local += [
            {
                "DestinationIpv6CidrBlock": one["Ipv6CidrBlock"],
                "GatewayId": "local",
                "Origin": "CreateRouteTable",
                "State": "active",
            }
            for one in blocks["Ipv6CidrBlockAssociationSet"]
        ]
        held = (
            [{"Main": True}] * main
            + [{"Main": False, "SubnetId": one} for one in subnets]
            + ([{"Main": False, "GatewayId": gateway}] if gateway else [])
        )
        self.tables["RouteTables"].append(
            {"RouteTableId": name, "VpcId": vpc, "Associations": held, "Routes": local, "PropagatingVgws": []}
        )

    def route(self, table: str, destination: str, target: str, state: str = "active") -> None:
        """A route; the member of the target follows from its prefix."""
        member = {
            "nat": "NatGatewayId", "tgw": "TransitGatewayId", "pcx": "VpcPeeringConnectionId", "eigw": "EgressOnlyInternetGatewayId", "eni": "NetworkInterfaceId",
            "i": "InstanceId", "lgw": "LocalGatewayId",
        }.get(target.split("-")[0], "GatewayId")  # fmt: skip
        where = (
            "DestinationPrefixListId"
            if destination.startswith("pl-")
            else "DestinationIpv6CidrBlock"
            if ":" in destination
            else "DestinationCidrBlock"
        )
        self.find("RouteTables", table)["Routes"].append(
            {where: destination, member: target, "Origin": "CreateRoute", "State": state}
        )

    def subnet(self, name: str, vpc: str, *blocks: str, az: str = "us-east-1a") -> None:
        """A subnet."""
        self.tables["Subnets"].append({
            "SubnetId": name, "VpcId": vpc, "CidrBlock": blocks[0], "AvailabilityZone": az, "BlockPublicAccessStates": {"InternetGatewayBlockMode": "off"},
            "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": one, "Ipv6CidrBlockState": {"State": "associated"}} for one in blocks[1:]],
        })  # fmt: skip

    def acl(self, name: str, vpc: str, *subnets: str, entries: list[dict[str, Any]]) -> None:
        """A network ACL of some subnets."""
        held = [{"SubnetId": one, "NetworkAclId": name} for one in subnets]
        self.tables["NetworkAcls"].append(
            {"NetworkAclId": name, "VpcId": vpc, "IsDefault": False, "Associations": held, "Entries": entries}
        )

    def group(self, name: str, vpc: str, inbound: list[dict[str, Any]], outbound: list[dict[str, Any]]) -> None:
        """A security group."""
        self.tables["SecurityGroups"].append(
            {
                "GroupId": name,
                "GroupName": name,
                "VpcId": vpc,
                "IpPermissions": list(inbound),
                "IpPermissionsEgress": list(outbound),
            }
        )

    def interface(
        self,
        name: str,
        subnet: str,
        address: str,
        *,
        groups: tuple[str, ...] = (),
        public: str = "",
        v6: str = "",
        kind: str = "interface",
        **more: Any,
    ) -> None:
        """A network interface without an instance; groups default to the VPC's open one."""
        vpc = self.find("Subnets", subnet)["VpcId"]
        held = groups or ((f"sg-{vpc.removeprefix('vpc-')}",) if kind not in ("nat_gateway", "transit_gateway") else ())
        private: dict[str, Any] = {"PrivateIpAddress": address, "Primary": True}
        if public:
            private["Association"] = {"PublicIp": public}
        self.tables["NetworkInterfaces"].append({
            "NetworkInterfaceId": name, "InterfaceType": kind, "Status": "in-use", "SubnetId": subnet, "VpcId": vpc, "Description": "",
            "Groups": [{"GroupId": one} for one in held], "PrivateIpAddress": address, "PrivateIpAddresses": [private],
            "Ipv6Addresses": [{"Ipv6Address": v6}] if v6 else [], "SourceDestCheck": True, "Attachment": {"Status": "attached", "DeviceIndex": 0}, **more,
        })  # fmt: skip

    def host(
        self, name: str, subnet: str, address: str, *, platform: str = "", state: str = "running", **more: Any
    ) -> None:
        """An instance i-<name> named <name> with the interface eni-<name>."""
        self.interface(f"eni-{name}", subnet, address, **more)
        self.tables["NetworkInterfaces"][-1]["Attachment"] = {
            "Status": "attached",
            "DeviceIndex": 0,
            "InstanceId": f"i-{name}",
        }
        made = {"InstanceId": f"i-{name}", "State": {"Name": state}, "Tags": [{"Key": "Name", "Value": name}]} | (
            {"Platform": platform} if platform else {}
        )
        self.tables["Reservations"].append({"ReservationId": f"r-{name}", "Instances": [made]})

    def igw(self, name: str, vpc: str, state: str = "available") -> None:
        """An internet gateway."""
        self.tables["InternetGateways"].append(
            {"InternetGatewayId": name, "Attachments": [{"VpcId": vpc, "State": state}]}
        )

    def nat(self, name: str, subnet: str, address: str, public: str = "", **more: Any) -> None:
        """A NAT gateway with its interface eni-<name>."""
        self.interface(f"eni-{name}", subnet, address, public=public, kind="nat_gateway", SourceDestCheck=False)
        held = {"NetworkInterfaceId": f"eni-{name}", "PrivateIp": address, **({"PublicIp": public} if public else {})}
        self.tables["NatGateways"].append({
            "NatGatewayId": name, "State": "available", "SubnetId": subnet, "VpcId": self.find("Subnets", subnet)["VpcId"],
            "ConnectivityType": "public" if public else "private", "NatGatewayAddresses": [held], **more,
        })  # fmt: skip

    def peering(
        self, name: str, one: str, two: str, status: str = "active", regions: tuple[str, str] = (REGION, REGION)
    ) -> None:
        """A peering."""
        sides = []
        for vpc, region in zip((one, two), regions, strict=True):
            held = next((known for known in self.tables["Vpcs"] if known["VpcId"] == vpc), None)
            blocks = [{"CidrBlock": block["CidrBlock"]} for block in held["CidrBlockAssociationSet"]] if held else []
            sides.append({"VpcId": vpc, "Region": region, "OwnerId": ACCOUNT, "CidrBlockSet": blocks})
        self.tables["VpcPeeringConnections"].append(
            {
                "VpcPeeringConnectionId": name,
                "Status": {"Code": status},
                "RequesterVpcInfo": sides[0],
                "AccepterVpcInfo": sides[1],
            }
        )

    def transit(self, name: str, *vpcs: tuple[str, str, str], table: str = "tgw-rtb-1", **options: str) -> None:
        """A transit gateway with attachments (tgw-attach-x, vpc, subnet) that all use and propagate to one table."""
        self.tables["TransitGateways"].append({"TransitGatewayId": name, "State": "available", "Options": options})
        self.tables["TransitGatewayRouteTables"].append({"TransitGatewayRouteTableId": table, "TransitGatewayId": name})
        routes = []
        for attachment, vpc, subnet in vpcs:
            same = {"TransitGatewayAttachmentId": attachment, "TransitGatewayId": name, "State": "available"}
            self.tables["TransitGatewayAttachments"].append(
                {
                    **same,
                    "ResourceType": "vpc",
                    "ResourceId": vpc,
                    "Association": {"State": "associated", "TransitGatewayRouteTableId": table},
                }
            )
            self.tables["TransitGatewayVpcAttachments"].append(
                {**same, "VpcId": vpc, "SubnetIds": [subnet], "Options": {}}
            )
            blocks = next(one for one in self.tables["Vpcs"] if one["VpcId"] == vpc)["CidrBlockAssociationSet"]
            routes += [self.transit_route(one["CidrBlock"], attachment, vpc) for one in blocks]
        self.tables["TransitGatewayRoutes"].append(
            {"TransitGatewayRouteTableId": table, "Routes": routes, "AdditionalRoutesAvailable": False}
        )

    @staticmethod
    def transit_route(
        block: str,
        attachment: str,
        resource: str = "",
        *,
        kind: str = "vpc",
        origin: str = "propagated",
        state: str = "active",
    ) -> dict[str, Any]:
        """A route of a transit gateway route table."""
        held = (
            [{"TransitGatewayAttachmentId": attachment, "ResourceId": resource, "ResourceType": kind}]
            if attachment
            else []
        )
        return {"DestinationCidrBlock": block, "Type": origin, "State": state, "TransitGatewayAttachments": held}

    def snapshot(self) -> Snapshot:
        """Everything, as collected."""
        scope = (ACCOUNT, REGION)
        tables = {key: tuple(rows) for key, rows in self.tables.items()}
        coverage = tuple(Coverage(*scope, key, "ok" if rows else "empty", len(rows)) for key, rows in tables.items())
        return Snapshot({scope: tables}, coverage, "2026-11-23T12:00:00Z")

    def ask(
        self, source: str, destination: str, protocol: str | int = "tcp", port: int | None = None, **more: Any
    ) -> Verdict:
        """trace() on it; tcp/443 unless said."""
        if protocol == "tcp" and port is None and "every_port" not in more:
            port = 443
        more.pop("every_port", None)
        return trace(self.snapshot(), source=source, destination=destination, protocol=protocol, port=port, **more)


def codes(verdict: Verdict) -> list[str]:
    """The blockers' codes with their leg, in order."""
    return [one.code if one.leg == "forward" else f"return {one.code}" for one in verdict.blockers]


def kinds(hops: list[Any]) -> list[str]:
    """The types of some hops."""
    return [hop.type for hop in hops]


def pair() -> Net:
    """vpc-a with client and server in two subnets, everything open."""
    net = Net()
    net.vpc("vpc-a", "10.0.0.0/16")
    net.subnet("subnet-c", "vpc-a", "10.0.1.0/24")
    net.subnet("subnet-s", "vpc-a", "10.0.2.0/24", az="us-east-1b")
    net.host("client", "subnet-c", "10.0.1.10")
    net.host("server", "subnet-s", "10.0.2.10")
    return net


def two_vpcs() -> Net:
    """vpc-a with client and vpc-b with server, connected by nothing yet."""
    net = Net()
    for letter, block in (("a", "10.0.0.0/16"), ("b", "10.1.0.0/16")):
        net.vpc(f"vpc-{letter}", block)
        first = str(ipaddress.ip_network(block).network_address)[:-3]
        net.subnet(f"subnet-{letter}", f"vpc-{letter}", f"{first}1.0/24")
        net.host({"a": "client", "b": "server"}[letter], f"subnet-{letter}", f"{first}1.10")
    return net
