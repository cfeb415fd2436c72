"""What the CloudWatch agent takes and the field does not: data that will not come, or not as an alarm waits for it. Pure.

Sources: CloudWatch User Guide, "Manually create or edit the CloudWatch agent configuration file" and "Metrics collected by the
CloudWatch agent"; the agent's own translator (amazon-cloudwatch-agent, translator/) for what it drops without a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from typing import Any

from netkit.cloudwatch.agent_grammar import Problem, nearest
from netkit.cloudwatch.agent_merge import SECTIONS, normal
from netkit.cloudwatch.agent_metrics import APPENDABLE, appended, dimension_sets
from netkit.cloudwatch.agent_names import (
    LINUX_ONLY,
    LINUX_PLUGINS,
    NAMESPACE,
    Platform,
    entries,
    ignored,
    is_counter,
    measured_name,
    measurements,
    platform_of,
    plugins_of,
)
from netkit.cloudwatch.agent_rules import CLASSES, differing, errors, refused_by_re2

_DEBIAN = ("syslog", "auth.log", "kern.log", "daemon.log", "user.log", "mail.log", "mail.err", "ufw.log", "cron.log")
ROOT_ONLY = (
    *("/var/log/httpd", "/var/log/secure", "/var/log/messages", "/var/log/maillog", "/var/log/cron"),
    *("/var/log/audit", "/var/log/boot.log", "/var/log/spooler", "/var/log/btmp", "/root"),
    *(f"/var/log/{one}" for one in _DEBIAN),
    *("/var/log/apache2", "/var/log/nginx", "/var/log/mysql", "/var/log/unattended-upgrades", "/var/log/cloud-init-output.log"),
)  # fmt: skip
"""What distributions (Amazon Linux and Red Hat, then Debian and Ubuntu) usually keep for root or a group of their own. A habit of
theirs and no rule of AWS's: hence a warning that says "usually"."""

_AGENT_MEMBERS = (
    *("metrics_collection_interval", "region", "credentials", "debug", "aws_sdk_log_level", "logfile", "omit_hostname"),
    *("run_as_user", "user_agent", "usage_data", "internal", "quiet", "service.name", "deployment.environment"),
    "use_dualstack_endpoint",
)
_PLACEHOLDERS = ("instance_id", "hostname", "local_hostname", "ip_address", "aws_region", "account_id", "date")
_COUNTERS = "Processor, LogicalDisk, Memory, Network Interface"


def check_agent_config(
    config: Mapping[str, Any], *, platform: Platform | None = None, outside_ec2: bool = False
) -> list[Problem]:
    """Errors that keep the agent from starting; when there is none, warnings of data that will not come as expected.

    Valid means: no error. An error is what the agent's own translator refuses: its schema, and its rules beyond it. platform is read
    from the configuration when it is not given: Windows paths and counters make it Windows, event logs where nothing is of Linux.
    outside_ec2 is for hosts that have no instance metadata.
    """
    found = errors(config, platform)
    if found:
        return found
    seen = normal(config)
    on = platform or platform_of(seen)
    said = [one for check in _CHECKS for one in check(seen, on)]
    return [*_check_sections(config, on), *said, *(_check_elsewhere(seen) if outside_ec2 else ())]


def _warn(path: str, message: str) -> Problem:
    return Problem("warning", path, message)


def _check_sections(config: Mapping[str, Any], platform: Platform) -> Iterator[Problem]:
    for name in config:
        if name not in SECTIONS and name != "$schema":
            yield _warn(name, f"the agent has no such section and takes no notice of it{nearest(name, SECTIONS)}")
    if not any(config.get(name) for name in SECTIONS[1:]):
        yield _warn("", "there is nothing to collect: no metrics, logs, traces or opentelemetry section")
    agent = config.get("agent", {})
    if not isinstance(agent, Mapping):
        yield _warn("agent", "is no object: the agent takes no notice of it")
        return
    for name in agent:
        if name not in _AGENT_MEMBERS:
            yield _warn(f"agent.{name}", f"no documented member{nearest(name, _AGENT_MEMBERS)}; nothing comes of it")
    if platform == "windows" and "run_as_user" in agent:
        yield _warn("agent.run_as_user", "is for Linux only; on Windows the agent runs as a service of the system")


