"""A snapshot of the configuration: what the describe calls answered, by table, with when and how much. Pure, files only.

The folder has one `<ResponseKey>.json` a table, as the AWS command line prints it and as Batfish reads it
(https://pybatfish.readthedocs.io/en/latest/formats.html): in `aws_configs/`, in `<region>/` or in `accounts/<id>/<region>/`,
the file name with a region suffix or without. netkit adds `netkit-snapshot.json` (time, coverage, digests).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from netkit.core.errors import SourceError
from netkit.core.model import Coverage
from netkit.reach.network.identity import ACCOUNT, REGION, Part, Scope, account_of, gathered, merged

__all__ = ["CARRIED", "MANIFEST", "TABLES", "Scope", "Snapshot", "Table", "load_snapshot", "save_snapshot"]

MANIFEST = "netkit-snapshot.json"


@dataclass(frozen=True)
class Table:
    """One describe call: the key of its answer, the service and operation, and the member that identifies a record.

    per: the operation is asked once for each record of that table, and its answer is kept beside that record's id.
    """

    key: str
    service: str
    operation: str
    id: str
    per: str = ""


TABLES: dict[str, Table] = {
    table.key: table
    for table in (
        Table("Vpcs", "ec2", "describe_vpcs", "VpcId"),
        Table("Subnets", "ec2", "describe_subnets", "SubnetId"),
        Table("NetworkInterfaces", "ec2", "describe_network_interfaces", "NetworkInterfaceId"),
        Table("Reservations", "ec2", "describe_instances", "ReservationId"),
        Table("RouteTables", "ec2", "describe_route_tables", "RouteTableId"),
        Table("NetworkAcls", "ec2", "describe_network_acls", "NetworkAclId"),
        Table("SecurityGroups", "ec2", "describe_security_groups", "GroupId"),
        Table("SecurityGroupRules", "ec2", "describe_security_group_rules", "SecurityGroupRuleId"),
        Table("InternetGateways", "ec2", "describe_internet_gateways", "InternetGatewayId"),
        Table("EgressOnlyInternetGateways", "ec2", "describe_egress_only_internet_gateways", "EgressOnlyInternetGatewayId"),
        Table("NatGateways", "ec2", "describe_nat_gateways", "NatGatewayId"),
        Table("VpcPeeringConnections", "ec2", "describe_vpc_peering_connections", "VpcPeeringConnectionId"),
        Table("TransitGateways", "ec2", "describe_transit_gateways", "TransitGatewayId"),
        Table("TransitGatewayAttachments", "ec2", "describe_transit_gateway_attachments", "TransitGatewayAttachmentId"),
        Table("TransitGatewayVpcAttachments", "ec2", "describe_transit_gateway_vpc_attachments", "TransitGatewayAttachmentId"),
        Table("TransitGatewayRouteTables", "ec2", "describe_transit_gateway_route_tables", "TransitGatewayRouteTableId"),
        Table("TransitGatewayPropagations", "ec2", "get_transit_gateway_route_table_propagations", "TransitGatewayRouteTableId", per="TransitGatewayRouteTables"),
        Table("TransitGatewayRoutes", "ec2", "search_transit_gateway_routes", "TransitGatewayRouteTableId", per="TransitGatewayRouteTables"),
        Table("TransitGatewayStaticRoutes", "ec2", "", "TransitGatewayRouteTableId"),  # Batfish's; ours are in TransitGatewayRoutes
        Table("VpcEndpoints", "ec2", "describe_vpc_endpoints", "VpcEndpointId"),
        Table("PrefixLists", "ec2", "describe_prefix_lists", "PrefixListId"),
        Table("ManagedPrefixLists", "ec2", "describe_managed_prefix_lists", "PrefixListId"),
        Table("ManagedPrefixListEntries", "ec2", "get_managed_prefix_list_entries", "PrefixListId", per="ManagedPrefixLists"),
        Table("VpnGateways", "ec2", "describe_vpn_gateways", "VpnGatewayId"),
        Table("VpnConnections", "ec2", "describe_vpn_connections", "VpnConnectionId"),
        Table("VpcBlockPublicAccessOptions", "ec2", "describe_vpc_block_public_access_options", "AwsAccountId"),
        Table("VpcBlockPublicAccessExclusions", "ec2", "describe_vpc_block_public_access_exclusions", "ExclusionId"),
        Table("LoadBalancers", "elbv2", "describe_load_balancers", "LoadBalancerArn"),
        Table("LoadBalancerListeners", "elbv2", "describe_listeners", "LoadBalancerArn", per="LoadBalancers"),
        Table("ListenerRules", "elbv2", "describe_rules", "ListenerArn", per="LoadBalancerListeners"),
        Table("LoadBalancerAttributes", "elbv2", "describe_load_balancer_attributes", "LoadBalancerArn", per="LoadBalancers"),
        Table("TargetGroups", "elbv2", "describe_target_groups", "TargetGroupArn"),
        Table("TargetGroupAttributes", "elbv2", "describe_target_group_attributes", "TargetGroupArn", per="TargetGroups"),
        Table("LoadBalancerTargetHealth", "elbv2", "describe_target_health", "TargetGroupArn", per="TargetGroups"),
    )
}  # fmt: skip

# Tables that a folder may hold beside these: no rule of a path reads them, and an incident's evidence does. Key: member that is the id.
CARRIED: dict[str, str] = {
    "Addresses": "AllocationId",
    "CustomerGateways": "CustomerGatewayId",
    "FirewallPolicies": "FirewallPolicyArn",
    "FirewallRuleGroups": "RuleGroupArn",
    "Firewalls": "FirewallArn",
    "FlowLogs": "FlowLogId",
    "HostedZonesByVpc": "VPCId",
    "ListenerAttributes": "ListenerArn",
    "VpcEncryptionControls": "VpcEncryptionControlId",
}
Derived = TypeVar("Derived")
_FILE = re.compile(rf"(?P<key>[A-Za-z]+)(?:[-_.](?P<region>{REGION.pattern}))?\.json")
# VpnConnections answers carry the tunnels' pre-shared keys; nothing here needs them.
_SECRET = {"CustomerGatewayConfiguration", "PreSharedKey"}


@dataclass(frozen=True, repr=False)
class Snapshot:
    """The describe answers of one moment: tables[(account, region)][ResponseKey] -> records, as AWS answered them.

    coverage   one row for each scope and table that was asked for; a table without a row was never asked for
    collected  UTC time, "" where the folder does not say
    Two snapshots with the same records in another order answer the same. with_records() gives a changed copy (what-if).
    """

    tables: Mapping[Scope, Mapping[str, tuple[dict[str, Any], ...]]]
    coverage: tuple[Coverage, ...]
    collected: str = ""
    folder: str = field(default="", compare=False)
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
        return f"snapshot{when}: {len(self.scopes)} account and region pairs, {rows} records"


def load_snapshot(folder: str | Path) -> Snapshot:
    """The snapshot in a folder, in any of the shapes that the module describes.

    Raises SourceError for a folder that is not there or holds no table, for a file that is not JSON or not of AWS's shape,
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
    parts, rows = _parts(root)
    held = gathered(parts, {key: table.id for key, table in TABLES.items()})
    tables: dict[Scope, dict[str, tuple[dict[str, Any], ...]]] = {scope: merged(group) for scope, group in held.items()}
    coverage = {
        (*scope, key): _of_parts(
            scope, key, len(records), [rows[one.folder, one.scope, key] for one in group if key in one.tables]
        )
        for scope, group in held.items()
        for key, records in tables[scope].items()
    }
    if not tables:
        raise SourceError(
            "there is no table of a snapshot in this folder",
            subject=str(folder),
            hint="expected files as NetworkInterfaces.json, Subnets.json",
        )
    if manifest:
        _check_digests(root, manifest["files"])
        coverage |= {(row["account"], row["region"], row["table"]): Coverage(**row) for row in manifest["coverage"]}
        for row in coverage.values():
            tables.setdefault((row.account, row.region), {})
    return Snapshot(
        tables, tuple(coverage[name] for name in sorted(coverage)), str(manifest.get("collected", "")), str(folder)
    )


