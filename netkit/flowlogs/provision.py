"""Plans for flow logs: where they go (bucket, or role and log group), the flow logs themselves, and the Athena table over them.

All of it follows from one FlowLogSpec. What exists is found and kept; what exists and differs is a conflict, which is shown
and never replaced. A bucket or role that netkit did not make keeps all its settings; its bucket policy gets the statements
that delivery needs and that it lacks, and loses none.

The table is made by glue:CreateTable rather than by a DDL query: it answers at once, costs and scans nothing, needs no
output location, and is found again (GetTable) and undone (DeleteTable) by name. `spec.ddl()` is the same as SQL.

Sources: botocore's models of the calls; Amazon VPC User Guide "Publish flow logs to Amazon S3"; Amazon Athena User Guide
"Query Amazon VPC flow logs"; AWS Glue Developer Guide (StorageDescriptor).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from netkit.core.awscli import Ref, Request
from netkit.core.errors import AccessError, AwsError, FieldError, InputError
from netkit.core.model import check_retention
from netkit.core.plan import (
    LEDGER_FOLDER,
    RUN_TAG,
    STATEMENTS_UNDO,
    Action,
    Find,
    Found,
    Guard,
    Look,
    Owner,
    Plan,
    Step,
    Undo,
    bucket_policy,
    if_there,
    tagged_run,
)
from netkit.core.policy import allows_as_much, merge_statements, statements_of
from netkit.core.session import Session, error_code
from netkit.flowlogs.fields import FIELDS, INVESTIGATION, Family, Notice, log_format, parse_format
from netkit.flowlogs.policies import bucket_statements, permissions_policy, trust_policy
from netkit.flowlogs.read import described
from netkit.flowlogs.table import FlowLogSpec, check_bucket, check_identifier, check_prefix

LEAST_SCAN_LIMIT = 10_000_000  # bytes; what Athena takes as BytesScannedCutoffPerQuery
ROLE_POLICY = "netkit-flow-log-delivery"
LIFECYCLE_ID = "netkit-expire-flow-logs"
_BLOCKED = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
_HADOOP = "org.apache.hadoop"
_STORAGE = {
    "parquet": (
        f"{_HADOOP}.hive.ql.io.parquet.MapredParquetInputFormat",
        f"{_HADOOP}.hive.ql.io.parquet.MapredParquetOutputFormat",
        {
            "SerializationLibrary": f"{_HADOOP}.hive.ql.io.parquet.serde.ParquetHiveSerDe",
            "Parameters": {"serialization.format": "1"},
        },
    ),
    "plain-text": (
        f"{_HADOOP}.mapred.TextInputFormat",
        f"{_HADOOP}.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
        {
            "SerializationLibrary": f"{_HADOOP}.hive.serde2.lazy.LazySimpleSerDe",
            "Parameters": {"field.delim": " ", "serialization.format": " "},
        },
    ),
}


@dataclass(frozen=True)
class TableChoice:
    """The Athena side of a plan: where the table goes, and how much one query may scan.

    results          s3://bucket/prefix/ for query results; "" is athena-results/ in the spec's bucket
    scan_limit_bytes a query is cancelled there; at least 10,000,000
    since            first year that the table's partitions cover

    Raises InputError (QueryError for a name) for values that AWS refuses.
    """

    database: str
    table: str
    workgroup: str = ""
    results: str = ""
    scan_limit_bytes: int = 100_000_000_000
    since: str = "2024"

    def __post_init__(self) -> None:
        if not (self.database and self.table):
            raise InputError("an Athena table needs a database and a table name", hint="set both, or neither")
        check_identifier(self.database)
        check_identifier(self.table)
        if self.workgroup and not re.fullmatch(r"[A-Za-z0-9._-]{1,128}", self.workgroup):
            raise InputError(
                f"AWS refuses the workgroup name {self.workgroup[:80]!r}", hint="1 to 128 of A-Z a-z 0-9 . _ -"
            )
        if self.scan_limit_bytes < LEAST_SCAN_LIMIT:
            raise InputError(f"a scan limit of {self.scan_limit_bytes} bytes; Athena takes {LEAST_SCAN_LIMIT} or more")
        if not re.fullmatch(r"20\d\d", self.since):
            raise InputError(f"{self.since!r} is not a year from 2000 to 2099", hint='as "2024"')
        if self.results:
            check_location(self.results)


def fields_of(text: str, resource_type: str = "VPC") -> tuple[tuple[str, ...], tuple[Notice, ...]]:
    """The fields of a log format: "investigation" (what an analysis needs), "default" (AWS's), or a format of one's own.

    Raises FieldError for an unknown field, naming the nearest.
    """
    family: Family = "tgw" if resource_type.startswith("TransitGateway") else "vpc"
    if text == "investigation" and family == "vpc":
        return INVESTIGATION, ()
    return parse_format("" if text in ("default", "investigation") else text, family)


def check_location(location: str) -> str:
    """An s3:// folder, with a slash at its end. Raises InputError for anything else."""
    bucket, _, key = location.removeprefix("s3://").partition("/")
    if not location.startswith("s3://"):
        raise InputError(f"{location[:80]!r} is not an S3 location", hint="as s3://bucket/folder/")
    check_bucket(bucket)
    prefix = check_prefix(key)
    return f"s3://{bucket}/{prefix}/" if prefix else f"s3://{bucket}/"


def plan_flow_logs(
    session: Session,
    spec: FlowLogSpec,
    *,
    database: str = "",
    table: str = "",
    workgroup: str = "",
    results: str = "",
    scan_limit_bytes: int = 100_000_000_000,
    since: str = "2024",
    expire_days: int = 30,
    lifecycle_days: int = 90,
    notices: Sequence[object] = (),
    folder: Path = LEDGER_FOLDER,
    today: date | None = None,
) -> Plan:
    """Everything that a spec needs, down to the Athena table when `database` and `table` are given. Reads; changes nothing.

    expire_days      the netkit:expires tag is so many days from today
    lifecycle_days   delivered objects or log events expire after so many days; 0 keeps them

    Raises InputError before any call for what AWS would refuse; AccessError where looking at what exists is denied.
    """
    owner = _owner(session, spec, expire_days, folder, today)
    _check(session, spec, lifecycle_days)
    athena: list[Step] = []
    if database or table or workgroup:
        choice = TableChoice(database, table, workgroup, results, scan_limit_bytes, since)
        athena = table_steps(owner, spec, choice)
    to = {"s3": bucket_steps, "cloud-watch-logs": log_group_steps, "kinesis-data-firehose": stream_steps}
    place = to[spec.destination](owner, spec, lifecycle_days)
    logs = flow_log_steps(owner, _with_role(owner, spec), after=tuple(step.key for step in place))
    return Plan.of(owner, [*place, *logs, *athena], [str(notice) for notice in notices])


def _owner(session: Session, spec: FlowLogSpec, expire_days: int, folder: Path, today: date | None) -> Owner:
    if not 1 <= expire_days <= 3650:
        raise InputError(f"expire_days {expire_days} is not from 1 to 3650", hint="whole days")
    day = (today or datetime.now(UTC).date()) + timedelta(days=expire_days)
    return Owner(session, f"flow logs to {spec.log_destination}", day, folder)


def _check(session: Session, spec: FlowLogSpec, lifecycle_days: int) -> None:
    if (spec.account, spec.region) != (session.account_id, session.region):
        raise InputError(
            f"the spec is for {spec.account}/{spec.region}, the session is in {session.account_id}/{session.region}",
            hint="make the spec from session.account_id and session.region",
        )
    if not spec.resource_ids:
        raise InputError("there is nothing to log", hint="give at least one resource id")
    allowed = spec.destination == "s3" and 0 <= lifecycle_days <= 3650
    if spec.destination == "cloud-watch-logs":
        check_retention(lifecycle_days)
    if spec.destination == "s3" and not allowed:
        raise InputError(f"lifecycle_days {lifecycle_days} is not from 0 to 3650", hint="0 keeps objects for good")


# S3: the bucket, its settings, its policy.


def bucket_steps(owner: Owner, spec: FlowLogSpec, lifecycle_days: int) -> list[Step]:
    """The bucket with Block Public Access, encryption, tags and lifecycle where netkit makes it, and its policy in any case."""
    create: dict[str, Any] = {"Bucket": spec.bucket}
    if spec.region != "us-east-1":  # where S3 refuses the constraint
        create["CreateBucketConfiguration"] = {"LocationConstraint": spec.region}
    # S3 itself refuses to delete a bucket that holds anything, so delivered logs are safe from teardown.
    undo = Undo(
        "s3",
        "delete_bucket",
        {"Bucket": spec.bucket, "ExpectedBucketOwner": spec.account},
        (_in_use(spec.bucket),),
        adopt=True,
    )
    bucket = Step(
        "bucket", "S3 bucket", spec.bucket, "s3", "create_bucket", create, _find_bucket(spec), "there is none", undo
    )
    return [bucket, *_setting_steps(owner, spec, lifecycle_days), _policy_step(spec)]


def _find_bucket(spec: FlowLogSpec) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        try:
            there = if_there(session, "s3", "head_bucket", Bucket=request["Bucket"], ExpectedBucketOwner=spec.account)
        except AccessError as denied:
            return Found(
                Action.CONFLICT,
                "the name is taken: it is another account's, or may not be seen",
                difference=(denied.what,),
            )
        return None if there is None else Found(Action.KEEP, "it exists")

    return find


def _setting_steps(owner: Owner, spec: FlowLogSpec, lifecycle_days: int) -> list[Step]:
    encryption = {
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]
    }
    rule = {
        "ID": LIFECYCLE_ID,
        "Status": "Enabled",
        "Filter": {"Prefix": spec.base_key},
        "Expiration": {"Days": lifecycle_days},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    settings: list[tuple[str, str, str, dict[str, Any], Callable[[Session], Found | None]]] = [
        ("bucket-tags", "put_bucket_tagging", "tags", {"Tagging": {"TagSet": owner.tag_list()}}, lambda one: _see_tags(one, owner, spec)),
        (
            "bucket-public-access", "put_public_access_block", "Block Public Access",
            {"PublicAccessBlockConfiguration": dict(_BLOCKED)}, lambda one: _see_blocked(one, spec.bucket),
        ),
        (
            "bucket-encryption", "put_bucket_encryption", "default encryption",
            {"ServerSideEncryptionConfiguration": encryption}, lambda one: _see_encrypted(one, spec.bucket),
        ),
    ]  # fmt: skip
    if lifecycle_days:
        asked = {"LifecycleConfiguration": {"Rules": [rule]}}
        settings.append(
            ("bucket-lifecycle", "put_bucket_lifecycle_configuration", f"lifecycle, {lifecycle_days} days", asked, lambda one: _see_lifecycle(one, spec.bucket, rule))
        )  # fmt: skip
    return [
        Step(
            key, f"S3 {label}", spec.bucket, "s3", operation, {"Bucket": spec.bucket} | request, _if_ours(owner, see), "not set",
            after=("bucket",),
        )
        for key, operation, label, request, see in settings
    ]  # fmt: skip


def _if_ours(owner: Owner, see: Callable[[Session], Found | None]) -> Find:
    """Look at a setting only of a bucket that this run made; one that was there before keeps its own."""

    def find(session: Session, request: Request) -> Found | None:
        there = if_there(session, "s3", "head_bucket", Bucket=request["Bucket"])
        if there is not None and not owner.ledger.made("bucket"):
            return Found(Action.KEEP, "the bucket is not of this run, so its settings stay as they are")
        return None if there is None else see(session)

    return find


def _see_tags(session: Session, owner: Owner, spec: FlowLogSpec) -> Found | None:
    answer = if_there(session, "s3", "get_bucket_tagging", Bucket=spec.bucket)
    if answer is None:
        return None
    tags = {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}
    if tags.get(RUN_TAG) == owner.run_id:
        return Found(Action.KEEP, "they are set", run=owner.run_id)
    merged = [{"Key": key, "Value": value} for key, value in (tags | owner.tags).items()]
    request = {"Bucket": spec.bucket, "Tagging": {"TagSet": merged}}
    return Found(
        Action.UPDATE, "netkit's tags are missing", request=request, difference=(f"adds {', '.join(owner.tags)}",)
    )


def _see_blocked(session: Session, bucket: str) -> Found | None:
    answer = if_there(session, "s3", "get_public_access_block", Bucket=bucket)
    if answer is None:
        return None
    now = answer["PublicAccessBlockConfiguration"]
    off = tuple(f"{name} is off" for name in _BLOCKED if not now.get(name))
    return Found(
        Action.CONFLICT if off else Action.KEEP, "somebody opened it" if off else "all four are on", difference=off
    )


def _see_encrypted(session: Session, bucket: str) -> Found | None:
    answer = if_there(session, "s3", "get_bucket_encryption", Bucket=bucket)
    if answer is None:
        return None
    used = answer["ServerSideEncryptionConfiguration"]["Rules"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]
    return Found(Action.KEEP, f"objects are encrypted ({used})")


def _see_lifecycle(session: Session, bucket: str, rule: Mapping[str, Any]) -> Found | None:
    answer = if_there(session, "s3", "get_bucket_lifecycle_configuration", Bucket=bucket)
    if answer is None:
        return None
    rules = {one.get("ID"): one for one in answer["Rules"]}
    mine = rules.get(LIFECYCLE_ID)
    if mine is None:
        request = {"Bucket": bucket, "LifecycleConfiguration": {"Rules": [*answer["Rules"], rule]}}
        return Found(
            Action.UPDATE, "other rules are there, ours is not", request=request, difference=(f"adds {LIFECYCLE_ID}",)
        )
    same = mine.get("Expiration", {}).get("Days") == rule["Expiration"]["Days"]
    differs = () if same else (f"{LIFECYCLE_ID}: {mine.get('Expiration')} there, {rule['Expiration']} asked for",)
    return Found(
        Action.KEEP if same else Action.CONFLICT,
        "the rule is set" if same else "another expiry is set",
        difference=differs,
    )


def _policy_step(spec: FlowLogSpec) -> Step:
    wanted = bucket_statements(spec)
    policy, _ = merge_statements(None, wanted)
    return Step(
        "bucket-policy", "S3 bucket policy", spec.bucket, "s3", "put_bucket_policy",
        {"Bucket": spec.bucket, "Policy": json.dumps(policy), "ExpectedBucketOwner": spec.account}, _find_policy(spec),
        "log delivery may not write here yet", _statements_undo(spec.bucket, wanted), after=("bucket",),
    )  # fmt: skip


def _statements_undo(bucket: str, statements: Sequence[Mapping[str, Any]]) -> Undo:
    return Undo("s3", STATEMENTS_UNDO, {"Bucket": bucket, "Statements": list(statements)}, (_in_use(bucket),))


def _in_use(bucket: str) -> Guard:
    """Flow logs of another run, or of nobody's, may deliver to another prefix of the same bucket."""
    arn = f"arn:aws:s3:::{bucket}"
    return Guard("ec2", "describe_flow_logs", "FlowLogs", {}, "other flow logs deliver to it", (f'"{arn}"', f'"{arn}/'))


def _find_policy(spec: FlowLogSpec) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        existing = bucket_policy(session, spec.bucket)
        if existing is None:
            return None
        wanted = bucket_statements(spec)
        merged, added = merge_statements(existing, wanted)
        if not added:
            return Found(Action.KEEP, f"log delivery may write already{_loose(existing, wanted)}")
        return Found(
            Action.UPDATE,
            f"{len(statements_of(existing))} statements are there and stay",
            difference=(f"adds {', '.join(added)}",),
            request={**request, "Policy": json.dumps(merged)},
            undo=_statements_undo(spec.bucket, [one for one in merged["Statement"] if one.get("Sid") in added]),
        )

    return find


def _loose(existing: Mapping[str, Any], wanted: Sequence[Mapping[str, Any]]) -> str:
    """Says so where a statement that does the work names no source account: any account's log delivery could use it."""
    loose = [
        one.get("Sid", "a statement without Sid")
        for one in statements_of(existing)
        if any(allows_as_much(one, need) for need in wanted)
        and "aws:sourceaccount" not in json.dumps(one.get("Condition", {})).lower()
    ]
    return f", but {', '.join(loose)} has no aws:SourceAccount condition, so other accounts' could too" if loose else ""


# CloudWatch Logs: the role, the log group. Firehose: its stream.


def role_name(owner: Owner, spec: FlowLogSpec) -> str:
    """Name of the role that delivers to CloudWatch Logs: that of role_arn, or one of this run's own, so that no other run
    uses it when this one is torn down."""
    if not spec.role_arn:
        return f"netkit-flow-logs-{owner.run_id}"
    match = re.fullmatch(
        rf"arn:aws[a-z-]*:iam::{spec.account}:role/(?:[\w+=,.@/-]+/)?([\w+=,.@-]{{1,64}})", spec.role_arn
    )
    if not match:
        raise InputError(
            f"{spec.role_arn[:100]!r} is not a role of account {spec.account}",
            hint="the role must be in the same account",
        )
    return match[1]


def _with_role(owner: Owner, spec: FlowLogSpec) -> FlowLogSpec:
    if spec.destination != "cloud-watch-logs" or spec.role_arn:
        return spec
    return replace(spec, role_arn=f"arn:aws:iam::{spec.account}:role/{role_name(owner, spec)}")


def log_group_steps(owner: Owner, spec: FlowLogSpec, retention_days: int) -> list[Step]:
    """The log group with its retention, and the role that only this destination needs."""
    if not re.fullmatch(r"[A-Za-z0-9_\-/.#]{1,512}", spec.log_group) or spec.log_group.startswith("aws/"):
        raise InputError(
            f"AWS refuses the log group name {spec.log_group[:80]!r}",
            hint="1 to 512 of A-Z a-z 0-9 _ - / . #, not aws/…",
        )
    group, role = spec.log_group, role_name(owner, spec)
    named = {"logGroupName": group}
    # Deleting a group deletes its events; a group that has any stays.
    guard = Guard("logs", "describe_log_streams", "logStreams", named, "it holds log streams")
    group_tags = Look(
        "logs", "list_tags_for_resource", {"resourceArn": owner.arn("logs", f"log-group:{group}")}, "tags"
    )
    steps = [
        Step("log-group", "log group", group, "logs", "create_log_group", named | {"tags": owner.tags}, _find_log_group(owner, group_tags),
             "there is none", Undo("logs", "delete_log_group", named, (guard,), owner=group_tags), monthly_usd=None),
    ]  # fmt: skip
    if retention_days:
        asked = named | {"retentionInDays": retention_days}
        steps.append(
            Step("log-group-retention", "log group retention", f"{group}, {retention_days} days", "logs", "put_retention_policy", asked,
                 _find_retention(owner), "not set", after=("log-group",))
        )  # fmt: skip
    trust = {"RoleName": role, "AssumeRolePolicyDocument": json.dumps(trust_policy(spec)), "Tags": owner.tag_list()}
    policy = {"RoleName": role, "PolicyName": ROLE_POLICY, "PolicyDocument": json.dumps(permissions_policy())}
    inline = {"RoleName": role, "PolicyName": ROLE_POLICY}
    undo = Undo("iam", "delete_role_policy", inline, look=Look("iam", "get_role_policy", inline, "PolicyDocument"))
    return [
        *steps,
        Step("role", "IAM role", role, "iam", "create_role", trust, _find_role(spec), "there is none",
             Undo("iam", "delete_role", {"RoleName": role}, owner=Look("iam", "list_role_tags", {"RoleName": role}, "Tags"))),
        Step("role-policy", "IAM role policy", f"{role}/{ROLE_POLICY}", "iam", "put_role_policy", policy, _find_role_policy(owner),
             "not set", undo, after=("role",)),
    ]  # fmt: skip


def _find_log_group(owner: Owner, tags: Look) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        group = _log_group(session, request["logGroupName"])
        if group is None:
            return None
        return Found(Action.KEEP, "it exists", answer=group, run=tagged_run(owner, "log-group", tags))

    return find


def _log_group(session: Session, name: str) -> dict[str, Any] | None:
    groups = session.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name)
    return next((one for one in groups if one["logGroupName"] == name), None)


