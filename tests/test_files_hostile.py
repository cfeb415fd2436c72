"""Names of others at every door that flow logs come in by: they are data, and nothing that they say is done."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netkit import flowlogs
from netkit.flowlogs import duck
from netkit.flowlogs.fields import DEFAULT_V2, FIELDS

RECORD = [
    "2",
    "123456789012",
    "eni-1",
    "10.0.0.1",
    "10.0.0.2",
    "50000",
    "443",
    "6",
    "1",
    "60",
    "1700000000",
    "1700000060",
    "ACCEPT",
    "OK",
]
SECRET = "the-content-of-another-file"


def hostile(secret: Path, target: Path) -> dict[str, str]:
    """Column names that try to leave their place."""
    return {
        "writes a file": (
            "srcaddr\" AS VARCHAR),'-')) END AS wrong_line FROM (SELECT '' AS nk_file, 0 AS \"start\", '' AS srcaddr, '' AS dstaddr))"
            f" AS judged GROUP BY nk_file; COPY (SELECT 'owned') TO '{target}' (HEADER false); SELECT '' AS nk_file, 0 AS n, 0 AS bad,"
            " '' AS wrong, 0 AS a, 0 AS b --"
        ),
        "reads a file": f"srcaddr\"||(SELECT content FROM read_text('{secret}'))||\"srcaddr",
        "a quote": 'my"col',
        "a single quote": "my'col",
        "a brace": "x': 'VARCHAR'}) UNION ALL SELECT * FROM read_text('" + str(secret) + "') --",
        "a statement": f"x; ATTACH '{target}' AS y; --",
        "a line of HTML": "<script>alert(1)</script>",
        "ours": "nk_0",
        "the file's": "nk_file",
        "a field in capitals": "SRCADDR",
        "a field twice": "srcaddr",
        "nothing": "",
        "event_time": "event_time",
    }


NAMES = tuple(hostile(Path("s"), Path("t")))


def as_parquet(path: Path, names: Sequence[str], words: Sequence[str]) -> None:
    arrays = []
    for name, word in zip(names, words, strict=True):
        numeric = name in FIELDS and FIELDS[name].numeric
        arrays.append(pa.array([int(word)] if numeric else [word]))
    pq.write_table(pa.Table.from_arrays(arrays, names=list(names)), path)


def as_text(sign: str, pack: Callable[[bytes], bytes] = bytes) -> Callable[[Path, Sequence[str], Sequence[str]], None]:
    def write(path: Path, names: Sequence[str], words: Sequence[str]) -> None:
        # what would cut the line in more pieces cannot be in a name of this form
        clean = ["".join("_" if one in " \t,\n" else one for one in name) or "-" for name in names]
        path.write_bytes(pack(f"{sign.join(clean)}\n{sign.join(words)}\n".encode()))

    return write


FORMS = {
    "parquet": as_parquet,
    "text": as_text(" "),
    "gzip": as_text(" ", gzip.compress),
    "commas": as_text(","),
    "tabs": as_text("\t"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", NAMES)
def test_a_column_of_any_name_is_only_a_column(tmp_path: Path, kind: str, form: str) -> None:
    secret, target = tmp_path / "secret.txt", tmp_path / "owned.txt"
    secret.write_text(SECRET)
    logs_folder = tmp_path / "logs"
    logs_folder.mkdir()
    FORMS[form](logs_folder / "flow.log", [*DEFAULT_V2, hostile(secret, target)[kind]], [*RECORD, "whatever"])
    logs = flowlogs.open(logs_folder / "flow.log")
    told = json.dumps(logs.coverage().to_dict("records")) + str(logs)
    assert logs.query("records_by_status")["bytes"].tolist() == [60]
    assert logs.query("top_talkers")["srcaddr"].tolist() == ["10.0.0.1"]
    assert logs.fields == DEFAULT_V2
    assert SECRET not in told
    assert {path.name for path in tmp_path.iterdir()} == {"secret.txt", "logs"}


FILE_NAMES = (
    "it's; DROP TABLE flows --.log",
    "'); COPY (SELECT 1) TO 'owned.txt'; --.log",
    'double"quote.log',
    "back\\slash.log",
    "brace{a,b}.log",
    "two\nlines.log",
    "<svg onload=alert(1)>.log",
    "$(touch owned.txt).log",
)


@pytest.mark.parametrize("name", FILE_NAMES)
@pytest.mark.parametrize("form", FORMS)
def test_a_file_of_any_name_is_only_a_file(tmp_path: Path, name: str, form: str) -> None:
    FORMS[form](tmp_path / name, list(DEFAULT_V2), RECORD)
    logs = flowlogs.open(tmp_path)
    assert logs.query("records_by_status")["bytes"].tolist() == [60]
    assert logs.coverage()["table"].tolist() == [name]
    assert [path.name for path in tmp_path.iterdir()] == [name]


# ------------------------------------------------------------------------------------------------- a closed connection

ESCAPES = (
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM '{secret}'",
    "SELECT * FROM glob('{folder}/*')",
    "COPY (SELECT 1) TO '{folder}/owned.txt'",
    "ATTACH '{folder}/owned.db'",
    "EXPORT DATABASE '{folder}/owned'",
    "SET enable_external_access=true",
    "SET allowed_paths=['{secret}']",
    "RESET lock_configuration",
    "INSTALL httpfs",
    "LOAD '{folder}/x.duckdb_extension'",
)


@pytest.mark.parametrize("text", ESCAPES)
def test_a_connection_reads_its_files_and_nothing_else(tmp_path: Path, text: str) -> None:
    mine, secret = tmp_path / "mine.csv", tmp_path / "secret.txt"
    mine.write_text("a\n1\n")
    secret.write_text(SECRET)
    db = duck.connect([mine])
    assert db.execute(f"SELECT * FROM read_csv({duck.text(str(mine))})").fetchall() == [(1,)]
    with pytest.raises(duckdb.Error):
        db.execute(text.format(secret=secret, folder=tmp_path)).fetchall()
    assert {path.name for path in tmp_path.iterdir()} == {"mine.csv", "secret.txt"}


def test_python_variables_are_no_tables() -> None:
    hidden = pa.table({"a": [1]})
    assert hidden.num_rows == 1
    with pytest.raises(duckdb.Error):
        duck.connect().execute("SELECT * FROM hidden")


@pytest.mark.parametrize("name", ["plain", 'q"uote', "it's", "a.b", "x; DROP TABLE t", "", " "])
def test_identifiers_and_texts_come_back_as_they_were(name: str) -> None:
    db = duck.connect()
    if name:
        assert db.execute(f"SELECT 1 AS {duck.identifier(name)}").description[0][0] == name
    assert db.execute(f"SELECT {duck.text(name)}").fetchall() == [(name,)]
