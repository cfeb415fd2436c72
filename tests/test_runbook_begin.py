"""begin() and publish(), the two calls of every notebook: what they show, and what they leave alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from test_runbook import PUBLISH, notebook

import netkit as nk
from netkit.core.model import SEVERITIES
from netkit.runs.notebook import FINDINGS_MIME, FINDINGS_VERSION, findings_html, project_root
from netkit.runs.runbook import finding_from, read_findings

SEEN = (nk.Coverage("123456789012", "us-east-1", "flow logs", "ok", 3),)


def finding(code: str = "TEST-FOUND", severity: Any = "low", **more: Any) -> nk.Finding:
    return nk.Finding(code, "confirmed", severity, ("eni-1",), "it is so", coverage=SEEN, next_step="look", **more)


def outputs(path: Path) -> list[Any]:
    return [one for cell in nbformat.read(path, as_version=4).cells for one in cell.get("outputs", [])]


def test_a_notebook_over_files_starts_no_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETKIT_HOME", str(tmp_path / "home"))
    run = nk.begin(target="sandbox", window_start="2026-11-19T08:00:00Z", window_end="2026-11-19T09:00:00Z")
    assert run.session_for(run.path("data/*.gz")) is None
    assert "2026-11-19T08:00:00Z" in str(run)
    assert "us-east-1" in run._repr_html_()
    assert not (tmp_path / "home").exists()


def test_a_window_needs_its_start() -> None:
    assert nk.begin().window is None
    with pytest.raises(nk.errors.WindowError):
        nk.begin(window_end="2026-11-19T09:00:00Z")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("data/x.gz", "{root}/data/x.gz"),
        ("data/*.gz", "{root}/data/*.gz"),
        ("here.gz", "{root}/here.gz"),
        ("/var/log/x.gz", "/var/log/x.gz"),
        ("s3://bucket/prefix/", "s3://bucket/prefix/"),
        ("logs:/netkit/sandbox/bad-day", "logs:/netkit/sandbox/bad-day"),
        ("netkit_sandbox.flow_logs_quiet", "netkit_sandbox.flow_logs_quiet"),
    ],
)
def test_relative_paths_start_at_the_project_wherever_the_kernel_did(
    source: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "here.gz").touch()
    monkeypatch.delenv("NETKIT_ROOT", raising=False)
    for folder in (tmp_path, tmp_path / "notebooks"):  # papermill's, and JupyterLab's and nbval's
        monkeypatch.chdir(folder)
        assert project_root() == tmp_path
        assert nk.begin().path(source) == expected.format(root=tmp_path)
    monkeypatch.setenv("NETKIT_ROOT", str(tmp_path / "other"))
    assert project_root() == tmp_path / "other"


def test_publish_emits_once_what_the_runner_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    from IPython.core.displaypub import CapturingDisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    try:
        shell.display_pub = CapturingDisplayPublisher()
        several = [finding("TEST-LOW"), finding("TEST-HIGH", "high", evidence={"ports": [1, 2]})]
        nk.publish(several)
        shown = shell.display_pub.outputs
    finally:
        InteractiveShell.clear_instance()
    assert len(shown) == 1
    data = shown[0]["data"]
    assert set(data) == {FINDINGS_MIME, "text/html", "text/plain"}
    body = json.loads(json.dumps(data[FINDINGS_MIME]))
    assert body["version"] == FINDINGS_VERSION
    assert [finding_from(one) for one in body["findings"]] == several
    assert data["text/plain"].splitlines()[0].startswith("TEST-LOW [confirmed, low]")


def test_the_table_escapes_and_colours_every_severity() -> None:
    html = findings_html([finding(f"TEST-{one.upper()}", one, limits=("<b>",)) for one in SEVERITIES])
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    places = [html.index(f"TEST-{one.upper()}<") for one in reversed(SEVERITIES)]
    assert places == sorted(places)


def test_a_refusal_shows_its_lines_and_no_frame_under_plain_papermill_too(tmp_path: Path) -> None:
    book = notebook(tmp_path, 'hidden = "a value of the frame"\nnk.Window.parse("yesterday", "")', PUBLISH)
    command = [sys.executable, "-m", "papermill", str(book), str(tmp_path / "plain.ipynb"), "--no-progress-bar"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "WindowError" in done.stderr
    errors = [one for one in outputs(tmp_path / "plain.ipynb") if one.output_type == "error"]
    assert [one.ename for one in errors] == ["WindowError"]
    assert len(errors[0].evalue.splitlines()) <= 3
    text = json.dumps(errors)
    assert "hidden" not in text
    assert "site-packages" not in text
    assert ".py" not in text


def test_figures_are_stored_as_data_and_once(tmp_path: Path) -> None:
    draw = """
import pandas as pd
frame = pd.DataFrame({"bucket": [0, 300], "action": ["ACCEPT", "REJECT"], "records": [1, 2], "packets": [1, 2], "bytes": [10, 20]})
nk.show.timeline(frame)
"""
    out = tmp_path / "plain.ipynb"
    command = [sys.executable, "-m", "papermill", str(notebook(tmp_path, draw, PUBLISH)), str(out), "--no-progress-bar"]
    subprocess.run(command, capture_output=True, text=True, check=True)
    drawn = [one for one in outputs(out) if "application/vnd.plotly.v1+json" in one.get("data", {})]
    assert len(drawn) == 1
    assert "text/html" not in drawn[0].data
    assert read_findings(out)[0].code == "TEST-FOUND"