def _find_retention(owner: Owner) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        group = _log_group(session, request["logGroupName"])
        if group is None:
            return None
        days = group.get("retentionInDays")
        if not owner.ledger.made("log-group"):
            return Found(Action.KEEP, f"the log group is not of this run, so it stays at {days or 'no'} days")
        if days is None:
            return None
        asked = request["retentionInDays"]
        differs = () if days == asked else (f"{days} days there, {asked} asked for",)
        return Found(Action.CONFLICT if differs else Action.KEEP, f"{days} days are set", difference=differs)

    return find


def _find_role(spec: FlowLogSpec) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        answer = if_there(session, "iam", "get_role", RoleName=request["RoleName"])
        if answer is None:
            return None
        role = answer["Role"]
        existing = role["AssumeRolePolicyDocument"]
        document = json.loads(existing) if isinstance(existing, str) else existing
        trusted = [one for one in statements_of(document) if allows_as_much(one, trust_policy(spec)["Statement"][0])]
        run = next((tag["Value"] for tag in role.get("Tags", []) if tag["Key"] == RUN_TAG), "")
        if not trusted:
            return Found(
                Action.CONFLICT, "it exists, and VPC Flow Logs may not take it", answer, ("its trust policy",), run=run
            )
        loose = "" if any("Condition" in one for one in trusted) else "; its trust names no aws:SourceAccount"
        return Found(Action.KEEP, f"it exists and VPC Flow Logs may take it{loose}", answer, run=run)

    return find


