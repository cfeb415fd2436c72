"""Frames to inner packets: VXLAN, and Geneve with VXLAN inside, down to the inner TCP, UDP or ICMP header. Pure, numpy throughout.

Sources: RFC 7348 (VXLAN), RFC 8926 (Geneve), RFC 791, RFC 8200, RFC 9293, RFC 768; Amazon VPC Traffic Mirroring, "Traffic
mirroring packet formats". Every frame ends in exactly one of the counters of OUTCOMES.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

import numpy as np

from netkit.core.net import TCP, UDP
from netkit.mirror.pcap import (
    ETHERNET,
    LINUX_COOKED,
    LINUX_COOKED_2,
    RAW,
    RAW_IPV4,
    RAW_IPV6,
    Array,
    Frames,
    halves_of,
    longs_of,
    words_of,
)

VXLAN_PORT, GENEVE_PORT = 4789, 6081
IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
_VLANS = (0x8100, 0x88A8, 0x9100)
SCTP = 132
_PORTED = (TCP, UDP, SCTP)  # ports are the first four bytes (RFC 9293, RFC 768, RFC 9260)
_TRANSPARENT_ETHERNET = 0x6558  # Geneve's protocol type for an Ethernet frame (RFC 8926, 3.4)
_EXTENSIONS = np.isin(
    np.arange(256), (0, 43, 44, 51, 60, 135, 139, 140)
)  # IANA, IPv6 extension header types, without ESP
_FRAGMENT_HEADER, _AUTHENTICATION_HEADER = 44, 51
_PIECES = 65_536  # first outer fragments remembered at a time
_PRINTED = (
    12  # words of 8 bytes that tell a packet: IP and TCP headers with their options; the checksums stand for the rest
)

OUTCOMES: dict[str, str] = {
    "in_conversations": "inner IP packets, counted in the conversations",
    "inner_arp": "inner ARP: AWS never mirrors it, so this came from somewhere else",
    "inner_not_ip": "inner frames of another Ethernet type than IPv4, IPv6 and ARP",
    "inner_damaged": "inner IP headers that contradict themselves (version, header length, total length)",
    "inner_cut_short": "cut off before the end of the inner IP header",
    "vxlan_without_vni": "VXLAN headers without the flag that makes the VNI valid (RFC 7348)",
    "envelope_cut_short": "cut off within the VXLAN or Geneve header",
    "outer_later_fragments": "outer fragments after the first: their inner bytes cannot be told apart",
    "outer_cut_short": "cut off within the outer headers, or outer headers that contradict themselves",
    "outer_other_traffic": "IP packets that are neither VXLAN (UDP 4789) nor Geneve (UDP 6081)",
    "outer_not_ip": "frames without an outer IP header (ARP, LLDP and the like)",
}
NOTES: dict[str, str] = {
    "outer_fragments": "mirrored packets whose envelope was fragmented on the way: the copy is larger than a link's MTU",
    "outer_later_of_mirrored": "of the later outer fragments: those whose first one was seen and is a mirrored packet's",
    "truncated": "inner packets that the mirror cut (packet length, or the target's MTU)",
    "truncated_by_capture": "inner packets that the capture cut (snap length)",
    "cut_by_capture": "of the frames cut off within a header: those that the capture cut (snap length)",
    "inner_fragments": "inner packets that are fragments of a larger one",
    "inner_fragments_alone": "later inner fragments whose first was not seen: counted without ports",
    "inner_vlan": "inner frames with a VLAN tag",
    "geneve": "packets that came in Geneve",
}


@dataclass
class Packets:
    """Inner IP packets, a column each.

    order is the frame's number in the capture, time ns since 1970, interface its number in its file; size is the IP total length (bytes);
    ports are -1 where there are none; wire is the length of the inner frame as the mirror sent it (bytes); addresses are two
    64-bit halves; print is a number made of the packet's first bytes, the same for the same packet.
    """

    order: Array
    time: Array
    vni: Array
    outer_family: Array
    outer_source_high: Array
    outer_source: Array
    outer_target_high: Array
    outer_target: Array
    family: Array
    protocol: Array
    source_high: Array
    source: Array
    destination_high: Array
    destination: Array
    source_port: Array
    destination_port: Array
    size: Array
    wire: Array
    truncated: Array
    truncated_by_capture: Array
    fragment: Array
    more: Array
    ident: Array
    interface: Array
    print: Array
    tcp: Array
    sequence: Array
    acknowledged: Array
    flags: Array
    payload: Array
    header: Array

    def __len__(self) -> int:
        return len(self.order)


@dataclass
class _Ip:
    """IP headers, a row for each position asked. whole: the header was there and makes sense; short: it was cut off."""

    whole: Array
    short: Array
    family: Array
    protocol: Array
    upper: Array
    total: Array
    source_high: Array
    source: Array
    destination_high: Array
    destination: Array
    fragment: Array
    more: Array
    ident: Array
    at: Array

    @classmethod
    def nothing(cls, at: Array, short: Array) -> _Ip:
        """No header found yet, at any position."""
        columns = {one.name: np.zeros(len(at), np.int64) for one in fields(cls)}
        columns |= {
            one.name: np.zeros(len(at), np.uint64)
            for one in fields(cls)
            if one.name.startswith(("source", "destination"))
        }
        return cls(**(columns | {"whole": np.zeros(len(at), bool), "short": short, "at": at}))

    def rows(self, keep: Array) -> _Ip:
        """Some of the headers."""
        return _Ip(*(getattr(self, one.name)[keep] for one in fields(self)))


class Decoder:
    """Decodes frames, and counts what was not decoded and why; by_vni has what is known of one VNI."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.by_vni: Counter[tuple[int, str]] = Counter()
        self.pieces: dict[tuple[int, ...], int] = {}
        self.other: Counter[tuple[int, int]] = Counter()
        self.other_bytes: Counter[tuple[int, int]] = Counter()
        self.seen = 0

    def decode(self, some: Frames) -> Packets | None:
        """The inner packets of some frames, or None where there are none."""
        return _Block(self, some).inner()


