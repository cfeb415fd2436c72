"""History: the trail read, snapshots played on and undone, the first bad state; on bundles of another hand and on a small network."""

from __future__ import annotations

import gzip
import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.core.errors import InputError, SourceError
from netkit.core.model import Verdict
from netkit.history.bisect import first_bad
from netkit.history.changes import changes, refused
from netkit.history.trail import read_trail, trail_of
from netkit.history.unroll import played, undone
from netkit.incident.evidence import read_folder
from netkit.incident.scene import Scene
from netkit.reach.network.snapshot import Snapshot

CASES = Path(__file__).parents[2] / "shared/data/incidents"
NAMES = sorted(path.name for path in CASES.glob("case-*"))
T0 = datetime(2026, 10, 1, 12, tzinfo=UTC)


def record(
    event: str, request: dict[str, Any], *, minutes: int = 0, error: str = "", read: bool = False
) -> dict[str, Any]:
    made = {
        "eventID": f"{event}-{minutes}-{json.dumps(request, sort_keys=True)}", "eventTime": f"{T0 + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}",
        "eventName": event, "eventSource": "ec2.amazonaws.com", "awsRegion": "us-east-1", "userIdentity": {"arn": "arn:aws:iam::1:user/a"},
        "sourceIPAddress": "198.51.100.7", "requestParameters": request, "readOnly": read,
    }  # fmt: skip
    return made | ({"errorCode": error} if error else {})


@pytest.mark.skipif(not NAMES, reason="needs ../shared/data/incidents")
@pytest.mark.parametrize("case", NAMES)
def test_a_trail_played_on_from_before_traces_as_what_came_after(case: str) -> None:
    """Both snapshots and the trail are another hand's: the first with the writes played, and the last with them undone, say what the other says."""
    scene = Scene(read_folder(CASES / case))
    first, last = scene.snapshots[0], scene.snapshots[-1]
    writes = [one for one in scene.evidence.trail.writes if first.time < one.time <= last.time]

    def told(verdict: Verdict | None) -> Any:
        return verdict and (verdict.status, sorted((one.component, one.code) for one in verdict.blockers))

    forth = played(first.snapshot, writes)
    if any(table.startswith("Firewall") for _, table in forth.open):  # the trail keeps no rules, so nothing is guessed
        verdict = scene.verdict_of(forth.snapshot)
        assert verdict is not None
        assert verdict.status == "UNKNOWN"
    else:
        assert told(scene.verdict_of(forth.snapshot)) == told(scene.verdicts[-1])
    assert told(scene.verdict_of(undone(last.snapshot, writes, first.snapshot).snapshot)) == told(scene.verdicts[0])


@pytest.mark.skipif(not NAMES, reason="needs ../shared/data/incidents")
def test_what_changed_has_its_actor_and_refused_writes_stand_apart() -> None:
    held = read_folder(CASES / "case-ed6fe2")
    frame = changes(held.snapshots[0].snapshot, held.snapshots[-1].snapshot, held.trail)
    row = frame[frame["component"] == "sg-357edcc3987478b7a"].iloc[0]
    assert (row["event"], row["actor"].rpartition("/")[2]) == ("RevokeSecurityGroupIngress", "deploy-bot")
    assert refused(held.trail)["error"].tolist() == ["Client.UnauthorizedOperation"]


def test_every_form_of_a_trail_gives_the_same_writes(tmp_path: Path) -> None:
    records = [record("CreateRoute", {"routeTableId": "rtb-0123456789abcdef0"}), record("DescribeVpcs", {}, read=True)]
    forms = {
        "delivered.json.gz": gzip.compress(json.dumps({"Records": records}).encode(), mtime=0),
        "lookup.json": json.dumps(
            {"Events": [{"EventId": "x", "CloudTrailEvent": json.dumps(one)} for one in records]}
        ).encode(),
        "lines.jsonl": "\n".join(json.dumps(one) for one in records).encode(),
        "bom.json": b"\xef\xbb\xbf" + json.dumps(records).encode(),
    }
    for name, body in forms.items():
        (tmp_path / name).write_bytes(body)
        trail = read_trail([tmp_path / name])
        assert [(one.event, one.ids) for one in trail.writes] == [("CreateRoute", ("rtb-0123456789abcdef0",))], name
        assert trail.records == 2
    assert len(read_trail([tmp_path / name for name in forms]).writes) == 1, (
        "the same record in several files counts once"
    )


