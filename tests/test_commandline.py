"""netkit's own command lines, as findings print them: one function makes them, a shell and the parser read them back."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit import __main__ as cli
from netkit.core.commandline import PROGRAM, run_command, teardown_command
from netkit.runs.runbook import _list

ROOT = Path(__file__).parents[1]
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)


def read_back(line: str) -> list[str]:
    """The words behind `python -m netkit`, as a shell parts them."""
    parts = shlex.split(line)
    assert parts[:3] == PROGRAM.split()
    return parts[3:]


def test_a_plain_command_reads_plainly() -> None:
    said = run_command("40_reachability_debugging", source="web", destination="10.0.2.5", port=443, vpc=None)
    assert said == (
        "python -m netkit run notebooks/40_reachability_debugging.ipynb -p source web -p destination 10.0.2.5 -p port 443"
    )
    assert teardown_command("nk-0123456789ab") == "python -m netkit teardown nk-0123456789ab --armed"


def test_a_teardown_goes_where_the_run_was() -> None:
    said = teardown_command("nk-0123456789ab", target="aws", account_id="000123456701", region="eu-west-1")
    args = cli._parser().parse_args(read_back(said))
    assert (args.target, args.account_id, args.region, args.armed) == ("aws", "000123456701", "eu-west-1", True)


@given(words, words)
def test_others_words_stay_one_word(source: str, other: str) -> None:
    """Names of others (quotes, $(), newlines, a leading dash) come through shell and parser as they are."""
    args = cli._parse(read_back(run_command("21_flow_logs_analysis", source=source, text=other)))
    assert args.parameter == [["source", source], ["text", other]]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12), min_size=1))
def test_a_list_is_read_back_as_it_was(items: list[str]) -> None:
    args = cli._parse(read_back(run_command("21_flow_logs_analysis", ports=items)))
    assert _list(args.parameter[0][1]) == items


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (5, "5"), ([22, 3389], "22,3389"), ([], "")]
)
def test_values_are_written_as_the_runner_reads_them(value: object, text: str) -> None:
    assert cli._parse(read_back(run_command("x", value=value))).parameter == [["value", text]]


def test_no_module_writes_such_a_line_by_itself() -> None:
    for path in (ROOT / "netkit").rglob("*.py"):
        if path.name not in ("commandline.py", "__main__.py"):
            assert "python -m netkit" not in path.read_text("utf-8"), path
