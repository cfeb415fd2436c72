"""The explorer headless: the same cell leaves the figure and the table of its starting values, for a page without a kernel."""

from __future__ import annotations

from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

from netkit.core.errors import InputError
from netkit.flowlogs.names import AddressBook, Name
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
    assert "✗" in explorer.help.value
    assert list(place.now["service"]) == [], "no old answer under a question that cannot be answered"
    assert words_of(explorer.view) == ["'10.0.2.0/33' is not a CIDR block"]
    explorer.cidr.value = ""
    assert list(place.now["service"]) == ["tcp/443", "tcp/5432"]
    pd.testing.assert_frame_equal(FRAME, before)


def test_nothing_to_explore_is_said() -> None:
    shown = outputs("nk.show.explorer(frame.head(0), AddressBook())")
    assert [note["text"] for data in shown for note in data[widgets.PLOTLY]["layout"]["annotations"]] == [
        "there are no conversations in this window"
    ]


def words_of(view: Any) -> list[str]:
    """What a figure in an Output says in words where it draws nothing."""
    layout = view.outputs[0]["data"][widgets.PLOTLY]["layout"]
    return [note["text"] for note in layout.get("annotations", ())]


def test_records_of_a_pair_go_when_the_question_changes() -> None:
    asked: list[Any] = []

    def records(client: str, server: str) -> pd.DataFrame:
        asked.append((client, server))
        if server == "10.0.2.9":
            raise InputError("the log is closed", hint="open it")
        return pd.DataFrame({"srcaddr": [client], "dstaddr": [server]})

    explorer = widgets._Explorer(FRAME, AddressBook(), records, "", "", 0, "")
    explorer.offer(FRAME)
    explorer.pair.value = ("10.0.1.5", "192.0.2.8")
    assert "192.0.2.8" in explorer.detail.outputs[0]["data"]["text/html"]
    explorer.pair.value = ("10.0.1.5", "10.0.2.9")
    shown = explorer.detail.outputs[0]["data"]["text/html"]
    assert "the log is closed" in shown
    assert "192.0.2.8" not in shown
    explorer.port.value = 22
    assert explorer.detail.outputs == ()
    assert words_of(explorer.view) == ["none of the 2 conversations is left by these knobs"]
    assert [label for label, _ in explorer.pair.options] == ["choose a pair"]
    assert len(asked) == 2


@pytest.mark.parametrize("protocol", ["udp", "sctp"])
def test_the_knobs_say_what_the_figure_shows(protocol: str) -> None:
    assert widgets._Explorer(FRAME, AddressBook(), None, "", protocol, 0, "").protocol.value == protocol


def test_a_name_is_found_though_the_log_has_addresses() -> None:
    book = AddressBook([Name("10.0.2.9", "orders-db", "instance")])
    assert list(widgets.select_pairs(FRAME, text="orders", book=book)["server"]) == ["10.0.2.9"]
    explorer = widgets._Explorer(FRAME, book, None, "", "", 0, "")
    assert "orders-db (10.0.2.9)" in explorer.text.options
    explorer.text.value = "orders-db (10.0.2.9)"
    assert explorer.help.value == "1 of 2 conversations"
