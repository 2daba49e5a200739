"""``sandbox runs list`` and ``show``."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer
from rich.text import Text

from sandbox.cli.command import Json, Settings, console, fields, reply, table, time_of
from sandbox.reports.scaffold_changes import scaffold_changes
from sandbox.reports.summary import coloured
from sandbox.terminal_escape import plain
from sandbox.trace.tables import RunRow, driven
from sandbox.views.replay import controls

_FIRST = 8
"""Events at the head of a trace among which its start and its container are."""
_WIDE = 100
"""Columns of a terminal from which a list shows everything."""


def list_(
    context: typer.Context,
    scenario: Annotated[str | None, typer.Option(help="Only runs of this scenario.")] = None,
    family: Annotated[str | None, typer.Option(help="Only runs of this family.")] = None,
    model: Annotated[str | None, typer.Option(help="Only runs with this model.")] = None,
    safety: Annotated[str | None, typer.Option(help="Only safe, attempted or unsafe ones.")] = None,
    status: Annotated[
        str | None, typer.Option(help="Only running, finished, interrupted or purged ones.")
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option(help="Only run, fork or imported ones, or of one format, such as agentdojo."),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="The newest so many; 0 for all.")] = 50,
    as_json: Json = False,
) -> None:
    """List stored runs, newest first."""
    filters = {"scenario": scenario, "family": family, "model": model}
    filters |= {"safety": safety, "status": status, "origin": origin}
    with Settings.of(context).open_store(reading=True) as store:
        rows = store.runs(**filters, limit=limit)
    headings = ["run", "started", "scenario", "model", "outcome"]
    if console().width >= _WIDE:
        headings += ["verdicts", "mode", "isolation"]
    reply(
        as_json,
        {"runs": [_data(row) for row in rows]},
        lambda: table(headings, (_cells(row)[: len(headings)] for row in rows)),
    )


def _cells(row: RunRow) -> tuple[object, ...]:
    scenario = row.scenario if row.lang == "en" else f"{row.scenario} [{row.lang}]"
    outcome = coloured("purged" if row.status == "purged" else row.task or row.status)
    if row.safety:
        outcome = Text.assemble(outcome, " ", coloured(row.safety))
    verdicts = len((row.result or {}).get("verdicts", ()))
    started = time_of(row.started)[5:16]
    return row.id[:8], started, scenario, driven(row), outcome, verdicts, row.mode, row.isolation


def show(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="A run, or the beginning of its id.")],
    as_json: Json = False,
) -> None:
    """Show one run: how it was obtained, its outcome, what monitors said."""
    with Settings.of(context).open_store(reading=True) as store:
        row = store.run(run)
        forks = list(store.runs(parent=row.id))
        contents = {
            event.kind: store.content(event)
            for event in islice(store.events(row.id), _FIRST)
            if event.kind in ("run.start", "container.open", "run.purged")
        }
        changes = scaffold_changes(store, row.id)
    start, container = contents.get("run.start", {}), contents.get("container.open", {})
    stone = contents.get("run.purged")
    document = {"run": _data(row), "start": start, "container": container}
    document["forks"] = [{"id": f.id, "at": f.fork_at, "safety": f.safety} for f in forks]
    document |= {"scaffold_changes": changes} | ({"tombstone": stone} if stone else {})
    result, digest = row.result or {}, start.get("scaffold_sha256")
    lines = {
        "status": row.status,
        "outcome": f"{row.task} / {row.safety or 'not judged'}" if row.task else "–",
        "imported from": row.origin,
        "reason": result.get("reason", ""),
        "started": time_of(row.started),
        "seconds": result.get("seconds", "–"),
        "calls": result.get("tool_calls", "–"),
        "tokens": result.get("tokens", "–"),
        "cost": f"{result.get('cost_eur', 0):.4f} EUR",
        "isolation": " ".join(filter(None, (row.isolation, container.get("version")))),
        "controls": plain("\n".join(controls(container["controls"]))) if container else "",
        "mode": row.mode,
        "scaffold": f"{row.scaffold} (sha256 {digest})" if digest else row.scaffold,
        **{f"calls it {what}": _events(numbers) for what, numbers in changes.items()},
        "language": row.lang,
        "seed": row.seed,
        "forked from": f"{row.parent} at event {row.fork_at}" if row.parent else "",
        "forks": "\n".join(f"{f.id} at event {f.fork_at}: {f.safety}" for f in forks),
        "purpose": row.purpose or "",
        "legal basis": row.legal_basis or "",
        "kept until": time_of(row.retain_until) if row.retain_until else "",
        "purged": _PURGED[bool(stone["intact"])].format(**stone) if stone else "",
        "events": row.events,
        "head": row.head or "–",
        "scenario sha256": start.get("scenario_sha256", "–"),
        "versions": ", ".join(f"{k} {v}" for k, v in start.get("versions", {}).items()),
    }
    reply(as_json, document, lambda: _print(row, lines))


_PURGED = {
    True: "{removed} events, untouched, removed by {by}: {reason}",
    False: "{removed} events, not as they were written, removed by {by}: {reason}",
}


def _print(row: RunRow, lines: dict[str, object]) -> None:
    out = console()
    out.print(f"{row.id}  {row.scenario}  {row.model}", style="bold")
    table(("", ""), [(key, value) for key, value in lines.items() if value != ""])
    if verdicts := (row.result or {}).get("verdicts", ()):
        out.print()
        headings = ("event", "monitor", "verdict", "severity", "reason")
        table(headings, [[verdict[key] for key in headings] for verdict in verdicts])
    out.print(f"\nnext: sandbox replay {row.id}", style="bold")


def _events(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:_FIRST])) + (", …" if len(numbers) > _FIRST else "")
    return f"{len(numbers)}, at event {shown}" if numbers else ""


_ROW = (
    "id scenario family model isolation mode lang seed task safety head parent fork_at purpose "
    "scaffold legal_basis retain_until"
)
_RESULT = ("tool_calls", "tokens", "cost_eur", "energy_kwh", "seconds")


def _data(row: RunRow) -> dict[str, object]:
    """Return a run as ``--json`` prints it, finished or not."""
    data = {**fields(row, _ROW), "verdicts": [], **dict.fromkeys(_RESULT)}
    return data | (row.result or {}) | fields(row, "origin status started ended")
