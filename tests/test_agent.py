"""The CloudWatch agent's configuration: our grammar beside the agent's own schema, what is sent, and how it is installed."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import jsonschema
import pytest
from botocore.validate import ParamValidator
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netkit.cloudwatch import agent_install as install
from netkit.cloudwatch.agent import (
    AgentConfig,
    LogFile,
    WindowsEvents,
    check_agent_config,
    expected_metrics,
    log_files,
    match,
    metric_names,
    mismatch,
    read_agent_config,
)
from netkit.cloudwatch.agent_grammar import problems
from netkit.core.errors import InputError
from netkit.core.model import RETENTION_DAYS

SHARED = Path(__file__).parents[2] / "shared"
DATA = SHARED / "data" / "cloudwatch"
FILES = sorted((DATA / "agent_configs").glob("*.json"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/cloudwatch is not here")
HOST = "i-0123456789abcdef0"


@functools.cache
def schema() -> Any:
    return json.loads((DATA / "agent_schema.json").read_text("utf-8"))


@functools.cache
def judge() -> Any:
    """The schema as the agent reads it: its validator (gojsonschema) takes 60.0 for the whole number that it is."""
    plain = jsonschema.Draft4Validator
    whole = plain.TYPE_CHECKER.redefine(
        "integer", lambda _, one: type(one) is int or (type(one) is float and one.is_integer())
    )
    return jsonschema.validators.extend(plain, type_checker=whole)(schema())


# documents that between them have every member that the schema names; each is small, since each is changed in many ways

METER: dict[str, Any] = {
    "measurement": ["a", {"name": "b", "rename": "c", "unit": "Count"}],
    "metrics_collection_interval": 60,
    "append_dimensions": {"d": "x"},
}
WHO = {"service.name": "shop", "deployment.environment": "test"}
TLS = {"ca_file": "a", "cert_file": "b", "key_file": "c", "insecure": True}
OTLP: dict[str, Any] = {"grpc_endpoint": "0.0.0.0:1", "http_endpoint": "0.0.0.0:2", "tls": TLS, **WHO}
GROUP: dict[str, Any] = {
    "log_group_name": "g",
    "log_stream_name": "s",
    "log_group_class": "STANDARD",
    "retention_in_days": 7,
    "filters": [{"type": "include", "expression": "x"}],
}
SIGNALS: dict[str, Any] = {
    "hosted_in": "here",
    "rules": [
        {
            "selectors": [{"dimension": "d", "match": "*"}],
            "replacements": [{"target_dimension": "d", "value": "v"}],
            "action": "replace",
            "rule_name": "r",
        }
    ],
    "tls": TLS,
}
PLUGINS: dict[str, Any] = {
    "cpu": METER | {"resources": ["*"], "totalcpu": True},
    "disk": METER | {"resources": ["/"], "ignore_file_system_types": ["tmpfs"], "drop_device": True},
    "diskio": METER | {"resources": ["*"]},
    "net": METER | {"resources": ["eth0"]},
    **dict.fromkeys(("mem", "swap", "netstat", "processes", "Memory"), METER),
    "procstat": [METER | {"measurement": ["cpu_usage"], "pid_file": "p", "exe": "e", "pattern": "q"}],
    "efa": METER | {"drop_original_metrics": ["x"]},
    "nvidia_smi": {"measurement": ["utilization_gpu"], "metrics_collection_interval": 1},
    "ethtool": {
        "interface_include": ["eth0"],
        "interface_exclude": ["lo"],
        "metrics_include": ["m"],
        "append_dimensions": {"d": "x"},
        "drop_original_metrics": ["m"],
    },
    "collectd": {
        "service_address": "udp://127.0.0.1:25826",
        "name_prefix": "c_",
        "collectd_auth_file": "f",
        "collectd_security_level": "sign",
        "collectd_typesdb": ["t"],
        "metrics_aggregation_interval": 0,
        "drop_original_metrics": ["x"],
        "append_dimensions": {"d": "x"},
        **WHO,
    },
    "statsd": {
        "allowed_pending_messages": 1,
        "service_address": ":8125",
        "metrics_collection_interval": 10,
        "metrics_aggregation_interval": 0,
        "metric_separator": ".",
        "drop_original_metrics": ["x"],
        **WHO,
    },
    "jmx": [
        {
            "endpoint": "localhost:9999",
            "metrics_collection_interval": 60,
            **dict.fromkeys(("username", "password_file", "keystore_path", "keystore_type", "truststore_path"), "x"),
            **dict.fromkeys(("truststore_type", "remote_profile", "realm"), "x"),
            **dict.fromkeys(("registry_ssl_enabled", "insecure"), False),
            "jvm": {"measurement": ["m"]},
            "append_dimensions": {"d": "x"},
        }
    ],
    "otlp": OTLP,
    "prometheus": {"prometheus_config_path": "p"},
}
LOG_METRICS: dict[str, Any] = {
    "app_signals": SIGNALS,
    "application_signals": SIGNALS,
    "ecs": {"metrics_collection_interval": 60, "disable_metric_extraction": True},
    "kubernetes": {
        "cluster_name": "c",
        "jmx_container_insights": True,
        "metrics_collection_interval": 60,
        "disable_metric_extraction": True,
    },
    "prometheus": {
        **dict.fromkeys(("cluster_name", "log_group_name", "prometheus_config_path"), "x"),
        "disable_metric_extraction": False,
        "emf_processor": {
            "metric_declaration_dedup": True,
            "metric_namespace": "n",
            "metric_unit": {"m": "Count"},
            "metric_declaration": [
                {
                    "source_labels": ["l"],
                    "label_matcher": "m",
                    "label_separator": ";",
                    "metric_selectors": ["s"],
                    "dimensions": [["d"]],
                }
            ],
        },
        "ecs_service_discovery": {
            "docker_label": dict.fromkeys(("sd_job_name_label", "sd_metrics_path_label", "sd_port_label"), "x"),
            "task_definition_list": [
                dict.fromkeys(
                    (
                        *("sd_container_name_pattern", "sd_job_name", "sd_metrics_path", "sd_metrics_ports"),
                        "sd_task_definition_arn_pattern",
                    ),
                    "x",
                )
            ],
            "service_name_list_for_tasks": [
                dict.fromkeys(
                    (
                        *("sd_container_name_pattern", "sd_job_name", "sd_metrics_path", "sd_metrics_ports"),
                        "sd_service_name_pattern",
                    ),
                    "x",
                )
            ],
            **dict.fromkeys(("sd_cluster_region", "sd_frequency", "sd_result_file", "sd_target_cluster"), "x"),
        },
    },
    "otlp": [OTLP],
}
LOG_FILE: dict[str, Any] = GROUP | {
    "file_path": "/var/log/app.log",
    "multi_line_start_pattern": "{timestamp_format}",
    "timestamp_format": "%H:%M",
    "timezone": "UTC",
    "trim_timestamp": True,
    "encoding": "utf-8",
    "auto_removal": False,
    "backpressure_mode": "fd_release",
    "blacklist": "x",
    "publish_multi_logs": True,
    **WHO,
}
EVENT: dict[str, Any] = {"event_name": "System", "event_levels": ["ERROR"], "event_ids": [1], "event_format": "xml"}
COLLECTED: dict[str, Any] = {
    "files": {"collect_list": [LOG_FILE]},
    "windows_events": {"collect_list": [GROUP | EVENT]},
    "journald": {"collect_list": [GROUP | {"units": ["sshd"], "priority": "err", "matches": [{"A": "b"}]}]},
    "application_signals": {"log_group_name": "g", "log_stream_name": "s", "disabled": True},
}
TELEMETRY: dict[str, Any] = {
    "database_insights": {
        "postgresql": [
            dict.fromkeys(("endpoint", "instance_name", "username", "password_file", "ca_file"), "x")
            | {"logs": {"file_path": "f"}}
        ]
    },
    "host_metrics": {"collection_interval": 60},
    "container_insights": {"collection_interval": 60, "role": "node", "logs": {"enabled": True}},
    "prometheus": {"config_path": "p"},
    "otlp": {"grpc_endpoint": "", "http_endpoint": "", "span_metrics_enabled": True},
    "windows_events": {"collect_list": [EVENT | {"log_group_name": "g", "log_stream_name": "s"}]},
    "files": {
        "collect_list": [
            {
                "file_path": "f",
                "log_group_name": "g",
                "log_stream_name": "s",
                "multi_line_start_pattern": "",
                "timestamp_format": "",
                "timezone": "LOCAL",
                "encoding": "",
            }
        ]
    },
}
ROLE = {"role_arn": "arn:aws:iam::123456789012:role/agent"}
WHOLE: list[dict[str, Any]] = [
    {
        "agent": {
            "metrics_collection_interval": 60,
            "logfile": "",
            "region": "eu-central-1",
            "debug": True,
            "aws_sdk_log_level": "LogDebug",
            "credentials": {"role_arn": "${role}"},
            "omit_hostname": True,
            **WHO,
        }
    },
    {
        "metrics": {
            "namespace": "Custom/Application",
            "aggregation_dimensions": [["InstanceId"], []],
            "append_dimensions": {"InstanceId": "${aws:InstanceId}"},
            "metrics_destinations": {"cloudwatch": {}, "amp": {"workspace_id": "ws"}},
            "metrics_collected": {"mem": METER},
            "force_flush_interval": 60,
            "credentials": ROLE,
            "endpoint_override": "https://x",
            **WHO,
        }
    },
    *({"metrics": {"metrics_collected": {name: one}}} for name, one in PLUGINS.items()),
    {
        "metrics": {
            "metrics_collected": {
                "jmx": {name: {"measurement": []} for name in ("kafka", "kafka-consumer", "kafka-producer", "tomcat")}
            }
        }
    },
    *({"logs": {"metrics_collected": {name: one}}} for name, one in LOG_METRICS.items()),
    *({"logs": {"logs_collected": {name: one}}} for name, one in COLLECTED.items()),
    {
        "logs": {
            "metrics_collected": {},
            "log_stream_name": "s",
            "force_flush_interval": 5,
            "credentials": ROLE,
            "endpoint_override": "https://x",
            "concurrency": 1,
            **WHO,
        }
    },
    {
        "traces": {
            "traces_collected": {
                "app_signals": {},
                "application_signals": {},
                "xray": {"bind_address": "0.0.0.0:1", "tcp_proxy": {"bind_address": "0.0.0.0:2"}},
                "otlp": OTLP,
            },
            "concurrency": 1,
            "buffer_size_mb": 3,
            **dict.fromkeys(("resource_arn", "region_override"), "x"),
            **dict.fromkeys(("local_mode", "insecure", "transit_spans_in_otlp_format"), True),
            "credentials": ROLE,
            "proxy_override": "http",
            "endpoint_override": "http",
        }
    },
    {"opentelemetry": {"cluster_name": "c", "resource_attributes": {"a": "b"}, "collect": {}}},
    *({"opentelemetry": {"collect": {name: one}}} for name, one in TELEMETRY.items()),
]


# the grammar beside the schema


@needs_data
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_agents_own_examples_are_valid_or_not_as_their_names_say(file: Path) -> None:
    config = json.loads(file.read_text("utf-8"))
    errors = [one for one in check_agent_config(config) if one.level == "error"]
    assert (not problems(config)) == file.stem.startswith("valid") == judge().is_valid(config)
    # Only the schema's own test refuses an entry given twice: the agent merges a file before it looks at it.
    taken = file.stem.startswith("valid") or file.stem == "invalidLogFilesWithDuplicateEntry"
    assert (not errors) == taken, errors


def named_members(part: Any) -> Iterator[tuple[int, str]]:
    """Every (object, member) that the schema names."""
    if isinstance(part, list):
        for one in part:
            yield from named_members(one)
    elif isinstance(part, dict):
        if isinstance(part.get("properties"), dict):
            yield from ((id(part), name) for name in part["properties"])
        for one in part.values():
            yield from named_members(one)


def met_members(part: dict[str, Any], value: Any) -> Iterator[tuple[int, str]]:
    """Those of them that a document has."""
    if "$ref" in part:
        found = schema()
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        yield from met_members(found, value)
    for one in (*part.get("allOf", ()), *part.get("oneOf", ()), *part.get("anyOf", ())):
        yield from met_members(one, value)
    if isinstance(value, dict):
        for name, one in value.items():
            if name in part.get("properties", {}):
                yield id(part), name
                yield from met_members(part["properties"][name], one)
            elif isinstance(part.get("additionalProperties"), dict):
                yield from met_members(part["additionalProperties"], one)
    if isinstance(value, list) and "items" in part:
        for one in value:
            yield from met_members(part["items"], one)


@needs_data
def test_our_documents_have_every_member_that_the_schema_names() -> None:
    met = {one for document in WHOLE for one in met_members(schema(), document)}
    names = [name for one, name in named_members(schema()) if (one, name) not in met]
    assert names == []
    for document in WHOLE:
        assert problems(document) == [] == list(judge().iter_errors(document)), document


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every member and entry below a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from places(one, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    return functools.reduce(lambda part, key: part[key], path, value)


LOG_KINDS = ("Files", "WindowsEvents", "Journald")
LENGTHS = (0, 1, 3, 4, 19, 20, 64, 65, 255, 256, 259, 260, 512, 513, 1024, 1025, 2048, 2049, 4096, 4097)
WHOLES = (-2, -1, 0, 1, 2, 3, 10, 65535, 65536, 172_800, 172_801, 2**31 - 1, 2**31)
OTHERS: tuple[Any, ...] = (None, True, 60.0, 1.5, 7, "x", [], {}, ["x"], [7], [[]], [1, 1.0], [1, True], {"x": 1})


def variants(value: Any) -> Iterator[Any]:
    """Other values for a member: another kind, and its own kind at the bounds that such documents know."""
    yield from (one for one in OTHERS if type(one) is not type(value) or isinstance(value, list | dict))
    if isinstance(value, str):
        yield from ("x" * length for length in LENGTHS)
        yield from (value.lower(), value.upper(), "${x}", "${}", "Forwarded Events")
    elif isinstance(value, int) and not isinstance(value, bool):
        yield from WHOLES
    elif isinstance(value, list):
        yield value * 2
        yield from long_lists(value)
    elif isinstance(value, dict):
        yield from ({str(number): "x" for number in range(count)} for count in (30, 31))
        yield value | {"unheard_of": 1}


def long_lists(value: list[Any]) -> Iterator[list[Any]]:
    """Lists at the bounds, of entries such as these; distinct ones where that is cheap."""
    if value and isinstance(value[0], dict):
        yield from (value[:1] * count for count in (255, 256))
    elif value and isinstance(value[0], list):
        yield from ([[str(number)] for number in range(count)] for count in (1024, 1025))
    elif value and isinstance(value[0], str):
        yield from ([str(number) for number in range(count)] for count in (10, 11, 30, 31, 256, 257))


def alone(document: Any, path: tuple[Any, ...]) -> Any:
    """The document without what stands beside a member, where it is valid without: sooner judged."""
    small = copy.deepcopy(document)
    holder, key = at(small, path[:-1]), path[-1]
    if isinstance(holder, dict):
        value = holder[key]
        holder.clear()
        holder[key] = value
    return copy.deepcopy(document) if problems(small) else small


def disagreements(document: Any, path: tuple[Any, ...], values: Iterator[Any]) -> Iterator[str]:
    changed = alone(document, path)
    holder, key = at(changed, path[:-1]), path[-1]
    for value in values:
        holder[key] = value
        if judge().is_valid(changed) == bool(problems(changed)):
            yield f"{path} = {value!r:.80}: ours {[str(one) for one in problems(changed)][:2]}"


@needs_data
@pytest.mark.parametrize("document", WHOLE, ids=lambda one: "-".join(map(str, list(places(one))[-1]))[:60])
def test_every_member_is_bounded_as_in_the_schema(document: dict[str, Any]) -> None:
    found = [one for path in places(document) for one in disagreements(document, path, variants(at(document, path)))]
    for path in places(document):
        changed = copy.deepcopy(document)
        del at(changed, path[:-1])[path[-1]]
        if judge().is_valid(changed) == bool(problems(changed)):
            found.append(f"without {path}")
    assert found == []


@needs_data
def test_the_longest_collect_list() -> None:
    """Alone, since the judge takes minutes to look for a pair among so many; its bounds are read from the schema."""
    kinds = (schema()["definitions"]["logsDefinition"]["definitions"][f"logs{one}Definition"] for one in LOG_KINDS)
    (most,) = {one["properties"]["collect_list"]["maxItems"] for one in kinds}
    entries = [{"file_path": str(number)} for number in range(most + 1)]
    assert problems(with_logs(*entries[:most])) == []
    assert [one.message for one in problems(with_logs(*entries))] == [f"has {most + 1} entries, {most} are allowed"]


@needs_data
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_several_changes_at_once_are_judged_alike(data: st.DataObject) -> None:
    changed = copy.deepcopy(data.draw(st.sampled_from(WHOLE)) | data.draw(st.sampled_from(WHOLE)))
    for _ in range(data.draw(st.integers(1, 3))):
        paths = list(places(changed))
        if not paths:
            break
        path = data.draw(st.sampled_from(paths))
        holder, key = at(changed, path[:-1]), path[-1]
        how = data.draw(st.sampled_from(("drop", "rename", "another", "else")))
        value = holder.pop(key) if how in ("drop", "rename") else holder[key]
        if how == "rename" and isinstance(holder, dict):
            holder[key + data.draw(st.sampled_from(("s", "_", ".x")))] = value
        elif how == "another":
            holder[key] = copy.deepcopy(data.draw(st.sampled_from(list(variants(value)))))
        elif how == "else":  # a member's value from quite another place
            other = data.draw(st.sampled_from(WHOLE))
            holder[key] = copy.deepcopy(at(other, data.draw(st.sampled_from(list(places(other))))))
    assert judge().is_valid(changed) == (not problems(changed)), (changed, [str(one) for one in problems(changed)])


@needs_data
@pytest.mark.parametrize("document", [None, [], "x", 1, {}, {"agent": None}, {"agent": [], "x": 1}, {"x": {}}])
def test_what_is_no_configuration_at_all(document: Any) -> None:
    assert judge().is_valid(document) == (not problems(document))


# what the schema lets through


def seed_config() -> dict[str, Any]:
    """The guide's own configuration, lines 38 to 86 of it."""
    return read_agent_config("\n".join((SHARED / "seed.txt").read_text("utf-8").splitlines()[37:86]))


