"""What a verification looks at: a session, its filter and the part of a capture that is theirs, and what follows once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import pandas as pd

from netkit.core.model import Coverage, Finding, Severity, Status, Window
from netkit.core.net import protocol_name
from netkit.mirror.beside import beside_flow_logs, interface_records
from netkit.mirror.capture import Capture
from netkit.mirror.expected import flows, guess_addresses, judged, rule_coverage
from netkit.mirror.filters import MirrorFilter, MirrorSession, Stolen, stolen

Others = Sequence[tuple[MirrorSession, MirrorFilter]]
EXAMPLES = 5
LIMITS = (
    "A capture shows what arrived; what was never mirrored shows only beside flow logs or in holes of TCP streams.",
)
NEVER_MIRRORED = "AWS never mirrors ARP, DHCP, instance metadata, Amazon Time Sync and Windows activation."


@dataclass(frozen=True)
class Look:
    """What a verification looks at, and what follows from it once. capture is all that was given, `mine` the session's part."""

    capture: Capture
    session: MirrorSession
    filter: MirrorFilter
    addresses: tuple[str, ...] = ()
    others: Others = ()
    flow_logs: Any = None
    metrics: pd.DataFrame | None = None
    causes: tuple[str, ...] = ()
    window: Window | None = None
    now: datetime | None = None

    @cached_property
    def mine(self) -> Capture:
        """The part of the capture that is the session's, or may be (netkit.mirror.expected.judged)."""
        return judged(self.capture, self.session, self.addresses, [one for one, _ in self.others])

    @property
    def conversations(self) -> pd.DataFrame:
        """The session's own."""
        return self.mine.conversations

    @cached_property
    def own(self) -> tuple[str, ...]:
        """The mirrored interface's addresses, as given or as the capture shows them."""
        return self.addresses or guess_addresses(self.conversations)

    @cached_property
    def flows(self) -> pd.DataFrame:
        """Each direction of each conversation, and the rule that decides."""
        return flows(self.conversations, self.filter, self.own)

    @cached_property
    def rules(self) -> pd.DataFrame:
        """Each rule that somebody wrote, and what of the capture it decided."""
        return rule_coverage(self.flows, self.filter)

    @cached_property
    def before(self) -> Others:
        """The sessions of the same interface that are asked first: those with a lower number."""
        mine = self.session
        return [
            pair for pair in self.others if pair[0].interface in (mine.interface, "") and pair[0].number < mine.number
        ]

    @cached_property
    def stolen(self) -> list[Stolen]:
        """The packets that they take, by rule algebra."""
        return stolen(self.session, self.filter, self.before)

    @cached_property
    def beside(self) -> pd.DataFrame | None:
        """The flow log's numbers beside the mirror's, or None without a flow log, or without an address to tell directions by."""
        if self.flow_logs is None or not self.own:
            return None
        records = interface_records(self.flow_logs, self.session.interface, self.own)
        # When the capture ran, not when this session's packets came: where they stopped, the flow log goes on.
        ran = self.window or self.capture.running
        return beside_flow_logs(self.flows, records, self.filter, self.own, ran, self.before)

    @cached_property
    def seen(self) -> int:
        """The session's mirrored packets."""
        return int(self.conversations[["packets", "packets_back"]].to_numpy().sum())

    def count(self, counter: str) -> int:
        """A counter of the session's VNI; of the whole capture where its VNI is not known."""
        return self.capture.count(counter, self.session.vni)

    @property
    def subject(self) -> tuple[str, ...]:
        """The session and its interface."""
        return tuple(one for one in (self.session.id, self.session.interface) if one) or ("mirror",)

    def coverage(self) -> Coverage:
        """How much of the capture could be read."""
        frames = self.capture.count("frames")
        left = frames - self.capture.count("in_conversations")
        note = self.capture.warnings[0] if self.capture.warnings else ""
        return Coverage(self.session.owner, "", "capture", "ok" if frames else "empty", frames, left, note)

    def found(
        self, code: str, severity: Severity, claim: str, evidence: dict[str, Any], next_step: str = "", *,
        status: Status = "confirmed", limits: tuple[str, ...] = LIMITS,
    ) -> Finding:  # fmt: skip
        """A finding that rests on the capture."""
        return Finding(code, status, severity, self.subject, claim, evidence, limits, (self.coverage(),), next_step)


def examples(rows: pd.DataFrame) -> list[str]:
    """The first conversations in words."""

    def end(address: Any, port: Any) -> str:
        if pd.isna(port):
            return str(address)
        return f"[{address}]:{int(port)}" if ":" in str(address) else f"{address}:{int(port)}"

    names = ("protocol", "source", "source_port", "destination", "destination_port")
    columns = (rows[name].head(EXAMPLES).tolist() for name in names)
    return [
        f"{protocol_name(protocol)} {end(source, source_port)} -> {end(destination, destination_port)}"
        for protocol, source, source_port, destination, destination_port in zip(*columns, strict=True)
    ]
