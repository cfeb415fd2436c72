"""The usual network: an application VPC with balancer, hosts and NAT gateway, a partner by peering, tools by transit gateway."""

from __future__ import annotations

from .world import ALL4, Eni, Row, World, permission


def base(w: World) -> None:
    """The network that every case begins with."""
    a, b, c = w.rng.sample(range(12, 240), 3)
    w.vpc("main", f"10.{a}.0.0/16")
    w.vpc("partner", f"10.{b}.0.0/16")
    w.vpc("tools", f"10.{c}.0.0/16")
    _main(w, f"10.{a}")
    _partner(w, f"10.{b}")
    _tools(w, f"10.{c}")
    _transit(w)
    _routes(w)
    _balancer(w)
    flow_logs(w, ["main", "partner", "tools"])


def _main(w: World, net: str) -> None:
    for kind in ("public", "app", "db", "tgw"):
        w.table(kind, "main")
        if kind != "tgw":
            w.acl(kind, "main")
    for i, zone in enumerate("ab"):
        w.subnet(f"public-{zone}", "main", f"{net}.{i}.0/24", zone, "public", "public")
        w.subnet(f"app-{zone}", "main", f"{net}.{10 + i}.0/24", zone, "app", "app")
        w.subnet(f"db-{zone}", "main", f"{net}.{20 + i}.0/24", zone, "db", "db")
        w.subnet(f"tgw-{zone}", "main", f"{net}.30.{16 * i}/28", zone, "tgw", "main-default")
    w.group("lb", "main", [permission("tcp", 443, cidrs=[ALL4])])
    w.group("app", "main", [permission("tcp", 8080, groups=[w.pair("lb")]), permission("tcp", 9100, cidrs=[w.ids["tools-cidr"]]),
                            permission("icmp", None, cidrs=["10.0.0.0/8"]) | {"FromPort": -1, "ToPort": -1}])  # fmt: skip
    w.group(
        "db",
        "main",
        [permission("tcp", 5432, groups=[w.pair("app")]), permission("tcp", 5432, cidrs=[w.ids["partner-cidr"]])],
    )
    w.group("bastion", "main", [permission("tcp", 22, cidrs=["198.51.100.0/24"])])
    w.instance("app-1", "app-a", "app")
    w.instance("app-2", "app-b", "app")
    w.instance("db", "db-a", "db", "r6i.large")
    w.instance("db-2", "db-b", "db", "r6i.large")


def _partner(w: World, net: str) -> None:
    w.table("partner", "partner")
    w.acl("partner", "partner")
    w.subnet("partner", "partner", f"{net}.7.0/24", "a", "partner", "partner")
    w.group("partner", "partner", [permission("tcp", 443, cidrs=[w.ids["main-cidr"]])])
    w.instance("partner", "partner", "partner")


def _tools(w: World, net: str) -> None:
    w.table("tools", "tools")
    w.table("tools-tgw", "tools")
    w.acl("tools", "tools")
    w.subnet("tools", "tools", f"{net}.8.0/24", "a", "tools", "tools")
    w.subnet("tools-tgw", "tools", f"{net}.40.0/28", "a", "tools-tgw", "tools-default")
    w.group("tools", "tools", [permission("tcp", 8443, cidrs=[w.ids["main-cidr"]])])
    w.instance("tools", "tools", "tools")


def _transit(w: World) -> None:
    tgw = w.ids["tgw"] = w.new("tgw")
    rtb = w.ids["tgw-rtb"] = w.new("tgw-rtb")
    w.tables["TransitGateways"].append({"TransitGatewayId": tgw, "State": "available", "OwnerId": w.account, "Options": {
        "AmazonSideAsn": 64512, "DefaultRouteTableAssociation": "enable", "AssociationDefaultRouteTableId": rtb, "DnsSupport": "enable",
        "DefaultRouteTablePropagation": "enable", "PropagationDefaultRouteTableId": rtb, "VpnEcmpSupport": "enable",
        "SecurityGroupReferencingSupport": "disable"}})  # fmt: skip
    tgw_table(w, rtb)
    attach(w, "main", ["tgw-a", "tgw-b"])
    attach(w, "tools", ["tools-tgw"])


