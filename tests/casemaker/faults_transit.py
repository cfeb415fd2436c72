"""Transit gateway, inspection, VPN and Direct Connect."""

from __future__ import annotations

from .base import attach, flow_logs, spread, tgw_attachment, tgw_route, tgw_routes, tgw_table
from .case import Case, dims, text_time
from .registry import fault
from .traffic import OK, Fate, Path, Place, lost, reply_lost, transit
from .world import ALL4, Eni, Row, permission


def _both(c: Case, name: str, bad: Fate) -> None:
    for n in (1, 2):
        c.usual(f"{name}-{n}", c.after(bad))


def _blame_tools(c: Case, title: str) -> None:
    c.ask(c.eni("app-1").name, c.eni("tools").name, 8443, title)


@fault("tgw-route-missing")
def tgw_route_missing(c: Case) -> None:
    """A static route of the transit gateway is deleted."""
    rows = tgw_routes(c.w)
    rows[:] = [r for r in rows if r["DestinationCidrBlock"] != c.id("tools-cidr")]
    props = c.w.row("TransitGatewayPropagations", "TransitGatewayRouteTableId", c.id("tgw-rtb"))[
        "TransitGatewayRouteTablePropagations"
    ]
    props[:] = [p for p in props if p["ResourceId"] != c.id("tools")]
    tgw_route(c.w, "tgw-rtb", c.id("tools-cidr"), c.id("att-tools"), "vpc", c.id("tools"))
    c.freeze()
    rows.pop()
    request = {"TransitGatewayRouteTableId": c.id("tgw-rtb"), "DestinationCidrBlock": c.id("tools-cidr")}
    c.cause(c.at, "ec2", "DeleteTransitGatewayRoute", {"DeleteTransitGatewayRouteRequest": request})
    _both(c, "tools", lost(2))
    _both(c, "metrics", reply_lost(2))
    c.drops("att-main", "PacketDropCountNoRoute", 24)
    _blame_tools(c, "tools API times out")
    c.blame(
        c.id("tgw-rtb"), near=("tgw-no-propagation",), cleared=(c.id("rtb-app"), c.id("sg-tools"), c.id("acl-tools"))
    )


@fault("tgw-no-propagation")
def tgw_no_propagation(c: Case) -> None:
    """The application VPC is no longer propagated: replies find no route."""
    c.freeze()
    rows = tgw_routes(c.w)
    rows[:] = [r for r in rows if r["DestinationCidrBlock"] != c.id("main-cidr")]
    props = c.w.row("TransitGatewayPropagations", "TransitGatewayRouteTableId", c.id("tgw-rtb"))[
        "TransitGatewayRouteTablePropagations"
    ]
    props[:] = [p for p in props if p["ResourceId"] != c.id("main")]
    request = {"TransitGatewayRouteTableId": c.id("tgw-rtb"), "TransitGatewayAttachmentId": c.id("att-main")}
    c.cause(
        c.at,
        "ec2",
        "DisableTransitGatewayRouteTablePropagation",
        {"DisableTransitGatewayRouteTablePropagationRequest": request},
    )
    _both(c, "tools", reply_lost(2))
    _both(c, "metrics", lost(2))
    c.drops("att-tools", "PacketDropCountNoRoute", 24)
    _blame_tools(c, "tools API times out, the tools host sees our requests")
    c.blame(
        c.id("tgw-rtb"),
        c.id("att-main"),
        near=("tgw-route-missing",),
        cleared=(c.id("rtb-tools"), c.id("sg-tools"), c.id("rtb-app")),
    )


