"""Reachability Analyzer's API, which moto does not have: paths and analyses, answered from the sandbox's own configuration.

Sources: botocore's EC2 model (CreateNetworkInsightsPath and the rest); Reachability Analyzer guide, how-reachability-analyzer-works
(what can be an end, IPv4 only); the error codes are those that Terraform's AWS provider and AWS's CloudFormation handlers
for these resources look for. An analysis says what netkit's trace says, so here the two always agree: that proves nothing.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

import boto3
import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto.core.botocore_stubber import MockRawResponse
from moto.core.models import botocore_stubber
from moto.core.responses import ActionResult
from moto.ec2 import utils
from moto.ec2.responses import EC2Response

from netkit.core.errors import InputError
from netkit.core.model import Blocker, Verdict
from netkit.core.session import Session
from netkit.reach.analyzer.answers import analysis_of
from netkit.reach.engine.trace import trace
from netkit.reach.network.ends import find_end
from netkit.reach.network.network import network_of
from netkit.reach.network.records import Interface, address_of
from netkit.reach.network.snapshot import Snapshot
from netkit.reach.read import collect
from netkit.sandbox.services.flowlogs_api import Refused

# What can be an end, by the prefix of its id: where moto's backend keeps it.
ENDS = {
    "i": "reservations", "eni": "enis", "igw": "internet_gateways", "tgw": "transit_gateways", "tgw-attach": "transit_gateway_attachments",
    "vgw": "vpn_gateways", "vpce": "vpc_end_points", "vpce-svc": "configurations", "pcx": "vpc_pcxs",
}  # fmt: skip
TYPES = {
    "i": "instance", "eni": "network-interface", "igw": "internet-gateway", "tgw": "transit-gateway", "tgw-attach": "transit-gateway-attachment",
    "vgw": "vpn-gateway", "vpce": "vpc-endpoint", "vpce-svc": "vpc-endpoint-service", "pcx": "vpc-peering-connection",
}  # fmt: skip
_KINDS = {"path": ("nip", "NetworkInsightsPath"), "analysis": ("nia", "NetworkInsightsAnalysis")}
_PATH_MEMBERS = ("Source", "Destination", "SourceIp", "DestinationIp", "Protocol", "DestinationPort", "FilterAtSource", "FilterAtDestination")  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- paths


def create_network_insights_path(self: Any) -> ActionResult:
    """CreateNetworkInsightsPath: the same path again for a client token that was used for it."""
    request = {name: self._get_param(name) for name in _PATH_MEMBERS if self._get_param(name) not in (None, "", {})}
    _check_path(self.ec2_backend, request)
    tags = self._parse_tag_specification("network-insights-path").get("network-insights-path", {})
    self.error_on_dryrun()
    made = _once(self, "path", request, lambda: _new_path(self.ec2_backend, request))
    self.ec2_backend.create_tags([made["NetworkInsightsPathId"]], tags)
    return ActionResult({"NetworkInsightsPath": _tagged(self.ec2_backend, "path", made)})


def describe_network_insights_paths(self: Any) -> ActionResult:
    """DescribeNetworkInsightsPaths: by ids or filters, in pages."""
    self.error_on_dryrun()
    found = _held(self.ec2_backend, "path", self._get_param("NetworkInsightsPathIds", []))
    rows = [_tagged(self.ec2_backend, "path", one) for one in found]
    return _page(self, "NetworkInsightsPaths", _filtered(rows, self._filters_from_querystring(), _path_value))


def delete_network_insights_path(self: Any) -> ActionResult:
    """DeleteNetworkInsightsPath: refused while the path has analyses."""
    name = self._get_param("NetworkInsightsPathId")
    _held(self.ec2_backend, "path", [name])
    analyses = [one for one in _store(self.ec2_backend, "analysis").values() if one["NetworkInsightsPathId"] == name]
    if analyses:
        raise Refused(
            "AnalysisExistsForNetworkInsightsPath",
            f"There are existing network insights analyses for network insights path {name}",
        )
    self.error_on_dryrun()
    del _store(self.ec2_backend, "path")[name]
    self.ec2_backend.tags.pop(name, None)
    return ActionResult({"NetworkInsightsPathId": name})


def _new_path(backend: Any, request: dict[str, Any]) -> dict[str, Any]:
    name = utils.random_id("nip")
    path = {
        "NetworkInsightsPathId": name,
        "NetworkInsightsPathArn": _arn(backend, "network-insights-path", name),
        "CreatedDate": _now(),
    }
    for end in ("Source", "Destination"):
        if end in request:
            short = _short(request[end])
            path |= {end: short, f"{end}Arn": _arn(backend, TYPES[_prefix(short)], short)}
    return path | {key: value for key, value in request.items() if key not in ("Source", "Destination")}


def _check_path(backend: Any, request: dict[str, Any]) -> None:
    """Refuse what AWS refuses, before anything is made."""
    at_source, at_destination = request.get("FilterAtSource") or {}, request.get("FilterAtDestination") or {}
    if request.get("Protocol") not in ("tcp", "udp"):
        _refuse(request.get("Protocol"), "Protocol", "Protocol must be tcp or udp.")
    if at_source and {"SourceIp", "DestinationPort"} & request.keys():
        raise Refused(
            "InvalidParameterCombination", "FilterAtSource cannot be specified with SourceIp or DestinationPort."
        )
    if at_destination and "DestinationIp" in request:
        raise Refused("InvalidParameterCombination", "FilterAtDestination cannot be specified with DestinationIp.")
    if "Destination" not in request and not at_source.get("DestinationAddress"):
        raise Refused(
            "MissingParameter",
            "The request must include either the Destination parameter or the FilterAtSource.DestinationAddress parameter. Add the required parameter and retry the request.",
        )
    _check_numbers(request)
    for name in ("Source", "Destination"):
        if name == "Source" or name in request:
            _check_end(backend, str(request.get(name, "")), name)


def _check_numbers(request: dict[str, Any]) -> None:
    """Addresses and ports, those in the filters too."""
    at_source, at_destination = request.get("FilterAtSource") or {}, request.get("FilterAtDestination") or {}
    for name in ("SourceIp", "DestinationIp"):
        _check_address(request.get(name), name)
    for name, given in (("FilterAtSource", at_source), ("FilterAtDestination", at_destination)):
        for member in ("SourceAddress", "DestinationAddress"):
            _check_address(given.get(member), f"{name}.{member}")
        for member in ("SourcePortRange", "DestinationPortRange"):
            _check_ports(given.get(member), f"{name}.{member}")
    _check_ports({"FromPort": request.get("DestinationPort", 0), "ToPort": 65535}, "DestinationPort")


def _refuse(value: Any, name: str, why: str) -> None:
    raise Refused("InvalidParameterValue", f"Value ({value}) for parameter {name} is invalid. {why}")


def _check_address(text: str | None, name: str) -> None:
    if text is None:
        return
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        _refuse(text, name, "It must be an IPv4 address.")


def _check_ports(given: dict[str, Any] | None, name: str) -> None:
    if given is None:
        return
    first, last = int(given.get("FromPort", 0)), int(given.get("ToPort", 65535))
    if not 0 <= first <= last <= 65535:
        _refuse(f"{first}-{last}", name, "Ports go from 0 to 65535, the first not after the last.")


def _check_end(backend: Any, given: str, name: str) -> None:
    """An end's id: of a kind that can be one, of the right form, and there."""
    short = _short(given)
    prefix = _prefix(short)
    if prefix not in ENDS or ":elasticloadbalancing:" in given:
        _refuse(given, name, f"The resource type is not supported. Supported are: {', '.join(sorted(TYPES.values()))}.")
    if not re.fullmatch(rf"{prefix}-(?:[0-9a-f]{{8}}|[0-9a-f]{{17}})", short):
        _refuse(given, name, "The resource ID is malformed.")
    if ":" in given and given != _arn(backend, TYPES[prefix], short):
        _refuse(given, name, "The ARN is not one of a resource of this account and Region.")
    if not _exists(backend, prefix, short):
        raise Refused(f"NetworkInsights{name}.NotFound", f"The {name.lower()} {short} does not exist.")


