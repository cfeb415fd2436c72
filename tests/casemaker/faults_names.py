"""Hosts, endpoints and names."""

from __future__ import annotations

import json
from collections.abc import Mapping

from .base import CUSTOM
from .case import Case, constant, dims, sg_params
from .packets import ACK, RST, SYN, Stream
from .registry import fault
from .traffic import OK, RESET, Fate, Path, Place, by_nat, direct, lost, refused
from .world import permission


# -- hosts
@fault("no-listener")
def no_listener(c: Case) -> None:
    """The database process ends; the host refuses."""
    c.freeze()
    db = c.eni("db")
    for n in (1, 2):
        c.usual(f"db-{n}", c.after(RESET))
    c.usual("report", c.after(RESET))
    for k in range(4):
        s = Stream(c, db, c.eni("app-1").ip, db.ip, 42000 + k, 5432, c.at + 10.0 + 60 * k)
        s.send(0, SYN, mss=8961)
        s.send(1, RST | ACK, after=0.0001)
    c.ask(c.eni("app-1").name, db.name, 5432, "connection refused from the database")
    c.blame(db.instance, db.id, cleared=(c.id("sg-db"), c.id("acl-db"), c.id("rtb-app")))
    c.silent_since()


@fault("host-silent")
def host_silent(c: Case) -> None:
    """The tools host's own firewall drops what comes."""
    c.freeze()
    tools = c.eni("tools")
    for n in (1, 2):
        c.usual(f"tools-{n}", c.after(lost(4)))
    c.ask(c.eni("app-1").name, tools.name, 8443, "tools API times out after the nightly patching")
    c.blame(tools.instance, tools.id, cleared=(c.id("sg-tools"), c.id("tgw"), c.id("rtb-tools"), c.id("acl-tools")))
    c.silent_since()


@fault("host-never-sends")
def host_never_sends(c: Case) -> None:
    """A container bridge on the host has taken over the partner's block."""
    c.freeze()
    c.usual("partner-1", c.after(Fate("absent")))
    app = c.eni("app-1")
    c.ask(app.name, c.eni("partner").name, 443, "app-1 cannot reach the partner, app-2 can")
    c.blame(app.instance, app.id, cleared=(c.id("sg-app"), c.id("pcx"), c.id("sg-partner"), c.id("rtb-app")))
    c.silent_since()


@fault("instance-stopped")
def instance_stopped(c: Case) -> None:
    """Somebody stops the tools host to save money."""
    c.freeze()
    tools = c.eni("tools")
    c.w.row("Reservations", "InstanceId", tools.instance)["State"] = {"Code": 80, "Name": "stopped"}
    items = [
        {
            "instanceId": tools.instance,
            "currentState": {"code": 64, "name": "stopping"},
            "previousState": {"code": 16, "name": "running"},
        }
    ]
    c.cause(
        c.at,
        "ec2",
        "StopInstances",
        {"instancesSet": {"items": [{"instanceId": tools.instance}]}, "force": False},
        {"instancesSet": {"items": items}},
    )
    for n in (1, 2):
        c.usual(f"tools-{n}", c.after(lost(2)))
        c.usual(f"metrics-{n}", c.after(Fate("absent")))
    c.ask(c.eni("app-2").name, tools.name, 8443, "tools API: no answer")
    c.blame(tools.instance, tools.id, cleared=(c.id("sg-tools"), c.id("tgw"), c.id("rtb-app"), c.id("acl-tools")))


@fault("no-such-address")
def no_such_address(c: Case) -> None:
    """The database moved to another host; the application keeps the old address."""
    old = c.w.address(f"10.{c.id('main-cidr').split('.')[1]}.20.0/24")
    c.freeze()
    app, db = c.eni("app-1"), c.eni("db")
    ghost = Path((Place(app, "egress", app.ip, old, path="1"),), ())
    c.talk("ghost", ghost, 5432, every=60, fate=lambda t, _p: lost(1) if t >= c.at else Fate("absent"))
    c.usual("db-1", lambda t, _p: OK if t < c.at else Fate("absent"))
    c.ask(app.name, old, 5432, "one application host cannot reach the database after the failover")
    c.blame(old, cleared=(c.id("sg-db"), c.id("acl-db"), c.id("rtb-app"), db.instance))
    c.silent_since()


