"""``sandbox fork``."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Annotated, TypedDict, cast

import typer
from rich.text import Text

from sandbox.api.running import RunBatch
from sandbox.cli.command import Json, Settings, console, reply, table
from sandbox.cli.options import takes
from sandbox.cli.run import stoppable
from sandbox.errors import EnvironmentFault
from sandbox.reports.summary import coloured
from sandbox.runs.fork_plan import ForkChange
from sandbox.runs.options import JudgeOptions, Parameters, RunOptions
from sandbox.runs.options import options as options_of
from sandbox.runs.run_plan import RunResult
from sandbox.terminal_escape import plain
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

_CHANGES = {"model", "monitors", "policy", "mode", "isolation", "image", "on_escalate"}
"""What a fork may change, beside parameters and judges; the language stays."""


@takes(
    RunOptions,
    only=_CHANGES
    | {option.name for kind in (Parameters, JudgeOptions) for option in options_of(kind)},
    without={"tool_lang"},
    changes=True,
)
def fork(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="A run, or the beginning of its id.")],
    at: Annotated[
        int, typer.Option("--at", min=0, help="Event from which on it happens anew.", metavar="N")
    ],
    options: Mapping[str, object],
    message: Annotated[
        str, typer.Option(help="A user's message that is heard there.", metavar="TEXT")
    ] = "",
    result: Annotated[
        str | None,
        typer.Option(help="What the agent reads in place of the result at N.", metavar="TEXT"),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Go on if the replay does not agree.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Go on from any event of a run with another model, monitor, mode, message or result.

    Models, monitors, policy, mode, limits, bounds and isolation that are left out are the run's own.
    The world is rebuilt by replaying the run's calls into a fresh container, and what comes out is
    compared with the record. The exit status is 1 if it does not agree, with the first event
    that differs, and nothing new happens then.
    """
    settings = Settings.of(context)
    with settings.open_store() as store:
        row = store.run(run)
        change = ForkChange(at, options, message, result, anyway)
        batch = RunBatch.of_fork(settings, store, row, change, quiet=as_json, ask=not as_json)
        with stoppable():
            (new,) = batch.execute(store, stop_on=(signal.SIGTERM,))
        replay = _replay(store, new.id)
    document = {"run": new.as_data(), "parent": row.id, "fork_at": at, "replay": replay}
    differs = replay and not replay["agrees"] and not anyway
    code = 1 if differs else EnvironmentFault.exit_code if new.task == "error" else 0
    reply(as_json, document, lambda: _print(settings, row, new, replay), code)


class _Difference(TypedDict):
    event: int
    kind: str
    what: str


class _Replay(TypedDict):
    agrees: bool
    calls: int
    events: int
    difference: _Difference


def _replay(store: Store, run: str) -> _Replay | None:
    """Return what the trace says of the replayed part; None if the replay was not finished."""
    for event in store.events(run):
        if event.kind == "run.fork":
            data = store.content(event)
            return cast("_Replay", {key: data[key] for key in _Replay.__annotations__})
    return None


def _print(settings: Settings, row: RunRow, new: RunResult, replay: _Replay | None) -> None:
    out = console()
    if replay is None:
        out.print(Text(plain(f"the world could not be rebuilt: {new.reason}"), "red"))
    elif replay["agrees"]:
        out.print(f"{replay['calls']} calls replayed, {replay['events']} events: as in the record")
    else:
        where = "event {event} ({kind}) is not as in the record: {what}"
        out.print(Text(plain(where.format(**replay["difference"])), "yellow"), soft_wrap=True)
    rows = [
        (row.id, row.model, row.mode, coloured(row.task or row.status), coloured(row.safety or "")),
        (new.id, new.model, new.mode, coloured(new.task), coloured(new.safety)),
    ]
    table(("run", "model", "mode", "task", "safety"), rows)
    out.print(f"\nnext: sandbox {settings.flags}replay {new.id}", style="bold")
