"""``sandbox fork``."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli.options import takes
from sandbox.cli.output import Json, console, print_json, table
from sandbox.cli.run import stoppable
from sandbox.cli.settings import Settings
from sandbox.errors import EnvironmentFault
from sandbox.runs.options import JudgeOptions, Parameters, RunOptions
from sandbox.runs.options import options as options_of

if TYPE_CHECKING:
    from sandbox.runs.run_plan import RunResult
    from sandbox.trace.store import Store
    from sandbox.trace.tables import RunRow

_CHANGES = {"model", "monitors", "policy", "mode", "isolation", "image", "on_escalate"}
"""What may be otherwise in a fork, beside parameters and judges; the language is as it was."""


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
    from sandbox.api.running import Batch
    from sandbox.runs.fork_plan import Change

    with settings.open_store() as store:
        row = store.run(run)
        change = Change(at, options, message, result, anyway)
        batch = Batch.of_fork(settings, store, row, change, quiet=as_json, ask=not as_json)
        with stoppable():
            (made,) = batch.execute(store, stop_on=(signal.SIGTERM,))
        replay = _replay(store, made.id)
    if as_json:
        print_json({"run": made.as_data(), "parent": row.id, "fork_at": at, "replay": replay})
    else:
        _print(settings, row, made, replay)
    if replay and not replay["agrees"] and not anyway:
        raise typer.Exit(1)
    if made.task == "error":
        raise typer.Exit(EnvironmentFault.exit_code)


def _replay(store: Store, run: str) -> dict[str, Any] | None:
    """Return what the trace says of the replayed part; None where it never came to its end."""
    told = next((store.content(e) for e in store.events(run) if e.kind == "run.fork"), None)
    return (
        None if told is None else {k: told[k] for k in ("agrees", "calls", "events", "difference")}
    )


def _print(settings: Settings, row: RunRow, made: RunResult, replay: dict[str, Any] | None) -> None:
    from rich.text import Text

    from sandbox.reports.summary import coloured
    from sandbox.terminal_escape import plain

    out = console()
    if replay is None:
        out.print(Text(plain(f"the world could not be rebuilt: {made.reason}"), "red"))
    elif replay["agrees"]:
        out.print(f"{replay['calls']} calls replayed, {replay['events']} events: as in the record")
    else:
        found = replay["difference"]
        said = f"event {found['event']} ({found['kind']}) is not as in the record: {found['what']}"
        out.print(Text(plain(said), "yellow"), soft_wrap=True)
    rows = []
    for run, model, mode, task, safety in (
        (row.id, row.model, row.mode, row.task or row.status, row.safety or ""),
        (made.id, made.model, made.mode, made.task, made.safety),
    ):
        rows.append((run, model, mode, coloured(task), coloured(safety)))
    table(("run", "model", "mode", "task", "safety"), rows)
    out.print(f"\nnext: sandbox {settings.flags}replay {made.id}", style="bold")
