"""Plans for monitoring: log groups with metric filters, agents, alarms with their topic and rule, dashboards; and points sent.

What exists is found and kept. What exists and differs is a conflict, shown and never replaced unless `replace` says so; then it
is an update, whose undo puts back what was there. Teardown takes away what a run made; a log group that holds streams stays.

Sources: botocore's Logs, SSM, IAM, SNS, CloudWatch and EventBridge models; CloudWatch User Guide, "Installing the CloudWatch agent
using AWS Systems Manager", "Notifying users on alarm changes"; EventBridge User Guide, "Using resource-based policies".
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace as replaced
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from netkit.cloudwatch.agent import check_agent_config
from netkit.cloudwatch.agent_install import (
    INSTALL_DOCUMENT,
    MANAGE_DOCUMENT,
    MOST_INSTANCES,
    configure_request,
    extra_policy,
    install_request,
    managed_policies,
    parameter_request,
)
from netkit.cloudwatch.alarms import (
    AlarmSpec,
    CompositeSpec,
    rule_topic_statement,
    state_change_rule,
    state_change_target,
    topic_statement,
)
from netkit.cloudwatch.dashboards import check, compare
from netkit.cloudwatch.dashboards import request as dashboard_request
from netkit.cloudwatch.known_dimensions import doubt
from netkit.cloudwatch.log_groups import MetricFilter, group_request
from netkit.cloudwatch.metrics import Prepared, prepare
from netkit.cloudwatch.names import check_email, check_role, check_rule_name, check_topic
from netkit.cloudwatch.read import alarm_records, dashboard
from netkit.core.awscli import Request
from netkit.core.errors import AccessError, AwsError, InputError, NotArmedError
from netkit.core.model import check_retention
from netkit.core.plan import (
    LEDGER_FOLDER,
    RUN_TAG,
    Action,
    Find,
    Found,
    Guard,
    Look,
    Owner,
    Plan,
    Step,
    Undo,
    if_there,
    tagged_run,
)
from netkit.core.policy import merge_statements
from netkit.core.session import Session

COMMAND_COLUMNS = ("instance_id", "document", "status", "detail", "command_id")
SENT_COLUMNS = ("request", "metrics", "outcome")
RUNNING = ("Pending", "InProgress", "Delayed", "Cancelling")
EXTRA_POLICY = "netkit-agent-retention"
_POLL_S = (0.1, 3.0)


def _owner(session: Session, what: str, expire_days: int, folder: Path, today: date | None) -> Owner:
    if not 1 <= expire_days <= 3650:
        raise InputError(f"expire_days {expire_days} is not from 1 to 3,650", hint="monitoring is meant to stay: 365")
    return Owner(session, what, (today or datetime.now(UTC).date()) + timedelta(days=expire_days), folder)


# ----------------------------------------------------------------------------------------------------------- log groups


def plan_log_group(
    session: Session, name: str, *, retention_days: int = 30, log_class: str = "STANDARD", kms_key: str = "", protected: bool = False,
    tags: Mapping[str, str] | None = None, filters: Sequence[MetricFilter] = (), expire_days: int = 365, folder: Path = LEDGER_FOLDER,
    today: date | None = None,
) -> Plan:  # fmt: skip
    """The plan of a log group with its retention (0 for ever) and metric filters: reads what is there, changes nothing.

    A group that is there is kept, with its own class, key and retention (a shorter one would delete events); what differs is
    said. Filters are added to it; one of the same name with another pattern is a conflict. Raises InputError for what AWS
    refuses, before any call.
    """
    owner = _owner(session, f"log group {name}", expire_days, folder, today)
    request = group_request(name, region=session.region, log_class=log_class, kms_key=kms_key, tags=owner.tags | dict(tags or {}), protected=protected)  # fmt: skip
    days = check_retention(retention_days)
    if filters and log_class != "STANDARD":
        raise InputError(f"a log group of class {log_class} has no metric filters", subject=name, hint="class STANDARD")
    named = {"logGroupName": name}
    # Deleting a group deletes its events; a group that has any stays.
    guard = Guard("logs", "describe_log_streams", "logStreams", named, "it holds log streams")
    steps = [
        Step("log-group", "log group", name, "logs", "create_log_group", request, _find_group(owner), "there is none",
             Undo("logs", "delete_log_group", named, (guard,), owner=_tags_of(owner, "logs", f"log-group:{name}", "resourceArn", "tags")), monthly_usd=None)
    ]  # fmt: skip
    if days:
        steps.append(
            Step("retention", "log group retention", f"{name}, {days} days", "logs", "put_retention_policy", named | {"retentionInDays": days},
                 _find_retention(owner), "not set", after=("log-group",))
        )  # fmt: skip
    steps += [_filter_step(name, one) for one in filters]
    return Plan.of(owner, steps)


def _group(session: Session, name: str) -> dict[str, Any] | None:
    found = session.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name)
    return next((one for one in found if one["logGroupName"] == name), None)


def _find_group(owner: Owner) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        group = _group(session, request["logGroupName"])
        if group is None:
            return None
        asked = {"logGroupClass": "class", "kmsKeyId": "key", "deletionProtectionEnabled": "deletion protection"}
        other = [f"its {word} is {group[key]}" for key, word in asked.items() if group.get(key) and group[key] != request.get(key)]  # fmt: skip
        arn = str(group.get("logGroupArn") or group.get("arn", "")).removesuffix(":*")
        run = _run_of(owner, "log-group", "logs", resourceArn=arn)
        return Found(Action.KEEP, "; ".join(["it exists", *other]), answer=group, run=run)

    return find


def _run_of(owner: Owner, step: str, service: str, **named: str) -> str | None:
    """The run that made what is there, as tagged_run() says it."""
    key = {"logs": "tags", "ssm": "TagList"}.get(service, "Tags")
    return tagged_run(owner, step, Look(service, "list_tags_for_resource", named, key))


def _find_retention(owner: Owner) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        group, asked = _group(session, request["logGroupName"]), request["retentionInDays"]
        if group is None:
            return None
        days = group.get("retentionInDays")
        if days == asked:
            return Found(Action.KEEP, f"{days} days are set")
        if not owner.ledger.made("log-group"):
            return Found(Action.KEEP, f"the log group is not of this run, so it stays at {f'{days} days' if days else 'for ever'}")  # fmt: skip
        if days is None:
            return None
        return Found(Action.CONFLICT, "it was changed since", difference=(f"{days} days there, {asked} asked for",))

    return find


def _filter_step(group: str, one: MetricFilter) -> Step:
    request = one.request(group)
    look = Look(
        "logs", "describe_metric_filters", {"logGroupName": group, "filterNamePrefix": one.name}, "metricFilters"
    )
    undo = Undo("logs", "delete_metric_filter", {"logGroupName": group, "filterName": one.name}, look=look)
    return Step(
        f"filter-{one.name}", "metric filter", f"{one.name} on {group}", "logs", "put_metric_filter", request, _find_filter,
        f"{one.namespace} {one.metric} is not counted yet", undo, after=("log-group",),
    )  # fmt: skip


def _find_filter(session: Session, request: Request) -> Found | None:
    group = _group(session, request["logGroupName"])
    if group is None:
        return None
    kind = group.get("logGroupClass", "STANDARD")
    if kind != "STANDARD":
        return Found(Action.CONFLICT, "the log group has no metric filters", difference=(f"its class is {kind}, not STANDARD",))  # fmt: skip
    held = session.pages("logs", "describe_metric_filters", "metricFilters", logGroupName=request["logGroupName"], filterNamePrefix=request["filterName"])  # fmt: skip
    one = next((two for two in held if two["filterName"] == request["filterName"]), None)
    if one is None:
        return None
    lines = [] if one["filterPattern"] == request["filterPattern"] else [f"pattern {one['filterPattern']!r}, not {request['filterPattern']!r}"]  # fmt: skip
    lines += _differences(one["metricTransformations"][0], request["metricTransformations"][0])
    return _kept_or_conflict("the filter counts it", "a filter of that name counts something else", lines, one)


def _differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """One line for each member that is other than asked; AWS leaves out what is empty, and writes numbers its own way."""
    return [
        f"{key} is {there.get(key)!r}, not {asked.get(key)!r}"
        for key in sorted({*there, *asked})
        if _given_value(there.get(key)) != _given_value(asked.get(key))
    ]


def _given_value(value: Any) -> Any:
    """None for what is empty; 0 and False are values: a filter's default of 0 is a point, and no default is none."""
    return None if value in ("", [], {}, ()) else value


