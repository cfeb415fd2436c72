"""The explorer headless: the same cell leaves the figure and the table of its starting values, for a page without a kernel."""

from __future__ import annotations

from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

from netkit.flowlogs.names import AddressBook
from netkit.show import talkers, widgets

ROWS = [("10.0.1.5", "192.0.2.8", 443, 70, "app", "443 https", "internet"), ("10.0.1.5", "10.0.2.9", 5432, 30, "app", "5432 postgres", "db")]  # fmt: skip
FRAME = pd.DataFrame(
    ROWS, columns=["client", "server", "server_port", "bytes", "client_group", "service", "server_group"]
).assign(protocol=6, connections=1, bytes_out=1, bytes_back=2, packets_out=3, packets_back=4, first_seen=0, last_seen=600)  # fmt: skip


def outputs(call: str) -> list[Any]:
    code = f"import pandas as pd\nimport netkit as nk\nfrom netkit.flowlogs.names import AddressBook\nframe = pd.DataFrame({FRAME.to_dict('list')!r})\n{call}"
    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(code)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    NotebookClient(book, timeout=60).execute()
    return [one["data"] for one in book.cells[0].outputs]


def test_headless_the_cell_shows_the_figure_and_the_table_of_its_parameters() -> None:
    shown = outputs("nk.show.explorer(frame, AddressBook(), port=5432)")
    figures = [data[widgets.PLOTLY] for data in shown if widgets.PLOTLY in data]
    assert len(figures) == 1
    # Once as a widget to turn, and for a page without a kernel as the figure that it starts with.
    assert figures[0]["data"][0]["node"]["label"] == list(talkers(FRAME.tail(1)).data[0].node.label)
    assert all(widgets.WIDGET in data for data in shown if widgets.PLOTLY in data)
    tables = "".join("".join(data.get("text/html", "")) for data in shown)
    assert "tcp/5432" in tables
    assert "tcp/443" not in tables


def test_the_table_follows_the_knobs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Place:
        now: pd.DataFrame

        def update(self, frame: pd.DataFrame) -> None:
            self.now = frame

    place = Place()
    monkeypatch.setattr(widgets, "display", lambda shown, **how: place if how.get("display_id") else None)
    before = FRAME.copy(deep=True)
    explorer = widgets._Explorer(FRAME, AddressBook(), None, "", "", 0, "")
    explorer.show(FRAME)
    explorer.cidr.value = "10.0.2.0/24"
    assert list(place.now["service"]) == ["tcp/5432"]
    explorer.cidr.value = "10.0.2.0/33"
    assert "color" in explorer.help.value
    assert list(place.now["service"]) == ["tcp/5432"]
    explorer.cidr.value = ""
    assert list(place.now["service"]) == ["tcp/443", "tcp/5432"]
    pd.testing.assert_frame_equal(FRAME, before)


def test_nothing_to_explore_is_said() -> None:
    shown = outputs("nk.show.explorer(frame.head(0), AddressBook())")
    assert [note["text"] for data in shown for note in data[widgets.PLOTLY]["layout"]["annotations"]] == [
        "nobody talks to anybody"
    ]
