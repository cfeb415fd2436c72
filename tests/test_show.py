"""Figures and the explorer: what they show is what the frame says; and a real JupyterLab in a real browser."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from plotly.graph_objects import Figure

from netkit import show
from netkit.core.errors import InputError
from netkit.flowlogs.catalog import find_query
from netkit.flowlogs.names import AddressBook, Name
from netkit.show import plots, widgets

TIMELINE = pd.DataFrame(
    {
        "bucket": [0, 0, 600, 1800],
        "action": ["ACCEPT", "REJECT", "ACCEPT", "ACCEPT"],
        "records": [1, 2, 3, 4],
        "packets": [5, 6, 7, 8],
        "bytes": [10, 20, 30, 40],
    }
)
GROUPS = pd.DataFrame(
    {
        "client_group": ["a", "a", "b"],
        "service": ["443 https", "443 https", "22 ssh"],
        "server_group": ["c", "a", "c"],
        "bytes": [100, 50, 1],
    }
)
HOPS = pd.DataFrame(
    {"label": ["web", "db"], "flow_direction": ["egress", "ingress"], "srcaddr": ["10.0.0.1"] * 2, "dstaddr": ["10.0.0.2"] * 2, "action": ["ACCEPT", "REJECT"],
     "packets": [3, 3], "bytes": [180, 180], "source_label": ["web"] * 2, "destination_label": ["db"] * 2}
)  # fmt: skip
FIGURES: dict[str, tuple[Any, pd.DataFrame]] = {
    "timeline": (show.timeline, TIMELINE),
    "talkers": (show.talkers, GROUPS),
    "reject_heatmap": (
        show.reject_heatmap,
        pd.DataFrame({"bucket": [0, 3600], "dstport": [22, 443], "protocol": [6, 6], "records": [100, 1]}),
    ),
    "scan_scatter": (
        show.scan_scatter,
        pd.DataFrame(
            {
                "start": [0, 1],
                "srcaddr": ["a", "b"],
                "dstaddr": ["c", "c"],
                "dstport": [1, 2],
                "action": ["REJECT", "ACCEPT"],
            }
        ),
    ),
    "hop_ladder": (show.hop_ladder, HOPS),
    "coverage_strip": (
        show.coverage_strip,
        pd.DataFrame({"label": ["a", "b"], "bucket": [0, 600], "state": ["ok", "missing"]}),
    ),
    "egress_bars": (
        show.egress_bars,
        pd.DataFrame(
            {
                "label": ["S3", "x"],
                "path": ["gateway endpoint", "internet gateway"],
                "bytes": [5, 9],
                "source": ["a", "a"],
            }
        ),
    ),
    "tcp_outcomes": (
        show.tcp_outcomes,
        pd.DataFrame({"label": ["db"], "established": [3], "refused": [1], "rejected": [2], "unanswered": [0]}),
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_leaves_its_frame_alone_and_copes_with_an_empty_one(name: str) -> None:
    draw, frame = FIGURES[name]
    before = frame.copy(deep=True)
    figure = draw(frame)
    assert isinstance(figure, Figure)
    assert figure.layout.title.text
    pd.testing.assert_frame_equal(frame, before)
    assert draw(frame.head(0)).layout.annotations[0].text


def test_the_timeline_sums_to_the_frame_and_marks_what_lacks() -> None:
    figure = show.timeline(TIMELINE, measure="records")
    assert {bar.name: sum(bar.y) for bar in figure.data} == {"ACCEPT": 8, "REJECT": 2}
    assert {bar.name: bar.marker.color for bar in figure.data} == plots.ACTIONS
    assert len(figure.layout.shapes) == 1
    assert [button.args[0]["y"][0] for button in figure.layout.updatemenus[0].buttons] == [
        [1, 3, 4],
        [5, 7, 8],
        [10, 30, 40],
    ]
    assert figure.layout.updatemenus[0].active == 0


def test_the_sankey_carries_every_byte_on_either_side() -> None:
    link = show.talkers(GROUPS).data[0].link
    assert sum(link.value) == 2 * 151
    folded = show.talkers(GROUPS, most=1).data[0]
    assert sum(folded.link.value) == 2 * 151
    assert "other (2)" in folded.node.label


def test_what_was_rejected_is_seen_in_the_sankey_though_it_has_few_bytes() -> None:
    frame = pd.concat([GROUPS.assign(bytes=10**9, action="ACCEPT"), GROUPS.assign(bytes=0, action="REJECT")])
    link = show.talkers(frame).data[0].link
    red = [value for value, colour in zip(link.value, link.color, strict=True) if colour.startswith("rgba(213")]
    assert red
    assert min(red) >= 0.01 * 3 * 10**9
    assert sum(words.startswith("✗ rejected, 0 B") for words in link.customdata) == len(red), "hover has the bytes"


def test_rejects_are_marked_in_the_timeline_whatever_height_they_have() -> None:
    few = pd.concat(
        [TIMELINE.assign(bytes=10**9), TIMELINE.assign(action="REJECT", bytes=1, bucket=TIMELINE["bucket"] + 60)]
    )
    figure = show.timeline(few, measure="bytes")
    marks = [note for note in figure.layout.annotations if note.text == "▼"]
    assert len(marks) == int((few["action"] == "REJECT").sum())
    assert "rejected:<br>2 records<br>6 packets<br>1 B" in [mark.hovertext for mark in marks]
    assert not [
        note for note in show.timeline(TIMELINE[TIMELINE["action"] == "ACCEPT"]).layout.annotations if note.text == "▼"
    ]


def test_a_rejected_hop_ends_in_a_cross() -> None:
    texts = [note.text for note in show.hop_ladder(HOPS).layout.annotations]
    assert sum("✕" in (text or "") for text in texts) == 1
    assert any("seen at db, ingress" in text for text in texts)


def conversations() -> pd.DataFrame:
    rows = [
        ("10.0.1.5", "8.8.8.8", 6, 443, 10, 20, 0, 100), ("10.0.2.5", "10.0.1.9", 6, 5432, 1, 2, 200, 300), ("2001:db8::1", "2001:db8::2", 17, 53, 3, 4, 50, 60),
    ]  # fmt: skip
    names = ["client", "server", "protocol", "server_port", "bytes_out", "bytes_back", "first_seen", "last_seen"]
    frame = pd.DataFrame(rows, columns=names).assign(
        interface_id="eni", interfaces=1, connections=1, packets_out=1, packets_back=1
    )
    typed = find_query("conversations").typed(frame)
    return typed.assign(client_group="a", service="s", server_group="b", bytes=typed["bytes_out"] + typed["bytes_back"])


@pytest.mark.parametrize(
    ("knobs", "left"),
    [
        ({}, 3), ({"action": "REJECT"}, 0), ({"action": "ACCEPT"}, 3), ({"protocol": "tcp"}, 2), ({"port": 53}, 1), ({"cidr": "10.0.1.0/24"}, 2), ({"cidr": "2001:db8::/64"}, 1), ({"start": 150}, 1),
        ({"end": 40}, 1), ({"text": "8.8"}, 1), ({"protocol": "udp", "port": 443}, 0),
    ],
)  # fmt: skip
def test_the_knobs_keep_what_they_say(knobs: dict[str, Any], left: int) -> None:
    assert len(widgets.select_pairs(conversations(), **knobs)) == left


def test_a_block_that_is_none() -> None:
    with pytest.raises(InputError, match="host bits"):
        widgets.select_pairs(conversations(), cidr="10.0.1.1/24")


def test_the_explorer_follows_its_knobs_and_opens_a_pair() -> None:
    asked: list[tuple[str, str]] = []

    def records(client: str, server: str) -> pd.DataFrame:
        asked.append((client, server))
        return pd.DataFrame({"x": [1]})

    explorer = widgets._Explorer(
        conversations(), AddressBook([Name("10.0.1.5", "app", "instance")]), records, "", "", 0, ""
    )
    explorer.port.value = 5432
    assert explorer.help.value == "1 of 3 conversations"
    explorer.cidr.value = "10.0.1.1/24"
    assert "host bits" in explorer.help.value
    explorer.cidr.value = ""
    explorer.port.value = 0
    assert "app (10.0.1.5) → 8.8.8.8" in [label for label, _ in explorer.pair.options]
    explorer.pair.value = ("10.0.1.5", "8.8.8.8")
    assert asked == [("10.0.1.5", "8.8.8.8")]


def test_jupyterlab_draws_and_the_knobs_turn(tmp_path: Path) -> None:
    """A real JupyterLab on loopback in Debian's Chromium: nothing is asked of any other host."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not Path("/usr/bin/chromium").exists():
        pytest.skip("Chromium is not installed")
    cells = [
        "import pandas as pd\nimport netkit as nk\nfrom netkit.flowlogs.names import AddressBook\nrun = nk.begin()",
        f"frame = pd.DataFrame({conversations().to_dict('list')!r})\nnk.show.talkers(frame)",
        "nk.show.explorer(frame, AddressBook())",
    ]
    book = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
    )
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(book, tmp_path / "look.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--no-browser",
        "--allow-root",
        "--IdentityProvider.token=t",
    ]
    server = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"JUPYTER_CONFIG_DIR": str(tmp_path)},
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}/api/status?token=t")
        seen = _turn(playwright, f"http://127.0.0.1:{port}/lab/tree/look.ipynb?token=t")
    finally:
        server.terminate()
        server.wait(20)
    assert seen["outside"] == []
    assert seen["figures"] >= 1
    assert seen["help"] == "1 of 3 conversations"


