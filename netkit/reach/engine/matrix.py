"""All pairs at once: who reaches whom for one protocol and port, interface by interface. Pure.

The answer is trace()'s on every pair. What most pairs go through (security groups, network ACLs, local routes, peerings, transit
gateways) is worked out for whole rows with numpy; what is exotic is traced, once for each class of equal pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from netkit.core.model import VERDICTS
from netkit.core.net import TCP, UDP
from netkit.core.packets import ANY_ADDRESS, ANY_PORT, Box, Packets, Span, meet
from netkit.reach.engine.gateways import PRIVATE_SPANS
from netkit.reach.engine.leg import REMAPPED
from netkit.reach.engine.service import LINUX, WINDOWS, client_ports, service_of
from netkit.reach.engine.trace import trace
from netkit.reach.engine.walk import NO_HOST, acl_for, amazon_addresses, table_for
from netkit.reach.network.network import Network, network_of
from netkit.reach.network.records import Acl, Attachment, Group, Interface, Route, RouteTable, Subnet
from netkit.reach.network.snapshot import Snapshot

REACHABLE, NOT_REACHABLE, UNKNOWN, EXOTIC = 0, 1, 2, 3  # places in VERDICTS, and what is still to be traced
_CORE = (
    "NetworkInterfaces",
    "Subnets",
    "Vpcs",
    "RouteTables",
    "NetworkAcls",
    "SecurityGroups",
    "Reservations",
    "VpcPeeringConnections",
)
_PLAIN = {
    "interface",
    "nat_gateway",
    "natGateway",
    "transit_gateway",
    "lambda",
    "vpc_endpoint",
    "efa",
    "trunk",
    "branch",
} | NO_HOST
_ATOMS_AT_MOST = 63
# How packets get from a subnet to an interface.
SAME_SUBNET, LOCAL, PEERED, PEERED_FAR, TRANSIT, TRANSIT_BARE = 0, 1, 2, 3, 4, 5

Array = np.ndarray[Any, Any]


def matrix(
    snapshot: Snapshot,
    *,
    protocol: str | int = "tcp",
    port: int | str | None = None,
    interfaces: Iterable[str] | None = None,
) -> pd.DataFrame:
    """Who reaches whom: a frame of REACHABLE, NOT_REACHABLE or UNKNOWN, sources down, destinations across, by interface id.

    protocol, port: as in trace(); each value is the status that trace() gives for that pair of interfaces, by their primary
    addresses. interfaces: those to look at, None for all. The diagonal is an interface sending to itself, which its own security groups have to let out and in.
    Raises InputError for a port out of range, or beside a protocol that has none.
    """
    ids, codes = statuses(snapshot, protocol=protocol, port=port, interfaces=interfaces)
    words = np.array(VERDICTS, dtype=object)
    return pd.DataFrame(
        words[codes], index=pd.Index(ids, dtype=object), columns=pd.Index(ids, dtype=object), dtype=object, copy=False
    )


def statuses(
    snapshot: Snapshot,
    *,
    protocol: str | int = "tcp",
    port: int | str | None = None,
    interfaces: Iterable[str] | None = None,
) -> tuple[list[str], Array]:
    """The matrix as small integers, which take an eighth of the memory: (interface ids, codes); a code is a place in VERDICTS."""
    service = service_of(protocol, port)
    network = network_of(snapshot)
    ids = sorted(network.interfaces if interfaces is None else interfaces)
    asked: dict[str, Any] = {"protocol": protocol, "port": port}
    quick = service.protocol[0] == service.protocol[1] and all(network.known(key) for key in _CORE)
    codes = np.full((len(ids), len(ids)), EXOTIC, dtype=np.int8)
    if quick and ids:
        board = _Board.of(network, [network.interfaces[one] for one in ids], service.protocol[0], service.port)
        if board is not None:
            board.fill(codes)
    _trace_the_rest(snapshot, ids, codes, asked)
    return ids, codes


def _trace_the_rest(snapshot: Snapshot, ids: Sequence[str], codes: Array, asked: Mapping[str, Any]) -> None:
    """Trace what is left, once for each pair of classes."""
    rows, columns = np.nonzero(codes == EXOTIC)
    if not len(rows):
        return
    held = classes(snapshot)
    labels = [held[one] for one in ids]
    seen: dict[tuple[int, int, bool], int] = {}
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        key = (labels[row], labels[column], row == column)
        if key not in seen:
            verdict = trace(snapshot, source=ids[row], destination=ids[column], **asked)
            seen[key] = VERDICTS.index(verdict.status)
        codes[row, column] = seen[key]


def classes(snapshot: Snapshot) -> dict[str, int]:
    """The class of each interface: those of one class are treated alike by every rule and route, so they answer alike.

    Alike means: the same subnet, groups, kind and state, and an address on the same side of every block that any rule, route or
    list names. Interfaces that a route or a load balancer names are alone in theirs.
    """
    network = network_of(snapshot)
    edges = np.array(sorted(_edges(network)), dtype=np.uint64)
    special = {
        route.target for table in network.tables.values() for route in table.routes if route.kind in ("eni", "i")
    }
    found: dict[tuple[Any, ...], int] = {}
    labels: dict[str, int] = {}
    for name, one in sorted(network.interfaces.items()):
        held = network.instances.get(one.instance)
        state = (
            (held.state, held.windows, held.node or one.node)
            if held
            else (one.instance if one.instance else "", None, None)
        )
        plain = (
            one.kind == "interface" and not one.description.startswith("ELB ") and not {name, one.instance} & special
        )
        place = int(np.searchsorted(edges, one.pairs[0][0], side="right")) if one.pairs else -1
        more = () if plain and not one.v6 and not one.prefixes else (name,)
        key = (one.subnet, one.vpc, one.groups, one.kind, one.status, one.attached, one.said_kind, state, place, *more)
        labels[name] = found.setdefault(key, len(found))
    return labels


def _edges(network: Network) -> Iterable[int]:
    """Where IPv4 blocks begin and end, of everything that speaks of addresses."""
    held = [block for lists in network.prefix_lists.values() for block in lists]
    held += [entry.block for acl in network.acls.values() for entry in acl.entries]
    held += [rule.block for group in network.groups.values() for rule in group.rules if rule.block]
    held += [route.block for table in network.tables.values() for route in table.routes if route.block]
    held += [route.block for routes in network.transit_routes.values() for route in routes if route.block]
    held += [block for vpc in network.vpcs.values() for block in vpc.blocks]
    held += [block for subnet in network.subnets.values() for block in subnet.blocks]
    return {edge for family, low, high in held if family == 4 for edge in (low, high + 1)}


@dataclass
class _Board:
    """The arrays over interfaces that rows are made of."""

    network: Network
    held: list[Interface]
    protocol: int
    port: Span
    subnets: list[Subnet]
    addresses: Array
    subnet_of: Array
    vpc_of: Array
    odd: Array  # rows and columns that are traced
    blocked: Array  # by their own state
    unknown: Array
    ending: Array  # nothing ends there
    client: Array  # 0 Linux, 1 Windows, 2 any: which ephemeral ports
    acls: list[Acl] = field(default_factory=list)
    acl_of: Array = field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # by subnet

    @classmethod
    def of(cls, network: Network, held: list[Interface], protocol: int, port: Span) -> _Board | None:
        """The arrays, or None where a subnet, table or ACL that is needed is not there."""
        names = sorted({one.subnet for one in held})
        subnets = [network.subnets[name] for name in names if name in network.subnets]
        places = {subnet.id: number for number, subnet in enumerate(subnets)}
        acls = {subnet.id: acl_for(network, subnet) for subnet in subnets}
        if (
            len(subnets) < len(names)
            or not all(acls.values())
            or not all(table_for(network, subnet) for subnet in subnets)
        ):
            return None
        if any(subnet.vpc not in network.vpcs for subnet in subnets):
            return None
        vpcs = {name: number for number, name in enumerate(sorted({one.vpc for one in held}))}
        states = [_state(network, one) for one in held]
        board = cls(
            network, held, protocol, port, subnets, np.array([one.pairs[0][0] if one.pairs else 0 for one in held], dtype=np.int64),
            np.array([places[one.subnet] for one in held]), np.array([vpcs[one.vpc] for one in held]), np.array([_odd(network, one) for one in held]),
            np.array([state[0] for state in states]), np.array([state[1] for state in states]), np.array([one.kind in NO_HOST or one.kind in ("nat_gateway", "natGateway") for one in held]),
            np.array([_client(network, one, protocol) for one in held]),
        )  # fmt: skip
        every: dict[str, Acl] = {acl.id: acl for acl in acls.values() if acl}
        for attachment in network.attachments.values():
            for name in attachment.subnets or ():
                acl = acl_for(network, network.subnets[name]) if name in network.subnets else None
                if acl:
                    every[acl.id] = acl
        board.acls = [every[name] for name in sorted(every)]
        number = {acl.id: place for place, acl in enumerate(board.acls)}
        board.acl_of = np.array([number[acls[subnet.id].id] for subnet in subnets])  # type: ignore[union-attr]
        return board

    def fill(self, codes: Array) -> None:
        """Write the status of every pair that is not exotic."""
        forward, reply = self.atoms(), self.reply_atoms()
        if forward is None or (reply is not None and len(reply[1]) > _ATOMS_AT_MOST):
            return
        there = _Way(self, self.protocol, forward)
        back = _Way(self, reply[0], reply[1]) if reply else None
        groups = _Groups(self, forward)
        whole = [self._ports_of(kind, reply) for kind in range(3)] if reply else []
        for place in range(len(self.subnets)):
            rows = np.nonzero(self.subnet_of == place)[0]
            codes[rows] = self._rows(place, rows, there, back, groups, whole)
        codes[self.odd, :] = EXOTIC
        codes[:, self.odd] = EXOTIC

    def atoms(self) -> list[Span] | None:
        """The asked ports, cut wherever a rule's ports begin or end; None for too many."""
        spans = [
            rule.port
            for group in self.network.groups.values()
            for rule in group.rules
            if rule.protocol[0] <= self.protocol <= rule.protocol[1]
        ]
        spans += [
            entry.port
            for acl in self.acls
            for entry in acl.entries
            if entry.protocol[0] <= self.protocol <= entry.protocol[1]
        ]
        cut = _cut(self.port, spans)
        return cut if len(cut) <= _ATOMS_AT_MOST else None

    def reply_atoms(self) -> tuple[int, list[Span]] | None:
        """Protocol and ports of the replies, cut likewise; None where none are expected."""
        wide = ANY_ADDRESS[4]
        sent = Packets(4, (Box((self.protocol, self.protocol), wide, wide, ANY_PORT, self.port),)).reply()
        if not sent:
            return None
        ported = self.protocol in (TCP, UDP)
        spans = [
            entry.port
            for acl in self.acls
            for entry in acl.entries
            if entry.protocol[0] <= self.protocol <= entry.protocol[1]
        ]
        asked = REMAPPED if ported else sent.boxes[0].port
        return self.protocol, _cut(asked, [*spans, *([LINUX, WINDOWS] if ported else [])])

    def _ports_of(self, kind: int, reply: tuple[int, list[Span]]) -> int:
        """The atoms that a client of a kind may use, as bits."""
        span = (LINUX, WINDOWS, REMAPPED)[kind] if self.protocol in (TCP, UDP) else ANY_PORT
        return sum(1 << number for number, atom in enumerate(reply[1]) if meet(atom, span))

    def _rows(
        self, place: int, rows: Array, there: _Way, back: _Way | None, groups: _Groups, whole: Sequence[int]
    ) -> Array:
        """The statuses from the interfaces of one subnet to all: ways first, then groups, then ACLs for the pairs that are left."""
        how = there.how[place]
        codes = np.full((len(rows), len(self.held)), NOT_REACHABLE, dtype=np.int8)
        codes[:, how == EXOTIC_WAY] = EXOTIC
        sending = rows[~(self.blocked[rows] | (self.ending[rows] if back else False))]
        cols = np.nonzero((how != NOT_REACHABLE_WAY) & (how != EXOTIC_WAY) & ~self.blocked & ~self.ending)[0]
        if not len(sending) or not len(cols):
            return codes
        lets = groups.lets(sending, cols, how[cols])
        kept = lets.any(axis=0)
        cols, lets = cols[kept], lets[:, kept]
        stopped, doubt, exotic = (
            ~lets,
            self.unknown[sending][:, None] | self.unknown[cols][None, :],
            np.zeros(lets.shape, dtype=bool),
        )
        apart = how[cols] != SAME_SUBNET
        stopped |= apart & (self._there(place, sending, cols, there) != there.full)
        if back is not None:
            part, lost, strange = self._replies(place, sending, cols, back, whole)
            stopped, doubt, exotic = stopped | (apart & lost), doubt | (apart & part), apart & strange
        found = np.where(stopped, NOT_REACHABLE, np.where(doubt, UNKNOWN, REACHABLE)).astype(np.int8)
        found[exotic] = EXOTIC
        codes[np.ix_(np.searchsorted(rows, sending), cols)] = found
        return codes

    def _there(self, place: int, rows: Array, cols: Array, there: _Way) -> Array:
        """What every network ACL on the way there lets through, as bits."""
        over = np.isin(there.how[place, cols], (TRANSIT, TRANSIT_BARE))
        own = (
            there.out[self.acl_of[place], cols] & there.middle[place, cols]
        )  # by destination: mine outbound, the far gateway's
        arriving = there.into[np.ix_(self.acl_of[self.subnet_of[cols]], rows)].T  # by source: theirs inbound
        through = own[None, :] & np.where(there.home[place, cols][None, :], there.full, arriving)
        if place in there.gate and over.any():
            through = through & np.where(over[None, :], there.into[there.gate[place]][rows][:, None], there.full)
        bits: Array = through.astype(there.kind)
        return bits

    def _replies(
        self, place: int, rows: Array, cols: Array, back: _Way, whole: Sequence[int]
    ) -> tuple[Array, Array, Array]:
        """Of the replies from these columns to these rows: partly let back, not let back, to be traced."""
        homes = self.subnet_of[cols]
        pairs = np.ix_(homes, rows)
        how = back.how[pairs].T
        got = back.out[np.ix_(self.acl_of[homes], rows)].T & back.middle[pairs].T
        got = got & np.where(back.home[pairs].T, back.full, back.into[self.acl_of[place], cols][None, :])
        over = (how == TRANSIT) | (how == TRANSIT_BARE)
        if over.any():
            got = got & np.where(over, back.gates[cols][None, :], back.full)
        asked = np.array(whole, dtype=back.kind)[self.client[rows]][:, None]
        got = (got & asked).astype(back.kind)
        lost = (got == 0) if self.protocol in (TCP, UDP) else (got != asked)
        return (got != asked) & (got != 0), lost | (how == NOT_REACHABLE_WAY), how == EXOTIC_WAY


