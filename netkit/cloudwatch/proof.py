"""Whether what an agent's configuration promises has arrived, and whether alarms see it: tables and findings. Pure.

Source of the causes: CloudWatch User Guide, "Troubleshooting the CloudWatch agent" and "Common scenarios with the CloudWatch
agent"; "Metrics collected by the CloudWatch agent" (host instead of InstanceId where append_dimensions is missing).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from netkit.cloudwatch.agent import check_agent_config, log_files
from netkit.cloudwatch.agent_merge import normal
from netkit.cloudwatch.agent_metrics import expected_metrics, match
from netkit.cloudwatch.agent_names import Platform
from netkit.cloudwatch.alarm_rules import parse_rule, rule_alarms
from netkit.cloudwatch.alarms import dimensions
from netkit.cloudwatch.known_dimensions import doubt
from netkit.core.errors import InputError
from netkit.core.model import Coverage, Finding, Severity, Status, Window

PROMISED_COLUMNS = ("instance_id", "namespace", "metric", "dimensions", "others", "interval_s", "waited")
ARRIVAL_COLUMNS = ("instance_id", "metric", "dimensions", "state", "first", "last", "cause")
LOG_COLUMNS = ("instance_id", "source", "group", "stream", "state", "first", "last", "cause")
SIGHT_COLUMNS = ("alarm", "namespace", "metric", "waits_for", "state", "sent_with", "cause")
SILENT_AFTER = 5  # intervals without a point; an agent sends once in each
_AT_LEAST_S = 300
Pairs = tuple[tuple[str, str], ...]


# ------------------------------------------------------------------------------------------------- metrics of the agent


def promised(config: Mapping[str, Any], hosts: pd.DataFrame, listed: pd.DataFrame) -> pd.DataFrame:
    """What each host has to send, and the metric in CloudWatch that comes nearest: PROMISED_COLUMNS.

    hosts: read.HOST_COLUMNS; listed: read.LISTED_COLUMNS of the configuration's namespace. dimensions are those of the
    listed metric, () where none of the host is listed; others counts further ones of the same name (each disk, each
    processor); waited says whether InstanceId is among them, which alarms and dashboards on an instance wait for.
    """
    by_metric: dict[str, list[Pairs]] = {}
    for row in listed.to_dict("records"):
        by_metric.setdefault(str(row["metric"]), []).append(tuple(row["dimensions"]))
    names = hosts.set_index("instance_id")["private_dns"].to_dict()
    rows = []
    wanted = [row for one, system in _systems(hosts).items() for row in expected_metrics(config, [one], system).to_dict("records")]  # fmt: skip
    for row in wanted:
        instance = str(row["instance"])
        own = [
            pairs for pairs in by_metric.get(str(row["metric"]), []) if _of_host(pairs, instance, str(names[instance]))
        ]
        best = min(own, key=lambda pairs: (("InstanceId", instance) not in pairs, len(pairs), pairs), default=())
        rows.append(
            (instance, row["namespace"], row["metric"], best, max(0, len(own) - 1), row["interval_s"], ("InstanceId", instance) in best)
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(PROMISED_COLUMNS))


def _systems(hosts: pd.DataFrame) -> dict[str, Platform | None]:
    """The system of each host, by which the agent reads a configuration; None, as the configuration looks, where it is not known."""
    named = hosts["platform"] if "platform" in hosts.columns else [None] * len(hosts)
    return dict(zip(hosts["instance_id"].astype(str), named, strict=True))


def _of_host(pairs: Pairs, instance: str, private_dns: str) -> bool:
    """Whether a metric is of a host: by its id, or by its name, with or without the domain."""
    named = dict(pairs)
    if "InstanceId" in named:
        return named["InstanceId"] == instance
    return bool(private_dns) and named.get("host", "\0") in (private_dns, private_dns.split(".")[0])


def arrivals(
    config: Mapping[str, Any], hosts: pd.DataFrame, expected: pd.DataFrame, points: pd.DataFrame, window: Window
) -> pd.DataFrame:
    """What arrived within a window: ARRIVAL_COLUMNS, first and last (UTC) the times of the first and last point.

    expected: promised(); points: label (the row's index in expected as text), time, period_s. state is arrived, stopped (no point in
    the last five intervals, at least five minutes), unnamed (it carries no InstanceId) or missing, with the likely cause.
    """
    spans = points.groupby("label")["time"].agg(["min", "max"]) if len(points) else pd.DataFrame(columns=["min", "max"])
    period = int(points["period_s"].max()) if len(points) else 0
    sending = {str(expected.loc[int(label), "instance_id"]) for label in spans.index}
    held = hosts.set_index("instance_id")
    rows = []
    for index, row in zip(expected.index, expected.to_dict("records"), strict=True):
        first, last = spans.loc[str(index)] if str(index) in spans.index else (pd.NaT, pd.NaT)
        state = _state(row["dimensions"], first, last, int(row["interval_s"]), period, bool(row["waited"]), window)
        cause = _metric_cause(config, state, str(row["instance_id"]), held, sending, last)
        rows.append((row["instance_id"], row["metric"], row["dimensions"], state, first, last, cause))
    return _timed(pd.DataFrame(rows, columns=list(ARRIVAL_COLUMNS)))


def _timed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{name: pd.to_datetime(frame[name], utc=True) for name in ("first", "last")})


def _state(pairs: Pairs, first: Any, last: Any, interval_s: int, period_s: int, waited: bool, window: Window) -> str:
    if not pairs or pd.isna(first):
        return "missing"
    if (window.end - last).total_seconds() > max(SILENT_AFTER * interval_s, _AT_LEAST_S) + max(interval_s, period_s):
        return "stopped"
    return "arrived" if waited else "unnamed"


def _metric_cause(config: Mapping[str, Any], state: str, instance: str, hosts: pd.DataFrame, sending: set[str], last: Any) -> str:  # fmt: skip
    if state == "arrived":
        return ""
    if state == "unnamed":
        return 'it carries no InstanceId: append_dimensions {"InstanceId": "${aws:InstanceId}"} is missing in the configuration'
    if state == "stopped":
        return f"the agent has sent nothing since {last:%Y-%m-%d %H:%MZ}: {_host_cause(instance, hosts, sending)}"
    if instance in sending:
        return "the host sends other metrics: the plugin does not run there, or knows no such measurement"
    return _host_cause(instance, hosts, sending)


def _host_cause(instance: str, hosts: pd.DataFrame, sending: set[str]) -> str:
    """The likeliest reason why nothing comes from a host, by what is known of it."""
    host = hosts.loc[instance]
    if host["state"] != "running":
        return f"the instance is {host['state']}"
    if not host["profile"]:
        return "it has no instance profile, so its agent may not send: attach a role with CloudWatchAgentServerPolicy"
    if host["managed"] is not None and not host["managed"]:
        return "Systems Manager does not know it, so neither agent nor configuration came by it: AmazonSSMManagedInstanceCore, and its own agent"
    if host["ping"] not in ("Online", ""):
        return f"Systems Manager says {host['ping']}: the host has lost its way to AWS, or hangs"
    others = sending - {instance}
    return (
        "the agent does not run, or was never given the configuration; others with it do send"
        if others
        else "no host with this configuration sends: look at the role, and at a way to the monitoring endpoint"
    )


# ---------------------------------------------------------------------------------------------------------------- logs


def log_arrivals(config: Mapping[str, Any], hosts: pd.DataFrame, streams: pd.DataFrame, window: Window, *, silent_s: int = 3600) -> pd.DataFrame:  # fmt: skip
    """The stream of each log file on each host: LOG_COLUMNS; first and last (UTC) are of its events.

    streams: read.STREAM_COLUMNS of the configuration's groups. state is arrived, quiet (no event for silent_s seconds: a log
    may have nothing to say), missing, or unknown (a placeholder that only the host knows).
    """
    rows: list[tuple[Any, ...]] = []
    for instance, system in _systems(hosts).items():
        for row in log_files(config, instance, system).to_dict("records"):
            group, stream = str(row["group"]), str(row["stream"])
            found = streams[streams["group"].eq(group) & streams["stream"].eq(stream)]
            open_name = "{" in group + stream
            first, last = (found["first"].min(), found["last"].max()) if len(found) else (pd.NaT, pd.NaT)
            state = "unknown" if open_name else _log_state(first, last, window, silent_s)
            cause = _log_cause(config, state, str(row["source"]), group, streams)
            rows.append((instance, row["source"], group, stream, state, first, last, cause))
    return _timed(pd.DataFrame(rows, columns=list(LOG_COLUMNS)))


def _log_state(first: Any, last: Any, window: Window, silent_s: int) -> str:
    if pd.isna(first) or last < window.start:
        return "missing"
    return "quiet" if (window.end - last).total_seconds() > silent_s else "arrived"


def _log_cause(config: Mapping[str, Any], state: str, source: str, group: str, streams: pd.DataFrame) -> str:
    user = str(normal(config).get("agent", {}).get("run_as_user", "root"))
    if state == "unknown":
        return "the stream's name is known on the host only"
    if state == "quiet":
        return "nothing was written lately, or the agent stopped: see its metrics"
    if state == "arrived":
        return ""
    if user != "root":
        return f"the agent runs as {user}, which may not be allowed to read {source}"
    if not streams["group"].eq(group).any():
        return "no host writes to this group: the file is not there, or the role lacks logs:PutLogEvents"
    return "the file is not there on this host, or its agent does not run"


# -------------------------------------------------------------------------------------------------------- what alarms see


def sights(
    records: Iterable[Mapping[str, Any]], listed: pd.DataFrame, config: Mapping[str, Any] | None = None, hosts: pd.DataFrame | None = None
) -> pd.DataFrame:  # fmt: skip
    """Whether the metric of each alarm is there: SIGHT_COLUMNS, a row for each metric that an alarm is over.

    records: as DescribeAlarms gives them; listed: read.LISTED_COLUMNS of their namespaces. state is seen, other-dimensions
    (the name is there, with other dimensions only: sent_with), other-values (the same dimensions, of others) or absent.
    With the agent's configuration the cause says what to change in it; with hosts, sent_with is of the alarm's own host.
    """
    names = {} if hosts is None else dict(zip(hosts["instance_id"].astype(str), hosts["private_dns"].astype(str), strict=True))  # fmt: skip
    there: dict[tuple[str, str], list[Pairs]] = {}
    for row in listed.to_dict("records"):
        there.setdefault((str(row["namespace"]), str(row["metric"])), []).append(tuple(row["dimensions"]))
    rows = []
    for record in records:
        for one in metrics_of(record):
            namespace, metric = str(one.get("Namespace", "")), str(one["MetricName"])
            wanted = dimensions(one.get("Dimensions", ()))[0]
            state, near = _sight(wanted, _own_first(wanted, there.get((namespace, metric), []), names))
            why = "" if state == "seen" else _sight_cause(config, namespace, metric, wanted, state)
            rows.append((record["AlarmName"], namespace, metric, tuple(sorted(wanted)), state, near, why))
    return pd.DataFrame(rows, columns=list(SIGHT_COLUMNS))


def metrics_of(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The metrics that an alarm is over; of a composite alarm none."""
    single = [record] if record.get("MetricName") else []
    return [*single, *(one["MetricStat"]["Metric"] for one in record.get("Metrics", ()) if one.get("MetricStat"))]


