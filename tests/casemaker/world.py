"""One account's network in the shapes of AWS's describe calls: built by hand, changed by hand, written down as a snapshot."""

from __future__ import annotations

import copy
import ipaddress
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]

LIST_TABLES = [
    "Vpcs",
    "Subnets",
    "RouteTables",
    "NetworkAcls",
    "SecurityGroups",
    "NetworkInterfaces",
    "Reservations",
    "InternetGateways",
    "EgressOnlyInternetGateways",
    "NatGateways",
    "Addresses",
    "VpcPeeringConnections",
    "VpcEndpoints",
    "PrefixLists",
    "ManagedPrefixLists",
    "ManagedPrefixListEntries",
    "TransitGateways",
    "TransitGatewayAttachments",
    "TransitGatewayVpcAttachments",
    "TransitGatewayRouteTables",
    "TransitGatewayRoutes",
    "TransitGatewayPropagations",
    "VpnConnections",
    "VpnGateways",
    "CustomerGateways",
    "LoadBalancers",
    "LoadBalancerListeners",
    "LoadBalancerAttributes",
    "ListenerAttributes",
    "TargetGroups",
    "TargetGroupAttributes",
    "LoadBalancerTargetHealth",
    "HostedZonesByVpc",
    "Firewalls",
    "FirewallPolicies",
    "FirewallRuleGroups",
    "VpcBlockPublicAccessExclusions",
    "FlowLogs",
]
REGIONS = {"eu-central-1": "euc1", "us-west-2": "usw2", "ap-northeast-1": "apne1", "eu-north-1": "eun1"}
PROJECTS = ("harbor", "quill", "tundra", "maple", "kestrel", "lumen")
ALL4, ALL6 = "0.0.0.0/0", "::/0"


def cidr_range(cidr: str) -> Row:
    return {"CidrIpv6": cidr} if ":" in cidr else {"CidrIp": cidr}


def permission(proto: str, port: int | None, *, cidrs: Iterable[str] = (), groups: Iterable[Row] = ()) -> Row:
    """One rule of a security group; port None is all of them."""
    cidrs = list(cidrs)
    rule: Row = {
        "IpProtocol": proto,
        "IpRanges": [{"CidrIp": c} for c in cidrs if ":" not in c],
        "Ipv6Ranges": [{"CidrIpv6": c} for c in cidrs if ":" in c],
        "UserIdGroupPairs": list(groups),
        "PrefixListIds": [],
    }
    return rule if port is None else rule | {"FromPort": port, "ToPort": port}


def entry(
    number: int, egress: bool, action: str, cidr: str, proto: str = "-1", ports: tuple[int, int] | None = None
) -> Row:
    """One entry of a network ACL."""
    row: Row = {"RuleNumber": number, "Egress": egress, "RuleAction": action, "Protocol": proto}
    row |= {"Ipv6CidrBlock": cidr} if ":" in cidr else {"CidrBlock": cidr}
    return row | ({"PortRange": {"From": ports[0], "To": ports[1]}} if ports else {})


@dataclass
class Eni:
    """A network interface as the traffic script needs it."""

    id: str
    ip: str
    vpc: str
    subnet: str
    zone: str
    zone_id: str
    instance: str = "-"
    group: str = ""
    name: str = ""
    public: str = ""
    ip6: str = ""


