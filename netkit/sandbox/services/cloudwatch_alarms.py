"""Alarms that evaluate, in the sandbox: states, reasons, history and actions, by netkit's own replay of their points.

moto keeps an alarm's words and never looks at a point. An alarm here is as if it had watched its metric since the world's start:
it is evaluated up to the sandbox's clock, which is the world's end, or the end of the newest period that somebody put a
point into. As it is the replay that decides, the sandbox proves how states, history and actions are read, not the replay.
Sources: CloudWatch API Reference, PutMetricAlarm, DescribeAlarmHistory, SetAlarmState, PutCompositeAlarm; CloudWatch User
Guide, "Alarm events and EventBridge".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from moto.cloudwatch.exceptions import InvalidParameterValue, ResourceNotFound, ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.events.models import events_backends
from moto.sns.models import sns_backends

from netkit.cloudwatch.alarm_rules import holds
from netkit.cloudwatch.alarms import AlarmSpec, CompositeSpec
from netkit.cloudwatch.replay import replay
from netkit.core.errors import InputError
from netkit.sandbox.services import cloudwatch_metrics
from netkit.sandbox.services.cloudwatch_metrics import newest_put, pairs_of, points, reduced
from netkit.sandbox.world import world
from netkit.sandbox.world.world import ACCOUNT, REGION

_put_metric_alarm = CloudWatchBackend.put_metric_alarm
_delete_alarms = CloudWatchBackend.delete_alarms
START, END = int(world.START.timestamp()), int(world.END.timestamp())


def install() -> None:
    """Put these alarms in place of moto's."""
    CloudWatchBackend.put_metric_alarm = put_metric_alarm  # type: ignore[method-assign,assignment]
    CloudWatchBackend.delete_alarms = delete_alarms  # type: ignore[method-assign]
    CloudWatchBackend.set_alarm_state = set_alarm_state  # type: ignore[method-assign]
    for name in ("describe_alarms", "get_alarms_by_action_prefix", "get_alarms_by_alarm_name_prefix", "get_alarms_by_alarm_names", "get_alarms_by_state_value"):  # fmt: skip
        _evaluated_first(name)
    # moto's own method reads AlarmRule as well, and knows no operation of that name.
    CloudWatchResponse.put_composite_alarm = _put_composite_alarm  # type: ignore[attr-defined]
    CloudWatchResponse.describe_alarm_history = _describe_alarm_history  # type: ignore[attr-defined]


def _evaluated_first(name: str) -> None:
    method = getattr(CloudWatchBackend, name)
    if getattr(method, "netkit", False):
        return

    def wrapped(self: CloudWatchBackend, *given: Any) -> list[Alarm]:
        names = given[0] if name == "get_alarms_by_alarm_names" else None
        evaluate_all(self, names)
        return list(method(self, *given))

    wrapped.netkit = True  # type: ignore[attr-defined]
    setattr(CloudWatchBackend, name, wrapped)


@dataclass
class Life:
    """What is known of one alarm besides its words: when it was made, its history, what was acted on, a state set by hand."""

    items: list[dict[str, Any]] = field(default_factory=list)
    acted: set[tuple[str, str]] = field(default_factory=set)
    by_hand: tuple[Any, str, str, str] | None = None  # what its points were then, state, reason, reason data
    moved: list[tuple[datetime, str, str, str, str]] = field(
        default_factory=list
    )  # time, state, previous, reason, data


def _lives(backend: Any) -> dict[str, Life]:
    found: dict[str, Life] = backend.__dict__.setdefault("_netkit_lives", {})
    return found


# -------------------------------------------------------------------------------------------------------------- changes


