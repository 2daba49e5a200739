"""``sandbox fork``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli.output import Json, console, print_json, table
from sandbox.cli.run import (
    ESCALATIONS,
    MODES,
    Image,
    JudgeCache,
    JudgeLang,
    JudgeModel,
    Monitors,
    OnEscalate,
    check,
    decider_for,
    execute_all,
    limits_of,
)
from sandbox.cli.settings import Settings, reap
from sandbox.errors import EnvironmentFault

if TYPE_CHECKING:
    from sandbox.runs.run_plan import RunResult
    from sandbox.trace.store import Store
    from sandbox.trace.tables import RunRow


def fork(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="A run, or the beginning of its id.")],
    at: Annotated[
        int, typer.Option("--at", min=0, help="Event from which on it happens anew.", metavar="N")
    ],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="The model that goes on; the run's own if left out."),
    ] = None,
    monitors: Monitors = None,
    judge_model: JudgeModel = None,
    judge_cache: JudgeCache = None,
    judge_lang: JudgeLang = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="What follows from scores together: a name, FILE, or 'none'; as in the run if left out.",
            metavar="FILE",
        ),
    ] = None,
    mode: Annotated[str | None, typer.Option(help="observe or enforce, from there on.")] = None,
    message: Annotated[
        str, typer.Option(help="A user's message that is heard there.", metavar="TEXT")
    ] = "",
    result: Annotated[
        str | None,
        typer.Option(help="What the agent reads in place of the result at N.", metavar="TEXT"),
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE in place of the run's; repeatable.")
    ] = None,
    isolation: Annotated[
        str | None, typer.Option(help="Where the world is rebuilt; as in the run if left out.")
    ] = None,
    image: Image = None,
    on_escalate: OnEscalate = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Go on where the replay does not agree.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Go on from any event of a run with another model, monitor, mode, message or result.

    The world is rebuilt by replaying the run's calls into a fresh container, and what comes out is
    compared with the record. The exit status is 1 where it does not agree, with the first event
    that differs, and nothing new happens then.
    """
    check("--mode", mode, MODES)
    check("--on-escalate", on_escalate, ESCALATIONS)
    settings = Settings.of(context).judged_by(judge_model or (), judge_cache, judge_lang)
    from sandbox.cli.progress import LiveView
    from sandbox.isolation.backends import backend
    from sandbox.models.resolve import check_keys, resolve
    from sandbox.runs.fork_plan import Change, forked, start_of

    decider, person = decider_for(on_escalate, as_json)
    names = None if monitors is None else tuple(n.strip() for n in monitors.split(",") if n.strip())
    change = Change(
        at,
        () if names == ("none",) else names,
        mode,  # type: ignore[arg-type]
        message,
        result,
        limits_of(limit or []),
        policy,
        anyway,
    )
    with settings.open_store() as store:
        row = store.run(run)
        start_of(store, row)
        name = model or row.model
        check_keys(name)
        chosen = backend(isolation or row.isolation, image)
        reap(chosen)
        plan = forked(
            store,
            row,
            change,
            model_name=name,
            model=resolve(name),
            backend=chosen,
            catalogue=settings.loader.catalogue,
            library=settings.library,
            decider=decider,
            workspace=settings.workspace,
        )
        view = LiveView(1, quiet=as_json)
        if person is not None:
            person.view = view
        (made,) = execute_all([plan], store, 1, view)
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
    where = f"--store {settings.store_url} " if settings.store_url else ""
    out.print(f"\nnext: sandbox {where}replay {made.id}", style="bold")
