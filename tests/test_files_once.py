"""Files are read once: questions that share work answer as they would alone, and reading is bounded, shown, and cleaned up."""

from __future__ import annotations

import gzip
import os
import random
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from botocore.exceptions import ClientError

from netkit import flowlogs
from netkit.core.errors import AwsError, SourceError
from netkit.core.model import Window
from netkit.flowlogs import copy, local, shared
from netkit.flowlogs.catalog import catalogue
from netkit.flowlogs.fields import COLUMNS
from netkit.flowlogs.local import FileEngine

SHARING = [name for name, query in catalogue().items() if shared.begun(query.sql)]
ALL = [
    "version",
    "account-id",
    "interface-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "log-status",
    "instance-id",
    "tcp-flags",
    "pkt-srcaddr",
    "pkt-dstaddr",
    "flow-direction",
    "reject-reason",
]
ROOT = Path(__file__).parent.parent
T0 = 1_794_960_000
BARE = tuple(name for name in ALL if name not in ("tcp-flags", "instance-id", "pkt-dstaddr", "reject-reason"))


def lines(seed: int, count: int, names: tuple[str, ...]) -> str:
    """Records of few hosts and ports, so that tuples repeat, ends swap, and keys lack."""
    pick = random.Random(seed)
    hosts = ["10.0.1.5", "10.0.1.50", "10.0.2.9", "9.9.9.9", "2001:db8::1"]
    text = [" ".join(names)]
    for _ in range(count):
        at = T0 + pick.randrange(3600)
        protocol = pick.choice(["6", "6", "6", "17", "1", "132"])
        status = pick.choice(["OK"] * 8 + ["NODATA"])
        ports = (
            [pick.choice(["0", "-"])] * 2
            if protocol == "1"
            else pick.choices(["443", "22", "50000", "50001", "33000", "2049"], k=2)
        )
        one = {
            "version": "5", "account-id": "123456789012", "interface-id": pick.choice(["eni-a", "eni-b", "eni-ab"]),
            "srcaddr": pick.choice(hosts), "dstaddr": pick.choice(hosts), "srcport": ports[0], "dstport": ports[1],
            "protocol": protocol, "packets": str(pick.randrange(1, 30)), "bytes": str(pick.randrange(40, 9000)),
            "start": str(at), "end": str(at + 60), "action": pick.choice(["ACCEPT", "ACCEPT", "REJECT"]), "log-status": status,
            "instance-id": pick.choice(["-", "i-1", "i-2"]), "tcp-flags": pick.choice(["0", "1", "2", "3", "4", "18", "19", "-"]),
            "pkt-srcaddr": pick.choice(hosts), "pkt-dstaddr": pick.choice(hosts), "flow-direction": pick.choice(["ingress", "egress", "-"]),
            "reject-reason": pick.choice(["-", "BPA"]),
        }  # fmt: skip
        if status == "NODATA":
            one |= dict.fromkeys(
                ("srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes", "action"), "-"
            )
        text.append(" ".join(one[name] for name in names))
    return "\n".join(text) + "\n"


def asked(path: Path, name: str, **given: Any) -> pd.DataFrame:
    late = datetime.fromtimestamp(T0 + 1800, UTC)
    window = Window(late, late + timedelta(hours=2)) if given else None
    return flowlogs.open(path, window=window).query(name, **given)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", [*SHARING, "new_talkers", "egress_spikes"])
def test_a_question_that_shares_answers_as_alone(
    tmp_path: Path, name: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.log").write_text(lines(seed, 700, tuple(ALL)))
    if catalogue()[name].missing([COLUMNS[one.replace("-", "_")].column for one in BARE]) == ():
        (tmp_path / "b.log").write_text(lines(seed + 50, 300, BARE))
    given = {"baseline_start": T0} if name not in SHARING else {}
    given |= {"min_bytes": 1, "factor": 0.01} if name == "egress_spikes" else {}
    together = asked(tmp_path, name, **given)
    words = shared._MOST_WORDS
    monkeypatch.setattr(shared, "_MOST_WORDS", 0)
    plain = asked(tmp_path, name, **given)
    monkeypatch.setattr(FileEngine, "_asked", lambda self, _q, _s, _v, _w, text: self._db.execute(*text).df())
    alone = asked(tmp_path, name, **given)
    assert words > 0
    pd.testing.assert_frame_equal(together, alone)
    pd.testing.assert_frame_equal(plain, alone)


def test_most_questions_of_who_asked_whom_share() -> None:
    including = {name for name, query in catalogue().items() if shared.part("legs") in query.sql}
    assert including - set(SHARING) == {"new_talkers", "egress_spikes"}  # their records are not those of the window


def test_the_questions_of_an_investigation_read_the_text_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(lines(1, 500, tuple(ALL)).encode()))
    logs = flowlogs.open(tmp_path)
    logs.coverage()
    (tmp_path / "a.log.gz").unlink()
    for name in SHARING:
        logs.query(name)


