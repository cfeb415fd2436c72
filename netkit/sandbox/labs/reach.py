"""The reachability lab: one small client and server for each way in which a path ends, in VPCs of their own.

Hosts are named `<ending>-client` and `<ending>-server` (Name tag); each has a subnet, and where it matters a security group,
a network ACL and a route table of its own. CASES says what each ending is about, and what a trace should say of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netkit.sandbox.world.world import ACCOUNT, REGION, Naming, ident, launch, naming_for

NAME = "reach"  # ids are ident(NAME, the thing's name, prefix)
LAB, PEER, SPOKE_A, SPOKE_B, SPOKE_C = "reach-lab", "reach-peer", "reach-spoke-a", "reach-spoke-b", "reach-spoke-c"
VPCS = {
    LAB: "10.64.0.0/16",
    PEER: "10.65.0.0/16",
    SPOKE_A: "10.66.0.0/16",
    SPOKE_B: "10.67.0.0/16",
    SPOKE_C: "10.68.0.0/16",
}
ZONE = f"{REGION}a"
PARTNER = "151.101.64.81"  # somewhere on the internet
NAT_ADDRESS, PUBLIC_ADDRESS = "52.7.64.20", "52.7.64.30"
TRANSIT = "10.64.0.0/13"  # every VPC of the lab

# (direction, protocol, first port, last port, CIDR): what a security group allows
Allow = tuple[str, str, int, int, str]
# (rule number, egress, protocol number, first port, last port, CIDR, allow)
Entry = tuple[int, bool, int, int, int, str, bool]
ALL: Allow = ("out", "-1", 0, 65535, "0.0.0.0/0")
ANY_IN: Entry = (100, False, -1, 0, 65535, "0.0.0.0/0", True)
ANY_OUT: Entry = (100, True, -1, 0, 65535, "0.0.0.0/0", True)


def _tcp_in(port: int, cidr: str = "10.64.0.0/16") -> Allow:
    return ("in", "tcp", port, port, cidr)


@dataclass(frozen=True)
class Host:
    """A host: its VPC, the third and fourth number of its address, its group's rules, its ACL's entries (none: the default
    ACL), its route table (none: the VPC's main one, which has local routes only)."""

    name: str
    vpc: str
    subnet: int
    rules: tuple[Allow, ...] = (_tcp_in(443), ALL)
    acl: tuple[Entry, ...] = ()
    table: str = ""
    public: str = ""

    @property
    def cidr(self) -> str:
        """The block of its subnet."""
        return f"{VPCS[self.vpc].rsplit('.', 2)[0]}.{self.subnet}.0/24"

    @property
    def address(self) -> str:
        """Its private address."""
        return f"{VPCS[self.vpc].rsplit('.', 2)[0]}.{self.subnet}.10"

    @property
    def instance_id(self) -> str:
        """The id of its instance."""
        return ident(NAME, self.name, "i")

    @property
    def interface_id(self) -> str:
        """The id of its network interface."""
        return ident(NAME, self.name, "eni")


@dataclass(frozen=True)
class Case:
    """One ending: source and destination as they are asked, the port of TCP, and what has to come out.

    codes: AWS's explanation codes of the blockers; where: the components that they are at; leg: forward or return
    """

    ending: str
    teaches: str
    source: str
    destination: str
    status: str
    codes: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    leg: str = "forward"
    port: int = 443


def _id(name: str, prefix: str) -> str:
    return ident(NAME, name, prefix)


CLIENT: tuple[Allow, ...] = (ALL,)
HOSTS = (
    Host("reachable-client", LAB, 10, CLIENT),
    Host("reachable-server", LAB, 11, (_tcp_in(443), ("in", "icmp", -1, -1, "10.64.0.0/16"), ALL)),
    Host("sg-outbound-client", LAB, 12, (("out", "tcp", 80, 80, "0.0.0.0/0"),)),
    Host("sg-outbound-server", LAB, 13),
    Host("nacl-outbound-client", LAB, 14, CLIENT, (ANY_IN, (90, True, 6, 443, 443, "10.64.0.0/16", False), ANY_OUT)),
    Host("nacl-outbound-server", LAB, 15),
    Host("nacl-inbound-client", LAB, 16, CLIENT),
    Host("nacl-inbound-server", LAB, 17, acl=((100, False, 6, 80, 80, "0.0.0.0/0", True), ANY_OUT)),
    Host("sg-inbound-client", LAB, 18, CLIENT),
    Host("sg-inbound-server", LAB, 19, (_tcp_in(22), ALL)),
    Host("stateless-return-client", LAB, 20, CLIENT),
    Host("stateless-return-server", LAB, 21, acl=(ANY_IN, (100, True, 6, 443, 443, "0.0.0.0/0", True))),
    Host("two-blockers-client", LAB, 22, CLIENT, (ANY_IN, (90, True, 6, 443, 443, "10.64.0.0/16", False), ANY_OUT)),
    Host("two-blockers-server", LAB, 23, (_tcp_in(22), ALL)),
    Host("no-route-client", LAB, 24, CLIENT, table="no-route"),
    Host("no-route-server", PEER, 25, table="peer-routed"),
    Host("peering-no-return-client", LAB, 26, CLIENT, table="lab-to-peer"),
    Host("peering-no-return-server", PEER, 27, table="peering-no-return"),
    Host("peering-reachable-client", LAB, 28, CLIENT, table="lab-to-peer"),
    Host("peering-reachable-server", PEER, 29, table="peer-routed"),
    Host("private-no-nat-client", LAB, 30, CLIENT, table="private-no-nat"),
    Host("nat-reachable-client", LAB, 31, CLIENT, table="private-nat"),
    Host("s3-no-route-client", LAB, 32, CLIENT, table="private-no-s3"),
    Host("s3-reachable-client", LAB, 33, CLIENT, table="private-s3"),
    Host("public-server", LAB, 34, (_tcp_in(443, "0.0.0.0/0"), ALL), table="public", public=PUBLIC_ADDRESS),
    Host("nlb-reachable-client", LAB, 35, CLIENT),
    Host("nlb-reachable-server", LAB, 36, (_tcp_in(8443), ALL)),
    Host("alb-target-client", LAB, 37, CLIENT),
    Host("alb-target-server", LAB, 38, (_tcp_in(8443, "10.64.37.0/24"), ALL)),
    Host("endpoint-reachable-client", LAB, 39, CLIENT),
    Host("tgw-reachable-client", SPOKE_A, 10, CLIENT, table="spoke-a"),
    Host("tgw-reachable-server", SPOKE_B, 11, (_tcp_in(443, TRANSIT), ALL), table="spoke-b"),
    Host("tgw-no-association-client", SPOKE_C, 10, CLIENT, table="spoke-c"),
    Host("tgw-no-association-server", SPOKE_B, 12, (_tcp_in(443, TRANSIT), ALL), table="spoke-b"),
)  # fmt: skip
# Load balancers: kind, the number of its subnet, the host that is its target (listening on 8443 for 443).
BALANCERS = {
    "reach-nlb": ("network", 40, "nlb-reachable-server"),
    "reach-alb": ("application", 41, "alb-target-server"),
}
BY_NAME = {host.name: host for host in HOSTS}
# Route tables: the VPC, and (destination, the target's prefix) pairs.
TABLES: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "public": (LAB, (("0.0.0.0/0", "igw"),)),
    "private-nat": (LAB, (("0.0.0.0/0", "nat"),)),
    "private-no-nat": (LAB, ()),
    "private-s3": (LAB, ()),
    "private-no-s3": (LAB, ()),
    "no-route": (LAB, ()),
    "peering-no-return": (PEER, ()),
    "lab-to-peer": (LAB, ((VPCS[PEER], "pcx"),)),
    "peer-routed": (PEER, ((VPCS[LAB], "pcx"),)),
    "spoke-a": (SPOKE_A, ((TRANSIT, "tgw"),)),
    "spoke-b": (SPOKE_B, ((TRANSIT, "tgw"),)),
    "spoke-c": (SPOKE_C, ((TRANSIT, "tgw"),)),
}


