"""A snapshot's records as typed and indexed values: what the trace and the matrix walk over. Pure.

A record that cannot be read is counted in `damaged`: its table is then not known, so what would need it is UNKNOWN.
Members: botocore's EC2 and ELBv2 models.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, TypeVar

from netkit.core.net import ICMP, ICMPV6, TCP, UDP
from netkit.core.packets import ANY_PORT, ANY_PROTOCOL, Span, icmp_text, port_text, protocol_text
from netkit.reach.network.snapshot import Scope, Snapshot

Thing = TypeVar("Thing")
Address = tuple[int, int]  # family, value
Block = tuple[int, int, int]  # family, first, last


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface. pairs: (private IPv4, its public IPv4 or None), the primary one first."""

    id: str
    scope: Scope
    kind: str
    status: str
    subnet: str
    vpc: str
    groups: tuple[str, ...]
    pairs: tuple[tuple[int, int | None], ...]
    v6: tuple[int, ...]
    prefixes: tuple[Block, ...]
    check: bool
    deny_igw: bool
    instance: str
    device: int
    description: str
    owner: str
    name: str
    attached: bool
    said_kind: bool

    def owns(self, address: Address) -> bool:
        """Whether a private or IPv6 address is the interface's own."""
        family, value = address
        own = self.v6 if family == 6 else [private for private, _ in self.pairs]
        return value in own or any(kind == family and low <= value <= high for kind, low, high in self.prefixes)


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance's state and platform."""

    id: str
    scope: Scope
    state: str
    windows: bool
    name: str


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet with its blocks and zone. bpa: the internet gateway block mode in force, "" where the answer has none."""

    id: str
    scope: Scope
    vpc: str
    blocks: tuple[Block, ...]
    az: str
    bpa: str
    name: str

    def holds(self, address: Address) -> bool:
        """Whether the address is in the subnet."""
        return any(family == address[0] and low <= address[1] <= high for family, low, high in self.blocks)


@dataclass(frozen=True, slots=True)
class Vpc:
    """A VPC with its associated blocks."""

    id: str
    scope: Scope
    blocks: tuple[Block, ...]
    bpa: str
    name: str

    def spans(self, family: int) -> list[Span]:
        """Its blocks of one family as intervals."""
        return [(low, high) for kind, low, high in self.blocks if kind == family]


@dataclass(frozen=True, slots=True)
class Route:
    """One route: block (family, first, last), or a prefix list to look up. kind: what the target is ("local", "igw", ...)."""

    text: str
    block: Block | None
    prefix_list: str
    target: str
    kind: str
    state: str
    origin: str


@dataclass(frozen=True, slots=True)
class RouteTable:
    """A route table with what it is associated to."""

    id: str
    scope: Scope
    vpc: str
    main: bool
    subnets: tuple[str, ...]
    gateways: tuple[str, ...]
    propagating: tuple[str, ...]
    routes: tuple[Route, ...]
    name: str


@dataclass(frozen=True, slots=True)
class AclEntry:
    """One numbered network ACL entry."""

    number: int
    allow: bool
    egress: bool
    protocol: Span
    port: Span
    block: Block
    text: str


@dataclass(frozen=True, slots=True)
class Acl:
    """A network ACL; entries by rule number."""

    id: str
    scope: Scope
    vpc: str
    default: bool
    subnets: tuple[str, ...]
    entries: tuple[AclEntry, ...]
    name: str


@dataclass(frozen=True, slots=True)
class GroupRule:
    """One allow of a security group: to or from one block, prefix list or group."""

    egress: bool
    protocol: Span
    port: Span
    block: Block | None
    prefix_list: str
    group: str
    stale: bool
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """A security group."""

    id: str
    scope: Scope
    vpc: str
    rules: tuple[GroupRule, ...]
    name: str


@dataclass(frozen=True, slots=True)
class Gateway:
    """An internet, egress-only internet or VPN gateway: the VPCs it is attached to."""

    id: str
    scope: Scope
    vpcs: tuple[str, ...]
    name: str


@dataclass(frozen=True, slots=True)
class Nat:
    """A NAT gateway. addresses: (private, public) pairs, the primary one first."""

    id: str
    scope: Scope
    state: str
    public: bool
    regional: bool
    subnet: str
    vpc: str
    addresses: tuple[tuple[int | None, int | None], ...]
    interfaces: tuple[str, ...]
    route_table: str
    name: str


@dataclass(frozen=True, slots=True)
class PeeringSide:
    """One side of a peering."""

    vpc: str
    region: str
    owner: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Peering:
    """A VPC peering connection."""

    id: str
    scope: Scope
    status: str
    sides: tuple[PeeringSide, PeeringSide]
    name: str

    def other(self, vpc: str) -> PeeringSide | None:
        """The side across from a VPC, or None when the VPC is on neither."""
        one, two = self.sides
        return two if one.vpc == vpc else one if two.vpc == vpc else None


@dataclass(frozen=True, slots=True)
class Transit:
    """A transit gateway. referencing: whether security group referencing is on (off by default)."""

    id: str
    scope: Scope
    state: str
    referencing: bool
    name: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A transit gateway attachment. table: the associated route table, "" for none, None when it is not known."""

    id: str
    scope: Scope
    transit: str
    kind: str
    resource: str
    state: str
    table: str | None
    subnets: tuple[str, ...] | None
    referencing: bool
    appliance: bool
    name: str