@fault("tgw-wrong-association")
def tgw_wrong_association(c: Case) -> None:
    """The application's attachment is moved to a table that knows little."""
    other = c.w.ids["tgw-rtb-lab"] = c.w.new("tgw-rtb")
    tgw_table(c.w, other)
    c.freeze()
    att = c.id("att-main")
    c.w.row("TransitGatewayAttachments", "TransitGatewayAttachmentId", att)["Association"][
        "TransitGatewayRouteTableId"
    ] = other
    old = {"TransitGatewayRouteTableId": c.id("tgw-rtb"), "TransitGatewayAttachmentId": att}
    c.cause(c.at, "ec2", "DisassociateTransitGatewayRouteTable", {"DisassociateTransitGatewayRouteTableRequest": old})
    c.event(
        c.at + 50,
        "ec2",
        "AssociateTransitGatewayRouteTable",
        {"AssociateTransitGatewayRouteTableRequest": old | {"TransitGatewayRouteTableId": other}},
    )
    _both(c, "tools", lost(2))
    _both(c, "metrics", reply_lost(2))
    c.drops("att-main", "PacketDropCountNoRoute", 24)
    _blame_tools(c, "no way to the tools since the move of attachments")
    c.blame(att, other, near=("tgw-route-missing",), cleared=(c.id("rtb-app"), c.id("sg-tools"), c.id("tgw-rtb")))


@fault("tgw-blackhole")
def tgw_blackhole(c: Case) -> None:
    """Somebody puts a blackhole route for the tools' block."""
    c.freeze()
    rows = tgw_routes(c.w)
    rows[:] = [r for r in rows if r["DestinationCidrBlock"] != c.id("tools-cidr")]
    rows.append({"DestinationCidrBlock": c.id("tools-cidr"), "Type": "static", "State": "blackhole"})
    request = {
        "TransitGatewayRouteTableId": c.id("tgw-rtb"),
        "DestinationCidrBlock": c.id("tools-cidr"),
        "Blackhole": True,
    }
    c.cause(c.at, "ec2", "CreateTransitGatewayRoute", {"CreateTransitGatewayRouteRequest": request})
    _both(c, "tools", lost(2))
    _both(c, "metrics", reply_lost(2))
    c.drops("att-main", "PacketDropCountBlackhole", 24)
    _blame_tools(c, "tools API times out")
    c.blame(c.id("tgw-rtb"), cleared=(c.id("rtb-app"), c.id("sg-tools"), c.id("att-tools")))


@fault("tgw-zone-not-attached")
def tgw_zone_not_attached(c: Case) -> None:
    """Hosts of a new zone send to the transit gateway, which has no subnet there."""
    w, net = c.w, c.id("main-cidr").split(".")[1]
    c.freeze()
    w.subnet("app-c", "main", f"10.{net}.12.0/24", "c", "app", "app")
    third = w.instance("app-3", "app-c", "app")
    c.event(
        c.at - 600,
        "ec2",
        "CreateSubnet",
        {"vpcId": c.id("main"), "cidrBlock": f"10.{net}.12.0/24"},
        {"subnet": {"subnetId": third.subnet}},
    )
    c.event(
        c.at - 120,
        "ec2",
        "RunInstances",
        {"subnetId": third.subnet},
        {"instancesSet": {"items": [{"instanceId": third.instance}]}},
    )
    path = transit(third, c.eni("tools"), c.eni("tgw-tgw-a"), c.eni("tgw-tools-tgw"))
    c.talk("tools-3", path, 8443, fate=lambda t, _p: lost(1) if t >= c.at else Fate("absent"))
    c.talk("web-3", Path(c.talks["web-1"].path.there[:1], ()), 8080, every=120)
    c.ask(third.name, c.eni("tools").name, 8443, "the new host cannot reach the tools, the two old ones can")
    c.blame(c.id("att-main"), cleared=(c.id("rtb-app"), c.id("sg-tools"), c.id("tgw-rtb"), c.id("acl-app")))
    c.silent_since()


