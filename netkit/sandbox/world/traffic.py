"""Who talks to whom, and what every interface on the way would log of it. numpy throughout: no Python per record.

A class of connections goes along one route: a list of legs, each seen at one interface in one direction, with the addresses
that it has there. What AWS writes at a leg follows the Amazon VPC User Guide, "Flow log records" (ingress shows the
interface's primary address, pkt-* the packet's own) and "Flow log record examples" (the four shapes at a NAT gateway).
Whether it is ACCEPT or REJECT follows from the scenario's security groups and network ACLs at the time.
"""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from netkit.flowlogs.fields import FIELDS, version_of
from netkit.flowlogs.table import FlowLogSpec
from netkit.sandbox.world import world
from netkit.sandbox.world.world import HOSTS, SUBNETS, Host, Scenario

BY_NAME = {host.name: host for host in HOSTS}
_SUBNET = {subnet.name: subnet for subnet in SUBNETS}
_DAY = 86400
ACCEPT, REJECT = 0, 1
OK, NODATA, SKIPDATA = 0, 1, 2
FIN, SYN, RST, SYN_ACK = 1, 2, 4, 18

COLUMNS: dict[str, Any] = {
    "host": np.int16, "egress": np.int8, "src": np.int32, "dst": np.int32, "psrc": np.int32, "pdst": np.int32, "sport": np.int32,
    "dport": np.int32, "proto": np.int16, "packets": np.int64, "bytes": np.int64, "start": np.int64, "end": np.int64,
    "action": np.int8, "flags": np.int16, "path": np.int16, "status": np.int8,
}  # fmt: skip


@dataclass
class Records:
    """Columns of equal length, and the addresses that their numbers stand for."""

    addresses: list[str] = field(default_factory=lambda: ["-"])
    parts: dict[str, list[np.ndarray]] = field(default_factory=lambda: {name: [] for name in COLUMNS})
    _numbers: dict[str, int] = field(default_factory=lambda: {"-": 0})

    def number(self, address: str) -> int:
        """The number of an address."""
        if address not in self._numbers:
            self._numbers[address] = len(self.addresses)
            self.addresses.append(address)
        return self._numbers[address]

    def numbers(self, addresses: Sequence[str]) -> np.ndarray:
        """The numbers of several addresses."""
        return np.array([self.number(address) for address in addresses], np.int32)

    def add(self, count: int, **columns: Any) -> None:
        """Take in `count` records; a column may be one value for all."""
        for name, kind in COLUMNS.items():
            self.parts[name].append(np.broadcast_to(np.asarray(columns[name], kind), count))

    def arrays(self) -> dict[str, np.ndarray]:
        """The columns whole."""
        return {
            name: np.concatenate(parts) if parts else np.empty(0, COLUMNS[name]) for name, parts in self.parts.items()
        }


@dataclass(frozen=True)
class Leg:
    """One interface, one direction. Addresses: a host's name (its address as logged), "client" or "server" for the outside,
    or "name:second" for a secondary address. nat: the ports are those behind the NAT gateway."""

    host: str
    egress: bool
    src: str
    dst: str
    psrc: str
    pdst: str
    path: int = -1
    nat: bool = False


@dataclass
class Connections:
    """Connections of one class: start (s), length (s), ports, packets and bytes each way, the outside address of each."""

    start: np.ndarray
    length: np.ndarray
    client_port: np.ndarray
    server_port: np.ndarray
    out_bytes: np.ndarray
    back_bytes: np.ndarray
    outside: np.ndarray | None = None
    out_flags: int = SYN | FIN
    back_flags: int = SYN_ACK | FIN
    packets_out: np.ndarray | None = None
    packets_back: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.start)

    def some(self, keep: np.ndarray) -> Connections:
        """Those connections that a mask keeps."""
        chosen = {name: value[keep] if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}
        return Connections(**chosen)


# ------------------------------------------------------------------------------------------------- rules at a time


