"""Large packets, AWS's own events, and what is not the network."""

from __future__ import annotations

import struct

from .case import PEOPLE, Case, dims, sg_params, text_time
from .faults_limits import access_line
from .packets import ACK, PSH, Stream, ip4, mirrored
from .registry import fault
from .traffic import RESET, Path, Place, Talk, record
from .world import ALL4, Eni, entry, permission


@fault("path-mtu-blackhole")
def path_mtu_blackhole(c: Case) -> None:
    """The ACL of the database's subnets no longer lets ICMP in; large answers to the office by VPN vanish."""
    from .faults_transit import office

    office(c)
    w, db, near, far = c.w, c.eni("db"), c.eni("tgw-tgw-a"), "172.19.4.20"
    w.rules("db").append(permission("tcp", 5432, cidrs=["172.19.0.0/16"]))
    rows = w.entries("db")
    rows[:] = [r for r in rows if r["Egress"] or r["RuleNumber"] == 32767]
    rows += [
        entry(100, False, "allow", ALL4, "6", (0, 65535)),
        entry(110, False, "allow", ALL4, "1") | {"IcmpTypeCode": {"Type": -1, "Code": -1}},
    ]
    c.freeze()
    rows.pop()
    c.cause(c.at, "ec2", "DeleteNetworkAclEntry", {"networkAclId": c.id("acl-db"), "ruleNumber": 110, "egress": False})
    there = (Place(near, "egress", near.ip, db.ip, far, db.ip, path="1"), Place(db, "ingress", far, db.ip))
    back = (Place(db, "egress", db.ip, far), Place(near, "ingress", db.ip, near.ip, db.ip, far))
    path = Path(there, back)
    for t in range(c.start + 20, c.end - 60, 60):
        _big_answer(c, Talk(path, 5432), t, db, near)
    _mtu_packets(c, db, far)
    c.ask(far, db.name, 5432, "log on to the database works, every larger query hangs")
    c.blame(c.id("acl-db"), cleared=(c.id("sg-db"), c.id("vpn"), c.id("rtb-db")))


def _big_answer(c: Case, talk: Talk, t: int, db: Eni, near: Eni) -> None:
    """Before the change a whole answer; then the handshake, small packets, repeats, and the refused message of the narrow hop."""
    sport, bad = c.rng.randrange(33000, 60000), t >= c.at
    there, back = ((7, 900, 2), (9, 9800, 18)) if bad else ((30, 4100, 3), (44, 61_000, 19))
    c.extra += [record(p, talk, t, sport, False, there) for p in talk.path.there]
    c.extra += [
        record(p, talk, t, sport, True, back if p.eni is db else (4, 400, 18) if bad else back) for p in talk.path.back
    ]
    if bad:
        icmp = Talk(talk.path, 0, proto=1)
        row = record(
            Place(db, "ingress", near.ip, db.ip, "198.51.100.9", db.ip), icmp, t + 1, 0, False, (3, 168, 0), "REJECT"
        )
        row.sport = row.dport = 0
        row.src = row.psrc = "198.51.100.9"
        c.extra.append(row)


def _mtu_packets(c: Case, db: Eni, far: str) -> None:
    s = Stream(c, db, far, db.ip, 50123, 5432, c.at + 20.0)
    s.open()
    s.talk(200, 300)
    s.send(0, PSH | ACK, b"q" * 300, after=0.5)
    for wait in (0.01, 0.3, 0.6, 1.2, 2.4):
        s.send(1, PSH | ACK, b"a" * 1960, after=wait, again=True)
        quote = ip4(db.ip, far, 6, b"\0" * 8)
        mirrored(
            c, db, s.t + 0.02, ip4("198.51.100.9", db.ip, 1, struct.pack("!BBHHH", 3, 4, 0, 0, 1446) + quote, df=False)
        )