def _parts(root: Path) -> tuple[list[Part], dict[tuple[str, Scope, str], Coverage]]:
    """The tables by folder and Region, and what was read of each."""
    parts: dict[tuple[str, Scope], Part] = {}
    rows: dict[tuple[str, Scope, str], Coverage] = {}
    for path in sorted(root.rglob("*.json")):
        match = _FILE.fullmatch(path.name)
        if path.name == MANIFEST or match is None or match["key"] not in TABLES | CARRIED:
            continue
        inner = path.relative_to(root)
        key, scope, folder = match["key"], _scope_of(inner, match["region"] or ""), inner.parent.as_posix()
        records, rows[folder, scope, key] = _read_table(path, key, *scope)
        part = parts.setdefault((folder, scope), Part(folder, scope))
        part.tables[key], part.files[key] = (*part.tables.get(key, ()), *records), inner.as_posix()
    return list(parts.values()), rows


def _of_parts(scope: Scope, key: str, count: int, rows: Iterable[Coverage]) -> Coverage:
    """The coverage of a table that was read from one file or more: as good as the worst of them."""
    held = list(rows)
    worst = next((row for row in held if row.state not in ("ok", "empty")), None)
    if worst:
        return replace(worst, account=scope[0], region=scope[1], rows=count, skipped=sum(row.skipped for row in held))
    return Coverage(*scope, key, "ok" if count else "empty", count)


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