def _own_first(wanted: Pairs, sent: Sequence[Pairs], names: Mapping[str, str]) -> list[Pairs]:
    """The dimensions that a metric is sent with, those of the alarm's own host before others."""
    instance = dict(wanted).get("InstanceId", "")
    if not instance:
        return sorted(sent)
    return sorted(sent, key=lambda pairs: (not _of_host(pairs, instance, names.get(instance, "")), pairs))


def _sight(wanted: Pairs, sent: Sequence[Pairs]) -> tuple[str, Pairs]:
    if any(set(pairs) == set(wanted) for pairs in sent):
        return "seen", ()
    if not sent:
        return "absent", ()
    names = {name for name, _ in wanted}
    near = min(sent, key=lambda pairs: (len({name for name, _ in pairs} ^ names), -len(set(pairs) & set(wanted))))
    return ("other-values" if {name for name, _ in near} == names else "other-dimensions"), near


def _sight_cause(config: Mapping[str, Any] | None, namespace: str, metric: str, wanted: Pairs, state: str) -> str:
    if config:
        found = match(config, namespace, metric, dict(wanted))
        if found.verdict is False and namespace == str(config.get("metrics", {}).get("namespace", "CWAgent")):
            return found.reason
    if why := doubt(namespace, metric, [name for name, _ in wanted]):
        return why
    return {
        "other-dimensions": "CloudWatch matches the exact set of dimensions: one more or one less is another metric",
        "other-values": "the metric comes from others, and not from this one",
        "absent": "nobody sent a metric of this name within two weeks",
    }[state]


