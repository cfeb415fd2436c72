"""What a flow log delivers, as AWS would: objects in S3 every five minutes, or events in a log group.

Delivery happens when somebody first looks: the world's time is past, so all that it will ever hold can be written then.
A flow log that a user makes gets the whole world time of its resources, as if it had been there all along.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from netkit.flowlogs.table import FlowLogSpec
from netkit.sandbox.world import traffic, world
from netkit.sandbox.world.world import ACCOUNT, REGION, Scenario

_lock = threading.RLock()
_done: set[str] = set()


def encode(spec: FlowLogSpec, table: pa.Table) -> bytes:
    """One object: Parquet with gzip inside, or gzip text with a header line, the same bytes every time."""
    out = io.BytesIO()
    if spec.file_format == "parquet":
        plain = pa.table({name: _plain(table[name]) for name in table.column_names})
        pq.write_table(plain, out, compression="gzip", store_schema=False)
        return out.getvalue()
    head = (" ".join(spec.fields) + "\n").encode()
    return gzip.compress(head + lines(table), compresslevel=5, mtime=0)


def _plain(column: Any) -> Any:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def lines(table: pa.Table) -> bytes:
    """The records as text, fields between blanks, "-" for what is missing."""
    texts = {name: pc.fill_null(_plain(table[name]).cast(pa.string()), "-") for name in table.column_names}
    out = io.BytesIO()
    pa_csv.write_csv(
        pa.table(texts), out, pa_csv.WriteOptions(include_header=False, delimiter=" ", quoting_style="none")
    )
    return out.getvalue()


def objects(
    one: Scenario, spec: FlowLogSpec, flow_log_id: str, scale: float = 1.0
) -> Iterator[tuple[str, bytes, datetime]]:
    """(key, body, time of delivery) of every object of a flow log."""
    columns, addresses = traffic.records(one, spec, scale)
    whole = traffic.table(one, spec, columns, addresses)
    for stamp, rows in traffic.slices(columns):
        when = datetime.fromtimestamp(stamp, UTC)
        body = encode(spec, whole.slice(rows.start, rows.stop - rows.start))
        digest = hashlib.sha256(f"{flow_log_id}{stamp}".encode()).hexdigest()[:8]
        delay = timedelta(minutes=5, seconds=90 + int(digest[:2], 16))
        yield spec.key_prefix(when) + spec.object_name(flow_log_id, when, digest), body, when + delay


def write_files(folder: Path, spec: FlowLogSpec, records: int, scenario: str = "bad-day") -> list[Path]:
    """About so many records as files in a folder, one day's worth of scenario after another so that memory stays flat."""
    one = world.scenario(scenario)
    per_day = len(traffic.records(one, spec)[0]["start"])
    paths: list[Path] = []
    folder.mkdir(parents=True, exist_ok=True)
    for round_number in range(max(1, round(records / per_day))):
        for key, body, _ in objects(one, spec, world.ident(one.name, f"round-{round_number}", "fl")):
            path = folder / key.rsplit("/", 1)[-1]
            path.write_bytes(body)
            paths.append(path)
    return paths


# -------------------------------------------------------------------------------------------------------- into moto


def flow_logs_in_force(bucket: str = "") -> list[tuple[Any, Scenario, FlowLogSpec]]:
    """moto's flow logs on resources of the world, each with its scenario and spec; of a bucket those not delivered yet."""
    from moto.ec2.models import ec2_backends

    found = []
    for flow_log in list(ec2_backends[ACCOUNT][REGION].flow_logs.values()):
        if bucket and (flow_log.id in _done or bucket not in str(flow_log.log_destination)):
            continue  # asked before every call to S3, so what cannot be meant is not looked at further
        one = _scenario_of(flow_log.resource_id)
        if one is not None:
            found.append((flow_log, one, FlowLogSpec.from_described(_described(flow_log), ACCOUNT, REGION)))
    return found


@cache
def _scenario_of(resource_id: str) -> Scenario | None:
    for name in world.NAMES:
        one = world.scenario(name)
        ids = {
            one.vpc_id,
            *(world.ident(name, subnet.name, "subnet") for subnet in world.SUBNETS),
            *(host.interface_id(name) for host in world.HOSTS),
        }
        if resource_id in ids:
            return one
    return None


def _described(flow_log: Any) -> dict[str, Any]:
    found = {
        "ResourceId": flow_log.resource_id, "LogDestinationType": flow_log.log_destination_type, "LogDestination": flow_log.log_destination,
        "LogFormat": flow_log.log_format, "TrafficType": flow_log.traffic_type, "LogGroupName": flow_log.log_group_name,
        "MaxAggregationInterval": flow_log.max_aggregation_interval, "DestinationOptions": getattr(flow_log, "destination_options", {}),
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def deliver_to(bucket: str, key: str) -> None:
    """Write the objects of the flow logs whose destination is in a bucket and touches a key or prefix, once."""
    with _lock:
        for flow_log, one, spec in flow_logs_in_force(bucket):
            mine = spec.destination == "s3" and spec.bucket == bucket
            if mine and (spec.base_key.startswith(key) or key.startswith(spec.base_key)):
                _done.add(flow_log.id)
                _put_objects(flow_log, one, spec)


def _put_objects(flow_log: Any, one: Scenario, spec: FlowLogSpec) -> None:
    from moto.s3.models import s3_backends

    store = s3_backends[ACCOUNT]["aws"]
    for key, body, delivered in objects(one, spec, flow_log.id):
        made = store.put_object(spec.bucket, key, body)
        made.last_modified = delivered


def deliver_to_log_group(name: str) -> None:
    """Write the events of the flow logs whose destination is a log group, once: one stream an interface."""
    with _lock:
        for flow_log, one, spec in flow_logs_in_force():
            if spec.destination == "cloud-watch-logs" and spec.log_group == name and flow_log.id not in _done:
                _done.add(flow_log.id)
                _put_events(one, spec, name)


def _put_events(one: Scenario, spec: FlowLogSpec, name: str) -> None:
    from moto.logs.models import logs_backends

    group = logs_backends[ACCOUNT][REGION].groups[name]
    columns, addresses = traffic.records(one, spec)
    for number, host in enumerate(world.HOSTS):
        mine = {key: column[columns["host"] == number] for key, column in columns.items()}
        if not len(mine["start"]):
            continue
        stream = f"{host.interface_id(one.name)}-{spec.traffic.lower()}"
        group.create_log_stream(stream)
        messages = lines(traffic.table(one, spec, mine, addresses)).decode().splitlines()
        events = [
            {"timestamp": start * 1000, "message": text}
            for start, text in zip(mine["start"].tolist(), messages, strict=True)
        ]
        group.streams[stream].put_log_events(events)
