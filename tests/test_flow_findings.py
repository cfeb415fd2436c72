"""What a flow log says, kind by kind: handmade records with answers that AWS's guide gives. Each kind with the smallest input and others of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from little_flows import T0, V2, V5, flow, investigate, one, said, write

from netkit import flowlogs
from netkit.core.model import Window
from netkit.flowlogs.catalog import find_query
from netkit.flowlogs.names import AddressBook, Name, from_log
from netkit.investigate import flow_logs as ask

SHARED = Path(__file__).parents[2] / "shared/data"
SYN, SYN_ACK, FIN, RST = 2, 18, 1, 4


def codes(found: Any) -> set[str]:
    return {finding.code for finding in found if finding.code != "FLOW-NOTHING-FOUND"}


def absent(found: Any) -> list[str]:
    return [
        text for finding in found if finding.code == "FLOW-NOTHING-FOUND" for text in finding.evidence["looked_for"]
    ]


# --------------------------------------------------------------------------------------- a threshold is not absence


@pytest.mark.parametrize("ports", [(443, 10250, 5432), (22, 80), (8443, 9092, 6379, 3306)])
def test_the_same_sources_refused_on_several_ports_are_one_missing_rule(tmp_path: Path, ports: tuple[int, ...]) -> None:
    rows = [flow(f"10.0.9.9:{40000 + n}", f"10.0.1.5:{port}", action="REJECT") for port in ports for n in range(9)]
    finding = one(said(tmp_path, rows), "FLOW-REJECT-CLUSTER")
    assert (finding.status, finding.evidence["rejected"], finding.evidence["ports"]) == (
        "confirmed",
        9 * len(ports),
        sorted(ports),
    )
    assert all(str(port) in finding.claim for port in ports)


@pytest.mark.parametrize("count", [1, 9])
def test_what_is_under_the_threshold_is_listed_and_never_called_absent(tmp_path: Path, count: int) -> None:
    rows = [flow(f"10.0.9.9:{40000 + n}", "10.0.1.5:443", action="REJECT") for n in range(count)]
    found = said(tmp_path, rows)
    assert codes(found) == set()
    assert "rejected inside traffic" not in absent(found)
    nothing = one(found, "FLOW-NOTHING-FOUND")
    assert "10.0.9.9 to 10.0.1.5 tcp/443" in nothing.claim
    assert "port scans (20 refused ports or more)" in nothing.evidence["looked_for"]


def test_absence_is_claimed_where_the_query_returned_nothing(tmp_path: Path) -> None:
    found = said(tmp_path, [flow("10.0.9.9:40000", "10.0.1.5:443"), flow("10.0.1.5:443", "10.0.9.9:40000")])
    assert {"rejected inside traffic", "rejected replies"} <= set(absent(found))
    assert one(found, "FLOW-NOTHING-FOUND").status == "refuted"


def test_many_small_refusals_of_one_asker_are_summed_before_they_are_judged(tmp_path: Path) -> None:
    rows = [
        flow(f"10.0.9.9:{40000 + n}", f"10.0.1.{n}:5432", action="REJECT", interface_id=f"eni-{n}") for n in range(1, 8)
    ] * 2
    rows += [flow("10.0.9.9:50000", "10.0.1.1:443", packets=9)]
    finding = one(said(tmp_path, rows), "FLOW-REJECT-CLUSTER")
    assert (finding.evidence["rejected"], len(finding.evidence["targets"])) == (14, 7)
    assert (
        finding.status == "inconclusive"
    )  # from one record a target nobody can tell who asked; with tcp-flags it is plain
    assert (
        one(said(tmp_path, [row | {"tcp-flags": SYN} for row in rows], V5), "FLOW-REJECT-CLUSTER").status == "confirmed"
    )


# ------------------------------------------------------------------------------------------------------ who asked whom


@pytest.mark.parametrize("ports", [range(2000, 2060), range(1024, 1084), range(33000, 33060)])
@pytest.mark.parametrize("names", [V5, V2])
def test_a_syn_is_a_request_whatever_the_ports(tmp_path: Path, ports: range, names: tuple[str, ...]) -> None:
    rows = [flow(f"10.0.0.5:{port}", "10.0.1.5:32770", action="REJECT", tcp_flags=SYN) for port in ports]
    finding = one(said(tmp_path, rows, names), "FLOW-REJECT-CLUSTER")
    assert (finding.status, finding.evidence["sources"], finding.evidence["port"]) == ("confirmed", ["10.0.0.5"], 32770)
    assert "replies" not in finding.claim
    assert "-p source 10.0.0.5 -p destination 10.0.1.5 -p protocol tcp -p port 32770" in finding.next_step


@pytest.mark.parametrize(
    ("client", "server", "flags", "names", "known"),
    [
        ("203.0.113.7:1500", "10.0.2.5:5432", (3, 19), V5, "tcp-flags"),
        ("10.0.7.7:1024", "10.0.2.5:65000", (SYN, SYN_ACK), V5, "tcp-flags"),
        ("10.0.7.7:1025", "10.0.2.5:443", (0, 0), V5, "port"),
        ("10.0.7.7:700", "10.0.2.5:2049", (SYN, SYN_ACK), V5, "tcp-flags"),
    ],
)
def test_the_server_is_the_end_that_was_asked(
    tmp_path: Path, client: str, server: str, flags: tuple[int, int], names: tuple[str, ...], known: str
) -> None:
    rows = [flow(client, server, tcp_flags=flags[0]), flow(server, client, tcp_flags=flags[1])]
    (row,) = flowlogs.open(write(tmp_path / "f.log", rows, names)).query("conversations").to_dict("records")
    assert f"{row['server']}:{row['server_port']}" == server
    assert row["known_by"] == known


def test_a_connection_whose_beginning_was_not_seen_follows_others_to_the_same_port(tmp_path: Path) -> None:
    rows = [
        flow("10.0.7.7:1500", "10.0.2.5:8443", tcp_flags=SYN),
        flow("10.0.2.5:8443", "10.0.7.7:1500", tcp_flags=SYN_ACK),
    ]
    rows.append(flow("10.0.2.5:8443", "10.0.8.8:1600", tcp_flags=0))
    found = flowlogs.open(write(tmp_path / "f.log", rows, V5)).query("conversations")
    assert set(found["server"]) == {"10.0.2.5"}
    assert set(found["known_by"]) == {"tcp-flags"}


def test_fan_in_tells_without_flags_and_one_connection_does_not(tmp_path: Path) -> None:
    many = [flow(f"10.0.101.130:{1500 + n}", "10.0.1.249:31495") for n in range(5)]
    alone = [flow("10.0.5.5:40000", "10.0.6.6:50000")]
    found = flowlogs.open(write(tmp_path / "f.log", [*many, *alone])).query("conversations").set_index("server_port")
    assert (found.loc[31495, "server"], found.loc[31495, "known_by"]) == ("10.0.1.249", "fan-in")
    assert found.loc[40000, "known_by"] == "none"


def test_where_nobody_knows_who_asked_nothing_is_confirmed(tmp_path: Path) -> None:
    rows = [flow("10.0.0.5:40000", "10.0.1.5:50000", action="REJECT", minute=n) for n in range(12)]
    finding = one(said(tmp_path, rows), "FLOW-REJECT-CLUSTER")
    assert finding.status == "inconclusive"
    assert "who asked is not known" in finding.claim


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is not here: the real EKS flow logs are read from it")
def test_health_checks_of_a_real_cluster_are_the_right_way_round() -> None:
    found = flowlogs.open(SHARED / "flowlogs/eks_cloudwatch_export.gz").query("conversations")
    checked = found[(found["protocol"] == 6) & (found["connections"] >= 10)]
    turned = checked[
        (checked["client"].isin(("10.0.101.130", "10.0.102.233"))) & checked["server_port"].isin((31495, 32315))
    ]
    assert len(turned) >= 5
    # Nobody's ephemeral port is taken for a server's: each conversation of the checks is one row, and not one a client port.
    ports = set(found[(found["server"] == "10.0.101.130") & (found["protocol"] == 6)]["server_port"])
    assert not [port for port in ports if port > 32767]


# ------------------------------------------------------------------------------------------------------------ way out


@pytest.mark.parametrize(
    ("target", "names"),
    [("52.1.1.1:443", V2), ("8.8.8.8:853", V5), ("203.0.113.9:5432", V2), ("[2a00:1450::1]:443", V5)],
)
def test_our_own_hosts_blocked_way_out_is_a_finding_with_a_command(
    tmp_path: Path, target: str, names: tuple[str, ...]
) -> None:
    source = "[fd00::5]" if target.startswith("[") else "10.0.1.5"
    rows = [
        flow(f"{source}:{40000 + n}", target, action="REJECT", tcp_flags=SYN, flow_direction="egress")
        for n in range(60)
    ]
    finding = one(said(tmp_path, rows, names), "FLOW-REJECT-CLUSTER")
    if target.startswith("["):
        assert finding.status == "inconclusive"  # that IPv6 address may be ours in another VPC
        return
    address, port = target.rsplit(":", 1)
    assert (finding.status, finding.severity, finding.evidence["kind"]) == ("confirmed", "high", "outward")
    assert f"-p source 10.0.1.5 -p destination {address} -p protocol tcp -p port {port}" in finding.next_step
    assert "seen at the sender: its security group or its outbound network ACL" in finding.claim


def test_a_way_out_that_is_closed_to_many_is_one_finding(tmp_path: Path) -> None:
    rows = [flow(f"10.0.1.5:{40000 + n}", f"52.1.1.{n}:443", action="REJECT") for n in range(1, 31)]
    finding = one(said(tmp_path, rows), "FLOW-REJECT-CLUSTER")
    assert (finding.evidence["kind"], finding.evidence["rejected"], len(finding.evidence["targets"])) == (
        "outward",
        30,
        30,
    )


# ---------------------------------------------------------------------------------------- ICMP, reasons, IPv6, names


@pytest.mark.parametrize(("protocol", "seconds"), [(1, 77), (1, 0), (47, 5)])
def test_an_accepted_ping_with_a_rejected_reply_is_a_network_acl(tmp_path: Path, protocol: int, seconds: int) -> None:
    """Amazon VPC User Guide, "Security group and network ACL rules": the very two records."""
    rows = [
        flow("203.0.113.12", "172.31.16.139", protocol=protocol, packets=4),
        flow(
            "172.31.16.139",
            "203.0.113.12",
            protocol=protocol,
            packets=4,
            action="REJECT",
            start=T0 + seconds,
            end=T0 + 142,
        ),
    ]
    finding = one(said(tmp_path, rows), "FLOW-RETURN-PATH-DEAD")
    assert finding.status == "confirmed"
    assert "network ACL" in finding.claim
    assert "outbound" in finding.claim
    assert (finding.evidence["client"], finding.evidence["server"]) == ("203.0.113.12", "172.31.16.139")


@pytest.mark.parametrize(("reason", "says"), [("BPA", "VPC Block Public Access"), ("EC", "encryption controls")])
@pytest.mark.parametrize(("source", "severity"), [("10.0.1.9", "high"), ("203.0.113.9", "info")])
def test_a_reason_in_the_log_is_read(tmp_path: Path, reason: str, says: str, source: str, severity: str) -> None:
    rows = [flow(f"{source}:{40000 + n}", "10.0.1.5:443", action="REJECT", reject_reason=reason) for n in range(60)]
    finding = one(said(tmp_path, rows, (*V2, "reject-reason")), "FLOW-REJECT-CLUSTER")
    assert says in finding.claim
    assert "a security group or the inbound network ACL" not in finding.claim
    assert (finding.severity, finding.evidence["reason"]) == (severity, reason)


@pytest.mark.parametrize(
    ("source", "status"),
    [("2600:1f18:1:a::10", "confirmed"), ("2600:1f18:1:ff::10", "confirmed"), ("2600:1f18:1:10a::10", "inconclusive")],
)
def test_ipv6_of_the_vpcs_own_block_is_inside_and_elsewhere_nobody_knows(
    tmp_path: Path, source: str, status: str
) -> None:
    rows = [flow(f"[{source}]:{40000 + n}", "[2600:1f18:1:b::20]:5432", action="REJECT") for n in range(60)]
    assert one(said(tmp_path, rows), "FLOW-REJECT-CLUSTER").status == status


def test_with_an_inventory_ipv6_is_inside_or_outside() -> None:
    book = AddressBook([Name("2600:1f18:1:b::20", "db", "instance", "eni-b", known_from="inventory")])
    assert book.sides("2600:1f18:1:a::10", "2600:1f18:1:b::20") == ("inside", "inside")
    assert book.sides("2a00:1450::1", "2600:1f18:1:b::20") == ("outside", "inside")


def test_health_checks_at_a_fixed_beat_name_a_load_balancer(tmp_path: Path) -> None:
    def probes(source: str, targets: list[str], times: int) -> list[dict[str, Any]]:
        return [
            flow(f"{source}:{2000 + 7 * n}", f"{target}:31495", interface_id=f"eni-{source}", packets=4, minute=n)
            for target in targets
            for n in range(times)
        ]

    uneven = [
        flow(f"10.0.3.3:{3000 + n}", f"10.0.1.{1 + n % 2}:31500", interface_id="eni-10.0.3.3", packets=4 + n * 9)
        for n in range(30)
    ]
    rows = [*probes("10.0.101.130", ["10.0.1.1", "10.0.1.2"], 15), *probes("10.0.102.9", ["10.0.1.1"], 15), *uneven]
    book = ask.address_book(flowlogs.open(write(tmp_path / "f.log", rows)))
    assert book.get("10.0.101.130").kind == "load balancer"
    assert "load balancer" not in {book.get(address).kind for address in ("10.0.102.9", "10.0.3.3")}


def test_through_a_transit_gateway_the_packets_own_address_is_read_and_not_guessed(tmp_path: Path) -> None:
    """Amazon VPC User Guide, "Traffic through a transit gateway": the attachment's interface shows its own address."""
    rows = [
        *(flow(f"10.1.1.5:{40000 + n}", "10.0.2.5:5432", interface_id="eni-a", instance_id="i-a") for n in range(20)),
        *(
            flow(
                f"10.1.1.5:{40000 + n}",
                "10.0.9.5:5432",
                pkt_dstaddr="10.0.2.5",
                interface_id="eni-tgw",
                action="REJECT",
            )
            for n in range(20)
        ),
        *(
            flow("10.0.2.5:5432", "10.0.9.5:39000", pkt_dstaddr="10.1.1.5", interface_id="eni-tgw", minute=n)
            for n in range(3)
        ),
    ]
    finding = one(said(tmp_path, rows, V5), "FLOW-REJECT-CLUSTER")
    assert "carries as well" not in finding.claim
    assert "the packets were sent to 10.0.2.5" in finding.claim


