"""The grammar of a CloudWatch agent configuration: which members there are, of which kind, within which bounds. Pure.

Says the same as the schema that the agent itself checks its configuration with before it starts (amazon-cloudwatch-agent,
translator/config/schema.json, JSON Schema draft-04), in rules of our own; tests/test_agent.py holds the two together. What
the agent refuses beyond its schema is in agent_rules.py, what it takes and the field does not in agent_checks.py.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from netkit.core.model import RETENTION_DAYS


@dataclass(frozen=True)
class Problem:
    """One thing said of a configuration: an "error" keeps the agent from starting, a "warning" keeps data from arriving.

    path names the member as metrics.metrics_collected.cpu.measurement[0]; "" is the whole document.
    """

    level: Literal["error", "warning"]
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.level}: {self.path or 'the document'}: {self.message}"


Rule = Callable[[str, Any], Iterator[Problem]]

MOST_SECONDS = 172_800
MOST_ENTRIES = 16_384


def problems(config: object) -> list[Problem]:
    """Every error of a configuration by the agent's schema, in the order of its members; more rules are in agent_rules.py."""
    return list(_CONFIG("", config))


def _error(path: str, message: str) -> Problem:
    return Problem("error", path, message)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _anything(path: str, value: object) -> Iterator[Problem]:
    yield from ()


def _flag(path: str, value: object) -> Iterator[Problem]:
    if not isinstance(value, bool):
        yield _error(path, f"{_shown(value)} is not true or false")


def _text(
    least: int = 0, most: int | None = None, *, among: Sequence[str] = (), never: str = "", or_like: str = ""
) -> Rule:
    """A text of least to most characters; or_like is a pattern that a shorter one may match instead."""

    def check(path: str, value: object) -> Iterator[Problem]:
        if not isinstance(value, str):
            yield _error(path, f"{_shown(value)} is not a text")
            return
        if among and value not in among:
            yield _error(path, f"{_shown(value)} is none of {', '.join(among)}")
        if never and value == never:
            yield _error(path, f"{value!r} is not collected by the agent")
        if len(value) < least and not (or_like and re.search(or_like, value)):
            yield _error(path, f"{_shown(value)} is shorter than {least} characters" if value else "is empty")
        if most is not None and len(value) > most:
            yield _error(path, f"is longer than {most} characters")

    return check


def _whole(least: int, most: int | None = None, *, among: Sequence[int] = ()) -> Rule:
    def check(path: str, value: object) -> Iterator[Problem]:
        # true is no number; 60.0 is a whole one, as the agent reads all numbers as such
        if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, float) and value.is_integer())):
            yield _error(path, f"{_shown(value)} is not a whole number")
        elif among and value not in among:
            yield _error(path, f"{value} is none of {', '.join(map(str, among))}")
        elif not among and (value < least or (most is not None and value > most)):
            yield _error(path, f"{value} is not {f'between {least} and {most}' if most else f'{least} or more'}")

    return check


def _many(of: Rule, least: int = 0, most: int | None = None, *, unique: bool = False) -> Rule:
    def check(path: str, value: object) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield _error(path, f"{_shown(value)} is not a list")
            return
        if len(value) < least:
            yield _error(path, "the list is empty")
        if most is not None and len(value) > most:
            yield _error(path, f"has {len(value)} entries, {most} are allowed")
        if unique:
            yield from _twice(path, value)
        for place, one in enumerate(value):
            yield from of(f"{path}[{place}]", one)

    return check


def _twice(path: str, values: Sequence[object]) -> Iterator[Problem]:
    seen: dict[Hashable, int] = {}
    for place, one in enumerate(values):
        first = seen.setdefault(identity(one), place)
        if first != place:
            yield _error(f"{path}[{place}]", f"is the same as entry {first}")


