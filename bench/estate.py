"""A big estate in AWS's describe shapes, made up and always the same: for figures only, nothing is proved with it."""

from __future__ import annotations

import random
from typing import Any

from netkit.core.model import Coverage
from netkit.reach.network.snapshot import TABLES, Snapshot

SCOPE = ("123456789012", "us-east-1")
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
ALL = {
    "IpProtocol": "-1",
    "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
    "Ipv6Ranges": [],
    "PrefixListIds": [],
    "UserIdGroupPairs": [],
}
LOCAL = {"GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"}


def estate(interfaces: int, *, vpcs: int = 200, subnets: int = 2000, groups: int = 3000, seed: int = 1) -> Snapshot:
    """So many interfaces in VPCs that hang on a transit gateway (two route tables) or on peerings, with NAT and internet gateways.

    Groups refer to one another and name blocks; every fifth VPC has network ACLs of its own. Each instance has one interface.
    """
    chance = random.Random(seed)
    tables: dict[str, list[dict[str, Any]]] = {key: [] for key, table in TABLES.items() if table.operation}
    tables["VpcBlockPublicAccessOptions"].append({"AwsAccountId": SCOPE[0], "InternetGatewayBlockMode": "off"})
    tables["TransitGateways"].append(
        {"TransitGatewayId": "tgw-hub", "State": "available", "Options": {"SecurityGroupReferencingSupport": "enable"}}
    )
    for number in range(vpcs):
        _vpc(tables, number, max(2, subnets // vpcs), max(1, groups // vpcs), chance)
    _transit(tables, vpcs)
    _peerings(tables, vpcs)
    _hosts(tables, interfaces, chance)
    held = {key: tuple(rows) for key, rows in tables.items()}
    rows = tuple(Coverage(*SCOPE, key, "ok" if held[key] else "empty", len(held[key])) for key in sorted(held))
    return Snapshot({SCOPE: held}, rows, "2026-11-23T00:00:00Z")


def _block(number: int) -> str:
    return f"10.{number}.0.0/16" if number < 250 else f"172.{16 + (number - 250) % 16}.0.0/16"


def _vpc(
    tables: dict[str, list[dict[str, Any]]], number: int, subnets: int, groups: int, chance: random.Random
) -> None:
    vpc, block = f"vpc-{number:04}", _block(number)
    tables["Vpcs"].append(
        {"VpcId": vpc, "CidrBlockAssociationSet": [{"CidrBlock": block, "CidrBlockState": {"State": "associated"}}]}
    )
    tables["InternetGateways"].append(
        {"InternetGatewayId": f"igw-{number:04}", "Attachments": [{"VpcId": vpc, "State": "available"}]}
    )
    names = [f"subnet-{number:04}x{place:02}" for place in range(subnets)]
    for place, name in enumerate(names):
        cidr = f"{block.rsplit('.', 2)[0]}.{place * 8}.0/21"
        tables["Subnets"].append(
            {"SubnetId": name, "VpcId": vpc, "CidrBlock": cidr, "AvailabilityZone": ZONES[place % 3]}
        )
    _acls(tables, number, names)
    _routes(tables, number, names)
    for place in range(groups):
        tables["SecurityGroups"].append(_group(number, place, groups, chance))


def _acls(tables: dict[str, list[dict[str, Any]]], number: int, names: list[str]) -> None:
    def entry(rule: int, action: str, egress: bool, block: str, ports: tuple[int, int] | None = None) -> dict[str, Any]:
        made: dict[str, Any] = {
            "RuleNumber": rule,
            "RuleAction": action,
            "Egress": egress,
            "CidrBlock": block,
            "Protocol": "6" if ports else "-1",
        }
        return made | ({"PortRange": {"From": ports[0], "To": ports[1]}} if ports else {})

    last = [entry(32767, "deny", egress, "0.0.0.0/0") for egress in (True, False)]
    plain = [entry(100, "allow", egress, "0.0.0.0/0") for egress in (True, False)]
    tables["NetworkAcls"].append(
        {
            "NetworkAclId": f"acl-{number:04}",
            "VpcId": f"vpc-{number:04}",
            "IsDefault": True,
            "Associations": [],
            "Entries": plain + last,
        }
    )
    if number % 5:
        return
    strict = [
        entry(90, "deny", False, "10.128.0.0/9", (443, 443)), entry(100, "allow", False, "10.0.0.0/8", (0, 65535)), entry(110, "allow", False, "0.0.0.0/0", (1024, 65535)),
        entry(100, "allow", True, "0.0.0.0/0"),
    ]  # fmt: skip
    held = [{"SubnetId": name} for name in names[::2]]
    tables["NetworkAcls"].append(
        {
            "NetworkAclId": f"acl-{number:04}s",
            "VpcId": f"vpc-{number:04}",
            "IsDefault": False,
            "Associations": held,
            "Entries": strict + last,
        }
    )


def _routes(tables: dict[str, list[dict[str, Any]]], number: int, names: list[str]) -> None:
    vpc, active = f"vpc-{number:04}", {"Origin": "CreateRoute", "State": "active"}
    local = {"DestinationCidrBlock": _block(number), **LOCAL}
    over = [{"DestinationCidrBlock": "10.0.0.0/8", "TransitGatewayId": "tgw-hub", **active}] if number % 4 else []
    nat = f"nat-{number:04}"
    address = f"{_block(number).rsplit('.', 2)[0]}.0.5"
    tables["NatGateways"].append({
        "NatGatewayId": nat, "State": "available", "SubnetId": names[0], "VpcId": vpc, "ConnectivityType": "public",
        "NatGatewayAddresses": [{"NetworkInterfaceId": f"eni-{nat}", "PrivateIp": address, "PublicIp": f"52.0.{number // 200}.{number % 200 + 1}"}],
    })  # fmt: skip
    public = [local, *over, {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": f"igw-{number:04}", **active}]
    private = [local, *over, {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": nat, **active}]
    tables["RouteTables"].append(
        {"RouteTableId": f"rtb-{number:04}", "VpcId": vpc, "Associations": [{"Main": True}], "Routes": private}
    )
    tables["RouteTables"].append(
        {
            "RouteTableId": f"rtb-{number:04}p",
            "VpcId": vpc,
            "Associations": [{"SubnetId": names[0]}, {"SubnetId": names[1]}],
            "Routes": public,
        }
    )


def _group(number: int, place: int, groups: int, chance: random.Random) -> dict[str, Any]:
    def allow(port: int, **peers: Any) -> dict[str, Any]:
        return {
            "IpProtocol": "tcp",
            "FromPort": port,
            "ToPort": port,
            "IpRanges": [],
            "Ipv6Ranges": [],
            "PrefixListIds": [],
            "UserIdGroupPairs": [],
            **peers,
        }

    name = f"sg-{number:04}x{place:03}"
    other = f"sg-{number:04}x{chance.randrange(groups):03}"
    rules = [allow(chance.choice((443, 5432, 8080, 22)), UserIdGroupPairs=[{"GroupId": other, "UserId": SCOPE[0]}])]
    if place % 3 == 0:
        rules.append(
            allow(
                443, IpRanges=[{"CidrIp": chance.choice(("10.0.0.0/8", "0.0.0.0/0", "10.64.0.0/10", _block(number)))}]
            )
        )
    return {
        "GroupId": name,
        "GroupName": name,
        "VpcId": f"vpc-{number:04}",
        "IpPermissions": rules,
        "IpPermissionsEgress": [ALL],
    }


def _transit(tables: dict[str, list[dict[str, Any]]], vpcs: int) -> None:
    """Every VPC but each fourth is attached; odd ones use a table that leads to all, even ones a table that leads to half."""
    routes: dict[str, list[dict[str, Any]]] = {"tgw-rtb-all": [], "tgw-rtb-half": []}
    for number in (one for one in range(vpcs) if one % 4):
        name, vpc = f"tgw-attach-{number:04}", f"vpc-{number:04}"
        same = {"TransitGatewayAttachmentId": name, "TransitGatewayId": "tgw-hub", "State": "available"}
        table = "tgw-rtb-all" if number % 2 else "tgw-rtb-half"
        tables["TransitGatewayAttachments"].append(
            {
                **same,
                "ResourceType": "vpc",
                "ResourceId": vpc,
                "Association": {"State": "associated", "TransitGatewayRouteTableId": table},
            }
        )
        held = [one["SubnetId"] for one in tables["Subnets"] if one["VpcId"] == vpc][:3]
        tables["TransitGatewayVpcAttachments"].append({**same, "VpcId": vpc, "SubnetIds": held, "Options": {}})
        route = {
            "DestinationCidrBlock": _block(number),
            "Type": "propagated",
            "State": "active",
            "TransitGatewayAttachments": [
                {"TransitGatewayAttachmentId": name, "ResourceId": vpc, "ResourceType": "vpc"}
            ],
        }
        routes["tgw-rtb-all"].append(route)
        if number % 2:
            routes["tgw-rtb-half"].append(route)
    for table, held_routes in routes.items():
        tables["TransitGatewayRouteTables"].append({"TransitGatewayRouteTableId": table, "TransitGatewayId": "tgw-hub"})
        tables["TransitGatewayRoutes"].append(
            {"TransitGatewayRouteTableId": table, "Routes": held_routes, "AdditionalRoutesAvailable": False}
        )


def _peerings(tables: dict[str, list[dict[str, Any]]], vpcs: int) -> None:
    """Each fourth VPC is peered with the next such one."""
    alone = [number for number in range(vpcs) if number % 4 == 0]
    for one, two in zip(alone, alone[1:], strict=False):
        name = f"pcx-{one:04}"
        sides = [
            {
                "VpcId": f"vpc-{number:04}",
                "Region": SCOPE[1],
                "OwnerId": SCOPE[0],
                "CidrBlockSet": [{"CidrBlock": _block(number)}],
            }
            for number in (one, two)
        ]
        tables["VpcPeeringConnections"].append(
            {
                "VpcPeeringConnectionId": name,
                "Status": {"Code": "active"},
                "RequesterVpcInfo": sides[0],
                "AccepterVpcInfo": sides[1],
            }
        )
        for here, there in ((one, two), (two, one)):
            for table in tables["RouteTables"]:
                if table["VpcId"] == f"vpc-{here:04}":
                    table["Routes"].append(
                        {
                            "DestinationCidrBlock": _block(there),
                            "VpcPeeringConnectionId": name,
                            "Origin": "CreateRoute",
                            "State": "active",
                        }
                    )


def _hosts(tables: dict[str, list[dict[str, Any]]], interfaces: int, chance: random.Random) -> None:
    subnets = tables["Subnets"]
    by_vpc: dict[str, list[str]] = {}
    for group in tables["SecurityGroups"]:
        by_vpc.setdefault(group["VpcId"], []).append(group["GroupId"])
    for number in range(interfaces):
        subnet = subnets[number % len(subnets)]
        place = 16 + number // len(subnets)
        address = f"{subnet['CidrBlock'].rsplit('.', 1)[0]}.{place}"
        groups = sorted({chance.choice(by_vpc[subnet["VpcId"]]) for _ in range(chance.choice((1, 1, 2)))})
        name, instance = f"eni-{number:06}", f"i-{number:06}"
        tables["NetworkInterfaces"].append({
            "NetworkInterfaceId": name, "InterfaceType": "interface", "Status": "in-use", "SubnetId": subnet["SubnetId"], "VpcId": subnet["VpcId"], "Description": "",
            "Groups": [{"GroupId": one} for one in groups], "PrivateIpAddress": address, "PrivateIpAddresses": [{"PrivateIpAddress": address, "Primary": True}],
            "SourceDestCheck": True, "Attachment": {"Status": "attached", "DeviceIndex": 0, "InstanceId": instance},
        })  # fmt: skip
        tables["Reservations"].append(
            {"ReservationId": f"r-{number:06}", "Instances": [{"InstanceId": instance, "State": {"Name": "running"}}]}
        )