def test_a_pods_address_is_named_by_the_fact_where_the_log_has_it(tmp_path: Path) -> None:
    rows = [
        flow(f"10.0.9.9:{40000 + n}", "10.0.1.249:8080", pkt_dstaddr="10.0.1.16", instance_id="i-node")
        for n in range(3)
    ]
    rows += [flow(f"10.0.8.8:{40000 + n}", "10.0.1.249:22", instance_id="i-node") for n in range(3)]
    book = ask.address_book(flowlogs.open(write(tmp_path / "f.log", rows, V5)))
    assert book.get("10.0.1.16").kind == "pod or second address"


def test_an_interface_that_spoke_with_one_other_only_is_not_given_an_address_by_chance() -> None:
    own = find_query("interface_addresses")
    frame = own.typed(
        pd.DataFrame([{"interface_id": "eni-a", "own_address": "10.0.1.5", "records": 3, "share": 1.0, "sure": 0}])
    )
    rewrites = find_query("address_rewrites").typed(pd.DataFrame())
    assert from_log(frame, rewrites) == []


# ---------------------------------------------------------------------------------------------------- refused replies


def replies(count: int, refused: int, side: str, **more: Any) -> list[dict[str, Any]]:
    """Connections of 10.0.1.5 to 10.0.2.5:443, accepted at both ends; of `refused` the reply is rejected at one side."""
    rows = []
    for n in range(count):
        client, server = f"10.0.1.5:{40000 + n}", "10.0.2.5:443"
        bad = n < refused
        rows += [
            flow(client, server, interface_id="eni-client", flow_direction="egress", tcp_flags=SYN, **more),
            flow(client, server, interface_id="eni-server", flow_direction="ingress", tcp_flags=SYN, **more),
            flow(server, client, interface_id="eni-server", flow_direction="egress", tcp_flags=SYN_ACK, action="REJECT" if bad and side == "server" else "ACCEPT", **more),
        ]  # fmt: skip
        if not (bad and side == "server"):
            rows.append(
                flow(server, client, interface_id="eni-client", flow_direction="ingress", tcp_flags=SYN_ACK, action="REJECT" if bad else "ACCEPT", **more)
            )  # fmt: skip
    # Other traffic tells which address each interface has.
    return [
        *rows,
        flow("10.0.1.5:50000", "10.0.3.3:80", interface_id="eni-client"),
        flow("10.0.3.3:51000", "10.0.2.5:80", interface_id="eni-server"),
    ]