NOT_REACHABLE_WAY, EXOTIC_WAY = 8, 9


def _state(network: Network, one: Interface) -> tuple[bool, bool]:
    """(blocked, unknown) by an interface's own state, as the walk has it."""
    held = network.instances.get(one.instance)
    blocked = one.status not in ("in-use", "") or (held is not None and held.state != "running")
    unknown = (
        (bool(one.instance) and held is None)
        or (not one.status and not one.attached)
        or (not one.groups and one.kind == "interface" and not one.said_kind)
    )
    return blocked, unknown


def _odd(network: Network, one: Interface) -> bool:
    """Whether its pairs are traced one class at a time: no IPv4 address, a load balancer, or groups that are not wholly known."""
    lists = network.prefix_lists
    unknown = any(
        name not in network.groups
        or any(rule.prefix_list and rule.prefix_list not in lists for rule in network.groups[name].rules)
        for name in one.groups
    )
    return not one.pairs or one.kind not in _PLAIN or one.description.startswith("ELB ") or unknown


def _client(network: Network, one: Interface, protocol: int) -> int:
    return 2 if protocol not in (TCP, UDP) else (LINUX, WINDOWS, REMAPPED).index(client_ports(network, one)[0])


def _cut(whole: Span, spans: Iterable[Span]) -> list[Span]:
    edges = {edge for low, high in spans for edge in (low, high + 1) if whole[0] < edge <= whole[1]}
    starts = [whole[0], *sorted(edges)]
    return list(zip(starts, [*(edge - 1 for edge in starts[1:]), whole[1]], strict=True))


