"""``sandbox monitor score`` and ``sandbox monitor calibrate``."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.progress import Progress, track

from sandbox.analysis import calibration_fit
from sandbox.analysis.calibration_fit import POSITIVE
from sandbox.analysis.judge_scores import Judged, ask
from sandbox.analysis.monitor_scores import Scored, Task
from sandbox.analysis.monitor_scores import score as scores
from sandbox.cli.command import (
    Json,
    Settings,
    check,
    console,
    errors,
    note,
    print_json,
    reply,
    table,
)
from sandbox.cli.options import takes
from sandbox.errors import InputError
from sandbox.monitors.calibration import Calibration, load_calibration
from sandbox.monitors.library import MonitorLibrary
from sandbox.monitors.policy import Policy
from sandbox.reports import monitor_report, monitor_report_page
from sandbox.reports.monitor_report import Report
from sandbox.runs.options import JudgeOptions
from sandbox.runs.planner import with_judges
from sandbox.trace.labels import Labels

Names = Annotated[
    list[str] | None, typer.Argument(help="Families of monitors; all if left out.", metavar="NAMES")
]
Source = Annotated[
    str, typer.Option("--labels", help="Source of the labels: published, corrected, a person's.")
]
MonitorFamily = Annotated[
    str | None, typer.Option(help="Only runs of this family; * stands for any text.")
]
Model = Annotated[str | None, typer.Option(help="Only runs with this model.")]
Processes = Annotated[
    int | None, typer.Option("--processes", "-j", min=1, help="Processes at the same time.")
]
GROUPS = ("family", "model")


@takes(JudgeOptions)
def score(
    context: typer.Context,
    options: JudgeOptions,
    names: Names = None,
    labels: Source = "corrected",
    family: MonitorFamily = None,
    model: Model = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="A policy to try: a name, or FILE; nothing of it is fitted.", metavar="FILE"
        ),
    ] = None,
    leave_out: Annotated[
        str | None, typer.Option(help="Fit anew without the family, or the model, that is scored.")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None, typer.Option(help="Two monitors, compared on the same runs.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Figures for each family, or each model, too.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write figures, ROC and precision-recall curves.", metavar="FILE"),
    ] = None,
    processes: Processes = None,
    as_json: Json = False,
) -> None:
    """Run monitors over stored runs with labels and say how well they tell harm from none.

    AUROC, TPR at 1 and 5 % false positives, average precision, with 95 % intervals that are clustered
    by task; the share of harmless runs on which each alerts; how many it failed on; time per step.
    Judges count on the runs that they watched, by their stored answers; with --judge-model they are
    asked about all runs.
    """
    check("--leave-out", leave_out, GROUPS)
    check("--by", by, GROUPS)
    settings = Settings.of(context)
    library = with_judges(settings.library, options)
    own = library.policy(policy) if policy else None
    runs, values = _scores(settings, names, labels, family, model, processes, own)
    if options.judge_model:
        runs = _ask_judges(settings, library, names, runs)
    report = monitor_report.made(
        runs,
        values,
        leave_out=leave_out,
        by=by,
        compare=compare,
        shipped=_shipped(settings),
        policy=own,
    )
    if html:
        html.write_text(monitor_report_page.page(report, source=labels))
        note(f"written: {html}")
    reply(as_json, report.as_data(), lambda: _print(report))


def _print(report: Report) -> None:
    for heading, figures in report.parts:
        if heading:
            console().print(f"\n{heading}", style="bold")
        table(monitor_report.HEADINGS, (monitor_report.row(item) for item in figures))
        if used := monitor_report.judges(figures):
            console().print()
            table(monitor_report.JUDGES, used)
    if report.policy:
        console().print(f"\n{report.policy.policy.monitor}", style="bold")
        table(monitor_report.THRESHOLDS, monitor_report.thresholds(report.policy))
        if report.policy.akin:
            note(monitor_report.AKIN)
    for line in report.differences:
        console().print(line)


def calibrate(
    context: typer.Context,
    names: Names = None,
    labels: Source = "corrected",
    family: MonitorFamily = None,
    model: Model = None,
    to: Annotated[
        Path | None, typer.Option(help="Folder to write to; monitors/calibrations if left out.")
    ] = None,
    processes: Processes = None,
    as_json: Json = False,
) -> None:
    """Fit weights and thresholds on labelled runs, and store them with what they were fitted on."""
    settings = Settings.of(context)
    runs, values = _scores(settings, names, labels, family, model, processes)
    positive = np.asarray([value in POSITIVE for value in values])
    data = calibration_fit.described(runs, values, labels)
    steering = calibration_fit.steering(runs, positive, data)
    own = calibration_fit.steered(runs, steering)
    combined = calibration_fit.combined(runs, positive, own, data)
    folder = to or settings.folder / "monitors" / "calibrations"
    folder.mkdir(parents=True, exist_ok=True)
    fits = {"steering": steering, "combined": combined}
    for name, fit in fits.items():
        (folder / f"{name}.json").write_text(fit.as_text())
    if as_json:
        parts = {n: {"thresholds": f.thresholds, "weights": f.weights} for n, f in fits.items()}
        print_json({n: {k: dict(v) for k, v in part.items()} for n, part in parts.items()})
        return
    for name, fit in fits.items():
        console().print(f"{folder / name}.json", style="bold")
        rows = sorted(fit.weights.items(), key=lambda item: abs(item[1]), reverse=True)
        table(("figure", "weight"), rows)


def _scores(
    settings: Settings,
    names: Sequence[str] | None,
    labels: str,
    family: str | None,
    model: str | None,
    processes: int | None,
    policy: Policy | None = None,
) -> tuple[list[Scored], list[str]]:
    """Return the runs that have a label and their labels, in the same order."""
    families = settings.library.with_contributors(settings.library.choose(names), policy)
    with settings.open_store(reading=True) as store:
        known = Labels(store)
        values = known.values("outcome", labels)
        if not values:
            sources = ", ".join(known.sources("outcome")) or "none"
            raise InputError(f"--labels {labels}: no run has such a label; there are: {sources}")
        rows = sorted(
            row.id
            for row in store.runs(model=model)
            if row.id in values and (family is None or fnmatchcase(row.family, family))
        )
        url = store.url
    if {values[row] in POSITIVE for row in rows} != {True, False}:
        raise InputError("figures need runs with harm and runs without: the labels are all alike")
    judges = tuple(item.name for item in families if item.judges)
    rules = tuple(item.name for item in families if not item.judges)
    count = min(processes or os.cpu_count() or 1, len(rows))
    progress = track(
        scores(Task(url, settings.folder, rules, judges), rows, processes=count),
        "scoring",
        len(rows),
        console=errors(),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    runs = list(progress)
    return runs, [values[run.run] for run in runs]


def _ask_judges(
    settings: Settings, library: MonitorLibrary, names: Sequence[str] | None, runs: list[Scored]
) -> list[Scored]:
    """Ask the judges among the families about all runs."""
    judges = [judge for family in library.choose(names) for judge in family.judges]
    if not judges:
        raise InputError("--judge-model: there is no judge among these monitors")
    replies: dict[str, dict[str, Judged]] = {}

    async def ask_all() -> None:
        with (
            settings.open_store(reading=True) as store,
            Progress(console=errors(), transient=True, disable=not sys.stderr.isatty()) as progress,
        ):
            task = progress.add_task("asking judges", total=len(runs))
            async for run, answer in ask(store, [run.run for run in runs], judges):
                replies[run] = answer
                progress.advance(task)

    asyncio.run(ask_all())
    return [replace(run, judged={**run.judged, **replies[run.run]}) for run in runs]


def _shipped(settings: Settings) -> Calibration | None:
    """Return the weights of the combined score that the workspace, or the library, has."""
    places = (root / "monitors/calibrations/combined.json" for root in settings.content.roots())
    path = next((path for path in places if path.exists()), None)
    return load_calibration(path) if path else None
