"""The sandbox answers programs on this machine, and no web page that a browser has open."""

from __future__ import annotations

import http.client
import json
import os
import urllib.parse
from pathlib import Path

import pytest
from hostile import chromium

import netkit as nk
from netkit import sandbox
from netkit.core.errors import SandboxError


@pytest.fixture(scope="module")
def port() -> int:
    nk.connect()
    return int(urllib.parse.urlsplit(sandbox.ensure().endpoint).port or 0)


def ask(port: int, method: str = "GET", path: str = "/", **headers: str) -> tuple[int, dict[str, str], bytes]:
    there = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    there.putrequest(method, path, skip_host="Host" in named)
    for name, value in (named | {"Content-Length": "0"}).items():
        there.putheader(name, value)
    there.endheaders()
    answer = there.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


@pytest.mark.parametrize("host", ["example.com", "rebound.example.com:{port}", "127.0.0.1.example.com:{port}", "127.0.0.1", "0.0.0.0:{port}", "[::1]:{port}", "moto_api", "localhost:1", "s3.amazonaws.com", ""])  # fmt: skip
def test_a_foreign_host_is_refused(host: str, port: int) -> None:
    status, headers, body = ask(port, Host=host.format(port=port))
    assert status == 403
    assert len(body) < 200
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize("asks", [{"Origin": "http://example.com"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:8888"}, {"Origin": ""}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PUT", "DELETE"])
def test_a_web_page_is_refused(method: str, asks: dict[str, str], port: int) -> None:
    status, headers, _ = ask(port, method, "/?Action=DescribeVpcs&Version=2016-11-15", **asks)
    assert status == 403
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/moto-api/reset", "/moto-api/data.json", "/moto-api/", "/Moto-API/reset", "/%6doto-api/reset", "//moto-api/reset"])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_motos_own_interface_is_not_offered(method: str, path: str, port: int) -> None:
    before = len(nk.connect().pages("ec2", "describe_vpcs", "Vpcs"))
    status, _, _ = ask(port, method, path)
    assert status in (403, 404)
    assert len(nk.connect().pages("ec2", "describe_vpcs", "Vpcs")) == before > 0


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_programs_are_answered_by_either_name_and_no_page_is_invited(name: str, port: int) -> None:
    status, headers, _ = ask(port, Host=f"{name}:{port}", Authorization="AWS4-HMAC-SHA256 Credential=testing/20261119/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x")  # fmt: skip
    assert status == 200
    assert not [one for one in headers if one.startswith("access-control")]


def test_a_page_in_chromium_reads_nothing_and_changes_nothing(port: int, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    here = f"http://127.0.0.1:{port}"
    page.write_text(f"""<script>
    window.seen = []; window.done = 0;
    for (const [path, how] of [['/moto-api/data.json', {{}}], ['/moto-api/reset', {{method: 'POST'}}], ['/moto-api/reset', {{method: 'POST', mode: 'no-cors'}}],
                               ['/?Action=DescribeVpcs&Version=2016-11-15', {{}}]])
      fetch({json.dumps(here)} + path, how).then(a => a.text()).then(t => window.seen.push(t)).catch(e => 0).finally(() => window.done++);
    </script><img src="{here}/?Action=DescribeVpcs&Version=2016-11-15">""")  # fmt: skip
    before = len(nk.connect().pages("ec2", "describe_vpcs", "Vpcs"))
    with chromium() as (tab, _):
        tab.goto(page.as_uri())
        tab.wait_for_function("window.done == 4", timeout=20_000)
        assert not [text for text in tab.evaluate("window.seen") if text]
    assert len(nk.connect().pages("ec2", "describe_vpcs", "Vpcs")) == before


def test_what_the_sandbox_keeps_is_in_a_folder_of_its_own(tmp_path: Path) -> None:
    made = sandbox.private(tmp_path / "a" / "b")
    assert made.stat().st_mode & 0o777 == 0o700
    made.chmod(0o777)
    with pytest.raises(SandboxError, match="anybody"):
        sandbox.private(made)
    made.chmod(0o700)
    if os.getuid() == 0:
        os.chown(made, 65534, 65534)
        with pytest.raises(SandboxError, match="another user"):
            sandbox.private(made)


def test_no_path_of_the_sandbox_can_be_known_before() -> None:
    sources = "".join(path.read_text("utf-8") for path in Path(sandbox.__file__).parent.rglob("*.py"))
    assert "gettempdir" not in sources
    assert '"/tmp' not in sources
