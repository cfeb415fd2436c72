"""What a network is made of, one dataclass for each kind of record: plain values, no reading and no looking up. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

from netkit.core.packets import Span
from netkit.reach.network.snapshot import Scope

Address = tuple[int, int]  # family, value
Block = tuple[int, int, int]  # family, first, last


@dataclass(frozen=True, slots=True)
class Named:
    """What every record has: its id, the account and Region whose answer it stands in, its Name tag or name, its owner's account.

    owner is "" where the record does not say.
    """

    id: str
    scope: Scope
    name: str
    owner: str


@dataclass(frozen=True, slots=True)
class Interface(Named):
    """A network interface. pairs: (private IPv4, its public IPv4 or None), the primary one first."""

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
    attached: bool
    said_kind: bool
    node: bool

    def owns(self, address: Address) -> bool:
        """Whether a private or IPv6 address is the interface's own."""
        family, value = address
        own = self.v6 if family == 6 else [private for private, _ in self.pairs]
        return value in own or any(kind == family and low <= value <= high for kind, low, high in self.prefixes)


@dataclass(frozen=True, slots=True)
class Instance(Named):
    """An instance's state and platform. node: of a Kubernetes cluster, whose pods' addresses and ports it translates."""

    state: str
    windows: bool
    node: bool


@dataclass(frozen=True, slots=True)
class Subnet(Named):
    """A subnet with its blocks and zone. bpa: the internet gateway block mode in force, "" where the answer has none."""

    vpc: str
    blocks: tuple[Block, ...]
    az: str
    bpa: str

    def holds(self, address: Address) -> bool:
        """Whether the address is in the subnet."""
        return any(family == address[0] and low <= address[1] <= high for family, low, high in self.blocks)


@dataclass(frozen=True, slots=True)
class Vpc(Named):
    """A VPC with its associated blocks."""

    blocks: tuple[Block, ...]
    bpa: str

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
class RouteTable(Named):
    """A route table with what it is associated to."""

    vpc: str
    main: bool
    subnets: tuple[str, ...]
    gateways: tuple[str, ...]
    propagating: tuple[str, ...]
    routes: tuple[Route, ...]


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
class Acl(Named):
    """A network ACL; entries by rule number."""

    vpc: str
    default: bool
    subnets: tuple[str, ...]
    entries: tuple[AclEntry, ...]


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
class Group(Named):
    """A security group."""

    vpc: str
    rules: tuple[GroupRule, ...]


@dataclass(frozen=True, slots=True)
class Gateway(Named):
    """An internet, egress-only internet or VPN gateway: the VPCs it is attached to."""

    vpcs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Nat(Named):
    """A NAT gateway. addresses: (private, public) pairs, the primary one first."""

    state: str
    public: bool
    regional: bool
    subnet: str
    vpc: str
    addresses: tuple[tuple[int | None, int | None], ...]
    interfaces: tuple[str, ...]
    route_table: str


@dataclass(frozen=True, slots=True)
class PeeringSide:
    """One side of a peering."""

    vpc: str
    region: str
    owner: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Peering(Named):
    """A VPC peering connection."""

    status: str
    sides: tuple[PeeringSide, PeeringSide]

    def other(self, vpc: str) -> PeeringSide | None:
        """The side across from a VPC, or None when the VPC is on neither."""
        one, two = self.sides
        return two if one.vpc == vpc else one if two.vpc == vpc else None


@dataclass(frozen=True, slots=True)
class Transit(Named):
    """A transit gateway. referencing: whether security group referencing is on (off by default)."""

    state: str
    referencing: bool


@dataclass(frozen=True, slots=True)
class Attachment(Named):
    """A transit gateway attachment. table: the associated route table, "" for none, None when it is not known."""

    transit: str
    kind: str
    resource: str
    state: str
    table: str | None
    subnets: tuple[str, ...] | None
    referencing: bool
    appliance: bool


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
class Endpoint(Named):
    """A VPC endpoint."""

    kind: str
    state: str
    vpc: str
    service: str
    interfaces: tuple[str, ...]
    tables: tuple[str, ...]
    subnets: tuple[str, ...]
    private_dns: bool


@dataclass(frozen=True, slots=True)
class Firewall:
    """An endpoint of a Network Firewall: the firewall's ARN and name, the endpoint's subnet and zone, its state, whether the policy is in force."""

    arn: str
    name: str
    endpoint: str
    subnet: str
    zone: str
    state: str
    synced: bool


@dataclass(frozen=True, slots=True)
class Vpn(Named):
    """A VPN connection. routes: its static routes."""

    state: str
    gateway: str
    transit: str
    static: bool
    routes: tuple[Block, ...]
    down: bool


@dataclass(frozen=True, slots=True)
class Action:
    """What a listener does at last: forward to target groups, redirect or fixed-response; says: in words."""

    kind: str
    groups: tuple[str, ...]
    says: str

    @property
    def answers(self) -> bool:
        """Whether the load balancer answers itself."""
        return self.kind in ("redirect", "fixed-response")


@dataclass(frozen=True, slots=True)
class ListenerRule:
    """A rule of a listener beside its default: when it is taken, in words, and what it does."""

    when: str
    action: Action


@dataclass(frozen=True, slots=True)
class Listener:
    """A load balancer's listener. rules: those beside the default action, None where they were not collected."""

    id: str
    protocol: str
    port: int
    default: Action
    rules: tuple[ListenerRule, ...] | None


@dataclass(frozen=True, slots=True)
class Balancer(Named):
    """A load balancer. listeners is None where they were not collected; cross_zone None where its attributes were not."""

    kind: str
    state: str
    vpc: str
    zones: tuple[tuple[str, str], ...]
    listeners: tuple[Listener, ...] | None
    cross_zone: bool | None
    internet_facing: bool


@dataclass(frozen=True, slots=True)
class TargetGroup(Named):
    """A target group.

    preserves   client addresses are kept (None: not collected and no default that is sure); preserves_said: an attribute says so, and
                not AWS's default
    balancers   the load balancers that send to it, None where the record does not say
    """

    protocol: str
    port: int
    kind: str
    vpc: str
    preserves: bool | None
    preserves_said: bool
    cross_zone: bool | None
    targets: tuple[tuple[str, int, str], ...] | None
    balancers: tuple[str, ...] | None


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
