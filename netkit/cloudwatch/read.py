"""What CloudWatch has: points, alarms and their history, log groups, events, dashboards; and who is to send. Reads only.

Sources: botocore's CloudWatch, Logs, SSM and EC2 models; CloudWatch API Reference, GetMetricData ("500 queries", "Period"),
DescribeAlarmHistory; CloudWatch Logs API Reference, FilterLogEvents, GetLogEvents, StartQuery.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from netkit.cloudwatch.agent import read_agent_config
from netkit.cloudwatch.filter_patterns import commands_of
from netkit.cloudwatch.metrics import MetricQuery, dimensions_of, listed_dimensions
from netkit.cloudwatch.names import check_instances
from netkit.core import costs, insights
from netkit.core.errors import AccessError, AwsError, InputError, SourceError
from netkit.core.model import Window
from netkit.core.session import Session, error_code

POINT_COLUMNS = ("label", "time", "value", "period_s")
LISTED_COLUMNS = ("namespace", "metric", "dimensions")
ALARM_COLUMNS = (
    "name", "kind", "state", "since", "reason", "namespace", "metric", "dimensions", "statistic", "period_s", "threshold", "comparison",
    "datapoints_to_alarm", "evaluation_periods", "treat_missing", "actions_enabled", "actions", "rule",
)  # fmt: skip
HISTORY_COLUMNS = ("time", "alarm", "kind", "summary", "previous", "state", "reason")
GROUP_COLUMNS = (
    "group", "class", "retention_days", "kms_key", "protected", "stored_bytes", "metric_filters", "created",
)  # fmt: skip
STREAM_COLUMNS = ("group", "stream", "first", "last")
EVENT_COLUMNS = ("time", "group", "stream", "message")
HOST_COLUMNS = ("instance_id", "name", "state", "private_dns", "address", "profile", "managed", "ping", "platform")
MOST_QUERIES = 500
ALARM_TYPES = ["MetricAlarm", "CompositeAlarm"]  # AWS answers the first only unless both are named


# ------------------------------------------------------------------------------------------------------------- metrics


def metric_data(
    session: Session, queries: Sequence[MetricQuery] | Mapping[str, MetricQuery], window: Window, *, now: datetime | None = None,
    progress: bool = True,
) -> pd.DataFrame:  # fmt: skip
    """The points of metrics and expressions in a window: POINT_COLUMNS, by label in the queries' order, then time.

    time (UTC) is the start of period_s seconds. Sent 500 queries at a time; expressions need a mapping of at most 500, whose
    keys are the ids that they name. The period is the query's own, or the shortest that CloudWatch still stores for the
    window's age. A metric without points has no rows: that is no data, and not zero.

    Raises InputError for a window that CloudWatch has forgotten, AwsError where it could not answer one of the queries.
    """
    at = now or session.now()
    named = dict(queries) if isinstance(queries, Mapping) else {f"q{number}": one for number, one in enumerate(queries)}
    if any(one.expression for one in named.values()) and (
        not isinstance(queries, Mapping) or len(named) > MOST_QUERIES
    ):
        raise InputError(
            "an expression needs the ids that it names", hint=f"a mapping of id to query, at most {MOST_QUERIES}"
        )
    asked = {key: (one, one.request(key, window.start, at)) for key, one in named.items()}
    ids = list(asked)
    parts = [ids[start : start + MOST_QUERIES] for start in range(0, len(ids), MOST_QUERIES)]
    rows: list[tuple[int, str, Any, float, int]] = []
    for part in tqdm(parts, desc="metrics", unit="request", leave=False, disable=not progress or len(parts) < 2):
        found = session.pages(
            "cloudwatch", "get_metric_data", "MetricDataResults", MetricDataQueries=[asked[key][1] for key in part],
            StartTime=window.start, EndTime=window.end, ScanBy="TimestampAscending",
        )  # fmt: skip
        for result in found:
            query, request = asked[result["Id"]]
            _refused(result, query)
            seconds = int(request.get("Period") or request["MetricStat"]["Period"])
            pairs = zip(result.get("Timestamps", []), result.get("Values", []), strict=True)
            rows += [(ids.index(result["Id"]), query.name, moment, float(value), seconds) for moment, value in pairs]
    frame = pd.DataFrame(rows, columns=["order", *POINT_COLUMNS]).astype({"value": "float64", "period_s": "int64"})
    frame["time"] = pd.to_datetime(frame["time"], utc=True)
    frame = frame.sort_values(["order", "time"], ignore_index=True, kind="stable")
    return frame[list(POINT_COLUMNS)]


def _refused(result: Mapping[str, Any], query: MetricQuery) -> None:
    if result.get("StatusCode") in ("InternalError", "Forbidden"):
        said = "; ".join(str(one.get("Value", "")) for one in result.get("Messages", ()))
        raise AwsError(f"CloudWatch answered {result['StatusCode']} for {query.name}", subject=said, hint="ask again")


def list_metrics(session: Session, namespace: str, *, metric: str = "", dimensions: object = ()) -> pd.DataFrame:
    """The metrics of a namespace that had points in the last two weeks: LISTED_COLUMNS, dimensions as sorted (name, value) pairs.

    dimensions chooses those that have at least these. A new metric may take 15 minutes to be listed.
    """
    request: dict[str, Any] = {"Namespace": namespace}
    request |= {"MetricName": metric} if metric else {}
    request |= {"Dimensions": listed_dimensions(dimensions)} if dimensions else {}
    found = session.pages("cloudwatch", "list_metrics", "Metrics", **request)
    rows = {(one["Namespace"], one["MetricName"], dimensions_of(one.get("Dimensions", ()))) for one in found}
    return pd.DataFrame(sorted(rows), columns=list(LISTED_COLUMNS))


# -------------------------------------------------------------------------------------------------------------- alarms


def alarm_records(
    session: Session, *, prefix: str = "", names: Sequence[str] = (), kinds: Sequence[str] = ALARM_TYPES
) -> list[dict[str, Any]]:
    """Alarms as AWS describes them, of these kinds (MetricAlarm, CompositeAlarm), all or those named. Raises as Session.pages does."""
    if prefix and names:
        raise InputError("alarms are chosen by prefix or by names, not both", subject=prefix)
    chosen: dict[str, Any] = {"AlarmNamePrefix": prefix} if prefix else {"AlarmNames": list(names)} if names else {}
    records: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:  # boto3's paginator answers two lists by two keys, one of which pages() would lose
        answer = session.call("cloudwatch", "describe_alarms", AlarmTypes=list(kinds), **chosen, **token)  # fmt: skip
        for kind in kinds:
            records += answer.get(f"{kind}s", [])
        if not answer.get("NextToken"):
            return records
        token = {"NextToken": str(answer["NextToken"])}


def alarms(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Described alarms (alarm_records) as ALARM_COLUMNS, by name: since in UTC, dimensions as pairs, actions of the ALARM state.

    Of a composite alarm only rule, state and actions say something; of one on an expression, metric is the expression.
    """
    rows = [_alarm_row(one) for one in records]
    frame = pd.DataFrame(rows, columns=list(ALARM_COLUMNS))
    frame["since"] = pd.to_datetime(frame["since"], utc=True)
    kinds = dict.fromkeys(("period_s", "datapoints_to_alarm", "evaluation_periods"), "Int64")
    return frame.astype(kinds).sort_values("name", ignore_index=True)


