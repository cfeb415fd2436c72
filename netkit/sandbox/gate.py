"""Who may ask the sandbox: programs on this machine that mean it, and no web page that a browser has open."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

_NAMES = ("127.0.0.1", "localhost")
App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Gate:
    """A WSGI application before another, which answers 403 to what a web page could send.

    A page of another site reaches a server on loopback by its address, or by a name of its own that it makes point there (DNS
    rebinding, which the Host header shows). A browser says for whom it asks in Origin or Sec-Fetch-Site, which no AWS client
    sends (Fetch Metadata Request Headers, W3C). moto's own interface, which could empty the world, is not offered at all.
    """

    def __init__(self, app: App, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}" for name in _NAMES}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer, or hand on."""
        why = self.refusal(environ)
        if not why:
            return self._app(environ, start_response)
        body = f"the netkit sandbox refuses this: {why}\n".encode()
        start_response("403 Forbidden", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    def refusal(self, environ: dict[str, Any]) -> str:
        """Why a request is refused, or ""."""
        if environ.get("HTTP_HOST", "").lower() not in self._hosts:
            return "its Host is not the sandbox's"
        if "HTTP_ORIGIN" in environ or environ.get("HTTP_SEC_FETCH_SITE", "none") != "none":
            return "a web page asks"
        if "moto-api" in environ.get("PATH_INFO", "").lower() or "/moto_api/" in environ.get("HTTP_AUTHORIZATION", ""):
            return "moto's own interface is not offered"
        return ""