def admitted(one: Scenario, source: str, target: Host, port: int, when: float | None) -> bool:
    """Whether a target's security groups let a connection from a source (a host's name or an address) in."""
    if not target.group:
        return True
    group = BY_NAME[source].group if source in BY_NAME else ""
    address = BY_NAME[source].address if source in BY_NAME else source
    for _, protocol, first, last, peer in one.groups(when)[target.group]:
        by_group = bool(group) and peer == group
        by_address = "/" in peer and ipaddress.ip_address(address) in ipaddress.ip_network(peer)
        if protocol == 6 and first <= port <= last and (by_group or by_address):
            return True
    return False


def passes_acl(one: Scenario, subnet: str, *, egress: bool, peer: str, port: int, when: float | None) -> bool:
    """Whether a subnet's network ACL lets a TCP packet with that destination port through: lowest number first."""
    for _, is_egress, protocol, first, last, cidr, allow in sorted(one.acl(subnet, when)):
        if (
            is_egress == egress
            and protocol in (-1, 6)
            and first <= port <= last
            and ipaddress.ip_address(peer) in ipaddress.ip_network(cidr)
        ):
            return allow
    return False


# ---------------------------------------------------------------------------------------------------------- routes


def _inside(client: str, server: str, *, second: bool = False) -> tuple[list[Leg], list[Leg]]:
    """Requests and replies between two of our hosts; `second` means the server's secondary address."""
    real = f"{server}:second" if second else server
    out = [Leg(client, True, client, real, client, real, 1), Leg(server, False, client, server, client, real)]
    back = [Leg(server, True, server, client, real, client, 1), Leg(client, False, real, client, real, client)]
    return out, back


def _from_internet(server: str) -> tuple[list[Leg], list[Leg]]:
    return [Leg(server, False, "client", server, "client", server)], [
        Leg(server, True, server, "client", server, "client", 8)
    ]


def _to_s3(client: str) -> tuple[list[Leg], list[Leg]]:
    return [Leg(client, True, client, "server", client, "server", 7)], [
        Leg(client, False, "server", client, "server", client)
    ]


def _through_nat(client: str) -> tuple[list[Leg], list[Leg]]:
    """To the internet by the NAT gateway: the host's own records and the four shapes at the gateway's interface."""
    nat = "nat-a"
    out = [
        Leg(client, True, client, "server", client, "server"),
        Leg(nat, False, client, nat, client, "server"),
        Leg(nat, True, nat, "server", nat, "server", 8, nat=True),
    ]
    back = [
        Leg(nat, False, "server", nat, "server", nat, nat=True),
        Leg(nat, True, nat, client, "server", client, 1),
        Leg(client, False, "server", client, "server", client),
    ]
    return out, back


# ------------------------------------------------------------------------------------------------------- the shop


def _rhythm(rng: np.random.Generator, count: int, days: Sequence[int] = (0, 1)) -> np.ndarray:
    """Start times over whole days, more of them by day than by night."""
    hours = 1.0 + 0.8 * np.sin((np.arange(24) - 8) / 24 * 2 * np.pi)
    day = rng.choice(np.asarray(days), count)
    hour = rng.choice(24, count, p=hours / hours.sum())
    return (world.START.timestamp() + day * _DAY + hour * 3600 + rng.integers(0, 3600, count)).astype(np.int64)


def _connections(
    rng: np.random.Generator, start: np.ndarray, port: int, out: float, back: float, **more: Any
) -> Connections:
    """Connections with log-normal sizes around `out` and `back` bytes."""
    count = len(start)
    return Connections(
        np.asarray(start, np.int64),
        rng.integers(0, 20, count),
        rng.integers(32768, 61000, count),
        np.full(count, port),
        (out * rng.lognormal(0, 0.4, count)).astype(np.int64) + 200,
        (back * rng.lognormal(0, 0.8, count)).astype(np.int64) + 200,
        **more,
    )


