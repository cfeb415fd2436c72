"""Innocent logs, in which nothing may be confirmed above info, and findings that do not hang on the order or the cutting of records."""

from __future__ import annotations

import random
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from little_flows import T0, V2, V5, flow, said

from netkit.core.model import Finding
from netkit.runs import runbook

SYN, SYN_ACK, FIN, RST = 2, 18, 1, 4
Rows = list[dict[str, Any]]


def conversation(client: str, server: str, *, minute: int = 0, flags: tuple[int, int] = (3, 19), **more: Any) -> Rows:
    """A TCP connection that opens, is answered and closes within a minute, as one interface logs it."""
    return [
        flow(client, server, tcp_flags=flags[0], minute=minute, **more),
        flow(server, client, tcp_flags=flags[1], minute=minute, **({"bytes": 9000, "packets": 12} | more)),
    ]


def traffic(count: int = 30) -> Rows:
    """Ordinary conversations, so that interfaces have more than one peer."""
    return [
        row for n in range(count) for row in conversation(f"10.0.{n % 3}.7:{33000 + n}", "10.0.2.5:443", minute=n % 20)
    ]


def health_checks() -> Rows:
    """A load balancer's probes of three hosts' ports, ssh among them, every minute, from ports below and above theirs."""
    return [
        row
        for minute in range(80)
        for host in (1, 2, 3)
        for port in (31495, 22, 8443)
        for row in conversation(f"10.0.101.130:{1100 + 37 * minute + host}", f"10.0.1.{host}:{port}", minute=minute % 20, packets=4, interface_id="eni-lb")
    ]  # fmt: skip


def mid_stream() -> Rows:
    """Connections that opened before the log and go on after it: no SYN, no FIN."""
    return [
        row
        for n in range(40)
        for row in conversation(f"10.0.1.7:{40000 + n}", "10.0.2.5:5432", minute=n % 20, flags=(0, 0))
    ]


def late_packets() -> Rows:
    """FIN and RST that come after the close, in both directions, at both kinds of ends, and some of connections closed before the log began."""
    rows: Rows = []
    for n in range(60):
        client, server = f"10.0.1.7:{40000 + n}", "10.0.2.5:5432"
        rows += conversation(client, server, minute=n % 10)
        flags = RST if n % 2 else FIN
        rows.append(flow(client, server, tcp_flags=flags, action="REJECT", packets=1 + n % 3, minute=n % 10 + 2))
        rows.append(flow(server, client, tcp_flags=flags, action="REJECT", packets=1, minute=n % 10 + 2))
        rows.append(flow(f"10.0.1.8:{50000 + n}", server, tcp_flags=flags, action="REJECT", packets=1, minute=n % 10))
        out, away = f"10.0.1.7:{45000 + n}", "52.1.1.1:443"
        rows += conversation(out, away, minute=n % 10)
        rows.append(flow(out, away, tcp_flags=flags, action="REJECT", packets=1, minute=n % 10 + 2))
    return rows


def late_without_flags() -> Rows:
    """The same of a version 2 log, where each follows its own conversation."""
    rows: Rows = []
    for n in range(60):
        client, server = f"10.0.1.7:{40000 + n}", "10.0.2.5:5432"
        rows += conversation(client, server, minute=n % 10)
        rows.append(flow(client, server, action="REJECT", packets=1, minute=n % 10 + 2))
        rows.append(flow(server, client, action="REJECT", packets=2, minute=n % 10 + 2))
    return rows


def idle() -> Rows:
    empty = {"version": 2, "account-id": "123456789012", "log-status": "NODATA"}
    return [
        *traffic(),
        *(empty | {"interface-id": "eni-idle", "start": T0 + 60 * n, "end": T0 + 60 * n + 59} for n in range(20)),
    ]


