"""The scene: the two ends resolved, their connections put together from the flow logs, and when they began to fail. Pure.

A connection attempt is one client address and port towards the asked-for service. At each interface it leaves up to four records: the
request in and out, the reply in and out, each ACCEPT or REJECT. What an interface that is not logged would have said is not known, and is
told apart from what a logged one did not say.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from netkit.core.errors import InputError
from netkit.core.model import Verdict
from netkit.core.net import protocol_number
from netkit.history.trail import Write
from netkit.history.unroll import played, undone
from netkit.incident.evidence import Evidence, Question, Taken
from netkit.reach.engine.trace import trace
from netkit.reach.network.ends import End, find_end, which_vpc
from netkit.reach.network.network import Network, network_of
from netkit.reach.network.records import Interface
from netkit.reach.network.snapshot import Snapshot

FIN, SYN, RST, ACK = 1, 2, 4, 16
LAG_S = 120  # records of the last two minutes may still be on their way
BRIEF_S = 600
APART_S = 30 * 60  # a 5-tuple that speaks again after longer is a port used again, where it begins with a SYN


@dataclass(frozen=True)
class Side:
    """One end: its addresses, interfaces and instances, over all snapshots. `wide` for the internet."""

    word: str
    addresses: frozenset[str]
    interfaces: frozenset[str]
    instances: frozenset[str]
    wide: bool = False
    balancer: str = ""
    problem: str = ""


@dataclass(frozen=True)
class State:
    """The configuration of a time: a snapshot as it was taken, or brought there by writes of the trail. open: writes that could not be followed."""

    time: datetime
    snapshot: Snapshot
    done: tuple[Write, ...] = ()
    open: tuple[tuple[Write, str], ...] = ()

    def __str__(self) -> str:
        with_ = f" with {len(self.done)} writes of the trail" if self.done else ""
        return f"configuration of {self.time:%Y-%m-%dT%H:%M:%SZ}{with_}"


@dataclass
class Event:
    """What one interface said of one way and direction of an attempt, its records put together (flags ORed)."""

    first: int
    last: int
    action: str
    packets: int = 0
    bytes: int = 0
    flags: int = 0
    rejected: int = 0
    reason: str = ""
    path: int = -1


@dataclass
class Attempt:
    """One connection as the logs have it. events: (interface, way, direction) -> Event; way request or reply, direction ingress or egress."""

    client: str
    port: int
    server: str
    start: int
    end: int
    events: dict[tuple[str, str, str], Event] = field(default_factory=dict)
    records: list[int] = field(default_factory=list)

    def at(self, interfaces: Iterable[str], way: str, direction: str) -> Event | None:
        """The event at the first of some interfaces that has one."""
        return next(
            (self.events[one, way, direction] for one in interfaces if (one, way, direction) in self.events), None
        )

    @property
    def flags(self) -> tuple[int, int]:
        """TCP flags of request and reply, ORed over all interfaces; -1 where the log has none."""
        found = {"request": -1, "reply": -1}
        for (_, way, _), event in self.events.items():
            if event.flags >= 0:
                found[way] = max(found[way], 0) | event.flags
        return found["request"], found["reply"]

    def most(self, way: str) -> int:
        """The most packets that any interface let through one way."""
        return max(
            (one.packets for (_, each, _), one in self.events.items() if each == way and one.action == "ACCEPT"),
            default=0,
        )


class Scene:
    """The evidence of one question, looked at once."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.question: Question = evidence.question
        self.snapshots: tuple[Taken, ...] = evidence.snapshots
        self.networks: tuple[Network, ...] = tuple(network_of(one.snapshot) for one in evidence.snapshots)
        self.source = self._side(self.question.source, "source")
        self.destination = self._side(self.question.destination, "destination")

    # ------------------------------------------------------------------------------------------------------------- ends

    def _side(self, word: str, role: str) -> Side:
        ends: list[End] = []
        problem = ""
        for network in self.networks:
            try:
                ends.append(find_end(network, word, role, which_vpc(network, self.question.vpc)))
            except InputError as error:
                problem = error.what
        addresses: set[str] = set()
        if (plain := _address(word)) is not None:
            addresses.add(plain)
        held = [one for end in ends for one in _interfaces(end)]
        for one in held:
            addresses |= _addresses(one)
        balancer = next((end.balancer.id for end in ends if end.balancer is not None), "")
        wide = any(end.wide and end.kind in ("internet", "internet-gateway") for end in ends) or word == "internet"
        return Side(
            word, frozenset(addresses), frozenset(one.id for one in held), frozenset(one.instance for one in held if one.instance), wide,
            balancer, "" if ends or addresses or wide else problem,
        )  # fmt: skip

    @cached_property
    def interfaces(self) -> dict[str, Interface]:
        """Every interface of any snapshot, the newest record of each."""
        return {one.id: one for network in self.networks for one in network.interfaces.values()}

    @cached_property
    def own_addresses(self) -> dict[str, frozenset[str]]:
        """Interface id to its own addresses."""
        return {name: frozenset(_addresses(one)) for name, one in self.interfaces.items()}

    # -------------------------------------------------------------------------------------------------------------- path

    @cached_property
    def verdicts(self) -> tuple[Verdict | None, ...]:
        """The trace of the question over each snapshot; None where an end is not in it."""
        return tuple(self.verdict_of(taken.snapshot) for taken in self.snapshots)

    def verdict_of(self, snapshot: Snapshot) -> Verdict | None:
        """The trace of the question over a snapshot; None where an end is not in it."""
        asked = self.question
        try:
            return trace(
                snapshot, source=asked.source, destination=asked.destination, protocol=asked.protocol, port=asked.port or None, vpc=asked.vpc
            )  # fmt: skip
        except InputError:
            return None

    @cached_property
    def before(self) -> State | None:
        """The configuration before the trouble: the last snapshot before it, or the first one with the trail's writes undone."""
        if not self.snapshots:
            return None
        began = self.onset.time
        earlier = [one for one in self.snapshots if began is None or one.time < began]
        if earlier and (len(self.snapshots) > 1 or began is not None):
            return State(
                earlier[-1].time if began else earlier[0].time, (earlier[-1] if began else earlier[0]).snapshot
            )
        first = self.snapshots[0]
        writes = [one for one in self.evidence.trail.writes if one.time <= first.time]
        back = undone(first.snapshot, writes)
        return State(first.time, back.snapshot, back.done, back.open) if back.done or back.open else None

    @cached_property
    def then(self) -> State | None:
        """The configuration of the trouble: the newest snapshot of it; the writes up to it played on from before where none is of it, or where the
        newest one is of a time when the trouble was mended.
        """
        if not self.snapshots:
            return None
        newest = self.snapshots[-1]
        began = self.onset.time
        later = [one for one in self.evidence.trail.writes if newest.time < one.time <= self.question.window.end]
        if later:
            on = played(newest.snapshot, later)
            if on.done or on.open:
                return State(self.question.window.end, on.snapshot, on.done, on.open)
        verdict = self.verdicts[-1]
        if (
            began is not None
            and verdict is not None
            and verdict.reachable
            and self.before is not None
            and self.before.time < began
        ):
            between = [
                one for one in self.evidence.trail.writes if self.before.time < one.time <= began + timedelta(minutes=1)
            ]
            on = played(self.before.snapshot, between)
            if on.done and (mid := self.verdict_of(on.snapshot)) is not None and mid.status == "NOT_REACHABLE":
                return State(began, on.snapshot, on.done, on.open)
        return State(newest.time, newest.snapshot)

    @cached_property
    def beyond(self) -> bool:
        """Whether an end is a private address of no VPC in the snapshots: on-premises, by VPN or Direct Connect."""
        blocks = [block for network in self.networks for vpc in network.vpcs.values() for block in vpc.blocks]
        for text in self.source.addresses | self.destination.addresses:
            address = ipaddress.ip_address(text)
            inside = any(family == address.version and low <= int(address) <= high for family, low, high in blocks)
            if not inside and not address.is_global:
                return True
        return False

    @cached_property
    def components(self) -> frozenset[str]:
        """Everything that the question's packets pass, in any snapshot or in the flow logs: hops, their subnets, VPCs and hosts, and both ends."""
        found = set(
            self.source.interfaces | self.destination.interfaces | self.source.instances | self.destination.instances
        )
        found |= self.source.addresses | self.destination.addresses | {self.destination.balancer} - {""}
        extra = [self.verdict_of(one.snapshot) for one in (self.before, self.then) if one is not None and one.done]
        for verdict in (*self.verdicts, *extra):
            for hop in (*verdict.forward, *verdict.back) if verdict else ():
                found |= {hop.component, hop.subnet, hop.vpc, hop.attached_to}
            for blocker in verdict.blockers if verdict else ():
                found |= {blocker.component, blocker.where, *blocker.components}
        found |= set(self.pair["interface"].unique())
        for name in list(found):
            if (one := self.interfaces.get(name)) is not None:
                found |= {one.subnet, one.vpc, one.instance, *one.groups}
        for network in self.networks:
            found |= {nat.id for nat in network.nats.values() if set(nat.interfaces) & found}
            found |= {one.id for one in network.endpoints.values() if set(one.interfaces) & found}
            found |= {name for subnet in network.subnets if subnet in found for name in _filters_of(network, subnet)}
            found |= {name for (_, name), one in network.attachments.items() if one.resource in found}
            found |= {one.table for (_, name), one in network.attachments.items() if name in found and one.table}
        return frozenset(found - {""})

    # ---------------------------------------------------------------------------------------------------------- coverage

    @cached_property
    def traffic_types(self) -> dict[str, str]:
        """Resource id (interface, subnet, VPC) to the traffic type of the flow logs on it: ALL, ACCEPT or REJECT."""
        found: dict[str, str] = {}
        for taken in self.snapshots:
            for _, one in taken.snapshot.records("FlowLogs"):
                kind, before = str(one.get("TrafficType", "")), found.get(str(one.get("ResourceId", "")))
                found[str(one.get("ResourceId", ""))] = kind if before in (None, kind) else "ALL"
        return found

    @cached_property
    def _speaking(self) -> frozenset[str]:
        return frozenset(self.evidence.flows["interface"].unique())

    @cached_property
    def _only(self) -> str:
        """ "REJECT" or "ACCEPT" where every record of the files is of that action, "" else."""
        kinds = set(self.evidence.flows.loc[self.evidence.flows["status"] == "OK", "action"].unique()) - {""}
        return kinds.pop() if len(kinds) == 1 else ""

    def logged(self, interface: str) -> str:
        """What an interface's flow log holds: ALL, ACCEPT, REJECT, or "" where it is not known to be logged.

        An interface counts as logged where its own records, NODATA too, are in the files: a flow log that exists and was not handed
        over shows nothing.
        """
        if interface not in self._speaking:
            return ""
        one = self.interfaces.get(interface)
        ids = (interface, one.subnet, one.vpc) if one else (interface,)
        said = next((self.traffic_types[name] for name in ids if name in self.traffic_types), "")
        return said if said in ("ACCEPT", "REJECT") else self._only or "ALL"

    def sees(self, interfaces: Iterable[str], action: str) -> bool:
        """Whether records of that action at one of these interfaces would be in the files."""
        return any(self.logged(one) in ("ALL", action) for one in interfaces)

    # ---------------------------------------------------------------------------------------------------------- attempts

    @cached_property
    def pair(self) -> pd.DataFrame:
        """The records between the two ends on the asked-for service, with `way` (request, reply) and `direction` filled in."""
        flows = self.evidence.flows
        flows = flows[flows["status"] == "OK"]
        if not all(side.addresses or side.wide for side in (self.source, self.destination)):
            flows = flows.iloc[:0]
        ours, theirs = self.source.addresses, self.destination.addresses
        number = protocol_number(self.question.protocol) if self.question.protocol not in ("all", "-1") else -1

        def between(here: frozenset[str], there: frozenset[str]) -> Any:
            left = flows["pkt_src"].isin(here) | flows["src"].isin(here) if here else ~flows["pkt_src"].isin(there)
            right = flows["pkt_dst"].isin(there) | flows["dst"].isin(there) if there else ~flows["pkt_dst"].isin(here)
            return left & right

        port = self.question.port
        request = between(ours, theirs) & ((flows["dport"] == port) if port else True)
        reply = between(theirs, ours) & ((flows["sport"] == port) if port else True)
        kept = flows[(request | reply) & ((flows["protocol"] == number) if number >= 0 else True)].copy()
        kept["way"] = np.where(request[kept.index], "request", "reply")
        kept["direction"] = self._directions(kept)
        return pd.DataFrame(kept)

    def _directions(self, kept: pd.DataFrame) -> list[str]:
        found = []
        for interface, src, dst, said in zip(
            kept["interface"], kept["src"], kept["dst"], kept["direction"], strict=True
        ):
            own = self.own_addresses.get(interface, frozenset())
            found.append(said or ("egress" if src in own and dst not in own else "ingress" if dst in own else ""))
        return found

    @cached_property
    def attempts(self) -> list[Attempt]:
        """Every connection between the two ends, earliest first."""
        return self.gather(self.pair)

    def gather(self, frame: pd.DataFrame) -> list[Attempt]:
        """Connections of some records that have `way` and `direction`, earliest first."""
        columns = [
            *(
                "interface",
                "way",
                "direction",
                "pkt_src",
                "pkt_dst",
                "sport",
                "dport",
                "start",
                "end",
                "action",
                "packets",
                "bytes",
            ),
            *("flags", "reject_reason", "traffic_path"),
        ]
        made: list[Attempt] = []
        open_: dict[tuple[str, int, int], Attempt] = {}
        for index, row in zip(frame.index, frame[columns].itertuples(index=False, name=None), strict=True):
            (
                interface,
                way,
                direction,
                src,
                dst,
                sport,
                dport,
                start,
                end,
                action,
                packets,
                size,
                flags,
                reason,
                path,
            ) = row
            client, port, server, service = (src, sport, dst, dport) if way == "request" else (dst, dport, src, sport)
            key = (client, port, service)
            one = open_.get(key)
            if (
                one is None
                or (start - one.end > APART_S)
                or (start - one.end > 60 and way == "request" and flags > 0 and flags & SYN)
            ):
                one = open_[key] = Attempt(client, port, server, int(start), int(end))
                made.append(one)
            one.end = max(one.end, int(end))
            one.records.append(int(index))
            event = one.events.setdefault((interface, way, direction), Event(int(start), int(end), action, flags=-1))
            event.last = max(event.last, int(end))
            event.packets += int(packets) if action == "ACCEPT" else 0
            event.bytes += int(size) if action == "ACCEPT" else 0
            event.flags = event.flags if flags < 0 else max(event.flags, 0) | int(flags)
            event.path = max(event.path, int(path))
            if action == "REJECT":
                event.rejected += int(packets)
                event.reason = event.reason or str(reason)
                event.action = "REJECT" if event.packets == 0 else "ACCEPT"
        return sorted(made, key=lambda one: (one.start, one.client, one.port))

    # ------------------------------------------------------------------------------------------------------------ outcome

    def failed(self, one: Attempt) -> bool | None:
        """Whether a connection came to nothing; None where it cannot be known (too late in the log, or nobody would have said)."""
        if one.start > self.last_record - LAG_S:
            return None
        request, reply = one.flags
        if any(event.action == "REJECT" for event in one.events.values()):
            return True
        if request >= 0:
            if reply >= 0:
                return bool(reply & RST) and not reply & SYN
            if self.sees(self.source.interfaces | self.destination.interfaces, "ACCEPT"):
                return True
            return None
        heard = one.most("reply")
        if heard:
            return one.most("request") <= 3 and heard <= 3
        return True if self.sees(self.source.interfaces | self.destination.interfaces, "ACCEPT") else None

    @cached_property
    def last_record(self) -> int:
        """Unix time of the end of the newest record."""
        return int(self.evidence.flows["end"].max()) if len(self.evidence.flows) else 0

    @cached_property
    def outcomes(self) -> list[tuple[Attempt, bool]]:
        """Connections of which it is known whether they failed, earliest first."""
        judged = ((one, self.failed_there(one)) for one in self.attempts)
        return [(one, said) for one, said in judged if said is not None]

    def failed_there(self, one: Attempt) -> bool | None:
        """As failed(), with a reply that never came back to a logged source counted as a failure."""
        said = self.failed(one)
        if said is False and self.sees(self.source.interfaces, "ACCEPT"):
            out = one.at(self.source.interfaces, "request", "egress")
            back = one.at(self.source.interfaces, "reply", "ingress")
            if out is not None and back is None and one.at(self.destination.interfaces, "reply", "egress") is not None:
                return True
        return said

    @cached_property
    def onset(self) -> Onset:
        """When connections began to fail, and how it went on."""
        return onset_of([(one.start, bad) for one, bad in self.outcomes])

    def bad(self) -> list[Attempt]:
        """The failed connections from the onset on; none where the trouble was brief and is over."""
        begin = None if self.onset.brief else self.onset.start
        return [one for one, said in self.outcomes if said and begin is not None and one.start >= begin]

    def good(self) -> list[Attempt]:
        """The complete connections, of any time."""
        return [one for one, said in self.outcomes if not said]


