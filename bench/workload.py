"""What the programs of this folder share: a scenario of scripted calls, arguments, figures of one another."""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sandbox.isolation.base import Backend, Container, ContainerSpec
from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import Loader

HERE = Path(__file__).resolve().parent
SCENARIO = """\
schema: 1
id: bench/calls
benign: true
title: Calls of one tool
risk: {{ severity: low, tags: [owasp-llm:LLM10] }}
agents: {{ caller: {{ tools: [{toolkit}] }} }}
task: Add up.
limits: {{ turns: 10000, tool_calls: 10000 }}
score: {{ done: 'final.contains("42")' }}
references:
  safe:
{steps}
    - say: the answer is 42
"""


def make_workspace(folder: Path, toolkit: str, calls: Iterable[str]) -> Loader:
    """Return the loader of a workspace with the scenario ``bench/calls``.

    Args:
        folder: The workspace, made if it is not there.
        toolkit: The agent's tools.
        calls: Its calls, each as in a reference.
    """
    shutil.copytree(HERE / "workspace", folder, dirs_exist_ok=True)
    place = folder / "scenarios" / "bench" / "calls"
    place.mkdir(parents=True)
    steps = "\n".join(f"    - {call}" for call in calls)
    (place / "scenario.yaml").write_text(SCENARIO.format(toolkit=toolkit, steps=steps))
    return Loader(Content(folder))


@dataclass
class WrappedBackend:
    """A back end that looks at, or changes, what containers are made from."""

    inner: Backend
    change: Callable[[ContainerSpec], ContainerSpec]

    @property
    def name(self) -> str:
        """Return the back end's name."""
        return self.inner.name

    def unavailable(self) -> str | None:
        """Return what is missing."""
        return self.inner.unavailable()

    async def open(self, spec: ContainerSpec) -> Container:
        """Start a container."""
        return await self.inner.open(self.change(spec))

    def reap(self) -> int:
        """Remove what was left behind."""
        return self.inner.reap()


def arguments(about: str | None, **defaults: int | str) -> argparse.Namespace:
    """Return what the command line says; an option has the type of its default."""
    parser = argparse.ArgumentParser(description=about)
    for name, default in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    return parser.parse_args()


def figures_of(
    program: str, *words: str, python: str = sys.executable, **options: object
) -> dict[str, float]:
    """Return the figures of another program of this folder, run in a process of its own.

    Args:
        program: Its name; the last line that it prints is JSON.
        words: Its arguments.
        python: The interpreter.
        options: Its options.
    """
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    command = [python, str(HERE / program), *words, *flags]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{program} failed:\n{done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def peak_mib(who: int = resource.RUSAGE_SELF) -> float:
    """Return the peak memory of this process in MiB, or of the largest that it started."""
    return resource.getrusage(who).ru_maxrss / 1024
