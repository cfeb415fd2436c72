"""Ids and ARNs as AWS takes them for mirrors: refused here what AWS would refuse, before any call. Pure."""

from __future__ import annotations

import re

from netkit.core.errors import InputError

_ID = re.compile(r"(?P<prefix>[a-z]+)-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_BALANCER = re.compile(
    r"arn:[^:]+:elasticloadbalancing:[a-z0-9-]+:\d{12}:loadbalancer/(?P<kind>net|app|gwy)/[^/]+/[0-9a-f]+"
)


def check_id(word: str, *prefixes: str, role: str = "") -> str:
    """The id, when it is a prefix with 8 or 17 hexadecimal digits. Raises InputError, as AWS would refuse it."""
    match = _ID.fullmatch(str(word).strip())
    if match is None or match["prefix"] not in prefixes:
        raise InputError(
            f"{str(word)[:80]!r} is not an id that AWS takes{f' as {role}' if role else ''}",
            hint=f"{' or '.join(f'{one}-' for one in prefixes)} and 8 or 17 hexadecimal digits",
        )
    return str(word).strip()


def target_request(word: str) -> dict[str, str]:
    """The member of CreateTrafficMirrorTarget for a target: an eni-, the ARN of a Network Load Balancer, or a vpce-; {} for a tmt-.

    Raises InputError for anything else, and says what to name instead: a Gateway Load Balancer is reached by its endpoint.
    """
    word = str(word).strip()
    if word.startswith("arn:"):
        return _balancer_request(word)
    prefix = word.split("-", 1)[0]
    members = {"eni": "NetworkInterfaceId", "vpce": "GatewayLoadBalancerEndpointId", "tmt": ""}
    check_id(word, *members, role="mirror target (or the ARN of a Network Load Balancer)")
    return {members[prefix]: word} if members[prefix] else {}


def _balancer_request(arn: str) -> dict[str, str]:
    match = _BALANCER.fullmatch(arn)
    if match and match["kind"] == "net":
        return {"NetworkLoadBalancerArn": arn}
    if "loadbalancer/gwy/" in arn:
        raise InputError(
            "a Gateway Load Balancer is no mirror target, its endpoint is", subject=arn,
            hint="name the endpoint, as vpce-0123456789abcdef0 (GatewayLoadBalancerEndpointId)",
        )  # fmt: skip
    if "loadbalancer/app/" in arn:
        raise InputError("an Application Load Balancer takes no UDP, so it is no mirror target", subject=arn, hint="name a Network Load Balancer, an eni- or a vpce-")  # fmt: skip
    raise InputError(
        "this ARN is of no load balancer that mirrors can go to", subject=arn[:120],
        hint="as arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/name/0123456789abcdef",
    )  # fmt: skip