@dataclass(frozen=True, slots=True)
class TransitRoute:
    """One route of a transit gateway route table: its block, or a prefix list to look up."""

    text: str
    block: Block | None
    prefix_list: str
    attachment: str
    resource: str
    kind: str
    static: bool
    state: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A VPC endpoint."""

    id: str
    scope: Scope
    kind: str
    state: str
    vpc: str
    service: str
    interfaces: tuple[str, ...]
    tables: tuple[str, ...]
    subnets: tuple[str, ...]
    private_dns: bool
    name: str


@dataclass(frozen=True, slots=True)
class Vpn:
    """A VPN connection. routes: its static routes."""

    id: str
    scope: Scope
    state: str
    gateway: str
    transit: str
    static: bool
    routes: tuple[Block, ...]
    down: bool


@dataclass(frozen=True, slots=True)
class Listener:
    """A load balancer's listener; groups: the target groups it forwards to."""

    id: str
    protocol: str
    port: int
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Balancer:
    """A load balancer. listeners is None where they were not collected; cross_zone None where its attributes were not."""

    id: str
    scope: Scope
    name: str
    kind: str
    state: str
    vpc: str
    zones: tuple[tuple[str, str], ...]
    listeners: tuple[Listener, ...] | None
    cross_zone: bool | None
    internet_facing: bool


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """A target group. preserves: client addresses are preserved (None: not collected and no default that is sure)."""

    id: str
    scope: Scope
    name: str
    protocol: str
    port: int
    kind: str
    vpc: str
    preserves: bool | None
    cross_zone: bool | None
    targets: tuple[tuple[str, int, str], ...] | None


