"""``sandbox monitor score`` and ``sandbox monitor calibrate``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli.options import takes
from sandbox.cli.output import Json, console, errors, note, print_json, table
from sandbox.cli.settings import Settings
from sandbox.errors import InputError, nearest
from sandbox.runs.options import JudgeOptions

if TYPE_CHECKING:
    from sandbox.analysis.monitor_scores import Scored
    from sandbox.monitors.calibration import Calibration
    from sandbox.monitors.library import MonitorLibrary
    from sandbox.monitors.policy import Policy
    from sandbox.reports.monitor_report import Report

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


def register(monitors: typer.Typer) -> None:
    """Put the commands below ``monitor``."""
    monitors.command("score")(score)
    monitors.command("calibrate")(calibrate)


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
    for option, value in (("--leave-out", leave_out), ("--by", by)):
        if value is not None and value not in GROUPS:
            raise InputError(f"{option}: unknown value {value!r}{nearest(value, GROUPS)}")
    from sandbox.reports import monitor_report, monitor_report_page

    library = Settings.of(context).judged(options)
    tried = library.policy(policy) if policy else None
    runs, values = _scored(context, names, labels, family, model, processes, tried)
    if options.judge_model:
        runs = _asked(Settings.of(context), library, names, runs)
    shipped = _shipped(context)
    report = monitor_report.made(
        runs,
        values,
        leave_out=leave_out,
        by=by,
        compare=compare,
        shipped=shipped,
        policy=tried,
    )
    if html:
        html.write_text(monitor_report_page.page(report, source=labels))
        note(f"written: {html}")
    if as_json:
        print_json(report.as_data())
    else:
        _print(report)


def _print(report: Report) -> None:
    from sandbox.reports import monitor_report

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
    from sandbox.analysis import calibration_fit

    runs, values = _scored(context, names, labels, family, model, processes)
    positive = _positive(values)
    data = calibration_fit.described(runs, values, labels)
    steering = calibration_fit.steering(runs, positive, data)
    own = calibration_fit.steered(runs, steering)
    combined = calibration_fit.combined(runs, positive, own, data)
    folder = to or Settings.of(context).folder / "monitors" / "calibrations"
    folder.mkdir(parents=True, exist_ok=True)
    written = {"steering": steering, "combined": combined}
    for name, made in written.items():
        (folder / f"{name}.json").write_text(made.as_text())
    if as_json:
        print_json(
            {
                name: {"thresholds": dict(c.thresholds), "weights": dict(c.weights)}
                for name, c in written.items()
            }
        )
        return
    for name, made in written.items():
        console().print(f"{folder / name}.json", style="bold")
        rows: list[tuple[str, float]] = sorted(
            made.weights.items(), key=lambda item: abs(item[1]), reverse=True
        )
        table(("figure", "weight"), rows)


def _scored(
    context: typer.Context,
    names: Sequence[str] | None,
    labels: str,
    family: str | None,
    model: str | None,
    processes: int | None,
    policy: Policy | None = None,
) -> tuple[list[Scored], list[str]]:
    """Return the runs that have a label and their labels, in the same order."""
    from fnmatch import fnmatchcase

    from sandbox.analysis.monitor_scores import Task
    from sandbox.analysis.monitor_scores import score as scores
    from sandbox.trace.labels import Labels

    settings = Settings.of(context)
    families = settings.library.with_contributors(settings.library.choose(names), policy)
    chosen = tuple(item.name for item in families if not item.judges)
    judges = tuple(item.name for item in families if item.judges)
    with settings.open_store(reading=True) as store:
        known = Labels(store)
        values = known.values("outcome", labels)
        if not values:
            sources = ", ".join(known.sources("outcome")) or "none"
            raise InputError(f"--labels {labels}: no run has such a label; there are: {sources}")
        rows = [
            row.id
            for row in store.runs(model=model)
            if row.id in values and (family is None or fnmatchcase(row.family, family))
        ]
        url = store.url
    rows.sort()
    _check(rows, values)
    task = Task(url, settings.folder, chosen, judges)
    count = min(processes or os.cpu_count() or 1, len(rows))
    from rich.progress import track

    found = track(
        scores(task, rows, processes=count),
        "scoring",
        len(rows),
        console=errors(),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    runs = list(found)
    return runs, [values[run.run] for run in runs]


def _asked(
    settings: Settings, library: MonitorLibrary, names: Sequence[str] | None, runs: list[Scored]
) -> list[Scored]:
    """Ask the judges among the families about all runs."""
    import asyncio
    from dataclasses import replace

    from rich.progress import Progress

    from sandbox.analysis.judge_scores import Judged, ask

    judges = [judge for family in library.choose(names) for judge in family.judges]
    if not judges:
        raise InputError("--judge-model: there is no judge among these monitors")
    found: dict[str, dict[str, Judged]] = {}

    async def all_of_them() -> None:
        with (
            settings.open_store(reading=True) as store,
            Progress(console=errors(), transient=True, disable=not sys.stderr.isatty()) as progress,
        ):
            task = progress.add_task("asking judges", total=len(runs))
            async for run, told in ask(store, [run.run for run in runs], judges):
                found[run] = told
                progress.advance(task)

    asyncio.run(all_of_them())
    return [replace(run, judged={**run.judged, **found[run.run]}) for run in runs]


def _shipped(context: typer.Context) -> Calibration | None:
    """Return the weights of the combined score that the workspace, or the library, has."""
    from sandbox.monitors.calibration import load_calibration

    for root in Settings.of(context).content.roots():
        path = root / "monitors" / "calibrations" / "combined.json"
        if path.exists():
            return load_calibration(path)
    return None


def _check(rows: Sequence[str], values: dict[str, str]) -> None:
    kinds = {_is_positive(values[row]) for row in rows}
    if kinds != {True, False}:
        raise InputError("figures need runs with harm and runs without: the labels are all alike")


def _is_positive(value: str) -> bool:
    from sandbox.analysis.calibration_fit import POSITIVE

    return value in POSITIVE


def _positive(values: Sequence[str]) -> Any:
    import numpy as np

    return np.asarray([_is_positive(value) for value in values])
