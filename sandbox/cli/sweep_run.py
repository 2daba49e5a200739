"""Executing a sweep from the command line: with a view, and a message to people when it has ended."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from sandbox.api.sweep_progress import SweepView, duration, rates_table
from sandbox.api.sweeping import Execution, width_of
from sandbox.cli.command import Settings, check, console, fields, note, reply, table
from sandbox.cli.run import FAIL_ON
from sandbox.errors import EnvironmentFault, InputError, SandboxError, internal
from sandbox.reports.summary import reasons
from sandbox.sweeps import notify
from sandbox.sweeps.estimate import Plan, plan
from sandbox.sweeps.log import VARIABLE, log, logging_to
from sandbox.sweeps.matrix import Matrix
from sandbox.sweeps.options import SweepOptions
from sandbox.sweeps.running_rates import Tally
from sandbox.sweeps.spec import SweepFile
from sandbox.sweeps.store import Counts, Sweeps
from sandbox.sweeps.tables import SweepRow
from sandbox.trace.store import Store

_VALUES = 6
"""Values of a factor that are shown."""


@dataclass(frozen=True)
class Manner:
    """How a sweep is executed, and who hears of it."""

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
        return self.scheduled or VARIABLE in os.environ

    def check(self) -> None:
        """Check it before anything begins.

        Raises:
            InputError: Something in it is not understood.
        """
        check("--fail-on", self.fail_on, FAIL_ON)
        notify.check(self.notify)


@contextmanager
def reported(name: str, manner: Manner) -> Iterator[None]:
    """Write the log while a sweep is executed, and notify people if it fails."""
    with logging_to(manner.log, stderr=manner.logs_to_stderr):
        try:
            yield
        except Exception as error:
            reason = str(error) if isinstance(error, SandboxError) else internal(error)
            log("sweep.failed", level=logging.ERROR, name=name, reason=reason)
            send(manner.notify, notify.failure(name, reason))
            raise
        except KeyboardInterrupt:
            log("sweep.stopped", level=logging.WARNING, name=name)
            send(manner.notify, notify.failure(name, "It was stopped; it can be resumed."))
            raise


def send(urls: Sequence[str], message: tuple[str, str]) -> None:
    """Send a message; one that cannot be sent stops nothing."""
    try:
        notify.send(urls, *message)
    except SandboxError as error:
        note(f"nobody could be notified: {error}")


def print_plan(settings: Settings, matrix: Matrix, manner: Manner) -> None:
    """Print what a sweep would run, and what it will probably cost and take."""
    width = width_of(matrix.spec, manner.options)
    with settings.open_store(reading=True) as store:
        estimate = plan(matrix.spec, matrix.items(), store, width)
    if not estimate.runs:
        raise InputError("the sweep has no runs: what it names was all excluded")
    reply(manner.as_json, estimate.as_data(), lambda: _print_estimate(estimate, width))


def _print_estimate(estimate: Plan, width: int) -> None:
    factors = []
    for factor, values in estimate.by.items():
        shown = [f"{name} ({n})" for name, n in list(values.items())[:_VALUES]]
        shown += [f"… {len(values) - _VALUES} more"] if len(values) > _VALUES else []
        factors.append((factor, len(values), ", ".join(shown)))
    table(("factor", "values", "(runs)"), factors)
    console().print()
    table(
        ("model", "runs", "tokens", "€", "kWh", "run time", "from"),
        [
            (
                item.model,
                item.runs,
                f"{item.tokens:.0f}",
                f"{item.cost_eur:.2f}",
                f"{item.energy_kwh:.4g}",
                duration(item.seconds),
                f"{item.past} earlier runs",
            )
            if item.past
            else (item.model, item.runs, *"????", "no earlier runs in the store")
            for item in estimate.models
        ],
    )
    wall = estimate.wall_seconds
    console().print()
    console().print(
        f"{estimate.runs} runs, {width} at once: "
        f"{'not known' if wall is None else f'about {duration(wall)}'}",
        style="bold",
    )


def go(
    settings: Settings,
    store: Store,
    row: SweepRow,
    spec: SweepFile,
    manner: Manner,
    before: SweepRow | None = None,
) -> None:
    """Execute what is left of a sweep, say how it ended, and exit accordingly.

    Args:
        settings: What stands before the command.
        store: Where it stands.
        row: The sweep.
        spec: Its file, with budgets as they hold this time.
        manner: How.
        before: The night before, if it was not finished.
    """
    sweeps, view = Sweeps(store), SweepView(row, quiet=manner.as_json or manner.logs_to_stderr)
    execution = Execution(settings, store, row, spec, manner.options, view)
    course = execution.execute(stop_on=(signal.SIGTERM,))
    row = sweeps.get(row.id)
    send(manner.notify, notify.summary(sweeps, row, before=before))
    print_sweep(settings, sweeps, row, course.rates.parts, manner.as_json)
    _exit(sweeps, row, manner.fail_on)


def print_sweep(
    settings: Settings,
    sweeps: Sweeps,
    row: SweepRow,
    rates: Mapping[tuple[str, ...], Tally],
    as_json: bool,
) -> None:
    """Print how far a sweep has come: rates, why runs failed, how to resume it."""
    if as_json:
        _print_json(sweeps, row)
        return
    counts = sweeps.counts(row.id)[()]
    console().print(rates_table(rates, width=console().width))
    _print_row(row, counts)
    if counts.failed:
        results = (result for _, result in sweeps.results(row.id))
        for reason in reasons(r.get("reason", "") for r in results if r.get("task") == "error"):
            note(reason)
    if row.status != "running" and counts.left:
        note(f"next: sandbox {settings.flags}sweep resume {row.id}")


def _print_json(sweeps: Sweeps, row: SweepRow) -> None:
    """Print a sweep with all its runs, one at a time: there may be more than memory holds."""
    head = json.dumps(as_data(sweeps, row), indent=2)
    sys.stdout.write(head.removesuffix("\n}") + ',\n  "runs": [')
    for index, (_, result) in enumerate(sweeps.results(row.id)):
        sys.stdout.write(("," if index else "") + "\n    " + json.dumps(result))
    sys.stdout.write("\n  ]\n}\n")


def as_data(sweeps: Sweeps, row: SweepRow) -> dict[str, object]:
    """Return a sweep as JSON data, its runs left out."""
    counts = sweeps.counts(row.id)[()]
    return {
        **fields(row, "id name status reason created ended seconds"),
        "planned": counts.planned,
        "done": counts.finished,
        **fields(counts, "failed skipped tokens"),
        "cost_eur": round(counts.cost_eur, 6),
        "energy_kwh": counts.energy_kwh or None,
        "judges": {"tokens": counts.judge_tokens, "cost_eur": round(counts.judge_cost_eur, 6)},
    }


def _print_row(row: SweepRow, counts: Counts) -> None:
    reason = f": {row.reason}" if row.reason else ""
    judges = f"judges {counts.judge_tokens} tokens, {counts.judge_cost_eur:.4f} €"
    facts = (
        f"{counts.finished}/{counts.planned} runs",
        f"{counts.failed} failed" if counts.failed else "",
        f"{counts.skipped} left out, enough is known" if counts.skipped else "",
        f"{row.seconds:.0f} s",
        f"{counts.tokens} tokens",
        f"{counts.cost_eur:.4f} €",
        judges if counts.judge_tokens else "",
    )
    note(f"sweep {row.id} ({row.name}) is {row.status}{reason}")
    note(", ".join(filter(None, facts)))


def _exit(sweeps: Sweeps, row: SweepRow, fail_on: str | None) -> None:
    if fail_on and any(
        outcome.safety in FAIL_ON[fail_on] for _, outcome in sweeps.outcomes(row.id)
    ):
        raise typer.Exit(1)
    if row.status != "finished" or sweeps.counts(row.id)[()].failed:
        raise typer.Exit(EnvironmentFault.exit_code)