@pytest.mark.parametrize("names", [V5, V2])
@pytest.mark.parametrize(
    ("side", "acl"),
    [
        ("client", "inbound network ACL of the client's subnet"),
        ("server", "outbound network ACL of the server's subnet"),
    ],
)
def test_the_side_that_refuses_is_that_of_the_record(
    tmp_path: Path, names: tuple[str, ...], side: str, acl: str
) -> None:
    finding = one(said(tmp_path, replies(12, 12, side), names), "FLOW-RETURN-PATH-DEAD")
    assert (finding.status, finding.severity) == ("confirmed", "high")
    assert finding.evidence["network_acl"] == acl
    assert acl in finding.claim
    assert finding.evidence["interface"] == f"eni-{side}"


@pytest.mark.parametrize("names", [V5, V2])
def test_half_of_all_replies_is_a_finding_over_many_servers(tmp_path: Path, names: tuple[str, ...]) -> None:
    """aws/amazon-vpc-cni-k8s#1893: a network ACL that lets 32768-65535 through refuses the replies to the lower half of 1024-65535."""
    rows = []
    for n in range(24):
        client, server = f"10.0.1.5:{20000 + 1000 * n}", f"52.1.1.{n}:443"
        rows += [
            flow(client, server, tcp_flags=SYN, flow_direction="egress"),
            flow(server, client, tcp_flags=SYN_ACK, flow_direction="ingress", action="REJECT" if n % 2 else "ACCEPT"),
        ]
    found = said(tmp_path, rows, names)
    finding = one(found, "FLOW-RETURN-PATH-DEAD")
    assert (finding.evidence["connections"], finding.evidence["answered"], len(finding.evidence["servers"])) == (
        12,
        12,
        12,
    )
    assert "12 of 24 connections (50 %)" in finding.claim
    assert "rejected replies" not in absent(found)


