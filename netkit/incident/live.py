"""Evidence read live, through the same readers: the configuration now, the flow logs of both ends' networks, metrics of what is on the path,
alarms, and CloudTrail's last writes. Priced before, within a budget; what may not be read is a coverage row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pandas as pd

from netkit.cloudwatch import read as cloudwatch
from netkit.cloudwatch.metrics import MetricQuery
from netkit.core.costs import PRICES
from netkit.core.errors import AccessError, AwsError, BudgetError, NetkitError
from netkit.core.model import Coverage, Window
from netkit.core.session import Session
from netkit.flowlogs import open as open_logs
from netkit.flowlogs import read as flowlogs
from netkit.history.trail import Trail, flattened, trail_of
from netkit.incident.evidence import METRIC_COLUMNS, Evidence, Taken, question_of
from netkit.incident.flow_records import FLOW_COLUMNS, typed
from netkit.incident.observe_metrics import RULES
from netkit.incident.scene import Scene
from netkit.reach.read import collect

MOST_RECORDS = 200_000  # of one address in one log
MOST_METRICS = 400
_COLUMNS = {
    "interface_id": "interface", "srcaddr": "src", "dstaddr": "dst", "srcport": "sport", "dstport": "dport", "log_status": "status", "tcp_flags": "flags",
    "pkt_srcaddr": "pkt_src", "pkt_dstaddr": "pkt_dst", "flow_direction": "direction", "vpc_id": "vpc", "subnet_id": "subnet", "az_id": "az",
}  # fmt: skip


def read_live(session: Session, asked: Mapping[str, Any], *, budget_usd: float = 0.05) -> Evidence:
    """The evidence of a question, from the account that the session is in.

    Raises InputError for a question that lacks an end or a window, BudgetError where the metrics alone would cost more than the budget.
    """
    question = question_of(asked)
    held = collect([session])
    taken = (Taken(session.now(), held),)
    scene = Scene(Evidence(question, taken))
    flows, flow_rows = _flows(session, scene, question.window, budget_usd)
    metrics, metric_rows = _metrics(session, scene, question.window, budget_usd)
    alarms, alarm_rows = _alarms(session)
    trail = read_trail_live(session, question.window)
    rows = [
        Coverage("", "", "snapshots", "ok", sum(row.rows for row in held.coverage)),
        *flow_rows,
        *metric_rows,
        *alarm_rows,
        *trail.coverage,
    ]
    rows += [
        Coverage("", "", name, "skipped", note="not read live")
        for name in ("dns", "captures", "firewall", "health", "access_logs")
    ]
    return Evidence(question, taken, flows, trail, metrics, alarms, coverage=tuple(rows))


def read_trail_live(session: Session, window: Window) -> Trail:
    """CloudTrail's writes from an hour before the window to its end, by LookupEvents (free, the last 90 days, this region only)."""
    table = "cloudtrail LookupEvents"
    try:
        events = session.pages(
            "cloudtrail", "lookup_events", "Events", LookupAttributes=[{"AttributeKey": "ReadOnly", "AttributeValue": "false"}],
            StartTime=window.start - timedelta(hours=1), EndTime=window.end,
        )  # fmt: skip
    except AccessError as problem:
        return Trail(coverage=(Coverage(session.account_id, session.region, table, "denied", note=problem.what),))
    except AwsError as problem:
        return Trail(coverage=(Coverage(session.account_id, session.region, table, "skipped", note=problem.what),))
    row = Coverage(session.account_id, session.region, table, "ok" if events else "empty", len(events))
    return trail_of(events_of(events), (row,))