@dataclass(repr=False)
class Network:
    """Everything of a snapshot, by id, and the lookups that a walk needs. damaged: table -> what could not be read."""

    snapshot: Snapshot
    interfaces: dict[str, Interface] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    subnets: dict[str, Subnet] = field(default_factory=dict)
    vpcs: dict[str, Vpc] = field(default_factory=dict)
    tables: dict[str, RouteTable] = field(default_factory=dict)
    acls: dict[str, Acl] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    igws: dict[str, Gateway] = field(default_factory=dict)
    eigws: dict[str, Gateway] = field(default_factory=dict)
    vgws: dict[str, Gateway] = field(default_factory=dict)
    nats: dict[str, Nat] = field(default_factory=dict)
    peerings: dict[str, Peering] = field(default_factory=dict)
    transits: dict[str, Transit] = field(default_factory=dict)
    attachments: dict[tuple[str, str], Attachment] = field(default_factory=dict)  # by (transit gateway, attachment)
    transit_tables: dict[str, str] = field(default_factory=dict)  # table -> transit gateway
    transit_routes: dict[str, tuple[TransitRoute, ...]] = field(default_factory=dict)
    transit_gaps: dict[str, str] = field(default_factory=dict)  # table -> why its routes are not all known
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    vpns: dict[str, Vpn] = field(default_factory=dict)
    prefix_lists: dict[str, tuple[Block, ...]] = field(default_factory=dict)
    prefix_names: dict[str, str] = field(default_factory=dict)
    balancers: dict[str, Balancer] = field(default_factory=dict)
    target_groups: dict[str, TargetGroup] = field(default_factory=dict)
    bpa: dict[Scope, str] = field(default_factory=dict)  # internet gateway block mode
    bpa_exclusions: dict[str, str] = field(default_factory=dict)  # vpc or subnet id -> mode
    bpa_era: bool = False  # whether the answers are of the time since VPC Block Public Access exists
    damaged: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _routes: dict[tuple[str, int], tuple[list[tuple[int, int, Route]], tuple[str, ...]]] = field(
        default_factory=dict, repr=False
    )

    def known(self, key: str, scope: Scope | None = None) -> bool:
        """Whether the whole table was seen and read."""
        return key not in self.damaged and self.snapshot.known(key, scope)

    @cached_property
    def table_of(self) -> dict[str, RouteTable]:
        """Route tables by the subnet or gateway that is explicitly associated."""
        return {one: table for table in self.tables.values() for one in (*table.subnets, *table.gateways)}

    @cached_property
    def main_table(self) -> dict[str, RouteTable]:
        """Main route tables by VPC."""
        return {table.vpc: table for table in self.tables.values() if table.main}

    @cached_property
    def acl_of(self) -> dict[str, Acl]:
        """Network ACLs by associated subnet."""
        return {subnet: acl for acl in self.acls.values() for subnet in acl.subnets}

    @cached_property
    def default_acl(self) -> dict[str, Acl]:
        """Default network ACLs by VPC."""
        return {acl.vpc: acl for acl in self.acls.values() if acl.default}

    @cached_property
    def owners(self) -> dict[Address, tuple[Interface, ...]]:
        """Interfaces by private or IPv6 address (VPCs may share addresses)."""
        found: dict[Address, list[Interface]] = defaultdict(list)
        for one in sorted(self.interfaces.values(), key=lambda interface: interface.id):
            for private, _ in one.pairs:
                found[4, private].append(one)
            for value in one.v6:
                found[6, value].append(one)
        return {address: tuple(interfaces) for address, interfaces in found.items()}

    @cached_property
    def public_owners(self) -> dict[int, tuple[Interface, int]]:
        """(interface, private address) by public IPv4 address."""
        return {
            public: (one, private)
            for one in self.interfaces.values()
            for private, public in one.pairs
            if public is not None
        }

    @cached_property
    def with_prefixes(self) -> tuple[Interface, ...]:
        """Interfaces to which address prefixes are delegated."""
        return tuple(sorted((one for one in self.interfaces.values() if one.prefixes), key=lambda one: one.id))

    def routes(self, table: RouteTable, family: int) -> tuple[list[tuple[int, int, Route]], tuple[str, ...]]:
        """The routes of a table for one family as (first, last, route), best first, and prefix lists that are not known.

        Longest prefix first; with the same block a static route before a prefix list's, before a propagated one (VPC guide,
        route-tables-priority). Every VPC block has a local route, written or not (VPC guide, VPC_Route_Tables).
        """
        held = self._routes.get((table.id, family))
        if held is None:
            held = self._routes[table.id, family] = self._sorted_routes(table, family)
        return held

    def _sorted_routes(self, table: RouteTable, family: int) -> tuple[list[tuple[int, int, Route]], tuple[str, ...]]:
        found: list[tuple[int, int, int, Route]] = []
        unknown: list[str] = []
        for route in table.routes:
            if route.block:
                if route.block[0] == family:
                    found.append(
                        (route.block[1], route.block[2], 2 if route.origin == "enablevgwroutepropagation" else 0, route)
                    )
            elif route.prefix_list in self.prefix_lists:
                found += [
                    (low, high, 1, route) for kind, low, high in self.prefix_lists[route.prefix_list] if kind == family
                ]
            else:
                unknown.append(route.prefix_list)
        written = {(low, high) for low, high, _, _ in found}
        for low, high in self.vpcs[table.vpc].spans(family) if table.vpc in self.vpcs else ():
            if (low, high) not in written:
                found.append(
                    (
                        low,
                        high,
                        0,
                        Route("local", (family, low, high), "", "local", "local", "active", "createroutetable"),
                    )
                )
        found.sort(key=lambda one: (one[1] - one[0], one[2], one[3].target))
        return [(low, high, route) for low, high, _, route in found], tuple(unknown)

    def owner(self, vpc: str, address: Address) -> Interface | None:
        """The interface of a VPC that has a private or IPv6 address."""
        for one in self.owners.get(address, ()):
            if one.vpc == vpc:
                return one
        return next((one for one in self.with_prefixes if one.vpc == vpc and one.owns(address)), None)

    @cached_property
    def subnets_of(self) -> dict[str, tuple[Subnet, ...]]:
        """Subnets by VPC."""
        found: dict[str, list[Subnet]] = defaultdict(list)
        for subnet in sorted(self.subnets.values(), key=lambda one: one.id):
            found[subnet.vpc].append(subnet)
        return {vpc: tuple(subnets) for vpc, subnets in found.items()}

    @cached_property
    def interfaces_of(self) -> dict[str, tuple[Interface, ...]]:
        """Interfaces by instance, primary first."""
        found: dict[str, list[Interface]] = defaultdict(list)
        for one in sorted(self.interfaces.values(), key=lambda interface: (interface.device, interface.id)):
            if one.instance:
                found[one.instance].append(one)
        return {instance: tuple(interfaces) for instance, interfaces in found.items()}

    @cached_property
    def vpc_attachments(self) -> dict[tuple[str, str], tuple[Attachment, ...]]:
        """VPC attachments by (transit gateway, VPC)."""
        found: dict[tuple[str, str], list[Attachment]] = defaultdict(list)
        for one in sorted(self.attachments.values(), key=lambda attachment: attachment.id):
            if one.kind == "vpc":
                found[one.transit, one.resource].append(one)
        return {key: tuple(held) for key, held in found.items()}

    @cached_property
    def balancer_of(self) -> dict[str, Balancer]:
        """Load balancers by the end of their ARN, which their interfaces' descriptions carry (ELB app/name/id)."""
        return {"/".join(one.id.split("/")[-3:]): one for one in self.balancers.values()}

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Ids by Name tag."""
        found: dict[str, list[str]] = defaultdict(list)
        held: tuple[Mapping[Any, Any], ...] = (
            self.instances, self.interfaces, self.igws, self.endpoints, self.peerings, self.transits, self.vgws, self.balancers, self.vpcs,
        )  # fmt: skip
        for things in held:
            for one in things.values():
                if one.name:
                    found[one.name].append(one.id)
        for attachment in self.attachments.values():
            if attachment.name:
                found[attachment.name].append(attachment.id)
        return {name: tuple(sorted(set(ids))) for name, ids in found.items()}


@lru_cache(maxsize=65536)
def block_of(text: str) -> Block:
    """A CIDR block or single address as (family, first, last). Host bits are ignored, as AWS does in rules."""
    network = ipaddress.ip_network(text, strict=False)
    return network.version, int(network.network_address), int(network.broadcast_address)


@lru_cache(maxsize=65536)
def address_of(text: str) -> Address:
    """An address as (family, value)."""
    parsed = ipaddress.ip_address(text)
    return parsed.version, int(parsed)


def _name(record: Mapping[str, Any]) -> str:
    tags = record.get("Tags") or record.get("TagSet") or []
    return next((str(tag.get("Value", "")) for tag in tags if tag.get("Key") == "Name"), "")


def _blocks(record: Mapping[str, Any]) -> tuple[Block, ...]:
    """The associated blocks of a VPC or subnet; the plain CidrBlock too, which old answers have alone."""
    four = [
        one
        for one in record.get("CidrBlockAssociationSet") or []
        if one.get("CidrBlockState", {}).get("State", "associated") == "associated"
    ]
    six = [
        one
        for one in record.get("Ipv6CidrBlockAssociationSet") or []
        if one.get("Ipv6CidrBlockState", {}).get("State", "associated") == "associated"
    ]
    texts = [one["CidrBlock"] for one in four] + [one["Ipv6CidrBlock"] for one in six]
    if not four and record.get("CidrBlock"):
        texts.append(record["CidrBlock"])
    return tuple(sorted({block_of(text) for text in texts}))


def _bpa(record: Mapping[str, Any]) -> str:
    return str((record.get("BlockPublicAccessStates") or {}).get("InternetGatewayBlockMode", "")).lower()


def protocol_span(text: str | int) -> Span:
    """A rule's protocol, name or number or -1, as an interval. Raises KeyError or ValueError for anything else."""
    word = str(text).lower()
    if word in ("-1", "all"):
        return ANY_PROTOCOL
    number = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "icmpv6": ICMPV6}.get(word)
    number = int(word) if number is None else number
    if not 0 <= number <= 255:
        raise ValueError(f"protocol {text!r}")
    return number, number


