"""From a stored run and what is to be changed to the plan of its fork."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.agents.scaffolds import Scaffold
from sandbox.agents.scaffolds import resolve as scaffold_of
from sandbox.errors import InputError
from sandbox.isolation.base import Backend, Bounds
from sandbox.models.base import Source
from sandbox.oversight.escalation import Decider
from sandbox.oversight.gate import Mode
from sandbox.oversight.library import Library
from sandbox.scenario.recorded import recorded
from sandbox.scenario.toolkits import Catalogue
from sandbox.session.handling import Handling
from sandbox.session.parent import read
from sandbox.session.plan import RunPlan
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow


@dataclass(frozen=True)
class Change:
    """What is to be otherwise in a fork; what is left out is as in its parent."""

    at: int
    """The parent's event from which on things happen anew."""
    monitors: tuple[str, ...] | None = None
    """Monitor families."""
    mode: Mode | None = None
    message: str = ""
    """A user's message, heard there."""
    result: str | None = None
    """What the agent reads in place of the result at that event."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Limit → value in place of the parent's."""
    anyway: bool = False
    """Whether to go on where tools or the replay are not as in the record."""


def forked(
    store: Store,
    row: RunRow,
    change: Change,
    *,
    model_name: str,
    model: Source,
    backend: Backend,
    catalogue: Catalogue,
    library: Library,
    decider: Decider,
    workspace: Path | None = None,
) -> RunPlan:
    """Return the plan of a fork: an ordinary run that follows its parent up to a point.

    Args:
        store: Where the parent is.
        row: The parent.
        change: What is to be otherwise.
        model_name: The model that goes on, as its user wrote it.
        model: Its source.
        backend: Where the world is rebuilt.
        catalogue: The toolkits of the workspace.
        library: The monitors of the workspace.
        decider: Decides what is escalated.
        workspace: Where the module of a user's own scaffold lies.

    Raises:
        InputError: The parent's trace does not hold what is needed, its tools are not what they
            were, or there is nothing at that event to fork.
    """
    start = start_of(store, row)
    try:
        origin = recorded(start, catalogue)
        limits, bounds = dict(start["limits"]), Bounds(**start["bounds"])
        named, mode = tuple(start["monitors"]), start["mode"]
        tool_lang = start["tool_lang"]
    except (KeyError, TypeError) as error:
        raise InputError(f"run {row.id}: its trace lacks {error}") from error
    except InputError as error:
        raise InputError(f"run {row.id} cannot be forked: {error}") from error
    if origin.changed and not change.anyway:
        raise InputError(
            f"run {row.id} cannot be forked: these tools are not defined as they were: "
            f"{', '.join(origin.changed)} (--anyway to fork it with those of now)"
        )
    scaffold = _scaffold(row, start, change, workspace)
    fork = read(
        store, row.id, change.at,
        message=change.message, result=change.result, anyway=change.anyway,
    )  # fmt: skip
    families = library.choose(named if change.monitors is None else change.monitors)
    return RunPlan(
        origin.instance, model_name, model, backend, catalogue, families, decider,
        change.mode or mode, tool_lang, bounds, {**limits, **change.limits}, fork,
        Handling(row.purpose, row.legal_basis, None, row.retain_until), scaffold=scaffold,
    )  # fmt: skip


def _scaffold(
    row: RunRow, start: Mapping[str, Any], change: Change, workspace: Path | None
) -> Scaffold:
    """Return what drove the parent's model, and drives the fork's.

    Raises:
        InputError: It is not there, or not what it was.
    """
    found = scaffold_of(str(start.get("scaffold", "react")), workspace)
    if found.sha256 != start.get("scaffold_sha256", "") and not change.anyway:
        raise InputError(
            f"run {row.id} cannot be forked: the file of its scaffold {found.name} is not what it was "
            "(--anyway to fork it with that of now)"
        )
    return found


def start_of(store: Store, row: RunRow) -> dict[str, Any]:
    """Return what the first event of a run says, if the run can be forked.

    Raises:
        InputError: It was imported or purged: nothing in the store says how to make its world.
    """
    if row.origin:
        raise InputError(f"run {row.id} cannot be forked: it was imported, its world is not here")
    if row.status == "purged":
        raise InputError(f"run {row.id} cannot be forked: it was purged")
    first = next(iter(store.events(row.id)), None)
    if first is None or first.kind != "run.start":
        raise InputError(f"run {row.id} cannot be forked: its trace does not begin with its start")
    data: dict[str, Any] = store.content(first)
    return data
