"""A mirror's capture of any length, made by numpy: `write(path, packets)` gives a pcap of VXLAN, some 500 bytes a packet.

Conversations of TCP, UDP and ICMP in both families and three sessions (VNIs), some hundreds at a time; TCP with handshake,
sequence and acknowledgement numbers in order in both directions, and an end. A share of the packets comes twice, a share
never came. Checksums are left out: no reader measured looks at them. The same seed gives the same bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

AT_ONCE = 100_000  # packets made at a time, so that memory stays flat
BEGIN = 1_795_000_000  # the first packet, seconds since 1970
PER_CONVERSATION = 200  # packets, on average
VNIS = (7701, 7702, 7703)
LOST, TWICE = 0.005, 0.02
LARGEST = 1448  # bytes of TCP payload in 1500 bytes of IPv4 with timestamps
_OUTER = 14 + 20 + 8 + 8
_SYN, _FIN, _PUSH, _ACK = 2, 1, 8, 16


@dataclass
class _Talk:
    """The conversations of one stretch of time, a row each."""

    protocol: Array
    family: Array
    client: Array
    server: Array
    client_port: Array
    server_port: Array
    vni: Array
    packets: Array
    begin: Array
    end: Array


def write(path: Path, packets: int, each: int = PER_CONVERSATION, seed: int = 7) -> int:
    """Write a capture with so many packets, about `each` in a conversation; gives its size in bytes."""
    chance = np.random.default_rng(seed)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
        stretch = 0
        while packets > 0:
            packets -= (count := min(packets, AT_ONCE))
            file.write(_stretch(chance, stretch, count, each))
            stretch += 1
        return file.tell()


def _stretch(chance: np.random.Generator, stretch: int, count: int, each: int) -> bytes:
    """One stretch of ten seconds, with exactly so many packets."""
    talk = _talks(chance, stretch, int(count * 1.01) + 64, each)
    who = np.repeat(np.arange(len(talk.packets)), talk.packets)
    place = np.arange(len(who)) - np.repeat(np.cumsum(talk.packets) - talk.packets, talk.packets)
    time = talk.begin[who] + (talk.end - talk.begin)[who] * chance.random(len(who))
    time = time[np.lexsort((time, who))]
    back, payload, flags = _turns(chance, talk, who, place)
    sequence, acknowledged = _numbers(chance, who, back, payload, flags)
    tcp = talk.protocol[who] == 6
    kept = np.flatnonzero(~(tcp & (payload > 0) & (chance.random(len(who)) < LOST)))
    again = kept[tcp[kept] & (payload[kept] > 0) & (chance.random(len(kept)) < TWICE)]
    rows = np.concatenate([kept, again])
    when = np.concatenate([time[kept], time[again] + 0.002])
    order = np.argsort(when, kind="stable")[:count]
    assert len(order) == count, "too few packets were made"
    rows, when = rows[order], when[order]
    return _encode(
        chance, talk, who[rows], back[rows], payload[rows], flags[rows], sequence[rows], acknowledged[rows], when
    )


def _talks(chance: np.random.Generator, stretch: int, count: int, each: int) -> _Talk:
    number = max(count // each, 8)
    protocol = chance.choice([6, 17, 1], number, p=[0.78, 0.20, 0.02])
    packets = np.maximum(chance.lognormal(4.2, 1.2, number), 10).astype(np.int64)
    packets[protocol != 6] = np.maximum(packets[protocol != 6] // 8, 2)
    packets[protocol == 6] += -(-max(count - int(packets.sum()), 0) // int((protocol == 6).sum()))
    begin = chance.random(number) * 5
    return _Talk(
        protocol,
        np.where(chance.random(number) < 0.15, 6, 4),
        chance.integers(1, 2**16, number),
        chance.integers(1, 250, number),
        # Linux's ephemeral ports: below them are tunnels (Teredo, GTP) that tshark unpacks, after which its last headers
        # are of noise. None is used again soon, so that one conversation is one.
        (33_000 + (stretch * number + np.arange(number)) % 28_000).astype(np.int64),
        # Services that no dissector knows: payloads are noise, and a peer shall not lose time on understanding it.
        np.where(protocol == 17, 20_053, chance.choice([20_080, 20_443, 25_432], number)),
        chance.choice(VNIS, number, p=[0.8, 0.15, 0.05]),
        packets,
        begin + stretch * 10,
        begin + stretch * 10 + 1 + chance.random(number) * 4,
    )


def _turns(chance: np.random.Generator, talk: _Talk, who: Array, place: Array) -> tuple[Array, Array, Array]:
    """Who sends each packet (1: the server), its payload in bytes, and its TCP flags."""
    tcp = talk.protocol[who] == 6
    left = talk.packets[who] - 1 - place
    rows = len(who)
    back = np.where(tcp, chance.random(rows) < 0.55, place % 2).astype(np.int64)
    sizes = np.where(back == 1, chance.choice([0, LARGEST, LARGEST // 3], rows, p=[0.35, 0.36, 0.29]), 0)
    sizes = np.where((back == 0) & (chance.random(rows) < 0.2), chance.integers(40, 700, rows), sizes)
    flags = np.where(sizes > 0, _ACK | _PUSH, _ACK)
    for at, side, what in ((place == 0, 0, _SYN), (place == 1, 1, _SYN | _ACK), (place == 2, 0, _ACK),
                           (left == 2, 0, _FIN | _ACK), (left == 1, 1, _FIN | _ACK), (left == 0, 0, _ACK)):  # fmt: skip
        fixed = at & tcp
        back[fixed], sizes[fixed], flags[fixed] = side, 0, what
    sizes[~tcp] = np.where(back[~tcp] == 1, 120, 40)
    return back, sizes, np.where(tcp, flags, 0)


def _numbers(chance: np.random.Generator, who: Array, back: Array, payload: Array, flags: Array) -> tuple[Array, Array]:
    """Sequence and acknowledgement numbers: what each side had sent before, from a number of its own (RFC 9293, 3.4)."""
    took = payload + ((flags & (_SYN | _FIN)) != 0)
    first = np.flatnonzero(np.concatenate([[True], who[1:] != who[:-1]]))
    sent = []
    for side in (0, 1):
        mine = np.where(back == side, took, 0)
        before = np.cumsum(mine) - mine
        sent.append(before - before[first][who] + chance.integers(0, 2**32, len(first))[who])
    sequence = np.where(back == 1, sent[1], sent[0])
    acknowledged = np.where(flags & _ACK != 0, np.where(back == 1, sent[0], sent[1]), 0)
    return sequence % 2**32, acknowledged % 2**32


# ------------------------------------------------------------------------------------------------------------- bytes


def _encode(
    chance: np.random.Generator, talk: _Talk, who: Array, back: Array, payload: Array, flags: Array, sequence: Array, acknowledged: Array, when: Array
) -> bytes:  # fmt: skip
    protocol, family = talk.protocol[who], talk.family[who]
    headers = np.where(protocol == 6, 32, 8) + np.where(family == 6, 40, 20)
    total = headers + payload
    frame = _OUTER + 14 + total
    start = np.cumsum(16 + frame) - 16 - frame
    body = np.frombuffer(chance.bytes(2**20), np.uint8)
    data = np.resize(body, int((16 + frame).sum()))  # payloads look encrypted
    for version in (4, 6):
        for kind in (6, 17, 1):
            rows = np.flatnonzero((family == version) & (protocol == kind))
            if len(rows):
                head = _head(talk, version, kind, who[rows], back[rows], total[rows], frame[rows], when[rows])
                if kind == 6:
                    head = np.concatenate([head, _tcp(talk, who, back, flags, sequence, acknowledged, rows)], axis=1)
                data[start[rows][:, None] + np.arange(head.shape[1])] = head
    return data.tobytes()


def _words(kind: str, *columns: Array | int, rows: int) -> Array:
    """Numbers side by side as bytes: kind is numpy's, as ">u2"."""
    table = np.empty((rows, len(columns)), kind)
    for place, column in enumerate(columns):
        table[:, place] = column
    return table.view(np.uint8).reshape(rows, -1)


