"""A snapshot of the configuration: what the describe calls answered, by table, with when and how much. Pure, files only.

A folder is read by what its files hold, not by what they are called (files.py): answers of the AWS command line in any of its
outputs, AWS Config's deliveries, Batfish's snapshots (https://pybatfish.readthedocs.io/en/latest/formats.html). Account and Region are
those of `accounts/<id>/<region>/` or `<region>/`, else of the records. netkit adds `netkit-snapshot.json` (time, coverage, digests).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from netkit.core.errors import SourceError
from netkit.core.model import Coverage
from netkit.reach.network.files import parts_of, without_secrets
from netkit.reach.network.identity import ACCOUNT, Scope, account_of, gathered, merged
from netkit.reach.network.tables import CARRIED, TABLES, Table

__all__ = ["CARRIED", "MANIFEST", "TABLES", "Scope", "Snapshot", "Table", "load_snapshot", "save_snapshot"]

MANIFEST = "netkit-snapshot.json"

Derived = TypeVar("Derived")


@dataclass(frozen=True, repr=False)
class Snapshot:
    """The describe answers of one moment: tables[(account, region)][ResponseKey] -> records, as AWS answered them.

    coverage   one row for each scope and table that was asked for; a table without a row was never asked for
    collected  UTC time, "" where the folder does not say
    passed     files of the folder that no table was read from, and why: table is the file, state "skipped", note the reason
    Two snapshots with the same records in another order answer the same. with_records() gives a changed copy (what-if).
    """

    tables: Mapping[Scope, Mapping[str, tuple[dict[str, Any], ...]]]
    coverage: tuple[Coverage, ...]
    collected: str = ""
    folder: str = field(default="", compare=False)
    passed: tuple[Coverage, ...] = field(default=(), compare=False)
    _derived: dict[str, Any] = field(default_factory=dict, init=False, compare=False)

    @cached_property
    def scopes(self) -> tuple[Scope, ...]:
        """Every (account, region) that it holds, sorted."""
        return tuple(sorted(self.tables))

    @property
    def complete(self) -> bool:
        """Whether netkit collected it, so that a table that is absent is known to be missing."""
        return bool(self.collected)

    def records(self, key: str) -> Iterator[tuple[Scope, dict[str, Any]]]:
        """(scope, record) of one table, over all scopes."""
        for scope in self.scopes:
            for record in self.tables[scope].get(key, ()):
                yield scope, record

    def known(self, key: str, scope: Scope | None = None) -> bool:
        """Whether the whole table was seen: in one scope, or in each."""
        return all(self._states.get((*one, key)) in ("ok", "empty") for one in ([scope] if scope else self.scopes))

    @cached_property
    def _states(self) -> dict[tuple[str, str, str], str]:
        return {(row.account, row.region, row.table): row.state for row in self.coverage}

    def account(self, scope: Scope) -> str:
        """The account that asked, by the scope's name, else by its records; "" where neither says."""
        return scope[0] if ACCOUNT.fullmatch(scope[0]) else account_of(self.tables.get(scope, {})) or scope[0]

    def without(self, *keys: str) -> Snapshot:
        """The snapshot as if these tables had not been collected."""
        tables = {
            scope: {key: rows for key, rows in held.items() if key not in keys} for scope, held in self.tables.items()
        }
        return replace(self, tables=tables, coverage=tuple(row for row in self.coverage if row.table not in keys))

    def with_records(self, key: str, records: Iterable[Mapping[str, Any]], scope: Scope | None = None) -> Snapshot:
        """A copy in which one table of one scope (the only one, if none is named) holds these records."""
        chosen = scope or self.scopes[0]
        rows = tuple(dict(record) for record in records)
        tables = {one: dict(held) for one, held in self.tables.items()}
        tables[chosen][key] = rows
        here = (*chosen, key)
        held = {(row.account, row.region, row.table): row for row in self.coverage}
        if here not in held or held[here].state in ("ok", "empty"):
            held[here] = Coverage(*here, "ok" if rows else "empty", len(rows))  # what was not wholly read stays so
        return replace(self, tables=tables, coverage=tuple(held.values()))

    def derived(self, name: str, work_out: Callable[[Snapshot], Derived]) -> Derived:
        """What `work_out` makes of this snapshot, worked out once; `name` is that of the value."""
        if name not in self._derived:
            self._derived[name] = work_out(self)
        made: Derived = self._derived[name]
        return made

    def __repr__(self) -> str:
        return f"<{self}>"  # never the records: there are thousands

    def __str__(self) -> str:
        rows = sum(len(records) for held in self.tables.values() for records in held.values())
        when = f" of {self.collected}" if self.collected else ""
        passed = f"; passed over: {_few(self.passed)}" if self.passed else ""
        return f"snapshot{when}: {len(self.scopes)} account and region pairs, {rows} records{passed}"


def _few(passed: tuple[Coverage, ...], most: int = 3) -> str:
    """The first of the files that were passed over, each with its reason."""
    more = f" and {len(passed) - most} more" if len(passed) > most else ""
    return "; ".join(f"{one.table} {one.note}" for one in passed[:most]) + more