def tgw_table(w: World, rtb: str) -> None:
    w.tables["TransitGatewayRouteTables"].append(
        {"TransitGatewayRouteTableId": rtb, "TransitGatewayId": w.ids["tgw"], "State": "available"}
    )
    w.tables["TransitGatewayRoutes"].append(
        {"TransitGatewayRouteTableId": rtb, "Routes": [], "AdditionalRoutesAvailable": False}
    )
    w.tables["TransitGatewayPropagations"].append(
        {"TransitGatewayRouteTableId": rtb, "TransitGatewayRouteTablePropagations": []}
    )


def attach(
    w: World,
    vpc: str,
    subnets: list[str],
    *,
    appliance: str = "disable",
    rtb: str = "tgw-rtb",
    propagate: str | None = "tgw-rtb",
) -> str:
    """A VPC attachment with its interfaces, associated with a table and propagated into one."""
    att = w.ids[f"att-{vpc}"] = w.new("tgw-attach")
    same = {"TransitGatewayAttachmentId": att, "TransitGatewayId": w.ids["tgw"], "State": "available"}
    w.tables["TransitGatewayVpcAttachments"].append(same | {
        "VpcId": w.ids[vpc], "VpcOwnerId": w.account, "SubnetIds": [w.ids[f"subnet-{s}"] for s in subnets],
        "Options": {"DnsSupport": "enable", "Ipv6Support": "disable", "ApplianceModeSupport": appliance, "SecurityGroupReferencingSupport": "enable"},
    })  # fmt: skip
    tgw_attachment(w, att, "vpc", w.ids[vpc], rtb)
    for s in subnets:
        w.eni(f"tgw-{s}", s, "transit_gateway", description=f"Network Interface for Transit Gateway Attachment {att}")
    if propagate:
        spread(w, att, "vpc", w.ids[vpc], w.ids[f"{vpc}-cidr"], propagate)
    return att


def tgw_attachment(w: World, att: str, kind: str, resource: str, rtb: str) -> None:
    w.tables["TransitGatewayAttachments"].append({
        "TransitGatewayAttachmentId": att, "TransitGatewayId": w.ids["tgw"], "State": "available", "ResourceType": kind, "ResourceId": resource,
        "Association": {"TransitGatewayRouteTableId": w.ids[rtb], "State": "associated"},
    })  # fmt: skip


def spread(w: World, att: str, kind: str, resource: str, cidr: str, rtb: str) -> None:
    """Propagation of an attachment into a table, with the route that comes of it."""
    rows = w.row("TransitGatewayPropagations", "TransitGatewayRouteTableId", w.ids[rtb])[
        "TransitGatewayRouteTablePropagations"
    ]
    rows.append({"TransitGatewayAttachmentId": att, "ResourceId": resource, "ResourceType": kind, "State": "enabled"})
    tgw_route(w, rtb, cidr, att, kind, resource, "propagated")


def tgw_routes(w: World, rtb: str = "tgw-rtb") -> list[Row]:
    rows: list[Row] = w.row("TransitGatewayRoutes", "TransitGatewayRouteTableId", w.ids[rtb])["Routes"]
    return rows


def tgw_route(w: World, rtb: str, cidr: str, att: str, kind: str, resource: str, how: str = "static") -> None:
    target = {"TransitGatewayAttachmentId": att, "ResourceId": resource, "ResourceType": kind}
    tgw_routes(w, rtb).append(
        {"DestinationCidrBlock": cidr, "Type": how, "State": "active", "TransitGatewayAttachments": [target]}
    )


