"""A snapshot's records as typed and indexed values: what the trace and the matrix walk over. Pure.

A record that cannot be read is counted in `damaged`: its table is then not known, so what would need it is UNKNOWN.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from netkit.reach.network import parse
from netkit.reach.network.records import (
    Acl,
    Address,
    Attachment,
    Balancer,
    Block,
    Endpoint,
    Firewall,
    Gateway,
    Group,
    Instance,
    Interface,
    Named,
    Nat,
    Peering,
    Route,
    RouteTable,
    Subnet,
    TargetGroup,
    Transit,
    TransitRoute,
    Vpc,
    Vpn,
    block_of,
)
from netkit.reach.network.snapshot import Scope, Snapshot

Thing = TypeVar("Thing", bound=Named)


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
    firewalls: dict[str, Firewall] = field(default_factory=dict)  # by endpoint
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
    def accounts(self) -> dict[Scope, str]:
        """The account that asked, by scope; "" where neither a folder nor a record says."""
        return {scope: self.snapshot.account(scope) for scope in self.snapshot.scopes}

    def home(self, vpc: str) -> Scope | None:
        """The scope whose answers show all that is in a VPC: its owner's. None where only a participant of a shared VPC was asked.

        Owners see the interfaces, and the groups attached to them, of every participant; participants see their own (VPC guide,
        vpc-sharing).
        """
        held = self.vpcs.get(vpc)
        if held is None:
            return None
        account = self.accounts.get(held.scope, "")
        owner = held.owner or next((one.owner for one in self.subnets_of.get(vpc, ()) if one.owner), "")
        if not owner or not account or owner == account:
            return held.scope
        places = (scope for scope, name in self.accounts.items() if name == owner)
        return next((scope for scope in places if scope[1] in (held.scope[1], "")), None)

    def whole(self, key: str, vpc: str) -> bool:
        """Whether everything of a table that is in a VPC was seen: absent then means that it is not there."""
        home = self.home(vpc)
        return home is not None and self.known(key, home)

    def everywhere(self, key: str) -> bool:
        """Whether everything of a table was seen in every VPC of the snapshot."""
        return self.known(key) and all(self.home(vpc) is not None for vpc in self.vpcs)

    def block_mode(self, vpc: str, subnet: Subnet | None) -> str | None:
        """The mode of VPC Block Public Access that a VPC is under: its owner's; None where it is not known.

        Where the owner was not asked, each VPC and subnet record says the mode (VPC guide, security-vpc-bpa).
        """
        held, home = self.vpcs.get(vpc), self.home(vpc)
        if held is None and subnet is not None:
            home = subnet.scope
        said = {one.bpa for one in (held, subnet) if one and one.bpa}
        if home is None:
            return said.pop() if len(said) == 1 else None
        return self.bpa.get((self.accounts.get(home, ""), home[1]), self.bpa.get(home))

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

        Longest prefix first; with the same block a static route before a prefix list's, before a propagated one. Local routes win
        over propagated ones that overlap them, even where those are more specific (VPC guide, route-tables-priority;
        Site-to-Site VPN guide, vpn-route-priority). Every VPC block has a local route, written or not (VPC guide, VPC_Route_Tables).
        """
        held = self._routes.get((table.id, family))
        if held is None:
            held = self._routes[table.id, family] = self._sorted_routes(table, family)
        return held

    def _sorted_routes(self, table: RouteTable, family: int) -> tuple[list[tuple[int, int, Route]], tuple[str, ...]]:
        found: list[tuple[int, int, int, Route]] = []
        unknown: list[str] = []
        local = self.vpcs[table.vpc].spans(family) if table.vpc in self.vpcs else []
        local += [one.block[1:] for one in table.routes if one.kind == "local" and one.block and one.block[0] == family]
        for route in table.routes:
            if route.block:
                _, low, high = route.block
                propagated = route.origin == "enablevgwroutepropagation"
                if route.block[0] == family and not (propagated and any(a <= low and high <= b for a, b in local)):
                    found.append((low, high, 2 if propagated else 0, route))
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


def network_of(snapshot: Snapshot) -> Network:
    """The records of a snapshot as typed and indexed values, worked out once."""
    return snapshot.derived("network", build_network)


Reader = Callable[[Mapping[str, Any], Scope], Any]
Fill = Callable[[str, Reader], Iterable[Any]]
# What is read record by record: the network's member, the table, the reader.
_PLAIN: tuple[tuple[str, str, Reader], ...] = (
    ("interfaces", "NetworkInterfaces", parse.interface),
    ("subnets", "Subnets", parse.subnet),
    ("vpcs", "Vpcs", parse.vpc),
    ("tables", "RouteTables", parse.route_table),
    ("acls", "NetworkAcls", parse.acl),
    ("groups", "SecurityGroups", parse.group),
    ("igws", "InternetGateways", parse.gateway("InternetGatewayId")),
    ("eigws", "EgressOnlyInternetGateways", parse.gateway("EgressOnlyInternetGatewayId")),
    ("vgws", "VpnGateways", parse.gateway("VpnGatewayId")),
    ("nats", "NatGateways", parse.nat),
    ("peerings", "VpcPeeringConnections", parse.peering),
    ("transits", "TransitGateways", parse.transit),
    ("endpoints", "VpcEndpoints", parse.endpoint),
    ("vpns", "VpnConnections", parse.vpn),
)


