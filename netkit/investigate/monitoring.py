"""What notebook 10 asks: who is monitored and by what configuration, what arrived, which alarms see it, an alarm's life.

It stands above the wings, as mirror_check does: the metrics of a path need reachability as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from netkit.cloudwatch import proof, read
from netkit.cloudwatch.agent import (
    AgentConfig,
    LogFile,
    check_agent_config,
    log_files,
    merge_agent_configs,
    read_agent_config,
)
from netkit.cloudwatch.agent_install import install_commands, start_command, status_command
from netkit.cloudwatch.agent_merge import normal
from netkit.cloudwatch.agent_names import Platform
from netkit.cloudwatch.alarm_lines import parse_alarms
from netkit.cloudwatch.alarms import AlarmSpec
from netkit.cloudwatch.commands import point_of
from netkit.cloudwatch.dashboards import DashboardSpec, Widget, chart, logs, number, queries, text
from netkit.cloudwatch.dashboards import alarms as alarm_states
from netkit.cloudwatch.filter_patterns import parse_pattern, to_insights
from netkit.cloudwatch.log_groups import MetricFilter, read_tags
from netkit.cloudwatch.metrics import MetricQuery, Prepared
from netkit.cloudwatch.path_alarms import path_alarms, unalarmed
from netkit.cloudwatch.provision import plan_agent, plan_alarms, plan_dashboard, plan_log_group, send_metrics, topic_arn
from netkit.cloudwatch.replay import Replay, needed_samples, propose, replay
from netkit.core.errors import AccessError, BudgetError, InputError, SourceError
from netkit.core.model import Coverage, Finding, Window, check_retention
from netkit.core.plan import Plan
from netkit.core.session import Session
from netkit.reach.engine.trace import trace
from netkit.reach.read import collect
from netkit.runs.notebook import Run

# ------------------------------------------------------------------------------------------------------ who and with what


def hosts(run: Run, instances: Sequence[str], tag: str) -> pd.DataFrame:
    """The instances that are monitored, by id, or by a tag as KEY:VALUE (its last colon parts them): read.HOST_COLUMNS.

    Raises InputError where neither is given, SourceError where there is none.
    """
    if not instances and ":" not in tag:
        raise InputError(f"{tag!r} is no tag" if tag else "no instance was chosen", hint="ids, or a tag as Role:web")
    key, _, value = tag.rpartition(":")
    return read.hosts(run.session, ids=instances, tags=None if instances else {key: value})


def wanted_config(
    run: Run, file: str, metrics: str, namespace: str, log_file: str, log_group: str, retention_days: int, more: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """The agent's configuration: of a file and those that the agent merges with it, or of a few words (AgentConfig.of) with one log
    file. Raises InputError, also where two files differ in what has to be equal."""
    if file or more:
        texts = {one: _config_text(run, one) for one in ([file] if file else []) + list(more)}
        merged, problems = merge_agent_configs({one: read_agent_config(text) for one, text in texts.items()})
        if problems:
            raise InputError(f"the agent refuses these files together: {problems[0].message}", subject=problems[0].path)
        return merged if len(texts) > 1 else read_agent_config(next(iter(texts.values())))
    files = [LogFile(log_file, log_group, retention_days=check_retention(retention_days) or None)] if log_file else []
    return AgentConfig.of(metrics, files, namespace=namespace).document()


def _config_text(run: Run, file: str) -> str:
    path = Path(run.path(file))
    if not path.is_file():
        raise SourceError("there is no such configuration", subject=file, hint="a JSON file of the CloudWatch agent")
    return path.read_text("utf-8")


@dataclass(frozen=True)
class Monitored:
    """What is there: hosts, the configuration in force (the parameter's, else the wanted one), metrics, logs and alarms."""

    hosts: pd.DataFrame
    config: Mapping[str, Any]
    stored: bool
    listed: pd.DataFrame
    streams: pd.DataFrame
    records: tuple[Mapping[str, Any], ...]
    window: Window
    coverage: tuple[Coverage, ...] = ()
    arrivals: pd.DataFrame = field(default_factory=pd.DataFrame)
    composites: tuple[Mapping[str, Any], ...] = ()

    @property
    def alarms(self) -> pd.DataFrame:
        """The alarms as a table: read.ALARM_COLUMNS."""
        return read.alarms(self.records)

    @property
    def promises(self) -> Mapping[str, Any]:
        """The configuration, or nothing where the agent refuses it: then nothing comes of it."""
        return _promising(self.config, self.hosts)

    @property
    def logs(self) -> pd.DataFrame:
        """Per host and log file the stream and its last event: proof.LOG_COLUMNS."""
        return proof.log_arrivals(self.promises, self.hosts, self.streams, self.window)

    @property
    def sights(self) -> pd.DataFrame:
        """Whether each alarm's metric is there: proof.SIGHT_COLUMNS."""
        return proof.sights(self.records, self.listed, self.promises, self.hosts)

    def __str__(self) -> str:
        where = "its parameter" if self.stored else "the wanted one, as the parameter is not there yet"
        return (
            f"{len(self.hosts)} hosts, configuration of {where}, {len(self.listed)} metrics, {len(self.records)} alarms"
        )


def _promising(config: Mapping[str, Any], found: pd.DataFrame) -> Mapping[str, Any]:
    """The configuration as the agent sees it, or nothing where that of any of the hosts' systems refuses it."""
    refused = any(
        one.level == "error" for system in _systems(found) for one in check_agent_config(config, platform=system)
    )
    return {} if refused else normal(config)


def _systems(found: pd.DataFrame) -> list[Platform | None]:
    """The hosts' systems, each once; that of the configuration where there is no host."""
    return [*dict.fromkeys(found["platform"])] if len(found) else [None]


def monitored(run: Run, found: pd.DataFrame, config: Mapping[str, Any], parameter: str, prefix: str) -> Monitored:  # fmt: skip
    """What has arrived, as of the window's end, of what the configuration in force promises, and the alarms by their prefix.

    Of a configuration that the agent refuses nothing is waited for. What may not be read is a Coverage row of state denied (Metrics, MetricAlarms, logStreams). Raises InputError without a window.
    """
    if run.window is None:
        raise InputError("monitoring is judged for a window", hint='window_start "last 3h"')
    session, window = run.session, run.window
    held = read.agent_config(session, parameter) if parameter else None
    used = held or config
    promising = _promising(used, found)
    none: list[dict[str, Any]] = []
    records, alarms_seen = _kept(session, "MetricAlarms", lambda: read.alarm_records(session, prefix=prefix), none)
    # A composite alarm of any name may act for those that have this prefix.
    composites = _kept(session, "MetricAlarms", lambda: read.alarm_records(session, kinds=("CompositeAlarm",)), none)[0] if records else none  # fmt: skip
    streams, streams_seen = _kept(session, "logStreams", lambda: _streams(run, promising, list(found["instance_id"])), pd.DataFrame(columns=list(read.STREAM_COLUMNS)))  # fmt: skip
    nothing = pd.DataFrame(columns=list(read.LISTED_COLUMNS)), pd.DataFrame(columns=list(proof.ARRIVAL_COLUMNS))
    (listed, arrived), metrics_seen = _kept(
        session, "Metrics", lambda: _arrived(session, promising, found, records, window), nothing
    )
    seen = (metrics_seen, alarms_seen, streams_seen)
    return Monitored(
        found, used, held is not None, listed, streams, tuple(records), window, seen, arrived, tuple(composites)
    )


T = TypeVar("T")


def _kept(session: Session, table: str, look: Callable[[], T], nothing: T) -> tuple[T, Coverage]:
    """What a read gives, or nothing and a row that says it was denied: what may not be seen is not absent."""
    try:
        return look(), Coverage(session.account_id, session.region, table, "ok")
    except AccessError as denied:
        return nothing, Coverage(session.account_id, session.region, table, "denied", note=denied.what)


def _arrived(
    session: Session, config: Mapping[str, Any], found: pd.DataFrame, records: Sequence[Mapping[str, Any]], window: Window
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """The metrics that are listed, and what of the promised ones has arrived."""
    own = str(config.get("metrics", {}).get("namespace", "CWAgent"))
    others = {(str(one.get("Namespace", "")), str(one["MetricName"])) for record in records for one in proof.metrics_of(record)}  # fmt: skip
    # Of other namespaces only what alarms are over: AWS/EC2 alone may have tens of thousands.
    parts = [read.list_metrics(session, own), *(read.list_metrics(session, space, metric=name) for space, name in sorted(others) if space != own)]  # fmt: skip
    listed = pd.concat(parts, ignore_index=True)
    expected = proof.promised(config, found, listed)
    asked = [
        MetricQuery(row["namespace"], row["metric"], row["dimensions"], "SampleCount", _period(int(row["interval_s"])), str(index))
        for index, row in zip(expected.index, expected.to_dict("records"), strict=True) if row["dimensions"]
    ]  # fmt: skip
    points = read.metric_data(session, asked, window) if asked else pd.DataFrame(columns=list(read.POINT_COLUMNS))
    return listed, proof.arrivals(config, found, expected, points, window)


def _period(interval_s: int) -> int:
    """A period that holds a point of each interval: whole minutes, as shorter ones are forgotten within hours."""
    return max(60, -(-interval_s // 60) * 60)


def _streams(run: Run, config: Mapping[str, Any], instances: Sequence[str]) -> pd.DataFrame:
    """The streams that the hosts' log files go to, as far as their names are known here."""
    rows = [row for one in instances for row in log_files(config, one).to_dict("records")] if config.get("logs") else []
    wanted: dict[str, list[str]] = {}
    for row in rows:
        if "{" not in f"{row['group']}{row['stream']}":
            wanted.setdefault(str(row["group"]), []).append(str(row["stream"]))
    parts = [read.log_streams(run.session, group, names) for group, names in sorted(wanted.items())]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(read.STREAM_COLUMNS))


# --------------------------------------------------------------------------------------------------- alarms, dashboard


def wanted_alarms(run: Run, lines: Sequence[str], found: pd.DataFrame, namespace: str, prefix: str, topic: str) -> list[AlarmSpec]:  # fmt: skip
    """The alarms of lines (alarm_lines.parse_alarms; {namespace} stands for the agent's), telling the topic. Raises InputError."""
    named = dict(zip(found["instance_id"], found["name"], strict=True))
    actions = [topic_arn(run.session, topic)] if topic else []
    return parse_alarms([line.replace("{namespace}", namespace) for line in lines], named, prefix=prefix, actions=actions, region=run.session.region)  # fmt: skip


def dashboard(
    run: Run, name: str, specs: Sequence[AlarmSpec], found: pd.DataFrame, log_group: str, pattern: str, query: str = ""
) -> DashboardSpec:
    """A dashboard of what is alarmed on: a row of figures, a graph for each metric with its threshold, alarm states, error lines.

    pattern is a filter pattern, query the same as a filter of Logs Insights; where neither says it there, a line of text says so.
    """
    by_metric: dict[tuple[str, str], list[AlarmSpec]] = {}
    for one in specs:
        if one.kind == "metric":
            by_metric.setdefault((one.namespace, one.metric), []).append(one)
    names = dict(zip(found["instance_id"], found["name"], strict=True))
    graphs = [_graph(metric, group, names) for (_, metric), group in by_metric.items()]
    totals = [number(metric, [_query(one, names) for one in group], stat=group[0].statistic or "Average", width=6) for (_, metric), group in by_metric.items() if len(group) == 1]  # fmt: skip
    head: list[list[Widget]] = [[text(f"# {name}\nMade by netkit from {len(specs)} alarms on {len(found)} hosts")]]
    arns = [f"arn:{run.session.boto3.get_partition_for_region(run.session.region)}:cloudwatch:{run.session.region}:{run.session.account_id}:alarm:{one.name}" for one in specs]  # fmt: skip
    rows = [*head, *([totals] if totals else []), *(graphs[at : at + 2] for at in range(0, len(graphs), 2)), *([[alarm_states("Alarms", arns[:100])]] if arns else [])]  # fmt: skip
    if log_group:
        rows.append([_error_widget(log_group, pattern, query)])
    return DashboardSpec(name, rows, run.session.region)


def _error_widget(log_group: str, pattern: str, query: str) -> Widget:
    condition = insights_filter(pattern, query)
    if condition is None:
        shown = pattern.replace("`", "'")
        return text(f"Error lines: Logs Insights has no filter like the pattern `{shown}`; give one as error_query")
    chosen = f" | filter {condition}" if condition else ""
    return logs("Error lines", f"fields @timestamp, @logStream, @message{chosen} | sort @timestamp desc | limit 50", [log_group])  # fmt: skip


def insights_filter(pattern: str, query: str = "") -> str | None:
    """The filter of Logs Insights that finds a filter pattern's lines: the query where one is given, else the pattern's translation.

    "" is every line, None a pattern that has none there. Raises InputError for what is no pattern.
    """
    read_ = parse_pattern(pattern, "error_pattern")
    if query:
        return query
    try:
        return to_insights(read_)
    except InputError:
        return None


def _graph(metric: str, group: Sequence[AlarmSpec], names: Mapping[str, str]) -> Widget:
    first = group[0]
    lines = {"alarm": first.threshold} if first.threshold is not None else {}
    return chart(metric, [_query(one, names) for one in group], period_s=first.period, lines=lines)


def _query(one: AlarmSpec, names: Mapping[str, str]) -> MetricQuery:
    instance = dict(one.dimensions).get("InstanceId", "")
    label = names.get(instance) or instance or one.metric
    return MetricQuery(
        one.namespace, one.metric, one.dimensions, one.statistic or one.extended_statistic, one.period, label
    )


def dashboard_points(run: Run, body: Mapping[str, Any]) -> pd.DataFrame:
    """The points that a body's metric widgets draw: widget (its number), then read.POINT_COLUMNS. Raises InputError without a window."""
    if run.window is None:
        raise InputError("a dashboard is drawn for a window", hint='window_start "last 3h"')
    parts = []
    asked = queries(body)
    # An expression can only name what is asked with it, so each widget and region is a question of its own.
    for widget, region in dict.fromkeys((one.widget, one.region) for one in asked):
        named = {one.key: one.query for one in asked if (one.widget, one.region) == (widget, region)}
        session = run.session.in_region(region) if region else run.session
        parts.append(read.metric_data(session, named, run.window).assign(widget=widget))
    columns = ["widget", *read.POINT_COLUMNS]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def drawn(run: Run, board: DashboardSpec | None, records: Iterable[Mapping[str, Any]] = ()) -> Any:
    """The dashboard drawn with its points, and the states of its alarms; None where there is none."""
    if board is None:
        return None
    from netkit.show import draw_dashboard

    states = {str(one["AlarmName"]): str(one.get("StateValue", "")) for one in records}
    points, tables = dashboard_points(run, board.body), log_tables(run, board.body)
    return draw_dashboard(board.body, points, tables=tables, states=states, title=board.name)


def log_tables(run: Run, body: Mapping[str, Any], *, rows: int = 5, budget_usd: float = 0.1) -> dict[int, pd.DataFrame]:
    """By number the answer of each log widget, its first rows, where its groups are there and it costs no more."""
    found: dict[int, pd.DataFrame] = {}
    for place, one in enumerate(body.get("widgets", ())):
        if one["type"] != "log" or run.window is None:
            continue
        query = str(one["properties"]["query"])
        head = re.match(r"(?:\s*SOURCE\s+[^|]+\|\s*)+", query)
        groups = re.findall(r"SOURCE\s+['\"]?([^'\"|\s]+)", head[0]) if head else []
        if head and all((read.log_groups(run.session, group)["group"] == group).any() for group in groups):
            rest = query[head.end() :]
            try:
                found[place] = read.query_logs(run.session, groups, rest, run.window, budget_usd=budget_usd).frame.head(rows)  # fmt: skip
            except BudgetError:
                continue  # the figure shows the query then
    return found


def by_hand(config: Mapping[str, Any], parameter: str, region: str, system: str = "amazon_linux") -> str:
    """What to type on a host: install, give it the parameter's configuration, look at its state; and what is doubtful in that."""
    doubts = [f"# {one.level}: {one.path}: {one.message}" for one in check_agent_config(config)]
    start = [start_command(parameter, system)] if parameter else []
    lines = [*install_commands(system, region=region), *start, status_command(system)]
    return "\n".join([*doubts, *lines])


def points_of(values: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """The points of some lines in the command line's short form, and what was translated. Raises InputError."""
    read_ = [point_of(line) for line in values]
    return [point for point, _ in read_], [notice for _, notices in read_ for notice in notices]


def send(run: Run, ready: Prepared, *, armed: bool) -> pd.DataFrame | str:
    """Points sent where armed (provision.send_metrics); else what would be sent, in a line."""
    if not ready.requests:
        return "there is nothing to send"
    space = str(ready.requests[0]["Namespace"])
    return send_metrics(run.session, space, ready, armed=True) if armed else f"would send to {space}: {ready}"


def would_fire(run: Run, specs: Sequence[AlarmSpec]) -> pd.DataFrame:
    """When alarms would have fired in the window: alarm, points, alarms (count), first (UTC), seconds (in ALARM), state at the end."""
    rows: list[tuple[Any, ...]] = []
    for spec in specs:
        done = replayed(run, spec, spec.dimensions) if spec.kind == "metric" else None
        if done is None:
            rows.append((spec.name, 0, 0, pd.NaT, 0.0, "no points"))
            continue
        fired, series = done.fired, done.series
        first = fired["time"].iloc[0] if len(fired) else pd.NaT
        rows.append((spec.name, int(series["value"].notna().sum()), len(fired), first, float(fired["seconds"].sum()), str(series["state"].iloc[-1])))  # fmt: skip
    frame = pd.DataFrame(rows, columns=["alarm", "points", "alarms", "first", "seconds", "state"])
    return frame.assign(first=pd.to_datetime(frame["first"], utc=True))


def proposals(run: Run, what: Life | None) -> pd.DataFrame | None:
    """Thresholds and M of N for an alarm from the window's points: quiet before its first alarm, firing then (replay.propose); None
    without a replay."""
    if what is None or what.replay is None:
        return None
    spec = what.replay.spec
    return propose(spec, _points_of(run, spec, spec.dimensions))


def lacking(run: Run, proposals: pd.DataFrame) -> pd.DataFrame:
    """Of proposed metrics those that no alarm of the account and region watches; proposed_specs() makes a plan of them.

    All of them where the alarms may not be read; the findings then say nothing of it.
    """
    none: list[dict[str, Any]] = []
    records = _kept(run.session, "MetricAlarms", lambda: read.alarm_records(run.session), none)[0] if len(proposals) else none  # fmt: skip
    return unalarmed(proposals, records)


def plans(
    run: Run, found: pd.DataFrame, config: Mapping[str, Any], specs: Sequence[AlarmSpec], board: DashboardSpec | None, *, log_group: str = "",
    retention_days: int = 30, pattern: str = "ERROR", namespace: str = "", parameter: str, install: bool = True, role: str = "", name: str = "",
    topic: str = "", email: str = "", rule: str = "", replace: bool = False, key: str = "", tags: Sequence[str] = (),
) -> dict[str, Plan]:  # fmt: skip
    """All plans of a notebook by what they are for, made before the first of them is applied: log group, agent, alarms, dashboard.

    So whatever AWS would refuse in any of them is told before anything is made; what is "" or empty has no plan. key (the ARN of a
    KMS key) and tags (KEY=VALUE) are of the log group. Raises
    InputError, and AccessError where what is there may not be read.
    """
    ledgers, made = run.folder / "ledger", {}
    if log_group:
        errors = MetricFilter("errors", pattern, namespace, "Errors")
        made["log group"] = plan_log_group(run.session, log_group, retention_days=retention_days, kms_key=key, tags=read_tags(tags), filters=[errors], folder=ledgers)  # fmt: skip
    if parameter:
        made["agent"] = plan_agent(run.session, config, parameter, list(found["instance_id"]), install=install, role=role, replace=replace, folder=ledgers)  # fmt: skip
    if specs:
        made["alarms"] = plan_alarms(run.session, specs, name=name, topic=topic, email=email, rule=rule, replace=replace, folder=ledgers)  # fmt: skip
    if board:
        made["dashboard"] = plan_dashboard(run.session, board.name, board.body, replace=replace, folder=ledgers)
    return made


def plan_table(made: Mapping[str, Plan]) -> pd.DataFrame:
    """All plans, a row a step: plan, action, resource, name, reason, difference."""
    columns = ["plan", "action", "resource", "name", "reason", "difference"]
    frames = [one.preview().assign(plan=name)[columns] for name, one in made.items()]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def apply(plan: Plan | None, *, armed: bool) -> pd.DataFrame | None:
    """The plan made where armed; else its steps with what they would do: step, resource, name, outcome, reason."""
    if plan is None:
        return None
    if armed:
        return plan.apply(armed=True)
    shown = plan.preview()[["step", "resource", "name", "action", "reason"]]
    return shown.rename(columns={"action": "outcome"}).assign(outcome=lambda frame: "would " + frame["outcome"])


# -------------------------------------------------------------------------------------------------------- an alarm's life


@dataclass(frozen=True)
class Life:
    """One alarm in a window: its record, its history (read.HISTORY_COLUMNS), and the replay of its points where that can be."""

    record: Mapping[str, Any]
    history: pd.DataFrame
    replay: Replay | None
    why: str = ""

    @property
    def name(self) -> str:
        """The alarm's name."""
        return str(self.record["AlarmName"])


def life(run: Run, what: Monitored, name: str = "") -> Life | None:
    """The life of the alarm of that name, or of the first that is in ALARM, else the first; None where there is no alarm.

    A composite alarm, one on a band or an expression and one without points have no replay, and `why` says so.
    """
    chosen = [one for one in what.records if one["AlarmName"] == name]
    if name and not chosen:
        raise SourceError(f"there is no alarm {name!r} here", subject=", ".join(str(one["AlarmName"]) for one in what.records[:6]), hint="its whole name")  # fmt: skip
    order = sorted(
        what.records, key=lambda one: (one.get("StateValue") != "ALARM", "AlarmRule" in one, str(one["AlarmName"]))
    )
    if not (chosen or order):
        return None
    record = (chosen or order)[0]
    history = read.alarm_history(run.session, str(record["AlarmName"]))
    spec = _spec_of(record)
    if spec is None or spec.kind != "metric":
        return Life(record, history, None, "only an alarm on one metric is replayed here")
    done = replayed(run, spec, spec.dimensions)
    return Life(
        record,
        history,
        done,
        "" if done else "its metric has no points in the window, or none of the alarm's period any more",
    )


def _spec_of(record: Mapping[str, Any]) -> AlarmSpec | None:
    """A described alarm as one of ours; None for a composite one, one on a query, and whatever AWS takes that is not known here."""
    try:
        return None if "AlarmRule" in record else AlarmSpec.of(record)
    except InputError:
        return None


def replayed(run: Run, spec: AlarmSpec, dimensions: Iterable[tuple[str, str]]) -> Replay | None:  # fmt: skip
    """What an alarm would have done in the window on its metric with these dimensions; None where that has no points.

    None too where CloudWatch keeps coarser points only for that time: nobody can know then what the alarm saw.
    """
    assert run.window is not None
    points = _points_of(run, spec, dimensions)
    if points.empty or points["period_s"].max() > spec.period:
        return None
    start, end = pd.Timestamp(run.window.start), pd.Timestamp(run.window.end)
    return replay(spec, points, start=start, end=end)


def _points_of(run: Run, spec: AlarmSpec, dimensions: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """The points that an alarm looks at: time, value, period_s, and samples where it minds how many there are."""
    assert run.window is not None
    statistic = spec.statistic or spec.extended_statistic
    wanted = [statistic, *(["SampleCount"] if needed_samples(spec) else [])]
    asked = [MetricQuery(spec.namespace, spec.metric, tuple(dimensions), one, spec.period, one) for one in wanted]
    found = read.metric_data(run.session, asked, run.window)
    points = found[found["label"].eq(statistic)][["time", "value", "period_s"]]
    if len(wanted) == 1:
        return points.reset_index(drop=True)
    counts = found[found["label"].eq("SampleCount")][["time", "value"]].rename(columns={"value": "samples"})
    return points.merge(counts, on="time", how="left").fillna({"samples": 0.0})


def would_have(run: Run, what: Monitored) -> dict[str, str]:
    """By alarm that waits for other dimensions, what it would have done on the metric that is sent, in a sentence."""
    said = {}
    records = {str(one["AlarmName"]): one for one in what.records}
    for row in what.sights.to_dict("records"):
        record = records[str(row["alarm"])]
        spec = _spec_of(record)
        if row["state"] != "other-dimensions" or spec is None or spec.kind != "metric":
            continue
        done = replayed(run, spec, row["sent_with"])
        fired = done.fired if done else pd.DataFrame()
        said[str(row["alarm"])] = (
            f"on the metric that is sent it would have fired {len(fired)} times, first at {fired['time'].iloc[0]:%Y-%m-%d %H:%MZ}"
            if len(fired) else "on the metric that is sent it would not have fired in this window"
        )  # fmt: skip
    return said


def error_lines(run: Run, group: str, pattern: str, *, query: str = "", budget_usd: float = 1.0) -> pd.DataFrame:
    """What a log group's lines with a filter pattern say, most frequent first: message (numbers as #), n, first, last (UTC), streams.

    Asked of Logs Insights by insights_filter; where a pattern has no like there, the events are read with the pattern itself
    (FilterLogEvents, the first 10,000). Empty where no group is named or it is not there. Raises BudgetError above the budget, and
    InputError for what is no pattern.
    """
    columns = ["message", "n", "first", "last", "streams"]
    condition = insights_filter(pattern, query)
    if not group or run.window is None or read.log_groups(run.session, group).query("group == @group").empty:
        return pd.DataFrame(columns=columns)
    if condition is None:
        events = read.log_events(run.session, group, run.window, pattern=pattern)
        lines = events.rename(columns={"time": "@timestamp", "stream": "@logStream", "message": "@message"})
    else:
        asked = "fields @timestamp, @logStream, @message" + (f" | filter {condition}" if condition else "")
        lines = read.query_logs(run.session, group, asked, run.window, budget_usd=budget_usd).frame
    if lines.empty:
        return pd.DataFrame(columns=columns)
    # What differs from line to line, times and counts, is no part of what a line says; addresses and ports are.
    shape = lines["@message"].str.replace(r"^\d{4}-\d\d-\d\d[T ][\d:.,]+Z?\s*", "", regex=True).str.replace(r"\b[0-9a-f-]{12,}\b", "#", regex=True)  # fmt: skip
    grouped = lines.assign(message=shape).groupby("message")
    table = grouped.agg(n=("@timestamp", "size"), first=("@timestamp", "min"), last=("@timestamp", "max"), streams=("@logStream", "nunique"))  # fmt: skip
    return table.reset_index().sort_values(["n", "message"], ascending=[False, True], ignore_index=True)[columns]


# ------------------------------------------------------------------------------------------------------------- findings


def proposed(run: Run, path: Sequence[str], ends: Sequence[str]) -> pd.DataFrame:
    """The metrics to watch on a path (path_alarms.COLUMNS): of hops in lines "TYPE ID [BESIDE]", and of those between two ends.

    ends: SOURCE, DESTINATION, and where wanted PORT and VPC (its id or Name), as reach.trace takes them; the path there and
    back is that of a snapshot taken now, whether packets get through or not. Raises InputError for other lines and ends.
    """
    parts = [tuple(line.split()) for line in path]
    for line, part in zip(path, parts, strict=True):
        if len(part) not in (2, 3):
            raise InputError(f"{line!r} is no hop", hint="TYPE ID, as nat-gateway nat-0123456789abcdef0")
    return path_alarms([*parts, *(_between(run, ends) if ends else [])])


def _between(run: Run, ends: Sequence[str]) -> list[tuple[str, ...]]:
    if not 2 <= len(ends) <= 4 or (len(ends) > 2 and not ends[2].isdecimal()):
        raise InputError(
            f"{', '.join(ends)} are no two ends", hint="SOURCE, DESTINATION, PORT, VPC; the last two as you like"
        )
    source, destination, port, vpc = [*ends, "443", ""][:4] if len(ends) == 2 else [*ends, ""][:4]
    verdict = trace(
        collect(run.session, progress=False), source=source, destination=destination, port=int(port), vpc=vpc
    )
    components: list[tuple[str, ...]] = []
    group = ""
    for hop in [*verdict.forward, *verdict.back]:
        group = hop.component.rpartition(":")[2] if hop.type == "target-group" else group
        kind = hop.type
        if kind == "load-balancer":
            kind = f"{'network' if '/net/' in hop.component else 'application'}-load-balancer"
        components.append((kind, hop.component, group if kind.endswith("load-balancer") else ""))
    return components


def findings(
    run: Run, what: Monitored, plans: Mapping[str, Plan], lines: pd.DataFrame, proposals: pd.DataFrame, lacks: pd.DataFrame, *,
    log_group: str = "", parameter: str = "",
) -> list[Finding]:  # fmt: skip
    """Everything that the notebook says: agents, logs, alarms, the path, error lines, and plans that meet something else."""
    metrics, alarms, streams = (one.state != "denied" for one in what.coverage)
    rests = dict(zip(("metrics", "alarms", "streams"), what.coverage, strict=True))
    found = [proof.denied_finding(one) for one in what.coverage if one.state == "denied"]
    named = parameter if what.stored and parameter else "as wanted"
    found += proof.config_findings(what.config, named, what.window, systems=_systems(what.hosts))
    if metrics:
        found += proof.agent_findings(what.arrivals, what.window, (rests["metrics"],))
    if streams:
        found += proof.log_findings(what.logs, what.window, (rests["streams"],))
    if alarms:
        seen = what.sights if metrics else what.sights.iloc[:0]
        found += proof.alarm_findings(what.alarms, seen, what.window, (rests["alarms"],), would=would_have(run, what) if metrics else None, quiet=proof.quiet_on_purpose([*what.records, *what.composites]))  # fmt: skip
    if len(proposals) and alarms:
        found.append(proof.unalarmed_finding(proposals, lacks, what.window, (rests["alarms"],)))
    if len(lines):
        found.append(_error_finding(lines, log_group, what.window))
    return [*found, *_conflicts(plans)]


def _error_finding(lines: pd.DataFrame, group: str, window: Window) -> Finding:
    top = lines.iloc[0]
    rows = [
        {"message": str(row["message"])[:300], "n": int(row["n"]), "first": row["first"].isoformat(), "last": row["last"].isoformat()}
        for row in lines.head(5).to_dict("records")
    ]  # fmt: skip
    claim = f"{int(lines['n'].sum()):,} error lines in {group}, {int(top['n']):,} of them: {str(top['message'])[:160]}, since {top['first']:%Y-%m-%d %H:%MZ}."  # fmt: skip
    return Finding(
        "CW-ERROR-LINES", "confirmed", "medium", (group,), claim, {"window": str(window), "lines": rows},
        ("A line is counted once for each stream that has it.",), (), "Look at the flow log of the addresses in these lines at that time (notebook 21).",
    )  # fmt: skip


def _conflicts(plans: Mapping[str, Plan]) -> list[Finding]:
    """CW-CONFLICT for each plan that meets something else than it wants: nothing of that plan would be made."""
    made = []
    for name, plan in plans.items():
        for step in plan.conflicts:
            made.append(
                Finding(
                    "CW-CONFLICT", "confirmed", "low", (step.name,), f"The {step.resource} {step.name} is there and differs from what is asked for, so the plan for {name} changes nothing.",
                    {"difference": json.loads(json.dumps(list(step.difference)))}, (), (), "Take its name out of the parameters, or run with replace true to have it replaced.",
                )
            )  # fmt: skip
    return made
