"""Traffic Mirroring's API, where moto makes filters without rules and takes everything: rules, changes, deletes, refusals.

Sources: botocore's EC2 model; EC2 API Reference, the operations' pages and "Error codes" (those that begin with
TrafficMirror); Amazon VPC Traffic Mirroring, "Traffic mirror filters", "Traffic mirror sessions", "Quotas". That page has
InvalidTrafficMirrorFilterNotFound where Terraform's AWS provider, whose tests run against AWS, meets
InvalidTrafficMirrorFilterId.NotFound: the latter is used here. NetworkInterfaceNotSupported and InvalidTrafficMirrorTarget
are from users' reports. Documented nowhere, and so a guess: InvalidParameterValue for numbers out of range or in use, for a
source that is a target, for CIDR blocks and ports that do not go together; and that rule numbers end at 32766.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2 import utils
from moto.ec2.exceptions import InvalidNetworkInterfaceIdError
from moto.ec2.models.elastic_network_interfaces import NetworkInterfaceBackend
from moto.ec2.responses import EC2Response
from moto.elbv2.models import elbv2_backends
from moto.moto_api._internal import mock_random

from netkit.sandbox.services.flowlogs_api import Refused

Record = dict[str, Any]
MOST_RULES, MOST_SESSIONS, MOST_SOURCES = 10, 3, 10  # per filter, per source interface, per target interface
LARGEST_PACKET, LARGEST_VNI, LARGEST_NUMBER = 8500, 2**24 - 1, 32766
_PORTED = (6, 17)
_DIRECTIONS = {"ingress": "IngressFilterRules", "egress": "EgressFilterRules"}
# Instance families before Nitro, which AWS refuses as sources; it does not publish the list of those that it refuses.
_OLD_FAMILIES = {"t1", "t2", "m1", "m2", "m3", "c1", "c3", "r3", "g2", "i2", "cc2", "cr1", "hs1"}
_TARGETS = {
    "NetworkInterfaceId": "network-interface",
    "NetworkLoadBalancerArn": "network-load-balancer",
    "GatewayLoadBalancerEndpointId": "gateway-load-balancer-endpoint",
}


@dataclass(frozen=True)
class Kind:
    """One of the four things: the prefix of its ids, its name in members and in tags, moto's dictionary, its filters."""

    prefix: str
    member: str
    tag: str
    shelf: str
    filters: tuple[str, ...]

    @property
    def id(self) -> str:
        """The member that holds its id."""
        return f"{self.member}Id"


FILTER = Kind("tmf", "TrafficMirrorFilter", "traffic-mirror-filter", "traffic_mirror_filters", ("description", "traffic-mirror-filter-id"))  # fmt: skip
RULE = Kind(
    "tmfr", "TrafficMirrorFilterRule", "traffic-mirror-filter-rule", "nk_mirror_rules",
    ("description", "destination-cidr-block", "protocol", "rule-action", "rule-number", "source-cidr-block", "traffic-direction",
     "traffic-mirror-filter-id", "traffic-mirror-filter-rule-id"),
)  # fmt: skip
TARGET = Kind(
    "tmt", "TrafficMirrorTarget", "traffic-mirror-target", "traffic_mirror_targets",
    ("description", "network-interface-id", "network-load-balancer-arn", "owner-id", "traffic-mirror-target-id"),
)  # fmt: skip
SESSION = Kind(
    "tms", "TrafficMirrorSession", "traffic-mirror-session", "nk_mirror_sessions",  # moto's tagging API reads its own as objects
    ("description", "network-interface-id", "owner-id", "packet-length", "session-number", "traffic-mirror-filter-id",
     "traffic-mirror-session-id", "traffic-mirror-target-id", "virtual-network-id"),
)  # fmt: skip
KINDS = (FILTER, RULE, TARGET, SESSION)


# ------------------------------------------------------------------------------------------------------------ shelves


