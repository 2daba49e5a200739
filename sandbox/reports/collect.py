"""A set of stored runs with what a report tells of it: outcomes, scenarios, how it was obtained."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from sandbox.analysis.outcomes import Observed
from sandbox.enums import EventKind, RunStatus
from sandbox.errors import InputError, nearest
from sandbox.sweeps.store import Sweeps
from sandbox.sweeps.tables import SweepRow
from sandbox.trace.labels import Labels
from sandbox.trace.run_events import ContainerOpenEvent, RunStartEvent
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

SAMPLED = 600
"""Runs at most whose first events are read to say how a set was obtained."""
_HEAD = 4  # events at the head of a trace among which start and container are


@dataclass(frozen=True)
class Facts:
    """What a scenario says of itself."""

    titles: Mapping[str, str]
    """Language → title."""
    tags: tuple[str, ...]
    severity: str


@dataclass(frozen=True)
class Obtained:
    """How runs were obtained; each value once, in the order of first appearance."""

    values: Mapping[str, tuple[str, ...]]
    models: Mapping[str, Mapping[str, Any]]
    """Model → what it says of itself: provider, parameters, prices."""
    monitors: tuple[str, ...]
    """Families of monitors that watched."""
    sampled: int


@dataclass(frozen=True)
class Dossier:
    """A set of runs."""

    id: str
    """Of the sweep; empty where it is none."""
    name: str
    runs: tuple[Observed, ...]
    started: float
    ended: float
    planned: int
    facts: Mapping[str, Facts] = field(default_factory=dict)
    obtained: Obtained = field(default_factory=lambda: Obtained({}, {}, (), 0))
    status: str = ""
    """Of the sweep."""
    filters: Mapping[str, str] = field(default_factory=dict)
    """What was asked for, where it is no sweep."""
    labels: str = ""
    """Source of the labels that stand in place of stored outcomes, where some do."""
    labelled: int = 0
    """Runs that have such a label."""


def of_sweep(store: Store, row: SweepRow, *, facts: bool = True) -> Dossier:
    """Return the finished runs of a sweep.

    Args:
        store: Where it is.
        row: The sweep.
        facts: Whether scenarios and the way of obtaining are wanted, too.
    """
    runs = tuple(
        Observed.of(result, started=row.created, defence=item.defence, parameters=item.parameters)
        for item, result in Sweeps(store).results(row.id)
    )
    told = _told(store, runs) if facts else ({}, Obtained({}, {}, (), 0))
    ended = row.ended or row.created + sum(r.seconds for r in runs)
    return Dossier(
        row.id, row.name, runs, row.created, ended, row.planned, *told, status=row.status
    )


def of_rows(store: Store, rows: Sequence[RunRow], filters: Mapping[str, str]) -> Dossier:
    """Return stored runs as a set; those that are not finished are counted, and left out.

    Raises:
        InputError: None of them is finished.
    """
    done = [row for row in rows if row.status == RunStatus.FINISHED and row.result]
    if not done:
        raise InputError("no finished runs to report on: see sandbox runs list")
    runs = tuple(Observed.of(row.result or {}, started=row.started) for row in reversed(done))
    started = min(row.started for row in done)
    ended = max(row.ended or row.started for row in done)
    facts = _told(store, runs)
    return Dossier("", "", runs, started, ended, len(rows), *facts, filters=filters)


_OUTCOMES = {
    "success": "unsafe",
    "attempted": "attempted",
    "resisted": "safe",
    "benign": "safe",
    "unclear": "",
}


def relabelled(store: Store, dossier: Dossier, source: str) -> Dossier:
    """Return a set of runs with the outcomes that labels give them; runs without one keep their own.

    Where several people labelled a run most of them decide; where they are divided, or find it
    unclear, its safety counts as not judged.

    Args:
        store: Where the labels are.
        dossier: The runs.
        source: Whose labels: ``published``, ``corrected``, ``person``.

    Raises:
        InputError: None of the runs has an outcome label of this source.
    """
    found = Labels(store).of_runs(run.id for run in dossier.runs)
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for label in found:
        if (label.name, label.source) == ("outcome", source) and label.value in _OUTCOMES:
            votes[label.run][label.value] += 1
    values = {run: _decided(counted) for run, counted in votes.items()}
    if not values:
        sources = {x.source for x in found if x.name == "outcome"}
        raise InputError(f"no run has an outcome label of {source!r}{nearest(source, sources)}")
    runs = tuple(
        replace(run, safety=_OUTCOMES[value], benign=run.benign or value == "benign")
        if (value := values.get(run.id))
        else run
        for run in dossier.runs
    )
    return replace(dossier, runs=runs, labels=source, labelled=len(values))


def _decided(votes: Counter[str]) -> str:
    (first, most), *others = votes.most_common()
    return "unclear" if others and others[0][1] == most else first


def baseline(store: Store, row: SweepRow, asked: str) -> list[SweepRow]:
    """Return the sweeps that one is compared with, oldest first.

    Args:
        store: Where they are.
        row: The sweep that is judged.
        asked: Id or name of a sweep, or ``last:N``: the N before it of the same name that have runs.

    Raises:
        InputError: There is none.
    """
    sweeps = Sweeps(store)
    kind, colon, number = asked.partition(":")
    if kind == "last" and colon:
        if not number.isdigit() or not int(number):
            raise InputError(f"--baseline {asked}: say how many nights, such as last:5")
        earlier = [
            s
            for s in sweeps.list(name=row.name)
            if s.created < row.created and s.status not in ("planned", "running")
        ]
        earlier = [s for s in earlier if next(iter(sweeps.results(s.id)), None)][: int(number)]
        if not earlier:
            raise InputError(f"there is no sweep {row.name!r} before {row.id} that has runs")
        return earlier[::-1]
    found = sweeps.get(asked)
    if found.id == row.id:
        raise InputError(f"{asked!r} is the sweep itself: name an earlier one, or last:N")
    return [found]


def declared(row: SweepRow) -> str | None:
    """Return what a sweep's own file says to compare it with, in the form of :func:`baseline`."""
    said = row.spec.get("baseline") or {}
    return said.get("sweep") or (f"last:{said['nights']}" if said.get("nights") else None)


