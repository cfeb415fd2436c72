# PYTHON_ARGCOMPLETE_OK
"""The command line: run a notebook, the sandbox, take down what a plan made, the demonstration."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netkit.core.errors import FindingError, InputError, NetkitError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

DEMO = (
    "00_start_here",
    "10_cloudwatch_monitoring",
    "20_flow_logs_provision",
    "21_flow_logs_analysis",
    "30_mirror_provision",
    "31_mirror_verification",
    "40_reachability_debugging",
    "50_incident",
)
_COMPLETION = """COMMAND --help has an example of each; python -m netkit is the same as netkit.
completion in bash and zsh:  eval "$(register-python-argcomplete netkit)\""""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 ran, 1 failed, 2 bad input, 3 findings contract broken, 10 found."""
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what could follow
        from netkit.runs import completion

        completion.answer(_parser())
    args = _parse(argv)
    # Kernels are told where the project is, and not to try frozen modules' debugger, which prints a warning in every run.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    try:
        status: int = args.call(args)
    except InputError as error:
        return _say(error, 2)
    except FindingError as error:
        return _say(error, 3)
    except NetkitError as error:
        return _say(error, 1)
    except KeyboardInterrupt:
        return _say("interrupted", 130)
    return status


def _say(error: NetkitError | str, status: int) -> int:
    print(error, file=sys.stderr)  # noqa: T201
    return status


def _out(text: object) -> None:
    print(text)  # noqa: T201


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments. What follows -p NAME is a value whatever it starts with; argparse would take -x for an option."""
    words = list(sys.argv[1:] if argv is None else argv)
    pairs = []
    while words[:1] == ["run"] and (at := _pair_at(words)):
        pairs.append(words[at + 1 : at + 3])
        del words[at : at + 3]
    args = _parser().parse_args(words)
    if pairs:
        args.parameter = pairs
    return args


def _pair_at(words: Sequence[str]) -> int:
    """Where `-p NAME VALUE` stands, or 0."""
    found = (at for at, word in enumerate(words) if word in ("-p", "--parameter") and len(words) >= at + 3)
    return next(found, 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="netkit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=_COMPLETION
    )
    parser.add_argument("--version", action="version", version=f"netkit {_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_run, _add_new, _add_lab, _add_demo, _add_sandbox, _add_teardown):
        add(commands)
    return parser


def _version() -> str:
    try:
        return version("netkit")
    except PackageNotFoundError:
        return "(not installed: used from its folder)"


def _command(
    commands: Commands, name: str, what: str, example: str, call: Callable[[argparse.Namespace], int], **more: Any
) -> argparse.ArgumentParser:
    """A subcommand: its help ends with an example of it."""
    parser = commands.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}.", epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter, **more,
    )  # fmt: skip
    parser.set_defaults(call=call, parser=parser)
    return parser


def _add_run(commands: Commands) -> None:
    run = _command(
        commands, "run", "run a notebook headless: exit status, findings, one offline page",
        "netkit run notebooks/21_flow_logs_analysis.ipynb -f parameters/sandbox/21_flow_logs_analysis.yaml --fail-on high", _run,
        add_help=False, usage="netkit run NOTEBOOK [-f FILE] [-p NAME VALUE]... [--out DIR] [--fail-on SEVERITY]",
    )  # fmt: skip
    run.add_argument("-h", "--help", action="store_true", help="this; behind a NOTEBOOK, that notebook's parameters")
    run.add_argument("notebook", nargs="?", metavar="NOTEBOOK", help="a path, or a name or number as 21")
    run.add_argument("-f", "--file", type=Path, help="YAML file of parameters")
    run.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    run.add_argument("--out", type=Path, help="folder for what it writes (default: runs/NOTEBOOK-TIME of the project)")
    run.add_argument(
        "--fail-on", default="", metavar="SEVERITY", help="exit 10 on a confirmed finding of this severity or higher"
    )


def _add_new(commands: Commands) -> None:
    what = "make a folder to work in, with the notebooks and parameter files"
    new = _command(commands, "new", what, "netkit new my-desk", _new)
    new.add_argument("folder", type=Path, metavar="DIR", help="a folder that does not exist, or is empty")


