"""Where probes are played: whole runs, from a scripted model through the gate to the stored trace.

Probes that do each other no harm share a run, and so a container. What came of each is read back
from the store, never from the objects of the run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from sandbox.errors import IsolationError
from sandbox.isolation.base import Backend, Container, ContainerSpec
from sandbox.models.base import ModelRequest, Reply, Retry
from sandbox.monitors.library import MonitorLibrary
from sandbox.runs.options import RunOptions
from sandbox.runs.planner import Planner
from sandbox.runs.run import run
from sandbox.scenario.content_paths import Content
from sandbox.scenario.instance import Instance
from sandbox.scenario.loader import Loader
from sandbox.scenario.selection import select
from sandbox.trace.store import Store
from sandbox.trace.verify import verify
from tests.support import REPOSITORY
from tests.support.attacks.probe import Asked, Hosted, Probe, Seen, outcome, shell
from tests.support.cli import command

WORKSPACE = REPOSITORY / "tests" / "attacks" / "workspace"
SCENARIO = "attacks/probes"
LAST = "last"
"""Probe's id of the call that asks whether the container still works after all the others."""


@cache
def _loader() -> Loader:
    return Loader(Content(WORKSPACE))


def _instance() -> Instance:
    return select(_loader(), [SCENARIO])[0].instance("en", 0)


@dataclass
class Player:
    """A model that plays probes one after the other, and lets the host act in between."""

    probes: Sequence[Probe]
    doorway: Doorway
    hosted: dict[str, str] = field(default_factory=dict)
    """Number of a step → what the host's act came to."""
    name: str = "scripted/attacks"

    def __post_init__(self) -> None:
        self._steps = self._all()

    def _all(self) -> Iterator[tuple[str, Asked | Hosted]]:
        for probe in self.probes:
            for index, step in enumerate(probe.steps):
                yield f"{probe.id}#{index}", step
        yield f"{LAST}#0", shell("echo fine")

    def describe(self) -> Mapping[str, Any]:
        """Return what plays."""
        return {"provider": "scripted"}

    async def complete(self, request: ModelRequest, on_retry: Retry) -> Reply:
        """Return the next call; the host's acts before it are done first."""
        for number, step in self._steps:
            if isinstance(step, Asked):
                call = step.call(number)
                return Reply(step.say, (call,), finish="tool_calls", model=self.name)
            assert self.doorway.container is not None
            try:
                self.hosted[number] = await step.act(self.doorway.container)
            except IsolationError as error:
                self.hosted[number] = f"refused: {error}"
        return Reply("Over.", model=self.name)


