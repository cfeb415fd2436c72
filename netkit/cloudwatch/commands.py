"""The guide's commands for monitoring, read as what they mean: arguments of the plans, with a notice for each translation.

Nothing is run, and a shell never sees the text. What AWS takes, and where the guide departs from it, is in botocore's models of
Logs, SSM and CloudWatch and in the AWS command line's answers to the guide's commands. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netkit.cloudwatch.agent import check_agent_config, read_agent_config
from netkit.cloudwatch.agent_install import check_parameter_name, install_commands, package, parameter_request
from netkit.cloudwatch.alarms import AlarmSpec, action_kind
from netkit.cloudwatch.dashboards import request as dashboard_request
from netkit.cloudwatch.dashboards import translated
from netkit.cloudwatch.log_groups import group_request
from netkit.cloudwatch.metrics import dimensions_of, prepare
from netkit.core.commandline import command_lines, command_options, command_words, one_value
from netkit.core.errors import InputError
from netkit.core.model import check_retention

FORM = "as MetricName=ConnectionCount,Value=25,Unit=Count,Dimensions=[{Name=InstanceId,Value=i-0123456789abcdef0}]"
_MEMBERS = {"MetricName": "metric", "Value": "value", "Unit": "unit", "StorageResolution": "resolution_s", "Timestamp": "time"}  # fmt: skip
_LISTED = re.compile(r"\{Name=([^,{}]+),Value=([^,{}]+)\}")


@dataclass(frozen=True)
class Seed:
    """One command of the guide: which function of netkit does the same, with which arguments, and what was read otherwise.

    does       plan_log_group, plan_agent, send_metrics, plan_alarms, plan_dashboard, install_commands or start_command
    arguments  what it takes after the session
    region     of the command's --region, "" where it has none
    """

    does: str
    arguments: Mapping[str, Any]
    notices: tuple[str, ...] = ()
    region: str = ""


def point_of(text: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A point for metrics.prepare() from the command line's shorthand, and a notice for each translation made.

    Dimensions come as the AWS command line takes them, [{Name=…,Value=…}], or as the guide has them,
    Dimensions=InstanceId=i-…, which that refuses. Raises InputError for another form.
    """
    bare, _, given = text.strip().partition("Dimensions=")
    point: dict[str, Any] = {}
    for part in bare.strip(",").split(","):
        name, sign, value = part.partition("=")
        if not sign or name not in _MEMBERS:
            raise InputError(f"{part[:60]!r} is no member of a point", subject=text[:100], hint=FORM)
        point[_MEMBERS[name]] = value
    if lacking := {"metric", "value"} - set(point):
        raise InputError(f"the point has no {' and no '.join(sorted(lacking))}", subject=text[:100], hint=FORM)
    if "resolution_s" in point:
        point["resolution_s"] = _whole("StorageResolution", point["resolution_s"])
    if not given:
        return point, ()
    listed = _LISTED.findall(given)
    point["dimensions"] = dict(dimensions_of(listed or given))
    if listed:
        return point, ()
    shown = json.dumps([{"Name": name, "Value": value} for name, value in point["dimensions"].items()])
    return point, (f"Dimensions={given} was read as {shown}; the AWS command line refuses the first form",)


def seed_commands(text: str, *, files: Mapping[str, str] | None = None, region: str = "") -> list[Seed]:
    """The guide's monitoring commands of a text in their order, continued lines joined; other lines are passed over.

    Raises InputError as seed_command() does.
    """
    return [seed_command(line, files=files, region=region) for line in command_lines(text) if _kind(line.split())]


def seed_command(line: str, *, files: Mapping[str, str] | None = None, region: str = "") -> Seed:
    """One command of the guide: a log group, agent, parameter, point, alarm or dashboard.

    files   text of the files that a command names, as {"cloudwatch-config.json": "{…}"} for file://cloudwatch-config.json
    region  where the command has no --region; keys and actions have to be of it, where it is known

    Raises InputError for another command, an unknown option, and what AWS refuses and whose meaning is not plain.
    """
    words = command_words(line)
    kind = _kind(words)
    if not kind:
        raise InputError(f"{' '.join(words[:3])[:80]!r} is no command for monitoring", hint=f"one of {', '.join(_COMMANDS)}")  # fmt: skip
    if kind not in _COMMANDS:
        return _HOST[kind](words)
    command = _COMMANDS[kind]
    given = _read(kind, words[3:], command, files or {})
    there = str(given.pop("region", "")) or region
    arguments, notices = command.means(given, there)
    return Seed(command.does, arguments, tuple(notices), there)