def shelf(backend: Any, kind: Kind) -> dict[str, Record]:
    """What there is of a kind, by id: moto's own dictionaries, so that its reset empties them."""
    found: dict[str, Record] = backend.__dict__.setdefault(kind.shelf, {})
    return found


def held(backend: Any, kind: Kind, name: Any) -> Record:
    """The one with that id. Raises Refused for an id of another form, or that is not there."""
    if not re.fullmatch(rf"{kind.prefix}-[0-9a-f]{{17}}", str(name)):
        raise Refused(f"Invalid{kind.id}.Malformed", f"Invalid id: '{name}' (expecting '{kind.prefix}-...')")
    if name not in shelf(backend, kind):
        raise Refused(f"Invalid{kind.id}.NotFound", f"The {kind.id} '{name}' does not exist")
    return shelf(backend, kind)[name]


def told(backend: Any, kind: Kind, record: Record) -> Record:
    """A record as AWS tells it: with its tags, and a filter with its rules in the order in which they are tried."""
    tags = [{"Key": key, "Value": value} for key, value in backend.tags.get(record[kind.id], {}).items()]
    record = record | {"Tags": tags}
    if kind is FILTER:
        for direction, member in _DIRECTIONS.items():
            rules = [one for one in _rules(backend, record[kind.id]) if one["TrafficDirection"] == direction]
            record[member] = [told(backend, RULE, one) for one in sorted(rules, key=lambda one: one["RuleNumber"])]
    return record


def _rules(backend: Any, mirror: str) -> list[Record]:
    return [one for one in shelf(backend, RULE).values() if one["TrafficMirrorFilterId"] == mirror]


def _add(backend: Any, kind: Kind, members: Record, tags: dict[str, str]) -> Record:
    record = {kind.id: utils.random_id(kind.prefix)} | {key: value for key, value in members.items() if value is not None}  # fmt: skip
    shelf(backend, kind)[record[kind.id]] = record
    backend.create_tags([record[kind.id]], tags)
    return record


def _drop(backend: Any, kind: Kind, name: str) -> None:
    del shelf(backend, kind)[name]
    backend.tags.pop(name, None)


def _refuse(value: Any, name: str, why: str) -> None:
    raise Refused("InvalidParameterValue", f"Value ({value}) for parameter {name} is invalid. {why}")


def _within(value: int | None, last: int, name: str) -> None:
    if value is not None and not 1 <= value <= last:
        _refuse(value, name, f"It must be between 1 and {last}.")


def _need(request: Record, *names: str) -> None:
    for name in names:
        if request.get(name) in (None, ""):
            raise Refused("MissingParameter", f"The request must contain the parameter {name}")


# ------------------------------------------------------------------------------------------------- filters and rules


def check_rule(backend: Any, rule: Record, itself: str = "") -> None:
    """Refuse a rule that AWS would not take, or that has the number of another one of its filter and direction."""
    _need(rule, "TrafficDirection", "RuleNumber", "RuleAction", "SourceCidrBlock", "DestinationCidrBlock")
    for name, allowed in (("TrafficDirection", tuple(_DIRECTIONS)), ("RuleAction", ("accept", "reject"))):
        if rule[name] not in allowed:
            _refuse(rule[name], name, f"It must be {' or '.join(allowed)}.")
    _within(rule["RuleNumber"], LARGEST_NUMBER, "RuleNumber")
    _check_blocks(rule)
    _check_ports(rule)
    others = [one for one in _rules(backend, rule["TrafficMirrorFilterId"]) if one[RULE.id] != itself]
    if len(others) >= MOST_RULES:
        raise Refused("TrafficMirrorFilterRuleLimitExceeded", f"The maximum number of Traffic Mirror filter rules ({MOST_RULES}) has been exceeded.")  # fmt: skip
    if any(all(one[key] == rule[key] for key in ("TrafficDirection", "RuleNumber")) for one in others):
        raise Refused(
            "TrafficMirrorFilterRuleAlreadyExists",
            f"The {rule['TrafficDirection']} rule number {rule['RuleNumber']} already exists in {rule['TrafficMirrorFilterId']}",
        )


