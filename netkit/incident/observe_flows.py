"""What the flow logs say of the asked-for path: where requests and replies were seen, refused, or not seen. Pure.

Source: VPC User Guide, "Flow log records" and "Flow log record examples"; aws-facts on what is never logged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from netkit.incident.atoms import Observation, State
from netkit.incident.scene import RST, SYN, Attempt, Scene, bare_reset, when

_SHARE = 0.9  # of the failed connections that have to show a thing, for it to be how they fail
_SOME = 0.95  # share of failures below which the trouble is of a part of the connections


def observe(scene: Scene) -> Iterator[Observation]:
    """Every f- atom that is about the path as a whole."""
    yield from _outcome(scene)
    bad = scene.bad()
    yield from _fates(scene, bad if bad else [])


def _outcome(scene: Scene) -> Iterator[Observation]:
    """Whether connections fail, all or a part, again and again, and whether the trouble ended by itself."""
    outcomes, onset = scene.outcomes, scene.onset
    both = scene.source.interfaces | scene.destination.interfaces
    if not outcomes:
        state: State = "could-not-see"
        says = (
            "no record of a connection between the two ends"
            if scene.sees(both, "ACCEPT")
            else "neither end's interface is in the flow logs"
        )
        yield from (
            Observation(name, "", state, says) for name in ("f-fail", "f-some-fail", "f-complete", "f-alternates")
        )
        yield _quiet(scene)
        return
    seen = len(outcomes)
    begun = onset.time
    yield Observation(
        "f-fail", "", "seen" if onset.failures and not onset.brief else "seen-not",
        f"{onset.failures} of {seen} connections fail" + (f", from {begun:%H:%M:%S}" if begun else ""), begun,
    )  # fmt: skip
    part = 0 < onset.share < _SOME and onset.rounds < 2
    yield Observation(
        "f-some-fail",
        "",
        "seen" if part else "seen-not",
        f"{onset.share:.0%} of the connections fail from then on",
        begun if part else None,
    )
    yield Observation(
        "f-alternates",
        "",
        "seen" if onset.rounds >= 2 else "seen-not",
        f"{onset.rounds} times from good to bad",
    )
    good = len(scene.good())
    whole = good >= 0.95 * seen or onset.brief
    yield Observation("f-complete", "", "seen" if whole else "seen-not", f"{good} of {seen} connections were complete")
    yield _quiet(scene)


def _quiet(scene: Scene) -> Observation:
    """Whether the source stopped calling the destination while it went on talking to others."""
    ends = scene.source.interfaces
    if not ends or not scene.sees(ends, "ACCEPT") or not all(scene.logged(one) == "ALL" for one in ends):
        return Observation("f-source-quiet", "", "could-not-see", "the source's interface is not logged with ALL")
    flows = scene.evidence.flows
    own = flows[flows["interface"].isin(ends) & (flows["status"] == "OK")]
    others = own[~own.index.isin(scene.pair.index)]
    last = max((one.end for one in scene.attempts), default=scene.question.window.epoch()[0])
    quiet = scene.last_record - last
    usual = _usual_gap(scene.attempts)
    since = when(last) if scene.attempts else None
    if quiet > max(600, 5 * usual) and len(others[others["start"] > last]):
        return Observation(
            "f-source-quiet",
            "",
            "seen",
            f"nothing to the destination for the last {quiet // 60} minutes, while the source talks to others",
            since,
        )
    return Observation("f-source-quiet", "", "seen-not", "the source goes on calling the destination")


def _usual_gap(attempts: list[Attempt]) -> float:
    gaps = sorted(b.start - a.start for a, b in zip(attempts, attempts[1:], strict=False))
    return gaps[int(0.9 * (len(gaps) - 1))] if gaps else 0.0


Test = Callable[[Attempt], bool]


def _fates(scene: Scene, bad: list[Attempt]) -> Iterator[Observation]:
    """Where the failed connections' packets were seen, refused and not seen."""
    ours, theirs = scene.source.interfaces, scene.destination.interfaces

    def action(sides: frozenset[str], way: str, direction: str, wanted: str) -> Test:
        def test(one: Attempt) -> bool:
            event = one.at(sides, way, direction)
            return event is not None and event.action == wanted

        return test

    places = (
        ("f-request-leaves", ours, "request", "egress", "ACCEPT", "the request leaves the source"),
        ("f-refused-out", ours, "request", "egress", "REJECT", "the request is refused on leaving the source"),
        ("f-request-arrives", theirs, "request", "ingress", "ACCEPT", "the request is let in at the destination"),
        ("f-refused-in", theirs, "request", "ingress", "REJECT", "the request is refused at the destination"),
        ("f-reply-leaves", theirs, "reply", "egress", "ACCEPT", "the reply leaves the destination"),
        ("f-reply-refused-out", theirs, "reply", "egress", "REJECT", "the reply is refused on leaving the destination"),
        ("f-reply-arrives", ours, "reply", "ingress", "ACCEPT", "the reply is let in at the source"),
        ("f-reply-refused-in", ours, "reply", "ingress", "REJECT", "the reply is refused at the source"),
    )
    for name, sides, way, direction, wanted, words in places:
        yield _counted(scene, name, bad, action(sides, way, direction, wanted), scene.sees(sides, wanted), words)
    yield _counted(
        scene,
        "f-reset",
        bad,
        _reset(theirs),
        scene.sees(theirs, "ACCEPT"),
        "the destination's own interface answers with a RST",
    )
    yield from _either(scene, bad)
    yield from _hosts(scene, bad)
    yield from _firewall(scene, bad)
    middle = (_middle(scene, one) for one in bad)
    refused = sorted({name for found in middle for name in found})
    if refused:
        yield Observation(
            "f-refused-between",
            "",
            "seen",
            f"refused on the way, at {', '.join(refused)}",
            scene.onset.time,
            tuple(refused),
        )