def _scope_of(path: Path, region: str) -> Scope:
    parts = path.parts[:-1]
    named = next((after for before, after in zip(parts, parts[1:], strict=False) if before == "accounts"), "")
    account = named or next((part for part in reversed(parts) if ACCOUNT.fullmatch(part)), "")
    return account, region or next((part for part in reversed(parts) if REGION.fullmatch(part)), "")


def _read_table(path: Path, key: str, account: str, region: str) -> tuple[tuple[dict[str, Any], ...], Coverage]:
    try:
        body = json.loads(path.read_text("utf-8"))
    except ValueError as problem:
        raise SourceError(
            f"{path.name} is not JSON: {problem}",
            subject=str(path),
            hint="collect it again; without the file its answers are UNKNOWN",
        ) from None
    found = body.get(key) if isinstance(body, dict) else body
    if key == "VpcBlockPublicAccessOptions" and isinstance(body, dict):
        found = body.get("VpcBlockPublicAccessOptions", found)
        found = [found] if isinstance(found, dict) else found
    if not isinstance(found, list):
        raise SourceError(
            f"{path.name} has no list {key!r}",
            subject=str(path),
            hint=f'expected {{"{key}": [...]}}, as the AWS command line prints it',
        )
    records = tuple(_without_secrets(record) for record in found if isinstance(record, dict))
    lost = len(found) - len(records)
    cut = isinstance(body, dict) and body.get("NextToken")
    note = "only its first page is here (NextToken)" if cut else f"{lost} records are not objects" if lost else ""
    return records, Coverage(
        account, region, key, "skipped" if note else "ok" if records else "empty", len(records), lost, note
    )


def _without_secrets(record: dict[str, Any]) -> dict[str, Any]:
    if not _SECRET & record.keys() and "Options" not in record:
        return record
    options = record.get("Options")
    kept = {name: value for name, value in record.items() if name not in _SECRET}
    if isinstance(options, dict) and "TunnelOptions" in options:
        kept["Options"] = {name: value for name, value in options.items() if name != "TunnelOptions"}
    return kept


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
            text = json.dumps({key: [_without_secrets(record) for record in records]}, indent=1, default=str)
            path = home / f"{key}.json"
            path.write_text(text, "utf-8")
            files[path.relative_to(root).as_posix()] = hashlib.sha256(text.encode()).hexdigest()
    body = {"collected": snapshot.collected, "files": files, "coverage": [asdict(row) for row in snapshot.coverage]}
    (root / MANIFEST).write_text(json.dumps(body, indent=1), "utf-8")
    partial.unlink()
    return root