def _exists(backend: Any, prefix: str, short: str) -> bool:
    if prefix == "i":
        return any(one.id == short for held in backend.reservations.values() for one in held.instances)
    return short in getattr(backend, ENDS[prefix], {})


def _short(given: str) -> str:
    return given.rpartition("/")[2]


def _prefix(short: str) -> str:
    """The prefix of an id, or of what looks like one: "tgw-attach" before "tgw"."""
    return next((one for one in sorted(ENDS, key=len, reverse=True) if short.startswith(f"{one}-")), "")


# ---------------------------------------------------------------------------------------------------------- analyses


def start_network_insights_analysis(self: Any) -> ActionResult:
    """StartNetworkInsightsAnalysis: running, and worked out from the configuration as it is now."""
    backend, name = self.ec2_backend, self._get_param("NetworkInsightsPathId")
    path = _held(backend, "path", [name])[0]
    request = {
        key: self._get_param(key)
        for key in ("NetworkInsightsPathId", "AdditionalAccounts", "FilterInArns", "FilterOutArns")
        if self._get_param(key)
    }
    tags = self._parse_tag_specification("network-insights-analysis").get("network-insights-analysis", {})
    self.error_on_dryrun()
    made = _once(self, "analysis", request, lambda: _new_analysis(backend, path, request))
    backend.create_tags([made["NetworkInsightsAnalysisId"]], tags)
    return ActionResult({"NetworkInsightsAnalysis": _tagged(backend, "analysis", _running(made))})


