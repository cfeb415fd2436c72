"""Names as AWS takes them for what monitoring makes beside alarms, by botocore's API models: refused here before any call. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from netkit.core.errors import InputError

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s]+")


def check_topic(name: str) -> str:
    """The name of an SNS topic. Raises InputError for one that SNS refuses."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", name):
        raise InputError(f"{name[:80]!r} is no name of a topic", hint="1 to 256 of A-Z a-z 0-9 _ -")
    return name


def check_email(address: str) -> str:
    """An e-mail address, by its form. Raises InputError for another."""
    if not _EMAIL.fullmatch(address):
        raise InputError(f"{address[:80]!r} is no e-mail address", hint="as oncall@example.com")
    return address


def check_rule_name(name: str) -> str:
    """The name of an EventBridge rule. Raises InputError for one that EventBridge refuses."""
    if not re.fullmatch(r"[.\-_A-Za-z0-9]{1,64}", name):
        raise InputError(f"{name[:80]!r} is no name of a rule", hint="1 to 64 of A-Z a-z 0-9 . - _")
    return name


def check_role(name: str) -> str:
    """The name of an IAM role. Raises InputError for one that IAM refuses, and for an ARN."""
    if not re.fullmatch(r"[A-Za-z0-9_+=,.@-]{1,64}", name):
        raise InputError(f"{name[:80]!r} is no name of a role", hint="its name, not its ARN")
    return name


def check_instances(ids: Iterable[str]) -> list[str]:
    """Ids of EC2 instances. Raises InputError for one of another form."""
    for one in (ids := list(ids)):
        if not re.fullmatch(r"i-([0-9a-f]{8}|[0-9a-f]{17})", one):
            raise InputError(f"{one[:80]!r} is no id of an instance", hint="as i-0123456789abcdef0")
    return ids
