"""Command lines of the guide this kit grew from, read as requests that AWS takes: translated with a notice where the meaning is
plain, refused with a hint where it is not. Pure: nothing is run, and a shell never sees the text.

What AWS takes, and where the guide departs from it, is in botocore's EC2 model and the Traffic Mirroring guide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from netkit.core.commandline import command_lines, command_options, command_words, one_value
from netkit.core.errors import InputError
from netkit.core.net import parse_cidr
from netkit.mirror.advice import unanswered, unanswered_text
from netkit.mirror.filters import ANYWHERE, WHOLE_PACKETS, MirrorFilter, MirrorSession, Rule
from netkit.mirror.ids import check_id, target_request

_START = "create-traffic-mirror-"
_IGNORED = {"--client-token", "--profile", "--region", "--output", "--dry-run", "--no-dry-run"}


@dataclass(frozen=True)
class Call:
    """One command as boto3 has it: client.<operation>(**request), and what was read otherwise than written."""

    operation: str
    request: dict[str, Any]
    notices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its Name tag, or ""."""
        tags = [tag for one in self.request.get("TagSpecifications", ()) for tag in one["Tags"]]
        return next((str(tag["Value"]) for tag in tags if tag["Key"] == "Name"), "")


@dataclass(frozen=True)
class Seed:
    """The mirror commands of a text, in their order, and the notices about each and about all together."""

    calls: tuple[Call, ...]
    notices: tuple[str, ...]

    def of(self, what: str) -> list[Call]:
        """The calls that create one kind of thing: filter, filter_rule, target or session."""
        return [one for one in self.calls if one.operation == f"create_traffic_mirror_{what}"]

    @property
    def mirror(self) -> MirrorFilter:
        """The filter that the rule commands make together. Raises InputError for what AWS would refuse of them."""
        made = self.of("filter")
        return MirrorFilter(
            tuple(Rule.of(one.request) for one in self.of("filter_rule")),
            description=str(made[0].request.get("Description", "")) if made else "",
            name=made[0].name if made else "",
        )

    def arguments(self, target: int = 0) -> dict[str, Any]:
        """What plan_mirror() takes, from the filter, its rules, one of the targets and the sessions.

        Raises InputError where a part is missing, or sessions differ in more than their source.
        """
        missing = [what for what in ("filter_rule", "target", "session") if not self.of(what)]
        if missing:
            raise InputError(
                f"the commands make no {missing[0].replace('_', ' ')}",
                hint=f"aws ec2 {_START}{missing[0].replace('_', '-')}",
            )
        first = self.of("session")[0]
        settings = ("SessionNumber", "PacketLength", "VirtualNetworkId")
        if any(one.request.get(key) != first.request.get(key) for one in self.of("session") for key in settings):
            raise InputError("the session commands differ in number, VNI or packet length", hint="make a plan for each")
        where = self.of("target")[target].request
        return {
            "name": first.name or self.mirror.name or "mirror",
            "filter": self.mirror,
            "target": next(where[key] for key in _TARGETS if key in where),
            "sources": [one.request["NetworkInterfaceId"] for one in self.of("session")],
            "number": first.request["SessionNumber"],
            "packet_length": first.request.get("PacketLength"),
            "vni": first.request.get("VirtualNetworkId"),
            "description": first.request.get("Description", ""),
        }


def seed_commands(text: str, ids: Mapping[str, str] | None = None) -> Seed:
    """All `aws ec2 create-traffic-mirror-…` commands of a text, continued lines joined; other lines are passed over.

    ids: your ids for the text's made-up ones, as {"eni-source123456": "eni-0123456789abcdef0"}.
    Raises InputError as seed_command() does.
    """
    calls = tuple(
        seed_command(line, ids) for line in command_lines(text) if re.match(rf"\s*aws\s+ec2\s+{_START}", line)
    )
    seed = Seed(calls, tuple(dict.fromkeys(notice for one in calls for notice in one.notices)))
    if not seed.of("filter_rule"):
        return seed
    halves = tuple(unanswered_text(direction, packets) for direction, packets in unanswered(seed.mirror))
    return Seed(calls, (*seed.notices, *halves))


