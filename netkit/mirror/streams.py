"""TCP byte streams as a mirror shows them: what was sent twice, what came late, what never came. Pure.

A hole opens where a sequence number lies beyond all that came before in its direction, and closes as far as later packets
fill it. What is left at the end was never seen: not mirrored, or lost on the way (RFC 9293, sequence numbers). Packets in
order are handled by numpy; only the others, which lose or repeat something, cost Python.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass, field

import numpy as np

from netkit.mirror.pcap import Array

FIN, SYN, RST, ACK = 1, 2, 4, 16
_HALF, _RING = 2**31, 2**32
# No sender is this far ahead of what it has shown (the largest window is 1 GiB, RFC 7323): such a jump says nothing.
_JUMP = 2**30
_ROOM = 2**41  # apart in one running maximum, so that a stream never sees its neighbour's


@dataclass(frozen=True, order=True)
class Hole:
    """Bytes of a stream that were not seen: relative sequence numbers [start, end), and when it was noticed (ns)."""

    start: int
    end: int
    time: int = field(compare=False)


class Streams:
    """The state of every direction of every conversation, by number."""

    def __init__(self) -> None:
        self.holes: dict[int, list[Hole]] = {}
        self.lost: dict[int, list[Hole]] = {}
        self._grow(1024)

    def _grow(self, size: int) -> None:
        fresh = {
            "seen": np.zeros(size, bool), "isn": np.zeros(size, np.int64), "last": np.zeros(size, np.int64),
            "relative": np.zeros(size, np.int64), "ahead": np.zeros(size, np.int64), "answered": np.full(size, -1, np.int64),
            "time": np.zeros(size, np.int64), "repeated": np.zeros(size, np.int64), "late": np.zeros(size, np.int64),
        }  # fmt: skip
        for name, column in fresh.items():
            if hasattr(self, name):
                column[: len(getattr(self, name))] = getattr(self, name)
            setattr(self, name, column)

    seen: Array
    isn: Array
    last: Array
    relative: Array
    ahead: Array
    answered: Array
    time: Array
    repeated: Array
    late: Array

    def add(self, stream: Array, sequence: Array, size: Array, flags: Array, acknowledged: Array, time: Array) -> None:
        """Take in packets, sorted by stream and within it as they came; size is payload and SYN and FIN (RFC 9293, 3.4)."""
        if not len(stream):
            return
        if (top := int(stream.max()) + 1) > len(self.seen):
            self._grow(max(top, 2 * len(self.seen)))
        opens = np.empty(len(stream), bool)
        opens[0] = True
        np.not_equal(stream[1:], stream[:-1], out=opens[1:])
        first = np.flatnonzero(opens)
        group = np.cumsum(opens) - 1
        known = self.seen[stream]
        before = np.empty_like(sequence)
        before[1:] = sequence[:-1]
        before[first] = np.where(self.seen[stream[first]], self.last[stream[first]], sequence[first])
        step = (sequence - before + _HALF) % _RING - _HALF
        isn = np.where(known, self.isn[stream], sequence[first][group])
        again = ((flags & SYN) != 0) & (sequence != isn) & (known | ~opens)
        fresh = (opens & ~known) | again | (np.abs(step) > _JUMP)
        starts = opens | fresh
        part = np.cumsum(starts) - 1
        at = np.flatnonzero(starts)
        place = np.cumsum(step)
        base = np.where(fresh[at], 0, np.where(opens[at], self.relative[stream[at]] + step[at], 0)) - place[at]
        place += base[part]
        end = place + size
        reach = end.copy()
        goes_on = at[~fresh[at]]
        reach[goes_on] = np.maximum(reach[goes_on], self.ahead[stream[goes_on]])
        ahead = np.maximum.accumulate(reach + part * _ROOM) - part * _ROOM
        expected = np.empty_like(ahead)
        expected[1:] = ahead[:-1]
        expected[at] = place[at]
        expected[goes_on] = self.ahead[stream[goes_on]]
        self._odd(stream, place, end, expected, fresh & ~(opens & ~known), flags, time)
        self._keep(stream, first, sequence, place, ahead, fresh, flags, acknowledged, time)

    def _odd(
        self, stream: Array, place: Array, end: Array, expected: Array, anew: Array, flags: Array, time: Array
    ) -> None:
        """The packets that are not simply the next one: a new connection, a hole, something a second time."""
        # One byte (or none) just before the next is how a host asks whether the other is still there (RFC 1122, 4.2.3.6).
        alive = (end - place <= 1) & (place == expected - 1) & ((flags & (SYN | FIN)) == 0)
        old = (place < expected) & (end > place) & ~alive
        odd = np.flatnonzero(anew | (place > expected) | old)
        columns = (stream[odd], place[odd], end[odd], expected[odd], anew[odd], time[odd])
        for one, start, stop, awaited, new, when in zip(*(column.tolist() for column in columns), strict=True):
            if new:
                self._close(one)
            elif start > awaited:
                self.holes.setdefault(one, []).append(Hole(awaited, start, when))
            elif self._fill(one, start, min(stop, awaited)):
                self.late[one] += 1
            else:
                self.repeated[one] += 1

    def _close(self, stream: int) -> None:
        if left := self.holes.pop(stream, None):
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

    def _keep(
        self, stream: Array, first: Array, sequence: Array, place: Array, ahead: Array, fresh: Array, flags: Array, acknowledged: Array, time: Array
    ) -> None:  # fmt: skip
        last = np.append(first[1:], len(stream)) - 1
        who = stream[last]
        index = np.arange(len(stream))
        began = np.maximum.reduceat(np.where(fresh, index, -1), first)
        self.isn[who] = np.where(began >= 0, sequence[began], self.isn[who])
        self.last[who], self.relative[who], self.ahead[who] = sequence[last], place[last], ahead[last]
        self.time[who], self.seen[who] = time[last], True
        answers = np.maximum.reduceat(np.where(flags & ACK != 0, index, -1), first)
        self.answered[who] = np.where(answers >= 0, acknowledged[answers], self.answered[who])

    def left(self, stream: int) -> list[Hole]:
        """What was never seen of a direction, in order of its sequence numbers per connection."""
        return [*self.lost.get(stream, ()), *self.holes.get(stream, ())]

    def tails(self, count: int) -> Array:
        """Bytes that the other end acknowledged beyond the last that was seen, for each of `count` directions.

        Directions 2n and 2n + 1 are the two of one conversation.
        """
        if count > len(self.seen):
            self._grow(count)
        mine = np.arange(count)
        theirs = mine ^ 1
        known = self.seen[mine] & (self.answered[theirs] >= 0)
        step = (self.answered[theirs] - self.last[mine] + _HALF) % _RING - _HALF
        beyond = self.relative[mine] + step - self.ahead[mine]
        return np.where(known & (beyond > 0) & (beyond < _JUMP), beyond, 0)
