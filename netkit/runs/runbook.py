"""The strict runner: a notebook with checked parameters, headless, to findings, an exit status and one offline page.

It adds to papermill what that lacks: papermill only warns of an unknown parameter, and YAML turns the account id
000123456701 into an octal number, so values are read as text and coerced to the types that the notebook declares.
"""

from __future__ import annotations

import ast
import difflib
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import nbformat
import yaml

from netkit.core.errors import (
    FindingError,
    InputError,
    NotebookFailed,
    NotebookRefused,
    ParameterError,
    input_errors,
    looks_secret,
    redact,
)
from netkit.core.model import SEVERITIES, Coverage, Finding, Severity
from netkit.core.text import redacted
from netkit.runs.notebook import FINDINGS_MIME, FINDINGS_VERSION, is_files, project_root
from netkit.runs.refuse import refuse

RAN, FAILED, BAD_PARAMETERS, BAD_FINDINGS, FOUND = 0, 1, 2, 3, 10
_TYPES = ("str", "int", "float", "bool", "list[str]", "list[int]")
_SECRET_NAME = re.compile(r"secret|password|passwd|token|private_?key|access_?key|credential", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"REPLACE[_ ]ME|<[^>]+>|CHANGE[_ ]ME|^TODO$", re.IGNORECASE)


@dataclass(frozen=True)
class Declared:
    """A parameter that a notebook declares: name, type, default, help, and the line it stands on."""

    name: str
    kind: str
    default: Any
    help: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a run came to: its folder, exit status and findings."""

    folder: Path
    status: int
    findings: tuple[Finding, ...]

    @property
    def report(self) -> Path:
        """The page that a person opens."""
        return self.folder / "report.html"


def declared(notebook: Path) -> dict[str, Declared]:
    """The parameters of a notebook: the assignments `name: type = literal  # help` of its cell tagged "parameters".

    Raises ParameterError for a notebook that cannot be read or has no such cell, and for a line of another form.
    """
    try:
        book = nbformat.read(notebook, as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError) as problem:
        raise ParameterError(f"the notebook cannot be read: {problem}", subject=str(notebook)) from None
    cells = [cell for cell in book.cells if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ParameterError(f"{len(cells)} cells are tagged parameters; one is needed", subject=str(notebook))
    lines = cells[0].source.splitlines()
    found: dict[str, Declared] = {}
    for node in ast.parse(cells[0].source).body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None):
            raise ParameterError(
                f"line {node.lineno} of the parameters is not `name: type = literal`", subject=str(notebook)
            )
        kind = ast.unparse(node.annotation)
        if kind not in _TYPES:
            raise ParameterError(
                f"parameter {node.target.id} has the type {kind}",
                subject=str(notebook),
                hint=f"one of {', '.join(_TYPES)}",
            )
        help_text = lines[node.lineno - 1].partition("  #")[2].strip()
        found[node.target.id] = Declared(node.target.id, kind, ast.literal_eval(node.value), help_text)
    return found


class _Text(yaml.BaseLoader):
    """YAML with every value as text. A key that stands twice is refused: which one was meant cannot be known."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping, its keys all different."""
        keys = [one.value for one, _ in node.value]
        for key, where in zip(keys, node.value, strict=True):
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key} stands twice", where[0].start_mark)
        return super().construct_mapping(node, deep)

    def construct_scalar(self, node: yaml.ScalarNode) -> str:
        """A scalar as text. A bare null is no value of any parameter; the empty text is how "none" is written."""
        if node.style is None and node.value in ("~", "null", "Null", "NULL"):
            raise yaml.constructor.ConstructorError(None, None, 'null is no value; write ""', node.start_mark)
        return str(super().construct_scalar(node))