def _alarm_row(one: Mapping[str, Any]) -> tuple[Any, ...]:
    expression = next((str(part["Expression"]) for part in one.get("Metrics", ()) if part.get("Expression")), "")
    n = one.get("EvaluationPeriods")
    return (
        one["AlarmName"], "composite" if "AlarmRule" in one else "math" if expression else "metric", one.get("StateValue", ""),
        one.get("StateUpdatedTimestamp"), one.get("StateReason", ""), one.get("Namespace", ""), one.get("MetricName", "") or expression,
        dimensions_of(one.get("Dimensions", ())), one.get("Statistic", "") or one.get("ExtendedStatistic", ""), one.get("Period"),
        one.get("Threshold"), one.get("ComparisonOperator", ""), one.get("DatapointsToAlarm", n), n, one.get("TreatMissingData", "missing"),
        bool(one.get("ActionsEnabled", True)), tuple(one.get("AlarmActions", ())), one.get("AlarmRule", ""),
    )  # fmt: skip


def alarm_history(session: Session, name: str, window: Window | None = None) -> pd.DataFrame:
    """An alarm's life: HISTORY_COLUMNS in time's order; kind ConfigurationUpdate, StateUpdate or Action; time in UTC.

    previous, state and reason are of a StateUpdate. CloudWatch keeps 30 days of history.
    """
    span = {"StartDate": window.start, "EndDate": window.end} if window else {}
    found = session.pages(
        "cloudwatch", "describe_alarm_history", "AlarmHistoryItems", AlarmName=name, AlarmTypes=ALARM_TYPES, **span
    )
    rows = []
    for one in found:
        data = json.loads(one.get("HistoryData") or "{}")
        old, new = data.get("oldState") or {}, data.get("newState") or {}
        rows.append(
            (one["Timestamp"], one["AlarmName"], one["HistoryItemType"], one.get("HistorySummary", ""), old.get("stateValue", ""), new.get("stateValue", ""), new.get("stateReason", ""))
        )  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(HISTORY_COLUMNS))
    frame["time"] = pd.to_datetime(frame["time"], utc=True)
    return frame.sort_values("time", ignore_index=True, kind="stable")


