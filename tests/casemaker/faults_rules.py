"""Rules of security groups and network ACLs."""

from __future__ import annotations

from .case import Case, sg_params
from .registry import fault
from .traffic import OK, Fate, Place, direct, refused, reply_refused, to_internet
from .world import ALL4, entry, permission


@fault("sg-no-ingress")
def sg_no_ingress(c: Case) -> None:
    """The rule that lets the application in is revoked."""
    c.freeze()
    c.w.rules("db").pop(0)
    c.cause(
        c.at,
        "ec2",
        "RevokeSecurityGroupIngress",
        sg_params(c.id("sg-db"), "tcp", 5432, group=(c.id("sg-app"), c.w.account)),
    )
    for n in (1, 2):
        c.usual(f"db-{n}", c.after(refused(1)))
    c.ask(c.eni("app-1").name, c.eni("db").name, 5432, "the shop cannot open its database")
    c.blame(c.id("sg-db"), cleared=(c.id("acl-db"), c.id("sg-app"), c.id("rtb-app")))


@fault("sg-no-egress")
def sg_no_egress(c: Case) -> None:
    """The group that let all out lets only some out."""
    c.freeze()
    c.w.rules("app", egress=True)[:] = [
        permission("tcp", 5432, cidrs=[c.id("main-cidr")]),
        permission("tcp", 443, cidrs=[ALL4]),
    ]
    t = c.at - 20
    for port, cidr in ((5432, c.id("main-cidr")), (443, ALL4)):
        c.event(t, "ec2", "AuthorizeSecurityGroupEgress", sg_params(c.id("sg-app"), "tcp", port, cidr=cidr))
    c.cause(c.at, "ec2", "RevokeSecurityGroupEgress", sg_params(c.id("sg-app"), "-1", None, cidr=ALL4))
    for n in (1, 2):
        c.usual(f"tools-{n}", c.after(refused(0)))
    c.ask(c.eni("app-2").name, c.eni("tools").name, 8443, "tools API gone since the security clean-up")
    c.blame(c.id("sg-app"), cleared=(c.id("sg-tools"), c.id("tgw"), c.id("rtb-app")))


def _deny(c: Case, acl: str, egress: bool, cidr: str, ports: tuple[int, int] | None, number: int = 60) -> None:
    c.freeze()
    c.w.entries(acl).insert(0, entry(number, egress, "deny", cidr, "6", ports))
    params = {"networkAclId": c.id(f"acl-{acl}"), "ruleNumber": number, "egress": egress, "ruleAction": "deny", "aclProtocol": "6", "cidrBlock": cidr,
              "icmpTypeCode": {}} | ({"portRange": {"from": ports[0], "to": ports[1]}} if ports else {})  # fmt: skip
    c.cause(c.at, "ec2", "CreateNetworkAclEntry", params)


@fault("nacl-denies-request")
def nacl_denies_request(c: Case) -> None:
    """An entry of the database's subnets denies the application's block."""
    net = c.id("main-cidr").split(".")[1]
    _deny(c, "db", False, f"10.{net}.8.0/21", (5432, 5432))
    for n in (1, 2):
        c.usual(f"db-{n}", c.after(refused(1)))
    c.ask(c.eni("app-1").instance, c.eni("db").ip, 5432, "database unreachable, security groups are as they were")
    c.blame(c.id("acl-db"), cleared=(c.id("sg-db"), c.id("sg-app")))


@fault("nacl-denies-reply")
def nacl_denies_reply(c: Case) -> None:
    """The tools' subnet no longer lets replies out to the application."""
    _deny(c, "tools", True, c.id("main-cidr"), (1024, 65535))
    for n in (1, 2):
        c.usual(f"tools-{n}", c.after(reply_refused(0)))
    c.ask(c.eni("app-1").name, c.eni("tools").name, 8443, "tools: connect timeout")
    c.blame(c.id("acl-tools"), cleared=(c.id("sg-tools"), c.id("tgw-rtb"), c.id("tgw")))


