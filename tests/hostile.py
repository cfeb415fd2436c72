"""Words that others could write into a tag, a name, a log line or a file name, to take over what shows or runs them."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HTML = (
    "web<svg/onload=window.owned=1>",
    "<img src=x onerror=window.owned=1>",
    "</script><script>window.owned=1</script>",
    "\"'><iframe srcdoc='<script>parent.owned=1</script>'></iframe>",
    "<!--<script>",
    "<a href=javascript:window.owned=1 style=position:fixed;inset:0>all</a>",
    "<style>@import 'http://example.com/x'</style><link rel=stylesheet href=http://example.com/y>",
    "<base href=http://example.com/><form action=http://example.com/><input name=x autofocus onfocus=window.owned=1>",
    "<math><mtext></form><mglyph><style></math><img src onerror=window.owned=1>",
    "<details open ontoggle=window.owned=1><summary>x</summary></details>",
)
SHELL = (
    "$(touch owned)",
    "`touch owned`",
    "'; touch owned; '",
    '"; touch owned #',
    "a\nb; touch owned",
    "--endpoint-url=http://example.com",
    "\\' $HOME ~ * ? {a,b} !! & | > owned",
    "é ☃ \u2028 \x7f \t",
)
SQL = ("'; DROP TABLE flows; --", "\"; COPY (SELECT 1) TO 'owned'; --", "' OR '1'='1", "\\'; SELECT 1")
WORDS = (*HTML, *SHELL, *SQL)
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"


@contextmanager
def chromium(*, offline: bool = False) -> Iterator[tuple[Any, list[str]]]:
    """A tab of Debian's Chromium, and what it asked of others or said in a dialog."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not Path("/usr/bin/chromium").exists():
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS.split())
        tab = browser.new_context(offline=offline, viewport={"width": 1300, "height": 1600}).new_page()
        astray: list[str] = []
        near = ("file:", "data:", "blob:", "http://127.0.0.1", "ws://127.0.0.1")
        tab.on("request", lambda asked: None if asked.url.startswith(near) else astray.append(asked.url))
        tab.on("dialog", lambda dialog: (astray.append(dialog.message), dialog.dismiss()))
        try:
            yield tab, astray
        finally:
            browser.close()


@contextmanager
def jupyterlab(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """A JupyterLab of this environment over a folder, on loopback; its address with a place for a path."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-m", "jupyterlab", "--ip=127.0.0.1", f"--port={port}", "--no-browser", "--allow-root", "--IdentityProvider.token=t"]  # fmt: skip
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([sys.executable, *words], cwd=folder, env=environment | {"JUPYTER_CONFIG_DIR": str(folder)}, **quiet)  # fmt: skip
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status?token=t", timeout=2).close()
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.25)
        yield f"http://127.0.0.1:{port}/lab/tree/%s?token=t"
    finally:
        server.terminate()
        server.wait(20)