def _kept_or_conflict(same: str, other: str, lines: Sequence[str], answer: Request) -> Found:
    if lines:
        return Found(Action.CONFLICT, other, answer, tuple(lines))
    return Found(Action.KEEP, same, answer)


# --------------------------------------------------------------------------------------------------------------- agents


def plan_agent(
    session: Session, config: Mapping[str, Any], parameter: str, instances: Sequence[str] = (), *, install: bool = True, role: str = "",
    replace: bool = False, expire_days: int = 365, folder: Path = LEDGER_FOLDER, today: date | None = None,
) -> Plan:  # fmt: skip
    """The plan of agents: the role's policies, the configuration in Parameter Store, install, configure; changes nothing.

    role     of the instances' profile; it gets the two managed policies, and what the configuration needs besides
    install  by AWS-ConfigureAWSPackage; then AmazonCloudWatch-ManageAgent gives the configuration, once the first has ended
    replace  a parameter of that name with another configuration is replaced; otherwise that is a conflict

    A command that every instance has run since the parameter was last changed is not sent again. Warnings of the
    configuration are the plan's notices. Raises InputError for what the agent or AWS refuses, before any call.
    """
    owner = _owner(session, f"agent {parameter}", expire_days, folder, today)
    request = parameter_request(config, parameter, tags=owner.tags)
    batches = [list(instances[at : at + MOST_INSTANCES]) for at in range(0, len(instances), MOST_INSTANCES)]
    for batch in batches:
        configure_request(parameter, batch)  # made for its checks
    steps = [*_role_steps(role, config, session)]
    look = Look("ssm", "get_parameter", {"Name": parameter}, "Parameter.Value")
    tags = Look("ssm", "list_tags_for_resource", {"ResourceType": "Parameter", "ResourceId": parameter}, "TagList")
    undo = Undo("ssm", "delete_parameter", {"Name": parameter}, look=look, owner=tags)
    steps.append(
        Step("parameter", "parameter", parameter, "ssm", "put_parameter", request, _find_parameter(owner, replace), "there is none", undo)
    )  # fmt: skip
    for number, batch in enumerate(batches, 1):
        if install:
            steps.append(
                Step(f"install-{number}", "command", f"install the agent on {_some(batch)}", "ssm", "send_command", install_request(batch),
                     _find_installed, "not installed by Systems Manager within 30 days", None)
            )  # fmt: skip
        before = ("parameter", *([f"install-{number}"] if install else []))
        steps.append(
            Step(f"configure-{number}", "command", f"configure the agent on {_some(batch)}", "ssm", "send_command",
                 configure_request(parameter, batch), _find_configured, "this configuration was not given to all of them", None, after=before)
        )  # fmt: skip
    notices = [f"{one.path}: {one.message}" for one in check_agent_config(config) if one.level == "warning"]
    if not role:
        notices.append("no role was named: the instances' role needs CloudWatchAgentServerPolicy and AmazonSSMManagedInstanceCore")  # fmt: skip
    return Plan.of(owner, steps, notices)


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")