def _check_blocks(rule: Record) -> None:
    families = set()
    for name in ("SourceCidrBlock", "DestinationCidrBlock"):
        try:
            block = ipaddress.ip_network(rule[name], strict=False)
        except ValueError:
            _refuse(rule[name], name, "It must be a CIDR block.")
        rule[name] = str(block)
        families.add(block.version)
    if len(families) > 1:
        _refuse(rule["DestinationCidrBlock"], "DestinationCidrBlock", f"It must be of the family of {rule['SourceCidrBlock']}.")  # fmt: skip


def _check_ports(rule: Record) -> None:
    protocol = rule.get("Protocol")
    if protocol is not None and not 0 <= protocol <= 255:
        _refuse(protocol, "Protocol", "It must be a protocol number.")
    for name in ("SourcePortRange", "DestinationPortRange"):
        if not rule.get(name):
            rule.pop(name, None)
            continue
        first, last = int(rule[name].get("FromPort", 0)), int(rule[name].get("ToPort", 65535))
        rule[name] = {"FromPort": first, "ToPort": last}
        if protocol not in _PORTED:
            _refuse(protocol, "Protocol", f"{name} goes with protocols 6 (TCP) and 17 (UDP) only.")
        if not 0 <= first <= last <= 65535:
            _refuse(f"{first}-{last}", name, "Ports go from 0 to 65535, the first not after the last.")


def new_filter(backend: Any, request: Record, tags: dict[str, str]) -> Record:
    """A filter without rules, which mirrors nothing."""
    return _add(backend, FILTER, {"Description": request.get("Description"), "NetworkServices": []}, tags)


def new_rule(backend: Any, request: Record, tags: dict[str, str]) -> Record:
    """A rule of a filter, checked before."""
    return _add(backend, RULE, request, tags)


def change_services(mirror: Record, add: Iterable[str], remove: Iterable[str]) -> None:
    """Mirror, or no longer mirror, Amazon's DNS, the only network service there is."""
    for name in (*add, *remove):
        if name != "amazon-dns":
            _refuse(name, "NetworkServices", "It must be amazon-dns.")
    mirror["NetworkServices"] = sorted({*mirror["NetworkServices"], *add} - set(remove))


# ----------------------------------------------------------------------------------------------- targets and sessions


def new_target(backend: Any, request: Record, tags: dict[str, str]) -> Record:
    """A target, checked before."""
    kind = next(kind for member, kind in _TARGETS.items() if request.get(member))
    return _add(backend, TARGET, request | {"Type": kind, "OwnerId": backend.account_id}, tags)


def check_target(backend: Any, request: Record) -> None:
    """Refuse anything but one target, of the right kind and there."""
    given = [name for name in _TARGETS if request.get(name)]
    if len(given) != 1:
        raise Refused("InvalidParameterCombination" if given else "MissingParameter", f"Exactly one of {', '.join(_TARGETS)} must be specified.")  # fmt: skip
    name = str(request[given[0]])
    if given[0] == "NetworkInterfaceId":
        try:
            eni = backend.get_network_interface(name)
        except InvalidNetworkInterfaceIdError:
            # the code that users of CloudFormation and Terraform report
            raise Refused("InvalidTrafficMirrorTarget", f"The interface ID '{name}' does not exist") from None
        if any(one["NetworkInterfaceId"] == eni.id for one in shelf(backend, SESSION).values()):
            _refuse(name, given[0], "It is the source of a Traffic Mirror session.")
    elif given[0] == "NetworkLoadBalancerArn":
        _check_balancer(backend, name)
    else:
        endpoint = backend.vpc_end_points.get(name)
        if not re.fullmatch(r"vpce-(?:[0-9a-f]{8}|[0-9a-f]{17})", name):
            raise Refused("InvalidVpcEndpointId.Malformed", f"Invalid Id: '{name}' (expecting 'vpce-...')")
        if endpoint is None or endpoint.type != "GatewayLoadBalancer":
            raise Refused("InvalidVpcEndpointId.NotFound", f"The Gateway Load Balancer endpoint '{name}' does not exist")  # fmt: skip