# -- inspection
def inspect(c: Case, *, appliance: str = "enable") -> None:
    """An inspection VPC with a firewall in two zones between the application and the tools."""
    w = c.w
    third = c.rng.choice([n for n in range(12, 240) if f"10.{n}." not in str(list(w.ids.values()))])
    w.vpc("inspect", f"10.{third}.0.0/16")
    for zone in "ab":
        w.table(f"in-tgw-{zone}", "inspect")
        w.table(f"in-fw-{zone}", "inspect")
    w.acl("in", "inspect")
    for i, zone in enumerate("ab"):
        w.subnet(f"in-tgw-{zone}", "inspect", f"10.{third}.0.{16 * i}/28", zone, f"in-tgw-{zone}", "inspect-default")
        w.subnet(f"in-fw-{zone}", "inspect", f"10.{third}.1.{16 * i}/28", zone, f"in-fw-{zone}", "in")
    firewall(c, "inspect", "in-fw")
    c.w.ids["tgw-rtb-in"] = w.new("tgw-rtb")
    tgw_table(w, c.id("tgw-rtb-in"))
    att = attach(w, "inspect", ["in-tgw-a", "in-tgw-b"], appliance=appliance, rtb="tgw-rtb-in", propagate=None)
    tgw_routes(w).clear()
    w.row("TransitGatewayPropagations", "TransitGatewayRouteTableId", c.id("tgw-rtb"))[
        "TransitGatewayRouteTablePropagations"
    ].clear()
    tgw_route(w, "tgw-rtb", ALL4, att, "vpc", c.id("inspect"))
    for vpc in ("main", "tools"):
        spread(w, c.id(f"att-{vpc}"), "vpc", c.id(vpc), c.id(f"{vpc}-cidr"), "tgw-rtb-in")
    for zone in "ab":
        w.add_route(f"in-tgw-{zone}", ALL4, "VpcEndpointId", c.id(f"vpce-{zone}"))
        w.add_route(f"in-fw-{zone}", ALL4, "TransitGatewayId", c.id("tgw"))
    flow_logs(w, ["inspect"])
    for n, zone in ((1, "a"), (2, "b")):
        app, tools, near, far = c.eni(f"app-{n}"), c.eni("tools"), c.eni(f"tgw-tgw-{zone}"), c.eni("tgw-tools-tgw")
        c.talks[f"tools-{n}"].path = transit(app, tools, near, far, through(c, zone))
        c.talks[f"metrics-{n}"].path = transit(tools, app, far, near, through(c, "a"))
    for zone in "ab":
        for name in ("ReceivedPackets", "PassedPackets"):
            c.metric("AWS/NetworkFirewall", name, engine(c, zone), c.noise(900))


def through(c: Case, zone: str, leave: str = "") -> list[tuple[Eni, str, str]]:
    """The inspection VPC's interfaces that a packet passes in a zone."""
    gate, fire, out = c.eni(f"tgw-in-tgw-{zone}"), c.eni(f"fw-{zone}"), c.eni(f"tgw-in-tgw-{leave or zone}")
    return [(gate, "egress", "1"), (fire, "ingress", "-"), (fire, "egress", "-"), (out, "ingress", "-")]


def engine(c: Case, zone: str) -> list[Row]:
    return dims(AvailabilityZone=f"{c.w.region}{zone}", Engine="Stateful", FirewallName=f"{c.w.project}-gate")


def firewall(c: Case, vpc: str, subnets: str) -> None:
    """A Network Firewall with an endpoint in two zones; its interfaces are fw-a and fw-b."""
    w, name = c.w, f"{c.w.project}-gate"
    for kind in ("firewall", "firewall-policy", "stateful-rulegroup"):
        w.ids[kind] = w.arn("network-firewall", f"{kind}/{name}")
    states, service = {}, w.new("vpce-svc")
    for zone in "ab":
        vpce = w.ids[f"vpce-{zone}"] = w.new("vpce")
        eni = w.eni(
            f"fw-{zone}",
            f"{subnets}-{zone}",
            "gateway_load_balancer_endpoint",
            description=f"VPC Endpoint Interface {vpce}",
        )
        w.tables["VpcEndpoints"].append({
            "VpcEndpointId": vpce, "VpcEndpointType": "GatewayLoadBalancer", "VpcId": eni.vpc, "ServiceName": f"com.amazonaws.vpce.{w.region}.{service}",
            "State": "available", "SubnetIds": [eni.subnet], "NetworkInterfaceIds": [eni.id], "Groups": [], "RouteTableIds": [], "RequesterManaged": True,
            "OwnerId": w.account, "Tags": [{"Key": "AWSNetworkFirewallManaged", "Value": "true"}, {"Key": "Firewall", "Value": w.ids["firewall"]}],
        })  # fmt: skip
        states[eni.zone] = {"Attachment": {"SubnetId": eni.subnet, "EndpointId": vpce, "Status": "READY"}}
    w.tables["Firewalls"].append({
        "Firewall": {"FirewallName": name, "FirewallArn": w.ids["firewall"], "FirewallPolicyArn": w.ids["firewall-policy"], "VpcId": w.ids[vpc],
                     "SubnetMappings": [{"SubnetId": s["Attachment"]["SubnetId"]} for s in states.values()], "FirewallId": c._uuid()},
        "FirewallStatus": {"Status": "READY", "ConfigurationSyncStateSummary": "IN_SYNC", "SyncStates": states},
    })  # fmt: skip
    w.tables["FirewallPolicies"].append({
        "FirewallPolicyResponse": {"FirewallPolicyName": name, "FirewallPolicyArn": w.ids["firewall-policy"], "FirewallPolicyId": c._uuid()},
        "FirewallPolicy": {"StatelessDefaultActions": ["aws:forward_to_sfe"], "StatelessFragmentDefaultActions": ["aws:forward_to_sfe"],
                           "StatefulRuleGroupReferences": [{"ResourceArn": w.ids["stateful-rulegroup"], "Priority": 100}],
                           "StatefulEngineOptions": {"RuleOrder": "STRICT_ORDER", "StreamExceptionPolicy": "DROP"},
                           "StatefulDefaultActions": ["aws:drop_strict", "aws:alert_strict"]},
    })  # fmt: skip
    w.tables["FirewallRuleGroups"].append({
        "RuleGroupResponse": {"RuleGroupArn": w.ids["stateful-rulegroup"], "RuleGroupName": name, "RuleGroupId": c._uuid()},
        "RuleGroup": {"RulesSource": {"RulesString": 'pass tcp 10.0.0.0/8 any -> 10.0.0.0/8 any (msg:"inside"; sid:5000; rev:1;)\n'}},
    })  # fmt: skip