# ---------------------------------------------------------------------------------------------------------------- logs


def log_groups(session: Session, prefix: str = "") -> pd.DataFrame:
    """Log groups: GROUP_COLUMNS by name; retention_days <NA> is for ever, created in UTC, stored_bytes compressed."""
    chosen = {"logGroupNamePrefix": prefix} if prefix else {}
    rows = [
        (
            one["logGroupName"], one.get("logGroupClass", "STANDARD"), one.get("retentionInDays"), one.get("kmsKeyId", ""),
            bool(one.get("deletionProtectionEnabled")), int(one.get("storedBytes", 0)), int(one.get("metricFilterCount", 0)), one.get("creationTime"),
        )
        for one in session.pages("logs", "describe_log_groups", "logGroups", **chosen)
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(GROUP_COLUMNS)).astype({"retention_days": "Int64"})
    frame["created"] = pd.to_datetime(frame["created"], unit="ms", utc=True)
    return frame.sort_values("group", ignore_index=True)


def log_streams(session: Session, group: str, names: Sequence[str] | None = None) -> pd.DataFrame:
    """The streams of a log group, or those of these names: STREAM_COLUMNS by name, with the times (UTC) of their first and last event.

    The last event is read, one call for each stream, as DescribeLogStreams may say it up to an hour late. A group that is not
    there has no streams.
    """
    rows = []
    for one in _described_streams(session, group, names):
        request = {"logGroupName": group, "logStreamName": one["logStreamName"], "limit": 1, "startFromHead": False}
        newest = session.call("logs", "get_log_events", **request)["events"]
        last = newest[-1]["timestamp"] if newest else one.get("lastEventTimestamp")
        rows.append((group, one["logStreamName"], one.get("firstEventTimestamp", last), last))
    frame = pd.DataFrame(rows, columns=list(STREAM_COLUMNS))
    for name in ("first", "last"):
        frame[name] = pd.to_datetime(frame[name], unit="ms", utc=True)
    return frame.sort_values("stream", ignore_index=True)


def _described_streams(session: Session, group: str, names: Sequence[str] | None) -> list[dict[str, Any]]:
    """Streams as AWS describes them; by name with a call for each, since a group may have very many."""
    chosen = [{}] if names is None else [{"logStreamNamePrefix": one} for one in dict.fromkeys(names)]
    found: dict[str, dict[str, Any]] = {}
    try:
        for request in chosen:
            held = session.pages("logs", "describe_log_streams", "logStreams", logGroupName=group, **request)
            found |= {one["logStreamName"]: one for one in held if names is None or one["logStreamName"] in names}
    except AwsError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
    return list(found.values())


def log_events(session: Session, group: str, window: Window, *, pattern: str = "", most: int = 10_000) -> pd.DataFrame:
    """Events of a log group: EVENT_COLUMNS in time's order (UTC), those that a filter pattern matches, the first `most`.

    Source: FilterLogEvents; not charged by bytes, and slow over much: insights() is for that.
    """
    return _events_frame(group, _events(session, group, window.start, window.end, pattern, most)[:most])