def warned(config: Any, **more: Any) -> dict[str, str]:
    found = check_agent_config(config, **more)
    assert {one.level for one in found} <= {"warning"}, found
    return {one.path: one.message for one in found}


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is not here")
def test_the_guides_configuration_is_valid_and_says_what_will_not_come() -> None:
    config = seed_config()
    assert judge().is_valid(config)
    found = warned(config)
    entry = "logs.logs_collected.files.collect_list[0]"
    assert set(found) == {"metrics.append_dimensions", f"{entry}.file_path", f"{entry}.timezone"}
    assert "host and not InstanceId" in found["metrics.append_dimensions"]
    assert "cwagent" in found[f"{entry}.file_path"] and "timestamp_format" in found[f"{entry}.timezone"]
    names = metric_names(config)
    assert set(names["metric"]) == {
        *("cpu_usage_idle", "cpu_usage_iowait", "cpu_usage_user", "cpu_usage_system"),
        *("disk_used_percent", "mem_used_percent"),
    }
    assert dict(zip(names["metric"], names["dimensions"], strict=True))["mem_used_percent"] == ("host",)
    reason = mismatch(config, "Custom/Application", "mem_used_percent", {"InstanceId": HOST})
    assert "host" in reason and "append_dimensions" in reason


def with_logs(*entries: dict[str, Any], **agent: Any) -> dict[str, Any]:
    return {"agent": agent, "logs": {"logs_collected": {"files": {"collect_list": list(entries)}}}}


