"""A notebook without what running it leaves behind: the form in which notebooks are committed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OF_RUNNING = ("execution", "ExecuteTime", "collapsed", "scrolled", "trusted", "papermill", "jupyter.outputs_hidden")


def bare(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """The notebook with no outputs, counts or metadata of a run or a machine; sources, tags and ids stay.

    bare(bare(x)) == bare(x), and a notebook that was committed bare is given back as it is.
    """
    metadata = {name: value for name, value in notebook["metadata"].items() if name not in ("widgets", "papermill")}
    if metadata.get("kernelspec", {}).get("name") == "python3":
        # An interpreter names itself here, with its version; on another machine that is a change that nobody made.
        metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
        metadata["language_info"] = {"name": "python"}
    return {**notebook, "metadata": metadata, "cells": [_bare_cell(cell) for cell in notebook["cells"]]}


def _bare_cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {name: value for name, value in cell["metadata"].items() if name not in _OF_RUNNING}
    if "jupyter" in metadata:
        kept = {name: value for name, value in metadata["jupyter"].items() if name != "outputs_hidden"}
        metadata = {**metadata, "jupyter": kept} if kept else {k: v for k, v in metadata.items() if k != "jupyter"}
    if cell["cell_type"] != "code":
        return {**cell, "metadata": metadata}
    return {**cell, "metadata": metadata, "outputs": [], "execution_count": None}


def with_outputs(notebook: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """A bare notebook with the outputs of a copy that was run: of those cells whose id and source are still the same."""
    ran = {cell.get("id"): cell for cell in kept["cells"] if cell["cell_type"] == "code"}
    cells = [
        {**cell, **{name: ran[cell["id"]][name] for name in ("outputs", "execution_count", "metadata")}}
        if cell["cell_type"] == "code" and cell.get("id") in ran and ran[cell["id"]]["source"] == cell["source"]
        else cell
        for cell in notebook["cells"]
    ]
    whole = all(one["cell_type"] != "code" or one.get("id") in ran for one in notebook["cells"])
    return {**notebook, "cells": cells, "metadata": kept["metadata"] if whole else notebook["metadata"]}
