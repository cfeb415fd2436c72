"""What arrives in the sandbox's CloudWatch: metrics and logs of agents, of instances and of NAT gateways, and metric filters.

What an agent sends follows from the configuration that it was last given (SendCommand AmazonCloudWatch-ManageAgent), how much of
it from the world's flows: a host that gets no answer from its database has connections in SYN_SENT, threads
that wait, and ERROR lines, at the minutes at which the database's interface has rejects. All lies within world.START and
world.END. Sources: CloudWatch User Guide, "Metrics collected by the CloudWatch agent"; EC2 User Guide, "List the available
CloudWatch metrics for your instances" (basic monitoring: a point every five minutes); CloudWatch Logs User Guide, "Filter
pattern syntax".
"""

from __future__ import annotations

import json
import re
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.logs.models import LogGroup, logs_backends
from moto.ssm.exceptions import ParameterNotFound
from moto.ssm.models import Command, SimpleSystemManagerBackend, ssm_backends
from moto.ssm.responses import SimpleSystemManagerResponse
from numpy.typing import NDArray

from netkit.cloudwatch.agent import check_agent_config, log_files
from netkit.cloudwatch.agent_install import INSTALL_DOCUMENT, MANAGE_DOCUMENT
from netkit.cloudwatch.agent_metrics import metric_names
from netkit.sandbox.world import delivery, traffic, world
from netkit.sandbox.world.world import ACCOUNT, HOSTS, REGION, Host

Pairs = tuple[tuple[str, str], ...]
Series = tuple[NDArray[np.int64], NDArray[np.float64], str]
START, END = int(world.START.timestamp()), int(world.END.timestamp())
MINUTES = (END - START) // 60
TIMEOUT_S = 3  # after how long the application gives up on a connection
_lock = threading.RLock()


def install() -> None:
    """Put the calls of Systems Manager that moto lacks, or answers without looking, in its place."""
    SimpleSystemManagerBackend.send_command = send_command  # type: ignore[method-assign,assignment]
    SimpleSystemManagerResponse.describe_instance_information = _describe_instance_information  # type: ignore[attr-defined]
    SimpleSystemManagerResponse.list_command_invocations = _list_command_invocations  # type: ignore[attr-defined]


# -------------------------------------------------------------------------------------------------- agents, Systems Manager


@dataclass
class Agent:
    """The agent of one instance: its host, whether it is installed, the configuration in force, when it stopped."""

    scenario: str
    host: Host
    installed: bool = True
    config: dict[str, Any] = field(default_factory=dict)
    stops: int = END  # Unix seconds

    @property
    def instance(self) -> str:
        """The id of its instance."""
        return self.host.instance_id(self.scenario)

    @property
    def host_name(self) -> str:
        """The host's own name, as EC2 gives it."""
        return f"ip-{self.host.address.replace('.', '-')}.ec2.internal"


def agents() -> dict[str, Agent]:
    """The agents by instance id; forgotten with moto's own records, in whose Systems Manager they are kept."""
    backend: Any = ssm_backends[ACCOUNT][REGION]
    found: dict[str, Agent] = backend.__dict__.setdefault("_netkit_agents", {})
    return found


@lru_cache
def _host_of(instance: str) -> tuple[str, Host] | None:
    for name in world.NAMES:
        for host in HOSTS:
            if host.kind == "instance" and host.instance_id(name) == instance:
                return name, host
    return None


def configure(instance: str, parameter: str, *, stops: int = END) -> str:
    """Give an instance's agent the configuration in a parameter; "" or why that failed, as the document's output says it."""
    known, backend = _host_of(instance), ssm_backends[ACCOUNT][REGION]
    if known is None:
        return "the instance is not managed"
    try:
        held = backend.get_parameter(parameter)
    except ParameterNotFound:
        held = None
    if held is None:
        return f"unable to find parameter {parameter}"
    config = json.loads(held.value)
    wrong = [one for one in check_agent_config(config) if one.level == "error"]
    if wrong:
        return f"the configuration is not valid: {wrong[0].path}: {wrong[0].message}"
    with _lock:
        agent = agents().setdefault(instance, Agent(*known, installed=False))
        if not agent.installed:
            return "the agent is not installed"
        agent.config, agent.stops = config, stops
        _make_streams(agent)
    return ""