def _check_elsewhere(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Source: the guide's page on append_dimensions, whose values come from the instance's metadata."""
    for name in config.get("metrics", {}).get("append_dimensions", {}):
        then = (
            "its value comes from EC2's metadata, which is not there"
            if name in APPENDABLE
            else "it is none of AWS's own"
        )
        yield _warn(
            f"metrics.append_dimensions.{name}",
            f"outside EC2 no metric is published with it: {then}; set it in each plugin",
        )


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
    sets = dimension_sets(config, platform)
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
        if ignored(plugin, platform):
            why = "an object of Windows counters" if plugin[:1].isupper() else "no plugin of the agent"
            close = nearest(plugin, sorted(LINUX_PLUGINS))
            yield _warn(path, f"{plugin} is {why}: on {platform} the agent ignores it, and nothing is collected{close}")
            continue
        if platform == "windows" and plugin in LINUX_ONLY:
            yield _warn(path, f"{plugin} is collected on Linux only; Windows counters are {_COUNTERS} …")
        if given.get("measurement") == []:
            yield _warn(f"{path}.measurement", "is empty: nothing is collected")
        yield from _check_counters(plugin, path, given, platform)
    namespace = config.get("metrics", {}).get("namespace", NAMESPACE)
    if namespace.startswith(("AWS/", ":")):
        yield _warn("metrics.namespace", f"{namespace!r}: AWS/ is kept for AWS's services, and : may not be first")


def _check_counters(plugin: str, path: str, given: Mapping[str, Any], platform: Platform) -> Iterator[Problem]:
    if plugin == "procstat" and "drop_original_metrics" in given:
        yield _warn(f"{path}.drop_original_metrics", "has no effect in an entry of procstat: its metrics are sent")
    for place, one in enumerate(measurements(plugin, given)):
        if is_counter(plugin, platform) and measured_name(one).startswith(f"{plugin} "):
            yield _warn(f"{path}.measurement[{place}]", f"the name of a counter stands without its object's, {plugin}")


def _check_files(config: Mapping[str, Any], platform: Platform) -> Iterator[Problem]:
    user = config.get("agent", {}).get("run_as_user", "root")
    for path, one in entries(config, "files"):
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
    """Whether it is one of those, its rotated copy, a file below it, or a pattern that takes it in."""
    return any(
        file == one or file.startswith((f"{one}/", f"{one}-", f"{one}.", f"{one}*")) or fnmatch(one, file)
        for one in ROOT_ONLY
    )


def _check_times(path: str, one: Mapping[str, Any]) -> Iterator[Problem]:
    if "timezone" in one and "timestamp_format" not in one:
        yield _warn(f"{path}.timezone", "has no effect without timestamp_format: events carry the time they were read")
    start = one.get("multi_line_start_pattern", "")
    if start == "{timestamp_format}" and "timestamp_format" not in one:
        yield _warn(f"{path}.multi_line_start_pattern", "refers to timestamp_format, which is missing")
    elif re.fullmatch(r"\{\w+\}", start) and start != "{timestamp_format}":
        yield _warn(f"{path}.multi_line_start_pattern", f"{start} is no placeholder: is it {{timestamp_format}}?")
    for member in ("multi_line_start_pattern", "blacklist"):
        text = one.get(member, "")
        if not re.fullmatch(r"\{\w+\}", text) and (why := refused_by_re2(text)):
            glob = "; it is no pattern of names as *.gz" if member == "blacklist" and text.startswith("*") else ""
            yield _warn(f"{path}.{member}", f"stops the agent at its start: no regular expression (RE2): {why}{glob}")


def _check_groups(config: Mapping[str, Any], platform: Platform) -> Iterator[Problem]:
    for path, message in differing(entries(config)):
        yield _warn(path, f"{message}: the group gets one or the other")
    for path, one in entries(config):
        kind, group = path.split(".")[2], str(one.get("log_group_name", ""))
        if kind == ("windows_events" if platform == "linux" else "journald"):
            yield _warn(path, f"{kind} is not collected on {platform}: the agent ignores it")
        if str(one.get("log_group_class", "STANDARD")).upper() not in CLASSES:
            yield _warn(f"{path}.log_group_class", f"is none of {', '.join(CLASSES)}, and is ignored")
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
    """Of what the translator does not look at; the filters of files and Windows events are errors (agent_rules.py)."""
    for path, one in entries(config, "journald", *(["windows_events"] if platform == "linux" else [])):
        for place, given in enumerate(one.get("filters", ())):
            if why := refused_by_re2(given.get("expression", "")):
                yield _warn(f"{path}.filters[{place}].expression", f"no regular expression of the agent (RE2): {why}")
    for plugin, path, given in plugins_of(config):
        for member in ("exe", "pattern") if plugin == "procstat" and platform == "linux" else ():
            if why := refused_by_re2(str(given.get(member, ""))):
                yield _warn(f"{path}.{member}", f"no regular expression (RE2), so no process is found: {why}")


_CHECKS: tuple[Callable[[Mapping[str, Any], Platform], Iterator[Problem]], ...] = (
    _check_dimensions,
    _check_aggregation,
    _check_names,
    _check_files,
    _check_groups,
    _check_filters,
)
