"""The CloudWatch agent's configuration: made from a few words, checked, and read for the metrics it will send. Pure.

`check_agent_config` says error where the agent refuses to start (agent_grammar.py) and warning where it starts and the data
does not come, or not as an alarm waits for it; agent_metrics.py has the metrics and dimensions that it sends.
Sources: CloudWatch User Guide, "Manually create or edit the CloudWatch agent configuration file" and "Metrics collected by the
CloudWatch agent"; the agent's own translator (amazon-cloudwatch-agent, translator/) for what it drops without a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from netkit.cloudwatch.agent_grammar import Problem, nearest, problems, refuse_errors
from netkit.cloudwatch.agent_metrics import (
    APPENDABLE,
    INTERVAL_S,
    MEASUREMENTS,
    NAMESPACE,
    OWN_DIMENSIONS,
    Match,
    appended,
    dimension_sets,
    expected_metrics,
    match,
    measured_name,
    metric_names,
    mismatch,
    plugins_of,
    short_name,
)
from netkit.core.errors import InputError

__all__ = [
    "AgentConfig",
    "LogFile",
    "Match",
    "Problem",
    "WindowsEvents",
    "check_agent_config",
    "expected_metrics",
    "log_files",
    "match",
    "metric_names",
    "mismatch",
    "read_agent_config",
]

Platform = Literal["linux", "windows"]

GROUP_CLASSES = ("STANDARD", "INFREQUENT_ACCESS")
ROOT_ONLY = (
    *("/var/log/httpd", "/var/log/secure", "/var/log/messages", "/var/log/maillog", "/var/log/cron"),
    *("/var/log/audit", "/var/log/boot.log", "/var/log/spooler", "/var/log/btmp", "/root"),
)
"""What distributions usually keep for root. A habit of theirs and no rule of AWS's: hence a warning that says "usually"."""

_USUAL: dict[Platform, dict[str, tuple[str, ...]]] = {
    "linux": {
        "cpu": ("usage_idle", "usage_iowait", "usage_user", "usage_system"),
        "disk": ("used_percent",),
        "diskio": ("io_time",),
        "mem": ("used_percent",),
        "net": ("bytes_sent", "bytes_recv", "drop_in", "drop_out"),
        "netstat": ("tcp_established", "tcp_time_wait"),
        "processes": ("running", "zombies"),
        "swap": ("used_percent",),
    },
    "windows": {
        "Processor": ("% Processor Time",),
        "LogicalDisk": ("% Free Space",),
        "Memory": ("% Committed Bytes In Use",),
        "Network Interface": ("Bytes Received/sec", "Bytes Sent/sec"),
    },
}
_ALIASES = {"cpu": "Processor", "disk": "LogicalDisk", "mem": "Memory", "net": "Network Interface"}
_LINUX_ONLY = {*OWN_DIMENSIONS, "ethtool", "collectd", "efa"}
_AGENT_MEMBERS = (
    *("metrics_collection_interval", "region", "credentials", "debug", "aws_sdk_log_level", "logfile", "omit_hostname"),
    *("run_as_user", "user_agent", "usage_data", "internal", "quiet", "service.name", "deployment.environment"),
    "use_dualstack_endpoint",
)
_SECTIONS = ("agent", "metrics", "logs", "traces", "opentelemetry")
_PLACEHOLDERS = ("instance_id", "hostname", "local_hostname", "ip_address", "aws_region", "account_id", "date")


def read_agent_config(text: str) -> dict[str, Any]:
    """A configuration from its JSON text. Raises InputError naming line and column, or when it is no object."""
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"the agent configuration is not JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            hint="the agent reads plain JSON: double quotes, no comment, no comma before a closing bracket",
        ) from None
    if not isinstance(config, dict):
        raise InputError("the agent configuration is not an object", hint="as {'metrics': {…}, 'logs': {…}}")
    return config


# making


