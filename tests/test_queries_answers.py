"""What the queries answer: counted by plain Python on real records, and by hand on few."""

from __future__ import annotations

import gzip
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from netkit import flowlogs
from netkit.core.model import Window
from netkit.flowlogs import FlowLogs
from netkit.flowlogs.fields import DEFAULT_V2, INVESTIGATION

EKS = Path(__file__).parent.parent / ".." / "shared" / "data" / "flowlogs" / "eks_cloudwatch_export.gz"
T0 = 1700000000  # 2023-11-14T22:13:20Z
HOUR = Window.parse("2023-11-14T22:13:20Z", "2023-11-14T23:13:20Z")
CLIENT, SERVER, NAT, OUT, SECOND = "10.0.1.10", "10.0.2.20", "10.0.0.5", "203.0.113.7", "10.0.3.30"


# ------------------------------------------------------------------------------- real records, counted by plain Python


@pytest.fixture(scope="module")
def eks() -> FlowLogs:
    if not EKS.exists():
        pytest.skip("../shared/data is not here")
    return flowlogs.open(EKS)


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    """The OK records of the EKS export, read without netkit."""
    if not EKS.exists():
        pytest.skip("../shared/data is not here")
    found = []
    for line in gzip.decompress(EKS.read_bytes()).decode().splitlines():
        row: dict[str, Any] = dict(zip(DEFAULT_V2, line.split()[1:], strict=True))
        if row["log-status"] == "OK":
            found.append(
                row
                | {
                    name: int(row[name])
                    for name in ("srcport", "dstport", "protocol", "packets", "bytes", "start", "end")
                }
            )
    return found


def grouped(records: list[dict[str, Any]], *keys: str) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for one in records:
        groups[tuple(one[key] for key in keys)].append(one)
    return groups


def total(rows: list[dict[str, Any]], key: str) -> int:
    return sum(row[key] for row in rows)


