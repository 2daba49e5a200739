"""The commands, and what stands before them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sandbox.cli import (
    catalog,
    doctor,
    fork,
    image,
    import_export,
    init,
    monitor_score,
    replay,
    reports,
    run,
    runs,
    scenario,
    schedule,
    serve,
    sweep,
)
from sandbox.cli.output import note
from sandbox.cli.settings import Settings

app = typer.Typer(
    name="sandbox",
    help="Run LLM agents in isolated containers, watch every tool call, keep the evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(version("agent-risk-sandbox"))
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    store: Annotated[
        str | None,
        typer.Option(
            envvar="SANDBOX_STORE", help="Database of runs: a file or a URL.", metavar="URL"
        ),
    ] = None,
    workspace: Annotated[
        Path | None,
        typer.Option(
            envvar="SANDBOX_WORKSPACE",
            help="Folder with scenarios, tools and monitors.",
            metavar="DIR",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take what stands before a command."""
    context.obj = Settings(store, workspace, note, debug)


app.command("init")(init.init)
app.command("doctor")(doctor.doctor)
app.add_typer(scenario.app, name="scenario")
app.add_typer(catalog.tools, name="tool")
app.add_typer(catalog.monitors, name="monitor")
app.command("run")(run.run)
app.command("serve")(serve.serve)
app.add_typer(runs.app, name="runs")
app.command("replay")(replay.replay)
app.add_typer(sweep.app, name="sweep")
app.add_typer(schedule.app, name="schedule")
app.command("fork")(fork.fork)
app.add_typer(image.app, name="image")
app.add_typer(import_export.keys, name="key")
monitor_score.register(catalog.monitors)
reports.register(sweep.app, runs.app)