@dataclass(frozen=True)
class LogFile:
    """A log file (or a pattern of names) and the group and stream it goes to.

    retention_days is one of RETENTION_DAYS or None to leave the group's own; timezone ("UTC" or "Local") needs a
    timestamp_format (strftime). filters are (include or exclude, expression) pairs.
    """

    path: str
    group: str
    stream: str = "{instance_id}"
    retention_days: int | None = None
    group_class: str = ""
    timestamp_format: str = ""
    timezone: str = ""
    multi_line_start: str = ""
    filters: tuple[tuple[str, str], ...] = ()

    def entry(self) -> dict[str, Any]:
        """Its member of logs.logs_collected.files.collect_list."""
        made = {
            "file_path": self.path,
            "log_group_name": self.group,
            "log_stream_name": self.stream,
            "retention_in_days": self.retention_days,
            "log_group_class": self.group_class,
            "timestamp_format": self.timestamp_format,
            "timezone": self.timezone,
            "multi_line_start_pattern": self.multi_line_start,
            "filters": [{"type": kind, "expression": text} for kind, text in self.filters],
        }
        return {name: one for name, one in made.items() if one not in (None, "", [])}


@dataclass(frozen=True)
class WindowsEvents:
    """A channel of the Windows event log and the group it goes to, by level or by event id."""

    channel: str
    group: str
    levels: tuple[str, ...] = ("ERROR", "CRITICAL")
    ids: tuple[int, ...] = ()
    stream: str = "{instance_id}"
    retention_days: int | None = None

    def entry(self) -> dict[str, Any]:
        """Its member of logs.logs_collected.windows_events.collect_list."""
        made = {
            "event_name": self.channel,
            "event_levels": list(self.levels),
            "event_ids": list(self.ids),
            "event_format": "text",
            "log_group_name": self.group,
            "log_stream_name": self.stream,
            "retention_in_days": self.retention_days,
        }
        return {name: one for name, one in made.items() if one not in (None, [])}


@dataclass(frozen=True)
class AgentConfig:
    """What an agent measures and sends. Every metric carries InstanceId, and is sent once more under InstanceId alone.

    measures: plugin -> measurements in either spelling. Raises InputError for whatever the agent would refuse, and for
    run_as_user on Windows. Warnings: check_agent_config(config.document()).
    """

    measures: Mapping[str, Sequence[str]] = field(default_factory=dict)
    logs: tuple[LogFile, ...] = ()
    events: tuple[WindowsEvents, ...] = ()
    namespace: str = NAMESPACE
    interval_s: int = INTERVAL_S
    platform: Platform = "linux"
    run_as_user: str = ""
    append: tuple[str, ...] = ("InstanceId",)
    aggregate: tuple[tuple[str, ...], ...] = (("InstanceId",),)
    resources: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.run_as_user and self.platform == "windows":
            raise InputError("run_as_user is for Linux only", hint="leave it out for Windows")
        unknown = [one for one in self.append if one not in APPENDABLE]
        if unknown:
            raise InputError(f"the agent appends no dimension {unknown[0]!r}", hint=f"it knows {', '.join(APPENDABLE)}")
        refuse_errors(self.document())

    @classmethod
    def of(
        cls,
        metrics: str | Iterable[str] = "cpu mem disk",
        logs: Mapping[str, str] | Iterable[LogFile] = (),
        *,
        platform: Platform = "linux",
        **more: Any,
    ) -> AgentConfig:
        """From a few words: "cpu mem disk", "cpu_usage_idle disk_used_percent", {"/var/log/app.log": "/app/log"}.

        A plugin's name stands for its usual measurements; on Windows cpu, mem, disk and net stand for the objects. Raises
        InputError for a word that is no plugin and no metric.
        """
        if platform not in _USUAL:
            raise InputError(f"{platform!r} is no platform of the agent", hint=f"as {' or '.join(_USUAL)}")
        measures: dict[str, list[str]] = {}
        for word in metrics.split() if isinstance(metrics, str) else metrics:
            plugin, names = _measures_of(word, platform)
            known = measures.setdefault(plugin, [])
            known.extend(name for name in names if name not in known)
        files = [LogFile(path, group) for path, group in logs.items()] if isinstance(logs, Mapping) else list(logs)
        return cls(measures, tuple(files), platform=platform, **more)

    def document(self) -> dict[str, Any]:
        """The configuration as the agent reads it."""
        made: dict[str, Any] = {"agent": {"metrics_collection_interval": self.interval_s}}
        if self.run_as_user:
            made["agent"]["run_as_user"] = self.run_as_user
        if self.measures:
            made["metrics"] = self._metrics()
        collected: dict[str, Any] = {}
        if self.logs:
            collected["files"] = {"collect_list": [one.entry() for one in self.logs]}
        if self.events:
            collected["windows_events"] = {"collect_list": [one.entry() for one in self.events]}
        return made | ({"logs": {"logs_collected": collected}} if collected else {})

    def _metrics(self) -> dict[str, Any]:
        made: dict[str, Any] = {
            "namespace": self.namespace,
            "metrics_collected": {plugin: self._plugin(plugin) for plugin in self.measures},
        }
        if self.append:
            made["append_dimensions"] = {name: f"${{aws:{name}}}" for name in self.append}
        if self.aggregate:
            made["aggregation_dimensions"] = [list(one) for one in self.aggregate]
        return made

    def _plugin(self, plugin: str) -> dict[str, Any]:
        made: dict[str, Any] = {"measurement": list(self.measures[plugin])}
        usual = {"disk": ("*",), "diskio": ("*",), "net": ("*",), "LogicalDisk": ("*",), "Processor": ("_Total",)}
        usual["Network Interface"] = ("*",)
        resources = self.resources.get(plugin, usual.get(plugin))
        return made | ({"resources": list(resources)} if resources else {})

    def text(self) -> str:
        """The configuration as JSON without blanks, for a place where size counts (Parameter Store)."""
        return json.dumps(self.document(), separators=(",", ":"))