def build_network(snapshot: Snapshot) -> Network:
    """The typed network of a snapshot."""
    network = Network(snapshot)

    def fill(key: str, read: Reader) -> Iterable[Any]:
        for scope, record in snapshot.records(key):
            try:
                yield read(record, scope)
            except (KeyError, TypeError, ValueError, AttributeError) as problem:
                network.damaged[key].append(f"{problem!r} in {str(record)[:80]}")

    for member, key, read in _PLAIN:
        setattr(network, member, _once(network, key, fill(key, read)))
    instances = (one for held in fill("Reservations", parse.instances) for one in held)
    network.instances = _once(network, "Reservations", instances)
    network.firewalls = {one.endpoint: one for held in fill("Firewalls", parse.firewall) for one in held}
    _fill_prefix_lists(network, fill)
    _fill_attachments(network, fill)
    _fill_transit_routes(network, fill)
    _fill_public_access(network, fill)
    _fill_balancers(network, fill)
    return network


def _once(network: Network, key: str, things: Iterable[Thing]) -> dict[str, Thing]:
    """Things by id. What two accounts show is taken as its owner shows it; where neither owns it and they differ, it is not known."""
    held: dict[str, Thing] = {}
    torn: set[str] = set()
    for one in things:
        other = held.setdefault(one.id, one)
        if other is one:
            continue
        if _is_own(network, one) and not _is_own(network, other):
            held[one.id] = one
        elif _is_own(network, one) == _is_own(network, other) and _differ(key, one, other):
            network.damaged[key].append(f"two different records of {one.id}")
            torn.add(one.id)
    return {name: one for name, one in held.items() if name not in torn}


def _differ(key: str, one: Named, other: Named) -> bool:
    """Whether two records of one id say different things of it: beside the account's own tags, and but for a VPC who owns it."""
    owner = one.owner if key in ("Vpcs", "Subnets") else other.owner
    return replace(one, scope=other.scope, name=other.name, owner=owner) != other


def _is_own(network: Network, one: Named) -> bool:
    return bool(one.owner) and one.owner == network.accounts[one.scope]


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
    held = fill(
        "TransitGatewayAttachments",
        lambda record, scope: parse.attachment(
            record, scope, subnets.get(record["TransitGatewayAttachmentId"], {}), network.accounts[scope]
        ),
    )
    sides: dict[str, list[Attachment]] = defaultdict(list)  # both sides of a peering have one attachment id
    for one in held:
        sides[one.transit].append(one)
    for transit, some in sides.items():
        for name, one in _once(network, "TransitGatewayAttachments", some).items():
            network.attachments[transit, name] = one


def _fill_transit_routes(network: Network, fill: Fill) -> None:
    """The routes of each transit gateway route table: as searched, or worked out from static routes and propagations."""
    network.transit_tables = dict(
        fill(
            "TransitGatewayRouteTables",
            lambda record, _: (record["TransitGatewayRouteTableId"], record["TransitGatewayId"]),
        )
    )
    searched: dict[str, tuple[TransitRoute, ...]] = {}
    for table, routes, cut in fill("TransitGatewayRoutes", parse.searched):
        searched[table] = routes
        if cut:
            network.transit_gaps[table] = "the search was cut off (AdditionalRoutesAvailable)"
    static: dict[str, tuple[TransitRoute, ...]] = {}
    for table, routes, cut in fill("TransitGatewayStaticRoutes", parse.searched):
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
    def mode_of(record: Mapping[str, Any], scope: Scope) -> tuple[Scope, Scope, str]:
        whose = str(record.get("AwsAccountId") or scope[0]), str(record.get("AwsRegion") or scope[1])
        return scope, whose, str(record.get("InternetGatewayBlockMode", "off")).lower()

    for scope, whose, mode in fill("VpcBlockPublicAccessOptions", mode_of):
        network.bpa[scope] = mode
        if network.bpa.setdefault(whose, mode) != mode:
            network.damaged["VpcBlockPublicAccessOptions"].append(f"two different modes of {'/'.join(whose)}")
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
    def by(key: str, name: str, read: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any]:
        return dict(fill(key, lambda record, _: (record[name], read(record))))

    def attributes(record: Mapping[str, Any]) -> dict[str, str]:
        return parse.pairs(record["Attributes"])

    rules = by("ListenerRules", "ListenerArn", lambda record: list(record["Rules"]))
    listeners = by(
        "LoadBalancerListeners",
        "LoadBalancerArn",
        lambda record: tuple(parse.listener(one, rules.get(one["ListenerArn"])) for one in record["Listeners"]),
    )
    of_balancer = by("LoadBalancerAttributes", "LoadBalancerArn", attributes)
    of_group = by("TargetGroupAttributes", "TargetGroupArn", attributes)
    targets = by(
        "LoadBalancerTargetHealth",
        "TargetGroupArn",
        lambda record: tuple(parse.target(one) for one in record["TargetHealthDescriptions"]),
    )
    balancers = fill(
        "LoadBalancers",
        lambda record, scope: parse.balancer(
            record, scope, listeners.get(record["LoadBalancerArn"]), of_balancer.get(record["LoadBalancerArn"])
        ),
    )
    network.balancers = {one.id: one for one in balancers}
    groups = fill(
        "TargetGroups",
        lambda record, scope: parse.target_group(
            record, scope, of_group.get(record["TargetGroupArn"]), targets.get(record["TargetGroupArn"])
        ),
    )
    network.target_groups = {one.id: one for one in groups}