def seed_command(line: str, ids: Mapping[str, str] | None = None) -> Call:
    """One `aws ec2 create-traffic-mirror-…` command as the request that AWS takes.

    Raises InputError for a command or option that there is not, and for a value that AWS refuses and whose meaning is not plain.
    """
    words = command_words(line)
    kind = words[2].removeprefix(_START) if words[:2] == ["aws", "ec2"] and len(words) > 2 else ""
    if kind not in _KINDS:
        raise InputError(
            f"{' '.join(words[:3])[:80]!r} is not a command that creates a mirror",
            hint=f"aws ec2 {_START}filter, -filter-rule, -target or -session",
        )
    request = _request(kind, words[3:], ids or {})
    notices = [*_KINDS[kind].check(request), *_made_up(request)]
    return Call(f"create_traffic_mirror_{kind.replace('-', '_')}", request, tuple(notices))


# --------------------------------------------------------------------------------------------------------------- options


def _request(kind: str, words: list[str], ids: Mapping[str, str]) -> dict[str, Any]:
    request: dict[str, Any] = {}
    options = _KINDS[kind].options | _COMMON
    for option, values in command_options(words, hint=f"as aws ec2 {_START}filter --description …"):
        if option in _IGNORED:
            continue
        if option not in options:
            raise InputError(f"aws ec2 {_START}{kind} has no option {option!r}", hint=f"it has {', '.join(options)}")
        member, read = options[option]
        value = " ".join(values) if option == "--tag-specifications" else one_value(option, values)
        request[member] = read(option, ids.get(value, value))
    missing = [option for option in _KINDS[kind].required if options[option][0] not in request]
    if missing:
        raise InputError(
            f"aws ec2 {_START}{kind} needs {missing[0]}", hint=f"it needs {', '.join(_KINDS[kind].required)}"
        )
    return request


def _text(option: str, value: str) -> str:
    return value


def _whole(option: str, value: str) -> int:
    if not re.fullmatch(r"-?\d+", value):
        raise InputError(f"{option} {value[:40]!r} is not a whole number")
    return int(value)


def _port_range(option: str, value: str) -> dict[str, int]:
    if value.startswith("{"):
        pairs = {str(key): str(one) for key, one in _json(option, value).items()}
    else:
        pairs = {name: one for name, _, one in (part.partition("=") for part in value.split(","))}
    if set(pairs) != {"FromPort", "ToPort"}:
        raise InputError(f"{option} {value[:60]!r} is not a range of ports", hint="as FromPort=80,ToPort=80")
    return {name: _whole(option, one) for name, one in pairs.items()}


def _tags(option: str, value: str) -> list[dict[str, Any]]:
    """The shorthand ResourceType=…,Tags=[{Key=…,Value=…},…] or JSON."""
    if value.lstrip().startswith(("[", "{")):
        found = _json(option, value)
        return found if isinstance(found, list) else [found]
    kind = re.match(r"ResourceType=([a-z-]+)", value)
    tags = [{"Key": key, "Value": held} for key, held in re.findall(r"\{Key=([^,}]*),Value=([^}]*)\}", value)]
    if kind is None or not tags:
        raise InputError(
            f"{option} {value[:60]!r} has no tags",
            hint="as ResourceType=traffic-mirror-filter,Tags=[{Key=Name,Value=web}]",
        )
    return [{"ResourceType": kind[1], "Tags": tags}]