def _find_role_policy(owner: Owner) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        role = if_there(session, "iam", "get_role", RoleName=request["RoleName"])
        if role is not None and not owner.ledger.made("role"):
            return Found(Action.KEEP, "the role is not of this run; what it may do was not checked")
        names = {name: request[name] for name in ("RoleName", "PolicyName")}
        answer = if_there(session, "iam", "get_role_policy", **names)
        if answer is None:
            return None
        existing = answer["PolicyDocument"]
        same = (json.loads(existing) if isinstance(existing, str) else existing) == json.loads(
            request["PolicyDocument"]
        )
        return Found(Action.KEEP if same else Action.CONFLICT, "it is set" if same else "it was changed since", answer)

    return find


def stream_steps(owner: Owner, spec: FlowLogSpec, days: int) -> list[Step]:
    """Nothing to make for Firehose: its delivery stream must be there. Raises InputError when it is not."""
    name = spec.stream_arn.rpartition("/")[2]
    if if_there(owner.session, "firehose", "describe_delivery_stream", DeliveryStreamName=name) is None:
        raise InputError(f"there is no Firehose delivery stream {name!r}", hint="make it first; netkit does not")
    return []


# The flow logs.


def flow_log_steps(owner: Owner, spec: FlowLogSpec, *, after: tuple[str, ...] = ()) -> list[Step]:
    """One step for each resource, so that each is kept, made, refused and undone by itself."""
    tags = [{"ResourceType": "vpc-flow-log", "Tags": owner.tag_list(Name=f"netkit-{owner.run_id}")}]
    steps = []
    for resource in spec.resource_ids:
        one = replace(spec, resource_ids=(resource,))
        traffic = "" if spec.is_tgw else f"-{spec.traffic}"
        steps.append(
            Step(
                f"flow-log-{resource}{traffic}", "flow log", f"{resource} to {spec.log_destination}", "ec2", "create_flow_logs",
                one.create_request() | {"TagSpecifications": tags}, _find_flow_log(one), "nothing logs it there yet",
                Undo("ec2", "delete_flow_logs", {"FlowLogIds": Ref("", "FlowLogIds")}, by_tag="fl-"),
                monthly_usd=None,  # by the GB delivered, which nobody knows before
                token="ClientToken",  # noqa: S106  (the name of a parameter)
                after=after,
            )
        )  # fmt: skip
    return steps