def events_of(events: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The records within LookupEvents' answers."""
    return [record for event in events for record in flattened(event)]


def _flows(session: Session, scene: Scene, window: Window, budget_usd: float) -> tuple[pd.DataFrame, list[Coverage]]:
    """Records that name an address of either end, from every flow log of their interfaces, subnets and VPCs."""
    ends = [
        scene.interfaces[one]
        for one in sorted(scene.source.interfaces | scene.destination.interfaces)
        if one in scene.interfaces
    ]
    ids = {name for one in ends for name in (one.id, one.subnet, one.vpc)}
    addresses = sorted(scene.source.addresses | scene.destination.addresses)
    frames, rows = [], []
    for source, name in _sources(session, ids):
        table = f"flow_logs {name}"
        try:
            logs: Any = open_logs(source, session, window)
            found = [logs.records(limit=MOST_RECORDS, host=address) for address in addresses]
        except NetkitError as problem:
            rows.append(Coverage(session.account_id, session.region, table, "skipped", note=problem.what))
            continue
        whole = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
        frames.append(
            typed(whole.rename(columns=_COLUMNS).astype(str).replace({"<NA>": "-", "None": "-", "nan": "-"}), name)
        )
        rows.append(Coverage(session.account_id, session.region, table, "ok" if len(whole) else "empty", len(whole)))
    if not frames:
        rows = rows or [
            Coverage(
                session.account_id, session.region, "flow_logs", "empty", note="no flow log on either end's network"
            )
        ]
        return pd.DataFrame(columns=list(FLOW_COLUMNS)), rows
    return pd.concat(frames, ignore_index=True).drop_duplicates().sort_values(
        ["start", "end", "interface"], ignore_index=True
    ), rows


def _sources(session: Session, ids: set[str]) -> Iterator[tuple[str, str]]:
    """What flowlogs.open() takes for each flow log on one of these resources, and its id."""
    row: Any
    frame = flowlogs.flow_logs(session)
    for row in frame[frame["resource_id"].isin(ids)].itertuples(index=False):
        place = str(row.log_destination)
        if str(row.destination) == "s3":
            yield "s3://" + place.rpartition(":::")[2], str(row.flow_log_id)
        elif str(row.destination) == "cloud-watch-logs":
            yield "logs:" + place.rpartition("log-group:")[2].removesuffix(":*"), str(row.flow_log_id)


def _metrics(session: Session, scene: Scene, window: Window, budget_usd: float) -> tuple[pd.DataFrame, list[Coverage]]:
    """The metrics that are faults' own, of resources on the path."""
    table = "metrics GetMetricData"
    names = {one.rpartition("loadbalancer/")[2] if "loadbalancer/" in one else one for one in scene.components}
    queries: list[MetricQuery] = []
    row: Any
    try:
        for namespace, metric, keys in dict.fromkeys((rule.namespace, rule.metric, rule.dimension) for rule in RULES):
            found = cloudwatch.list_metrics(session, namespace, metric=metric)
            for row in found.itertuples(index=False):
                held = dict(row.dimensions)
                if any(held.get(key) in names for key in keys):
                    queries.append(
                        MetricQuery(namespace, metric, held, statistic=_STATISTIC.get(metric, "Maximum"), period_s=60)
                    )
        queries = queries[:MOST_METRICS]
        cost = len(queries) * PRICES["metric_data_usd_per_1000"] / 1000
        if cost > budget_usd:
            raise BudgetError(
                f"{len(queries)} metrics cost about {cost:.3f} USD",
                hint=f"the budget is {budget_usd} USD; raise budget_usd",
            )
        rows = [row for query in queries for row in _points(session, query, window)]
    except BudgetError:
        raise
    except NetkitError as problem:
        return pd.DataFrame(columns=list(METRIC_COLUMNS)), [
            Coverage(session.account_id, session.region, table, "skipped", note=problem.what)
        ]
    frame = pd.DataFrame(rows, columns=list(METRIC_COLUMNS))
    return frame, [Coverage(session.account_id, session.region, table, "ok" if len(frame) else "empty", len(frame))]


_STATISTIC = {
    "ErrorPortAllocation": "Sum",
    "IdleTimeoutCount": "Sum",
    "DroppedPackets": "Sum",
    "HealthyHostCount": "Minimum",
    "TunnelState": "Minimum",
}


def _points(session: Session, query: MetricQuery, window: Window) -> Iterator[tuple[Any, ...]]:
    row: Any
    frame = cloudwatch.metric_data(session, [query], window, progress=False)
    dimensions = tuple(sorted(dict(query.dimensions).items()))
    for row in frame.itertuples(index=False):
        yield (
            query.namespace,
            query.metric,
            dimensions,
            query.statistic,
            int(row.period_s),
            row.time.to_pydatetime(),
            float(row.value),
        )


def _alarms(session: Session) -> tuple[tuple[Mapping[str, Any], ...], list[Coverage]]:
    try:
        found = cloudwatch.alarm_records(session)
    except NetkitError as problem:
        return (), [Coverage(session.account_id, session.region, "alarms DescribeAlarms", "skipped", note=problem.what)]
    return tuple(found), [
        Coverage(session.account_id, session.region, "alarms DescribeAlarms", "ok" if found else "empty", len(found))
    ]
