"""Executing a sweep from the command line: with a view, and people who are told how it ended."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sandbox.cli.output import console, note, print_json
from sandbox.cli.settings import Settings
from sandbox.errors import EnvironmentFault, InputError, SandboxError, internal

if TYPE_CHECKING:
    from sandbox.sweeps.matrix import Matrix
    from sandbox.sweeps.options import SweepOptions
    from sandbox.sweeps.spec import SweepFile
    from sandbox.sweeps.store import Sweeps
    from sandbox.sweeps.tables import SweepRow
    from sandbox.trace.store import Store


@dataclass(frozen=True)
class Manner:
    """How a sweep is executed and told of."""

    options: SweepOptions
    fail_on: str | None
    notify: Sequence[str]
    as_json: bool
    log: Path | None = None
    """File that the log is added to."""
    scheduled: bool = False
    """Whether a scheduler started it."""

    @property
    def logs_to_stderr(self) -> bool:
        """Whether the log is written to stderr: a journal, a mail, or the user who asked for it."""
        from sandbox.sweeps.log import VARIABLE

        return self.scheduled or VARIABLE in os.environ

    def check(self) -> None:
        """Check it before anything begins.

        Raises:
            InputError: Something in it is not understood.
        """
        from sandbox.cli.run import FAIL_ON, check
        from sandbox.sweeps import notify

        check("--fail-on", self.fail_on, FAIL_ON)
        notify.check(self.notify)


@contextmanager
def reported(name: str, manner: Manner) -> Iterator[None]:
    """Write the log while a sweep is executed, and tell people if it fails."""
    from sandbox.sweeps import notify
    from sandbox.sweeps.log import log, logging_to

    with logging_to(manner.log, stderr=manner.logs_to_stderr):
        try:
            yield
        except Exception as error:
            said = str(error) if isinstance(error, SandboxError) else internal(error)
            log("sweep.failed", level=logging.ERROR, name=name, reason=said)
            tell(manner.notify, notify.failure(name, said))
            raise
        except KeyboardInterrupt:
            log("sweep.stopped", level=logging.WARNING, name=name)
            tell(manner.notify, notify.failure(name, "It was stopped; it can be resumed."))
            raise


def tell(urls: Sequence[str], message: tuple[str, str]) -> None:
    """Send a message; one that cannot be sent stops nothing."""
    from sandbox.sweeps import notify

    try:
        notify.send(urls, *message)
    except SandboxError as error:
        note(f"nobody could be told: {error}")


def print_plan(settings: Settings, made: Matrix, manner: Manner) -> None:
    """Print what a sweep would run, and what it will probably cost and take."""
    from sandbox.api.sweeping import width_of
    from sandbox.cli import sweep_plan
    from sandbox.sweeps.estimate import plan

    width = width_of(made.spec, manner.options)
    with settings.open_store(reading=True) as store:
        found = plan(made.spec, made.items(), store, width)
    if not found.runs:
        raise InputError("the sweep has no runs: what it names was all excluded")
    if manner.as_json:
        print_json(found.as_data())
    else:
        sweep_plan.print_plan(found, width)


def go(
    settings: Settings,
    store: Store,
    row: SweepRow,
    spec: SweepFile,
    manner: Manner,
    before: SweepRow | None = None,
) -> None:
    """Execute what is left of a sweep, tell how it ended, exit with what came of it.

    Args:
        settings: What stands before the command.
        store: Where it stands.
        row: The sweep.
        spec: Its file, with budgets as they hold this time.
        manner: How.
        before: The night before, if it did not come to its end.
    """
    from sandbox.api.sweep_progress import SweepView
    from sandbox.api.sweeping import Execution
    from sandbox.sweeps import notify
    from sandbox.sweeps.store import Sweeps

    sweeps, view = Sweeps(store), SweepView(row, quiet=manner.as_json or manner.logs_to_stderr)
    execution = Execution(settings, store, row, spec, manner.options, view)
    course = execution.execute(stop_on=(signal.SIGTERM,))
    row = sweeps.get(row.id)
    tell(manner.notify, notify.summary(sweeps, row, before=before))
    if manner.as_json:
        print_sweep_json(sweeps, row)
    else:
        print_rates(course.shown.parts)
        print_row(sweeps, row)
        print_faults(sweeps, row)
        print_next(settings, sweeps, row)
    _exit(sweeps, row, manner.fail_on)


def print_sweep_json(sweeps: Sweeps, row: SweepRow) -> None:
    """Print a sweep with all its runs, one at a time: there may be more than memory holds."""
    head = json.dumps(as_data(sweeps, row), indent=2)
    sys.stdout.write(head.removesuffix("\n}") + ',\n  "runs": [')
    for index, (_, result) in enumerate(sweeps.results(row.id)):
        sys.stdout.write(("," if index else "") + "\n    " + json.dumps(result))
    sys.stdout.write("\n  ]\n}\n")


def as_data(sweeps: Sweeps, row: SweepRow) -> dict[str, Any]:
    """Return a sweep as JSON data, its runs left out."""
    counts = sweeps.counts(row.id)[()]
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "reason": row.reason,
        "created": row.created,
        "ended": row.ended,
        "seconds": row.seconds,
        "planned": counts.planned,
        "done": counts.finished,
        "failed": counts.failed,
        "skipped": counts.skipped,
        "tokens": counts.tokens,
        "cost_eur": round(counts.cost_eur, 6),
        "energy_kwh": counts.energy_kwh or None,
        "judges": {"tokens": counts.judge_tokens, "cost_eur": round(counts.judge_cost_eur, 6)},
    }


def print_row(sweeps: Sweeps, row: SweepRow) -> None:
    """Print how far a sweep has come."""
    counts = sweeps.counts(row.id)[()]
    reason = f": {row.reason}" if row.reason else ""
    facts = [
        f"{counts.finished}/{counts.planned} runs",
        *([f"{counts.failed} failed"] if counts.failed else []),
        *([f"{counts.skipped} left out, enough is known"] if counts.skipped else []),
        f"{row.seconds:.0f} s",
        f"{counts.tokens} tokens",
        f"{counts.cost_eur:.4f} €",
        *(
            [f"judges {counts.judge_tokens} tokens, {counts.judge_cost_eur:.4f} €"]
            if counts.judge_tokens
            else []
        ),
    ]
    note(f"sweep {row.id} ({row.name}) is {row.status}{reason}")
    note(", ".join(facts))


def print_faults(sweeps: Sweeps, row: SweepRow) -> None:
    """Print why runs ended in an error."""
    from sandbox.reports.summary import reasons

    if sweeps.counts(row.id)[()].failed:
        results = (result for _, result in sweeps.results(row.id))
        for reason in reasons(r.get("reason", "") for r in results if r.get("task") == "error"):
            note(reason)


def print_rates(parts: Any) -> None:
    """Print the rates of parts of a sweep."""
    from sandbox.api.sweep_progress import rates_table

    console().print(rates_table(parts, width=console().width))


def print_next(settings: Settings, sweeps: Sweeps, row: SweepRow) -> None:
    """Print how to go on with a sweep."""
    if row.status != "running" and sweeps.counts(row.id)[()].left:
        note(f"next: sandbox {settings.flags}sweep resume {row.id}")


def _exit(sweeps: Sweeps, row: SweepRow, fail_on: str | None) -> None:
    from sandbox.cli.run import FAIL_ON

    if fail_on and any(
        outcome.safety in FAIL_ON[fail_on] for _, outcome in sweeps.outcomes(row.id)
    ):
        raise typer.Exit(1)
    if row.status != "finished" or sweeps.counts(row.id)[()].failed:
        raise typer.Exit(EnvironmentFault.exit_code)