@fault("firewall-drops")
def firewall_drops(c: Case) -> None:
    """A new rule before the others drops the tools' port."""
    inspect(c)
    c.freeze()
    group = c.w.tables["FirewallRuleGroups"][0]["RuleGroup"]["RulesSource"]
    group["RulesString"] = 'drop tcp any any -> any 8443 (msg:"close 8443"; sid:4711; rev:2;)\n' + group["RulesString"]
    arn = c.id("stateful-rulegroup")
    c.cause(
        c.at,
        "network-firewall",
        "UpdateRuleGroup",
        {"ruleGroupArn": arn, "type": "STATEFUL", "updateToken": "1"},
        {"ruleGroupResponse": {"ruleGroupArn": arn}},
    )
    _both(c, "tools", lost(4))
    for zone in "ab":
        c.metric("AWS/NetworkFirewall", "DroppedPackets", engine(c, zone), c.step(0, c.noise(8, 0.4)))
    for i, t in enumerate(range(c.at + 9, c.end, 60)):
        _alert(c, t, c.eni(f"app-{1 + i % 2}"), c.eni("tools"), 8443, "ab"[i % 2])
    _blame_tools(c, "tools API closed from one minute to the next")
    c.blame(c.id("firewall"), c.id("stateful-rulegroup"), c.id("firewall-policy"), f"{c.w.project}-gate", c.id("vpce-a"), c.id("vpce-b"),
            cleared=(c.id("sg-tools"), c.id("rtb-app"), c.id("tgw-rtb")))  # fmt: skip


def _alert(c: Case, t: int, a: Eni, b: Eni, port: int, zone: str) -> None:
    alert = {
        "action": "blocked",
        "signature_id": 4711,
        "rev": 2,
        "signature": "close 8443",
        "category": "",
        "severity": 3,
    }
    event = {"timestamp": text_time(t).replace("Z", ".118204+0000"), "flow_id": c.rng.getrandbits(50), "event_type": "alert", "src_ip": a.ip,
             "src_port": c.rng.randrange(32768, 61000), "dest_ip": b.ip, "dest_port": port, "proto": "TCP", "alert": alert, "direction": "to_server",
             "verdict": {"action": "drop"}, "pkt_src": "geneve encapsulation"}  # fmt: skip
    c.alerts.append(
        {
            "firewall_name": f"{c.w.project}-gate",
            "availability_zone": f"{c.w.region}{zone}",
            "event_timestamp": str(t),
            "event": event,
        }
    )


def _stream_exceptions(c: Case, zone: str) -> None:
    for name in ("StreamExceptionPolicyPackets", "DroppedPackets"):
        c.metric("AWS/NetworkFirewall", name, engine(c, zone), c.step(0, c.noise(6, 0.4)))