@dataclass(frozen=True)
class Onset:
    """When failures began (Unix seconds, None for never), the last good one before, whether all fail from then on, and until when.

    share   of connections that fail between start and end of the trouble
    over    whether what came after the last failure was good for a quarter of an hour at least
    rounds  how many times it went from bad to good and back, counted in runs of at least two connections
    """

    start: int | None = None
    last_good_before: int | None = None
    end: int | None = None
    share: float = 0.0
    failures: int = 0
    over: bool = False
    rounds: int = 0

    @property
    def brief(self) -> bool:
        """Whether it lasted less than ten minutes and did not come back: a deployment, a restart; nothing that is broken now."""
        return (
            self.over
            and self.start is not None
            and self.end is not None
            and self.end - self.start < BRIEF_S
            and self.rounds <= 1
        )

    @property
    def time(self) -> datetime | None:
        """The start in UTC."""
        return datetime.fromtimestamp(self.start, UTC) if self.start is not None else None


def onset_of(series: list[tuple[int, bool]]) -> Onset:
    """The onset in (Unix seconds, failed) pairs, earliest first."""
    failures = [at for at, bad in series if bad]
    if not failures:
        return Onset()
    begin = next((at for at in failures if _takes_hold(series, at)), failures[0])
    later = [bad for at, bad in series if begin <= at <= failures[-1]]
    good_after = [at for at, bad in series if at > failures[-1] and not bad]
    good_before = [at for at, bad in series if at < begin and not bad]
    over = bool(good_after) and good_after[-1] - failures[-1] >= 900
    return Onset(
        begin, good_before[-1] if good_before else None, failures[-1], sum(later) / len(later), sum(1 for at in failures if at >= begin), over,
        _rounds([bad for _, bad in series]),
    )  # fmt: skip