def requests(records: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    """The directed 5-tuples that go to the server, of records without tcp-flags, by plain counting: a port below 1024, else fan-in, else time
    for protocols without ports, else the lower port."""
    tuples = {(one["protocol"], one["srcaddr"], one["srcport"], one["dstaddr"], one["dstport"]) for one in records}
    to, out = defaultdict(set), defaultdict(set)
    first: dict[tuple[Any, ...], int] = {}
    for protocol, source, sport, destination, dport in tuples:
        to[protocol, destination, dport].add(sport)
        out[protocol, source, sport].add(dport)
    for one in records:
        key = (one["protocol"], one["srcaddr"], one["srcport"], one["dstaddr"], one["dstport"])
        first[key] = min(first.get(key, one["start"]), one["start"])

    def many(protocol: int, source: str, sport: int, destination: str, dport: int) -> tuple[bool, bool]:
        """Whether the destination, and whether the source, sees many ports of the other."""
        there, here = len(to[protocol, destination, dport]), len(out[protocol, source, sport])
        return there >= 3 and there >= 2 * here, here >= 3 and here >= 2 * there

    def asks(protocol: int, source: str, sport: int, destination: str, dport: int) -> bool:
        back = (protocol, destination, dport, source, sport)
        if protocol not in (6, 17, 132):
            here, there = first[protocol, source, sport, destination, dport], first.get(back)
            return (dport, destination) < (sport, source) if here == there else there is None or here < there
        if (sport < 1024) != (dport < 1024) and 2049 not in (sport, dport):
            return dport < 1024
        forward = many(protocol, source, sport, destination, dport)
        backward = many(*back) if back in tuples else (False, False)
        up, down = forward[0] or backward[1], forward[1] or backward[0]
        return up if up != down else (dport, destination) < (sport, source)

    return {one for one in tuples if asks(*one)}


def rows_of(frame: Any, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in frame[list(columns)].itertuples(index=False)]


def test_top_talkers(eks: FlowLogs, records: list[dict[str, Any]]) -> None:
    groups = grouped([one for one in records if one["action"] == "ACCEPT"], "srcaddr", "dstaddr")
    expected = sorted(
        ((-total(rows, "bytes"), *key, total(rows, "packets"), len(rows)) for key, rows in groups.items())
    )[:10]
    found = eks.query("top_talkers")
    assert rows_of(found, "srcaddr", "dstaddr", "bytes", "packets", "flow_records") == [
        (a, b, -size, n, m) for size, a, b, n, m in expected
    ]
    assert (found["connection_count"] == found["flow_records"]).all()


def test_rejected_connections(eks: FlowLogs, records: list[dict[str, Any]]) -> None:
    keys = ("srcaddr", "dstaddr", "dstport", "protocol", "interface-id")
    groups = grouped([one for one in records if one["action"] == "REJECT"], *keys)
    expected = {
        key: (
            len(rows),
            total(rows, "packets"),
            total(rows, "bytes"),
            min(row["start"] for row in rows),
            max(row["end"] for row in rows),
        )
        for key, rows in groups.items()
    }
    found = eks.query("rejected_connections", limit=100_000)
    assert len(found) == len(expected)
    for row in found.itertuples():
        key = (row.srcaddr, row.dstaddr, row.dstport, row.protocol, row.interface_id)
        assert expected[key] == (row.reject_count, row.packets, row.bytes, row.first_seen, row.last_seen)
    assert found["reject_count"].is_monotonic_decreasing
    assert found["reject_count"].sum() == 387


def test_interface_performance_is_weighted_by_packets(eks: FlowLogs, records: list[dict[str, Any]]) -> None:
    groups = grouped(records, "interface-id")
    found = eks.query("interface_performance")
    assert len(found) == len(groups)
    for row in found.itertuples():
        rows = groups[row.interface_id,]
        span = max(one["end"] for one in rows) - min(one["start"] for one in rows)
        assert row.avg_packet_bytes == pytest.approx(total(rows, "bytes") / total(rows, "packets"))
        assert row.bits_per_s == pytest.approx(total(rows, "bytes") * 8 / span)


def test_timeline(eks: FlowLogs, records: list[dict[str, Any]]) -> None:
    groups: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for one in records:
        groups[one["start"] // 60 * 60, one["action"]].append(one)
    expected = sorted((*key, len(rows), total(rows, "packets"), total(rows, "bytes")) for key, rows in groups.items())
    assert rows_of(eks.query("timeline", bucket_s=60), "bucket", "action", "records", "packets", "bytes") == expected


def test_conversations_count_each_flow_at_one_interface(eks: FlowLogs, records: list[dict[str, Any]]) -> None:
    """Per conversation only the interface with most packets counts, so nothing is doubled and nothing else is added."""
    per: dict[tuple[Any, ...], dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0, 0]))
    asking = requests(records)
    for one in records:
        if one["action"] != "ACCEPT":
            continue
        outward = (one["protocol"], one["srcaddr"], one["srcport"], one["dstaddr"], one["dstport"]) in asking
        near, far = ("srcaddr", "dstaddr") if outward else ("dstaddr", "srcaddr")
        port = one["dstport"] if outward else one["srcport"]
        sums = per[one[near], one[far], one["protocol"], port][one["interface-id"]]
        place = 0 if outward else 1
        sums[place] += one["bytes"]
        sums[place + 2] += one["packets"]
    found = eks.query("conversations")
    assert len(found) == len(per)
    for row in found.itertuples():
        seen = per[row.client, row.server, row.protocol, row.server_port]
        best = min(seen, key=lambda name: (-seen[name][2] - seen[name][3], name))
        assert (row.interface_id, row.interfaces) == (best, len(seen))
        assert [row.bytes_out, row.bytes_back, row.packets_out, row.packets_back] == seen[best]
    everywhere = sum(one["bytes"] for one in records if one["action"] == "ACCEPT")
    assert found["bytes_out"].sum() + found["bytes_back"].sum() < everywhere