def _routes(w: World) -> None:
    igw = w.ids["igw"] = w.new("igw")
    w.tables["InternetGateways"].append(
        {
            "InternetGatewayId": igw,
            "OwnerId": w.account,
            "Attachments": [{"VpcId": w.ids["main"], "State": "available"}],
        }
    )
    pcx = w.ids["pcx"] = w.new("pcx")
    sides = {side: {"VpcId": w.ids[v], "OwnerId": w.account, "Region": w.region, "CidrBlock": w.ids[f"{v}-cidr"],
                    "CidrBlockSet": [{"CidrBlock": w.ids[f"{v}-cidr"]}]} for side, v in (("RequesterVpcInfo", "main"), ("AccepterVpcInfo", "partner"))}  # fmt: skip
    w.tables["VpcPeeringConnections"].append(
        {"VpcPeeringConnectionId": pcx, "Status": {"Code": "active", "Message": "Active"}, **sides}
    )
    nat(w)
    w.add_route("public", ALL4, "GatewayId", igw)
    w.add_route("app", ALL4, "NatGatewayId", w.ids["nat"])
    for rtb in ("app", "db"):
        w.add_route(rtb, w.ids["partner-cidr"], "VpcPeeringConnectionId", pcx)
        w.add_route(rtb, w.ids["tools-cidr"], "TransitGatewayId", w.ids["tgw"])
    w.add_route("partner", w.ids["main-cidr"], "VpcPeeringConnectionId", pcx)
    w.add_route("tools", w.ids["main-cidr"], "TransitGatewayId", w.ids["tgw"])


def nat(w: World) -> None:
    ident = w.ids["nat"] = w.new("nat")
    public = f"18.{w.rng.randrange(130, 200)}.{w.rng.randrange(255)}.{w.rng.randrange(1, 255)}"
    eni = w.eni(
        "nat", "public-a", "nat_gateway", description=f"Interface for NAT Gateway {ident}", check=False, public=public
    )
    w.tables["NatGateways"].append({
        "NatGatewayId": ident, "SubnetId": eni.subnet, "VpcId": eni.vpc, "State": "available", "ConnectivityType": "public",
        "NatGatewayAddresses": [{"PrivateIp": eni.ip, "NetworkInterfaceId": eni.id, "IsPrimary": True, "Status": "succeeded", "PublicIp": public}],
    })  # fmt: skip


def balancer(w: World, name: str, kind: str, port: int, target_port: int, targets: list[Eni], subnets: list[str], *,
             group: str = "", scheme: str = "internal", zones: bool = False, preserve: str = "") -> str:  # fmt: skip
    """A load balancer with one listener and one target group; its interfaces are lb-<name>-<subnet>."""
    short, digits = {"application": "app", "network": "net", "gateway": "gwy"}[kind], f"{w.rng.getrandbits(64):016x}"
    path = f"{short}/{w.project}-{name}/{digits}"
    arn = w.ids[f"lb-{name}"] = w.arn("elasticloadbalancing", f"loadbalancer/{path}")
    tg = w.ids[f"tg-{name}"] = w.arn(
        "elasticloadbalancing", f"targetgroup/{w.project}-{name}/{w.rng.getrandbits(64):016x}"
    )
    listener = w.ids[f"listener-{name}"] = w.arn(
        "elasticloadbalancing", f"listener/{path}/{w.rng.getrandbits(64):016x}"
    )
    w.ids[f"lbpath-{name}"], w.ids[f"tgpath-{name}"] = path, tg.split(":")[-1]
    proto = (
        ("HTTPS", "HTTP") if kind == "application" else ("TCP", "TCP") if kind == "network" else ("GENEVE", "GENEVE")
    )
    places = []
    for s in subnets:
        public = f"3.120.{w.rng.randrange(255)}.{w.rng.randrange(1, 255)}" if scheme == "internet-facing" else ""
        eni = w.eni(
            f"lb-{name}-{s}",
            s,
            "network_load_balancer" if kind == "network" else "interface",
            group,
            f"ELB {path}",
            public=public,
        )
        places.append({"ZoneName": eni.zone, "SubnetId": eni.subnet})
    w.tables["LoadBalancers"].append({"LoadBalancerArn": arn, "LoadBalancerName": f"{w.project}-{name}", "Type": kind, "Scheme": scheme,
                                      "State": {"Code": "active"}, "VpcId": w.ids["main"], "AvailabilityZones": places,
                                      "DNSName": f"{w.project}-{name}-{digits}.elb.{w.region}.amazonaws.com",
                                      "SecurityGroups": [w.ids[f"sg-{group}"]] if group else []})  # fmt: skip
    forward = {"Type": "forward", "TargetGroupArn": tg}
    w.tables["LoadBalancerListeners"].append({"LoadBalancerArn": arn, "Listeners": [
        {"ListenerArn": listener, "LoadBalancerArn": arn, "Protocol": proto[0], "Port": port, "DefaultActions": [forward]}]})  # fmt: skip
    _attributes(w, arn, tg, listener, kind, zones, preserve)
    w.tables["TargetGroups"].append({"TargetGroupArn": tg, "TargetGroupName": f"{w.project}-{name}", "Protocol": proto[1], "Port": target_port,
                                     "VpcId": w.ids["main"], "TargetType": "instance", "LoadBalancerArns": [arn]})  # fmt: skip
    health = [
        {"Target": {"Id": t.instance, "Port": target_port}, "TargetHealth": {"State": "healthy"}} for t in targets
    ]
    w.tables["LoadBalancerTargetHealth"].append({"TargetGroupArn": tg, "TargetHealthDescriptions": health})
    return arn


