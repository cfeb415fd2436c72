"""What the internet reaches, and what reaches the internet. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from netkit.core.model import Verdict
from netkit.reach.engine.matrix import classes
from netkit.reach.engine.trace import trace
from netkit.reach.network.network import Network, network_of
from netkit.reach.network.records import Interface
from netkit.reach.network.snapshot import Snapshot

EXPOSURE_COLUMNS = (
    "interface",
    "name",
    "vpc",
    "subnet",
    "public_address",
    "from_internet",
    "from_addresses",
    "to_internet",
    "why",
)
# Interfaces of the network itself, at which nothing listens.
_NO_HOSTS = {"nat_gateway", "natGateway", "transit_gateway", "gateway_load_balancer_endpoint"}


def exposure(
    snapshot: Snapshot,
    *,
    protocol: str | int = "tcp",
    port: int | str | None = None,
    interfaces: Iterable[str] | None = None,
) -> pd.DataFrame:
    """One row an interface of a host: whether the internet reaches it on this service, from which addresses, and the way out.

    from_internet, to_internet   as Verdict.status, by trace(); IPv4, or IPv6 where only that gets through
    from_addresses   the CIDR blocks that are let in, "" for none and "anywhere" for the whole internet
    why              the first thing in the way, inbound; "" when it is reached
    interfaces       those to look at; None for all. Raises InputError as trace() does.
    """
    network = network_of(snapshot)
    labels = classes(snapshot)
    seen: dict[tuple[Any, ...], tuple[Verdict, Verdict]] = {}
    rows = []
    for name in sorted(network.interfaces if interfaces is None else interfaces):
        one = network.interfaces[name]
        if one.kind in _NO_HOSTS:
            continue
        public = next((out for _, out in one.pairs if out is not None), None)
        key = (labels[name], public is not None, one.deny_igw)
        if key not in seen:
            asked: dict[str, Any] = {"protocol": protocol, "port": port}
            seen[key] = (
                trace(snapshot, source="internet", destination=name, **asked),
                trace(snapshot, source=name, destination="internet", **asked),
            )
        rows.append(_row(network, one, public, *seen[key]))
    return pd.DataFrame(rows, columns=list(EXPOSURE_COLUMNS))


def _row(network: Network, one: Interface, public: int | None, inbound: Verdict, outbound: Verdict) -> tuple[str, ...]:
    why = (
        ""
        if inbound.reachable
        else inbound.blockers[0].code
        if inbound.blockers
        else "; ".join(map(str, inbound.unknowns[:1]))
    )
    address = ".".join(str(public >> shift & 255) for shift in (24, 16, 8, 0)) if public is not None else ""
    held = network.instances.get(one.instance)
    return (
        one.id,
        (held.name if held else "") or one.name,
        one.vpc,
        one.subnet,
        address,
        inbound.status,
        _from(inbound),
        outbound.status,
        why,
    )


def _from(verdict: Verdict) -> str:
    if not verdict.reachable or verdict.passes is None:
        return ""
    narrowed = [note.removeprefix("only from ") for note in verdict.notes if note.startswith("only from ")]
    return narrowed[0] if narrowed else "anywhere"
