"""A mirror as a Plan: filter with its rules, target, and a session for each source, tagged with run and expiry.

What exists is found and kept: a filter of the same name with the same rules, any target that points to the same place, a session
of the same name on the interface. What exists and differs is a conflict, which is shown and never replaced: changing a filter
changes every session that uses it. Everything AWS refuses is refused here, what follows from the words alone before any call.
Teardown goes session, target, rules, filter, and takes no rule from a filter that another session uses.

Sources: botocore's EC2 model (CreateTrafficMirrorFilter, …FilterRule, …Target, …Session, ModifyTrafficMirrorFilterNetworkServices);
Amazon VPC Traffic Mirroring, "Traffic mirror sessions", "Traffic mirror targets" and "Traffic Mirroring quotas".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from netkit.core import costs
from netkit.core.awscli import Ref, Request
from netkit.core.errors import AccessError, InputError
from netkit.core.plan import LEDGER_FOLDER, RUN_TAG, Action, Find, Found, Guard, Owner, Plan, Step, Undo
from netkit.core.session import Session
from netkit.mirror.filters import (
    DIRECTIONS,
    SESSION_NUMBERS,
    MirrorFilter,
    MirrorSession,
    MirrorTarget,
    Rule,
    parse_filter,
)
from netkit.mirror.ids import check_id, target_request
from netkit.mirror.limits import (
    BALANCER_LENGTH,
    SESSIONS_PER_ACCOUNT,
    SESSIONS_PER_INTERFACE,
    SOURCES_PER_INTERFACE_TARGET,
    SOURCES_PER_LARGEST_TARGET,
)
from netkit.mirror.read import Mirrors, mirrors, sources, tag

Record = Mapping[str, Any]
HOURS_A_MONTH = 730
_NAME = re.compile(r"[^\x00-\x1f]{1,255}")  # of a tag's value (EC2 User Guide, tag restrictions)
_FILTER = Ref("filter", "TrafficMirrorFilter.TrafficMirrorFilterId")
_LONGEST_DAYS = 365


# ------------------------------------------------------------------------------------------------------------------ plan


@dataclass(frozen=True)
class _Wish:
    """What was asked for, checked as far as words go."""

    name: str
    mirror: MirrorFilter
    target: dict[str, str]
    target_id: str
    number: int | None
    packet_length: int | None
    vni: int | None
    description: str

    @property
    def where(self) -> str:
        """The resource that gets the copies, or the id of the target."""
        return next(iter(self.target.values()), self.target_id)


def plan_mirror(
    session: Session,
    *,
    name: str,
    filter: MirrorFilter | str,
    target: str,
    sources: Sequence[str] = (),
    subnets: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    number: int | None = None,
    packet_length: int | None = None,
    vni: int | None = None,
    description: str = "",
    expire_days: int = 7,
    folder: Path = LEDGER_FOLDER,
    prices: Mapping[str, float] = costs.PRICES,
    today: date | None = None,
) -> Plan:
    """The plan of a mirror: reads what is there, changes nothing.

    name     Name tag of filter, target and sessions; the same name is the same run, whose ledger is taken up again
    filter   a MirrorFilter, or its short description (netkit.mirror.parse_filter)
    target   an eni-, the ARN of a Network Load Balancer, a vpce- of a Gateway Load Balancer, or a tmt- that exists
    sources, subnets, tags   what is mirrored, as netkit.mirror.read.sources() chooses; an instance stands for all its interfaces
    number   session number; None takes, on each interface, the first behind the sessions that are there, so that none loses packets
    packet_length   bytes of each packet after the VXLAN header, None (or the guide's 65535) for whole packets
    vni      None lets AWS choose

    Raises InputError for what AWS refuses: from the words alone before any call; a fourth session on an interface, a number that
    another session has, an interface that cannot be a source and a quota passed, before anything is changed. Raises AccessError
    where the mirrors that are there may not be read.
    """
    wish = _checked(name, filter, target, number, packet_length, vni, description)
    _check_sources(wish, sources, subnets, tags or {})
    if not 1 <= expire_days <= _LONGEST_DAYS:
        raise InputError(f"expire_days {expire_days} is not from 1 to {_LONGEST_DAYS}", hint="a mirror costs by the hour")  # fmt: skip
    owner = Owner(session, f"mirror {wish.name}", (today or datetime.now(UTC).date()) + timedelta(days=expire_days), folder)  # fmt: skip
    held = _seen(session)
    chosen = _chosen(session, wish, sources, subnets, tags or {})
    numbers = {one: _number(owner, wish, held, one) for one in chosen["interface_id"]}
    notices = [*_quotas(owner, wish, held, list(numbers)), *_notices(wish, held, chosen, numbers)]
    hourly = prices.get("mirror_session_usd_per_hour")
    monthly = None if hourly is None else hourly * HOURS_A_MONTH
    steps = [*_filter_steps(owner, wish), *_target_steps(owner, wish), *_session_steps(owner, wish, numbers, monthly)]
    return Plan.of(owner, steps, notices)


def _check_sources(wish: _Wish, sources: Sequence[str], subnets: Sequence[str], tags: Mapping[str, str]) -> None:
    if not (sources or subnets or tags):
        raise InputError("no source was chosen, and mirroring everything is refused", hint="name interfaces, instances, subnets or tags")  # fmt: skip
    for one in sources:
        check_id(one, "eni", "i", role="source")
    for one in subnets:
        check_id(one, "subnet", role="subnet")
    if wish.where in sources:
        raise InputError("the source is its own target", subject=wish.where, hint="AWS takes no interface as both")


def _seen(session: Session) -> Mirrors:
    """The mirrors that are there. A plan that could not see them might take a number or a place twice."""
    held = mirrors(session)
    denied = [row.note for row in held.coverage if row.state == "denied"]
    if denied:
        raise AccessError(denied[0], hint="allow the ec2:DescribeTrafficMirror… calls")
    return held


def _checked(
    name: str, mirror: MirrorFilter | str, target: str, number: int | None, packet_length: int | None, vni: int | None, description: str
) -> _Wish:  # fmt: skip
    if not _NAME.fullmatch(name) or name != name.strip():
        raise InputError(f"{name[:60]!r} cannot be a Name tag", hint="1 to 255 characters")
    if isinstance(mirror, str):
        mirror = parse_filter(mirror, name=name)
    request = target_request(target)
    # Made for its checks: number, packet length (65535 is whole packets) and VNI.
    asked = MirrorSession("", "", "", 1 if number is None else number, packet_length, vni)
    return _Wish(name, mirror, request, "" if request else target, number, asked.packet_length, asked.vni, description)


def _chosen(session: Session, wish: _Wish, ids: Sequence[str], subnets: Sequence[str], tags: Mapping[str, str]) -> pd.DataFrame:  # fmt: skip
    found = sources(session, ids, subnets, tags)
    found = found[found["interface_id"].ne(wish.where)]
    full = found["sessions"].map(len).ge(SESSIONS_PER_INTERFACE)  # whether one of them is this run's is looked at later
    refused = found[~found["usable"] & ~full]
    named = refused[refused["interface_id"].isin(ids) | refused["instance_id"].isin(ids)]
    for row in named.itertuples():
        raise InputError("this interface cannot be mirrored: " + str(row.says), subject=str(row.interface_id), hint="choose another source")  # fmt: skip
    usable = found.drop(refused.index)
    if usable.empty:
        raise InputError("nothing that was chosen can be mirrored", subject=", ".join([*subnets, *(f"{key}={value}" for key, value in tags.items())]), hint="; ".join(refused["says"].unique()[:2]) or "choose other subnets or tags")  # fmt: skip
    return usable


def _ours(owner: Owner, wish: _Wish, one: Record) -> bool:
    return tag(one, RUN_TAG) == owner.run_id or tag(one, "Name") == wish.name


def _number(owner: Owner, wish: _Wish, held: Mirrors, interface: str) -> int:
    """The session number on an interface: as asked, as it was made before, or the first behind all that are there."""
    there = held.of_interface(interface)
    mine = [one for one in there if _ours(owner, wish, one)]
    others = [one for one in there if one not in mine]
    taken = {int(one["SessionNumber"]): str(one["TrafficMirrorSessionId"]) for one in others}
    if not mine and len(others) >= SESSIONS_PER_INTERFACE:
        raise InputError(
            f"a fourth session: {interface} has {', '.join(taken.values())}, and AWS takes {SESSIONS_PER_INTERFACE}",
            subject=interface, hint="end one of them, or have one filter take what both should see",
        )  # fmt: skip
    if wish.number is None:
        return int(mine[0]["SessionNumber"]) if mine else free_number(taken)
    if wish.number in taken:
        raise InputError(
            f"session number {wish.number} on {interface} is taken by {taken[wish.number]}",
            subject=interface, hint=f"{free_number(taken)} is free; lower numbers take packets first",
        )  # fmt: skip
    return wish.number


def free_number(taken: Iterable[int]) -> int:
    """The first session number behind all that are taken on an interface, so that no other session loses packets."""
    used = set(taken)
    last = max(used, default=0) + 1
    return (
        last if last <= SESSION_NUMBERS[1] else next(one for one in range(SESSION_NUMBERS[1], 0, -1) if one not in used)
    )


def _quotas(owner: Owner, wish: _Wish, held: Mirrors, interfaces: Sequence[str]) -> Iterator[str]:
    """Raises InputError beyond what AWS takes; gives a notice where it depends on the target's size."""
    fresh = [one for one in interfaces if not any(_ours(owner, wish, two) for two in held.of_interface(one))]
    if len(held.sessions) + len(fresh) > SESSIONS_PER_ACCOUNT:
        raise InputError(f"{len(fresh)} more sessions on {len(held.sessions)} are more than the {SESSIONS_PER_ACCOUNT} of an account", hint="choose fewer sources")  # fmt: skip
    count = len(sources_of(held, wish.where) | set(interfaces))
    to_interface = "NetworkInterfaceId" in wish.target
    if to_interface and count > SOURCES_PER_LARGEST_TARGET:
        raise InputError(
            f"{count} sources for one interface, and AWS takes {SOURCES_PER_LARGEST_TARGET} at most",
            subject=wish.where, hint="put the analysis hosts behind a Network Load Balancer, which has no such limit",
        )  # fmt: skip
    if to_interface and count > SOURCES_PER_INTERFACE_TARGET:
        yield f"{count} sources for {wish.where}: AWS takes {SOURCES_PER_INTERFACE_TARGET}, and {SOURCES_PER_LARGEST_TARGET} for the largest instance sizes only"


def sources_of(held: Mirrors, resource: str) -> set[str]:
    """The interfaces with a session to a target resource (an eni-, load balancer's ARN, vpce- or tmt-)."""
    ids = {one["TrafficMirrorTargetId"] for one in held.targets if resource in (MirrorTarget.of(one).resource, one["TrafficMirrorTargetId"])}  # fmt: skip
    return {str(one["NetworkInterfaceId"]) for one in held.sessions if one.get("TrafficMirrorTargetId") in ids}


def _notices(wish: _Wish, held: Mirrors, chosen: pd.DataFrame, numbers: Mapping[str, int]) -> Iterator[str]:
    says = dict(zip(chosen["interface_id"], chosen["says"], strict=True))
    for interface, number in numbers.items():
        before = [
            str(one["TrafficMirrorSessionId"]) for one in held.of_interface(interface) if int(one["SessionNumber"]) < number
        ]  # fmt: skip
        if before:
            yield f"{interface}: session number {number} gets what {', '.join(before)} leaves, for each packet is mirrored once"
        if says[interface]:
            yield f"{interface}: {says[interface]}"
    if not wish.mirror.of_direction("ingress") or not wish.mirror.of_direction("egress"):
        yield "the filter has rules for one direction only: half of each conversation is not mirrored"


# ----------------------------------------------------------------------------------------------------------------- steps


def _tags(owner: Owner, kind: str, name: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": owner.tag_list(Name=name)}]


def _described(text: str) -> dict[str, str]:
    return {"Description": text} if text else {}


def _filter_steps(owner: Owner, wish: _Wish) -> Iterator[Step]:
    undo = Undo("ec2", "delete_traffic_mirror_filter", {"TrafficMirrorFilterId": Ref("", "TrafficMirrorFilter.TrafficMirrorFilterId")}, by_tag="tmf-")  # fmt: skip
    request = _described(wish.mirror.description or wish.description) | {"TagSpecifications": _tags(owner, "traffic-mirror-filter", wish.name)}  # fmt: skip
    yield Step(
        "filter", "mirror filter", wish.name, "ec2", "create_traffic_mirror_filter", request, _find_filter(owner, wish),
        "there is none of that name", undo, token="ClientToken",  # noqa: S106  (the name of a parameter)
    )  # fmt: skip
    for rule in wish.mirror.rules:
        yield _rule_step(owner, wish, rule)
    if wish.mirror.network_services:
        services = list(wish.mirror.network_services)
        yield Step(
            "services", "mirror filter services", ", ".join(services), "ec2", "modify_traffic_mirror_filter_network_services",
            {"TrafficMirrorFilterId": _FILTER, "AddNetworkServices": services}, _find_services,
            "packets to and from Amazon's DNS are mirrored only so", after=("filter",),
        )  # fmt: skip


def _rule_step(owner: Owner, wish: _Wish, rule: Rule) -> Step:
    # A rule taken from a filter that somebody else's session uses would change what that session mirrors.
    in_use = Guard(
        "ec2", "describe_traffic_mirror_sessions", "TrafficMirrorSessions",
        {"Filters": [{"Name": "traffic-mirror-filter-id", "Values": [_FILTER]}]}, "another session uses the filter",
    )  # fmt: skip
    undo = Undo(
        "ec2", "delete_traffic_mirror_filter_rule", {"TrafficMirrorFilterRuleId": Ref("", "TrafficMirrorFilterRule.TrafficMirrorFilterRuleId")},
        guards=(in_use,), by_tag="tmfr-",
    )  # fmt: skip
    request = {"TrafficMirrorFilterId": _FILTER, **rule.request(), "TagSpecifications": _tags(owner, "traffic-mirror-filter-rule", wish.name)}  # fmt: skip
    return Step(
        f"rule-{rule.direction}-{rule.number}", "mirror filter rule", str(rule), "ec2", "create_traffic_mirror_filter_rule", request,
        _find_rule(owner, rule), rule.description or "the filter lacks it", undo, token="ClientToken", after=("filter",),  # noqa: S106
    )  # fmt: skip


def _find_filter(owner: Owner, wish: _Wish) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        held = [
            one for one in session.pages("ec2", "describe_traffic_mirror_filters", "TrafficMirrorFilters") if _ours(owner, wish, one)
        ]  # fmt: skip
        if not held:
            return None
        # Of several this run's own, else one that is as it should be: every run finds the same one.
        order = sorted(held, key=lambda one: (tag(one, RUN_TAG) != owner.run_id, bool(_differs(one, wish)), one["TrafficMirrorFilterId"]))  # fmt: skip
        one = order[0]
        mine = tag(one, RUN_TAG) == owner.run_id
        # What this run's own filter lacks is made by the steps that follow; in another's nothing is changed.
        differs = [line for line in _differs(one, wish) if not (mine and line.startswith("lacks "))]
        name, answer = one["TrafficMirrorFilterId"], {"TrafficMirrorFilter": one}
        if differs:
            reason = f"{name} has that name and other rules"
            return Found(Action.CONFLICT, reason, answer, tuple(differs), run=tag(one, RUN_TAG))
        return Found(Action.KEEP, f"{name} has the same rules" if not mine else f"{name} is this run's", answer, run=tag(one, RUN_TAG))  # fmt: skip

    return find


def _differs(record: Record, wish: _Wish) -> list[str]:
    """What a filter of AWS's lacks, and has too much of, beside the one that is wanted; descriptions are free."""
    held = MirrorFilter.of(record)
    lines = [f"lacks {rule}" for rule in wish.mirror.rules if _at(held, rule) is None]
    for direction in DIRECTIONS:
        for rule in held.of_direction(direction):
            wanted = _at(wish.mirror, rule)
            if wanted is None:
                lines.append(f"has {rule} besides")
            elif wanted != rule:
                lines.append(f"has {rule}, not {wanted}")
    lines += [f"lacks {one}" for one in wish.mirror.network_services if one not in held.network_services]
    return lines + [f"has {one} besides" for one in held.network_services if one not in wish.mirror.network_services]


def _at(mirror: MirrorFilter, rule: Rule) -> Rule | None:
    return next((one for one in mirror.of_direction(rule.direction) if one.number == rule.number), None)


def _filter_now(session: Session, request: Request) -> Record:
    ids = [request["TrafficMirrorFilterId"]]
    found = session.pages("ec2", "describe_traffic_mirror_filters", "TrafficMirrorFilters", TrafficMirrorFilterIds=ids)
    return found[0] if found else {}


def _find_rule(owner: Owner, rule: Rule) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        record = _filter_now(session, request)
        held = _at(MirrorFilter.of(record), rule)
        if held is None:
            return None
        (raw,) = (one for key in ("IngressFilterRules", "EgressFilterRules") for one in record.get(key, ()) if one["TrafficMirrorFilterRuleId"] == held.id)  # fmt: skip
        answer = {"TrafficMirrorFilterRule": raw}
        # What describes a filter does not always name its rules' tags: the filter's then say whose they are.
        run = tag(raw, RUN_TAG) or tag(record, RUN_TAG)
        if held != rule:
            return Found(Action.CONFLICT, "its number is taken", answer, (f"has {held}, not {rule}",), run=run)
        return Found(Action.KEEP, f"{held.id} is the same", answer, run=run)

    return find


def _find_services(session: Session, request: Request) -> Found | None:
    record = _filter_now(session, request)
    if not set(request["AddNetworkServices"]) <= set(record.get("NetworkServices", ())):
        return None
    return Found(Action.KEEP, "the filter has them", {"TrafficMirrorFilter": record}, run=tag(record, RUN_TAG))


def _target_steps(owner: Owner, wish: _Wish) -> Iterator[Step]:
    if not wish.target:
        return
    undo = Undo("ec2", "delete_traffic_mirror_target", {"TrafficMirrorTargetId": Ref("", "TrafficMirrorTarget.TrafficMirrorTargetId")}, by_tag="tmt-")  # fmt: skip
    request = {**wish.target, **_described(wish.description), "TagSpecifications": _tags(owner, "traffic-mirror-target", wish.name)}  # fmt: skip
    yield Step(
        "target", "mirror target", wish.where, "ec2", "create_traffic_mirror_target", request, _find_target(owner, wish),
        "none points there yet", undo, token="ClientToken",  # noqa: S106  (the name of a parameter)
    )  # fmt: skip


def _find_target(owner: Owner, wish: _Wish) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        held = [
            one for one in session.pages("ec2", "describe_traffic_mirror_targets", "TrafficMirrorTargets")
            if MirrorTarget.of(one).resource == wish.where
        ]  # fmt: skip
        if not held:
            return None
        one = min(held, key=lambda two: (tag(two, RUN_TAG) != owner.run_id, two["TrafficMirrorTargetId"]))
        name = one["TrafficMirrorTargetId"]
        return Found(Action.KEEP, f"{name} points there", {"TrafficMirrorTarget": one}, run=tag(one, RUN_TAG))

    return find


def _session_steps(owner: Owner, wish: _Wish, numbers: Mapping[str, int], monthly_usd: float | None) -> Iterator[Step]:
    # A session before its rules would copy nothing, so it waits for all of them.
    before = ("filter", *(f"rule-{rule.direction}-{rule.number}" for rule in wish.mirror.rules), *(["target"] if wish.target else []))  # fmt: skip
    undo = Undo("ec2", "delete_traffic_mirror_session", {"TrafficMirrorSessionId": Ref("", "TrafficMirrorSession.TrafficMirrorSessionId")}, by_tag="tms-")  # fmt: skip
    optional = {"PacketLength": wish.packet_length, "VirtualNetworkId": wish.vni, "Description": wish.description or None}  # fmt: skip
    for interface, number in numbers.items():
        request = {
            "NetworkInterfaceId": interface,
            "TrafficMirrorTargetId": Ref("target", "TrafficMirrorTarget.TrafficMirrorTargetId") if wish.target else wish.target_id,
            "TrafficMirrorFilterId": _FILTER,
            "SessionNumber": number,
            **{key: value for key, value in optional.items() if value is not None},
            "TagSpecifications": _tags(owner, "traffic-mirror-session", wish.name),
        }  # fmt: skip
        yield Step(
            f"session-{interface}", "mirror session", f"{wish.name} on {interface}", "ec2", "create_traffic_mirror_session", request,
            _find_session(owner, wish), "the interface is not mirrored so yet", undo, monthly_usd=monthly_usd, token="ClientToken",  # noqa: S106
            after=before,
        )  # fmt: skip


def _find_session(owner: Owner, wish: _Wish) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        chosen = [{"Name": "network-interface-id", "Values": [request["NetworkInterfaceId"]]}]
        held = session.pages("ec2", "describe_traffic_mirror_sessions", "TrafficMirrorSessions", Filters=chosen)
        mine = [one for one in held if _ours(owner, wish, one)]
        others = [one for one in held if one not in mine]
        if not mine:
            return _in_the_way(others, request)
        one = min(mine, key=lambda two: (tag(two, RUN_TAG) != owner.run_id, two["TrafficMirrorSessionId"]))
        lines = tuple(_other_values(one, request))
        name, run = one["TrafficMirrorSessionId"], tag(one, RUN_TAG)
        answer = {"TrafficMirrorSession": one}
        if lines:
            return Found(Action.CONFLICT, f"{name} has that name and differs", answer, lines, run=run)
        return Found(Action.KEEP, f"{name} is as it should be", answer, run=run)

    return find


def _in_the_way(others: Sequence[Record], request: Request) -> Found | None:
    """A number or place that somebody took since the plan was made."""
    taken = [one["TrafficMirrorSessionId"] for one in others if one["SessionNumber"] == request["SessionNumber"]]
    if taken:
        line = f"{taken[0]} took session number {request['SessionNumber']} since; plan again"
        return Found(Action.CONFLICT, "its number is taken", difference=(line,))
    if len(others) >= SESSIONS_PER_INTERFACE:
        return Found(Action.CONFLICT, f"the interface has {len(others)} sessions", difference=("AWS takes three",))
    return None


def _other_values(one: Record, request: Request) -> Iterator[str]:
    """What a session has otherwise than asked for; a VNI that was not asked for is AWS's to choose."""
    for key in ("TrafficMirrorTargetId", "TrafficMirrorFilterId", "SessionNumber"):
        if one.get(key) != request[key]:
            yield f"{key} is {one.get(key)}, not {request[key]}"
    if "VirtualNetworkId" in request and one.get("VirtualNetworkId") != request["VirtualNetworkId"]:
        yield f"VirtualNetworkId is {one.get('VirtualNetworkId')}, not {request['VirtualNetworkId']}"
    wanted, length = request.get("PacketLength"), one.get("PacketLength")
    # AWS sets 8500 itself for a session to a Network Load Balancer that names none.
    if length != wanted and not (wanted is None and length == BALANCER_LENGTH):
        yield f"PacketLength is {length or 'whole packets'}, not {wanted or 'whole packets'}"
