"""What some changes open and close besides the path they are for: the pairs of interfaces, and the internet. Pure.

Only pairs that a change can touch are asked: the members of a group and its new peer, the hosts behind a table or network
ACL and the addresses that the new route or entry names. Both ways round, since a change may open the way of the replies.
Few pairs are traced one by one; many are asked of the matrix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from netkit.core.errors import InputError
from netkit.reach.change.changes import Change, destination_of, prefix_list_of
from netkit.reach.change.options import Question
from netkit.reach.engine.exposure import exposure
from netkit.reach.engine.matrix import REACHABLE, statuses
from netkit.reach.engine.walk import acl_for, table_for
from netkit.reach.network.network import Network, network_of
from netkit.reach.network.records import Interface, block_of
from netkit.reach.network.snapshot import Snapshot

PAIRS_AT_MOST = 600  # traced twice each, at a fraction of a millisecond; more are asked of the matrix
LISTED_AT_MOST = 5000
HOSTS_AT_MOST = 200  # asked both ways about the internet
_NO_HOST = ("nat_gateway", "natGateway", "transit_gateway", "gateway_load_balancer", "gateway_load_balancer_endpoint")
Pair = tuple[str, str]
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Blast:
    """What changes open and close, for the protocol and port that was asked for.

    opened, closed       (source, destination) interfaces that get through only afterwards, or only before
    from_internet        interfaces that the internet reaches only afterwards
    to_internet          interfaces that reach the internet only afterwards
    more_opened, more_closed   how many pairs there are beyond those listed
    asked                the pair that the changes are for, which is not counted among the opened
    pairs                how many pairs were asked; complete: whether that is every pair that the changes can touch
    """

    opened: tuple[Pair, ...] = ()
    closed: tuple[Pair, ...] = ()
    from_internet: tuple[str, ...] = ()
    to_internet: tuple[str, ...] = ()
    asked: Pair = ("", "")
    pairs: int = 0
    complete: bool = True
    more_opened: int = 0
    more_closed: int = 0

    @property
    def size(self) -> tuple[int, int, int]:
        """For an order: what it closes, what it opens to or from the internet, what else it opens."""
        opened, closed = len(self.opened) + self.more_opened, len(self.closed) + self.more_closed
        return closed, len(self.from_internet) + len(self.to_internet), opened

    def __str__(self) -> str:
        closed, _, opened = self.size
        parts = [_pairs(opened, "more") if opened else "nothing else between hosts"]
        parts += [f"{_pairs(closed)} no longer through"] if closed else []
        parts += [f"the internet reaches {', '.join(self.from_internet[:4])}"] if self.from_internet else []
        parts += [f"{', '.join(self.to_internet[:4])} reach the internet"] if self.to_internet else []
        return "; ".join(parts) + (
            "" if self.complete else f" (of the {self.pairs} pairs that were asked; there are more)"
        )


def _pairs(count: int, what: str = "") -> str:
    return f"{count} {what} pair{'s' * (count != 1)}".replace("  ", " ")


@dataclass(frozen=True)
class Touch:
    """Whom a change concerns: traffic between some interfaces and others.

    internet: whether addresses outside too; place: an endpoint that the hosts may get to
    """

    hosts: frozenset[str]
    others: frozenset[str]
    internet: bool = False
    place: str = ""


@dataclass
class Yardstick:
    """Measures what changes open and close: one for a snapshot and a question, since it remembers what it asked before."""

    snapshot: Snapshot
    question: Question
    _before: dict[frozenset[str], Array] = field(default_factory=dict, repr=False)

    def measure(self, after: Snapshot, changes: Iterable[Change], asked: Pair) -> Blast:
        """What the changes that lead to the other snapshot open and close besides the pair asked for."""
        network = network_of(self.snapshot)
        touched = [touch for change in changes for touch in _touches(network, self.snapshot, change)]
        count = sum(2 * len(touch.hosts) * len(touch.others) for touch in touched)
        plain = (self.question.source_port, self.question.icmp_type, self.question.icmp_code) == (None, None, None)
        ask = self._traced if count <= PAIRS_AT_MOST or not plain else self._compared
        seen = ask(after, touched, asked)
        outside = sorted({host for touch in touched if touch.internet for host in touch.hosts})
        from_net, to_net, whole = self._internet(after, outside, plain=plain)
        reached = [
            (host, touch.place)
            for touch in touched
            for host in sorted(touch.hosts)[:HOSTS_AT_MOST]
            if touch.place
            and asked not in ((host, touch.place), (host, "internet"))
            and self._newly(after, host, touch.place)
        ]
        return replace(
            seen,
            opened=(*seen.opened, *reached),
            from_internet=tuple(one for one in from_net if ("internet", one) != asked),
            to_internet=tuple(one for one in to_net if (one, "internet") != asked),
            complete=seen.complete and whole,
        )

    def _internet(self, after: Snapshot, hosts: Sequence[str], *, plain: bool) -> tuple[list[str], list[str], bool]:
        """The hosts that the internet reaches only afterwards, those that reach it only then, and whether all were asked."""
        if len(hosts) <= HOSTS_AT_MOST or not plain:
            some = hosts[:HOSTS_AT_MOST]
            inward = [one for one in some if self._newly(after, "internet", one)]
            return inward, [one for one in some if self._newly(after, one, "internet")], len(some) == len(hosts)
        protocol, port = self.question.protocol, self.question.port
        was, now = (
            exposure(one, protocol=protocol, port=port, interfaces=hosts).set_index("interface")[["from_internet", "to_internet"]] == "REACHABLE"
            for one in (self.snapshot, after)
        )  # fmt: skip
        newly = now & ~was
        return list(newly.index[newly["from_internet"]]), list(newly.index[newly["to_internet"]]), True

    def _traced(self, after: Snapshot, touched: Sequence[Touch], asked: Pair) -> Blast:
        """One trace a pair and snapshot."""
        ways = {
            pair
            for touch in touched
            for host in touch.hosts
            for other in touch.others
            if host != other
            for pair in ((host, other), (other, host))
        }
        pairs = sorted(ways - {asked})
        now = {
            pair: (_gets_through(self.snapshot, self.question, *pair), _gets_through(after, self.question, *pair))
            for pair in pairs[:PAIRS_AT_MOST]
        }
        opened = tuple(pair for pair, (was, is_now) in now.items() if is_now and not was)
        closed = tuple(pair for pair, (was, is_now) in now.items() if was and not is_now)
        return Blast(opened, closed, asked=asked, pairs=len(now), complete=len(now) == len(pairs))

    def _compared(self, after: Snapshot, touched: Sequence[Touch], asked: Pair) -> Blast:
        """All pairs at once, before and after."""
        keep = frozenset(one for touch in touched for one in (*touch.hosts, *touch.others))
        protocol, port = self.question.protocol, self.question.port
        ids, codes = statuses(after, protocol=protocol, port=port, interfaces=keep)
        if keep not in self._before:
            self._before[keep] = statuses(self.snapshot, protocol=protocol, port=port, interfaces=keep)[1]
        was, now = self._before[keep] == REACHABLE, codes == REACHABLE
        apart = ~np.eye(len(ids), dtype=bool)
        if set(asked) <= keep:
            apart[ids.index(asked[0]), ids.index(asked[1])] = False

        def listed(where: Array) -> tuple[tuple[Pair, ...], int]:
            rows, columns = np.nonzero(where)
            some = zip(rows[:LISTED_AT_MOST].tolist(), columns[:LISTED_AT_MOST].tolist(), strict=True)
            return tuple((ids[row], ids[column]) for row, column in some), max(0, len(rows) - LISTED_AT_MOST)

        (opened, more_opened), (closed, more_closed) = listed(apart & now & ~was), listed(apart & was & ~now)
        count = len(ids) * (len(ids) - 1)
        return Blast(opened, closed, asked=asked, pairs=count, more_opened=more_opened, more_closed=more_closed)

    def _newly(self, after: Snapshot, source: str, destination: str) -> bool:
        return _gets_through(after, self.question, source, destination) and not _gets_through(
            self.snapshot, self.question, source, destination
        )


def _gets_through(snapshot: Snapshot, question: Question, source: str, destination: str) -> bool:
    try:
        return question.between(source, destination).ask(snapshot).reachable
    except InputError:  # an interface that is no end, as one of a NAT gateway
        return False


# --- whom a change concerns


def _touches(network: Network, snapshot: Snapshot, change: Change) -> list[Touch]:
    request = change.request.request
    operation = change.request.operation
    if operation.startswith("authorize_security_group"):
        return [_of_group(network, request)]
    if operation == "create_network_acl_entry":
        return [_of_acl(network, request)]
    if operation in ("create_route", "replace_route"):
        return [_of_table(network, request["RouteTableId"], [destination_of(request)])]
    if operation == "modify_vpc_endpoint":
        held = network.prefix_lists.get(prefix_list_of(snapshot, request["VpcEndpointId"]), ())
        hosts = [host for table in request.get("AddRouteTableIds", []) for host in _behind(network, table)]
        return [Touch(frozenset(hosts), _within(network, held), place=request["VpcEndpointId"])]
    if "transit_gateway" in operation:
        return _of_transit(network, request)
    if operation == "start_instances":
        own = frozenset(one.id for name in request["InstanceIds"] for one in network.interfaces_of.get(name, ()))
        return [Touch(own, _hosts(network), internet=True)]
    if operation == "create_vpc_block_public_access_exclusion":
        return [Touch(_in_subnets(network, [request["SubnetId"]]), frozenset(), internet=True)]
    return []


def _hosts(network: Network, vpcs: Iterable[str] = ()) -> frozenset[str]:
    """Interfaces that can be an end, of some VPCs or of all."""
    wanted = set(vpcs)
    return frozenset(
        one.id for one in network.interfaces.values() if one.kind not in _NO_HOST and (not wanted or one.vpc in wanted)
    )


def _in_subnets(network: Network, subnets: Iterable[str]) -> frozenset[str]:
    held = set(subnets)
    return frozenset(one.id for one in network.interfaces.values() if one.subnet in held and one.kind not in _NO_HOST)


def _within(network: Network, blocks: Iterable[tuple[int, int, int]]) -> frozenset[str]:
    """Interfaces with an address in any of the blocks."""
    held = list(blocks)
    return frozenset(
        one.id
        for one in network.interfaces.values()
        if one.kind not in _NO_HOST and any(_has(one, block) for block in held)
    )


def _has(one: Interface, block: tuple[int, int, int]) -> bool:
    family, low, high = block
    own = one.v6 if family == 6 else [private for private, _ in one.pairs]
    return any(low <= value <= high for value in own)


def _outside(network: Network, block: tuple[int, int, int]) -> bool:
    """Whether a block is in no VPC of the snapshot, so that it stands for hosts elsewhere."""
    family, low, high = block
    return not any(
        kind == family and first <= low and high <= last
        for vpc in network.vpcs.values()
        for kind, first, last in vpc.blocks
    )


def _of_group(network: Network, request: Mapping[str, Any]) -> Touch:
    members = frozenset(one.id for one in network.interfaces.values() if request["GroupId"] in one.groups)
    others: set[str] = set()
    internet = False
    for permission in request["IpPermissions"]:
        named = {pair["GroupId"] for pair in permission.get("UserIdGroupPairs", [])}
        others |= {one.id for one in network.interfaces.values() if named & set(one.groups)}
        texts = [one["CidrIp"] for one in permission.get("IpRanges", [])] + [
            one["CidrIpv6"] for one in permission.get("Ipv6Ranges", [])
        ]
        others |= _within(network, map(block_of, texts))
        internet = internet or any(_outside(network, block_of(text)) for text in texts)
    return Touch(members, frozenset(others), internet)


def _of_acl(network: Network, request: Mapping[str, Any]) -> Touch:
    subnets = [
        one for one in network.subnets.values() if getattr(acl_for(network, one), "id", "") == request["NetworkAclId"]
    ]
    block = block_of(str(request.get("CidrBlock") or request.get("Ipv6CidrBlock")))
    return Touch(_served(network, [one.id for one in subnets]), _within(network, [block]), _outside(network, block))


def _served(network: Network, subnets: Iterable[str]) -> frozenset[str]:
    """The hosts whose packets pass the edge of some subnets: those in them; of a NAT gateway's or attachment's anybody's."""
    held = set(subnets)
    passing = any(nat.subnet in held for nat in network.nats.values()) or any(
        one.kind == "vpc" and held & set(one.subnets or ()) for one in network.attachments.values()
    )
    return _hosts(network) if passing else _in_subnets(network, held)