def with_metrics(collected: dict[str, Any], **metrics: Any) -> dict[str, Any]:
    usual = {"append_dimensions": {"InstanceId": "${aws:InstanceId}"}, "aggregation_dimensions": [["InstanceId"]]}
    return {"metrics": {k: v for k, v in (usual | metrics).items() if v is not None} | {"metrics_collected": collected}}


APP = {"file_path": "/var/log/app.log", "log_group_name": "/app"}
MEM = {"mem": {"measurement": ["used_percent"]}}
WARNED: list[tuple[Any, str, str]] = [
    ({}, "", "nothing to collect"),
    ({"metric": {}, **with_logs(APP)}, "metric", "is it metrics?"),
    (with_logs(APP, run_as_usr="x"), "agent.run_as_usr", "is it run_as_user?"),
    (with_logs(APP | {"file_path": "app.log"}), "files.collect_list[0].file_path", "no full path"),
    (with_logs(APP | {"file_path": ""}), "files.collect_list[0].file_path", "empty"),
    (with_logs(APP | {"file_path": "/var/log/secure"}, run_as_user="cwagent"), "[0].file_path", "setfacl"),
    (with_logs(APP | {"file_path": "/var/log/messages*"}, run_as_user="cwagent"), "[0].file_path", "setfacl"),
    (with_logs(APP | {"file_path": r"C:\app.log"}, run_as_user="x"), "agent.run_as_user", "Linux only"),
    (with_logs(APP | {"timezone": "UTC"}), "[0].timezone", "no effect"),
    (with_logs(APP | {"multi_line_start_pattern": "{timestampe_format}"}), "[0].multi_line_start_pattern", "is it"),
    (with_logs(APP | {"multi_line_start_pattern": "{timestamp_format}"}), "[0].multi_line_start_pattern", "missing"),
    (
        {
            "logs": {
                "logs_collected": {
                    "files": {"collect_list": [APP | {"retention_in_days": 7}]},
                    "journald": {"collect_list": [{"log_group_name": "/app", "retention_in_days": 30}]},
                }
            }
        },
        "journald.collect_list[0].retention_in_days",
        "one or the other",
    ),
    (with_logs(APP | {"log_group_class": "CHEAP"}), "[0].log_group_class", "STANDARD"),
    (with_logs(APP | {"log_group_name": "aws/app"}), "[0].log_group_name", "aws/"),
    (with_logs(APP | {"log_group_name": "my app"}), "[0].log_group_name", "makes no group"),
    (with_logs(APP | {"log_stream_name": "{instanceid}"}), "[0].log_stream_name", "is it instance_id?"),
    (with_logs(APP | {"multi_line_start_pattern": "("}), "[0].multi_line_start_pattern", "stops the agent"),
    (with_logs(APP | {"blacklist": "*.gz"}), "[0].blacklist", "stops the agent"),
    (with_metrics(MEM, append_dimensions=None), "metrics.append_dimensions", "host and not InstanceId"),
    (
        with_metrics(MEM, append_dimensions=None) | {"agent": {"omit_hostname": True}},
        "metrics.append_dimensions",
        "no host either",
    ),
    (
        with_metrics(MEM, append_dimensions={"Team": "a", "InstanceId": "${aws:InstanceId}"}),
        "metrics.append_dimensions.Team",
        "dropped",
    ),
    (with_metrics(MEM, append_dimensions={"InstanceId": "i-1"}), "metrics.append_dimensions.InstanceId", "${aws:"),
    (with_metrics(MEM, append_dimensions={"ImageId": "${aws:ImageId}"}), "metrics.append_dimensions", "never matches"),
    (with_metrics(MEM, aggregation_dimensions=[["d1"]]), "metrics.aggregation_dimensions[0]", "no metric carries d1"),
    (
        with_metrics({"disk": {"measurement": ["used"]}}, aggregation_dimensions=None),
        "metrics.aggregation_dimensions",
        "device, fstype, path",
    ),
    (with_metrics({"mem": {"measurement": []}}), "mem.measurement", "empty"),
    (with_metrics({"mem": MEM["mem"], "Memory": {"measurement": ["x"]}}), "metrics_collected.mem", "Linux only"),
    (with_metrics(MEM, namespace="AWS/EC2"), "metrics.namespace", "AWS/"),
]


