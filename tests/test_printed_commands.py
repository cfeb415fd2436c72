"""What is printed can be run: the commands of the README, of fixes and of plans, run as they are printed.

`aws` lines go through the real AWS command line to the tests' own sandbox; where that is not installed those tests skip.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import netkit as nk
from netkit import __main__ as cli
from netkit import sandbox
from netkit.core.commandline import PROGRAM
from netkit.core.session import Session
from netkit.investigate import mirror as mirrors
from netkit.mirror import parse_filter, read
from netkit.reach.change.fixes import Fix
from netkit.reach.read import collect
from netkit.runs import runbook

ROOT = Path(__file__).parents[1]
REACH = ROOT / "parameters/sandbox/reach"
needs_aws = pytest.mark.skipif(shutil.which("aws") is None, reason="the AWS command line (aws) is not installed")


@pytest.fixture(scope="module")
def session() -> Session:
    return nk.connect()


@pytest.fixture(scope="module")
def shell(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment that a person has after `netkit sandbox up`; python is this one."""
    bin_ = tmp_path_factory.mktemp("bin")
    (bin_ / "python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n', "utf-8")
    (bin_ / "python").chmod(0o755)
    yield os.environ | {
        "PATH": f"{bin_}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "AWS_ENDPOINT_URL": sandbox.ensure().endpoint,
        "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_PAGER": "",
    }  # fmt: skip


def paste(text: str, env: dict[str, str], folder: Path = ROOT) -> tuple[int, str]:
    """A text pasted into bash that stops at the first failure: exit status and what was said."""
    env = {name: value for name, value in env.items() if not (text.startswith(PROGRAM) and name == "AWS_ENDPOINT_URL")}
    done = subprocess.run(["bash", "-ec", text], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=200)  # fmt: skip
    return done.returncode, (done.stdout + done.stderr)[-2000:]


def undo_of(text: str) -> str:
    """The lines behind "to take it back", without their comment signs."""
    after = text.split("# to take it back:\n")[1].split("\n")
    return "\n".join(line.removeprefix("# ") for line in after if line.startswith("# aws "))


def readme() -> list[str]:
    return re.findall(r"^    (python -m netkit .*)$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)


def parameters_of(command: str) -> None:
    """The parser and the notebook's own parameters take the command; raises what `netkit run` would refuse it with."""
    args = cli._parse(shlex.split(command.removeprefix(f"{PROGRAM} ")))
    if shlex.split(command)[3] == "run":
        file = ROOT / args.file if args.file else None
        runbook.resolve(ROOT / args.notebook, file=file, pairs=[(name, value) for name, value in args.parameter])


@pytest.mark.parametrize("command", [line for line in readme() if not line.endswith("--help")])
def test_every_command_of_the_readme_has_parameters_that_are_taken(command: str) -> None:
    parameters_of(command)


@pytest.mark.parametrize("command", [line for line in readme() if "40_reach" in line or " run " not in line])
def test_commands_of_the_readme_run(command: str, shell: dict[str, str], tmp_path: Path) -> None:
    """The other notebooks' lines name files of parameters/sandbox, with which the notebooks' own tests run them."""
    status, said = paste(command + (f" --out {shlex.quote(str(tmp_path))}" if " run " in command else ""), shell)
    assert status in ((0, 10) if "--fail-on" in command else (0,)), said


def test_the_templates_say_commands_that_are_taken() -> None:
    for file in (ROOT / "parameters").rglob("*.yaml"):
        for line in re.findall(rf"{PROGRAM} run (notebooks/\S+)", file.read_text("utf-8")):
            assert (ROOT / line).is_file(), file


def fixes(session: Session) -> Iterator[tuple[str, Fix]]:
    held = collect([session])
    for file in sorted(REACH.glob("*.yaml")):
        notebook = ROOT / "notebooks/40_reachability_debugging.ipynb"
        given = {name: one.default for name, one in runbook.declared(notebook).items()} | runbook.resolve(
            notebook, file=file
        )
        port = int(given["port"])
        found = nk.reach.propose(
            held, source=given["source"], destination=given["destination"], protocol=given["protocol"], port=port if port > 0 else None, vpc=given["vpc"]
        )  # fmt: skip
        yield from ((file.stem, fix) for fix in found[:1] if fix.works)


@needs_aws
def test_every_fix_of_the_lab_opens_as_printed_and_closes_again(session: Session, shell: dict[str, str]) -> None:
    tried = []
    for name, fix in fixes(session):
        status, said = paste(fix.steps, shell)
        assert status == 0, (name, said)
        opened = fix.question.ask(collect([session]))
        status, said = paste(undo_of(fix.steps), shell)
        assert status == 0, (name, said)
        assert opened.reachable, (name, str(opened))
        tried.append((name, fix))
    now = collect([session])
    assert not [name for name, fix in tried if fix.question.ask(now).reachable]
    assert len(tried) >= 8 and any(len(fix.changes) > 1 for _, fix in tried)


def test_propose_knows_the_vpc_by_whatever_names_it(session: Session) -> None:
    held = collect([session])
    ids = {one.name: one.id for one in nk.reach.network.network.network_of(held).vpcs.values()}
    asked = {"source": "app-1", "destination": "db-primary", "port": 5432}
    by_name, by_id = (
        nk.reach.propose(held, **asked, vpc=vpc) for vpc in ("shop-blocked-database", ids["shop-blocked-database"])
    )
    assert by_name[0].works and by_name[0].changes == by_id[0].changes


@needs_aws
def test_a_plan_runs_as_a_script_and_line_by_line_and_is_taken_back(
    session: Session, shell: dict[str, str], tmp_path: Path
) -> None:
    class Run:
        folder = tmp_path

        def path(self, source: str) -> str:
            return source

    run = Run()
    run.session = session  # type: ignore[attr-defined]
    some = mirrors.chosen(session, names=["web-1"], vpc="vpc-0175aad8ed1b0c914")
    rules = parse_filter(["web: tcp 80"], name="printed $(touch x) 'quoted'")
    plan = mirrors.plan(run, some, "eni-8cda29d9cb2cbbc83", rules, name="printed $(touch x) 'quoted'", number=77)  # type: ignore[arg-type]
    before = set(read.sessions(session)["session_id"])
    for forward, back in (
        (plan.script(), plan.undo_script()),
        ("\n".join(plan.preview()["command"]), "\n".join(reversed(list(plan.preview()["undo"])))),
    ):
        status, said = paste(forward, shell, tmp_path)
        assert status == 0, said
        assert len(set(read.sessions(session)["session_id"]) - before) == 1
        status, said = paste(back, shell, tmp_path)
        assert status == 0, said
        assert set(read.sessions(session)["session_id"]) == before
    assert not (tmp_path / "x").exists()
