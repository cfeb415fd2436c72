"""What a run's parameters say in the wings' own words (alarm lines, mirror rules, names that AWS takes): refused before a kernel starts.

runs.refuse knows what can be known without a wing; these are the wings' own checks, the same that a notebook's cells make again.
A check is made where the notebook declares all the parameters that it reads, so it holds for a notebook of one's own too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netkit.cloudwatch.agent import AgentConfig, LogFile
from netkit.cloudwatch.agent_install import parameter_request
from netkit.cloudwatch.alarm_lines import parse_alarms
from netkit.cloudwatch.commands import point_of
from netkit.cloudwatch.dashboards import check_name as check_dashboard
from netkit.cloudwatch.filter_patterns import parse_pattern
from netkit.cloudwatch.log_groups import check_group_name, check_key, read_tags
from netkit.cloudwatch.metrics import check_namespace
from netkit.cloudwatch.names import check_email, check_instances, check_role, check_rule_name, check_topic
from netkit.core.errors import InputError, ParameterError
from netkit.flowlogs.commands import spec_from_command
from netkit.flowlogs.provision import TableChoice, check_location, fields_of
from netkit.flowlogs.table import FlowLogSpec, check_bucket
from netkit.mirror.analysis_host import AnalysisHost
from netkit.mirror.filters import parse_filter
from netkit.mirror.ids import check_id, target_request

Values = Mapping[str, Any]
_SOMEBODY = "123456789012"  # an account where none is said: only the forms count here


def _alarms(given: Values) -> None:
    lines = [line.replace("{namespace}", given["namespace"]) for line in given["alarms"]]
    parse_alarms(lines, {"i-00000000": "host"}, prefix=given["alarm_prefix"], region=given["region"])


def _agent(given: Values) -> None:
    if not given["agent_config"]:
        files = [LogFile(given["log_file"], given["log_group"])] if given["log_file"] else []
        config = AgentConfig.of(given["metrics"], files, namespace=given["namespace"]).document()
        parameter_request(config, given["parameter"] or "AmazonCloudWatch-x", tags={})


def _flow_logs(given: Values) -> None:
    account, region = given.get("account_id") or _SOMEBODY, given["region"]
    if given["command"]:
        spec_from_command(given["command"], account, region)
        return
    fields, _ = fields_of(given["log_format"], given["resource_type"])
    what = (account, region, given["resource_type"], tuple(given["resource_ids"]), fields, given["traffic"])
    names = ("destination", "bucket", "prefix", "log_group", "stream_arn", "file_format", "hive", "per_hour", "aggregation_s")  # fmt: skip
    spec = FlowLogSpec(*what, **{name: given[name] for name in names})
    if spec.destination == "cloud-watch-logs":
        check_group_name(spec.log_group)
    if given["database"] and spec.destination == "s3":
        TableChoice(given["database"], given["table"], given["workgroup"], scan_limit_bytes=given["scan_limit_bytes"])


def _key(given: Values) -> None:
    if given["log_group_key"]:
        check_key(given["log_group_key"], given["region"])


def _host(given: Values) -> None:
    AnalysisHost(bucket=given["bucket"], prefix=given["prefix"], region=given["region"])


def _ids(*prefixes: str) -> Callable[[Any], Any]:
    return lambda value: [check_id(one, *prefixes) for one in ([value] if isinstance(value, str) else value)]


# Of one parameter: what is empty is not asked.
_ONE: Mapping[tuple[str, str], Callable[[Any], Any]] = {
    # (the parameter, another that the same notebook declares and that tells which of several is meant)
    ("values", "alarms"): lambda lines: [point_of(line) for line in lines],
    ("error_pattern", "log_group"): parse_pattern,
    ("log_group_tags", "log_group"): read_tags,
    ("namespace", "alarms"): check_namespace,
    ("log_group", "retention_days"): check_group_name,
    ("topic", "alarms"): check_topic,
    ("email", "topic"): check_email,
    ("rule", "topic"): check_rule_name,
    ("role", "parameter"): check_role,
    ("dashboard", "alarms"): check_dashboard,
    ("instances", "alarms"): check_instances,
    ("rules", "captures"): parse_filter,
    ("rules", "packet_length"): parse_filter,
    ("destination", "packet_length"): target_request,
    ("sources", "packet_length"): _ids("eni", "i"),
    ("subnets", "packet_length"): _ids("subnet"),
    ("workgroup", "results"): lambda name: TableChoice("a", "a", name),
    ("results", "workgroup"): check_location,
    ("bucket", "expire_days"): check_bucket,
    ("vpc_id", "workgroup"): _ids("vpc"),
}
# Of several together, all of which the notebook declares.
_TOGETHER: Mapping[tuple[str, ...], Callable[[Values], None]] = {
    ("alarms", "alarm_prefix", "namespace", "region"): _alarms,
    ("metrics", "namespace", "log_file", "log_group", "parameter", "agent_config"): _agent,
    ("command", "destination", "bucket", "log_format", "resource_type", "resource_ids", "traffic", "scan_limit_bytes", "region"): _flow_logs,
    ("bucket", "prefix", "packet_length", "region"): _host,
    ("log_group_key", "region"): _key,
}  # fmt: skip


def refuse_words(parameters: Values) -> None:
    """Raise a ParameterError for the first value that a wing would refuse. Calls nothing.

    parameters: all of a notebook's, typed as it declares
    """
    for (name, beside), check in _ONE.items():
        if parameters.get(name) and beside in parameters:
            _named(name, check, parameters[name])
    for names, together in _TOGETHER.items():
        if set(names) <= parameters.keys():
            _named(names[0], together, parameters)


def _named(name: str, check: Callable[[Any], Any], value: Any) -> None:
    try:
        check(value)
    except ParameterError:
        raise
    except InputError as problem:
        raise ParameterError(f"{name}: {problem.what}", subject=problem.subject or name, hint=problem.hint) from None