@fault("tgw-appliance-mode-off")
def tgw_appliance_mode_off(c: Case) -> None:
    """Appliance mode is switched off: replies to the other zone's host enter the tools' zone."""
    inspect(c)
    c.freeze()
    att = c.id("att-inspect")
    c.w.row("TransitGatewayVpcAttachments", "TransitGatewayAttachmentId", att)["Options"]["ApplianceModeSupport"] = (
        "disable"
    )
    request = {"TransitGatewayAttachmentId": att, "Options": {"ApplianceModeSupport": "disable"}}
    c.cause(c.at, "ec2", "ModifyTransitGatewayVpcAttachment", {"ModifyTransitGatewayVpcAttachmentRequest": request})
    app, tools = c.eni("app-2"), c.eni("tools")
    crossed = transit(app, tools, c.eni("tgw-tgw-b"), c.eni("tgw-tools-tgw"), through(c, "b"), through(c, "a"))
    c.usual("tools-2", lambda t, _p: OK if t < c.at else Fate("absent"))
    c.talk("tools-crossed", crossed, 8443, fate=lambda t, _p: reply_lost(4) if t >= c.at else Fate("absent"))
    _stream_exceptions(c, "a")
    c.ask(app.name, tools.name, 8443, "one of two application hosts cannot reach the tools")
    c.blame(att, cleared=(c.id("rtb-app"), c.id("sg-tools"), c.id("tgw-rtb"), c.id("firewall")))


@fault("firewall-wrong-zone")
def firewall_wrong_zone(c: Case) -> None:
    """Firewall endpoints between application and database; the database's route back is moved to the other zone's endpoint."""
    w, net = c.w, c.id("main-cidr").split(".")[1]
    w.table("fw", "main")
    for i, zone in enumerate("ab"):
        w.subnet(f"fw-{zone}", "main", f"10.{net}.40.{16 * i}/28", zone, "fw", "main-default")
    firewall(c, "main", "fw")
    w.add_route("app", f"10.{net}.20.0/24", "VpcEndpointId", c.id("vpce-a"))
    for i in (10, 11):
        w.add_route("db", f"10.{net}.{i}.0/24", "VpcEndpointId", c.id("vpce-a"))
    c.freeze()
    w.route("db", f"10.{net}.10.0/24")["VpcEndpointId"] = c.id("vpce-b")
    request = {
        "routeTableId": c.id("rtb-db"),
        "destinationCidrBlock": f"10.{net}.10.0/24",
        "vpcEndpointId": c.id("vpce-b"),
    }
    c.cause(c.at, "ec2", "ReplaceRoute", request)
    db, gate, other = c.eni("db"), c.eni("fw-a"), c.eni("fw-b")
    for n in (1, 2):
        c.talks[f"db-{n}"].path = inside(c.eni(f"app-{n}"), db, gate, gate)
    c.usual("db-1", lambda t, _p: OK if t < c.at else Fate("absent"))
    c.talk(
        "db-crossed",
        inside(c.eni("app-1"), db, gate, other),
        5432,
        fate=lambda t, _p: reply_lost(2) if t >= c.at else Fate("absent"),
    )
    _stream_exceptions(c, "b")
    c.ask(c.eni("app-1").name, db.name, 5432, "database from the first zone: timeout; the second zone is well")
    c.blame(c.id("rtb-db"), cleared=(c.id("rtb-app"), c.id("sg-db"), c.id("acl-db"), c.id("firewall")))


def inside(a: Eni, b: Eni, there: Eni, back: Eni) -> Path:
    """Within one VPC, by a firewall endpoint each way."""
    go = (Place(a, "egress", a.ip, b.ip, path="1"), Place(there, "ingress", a.ip, there.ip, a.ip, b.ip), Place(there, "egress", there.ip, b.ip, a.ip, b.ip),
          Place(b, "ingress", a.ip, b.ip))  # fmt: skip
    come = (Place(b, "egress", b.ip, a.ip, path="1"), Place(back, "ingress", b.ip, back.ip, b.ip, a.ip), Place(back, "egress", back.ip, a.ip, b.ip, a.ip),
            Place(a, "ingress", b.ip, a.ip))  # fmt: skip
    return Path(go, come)