# ------------------------------------------------------------------------------------------------------------- findings


def denied_finding(row: Coverage) -> Finding:
    """What cannot be said because a table (Metrics, MetricAlarms, logStreams) may not be read: inconclusive."""
    code = {"Metrics": "CW-AGENT-SILENT", "MetricAlarms": "CW-ALARM-FIRING", "logStreams": "CW-LOG-SILENT"}[row.table]
    claim = f"{row.table} may not be read, so nothing can be said of them."
    return Finding(code, "inconclusive", "medium", (row.table,), claim, {"denied": row.note}, (), (row,), "Allow the call that AWS names.")  # fmt: skip


def config_findings(
    config: Mapping[str, Any], subject: str, window: Window, coverage: Sequence[Coverage] = (), *, systems: Sequence[Platform | None] = (None,)
) -> list[Finding]:  # fmt: skip
    """CW-AGENT-CONFIG of check_agent_config() on the hosts' systems: one for what the agent refuses, else one for what will not come;
    refuted where it is neither. subject: the parameter or file that holds the configuration."""
    found = list(dict.fromkeys(one for system in systems for one in check_agent_config(config, platform=system)))
    wrong = [one for one in found if one.level == "error"] or found
    told = [f"{one.path or 'the document'}: {one.message}" for one in wrong[:6]]
    if not found:
        return [_finding("CW-AGENT-CONFIG", "refuted", "info", subject, "The agent takes the configuration, and nothing in it is doubtful", [], window, coverage)]  # fmt: skip
    if wrong[0].level == "error":
        title = f"The agent refuses the configuration {subject}, so that it does not start with it: {told[0]}"
        return [_finding("CW-AGENT-CONFIG", "confirmed", "high", subject, title, told, window, coverage)]
    title = f"The agent takes the configuration {subject}, and for {len(wrong)} of its members data does not come, or not as alarms wait for it"
    return [_finding("CW-AGENT-CONFIG", "confirmed", "low", subject, title, told, window, coverage)]


