"""What hosts do or do not do, as flow logs and the trail show it: never send, forward without translating, flap. Pure."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterator

from netkit.history.trail import Write
from netkit.incident.atoms import Observation
from netkit.incident.scene import SYN, Scene, when


def observe(scene: Scene) -> Iterator[Observation]:
    """f- and t- atoms about hosts, forwarders and controllers."""
    yield from _never_sends(scene)
    yield from _not_translating(scene)
    yield from _families(scene)
    yield from _collisions(scene)
    yield from _icmp(scene)
    yield from _flapping(scene)


def _never_sends(scene: Scene) -> Iterator[Observation]:
    """The source logs other traffic and none to the destination, while another host of its kind reaches it."""
    ours = scene.source.interfaces
    if not ours or not all(scene.logged(one) == "ALL" for one in ours):
        return
    last = max((one.end for one in scene.attempts), default=scene.question.window.epoch()[0])
    flows = scene.evidence.flows
    later = flows[(flows["start"] > last) & (flows["status"] == "OK")]
    own = later[later["interface"].isin(ours)]
    if scene.last_record - last < 900 or own.empty:
        return
    theirs = (
        later["pkt_dst"].isin(scene.destination.addresses)
        & (later["dport"] == scene.question.port)
        & (later["action"] == "ACCEPT")
    )
    twins = sorted(set(later.loc[theirs & ~later["pkt_src"].isin(scene.source.addresses), "pkt_src"]))
    if not twins:
        return
    since = when(last) if scene.attempts else None
    for instance in sorted(scene.source.instances):
        yield Observation(
            "f-host-never-sends",
            instance,
            "seen",
            f"{len(own)} records of other traffic and none to the destination, which {twins[0]} reaches",
            since,
        )


def _not_translating(scene: Scene) -> Iterator[Observation]:
    """An instance that a route names passes the source's packets on with the source's own private address."""
    ends = scene.source.interfaces | scene.destination.interfaces
    if not scene.destination.addresses or not all(
        ipaddress.ip_address(one).is_global for one in scene.destination.addresses
    ):
        return
    pair = scene.pair
    out = pair[(pair["way"] == "request") & (pair["direction"] == "egress") & ~pair["interface"].isin(ends)]
    for interface, rows in out.groupby("interface"):
        held = scene.interfaces.get(str(interface))
        same = rows[rows["src"].isin(scene.source.addresses) & rows["pkt_src"].isin(scene.source.addresses)]
        if held is not None and held.instance and len(same) >= 3:
            since = when(int(same["start"].min()))
            yield Observation(
                "f-nat-instance-not-translating",
                held.instance,
                "seen",
                f"{len(same)} records leave it with the private source {same['src'].iloc[0]}",
                since,
            )


def _families(scene: Scene) -> Iterator[Observation]:
    """IPv6 to the service fails at the source while IPv4 is well."""
    flows = scene.evidence.flows
    own = flows[flows["interface"].isin(scene.source.interfaces) & (flows["status"] == "OK")]
    out = own[
        own["src"].isin(scene.source.addresses)
        & ((own["dport"] == scene.question.port) if scene.question.port else True)
    ]
    six = out[out["dst"].str.contains(":", regex=False)]
    if six.empty:
        return
    back = own[
        own["dst"].isin(scene.source.addresses)
        & own["src"].str.contains(":", regex=False)
        & (own["action"] == "ACCEPT")
    ]
    answered = set(zip(back["src"], back["dport"], strict=True))
    vain = [row for row in six.itertuples() if row.action == "REJECT" or (row.dst, row.sport) not in answered]
    four = out[~out["dst"].str.contains(":", regex=False) & (out["action"] == "ACCEPT")]
    if len(vain) >= 3 and len(four):
        first = min(int(str(row.start)) for row in vain)
        yield Observation(
            "f-v6-fails-v4-works",
            "",
            "seen",
            f"{len(vain)} of {len(six)} records over IPv6 in vain, {len(four)} over IPv4 well",
            when(first),
        )


def _collisions(scene: Scene) -> Iterator[Observation]:
    """A SYN at a target for a client address and port that has a connection open there, and that is not answered as a new one."""
    if not scene.destination.balancer:
        return
    ports = defaultdict(list)
    for one in scene.attempts:
        ports[one.client, one.port].append(one)
    pairs = [
        (first, second)
        for tries in ports.values()
        for first, second in zip(tries, tries[1:], strict=False)
        if second.start - first.end < 120 and second.flags[0] >= 0 and second.flags[0] & SYN and scene.failed(second)
    ]
    if len(pairs) < 3:
        return
    since = when(min(second.start for _, second in pairs))
    for taken in scene.snapshots[-1:]:
        for _, group in taken.snapshot.records("TargetGroups"):
            if scene.destination.balancer in (group.get("LoadBalancerArns") or ()):
                says = f"{len(pairs)} connections fail that use the client address and port of one that is still open"
                yield Observation("f-nlb-source-port-collision", str(group["TargetGroupArn"]), "seen", says, since)


def _icmp(scene: Scene) -> Iterator[Observation]:
    """ICMP refused on its way in to the source or destination: the message that a packet is too big."""
    flows = scene.evidence.flows
    ends = scene.source.interfaces | scene.destination.interfaces
    refused = flows[flows["protocol"].isin((1, 58)) & (flows["action"] == "REJECT") & flows["interface"].isin(ends)]
    if len(refused) >= 2:
        first = when(int(refused["start"].min()))
        yield Observation(
            "f-icmp-refused",
            "",
            "seen",
            f"{len(refused)} records of ICMP refused at {refused['interface'].iloc[0]}",
            first,
        )


_UNDOES = (
    ("RevokeSecurityGroupIngress", "AuthorizeSecurityGroupIngress"),
    ("RevokeSecurityGroupEgress", "AuthorizeSecurityGroupEgress"),
    ("DeleteNetworkAclEntry", "CreateNetworkAclEntry"),
)


def _flapping(scene: Scene) -> Iterator[Observation]:
    """One rule taken away and put back again and again, at least twice, by the same hand."""
    rounds: dict[tuple[str, str, int], list[Write]] = defaultdict(list)
    for write in scene.evidence.trail.writes:
        for number, pair in enumerate(_UNDOES):
            if write.event in pair and not write.refused and write.ids:
                rounds[write.ids[0], write.actor, number].append(write)
    for (resource, actor, number), writes in sorted(rounds.items()):
        away = [one for one in writes if one.event == _UNDOES[number][0]]
        back = [one for one in writes if one.event == _UNDOES[number][1]]
        if len(away) >= 2 and len(back) >= 2:
            says = f"{len(away)} times taken away and {len(back)} times put back by {actor}"
            yield Observation(
                "t-rule-flapping", resource, "seen", says, away[0].time, tuple(one.event_id for one in writes)
            )
