"""The page: one file, opened in Chromium with the network off, figures live, and nothing in it that should not leave."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest
from test_runbook import open_offline

from netkit.core.model import Coverage, Finding
from netkit.runs.report import PLOTLY_MIME, WIDGET_MIME, write_report

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # the example key of AWS's own documents
BARS = {"data": [{"type": "bar", "x": ["a", "b"], "y": [1, 2]}], "layout": {"height": 300, "title": {"text": "one"}}}
LINE = {"data": [{"type": "scatter", "x": [1, 2], "y": [3, 4]}], "layout": {"title": {"text": "</script> two"}}}


def page(folder: Path, outputs: Sequence[Any], *, prose: str = "## Data\n\nWhat there is.", **written: Any) -> Path:
    new = nbformat.v4
    book = new.new_notebook(
        cells=[
            new.new_markdown_cell("# What is <b>here</b>?\n\n- one line"),
            new.new_markdown_cell(prose),
            new.new_code_cell("show(1)", outputs=list(outputs)),
        ]
    )
    nbformat.write(book, folder / "book.ipynb")
    path = folder / "report.html"
    write_report(folder / "book.ipynb", path, **({"parameters": {"target": "sandbox"}} | written))
    return path


def shown(**data: Any) -> Any:
    names = {"figure": PLOTLY_MIME, "widget": WIDGET_MIME, "html": "text/html", "text": "text/plain"}
    return nbformat.v4.new_output("display_data", data={names[name]: value for name, value in data.items()})


def test_figures_are_live_and_nothing_is_loaded(tmp_path: Path) -> None:
    path = page(tmp_path, [shown(figure=BARS), shown(figure=LINE)])
    assert path.read_text("utf-8").count("Plotly.newPlot(place") == 1
    assert path.stat().st_size < 6_500_000, "plotly.js stands in the page once"
    for selector, least in (
        (".js-plotly-plot .bars path", 2),
        (".js-plotly-plot .modebar", 2),
        (".scatterlayer .js-line", 1),
    ):
        seen = open_offline(path, selector)
        assert (seen["outside"], seen["errors"]) == ([], [])
        assert seen["count"] >= least, selector
    assert seen["title"] == "What is <b>here</b>?"


def test_a_page_without_figures_carries_no_script(tmp_path: Path) -> None:
    text = page(tmp_path, [shown(text="1")]).read_text("utf-8")
    assert "<script" not in text
    assert len(text) < 20_000


@pytest.mark.parametrize("attribute", ["src=", "<link", "@import", "url("])
def test_prose_and_tables_load_nothing(tmp_path: Path, attribute: str) -> None:
    table = "<table><tbody><tr><td>1</td></tr></tbody></table>"
    assert attribute not in page(tmp_path, [shown(html=table, text="1")]).read_text("utf-8")


def test_a_widget_shows_what_stands_beside_it(tmp_path: Path) -> None:
    view = {"model_id": "abc", "version_major": 2, "version_minor": 0}
    text = page(tmp_path, [shown(widget=view, html="<p>the same, still</p>", text="Box()")]).read_text("utf-8")
    assert "the same, still" in text
    assert "Box()" not in text
    assert "model_id" not in text


def test_what_a_cell_shows_runs_nothing_and_leaks_nothing(tmp_path: Path) -> None:
    outputs = [
        shown(html=f"<b>{SECRET}</b><script>document.title='taken'</script><SCRIPT src='x'></SCRIPT >", text="x"),
        shown(text=f"<img src=x onerror=1> AKIAIOSFODNN7EXAMPLE {SECRET}"),
        nbformat.v4.new_output("stream", name="stdout", text=f"key {SECRET} <i>"),
        nbformat.v4.new_output("stream", name="stderr", text="a warning"),
        nbformat.v4.new_output(
            "error", ename="ValueError", evalue=f"bad {SECRET}", traceback=["Traceback", "hidden = 'frame value'"]
        ),
    ]
    parameters = {"target": "sandbox", "note": f"<x> {SECRET}"}
    text = page(tmp_path, outputs, parameters=parameters, problem=f"it failed: {SECRET} <y>").read_text("utf-8")
    for absent in (SECRET, "AKIA", "frame value", "Traceback", "taken", "<img src=x", "a warning", "<x>", "<y>"):
        assert absent not in text, absent
    assert "<script" not in text.lower()
    assert "ValueError: bad [redacted]" in text
    assert "key [redacted] &lt;i&gt;" in text


def test_an_empty_table_says_so(tmp_path: Path) -> None:
    import pandas as pd

    text = page(tmp_path, [shown(html=pd.DataFrame({"port": []})._repr_html_(), text="-")]).read_text("utf-8")
    assert "<th>port</th>" in text
    assert "no rows" in text


def test_who_where_and_when_stand_at_the_top_and_findings_first(tmp_path: Path) -> None:
    seen = (Coverage("123456789012", "us-east-1", "flow logs", "ok", 3),)
    findings = [
        Finding("TEST-LOW", "confirmed", "low", ("eni-1",), "a <low> one", coverage=seen, next_step="wait"),
        Finding(
            "TEST-HIGH", "confirmed", "high", ("eni-2",), "a high one", coverage=seen, next_step="python -m netkit"
        ),
        Finding("TEST-GONE", "refuted", "critical", ("eni-3",), "not so", coverage=seen, next_step="rest"),
    ]
    parameters = {
        "target": "aws",
        "account_id": "000123456701",
        "region": "eu-west-1",
        "window_start": "2026-11-19T00:00:00Z",
        "window_end": "2026-11-20T00:00:00Z",
    }
    text = page(tmp_path, [], parameters=parameters, findings=findings).read_text("utf-8")
    header = text.partition("<header>")[2].partition("</header>")[0]
    assert "aws · account 000123456701 · region eu-west-1 · 2026-11-19T00:00:00Z to 2026-11-20T00:00:00Z" in header
    places = [text.index(code) for code in ("TEST-HIGH", "TEST-LOW", "TEST-GONE")]
    assert places == sorted(places), "the worst that is confirmed comes first"
    assert places[-1] < text.index("What there is.")
    assert "a &lt;low&gt; one" in text
    assert '<h2 id="data">' in text
    assert '<a href="#data">Data</a>' in text
    assert text.count("<h1") == 1
