"""Frames for figures and for people, from the answers of queries and an AddressBook. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

import pandas as pd

from netkit.core.costs import PRICES, cross_zone_cost, nat_cost
from netkit.core.net import parse_cidr, protocol_name
from netkit.flowlogs.findings.words import clock
from netkit.flowlogs.names import AddressBook, service_name


def coverage_states(buckets: pd.DataFrame, gaps: pd.DataFrame, book: AddressBook, bucket_s: int) -> pd.DataFrame:
    """What each interface logged in each time bucket: label, bucket (epoch s), state (ok, nodata, skipdata, missing).

    buckets: query time_gaps; gaps: find_gaps of the same.
    """
    names = {name.interface_id: name for name in book.names() if name.interface_id and name.primary}
    labels = {
        one: f"{names[one].name or names[one].address} {one[-5:]}" if one in names else one
        for one in buckets["interface_id"].unique()
    }
    states = pd.Series("missing", index=buckets.index)
    states[buckets["nodata"] > 0] = "nodata"
    states[buckets["ok"] > 0] = "ok"
    states[buckets["skipdata"] > 0] = "skipdata"
    rows = pd.DataFrame({"label": buckets["interface_id"].map(labels), "bucket": buckets["bucket"], "state": states})
    holes = [
        {"label": label, "bucket": bucket, "state": "missing"}
        for gap in gaps[gaps["kind"] == "missing"].to_dict("records")
        for label in ([labels[gap["interface_id"]]] if gap["interface_id"] else labels.values())
        for bucket in range(int(gap["first_seen"]), int(gap["last_seen"]), bucket_s)
    ]
    return pd.concat([rows, pd.DataFrame(holes, columns=list(rows.columns))], ignore_index=True).sort_values(
        ["label", "bucket"], ignore_index=True
    )


def grouped(conversations: pd.DataFrame, book: AddressBook) -> pd.DataFrame:
    """Conversations with client_group, service, server_group and bytes, each counted once.

    What a NAT gateway's interface logged again is left out (the host's own interface has it), and so are strangers who
    knock at the gateway: its interface accepts what reaches no host. conversations: query conversations.
    """
    gateway = [
        any(book.get(end).kind == "nat gateway" for end in pair)
        for pair in zip(conversations["client"], conversations["server"], strict=True)
    ]
    own = conversations[~pd.Series(gateway, index=conversations.index, dtype=bool)]
    service = [
        service_name(port, int(number)) or protocol_name(int(number))
        for port, number in zip(own["server_port"], own["protocol"], strict=True)
    ]
    return own.assign(
        client_group=own["client"].map(book.group),
        service=[
            name if own_port < 32768 else "high ports"
            for name, own_port in zip(service, own["server_port"], strict=True)
        ],
        server_group=own["server"].map(book.group),
        bytes=own["bytes_out"] + own["bytes_back"],
    ).reset_index(drop=True)


def with_rejects(conversations: pd.DataFrame, rejects: pd.DataFrame) -> pd.DataFrame:
    """Accepted conversations and rejected ones in one frame, told apart by `action`.

    conversations: query conversations; rejects: query reject_clusters, whose sources and targets become clients and
    servers (the other way round for replies). For what was rejected `connections` are attempts.
    """
    request = rejects["leg"] != "reply"
    ends = {
        "client": rejects["srcaddr"].where(request, rejects["dstaddr"]),
        "server": rejects["dstaddr"].where(request, rejects["srcaddr"]),
    }
    zero = pd.Series(0, index=rejects.index, dtype="Int64")
    counts = {
        f"{what}_{way}": rejects[f"rejected_{what}"].where(request == (way == "out"), zero)
        for what in ("bytes", "packets")
        for way in ("out", "back")
    }
    same = {name: rejects[name] for name in ("protocol", "interface_id", "first_seen", "last_seen")}
    known = rejects.get("known_by", "tcp-flags")
    named = {"server_port": rejects["port"], "connections": rejects["attempts"], "known_by": known}
    made = pd.DataFrame({**ends, **same, **counts, **named})
    refused = made.assign(interfaces=1, action="REJECT")[[*conversations.columns, "action"]]
    accepted = conversations.assign(action="ACCEPT")
    return pd.concat([part for part in (accepted, refused) if len(part)] or [accepted], ignore_index=True)


def order_hops(hops: pd.DataFrame, book: AddressBook, source: str) -> pd.DataFrame:
    """The hops of one flow in path order: the request from its source on, then the reply, as far as either came.

    hops    query flow_hops (or pair_flows), whose columns it keeps
    source  the end that asked

    Adds label (who logged it), source_label and destination_label (the ends of this leg by name).
    """
    rows = hops.to_dict("records")
    forward = [row for row in rows if source in (row["srcaddr"], row.get("pkt_srcaddr"))]
    vias = {row["dstaddr"] for row in forward} | {row["srcaddr"] for row in forward}
    ends = {source, *(row.get("pkt_dstaddr") or row["dstaddr"] for row in forward)}
    onward = [
        row
        for row in rows
        if row not in forward and row["srcaddr"] in vias - ends and row["dstaddr"] in ends - {source}
    ]
    back = [row for row in rows if row not in forward and row not in onward]
    # On the way out a flow is at its source first (egress there), then at what stands between, then at the end.
    path = [*_along(forward + onward, source), *_along(back, None, reverse_of=source)]
    frame = pd.DataFrame(path, columns=list(hops.columns))
    frame["label"] = [_interface_label(one, book) for one in frame["interface_id"]]
    frame["source_label"] = frame["srcaddr"].map(book.label)
    frame["destination_label"] = frame["dstaddr"].map(book.label)
    return frame


def _along(rows: list[dict[Any, Any]], start: str | None, *, reverse_of: str = "") -> list[dict[Any, Any]]:
    """Rows of one direction by their place on the way: near the start first, and at one place egress after ingress."""

    def place(row: dict[Any, Any]) -> tuple[int, int, str]:
        leaves = row.get("flow_direction") == "egress"
        if start is not None:
            near = 0 if row["srcaddr"] == start and leaves else 2 if row["srcaddr"] != start and not leaves else 1
        else:
            near = (
                2
                if row["dstaddr"] == reverse_of and not leaves
                else 0
                if row.get("pkt_dstaddr") != reverse_of and not leaves
                else 1
            )
        return near, int(leaves), str(row["interface_id"])

    return sorted(rows, key=place)


def _interface_label(interface: str, book: AddressBook) -> str:
    return next(
        (f"{name.name or name.address}" for name in book.names() if name.interface_id == interface and name.primary),
        interface,
    )


def readable(frame: pd.DataFrame, book: AddressBook, *addresses: str) -> pd.DataFrame:
    """A query's frame for people: names beside addresses, protocols by name, first_seen and last_seen as UTC times."""
    shown = book.name_columns(frame, *addresses)
    for column in ("first_seen", "last_seen"):
        if column in shown:
            shown[column] = [clock(one) if pd.notna(one) else "" for one in shown[column]]
    if "protocol" in shown:
        shown["protocol"] = [protocol_name(int(one)) for one in shown["protocol"]]
    return shown