@fault("nacl-ephemeral-range-too-narrow")
def nacl_ephemeral(c: Case) -> None:
    """Replies come in to the application only for the upper ports."""
    c.freeze()
    rows = c.w.entries("app")
    rows[:] = [r for r in rows if r["Egress"] or r["RuleNumber"] == 32767]
    rows += [
        entry(90, False, "allow", ALL4, "6", (443, 443)),
        entry(95, False, "allow", ALL4, "6", (8000, 9999)),
        entry(100, False, "allow", ALL4, "6", (49152, 65535)),
    ]
    acl = c.id("acl-app")
    for number, ports in ((90, (443, 443)), (95, (8000, 9999))):
        c.event(c.at - 30, "ec2", "CreateNetworkAclEntry", {"networkAclId": acl, "ruleNumber": number, "egress": False, "ruleAction": "allow", "aclProtocol": "6",
                "cidrBlock": ALL4, "portRange": {"from": ports[0], "to": ports[1]}, "icmpTypeCode": {}})  # fmt: skip
    c.cause(c.at, "ec2", "ReplaceNetworkAclEntry", {"networkAclId": acl, "ruleNumber": 100, "egress": False, "ruleAction": "allow", "aclProtocol": "6",
            "cidrBlock": ALL4, "portRange": {"from": 49152, "to": 65535}, "icmpTypeCode": {}})  # fmt: skip
    last = {"tools": 3, "db": 1, "partner": 1, "out": 2}
    for kind, at in last.items():
        for n in (1, 2):
            c.usual(f"{kind}-{n}", c.after(lambda _t, p, at=at: reply_refused(at) if p < 49152 else OK))  # type: ignore[misc]
    c.ask(c.eni("app-1").name, c.eni("db").name, 5432, "about half of the connections fail, a retry often helps")
    c.blame(acl, cleared=(c.id("sg-db"), c.id("sg-app"), c.id("acl-db")))


@fault("stale-peer-group-reference")
def stale_reference(c: Case) -> None:
    """The partner's group is named by a rule; the peering is made anew, the rule still names the old one."""
    pcx = c.id("pcx")
    pair = {
        "GroupId": c.id("sg-partner"),
        "UserId": c.w.account,
        "VpcId": c.id("partner"),
        "VpcPeeringConnectionId": pcx,
        "PeeringStatus": "active",
    }
    c.w.rules("db")[1] = permission("tcp", 5432, groups=[pair])
    c.freeze()
    fresh = c.w.ids["pcx"] = c.w.new("pcx")
    row = c.w.row("VpcPeeringConnections", "VpcPeeringConnectionId", pcx)
    c.w.tables["VpcPeeringConnections"].append(row | {"VpcPeeringConnectionId": fresh})
    row["Status"] = {"Code": "deleted", "Message": "Deleted"}
    for table in c.w.tables["RouteTables"]:
        for r in table["Routes"]:
            if r.get("VpcPeeringConnectionId") == pcx:
                r["VpcPeeringConnectionId"] = fresh
    c.w.rules("db")[1]["UserIdGroupPairs"][0]["PeeringStatus"] = "deleted"
    c.event(
        c.at - 180,
        "ec2",
        "CreateVpcPeeringConnection",
        {"vpcId": c.id("main"), "peerVpcId": c.id("partner")},
        {"vpcPeeringConnection": {"vpcPeeringConnectionId": fresh}},
    )
    c.event(c.at - 160, "ec2", "AcceptVpcPeeringConnection", {"vpcPeeringConnectionId": fresh})
    for rtb, cidr in (("app", "partner"), ("db", "partner"), ("partner", "main")):
        c.event(
            c.at - 100,
            "ec2",
            "ReplaceRoute",
            {
                "routeTableId": c.id(f"rtb-{rtb}"),
                "destinationCidrBlock": c.id(f"{cidr}-cidr"),
                "vpcPeeringConnectionId": fresh,
            },
        )
    c.cause(c.at, "ec2", "DeleteVpcPeeringConnection", {"vpcPeeringConnectionId": pcx})
    c.usual("report", c.after(refused(1)))
    c.ask(
        c.eni("partner").name,
        c.eni("db").name,
        5432,
        "partner's nightly report cannot log on since we rebuilt the peering",
    )
    c.blame(c.id("sg-db"), cleared=(c.id("acl-db"), c.id("rtb-partner"), fresh))


