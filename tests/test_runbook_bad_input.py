"""What a wrong target, dead credentials or a dead kernel look like from outside: one short message, and no secret or frame anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_runbook import PUBLISH, notebook, parameter_file

from netkit.__main__ import main
from netkit.core.errors import looks_secret, redact
from netkit.runs import runbook
from netkit.runs.refuse import refuse

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # the example key of AWS's own documents
PARAMETERS = 'target: str = "sandbox"  # where\naccount_id: str = ""  # digits\nwindow_start: str = ""  # from\nwindow_end: str = ""  # to\nlimit: int = 1  # rows\nnames: list[str] = []  # some'
# What stands in for AWS inside the kernel: every call is answered here, so none can leave.
EXPIRED = f"""
import botocore.client
from botocore.exceptions import ClientError
def _make_api_call(self, operation, request):
    hidden = "{SECRET}"
    raise ClientError({{"Error": {{"Code": "ExpiredToken", "Message": "The security token included in the request is expired"}}}}, operation)
botocore.client.BaseClient._make_api_call = _make_api_call
"""
OTHER_ACCOUNT = """
import botocore.client
botocore.client.BaseClient._make_api_call = lambda self, operation, request: {"Account": "999900001111", "Arn": "arn:aws:iam::999900001111:user/x"}
"""
CONNECT = """
started = nk.begin(target=target, account_id=account_id, window_start=window_start, window_end=window_end)
started.session
"""


def outcome(folder: Path, arguments: list[str], capsys: pytest.CaptureFixture[str], *cells: str) -> tuple[int, str]:
    """Exit status and message of a run through the command line; nothing may show a secret, a frame or a fourth line."""
    book = notebook(folder, *cells, parameters=PARAMETERS)
    # The setup cell of the fixture connects to nothing; what connects stands in `cells`.
    status = main(["run", str(book), "--out", str(folder / "out"), *arguments])
    said = capsys.readouterr().err
    message = [line for line in said.splitlines() if line.strip() and not line.startswith(("Executing", "\rExecuting"))]
    written = [path.read_text("utf-8") for path in (folder / "out").glob("*.html")]
    kept = folder / "out/notebook.ipynb"
    cells = json.loads(kept.read_text())["cells"] if kept.exists() else []
    outputs = [one for cell in cells for one in cell.get("outputs", [])]
    for text in (said, json.dumps(outputs), *(page.partition('class="error"')[2][:2000] for page in written)):
        assert "Traceback" not in text
        assert SECRET not in text
        assert "site-packages" not in text
        assert "_make_api_call" not in text.partition("<details>")[0]
    assert bool(written) == bool(cells), (
        "the page is written for a failed run too; what was refused at once leaves nothing"
    )
    assert len(message) <= 3, message
    return status, "\n".join(message)


AWS = ["-p", "target", "aws", "-p", "account_id", "123456789012"]


def test_an_expired_token_is_a_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, message = outcome(tmp_path, AWS, capsys, EXPIRED, CONNECT, PUBLISH)
    assert status == runbook.FAILED
    assert "CredentialsError" in message
    assert "ExpiredToken" in message
    assert "sign in again" in message
    assert str(tmp_path / "out/notebook.ipynb") in message


def test_the_wrong_account_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, message = outcome(tmp_path, AWS, capsys, OTHER_ACCOUNT, CONNECT, PUBLISH)
    assert status == runbook.BAD_PARAMETERS
    assert "TargetError" in message
    assert (tmp_path / "out/report.html").exists(), "only the call could tell, so the kernel ran"
    assert "in account 999900001111, not 123456789012" in message


def test_aws_beside_an_endpoint_override(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    status, message = outcome(tmp_path, AWS, capsys, EXPIRED, CONNECT, PUBLISH)
    assert status == runbook.BAD_PARAMETERS
    assert not (tmp_path / "out").exists(), "refused before a kernel starts"
    assert "endpoint override" in message
    assert "AWS_ENDPOINT_URL_S3" in message
    assert "ExpiredToken" not in message, "refused before the first call"


def test_aws_without_an_account(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, message = outcome(tmp_path, ["-p", "target", "aws"], capsys, EXPIRED, CONNECT, PUBLISH)
    assert status == runbook.BAD_PARAMETERS
    assert not (tmp_path / "out").exists(), "refused before a kernel starts"
    assert "twelve digits" in message
    assert "ExpiredToken" not in message, "refused before the first call"


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        ("2026-11-19T08:00:00", "2026-11-19T09:00:00", "is not in UTC"),
        ("2026-11-19T08:00:00Z", "2026-11-19T08:00:00Z", "empty"),
        ("2026-11-19T09:00:00Z", "2026-11-19T08:00:00Z", "reversed"),
        ("", "2026-11-19T08:00:00Z", "window"),
    ],
)
def test_a_window_that_is_none_is_refused_before_any_call(
    start: str, end: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*AWS, "-p", "window_start", start, "-p", "window_end", end]
    status, message = outcome(tmp_path, arguments, capsys, EXPIRED, CONNECT, PUBLISH)
    assert status == runbook.BAD_PARAMETERS
    assert not (tmp_path / "out").exists(), "refused before a kernel starts"
    assert says in message
    assert "ExpiredToken" not in message, "refused before the first call"


def test_a_kernel_that_dies_is_a_failed_notebook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, message = outcome(tmp_path, [], capsys, "import os\nos._exit(9)", PUBLISH)
    assert status == runbook.FAILED
    assert "the kernel ended" in message


def test_the_account_id_that_yaml_would_mangle_reaches_the_notebook_whole(tmp_path: Path) -> None:
    file = parameter_file(tmp_path, "account_id: 000123456701\nnames: [007, 1e3, on, 12:30:00]\n")
    done = runbook.run(
        notebook(tmp_path, PUBLISH, parameters=PARAMETERS), file=file, out=tmp_path / "out", progress=False
    )
    assert done.findings[0].claim == "1 of ['007', '1e3', 'on', '12:30:00'] in 000123456701"


def test_findings_of_an_earlier_run_do_not_pass_for_this_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    runbook.run(notebook(tmp_path, PUBLISH), out=out, progress=False)
    assert (out / "findings.json").exists()
    assert main(["run", str(notebook(tmp_path, "1 / 0", PUBLISH)), "--out", str(out)]) == runbook.FAILED
    assert not (out / "findings.json").exists()
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert main(["run", str(notebook(tmp_path, "1 + 1")), "--out", str(out)]) == runbook.BAD_FINDINGS
    assert not (out / "findings.json").exists()
    assert "did not come to its findings" in (out / "report.html").read_text()


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("mine")
    assert main(["run", str(notebook(tmp_path, PUBLISH)), "--out", str(tmp_path / "taken")]) == runbook.BAD_PARAMETERS
    assert len(capsys.readouterr().err.strip().splitlines()) <= 3
    assert (tmp_path / "taken").read_text() == "mine"


# Delivery paths as AWS writes them; several are runs of 40 characters of a key's alphabet.
@pytest.mark.parametrize(
    "path",
    [
        "s3://my-flow-logs/AWSLogs/123456789012/vpcflowlogs/us-east-1/",
        "s3://logs/AWSLogs/123456789012/vpcflowlogs/us-east-1/2026/11/19/",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/web/50dc6c495c0c9188",
        "bundles/NetworkInvestigation/2026/flowlogs",
    ],
)
def test_a_path_is_no_secret(path: str, tmp_path: Path) -> None:
    assert redact(path) == path
    file = parameter_file(tmp_path, f"names: [{path!r}]")
    assert runbook.resolve(notebook(tmp_path), file=file) == {"names": [path]}


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"key={SECRET}",
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY",
        "IQoJb3JpZ2luX2Vj" + "aB3/" * 60,
        "-----BEGIN RSA PRIVATE KEY-----",
    ],
)
def test_a_secret_is_one_wherever_it_stands(text: str, tmp_path: Path) -> None:
    assert looks_secret(f"before {text} after")
    file = parameter_file(tmp_path, f"names: [x, {text!r}]")
    with pytest.raises(runbook.ParameterError, match="looks like a secret"):
        runbook.resolve(notebook(tmp_path), file=file)


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ('target: str = "sandbox"', "prod"), ('region: str = "us-east-1"', "us-east"), ('region: str = "us-east-1"', "US East"),
        ("port: int = 443", "70000"), ("port: int = 443", "-2"), ('protocol: str = "tcp"', "tpc"), ('protocol: str = "tcp"', "256"),
        ('cidr: str = ""', "10.0.1.7/24"), ('cidr: str = ""', "10.0.0"), ("vni: int = 0", "16777216"), ("budget_usd: float = 1.0", "nan"),
        ("budget_usd: float = 1.0", "-1"), ("aggregation_s: int = 600", "300"), ('traffic: str = "ALL"', "all"), ("retention_days: int = 30", "31"),
        ('pattern: str = "x"', "(x"), ('snapshot: str = ""', "no/such/folder"), ('intents: str = ""', "no-such.yaml"),
        ('captures: str = ""', "no/such/*.pcap"), ('addresses: list[str] = []', "10.0.0.1,10.0.0.300"), ('others: list[str] = []', "me@12345"),
        ('proof_start: str = ""', "yesterday"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_right_is_refused_before_a_kernel_starts(
    declared: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runbook, "_execute", lambda *_: pytest.fail("a kernel was started"))
    book = notebook(tmp_path, PUBLISH, parameters=declared)
    name = declared.partition(":")[0]
    assert main(["run", str(book), "--out", str(tmp_path / "out"), "-p", name, value]) == runbook.BAD_PARAMETERS
    said = capsys.readouterr().err.strip().splitlines()
    assert 1 <= len(said) <= 3
    assert name.partition("_")[2] in said[0] or name in said[0] or "window" in said[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ('target: str = "sandbox"', "sandbox"), ('region: str = "us-east-1"', "us-gov-west-1"), ("port: int = 443", "-1"), ('protocol: str = "tcp"', "all"),
        ('protocol: str = "tcp"', "-1"), ('protocol: str = "tcp"', "47"), ('cidr: str = ""', "2001:db8::/56"), ('window_start: str = ""', "last 6h"),
        ("retention_days: int = 30", "0"), ('port: str = ""', "ssh"), ('captures: str = ""', "s3://bucket/prefix/"), ("min_ports: int = 1", "0"),
    ],
)  # fmt: skip
def test_what_may_be_right_is_left_to_the_notebook(declared: str, value: str, tmp_path: Path) -> None:
    name, kind = declared.partition(":")[0], declared.split(":")[1].split("=")[0].strip()
    refuse({name: int(value) if kind == "int" else value}, tmp_path)


@pytest.mark.parametrize(
    "file", sorted(Path(__file__).parents[1].glob("notebooks/*.ipynb")), ids=lambda file: file.stem
)
def test_the_defaults_of_every_notebook_and_its_parameter_files_pass(file: Path) -> None:
    root = Path(__file__).parents[1]
    defaults = {name: one.default for name, one in runbook.declared(file).items()}
    refuse(defaults, root)
    for held in root.glob(f"parameters/sandbox/**/{file.stem}*.yaml"):
        refuse(defaults | runbook.resolve(file, file=held), root)


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        ("InputError", 2),
        ("SourceError", 2),
        ("TargetError", 2),
        ("QueryError", 2),
        ("AccessError", 1),
        ("BudgetError", 1),
        ("PlanError", 1),
    ],
)
def test_bad_input_that_only_the_notebook_sees_is_status_2(
    raised: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = f"from netkit.core import errors\nraise errors.{raised}('two things are named web', subject='web', hint='use an id')"
    found, message = outcome(tmp_path, [], capsys, cell, PUBLISH)
    assert found == status
    assert f"{raised}: two things are named web; on: web; next: use an id" in message
    assert "cell In [" in message
    book = json.loads((tmp_path / "out/notebook.ipynb").read_text())
    shown = [
        output["text"] if "text" in output else "".join(output.get("data", {}).get("text/html", ""))
        for one in book["cells"]
        for output in one.get("outputs", [])
    ]
    assert any("no answer" in str(page) for page in shown), "the answer box says that there is none"
