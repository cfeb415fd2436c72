"""The incident's answer: observations of every system, hypotheses ranked, findings. Deterministic; every point can be printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from netkit.core.model import Finding
from netkit.incident import (
    observe_config,
    observe_dns,
    observe_flows,
    observe_hosts,
    observe_metrics,
    observe_network,
    observe_others,
    observe_packets,
    observe_timers,
)
from netkit.incident.atoms import Observation, frame, once
from netkit.incident.blame import change_of, related
from netkit.incident.derive import derive
from netkit.incident.evidence import Evidence, read_folder
from netkit.incident.faults import INSUFFICIENT, NOT_THE_NETWORK, Fault, catalogue
from netkit.incident.findings import findings
from netkit.incident.rank import Hypothesis, Ranked, rank
from netkit.incident.scene import Scene

RANKED_COLUMNS = ("rank", "fault", "resource", "since", "actor", "standing", "points", "why", "against")
_SYSTEM_OF = {
    "c": "snapshots",
    "f": "flow_logs",
    "m": "metrics",
    "d": "dns",
    "p": "captures",
    "t": "cloudtrail",
    "o": "firewall",
}
_OBSERVERS = (
    *(
        observe_config,
        observe_network,
        observe_flows,
        observe_hosts,
        observe_timers,
        observe_packets,
        observe_metrics,
        observe_dns,
    ),
    observe_others,
)
# Faults whose resource is no component of the path: a name, a zone, an address, an event, a subnet that is full.
_ELSEWHERE = ("dns-", "provider-event", "no-such-address", "subnet-addresses-exhausted")
_BEYOND = ("dx-down", "bgp-prefix-limit", "vpn-")  # of the edge: only where an end is beyond AWS


@dataclass(frozen=True)
class Answer:
    """findings: the contract's findings, the first cause first; ranked: RANKED_COLUMNS; observations: netkit.incident.atoms.OBSERVATION_COLUMNS."""

    findings: list[Finding]
    ranked: pd.DataFrame
    observations: pd.DataFrame
    scene: Scene
    rows: tuple[Ranked, ...] = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))


def investigate(
    evidence: str | Path | Evidence,
    *,
    source: str = "",
    destination: str = "",
    protocol: str = "",
    port: int = 0,
    window: tuple[str, str] | None = None,
) -> Answer:
    """What is wrong, since when, who changed it, and how sure is that.

    evidence   a folder of the layout that netkit.incident.evidence describes (its incident.yaml fills what is not given), or Evidence
    Raises InputError for a question that lacks an end or a window, SourceError for a folder that holds no evidence.
    """
    if not isinstance(evidence, Evidence):
        start, end = window or ("", "")
        asked = {
            "source": source,
            "destination": destination,
            "protocol": protocol,
            "port": port,
            "window_start": start,
            "window_end": end,
        }
        evidence = read_folder(evidence, asked=asked)
    return answer(Scene(evidence))


def answer(scene: Scene) -> Answer:
    """The answer to a scene's question."""
    observations = list(once(observe(scene)).values())
    observations = list(once([*observations, *derive(scene, observations)]).values())
    rows = rank(hypotheses(scene, observations), observations, catalogue())
    return Answer(findings(scene, rows, observations), _ranked(rows), frame(observations), scene, tuple(rows))


def observe(scene: Scene) -> Iterator[Observation]:
    """Every observation that the evidence allows, each about the path, or about a resource by its id in the catalogue's spelling."""
    for system in _OBSERVERS:
        for one in system.observe(scene):
            yield from _spelt(scene, one)


def _spelt(scene: Scene, one: Observation) -> Iterator[Observation]:
    """An observation under the resource's id, where a system calls it by another name (a balancer by app/NAME/ID, a firewall by its name)."""
    yield one
    if not one.subject:
        return
    for name in _ids_of(scene, one.subject):
        yield replace(one, subject=name)
    if one.atom.startswith("m-tgw-drops") and one.state == "seen" and _on_path(scene, one.subject):
        yield replace(one, subject="")


