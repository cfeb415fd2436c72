"""`netkit lab`: notebooks are worked in, their outputs never become a change; seen in a real JupyterLab in a real browser too."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import nbformat
import pytest

from netkit.core.errors import InputError, MissingExtra
from netkit.runs import lab
from netkit.runs.bare import bare, with_outputs

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
SHOWN = {"output_type": "stream", "name": "stdout", "text": "seen\n"}


def ran(book: dict[str, Any]) -> dict[str, Any]:
    """A notebook as JupyterLab sends it after Run All: sources in one piece, outputs, counts, times, the interpreter's name."""
    book = copy.deepcopy(book)
    book["metadata"] |= {"widgets": {"application/vnd.jupyter.widget-state+json": {}}}
    book["metadata"]["kernelspec"]["display_name"] = "Python 3 (ipykernel)"
    book["metadata"]["language_info"] |= {"version": "3.13.0", "pygments_lexer": "ipython3"}
    for number, cell in enumerate(book["cells"]):
        cell["source"] = "".join(cell["source"])
        cell["metadata"] |= {
            "execution": {"iopub.status.busy": "2026"},
            "scrolled": True,
            "jupyter": {"outputs_hidden": True},
        }
        if cell["cell_type"] == "code":
            cell |= {"outputs": [dict(SHOWN)], "execution_count": number}
    return book


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_run_leaves_nothing_in_the_committed_form(path: Path) -> None:
    committed = path.read_text("utf-8")
    book = json.loads(committed)
    assert bare(book) == book
    stripped = bare(ran(book))
    assert bare(stripped) == stripped
    assert nbformat.writes(nbformat.from_dict(stripped)) + "\n" == committed


def test_edits_stay() -> None:
    book = ran(json.loads(NOTEBOOKS[0].read_text("utf-8")))
    book["cells"][1]["source"] += "\nmine = 1"
    book["cells"][1]["metadata"] |= {
        "tags": ["parameters", "mine"],
        "jupyter": {"source_hidden": True, "outputs_hidden": True},
    }
    book["metadata"]["title"] = "mine"
    left = bare(book)
    assert left["cells"][1]["source"].endswith("mine = 1")
    assert left["cells"][1]["metadata"] == {"tags": ["parameters", "mine"], "jupyter": {"source_hidden": True}}
    assert left["metadata"]["title"] == "mine"


def test_another_kernel_keeps_its_name() -> None:
    book = json.loads(NOTEBOOKS[0].read_text("utf-8"))
    book["metadata"]["kernelspec"] = {"display_name": "Mine", "language": "python", "name": "mine"}
    assert bare(book)["metadata"]["kernelspec"]["name"] == "mine"


