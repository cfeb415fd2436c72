"""Door by door: what others wrote is shown as it was written, and runs nothing, in HTML, figures, shell, YAML and JSON."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import re
import shlex
import subprocess
import types
from collections.abc import Callable
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from hostile import HTML, SHELL, WORDS, chromium, jupyterlab
from test_show import conversations

import netkit
from netkit.core import look
from netkit.core.awscli import aws_command
from netkit.core.look import Folded
from netkit.core.model import Blocker, Coverage, Finding, Hop, Unknown, Verdict, Window
from netkit.core.plan import Action, Found, Owner, Plan, Step, Undo
from netkit.core.session import Session
from netkit.core.tables import frame_html
from netkit.core.text import escaped, help_html, list_html, pairs_html
from netkit.runs.answer import answer_html, stopped_html
from netkit.runs.notebook import FINDINGS_MIME, Run, findings_html
from netkit.runs.report import PLOTLY_MIME, WIDGET_MIME, write_report

SEEN = (Coverage("1", "r", "t", "ok", 1),)
DAY = Window(datetime(2026, 11, 19, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC))


def finding(word: str) -> Finding:
    return Finding("TEST-WORD", "confirmed", "low", (word,), word, {word: word}, (word,), SEEN, word)


def verdict(word: str) -> Verdict:
    hops = [Hop("sg-1", "security group", name=word)]
    stop = [Blocker(word, "ingress", word, None, word)]
    return Verdict("NOT_REACHABLE", word, word, word, word, hops, hops, stop, [Unknown(word, word)], [word])


def plan(word: str) -> Plan:
    session = Session("aws", "123456789012", "us-east-1", word, None)  # type: ignore[arg-type]
    undo = Undo("cloudwatch", "delete_alarms", {"AlarmNames": [word]})
    find: Callable[..., Found] = lambda *_: Found(Action.UPDATE, word, difference=(word,))  # noqa: E731
    step = Step("a", "alarm", word, "cloudwatch", "put_metric_alarm", {"AlarmName": word, "Tags": [{"Key": word, "Value": word}]}, find, word, undo)  # fmt: skip
    return Plan.of(Owner(session, word, date(2026, 12, 1)), [step], [word])


def fix(word: str) -> Any:
    from netkit.reach.change.blast import Blast
    from netkit.reach.change.changes import Change
    from netkit.reach.change.fixes import Fix

    call = types.SimpleNamespace(operation=word, command=aws_command("ec2", "x", {"Name": word}))
    change: Any = Change(word, word, call, call, notes=(word,))  # type: ignore[arg-type]
    return Fix(None, (change,), verdict(word), Blast(opened=((word, word),)), (word,), (word,))  # type: ignore[arg-type]


def capture(word: str) -> Any:
    from netkit.mirror.capture import Capture

    counters = pd.DataFrame({"counter": ["frames"], "packets": [0]})
    none = pd.DataFrame()
    return Capture(none, counters, none, none, none, warnings=(word,))


def subject(word: str) -> Any:
    from netkit.investigate.mirror import Subject
    from netkit.mirror.filters import MirrorFilter, MirrorSession

    return Subject(MirrorSession(word, "tmt-1", "tmf-1", 1, name=word), MirrorFilter((), name=word), ("10.0.0.1",))


def flow_logs(word: str) -> Any:
    from netkit.flowlogs.engines import FlowLogs

    return FlowLogs(word, types.SimpleNamespace(name=word, columns=()), DAY)  # type: ignore[arg-type]


def run(word: str) -> Run:
    return Run(word, word, word, word, DAY)


def folded(word: str) -> Any:
    return Folded(word, word)


SHOWN: dict[str, Callable[[str], Any]] = {
    "Folded": folded,
    "Finding": finding, "Verdict": verdict, "Plan": plan, "Fix": fix, "Capture": capture, "Subject": subject, "FlowLogs": flow_logs, "Run": run,
}  # fmt: skip


def test_every_value_that_shows_itself_is_among_those_tested() -> None:
    """A new class with a _repr_html_ fails here until its words are tested below."""
    names = set()
    for module in pkgutil.walk_packages(netkit.__path__, "netkit."):
        if not module.name.endswith(("__main__", "sandbox.server")):
            held = vars(importlib.import_module(module.name))
            names |= {one.__name__ for one in held.values() if inspect.isclass(one) and "_repr_html_" in vars(one)}
    assert names == set(SHOWN)


class Elements(HTMLParser):
    """The elements of a page, its attributes by name, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


