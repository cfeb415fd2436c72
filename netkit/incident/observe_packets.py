"""What the packets of a mirror show: resets after a silence, large segments lost, answers that never come, a close that crosses a request. Pure.

Sources: RFC 9293 (TCP), RFC 1191 and 8201 (path MTU discovery); the pages that faults.yaml names for each fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pandas as pd

from netkit.incident.atoms import Observation, State
from netkit.incident.scene import ACK, FIN, RST, SYN, Scene
from netkit.mirror.capture import Capture

LARGE = 1200  # bytes of a segment that a narrow hop may refuse
QUIET_S = 55
_FLAGS = {"FIN": FIN, "SYN": SYN, "RST": RST, "ACK": ACK}
MOST = 200  # conversations looked at packet by packet


def observe(scene: Scene) -> Iterator[Observation]:
    """p- atoms over every capture that could be read."""
    if not scene.evidence.captures:
        yield Observation("p-any", "", "could-not-see", "no capture was handed over")
        return
    tallies: dict[str, list[tuple[datetime, str]]] = {}
    looked = 0
    for capture in scene.evidence.captures:
        for number, row in _ours(scene, capture):
            looked += 1
            for atom, at, says in _look(capture.packets(number), row):
                tallies.setdefault(atom, []).append((at, says))
    yield Observation(
        "p-any", "", "seen" if looked else "seen-not", f"{looked} conversations of the question in the captures"
    )
    for atom in (
        "p-gap-rst",
        "p-gap-silence",
        "p-large-lost",
        "p-synack-lost",
        "p-fin-crosses",
        "p-dns-unanswered",
        "p-complete",
        "p-reset",
    ):
        found = sorted(tallies.get(atom, []))
        if len(found) >= (2 if atom != "p-complete" else 1):
            yield Observation(
                atom,
                "",
                "seen",
                f"{found[0][1]}, in {len(found)} of {looked} conversations",
                found[0][0],
                ("captures",),
            )
        elif looked:
            state: State = "could-not-see" if found else "seen-not"  # once is under the threshold, and is not absence
            yield Observation(atom, "", state, f"in {len(found)} of {looked} conversations")


def _ours(scene: Scene, capture: Capture) -> Iterator[tuple[int, Any]]:
    """Conversations with an end of the question, or to the resolver; at most MOST."""
    ends = scene.source.addresses | scene.destination.addresses
    port = scene.question.port
    frame = capture.conversations
    near = frame["source"].isin(ends) | frame["destination"].isin(ends)
    asked = (frame["destination_port"] == port) | (frame["source_port"] == port) | (frame["destination_port"] == 53)
    wanted = frame[near & asked] if (near & asked).any() else frame[near]
    for number, row in list(wanted.iterrows())[:MOST]:
        yield int(str(number)), row


def _look(packets: pd.DataFrame, row: Any) -> Iterator[tuple[str, datetime, str]]:
    if int(row["protocol"]) == 17 and int(row["destination_port"]) == 53:
        yield from _dns(row)
        return
    if int(row["protocol"]) != 6 or packets.empty:
        return
    rows = [_Packet(one) for one in packets.itertuples(index=False)]
    yield from _gaps(rows)
    yield from _large(rows, row)
    yield from _crossing(rows)
    flags, back = int(row["tcp_flags"]), int(row["tcp_flags_back"])
    first = row["first"].to_pydatetime()
    if flags & SYN and not back:
        yield "p-synack-lost", first, "SYN without any answer"
    if row["handshake"] == "complete" and row["bytes_back"] and not (flags | back) & RST:
        yield "p-complete", first, "handshake, data both ways, no reset"
    if back & RST and back & ~(RST | ACK) == 0:
        yield "p-reset", first, "SYN answered with RST"


class _Packet:
    """One packet of a conversation: time, way back or not, flags, payload bytes, sequence number."""

    def __init__(self, one: Any) -> None:
        self.time: datetime = one.time.to_pydatetime()
        self.back = bool(one.back)
        self.flags = sum(_FLAGS.get(word, 0) for word in str(one.flags).split())
        self.payload = int(one.payload)
        self.sequence = int(one.sequence)


def _gaps(rows: list[_Packet]) -> Iterator[tuple[str, datetime, str]]:
    """Data after a silence, answered by a RST or by nothing."""
    for number in range(1, len(rows)):
        one = rows[number]
        gap = (one.time - rows[number - 1].time).total_seconds()
        if gap < QUIET_S or not one.payload or one.flags & (SYN | RST | FIN):
            continue
        later = [other for other in rows[number + 1 :] if other.back != one.back]
        if later and later[0].flags & RST:
            yield "p-gap-rst", one.time, f"{gap:.0f} s of silence, data, RST"
        elif not later and sum(other.payload > 0 and other.sequence == one.sequence for other in rows[number:]) >= 2:
            yield "p-gap-silence", one.time, f"{gap:.0f} s of silence, data repeated without an answer"


def _large(rows: list[_Packet], row: Any) -> Iterator[tuple[str, datetime, str]]:
    """The same large segment sent three times and more, while small ones are acknowledged."""
    for back in (False, True):
        sent: dict[int, list[_Packet]] = {}
        for one in rows:
            if one.back == back and one.payload >= LARGE:
                sent.setdefault(one.sequence, []).append(one)
        worst = max(sent.values(), key=len, default=[])
        if len(worst) >= 3 and row["handshake"] == "complete":
            yield "p-large-lost", worst[0].time, f"a segment of {worst[0].payload} bytes sent {len(worst)} times"
            return


def _crossing(rows: list[_Packet]) -> Iterator[tuple[str, datetime, str]]:
    """A close by the server, a request that crosses it, and a RST."""
    for number, one in enumerate(rows):
        if not (one.back and one.flags & FIN):
            continue
        later = rows[number + 1 :]
        request = next((other for other in later if not other.back and other.payload), None)
        reset = next((other for other in later if other.back and other.flags & RST), None)
        if request is not None and reset is not None and (request.time - one.time).total_seconds() < 1:
            yield "p-fin-crosses", one.time, "a request crosses the server's FIN and is reset"
            return


def _dns(row: Any) -> Iterator[tuple[str, datetime, str]]:
    if int(row["packets"]) > int(row["packets_back"]):
        yield "p-dns-unanswered", row["first"].to_pydatetime(), "queries without an answer"
