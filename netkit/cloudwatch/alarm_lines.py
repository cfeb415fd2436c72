"""Alarms in a line each, as notebooks take them: "cpu: Average AWS/EC2 CPUUtilization per host > 70, 2 of 3 x 300s". Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from netkit.cloudwatch.alarms import TREATMENTS, AlarmSpec
from netkit.core.errors import InputError

FORM = "as cpu: Average AWS/EC2 CPUUtilization per host > 70, 2 of 3 x 300s"
_LINE = re.compile(
    r"(?P<name>[\w.-]+):\s+(?P<statistic>\S+)\s+(?P<namespace>\S+)\s+(?P<metric>\S+)"
    r"(?P<of>\s+per host|\s+with\s+(?P<dimensions>\S+))?\s*(?P<sign>>=|<=|>|<)\s*(?P<threshold>-?[\d.]+)"
    r"(?:,|\s+for)\s*((?P<m>\d+)\s+of\s+)?(?P<n>\d+)\s*x\s*(?P<period>\d+)\s*s(,?\s*missing\s+(?P<missing>\w+))?"
)
_SIGNS = {
    ">": "GreaterThanThreshold",
    ">=": "GreaterThanOrEqualToThreshold",
    "<": "LessThanThreshold",
    "<=": "LessThanOrEqualToThreshold",
}
_WORDS = {word.lower(): word for word in TREATMENTS}


def parse_alarms(
    lines: Sequence[str], hosts: Mapping[str, str], *, prefix: str = "", actions: Sequence[str] = (), region: str = "",
    resolutions: Mapping[tuple[str, str], int] | None = None,
) -> list[AlarmSpec]:  # fmt: skip
    """The alarms of some lines: "NAME: STATISTIC NAMESPACE METRIC [per host | with K=V,…] > NUMBER, M of N x SECONDSs[, missing WORD]".

    The first comma may be "for", and the second left out, where a comma parts the lines themselves.

    per host     one alarm for each instance of `hosts` (id to name), on InstanceId, called prefix + NAME-id
    with K=V,…   on these dimensions; neither is a metric without dimensions
    missing      breaching, notBreaching, ignore or missing (CloudWatch's default)
    actions      ARNs for ALARM and OK; resolutions: (namespace, metric) to seconds between its points where that is known

    Raises InputError for a line of another form, for a statistic or number that AlarmSpec refuses, for a name that is there twice.
    """
    specs = [
        spec for line in lines for spec in _of_line(line, hosts, prefix, tuple(actions), region, resolutions or {})
    ]
    names = [spec.name for spec in specs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError("two alarms of one name", subject=", ".join(twice), hint="an alarm of the same name replaces the first")  # fmt: skip
    return specs


def _of_line(
    line: str, hosts: Mapping[str, str], prefix: str, actions: tuple[str, ...], region: str, resolutions: Mapping[tuple[str, str], int]
) -> list[AlarmSpec]:  # fmt: skip
    found = _LINE.fullmatch(line.strip())
    missing = _WORDS.get((found["missing"] or "missing").lower()) if found else None
    if found is None or missing is None:
        raise InputError(f"{line[:100]!r} is no alarm", hint=FORM)
    each = (found["of"] or "").strip() == "per host"
    if each and not hosts:
        raise InputError("an alarm per host, and no host", subject=line[:80], hint="name instances or a tag of theirs")
    simple = found["statistic"] in ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
    wanted = [(f"-{one}", {"InstanceId": one}, f" of {name or one}") for one, name in hosts.items()] if each else [("", found["dimensions"] or (), "")]  # fmt: skip
    return [
        AlarmSpec(
            name=f"{prefix}{found['name']}{suffix}", namespace=found["namespace"], metric=found["metric"], dimensions=dimensions,
            statistic=found["statistic"] if simple else "", extended_statistic="" if simple else found["statistic"], period=int(found["period"]),
            evaluation_periods=int(found["n"]), datapoints_to_alarm=int(found["m"] or found["n"]), threshold=_number(found["threshold"], line),
            comparison=_SIGNS[found["sign"]], treat_missing=missing, alarm_actions=actions, ok_actions=actions, region=region,
            resolution=resolutions.get((found["namespace"], found["metric"]), 0), description=f"{found['metric']}{of}, made by netkit: {line.strip()}"[:1024],
        )
        for suffix, dimensions, of in wanted
    ]  # fmt: skip


def _number(text: str, line: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{text!r} is no number", subject=line[:80], hint=FORM) from None
