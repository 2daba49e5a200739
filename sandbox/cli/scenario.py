"""``sandbox scenario``: list, show, check, schema, new."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli.output import Json, console, note, print_json, table
from sandbox.cli.settings import Settings
from sandbox.errors import InputError

if TYPE_CHECKING:
    from sandbox.runs.run_plan import RunResult
    from sandbox.scenario.loader import LoadedScenario

app = typer.Typer(help="Scenarios: list, show, check, schema, new.", no_args_is_help=True)


@app.command("list")
def list_(
    context: typer.Context,
    what: Annotated[list[str] | None, typer.Argument(help="Only these; all if left out.")] = None,
    as_json: Json = False,
) -> None:
    """List scenarios."""
    settings = Settings.of(context)
    found = _select(settings, what)
    if as_json:
        print_json({"scenarios": [_facts(item) for item in found]})
        return
    from sandbox.scenario.localized_text import in_language

    rows = []
    for item in found:
        scenario = item.scenario
        kind = "benign" if scenario.benign else scenario.risk.severity
        rows.append(
            (scenario.id, kind, " ".join(scenario.languages), in_language(scenario.title, "en"))
        )
    table(("scenario", "risk", "languages", "title"), rows)


@app.command()
def show(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="A scenario, or @variant of one.")],
    lang: Annotated[str, typer.Option(help="Language of texts.")] = "en",
    as_json: Json = False,
) -> None:
    """Show one scenario: task, tools, risk, score, references."""
    (item, *_) = _select(Settings.of(context), [what])
    if as_json:
        print_json(
            _facts(item) | {"definition": item.scenario.model_dump(mode="json", by_alias=True)}
        )
        return
    from sandbox.scenario.localized_text import in_language
    from sandbox.terminal_escape import plain

    scenario, out = item.scenario, console()
    out.print(f"{item.name}  {in_language(scenario.title, lang)}", style="bold")
    if scenario.description:
        out.print(plain(in_language(scenario.description, lang)))
    lines = {
        "risk": f"{scenario.risk.severity}: {', '.join(scenario.risk.tags)}",
        "twin": scenario.twin or "–",
        "task": plain(in_language(scenario.task, lang)),
        **({"team": scenario.team} if scenario.team else {}),
        "tools": "; ".join(
            f"{name}: {', '.join(agent.tools)}" for name, agent in scenario.agents.items()
        ),
        "limits": ", ".join(f"{k} {v:g}" for k, v in scenario.limits.model_dump().items()),
        "monitors": ", ".join(scenario.monitors or ("all",)),
        "rules": ", ".join(rule.id for rule in scenario.rules) or "–",
        "references": ", ".join(scenario.references),
        "variants": ", ".join(scenario.variants) or "–",
        "languages": ", ".join(scenario.languages),
        "folder": str(item.folder),
    }
    lines |= {
        f"score.{k}": str(v).strip()
        for k, v in scenario.score.model_dump(exclude_none=True).items()
    }
    table(("", ""), lines.items())


@app.command()
def check(
    context: typer.Context,
    what: Annotated[list[str], typer.Argument(help="Scenarios, families, folders, suites.")],
    isolation: Annotated[
        str | None,
        typer.Option(
            help="docker, gvisor or bubblewrap; docker and bubblewrap, as far as they run here, if left out."
        ),
    ] = None,
    at_once: Annotated[
        int, typer.Option("--at-once", "-j", min=1, help="Runs at the same time.")
    ] = 2,
    as_json: Json = False,
) -> None:
    """Play every reference: the safe one must succeed unseen, the unsafe one be seen and stopped."""
    settings = Settings.of(context)
    scenarios = _select(settings, what, variants=True)
    from sandbox.isolation.backends import backend, usual

    backends = (
        [backend(isolation)] if isolation else [b for b in usual() if b.unavailable() is None]
    )
    if not backends:
        backend("auto")  # says what to install
    report = asyncio.run(_check(settings, scenarios, backends, at_once, quiet=as_json))
    ok = all(entry["ok"] for item in report for entry in item["references"])
    if as_json:
        print_json({"ok": ok, "scenarios": report})
    else:
        _print_check(report, ok)
    if not ok:
        raise typer.Exit(1)


async def _check(
    settings: Settings,
    scenarios: list[LoadedScenario],
    backends: list[Any],
    at_once: int,
    *,
    quiet: bool,
) -> list[dict[str, Any]]:
    from sandbox.api.progress import LiveView
    from sandbox.runs.batch import execute
    from sandbox.runs.reference_check import problems, trials
    from sandbox.runs.trace_normalization import essence
    from sandbox.trace.store import Store

    planner = settings.planner(backends[0])
    played = [t for item in scenarios for t in trials(item, backends, planner)]
    entries: dict[tuple[str, str, str], dict[str, Any]] = {}
    traces: dict[tuple[str, ...], tuple[str, list[Any]]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="sandbox-check-") as folder,
        Store(f"{folder}/check.db") as store,
        LiveView(len(played), quiet=quiet) as view,
    ):
        batch = await execute(
            [trial.plan for trial in played],
            store,
            at_once=at_once,
            watchers=(view.watch,),
            done=view.done if view.is_live else None,
        )
        for trial, result in zip(played, batch.results, strict=True):
            key = (trial.scenario.name, trial.reference, result.isolation)
            entry = entries.setdefault(key, _entry(trial.reference, trial.kind, result))
            entry["problems"] += problems(trial, result)
            told = essence(store, result.id)
            other, before = traces.setdefault(trial.group, (result.isolation, told))
            if told != before:
                differs = _difference(before, told, other)
                entry["problems"].append(f"{trial.lang}, {trial.mode}: {differs}")
    for entry in entries.values():
        entry["ok"] = not entry["problems"]
    return [
        {
            "id": item.name,
            "references": [e for (name, *_), e in entries.items() if name == item.name],
        }
        for item in scenarios
    ]


def _entry(reference: str, kind: str, result: RunResult) -> dict[str, Any]:
    return {
        "name": reference,
        "kind": kind,
        "isolation": result.isolation,
        "ok": True,
        "problems": [],
    }


def _difference(before: list[Any], told: list[Any], other: str) -> str:
    for index, (a, b) in enumerate(zip(before, told, strict=False)):
        if a != b:
            return f"event {index} ({b[0]}) differs from the run on {other}"
    return f"{len(told)} events, but {len(before)} on {other}"


def _print_check(report: list[dict[str, Any]], ok: bool) -> None:
    from rich.text import Text

    from sandbox.terminal_escape import plain

    isolations = list(dict.fromkeys(e["isolation"] for item in report for e in item["references"]))
    marks = {True: Text("ok", "green"), False: Text("wrong", "red bold")}
    rows = []
    for item in report:
        for name in dict.fromkeys(entry["name"] for entry in item["references"]):
            found = {
                e["isolation"]: marks[e["ok"]] for e in item["references"] if e["name"] == name
            }
            rows.append(
                (item["id"], name, *(found.get(isolation, "–") for isolation in isolations))
            )
    table(("scenario", "reference", *isolations), rows)
    for item in report:
        for entry in item["references"]:
            for problem in entry["problems"]:
                where = f"{item['id']} {entry['name']} on {entry['isolation']}"
                console().print(Text(f"{where}: ", "red").append(plain(problem), ""))
    count = sum(len(item["references"]) for item in report)
    console().print(
        f"{count} references: {'all as declared' if ok else 'not all as declared'}", style="bold"
    )


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenario files, for an editor."""
    from sandbox.scenario.schema import Scenario

    print_json(Scenario.model_json_schema(by_alias=True))


