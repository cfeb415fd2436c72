"""Command lines: netkit's own, as findings print them, and the words of an `aws` one, as people paste them. Pure.

What is printed can be run: every command of netkit's in a finding, a plan or a message is made by run_command() or
teardown_command(), which quote others' words (names, tags, file names) for a shell. `netkit run` finds a notebook of the
project from any folder of it, and netkit's own notebooks from every folder, so `notebooks/NAME.ipynb` resolves wherever it is pasted.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime

from netkit.core.errors import InputError

PROGRAM = "python -m netkit"


def run_command(notebook: str, **parameters: object) -> str:
    """The command line that runs a notebook, as run_command("40_reachability_debugging", source="web", port=443).

    A parameter that is None is left out, a list is given as its items between commas (as JSON where one holds a comma).
    """
    words = [f"notebooks/{notebook}.ipynb"]
    for name, value in parameters.items():
        if value is not None:
            words += ["-p", name, _text(value)]
    return f"{PROGRAM} run {shlex.join(words)}"


def teardown_command(
    run_id: str, *, target: str = "sandbox", account_id: str = "", region: str = "", profile: str = ""
) -> str:
    """The command line that takes back what a run made, there where it was made."""
    words = [run_id]
    if target != "sandbox":
        words += ["--target", target, "--account-id", account_id]
    if region and (target, region) != ("sandbox", "us-east-1"):
        words += ["--region", region]
    if profile:
        words += ["--profile", profile]
    return f"{PROGRAM} teardown {shlex.join(words)} --armed"


def incident_command(
    source: str, destination: str, protocol: str, port: int, *, vpc: str | None = None, start: datetime, end: datetime
) -> str:
    """The command line that opens the incident notebook on two ends, a service (port 0 or less for none) and a window."""
    moments = {"window_start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "window_end": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
    service = {"protocol": protocol, "port": max(port, 0)}
    return run_command("50_incident", source=source, destination=destination, **service, vpc=vpc or "", **moments)


def placed(text: str, *, target: str, account_id: str = "", region: str = "", profile: str = "") -> str:
    """A next step with its command lines going where the run was: netkit's by their parameters, `aws` ones by their options."""
    own = {"target": target, "account_id": account_id, "profile": profile} if target != "sandbox" else {}
    if region and (own or region != "us-east-1"):
        own["region"] = region
    words = [word for name, value in own.items() if value for word in ("-p", name, value)]
    options = {"--region": region, "--profile": profile if target != "sandbox" else ""}
    return "\n".join(_placed(line, words, options) for line in text.split("\n"))


def _placed(line: str, words: Sequence[str], options: Mapping[str, str]) -> str:
    if line.startswith(f"{PROGRAM} run "):
        return " ".join([line, shlex.join(words)]) if words and " -p target " not in line else line
    if not line.removeprefix("# ").startswith("aws "):
        return line
    missing = [word for name, value in options.items() if value and f" {name} " not in line for word in (name, value)]
    return " ".join([line, shlex.join(missing)]) if missing else line


def _text(value: object) -> str:
    """A value as the runner reads it back."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        items = [str(item) for item in value]
        plain = all(item and item == item.strip() and "," not in item for item in items)
        return ",".join(items) if plain and not (items and items[0].startswith("[")) else json.dumps(items)
    return str(value)


def command_lines(text: str) -> list[str]:
    """The lines of a text, those that end in a backslash joined with the next."""
    return text.replace("\\\n", " ").splitlines()


def command_words(line: str) -> list[str]:
    """The words of a command line as a shell parts them. Raises InputError for an open quote."""
    try:
        return shlex.split(line)
    except ValueError:
        raise InputError(f"the command has an open quote: {line.strip()[:80]}", hint="close it") from None


def one_value(option: str, values: Sequence[str]) -> str:
    """The value of an option that takes one. Raises InputError for none, and for several."""
    if len(values) != 1:
        raise InputError(f"{option} takes one value, and has {len(values)}", hint="quote it")
    return values[0]


def command_options(words: Sequence[str], *, hint: str = "as --name VALUE") -> list[tuple[str, list[str]]]:
    """The options of a command line with their values, in its order: the words behind `aws SERVICE OPERATION`.

    Raises InputError, with the hint, for a word before any option.
    """
    held: list[tuple[str, list[str]]] = []
    for word in words:
        option, equals, value = word.partition("=")
        if word.startswith("--"):
            held.append((option, [value] if equals else []))
        elif held:
            held[-1][1].append(word)
        else:
            raise InputError(f"{word[:60]!r} stands before any option", hint=hint)
    return held