def _check_balancer(backend: Any, arn: str) -> None:
    found = elbv2_backends[backend.account_id][backend.region_name].load_balancers.get(arn)
    if found is None or found.type != "network":
        _refuse(arn, "NetworkLoadBalancerArn", "It is no Network Load Balancer of this account and Region.")


def check_session(backend: Any, session: Record) -> None:
    """Refuse a session that AWS would not take; `session` has its id when it is there already."""
    target = held(backend, TARGET, session[TARGET.id])
    held(backend, FILTER, session[FILTER.id])
    _need(session, "SessionNumber")
    _within(session["SessionNumber"], LARGEST_NUMBER, "SessionNumber")
    _within(session.get("PacketLength"), LARGEST_PACKET, "PacketLength")
    _within(session.get("VirtualNetworkId"), LARGEST_VNI, "VirtualNetworkId")
    eni = backend.get_network_interface(session["NetworkInterfaceId"])
    _check_source(backend, eni)
    others = [one for one in shelf(backend, SESSION).values() if one.get(SESSION.id) != session.get(SESSION.id)]
    beside = [one for one in others if one["NetworkInterfaceId"] == eni.id]
    if any(one["SessionNumber"] == session["SessionNumber"] for one in beside):
        _refuse(session["SessionNumber"], "SessionNumber", f"The session number is already being used for {eni.id}.")
    if len(beside) >= MOST_SESSIONS:
        raise Refused("TrafficMirrorSessionsPerInterfaceLimitExceeded", f"The allowed number of Traffic Mirror sessions for {eni.id} has been exceeded.")  # fmt: skip
    if target["Type"] == "network-interface":
        _check_room(backend, eni.id, target["NetworkInterfaceId"], others)


def _check_room(backend: Any, source: str, target: str, others: Iterable[Record]) -> None:
    """An interface takes so many sources, by whichever of its targets they come."""
    same = {name for name, one in shelf(backend, TARGET).items() if one.get("NetworkInterfaceId") == target}
    sources = {one["NetworkInterfaceId"] for one in others if one[TARGET.id] in same}
    if len(sources | {source}) > MOST_SOURCES:
        raise Refused("TrafficMirrorSourcesPerTargetLimitExceeded", f"The maximum number of Traffic Mirror sources for {target} has been exceeded.")  # fmt: skip


def _check_source(backend: Any, eni: Any) -> None:
    """A source is an interface of an instance, or one that RDS or ElastiCache manages, and no target."""
    managed = str(eni.description).startswith(("RDSNetworkInterface", "ElastiCache"))
    family = str(getattr(eni.instance, "instance_type", "")).partition(".")[0]
    if eni.interface_type != "interface" or not (eni.instance or managed) or family in _OLD_FAMILIES:
        raise Refused("NetworkInterfaceNotSupported", f"{eni.id} must be attached to a supported instance")
    if any(one.get("NetworkInterfaceId") == eni.id for one in shelf(backend, TARGET).values()):
        _refuse(eni.id, "NetworkInterfaceId", "It is a Traffic Mirror target.")


def new_session(backend: Any, request: Record, tags: dict[str, str]) -> Record:
    """A session, checked before."""
    session = request | {"OwnerId": backend.account_id}
    settle(backend, session)
    return _add(backend, SESSION, session, tags)


def settle(backend: Any, session: Record) -> None:
    """Give a session what it was not given: a VNI that no other one has, and 8500 bytes where the target is an NLB."""
    used = {one.get("VirtualNetworkId") for one in shelf(backend, SESSION).values()}
    while session.get("VirtualNetworkId") is None:
        vni = mock_random.randint(1, LARGEST_VNI)
        session["VirtualNetworkId"] = None if vni in used else vni
    if session.get("PacketLength") is None and held(backend, TARGET, session[TARGET.id])["Type"] == "network-load-balancer":  # fmt: skip
        session["PacketLength"] = LARGEST_PACKET