def _find_flow_log(spec: FlowLogSpec) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        found = [
            _compared(spec, one) for one in described(session, resource_ids=spec.resource_ids) if _same_place(spec, one)
        ]
        # One that writes the same is the one to keep, whatever else is there.
        return min(found, key=lambda one: one.action != Action.KEEP, default=None)

    return find


def _same_place(spec: FlowLogSpec, flow_log: Mapping[str, Any]) -> bool:
    """Whether a flow log is of the same resource, destination and traffic: AWS refuses a second of those."""
    where = flow_log.get("LogDestination") or ""
    group = flow_log.get("LogGroupName") or where.partition(":log-group:")[2].removesuffix(":*")
    there = (
        group == spec.log_group
        if spec.destination == "cloud-watch-logs"
        else where.rstrip("/") == spec.log_destination.rstrip("/")
    )
    same_traffic = spec.is_tgw or flow_log.get("TrafficType") == spec.traffic
    return there and same_traffic and flow_log["ResourceId"] in spec.resource_ids


def _compared(spec: FlowLogSpec, flow_log: Mapping[str, Any]) -> Found:
    answer = {"FlowLogIds": [flow_log["FlowLogId"]]}
    run = next((tag["Value"] for tag in flow_log.get("Tags", []) if tag["Key"] == RUN_TAG), "")
    try:
        there = FlowLogSpec.from_described(flow_log, spec.account, spec.region)
    except FieldError as unknown:  # a field newer than this kit: certainly not what was asked for
        return Found(
            Action.CONFLICT,
            f"{flow_log['FlowLogId']} logs it there in another format",
            answer,
            (unknown.what,),
            run=run,
        )
    differs = differences(spec, there)
    if not differs:
        failed = flow_log.get("DeliverLogsStatus") == "FAILED"
        note = f", but delivery fails: {flow_log.get('DeliverLogsErrorMessage', '')}" if failed else ""
        return Found(Action.KEEP, f"{flow_log['FlowLogId']} writes the same{note}", answer, run=run)
    return Found(
        Action.CONFLICT, f"{flow_log['FlowLogId']} logs it there already, and differs", answer, differs, run=run
    )