OURS = {"p", "b", "ul", "li", "table", "tr", "th", "td", "thead", "tbody", "div", "span", "br", "small", "code"}
OURS |= {"pre", "details", "summary", "data", "wbr", "button"}


def without_ours(page: str) -> str:
    """The page without the one style and the one handler that netkit writes itself, word for word: any other is somebody else's."""
    return page.replace(f"<style>{look.RULES}</style>", "").replace(f' onclick="{look._COPY}"', "")


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("name", SHOWN)
def test_a_value_shows_words_and_makes_no_element_of_them(name: str, word: str) -> None:
    shown = Elements(without_ours(SHOWN[name](word)._repr_html_()))
    assert shown.tags <= OURS
    assert shown.attributes <= {"style", "border", "class", "title", "type", "value"}
    assert " ".join(word.split()) in " ".join(shown.text.split())


@pytest.mark.parametrize("word", WORDS)
def test_the_helpers_and_the_findings_table_show_words(word: str) -> None:
    for page in (escaped(word), help_html(word), list_html(word, [word]), pairs_html({word: word}), findings_html([finding(word)]), answer_html([finding(word)]), stopped_html(word, word), frame_html(pd.DataFrame({word: [word]}))):  # fmt: skip
        shown = Elements(without_ours(page))
        assert shown.tags <= OURS
        assert shown.attributes <= {"style", "class", "title", "type"}
        assert word in shown.text


def test_a_knob_that_says_what_is_wrong_shows_words() -> None:
    from netkit.flowlogs.names import AddressBook
    from netkit.show import widgets

    knobs = widgets._Explorer(conversations(), AddressBook(), None, "", "", 0, "")
    knobs.cidr.value = HTML[0]
    assert Elements(knobs.help.value).tags == {"span"}


def book_of(outputs: list[Any], prose: str = "# Which?") -> Any:
    new = nbformat.v4
    return new.new_notebook(cells=[new.new_markdown_cell(prose), new.new_code_cell("show(1)", outputs=outputs)])


def output(**data: Any) -> Any:
    return nbformat.v4.new_output("display_data", data=data)


def figure(word: str) -> dict[str, Any]:
    return {"data": [{"type": "bar", "name": word, "x": [word, "b"], "y": [1, 2], "text": [word, word]}], "layout": {"title": {"text": word}, "annotations": [{"text": word, "x": 0, "y": 1}]}}  # fmt: skip


