"""A question to AWS's Reachability Analyzer as a Plan: the path, found or created, and an analysis of it.

Each analysis is charged. What AWS refuses is refused here before the first call: the ends that it takes, IPv4, tcp and udp.

Sources: botocore's EC2 model (CreateNetworkInsightsPath, StartNetworkInsightsAnalysis); Reachability Analyzer guide,
"How Reachability Analyzer works" (ends, what is not considered) and "Getting started" (an address as destination).
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from netkit.core import costs
from netkit.core.awscli import Ref, Request
from netkit.core.errors import InputError, PlanError
from netkit.core.net import parse_port
from netkit.core.plan import LEDGER_FOLDER, RUN_TAG, Action, Find, Found, Owner, Plan, Step, Undo
from netkit.core.session import Session

# Ids that AWS takes as source or destination, by prefix.
ENDS = {
    "i": "instance", "eni": "network-interface", "igw": "internet-gateway", "tgw": "transit-gateway", "tgw-attach": "transit-gateway-attachment",
    "vgw": "vpn-gateway", "vpce": "vpc-endpoint", "vpce-svc": "vpc-endpoint-service", "pcx": "vpc-peering-connection",
}  # fmt: skip
_TAKES = "AWS takes an instance (i-), network interface (eni-), internet gateway (igw-), transit gateway (tgw-) or attachment (tgw-attach-), VPN gateway (vgw-), endpoint (vpce-), endpoint service (vpce-svc-) or peering (pcx-), and an IPv4 address as destination"
_ID = re.compile(rf"({'|'.join(sorted(ENDS, key=len, reverse=True))})-(?:[0-9a-f]{{8}}|[0-9a-f]{{17}})")
_ARN = re.compile(r"arn:[^:]+:ec2:[^:]*:\d{12}:[a-z-]+/(.+)")


def path_request(
    source: str,
    destination: str,
    protocol: str,
    port: int | str | None = None,
    *,
    source_port: int | str | None = None,
    source_address: str = "",
) -> dict[str, Any]:
    """The request of CreateNetworkInsightsPath for a question, without tags.

    source, destination   ids or EC2 ARNs; destination may be an IPv4 address
    source_port           the client's port, or its ports as "32768-61000": AWS asks whether any of them gets through
    source_address        the packets' source, where the source is a gateway

    Raises InputError for what AWS refuses.
    """
    if str(protocol).lower() not in ("tcp", "udp"):
        raise InputError(f"AWS's analyzer knows tcp and udp, not {protocol}", hint="the snapshot answers it")
    request: dict[str, Any] = {"Source": _end(source, "source"), "Protocol": str(protocol).lower()}
    filters: dict[str, Any] = {}
    if _is_address(destination):
        filters["DestinationAddress"] = _ipv4(destination, "destination")
    else:
        request["Destination"] = _end(destination, "destination")
    if source_port is not None:
        first, _, last = str(source_port).partition("-")
        ports = [parse_port(one, name="source port") for one in (first, last or first)]
        filters["SourcePortRange"] = {"FromPort": ports[0], "ToPort": ports[1]}
    if source_address:
        filters["SourceAddress"] = _ipv4(source_address, "source address")
    wanted = None if port is None else parse_port(str(port))
    if filters:  # which excludes DestinationPort and SourceIp
        filters |= {} if wanted is None else {"DestinationPortRange": _range(wanted)}
        return request | {"FilterAtSource": filters}
    return request if wanted is None else request | {"DestinationPort": wanted}


def _range(port: int) -> dict[str, int]:
    return {"FromPort": port, "ToPort": port}


def _is_address(word: str) -> bool:
    return bool(re.fullmatch(r"[0-9.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*", word)) and not word.startswith("arn:")


def _ipv4(text: str, role: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise InputError(f"AWS's analyzer takes IPv4 addresses alone, not {text}", subject=role, hint="the snapshot answers it") from None  # fmt: skip


def _end(given: str, role: str) -> str:
    """An end as AWS takes it. Raises InputError, saying what to name instead."""
    word = str(given).strip()
    short = match[1] if (match := _ARN.fullmatch(word)) else word
    if _ID.fullmatch(short):
        return word
    hint = _TAKES
    if word.lower() == "internet":
        hint = "name the internet gateway (igw-) through which it goes"
    elif "elasticloadbalancing" in word:
        hint = "a load balancer is on the way only: name its interface or a target; the snapshot answers for the load balancer"
    elif short.startswith("nat-"):
        hint = "a NAT gateway is on the way only: name the instance behind it"
    elif _is_address(word):
        hint = "a source is an id: name the interface that has the address, or the igw- and its source_address"
    elif short.split("-", 1)[0] in ENDS:
        hint = "an id has 8 or 17 hexadecimal digits after its prefix"
    raise InputError(f"AWS's analyzer does not take {word[:120]!r} as {role}", hint=hint)


def plan_question(
    session: Session,
    *,
    source: str,
    destination: str,
    protocol: str,
    port: int | str | None = None,
    source_port: int | str | None = None,
    source_address: str = "",
    moment: str = "",
    budget_usd: float,
    expire_days: int = 7,
    folder: Path = LEDGER_FOLDER,
    prices: Mapping[str, float] = costs.PRICES,
    today: date | None = None,
) -> Plan:
    """Ask AWS's analyzer: the path (an equal one is kept, whoever made it) and one analysis of it. Reads; asks nothing yet.

    The ends are as in path_request(). moment is the time that the question belongs to, as a snapshot's: the same question of
    the same moment is asked, and charged, once, also by a run that was killed and begun again.

    Raises InputError for what AWS refuses and BudgetError for more than budget_usd, both before any call.
    """
    request = path_request(source, destination, protocol, port, source_port=source_port, source_address=source_address)
    cost = costs.analysis_cost(1, prices)
    costs.check_budget(cost, budget_usd, "the analysis")
    if not 1 <= expire_days <= 120:
        raise InputError(
            f"expire_days {expire_days} is not from 1 to 120", hint="AWS deletes an analysis after 120 days"
        )
    day = (today or datetime.now(UTC).date()) + timedelta(days=expire_days)
    owner = Owner(session, f"analyzer: {_words(request)} at {moment}", day, folder)
    plan = Plan.of(owner, [_path_step(owner, request), _analysis_step(owner)])
    fresh = plan.steps[1].action == Action.CREATE
    notice = (
        f"applying it asks AWS's analyzer once, for about ${cost:.2f} (as of {costs.PRICES_AS_OF}; {costs.UNCONFIRMED})"
        if fresh
        else "this question of this moment was asked before: nothing is charged again"
    )
    return replace(plan, notices=(notice,))


def _words(request: Request) -> str:
    """The question on one line, the same for the same question."""
    text = repr(sorted((name, repr(value)) for name, value in request.items()))
    return f"{request['Source']} {request.get('Destination', '')} {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _path_step(owner: Owner, request: dict[str, Any]) -> Step:
    tags = [{"ResourceType": "network-insights-path", "Tags": owner.tag_list(Name=f"netkit-{owner.run_id}")}]
    target = request.get("Destination") or request["FilterAtSource"]["DestinationAddress"]
    # AWS refuses to delete a path that has analyses, so those of others keep it.
    undo = Undo(
        "ec2", "delete_network_insights_path", {"NetworkInsightsPathId": Ref("", "NetworkInsightsPath.NetworkInsightsPathId")}, by_tag="nip-",
    )  # fmt: skip
    return Step(
        "path", "analyzer path", f"{request['Source']} to {target}", "ec2", "create_network_insights_path", request | {"TagSpecifications": tags},
        _find_path, "there is none for this question", undo, token="ClientToken",  # noqa: S106  (the name of a parameter)
    )  # fmt: skip


def _find_path(session: Session, request: Request) -> Found | None:
    filters = [{"Name": "protocol", "Values": [request["Protocol"]]}]
    held = session.pages("ec2", "describe_network_insights_paths", "NetworkInsightsPaths", Filters=filters)
    same = [one for one in held if question_of(one) == question_of(request)]
    if not same:
        return None
    # Of several the oldest, so that every run finds the same one.
    one = min(same, key=lambda path: (str(path.get("CreatedDate")), path["NetworkInsightsPathId"]))
    return Found(Action.KEEP, f"{one['NetworkInsightsPathId']} asks the same", {"NetworkInsightsPath": one}, run=_run_of(one))  # fmt: skip


def question_of(path: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a path asks, however it was written: ends, protocol, and addresses and ports at both ends."""
    at_source, at_end = path.get("FilterAtSource") or {}, path.get("FilterAtDestination") or {}
    port = path.get("DestinationPort")
    ports = at_source.get("DestinationPortRange") or ({} if port is None else _range(int(port)))
    return (
        str(path["Source"]).rpartition("/")[2], str(path.get("Destination") or "").rpartition("/")[2], str(path["Protocol"]).lower(),
        at_source.get("SourceAddress") or path.get("SourceIp") or "", at_source.get("DestinationAddress") or "",
        at_end.get("DestinationAddress") or path.get("DestinationIp") or "", at_end.get("SourceAddress") or "",
        _ports(at_source.get("SourcePortRange")), _ports(ports), _ports(at_end.get("SourcePortRange")), _ports(at_end.get("DestinationPortRange")),
    )  # fmt: skip