def ipv6_neighbours() -> Rows:
    """Hosts of one IPv6 block, neighbour discovery, and a rejected scan of one of them from outside."""
    rows = [
        row for n in range(30)
        for row in conversation(f"[2600:1f18:1:a::10]:{40000 + n}", "[2600:1f18:1:b::20]:443", minute=n % 20)
    ]  # fmt: skip
    rows += [flow("2600:1f18:1:a::10", "2600:1f18:1:a::1", protocol=58, minute=n) for n in range(20)]
    return rows + [
        flow(f"[2a02:6b8::{n:x}]:{40000 + n}", "[2600:1f18:1:b::20]:22", action="REJECT", tcp_flags=SYN)
        for n in range(1, 40)
    ]


def scan_from_outside() -> Rows:
    """One source tries 200 ports of three hosts from one port, another 22 on twenty hosts, a third 40 times one port: all refused."""
    rows = traffic()
    rows += [flow("192.0.2.9:54321", f"10.0.2.{5 + n % 3}:{1000 + n}", action="REJECT", tcp_flags=SYN, packets=1, flow_direction="ingress") for n in range(200)]  # fmt: skip
    rows += [flow(f"192.0.2.77:{41000 + n}", f"10.0.2.{n}:22", action="REJECT", tcp_flags=SYN, packets=1, flow_direction="ingress") for n in range(1, 21)]  # fmt: skip
    return rows + [flow(f"192.0.2.78:{42000 + n}", "10.0.2.5:3389", action="REJECT", tcp_flags=SYN, packets=1, flow_direction="ingress") for n in range(40)]  # fmt: skip


def ephemeral() -> Rows:
    """Services on high ports, clients on low ones: passive ftp, NodePorts, java rmi; both sides logged."""
    rows: Rows = []
    for n in range(60):
        for interface in ("eni-client", "eni-server"):
            rows += conversation(f"10.0.1.7:{1100 + n}", "10.0.2.5:49160", minute=n % 20, interface_id=interface)
            rows += conversation(
                f"10.0.1.8:{60999 - n}", f"10.0.2.5:{49200 + n}", minute=n % 20, interface_id=interface
            )
    return rows


def balanced() -> Rows:
    """Clients outside, a load balancer, its targets: both legs, from ports of 1024 on."""
    rows: Rows = []
    for n in range(80):
        rows += conversation(f"198.51.100.{n}:{20000 + n}", "10.0.101.130:443", minute=n % 20, interface_id="eni-lb")
        for interface in ("eni-lb", f"eni-{n % 2}"):
            rows += conversation(
                f"10.0.101.130:{1024 + 13 * n}", f"10.0.1.{n % 2}:8080", minute=n % 20, interface_id=interface
            )
    return rows


def pings() -> Rows:
    """Pings and their answers, dns, and answers to dns that came too late."""
    rows: Rows = []
    for n in range(20):
        rows += [flow("10.0.1.7", "10.0.2.5", protocol=1, minute=n), flow("10.0.2.5", "10.0.1.7", protocol=1, minute=n)]
        rows += [flow(f"10.0.1.7:{40000 + n}", "10.0.2.9:53", protocol=17, minute=n), flow("10.0.2.9:53", f"10.0.1.7:{40000 + n}", protocol=17, minute=n)]  # fmt: skip
    return [*rows, flow("10.0.2.9:53", "10.0.1.7:40003", protocol=17, minute=9, action="REJECT", packets=1)]


INNOCENT = {
    make.__name__: make
    for make in (
        traffic,
        health_checks,
        mid_stream,
        late_packets,
        idle,
        ipv6_neighbours,
        scan_from_outside,
        ephemeral,
        balanced,
        pings,
    )
}


@pytest.mark.parametrize("name", INNOCENT)
def test_nothing_is_confirmed_of_the_innocent(name: str, tmp_path: Path) -> None:
    found = said(tmp_path, INNOCENT[name](), V5)
    assert [str(one) for one in found if one.status == "confirmed" and one.severity != "info"] == []


