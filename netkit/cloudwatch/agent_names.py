"""What the CloudWatch agent knows by name: its plugins, what each measures, and what a metric is called in CloudWatch. Pure.

Sources: the agent's own registered lists and name rules (amazon-cloudwatch-agent, translator/translate/metrics/config and
internal/metric); CloudWatch User Guide, "Metrics collected by the CloudWatch agent", "Collect process metrics with the procstat
plugin", "Collect Amazon EBS NVMe driver metrics" and "Collect Amazon EC2 instance store volume NVMe driver metrics".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

Platform = Literal["linux", "windows"]

NAMESPACE = "CWAgent"  # the agent's own default
INTERVAL_S = 60


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_TIMES = _words("active guest guest_nice idle iowait irq nice softirq steal system user")
_TOTALS = _words("read_ops write_ops read_bytes write_bytes read_time write_time")
_LIMITS = _words(
    "cpu_time file_locks memory_data memory_locked memory_rss memory_stack memory_vms nice_priority num_fds"
)
_NVME = (
    *(f"ebs_total_{one}" for one in _TOTALS),
    *(f"ebs_volume_performance_exceeded_{one}" for one in ("iops", "tp")),
    *(f"ebs_ec2_instance_performance_exceeded_{one}" for one in ("iops", "tp")),
    *(f"instance_store_total_{one}" for one in _TOTALS),
    *(f"instance_store_performance_exceeded_{one}" for one in ("iops", "tp")),
    *("ebs_volume_queue_length", "instance_store_volume_queue_length"),
)
MEASUREMENTS: dict[str, tuple[str, ...]] = {
    "cpu": (*(f"time_{one}" for one in _TIMES), *(f"usage_{one}" for one in _TIMES)),
    "disk": ("free", "inodes_free", "inodes_total", "inodes_used", "total", "used", "used_percent"),
    "diskio": (*_words("iops_in_progress io_time reads read_bytes read_time writes write_bytes write_time"), *_NVME),
    "swap": ("free", "used", "used_percent"),
    "mem": _words("active available available_percent buffered cached free inactive shared total used used_percent"),
    "net": _words("bytes_sent bytes_recv drop_in drop_out err_in err_out packets_sent packets_recv"),
    "netstat": (
        *(f"tcp_{one}" for one in _words("close close_wait closing established fin_wait1 fin_wait2 last_ack listen")),
        *("tcp_none", "tcp_syn_sent", "tcp_syn_recv", "tcp_time_wait", "udp_socket"),
    ),
    "processes": _words("blocked dead idle paging running sleeping stopped total total_threads wait zombies"),
    "procstat": (
        *("cpu_time", *(f"cpu_time_{one}" for one in _words("guest guest_nice idle iowait irq nice soft_irq steal"))),
        *_words("cpu_time_stolen cpu_time_system cpu_time_user cpu_usage involuntary_context_switches memory_data"),
        *_words("memory_locked memory_rss memory_stack memory_swap memory_vms nice_priority num_fds num_threads pid"),
        *_words("pid_count read_bytes read_count realtime_priority signals_pending voluntary_context_switches"),
        *_words("write_bytes write_count"),
        *(f"rlimit_{one}_{how}" for one in (*_LIMITS, "realtime_priority", "signals_pending") for how in ("hard", "soft")),
    ),
    "nvidia_gpu": (
        *_words("utilization_gpu temperature_gpu power_draw utilization_memory fan_speed memory_total memory_used"),
        *_words("memory_free pcie_link_gen_current pcie_link_width_current encoder_stats_session_count"),
        *_words("encoder_stats_average_fps encoder_stats_average_latency"),
        *(f"clocks_current_{one}" for one in _words("graphics sm memory video")),
    ),
}  # fmt: skip
"""What each plugin measures, in the short spelling. Any other name, and the agent refuses the whole configuration."""

# Dimensions a plugin gives its metrics. Not listed: those of which no page says them all.
OWN_DIMENSIONS: dict[str, tuple[str, ...]] = {
    "cpu": ("cpu",),
    "disk": ("path", "device", "fstype"),
    "diskio": ("name",),
    "net": ("interface",),
    **dict.fromkeys(("mem", "swap", "netstat", "processes"), ()),
}
NAMED_ELSEWHERE = ("statsd", "collectd", "jmx", "otlp", "prometheus")  # the sender names the metrics
LINUX_PLUGINS = frozenset({*MEASUREMENTS, *NAMED_ELSEWHERE, "ethtool", "efa", "internal"})
"""What is collected on Linux; any other name is taken there, and nothing comes of it."""
NOT_COUNTERS = frozenset({"procstat", "nvidia_gpu", "nvidia_smi", "statsd", "jmx", "otlp", "prometheus"})
"""On Windows these are plugins, and any other name is an object of performance counters."""
LINUX_ONLY = frozenset({*OWN_DIMENSIONS, "ethtool", "collectd", "efa"})
NO_INSTANCE = ("System", "Memory", "TCPv4", "TCPv6")  # Windows objects without instances
_REAL = {"nvidia_gpu": "nvidia_smi"}  # what the agent calls a plugin inside, and in names
_LOOKUP = {("procstat", "pid_count"): "procstat_lookup"}  # counted by the part of procstat that looks for processes


def plugins_of(config: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Each plugin's name, path and settings; a plugin with a list of settings comes once for each."""
    found = []
    for name, given in ((config.get("metrics") or {}).get("metrics_collected") or {}).items():
        path = f"metrics.metrics_collected.{name}"
        for place, one in enumerate(given if isinstance(given, list) else [given]):
            found.append((name, f"{path}[{place}]" if isinstance(given, list) else path, one))
    return found