@pytest.mark.parametrize(("config", "path", "message"), WARNED, ids=[f"{one[1]}-{one[2]}" for one in WARNED])
def test_a_warning_where_the_schema_says_nothing(config: Any, path: str, message: str) -> None:
    found = warned(config)
    assert any(where.endswith(path) and message in text for where, text in found.items()), found
    if path:
        assert len(found) == 1, found


def test_nothing_is_said_of_what_is_as_it_should_be() -> None:
    readable = APP | {"timezone": "UTC", "timestamp_format": "%H:%M", "retention_in_days": 7}
    more = {"file_path": "/var/log/app2.log", "log_group_name": "/app", "retention_in_days": 7}
    assert warned(with_logs(readable, more, run_as_user="cwagent")) == {}
    assert warned(with_logs(APP | {"file_path": "/var/log/messages"})) == {}  # root reads all
    assert warned(with_metrics(MEM)) == {}
    assert warned(AgentConfig.of().document()) == {}
    assert warned(AgentConfig.of("cpu mem disk net", platform="windows").document()) == {}


# making


def test_from_a_few_words() -> None:
    made = AgentConfig.of("cpu_usage_idle mem disk", {"/var/log/app.log": "/app"}, run_as_user="cwagent").document()
    assert made["metrics"]["append_dimensions"] == {"InstanceId": "${aws:InstanceId}"}
    assert made["metrics"]["aggregation_dimensions"] == [["InstanceId"]]
    assert made["metrics"]["metrics_collected"] == {
        "cpu": {"measurement": ["usage_idle"]},
        "mem": {"measurement": ["used_percent"]},
        "disk": {"measurement": ["used_percent"], "resources": ["*"]},
    }
    assert made["agent"] == {"metrics_collection_interval": 60, "run_as_user": "cwagent"}
    assert log_files(made).to_dict("records")[0]["stream"] == "{instance_id}"
    assert read_agent_config(AgentConfig.of().text()) == AgentConfig.of().document()