def send_command(self: SimpleSystemManagerBackend, **asked: Any) -> Command:
    """In place of moto's: the agent's two documents do what they say, and each instance has the status of its own."""
    command = Command(account_id=self.account_id, backend_region=self.region_name, **_targets(asked))
    if not asked.get("targets"):
        command.instance_ids = list(asked["instance_ids"])  # moto takes no target for every instance
    plugin = {INSTALL_DOCUMENT: "aws:configurePackage", MANAGE_DOCUMENT: "aws:runShellScript"}.get(command.document_name or "", "aws:runShellScript")  # fmt: skip
    command.invocations = []
    for instance in sorted(command.instance_ids):
        why = _run(command, instance)
        found = command.invocation_response(instance, plugin)
        status = "Failed" if why else "Success"
        found |= {
            "Status": status,
            "StatusDetails": status,
            "ResponseCode": 1 if why else 0,
            "StandardErrorContent": why,
        }
        command.invocations.append(found)
    command.error_count = sum(one["Status"] == "Failed" for one in command.invocations)
    command.status = command.status_details = "Failed" if command.error_count else "Success"
    self._commands.append(command)
    return command


def _targets(asked: dict[str, Any]) -> dict[str, Any]:
    # moto looks for {"Key": "tag:Role"} among EC2's filters, which know that form; ids have a filter of another name.
    names = {"InstanceIds": "instance-id"}
    targets = [one | {"Key": names.get(one["Key"], one["Key"])} for one in asked.get("targets") or []]
    return asked | {"targets": targets, "instance_ids": list(asked.get("instance_ids") or [])}


def _run(command: Command, instance: str) -> str:
    known = _host_of(instance)
    if known is None:
        return "the instance is not managed"
    parameters = command.parameters or {}
    if command.document_name == INSTALL_DOCUMENT:
        with _lock:
            agents().setdefault(instance, Agent(*known)).installed = True
        return ""
    if command.document_name == MANAGE_DOCUMENT:
        return configure(instance, (parameters.get("optionalConfigurationLocation") or [""])[0])
    return ""


def _describe_instance_information(self: SimpleSystemManagerResponse) -> ActionResult:
    """DescribeInstanceInformation: the instances of the labs, and those that a command reached."""
    held = ec2_backends[ACCOUNT][REGION]
    rows = [
        {
            "InstanceId": one.id, "PingStatus": "Online", "PlatformType": "Linux", "PlatformName": "Amazon Linux", "ResourceType": "EC2Instance",
            "IPAddress": one.private_ip, "ComputerName": str(one.private_ip),
        }
        for reservation in held.all_reservations() for one in reservation.instances
        if one.id in held.iam_instance_profile_associations and one.state == "running"
    ]  # fmt: skip
    return ActionResult({"InstanceInformationList": rows})


def _list_command_invocations(self: SimpleSystemManagerResponse) -> ActionResult:
    """ListCommandInvocations of a command or an instance."""
    command_id, instance = self._get_param("CommandId"), self._get_param("InstanceId")
    commands = self.ssm_backend.list_commands(command_id, instance)
    rows = [
        {name: one[name] for name in ("CommandId", "InstanceId", "Comment", "DocumentName", "Status", "StatusDetails")}
        | {"RequestedDateTime": command.requested_date_time, "CommandPlugins": [{"Name": one["PluginName"], "Status": one["Status"], "ResponseCode": one["ResponseCode"], "Output": one["StandardErrorContent"]}]}
        for command in commands for one in command.invocations if instance in (None, one["InstanceId"])
    ]  # fmt: skip
    return ActionResult({"CommandInvocations": rows})


# ---------------------------------------------------------------------------------------------------- what a host does


@dataclass(frozen=True)
class Load:
    """What a host does in each minute of the world: bytes and packets in and out, flows, and connections without an answer."""

    bytes_in: NDArray[np.float64]
    bytes_out: NDArray[np.float64]
    packets_in: NDArray[np.float64]
    packets_out: NDArray[np.float64]
    flows: NDArray[np.float64]
    unanswered: NDArray[np.float64]


