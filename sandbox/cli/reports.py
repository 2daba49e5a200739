"""``sandbox sweep compare · report · power`` and ``sandbox runs report · incident``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from sandbox.analysis import drift
from sandbox.analysis import power as numbers
from sandbox.analysis.drift import Drift
from sandbox.cli.command import Json, Settings, check, console, note, print_json, reply, table
from sandbox.errors import InputError
from sandbox.reports import collect, document, i18n, incident_page, rendering
from sandbox.reports import incident as incidents
from sandbox.reports.collect import Dossier
from sandbox.sweeps.store import Sweeps
from sandbox.sweeps.tables import SweepRow
from sandbox.trace.store import Store

Sweep = Annotated[str, typer.Argument(help="Id, a beginning of it, or a name.", metavar="SWEEP")]
Baseline = Annotated[
    str | None,
    typer.Option(
        help="What it is compared with: a sweep, or last:N for the N before it of its name; "
        "if left out, what the sweep's file says."
    ),
]
Lang = Annotated[str, typer.Option(help="Language of the report: en or fr.")]
HtmlFile = Annotated[
    Path | None, typer.Option("--html", help="Write one HTML file.", metavar="FILE")
]
MarkdownFlag = Annotated[bool, typer.Option("--markdown", help="Print it as Markdown.")]


def compare(
    context: typer.Context,
    first: Sweep,
    second: Annotated[
        str | None, typer.Argument(help="What came after; the first is then the baseline.")
    ] = None,
    baseline: Baseline = None,
    level: Annotated[
        float, typer.Option(min=0.0001, max=0.5, help="Chance of any false alarm.")
    ] = 0.05,
    fail_on: Annotated[
        str | None, typer.Option(help="Exit with 1 if something got worse: worse.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what got worse or better beyond noise: A B, or one sweep with --baseline."""
    check("--fail-on", fail_on, ("worse",))
    if second is not None and baseline is not None:
        raise InputError("name two sweeps, or one with --baseline, not both")
    judged, other = (second, first) if second is not None else (first, baseline)
    with Settings.of(context).open_store(reading=True) as store:
        row, earlier = _pair(store, judged, other, otherwise="last:1")
        now, before = _dossiers(store, row, earlier, facts=False)
    result = drift.compare(
        [run for each in before for run in each.runs],
        now.runs,
        nights=[each.runs for each in before],
        level=level,
    )
    sweeps = {"before": [each.id for each in before], "after": now.id}
    reply(
        as_json,
        {**sweeps, **result.as_data()},
        lambda: _print_drift(result, before, now),
        1 if fail_on and result.worse else 0,
    )


def report(
    context: typer.Context,
    which: Sweep,
    baseline: Baseline = None,
    lang: Lang = "en",
    html: HtmlFile = None,
    markdown: MarkdownFlag = False,
    as_json: Json = False,
) -> None:
    """Report on a sweep: one HTML file, Markdown or JSON; Markdown if no format is named."""
    i18n.words(lang)
    with Settings.of(context).open_store(reading=True) as store:
        row, earlier = _pair(store, which, baseline)
        now, before = _dossiers(store, row, earlier)
        data = document.build(store, now, before)
    _write(data, lang, html, markdown, as_json)


def power_(
    before: Annotated[float, typer.Option(min=0, max=1, help="The rate that is expected.")] = 0.1,
    after: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="The rate that is to be distinguished from it."),
    ] = None,
    runs_: Annotated[
        int | None, typer.Option("--runs", min=1, help="Or: runs that each night has.")
    ] = None,
    power: Annotated[
        float, typer.Option(min=0.5, max=0.999, help="Chance with which it is to be found.")
    ] = 0.8,
    level: Annotated[float, typer.Option(min=0.0001, max=0.5, help="Of a false alarm.")] = 0.05,
    comparisons: Annotated[int, typer.Option(min=1, help="Comparisons that share it.")] = 1,
    as_json: Json = False,
) -> None:
    """Say how many runs of dangerous scenarios each night needs, or what so many runs can show."""
    if (after is None) == (runs_ is None):
        raise InputError("give the rate to be distinguished with --after, or the runs with --runs")
    data: dict[str, object] = {
        "before": before,
        "power": power,
        "level": level,
        "comparisons": comparisons,
    }
    if after is not None:
        try:
            needed = numbers.runs_needed(
                before, after, power=power, level=level, comparisons=comparisons
            )
        except ValueError as error:
            raise InputError(str(error)) from error
        text = f"{needed} runs of dangerous scenarios on each side tell {after:g} from {before:g}"
        data |= {"after": after, "runs": needed}
    elif runs_ is not None:
        rise = numbers.least_difference(before, runs_, power=power, level=level / comparisons)
        text = (
            f"{runs_} runs on each side show no rise from {before:g} reliably"
            if rise is None
            else f"{runs_} runs on each side show a rise from {before:g} to {before + rise:.3g}"
        )
        data |= {"runs": runs_, "rise": rise}
    text += f" (power {power:g}, level {level:g}, comparisons {comparisons})"
    reply(as_json, data, lambda: console().print(text))