def put_metric_alarm(self: CloudWatchBackend, **asked: Any) -> Alarm:
    """In place of moto's: refused as AWS refuses, INSUFFICIENT_DATA at first, its history kept over updates."""
    record = {_AWS[name]: value for name, value in asked.items() if name in _AWS and value not in (None, [], "")}
    record["Dimensions"] = list(asked.get("dimensions") or [])
    if asked.get("metric_data_queries"):
        record["Metrics"] = [_query(one) for one in asked["metric_data_queries"]]
    try:
        if asked.get("rule"):
            CompositeSpec.of(record)
        else:
            AlarmSpec.of(record)
    except InputError as wrong:
        raise ValidationError(f"{wrong.what} ({wrong.subject}): {wrong.hint}") from None
    before = self.alarms.get(asked["name"])
    alarm = _put_metric_alarm(self, **asked)
    alarm.state_value, alarm.state_updated_timestamp = "INSUFFICIENT_DATA", world.START.replace(tzinfo=None)
    life = _lives(self).setdefault(alarm.name, Life())
    life.by_hand = None
    what = "updated" if before else "created"
    data = {"version": "1.0", "type": "Update" if before else "Create"}
    life.items.append(_item(alarm, _now(), "ConfigurationUpdate", f'Alarm "{alarm.name}" {what}', data))
    return alarm


def _put_composite_alarm(self: CloudWatchResponse) -> ActionResult:
    """PutCompositeAlarm, with the suppressor that moto does not keep; it is answered again, and keeps back no action here."""
    held = {member: self._get_param(member) for member in _SUPPRESSOR.values()}
    record = {"AlarmName": self._get_param("AlarmName"), "AlarmRule": self._get_param("AlarmRule")}
    try:
        CompositeSpec.of(record | {member: value for member, value in held.items() if value is not None})
    except InputError as wrong:
        raise ValidationError(f"{wrong.what} ({wrong.subject}): {wrong.hint}") from None
    answer: ActionResult = self.put_metric_alarm()
    alarm = self.cloudwatch_backend.alarms[record["AlarmName"]]
    for name, member in _SUPPRESSOR.items():
        setattr(alarm, name, held[member])
    return answer


_SUPPRESSOR = {
    "actions_suppressor": "ActionsSuppressor",
    "actions_suppressor_wait_period": "ActionsSuppressorWaitPeriod",
    "actions_suppressor_extension_period": "ActionsSuppressorExtensionPeriod",
}
_AWS = {
    "name": "AlarmName", "namespace": "Namespace", "metric_name": "MetricName", "statistic": "Statistic", "extended_statistic": "ExtendedStatistic",
    "period": "Period", "evaluation_periods": "EvaluationPeriods", "datapoints_to_alarm": "DatapointsToAlarm", "threshold": "Threshold",
    "comparison_operator": "ComparisonOperator", "treat_missing_data": "TreatMissingData", "alarm_actions": "AlarmActions",
    "ok_actions": "OKActions", "insufficient_data_actions": "InsufficientDataActions", "unit": "Unit", "description": "AlarmDescription",
    "threshold_metric_id": "ThresholdMetricId", "rule": "AlarmRule", "evaluate_low_sample_count_percentile": "EvaluateLowSampleCountPercentile",
}  # fmt: skip


def _query(one: Any) -> dict[str, Any]:
    """A metric of an alarm on an expression as AWS writes it; moto keeps objects."""
    made: dict[str, Any] = {"Id": one.id, "ReturnData": one.return_data in (None, True, "true")}
    made |= {"Label": one.label} if one.label else {}
    made |= {"Period": int(one.period)} if one.period else {}
    if one.expression:
        return made | {"Expression": one.expression}
    held = one.metric_stat
    dims = [{"Name": two.name, "Value": two.value} for two in held.metric.dimensions]
    metric = {"Namespace": held.metric.namespace, "MetricName": held.metric.metric_name, "Dimensions": dims}
    return made | {"MetricStat": {"Metric": metric, "Period": int(held.period), "Stat": held.stat}}


def delete_alarms(self: CloudWatchBackend, alarm_names: list[str]) -> None:
    """In place of moto's: the history goes with the alarm."""
    _delete_alarms(self, alarm_names)
    for name in alarm_names:
        _lives(self).pop(name, None)