@lru_cache(maxsize=4)
def _loads(scenario: str) -> dict[str, Load]:
    columns, addresses = traffic.happened(world.scenario(scenario))
    ok = columns["status"] == traffic.OK
    minute = (columns["start"] - START) // 60
    rejected = _unanswered(columns, addresses)
    found = {}
    for number, host in enumerate(HOSTS):
        mine = ok & (columns["host"] == number) & (columns["action"] == traffic.ACCEPT)
        ways = {way: mine & (columns["egress"] == way) for way in (0, 1)}
        sums: list[Any] = [np.bincount(minute[ways[way]], columns[name][ways[way]].astype(np.float64), MINUTES) for name in ("bytes", "packets") for way in (0, 1)]  # fmt: skip
        flows = np.bincount(minute[mine], minlength=MINUTES).astype(np.float64)
        failed = np.bincount((rejected.get(host.name, np.empty(0, np.int64)) - START) // 60, minlength=MINUTES)
        found[host.name] = Load(sums[0], sums[1], sums[2], sums[3], flows, failed.astype(np.float64))
    return found


def _unanswered(columns: dict[str, NDArray[Any]], addresses: list[str]) -> dict[str, NDArray[np.int64]]:
    """By host the starts (Unix seconds, in order) of connections to the database that its interface rejected."""
    database = next(number for number, host in enumerate(HOSTS) if host.name == "db-primary")
    mine = (columns["host"] == database) & (columns["status"] == traffic.OK) & (columns["action"] == traffic.REJECT) & (columns["egress"] == 0)  # fmt: skip
    owners = {address: host.name for host in HOSTS for address in (host.address, host.second) if address}
    found: dict[str, list[int]] = {}
    for source, start in zip(columns["psrc"][mine].tolist(), columns["start"][mine].tolist(), strict=True):
        if name := owners.get(addresses[source]):
            found.setdefault(name, []).append(int(start))
    return {name: np.sort(np.array(starts, dtype=np.int64)) for name, starts in found.items()}


def _noise(name: str, size: int) -> NDArray[np.float64]:
    """Numbers from 0 to 1 that never change for a name."""
    return np.random.default_rng(zlib.crc32(name.encode())).random(size)


def measured(agent: Agent, metric: str) -> NDArray[np.float64]:
    """A value of an agent's metric for each minute of the world, by the metric's usual name."""
    return _measured(agent.scenario, agent.host, metric)


@lru_cache(maxsize=512)
def _measured(scenario: str, host: Host, metric: str) -> NDArray[np.float64]:
    load = _loads(scenario)[host.name]
    waiting = np.minimum(load.unanswered * 12, 60)  # threads that wait for an answer
    noise = _noise(f"{host.instance_id(scenario)}/{metric}", MINUTES)
    busy = np.minimum(8 + (load.bytes_in + load.bytes_out) / 4e5 + load.flows / 20, 70)
    user, system, wait = busy * 0.7 + noise * 3, busy * 0.3 + noise, waiting * 0.4
    known = {
        "cpu_usage_user": user, "cpu_usage_system": system, "cpu_usage_iowait": wait, "cpu_usage_idle": np.maximum(100 - user - system - wait, 0),
        "cpu_usage_active": user + system, "mem_used_percent": 38 + noise * 2 + waiting * 0.6, "mem_available_percent": 60 - noise * 2 - waiting * 0.6,
        "disk_used_percent": 41 + np.arange(MINUTES) / MINUTES * 2, "swap_used_percent": np.zeros(MINUTES),
        "net_bytes_recv": load.bytes_in, "net_bytes_sent": load.bytes_out, "net_packets_recv": load.packets_in, "net_packets_sent": load.packets_out,
        "netstat_tcp_established": 20 + load.flows, "netstat_tcp_syn_sent": load.unanswered * 4, "netstat_tcp_time_wait": load.flows * 2,
        "processes_running": 2 + np.round(noise * 2), "processes_total": 120 + np.round(waiting),
    }  # fmt: skip
    # What the world says nothing of is steady.
    return known.get(metric, 10 + noise)


# -------------------------------------------------------------------------------------------------------------- metrics

_OWN: dict[str, dict[str, str]] = {
    "disk": {"path": "/", "device": "nvme0n1p1", "fstype": "xfs"}, "cpu": {"cpu": "cpu-total"}, "diskio": {"name": "nvme0n1"},
    "net": {"interface": "ens5"},
}  # fmt: skip
_FIVE = ("CPUUtilization", "NetworkIn", "NetworkOut", "NetworkPacketsIn", "NetworkPacketsOut")
_STATUS = ("StatusCheckFailed", "StatusCheckFailed_Instance", "StatusCheckFailed_System")
_NAT = ("ErrorPortAllocation", "PacketsDropCount", "ActiveConnectionCount", "BytesOutToDestination", "BytesInFromDestination")  # fmt: skip


def sent_by(agent: Agent) -> dict[tuple[str, str, Pairs], tuple[str, int]]:
    """The metrics of an agent as (namespace, metric, dimensions), each with its usual name and seconds between points."""
    found = {}
    if agent.config.get("metrics"):
        for row in _named(json.dumps(agent.config)):
            values = {
                "InstanceId": agent.instance,
                "InstanceType": "m5.large",
                "ImageId": "ami-12c6146b",
                "host": agent.host_name,
            }
            values |= _OWN.get(str(row["plugin"]), {}) | _given(agent.config, str(row["plugin"]))
            pairs = tuple((name, values[name]) for name in sorted(row["dimensions"]) if name in values)
            key = (str(row["namespace"]), str(row["metric"]), pairs)
            found[key] = (str(row["metric"]), int(row["interval_s"]))
    return found


@lru_cache(maxsize=64)
def _named(config: str) -> list[dict[Any, Any]]:
    return metric_names(json.loads(config)).to_dict("records")


def _given(config: dict[str, Any], plugin: str) -> dict[str, str]:
    held = config["metrics"]["metrics_collected"].get(plugin, {})
    return dict((held[0] if isinstance(held, list) else held).get("append_dimensions", {}))


def listed() -> Iterator[tuple[str, str, Pairs]]:
    """Every metric of the world: of agents, metric filters, instances and NAT gateways."""
    for agent in list(agents().values()):
        yield from sent_by(agent)
    for one in _filters():
        for namespace, metric in _metrics_of(one):
            yield namespace, metric, ()
    for scenario in world.NAMES:
        for host in HOSTS:
            pairs = (("InstanceId", host.instance_id(scenario)),)
            if host.kind == "instance":
                yield from (("AWS/EC2", metric, pairs) for metric in (*_FIVE, *_STATUS))
        gateway = (("NatGatewayId", world.ident(scenario, "nat-gateway", "nat")),)
        yield from (("AWS/NATGateway", metric, gateway) for metric in _NAT)


def series(namespace: str, metric: str, dims: Pairs) -> Series | None:
    """The points of one metric of the world: times (Unix seconds), values, unit; None where it has no such metric.

    dims are sorted by name. A metric is its namespace, name and exact set of dimensions.
    """
    named = dict(dims)
    if namespace == "AWS/EC2" and set(named) == {"InstanceId"}:
        return _instance_series(metric, named["InstanceId"])
    if namespace == "AWS/NATGateway" and set(named) == {"NatGatewayId"}:
        return _gateway_series(metric, named["NatGatewayId"])
    for agent in list(agents().values()):
        sent = sent_by(agent).get((namespace, metric, dims))
        if sent:
            return _agent_series(agent, *sent)
    return None if dims else _filter_series(namespace, metric)


def _agent_series(agent: Agent, metric: str, interval_s: int) -> Series:
    # Each agent starts at a second of its own, and sends in step from then on.
    offset = zlib.crc32(agent.instance.encode()) % min(interval_s, 60)
    times = np.arange(START + offset, min(agent.stops, END), interval_s, dtype=np.int64)
    return times, measured(agent, metric)[(times - START) // 60], "Percent" if metric.endswith(("percent", "_idle", "_user", "_system", "_iowait")) else "None"  # fmt: skip


def _instance_series(metric: str, instance: str) -> Series | None:
    known = _host_of(instance)
    if known is None:
        return None
    if metric in _STATUS:
        times = np.arange(START, END, 60, dtype=np.int64)
        return times, np.zeros(len(times)), "Count"
    if metric not in _FIVE:
        return None
    load = _loads(known[0])[known[1].name]
    each = {"NetworkIn": load.bytes_in, "NetworkOut": load.bytes_out, "NetworkPacketsIn": load.packets_in, "NetworkPacketsOut": load.packets_out}  # fmt: skip
    if metric in each:
        return _fives(each[metric].reshape(-1, 5).sum(axis=1), "Bytes" if "Packets" not in metric else "Count")
    idle = measured(Agent(*known), "cpu_usage_idle").reshape(-1, 5).mean(axis=1)
    return _fives(100 - idle, "Percent")


def _fives(values: NDArray[np.float64], unit: str) -> Series:
    return np.arange(START, END, 300, dtype=np.int64), values, unit


def _gateway_series(metric: str, gateway: str) -> Series | None:
    scenario = next((name for name in world.NAMES if world.ident(name, "nat-gateway", "nat") == gateway), None)
    if scenario is None or metric not in _NAT:
        return None
    load = _loads(scenario)["nat-a"]
    values = {
        "ActiveConnectionCount": load.flows / 2, "BytesOutToDestination": load.bytes_out / 2, "BytesInFromDestination": load.bytes_in / 2,
    }.get(metric, np.zeros(MINUTES))  # fmt: skip
    return np.arange(START, END, 60, dtype=np.int64), values, "Bytes" if metric.startswith("Bytes") else "Count"


# ---------------------------------------------------------------------------------------------------------------- logs


def _make_streams(agent: Agent) -> None:
    """An agent makes the groups and streams that it writes to, and sets their retention where it is told to."""
    backend = logs_backends[ACCOUNT][REGION]
    for row in _files_of(agent):
        if row["group"] not in backend.groups:
            backend.create_log_group(row["group"], {})
        if row["stream"] not in backend.groups[row["group"]].streams:
            backend.groups[row["group"]].create_log_stream(row["stream"])
        if row["retention_days"]:
            backend.groups[row["group"]].retention_in_days = row["retention_days"]


def _files_of(agent: Agent) -> list[dict[str, Any]]:
    """The log files of an agent with group and stream as the host fills them in, those that its user may read."""
    if not agent.config.get("logs"):
        return []
    user = str((agent.config.get("agent") or {}).get("run_as_user", "root"))
    rows = []
    for row in log_files(agent.config, agent.instance).to_dict("records"):
        source = str(row["source"])
        if user != "root" and source.startswith("/var/log/httpd"):
            continue  # a folder of root's alone
        fill = {"{hostname}": agent.host_name, "{local_hostname}": agent.host_name, "{ip_address}": agent.host.address}
        group, stream = str(row["group"]) or source, str(row["stream"])
        for mark, value in fill.items():
            group, stream = group.replace(mark, value), stream.replace(mark, value)
        days = row["retention_days"]
        rows.append({"source": source, "group": group, "stream": stream, "retention_days": int(days) if pd.notna(days) else 0})  # fmt: skip
    return rows


def deliver_logs(group: str) -> None:
    """Write the events of a log group's streams into moto, once for each agent and configuration."""
    held = logs_backends[ACCOUNT][REGION].groups.get(group)
    if held is None:
        return
    with _lock:
        for agent in list(agents().values()):
            for row in _files_of(agent):
                if row["group"] == group:
                    _fill(held, row["stream"], agent, row["source"])


def _fill(group: LogGroup, stream: str, agent: Agent, source: str) -> None:
    if stream not in group.streams:
        group.create_log_stream(stream)
    held: Any = group.streams[stream]
    key = (source, agent.stops)
    done: set[Any] = held.__dict__.setdefault("_netkit_delivered", set())
    if key not in done:
        done.add(key)
        held.put_log_events([{"timestamp": at, "message": text} for at, text in lines(agent, source) if at < agent.stops * 1000])  # fmt: skip
        held.events.sort(key=lambda one: one.timestamp)


def lines(agent: Agent, source: str) -> Iterator[tuple[int, str]]:
    """The lines of a log file as (Unix milliseconds, text): of a web server where the name says access, else the application's."""
    load = _loads(agent.scenario)[agent.host.name]
    jitter = (_noise(f"{agent.instance}/{source}", MINUTES) * 59_000).astype(int).tolist()
    access = "access" in source
    for minute, flows in enumerate(load.flows.astype(int).tolist()):
        at = (START + minute * 60) * 1000 + jitter[minute]
        clock = datetime.fromtimestamp(at / 1000, UTC)
        if access and flows:
            yield at, f'10.0.0.10 - - [{clock:%d/%b/%Y:%H:%M:%S} +0000] "GET /cart HTTP/1.1" 200 {200 + flows}'
        elif not access and minute % 5 == 0:
            yield at, f"{clock:%Y-%m-%dT%H:%M:%S}Z INFO handled {flows} requests"
    if not access:
        yield from _errors(agent)


def _errors(agent: Agent) -> Iterator[tuple[int, str]]:
    columns, addresses = traffic.happened(world.scenario(agent.scenario))
    database = next(host for host in HOSTS if host.name == "db-primary")
    for number, start in enumerate(
        _unanswered(columns, addresses).get(agent.host.name, np.empty(0, np.int64)).tolist()
    ):
        at = (start + TIMEOUT_S) * 1000 + number % 1000
        clock = datetime.fromtimestamp(at / 1000, UTC)
        yield at, f"{clock:%Y-%m-%dT%H:%M:%S}Z ERROR could not connect to {database.address}:5432: timed out after {TIMEOUT_S} s"  # fmt: skip


# ------------------------------------------------------------------------------------------------------- metric filters


def _filters() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = logs_backends[ACCOUNT][REGION].filters.metric_filters
    return found


def _metrics_of(one: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for made in one["metricTransformations"]:
        yield str(made["metricNamespace"]), str(made["metricName"])


def _filter_series(namespace: str, metric: str) -> Series | None:
    """The metric of the filters of that name: a point in each minute that had an event of their groups."""
    chosen = [one for one in _filters() if (namespace, metric) in set(_metrics_of(one))]
    if not chosen:
        return None
    values = np.full(MINUTES, np.nan)
    for one in chosen:
        made = next(part for part in one["metricTransformations"] if (part["metricNamespace"], part["metricName"]) == (namespace, metric))  # fmt: skip
        _count(values, one, made)
    there = np.flatnonzero(~np.isnan(values))
    return START + there.astype(np.int64) * 60, values[there], "Count"


def _count(values: NDArray[np.float64], one: dict[str, Any], made: dict[str, Any]) -> None:
    """Add what one filter counted: the matches of each minute, or its default in a minute that had events and no match."""
    deliver_logs(one["logGroupName"])
    delivery.deliver_to_log_group(one["logGroupName"])
    group = logs_backends[ACCOUNT][REGION].groups.get(one["logGroupName"])
    fits = matcher(one["filterPattern"])
    counted = np.full(MINUTES, np.nan)
    quiet = np.zeros(MINUTES, bool)
    for event in [event for stream in group.streams.values() for event in stream.events] if group else []:
        minute = (event.timestamp // 1000 - START) // 60
        fields = fits(event.message)
        if 0 <= minute < MINUTES and fields is None:
            quiet[minute] = True
        elif 0 <= minute < MINUTES:
            counted[minute] = np.nan_to_num(counted[minute]) + _value(str(made["metricValue"]), fields)
    default = made.get("defaultValue")
    if default is not None:
        counted[quiet & np.isnan(counted)] = float(default)
    there = ~np.isnan(counted)
    values[there] = np.nan_to_num(values[there]) + counted[there]


def _value(text: str, fields: dict[str, str]) -> float:
    return float(fields.get(text[1:], 0) if text.startswith("$") else text)


_CONDITION = re.compile(
    r'\s*(?P<name>[\w.@-]+)\s*(?:(?P<sign>!=|=|<=|>=|<|>)\s*(?:"(?P<quoted>[^"]*)"|(?P<bare>\S+)))?\s*$'
)


def matcher(pattern: str) -> Any:
    """A function from a message to its fields, or to None where a filter pattern does not match it.

    Terms (all of them; ?term any; -term none; "quoted") and fields by position, as [a, b="x", …, z > 3].
    """
    text = pattern.strip()
    if text.startswith("[") and text.endswith("]"):
        conditions = [_CONDITION.fullmatch(part) for part in text[1:-1].split(",")]
        return lambda message: _positional(conditions, message)
    terms = re.findall(r'([?-]?)(?:"([^"]*)"|(\S+))', text)
    wanted = [quoted or bare for mark, quoted, bare in terms if not mark]
    some = [quoted or bare for mark, quoted, bare in terms if mark == "?"]
    never = [quoted or bare for mark, quoted, bare in terms if mark == "-"]

    def fits(message: str) -> dict[str, str] | None:
        good = all(one in message for one in wanted) and not any(one in message for one in never)
        return {} if good and (not some or any(one in message for one in some)) else None

    return fits


def _positional(conditions: list[re.Match[str] | None], message: str) -> dict[str, str] | None:
    parts = re.findall(r'"[^"]*"|\[[^\]]*\]|\S+', message)
    if len(parts) != len(conditions):
        return None
    fields: dict[str, str] = {}
    for one, part in zip(conditions, parts, strict=True):
        if one is None or not _holds(one, part):
            return None
        fields[one["name"]] = part
    return fields


def _holds(one: re.Match[str], part: str) -> bool:
    if one["sign"] is None:
        return True
    wanted = one["quoted"] if one["quoted"] is not None else one["bare"]
    if one["sign"] in ("=", "!="):
        same = part == wanted or (
            "*" in wanted and re.fullmatch(re.escape(wanted).replace(r"\*", ".*"), part) is not None
        )
        return same == (one["sign"] == "=")
    try:
        left, right = float(part), float(wanted)
    except ValueError:
        return False
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[one["sign"]]