def agent_findings(found: pd.DataFrame, window: Window, coverage: Sequence[Coverage] = ()) -> list[Finding]:
    """CW-AGENT-SILENT for each host that sends nothing (or nothing any more), of arrivals(); refuted where all arrived."""
    silent = []
    for instance, rows in found.groupby("instance_id", sort=False):
        gone = rows[rows["state"].isin(["missing", "stopped"])]
        if len(gone) == len(rows):
            since = rows["last"].max()
            title = f"{instance} sends no metric" + ("" if pd.isna(since) else f" since {since:%Y-%m-%d %H:%MZ}")
            silent.append(_finding("CW-AGENT-SILENT", "confirmed", "high", str(instance), title, sorted(gone["cause"].unique())[:3], window, coverage, f"silent {instance}"))  # fmt: skip
        elif len(gone):
            title = f"{instance} sends {len(rows) - len(gone)} of {len(rows)} metrics; {', '.join(gone['metric'].head(4))} are missing"
            silent.append(_finding("CW-AGENT-SILENT", "confirmed", "medium", str(instance), title, sorted(gone["cause"].unique())[:3], window, coverage))  # fmt: skip
    if not silent and len(found):
        hosts = found["instance_id"].nunique()
        bare = int(found["state"].eq("unnamed").sum())
        title = f"Every metric of the configuration arrives: {len(found)} from {hosts} hosts" + (f", {bare} of them without InstanceId" if bare else "")  # fmt: skip
        silent.append(_finding("CW-AGENT-SILENT", "refuted", "info", f"{hosts} hosts", title, [f"last point {found['last'].min():%Y-%m-%d %H:%MZ} or later"], window, coverage))  # fmt: skip
    return silent


def log_findings(logs: pd.DataFrame, window: Window, coverage: Sequence[Coverage] = ()) -> list[Finding]:
    """CW-LOG-SILENT for each group that lacks streams of hosts, of log_arrivals(); refuted where all are there."""
    missing = logs[logs["state"].eq("missing")]
    findings = []
    for group, rows in missing.groupby("group", sort=False):
        title = f"{len(rows)} of {logs['group'].eq(group).sum()} hosts have no events in {group}"
        evidence = [f"{row.instance_id} {row.source}: {row.cause}" for row in rows.head(4).itertuples()]
        hosts = rows["instance_id"].unique()
        event = f"silent {hosts[0]}" if len(hosts) == 1 else ""
        findings.append(
            _finding("CW-LOG-SILENT", "confirmed", "medium", str(group), title, evidence, window, coverage, event)
        )
    if not findings and len(logs) and not logs["state"].eq("unknown").all():
        title = f"Every log file of the configuration has its stream: {len(logs)}"
        findings.append(_finding("CW-LOG-SILENT", "refuted", "info", ", ".join(sorted(logs["group"].unique())[:3]), title, [f"last event {logs['last'].max():%Y-%m-%d %H:%MZ}"], window, coverage))  # fmt: skip
    return findings


