"""What the CloudWatch agent refuses beyond its schema: names, expressions, encodings, settings that differ. Pure.

Before it starts, the agent's translator goes through a configuration that its schema takes, and refuses the whole of it for one
measurement that it does not know. Source: the agent's own translator (amazon-cloudwatch-agent, translator/translate), whose rules
are said here in our own words; CloudWatch User Guide, "Manually create or edit the CloudWatch agent configuration file".
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

import re2

from netkit.cloudwatch.agent_grammar import Problem, nearest, problems
from netkit.cloudwatch.agent_merge import normal
from netkit.cloudwatch.agent_names import (
    MEASUREMENTS,
    NO_INSTANCE,
    Platform,
    entries,
    ignored,
    is_counter,
    is_measured,
    measured_name,
    measurements,
    platform_of,
    plugins_of,
    short_name,
)
from netkit.core.errors import InputError

CLASSES = ("STANDARD", "INFREQUENT_ACCESS")
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


def errors(config: object, platform: Platform | None = None) -> list[Problem]:
    """What keeps the agent from starting; none means that it takes the configuration. platform as in check_agent_config."""
    if not isinstance(config, Mapping):
        return problems(config)
    seen = normal(config)
    found = problems(seen)
    if found:
        return found
    on = platform or platform_of(seen)
    return [one for check in (_measurements, _resources, _log_entries, _conflicts) for one in check(seen, on)]


def refuse_errors(config: Mapping[str, Any], platform: Platform | None = None) -> None:
    """Raise InputError with the first error of a configuration, if there is one."""
    found = errors(config, platform)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise InputError(f"the agent refuses this configuration: {found[0].message}{more}", subject=found[0].path)


def _error(path: str, message: str) -> Problem:
    return Problem("error", path, message)


def _measurements(config: Mapping[str, Any], platform: Platform) -> Iterator[Problem]:
    for plugin, path, given in plugins_of(config):
        if ignored(plugin, platform) or not (plugin in MEASUREMENTS or is_counter(plugin, platform)):
            continue
        for place, one in enumerate(measurements(plugin, given)):
            here = f"{path}.measurement[{place}]"
            if isinstance(one, Mapping) and "name" not in one:
                yield _error(here, "has no name: the agent refuses the whole configuration")
            elif not is_measured(plugin, measured_name(one), platform):
                short = short_name(plugin, measured_name(one))
                close = nearest(short, MEASUREMENTS[plugin])
                yield _error(here, f"{plugin} measures no {short!r}: the agent refuses the whole configuration{close}")


def _resources(config: Mapping[str, Any], platform: Platform) -> Iterator[Problem]:
    for plugin, path, given in plugins_of(config):
        if not is_counter(plugin, platform) or plugin in NO_INSTANCE or "resources" not in given:
            continue
        value = given["resources"]
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            yield _error(f"{path}.resources", "is no list of texts: the agent stops at it")


def _log_entries(config: Mapping[str, Any], platform: Platform) -> Iterator[Problem]:
    kinds = ("files", "windows_events") if platform == "windows" else ("files",)
    for path, one in entries(config, *kinds):
        for place, given in enumerate(one.get("filters", ())):
            yield from _filter(f"{path}.filters[{place}]", given)
        encoding = one.get("encoding", "")
        if encoding and encoding.strip().lower() not in encodings():
            close = nearest(encoding.strip().lower(), sorted(encodings()))
            yield _error(f"{path}.encoding", f"{encoding[:60]!r} is no encoding that the agent knows{close}")


def _filter(path: str, given: Mapping[str, Any]) -> Iterator[Problem]:
    for member in ("type", "expression"):
        if not given.get(member):
            yield _error(path, f"has no {member}")
            return
    if why := refused_by_re2(given["expression"]):
        yield _error(f"{path}.expression", f"is no regular expression that the agent compiles (RE2): {why}")


@functools.cache
def encodings() -> frozenset[str]:
    """The names of encodings that the agent takes, in small letters."""
    text = files("netkit.cloudwatch").joinpath("agent_encodings.txt").read_text("utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


def refused_by_re2(expression: str) -> str:
    """Why the agent's engine (Go's, of RE2's grammar) does not compile an expression; "" where it does.

    Google's own RE2 says so: neither looking around, nor references back, nor possessive repeats, nor repeats over 1,000. Only \\C
    (a single byte) is in RE2 and not in Go's; tests hold the two together as far as they were tried.
    """
    if re.search(r"(?:^|[^\\])(?:\\\\)*\\C", re.sub(r"(?s)\\Q.*?(?:\\E|$)", "", expression)):
        return r"\C, a single byte, is not known"
    try:
        re2.compile(expression, _OPTIONS)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return ""


def _conflicts(config: Mapping[str, Any], platform: Platform) -> Iterator[Problem]:
    """One group with two retentions or two classes in one collect list."""
    for kind in ("files", "windows_events") if platform == "windows" else ("files",):
        for path, message in differing(entries(config, kind)):
            yield _error(path, f"{message}: the agent refuses it")


def differing(listed: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[tuple[str, str]]:
    """The member's path and what it conflicts with, for each entry whose group has another retention or class before it."""
    first: dict[tuple[str, str], tuple[str, object]] = {}
    for path, one in listed:
        group = str(one.get("log_group_name", ""))
        for member, value in _settings(one) if group else ():
            where, other = first.setdefault((group.lower(), member), (path, value))
            if other != value:
                yield f"{path}.{member}", f"conflict: {value} for {group}, and {other} in {where}"


def _settings(one: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    days, name = one.get("retention_in_days", -1), str(one.get("log_group_class", "")).upper()
    if days != -1:
        yield "retention_in_days", int(days)
    if name in CLASSES:
        yield "log_group_class", name
