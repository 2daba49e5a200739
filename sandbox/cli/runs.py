"""``sandbox runs``: list, show, verify."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli import annotate, import_export, purge
from sandbox.cli.output import Json, console, print_json, table, time_of
from sandbox.cli.settings import Settings

if TYPE_CHECKING:
    from sandbox.trace.tables import RunRow
    from sandbox.trace.verify import Verification

_FIRST = 8
"""Events at the head of a trace among which its start and its container are."""
_WIDE = 100
"""Columns of a terminal from which a list shows everything."""

app = typer.Typer(help="Stored runs: list, show, verify, import, export.", no_args_is_help=True)
app.command("import")(import_export.import_)
app.command("annotate")(annotate.annotate)
app.command("agreement")(annotate.agreement)
app.command("purge")(purge.purge)
app.command("export")(import_export.export)


@app.command("list")
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
    with Settings.of(context).open_store(reading=True) as store:
        rows = store.runs(
            scenario=scenario,
            family=family,
            model=model,
            safety=safety,
            status=status,
            origin=origin,
            limit=limit,
        )
    if as_json:
        print_json({"runs": [_data(row) for row in rows]})
        return
    headings = ["run", "started", "scenario", "model", "outcome"]
    if console().width >= _WIDE:
        headings += ["verdicts", "mode", "isolation"]
    table(headings, (_cells(row)[: len(headings)] for row in rows))


def _cells(row: RunRow) -> tuple[object, ...]:
    from rich.text import Text

    from sandbox.reports.summary import coloured
    from sandbox.trace.tables import driven

    scenario = row.scenario if row.lang == "en" else f"{row.scenario} [{row.lang}]"
    outcome = coloured("purged" if row.status == "purged" else row.task or row.status)
    if row.safety:
        outcome = Text.assemble(outcome, " ", coloured(row.safety))
    verdicts = len((row.result or {}).get("verdicts", ()))
    started = time_of(row.started)[5:16]
    return row.id[:8], started, scenario, driven(row), outcome, verdicts, row.mode, row.isolation


@app.command()
def show(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="A run, or the beginning of its id.")],
    as_json: Json = False,
) -> None:
    """Show one run: how it was obtained, what came of it, what monitors said."""
    from sandbox.reports.scaffold_changes import scaffold_changes

    with Settings.of(context).open_store(reading=True) as store:
        row = store.run(run)
        forks = [
            {"id": item.id, "at": item.fork_at, "safety": item.safety}
            for item in store.runs(parent=row.id)
        ]
        told = {
            event.kind: store.content(event)
            for event in islice(store.events(row.id), _FIRST)
            if event.kind in ("run.start", "container.open", "run.purged")
        }
        changes = scaffold_changes(store, row.id)
    said, container = told.get("run.start", {}), told.get("container.open", {})
    if as_json:
        found = {"run": _data(row), "start": said, "container": container, "forks": forks}
        found |= {"scaffold_changes": changes}
        found |= {"tombstone": told["run.purged"]} if "run.purged" in told else {}
        print_json(found)
        return
    out = console()
    out.print(f"{row.id}  {row.scenario}  {row.model}", style="bold")
    result = row.result or {}
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
        "controls": _controls(container),
        "mode": row.mode,
        "scaffold": _scaffold(row, said),
        **{f"calls it {what}": _events(numbers) for what, numbers in changes.items()},
        "language": row.lang,
        "seed": row.seed,
        "forked from": f"{row.parent} at event {row.fork_at}" if row.parent else "",
        "forks": "\n".join(f"{f['id']} at event {f['at']}: {f['safety']}" for f in forks),
        "purpose": row.purpose or "",
        "legal basis": row.legal_basis or "",
        "kept until": time_of(row.retain_until) if row.retain_until else "",
        "purged": _purged(told.get("run.purged", {})),
        "events": row.events,
        "head": row.head or "–",
        "scenario sha256": said.get("scenario_sha256", "–"),
        "versions": ", ".join(f"{k} {v}" for k, v in said.get("versions", {}).items()),
    }
    table(("", ""), [(key, value) for key, value in lines.items() if value != ""])
    verdicts = result.get("verdicts", ())
    if verdicts:
        out.print()
        rows = [
            (v["event"], v["monitor"], v["verdict"], v["severity"], v["reason"]) for v in verdicts
        ]
        table(("event", "monitor", "verdict", "severity", "reason"), rows)
    out.print(f"\nnext: sandbox replay {row.id}", style="bold")


def _scaffold(row: RunRow, start: dict[str, Any]) -> str:
    """Return what drove the model, with the hash of its file where it is a user's own."""
    digest = start.get("scaffold_sha256")
    return f"{row.scaffold} (sha256 {digest})" if digest else row.scaffold


