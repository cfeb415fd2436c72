"""What a run made is found by its tag alone, where its ledger is gone, and taken back: the kinds that netkit makes, and no other.

The tags are read where AWS keeps them: the Resource Groups Tagging API (what it supports: its guide, "Supported services"), EC2's
DescribeTags, and IAM roles, Glue tables, dashboards, rules and parameters one by one, since not all of them are in that API everywhere.
Without a ledger nobody can tell whether a thing was changed since it was made: its tag alone says whose it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from netkit.core.awscli import aws_command
from netkit.core.errors import AwsError, NotArmedError
from netkit.core.ledger import LEDGER_FOLDER, Ledger, run_named
from netkit.core.looks import if_there, run_tag
from netkit.core.session import Session
from netkit.core.steps import RUN_TAG
from netkit.core.teardown import REMOVED_COLUMNS, undone

TAGGED_COLUMNS = ("step", "resource", "name", "state", "undo")
# What carries no tag of the run's: it belongs to something of others, or was there before.
NOT_BY_TAG = (
    "statements added to a bucket's or a topic's policy that is others'",
    "metric filters and retention on a log group, rules and services in a mirror filter, that were there before",
    "policies attached to a role that was there before",
    "what was updated in place: alarms, dashboards, parameters replaced",
    "rules, routes and entries added by a fix of reachability",
)
_OTHERS = "netkit makes nothing of this kind: remove it by hand"


@dataclass(frozen=True)
class _Kind:
    """A kind of thing: the form of its ARN, the call that removes it, and what must be empty or removed before.

    request, guards  `{name}` stands for what the form's group of that name holds
    before           the calls for parts of it that netkit itself puts there
    """

    resource: str
    form: str
    service: str
    operation: str
    request: Mapping[str, Any]
    guards: tuple[Mapping[str, Any], ...] = ()
    before: Callable[[Session, str], Iterator[Mapping[str, Any]]] | None = None


def _guard(service: str, operation: str, key: str, request: Mapping[str, Any], why: str, *containing: str) -> dict[str, Any]:  # fmt: skip
    return {"service": service, "operation": operation, "key": key, "request": request, "why": why, "containing": list(containing)}  # fmt: skip


def _own_policies(session: Session, role: str) -> Iterator[Mapping[str, Any]]:
    """The inline policies that netkit writes have its name in front; a role with any other is refused by IAM, and stays."""
    answer = if_there(session, "iam", "list_role_policies", RoleName=role) or {"PolicyNames": []}
    for name in answer["PolicyNames"]:
        if name.startswith("netkit-"):
            yield _undo("iam", "delete_role_policy", {"RoleName": role, "PolicyName": name})


def _own_targets(session: Session, rule: str) -> Iterator[Mapping[str, Any]]:
    """The targets that netkit puts there; a rule with any other is refused by EventBridge, and stays."""
    answer = if_there(session, "events", "list_targets_by_rule", Rule=rule) or {"Targets": []}
    own = [one["Id"] for one in answer["Targets"] if one["Id"].startswith("netkit")]
    if own:
        yield _undo("events", "remove_targets", {"Rule": rule, "Ids": own})


def _undo(service: str, operation: str, request: Mapping[str, Any], guards: tuple[Mapping[str, Any], ...] = ()) -> dict[str, Any]:  # fmt: skip
    return {"service": service, "operation": operation, "request": dict(request), "guards": list(guards)}


def _ec2(resource: str, prefix: str, operation: str, argument: str) -> _Kind:
    named: Any = ["{name}"] if argument.endswith("s") else "{name}"
    return _Kind(
        resource, rf"ec2:[^:]*:[^:]*:[a-z-]+/(?P<name>{prefix}-[0-9a-f]+)", "ec2", operation, {argument: named}
    )


# In the order in which they are taken back: what uses another goes first.
_KINDS = (
    _ec2("analysis", "nia", "delete_network_insights_analysis", "NetworkInsightsAnalysisId"),
    _ec2("analyzer path", "nip", "delete_network_insights_path", "NetworkInsightsPathId"),
    _ec2("mirror session", "tms", "delete_traffic_mirror_session", "TrafficMirrorSessionId"),
    _ec2("mirror filter", "tmf", "delete_traffic_mirror_filter", "TrafficMirrorFilterId"),
    _ec2("mirror target", "tmt", "delete_traffic_mirror_target", "TrafficMirrorTargetId"),
    _ec2("flow log", "fl", "delete_flow_logs", "FlowLogIds"),
    _Kind("EventBridge rule", "events:[^:]*:[^:]*:rule/(?P<name>[^/]+)", "events", "delete_rule", {"Name": "{name}"}, before=_own_targets),
    _Kind("alarm", "cloudwatch:[^:]*:[^:]*:alarm:(?P<name>.+)", "cloudwatch", "delete_alarms", {"AlarmNames": ["{name}"]}),
    _Kind("dashboard", "cloudwatch:[^:]*:[^:]*:dashboard/(?P<name>.+)", "cloudwatch", "delete_dashboards", {"DashboardNames": ["{name}"]}),
    _Kind("topic", "sns:[^:]*:[^:]*:(?P<name>[^:]+)", "sns", "delete_topic", {"TopicArn": "{arn}"}),
    _Kind("parameter", "ssm:[^:]*:[^:]*:parameter (?P<name>.+)", "ssm", "delete_parameter", {"Name": "{name}"}),
    _Kind("Glue table", "glue:[^:]*:[^:]*:table/(?P<database>[^/]+)/(?P<name>[^/]+)", "glue", "delete_table", {"DatabaseName": "{database}", "Name": "{name}"}),
    _Kind("Glue database", "glue:[^:]*:[^:]*:database/(?P<name>[^/]+)", "glue", "delete_database", {"Name": "{name}"},
          (_guard("glue", "get_tables", "TableList", {"DatabaseName": "{name}"}, "it still holds tables"),)),
    _Kind("Athena workgroup", "athena:[^:]*:[^:]*:workgroup/(?P<name>[^/]+)", "athena", "delete_work_group", {"WorkGroup": "{name}", "RecursiveDeleteOption": True},
          (_guard("athena", "list_named_queries", "NamedQueryIds", {"WorkGroup": "{name}"}, "it holds saved queries"),)),
    _Kind("log group", r"logs:[^:]*:[^:]*:log-group:(?P<name>[^:*]+)(?::\*)?", "logs", "delete_log_group", {"logGroupName": "{name}"},
          (_guard("logs", "describe_log_streams", "logStreams", {"logGroupName": "{name}"}, "it holds log streams"),)),
    _Kind("IAM role", "iam:[^:]*:[^:]*:role/(?:.*/)?(?P<name>[^/]+)", "iam", "delete_role", {"RoleName": "{name}"}, before=_own_policies),
    _Kind("bucket", "s3:[^:]*:[^:]*:(?P<name>[^/:]+)", "s3", "delete_bucket", {"Bucket": "{name}", "ExpectedBucketOwner": "{account}"},
          (_guard("ec2", "describe_flow_logs", "FlowLogs", {}, "other flow logs deliver to it", '"arn:aws:s3:::{name}"', '"arn:aws:s3:::{name}/'),)),
)  # fmt: skip


@dataclass(frozen=True)
class _Thing:
    """Something that carries the run's tag; kind None is one that netkit does not make."""

    arn: str
    kind: _Kind | None = None
    words: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, arn: str, account: str) -> _Thing:
        """What an ARN names, with the kind that takes its form."""
        for kind in _KINDS:
            if found := re.fullmatch(f"arn:[a-z-]+:{kind.form}", arn):
                return cls(arn, kind, {**found.groupdict(), "arn": arn, "account": account})
        return cls(arn)

    @property
    def order(self) -> int:
        """Its place among what is taken back."""
        return _KINDS.index(self.kind) if self.kind else len(_KINDS)

    @property
    def resource(self) -> str:
        """What it is, or AWS's service where that is not known."""
        return self.kind.resource if self.kind else self.arn.split(":")[2]

    @property
    def name(self) -> str:
        """Its name or id, or the ARN."""
        return self.words.get("name", self.arn)

    def undo(self) -> dict[str, Any]:
        """The call that removes it. Only for a kind that is known."""
        assert self.kind is not None
        guards = tuple(_filled(one, self.words) for one in self.kind.guards)
        return _undo(self.kind.service, self.kind.operation, _filled(self.kind.request, self.words), guards)


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    """A template with its words put in; the words themselves are not read again, whatever stands in them."""
    if isinstance(value, Mapping):
        return {name: _filled(one, words) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(one, words) for one in value]
    return re.sub(r"\{(\w+)\}", lambda at: words[at[1]], value) if isinstance(value, str) else value