# ----------------------------------------------------------------------------------------------------------- the calls

_RULE_MEMBERS = ("TrafficMirrorFilterId", "TrafficDirection", "RuleNumber", "RuleAction", "DestinationPortRange", "SourcePortRange", "Protocol", "DestinationCidrBlock", "SourceCidrBlock", "Description")  # fmt: skip
_SESSION_MEMBERS = ("NetworkInterfaceId", "TrafficMirrorTargetId", "TrafficMirrorFilterId", "PacketLength", "SessionNumber", "VirtualNetworkId", "Description")  # fmt: skip
_NUMBERS = ("RuleNumber", "Protocol", "PacketLength", "SessionNumber", "VirtualNetworkId")
_REMOVABLE = {
    "packet-length": "PacketLength", "description": "Description", "virtual-network-id": "VirtualNetworkId",
    "destination-port-range": "DestinationPortRange", "source-port-range": "SourcePortRange", "protocol": "Protocol",
}  # fmt: skip


def create_traffic_mirror_filter(self: Any) -> ActionResult:
    """CreateTrafficMirrorFilter."""
    return _create(self, FILTER, _given(self, ("Description",)), lambda *_: None, new_filter)


def create_traffic_mirror_filter_rule(self: Any) -> ActionResult:
    """CreateTrafficMirrorFilterRule: both CIDR blocks are required."""
    request = _given(self, _RULE_MEMBERS)
    held(self.ec2_backend, FILTER, request.get(FILTER.id))
    return _create(self, RULE, request, check_rule, new_rule)


def create_traffic_mirror_target(self: Any) -> ActionResult:
    """CreateTrafficMirrorTarget: of exactly one kind."""
    return _create(self, TARGET, _given(self, (*_TARGETS, "Description")), check_target, new_target)


def create_traffic_mirror_session(self: Any) -> ActionResult:
    """CreateTrafficMirrorSession."""
    request = _given(self, _SESSION_MEMBERS)
    _need(request, "NetworkInterfaceId", TARGET.id, FILTER.id)
    return _create(self, SESSION, request, check_session, new_session)


def describe_traffic_mirror_filters(self: Any) -> ActionResult:
    """DescribeTrafficMirrorFilters: each with its rules."""
    return _describe(self, FILTER, shelf(self.ec2_backend, FILTER).values())


def describe_traffic_mirror_filter_rules(self: Any) -> ActionResult:
    """DescribeTrafficMirrorFilterRules: of one filter, or all."""
    mirror = self._get_param(FILTER.id)
    if mirror:
        held(self.ec2_backend, FILTER, mirror)
    return _describe(self, RULE, _rules(self.ec2_backend, mirror) if mirror else shelf(self.ec2_backend, RULE).values())


def describe_traffic_mirror_targets(self: Any) -> ActionResult:
    """DescribeTrafficMirrorTargets."""
    return _describe(self, TARGET, shelf(self.ec2_backend, TARGET).values())


def describe_traffic_mirror_sessions(self: Any) -> ActionResult:
    """DescribeTrafficMirrorSessions. A session has no state."""
    return _describe(self, SESSION, shelf(self.ec2_backend, SESSION).values())


def modify_traffic_mirror_filter_network_services(self: Any) -> ActionResult:
    """ModifyTrafficMirrorFilterNetworkServices."""
    backend = self.ec2_backend
    mirror = held(backend, FILTER, self._get_param(FILTER.id))
    after = dict(mirror)
    change_services(after, self._get_param("AddNetworkServices", []), self._get_param("RemoveNetworkServices", []))
    self.error_on_dryrun()
    mirror.update(after)
    return ActionResult({FILTER.member: told(backend, FILTER, mirror)})


