"""What a shell offers behind `netkit`: argcomplete reads the command line's own parser; notebooks and their parameters are ours."""

from __future__ import annotations

import argparse
from typing import Any

import argcomplete
from argcomplete.completers import FilesCompleter

from netkit.core.errors import ParameterError
from netkit.runs.desk import find_notebook, names
from netkit.runs.runbook import declared


def answer(parser: argparse.ArgumentParser) -> None:
    """Answer the shell that asks, and end the process. Does nothing where none asks."""
    subparsers = next(one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    for sub in subparsers.choices.values():
        for action in sub._actions:
            if action.dest == "notebook":
                _completes(action, _notebooks)
            if action.dest == "parameter":
                _completes(action, _parameters)
    argcomplete.autocomplete(parser)


def _completes(action: argparse.Action, how: Any) -> None:
    vars(action)["completer"] = how  # where argcomplete looks for it


def _notebooks(prefix: str, **_: Any) -> list[str]:
    return [*names(), *FilesCompleter(("ipynb",))(prefix)]


def _parameters(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    try:
        return list(declared(find_notebook(parsed_args.notebook or "")))
    except ParameterError:
        return []