def describe_network_insights_analyses(self: Any) -> ActionResult:
    """DescribeNetworkInsightsAnalyses: by ids, path, time or filters, in pages. One that was just started is still running
    the first time that it is looked at."""
    self.error_on_dryrun()
    backend, path = self.ec2_backend, self._get_param("NetworkInsightsPathId")
    held = _held(backend, "analysis", self._get_param("NetworkInsightsAnalysisIds", []))
    if path:
        _held(backend, "path", [path])
    rows = []
    for one in held:
        if not _in_time(self, one) or path not in (None, one["NetworkInsightsPathId"]):
            continue
        rows.append(_tagged(backend, "analysis", one if one["nk_seen"] else _running(one)))
        one["nk_seen"] = True
    return _page(self, "NetworkInsightsAnalyses", _filtered(rows, self._filters_from_querystring(), _analysis_value))


def delete_network_insights_analysis(self: Any) -> ActionResult:
    """DeleteNetworkInsightsAnalysis."""
    name = self._get_param("NetworkInsightsAnalysisId")
    _held(self.ec2_backend, "analysis", [name])
    self.error_on_dryrun()
    del _store(self.ec2_backend, "analysis")[name]
    self.ec2_backend.tags.pop(name, None)
    return ActionResult({"NetworkInsightsAnalysisId": name})


def _in_time(self: Any, analysis: dict[str, Any]) -> bool:
    start, end = self._get_param("AnalysisStartTime"), self._get_param("AnalysisEndTime")
    moments = [_moment(one) if one else None for one in (start, end)]
    when = analysis["StartDate"]
    return (moments[0] is None or when >= moments[0]) and (moments[1] is None or when <= moments[1])


def _moment(given: Any) -> datetime:
    found = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _running(analysis: dict[str, Any]) -> dict[str, Any]:
    kept = ("NetworkInsightsAnalysisId", "NetworkInsightsAnalysisArn", "NetworkInsightsPathId", "AdditionalAccounts", "FilterInArns", "FilterOutArns", "StartDate")  # fmt: skip
    return {key: analysis[key] for key in kept if key in analysis} | {"Status": "running"}


