"""TCP byte streams as a mirror shows them: what was sent twice, what came late, what never came. Pure.

A hole opens where a sequence number lies beyond all that came before in its direction, and closes as far as later packets
fill it. What is left at the end was never seen: not mirrored, or lost on the way (RFC 9293, sequence numbers). Packets in
order are handled by numpy; only the others, which lose or repeat something, cost Python.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from netkit.mirror.pcap import Array

FIN, SYN, RST, ACK = 1, 2, 4, 16
_HALF, _RING = 2**31, 2**32
# No sender is this far ahead of what it has shown (the largest window is 1 GiB, RFC 7323): such a jump says nothing.
_JUMP = 2**30
# Nor does it send more than these bytes at once and 25 a nanosecond (200 Gbit/s) after them: beyond is another connection.
_ROOM_AT_ONCE, _BYTES_A_NS = 2**24, 25
_ROOM = 2**41  # apart in one running maximum, so that a stream never sees its neighbour's


@dataclass(frozen=True, order=True)
class Hole:
    """Bytes of a stream that were not seen: relative sequence numbers [start, end), and when it was noticed (ns)."""

    start: int
    end: int
    time: int = field(compare=False)


@dataclass
class Segments:
    """TCP segments, a column each, as Streams.add() takes them."""

    stream: Array
    sequence: Array
    size: Array
    flags: Array
    acknowledged: Array
    time: Array
    order: Array
    double: Array


@dataclass(frozen=True)
class _Event:
    """Something that ended connections that had begun before packet `limit`: a reset, or a new one that `stream` began."""

    order: int
    limit: int
    stream: int = -1

    def ends(self, stream: int, began: int) -> bool:
        """Whether it ended the connection of a direction that began with packet `began`."""
        return stream != self.stream and began < self.limit


@dataclass
class _Places:
    """Where segments stand in their streams: relative sequence numbers, the furthest seen with them, and the next expected before them."""

    place: Array
    end: Array
    ahead: Array
    expected: Array


class Streams:
    """The state of every direction of every conversation, by number: directions 2n and 2n + 1 are the two of one conversation.

    moved says whether a direction acknowledges bytes that came after its first packet: the other direction was there.
    """

    def __init__(self) -> None:
        self.holes: dict[int, list[Hole]] = {}
        self.lost: dict[int, list[Hole]] = {}
        self._preceded: set[int] = set()
        self._grow(1024)

    def _grow(self, size: int) -> None:
        fresh = {
            name: np.full(size, empty, kind)
            for names, kind, empty in (
                (("seen", "opened", "asked", "moved", "ended"), bool, False),
                (("isn", "last", "relative", "ahead", "time", "repeated", "doubled", "late", "flags"), np.int64, 0),
                (("answered", "fin", "began", "before", "acked", "latest"), np.int64, -1),
            )
            for name in names
        }
        for name, column in fresh.items():
            if hasattr(self, name):
                column[: len(getattr(self, name))] = getattr(self, name)
            setattr(self, name, column)

    seen: Array
    opened: Array  # the connection's first segment was a SYN
    asked: Array  # and one without ACK
    moved: Array
    ended: Array  # a reset came, or the other direction began anew: what does not follow on is another connection
    isn: Array
    last: Array
    relative: Array
    ahead: Array
    time: Array
    repeated: Array
    doubled: Array
    late: Array
    flags: Array
    answered: Array
    fin: Array  # where the FIN ends, -1 before it came
    # In numbers of packets: the connection's first, the last of the connection before, the last acknowledgement, the last of all.
    began: Array
    before: Array
    acked: Array
    latest: Array

    def add(
        self, stream: Array, sequence: Array, size: Array, flags: Array, acknowledged: Array, time: Array,
        order: Array | None = None, double: Array | None = None, reset: Mapping[int, list[int]] | None = None,
    ) -> None:  # fmt: skip
        """Take in segments, sorted by stream and within it as they came; size is payload and SYN and FIN (RFC 9293, 3.4).

        order is the packet's number in the capture, double whether the same packet came just before; reset names the packets
        that reset a conversation (RST), by its number.
        """
        order = np.arange(len(stream)) if order is None else order
        double = np.zeros(len(stream), bool) if double is None else double
        some = Segments(stream, sequence, size, flags, acknowledged, time, order, double)
        events = {number: [_Event(order, order) for order in orders] for number, orders in (reset or {}).items()}
        top = max([int(some.stream.max()) if len(some.stream) else -1, *(2 * number + 1 for number in events)]) + 1
        if top > len(self.seen):
            self._grow(max(top, 2 * len(self.seen)))
        if len(some.stream):
            self._add(some, events)
        for number, held in events.items():
            for side in (2 * number, 2 * number + 1):
                self.ended[side] |= any(one.ends(side, int(self.began[side])) for one in held)

    def _add(self, some: Segments, events: dict[int, list[_Event]]) -> None:
        opens = np.empty(len(some.stream), bool)
        opens[0] = True
        np.not_equal(some.stream[1:], some.stream[:-1], out=opens[1:])
        step, fresh = self._steps(some, opens)
        unknown = opens & ~self.seen[some.stream]
        places = self._places(some, opens, fresh, step)
        begun = fresh & ~unknown
        for _ in range(3):  # again for what a new connection in one direction says of the other
            self._note_events(events, some, begun)
            begun = self._begun_again(some, places, opens, fresh, step, events)
            if not begun.any():
                break
            fresh = fresh | begun
            places = self._places(some, opens, fresh, step)
        self._odd(some, places, fresh, fresh & ~unknown)
        self._prove(some, opens, fresh)
        self._keep(some, places, opens, fresh, fresh & ~unknown)

    def _note_events(self, events: dict[int, list[_Event]], some: Segments, begun: Array) -> None:
        """A direction that began anew ended the other's connection too, if that had begun before the last that was seen of the old one."""
        for at in np.flatnonzero(begun).tolist():
            stream = int(some.stream[at])
            same = at > 0 and some.stream[at - 1] == stream
            last = int(some.order[at - 1] if same else self.latest[stream])
            events.setdefault(stream // 2, []).append(_Event(int(some.order[at]), last, stream))

    def _steps(self, some: Segments, opens: Array) -> tuple[Array, Array]:
        """How far each sequence number is from the one before, and which segments begin a connection by their own signs."""
        stream, sequence, first = some.stream, some.sequence, np.flatnonzero(opens)
        known = self.seen[stream]
        before, when = np.empty_like(sequence), np.empty_like(some.time)
        before[1:], when[1:] = sequence[:-1], some.time[:-1]
        before[first] = np.where(known[first], self.last[stream[first]], sequence[first])
        when[first] = np.where(known[first], self.time[stream[first]], some.time[first])
        step = (sequence - before + _HALF) % _RING - _HALF
        isn = np.where(known, self.isn[stream], sequence[first][np.cumsum(opens) - 1])
        again = ((some.flags & SYN) != 0) & (sequence != isn) & (known | ~opens)
        most = np.minimum(_JUMP, _ROOM_AT_ONCE + _BYTES_A_NS * np.clip(some.time - when, 0, _JUMP))
        return step, (opens & ~known) | again | (step > most) | (step < -_JUMP)

    def _places(self, some: Segments, opens: Array, fresh: Array, step: Array) -> _Places:
        stream = some.stream
        starts = opens | fresh
        part = np.cumsum(starts) - 1
        at = np.flatnonzero(starts)
        place = np.cumsum(step)
        base = np.where(fresh[at], 0, np.where(opens[at], self.relative[stream[at]] + step[at], 0)) - place[at]
        place += base[part]
        end = place + some.size
        reach = end.copy()
        goes_on = at[~fresh[at]]
        reach[goes_on] = np.maximum(reach[goes_on], self.ahead[stream[goes_on]])
        ahead = np.maximum.accumulate(reach + part * _ROOM) - part * _ROOM
        expected = np.empty_like(ahead)
        expected[1:] = ahead[:-1]
        expected[at] = place[at]
        expected[goes_on] = self.ahead[stream[goes_on]]
        return _Places(place, end, ahead, expected)

    def _begun_again(
        self, some: Segments, places: _Places, opens: Array, fresh: Array, step: Array, events: Mapping[int, list[_Event]]
    ) -> Array:  # fmt: skip
        """Segments of a connection of which the SYN was not seen: behind a FIN, or apart from all before after a reset."""
        fin = (some.flags & FIN) != 0
        before = np.cumsum(fin) - fin
        had_fin = (before > before[np.flatnonzero(opens)][np.cumsum(opens) - 1]) | (self.fin[some.stream] >= 0)
        ended = self.ended[some.stream] | np.isin(some.stream // 2, list(events))
        apart = (places.place > places.expected) | (places.place < 0)
        behind = (places.place == places.expected) & (some.size > 0)
        suspect = ~fresh & ((had_fin & (apart | behind)) | (ended & apart))
        found = np.zeros(len(fresh), bool)
        for stream in np.unique(some.stream[suspect]).tolist():
            mine = slice(*np.searchsorted(some.stream, (stream, stream + 1)).tolist())
            found[mine] = self._follow(stream, some, mine, fresh, step, events.get(stream // 2, ()))
        return found & ~fresh

    def _follow(
        self, stream: int, some: Segments, mine: slice, fresh: Array, step: Array, events: Iterable[_Event]
    ) -> list[bool]:
        """One stream, segment by segment: which of them begin a connection."""
        relative, ahead, fin = int(self.relative[stream]), int(self.ahead[stream]), int(self.fin[stream])
        began, ended = int(self.began[stream]), bool(self.ended[stream])
        coming = sorted((one.order, one.limit) for one in events if one.stream != stream)[::-1]
        limit = -1  # what began before it is over
        found = []
        columns = (step, some.size, some.flags, some.order, fresh)
        for move, size, flags, order, new in zip(*(one[mine].tolist() for one in columns), strict=True):
            place = relative + move
            apart = place > ahead or place < 0
            while coming and coming[-1][0] < order:
                limit = max(limit, coming.pop()[1])
            over = apart and (ended or began < limit)
            behind_fin = fin >= 0 and (place > fin or place < 0 or (place == fin and size > 0))
            found.append(new or over or behind_fin)
            if found[-1]:
                place, ahead, fin, began, ended = 0, 0, -1, order, False
            relative, ahead = place, max(ahead, place + size)
            fin = place + size if flags & FIN else fin
        return found

    def _odd(self, some: Segments, places: _Places, fresh: Array, anew: Array) -> None:
        """The segments that are not simply the next one: a new connection, a hole, something a second time."""
        place, end, expected = places.place, places.end, places.expected
        # One byte (or none) just before the next is how a host asks whether the other is still there (RFC 1122, 4.2.3.6).
        alive = (end - place <= 1) & (place == expected - 1) & ((some.flags & (SYN | FIN)) == 0)
        old = (place < expected) & (end > place) & ~alive & ~self._answers_a_syn(some, place, fresh)
        odd = np.flatnonzero(fresh | (place > expected) | old)
        columns = (some.stream, place, end, expected, fresh, anew, some.time, some.flags, some.double)
        for one, start, stop, awaited, begins, new, when, flags, double in zip(*(column[odd].tolist() for column in columns), strict=True):  # fmt: skip
            if begins:
                self.opened[one] = bool(flags & SYN)
                self._preceded.discard(one)
                if new:
                    self._close(one)
            elif start > awaited:
                self.holes.setdefault(one, []).append(Hole(awaited, start, when))
            elif self._fill(one, start, min(stop, awaited)) or self._before(one, start, min(stop, 0), when):
                self.late[one] += 1
            else:
                self.repeated[one] += 1
                self.doubled[one] += double

    def _answers_a_syn(self, some: Segments, place: Array, fresh: Array) -> Array:
        """A SYN-ACK behind the same end's own SYN: both opened at once (RFC 9293, 3.5), which repeats nothing."""
        last = np.empty_like(some.flags)
        last[1:] = some.flags[:-1]
        starts = np.flatnonzero(np.concatenate([[True], some.stream[1:] != some.stream[:-1]]))
        last[starts] = self.flags[some.stream[starts]]
        both = SYN | ACK
        return np.asarray(~fresh & (place == 0) & (some.flags & both == both) & (last & both == SYN))

    def _before(self, stream: int, start: int, end: int, when: int) -> bool:
        """Whether a segment brings bytes from before the first that was seen of a connection under way: it came late, nothing twice."""
        if self.opened[stream] or start >= end or stream in self._preceded:
            return False
        self._preceded.add(stream)
        insort(self.holes.setdefault(stream, []), Hole(-_JUMP, 0, when))
        return self._fill(stream, start, end)

    def _close(self, stream: int) -> None:
        if left := [hole for hole in self.holes.pop(stream, ()) if hole.start >= 0]:
            self.lost.setdefault(stream, []).extend(left)

    def _fill(self, stream: int, start: int, end: int) -> bool:
        """Take [start, end) out of the holes; whether any of it was one."""
        holes = self.holes.get(stream)
        if not holes:
            return False
        at = max(bisect_right(holes, start, key=lambda hole: hole.start) - 1, 0)
        touched: list[Hole] = []
        while at + len(touched) < len(holes) and holes[at + len(touched)].start < end:
            touched.append(holes[at + len(touched)])
        hit = [hole for hole in touched if hole.end > start]
        if not hit:
            return False
        del holes[at : at + len(touched)]
        for hole in touched:
            pieces = [hole] if hole not in hit else [Hole(hole.start, start, hole.time), Hole(end, hole.end, hole.time)]
            for piece in pieces:
                if piece.start < piece.end:
                    insort(holes, piece)
        return True

    def _prove(self, some: Segments, opens: Array, fresh: Array) -> None:
        """Which directions acknowledge more than they did before, or anything after their own SYN (RFC 9293, 3.4)."""
        at = np.flatnonzero(some.flags & ACK)
        if not len(at):
            return
        starts = opens | fresh
        part = np.cumsum(starts) - 1
        stream, said, mine = some.stream[at], some.acknowledged[at], part[at]
        first = np.concatenate([[True], mine[1:] != mine[:-1]])
        head = np.flatnonzero(starts)[mine]
        before = np.empty_like(said)
        before[1:] = said[:-1]
        before[first] = np.where(fresh[head[first]], -1, self.answered[stream[first]])
        plain = np.where(fresh[head], (some.flags[head] & (SYN | ACK)) == SYN, self.asked[stream])
        step = (said - before) % _RING
        self.moved[stream[np.where(before >= 0, (step > 0) & (step < _JUMP), plain)]] = True

    def _keep(self, some: Segments, places: _Places, opens: Array, fresh: Array, anew: Array) -> None:
        """The state for the segments that come next."""
        first = np.flatnonzero(opens)
        last = np.append(first[1:], len(opens)) - 1
        who = some.stream[last]
        index = np.arange(len(opens))

        def latest(which: Array) -> Array:
            return np.maximum.reduceat(np.where(which, index, -1), first)

        began = latest(fresh)
        new = began >= 0
        flags = some.flags[began]
        for column, value in (
            (self.isn, some.sequence[began]), (self.began, some.order[began]), (self.asked, flags & (SYN | ACK) == SYN),
            (self.ended, False), (self.fin, -1), (self.answered, -1), (self.acked, -1),
        ):  # fmt: skip
            column[who] = np.where(new, value, column[who])
        again = latest(anew)
        prior = np.where(again > first, some.order[np.maximum(again - 1, 0)], self.latest[who])
        self.before[who] = np.where(again >= 0, prior, self.before[who])
        answers, fins = latest((some.flags & ACK) != 0), latest((some.flags & FIN) != 0)
        there = (answers >= 0) & (answers >= began)
        self.answered[who] = np.where(there, some.acknowledged[answers], self.answered[who])
        self.acked[who] = np.where(there, some.order[answers], self.acked[who])
        self.fin[who] = np.where((fins >= 0) & (fins >= began), places.end[fins], self.fin[who])
        self.last[who], self.relative[who], self.ahead[who] = (
            some.sequence[last],
            places.place[last],
            places.ahead[last],
        )
        self.time[who], self.flags[who], self.latest[who] = some.time[last], some.flags[last], some.order[last]
        self.seen[who] = True

    def left(self, stream: int) -> list[Hole]:
        """What was never seen of a direction, in order of its sequence numbers per connection."""
        return [*self.lost.get(stream, ()), *(hole for hole in self.holes.get(stream, ()) if hole.start >= 0)]

    def tails(self, count: int) -> Array:
        """Bytes that the other end acknowledged beyond the last that was seen, for each of `count` directions.

        Only where both directions are of one connection: the last of each began after all that was seen of the one before.
        """
        if count > len(self.seen):
            self._grow(count)
        mine = np.arange(count)
        theirs = mine ^ 1
        known = self.seen[mine] & (self.answered[theirs] >= 0) & (self.acked[theirs] > self.began[mine])
        known &= (self.began[mine] > self.before[theirs]) & (self.began[theirs] > self.before[mine])
        step = (self.answered[theirs] - self.last[mine] + _HALF) % _RING - _HALF
        beyond = self.relative[mine] + step - self.ahead[mine]
        return np.where(known & (beyond > 0) & (beyond < _JUMP), beyond, 0)
