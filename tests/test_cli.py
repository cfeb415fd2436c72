"""The command line, as a person or a scheduler calls it: in a process of its own, from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import netkit as nk
from netkit import __main__ as cli


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