def _wait_for(url: str) -> None:
    for _ in range(120):
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.25)
    pytest.fail("JupyterLab did not start")


def _turn(playwright: Any, url: str) -> dict[str, Any]:
    flags = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
    outside: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=flags.split())
        page = browser.new_page(viewport={"width": 1300, "height": 1600})
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:"))
                else outside.append(request.url)
            ),
        )
        page.goto(url)
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=60_000)
        page.wait_for_timeout(2000)  # a session that is not ready yet would make "Run" ask for a kernel
        page.click(".lm-MenuBar-itemLabel:text-is('Run')")
        page.click("text=Run All Cells")
        page.wait_for_timeout(1000)
        if page.locator(".jp-Dialog .jp-mod-accept").count():
            page.click(".jp-Dialog .jp-mod-accept")
        page.wait_for_selector(".js-plotly-plot .sankey-link", timeout=60_000, state="attached")
        knob = page.locator(".widget-text input[type=number]").first
        knob.wait_for(timeout=60_000)
        knob.fill("5432")
        knob.press("Enter")
        page.wait_for_selector("text=1 of 3 conversations", timeout=30_000)
        found = {
            "outside": outside,
            "figures": page.locator(".js-plotly-plot").count(),
            "help": page.locator("text=of 3 conversations").inner_text(),
        }
        browser.close()
    return found