def differences(wanted: FlowLogSpec, there: FlowLogSpec) -> tuple[str, ...]:
    """How two specs for the same place differ in what they write, one line each; none when they write the same."""
    if wanted.writes_like(there):
        return ()
    values = {
        "log format": (log_format(wanted.fields), log_format(there.fields)),
        "file format": (wanted.file_format, there.file_format),
        "Hive-compatible keys": (wanted.hive, there.hive),
        "per hour": (wanted.per_hour, there.per_hour),
        "aggregation": (f"{wanted.aggregation_s} s", f"{there.aggregation_s} s"),
    }
    return tuple(f"{name}: {old} there, {new} asked for" for name, (new, old) in values.items() if new != old) or (
        "its destination",
    )


# Athena: database, workgroup, table.


def table_steps(owner: Owner, spec: FlowLogSpec, choice: TableChoice) -> list[Step]:
    """Glue database, workgroup (where one is named) and table. Raises InputError for flow logs that do not go to S3."""
    if spec.destination != "s3":
        raise InputError(
            f"Athena reads flow logs in S3, not in {spec.destination}", hint="leave database and table empty"
        )
    database = {"Name": choice.database, "Description": "VPC flow logs, by netkit"}
    # Glue deletes a database with all its tables, whoever made them.
    guard = Guard("glue", "get_tables", "TableList", {"DatabaseName": choice.database}, "it still holds tables")
    steps = [
        Step(f"database-{choice.database}", "Glue database", choice.database, "glue", "create_database",
             {"DatabaseInput": database, "Tags": owner.tags}, _find_database(owner), "there is none",
             Undo("glue", "delete_database", {"Name": choice.database}, (guard,), owner=_database_tags(owner, choice.database))),
    ]  # fmt: skip
    if choice.workgroup:
        steps.append(_workgroup_step(owner, spec, choice))
    request = {"DatabaseName": choice.database, "TableInput": table_input(owner, spec, choice)}
    named = {"DatabaseName": choice.database, "Name": choice.table}
    undo = Undo(
        "glue", "delete_table", named, look=Look("glue", "get_table", named, "Table"), owner=Look("glue", "get_table", named, "Table.Parameters"),
    )  # fmt: skip
    name = f"{choice.database}.{choice.table}"
    return [
        *steps,
        Step(f"table-{name}", "Glue table", name, "glue", "create_table", request, _find_table(owner), "there is none", undo,
             after=(f"database-{choice.database}",)),
    ]  # fmt: skip


