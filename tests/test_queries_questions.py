"""Six questions of an engineer, each counted by hand on few records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlglot
from little_flows import T0, V2, V5, flow, write
from sqlglot import exp

from netkit import flowlogs
from netkit.core.errors import InputError, SourceError
from netkit.flowlogs.catalog import catalogue
from netkit.flowlogs.names import AddressBook, Name
from netkit.investigate import flow_logs as ask

SYN, SYN_ACK, RST = 2, 18, 4
V5_ALL = (*V5, "pkt-src-aws-service", "pkt-dst-aws-service", "az-id")


def opened(folder: Path, rows: list[dict[str, Any]], names: tuple[str, ...] = V5_ALL) -> flowlogs.FlowLogs:
    return flowlogs.open(write(folder / "flow.log", rows, names))


def test_connections_to_a_port_that_failed_since_a_time(tmp_path: Path) -> None:
    server = "10.0.2.5:5432"
    rows = [
        *(flow(f"10.0.1.7:{40000 + n}", server, tcp_flags=SYN, action="REJECT", minute=5) for n in range(3)),
        *(flow(f"10.0.1.7:{41000 + n}", server, tcp_flags=SYN, minute=6) for n in range(2)),
        flow("10.0.1.7:42000", server, tcp_flags=SYN, minute=7), flow(server, "10.0.1.7:42000", tcp_flags=RST, minute=7),
        flow("10.0.1.7:43000", server, tcp_flags=SYN, minute=7), flow(server, "10.0.1.7:43000", tcp_flags=SYN_ACK, action="REJECT", minute=7),
        flow("10.0.1.7:44000", server, tcp_flags=3, minute=7), flow(server, "10.0.1.7:44000", tcp_flags=19, minute=7),
        flow("10.0.1.7:44000", server, tcp_flags=RST, action="REJECT", minute=8),  # late, so no failure
        flow("10.0.1.8:40000", server, tcp_flags=SYN, action="REJECT", minute=0),
        flow("10.0.1.7:45000", "10.0.2.5:443", tcp_flags=SYN, action="REJECT", minute=5),
    ]  # fmt: skip
    logs = opened(tmp_path, rows)
    row = logs.query("failed_connections", server_port=5432, peer="10.0.1.7").to_dict("records")[0]
    counts = {
        name: row[name] for name in ("connections", "failed", "rejected", "reply_rejected", "refused", "unanswered")
    }
    assert counts == {"connections": 8, "failed": 7, "rejected": 3, "reply_rejected": 1, "refused": 1, "unanswered": 2}
    assert set(logs.query("failed_connections", server_port=5432)["client"]) == {"10.0.1.7", "10.0.1.8"}
    assert set(logs.query("failed_connections", server_port=5432, since=T0 + 60)["client"]) == {"10.0.1.7"}
    assert logs.query("failed_connections", server_port=6379).empty


def nat() -> list[dict[str, Any]]:
    """A host fetches from S3 through a NAT gateway: four records of the gateway and two of the host (User Guide, "Traffic through a NAT gateway")."""
    s3, host, own = "52.216.8.10", "10.0.1.5", "10.0.0.220"
    to, back = {"pkt_dst_aws_service": "S3"}, {"pkt_src_aws_service": "S3"}
    return [
        flow(
            f"{host}:40000",
            f"{s3}:443",
            interface_id="eni-host",
            instance_id="i-1",
            flow_direction="egress",
            bytes=1000,
            **to,
        ),
        flow(
            f"{s3}:443",
            f"{host}:40000",
            interface_id="eni-host",
            instance_id="i-1",
            flow_direction="ingress",
            bytes=9000,
            **back,
        ),
        flow(
            f"{host}:40000",
            f"{own}:443",
            interface_id="eni-nat",
            flow_direction="ingress",
            pkt_dstaddr=s3,
            bytes=1000,
            **to,
        ),
        flow(
            f"{own}:51000",
            f"{s3}:443",
            interface_id="eni-nat",
            flow_direction="egress",
            traffic_path=8,
            bytes=1000,
            **to,
        ),
        flow(f"{s3}:443", f"{own}:51000", interface_id="eni-nat", flow_direction="ingress", bytes=9000, **back),
        flow(
            f"{own}:443",
            f"{host}:40000",
            interface_id="eni-nat",
            flow_direction="egress",
            pkt_srcaddr=s3,
            bytes=9000,
            **back,
        ),
    ]


def test_nat_traffic_to_a_service_without_interface_type(tmp_path: Path) -> None:
    direct = flow(
        "10.0.1.6:40000", "52.216.8.11:443", flow_direction="egress", traffic_path=7, pkt_dst_aws_service="S3", bytes=50
    )
    unlogged = flow("10.0.1.9:40000", "52.216.8.11:443", flow_direction="egress", pkt_dst_aws_service="S3", bytes=70)
    found = opened(tmp_path, [*nat(), direct, unlogged]).query("nat_to_service").to_dict("records")
    shown = {(row["host"], row["seen_at"], row["bytes_sent"], row["bytes_back"]) for row in found}
    assert ("10.0.1.5", "gateway", 1000, 9000) in shown
    assert ("10.0.1.9", "host", 70, 0) in shown
    assert {row["host"] for row in found} == {"10.0.1.5", "10.0.1.9"}
    assert len(found) == 2


def test_bytes_to_one_host_are_a_row_a_peer_and_not_repeated_at_the_nat_gateway(tmp_path: Path) -> None:
    more = [
        flow(f"10.0.1.5:{41000 + n}", "10.0.2.5:5432", interface_id=one, bytes=10)
        for n in range(30)
        for one in ("eni-host", "eni-db")
    ]
    logs = opened(tmp_path, [*nat(), *more])
    book = AddressBook([Name("10.0.0.220", "nat", "nat gateway", "eni-nat")])
    found = ask.host_bytes(logs, book, "10.0.1.5").set_index("peer")
    assert found["bytes_from_host"].to_dict() == {"52.216.8.10": 1000, "10.0.2.5": 300}
    assert found["bytes_to_host"].to_dict() == {"52.216.8.10": 9000, "10.0.2.5": 0}
    outside = ask.host_bytes(opened(tmp_path, nat(), V2), book, "52.216.8.10")
    assert outside[["peer", "bytes_to_host", "bytes_from_host"]].values.tolist() == [["10.0.1.5", 1000, 9000]]


def test_traffic_between_zones_and_its_cost(tmp_path: Path) -> None:
    ends = [("eni-a", "egress", "use1-az1"), ("eni-b", "ingress", "use1-az2")]
    crossing = [
        flow("10.0.1.5:40000", "10.0.2.5:443", interface_id=one, flow_direction=way, az_id=zone, bytes=10**9)
        for one, way, zone in ends
    ]
    within = [
        flow("10.0.1.5:40001", "10.0.1.6:443", interface_id=one, flow_direction=way, az_id="use1-az1")
        for one, way, _ in ends
    ]
    (row,) = opened(tmp_path, [*crossing, *within]).query("cross_zone_traffic").to_dict("records")
    assert (row["zone_from"], row["zone_to"], row["bytes"], row["cost_usd"]) == (
        "use1-az1",
        "use1-az2",
        10**9,
        pytest.approx(0.02),
    )
    plain = opened(tmp_path, [*crossing, *within], V2)
    (told,) = ask.cross_zone(plain, {"10.0.1.0/24": "use1-az1", "10.0.2.0/24": "use1-az2"}).to_dict("records")
    assert (told["zone_client"], told["zone_server"], told["bytes"], told["cost_usd"]) == (
        "use1-az1",
        "use1-az2",
        10**9,
        0.02,
    )
    with pytest.raises(SourceError, match="az-id"):
        ask.cross_zone(plain)
    with pytest.raises(InputError):
        ask.cross_zone(plain, {"subnet-1": "use1-az1"})


def test_a_way_out_and_another_back(tmp_path: Path) -> None:
    there = flow("10.0.1.5:40000", "10.0.2.5:443", interface_id="eni-1")
    back = flow("10.0.2.5:443", "10.0.1.5:40000", interface_id="eni-2", bytes=900)
    whole = [flow("10.0.1.6:40000", "10.0.2.5:443"), flow("10.0.2.5:443", "10.0.1.6:40000")]
    (row,) = opened(tmp_path, [there, back, *whole]).query("asymmetric_flows").to_dict("records")
    assert (row["client"], row["out_interface"], row["back_interface"], row["bytes_back"]) == (
        "10.0.1.5",
        "eni-1",
        "eni-2",
        900,
    )


def test_traffic_to_what_fell_silent(tmp_path: Path) -> None:
    rows = [flow("10.0.1.5:40000", "10.0.2.5:443", minute=n, packets=1) for n in range(30)]
    rows += [flow("10.0.2.5:443", "10.0.1.5:40000", minute=n) for n in range(5)]
    rows += [flow("10.0.1.5:40001", "10.0.2.6:443", minute=n) for n in range(30)]
    rows += [flow("10.0.2.6:443", "10.0.1.5:40001", minute=n) for n in range(30)]
    (row,) = ask.gone_interfaces(opened(tmp_path, rows)).to_dict("records")
    assert (row["address"], row["sources"], row["packets_since"], row["last_heard"]) == (
        "10.0.2.5",
        1,
        25,
        T0 + 4 * 60 + 59,
    )
    assert row["gone"] is None or row["gone"] != row["gone"]  # nobody to ask: silent is all that is known


def test_long_connections_over_all_interfaces(tmp_path: Path) -> None:
    rows = [
        flow("10.0.1.5:40000", "10.0.2.5:5432", minute=n, interface_id="eni-a" if n < 60 else "eni-b")
        for n in range(90)
    ]
    rows += [flow("10.0.1.5:40001", "10.0.2.5:5432", minute=n) for n in range(3)]
    (row,) = opened(tmp_path, rows).query("long_connections", min_seconds=3600).to_dict("records")
    assert (row["client_port"], row["seconds"], row["interfaces"]) == (40000, 90 * 60 - 1, 2)


@pytest.mark.parametrize(
    ("code", "path"),
    [
        (1, "another resource of the VPC"), (2, "internet gateway or gateway endpoint"), (3, "virtual private gateway"), (4, "peering"),
        (5, "peering to another region"), (6, "local gateway"), (7, "gateway endpoint"), (8, "internet gateway"), ("-", "NAT gateway or other"),
    ],
)  # fmt: skip
def test_each_traffic_path_has_its_name(tmp_path: Path, code: Any, path: str) -> None:
    """Amazon VPC User Guide, "Flow log records", traffic-path."""
    logs = opened(tmp_path, [flow("10.0.1.5:40000", "52.1.1.1:443", flow_direction="egress", traffic_path=code)])
    (row,) = logs.query("egress_by_destination").to_dict("records")
    assert row["path"] == path
    if isinstance(code, int):
        from netkit.flowlogs import findings

        assert findings.nat_costs(logs.query("egress_by_destination"), AddressBook()).empty


@pytest.mark.parametrize("name", catalogue())
def test_each_query_scans_the_log_once(name: str) -> None:
    """Trino runs a common table expression once for every reference, so one reference each is one scan."""
    query = catalogue()[name]
    tree = sqlglot.parse_one(query.sql, read="trino")
    used: dict[str, int] = {}
    for table in tree.find_all(exp.Table):
        used[table.name] = used.get(table.name, 0) + 1
    assert used.get("flows") == 1
    assert {one: count for one, count in used.items() if count > 1} == {}