def _json(option: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        raise InputError(f"{option} is not JSON: {value[:60]!r}", hint="check its quotes") from None


# ---------------------------------------------------------------------------------------------- what each command says


def _check_filter(request: dict[str, Any]) -> Iterator[str]:
    yield from ()


def _check_rule(request: dict[str, Any]) -> Iterator[str]:
    for mine, other in (("SourceCidrBlock", "DestinationCidrBlock"), ("DestinationCidrBlock", "SourceCidrBlock")):
        if mine not in request:
            there = request.get(other)
            request[mine] = ANYWHERE[parse_cidr(there).version if there else 4]
            option = "--" + re.sub(r"(?<!^)([A-Z])", r"-\1", mine).lower()
            yield f"{option} is missing, and AWS needs both blocks: read as {request[mine]}"
    rule = Rule.of(request)  # raises for what AWS refuses
    request["SourceCidrBlock"], request["DestinationCidrBlock"] = rule.source, rule.destination


_TARGETS = ("NetworkInterfaceId", "NetworkLoadBalancerArn", "GatewayLoadBalancerEndpointId")


def _check_target(request: dict[str, Any]) -> Iterator[str]:
    given = [key for key in _TARGETS if key in request]
    if len(given) != 1:
        raise InputError(
            f"a mirror target is one thing, and {len(given)} are named",
            hint="--network-interface-id, --network-load-balancer-arn or --gateway-load-balancer-endpoint-id",
        )
    value = str(request[given[0]])
    if value.startswith("arn:") and given[0] != "NetworkInterfaceId":
        meant = target_request(value)  # raises, with the hint, for the ARN of a Gateway Load Balancer
        if given[0] not in meant:
            raise InputError(
                "a Gateway Load Balancer endpoint is named by its id",
                subject=value,
                hint="as vpce-0123456789abcdef0; a Network Load Balancer by --network-load-balancer-arn",
            )
    if given[0] == "NetworkLoadBalancerArn":
        yield "a Network Load Balancer passes copies on only with a UDP listener on 4789 and a target group of UDP 4789: preflight looks for both"


def _check_session(request: dict[str, Any]) -> Iterator[str]:
    if request.get("PacketLength") == WHOLE_PACKETS:
        del request["PacketLength"]
        yield f"--packet-length {WHOLE_PACKETS} is left out: AWS takes up to 8500, and copies whole packets where it is absent"
    # Made for its checks: number, packet length and VNI.
    MirrorSession("", "", "", request["SessionNumber"], request.get("PacketLength"), request.get("VirtualNetworkId"))
    length = request.get("PacketLength")
    if length is not None:
        yield f"--packet-length {length} counts from after the VXLAN header, and cuts what is longer: jumbo frames have 9001 bytes"


def _made_up(request: Mapping[str, Any]) -> Iterator[str]:
    """A notice for each id of a form that AWS does not take; a plan refuses it."""
    for key, value in request.items():
        if not key.endswith("Id") or not isinstance(value, str):
            continue
        try:
            check_id(value, value.split("-", 1)[0])
        except InputError:
            yield f"{value} is made up: AWS takes a prefix and 8 or 17 hexadecimal digits; give yours in its place"


@dataclass(frozen=True)
class _Kind:
    """The options of one command, those it needs, and what is looked at."""

    options: dict[str, tuple[str, Callable[[str, str], Any]]]
    required: tuple[str, ...]
    check: Callable[[dict[str, Any]], Iterator[str]]


_COMMON: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "--description": ("Description", _text),
    "--tag-specifications": ("TagSpecifications", _tags),
}
_KINDS = {
    "filter": _Kind({}, (), _check_filter),
    "filter-rule": _Kind(
        {
            "--traffic-mirror-filter-id": ("TrafficMirrorFilterId", _text),
            "--traffic-direction": ("TrafficDirection", _text),
            "--rule-number": ("RuleNumber", _whole),
            "--rule-action": ("RuleAction", _text),
            "--protocol": ("Protocol", _whole),
            "--source-port-range": ("SourcePortRange", _port_range),
            "--destination-port-range": ("DestinationPortRange", _port_range),
            "--source-cidr-block": ("SourceCidrBlock", _text),
            "--destination-cidr-block": ("DestinationCidrBlock", _text),
        },
        ("--traffic-mirror-filter-id", "--traffic-direction", "--rule-number", "--rule-action"),
        _check_rule,
    ),
    "target": _Kind(
        {
            "--network-interface-id": ("NetworkInterfaceId", _text),
            "--network-load-balancer-arn": ("NetworkLoadBalancerArn", _text),
            "--gateway-load-balancer-endpoint-id": ("GatewayLoadBalancerEndpointId", _text),
        },
        (),
        _check_target,
    ),
    "session": _Kind(
        {
            "--network-interface-id": ("NetworkInterfaceId", _text),
            "--traffic-mirror-target-id": ("TrafficMirrorTargetId", _text),
            "--traffic-mirror-filter-id": ("TrafficMirrorFilterId", _text),
            "--session-number": ("SessionNumber", _whole),
            "--packet-length": ("PacketLength", _whole),
            "--virtual-network-id": ("VirtualNetworkId", _whole),
        },
        ("--network-interface-id", "--traffic-mirror-target-id", "--traffic-mirror-filter-id", "--session-number"),
        _check_session,
    ),
}