# -- endpoints
def _endpoint(c: Case, service: str) -> str:
    """An interface endpoint in both application subnets, and traffic to it."""
    w = c.w
    vpce = w.ids["vpce"] = w.new("vpce")
    w.group("vpce", "main", [permission("tcp", 443, cidrs=[c.id("main-cidr")])])
    enis = [w.eni(f"vpce-{z}", f"app-{z}", "vpc_endpoint", "vpce", f"VPC Endpoint Interface {vpce}") for z in "ab"]
    allow = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}
    w.tables["VpcEndpoints"].append({
        "VpcEndpointId": vpce, "VpcEndpointType": "Interface", "VpcId": c.id("main"), "ServiceName": f"com.amazonaws.{w.region}.{service}",
        "State": "available", "SubnetIds": [e.subnet for e in enis], "Groups": [{"GroupId": c.id("sg-vpce"), "GroupName": f"{w.project}-vpce"}],
        "NetworkInterfaceIds": [e.id for e in enis], "PrivateDnsEnabled": True, "RouteTableIds": [], "OwnerId": w.account, "RequesterManaged": False,
        "PolicyDocument": json.dumps(allow), "DnsEntries": [{"DnsName": f"{service}.{w.region}.amazonaws.com"}],
    })  # fmt: skip
    for n, e in ((1, enis[0]), (2, enis[1])):
        c.talk(f"service-{n}", direct(c.eni(f"app-{n}"), e), 443)
    return vpce


def _service_names(c: Case, service: str, answers: list[str], after: list[str] | None = None) -> None:
    for t in range(c.start, c.end, 60):
        said = after if after and t >= c.at else answers
        for n in (1, 2):
            c.query(t + n, c.eni(f"app-{n}"), f"{service}.{c.w.region}.amazonaws.com.", said)


@fault("endpoint-no-ingress")
def endpoint_no_ingress(c: Case) -> None:
    """The endpoint's group no longer lets the VPC in."""
    vpce = _endpoint(c, "sqs")
    _service_names(c, "sqs", [c.eni("vpce-a").ip, c.eni("vpce-b").ip])
    c.freeze()
    c.w.rules("vpce").clear()
    c.cause(c.at, "ec2", "RevokeSecurityGroupIngress", sg_params(c.id("sg-vpce"), "tcp", 443, cidr=c.id("main-cidr")))
    for n in (1, 2):
        c.usual(f"service-{n}", c.after(refused(1)))
    c.ask(c.eni("app-1").name, vpce, 443, "SQS calls time out")
    c.blame(c.id("sg-vpce"), vpce, near=("sg-no-ingress",), cleared=(c.id("sg-app"), c.id("acl-app"), c.id("rtb-app")))


@fault("endpoint-policy-denies")
def endpoint_policy_denies(c: Case) -> None:
    """The endpoint's policy is narrowed; the network carries the calls well."""
    vpce = _endpoint(c, "secretsmanager")
    _service_names(c, "secretsmanager", [c.eni("vpce-a").ip, c.eni("vpce-b").ip])
    c.freeze()
    policy = json.dumps(
        {
            "Statement": [
                {"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:DescribeSecret", "Resource": "*"}
            ]
        }
    )
    c.w.row("VpcEndpoints", "VpcEndpointId", vpce)["PolicyDocument"] = policy
    request = {"VpcEndpointId": vpce, "PolicyDocument": policy}
    c.cause(c.at, "ec2", "ModifyVpcEndpoint", {"ModifyVpcEndpointRequest": request})
    host = ("AppRole", c.eni("app-1").instance, "Boto3/1.40.2")
    for t in range(c.at + 20, c.end, 120):
        c.event(t, "secretsmanager", "GetSecretValue", {"secretId": "db"}, error="VpceAccessDenied", who=host, vpcEndpointId=vpce, eventType="AwsVpceEvent",
                eventCategory="NetworkActivity", managementEvent=False, message="The request was denied due to a VPC endpoint policy")  # fmt: skip
    c.ask(c.eni("app-1").name, vpce, 443, "secrets cannot be read from inside the VPC")
    c.blame(vpce, cleared=(c.id("sg-vpce"), c.id("sg-app"), c.id("acl-app"), c.id("rtb-app")))


