"""A snapshot's files are read by what they hold: every output of the command line, AWS Config's deliveries, and what is passed over is named."""

from __future__ import annotations

import codecs
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from little_net import pair

from netkit.core.errors import SourceError
from netkit.reach import Snapshot, load_snapshot, trace
from netkit.reach.explain import coverage_frame
from netkit.reach.network.documents import Unreadable, documents

ASK: dict[str, Any] = {"source": "client", "destination": "server", "protocol": "tcp", "port": 443}
Tables = dict[str, list[dict[str, Any]]]
CALLS = {
    "SecurityGroups": "describe-security-groups", "Reservations": "describe-instances", "RouteTables": "ec2-describe-route-tables", "Vpcs": "ec2-describe-vpcs",
    "Subnets": "subnets", "NetworkAcls": "network-acls", "NetworkInterfaces": "networkinterfaces",
}  # fmt: skip


def in_yaml(value: Any) -> bytes:
    """As the command line writes it, without aliases."""
    return yaml.safe_dump(json.loads(json.dumps(value))).encode()


def tables() -> Tables:
    """A pair of hosts in one VPC, in which every table of a path holds something or is empty."""
    return {key: list(rows) for key, rows in pair().tables.items()}


def written(folder: Path, name: Callable[[str], str], body: Callable[[str, list[dict[str, Any]]], bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for key, rows in tables().items():
        (folder / name(key)).write_bytes(body(key, rows))
    return folder


def plain(key: str, rows: Any) -> bytes:
    return json.dumps({key: rows}, indent=4).encode()


def same(held: Snapshot) -> None:
    """The path is open, and every table is as it is in the plain shape."""
    verdict = trace(held, **ASK)
    assert verdict.reachable, str(verdict)
    assert {row.state for row in held.coverage} <= {"ok", "empty"}
    assert not held.passed


@pytest.mark.parametrize("name", [
    lambda key: f"{CALLS.get(key, key)}.json", lambda key: f"{key.lower()}.json", lambda key: f"out-of-{len(key)}-{key[::-1]}.json",
    lambda key: f"{key}.JSON", lambda key: f"{key}.txt", lambda key: f"aws ec2 {key}.json",
])  # fmt: skip
def test_any_name_will_do(tmp_path: Path, name: Callable[[str], str]) -> None:
    same(load_snapshot(written(tmp_path / "s", name, plain)))


@pytest.mark.parametrize(("ending", "coded"), [
    (".json.gz", gzip.compress), (".json", gzip.compress), (".json", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:])),
    (".json", lambda body: codecs.BOM_UTF8 + body), (".json", lambda body: body.decode().encode("utf-16")),
    (".json", lambda body: codecs.BOM_UTF16_BE + body.decode().encode("utf-16-be")), (".json", lambda body: body.decode().encode("utf-16-le")),
    (".txt", lambda body: body.decode().replace("\n", "\r\n").encode("utf-16")), (".json", lambda body: body.decode().encode("utf-32")),
])  # fmt: skip
def test_any_coding_will_do(tmp_path: Path, ending: str, coded: Callable[[bytes], bytes]) -> None:
    same(load_snapshot(written(tmp_path / "s", lambda key: key + ending, lambda key, rows: coded(plain(key, rows)))))


