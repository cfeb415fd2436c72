"""The one thing that pyproject.toml cannot say: notebooks/ and parameters/ of the repository are package data, as netkit/_desk/."""

import json
import runpy
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
PARTS = (("notebooks", "[0-9]*.ipynb"), ("parameters", "**/[!.]*.*"))


class WithDesk(build_py):
    """build_py, and then the desk; notebooks bare, whatever was run in them. An editable install uses the folders themselves."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        shutil.rmtree(Path(self.build_lib, "netkit/_desk"), ignore_errors=True)  # of an earlier build
        bare = runpy.run_path(str(HERE / "netkit/runs/bare.py"))["bare"]
        for part, pattern in PARTS:
            for path in sorted((HERE / part).glob(pattern)):
                text = path.read_text("utf-8")
                if path.suffix == ".ipynb":
                    text = json.dumps(bare(json.loads(text)), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
                target = Path(self.build_lib, "netkit/_desk", path.relative_to(HERE))
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, "utf-8")


setup(cmdclass={"build_py": WithDesk})
