"""What the interfaces logged: a path is a list of places, a connection goes so far along it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from .world import Eni

OPEN = 14  # packets of a normal connection


@dataclass(frozen=True)
class Place:
    """Where one record is made: an interface, and what it sees of the packet there."""

    eni: Eni
    way: str  # ingress or egress
    src: str
    dst: str
    psrc: str = ""
    pdst: str = ""
    path: str = "-"
    sport: int = 0  # added to the client's port where an address is translated


@dataclass(frozen=True)
class Path:
    there: tuple[Place, ...]
    back: tuple[Place, ...]


@dataclass(frozen=True)
class Fate:
    """How far a connection came: `ok`, `lost` (no record from place n on), `refused` (REJECT at place n), the same of the reply, `reset`."""

    kind: str = "ok"
    at: int = 0
    reason: str = ""


OK = Fate()


def lost(at: int) -> Fate:
    return Fate("lost", at)


def refused(at: int, reason: str = "") -> Fate:
    return Fate("refused", at, reason)


def reply_lost(at: int) -> Fate:
    return Fate("reply_lost", at)


def reply_refused(at: int, reason: str = "") -> Fate:
    return Fate("reply_refused", at, reason)


RESET = Fate("reset")
ABSENT = Fate("absent")
When = Callable[[int, int], Fate]  # (time, source port) -> fate


@dataclass
class Record:
    eni: Eni
    src: str
    dst: str
    sport: int
    dport: int
    proto: int
    packets: int
    size: int
    start: int
    end: int
    action: str
    flags: int
    psrc: str
    pdst: str
    way: str
    path: str
    reason: str = "-"


@dataclass
class Talk:
    """Connections of one pair, again and again."""

    path: Path
    port: int
    every: int = 60
    offset: int = 0
    fate: When = lambda _t, _p: OK
    proto: int = 6
    ports: tuple[int, int] = (32768, 60999)
    packets: int = OPEN
    size: int = 1400
    many: int = 1
    pinned: list[int] = field(default_factory=list)

    def records(self, start: int, end: int, rng: random.Random) -> Iterator[Record]:
        for t in range(start + self.offset, end, self.every):
            for i in range(self.many):
                port = rng.choice(self.pinned) if self.pinned else rng.randrange(*self.ports)
                yield from connection(self, t + i % 3, port, rng, self.fate(t, port))


def connection(talk: Talk, t: int, port: int, rng: random.Random, fate: Fate) -> Iterator[Record]:
    """The records of one connection, as far as it came."""
    if fate.kind == "absent":
        return
    size = talk.size + rng.randrange(400)
    whole = fate.kind == "ok"
    tcp = talk.proto == 6
    there = _leg(talk.path.there, fate if fate.kind in ("lost", "refused") else OK)
    for place, action in there:
        yield record(
            place,
            talk,
            t,
            port,
            False,
            (talk.packets, size, 3 if tcp else 0) if whole else (3, 180, 2 if tcp else 0),
            action,
            fate.reason,
        )
    if fate.kind in ("lost", "refused"):
        return
    back = _leg(
        talk.path.back, Fate(fate.kind.removeprefix("reply_"), fate.at) if fate.kind.startswith("reply") else OK
    )
    flags = {"ok": 19, "reset": 4}.get(fate.kind, 18) if tcp else 0
    amount = (
        (talk.packets - 2, size * 3, flags) if whole else (1, 40, flags) if fate.kind == "reset" else (3, 180, flags)
    )
    for place, action in back:
        yield record(place, talk, t, port, True, amount, action, fate.reason)


def _leg(places: tuple[Place, ...], fate: Fate) -> list[tuple[Place, str]]:
    if fate.kind == "lost":
        return [(p, "ACCEPT") for p in places[: fate.at]]
    if fate.kind == "refused":
        return [(p, "ACCEPT") for p in places[: fate.at]] + [(places[fate.at], "REJECT")]
    return [(p, "ACCEPT") for p in places]


def record(place: Place, talk: Talk, t: int, port: int, reply: bool, amount: tuple[int, int, int], action: str = "ACCEPT", reason: str = "",
           seconds: int = 50) -> Record:  # fmt: skip
    client = 1024 + (port + place.sport - 1024) % 64000
    ports = (talk.port, client) if reply else (client, talk.port)
    return Record(place.eni, place.src, place.dst, ports[0], ports[1], talk.proto, amount[0], amount[1], t, min(t + seconds, t - t % 60 + 59), action,
                  amount[2], place.psrc or place.src, place.pdst or place.dst, place.way, place.path if place.way == "egress" else "-",
                  (reason or "-") if action == "REJECT" else "-")  # fmt: skip


# -- paths
def direct(a: Eni, b: Eni, code: str = "1") -> Path:
    """Within a VPC (traffic path 1) or over a peering connection (4)."""
    return Path((Place(a, "egress", a.ip, b.ip, path=code), Place(b, "ingress", a.ip, b.ip)),
                (Place(b, "egress", b.ip, a.ip, path=code), Place(a, "ingress", b.ip, a.ip)))  # fmt: skip


def _pass(src: str, dst: str, hops: list[tuple[Eni, str, str]]) -> tuple[Place, ...]:
    """Interfaces that pass a packet on: each takes the place of one of its addresses."""
    out = []
    for eni, way, code in hops:
        seen = (src, eni.ip) if way == "ingress" else (eni.ip, dst)
        out.append(Place(eni, way, *seen, psrc=src, pdst=dst, path=code))
    return tuple(out)


def transit(
    a: Eni,
    b: Eni,
    near: Eni,
    far: Eni,
    middle: list[tuple[Eni, str, str]] | None = None,
    back: list[tuple[Eni, str, str]] | None = None,
) -> Path:
    """Over a transit gateway, by its interfaces in the two VPCs; middle is what lies between (an inspection VPC)."""
    there = (
        Place(a, "egress", a.ip, b.ip),
        *_pass(a.ip, b.ip, [(near, "ingress", "-"), *(middle or []), (far, "egress", "1")]),
        Place(b, "ingress", a.ip, b.ip),
    )
    back_ = (
        Place(b, "egress", b.ip, a.ip),
        *_pass(b.ip, a.ip, [(far, "ingress", "-"), *(back or middle or []), (near, "egress", "1")]),
        Place(a, "ingress", b.ip, a.ip),
    )
    return Path(there, back_)


def by_nat(a: Eni, gate: Eni, target: str, shift: int = 7011) -> Path:
    """Through a NAT gateway to an address of the internet."""
    there = (Place(a, "egress", a.ip, target, path="1"), Place(gate, "ingress", a.ip, gate.ip, a.ip, target),
             Place(gate, "egress", gate.ip, target, path="8", sport=shift))  # fmt: skip
    back = (Place(gate, "ingress", target, gate.ip, sport=shift), Place(gate, "egress", gate.ip, a.ip, target, a.ip, path="1"),
            Place(a, "ingress", target, a.ip))  # fmt: skip
    return Path(there, back)


def outside(client: str, b: Eni) -> Path:
    """A client of the internet comes in; the public address is translated before the interface logs."""
    return Path((Place(b, "ingress", client, b.ip),), (Place(b, "egress", b.ip, client, path="8"),))


def to_internet(a: Eni, target: str, code: str = "8") -> Path:
    return Path((Place(a, "egress", a.ip, target, path=code),), (Place(a, "ingress", target, a.ip),))


def by_nlb(a: Eni, lb: Eni, b: Eni, shift: int = 9001, keep: bool = False, code: str = "1") -> Path:
    """Through a Network Load Balancer; keep means that the target sees the client's address."""
    src, moved = (a.ip, 0) if keep else (lb.ip, shift)
    there = (Place(a, "egress", a.ip, lb.ip, path=code), Place(lb, "ingress", a.ip, lb.ip), Place(lb, "egress", src, b.ip, path="1", sport=moved),
             Place(b, "ingress", src, b.ip, sport=moved))  # fmt: skip
    back = (Place(b, "egress", b.ip, src, path="1", sport=moved), Place(lb, "ingress", b.ip, src, sport=moved),
            Place(lb, "egress", lb.ip, a.ip, path=code), Place(a, "ingress", lb.ip, a.ip))  # fmt: skip
    return Path(there, back)


def short(path: Path, there: int, back: tuple[int, int]) -> Path:
    return replace(path, there=path.there[:there], back=path.back[back[0] : back[1]])
