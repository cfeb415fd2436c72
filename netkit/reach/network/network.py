"""A snapshot's records as typed and indexed values: what the trace and the matrix walk over. Pure.

A record that cannot be read is counted in `damaged`: its table is then not known, so what would need it is UNKNOWN.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from netkit.reach.network import parse
from netkit.reach.network.records import (
    Acl,
    Address,
    Attachment,
    Balancer,
    Block,
    Endpoint,
    Gateway,
    Group,
    Instance,
    Interface,
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
        setattr(network, member, {one.id: one for one in fill(key, read)})
    network.instances = {one.id: one for held in fill("Reservations", parse.instances) for one in held}
    _fill_prefix_lists(network, fill)
    _fill_attachments(network, fill)
    _fill_transit_routes(network, fill)
    _fill_public_access(network, fill)
    _fill_balancers(network, fill)
    return network


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
        lambda record, scope: parse.attachment(record, scope, subnets.get(record["TransitGatewayAttachmentId"], {})),
    )
    network.attachments = {(one.transit, one.id): one for one in held}


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
    def by(key: str, name: str, read: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any]:
        return dict(fill(key, lambda record, _: (record[name], read(record))))

    def attributes(record: Mapping[str, Any]) -> dict[str, str]:
        return parse.pairs(record["Attributes"])

    listeners = by(
        "LoadBalancerListeners",
        "LoadBalancerArn",
        lambda record: tuple(parse.listener(one) for one in record["Listeners"]),
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
