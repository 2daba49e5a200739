"""docs/api.md: each block of code runs, as a script and as the cells of a notebook."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "api.md"
BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
NOTEBOOK = """\
import ast, asyncio, inspect, sys

async def notebook(cells):
    names = {}
    for number, cell in enumerate(cells):
        code = compile(cell, f"<cell {number}>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, names)
        if inspect.iscoroutine(result):
            await result

asyncio.run(notebook(eval(sys.stdin.read())))
"""
"""What a kernel does: cells in one namespace, under a loop that runs, with await at their top."""
pytestmark = pytest.mark.usefixtures("backend")


@pytest.mark.parametrize("notebook", [False, True], ids=["script", "notebook"])
def test_the_document_runs(tmp_path: Path, *, notebook: bool) -> None:
    """From the first block to the last, with a store of its own; a refused option is printed."""
    blocks = [*BLOCKS, "print(await two())" if notebook else "print(asyncio.run(two()))"]
    environment = {
        **os.environ,
        "SANDBOX_WORKSPACE": str(ROOT),
        "SANDBOX_STORE": str(tmp_path / "runs.db"),
        "MPLBACKEND": "Agg",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", NOTEBOOK if notebook else "\n".join(blocks)],
        input=repr(blocks),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "mode: unknown value 'enforec' — did you mean 'enforce'?" in done.stdout
    assert "['safe', 'unsafe']" in done.stdout
    assert (tmp_path / "refusals.png").stat().st_size > 0
