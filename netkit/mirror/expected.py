"""What a session and its filter should show, beside what a capture shows: by rule, by direction, by flow log. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from netkit.core.model import Window
from netkit.core.net import TCP, UDP, cidr_bounds, is_public, parse_address
from netkit.mirror.capture import Capture
from netkit.mirror.filters import DIRECTIONS, MirrorFilter, MirrorSession
from netkit.mirror.pcap import Array

FLOW_COLUMNS = (
    "conversation", "back", "direction", "protocol", "source", "source_port", "destination", "destination_port", "packets", "bytes", "rule", "action",
)  # fmt: skip
RULE_COLUMNS = ("direction", "number", "action", "rule", "conversations", "packets", "bytes", "state")
BESIDE_COLUMNS = (
    "protocol", "source", "source_port", "destination", "destination_port", "direction", "packets_mirrored", "packets_logged", "packet_ratio",
    "bytes_mirrored", "bytes_logged", "byte_ratio", "seen_by", "whole",
)  # fmt: skip
AMAZON_DNS = "amazon-dns"
_DNS_SERVERS = ("169.254.169.253", "fd00:ec2::253")
_END = ["protocol", "source", "source_port", "destination", "destination_port"]


def as_session(session: Mapping[str, Any] | MirrorSession) -> MirrorSession:
    """A session from AWS's record or as it is."""
    return session if isinstance(session, MirrorSession) else MirrorSession.of(session)


def as_filter(mirror: Mapping[str, Any] | MirrorFilter) -> MirrorFilter:
    """A filter from AWS's record or as it is."""
    return mirror if isinstance(mirror, MirrorFilter) else MirrorFilter.of(mirror)


def addresses_of(interface: Mapping[str, Any] | Iterable[str] | None) -> tuple[str, ...]:
    """The private addresses of a network interface, primary first: from its describe record, or a list of them."""
    if interface is None:
        return ()
    if not isinstance(interface, Mapping):
        return tuple(parse_address(one) for one in ([interface] if isinstance(interface, str) else interface))
    found = [interface.get("PrivateIpAddress", "")]
    found += [one.get("PrivateIpAddress", "") for one in interface.get("PrivateIpAddresses", ())]
    found += [one.get("Ipv6Address", "") for one in interface.get("Ipv6Addresses", ())]
    return tuple(dict.fromkeys(parse_address(one) for one in found if one))


def guess_addresses(conversations: pd.DataFrame) -> tuple[str, ...]:
    """The mirrored interface's addresses, where nobody says: the outer source if it talks, else what every conversation shares.

    () where neither is one address. AWS sends copies from the interface's primary address ("Packet formats").
    """
    if conversations.empty:
        return ()
    outer = conversations["outer_source"].value_counts().index[0]
    ends = set(conversations["source"]) | set(conversations["destination"])
    if outer in ends:
        return (str(outer),)
    first = conversations.iloc[0]
    shared = [
        end
        for end in (first["source"], first["destination"])
        if ((conversations["source"] == end) | (conversations["destination"] == end)).all()
    ]
    return (str(shared[0]),) if len(shared) == 1 else ()


def flows(conversations: pd.DataFrame, mirror: MirrorFilter, addresses: Sequence[str]) -> pd.DataFrame:
    """Each direction of each conversation, with the rule that decides about it (FLOW_COLUMNS).

    direction is ingress or egress of the mirrored interface, "" where neither end is one of its addresses; rule is the
    number of the first rule that names its packets, <NA> for none; action is accept, reject or "" for none.
    """
    there = conversations.assign(conversation=np.arange(len(conversations)), back=False)[["conversation", "back", *_END, "packets", "bytes"]]  # fmt: skip
    back = there.assign(back=True, packets=conversations["packets_back"], bytes=conversations["bytes_back"])
    back[["source", "source_port", "destination", "destination_port"]] = there[["destination", "destination_port", "source", "source_port"]]  # fmt: skip
    both = pd.concat([there, back], ignore_index=True)
    both = both[both["packets"] > 0].sort_values(["conversation", "back"], ignore_index=True)
    both["direction"] = direction_of(both["source"], both["destination"], addresses)
    return decided(both, mirror)[list(FLOW_COLUMNS)]


def direction_of(source: pd.Series[Any], destination: pd.Series[Any], addresses: Sequence[str]) -> Array:
    """egress where the source is one of the addresses, else ingress where the destination is, else ""."""
    return np.select([source.isin(addresses), destination.isin(addresses)], ["egress", "ingress"], "")