@pytest.mark.parametrize(
    "make", [traffic, health_checks, mid_stream, late_without_flags, idle, ipv6_neighbours, ephemeral, balanced, pings]
)
def test_nor_without_flags_and_the_packets_own_addresses(make: Any, tmp_path: Path) -> None:
    found = said(tmp_path, make(), V2)
    assert [str(one) for one in found if one.status == "confirmed" and one.severity != "info"] == []


def test_all_the_innocent_together_in_one_log(tmp_path: Path) -> None:
    rows = [
        row | {"interface-id": f"{row['interface-id']}-{name}"} for name, make in INNOCENT.items() for row in make()
    ]
    found = said(tmp_path, rows, V5)
    assert [str(one) for one in found if one.status == "confirmed" and one.severity != "info"] == []


# --------------------------------------------------------------------------------------------- order and cutting


def guilty() -> Rows:
    """Something of every kind: a refused service, a closed way out, refused replies, a scan, late packets."""
    rows = late_packets()
    rows += [flow(f"10.0.1.9:{40000 + n}", f"10.0.2.5:{5432 + n % 2}", action="REJECT", tcp_flags=SYN, packets=4, interface_id="eni-b") for n in range(40)]  # fmt: skip
    rows += [
        flow(f"10.0.1.9:{42000 + n}", "52.9.9.9:443", action="REJECT", tcp_flags=SYN, packets=4, interface_id="eni-c")
        for n in range(20)
    ]
    for n in range(12):
        client, server = f"10.0.3.3:{43000 + n}", "10.0.4.4:8080"
        rows += [flow(client, server, tcp_flags=SYN, interface_id="eni-d", packets=4), flow(server, client, tcp_flags=SYN_ACK, action="REJECT", interface_id="eni-d", packets=4, flow_direction="egress")]  # fmt: skip
    return [*rows, *scan_from_outside()]


def cut(row: dict[str, Any]) -> Rows:
    """A record as two of half the time and half the packets, as a shorter aggregation interval gives: the flags are in both only where they can be."""
    middle = (row["start"] + row["end"]) // 2
    first = row | {"end": middle, "packets": row["packets"] // 2, "bytes": row["bytes"] // 2}
    return [
        first,
        row
        | {"start": middle + 1, "packets": row["packets"] - first["packets"], "bytes": row["bytes"] - first["bytes"]},
    ]


def essence(found: Sequence[Finding]) -> list[tuple[str, str, tuple[str, ...]]]:
    return sorted((one.code, one.status, one.subject) for one in found)


GUILTY = guilty()


@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=6, deadline=None)
def test_order_and_cutting_of_records_change_no_finding(seed: int, share: float) -> None:
    chance = random.Random(seed)
    rows = [part for row in GUILTY for part in (cut(row) if row["packets"] >= 2 and chance.random() < share else [row])]
    chance.shuffle(rows)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        assert essence(said(Path(one), rows, V5)) == essence(said(Path(two), GUILTY, V5))


def test_every_next_step_is_a_command_that_exists(tmp_path: Path) -> None:
    steps = [(one, line) for one in said(tmp_path, GUILTY, V5) for line in one.next_step.split("\n")]
    for finding, line in steps:
        words = shlex.split(line, comments=True)
        if not words:
            continue
        if words[0] == "aws":
            assert hasattr(boto3.client(words[1], region_name="us-east-1"), words[2].replace("-", "_")), (
                finding.next_step
            )
            continue
        assert "run" in words, finding.next_step
        notebook = Path(__file__).parents[1] / words[words.index("run") + 1]
        given = [words[place + 1] for place, word in enumerate(words) if word == "-p"]
        assert set(given) <= set(runbook.declared(notebook)), finding.next_step


def test_the_guilty_log_has_findings_to_lose(tmp_path: Path) -> None:
    assert {one.code for one in said(tmp_path, GUILTY, V5)} >= {
        "FLOW-REJECT-CLUSTER",
        "FLOW-RETURN-PATH-DEAD",
        "FLOW-PORT-SCAN",
    }