def _measures_of(word: str, platform: Platform) -> tuple[str, tuple[str, ...]]:
    """A plugin's name with its usual measurements, or the plugin and measurement of a metric's name."""
    usual = _USUAL[platform]
    plugin = _ALIASES.get(word, word) if platform == "windows" else word
    if plugin in usual:
        return plugin, usual[plugin]
    if platform == "windows":
        known = next((one for one in usual if word.startswith(one + " ")), "")
        if known:
            return known, (word.removeprefix(known + " "),)
    else:
        head = next((one for one in MEASUREMENTS if word.startswith(one + "_")), "")
        if head and word.removeprefix(head + "_") in MEASUREMENTS[head]:
            return head, (word.removeprefix(head + "_"),)
    names = [f"{one}_{name}" for one, all_names in MEASUREMENTS.items() for name in all_names]
    raise InputError(
        f"{word!r} is no plugin and no metric of the agent on {platform}{nearest(word, [*usual, *names])}",
        hint=f"plugins: {', '.join(usual)}; a metric as disk_used_percent or LogicalDisk % Free Space",
    )


# checking


def check_agent_config(config: Mapping[str, Any], *, platform: Platform | None = None) -> list[Problem]:
    """Errors that keep the agent from starting; when there is none, warnings of data that will not come as expected.

    Valid means: no error. Errors are those of the agent's own schema. platform is read from the configuration when it is
    not given: event logs, Windows paths and counters make it Windows.
    """
    errors = problems(config)
    if errors:
        return errors
    on = platform or _platform(config)
    return [one for check in _CHECKS for one in check(config, on)]


def _warn(path: str, message: str) -> Problem:
    return Problem("warning", path, message)


def _entries(config: Mapping[str, Any], *kinds: str) -> list[tuple[str, dict[str, Any]]]:
    """The entries of the collect lists with their paths."""
    collected = config.get("logs", {}).get("logs_collected", {})
    return [
        (f"logs.logs_collected.{kind}.collect_list[{place}]", one)
        for kind in kinds or ("files", "windows_events", "journald")
        for place, one in enumerate(collected.get(kind, {}).get("collect_list", ()))
    ]


def _platform(config: Mapping[str, Any]) -> Platform:
    windows = any(re.match(r"[A-Za-z]:[\\/]", one["file_path"]) for _, one in _entries(config, "files"))
    windows = windows or bool(_entries(config, "windows_events"))
    counters = [name for name, _, _ in plugins_of(config) if name[:1].isupper()]
    return "windows" if windows or counters else "linux"


def _check_sections(config: Mapping[str, Any], platform: Platform) -> Iterator[Problem]:
    for name in config:
        if name not in _SECTIONS and name != "$schema":
            yield _warn(name, f"the agent has no such section and takes no notice of it{nearest(name, _SECTIONS)}")
    if not any(config.get(name) for name in _SECTIONS[1:]):
        yield _warn("", "there is nothing to collect: no metrics, logs, traces or opentelemetry section")
    agent = config.get("agent", {})
    for name in agent:
        if name not in _AGENT_MEMBERS:
            yield _warn(f"agent.{name}", f"no documented member{nearest(name, _AGENT_MEMBERS)}; nothing comes of it")
    if platform == "windows" and "run_as_user" in agent:
        yield _warn("agent.run_as_user", "is for Linux only; on Windows the agent runs as a service of the system")


