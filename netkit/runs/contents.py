"""What JupyterLab reads and writes in a checkout (see lab.py). Imported by the Jupyter server only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

from netkit.runs.bare import bare, with_outputs

_KEPT = "runs/lab"


class BareContents(AsyncLargeFileManager):
    """Notebooks of notebooks/ lie bare on disk; their outputs lie in runs/lab/, and are shown with them."""

    async def save(self, model: Any, path: Any = "") -> dict[str, Any]:
        """Keep the notebook as it is in runs/lab/, then save it bare. An error keeps the notebook from being saved, and is shown."""
        kept = self._kept(path)
        if kept and model.get("type") == "notebook" and model.get("content"):
            whole = nbformat.from_dict(model["content"])
            self.check_and_sign(whole, path)
            kept.parent.mkdir(parents=True, exist_ok=True)
            part = kept.with_suffix(".part")
            nbformat.write(whole, part)
            part.replace(kept)
            model = {**model, "content": bare(model["content"])}
        saved: dict[str, Any] = await super().save(model, path)
        return saved

    async def get(
        self, path: Any, content: Any = True, type: Any = None, format: Any = None, require_hash: Any = False
    ) -> dict[str, Any]:
        """A notebook with the outputs that were kept of it; everything else as it is."""
        model: dict[str, Any] = await super().get(path, content, type, format, require_hash)
        kept = self._kept(path)
        if content and model["type"] == "notebook" and kept and kept.is_file():
            try:
                whole = nbformat.read(kept, as_version=4)
            except (OSError, ValueError, json.JSONDecodeError):  # a copy of outputs that is damaged is no loss of work
                self.log.warning("the outputs kept in %s cannot be read", kept)
                return model
            shown = nbformat.from_dict(with_outputs(model["content"], whole))
            self.mark_trusted_cells(shown, path)
            model["content"] = shown
        return model

    def _kept(self, path: str) -> Path | None:
        parts = Path(path.strip("/")).parts
        inside = parts[:1] == ("notebooks",) and path.endswith(".ipynb") and ".." not in parts
        return Path(self.root_dir, _KEPT, *parts) if inside else None
