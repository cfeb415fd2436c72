"""`make trino`: every VPC query of the catalogue on a real Trino (Athena's engine 3 is one), beside DuckDB's answers, on the sandbox's
records in four layouts. Not a part of `make test`: it fetches some 350 MB of jars. Skipped, and said so, without Maven or a JDK
from 24 on (JAVA_HOME).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

import netkit
from netkit import flowlogs
from netkit.core.model import Window
from netkit.flowlogs.athena import AthenaEngine, literal
from netkit.flowlogs.catalog import Query, catalogue
from netkit.flowlogs.fields import FIELDS
from netkit.flowlogs.read import TableShape
from netkit.flowlogs.table import FlowLogSpec
from netkit.sandbox.services.athena import bind
from netkit.sandbox.world import delivery, world

HERE = Path(__file__).parent
WINDOW = Window.parse("2026-11-19T09:10:00Z", "2026-11-19T10:10:00Z")
GIVEN: dict[str, Any] = {
    "source": "10.0.10.21", "destination": "10.0.20.5", "host": "10.0.20.5", "cidr": "10.0.20.0/24",
    "baseline_start": WINDOW.epoch()[0] - 3600, "server_port": 5432, "quiet_s": 1,
}  # fmt: skip
TYPES = {"string": "varchar", "int": "integer", "bigint": "bigint"}


def java_home() -> str:
    """A JDK from 24 on: JAVA_HOME, or the one that java on the path is of; "" without one."""
    found = shutil.which("java")
    for home in (os.environ.get("JAVA_HOME", ""), str(Path(found).resolve().parent.parent) if found else ""):
        java = Path(home) / "bin" / "java"
        if home and java.exists() and (Path(home) / "bin" / "javac").exists():
            said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
            match = re.search(r'version "(\d+)', said)
            if match and int(match[1]) >= 24:
                return home
    return ""


def create(name: str, spec: FlowLogSpec) -> str:
    """The spec's table in Trino's own words."""
    columns = [
        f'"{column}" {TYPES[kind]}'
        for column, kind in ((one.replace("-", "_"), FIELDS[one].athena) for one in spec.fields)
    ]
    properties = spec.table_properties(since="2026")
    for key in spec.partition_keys:
        given = {
            one.removeprefix(f"projection.{key}."): value
            for one, value in properties.items()
            if one.startswith(f"projection.{key}.")
        }
        words = [f"partition_projection_{one.replace('.', '_')}={_setting(one, value)}" for one, value in given.items()]
        columns.append(f'"{key}" varchar WITH ({", ".join(words)})')
    where = spec.location_template.replace(f"s3://{spec.bucket}/", f"local:///{name}/")
    keys = ", ".join(f"'{key}'" for key in spec.partition_keys)
    text = ", textfile_field_separator=' ', skip_header_line_count=1" if spec.file_format == "plain-text" else ""
    return (
        f"CREATE TABLE {name} ({', '.join(columns)}) WITH (format='{'PARQUET' if not text else 'TEXTFILE'}'{text}, partitioned_by=ARRAY[{keys}],"
        f" external_location='local:///{name}/AWSLogs', partition_projection_enabled=true, partition_projection_location_template='{where}')"
    )


def _setting(name: str, value: str) -> str:
    if name in ("values", "range"):
        quoted = [f"'{one}'" for one in value.split(",")]
        return f"ARRAY[{', '.join(quoted)}]"
    return value if name in ("digits", "interval") else f"'{value.upper() if name == 'type' else value}'"


def needed(query: Query) -> dict[str, Any]:
    """What a query cannot do without, and thresholds so low that there is something to compare."""
    return {
        one.name: GIVEN.get(one.name, 1)
        for one in query.params
        if one.default is None or one.name in GIVEN or one.name.startswith("min_")
    }


def prepare(folder: Path) -> tuple[list[tuple[str, str, pd.DataFrame]], list[dict[str, str]]]:
    """(table, query, DuckDB's answer) of each, and the statements, schema and tables first."""
    session, scene = netkit.connect(target="sandbox"), world.scenario("bad-day")
    asked: list[tuple[str, str, pd.DataFrame]] = []
    lines = [{"ddl": "CREATE SCHEMA net"}]
    queries = {name: query for name, query in catalogue().items() if not name.startswith("tgw_")}
    for kind in ("parquet", "plain-text"):
        for hive in (False, True):
            name = f"{kind.replace('-', '_')}{'_hive' if hive else ''}"
            spec = replace(scene.spec, file_format=kind, hive=hive, per_hour=True, prefix="")  # type: ignore[arg-type]
            for key, body, when in delivery.objects(scene, spec, "fl-0123456789abcdef0"):
                if WINDOW.start.timestamp() - 7200 < when.timestamp() < WINDOW.end.timestamp() + 3600:
                    (folder / name / key).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name / key).write_bytes(body)
            lines.append({"ddl": create(name, spec)})
            properties = spec.table_properties(since="2026")
            columns = {FIELDS[one].column: FIELDS[one].athena for one in spec.fields}
            shape = TableShape("net", name, columns, spec.partition_keys, properties, f"s3://{spec.bucket}/", kind)
            engine = AthenaEngine(session, shape, "", "", spec.account, 1.0, None)
            files = flowlogs.open(folder / name, window=WINDOW)
            for one, query in queries.items():
                asked.append((name, one, files.query(one, **needed(query))))
                sql, values, window = _bound(files, query)
                text, bound = engine.statement(query, sql, values, window)
                lines.append({"sql": bind(text, [literal(value) for value in bound])})
    return asked, lines