@fault("sg-rule-quota")
def sg_rule_quota(c: Case) -> None:
    """A new client cannot be let in: the group has its sixty rules."""
    w = c.w
    w.rules("db").append(permission("tcp", 5432, cidrs=[f"198.51.100.{i}/32" for i in range(1, 59)]))
    net = c.id("main-cidr").split(".")[1]
    w.group("batch", "main")
    c.freeze()
    batch = w.instance("batch", "app-a", "batch")
    c.event(
        c.at - 400,
        "ec2",
        "RunInstances",
        {"instancesSet": {"items": [{"minCount": 1, "maxCount": 1}]}},
        {"instancesSet": {"items": [{"instanceId": batch.instance}]}},
    )
    c.event(c.at - 60, "ec2", "AuthorizeSecurityGroupIngress", sg_params(c.id("sg-db"), "tcp", 5432, group=(c.id("sg-batch"), w.account)),
            error="Client.RulesPerSecurityGroupLimitExceeded", message="The maximum number of rules per security group has been reached.")  # fmt: skip
    c.talk("batch", direct(batch, c.eni("db")), 5432, fate=lambda t, _p: refused(1) if t >= c.at else Fate("absent"))
    c.ask(batch.name, c.eni("db").name, 5432, f"new batch host in 10.{net}/16 cannot connect, the old ones can")
    c.blame(c.id("sg-db"), cleared=(c.id("acl-db"), c.id("sg-batch"), c.id("rtb-app")))
    c.answer |= {"since": c.events[-1]["eventTime"], "actor": ""}


@fault("rule-flapping")
def rule_flapping(c: Case) -> None:
    """A controller takes the rule away and puts it back."""
    c.freeze()
    robot = ("SecurityReconciler", "reconciler", "Boto3/1.40.2")
    c.who = robot
    gaps = [(c.at + k * 1200, c.at + k * 1200 + 480) for k in range(3) if c.at + k * 1200 + 480 < c.end]
    params = sg_params(c.id("sg-tools"), "tcp", 8443, cidr=c.id("main-cidr"))
    c.cause(gaps[0][0], "ec2", "RevokeSecurityGroupIngress", params)
    for k, (a, b) in enumerate(gaps):
        if k:
            c.event(a, "ec2", "RevokeSecurityGroupIngress", params)
        c.event(b, "ec2", "AuthorizeSecurityGroupIngress", params)
    for n in (1, 2):
        c.usual(f"tools-{n}", lambda t, _p: refused(3) if any(a <= t < b for a, b in gaps) else OK)
    c.ask(c.eni("app-1").name, c.eni("tools").name, 8443, "tools API comes and goes")
    c.blame(c.id("sg-tools"), cleared=(c.id("acl-tools"), c.id("tgw"), c.id("sg-app")))


@fault("ipv6-egress-missing")
def ipv6_egress(c: Case) -> None:
    """The group's ::/0 rule goes; the name still answers with AAAA first."""
    w, app = c.w, c.eni("app-1")
    six = f"2a05:d014:{c.rng.randrange(16**4):x}:{c.rng.randrange(256):x}00"
    vpc = w.row("Vpcs", "VpcId", c.id("main"))
    vpc["Ipv6CidrBlockAssociationSet"] = [
        {"Ipv6CidrBlock": f"{six}::/56", "Ipv6CidrBlockState": {"State": "associated"}}
    ]
    subnet = w.row("Subnets", "SubnetId", app.subnet)
    subnet["Ipv6CidrBlockAssociationSet"] = [
        {"Ipv6CidrBlock": f"{six}::/64", "Ipv6CidrBlockState": {"State": "associated"}}
    ]
    app.ip6 = f"{six}::1f"
    w.row("NetworkInterfaces", "NetworkInterfaceId", app.id)["Ipv6Addresses"] = [{"Ipv6Address": app.ip6}]
    eigw = w.new("eigw")
    w.tables["EgressOnlyInternetGateways"].append(
        {"EgressOnlyInternetGatewayId": eigw, "Attachments": [{"VpcId": c.id("main"), "State": "attached"}]}
    )
    w.add_route("app", "::/0", "EgressOnlyInternetGatewayId", eigw)
    for e in (True, False):
        w.entries("app").append(entry(101, e, "allow", "::/0"))
    c.freeze()
    w.rules("app", egress=True)[0]["Ipv6Ranges"] = []
    c.cause(c.at, "ec2", "RevokeSecurityGroupEgress", sg_params(c.id("sg-app"), "-1", None, cidr="::/0"))
    target = "2606:4700::6810:84e5"
    path = to_internet(app, target)
    path = type(path)((Place(app, "egress", app.ip6, target, path="8"),), (Place(app, "ingress", target, app.ip6),))
    c.talk("six", path, 443, fate=c.after(refused(0)))
    c.usual("out-1", lambda t, _p: OK if t >= c.at else Fate("absent"))
    for t in range(c.start, c.end, 60):
        c.query(t, app, "api.pay.example.", [target], kind="AAAA")
        c.query(t, app, "api.pay.example.", [c.service])
    c.ask(app.name, target, 443, "payments got slow: every first connection waits, then it works")
    c.blame(c.id("sg-app"), cleared=(c.id("rtb-app"), c.id("nat"), c.id("acl-app"), eigw))