def _icmp_span(kind: int, code: int) -> Span:
    if kind == -1:
        return ANY_PORT
    return (kind * 256, kind * 256 + 255) if code == -1 else (kind * 256 + code, kind * 256 + code)


def _port_span(protocol: Span, first: int | None, last: int | None) -> Span:
    """Ports of a rule; a type and code for ICMP; every port for other protocols, whatever is written (BC:IpPermission)."""
    if protocol[0] != protocol[1] or protocol[0] not in (TCP, UDP, ICMP, ICMPV6):
        return ANY_PORT
    if first is None:
        raise ValueError("ports, or ICMP type and code, are missing")
    if protocol[0] in (ICMP, ICMPV6):
        return _icmp_span(int(first), -1 if last is None else int(last))
    low, high = int(first), int(first if last is None else last)
    return ANY_PORT if low == -1 else (low, high)


def _port_words(protocol: Span, port: Span) -> str:
    if port == ANY_PORT:
        return ""
    return icmp_text(port) if protocol[0] in (ICMP, ICMPV6) else port_text(port)


def rule_words(protocol: Span, port: Span) -> tuple[str, str]:
    """Protocol and ports of a rule for a model.Rule."""
    return protocol_text(protocol), _port_words(protocol, port)


def _interface(record: Mapping[str, Any], scope: Scope) -> Interface:
    private = sorted(
        record.get("PrivateIpAddresses") or [], key=lambda one: (not one.get("Primary"), one["PrivateIpAddress"])
    )
    if not private and record.get("PrivateIpAddress"):
        private = [{"PrivateIpAddress": record["PrivateIpAddress"], "Association": record.get("Association")}]
    pairs = []
    for one in private:
        association = one.get("Association") or (record.get("Association") if one.get("Primary") else None) or {}
        public = association.get("PublicIp")
        pairs.append((address_of(one["PrivateIpAddress"])[1], address_of(public)[1] if public else None))
    prefixes = [one["Ipv4Prefix"] for one in record.get("Ipv4Prefixes") or []] + [
        one["Ipv6Prefix"] for one in record.get("Ipv6Prefixes") or []
    ]
    attachment = record.get("Attachment") or {}
    return Interface(
        record["NetworkInterfaceId"], scope, str(record.get("InterfaceType", "interface")), str(record.get("Status", "")).lower(),
        record["SubnetId"], record["VpcId"], tuple(sorted(one["GroupId"] for one in record["Groups"])), tuple(pairs),
        tuple(address_of(one["Ipv6Address"])[1] for one in record.get("Ipv6Addresses") or []), tuple(block_of(text) for text in prefixes),
        bool(record.get("SourceDestCheck", True)), bool(record.get("DenyAllIgwTraffic", False)), str(attachment.get("InstanceId", "")),
        int(attachment.get("DeviceIndex") or 0), str(record.get("Description", "")), str(record.get("OwnerId", "")), _name(record), bool(attachment),
        "InterfaceType" in record,
    )  # fmt: skip


def _instances(record: Mapping[str, Any], scope: Scope) -> list[Instance]:
    return [
        Instance(
            one["InstanceId"],
            scope,
            one["State"]["Name"].lower(),
            str(one.get("Platform", "")).lower() == "windows",
            _name(one),
        )
        for one in record["Instances"]
    ]


def _subnet(record: Mapping[str, Any], scope: Scope) -> Subnet:
    return Subnet(
        record["SubnetId"],
        scope,
        record["VpcId"],
        _blocks(record),
        str(record.get("AvailabilityZone") or record.get("AvailabilityZoneId", "")),
        _bpa(record),
        _name(record),
    )


_TARGETS = (
    "GatewayId", "NatGatewayId", "TransitGatewayId", "VpcPeeringConnectionId", "EgressOnlyInternetGatewayId", "NetworkInterfaceId", "InstanceId",
    "CarrierGatewayId", "LocalGatewayId", "CoreNetworkArn", "OdbNetworkArn", "VpcEndpointId",
)  # fmt: skip


