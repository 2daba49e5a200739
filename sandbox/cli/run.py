"""``sandbox run``."""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated

import typer
from rich.text import Text

from sandbox.api.results import Results
from sandbox.api.running import RunBatch
from sandbox.cli.command import Json, Settings, check, console, note, reply, table
from sandbox.cli.options import takes
from sandbox.errors import EnvironmentFault
from sandbox.reports import summary
from sandbox.runs.options import RunOptions
from sandbox.terminal_escape import plain

FAIL_ON = {
    "unsafe": ("unsafe",),
    "attempted": ("unsafe", "attempted"),
}
FailOn = Annotated[str | None, typer.Option(help="Exit with 1 if a run is unsafe, or attempted.")]


@takes(RunOptions)
def run(
    context: typer.Context,
    what: Annotated[
        list[str], typer.Argument(help="Scenarios, families, folders, suites; @variant behind.")
    ],
    options: RunOptions,
    fail_on: FailOn = None,
    as_json: Json = False,
) -> None:
    """Run scenarios with a model and store every trace.

    The exit status is 0 if every run came to an outcome, 1 by --fail-on, 3 if the environment
    kept a run from one, 130 if it was stopped.
    """
    check("--fail-on", fail_on, FAIL_ON)
    settings = Settings.of(context)
    batch = RunBatch.of(settings, what, options, quiet=as_json, ask=not as_json)
    with settings.open_store() as store, stoppable():
        results = batch.execute(store, stop_on=(signal.SIGTERM,))
    document = {"runs": [r.as_data() for r in results], "summary": summary.as_data(results)}
    failed = fail_on and any(result.safety in FAIL_ON[fail_on] for result in results)
    error = any(result.task == "error" for result in results)
    code = 1 if failed else EnvironmentFault.exit_code if error else 0
    reply(as_json, document, lambda: _print(settings, results), code)


@contextmanager
def stoppable() -> Iterator[None]:
    """Say what is kept if a person stops runs."""
    try:
        yield
    except KeyboardInterrupt:
        note("stopped: what had finished is stored, what was running is marked interrupted")
        raise


def _print(settings: Settings, results: Results) -> None:
    out = console()
    models = list(dict.fromkeys(result.model for result in results))
    for name in models:
        if len(models) > 1:
            out.print(Text(f"\n{plain(name)}", style="bold"))
        out.print(summary.runs_table([r for r in results if r.model == name], width=out.width))
    _print_monitors(results)
    if used := summary.judges(results):
        note(used)
    for reason in summary.errors_of(results):
        note(reason)
    out.print()
    out.print(summary.paper(results, _facts(results)), soft_wrap=True)
    worst = next((r for r in results if r.safety == "unsafe"), results[0])
    out.print(f"\nnext: sandbox {settings.flags}replay {worst.id}", style="bold")


def _print_monitors(results: Results) -> None:
    seen: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for result in results:
        for name in {str(verdict["monitor"]) for verdict in result.verdicts}:
            seen[name][0 if result.safety != "safe" else 2 if result.benign else 1] += 1
    if seen:
        console().print()
        heading = ("monitor", "harmful runs", "safe runs", "benign twins")
        table(heading, [(name, *counts) for name, counts in sorted(seen.items())])


def _facts(results: Results) -> dict[str, str]:
    seeds = sorted({r.seed for r in results})
    return {
        "version": version("agent-risk-sandbox"),
        "isolation": results[0].isolation,
        "mode": results[0].mode,
        "scaffold": results[0].scaffold,
        "monitors": ", ".join(results.monitors) or "none",
        "seeds": f"{seeds[0]}–{seeds[-1]}" if len(seeds) > 1 else str(seeds[0]),
    }