def _database_tags(owner: Owner, name: str) -> Look:
    return Look("glue", "get_tags", {"ResourceArn": owner.arn("glue", f"database/{name}")}, "Tags")


def _find_database(owner: Owner) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        name = request["DatabaseInput"]["Name"]
        answer = if_there(session, "glue", "get_database", Name=name)
        if answer is None:
            return None
        run = tagged_run(owner, f"database-{name}", _database_tags(owner, name))
        return Found(Action.KEEP, "it exists", answer, run=run)

    return find


def _workgroup_step(owner: Owner, spec: FlowLogSpec, choice: TableChoice) -> Step:
    location = check_location(choice.results) if choice.results else f"s3://{spec.bucket}/athena-results/"
    configuration = {
        "ResultConfiguration": {"OutputLocation": location},
        "EnforceWorkGroupConfiguration": True,
        "PublishCloudWatchMetricsEnabled": True,
        "BytesScannedCutoffPerQuery": choice.scan_limit_bytes,
    }
    request = {
        "Name": choice.workgroup, "Configuration": configuration, "Description": "Flow-log queries, by netkit", "Tags": owner.tag_list(),
    }  # fmt: skip
    # The history of queries goes with it; queries that a person saved do not.
    guard = Guard(
        "athena", "list_named_queries", "NamedQueryIds", {"WorkGroup": choice.workgroup}, "it holds saved queries"
    )
    look = Look("athena", "get_work_group", {"WorkGroup": choice.workgroup}, "WorkGroup.Configuration")
    undo = Undo(
        "athena",
        "delete_work_group",
        {"WorkGroup": choice.workgroup, "RecursiveDeleteOption": True},
        (guard,),
        look=look,
        owner=_workgroup_tags(owner, choice.workgroup),
    )
    return Step(
        f"workgroup-{choice.workgroup}", "Athena workgroup", choice.workgroup, "athena", "create_work_group", request, _find_workgroup(owner),
        "there is none", undo,
    )  # fmt: skip


