"""Flow-log calls where moto leaves gaps: prefixes, DestinationOptions, tokens, and the refusals that AWS makes.

Sources: botocore's EC2 model (CreateFlowLogs), Amazon VPC User Guide "Flow logs" and "Troubleshoot". The code that AWS
gives for an unknown field is not documented; InvalidParameter is what its family of checks gives.
"""

from __future__ import annotations

import json
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.flow_logs import FlowLogs as MotoFlowLog
from moto.ec2.responses.flow_logs import FlowLogs as FlowLogsResponse
from moto.ec2.utils import random_flow_log_id
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends

from netkit.core.errors import InputError
from netkit.flowlogs.fields import DEFAULT_V2, TGW_DEFAULT, log_format, parse_format
from netkit.flowlogs.table import RESOURCE_TYPES, TRAFFIC_TYPES, check_prefix


class Refused(EC2ClientError):
    """A refusal with AWS's code and words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)


def create_flow_logs(self: FlowLogsResponse) -> ActionResult:
    """CreateFlowLogs: FlowLogIds and Unsuccessful, one entry a resource."""
    request = _request(self)
    backend = self.ec2_backend
    tokens = backend.__dict__.setdefault("nk_flow_log_tokens", {})
    token = self._get_param("ClientToken")
    if token and token in tokens:
        before, answer = tokens[token]
        if before != json.dumps(request, sort_keys=True):
            raise Refused(
                "IdempotentParameterMismatch",
                "The request uses the same client token as a previous, but non-identical request.",
            )
        return ActionResult(answer)
    self.error_on_dryrun()
    made, unsuccessful = [], []
    for resource in request["resources"]:
        problem = _problem(backend, request, resource)
        if problem:
            unsuccessful.append({"ResourceId": resource, "Error": {"Code": problem[0], "Message": problem[1]}})
            continue
        flow_log = _flow_log(backend, request, resource)
        backend.flow_logs[flow_log.id] = flow_log
        flow_log.add_tags(self._parse_tag_specification().get("vpc-flow-log", {}))
        made.append(flow_log.id)
    answer = {"FlowLogIds": made, "Unsuccessful": unsuccessful, "ClientToken": token or ""}
    if token:
        tokens[token] = (json.dumps(request, sort_keys=True), answer)
    return ActionResult(answer)


def _request(response: FlowLogsResponse) -> dict[str, Any]:
    """The request, checked as AWS checks it before it looks at any resource."""
    get = response._get_param
    kind = get("ResourceType")
    family = "tgw" if str(kind).startswith("TransitGateway") else "vpc"
    request = {
        "kind": kind, "resources": get("ResourceIds", []), "traffic": get("TrafficType"), "role": get("DeliverLogsPermissionArn"),
        "type": get("LogDestinationType") or "cloud-watch-logs", "where": get("LogDestination"), "group": get("LogGroupName"),
        "interval": int(get("MaxAggregationInterval") or 600), "options": get("DestinationOptions") or {},
        "format": get("LogFormat") or log_format(TGW_DEFAULT if family == "tgw" else DEFAULT_V2),
    }  # fmt: skip
    if kind not in RESOURCE_TYPES:
        raise Refused("InvalidParameter", f"Unknown resource type {kind}")
    if family == "vpc" and request["traffic"] not in TRAFFIC_TYPES:
        raise Refused("InvalidParameter", f"Unknown traffic type {request['traffic']}")
    if request["interval"] not in (60, 600):
        raise Refused("InvalidParameter", "Invalid Flow Log Max Aggregation Interval")
    try:
        parse_format(request["format"], family)  # type: ignore[arg-type]
    except InputError as problem:
        raise Refused("InvalidParameter", f"Unknown fields provided: {problem.what}") from None
    if "windowstart" in request["format"] or "windowend" in request["format"]:
        raise Refused("InvalidParameter", "Unknown fields provided: windowstart, windowend")
    _check_destination(request)
    return request


def _check_destination(request: dict[str, Any]) -> None:
    if not request["where"] and not request["group"]:
        raise Refused("InvalidParameter", "LogDestination can't be empty if LogGroupName is not provided.")
    if request["type"] != "cloud-watch-logs" and request["group"]:
        raise Refused("InvalidParameter", "LogDestination type must be cloud-watch-logs if LogGroupName is provided.")
    if request["type"] == "cloud-watch-logs" and not request["role"]:
        raise Refused(
            "InvalidParameter", "DeliverLogsPermissionArn can't be empty if LogDestinationType is cloud-watch-logs."
        )
    if request["type"] == "s3":
        if request["role"]:
            raise Refused("InvalidParameter", "DeliverLogsPermissionArn is not applicable for s3 delivery")
        try:
            check_prefix(str(request["where"]).partition(":::")[2].partition("/")[2])
        except InputError as problem:
            raise Refused("InvalidParameter", problem.what) from None
    if request["type"] == "cloud-watch-logs" and not request["group"]:
        request["group"] = str(request["where"]).partition(":log-group:")[2].removesuffix(":*")


def _problem(backend: Any, request: dict[str, Any], resource: str) -> tuple[str, str] | None:
    """Why one resource gets no flow log, as Unsuccessful says it."""
    finders = {"VPC": backend.get_vpc, "Subnet": backend.get_subnet, "NetworkInterface": backend.get_network_interface}
    finder = finders.get(request["kind"])
    if finder is not None:
        try:
            finder(resource)
        except EC2ClientError as problem:
            return problem.code, problem.message
    if request["type"] == "s3":
        bucket = str(request["where"]).partition(":::")[2].partition("/")[0]
        if bucket not in s3_backends[backend.account_id][backend.partition].buckets:
            return "400", f"LogDestination: {bucket} does not exist."
    for other in backend.flow_logs.values():
        same_place = (other.log_destination, other.log_group_name) == (request["where"], request["group"])
        if other.resource_id == resource and same_place and other.traffic_type == request["traffic"]:
            return (
                "FlowLogAlreadyExists",
                "Error. There is an existing Flow Log with the same configuration and log destination.",
            )
    return None


def _flow_log(backend: Any, request: dict[str, Any], resource: str) -> Any:
    status, message = "SUCCESS", None
    if (
        request["type"] == "cloud-watch-logs"
        and request["group"] not in logs_backends[backend.account_id][backend.region_name].groups
    ):
        logs_backends[backend.account_id][backend.region_name].create_log_group(request["group"], {})
    kind: Any = MotoFlowLog  # typed as abstract, and is not
    made = kind(
        backend, random_flow_log_id(), resource, request["traffic"], request["where"], request["group"], request["role"],
        request["interval"], request["type"], request["format"], status, message,
    )  # fmt: skip
    if request["type"] == "s3":
        given = request["options"]
        truth = {True: True, "true": True, "True": True}
        made.destination_options = {
            "FileFormat": given.get("FileFormat", "plain-text"),
            "HiveCompatiblePartitions": truth.get(given.get("HiveCompatiblePartitions"), False),
            "PerHourPartition": truth.get(given.get("PerHourPartition"), False),
        }
    return made


def install() -> None:
    """Put these in place of moto's."""
    FlowLogsResponse.create_flow_logs = create_flow_logs  # type: ignore[method-assign]