def modify_traffic_mirror_filter_rule(self: Any) -> ActionResult:
    """ModifyTrafficMirrorFilterRule: what is given, and RemoveFields."""
    backend = self.ec2_backend
    rule = held(backend, RULE, self._get_param(RULE.id))
    after = _changed(self, rule, _RULE_MEMBERS[1:], ("destination-port-range", "source-port-range", "protocol", "description"))  # fmt: skip
    check_rule(backend, after, rule[RULE.id])
    self.error_on_dryrun()
    _replace(rule, after)
    return ActionResult({RULE.member: told(backend, RULE, rule)})


def modify_traffic_mirror_session(self: Any) -> ActionResult:
    """ModifyTrafficMirrorSession: what is given; what RemoveFields names goes back to its default."""
    backend = self.ec2_backend
    session = held(backend, SESSION, self._get_param(SESSION.id))
    after = _changed(self, session, _SESSION_MEMBERS[1:], ("packet-length", "description", "virtual-network-id"))
    check_session(backend, after)
    self.error_on_dryrun()
    settle(backend, after)
    _replace(session, after)
    return ActionResult({SESSION.member: told(backend, SESSION, session)})


def delete_traffic_mirror_filter(self: Any) -> ActionResult:
    """DeleteTrafficMirrorFilter: with its rules, refused while a session uses it."""
    return _delete(self, FILTER, "TrafficMirrorFilterInUse")


def delete_traffic_mirror_filter_rule(self: Any) -> ActionResult:
    """DeleteTrafficMirrorFilterRule."""
    return _delete(self, RULE)


def delete_traffic_mirror_target(self: Any) -> ActionResult:
    """DeleteTrafficMirrorTarget: refused while a session uses it."""
    return _delete(self, TARGET, "TrafficMirrorTargetInUseException")


def delete_traffic_mirror_session(self: Any) -> ActionResult:
    """DeleteTrafficMirrorSession."""
    return _delete(self, SESSION)


def _given(self: Any, names: Sequence[str]) -> Record:
    request = {name: self._get_param(name) for name in names}
    kept = {name: value for name, value in request.items() if value not in (None, {})}
    return {name: int(value) if name in _NUMBERS else value for name, value in kept.items()}


def _create(
    self: Any, kind: Kind, request: Record, check: Callable[[Any, Record], None], make: Callable[[Any, Record, dict[str, str]], Record]
) -> ActionResult:  # fmt: skip
    """Make one, or give what was made for this client token before (EC2 API Reference, "Ensuring idempotency")."""
    backend, token = self.ec2_backend, self._get_param("ClientToken")
    tags = self._parse_tag_specification(kind.tag).get(kind.tag, {})
    tokens = backend.__dict__.setdefault("nk_mirror_tokens", {})
    text = json.dumps([kind.tag, request, tags], sort_keys=True)
    before, name = tokens.get(token, ("", ""))
    if token and name in shelf(backend, kind):
        if before != text:
            raise Refused(
                "IdempotentParameterMismatch",
                "The request uses the same client token as a previous, but non-identical request.",
            )
        made = shelf(backend, kind)[name]
    else:
        check(backend, request)
        self.error_on_dryrun()
        made = make(backend, request, tags)
        if token:
            tokens[token] = (text, made[kind.id])
    return ActionResult({kind.member: told(backend, kind, made), "ClientToken": token or made[kind.id]})


def _changed(self: Any, record: Record, members: Sequence[str], removable: Sequence[str]) -> Record:
    after = record | _given(self, members)
    for name in self._get_param("RemoveFields", []):
        if name not in removable:
            _refuse(name, "RemoveFields", f"It must be one of {', '.join(removable)}.")
        after.pop(_REMOVABLE[name], None)
    return after


def _replace(record: Record, after: Record) -> None:
    record.clear()
    record.update(after)


def _delete(self: Any, kind: Kind, in_use: str = "") -> ActionResult:
    backend, name = self.ec2_backend, self._get_param(kind.id)
    held(backend, kind, name)
    users = [one[SESSION.id] for one in shelf(backend, SESSION).values() if in_use and one[kind.id] == name]
    if users:
        raise Refused(in_use, f"{name} cannot be deleted because a Traffic Mirror session ({users[0]}) is currently using it.")  # fmt: skip
    self.error_on_dryrun()
    if kind is FILTER:
        for rule in _rules(backend, name):
            _drop(backend, RULE, rule[RULE.id])
    _drop(backend, kind, name)
    return ActionResult({kind.id: name})