def _takes_hold(series: list[tuple[int, bool]], begin: int) -> bool:
    """Whether failures from here on are no isolated ones: three at least, and a tenth of what is tried in the next quarter of an hour."""
    near = [bad for at, bad in series if begin <= at < begin + 900]
    return sum(near) >= 3 and sum(near) >= 0.1 * len(near)


def _rounds(bads: list[bool]) -> int:
    """How many spells of trouble there are: runs of failures (three and more in a row) with runs of two good ones between them.

    Failures of a part of the connections stand alone or in pairs, by chance now and then in threes: where most do, there is one spell.
    """
    runs: list[list[bool]] = []
    for bad in bads:
        if runs and runs[-1][0] == bad:
            runs[-1].append(bad)
        else:
            runs.append([bad])
    together = sum(len(run) for run in runs if run[0] and len(run) >= 3)
    if together < 0.8 * sum(bads):
        return 1
    solid = [run[0] for run in runs if len(run) >= (3 if run[0] else 2)]
    return sum(one for number, one in enumerate(solid) if number == 0 or solid[number - 1] != one)


def _filters_of(network: Network, subnet: str) -> set[str]:
    """The route table and network ACL of a subnet."""
    held = network.subnets[subnet]
    table = network.table_of.get(subnet) or network.main_table.get(held.vpc)
    acl = network.acl_of.get(subnet) or network.default_acl.get(held.vpc)
    return {one.id for one in (table, acl) if one is not None}


def _interfaces(end: End) -> list[Interface]:
    return list(dict.fromkeys([*([end.interface] if end.interface is not None else []), *end.choices]))


def _addresses(one: Interface) -> set[str]:
    found = {str(ipaddress.IPv4Address(value)) for pair in one.pairs for value in pair if value}
    return found | {str(ipaddress.IPv6Address(value)) for value in one.v6}


def _address(word: str) -> str | None:
    try:
        return str(ipaddress.ip_address(word))
    except ValueError:
        return None


def bare_reset(row: Any) -> bool:
    """Whether a record without flags can only be of resets: a SYN-ACK has at least the maximum segment size as an option, 44 bytes in all,
    an answer with data more; 40 bytes a packet are a bare header (RFC 9293).
    """
    return bool(row.flags < 0 and row.packets and row.bytes / row.packets < 44 and row.packets <= 6)


def when(seconds: float) -> datetime:
    """Unix seconds as a UTC time."""
    return datetime.fromtimestamp(seconds, UTC)


def same_members(left: Mapping[str, Any], right: Mapping[str, Any], *names: str) -> bool:
    """Whether two records agree in some members."""
    return all(left.get(name) == right.get(name) for name in names)
