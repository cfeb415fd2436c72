"""The notebooks: their form, that they run headless with their parameters, and what they find in each scenario."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from netkit.core.model import Finding
from netkit.runs import runbook
from netkit.runs.codes import unlisted

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EKS = ROOT.parent / "shared/data/flowlogs/eks_cloudwatch_export.gz"
ANALYSIS = ROOT / "notebooks/21_flow_logs_analysis.ipynb"


def by_name(path: Path) -> str:
    return path.stem


def code_of(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_form(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    assert book.metadata.kernelspec.name == "python3"
    assert book.metadata.language_info.name == "python"
    first = book.cells[0]
    assert first.cell_type == "markdown"
    assert re.match(r"# .+\?\n", first.source), "the title is a question"
    assert len(first.source.strip().splitlines()) >= 4
    assert [cell.metadata.get("tags") for cell in book.cells[1:3]] == [["parameters"], ["setup"]]
    heads = re.findall(
        r"^## (.+)$", "\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown"), re.MULTILINE
    )
    assert heads == ["Data", "Analysis", "Findings", "Limits"]
    assert "nk.publish(" in code_of(path)[-1].source
    assert "nk.begin(" in code_of(path)[1].source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_cells_are_short_and_do_no_work_of_their_own(path: Path) -> None:
    bound: list[str] = []
    for cell in code_of(path):
        tree = ast.parse(cell.source)
        if cell.metadata.get("tags") != ["parameters"]:
            assert len([line for line in cell.source.splitlines() if line.strip()]) <= 15
        for node in ast.walk(tree):
            assert not isinstance(node, ast.FunctionDef | ast.For | ast.While | ast.Try | ast.ClassDef | ast.With), (
                cell.source
            )
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert "boto3" not in ast.unparse(node)
        bound += [
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and not _in_comprehension(tree, node)
        ]
    assert len(bound) == len(set(bound)), f"bound twice: {sorted({name for name in bound if bound.count(name) > 1})}"


def _in_comprehension(tree: ast.AST, name: ast.Name) -> bool:
    return any(name in ast.walk(node) for node in ast.walk(tree) if isinstance(node, ast.comprehension))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_papermill_sees_the_parameters_that_python_sees(path: Path) -> None:
    seen = papermill.inspect_notebook(str(path))
    ours = runbook.declared(path)
    assert {name: one["inferred_type_name"] for name, one in seen.items()} == {
        name: one.kind for name, one in ours.items()
    }
    assert {name: ast.literal_eval(one["default"]) for name, one in seen.items()} == {
        name: one.default for name, one in ours.items()
    }
    assert all(one.help for one in ours.values())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_every_notebook_has_parameters_that_fit(path: Path) -> None:
    runbook.resolve(path, file=ROOT / f"parameters/sandbox/{path.stem}.yaml")
    template = ROOT / f"parameters/aws/{path.stem}.yaml"
    with pytest.raises(runbook.ParameterError, match="placeholder"):
        runbook.resolve(path, file=template)


def run(path: Path, out: Path, **values: str) -> tuple[Finding, ...]:
    file = ROOT / f"parameters/sandbox/{path.stem}.yaml"
    found = runbook.run(path, file=file, pairs=list(values.items()), out=out, progress=False).findings
    assert unlisted(found) == []
    return found


def test_start_here(tmp_path: Path) -> None:
    findings = run(ROOT / "notebooks/00_start_here.ipynb", tmp_path)
    assert [one.code for one in findings] == ["START-READY", "FLOW-COVERAGE-GAP"]
    assert "without a flow log" in findings[1].claim  # the lab's VPCs: only the shops are logged


def test_provision_twice_makes_nothing_twice(tmp_path: Path) -> None:
    path = ROOT / "notebooks/20_flow_logs_provision.ipynb"
    names = {
        "vpc_name": "shop-port-scan",
        "bucket": "netkit-test-flow-logs",
        "database": "netkit_test",
        "workgroup": "netkit-test",
    }
    first = run(path, tmp_path / "first", **names)
    again = run(path, tmp_path / "again", **names)
    assert [one.code for one in first] == ["FLOW-LOG-IN-FORCE"]
    assert first[0].status == "confirmed"
    assert first[0].evidence["records"] > 1000
    assert again == first


def test_provision_unarmed_changes_nothing(tmp_path: Path) -> None:
    path = ROOT / "notebooks/20_flow_logs_provision.ipynb"
    findings = run(
        path, tmp_path, armed="false", vpc_name="shop-data-leak", bucket="netkit-never-made", database="netkit_never"
    )
    assert [one.code for one in findings] == ["FLOW-LOG-NOT-IN-FORCE"]
    from netkit.core.session import connect

    session = connect(target="sandbox")
    assert "netkit-never-made" not in {one["Name"] for one in session.pages("s3", "list_buckets", "Buckets")}


def test_the_seeds_command_is_taken_over_with_notices(tmp_path: Path) -> None:
    from netkit.core.session import connect

    vpc = connect(target="sandbox").pages(
        "ec2", "describe_vpcs", "Vpcs", Filters=[{"Name": "tag:Name", "Values": ["shop-quiet"]}]
    )[0]["VpcId"]
    command = (
        f"aws ec2 create-flow-logs --resource-type VPC --resource-ids {vpc} --traffic-type ALL --log-destination-type s3 "
        "--log-destination arn:aws:s3:::netkit-seed-flow-logs --log-format '${srcaddr} ${dstaddr} ${windowstart} ${windowend} ${action}'"
    )
    findings = run(ROOT / "notebooks/20_flow_logs_provision.ipynb", tmp_path, armed="false", command=command)
    assert [one.code for one in findings] == ["FLOW-LOG-NOT-IN-FORCE"]
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "is read as" in page
    assert "${start}" in page


def test_flow_logs_to_cloudwatch_and_back(tmp_path: Path) -> None:
    """Provisioned to a log group with its role, and the records read back by Logs Insights."""
    path = ROOT / "notebooks/20_flow_logs_provision.ipynb"
    values = {
        "destination": "cloud-watch-logs",
        "log_group": "/netkit/tests/flow-logs",
        "vpc_name": "shop-ssh-guessing",
        "armed": "true",
    }
    findings = run(path, tmp_path / "made", **values)
    assert [one.code for one in findings] == ["FLOW-LOG-IN-FORCE"]
    assert findings[0].evidence["records"] > 1000


# What each scenario must be found to hold, and nothing beyond: (code, status) with what the evidence says.
GOLDEN: dict[str, dict[str, dict[str, Any]]] = {
    "quiet": {},
    "blocked_database": {
        "FLOW-REJECT-CLUSTER": {
            "port": 5432,
            "target": "10.0.20.5",
            "sources": {"10.0.10.21", "10.0.10.22", "10.0.11.21"},
        }
    },
    # A thousand ports are tried; 22 is open at the bastion, so 999 are refused.
    "port_scan": {"FLOW-PORT-SCAN": {"srcaddr": "193.163.125.77", "ports": 999, "reached": 0}},
    "data_leak": {
        "FLOW-EGRESS-SPIKE": {"client": "10.0.10.22", "server": "185.220.101.34", "baseline_bytes": 0},
        "FLOW-NEW-TALKER": {"client": "10.0.10.22", "server": "185.220.101.34", "connections": 30},
    },
    "ssh_guessing": {"FLOW-LOGIN-GUESSING": {"srcaddr": "141.98.11.23", "dstaddr": "10.0.0.30", "connections": 700}},
    "dead_return_path": {"FLOW-RETURN-PATH-DEAD": {"server": "10.0.11.21", "port": 8080}},
    "missing_hour": {"FLOW-COVERAGE-GAP": {}},
}


@pytest.mark.parametrize("scenario", GOLDEN)
def test_golden_findings(scenario: str, tmp_path: Path) -> None:
    findings = run(ANALYSIS, tmp_path, source=f"netkit_sandbox.flow_logs_{scenario}")
    found = [one for one in findings if one.code != "FLOW-NOTHING-FOUND"]
    assert {one.code for one in found} == set(GOLDEN[scenario])
    for one in found:
        assert one.status == "confirmed", one
        assert one.next_step
        for name, value in GOLDEN[scenario][one.code].items():
            evidence = one.evidence[name]
            assert (set(evidence) if isinstance(value, set) else evidence) == value, (one.code, name)
    nothing = [one for one in findings if one.code == "FLOW-NOTHING-FOUND"]
    assert [one.status for one in nothing] == (["inconclusive"] if scenario == "missing_hour" else ["refuted"])


def test_the_bad_day_has_all_of_them_and_a_report_that_draws(tmp_path: Path) -> None:
    from test_runbook import open_offline

    findings = run(ANALYSIS, tmp_path)
    assert {code for expected in GOLDEN.values() for code in expected} <= {one.code for one in findings}
    seen = open_offline(tmp_path / "report.html", ".js-plotly-plot .main-svg")
    assert (seen["outside"], seen["errors"]) == ([], [])
    assert seen["count"] >= 8


@pytest.mark.skipif(not EKS.exists(), reason="../shared is not here: the real EKS flow logs are read from it")
def test_real_flow_logs_of_a_kubernetes_cluster(tmp_path: Path) -> None:
    file = ROOT / "parameters/files/21_flow_logs_analysis.yaml"
    findings = runbook.run(ANALYSIS, file=file, pairs=[("source", str(EKS))], out=tmp_path, progress=False).findings
    cluster = next(one for one in findings if one.code == "FLOW-REJECT-CLUSTER")
    # Counted with awk: two pods were refused 90 times (308 packets) at tcp/15017 of one node, which carries 10.0.1.16 too.
    assert {
        "rejected": 90,
        "packets": 308,
        "accepted": 0,
        "port": 15017,
        "target": "10.0.1.249",
    }.items() <= cluster.evidence.items()
    assert set(cluster.evidence["sources"]) == {"10.0.1.72", "10.0.2.121"}
    assert "10.0.1.16" in cluster.claim
    assert "-p source 10.0.1.72 -p destination 10.0.1.249 -p protocol tcp -p port 15017" in cluster.next_step
    assert sum(one.code == "FLOW-REJECT-CLUSTER" for one in findings) == 1
    # 10.0.101.180 is a NAT gateway: what its interface accepts from strangers is not called open to the world.
    assert not [one for one in findings if one.severity in ("high", "critical") and one.code != "FLOW-REJECT-CLUSTER"]
    scans = [one for one in findings if one.code == "FLOW-PORT-SCAN"]
    assert {one.evidence["srcaddr"]: one.evidence["ports"] for one in scans} == {
        "194.180.49.216": 30, "194.180.49.217": 25, "194.180.49.218": 25, "79.110.62.63": 23,
    }  # fmt: skip
    names = json.dumps([json.loads(one) for one in [(tmp_path / "findings.json").read_text()]])
    assert "AKIA" not in names


@pytest.mark.skipif(not EKS.exists(), reason="../shared is not here: a Transit Gateway record is read from it")
def test_the_notebook_runs_to_its_end_on_a_transit_gateways_log(tmp_path: Path) -> None:
    file = ROOT / "parameters/files/21_flow_logs_analysis.yaml"
    source = str(EKS.parent / "valid_tgw_flow_log.log")
    found = runbook.run(ANALYSIS, file=file, pairs=[("source", source)], out=tmp_path, progress=False).findings
    assert {one.code for one in found} == {"FLOW-TGW-LOST"}
