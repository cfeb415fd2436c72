"""What else moto lacks of CloudWatch and its logs: dashboards that are looked at, log groups with class, protection and retention.

Sources: CloudWatch API Reference, PutDashboard ("DashboardValidationMessages"); CloudWatch Logs API Reference, CreateLogGroup,
PutRetentionPolicy, DeleteLogGroup.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from moto.cloudwatch.exceptions import DashboardInvalidInputError
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult
from moto.logs import models as logs_models
from moto.logs.exceptions import InvalidParameterException, ResourceNotFoundException, ValidationException
from moto.logs.models import LogGroup, LogsBackend
from moto.logs.responses import LogsResponse

from netkit.cloudwatch.dashboard_grammar import check
from netkit.cloudwatch.filter_patterns import Pattern, matches, parse_pattern
from netkit.cloudwatch.log_groups import CLASSES
from netkit.core.errors import InputError
from netkit.core.model import RETENTION_DAYS
from netkit.sandbox.services import cloudwatch_alarms, cloudwatch_metrics, logs_insights
from netkit.sandbox.world import cloudwatch as cloudwatch_world

_started = LogsResponse.start_query
_described = LogGroup.to_describe_dict
_deleted = LogsBackend.delete_log_group
_put_filter = LogsBackend.put_metric_filter


def install() -> None:
    """Put all of the sandbox's CloudWatch in moto's place."""
    cloudwatch_metrics.install()
    cloudwatch_alarms.install()
    cloudwatch_world.install()
    CloudWatchResponse.put_dashboard = _put_dashboard  # type: ignore[method-assign]
    LogsResponse.create_log_group = _create_log_group  # type: ignore[method-assign]
    LogsBackend.start_query = logs_insights.start_query  # type: ignore[method-assign]
    LogsResponse.start_query = _start_query  # type: ignore[method-assign]
    LogsBackend.put_retention_policy = _put_retention_policy  # type: ignore[method-assign]
    LogsBackend.delete_log_group = _delete_log_group  # type: ignore[method-assign]
    LogGroup.to_describe_dict = _to_describe_dict  # type: ignore[method-assign]
    LogsBackend.put_metric_filter = _put_metric_filter  # type: ignore[method-assign]
    logs_models.EventMessageFilter = EventFilter  # type: ignore[attr-defined,assignment]


class EventFilter:
    """In place of moto's: a filter pattern, refused as AWS refuses it, and what it matches."""

    def __init__(self, pattern: str) -> None:
        self.pattern = _parsed(pattern or "")

    def matches(self, message: str) -> bool:
        """Whether an event's message matches."""
        return matches(self.pattern, message)


@functools.lru_cache(maxsize=64)
def _parsed(pattern: str) -> Pattern:
    try:
        return parse_pattern(pattern)
    except InputError as wrong:
        raise InvalidParameterException(msg=f"Invalid filter pattern: {wrong.what}") from None


def _put_metric_filter(self: LogsBackend, filter_name: str, filter_pattern: str, *given: Any, **more: Any) -> None:
    """PutMetricFilter: only patterns that AWS takes."""
    _parsed(filter_pattern)
    _put_filter(self, filter_name, filter_pattern, *given, **more)


def _put_dashboard(self: CloudWatchResponse) -> ActionResult:
    """PutDashboard: refused with messages where the body breaks a rule; on success the warnings."""
    name, body = self._get_param("DashboardName"), self._get_param("DashboardBody")
    found = check(body)
    errors = [{"DataPath": one.path, "Message": one.message} for one in found if one.level == "error"]
    if errors:
        raise DashboardInvalidInputError(f"The dashboard body is invalid, there are {len(errors)} validation errors: {json.dumps(errors)}")  # fmt: skip
    fresh = name not in self.cloudwatch_backend.dashboards
    made = self.cloudwatch_backend.put_dashboard(name, body)
    if fresh:  # the tags of an update are ignored
        tagger = self.cloudwatch_backend.tagger
        tagger.delete_all_tags_for_resource(made.arn)
        tagger.tag_resource(made.arn, self._get_param("Tags") or [])
    warnings = [{"DataPath": one.path, "Message": one.message} for one in found]
    return ActionResult({"DashboardValidationMessages": warnings})


def _create_log_group(self: LogsResponse) -> str:
    """CreateLogGroup with class and deletion protection, which moto drops."""
    name, chosen = self._get_param("logGroupName"), self._get_param("logGroupClass") or "STANDARD"
    if name.startswith("aws/"):
        raise InvalidParameterException("Log groups starting with aws/ are reserved for AWS.")
    if chosen not in CLASSES:
        raise InvalidParameterException(constraint=f"Member must satisfy enum value set: [{', '.join(CLASSES)}]", parameter="logGroupClass", value=chosen)  # fmt: skip
    self.logs_backend.create_log_group(name, self._get_param("tags"), kmsKeyId=self._get_param("kmsKeyId"))
    held: Any = self.logs_backend.groups[name]
    held.netkit_class, held.netkit_protected = chosen, bool(self._get_param("deletionProtectionEnabled"))
    return ""


def _start_query(self: LogsResponse) -> str:
    """StartQuery with a limit beside the query, which moto drops; one in the query itself comes first."""
    text, limit = self._get_param("queryString"), self._get_param("limit")
    if limit and not re.search(r"\|\s*limit\s+\d+", text):
        body = json.loads(self.body)
        self.body = json.dumps(body | {"queryString": f"{text} | limit {min(int(limit), 10_000)}"})
    return _started(self)


def _put_retention_policy(self: LogsBackend, log_group_name: str, retention_in_days: Any) -> None:
    """PutRetentionPolicy: only days that AWS takes."""
    if log_group_name not in self.groups:
        raise ResourceNotFoundException()
    if int(retention_in_days) not in RETENTION_DAYS:
        raise InvalidParameterException(constraint=f"Member must satisfy enum value set: {list(RETENTION_DAYS)}", parameter="retentionInDays", value=retention_in_days)  # fmt: skip
    self.groups[log_group_name].set_retention_policy(retention_in_days)


def _delete_log_group(self: LogsBackend, log_group_name: str) -> None:
    """DeleteLogGroup: not one that is protected; its metric filters go with it."""
    if getattr(self.groups.get(log_group_name), "netkit_protected", False):
        raise ValidationException("The log group has deletion protection enabled.")
    _deleted(self, log_group_name)
    kept = [one for one in self.filters.metric_filters if one["logGroupName"] != log_group_name]
    self.filters.metric_filters[:] = kept


def _to_describe_dict(self: LogGroup) -> dict[str, Any]:
    """A log group as DescribeLogGroups has it, with class, protection and the number of its metric filters."""
    from moto.logs.models import logs_backends

    filters = logs_backends[self.account_id][self.region].filters.metric_filters
    more = {
        "logGroupClass": getattr(self, "netkit_class", "STANDARD"),
        "deletionProtectionEnabled": getattr(self, "netkit_protected", False),
        "metricFilterCount": sum(one["logGroupName"] == self.name for one in filters),
    }
    return _described(self) | more