def identity(value: object) -> Hashable:
    """What two JSON values have in common when they are equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, Mapping):
        return "members", frozenset((name, identity(one)) for name, one in value.items())
    if isinstance(value, list):
        return "list", tuple(identity(one) for one in value)
    kind = "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
    return kind, value if isinstance(value, Hashable) else repr(value)


def _object(
    rules: Mapping[str, Rule] | None = None,
    *,
    others: Rule | None = _anything,
    required: Sequence[str] = (),
    one_of: Sequence[str] = (),
    least: int = 0,
    most: int | None = None,
) -> Rule:
    """Members by name; others is the rule of any further member, None when there may be none; one_of: at least one is there."""
    named = dict(rules or {})

    def check(path: str, value: object) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield _error(path, f"{_shown(value)} is not an object with members")
            return
        for name in required:
            if name not in value:
                yield _error(path, f"{name} is missing")
        if one_of and not any(name in value for name in one_of):
            yield _error(path, f"needs one of {', '.join(one_of)}")
        if len(value) < least:
            yield _error(path, "has no member")
        if most is not None and len(value) > most:
            yield _error(path, f"has {len(value)} members, {most} are allowed")
        for name, one in value.items():
            rule = named.get(name, others)
            if rule is None:
                yield _error(_below(path, name), "there is no such member" + nearest(name, named))
            else:
                yield from rule(_below(path, name), one)

    return check


def nearest(name: str, names: Mapping[str, object] | Sequence[str]) -> str:
    """ ": is it X?" for a name that is close to one of these, else ""."""
    close = difflib.get_close_matches(name, list(names), n=1)
    return f": is it {close[0]}?" if close else ""


def _closed(rules: Mapping[str, Rule], **more: Any) -> Rule:
    return _object(rules, others=None, **more)


def _one_or_many(of: Rule) -> Rule:
    many = _many(of, 1, 255)
    return lambda path, value: (many if isinstance(value, list) else of)(path, value)


def _text_or(text: Rule, other: Rule) -> Rule:
    return lambda path, value: (other if isinstance(value, dict) else text)(path, value)


_TEXT = _text()
_SHORT = _text(1, 255)
_LONG = _text(1, 4096)
_SECONDS = _whole(1, MOST_SECONDS)
_SECONDS_OR_0 = _whole(0, MOST_SECONDS)
_LABELS = _object(others=_text(1, 1024), most=30)
_ENDPOINT = _text(4, 2048)
_CREDENTIALS = _closed({"role_arn": _text(20, 2048, or_like=r"^\$\{.+\}$")})
_WHO = {"service.name": _SHORT, "deployment.environment": _text(1, 259)}
_WHO_LONG = {"service.name": _LONG, "deployment.environment": _LONG}
_TLS = _object({"ca_file": _SHORT, "cert_file": _SHORT, "key_file": _SHORT, "insecure": _flag})
_OTLP = _one_or_many(_closed({"grpc_endpoint": _ENDPOINT, "http_endpoint": _ENDPOINT, "tls": _TLS, **_WHO}))

_AGENT = _object(
    {
        "metrics_collection_interval": _SECONDS,
        "logfile": _text(0, 4096),
        "region": _text(1, 64),
        "debug": _flag,
        "aws_sdk_log_level": _TEXT,
        "credentials": _CREDENTIALS,
        "omit_hostname": _flag,
        **_WHO,
    }
)

# metrics

_MEASUREMENT = _many(_text_or(_SHORT, _object({"name": _SHORT, "rename": _SHORT, "unit": _text(1, 256)})), unique=True)
_DROPPED = {"drop_original_metrics": _many(_TEXT, 1, unique=True)}
_RESOURCES = {"resources": _many(_LONG, 0, 256)}
_SOURCE = {"metrics_collection_interval": _SECONDS, "append_dimensions": _LABELS, "measurement": _MEASUREMENT}


def _plugin(*more: Mapping[str, Rule], **options: Any) -> Rule:
    rules = dict(_SOURCE)
    for one in more:
        rules.update(one)
    return _object(rules, required=("measurement",), **options)


_JMX_TARGETS = ("jvm", "kafka", "kafka-consumer", "kafka-producer", "tomcat")
_JMX = _closed(
    {
        "endpoint": _ENDPOINT,
        "metrics_collection_interval": _SECONDS,
        **dict.fromkeys(("username", "password_file", "keystore_path", "keystore_type"), _TEXT),
        **dict.fromkeys(("truststore_path", "truststore_type", "remote_profile", "realm"), _TEXT),
        **dict.fromkeys(("registry_ssl_enabled", "insecure"), _flag),
        **dict.fromkeys(_JMX_TARGETS, _object({"measurement": _MEASUREMENT}, required=("measurement",))),
        "append_dimensions": _LABELS,
    },
    one_of=_JMX_TARGETS,
)
_PLUGINS: dict[str, Rule] = {
    "cpu": _plugin({"resources": _many(_text(among=("*",)), 0, 1), "totalcpu": _flag}),
    "disk": _plugin(_RESOURCES, {"ignore_file_system_types": _many(_LONG, 0, 256), "drop_device": _flag}),
    "diskio": _plugin(_RESOURCES),
    "net": _plugin(_RESOURCES),
    "procstat": _many(
        _plugin(
            {"pid_file": _SHORT, "exe": _SHORT, "pattern": _SHORT, "measurement": _many(_SHORT, unique=True)},
            one_of=("pid_file", "exe", "pattern"),
        ),
        1,
        255,
    ),
    # dimensions of efa are not looked at, nor the interval of nvidia_smi: the schema says nothing of them
    "efa": _object(
        {"metrics_collection_interval": _SECONDS, "measurement": _MEASUREMENT, **_DROPPED}, required=("measurement",)
    ),
    "nvidia_smi": _object({"measurement": _many(_SHORT)}),
    "ethtool": _closed(
        {
            **dict.fromkeys(("interface_include", "interface_exclude", "metrics_include"), _many(_SHORT)),
            "append_dimensions": _LABELS,
            **_DROPPED,
        }
    ),
    "collectd": _closed(
        {
            "service_address": _SHORT,
            "name_prefix": _SHORT,
            "collectd_auth_file": _LONG,
            "collectd_security_level": _text(among=("none", "sign", "encrypt")),
            "collectd_typesdb": _many(_LONG, 0, 10),
            "metrics_aggregation_interval": _SECONDS_OR_0,
            "append_dimensions": _LABELS,
            **_DROPPED,
            **_WHO_LONG,
        }
    ),
    "statsd": _closed(
        {
            "allowed_pending_messages": _whole(1, 2**31 - 1),
            "service_address": _SHORT,
            "metrics_collection_interval": _SECONDS,
            "metrics_aggregation_interval": _SECONDS_OR_0,
            "metric_separator": _SHORT,
            **_DROPPED,
            **_WHO_LONG,
        }
    ),
    "jmx": _one_or_many(_JMX),
    "otlp": _OTLP,
    "prometheus": _closed({"prometheus_config_path": _SHORT}, required=("prometheus_config_path",)),
}
_METRICS = _closed(
    {
        "namespace": _SHORT,
        "aggregation_dimensions": _many(_many(_text(1, 1024), 0, 30, unique=True), 1, 1024, unique=True),
        "append_dimensions": _LABELS,
        "metrics_destinations": _closed(
            {"cloudwatch": _anything, "amp": _closed({"workspace_id": _SHORT}, required=("workspace_id",))}, least=1
        ),
        # any other name is one of the plain ones (mem, swap, netstat, processes) or a Windows counter
        "metrics_collected": _object(_PLUGINS, others=_plugin(), least=1),
        "force_flush_interval": _SECONDS,
        "credentials": _CREDENTIALS,
        "endpoint_override": _ENDPOINT,
        **_WHO_LONG,
    },
    required=("metrics_collected",),
)

# logs

_NAME = _text(1, 512)
_FILTERS = _many(_closed({"type": _text(among=("include", "exclude")), "expression": _TEXT}))
_GROUP = {
    "log_group_name": _NAME,
    "log_stream_name": _NAME,
    "log_group_class": _NAME,
    "retention_in_days": _whole(-1, among=(-1, *RETENTION_DAYS)),
    "filters": _FILTERS,
}
_ZONE = _text(among=("Local", "LOCAL", "UTC"))
_EVENT_LEVELS = _many(_text(among=("CRITICAL", "ERROR", "WARNING", "INFORMATION", "VERBOSE")), 1, unique=True)
_EVENT_IDS = _many(_whole(0, 65535), 1, unique=True)
_EVENT_FORMAT = _text(among=("text", "xml"))
_PRIORITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", *"01234567")


def _collected(entry: Rule) -> Rule:
    return _closed({"collect_list": _many(entry, 1, MOST_ENTRIES, unique=True)}, required=("collect_list",))


_LOG_FILE = _closed(
    {
        "file_path": _text(0, 4096),
        **_GROUP,
        **dict.fromkeys(("multi_line_start_pattern", "timestamp_format", "encoding", "blacklist"), _LONG),
        "timezone": _ZONE,
        **dict.fromkeys(("trim_timestamp", "auto_removal", "publish_multi_logs"), _flag),
        "backpressure_mode": _text(among=("fd_release",)),
        **_WHO,
    },
    required=("file_path",),
)
_WINDOWS_EVENT = _closed(
    {
        "event_name": _text(1, 255, never="Forwarded Events"),
        # not a list of at least one: the schema writes that bound on the entries, where it says nothing
        "event_levels": _many(_text(among=("CRITICAL", "ERROR", "WARNING", "INFORMATION", "VERBOSE"))),
        "event_ids": _EVENT_IDS,
        "event_format": _EVENT_FORMAT,
        **_GROUP,
    },
    required=("event_name",),
    one_of=("event_levels", "event_ids", "filters"),
)
_JOURNAL = _closed(
    {
        **_GROUP,
        "units": _many(_text(0, 256), 1, unique=True),
        "priority": _text(among=_PRIORITIES),
        "matches": _many(_object(others=_TEXT), 1, unique=True),
    },
    required=("log_group_name",),
)
_SOME = _text(1)
# tls is not looked at: the schema writes it beside the members, where it says nothing
_SIGNALS = _object(
    {
        "hosted_in": _text(1, 1024),
        "rules": _many(
            _object(
                {
                    "selectors": _many(_object({"dimension": _SOME, "match": _SOME}, required=("dimension", "match"))),
                    "replacements": _many(
                        _object(
                            {"target_dimension": _SOME, "value": _TEXT},
                            required=("target_dimension", "value"),
                        )
                    ),
                    "action": _text(among=("drop", "keep", "replace")),
                    "rule_name": _SOME,
                },
                required=("selectors", "action"),
            )
        ),
    }
)
_SCRAPED = ("sd_job_name", "sd_metrics_path", "sd_metrics_ports", "sd_container_name_pattern")


def _texts(*names: str) -> dict[str, Rule]:
    return dict.fromkeys(names, _TEXT)


_DISCOVERY = _closed(
    {
        "docker_label": _object(_texts("sd_job_name_label", "sd_metrics_path_label", "sd_port_label")),
        "task_definition_list": _many(_object(_texts(*_SCRAPED, "sd_task_definition_arn_pattern"))),
        "service_name_list_for_tasks": _many(_object(_texts(*_SCRAPED, "sd_service_name_pattern"))),
        **_texts("sd_cluster_region", "sd_frequency", "sd_result_file", "sd_target_cluster"),
    }
)
_EMF = _closed(
    {
        "metric_declaration_dedup": _flag,
        "metric_namespace": _TEXT,
        "metric_unit": _object(others=_text(1, 256)),
        "metric_declaration": _many(
            _closed(
                {
                    "source_labels": _many(_TEXT),
                    **_texts("label_matcher", "label_separator"),
                    "metric_selectors": _many(_TEXT),
                    "dimensions": _many(_many(_TEXT)),
                }
            )
        ),
    }
)
_INSIGHTS = {"metrics_collection_interval": _SECONDS, "disable_metric_extraction": _flag}
_LOGS = _closed(
    {
        "logs_collected": _closed(
            {
                "files": _collected(_LOG_FILE),
                "windows_events": _collected(_WINDOWS_EVENT),
                "journald": _collected(_JOURNAL),
                "application_signals": _object({"log_group_name": _NAME, "log_stream_name": _NAME, "disabled": _flag}),
            },
            least=1,
        ),
        "metrics_collected": _object(
            {
                "app_signals": _SIGNALS,
                "application_signals": _SIGNALS,
                "ecs": _closed(_INSIGHTS),
                "kubernetes": _object({"cluster_name": _NAME, "jmx_container_insights": _flag, **_INSIGHTS}),
                "prometheus": _closed(
                    {
                        **_texts("cluster_name", "log_group_name", "prometheus_config_path"),
                        "emf_processor": _EMF,
                        "ecs_service_discovery": _DISCOVERY,
                        "disable_metric_extraction": _flag,
                    }
                ),
                "otlp": _OTLP,
            }
        ),
        "log_stream_name": _NAME,
        "force_flush_interval": _SECONDS,
        "credentials": _CREDENTIALS,
        "endpoint_override": _ENDPOINT,
        "concurrency": _whole(1),
        **_WHO,
    },
    one_of=("logs_collected", "metrics_collected"),
)

# traces and opentelemetry

_TRACES = _closed(
    {
        "traces_collected": _closed(
            {
                "app_signals": _object(),
                "application_signals": _object(),
                "xray": _closed({"bind_address": _ENDPOINT, "tcp_proxy": _closed({"bind_address": _ENDPOINT})}),
                "otlp": _OTLP,
            },
            least=1,
        ),
        "concurrency": _whole(1),
        "buffer_size_mb": _whole(3),
        **_texts("resource_arn", "region_override"),
        **dict.fromkeys(("local_mode", "insecure", "transit_spans_in_otlp_format"), _flag),
        "credentials": _CREDENTIALS,
        "proxy_override": _ENDPOINT,
        "endpoint_override": _ENDPOINT,
    },
    required=("traces_collected",),
)
_DATABASE = ("endpoint", "instance_name", "username", "password_file")
_TO_GROUP = {"log_group_name": _NAME, "log_stream_name": _NAME}


def _listed(entry: Rule) -> Rule:
    return _closed({"collect_list": _many(entry, 1)}, required=("collect_list",))


_OPEN_TELEMETRY = _closed(
    {
        "cluster_name": _TEXT,
        "resource_attributes": _LABELS,
        "collect": _closed(
            {
                "database_insights": _closed(
                    {
                        "postgresql": _many(
                            _closed(
                                {**_texts(*_DATABASE, "ca_file"), "logs": _closed(_texts("file_path"))},
                                required=_DATABASE,
                            )
                        )
                    }
                ),
                "host_metrics": _closed({"collection_interval": _SECONDS}),
                "container_insights": _closed(
                    {
                        "collection_interval": _SECONDS,
                        "role": _text(among=("node", "cluster")),
                        "logs": _closed({"enabled": _flag}),
                    }
                ),
                "prometheus": _closed(_texts("config_path"), required=("config_path",)),
                "otlp": _closed({**_texts("grpc_endpoint", "http_endpoint"), "span_metrics_enabled": _flag}),
                "windows_events": _listed(
                    _closed(
                        {
                            "event_name": _SHORT,
                            "event_levels": _EVENT_LEVELS,
                            "event_ids": _EVENT_IDS,
                            "event_format": _EVENT_FORMAT,
                            **_TO_GROUP,
                        },
                        required=("event_name",),
                    )
                ),
                "files": _listed(
                    _closed(
                        {
                            "file_path": _LONG,
                            **_TO_GROUP,
                            **_texts("multi_line_start_pattern", "timestamp_format", "encoding"),
                            "timezone": _ZONE,
                        },
                        required=("file_path",),
                    )
                ),
            }
        ),
    }
)

_CONFIG = _object(
    {"agent": _AGENT, "metrics": _METRICS, "logs": _LOGS, "traces": _TRACES, "opentelemetry": _OPEN_TELEMETRY}
)