def alarm_findings(
    alarms: pd.DataFrame, seen: pd.DataFrame, window: Window, coverage: Sequence[Coverage] = (), *, would: Mapping[str, str] | None = None,
    quiet: Collection[str] = (),
) -> list[Finding]:  # fmt: skip
    """CW-ALARM-FIRING, CW-DIMENSION-MISMATCH, CW-ALARM-NO-DATA and CW-ALARM-MUTE, of alarms (read.alarms) and sights().

    would: by alarm, what it would have done on the metric that is there. quiet: alarms that have no action of their own on purpose
    (quiet_on_purpose). No alarm at all is an inconclusive CW-ALARM-FIRING:
    nothing watches, which is not the same as all is well.
    """
    findings = [_firing(row, window, coverage) for row in alarms[alarms["state"].eq("ALARM")].to_dict("records")]
    if not findings:
        status: Status = "refuted" if len(alarms) else "inconclusive"
        title = f"None of {len(alarms)} alarms is in ALARM" if len(alarms) else "There is no alarm: nothing watches"
        states = [f"{count} {state}" for state, count in alarms["state"].value_counts().items()]
        findings.append(_finding("CW-ALARM-FIRING", status, "info", "alarms", title, states, window, coverage))
    blind = seen[seen["state"].ne("seen")]
    findings += [_mismatch(row, (would or {}).get(str(row["alarm"]), ""), window, coverage) for row in blind.to_dict("records") if row["state"] == "other-dimensions"]  # fmt: skip
    named = set(seen.loc[seen["state"].eq("other-dimensions"), "alarm"])
    findings += [_no_data(row, blind, window, coverage) for row in alarms.to_dict("records") if row["state"] == "INSUFFICIENT_DATA" and row["name"] not in named]  # fmt: skip
    tells_nobody = ~alarms["actions_enabled"] | alarms["actions"].map(len).eq(0)
    mute = alarms[tells_nobody & ~alarms["name"].isin(list(quiet))]
    if len(mute):
        title = f"{len(mute)} of {len(alarms)} alarms tell nobody: no action, or actions switched off"
        findings.append(_finding("CW-ALARM-MUTE", "confirmed", "low", ", ".join(mute["name"].head(3)), title, list(mute["name"].head(6)), window, coverage))  # fmt: skip
    return findings


def quiet_on_purpose(records: Iterable[Mapping[str, Any]]) -> set[str]:
    """The alarms that need no action for ALARM of their own, by name, of records as DescribeAlarms gives them.

    A composite alarm that acts does it for those it asks, and for those that they ask; a suppressor is only looked at; and an
    alarm may tell of OK alone. A rule of a form that is not known here is taken to ask every alarm that it names.
    """
    held = {str(one["AlarmName"]): one for one in records}
    acting = {name for name, one in held.items() if _acts(one)}
    asked = {name: _asked(one, held) for name, one in held.items() if "AlarmRule" in one}
    found = {_bare_name(str(one["ActionsSuppressor"])) for one in held.values() if one.get("ActionsSuppressor")}
    waiting = [child for name in acting for child in asked.get(name, ())]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += asked.get(name, ())
    return found | {name for name in acting if not held[name].get("AlarmActions")}


def _acts(record: Mapping[str, Any]) -> bool:
    told = ("AlarmActions", "OKActions", "InsufficientDataActions")
    return bool(record.get("ActionsEnabled", True)) and any(record.get(one) for one in told)


def _asked(record: Mapping[str, Any], held: Mapping[str, Any]) -> list[str]:
    rule = str(record["AlarmRule"])
    try:
        return [_bare_name(one) for one in rule_alarms(parse_rule(rule, str(record["AlarmName"])))]
    except InputError:
        return [name for name in held if name in rule]


