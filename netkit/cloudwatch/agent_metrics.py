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

from netkit.cloudwatch.agent_grammar import nearest
from netkit.cloudwatch.agent_merge import normal
from netkit.cloudwatch.agent_names import (
    INTERVAL_S,
    NAMED_ELSEWHERE,
    NAMESPACE,
    NO_INSTANCE,
    OWN_DIMENSIONS,
    Platform,
    dropped,
    ignored,
    is_counter,
    measured_name,
    measurements,
    platform_of,
    plugins_of,
    published,
    sent_name,
)
from netkit.cloudwatch.agent_rules import refuse_errors
from netkit.core.errors import InputError

APPENDABLE = ("InstanceId", "ImageId", "InstanceType", "AutoScalingGroupName")
_INCOMPLETE = (
    "diskio_ebs_",
    "diskio_instance_store_",
    "mem_shared",
)  # of receivers with dimensions of their own (VolumeId …)

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


def metric_names(config: Mapping[str, Any], platform: Platform | None = None) -> pd.DataFrame:
    """The metrics that a configuration sends, one row for each set of dimensions that one is sent under.

    namespace; metric (cpu_usage_idle, whichever spelling the configuration has); dimensions, a tuple of names in order;
    plugin; interval_s, seconds between points; unit, only where the configuration sets one; aggregated, sent a second
    time under fewer dimensions; complete, false where the plugin adds dimensions that no page lists (procstat, nvidia_gpu,
    ethtool, efa, the NVMe metrics of diskio). statsd, collectd and others whose sender names the metrics have no row, nor has
    what the agent ignores: an unknown plugin, a Windows object on Linux. An AutoScalingGroupName is among the dimensions,
    though an instance outside a group lacks it. platform is read from the configuration where it is not given. Raises InputError
    for a configuration that the agent refuses.
    """
    refuse_errors(config, platform)
    seen = normal(config)
    on = platform or platform_of(seen)
    rows = [
        row
        for plugin, _, given in plugins_of(seen)
        if not ignored(plugin, on)
        for row in _rows(seen, plugin, given, on)
    ]
    return pd.DataFrame(rows, columns=list(_METRIC_COLUMNS)).astype(_METRIC_COLUMNS).drop_duplicates(ignore_index=True)


def expected_metrics(
    config: Mapping[str, Any], instances: Sequence[str], platform: Platform | None = None
) -> pd.DataFrame:
    """What has to arrive from each instance: one row for each instance and metric.

    instance; namespace; metric; dimensions, AWS's list of Name and Value for a metric that is sent under InstanceId alone,
    else None: the values of the others are known on the host only, and are found with ListMetrics; interval_s, seconds
    between points. Raises InputError as metric_names does.
    """
    table = metric_names(config, platform)
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


def _rows(
    config: Mapping[str, Any], plugin: str, given: Mapping[str, Any], platform: Platform
) -> Iterator[dict[str, Any]]:
    metrics = config["metrics"]
    names, whole = _dimensions(config, plugin, given, platform)
    left_out = set(dropped(plugin, given, platform))
    agent_s = config.get("agent", {}).get("metrics_collection_interval", INTERVAL_S)
    aggregates = [set(one) for one in metrics.get("aggregation_dimensions", ()) if set(one) <= names]
    for one in measurements(plugin, given):
        original = sent_name(plugin, measured_name(one), platform)
        complete = whole and not original.startswith(_INCOMPLETE)
        row = {
            "namespace": metrics.get("namespace", NAMESPACE),
            "metric": published(plugin, one, platform),
            "plugin": plugin,
            "interval_s": int(given.get("metrics_collection_interval", agent_s)),
            "unit": str(one.get("unit", "")).strip() if isinstance(one, Mapping) else "",
        }
        if original not in left_out:
            yield row | {"dimensions": tuple(sorted(names)), "aggregated": False, "complete": complete}
        for few in aggregates:
            if few != names or not complete:
                yield row | {"dimensions": tuple(sorted(few)), "aggregated": True, "complete": True}


def appended(config: Mapping[str, Any]) -> set[str]:
    """The dimensions that the metrics section adds to all: those with exactly the value that the agent knows."""
    given = config.get("metrics", {}).get("append_dimensions", {})
    return {name for name in APPENDABLE if given.get(name) == f"${{aws:{name}}}"}


def _dimensions(
    config: Mapping[str, Any], plugin: str, given: Mapping[str, Any], platform: Platform
) -> tuple[set[str], bool]:
    """The names of the dimensions of a plugin's metrics, and whether they are all."""
    if is_counter(plugin, platform):
        bare = plugin in NO_INSTANCE or "resources" not in given
        own: tuple[str, ...] = ("objectname",) if bare else ("objectname", "instance")
        complete = True
    else:
        own, complete = OWN_DIMENSIONS.get(plugin, ()), plugin in OWN_DIMENSIONS
    names = {*own, *given.get("append_dimensions", {}), *appended(config)}
    if given.get("drop_device"):
        names.discard("device")
    # any append_dimensions of the metrics section, even one without effect, takes the host's name away
    hostless = "append_dimensions" in config["metrics"] or config.get("agent", {}).get("omit_hostname")
    return (names if hostless else names | {"host"}), complete


def dimension_sets(config: Mapping[str, Any], platform: Platform | None = None) -> list[tuple[set[str], bool]]:
    """For each plugin that is collected the names of its metrics' dimensions, and whether they are all of them."""
    on = platform or platform_of(config)
    return [
        _dimensions(config, plugin, given, on) for plugin, _, given in plugins_of(config) if not ignored(plugin, on)
    ]


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
    platform: Platform | None = None,
) -> Match:
    """Whether a metric that an alarm or a widget names is one that an agent with this configuration sends.

    CloudWatch matches a metric by namespace, name and the exact set of its dimensions: one more or one less is another
    metric. dimensions are {"InstanceId": "i-…"} or AWS's [{"Name": …, "Value": …}]. Raises InputError for other forms and
    for a configuration that the agent refuses.
    """
    wanted = _wanted(dimensions)
    table = metric_names(config, platform)
    config = normal(config)
    open_plugins = [name for name, _, _ in plugins_of(config) if name in NAMED_ELSEWHERE]
    if namespace != _namespace(config):
        return Match(False, f"the agent sends to {_namespace(config)!r}, not to {namespace!r}")
    rows = table[table["metric"] == metric]
    if rows.empty:
        if plugin := _without_effect(config, metric, platform or platform_of(config)):
            return Match(
                None, f"{plugin} is not collected by any agent that is known here: it ignores it, and sends no {metric}"
            )
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


def _without_effect(config: Mapping[str, Any], metric: str, platform: Platform) -> str:
    """The plugin that would send this metric, where the agent ignores it; a later agent may know it."""
    for plugin, _, given in plugins_of(config):
        if ignored(plugin, platform) and metric in {
            published(plugin, one, platform) for one in measurements(plugin, given)
        }:
            return plugin
    return ""


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