class _Block:
    """The frames of one block on their way through the headers."""

    def __init__(self, owner: Decoder, some: Frames) -> None:
        self.owner = owner
        self.data = some.data
        self.halves, self.words, self.longs = halves_of(some.data), words_of(some.data, ">"), longs_of(some.data)
        self.start, self.end = some.start, some.start + some.captured
        self.length, self.time, self.link_type, self.interface = some.length, some.time, some.link_type, some.interface
        self.first = owner.seen
        owner.seen += len(some.start)

    def note(self, counter: str, frame: Array, vni: Array | None = None) -> None:
        """Count some frames, and their bytes; and by VNI where it is known."""
        if not len(frame):
            return
        self.owner.count[counter] += len(frame)
        self.owner.bytes[counter] += int(self.length[frame].sum())
        if vni is not None:
            for one, count in zip(*(part.tolist() for part in np.unique(vni, return_counts=True)), strict=True):
                self.owner.by_vni[one, counter] += count

    def note_cut(self, counter: str, frame: Array, vni: Array | None = None) -> None:
        """Count frames cut off within a header, and of them those that the capture cut."""
        self.note(counter, frame, vni)
        by_capture = self.end[frame] - self.start[frame] < self.length[frame]
        self.note("cut_by_capture", frame[by_capture], None if vni is None else vni[by_capture])

    # ------------------------------------------------------------------------------------------------------- layers

    def ethertype(self, at: Array, end: Array) -> tuple[Array, Array, Array]:
        """Type, position behind the Ethernet header, and whether there was a VLAN tag; type -1 where it was cut off."""
        return self.untagged(self.halves[self._safe(at + 12)].astype(np.int64), at + 14, end)

    def untagged(self, kind: Array, behind: Array, end: Array) -> tuple[Array, Array, Array]:
        """The same of a header that ends at `behind` with the type `kind`: VLAN tags stepped over (IEEE 802.1Q)."""
        tagged = np.isin(kind, _VLANS)
        for _ in range(3):
            more = np.flatnonzero(np.isin(kind, _VLANS))
            if not len(more):
                break
            kind[more] = self.halves[self._safe(behind[more] + 2)]
            behind[more] += 4
        kind[behind > end] = -1
        return kind, behind, tagged

    def link(self) -> tuple[Array, Array]:
        """Ethernet type and position of the outer network header, by the link type of each frame's interface; type 0 for one not read."""
        kind, behind = np.zeros(len(self.start), np.int64), self.start.copy()
        for link_type in np.unique(self.link_type).tolist():
            mine = np.flatnonzero(self.link_type == link_type)
            kind[mine], behind[mine] = self._link(link_type, self.start[mine], self.end[mine])
        return kind, behind

    def _link(self, link_type: int, at: Array, end: Array) -> tuple[Array, Array]:
        if link_type in (RAW, 12, 14, RAW_IPV4, RAW_IPV6):
            version = self.data[self._safe(at)] >> 4
            return np.select([at >= end, version == 4, version == 6], [-1, IPV4, IPV6], 0), at
        if link_type in (LINUX_COOKED, LINUX_COOKED_2):
            type_at, size = (14, 16) if link_type == LINUX_COOKED else (0, 20)
            kind, behind, _ = self.untagged(self.halves[self._safe(at + type_at)].astype(np.int64), at + size, end)
            return kind, behind
        if link_type == ETHERNET:
            kind, behind, _ = self.ethertype(at, end)
            return kind, behind
        return np.zeros(len(at), np.int64), at

    def ip(self, at: Array, end: Array, kind: Array) -> _Ip:
        """IP headers at positions, of the family that the Ethernet type says."""
        found = _Ip.nothing(at, kind < 0)
        self._ipv4(found, np.flatnonzero(kind == IPV4), end)
        self._ipv6(found, np.flatnonzero(kind == IPV6), end)
        return found

    def _ipv4(self, found: _Ip, rows: Array, end: Array) -> None:
        if not len(rows):
            return
        at = found.at[rows]
        fits = at + 20 <= end[rows]
        found.short[rows] = ~fits
        rows, at = rows[fits], at[fits]
        first = self.data[at].astype(np.int64)
        header, total = (first & 15) * 4, self.halves[at + 2].astype(np.int64)
        # A total length of 0 is what segmentation offload leaves behind: the frame's own length counts then.
        total = np.where(total == 0, end[rows] - at, total)
        piece = self.halves[at + 6].astype(np.int64)
        found.whole[rows] = (first >> 4 == 4) & (header >= 20) & (total >= header)
        found.family[rows] = 4
        found.protocol[rows] = self.data[at + 9]
        found.upper[rows] = at + header
        found.total[rows] = total
        found.source[rows] = self.words[at + 12]
        found.destination[rows] = self.words[at + 16]
        found.fragment[rows] = (piece & 0x1FFF) * 8
        found.more[rows] = piece >> 13 & 1
        found.ident[rows] = self.halves[at + 4]

    def _ipv6(self, found: _Ip, rows: Array, end: Array) -> None:
        if not len(rows):
            return
        at = found.at[rows]
        fits = at + 40 <= end[rows]
        found.short[rows] = ~fits
        rows, at = rows[fits], at[fits]
        found.whole[rows] = self.data[at] >> 4 == 6
        found.family[rows] = 6
        found.total[rows] = self.halves[at + 4].astype(np.int64) + 40
        found.source_high[rows], found.source[rows] = self.longs[at + 8], self.longs[at + 16]
        found.destination_high[rows], found.destination[rows] = self.longs[at + 24], self.longs[at + 32]
        found.protocol[rows] = self.data[at + 6]
        found.upper[rows] = at + 40
        self._extensions(found, rows, end)

    def _extensions(self, found: _Ip, rows: Array, end: Array) -> None:
        """Walk extension headers to the upper-layer header; behind a fragment header of a later fragment there is none."""
        for _ in range(10):
            rows = rows[_EXTENSIONS[found.protocol[rows]] & (found.fragment[rows] == 0)]
            rows = rows[found.upper[rows] + 8 <= end[rows]]
            if not len(rows):
                return
            at, kind = found.upper[rows], found.protocol[rows]
            pieces = rows[kind == _FRAGMENT_HEADER]
            piece_at = found.upper[pieces]
            piece = self.halves[piece_at + 2].astype(np.int64)
            found.fragment[pieces], found.more[pieces] = piece & 0xFFF8, piece & 1
            found.ident[pieces] = self.words[piece_at + 4]
            said = self.data[at + 1].astype(np.int64)
            size = np.where(
                kind == _FRAGMENT_HEADER, 8, np.where(kind == _AUTHENTICATION_HEADER, (said + 2) * 4, (said + 1) * 8)
            )
            found.protocol[rows] = self.data[at]
            found.upper[rows] = at + size

    # ----------------------------------------------------------------------------------------------------- envelopes

    def inner(self) -> Packets | None:
        """Outer headers, envelope, inner headers."""
        kind, at = self.link()
        frame = np.arange(len(at))
        outer = self.ip(at, self.end, kind)
        self._count_outer(outer, kind, frame)
        port = self._udp_port(outer, self.end)
        self._pieces(outer, port, frame)
        self._count_other(outer, port, frame)
        vxlan = np.flatnonzero(port == VXLAN_PORT)
        geneve = np.flatnonzero(port == GENEVE_PORT)
        parts = [self._vxlan(outer.rows(vxlan), frame[vxlan])] if len(vxlan) else []
        if len(geneve):
            parts += self._geneve(outer.rows(geneve), frame[geneve])
        kept = [part for part in parts if part is not None and len(part)]
        return _joined(kept) if kept else None

    def _count_outer(self, outer: _Ip, kind: Array, frame: Array) -> None:
        is_ip = (kind == IPV4) | (kind == IPV6)
        self.note("outer_not_ip", frame[~is_ip & (kind >= 0)])
        self.note_cut("outer_cut_short", frame[outer.short | (is_ip & ~outer.whole & ~outer.short)])
        self.note("outer_later_fragments", frame[outer.whole & (outer.fragment > 0)])

    def _pieces(self, outer: _Ip, port: Array, frame: Array) -> None:
        """Of outer fragments those that are known to be a mirrored packet's: first ones by their port, later ones by their first."""
        mine = outer.whole & (outer.protocol == UDP) & ((outer.fragment > 0) | (outer.more == 1))
        names = (outer.source_high, outer.source, outer.destination_high, outer.destination, outer.ident)
        known = self.owner.pieces
        for at in np.flatnonzero(mine).tolist():
            name = tuple(int(column[at]) for column in names)
            if outer.fragment[at] == 0:
                known.pop(name, None)
                if port[at] in (VXLAN_PORT, GENEVE_PORT):
                    known[name] = self._vni_at(outer, port, at)
                    self.note("outer_fragments", frame[at : at + 1], np.array([known[name]]))
                if len(known) > _PIECES:
                    known.pop(next(iter(known)))
            elif name in known:
                self.note("outer_later_of_mirrored", frame[at : at + 1], np.array([known[name]]))

    def _vni_at(self, outer: _Ip, port: Array, at: int) -> int:
        """The VNI of one VXLAN packet, -1 where it cannot be seen: it is cut off, or stands within Geneve."""
        head = int(outer.upper[at]) + 8
        whole = port[at] == VXLAN_PORT and head + 8 <= self.end[at]
        return int(self.words[head + 4]) >> 8 if whole else -1

    def _udp_port(self, layer: _Ip, end: Array) -> Array:
        """The UDP destination port, -1 where there is none: another protocol, a later fragment, a cut-off header (-2)."""
        first = layer.whole & (layer.fragment == 0)
        is_udp = first & (layer.protocol == UDP)
        there = is_udp & (layer.upper + 8 <= end)
        port = np.where(is_udp, -2, np.where(first, -1, -3))
        port[there] = self.halves[layer.upper[there] + 2]
        return port

    def _count_other(self, outer: _Ip, port: Array, frame: Array) -> None:
        self.note_cut("outer_cut_short", frame[port == -2])
        other = np.flatnonzero((port >= -1) & (port != VXLAN_PORT) & (port != GENEVE_PORT))
        self.note("outer_other_traffic", frame[other])
        if len(other):
            protocol = outer.protocol[other]
            ported = np.isin(protocol, _PORTED) & (outer.upper[other] + 4 <= self.end[other])
            pair = self.words[self._safe(outer.upper[other])].astype(np.int64)
            service = np.where(ported, np.minimum(pair >> 16, pair & 0xFFFF), -1)
            values, codes = np.unique(np.stack([protocol, service]), axis=1, return_inverse=True)
            sums = [np.bincount(codes.reshape(-1), weights) for weights in (None, self.length[frame[other]])]
            for (number, lower), count, size in zip(values.T.tolist(), *(one.tolist() for one in sums), strict=True):
                self.owner.other[number, lower] += int(count)
                self.owner.other_bytes[number, lower] += int(size)

    def _vxlan(self, outer: _Ip, frame: Array) -> Packets | None:
        head, end = outer.upper + 8, self.end[frame]
        fits = head + 8 <= end
        valid = fits & (self.data[self._safe(head)] & 0x08 != 0)
        self.note_cut("envelope_cut_short", frame[~fits])
        self.note("vxlan_without_vni", frame[fits & ~valid])
        outer, frame, head = outer.rows(valid), frame[valid], head[valid]
        vni = self.words[head + 4].astype(np.int64) >> 8
        return self._ethernet_inside(outer, frame, vni, head + 8)

    def _geneve(self, outer: _Ip, frame: Array) -> list[Packets | None]:
        """Geneve as Gateway Load Balancers write it: an IP packet inside, which is the mirror's VXLAN."""
        head, end = outer.upper + 8, self.end[frame]
        inside = head + 8 + (self.data[self._safe(head)].astype(np.int64) & 0x3F) * 4
        fits = inside <= end
        self.note_cut("envelope_cut_short", frame[~fits])
        self.note("geneve", frame[fits])
        outer, frame, head, inside = outer.rows(fits), frame[fits], head[fits], inside[fits]
        kind = self.halves[head + 2].astype(np.int64)
        vni = self.words[head + 4].astype(np.int64) >> 8
        framed = kind == _TRANSPARENT_ETHERNET
        at, network = inside.copy(), kind.copy()
        network[framed], at[framed], _ = self.ethertype(inside[framed], self.end[frame[framed]])
        middle = self.ip(at, self.end[frame], network)
        wrapped = self._udp_port(middle, self.end[frame]) == VXLAN_PORT
        parts = [self._vxlan(middle.rows(wrapped), frame[wrapped])] if wrapped.any() else []
        plain = ~wrapped
        if plain.any():
            network_inside = self._inside(
                outer.rows(plain), frame[plain], vni[plain], inside[plain], network[plain], middle.rows(plain)
            )
            parts.append(network_inside)
        return parts

    def _ethernet_inside(self, outer: _Ip, frame: Array, vni: Array, at: Array) -> Packets | None:
        kind, behind, tagged = self.ethertype(at, self.end[frame])
        seen = tagged & (kind >= 0)
        self.note("inner_vlan", frame[seen], vni[seen])
        return self._inside(outer, frame, vni, at, kind, self.ip(behind, self.end[frame], kind))

    def _inside(self, outer: _Ip, frame: Array, vni: Array, at: Array, kind: Array, layer: _Ip) -> Packets | None:
        is_ip = (kind == IPV4) | (kind == IPV6)
        keep = layer.whole & ~layer.short
        for counter, which in (
            ("inner_arp", kind == ARP), ("inner_not_ip", ~is_ip & (kind >= 0) & (kind != ARP)),
            ("inner_damaged", is_ip & ~layer.short & ~layer.whole), ("in_conversations", keep),
        ):  # fmt: skip
            self.note(counter, frame[which], vni[which])
        self.note_cut("inner_cut_short", frame[layer.short], vni[layer.short])
        if not keep.any():
            return None
        return self._packets(outer.rows(keep), frame[keep], vni[keep], at[keep], layer.rows(keep))

    # -------------------------------------------------------------------------------------------------- inner packets

    def _packets(self, outer: _Ip, frame: Array, vni: Array, at: Array, layer: _Ip) -> Packets:
        end = self.end[frame]
        # What the envelope says it carries: the outer IP packet's end, whatever the capture kept of it.
        sent = outer.at + outer.total - at
        whole = layer.at - at + layer.total
        cut = (sent < whole) & (outer.more == 0)
        kept = np.minimum(end - at, np.maximum(sent, 0))
        by_capture = (end - at < np.minimum(sent, whole)) & (outer.more == 0)
        for counter, which in (
            ("truncated", cut), ("truncated_by_capture", by_capture), ("inner_fragments", (layer.fragment > 0) | (layer.more == 1))
        ):  # fmt: skip
            self.note(counter, frame[which], vni[which])
        end = np.minimum(end, at + kept)
        source_port, destination_port = self._ports(layer, end)
        return Packets(
            self.first + frame, self.time[frame], vni,
            outer.family, outer.source_high, outer.source, outer.destination_high, outer.destination,
            layer.family, layer.protocol, layer.source_high, layer.source, layer.destination_high, layer.destination,
            source_port, destination_port, layer.total, sent, cut, by_capture, layer.fragment, layer.more, layer.ident,
            self.interface[frame], self._prints(layer, end), *self._tcp(layer, end),
        )  # fmt: skip

    def _prints(self, layer: _Ip, end: Array) -> Array:
        """One number for the first bytes of each packet; bytes that were not kept count as nothing."""
        mixed = np.zeros(len(end), np.uint64)
        with np.errstate(over="ignore"):
            for place in range(_PRINTED):
                at = layer.at + 8 * place
                there = at + 8 <= end
                if not there.any():
                    break
                word = np.where(there, self.longs[self._safe(at)], 0).astype(np.uint64)
                mixed = (mixed ^ word) * np.uint64(0x9E3779B97F4A7C15)
                mixed ^= mixed >> np.uint64(29)
        return mixed

    def _ports(self, layer: _Ip, end: Array) -> tuple[Array, Array]:
        there = np.isin(layer.protocol, _PORTED) & (layer.fragment == 0) & (layer.upper + 4 <= end)
        pair = self.words[self._safe(layer.upper)].astype(np.int64)
        return np.where(there, pair >> 16, -1), np.where(there, pair & 0xFFFF, -1)

    def _tcp(self, layer: _Ip, end: Array) -> tuple[Array, ...]:
        """Whether there is a TCP header to read, and its sequence and acknowledgement numbers, flags, payload and header bytes."""
        there = (layer.protocol == TCP) & (layer.fragment == 0) & (layer.upper + 14 <= end)
        at = self._safe(np.where(there, layer.upper, 0))
        header = (self.data[at + 12] >> 4).astype(np.int64) * 4
        payload = layer.at + layer.total - layer.upper - header
        there &= (header >= 20) & (payload >= 0)
        return (
            there, self.words[at + 4].astype(np.int64), self.words[at + 8].astype(np.int64),
            np.where(there, self.data[at + 13], 0), np.where(there, payload, 0), np.where(there, header, 0),
        )  # fmt: skip

    def _safe(self, at: Array) -> Array:
        """Positions that can be looked at; what lies behind a frame's end is told apart by the caller."""
        return np.minimum(at, len(self.data) - 16)


def _joined(parts: list[Packets]) -> Packets:
    if len(parts) == 1:
        return parts[0]
    columns = [np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Packets)]
    order = np.argsort(columns[0], kind="stable")
    return Packets(*(column[order] for column in columns))