def test_port_scan_host_sweep_and_reject_counts(eks: FlowLogs, records: list[dict[str, Any]]) -> None:
    rejected = [one for one in records if one["action"] == "REJECT"]
    tried = [one for one in rejected if not (one["srcport"] < 1024 and one["dstport"] >= 32768)]
    ports = {key[0]: len({row["dstport"] for row in rows}) for key, rows in grouped(tried, "srcaddr").items()}
    found = eks.query("port_scan", min_ports=3, limit=1000)
    assert dict(rows_of(found, "srcaddr", "ports")) == {source: count for source, count in ports.items() if count >= 3}
    hosts = {
        key: len({row["dstaddr"] for row in rows})
        for key, rows in grouped(tried, "srcaddr", "protocol", "dstport").items()
    }
    swept = eks.query("host_sweep", min_hosts=2, limit=1000)
    assert {row[:3]: row[3] for row in rows_of(swept, "srcaddr", "protocol", "dstport", "hosts")} == {
        key: n for key, n in hosts.items() if n >= 2
    }
    by_port = {key: len(rows) for key, rows in grouped(rejected, "dstport", "protocol").items()}
    assert {
        row[:2]: row[2] for row in rows_of(eks.query("rejects_by_port", limit=9999), "dstport", "protocol", "records")
    } == by_port
    by_target = {key: len(rows) for key, rows in grouped(rejected, "dstaddr", "interface-id").items()}
    assert {
        row[:2]: row[2]
        for row in rows_of(eks.query("rejects_by_target", limit=9999), "dstaddr", "interface_id", "records")
    } == by_target


def test_the_cluster_that_the_issue_describes(eks: FlowLogs, records: list[dict[str, Any]]) -> None:
    clusters = eks.query("reject_clusters")
    blocked = clusters[
        (clusters["dstaddr"] == "10.0.1.249") & (clusters["port"] == 15017) & (clusters["leg"] == "request")
    ]
    expected = [
        one
        for one in records
        if one["action"] == "REJECT" and one["dstaddr"] == "10.0.1.249" and one["dstport"] == 15017
    ]
    assert set(blocked["srcaddr"]) == {one["srcaddr"] for one in expected}
    assert blocked["rejected"].sum() == len(expected)
    assert (blocked["accepted"] == 0).all()


def test_coverage_of_interfaces_and_time(eks: FlowLogs) -> None:
    seen = eks.query("interface_coverage")
    assert len(seen) == 12
    assert seen[["ok", "nodata", "skipdata"]].sum().tolist() == [10655, 62, 57]
    assert (seen["ok"] + seen["nodata"] + seen["skipdata"] == seen["records"]).all()
    gaps = eks.query("time_gaps", bucket_s=600)
    assert gaps["records"].sum() == 10774
    assert eks.query("skipped")["records"].sum() == 57


# ------------------------------------------------------------------------------------------------- few records by hand


def flow(source: str, destination: str, ports: tuple[int, int], **more: Any) -> dict[str, Any]:
    """One OK record; by default accepted tcp, 1 packet of 100 bytes, in the first minute."""
    row = {
        "version": 5, "account-id": "123456789012", "interface-id": "eni-a", "srcaddr": source, "dstaddr": destination, "srcport": ports[0],
        "dstport": ports[1], "protocol": 6, "packets": 1, "bytes": 100, "start": T0, "end": T0 + 60, "action": "ACCEPT", "log-status": "OK",
        "pkt-srcaddr": source, "pkt-dstaddr": destination, "type": "IPv6" if ":" in source else "IPv4", "tcp-flags": 0,
    }  # fmt: skip
    return row | {name.replace("_", "-"): value for name, value in more.items()}


def opened(folder: Path, rows: list[dict[str, Any]], window: Window | None = HOUR) -> FlowLogs:
    lines = [" ".join(str(row.get(name, "-")) for name in INVESTIGATION) for row in rows]
    (folder / "flow.log").write_text("\n".join([" ".join(INVESTIGATION), *lines]) + "\n")
    return flowlogs.open(folder / "flow.log", window=window)


