"""Which metrics a CloudWatch agent sends: their names and dimensions, and whether an alarm meets one of them. Pure.

Sources: CloudWatch User Guide, "Metrics collected by the CloudWatch agent" and "Manually create or edit the CloudWatch agent
configuration file"; the agent's own translator (amazon-cloudwatch-agent, translator/translate/metrics) for what each plugin
measures and which appended dimensions have an effect.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from netkit.cloudwatch.agent_grammar import nearest, refuse_errors
from netkit.core.errors import InputError

NAMESPACE = "CWAgent"  # the agent's own default
INTERVAL_S = 60
APPENDABLE = ("InstanceId", "ImageId", "InstanceType", "AutoScalingGroupName")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_TIMES = _words("active guest guest_nice idle iowait irq nice softirq steal system user")
MEASUREMENTS: dict[str, tuple[str, ...]] = {
    "cpu": (*(f"time_{one}" for one in _TIMES), *(f"usage_{one}" for one in _TIMES)),
    "disk": ("free", "inodes_free", "inodes_total", "inodes_used", "total", "used", "used_percent"),
    "diskio": _words("iops_in_progress io_time reads read_bytes read_time writes write_bytes write_time"),
    "swap": ("free", "used", "used_percent"),
    "mem": _words("active available available_percent buffered cached free inactive total used used_percent"),
    "net": _words("bytes_sent bytes_recv drop_in drop_out err_in err_out packets_sent packets_recv"),
    "netstat": (
        *(f"tcp_{one}" for one in _words("close close_wait closing established fin_wait1 fin_wait2 last_ack listen")),
        *("tcp_none", "tcp_syn_sent", "tcp_syn_recv", "tcp_time_wait", "udp_socket"),
    ),
    "processes": _words("blocked dead idle paging running sleeping stopped total total_threads wait zombies"),
}
"""What each Linux plugin measures, in the short spelling; other names the agent leaves out without an error."""

# Dimensions a plugin gives its metrics. Not listed: those of which no page says them all.
OWN_DIMENSIONS: dict[str, tuple[str, ...]] = {
    "cpu": ("cpu",),
    "disk": ("path", "device", "fstype"),
    "diskio": ("name",),
    "net": ("interface",),
    **dict.fromkeys(("mem", "swap", "netstat", "processes"), ()),
}
_NAMED_ELSEWHERE = ("statsd", "collectd", "jmx", "otlp", "prometheus")  # the sender names the metrics
_NO_INSTANCE = ("System", "Memory", "TCPv4", "TCPv6")  # Windows objects without instances


def plugins_of(config: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Each plugin's name, path and settings; a plugin with a list of settings comes once for each."""
    found = []
    for name, given in config.get("metrics", {}).get("metrics_collected", {}).items():
        path = f"metrics.metrics_collected.{name}"
        for place, one in enumerate(given if isinstance(given, list) else [given]):
            found.append((name, f"{path}[{place}]" if isinstance(given, list) else path, one))
    return found


_METRIC_COLUMNS = {
    "namespace": "str",
    "metric": "str",
    "dimensions": "object",
    "plugin": "str",
    "interval_s": "int64",
    "unit": "str",
    "aggregated": "bool",
    "complete": "bool",
}


def metric_names(config: Mapping[str, Any]) -> pd.DataFrame:
    """The metrics that a configuration sends, one row for each set of dimensions that one is sent under.

    namespace; metric (cpu_usage_idle, whichever spelling the configuration has); dimensions, a tuple of names in order;
    plugin; interval_s, seconds between points; unit, only where the configuration sets one; aggregated, sent a second
    time under fewer dimensions; complete, false where the plugin adds dimensions that no page lists (procstat, nvidia_smi,
    ethtool, efa). statsd, collectd and others whose sender names the metrics have no row, nor has a measurement that
    its plugin does not know (mem_shared): the agent leaves it out. An AutoScalingGroupName is among the dimensions,
    though an instance outside a group lacks it. Raises InputError for a configuration that the agent refuses.
    """
    refuse_errors(config)
    rows = [row for plugin, _, given in plugins_of(config) for row in _rows(config, plugin, given)]
    return pd.DataFrame(rows, columns=list(_METRIC_COLUMNS)).astype(_METRIC_COLUMNS).drop_duplicates(ignore_index=True)