def test_late_packets_of_answered_connections_are_no_dead_way_back(tmp_path: Path) -> None:
    rows = []
    for n in range(40):
        client, server = f"10.0.1.5:{40000 + n}", "10.0.2.5:443"
        rows += [
            flow(client, server, tcp_flags=3), flow(server, client, tcp_flags=19), flow(server, client, tcp_flags=RST, action="REJECT", minute=3, packets=1)
        ]  # fmt: skip
    found = said(tmp_path, rows, V5)
    assert codes(found) == set()


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is not here: incidents of another hand are read from it")
def test_the_network_acls_of_the_incidents_are_placed_and_no_other_incident_has_one() -> None:
    answers = json.loads((SHARED / "incidents/answers.json").read_text())
    for case, answer in answers.items():
        logs = sorted((SHARED / "incidents" / case / "flow_logs").glob("*.gz"))
        if not logs:
            continue
        found = investigate(flowlogs.open(str(SHARED / "incidents" / case / "flow_logs")))
        dead = [
            finding for finding in found if finding.code == "FLOW-RETURN-PATH-DEAD" and finding.status == "confirmed"
        ]
        assert bool(dead) == (answer["cause"] == "nacl-denies-reply"), (
            case,
            answer["cause"],
            [str(finding) for finding in dead],
        )


