"""The documentation: built from the code and one run, nothing missing in it, opened in Chromium with the network off."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from hostile import WORDS, chromium

from netkit.flowlogs.catalog import catalogue
from netkit.incident import faults
from netkit.runs import runbook
from netkit.runs.codes import CODES

ROOT = Path(__file__).parents[1]
RUN = "40_reachability_debugging"
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
pytestmark = pytest.mark.skipif(
    not all(find_spec(name) for name in ("mkdocs", "material", "mkdocstrings")),
    reason="the extra docs is not installed",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, with the API of three rooms, and a run of one notebook."""
    folder = tmp_path_factory.mktemp("docs")
    parameters = ROOT / f"parameters/sandbox/{RUN}.yaml"
    runbook.run(ROOT / f"notebooks/{RUN}.ipynb", file=parameters, out=folder / "runs" / RUN, progress=False)
    places = ["--runs", str(folder / "runs"), "--build", str(folder / "build"), "--site", str(folder / "site")]
    command = [sys.executable, "docs/build.py", *places, "--rooms", "core", "incident", "history"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def ids(page: Path) -> set[str]:
    return set(re.findall(r'<h[23] id="([^"]+)"', page.read_text("utf-8")))


def shown(page: Path) -> str:
    """The words of a page."""
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text("utf-8")))


def test_every_code_fault_question_and_name_has_its_place(site: Path) -> None:
    assert {code.lower() for code in CODES} <= ids(site / "findings.html")
    assert set(faults.catalogue()) == ids(site / "faults.html")
    assert set(catalogue()) == ids(site / "questions.html")
    assert {f"netkit.core.plan.{name}" for name in ("Plan", "Plan.apply", "teardown")} <= {
        one.removeprefix("__") for one in re.findall(r'id="([^"]+)"', (site / "api/core.html").read_text("utf-8"))
    }
    words = shown(site / "faults.html")
    for one in faults.catalogue().values():
        assert all(text in words for text in (one.says, one.resource, *one.decides)), one.code


def test_every_notebook_has_a_page_with_question_parameters_and_the_run(site: Path) -> None:
    for name in NOTEBOOKS:
        words = shown(site / f"notebooks/{name}.html")
        assert all(one in words for one in runbook.declared(ROOT / f"notebooks/{name}.ipynb")), name
        assert (site / f"runs/{name}.html").is_file() == (name == RUN)
        assert ("No run of it was at hand" in words) == (name != RUN)
    assert "REACH-BLOCKED" in shown(site / f"notebooks/{RUN}.html")


def test_the_pages_load_nothing_from_elsewhere(site: Path) -> None:
    """As written, and as Chromium asks; searching and the figures of a run work from the disk."""
    loaded = re.compile(
        r"<(?:script|link|img|iframe|source)[^>]+(?:src|href)=[\"']?((?:https?:)?//[^\"' >]+)|@import|url\((?:https?:)?//"
    )
    for page in [*site.rglob("*.html"), *site.rglob("*.css")]:
        if page.parent.name != "runs":  # a report has a policy of its own, and a test
            assert not loaded.search(page.read_text("utf-8")), page
    with chromium(offline=True) as (tab, astray):
        wrong: list[str] = []
        tab.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        tab.on("pageerror", lambda problem: wrong.append(str(problem)))
        for name in ("index", "findings", "faults", "questions", "api/core", "limits", f"notebooks/{RUN}"):
            tab.goto((site / f"{name}.html").as_uri())
        frame = tab.locator("iframe.report")
        frame.scroll_into_view_if_needed()
        tab.frame_locator("iframe.report").locator(".js-plotly-plot .main-svg").first.wait_for(
            state="attached", timeout=20_000
        )
        tab.goto((site / "index.html").as_uri())
        assert tab.evaluate("[...document.images].every(one => one.complete && one.naturalWidth > 100)")
        tab.locator("input.md-search__input").click()
        tab.keyboard.type("sg-no-ingress")
        tab.locator(".md-search-result__item").first.wait_for(timeout=20_000)
        assert (astray, wrong) == ([], [])


def test_words_of_others_mark_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim in a table: as it was written, in one cell, and no tag of it is one."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    from docstrings import plain  # type: ignore[import-not-found]

    markdown = pytest.importorskip("markdown")
    for word in WORDS:
        page = markdown.markdown(f"| a | b |\n|---|---|\n| {plain(word)} | end |", extensions=["tables", "md_in_html"])
        cells = re.findall(r"<td>(.*?)</td>", page, re.DOTALL)
        assert [" ".join(html.unescape(one).split()) for one in cells] == [" ".join(word.split()), "end"]
        assert not re.search(r"<(?!/?(?:table|thead|tbody|tr|th|td)\b)", page), page


def test_what_is_made_is_not_committed() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "docs", "site", "build"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {Path(one).parts[0] for one in tracked} <= {"docs"}
    assert yaml.safe_load((ROOT / "docs/mkdocs.yml").read_text("utf-8"))["theme"]["font"] is False
