"""Key material leaves nothing of a run: not the page, not the kept notebook. And a run that is stopped says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_runbook import PUBLISH, notebook

from netkit.core.errors import looks_secret, redact
from netkit.core.text import redacted
from netkit.runs import runbook

KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # the example key of AWS's own documents
CODED = "wJalrXUtnFEMI%2FK7MDENG%2FbPxRfiCYEXAMPLEKEY"
PLUS = "je7MtGbClwBF+2Zp9Utk/h3yCo8nvbEXAMPLEKEY"  # AWS General Reference's other example
TOKEN = "IQoJb3JpZ2luX2Vj" + "Ab3/9+Qz" * 14
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"  # RFC 7519's form
HEX = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"  # a signature of the SigV4 test suite
FORMS = {
    "key": (KEY, KEY), "url-encoded": (CODED, CODED),
    "plus": (PLUS, PLUS), "behind a slash": (f"/{KEY}", KEY), "in a path": (f"s3://bucket/{KEY}/x", KEY), "before =": (f"{KEY}=", KEY), "before ==": (f"{KEY}==", KEY),
    "behind %3D": (f"key%3D{CODED}%26x", CODED), "in JSON": (f'{{"SecretAccessKey": "{KEY}"}}', KEY), "in quotes": (f"'{KEY}'", KEY),
    "key id in a URL": ("X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261119", "AKIAIOSFODNN7EXAMPLE"), "key id behind %3D": ("a%3DAKIAIOSFODNN7EXAMPLE%2F", "AKIAIOSFODNN7EXAMPLE"),
    "signature": (f"&X-Amz-Signature={HEX}", HEX), "SigV4 header": (f"AWS4-HMAC-SHA256 Credential=x, Signature={HEX}", HEX), "security token": (f"X-Amz-Security-Token={TOKEN}", TOKEN), "token": (TOKEN, TOKEN),
    "token, encoded": (TOKEN.replace("/", "%2F").replace("+", "%2B") + "%3D", TOKEN.replace("/", "%2F").replace("+", "%2B")), "small token parameter": ("x-amz-security-token=abcd1234efgh", "abcd1234efgh"),
    "JWT": (JWT, JWT), "Bearer JWT": (f"Authorization: Bearer {JWT}", JWT), "Bearer": ("authorization: bearer abcdefghij0123456789", "abcdefghij0123456789"), "Basic": ("Basic dXNlcjpwYXNzd29yZDEyMw==", "dXNlcjpwYXNzd29yZDEyMw"),
    "password=": ("password=hunter22", "hunter22"), "PASSWORD:": ("DB_PASSWORD: hunter22", "hunter22"), "in JSON, spaced": ('"password": "hunter 22"', "hunter 22"), "JSON within": ('{\\"password\\": \\"hunter22\\"}', "hunter22"),
    "client_secret": ("client_secret=s3cr3tvalue&x=1", "s3cr3tvalue"), "api key": ("api_key: 0123456789abcdef", "0123456789abcdef"), "in a URL": ("https://user:hunter22@host/x", "hunter22"),
    "PEM": ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "MIIEow"), "half a PEM": ("-----BEGIN PRIVATE KEY-----\nMIIEow", "MIIEow"), "GitHub": ("ghp_" + "a1B2" * 9, "a1B2a1B2"), "Slack": ("xoxb-1234567890-abc", "1234567890-abc"),
}  # fmt: skip
FORMS["lower-case code"] = (CODED.replace("%2F", "%2f"), CODED.replace("%2F", "%2f"))
HARMLESS = [
    "vpc-0123456789abcdef0 sha256 " + "ab" * 32, "logs/AWSLogs/123456789012/vpcflowlogs/us", "arn:aws:iam::123456789012:role/aws-service-role/x",
    "arn:aws:logs:us-east-1:123456789012:log-group:/aws/vpc/FlowLogs/Production/MyApplicationServer1", '"signature": "ET SCAN Potential SSH"', "signature_id=2001219",
    '"ClientToken": "5d672d79c15b"', "NextToken: abcdefgh", "a password is needed", "the bearer of this", "http://127.0.0.1:8080/x@y", "10.0.0.1:443 -> 10.0.0.2", "Secret: ",
    "AWSLogs/123456789012/vpcflowlogs/us-east-1/2026/11/19/x_20261119T0000Z_ab12cd34.log.gz", "python -m netkit run notebooks/21_flow_logs_analysis.ipynb", "ami-0abc basic monitoring", "i-0123456789abcdef0",
]  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_key_material_is_blanked_out(name: str) -> None:
    text, secret = FORMS[name]
    for around in (text, f"tag {text} end", f"<td>{text}</td>", f"({text})"):
        assert secret not in redact(around)
        assert looks_secret(around)
        assert redact(redact(around)) == redact(around)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@given(st.text(st.sampled_from("abAB01/+=%2F: \"'\\[]redct"), max_size=120))
def test_once_is_enough(text: str) -> None:
    assert redact(redact(text)) == redact(text)


def test_numbers_and_pictures_of_a_notebook_are_left() -> None:
    kept: dict[str, Any] = {"bdata": KEY, "image/png": KEY, "x": [1, None, 2.5, True]}
    assert redacted(kept) == kept
    assert redacted({KEY: [KEY]}) == {"[redacted]": ["[redacted]"]}


def test_nothing_that_a_run_writes_holds_a_secret(tmp_path: Path) -> None:
    shows = "|".join(text for text, _ in FORMS.values()).replace("\\", "")
    body = f"shown = {shows!r}\nprint(shown)\n"
    frame = "import pandas as pd\npd.DataFrame({'log line': shown.split(chr(124))})"
    runbook.run(notebook(tmp_path, body, frame, PUBLISH), out=tmp_path / "out", progress=False)
    for path in (tmp_path / "out").iterdir():
        text = path.read_text("utf-8")
        for secret in (KEY, CODED, PLUS, "AKIAIOSFODNN7EXAMPLE", HEX, TOKEN, JWT, "hunter22", "MIIEow"):
            assert secret not in text, (path.name, secret)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_leaves_a_page_that_says_so(stop: signal.Signals, tmp_path: Path) -> None:
    began = tmp_path / "began"
    slow = f"import pathlib, time\nprint('so far')\npathlib.Path({str(began)!r}).write_text('x')\ntime.sleep(120)"
    words = [sys.executable, "-m", "netkit", "run", str(notebook(tmp_path, slow, PUBLISH)), "--out", str(tmp_path / "out")]  # fmt: skip
    running = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=dict(os.environ), cwd=tmp_path)  # fmt: skip
    for _ in range(1200):
        if began.exists() or running.poll() is not None:
            break
        time.sleep(0.1)
    running.send_signal(stop)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 1, said
    assert "stopped" in (tmp_path / "out/report.html").read_text("utf-8")
    assert (tmp_path / "out/notebook.ipynb").exists()
    assert not (tmp_path / "out/findings.json").exists()
    assert "Traceback" not in said
    assert "stopped" in said
