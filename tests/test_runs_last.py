"""The front desk: the last runs with what they found, newest first; and a linked notebook for each symptom."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from test_show_tables import found

from netkit.core.tables import frame_html
from netkit.runs.last import COLUMNS, last_runs

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def test_the_newest_run_comes_first_with_its_worst_finding(tmp_path: Path) -> None:
    findings = [found("T-LOW", severity="low").as_dict(), found("T-HIGH").as_dict()]
    held = {
        "a": findings,
        "b": {"version": 2, "findings": [found("T-CLEAR", "refuted").as_dict()]},
        "c": [{"code": 1}],
        "d/e": None,
    }
    for number, (name, value) in enumerate(held.items()):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "params.json").write_text("{}")
        os.utime(tmp_path / name / "params.json", (1_000 + number, 1_000 + number))
        if value is not None:
            (tmp_path / name / "findings.json").write_text(json.dumps(value))
    frame = last_runs(tmp_path)
    assert list(frame["run"]) == ["d/e", "c", "b", "a"]
    assert list(frame["answer"]) == [
        "did not come to its findings", "its findings cannot be read", "Clear: nothing wrong was found", "2 found, the worst is high",
    ]  # fmt: skip
    assert frame["worst"].iloc[-1] == "T-HIGH claim"
    assert list(last_runs(tmp_path, most=1)["run"]) == ["d/e"]


@pytest.mark.parametrize("name", ["21_flow-2026", 'a run\'s <b> & "name"', "d/e"])
def test_a_run_links_to_its_report_from_the_notebooks_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    for run, report in ((name, "report.html"), ("without", "other.html")):
        (tmp_path / "runs" / run).mkdir(parents=True)
        (tmp_path / "runs" / run / "params.json").write_text("{}")
        (tmp_path / "runs" / run / report).write_text("<p>")
    frame = last_runs(tmp_path / "runs")
    links = re.findall(r"<a class='i' href='([^'<>\"]*)'>open</a>", frame_html(frame))
    assert len(links) == 1
    assert Path(unquote(links[0])).resolve() == tmp_path / "runs" / name / "report.html"
    assert list(frame.loc[frame["run"] == "without", "report"]) == [None]


@pytest.mark.parametrize("folder", ["none", "empty"])
def test_without_runs_there_are_columns(folder: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert list(last_runs(tmp_path / folder).columns) == list(COLUMNS)


def test_the_front_desk_links_every_notebook_and_each_link_is_there() -> None:
    prose = nbformat.read(NOTEBOOKS / "00_start_here.ipynb", as_version=4).cells[0].source
    linked = set(re.findall(r"\]\((\w+\.ipynb)\)", prose))
    assert linked == {one.name for one in NOTEBOOKS.glob("*.ipynb")} - {"00_start_here.ipynb"}