def _middle(scene: Scene, one: Attempt) -> set[str]:
    ends = scene.source.interfaces | scene.destination.interfaces
    return {
        interface
        for (interface, _, _), event in one.events.items()
        if event.action == "REJECT" and interface not in ends
    }


def _either(scene: Scene, bad: list[Attempt]) -> Iterator[Observation]:
    """Requests and replies refused at whichever end; and requests of which a part never came to the destination."""
    ours, theirs = scene.source.interfaces, scene.destination.interfaces

    def refused(way: str) -> Test:
        def test(one: Attempt) -> bool:
            return any(event.action == "REJECT" for (_, each, _), event in one.events.items() if each == way)

        return test

    visible = scene.sees(ours | theirs, "REJECT")
    yield _counted(scene, "f-request-refused", bad, refused("request"), visible, "the request is refused")
    yield _counted(scene, "f-reply-refused", bad, refused("reply"), visible, "the reply is refused")
    lost = _counted(
        scene,
        "f-some-lost",
        bad,
        lambda one: one.at(theirs, "request", "ingress") is None,
        scene.sees(theirs, "ACCEPT"),
        "the request is in no record at the destination",
    )
    yield lost
    for reason in ("BPA", "EC"):
        rows = [one for one in bad if any(event.reason == reason for event in one.events.values())]
        if rows:
            says = f"{len(rows)} connections refused with reject-reason {reason}"
            yield Observation(f"f-reason-{reason.lower()}", "", "seen", says, when(rows[0].start))
            for vpc in sorted(
                {scene.interfaces[name].vpc for one in rows for (name, _, _) in one.events if name in scene.interfaces}
            ):
                yield Observation(f"f-reason-{reason.lower()}", vpc, "seen", says, when(rows[0].start))


def _hosts(scene: Scene, bad: list[Attempt]) -> Iterator[Observation]:
    """The destination host: it refuses, or it is silent. Its interface has to be logged with ALL, and the request has to have arrived."""
    theirs = scene.destination.interfaces
    if not bad or not all(scene.logged(one) == "ALL" for one in theirs) or not theirs:
        return
    arrived = [
        one for one in bad if (event := one.at(theirs, "request", "ingress")) is not None and event.action == "ACCEPT"
    ]
    if len(arrived) < _SHARE * len(bad):
        return
    resets = [one for one in arrived if _reset(theirs)(one)]
    silent = [one for one in arrived if one.at(theirs, "reply", "egress") is None]
    for instance in sorted(scene.destination.instances):
        if len(resets) >= _SHARE * len(arrived):
            yield Observation(
                "f-no-listener",
                instance,
                "seen",
                f"{len(resets)} of {len(bad)} failed connections are answered with a RST by the host",
                when(resets[0].start),
            )
        if len(silent) >= _SHARE * len(arrived):
            yield Observation(
                "f-host-silent",
                instance,
                "seen",
                f"{len(silent)} of {len(bad)} requests reach the host, which answers none",
                when(silent[0].start),
            )


def _firewall(scene: Scene, bad: list[Attempt]) -> Iterator[Observation]:
    """Whether failed connections go into a firewall's endpoint and do not come out of it."""
    ends = {
        name
        for network in scene.networks
        for one in network.endpoints.values()
        if one.kind == "gatewayloadbalancer"
        for name in one.interfaces
    }
    if not ends or not bad:
        return
    if not any(scene.logged(one) for one in ends):
        yield Observation("f-stops-at-firewall", "", "could-not-see", "the firewall's endpoints are not logged")
        return
    for way in ("request", "reply"):
        into = [
            one
            for one in bad
            if any(name in ends and (each, direction) == (way, "ingress") for name, each, direction in one.events)
        ]
        out = [
            one
            for one in into
            if any(name in ends and (each, direction) == (way, "egress") for name, each, direction in one.events)
        ]
        if len(into) >= _SHARE * len(bad) and len(out) <= (1 - _SHARE) * len(into):
            says = f"the {way}s of {len(into)} of {len(bad)} failed connections go into the firewall's endpoint and not out of it"
            yield Observation("f-stops-at-firewall", "", "seen", says, when(into[0].start))
            return
    yield Observation("f-stops-at-firewall", "", "seen-not", "what goes into the firewall's endpoint comes out of it")


def _reset(sides: frozenset[str]) -> Test:
    def test(one: Attempt) -> bool:
        event = one.at(sides, "reply", "egress")
        if event is None:
            return False
        return bare_reset(event) if event.flags < 0 else bool(event.flags & RST) and not event.flags & SYN

    return test


def _counted(scene: Scene, name: str, bad: list[Attempt], test: Test, visible: bool, words: str) -> Observation:
    if not bad:
        return Observation(name, "", "not-looked", "no connection failed")
    count = sum(map(test, bad))
    says = f"{words}: {count} of {len(bad)} failed connections"
    if count >= _SHARE * len(bad) or (count and not visible):
        return Observation(name, "", "seen", says, when(min(one.start for one in bad if test(one))))
    if not visible:
        return Observation(name, "", "could-not-see", f"{words}: that interface is not logged, or not with that action")
    return Observation(name, "", "seen-not" if count <= (1 - _SHARE) * len(bad) else "could-not-see", says)