@needs_data
@settings(max_examples=30, deadline=None)
@given(
    words=st.lists(st.sampled_from(("cpu", "mem", "disk_used", "net", "swap", "processes_running")), unique=True),
    logs=st.lists(
        st.builds(
            LogFile,
            st.sampled_from(("/var/log/a.log", "/srv/b*.log")),
            st.sampled_from(("/a", "/b")),
            retention_days=st.sampled_from((None, *RETENTION_DAYS)),
            timestamp_format=st.sampled_from(("", "%H:%M")),
            filters=st.sampled_from(((), (("include", "x"),))),
        ),
        unique=True,
        max_size=3,
    ),
    events=st.lists(st.builds(WindowsEvents, st.sampled_from(("System", "Security")), st.just("/w")), max_size=1),
    interval=st.integers(1, 172_800),
)
def test_what_is_made_is_what_the_schema_takes(words: Any, logs: Any, events: Any, interval: int) -> None:
    days: dict[str, set[int]] = {}
    for one in logs:
        days.setdefault(one.group, set()).update([one.retention_days] if one.retention_days else [])
    assume(all(len(some) < 2 for some in days.values()))  # two retentions of one group are refused
    made = AgentConfig.of(words, logs, events=tuple(events), interval_s=interval).document()
    assert judge().is_valid(made)
    sent = metric_names(made)
    assert all(any(set(names) == {"InstanceId"} for names in rows["dimensions"]) for _, rows in sent.groupby("metric"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AgentConfig.of("cpu memory"), "'memory' is no plugin and no metric"),
        (lambda: AgentConfig.of("disk_used_percnt"), "is it disk_used_percent"),
        (lambda: AgentConfig.of(platform="solaris"), "no platform"),  # type: ignore[arg-type]
        (lambda: AgentConfig.of(interval_s=0), "0 is not between 1 and 172800"),
        (lambda: AgentConfig.of(namespace=""), "is empty"),
        (lambda: AgentConfig.of(append=("VpcId",)), "appends no dimension 'VpcId'"),
        (lambda: AgentConfig.of(platform="windows", run_as_user="x"), "Linux only"),
        (lambda: AgentConfig.of(logs=[LogFile("/a", "/g", retention_days=42)]), "42 is none of"),
        (lambda: AgentConfig.of(logs=[LogFile("/a", "/g", timezone="CET")]), "'CET' is none of Local, LOCAL, UTC"),
        (lambda: read_agent_config("{'agent': {}}"), "line 1, column 2"),
        (lambda: read_agent_config("[]"), "not an object"),
        (lambda: metric_names({"metrics": {}}), "metrics_collected is missing"),
        (lambda: match(AgentConfig.of().document(), "CWAgent", "cpu_usage_idle", "InstanceId=i-1"), "no dimensions"),
    ],
)
def test_bad_input_is_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        make()
    assert len(str(caught.value).splitlines()) <= 3