def set_alarm_state(self: CloudWatchBackend, alarm_name: str, reason: str, reason_data: str, state_value: str) -> None:
    """In place of moto's: the state holds until the metric has another point, as the next evaluation decides again."""
    if alarm_name not in self.alarms:
        raise ResourceNotFound("Unknown")
    if state_value not in ("OK", "ALARM", "INSUFFICIENT_DATA"):
        raise ValidationError(f"Value '{state_value}' at 'stateValue' failed to satisfy constraint: Member must satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]")  # fmt: skip
    evaluate_all(self)
    alarm, life = self.alarms[alarm_name], _lives(self).setdefault(alarm_name, Life())
    if alarm.state_value != state_value:
        change = (_now(), state_value, str(alarm.state_value), reason, reason_data or "{}")
        life.items.append(_state_item(alarm, *change))
        _act(alarm, life, *change)
    life.by_hand = (_fingerprint(self, alarm), state_value, reason, reason_data or "{}")
    evaluate_all(self)


# ----------------------------------------------------------------------------------------------------------- evaluation


def evaluate_all(backend: CloudWatchBackend, names: Iterable[str] | None = None) -> None:
    """Bring every alarm to its state at the sandbox's clock, composite ones last; or those named, where none is composite."""
    held = list(backend.alarms.values())
    chosen = [one for one in held if names is None or one.name in set(names)]
    for alarm in sorted(held if any(one.rule for one in chosen) else chosen, key=lambda one: one.rule is not None):
        life = _lives(backend).setdefault(alarm.name, Life())
        life.moved = list(_composite(backend, alarm) if alarm.rule else _metric(backend, alarm))
        for change in life.moved:
            _act(alarm, life, *change)
        if life.by_hand and life.by_hand[0] == _fingerprint(backend, alarm):
            _, alarm.state_value, alarm.state_reason, alarm.state_reason_data = life.by_hand
        elif life.moved:
            alarm.state_updated_timestamp, alarm.state_value, _, alarm.state_reason, alarm.state_reason_data = (
                life.moved[-1]
            )
        else:
            alarm.state_value, alarm.state_reason = "INSUFFICIENT_DATA", "Unchecked: Initial alarm creation"


def _fingerprint(backend: CloudWatchBackend, alarm: Alarm) -> tuple[Any, ...]:
    if alarm.rule:
        return tuple(sorted((name, one.state_value) for name, one in backend.alarms.items() if not one.rule))
    return tuple((len(held.times), float(held.sums.sum())) for held in (points(backend, *key) for key in _keys(alarm)))


def _keys(alarm: Alarm) -> Iterator[tuple[str, str, Any]]:
    if alarm.metric_name:
        yield alarm.namespace, alarm.metric_name, pairs_of(alarm.dimensions)
    for one in alarm.metric_data_queries:
        if one.metric_stat:
            metric = one.metric_stat.metric
            yield metric.namespace, metric.metric_name, pairs_of(metric.dimensions)


def record_of(alarm: Alarm) -> dict[str, Any]:
    """An alarm's words as DescribeAlarms has them, for AlarmSpec.of."""
    held = {key: getattr(alarm, name) for name, key in (_AWS | _SUPPRESSOR).items() if hasattr(alarm, name)}
    held["Dimensions"] = [{"Name": name, "Value": value} for name, value in pairs_of(alarm.dimensions)]
    held["Metrics"] = [_query(one) for one in alarm.metric_data_queries]
    return {key: value for key, value in held.items() if value not in (None, [], "")}


Change = tuple[datetime, str, str, str, str]


