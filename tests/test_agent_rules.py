"""What the CloudWatch agent refuses beyond its schema, what it ignores, what it merges, and what its metrics are called."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netkit.cloudwatch.agent import check_agent_config, log_files, match, merge_agent_configs, metric_names
from netkit.cloudwatch.agent_rules import encodings, refused_by_re2

EXAMPLES = Path(__file__).parents[2] / "shared" / "data" / "cloudwatch" / "agent_configs"
HOST = "i-0123456789abcdef0"


def collected(**plugins: Any) -> dict[str, Any]:
    usual = {"append_dimensions": {"InstanceId": "${aws:InstanceId}"}, "aggregation_dimensions": [["InstanceId"]]}
    return {"metrics": usual | {"metrics_collected": plugins}}


def lists(files: list[dict[str, Any]], kind: str = "files") -> dict[str, Any]:
    return {"logs": {"logs_collected": {kind: {"collect_list": files}}}}


def said(config: Any, level: str, **more: Any) -> dict[str, str]:
    return {one.path: one.message for one in check_agent_config(config, **more) if one.level == level}


FILE = {"file_path": "/var/log/app.log", "log_group_name": "/app"}
EVENTS = {"event_name": "System", "event_levels": ["ERROR"], "log_group_name": "/w"}


def filtered(expression: Any, **more: Any) -> dict[str, Any]:
    return FILE | {"filters": [{"type": "include", "expression": expression} | more]}


REFUSED: list[tuple[Any, str, str]] = [
    (collected(cpu={"measurement": ["usage_idle", "usage_idel"]}), "cpu.measurement[1]", "is it usage_idle?"),
    (collected(mem={"measurement": ["usedpercent"]}), "mem.measurement[0]", "is it used_percent?"),
    (collected(mem={"measurement": ["mem_mem_used"]}), "mem.measurement[0]", "measures no"),
    (collected(disk={"measurement": [{"name": "USED"}]}), "disk.measurement[0]", "measures no 'USED'"),
    (collected(netstat={"measurement": [" "]}), "netstat.measurement[0]", "measures no"),
    (collected(procstat=[{"exe": "x", "measurement": ["cpu_usag"]}]), "procstat[0].measurement[0]", "is it cpu_usage?"),
    (collected(nvidia_gpu={"measurement": ["utilisation_gpu"]}), "nvidia_gpu.measurement[0]", "is it utilization_gpu?"),
    (collected(nvidia_gpu={"measurement": ["nvidia_gpu_fan_speed"]}), "nvidia_gpu.measurement[0]", "measures no"),
    (collected(cpu={"measurement": [{"rename": "x"}]}), "cpu.measurement[0]", "has no name"),
    (collected(Memory={"measurement": [{"unit": "Percent"}]}), "Memory.measurement[0]", "has no name"),
    (collected(LogicalDisk={"measurement": ["% Free Space"], "resources": None}), "LogicalDisk.resources", "no list"),
    (collected(Processor={"measurement": ["x"], "resources": "*"}), "Processor.resources", "no list"),
    (collected(Paging={"measurement": ["x"], "resources": [1]}), "Paging.resources", "no list"),
    (lists([filtered("(")]), "[0].filters[0].expression", "RE2"),
    (lists([filtered("*x")]), "[0].filters[0].expression", "RE2"),
    (lists([filtered("a++")]), "[0].filters[0].expression", "RE2"),
    (lists([filtered("(?!x)")]), "[0].filters[0].expression", "RE2"),
    (lists([filtered(r"(a)\1")]), "[0].filters[0].expression", "RE2"),
    (lists([filtered("")]), "[0].filters[0]", "no expression"),
    (lists([FILE | {"filters": [{"type": "exclude"}]}]), "[0].filters[0]", "no expression"),
    (lists([FILE | {"filters": [{"expression": "x"}]}]), "[0].filters[0]", "no type"),
    (lists([EVENTS | {"filters": [{"type": "include", "expression": "("}]}], "windows_events"), "expression", "RE2"),
    (lists([EVENTS | {"filters": [{"type": "exclude"}]}], "windows_events"), "filters[0]", "no expression"),
    (lists([FILE | {"encoding": "utf-99"}]), "[0].encoding", "no encoding"),
    (lists([FILE | {"encoding": "latin-1"}]), "[0].encoding", "is it latin1?"),
    (lists([FILE | {"encoding": "rot13"}]), "[0].encoding", "no encoding"),
    (
        lists([FILE | {"retention_in_days": 7}, FILE | {"log_group_name": "/APP", "retention_in_days": 30}]),
        "[1].retention_in_days",
        "the agent refuses it",
    ),
    (
        lists([FILE | {"log_group_class": "standard"}, FILE | {"log_group_class": "INFREQUENT_ACCESS"}]),
        "[1].log_group_class",
        "the agent refuses it",
    ),
    (
        lists([EVENTS | {"retention_in_days": 1}, EVENTS | {"retention_in_days": 3}], "windows_events"),
        "[1].retention_in_days",
        "the agent refuses it",
    ),
]


@pytest.mark.parametrize(("config", "path", "message"), REFUSED, ids=[f"{one[1]}-{one[2]}" for one in REFUSED])
def test_what_the_schema_takes_and_the_translator_refuses(config: Any, path: str, message: str) -> None:
    found = said(config, "error")
    assert len(found) == 1 and all(where.endswith(path) and message in text for where, text in found.items()), found


TAKEN: list[Any] = [
    collected(cpu={"measurement": [" cpu_usage_idle ", {"name": "usage_user"}]}),
    collected(mem={"measurement": ["shared", "mem_shared"]}),
    collected(diskio={"measurement": ["ebs_total_read_ops", "diskio_instance_store_volume_queue_length"]}),
    collected(nvidia_gpu={"measurement": ["nvidia_smi_fan_speed", "memory_used"]}),
    collected(System={"measurement": ["anything"], "resources": None}),  # an object without instances
    collected(system={"measurement": ["uptime", {"unit": "Count"}]}),  # ignored, whatever it holds
    collected(cpu={"measurement": []}),
    lists([filtered(r"(?P<word>\pL+)[[:alpha:]]\z")]),
    lists([FILE | {"encoding": one} for one in ("UTF-8", " gbk ", "cp1252", "ISO-8859-1", "ebcdic-cp-us")]),
    lists([FILE | {"retention_in_days": 7}, FILE | {"retention_in_days": -1}, FILE]),
    lists([FILE | {"log_group_class": "CHEAP"}, FILE | {"log_group_class": "STANDARD"}]),
    lists([{"file_path": "/a", "retention_in_days": 1}, {"file_path": "/b", "retention_in_days": 3}]),  # no group named
    # what the agent merges before it looks
    lists([FILE, FILE]),
    {"agent": None} | lists([FILE]),
    {"agent": []} | lists([FILE]),
    {"agent": {"metrics_collection_interval": 60.0}} | collected(mem={"measurement": ["used"]}),
    lists([FILE | {"retention_in_days": 7.0}, FILE | {"retention_in_days": 7}]),
    collected(procstat=[{"exe": "x", "measurement": ["pid"]}] * 2),
]


@pytest.mark.parametrize("config", TAKEN, ids=lambda one: json.dumps(one)[-70:])
def test_what_the_agent_takes(config: Any) -> None:
    assert said(config, "error") == {}


def test_event_logs_are_judged_on_windows_only() -> None:
    broken = lists([EVENTS | {"filters": [{"type": "include", "expression": "("}]}], "windows_events")
    assert said(broken, "error", platform="windows") and not said(broken, "error", platform="linux")
    both = broken | collected(cpu={"measurement": ["usage_idle"]})
    assert not said(both, "error") and "is not collected on linux" in str(said(both, "warning"))
    assert log_files(both).empty and len(log_files(lists([EVENTS], "windows_events"))) == 1


@pytest.mark.parametrize(
    ("expression", "taken"),
    [
        *((one, False) for one in ("(", "*x", "a++", "(?=a)", "(?<!a)b", r"(a)\1", "a{1001}", "(a{1000}){1000}", "[z-a]")),
        *((one, False) for one in ("(?>a)", r"a\Z", "x**", "[a", r"\C", r"a\\\C", r"\x{110000}")),
        *((one, True) for one in ("", "a{,3}", r"\\C", r"\Q\C\E", r"\p{Greek}", "(?i)x", "(?<n>x)", r"[[:alpha:]]\z", "é")),
    ],
)  # fmt: skip
def test_expressions_as_go_compiles_them(expression: str, taken: bool) -> None:
    """Each tried with Go's regexp; 60,000 random ones differed from Google's RE2 in \\C alone."""
    assert (refused_by_re2(expression) == "") is taken


def test_encodings_are_names_and_no_more() -> None:
    names = encodings()
    assert len(names) == 968 and all(one == one.lower().strip() for one in names)
    assert {"utf-8", "utf8", "us-ascii", "shift_jis", "windows-1252", "l1", "x-user-defined"} <= names
    assert not {"", "utf-99", "latin-1", "utf_8_sig", "rot13", "mbcs"} & names


# what is ignored, and what is sent


@pytest.mark.parametrize("plugin", ["system", "memory", "nvidia_smi", "Memory", "load"])
def test_what_the_agent_ignores_is_a_warning_and_promises_nothing(plugin: str) -> None:
    config = collected(**{plugin: {"measurement": ["used"]}, "mem": {"measurement": ["used"]}})
    found = said(config, "warning", platform="linux")
    assert "ignores it" in found[f"metrics.metrics_collected.{plugin}"] and len(found) == 1
    assert set(metric_names(config, "linux")["metric"]) == {"mem_used"}
    asked = match(config, "CWAgent", f"{plugin}_used", {"InstanceId": HOST}, "linux")
    assert asked.verdict is None and "ignores it" in asked.reason


NAMES: list[tuple[dict[str, Any], set[str]]] = [
    ({"procstat": [{"exe": "x", "measurement": ["pid_count", "procstat_pid"]}]}, {"procstat_lookup_pid_count", "procstat_pid"}),
    ({"nvidia_gpu": {"measurement": ["fan_speed", "nvidia_smi_memory_used"]}}, {"nvidia_smi_fan_speed", "nvidia_smi_memory_used"}),
    ({"System": {"measurement": ["System Calls/sec"]}}, {"System System Calls/sec"}),
    ({"Memory": {"measurement": ["x"]}, "paging File": {"measurement": ["% Usage"]}}, {"Memory x", "paging File % Usage"}),
    ({"Memory": {"measurement": ["x"]}, "procstat": [{"exe": "x", "measurement": ["pid_count"]}]}, {"Memory x", "procstat_lookup pid_count"}),
    ({"cpu": {"measurement": [{"name": "usage_idle", "rename": " IDLE "}, {"name": "usage_user", "rename": " "}]}}, {"IDLE", "cpu_usage_user"}),
    ({"diskio": {"measurement": ["ebs_total_read_ops"]}, "mem": {"measurement": ["shared"]}}, {"diskio_ebs_total_read_ops", "mem_shared"}),
]  # fmt: skip


@pytest.mark.parametrize(("plugins", "names"), NAMES, ids=[str(sorted(one[1])) for one in NAMES])
def test_the_published_name(plugins: dict[str, Any], names: set[str]) -> None:
    config = collected(**plugins)
    assert set(metric_names(config)["metric"]) == names
    for name in names:
        assert match(config, "CWAgent", name, {"InstanceId": HOST}).verdict is True


def test_the_wildcard_of_dropped_originals() -> None:
    cpu = {"measurement": ["usage_idle", {"name": "usage_user", "rename": "USER"}], "drop_original_metrics": ["*"]}
    assert set(metric_names(collected(cpu=cpu))["dimensions"]) == {("InstanceId",)}
    named = cpu | {"drop_original_metrics": ["cpu_usage_user"]}
    table = metric_names(collected(cpu=named))
    assert set(table.loc[~table["aggregated"], "metric"]) == {"cpu_usage_idle"}
    entry = {"exe": "x", "measurement": ["pid"], "drop_original_metrics": ["*"]}
    kept = collected(procstat=[entry])
    assert (~metric_names(kept)["aggregated"]).any() and "no effect" in str(said(kept, "warning"))


def test_a_counter_does_not_begin_with_its_object() -> None:
    found = said(collected(LogicalDisk={"measurement": ["LogicalDisk % Free Space"], "resources": ["*"]}), "warning")
    assert "without its object's" in found["metrics.metrics_collected.LogicalDisk.measurement[0]"]


@pytest.mark.parametrize(
    "file",
    [
        *(
            "/var/log/syslog",
            "/var/log/auth.log",
            "/var/log/auth.log.1",
            "/var/log/syslog*",
            "/var/log/nginx/access.log",
        ),
        *("/var/log/*.log", "/var/log/apache2/*", "/var/log/secure"),
    ],
)
def test_what_the_agents_user_may_not_read(file: str) -> None:
    config = {"agent": {"run_as_user": "cwagent"}} | lists([FILE | {"file_path": file}])
    assert "setfacl" in str(said(config, "warning"))
    readable = {"agent": {"run_as_user": "cwagent"}} | lists([FILE | {"file_path": "/var/log/authority.log"}])
    assert said(readable, "warning") == {}


def test_outside_ec2_nothing_is_appended() -> None:
    config = collected(mem={"measurement": ["used"]})
    config["metrics"]["append_dimensions"]["Team"] = "a"
    found = said(config, "warning", outside_ec2=True)
    assert "none of AWS's own" in found["metrics.append_dimensions.Team"]
    assert "metadata" in found["metrics.append_dimensions.InstanceId"]
    assert "metadata" not in str(said(config, "warning"))


# several files


def test_files_are_put_together() -> None:
    first = {"agent": {"region": "eu-central-1"}} | collected(cpu={"measurement": ["usage_idle"]}) | lists([FILE])
    other = collected(mem={"measurement": ["used"]}, procstat=[{"exe": "x", "measurement": ["pid"]}])
    other |= lists([FILE, FILE | {"file_path": "/b"}])
    merged, found = merge_agent_configs({"a.json": first, "b.json": other})
    assert found == [] and said(merged, "error") == {}
    assert set(merged["metrics"]["metrics_collected"]) == {"cpu", "mem", "procstat"}
    assert [one["file_path"] for one in merged["logs"]["logs_collected"]["files"]["collect_list"]] == [
        "/var/log/app.log",
        "/b",
    ]
    assert merged["agent"] == {"region": "eu-central-1"}


@pytest.mark.parametrize(
    ("first", "second", "path"),
    [
        ({"agent": {"region": "a"}}, {"agent": {"region": "b"}}, "agent.region"),
        (collected(cpu={"measurement": ["usage_idle"]}), collected(cpu={"measurement": ["usage_user"]}), "metrics.metrics_collected.cpu"),
        ({"metrics": {"namespace": "A"}}, {"metrics": {"namespace": "B"}}, "metrics.namespace"),
        ({"logs": {"log_stream_name": "x"}}, {"logs": {"log_stream_name": "y"}}, "logs.log_stream_name"),
    ],
)  # fmt: skip
def test_files_that_differ_are_refused_together(first: Any, second: Any, path: str) -> None:
    _, found = merge_agent_configs({"one.json": first, "two.json": second})
    assert [(one.level, one.path) for one in found] == [("error", path)]
    assert "one.json" in found[0].message and "two.json" in found[0].message


@settings(max_examples=30, deadline=None)
@given(
    entries=st.lists(st.sampled_from(["/a", "/b", "/c"]), max_size=5),
    cut=st.integers(0, 5),
)
def test_a_configuration_parted_and_merged_is_the_same(entries: list[str], cut: int) -> None:
    """A merge is without order but for the order of names, and merging twice adds nothing."""
    made = [FILE | {"file_path": one} for one in entries]
    parts = {str(place): lists(some) for place, some in enumerate((made[:cut], made[cut:]))}
    merged, _ = merge_agent_configs(parts)
    again, _ = merge_agent_configs({"a": merged, "b": merged})
    whole, _ = merge_agent_configs({"": lists(made)})
    assert merged == again == whole


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="../shared/data/cloudwatch is not here")
def test_the_agents_valid_examples_merge_with_themselves() -> None:
    for file in EXAMPLES.glob("valid*.json"):
        config = json.loads(file.read_text("utf-8"))
        for first, second in itertools.product((config,), (config, {})):
            merged, found = merge_agent_configs({"a": first, "b": second})
            assert found == [] and not said(merged, "error"), file.name