def test_the_report_in_chromium_runs_nothing_of_others(tmp_path: Path) -> None:
    """What a cell would show if the escaping were forgotten as well: the sanitizer and the policy each hold alone."""
    outputs = [output(**{"text/html": word}) for word in WORDS]
    outputs += [output(**{"text/html": SHOWN[name](word)._repr_html_()}) for name in SHOWN for word in HTML]
    outputs += [output(**{PLOTLY_MIME: figure(word)}) for word in HTML]
    outputs += [output(**{WIDGET_MIME: {}, "text/html": HTML[0]}), output(**{"text/plain": HTML[1]})]
    outputs += [output(**{"image/png": HTML[3]})]
    outputs += [nbformat.v4.new_output("stream", name="stdout", text="\n".join(HTML))]
    outputs += [nbformat.v4.new_output("error", ename=HTML[0], evalue=HTML[1], traceback=[])]
    outputs += [output(**{FINDINGS_MIME: {}, "text/html": HTML[0]})]
    nbformat.write(book_of(outputs, "# Which?\n\n" + "\n\n".join(HTML) + "\n\n## " + HTML[1]), tmp_path / "book.ipynb")
    for policy in (True, False):
        page = tmp_path / f"report-{policy}.html"
        write_report(tmp_path / "book.ipynb", page, parameters={HTML[0]: HTML[1], "source": HTML[2]}, findings=[finding(word) for word in WORDS], problem=HTML[0])  # fmt: skip
        if not policy:
            page.write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text("utf-8")))
        with chromium(offline=True) as (tab, astray):
            errors: list[str] = []
            tab.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
            tab.on("console", lambda line, errors=errors: errors.append(line.text) if line.type == "error" else None)
            tab.goto(page.as_uri())
            tab.wait_for_selector(f"#nk-figure-{len(HTML) - 1} .bars path", timeout=30_000, state="attached")
            for summary in tab.locator("summary").all()[:3]:
                summary.click()
            assert tab.evaluate("window.owned") is None
            assert tab.locator("section iframe, section form, section base, section link, section script, section svg:not(.main-svg):not(.main-svg *):not(.icon)").count() == 0  # fmt: skip
            assert tab.locator(".js-plotly-plot .bars").count() == len(HTML)
            assert (astray, [one for one in errors if "INVALID_URL" not in one]) == (
                [],
                [],
            )  # that of the picture that is none
            assert HTML[1] in tab.locator("#summary").inner_text()


def test_the_policy_alone_holds(tmp_path: Path) -> None:
    """Were something to get past the sanitizer, the page would still run and load only what netkit wrote."""
    nbformat.write(book_of([output(**{PLOTLY_MIME: figure("a")})]), tmp_path / "book.ipynb")
    write_report(tmp_path / "book.ipynb", tmp_path / "page.html", parameters={})
    text = (tmp_path / "page.html").read_text("utf-8")
    (tmp_path / "page.html").write_text(text.replace("</main>", f"{''.join(HTML)}</main>"))
    with chromium() as (tab, astray):
        tab.goto((tmp_path / "page.html").as_uri())
        tab.wait_for_timeout(1500)
        assert tab.evaluate("window.owned") is None
        assert astray == []


CELLS = """
import sys; sys.path.insert(0, {tests!r})
import os; os.chdir({root!r})
import pandas as pd
from hostile import HTML
from test_hostile_words import SHOWN, finding
import netkit as nk
from IPython.display import display
run = nk.begin()
[display(make(word)) for make in SHOWN.values() for word in HTML]
display(pd.DataFrame({{word: [word] for word in HTML}}))
"""
KNOBS = """
from test_show import conversations
from netkit.flowlogs.names import AddressBook
nk.show.explorer(conversations(), AddressBook())
[print(word) for word in HTML]
"""
LAST = "nk.publish([finding(word) for word in HTML])"


def test_jupyterlab_in_chromium_runs_nothing_of_others(tmp_path: Path) -> None:
    meta = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
    book = nbformat.v4.new_notebook(metadata=meta)
    here = {"tests": str(Path(__file__).parent), "root": str(Path(__file__).parents[1])}
    book.cells = [nbformat.v4.new_code_cell(one) for one in (CELLS.format(**here), KNOBS, LAST)]
    nbformat.write(book, tmp_path / "look.ipynb")
    with jupyterlab(tmp_path, dict(os.environ)) as address, chromium() as (tab, astray):
        tab.goto(address % "look.ipynb")
        tab.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=60_000)
        tab.wait_for_timeout(2000)
        tab.click(".lm-MenuBar-itemLabel:text-is('Run')")
        tab.click("text=Run All Cells")
        tab.wait_for_timeout(1000)
        if tab.locator(".jp-Dialog .jp-mod-accept").count():
            tab.click(".jp-Dialog .jp-mod-accept")
        tab.wait_for_selector(".nk-findings", timeout=90_000, state="attached")
        cidr = tab.get_by_placeholder("10.0.1.0/24")
        cidr.fill(HTML[1])
        cidr.press("Enter")
        tab.wait_for_selector(".widget-html span[style*=border-left]", timeout=30_000)
        assert HTML[1] in tab.locator(".widget-html").first.inner_text()
        assert tab.evaluate("window.owned") is None
        assert astray == []
        assert HTML[0] in tab.locator(".nk-findings").inner_text()


