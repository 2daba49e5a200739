"""From a stored run and what is to be changed to the plan of its fork."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sandbox.enums import EventKind, RunStatus
from sandbox.errors import InputError
from sandbox.models.base import Source
from sandbox.models.resolve import unbound
from sandbox.monitors.judges.offline import remember
from sandbox.monitors.library import MonitorFamily
from sandbox.monitors.policy import from_text
from sandbox.runs.data_retention import Handling
from sandbox.runs.fork_source import read
from sandbox.runs.options import RunOptions
from sandbox.runs.planner import Planner, check_model_keys
from sandbox.runs.run_plan import RunPlan
from sandbox.scenario.from_trace import scenario_of
from sandbox.trace.run_events import JudgeDescription, RunStartEvent
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow


@dataclass(frozen=True)
class ForkChange:
    """What is to be otherwise in a fork; what is left out is as in its parent."""

    at: int
    """The parent's event from which on things happen anew."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Fields of :class:`sandbox.runs.options.RunOptions` → values instead of the parent's."""
    message: str = ""
    """A user's message, heard there."""
    result: str | None = None
    """What the agent reads in place of the result at that event."""
    anyway: bool = False
    """Whether to go on if tools or the replay are not as in the record."""


def plan_fork(
    store: Store, row: RunRow, change: ForkChange, planner: Planner, model: Source | None = None
) -> RunPlan:
    """Return the plan of a fork: an ordinary run that follows its parent up to a point.

    Args:
        store: Where the parent is.
        row: The parent.
        change: What is to be otherwise.
        planner: Of the workspace; its back end is where the world is rebuilt.
        model: The model that goes on, instead of the one that the name means.

    Raises:
        InputError: The parent's trace does not hold what is needed, its tools are not what they
            were, or there is nothing at that event to fork.
    """
    start = start_of(store, row)
    try:
        origin = scenario_of(start, planner.loader.catalogue)
        options = _options(row, start, change)
    except (KeyError, TypeError) as error:
        raise InputError(f"run {row.id}: its trace lacks {error}") from error
    except InputError as error:
        raise InputError(f"run {row.id} cannot be forked: {error}") from error
    if origin.changed and not change.anyway:
        raise InputError(
            f"run {row.id} cannot be forked: these tools are not defined as they were: "
            f"{', '.join(origin.changed)} (--anyway to fork it with those of now)"
        )
    scaffold = planner.scaffold(options.scaffold)
    if scaffold.sha256 != start.get("scaffold_sha256", "") and not change.anyway:
        raise InputError(
            f"run {row.id} cannot be forked: the file of its scaffold {scaffold.name} is not what it "
            "was (--anyway to fork it with that of now)"
        )
    if model is None:
        check_model_keys(options)
    fork = read(
        store,
        row.id,
        change.at,
        message=change.message,
        result=change.result,
        anyway=change.anyway,
    )
    families = planner.families(options, origin.instance.scenario)
    families = tuple(_with_models(family, start.get("judges", {})) for family in families)
    _remember(families, store, row)
    return planner.plan(
        origin.instance,
        options,
        fork=fork,
        handling=Handling(row.purpose, row.legal_basis, None, row.retain_until),
        source=model,
        families=families,
        policy=None if "policy" in change.options else from_text(start.get("policy", "")),
    )


def _options(row: RunRow, start: RunStartEvent, change: ForkChange) -> RunOptions:
    parent = RunOptions(
        model=row.model,
        monitors=tuple(start["monitors"]) or "none",
        mode=start["mode"],
        scaffold=str(start.get("scaffold", "react")),
        tool_lang=start["tool_lang"],
        limits=start["limits"],
        bounds=start["bounds"],
    )
    added = {
        name: {**getattr(parent, name), **value} if isinstance(value, Mapping) else value
        for name, value in change.options.items()
    }
    return replace(parent, **added)  # type: ignore[arg-type] # checked when it is made


def _with_models(family: MonitorFamily, judges: Mapping[str, JudgeDescription]) -> MonitorFamily:
    """Return a family whose judges have the models that they had in the parent, if they have none."""
    if not family.lacks_model:
        return family
    awake = [
        replace(judge, models=tuple(unbound(m["name"]) for m in judges[judge.name]["models"]))
        if judge.name in judges
        else judge
        for judge in family.judges
    ]
    return replace(family, judges=tuple(awake))


def _remember(families: Sequence[MonitorFamily], store: Store, row: RunRow) -> None:
    """Let judges know what they answered in the parent: what is replayed is not asked again."""
    judges = [judge for family in families for judge in family.judges if judge.models]
    if judges:
        replies = (e for e in store.events(row.id) if e.kind == EventKind.JUDGE_REPLY)
        events = [(e, store.content(e)) for e in replies]
        for judge in judges:
            remember(judge, events)


def start_of(store: Store, row: RunRow) -> RunStartEvent:
    """Return what the first event of a run says, if the run can be forked.

    Raises:
        InputError: It was imported or purged: nothing in the store says how to make its world.
    """
    if row.origin:
        raise InputError(f"run {row.id} cannot be forked: it was imported, its world is not here")
    if row.status == RunStatus.PURGED:
        raise InputError(f"run {row.id} cannot be forked: it was purged")
    first = next(iter(store.events(row.id)), None)
    if first is None or first.kind != EventKind.RUN_START:
        raise InputError(f"run {row.id} cannot be forked: its trace does not begin with its start")
    return store.content(first, RunStartEvent)
