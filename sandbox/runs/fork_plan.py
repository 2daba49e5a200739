"""From a stored run and what is to be changed to the plan of its fork."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sandbox.agents.scaffolds import Driver
from sandbox.agents.scaffolds import resolve as scaffold_of
from sandbox.errors import InputError
from sandbox.gate.approval import Approver
from sandbox.gate.gate import Mode
from sandbox.isolation.base import Backend, Bounds
from sandbox.models.base import Source
from sandbox.models.resolve import unbound
from sandbox.monitors.judges.offline import remember
from sandbox.monitors.library import MonitorFamily, MonitorLibrary
from sandbox.monitors.policy import Policy, from_text
from sandbox.runs.data_retention import Handling
from sandbox.runs.fork_source import read
from sandbox.runs.run_plan import RunPlan
from sandbox.scenario.from_trace import recorded
from sandbox.scenario.toolkits import Catalogue
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
    policy: str | None = None
    """What follows from scores together: a name, or ``none``."""
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
    library: MonitorLibrary,
    decider: Approver,
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
        store,
        row.id,
        change.at,
        message=change.message,
        result=change.result,
        anyway=change.anyway,
    )
    families = library.choose(named if change.monitors is None else change.monitors)
    families = tuple(_woken(family, start.get("judges", {})) for family in families)
    _remember(families, store, row)
    policy = _policy(start, change.policy, library)
    return RunPlan(
        origin.instance,
        model_name,
        model,
        backend,
        catalogue,
        library.with_contributors(families, policy),
        decider,
        change.mode or mode,
        tool_lang,
        bounds,
        {**limits, **change.limits},
        fork,
        Handling(row.purpose, row.legal_basis, None, row.retain_until),
        scaffold=scaffold,
        policy=policy,
    )


def _scaffold(
    row: RunRow, start: Mapping[str, Any], change: Change, workspace: Path | None
) -> Driver:
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


def _woken(family: MonitorFamily, judges: Mapping[str, Any]) -> MonitorFamily:
    """Return a family whose judges have the models that they had in the parent, where they have none."""
    if not family.lacks_model:
        return family
    found = [
        replace(judge, models=tuple(unbound(m["name"]) for m in judges[judge.name]["models"]))
        if judge.name in judges
        else judge
        for judge in family.judges
    ]
    return replace(family, judges=tuple(found))


def _remember(families: Sequence[MonitorFamily], store: Store, row: RunRow) -> None:
    """Let judges know what they answered in the parent: what is replayed is not asked again."""
    judges = [judge for family in families for judge in family.judges if judge.models]
    if judges:
        events = [(e, store.content(e)) for e in store.events(row.id) if e.kind == "judge.reply"]
        for judge in judges:
            remember(judge, events)


def _policy(start: Mapping[str, Any], wanted: str | None, library: MonitorLibrary) -> Policy | None:
    """Return the policy of a fork: as its parent's trace holds it, where no other is wanted."""
    if wanted is None:
        return from_text(start.get("policy", ""))
    return None if wanted == "none" else library.policy(wanted)


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