@fault("endpoint-route-missing")
def endpoint_route_missing(c: Case) -> None:
    """The database's table is taken from the S3 gateway endpoint."""
    w = c.w
    vpce, pl, bucket = w.new("vpce"), f"pl-{w.rng.getrandbits(32):08x}", "52.219.170.12"
    tables = [c.id("rtb-db"), c.id("rtb-app")]
    w.tables["PrefixLists"].append(
        {"PrefixListId": pl, "PrefixListName": f"com.amazonaws.{w.region}.s3", "Cidrs": ["52.219.168.0/22"]}
    )
    name = f"com.amazonaws.{w.region}.s3"
    w.tables["ManagedPrefixLists"].append(
        {
            "PrefixListId": pl,
            "PrefixListName": name,
            "OwnerId": "AWS",
            "AddressFamily": "IPv4",
            "State": "create-complete",
        }
    )
    w.tables["ManagedPrefixListEntries"].append({"PrefixListId": pl, "Entries": [{"Cidr": "52.219.168.0/22"}]})
    w.tables["VpcEndpoints"].append({
        "VpcEndpointId": vpce, "VpcEndpointType": "Gateway", "VpcId": c.id("main"), "ServiceName": name, "State": "available", "SubnetIds": [],
        "NetworkInterfaceIds": [], "Groups": [], "RouteTableIds": tables, "PrivateDnsEnabled": False, "OwnerId": w.account,
        "PolicyDocument": json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}),
    })  # fmt: skip
    for rtb in ("db", "app"):
        w.add_route(rtb, pl, "GatewayId", vpce)
    c.freeze()
    w.drop_route("db", pl)
    tables.pop(0)
    c.cause(
        c.at,
        "ec2",
        "ModifyVpcEndpoint",
        {
            "ModifyVpcEndpointRequest": {
                "VpcEndpointId": vpce,
                "RemoveRouteTableId": {"tag": 1, "content": c.id("rtb-db")},
            }
        },
    )
    db = c.eni("db")
    for name, code in (("backup", "7"), ("backup-lost", "-")):
        path = Path((Place(db, "egress", db.ip, bucket, path=code),), (Place(db, "ingress", bucket, db.ip),))
        good = name == "backup"
        c.talk(
            name,
            path,
            443,
            fate=lambda t, _p, good=good: (OK if good else lost(1)) if (t < c.at) == good else Fate("absent"),
        )
    app = c.eni("app-1")
    c.talk(
        "assets", Path((Place(app, "egress", app.ip, bucket, path="7"),), (Place(app, "ingress", bucket, app.ip),)), 443
    )
    c.ask(db.name, bucket, 443, "database backups to S3 hang")
    c.blame(c.id("rtb-db"), vpce, near=("route-missing",), cleared=(c.id("sg-db"), c.id("acl-db"), c.id("rtb-app")))


# -- names
def _zone(c: Case, name: str) -> str:
    zone = c.w.ids["zone"] = f"Z{c.rng.getrandbits(80):020X}"[:20]
    summary = {"HostedZoneId": zone, "Name": name, "Owner": {"OwningAccount": c.w.account}}
    c.w.tables["HostedZonesByVpc"].append({"VPCId": c.id("main"), "HostedZoneSummaries": [summary], "MaxItems": "100"})
    return zone


def _lookups(c: Case, name: str, answer: str, bad: Mapping[str, object], extra: bool = True) -> None:
    """Both hosts ask for the name each minute; bad is what a query says from the change on. Search domains are tried too, as always."""
    for t in range(c.start, c.end, 60):
        for n in (1, 2):
            host = c.eni(f"app-{n}")
            if extra:
                c.query(t + n, host, f"{name}{c.w.region}.compute.internal.", [], rcode="NXDOMAIN")
            more: Mapping[str, object] = bad if t >= c.at else {}
            c.query(t + n, host, name, [] if more else [answer], **more)  # type: ignore[arg-type]


