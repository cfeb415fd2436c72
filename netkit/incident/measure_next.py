"""What to measure next: the evidence that would part the causes that are left, with the command, minutes and dollars. Pure.

Costs are of the call itself: describe calls and LookupEvents are free; GetMetricData, Logs Insights and Athena are priced in netkit.core.costs.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from netkit.core.costs import PRICES
from netkit.incident.faults import NOT_THE_NETWORK, catalogue
from netkit.incident.rank import Ranked
from netkit.incident.scene import Scene

MEASURE_COLUMNS = ("system", "would_part", "command", "minutes", "usd", "why")


@dataclass(frozen=True)
class Measure:
    """One thing to measure: the system, the faults that it would part, a command that can be run as it stands, minutes and US dollars."""

    system: str
    parts: tuple[str, ...]
    command: str
    minutes: int
    usd: float
    why: str


_LETTER = {
    "c": "snapshots",
    "f": "flow_logs",
    "m": "metrics",
    "d": "dns",
    "p": "captures",
    "t": "cloudtrail",
    "o": "firewall",
}


def measures(scene: Scene, rows: Sequence[Ranked]) -> list[Measure]:
    """Measures of the systems that were not handed over, or not looked at, most useful first."""
    absent = {row.table for row in scene.evidence.coverage if row.state == "skipped"} & set(_LETTER.values())
    named = [row for row in rows if row.hypothesis.fault != NOT_THE_NETWORK and row.standing != "proved"]
    suspects = [row.hypothesis.fault for row in named] or _fitting(rows)
    found = []
    for system in sorted(absent):
        parts = tuple(
            dict.fromkeys(code for code in suspects if any(_LETTER[atom[0]] == system for atom in _decides(code)))
        )
        if parts or system in ("snapshots", "flow_logs"):
            found += [Measure(system, parts, *one) for one in _how(scene, system)]
    return sorted(found, key=lambda one: (-len(one.parts), one.usd, one.system))


def _decides(code: str) -> tuple[str, ...]:
    return tuple(atom for atom, word in catalogue()[code].predicts.items() if word in ("must", "likely"))


def _fitting(rows: Sequence[Ranked]) -> list[str]:
    """Every fault, where no suspect has been named."""
    return (
        [code for code in catalogue() if code != NOT_THE_NETWORK]
        if not any(row.standing == "proved" for row in rows)
        else []
    )


def _how(scene: Scene, system: str) -> Iterator[tuple[str, int, float, str]]:
    start, end = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (scene.question.window.start, scene.question.window.end))
    instances = sorted(scene.source.instances | scene.destination.instances)
    region = next((scope[1] for taken in scene.snapshots for scope in taken.snapshot.scopes if scope[1]), "us-east-1")
    where = f"--region {shlex.quote(region)}"
    if system == "cloudtrail":
        command = f"aws cloudtrail lookup-events --start-time {start} --end-time {end} --lookup-attributes AttributeKey=ReadOnly,AttributeValue=false {where}"
        yield command, 1, 0.0, "who changed what: management events of the last 90 days are free to look up"
    elif system == "metrics":
        for instance in instances[:2]:
            command = (
                f"aws cloudwatch get-metric-statistics --namespace CWAgent --metric-name ethtool_conntrack_allowance_exceeded --dimensions "
                f"Name=InstanceId,Value={shlex.quote(instance)} --start-time {start} --end-time {end} --period 60 --statistics Maximum {where}"
            )
            yield (
                command,
                1,
                PRICES["metric_data_usd_per_1000"] / 1000,
                "allowances of the instance's type, gateways' and balancers' own counters",
            )
    elif system == "dns":
        command = f"aws route53resolver list-resolver-query-log-configs {where}"
        yield command, 1, 0.0, "where the Resolver's query logs are delivered"
    elif system == "snapshots":
        for interface in sorted(scene.source.interfaces | scene.destination.interfaces)[:1]:
            yield (
                f"aws ec2 describe-network-interfaces --network-interface-ids {shlex.quote(interface)} {where}",
                1,
                0.0,
                "the configuration in force",
            )
    elif system == "flow_logs":
        yield f"aws ec2 describe-flow-logs {where}", 1, 0.0, "which flow logs there are, and where they are delivered"
    elif system == "firewall":
        yield (
            f"aws network-firewall list-firewalls {where}",
            1,
            0.0,
            "which firewalls there are; their alert logs name the rule",
        )


def measures_frame(found: Sequence[Measure]) -> pd.DataFrame:
    """One row a measure: MEASURE_COLUMNS."""
    rows = [(one.system, ", ".join(one.parts), one.command, one.minutes, one.usd, one.why) for one in found]
    return pd.DataFrame(rows, columns=list(MEASURE_COLUMNS))