def tagged(session: Session, run_id: str) -> pd.DataFrame:
    """What carries a run's tag in the account and region of the session, in the order in which it is taken back: TAGGED_COLUMNS.

    state is tagged, unknown (of a kind that netkit does not make) or denied (what could not be looked at: not the same as
    nothing there); undo is a command line. What NOT_BY_TAG names cannot be found so.
    """
    things, denied = _found(session, run_id)
    rows = [
        (one.arn, one.resource, one.name, "tagged" if one.kind else "unknown", _line(one, session.region)) for one in things
    ] + [("", read, "", "denied", "") for read, _ in denied]  # fmt: skip
    return pd.DataFrame(rows, columns=list(TAGGED_COLUMNS))


def teardown_tagged(
    session: Session, run_id: str, *, folder: Path = LEDGER_FOLDER, armed: bool = False
) -> pd.DataFrame:
    """Remove what carries a run's tag, for a run whose ledger is gone; one row for each: REMOVED_COLUMNS, step is the ARN.

    Data stays, as it does in teardown(): a bucket with objects, a log group with streams, a database with tables. What was
    removed or left is written to a new ledger in `folder`. Raises NotArmedError unless armed, and InputError for what is no
    run's name, and where a ledger is there after all.
    """
    ledger = Ledger(folder / f"{run_named(run_id)}.jsonl")
    if not armed:
        raise NotArmedError("this teardown is not armed, so nothing was removed", subject=run_id, hint="armed=True")
    things, denied = _found(session, run_id)
    rows = []
    for one in things:
        outcome, reason = _removed(session, one)
        ledger.write("left" if outcome == "left" else "removed", one.arn, reason=reason)
        rows.append((one.arn, one.resource, one.name, outcome, reason))
    rows += [("", read, "", "left", f"could not be looked for: {why}") for read, why in denied]
    return pd.DataFrame(rows, columns=list(REMOVED_COLUMNS))


