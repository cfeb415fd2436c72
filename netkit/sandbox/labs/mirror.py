"""The mirrors that are there from the start: analysis hosts, targets, and a session for each way in which a mirror goes wrong.

Sources are hosts of the shop in scenario "quiet", an interface for each mirror, so that its metrics speak of that mirror
alone. The analysis hosts are no hosts of the shop: flow logs do not see what a mirror sends (Amazon VPC User Guide,
"Flow log limitations").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netkit.mirror.filters import parse_filter
from netkit.sandbox.services import mirror_api
from netkit.sandbox.world import mirror as mirror_world
from netkit.sandbox.world import world
from netkit.sandbox.world.mirror import BUCKET
from netkit.sandbox.world.world import ACCOUNT, REGION, Naming, ident, launch, naming_for

NAME = "mirror"  # ids are ident(NAME, the thing's name, prefix)
SCENARIO = "quiet"
SUBNET = "10.0.30.0/24"
# Analysis hosts: name, scenario, address, what its security group admits (protocol, port). The last one has no mirror yet.
ANALYSERS = (
    ("analyser", SCENARIO, "10.0.30.10", ("udp", 4789)),
    ("analyser-closed", SCENARIO, "10.0.30.11", ("tcp", 22)),
    ("analyser-bad-day", "bad-day", "10.0.30.10", ("udp", 4789)),
)


@dataclass(frozen=True)
class Mirror:
    """One mirror: its name (of session and filter), what it teaches, the source host, the filter's lines, the session.

    directions: those of which rules are made; earlier_vni: the VNI that the session had when its packets were captured.
    """

    name: str
    teaches: str
    source: str
    lines: tuple[str, ...]
    vni: int
    number: int = 1
    length: int | None = None
    target: str = "analyser"
    directions: tuple[str, ...] = ("ingress", "egress")
    earlier_vni: int | None = None

    @property
    def session_id(self) -> str:
        """The id of its session."""
        return ident(NAME, self.name, "tms")

    @property
    def filter_id(self) -> str:
        """The id of its filter."""
        return ident(NAME, self.name, "tmf")

    @property
    def interface_id(self) -> str:
        """The id of the source interface."""
        return ident(SCENARIO, self.source, "eni")


_APP = ("app: tcp 8080", "ssh: tcp 22", "calls: tcp 443,5432 to 0.0.0.0/0")
MIRRORS = (
    Mirror("right", "a mirror that shows what it should", "web-1", ("web: tcp 80", "calls: tcp 8080 to 10.0.0.0/16", "ssh: tcp 22 from 10.0.0.0/16"), 1001),
    Mirror("replies-missing", "a filter with rules for requests only", "web-2", ("web: tcp 80",), 1002, directions=("ingress",)),
    Mirror("port-closed", "the target's security group does not admit UDP 4789", "bastion", ("ssh: tcp 22", "calls: tcp 22 to 10.0.0.0/16"), 1003, target="analyser-closed"),
    Mirror("wrong-vni", "the session's VNI was changed after the capture", "db-primary", ("db: tcp 5432", "copies: tcp 5432 to 10.0.21.0/24"), 1004, earlier_vni=1040),
    Mirror("truncated", "a packet length of 128 bytes", "app-2", ("app: tcp 8080", "calls: tcp 443,5432 to 0.0.0.0/0"), 1005, length=128),
    Mirror("second-session", "a session with a lower number takes the calls to the database", "app-3", _APP, 1006, number=2),
    Mirror("database-audit", "the session that takes them", "app-3", ("db: tcp 5432 to 10.0.20.0/24",), 1016),
    Mirror("loss", "the source has no bandwidth left for all copies", "app-1", ("tcp",), 1007),
)  # fmt: skip
BY_NAME = {mirror.name: mirror for mirror in MIRRORS}
# Share of the copies that a source has no bandwidth for: (scenario, host).
_SKIPPED = {(SCENARIO, "app-1"): 0.08}


def target_id(analyser: str) -> str:
    """The id of an analysis host's mirror target."""
    return ident(NAME, analyser, "tmt")


def seed() -> None:
    """Lay analysis hosts, targets, filters and sessions into moto's EC2 backend, and make the bucket of captures."""
    from moto.ec2.models import ec2_backends
    from moto.s3.models import s3_backends

    ec2 = ec2_backends[ACCOUNT][REGION]
    s3_backends[ACCOUNT]["aws"].create_bucket(BUCKET, REGION)
    with naming_for(NAME) as naming:
        for scenario in dict.fromkeys(scenario for _, scenario, _, _ in ANALYSERS):
            naming(f"subnet-{scenario}")
            ec2.create_subnet(
                world.scenario(scenario).vpc_id, SUBNET, availability_zone=f"{REGION}a", tags={"subnet": {"Name": "analysis-a"}}
            )  # fmt: skip
            for name in ("app-a", "app-b"):  # the shop's own entries let TCP out only
                acl = ident(scenario, f"acl-{name}", "acl")
                ec2.create_network_acl_entry(acl, 130, "17", "allow", True, SUBNET, None, None, 4789, 4789, None)
        for name, scenario, address, admits in ANALYSERS:
            _analyser(ec2, naming, name, scenario, address, admits)
        for mirror in MIRRORS:
            _mirror(ec2, naming, mirror)
    mirror_world.skipped.update(_SKIPPED)
    mirror_world.earlier.update(
        (one.session_id, mirror_world.Earlier(one.vni, one.earlier_vni, parse_filter(list(one.lines)).rules))
        for one in MIRRORS
        if one.earlier_vni is not None
    )


def _analyser(ec2: Any, naming: Naming, name: str, scenario: str, address: str, admits: tuple[str, int]) -> None:
    """An instance with its own interface and security group, and a target in front of it."""
    vpc, (protocol, port) = world.scenario(scenario).vpc_id, admits
    naming(name)
    group = ec2.create_security_group(f"{scenario}-{name}", "of an analysis host", vpc, tags={"Name": name})
    naming(f"sgr-{name}")
    ec2.authorize_security_group_ingress(group.id, protocol, str(port), str(port), [{"CidrIp": "10.0.0.0/16"}])
    naming(name)
    subnet = ec2.get_subnet(ident(NAME, f"subnet-{scenario}", "subnet"))
    eni = ec2.create_network_interface(subnet, address, group_ids=[group.id], tags={"Name": name})
    launch(ec2, naming, name, ident(NAME, name, "i"), eni, group.id)
    naming(name)
    mirror_api.new_target(ec2, {"NetworkInterfaceId": eni.id, "Description": f"{name} of {scenario}"}, {"Name": name})


def _mirror(ec2: Any, naming: Naming, mirror: Mirror) -> None:
    tags = {"Name": mirror.name}
    naming(mirror.name)
    made = mirror_api.new_filter(ec2, {"Description": mirror.teaches}, tags)["TrafficMirrorFilterId"]
    for number, rule in enumerate(parse_filter(list(mirror.lines)).rules):
        if rule.direction in mirror.directions:
            naming(f"{mirror.name}-{number}")
            mirror_api.new_rule(ec2, rule.request() | {"TrafficMirrorFilterId": made}, {})
    session = {
        "NetworkInterfaceId": mirror.interface_id, "TrafficMirrorTargetId": target_id(mirror.target), "TrafficMirrorFilterId": made,
        "SessionNumber": mirror.number, "VirtualNetworkId": mirror.vni, "Description": mirror.teaches,
    } | ({"PacketLength": mirror.length} if mirror.length else {})  # fmt: skip
    mirror_api.check_session(ec2, session)
    naming(mirror.name)
    mirror_api.new_session(ec2, session, tags)
