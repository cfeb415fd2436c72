"""What is put around a fault: decoys, or a system that was not handed over."""

from __future__ import annotations

from .case import PEOPLE, Case, alarm, dims, sg_params
from .traffic import Fate, refused
from .world import entry, permission

VARIANTS = ("plain", "decoy", "blind", "healthy")
# Which evidence alone can tell this fault: without it "I cannot say" is right too.
DECIDED_BY = {
    "metrics": {"nat-ports-exhausted", "nlb-ports-exhausted", "conntrack-allowance", "pps-allowance", "bandwidth-allowance", "resolver-pps-limit", "dx-down",
                "bgp-prefix-limit", "vpn-asymmetric", "vpn-tunnel-down", "nlb-idle-timeout", "nat-idle-timeout", "alb-keepalive-race", "dns-forwarding-fails"},
    "cloudtrail": {"rule-flapping", "sg-rule-quota", "subnet-addresses-exhausted", "endpoint-policy-denies"},
    "snapshot": {"tgw-wrong-association", "route-missing", "tgw-no-propagation", "return-route-missing"},
    "v2": {"block-public-access", "encryption-controls", "nat-instance-not-translating", "no-listener", "conntrack-idle-timeout", "nat-idle-timeout",
           "nlb-idle-timeout", "alb-keepalive-race", "nlb-source-port-collision"},
    "flow-logs-of-one-vpc": {"host-silent", "no-listener", "path-mtu-blackhole", "host-never-sends"},
    "reject-only": {"host-silent", "no-listener", "host-never-sends", "not-the-network", "route-missing", "no-such-address", "source-dest-check"},
}  # fmt: skip


def adorn(case: Case) -> None:
    """The usual harmless change and alarms, then the variant."""
    w = case.w
    w.rules("bastion")[0]["IpRanges"].append({"CidrIp": "192.0.2.0/28"})
    alarm(
        case,
        "web-unhealthy",
        "AWS/ApplicationELB",
        "UnHealthyHostCount",
        dims(LoadBalancer=case.id("lbpath-web"), TargetGroup=case.id("tgpath-web")),
    )
    alarm(case, "nat-ports", "AWS/NATGateway", "ErrorPortAllocation", dims(NatGatewayId=case.id("nat")))
    if case.variant == "decoy":
        _decoys(case)
    if case.variant == "blind":
        _blind(case)


def _decoys(case: Case) -> None:
    w, rng, cleared = case.w, case.rng, []
    if rng.random() < 0.7:
        entries = w.entries("app")
        entries.insert(0, entry(70, False, "deny", "198.18.9.0/24"))
        params = {"networkAclId": case.id("acl-app"), "ruleNumber": 70, "egress": False, "ruleAction": "deny", "aclProtocol": "-1",
                  "cidrBlock": "198.18.9.0/24", "icmpTypeCode": {}}  # fmt: skip
        case.event(case.at - 170, "ec2", "CreateNetworkAclEntry", params, who=PEOPLE[2])
        cleared.append(case.id("acl-app"))
    else:
        w.add_route("public", "198.51.100.0/24", "GatewayId", case.id("igw"))
        params = {
            "routeTableId": case.id("rtb-public"),
            "destinationCidrBlock": "198.51.100.0/24",
            "gatewayId": case.id("igw"),
        }
        case.event(case.at - 140, "ec2", "CreateRoute", params, who=PEOPLE[2])
        cleared.append(case.id("rtb-public"))
    case.event(
        case.at - 75,
        "codedeploy",
        "CreateDeployment",
        {"applicationName": w.project, "deploymentGroupName": "web"},
        {"deploymentId": "d-CASE"},
        who=PEOPLE[3],
    )
    w.rules("db").append(permission("tcp", 5432, cidrs=["198.18.5.5/32"]))
    case.event(
        case.at + 700,
        "ec2",
        "AuthorizeSecurityGroupIngress",
        sg_params(case.id("sg-db"), "tcp", 5432, cidr="198.18.5.5/32"),
        who=PEOPLE[0],
    )
    cleared.append(case.id("sg-db"))
    scan = case.talks["metrics-2"].path
    case.talk("probe", scan, 9200, every=60, packets=1, fate=lambda _t, _p: refused(3))
    for n in (1, 2):
        i = case.eni(f"app-{n}").instance
        alarm(case, f"app-{n}-cpu", "AWS/EC2", "CPUUtilization", dims(InstanceId=i), "ALARM", case.start - 7200)
    right = {case.answer["resource"], *case.answer["also_right"]}
    case.answer["cleared"] = sorted({*case.answer["cleared"], *cleared, case.id("nat"), case.id("tgw")} - right)


def _blind(case: Case) -> None:
    kinds = ["metrics", "cloudtrail", "snapshot", "v2", "flow-logs-of-one-vpc", "reject-only"] + ["capture"] * bool(
        case.packets
    )
    kind = case.rng.choice(kinds)
    case.blind.add(kind)
    if kind == "flow-logs-of-one-vpc":
        case.w.tables["FlowLogs"] = [f for f in case.w.tables["FlowLogs"] if f["ResourceId"] == case.id("main")]
        case.before["FlowLogs"] = case.w.tables["FlowLogs"]
    for log in (*case.w.tables["FlowLogs"], *case.before["FlowLogs"]):
        if kind == "v2":
            log.pop("LogFormat")
            log["LogFormat"] = " ".join(
                f"${{{f}}}"
                for f in [
                    "version",
                    "account-id",
                    "interface-id",
                    "srcaddr",
                    "dstaddr",
                    "srcport",
                    "dstport",
                    "protocol",
                    "packets",
                    "bytes",
                    "start",
                    "end",
                    "action",
                    "log-status",
                ]
            )
        if kind == "reject-only":
            log["TrafficType"] = "REJECT"
    if kind == "cloudtrail":
        case.answer["actor"] = ""
    case.answer |= {"blind": kind, "unknown_ok": case.code in DECIDED_BY.get(kind, ()), "missing": kind}


def never(_t: int, _p: int) -> Fate:
    return Fate("absent")