def _no_tries(c: Case) -> None:
    for n in (1, 2):
        c.usual(f"db-{n}", lambda t, _p: OK if t < c.at else Fate("absent"))


@fault("dns-nxdomain")
def dns_nxdomain(c: Case) -> None:
    """The record is deleted."""
    name = "orders-db.corp.internal."
    zone = _zone(c, "corp.internal.")
    c.freeze()
    record = {"name": name, "type": "A", "tTL": 60, "resourceRecords": [{"value": c.eni("db").ip}]}
    c.cause(c.at, "route53", "ChangeResourceRecordSets", {"hostedZoneId": f"/hostedzone/{zone}", "changeBatch": {"changes": [{"action": "DELETE", "resourceRecordSet": record}]}},
            {"changeInfo": {"status": "PENDING"}})  # fmt: skip
    _lookups(c, name, c.eni("db").ip, {"rcode": "NXDOMAIN"})
    _no_tries(c)
    c.ask(c.eni("app-1").name, name, 5432, "application: unknown host orders-db")
    c.blame(name, name.rstrip("."), cleared=(c.id("sg-db"), c.id("acl-db"), c.id("sg-app"), c.eni("db").instance))


@fault("dns-public-answer")
def dns_public_answer(c: Case) -> None:
    """Private DNS of the endpoint is switched off; the name gives the public address."""
    vpce = _endpoint(c, "kms")
    c.freeze()
    c.w.row("VpcEndpoints", "VpcEndpointId", vpce)["PrivateDnsEnabled"] = False
    c.cause(
        c.at,
        "ec2",
        "ModifyVpcEndpoint",
        {"ModifyVpcEndpointRequest": {"VpcEndpointId": vpce, "PrivateDnsEnabled": False}},
    )
    public, name = "18.184.22.90", f"kms.{c.w.region}.amazonaws.com."
    _service_names(c, "kms", [c.eni("vpce-a").ip, c.eni("vpce-b").ip], [public])
    c.w.rules("app", egress=True)[:] = [permission("-1", None, cidrs=["10.0.0.0/8"])]
    for row in c.before["SecurityGroups"]:
        if row["GroupId"] == c.id("sg-app"):
            row["IpPermissionsEgress"] = [permission("-1", None, cidrs=["10.0.0.0/8"])]
    for n in (1, 2):
        c.usual(f"out-{n}", c.between(Fate("absent"), c.start, c.end))
        c.usual(f"service-{n}", lambda t, _p: OK if t < c.at else Fate("absent"))
        c.talk(
            f"public-{n}",
            by_nat(c.eni(f"app-{n}"), c.eni("nat"), public),
            443,
            fate=lambda t, _p: refused(0) if t >= c.at else Fate("absent"),
        )
    c.ask(c.eni("app-1").name, name.rstrip("."), 443, "KMS calls time out from the application")
    c.blame(vpce, name, name.rstrip("."), cleared=(c.id("sg-vpce"), c.id("acl-app"), c.id("rtb-app")))


@fault("dns-firewall-blocks")
def dns_firewall_blocks(c: Case) -> None:
    """A rule group of DNS Firewall is associated and blocks the name."""
    c.freeze()
    group, name = f"rslvr-frg-{c.rng.getrandbits(64):016x}", "hooks.billing.example."
    rule = {
        "firewall_rule_action": "BLOCK",
        "firewall_rule_group_id": group,
        "firewall_domain_list_id": f"rslvr-fdl-{c.rng.getrandbits(64):016x}",
    }
    request = {
        "firewallRuleGroupId": group,
        "vpcId": c.id("main"),
        "priority": 101,
        "name": "block-new-domains",
        "creatorRequestId": "1",
    }
    c.cause(
        c.at,
        "route53resolver",
        "AssociateFirewallRuleGroup",
        request,
        {"firewallRuleGroupAssociation": {"firewallRuleGroupId": group, "vpcId": c.id("main")}},
    )
    _lookups(c, name, c.service, rule | {"rcode": c.rng.choice(["NXDOMAIN", "NOERROR"])}, extra=False)
    for n in (1, 2):
        c.usual(f"out-{n}", lambda t, _p: OK if t < c.at else Fate("absent"))
    c.ask(c.eni("app-2").name, name, 443, "webhooks: cannot resolve the billing host; the record is there")
    c.blame(group, name, name.rstrip("."), cleared=(c.id("sg-app"), c.id("nat"), c.id("rtb-app")))