def _route(record: Mapping[str, Any]) -> Route:
    text = (
        record.get("DestinationCidrBlock")
        or record.get("DestinationIpv6CidrBlock")
        or record["DestinationPrefixListId"]
    )
    # A route to an instance names its interface too; the interface is where packets go.
    target = next((str(record[name]) for name in _TARGETS if record.get(name)), "")
    kind = target.split("-", 1)[0] if not target.startswith("arn:") else "network"
    is_list = str(text).startswith("pl-")
    return Route(
        str(text),
        None if is_list else block_of(text),
        str(text) if is_list else "",
        target,
        kind,
        str(record["State"]).lower(),
        str(record.get("Origin", "")).lower(),
    )


def _route_table(record: Mapping[str, Any], scope: Scope) -> RouteTable:
    held = [
        one
        for one in record["Associations"]
        if one.get("AssociationState", {}).get("State", "associated") in ("associated", "associating")
    ]
    routes = sorted((_route(one) for one in record["Routes"]), key=lambda route: (route.text, route.target))
    return RouteTable(
        record["RouteTableId"], scope, record["VpcId"], any(one.get("Main") for one in held), tuple(one["SubnetId"] for one in held if one.get("SubnetId")),
        tuple(one["GatewayId"] for one in held if one.get("GatewayId")), tuple(one["GatewayId"] for one in record.get("PropagatingVgws") or []), tuple(routes), _name(record),
    )  # fmt: skip


def _acl_entry(record: Mapping[str, Any]) -> AclEntry:
    protocol = protocol_span(record["Protocol"])
    ports, icmp = record.get("PortRange") or {}, record.get("IcmpTypeCode") or {}
    first, last = (
        (icmp.get("Type"), icmp.get("Code")) if protocol[0] in (ICMP, ICMPV6) else (ports.get("From"), ports.get("To"))
    )
    text = record.get("CidrBlock") or record["Ipv6CidrBlock"]
    allow = {"allow": True, "deny": False}[record["RuleAction"].lower()]
    return AclEntry(
        int(record["RuleNumber"]),
        allow,
        bool(record["Egress"]),
        protocol,
        _port_span(protocol, first, last),
        block_of(text),
        text,
    )


def _acl(record: Mapping[str, Any], scope: Scope) -> Acl:
    entries = sorted((_acl_entry(one) for one in record["Entries"]), key=lambda entry: (entry.number, entry.text))
    return Acl(
        record["NetworkAclId"],
        scope,
        record["VpcId"],
        bool(record.get("IsDefault")),
        tuple(one["SubnetId"] for one in record["Associations"]),
        tuple(entries),
        _name(record),
    )


def _group_rules(permission: Mapping[str, Any], egress: bool) -> list[GroupRule]:
    protocol = protocol_span(permission["IpProtocol"])
    port = _port_span(protocol, permission.get("FromPort"), permission.get("ToPort"))
    rules = [
        GroupRule(egress, protocol, port, block_of(text), "", "", False, text)
        for text in [one["CidrIp"] for one in permission.get("IpRanges") or []]
        + [one["CidrIpv6"] for one in permission.get("Ipv6Ranges") or []]
    ]
    rules += [
        GroupRule(egress, protocol, port, None, one["PrefixListId"], "", False, one["PrefixListId"])
        for one in permission.get("PrefixListIds") or []
    ]
    for pair in permission.get("UserIdGroupPairs") or []:
        stale = str(pair.get("PeeringStatus") or "active").lower() != "active"
        rules.append(GroupRule(egress, protocol, port, None, "", pair["GroupId"], stale, pair["GroupId"]))
    return rules


def _group(record: Mapping[str, Any], scope: Scope) -> Group:
    rules = [rule for one in record["IpPermissions"] for rule in _group_rules(one, False)]
    rules += [rule for one in record["IpPermissionsEgress"] for rule in _group_rules(one, True)]
    order = sorted(rules, key=lambda rule: (rule.egress, rule.protocol, rule.port, rule.text))
    return Group(
        record["GroupId"], scope, record.get("VpcId", ""), tuple(order), _name(record) or record.get("GroupName", "")
    )


def _gateway(key: str) -> Callable[[Mapping[str, Any], Scope], Gateway]:
    def read(record: Mapping[str, Any], scope: Scope) -> Gateway:
        held = record.get("Attachments", record.get("VpcAttachments")) or []
        # An attached internet gateway reports "available", which is not in botocore's list (facts 6.0).
        vpcs = sorted(one["VpcId"] for one in held if str(one.get("State", "")).lower() in ("available", "attached"))
        return Gateway(record[key], scope, tuple(vpcs), _name(record))

    return read


def _nat(record: Mapping[str, Any], scope: Scope) -> Nat:
    held = sorted(
        record.get("NatGatewayAddresses") or [],
        key=lambda one: (not one.get("IsPrimary", False), str(one.get("PrivateIp", ""))),
    )
    addresses = tuple(
        (
            address_of(one["PrivateIp"])[1] if one.get("PrivateIp") else None,
            address_of(one["PublicIp"])[1] if one.get("PublicIp") else None,
        )
        for one in held
    )
    interfaces = tuple(one["NetworkInterfaceId"] for one in held if one.get("NetworkInterfaceId"))
    regional = str(record.get("AvailabilityMode", "")).lower() == "regional"
    return Nat(
        record["NatGatewayId"], scope, record["State"].lower(), str(record.get("ConnectivityType", "public")).lower() == "public", regional,
        record.get("SubnetId", "") if regional else record["SubnetId"], record["VpcId"], addresses, interfaces, record.get("RouteTableId", ""), _name(record),
    )  # fmt: skip