def lines(key: str, rows: list[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(one) for one in rows).encode() if len(rows) > 1 else plain(key, rows)


def pages(key: str, rows: list[dict[str, Any]]) -> bytes:
    cut = [{key: rows[:1], "NextToken": "more"}, {key: rows[1:]}]
    return "\n".join(json.dumps(one) for one in cut).encode()


@pytest.mark.parametrize(("ending", "body"), [
    (".yaml", lambda key, rows: in_yaml({key: rows})), (".json", lambda key, rows: in_yaml({key: rows})),
    (".yml", lambda key, rows: in_yaml([{key: rows[:1], "NextToken": "x"}, {key: rows[1:]}])), (".jsonl", lines), (".json", lines),
    (".json", pages), (".json", lambda key, rows: json.dumps([{key: rows[:1]}, {key: rows[1:]}]).encode()),
    (".json", lambda key, rows: json.dumps([[one] for one in rows]).encode()), (".json", lambda key, rows: json.dumps({key: rows or None}).encode()),
])  # fmt: skip
def test_any_output_will_do(tmp_path: Path, ending: str, body: Callable[[str, Any], bytes]) -> None:
    same(load_snapshot(written(tmp_path / "s", lambda key: key + ending, body)))


def bare(key: str, rows: list[dict[str, Any]]) -> bytes:
    """As `--query 'Reservations[].Instances[]'` and `--query Vpcs` print it; of an empty list the file's name has to tell."""
    return json.dumps([one for row in rows for one in row["Instances"]] if key == "Reservations" else rows).encode()


def test_lists_without_their_key_are_known_by_their_records(tmp_path: Path) -> None:
    same(load_snapshot(written(tmp_path / "s", lambda key: f"{CALLS.get(key, key)}.json", bare)))
    folder = written(
        tmp_path / "t", lambda key: f"{'x' * len(key)}{key[0]}.json" if tables()[key] else f"{key}.json", bare
    )
    assert trace(load_snapshot(folder), **ASK).reachable


def test_one_file_of_all(tmp_path: Path) -> None:
    for number, body in enumerate([
        tables(), {"111111111111": {"eu-west-1": tables()}}, {f"describe-{key.lower()}": {key: rows} for key, rows in tables().items()},
        [{key: rows} for key, rows in tables().items()],
    ]):  # fmt: skip
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "all.json").write_text(json.dumps(body), "utf-8")
        held = load_snapshot(folder)
        same(held)
        assert held.scopes == ((("111111111111", "eu-west-1"),) if number == 1 else (("", ""),))


def test_off_is_a_word_in_yaml(tmp_path: Path) -> None:
    text = "VpcBlockPublicAccessOptions:\n  AwsAccountId: '111111111111'\n  AwsRegion: eu-west-1\n  InternetGatewayBlockMode: off\n  State: default-state\n"
    (tmp_path / "bpa.yaml").write_text(text, "utf-8")
    ((_, record),) = load_snapshot(tmp_path).records("VpcBlockPublicAccessOptions")
    assert record["InternetGatewayBlockMode"] == "off"


@pytest.mark.parametrize("body", [
    {"AwsAccountId": "111111111111", "AwsRegion": "eu-west-1", "InternetGatewayBlockMode": "block-bidirectional"},
    {"VpcBlockPublicAccessOptions": {"AwsAccountId": "111111111111", "AwsRegion": "eu-west-1", "InternetGatewayBlockMode": "block-bidirectional"}},
    [{"AwsAccountId": "111111111111", "AwsRegion": "eu-west-1", "InternetGatewayBlockMode": "block-bidirectional"}],
])  # fmt: skip
def test_the_options_as_an_object(tmp_path: Path, body: Any) -> None:
    (tmp_path / "x.json").write_text(json.dumps(body), "utf-8")
    held = load_snapshot(tmp_path)
    assert held.known("VpcBlockPublicAccessOptions")
    assert len(list(held.records("VpcBlockPublicAccessOptions"))) == 1


@pytest.mark.parametrize(("key", "member"), [
    ("NetworkAcls", "Associations"), ("RouteTables", "PropagatingVgws"), ("SecurityGroups", "IpPermissionsEgress"), ("RouteTables", "Associations"),
    ("NetworkInterfaces", "Ipv6Addresses"), ("Subnets", "Ipv6CidrBlockAssociationSet"), ("Reservations", "Groups"),
])  # fmt: skip
def test_null_is_an_empty_list(tmp_path: Path, key: str, member: str) -> None:
    for name, value in (("null", None), ("empty", [])):
        folder = written(tmp_path / name, lambda key: f"{key}.json", plain)
        rows = tables()[key]
        rows.append({**rows[-1], member: value, **{one: f"{rows[-1][one]}-2" for one in rows[-1] if one in ("NetworkAclId", "GroupId", "RouteTableId")}})  # fmt: skip
        if key in ("NetworkInterfaces", "Subnets", "Reservations"):
            rows = [{**one, member: value} for one in tables()[key]]
        (folder / f"{key}.json").write_bytes(plain(key, rows))
    held, empty = (load_snapshot(tmp_path / name) for name in ("null", "empty"))
    assert trace(held, **ASK).reachable
    assert str(trace(held, **ASK)) == str(trace(empty, **ASK))


