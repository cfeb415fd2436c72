"""What a session and its filter should show, beside what a capture shows: by rule, by direction, by conversation. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from netkit.core.net import TCP, UDP, cidr_bounds, is_public, parse_address
from netkit.mirror.capture import Capture
from netkit.mirror.filters import DIRECTIONS, MirrorFilter, MirrorSession
from netkit.mirror.pcap import Array

FLOW_COLUMNS = (
    "conversation", "back", "direction", "protocol", "source", "source_port", "destination", "destination_port", "packets", "bytes",
    "duplicates", "duplicate_bytes", "rule", "action",
)  # fmt: skip
RULE_COLUMNS = ("direction", "number", "action", "rule", "conversations", "packets", "bytes", "state")
AMAZON_DNS = "amazon-dns"
_DNS_SERVERS = ("169.254.169.253", "fd00:ec2::253")
END = ["protocol", "source", "source_port", "destination", "destination_port"]


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
    number of the first rule that names its packets, <NA> for none; action is accept, reject or "" for none. packets and bytes
    count what came, duplicates and duplicate_bytes say how much of it is the same packet captured again.
    """
    counts = ("packets", "bytes", "duplicates", "duplicate_bytes")
    known = conversations.assign(
        **{name: 0 for one in counts for name in (one, f"{one}_back") if name not in conversations}
    )
    there = known.assign(conversation=np.arange(len(known)), back=False)[["conversation", "back", *END, *counts]]
    back = there.assign(back=True, **{name: known[f"{name}_back"] for name in counts})
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
    rejecting rule "kept out" (nothing of it came, as it should be) or "came anyway". No row for a filter that nobody wrote.
    """
    rows = []
    for rule in mirror.rules if mirror.written else ():
        mine = seen[(seen["direction"].isin((rule.direction, ""))) & (seen["rule"] == rule.number) & (seen["action"] == rule.action)]  # fmt: skip
        asked = any(packets for other, packets in mirror.taken(rule.direction, rule.family) if other == rule)
        if rule.action == "reject":
            state = "came anyway" if len(mine) else "kept out"
        else:
            state = "seen" if len(mine) else "not seen" if asked else "never asked"
        rows.append((rule.direction, rule.number, rule.action, str(rule), mine["conversation"].nunique(), int(mine["packets"].sum()), int(mine["bytes"].sum()), state))  # fmt: skip
    return pd.DataFrame(rows, columns=list(RULE_COLUMNS))


def without_reply(conversations: pd.DataFrame) -> pd.DataFrame:
    """Conversations of which one direction only was seen, told from its sender: protocol, source, source_port, destination,
    destination_port, proven, service.

    Whether the sender of the SYN was seen or the other end makes no difference. proven: the packets acknowledge bytes that came
    after the first of them (RFC 9293), so the other direction was there. service: the end that serves, "source" or "destination",
    "" where nothing tells.
    """
    silent = {"there": conversations["packets_back"] == 0, "back": conversations["packets"] == 0}
    parts = []
    for seen, alone in silent.items():
        some = conversations[alone]
        turned = dict(zip(("source", "source_port", "destination", "destination_port"), ("destination", "destination_port", "source", "source_port"), strict=True)) if seen == "back" else {}  # fmt: skip
        parts.append(
            pd.DataFrame({name: some[turned.get(name, name)] for name in END}).assign(
                proven=some["acknowledges" if seen == "there" else "acknowledges_back"].astype(bool),
                opened=some["handshake"].isin(_OPENED), seen=seen,
            )
        )  # fmt: skip
    found = pd.concat(parts).sort_index(kind="stable")
    many = {end for end in {*found["source"], *found["destination"]} if _to_many(str(end))}
    found = found[~(found["destination"].isin(many) | found["source"].isin(many))]
    # Who began is the conversation's source where a SYN or a SYN-ACK was seen; else the ports have to tell.
    served = np.where(found["seen"] == "there", "destination", "source")
    return found.assign(service=np.where(found["opened"], served, _by_ports(found))).drop(columns=["opened", "seen"])


_OPENED = ("answer only", "no answer", "request only", "not finished", "refused", "complete")


def _by_ports(rows: pd.DataFrame) -> Array:
    """The end that serves, where one port is a well-known one and the other is not, or one is ephemeral and the other is not."""
    source, destination = (rows[name].fillna(0).to_numpy(np.int64) for name in ("source_port", "destination_port"))
    found = np.full(len(rows), "", object)
    for most in (_FIRST_EPHEMERAL, _WELL_KNOWN):
        low = [(port > 0) & (port < most) for port in (source, destination)]
        found[low[0] & ~low[1] & (destination > 0)] = "source"
        found[low[1] & ~low[0] & (source > 0)] = "destination"
    return found


_WELL_KNOWN, _FIRST_EPHEMERAL = 1024, 32768  # RFC 6335, 6; what Linux takes for its own ends begins at 32768


def _to_many(address: str) -> bool:
    """Whether an address is multicast or broadcast, which nobody answers from."""
    return address == "255.255.255.255" or ipaddress.ip_address(address).is_multicast


def judged(
    capture: Capture, session: MirrorSession, addresses: Sequence[str] = (), others: Iterable[MirrorSession] = ()
) -> Capture:
    """The part of a capture that is the session's: all with its VNI; where it has none, all.

    Where nothing at all came under its VNI: what may be the session's under another one, from one of its interface's addresses and
    under no VNI of the other sessions known.
    """
    mine = capture.of(session.vni)
    if session.vni is None or len(mine.conversations) or capture.by_vni["vni"].eq(session.vni).any():
        return mine
    table = capture.conversations
    keep = ~table["vni"].isin([one.vni for one in others if one.vni is not None])
    if addresses:
        keep &= table["outer_source"].isin(addresses)
    return capture.where(keep)


def without_ports(seen: pd.DataFrame) -> pd.Series[Any]:
    """Which flows are fragments or cut so short that no rule with ports can be asked."""
    return cast("pd.Series[Any]", seen["protocol"].isin((TCP, UDP)) & seen["source_port"].isna())