def _bits(span: Span, atoms: Sequence[Span]) -> int:
    return sum(1 << number for number, atom in enumerate(atoms) if span[0] <= atom[0] and atom[1] <= span[1])


def _kind(atoms: Sequence[Span]) -> Any:
    """The smallest unsigned integer that has a bit for each atom."""
    return next(
        kind for size, kind in ((8, np.uint8), (16, np.uint16), (32, np.uint32), (64, np.uint64)) if len(atoms) <= size
    )


def _inside(addresses: Array, low: int, high: int) -> Array:
    return (addresses >= low) & (addresses <= high)


class _Groups:
    """Security groups as bits over interfaces: what each lets out to, and in from."""

    def __init__(self, board: _Board, atoms: Sequence[Span]) -> None:
        self.board, self.kind = board, _kind(atoms)
        self.full = self.kind((1 << len(atoms)) - 1)
        network, held = board.network, board.held
        names = sorted({name for one in held for name in one.groups if name in network.groups})
        member = {name: np.array(places) for name, places in _members(held).items()}
        by_group: dict[str, tuple[Array, Array, Array, Array]] = {
            name: self._vectors(network.groups[name], atoms, member) for name in names
        }
        sets = sorted({one.groups for one in held})
        number = {groups: place for place, groups in enumerate(sets)}
        self.set_of = np.array([number[one.groups] for one in held])
        self.open = np.array([not groups for groups in sets])
        self.out, self.out_ref, self.into, self.into_ref = (self._union(sets, by_group, place) for place in range(4))

    def _vectors(
        self, group: Group, atoms: Sequence[Span], member: Mapping[str, Array]
    ) -> tuple[Array, Array, Array, Array]:
        """Of one group: out by block, out by reference, in by block, in by reference."""
        board, size = self.board, len(self.board.held)
        found = [np.zeros(size, dtype=self.kind) for _ in range(4)]
        for rule in group.rules:
            if not rule.protocol[0] <= board.protocol <= rule.protocol[1]:
                continue
            bits = self.kind(_bits(rule.port, atoms))
            place = 0 if rule.egress else 2
            if rule.group:
                if not rule.stale and rule.group in member:
                    found[place + 1][member[rule.group]] |= bits
                continue
            blocks = [rule.block] if rule.block else board.network.prefix_lists.get(rule.prefix_list, ())
            for family, low, high in blocks:
                if family == 4:
                    found[place][_inside(board.addresses, low, high)] |= bits
        return found[0], found[1], found[2], found[3]

    def _union(self, sets: Sequence[tuple[str, ...]], by_group: Mapping[str, tuple[Array, ...]], place: int) -> Array:
        made = np.zeros((len(sets), len(self.board.held)), dtype=self.kind)
        for number, groups in enumerate(sets):
            for name in groups:
                if name in by_group:
                    made[number] |= by_group[name][place]
        return made

    def lets(self, rows: Array, cols: Array, how: Array) -> Array:
        """Whether groups let the packets out of these rows and into these columns, by the way they go."""
        sets, theirs = self.set_of[rows], self.set_of[cols]
        counts_out = np.isin(how, (SAME_SUBNET, LOCAL, PEERED))
        counts_in = counts_out | (how == TRANSIT)
        out, into = self.out[np.ix_(sets, cols)], self.into[np.ix_(theirs, rows)].T
        if counts_out.any():
            out = out | np.where(counts_out[None, :], self.out_ref[np.ix_(sets, cols)], 0)
        if counts_in.any():
            into = into | np.where(counts_in[None, :], self.into_ref[np.ix_(theirs, rows)].T, 0)
        both: Array = ((out == self.full) | self.open[sets][:, None]) & (
            (into == self.full) | self.open[theirs][None, :]
        )
        return both