def decided(rows: pd.DataFrame, mirror: MirrorFilter) -> pd.DataFrame:
    """The rows with rule and action: which rule speaks first about packets of that direction, ends and ports.

    A row without a direction is tried in both; an accepting one wins, since a packet seen must have been accepted.
    """
    rule = np.full(len(rows), -1, np.int64)
    action = np.full(len(rows), "", object)
    names = _Rows(rows)
    for direction in DIRECTIONS:
        asked = rows["direction"].isin((direction, "")).to_numpy()
        open_ = asked.copy()
        for one in mirror.of_direction(direction):
            hit = open_ & names.named(one)
            take = hit & ((rule < 0) | (action != "accept"))
            rule[take], action[take] = one.number, one.action
            open_ &= ~hit
    if AMAZON_DNS in mirror.network_services:
        action[(rule < 0) & _amazon_dns(rows)] = "accept"
    return rows.assign(rule=pd.array(np.where(rule < 0, np.nan, rule), "Int64"), action=action)


def _amazon_dns(rows: pd.DataFrame) -> Array:
    """Which rows go to or come from Amazon's DNS server: link local, or the VPC's base address plus two.

    The VPC's block is not known here, so any private address that ends in .2 counts (Amazon VPC User Guide, "Amazon DNS server").
    """
    asked = rows["protocol"].isin((TCP, UDP)).to_numpy()
    found = np.zeros(len(rows), bool)
    for name in ("source", "destination"):
        server = {
            end for end in rows[name].unique() if end in _DNS_SERVERS or (end.endswith(".2") and not is_public(end))
        }
        found |= (rows[f"{name}_port"].fillna(-1) == 53).to_numpy() & rows[name].isin(server).to_numpy()
    return np.asarray(asked & found)


