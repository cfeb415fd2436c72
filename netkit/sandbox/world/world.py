"""What is there: a web shop in two zones, once for each scenario, laid into moto's backends with ids that never change.

Everything else in the sandbox follows from this: who talks to whom (traffic.py), what a flow log delivers (delivery.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib import resources
from typing import Any

import yaml

from netkit.flowlogs.fields import INVESTIGATION
from netkit.flowlogs.table import FlowLogSpec
from netkit.sandbox import WORLD_END

ACCOUNT, REGION = "123456789012", "us-east-1"
BUCKET, RESULTS_BUCKET, DATABASE, WORKGROUP = (
    "netkit-sandbox-flow-logs",
    "netkit-sandbox-athena-results",
    "netkit_sandbox",
    "netkit",
)
LOG_GROUP = "/netkit/sandbox/bad-day"
LOG_ROLE = f"arn:aws:iam::{ACCOUNT}:role/netkit-sandbox-flow-logs"
START, END = WORLD_END - timedelta(days=2), WORLD_END
NAMES = (
    "bad-day",
    "quiet",
    "blocked-database",
    "port-scan",
    "data-leak",
    "ssh-guessing",
    "dead-return-path",
    "missing-hour",
)


def ident(scenario: str, name: str, prefix: str) -> str:
    """The fixed id of a thing: prefix and 17 hex digits."""
    return f"{prefix}-{hashlib.sha256(f'{scenario}/{name}'.encode()).hexdigest()[:17]}"


@dataclass(frozen=True)
class Subnet:
    """One subnet of the shop."""

    name: str
    cidr: str
    zone: str

    @property
    def az_id(self) -> str:
        """Zone id, as flow logs write it."""
        return "use1-az1" if self.zone.endswith("a") else "use1-az2"


@dataclass(frozen=True)
class Host:
    """One network interface and what it belongs to. group: its security group, "" for a NAT gateway (it has none)."""

    name: str
    subnet: str
    address: str
    group: str
    public: str = ""
    second: str = ""
    kind: str = "instance"  # instance, load balancer, nat, managed

    def interface_id(self, scenario: str) -> str:
        """The id of its network interface."""
        return ident(scenario, self.name, "eni")

    def instance_id(self, scenario: str) -> str:
        """The id of its instance, or "-" for an interface that AWS manages."""
        return ident(scenario, self.name, "i") if self.kind == "instance" else "-"


SUBNETS = (
    Subnet("public-a", "10.0.0.0/24", "us-east-1a"), Subnet("public-b", "10.0.1.0/24", "us-east-1b"),
    Subnet("web-a", "10.0.2.0/24", "us-east-1a"), Subnet("web-b", "10.0.3.0/24", "us-east-1b"),
    Subnet("app-a", "10.0.10.0/24", "us-east-1a"), Subnet("app-b", "10.0.11.0/24", "us-east-1b"),
    Subnet("db-a", "10.0.20.0/24", "us-east-1a"), Subnet("db-b", "10.0.21.0/24", "us-east-1b"),
)  # fmt: skip
HOSTS = (
    Host("alb-a", "public-a", "10.0.0.10", "alb", "52.7.14.10", kind="load balancer"),
    Host("alb-b", "public-b", "10.0.1.10", "alb", "52.7.14.11", kind="load balancer"),
    Host("nat-a", "public-a", "10.0.0.20", "", "52.7.14.20", kind="nat"),
    Host("bastion", "public-a", "10.0.0.30", "bastion", "52.7.14.30"),
    Host("web-1", "web-a", "10.0.2.11", "web"),
    Host("web-2", "web-b", "10.0.3.11", "web"),
    Host("app-1", "app-a", "10.0.10.21", "app", second="10.0.10.121"),
    Host("app-2", "app-a", "10.0.10.22", "app"),
    Host("app-3", "app-b", "10.0.11.21", "app"),
    Host("db-primary", "db-a", "10.0.20.5", "db", kind="managed"),
    Host("db-standby", "db-b", "10.0.21.5", "db", kind="managed"),
)
PARTNER, OFFICE, LEAK, SCANNER, GUESSER = (
    "151.101.64.81",
    "81.2.69.142",
    "185.220.101.34",
    "193.163.125.77",
    "141.98.11.23",
)
S3_ADDRESSES = ("52.216.8.10", "52.216.9.11", "54.231.128.12", "16.182.73.13")

# (direction, protocol, first port, last port, peer): peer is a CIDR or the name of a group
Rule = tuple[str, int, int, int, str]
GROUPS: dict[str, tuple[Rule, ...]] = {
    "alb": (("in", 6, 80, 80, "0.0.0.0/0"), ("in", 6, 443, 443, "0.0.0.0/0")),
    "bastion": (("in", 6, 22, 22, "0.0.0.0/0"),),
    "web": (("in", 6, 80, 80, "alb"), ("in", 6, 22, 22, "bastion")),
    "app": (("in", 6, 8080, 8080, "web"), ("in", 6, 22, 22, "bastion")),
    "db": (("in", 6, 5432, 5432, "app"), ("in", 6, 5432, 5432, "db")),
}
# (rule number, egress, protocol, first port, last port, CIDR, allow)
Entry = tuple[int, bool, int, int, int, str, bool]
ALLOW_ALL: tuple[Entry, ...] = (
    (100, False, -1, 0, 65535, "0.0.0.0/0", True),
    (100, True, -1, 0, 65535, "0.0.0.0/0", True),
)
APP_ACL: tuple[Entry, ...] = (
    (100, False, 6, 0, 65535, "0.0.0.0/0", True),
    (100, True, 6, 443, 443, "0.0.0.0/0", True),
    (110, True, 6, 5432, 5432, "10.0.0.0/16", True),
    (120, True, 6, 1024, 65535, "10.0.0.0/16", True),
)


@dataclass(frozen=True)
class Scenario:
    """A scenario file: what it teaches, its incidents by name with their settings, how busy the shop is."""

    name: str
    teaches: str
    incidents: dict[str, dict[str, Any]]
    shoppers: int = 26000

    @property
    def vpc_id(self) -> str:
        """The id of its VPC."""
        return ident(self.name, "vpc", "vpc")

    @property
    def flow_log_id(self) -> str:
        """The id of the flow log that is there from the start."""
        return ident(self.name, "flow-log", "fl")

    @property
    def spec(self) -> FlowLogSpec:
        """What that flow log writes."""
        return FlowLogSpec(
            ACCOUNT, REGION, resource_ids=(self.vpc_id,), fields=INVESTIGATION, bucket=BUCKET, prefix=self.name
        )

    @property
    def table(self) -> str:
        """The name of its Athena table."""
        return f"flow_logs_{self.name.replace('-', '_')}"

    def groups(self, when: float | None = None) -> dict[str, tuple[Rule, ...]]:
        """Security groups at a Unix time, or as they are now (after every change)."""
        blocked = self.incidents.get("blocked-database")
        if blocked is None or (when is not None and when < moment(blocked["at"])):
            return GROUPS
        return GROUPS | {"db": tuple(rule for rule in GROUPS["db"] if rule[4] != "app")}

    def acl(self, subnet: str, when: float | None = None) -> tuple[Entry, ...]:
        """Network ACL entries of a subnet at a Unix time, or as they are now."""
        if not subnet.startswith("app"):
            return ALLOW_ALL
        dead = self.incidents.get("dead-return-path")
        gone = subnet == "app-b" and dead is not None and (when is None or when >= moment(dead["at"]))
        return tuple(entry for entry in APP_ACL if not (gone and entry[0] == 120))


def moment(clock: str) -> float:
    """Unix seconds of a clock time on the second day, as "09:40"."""
    hour, minute = map(int, clock.split(":"))
    return START.timestamp() + 86400 + hour * 3600 + minute * 60


@cache
def scenario(name: str) -> Scenario:
    """The scenario of that name, from its file."""
    text = (resources.files("netkit.sandbox") / "scenarios" / f"{name}.yaml").read_text("utf-8")
    return Scenario(name, **yaml.safe_load(text))


# ---------------------------------------------------------------------------------------------------- into moto


def seed_scenarios() -> None:
    """Lay all scenarios, the bucket, the database, the workgroup and the log group into moto's backends."""
    from moto.athena.models import athena_backends
    from moto.glue.models import glue_backends
    from moto.iam.models import iam_backends
    from moto.logs.models import logs_backends
    from moto.s3.models import s3_backends

    store = s3_backends[ACCOUNT]["aws"]
    for bucket in (BUCKET, RESULTS_BUCKET):
        store.create_bucket(bucket, REGION)
    glue_backends[ACCOUNT][REGION].create_database(DATABASE, {"Name": DATABASE})
    settings = {
        "ResultConfiguration": {"OutputLocation": f"s3://{RESULTS_BUCKET}/"},
        "EnforceWorkGroupConfiguration": True,
        "BytesScannedCutoffPerQuery": 10_000_000_000,
    }
    athena_backends[ACCOUNT][REGION].create_work_group(WORKGROUP, settings, "netkit", [])
    trust = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"vpc-flow-logs.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
    iam_backends[ACCOUNT]["aws"].create_role("netkit-sandbox-flow-logs", trust, "/", None, "", [], "3600")
    logs_backends[ACCOUNT][REGION].create_log_group(LOG_GROUP, {})
    for name in NAMES:
        seed(scenario(name))