def _workgroup_tags(owner: Owner, name: str) -> Look:
    return Look("athena", "list_tags_for_resource", {"ResourceARN": owner.arn("athena", f"workgroup/{name}")}, "Tags")


def _find_workgroup(owner: Owner) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        try:
            answer = session.call("athena", "get_work_group", WorkGroup=request["Name"])
        except AwsError as error:
            if (
                error_code(error) == "InvalidRequestException" and "not found" in error.what
            ):  # Athena's way to say absent
                return None
            raise
        if "WorkGroup" not in answer:
            return None
        now, asked = answer["WorkGroup"]["Configuration"], request["Configuration"]
        values = {
            "results": (
                now.get("ResultConfiguration", {}).get("OutputLocation"),
                asked["ResultConfiguration"]["OutputLocation"],
            ),
            "enforced": (now.get("EnforceWorkGroupConfiguration"), True),
            "scan limit": (now.get("BytesScannedCutoffPerQuery"), asked["BytesScannedCutoffPerQuery"]),
        }
        differs = tuple(f"{name}: {old} there, {new} asked for" for name, (old, new) in values.items() if old != new)
        run = tagged_run(owner, f"workgroup-{request['Name']}", _workgroup_tags(owner, request["Name"]))
        return Found(
            Action.CONFLICT if differs else Action.KEEP,
            "it exists" + (" and differs" if differs else ""),
            answer,
            differs,
            run=run,
        )

    return find


