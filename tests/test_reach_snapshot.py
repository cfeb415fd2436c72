"""Snapshots as folders: every shape is read, what is broken is said, and what is missing is never taken for absent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from little_net import OPEN_ACL, allow, entry, pair

from netkit.core.errors import SourceError
from netkit.reach import load_snapshot, save_snapshot, trace
from netkit.reach.network.compare import compare_snapshots
from netkit.reach.network.snapshot import MANIFEST, Snapshot

ASK = {"source": "client", "destination": "server", "protocol": "tcp", "port": 443}


def written(folder: Path, suffix: str = "", inner: str = "") -> Path:
    home = folder / inner
    home.mkdir(parents=True)
    for key, rows in pair().tables.items():
        (home / f"{key}{suffix}.json").write_text(json.dumps({key: rows}), "utf-8")
    return folder


@pytest.mark.parametrize(("suffix", "inner", "scope"), [
    ("", "", ("", "")), ("", "aws_configs", ("", "")), ("-eu-west-1", "aws_configs", ("", "eu-west-1")), ("_us-gov-west-1", "", ("", "us-gov-west-1")),
    ("", "aws_configs/us-east-1", ("", "us-east-1")), ("", "accounts/123456789012/us-east-1", ("123456789012", "us-east-1")),
    ("", "aws_configs/accounts/123456789012/us-east-1", ("123456789012", "us-east-1")),
])  # fmt: skip
def test_every_shape_of_folder(tmp_path: Path, suffix: str, inner: str, scope: tuple[str, str]) -> None:
    held = load_snapshot(written(tmp_path / "s", suffix, inner))
    assert held.scopes == (scope,)
    assert trace(held, **ASK).reachable
    states = {row.table: row.state for row in held.coverage}
    assert (states["Subnets"], states["VpnGateways"]) == ("ok", "empty")


def test_saved_and_loaded_again_it_is_the_same(tmp_path: Path) -> None:
    held = pair().snapshot()
    again = load_snapshot(save_snapshot(held, tmp_path / "kept"))
    assert again.tables == held.tables
    assert (again.collected, set(again.coverage)) == (held.collected, set(held.coverage))
    with pytest.raises(SourceError, match="not empty"):
        save_snapshot(held, tmp_path / "kept")


def test_what_was_denied_stays_denied(tmp_path: Path) -> None:
    held = pair().snapshot().without("NetworkAcls")
    denied = tuple(row for row in pair().snapshot().coverage if row.table != "NetworkAcls")
    kept = load_snapshot(save_snapshot(Snapshot(held.tables, denied, held.collected), tmp_path / "kept"))
    verdict = trace(kept, **ASK)
    assert verdict.status == "UNKNOWN"
    assert verdict.unknowns[0].what == "NetworkAcls"


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no folder"):
        load_snapshot(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no table of a snapshot"):
        load_snapshot(tmp_path / "empty")
    folder = written(tmp_path / "broken")
    text = (folder / "RouteTables.json").read_text("utf-8")
    (folder / "RouteTables.json").write_text(text[:-30], "utf-8")
    with pytest.raises(SourceError, match=r"RouteTables\.json is not JSON"):
        load_snapshot(folder)
    (folder / "RouteTables.json").write_text('{"Tables": []}', "utf-8")
    with pytest.raises(SourceError, match="has no list 'RouteTables'"):
        load_snapshot(folder)


def test_half_written_and_of_two_times(tmp_path: Path) -> None:
    folder = save_snapshot(pair().snapshot(), tmp_path / "kept")
    (folder / (MANIFEST + ".partial")).touch()
    with pytest.raises(SourceError, match="was not finished"):
        load_snapshot(folder)
    (folder / (MANIFEST + ".partial")).unlink()
    acls = next(folder.rglob("NetworkAcls.json"))
    acls.write_text(acls.read_text("utf-8").replace('"allow"', '"deny"'), "utf-8")
    with pytest.raises(SourceError, match="of another time, or was edited"):
        load_snapshot(folder)
    acls.unlink()
    with pytest.raises(SourceError, match="is not there"):
        load_snapshot(folder)
    shutil.copy(next(folder.rglob("Subnets.json")), acls)
    (folder / MANIFEST).write_text("{}", "utf-8")
    with pytest.raises(SourceError, match="cannot be read"):
        load_snapshot(folder)


def test_only_the_first_page_is_not_the_table(tmp_path: Path) -> None:
    folder = written(tmp_path / "s")
    (folder / "NetworkAcls.json").write_text(json.dumps({"NetworkAcls": [], "NextToken": "more"}), "utf-8")
    held = load_snapshot(folder)
    assert next(row for row in held.coverage if row.table == "NetworkAcls").state == "skipped"
    assert trace(held, **ASK).status == "UNKNOWN"


def test_a_record_that_cannot_be_read_makes_its_table_unknown() -> None:
    net = pair()
    net.acl("acl-c", "vpc-a", "subnet-c", entries=[entry(100, "allow", egress=True, protocol="tls")])
    verdict = trace(net.snapshot(), **ASK)
    assert verdict.status == "UNKNOWN"
    assert "cannot be read" in verdict.unknowns[0].why


def test_what_changed_in_words() -> None:
    before, after = pair(), pair()
    after.acl("acl-c", "vpc-a", "subnet-c", entries=list(OPEN_ACL))
    after.find("SecurityGroups", "sg-a")["IpPermissions"] = [allow("tcp", (443, 443), "10.0.0.0/8")]
    after.route("rtb-a", "0.0.0.0/0", "igw-1")
    after.find("Reservations", "r-client")["Instances"][0]["State"]["Name"] = "stopped"
    frame = compare_snapshots(before.snapshot(), after.snapshot())
    told = {(row.component, row.change): row.what for row in frame.itertuples()}
    assert ("acl-c", "added") in told
    assert told["i-client", "changed"] == "State.Name was running, is stopped"
    assert "0.0.0.0/0" in told["rtb-a", "changed"]
    assert compare_snapshots(before.snapshot(), before.snapshot()).empty
    lost = compare_snapshots(before.snapshot(), after.snapshot().without("RouteTables"))
    assert list(lost.loc[lost["table"] == "RouteTables", "change"]) == ["not comparable"]