def _removed(session: Session, thing: _Thing) -> tuple[str, str]:
    if thing.kind is None:
        return "left", _OTHERS
    try:
        for part in thing.kind.before(session, thing.name) if thing.kind.before else ():
            undone(session, part)
    except AwsError as error:
        return "left", error.what
    return undone(session, thing.undo())


def _line(thing: _Thing, region: str) -> str:
    if thing.kind is None:
        return ""
    undo = thing.undo()
    return aws_command(undo["service"], undo["operation"], undo["request"], region)


def _found(session: Session, run_id: str) -> tuple[list[_Thing], list[tuple[str, str]]]:
    """The run's things in the order of _KINDS, and the reads that failed, each with AWS's words."""
    run_named(run_id)
    arns: dict[str, None] = {}
    denied: list[tuple[str, str]] = []
    for read, look in _LOOKS.items():
        try:
            arns |= dict.fromkeys(look(session, run_id))
        except AwsError as error:
            denied.append((read, error.what))
    things = [_Thing.of(arn, session.account_id) for arn in arns if not _goes_along(arn)]
    once = {
        (one.resource, one.words.get("database"), one.name): one for one in things
    }  # two APIs may write its ARN two ways
    return sorted(once.values(), key=lambda one: (one.order, one.arn)), denied


def _goes_along(arn: str) -> bool:
    """A mirror filter's rules go with it, and parameters are looked up by name: their ARN does not tell "a" from "/a"."""
    return "/tmfr-" in arn or bool(re.match(r"arn:[a-z-]+:ssm:[^ ]*:parameter/", arn))