def _behind(network: Network, table: str) -> frozenset[str]:
    subnets = [one.id for one in network.subnets.values() if getattr(table_for(network, one), "id", "") == table]
    held = network.tables.get(table)
    whole = _hosts(network, [held.vpc]) if held and held.gateways else frozenset()
    return _served(network, subnets) | whole


def _of_table(network: Network, table: str, texts: Iterable[str]) -> Touch:
    blocks = [block_of(text) for text in texts]
    return Touch(_behind(network, table), _within(network, blocks), any(_outside(network, one) for one in blocks))


def _of_transit(network: Network, request: Mapping[str, Any]) -> list[Touch]:
    """Transit gateways: everything in the VPCs that use the table, and what the route or attachment leads to."""
    attachment = next(
        (one for (_, name), one in network.attachments.items() if name == request.get("TransitGatewayAttachmentId")),
        None,
    )
    if attachment is None:
        return []
    table = request.get("TransitGatewayRouteTableId", "")
    of_gateway = [
        one for one in network.attachments.values() if one.transit == attachment.transit and one.kind == "vpc"
    ]
    users = [one.resource for one in of_gateway if one.table == table]
    there = _hosts(network, [attachment.resource])
    if request.get("DestinationCidrBlock"):
        return [
            Touch(
                _hosts(network, users) if users else frozenset(),
                _within(network, [block_of(request["DestinationCidrBlock"])]),
            )
        ]
    others = _hosts(network, [one.resource for one in of_gateway])
    return [Touch(there, others)]