def _kind(words: Sequence[str]) -> str:
    """Which command the words are: "logs create-log-group" …, download, control, or "" for none of them."""
    name = " ".join(words[1:3])
    if words[:1] == ["aws"] and name in _COMMANDS:
        return name
    if words[:1] in (["wget"], ["curl"]) and any("amazoncloudwatch-agent" in word for word in words):
        return "download"
    return "control" if any(word.endswith("amazon-cloudwatch-agent-ctl") for word in words[:2]) else ""


# --------------------------------------------------------------------------------------------------------------- options


def _read(kind: str, words: Sequence[str], command: _Command, files: Mapping[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for option, values in command_options(words):
        name = option.removeprefix("--")
        if name in ("output", "profile", "query"):
            continue
        reads = {"region": _text, **command.options}.get(name)
        if reads is None:
            raise InputError(f"aws {kind} has no option {option!r}", hint=f"it has --{', --'.join(command.options)}"[:300])  # fmt: skip
        given[name] = reads(option, *[_of_file(value, files) for value in values])
    missing = [f"--{one}" for one in command.required if one not in given]
    if missing:
        raise InputError(f"aws {kind} needs {' and '.join(missing)}")
    return given


def _of_file(value: str, files: Mapping[str, str]) -> str:
    if not value.startswith("file://"):
        return value
    name = value.removeprefix("file://")
    if name not in files:
        raise InputError(f"the command reads a file {name[:80]!r}", hint=f'give its text: files={{"{name[:40]}": …}}')
    return files[name]


def _text(option: str, *values: str) -> str:
    return one_value(option, values)


def _whole(option: str, *values: str) -> int:
    value = _text(option, *values)
    if not re.fullmatch(r"[+-]?\d{1,18}", value):
        raise InputError(f"{option} {value[:40]!r} is not a whole number")
    return int(value)


def _real(option: str, *values: str) -> float:
    value = _text(option, *values)
    try:
        return float(value)
    except ValueError:
        raise InputError(f"{option} {value[:40]!r} is not a number") from None


def _flag(option: str, *values: str) -> bool:
    if values:
        raise InputError(f"{option} takes no value, and has {values[0][:40]!r}")
    return not option.startswith("--no-")


def _several(option: str, *values: str) -> list[str]:
    if not values:
        raise InputError(f"{option} has no value")
    return list(values)


def _json(option: str, *values: str) -> Any:
    value = _text(option, *values)
    try:
        return json.loads(value)
    except ValueError:
        raise InputError(f"{option} is not JSON: {value[:60]!r}", hint="check its quotes") from None


def _map(option: str, *values: str) -> dict[str, str]:
    """K=V,K2=V2, [{Key=…,Value=…}], Key=…,Value=… words, or JSON of either."""
    text = " ".join(values).strip()
    if text.startswith(('{"', '[{"')):
        held = _json(option, text)
        tags = [{"Key": key, "Value": value} for key, value in held.items()] if isinstance(held, dict) else held
        if not all(isinstance(one, dict) and set(one) == {"Key", "Value"} for one in tags):
            raise InputError(f"{option} {text[:60]!r} are no tags", hint="as team=network,stage=test")
        return {str(one["Key"]): str(one["Value"]) for one in tags}
    keyed = re.findall(r"Key=([^,{}]*),Value=([^,{}\]\s]*)", text)
    pairs = keyed or [(name, value) for name, _, value in (part.partition("=") for part in re.split(r"[,\s]+", text))]
    if not all(name for name, _ in pairs):
        raise InputError(f"{option} {text[:60]!r} are no tags", hint="as team=network,stage=test")
    return dict(pairs)


def _metrics(option: str, *values: str) -> list[dict[str, Any]]:
    held = _json(option, *values)
    good = isinstance(held, list) and all(isinstance(one, dict) and isinstance(one.get("MetricStat", {}), dict) for one in held)  # fmt: skip
    if not good:
        raise InputError(f"{option} is no list of metrics", hint='as [{"Id": "e1", "Expression": "m1 / m2"}, …]')
    return list(held)


def _dimensions(option: str, *values: str) -> tuple[tuple[str, str], ...]:
    """Name=K,Value=V words, K=V,K2=V2, or JSON."""
    text = " ".join(_several(option, *values))
    if text.startswith('[{"'):
        return dimensions_of(_json(option, text))
    return dimensions_of(re.findall(r"Name=([^,{}\s]+),Value=([^,{}\s]+)", text) or text)


# --------------------------------------------------------------------------------------------- what each command means


Meaning = tuple[dict[str, Any], list[str]]


def _log_group(given: Mapping[str, Any], region: str) -> Meaning:
    arguments: dict[str, Any] = {"name": given["log-group-name"]}
    words = {"kms-key-id": "kms_key", "tags": "tags", "log-group-class": "log_class"}
    arguments |= {word: given[option] for option, word in words.items() if option in given}
    protected = given.get("deletion-protection-enabled", False) and "no-deletion-protection-enabled" not in given
    arguments |= {"protected": True} if protected else {}
    key = arguments.get("kms_key", "")
    there = region or (key.split(":")[3] if key.count(":") > 4 else "")
    group_request(arguments["name"], region=there, log_class=arguments.get("log_class", "STANDARD"), kms_key=key, tags=arguments.get("tags"))  # fmt: skip
    arguments["retention_days"] = check_retention(given.get("retention-in-days", 0))
    if arguments["retention_days"]:
        return arguments, [
            "--retention-in-days is no option of create-log-group: PutRetentionPolicy is called after it"
        ]
    return arguments, ["no retention is given, so events are kept, and paid for, for ever; give retention_days"]


def _parameter(given: Mapping[str, Any], region: str) -> Meaning:
    config = read_agent_config(given["value"])
    notices = []
    if given.get("type", "String") != "String":
        raise InputError(f"the agent's configuration in a parameter of type {given['type'][:40]!r}", hint="String")
    # Made for its checks: the name, the size, the configuration itself.
    tier = parameter_request(config, given["name"])["Tier"]
    if given.get("tier", tier) != tier:
        notices.append(f"--tier {given['tier']} is read as {tier}, which the configuration's size asks for")
    replace = bool(given.get("overwrite"))
    if not replace:
        notices.append("without --overwrite a second run fails at AWS; the plan keeps a parameter that is the same, and shows one that differs")  # fmt: skip
    notices += [f"{one.path}: {one.message}" for one in check_agent_config(config) if one.level == "warning"]
    return {"config": config, "parameter": given["name"], "replace": replace}, notices


def _points(given: Mapping[str, Any], region: str) -> Meaning:
    singles = {"metric-name": "metric", "value": "value", "unit": "unit", "timestamp": "time", "storage-resolution": "resolution_s", "dimensions": "dimensions"}  # fmt: skip
    single = {member: given[option] for option, member in singles.items() if option in given}
    if bool(single) == ("metric-data" in given):
        raise InputError(
            "points are given by --metric-data, or one by --metric-name and --value", hint="one of the two"
        )
    points, notices = ([single], []) if single else _shorthand(given["metric-data"])
    points = [one | ({"dimensions": dict(one["dimensions"])} if one.get("dimensions") else {}) for one in points]
    prepare(given["namespace"], [{**one, "time": None} for one in points])  # its time is judged when it is sent
    return {"namespace": given["namespace"], "points": points}, notices


def _shorthand(values: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
    if values[0].lstrip().startswith(("{", "[")):
        held = _json("--metric-data", " ".join(values))
        return [_datum(one) for one in (held if isinstance(held, list) else [held])], []
    read = [point_of(value) for value in values]
    return [point for point, _ in read], [notice for _, notices in read for notice in notices]


def _datum(one: Any) -> dict[str, Any]:
    """A point of one MetricDatum in JSON; sets of values have no counterpart in the guide."""
    known = {**_MEMBERS, "Dimensions": "dimensions"}
    unknown = sorted(set(one) - set(known)) if isinstance(one, dict) else [str(one)[:40]]
    if unknown:
        raise InputError(f"a point with {', '.join(unknown)[:80]}", hint=f"its members are {', '.join(known)}")
    return {known[name]: dimensions_of(value) if name == "Dimensions" else value for name, value in one.items()}


def _alarm(given: Mapping[str, Any], region: str) -> Meaning:
    enabled = {"ActionsEnabled": "no-actions-enabled" not in given}
    members = {_member(name): value for name, value in given.items() if not name.endswith("actions-enabled")}
    if "Dimensions" in members:
        members["Dimensions"] = [{"Name": name, "Value": value} for name, value in members["Dimensions"]]
    tags = members.pop("Tags", {})
    asked = {"EvaluationPeriods": 1} | members | enabled
    spec = AlarmSpec.of(asked).changed(region=region, tags=tags, resolution=0 if members.get("Period", 60) >= 60 else 1)
    notices = []
    if "TreatMissingData" not in members:
        told = "" if spec.insufficient_actions else ", of which nobody is told"
        notices.append(f"--treat-missing-data is not given: without data the alarm goes to INSUFFICIENT_DATA{told}")
    topics = [arn for arn in spec.alarm_actions if action_kind(arn) == "sns"]
    if topics:
        name = topics[0].rpartition(":")[2]
        notices.append(f'the topic has to be there, and let alarms publish: plan_alarms(topic="{name}") makes one in your account')  # fmt: skip
    return {"specs": [spec]}, notices


def _member(option: str) -> str:
    return {"ok-actions": "OKActions"}.get(option) or "".join(word.title() for word in option.split("-"))


def _dashboard(given: Mapping[str, Any], region: str) -> Meaning:
    body, notices = translated(given["dashboard-body"])
    dashboard_request(given["dashboard-name"], body)  # made for its checks
    return {"name": given["dashboard-name"], "body": body}, list(notices)


@dataclass(frozen=True)
class _Command:
    """The options of one aws command, those it needs, the function that does the same, and how its arguments come about."""

    does: str
    options: Mapping[str, Callable[..., Any]]
    required: tuple[str, ...]
    means: Callable[[Mapping[str, Any], str], Meaning]


_COMMANDS = {
    "logs create-log-group": _Command(
        "plan_log_group",
        {
            "log-group-name": _text, "kms-key-id": _text, "tags": _map, "log-group-class": _text, "retention-in-days": _whole,
            "deletion-protection-enabled": _flag, "no-deletion-protection-enabled": _flag,
        },
        ("log-group-name",),
        _log_group,
    ),
    "ssm put-parameter": _Command(
        "plan_agent",
        {"name": _text, "value": _text, "type": _text, "tier": _text, "overwrite": _flag, "description": _text},
        ("name", "value"),
        _parameter,
    ),
    "cloudwatch put-metric-data": _Command(
        "send_metrics",
        {
            "namespace": _text, "metric-data": _several, "metric-name": _text, "value": _real, "unit": _text, "timestamp": _text,
            "dimensions": _dimensions, "storage-resolution": _whole,
        },
        ("namespace",),
        _points,
    ),
    "cloudwatch put-metric-alarm": _Command(
        "plan_alarms",
        {
            **dict.fromkeys(("alarm-name", "alarm-description", "metric-name", "namespace", "statistic", "extended-statistic"), _text),
            **dict.fromkeys(("comparison-operator", "treat-missing-data", "unit", "threshold-metric-id"), _text),
            "evaluate-low-sample-count-percentile": _text,
            **dict.fromkeys(("period", "evaluation-periods", "datapoints-to-alarm"), _whole),
            **dict.fromkeys(("alarm-actions", "ok-actions", "insufficient-data-actions"), _several),
            "threshold": _real, "dimensions": _dimensions, "metrics": _metrics, "tags": _map, "actions-enabled": _flag, "no-actions-enabled": _flag,
        },
        ("alarm-name", "comparison-operator", "evaluation-periods"),
        _alarm,
    ),
    "cloudwatch put-dashboard": _Command(
        "plan_dashboard", {"dashboard-name": _text, "dashboard-body": _text}, ("dashboard-name", "dashboard-body"), _dashboard
    ),
}  # fmt: skip


# ------------------------------------------------------------------------------------------------- commands on a host


def _download(words: Sequence[str]) -> Seed:
    """wget or curl of the agent's package: the system and processor of its address, and how it is installed now."""
    found = next(
        (one for word in words if (one := re.search(r"/([a-z_]+)/(amd64|arm64)/(latest|[\d.]+)/", word))), None
    )
    if found is None:
        raise InputError(f"{words[-1][:100]!r} is no address of an agent package", hint="as …/amazon_linux/amd64/latest/amazon-cloudwatch-agent.rpm")  # fmt: skip
    now = package(found[1], found[2])
    lines = install_commands(found[1], found[2])
    notices = [f"installed by {' && '.join(lines)}, or on every host by plan_agent(install=True)"]
    if not any(now.url in word for word in words):
        notices.insert(0, f"the address is an older one; AWS has the package at {now.url}")
    notices.append("the host's role needs CloudWatchAgentServerPolicy, which the guide does not say")
    return Seed("install_commands", {"system": found[1], "architecture": found[2]}, tuple(notices))


def _control(words: Sequence[str]) -> Seed:
    """amazon-cloudwatch-agent-ctl -a fetch-config … -c ssm:NAME, on the host."""
    options: Iterator[str] = iter(words)
    held = {word: next(options, "") for word in options if word in ("-a", "-m", "-c")}
    source = held.get("-c", "")
    if held.get("-a") != "fetch-config" or not source.startswith("ssm:"):
        raise InputError("the agent is started from its parameter here", subject=" ".join(words)[-100:], hint="-a fetch-config -m ec2 -s -c ssm:AmazonCloudWatch-…")  # fmt: skip
    name, mode = check_parameter_name(source.removeprefix("ssm:")), held.get("-m", "ec2")
    notices = [f"runs on one host; plan_agent does it on each by Systems Manager, with {name}"]
    if "-s" not in words:
        notices.append("without -s the agent is not started; it is here")
    return Seed("start_command", {"parameter": name, "mode": mode}, tuple(notices))


_HOST: dict[str, Callable[[Sequence[str]], Seed]] = {"download": _download, "control": _control}