def _ids_of(scene: Scene, name: str) -> set[str]:
    found: set[str] = set()
    for network in scene.networks:
        for balancer in network.balancers.values():
            if balancer.id.endswith(f"loadbalancer/{name}"):
                found.add(balancer.id)
                if name.startswith(("app/", "net/")):
                    found |= {
                        group.id
                        for group in network.target_groups.values()
                        if balancer.id in _balancers_of(network.snapshot, group.id)
                    }
        found |= {group.id for group in network.target_groups.values() if group.id.endswith(f":{name}")}
    for taken in scene.snapshots:
        for _, record in taken.snapshot.records("Firewalls"):
            held: Mapping[str, Any] = record.get("Firewall") or record
            if held.get("FirewallName") == name:
                found.add(str(held.get("FirewallArn", "")))
    return found - {name, ""}


def _balancers_of(snapshot: Any, group: str) -> set[str]:
    return {
        arn
        for _, record in snapshot.records("TargetGroups")
        if record.get("TargetGroupArn") == group
        for arn in record.get("LoadBalancerArns") or ()
    }


def _on_path(scene: Scene, attachment: str) -> bool:
    vpcs = {
        scene.interfaces[one].vpc
        for one in scene.source.interfaces | scene.destination.interfaces
        if one in scene.interfaces
    }
    held = [one for network in scene.networks for (_, name), one in network.attachments.items() if name == attachment]
    return any(one.resource in vpcs for one in held) or not held


def hypotheses(scene: Scene, observations: Sequence[Observation]) -> Iterator[Hypothesis]:
    """A suspect for every deciding atom that was seen, with its change where one fits; and that it is not the network."""
    for code, fault in catalogue().items():
        if code in (NOT_THE_NETWORK, INSUFFICIENT):
            continue
        subjects = {
            one.subject for one in observations if one.atom in fault.decides and one.state == "seen" and one.subject
        }
        subjects = {one for one in subjects if _can_be(scene, code, one)}
        for resource in sorted({one for one in subjects if fault.kind in one} or subjects):
            yield _suspect(scene, code, resource, observations)
    yield Hypothesis(NOT_THE_NETWORK, "")


def _can_be(scene: Scene, code: str, resource: str) -> bool:
    """Whether a fault at a resource can touch the question: it is on the path, or of those that are on none."""
    if code.startswith(_BEYOND):
        return scene.beyond
    return code.startswith(_ELSEWHERE) or _passes(scene, resource)


def _passes(scene: Scene, resource: str) -> bool:
    """Whether a resource, or something that belongs to it, is on the question's path."""
    return bool(related(scene, resource) & scene.components)


def _suspect(scene: Scene, code: str, resource: str, observations: Sequence[Observation]) -> Hypothesis:
    fault = catalogue()[code]
    began = _began(scene, fault, resource, observations)
    change = change_of(scene, fault, resource, began)
    if change is None:
        return Hypothesis(code, resource, began)
    return Hypothesis(code, resource, change.time, change.actor, str(change), change.event_id)


def _began(scene: Scene, fault: Fault, resource: str, observations: Sequence[Observation]) -> datetime | None:
    """When it began: the first failure, or before that what another system saw of this fault (a counter that rises, an answer, an alert)."""
    own = [
        one.since
        for one in observations
        if one.since is not None and one.state == "seen" and one.subject in (resource, "")
        if fault.predicts.get(one.atom) in ("must", "likely") and (one.atom in fault.decides or one.atom[0] in "mdop")
    ]
    times = [*own, *([scene.onset.time] if scene.onset.time else [])]
    return min(times, default=None)


def _ranked(rows: Iterable[Ranked]) -> pd.DataFrame:
    made = [
        (
            *(
                row.rank,
                row.hypothesis.fault,
                row.hypothesis.resource,
                row.hypothesis.since,
                row.hypothesis.actor,
                row.standing,
                row.points,
            ),
            *([str(point) for point in row.why], [str(point) for point in row.against]),
        )
        for row in rows
    ]
    return pd.DataFrame(made, columns=list(RANKED_COLUMNS))