@fault("provider-event")
def provider_event(c: Case) -> None:
    """AWS reports an issue of the NAT gateways of the Region."""
    c.freeze()
    arn = f"arn:aws:health:{c.w.region}::event/NATGATEWAY/AWS_NATGATEWAY_OPERATIONAL_ISSUE/AWS_NATGATEWAY_OPERATIONAL_ISSUE_{c.rng.getrandbits(32):08x}"
    c.health.append({"arn": arn, "service": "NATGATEWAY", "eventTypeCode": "AWS_NATGATEWAY_OPERATIONAL_ISSUE", "eventTypeCategory": "issue", "region": c.w.region,
                     "startTime": text_time(c.at), "endTime": text_time(c.at + 2700), "lastUpdatedTime": text_time(c.at + 3000), "statusCode": "closed",
                     "eventScopeCode": "PUBLIC"})  # fmt: skip
    old = {
        "service": "EC2",
        "eventTypeCode": "AWS_EC2_MAINTENANCE_SCHEDULED",
        "eventTypeCategory": "scheduledChange",
        "region": c.w.region,
        "statusCode": "upcoming",
    }
    c.health.append(
        old
        | {
            "arn": arn.replace("NATGATEWAY", "EC2"),
            "startTime": text_time(c.end + 86400 * 9),
            "endTime": text_time(c.end + 86400 * 9 + 7200),
        }
    )
    from .traffic import lost

    for n in (1, 2):
        c.usual(f"out-{n}", c.between(c.share(lost(2), 0.7), c.at, c.at + 2700))
    d = dims(NatGatewayId=c.id("nat"))
    c.metric(
        "AWS/NATGateway", "PacketsDropCount", d, lambda t: c.rng.randrange(300, 900) if c.at <= t < c.at + 2700 else 0
    )
    c.metric(
        "AWS/NATGateway",
        "ConnectionEstablishedCount",
        d,
        lambda t: c.rng.randrange(60, 110) if c.at <= t < c.at + 2700 else c.rng.randrange(250, 310),
    )
    c.ask(c.eni("app-1").name, c.service, 443, "calls to the outside fail, we changed nothing")
    c.blame(arn, c.id("nat"), cleared=(c.id("sg-app"), c.id("rtb-app"), c.id("acl-public"), c.id("igw")))
    c.silent_since()


@fault("not-the-network")
def not_the_network(c: Case) -> None:
    """Nothing is wrong with the network; something looks odd."""
    c.freeze()
    odd = [_slow_application, _deployment, _rule_unused, _old_blackhole][c.seed % 4]
    odd(c)
    c.blame("", cleared=(c.id("sg-app"), c.id("sg-db"), c.id("acl-app"), c.id("tgw"), c.id("nat"), c.id("rtb-app")))
    c.answer |= {"since": "", "actor": "", "resource": ""}


def _slow_application(c: Case) -> None:
    """Answers take seconds; the hosts' processors are full."""
    lb = dims(LoadBalancer=c.id("lbpath-web"))
    c.metric(
        "AWS/ApplicationELB",
        "TargetResponseTime",
        lb,
        c.step(0.12, lambda _t: round(c.rng.uniform(3.1, 6.5), 2)),
        "Average",
    )
    for n in (1, 2):
        c.metric(
            "AWS/EC2",
            "CPUUtilization",
            dims(InstanceId=c.eni(f"app-{n}").instance),
            c.step(31, c.noise(97, 0.02)),
            "Average",
            300,
        )
    for t in range(c.start, c.end, 40):
        c.access.append(access_line(c, t, c.eni("lb-web-public-a"), c.eni("app-1"), slow=4.2 if t >= c.at else 0.12))
    c.ask("internet", c.id("lb-web"), 443, "the shop is slow, the network must be broken")


def _deployment(c: Case) -> None:
    """A few refused connections while the hosts restart one after the other."""
    c.event(
        c.at - 20,
        "codedeploy",
        "CreateDeployment",
        {"applicationName": c.w.project, "deploymentGroupName": "web"},
        {"deploymentId": "d-9"},
        who=PEOPLE[3],
    )
    for n in (1, 2):
        c.usual(f"web-{n}", c.between(RESET, c.at + 60 * n, c.at + 60 * n + 60))
    c.ask(c.eni("lb-web-public-b").id, c.eni("app-2").name, 8080, "some resets during the release, is it still broken?")


def _rule_unused(c: Case) -> None:
    """A rule that nobody uses is taken away."""
    c.w.rules("tools").append(permission("tcp", 9999, cidrs=["192.0.2.77/32"]))
    c.freeze()
    c.w.rules("tools").pop()
    c.event(c.at, "ec2", "RevokeSecurityGroupIngress", sg_params(c.id("sg-tools"), "tcp", 9999, cidr="192.0.2.77/32"))
    c.ask(
        c.eni("app-1").name,
        c.eni("tools").name,
        8443,
        "somebody cleaned up the groups, now the tools page shows errors",
    )


def _old_blackhole(c: Case) -> None:
    """An old blackhole route to somewhere else, in both snapshots."""
    gone = c.w.new("pcx")
    c.w.add_route("db", "10.253.0.0/16", "VpcPeeringConnectionId", gone)
    c.w.route("db", "10.253.0.0/16")["State"] = "blackhole"
    c.freeze()
    c.ask(c.eni("app-2").name, c.eni("db").name, 5432, "reports are empty, we see a blackhole in the route table")