def _bare_name(name: str) -> str:
    """The name of an alarm that is given by name or by ARN."""
    return name.split(":alarm:", 1)[-1]


def _firing(row: Mapping[Any, Any], window: Window, coverage: Sequence[Coverage]) -> Finding:
    since = row["since"]
    what = f"{row['metric']} {row['statistic']}" if row["metric"] else str(row["rule"])
    title = f"{row['name']} is in ALARM" + ("" if pd.isna(since) else f" since {since:%Y-%m-%d %H:%MZ}")
    return _finding("CW-ALARM-FIRING", "confirmed", "high", str(row["name"]), title, [str(row["reason"]), what], window, coverage)  # fmt: skip


def _mismatch(row: Mapping[Any, Any], would: str, window: Window, coverage: Sequence[Coverage]) -> Finding:
    title = f"{row['alarm']} waits for {row['metric']} with {_words(row['waits_for'])}; it is sent with {_words(row['sent_with'])}"
    return _finding("CW-DIMENSION-MISMATCH", "confirmed", "high", str(row["alarm"]), title, [str(row["cause"]), *([would] if would else [])], window, coverage)  # fmt: skip


def _no_data(row: Mapping[Any, Any], blind: pd.DataFrame, window: Window, coverage: Sequence[Coverage]) -> Finding:
    why = list(blind.loc[blind["alarm"].eq(row["name"]), "cause"]) or [str(row["reason"])]
    return _finding("CW-ALARM-NO-DATA", "confirmed", "medium", str(row["name"]), f"{row['name']} has no data to judge by", why, window, coverage)  # fmt: skip


def unalarmed_finding(proposals: pd.DataFrame, lacking: pd.DataFrame, window: Window, coverage: Sequence[Coverage] = ()) -> Finding:  # fmt: skip
    """CW-METRIC-UNALARMED, of path_alarms() and unalarmed(): which metrics of the hops no alarm watches."""
    if lacking.empty:
        title = f"Each of {len(proposals)} metrics of the path has its alarm"
        return _finding("CW-METRIC-UNALARMED", "refuted" if len(proposals) else "inconclusive", "info", "path", title if len(proposals) else "No hop with a metric to watch", [], window, coverage)  # fmt: skip
    title = f"{len(lacking)} of {len(proposals)} metrics that tell of trouble on the path have no alarm"
    evidence = [f"{row['id']}: {row['metric']} ({row['why']})" for row in lacking.head(5).to_dict("records")]
    return _finding("CW-METRIC-UNALARMED", "confirmed", "low", ", ".join(dict.fromkeys(lacking["id"])), title, evidence, window, coverage)  # fmt: skip


def _words(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name}={value}" for name, value in pairs) or "no dimension"


def _finding(
    code: str, status: Status, severity: Severity, subject: str, title: str, evidence: Sequence[str], window: Window, coverage: Sequence[Coverage],
    event: str = "",
) -> Finding:  # fmt: skip
    limits = ("CloudWatch may show a point some minutes late, and a metric's name after up to 15 minutes.",)
    seen: dict[str, Any] = {"window": str(window), "seen": list(evidence)} | ({"event": event} if event else {})
    step = _NEXT[code] if status == "confirmed" else ""
    return Finding(code, status, severity, (subject,), f"{title}.", seen, limits, tuple(coverage), step)


_NEXT = {
    "CW-AGENT-CONFIG": "Mend the configuration where the evidence names it, and give it to the agents again (plan agent, with replace).",
    "CW-AGENT-SILENT": "On the host: amazon-cloudwatch-agent-ctl -a status, then the end of /opt/aws/amazon-cloudwatch-agent/logs/amazon-cloudwatch-agent.log.",
    "CW-LOG-SILENT": "Look whether the file is there and may be read by the agent's user; the agent's own log names what it could not open.",
    "CW-ALARM-FIRING": "Look at its points and the error lines behind it (An alarm's life), then at the flow log of that host (notebook 21).",
    "CW-DIMENSION-MISMATCH": "Mend the agent's configuration (append_dimensions), or make the alarm on the dimensions that are sent.",
    "CW-ALARM-NO-DATA": "Look whether the metric is sent at all, and whether the alarm's period is not shorter than the metric's.",
    "CW-ALARM-MUTE": "Give the alarm an SNS topic, or take the alarm away.",
    "CW-METRIC-UNALARMED": "Apply the plan of proposed alarms, after holding it against past data.",
}