def expected_metrics(config: Mapping[str, Any], instances: Sequence[str]) -> pd.DataFrame:
    """What has to arrive from each instance: one row for each instance and metric.

    instance; namespace; metric; dimensions, AWS's list of Name and Value for a metric that is sent under InstanceId alone,
    else None: the values of the others are known on the host only, and are found with ListMetrics; interval_s, seconds
    between points. Raises InputError as metric_names does.
    """
    table = metric_names(config)
    alone = table["dimensions"].map(lambda names: names == ("InstanceId",)).astype(bool)
    once = table.assign(alone=alone).sort_values("alone", ascending=False, kind="stable")
    once = once.drop_duplicates(["namespace", "metric"]).sort_index()
    rows = [
        {
            "instance": instance,
            "namespace": row["namespace"],
            "metric": row["metric"],
            "dimensions": [{"Name": "InstanceId", "Value": instance}] if row["alone"] else None,
            "interval_s": row["interval_s"],
        }
        for instance in instances
        for row in once.to_dict("records")
    ]
    columns = {"instance": "str", "namespace": "str", "metric": "str", "dimensions": "object", "interval_s": "int64"}
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


def _rows(config: Mapping[str, Any], plugin: str, given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    metrics = config["metrics"]
    names, complete = _dimensions(config, plugin, given)
    dropped = {_long(plugin, one) for one in given.get("drop_original_metrics", ())}
    agent_s = config.get("agent", {}).get("metrics_collection_interval", INTERVAL_S)
    aggregates = [set(one) for one in metrics.get("aggregation_dimensions", ()) if set(one) <= names]
    measured = given.get("measurement", given.get("metrics_include", ()) if plugin == "ethtool" else ())
    for one in measured:
        if not _listed(plugin, one):
            continue
        row = {
            "namespace": metrics.get("namespace", NAMESPACE),
            "metric": _published(plugin, one),
            "plugin": plugin,
            "interval_s": given.get("metrics_collection_interval", agent_s),
            "unit": one.get("unit", "") if isinstance(one, Mapping) else "",
        }
        if _long(plugin, measured_name(one)) not in dropped:
            yield row | {"dimensions": tuple(sorted(names)), "aggregated": False, "complete": complete}
        for few in aggregates:
            if few != names or not complete:
                yield row | {"dimensions": tuple(sorted(few)), "aggregated": True, "complete": True}


def measured_name(one: str | Mapping[str, Any]) -> str:
    """The name in an entry of measurement, which is a text or an object with a name."""
    return str(one.get("name", "")) if isinstance(one, Mapping) else one


def short_name(plugin: str, name: str) -> str:
    """The short spelling of a measurement on Linux: usage_idle for cpu_usage_idle."""
    return name.strip().removeprefix(f"{plugin}_")


def _listed(plugin: str, one: str | Mapping[str, Any]) -> bool:
    known = MEASUREMENTS.get(plugin)
    return known is None or short_name(plugin, measured_name(one)) in known


def _long(plugin: str, name: str) -> str:
    """The long spelling: cpu_usage_idle; a Windows counter stands behind its object with a blank."""
    between, name = " " if plugin[:1].isupper() else "_", name.strip()
    return name if name.startswith(plugin + between) else plugin + between + name


def _published(plugin: str, one: str | Mapping[str, Any]) -> str:
    rename = one.get("rename") if isinstance(one, Mapping) else None
    return str(rename) if rename else _long(plugin, measured_name(one))


def appended(config: Mapping[str, Any]) -> set[str]:
    """The dimensions that the metrics section adds to all: those with exactly the value that the agent knows."""
    given = config.get("metrics", {}).get("append_dimensions", {})
    return {name for name in APPENDABLE if given.get(name) == f"${{aws:{name}}}"}


def _dimensions(config: Mapping[str, Any], plugin: str, given: Mapping[str, Any]) -> tuple[set[str], bool]:
    """The names of the dimensions of a plugin's metrics, and whether they are all."""
    if plugin[:1].isupper():
        own: tuple[str, ...] = ("objectname",) if plugin in _NO_INSTANCE else ("objectname", "instance")
        complete = True
    else:
        own, complete = OWN_DIMENSIONS.get(plugin, ()), plugin in OWN_DIMENSIONS
    names = {*own, *given.get("append_dimensions", {}), *appended(config)}
    if given.get("drop_device"):
        names.discard("device")
    # any append_dimensions of the metrics section, even one without effect, takes the host's name away
    hostless = "append_dimensions" in config["metrics"] or config.get("agent", {}).get("omit_hostname")
    return (names if hostless else names | {"host"}), complete


def dimension_sets(config: Mapping[str, Any]) -> list[tuple[set[str], bool]]:
    """For each plugin the names of its metrics' dimensions, and whether they are all of them."""
    return [_dimensions(config, plugin, given) for plugin, _, given in plugins_of(config)]


# what an alarm meets


@dataclass(frozen=True)
class Match:
    """Whether an alarm's metric is one that the agent sends: True, False, or None where it cannot be known; and why."""

    verdict: bool | None
    reason: str


def mismatch(config: Mapping[str, Any], namespace: str, metric: str, dimensions: Any) -> str:
    """Why an alarm on this metric sees nothing of what the agent sends; "" where it matches or that cannot be known."""
    found = match(config, namespace, metric, dimensions)
    return found.reason if found.verdict is False else ""


def match(
    config: Mapping[str, Any],
    namespace: str,
    metric: str,
    dimensions: Mapping[str, str] | Sequence[Mapping[str, str]],
) -> Match:
    """Whether a metric that an alarm or a widget names is one that an agent with this configuration sends.

    CloudWatch matches a metric by namespace, name and the exact set of its dimensions: one more or one less is another
    metric. dimensions are {"InstanceId": "i-…"} or AWS's [{"Name": …, "Value": …}]. Raises InputError for other forms and
    for a configuration that the agent refuses.
    """
    wanted = _wanted(dimensions)
    table = metric_names(config)
    open_plugins = [name for name, _, _ in plugins_of(config) if name in _NAMED_ELSEWHERE]
    if namespace != _namespace(config):
        return Match(False, f"the agent sends to {_namespace(config)!r}, not to {namespace!r}")
    rows = table[table["metric"] == metric]
    if rows.empty:
        if metric in _unlisted(config):
            return Match(None, f"{metric} is in the configuration, and not among what its plugin is known to measure")
        if open_plugins:
            return Match(None, f"{metric} may come from what sends to {', '.join(open_plugins)}")
        sent = sorted(set(table["metric"]))
        return Match(
            False, f"the agent sends no {metric!r}{nearest(metric, sent)}; it sends {', '.join(sent) or 'nothing'}"
        )
    exact = [plugin for names, plugin in _sent_as(rows) if names == set(wanted)]
    if exact:
        return _values_match(config, exact[0], wanted)
    if any(set(names) <= set(wanted) for names in rows.loc[~rows["complete"], "dimensions"]):
        return Match(None, f"{rows.iloc[0]['plugin']} adds dimensions of its own to {metric}")
    return Match(False, _other_dimensions(config, metric, set(wanted), rows))


def _unlisted(config: Mapping[str, Any]) -> set[str]:
    """Metrics of names that we know of no plugin; a later agent may know them."""
    return {
        _published(plugin, one)
        for plugin, _, given in plugins_of(config)
        for one in given.get("measurement", ())
        if not _listed(plugin, one)
    }


def _namespace(config: Mapping[str, Any]) -> str:
    return str(config.get("metrics", {}).get("namespace", NAMESPACE))


def _wanted(dimensions: object) -> dict[str, str]:
    if isinstance(dimensions, Mapping):
        return {str(name): str(value) for name, value in dimensions.items()}
    if isinstance(dimensions, Sequence) and not isinstance(dimensions, str):
        pairs = [one for one in dimensions if isinstance(one, Mapping) and {"Name", "Value"} <= set(one)]
        if len(pairs) == len(dimensions):
            return {str(one["Name"]): str(one["Value"]) for one in pairs}
    raise InputError(
        f"{dimensions!r} are no dimensions", hint='as {"InstanceId": "i-…"} or [{"Name": "InstanceId", "Value": "i-…"}]'
    )


def _sent_as(rows: pd.DataFrame) -> Iterator[tuple[set[str], str]]:
    """Each set of dimensions with its plugin; an instance outside a group has no AutoScalingGroupName."""
    for names, plugin in zip(rows["dimensions"], rows["plugin"], strict=True):
        yield set(names), str(plugin)
        yield set(names) - {"AutoScalingGroupName"}, str(plugin)


def _other_dimensions(config: Mapping[str, Any], metric: str, wanted: set[str], rows: pd.DataFrame) -> str:
    sent = [set(names) for names in rows["dimensions"]]
    close = min(sent, key=lambda names: (len(names ^ wanted), sorted(names)))
    shown = "; ".join(", ".join(sorted(names)) or "none" for names in sent)
    text = f"{metric} is sent with the dimensions {shown}; the alarm waits for {', '.join(sorted(wanted)) or 'none'}"
    if "InstanceId" in wanted - close and "host" in close:
        return text + ': add append_dimensions {"InstanceId": "${aws:InstanceId}"}'
    if wanted < close:
        return text + f": add aggregation_dimensions [{json.dumps(sorted(wanted))}]"
    return text


def _values_match(config: Mapping[str, Any], plugin: str, wanted: Mapping[str, str]) -> Match:
    """The values of dimensions as far as the configuration fixes them."""
    reasons = []
    for name, _, given in plugins_of(config):
        if name != plugin:
            continue
        reason = _value_reason(plugin, given, wanted)
        if not reason:
            return Match(True, "")
        reasons.append(reason)
    return Match(False, reasons[0])


_RESOURCE_OF = {"disk": "path", "diskio": "name", "net": "interface"}


def _value_reason(plugin: str, given: Mapping[str, Any], wanted: Mapping[str, str]) -> str:
    for name, value in given.get("append_dimensions", {}).items():
        if name in wanted and "${" not in value and wanted[name] != value:
            return f"{name} is {value!r} in the configuration, and the alarm waits for {wanted[name]!r}"
    dimension = _RESOURCE_OF.get(plugin, "")
    resources = given.get("resources", ())
    plain = resources and not any(set("*?[") & set(one) for one in resources)
    if dimension in wanted and plain and wanted[dimension] not in resources:
        return (
            f"{plugin} looks at {', '.join(resources)} only, and the alarm waits for {dimension} {wanted[dimension]!r}"
        )
    return _cpu_reason(given, wanted) if plugin == "cpu" and "cpu" in wanted else ""


def _cpu_reason(given: Mapping[str, Any], wanted: Mapping[str, str]) -> str:
    which = wanted["cpu"]
    if which == "cpu-total":
        return "" if given.get("totalcpu", True) else "totalcpu is false: no metric has cpu cpu-total"
    if "*" not in given.get("resources", ()):
        return f'cpu has no resources ["*"], so single processors such as {which!r} are not sent'
    return ""