def load_snapshot(folder: str | Path) -> Snapshot:
    """The snapshot in a folder, in any of the shapes that files.py reads.

    Raises SourceError for a folder that is not there or holds no table, for a file that is called as a table and holds none,
    for a collection that was not finished, and for files that changed after they were collected.
    """
    root = Path(folder)
    if not root.is_dir():
        raise SourceError(
            f"there is no folder {folder}", hint="name the folder that holds aws_configs/ or the .json files"
        )
    if (root / (MANIFEST + ".partial")).exists():
        raise SourceError(
            "this snapshot was not finished", subject=str(folder), hint="collect it again; what is there is half of it"
        )
    manifest = _manifest(root)
    parts, rows, passed = parts_of(root, MANIFEST)
    held = gathered(parts, {key: table.id for key, table in TABLES.items()})
    tables: dict[Scope, dict[str, tuple[dict[str, Any], ...]]] = {scope: merged(group) for scope, group in held.items()}
    coverage = {
        (*scope, key): _of_parts(
            scope, key, len(records), [row for one in group for row in rows.get((one.folder, one.scope, key), ())]
        )
        for scope, group in held.items()
        for key, records in tables[scope].items()
    }
    if not tables:
        raise SourceError(
            "there is no table of a snapshot in this folder" + (f": {_few(passed)}" if passed else ""),
            subject=str(folder),
            hint="save each answer whole, under any name: `aws ec2 describe-instances > describe-instances.json`",
        )
    if manifest:
        _check_digests(root, manifest["files"])
        coverage |= {(row["account"], row["region"], row["table"]): Coverage(**row) for row in manifest["coverage"]}
        for row in coverage.values():
            tables.setdefault((row.account, row.region), {})
    return Snapshot(
        tables,
        tuple(coverage[name] for name in sorted(coverage)),
        str(manifest.get("collected", "")),
        str(folder),
        passed,
    )


def _of_parts(scope: Scope, key: str, count: int, rows: Iterable[Coverage]) -> Coverage:
    """The coverage of a table that was read from one file or more: as good as the worst of them."""
    held = list(rows)
    worst = next((row for row in held if row.state not in ("ok", "empty")), None)
    if worst:
        return replace(worst, account=scope[0], region=scope[1], rows=count, skipped=sum(row.skipped for row in held))
    return Coverage(
        *scope, key, "ok" if count else "empty", count, note=next((row.note for row in held if row.note), "")
    )


def _manifest(root: Path) -> dict[str, Any]:
    path = root / MANIFEST
    if not path.exists():
        return {}
    try:
        manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return {
            "collected": manifest["collected"],
            "files": dict(manifest["files"]),
            "coverage": list(manifest["coverage"]),
        }
    except (ValueError, KeyError, TypeError) as problem:
        raise SourceError(
            f"{MANIFEST} cannot be read: {problem}", subject=str(root), hint="collect the snapshot again"
        ) from None


def _check_digests(root: Path, files: Mapping[str, str]) -> None:
    for name, digest in files.items():
        path = root / name
        if not path.exists():
            raise SourceError(
                f"{name} is listed in {MANIFEST} and is not there",
                subject=str(root),
                hint=f"collect it again, or remove {MANIFEST} to load what is there",
            )
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise SourceError(
                f"{name} is not the file that was collected: it is of another time, or was edited",
                subject=str(root),
                hint=f"collect it again, or remove {MANIFEST} to load it as it is",
            )


def save_snapshot(snapshot: Snapshot, folder: str | Path) -> Path:
    """Write the snapshot to a new folder, accounts/<id>/<region>/<ResponseKey>.json and the manifest last; gives the folder.

    Raises SourceError when the folder already holds something else than an unfinished snapshot.
    """
    root = Path(folder)
    partial = root / (MANIFEST + ".partial")
    if root.exists() and any(root.iterdir()) and not partial.exists():
        raise SourceError(f"{folder} is not empty", hint="name a new folder; a snapshot is never written over")
    if partial.exists():
        shutil.rmtree(root)
    root.mkdir(parents=True, exist_ok=True)
    partial.touch()
    files: dict[str, str] = {}
    for account, region in snapshot.scopes:
        home = root / "accounts" / account / region if account else root / region
        home.mkdir(parents=True, exist_ok=True)
        for key, records in snapshot.tables[account, region].items():
            text = json.dumps({key: [without_secrets(record) for record in records]}, indent=1, default=str)
            path = home / f"{key}.json"
            path.write_text(text, "utf-8")
            files[path.relative_to(root).as_posix()] = hashlib.sha256(text.encode()).hexdigest()
    body = {"collected": snapshot.collected, "files": files, "coverage": [asdict(row) for row in snapshot.coverage]}
    (root / MANIFEST).write_text(json.dumps(body, indent=1), "utf-8")
    partial.unlink()
    return root
