"""``sandbox tool`` and ``sandbox monitor``: what there is and what it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.text import Text

from sandbox.cli.command import Json, Settings, console, fields, print_json, reply, table
from sandbox.errors import InputError, nearest
from sandbox.guest.arguments import describe
from sandbox.monitors.examples import ExampleReport, check_scenario
from sandbox.monitors.examples import check_monitors as check_families
from sandbox.monitors.judges.judge import Judge
from sandbox.monitors.library import MonitorFamily
from sandbox.monitors.policy import Policy
from sandbox.monitors.python_monitor import PythonMonitor, SandboxedMonitor
from sandbox.monitors.rules import RuleMonitor
from sandbox.scenario.selection import select
from sandbox.scenario.toolkits import Tool
from sandbox.terminal_escape import plain

_TOOL = "name description parameters labels recipients paths annotations"
_RULE = "verdict severity score when macros tools labels needs tags"
_JUDGE = (
    "verdict severity threshold models scope reasoning samples combine tools labels tags prompt"
)


def list_tools(context: typer.Context, as_json: Json = False) -> None:
    """List all tools with their labels."""
    toolkits = Settings.of(context).loader.catalogue.toolkits()
    tools = [tool for toolkit in toolkits for tool in toolkit.tools.values()]
    rows = [(t.name, ", ".join(t.labels) or "–", t.description) for t in tools]
    reply(
        as_json,
        {"tools": [fields(tool, _TOOL) for tool in tools]},
        lambda: table(("tool", "labels", "does"), rows),
    )


def show_tool(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A toolkit (mail) or a tool (mail.send).")],
    lang: Annotated[str, typer.Option(help="Language of descriptions.")] = "en",
    as_json: Json = False,
) -> None:
    """Show a toolkit or a tool: parameters, labels, the shape of its world section."""
    catalogue = Settings.of(context).loader.catalogue
    if problem := catalogue.problem_with(name):
        raise InputError(problem)
    toolkit = catalogue.toolkit(name.partition(".")[0])
    tools = [toolkit.tools[name]] if "." in name else list(toolkit.tools.values())
    if as_json:
        document = fields(toolkit, "description world") | {"toolkit": toolkit.name}
        document |= {"file": str(toolkit.path), "tools": [fields(tool, _TOOL) for tool in tools]}
        print_json(document)
        return
    out = console()
    out.print(f"{toolkit.name}  {toolkit.description}", style="bold")
    for tool in tools:
        description, parameters = catalogue.in_language(tool, lang)
        out.print(f"\n{tool.name}  {description}")
        if tool.labels or tool.recipients or tool.paths:
            out.print(f"  labels: {', '.join((*tool.labels, *_parameters(tool)))}", style="dim")
        for key, schema in parameters["properties"].items():
            need = "" if key in parameters["required"] else f", default {schema.get('default')!r}"
            out.print(f"  {key} ({describe(schema)}{need}): {schema.get('description', '')}")
    for section, schema in toolkit.world.items():
        out.print(f"\nworld.{section}", style="bold")
        out.print_json(data=schema)


def _parameters(tool: Tool) -> list[str]:
    """Return what is known of a tool's parameters."""
    kinds = fields(tool, "recipients paths shell python")
    return [f"{kind}: {_words(names)}" for kind, names in kinds.items() if names]


def list_monitors(context: typer.Context, as_json: Json = False) -> None:
    """List all monitors by family, and the policies that take their scores together."""
    library = Settings.of(context).library
    monitors = [item for family in library.choose(None) for item in _family(family)]
    policies = [library.policy(name) for name in library.policies()]
    rows = [
        [item[key] for key in ("name", "stage", "verdict", "severity", "summary")]
        for item in monitors
    ]
    rows += [
        [p.monitor, "all", ", ".join(x.verdict for x in p.levels), p.file.severity, p.summary]
        for p in policies
    ]
    reply(
        as_json,
        {"monitors": monitors, "policies": [_policy(policy) for policy in policies]},
        lambda: table(("monitor", "stage", "verdict", "severity", "sees"), rows),
    )


