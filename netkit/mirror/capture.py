"""What is in a mirror's capture: conversations, what was left out and why, when, and from which files. Pure.

Files are read block by block, so memory stays flat however long the capture is. A damaged or cut-off file ends in a count
and a warning; a file that is no capture, or plainly one of something else, is refused with SourceError.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from netkit.core.errors import InputError, SourceError
from netkit.core.model import Window
from netkit.core.net import ICMP, ICMPV6, TCP, UDP, protocol_name
from netkit.core.text import lines_html
from netkit.mirror.conversations import COLUMNS, GAP_COLUMNS, Conversations
from netkit.mirror.decode import NOTES, OUTCOMES, Decoder, Packets
from netkit.mirror.pcap import FileNotes, first_time, frames

SUFFIXES = (".pcap", ".pcapng", ".cap", ".pcap.gz", ".pcapng.gz", ".cap.gz")
_RING = re.compile(
    r"^(?P<ring>.*)_(?P<number>\d{5,})_(?P<time>\d{14})(?:\.\w+)*$"
)  # as dumpcap and tshark -b name files
_SLOTS = 4096  # of the timeline; its step doubles when they do not suffice
# What every host says of itself, whether or not a mirror works: not a sign of a capture of something else.
_NOISE_PROTOCOLS = (ICMP, 2, ICMPV6)  # 2 is IGMP
# What it does besides: SSH of whoever manages it, and health checks, whose packets carry next to nothing.
_MANAGED, _LITTLE = (TCP, 22), 256
_NOISE_PORTS = {(UDP, port) for port in (53, 67, 68, 123, 137, 138, 161, 162, 546, 547, 1900, 5353, 5355)}

TIME_COLUMNS = ("start", "packets", "bytes", "truncated", "lost_bytes")
VNI_COLUMNS = ("vni", "counter", "packets")
PACKET_COLUMNS = ("time", "back", "bytes", "sequence", "acknowledged", "flags", "payload", "truncated")
FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
DAMAGE = {
    "frames_cut_off": "last frames of a file of which only a part was written",
    "damaged_bytes": "bytes behind a damaged header, left unread (the column bytes counts them)",
    "wrong_length": "frames whose own length is said to be less than what was kept of them",
    "capture_dropped": "frames that the capturing host says it dropped (pcapng interface statistics)",
}


@dataclass(frozen=True)
class Capture:
    """One mirror capture.

    conversations  one row a conversation, earliest first: vni, outer_source, outer_target, protocol, source, source_port,
                   destination, destination_port (ports <NA> where there are none), packets, bytes, packets_back,
                   bytes_back (bytes of IP packets, as flow logs count), first, last (UTC), tcp_flags, tcp_flags_back (the
                   flags seen, or-ed), handshake (complete, not finished, refused, no answer, answer only, request only,
                   not seen, not readable: flags were cut off; "" unless TCP), retransmissions, late (came after packets that
                   follow them), each with its _back, truncated and truncated_by_capture (packets), truncated_to (the longest
                   inner frame that was cut, bytes), lost_bytes, lost_bytes_back (bytes of a TCP stream that were never seen),
                   duplicates and duplicate_bytes (of packets: the same one captured twice; no retransmissions), acknowledges
                   (acknowledges bytes that came after its own first packet, so the other direction was there), each with its
                   _back. source is who began: the sender of the SYN, else the end that was seen first.
    counters       counter, packets, bytes, means: the first OUTCOMES rows add up to all frames, the rest are notes
    by_vni         vni, counter, packets: the counters of packets whose VNI is known (-1 where it was cut off)
    timeline       start (UTC), packets, bytes, truncated, lost_bytes per `step` seconds, empty spans left out
    timelines      the same of each vni
    gaps           time (UTC), conversation (row), back, bytes: where a TCP stream has a hole
    files          file, kind, link, packets, size (bytes), first, last (UTC)
    """

    conversations: pd.DataFrame
    counters: pd.DataFrame
    timeline: pd.DataFrame
    gaps: pd.DataFrame
    files: pd.DataFrame
    step: int = 1
    warnings: tuple[str, ...] = ()
    other: tuple[tuple[str, int], ...] = field(default=())
    paths: tuple[Path, ...] = field(default=(), repr=False)
    by_vni: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(VNI_COLUMNS)), repr=False)
    timelines: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["vni", *TIME_COLUMNS]), repr=False)

    def count(self, counter: str, vni: int | None = None) -> int:
        """The packets of one counter, of one VNI where it is given. Raises KeyError for a counter that does not exist."""
        found = dict(zip(self.counters["counter"], self.counters["packets"], strict=True))
        if vni is None:
            return int(found[counter])
        mine = self.by_vni[(self.by_vni["vni"] == vni) & (self.by_vni["counter"] == counter)]
        return int(mine["packets"].sum())

    def of(self, vni: int | None) -> Capture:
        """The part of one VNI: its conversations, gaps and timeline; counters and files stay those of the whole. None: all of it."""
        if vni is None:
            return self
        return self.where(self.conversations["vni"] == vni, self.timelines[self.timelines["vni"] == vni])

    def where(self, keep: pd.Series[Any], timeline: pd.DataFrame | None = None) -> Capture:
        """The part with some of the conversations, their gaps, and a timeline (as it is where none is given)."""
        rows = np.flatnonzero(keep.to_numpy(bool))
        gaps = self.gaps[self.gaps["conversation"].isin(rows)]
        gaps = gaps.assign(conversation=np.searchsorted(rows, gaps["conversation"].to_numpy(np.int64)))
        line = self.timeline if timeline is None else timeline[list(TIME_COLUMNS)].reset_index(drop=True)
        conversations = self.conversations.iloc[rows].reset_index(drop=True)
        return replace(self, conversations=conversations, gaps=gaps.reset_index(drop=True), timeline=line)

    @property
    def window(self) -> Window | None:
        """From the first mirrored packet to the last, or None where there is none."""
        return _window(self.conversations)

    @property
    def running(self) -> Window | None:
        """From the first frame of any kind to the last: when the capture ran, as far as it shows. None where it has no frame."""
        return _window(self.files[self.files["packets"] > 0])

    def packets(self, conversation: int) -> pd.DataFrame:
        """The packets of one conversation (its row), read from the files again: PACKET_COLUMNS.

        time (UTC), back (whether it goes to who began), bytes (IP packet), sequence, acknowledged (TCP, else <NA>), flags
        ("SYN ACK"), payload (bytes), truncated. Raises InputError for a row that does not exist.
        """
        if not 0 <= conversation < len(self.conversations):
            raise InputError(
                f"there is no conversation {conversation}", hint=f"rows are 0 to {len(self.conversations) - 1}"
            )
        row = self.conversations.iloc[conversation]
        there, back = _ends(row), _ends(row, back=True)
        return pd.concat([_rows(some, there, back) for some in packets_of(self.paths)], ignore_index=True)

    def __str__(self) -> str:
        if self.conversations.empty:
            return f"{self.count('frames'):,} frames, none of them mirrored"
        vnis = ", ".join(str(one) for one in sorted(self.conversations["vni"].unique()))
        return f"{self.conversations[['packets', 'packets_back']].to_numpy().sum():,} mirrored packets in {len(self.conversations):,} conversations, VNI {vnis}, {self.window}"

    def _repr_html_(self) -> str:
        return lines_html([self, *self.warnings])


def capture_files(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """The capture files behind a path, a folder, a pattern (mirror_*.pcap.gz) or several of them, by name.

    Raises InputError where there is none.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    found: list[Path] = []
    for one in map(Path, given):
        if one.is_dir():
            inside = sorted(path for path in one.iterdir() if path.name.endswith(SUFFIXES) and path.is_file())
            if not inside:
                raise InputError("the folder holds no capture file", subject=str(one), hint=f"files end in {', '.join(SUFFIXES)}")  # fmt: skip
            found += inside
        elif one.is_file():
            found.append(one)
        else:
            matches = sorted(one.parent.glob(one.name)) if any(sign in one.name for sign in "*?[") else []
            if not matches:
                raise InputError("there is no such capture file", subject=str(one), hint="give a file, a folder, or a pattern as captures/*.pcap.gz")  # fmt: skip
            found += matches
    if not found:
        raise InputError("no capture file was given", hint="give a file, a folder, or a pattern as captures/*.pcap.gz")
    return list(dict.fromkeys(found))


