"""What can be known of a run's parameters before a kernel starts: bad values are refused here, at once, with exit status 2.

A parameter is known by its name and declared type, the same in every notebook, also in one of your own; what needs the account
or a file's inside is refused by the notebook, with the same status. AWS's own ranges are those of its API models and guides.
"""

from __future__ import annotations

import glob
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from netkit.core.errors import InputError, ParameterError
from netkit.core.model import RETENTION_DAYS, Window
from netkit.core.net import parse_address, parse_cidr, protocol_number
from netkit.core.session import refuse_target

_CHOICES: Mapping[str, Sequence[Any]] = {
    "traffic": ("ALL", "ACCEPT", "REJECT"),
    "action": ("", "ACCEPT", "REJECT"),
    "file_format": ("parquet", "plain-text"),
    "resource_type": ("VPC", "Subnet", "NetworkInterface", "TransitGateway", "TransitGatewayAttachment"),
    "aggregation_s": (60, 600),
    "retention_days": (0, *RETENTION_DAYS),  # 0 is ours for "for ever"
}  # fmt: skip
_RANGES: Mapping[str, tuple[int, int]] = {
    "port": (-1, 65535),
    "source_port": (-1, 65535),
    "vni": (0, 16_777_215),
    "number": (0, 32766),
    "packet_length": (0, 65535),
    "source_mtu": (0, 65535),
    "target_mtu": (0, 65535),
    "expire_days": (1, 36500),
    "lifecycle_days": (0, 36500),
    "bucket_s": (1, 86400),
    "scan_limit_bytes": (10_000_000, 2**63 - 1),  # Athena takes no less than 10 MB
}
_WINDOWS = (("window_start", "window_end"), ("proof_start", "proof_end"))
_TEXTS = ("command", "error_query", "log_format", "title")  # of several lines
_FILES = ("snapshot", "before", "intents", "agent_config", "resolver_logs", "more_configs", "evidence")
_PATTERNS = ("captures", "alerts")


def refuse(parameters: Mapping[str, Any], root: Path) -> None:
    """Raise an InputError for the first value that cannot be right.

    parameters: all of a notebook's, typed as it declares; root: the folder that relative paths start from
    """
    for name, value in parameters.items():
        for check in (_plain, _closed, _ranged, _finite, _spoken):
            check(name, value)
    for start, end in _WINDOWS:
        if (
            isinstance(first := parameters.get(start, ""), str)
            and isinstance(last := parameters.get(end, ""), str)
            and (first or last)
        ):
            Window.parse(first, last)
    if isinstance(before := parameters.get("baseline_start", ""), str) and before:
        Window.parse(before, "" if before.strip().lower().startswith("last") else "9999-12-31T00:00:00Z")
    if isinstance(parameters.get("target"), str):
        texts = {name: str(parameters.get(name, "")) for name in ("profile", "account_id")}
        refuse_target(target=parameters["target"], region=str(parameters.get("region", "us-east-1")), **texts)
    _there(parameters, root)


def _plain(name: str, value: Any) -> None:
    """One line of text: a newline at its end, or a control character that nobody sees, is never meant."""
    for one in [value] if isinstance(value, str) else value if isinstance(value, list) else []:
        if isinstance(one, str) and name not in _TEXTS and not one.isprintable():
            raise ParameterError(
                f"{name}: {one[:60]!r} holds a character that cannot be seen",
                subject=name,
                hint="one line, without a newline at its end",
            )
        if isinstance(value, list) and isinstance(one, str) and not one.strip():
            raise ParameterError(f"{name}: an item of the list is empty", subject=name, hint="leave it out; [] is none")


def _closed(name: str, value: Any) -> None:
    if name in _CHOICES and isinstance(value, type(_CHOICES[name][0])) and value not in _CHOICES[name]:
        shown = ", ".join(str(one) or '""' for one in _CHOICES[name])
        near = (
            f"the nearest is {min(_CHOICES[name], key=lambda one: abs(one - value))}" if isinstance(value, int) else ""
        )
        raise ParameterError(f"{name}: {value!r} is not one of {shown}", subject=name, hint=near)


def _ranged(name: str, value: Any) -> None:
    if name in _RANGES and isinstance(value, int) and not isinstance(value, bool):
        least, most = _RANGES[name]
        if not least <= value <= most:
            raise ParameterError(f"{name}: {value} is not between {least} and {most}", subject=name)


def _finite(name: str, value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ParameterError(f"{name}: {value} is no number to reckon with", subject=name)
    money = name.endswith("_usd") and isinstance(value, int | float)
    if (money or name.startswith("min_")) and isinstance(value, int | float) and value < 0:
        raise ParameterError(f"{name}: {value} is below 0", subject=name)


def _spoken(name: str, value: Any) -> None:
    """Words with a grammar: protocols, CIDR blocks, addresses, patterns, tags."""
    for one in [value] if isinstance(value, str) else value if isinstance(value, list) else []:
        if isinstance(one, str) and one and name in _GRAMMARS:
            _named(name, one, _GRAMMARS[name])


def _named(name: str, text: str, read: Callable[[str], Any]) -> None:
    try:
        read(text)
    except re.error as problem:
        raise ParameterError(f"{name}: {text[:60]!r} is no regular expression: {problem}", subject=name) from None
    except InputError as problem:
        raise ParameterError(f"{name}: {problem.what}", subject=name, hint=problem.hint) from None


def _protocol(text: str) -> Any:
    return text.strip().lower() in ("all", "-1") or protocol_number(text)


def _tag(text: str) -> None:
    if ":" not in text or text.startswith(":"):
        raise InputError(f"{text!r} is no KEY:VALUE")


def _account(text: str) -> None:
    if not re.fullmatch(r"[^@\s]*@[0-9]{12}", text):
        raise InputError(f"{text!r} is no PROFILE@ACCOUNT, the account with twelve digits")


def _region(text: str) -> None:
    refuse_target(target="sandbox", region=text)


_GRAMMARS: Mapping[str, Callable[[str], Any]] = {
    "protocol": _protocol,
    "cidr": parse_cidr,
    "addresses": parse_address,
    "pattern": re.compile,
    "tag": _tag,
    "tags": _tag,
    "others": _account,
    "region": _region,
    "regions": _region,
}


def _there(parameters: Mapping[str, Any], root: Path) -> None:
    """Files and folders that are named have to be there."""
    for name in (*_FILES, *_PATTERNS):
        held = parameters.get(name, "")
        for text in held if isinstance(held, list) else [held]:
            if isinstance(text, str) and text and not text.startswith("s3://"):
                _found(name, text, root)


def _found(name: str, text: str, root: Path) -> None:
    path = root / Path(text).expanduser()
    try:
        matched = name in _PATTERNS and glob.glob(str(path))  # noqa: PTH207  (a wildcard may stand in any folder of it)
        there = path.exists() or Path(text).exists() or matched
    except (OSError, ValueError):  # a name too long for any file, or with a zero byte
        there = False
    if not there:
        raise ParameterError(
            f"{name}: there is no file or folder {text[:200]!r}",
            subject=str(path)[:200],
            hint="relative paths start from the project's folder",
        )