def _bound(files: flowlogs.FlowLogs, query: Query) -> tuple[str, list[Any], Window]:
    given = needed(query)
    sql, values = files._bind(query, given)
    return sql, values, files._widened(given) or WINDOW


def main() -> int:
    """Print how many answers are the same, and each that is not. Exit status 1 where one is not."""
    home, maven = java_home(), shutil.which("mvn")
    if not home or not maven:
        lacking = "a JDK from 24 on (JAVA_HOME)" if not home else "Maven (mvn)"
        print(f"skipped: {lacking} is not here, so no query was run on a real Trino")
        return 0
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        env = {**os.environ, "JAVA_HOME": home}
        path = ["-Dmdep.outputFile=" + str(folder / "classpath")]
        subprocess.run(
            [maven, "-B", "-q", "-f", HERE / "pom.xml", "dependency:build-classpath", *path], check=True, env=env
        )
        jars = (folder / "classpath").read_text()
        (folder / "fs").mkdir()
        asked, lines = prepare(folder / "fs")
        (folder / "in").write_text("\n".join(json.dumps(line) for line in lines))
        subprocess.run([f"{home}/bin/javac", "-d", folder, "-cp", jars, HERE / "Ask.java"], check=True)
        run = [f"{home}/bin/java", "-cp", f"{folder}:{jars}", "Ask", folder / "in", folder / "out", folder / "fs"]
        subprocess.run(run, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        answers = [json.loads(line) for line in (folder / "out").read_text().splitlines()]
    return compare(asked, lines, answers)


def compare(
    asked: list[tuple[str, str, pd.DataFrame]], lines: list[dict[str, str]], answers: list[dict[str, Any]]
) -> int:
    """Say which answers differ, and whether any table is scanned twice."""
    for line, answer in zip(lines, answers, strict=True):
        if "ddl" in line and answer:
            print(f"{line['ddl'][:60]}: {answer}")
    same, empty, scans, wrong = 0, 0, set(), []
    results = [answer for line, answer in zip(lines, answers, strict=True) if "sql" in line]
    for (table, name, ours), answer in zip(asked, results, strict=True):
        if "error" in answer:
            wrong.append(f"{table} {name}: {answer['error'][:200]}")
            continue
        theirs = catalogue()[name].typed(pd.DataFrame(answer["rows"], columns=answer["columns"]))
        scans.add(answer["scans"])
        ours.attrs = {}
        try:
            pd.testing.assert_frame_equal(ours, theirs, rtol=1e-12)
        except AssertionError as problem:
            wrong.append(f"{table} {name}: {' '.join(str(problem).split())[:200]}")
            continue
        same, empty = same + 1, empty + ours.empty
    print(
        f"{same} of {len(asked)} answers of Trino are DuckDB's ({empty} without rows); table scans a query: {sorted(scans)}"
    )
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