@dataclass
class World:
    """The tables of one account and Region, and the names of what is in them."""

    rng: random.Random
    account: str = ""
    region: str = ""
    project: str = ""
    tables: dict[str, Any] = field(default_factory=dict)
    enis: dict[str, Eni] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.account = str(self.rng.randrange(100_000_000_000, 999_999_999_999))
        self.region = self.rng.choice(sorted(REGIONS))
        self.project = self.rng.choice(PROJECTS)
        self.tables = {name: [] for name in LIST_TABLES}
        self.tables["VpcBlockPublicAccessOptions"] = {
            "AwsAccountId": self.account, "AwsRegion": self.region, "InternetGatewayBlockMode": "off", "State": "default-state",
        }  # fmt: skip

    def new(self, prefix: str) -> str:
        return f"{prefix}-{self.rng.getrandbits(68):017x}"

    def arn(self, service: str, rest: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{rest}"

    def row(self, table: str, key: str, value: str) -> Row:
        """The row of a table whose key has the value; an instance is searched within its reservation."""
        rows = self.tables[table]
        if table == "Reservations":
            rows = [i for r in rows for i in r["Instances"]]
        found = [r for r in rows if r.get(key) == value]
        if not found:
            raise KeyError(f"{table} has no {key} {value}")
        result: Row = found[0]
        return result

    def zone(self, letter: str) -> tuple[str, str]:
        return f"{self.region}{letter}", f"{REGIONS[self.region]}-az{ord(letter) - 94}"

    # -- VPC and what lies in it
    def vpc(self, name: str, cidr: str) -> str:
        vpc = self.ids[name] = self.new("vpc")
        self.tables["Vpcs"].append({
            "VpcId": vpc, "CidrBlock": cidr, "OwnerId": self.account, "IsDefault": False, "State": "available",
            "CidrBlockAssociationSet": [{"CidrBlock": cidr, "CidrBlockState": {"State": "associated"}}],
            "Ipv6CidrBlockAssociationSet": [], "BlockPublicAccessStates": {"InternetGatewayBlockMode": "off"},
            "Tags": [{"Key": "Name", "Value": f"{self.project}-{name}"}],
        })  # fmt: skip
        self.table(f"{name}-main", name, main=True)
        self.acl(f"{name}-default", name, default=True)
        self.ids[f"{name}-cidr"] = cidr
        return vpc

    def table(self, name: str, vpc: str, routes: Iterable[Row] = (), *, main: bool = False) -> str:
        rtb = self.ids[f"rtb-{name}"] = self.new("rtb")
        cidr = self.row("Vpcs", "VpcId", self.ids[vpc])["CidrBlock"]
        local = {"DestinationCidrBlock": cidr, "GatewayId": "local", "State": "active", "Origin": "CreateRouteTable"}
        self.tables["RouteTables"].append({
            "RouteTableId": rtb, "VpcId": self.ids[vpc], "OwnerId": self.account, "PropagatingVgws": [], "Tags": [],
            "Associations": [{"Main": True, "RouteTableId": rtb, "AssociationState": {"State": "associated"}}] if main else [],
            "Routes": [local, *routes],
        })  # fmt: skip
        return rtb

    def acl(self, name: str, vpc: str, entries: Iterable[Row] = (), *, default: bool = False) -> str:
        acl = self.ids[f"acl-{name}"] = self.new("acl")
        rows = list(entries) or [entry(100, e, "allow", ALL4) for e in (True, False)]
        rows += [entry(32767, e, "deny", ALL4) for e in (True, False)]
        self.tables["NetworkAcls"].append({
            "NetworkAclId": acl, "VpcId": self.ids[vpc], "OwnerId": self.account, "IsDefault": default, "Associations": [],
            "Entries": rows, "Tags": [],
        })  # fmt: skip
        return acl

    def subnet(self, name: str, vpc: str, cidr: str, zone: str, rtb: str, acl: str) -> str:
        subnet = self.ids[f"subnet-{name}"] = self.new("subnet")
        zone_name, zone_id = self.zone(zone)
        self.tables["Subnets"].append({
            "SubnetId": subnet, "VpcId": self.ids[vpc], "CidrBlock": cidr, "AvailabilityZone": zone_name,
            "AvailabilityZoneId": zone_id, "OwnerId": self.account, "State": "available",
            "AvailableIpAddressCount": ipaddress.ip_network(cidr).num_addresses - 6,
            "BlockPublicAccessStates": {"InternetGatewayBlockMode": "off"}, "Ipv6CidrBlockAssociationSet": [],
            "Tags": [{"Key": "Name", "Value": f"{self.project}-{name}"}],
        })  # fmt: skip
        table = self.row("RouteTables", "RouteTableId", self.ids[f"rtb-{rtb}"])
        table["Associations"].append({"SubnetId": subnet, "Main": False, "AssociationState": {"State": "associated"}})
        self.row("NetworkAcls", "NetworkAclId", self.ids[f"acl-{acl}"])["Associations"].append({"SubnetId": subnet})
        return subnet

    def group(self, name: str, vpc: str, ingress: Iterable[Row] = (), egress: Iterable[Row] | None = None) -> str:
        group = self.ids[f"sg-{name}"] = self.new("sg")
        out = [permission("-1", None, cidrs=[ALL4, ALL6])] if egress is None else list(egress)
        self.tables["SecurityGroups"].append({
            "GroupId": group, "GroupName": f"{self.project}-{name}", "VpcId": self.ids[vpc], "OwnerId": self.account,
            "Description": name, "IpPermissions": list(ingress), "IpPermissionsEgress": out, "Tags": [],
        })  # fmt: skip
        return group

    def pair(self, group: str) -> Row:
        return {"GroupId": self.ids[f"sg-{group}"], "UserId": self.account}

    def address(self, subnet: str) -> str:
        net = ipaddress.ip_network(subnet)
        while (ip := str(net[self.rng.randrange(5, net.num_addresses - 1)])) in self.used:
            pass
        self.used.add(ip)
        return ip

    def eni(self, name: str, subnet: str, kind: str = "interface", group: str = "", description: str = "", *,
            check: bool = True, public: str = "", instance: str = "", tag: str = "") -> Eni:  # fmt: skip
        net = self.row("Subnets", "SubnetId", self.ids[f"subnet-{subnet}"])
        eni = Eni(self.new("eni"), self.address(net["CidrBlock"]), net["VpcId"], net["SubnetId"], net["AvailabilityZone"],
                  net["AvailabilityZoneId"], instance or "-", group and self.ids[f"sg-{group}"], tag, public)  # fmt: skip
        primary: Row = {"Primary": True, "PrivateIpAddress": eni.ip}
        link = {"Association": {"PublicIp": public, "IpOwnerId": "amazon"}} if public else {}
        attach = {"InstanceId": instance} if instance else {"InstanceOwnerId": "amazon-aws"}
        self.tables["NetworkInterfaces"].append({
            "NetworkInterfaceId": eni.id, "SubnetId": eni.subnet, "VpcId": eni.vpc, "AvailabilityZone": eni.zone,
            "OwnerId": self.account, "InterfaceType": kind, "Status": "in-use", "Description": description,
            "SourceDestCheck": check, "Groups": [{"GroupId": eni.group, "GroupName": f"{self.project}-{group}"}] if group else [],
            "PrivateIpAddress": eni.ip, "PrivateIpAddresses": [primary | link], "Ipv6Addresses": [],
            "RequesterManaged": not instance, "Attachment": {"Status": "attached", "DeviceIndex": 0} | attach,
            "TagSet": [{"Key": "Name", "Value": tag}] if tag else [],
        } | link)  # fmt: skip
        self.enis[name] = eni
        return eni

    def instance(
        self, name: str, subnet: str, group: str, kind: str = "m6i.large", *, public: str = "", check: bool = True
    ) -> Eni:
        tag, ident = f"{self.project}-{name}", self.new("i")
        eni = self.eni(name, subnet, group=group, instance=ident, tag=tag, public=public, check=check)
        self.ids[f"i-{name}"] = ident
        self.tables["Reservations"].append({"ReservationId": self.new("r"), "OwnerId": self.account, "Instances": [{
            "InstanceId": ident, "InstanceType": kind, "ImageId": self.new("ami"), "LaunchTime": "2026-08-03T09:12:44Z",
            "State": {"Code": 16, "Name": "running"}, "SubnetId": eni.subnet, "VpcId": eni.vpc, "PrivateIpAddress": eni.ip,
            "Placement": {"AvailabilityZone": eni.zone}, "SourceDestCheck": check,
            "SecurityGroups": [{"GroupId": eni.group, "GroupName": f"{self.project}-{group}"}],
            "NetworkInterfaces": [{"NetworkInterfaceId": eni.id, "PrivateIpAddress": eni.ip}],
            "Tags": [{"Key": "Name", "Value": tag}],
        }]})  # fmt: skip
        return eni

    # -- rows that faults change
    def rules(self, group: str, egress: bool = False) -> list[Row]:
        rows: list[Row] = self.row("SecurityGroups", "GroupId", self.ids[f"sg-{group}"])[
            "IpPermissionsEgress" if egress else "IpPermissions"
        ]
        return rows

    def entries(self, acl: str) -> list[Row]:
        rows: list[Row] = self.row("NetworkAcls", "NetworkAclId", self.ids[f"acl-{acl}"])["Entries"]
        return rows

    def routes(self, rtb: str) -> list[Row]:
        rows: list[Row] = self.row("RouteTables", "RouteTableId", self.ids[f"rtb-{rtb}"])["Routes"]
        return rows

    def route(self, rtb: str, cidr: str) -> Row:
        return next(
            r for r in self.routes(rtb) if cidr in (r.get("DestinationCidrBlock"), r.get("DestinationPrefixListId"))
        )

    def drop_route(self, rtb: str, cidr: str) -> Row:
        row = self.route(rtb, cidr)
        self.routes(rtb).remove(row)
        return row

    def add_route(self, rtb: str, cidr: str, key: str, target: str) -> None:
        where = (
            "DestinationPrefixListId"
            if cidr.startswith("pl-")
            else "DestinationIpv6CidrBlock"
            if ":" in cidr
            else "DestinationCidrBlock"
        )
        self.routes(rtb).append({where: cidr, "State": "active", "Origin": "CreateRoute", key: target})

    def remove(self, table: str, key: str, value: str) -> None:
        self.tables[table] = [r for r in self.tables[table] if r.get(key) != value]

    def copy_tables(self) -> dict[str, Any]:
        return copy.deepcopy(self.tables)
