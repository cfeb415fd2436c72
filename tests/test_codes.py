"""The list of codes: the members of the evidence are those that the code writes. (That no code is missing or dead is in test_house.py.)

What the scenarios publish is held against it where they run: test_notebook*.py and test_incident_cases.py ask codes.unlisted().
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from netkit.core.model import Finding
from netkit.runs.codes import CODES, WINGS, unlisted

ROOT = Path(__file__).parents[1]
FILES = [path for path in sorted((ROOT / "netkit").rglob("*.py")) if path.name != "codes.py"]
FORM = re.compile(rf"(?:{'|'.join(WINGS)})(?:-[A-Z0-9]+)+")
# Members that a frame brings: their names stand where the frame is made, and not beside the code.
OF_FRAMES = {"FLOW-REJECT-CLUSTER"}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def words(node: ast.AST) -> set[str]:
    """The string literals in a piece of source, docstrings and other sentences too."""
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def codes(node: ast.AST) -> set[str]:
    return {one for one in words(node) if FORM.fullmatch(one)}


def makers() -> Iterator[tuple[Path, ast.FunctionDef]]:
    """The functions that name a code."""
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef) and codes(node):
                yield path, node


def test_no_finding_of_the_package_has_a_code_that_is_put_together() -> None:
    """A code in pieces (f"FLOW-{kind}") would not be seen by the test above."""
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in (
                "Finding",
                "found",
                "counted_finding",
            ):
                first = node.args[0] if node.args else None
                assert not isinstance(first, ast.JoinedStr | ast.BinOp), f"{path}:{node.lineno}"


def test_every_code_has_a_wing_and_a_sentence() -> None:
    for code, one in CODES.items():
        assert code.split("-")[0] in WINGS and one.says.endswith("."), code
        assert len(set(one.evidence)) == len(one.evidence), code


def keys(node: ast.expr) -> set[str]:
    """The keys that an expression of evidence writes: {"a": …}, {name: row[name] for name in ("a", …)}, and both joined with |."""
    if isinstance(node, ast.Dict):
        return {one.value for one in node.keys if isinstance(one, ast.Constant)}
    if isinstance(node, ast.DictComp):
        return words(node.generators[0].iter) if isinstance(node.generators[0].iter, ast.Tuple) else set()
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return keys(node.left) | keys(node.right)
    return set()


def written(function: ast.FunctionDef) -> set[str]:
    """The members of evidence in a function: what is called evidence, and the dict that stands third or later in a call with a code."""
    found: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(ast.unparse(one) == "evidence" for one in targets):
                found |= keys(node.value)
        elif isinstance(node, ast.Call) and node.args and codes(node.args[0]):
            for argument in node.args[1:]:
                found |= keys(argument)
    return found


@pytest.mark.parametrize(
    ("path", "function"), [pytest.param(*one, id=f"{one[0].stem}.{one[1].name}") for one in makers()]
)
def test_the_members_that_a_function_writes_are_listed(path: Path, function: ast.FunctionDef) -> None:
    listed = {member for code in codes(function) for member in CODES[code].evidence}
    assert written(function) <= listed


def test_no_member_is_dead() -> None:
    """Each stands in a module that names its code."""
    said = {path: words(tree_of(path)) for path in FILES}
    for code, one in CODES.items():
        here = set().union(*(held for held in said.values() if code in held))
        here |= {"first_seen", "last_seen"}  # trust.span()
        assert code in OF_FRAMES or set(one.evidence) <= here, (code, set(one.evidence) - here)


def test_what_is_not_listed_is_told() -> None:
    good = Finding("FLOW-HOST-SWEEP", "confirmed", "low", (), "x", {"hosts": 3})
    bad = Finding("FLOW-HOST-SWEEP", "confirmed", "low", (), "x", {"hosts": 3, "colour": "red"})
    assert unlisted([good]) == []
    assert unlisted([good, bad, Finding("MY-OWN", "confirmed", "low", (), "x")]) == [
        "FLOW-HOST-SWEEP: colour",
        "MY-OWN",
    ]
