"""The command line: run a notebook, the sandbox, take down what a plan made, the demonstration."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from netkit.core.errors import FindingError, InputError, NetkitError

DEMO = (
    "00_start_here",
    "10_cloudwatch_monitoring",
    "20_flow_logs_provision",
    "21_flow_logs_analysis",
    "30_mirror_provision",
    "31_mirror_verification",
    "40_reachability_debugging",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 ran, 1 failed, 2 bad input, 3 findings contract broken, 10 found."""
    args = _parser().parse_args(argv)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m netkit", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run a notebook headless: exit status, findings, one offline page")
    run.add_argument("notebook", type=Path)
    run.add_argument("-f", "--file", type=Path, help="YAML file of parameters")
    run.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    run.add_argument("--out", type=Path, help="folder for what it writes (default: runs/NOTEBOOK-TIME)")
    run.add_argument(
        "--fail-on", default="", metavar="SEVERITY", help="exit 10 on a confirmed finding of this severity or higher"
    )
    run.set_defaults(call=_run)
    sandbox = commands.add_parser("sandbox", help="the local AWS")
    sandbox.add_argument("do", choices=("up", "status", "down"))
    sandbox.set_defaults(call=_sandbox)
    down = commands.add_parser("teardown", help="remove what a plan made")
    down.add_argument("run_id", help="the id that the plan showed; its ledger is runs/ledger/ID.jsonl")
    down.add_argument("--ledger", type=Path, default=Path("runs/ledger"), metavar="FOLDER", help="where that ledger is")
    down.add_argument("--armed", action="store_true", help="do it; without this it only shows")
    for name, default in (("target", "sandbox"), ("region", "us-east-1"), ("profile", ""), ("account-id", "")):
        down.add_argument(f"--{name}", default=default)
    down.set_defaults(call=_teardown)
    demo = commands.add_parser("demo", help="run the notebooks in the sandbox and show findings and reports")
    demo.add_argument("--out", type=Path, default=Path("runs") / "demo")
    demo.set_defaults(call=_demo)
    return parser


def _run(args: argparse.Namespace) -> int:
    from netkit.runs import runbook

    fail_on = runbook.severity(args.fail_on) if args.fail_on else None
    pairs = [(name, value) for name, value in args.parameter]
    outcome = runbook.run(args.notebook, file=args.file, pairs=pairs, out=args.out, fail_on=fail_on)
    for one in outcome.findings:
        _out(one)
    _out(f"report: {outcome.report}")
    return outcome.status


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
    from netkit.core.plan import made, teardown
    from netkit.core.session import connect

    if not args.armed:
        _out(made(args.run_id, folder=args.ledger).to_string(index=False))
        _out("nothing was removed; --armed does it")
        return 0
    session = connect(target=args.target, region=args.region, profile=args.profile, account_id=args.account_id)
    _out(teardown(session, args.run_id, folder=args.ledger, armed=True).to_string(index=False))
    return 0


def _demo(args: argparse.Namespace) -> int:
    from netkit import sandbox
    from netkit.runs import runbook
    from netkit.runs.notebook import project_root

    _out(sandbox.ensure())
    root = project_root()
    outcomes = []
    for name in DEMO:
        _out(f"\n{name}")
        outcomes.append(
            runbook.run(
                root / "notebooks" / f"{name}.ipynb",
                file=root / "parameters/sandbox" / f"{name}.yaml",
                out=args.out / name,
            )
        )
    _out("\nFindings")
    for outcome in outcomes:
        for one in outcome.findings:
            _out(f"  {one.severity:8} {one.status:12} {one.code:24} {one.claim[:150]}")
    _out("\nReports")
    for outcome in outcomes:
        _out(f"  {outcome.report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