@fault("inspection-no-return-route")
def inspection_no_return_route(c: Case) -> None:
    """The firewall's subnets have routes to the spokes one by one; the application's goes."""
    w = c.w
    inspect(c)
    for zone in "ab":
        w.drop_route(f"in-fw-{zone}", ALL4)
        for vpc in ("main", "tools"):
            w.add_route(f"in-fw-{zone}", c.id(f"{vpc}-cidr"), "TransitGatewayId", c.id("tgw"))
    c.freeze()
    w.drop_route("in-fw-a", c.id("main-cidr"))
    c.cause(
        c.at, "ec2", "DeleteRoute", {"routeTableId": c.id("rtb-in-fw-a"), "destinationCidrBlock": c.id("main-cidr")}
    )
    c.usual("tools-1", c.after(reply_lost(5)))
    for n in (1, 2):
        c.usual(f"metrics-{n}", c.after(lost(5)))
    _blame_tools(c, "tools do not answer app-1 any more")
    c.blame(c.id("rtb-in-fw-a"), cleared=(c.id("rtb-app"), c.id("sg-tools"), c.id("tgw-rtb"), c.id("firewall")))


# -- VPN and Direct Connect
def office(c: Case, *, ecmp: bool = False) -> list[str]:
    """An office by VPN on the transit gateway; returns the tunnels' outside addresses."""
    w = c.w
    vpn, cgw, att = w.new("vpn"), w.new("cgw"), w.new("tgw-attach")
    w.ids |= {"vpn": vpn, "cgw": cgw, "att-vpn": att}
    outside = [f"3.7{i}.{w.rng.randrange(255)}.{w.rng.randrange(1, 255)}" for i in (1, 2)]
    w.tables["CustomerGateways"].append(
        {
            "CustomerGatewayId": cgw,
            "State": "available",
            "Type": "ipsec.1",
            "BgpAsn": "65010",
            "IpAddress": "198.51.100.9",
        }
    )
    w.tables["VpnConnections"].append({
        "VpnConnectionId": vpn, "State": "available", "Type": "ipsec.1", "CustomerGatewayId": cgw, "TransitGatewayId": w.ids["tgw"], "Category": "VPN",
        "Options": {"StaticRoutesOnly": False, "TunnelOptions": [{"OutsideIpAddress": a} for a in outside]}, "Routes": [],
        "VgwTelemetry": [{"OutsideIpAddress": a, "Status": "UP", "StatusMessage": "11 BGP ROUTES", "AcceptedRouteCount": 11,
                          "LastStatusChange": "2026-08-01T04:00:00Z"} for a in outside],
    })  # fmt: skip
    tgw_attachment(w, att, "vpn", vpn, "tgw-rtb")
    spread(w, att, "vpn", vpn, "172.19.0.0/16", "tgw-rtb")
    w.tables["TransitGateways"][0]["Options"]["VpnEcmpSupport"] = "enable" if ecmp else "disable"
    _to_office(c, "TransitGatewayId", c.id("tgw"))
    for a in outside:
        c.metric("AWS/VPN", "TunnelState", dims(VpnId=vpn, TunnelIpAddress=a), lambda _t: 1, "Minimum")
        c.metric("AWS/VPN", "TunnelDataIn", dims(VpnId=vpn, TunnelIpAddress=a), c.noise(400_000))
        c.metric("AWS/VPN", "TunnelDataOut", dims(VpnId=vpn, TunnelIpAddress=a), c.noise(500_000))
    c.attachment_metrics("att-vpn")
    return outside


def _to_office(c: Case, key: str, target: str) -> None:
    """Routes to the office, and traffic from the application to its ledger host."""
    for rtb in ("app", "db"):
        c.w.add_route(rtb, "172.19.0.0/16", key, target)
    for n, zone in ((1, "a"), (2, "b")):
        app, near = c.eni(f"app-{n}"), c.eni(f"tgw-tgw-{zone}")
        for k, far in enumerate(("172.19.4.20", "172.19.4.21")):
            path = Path((Place(app, "egress", app.ip, far, path="3"),), (Place(app, "ingress", far, app.ip),))
            if key == "TransitGatewayId":
                there = (Place(app, "egress", app.ip, far), Place(near, "ingress", app.ip, near.ip, app.ip, far))
                path = Path(there, (Place(near, "egress", near.ip, app.ip, far, app.ip, path="1"), *path.back))
            c.talk(f"office-{n}{k}", path, 1521, every=60 if k == 0 else 120)


