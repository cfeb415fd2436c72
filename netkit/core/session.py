"""connect(): the only way to a session, in the sandbox or in AWS. Retries, paginated reads, AWS's refusals as netkit errors."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import boto3
import botocore.config
import botocore.session
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from netkit.core.errors import AccessError, AwsError, CredentialsError, TargetError
from netkit.core.model import Coverage

_DENIED = (
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnauthorizedException",
    "AuthorizationError",
    "403",
)
_CREDENTIALS = (
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidClientTokenId",
    "AuthFailure",
    "UnrecognizedClientException",
)
_CREDENTIAL_ERRORS = (
    NoCredentialsError,
    PartialCredentialsError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
# Standard retries back off on throttling; a read of many pages meets it sooner or later.
_CONFIG = botocore.config.Config(retries={"mode": "standard", "max_attempts": 8}, user_agent_extra="netkit")


@dataclass(frozen=True)
class Session:
    """An account and region that answers, and how to reach it. Made by connect() only.

    `target` is for people to read; no code outside of connect() asks it. `clock` says what the time is there: the sandbox's
    world has an end, and does not age.
    """

    target: str
    account_id: str
    region: str
    caller: str
    boto3: boto3.Session
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC), compare=False, repr=False)

    def now(self) -> datetime:
        """The time (UTC) as of which the account is looked at."""
        return self.clock()

    def client(self, service: str) -> Any:
        """The boto3 client of a service, one per session, service and region."""
        return _client(self.boto3, service, self.region)

    def in_region(self, region: str) -> Session:
        """The same account and caller in another region."""
        return replace(self, region=region)

    def call(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        """One call, as boto3 names it. Raises AccessError, CredentialsError or AwsError."""
        with aws_errors(f"{service}:{operation}"):
            answer: dict[str, Any] = getattr(self.client(service), operation)(**request)
        return answer

    def pages(self, service: str, operation: str, key: str, **request: Any) -> list[dict[str, Any]]:
        """All items under `key` over all pages of a read. Raises as call() does."""
        client = self.client(service)
        if not client.can_paginate(operation):
            return list(self.call(service, operation, **request).get(key, []))
        with aws_errors(f"{service}:{operation}"):
            return [item for page in client.get_paginator(operation).paginate(**request) for item in page.get(key, [])]

    def read(self, service: str, operation: str, key: str, **request: Any) -> tuple[list[dict[str, Any]], Coverage]:
        """All items, and how much was seen: a denied read is a Coverage row, never an empty answer."""
        try:
            items = self.pages(service, operation, key, **request)
        except AccessError as denied:
            return [], Coverage(self.account_id, self.region, key, "denied", note=denied.what)
        return items, Coverage(self.account_id, self.region, key, "ok" if items else "empty", len(items))

    def __str__(self) -> str:
        return f"{self.target}: account {self.account_id}, {self.region}, as {self.caller}"


@lru_cache(maxsize=64)
def _client(session: boto3.Session, service: str, region: str) -> Any:
    return session.client(service, region_name=region, config=_CONFIG)


@contextmanager
def aws_errors(operation: str) -> Iterator[None]:
    """Turn botocore's errors into netkit's, naming the operation and what to do next."""
    try:
        yield
    except ClientError as error:
        # From None: botocore's traceback would carry the request into a notebook's output.
        refused = _translated(error, operation)
        about = error.response.get("ResponseMetadata", {})
        refused.status, refused.retries = int(about.get("HTTPStatusCode") or 0), int(about.get("RetryAttempts") or 0)
        raise refused from None
    except _CREDENTIAL_ERRORS as error:
        raise CredentialsError(
            f"no valid AWS credentials: {error}", subject=operation, hint="sign in again, as aws sso login"
        ) from None
    except BotoCoreError as error:
        raise AwsError(
            f"the call did not reach AWS: {error}", subject=operation, hint="check the network and the region"
        ) from None


def _translated(error: ClientError, operation: str) -> AwsError:
    code = error.response.get("Error", {}).get("Code", "Unknown")
    message = _in_words(error.response.get("Error", {}).get("Message", ""))
    if code in _DENIED or code.startswith("AccessDenied"):
        return AccessError(
            f"AWS denied {operation} ({code}): {message}",
            subject=operation,
            hint=f"the caller needs {operation.replace('_', '')}",
        )
    if code in _CREDENTIALS:
        return CredentialsError(
            f"AWS does not take these credentials ({code}): {message}",
            subject=operation,
            hint="sign in again, as aws sso login",
        )
    return AwsError(f"AWS refused {operation} ({code}): {message}", subject=operation)


def _in_words(message: str) -> str:
    """An error's message; of a web page, as a proxy or a gateway answers, its title."""
    if not message.lstrip().startswith("<"):
        return message
    title = re.search(r"<title>([^<]{1,200})", message, re.IGNORECASE)
    return f"a web page, {title[1].strip()}" if title else "a web page, not AWS's answer"


def error_code(error: BaseException) -> str:
    """AWS's error code in an AwsError made by aws_errors(), or "" for any other error."""
    match = re.search(r"\(([A-Za-z0-9_.]+)\):", error.what) if isinstance(error, AwsError) else None
    return match[1] if match else ""