def _check_dimensions(config: Mapping[str, Any], platform: Platform) -> Iterator[Problem]:
    metrics = config.get("metrics", {})
    if not metrics or not any(name not in ("prometheus", "otlp") for name in metrics["metrics_collected"]):
        return
    given = metrics.get("append_dimensions")
    path = "metrics.append_dimensions"
    if given is None:
        instead = "no host either" if config.get("agent", {}).get("omit_hostname") else "host"
        yield _warn(
            path, f"is missing: metrics carry {instead} and not InstanceId, so an alarm on InstanceId never matches"
        )
        return
    for name, one in given.items():
        if name not in APPENDABLE:
            yield _warn(f"{path}.{name}", f"is dropped: the agent appends only {', '.join(APPENDABLE)}")
        elif one != f"${{aws:{name}}}":
            yield _warn(f"{path}.{name}", f"is dropped: its value has to be ${{aws:{name}}}, it is {one!r}")
    if "InstanceId" not in given:
        yield _warn(path, "has no InstanceId: an alarm on InstanceId never matches")


def _check_aggregation(config: Mapping[str, Any], platform: Platform) -> Iterator[Problem]:
    wanted = config.get("metrics", {}).get("aggregation_dimensions", ())
    sets = dimension_sets(config)
    whole = all(complete for _, complete in sets)
    absent = set(APPENDABLE) - appended(config)  # said already, by _check_dimensions
    for place, one in enumerate(wanted):
        if whole and not absent & set(one) and not any(set(one) <= names for names, _ in sets):
            yield _warn(
                f"metrics.aggregation_dimensions[{place}]",
                f"no metric carries {' and '.join(one)}, so nothing is sent under it",
            )
    only = {"InstanceId"}
    if "InstanceId" in appended(config) and ["InstanceId"] not in wanted:
        more = sorted({name for names, _ in sets if only < names for name in names - only})
        if more:
            yield _warn(
                "metrics.aggregation_dimensions",
                f"has no [InstanceId]: metrics with {', '.join(more)} beside it do not match an alarm on InstanceId alone",
            )


def _check_names(config: Mapping[str, Any], platform: Platform) -> Iterator[Problem]:
    for plugin, path, given in plugins_of(config):
        if platform == "windows" and plugin in _LINUX_ONLY:
            yield _warn(
                path, f"{plugin} is collected on Linux only; Windows counters are {', '.join(_USUAL['windows'])} …"
            )
        known = MEASUREMENTS.get(plugin)
        for place, one in enumerate(given.get("measurement", ())):
            name = short_name(plugin, measured_name(one))
            if known and name not in known:
                yield _warn(
                    f"{path}.measurement[{place}]",
                    f"{plugin} measures no {name!r}, the agent leaves it out{nearest(name, known)}",
                )
        if given.get("measurement") == []:
            yield _warn(f"{path}.measurement", "is empty: nothing is collected")
    namespace = config.get("metrics", {}).get("namespace", NAMESPACE)
    if namespace.startswith(("AWS/", ":")):
        yield _warn("metrics.namespace", f"{namespace!r}: AWS/ is kept for AWS's services, and : may not be first")


def _check_files(config: Mapping[str, Any], platform: Platform) -> Iterator[Problem]:
    user = config.get("agent", {}).get("run_as_user", "root")
    for path, one in _entries(config, "files"):
        file = one["file_path"]
        if platform == "linux" and not file.startswith("/"):
            yield _warn(f"{path}.file_path", f"{file!r} is no full path" if file else "is empty: nothing is read")
        if platform == "linux" and user != "root" and _root_only(file):
            yield _warn(
                f"{path}.file_path",
                f"usually only root may read {file}, and the agent runs as {user}: nothing arrives and only the agent's own "
                "log says so; give the user the right to read it (setfacl) and try it with sudo -u",
            )
        yield from _check_times(path, one)


def _root_only(file: str) -> bool:
    return any(file == one or file.startswith((one + "/", one + "-", one + "*")) for one in ROOT_ONLY)


