"""A case in the making: the network before and after, who talks, who called AWS, what was measured, and the answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .base import base
from .traffic import OK, Fate, Path, Record, Talk, When, by_nat, direct, outside, transit
from .world import Eni, Row, World

Value = Callable[[int], float | None]  # None: no point
PEOPLE = (("OpsEngineer", "j.meyer", "console.amazonaws.com"), ("PlatformPipeline", "gh-runner-7", "APN/1.0 HashiCorp/1.0 Terraform/1.11.2"),
          ("NetworkTeam", "a.silva", "aws-cli/2.27.1"), ("ReleaseRole", "release-train", "Boto3/1.40.2"))  # fmt: skip
SERVICES = ("151.101.65.69", "140.82.121.4", "104.18.32.115")


def text_time(t: int) -> str:
    return datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def constant(level: float) -> Value:
    return lambda _t: level


def dims(**pairs: str) -> list[Row]:
    return [{"Name": k, "Value": v} for k, v in pairs.items()]


@dataclass
class Case:
    """Everything of one folder, before it is written."""

    seed: int
    code: str
    variant: str = "plain"
    rng: random.Random = field(init=False)
    w: World = field(init=False)
    before: dict[str, Any] = field(default_factory=dict)
    talks: dict[str, Talk] = field(default_factory=dict)
    events: list[Row] = field(default_factory=list)
    series: list[tuple[Row, Value]] = field(default_factory=list)
    alarms: list[Row] = field(default_factory=list)
    dns: list[Row] = field(default_factory=list)
    packets: list[tuple[float, bytes]] = field(default_factory=list)
    alerts: list[Row] = field(default_factory=list)
    health: list[Row] = field(default_factory=list)
    access: list[str] = field(default_factory=list)
    extra: list[Record] = field(default_factory=list)
    answer: Row = field(default_factory=dict)
    ticket: Row = field(default_factory=dict)
    blind: set[str] = field(default_factory=set)
    fields: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"{self.seed}/{self.code}/{self.variant}")
        self.w = World(self.rng)
        base(self.w)
        day = datetime(2026, 9, 1, tzinfo=UTC).timestamp()
        self.start = int(day) + 86400 * self.rng.randrange(60) + 3600 * self.rng.randrange(5, 20)
        self.end = self.start + 7200
        self.at = self.start + self.rng.randrange(2700, 3900)
        self.who = self.rng.choice(PEOPLE)
        self.service = self.rng.choice(SERVICES)
        self._usual()

    # -- shorthands
    def eni(self, name: str) -> Eni:
        return self.w.enis[name]

    def id(self, name: str) -> str:
        return self.w.ids[name]

    @property
    def arn(self) -> str:
        return self.arn_of(self.who)

    def arn_of(self, who: tuple[str, str, str]) -> str:
        return f"arn:aws:sts::{self.w.account}:assumed-role/{who[0]}/{who[1]}"

    def after(self, bad: Fate | When, good: Fate = OK) -> When:
        """Good until the change, bad from then on."""
        return self.between(bad, self.at, self.end, good)

    def between(self, bad: Fate | When, start: int, end: int, good: Fate = OK) -> When:
        def fate(t: int, port: int) -> Fate:
            if not start <= t < end:
                return good
            return bad(t, port) if callable(bad) else bad

        return fate

    def share(self, bad: Fate, part: float) -> When:
        """A part of the connections, by chance of the seed."""
        rng = random.Random(f"{self.seed}/share")
        return lambda _t, _p: bad if rng.random() < part else OK

    def freeze(self) -> None:
        """What stands now is the snapshot before; what comes is the change."""
        self.before = self.w.copy_tables()

    # -- what happened
    def talk(self, name: str, path: Path, port: int, **how: Any) -> Talk:
        self.talks[name] = Talk(path, port, offset=how.pop("offset", self.rng.randrange(5)), **how)
        return self.talks[name]

    def usual(self, name: str, fate: When) -> None:
        self.talks[name].fate = fate

    def event(self, t: int, source: str, name: str, params: Any, response: Any = None, *, error: str = "", who: tuple[str, str, str] | None = None,
              read: bool = False, **more: Any) -> None:  # fmt: skip
        role, session, agent = who or self.who
        account, key = self.w.account, f"AROA{self.w.account[:8]}CASE"
        issuer = {
            "type": "Role",
            "principalId": key,
            "arn": f"arn:aws:iam::{account}:role/{role}",
            "accountId": account,
            "userName": role,
        }
        identity = {"type": "AssumedRole", "principalId": f"{key}:{session}", "arn": self.arn_of((role, session, agent)), "accountId": account,
                    "accessKeyId": "ASIACASEMADE", "sessionContext": {"sessionIssuer": issuer}}  # fmt: skip
        told = (
            None
            if read or error
            else response
            if response is not None
            else {"requestId": self._uuid(), "_return": True}
        )
        row = {"eventVersion": "1.11", "userIdentity": identity, "eventTime": text_time(t), "eventSource": f"{source}.amazonaws.com", "eventName": name,
               "awsRegion": "us-east-1" if source == "route53" else self.w.region, "sourceIPAddress": "203.0.113.24", "userAgent": agent,
               "requestParameters": params, "responseElements": told, "requestID": self._uuid(), "eventID": self._uuid(), "readOnly": read,
               "eventType": "AwsApiCall", "managementEvent": True, "recipientAccountId": account, "eventCategory": "Management"}  # fmt: skip
        if error:
            row |= {
                "errorCode": error,
                "errorMessage": more.pop("message", "You are not authorized to perform this operation."),
            }
        self.events.append(row | more)

    def _uuid(self) -> str:
        h = f"{self.rng.getrandbits(128):032x}"
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-8{h[17:20]}-{h[20:]}"

    def cause(self, t: int, source: str, name: str, params: Any, response: Any = None) -> None:
        """The call that caused it."""
        self.event(t, source, name, params, response)
        self.answer |= {"since": text_time(t), "actor": self.arn}

    def metric(
        self, namespace: str, name: str, dimensions: list[Row], value: Value, stat: str = "Sum", period: int = 60
    ) -> None:
        row = {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions, "Stat": stat, "Period": period}
        self.series = [
            s
            for s in self.series
            if (s[0]["Namespace"], s[0]["MetricName"], s[0]["Dimensions"]) != (namespace, name, dimensions)
        ]
        self.series.append((row, value))

    def noise(self, level: float, part: float = 0.12) -> Value:
        return lambda _t: round(level * self.rng.uniform(1 - part, 1 + part))

    def step(self, good: Value | float | None, bad: Value | float | None) -> Value:
        def value(t: int) -> float | None:
            v = bad if t >= self.at - 59 else good
            return v(t) if callable(v) else v

        return value

    def query(
        self, t: int, host: Eni, name: str, answers: list[str], *, kind: str = "A", rcode: str = "NOERROR", **more: Any
    ) -> None:
        self.dns.append({
            "version": "1.100000", "account_id": self.w.account, "region": self.w.region, "vpc_id": host.vpc, "query_timestamp": text_time(t),
            "query_name": name, "query_type": kind, "query_class": "IN", "rcode": rcode,
            "answers": [{"Rdata": a, "Type": kind, "Class": "IN"} for a in answers], "srcaddr": host.ip, "srcport": str(self.rng.randrange(2000, 60000)),
            "transport": "UDP", "srcids": {"instance": host.instance}, **more,
        })  # fmt: skip

    def ask(self, source: str, destination: str, port: int, title: str, protocol: str = "tcp") -> None:
        self.ticket = {"title": title, "source": source, "destination": destination, "protocol": protocol, "port": port,
                       "window_start": text_time(self.start), "window_end": text_time(self.end)}  # fmt: skip

    def blame(self, resource: str, *also: str, cleared: tuple[str, ...] = (), near: tuple[str, ...] = ()) -> None:
        self.answer |= {
            "cause": self.code,
            "resource": resource,
            "also_right": list(also),
            "also_cause": list(near),
            "cleared": list(cleared),
        }

    def silent_since(self, t: int | None = None) -> None:
        """It began, and no call caused it."""
        self.answer |= {"since": text_time(self.at if t is None else t), "actor": ""}

    # -- what is always there
    def _usual(self) -> None:
        e = self.eni
        for n, zone in ((1, "a"), (2, "b")):
            self.talk(f"web-{n}", direct(e(f"lb-web-public-{zone}"), e(f"app-{n}")), 8080)
            self.talk(f"db-{n}", direct(e(f"app-{n}"), e("db")), 5432)
            self.talk(f"tools-{n}", transit(e(f"app-{n}"), e("tools"), e(f"tgw-tgw-{zone}"), e("tgw-tools-tgw")), 8443)
            self.talk(f"partner-{n}", direct(e(f"app-{n}"), e("partner"), "4"), 443, every=120)
            self.talk(f"out-{n}", by_nat(e(f"app-{n}"), e("nat"), self.service), 443)
            self.talk(
                f"metrics-{n}",
                transit(e("tools"), e(f"app-{n}"), e("tgw-tools-tgw"), e(f"tgw-tgw-{zone}")),
                9100,
                every=120,
            )
        self.talk("report", direct(e("partner"), e("db"), "4"), 5432, every=120)
        self.talk("copy", direct(e("db"), e("db-2")), 5432, every=300, fate=lambda _t, _p: OK)
        for zone in "ab":
            self.talk(
                f"user-{zone}",
                outside(f"203.0.113.{self.rng.randrange(2, 250)}", e(f"lb-web-public-{zone}")),
                443,
                every=90,
            )
            scan = outside(f"45.{self.rng.randrange(200)}.9.{self.rng.randrange(250)}", e(f"lb-web-public-{zone}"))
            self.talk(
                f"scan-{zone}",
                scan,
                self.rng.choice([22, 23, 3389, 5900]),
                every=150,
                packets=1,
                fate=lambda _t, _p: Fate("refused", 0),
            )
        self._usual_metrics()
        self._usual_events()

    def _usual_metrics(self) -> None:
        for name in ("app-1", "app-2", "db"):
            i = self.eni(name).instance
            self.metric("AWS/EC2", "CPUUtilization", dims(InstanceId=i), self.noise(27), "Average", 300)
            self.metric("AWS/EC2", "StatusCheckFailed", dims(InstanceId=i), lambda _t: 0, "Maximum", 300)
            for kind in ("conntrack", "linklocal", "bw_in", "bw_out", "pps"):
                level = 411.0 if kind == "linklocal" else 0.0
                self.metric("CWAgent", f"ethtool_{kind}_allowance_exceeded", self.agent(i), constant(level), "Maximum")
        nat = dims(NatGatewayId=self.id("nat"))
        for name, level, stat in (("ErrorPortAllocation", 0, "Sum"), ("PacketsDropCount", 0, "Sum"), ("IdleTimeoutCount", 2, "Sum"),
                                  ("ActiveConnectionCount", 380, "Maximum"), ("ConnectionAttemptCount", 290, "Sum"), ("ConnectionEstablishedCount", 288, "Sum")):  # fmt: skip
            self.metric("AWS/NATGateway", name, nat, self.noise(level), stat)
        for att in ("att-main", "att-tools"):
            self.attachment_metrics(att)
        lb, tg = (
            dims(LoadBalancer=self.id("lbpath-web")),
            dims(LoadBalancer=self.id("lbpath-web"), TargetGroup=self.id("tgpath-web")),
        )
        self.metric(
            "AWS/ApplicationELB", "TargetResponseTime", lb, lambda _t: round(self.rng.uniform(0.08, 0.15), 3), "Average"
        )
        self.metric("AWS/ApplicationELB", "RequestCount", lb, self.noise(2200))
        self.metric("AWS/ApplicationELB", "HTTPCode_Target_2XX_Count", lb, self.noise(2190))
        self.metric("AWS/ApplicationELB", "UnHealthyHostCount", tg, lambda _t: 0, "Maximum")
        self.metric("AWS/ApplicationELB", "HealthyHostCount", tg, lambda _t: 2, "Maximum")

    def agent(self, instance: str) -> list[Row]:
        return dims(InstanceId=instance, interface="ens5", driver="ena")

    def attachment_metrics(self, att: str) -> None:
        d = (
            dims(TransitGateway=self.id("tgw"), TransitGatewayAttachment=self.id(att))
            if self.seed % 2
            else dims(TransitGatewayAttachment=self.id(att))
        )
        for name, level in (
            ("PacketDropCountBlackhole", 0),
            ("PacketDropCountNoRoute", 0),
            ("BytesIn", 8_000_000),
            ("BytesOut", 7_000_000),
        ):
            self.metric("AWS/TransitGateway", name, d, self.noise(level))

    def drops(self, att: str, name: str, level: float) -> None:
        """A drop counter of a transit gateway attachment rises from the change on."""
        for row, _ in self.series:
            if row["MetricName"] == name and any(d["Value"] == self.id(att) for d in row["Dimensions"]):
                self.metric("AWS/TransitGateway", name, row["Dimensions"], self.step(0, self.noise(level, 0.4)))
                return

    def _usual_events(self) -> None:
        for _ in range(14):
            t = self.rng.randrange(self.start - 3600, self.end)
            name = self.rng.choice(
                ["DescribeInstances", "DescribeNetworkInterfaces", "DescribeSecurityGroups", "DescribeRouteTables"]
            )
            self.event(t, "ec2", name, None, read=True, who=self.rng.choice(PEOPLE))
        tag = {
            "resourcesSet": {"items": [{"resourceId": self.eni("db-2").instance}]},
            "tagSet": {"items": [{"key": "cost", "value": "4711"}]},
        }
        self.event(self.at - 520, "ec2", "CreateTags", tag, who=PEOPLE[0])
        self.event(
            self.at - 1100,
            "ec2",
            "AuthorizeSecurityGroupIngress",
            sg_params(self.id("sg-bastion"), "tcp", 22, cidr="192.0.2.0/28"),
            who=PEOPLE[2],
        )
        self.event(self.at + 420, "ec2", "RevokeSecurityGroupIngress", sg_params(self.id("sg-db"), "tcp", 5432, group=(self.id("sg-app"), self.w.account)),
                   error="Client.UnauthorizedOperation", who=PEOPLE[3])  # fmt: skip


def sg_params(sg: str, proto: str, port: int | None, *, cidr: str = "", group: tuple[str, str] | None = None) -> Row:
    """requestParameters of Authorize and Revoke, as CloudTrail writes them."""
    item: Row = {"ipProtocol": proto, "groups": {"items": [{"groupId": group[0], "userId": group[1]}]} if group else {},
                 "ipRanges": {"items": [{"cidrIp": cidr}]} if cidr and ":" not in cidr else {},
                 "ipv6Ranges": {"items": [{"cidrIpv6": cidr}]} if ":" in cidr else {}, "prefixListIds": {}}  # fmt: skip
    if port is not None:
        item |= {"fromPort": port, "toPort": port}
    return {"groupId": sg, "ipPermissions": {"items": [item]}}


def alarm(
    case: Case, name: str, namespace: str, metric: str, dimensions: list[Row], state: str = "OK", t: int = 0
) -> None:
    case.alarms.append({
        "AlarmName": f"{case.w.project}-{name}", "AlarmArn": case.w.arn("cloudwatch", f"alarm:{case.w.project}-{name}"), "StateValue": state,
        "StateReason": "Threshold Crossed" if state == "ALARM" else "within the threshold", "StateUpdatedTimestamp": text_time(t or case.start - 86400 * 4),
        "Namespace": namespace, "MetricName": metric, "Dimensions": dimensions, "Period": 60, "EvaluationPeriods": 3, "DatapointsToAlarm": 3,
        "Threshold": 0.0, "ComparisonOperator": "GreaterThanThreshold", "Statistic": "Sum", "ActionsEnabled": True, "TreatMissingData": "notBreaching",
        "AlarmConfigurationUpdatedTimestamp": text_time(case.start - 86400 * 40),
    })  # fmt: skip
