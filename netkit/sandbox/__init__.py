"""A local AWS that answers: start it, find it, stop it. Nothing in netkit imports this but session.connect() and the command line.

One server for all kernels of a user, in a process of its own on 127.0.0.1. Where it is stands in a state file below
$NETKIT_HOME (default ~/.cache/netkit); a lock file makes two starters agree on one server.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from netkit.core.errors import SandboxError
from netkit.core.extras import need

WORLD_END = datetime(2026, 11, 20, tzinfo=UTC)
"""The end of what the sandbox's world has done; its data lie in the two days before, and do not age."""
_START_S = 180


@dataclass(frozen=True)
class Running:
    """A sandbox that answers: endpoint ("http://127.0.0.1:PORT"), account_id, region, pid, home (its folder)."""

    endpoint: str
    account_id: str
    region: str
    pid: int
    home: str

    def __str__(self) -> str:
        return f"sandbox at {self.endpoint} (process {self.pid}), account {self.account_id}, {self.region}"


def home() -> Path:
    """The folder of the sandbox's state and log."""
    return Path(os.environ.get("NETKIT_HOME") or "~/.cache/netkit").expanduser()


def private(folder: Path) -> Path:
    """A folder of this user's own, made where it is not there. Raises SandboxError for one that is another's, or anybody's.

    What is read from it is believed (where the server is, what an object holds), so nobody else may write there.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _own(folder):
        raise SandboxError(
            "a folder of the sandbox is another user's, or anybody may write there", subject=str(folder), hint="set NETKIT_HOME to a folder of your own",
        )  # fmt: skip
    return folder


def _own(folder: Path) -> bool:
    try:
        about = folder.stat()
    except OSError:
        return False
    return about.st_uid == os.getuid() and not stat.S_IMODE(about.st_mode) & stat.S_IWOTH


def ensure() -> Running:
    """The running sandbox, started if there is none. Raises SandboxError when it does not start."""
    return status() or up()


def status() -> Running | None:
    """The running sandbox, or None. A state file whose process is gone, or is not a sandbox, counts as none."""
    running = _alive_process()
    return running if running and _listens(running.endpoint) else None


def _alive_process() -> Running | None:
    """The sandbox of the state file if its process lives, whether it answers or is too busy to."""
    try:
        running = Running(**json.loads((home() / "sandbox.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return running if _own(home()) and _is_ours(running.pid) else None


def up() -> Running:
    """Start the sandbox unless one is running. Raises SandboxError, naming the log, when it does not answer in three minutes,
    and MissingExtra where its packages are not installed."""
    need("sandbox", "the sandbox")
    private(home())
    with _lock():
        return status() or _start()


def down() -> bool:
    """Stop the sandbox, that process and no other. Returns whether one was running."""
    running = _alive_process()
    if running is None:
        return False
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while _is_ours(running.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    (home() / "sandbox.json").unlink(missing_ok=True)
    return True


def _start() -> Running:
    log = home() / "sandbox.log"
    (home() / "sandbox.json").unlink(missing_ok=True)
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603  (our own interpreter and module)
            [sys.executable, "-m", "netkit.sandbox.server", str(home())],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, env=_clean_environment(),
        )  # fmt: skip
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        if running := status():
            return running
        time.sleep(0.05)
    process.terminate()  # or it would answer later, when nobody knows of it
    raise SandboxError("the sandbox did not start", subject=str(log), hint="the end of that log says why")


def _clean_environment() -> dict[str, str]:
    """The server's environment: no profile, key or endpoint of the user's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    fake = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
    return kept | fake | {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


@contextmanager
def _lock() -> Iterator[None]:
    with (home() / "sandbox.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_ours(pid: int) -> bool:
    """Whether a process with that id runs our server (a process id is used again after a while)."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return Path("/proc/self").exists() is False and _alive(pid)
    except OSError:
        return False
    return b"netkit.sandbox.server" in command and str(home()).encode() in command


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _listens(endpoint: str) -> bool:
    """Whether somebody listens there. A server that is busy for a while still does, so it is not taken for gone."""
    parts = urllib.parse.urlsplit(endpoint)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5):
            return True
    except OSError:
        return False


def save(running: Running) -> None:
    """Write the state file at once and whole: a half-written one would be read as none."""
    path = Path(running.home) / "sandbox.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(running)), "utf-8")
    part.replace(path)