def seed(one: Scenario) -> None:
    """Lay one scenario's VPC and flow log into moto."""
    from moto.ec2.models import ec2_backends

    ec2 = ec2_backends[ACCOUNT][REGION]
    with naming_for(one.name) as naming:
        subnets = _network(ec2, one, naming)
        groups = _groups(ec2, one, naming)
        interfaces = _hosts(ec2, one, naming, subnets, groups)
        _gateways(ec2, one, naming, subnets, interfaces)
        _acls(ec2, one, naming, subnets)
        _flow_logs(ec2, one)


class Naming:
    """Gives the next ids that moto makes: the first for a name is ident(scenario, name, …)."""

    def __init__(self, scenario: str) -> None:
        self.scenario, self.name, self.count = scenario, "", 0

    def __call__(self, name: str) -> None:
        self.name, self.count = name, 0

    def next(self, size: int = 8) -> str:
        """Hex digits for the next id."""
        suffix = f"#{self.count}" if self.count else ""
        self.count += 1
        return hashlib.sha256(f"{self.scenario}/{self.name}{suffix}".encode()).hexdigest()[:size]


@contextmanager
def naming_for(scenario: str) -> Iterator[Naming]:
    """All of moto's EC2 ids go through one function; ours stands in for it while a scenario is laid out."""
    from moto.ec2 import utils

    naming, before = Naming(scenario), utils.random_resource_id
    utils.random_resource_id = naming.next
    try:
        yield naming
    finally:
        utils.random_resource_id = before


