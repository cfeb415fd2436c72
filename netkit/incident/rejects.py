"""Every REJECT to its rule, as of its second: the group that has no rule, the ACL entry by number, Block Public Access, or a late packet. Pure.

A flow log does not say who refused; the configuration in force at that time does. Records fall into classes, within which no rule can tell one from
another (same state, interface, way, protocol, port between two rules' bounds, peer between two blocks' bounds), and a class is judged once.
Sources: VPC User Guide, "Flow log record examples" (security group and network ACL rules), "Network ACL rules", "VPC BPA basics".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from netkit.core.model import Finding
from netkit.core.net import ICMP, ICMPV6
from netkit.core.packets import Box, Packets
from netkit.history.trail import Trail, Write
from netkit.history.unroll import TOUCHES, played
from netkit.incident.scene import ACK, FIN, RST, SYN, Scene, when
from netkit.reach.network.filters import Peer, acl_allows, groups_allow
from netkit.reach.network.network import Network, network_of
from netkit.reach.network.records import Acl, Group, Interface
from netkit.reach.network.snapshot import Snapshot

REJECT_COLUMNS = (
    *(
        "start",
        "interface",
        "direction",
        "src",
        "dst",
        "sport",
        "dport",
        "protocol",
        "packets",
        "cause",
        "resource",
        "rule",
        "because",
    ),
    *("change", "actor"),
)
CAUSES = {
    "sg-no-ingress": "no inbound rule of the interface's groups lets it in",
    "sg-no-egress": "no outbound rule of the interface's groups lets it out",
    "nacl-denies": "an entry of the subnet's network ACL denies it",
    "block-public-access": "VPC Block Public Access turns it away",
    "encryption-controls": "VPC encryption controls turn it away",
    "late-packet": "a packet of a connection that was closed: groups and network ACL let the service through",
    "unknown": "the configuration of that time is not known, or does not refuse it",
}


@dataclass(frozen=True)
class State:
    """A configuration in force from a time on (Unix seconds), with the write that began it (None for a snapshot's own)."""

    since: float
    network: Network
    write: Write | None = None


def states(snapshots: Sequence[tuple[datetime, Snapshot]], trail: Trail) -> list[State]:
    """The configurations in a row: each snapshot, and after it each write of the trail played on, earliest first.

    The first holds from the beginning: what was before it is not known to be otherwise.
    """
    found: list[State] = []
    for number, (moment, snapshot) in enumerate(snapshots):
        until = snapshots[number + 1][0] if number + 1 < len(snapshots) else datetime.max.replace(tzinfo=moment.tzinfo)
        found.append(State(moment.timestamp() if found else float("-inf"), network_of(snapshot)))
        held = snapshot
        for write in trail.writes:
            if (
                write.refused
                or TOUCHES.get(write.event) not in ("SecurityGroups", "NetworkAcls", "NetworkInterfaces")
                or not moment < write.time <= until
            ):
                continue
            step = played(held, [write])
            if step.done:
                held = step.snapshot
                found.append(State(write.time.timestamp(), network_of(held), write))
    return found


def attributed(flows: pd.DataFrame, held: Sequence[State]) -> pd.DataFrame:
    """REJECT_COLUMNS, a row a REJECT record, in the records' order.

    flows: netkit.incident.flow_records.FLOW_COLUMNS, of any action; only REJECT counts. cause is a key of CAUSES.
    """
    rejects = flows[flows["action"] == "REJECT"]
    if rejects.empty:
        return pd.DataFrame(columns=list(REJECT_COLUMNS))
    keys = _keys(rejects, held)
    numbers = keys.groupby(list(keys.columns), sort=False, dropna=False).ngroup().to_numpy()
    first = pd.Series(np.arange(len(rejects))).groupby(numbers).first().to_numpy()
    judged = [_judge(rejects.iloc[place], held) for place in first]
    said = pd.DataFrame(judged, columns=["direction", *REJECT_COLUMNS[9:]]).iloc[numbers].reset_index(drop=True)
    base = rejects[["start", "interface", "src", "dst", "sport", "dport", "protocol", "packets"]].reset_index(drop=True)
    return pd.concat([base, said], axis=1)[list(REJECT_COLUMNS)]


def _keys(rejects: pd.DataFrame, held: Sequence[State]) -> pd.DataFrame:
    """The class of each record: state, interface, direction, protocol, port and peer by the bounds of the rules, kind of packet, reason."""
    networks = list({id(one.network): one.network for one in held}.values())
    flags = rejects["flags"].to_numpy()
    kind = np.where(
        flags < 0,
        -1,
        (flags & SYN).astype(bool) * 2 + (flags & ACK).astype(bool) * 1 + (flags & (FIN | RST)).astype(bool) * 4,
    )
    own = {
        name: {str(ipaddress.IPv4Address(pair[0])) for pair in one.pairs}
        | {str(ipaddress.IPv6Address(value)) for value in one.v6}
        for network in networks
        for name, one in network.interfaces.items()
    }
    out = np.array(
        [
            said == "egress" or (not said and src in own.get(name, ()))
            for name, src, said in zip(rejects["interface"], rejects["src"], rejects["direction"], strict=True)
        ]
    )
    peers = np.where(out, rejects["dst"], rejects["src"])
    return pd.DataFrame(
        {
            "state": np.searchsorted([one.since for one in held], rejects["start"].to_numpy(), side="right") if held else 0,
            "interface": rejects["interface"].to_numpy(), "out": out, "protocol": rejects["protocol"].to_numpy(),
            "port": np.searchsorted(_port_bounds(networks), rejects["dport"].to_numpy(), side="right"), "peer": _between(peers, _blocks(networks)),
            "kind": kind, "service": np.minimum(rejects["sport"].to_numpy(), 1024), "reason": rejects["reject_reason"].to_numpy(),
        }
    )  # fmt: skip


def _port_bounds(networks: Iterable[Network]) -> list[int]:
    spans = [rule.port for network in networks for group in network.groups.values() for rule in group.rules]
    spans += [entry.port for network in networks for acl in network.acls.values() for entry in acl.entries]
    return sorted({bound for low, high in spans for bound in (low, high + 1)})


def _blocks(networks: Iterable[Network]) -> dict[int, list[int]]:
    """By family, where a rule's or a peer's address range begins or ends; every interface's own address is a range of its own."""
    bounds: dict[int, set[int]] = {4: set(), 6: set()}
    for network in networks:
        spans = [rule.block for group in network.groups.values() for rule in group.rules if rule.block]
        spans += [entry.block for acl in network.acls.values() for entry in acl.entries]
        spans += [block for listed in network.prefix_lists.values() for block in listed]
        spans += [block for subnet in network.subnets.values() for block in subnet.blocks]
        for family, low, high in spans:
            bounds[family] |= {low, high + 1}
        for one in network.interfaces.values():
            bounds[4] |= {end for pair in one.pairs for end in (pair[0], pair[0] + 1)}
            bounds[6] |= {end for value in one.v6 for end in (value, value + 1)}
    return {family: sorted(held) for family, held in bounds.items()}


def _between(peers: np.ndarray, bounds: dict[int, list[int]]) -> np.ndarray:
    """Which interval of the bounds each address is in; each address is looked up once."""
    names, places = np.unique(peers.astype(str), return_inverse=True)
    found = []
    for name in names:
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            found.append(-1)
            continue
        held = bounds[address.version]
        low, high = 0, len(held)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if held[middle] <= int(address) else (low, middle)
        found.append(low * 10 + address.version)
    return np.array(found)[places]


Said = tuple[str, str, str, str, str, str, str]  # direction, then REJECT_COLUMNS from cause on


def _judge(row: pd.Series, held: Sequence[State]) -> Said:
    """What one class of records was refused by."""
    state = _in_force(held, float(row["start"]))
    one = state.network.interfaces.get(str(row["interface"])) if state else None
    out = str(row["direction"]) == "egress" or (
        not row["direction"] and one is not None and _owns(one, str(row["src"]))
    )
    way = "egress" if out else "ingress"
    for reason, cause in (("BPA", "block-public-access"), ("EC", "encryption-controls")):
        if row["reject_reason"] == reason:
            return way, cause, one.vpc if one else "", "", f"reject-reason {reason}", "", ""
    if state is None:
        return way, "unknown", "", "", CAUSES["unknown"], "", ""
    cause, resource, rule, because = _by(state.network, row, out)
    change, actor = _changed(held, row, out, resource) if resource else ("", "")
    return way, cause, resource, rule, because, change, actor


def _in_force(held: Sequence[State], start: float) -> State | None:
    earlier = [one for one in held if one.since <= start]
    return earlier[-1] if earlier else None


def _owns(one: Interface, address: str) -> bool:
    value = int(ipaddress.ip_address(address))
    return value in {pair[0] for pair in one.pairs} or value in one.v6


def _packets(row: pd.Series) -> Packets | None:
    try:
        source, destination = ipaddress.ip_address(str(row["src"])), ipaddress.ip_address(str(row["dst"]))
    except ValueError:
        return None
    if source.version != destination.version:
        return None
    number = int(row["protocol"])
    port = (0, 65535) if number in (ICMP, ICMPV6) else (int(row["dport"]), int(row["dport"]))
    ends = ((int(source), int(source)), (int(destination), int(destination)))
    return Packets(source.version, (Box((number, number), *ends, (int(row["sport"]), int(row["sport"])), port),))


def _refused_by(
    network: Network, one: Interface, packets: Packets, out: bool, peer: str, flags: int
) -> tuple[str, str, str, str]:
    """cause, resource, rule and a sentence. A network ACL is asked only across subnets; a group only of what begins a connection."""
    acl: Acl | None = network.acl_of.get(one.subnet) or network.default_acl.get(one.vpc)
    subnet = network.subnets.get(one.subnet)
    address = ipaddress.ip_address(peer)
    inside = subnet is not None and subnet.holds((address.version, int(address)))
    if acl is not None and not inside:
        decision = acl_allows(acl, out, packets)
        if decision.deny is not None and not decision.allowed.covers(packets):
            number = getattr(decision.deny, "number", None)
            return "nacl-denies", acl.id, f"entry {number}" if number else "its closing deny", str(decision.deny)
    groups: list[Group] = [network.groups[name] for name in one.groups if name in network.groups]
    answer = flags >= 0 and bool(flags & SYN) and bool(flags & ACK)
    if groups and not answer:
        held = tuple(group for each in network.owners.get((address.version, int(address)), ()) for group in each.groups)
        decision = groups_allow(network, groups, out, packets, Peer(groups=frozenset(held)) if held else Peer())
        if not decision.allowed.covers(packets) and not decision.unknowns:
            cause = "sg-no-egress" if out else "sg-no-ingress"
            return cause, groups[0].id, "", f"{CAUSES[cause]}: {', '.join(group.id for group in groups)}"
    if flags < 0 or not flags & SYN:
        return "late-packet", "", "", CAUSES["late-packet"]
    return "unknown", "", "", CAUSES["unknown"]


def _changed(held: Sequence[State], row: pd.Series, out: bool, resource: str) -> tuple[str, str]:
    """The write after which that class is refused by that resource, and was not before; ("", "") where it was refused all along."""
    place = max((number for number, one in enumerate(held) if one.since <= float(row["start"])), default=-1)
    while place > 0:
        write = held[place].write
        if write is not None and resource in write.ids and _by(held[place - 1].network, row, out)[1] != resource:
            return str(write), write.actor
        place -= 1
    return "", ""


def _by(network: Network, row: pd.Series, out: bool) -> tuple[str, str, str, str]:
    """What one class of records is refused by in a configuration: cause, resource, rule and a sentence."""
    one, packets = network.interfaces.get(str(row["interface"])), _packets(row)
    if one is None or packets is None:
        return (
            "unknown",
            "",
            "",
            "the interface is not in a snapshot of that time"
            if one is None
            else "the record's addresses are not of one family",
        )
    return _refused_by(network, one, packets, out, str(row["dst" if out else "src"]), int(row["flags"]))


def rejects(scene: Scene) -> pd.DataFrame:
    """Every REJECT of a scene's flow logs: REJECT_COLUMNS."""
    return attributed(
        scene.evidence.flows, states([(one.time, one.snapshot) for one in scene.snapshots], scene.evidence.trail)
    )


def clusters(frame: pd.DataFrame) -> pd.DataFrame:
    """REJECTs put together by what refused them and whom: cause, resource, rule, interface, direction, dport, protocol, records, packets, sources,
    first, last (Unix seconds), change, actor; the most records first.
    """
    keys = ["cause", "resource", "rule", "interface", "direction", "dport", "protocol", "change", "actor"]
    if frame.empty:
        return pd.DataFrame(columns=[*keys, "records", "packets", "sources", "first", "last"])
    grouped = frame.groupby(keys, sort=False)
    made = grouped.agg(
        records=("src", "size"),
        packets=("packets", "sum"),
        sources=("src", "nunique"),
        first=("start", "min"),
        last=("start", "max"),
    )
    return made.reset_index().sort_values(["records", *keys], ascending=[False, *[True] * len(keys)], ignore_index=True)


def findings(frame: pd.DataFrame, *, most: int = 10) -> Iterator[Finding]:
    """A finding a cluster (INCIDENT-REJECT), the largest first: who refuses whom, by which rule, since when, changed by whom."""
    row: Any
    for row in clusters(frame).head(most).itertuples(index=False):
        since = when(float(row.first))
        rule = f", {row.rule}" if row.rule else ""
        by = f"; changed by {row.actor}" if row.actor else ""
        claim = f"{row.records} records of {row.sources} sources to port {row.dport} at {row.interface} ({row.direction}) are refused since {since:%Y-%m-%dT%H:%M:%SZ}: {CAUSES[str(row.cause)]}"
        claim += f": {row.resource}{rule}{by}." if row.resource else f"{by}."
        values = row._asdict()
        evidence = {name: value if isinstance(value, str) else int(value) for name, value in values.items()}
        subject = tuple(one for one in (str(row.interface), str(row.resource)) if one)
        yield Finding(
            "INCIDENT-REJECT",
            "inconclusive",
            "info",
            subject,
            claim,
            evidence,
            ("As of the configuration of that second, as far as the trail tells it.",),
        )