def entries(config: Mapping[str, Any], *kinds: str) -> list[tuple[str, dict[str, Any]]]:
    """The entries of the collect lists (files, windows_events, journald) with their paths."""
    collected = (config.get("logs") or {}).get("logs_collected") or {}
    return [
        (f"logs.logs_collected.{kind}.collect_list[{place}]", one)
        for kind in kinds or ("files", "windows_events", "journald")
        for place, one in enumerate(collected.get(kind, {}).get("collect_list", ()))
    ]


def platform_of(config: Mapping[str, Any]) -> Platform:
    """The system that a configuration is for: Windows by its counters and paths, or by event logs beside nothing of Linux."""
    files = [str(one.get("file_path", "")) for _, one in entries(config, "files")]
    names = [name for name, _, _ in plugins_of(config)]
    if any(name[:1].isupper() for name in names) or any(re.match(r"[A-Za-z]:[\\/]", one) for one in files):
        return "windows"
    of_linux = any(one.startswith("/") for one in files) or any(name in LINUX_ONLY for name in names)
    of_linux = of_linux or bool(entries(config, "journald"))
    return "windows" if entries(config, "windows_events") and not of_linux else "linux"


def is_counter(plugin: str, platform: Platform) -> bool:
    """Whether the name is an object of Windows performance counters, in whichever letters."""
    return platform == "windows" and plugin not in NOT_COUNTERS


def ignored(plugin: str, platform: Platform) -> bool:
    """Whether the agent takes such a section and collects nothing for it."""
    return plugin not in LINUX_PLUGINS if platform == "linux" else plugin == "nvidia_smi"


def measured_name(one: str | Mapping[str, Any]) -> str:
    """The name in an entry of measurement, which is a text or an object with a name."""
    return str(one.get("name", "")) if isinstance(one, Mapping) else one


def short_name(plugin: str, name: str) -> str:
    """The short spelling of a measurement: usage_idle for cpu_usage_idle."""
    return name.strip().removeprefix(f"{_REAL.get(plugin, plugin)}_")


def is_measured(plugin: str, name: str, platform: Platform) -> bool:
    """Whether the plugin has such a measurement; True for a counter, and for a plugin whose list is not known here."""
    known = None if is_counter(plugin, platform) else MEASUREMENTS.get(plugin)
    return known is None or short_name(plugin, name) in known


def sent_name(plugin: str, name: str, platform: Platform) -> str:
    """What a measurement without a rename is called in CloudWatch: cpu_usage_idle, procstat_lookup_pid_count, "System System
    Calls/sec". Between the two stands an underscore on Linux and a blank on Windows."""
    between = " " if platform == "windows" else "_"
    if is_counter(plugin, platform):
        return f"{plugin}{between}{name}"
    short = short_name(plugin, name)
    return f"{_LOOKUP.get((plugin, short), _REAL.get(plugin, plugin))}{between}{short}"


def published(plugin: str, one: str | Mapping[str, Any], platform: Platform) -> str:
    """The name in CloudWatch of an entry of measurement: its rename, trimmed, or sent_name; procstat takes no rename."""
    rename = str(one.get("rename") or "").strip() if isinstance(one, Mapping) and plugin != "procstat" else ""
    return rename or sent_name(plugin, measured_name(one), platform)


def dropped(plugin: str, given: Mapping[str, Any], platform: Platform) -> Iterator[str]:
    """Of the measurements those whose metric is not sent as it is measured (drop_original_metrics), as sent_name has them.

    "*" is all of them. An entry of a plugin with a list of entries (procstat) has no such member.
    """
    names = [str(one) for one in given.get("drop_original_metrics", ())]
    if plugin in ("procstat", "jmx"):
        return
    for one in measurements(plugin, given):
        name = sent_name(plugin, measured_name(one), platform)
        if "*" in names or name in {one if plugin in one else sent_name(plugin, one, platform) for one in names}:
            yield name


def measurements(plugin: str, given: Mapping[str, Any]) -> list[str | Mapping[str, Any]]:
    """The entries of measurement, or ethtool's metrics_include."""
    return list(given.get("measurement", given.get("metrics_include", ()) if plugin == "ethtool" else ()))