def _office_fate(c: Case, bad: Fate) -> None:
    for name in list(c.talks):
        if name.startswith("office-"):
            c.usual(name, c.after(bad))


@fault("vpn-tunnel-down")
def vpn_tunnel_down(c: Case) -> None:
    """Both tunnels go down at the customer's side."""
    outside = office(c)
    c.freeze()
    row = c.w.row("VpnConnections", "VpnConnectionId", c.id("vpn"))
    for tunnel in row["VgwTelemetry"]:
        tunnel |= {
            "Status": "DOWN",
            "StatusMessage": "IPSEC IS DOWN",
            "AcceptedRouteCount": 0,
            "LastStatusChange": text_time(c.at),
        }
    rows = tgw_routes(c.w)
    rows[:] = [r for r in rows if r["DestinationCidrBlock"] != "172.19.0.0/16"]
    for a in outside:
        d = dims(VpnId=c.id("vpn"), TunnelIpAddress=a)
        c.metric("AWS/VPN", "TunnelState", d, c.step(1, 0), "Minimum")
        c.metric("AWS/VPN", "TunnelDataIn", d, c.step(c.noise(400_000), 0))
    _office_fate(c, lost(2))
    c.drops("att-main", "PacketDropCountNoRoute", 20)
    c.ask(c.eni("app-1").name, "172.19.4.20", 1521, "office ledger not reachable")
    c.blame(c.id("vpn"), c.id("att-vpn"), *outside, cleared=(c.id("rtb-app"), c.id("sg-app"), c.id("tgw-rtb")))
    c.silent_since()


@fault("vpn-asymmetric")
def vpn_asymmetric(c: Case) -> None:
    """ECMP is switched on; the office's router takes what comes by the first tunnel only."""
    outside = office(c)
    c.freeze()
    c.w.tables["TransitGateways"][0]["Options"]["VpnEcmpSupport"] = "enable"
    c.cause(
        c.at,
        "ec2",
        "ModifyTransitGateway",
        {"ModifyTransitGatewayRequest": {"TransitGatewayId": c.id("tgw"), "Options": {"VpnEcmpSupport": "enable"}}},
    )
    for i, a in enumerate(outside):
        d = dims(VpnId=c.id("vpn"), TunnelIpAddress=a)
        c.metric("AWS/VPN", "TunnelDataOut", d, c.step(c.noise(700_000) if i == 0 else 0, c.noise(350_000)))
        c.metric("AWS/VPN", "TunnelDataIn", d, c.noise(500_000) if i == 0 else (lambda _t: 0))
    for name in list(c.talks):
        if name.startswith("office-"):
            c.usual(name, c.after(c.share(lost(2), 0.5)))
            c.talks[name].many = 2
    c.ask(c.eni("app-1").name, "172.19.4.20", 1521, "every second connection to the office hangs")
    c.blame(c.id("vpn"), c.id("tgw"), cleared=(c.id("rtb-app"), c.id("sg-app"), c.id("tgw-rtb")))