def read_capture(
    paths: str | Path | Iterable[str | Path], *, progress: bool = False, incomplete: bool = False, empty: bool = False
) -> Capture:
    """What a capture (a file, a ring of files, a folder or pattern) shows of a mirror.

    Files are taken in the order of their first frames. incomplete: read a ring although a file of it is missing; this ends in a warning.
    empty: a capture without a mirrored packet is an answer, whatever else it holds; without it one that is plainly of something
    else is refused. SSH and health checks are what any target's host has: they are no sign of that.
    Raises InputError where there is no file, and SourceError for a file that is no capture, link types without IP, a ring with
    a file missing, and frames of something else with none that a mirror sent.
    """
    files = capture_files(paths)
    missing = _missing(files)
    if missing and not incomplete:
        raise SourceError(
            f"the ring lacks {missing[0]}{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}",
            subject=", ".join(path.name for path in files[:3]) + (" ..." if len(files) > 3 else ""),
            hint="fetch the missing file, or read the rest with incomplete=True: what it held will show as loss",
        )
    unwritten = [path.name for path in files if not path.stat().st_size] if len(files) > 1 else []
    files = [path for path in files if path.name not in unwritten] or files
    if len(files) > 1:
        files = sorted(files, key=lambda path: (first_time(path), path.name))
    reading = _Reading(files)
    with tqdm(total=sum(path.stat().st_size for path in files), unit="B", unit_scale=True, desc="capture", disable=not progress, leave=False) as bar:  # fmt: skip
        for notes in reading.notes:
            for some in frames(notes.path, notes, bar.update):
                reading.take(reading.decoder.decode(some))
    capture = reading.capture(
        [*(f"the ring lacks {one}" for one in missing), *(f"{one}: nothing is in it yet" for one in unwritten)]
    )
    if not empty:
        _refuse_other_traffic(capture, reading.decoder)
    return capture