def balancer_arn(name: str) -> str:
    """The ARN of a load balancer of the lab."""
    kind = {"network": "net", "application": "app"}[BALANCERS[name][0]]
    return f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/{kind}/{name}/{ident(NAME, name, 'x')[2:18]}"


SG, ACL = "ENI_SG_RULES_MISMATCH", "SUBNET_ACL_RESTRICTION"


def _pair(ending: str, teaches: str, *blockers: tuple[str, str], leg: str = "forward") -> Case:
    status = "NOT_REACHABLE" if blockers else "REACHABLE"
    codes, where = tuple(code for code, _ in blockers), tuple(component for _, component in blockers)
    return Case(ending, teaches, f"{ending}-client", f"{ending}-server", status, codes, where, leg)


CASES = (
    _pair("reachable", "two hosts of one VPC that may talk"),
    _pair("no-route", "the peering is there, and the client's route table does not name it", ("NO_ROUTE_TO_DESTINATION", _id("no-route", "rtb"))),
    _pair("sg-outbound", "the client's security group lets out port 80 only", (SG, _id("sg-outbound-client", "sg"))),
    _pair("nacl-outbound", "rule 90 of the client's network ACL denies it", (ACL, _id("nacl-outbound-client", "acl"))),
    _pair("nacl-inbound", "the server's network ACL lets in port 80 only", (ACL, _id("nacl-inbound-server", "acl"))),
    _pair("sg-inbound", "the server's security group lets in port 22 only", (SG, _id("sg-inbound-server", "sg"))),
    _pair("stateless-return", "the server's network ACL lets no reply out", (ACL, _id("stateless-return-server", "acl")), leg="return"),
    _pair("two-blockers", "network ACL and security group at once", (ACL, _id("two-blockers-client", "acl")), (SG, _id("two-blockers-server", "sg"))),
    _pair("peering-no-return", "the server's route table does not know the way back", ("NO_ROUTE_TO_DESTINATION", _id("peering-no-return", "rtb")), leg="return"),
    _pair("peering-reachable", "two peered VPCs that route to each other"),
    _pair("tgw-no-association", "the attachment of the client's VPC has no route table", ("TGW_ATTACH_MISSING_TGW_RTB_ASSOCIATION", _id("attach-reach-spoke-c", "tgw-attach"))),
    _pair("tgw-reachable", "two VPCs on one transit gateway"),
    Case("private-no-nat", "a private subnet without a NAT gateway", "private-no-nat-client", PARTNER, "NOT_REACHABLE", ("NO_ROUTE_TO_DESTINATION",), (_id("private-no-nat", "rtb"),)),
    Case("nat-reachable", "a private subnet with one", "nat-reachable-client", PARTNER, "REACHABLE"),
    Case("s3-no-route", "the gateway endpoint is there, and not in the route table", "s3-no-route-client", _id("s3", "vpce"), "NOT_REACHABLE", ("NO_ROUTE_TO_DESTINATION",), (_id("private-no-s3", "rtb"),)),
    Case("s3-reachable", "the same endpoint from a subnet that has its route", "s3-reachable-client", _id("s3", "vpce"), "REACHABLE"),
    Case("endpoint-reachable", "an interface endpoint, which has an address in the VPC", "endpoint-reachable-client", _id("ssm", "vpce"), "REACHABLE"),
    Case("nlb-reachable", "an internal network load balancer, which keeps the client's address", "nlb-reachable-client", balancer_arn("reach-nlb"), "REACHABLE"),
    Case("alb-target", "the target's security group admits the client, and not the load balancer that stands between", "alb-target-client", balancer_arn("reach-alb"), "NOT_REACHABLE", (SG,), (_id("alb-target-server", "sg"),)),
    Case("internet-reachable", "a public host from outside", "internet", "public-server", "REACHABLE"),
)  # fmt: skip