def _head(
    talk: _Talk, version: int, kind: int, who: Array, back: Array, total: Array, frame: Array, when: Array
) -> Array:
    """Record header, outer headers, VXLAN, inner Ethernet and IP, and the ports (ICMP: type and code)."""
    rows = len(who)
    micros = (when * 1e6).astype(np.int64)
    record = _words("<u4", BEGIN + micros // 1_000_000, micros % 1_000_000, frame, frame, rows=rows)
    ethernet = np.tile(np.frombuffer(bytes.fromhex("0a00000000020a00000000010800"), np.uint8), (rows, 1))
    mirror = talk.vni[who] - VNIS[0]
    outer = _words(">u2", 0x4500, frame - 14, 0, 0, 0x4011, 0, 0x0A00, 0x0105 + mirror * 256, 0x0A00, 0x0909, rows=rows)
    udp = _words(">u2", 49152 + who % 16_000, 4789, frame - 34, 0, rows=rows)
    vxlan = _words(">u4", 0x08000000, talk.vni[who] << 8, rows=rows)
    inside = ethernet.copy()
    if version == 6:
        inside[:, 12:] = (0x86, 0xDD)
    turned = back == 1
    client, server = talk.client[who], talk.server[who]
    source, destination = np.where(turned, server, client), np.where(turned, client, server)
    ends = ((source, turned), (destination, ~turned))
    if version == 4:
        # Clients in 10.2.0.0/16, servers in 10.1.0.0/24
        addresses = [part for one, is_server in ends for part in (np.where(is_server, 0x0A01, 0x0A02), one)]
        ip = _words(">u2", 0x4500, total, 0, 0x4000, 64 * 256 + kind, 0, *addresses, rows=rows)
    else:
        number = {1: 58}.get(kind, kind)
        addresses = [part for one, is_server in ends for part in (0x2001, 0x0DB8, np.where(is_server, 1, 2), 0, 0, 0, 0, one)]  # fmt: skip
        ip = _words(">u2", 0x6000, 0, total - 40, number * 256 + 64, *addresses, rows=rows)
    if kind == 1:
        echo = np.where(turned, 0, 8) if version == 4 else np.where(turned, 129, 128)
        above = _words(">u2", echo * 256, 0, rows=rows)
    else:
        ports = talk.client_port[who], talk.server_port[who]
        above = _words(">u2", np.where(turned, ports[1], ports[0]), np.where(turned, ports[0], ports[1]), rows=rows)
    if kind == 17:
        above = np.concatenate([above, _words(">u2", total - (20 if version == 4 else 40), 0xFFFF, rows=rows)], axis=1)
    return np.concatenate([record, ethernet, outer, udp, vxlan, inside, ip, above], axis=1)


def _tcp(
    talk: _Talk, who: Array, back: Array, flags: Array, sequence: Array, acknowledged: Array, rows: Array
) -> Array:
    """The rest of a TCP header, with timestamps."""
    numbers = _words(
        ">u4", sequence[rows], acknowledged[rows], (8 << 28) + (flags[rows] << 16) + 0xFFFF, 0, rows=len(rows)
    )
    options = _words(">u4", 0x0101080A, 1, 1, rows=len(rows))
    return np.concatenate([numbers, options], axis=1)