def _network(ec2: Any, one: Scenario, naming: Naming) -> dict[str, Any]:
    naming("vpc")
    vpc = ec2.create_vpc("10.0.0.0/16", tags=[{"Key": "Name", "Value": f"shop-{one.name}"}])
    assert vpc.id == one.vpc_id
    subnets = {}
    for subnet in SUBNETS:
        naming(subnet.name)
        subnets[subnet.name] = ec2.create_subnet(
            vpc.id, subnet.cidr, availability_zone=subnet.zone, tags={"subnet": {"Name": subnet.name}}
        )
    return subnets


def _groups(ec2: Any, one: Scenario, naming: Naming) -> dict[str, Any]:
    made = {}
    for name in GROUPS:
        naming(f"sg-{name}")
        made[name] = ec2.create_security_group(
            f"{one.name}-{name}", f"{name} of the shop", one.vpc_id, tags={"Name": name}
        )
    for name, rules in one.groups().items():
        for number, (_, protocol, first, last, peer) in enumerate(rules):
            naming(f"sgr-{name}-{number}")
            sources = (
                {"ip_ranges": [], "source_groups": [{"GroupId": made[peer].id}]}
                if peer in made
                else {"ip_ranges": [{"CidrIp": peer}], "source_groups": []}
            )
            ec2.authorize_security_group_ingress(
                made[name].id,
                {6: "tcp"}[protocol],
                str(first),
                str(last),
                sources["ip_ranges"],
                source_groups=sources["source_groups"],
            )
    return made