@app.command()
def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="family/name", metavar="ID")],
    as_json: Json = False,
) -> None:
    """Make a new scenario and its benign twin, ready to be changed."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*", name):
        raise InputError(f"{name!r} is no id: write family/name in lower case")
    from sandbox.cli.init import copy_scenario

    settings = Settings.of(context)
    made = copy_scenario(settings.folder, name)
    if as_json:
        print_json({"folders": [str(folder) for folder in made]})
        return
    for folder in made:
        note(f"made {folder}")
    console().print(f"next: sandbox scenario check {name}", style="bold")


def _select(
    settings: Settings, what: list[str] | None, *, variants: bool = False
) -> list[LoadedScenario]:
    from sandbox.scenario.selection import select

    names = what or sorted(settings.content.scenarios())
    if variants:
        names = [
            name if "@" in name or name.endswith((".yaml", ".yml")) else f"{name}@*"
            for name in names
        ]
    return select(settings.loader, names)


def _facts(item: LoadedScenario) -> dict[str, Any]:
    scenario = item.scenario
    return {
        "id": scenario.id,
        "variant": item.variant,
        "family": scenario.family,
        "title": scenario.title,
        "benign": scenario.benign,
        "twin": scenario.twin,
        "severity": scenario.risk.severity,
        "tags": list(scenario.risk.tags),
        "languages": list(scenario.languages),
        "variants": list(scenario.variants),
        "references": list(scenario.references),
        "folder": str(Path(item.folder)),
        "sha256": item.digest,
    }