# ------------------------------------------------------------------------------------------------------------ coverage


def skipped(interface: str, minutes: range) -> list[dict[str, Any]]:
    return [
        {"version": 2, "account-id": "123456789012", "interface-id": interface, "start": T0 + 60 * n, "end": T0 + 60 * n + 59, "log-status": "SKIPDATA"}
        for n in minutes
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("interface", "minutes", "severity"), [("eni-busy", 60, "high"), ("eni-quiet", 1, "low"), ("eni-busy", 9, "medium")]
)
def test_a_gap_is_as_severe_as_what_it_hides(tmp_path: Path, interface: str, minutes: int, severity: str) -> None:
    busy = [flow(f"10.0.1.5:{40000 + n}", "10.0.2.5:443", interface_id="eni-busy", minute=n % 60) for n in range(600)]
    quiet = [flow(f"10.0.1.9:{40000 + n}", "10.0.2.5:443", interface_id="eni-quiet", minute=n) for n in range(0, 60, 5)]
    found = said(tmp_path, [*busy, *quiet, *skipped(interface, range(minutes))])
    assert one(found, "FLOW-COVERAGE-GAP").severity == severity


def test_a_window_of_another_day_is_said_and_nothing_is_refuted(tmp_path: Path) -> None:
    path = write(tmp_path / "f.log", [flow("10.0.1.5:40000", "10.0.2.5:443")])
    found = investigate(flowlogs.open(path, window=Window.parse("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z")))
    (finding,) = found
    assert (finding.code, finding.status) == ("FLOW-COVERAGE-GAP", "inconclusive")
    assert "2023-11-14 22:20Z" in finding.claim
    assert "window_start 2023-11-14T22:20:00Z" in finding.next_step


