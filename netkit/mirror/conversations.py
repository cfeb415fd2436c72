"""Inner packets summed up into conversations, block by block; memory grows with conversations and not with packets. Pure."""

from __future__ import annotations

import ipaddress
from typing import Any

import numpy as np
import pandas as pd

from netkit.core.net import TCP
from netkit.mirror.decode import Packets
from netkit.mirror.pcap import Array
from netkit.mirror.streams import ACK, FIN, RST, SYN, Streams

_ALONE = 65_536  # first fragments remembered at a time
_SYN_ONLY, _SYN_ACK, _RST, _ACK_ONLY = 1, 2, 4, 8  # what a handshake is told from

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
    "lost_bytes": "int64", "lost_bytes_back": "int64",
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
        self._grow(1024)

    def __len__(self) -> int:
        return len(self._numbers)

    def _grow(self, rows: int) -> None:
        kinds = dict.fromkeys(("packets", "bytes", "flags", "shake", "truncated", "by_capture"), 0)
        kinds |= {"first": 2**62, "last": 0, "order": 2**62, "cut_to": -1}
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
        self._follow(some, row, order)

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
        if some.truncated.any():
            cut_to = np.where(some.truncated, some.wire, -1)[order]
            state["cut_to"][who] = np.maximum(state["cut_to"][who], np.maximum.reduceat(cut_to, at))

    def _follow(self, some: Packets, row: Array, order: Array) -> None:
        keep = order[(some.tcp & (some.flags & RST == 0))[order]]
        flags = some.flags[keep].astype(np.int64)
        size = some.payload[keep] + ((flags & SYN) != 0) + ((flags & FIN) != 0)
        self.streams.add(row[keep], some.sequence[keep], size, flags, some.acknowledged[keep], some.time[keep])

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
        repeated, late = (
            column[: 2 * count].reshape(count, 2) for column in (self.streams.repeated, self.streams.late)
        )
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
            "handshake": _handshakes(key["protocol"], there(state["shake"]), back(state["shake"]), back(state["packets"])),
            "retransmissions": there(repeated), "retransmissions_back": back(repeated), "late": there(late), "late_back": back(late),
            "truncated": state["truncated"].sum(axis=1), "truncated_by_capture": state["by_capture"].sum(axis=1),
            "truncated_to": np.where(cut_to >= 0, cut_to, np.nan), "lost_bytes": lost[:, 0], "lost_bytes_back": lost[:, 1],
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


def _handshakes(protocol: Array, there: Array, back: Array, answers: Array) -> Array:
    asked, answered = (there & _SYN_ONLY) != 0, (back & _SYN_ACK) != 0
    went_on = (there & _ACK_ONLY) != 0
    return np.select(
        [
            protocol != TCP, asked & answered & went_on, asked & answered, asked & ((back & _RST) != 0), asked & (answers == 0),
            answered, asked,
        ],
        ["", "complete", "not finished", "refused", "no answer", "answer only", "request only"], "not seen",
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