def _told(store: Store, runs: Iterable[Observed]) -> tuple[dict[str, Facts], Obtained]:
    """Read the heads of one run of each combination of factors."""
    chosen: dict[tuple[str, ...], Observed] = {}
    for run in runs:
        key = (
            run.scenario,
            run.model,
            run.scaffold,
            run.defence,
            run.parameters,
            run.isolation,
            run.lang,
        )
        if key not in chosen and len(chosen) >= SAMPLED:
            continue
        chosen.setdefault(key, run)
    facts: dict[str, Facts] = {}
    values: dict[str, dict[str, None]] = {}
    models: dict[str, Mapping[str, Any]] = {}
    monitors: dict[str, None] = {}
    for run in chosen.values():
        start, container = _head(store, run.id)
        facts.setdefault(run.scenario, _facts(start, run))
        models.setdefault(run.model, start.get("model_described") or {})
        monitors.update(dict.fromkeys(start.get("monitors") or ()))
        for name, text in _ways(start, container, run):
            values.setdefault(name, {})[text] = None
    told = {name: tuple(found) for name, found in values.items()}
    return facts, Obtained(told, models, tuple(monitors), len(chosen))


def _head(store: Store, run: str) -> tuple[RunStartEvent, ContainerOpenEvent]:
    """Return what begins a run; without fields where there is no such event."""
    found: dict[str, Any] = {}
    for event in islice(store.events(run), _HEAD):
        if event.kind in (EventKind.RUN_START, EventKind.CONTAINER_OPEN):
            # Large texts stay where they are: none of what is read here is one.
            found[event.kind] = event.content()
    return found.get(EventKind.RUN_START, {}), found.get(EventKind.CONTAINER_OPEN, {})


def _facts(start: RunStartEvent, run: Observed) -> Facts:
    risk: Mapping[str, Any] = start.get("risk") or {}
    titles = {k: v for k, v in (start.get("title") or {}).items() if isinstance(v, str)}
    tags = tuple(tag for tag in risk.get("tags") or () if isinstance(tag, str))
    return Facts(titles, tags, str(risk.get("severity") or run.severity))


def _ways(
    start: RunStartEvent, container: ContainerOpenEvent, run: Observed
) -> Iterable[tuple[str, str]]:
    versions = start.get("versions") or {}
    yield "versions", ", ".join(f"{name} {number}" for name, number in versions.items())
    yield (
        "isolation",
        " ".join(str(part) for part in (run.isolation, container.get("version")) if part),
    )
    yield "image", str(container.get("image") or "")
    digest = str(start.get("scaffold_sha256") or "")[:12]
    yield "scaffold", f"{run.scaffold} (sha256 {digest})" if digest else run.scaffold
    yield "mode", run.mode
    yield "lang", run.lang
    yield "tool_lang", str(start.get("tool_lang") or "")
    yield "escalation", str(start.get("escalation") or "")
    limits = start.get("limits") or {}
    yield "limits", ", ".join(f"{name} {value:g}" for name, value in limits.items() if value)
    bounds = start.get("bounds") or {}
    yield "bounds", ", ".join(f"{name} {value}" for name, value in bounds.items())
    for name, number in (start.get("taxonomies") or {}).items():
        yield "taxonomies", f"{name} {number}"
