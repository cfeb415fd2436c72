"""How often a text reads its table. Trino, and so Athena, runs a common table expression once for every reference to it. Pure."""

from __future__ import annotations

import sqlglot
from sqlglot import exp


def scans(text: str, table: str, dialect: str = "athena") -> int:
    """How often the text scans a table, by the table's name: references, each times those of what it stands in.

    A recursive expression counts once. Raises nothing for a text that cannot be read: it counts as 1.
    """
    try:
        tree = sqlglot.parse_one(text, read=dialect)
    except sqlglot.errors.SqlglotError:
        return 1
    return max(1, _scans(tree, table.lower(), {}))


def _scans(tree: exp.Expr, table: str, outer: dict[str, int]) -> int:
    """References in a SELECT and below, with the expressions of its own WITH weighed by what they scan themselves."""
    known = dict(outer)
    with_ = tree.args.get("with_") or tree.args.get("with")
    for cte in with_.expressions if with_ else []:
        name = cte.alias_or_name.lower()
        known[name] = _scans(cte.this, table, {**known, name: 0})
    total = 0
    for part in _parts(tree, with_):
        if isinstance(part, exp.Table):
            name = part.name.lower()
            total += known[name] if not part.db and name in known else int(name == table)
        else:
            total += _scans(part, table, known)
    return total


def _parts(tree: exp.Expr, without: exp.Expr | None) -> list[exp.Expr]:
    """The tables of a SELECT, and the SELECTs in it that have a WITH of their own."""
    found: list[exp.Expr] = []
    left = [child for child in tree.iter_expressions() if child is not without]
    while left:
        node = left.pop()
        if isinstance(node, exp.Table) or (
            isinstance(node, exp.Query) and (node.args.get("with_") or node.args.get("with"))
        ):
            found.append(node)
        if not (isinstance(node, exp.Query) and node in found):
            left += list(node.iter_expressions())
    return found
