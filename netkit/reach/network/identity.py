"""Whose answers are in a folder: the account and Region by its path and by its records, and what stands in it twice. Pure.

A folder's name is only a name: `prod/us-east-1` and `sandbox/us-east-1` are two accounts where their records say so (OwnerId,
AwsAccountId, ARNs: botocore's EC2 and ELBv2 models), and two collections where they say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netkit.core.errors import SourceError

Scope = tuple[str, str]  # account, region; "" where nothing says
Record = Mapping[str, Any]
ACCOUNT = re.compile(r"\d{12}")
REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
# Tables in which a record is always the caller's own, the surest first, with the member that names the account.
_OWN = (
    ("VpcBlockPublicAccessOptions", "AwsAccountId"),
    ("Reservations", "OwnerId"),
    ("LoadBalancers", "LoadBalancerArn"),
    ("TargetGroups", "TargetGroupArn"),
    ("InternetGateways", "OwnerId"),
    ("NetworkInterfaces", "OwnerId"),
    ("SecurityGroups", "OwnerId"),
    ("NetworkAcls", "OwnerId"),
    ("RouteTables", "OwnerId"),
    ("Subnets", "OwnerId"),
    ("Vpcs", "OwnerId"),
)
_PLACES = (
    ("VpcBlockPublicAccessOptions", "AwsRegion"),
    ("Subnets", "AvailabilityZone"),
    ("Subnets", "SubnetArn"),
    ("LoadBalancers", "LoadBalancerArn"),
    ("NetworkInterfaces", "AvailabilityZone"),
    ("SecurityGroups", "SecurityGroupArn"),
)


def account_of(tables: Mapping[str, Iterable[Record]]) -> str:
    """The account that asked, by the first table whose records all name one; "" where none does."""
    return _agreed(tables, _OWN, ACCOUNT)


def region_of(tables: Mapping[str, Iterable[Record]]) -> str:
    """The Region that was asked, likewise."""
    return _agreed(tables, _PLACES, REGION)


def _agreed(tables: Mapping[str, Iterable[Record]], places: Iterable[tuple[str, str]], form: re.Pattern[str]) -> str:
    for key, member in places:
        said = {match[0] for record in tables.get(key, ()) if (match := form.search(str(record.get(member) or "")))}
        if len(said) == 1:
            return said.pop()
    return ""


@dataclass
class Part:
    """The tables of one folder and Region. scope: as the path says it; files: table -> the file of each record, in their order."""

    folder: str
    scope: Scope
    tables: dict[str, tuple[dict[str, Any], ...]] = field(default_factory=dict)
    files: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add(self, key: str, records: Iterable[dict[str, Any]], file: str) -> None:
        """Further records of a table; what stands there already, the same, is not added again."""
        held, found = self.tables.get(key, ()), list(records)
        new = [one for one in found if one not in held] if held else found
        self.tables[key] = (*held, *new)
        self.files[key] = (*self.files.get(key, ()), *[file] * len(new))

    def whose(self) -> Scope:
        """Account and Region, by the path, else by the records."""
        return self.scope[0] or account_of(self.tables), self.scope[1] or region_of(self.tables)


def gathered(parts: Iterable[Part], ids: Mapping[str, str]) -> dict[Scope, list[Part]]:
    """The parts by account and Region: parts of one are together, parts of two apart, whatever their folders are called.

    ids: table -> the member that identifies a record. The key is what the paths say; where that is one for several, the records'
    account, or the folder's name. Raises SourceError where parts of one account and Region hold two different records of one id.
    """
    groups: list[list[Part]] = []
    for part in sorted(parts, key=lambda one: (-len(one.tables), one.folder)):
        sure = [held for held in groups if _surely_one(part, held[0])]
        maybe = sure or [held for held in groups if all(_may_be_one(part, one, ids) for one in held)]
        if len(maybe) == 1:
            maybe[0].append(part)
        else:
            groups.append([part])
    for group in groups:
        _check_doubles(group, ids)
    return _labelled(groups)


def _surely_one(part: Part, other: Part) -> bool:
    """Whether two parts say the same account and Region."""
    mine, theirs = part.whose(), other.whose()
    return (part.scope == other.scope and bool(part.scope[0])) or (mine == theirs and all(mine))


def _may_be_one(part: Part, other: Part, ids: Mapping[str, str]) -> bool:
    """Whether nothing says that they are two, and they complete each other or speak of the same things."""
    if any(mine and theirs and mine != theirs for mine, theirs in zip(part.whose(), other.whose(), strict=True)):
        return False
    common = part.tables.keys() & other.tables.keys() & ids.keys()
    return not common or any(_keys(part, key, ids) & _keys(other, key, ids) for key in common)


def _keys(part: Part, key: str, ids: Mapping[str, str]) -> set[str]:
    return {str(record[ids[key]]) for record in part.tables[key] if ids[key] in record}


def _check_doubles(group: Sequence[Part], ids: Mapping[str, str]) -> None:
    seen: dict[tuple[str, ...], tuple[Record, str]] = {}
    for part in group:
        for key, records in part.tables.items():
            if key not in ids or key == "ManagedPrefixListEntries":  # pages of one list may stand in several records
                continue
            for (name, record), file in _named(key, records, part.files[key], ids[key]):
                # Both sides of a transit gateway peering have one attachment id.
                held, other = seen.setdefault((key, name, str(record.get("TransitGatewayId", ""))), (record, file))
                if held != record:
                    _refuse(name, other, file)


def _named(
    key: str, records: Iterable[Record], files: Iterable[str], member: str
) -> Iterator[tuple[tuple[str, Record], str]]:
    """(id, record) and file of the records that have an id; of reservations their instances too, which may stand in another."""
    for record, file in zip(records, files, strict=True):
        if member in record:
            yield (str(record[member]), record), file
        for one in record.get("Instances") or () if key == "Reservations" else ():
            if isinstance(one, Mapping) and "InstanceId" in one:
                yield (str(one["InstanceId"]), one), file


def _refuse(name: str, one: str, other: str) -> None:
    raise SourceError(
        f"two different records of {name}: in {one} and in {other}"
        if one != other
        else f"two different records of {name}",
        subject=other,
        hint="keep the files of one moment in a folder; another account or Region goes to accounts/<id>/<region>/",
    )


def _labelled(groups: Sequence[Sequence[Part]]) -> dict[Scope, list[Part]]:
    """Each group under the scope that its path says, or where two would be one, under what its records or folder say."""
    said = [next((one.scope for one in group if any(one.scope)), group[0].scope) for group in groups]
    found: dict[Scope, list[Part]] = {}
    for group, scope in zip(groups, said, strict=True):
        account, region = group[0].whose()
        folder = group[0].folder.replace("/", ".")
        choices = (scope,) * (said.count(scope) == 1) + ((account or folder, region), (folder, region))
        found[next(one for one in choices if one not in found)] = list(group)
    return found


def merged(group: Sequence[Part]) -> dict[str, tuple[dict[str, Any], ...]]:
    """The tables of parts that are one account and Region, each record once."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for part in group:
        for key, records in part.tables.items():
            held = tables.setdefault(key, [])
            held += [record for record in records if len(group) == 1 or record not in held]
    return {key: tuple(records) for key, records in tables.items()}