class _Rows:
    """The ends of some rows as numbers, so that a rule is a few comparisons."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.protocol = rows["protocol"].to_numpy(np.int64)
        self.ports = [rows[name].fillna(-1).to_numpy(np.int64) for name in ("source_port", "destination_port")]
        self.ends = [pd.factorize(rows[name]) for name in ("source", "destination")]

    def named(self, rule: Any) -> Array:
        """Which rows a filter rule names."""
        hit = np.ones(len(self.protocol), bool) if rule.protocol is None else self.protocol == rule.protocol
        for ports, wanted in zip(self.ports, (rule.source_ports, rule.destination_ports), strict=True):
            if wanted:
                hit &= (ports >= wanted[0]) & (ports <= wanted[1])
        for (codes, texts), block in zip(self.ends, (rule.source, rule.destination), strict=True):
            low, high = cidr_bounds(block)
            parsed = [ipaddress.ip_address(str(text)) for text in texts]
            inside = np.array([one.version == rule.family and low <= int(one) <= high for one in parsed], bool)
            hit &= inside[codes]
        return hit


def rule_coverage(seen: pd.DataFrame, mirror: MirrorFilter) -> pd.DataFrame:
    """Each rule of a filter and what of the capture it decided (RULE_COLUMNS), from `flows`.

    state: "seen", "not seen", "never asked" (rules with lower numbers name every packet that it names), and for a
    rejecting rule "kept out" (nothing of it came, as it should be) or "came anyway".
    """
    rows = []
    for rule in mirror.rules:
        mine = seen[(seen["direction"].isin((rule.direction, ""))) & (seen["rule"] == rule.number) & (seen["action"] == rule.action)]  # fmt: skip
        asked = any(packets for other, packets in mirror.taken(rule.direction, rule.family) if other == rule)
        if rule.action == "reject":
            state = "came anyway" if len(mine) else "kept out"
        else:
            state = "seen" if len(mine) else "not seen" if asked else "never asked"
        rows.append((rule.direction, rule.number, rule.action, str(rule), mine["conversation"].nunique(), int(mine["packets"].sum()), int(mine["bytes"].sum()), state))  # fmt: skip
    return pd.DataFrame(rows, columns=list(RULE_COLUMNS))


# ------------------------------------------------------------------------------------------------- beside flow logs


def interface_records(flow_logs: Any, interface: str) -> pd.DataFrame:
    """The flow-log records of one interface: srcaddr, dstaddr, srcport, dstport, protocol, action, packets, bytes, start, end.

    flow_logs is a frame of records (columns as AWS names the fields), or an open log (netkit.flowlogs.open), which is
    asked for query interface_flows.
    """
    if not isinstance(flow_logs, pd.DataFrame):
        return cast(pd.DataFrame, flow_logs.query("interface_flows", interface=interface))
    records = flow_logs.rename(columns=lambda name: str(name).replace("-", "_"))
    if "log_status" in records:
        records = records[records["log_status"] == "OK"]
    if "interface_id" in records and interface and (records["interface_id"] == interface).any():
        records = records[records["interface_id"] == interface]
    # The packet's own addresses: an interface's secondary ones are logged as its primary one elsewhere (User Guide, pkt-srcaddr).
    real = {name: records[f"pkt_{name}"] for name in ("srcaddr", "dstaddr") if f"pkt_{name}" in records}
    return records.assign(**{name: records[name].where(own.isna() | (own == "-"), own) for name, own in real.items()})


def beside_flow_logs(
    seen: pd.DataFrame, records: pd.DataFrame, mirror: MirrorFilter, addresses: Sequence[str], window: Window | None,
    others: Sequence[tuple[MirrorSession, MirrorFilter]] = (),
) -> pd.DataFrame:  # fmt: skip
    """Packets and bytes of the mirror beside the flow log's, a row for each direction of each conversation (BESIDE_COLUMNS).

    Only traffic that the filter takes and the interface accepted is compared, without what the `others` (sessions with a
    lower number) take. packet_ratio and byte_ratio are mirrored / logged. seen_by: both, capture or flow log. whole: every record of it lies
    within the window of the capture, so that the numbers can be equal.
    """
    logged = _logged(records, addresses, window)
    logged = decided(logged, mirror)
    for _, other in others:
        logged = logged[decided(logged, other)["action"] != "accept"] if len(logged) else logged
    logged = logged[logged["action"] == "accept"]
    if window is not None:
        start, end = window.epoch()
        logged = logged[(logged["start"] <= end) & (logged["end"] >= start)]
        logged = logged.assign(whole=(logged["start"] >= start) & (logged["end"] <= end + 1))
    # Questions to Amazon's DNS server are in no flow log (User Guide, "Flow log limitations").
    mirrored = (
        seen[(seen["action"] == "accept") & seen["rule"].notna()]
        .groupby([*_END, "direction"], dropna=False, as_index=False)[["packets", "bytes"]]
        .sum()
    )
    for name in ("source_port", "destination_port"):
        mirrored[name] = mirrored[name].fillna(0).astype("int64")
    beside = mirrored.merge(logged.drop(columns=["rule", "action"]), how="outer", on=[*_END, "direction"], suffixes=("_mirrored", "_logged"), indicator="seen_by")  # fmt: skip
    beside["seen_by"] = beside["seen_by"].astype(str).map({"both": "both", "left_only": "capture", "right_only": "flow log"})  # fmt: skip
    for name in ("packets", "bytes"):
        mine, theirs = f"{name}_mirrored", f"{name}_logged"
        beside[[mine, theirs]] = beside[[mine, theirs]].fillna(0).astype("int64")
        beside[f"{name[:-1]}_ratio"] = beside[mine] / beside[theirs].where(beside[theirs] > 0)
    beside["whole"] = beside["whole"].fillna(False).astype(bool) if "whole" in beside else False
    return beside[list(BESIDE_COLUMNS)]


def _logged(records: pd.DataFrame, addresses: Sequence[str], window: Window | None) -> pd.DataFrame:
    """Accepted records as flows of the interface, summed over aggregation intervals."""
    if "action" in records:
        records = records[records["action"] == "ACCEPT"]
    if window is not None:
        start, end = window.epoch()
        records = records[(records["start"] <= end) & (records["end"] >= start)]
    named = records.rename(columns={"srcaddr": "source", "dstaddr": "destination", "srcport": "source_port", "dstport": "destination_port"})  # fmt: skip
    for name in ("protocol", "source_port", "destination_port"):
        named[name] = pd.to_numeric(named[name]).fillna(0).astype("int64")
    summed = named.groupby(_END, as_index=False).agg(packets=("packets", "sum"), bytes=("bytes", "sum"), start=("start", "min"), end=("end", "max"))  # fmt: skip
    # ICMP has no ports: flow logs write 0, captures <NA>.
    summed["direction"] = direction_of(summed["source"], summed["destination"], addresses)
    summed["whole"] = True
    return summed[summed["direction"] != ""]


def without_reply(conversations: pd.DataFrame) -> pd.DataFrame:
    """Conversations of which one direction only was seen, with `proven`: an acknowledgement shows that the other was there."""
    alone = conversations[
        (conversations["packets_back"] == 0) & ~conversations["destination"].map(_to_many).astype(bool)
    ]
    return alone.assign(proven=(alone["protocol"] == TCP) & (alone["tcp_flags"] & 16 != 0))


def _to_many(address: str) -> bool:
    """Whether an address is multicast or broadcast, which nobody answers from."""
    return address == "255.255.255.255" or ipaddress.ip_address(address).is_multicast


def ours(capture: Capture, session: MirrorSession) -> pd.DataFrame:
    """The conversations of one session: those with its VNI, or all where it has none."""
    conversations = capture.conversations
    if session.vni is None:
        return conversations
    return conversations[conversations["vni"] == session.vni].reset_index(drop=True)


def without_ports(seen: pd.DataFrame) -> pd.Series[Any]:
    """Which flows are fragments or cut so short that no rule with ports can be asked."""
    return cast("pd.Series[Any]", seen["protocol"].isin((TCP, UDP)) & seen["source_port"].isna())