def test_a_damaged_file_is_a_row_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(b'{"Records": []}', mtime=0)[:12])
    (tmp_path / "good.json").write_text(json.dumps([record("CreateRoute", {})]))
    trail = read_trail([tmp_path / "cut.json.gz", tmp_path / "good.json"])
    assert [row.state for row in trail.coverage] == ["skipped", "ok"]
    assert len(trail.writes) == 1
    with pytest.raises(SourceError, match="no file"):
        read_trail([tmp_path / "absent.json"])


def snapshot(**tables: list[dict[str, Any]]) -> Snapshot:
    return Snapshot({("1", "us-east-1"): {}}, ()).with_records("Vpcs", []) if not tables else _with(tables)


def _with(tables: dict[str, list[dict[str, Any]]]) -> Snapshot:
    held = Snapshot({("1", "us-east-1"): {}}, ())
    for key, records in tables.items():
        held = held.with_records(key, records)
    return held


RULE = {
    "IpProtocol": "tcp",
    "FromPort": 443,
    "ToPort": 443,
    "IpRanges": [{"CidrIp": "10.0.0.0/8"}],
    "Ipv6Ranges": [],
    "UserIdGroupPairs": [],
    "PrefixListIds": [],
}
ASKED = {
    "groupId": "sg-1",
    "ipPermissions": {
        "items": [
            {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "ipRanges": {"items": [{"cidrIp": "10.0.0.0/8"}]}}
        ]
    },
}


def rules(held: Snapshot) -> list[Any]:
    return next(one["IpPermissions"] for _, one in held.records("SecurityGroups"))


def test_a_rule_taken_away_is_gone_and_comes_back() -> None:
    before = _with({"SecurityGroups": [{"GroupId": "sg-1", "IpPermissions": [RULE]}]})
    writes = trail_of([record("RevokeSecurityGroupIngress", ASKED)]).writes
    after = played(before, writes)
    assert rules(after.snapshot) == []
    assert rules(undone(after.snapshot, writes).snapshot) == [RULE]


def test_what_cannot_be_undone_is_unknown_and_named() -> None:
    """A deleted route does not say where it led: without a snapshot that still holds it the table is not known."""
    held = _with({"RouteTables": [{"RouteTableId": "rtb-1", "Routes": []}]})
    writes = trail_of([record("DeleteRoute", {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0"})]).writes
    back = undone(held, writes)
    assert [write.event for write, _ in back.open] == ["DeleteRoute"]
    assert not back.snapshot.known("RouteTables")
    reference = _with(
        {
            "RouteTables": [
                {"RouteTableId": "rtb-1", "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1"}]}
            ]
        }
    )
    whole = undone(held, writes, reference)
    assert not whole.open
    assert [one["Routes"][0]["NatGatewayId"] for _, one in whole.snapshot.records("RouteTables")] == ["nat-1"]


def test_a_refused_write_changes_nothing() -> None:
    before = _with({"SecurityGroups": [{"GroupId": "sg-1", "IpPermissions": [RULE]}]})
    writes = trail_of([record("RevokeSecurityGroupIngress", ASKED, error="Client.UnauthorizedOperation")]).writes
    assert played(before, writes).snapshot == before


def verdict(held: Snapshot) -> Verdict:
    status = "REACHABLE" if rules(held) else "NOT_REACHABLE"
    return Verdict(status, "a", "b", "tcp", "443")


@given(st.integers(1, 200), st.data())
def test_the_first_bad_state_is_found_in_few_traces(count: int, data: st.DataObject) -> None:
    turn = data.draw(st.integers(0, count))
    good, bad = (_with({"SecurityGroups": [{"GroupId": "sg-1", "IpPermissions": held}]}) for held in ([RULE], []))
    states = [(T0 + timedelta(hours=number), good if number < turn else bad) for number in range(count)]
    found = first_bad(states, verdict)
    assert found.time == (None if turn == count else states[turn][0])
    assert found.traces <= math.log2(count) + 2


def test_changed_and_changed_back_between_two_snapshots_is_found_through_the_trail() -> None:
    good = _with({"SecurityGroups": [{"GroupId": "sg-1", "IpPermissions": [RULE]}]})
    trail = trail_of(
        [
            record("RevokeSecurityGroupIngress", ASKED, minutes=10),
            record("AuthorizeSecurityGroupIngress", ASKED, minutes=25),
        ]
    )
    found = first_bad([(T0, good), (T0 + timedelta(hours=1), good)], verdict, trail)
    assert (found.time, found.until) == (T0 + timedelta(minutes=10), T0 + timedelta(minutes=25))
    assert found.write is not None and found.write.event == "RevokeSecurityGroupIngress"
    with pytest.raises(InputError, match="no snapshot"):
        first_bad([], verdict)
