"""Limits, timers and load balancers."""

from __future__ import annotations

from .base import attribute, balancer
from .case import Case, constant, dims, text_time
from .faults_transit import inspect
from .packets import ACK, FIN, PSH, RST, SYN, Stream
from .registry import fault
from .traffic import OK, Fate, Path, Talk, by_nat, by_nlb, direct, lost, record, reply_lost
from .world import Eni, permission


# -- limits
@fault("nat-ports-exhausted")
def nat_ports_exhausted(c: Case) -> None:
    """Very many connections to one service: the gateway has no port left for it."""
    c.freeze()
    d = dims(NatGatewayId=c.id("nat"))
    c.metric("AWS/NATGateway", "ErrorPortAllocation", d, c.step(0, c.noise(240, 0.5)))
    c.metric("AWS/NATGateway", "ActiveConnectionCount", d, c.step(c.noise(21_000), c.noise(55_000, 0.002)), "Maximum")
    c.metric("AWS/NATGateway", "ConnectionAttemptCount", d, c.step(c.noise(2900), c.noise(9000)))
    c.metric("AWS/NATGateway", "ConnectionEstablishedCount", d, c.step(c.noise(2890), c.noise(5100)))
    for n in (1, 2):
        c.talks[f"out-{n}"].many = 4
        c.usual(f"out-{n}", c.after(c.share(lost(2), 0.4)))
    c.ask(c.eni("app-2").name, c.service, 443, "calls to the payment provider fail now and then, other sites are fine")
    c.blame(c.id("nat"), cleared=(c.id("sg-app"), c.id("rtb-app"), c.id("acl-public")))
    c.silent_since()


def _nlb(c: Case, *, preserve: str = "false", zones: bool = False, clients: bool = True) -> str:
    """An internal Network Load Balancer for search on 9200 before the two database hosts, one in each zone."""
    for group in ("app", "db"):
        c.w.rules("db").append(permission("tcp", 9200, groups=[c.w.pair(group)]))
    c.w.rules("db").append(permission("tcp", 9200, cidrs=[c.id("main-cidr")]))
    arn = balancer(
        c.w,
        "search",
        "network",
        9200,
        9200,
        [c.eni("db"), c.eni("db-2")],
        ["app-a", "app-b"],
        preserve=preserve,
        zones=zones,
    )
    keep = preserve == "true"
    for n, zone, target in ((1, "a", "db"), (2, "b", "db-2")):
        if clients:
            c.talk(
                f"search-{n}",
                by_nlb(c.eni(f"app-{n}"), c.eni(f"lb-search-app-{zone}"), c.eni(target), keep=keep),
                9200,
                every=60,
            )
    lb, tg = (
        dims(LoadBalancer=c.id("lbpath-search")),
        dims(LoadBalancer=c.id("lbpath-search"), TargetGroup=c.id("tgpath-search")),
    )
    for name in ("TCP_ELB_Reset_Count", "TCP_Target_Reset_Count", "TCP_Client_Reset_Count", "PortAllocationErrorCount"):
        c.metric("AWS/NetworkELB", name, lb, constant(0))
    c.metric("AWS/NetworkELB", "HealthyHostCount", tg, constant(2), "Minimum")
    c.metric("AWS/NetworkELB", "UnHealthyHostCount", tg, constant(0), "Maximum")
    return arn


@fault("nlb-ports-exhausted")
def nlb_ports_exhausted(c: Case) -> None:
    """The balancer speaks for all clients with its own address and runs out of ports."""
    arn = _nlb(c)
    c.freeze()
    c.metric(
        "AWS/NetworkELB",
        "PortAllocationErrorCount",
        dims(LoadBalancer=c.id("lbpath-search")),
        c.step(0, c.noise(90, 0.5)),
    )
    for n in (1, 2):
        c.talks[f"search-{n}"].many = 4
        c.usual(f"search-{n}", c.after(c.share(lost(2), 0.35)))
    c.ask(c.eni("app-1").name, arn, 9200, "search: some connections are never made at the top of the hour")
    c.blame(arn, cleared=(c.id("sg-db"), c.eni("db").instance, c.id("rtb-app")))
    c.silent_since()