def seed() -> None:
    """Lay the lab into moto's EC2 backend."""
    from moto.ec2.models import ec2_backends

    ec2 = ec2_backends[ACCOUNT][REGION]
    with naming_for(NAME) as naming:
        for name, cidr in VPCS.items():
            naming(f"vpc-{name}")
            ec2.create_vpc(cidr, tags=_tags(name))
        made = _gateways(ec2, naming)
        tables = _tables(ec2, naming, made)
        for host in HOSTS:
            _host(ec2, naming, host, tables)
        _endpoints(ec2, naming, tables)
        for name in BALANCERS:
            _balancer(ec2, naming, name)


def _tags(name: str) -> list[dict[str, str]]:
    return [{"Key": "Name", "Value": name}]


def _subnet(ec2: Any, naming: Naming, name: str, vpc: str, cidr: str) -> Any:
    naming(name)
    return ec2.create_subnet(_id(f"vpc-{vpc}", "vpc"), cidr, availability_zone=ZONE, tags={"subnet": {"Name": name}})


def _gateways(ec2: Any, naming: Naming) -> dict[str, str]:
    """An internet gateway, a NAT gateway, a peering and a transit gateway; ids by prefix."""
    naming("igw")
    internet = ec2.create_internet_gateway(tags=_tags(LAB))
    ec2.attach_internet_gateway(internet.id, _id(f"vpc-{LAB}", "vpc"))
    naming("pcx")
    peering = ec2.create_vpc_peering_connection(
        ec2.get_vpc(_id(f"vpc-{LAB}", "vpc")), ec2.get_vpc(_id(f"vpc-{PEER}", "vpc")), {"Name": "reach-lab-to-peer"}
    )
    ec2.accept_vpc_peering_connection(peering.id)
    return {"igw": internet.id, "pcx": peering.id, "nat": _nat(ec2, naming), "tgw": _transit(ec2, naming)}