def _ports(given: Mapping[str, Any] | None) -> tuple[int, int]:
    return (int(given.get("FromPort", 0)), int(given.get("ToPort", 65535))) if given else (0, 65535)


def _analysis_step(owner: Owner) -> Step:
    tags = [{"ResourceType": "network-insights-analysis", "Tags": owner.tag_list(Name=f"netkit-{owner.run_id}")}]
    request = {
        "NetworkInsightsPathId": Ref("path", "NetworkInsightsPath.NetworkInsightsPathId"),
        "TagSpecifications": tags,
    }
    undo = Undo(
        "ec2", "delete_network_insights_analysis", {"NetworkInsightsAnalysisId": Ref("", "NetworkInsightsAnalysis.NetworkInsightsAnalysisId")},
        by_tag="nia-",
    )  # fmt: skip
    return Step(
        "analysis", "analysis", "of that path", "ec2", "start_network_insights_analysis", request, _find_analysis(owner.run_id),
        "AWS was not asked yet", undo, token="ClientToken", after=("path",),  # noqa: S106  (the name of a parameter)
    )  # fmt: skip


def _find_analysis(run_id: str) -> Find:
    def find(session: Session, request: Request) -> Found | None:
        held = session.pages(
            "ec2", "describe_network_insights_analyses", "NetworkInsightsAnalyses", NetworkInsightsPathId=request["NetworkInsightsPathId"],
        )  # fmt: skip
        ours = [one for one in held if _run_of(one) == run_id]
        if not ours:
            return None
        last = max(ours, key=lambda one: str(one.get("StartDate")))
        reason = f"{last['NetworkInsightsAnalysisId']} is this run's ({last.get('Status', 'no status')})"
        return Found(Action.KEEP, reason, {"NetworkInsightsAnalysis": last}, run=run_id)

    return find


def _run_of(record: Mapping[str, Any]) -> str:
    return next((str(tag["Value"]) for tag in record.get("Tags") or [] if tag["Key"] == RUN_TAG), "")


def asked(plan: Plan) -> tuple[dict[str, Any], dict[str, Any]]:
    """The path and the analysis of an applied plan, as AWS describes them. Raises PlanError for one that was not applied."""
    session, answers = plan.owner.session, dict[str, dict[str, Any]]()
    for step, kind in zip(plan.steps, ("NetworkInsightsPath", "NetworkInsightsAnalysis"), strict=True):
        request = dict(step.request)
        if kind == "NetworkInsightsAnalysis":
            request["NetworkInsightsPathId"] = answers["NetworkInsightsPath"]["NetworkInsightsPathId"]
        found = step.find(session, request)
        if found is None:
            raise PlanError(f"there is no {step.resource} of {plan.run_id} yet", hint="plan.apply(armed=True)")
        answers[kind] = dict(found.answer[kind])
    return answers["NetworkInsightsPath"], answers["NetworkInsightsAnalysis"]
