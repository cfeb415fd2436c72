"""Files are read once: questions that share work answer as they would alone, and reading is bounded, shown, and cleaned up."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from netkit import flowlogs
from netkit.flowlogs import shared
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
    return flowlogs.open(path).query(name, **given)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", SHARING)
def test_a_question_that_shares_answers_as_alone(
    tmp_path: Path, name: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.log").write_text(lines(seed, 700, tuple(ALL)))
    if catalogue()[name].missing([COLUMNS[one.replace("-", "_")].column for one in BARE]) == ():
        (tmp_path / "b.log").write_text(lines(seed + 50, 300, BARE))
    together = asked(tmp_path, name)
    words = shared._MOST_WORDS
    monkeypatch.setattr(shared, "_MOST_WORDS", 0)
    plain = asked(tmp_path, name)
    monkeypatch.setattr(FileEngine, "_over_shared", lambda *_: None)
    alone = asked(tmp_path, name)
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