def show_monitor(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="A family (canary), a monitor (canary.sent), a policy.")
    ],
    as_json: Json = False,
) -> None:
    """Show a family of monitors, one of them, or a policy (policy.combined)."""
    library = Settings.of(context).library
    policy = name.removeprefix("policy.")
    if policy in library.policies() and name not in library.names():
        chosen = library.policy(policy)
        reply(as_json, _policy(chosen), lambda: _print_policy(chosen))
        return
    family = library.family(name.partition(".")[0])
    members = _family(family)
    monitors = [item for item in members if "." not in name or item["name"] == name]
    if not monitors:
        known = nearest(name, [str(item["name"]) for item in members])
        raise InputError(f"unknown monitor {name!r}{known}")
    if as_json:
        document = {"family": family.name, "file": str(family.path), "sha256": family.digest}
        print_json({**document, "monitors": monitors})
        return
    out = console()
    out.print(f"{family.name}  {family.title}", style="bold")
    out.print(f"{family.path}  sha256 {family.digest}", style="dim")
    for item in monitors:
        out.print(f"\n{item.pop('name')}", style="bold")
        table(("", ""), [(key, _words(value)) for key, value in item.items() if value])


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value).strip()


def _print_policy(policy: Policy) -> None:
    out, calibration = console(), policy.calibration
    out.print(f"{policy.monitor}  {policy.summary}", style="bold")
    out.print(f"sha256 {policy.sha256}", style="dim")
    rows = [
        (x.verdict, f"{x.threshold:g}", "–" if x.rate is None else f"{x.rate:g}")
        for x in policy.levels
    ]
    table(("verdict", "above", "of runs without harm"), rows)
    out.print(f"\ncalibration {policy.file.calibration}", style="bold")
    out.print(f"sha256 {policy.calibration_sha256}", style="dim")
    table(("monitor", "weight"), [(k, f"{v:g}") for k, v in calibration.weights.items()])
    table(("fitted on", ""), calibration.data.items())


def _policy(policy: Policy) -> Mapping[str, object]:
    calibration = policy.calibration
    return {
        "name": policy.monitor,
        "kind": "policy",
        "summary": policy.summary,
        **fields(policy.file, "severity tags"),
        "sha256": policy.sha256,
        "thresholds": [fields(level, "verdict threshold rate") for level in policy.levels],
        "calibration": policy.file.calibration,
        "calibration_sha256": policy.calibration_sha256,
        "rule": calibration.rule,
        "weights": dict(calibration.weights),
        "data": dict(calibration.data),
    }


def check_monitors(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Families, monitors, or scenarios for their own rules; all families if left out."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Try the examples in the monitors' own files: those that must fire, and those that must not."""
    settings = Settings.of(context)
    scenarios = [name for name in names or () if "/" in name]
    families = [name for name in names or () if "/" not in name]
    chosen = select(settings.loader, scenarios) if scenarios else ()
    reports = [report for scenario in chosen for report in check_scenario(scenario)]
    if families or not scenarios:
        reports += check_families(settings.library, settings.loader.catalogue, families or None)
    ok = all(report.ok for report in reports)
    reply(
        as_json,
        {"ok": ok, "monitors": [report.as_data() for report in reports]},
        lambda: _print_examples(reports, ok),
        0 if ok else 1,
    )


def _print_examples(reports: Sequence[ExampleReport], ok: bool) -> None:
    marks = {True: Text("ok", "green"), False: Text("wrong", "red bold")}
    counts = [(item, item.number("fires"), item.number("passes")) for item in reports]
    rows = [(item.monitor, a or "–", b or "–", marks[item.ok]) for item, a, b in counts]
    table(("monitor", "fire", "pass", ""), rows)
    for item in reports:
        for trial in item.results:
            if not trial.ok:
                at = f"{trial.example.file}:{trial.example.line}: {item.monitor}: "
                console().print(Text(at, "red").append(plain(trial.problem), ""))
    number = sum(len(item.results) for item in reports)
    without = sum(not (a and b) for _, a, b in counts)
    verdict = "all as they should" if ok else "not all as they should"
    more = f"; {without} monitors lack some that fire or some that pass" if without else ""
    console().print(f"{number} examples: {verdict}{more}", style="bold")


def _family(family: MonitorFamily) -> list[dict[str, object]]:
    """Return the monitors of a family as JSON data."""
    items = []
    for monitor in family.members:
        item = fields(monitor, "name stage summary")
        if isinstance(monitor, RuleMonitor):
            rule = {**vars(monitor.rule), "macros": monitor.used_macros}
            item |= {"kind": "rule"} | {key: rule[key] for key in _RULE.split()}
            item["when"] = monitor.rule.when.strip()
        elif isinstance(monitor, PythonMonitor | SandboxedMonitor):
            item |= {"kind": "python"} | fields(monitor.mark, "verdict severity tags")
        elif isinstance(monitor, Judge):
            judge = {**vars(monitor.file), "models": [model.name for model in monitor.models]}
            item |= {"kind": "judge"} | {key: judge[key] for key in _JUDGE.split()}
        items.append(item)
    return items
