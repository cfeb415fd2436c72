"""What changed between two snapshots, in words. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from netkit.reach.network.snapshot import TABLES, Snapshot

CHANGE_COLUMNS = ("table", "component", "name", "change", "what")
# What moves without anyone changing the network.
_NOISE = {
    "AvailableIpAddressCount",
    "ResponseMetadata",
    "VgwTelemetry",
    "UsageOperationUpdateTime",
    "LastUpdatedTimestamp",
    "TargetHealth",
    "AttachTime",
}
# The member by which the entries of a list are told apart; lists without one are compared as sets of values.
_ENTRY = {
    "Routes": ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId"),
    "Entries": ("Egress", "RuleNumber", "Cidr"),
    "Associations": ("SubnetId", "GatewayId", "Main"),
    "Attachments": ("VpcId",),
    "Groups": ("GroupId",),
    "PrivateIpAddresses": ("PrivateIpAddress",),
    "Tags": ("Key",),
    "TagSet": ("Key",),
}


def compare_snapshots(before: Snapshot, after: Snapshot) -> pd.DataFrame:
    """Every component that came, went or changed: table, component, name, change (added, removed, changed), what (a sentence).

    Tables that either snapshot lacks are one row with the change "not comparable": an absence there says nothing.
    """
    rows: list[tuple[str, str, str, str, str]] = []
    for key, table in TABLES.items():
        old, new = _by_id(before, key, table.id), _by_id(after, key, table.id)
        lacking = [name for name, held in (("before", before), ("after", after)) if not held.known(key)]
        if lacking:
            if old or new:
                rows.append((key, "", "", "not comparable", f"{key} was not wholly collected {' and '.join(lacking)}"))
            continue
        rows += [(key, one, _name(new[one]), "added", _told(new[one])) for one in sorted(new.keys() - old.keys())]
        rows += [(key, one, _name(old[one]), "removed", _told(old[one])) for one in sorted(old.keys() - new.keys())]
        for one in sorted(old.keys() & new.keys()):
            rows += [(key, one, _name(new[one]), "changed", words) for words in _differences(old[one], new[one])]
    return pd.DataFrame(rows, columns=list(CHANGE_COLUMNS))


def _by_id(snapshot: Snapshot, key: str, member: str) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for _, record in snapshot.records(key):
        inner = record.get("Instances") if key == "Reservations" else None
        for one in inner if inner is not None else [record]:
            found[str(one.get("InstanceId" if inner is not None else member, ""))] = one
    return found


def _name(record: Mapping[str, Any]) -> str:
    tags = record.get("Tags") or record.get("TagSet") or []
    return next(
        (str(tag.get("Value", "")) for tag in tags if tag.get("Key") == "Name"), str(record.get("GroupName", ""))
    )


def _told(record: Mapping[str, Any]) -> str:
    told = ("CidrBlock", "PrivateIpAddress", "VpcId", "SubnetId", "State", "Status")
    return ", ".join(f"{name} {_value(record[name])}" for name in told if record.get(name))


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for name in sorted((old.keys() | new.keys()) - _NOISE):
        one, two, where = old.get(name), new.get(name), f"{path}{name}"
        if isinstance(one, list) or isinstance(two, list):
            yield from _lists(one or [], two or [], name, where)
        elif isinstance(one, dict) and isinstance(two, dict):
            yield from _differences(one, two, f"{where}.")
        elif one != two:
            yield f"{where} was {_value(one)}, is {_value(two)}"


def _lists(old: list[Any], new: list[Any], name: str, where: str) -> Iterator[str]:
    one, two = _keyed(old, name), _keyed(new, name)
    yield from (f"{where}: {_value(two[key])} added" for key in sorted(two.keys() - one.keys()))
    yield from (f"{where}: {_value(one[key])} removed" for key in sorted(one.keys() - two.keys()))
    for key in sorted(one.keys() & two.keys()):
        if one[key] != two[key] and isinstance(one[key], dict):
            yield from _differences(one[key], two[key], f"{where}[{key}].")


def _keyed(entries: list[Any], name: str) -> dict[str, Any]:
    members = _ENTRY.get(name, ())
    found: dict[str, Any] = {}
    for entry in entries:
        parts = [str(entry[member]) for member in members if isinstance(entry, dict) and entry.get(member) is not None]
        found[" ".join(parts) or _value(entry)] = entry
    return found


def _value(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True, default=str)
    return "nothing" if value is None else str(value)