def _events(
    session: Session, group: str, start: datetime, end: datetime | None, pattern: str, most: int = 0
) -> list[dict[str, Any]]:
    request: dict[str, Any] = {"logGroupName": group, "startTime": _milliseconds(start)}
    request |= {"endTime": _milliseconds(end) - 1} if end else {}
    request |= {"filterPattern": pattern} if pattern else {}
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        answer = session.call("logs", "filter_log_events", **request, **token)
        found += answer.get("events", [])
        if not answer.get("nextToken") or (most and len(found) >= most):
            return sorted(found, key=lambda one: int(one["timestamp"]))
        token = {"nextToken": str(answer["nextToken"])}


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _events_frame(group: str, events: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = [(one["timestamp"], group, one.get("logStreamName", ""), one["message"]) for one in events]
    frame = pd.DataFrame(rows, columns=list(EVENT_COLUMNS))
    frame["time"] = pd.to_datetime(frame["time"], unit="ms", utc=True)
    return frame


def tail(
    session: Session, group: str, *, since: datetime, pattern: str = "", seconds: float = 0, poll_s: float = 2
) -> Iterator[pd.DataFrame]:
    """New events of a log group as they come, EVENT_COLUMNS at a time: those since a time at once, then what arrives for `seconds`.

    An event is given once, also when it comes up to a minute late. Without seconds it ends after what is there.
    """
    until = time.monotonic() + seconds
    seen: dict[str, int] = {}
    while True:
        fresh = [one for one in _events(session, group, since, None, pattern) if one["eventId"] not in seen]
        seen |= {str(one["eventId"]): int(one["timestamp"]) for one in fresh}
        if fresh:
            yield _events_frame(group, fresh)
        newest = max(seen.values(), default=_milliseconds(since))
        since = max(since, datetime.fromtimestamp(newest / 1000 - 60, UTC))
        seen = {key: moment for key, moment in seen.items() if moment >= _milliseconds(since)}
        if time.monotonic() + poll_s > until:
            return
        time.sleep(poll_s)


@dataclass(frozen=True)
class Found:
    """What Logs Insights answered: its rows (@timestamp in UTC where asked for), what that took, and whether it is all.

    scanned_bytes, cost_usd (by costs.PRICES); whole is False where a sort of the query's own kept 10,000 rows of more.
    """

    frame: pd.DataFrame
    scanned_bytes: int
    cost_usd: float
    whole: bool = True


def query_logs(
    session: Session, groups: str | Sequence[str], text: str, window: Window, *, budget_usd: float = 1.0,
    prices: Mapping[str, float] = costs.PRICES, progress: bool = True,
) -> Found:  # fmt: skip
    """The answer of Logs Insights over one to 50 log groups, @ptr left out; numbers as numbers, @timestamp as UTC times.

    Where an answer is full (10,000 rows) and neither `stats`, `dedup`, `sort` nor `limit` made it so, the window is cut
    by the number of events and asked piece by piece. The cost is estimated before, by the bytes that came into the groups
    within the window as CloudWatch counted them, else by all that they store.

    Raises InputError for no query or over 10,000 characters, BudgetError above the budget, QueryFailed as Logs Insights does.
    """
    names = [groups] if isinstance(groups, str) else list(groups)
    if not 1 <= len(names) <= 50:
        raise InputError(f"{len(names)} log groups", hint="Logs Insights takes 1 to 50 in one query")
    if not 1 <= len(text.strip()) <= 10_000:
        raise InputError(f"a query of {len(text):,} characters", hint="Logs Insights takes 1 to 10,000")
    costs.check_budget(costs.insights_cost(_to_scan(session, names, window), prices), budget_usd, "the query")
    start, end = window.epoch()
    answer = insights.ask(session, names, text, start, end - 1)
    rows, scanned, whole = list(answer.rows), answer.scanned_bytes, True
    commands = {part.split()[0].lower() for part in commands_of(text)}
    if len(rows) >= insights.MOST_ROWS and not commands & {"stats", "limit", "dedup"}:
        whole = "sort" not in commands
        if whole:
            rows, more = _in_pieces(session, names, text, start, end - 1, progress)
            scanned += more
    return Found(_typed(rows), scanned, costs.insights_cost(scanned, prices), whole)


def _to_scan(session: Session, names: Sequence[str], window: Window) -> int:
    """About how many bytes a query of these groups scans: what came in within the window, else what is stored."""
    queries = [MetricQuery("AWS/Logs", "IncomingBytes", {"LogGroupName": one}, "Sum", 3600, one) for one in names]
    try:
        came = metric_data(session, queries, window, progress=False).groupby("label")["value"].sum().to_dict()
    except (AccessError, InputError):  # not allowed, or a window that CloudWatch has forgotten
        came = {}
    lacking = [one for one in names if not came.get(one)]
    stored = sum(int(log_groups(session, one).query("group == @one")["stored_bytes"].sum()) for one in lacking)
    return int(sum(came.values())) + stored


def _in_pieces(session: Session, names: Sequence[str], text: str, start: int, end: int, progress: bool) -> tuple[list[dict[str, str]], int]:  # fmt: skip
    spans, scanned = insights.slices(session, names, start, end)
    rows: list[dict[str, str]] = []
    # Newest first, as Logs Insights answers.
    for first, last in tqdm(spans[::-1], desc="Logs Insights", unit="slice", leave=False, disable=not progress):
        answer = insights.ask(session, names, text, first, last)
        rows += answer.rows
        scanned += answer.scanned_bytes
    return rows, scanned


def _typed(rows: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    frame = pd.DataFrame([{name: value for name, value in row.items() if name != "@ptr"} for row in rows])
    for name in frame.columns:
        if name in ("@timestamp", "@ingestionTime") or str(name).startswith("bin("):
            frame[name] = pd.to_datetime(frame[name], utc=True)
        elif not str(name).startswith("@"):
            numbers = pd.to_numeric(frame[name], errors="coerce")
            if (numbers.notna() == (frame[name].notna() & frame[name].ne(""))).all():
                frame[name] = numbers
    return frame


# --------------------------------------------------------------------------------------------------- hosts and dashboards


def hosts(session: Session, *, ids: Sequence[str] = (), tags: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Instances by id, or by all of these tags: HOST_COLUMNS by id; managed and ping as Systems Manager says.

    ping is Online, ConnectionLost, Inactive, or "" where the instance is not managed; managed is None where that may not be
    asked; platform is linux or windows. Instances that are terminated are left out. Raises InputError where neither is given, or for a malformed id;
    SourceError where there is none.
    """
    if bool(ids) == bool(tags):
        raise InputError("hosts are chosen by ids or by tags", hint="one of the two")
    check_instances(ids)
    chosen: dict[str, Any] = {"InstanceIds": list(ids)} if ids else {"Filters": [{"Name": f"tag:{key}", "Values": [value]} for key, value in (tags or {}).items()]}  # fmt: skip
    reservations = session.pages("ec2", "describe_instances", "Reservations", **chosen)
    found = [one for held in reservations for one in held["Instances"] if one["State"]["Name"] not in ("terminated", "shutting-down")]  # fmt: skip
    if not found:
        raise SourceError("there is no such instance", subject=", ".join([*ids, *(f"{key}={value}" for key, value in (tags or {}).items())]), hint="check region and tags")  # fmt: skip
    known, coverage = session.read("ssm", "describe_instance_information", "InstanceInformationList")
    pings = {one["InstanceId"]: str(one.get("PingStatus", "")) for one in known}
    rows = [
        (
            one["InstanceId"], next((tag["Value"] for tag in one.get("Tags", ()) if tag["Key"] == "Name"), ""), one["State"]["Name"],
            one.get("PrivateDnsName", ""), one.get("PrivateIpAddress", ""), one.get("IamInstanceProfile", {}).get("Arn", ""),
            None if coverage.state == "denied" else one["InstanceId"] in pings, pings.get(one["InstanceId"], ""),
            "windows" if str(one.get("Platform", "")).lower() == "windows" else "linux",
        )
        for one in found
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(HOST_COLUMNS)).sort_values("instance_id", ignore_index=True)


def agent_config(session: Session, parameter: str) -> dict[str, Any] | None:
    """The agent's configuration in a parameter of Parameter Store, or None where there is none. Raises InputError for what is no JSON."""
    try:
        answer = session.call("ssm", "get_parameter", Name=parameter)
    except AwsError as error:
        if error_code(error) == "ParameterNotFound":
            return None
        raise
    return read_agent_config(answer["Parameter"]["Value"])


def dashboard(session: Session, name: str) -> dict[str, Any] | None:
    """The body of a dashboard, or None where there is none of that name. Dashboards are of the account, not of a region."""
    try:
        answer = session.call("cloudwatch", "get_dashboard", DashboardName=name)
    except AwsError as error:
        if error_code(error) in ("ResourceNotFound", "DashboardNotFoundError", "ResourceNotFoundException"):
            return None
        raise
    return dict(json.loads(answer["DashboardBody"]))
