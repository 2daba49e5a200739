"""``sandbox runs annotate`` and ``sandbox runs agreement``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli.output import Json, console, print_json, table
from sandbox.cli.settings import Settings
from sandbox.errors import InputError

if TYPE_CHECKING:
    from sandbox.analysis.annotation_summary import Summary
    from sandbox.analysis.bootstrap import Estimate
    from sandbox.trace.labels import Label
    from sandbox.trace.store import Store

_SHOWN = 20
"""Disagreements that are shown to people."""


def annotate(
    context: typer.Context,
    run: Annotated[
        str | None, typer.Argument(help="A run: shows its labels, or sets those of --label.")
    ] = None,
    queue: Annotated[
        Path | None,
        typer.Option(help="Write runs to be labelled: .csv or .jsonl.", metavar="FILE"),
    ] = None,
    read: Annotated[
        Path | None, typer.Option(help="Read a labelled queue back.", metavar="FILE")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="task=…, outcome=…, harm=0–4, judge=…, verdict@EVENT=…; repeatable.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(envvar="SANDBOX_ANNOTATOR", help="Who labels: a name, or a pseudonym."),
    ] = None,
    note: Annotated[str, typer.Option(help="A word with the labels.", metavar="TEXT")] = "",
    sample: Annotated[
        int | None, typer.Option(min=1, help="In a queue: so many runs, drawn by --seed.")
    ] = None,
    seed: Annotated[int, typer.Option(help="In a queue: decides draw and order.")] = 0,
    scenario: Annotated[
        str | None, typer.Option(help="In a queue: only runs of this scenario.")
    ] = None,
    family: Annotated[
        str | None, typer.Option(help="In a queue: only runs of this family.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="In a queue: only runs with this model.")
    ] = None,
    light: Annotated[bool, typer.Option("--light", help="Dark letters on a light ground.")] = False,
    as_json: Json = False,
) -> None:
    """Let people label runs: on the screen, by file, or one by one.

    With --by NAME alone, on a terminal, the runs that NAME has not labelled are shown one after the
    other; each label is stored at once, and the next time goes on where one stopped. A queue says what was run, not by which model and what came of it. With --by, it leaves out what
    that person has labelled already. Reading a file twice changes nothing; what is corrected stays
    as history.
    """
    settings = Settings.of(context)
    filters = {"scenario": scenario, "family": family, "model": model}
    given = sum(each is not None for each in (run, queue, read))
    if not given and sys.stdin.isatty() and sys.stdout.isatty():
        _sit(settings, filters, by, sample, seed, light=light)
        return
    if given != 1:
        raise InputError(
            "give one of: a run, --queue FILE, --read FILE; on a terminal, none of them"
        )
    if queue is not None:
        _write(settings, queue, filters, by, sample, seed, as_json)
    elif run is not None and not label:
        _show(settings, run, as_json)
    elif not by:
        raise InputError("--by: say who labels")
    elif read is not None:
        _read(settings, read, by, as_json)
    else:
        _set(settings, str(run), label or [], by, note, as_json)


def _sit(
    settings: Settings,
    filters: dict[str, str | None],
    by: str | None,
    sample: int | None,
    seed: int,
    *,
    light: bool,
) -> None:
    from sandbox.analysis.annotation_queue import chosen
    from sandbox.analysis.annotation_session import Sitting

    if not by:
        raise InputError("--by: say who labels; or name a run, --queue FILE, --read FILE")
    with settings.open_store() as store:
        runs = [row.id for row in chosen(store.runs(**filters), sample, seed)]
        sitting = Sitting(store, by, runs)
        from sandbox.tui import label

        label(sitting, light=light)
    console().print(
        f"{sitting.labelled} of {len(runs)} runs labelled by {by}; the same command goes on"
    )


def _write(
    settings: Settings,
    path: Path,
    filters: dict[str, str | None],
    by: str | None,
    sample: int | None,
    seed: int,
    as_json: bool,
) -> None:
    from sandbox.analysis.annotation_queue import chosen, entries, write
    from sandbox.trace.annotations import PERSON
    from sandbox.trace.labels import Labels

    with settings.open_store(reading=True) as store:
        rows = store.runs(**filters)
        if by:
            done = {found.run for found in Labels(store).find(source=PERSON, by=by)}
            rows = [row for row in rows if row.id not in done]
        count = write(path, entries(store, chosen(rows, sample, seed)))
    if as_json:
        print_json({"queue": str(path), "runs": count})
        return
    console().print(f"{count} runs to be labelled in {path}")
    console().print(f"\nnext: sandbox runs annotate --read {path} --by NAME", style="bold")


def _read(settings: Settings, path: Path, by: str, as_json: bool) -> None:
    from sandbox.analysis.annotation_queue import read
    from sandbox.trace.annotations import annotate as set_labels

    with settings.open_store() as store:
        sheet = read(path, by, frozenset(row.id for row in store.runs()))
        change = set_labels(store, sheet.labels)
    if as_json:
        print_json({"by": by, **vars(change), "blank": sheet.blank})
        return
    console().print(
        f"{change.added} labels set, {change.corrected} corrected, {change.unchanged} as before; "
        f"{sheet.blank} runs without one"
    )


def _set(settings: Settings, run: str, given: list[str], by: str, note: str, as_json: bool) -> None:
    from sandbox.trace.annotations import PERSON, checked
    from sandbox.trace.annotations import annotate as set_labels
    from sandbox.trace.labels import Label

    pairs = []
    for item in given:
        name, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"--label: write NAME=VALUE, not {item!r}")
        pairs.append((name.strip(), checked(name.strip(), value)))
    with settings.open_store() as store:
        row = store.run(run)
        set_labels(store, [Label(row.id, n, v, PERSON, by, note=note) for n, v in pairs])
        _print_labels(store, row.id, as_json)


def _show(settings: Settings, run: str, as_json: bool) -> None:
    with settings.open_store(reading=True) as store:
        _print_labels(store, store.run(run).id, as_json)


def _print_labels(store: Store, run: str, as_json: bool) -> None:
    from sandbox.trace.annotations import history
    from sandbox.trace.labels import Labels

    labels, past = Labels(store).of(run), list(history(store, run))
    if as_json:
        corrected = [{**_data(item.label), "replaced": item.replaced} for item in past]
        print_json({"run": run, "labels": [_data(item) for item in labels], "history": corrected})
        return
    rows = [(x.name, x.value, x.source, x.by, x.note) for x in labels]
    rows += [
        (x.label.name, x.label.value, "corrected since", x.label.by, x.label.note) for x in past
    ]
    if rows:
        table(("label", "value", "source", "by", "note"), rows)
    else:
        console().print(f"run {run} has no labels")


def _data(label: Label) -> dict[str, Any]:
    return {key: getattr(label, key) for key in type(label).__slots__ if key != "run"}


def agreement(
    context: typer.Context,
    label: Annotated[str, typer.Option(help="task, outcome, harm, judge or verdict.")] = "outcome",
    resamples: Annotated[
        int, typer.Option(min=10, help="How often scenarios are drawn again for intervals.")
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Of these draws.")] = 0,
    as_json: Json = False,
) -> None:
    """Say how far people agree on labels, by language and family, and with judges and monitors.

    Intervals (95 %) come from drawing whole scenarios again. The exit status is 0, whatever they say.
    """
    from sandbox.analysis.annotation_summary import summary
    from sandbox.errors import nearest
    from sandbox.trace.annotations import VALUES, VERDICT

    if label not in (*VALUES, VERDICT):
        raise InputError(f"--label: unknown label {label!r}{nearest(label, (*VALUES, VERDICT))}")
    with Settings.of(context).open_store(reading=True) as store:
        found = summary(store, label, resamples=resamples, seed=seed)
    if as_json:
        print_json(found.as_data())
    else:
        _print(found)


def _print(found: Summary) -> None:
    out = console()
    out.print(f"{found.label}: {found.labels} labels by people on {found.runs} runs", style="bold")
    rows = [
        (
            g.name or "all runs",
            g.agreement.units,
            _told(g.agreement.raw),
            _told(g.agreement.fleiss),
            _told(g.agreement.krippendorff),
        )
        for g in found.groups
    ]
    table(("people", "runs by two", "raw", "Fleiss' κ", "Krippendorff's α"), rows)
    pairs = found.groups[0].agreement.pairs
    if pairs:
        out.print()
        table(
            ("two people", "runs", "raw", "Cohen's κ"),
            [(" · ".join(p.raters), p.units, _told(p.raw), _told(p.cohen)) for p in pairs],
        )
    if found.against:
        out.print()
        table(
            ("people against", "runs", "raw", "Cohen's κ", "missed", "false alarms"),
            [
                (
                    a.judge,
                    a.pair.units,
                    _told(a.pair.raw),
                    _told(a.pair.cohen),
                    a.missed,
                    a.false_alarms,
                )
                for a in found.against
            ],
        )
    if found.disagreements:
        out.print()
        shown = found.disagreements[:_SHOWN]
        table(
            ("disagreement", "scenario", "labels"),
            [
                (
                    d.run,
                    f"{d.scenario} [{d.lang}]",
                    ", ".join(f"{k} {v}" for k, v in d.values.items()),
                )
                for d in shown
            ],
        )
        if len(shown) < len(found.disagreements):
            out.print(f"… {len(found.disagreements) - len(shown)} more: --json", style="dim")


def _told(item: Estimate) -> str:
    if item.value is None:
        return "–"
    return f"{item.value:.2f}" + (f" ({item.low:.2f}–{item.high:.2f})" if item.pair else "")
