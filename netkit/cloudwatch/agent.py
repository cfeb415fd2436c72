"""The CloudWatch agent's configuration: made from a few words, and read for what it collects as logs. Pure.

`check_agent_config` (agent_checks.py) says error where the agent refuses to start and warning where it starts and the data does not
come, or not as an alarm waits for it; agent_metrics.py has the metrics and dimensions that it sends.
Source: CloudWatch User Guide, "Manually create or edit the CloudWatch agent configuration file".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from netkit.cloudwatch.agent_checks import check_agent_config
from netkit.cloudwatch.agent_grammar import Problem, nearest
from netkit.cloudwatch.agent_merge import merge_agent_configs, normal
from netkit.cloudwatch.agent_metrics import APPENDABLE, Match, expected_metrics, match, metric_names, mismatch
from netkit.cloudwatch.agent_names import INTERVAL_S, MEASUREMENTS, NAMESPACE, Platform, entries, platform_of
from netkit.cloudwatch.agent_rules import refuse_errors
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
    "merge_agent_configs",
    "metric_names",
    "mismatch",
    "read_agent_config",
]

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
_OBJECTS = tuple(one for one in MEASUREMENTS if one != "procstat")  # procstat needs a process to look at
_ALIASES = {"cpu": "Processor", "disk": "LogicalDisk", "mem": "Memory", "net": "Network Interface"}


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
        refuse_errors(self.document(), self.platform)

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
        head = next((one for one in _OBJECTS if word.startswith(one + "_")), "")
        if head and word.removeprefix(head + "_") in MEASUREMENTS[head]:
            return head, (word.removeprefix(head + "_"),)
    names = [f"{one}_{name}" for one in _OBJECTS for name in MEASUREMENTS[one]]
    raise InputError(
        f"{word!r} is no plugin and no metric of the agent on {platform}{nearest(word, [*usual, *names])}",
        hint=f"plugins: {', '.join(usual)}; a metric as disk_used_percent or LogicalDisk % Free Space",
    )


# what is sent


def log_files(config: Mapping[str, Any], instance: str = "", platform: Platform | None = None) -> pd.DataFrame:
    """What a configuration collects as logs: kind (files, windows_events, journald), source, group, stream, retention_days.

    group and stream are as written, with their placeholders; a group is empty where the agent chooses.
    With an instance's id, {instance_id} is that. retention_days is <NA> where
    the group keeps its own. Event logs have no row on Linux, nor the journal on Windows: the agent ignores them there. Raises
    InputError for a configuration that the agent refuses.
    """
    refuse_errors(config, platform)
    seen = normal(config)
    default = seen.get("logs", {}).get("log_stream_name", "{instance_id}")
    rows = []
    for path, one in entries(
        seen, "files", "journald" if (platform or platform_of(seen)) == "linux" else "windows_events"
    ):
        kind = path.split(".")[2]
        source = one.get("file_path") or one.get("event_name") or ", ".join(one.get("units", ()))
        days = one.get("retention_in_days", -1)
        rows.append(
            {
                "kind": kind,
                "source": source,
                "group": _on(instance, one.get("log_group_name", "")),
                "stream": _on(instance, one.get("log_stream_name", default)),
                "retention_days": pd.NA if days == -1 else int(days),
            }
        )
    columns = ["kind", "source", "group", "stream", "retention_days"]
    return pd.DataFrame(rows, columns=columns).astype({"retention_days": "Int64"})


def _on(instance: str, name: str) -> str:
    return name.replace("{instance_id}", instance) if instance else name