class Shop:
    """The traffic of one scenario, written into Records."""

    def __init__(self, one: Scenario, scale: float = 1.0) -> None:
        self.one, self.scale = one, scale
        self.records = Records()

    def _rng(self, name: str) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(f"{self.one.name}/{name}".encode()))

    def _count(self, number: float) -> int:
        return int(number * self.scale)

    def write(self) -> Records:
        """All of it: the shop's own traffic, the internet's noise, the incidents."""
        self._shoppers()
        self._outward()
        self._people()
        self._noise()
        for name in self.one.incidents:
            if (incident := getattr(self, "_" + name.replace("-", "_"), None)) is not None:
                incident(self.one.incidents[name])
        return self.records

    def _shoppers(self) -> None:
        rng, shoppers = self._rng("shoppers"), self._count(self.one.shoppers)
        clients = self.records.numbers(
            [
                f"{a}.{b}.{c}.{d}"
                for a, b, c, d in zip(
                    *(rng.integers(low, high, 1500).tolist() for low, high in ((77, 99), (1, 250), (1, 250), (1, 250))),
                    strict=True,
                )
            ]
        )
        for zone in ("a", "b"):
            start = _rhythm(rng, shoppers // 2)
            outside = clients[(rng.pareto(1.1, len(start)) * 20).astype(np.int64) % len(clients)]
            self._send(
                _from_internet(f"alb-{zone}"),
                _connections(rng, start, 443, 2200, 40000, outside=outside),
                server=f"alb-{zone}",
            )
        for zone in ("a", "b"):
            for web in ("web-1", "web-2"):
                self._send(
                    _inside(f"alb-{zone}", web),
                    _connections(rng, _rhythm(rng, shoppers // 4), 80, 2400, 38000),
                    server=web,
                    client=f"alb-{zone}",
                )
        for web in ("web-1", "web-2"):
            for app in ("app-1", "app-2", "app-3"):
                self._send(
                    _inside(web, app),
                    _connections(rng, _rhythm(rng, shoppers // 6), 8080, 1800, 9000),
                    server=app,
                    client=web,
                )
        for app in ("app-1", "app-2", "app-3"):
            self._send(
                _inside(app, "db-primary"),
                _connections(rng, _rhythm(rng, shoppers // 6), 5432, 1400, 12000),
                server="db-primary",
                client=app,
            )
        self._send(
            _inside("web-1", "app-1", second=True),
            _connections(rng, _rhythm(rng, shoppers // 60), 8080, 900, 4000),
            server="app-1",
            client="web-1",
        )

    def _outward(self) -> None:
        rng, shoppers = self._rng("outward"), self._count(self.one.shoppers)
        partner = self.records.number(world.PARTNER)
        buckets = self.records.numbers(world.S3_ADDRESSES)
        for app in ("app-1", "app-2", "app-3"):
            start = _rhythm(rng, shoppers // 60)
            self._send(
                _through_nat(app),
                _connections(rng, start, 443, 3000, 8000, outside=np.full(len(start), partner)),
                client=app,
            )
            start = _rhythm(rng, shoppers // 20)
            self._send(
                _to_s3(app),
                _connections(rng, start, 443, 60000, 9000, outside=rng.choice(buckets, len(start))),
                client=app,
            )
        ticks = np.arange(world.START.timestamp(), world.END.timestamp(), 30)
        self._send(
            _inside("db-primary", "db-standby"),
            _connections(rng, ticks, 5432, 90000, 900),
            server="db-standby",
            client="db-primary",
        )

    def _people(self) -> None:
        """An operator at work: office to bastion, bastion to hosts, on both days."""
        rng = self._rng("people")
        start = np.concatenate([_rhythm(rng, 6, [day]) for day in (0, 1)])
        office = np.full(len(start), self.records.number(world.OFFICE))
        packets = rng.integers(200, 900, len(start))
        self._send(
            _from_internet("bastion"),
            _connections(rng, start, 22, 30000, 60000, outside=office, packets_out=packets, packets_back=packets),
            server="bastion",
        )
        for target in ("web-1", "app-1", "app-3"):
            self._send(
                _inside("bastion", target),
                _connections(rng, start + 20, 22, 20000, 50000, packets_out=packets, packets_back=packets),
                server=target,
                client="bastion",
            )

    def _noise(self) -> None:
        """Scanners knock everywhere, each a few times. The NAT gateway has no security group, so its interface accepts them."""
        rng, count = self._rng("noise"), self._count(2400)
        sources = self.records.numbers(
            [
                f"{a}.{b}.{c}.{d}"
                for a, b, c, d in zip(
                    *(
                        rng.integers(low, high, count // 3).tolist()
                        for low, high in ((176, 191), (1, 250), (1, 250), (1, 250))
                    ),
                    strict=True,
                )
            ]
        )
        ports = np.array([23, 445, 3389, 8080, 5900, 6379, 2375, 1433, 25, 8443, 9200, 21, 5060, 27017])
        for target in ("alb-a", "alb-b", "bastion", "nat-a"):
            start = _rhythm(rng, count // 4)
            some = _connections(rng, start, 0, 0, 0, outside=rng.choice(sources, len(start)))
            some.server_port = np.where(
                rng.random(len(start)) < 0.6, rng.choice(ports, len(start)), rng.integers(1, 32000, len(start))
            )
            self._knock(target, some)

    def _knock(self, target: str, some: Connections) -> None:
        """Lone SYNs at a public address: rejected by the security group, unless the port is open or there is no group."""
        host = BY_NAME[target]
        open_ports = [
            port
            for port in np.unique(some.server_port)
            if host.group and admitted(self.one, "198.18.0.1", host, int(port), None)
        ]
        some = some.some(~np.isin(some.server_port, open_ports))
        some.out_flags, some.packets_out = SYN, np.ones(len(some), np.int64)
        some.out_bytes = np.full(len(some), 44)
        leg = _from_internet(target)[0][0]
        self._leg(leg, some, action=ACCEPT if not host.group else REJECT)

    # ------------------------------------------------------------------------------------------------- incidents

    def _port_scan(self, how: dict[str, Any]) -> None:
        rng, count = self._rng("port-scan"), int(how["ports"])
        start = np.sort(world.moment(how["at"]) + rng.integers(0, how["minutes"] * 60, count)).astype(np.int64)
        source = self.records.number(world.SCANNER)
        for target, share in (("bastion", slice(0, None)), ("alb-a", slice(0, None, 3))):
            some = _connections(rng, start[share], 0, 0, 0, outside=np.full(len(start[share]), source))
            some.server_port = (1 + rng.permutation(count))[share]
            self._knock(target, some)

    def _data_leak(self, how: dict[str, Any]) -> None:
        rng = self._rng("data-leak")
        start = world.moment(how["at"]) + np.arange(0, how["hours"] * 3600, how["every_minutes"] * 60)
        some = _connections(rng, start, 443, 1, 90000, outside=np.full(len(start), self.records.number(world.LEAK)))
        some.out_bytes = (how["bytes"] * rng.uniform(0.95, 1.05, len(start))).astype(np.int64)
        some.length = rng.integers(30, 55, len(start))
        self._send(_through_nat("app-2"), some, client="app-2")

    def _ssh_guessing(self, how: dict[str, Any]) -> None:
        rng, count = self._rng("ssh-guessing"), int(how["connections"])
        start = np.sort(world.moment(how["at"]) + rng.integers(0, how["minutes"] * 60, count))
        packets = rng.integers(9, 16, count)
        some = _connections(
            rng,
            start,
            22,
            1900,
            2400,
            outside=np.full(count, self.records.number(world.GUESSER)),
            packets_out=packets,
            packets_back=packets - 1,
        )
        some.client_port = 20000 + rng.permutation(40000)[:count]
        self._send(_from_internet("bastion"), some, server="bastion")

    # --------------------------------------------------------------------------------------------------- records

    def _send(
        self, route: tuple[list[Leg], list[Leg]], some: Connections, *, client: str = "", server: str = ""
    ) -> None:
        """Write connections along a route, split where a change of rules falls among them."""
        changes = sorted(
            world.moment(how["at"])
            for name, how in self.one.incidents.items()
            if name in ("blocked-database", "dead-return-path")
        )
        edges = [-np.inf, *changes, np.inf]
        for early, late in zip(edges, edges[1:], strict=False):
            part = some.some((some.start >= early) & (some.start < late))
            if len(part):
                self._send_under(route, part, client, server, float(part.start[0]))

    def _send_under(
        self, route: tuple[list[Leg], list[Leg]], some: Connections, client: str, server: str, when: float
    ) -> None:
        """Write connections under the rules of one moment: as far as they get, and the reply as far as it gets."""
        out, back = route
        target = BY_NAME.get(server)
        port = int(some.server_port[0])
        source = client or (self.records.addresses[int(some.outside[0])] if some.outside is not None else "")
        if target is not None and not admitted(self.one, source, target, port, when):
            self._refused(out, some)
            return
        for leg in out:
            self._leg(leg, some)
        stopped = target is not None and client and not self._reply_passes(target, client, when)
        if stopped:
            # Stateful groups let the reply go, the network ACL does not: one REJECT at the server, and silence beyond it.
            lost = some.some(np.ones(len(some), bool))
            lost.back_bytes, lost.packets_back = np.full(len(some), 180), np.full(len(some), 3)
            lost.back_flags = SYN_ACK
            self._leg(back[0], lost, action=REJECT)
            return
        for leg in back:
            self._leg(leg, some)

    def _reply_passes(self, server: Host, client: str, when: float) -> bool:
        peer = BY_NAME[client]
        if peer.subnet == server.subnet:
            return True
        return passes_acl(self.one, server.subnet, egress=True, peer=peer.address, port=40000, when=when)

    def _refused(self, out: Sequence[Leg], some: Connections) -> None:
        """SYNs that the last interface rejects, tried again as TCP does."""
        some.out_flags, some.packets_out = SYN, np.full(len(some), 3)
        some.out_bytes = np.full(len(some), 180)
        some.length = np.full(len(some), 7)
        for leg in out[:-1]:
            self._leg(leg, some)
        self._leg(out[-1], some, action=REJECT)

    def _leg(self, leg: Leg, some: Connections, *, action: int = ACCEPT) -> None:
        request = self._is_request(leg)
        flags = some.out_flags if request else some.back_flags
        size = some.out_bytes if request else some.back_bytes
        given = some.packets_out if request else some.packets_back
        packets = given if given is not None else np.maximum(4, size // 1300 + 2)
        # What packets can hold (RFC 9293): 20 bytes of IP header and 20 of TCP, 4 more in the SYN (MSS), at most 1500 on the wire.
        size = np.clip(size, 40 * packets + 4, 1500 * packets - 1456)
        client_port = 1024 + (some.client_port * 31 + some.start) % 64000 if leg.nat else some.client_port
        ports = (client_port, some.server_port) if request else (some.server_port, client_port)
        self.records.add(
            len(some), host=HOSTS.index(BY_NAME[leg.host]), egress=leg.egress, src=self._address(leg.src, some), dst=self._address(leg.dst, some),
            psrc=self._address(leg.psrc, some), pdst=self._address(leg.pdst, some), sport=ports[0], dport=ports[1], proto=6, packets=packets,
            bytes=size, start=some.start, end=some.start + some.length, action=action, flags=flags, path=leg.path, status=OK,
        )  # fmt: skip

    @staticmethod
    def _is_request(leg: Leg) -> bool:
        """Whether a leg goes from client to server: the outside is the server behind a gateway, and the client at a public one."""
        ends = (leg.psrc, leg.pdst)
        if "client" in ends:
            return leg.psrc == "client"
        if "server" in ends:
            return leg.pdst == "server"
        tiers = {"alb": 0, "bastion": 1, "web": 2, "app": 3, "db": 4}
        first, second = (BY_NAME[end.partition(":")[0]] for end in ends)
        return (tiers[first.group], first.name) < (tiers[second.group], second.name)

    def _address(self, name: str, some: Connections) -> Any:
        if name in ("client", "server"):
            return some.outside
        host, _, second = name.partition(":")
        return self.records.number(BY_NAME[host].second if second else BY_NAME[host].address)


# --------------------------------------------------------------------------------------------------------- columns


@cache
def _shop(name: str, scale: float) -> tuple[dict[str, np.ndarray], list[str]]:
    records = Shop(world.scenario(name), scale).write()
    return records.arrays(), records.addresses


def records(one: Scenario, spec: FlowLogSpec, scale: float = 1.0) -> tuple[dict[str, np.ndarray], list[str]]:
    """What a flow log with this spec writes for a scenario: columns sorted by end, and the addresses of their numbers."""
    columns, addresses = _shop(one.name, scale)
    columns = _aggregated(columns, spec.aggregation_s)
    columns = _with_quiet_hours(columns, spec.aggregation_s, one)
    keep = np.isin(columns["host"], _covered(one, spec))
    if spec.traffic != "ALL":
        keep &= (columns["status"] == OK) & (columns["action"] == (ACCEPT if spec.traffic == "ACCEPT" else REJECT))
    keep &= ~_lost(one, columns)
    chosen = {name: column[keep] for name, column in columns.items()}
    order = np.lexsort((chosen["sport"], chosen["host"], chosen["start"], chosen["end"]))
    return {name: column[order] for name, column in chosen.items()}, addresses


def happened(one: Scenario) -> tuple[dict[str, np.ndarray], list[str]]:
    """All flows of a scenario, in any order, whether or not a flow log has kept their records; columns as records() has."""
    return _shop(one.name, 1.0)


def _aggregated(columns: dict[str, np.ndarray], interval: int) -> dict[str, np.ndarray]:
    """Records end with their aggregation interval at the latest; those that would cross it end there."""
    edge = columns["start"] // interval * interval + interval - 1
    return columns | {"end": np.minimum(columns["end"], edge)}


def _with_quiet_hours(columns: dict[str, np.ndarray], interval: int, one: Scenario) -> dict[str, np.ndarray]:
    """NODATA for every interface and interval without traffic, SKIPDATA where the scenario loses records."""
    first, count = int(world.START.timestamp()), int((world.END - world.START).total_seconds()) // interval
    busy = np.zeros((len(HOSTS), count), bool)
    busy[columns["host"], np.clip((columns["start"] - first) // interval, 0, count - 1)] = True
    hosts, slots = np.nonzero(~busy)
    begins = first + slots * interval
    extra = {name: np.zeros(len(hosts), kind) for name, kind in COLUMNS.items()}
    extra |= {
        "host": hosts.astype(np.int16),
        "start": begins,
        "end": begins + interval - 1,
        "status": np.full(len(hosts), NODATA, np.int8),
    }
    joined = {name: np.concatenate([columns[name], extra[name].astype(kind)]) for name, kind in COLUMNS.items()}
    hole = one.incidents.get("missing-hour")
    if hole is None:
        return joined
    slots = np.arange(
        world.moment(hole["skipdata_at"]),
        world.moment(hole["skipdata_at"]) + hole["skipdata_minutes"] * 60,
        interval,
        dtype=np.int64,
    )
    lost = {name: np.zeros(len(slots), kind) for name, kind in COLUMNS.items()}
    nat = next(number for number, host in enumerate(HOSTS) if host.kind == "nat")
    lost |= {
        "host": np.full(len(slots), nat, np.int16),
        "start": slots,
        "end": slots + interval - 1,
        "status": np.full(len(slots), SKIPDATA, np.int8),
    }
    return {name: np.concatenate([joined[name], lost[name].astype(kind)]) for name, kind in COLUMNS.items()}


def _covered(one: Scenario, spec: FlowLogSpec) -> list[int]:
    """The hosts whose interface, subnet or VPC a spec logs."""
    wanted = set(spec.resource_ids)
    return [
        number
        for number, host in enumerate(HOSTS)
        if wanted & {one.vpc_id, world.ident(one.name, host.subnet, "subnet"), host.interface_id(one.name)}
    ]


def _lost(one: Scenario, columns: dict[str, np.ndarray]) -> np.ndarray:
    """Records that a missing delivery takes along."""
    hole = one.incidents.get("missing-hour")
    if hole is None:
        return np.zeros(len(columns["start"]), bool)
    begin = world.moment(hole["at"])
    return np.asarray((columns["end"] >= begin) & (columns["end"] < begin + hole["minutes"] * 60))


def table(one: Scenario, spec: FlowLogSpec, columns: dict[str, np.ndarray], addresses: Sequence[str]) -> pa.Table:
    """The records as an Arrow table in the spec's fields and Parquet types; integers are null and text "-" where AWS has "-"."""
    maker = _Columns(one, columns, addresses, version_of(spec.fields))
    arrays = [maker.column(name) for name in spec.fields]
    return pa.Table.from_arrays(arrays, names=[FIELDS[name].column for name in spec.fields])


class _Columns:
    """Makes the column of each field."""

    def __init__(self, one: Scenario, columns: dict[str, np.ndarray], addresses: Sequence[str], version: int) -> None:
        self.one, self.c, self.version = one, columns, version
        self.addresses = pa.array(addresses)
        self.empty = columns["status"] != OK

    def column(self, name: str) -> pa.Array:
        """The Arrow array of one field."""
        numbers = {
            "srcport": "sport", "dstport": "dport", "protocol": "proto", "packets": "packets", "bytes": "bytes", "tcp-flags": "flags",
            "start": "start", "end": "end", "traffic-path": "path",
        }  # fmt: skip
        kind = {"INT_32": pa.int32(), "INT_64": pa.int64()}.get(FIELDS[name].parquet)
        if name == "version":
            return pa.array(np.full(len(self.empty), self.version), kind)
        if name in numbers:
            return self._number(name, self.c[numbers[name]], kind)
        if name in ("srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr"):
            key = {"srcaddr": "src", "dstaddr": "dst", "pkt-srcaddr": "psrc", "pkt-dstaddr": "pdst"}[name]
            return self._coded(np.where(self.empty, 0, self.c[key]), self.addresses)
        if name in ("pkt-src-aws-service", "pkt-dst-aws-service"):
            return self._service("psrc" if name == "pkt-src-aws-service" else "pdst")
        if name in ("action", "log-status", "flow-direction", "type"):
            return self._word(name)
        if kind is not None:
            return pa.nulls(len(self.empty), kind)
        return self._coded(self.c["host"], pa.array([self._of_host(name, host) for host in HOSTS]))

    def _number(self, name: str, values: np.ndarray, kind: Any) -> pa.Array:
        if name in ("start", "end"):
            return pa.array(values, kind)
        missing = self.empty | (values < 0) if name == "traffic-path" else self.empty
        return pa.array(values, kind, mask=missing)

    @staticmethod
    def _coded(codes: np.ndarray, words: pa.Array) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), words)

    def _word(self, name: str) -> pa.Array:
        words = {
            "action": ["ACCEPT", "REJECT"],
            "log-status": ["OK", "NODATA", "SKIPDATA"],
            "flow-direction": ["ingress", "egress"],
            "type": ["IPv4"],
        }[name]
        codes = {
            "action": self.c["action"],
            "log-status": self.c["status"],
            "flow-direction": self.c["egress"],
            "type": np.zeros(len(self.empty)),
        }[name]
        if name != "log-status":
            codes = np.where(self.empty, len(words), codes)
        return self._coded(codes, pa.array([*words, "-"]))

    def _service(self, key: str) -> pa.Array:
        ours = self.addresses.to_pylist()
        s3 = np.array([address in world.S3_ADDRESSES for address in ours])
        return self._coded((s3[self.c[key]] & ~self.empty).astype(np.int32), pa.array(["-", "S3"]))

    def _of_host(self, name: str, host: Host) -> str:
        subnet = _SUBNET[host.subnet]
        return {
            "account-id": world.ACCOUNT,
            "interface-id": host.interface_id(self.one.name),
            "vpc-id": self.one.vpc_id,
            "subnet-id": world.ident(self.one.name, host.subnet, "subnet"),
            "instance-id": host.instance_id(self.one.name),
            "region": world.REGION,
            "az-id": subnet.az_id,
            "interface-type": "nat_gateway" if host.kind == "nat" else "-",
        }.get(name, "-")


def slices(columns: dict[str, np.ndarray], step: int = 300) -> Iterator[tuple[int, slice]]:
    """(Unix time, rows) of the records that end in each `step` seconds; the columns are sorted by end."""
    if not len(columns["end"]):
        return
    buckets = columns["end"] // step
    edges = np.flatnonzero(np.diff(buckets)) + 1
    for start, stop in zip(np.r_[0, edges], np.r_[edges, len(buckets)], strict=True):
        yield int(buckets[start]) * step, slice(int(start), int(stop))
