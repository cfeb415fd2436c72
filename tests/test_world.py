"""The sandbox's world: the records at every interface, judged by the guide's own examples and by another reader."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import duckdb
import flowlogs_reader
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netkit.flowlogs.fields import DEFAULT_V2, FIELDS
from netkit.sandbox.world import delivery, traffic, world
from netkit.sandbox.world.world import BUCKET, HOSTS, Scenario

BAD = world.scenario("bad-day")
GUIDE = Path(__file__).parents[2] / "shared/data/flowlogs/aws_guide_examples.json"


def frame(one: Scenario, **changes: object) -> pd.DataFrame:
    spec = replace(one.spec, **changes)  # type: ignore[arg-type]
    columns, addresses = traffic.records(one, spec)
    table = traffic.table(one, spec, columns, addresses)
    return pa.table({name: delivery._plain(table[name]) for name in table.column_names}).to_pandas()


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    return frame(BAD)


def test_half_a_million_records(records: pd.DataFrame) -> None:
    assert len(records) >= 500_000


def test_the_types_are_those_that_aws_documents(tmp_path: Path) -> None:
    quiet = world.scenario("quiet")
    _, body, _ = next(delivery.objects(quiet, quiet.spec, "fl-1"))
    (tmp_path / "x").write_bytes(body)
    schema = pq.read_schema(tmp_path / "x")
    names = {"INT_32": "int32", "INT_64": "int64", "STRING": "string"}
    assert {name: str(schema.field(FIELDS[name].column).type) for name in quiet.spec.fields} == {
        name: names[FIELDS[name].parquet] for name in quiet.spec.fields
    }
    footer = pq.ParquetFile(tmp_path / "x").metadata.row_group(0).column(0)
    assert footer.compression == "GZIP"


def test_accepted_traffic_between_our_hosts_is_seen_at_both_ends_alike(records: pd.DataFrame) -> None:
    inside = records[
        (records.action == "ACCEPT")
        & (records.log_status == "OK")
        & records.srcaddr.str.startswith("10.")
        & records.dstaddr.str.startswith("10.")
    ]
    addresses = {host.address: host.interface_id("bad-day") for host in HOSTS}
    plain = inside[
        (inside.srcaddr == inside.pkt_srcaddr)
        & (inside.dstaddr == inside.pkt_dstaddr)
        & inside.dstaddr.isin(addresses)
        & inside.srcaddr.isin(addresses)
    ]
    key = ["srcaddr", "dstaddr", "srcport", "dstport", "packets", "bytes", "start"]
    at_source = plain[plain.interface_id == plain.srcaddr.map(addresses)]
    at_target = plain[plain.interface_id == plain.dstaddr.map(addresses)]
    assert set(at_source.flow_direction) == {"egress"}
    assert set(at_target.flow_direction) == {"ingress"}
    assert set(at_source.traffic_path) == {1}
    missing = set(map(tuple, at_target[key].to_numpy())) - set(map(tuple, at_source[key].to_numpy()))
    assert not missing
    # What left and did not arrive was rejected there: nothing else is lost on the way.
    rejected = records[records.action == "REJECT"]
    gone = set(map(tuple, at_source[key].to_numpy())) - set(map(tuple, at_target[key].to_numpy()))
    assert gone <= set(map(tuple, rejected[key].to_numpy()))


@pytest.mark.skipif(
    not GUIDE.exists(), reason="../shared is not here: the guide's NAT gateway examples are read from it"
)
def test_the_four_shapes_at_a_nat_gateway_are_the_guides(records: pd.DataFrame) -> None:
    """Each record of the guide, with our addresses in place of its own, is one that the world writes, and there is no other."""
    examples = [one for one in json.loads(GUIDE.read_text()) if one["section"] == "Traffic through a NAT gateway"]
    ours = {"10.0.1.5": "10.0.10.21", "10.0.0.220": "10.0.0.20", "203.0.113.5": world.PARTNER}
    nat = next(host for host in HOSTS if host.kind == "nat").interface_id("bad-day")
    app = next(host for host in HOSTS if host.name == "app-1").interface_id("bad-day")
    # The guide prints one interface id for the gateway's rows and another for the instance's.
    named = {one["record"].split()[1]: one["record"].split()[0] for one in examples}
    expected = Counter()
    for one in examples:
        instance, interface, *addresses = one["record"].split()
        assert named[interface] == instance
        expected[nat if instance == "-" else app, *(ours[address] for address in addresses)] += 1
    between = records[
        (records[["srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr"]].isin([world.PARTNER])).any(axis=1)
        & records.interface_id.isin([nat, app])
    ]
    seen = between[
        (between.interface_id == app)
        | (between.srcaddr == "10.0.10.21")
        | (between.dstaddr == "10.0.10.21")
        | (between.srcaddr == "10.0.0.20")
        | (between.dstaddr == "10.0.0.20")
    ]
    rows = {
        tuple(row)
        for row in seen[["interface_id", "srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr"]]
        .drop_duplicates()
        .to_numpy()
    }
    others = {"10.0.10.22", "10.0.11.21"}
    assert {row for row in rows if not others & set(row)} == set(expected)


def test_a_second_address_is_behind_the_first_one(records: pd.DataFrame) -> None:
    app = next(host for host in HOSTS if host.second)
    to_second = records[(records.pkt_dstaddr == app.second) & (records.log_status == "OK")]
    came = to_second[to_second.flow_direction == "ingress"]
    left = to_second[to_second.flow_direction == "egress"]
    assert set(came.dstaddr) == {app.address}
    assert set(left.dstaddr) == {app.second}


def test_idle_interfaces_say_so_and_nothing_else(records: pd.DataFrame) -> None:
    empty = records[records.log_status != "OK"]
    assert set(empty.log_status) == {"NODATA", "SKIPDATA"}
    assert set(empty.srcaddr) == set(empty.action) == {"-"}
    assert empty[["srcport", "dstport", "protocol", "packets", "bytes", "tcp_flags"]].isna().all(axis=None)
    assert empty[["start", "end"]].notna().all(axis=None)


def test_tcp_flags_are_those_of_the_guide(records: pd.DataFrame) -> None:
    tcp = records[records.log_status == "OK"]
    assert set(tcp.tcp_flags.astype(int)) == {2, 3, 18, 19}
    assert set(tcp[(tcp.action == "REJECT") & (tcp.srcaddr != "10.0.11.21")].tcp_flags.astype(int)) == {2}


def test_incidents_are_what_their_file_says() -> None:
    blocked = frame(world.scenario("blocked-database"))
    to_db = blocked[
        (blocked.dstport == 5432)
        & blocked.srcaddr.str.startswith(("10.0.10.", "10.0.11."))
        & (blocked.dstaddr == "10.0.20.5")
        & (blocked.flow_direction == "ingress")
    ]
    at = world.moment("09:40")
    assert set(to_db[to_db.start < at].action) == {"ACCEPT"}
    assert set(to_db[to_db.start >= at].action) == {"REJECT"}
    leak = frame(world.scenario("data-leak"))
    sent = leak[(leak.dstaddr == world.LEAK) & (leak.srcaddr == "10.0.10.22")]
    assert len(sent) == 30
    assert 0.95 < sent.bytes.sum() / (30 * 40_000_000) < 1.05
    missing = frame(world.scenario("missing-hour"))
    hole = world.moment("16:00")
    assert not ((missing.end >= hole) & (missing.end < hole + 3600)).any()
    assert (frame(world.scenario("quiet")).end.between(hole, hole + 3599)).any()


def test_delivery_covers_the_resource_and_the_traffic_type() -> None:
    quiet = world.scenario("quiet")
    one = HOSTS[3].interface_id("quiet")
    alone = frame(quiet, resource_type="NetworkInterface", resource_ids=(one,))
    assert set(alone.interface_id) == {one}
    subnet = frame(quiet, resource_type="Subnet", resource_ids=(world.ident("quiet", "app-a", "subnet"),))
    assert set(subnet.subnet_id) == {world.ident("quiet", "app-a", "subnet")}
    rejected = frame(quiet, traffic="REJECT")
    assert set(rejected.action) == {"REJECT"}


def test_objects_are_named_and_foldered_by_their_end_and_never_change() -> None:
    quiet = world.scenario("quiet")
    first = list(delivery.objects(quiet, replace(quiet.spec, hive=True), "fl-0123456789abcdef0"))
    key, body, delivered = first[100]
    assert (
        "/AWSLogs/aws-account-id=123456789012/aws-service=vpcflowlogs/aws-region=us-east-1/year=2026/month=11/day=18/hour="
        in key
    )
    stamp = pd.Timestamp(key.split("_")[-2])
    ends = pq.read_table(BytesIO(body))["end"].to_pandas()
    assert stamp.timestamp() <= ends.min() <= ends.max() < stamp.timestamp() + 300
    assert delivered > stamp.to_pydatetime()
    traffic._shop.cache_clear()
    assert list(delivery.objects(quiet, replace(quiet.spec, hive=True), "fl-0123456789abcdef0")) == first


def test_text_and_parquet_hold_the_same_and_another_reader_reads_it(tmp_path: Path) -> None:
    quiet = world.scenario("quiet")
    text_spec = replace(quiet.spec, fields=DEFAULT_V2, file_format="plain-text")
    texts = [body for _, body, _ in delivery.objects(quiet, text_spec, "fl-1")][:30]
    tables = [body for _, body, _ in delivery.objects(quiet, replace(quiet.spec, fields=DEFAULT_V2), "fl-1")][:30]
    lines = [line for body in texts for line in gzip.decompress(body).decode().splitlines()[1:]]
    ours = pd.concat([pq.read_table(BytesIO(body)).to_pandas() for body in tables])
    theirs = [flowlogs_reader.FlowRecord.from_cwl_event({"message": line}) for line in lines]
    assert len(lines) == len(ours)
    assert sum(one.bytes or 0 for one in theirs) == int(np.nansum(ours.bytes))
    assert Counter(one.action for one in theirs if one.log_status == "OK") == Counter(
        ours[ours.log_status == "OK"].action
    )


def test_write_files_makes_about_as_many_as_asked(tmp_path: Path) -> None:
    paths = delivery.write_files(tmp_path, replace(BAD.spec, file_format="parquet"), 1_100_000)
    total = duckdb.connect().execute(f"SELECT count(*) FROM read_parquet('{tmp_path}/*.parquet')").fetchall()[0][0]
    assert 1_000_000 < total < 1_300_000
    assert len(paths) == len(set(paths))


def test_the_bucket_is_one_for_all() -> None:
    assert {world.scenario(name).spec.bucket for name in world.NAMES} == {BUCKET}
    assert len({world.scenario(name).vpc_id for name in world.NAMES}) == len(world.NAMES)