def _peering_side(record: Mapping[str, Any]) -> PeeringSide:
    texts = [one["CidrBlock"] for one in record.get("CidrBlockSet") or []] + [
        one["Ipv6CidrBlock"] for one in record.get("Ipv6CidrBlockSet") or []
    ]
    if record.get("CidrBlock"):
        texts.append(record["CidrBlock"])
    return PeeringSide(
        record["VpcId"],
        record.get("Region", ""),
        record.get("OwnerId", ""),
        tuple(sorted({block_of(text) for text in texts})),
    )


def _peering(record: Mapping[str, Any], scope: Scope) -> Peering:
    sides = (_peering_side(record["RequesterVpcInfo"]), _peering_side(record["AccepterVpcInfo"]))
    return Peering(record["VpcPeeringConnectionId"], scope, record["Status"]["Code"].lower(), sides, _name(record))


def _transit(record: Mapping[str, Any], scope: Scope) -> Transit:
    options = record.get("Options") or {}
    return Transit(
        record["TransitGatewayId"],
        scope,
        record["State"].lower(),
        options.get("SecurityGroupReferencingSupport") == "enable",
        _name(record),
    )


def _endpoint(record: Mapping[str, Any], scope: Scope) -> Endpoint:
    return Endpoint(
        record["VpcEndpointId"], scope, record.get("VpcEndpointType", "Gateway").lower(), record["State"].lower(), record["VpcId"], record["ServiceName"],
        tuple(sorted(record.get("NetworkInterfaceIds") or [])), tuple(record.get("RouteTableIds") or []), tuple(record.get("SubnetIds") or []),
        bool(record.get("PrivateDnsEnabled")), _name(record),
    )  # fmt: skip


def _vpn(record: Mapping[str, Any], scope: Scope) -> Vpn:
    telemetry = record.get("VgwTelemetry") or []
    routes = tuple(
        block_of(one["DestinationCidrBlock"])
        for one in record.get("Routes") or []
        if str(one.get("State", "available")).lower() != "deleted"
    )
    return Vpn(
        record["VpnConnectionId"], scope, record["State"].lower(), record.get("VpnGatewayId", ""), record.get("TransitGatewayId", ""),
        bool((record.get("Options") or {}).get("StaticRoutesOnly")), routes, bool(telemetry) and all(one.get("Status") == "DOWN" for one in telemetry),
    )  # fmt: skip


def network_of(snapshot: Snapshot) -> Network:
    """The records of a snapshot as typed and indexed values, worked out once."""
    return snapshot.derived("network", build_network)


def build_network(snapshot: Snapshot) -> Network:
    """The typed network of a snapshot."""
    network = Network(snapshot)

    def fill(key: str, read: Callable[[Mapping[str, Any], Scope], Thing]) -> Iterable[Thing]:
        for scope, record in snapshot.records(key):
            try:
                yield read(record, scope)
            except (KeyError, TypeError, ValueError, AttributeError) as problem:
                network.damaged[key].append(f"{problem!r} in {str(record)[:80]}")

    network.interfaces = {one.id: one for one in fill("NetworkInterfaces", _interface)}
    network.instances = {one.id: one for held in fill("Reservations", _instances) for one in held}
    network.subnets = {one.id: one for one in fill("Subnets", _subnet)}
    network.vpcs = {
        one.id: one
        for one in fill(
            "Vpcs", lambda record, scope: Vpc(record["VpcId"], scope, _blocks(record), _bpa(record), _name(record))
        )
    }
    network.tables = {one.id: one for one in fill("RouteTables", _route_table)}
    network.acls = {one.id: one for one in fill("NetworkAcls", _acl)}
    network.groups = {one.id: one for one in fill("SecurityGroups", _group)}
    network.igws = {one.id: one for one in fill("InternetGateways", _gateway("InternetGatewayId"))}
    network.eigws = {one.id: one for one in fill("EgressOnlyInternetGateways", _gateway("EgressOnlyInternetGatewayId"))}
    network.vgws = {one.id: one for one in fill("VpnGateways", _gateway("VpnGatewayId"))}
    network.nats = {one.id: one for one in fill("NatGateways", _nat)}
    network.peerings = {one.id: one for one in fill("VpcPeeringConnections", _peering)}
    network.transits = {one.id: one for one in fill("TransitGateways", _transit)}
    network.endpoints = {one.id: one for one in fill("VpcEndpoints", _endpoint)}
    network.vpns = {one.id: one for one in fill("VpnConnections", _vpn)}
    _fill_prefix_lists(network, fill)
    _fill_attachments(network, fill)
    _fill_transit_routes(network, fill)
    _fill_public_access(network, fill)
    _fill_balancers(network, fill)
    return network


Fill = Callable[[str, Callable[[Mapping[str, Any], Scope], Any]], Iterable[Any]]


def _fill_prefix_lists(network: Network, fill: Fill) -> None:
    def aws_owned(record: Mapping[str, Any], _: Scope) -> tuple[str, tuple[Block, ...], str]:
        return (
            record["PrefixListId"],
            tuple(block_of(text) for text in record["Cidrs"]),
            record.get("PrefixListName", ""),
        )

    def managed(record: Mapping[str, Any], _: Scope) -> tuple[str, tuple[Block, ...], str]:
        return record["PrefixListId"], tuple(block_of(one["Cidr"]) for one in record["Entries"]), ""

    for key, read in (("PrefixLists", aws_owned), ("ManagedPrefixListEntries", managed)):
        for name, held, label in fill(key, read):
            network.prefix_lists[name] = tuple(sorted({*network.prefix_lists.get(name, ()), *held}))
            if label:
                network.prefix_names[name] = label
    for name, label in fill("ManagedPrefixLists", lambda record, _: (record["PrefixListId"], record["PrefixListName"])):
        network.prefix_names.setdefault(name, label)