def _members(held: Sequence[Interface]) -> dict[str, list[int]]:
    """The places of the interfaces that carry each group."""
    found: dict[str, list[int]] = {}
    for place, one in enumerate(held):
        for name in one.groups:
            found.setdefault(name, []).append(place)
    return found


class _Way:
    """One direction: how packets get from each subnet to each interface, and what network ACLs let through.

    how     (subnets, interfaces): SAME_SUBNET, LOCAL, PEERED, ..., NOT_REACHABLE_WAY or EXOTIC_WAY
    middle  (subnets, interfaces): bits that the ACL of the transit gateway's far subnet lets out
    home    (subnets, interfaces): whether packets come off a transit gateway in the interface's own subnet, where no ACL is asked
    out, into  (ACLs, interfaces): bits let out to, and in from, each interface
    """

    def __init__(self, board: _Board, protocol: int, atoms: Sequence[Span]) -> None:
        self.board, self.atoms, self.protocol, self.kind = board, atoms, protocol, _kind(atoms)
        self.full = self.kind((1 << len(atoms)) - 1)
        size = len(board.held)
        self.out = (
            np.stack([self._acl(acl, True) for acl in board.acls]) if board.acls else np.zeros((0, size), self.kind)
        )
        self.into = (
            np.stack([self._acl(acl, False) for acl in board.acls]) if board.acls else np.zeros((0, size), self.kind)
        )
        self.number = {acl.id: place for place, acl in enumerate(board.acls)}
        self.how = np.full((len(board.subnets), size), EXOTIC_WAY, dtype=np.int8)
        self.middle = np.full((len(board.subnets), size), self.full, dtype=self.kind)
        self.home = np.zeros((len(board.subnets), size), dtype=bool)
        self.places = {subnet.id: place for place, subnet in enumerate(board.subnets)}
        self.gate: dict[int, int] = {}  # subnet -> ACL of its transit gateway attachment's subnet
        self._roads: dict[tuple[str, str, str], tuple[Array, Array, Array, int]] = {}
        self.owned: dict[str, Array] = {
            vpc: np.array([one.vpc == vpc for one in board.held]) for vpc in {one.vpc for one in board.held}
        }
        self._amazon: dict[str, Array] = {}
        self._over: dict[tuple[str, str, str, bool], tuple[Array, Array, Array]] = {}
        self._land: dict[tuple[str, str, str, bool], tuple[Array, Array, Array]] = {}
        for place, subnet in enumerate(board.subnets):
            self._from(place, subnet)

    def _acl(self, acl: Acl, egress: bool) -> Array:
        board = self.board
        open_bits = np.full(len(board.held), self.full, dtype=self.kind)
        allowed = np.zeros(len(board.held), dtype=self.kind)
        for entry in acl.entries:
            if (
                entry.egress != egress
                or entry.block[0] != 4
                or not entry.protocol[0] <= self.protocol <= entry.protocol[1]
            ):
                continue
            bits = self.kind(_bits(entry.port, self.atoms))
            hit = np.where(_inside(board.addresses, entry.block[1], entry.block[2]), open_bits & bits, 0).astype(
                self.kind
            )
            if entry.allow:
                allowed |= hit
            open_bits &= ~hit
        return allowed

    @cached_property
    def gates(self) -> Array:
        """What the subnet of each interface's own attachment lets in from it."""
        found = np.full(len(self.board.held), self.full, dtype=self.kind)
        for place, acl in self.gate.items():
            mine = self.board.subnet_of == place
            found[mine] = self.into[acl][mine]
        return found

    def _from(self, place: int, subnet: Subnet) -> None:
        table = table_for(self.board.network, subnet)
        if table is None:
            return
        key = (table.id, subnet.vpc, subnet.az)
        if key not in self._roads:
            self._roads[key] = self._road(table, subnet)
        how, middle, home, gate = self._roads[key]
        self.how[place], self.middle[place], self.home[place] = how, middle, home
        if gate >= 0:
            self.gate[place] = gate
        here = np.zeros(len(self.board.held), dtype=bool)
        for family, low, high in subnet.blocks:
            if family == 4:
                here |= _inside(self.board.addresses, low, high)
        mine = here & (self.board.subnet_of == place)
        self.how[place][here & ~mine] = NOT_REACHABLE_WAY
        self.how[place][here & ~mine & self._services(subnet.vpc)] = EXOTIC_WAY
        self.how[place][mine] = SAME_SUBNET
        self.middle[place][mine], self.home[place][mine] = self.full, False

    def _services(self, vpc: str) -> Array:
        """Interfaces elsewhere whose address is one of Amazon's own in this VPC."""
        if vpc not in self._amazon:
            self._amazon[vpc] = np.isin(self.board.addresses, amazon_addresses(self.board.network, vpc, 4)) | _inside(
                self.board.addresses, *_LINK_LOCAL
            )
        return self._amazon[vpc]

    def _delivered(self, vpc: str, kind: int) -> Array:
        """Within a VPC packets get to its own interfaces; another's address there is nobody's, or someone else's."""
        mine = self.owned.get(vpc, np.zeros(len(self.board.held), dtype=bool))
        if not self.board.network.whole("NetworkInterfaces", vpc):
            return np.where(mine, kind, EXOTIC_WAY).astype(np.int8)
        elsewhere = np.where(self._services(vpc), EXOTIC_WAY, NOT_REACHABLE_WAY)
        delivered: Array = np.where(mine, kind, elsewhere).astype(np.int8)
        return delivered

    def _road(self, table: RouteTable, subnet: Subnet) -> tuple[Array, Array, Array, int]:
        """How packets get from a route table in one zone to every interface."""
        network, size = self.board.network, len(self.board.held)
        routes, unknown = network.routes(table, 4)
        how = np.full(size, EXOTIC_WAY, dtype=np.int8)
        middle = np.full(size, self.full, dtype=self.kind)
        home, gate = np.zeros(size, dtype=bool), -1
        if unknown:
            return how, middle, home, gate
        for route, chosen in _by_route(routes, self.board.addresses):
            if route is None or route.state == "blackhole":
                how[chosen] = NOT_REACHABLE_WAY
            elif route.state != "active":
                continue
            elif route.kind == "local":
                how[chosen] = self._delivered(table.vpc, LOCAL)[chosen]
            elif route.kind == "pcx":
                how[chosen] = self._peered(route, table.vpc)[chosen]
            elif route.kind == "tgw":
                over, far, landed, gate = self._transit(route, subnet)
                how[chosen], middle[chosen], home[chosen] = over[chosen], far[chosen], landed[chosen]
            elif route.kind == "igw":
                how[chosen] = self._outwards(route, table.vpc)[chosen]
            elif route.kind == "nat":
                how[chosen] = self._beyond_nat(route, table.vpc)[chosen]
        return how, middle, home, gate

    def _outwards(self, route: Route, vpc: str) -> Array:
        """To an internet gateway a private destination is lost, and anything else is traced."""
        size = len(self.board.held)
        if route.kind == "igw" and route.target not in self.board.network.igws:
            return np.full(size, EXOTIC_WAY, dtype=np.int8)
        private = np.zeros(size, dtype=bool)
        for low, high in (*PRIVATE_SPANS, *self.board.network.vpcs[vpc].spans(4)):
            private |= _inside(self.board.addresses, low, high)
        return np.where(private, NOT_REACHABLE_WAY, EXOTIC_WAY).astype(np.int8)

    def _beyond_nat(self, route: Route, vpc: str) -> Array:
        """Through a NAT gateway what its own subnet sends to an internet gateway is lost, if private; anything else is traced."""
        network = self.board.network
        how = np.full(len(self.board.held), EXOTIC_WAY, dtype=np.int8)
        nat = network.nats.get(route.target)
        subnet = network.subnets.get(nat.subnet) if nat and not nat.regional else None
        table = table_for(network, subnet) if subnet else None
        if nat is None or table is None or nat.vpc != vpc or not nat.addresses:
            return how
        routes, unknown = network.routes(table, 4)
        for beyond, chosen in () if unknown else _by_route(routes, self.board.addresses):
            if beyond is None or beyond.state == "blackhole":
                how[chosen] = NOT_REACHABLE_WAY
            elif beyond.kind == "igw" and beyond.state == "active":
                how[chosen] = self._outwards(beyond, vpc)[chosen]
        return how

    def _peered(self, route: Route, vpc: str) -> Array:
        network, size = self.board.network, len(self.board.held)
        peering = network.peerings.get(route.target)
        if peering is None:
            return np.full(size, EXOTIC_WAY, dtype=np.int8)
        side = peering.other(vpc)
        if side is None or peering.status != "active":
            return np.full(size, NOT_REACHABLE_WAY, dtype=np.int8)
        if side.vpc not in network.vpcs:
            return np.full(size, EXOTIC_WAY, dtype=np.int8)
        one, two = peering.sides
        inside = np.zeros(size, dtype=bool)
        for low, high in network.vpcs[side.vpc].spans(4):
            inside |= _inside(self.board.addresses, low, high)
        return np.where(
            inside, self._delivered(side.vpc, PEERED if one.region == two.region else PEERED_FAR), NOT_REACHABLE_WAY
        ).astype(np.int8)

    def _transit(self, route: Route, subnet: Subnet) -> tuple[Array, Array, Array, int]:
        network, size = self.board.network, len(self.board.held)
        nowhere, open_bits = np.zeros(size, dtype=bool), np.full(size, self.full, dtype=self.kind)
        exotic = np.full(size, EXOTIC_WAY, dtype=np.int8), open_bits, nowhere, -1
        lost = np.full(size, NOT_REACHABLE_WAY, dtype=np.int8), open_bits, nowhere, -1
        transit = network.transits.get(route.target)
        if transit is None or not network.known("TransitGatewayAttachments"):
            return exotic
        held = network.vpc_attachments.get((transit.id, subnet.vpc), ())
        came = next((one for one in held if one.state == "available"), held[0] if held else None)
        if came is None:
            return lost if network.whole("TransitGatewayAttachments", subnet.vpc) else exotic
        if not _all_known(network, came):
            return exotic
        near = [network.subnets[name] for name in came.subnets or () if network.subnets[name].az == subnet.az]
        if transit.state != "available" or came.state != "available" or not near or came.table == "":
            return lost
        if came.table is None or came.table in network.transit_gaps or came.table not in network.transit_routes:
            return exotic
        gate = acl_for(network, near[0])
        if gate is None:
            return exotic
        key = (transit.id, came.table, subnet.az, transit.referencing and came.referencing)
        if key not in self._over:
            self._over[key] = self._over_transit(*key)
        return *self._over[key], self.number[gate.id]

    def _over_transit(self, transit: str, table: str, zone: str, referencing: bool) -> tuple[Array, Array, Array]:
        network, size = self.board.network, len(self.board.held)
        how = np.full(size, NOT_REACHABLE_WAY, dtype=np.int8)
        far, home = np.full(size, self.full, dtype=self.kind), np.zeros(size, dtype=bool)
        routes = network.transit_routes[table]
        if any(route.prefix_list and route.prefix_list not in network.prefix_lists for route in routes):
            return np.full(size, EXOTIC_WAY, dtype=np.int8), far, home
        ranked = [
            (high - low, 1 if route.prefix_list else 0 if route.static else 2, low, high, route)
            for route in routes
            for family, low, high in ((route.block,) if route.block else network.prefix_lists[route.prefix_list])
            if family == 4
        ]
        ranked.sort(key=lambda one: one[:2])
        left = np.ones(size, dtype=bool)
        for _, _, low, high, route in ranked:
            chosen = left & _inside(self.board.addresses, low, high)
            left &= ~chosen
            if not chosen.any() or route.state != "active":
                continue
            to = network.attachments.get((transit, route.attachment))
            if to is None:
                how[chosen] = EXOTIC_WAY
                continue
            key = (transit, to.id, zone, referencing)
            if key not in self._land:
                self._land[key] = self._landed(to, zone, referencing)
            landed, mask, inside = self._land[key]
            how[chosen], far[chosen], home[chosen] = landed[chosen], mask[chosen], inside[chosen]
        return how, far, home

    def _landed(self, to: Attachment, zone: str, referencing: bool) -> tuple[Array, Array, Array]:
        network, size = self.board.network, len(self.board.held)
        exotic = (
            np.full(size, EXOTIC_WAY, dtype=np.int8),
            np.full(size, self.full, dtype=self.kind),
            np.zeros(size, dtype=bool),
        )
        if (
            to.kind != "vpc"
            or to.state != "available"
            or to.resource not in network.vpcs
            or not _all_known(network, to)
            or not to.subnets
            or to.appliance
        ):
            return exotic
        held = [network.subnets[name] for name in to.subnets]
        near = [one for one in held if one.az == zone] or held
        same = {(getattr(acl_for(network, one), "id", ""), getattr(table_for(network, one), "id", "")) for one in near}
        if len(same) > 1 and near[0].az != zone:
            return exotic
        acl, table = acl_for(network, near[0]), table_for(network, near[0])
        if acl is None or table is None:
            return exotic
        routes, unknown = network.routes(table, 4)
        how = np.full(size, EXOTIC_WAY, dtype=np.int8)
        if unknown:
            return exotic
        kind = TRANSIT if referencing and to.referencing else TRANSIT_BARE
        for route, chosen in _by_route(routes, self.board.addresses):
            if route is None or route.state == "blackhole":
                how[chosen] = NOT_REACHABLE_WAY
            elif route.kind == "local" and route.state == "active":
                how[chosen] = self._delivered(to.resource, kind)[chosen]
        home = self.board.subnet_of == self.places.get(near[0].id, -1)
        how[home] = kind  # in the attachment's own subnet no ACL is asked on the way out of the gateway
        return how, np.where(home, self.full, self.out[self.number[acl.id]]).astype(self.kind), home


_LINK_LOCAL = (0xA9FE0000, 0xA9FEFFFF)


def _all_known(network: Network, attachment: Attachment) -> bool:
    return attachment.subnets is not None and all(name in network.subnets for name in attachment.subnets)


def _by_route(routes: Sequence[tuple[int, int, Route]], addresses: Array) -> Iterable[tuple[Route | None, Array]]:
    """The addresses by the route that takes them; None those that no route takes."""
    left = np.ones(len(addresses), dtype=bool)
    for low, high, route in routes:
        chosen = left & _inside(addresses, low, high)
        left &= ~chosen
        if chosen.any():
            yield route, chosen
    if left.any():
        yield None, left