# ------------------------------------------------------------------------------------------------------------- shell


@pytest.mark.parametrize("word", [*WORDS, "file:///etc/passwd", "fileb://x", "-x", "[1]", '{"a": 1}', ""])
def test_a_printed_command_gives_a_shell_the_same_words(word: str, tmp_path: Path) -> None:
    request = {"AlarmName": word, "Tags": [{"Key": word, "Value": word}], "Names": [word, "b"], "Yes": True, "Number": 3}  # fmt: skip
    command = aws_command("cloudwatch", "put_metric_alarm", request, "us-east-1")
    subprocess.run(["bash", "-n"], input=command, text=True, check=True)
    words = "import json,sys; print(json.dumps(sys.argv[1:]))"
    shell = f"aws() {{ {shlex.quote(os.sys.executable)} -c {shlex.quote(words)} \"$@\"; }}\n{command}"  # type: ignore[attr-defined]  # fmt: skip
    said = subprocess.run(["bash"], input=shell, text=True, check=True, capture_output=True, cwd=tmp_path)
    assert ["aws", *json.loads(said.stdout)] == shlex.split(command)
    assert list(tmp_path.iterdir()) == []
    assert read_back(shlex.split(command)) == request


def read_back(words: list[str]) -> dict[str, Any]:
    """What the AWS command line makes of the words: its own rules for options, JSON and files."""
    if "--cli-input-json" in words:
        found: dict[str, Any] = json.loads(words[words.index("--cli-input-json") + 1])
        return found
    options: dict[str, list[str]] = {}
    for one in words[3:]:
        if one.startswith("--"):
            name, equals, value = one.partition("=")
            options[name] = [value] if equals else []
        else:
            options[list(options)[-1]].append(one)
    assert not any(value.startswith(("file://", "fileb://")) for values in options.values() for value in values)
    names = options["--names"]
    return {
        "AlarmName": options["--alarm-name"][0], "Tags": json.loads(options["--tags"][0]),
        "Names": json.loads(names[0]) if names[0].startswith("[") else names, "Yes": "--yes" in options, "Number": int(options["--number"][0]),
    }  # fmt: skip


@pytest.mark.parametrize("word", SHELL)
def test_every_command_of_a_plan_parses(word: str) -> None:
    shown = plan(word).preview()
    for command in (*shown["command"], *shown["undo"]):
        subprocess.run(["bash", "-n"], input=command, text=True, check=True)
        assert any(word in one or json.dumps(word)[1:-1] in one for one in shlex.split(command))


# -------------------------------------------------------------------------------------------- YAML, JSON and the page


@pytest.mark.parametrize("word", [word for word in WORDS if not re.search(r"<[^>]+>", word)])
def test_a_parameter_file_and_findings_give_the_same_words_back(word: str, tmp_path: Path) -> None:
    import yaml

    from netkit.runs.runbook import finding_from, read_file

    (tmp_path / "p.yaml").write_text(yaml.safe_dump({"name": word}, allow_unicode=True), "utf-8")
    assert read_file(tmp_path / "p.yaml") == {"name": word}
    one = finding(word)
    assert finding_from(json.loads(json.dumps(one.as_dict()))) == one


@pytest.mark.parametrize("word", WORDS)
def test_json_within_the_page_holds_no_sign_that_html_reads(word: str, tmp_path: Path) -> None:
    nbformat.write(book_of([output(**{PLOTLY_MIME: figure(word)})]), tmp_path / "book.ipynb")
    write_report(tmp_path / "book.ipynb", tmp_path / "page.html", parameters={})
    (data,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', (tmp_path / "page.html").read_text("utf-8"))  # fmt: skip
    assert "<" not in data
    assert json.loads(data) == figure(word)