def _hosts(ec2: Any, one: Scenario, naming: Naming, subnets: dict[str, Any], groups: dict[str, Any]) -> dict[str, Any]:
    made = {}
    for host in HOSTS:
        naming(host.name)
        addresses = [
            {"PrivateIpAddress": address, "Primary": not number}
            for number, address in enumerate(a for a in (host.address, host.second) if a)
        ]
        eni = ec2.create_network_interface(
            subnets[host.subnet],
            host.address,
            addresses,
            group_ids=[groups[host.group].id] if host.group else [],
            description=_description(one, host),
            tags={} if host.kind == "load balancer" else {"Name": host.name},
        )
        assert eni.id == host.interface_id(one.name)
        eni.status = "in-use"
        eni.requester_managed = host.kind != "instance"
        eni.interface_type = "nat_gateway" if host.kind == "nat" else "interface"
        if host.kind == "nat":
            eni._group_set = []
        if host.kind == "instance":
            _instance(ec2, one, naming, host, eni, groups)
        if host.public:
            _public(ec2, naming, host, eni)
        made[host.name] = eni
    return made


def _description(one: Scenario, host: Host) -> str:
    return {
        "load balancer": f"ELB app/shop-{one.name}/{ident(one.name, 'lb', 'x')[2:18]}",
        "nat": f"Interface for NAT Gateway {ident(one.name, 'nat-gateway', 'nat')}",
        "managed": "RDSNetworkInterface",
        "instance": "",
    }[host.kind]


def launch(ec2: Any, naming: Naming, name: str, wanted: str, eni: Any, group_id: str) -> Any:
    """An instance of that name and id, running, with that interface as its first; gives moto's instance."""
    naming(name)
    reservation = ec2.run_instances(
        "ami-12c6146b", 1, None, [], security_group_ids=[group_id], instance_type="m5.large", subnet_id=eni.subnet.id,
        nics=[{"NetworkInterfaceId": eni.id, "DeviceIndex": "0"}], tags={"instance": {"Name": name}}, is_instance_type_default=False,
        placement=eni.subnet.availability_zone, key_name=None, ebs_optimized=False, instance_initiated_shutdown_behavior="stop",
        private_ip=None, associate_public_ip=False, disable_api_termination=False, disable_api_stop=False, launch_template=None, lifecycle=None,
        region_name=REGION,
    )  # fmt: skip
    made = reservation.instances[0]
    # run_instances takes its first id for the reservation, so the instance is put under its own.
    made.id, made.platform = wanted, None  # moto knows that image as one of Windows
    made.add_tags({"Name": name})
    return made


def _instance(ec2: Any, one: Scenario, naming: Naming, host: Host, eni: Any, groups: dict[str, Any]) -> None:
    made = launch(ec2, naming, host.name, host.instance_id(one.name), eni, groups[host.group].id)
    eni.instance, eni.device_index, eni.attach_time = (
        made,
        0,
        made.launch_time if hasattr(made, "launch_time") else None,
    )
    eni.attachment_id = ident(one.name, host.name, "eni-attach")


def _public(ec2: Any, naming: Naming, host: Host, eni: Any) -> None:
    naming(f"eip-{host.name}")
    address = ec2.allocate_address("vpc", address=None)
    address.public_ip = host.public
    ec2.associate_address(eni=eni, allocation_id=address.allocation_id)
    eni.public_ip = host.public