@fault("bgp-prefix-limit")
def bgp_prefix_limit(c: Case) -> None:
    """The office advertises a thousand routes more; the sessions go down."""
    outside = office(c)
    for t in c.w.tables["VpnConnections"][0]["VgwTelemetry"]:
        t |= {"AcceptedRouteCount": 994, "StatusMessage": "994 BGP ROUTES"}
    c.freeze()
    for t in c.w.tables["VpnConnections"][0]["VgwTelemetry"]:
        t |= {
            "Status": "DOWN",
            "StatusMessage": "IPSEC IS UP",
            "AcceptedRouteCount": 1000,
            "LastStatusChange": text_time(c.at),
        }
    rows = tgw_routes(c.w)
    rows[:] = [r for r in rows if r["DestinationCidrBlock"] != "172.19.0.0/16"]
    for a in outside:
        c.metric(
            "AWS/VPN",
            "TunnelState",
            dims(VpnId=c.id("vpn"), TunnelIpAddress=a),
            c.step(1, lambda t: t // 300 % 2),
            "Minimum",
        )
    _office_fate(c, lost(2))
    c.drops("att-main", "PacketDropCountNoRoute", 20)
    c.ask(c.eni("app-2").name, "172.19.4.20", 1521, "office unreachable since their router was replaced")
    c.blame(c.id("vpn"), cleared=(c.id("rtb-app"), c.id("sg-app")), near=("vpn-tunnel-down",))
    c.silent_since()


@fault("dx-down")
def dx_down(c: Case) -> None:
    """The Direct Connect line goes down."""
    w = c.w
    line, vif, vgw = f"dxcon-fg{w.rng.getrandbits(28):07x}", f"dxvif-fg{w.rng.getrandbits(28):07x}", w.new("vgw")
    w.tables["VpnGateways"].append(
        {
            "VpnGatewayId": vgw,
            "State": "available",
            "Type": "ipsec.1",
            "VpcAttachments": [{"VpcId": c.id("main"), "State": "attached"}],
        }
    )
    _to_office(c, "GatewayId", vgw)
    c.freeze()
    c.metric("AWS/DX", "ConnectionState", dims(ConnectionId=line), c.step(1, 0), "Minimum")
    c.metric(
        "AWS/DX", "VirtualInterfaceBgpStatus", dims(ConnectionId=line, VirtualInterfaceId=vif), c.step(1, 0), "Minimum"
    )
    c.metric("AWS/DX", "ConnectionBpsIngress", dims(ConnectionId=line), c.step(c.noise(30_000_000), 0), "Average")
    _office_fate(c, lost(1))
    c.ask(c.eni("app-1").name, "172.19.4.20", 1521, "nothing of the data centre answers")
    c.blame(line, vif, cleared=(c.id("rtb-app"), c.id("sg-app"), vgw))
    c.silent_since()


@fault("tgw-overlapping-cidr")
def tgw_overlapping_cidr(c: Case) -> None:
    """A second VPC with the tools' block is attached; its routes are not propagated."""
    w = c.w
    c.freeze()
    w.vpc("newtools", c.id("tools-cidr"))
    net = c.id("tools-cidr").split(".")[1]
    w.table("newtools", "newtools")
    w.add_route("newtools", c.id("main-cidr"), "TransitGatewayId", c.id("tgw"))
    w.acl("newtools", "newtools")
    w.subnet("newtools", "newtools", f"10.{net}.90.0/24", "a", "newtools", "newtools")
    w.subnet("newtools-tgw", "newtools", f"10.{net}.91.0/28", "a", "newtools", "newtools-default")
    w.group("newtools", "newtools", [permission("tcp", 8443, cidrs=[c.id("main-cidr")])])
    new = w.instance("newtools", "newtools", "newtools")
    att = attach(w, "newtools", ["newtools-tgw"], propagate=None)
    flow_logs(w, ["newtools"])
    request = {"TransitGatewayId": c.id("tgw"), "VpcId": c.id("newtools"), "SubnetIds": [c.id("subnet-newtools-tgw")]}
    c.cause(c.at, "ec2", "CreateTransitGatewayVpcAttachment", {"CreateTransitGatewayVpcAttachmentRequest": request},
            {"CreateTransitGatewayVpcAttachmentResponse": {"transitGatewayVpcAttachment": {"transitGatewayAttachmentId": att}}})  # fmt: skip
    app = c.eni("app-1")
    to_old = transit(app, new, c.eni("tgw-tgw-a"), c.eni("tgw-tools-tgw"))
    c.talk("new", to_old, 8443, fate=lambda t, _p: lost(3) if t >= c.at else Fate("absent"))
    back = transit(new, app, c.eni("tgw-newtools-tgw"), c.eni("tgw-tgw-a"))
    c.talk("new-out", back, 9100, every=120, fate=lambda t, _p: reply_lost(2) if t >= c.at else Fate("absent"))
    c.ask(app.name, new.name, 8443, "the new tools VPC is attached and nobody can talk to it")
    c.blame(att, c.id("newtools"), cleared=(c.id("rtb-app"), c.id("sg-newtools"), c.id("att-tools")))