def _role_steps(role: str, config: Mapping[str, Any], session: Session) -> Iterator[Step]:
    if not role:
        return
    check_role(role)
    for arn in managed_policies(_partition(session)):
        asked = {"RoleName": role, "PolicyArn": arn}
        name = arn.rpartition("/")[2]
        yield Step(f"policy-{name}", "role policy", f"{name} on {role}", "iam", "attach_role_policy", asked, _find_attached, "the role lacks it", Undo("iam", "detach_role_policy", asked))  # fmt: skip
    if extra := extra_policy(config, _partition(session)):
        named = {"RoleName": role, "PolicyName": EXTRA_POLICY}
        yield Step("policy-extra", "role policy", f"{EXTRA_POLICY} on {role}", "iam", "put_role_policy", named | {"PolicyDocument": json.dumps(extra)}, _find_inline, "the configuration sets retention", Undo("iam", "delete_role_policy", named, look=Look("iam", "get_role_policy", named, "PolicyDocument")))  # fmt: skip


def _partition(session: Session) -> str:
    return str(session.boto3.get_partition_for_region(session.region))


def _find_attached(session: Session, request: Request) -> Found | None:
    held = session.pages("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=request["RoleName"])
    return Found(Action.KEEP, "it is attached") if any(one["PolicyArn"] == request["PolicyArn"] for one in held) else None  # fmt: skip


def _find_inline(session: Session, request: Request) -> Found | None:
    answer = if_there(session, "iam", "get_role_policy", RoleName=request["RoleName"], PolicyName=request["PolicyName"])
    if answer is None:
        return None
    there = answer["PolicyDocument"]
    same = (json.loads(there) if isinstance(there, str) else there) == json.loads(request["PolicyDocument"])
    return _kept_or_conflict("it is set", "it says something else", () if same else ("its document",), answer)


def _find_parameter(owner: Owner, replace: bool) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        answer = if_there(session, "ssm", "get_parameter", Name=request["Name"])
        if answer is None:
            return None
        held = answer["Parameter"]
        if held["Type"] != "String":
            # The value of a SecureString comes enciphered: it could neither be compared nor put back.
            return Found(Action.CONFLICT, "it is no configuration of an agent", difference=(f"its type is {held['Type']}, not String",))  # fmt: skip
        try:
            there = json.loads(held["Value"])
        except ValueError:
            there = {"": held["Value"]}
        lines = tuple(_deep_differences(there, json.loads(request["Value"])))
        if not lines:
            run = _run_of(owner, "parameter", "ssm", ResourceType="Parameter", ResourceId=request["Name"])
            return Found(Action.KEEP, f"version {held.get('Version', 1)} is this configuration", answer, run=run)
        if not replace:
            return Found(Action.CONFLICT, "it holds another configuration", answer, lines)
        tier = next((one.get("Tier", "") for one in session.pages("ssm", "describe_parameters", "Parameters", ParameterFilters=[{"Key": "Name", "Values": [request["Name"]]}])), "")  # fmt: skip
        merged = parameter_request(json.loads(request["Value"]), request["Name"], overwrite=True, tier_now=tier)
        back = Undo("ssm", "put_parameter", {"Name": held["Name"], "Value": held["Value"], "Type": held["Type"], "Tier": merged["Tier"], "Overwrite": True}, look=Look("ssm", "get_parameter", {"Name": held["Name"]}, "Parameter.Value"))  # fmt: skip
        return Found(
            Action.UPDATE, "it holds another configuration, which is replaced", answer, lines, merged, undo=back
        )

    return find


def _deep_differences(there: Any, asked: Any, path: str = "") -> Iterator[str]:
    if isinstance(there, dict) and isinstance(asked, dict):
        for key in sorted({*there, *asked}):
            yield from _deep_differences(there.get(key), asked.get(key), f"{path}.{key}".strip("."))
    elif there != asked:
        yield f"{path} is {json.dumps(there)[:80]}, not {json.dumps(asked)[:80]}"


def _invocations(session: Session, document: str, instance: str) -> list[dict[str, Any]]:
    """The commands of a document to an instance, newest first; Systems Manager keeps them for 30 days."""
    held = session.pages("ssm", "list_command_invocations", "CommandInvocations", InstanceId=instance, Details=True)
    chosen = [one for one in held if one["DocumentName"] == document]
    return sorted(chosen, key=lambda one: str(one["RequestedDateTime"]), reverse=True)


def _find_installed(session: Session, request: Request) -> Found | None:
    newest = [_invocations(session, INSTALL_DOCUMENT, one)[:1] for one in request["InstanceIds"]]
    if all(found and found[0]["Status"] in ("Success", *RUNNING) for found in newest):
        return Found(Action.KEEP, "installed by Systems Manager", {"Command": {"CommandId": newest[0][0]["CommandId"]}})
    return None


def _find_configured(session: Session, request: Request) -> Found | None:
    """Whether each instance was given the parameter since it last changed. Waits for an install that is under way."""
    await_commands(session, request["InstanceIds"], INSTALL_DOCUMENT)
    name = request["Parameters"]["optionalConfigurationLocation"][0]
    parameter = if_there(session, "ssm", "get_parameter", Name=name)
    if parameter is None:
        return None
    changed = parameter["Parameter"]["LastModifiedDate"]
    newest = [_given(session, name, one) for one in request["InstanceIds"]]
    fresh = [one for one in newest if one and one["Status"] in ("Success", *RUNNING) and one["RequestedDateTime"] >= changed]  # fmt: skip
    if len(fresh) < len(newest):
        return None
    return Found(Action.KEEP, "each has this configuration", {"Command": {"CommandId": fresh[0]["CommandId"]}})


def _given(session: Session, parameter: str, instance: str) -> dict[str, Any] | None:
    """The newest configuration of an instance, where it is of this parameter."""
    held = _invocations(session, MANAGE_DOCUMENT, instance)[:1]
    if not held:
        return None
    commands = session.pages("ssm", "list_commands", "Commands", CommandId=held[0]["CommandId"])
    named = any(one.get("Parameters", {}).get("optionalConfigurationLocation") == [parameter] for one in commands)
    return held[0] if named else None


def await_commands(session: Session, instances: Sequence[str], document: str = MANAGE_DOCUMENT, *, seconds: float = 600) -> pd.DataFrame:  # fmt: skip
    """The end of the newest command of a document on each instance, waited for with a bar: COMMAND_COLUMNS.

    status is Success, Failed, TimedOut …, what it still was after `seconds`, or "" where no such command was sent;
    detail is the end of what the command printed, where it failed.
    """
    until, pause = time.monotonic() + seconds, _POLL_S[0]
    rows: dict[str, dict[str, Any]] = {}
    with tqdm(total=len(instances), desc="commands", unit="instance", leave=False, disable=len(instances) < 2) as bar:
        while True:
            for one in instances:
                if rows.get(one, {}).get("Status", "Pending") in RUNNING:
                    rows[one] = next(iter(_invocations(session, document, one)), {"Status": ""})
            ended = sum(one["Status"] not in RUNNING for one in rows.values())
            bar.update(ended - bar.n)
            if ended == len(instances) or time.monotonic() > until:
                break
            time.sleep(pause)
            pause = min(pause * 2, _POLL_S[1])
    return pd.DataFrame([(one, document, rows[one]["Status"], _output(rows[one]), rows[one].get("CommandId", "")) for one in instances], columns=list(COMMAND_COLUMNS))  # fmt: skip


def _output(one: Mapping[str, Any]) -> str:
    """What a command printed, its last line that is not empty; "" where it went well."""
    if one.get("Status") in ("Success", ""):
        return ""
    texts = [str(part.get("Output", "")) for part in one.get("CommandPlugins", ())]
    lines = [line for text in texts for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else str(one.get("StatusDetails", ""))


# --------------------------------------------------------------------------------------------------------------- alarms


def topic_arn(session: Session, name: str) -> str:
    """The ARN of a topic of that name in the session's account and region. Raises InputError for a name SNS refuses."""
    return f"arn:{_partition(session)}:sns:{session.region}:{session.account_id}:{check_topic(name)}"


def plan_alarms(
    session: Session, specs: Sequence[AlarmSpec | CompositeSpec], *, name: str = "", topic: str = "", email: str = "", rule: str = "",
    replace: bool = False, expire_days: int = 365, folder: Path = LEDGER_FOLDER, today: date | None = None,
) -> Plan:  # fmt: skip
    """The plan of alarms, with an SNS topic and its policy, a subscription, and an EventBridge rule to the topic; changes nothing.

    name   what the run is called; the same name is the same run ("" takes the first alarm's)
    topic  name of a topic: made where there is none; alarms without any action get it for ALARM and OK
    email  an address that is told; its owner has to confirm
    rule   name of an EventBridge rule that sends changes of these alarms into ALARM to the topic as well
    replace  an alarm of the same name that differs is updated; its undo puts back the old one

    Raises InputError for what CloudWatch or SNS refuse, before any call.
    """
    if not specs:
        raise InputError("there is no alarm to plan", hint="as AlarmSpec(…) or parse_alarms([…])")
    if (email or rule) and not topic:
        raise InputError("an address or a rule needs a topic to send to", subject=email or rule, hint='topic="netkit-alarms"')  # fmt: skip
    if email:
        check_email(email)
    if rule:
        check_rule_name(rule)
    arn = topic_arn(session, topic) if topic else ""
    asked = [_with_topic(one, arn, session.region) for one in specs]
    owner = _owner(session, f"alarms {name or specs[0].name}", expire_days, folder, today)
    steps = [*_topic_steps(owner, topic, arn, email, rule)] if topic else []
    before = ("topic",) if topic else ()
    # Composite alarms come behind those that they ask, and go before them.
    ordered = sorted(asked, key=lambda one: isinstance(one, CompositeSpec))
    steps += [_alarm_step(owner, one, before, replace) for one in ordered]
    if rule:
        steps += _rule_steps(owner, rule, arn, [one.name for one in asked])
    notices = [f"{email} has to confirm the subscription before anything reaches it"] if email else []
    notices += [
        f"{one.name} sees nothing: {why}" for one in asked if isinstance(one, AlarmSpec) and (why := _doubt(one))
    ]
    return Plan.of(owner, steps, notices)


def _doubt(one: AlarmSpec) -> str:
    """What is likely wrong with the dimensions of an alarm's metrics; AWS takes any."""
    single = [(one.namespace, one.metric, [name for name, _ in one.dimensions])] if one.metric else []
    several = [(str(two["Namespace"]), str(two["MetricName"]), [str(three["Name"]) for three in two.get("Dimensions", ())]) for two in (part["MetricStat"]["Metric"] for part in one.metrics if part.get("MetricStat"))]  # fmt: skip
    return next((why for metric in [*single, *several] if (why := doubt(*metric))), "")


def _with_topic(one: AlarmSpec | CompositeSpec, arn: str, region: str) -> AlarmSpec | CompositeSpec:
    silent = not (one.alarm_actions or one.ok_actions or one.insufficient_actions)
    actions = {"alarm_actions": (arn,), "ok_actions": (arn,)} if arn and silent else {}
    if isinstance(one, AlarmSpec):
        return one.changed(region=region, **actions)
    return CompositeSpec(
        **{**{key: getattr(one, key) for key in one.__dataclass_fields__}, "region": region, **actions}
    )


def _topic_steps(owner: Owner, topic: str, arn: str, email: str, rule: str) -> Iterator[Step]:
    named = {"TopicArn": arn}
    yield Step("topic", "topic", topic, "sns", "create_topic", {"Name": topic, "Tags": owner.tag_list()}, _find_topic(arn), "there is none", Undo("sns", "delete_topic", named, owner=Look("sns", "list_tags_for_resource", {"ResourceArn": arn}, "Tags")))  # fmt: skip
    session = owner.session
    # A step for each statement, as each is taken back by its own label.
    wanted = {"topic-policy": topic_statement(arn, account=session.account_id, region=session.region)}
    if rule:
        wanted["topic-rule-policy"] = rule_topic_statement(arn, rule=_rule_arn(session, rule))
    for key, statement in wanted.items():
        asked = named | {
            "AttributeName": "Policy",
            "AttributeValue": json.dumps(merge_statements(None, [statement])[0]),
        }
        yield Step(key, "topic policy", f"{topic}, {statement['Sid']}", "sns", "set_topic_attributes", asked, _find_statement(arn, statement), "the topic lacks it", None, after=("topic",))  # fmt: skip
    if email:
        told: dict[str, Any] = {**named, "Protocol": "email", "Endpoint": email, "ReturnSubscriptionArn": True}
        yield Step("subscription", "subscription", email, "sns", "subscribe", told, _find_subscription, "not subscribed", None, after=("topic",))  # fmt: skip


def _rule_arn(session: Session, rule: str) -> str:
    return f"arn:{_partition(session)}:events:{session.region}:{session.account_id}:rule/{rule}"


def _find_topic(arn: str) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        answer = if_there(session, "sns", "get_topic_attributes", TopicArn=arn)
        if answer is None:
            return None
        try:
            tags = session.call("sns", "list_tags_for_resource", ResourceArn=arn).get("Tags", [])
        except AccessError:
            tags = []
        run = next((one["Value"] for one in tags if one["Key"] == RUN_TAG), "")
        return Found(Action.KEEP, "it exists", {"TopicArn": arn}, run=run)

    return find


def _find_statement(arn: str, wanted: Mapping[str, Any]) -> Find:
    """The topic's policy with a statement that it lacks. One of the topic's own default lets alarms publish already."""

    def find(session: Session, request: Request) -> Found | None:
        answer = if_there(session, "sns", "get_topic_attributes", TopicArn=arn)
        if answer is None:
            return None
        policy = json.loads(answer["Attributes"].get("Policy") or "{}") or None
        needed = [] if "cloudwatch" in str(wanted["Principal"]) and _owners(policy, session.account_id) else [wanted]
        merged, added = merge_statements(policy, needed)
        if not added:
            return Found(Action.KEEP, "the topic's policy allows it")
        asked = {"TopicArn": arn, "AttributeName": "Policy", "AttributeValue": json.dumps(merged)}
        back = Undo("sns", "remove_permission", {"TopicArn": arn, "Label": added[0]})
        return Found(
            Action.UPDATE, "a statement is added, nothing is taken out", difference=added, request=asked, undo=back
        )

    return find


def _owners(policy: Mapping[str, Any] | None, account: str) -> bool:
    """Whether a topic's policy is, or still has, SNS's default: whoever acts for the topic's own account may publish."""
    return any(
        one.get("Effect") == "Allow" and account in json.dumps(one.get("Condition", {}).get("StringEquals", {})) and "SourceOwner" in json.dumps(one)
        and any(action in ("SNS:Publish", "sns:Publish", "SNS:*") for action in _list(one.get("Action")))
        for one in (policy or {}).get("Statement", [])
    )  # fmt: skip


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _find_subscription(session: Session, request: Request) -> Found | None:
    if if_there(session, "sns", "get_topic_attributes", TopicArn=request["TopicArn"]) is None:
        return None
    held = session.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=request["TopicArn"])
    one = next((two for two in held if two["Endpoint"] == request["Endpoint"]), None)
    if one is None:
        return None
    waits = one["SubscriptionArn"] == "PendingConfirmation"
    return Found(Action.KEEP, "waits for its owner to confirm" if waits else "it is subscribed", one)


def _alarm_step(owner: Owner, spec: AlarmSpec | CompositeSpec, before: tuple[str, ...], replace: bool) -> Step:
    request = spec.request()
    tags = [*request.get("Tags", []), *owner.tag_list()]
    operation = "put_metric_alarm" if isinstance(spec, AlarmSpec) else "put_composite_alarm"
    tags_there = _tags_of(owner, "cloudwatch", f"alarm:{spec.name}", "ResourceARN", "Tags")
    undo = Undo("cloudwatch", "delete_alarms", {"AlarmNames": [spec.name]}, look=_alarm_look(spec), owner=tags_there)
    return Step(
        f"alarm-{spec.name}", "alarm", spec.name, "cloudwatch", operation, request | {"Tags": tags}, _find_alarm(owner, spec, operation, replace),
        "there is none", undo, monthly_usd=None, after=before,
    )  # fmt: skip


def _alarm_look(spec: AlarmSpec | CompositeSpec) -> Look:
    kind = "MetricAlarm" if isinstance(spec, AlarmSpec) else "CompositeAlarm"
    return Look("cloudwatch", "describe_alarms", {"AlarmNames": [spec.name], "AlarmTypes": [kind]}, f"{kind}s")


def _tags_of(owner: Owner, service: str, resource: str, argument: str, key: str, *, anywhere: bool = False) -> Look:
    """How the tags of something of this account are read."""
    arn = owner.arn(service, resource, anywhere=anywhere)
    return Look(service, "list_tags_for_resource", {argument: arn}, key)


def _find_alarm(owner: Owner, spec: AlarmSpec | CompositeSpec, operation: str, replace: bool) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        (record,) = alarm_records(session, names=[spec.name]) or (None,)
        if record is None:
            return None
        kind = CompositeSpec if "AlarmRule" in record else AlarmSpec
        if kind is not type(spec):
            return Found(Action.CONFLICT, "an alarm of that name is of another kind", record, ("metric and composite alarms cannot replace each other",))  # fmt: skip
        try:
            there = _words(kind.of(record).request())
        except InputError as unknown:  # an alarm on a query, or whatever AWS takes that is not known here
            return Found(Action.CONFLICT, "an alarm of that name is of a form that is not known here", record, (unknown.what,))  # fmt: skip
        asked = _words(spec.request())
        lines = tuple(_differences(there, asked))
        if not lines:
            run = _run_of(owner, f"alarm-{spec.name}", "cloudwatch", ResourceARN=str(record.get("AlarmArn", "")))
            return Found(Action.KEEP, f"it is as asked, and in {record.get('StateValue', 'no state')}", record, run=run)
        if not replace:
            return Found(Action.CONFLICT, "an alarm of that name differs", record, lines)
        # An update takes no tags, and replaces everything else.
        merged = {key: value for key, value in request.items() if key != "Tags"}
        back = Undo("cloudwatch", operation, kind.of(record).request(), look=_alarm_look(spec))
        return Found(Action.UPDATE, "it differs and is replaced", record, lines, merged, undo=back)

    return find


def _words(request: Mapping[str, Any]) -> dict[str, Any]:
    """An alarm's words without order where AWS keeps none, and without tags, which an update leaves alone."""
    kept = {key: value for key, value in request.items() if key != "Tags"}
    if kept.get("Dimensions"):
        kept["Dimensions"] = _by_name(kept["Dimensions"])
    if kept.get("Metrics"):
        kept["Metrics"] = [_metric_words(one) for one in kept["Metrics"]]
    return kept


def _by_name(dimensions: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(dimensions, key=lambda one: str(one["Name"]))


def _metric_words(one: Mapping[str, Any]) -> dict[str, Any]:
    """A member of Metrics as DescribeAlarms answers it, with ReturnData even where it was left to be true."""
    words = {"ReturnData": True, **one}
    if "MetricStat" in words:
        metric = words["MetricStat"]["Metric"]
        dimensions = {"Dimensions": _by_name(metric.get("Dimensions", ()))}
        words["MetricStat"] = {**words["MetricStat"], "Metric": {**metric, **dimensions}}
    return words


def _rule_steps(owner: Owner, rule: str, arn: str, names: Sequence[str]) -> list[Step]:
    asked = state_change_rule(rule, names=names) | {"Tags": owner.tag_list()}
    target = state_change_target(rule, arn)
    ids = [one["Id"] for one in target["Targets"]]
    return [
        Step("rule", "EventBridge rule", rule, "events", "put_rule", asked, _find_rule(owner), "there is none", Undo("events", "delete_rule", {"Name": rule}, look=Look("events", "describe_rule", {"Name": rule}, "EventPattern"), owner=_tags_of(owner, "events", f"rule/{rule}", "ResourceARN", "Tags"))),
        Step("rule-target", "EventBridge target", arn, "events", "put_targets", target, _find_target, "the rule has no such target",
             Undo("events", "remove_targets", {"Rule": rule, "Ids": ids}, look=Look("events", "list_targets_by_rule", {"Rule": rule}, "Targets")), after=("rule", "topic")),
    ]  # fmt: skip


def _find_rule(owner: Owner) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        answer = if_there(session, "events", "describe_rule", Name=request["Name"])
        if answer is None:
            return None
        pattern = json.loads(answer.get("EventPattern") or "{}")
        lines = list(_deep_differences(pattern, json.loads(request["EventPattern"])))
        if answer.get("State") == "DISABLED":
            lines.append("it is disabled")
        run = _run_of(owner, "rule", "events", ResourceARN=str(answer.get("Arn", "")))
        return replaced(_kept_or_conflict("it is as asked", "a rule of that name does something else", lines, answer), run=run)  # fmt: skip

    return find


def _find_target(session: Session, request: Request) -> Found | None:
    if if_there(session, "events", "describe_rule", Name=request["Rule"]) is None:
        return None
    held = session.pages("events", "list_targets_by_rule", "Targets", Rule=request["Rule"])
    arns = {one["Arn"] for one in held}
    return Found(Action.KEEP, "it is a target") if {one["Arn"] for one in request["Targets"]} <= arns else None


# ----------------------------------------------------------------------------------------------------------- dashboards


def plan_dashboard(
    session: Session, name: str, body: Mapping[str, Any], *, replace: bool = False, expire_days: int = 365, folder: Path = LEDGER_FOLDER,
    today: date | None = None,
) -> Plan:  # fmt: skip
    """The plan of a dashboard: an existing one is compared, and is a conflict where it differs unless `replace`. Changes nothing.

    What CloudWatch would warn of is in the notices; what it said itself is dashboard_messages() after apply. Dashboards are
    of the account, not of the region. Raises InputError for a name or a body that CloudWatch refuses, before any call.
    """
    owner = _owner(session, f"dashboard {name}", expire_days, folder, today)
    request = dashboard_request(name, body) | {"Tags": owner.tag_list()}
    tags = _tags_of(owner, "cloudwatch", f"dashboard/{name}", "ResourceARN", "Tags", anywhere=True)
    undo = Undo("cloudwatch", "delete_dashboards", {"DashboardNames": [name]}, look=_dashboard_look(name), owner=tags)
    step = Step("dashboard", "dashboard", name, "cloudwatch", "put_dashboard", request, _find_dashboard(owner, replace), "there is none", undo, monthly_usd=None)  # fmt: skip
    return Plan.of(owner, [step], [f"{one.path}: {one.message}" for one in check(body)])


def _dashboard_look(name: str) -> Look:
    return Look("cloudwatch", "get_dashboard", {"DashboardName": name}, "DashboardBody")


def _find_dashboard(owner: Owner, replace: bool) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        there = dashboard(session, request["DashboardName"])
        if there is None:
            return None
        rows = compare(there, json.loads(request["DashboardBody"]))
        lines = tuple(f"widget {row.widget} {row.title}: {row.change} {row.path}".strip() for row in rows.itertuples())
        if not lines:
            arn = owner.arn("cloudwatch", f"dashboard/{request['DashboardName']}", anywhere=True)
            return Found(
                Action.KEEP, "it shows the same", there, run=_run_of(owner, "dashboard", "cloudwatch", ResourceARN=arn)
            )
        if not replace:
            return Found(Action.CONFLICT, "a dashboard of that name shows something else", there, lines)
        back = Undo("cloudwatch", "put_dashboard", {"DashboardName": request["DashboardName"], "DashboardBody": json.dumps(there)}, look=_dashboard_look(request["DashboardName"]))  # fmt: skip
        merged = {key: value for key, value in request.items() if key != "Tags"}  # an update takes none
        return Found(Action.UPDATE, "it shows something else and is replaced", there, lines, merged, undo=back)

    return find


def dashboard_messages(plan: Plan) -> list[str]:
    """What CloudWatch said of the dashboard when the plan was applied, as "path: message"; it says them on success too."""
    answers = [line["answer"] for line in plan.owner.ledger.lines() if line["step"] == "dashboard" and line.get("answer")]  # fmt: skip
    found = answers[-1].get("DashboardValidationMessages", []) if answers else []
    return [f"{one.get('DataPath', '')}: {one.get('Message', '')}" for one in found]


# -------------------------------------------------------------------------------------------------------------- sending


def send_metrics(
    session: Session, namespace: str, points: pd.DataFrame | Iterable[Mapping[str, Any]] | Prepared, *, armed: bool = False,
    now: datetime | None = None, drop: bool = False, progress: bool = True,
) -> pd.DataFrame:  # fmt: skip
    """Send points (metrics.POINT_COLUMNS) and return a row for each request: SENT_COLUMNS; outcome "sent" or AWS's refusal.

    boto3 compresses and retries each request up to eight times; one that is refused does not keep back the others, and its
    row says why, so that it can be sent again. Points that `drop` left out are rows of request 0, by reason. Points can not be
    taken back: CloudWatch forgets them by itself.
    Raises NotArmedError unless armed, and before that InputError as prepare() does.
    """
    ready = points if isinstance(points, Prepared) else prepare(namespace, points, now=now, drop=drop)
    if not armed:
        raise NotArmedError("sending is not armed, so nothing was sent", subject=f"{namespace}: {ready}", hint="armed=True")  # fmt: skip
    rows = []
    shown = tqdm(ready.requests, desc="metrics", unit="request", leave=False, disable=not progress or len(ready.requests) < 2)  # fmt: skip
    for number, request in enumerate(shown, 1):
        try:
            session.call("cloudwatch", "put_metric_data", **request)
            outcome = "sent"
        except AwsError as error:
            outcome = error.what
        rows.append((number, len(request["MetricData"]), outcome))
    rows += [(0, count, f"dropped: {why}") for why, count in ready.dropped.items()]
    return pd.DataFrame(rows, columns=list(SENT_COLUMNS))