def _allowance(c: Case, kind: str, host: str, rate: float) -> None:
    """The driver's counter was constant and rises from the change on."""
    level = float(c.rng.randrange(40, 900))
    name = f"ethtool_{kind}_allowance_exceeded"
    d = c.agent(c.eni(host).instance)
    c.metric("CWAgent", name, d, lambda t: level + max(0, t - c.at) // 60 * rate, "Maximum")
    c.silent_since()


@fault("conntrack-allowance")
def conntrack_allowance(c: Case) -> None:
    """The database host tracks all the connections that it may."""
    c.freeze()
    _allowance(c, "conntrack", "db", 37)
    c.metric(
        "CWAgent",
        "ethtool_conntrack_allowance_available",
        c.agent(c.eni("db").instance),
        c.step(c.noise(21_000), 0),
        "Minimum",
    )
    for n in (1, 2):
        c.talks[f"db-{n}"].many = 4
        c.usual(f"db-{n}", c.after(c.share(lost(1), 0.45)))
    c.ask(c.eni("app-1").name, c.eni("db").name, 5432, "new database connections hang, open ones work")
    c.blame(c.eni("db").instance, c.eni("db").id, cleared=(c.id("sg-db"), c.id("acl-db"), c.id("rtb-app")))


@fault("pps-allowance")
def pps_allowance(c: Case) -> None:
    """Very many tiny packets at the database host."""
    c.freeze()
    _allowance(c, "pps", "db", 5200)
    burst = direct(c.eni("app-1"), c.eni("db"))
    c.talk(
        "tiny",
        burst,
        5432,
        packets=31_000_000,
        size=1_900_000_000,
        pinned=[40404],
        fate=lambda t, _p: OK if t >= c.at else Fate("absent"),
    )
    c.usual("db-2", c.after(c.share(lost(1), 0.2)))
    c.ask(c.eni("app-2").name, c.eni("db").name, 5432, "database latency is awful, some connects time out")
    c.blame(c.eni("db").instance, c.eni("db").id, cleared=(c.id("sg-db"), c.id("acl-db")))


@fault("bandwidth-allowance")
def bandwidth_allowance(c: Case) -> None:
    """A copy of the database fills the host's bandwidth."""
    c.freeze()
    _allowance(c, "bw_out", "db", 3100)
    c.talk(
        "dump",
        direct(c.eni("db-2"), c.eni("db")),
        5432,
        packets=3_000_000,
        size=23_000_000_000,
        pinned=[51515],
        fate=lambda t, _p: OK if t >= c.at else Fate("absent"),
    )
    c.usual("db-1", c.after(c.share(reply_lost(1), 0.15)))
    c.ask(c.eni("app-1").name, c.eni("db").name, 5432, "queries take seconds since the hour")
    c.blame(c.eni("db").instance, c.eni("db").id, cleared=(c.id("sg-db"), c.id("acl-db")))


@fault("resolver-pps-limit")
def resolver_pps_limit(c: Case) -> None:
    """The host asks the resolver too often; what is too much is dropped and never logged."""
    c.freeze()
    app = c.eni("app-1")
    _allowance(c, "linklocal", "app-1", 900)
    for t in range(c.start, c.end, 30):
        for _ in range(1 if t < c.at else 3):
            c.query(t, app, "db.svc.internal.", [c.eni("db").ip])
    c.ask(app.name, c.eni("db").name, 5432, "app-1: 'temporary failure in name resolution' in bursts")
    c.blame(app.instance, app.id, cleared=(c.id("sg-app"), c.id("sg-db"), c.id("acl-app")))


@fault("subnet-addresses-exhausted")
def subnet_addresses_exhausted(c: Case) -> None:
    """The subnet is full: no new interface can be made."""
    subnet = c.w.row("Subnets", "SubnetId", c.id("subnet-app-a"))
    subnet["AvailableIpAddressCount"] = 2
    c.freeze()
    subnet["AvailableIpAddressCount"] = 0
    robot = ("AutoScaling", "scaling", "autoscaling.amazonaws.com")
    for t in range(c.at, min(c.at + 1800, c.end), 300):
        c.event(t, "ec2", "RunInstances", {"subnetId": subnet["SubnetId"], "instancesSet": {"items": [{"minCount": 1, "maxCount": 1}]}},
                error="Client.InsufficientFreeAddressesInSubnet", message="There are not enough free addresses in subnet to satisfy the request.", who=robot)  # fmt: skip
    c.ask(c.id("subnet-app-a"), c.eni("db").name, 5432, "new application hosts do not come up")
    c.blame(subnet["SubnetId"], cleared=(c.id("sg-app"), c.id("acl-app"), c.id("rtb-app")))
    c.silent_since()


# -- timers
def _idle(c: Case, path: Path, port: int, gap: int, far: int, answer: int | None, *, every: int = 900) -> None:
    """Connections that rest before they speak again: well before the change, too long after it. answer is the place of the reset on the way back."""
    for t in range(c.start + 40, c.end - gap - 60, every):
        sport, talk = c.rng.randrange(33000, 60000), Talk(path, port)
        rest = gap if t + gap >= c.at else 120
        for place in path.there:
            c.extra.append(record(place, talk, t, sport, False, (12, 2250, 2)))
        for place in path.back:
            c.extra.append(record(place, talk, t, sport, True, (11, 9000, 18)))
        if rest == gap:
            _after_rest(c, talk, t + rest, sport, far, answer)
            continue
        for reply, places in ((False, path.there), (True, path.back)):
            c.extra += [record(p, talk, t + rest, sport, reply, (9, 1800, 1), seconds=15) for p in places]


def _after_rest(c: Case, talk: Talk, t: int, sport: int, far: int, answer: int | None) -> None:
    many = 1 if answer is not None else 6
    c.extra += [
        record(p, talk, t, sport, False, (many, 412 * many, 0), seconds=3 if many == 1 else 40)
        for p in talk.path.there[:far]
    ]
    if answer is not None:
        c.extra += [record(p, talk, t, sport, True, (1, 40, 4), seconds=3) for p in talk.path.back[answer:]]


def _rest_packets(c: Case, tap: Eni, far: str, port: int, gap: int, *, reset: bool) -> None:
    s = Stream(c, tap, tap.ip, far, 47111, port, c.at + 61.0, mss=1460)
    s.open()
    s.talk()
    s.send(0, PSH | ACK, b"q" * 360, after=float(gap))
    if reset:
        s.send(1, RST, after=0.0004)
        return
    for wait in (0.2, 0.4, 0.8, 1.6):
        s.seq[0] -= 360
        s.send(0, PSH | ACK, b"q" * 360, after=wait)


@fault("nat-idle-timeout")
def nat_idle_timeout(c: Case) -> None:
    """A pool keeps connections to the outside for longer than the gateway does."""
    c.freeze()
    app, nat = c.eni("app-1"), c.eni("nat")
    _idle(c, by_nat(app, nat, c.service, 5077), 443, 480, 2, 1)
    _rest_packets(c, app, c.service, 443, 480, reset=True)
    c.metric("AWS/NATGateway", "IdleTimeoutCount", dims(NatGatewayId=c.id("nat")), c.step(0, c.noise(14, 0.4)))
    c.ask(app.name, c.service, 443, "'connection reset by peer' on calls to the provider after a quiet time")
    c.blame(c.id("nat"), cleared=(c.id("sg-app"), c.id("rtb-app"), c.id("acl-app")))
    c.silent_since()


@fault("nlb-idle-timeout")
def nlb_idle_timeout(c: Case) -> None:
    """The listener's idle timeout is made shorter than the clients' pauses."""
    arn = _nlb(c)
    row = attribute(c.w, "ListenerAttributes", "ListenerArn", c.id("listener-search"), "tcp.idle_timeout.seconds")
    row["Value"] = "3600"
    c.freeze()
    row["Value"] = "300"
    change = [{"key": "tcp.idle_timeout.seconds", "value": "300"}]
    c.cause(
        c.at,
        "elasticloadbalancing",
        "ModifyListenerAttributes",
        {"listenerArn": c.id("listener-search"), "attributes": change},
        {"attributes": change},
    )
    lb = c.eni("lb-search-app-a")
    _idle(c, by_nlb(c.eni("app-1"), lb, c.eni("db")), 9200, 420, 2, 2)
    _rest_packets(c, c.eni("app-1"), lb.ip, 9200, 420, reset=True)
    c.metric(
        "AWS/NetworkELB", "TCP_ELB_Reset_Count", dims(LoadBalancer=c.id("lbpath-search")), c.step(0, c.noise(6, 0.5))
    )
    c.ask(c.eni("app-1").name, arn, 9200, "first search after a coffee break: connection reset")
    c.blame(
        arn,
        c.id("listener-search"),
        lb.id,
        c.id("tg-search"),
        cleared=(c.id("sg-db"), c.eni("db").instance, c.id("rtb-app")),
    )


@fault("gwlb-idle-timeout")
def gwlb_idle_timeout(c: Case) -> None:
    """The firewall forgets a connection that rests; what comes after vanishes."""
    inspect(c)
    policy = c.w.tables["FirewallPolicies"][0]["FirewallPolicy"]["StatefulEngineOptions"]
    policy["FlowTimeouts"] = {"TcpIdleTimeoutSeconds": 1800}
    c.freeze()
    policy["FlowTimeouts"] = {"TcpIdleTimeoutSeconds": 350}
    arn = c.id("firewall-policy")
    c.cause(
        c.at,
        "network-firewall",
        "UpdateFirewallPolicy",
        {"firewallPolicyArn": arn, "updateToken": "7"},
        {"firewallPolicyResponse": {"firewallPolicyArn": arn}},
    )
    _idle(c, c.talks["tools-1"].path, 8443, 600, 4, None)
    _rest_packets(c, c.eni("app-1"), c.eni("tools").ip, 8443, 600, reset=False)
    c.ask(
        c.eni("app-1").name, c.eni("tools").name, 8443, "long sessions to the tools freeze after ten minutes of silence"
    )
    c.blame(
        c.id("firewall"),
        c.id("vpce-a"),
        c.id("vpce-b"),
        arn,
        cleared=(c.id("sg-tools"), c.id("tgw-rtb"), c.id("rtb-app")),
    )


@fault("conntrack-idle-timeout")
def conntrack_idle_timeout(c: Case) -> None:
    """The application host's interface gets a short timeout; what the tools push after a rest is judged as new, and no rule lets it in."""
    app, tools = c.eni("app-2"), c.eni("tools")
    c.freeze()
    row = c.w.row("NetworkInterfaces", "NetworkInterfaceId", app.id)
    row["ConnectionTrackingConfiguration"] = {"TcpEstablishedTimeout": 120}
    request = {"networkInterfaceId": app.id, "connectionTrackingSpecification": {"tcpEstablishedTimeout": 120}}
    c.cause(c.at, "ec2", "ModifyNetworkInterfaceAttribute", request)
    path = c.talks["tools-2"].path
    talk = Talk(path, 8443)
    for t in range(c.start + 30, c.end - 500, 600):
        sport = c.rng.randrange(33000, 60000)
        for reply, places, amount in ((False, path.there, (12, 2250, 2)), (True, path.back, (11, 9000, 18))):
            c.extra += [record(p, talk, t, sport, reply, amount) for p in places]
        late = t + 300
        c.extra += [record(p, talk, late, sport, True, (6, 2400, 0), seconds=40) for p in path.back[:-1]]
        c.extra.append(
            record(
                path.back[-1], talk, late, sport, True, (6, 2400, 0), "REJECT" if late >= c.at else "ACCEPT", seconds=40
            )
        )
    c.ask(app.name, tools.name, 8443, "the tools' push channel freezes when nothing was sent for some minutes")
    c.blame(app.id, app.instance, cleared=(c.id("sg-app"), c.id("acl-app"), c.id("rtb-app"), c.id("sg-tools")))


@fault("alb-keepalive-race")
def alb_keepalive_race(c: Case) -> None:
    """The balancer keeps connections for longer than the targets do."""
    c.freeze()
    attribute(c.w, "LoadBalancerAttributes", "LoadBalancerArn", c.id("lb-web"), "idle_timeout.timeout_seconds")[
        "Value"
    ] = "600"
    change = [{"key": "idle_timeout.timeout_seconds", "value": "600"}]
    c.cause(
        c.at,
        "elasticloadbalancing",
        "ModifyLoadBalancerAttributes",
        {"loadBalancerArn": c.id("lb-web"), "attributes": change},
        {"attributes": change},
    )
    lb = dims(LoadBalancer=c.id("lbpath-web"))
    for name in ("HTTPCode_ELB_5XX_Count", "HTTPCode_ELB_502_Count"):
        c.metric("AWS/ApplicationELB", name, lb, c.step(None, lambda _t: float(c.rng.randrange(3, 12))))
    front, app = c.eni("lb-web-public-a"), c.eni("app-1")
    path = direct(front, app)
    for t in range(c.at + 20, c.end - 60, 180):
        talk, sport = Talk(path, 8080), c.rng.randrange(2000, 60000)
        c.extra += [record(p, talk, t, sport, False, (1, 640, 0), seconds=2) for p in path.there]
        c.extra += [record(p, talk, t, sport, True, (2, 80, 5), seconds=2) for p in path.back]
    for k in range(3):
        s = Stream(c, app, front.ip, app.ip, 21000 + k, 8080, c.at + 65.0 + 300 * k)
        s.open()
        s.talk(600, 2000)
        s.send(1, FIN | ACK, after=65.0)
        s.send(0, PSH | ACK, b"q" * 600, after=0.0004)
        s.send(1, RST, after=0.0002)
    for t in range(c.start, c.end, 40):
        c.access.append(access_line(c, t, front, app, bad=t >= c.at and t % 200 < 40))
    c.ask("internet", c.id("lb-web"), 443, "a few 502 every minute, nothing in the application's log")
    c.blame(
        c.id("tg-web"),
        c.id("lb-web"),
        app.instance,
        c.eni("app-2").instance,
        cleared=(c.id("sg-app"), c.id("sg-lb"), c.id("acl-app")),
    )


def access_line(c: Case, t: int, front: Eni, app: Eni, *, bad: bool = False, slow: float = 0.1) -> str:
    """A line of the balancer's access log."""
    stamp, target = text_time(t).replace("Z", ".204511Z"), f"{app.ip}:8080"
    times, codes = ("0.001 0.002 -1", "502 -") if bad else (f"0.001 {slow:.3f} 0.000", "200 200")
    return (f'https {stamp} {c.id("lbpath-web")} 203.0.113.{t % 250}:{20000 + t % 40000} {target} {times} {codes} 612 {0 if bad else 9120} '
            f'"GET https://www.example.org:443/basket HTTP/1.1" "curl/8" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 {c.id("tg-web")} "Root=1-{t:08x}-{t:024x}" '
            f'"www.example.org" "-" 0 {stamp} "forward" "-" "-" "{target}" "{codes.split()[1]}" "-" "-" TID_{t:x}')  # fmt: skip


# -- load balancers
def _health(c: Case, name: str, states: list[tuple[str, str]]) -> None:
    rows = c.w.row("LoadBalancerTargetHealth", "TargetGroupArn", c.id(f"tg-{name}"))["TargetHealthDescriptions"]
    for row, (state, reason) in zip(rows, states, strict=True):
        row["TargetHealth"] = {"State": state} | (
            {"Reason": reason, "Description": "Health checks failed"} if reason else {}
        )


@fault("lb-targets-unhealthy")
def lb_targets_unhealthy(c: Case) -> None:
    """A release answers the health check with 404."""
    c.freeze()
    _health(c, "web", [("unhealthy", "Target.ResponseCodeMismatch")] * 2)
    d = dims(LoadBalancer=c.id("lbpath-web"), TargetGroup=c.id("tgpath-web"))
    c.metric("AWS/ApplicationELB", "UnHealthyHostCount", d, c.step(0, 2), "Maximum")
    c.metric("AWS/ApplicationELB", "HealthyHostCount", d, c.step(2, 0), "Maximum")
    c.metric(
        "AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", dims(LoadBalancer=c.id("lbpath-web")), c.step(0, c.noise(1900))
    )
    c.event(c.at - 90, "codedeploy", "CreateDeployment", {"applicationName": c.w.project}, {"deploymentId": "d-1"})
    c.ask("internet", c.id("lb-web"), 443, "the shop answers 503")
    c.blame(
        c.id("tg-web"), c.id("lb-web"), cleared=(c.id("sg-lb"), c.id("sg-app"), c.id("acl-app"), c.id("acl-public"))
    )
    c.silent_since()


@fault("lb-no-listener")
def lb_no_listener(c: Case) -> None:
    """The listener is deleted."""
    arn = _nlb(c)
    c.freeze()
    c.w.row("LoadBalancerListeners", "LoadBalancerArn", arn)["Listeners"].clear()
    c.w.remove("ListenerAttributes", "ListenerArn", c.id("listener-search"))
    c.cause(c.at, "elasticloadbalancing", "DeleteListener", {"listenerArn": c.id("listener-search")}, {})
    for n in (1, 2):
        c.usual(f"search-{n}", c.after(lost(2)))
    c.metric("AWS/NetworkELB", "NewFlowCount", dims(LoadBalancer=c.id("lbpath-search")), c.step(c.noise(40), 0))
    c.ask(c.eni("app-1").name, arn, 9200, "search does not answer")
    c.blame(arn, cleared=(c.id("sg-db"), c.id("rtb-app"), c.eni("db").instance))


@fault("nlb-hairpin")
def nlb_hairpin(c: Case) -> None:
    """A target calls its own balancer, which now keeps client addresses."""
    arn = _nlb(c)
    c.freeze()
    attribute(c.w, "TargetGroupAttributes", "TargetGroupArn", c.id("tg-search"), "preserve_client_ip.enabled")[
        "Value"
    ] = "true"
    change = [{"key": "preserve_client_ip.enabled", "value": "true"}]
    c.cause(
        c.at,
        "elasticloadbalancing",
        "ModifyTargetGroupAttributes",
        {"targetGroupArn": c.id("tg-search"), "attributes": change},
        {"attributes": change},
    )
    db, lb = c.eni("db"), c.eni("lb-search-app-a")
    c.talk("self", by_nlb(db, lb, db), 9200, fate=lambda t, _p: OK if t < c.at else Fate("absent"))
    c.talk("loop", by_nlb(db, lb, db, keep=True), 9200, fate=lambda t, _p: lost(4) if t >= c.at else Fate("absent"))
    for n, zone, target in ((1, "a", "db"), (2, "b", "db-2")):
        kept = by_nlb(c.eni(f"app-{n}"), c.eni(f"lb-search-app-{zone}"), c.eni(target), keep=True)
        c.usual(f"search-{n}", lambda t, _p: OK if t < c.at else Fate("absent"))
        c.talk(f"search-kept-{n}", kept, 9200, fate=lambda t, _p: OK if t >= c.at else Fate("absent"))
    c.ask(db.name, arn, 9200, "the search host's own indexer cannot reach search; everybody else can")
    c.blame(c.id("tg-search"), arn, db.instance, cleared=(c.id("sg-db"), c.id("rtb-db"), c.id("acl-app")))


@fault("nlb-zone-without-target")
def nlb_zone_without_target(c: Case) -> None:
    """The only target of a zone is deregistered; clients that keep its address go on."""
    arn = _nlb(c)
    c.freeze()
    c.w.row("LoadBalancerTargetHealth", "TargetGroupArn", c.id("tg-search"))["TargetHealthDescriptions"].pop()
    gone = c.eni("db-2").instance
    c.cause(
        c.at,
        "elasticloadbalancing",
        "DeregisterTargets",
        {"targetGroupArn": c.id("tg-search"), "targets": [{"id": gone, "port": 9200}]},
        {},
    )
    c.usual("search-2", c.after(lost(2)))
    for zone, good, bad in (("a", 1, 1), ("b", 1, 0)):
        d = dims(
            AvailabilityZone=f"{c.w.region}{zone}",
            LoadBalancer=c.id("lbpath-search"),
            TargetGroup=c.id("tgpath-search"),
        )
        c.metric("AWS/NetworkELB", "HealthyHostCount", d, c.step(good, bad), "Minimum")
    lb = c.eni("lb-search-app-b")
    c.ask(c.eni("app-2").name, arn, 9200, "search works from app-1 only")
    c.blame(c.id("tg-search"), arn, lb.id, lb.ip, cleared=(c.id("sg-db"), c.id("rtb-app"), c.id("acl-db")))


@fault("nlb-source-port-collision")
def nlb_source_port_collision(c: Case) -> None:
    """Two zones' interfaces bring the same client address and port to one target."""
    arn = _nlb(c, preserve="true", zones=True)
    c.freeze()
    app, db = c.eni("app-1"), c.eni("db")
    for zone in "ab":
        c.talk(f"both-{zone}", by_nlb(app, c.eni(f"lb-search-app-{zone}"), db, keep=True), 9200, pinned=[41000, 41001, 41002, 41003], many=3,
               fate=c.between(c.share(reply_lost(0), 0.15), c.at, c.end, OK if zone == "a" else Fate("absent")))  # fmt: skip
    for name in ("TCP_Client_Reset_Count", "TCP_Target_Reset_Count"):
        c.metric("AWS/NetworkELB", name, dims(LoadBalancer=c.id("lbpath-search")), c.step(0, c.noise(9, 0.4)))
    s = Stream(c, db, app.ip, db.ip, 41001, 9200, c.at + 30.0)
    s.open()
    s.talk()
    kept = list(s.seq)
    s.seq[0] = c.rng.getrandbits(31)
    s.send(0, SYN, after=1.0, mss=8961)
    s.seq = kept
    s.send(1, ACK, after=0.0003)
    s.send(0, RST, after=0.0003)
    c.ask(app.name, arn, 9200, "a few per cent of search connections fail at once or after a second")
    c.blame(c.id("tg-search"), arn, cleared=(c.id("sg-db"), c.id("rtb-app"), db.instance))
    c.silent_since()