def table_input(owner: Owner, spec: FlowLogSpec, choice: TableChoice) -> dict[str, Any]:
    """The TableInput of glue:CreateTable: the same columns, partitions, format and properties as spec.ddl()."""
    reads, writes, serde = _STORAGE[spec.file_format]
    return {
        "Name": choice.table,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE", **spec.table_properties(since=choice.since), **owner.tags},
        "PartitionKeys": [{"Name": key, "Type": "string"} for key in spec.partition_keys],
        "StorageDescriptor": {
            "Columns": [{"Name": FIELDS[name].column, "Type": FIELDS[name].athena} for name in spec.fields],
            "Location": f"s3://{spec.bucket}/{spec.base_key}",
            "InputFormat": reads,
            "OutputFormat": writes,
            "SerdeInfo": serde,
        },
    }


def _find_table(owner: Owner) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        wanted = request["TableInput"]
        answer = if_there(session, "glue", "get_table", DatabaseName=request["DatabaseName"], Name=wanted["Name"])
        if answer is None:
            return None
        differs = table_differences(wanted, answer["Table"])
        run = answer["Table"].get("Parameters", {}).get(RUN_TAG, "")
        return Found(
            Action.CONFLICT if differs else Action.KEEP,
            "it exists" + (" and differs" if differs else ""),
            answer,
            differs,
            run=run,
        )

    return find


def table_differences(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> tuple[str, ...]:
    """How a table that exists differs from a TableInput, one line for each column, key and property; its own extras are left."""
    new, old = wanted["StorageDescriptor"], there["StorageDescriptor"]
    parquet = "Parquet" in new["SerdeInfo"]["SerializationLibrary"]
    lines = _column_differences(new["Columns"], old.get("Columns", []), by_name=parquet)
    keys = [one["Name"] for one in wanted["PartitionKeys"]], [one["Name"] for one in there.get("PartitionKeys", [])]
    pairs: dict[str, tuple[Any, Any]] = {
        "partition keys": (", ".join(keys[0]), ", ".join(keys[1])),
        "location": (new["Location"].rstrip("/"), old.get("Location", "").rstrip("/")),
        "format": (parquet, "parquet" in json.dumps(old.get("SerdeInfo", {})).lower()),
    }
    properties = {
        name: value
        for name, value in wanted["Parameters"].items()
        if name.startswith(("projection.", "storage.", "skip."))
    }
    pairs |= {name: (value, there.get("Parameters", {}).get(name)) for name, value in properties.items()}
    return (
        *lines,
        *(f"{name}: {have} there, {want} asked for" for name, (want, have) in pairs.items() if want != have),
    )


def _column_differences(
    wanted: Sequence[Mapping[str, str]], there: Sequence[Mapping[str, str]], *, by_name: bool
) -> list[str]:
    new = {one["Name"]: one["Type"] for one in wanted}
    old = {one["Name"]: one["Type"] for one in there}
    lines = [
        f"column {name}: {old.get(name, 'none')} there, {new.get(name, 'none')} asked for"
        for name in [*new, *(set(old) - set(new))]
        if new.get(name) != old.get(name)
    ]
    if not lines and not by_name and list(new) != list(old):
        lines.append("columns: in another order, and text is read by position")
    return lines
