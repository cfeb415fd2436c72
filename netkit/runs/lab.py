"""JupyterLab over a whole project: how it is started, and how a checkout stays clean while its notebooks are worked in.

In a git checkout the notebooks in notebooks/ are written to disk bare, and what they showed is kept in runs/lab/ and shown again when
they are opened: outputs never become a change, edits do. (A clean filter of git does not do: with git 2.39 a file whose size differs is
listed as modified by `git status`, and stops `git pull`, though the filtered text is the same. A working copy would hide edits,
and go stale when the notebooks are updated.)
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from netkit.core.errors import InputError
from netkit.core.extras import need

START = Path("notebooks/00_start_here.ipynb")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def lab_command(
    root: Path, notebook: Path, *, ip: str = "127.0.0.1", port: int = 8888, browser: bool = True
) -> list[str]:
    """The command line that serves a project's folder and opens a notebook of it.

    Raises MissingExtra without JupyterLab, InputError for a notebook that does not lie in the folder.
    """
    need("lab", "netkit lab")
    if not notebook.is_file() or not notebook.resolve().is_relative_to(root.resolve()):
        raise InputError(
            "no such notebook in this project",
            subject=str(notebook),
            hint="netkit new my-desk, and netkit lab in there",
        )
    shown = notebook.resolve().relative_to(root.resolve()).as_posix()
    options = [
        f"--ServerApp.root_dir={root}", f"--ip={ip}", f"--port={port}", f"--LabApp.default_url=/lab/tree/{shown}",
        "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    if (root / ".git").exists():
        options.append("--ServerApp.contents_manager_class=netkit.runs.contents.BareContents")
    if _is_root():
        options.append("--allow-root")
    return [sys.executable, "-m", "jupyterlab", *options, *([] if browser else ["--no-browser"])]


def lab_environment(root: Path) -> dict[str, str]:
    """What kernels and terminals of that JupyterLab are told: the project's root, and where `python` and `netkit` are."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    return dict(os.environ) | {"NETKIT_ROOT": str(root), "PATH": path}


def warnings_for(ip: str) -> list[str]:
    """What is to be said before such a server starts: it runs as root; it can be reached from other machines."""
    said = []
    if _is_root():
        said.append(
            "netkit lab: running as root, so whoever holds the page's token is root here. Fine in a container; else start it as a user."
        )
    if ip not in _LOOPBACK:
        said.append(
            f"netkit lab: listening on {ip}, so other machines can reach it; the token in the address is all that keeps them out."
        )
    return said


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
