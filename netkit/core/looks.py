"""What is there, for a plan and for a teardown: reads that tell absent from denied, and a thing without what changes by itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from netkit.core.errors import AccessError, AwsError
from netkit.core.session import Session, error_code
from netkit.core.steps import RUN_TAG

ABSENT = re.compile(r"NotFound|NoSuch|DoesNotExist|^404$")
# What AWS changes by itself, or writes of every read, says nothing of whether a thing is still as it was made.
_CHANGES_ALONE = re.compile(
    r"Time(stamp)?$|Date$|^State(Reason|ReasonData|Value|TransitionedReason)?$|Status$|Bytes$|^Version|^ResponseMetadata$|Arn$|ARN$|^(Created|Updated)|^(Is|Cross)|Until$"
)
_TAGS = ("tags", "Tags", "TagList", "Table.Parameters")


def if_there(session: Session, service: str, operation: str, **request: Any) -> dict[str, Any] | None:
    """One read, None where AWS says there is no such thing. Raises AccessError where it is denied: that is not absent."""
    try:
        return session.call(service, operation, **request)
    except AccessError:
        raise
    except AwsError as error:
        if ABSENT.search(error_code(error)):
            return None
        raise


def bucket_policy(session: Session, bucket: str) -> dict[str, Any] | None:
    """The policy document of a bucket, or None where it has none (or there is no such bucket)."""
    answer = if_there(session, "s3", "get_bucket_policy", Bucket=bucket)
    return None if answer is None else dict(json.loads(answer["Policy"]))


def looks(session: Session, look: Mapping[str, Any]) -> Any:
    """What a Look shows, without what changes by itself; None where there is nothing."""
    try:
        answer = if_there(session, look["service"], look["operation"], **look["request"])
    except AccessError:
        raise
    except AwsError:  # Athena's and CloudWatch's own ways to say that there is no such thing
        return None
    found = None if answer is None else _lasting(_at_or_none(answer, look["key"]))
    return None if found in (None, [], {}) and look["key"] not in _TAGS else found


def run_tag(tags: Any) -> str:
    """The run that tags name, as {name: value} or as AWS's [{Key, Value}]; "" for none."""
    pairs = tags if isinstance(tags, dict) else {one.get("Key"): one.get("Value") for one in tags}
    return str(pairs.get(RUN_TAG, ""))


def _at_or_none(answer: Any, path: str) -> Any:
    for part in path.split("."):
        answer = answer.get(part) if isinstance(answer, Mapping) else None
    return answer


def _lasting(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _lasting(one) for name, one in value.items() if not _CHANGES_ALONE.search(name)}
    if isinstance(value, list | tuple):
        return [_lasting(one) for one in value]
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):  # a document within: its spaces say nothing
        try:
            return _lasting(json.loads(value))
        except (ValueError, RecursionError):
            return value
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def errors_of(answer: Mapping[str, Any]) -> list[str]:
    """What a 200 answer still says went wrong, one line each."""
    return [
        f"{one.get('ResourceId') or one.get('TargetId', '')}: {one.get('Error', one).get('Code') or one.get('ErrorCode')}: "
        f"{one.get('Error', one).get('Message') or one.get('ErrorMessage', '')}"
        for key in ("Unsuccessful", "FailedEntries")
        for one in answer.get(key) or []
    ]
