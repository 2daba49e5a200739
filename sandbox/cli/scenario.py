"""``sandbox scenario``: list, show, check, schema, new."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated

import typer
from rich.text import Text

from sandbox.api.progress import LiveView
from sandbox.cli.command import Json, Settings, console, fields, print_json, reply, table
from sandbox.cli.init import copy_scenario, tell_files
from sandbox.errors import InputError
from sandbox.isolation.backends import backend, usual
from sandbox.isolation.base import Backend
from sandbox.runs.reference_check import problems, trials
from sandbox.runs.trace_normalization import essence
from sandbox.runs.worker_pool import execute
from sandbox.scenario.loader import LoadedScenario
from sandbox.scenario.localized_text import in_language
from sandbox.scenario.schema import Scenario
from sandbox.scenario.selection import select
from sandbox.terminal_escape import plain
from sandbox.trace.store import Store


def list_(
    context: typer.Context,
    what: Annotated[list[str] | None, typer.Argument(help="Only these; all if left out.")] = None,
    as_json: Json = False,
) -> None:
    """List scenarios."""
    items = _select(Settings.of(context), what)
    rows = [
        (
            s.id,
            "benign" if s.benign else s.risk.severity,
            " ".join(s.languages),
            in_language(s.title, "en"),
        )
        for s in (item.scenario for item in items)
    ]
    document = {"scenarios": [_facts(item) for item in items]}
    reply(as_json, document, lambda: table(("scenario", "risk", "languages", "title"), rows))


def show(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="A scenario, or @variant of one.")],
    lang: Annotated[str, typer.Option(help="Language of texts.")] = "en",
    as_json: Json = False,
) -> None:
    """Show one scenario: task, tools, risk, score, references."""
    (item, *_) = _select(Settings.of(context), [what])
    definition = item.scenario.model_dump(mode="json", by_alias=True)
    document = {**_facts(item), "definition": definition}
    reply(as_json, document, lambda: _print(item, lang))


def _print(item: LoadedScenario, lang: str) -> None:
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
    backends = (
        [backend(isolation)] if isolation else [b for b in usual() if b.unavailable() is None]
    )
    if not backends:
        backend("auto")  # says what to install
    references = asyncio.run(_check(settings, scenarios, backends, at_once, quiet=as_json))
    ok = all(reference.ok for reference in references)
    report = [
        {
            "id": item.name,
            "references": [r.as_data() for r in references if r.scenario == item.name],
        }
        for item in scenarios
    ]
    reply(
        as_json,
        {"ok": ok, "scenarios": report},
        lambda: _print_check(references, ok),
        0 if ok else 1,
    )


Trace = Sequence[Sequence[object]]
"""Events without what differs from run to run anyway."""


@dataclass(frozen=True)
class _Reference:
    """A reference on one back end, and what is wrong with it."""

    scenario: str
    name: str
    kind: str
    isolation: str
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_data(self) -> dict[str, object]:
        data = asdict(self) | {"ok": self.ok}
        return {key: data[key] for key in ("name", "kind", "isolation", "ok", "problems")}


async def _check(
    settings: Settings,
    scenarios: Sequence[LoadedScenario],
    backends: Sequence[Backend],
    at_once: int,
    *,
    quiet: bool,
) -> list[_Reference]:
    planner = settings.planner(backends[0])
    played = [t for item in scenarios for t in trials(item, backends, planner)]
    references: dict[tuple[str, str, str], _Reference] = {}
    traces: dict[tuple[str, ...], tuple[str, Trace]] = {}
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
            done=view.finish if view.is_live else None,
        )
        for trial, result in zip(played, batch, strict=True):
            key = (trial.scenario.name, trial.reference, result.isolation)
            new = _Reference(trial.scenario.name, trial.reference, trial.kind, result.isolation)
            reference = references.setdefault(key, new)
            reference.problems.extend(problems(trial, result))
            trace = essence(store, result.id)
            other, before = traces.setdefault(trial.group, (result.isolation, trace))
            if trace != before:
                difference = _difference(before, trace, other)
                reference.problems.append(f"{trial.lang}, {trial.mode}: {difference}")
    return list(references.values())


def _difference(before: Trace, trace: Trace, other: str) -> str:
    for index, (a, b) in enumerate(zip(before, trace, strict=False)):
        if a != b:
            return f"event {index} ({b[0]}) differs from the run on {other}"
    return f"{len(trace)} events, but {len(before)} on {other}"


def _print_check(references: Sequence[_Reference], ok: bool) -> None:
    isolations = list(dict.fromkeys(reference.isolation for reference in references))
    marks = {True: Text("ok", "green"), False: Text("wrong", "red bold")}
    cells: dict[tuple[str, str], dict[str, Text]] = {}
    for item in references:
        cells.setdefault((item.scenario, item.name), {})[item.isolation] = marks[item.ok]
    rows = [(*key, *(row.get(name, "–") for name in isolations)) for key, row in cells.items()]
    table(("scenario", "reference", *isolations), rows)
    for item in references:
        for problem in item.problems:
            where = f"{item.scenario} {item.name} on {item.isolation}"
            console().print(Text(f"{where}: ", "red").append(plain(problem), ""))
    verdict = "all as declared" if ok else "not all as declared"
    console().print(f"{len(references)} references: {verdict}", style="bold")


def schema() -> None:
    """Print the JSON Schema of scenario files, for an editor."""
    print_json(Scenario.model_json_schema(by_alias=True))


def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="family/name", metavar="ID")],
    as_json: Json = False,
) -> None:
    """Make a new scenario and its benign twin, ready to be changed."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*", name):
        raise InputError(f"{name!r} is no id: write family/name in lower case")
    folders = [str(folder) for folder in copy_scenario(Settings.of(context).folder, name)]
    then = f"sandbox scenario check {name}"
    reply(as_json, {"folders": folders}, lambda: tell_files(folders, then))


def _select(
    settings: Settings, what: list[str] | None, *, variants: bool = False
) -> list[LoadedScenario]:
    names = what or sorted(settings.content.scenarios())
    if variants:
        names = [
            name if "@" in name or name.endswith((".yaml", ".yml")) else f"{name}@*"
            for name in names
        ]
    return select(settings.loader, names)


def _facts(item: LoadedScenario) -> dict[str, object]:
    scenario = item.scenario
    return {
        "id": scenario.id,
        "variant": item.variant,
        **fields(scenario, "family title benign twin"),
        **fields(scenario.risk, "severity tags"),
        "languages": list(scenario.languages),
        "variants": list(scenario.variants),
        "references": list(scenario.references),
        "folder": str(item.folder),
        "sha256": item.digest,
    }