def test_what_is_passed_over_is_named_with_the_reason(tmp_path: Path) -> None:
    folder = written(tmp_path / "s", lambda key: f"{key}.json", plain)
    others = {
        "notes.json": "{not json", "regions.json": '{"Regions": []}', "nothing.json": "null", "ids.json": '[{"Id": "vpc-1"}]', "photo.png": "x", "empty.json": "",
        "health.json": '{"TargetHealthDescriptions": []}', "list.json": "[]",
    }  # fmt: skip
    for name, text in others.items():
        (folder / name).write_text(text, "utf-8")
    held = load_snapshot(folder)
    assert trace(held, **ASK).reachable
    assert {row.table for row in held.passed} == set(others)
    why = {row.table: row.note for row in held.passed}
    assert "Regions" in why["regions.json"]
    assert "TargetGroupArn" in why["health.json"]
    assert "--query found nothing" in why["nothing.json"]
    assert "passed over" in str(held)
    assert set(others) <= set(coverage_frame(held)["table"])


def test_a_folder_without_tables_says_what_it_saw(tmp_path: Path) -> None:
    (tmp_path / "regions.json").write_text('{"Regions": []}', "utf-8")
    with pytest.raises(SourceError, match=r"no table of a snapshot.*regions\.json.*Regions") as raised:
        load_snapshot(tmp_path)
    assert "describe-instances" in str(raised.value)
    assert len(str(raised.value).splitlines()) <= 3


@pytest.mark.parametrize("token", ["NextToken", "nextToken", "NextMarker"])
def test_a_token_left_is_a_table_cut_short(tmp_path: Path, token: str) -> None:
    folder = written(tmp_path / "s", lambda key: f"{key}.json", plain)
    (folder / "NetworkAcls.json").write_text(json.dumps({"NetworkAcls": tables()["NetworkAcls"], token: "x"}), "utf-8")
    held = load_snapshot(folder)
    assert "first page" in next(row.note for row in held.coverage if row.table == "NetworkAcls")
    assert trace(held, **ASK).status == "UNKNOWN"


def test_one_record_by_itself_is_not_the_table(tmp_path: Path) -> None:
    folder = written(tmp_path / "s", lambda key: f"{key}.json", plain)
    (folder / "NetworkAcls.json").write_text(json.dumps(tables()["NetworkAcls"][0]), "utf-8")
    assert next(row.state for row in load_snapshot(folder).coverage if row.table == "NetworkAcls") == "skipped"


def test_two_files_of_one_table_are_put_together_and_may_not_disagree(tmp_path: Path) -> None:
    folder = written(tmp_path / "s", lambda key: f"{key}.json", plain)
    rows = tables()["Subnets"]
    (folder / "Subnets.json").write_bytes(plain("Subnets", rows[:1]))
    (folder / "more.json").write_bytes(plain("Subnets", rows))
    same(load_snapshot(folder))
    (folder / "more.json").write_bytes(plain("Subnets", [*rows[1:], {**rows[0], "CidrBlock": "10.9.0.0/24"}]))
    with pytest.raises(SourceError, match=r"two different records of .*Subnets\.json.*more\.json"):
        load_snapshot(folder)
    (folder / "more.json").unlink()
    (folder / "Subnets.json").write_bytes(plain("Subnets", rows))
    instance = {**tables()["Reservations"][0]["Instances"][0], "ImageId": "ami-1", "State": {"Name": "stopped"}}
    (folder / "i.json").write_text(json.dumps([instance]), "utf-8")
    with pytest.raises(
        SourceError, match=r"two different records of i-.*Reservations\.json|two different records of i-.*i\.json"
    ):
        load_snapshot(folder)


