"""What the Resolver's query logs say of the names that the source asks for. Pure.

Source: Route 53 Developer Guide, "Values that appear in VPC Resolver query logs".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import pandas as pd

from netkit.incident.atoms import Observation
from netkit.incident.blame import under
from netkit.incident.evidence import Taken
from netkit.incident.scene import Scene


def observe(scene: Scene) -> Iterator[Observation]:
    """d- atoms, each about a name: NXDOMAIN, a public answer where a private one was, a block, a server's failure."""
    frame = scene.evidence.dns
    if not scene.evidence.has("dns"):
        yield Observation("d-any", "", "could-not-see", "no query log was handed over")
        return
    yield Observation("d-any", "", "seen" if len(frame) else "seen-not", f"{len(frame)} queries")
    ours = scene.source.addresses
    own = (
        frame[frame["source"].isin(ours) | frame["instance"].isin(scene.source.instances)]
        if ours or scene.source.instances
        else frame
    )
    yield from _names(scene, own)


def _names(scene: Scene, own: pd.DataFrame) -> Iterator[Observation]:
    """The atoms of each name, and whether any name fails at all."""
    asked = {str(name) for name in own["name"].unique()}
    plain = {
        name for name in asked if not any(name != other and name.startswith(other) for other in asked)
    }  # no search-domain variants
    found = [
        one
        for name, queries in own.groupby("name", sort=True)
        if name in plain
        for one in _of_name(scene, str(name), queries)
    ]
    yield from found
    first = min((one.since for one in found if one.since is not None), default=None)
    says = (
        "; ".join(dict.fromkeys(one.says for one in found))
        if found
        else "every name that the source asks for is answered as before"
    )
    yield Observation("d-name-fails", "", "seen" if found else "seen-not", says, first)


def _of_name(scene: Scene, name: str, queries: pd.DataFrame) -> Iterator[Observation]:
    blocked = queries[queries["rule_action"] == "BLOCK"]
    if len(blocked):
        groups = sorted(set(blocked["rule_group"]) - {""}) or [name]
        for group in groups:
            yield Observation(
                "d-dns-firewall-blocks",
                group,
                "seen",
                f"{name} was blocked {len(blocked)} times",
                blocked["time"].min(),
            )
        return
    answered = queries[(queries["rcode"] == "NOERROR") & queries["answers"].map(bool)]
    missing = queries[queries["rcode"] == "NXDOMAIN"]
    if len(missing) and _goes_on(missing, answered):
        yield Observation(
            "d-dns-nxdomain",
            name,
            "seen",
            f"{name} does not exist: {len(missing)} answers NXDOMAIN",
            missing["time"].min(),
        )
    failing = queries[queries["rcode"] == "SERVFAIL"]
    if len(failing) >= 2 and _goes_on(failing, answered):
        says = f"{name}: {len(failing)} answers SERVFAIL"
        yield from (
            Observation("d-dns-forwarding-fails", one, "seen", says, failing["time"].min()) for one in (name, "")
        )
    public = answered[answered["answers"].map(_public)]
    private = answered[answered["answers"].map(lambda answers: not _public(answers))]
    if len(public) and len(private) and _goes_on(public, private):
        was = f", {len(private)} private before"
        says = f"{name} answers with a public address {len(public)} times{was}"
        for subject in (name, *_zones(scene, name)):
            yield Observation("d-dns-public-answer", subject, "seen", says, public["time"].min())


def _zones(scene: Scene, name: str) -> list[str]:
    """Private zones that hold a name, which the source's VPC had in the first snapshot and has no more, or never had."""
    if not scene.snapshots:
        return []
    first, last = (_zone_vpcs(taken, name) for taken in (scene.snapshots[0], scene.snapshots[-1]))
    vpcs = {scene.interfaces[one].vpc for one in scene.source.interfaces if one in scene.interfaces}
    return sorted(zone for zone in {*first, *last} if not last.get(zone, set()) & vpcs)


def _zone_vpcs(taken: Taken, name: str) -> dict[str, set[str]]:
    """Zone id to the VPCs that it is associated with, for the zones that hold a name."""
    held: dict[str, set[str]] = {}
    for _, record in taken.snapshot.records("HostedZonesByVpc"):
        for zone in record.get("HostedZoneSummaries") or ():
            if under(name, str(zone.get("Name", ""))):
                held.setdefault(str(zone.get("HostedZoneId", "")), set()).add(str(record.get("VPCId", "")))
    return held


def _goes_on(bad: pd.DataFrame, good: pd.DataFrame) -> bool:
    """Whether the last answers are the bad ones."""
    return not len(good) or bool(bad["time"].max() > good["time"].max())


def _public(answers: tuple[str, ...]) -> bool:
    found = []
    for answer in answers:
        try:
            found.append(ipaddress.ip_address(answer))
        except ValueError:
            continue
    return bool(found) and all(one.is_global for one in found)