def _new_analysis(backend: Any, path: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    name = utils.random_id("nia")
    analysis = request | {
        "NetworkInsightsAnalysisId": name, "NetworkInsightsAnalysisArn": _arn(backend, "network-insights-analysis", name),
        "NetworkInsightsPathId": path["NetworkInsightsPathId"], "StartDate": _now(), "nk_seen": False,
    }  # fmt: skip
    return analysis | _result(backend, path, request)


def _result(backend: Any, path: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """What the analysis comes to, in AWS's shape. What netkit's trace does not model makes it fail, with the reason."""
    unsupported = [name for name in ("AdditionalAccounts", "FilterInArns", "FilterOutArns") if name in request]
    if unsupported:
        return _failed(f"the sandbox does not analyse with {', '.join(unsupported)}")
    snapshot = snapshot_now(backend.account_id, backend.region_name)
    try:
        verdict = _one_way(verdict_of(snapshot, path))
    except InputError as problem:
        return _failed(str(problem))
    if verdict.status == "UNKNOWN":
        return _failed("; ".join(str(one) for one in verdict.unknowns))
    told = analysis_of(verdict, snapshot)
    kept = ("NetworkPathFound", "ForwardPathComponents", "ReturnPathComponents", "Explanations", "WarningMessage")
    return {"Status": "succeeded"} | {name: told[name] for name in kept if name in told}


def _one_way(verdict: Verdict) -> Verdict:
    """AWS's analyzer looks at TCP through a transit gateway's route table in the forward direction only."""
    if verdict.status == "UNKNOWN" or not any(hop.type == "transit-gateway-route-table" for hop in verdict.forward):
        return verdict
    forward = [
        replace(hop, details=(*hop.details, "UNIDIRECTIONAL_PATH_ANALYSIS_ONLY"))
        if hop.type == "transit-gateway-route-table"
        else hop
        for hop in verdict.forward
    ]
    blockers = [one for one in verdict.blockers if one.leg == "forward"]
    status = "NOT_REACHABLE" if blockers else "REACHABLE"
    return replace(verdict, status=status, forward=forward, back=[], blockers=blockers)


def _failed(why: str) -> dict[str, Any]:
    return {"Status": "failed", "StatusMessage": f"The network configuration is not supported: {why}"}


def verdict_of(snapshot: Snapshot, path: dict[str, Any]) -> Verdict:
    """The verdict on a path. As AWS's analyzer has it, a path without a port is found when any port gets through.

    Raises InputError for a combination of ends that trace() does not take.
    """
    at_source, at_end = path.get("FilterAtSource") or {}, path.get("FilterAtDestination") or {}
    network = network_of(snapshot)
    start = find_end(network, path["Source"], "source")
    source, home = path["Source"], start.interface.vpc if start.interface else ""
    address = path.get("SourceIp") or at_source.get("SourceAddress")
    if address and start.interface and not start.interface.owns(address_of(address)):
        return _not_its_own(path, start.interface, address, "egress")
    if address and start.interface is None and start.kind != "internet-gateway":
        raise InputError(f"a source address beside {source} is not modelled")
    target = path.get("DestinationIp") or at_source.get("DestinationAddress") or at_end.get("DestinationAddress")
    end = find_end(network, path["Destination"], "destination") if path.get("Destination") else None
    if target and end and end.interface and not _is_of(end.interface, target):
        return _not_its_own(path, end.interface, target, "ingress")
    client = at_source.get("SourcePortRange") or at_end.get("SourcePortRange") or {}
    ask = partial(
        trace,
        snapshot,
        source=address or source,
        destination=target or path["Destination"],
        protocol=path["Protocol"],
        source_port=client.get("FromPort") if client and client.get("FromPort") == client.get("ToPort") else None,
        vpc=home if address else "",
    )
    ports = at_source.get("DestinationPortRange") or at_end.get("DestinationPortRange") or {}
    only = path.get("DestinationPort")
    first, last = (int(only), int(only)) if only is not None else (ports.get("FromPort", 0), ports.get("ToPort", 65535))
    return _some_port(ask, first, last)


def _some_port(ask: Callable[..., Verdict], first: int, last: int) -> Verdict:
    """The verdict on one port of a range that gets through, or on the whole of it."""
    if first == last:
        return ask(port=first)
    whole = ask()
    if whole.reachable or whole.passes is None:
        return whole
    narrow = []
    for text in whole.passes.destination_ports:
        low, _, high = text.partition("-")
        port = max(first, int(low))
        if port <= min(last, int(high or low)):
            narrow.append(ask(port=port))
    return next((one for one in narrow if one.reachable), narrow[0] if narrow else whole)


def _is_of(interface: Interface, text: str) -> bool:
    value = address_of(text)
    return interface.owns(value) or value[1] in [public for _, public in interface.pairs]


def _not_its_own(path: dict[str, Any], interface: Interface, address: str, direction: str) -> Verdict:
    because = f"{address} is no address of {interface.id}"
    blocker = Blocker(
        interface.id, direction, "ENI_ADDRESS_RESTRICTION", None, because, "forward", interface.id, (interface.id,)
    )
    return Verdict(
        "NOT_REACHABLE", path["Source"], path.get("Destination", address), path["Protocol"], blockers=[blocker]
    )


# --------------------------------------------------------------------------------------------- the configuration now


def snapshot_now(account: str, region: str) -> Snapshot:
    """What the describe calls of one account and region answer at this moment, asked inside this process."""
    return collect(_session(account, region), progress=False)


@lru_cache(maxsize=16)
def _session(account: str, region: str) -> Session:
    """A session whose requests go to moto in this process, and never to a network."""
    core = botocore.session.Session(
        session_vars={"config_file": (None, None, os.devnull, None), "credentials_file": (None, None, os.devnull, None)}
    )
    core.unregister("before-send", botocore_stubber)  # moto's own, which tests switch on: it would answer too
    core.register("before-send", _answer)
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return Session(
        "sandbox", account, region, "the sandbox", boto3.Session(botocore_session=core, region_name=region, **keys)
    )


def _answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
    answered: Any = botocore_stubber.process_request(request)
    status, headers, body = answered
    return AWSResponse(request.url, status, headers, MockRawResponse(body))


# ------------------------------------------------------------------------------------------------------------ shelves


def _store(backend: Any, kind: str) -> dict[str, dict[str, Any]]:
    """Paths or analyses of an account and region. moto's reset empties a backend's dictionary, and with it these."""
    found: dict[str, dict[str, Any]] = backend.__dict__.setdefault(f"nk_insights_{kind}", {})
    return found


def _held(backend: Any, kind: str, ids: Iterable[str]) -> list[dict[str, Any]]:
    """Those of some ids, or all. Raises Refused for an id of another form, or that is not there."""
    held, (prefix, shape) = _store(backend, kind), _KINDS[kind]
    wanted = list(ids)
    for one in wanted:
        if not re.fullmatch(rf"{prefix}-[0-9a-f]{{17}}", one):
            raise Refused(f"Invalid{shape}Id.Malformed", f"Invalid id: '{one}' (expecting '{prefix}-...')")
        if one not in held:
            raise Refused(f"Invalid{shape}Id.NotFound", f"The {shape} ID '{one}' does not exist")
    return [held[one] for one in wanted] if wanted else list(held.values())


def _once(self: Any, kind: str, request: dict[str, Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was made for this client token before, or a new one."""
    tokens = self.ec2_backend.__dict__.setdefault(f"nk_insights_{kind}_tokens", {})
    token, text = self._get_param("ClientToken"), json.dumps(request, sort_keys=True)
    prefix, shape = _KINDS[kind]
    if token in tokens and tokens[token][1] in _store(self.ec2_backend, kind):
        before, name = tokens[token]
        if before != text:
            raise Refused(
                "IdempotentParameterMismatch",
                "The request uses the same client token as a previous, but non-identical request.",
            )
        return _store(self.ec2_backend, kind)[name]
    made = make()
    name = made[f"{shape}Id"]
    assert name.startswith(prefix)
    _store(self.ec2_backend, kind)[name] = made
    if token:
        tokens[token] = (text, name)
    return made


def _tagged(backend: Any, kind: str, record: dict[str, Any]) -> dict[str, Any]:
    tags = backend.tags.get(record[f"{_KINDS[kind][1]}Id"], {})
    kept = {name: value for name, value in record.items() if not name.startswith("nk_")}
    return kept | {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _filtered(
    rows: list[dict[str, Any]], filters: dict[str, Any], value_of: Callable[[dict[str, Any], str], Any]
) -> list[dict[str, Any]]:
    def keeps(row: dict[str, Any]) -> bool:
        return all(_fits(row, name, values, value_of) for name, values in filters.items())

    return [row for row in rows if keeps(row)]


def _fits(row: dict[str, Any], name: str, values: list[str], value_of: Callable[[dict[str, Any], str], Any]) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in row["Tags"]}
    if name == "tag-key":
        return bool(tags.keys() & set(values))
    found = tags.get(name[4:]) if name.startswith("tag:") else value_of(row, name)
    return found is not None and str(found) in values


def _path_value(row: dict[str, Any], name: str) -> Any:
    plain = {"source": "Source", "destination": "Destination", "protocol": "Protocol"}
    if name in plain:
        return row.get(plain[name])
    end, _, member = name.partition(".")
    ends = {"filter-at-source": "FilterAtSource", "filter-at-destination": "FilterAtDestination"}
    members = {"source-address": "SourceAddress", "destination-address": "DestinationAddress", "source-port-range": "SourcePortRange", "destination-port-range": "DestinationPortRange"}  # fmt: skip
    if end not in ends or member not in members:
        raise Refused("InvalidParameterValue", f"The filter '{name}' is invalid")
    found = (row.get(ends[end]) or {}).get(members[member])
    return f"{found['FromPort']}-{found['ToPort']}" if isinstance(found, dict) else found


def _analysis_value(row: dict[str, Any], name: str) -> Any:
    if name == "status":
        return row["Status"]
    if name == "path-found":
        found = row.get("NetworkPathFound")
        return None if found is None else str(found).lower()
    raise Refused("InvalidParameterValue", f"The filter '{name}' is invalid")


def _page(self: Any, key: str, rows: list[dict[str, Any]]) -> ActionResult:
    given, token = self._get_param("MaxResults"), self._get_param("NextToken")
    if given is not None and not 1 <= int(given) <= 100:
        _refuse(given, "maxResults", "It must be between 1 and 100.")
    if token and not str(token).isdigit():
        raise Refused("InvalidNextToken", "The token is not valid.")
    first, most = int(token or 0), int(given or 100)
    more = {"NextToken": str(first + most)} if first + most < len(rows) else {}
    return ActionResult({key: rows[first : first + most]} | more)


def _arn(backend: Any, kind: str, name: str) -> str:
    return f"arn:{backend.partition}:ec2:{backend.region_name}:{backend.account_id}:{kind}/{name}"


def _now() -> datetime:
    return datetime.now(UTC)


_CALLS = (
    create_network_insights_path, describe_network_insights_paths, delete_network_insights_path,
    start_network_insights_analysis, describe_network_insights_analyses, delete_network_insights_analysis,
)  # fmt: skip


def install() -> None:
    """Give moto's EC2 these calls, and its tags the two kinds of ids."""
    for call in _CALLS:
        setattr(EC2Response, call.__name__, call)
    for kind, (prefix, _) in _KINDS.items():
        name = f"network-insights-{kind}"
        utils.EC2_RESOURCE_TO_PREFIX[name] = prefix
        utils.EC2_PREFIX_TO_RESOURCE[prefix] = name