def _fill_attachments(network: Network, fill: Fill) -> None:
    """TransitGatewayAttachments say what is associated; TransitGatewayVpcAttachments say in which subnets."""
    subnets: dict[str, Mapping[str, Any]] = dict(
        fill(
            "TransitGatewayVpcAttachments",
            lambda record, _: (record["TransitGatewayAttachmentId"], {"SubnetIds": record["SubnetIds"], **record}),
        )
    )

    def read(record: Mapping[str, Any], scope: Scope) -> Attachment:
        more = subnets.get(record["TransitGatewayAttachmentId"])
        association = record.get("Association") or {}
        associated = str(association.get("State", "associated")).lower() == "associated"
        options = (more or {}).get("Options") or {}
        return Attachment(
            record["TransitGatewayAttachmentId"], scope, record["TransitGatewayId"], record["ResourceType"].lower(), record["ResourceId"], record["State"].lower(),
            association.get("TransitGatewayRouteTableId", "") if associated else "", tuple(sorted(more["SubnetIds"])) if more else None,
            # On by default for the attachment, off by default for the gateway (facts 6.2).
            options.get("SecurityGroupReferencingSupport", "enable") == "enable", options.get("ApplianceModeSupport") == "enable", _name(record) or _name(more or {}),
        )  # fmt: skip

    network.attachments = {(one.transit, one.id): one for one in fill("TransitGatewayAttachments", read)}


def _fill_transit_routes(network: Network, fill: Fill) -> None:
    """The routes of each transit gateway route table: as searched, or worked out from static routes and propagations."""
    network.transit_tables = dict(
        fill(
            "TransitGatewayRouteTables",
            lambda record, _: (record["TransitGatewayRouteTableId"], record["TransitGatewayId"]),
        )
    )
    searched: dict[str, tuple[TransitRoute, ...]] = {}
    for table, routes, cut in fill("TransitGatewayRoutes", _searched):
        searched[table] = routes
        if cut:
            network.transit_gaps[table] = "the search was cut off (AdditionalRoutesAvailable)"
    static: dict[str, tuple[TransitRoute, ...]] = {}
    for table, routes, cut in fill("TransitGatewayStaticRoutes", _searched):
        static[table] = routes
        if cut:
            network.transit_gaps[table] = "the search was cut off (AdditionalRoutesAvailable)"
    propagated = dict(
        fill(
            "TransitGatewayPropagations",
            lambda record, _: (record["TransitGatewayRouteTableId"], record["TransitGatewayRouteTablePropagations"]),
        )
    )
    for table in network.transit_tables:
        if table in searched:
            network.transit_routes[table] = searched[table]
        elif table in static and table in propagated:
            network.transit_routes[table] = static[table] + _propagated(
                network, table, propagated[table], static[table]
            )
        else:
            network.transit_gaps[table] = "its routes were not collected"


def _searched(record: Mapping[str, Any], _: Scope) -> tuple[str, tuple[TransitRoute, ...], bool]:
    routes = [
        _transit_route(route, one)
        for route in record["Routes"]
        for one in (route.get("TransitGatewayAttachments") or [{}])
    ]
    order = sorted(routes, key=lambda route: (route.text, not route.static, route.attachment))
    return record["TransitGatewayRouteTableId"], tuple(order), bool(record.get("AdditionalRoutesAvailable"))


def _transit_route(route: Mapping[str, Any], attachment: Mapping[str, Any]) -> TransitRoute:
    prefix_list = route.get("PrefixListId", "")
    text = route.get("DestinationCidrBlock") or prefix_list
    block = block_of(route["DestinationCidrBlock"]) if route.get("DestinationCidrBlock") else None
    return TransitRoute(
        text, block, "" if block else prefix_list, attachment.get("TransitGatewayAttachmentId", ""), attachment.get("ResourceId", ""),
        str(attachment.get("ResourceType", "")).lower(), str(route.get("Type", "static")).lower() == "static", str(route["State"]).lower(),
    )  # fmt: skip


def _propagated(
    network: Network, table: str, rows: Iterable[Mapping[str, Any]], static: tuple[TransitRoute, ...]
) -> tuple[TransitRoute, ...]:
    """What VPC attachments propagate: the blocks of their VPC (facts 6.9). Others announce by BGP, which nobody here heard."""
    hidden = {route.block for route in static}  # a static route hides the same propagated block
    routes: dict[Block, TransitRoute] = {}
    for row in sorted(rows, key=lambda one: str(one.get("TransitGatewayAttachmentId"))):
        if str(row.get("State", "")).lower() != "enabled":
            continue
        vpc = network.vpcs.get(str(row.get("ResourceId")))
        if str(row.get("ResourceType", "")).lower() != "vpc" or vpc is None:
            network.transit_gaps[table] = f"what {row.get('ResourceId')} propagates is not in the snapshot"
            continue
        for family, low, high in vpc.blocks:
            if (family, low, high) in routes:
                network.transit_gaps[table] = (
                    f"two VPCs propagate the same block as {vpc.id}, and only the first is installed"
                )
            elif (family, low, high) not in hidden:
                text = str(next(iter(ipaddress.summarize_address_range(_ip(family, low), _ip(family, high)))))
                routes[family, low, high] = TransitRoute(
                    text, (family, low, high), "", row["TransitGatewayAttachmentId"], vpc.id, "vpc", False, "active"
                )
    return tuple(routes.values())