def _add_lab(commands: Commands) -> None:
    what = "JupyterLab over the project's folder, on this machine only"
    lab = _command(commands, "lab", what, "netkit lab 40 --no-browser", _lab)
    lab.add_argument(
        "notebook", nargs="?", default="00_start_here", metavar="NOTEBOOK", help="what to open (00_start_here)"
    )
    lab.add_argument("--ip", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    lab.add_argument("--port", type=int, default=8888, help="port, or the next free one (8888)")
    lab.add_argument("--no-browser", action="store_true", help="print the address and open nothing")


def _add_demo(commands: Commands) -> None:
    what = "run the notebooks in the sandbox and show findings and reports"
    demo = _command(commands, "demo", what, "netkit demo --out runs/demo", _demo)
    demo.add_argument("--out", type=Path, help="folder for the reports (default: runs/demo of the project)")


def _add_sandbox(commands: Commands) -> None:
    sandbox = _command(commands, "sandbox", "the local AWS", "netkit sandbox up", _sandbox)
    sandbox.add_argument("do", choices=("up", "status", "down"))


def _add_teardown(commands: Commands) -> None:
    example = "netkit teardown nk-0123456789ab --armed"
    down = _command(commands, "teardown", "remove what a plan made", example, _teardown)
    down.add_argument(
        "run_id",
        help="the id that the plan showed; its ledger is runs/ledger/ID.jsonl; without one, what carries its tag",
    )
    down.add_argument(
        "--ledger", type=Path, metavar="FOLDER", help="where that ledger is (default: runs/ledger of the project)"
    )
    down.add_argument("--armed", action="store_true", help="do it; without this it only shows")
    for name, default in (("target", "sandbox"), ("region", "us-east-1"), ("profile", ""), ("account-id", "")):
        down.add_argument(f"--{name}", default=default)


def _run(args: argparse.Namespace) -> int:
    from netkit.runs import desk, runbook

    if args.help and not args.notebook:
        args.parser.print_help()
        return 0
    if not args.notebook:
        args.parser.error("the following arguments are required: NOTEBOOK")
    notebook = desk.find_notebook(args.notebook)
    if args.help:
        _out(desk.notebook_help(notebook))
        return 0
    from netkit.investigate.words import refuse_words  # after what needs no wing: they take a second to load

    fail_on = runbook.severity(args.fail_on) if args.fail_on else None
    pairs = [(name, value) for name, value in args.parameter]
    file = desk.find_parameters(args.file) if args.file else None
    outcome = runbook.run(notebook, file=file, pairs=pairs, out=args.out, fail_on=fail_on, refuse_more=refuse_words)
    for one in outcome.findings:
        _out(one)
    _out(f"report: {_shown(outcome.report)}")
    return outcome.status


def _shown(path: Path) -> Path:
    """A path as it is best opened from here."""
    return path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path


def _new(args: argparse.Namespace) -> int:
    from netkit.runs import desk

    made = desk.new_desk(args.folder)
    _out(f"{args.folder}: {len(made)} files; next: cd {shlex.quote(str(args.folder))} && netkit lab")
    return 0


def _lab(args: argparse.Namespace) -> int:
    from netkit.runs import desk, lab
    from netkit.runs.notebook import project_root

    root = project_root().absolute()
    command = lab.lab_command(
        root, desk.find_notebook(args.notebook), ip=args.ip, port=args.port, browser=not args.no_browser
    )
    for line in lab.warnings_for(args.ip):
        _say(line, 0)
    sys.stdout.flush()
    os.chdir(root)
    os.execve(command[0], command, lab.lab_environment(root))  # noqa: S606  (our own interpreter; signals and status are then its own)
    return 0


def _sandbox(args: argparse.Namespace) -> int:
    from netkit import sandbox

    if args.do == "up":
        running = sandbox.up()
        _out(running)
        _out(
            f"export AWS_ENDPOINT_URL={running.endpoint} AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing AWS_DEFAULT_REGION={running.region}"
        )
        return 0
    if args.do == "down":
        _out("the sandbox is down" if sandbox.down() else "no sandbox was running")
        return 0
    status = sandbox.status()
    _out(status or "no sandbox is running")
    return 0 if status else 1


def _teardown(args: argparse.Namespace) -> int:
    from netkit.core.plan import LEDGER_FOLDER, made, teardown
    from netkit.core.session import connect
    from netkit.core.tagged import without_ledger
    from netkit.runs.notebook import project_root

    ledger = args.ledger or project_root() / LEDGER_FOLDER
    if without_ledger(args.run_id, ledger):
        return _teardown_tagged(args, ledger)
    if not args.armed:
        _out(made(args.run_id, folder=ledger).to_string(index=False))
        _out("nothing was removed; --armed does it")
        return 0
    session = connect(target=args.target, region=args.region, profile=args.profile, account_id=args.account_id)
    _out(teardown(session, args.run_id, folder=ledger, armed=True).to_string(index=False))
    return 0


def _teardown_tagged(args: argparse.Namespace, ledger: Path) -> int:
    from netkit import sandbox
    from netkit.core.errors import InputError
    from netkit.core.session import connect
    from netkit.core.tagged import NOT_BY_TAG, tagged, teardown_tagged

    nothing = InputError(
        f"there is no ledger of a run {args.run_id!r}, and nothing carries its tag in {args.target}, {args.region}",
        subject=str(_shown(ledger)), hint="its id is in the plan, and in the netkit:run tag; --region and --target say where to look",
    )  # fmt: skip
    if args.target == "sandbox" and not sandbox.status():
        raise nothing  # what a sandbox held has gone with it
    session = connect(target=args.target, region=args.region, profile=args.profile, account_id=args.account_id)
    found = teardown_tagged(session, args.run_id, folder=ledger, armed=True) if args.armed else tagged(session, args.run_id)  # fmt: skip
    if found.empty:
        raise nothing
    _out(f"there is no ledger of {args.run_id} in {_shown(ledger)}; by its tag, in {session}:")
    _out(found.to_string(index=False))
    _out("not found by a tag: " + "; ".join(NOT_BY_TAG))
    if not args.armed:
        _out("nothing was removed; --armed does it")
    return 0


def _demo(args: argparse.Namespace) -> int:
    from netkit import sandbox
    from netkit.runs import desk, runbook
    from netkit.runs.notebook import project_root

    _out(sandbox.ensure())
    out = args.out or project_root() / "runs" / "demo"
    outcomes = []
    for name in DEMO:
        _out(f"\n{name}")
        file = desk.find_parameters(Path("parameters/sandbox", f"{name}.yaml"))
        outcomes.append(runbook.run(desk.find_notebook(name), file=file, out=out / name))
    _out("\nFindings")
    for outcome in outcomes:
        for one in outcome.findings:
            _out(f"  {one.severity:8} {one.status:12} {one.code:24} {one.claim[:150]}")
    _out("\nReports")
    for outcome in outcomes:
        _out(f"  {_shown(outcome.report)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