def test_outputs_come_back_to_the_cells_that_made_them() -> None:
    book = json.loads(NOTEBOOKS[0].read_text("utf-8"))
    whole = ran(book)
    flat = bare(whole)
    assert with_outputs(flat, whole) == {**whole, "cells": [
        kept if kept["cell_type"] == "code" else plain for kept, plain in zip(whole["cells"], flat["cells"], strict=True)
    ]}  # fmt: skip
    flat["cells"][1]["source"] = "changed = 1"  # pulled meanwhile: what was shown is of the old source
    shown = with_outputs(flat, whole)["cells"]
    assert shown[1]["outputs"] == []
    assert shown[2]["outputs"] == [SHOWN]
    extra = {"cell_type": "code", "id": "new", "metadata": {}, "source": "", "outputs": [], "execution_count": None}
    assert with_outputs({**flat, "cells": [*flat["cells"], extra]}, whole)["cells"][-1] == extra


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small git checkout: one notebook, a README."""
    root = tmp_path / "checkout"
    (root / "notebooks").mkdir(parents=True)
    shutil.copy(ROOT / "notebooks/00_start_here.ipynb", root / "notebooks")
    (root / ".gitignore").write_text("/runs/\n.ipynb_checkpoints/\n")
    (root / "README.md").write_text("# A checkout\n")
    for words in (
        ("init", "-q"),
        ("add", "-A"),
        ("-c", "user.name=n", "-c", "user.email=e@x", "commit", "-q", "-m", "all"),
    ):
        subprocess.run(["git", *words], cwd=root, check=True)
    return root


def changes(root: Path) -> str:
    return subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True).stdout


def test_what_is_saved_is_bare_and_what_is_opened_has_its_outputs(checkout: Path, tmp_path: Path) -> None:
    contents = pytest.importorskip("netkit.runs.contents", reason="JupyterLab is not installed")
    manager = contents.BareContents(root_dir=str(checkout))
    manager.notary.db_file = str(tmp_path / "signatures.db")
    path = "notebooks/00_start_here.ipynb"

    async def work() -> tuple[dict[str, Any], dict[str, Any]]:
        whole = ran((await manager.get(path))["content"])
        await manager.save({"type": "notebook", "format": "json", "content": whole}, path)
        shown = await manager.get(path)
        (checkout / "runs/lab" / path).write_text("{")  # damaged
        return shown, await manager.get(path)

    shown, without = asyncio.run(work())
    assert changes(checkout) == ""
    code = [cell for cell in shown["content"]["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [SHOWN] for cell in code)
    assert all(not cell.get("outputs") for cell in without["content"]["cells"])

    async def elsewhere() -> dict[str, Any]:
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[nbformat.from_dict(SHOWN)])])
        await manager.save({"type": "notebook", "format": "json", "content": book}, "mine.ipynb")
        return json.loads((checkout / "mine.ipynb").read_text("utf-8"))

    assert asyncio.run(elsewhere())["cells"][0]["outputs"], "a notebook of one's own is saved as it is"


def test_a_desk_keeps_its_outputs_a_checkout_does_not(checkout: Path) -> None:
    notebook = checkout / "notebooks/00_start_here.ipynb"
    assert any("BareContents" in word for word in lab.lab_command(checkout, notebook))
    shutil.rmtree(checkout / ".git")
    assert not any("BareContents" in word for word in lab.lab_command(checkout, notebook))


def test_lab_refuses_and_warns(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no such notebook in this project"):
        lab.lab_command(tmp_path / "other", checkout / "notebooks/00_start_here.ipynb")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "--allow-root" in lab.lab_command(checkout, checkout / "notebooks/00_start_here.ipynb")
    assert len(lab.warnings_for("127.0.0.1")) == 1
    assert "other machines" in lab.warnings_for("0.0.0.0")[1]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "--allow-root" not in lab.lab_command(checkout, checkout / "notebooks/00_start_here.ipynb")
    assert lab.warnings_for("127.0.0.1") == []
    monkeypatch.setitem(sys.modules, "jupyterlab", None)
    with pytest.raises(MissingExtra, match=r"(?s)jupyterlab.*pip install 'netkit\[lab\]'"):
        lab.lab_command(checkout, checkout / "notebooks/00_start_here.ipynb")


def test_run_all_in_jupyterlab_leaves_the_checkout_clean(checkout: Path, tmp_path: Path) -> None:
    """The whole way: netkit lab, its start page, Run All, save, close, open again."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not Path("/usr/bin/chromium").exists():
        pytest.skip("Chromium is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    environment = {name: value for name, value in os.environ.items() if name != "NETKIT_ROOT"}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "netkit", "lab", "--no-browser", "--port", str(port)], cwd=checkout / "notebooks",
            stdout=log, stderr=log, env=environment | own | {"JUPYTER_TOKEN": "t", "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        try:
            _wait_for(f"http://127.0.0.1:{port}/api/status?token=t")
            seen = _work(playwright, f"http://127.0.0.1:{port}/?token=t", checkout)
        finally:
            server.terminate()
            server.wait(20)
    assert seen["outside"] == []
    assert {"README.md", "notebooks", "runs"} <= set(seen["files"])
    assert "START-READY" in seen["again"], "what was shown is there when it is opened again"
    assert changes(checkout) == ""
    assert ("running as root" in (tmp_path / "log").read_text()) == (os.geteuid() == 0)


def _wait_for(url: str) -> None:
    for _ in range(240):
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.25)
    pytest.fail("JupyterLab did not start")


def _work(playwright: Any, url: str, checkout: Path) -> dict[str, Any]:
    flags = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
    outside: list[str] = []
    kept = checkout / "runs/lab/notebooks/00_start_here.ipynb"
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=flags.split())
        page = browser.new_page(viewport={"width": 1300, "height": 1600})
        page.on("request", lambda request: None if _inside(request.url) else outside.append(request.url))
        page.goto(url)
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=60_000)
        page.wait_for_timeout(2000)  # a session that is not ready yet would make "Run" ask for a kernel
        page.click(".lm-MenuBar-itemLabel:text-is('Run')")
        page.click("text=Run All Cells")
        page.wait_for_selector(".jp-OutputArea-output >> text=START-READY", timeout=240_000)
        page.keyboard.press("Control+s")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (kept.exists() and "START-READY" in kept.read_text("utf-8")):
            page.wait_for_timeout(250)
        page.click("[data-file-browser-path] , .jp-BreadCrumbs-home", timeout=30_000)
        page.wait_for_selector(".jp-DirListing-itemText:has-text('README.md')", timeout=30_000)
        files = [one.strip() for one in page.locator(".jp-DirListing-itemText").all_inner_texts()]
        page.reload()
        page.wait_for_selector(".jp-OutputArea-output >> text=START-READY", timeout=60_000)
        again = page.locator(".jp-Notebook").inner_text()
        browser.close()
    return {"outside": outside, "files": files, "again": again}


def _inside(url: str) -> bool:
    return url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:"))