def _nat(ec2: Any, naming: Naming) -> str:
    subnet = _subnet(ec2, naming, "nat", LAB, "10.64.1.0/24")
    naming("eip-nat")
    address = ec2.allocate_address("vpc", address=None)
    address.public_ip = NAT_ADDRESS
    naming("nat")
    return str(ec2.create_nat_gateway(subnet.id, address.allocation_id, tags={"Name": LAB}).id)


def _transit(ec2: Any, naming: Naming) -> str:
    """Three VPCs on a transit gateway. All announce their blocks; the third has no route table for what it sends."""
    naming("tgw")
    options = {"DefaultRouteTableAssociation": "disable", "DefaultRouteTablePropagation": "disable"}
    transit = ec2.create_transit_gateway("reachability lab", options, _tags("reach-transit"))
    naming("tgw-rtb")
    table = ec2.create_transit_gateway_route_table(transit.id, {"Name": "reach-spokes"})
    for vpc in (SPOKE_A, SPOKE_B, SPOKE_C):
        subnet = _subnet(ec2, naming, f"{vpc}-transit", vpc, f"{VPCS[vpc].rsplit('.', 2)[0]}.1.0/28")
        naming(f"attach-{vpc}")
        one = ec2.create_transit_gateway_vpc_attachment(
            transit.id, _id(f"vpc-{vpc}", "vpc"), [subnet.id], {"Name": vpc}
        )
        ec2.enable_transit_gateway_route_table_propagation(one.id, table.id)
        if vpc != SPOKE_C:
            ec2.associate_transit_gateway_route_table(one.id, table.id)
    return str(transit.id)


def _tables(ec2: Any, naming: Naming, targets: dict[str, str]) -> dict[str, Any]:
    made = {}
    member = {
        "igw": "gateway_id",
        "nat": "nat_gateway_id",
        "pcx": "vpc_peering_connection_id",
        "tgw": "transit_gateway_id",
    }
    for name, (vpc, routes) in TABLES.items():
        naming(name)
        made[name] = ec2.create_route_table(_id(f"vpc-{vpc}", "vpc"), tags=_tags(name))
        for destination, kind in routes:
            ec2.create_route(made[name].id, destination, **{member[kind]: targets[kind]})
    ec2.associate_route_table(made["public"].id, subnet_id=_id("nat", "subnet"))
    return made


def _host(ec2: Any, naming: Naming, host: Host, tables: dict[str, Any]) -> None:
    subnet = _subnet(ec2, naming, host.name, host.vpc, host.cidr)
    if host.table:
        ec2.associate_route_table(tables[host.table].id, subnet_id=subnet.id)
    if host.acl:
        _acl(ec2, naming, host, subnet)
    group = _group(ec2, naming, host)
    naming(host.name)
    eni = ec2.create_network_interface(subnet, host.address, group_ids=[group.id], tags={"Name": host.name})
    launch(ec2, naming, host.name, host.instance_id, eni, group.id)
    if host.public:
        naming(f"eip-{host.name}")
        address = ec2.allocate_address("vpc", address=None)
        address.public_ip = host.public
        ec2.associate_address(eni=eni, allocation_id=address.allocation_id)
        eni.public_ip = host.public


def _acl(ec2: Any, naming: Naming, host: Host, subnet: Any) -> None:
    naming(host.name)
    acl = ec2.create_network_acl(subnet.vpc_id, tags=_tags(host.name))
    for number, egress, protocol, first, last, cidr, allow in host.acl:
        ports = (first, last) if protocol == 6 else (None, None)
        ec2.create_network_acl_entry(
            acl.id, number, str(protocol), "allow" if allow else "deny", egress, cidr, None, None, *ports, None
        )
    for held in ec2.network_acls.values():
        for link, one in list(held._associations.items()):
            if one.subnet_id == subnet.id:
                ec2.replace_network_acl_association(link, acl.id)
                return