def read_file(path: Path) -> dict[str, Any]:
    """The keys of a YAML parameter file, every value as text. Raises ParameterError for a file that is none."""
    try:
        values = yaml.load(path.read_text("utf-8"), Loader=_Text)  # noqa: S506  (BaseLoader makes text only)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as problem:
        raise ParameterError(
            f"the parameter file cannot be read: {' '.join(str(problem).split())[:200]}", subject=str(path)
        ) from None
    if values in (None, ""):
        return {}
    if not isinstance(values, dict):
        raise ParameterError("a parameter file is a list of `name: value`", subject=str(path))
    for name, value in values.items():
        if _too_deep(value):
            raise ParameterError(
                f"{str(name)[:60]} is nested too deeply",
                subject=str(path),
                hint="a value is a word, a number or a list of such",
            )
    return values


def _too_deep(value: Any, most: int = 9) -> bool:
    """Whether lists or mappings stand in each other more often than any message could show."""
    level = [value]
    for _ in range(most):
        level = [
            one
            for held in level
            for one in (held.values() if isinstance(held, dict) else held if isinstance(held, list) else ())
        ]
    return bool(level)


def resolve(notebook: Path, *, file: Path | None = None, pairs: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """The values of a run, typed as the notebook declares. Raises ParameterError, naming file, key and declared names."""
    known = declared(notebook)
    values = _checked(known, read_file(file), str(file)) if file else {}
    values |= _checked(known, dict(pairs), "-p")
    return _whole_files(known, values) | values


def _whole_files(known: Mapping[str, Declared], given: Mapping[str, Any]) -> dict[str, Any]:
    """The window of files that are given without one is their own: the notebook's default is that of its default source."""
    source = given.get("source", "")
    spans = [name for name in ("window_start", "window_end", "baseline_start") if name in known]
    if not isinstance(source, str) or not is_files(source) or set(spans) & set(given):
        return {}
    return dict.fromkeys((name for name in spans if known[name].kind == "str"), "")


def _checked(known: Mapping[str, Declared], given: Mapping[str, Any], source: str) -> dict[str, Any]:
    values = {}
    for key, value in given.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = (f"did you mean {near[0]}? " if near else "") + f"declared: {', '.join(known)}"
            raise ParameterError(f"{key!r} is not a parameter of this notebook", subject=f"{source}: {key}", hint=hint)
        if _SECRET_NAME.search(key) or any(map(looks_secret, _texts(value))):
            raise ParameterError(
                f"{key} looks like a secret; parameters are stored in the report",
                subject=f"{source}: {key}",
                hint="use a profile",
            )
        if any(_PLACEHOLDER.search(one) for one in _texts(value)):
            raise ParameterError(
                f"{key} still holds a placeholder",
                subject=f"{source}: {key}",
                hint="fill in the template, or leave the line out",
            )
        values[key] = _typed(known[key], value, source)
    return values


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _typed(one: Declared, value: Any, source: str) -> Any:
    """A text as the declared type. Raises ParameterError."""
    try:
        return _coerced(one.kind, value)
    except (ValueError, TypeError, RecursionError):
        shown = redact(str(value))[:80]
        raise ParameterError(
            f"{one.name}: {shown!r} is not {one.kind}",
            subject=f"{source}: {one.name}",
            hint=one.help or f"default: {one.default!r}",
        ) from None


def _coerced(kind: str, value: Any) -> Any:
    if kind.startswith("list"):
        items = value if isinstance(value, list) else _list(str(value))
        if any(isinstance(item, list | dict) for item in items):
            raise TypeError
        return [_coerced(kind[5:-1], item) for item in items]
    if isinstance(value, list | dict):
        raise TypeError
    text = str(value)
    if kind == "str":
        return text
    if kind == "bool":
        return (
            {"true": True, "yes": True, "false": False, "no": False}[text.strip().lower()]
            if text.strip().lower() in ("true", "yes", "false", "no")
            else _fail()
        )
    if kind == "int":
        return int(text) if re.fullmatch(r"[+-]?\d+", text.strip(), re.ASCII) else _fail()
    return float(text)


def _fail() -> Any:
    raise ValueError


def _list(text: str) -> list[str]:
    """A list in a word of the command line: JSON, or parts between commas."""
    if text.strip().startswith("["):
        items = json.loads(text)
        if any(not isinstance(item, str | int | float) for item in items):
            raise TypeError
        return [json.dumps(item) if isinstance(item, bool) else str(item) for item in items]
    return [part.strip() for part in text.split(",") if part.strip()]


# -------------------------------------------------------------------------------------------------------------- run


def run(
    notebook: Path,
    *,
    file: Path | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    out: Path | None = None,
    fail_on: Severity | None = None,
    progress: bool = True,
    refuse_more: Callable[[Mapping[str, Any]], None] = lambda parameters: None,
) -> Outcome:
    """Run a notebook: DIR/notebook.ipynb, report.html, findings.json, params.json (of an earlier run, replaced).

    Raises an InputError before anything runs, NotebookRefused when the notebook did (an InputError in a cell), NotebookFailed
    when it raised anything else (the partial notebook is kept for both), FindingError when it did not publish findings as it should.
    """
    from netkit.runs.report import write_report

    values = resolve(notebook, file=file, pairs=pairs)
    parameters = {name: one.default for name, one in declared(notebook).items()} | values
    refuse(parameters, project_root())
    refuse_more(parameters)
    folder = _folder(out or project_root() / "runs" / f"{notebook.stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    (folder / "params.json").write_text(json.dumps(parameters, indent=1), "utf-8")
    kept, page = folder / "notebook.ipynb", folder / "report.html"
    problem = _execute(notebook, kept, values, progress)
    _without_secrets(kept)
    if problem:
        write_report(kept, page, parameters=parameters, problem=problem.words)
        raise problem.kind(
            problem.words, subject=str(kept), hint="the partial notebook and report.html show how far it came"
        )
    try:
        findings = read_findings(kept)
    except FindingError as error:
        write_report(kept, page, parameters=parameters, problem=error.what)
        raise
    (folder / "findings.json").write_text(json.dumps([one.as_dict() for one in findings], indent=1), "utf-8")
    write_report(kept, page, parameters=parameters, findings=findings)
    hit = fail_on is not None and any(one.status == "confirmed" and one.at_least(fail_on) for one in findings)
    return Outcome(folder, FOUND if hit else RAN, findings)


def _folder(folder: Path) -> Path:
    """The folder of a run, made and emptied of an earlier run's files: stale findings must not pass for this run's."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("notebook.ipynb", "report.html", "findings.json", "params.json"):
            (folder / name).unlink(missing_ok=True)
    except OSError as problem:
        raise ParameterError(
            f"the run's folder cannot be written: {problem.strerror}", subject=str(folder), hint="choose another --out"
        ) from None
    return folder


class _Problem(NamedTuple):
    kind: type[NotebookFailed]
    words: str


def _execute(notebook: Path, kept: Path, values: Mapping[str, Any], progress: bool) -> _Problem | None:
    """Run the cells; None or, in a line, why that ended early."""
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    # The kernel's notes on its own transport are not news to a scheduler.
    quiet = ["--log-level=ERROR"]
    try:
        with _stoppable(), _transport() as transport:
            papermill.execute_notebook(
                str(notebook),
                str(kept),
                parameters=dict(values),
                progress_bar=progress,
                log_output=False,
                extra_arguments=quiet,
                **transport,
            )
    except PapermillExecutionError as error:
        kind = NotebookRefused if error.ename in input_errors() else NotebookFailed
        return _Problem(kind, _first_lines(error, injected=bool(values)))
    except KeyboardInterrupt:
        return _Problem(NotebookFailed, "the run was stopped (SIGINT or SIGTERM) before the notebook came to its end")
    except (DeadKernelError, CellTimeoutError) as error:
        return _Problem(NotebookFailed, f"the kernel ended before the notebook did: {str(error).splitlines()[0]}")
    return None


@contextmanager
def _stoppable() -> Iterator[None]:
    """A scheduler's SIGTERM ends a run as Ctrl-C does, so that what was done is kept and told."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, stop) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _without_secrets(kept: Path) -> None:
    """Blank out key material in the notebook that is kept: what a tag or a log line held shows in its outputs."""
    if kept.exists():
        book = nbformat.read(kept, as_version=4)  # its texts are whole here: in the file they stand line by line
        nbformat.write(nbformat.from_dict(redacted(book)), kept)


@contextmanager
def _transport() -> Iterator[dict[str, Any]]:
    """How runner and kernel talk: by sockets in a private folder, where there are such.

    Ports of TCP are chosen before the kernel takes them, so of two runs that start together one could lose its kernel.
    """
    from jupyter_client.manager import AsyncKernelManager
    from traitlets.config import Config

    class Quiet(AsyncKernelManager):
        """Its kernel's own last words, when it is stopped, are not those of the run."""

        async def _async_start_kernel(self, **options: Any) -> None:
            await super()._async_start_kernel(**options | {"stderr": subprocess.DEVNULL})

        start_kernel = _async_start_kernel

    if os.name == "nt":
        yield {}
        return
    with TemporaryDirectory(prefix="netkit-") as folder:
        config = Config(KernelManager={"transport": "ipc", "ip": f"{folder}/kernel"})
        yield {"config": config, "kernel_manager_class": Quiet}


def _first_lines(error: Any, *, injected: bool) -> str:
    """Which cell raised, as a person finds it, and the name and words of its error, without the traceback.

    Its place is counted in the notebook that was run: papermill puts a cell of its own before it for the parameters.
    """
    value = redact(str(error.evalue))
    if "\n" in value or value.startswith("on: "):
        value = "; ".join(line for line in value.splitlines() if line)
    place = error.cell_index + (0 if injected else 1)
    return f"cell In [{error.exec_count}], number {place} from the top: {error.ename}: {value}"[:600]


def read_findings(notebook: Path) -> tuple[Finding, ...]:
    """The findings that an executed notebook published. Raises FindingError unless its last code cell did so, once."""
    book = nbformat.read(notebook, as_version=4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    published = [
        (number, output.data[FINDINGS_MIME])
        for number, cell in enumerate(code)
        for output in cell.outputs
        if FINDINGS_MIME in output.get("data", {})
    ]
    if len(published) != 1:
        raise FindingError(
            f"the notebook published findings {len(published)} times; once is the contract",
            subject=str(notebook),
            hint="its last cell calls nk.publish([...])",
        )
    number, body = published[0]
    if number != len(code) - 1:
        raise FindingError(
            "findings were published before the last code cell", subject=str(notebook), hint="call nk.publish last"
        )
    if body.get("version") != FINDINGS_VERSION or not isinstance(body.get("findings"), list) or not body["findings"]:
        raise FindingError("the findings are not of the version that this runner reads", subject=str(notebook))
    try:
        return tuple(finding_from(one) for one in body["findings"])
    except (TypeError, KeyError, AttributeError, InputError) as problem:
        raise FindingError(f"a finding lacks what the contract asks: {problem}", subject=str(notebook)) from None


def finding_from(values: Mapping[str, Any]) -> Finding:
    """A Finding from its JSON values; raises what its constructor raises."""
    rest = {name: value for name, value in values.items() if name != "coverage"}
    return Finding(**rest, coverage=tuple(Coverage(**row) for row in values.get("coverage", ())))


def severity(text: str) -> Severity:
    """A severity from text. Raises ParameterError."""
    for one in SEVERITIES:
        if one == text:
            return one
    raise ParameterError(f"--fail-on {text!r} is none of {', '.join(SEVERITIES)}")