def both(client: str, server: str, ports: tuple[int, int], interface: str, **more: Any) -> list[dict[str, Any]]:
    """A request and its reply as one interface logs them; the reply carries ten times the bytes."""
    there = flow(client, server, ports, interface_id=interface, **more)
    back = flow(server, client, ports[::-1], interface_id=interface, **more)
    return [there, back | {"bytes": there["bytes"] * 10}]


def test_a_conversation_seen_at_both_ends_counts_once(tmp_path: Path) -> None:
    rows = [
        *both(CLIENT, SERVER, (40000, 443), "eni-a"),
        *both(CLIENT, SERVER, (40000, 443), "eni-b"),
        *both(CLIENT, SERVER, (40001, 443), "eni-b"),
    ]
    (row,) = opened(tmp_path, rows).query("conversations").to_dict("records")
    assert (row["client"], row["server"], row["server_port"]) == (CLIENT, SERVER, 443)
    assert (row["interface_id"], row["interfaces"], row["connections"]) == ("eni-b", 2, 2)
    assert (row["bytes_out"], row["bytes_back"], row["packets_out"], row["packets_back"]) == (200, 2000, 2, 2)


def test_nodata_and_skipdata_never_count_as_traffic(tmp_path: Path) -> None:
    empty = {"version": 5, "account-id": "123456789012", "interface-id": "eni-a", "start": T0, "end": T0 + 60}
    rows = [flow(CLIENT, SERVER, (40000, 443)), empty | {"log-status": "NODATA"}, empty | {"log-status": "SKIPDATA"}]
    logs = opened(tmp_path, rows)
    assert logs.query("top_talkers")["flow_records"].tolist() == [1]
    assert logs.query("skipped")["records"].tolist() == [1]
    (seen,) = logs.query("interface_coverage").to_dict("records")
    assert (seen["records"], seen["ok"], seen["nodata"], seen["skipdata"]) == (3, 1, 1, 1)


def test_a_new_talker_is_one_that_the_baseline_lacks(tmp_path: Path) -> None:
    before = T0 - 600
    rows = [
        flow(CLIENT, SERVER, (40000, 443), start=before, end=before + 60),
        flow(CLIENT, SERVER, (40001, 443)),
        flow(CLIENT, OUT, (40002, 8443), bytes=5000),
        flow(OUT, SECOND, (50000, 22)),  # from outside: not our host
    ]
    logs = opened(tmp_path, rows)
    found = logs.query("new_talkers", baseline_start=T0 - 3600)
    assert rows_of(found, "client", "server", "server_port", "bytes_sent") == [(CLIENT, OUT, 8443, 5000)]
    # without the baseline's record everything is new
    assert set(logs.query("new_talkers", baseline_start=T0 - 1)["server"]) == {SERVER, OUT}


def test_an_egress_spike_is_against_the_baselines_rate(tmp_path: Path) -> None:
    rows = [
        flow(CLIENT, OUT, (40000, 443), start=T0 - 3600 + minute * 60, end=T0 - 3540 + minute * 60, bytes=1000)
        for minute in range(60)
    ]
    rows += [
        flow(CLIENT, OUT, (40000, 443), start=T0 + minute * 60, end=T0 + 60 + minute * 60, bytes=20_000)
        for minute in range(60)
    ]
    logs = opened(tmp_path, rows)
    (row,) = logs.query("egress_spikes", baseline_start=T0 - 3600, min_bytes=1).to_dict("records")
    assert (row["bytes_sent"], row["baseline_bytes"], row["active_hours"]) == (1_200_000, 60_000, 2)
    assert logs.query("egress_spikes", baseline_start=T0 - 3600, min_bytes=1, factor=30).empty
    assert logs.query("egress_spikes", baseline_start=T0 - 3600, min_bytes=2_000_000).empty


