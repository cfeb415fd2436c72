"""What a flow log counted beside what a mirror shows, conversation by conversation. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, cast

import pandas as pd

from netkit.core.model import Window
from netkit.core.net import TCP, UDP
from netkit.mirror.expected import END, decided, direction_of
from netkit.mirror.filters import MirrorFilter, MirrorSession

BESIDE_COLUMNS = (
    "protocol", "source", "source_port", "destination", "destination_port", "direction", "packets_mirrored", "packets_logged", "packet_ratio",
    "bytes_mirrored", "bytes_logged", "byte_ratio", "seen_by", "whole",
)  # fmt: skip
_ENDS = ("srcaddr", "dstaddr")


def interface_records(flow_logs: Any, interface: str, addresses: Sequence[str] = ()) -> pd.DataFrame:
    """The flow-log records of one interface: srcaddr, dstaddr, srcport, dstport, protocol, action, packets, bytes, start, end.

    flow_logs is a frame of records (columns as AWS names the fields), or an open log (netkit.flowlogs.open), which is
    asked for query interface_flows. Without an interface, or where a frame lacks it, the one whose records have the addresses counts:
    a flow within a VPC is logged at both its ends.
    """
    if not isinstance(flow_logs, pd.DataFrame):
        names = [interface] if interface else _interfaces_of(flow_logs.query("interface_addresses"), addresses)
        parts = [cast(pd.DataFrame, flow_logs.query("interface_flows", interface=one)) for one in names]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(_RECORD))
    records = flow_logs.rename(columns=lambda name: str(name).replace("-", "_"))
    if "log_status" in records:
        records = records[records["log_status"] == "OK"]
    # The packet's own addresses: an interface's secondary ones are logged as its primary one elsewhere (User Guide, pkt-srcaddr).
    real = {name: records[f"pkt_{name}"] for name in _ENDS if f"pkt_{name}" in records}
    records = records.assign(
        **{name: records[name].where(own.isna() | (own == "-"), own) for name, own in real.items()}
    )
    records = records.assign(**{name: canonical(records[name]) for name in _ENDS})
    return _of_one_interface(records, interface, addresses)


_RECORD = ("srcaddr", "dstaddr", "srcport", "dstport", "protocol", "action", "packets", "bytes", "start", "end")


def _interfaces_of(table: pd.DataFrame, addresses: Sequence[str]) -> list[str]:
    """The interfaces of a log that have one of the addresses as their own."""
    mine = table[canonical(table["own_address"]).isin(addresses)]
    return sorted(set(mine["interface_id"]))


def _of_one_interface(records: pd.DataFrame, interface: str, addresses: Sequence[str]) -> pd.DataFrame:
    if "interface_id" not in records:
        return records
    if interface and (records["interface_id"] == interface).any():
        return records[records["interface_id"] == interface]
    mine = records[records["srcaddr"].isin(addresses) | records["dstaddr"].isin(addresses)]
    if mine.empty:
        return mine if addresses else records
    names = ["protocol", "srcaddr", "srcport", "dstaddr", "dstport"]
    most = mine.drop_duplicates(["interface_id", *names])["interface_id"].value_counts()
    return mine[mine["interface_id"] == most.sort_index(kind="stable").idxmax()]


def canonical(addresses: pd.Series[Any]) -> pd.Series[Any]:
    """Addresses as values: each in its one text (RFC 5952); what is no address stays as it is."""
    known = {text: canonical_text(text) for text in addresses.unique()}
    return addresses.map(known) if known else addresses


def canonical_text(text: Any) -> Any:
    """An address in its one text (RFC 5952); what is no address as it is."""
    try:
        return str(ipaddress.ip_address(str(text).strip()))
    except ValueError:
        return text


def beside_flow_logs(
    seen: pd.DataFrame, records: pd.DataFrame, mirror: MirrorFilter, addresses: Sequence[str], window: Window | None,
    others: Sequence[tuple[MirrorSession, MirrorFilter]] = (),
) -> pd.DataFrame:  # fmt: skip
    """Packets and bytes of the mirror beside the flow log's, a row for each direction of each conversation (BESIDE_COLUMNS).

    Only traffic that the filter takes and the interface accepted is compared, without what the `others` (sessions with a
    lower number) take, and each packet once: duplicates of the capture are left out. packet_ratio and byte_ratio are mirrored / logged. seen_by: both, capture or flow log. whole: every record of it lies
    within the window of the capture, so that the numbers can be equal.
    """
    logged = decided(_logged(records, addresses, window), mirror)
    for _, other in others:
        logged = logged[decided(logged, other)["action"] != "accept"] if len(logged) else logged
    logged = logged[logged["action"] == "accept"]
    if window is not None:
        start, end = window.epoch()
        logged = logged[(logged["start"] <= end) & (logged["end"] >= start)]
        logged = logged.assign(whole=(logged["start"] >= start) & (logged["end"] <= end + 1))
    # Questions to Amazon's DNS server are in no flow log (User Guide, "Flow log limitations").
    shown = seen[(seen["action"] == "accept") & seen["rule"].notna()]
    once = shown.assign(packets=shown["packets"] - shown["duplicates"], bytes=shown["bytes"] - shown["duplicate_bytes"])
    for name in ("source_port", "destination_port"):
        once[name] = once[name].fillna(0).astype("int64")
    once = _as_logged(once, logged)
    mirrored = once.groupby([*END, "direction"], as_index=False)[["packets", "bytes"]].sum()
    beside = mirrored.merge(logged.drop(columns=["rule", "action"]), how="outer", on=[*END, "direction"], suffixes=("_mirrored", "_logged"), indicator="seen_by")  # fmt: skip
    beside["seen_by"] = beside["seen_by"].astype(str).map({"both": "both", "left_only": "capture", "right_only": "flow log"})  # fmt: skip
    for name in ("packets", "bytes"):
        mine, theirs = f"{name}_mirrored", f"{name}_logged"
        beside[[mine, theirs]] = beside[[mine, theirs]].fillna(0).astype("int64")
        beside[f"{name[:-1]}_ratio"] = beside[mine] / beside[theirs].where(beside[theirs] > 0)
    beside["whole"] = beside["whole"].fillna(False).astype(bool) if "whole" in beside else False
    return beside[list(BESIDE_COLUMNS)]


def _as_logged(once: pd.DataFrame, logged: pd.DataFrame) -> pd.DataFrame:
    """Ports as the log has them: those of TCP and UDP; another protocol's (SCTP) only where its records have any."""
    ported = {TCP, UDP, *logged.loc[(logged["source_port"] > 0) | (logged["destination_port"] > 0), "protocol"]}
    bare = ~once["protocol"].isin(ported).to_numpy()
    return once.assign(**{name: once[name].where(~bare, 0) for name in ("source_port", "destination_port")})


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
    summed = named.groupby(END, as_index=False).agg(packets=("packets", "sum"), bytes=("bytes", "sum"), start=("start", "min"), end=("end", "max"))  # fmt: skip
    # ICMP has no ports: flow logs write 0, captures <NA>.
    summed["direction"] = direction_of(summed["source"], summed["destination"], addresses)
    summed["whole"] = True
    return summed[summed["direction"] != ""]