def _missing(files: Sequence[Path]) -> list[str]:
    """Files that a ring's numbers say were there, by number. A capture begun again counts from 1."""
    rings: dict[str, list[tuple[str, int]]] = {}
    for path in files:
        if match := _RING.match(path.name):
            rings.setdefault(f"{path.parent}/{match['ring']}", []).append((match["time"], int(match["number"])))
    missing = []
    for ring, members in rings.items():
        numbers = [number for _, number in sorted(members)]
        for before, after in zip(numbers, numbers[1:], strict=False):
            if after != 1:
                missing += [f"{Path(ring).name}_{number:05d}" for number in range(before + 1, after)]
    return missing


class _Reading:
    """What has been read so far."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.notes = [FileNotes(path) for path in files]
        self.decoder = Decoder()
        self.conversations = Conversations()
        self.step = 1
        self.slots: set[int] = set()
        self.sums: dict[tuple[int, int], list[int]] = {}  # by VNI and step

    def take(self, some: Packets | None) -> None:
        """Take in some packets."""
        if some is not None:
            self._time(some)
            self.conversations.add(some)

    def _time(self, some: Packets) -> None:
        slots = some.time // (self.step * 1_000_000_000)
        values, codes = np.unique((some.vni << 38) | slots, return_inverse=True)
        sums = [np.bincount(codes.reshape(-1), weights) for weights in (None, some.size, some.truncated)]
        for value, *counts in zip(values.tolist(), *(one.tolist() for one in sums), strict=True):
            self._add((value >> 38, value & (2**38 - 1)), counts)
        self.slots.update(np.unique(slots).tolist())
        while len(self.slots) > _SLOTS:
            self._coarser()

    def _add(self, place: tuple[int, int], counts: Iterable[float]) -> None:
        known = self.sums.setdefault(place, [0, 0, 0])
        for at, value in enumerate(counts):
            known[at] += int(value)

    def _coarser(self) -> None:
        self.step *= 2
        before, self.sums = self.sums, {}
        for (vni, slot), counts in before.items():
            self._add((vni, slot // 2), counts)
        self.slots = {slot // 2 for slot in self.slots}

    def capture(self, warnings: Sequence[str]) -> Capture:
        """All that was read, with what was noted of the files."""
        conversations, gaps = self.conversations.frame()
        problems = [problem for notes in self.notes for problem in notes.problems]
        timelines = self._timelines(conversations, gaps)
        by_vni = [(vni, name, count) for (vni, name), count in sorted(self.decoder.by_vni.items())]
        return Capture(
            conversations,
            self._counters(),
            timelines.groupby("start", as_index=False)[list(TIME_COLUMNS[1:])].sum(),
            gaps,
            self._files(),
            self.step,
            (*warnings, *problems),
            tuple((_service(*key), count) for key, count in self.decoder.other.most_common(5)),
            tuple(notes.path for notes in self.notes),
            pd.DataFrame(by_vni, columns=list(VNI_COLUMNS)),
            timelines,
        )

    def _counters(self) -> pd.DataFrame:
        count, size = self.decoder.count, self.decoder.bytes
        count["inner_fragments_alone"], size["inner_fragments_alone"] = self.conversations.alone
        count["frames_cut_off"] = sum(notes.cut_off for notes in self.notes)
        size["damaged_bytes"] = sum(notes.damaged_bytes for notes in self.notes)
        count["wrong_length"] = sum(notes.wrong_length for notes in self.notes)
        count["capture_dropped"] = sum(notes.interface_dropped for notes in self.notes)
        count["frames"] = self.decoder.seen
        size["frames"] = sum(size[name] for name in OUTCOMES)
        means = {"frames": "all frames of the capture"} | OUTCOMES | NOTES | DAMAGE
        rows = [(name, count[name], size[name], text) for name, text in means.items()]
        return pd.DataFrame(rows, columns=["counter", "packets", "bytes", "means"])

    def _timelines(self, conversations: pd.DataFrame, gaps: pd.DataFrame) -> pd.DataFrame:
        """The timeline of each VNI."""
        lost: Counter[tuple[int, int]] = Counter()
        vnis = conversations["vni"].to_numpy(np.int64)[gaps["conversation"].to_numpy(np.int64)].tolist()
        for vni, when, size in zip(vnis, gaps["time"].astype("int64").tolist(), gaps["bytes"].tolist(), strict=True):
            lost[vni, when // (self.step * 1_000_000_000)] += size
        places = sorted(self.sums)
        rows = [(vni, slot, *self.sums[vni, slot], lost[vni, slot]) for vni, slot in places]
        frame = pd.DataFrame(rows, columns=["vni", *TIME_COLUMNS]).astype("int64")
        return frame.assign(start=pd.to_datetime(frame["start"] * self.step, unit="s", utc=True))

    def _files(self) -> pd.DataFrame:
        frame = pd.DataFrame(
            {
                "file": [notes.path.name for notes in self.notes],
                "kind": [notes.kind for notes in self.notes],
                "link": [notes.link for notes in self.notes],
                "packets": [notes.frames for notes in self.notes],
                "size": [notes.path.stat().st_size for notes in self.notes],
            }
        )
        for name in ("first", "last"):
            times = [getattr(notes, name) if notes.frames else None for notes in self.notes]
            frame[name] = pd.to_datetime(pd.array(times, "Int64"), unit="ns", utc=True)
        return frame


def _service(protocol: int, port: int) -> str:
    return protocol_name(protocol) if port < 0 else f"{protocol_name(protocol)}/{port}"


def _window(spans: pd.DataFrame) -> Window | None:
    """From the earliest `first` to the latest `last`."""
    if spans.empty:
        return None
    first, last = spans["first"].min(), spans["last"].max()
    return Window(first.floor("us").to_pydatetime(), (last.floor("us") + pd.Timedelta("1us")).to_pydatetime())


def _refuse_other_traffic(capture: Capture, decoder: Decoder) -> None:
    """A capture full of other packets is no empty mirror: most likely the wrong file, or the wrong interface."""
    talk = {
        key: count for key, count in decoder.other.items() if key[0] not in _NOISE_PROTOCOLS and key not in _NOISE_PORTS
    }
    envelopes = sum(capture.count(name) for name in OUTCOMES if not name.startswith("outer_"))
    hosts_own = _MANAGED in talk or sum(decoder.other_bytes[key] for key in talk) < _LITTLE * sum(talk.values())
    if talk and not hosts_own and not envelopes and not capture.count("outer_later_fragments"):
        most = ", ".join(f"{_service(*key)} ({count:,})" for key, count in Counter(talk).most_common(3))
        raise SourceError(
            f"the capture holds no mirrored packet, but {sum(talk.values()):,} others: {most}",
            subject=", ".join(capture.files["file"].head(3)),
            hint="capture on the mirror target's interface with -f 'udp port 4789'; if that stays empty, the mirror is silent",
        )


def _ends(row: pd.Series[Any], *, back: bool = False) -> dict[str, int]:
    """What the packets of one direction of a conversation have in their columns."""
    names = ("source", "destination")
    wanted = {"vni": int(row["vni"]), "protocol": int(row["protocol"])}
    wanted |= _halves("outer_source", row["outer_source"]) | _halves("outer_target", row["outer_target"])
    for column, name in zip(names, reversed(names) if back else names, strict=True):
        port = row[f"{name}_port"]
        wanted |= _halves(column, row[name]) | {f"{column}_port": -1 if pd.isna(port) else int(port)}
    return wanted


def _halves(name: str, address: str) -> dict[str, int]:
    number = int(ipaddress.ip_address(address))
    return {f"{name}_high": number >> 64, name: number & (2**64 - 1)}


def _rows(some: Packets, there: Mapping[str, int], back: Mapping[str, int]) -> pd.DataFrame:
    masks = [
        np.logical_and.reduce([getattr(some, name) == value for name, value in ends.items()]) for ends in (there, back)
    ]
    keep = np.flatnonzero(masks[0] | masks[1])
    tcp = some.tcp[keep]
    return pd.DataFrame(
        {
            "time": pd.to_datetime(some.time[keep], unit="ns", utc=True), "back": masks[1][keep] & ~masks[0][keep], "bytes": some.size[keep],
            "sequence": pd.array(np.where(tcp, some.sequence[keep], np.nan), "Int64"),
            "acknowledged": pd.array(np.where(tcp, some.acknowledged[keep], np.nan), "Int64"),
            "flags": [flag_names(flags) for flags in some.flags[keep].tolist()],
            "payload": some.payload[keep], "truncated": some.truncated[keep] | some.truncated_by_capture[keep],
        }
    )  # fmt: skip


def flag_names(flags: int) -> str:
    """TCP flags in words, as "SYN ACK" (RFC 9293)."""
    return " ".join(name for place, name in enumerate(FLAGS) if flags >> place & 1)


def packets_of(paths: str | Path | Iterable[str | Path]) -> Iterator[Packets]:
    """The inner packets themselves, block by block, as columns: to look into one conversation."""
    decoder = Decoder()
    for path in capture_files(paths):
        for some in frames(path, FileNotes(path)):
            packets = decoder.decode(some)
            if packets is not None:
                yield packets


__all__ = [
    "COLUMNS",
    "GAP_COLUMNS",
    "PACKET_COLUMNS",
    "Capture",
    "capture_files",
    "flag_names",
    "packets_of",
    "read_capture",
]