def _metric(backend: CloudWatchBackend, alarm: Alarm) -> Iterator[Change]:
    spec = AlarmSpec.of(record_of(alarm))
    if spec.kind == "anomaly":
        return  # a band is learnt from weeks of data, which are not here
    period = spec.evaluated_period
    newest = max((one for key in _keys(alarm) if (one := newest_put(backend, *key)) is not None), default=0)
    clock = max(END, (newest // period + 1) * period)
    if spec.kind == "metric":
        held = points(backend, *next(_keys(alarm)))
        first = int(held.times.min()) if len(held.times) else START
        span = (first // period * period, clock)
        times, values = reduced(held, period, spec.statistic or spec.extended_statistic, *span)
        samples = reduced(held, period, "SampleCount", *span)[1]
    else:
        times, values = _math(backend, spec, newest, clock)
        samples = np.ones(len(times))
    frame = pd.DataFrame({"time": pd.to_datetime(times, unit="s", utc=True), "value": values, "samples": samples})
    start = min([START, *times[:1].tolist()]) if newest < START or not len(times) else int(times[0])
    done = replay(
        spec, frame, start=pd.Timestamp(start, unit="s", tz="UTC"), end=pd.Timestamp(clock, unit="s", tz="UTC")
    )
    for row in done.transitions.to_dict("records"):
        moment = row["time"].to_pydatetime().replace(tzinfo=None)
        data = {
            "version": "1.0", "queryDate": _stamp(moment), "statistic": spec.statistic or spec.extended_statistic, "period": period,
            "recentDatapoints": [float(one) for one in row["datapoints"]], "threshold": spec.threshold,
        }  # fmt: skip
        yield moment, str(row["state"]), str(row["previous"]), str(row["reason"]), json.dumps(data)


def _math(backend: CloudWatchBackend, spec: AlarmSpec, newest: int, clock: int) -> tuple[Any, Any]:
    (watched,) = (one["Id"] for one in spec.metrics if one.get("ReturnData", True))
    queries = [dict(one) | {"ReturnData": one["Id"] == watched} for one in spec.metrics]
    begin = START if newest < START else min(START, newest)
    span = (datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(clock, UTC))
    (found,) = cloudwatch_metrics.get_metric_data(backend, queries, *span, "TimestampAscending")
    times = [int(one.replace(tzinfo=UTC).timestamp()) for one in found["timestamps"]]
    return np.array(times, dtype=np.int64), np.array(found["values"], dtype=np.float64)


def _composite(backend: CloudWatchBackend, alarm: Alarm) -> Iterator[Change]:
    """A composite alarm moves when one that it asks does."""
    spec = CompositeSpec.of(record_of(alarm))
    names, tree = spec.names, spec.tree
    lives = {name: _lives(backend).get(name.split(":alarm:")[-1]) for name in names}
    states = dict.fromkeys(names, "INSUFFICIENT_DATA")
    moves = sorted((change[0], name, change[1]) for name, life in lives.items() if life for change in life.moved)
    previous = "INSUFFICIENT_DATA"
    for moment, name, state in moves:
        states[name] = state
        now = "ALARM" if holds(tree, states) else "OK"
        if now != previous:
            reason = f"{name} transitioned to {state} at {_stamp(moment)}"
            yield (
                moment,
                now,
                previous,
                reason,
                json.dumps({"triggeringAlarms": [{"name": name, "state": {"value": state}}]}),
            )
            previous = now


# ---------------------------------------------------------------------------------------------------- history and actions


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def _item(alarm: Alarm, moment: datetime, kind: str, summary: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "AlarmName": alarm.name, "AlarmType": "CompositeAlarm" if alarm.rule else "MetricAlarm", "Timestamp": moment,
        "HistoryItemType": kind, "HistorySummary": summary, "HistoryData": json.dumps(data),
    }  # fmt: skip


def _state_item(alarm: Alarm, moment: datetime, state: str, previous: str, reason: str, data: str) -> dict[str, Any]:
    both = {
        "version": "1.0",
        "oldState": {"stateValue": previous},
        "newState": {"stateValue": state, "stateReason": reason, "stateReasonData": json.loads(data)},
    }
    return _item(alarm, moment, "StateUpdate", f"Alarm updated from {previous} to {state}", both)


def _act(alarm: Alarm, life: Life, moment: datetime, state: str, previous: str, reason: str, data: str) -> None:
    """The actions of one change of state, once: SNS topics get AWS's message, EventBridge the event; others are noted only."""
    key = (moment.isoformat(), state)
    if key in life.acted:
        return
    life.acted.add(key)
    actions = {"ALARM": alarm.alarm_actions, "OK": alarm.ok_actions, "INSUFFICIENT_DATA": alarm.insufficient_data_actions}[state]  # fmt: skip
    _to_event_bridge(alarm, moment, state, previous, reason, data)
    for arn in actions if alarm.actions_enabled else ():
        worked = ":sns:" not in arn or _publish(arn, alarm, moment, state, previous, reason)
        word = "Successfully executed" if worked else "Failed to execute"
        told = {"actionState": "Succeeded" if worked else "Failed", "notificationResource": arn, "stateUpdateTimestamp": int(moment.replace(tzinfo=UTC).timestamp() * 1000)}  # fmt: skip
        life.items.append(_item(alarm, moment + timedelta(milliseconds=60), "Action", f"{word} action {arn}", told))


def _publish(arn: str, alarm: Alarm, moment: datetime, state: str, previous: str, reason: str) -> bool:
    message = {
        "AlarmName": alarm.name, "AlarmDescription": alarm.description, "AWSAccountId": ACCOUNT, "NewStateValue": state, "NewStateReason": reason,
        "StateChangeTime": _stamp(moment), "Region": REGION, "AlarmArn": alarm.alarm_arn, "OldStateValue": previous,
    }  # fmt: skip
    try:
        sns_backends[ACCOUNT][REGION].publish(json.dumps(message), arn=arn, subject=f'{state}: "{alarm.name}" in {REGION}')  # fmt: skip
    except ServiceException:
        return False
    return True


def _to_event_bridge(alarm: Alarm, moment: datetime, state: str, previous: str, reason: str, data: str) -> None:
    detail = {
        "alarmName": alarm.name, "state": {"value": state, "reason": reason, "reasonData": data, "timestamp": _stamp(moment)},
        "previousState": {"value": previous},
    }  # fmt: skip
    event = {
        "Source": "aws.cloudwatch", "DetailType": "CloudWatch Alarm State Change", "Resources": [alarm.alarm_arn], "Detail": json.dumps(detail),
    }  # fmt: skip
    events_backends[ACCOUNT][REGION].put_events([event])


def history(backend: CloudWatchBackend, names: Sequence[str]) -> list[dict[str, Any]]:
    """The history items of alarms, newest first."""
    evaluate_all(backend, names)
    lives = _lives(backend)
    items = []
    for name in names:
        alarm, life = backend.alarms[name], lives[name]
        items += [*life.items, *(_state_item(alarm, *change) for change in life.moved)]
    return sorted(items, key=lambda one: one["Timestamp"], reverse=True)


def _describe_alarm_history(self: CloudWatchResponse) -> ActionResult:
    """DescribeAlarmHistory: of one alarm or all, by type and time, 100 items a page."""
    backend, name = self.cloudwatch_backend, self._get_param("AlarmName")
    names = [name] if name else list(backend.alarms)
    if name and name not in backend.alarms:
        return ActionResult({"AlarmHistoryItems": []})
    kind, first, last = (self._get_param(one) for one in ("HistoryItemType", "StartDate", "EndDate"))
    items = [one for one in history(backend, names) if kind in (None, one["HistoryItemType"]) and _within(one["Timestamp"], first, last)]  # fmt: skip
    if self._get_param("ScanBy") == "TimestampAscending":
        items.reverse()
    most, token = int(self._get_param("MaxRecords") or 100), self._get_param("NextToken") or "0"
    if not 1 <= most <= 100 or not str(token).isdecimal():
        raise InvalidParameterValue("MaxRecords must be from 1 to 100, and NextToken one that was given")
    upto = int(token) + most
    answer: dict[str, Any] = {"AlarmHistoryItems": items[int(token) : upto]}
    return ActionResult(answer | ({"NextToken": str(upto)} if upto < len(items) else {}))


def _within(moment: datetime, first: datetime | None, last: datetime | None) -> bool:
    return all(bound is None or (moment - bound.replace(tzinfo=None)).total_seconds() * sign >= 0 for bound, sign in ((first, 1), (last, -1)))  # fmt: skip