def _check_times(path: str, one: Mapping[str, Any]) -> Iterator[Problem]:
    if "timezone" in one and "timestamp_format" not in one:
        yield _warn(f"{path}.timezone", "has no effect without timestamp_format: events carry the time they were read")
    start = one.get("multi_line_start_pattern", "")
    if start == "{timestamp_format}" and "timestamp_format" not in one:
        yield _warn(f"{path}.multi_line_start_pattern", "refers to timestamp_format, which is missing")
    elif re.fullmatch(r"\{\w+\}", start) and start != "{timestamp_format}":
        yield _warn(f"{path}.multi_line_start_pattern", f"{start} is no placeholder: is it {{timestamp_format}}?")


def _check_groups(config: Mapping[str, Any], platform: Platform) -> Iterator[Problem]:
    first: dict[tuple[str, str], tuple[str, object]] = {}
    for path, one in _entries(config):
        group = str(one.get("log_group_name", ""))
        for member in ("retention_in_days", "log_group_class"):
            value = one.get(member)
            if not group or value in (None, -1):
                continue
            # one collect list is checked by the agent before it starts, two are not held against each other
            kind = path.split(".")[2]
            where, other = first.setdefault((group.lower(), member), (path, value))
            if other != value:
                then = "the agent stops at it" if kind == where.split(".")[2] else "the group gets one or the other"
                yield _warn(f"{path}.{member}", f"conflict: {value} for {group}, and {other} in {where}: {then}")
        if one.get("log_group_class", "STANDARD") not in GROUP_CLASSES:
            yield _warn(f"{path}.log_group_class", f"is none of {', '.join(GROUP_CLASSES)}")
        yield from _check_group_name(path, group)
        for member in ("log_group_name", "log_stream_name"):
            yield from _check_placeholders(f"{path}.{member}", str(one.get(member, "")))


def _check_group_name(path: str, group: str) -> Iterator[Problem]:
    bare = re.sub(r"\{\w+\}", "", group)
    if group.startswith("aws/") or not re.fullmatch(r"[A-Za-z0-9_\-/.#]*", bare):
        yield _warn(
            f"{path}.log_group_name",
            f"CloudWatch Logs makes no group {group!r}: letters, digits and _-/.# only, and not aws/ at the start",
        )


def _check_placeholders(path: str, text: str) -> Iterator[Problem]:
    for name in re.findall(r"\{(\w+)\}", text):
        if name not in _PLACEHOLDERS:
            yield _warn(path, f"{{{name}}} is not replaced{nearest(name, _PLACEHOLDERS)}")


def _check_filters(config: Mapping[str, Any], platform: Platform) -> Iterator[Problem]:
    for path, one in _entries(config):
        for place, given in enumerate(one.get("filters", ())):
            here = f"{path}.filters[{place}]"
            for member in ("type", "expression"):
                if member not in given:
                    yield _warn(here, f"has no {member}")
            # the agent is written in Go, whose expressions (RE2) know neither looking around nor references back
            if re.search(r"\(\?<?[=!]|\\[1-9]", given.get("expression", "")):
                yield _warn(f"{here}.expression", "RE2 has no lookahead, lookbehind or back reference")


_CHECKS: tuple[Callable[[Mapping[str, Any], Platform], Iterator[Problem]], ...] = (
    _check_sections,
    _check_dimensions,
    _check_aggregation,
    _check_names,
    _check_files,
    _check_groups,
    _check_filters,
)


# what is sent


def log_files(config: Mapping[str, Any], instance: str = "") -> pd.DataFrame:
    """What a configuration collects as logs: kind (files, windows_events, journald), source, group, stream, retention_days.

    group and stream are as written, with their placeholders; a group is empty where the agent chooses.
    With an instance's id, {instance_id} is that. retention_days is <NA> where
    the group keeps its own. Raises InputError for a configuration that the agent refuses.
    """
    refuse_errors(config)
    default = config.get("logs", {}).get("log_stream_name", "{instance_id}")
    rows = []
    for path, one in _entries(config):
        kind = path.split(".")[2]
        source = one.get("file_path") or one.get("event_name") or ", ".join(one.get("units", ()))
        days = one.get("retention_in_days", -1)
        rows.append(
            {
                "kind": kind,
                "source": source,
                "group": _on(instance, one.get("log_group_name", "")),
                "stream": _on(instance, one.get("log_stream_name", default)),
                "retention_days": pd.NA if days == -1 else days,
            }
        )
    columns = ["kind", "source", "group", "stream", "retention_days"]
    return pd.DataFrame(rows, columns=columns).astype({"retention_days": "Int64"})


def _on(instance: str, name: str) -> str:
    return name.replace("{instance_id}", instance) if instance else name
