"""The files of a snapshot's folder: each read by what it holds, and each that holds no table named with the reason. Pure, files only."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netkit.core.errors import SourceError
from netkit.core.model import Coverage
from netkit.reach.network.config_items import Item, items_of, newest, tables_of, whole
from netkit.reach.network.documents import Unreadable, documents
from netkit.reach.network.identity import ACCOUNT, REGION, Part, Scope
from netkit.reach.network.recognize import Found, joined, named_table, recognized

__all__ = ["parts_of", "without_secrets"]

_ENDING = re.compile(r"\.(json|jsonl|ndjson|ya?ml|txt|out)(\.gz)?$", re.IGNORECASE)
_LOOSE = re.compile(r"\.(txt|out)(\.gz)?$", re.IGNORECASE)  # may be anything: its name claims nothing
_YAML = re.compile(r"\.ya?ml(\.gz)?$", re.IGNORECASE)
_REGION = re.compile(rf"[-_.](?P<region>{REGION.pattern})$")
# VpnConnections answers carry the tunnels' pre-shared keys; nothing here needs them.
_SECRET = {"CustomerGatewayConfiguration", "PreSharedKey"}
# Members that a describe answer always has as a list: null there, as other tools write it, is an empty one.
_LISTS = {
    "Associations", "Attributes", "AvailabilityZones", "Entries", "Groups", "Instances", "IpPermissions", "IpPermissionsEgress", "Listeners", "Routes", "Rules",
    "SubnetIds", "TargetHealthDescriptions", "TransitGatewayRouteTablePropagations",
}  # fmt: skip

Rows = dict[tuple[str, Scope, str], list[Coverage]]


@dataclass
class _Reading:
    """What was read so far; items: AWS Config's, with the first file that holds them and why they may not be all."""

    root: Path
    parts: dict[tuple[str, Scope], Part] = field(default_factory=dict)
    rows: Rows = field(default_factory=lambda: defaultdict(list))
    passed: list[Coverage] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    items_file: Path | None = None
    items_short: str = ""

    def keep(self, found: Found, path: Path, region: str) -> None:
        """Take the records of a table up."""
        inner = path.relative_to(self.root)
        said = _scope_of(inner, region)
        scope, folder = (found.account or said[0], found.region or said[1]), inner.parent.as_posix()
        records = [without_secrets(_without_nulls(one)) for one in found.records]
        note = _short(found)
        state = "skipped" if note else "ok" if records else "empty"
        self.rows[folder, scope, found.key].append(Coverage(*scope, found.key, state, len(records), found.lost, note))
        self.parts.setdefault((folder, scope), Part(folder, scope)).add(found.key, records, inner.as_posix())

    def pass_over(self, path: Path, why: str) -> None:
        """Name a file that nothing was read from."""
        self.passed.append(Coverage("", "", path.relative_to(self.root).as_posix(), "skipped", note=why[:300]))


def _short(found: Found) -> str:
    if found.cut:
        return "only its first page is here (NextToken)"
    if found.lost:
        return f"{found.lost} records are not objects of its kind"
    alone = "one record, saved by itself: whether there are others is not known" if found.alone else ""
    return found.note or alone


def parts_of(root: Path, *but: str) -> tuple[list[Part], Rows, tuple[Coverage, ...]]:
    """The tables by folder and Region, what was read of each, and the files that were passed over. but: names not to read."""
    reading = _Reading(root)
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.name not in but and not hidden and path.is_file():
            _read(reading, path)
    if reading.items_file:
        _take_items(reading, reading.items_file)
    return list(reading.parts.values()), reading.rows, tuple(reading.passed)


def _read(reading: _Reading, path: Path) -> None:
    """One file: its tables, or why there are none. Raises SourceError where its name says a table and it holds none."""
    if not _ENDING.search(path.name):
        reading.pass_over(path, "does not end in .json, .jsonl, .yaml or .txt (or these and .gz)")
        return
    named, region = _said(path)
    why: list[str] = []
    try:
        found = joined(list(_tables(reading, path, named, why)))
    except OSError as problem:
        why, found = [f"cannot be read: {problem.strerror}"], []
    except Unreadable as problem:
        why, found = [str(problem)], []
        if named and not _LOOSE.search(path.name):
            raise SourceError(
                f"{path.name} {problem}"[:200],
                subject=str(path),
                hint="save the answer again; without the file what needs it is UNKNOWN",
            ) from None
    for one in found:
        reading.keep(one, path, region)
    if why and named and not found and not _LOOSE.search(path.name):
        raise SourceError(
            f"{path.name} has no list {named!r}: it {why[0]}"[:200],
            subject=str(path),
            hint=f'expected {{"{named}": [...]}}, as the AWS command line prints it without --query',
        )
    if why:
        reading.pass_over(path, ("in part: " if found else "") + "; ".join(dict.fromkeys(why)))


def _tables(reading: _Reading, path: Path, named: str, why: list[str]) -> Iterator[Found]:
    for document in documents(path.read_bytes(), is_yaml=bool(_YAML.search(path.name))):
        if items := items_of(document):
            reading.items += items
            reading.items_file = reading.items_file or path
            reading.items_short = reading.items_short or whole(document)
        else:
            yield from recognized(document, named, why)


def _take_items(reading: _Reading, path: Path) -> None:
    """AWS Config's items of all files: of each resource the last."""
    why: list[str] = []
    for one in tables_of(newest(reading.items), why):
        one.note = one.note or reading.items_short
        reading.keep(one, path, "")
    if why:
        reading.pass_over(path, "in part: " + "; ".join(why))


def _said(path: Path) -> tuple[str, str]:
    """The table and the Region that a file's name says, "" for neither."""
    stem = _ENDING.sub("", path.name)
    region = _REGION.search(stem)
    return named_table(stem[: region.start()] if region else stem), region["region"] if region else ""


def _scope_of(path: Path, region: str) -> Scope:
    parts = path.parts[:-1]
    named = next((after for before, after in zip(parts, parts[1:], strict=False) if before == "accounts"), "")
    account = named or next((part for part in reversed(parts) if ACCOUNT.fullmatch(part)), "")
    return account, region or next((part for part in reversed(parts) if REGION.fullmatch(part)), "")


def _without_nulls(record: dict[str, Any]) -> dict[str, Any]:
    """A record as AWS answers it: what is not there is left out, and a list that is not there is empty."""
    if not _has_null(record):
        return record
    cleaned: dict[str, Any] = _clean(record)
    return cleaned


def _has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(one is None or _has_null(one) for one in value.values())
    return isinstance(value, list) and any(_has_null(one) for one in value)


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: [] if one is None and name in _LISTS else one for name, one in value.items()}
        return {name: _clean(one) for name, one in kept.items() if one is not None}
    return [_clean(one) for one in value] if isinstance(value, list) else value


def without_secrets(record: dict[str, Any]) -> dict[str, Any]:
    """A record without pre-shared keys."""
    if not _SECRET & record.keys() and "Options" not in record:
        return record
    options = record.get("Options")
    kept = {name: value for name, value in record.items() if name not in _SECRET}
    if isinstance(options, dict) and "TunnelOptions" in options:
        kept["Options"] = {name: value for name, value in options.items() if name != "TunnelOptions"}
    return kept