def test_the_two_prefix_lists_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "describe-managed-prefix-lists.json").write_text(json.dumps({"PrefixLists": [{"PrefixListId": "pl-1", "PrefixListArn": "arn:aws:x", "AddressFamily": "IPv4"}]}), "utf-8")  # fmt: skip
    (tmp_path / "describe-prefix-lists.json").write_text(json.dumps({"PrefixLists": [{"PrefixListId": "pl-2", "Cidrs": ["10.0.0.0/8"]}]}), "utf-8")  # fmt: skip
    held = load_snapshot(tmp_path)
    assert [one["PrefixListId"] for _, one in held.records("ManagedPrefixLists")] == ["pl-1"]
    assert [one["PrefixListId"] for _, one in held.records("PrefixLists")] == ["pl-2"]


def test_listeners_and_rules_go_to_their_balancer_and_listener(tmp_path: Path) -> None:
    balancer = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:loadbalancer/app/a/1"
    listener = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:listener/app/a/1/2"
    rule = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:listener-rule/app/a/1/2/3"
    held = {"Listeners": [{"ListenerArn": f"{listener}{n}", "LoadBalancerArn": balancer, "Port": n} for n in (1, 2)]}
    (tmp_path / "l.json").write_text(json.dumps(held), "utf-8")
    (tmp_path / "r.json").write_text(json.dumps({"Rules": [{"RuleArn": rule, "Conditions": []}]}), "utf-8")
    snapshot = load_snapshot(tmp_path)
    ((_, one),) = snapshot.records("LoadBalancerListeners")
    assert [each["Port"] for each in one["Listeners"]] == [1, 2]
    ((_, rules),) = snapshot.records("ListenerRules")
    assert rules["ListenerArn"] == listener


def test_files_that_try_something(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000, "utf-8")
    (tmp_path / "bomb.yaml").write_text("a: &a [x, x]\nb: [*a, *a]\n", "utf-8")
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(plain("Vpcs", []))[:-6])
    (tmp_path / "tagged.yaml").write_text("!!python/object/apply:os.system ['true']\n", "utf-8")
    (tmp_path / ".hidden.json").write_bytes(plain("Vpcs", []))
    (tmp_path / "Subnets.d.json").mkdir()
    (tmp_path / "Vpcs.json").write_bytes(plain("Vpcs", []))
    assert {one.table for one in load_snapshot(tmp_path).passed} == {
        "deep.json",
        "bomb.yaml",
        "cut.json.gz",
        "tagged.yaml",
    }


@given(st.lists(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=4), one, max_size=3), max_leaves=8), min_size=1, max_size=4))  # fmt: skip
def test_documents_one_after_another_come_back(held: list[Any]) -> None:
    for between in ("\n", " ", ",\n"):
        text = between.join(json.dumps(one) for one in held)
        assert documents(text.encode()) == held
        assert documents(gzip.compress(text.encode("utf-8-sig"))) == held


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for is_yaml in (False, True):
        try:
            documents(body, is_yaml=is_yaml)
        except Unreadable as problem:
            assert "\n" not in str(problem)


# --- AWS Config


def lowered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: lowered(one) for name, one in value.items()}
    return [lowered(one) for one in value] if isinstance(value, list) else value


TYPES = {
    "Vpcs": ("VPC", "VpcId"), "Subnets": ("Subnet", "SubnetId"), "NetworkInterfaces": ("NetworkInterface", "NetworkInterfaceId"), "RouteTables": ("RouteTable", "RouteTableId"),
    "NetworkAcls": ("NetworkAcl", "NetworkAclId"), "SecurityGroups": ("SecurityGroup", "GroupId"),
}  # fmt: skip


def items(*, text: bool = False, time: str = "2026-11-01T00:00:00.000Z") -> list[dict[str, Any]]:
    """The network as AWS Config records it: camel case, security groups with both forms of ranges, instances by themselves."""
    found = []
    for key, (kind, member) in TYPES.items():
        for row in tables()[key]:
            held = lowered(row)
            if kind == "SecurityGroup":
                for one in (*held["ipPermissions"], *held["ipPermissionsEgress"]):
                    one["ipv4Ranges"] = one.pop("ipRanges", [])
                    one["ipRanges"] = [each["cidrIp"] for each in one["ipv4Ranges"]]
            found.append((kind, row[member], held))
    for row in tables()["Reservations"]:
        found += [("Instance", one["InstanceId"], lowered({**one, "ImageId": "ami-1"})) for one in row["Instances"]]
    return [
        {
            "configurationItemVersion": "1.3", "configurationItemCaptureTime": time, "configurationItemStatus": "ResourceDiscovered", "awsAccountId": "111111111111",
            "awsRegion": "eu-west-1", "resourceType": f"AWS::EC2::{kind}", "resourceId": name, "tags": {}, "relationships": [],
            "configuration": json.dumps(held) if text else held,
        }
        for kind, name, held in found
    ]  # fmt: skip


