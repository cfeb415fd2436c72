"""A table of wrong values for each parameter of each notebook: exit status 2, one clear error, no kernel and no AWS call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.client
import pytest

from netkit.__main__ import main
from netkit.runs import runbook

BOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("[0-9]*.ipynb"))
LONG, LINE = "x" * 3000, "x\n"
ENI, OTHER = "eni-12", "eni-0123456789abcdef0\n"
WINDOW = ("yesterday", "2026-11-19T00:00:00", "2026-11-19T00:00:00+01:00", "last 99999999999d", "2026-13-01T00:00:00Z")
ID = ("vpc-x", "subnet-0123456789abcdef0x", "0", "; ls")
# What is wrong of a parameter in whichever notebook it stands.
ANYWHERE: dict[str, tuple[str, ...]] = {
    "target": ("prod", "AWS", "", "aws\n"),
    "region": ("us east 1", "", "us-east-1\n", "us-east", "US-EAST-1", "us-east-\uff11", LONG),
    "regions": ("us east 1", '["us-east-1", ""]', '["us-east-1\\n"]'),
    "profile": (LINE, "a\0b"),
    "account_id": ("12345678901", "1234567890123", "123456789012\n", "\u0661\u0662\u0663456789012", "12345678901a", "123456701.0"),
    "window_start": WINDOW, "window_end": ("yesterday", "2026-11-19"), "proof_start": WINDOW, "proof_end": ("x",), "baseline_start": WINDOW[:4],
    "protocol": ("tpc", "256", "-2", LINE), "port": ("-2", "65536", "http", "1.5", "", "\u0661"), "source_port": ("-2", "65536"),
    "vni": ("-1", "16777216", "x"), "packet_length": ("-1", "65536", "nan"), "number": ("-1", "32767"), "source_mtu": ("x", "-1"), "target_mtu": ("-1", "1e3"),
    "budget_usd": ("nan", "-1", "inf", "free"), "expire_days": ("0", "-1", "36501"), "lifecycle_days": ("-1", "x"), "bucket_s": ("0", "-5", "86401"),
    "retention_days": ("31", "-1", "4000", "x"), "aggregation_s": ("300", "0"), "scan_limit_bytes": ("9999999", "-1"),
    "min_ports": ("-1",), "min_hosts": ("-1",), "min_egress_bytes": ("-1", "1.5"), "traffic": ("all", ""), "action": ("DROP",), "file_format": ("csv", ""),
    "resource_type": ("vpc", ""), "destination_type": (), "cidr": ("10.0.1.7/24", "10.0.0", "x"), "addresses": ("10.0.0.300",), "others": ("me@12345", "x", "me@\u0661\u0662\u0663456789012"),
    "pattern": ("(x", "a{2,1}"), "tag": ("web", ":web"), "tags": ("web", '["a:b", ""]'), "snapshot": ("no/such", LONG, "a\0b"), "before": ("no/such",), "intents": ("no.yaml",),
    "evidence": ("no/such/folder",), "agent_config": ("no.json",), "more_configs": ("no.json",), "resolver_logs": ("no.gz",), "captures": ("no/*.pcap",), "alerts": ("no.json",),
    "log_group": ("a b", "aws/x", "x\n", "x" * 513), "topic": ("a b", "x" * 257, "arn:aws:sns:x"), "email": ("nobody", "a@b"), "rule": ("a b", "x" * 65), "dashboard": ("a b", "x" * 256),
    "role": ("a b", "x" * 65, "arn:aws:iam::123456789012:role/x"), "namespace": ("AWS/EC2", ":x", "a\tb", "x" * 256), "instances": ("i-12", "web", "i-0123456789abcdefg"),
    "alarms": ("errors", "e: Sum A B > x, 3 of 5 x 300s", "e: Sum A B > 0, 5 of 3 x 300s", "e: Sum A B > 0, 1 of 1 x 7s", "e: Sum A B > 0, 1 x 300s, missing sometimes"),
    "values": ("MetricName", "MetricName=x"), "error_pattern": ('"open', "{ $.x = }"), "log_group_key": ("alias/x", "arn:aws:kms:eu-west-1:123456789012:key/x"), "log_group_tags": ("team", "aws:x=y"),
    "parameter": ("a b", "AmazonCloudWatch-\u00e9"), "metrics": ("no_such_metric",), "log_file": ("app\n",), "alarm_prefix": (LINE,), "alarm": (LINE,), "error_query": (),
    "command": ("aws ec2 create-flow-logs --no-such x", "aws ec2 create-flow-logs --resource-ids 'open"), "resource_ids": ("vpc-x", "subnet-0123456789abcdef0"), "stream_arn": (LINE,),
    "database": ("My Db", 'a"b', "1a", "x" * 129), "table": ("a-b", "a;b"), "workgroup": ("a b", "x" * 129, "a/b"), "log_format": ("${nosuch}",), "results": ("bucket/x", "s3://A_B/x"),
    "vpc_id": ID, "vpc": (LINE,), "vpc_name": (LINE,), "flow_source": (LINE,), "flow_destination": (LINE,), "flow_logs": (LINE,), "session": (LINE,), "name": (LINE,), "names": ('["a", " "]',),
    "sources": (ENI, "web", "vpc-0123456789abcdef0"), "subnets": ("subnet-1",), "rules": ("web", "web: tpc 80", "web: tcp 99999", "w: tcp 80 to 10.0.0.1/8"), "source": (LINE,), "path": ('["x\\n"]',), "path_ends": ('["x\\n"]',), "only": (LINE,),
}  # fmt: skip
# What is wrong in one notebook only, as its name means something else there.
HERE: dict[tuple[str, str], tuple[str, ...]] = {
    ("20_flow_logs_provision", "destination"): ("S3", "", "ftp"),
    ("20_flow_logs_provision", "bucket"): ("A", "a_b", "a..b", "10.0.0.1", "x" * 64, "bucket\n", ""),
    ("20_flow_logs_provision", "prefix"): ("AWSLogs", "a b", "\u00e9"),
    ("20_flow_logs_provision", "log_group"): (LINE,),
    ("30_mirror_provision", "destination"): ("web", OTHER, "eni-1", "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/x/0123456789abcdef"),
    ("30_mirror_provision", "bucket"): ("A", "a b", "../x"),
    ("30_mirror_provision", "prefix"): ("a b", "../x", "$(ls)"),
    ("40_reachability_debugging", "destination"): (LINE,),
    ("50_incident", "destination"): (LINE,),
}  # fmt: skip
FREE = ("title", "error_query")  # any text may be right


def cases() -> list[Any]:
    table = []
    for book in BOOKS:
        for name, one in runbook.declared(book).items():
            wrong = HERE.get((book.stem, name), ANYWHERE.get(name, ("maybe", "2") if one.kind == "bool" else ()))
            assert wrong or name in FREE, f"{book.stem}: no wrong value for {name}"
            table += [pytest.param(book, name, value, id=f"{book.stem[:2]}-{name}-{value[:20]!r}") for value in wrong]
    return table


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a kernel nor a call."""
    monkeypatch.setattr(runbook, "_execute", lambda *_: pytest.fail("a kernel was started"))
    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", lambda *_: pytest.fail("a call was made"))


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("book", "name", "value"), cases())
def test_a_wrong_value(book: Path, name: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(book), "--out", str(tmp_path / "out"), "-p", name, value]) == runbook.BAD_PARAMETERS
    said = capsys.readouterr().err.strip().splitlines()
    assert 1 <= len(said) <= 3 and "Traceback" not in said[0] and max(map(len, said)) < 1200, said
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("depth", [2, 400, 100_000])
@pytest.mark.parametrize("kind", ["[", "{a: "])
def test_deep_nesting(depth: int, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "p.yaml"
    text = kind * depth + "1" + {"[": "]", "{a: ": "}"}[kind] * depth
    file.write_text(f"instances: {text}\n")
    book = BOOKS[1]
    assert main(["run", str(book), "--out", str(tmp_path / "out"), "-f", str(file)]) == 2
    words = text.replace("{a: ", '{"a": ')
    assert main(["run", str(book), "--out", str(tmp_path / "out"), "-p", "instances", f"[{words}]"]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("items", ["[null]", "[true, [1]]", '[{"a": 1}]', "[1"])
def test_a_list_of_anything_but_words_is_refused(items: str) -> None:
    with pytest.raises(runbook.ParameterError):
        runbook.resolve(BOOKS[1], pairs=[("instances", items)])