# ------------------------------------------------------------------------------------------- in a process of its own

ASK = """
import sys
from netkit import flowlogs
from netkit.flowlogs import copy
copy._HELD_BYTES = int(sys.argv[2])
logs = flowlogs.open(sys.argv[1])
print("opened", logs.engine._copy.folder, flush=True)
try:
    logs.coverage()
except KeyboardInterrupt:
    print("stopped", sorted(one.name for one in (logs.engine._copy.folder / "out").iterdir()), len(logs.engine._copy.pieces), flush=True)
    print("again", int(logs.coverage()["rows"].sum()), flush=True)
    sys.exit(130)
print("read", flush=True)
sys.stdin.read()
"""


def process(folder: Path, temporary: Path, held: int = 0) -> subprocess.Popen[str]:
    environment = os.environ | {"TMPDIR": str(temporary)}
    command = [sys.executable, "-c", ASK, str(folder), str(held)]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
    )


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 40 MB of text, that takes long enough to be stopped in."""
    folder = tmp_path_factory.mktemp("large")
    one = lines(1, 4000, tuple(ALL)).split("\n", 1)
    for number in range(4):
        (folder / f"{number}.log").write_text(one[0] + "\n" + one[1].replace("10.0.1.5 ", f"10.0.{number}.5 ") * 20)
    return folder


@pytest.mark.parametrize("held", [0, 300_000_000])
def test_a_ctrl_c_while_reading_leaves_nothing_and_the_next_question_reads_anew(
    large: Path, tmp_path: Path, held: int
) -> None:
    with process(large, tmp_path, held) as asking:
        assert asking.stdout
        folder = Path(asking.stdout.readline().split()[1])
        assert folder.is_relative_to(tmp_path)
        assert folder.stat().st_mode & 0o077 == 0
        time.sleep(0.15)
        asking.send_signal(signal.SIGINT)
        out, err = asking.communicate(timeout=120)
    if out.startswith("read"):
        pytest.skip("it was read before it could be stopped")
    assert asking.returncode == 130, err
    assert "Traceback" not in err
    assert out.splitlines()[0].endswith(" 0")  # no piece of what was half read
    assert re.search(r"again \d{6}", out)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(large: Path, tmp_path: Path) -> None:
    with process(large, tmp_path) as asking:
        assert asking.stdout
        folder = Path(asking.stdout.readline().split()[1])
        assert asking.stdout.readline() == "read\n"
        assert any((folder / "out").iterdir())
        with process(large, tmp_path) as beside:  # what runs is left alone
            assert beside.stdout
            beside.stdout.readline()
            assert folder.exists()
            beside.communicate("", timeout=120)
        asking.kill()
        asking.communicate(timeout=120)
    assert folder.exists()
    with process(large, tmp_path) as after:
        after.communicate("", timeout=120)
    assert after.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_long_reading_says_so_once_and_a_short_one_says_nothing(large: Path, tmp_path: Path) -> None:
    with process(large, tmp_path) as asking:
        err = asking.communicate("", timeout=120)[1]
    assert re.fullmatch(r"netkit: reading 4 flow-log files once, \d+ MB\n", err)
    (tmp_path / "short").mkdir()
    (tmp_path / "short" / "a.log").write_text(lines(1, 10, tuple(ALL)))
    (tmp_path / "tmp").mkdir()
    with process(tmp_path / "short", tmp_path / "tmp") as asking:
        assert asking.communicate("", timeout=120)[1] == ""


def test_a_disk_that_would_be_too_full_is_refused_before_it_is(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy, "_HELD_BYTES", 0)
    monkeypatch.setattr(copy, "_BATCH_BYTES", 1)
    with pytest.raises(SourceError, match="would take more than"):
        flowlogs.open(large, disk_bytes=1000).coverage()


def test_what_is_held_in_memory_is_written_when_more_files_come(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(lines(1, 50, tuple(ALL)))
    (tmp_path / "b.log").write_text(lines(2, 60, tuple(ALL)))
    engine = FileEngine([tmp_path / "a.log"])
    assert engine.coverage(None)["rows"].tolist() == [50]
    engine.add([tmp_path / "b.log"], {})
    assert engine.coverage(None)["rows"].tolist() == [50, 60]


class _Denied:
    """S3 that lists an object and does not give it."""

    def download_file(self, bucket: str, key: str, path: str) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")


def test_an_object_that_is_refused_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [{"Key": "logs/one.log.gz", "Size": 10}]
    monkeypatch.setattr(local.read, "objects", lambda *_: listed)
    with pytest.raises(AwsError) as caught:
        local.ObjectEngine(SimpleNamespace(client=lambda _: _Denied()), "s3://bucket-a/logs", None)  # type: ignore[arg-type]
    assert "s3://bucket-a/logs/one.log.gz" in str(caught.value)