def test_a_log_without_log_status_is_asked_and_that_is_said(tmp_path: Path) -> None:
    names = tuple(name for name in V2 if name != "log-status")
    rows = [flow(f"10.0.9.9:{40000 + n}", "10.0.1.5:443", action="REJECT") for n in range(12)]
    rows.append({"version": 2, "account-id": "123456789012", "interface-id": "eni-a", "start": T0, "end": T0 + 59})
    logs = flowlogs.open(write(tmp_path / "f.log", rows, names))
    assert len(logs.names()) >= len(flowlogs.open(write(tmp_path / "g.log", rows, V2)).names())
    assert logs.query("rejected_connections")["reject_count"].sum() == 12
    found = investigate(logs)
    assert one(found, "FLOW-REJECT-CLUSTER").evidence["rejected"] == 12
    assert "no log-status" in one(found, "FLOW-COVERAGE-GAP").claim
    assert {finding.status for finding in found if finding.code == "FLOW-NOTHING-FOUND"} == {"inconclusive"}


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is not here: the Transit Gateway record is read from it")
def test_what_a_transit_gateway_lost_is_found_by_cause() -> None:
    found = investigate(flowlogs.open(SHARED / "flowlogs/valid_tgw_flow_log.log"))
    lost = {finding.evidence["cause"]: finding for finding in found if finding.code == "FLOW-TGW-LOST"}
    assert {cause: finding.evidence["packets_lost"] for cause, finding in lost.items()} == {
        "no-route": 1, "blackhole": 2, "mtu-exceeded": 3, "ttl-expired": 4,
    }  # fmt: skip
    assert all(
        finding.status == "confirmed" and finding.subject == ("tgw-attach-0abc12345def67890",)
        for finding in lost.values()
    )
    assert absent(found) == []
