"""The ledger of a run: what was meant and what was done, line by line, so that a run killed anywhere is finished or undone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from netkit.core.errors import InputError, PlanError
from netkit.core.steps import Action, unresolved

LEDGER_FOLDER = Path("runs/ledger")
_TEXTS = ("account", "region", "action", "resource", "name")
_UNDO = {"service": str, "operation": str, "request": dict, "guards": list, "by_tag": str}


class Ledger:
    """A JSON Lines file of what was meant and what was done, flushed to disk line by line.

    Events of a step: intent, then result, partial, failed or unclear (it is there, and nothing says who made it), and seen
    (how it then looked) or appeared (it was there right after a call without an answer); later removed or left.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[dict[str, Any]]:
        """All lines, oldest first, without one that a kill cut short or that is damaged: what it meant is looked up in AWS."""
        return [line for text in self._texts() if (line := self._parsed(text))]

    def damaged(self) -> int:
        """How many lines cannot be read as an event of a step; they are skipped."""
        return sum(self._parsed(text) is None for text in self._texts())

    def _texts(self) -> list[bytes]:
        return [text for text in self.path.read_bytes().split(b"\n") if text.strip()] if self.path.exists() else []

    @staticmethod
    def _parsed(text: bytes) -> dict[str, Any] | None:
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return line if _is_event(line) else None

    def write(self, event: str, step: str, **more: Any) -> None:
        """Add a line, and have it on disk before returning."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, "step": step} | more
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                if file.tell() and self._cut_short(file):
                    file.write(b"\n")
                file.write(json.dumps(line, default=str).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as problem:
            raise PlanError(
                f"the ledger cannot be written ({problem.strerror}), so the plan goes no further", subject=str(self.path),
                hint="make room there, and apply the same plan again: it goes on where it stopped",
            ) from None  # fmt: skip

    @staticmethod
    def _cut_short(file: Any) -> bool:
        file.seek(-1, os.SEEK_END)
        return bool(file.read(1) != b"\n")

    def state(self, step: str) -> str:
        """The last that happened to a step: "", intent, result, partial, failed, unclear or removed."""
        beside = ("left", "seen", "appeared")  # they change nothing of who made it
        events = [line["event"] for line in self.lines() if line["step"] == step and line["event"] not in beside]
        return str(events[-1]) if events else ""

    def made(self, step: str) -> bool:
        """Whether this run made it, as far as is known: an intent without a result counts, since the call may have gone out."""
        return self.state(step) in ("intent", "result", "partial")

    def intended_undo(self, step: str) -> dict[str, Any] | None:
        """The undo in the last intent of a step where that was an update: it alone knows what was there before."""
        found = [line for line in self.lines() if line["step"] == step and line["event"] == "intent"]
        if not found or found[-1].get("action") != Action.UPDATE or unresolved(found[-1].get("undo") or {}):
            return None
        return dict(found[-1].get("undo") or {}) or None

    def intended_action(self, step: str) -> str:
        """What the last intent of a step was to do: create or update; "" where there is none."""
        found = [
            str(line.get("action", "")) for line in self.lines() if line["step"] == step and line["event"] == "intent"
        ]
        return found[-1] if found else ""

    def appeared(self, step: str) -> bool:
        """Whether the thing of an open intent was there right after its call, and not right before."""
        events = [line["event"] for line in self.lines() if line["step"] == step]
        return "appeared" in events[len(events) - events[::-1].index("intent") :] if "intent" in events else False

    def seen(self, step: str) -> Any:
        """How a step's thing looked right after it was made, or None where nobody looked."""
        found = [line.get("seen") for line in self.lines() if line["step"] == step and line["event"] == "seen"]
        return found[-1] if found else None

    def generation(self, step: str) -> int:
        """How often an attempt at the step came to an end: what follows is a new attempt, and needs a new idempotency token."""
        return sum(
            line["event"] in ("result", "partial", "failed", "unclear", "removed")
            for line in self.lines()
            if line["step"] == step
        )


def undos_of(ledger: Ledger, key: str) -> list[dict[str, Any]]:
    """The undo of every call that made a part of the step since it was last removed."""
    undos: list[dict[str, Any]] = []
    for line in ledger.lines():
        if line["step"] == key and line["event"] == "removed":
            undos = []
        elif line["step"] == key and line["event"] in ("result", "partial"):
            undos += [line["undo"]] if whole_undo(line.get("undo")) else []
    return undos


def run_named(run_id: str) -> str:
    """The run id, which is the name of a file too. Raises InputError for what is none."""
    if not re.fullmatch(r"nk-[0-9a-f]{12}", run_id):
        raise InputError(
            f"{run_id[:40]!r} is no run: they are as nk-0123456789ab", hint="its name is in the netkit:run tag"
        )
    return run_id


def opened(run_id: str, folder: Path) -> tuple[Ledger, dict[str, dict[str, Any]]]:
    """A run's ledger and the last intent of each step, in order of the first. Raises InputError where there is none."""
    ledger = Ledger(folder / f"{run_id}.jsonl")
    named = re.fullmatch(r"nk-[0-9a-f]{12}", run_id)
    intents = {line["step"]: line for line in ledger.lines() if whole_intent(line)} if named else {}
    if not intents:
        raise InputError(
            f"there is no ledger of a run {run_id[:40]!r}",
            subject=str(folder),
            hint="its name is in the netkit:run tag",
        )
    return ledger, intents


def _is_event(line: Any) -> bool:
    """Whether a line of a ledger is an event of a step, its members of the kind that is read."""
    if not isinstance(line, dict) or not all(isinstance(line.get(name), str) for name in ("event", "step")):
        return False
    texts = [line[name] for name in _TEXTS if name in line]
    sound = isinstance(line.get("undo"), dict | None) and isinstance(line.get("after", []), list)
    return sound and all(isinstance(one, str) for one in texts)


def whole_undo(undo: Mapping[str, Any] | None) -> bool:
    """Whether an undo of a ledger has all that taking back needs."""
    return bool(undo) and all(isinstance((undo or {}).get(name), kind) for name, kind in _UNDO.items())


def whole_intent(line: Mapping[str, Any]) -> bool:
    """Whether an event is an intent with all that a teardown needs."""
    whole = line["event"] == "intent" and all(name in line for name in (*_TEXTS, "undo", "after", "time"))
    return whole and (line["undo"] is None or whole_undo(line["undo"]))
