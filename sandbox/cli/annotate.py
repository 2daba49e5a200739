"""``sandbox runs annotate`` and ``sandbox runs agreement``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sandbox.analysis import annotation_queue
from sandbox.analysis.annotation_session import Sitting
from sandbox.analysis.annotation_summary import Summary, summary
from sandbox.analysis.bootstrap import Estimate
from sandbox.cli.command import Json, Settings, console, fields, reply, table
from sandbox.errors import InputError, nearest
from sandbox.trace import annotations as labelling
from sandbox.trace.labels import Label, Labels
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

_MOST = 20
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
    other; each label is stored at once, and the next time goes on where one stopped. A queue says what was
    run, but neither the model nor the outcome. With --by, it leaves out what that person has labelled
    already. Reading a file twice changes nothing; what is corrected stays
    as history.
    """
    settings = Settings.of(context)
    count = sum(each is not None for each in (run, queue, read))
    on_screen = not count and sys.stdin.isatty() and sys.stdout.isatty()
    if count != 1 and not on_screen:
        raise InputError(
            "give one of: a run, --queue FILE, --read FILE; on a terminal, none of them"
        )
    writes = on_screen or read is not None or bool(run and label)
    if writes and not by:
        raise InputError(f"--by: say who labels{_OTHERWISE if on_screen else ''}")
    who = by or ""
    with settings.open_store(reading=not writes) as store:
        if run is not None:
            _label(store, store.run(run).id, label or [], who, note, as_json)
        elif read is not None:
            _read(store, read, who, as_json)
        else:
            rows = store.runs(scenario=scenario, family=family, model=model)
            if queue is not None and who:
                labels = Labels(store).find(source=labelling.PERSON, by=who)
                done = {each.run for each in labels}
                rows = [row for row in rows if row.id not in done]
            rows = annotation_queue.chosen(rows, sample, seed)
            if queue is None:
                _sit(store, rows, who, light=light)
            else:
                _write(store, queue, rows, as_json)


_OTHERWISE = "; or name a run, --queue FILE, --read FILE"


def _sit(store: Store, rows: list[RunRow], by: str, *, light: bool) -> None:
    from sandbox.tui.app import LabellingApp

    sitting = Sitting(store, by, [row.id for row in rows])
    LabellingApp(sitting, light=light).run()
    console().print(
        f"{sitting.labelled} of {len(rows)} runs labelled by {by}; the same command goes on"
    )


def _write(store: Store, path: Path, rows: list[RunRow], as_json: bool) -> None:
    count = annotation_queue.write(path, annotation_queue.entries(store, rows))
    then = f"next: sandbox runs annotate --read {path} --by NAME"
    text = f"{count} runs to be labelled in {path}\n\n{then}"
    reply(as_json, {"queue": str(path), "runs": count}, text)


def _read(store: Store, path: Path, by: str, as_json: bool) -> None:
    sheet = annotation_queue.read(path, by, frozenset(row.id for row in store.runs()))
    change = labelling.annotate(store, sheet.labels)
    reply(
        as_json,
        {"by": by, **vars(change), "blank": sheet.blank},
        f"{change.added} labels set, {change.corrected} corrected, {change.unchanged} as before; "
        f"{sheet.blank} runs without one",
    )


def _label(store: Store, run: str, words: list[str], by: str, note: str, as_json: bool) -> None:
    """Set labels of a run, if there are any, and print all that it has."""
    new = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"--label: write NAME=VALUE, not {word!r}")
        value = labelling.checked(name.strip(), value)
        new.append(Label(run, name.strip(), value, labelling.PERSON, by, note=note))
    if new:
        labelling.annotate(store, new)
    labels, past = Labels(store).of(run), list(labelling.history(store, run))
    rows = [(x.name, x.value, x.source, x.by, x.note) for x in labels]
    rows += [
        (x.label.name, x.label.value, "corrected since", x.label.by, x.label.note) for x in past
    ]
    document = {"run": run, "labels": [fields(label, _LABEL) for label in labels]}
    document["history"] = [fields(x.label, _LABEL) | {"replaced": x.replaced} for x in past]

    def show() -> None:
        if rows:
            table(("label", "value", "source", "by", "note"), rows)
        else:
            console().print(f"run {run} has no labels")

    reply(as_json, document, show)


_LABEL = " ".join(name for name in Label.__slots__ if name != "run")


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
    if label not in (*labelling.VALUES, labelling.VERDICT):
        known = nearest(label, (*labelling.VALUES, labelling.VERDICT))
        raise InputError(f"--label: unknown label {label!r}{known}")
    with Settings.of(context).open_store(reading=True) as store:
        result = summary(store, label, resamples=resamples, seed=seed)
    reply(as_json, result.as_data(), lambda: _print(result))


def _print(result: Summary) -> None:
    out = console()
    out.print(
        f"{result.label}: {result.labels} labels by people on {result.runs} runs", style="bold"
    )
    pairs, shown = result.groups[0].agreement.pairs, result.disagreements[:_MOST]
    groups = [(group.name or "all runs", group.agreement) for group in result.groups]
    parts: dict[tuple[str, ...], list[tuple[object, ...]]] = {
        ("people", "runs by two", "raw", "Fleiss' κ", "Krippendorff's α"): [
            (name, a.units, *map(_interval, (a.raw, a.fleiss, a.krippendorff)))
            for name, a in groups
        ],
        ("two people", "runs", "raw", "Cohen's κ"): [
            (" · ".join(p.raters), p.units, _interval(p.raw), _interval(p.cohen)) for p in pairs
        ],
        ("people against", "runs", "raw", "Cohen's κ", "missed", "false alarms"): [
            (
                x.judge,
                x.pair.units,
                _interval(x.pair.raw),
                _interval(x.pair.cohen),
                x.missed,
                x.false_alarms,
            )
            for x in result.against
        ],
        ("disagreement", "scenario", "labels"): [
            (d.run, f"{d.scenario} [{d.lang}]", ", ".join(f"{k} {v}" for k, v in d.values.items()))
            for d in shown
        ],
    }
    for number, (headings, rows) in enumerate(parts.items()):
        if number and rows:
            out.print()
        if rows or not number:
            table(headings, rows)
    if len(shown) < len(result.disagreements):
        out.print(f"… {len(result.disagreements) - len(shown)} more: --json", style="dim")


def _interval(item: Estimate) -> str:
    if item.value is None:
        return "–"
    return f"{item.value:.2f}" + (f" ({item.low:.2f}–{item.high:.2f})" if item.pair else "")