def delivery(listed: list[dict[str, Any]]) -> dict[str, Any]:
    return {"fileVersion": "1.0", "configSnapshotId": "a-b", "configurationItems": listed}


@pytest.mark.parametrize("body", [
    lambda: delivery(items()), lambda: delivery(items(text=True)),
    lambda: {"Results": [json.dumps(one) for one in items()], "QueryInfo": {"SelectFields": []}},
])  # fmt: skip
def test_aws_config_says_the_same(tmp_path: Path, body: Callable[[], Any]) -> None:
    (tmp_path / "111111111111_Config_eu-west-1_ConfigSnapshot_20261101T000000Z_x.json.gz").write_bytes(gzip.compress(json.dumps(body()).encode()))  # fmt: skip
    held = load_snapshot(tmp_path)
    assert held.scopes == (("111111111111", "eu-west-1"),)
    plain_tables = load_snapshot(written(tmp_path / "plain", lambda key: f"{key}.json", plain)).tables["", ""]
    for key in TYPES:
        assert held.known(key)
        found = {json.dumps(one, sort_keys=True) for one in held.tables[held.scopes[0]][key]}
        if key != "SecurityGroups":
            assert found == {json.dumps(one, sort_keys=True) for one in plain_tables[key]}, key
    assert not held.known("VpcPeeringConnections")
    verdict = trace(held, **ASK)
    assert verdict.reachable, str(verdict)


def test_of_each_resource_the_last_and_none_that_is_gone(tmp_path: Path) -> None:
    now = items(time="2026-11-02T00:00:00.000Z")
    old = items()
    for one in old:
        if one["resourceType"] == "AWS::EC2::SecurityGroup":
            one["configuration"] = {**one["configuration"], "ipPermissions": []}
    gone = {**now[0], "resourceId": "vpc-gone", "configurationItemStatus": "ResourceDeleted", "configuration": {"vpcId": "vpc-gone", "cidrBlock": "10.9.0.0/16"}}  # fmt: skip
    other = {
        **now[0],
        "resourceType": "AWS::EC2::Volume",
        "resourceId": "vol-1",
        "configuration": {"volumeId": "vol-1"},
    }
    odd = {**now[0], "resourceType": "AWS::EC2::NatGateway", "resourceId": "nat-1", "configuration": {"Id": "nat-1"}}
    (tmp_path / "b.json").write_text(json.dumps(delivery([*old, gone])), "utf-8")
    (tmp_path / "a.json").write_text(json.dumps(delivery([*now, other, odd])), "utf-8")
    held = load_snapshot(tmp_path)
    assert trace(held, **ASK).reachable
    assert "vpc-gone" not in {one["VpcId"] for _, one in held.records("Vpcs")}
    (passed,) = held.passed
    assert "AWS::EC2::NatGateway" in passed.note


def test_a_history_of_one_resource_is_not_the_table(tmp_path: Path) -> None:
    (tmp_path / "h.json").write_text(json.dumps({"configurationItems": items(text=True)[:1]}), "utf-8")
    held = load_snapshot(tmp_path)
    assert [row.state for row in held.coverage] == ["skipped"]


def test_one_type_that_is_written_otherwise_leaves_its_table_open(tmp_path: Path) -> None:
    listed = items()
    listed.append({**listed[0], "resourceId": "vpc-odd", "configuration": {"Id": "vpc-odd"}})
    (tmp_path / "s.json").write_text(json.dumps(delivery(listed)), "utf-8")
    held = load_snapshot(tmp_path)
    assert not held.known("Vpcs")
    assert held.known("Subnets")
