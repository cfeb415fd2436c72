"""The strict runner: parameters refused before anything runs, exit statuses, findings, the report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from netkit.__main__ import main
from netkit.core.errors import FindingError, NotebookFailed, ParameterError
from netkit.runs import runbook

PARAMETERS = """
target: str = "sandbox"  # where
account_id: str = ""  # twelve digits
limit: int = 10  # rows
share: float = 0.5  # part
armed: bool = False  # do it
names: list[str] = []  # some names
ports: list[int] = [80]  # some ports
"""
SETUP = "import netkit as nk\nfrom netkit.core.model import Coverage, Finding\nrun = nk.begin(target=target)"
PUBLISH = """
seen = Coverage("123456789012", "us-east-1", "flow logs", "ok", 3)
nk.publish([Finding("TEST-FOUND", "confirmed", "medium", ("eni-1",), f"{limit} of {names} in {account_id}", {}, (), (seen,), "look")])
"""


def notebook(folder: Path, *cells: str, parameters: str = PARAMETERS) -> Path:
    book = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
    )
    book.cells = [
        nbformat.v4.new_markdown_cell("# Does it run?"),
        nbformat.v4.new_code_cell(parameters.strip(), metadata={"tags": ["parameters"]}),
    ]
    book.cells += [nbformat.v4.new_code_cell(cell.strip()) for cell in (SETUP, *cells)]
    path = folder / "book.ipynb"
    nbformat.write(book, path)
    return path


def parameter_file(folder: Path, text: str) -> Path:
    path = folder / "parameters.yaml"
    path.write_text(text, "utf-8")
    return path


def test_values_are_read_as_text_and_typed_as_declared(tmp_path: Path) -> None:
    file = parameter_file(
        tmp_path,
        "account_id: 000123456701\nlimit: 22\nshare: 1\narmed: yes\nnames: [a, 0012, 22:22]\nports: [443, 8080]\n",
    )
    values = runbook.resolve(notebook(tmp_path), file=file, pairs=[("limit", "7"), ("ports", "[1, 2]")])
    assert values == {
        "account_id": "000123456701",
        "limit": 7,
        "share": 1.0,
        "armed": True,
        "names": ["a", "0012", "22:22"],
        "ports": [1, 2],
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("limitt: 5", "did you mean limit"),
        ("nothing_like_it: 5", "declared: target, account_id"),
        ("limit: ten", "'ten' is not int"),
        ("limit: 1.5", "'1.5' is not int"),
        ("limit: 0x10", "is not int"),
        ("armed: 1", "is not bool"),
        ("share: a lot", "is not float"),
        ("ports: [80, http]", "is not list"),
        ("limit: [1]", "is not int"),
        ("account_id: REPLACE_ME", "placeholder"),
        ("account_id: <your account>", "placeholder"),
        ("account_id: AKIAIOSFODNN7EXAMPLE", "looks like a secret"),
        ("names: [wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY]", "looks like a secret"),
        ("limit: 1\nlimit: 2", "limit stands twice"),
        ("account_id: null", 'null is no value; write ""'),
        ("account_id: ~", "null is no value"),
        ("<<: {limit: 1}", "is not a parameter"),
        ("account_id: {a: b}", "is not str"),
        ("names: [[a]]", "is not list"),
        ("limit: !!python/object/apply:os.getcwd []", "is not int"),
        ("- a\n- b", "list of `name: value`"),
        ("limit: [1", "cannot be read"),
    ],
)
def test_bad_parameters_are_refused_before_anything_runs(
    tmp_path: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    book, out = notebook(tmp_path, PUBLISH), tmp_path / "out"
    status = main(["run", str(book), "-f", str(parameter_file(tmp_path, text)), "--out", str(out)])
    message = capsys.readouterr().err
    assert status == runbook.BAD_PARAMETERS
    assert says in message
    assert len(message.strip().splitlines()) <= 3
    assert "parameters.yaml" in message
    assert "AKIA" not in message
    assert "EXAMPLEKEY" not in message
    assert not out.exists()


def test_a_missing_file_and_a_missing_notebook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(notebook(tmp_path)), "-f", str(tmp_path / "none.yaml")]) == 2
    assert main(["run", str(tmp_path / "none.ipynb")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert main(["run", str(notebook(tmp_path)), "--fail-on", "terrible"]) == 2


@pytest.mark.parametrize("line", ["limit = 5", "limit: int = 5 * 2", "limit: int | None = 5", "limit: dict = {}"])
def test_a_parameter_cell_of_another_form_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises((ParameterError, ValueError)):
        runbook.declared(notebook(tmp_path, parameters=line))


def test_a_run_ends_with_findings_and_a_report(tmp_path: Path) -> None:
    outcome = runbook.run(
        notebook(tmp_path, PUBLISH),
        pairs=[("limit", "3"), ("account_id", "000123456701")],
        out=tmp_path / "out",
        progress=False,
    )
    assert (outcome.status, outcome.findings[0].code) == (0, "TEST-FOUND")
    assert outcome.findings[0].claim == "3 of [] in 000123456701"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "notebook.ipynb",
        "report.html",
        "findings.json",
        "params.json",
    }
    assert json.loads((tmp_path / "out/params.json").read_text())["account_id"] == "000123456701"
    assert json.loads((tmp_path / "out/findings.json").read_text())[0]["coverage"][0]["state"] == "ok"
    page = (tmp_path / "out/report.html").read_text()
    assert "TEST-FOUND" in page
    assert "<script src" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")


@pytest.mark.parametrize(("severity", "status"), [("medium", 10), ("low", 10), ("high", 0), ("", 0)])
def test_fail_on(tmp_path: Path, severity: str, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", str(notebook(tmp_path, PUBLISH)), "--out", str(tmp_path / "out")]
    assert main([*arguments, *(["--fail-on", severity] if severity else [])]) == status
    assert "TEST-FOUND" in capsys.readouterr().out


def test_a_failing_notebook_keeps_what_it_did_and_says_so_briefly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = """
hidden = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
print("before")
raise nk.errors.CredentialsError("AWS does not take these credentials (ExpiredToken): " + hidden, subject="sts:get_caller_identity", hint="sign in again")
"""
    status = main(["run", str(notebook(tmp_path, body, PUBLISH)), "--out", str(tmp_path / "out")])
    message = [
        line
        for line in capsys.readouterr().err.splitlines()
        if line and "Executing" not in line and "IPKernelApp" not in line
    ]
    assert status == runbook.FAILED
    assert len(message) <= 3
    assert "ExpiredToken" in message[0]
    assert "notebook.ipynb" in message[1]
    kept = (tmp_path / "out/notebook.ipynb").read_text()
    page = (tmp_path / "out/report.html").read_text()
    assert "before" in kept
    assert "ExpiredToken" in page
    outputs = [output for cell in json.loads(kept)["cells"] for output in cell.get("outputs", [])]
    for text in (page, json.dumps(outputs), " ".join(message)):
        assert "Traceback" not in text
        assert "EXAMPLEKEY" not in text
    assert not (tmp_path / "out/findings.json").exists()


def test_another_error_fails_as_well(tmp_path: Path) -> None:
    with pytest.raises(NotebookFailed, match="ZeroDivisionError"):
        runbook.run(notebook(tmp_path, "1 / 0", PUBLISH), out=tmp_path / "out", progress=False)


@pytest.mark.parametrize(
    "cells",
    [
        ("1 + 1",),
        (PUBLISH, PUBLISH),
        (PUBLISH, "1 + 1"),
        (
            "from IPython.display import display\ndisplay({'application/vnd.netkit.findings+json': {'version': 99, 'findings': []}}, raw=True)",
        ),
        (
            "from IPython.display import display\ndisplay({'application/vnd.netkit.findings+json': {'version': 1, 'findings': [{'code': 'X'}]}}, raw=True)",
        ),
    ],
)
def test_a_broken_findings_contract(tmp_path: Path, cells: tuple[str, ...]) -> None:
    arguments = ["run", str(notebook(tmp_path, *cells)), "--out", str(tmp_path / "out")]
    assert main(arguments) == runbook.BAD_FINDINGS
    assert (tmp_path / "out/notebook.ipynb").exists()


def test_publish_refuses_nothing_and_strangers() -> None:
    from netkit.runs.notebook import publish

    with pytest.raises(FindingError, match="no findings"):
        publish([])
    with pytest.raises(FindingError, match="not a Finding"):
        publish([{"code": "X"}])  # type: ignore[list-item]


def test_plain_papermill_runs_the_same_notebook(tmp_path: Path) -> None:
    book = notebook(tmp_path, PUBLISH)
    command = [
        sys.executable,
        "-m",
        "papermill",
        str(book),
        str(tmp_path / "plain.ipynb"),
        "-p",
        "limit",
        "4",
        "--no-progress-bar",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert runbook.read_findings(tmp_path / "plain.ipynb")[0].claim.startswith("4 of")


def test_the_report_draws_with_the_network_off(tmp_path: Path) -> None:
    body = """
