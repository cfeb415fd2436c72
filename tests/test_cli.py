"""The command line, as a person or a scheduler calls it: in a process of its own, from any folder."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import netkit as nk
from netkit import __main__ as cli
from netkit.runs.runbook import declared


def netkit(*arguments: str, home: Path, folder: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "netkit", *arguments],
        cwd=folder,
        env=os.environ | {"NETKIT_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_sandbox_goes_up_and_down(tmp_path: Path) -> None:
    def sandbox(do: str) -> tuple[int, str, str]:
        return netkit("sandbox", do, home=tmp_path / "home", folder=tmp_path)

    assert sandbox("status")[:2] == (1, "no sandbox is running\n")
    try:
        status, said, _ = sandbox("up")
        assert status == 0
        assert "export AWS_ENDPOINT_URL=http://127.0.0.1:" in said
        again = sandbox("up")[1]
        assert again == said, "one sandbox for all"
        assert sandbox("status")[:2] == (0, said.splitlines(keepends=True)[0])
    finally:
        assert sandbox("down")[:2] == (0, "the sandbox is down\n")
    assert sandbox("status")[0] == 1
    assert sandbox("down")[:2] == (0, "no sandbox was running\n")


def test_what_is_wrong_takes_three_lines_at_most(tmp_path: Path) -> None:
    for arguments, expected in (
        (("run", "none.ipynb"), 2),
        (("teardown", "nk-000000000000"), 2),
        (("teardown", "../../etc/passwd"), 2),
        (("teardown", "nk-000000000000", "--armed", "--target", "aws"), 2),
        (("run",), 2),
        (("fly",), 2),
    ):
        status, said, message = netkit(*arguments, home=tmp_path / "home", folder=tmp_path)
        assert (status, said) == (expected, ""), (arguments, said, message)
        assert 1 <= len(message.strip().splitlines()) <= 4, message  # argparse's usage may wrap
        assert "Traceback" not in message


def test_help_needs_no_work(tmp_path: Path) -> None:
    status, said, _ = netkit("--help", home=tmp_path / "home", folder=tmp_path)
    assert status == 0
    for command in ("run", "sandbox", "teardown", "demo"):
        assert command in said
    assert not (tmp_path / "home").exists()


def subcommands() -> dict[str, argparse.ArgumentParser]:
    parsers = cli._parser()._actions
    return next(one.choices for one in parsers if isinstance(one, argparse._SubParsersAction))


@pytest.mark.parametrize("name", subcommands())
def test_every_subcommands_help_has_an_example_that_can_be_read(name: str) -> None:
    example = subcommands()[name].format_help().partition("example:\n")[2].split("\n")[0].strip()
    words = shlex.split(example)
    assert words[:2] == ["netkit", name], example
    assert cli._parse(words[1:]).call


def test_the_help_of_a_notebook_lists_what_it_declares(capsys: pytest.CaptureFixture[str]) -> None:
    for path in sorted((Path(__file__).parents[1] / "notebooks").glob("[0-9]*.ipynb")):
        for words in (("run", str(path), "--help"), ("run", "-h", path.stem)):
            assert cli.main(words) == 0
            said = capsys.readouterr().out
            for one in declared(path).values():
                assert re.search(
                    rf"^  {one.name} +{re.escape(one.kind)} = {re.escape(repr(one.default))}$", said, re.MULTILINE
                )
                assert " ".join(one.help.split()) in " ".join(said.split())
    assert cli.main(("run", "--help")) == 0
    assert "example:" in capsys.readouterr().out


def test_a_value_may_look_like_an_option() -> None:
    words = ["run", "21", "-p", "source", "-x", "--fail-on", "high", "-p", "a", "-p"]
    args = cli._parse(words)
    assert (args.parameter, args.fail_on, args.notebook) == ([["source", "-x"], ["a", "-p"]], "high", "21")
    with pytest.raises(SystemExit):
        cli._parse(["run", "21", "-p", "source"])


@pytest.mark.parametrize(
    ("line", "offers"),
    [("netkit ", {"run", "new", "lab", "demo", "sandbox", "teardown"}), ("netkit sandbox ", {"up", "down", "status"}),
     ("netkit run 2", {"20_flow_logs_provision", "21_flow_logs_analysis"}), ("netkit run 40 -p prot", {"protocol"})],
)  # fmt: skip
def test_a_shell_completes(line: str, offers: set[str], tmp_path: Path) -> None:
    """As argcomplete's shell function asks."""
    out = tmp_path / "offered"
    asked = {
        "_ARGCOMPLETE": "1",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_STDOUT_FILENAME": str(out),
    }
    subprocess.run([sys.executable, "-m", "netkit"], env=os.environ | asked, cwd=tmp_path, check=False, timeout=60)
    offered = {one.strip() for one in re.split(r"[\x0b\n]", out.read_text())}
    assert offers <= offered


def test_the_demonstration_ends_with_findings_and_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "DEMO", ("00_start_here",))
    assert cli.main(["demo", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "START-READY" in said.partition("Findings")[2]
    assert str(tmp_path / "00_start_here/report.html") in said.partition("Reports")[2]
    assert (tmp_path / "00_start_here/report.html").stat().st_size > 10_000


def test_a_sandbox_that_is_late_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from netkit import sandbox

    monkeypatch.setenv("NETKIT_HOME", str(tmp_path))
    monkeypatch.setattr(sandbox, "_START_S", 0.2)
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen
    monkeypatch.setattr(sandbox.subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    with pytest.raises(nk.errors.SandboxError, match="did not start"):
        sandbox.up()
    assert len(started) == 1
    assert started[0].wait(timeout=20) != 0
    assert sandbox.status() is None
