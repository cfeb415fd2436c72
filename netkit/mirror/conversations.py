"""Inner packets summed up into conversations, block by block; memory grows with conversations and not with packets. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from netkit.core.net import TCP
from netkit.mirror.decode import Packets
from netkit.mirror.pcap import Array
from netkit.mirror.streams import ACK, FIN, RST, SYN, Streams

_ALONE = 65_536  # first fragments remembered at a time
_SYN_ONLY, _SYN_ACK, _RST, _ACK_ONLY = 1, 2, 4, 8  # what a handshake is told from
_TOGETHER_NS = 500_000_000  # the same packet within half a second: a duplicate, or (rarely) something sent again
_MOST_COPIES = 4  # of one packet: by as many interfaces
_REMEMBERED = 4096  # packets of the block before, to find the copies of

# What two packets of one conversation share, the lower end first.
_KEY = (
    "vni", "outer_family", "outer_source_high", "outer_source", "outer_target_high", "outer_target", "family", "protocol",
    "low_high", "low", "low_port", "high_high", "high", "high_port",
)  # fmt: skip

COLUMNS = {
    "vni": "int64", "outer_source": "str", "outer_target": "str", "protocol": "int64", "source": "str", "source_port": "Int64",
    "destination": "str", "destination_port": "Int64", "packets": "int64", "bytes": "int64", "packets_back": "int64",
    "bytes_back": "int64", "first": "datetime64[ns, UTC]", "last": "datetime64[ns, UTC]", "tcp_flags": "int64",
    "tcp_flags_back": "int64", "handshake": "str", "retransmissions": "int64", "retransmissions_back": "int64",
    "late": "int64", "late_back": "int64", "truncated": "int64", "truncated_by_capture": "int64", "truncated_to": "Int64",
    "lost_bytes": "int64", "lost_bytes_back": "int64", "duplicates": "int64", "duplicates_back": "int64",
    "duplicate_bytes": "int64", "duplicate_bytes_back": "int64", "acknowledges": "bool", "acknowledges_back": "bool",
}  # fmt: skip
GAP_COLUMNS = {"time": "datetime64[ns, UTC]", "conversation": "int64", "back": "bool", "bytes": "int64"}


class Conversations:
    """Everything that is known of each conversation so far, two rows a conversation: one a direction."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._keys: list[Array] = []
        self._fragments: dict[tuple[int, ...], tuple[int, int, int, int]] = {}
        self.alone = [0, 0]
        self.streams = Streams()
        self._state: dict[str, Array] = {}
        self._recent: _Recent | None = None
        self._grow(1024)

    def __len__(self) -> int:
        return len(self._numbers)

    def _grow(self, rows: int) -> None:
        names = (
            "packets",
            "bytes",
            "flags",
            "shake",
            "truncated",
            "by_capture",
            "blind",
            "doubles",
            "double_bytes",
            "across",
            "named",
            "varied",
        )
        kinds = dict.fromkeys(names, 0) | {"first": 2**62, "last": 0, "order": 2**62, "cut_to": -1, "ident": -1}
        for name, empty in kinds.items():
            column = np.full(rows, empty, np.int64)
            if name in self._state:
                column[: len(self._state[name])] = self._state[name]
            self._state[name] = column

    def add(self, some: Packets) -> None:
        """Take in packets, in the order in which they came."""
        if (some.fragment > 0).any() or (some.more == 1).any():
            self._piece_together(some)
        turned = _turned(some)
        number = self._number(_key(some, turned))
        row = number * 2 + turned
        if 2 * len(self) > len(self._state["packets"]):
            self._grow(4 * len(self))
        order = np.argsort(row, kind="stable")
        self._sum(some, row[order], order)
        self._follow(some, row, order, self._double(some, row))

    def _sum(self, some: Packets, row: Array, order: Array) -> None:
        at = np.flatnonzero(np.concatenate([[True], row[1:] != row[:-1]]))
        who = row[at]
        state = self._state
        state["packets"][who] += np.diff(np.append(at, len(row)))
        for name, column in (("bytes", some.size), ("truncated", some.truncated), ("by_capture", some.truncated_by_capture)):  # fmt: skip
            state[name][who] += np.add.reduceat(column[order].astype(np.int64), at)
        time = some.time[order]
        state["first"][who] = np.minimum(state["first"][who], np.minimum.reduceat(time, at))
        state["last"][who] = np.maximum(state["last"][who], np.maximum.reduceat(time, at))
        state["order"][who] = np.minimum(state["order"][who], some.order[order][at])
        flags = some.flags.astype(np.int64)[order]
        state["flags"][who] |= np.bitwise_or.reduceat(flags, at)
        state["shake"][who] |= np.bitwise_or.reduceat(_shake(flags, some.tcp[order]), at)
        blind = (some.protocol == TCP) & ~some.tcp
        if blind.any():
            np.add.at(state["blind"], row, blind[order].astype(np.int64))
        if some.truncated.any():
            cut_to = np.where(some.truncated, some.wire, -1)[order]
            state["cut_to"][who] = np.maximum(state["cut_to"][who], np.maximum.reduceat(cut_to, at))

    def _double(self, some: Packets, row: Array) -> Array:
        """Which packets came just before, byte for byte; counted, with what tells a duplicate from something sent again.

        A host that sends again gives its packet another identification, where it gives any (RFC 791, RFC 6864).
        """
        now = _Recent(row, some.print, some.time, some.interface)
        every = now if self._recent is None else self._recent.followed_by(now)
        self._recent = every.last(_REMEMBERED)
        same, across = every.copies()
        double, across = same[-len(row) :], across[-len(row) :]
        state = self._state
        ident = some.ident.astype(np.int64)
        fresh = state["ident"][row] < 0
        state["ident"][row[fresh][::-1]] = ident[fresh][::-1]
        np.maximum.at(state["varied"], row, (ident != state["ident"][row]).astype(np.int64))
        who = row[double]
        for name, values in (
            ("doubles", 1), ("double_bytes", some.size[double]), ("across", across[double].astype(np.int64)),
            ("named", (ident[double] != 0).astype(np.int64)),
        ):  # fmt: skip
            np.add.at(state[name], who, values)
        return double

    def _follow(self, some: Packets, row: Array, order: Array, double: Array) -> None:
        reset = some.tcp & (some.flags & RST != 0)
        keep = order[(some.tcp & ~reset)[order]]
        flags = some.flags[keep].astype(np.int64)
        size = some.payload[keep] + ((flags & SYN) != 0) + ((flags & FIN) != 0)
        resets: dict[int, list[int]] = {}
        for number, when in zip((row[reset] // 2).tolist(), some.order[reset].tolist(), strict=True):
            resets.setdefault(number, []).append(when)
        self.streams.add(
            row[keep], some.sequence[keep], size, flags, some.acknowledged[keep], some.time[keep], some.order[keep], double[keep],
            resets,
        )  # fmt: skip

    def _number(self, key: Array) -> Array:
        """The number of each packet's conversation; new ones get the next."""
        codes, first = _grouped(key)
        rows = np.ascontiguousarray(key[first])
        numbers = np.empty(len(rows), np.int64)
        for place, row in enumerate(rows):
            name = row.tobytes()
            if name not in self._numbers:
                self._numbers[name] = len(self._numbers)
                self._keys.append(row)
            numbers[place] = self._numbers[name]
        return numbers[codes]

    def _piece_together(self, some: Packets) -> None:
        """Give later fragments the ports, and for TCP the place in the stream, of the first one."""
        pieces = np.flatnonzero((some.fragment > 0) | (some.more == 1))
        names = (some.vni, some.family, some.protocol, some.source_high, some.source, some.destination_high, some.destination, some.ident)  # fmt: skip
        for at, *rest in zip(pieces.tolist(), *(column[pieces].tolist() for column in names), strict=True):
            name = tuple(rest)
            if some.fragment[at] == 0:
                self._fragments[name] = (int(some.source_port[at]), int(some.destination_port[at]), int(some.sequence[at]), int(some.header[at]))  # fmt: skip
                if len(self._fragments) > _ALONE:
                    self._fragments.pop(next(iter(self._fragments)))
            elif name in self._fragments:
                some.source_port[at], some.destination_port[at], sequence, header = self._fragments[name]
                if header:
                    some.tcp[at] = True
                    some.sequence[at] = (sequence + int(some.fragment[at]) - header) % 2**32
                    some.payload[at] = some.size[at] - (20 if some.family[at] == 4 else 48)
            else:
                self.alone[0] += 1
                self.alone[1] += int(some.size[at])

    # ------------------------------------------------------------------------------------------------------ the answer

    def frame(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The conversations, earliest first, and the holes in their streams (GAP_COLUMNS)."""
        count = len(self)
        if not count:
            return _typed({}, COLUMNS), _typed({}, GAP_COLUMNS)
        state = {name: column[: 2 * count].reshape(count, 2) for name, column in self._state.items()}
        key = dict(zip(_KEY, np.array(self._keys).T, strict=True))
        begins = self._who_began(state)
        rows = np.arange(count)
        tails = self.streams.tails(2 * count).reshape(count, 2)
        gaps = self._gaps(tails, begins)
        lost = np.zeros((count, 2), np.int64)
        for one in gaps:
            lost[one[1], int(one[2])] += one[3]

        def there(values: Array) -> Array:
            return np.asarray(values[rows, begins])

        def back(values: Array) -> Array:
            return np.asarray(values[rows, 1 - begins])

        low, high = _addresses(key["family"], key["low_high"], key["low"]), _addresses(key["family"], key["high_high"], key["high"])  # fmt: skip
        ports = [_port(key[name]) for name in ("low_port", "high_port")]
        first = begins == 0
        repeated, doubled, late, moved = (
            column[: 2 * count].reshape(count, 2)
            for column in (self.streams.repeated, self.streams.doubled, self.streams.late, self.streams.moved)
        )
        copies = _are_copies(state, key["vni"])
        repeated = repeated - np.where(copies, doubled, 0)
        doubles, double_bytes = (np.where(copies, state[name], 0) for name in ("doubles", "double_bytes"))
        cut_to = state["cut_to"].max(axis=1)
        columns = {
            "vni": key["vni"].astype(np.int64),
            "outer_source": _addresses(key["outer_family"], key["outer_source_high"], key["outer_source"]),
            "outer_target": _addresses(key["outer_family"], key["outer_target_high"], key["outer_target"]),
            "protocol": key["protocol"].astype(np.int64),
            "source": np.where(first, low, high), "destination": np.where(first, high, low),
            "source_port": np.where(first, ports[0], ports[1]), "destination_port": np.where(first, ports[1], ports[0]),
            "packets": there(state["packets"]), "packets_back": back(state["packets"]),
            "bytes": there(state["bytes"]), "bytes_back": back(state["bytes"]),
            "first": state["first"].min(axis=1), "last": state["last"].max(axis=1),
            "tcp_flags": there(state["flags"]), "tcp_flags_back": back(state["flags"]),
            "handshake": _handshakes(key["protocol"], there(state["shake"]), back(state["shake"]), back(state["packets"]), state["blind"].sum(axis=1)),
            "retransmissions": there(repeated), "retransmissions_back": back(repeated), "late": there(late), "late_back": back(late),
            "truncated": state["truncated"].sum(axis=1), "truncated_by_capture": state["by_capture"].sum(axis=1),
            "truncated_to": np.where(cut_to >= 0, cut_to, np.nan), "lost_bytes": lost[:, 0], "lost_bytes_back": lost[:, 1],
            "duplicates": there(doubles), "duplicates_back": back(doubles),
            "duplicate_bytes": there(double_bytes), "duplicate_bytes_back": back(double_bytes),
            "acknowledges": there(moved), "acknowledges_back": back(moved),
        }  # fmt: skip
        order = np.lexsort((state["order"].min(axis=1), columns["first"]))
        place = np.empty(count, np.int64)
        place[order] = rows
        holes = {
            "time": [one[0] for one in gaps], "conversation": [int(place[one[1]]) for one in gaps],
            "back": [one[2] for one in gaps], "bytes": [one[3] for one in gaps],
        }  # fmt: skip
        frame = _typed({name: column[order] for name, column in columns.items()}, COLUMNS)
        return frame, _typed(holes, GAP_COLUMNS).sort_values("time", kind="stable", ignore_index=True)

    def _who_began(self, state: dict[str, Array]) -> Array:
        """0 where the lower end began: it sent the SYN, or got the SYN-ACK; failing both, it was seen first."""
        asked, answered = (state["shake"] & _SYN_ONLY) != 0, (state["shake"] & _SYN_ACK) != 0
        seen_first = (state["order"][:, 1] < state["order"][:, 0]).astype(np.int64)
        one_asked = asked[:, 0] != asked[:, 1]
        one_answered = answered[:, 0] != answered[:, 1]
        return np.select(
            [one_asked, one_answered], [asked[:, 1].astype(np.int64), answered[:, 0].astype(np.int64)], seen_first
        )

    def _gaps(self, tails: Array, begins: Array) -> list[tuple[int, int, bool, int]]:
        """(time, conversation, whether it is the way back, bytes) of each hole."""
        found = []
        for stream in {*self.streams.holes, *self.streams.lost}:
            conversation, side = divmod(stream, 2)
            for hole in self.streams.left(stream):
                found.append((hole.time, conversation, bool(side != begins[conversation]), hole.end - hole.start))
        for conversation, side in np.argwhere(tails > 0).tolist():
            when = int(self.streams.time[conversation * 2 + side])
            found.append((when, conversation, bool(side != begins[conversation]), int(tails[conversation, side])))
        return sorted(found)


@dataclass
class _Recent:
    """Packets among which copies are looked for, as they came."""

    row: Array
    print: Array
    time: Array
    interface: Array

    def followed_by(self, other: _Recent) -> _Recent:
        """These and then those."""
        return _Recent(*(np.concatenate([getattr(one, name.name) for one in (self, other)]) for name in fields(self)))

    def last(self, most: int) -> _Recent:
        """The last of them."""
        return _Recent(*(getattr(self, name.name)[-most:] for name in fields(self)))

    def copies(self) -> tuple[Array, Array]:
        """Which packets came shortly before in the same direction of the same conversation, and which of them at another interface."""
        with np.errstate(over="ignore"):
            mixed = self.print ^ (self.row.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        order = np.argsort(mixed, kind="stable")
        one, other = order[:-1], order[1:]
        near = np.abs(self.time[other] - self.time[one]) <= _TOGETHER_NS
        same = (self.print[other] == self.print[one]) & (self.row[other] == self.row[one]) & near
        found, across = np.zeros(len(order), bool), np.zeros(len(order), bool)
        found[other[same]] = True
        across[other[same]] = (self.interface[other] != self.interface[one])[same]
        return found, across


def _are_copies(state: Mapping[str, Array], vni: Array) -> Array:
    """Whether packets that came twice are duplicates, for each direction of each conversation.

    They are where the copies came in at different interfaces, where the sender numbers its packets and both have one number, and
    where half of all packets came twice, of the direction or of its VNI: nothing is sent again so regularly. A heartbeat, which says
    the same all the time, came more than _MOST_COPIES times.
    """
    doubles = state["doubles"]
    once = state["packets"] - doubles
    sure = (state["across"] > 0) | ((state["varied"] > 0) & (state["named"] > 0))
    few = doubles <= (_MOST_COPIES - 1) * once
    _, codes = np.unique(vni, return_inverse=True)
    of_vni = [np.bincount(codes.reshape(-1), np.where(few, one, 0).sum(axis=1)) for one in (doubles, once)]
    regular = _regular(doubles, once) | _regular(*of_vni)[codes.reshape(-1)][:, None]
    return np.asarray((doubles > 0) & (sure | (few & regular)))


def _regular(doubles: Array, once: Array) -> Array:
    return np.asarray((once >= 3) & (2 * doubles >= once))


def _turned(some: Packets) -> Array:
    """1 where the packet goes from the higher end to the lower: by address, then by port."""
    higher = some.source > some.destination
    same = some.source == some.destination
    if some.source_high.any() or some.destination_high.any():
        higher = np.where(some.source_high == some.destination_high, higher, some.source_high > some.destination_high)
        same &= some.source_high == some.destination_high
    return np.where(same, some.source_port > some.destination_port, higher).astype(np.int64)


def _key(some: Packets, turned: Array) -> Array:
    flip = turned.astype(bool)
    columns = (
        some.vni, some.outer_family, some.outer_source_high, some.outer_source, some.outer_target_high, some.outer_target,
        some.family, some.protocol,
        np.where(flip, some.destination_high, some.source_high), np.where(flip, some.destination, some.source),
        np.where(flip, some.destination_port, some.source_port),
        np.where(flip, some.source_high, some.destination_high), np.where(flip, some.source, some.destination),
        np.where(flip, some.source_port, some.destination_port),
    )  # fmt: skip
    key = np.empty((len(some), len(_KEY)), np.uint64)
    for place, column in enumerate(columns):
        key[:, place] = column.astype(np.uint64)  # a port of -1 becomes 2**64 - 1, and back again in _port
    return key


def _grouped(key: Array) -> tuple[Array, Array]:
    """A group number for each row, and the first row of each group. Exact: a hash that deceives is found out."""
    with np.errstate(over="ignore"):
        mixed = np.zeros(len(key), np.uint64)
        for place in range(key.shape[1]):
            mixed = (mixed ^ key[:, place]) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
    codes, _ = pd.factorize(mixed)
    first = np.zeros(int(codes.max()) + 1, np.int64)
    first[codes[::-1]] = np.arange(len(key))[::-1]
    if not (key == key[first][codes]).all():
        _, first, codes = np.unique(key, axis=0, return_index=True, return_inverse=True)
        codes = codes.reshape(-1)
    return np.asarray(codes, np.int64), first


def _shake(flags: Array, tcp: Array) -> Array:
    syn, ack, rst = (flags & SYN) != 0, (flags & ACK) != 0, (flags & RST) != 0
    kind = np.select([rst, syn & ack, syn, ack], [_RST, _SYN_ACK, _SYN_ONLY, _ACK_ONLY], 0)
    return np.where(tcp, kind, 0)


def _handshakes(protocol: Array, there: Array, back: Array, answers: Array, blind: Array) -> Array:
    """How each handshake went; "not readable" where the flags that would tell were cut off, and those that are left do not."""
    asked, answered = (there & _SYN_ONLY) != 0, (back & _SYN_ACK) != 0
    went_on = (there & _ACK_ONLY) != 0
    return np.select(
        [
            protocol != TCP, asked & answered & went_on, asked & ((back & _RST) != 0) & ~answered, blind > 0, asked & answered,
            asked & (answers == 0), answered, asked,
        ],
        ["", "complete", "refused", "not readable", "not finished", "no answer", "answer only", "request only"], "not seen",
    )  # fmt: skip


def _addresses(family: Array, high: Array, low: Array) -> Array:
    """Addresses as text; each different one is written once."""
    distinct, codes = np.unique(np.stack([family, high, low]), axis=1, return_inverse=True)
    texts = [
        str(ipaddress.IPv4Address(int(lower)) if kind == 4 else ipaddress.IPv6Address((int(upper) << 64) | int(lower)))
        for kind, upper, lower in distinct.T
    ]
    return np.array(texts, object)[codes.reshape(-1)]


def _port(values: Array) -> Array:
    ports = values.astype(np.int64)
    return np.where(ports < 0, np.nan, ports)


def _typed(columns: dict[str, Any], kinds: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(columns.get(name, []), dtype="float64" if kind == "Int64" else None) if kind == "Int64" else columns.get(name, []) for name, kind in kinds.items()}).astype(kinds)  # fmt: skip
