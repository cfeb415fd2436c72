"""Since when, and who: the write of the trail that fits a suspect. Pure.

A write fits where its event is one that can bring the fault about, AWS did not refuse it, it names the resource (or what hangs on it), its time is
that of the onset, and, of several, its own words (port, block, table) are those of the question.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from netkit.history.trail import Write
from netkit.incident.faults import Fault
from netkit.incident.scene import Scene

BEFORE, AFTER = timedelta(minutes=15), timedelta(minutes=2)
# Events that name no resource of the path: they hold for an account and region.
_WIDE = ("ModifyVpcBlockPublicAccessOptions",)


def related(scene: Scene, resource: str) -> set[str]:
    """The resource's id and the ids that a write on it may name instead: addresses of an interface, listeners of a balancer, …"""
    found = {resource}
    for network in scene.networks:
        if resource in network.instances:
            found |= {one.id for one in network.interfaces_of.get(resource, ())}
        if (one := network.interfaces.get(resource)) is not None:
            found |= {one.instance} - {""}
        if (table := network.tables.get(resource)) is not None:
            found |= set(table.subnets)
        if (acl := network.acls.get(resource)) is not None:
            found |= set(acl.subnets)
        for balancer in network.balancers.values():
            groups = {name for listener in balancer.listeners or () for name in _groups(listener)}
            if resource == balancer.id or resource in groups:
                found |= {balancer.id, *groups}
    return found


def _groups(listener: Any) -> Iterator[str]:
    for name in getattr(listener, "groups", ()) or ():
        yield name if isinstance(name, str) else str(name[0])


def change_of(scene: Scene, fault: Fault, resource: str, began: datetime | None) -> Write | None:
    """The write that fits best: of those around the onset the one whose words fit the question, else the last before it."""
    ids = related(scene, resource)
    good = scene.onset.last_good_before
    late = (began or scene.question.window.end) + AFTER
    early = (
        datetime.fromtimestamp(good, late.tzinfo) - BEFORE
        if good is not None and began is not None
        else scene.question.window.start - timedelta(hours=1)
    )
    near = [
        one
        for one in scene.evidence.trail.writes
        if one.event in fault.events
        and not one.refused
        and early <= one.time <= late
        and (_names(one, ids) or one.event in _WIDE)
    ]
    return max(near, key=lambda one: (_fits(one, scene), one.time), default=None)


def _names(write: Write, ids: set[str]) -> bool:
    return any(
        one == name or one.startswith(f"{name}/") or name.startswith(f"{one}/") for one in write.ids for name in ids
    )


def _fits(write: Write, scene: Scene) -> int:
    """How well a write's own words fit the question: its port range holds the port, its block holds an end."""
    asked = scene.question
    ends = scene.source.addresses | scene.destination.addresses
    score = 0
    for low, high in _ports(write.request):
        score += 1 if low <= asked.port <= high or (low, high) == (0, 0) or high - low > 20000 else -1
    blocks = list(_blocks(write.request))
    if blocks:
        score += 1 if any(_holds(block, ends) for block in blocks) else -1
    return score


def _ports(value: Any) -> Iterator[tuple[int, int]]:
    if isinstance(value, Mapping):
        low, high = value.get("fromPort", value.get("from")), value.get("toPort", value.get("to"))
        if isinstance(low, int) and isinstance(high, int):
            yield low, high
        for one in value.values():
            yield from _ports(one)
    elif isinstance(value, list):
        for one in value:
            yield from _ports(one)


def _blocks(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            if isinstance(one, str) and "cidr" in name.lower():
                yield one
            else:
                yield from _blocks(one)
    elif isinstance(value, list):
        for one in value:
            yield from _blocks(one)


def _holds(block: str, addresses: Iterable[str]) -> bool:
    try:
        held = ipaddress.ip_network(block, strict=False)
    except ValueError:
        return False
    return any(one.version == held.version and one in held for one in map(ipaddress.ip_address, addresses))