def _gateways(ec2: Any, one: Scenario, naming: Naming, subnets: dict[str, Any], interfaces: dict[str, Any]) -> None:
    naming("igw")
    gateway = ec2.create_internet_gateway(tags=[{"Key": "Name", "Value": f"shop-{one.name}"}])
    ec2.attach_internet_gateway(gateway.id, one.vpc_id)
    naming("nat-gateway")
    nat = ec2.create_nat_gateway(subnets["public-a"].id, None, tags={"Name": "nat-a"})
    extra = nat._eni
    nat._eni = interfaces["nat-a"]
    ec2.enis.pop(extra.id, None)
    host = next(one_host for one_host in HOSTS if one_host.kind == "nat")
    nat.address_set[:] = [{"networkInterfaceId": nat._eni.id, "privateIp": host.address, "publicIp": host.public}]
    naming("rtb-public")
    public = ec2.create_route_table(one.vpc_id, tags=[{"Key": "Name", "Value": "public"}])
    ec2.create_route(public.id, "0.0.0.0/0", gateway_id=gateway.id)
    naming("rtb-private")
    private = ec2.create_route_table(one.vpc_id, tags=[{"Key": "Name", "Value": "private"}])
    ec2.create_route(private.id, "0.0.0.0/0", nat_gateway_id=nat.id)
    for name, subnet in subnets.items():
        naming(f"rtbassoc-{name}")
        ec2.associate_route_table(
            (public if name.startswith("public") else private).id, gateway_id=None, subnet_id=subnet.id
        )
    naming("vpce-s3")
    ec2.create_vpc_endpoint(one.vpc_id, f"com.amazonaws.{REGION}.s3", "Gateway", None, route_table_ids=[private.id])


def _acls(ec2: Any, one: Scenario, naming: Naming, subnets: dict[str, Any]) -> None:
    for name in ("app-a", "app-b"):
        naming(f"acl-{name}")
        acl = ec2.create_network_acl(one.vpc_id, tags=[{"Key": "Name", "Value": name}])
        for number, egress, protocol, first, last, cidr, allow in one.acl(name):
            ec2.create_network_acl_entry(
                acl.id, number, str(protocol), "allow" if allow else "deny", egress, cidr, None, None, first, last, None
            )
        current = next(
            other
            for other in ec2.network_acls.values()
            if any(link.subnet_id == subnets[name].id for link in other._associations.values())
        )
        naming(f"aclassoc-{name}")
        link = next(key for key, value in current._associations.items() if value.subnet_id == subnets[name].id)
        ec2.replace_network_acl_association(link, acl.id)


def _flow_logs(ec2: Any, one: Scenario) -> None:
    from moto.ec2.models import flow_logs as moto_flow_logs
    from moto.glue.models import glue_backends
    from sqlglot import parse_one

    from netkit.flowlogs.fields import log_format
    from netkit.sandbox.services.athena import table_input

    spec = one.spec
    kind: Any = moto_flow_logs.FlowLogs  # typed as abstract, and is not
    flow_log = kind(
        ec2, one.flow_log_id, one.vpc_id, "ALL", spec.log_destination, None, None, 600, "s3", log_format(spec.fields)
    )
    flow_log.destination_options = spec.create_request()["DestinationOptions"]
    flow_log.creation_time = START
    flow_log.add_tags({"Name": f"shop-{one.name}"})
    ec2.flow_logs[flow_log.id] = flow_log
    tree: Any = parse_one(spec.ddl(DATABASE, one.table), read="athena")
    glue_backends[ACCOUNT][REGION].create_table(DATABASE, one.table, table_input(tree))
    if one.name == "bad-day":
        second = ident(one.name, "flow-log-cwl", "fl")
        group_arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{LOG_GROUP}"
        ec2.flow_logs[second] = kind(
            ec2,
            second,
            one.vpc_id,
            "ALL",
            group_arn,
            LOG_GROUP,
            LOG_ROLE,
            600,
            "cloud-watch-logs",
            log_format(spec.fields),
        )