# what is sent, and what an alarm meets


def sent(config: Any) -> dict[str, set[tuple[str, ...]]]:
    table = metric_names(config)
    return {name: set(rows["dimensions"]) for name, rows in table.groupby("metric")}


def test_both_spellings_are_one_metric_and_a_rename_is_taken_as_written() -> None:
    short = with_metrics({"disk": {"measurement": ["used_percent"]}, "mem": {"measurement": ["used_percent"]}})
    long = with_metrics({"disk": {"measurement": ["disk_used_percent"]}, "mem": {"measurement": ["mem_used_percent"]}})
    assert sent(short) == sent(long)
    assert sent(short)["disk_used_percent"] == {("InstanceId",), ("InstanceId", "device", "fstype", "path")}
    assert sent(short)["mem_used_percent"] == {("InstanceId",)}
    renamed = with_metrics({"cpu": {"measurement": [{"name": "usage_idle", "rename": "IDLE", "unit": "Percent"}]}})
    assert metric_names(renamed)[["metric", "unit"]].drop_duplicates().to_dict("records") == [
        {"metric": "IDLE", "unit": "Percent"}
    ]


def test_originals_are_dropped_where_only_the_aggregate_is_wanted() -> None:
    config = with_metrics(
        {"cpu": {"measurement": ["usage_idle", "usage_user"], "drop_original_metrics": ["cpu_usage_idle"]}}
    )
    assert sent(config) == {
        "cpu_usage_idle": {("InstanceId",)},
        "cpu_usage_user": {("InstanceId",), ("InstanceId", "cpu")},
    }


def test_windows_counters_stand_behind_their_object() -> None:
    config = AgentConfig.of("mem disk", platform="windows").document()
    assert sent(config) == {
        "Memory % Committed Bytes In Use": {("InstanceId", "objectname"), ("InstanceId",)},
        "LogicalDisk % Free Space": {("InstanceId", "instance", "objectname"), ("InstanceId",)},
    }


@needs_data
def test_the_metrics_of_the_agents_own_example() -> None:
    config = json.loads((DATA / "agent_configs" / "validLinuxMetrics.json").read_text("utf-8"))
    found = metric_names(config).set_index("metric")
    tagged = {"ImageId", "InstanceId", "InstanceType", "AutoScalingGroupName"}
    assert set(found.loc["CPU_USAGE_IDLE", "dimensions"]) == {  # dropped on its own, sent in four sums
        *(("ImageId",), ("InstanceId", "InstanceType"), ("d1",), ()),
    }
    assert tuple(sorted(tagged)) in set(found.loc["swap_used", "dimensions"])
    assert "mem_shared" in found.index  # on the agent's registered list
    assert not found.loc["procstat_cpu_usage", "complete"].all()
    assert found.loc["mem_used", "interval_s"].unique().tolist() == [1]
    assert {"DISK_FREE", "diskio_io_time", "net_drop_in", "netstat_tcp_close", "processes_dead"} <= set(found.index)


GOOD = AgentConfig.of("cpu mem disk").document()
LISTED = with_metrics(
    {"cpu": {"measurement": ["usage_idle"], "totalcpu": False, "append_dimensions": {"team": "a"}}}
    | {
        "disk": {"measurement": ["used"], "resources": ["/"]},
        "statsd": {},
        "procstat": [{"measurement": ["pid"], "exe": "x"}],
    }
)
DISK = {"InstanceId": HOST, "device": "nvme0n1p1", "fstype": "xfs"}
MET: list[tuple[Any, str, str, Any, bool | None, str]] = [
    (GOOD, "CWAgent", "mem_used_percent", {"InstanceId": HOST}, True, ""),
    (GOOD, "CWAgent", "mem_used_percent", [{"Name": "InstanceId", "Value": HOST}], True, ""),
    (GOOD, "CWAgent", "disk_used_percent", {"InstanceId": HOST}, True, ""),
    (GOOD, "CWAgent", "disk_used_percent", DISK | {"path": "/"}, True, ""),
    (GOOD, "CWAgent", "disk_used_percent", {"InstanceId": HOST, "path": "/"}, False, "device, fstype, path"),
    (GOOD, "CWAgent", "mem_used_percent", {}, False, "add aggregation_dimensions [[]]"),
    (GOOD, "CWAgent", "used_percent", {"InstanceId": HOST}, False, "is it"),
    (GOOD, "AWS/EC2", "mem_used_percent", {"InstanceId": HOST}, False, "sends to 'CWAgent'"),
    (GOOD, "CWAgent", "cpu_usage_idle", {"InstanceId": HOST, "cpu": "cpu-total"}, True, ""),
    (GOOD, "CWAgent", "cpu_usage_idle", {"InstanceId": HOST, "cpu": "cpu0"}, False, "single processors"),
    (LISTED, "CWAgent", "cpu_usage_idle", {"InstanceId": HOST, "cpu": "cpu-total", "team": "a"}, False, "totalcpu"),
    (LISTED, "CWAgent", "cpu_usage_idle", {"InstanceId": HOST, "cpu": "cpu0", "team": "b"}, False, "team is 'a'"),
    (LISTED, "CWAgent", "disk_used", DISK | {"path": "/data"}, False, "looks at / only"),
    (LISTED, "CWAgent", "disk_used", DISK | {"path": "/"}, True, ""),
    (LISTED, "CWAgent", "orders", {"InstanceId": HOST}, None, "statsd"),
    (LISTED, "CWAgent", "procstat_pid", {"InstanceId": HOST, "exe": "x"}, None, "of its own"),
    (LISTED, "CWAgent", "procstat_pid", {"InstanceId": HOST}, True, ""),
]


