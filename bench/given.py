"""Values from the data for the parameters of queries that have no default, by kind, so that a new query needs no line here."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from netkit.flowlogs import FlowLogs
from netkit.flowlogs.catalog import Param, Query


def facts(logs: FlowLogs) -> dict[str, Any]:
    """One rejected IPv4 connection of the log: srcaddr, dstaddr, dstport, protocol, interface_id, first_seen."""
    rows = logs.query("rejected_connections").to_dict("records")
    return next({str(name): value for name, value in row.items()} for row in rows if "." in row["dstaddr"])


def given(query: Query, seen: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each parameter of a query that has no default."""
    return {param.name: _value(param, seen) for param in query.params if param.default is None}


def _value(param: Param, seen: Mapping[str, Any]) -> Any:
    """Two ends differ: what is called a source is the one that asked. A kind that is not known here fails by its name."""
    address = seen["srcaddr" if param.name == "source" else "dstaddr"]
    by_kind = {
        "address": address, "cidr": str(ip_network(f"{address}/24", strict=False)), "port": seen["dstport"], "protocol": seen["protocol"], "word": seen["interface_id"],
        "epoch": seen["first_seen"], "seconds": 600, "int": 10, "float": 1.0,
    }  # fmt: skip
    return by_kind[param.kind]