def through_nat() -> list[dict[str, Any]]:
    """One request through a NAT gateway, as its four interfaces' records: host out, gateway in, gateway out; and the reply."""
    host = flow(CLIENT, OUT, (40000, 443), interface_id="eni-host", flow_direction="egress")
    inward = flow(
        CLIENT,
        NAT,
        (40000, 443),
        interface_id="eni-nat",
        flow_direction="ingress",
        pkt_dstaddr=OUT,
        interface_type="nat_gateway",
        start=T0 + 1,
    )
    outward = flow(
        NAT,
        OUT,
        (51000, 443),
        interface_id="eni-nat",
        flow_direction="egress",
        traffic_path=8,
        interface_type="nat_gateway",
        start=T0 + 2,
    )
    return [host, inward, outward]


def test_egress_through_nat_is_counted_at_the_host_only(tmp_path: Path) -> None:
    rows = [
        *through_nat(),
        flow(
            CLIENT,
            "52.216.8.10",
            (40001, 443),
            flow_direction="egress",
            traffic_path=7,
            pkt_dst_aws_service="S3",
            bytes=70,
        ),
        flow(SECOND, OUT, (40002, 443), flow_direction="egress", traffic_path=8, bytes=50),
        flow(CLIENT, SERVER, (40003, 443), flow_direction="egress", traffic_path=1),
    ]
    found = opened(tmp_path, rows).query("egress_by_destination")
    assert rows_of(found, "srcaddr", "dstaddr", "aws_service", "path", "bytes") == [
        (CLIENT, OUT, None, "NAT gateway or other", 100),
        (CLIENT, "52.216.8.10", "S3", "gateway endpoint", 70),
        (SECOND, OUT, None, "internet gateway", 50),
    ]


def test_hops_follow_a_flow_through_nat(tmp_path: Path) -> None:
    rows = [*through_nat(), flow(SERVER, OUT, (40000, 443), interface_id="eni-other")]
    found = opened(tmp_path, rows).query("flow_hops", source=CLIENT, destination=OUT)
    assert rows_of(found, "interface_id", "srcaddr", "dstaddr", "flow_direction") == [
        ("eni-host", CLIENT, OUT, "egress"),
        ("eni-nat", CLIENT, NAT, "ingress"),
        ("eni-nat", NAT, OUT, "egress"),
    ]