@pytest.mark.parametrize(("config", "namespace", "metric", "dimensions", "verdict", "reason"), MET)
def test_an_alarm_meets_what_is_sent_or_is_told_why_not(
    config: Any, namespace: str, metric: str, dimensions: Any, verdict: bool | None, reason: str
) -> None:
    found = match(config, namespace, metric, dimensions)
    assert found.verdict is verdict and reason in found.reason, found
    assert mismatch(config, namespace, metric, dimensions) == (found.reason if verdict is False else "")


def test_an_instance_outside_a_group_has_no_group_among_its_dimensions() -> None:
    config = AgentConfig.of("mem", append=("InstanceId", "AutoScalingGroupName"), aggregate=()).document()
    for dimensions in ({"InstanceId": HOST}, {"InstanceId": HOST, "AutoScalingGroupName": "web"}):
        assert match(config, "CWAgent", "mem_used_percent", dimensions).verdict is True
    assert match(config, "CWAgent", "mem_used_percent", {"AutoScalingGroupName": "web"}).verdict is False


def test_what_has_to_arrive_from_each_instance() -> None:
    found = expected_metrics(LISTED, [HOST, "i-1"])
    assert len(found) == 2 * 3 and set(found["instance"]) == {HOST, "i-1"}
    for row in found.to_dict("records"):
        assert row["dimensions"] == [{"Name": "InstanceId", "Value": row["instance"]}]
        assert match(LISTED, row["namespace"], row["metric"], row["dimensions"]).verdict is True
    host_only = with_metrics(MEM | {"disk": {"measurement": ["used"]}}, aggregation_dimensions=None)
    alone = expected_metrics(host_only, [HOST]).set_index("metric")["dimensions"]
    assert alone["disk_used"] is None and alone["mem_used_percent"] == [{"Name": "InstanceId", "Value": HOST}]
    logs = log_files(with_logs(APP, APP | {"log_stream_name": "{hostname}"}), HOST)
    assert logs["stream"].tolist() == [HOST, "{hostname}"]


def test_an_empty_answer_has_its_columns() -> None:
    none = expected_metrics(with_logs(APP), [HOST])
    assert none.empty and list(none) == list(expected_metrics(GOOD, [HOST]))
    empty = metric_names(with_logs(APP))
    assert empty.empty and list(empty) == list(metric_names(GOOD)) and (empty.dtypes == metric_names(GOOD).dtypes).all()
    assert log_files(GOOD).empty and list(log_files(GOOD)) == list(log_files(with_logs(APP)))


# how it is installed


@pytest.mark.parametrize(
    ("system", "architecture", "region", "expected"),
    [
        ("Amazon Linux", "x86_64", "", ["sudo yum install -y amazon-cloudwatch-agent"]),
        (
            "ubuntu",
            "arm64",
            "",
            [
                "curl -fsSLO https://amazoncloudwatch-agent.s3.amazonaws.com/ubuntu/arm64/latest/amazon-cloudwatch-agent.deb",
                "sudo dpkg -i -E ./amazon-cloudwatch-agent.deb",
            ],
        ),
        (
            "RHEL",
            "x86_64",
            "eu-central-1",
            [
                "curl -fsSLO https://amazoncloudwatch-agent-eu-central-1.s3.eu-central-1.amazonaws.com/redhat/amd64/latest/amazon-cloudwatch-agent.rpm",
                "sudo rpm -U ./amazon-cloudwatch-agent.rpm",
            ],
        ),
        (
            "windows",
            "x86_64",
            "",
            [
                "Invoke-WebRequest https://amazoncloudwatch-agent.s3.amazonaws.com/windows/amd64/latest/amazon-cloudwatch-agent.msi "
                "-OutFile amazon-cloudwatch-agent.msi",
                "msiexec /i amazon-cloudwatch-agent.msi",
            ],
        ),
    ],
)
def test_install_commands(system: str, architecture: str, region: str, expected: list[str]) -> None:
    assert install.install_commands(system, architecture, region) == expected


def test_every_system_has_its_package_and_signature() -> None:
    for system, kind in install.SYSTEMS.items():
        found = install.package(system)
        assert found.url.endswith(f"/{system}/amd64/latest/amazon-cloudwatch-agent.{kind}")
        assert found.signature_url == found.url + ".sig"
    assert install.package("sles", "aarch64").url.split("/")[3:5] == ["suse", "arm64"]
    assert install.start_command("AmazonCloudWatch-web").endswith(
        "-a fetch-config -m ec2 -s -c ssm:AmazonCloudWatch-web"
    )
    assert install.start_command("AmazonCloudWatch-web", "windows").startswith('& "C:\\Program Files')
    assert install.status_command(mode="auto").endswith("-a status -m auto")