def connect(*, target: str = "sandbox", region: str = "us-east-1", profile: str = "", account_id: str = "") -> Session:
    """A session in the local sandbox (started if it is not running), or in AWS.

    target="aws" needs the account_id that the caller is meant to be in.

    Raises TargetError for another target, an endpoint override beside "aws", and for an account other than account_id;
    CredentialsError when AWS does not take the caller's credentials.
    """
    refuse_target(target=target, region=region, profile=profile, account_id=account_id)
    return _sandbox(region) if target == "sandbox" else _aws(region, profile, account_id)


def refuse_target(*, target: str, region: str, profile: str = "", account_id: str = "") -> None:
    """Raise TargetError for what cannot be a target, as far as that is known without a call; connect() and the runner ask this first."""
    if target not in ("sandbox", "aws"):
        raise TargetError(f"target {target!r} is neither sandbox nor aws")
    if not re.fullmatch(r"[a-z]{2,}(-[a-z]+)+-[0-9]+", region):
        raise TargetError(f"region {region[:40]!r} is none", hint="as us-east-1")
    if account_id and not re.fullmatch("[0-9]{12}", account_id):
        raise TargetError(
            f"account_id {account_id[:40]!r} is not twelve digits", hint='quote it in YAML: account_id: "000123456701"'
        )
    if target == "aws":
        _refuse_aws(region, profile, account_id)


def _sandbox(region: str) -> Session:
    from netkit import sandbox  # nothing else may import it, and AWS users need not have it

    where = sandbox.ensure()
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}  # moto asks for some, and checks none
    session = boto3.Session(botocore_session=_isolated(where.endpoint), region_name=region, **keys)
    return Session("sandbox", where.account_id, region, "the sandbox", session, lambda: sandbox.WORLD_END)


def _isolated(endpoint: str) -> botocore.session.Session:
    """A botocore session that knows one endpoint, and none of the user's files: a stray call cannot leave this machine."""
    core = botocore.session.Session(
        session_vars={"config_file": (None, None, os.devnull, None), "credentials_file": (None, None, os.devnull, None)}
    )
    core.get_component("config_store").set_config_variable("endpoint_url", endpoint)
    return core


def _refuse_aws(region: str, profile: str, account_id: str) -> boto3.Session:
    override = sorted(name for name in os.environ if name.startswith("AWS_ENDPOINT_URL"))
    if override:
        raise TargetError(
            'target="aws" beside an endpoint override',
            subject=", ".join(override),
            hint=f'unset {override[0]}, or use target="sandbox"',
        )
    if not re.fullmatch("[0-9]{12}", account_id):
        raise TargetError(
            f'target="aws" needs account_id, twelve digits; it is {account_id!r}',
            hint='quote it in YAML: account_id: "000123456701"',
        )
    try:
        session = boto3.Session(profile_name=profile or None, region_name=region)
    except ProfileNotFound:
        raise TargetError(
            f"there is no AWS profile {profile!r}", hint="aws configure list-profiles shows those there are"
        ) from None
    if _overridden(session._session):
        raise TargetError(
            'target="aws" beside an endpoint override',
            subject=f"profile {profile or 'default'}",
            hint="remove endpoint_url from the profile",
        )
    return session


def _aws(region: str, profile: str, account_id: str) -> Session:
    session = _refuse_aws(region, profile, account_id)
    with aws_errors("sts:get_caller_identity"):
        caller = _client(session, "sts", region).get_caller_identity()
    if caller["Account"] != account_id:
        raise TargetError(
            f"the caller is in account {caller['Account']}, not {account_id}",
            subject=profile or "default profile",
            hint="choose another profile",
        )
    return Session("aws", account_id, region, caller["Arn"], session)


def _overridden(core: botocore.session.Session) -> bool:
    """Whether the profile sends any service somewhere else (endpoint_url, or a services section that has one)."""
    profile = core.get_scoped_config()
    services = core.full_config.get("services", {}).get(profile.get("services", ""), {})
    return "endpoint_url" in profile or any("endpoint_url" in one for one in services.values() if isinstance(one, dict))


# One cheap read for each table that the notebooks need: (service, operation, key of the answer).
_READS = (
    ("ec2", "describe_vpcs", "Vpcs"),
    ("ec2", "describe_network_interfaces", "NetworkInterfaces"),
    ("ec2", "describe_flow_logs", "FlowLogs"),
    ("ec2", "describe_route_tables", "RouteTables"),
    ("ec2", "describe_network_acls", "NetworkAcls"),
    ("ec2", "describe_security_groups", "SecurityGroups"),
    ("ec2", "describe_network_insights_paths", "NetworkInsightsPaths"),
    ("ec2", "describe_traffic_mirror_sessions", "TrafficMirrorSessions"),
    ("s3", "list_buckets", "Buckets"),
    ("athena", "list_work_groups", "WorkGroups"),
    ("glue", "get_databases", "DatabaseList"),
    ("logs", "describe_log_groups", "logGroups"),
    ("cloudwatch", "describe_alarms", "MetricAlarms"),
    ("ssm", "describe_instance_information", "InstanceInformationList"),
)


def may_call(session: Session) -> tuple[Coverage, ...]:
    """What the caller may read of what the notebooks need, by trying: one Coverage row a call, "denied" with AWS's words.

    Nothing is written, so the rights to change things are not tested: a Plan says which calls it will make.
    """
    return tuple(
        replace(coverage, table=f"{service}:{operation}")
        for service, operation, key in _READS
        for _, coverage in [session.read(service, operation, key)]
    )
