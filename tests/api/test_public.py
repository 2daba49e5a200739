"""The public face: typed, lazy, and the same wherever it is written down."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import sandbox
from sandbox.runs.options import RunOptions, options
from tests.support.cli import command

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("pydantic", "sqlalchemy", "pyarrow", "langgraph", "litellm", "docker", "typer", "rich")
USE = """\
import asyncio
from pathlib import Path

import sandbox

results: sandbox.Results = sandbox.run(
    ["injection", Path("suites/demo.yaml")],
    model=["scripted/unsafe", "openai/gpt-4o"],
    agent={"writer": "scripted/safe"},
    monitors=["canary", "scope"],
    mode="enforce",
    limits={"turns": 5},
    bounds={"memory_bytes": "1GiB", "processes": 40},
    lang=["en", "fr"],
    store=Path("runs.db"),
    progress=False,
)
first: sandbox.RunResult = results[0]
worst: list[str] = [run.id for run in results if run.safety == "unsafe"]
rates: list[tuple[float, float]] = [figures.unsafe.interval() for figures in results.figures]
more: sandbox.Results = results[1:]


async def beside() -> sandbox.Results:
    return await sandbox.run_async("injection", model="scripted/safe")


more = asyncio.run(beside())
night: sandbox.SweepResults = sandbox.sweep("nightly.yaml", budget={"eur": 20}, at_once=4)
night = sandbox.sweep({"schema": 1, "name": "x", "scenarios": ["fraud"], "models": ["a/b"]})
tables = [
    sandbox.runs_df(sweep=night.id, since="2026-03-01"),
    sandbox.events_df(runs=results, columns=["event", "text"]),
    sandbox.calls_df(model="openai/*"),
    sandbox.effects_df(scenario=["fraud/*", "injection/*"]),
    sandbox.verdicts_df(runs=first.id),
]
try:
    sandbox.run("injection", model="scripted/safe")
except sandbox.InputError as error:
    print(error)
"""
WRONG = {
    'sandbox.run("injection", model="a/b", moed="enforce")': 'Unexpected keyword argument "moed"',
    'sandbox.run("injection", model="a/b", mode="enforec")': "incompatible type",
    'sandbox.run("injection")': 'Missing named argument "model"',
    'sandbox.run("injection", model="a/b", repeat="3")': "incompatible type",
    "sandbox.runs_df(scenaro='x')": 'Unexpected keyword argument "scenaro"',
    "sandbox.runn": 'has no attribute "runn"',
}


def checked(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Check code with mypy as strictly as it can."""
    (folder / "use.py").write_text(code)
    words = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "use.py"]
    words += ["--cache-dir", str(folder / "cache"), "--follow-imports", "silent"]
    return subprocess.run(words, capture_output=True, text=True, cwd=folder, check=False)


def test_usage_is_type_checked(tmp_path: Path) -> None:
    """What the documents show passes mypy strict; each wrong use is found before it runs."""
    done = checked(tmp_path, USE)
    assert done.returncode == 0, done.stdout
    wrong = "\n".join(WRONG)
    told = checked(tmp_path, f"import sandbox\n{wrong}\n").stdout.splitlines()
    for number, problem in enumerate(WRONG.values(), 2):
        assert any(f"use.py:{number}:" in line and problem in line for line in told), (
            problem,
            told,
        )


def test_importing_loads_nothing_heavy() -> None:
    """``import sandbox`` costs next to nothing; a name is loaded when it is used."""
    code = "import sys, sandbox; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name.partition(".")[0] for name in done.stdout.split()}.isdisjoint(HEAVY)


@pytest.mark.parametrize("name", sandbox.__all__)
def test_every_public_name_exists(name: str) -> None:
    """Each name of ``__all__`` can be had, is documented, and is listed by ``dir``."""
    assert inspect.getdoc(getattr(sandbox, name))
    assert name in dir(sandbox)
    assert f"`{name}" in (ROOT / "docs" / "api.md").read_text()


def test_a_name_that_is_none() -> None:
    """Another name is no attribute."""
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        _ = sandbox.runn  # type: ignore[attr-defined]


def test_an_option_is_the_same_everywhere() -> None:
    """Every field of the options is a flag of ``sandbox run`` and an argument of ``sandbox.run``, with its words."""
    shown = " ".join(command("run", "--help").stdout.split())
    taken = inspect.signature(sandbox.run).parameters
    for option in options(RunOptions):
        flag = f"--{option.flag.name or option.name.replace('_', '-')} "
        assert flag in shown
        assert option.about
        assert option.about.split()[0] in shown
        assert option.name in taken
        assert option.about in (sandbox.run.__doc__ or "")