def test_how_tcp_connections_end(tmp_path: Path) -> None:
    def attempt(port: int, *answers: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        request = flow(CLIENT, SERVER, (port, 5432), tcp_flags=2, **more)
        return [request, *(flow(SERVER, CLIENT, (5432, port)) | answer for answer in answers)]

    rows = [
        *attempt(40001, {"tcp-flags": 18}),
        *attempt(40002, {"tcp-flags": 19}),
        *attempt(40003, {"tcp-flags": 4}),
        *attempt(40004),
        *attempt(40005, action="REJECT"),
        *attempt(40006, {"tcp-flags": 18, "action": "REJECT"}),
        flow(CLIENT, SERVER, (40007, 5432)),  # opened before: no SYN seen
    ]
    (row,) = opened(tmp_path, rows).query("tcp_outcomes").to_dict("records")
    counts = {name: row[name] for name in ("connections", "established", "refused", "unanswered", "rejected", "closed")}
    assert counts == {"connections": 6, "established": 2, "refused": 1, "unanswered": 1, "rejected": 2, "closed": 1}


def test_a_dead_return_path_is_an_accepted_request_with_a_rejected_reply(tmp_path: Path) -> None:
    rows = [
        flow(CLIENT, SERVER, (40000, 443)), flow(SERVER, CLIENT, (443, 40000), action="REJECT", packets=3),
        flow(CLIENT, SERVER, (40001, 443)), flow(SERVER, CLIENT, (443, 40001)),
        flow(SECOND, SERVER, (40002, 443), action="REJECT"),
    ]  # fmt: skip
    found = opened(tmp_path, rows).query("dead_return_paths")
    assert rows_of(found, "client", "server", "server_port", "connections", "replies_rejected") == [
        (CLIENT, SERVER, 443, 1, 3)
    ]


def test_rejected_replies_are_told_from_rejected_requests(tmp_path: Path) -> None:
    rows = [
        flow(CLIENT, SERVER, (40000, 5432), action="REJECT", packets=3), flow(CLIENT, SERVER, (40001, 5432), action="REJECT", start=T0 + 60),
        flow(CLIENT, SERVER, (40002, 5432), end=T0 + 30), flow(CLIENT, SERVER, (40003, 5432), interface_id="eni-b"),
        flow(SERVER, CLIENT, (443, 40004), action="REJECT"),
    ]  # fmt: skip
    found = opened(tmp_path, rows).query("reject_clusters")
    columns = ("srcaddr", "leg", "port", "rejected", "rejected_packets", "attempts", "accepted", "first_seen")
    assert rows_of(found, *columns) == [
        (CLIENT, "request", 5432, 2, 4, 2, 1, T0),
        (SERVER, "reply", 443, 1, 1, 1, 0, T0),
    ]
    assert found["accepted_until"][0] == T0 + 30


def test_login_guessing_is_many_short_connections(tmp_path: Path) -> None:
    rows = [flow(OUT, SERVER, (40000 + number, 22), packets=10) for number in range(70)]
    rows += [flow(CLIENT, SERVER, (40000 + number, 22), packets=500) for number in range(70)]
    found = opened(tmp_path, rows).query("login_guessing")
    assert rows_of(found, "srcaddr", "connections", "packets_per_connection") == [(OUT, 70, 10.0)]


def test_a_scan_and_the_late_replies_that_are_none(tmp_path: Path) -> None:
    rows = [flow(OUT, SERVER, (50000, port), action="REJECT") for port in range(1, 26)]
    rows += [
        flow(SECOND, CLIENT, (443, 40000 + number), action="REJECT") for number in range(40)
    ]  # replies after the close
    found = opened(tmp_path, rows).query("port_scan")
    assert rows_of(found, "srcaddr", "ports", "targets", "rejected", "rejected_share") == [(OUT, 25, 1, 25, 1.0)]
    probes = opened(tmp_path, rows).query("scan_probes", source=OUT)
    assert probes["dstport"].tolist() == list(range(1, 26))


def test_an_empty_bucket_is_a_gap(tmp_path: Path) -> None:
    start = T0 - T0 % 600
    rows = [flow(CLIENT, SERVER, (40000, 443), start=start + offset, end=start + offset + 60) for offset in (600, 1800)]
    found = opened(tmp_path, rows).query("time_gaps")
    assert found["bucket"].tolist() == [start + 600, start + 1800]


def test_addresses_of_interfaces_and_what_they_hide(tmp_path: Path) -> None:
    """A packet to a second address: the sender's interface logs it, the receiver's shows its primary one instead."""
    near = [flow(CLIENT, SECOND, (40000 + number, 8080), interface_id="eni-client") for number in range(3)]
    far = [flow(CLIENT, SERVER, (40000 + number, 8080), interface_id="eni-server") for number in range(3)]
    other = [
        flow(OUT, SERVER, (50000, 443), interface_id="eni-server"),
        flow(CLIENT, OUT, (50001, 443), interface_id="eni-client"),
    ]
    logs = opened(tmp_path, [*near, *far, *other])
    assert dict(rows_of(logs.query("interface_addresses"), "interface_id", "own_address")) == {
        "eni-client": CLIENT,
        "eni-server": SERVER,
    }
    (row,) = logs.query("address_rewrites").to_dict("records")
    assert (row["interface_id"], row["own_address"], row["real_address"], row["side"], row["flow_count"]) == (
        "eni-server",
        SERVER,
        SECOND,
        "destination",
        3,
    )


def test_blocks_hosts_pairs_and_services(tmp_path: Path) -> None:
    rows = [
        flow(CLIENT, SERVER, (40000, 443)), flow(SERVER, CLIENT, (443, 40000), bytes=900), flow(SECOND, OUT, (40000, 53), protocol=17, action="REJECT"),
        flow("2001:db8::1", "2001:db8::2", (40000, 443)), flow(CLIENT, "52.216.8.10", (40009, 443), pkt_dst_aws_service="S3", bytes=1),
    ]  # fmt: skip
    logs = opened(tmp_path, rows)
    block = logs.query("cidr_flows", cidr="10.0.2.0/24")
    assert rows_of(block, "srcaddr", "dstaddr", "bytes") == [(SERVER, CLIENT, 900), (CLIENT, SERVER, 100)]
    assert logs.query("cidr_flows", cidr="10.0.3.0/24")["dstaddr"].tolist() == [OUT]
    host = logs.query("host_flows", host=SERVER)
    assert rows_of(host, "peer", "direction", "bytes") == [(CLIENT, "from host", 900), (CLIENT, "to host", 100)]
    pair = logs.query("pair_flows", source=CLIENT, destination=SERVER)
    assert len(pair) == 2
    assert rows_of(logs.query("aws_services"), "address", "aws_service", "records") == [("52.216.8.10", "S3", 1)]
    heat = logs.query("reject_heatmap")
    assert rows_of(heat, "bucket", "dstport", "protocol", "records") == [(T0 - T0 % 3600, 53, 17, 1)]


def test_the_sixteen_predefined_queries_of_aws(tmp_path: Path) -> None:
    rows = [
        flow(CLIENT, SERVER, (40000, 22), bytes=10, instance_id="i-1", subnet_id="subnet-1"),
        flow(CLIENT, SERVER, (40000, 3389), bytes=20, action="REJECT", instance_id="i-1", subnet_id="subnet-1"),
        flow(SECOND, OUT, (40000, 53), bytes=40, protocol=17, subnet_id="subnet-2", pkt_srcaddr="10.9.9.9"),
        flow("2001:db8::1", "2001:db8::2", (40000, 443), bytes=80),
        flow(CLIENT, OUT, (40000, 514), bytes=160, protocol=17, action="REJECT"),
    ]
    logs = opened(tmp_path, rows)

    def sums(name: str, **given: str) -> int:
        return int(logs.query(f"VpcFlowLogs{name}", **given)["bytes"].sum())

    answers = {
        name: sums(name)
        for name in (
            "AcceptedTraffic",
            "AdminPortTraffic",
            "IPv4Traffic",
            "IPv6Traffic",
            "RejectedTCPTraffic",
            "RejectedTraffic",
        )
    }
    assert answers == {
        "AcceptedTraffic": 90,
        "AdminPortTraffic": 30,
        "IPv4Traffic": 230,
        "IPv6Traffic": 80,
        "RejectedTCPTraffic": 20,
        "RejectedTraffic": 180,
    }
    tops = {
        name: sums(name)
        for name in ("SshRdpTraffic", "TopTalkers", "TopTalkersPacketLevel", "TopTalkingInstances", "TopTalkingSubnets")
    }
    assert tops == {
        "SshRdpTraffic": 30,
        "TopTalkers": 130,
        "TopTalkersPacketLevel": 130,
        "TopTalkingInstances": 10,
        "TopTalkingSubnets": 50,
    }
    assert "10.9.9.9" in set(logs.query("top_talkers_packet_level")["pkt_srcaddr"])
    totals = {name: sums(name) for name in ("TotalBytesTransferred", "TotalBytesTransferredPacketLevel")}
    assert totals == {"TotalBytesTransferred": 310, "TotalBytesTransferredPacketLevel": 310}
    assert sums("TopTCPTraffic", source=CLIENT) == 30
    assert sums("TrafficFrmSrcAddr", source=CLIENT) == 190
    assert sums("TrafficToDstAddr", destination=OUT) == 200