def _describe(self: Any, kind: Kind, records: Iterable[Record]) -> ActionResult:
    """Those with some ids, that the filters let through, a page of them."""
    self.error_on_dryrun()
    backend, ids = self.ec2_backend, self._get_param(f"{kind.id}s", [])
    for one in ids:
        held(backend, kind, one)
    found = [told(backend, kind, one) for one in records if not ids or one[kind.id] in ids]
    for name, values in (self._filters_from_querystring() or {}).items():
        found = [one for one in found if _fits(kind, one, name, values)]
    most, token = self._get_param("MaxResults"), self._get_param("NextToken")
    if most is not None and not 5 <= int(most) <= 1000:
        _refuse(most, "maxResults", "It must be between 5 and 1000.")
    if token and not str(token).isdigit():
        raise Refused("InvalidNextToken", "The token is not valid.")
    first, last = int(token or 0), int(token or 0) + int(most or 1000)
    more = {"NextToken": str(last)} if last < len(found) else {}
    return ActionResult({f"{kind.member}s": found[first:last]} | more)


def _fits(kind: Kind, record: Record, name: str, values: Sequence[str]) -> bool:
    """Whether a record passes one filter; "*" and "?" stand for any letters."""
    tags = {tag["Key"]: tag["Value"] for tag in record["Tags"]}
    if name == "tag-key":
        found: list[Any] = list(tags)
    elif name.startswith("tag:"):
        found = [tags[name[4:]]] if name[4:] in tags else []
    elif name in kind.filters:
        found = [record[member] for member in record if _dashed(member) == name]
    else:
        raise Refused("InvalidParameterValue", f"The filter '{name}' is invalid")
    return any(fnmatchcase(str(one), str(value)) for one in found for value in values)


def _dashed(member: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", member).lower()


def _with_sessions(delete: Callable[..., None]) -> Callable[..., None]:
    """Sessions end with their source ("Traffic Mirroring limitations": deleted automatically)."""

    @functools.wraps(delete)
    def wrapped(self: Any, eni_id: str) -> None:
        delete(self, eni_id)
        for name, session in list(shelf(self, SESSION).items()):
            if session["NetworkInterfaceId"] == eni_id:
                _drop(self, SESSION, name)

    return wrapped


_CALLS = (
    create_traffic_mirror_filter, create_traffic_mirror_filter_rule, create_traffic_mirror_target, create_traffic_mirror_session,
    describe_traffic_mirror_filters, describe_traffic_mirror_filter_rules, describe_traffic_mirror_targets,
    describe_traffic_mirror_sessions, modify_traffic_mirror_filter_network_services, modify_traffic_mirror_filter_rule,
    modify_traffic_mirror_session, delete_traffic_mirror_filter, delete_traffic_mirror_filter_rule, delete_traffic_mirror_target,
    delete_traffic_mirror_session,
)  # fmt: skip


def install() -> None:
    """Put these in place of moto's, once, and give its tags the four kinds of ids."""
    if EC2Response.create_traffic_mirror_filter is create_traffic_mirror_filter:
        return
    NetworkInterfaceBackend.delete_network_interface = _with_sessions(NetworkInterfaceBackend.delete_network_interface)  # type: ignore[method-assign]
    for call in _CALLS:
        setattr(EC2Response, call.__name__, call)
    for kind in KINDS:
        utils.EC2_PREFIX_TO_RESOURCE.pop(utils.EC2_RESOURCE_TO_PREFIX.get(kind.tag, ""), None)
        utils.EC2_RESOURCE_TO_PREFIX[kind.tag] = kind.prefix
        utils.EC2_PREFIX_TO_RESOURCE[kind.prefix] = kind.tag