class Doorway:
    """A back end that remembers the container that it opened, so that the host can act on it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.name = backend.name
        self.container: Container | None = None

    def unavailable(self) -> str | None:
        """Return why it cannot run here."""
        return self._backend.unavailable()

    async def open(self, spec: ContainerSpec) -> Container:
        """Open a container."""
        self.container = await self._backend.open(spec)
        return self.container

    def reap(self) -> int:
        """Remove what is left of processes that are gone."""
        return self._backend.reap()


@dataclass(frozen=True)
class Played:
    """One stored run."""

    path: Path
    run: str
    reason: str
    hosted: Mapping[str, str]
    results: Mapping[str, dict[str, Any]]
    """Id of a call → data of its result, as the store has it."""
    late: Mapping[str, list[dict[str, Any]]]
    """Id of a call → what it did after it had returned."""
    intents: frozenset[str]
    sound: str | None
    """What ``runs verify`` finds wrong with it."""

    def views(self) -> str:
        """Return what the command line prints of it."""
        return _views(self.path, self.run)

    def seen(self, probe: Probe) -> Seen:
        """Return what came of one of its probes."""
        results, late, answers = [], [], []
        for index, step in enumerate(probe.steps):
            number = f"{probe.id}#{index}"
            if isinstance(step, Hosted):
                answers.append(self.hosted.get(number, "no answer"))
            elif number in self.results:
                results.append(self.results[number])
                late.append(self.late.get(number, []))
                answers.append(outcome(self.results[number]))
            else:
                answers.append("no answer")
        return Seen(tuple(results), tuple(answers), tuple(late), self.views, self.reason)

    def recorded(self, probe: Probe) -> bool:
        """Return whether the calls of a probe are in the trace, each begun one with its result."""
        asked = {
            f"{probe.id}#{index}"
            for index, step in enumerate(probe.steps)
            if isinstance(step, Asked)
        }
        begun = asked & self.intents
        return bool(begun) and begun <= self.results.keys()


@cache
def _views(path: Path, run_id: str) -> str:
    text = ""
    for words in (("replay", run_id, "--full"), ("runs", "show", run_id), ("runs", "list")):
        done = command("--store", str(path), *words, environment={**os.environ, "COLUMNS": "200"})
        done.check_returncode()
        text += done.stdout + done.stderr
    return text


class ProbeRunner:
    """Plays the probes that are asked for, each once, on one back end."""

    def __init__(self, backend: Backend, probes: Iterable[Probe], folder: Path) -> None:
        self._backend = backend
        self._groups = {group[0].id: group for group in _grouped(probes)}
        self._leader = {p.id: first for first, group in self._groups.items() for p in group}
        self._folder = folder
        self._played: dict[str, Played] = {}

    def has(self, probe: Probe) -> bool:
        """Return whether a probe is among those that are played."""
        return probe.id in self._leader

    def played(self, probe: Probe) -> Played:
        """Return the run in which a probe was played."""
        first = self._leader[probe.id]
        if first not in self._played:
            path = self._folder / f"{self._backend.name}-{first}.db"
            self._played[first] = asyncio.run(_play(self._backend, self._groups[first], path))
        return self._played[first]


def _grouped(probes: Iterable[Probe]) -> list[list[Probe]]:
    def key(probe: Probe) -> tuple[str, ...]:
        own = probe.id if probe.alone else ""
        return (own, str(probe.bounds), str(probe.call_seconds))

    return [list(group) for _, group in groupby(sorted(probes, key=key), key)]


async def _play(backend: Backend, probes: Sequence[Probe], path: Path) -> Played:
    await _elsewhere(backend, [call for probe in probes for call in probe.earlier])
    async with AsyncExitStack() as stack:
        await _elsewhere(backend, [call for probe in probes for call in probe.beside], stack)
        return await play_once(backend, probes, path)


async def play_once(backend: Backend, probes: Sequence[Probe], path: Path) -> Played:
    """Play probes in one run, with the bounds of the first, and read it back from the store."""
    first, loader, instance = probes[0], _loader(), _instance()
    doorway = Doorway(backend)
    player = Player(probes, doorway)
    planner = Planner(loader, MonitorLibrary(loader.content, loader.catalogue), doorway)
    options = RunOptions(
        model=player.name,
        bounds=asdict(first.bounds),
        limits={"call_seconds": first.call_seconds},
    )
    plan = planner.plan(instance, options, source=lambda _: player)
    with Store(str(path)) as store:
        done = await run(plan, store)
        return _read(store, path, done.id, done.reason, player.hosted)


async def _elsewhere(
    backend: Backend,
    calls: Sequence[Asked],
    stay: AsyncExitStack | None = None,
) -> None:
    """Make calls in a container of its own, which is closed at once, or with the stack."""
    if not calls:
        return
    container = await backend.open(specification())
    if stay is not None:
        stay.push_async_callback(container.close)
    for call in calls:
        await container.call(call.tool, call.arguments or {}, agent="intruder", timeout=20)
    if stay is None:
        await container.close()


def specification() -> ContainerSpec:
    """Return what a container beside the runs is made for."""
    instance = _instance()
    tools = instance.tools["intruder"]
    catalogue = _loader().catalogue
    return ContainerSpec(
        run_id="elsewhere",
        toolkits=tuple(catalogue.toolkit(name) for name in {tool.toolkit: 1 for tool in tools}),
        tools=tuple(tool.guest_data() for tool in tools),
        now=instance.scenario.world.clock,
        lang=instance.lang,
        sections={},
        files={},
    )


def _read(store: Store, path: Path, run_id: str, reason: str, hosted: Mapping[str, str]) -> Played:
    results, intents = {}, set()
    late: dict[str, list[dict[str, Any]]] = {}
    for event in store.events(run_id):
        if event.kind == "tool.result":
            data = store.content(event)
            results[data["call"]] = data
        elif event.kind == "tool.intent":
            intents.add(store.content(event)["call"])
        elif event.kind == "tool.late":
            data = store.content(event)
            late.setdefault(data["call"], []).extend(data["effects"])
    sound = verify(store, store.run(run_id)).problem
    return Played(path, run_id, reason, dict(hosted), results, late, frozenset(intents), sound)