def _by_tagging(session: Session, run_id: str) -> list[str]:
    wanted = [{"Key": RUN_TAG, "Values": [run_id]}]
    held = session.pages("resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", TagFilters=wanted)
    return [one["ResourceARN"] for one in held if run_tag(one.get("Tags", [])) == run_id]


def _by_ec2(session: Session, run_id: str) -> list[str]:
    wanted = [{"Name": "key", "Values": [RUN_TAG]}, {"Name": "value", "Values": [run_id]}]
    held = session.pages("ec2", "describe_tags", "Tags", Filters=wanted)
    return [_arn(session, "ec2", f"{one['ResourceType']}/{one['ResourceId']}") for one in held]


def _by_roles(session: Session, run_id: str) -> list[str]:
    """netkit's own roles have its name in front, so that not every role of an account is asked for its tags."""
    roles = [one for one in session.pages("iam", "list_roles", "Roles") if one["RoleName"].startswith("netkit-")]
    return [
        one["Arn"]
        for one in roles
        if run_tag(session.pages("iam", "list_role_tags", "Tags", RoleName=one["RoleName"])) == run_id
    ]


def _by_tables(session: Session, run_id: str) -> list[str]:
    """Glue tables take no tags: netkit writes them into the table's parameters."""
    arns = []
    for database in (one["Name"] for one in session.pages("glue", "get_databases", "DatabaseList")):
        tables = session.pages("glue", "get_tables", "TableList", DatabaseName=database)
        names = [one["Name"] for one in tables if run_tag(one.get("Parameters", {})) == run_id]
        arns += [_arn(session, "glue", f"table/{database}/{name}") for name in names]
        answer = if_there(session, "glue", "get_tags", ResourceArn=_arn(session, "glue", f"database/{database}"))
        arns += (
            [_arn(session, "glue", f"database/{database}")] if run_tag((answer or {}).get("Tags", {})) == run_id else []
        )
    return arns


def _by_dashboards(session: Session, run_id: str) -> list[str]:
    arns = [one["DashboardArn"] for one in session.pages("cloudwatch", "list_dashboards", "DashboardEntries")]
    return _of_run(session, "cloudwatch", arns, run_id)


def _by_rules(session: Session, run_id: str) -> list[str]:
    return _of_run(session, "events", [one["Arn"] for one in session.pages("events", "list_rules", "Rules")], run_id)


def _of_run(session: Session, service: str, arns: list[str], run_id: str) -> list[str]:
    answers = {arn: if_there(session, service, "list_tags_for_resource", ResourceARN=arn) or {} for arn in arns}
    return [arn for arn, answer in answers.items() if run_tag(answer.get("Tags", [])) == run_id]


def _by_parameters(session: Session, run_id: str) -> list[str]:
    wanted = [{"Key": f"tag:{RUN_TAG}", "Option": "Equals", "Values": [run_id]}]
    held = session.pages("ssm", "describe_parameters", "Parameters", ParameterFilters=wanted)
    return [_arn(session, "ssm", f"parameter {one['Name']}") for one in held]  # no ARN: a name stands in it as it is


_LOOKS: Mapping[str, Callable[[Session, str], list[str]]] = {
    "tag:GetResources": _by_tagging,
    "ec2:DescribeTags": _by_ec2,
    "iam:ListRoles": _by_roles,
    "glue:GetTables": _by_tables,
    "cloudwatch:ListDashboards": _by_dashboards,
    "events:ListRules": _by_rules,
    "ssm:DescribeParameters": _by_parameters,
}


def _arn(session: Session, service: str, resource: str) -> str:
    partition = session.boto3.get_partition_for_region(session.region)
    return f"arn:{partition}:{service}:{session.region}:{session.account_id}:{resource}"


def without_ledger(run_id: str, folder: Path) -> bool:
    """Whether a run has no ledger that a teardown could go by. Raises InputError for what is no run's name."""
    path = folder / f"{run_named(run_id)}.jsonl"
    return not any(line["event"] == "intent" for line in Ledger(path).lines())