def _group(ec2: Any, naming: Naming, host: Host) -> Any:
    naming(host.name)
    group = ec2.create_security_group(
        host.name, f"{host.name} of the reachability lab", _id(f"vpc-{host.vpc}", "vpc"), tags={"Name": host.name}
    )
    if ALL not in host.rules:
        ec2.revoke_security_group_egress(group.id, "-1", None, None, [{"CidrIp": "0.0.0.0/0"}])
    for number, (direction, protocol, first, last, cidr) in enumerate(host.rules):
        if (direction, protocol, first, last, cidr) == ALL:
            continue  # every new group has it
        naming(f"sgr-{host.name}-{number}")
        add = ec2.authorize_security_group_ingress if direction == "in" else ec2.authorize_security_group_egress
        add(group.id, protocol, str(first), str(last), [{"CidrIp": cidr}])
    return group


def _endpoints(ec2: Any, naming: Naming, tables: dict[str, Any]) -> None:
    """A gateway endpoint for S3, in one route table, and an interface endpoint for Systems Manager."""
    vpc = _id(f"vpc-{LAB}", "vpc")
    naming("s3")
    ec2.create_vpc_endpoint(
        vpc, f"com.amazonaws.{REGION}.s3", "Gateway", None, route_table_ids=[tables["private-s3"].id], tags={"Name": "reach-s3"},
    )  # fmt: skip
    subnet = _subnet(ec2, naming, "ssm", LAB, "10.64.42.0/24")
    naming("ssm")
    group = ec2.create_security_group("reach-ssm", "reach-ssm of the reachability lab", vpc, tags={"Name": "reach-ssm"})
    ec2.authorize_security_group_ingress(group.id, "tcp", "443", "443", [{"CidrIp": VPCS[LAB]}])
    naming("ssm")
    ec2.create_vpc_endpoint(
        vpc, f"com.amazonaws.{REGION}.ssm", "Interface", None, route_table_ids=[], subnet_ids=[subnet.id], security_group_ids=[group.id],
        tags={"Name": "reach-ssm"}, private_dns_enabled=True,
    )  # fmt: skip


def _balancer(ec2: Any, naming: Naming, name: str) -> None:
    """An internal load balancer with its interface, which moto does not make, one listener and one target."""
    from moto.elbv2.models import FakeLoadBalancer, FakeTargetGroup, elbv2_backends

    kind, number, target = BALANCERS[name]
    arn, vpc, protocol = balancer_arn(name), _id(f"vpc-{LAB}", "vpc"), {"network": "TCP", "application": "HTTP"}[kind]
    subnet = _subnet(ec2, naming, name, LAB, f"10.64.{number}.0/24")
    naming(name)
    group = ec2.create_security_group(name, f"{name} of the reachability lab", vpc, tags={"Name": name})
    ec2.authorize_security_group_ingress(group.id, "tcp", "443", "443", [{"CidrIp": VPCS[LAB]}])
    naming(name)
    eni = ec2.create_network_interface(
        subnet, f"10.64.{number}.10", group_ids=[group.id], description=f"ELB {arn.partition('/')[2]}"
    )
    eni.status, eni.requester_managed = "in-use", True
    eni.interface_type = "network_load_balancer" if kind == "network" else "interface"
    elb = elbv2_backends[ACCOUNT][REGION]
    balancer_kind: Any = FakeLoadBalancer  # typed as abstract, and is not
    group_kind: Any = FakeTargetGroup
    made = balancer_kind(
        name, [group.id], [subnet], vpc, arn, f"{name}.elb.{REGION}.amazonaws.com", "active", "internal", kind
    )
    elb.load_balancers[arn] = made
    targets = group_kind(name, ACCOUNT, REGION, vpc, protocol, "8443", target_type="instance")
    targets.arn = arn.replace(":loadbalancer/", ":targetgroup/").replace(f"/{arn.split('/')[1]}/", "/")
    targets.targets[BY_NAME[target].instance_id] = {"Id": BY_NAME[target].instance_id, "Port": "8443"}
    elb.target_groups[targets.arn] = targets
    forward = [{"Type": "forward", "TargetGroupArn": targets.arn}]
    listener = elb.create_listener(arn, protocol, "443", "", None, forward)
    del made.listeners[listener.arn]
    listener.arn = f"{arn.replace(':loadbalancer/', ':listener/')}/{ident(NAME, f'{name}-443', 'x')[2:18]}"
    made.listeners[listener.arn] = listener