def _attributes(w: World, arn: str, tg: str, listener: str, kind: str, zones: bool, preserve: str) -> None:
    rows = [{"Key": "load_balancing.cross_zone.enabled", "Value": str(kind == "application" or zones).lower()}]
    if kind == "application":
        rows.append({"Key": "idle_timeout.timeout_seconds", "Value": "60"})
    else:
        w.tables["ListenerAttributes"].append(
            {"ListenerArn": listener, "Attributes": [{"Key": "tcp.idle_timeout.seconds", "Value": "350"}]}
        )
    w.tables["LoadBalancerAttributes"].append({"LoadBalancerArn": arn, "Attributes": rows})
    keep = [{"Key": "preserve_client_ip.enabled", "Value": preserve}] if preserve else []
    w.tables["TargetGroupAttributes"].append({"TargetGroupArn": tg, "Attributes": keep})


def attribute(w: World, table: str, key: str, arn: str, name: str) -> Row:
    """One attribute of a balancer, listener or target group, to be changed."""
    rows: list[Row] = w.row(table, key, arn)["Attributes"]
    for row in rows:
        if row["Key"] == name:
            return row
    rows.append({"Key": name, "Value": ""})
    return rows[-1]


def _balancer(w: World) -> None:
    balancer(
        w,
        "web",
        "application",
        443,
        8080,
        [w.enis["app-1"], w.enis["app-2"]],
        ["public-a", "public-b"],
        group="lb",
        scheme="internet-facing",
    )


CUSTOM = ["version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end", "action", "log-status", "vpc-id", "subnet-id", "instance-id", "tcp-flags", "type", "pkt-srcaddr", "pkt-dstaddr", "region", "az-id", "flow-direction", "traffic-path"]  # fmt: skip
DEFAULT = CUSTOM[:14]


def flow_logs(w: World, vpcs: list[str]) -> None:
    for vpc in vpcs:
        w.ids[f"fl-{vpc}"] = w.new("fl")
        w.tables["FlowLogs"].append({
            "FlowLogId": w.ids[f"fl-{vpc}"], "ResourceId": w.ids[vpc], "FlowLogStatus": "ACTIVE", "DeliverLogsStatus": "SUCCESS", "TrafficType": "ALL",
            "LogDestinationType": "s3", "LogDestination": f"arn:aws:s3:::{w.project}-flows", "MaxAggregationInterval": 60,
            "CreationTime": "2026-05-04T06:00:00Z", "LogFormat": " ".join(f"${{{f}}}" for f in CUSTOM), "Tags": [],
            "DestinationOptions": {"FileFormat": "plain-text", "HiveCompatiblePartitions": False, "PerHourPartition": False},
        })  # fmt: skip