def runs_report(
    context: typer.Context,
    scenario: Annotated[str | None, typer.Option(help="Only runs of this scenario.")] = None,
    family: Annotated[str | None, typer.Option(help="Only runs of this family.")] = None,
    model: Annotated[str | None, typer.Option(help="Only runs with this model.")] = None,
    mode: Annotated[str | None, typer.Option(help="Only observe or enforce.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="The newest so many; 0 for all.")] = 0,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Take outcomes from labels of this source, such as published, corrected, person."
        ),
    ] = None,
    lang: Lang = "en",
    html: HtmlFile = None,
    markdown: MarkdownFlag = False,
    as_json: Json = False,
) -> None:
    """Report on stored runs: one HTML file, Markdown or JSON; Markdown if no format is named."""
    i18n.words(lang)
    filters = {"scenario": scenario, "family": family, "model": model, "mode": mode}
    chosen = {name: value for name, value in filters.items() if value is not None}
    with Settings.of(context).open_store(reading=True) as store:
        dossier = collect.of_rows(store, store.runs(**filters, limit=limit), chosen)
        if labels is not None:
            dossier = collect.relabelled(store, dossier, labels)
        data = document.build(store, dossier)
    _write(data, lang, html, markdown, as_json)


def incident(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="A run, or the beginning of its id.")],
    lang: Lang = "en",
    as_json: Json = False,
) -> None:
    """Print an incident file with the fields of the EU code of practice, as far as the trace has them."""
    i18n.words(lang)
    with Settings.of(context).open_store(reading=True) as store:
        row = store.run(run)
        if row.status != "finished":
            raise InputError(f"run {row.id} is {row.status}: there is no outcome to report")
        data = incidents.build(store, row)
    reply(as_json, data, lambda: typer.echo(incident_page.markdown(data, lang), nl=False))


def _pair(
    store: Store, judged: str, other: str | None, otherwise: str | None = None
) -> tuple[SweepRow, list[SweepRow]]:
    """Return a sweep and its baseline: the one that is named, or of its file, or otherwise."""
    row = Sweeps(store).get(judged)
    baseline = other or collect.declared(row) or otherwise
    return row, collect.baseline(store, row, baseline) if baseline else []


def _dossiers(
    store: Store, row: SweepRow, earlier: Sequence[SweepRow], *, facts: bool = True
) -> tuple[Dossier, list[Dossier]]:
    now = collect.of_sweep(store, row, facts=facts)
    before = [collect.of_sweep(store, each, facts=False) for each in earlier]
    for dossier in (now, *before):
        if not dossier.runs:
            raise InputError(f"sweep {dossier.id} has no finished runs")
    return now, before


def _write(
    data: dict[str, Any], lang: str, html: Path | None, markdown: bool, as_json: bool
) -> None:
    if html is not None:
        try:
            html.write_text(rendering.html(data, lang), "utf-8")
        except OSError as error:
            raise InputError(f"--html {html}: {error.strerror}") from error
        note(f"written: {html}")
    if as_json:
        print_json(data)
    elif markdown or html is None:
        typer.echo(rendering.markdown(data, lang), nl=False)


def _print_drift(result: Drift, before: Sequence[Dossier], now: Dossier) -> None:
    ids = ", ".join(each.id for each in before)
    console().print(f"before: {ids} ({sum(len(d.runs) for d in before)} runs)")
    console().print(f"after:  {now.id} ({len(now.runs)} runs)")
    for old, new in result.pairs:
        note(old if old == new else f"{old} → {new}")
    styles = {"worse": "red bold", "better": "green", "changed": "yellow"}
    shown = [f for f in result.findings if f.flagged or f.new or not (f.scenario or f.family)]
    rows = []
    for item in sorted(shown, key=lambda f: (not f.flagged, f.new, f.adjusted)):
        word = item.direction if item.flagged else "new" if item.new else "within noise"
        rows.append(
            (
                Text(word, style=styles[item.direction] if item.flagged else "dim"),
                f"{100 * item.before:.1f} %",
                f"{100 * item.after:.1f} %",
                f"{100 * item.low:+.1f} … {100 * item.high:+.1f}",
                f"{item.adjusted:.2g}",
                item.what if len(result.pairs) > 1 else item.what.removesuffix(f", {item.model}"),
            )
        )
    table(("", "before", "after", "difference", "p adj.", "what"), rows)
    for title, names in (
        ("only on one side, not compared", result.unmatched),
        ("new scenarios, not compared", result.only_after),
        ("scenarios no longer run", result.only_before),
    ):
        if names:
            note(f"{title}: {', '.join(names)}")
    verdict = f"{len(result.worse)} worse, {len(result.better)} better beyond noise"
    console().print(f"\n{verdict} (all comparisons together at {result.level:g})", style="bold")