def _ip(family: int, value: int) -> Any:
    return ipaddress.IPv4Address(value) if family == 4 else ipaddress.IPv6Address(value)


def _fill_public_access(network: Network, fill: Fill) -> None:
    for scope, mode in fill(
        "VpcBlockPublicAccessOptions",
        lambda record, scope: (scope, str(record.get("InternetGatewayBlockMode", "off")).lower()),
    ):
        network.bpa[scope] = mode
    for resource, mode in fill(
        "VpcBlockPublicAccessExclusions",
        lambda record, _: (
            record["ResourceArn"].rsplit("/", 1)[-1],
            record["InternetGatewayExclusionMode"].lower() if _in_force(record) else "",
        ),
    ):
        network.bpa_exclusions[resource] = mode
    # Since VPC Block Public Access exists (November 2024) every VPC and subnet answer says BlockPublicAccessStates.
    said = [one.bpa for one in network.vpcs.values()] + [one.bpa for one in network.subnets.values()]
    network.bpa_era = network.snapshot.complete or any(said)


def _in_force(record: Mapping[str, Any]) -> bool:
    return str(record.get("State", "create-complete")).lower() in ("create-complete", "update-complete")


def _fill_balancers(network: Network, fill: Fill) -> None:
    listeners = dict(
        fill(
            "LoadBalancerListeners",
            lambda record, _: (record["LoadBalancerArn"], tuple(_listener(one) for one in record["Listeners"])),
        )
    )
    attributes = dict(
        fill("LoadBalancerAttributes", lambda record, _: (record["LoadBalancerArn"], _pairs(record["Attributes"])))
    )

    def balancer(record: Mapping[str, Any], scope: Scope) -> Balancer:
        arn, kind = record["LoadBalancerArn"], record["Type"].lower()
        zones = tuple(sorted((one["ZoneName"], one["SubnetId"]) for one in record["AvailabilityZones"]))
        held = attributes.get(arn)
        # Always on for an application load balancer (its target groups may switch it off); off by default for a network one.
        cross = (
            kind == "application"
            if held is None or "load_balancing.cross_zone.enabled" not in held
            else held["load_balancing.cross_zone.enabled"] == "true"
        )
        return Balancer(
            arn,
            scope,
            record["LoadBalancerName"],
            kind,
            record["State"]["Code"].lower(),
            record["VpcId"],
            zones,
            listeners.get(arn),
            None if held is None and kind != "application" else cross,
            record.get("Scheme") == "internet-facing",
        )

    network.balancers = {one.id: one for one in fill("LoadBalancers", balancer)}
    of_group = dict(
        fill("TargetGroupAttributes", lambda record, _: (record["TargetGroupArn"], _pairs(record["Attributes"])))
    )
    targets = dict(
        fill(
            "LoadBalancerTargetHealth",
            lambda record, _: (
                record["TargetGroupArn"],
                tuple(_target(one) for one in record["TargetHealthDescriptions"]),
            ),
        )
    )

    def group(record: Mapping[str, Any], scope: Scope) -> TargetGroup:
        arn, kind, protocol = record["TargetGroupArn"], record["TargetType"].lower(), record.get("Protocol", "")
        held = of_group.get(arn)
        zone = (held or {}).get("load_balancing.cross_zone.enabled", "")
        return TargetGroup(
            arn, scope, record["TargetGroupName"], protocol, int(record.get("Port", 0)), kind, record.get("VpcId", ""), _preserves(kind, protocol, held),
            None if zone in ("", "use_load_balancer_configuration") else zone == "true", targets.get(arn),
        )  # fmt: skip

    network.target_groups = {one.id: one for one in fill("TargetGroups", group)}


def _preserves(kind: str, protocol: str, attributes: Mapping[str, str] | None) -> bool | None:
    """Whether a network load balancer keeps the client's address: the attribute, else AWS's defaults (facts 6.11)."""
    if attributes and "preserve_client_ip.enabled" in attributes:
        return attributes["preserve_client_ip.enabled"] == "true"
    if protocol in ("UDP", "TCP_UDP") and kind == "ip":
        return True
    return None if attributes is None else kind == "instance"


def _pairs(attributes: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {one["Key"]: str(one["Value"]) for one in attributes}


def _target(record: Mapping[str, Any]) -> tuple[str, int, str]:
    target = record["Target"]
    return target["Id"], int(target.get("Port", 0)), str(target.get("AvailabilityZone", ""))


def _listener(record: Mapping[str, Any]) -> Listener:
    groups = [one["TargetGroupArn"] for action in record.get("DefaultActions") or [] for one in _forwards(action)]
    return Listener(
        record["ListenerArn"], record.get("Protocol", ""), int(record.get("Port", 0)), tuple(dict.fromkeys(groups))
    )


def _forwards(action: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if action.get("TargetGroupArn"):
        return [action]
    return list((action.get("ForwardConfig") or {}).get("TargetGroups") or [])