@fault("dns-forwarding-fails")
def dns_forwarding_fails(c: Case) -> None:
    """A new rule forwards the office's domain to servers that do not answer."""
    w = c.w
    out, rule = f"rslvr-out-{w.rng.getrandbits(68):017x}", f"rslvr-rr-{w.rng.getrandbits(68):017x}"
    w.group("resolver", "main", [])
    enis = [
        w.eni(f"resolver-{z}", f"app-{z}", "interface", "resolver", f"Route 53 Resolver: {out}:rni-{z}") for z in "ab"
    ]
    c.freeze()
    request = {
        "name": "office",
        "ruleType": "FORWARD",
        "domainName": "office.example.",
        "resolverEndpointId": out,
        "targetIps": [{"ip": c.eni("tools").ip, "port": 53}],
    }
    c.cause(
        c.at,
        "route53resolver",
        "CreateResolverRule",
        request,
        {"resolverRule": {"id": rule, "resolverEndpointId": out, "domainName": "office.example."}},
    )
    name = "ldap.office.example."
    for t in range(c.at + 15, c.end, 60):
        c.query(t, c.eni("app-1"), name, [], rcode="SERVFAIL")
    for t in range(c.start, c.end, 60):
        c.query(t, c.eni("app-1"), "api.pay.example.", [c.service])
    for z, e in zip("ab", enis, strict=True):
        path = Path((Place(e, "egress", e.ip, c.eni("tools").ip),), ())
        c.talk(
            f"forward-{z}", path, 53, proto=17, packets=2, fate=lambda t, _p: lost(1) if t >= c.at else Fate("absent")
        )
    c.metric("AWS/Route53Resolver", "EndpointUnhealthyENICount", dims(EndpointId=out), c.step(0, 2), "Maximum")
    c.metric("AWS/Route53Resolver", "OutboundQueryVolume", dims(EndpointId=out), constant(6))
    c.ask(c.eni("app-1").name, name, 389, "office logon fails: name cannot be resolved, other names are well")
    c.blame(out, rule, cleared=(c.id("sg-app"), c.id("acl-app"), c.id("rtb-app"), c.id("nat")))


@fault("encryption-controls")
def encryption_controls(c: Case) -> None:
    """Encryption controls of the VPC go from monitor to enforce."""
    c.fields = [*CUSTOM, "reject-reason"]
    for row in c.w.tables["FlowLogs"]:
        row["LogFormat"] = " ".join(f"${{{f}}}" for f in c.fields)
    vpc, control = c.w.row("Vpcs", "VpcId", c.id("main")), c.w.new("vpcec")
    same = {"VpcId": c.id("main"), "VpcEncryptionControlId": control, "State": "available"}
    vpc["EncryptionControl"] = same | {"Mode": "monitor"}
    c.freeze()
    vpc["EncryptionControl"] = same | {"Mode": "enforce"}
    request = {"ModifyVpcEncryptionControlRequest": {"VpcEncryptionControlId": control, "Mode": "enforce"}}
    c.cause(
        c.at,
        "ec2",
        "ModifyVpcEncryptionControl",
        request,
        {"ModifyVpcEncryptionControlResponse": {"vpcEncryptionControl": {"vpcId": c.id("main"), "mode": "enforce"}}},
    )
    for n in (1, 2):
        c.usual(f"db-{n}", c.after(refused(0, "EC")))
    c.ask(c.eni("app-1").name, c.eni("db").name, 5432, "database not reachable since the compliance change")
    c.blame(c.id("main"), control, cleared=(c.id("sg-db"), c.id("acl-db"), c.id("sg-app"), c.id("rtb-app")))
