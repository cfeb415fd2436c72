"""The extras that netkit can be installed with, and one clear error where one is missing. Pure; imports none of them."""

from __future__ import annotations

from importlib.util import find_spec

from netkit.core.errors import MissingExtra

EXTRAS = {
    "sandbox": ("moto", "flask", "flask_cors", "werkzeug"),
    "lab": ("jupyterlab", "jupyter_server"),
}
"""Extra -> the modules that it brings (a test holds them equal to pyproject.toml's)."""


def need(extra: str, what: str) -> None:
    """Go on where an extra is installed. Raises MissingExtra, with the command that installs it, where it is not.

    what: who needs it, as "the sandbox".
    """
    missing = [name for name in EXTRAS[extra] if find_spec(name) is None]
    if missing:
        raise MissingExtra(
            f"{what} needs {', '.join(missing)}, not installed here", hint=f"pip install 'netkit[{extra}]'"
        )
