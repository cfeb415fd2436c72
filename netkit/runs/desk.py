"""Where notebooks and parameter files are found, and a folder of one's own to work in.

netkit's own notebooks and parameter files have one source, the folders notebooks/ and parameters/ of its repository. A wheel
carries them as package data (setup.py); used from a checkout, they are the checkout's. A *desk* is a folder with a copy of them
that a user works in; it is a project's root, since it holds notebooks/.
"""

from __future__ import annotations

import re
import shutil
import textwrap
from importlib.resources import files
from pathlib import Path

import nbformat

from netkit.core.errors import InputError, ParameterError
from netkit.runs.notebook import project_root
from netkit.runs.runbook import declared

_PARTS = (("notebooks", "[0-9]*.ipynb"), ("parameters", "**/[!.]*.*"))
_LEAD = "notebooks"


def shipped() -> Path:
    """The folder of netkit's own notebooks/ and parameters/: the wheel's, or the checkout's."""
    package = Path(str(files("netkit")))
    packed = package / "_desk"
    return packed if packed.is_dir() else package.parent


def find_notebook(given: str | Path) -> Path:
    """A notebook as a person names it: a path, or a name or number as 21_flow_logs_analysis or 21.

    Looked for from here, then from the project's root, then among netkit's own, so that a printed command resolves from any
    folder. Raises ParameterError, naming those there are.
    """
    found = _find(Path(given)) or _by_name(str(given))
    if found is None or not found.is_file():
        raise ParameterError("there is no such notebook", subject=str(given), hint=f"one of {', '.join(names())}")
    return found


def find_parameters(given: Path) -> Path:
    """A parameter file: from here, then from the project's root, then among netkit's own. As given where there is none."""
    return _find(given) or given


def _find(given: Path) -> Path | None:
    places = (
        given,
        project_root() / given,
        *([shipped() / given] if given.parts[:1] in (("notebooks",), ("parameters",)) else []),
    )
    return next((place for place in places if place.exists()), None)


def _by_name(name: str) -> Path | None:
    if not re.fullmatch(r"\w+", name):
        return None
    for folder in (project_root() / _LEAD, shipped() / _LEAD):
        for path in sorted(folder.glob("*.ipynb")):
            if path.stem == name or path.stem.partition("_")[0] == name:
                return path
    return None


def names() -> list[str]:
    """The notebooks of the project and netkit's own, by name."""
    return sorted({path.stem for root in (project_root(), shipped()) for path in (root / _LEAD).glob("*.ipynb")})


def notebook_help(notebook: Path) -> str:
    """A notebook's question and its parameters with type, default and help. Raises ParameterError as declared() does."""
    known = declared(notebook)
    book = nbformat.read(notebook, as_version=4)
    heads = (re.match(r"#\s+(.+)", cell.source) for cell in book.cells if cell.cell_type == "markdown")
    lines = [f"{notebook.name}: {next((head[1] for head in heads if head), '')}", ""]
    lines.append("parameters (-p NAME VALUE, or a line `NAME: VALUE` of the YAML file for -f):")
    wide = max((len(one.name) for one in known.values()), default=0)
    for one in known.values():
        lines.append(f"  {one.name:{wide}}  {one.kind} = {one.default!r}")
        lines += textwrap.wrap(one.help, 100, initial_indent=" " * (wide + 4), subsequent_indent=" " * (wide + 4))
    return "\n".join(lines)


def new_desk(folder: Path) -> list[Path]:
    """Make a folder to work in: the notebooks, the parameter files, a README, a .gitignore. Returns the files made.

    Raises InputError for a folder that exists and is not empty, and for one that cannot be made: nothing is overwritten.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(
                "that folder exists and is not empty; nothing was written",
                subject=str(folder),
                hint="choose another name",
            )
        return _laid_out(folder)
    except OSError as problem:
        raise InputError(f"the folder cannot be made: {problem.strerror}", subject=str(folder)) from None


def _laid_out(folder: Path) -> list[Path]:
    made = []
    for part, pattern in _PARTS:
        source = shipped() / part
        for path in sorted(source.glob(pattern)):
            target = folder / part / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            made.append(target)
    for name, text in (("README.md", _readme()), (".gitignore", "runs/\n.ipynb_checkpoints/\n")):
        (folder / name).write_text(text, "utf-8")
        made.append(folder / name)
    return made


def _readme() -> str:
    return files("netkit").joinpath("runs/desk.md").read_text("utf-8")