def accepted(service: str, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """The request, when botocore's model takes it; enums and patterns, which botocore does not check, are checked here."""
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    for name, value in request.items():
        member = shape.members[name]
        if member.type_name == "string" and member.enum:
            assert value in member.enum
        if member.type_name == "string" and "pattern" in member.metadata:
            assert re.search(member.metadata["pattern"], value)
        if member.type_name in ("string", "list") and "max" in member.metadata:
            assert len(value) <= member.metadata["max"]
    return request


def test_requests_are_as_botocore_has_them() -> None:
    request = accepted("ssm", "SendCommand", install.install_request([HOST, HOST]))
    assert request["DocumentName"] == "AWS-ConfigureAWSPackage" and request["InstanceIds"] == [HOST]
    assert request["Parameters"] == {"action": ["Install"], "name": ["AmazonCloudWatchAgent"], "version": ["latest"]}
    request = accepted(
        "ssm", "SendCommand", install.configure_request("AmazonCloudWatch-web", targets={"tag:Role": ["web"]})
    )
    assert request["DocumentName"] == "AmazonCloudWatch-ManageAgent" and "InstanceIds" not in request
    assert request["Parameters"] == {
        "action": ["configure"],
        "mode": ["ec2"],
        "optionalConfigurationSource": ["ssm"],
        "optionalConfigurationLocation": ["AmazonCloudWatch-web"],
        "optionalRestart": ["yes"],
    }
    assert request["Targets"] == [{"Key": "tag:Role", "Values": ["web"]}]
    request = accepted("ssm", "PutParameter", install.parameter_request(GOOD, "AmazonCloudWatch-web", tags={"a": "b"}))
    assert read_agent_config(request["Value"]) == GOOD and request["Tags"] == [{"Key": "a", "Value": "b"}]
    assert "Tags" not in install.parameter_request(GOOD, "AmazonCloudWatch-web", overwrite=True, tags={"a": "b"})
    for number, policy in enumerate(install.managed_policies()):
        accepted("iam", "AttachRolePolicy", {"RoleName": "agent", "PolicyArn": policy})
        assert policy.endswith(("CloudWatchAgentServerPolicy", "AmazonSSMManagedInstanceCore")[number])
    accepted("iam", "CreateRole", {"RoleName": "agent", "AssumeRolePolicyDocument": json.dumps(install.trust_policy())})


def config_of(size: int) -> dict[str, Any]:
    """A configuration whose text has exactly this many bytes."""
    config = with_logs(APP)
    missing = size - len(json.dumps(config, separators=(",", ":")))
    config["notes"] = "x" * (missing - len(',"notes":""'))
    return config


@pytest.mark.parametrize(
    ("size", "now", "tier"),
    [(4096, "", "Standard"), (4097, "", "Advanced"), (8192, "", "Advanced"), (4096, "Advanced", "Advanced")],
)
def test_the_tier_is_that_of_the_size(size: int, now: str, tier: str) -> None:
    request = install.parameter_request(config_of(size), "AmazonCloudWatch-web", tier_now=now)
    assert len(request["Value"]) == size and request["Tier"] == tier


def test_retention_needs_a_right_of_its_own() -> None:
    assert (
        install.extra_policy(GOOD) is None and install.extra_policy(with_logs(APP | {"retention_in_days": -1})) is None
    )
    policy = install.extra_policy(with_logs(APP | {"retention_in_days": 7, "log_group_name": "/app/{instance_id}"}))
    assert policy is not None and policy["Statement"][0]["Action"] == "logs:PutRetentionPolicy"
    assert policy["Statement"][0]["Resource"][0] == "arn:aws:logs:*:*:log-group:/app/*"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: install.package("plan9"), "no agent package for 'plan9'"),
        (lambda: install.package("windows", "arm64"), "windows on 'arm64'"),
        (lambda: install.package("debian", "mips"), "debian on 'mips'"),
        (lambda: install.package("debian", region="Frankfurt"), "no region"),
        (lambda: install.start_command("AmazonCloudWatch-x", mode="cloud"), "no mode"),  # type: ignore[arg-type]
        (lambda: install.parameter_request(GOOD, "/netkit/agent"), "may not read"),
        (lambda: install.parameter_request(GOOD, "AmazonCloudWatch-a b"), "no name"),
        (lambda: install.parameter_request(config_of(8193), "AmazonCloudWatch-x"), "8,193 bytes"),
        (lambda: install.parameter_request({"metrics": {}}, "AmazonCloudWatch-x"), "metrics_collected is missing"),
        (lambda: install.install_request(["web-1"]), "no id of an instance"),
        (install.install_request, "either by a list"),
        (lambda: install.install_request(HOST), "either by a list"),
        (lambda: install.install_request([HOST], targets={"tag:a": ["b"]}), "either by a list"),
        (lambda: install.install_request([f"i-{number:017x}" for number in range(51)]), "these are 51"),
        (lambda: install.install_request([HOST], version="newest"), "no version"),
        (lambda: install.install_request(targets={"Role": ["web"]}), "no target"),
        (lambda: install.install_request(targets={"tag:Role": "web"}), "list of 1 to 50"),
        (lambda: install.install_request(targets={f"tag:{n}": ["x"] for n in range(6)}), "at most 5"),
    ],
)
def test_a_request_that_aws_would_refuse_is_not_made(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        make()
    assert len(str(caught.value).splitlines()) <= 3