def name_servers(outcomes: pd.DataFrame, book: AddressBook) -> pd.DataFrame:
    """TCP outcomes with a label for each server and port. outcomes: query tcp_outcomes"""
    labels = [
        f"{book.label(server)} {service_name(port)}"
        for server, port in zip(outcomes["server"], outcomes["server_port"], strict=True)
    ]
    named = outcomes.assign(label=pd.Series(labels, index=outcomes.index, dtype="object"))
    named.attrs.update(outcomes.attrs)
    return named


def nat_costs(egress: pd.DataFrame, book: AddressBook, prices: Mapping[str, float] = PRICES) -> pd.DataFrame:
    """What was sent through NAT gateways and what its processing costs about: source, destination, bytes, cost_usd.

    egress: query egress_by_destination; AWS has no path code for a NAT gateway, so other ways without one are in here too
    """
    through = egress[egress["path"].isin(("NAT gateway", "NAT gateway or other"))]
    cost = [round(nat_cost(int(count), prices), 4) for count in through["bytes"]]
    named = {"source": through["srcaddr"].map(book.label), "destination": through["dstaddr"].map(book.label)}
    return pd.DataFrame({**named, "bytes": through["bytes"], "cost_usd": cost}).reset_index(drop=True)


def egress_table(egress: pd.DataFrame, book: AddressBook) -> pd.DataFrame:
    """Egress as a figure wants it: label (destination), path, bytes, source. egress: query egress_by_destination."""
    labels = [
        service or book.label(address)
        for service, address in zip(egress["aws_service"], egress["dstaddr"], strict=True)
    ]
    sums = (
        egress.assign(label=labels, source=egress["srcaddr"].map(book.label))
        .groupby(["label", "path", "source"], as_index=False)["bytes"]
        .sum()
    )
    table = pd.DataFrame(sums).sort_values("bytes", ascending=False, ignore_index=True)
    table.attrs.update(egress.attrs)
    return table


def cross_zone(
    conversations: pd.DataFrame, zones: Mapping[str, str], prices: Mapping[str, float] = PRICES
) -> pd.DataFrame:
    """Traffic between availability zones and its cost about, for logs without az-id: zone_client, zone_server, client, server, server_port, bytes, cost_usd.

    conversations  query conversations
    zones          subnet (CIDR) to zone, as {"10.0.1.0/24": "use1-az1"}; ends in none of them are left out: whether they cross is not known

    Raises InputError for what is no CIDR block.
    """
    blocks = [(parse_cidr(cidr), zone) for cidr, zone in zones.items()]

    def zone_of(address: str) -> str | None:
        one = ipaddress.ip_address(address)
        near = [(block.prefixlen, zone) for block, zone in blocks if block.version == one.version and one in block]
        return max(near)[1] if near else None

    ends = conversations.assign(
        zone_client=conversations["client"].map(zone_of), zone_server=conversations["server"].map(zone_of),
        bytes=conversations["bytes_out"] + conversations["bytes_back"],
    )  # fmt: skip
    crossing = ends[
        ends["zone_client"].notna() & ends["zone_server"].notna() & (ends["zone_client"] != ends["zone_server"])
    ]
    keys = ["zone_client", "zone_server", "client", "server", "server_port"]
    sums = pd.DataFrame(crossing.groupby(keys, as_index=False)["bytes"].sum())[[*keys, "bytes"]]
    sums["cost_usd"] = [round(cross_zone_cost(int(count), prices), 4) for count in sums["bytes"]]
    return sums.sort_values(["bytes", *keys], ascending=[False, *[True] * len(keys)], ignore_index=True)