import pandas as pd
frame = pd.DataFrame({"bucket": [0, 300], "action": ["ACCEPT", "REJECT"], "records": [1, 2], "packets": [1, 2], "bytes": [10, 20]})
nk.show.timeline(frame)
"""
    runbook.run(
        notebook(tmp_path, body, "'</script><script>document.title=1</script>'", PUBLISH),
        out=tmp_path / "out",
        progress=False,
    )
    seen = open_offline(tmp_path / "out/report.html", ".js-plotly-plot .bars path")
    assert seen["outside"] == []
    assert seen["errors"] == []
    assert seen["count"] >= 2
    assert seen["title"] == "Does it run?"


def open_offline(page: Path, selector: str) -> dict[str, Any]:
    """Open a page in Debian's Chromium with the network off: requests that left, console errors, how often a selector is there."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not Path("/usr/bin/chromium").exists():
        pytest.skip("Chromium is not installed")
    flags = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=flags.split())
        context = browser.new_context(offline=True)
        tab = context.new_page()
        outside: list[str] = []
        errors: list[str] = []
        tab.on(
            "request",
            lambda request: (
                None if request.url.startswith(("file:", "data:", "blob:")) else outside.append(request.url)
            ),
        )
        tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(page.resolve().as_uri())
        tab.wait_for_selector(selector, timeout=20_000, state="attached")
        found = {"outside": outside, "errors": errors, "count": tab.locator(selector).count(), "title": tab.title()}
        browser.close()
    return found


@pytest.mark.parametrize(
    ("given", "window"),
    [
        ({"source": "logs/some.csv"}, ""),
        ({"source": "/tmp/a.log"}, ""),
        ({"source": "s3://bucket/prefix"}, None),
        ({"source": "logs:group"}, None),
        ({"source": "database.table"}, None),
        ({"source": "logs/some.csv", "window_end": "2026-11-20T00:00:00Z"}, None),
        ({}, None),
    ],
)
def test_files_given_without_a_window_are_asked_whole(given: dict[str, str], window: str | None) -> None:
    book = Path(__file__).parent.parent / "notebooks" / "21_flow_logs_analysis.ipynb"
    values = runbook.resolve(book, pairs=list(given.items()))
    whole = dict.fromkeys(("window_start", "window_end", "baseline_start"), window) if window is not None else {}
    assert values == whole | given