def _events(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:_FIRST])) + (", …" if len(numbers) > _FIRST else "")
    return f"{len(numbers)}, at event {shown}" if numbers else ""


def _purged(stone: dict[str, Any]) -> str:
    """Return what a tombstone says."""
    if not stone:
        return ""
    found = "untouched" if stone["intact"] else "not as they were written"
    return f"{stone['removed']} events, {found}, removed by {stone['by']}: {stone['reason']}"


def _controls(container: dict[str, Any]) -> str:
    """Return the audit of a run's container, what the guest said of it escaped."""
    from sandbox.terminal_escape import plain
    from sandbox.views.replay import controls

    return plain("\n".join(controls(container))) if container else ""


@app.command()
def verify(
    context: typer.Context,
    runs: Annotated[
        list[str] | None,
        typer.Argument(help="Runs, evidence packs, manifests; all runs if left out."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="Public key that must have signed the files.", metavar="PUB"),
    ] = None,
    stored: Annotated[
        bool, typer.Option("--stored", help="Hold manifests of sweeps against the store's runs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Prove that runs are untouched: chain, texts, outcome. Files are proved without the store."""
    paths = [Path(name) for name in runs or () if Path(name).is_file()]
    packs = import_export.verify_files(paths, key, context if stored else None)
    found = [run for pack in packs for run in pack.runs]
    names = [name for name in runs or () if not Path(name).is_file()]
    if names or not packs:
        found += _verified(context, names)
    ok = all(item.ok for item in found) and all(pack.ok for pack in packs)
    if as_json:
        fields = ("id", "ok", "event", "problem", "parent")
        shown = [{k: getattr(item, k) for k in fields} for item in found]
        told = {"packs": [import_export.pack_data(pack) for pack in packs]} if packs else {}
        print_json({"ok": ok, "runs": shown, **told})
    else:
        bad = [(i.id, "–" if i.event is None else i.event, i.problem) for i in found if not i.ok]
        if bad:
            table(("run", "event", "problem"), bad)
        for pack in packs:
            import_export.tell_pack(pack)
        count = sum(item.events for item in found)
        wrong = f"{len(bad)} not as they were written" if bad else "but a file is not whole"
        verdict = "all untouched" if ok else wrong
        if found or not packs:
            console().print(f"{len(found)} runs, {count} events: {verdict}", style="bold")
        for line in _parents(found):
            console().print(line)
    if not ok:
        raise typer.Exit(1)


_PARENTS = {
    "agrees": "go on from the event of their parent that they name",
    "missing": "have a parent that is not in this store",
    "purged": "have a parent that was purged",
    "pseudonymised": "are pseudonymised, or their parent is, and cannot be held against it",
}


def _parents(found: list[Verification]) -> list[str]:
    """Return what is said of forks and their parents."""
    counts = {state: sum(item.parent == state for item in found) for state in _PARENTS}
    return [f"{count} forks {_PARENTS[state]}" for state, count in counts.items() if count]


def _verified(context: typer.Context, names: list[str]) -> list[Verification]:
    from sandbox.trace.verify import verify_all

    with Settings.of(context).open_store(reading=True) as store:
        rows = [store.run(name) for name in names] if names else store.runs()
        return list(verify_all(store, rows))


def _data(row: RunRow) -> dict[str, Any]:
    """Return a run as ``--json`` prints it, finished or not."""
    base = {
        "id": row.id,
        "scenario": row.scenario,
        "family": row.family,
        "model": row.model,
        "isolation": row.isolation,
        "mode": row.mode,
        "lang": row.lang,
        "seed": row.seed,
        "task": row.task,
        "safety": row.safety,
        "verdicts": [],
        "tool_calls": None,
        "tokens": None,
        "cost_eur": None,
        "energy_kwh": None,
        "seconds": None,
        "head": row.head,
        "parent": row.parent,
        "fork_at": row.fork_at,
        "purpose": row.purpose,
        "scaffold": row.scaffold,
        "legal_basis": row.legal_basis,
        "retain_until": row.retain_until,
    }
    return {
        **base,
        **(row.result or {}),
        "origin": row.origin,
        "status": row.status,
        "started": row.started,
        "ended": row.ended,
    }
