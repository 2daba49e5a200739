"""``sandbox tool`` and ``sandbox monitor``: what there is and what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli.output import Json, console, print_json, table
from sandbox.cli.settings import Settings
from sandbox.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.monitors.examples import ExampleReport
    from sandbox.monitors.judges.judge import Judge
    from sandbox.monitors.library import MonitorFamily
    from sandbox.monitors.policy import Policy
    from sandbox.scenario.toolkits import Tool, Toolkit

tools = typer.Typer(help="Tools: list, show.", no_args_is_help=True)
monitors = typer.Typer(help="Monitors: list, show, check.", no_args_is_help=True)


@tools.command("list")
def list_tools(context: typer.Context, as_json: Json = False) -> None:
    """List all tools with their labels."""
    toolkits = Settings.of(context).loader.catalogue.toolkits()
    found = [tool for toolkit in toolkits for tool in toolkit.tools.values()]
    if as_json:
        print_json({"tools": [_tool(tool) for tool in found]})
        return
    table(
        ("tool", "labels", "does"),
        [(t.name, ", ".join(t.labels) or "–", t.description) for t in found],
    )


@tools.command("show")
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
    chosen = [toolkit.tools[name]] if "." in name else list(toolkit.tools.values())
    if as_json:
        print_json(_toolkit(toolkit) | {"tools": [_tool(tool) for tool in chosen]})
        return
    out = console()
    out.print(f"{toolkit.name}  {toolkit.description}", style="bold")
    for tool in chosen:
        description, parameters = catalogue.in_language(tool, lang)
        out.print(f"\n{tool.name}  {description}")
        if tool.labels or tool.recipients or tool.paths:
            out.print(f"  labels: {', '.join((*tool.labels, *_named(tool)))}", style="dim")
        for key, schema in parameters["properties"].items():
            need = "" if key in parameters["required"] else f", default {schema.get('default')!r}"
            out.print(f"  {key} ({_kind(schema)}{need}): {schema.get('description', '')}")
    for section, schema in toolkit.world.items():
        out.print(f"\nworld.{section}", style="bold")
        out.print_json(data=schema)


@monitors.command("list")
def list_monitors(context: typer.Context, as_json: Json = False) -> None:
    """List all monitors by family, and the policies that take their scores together."""
    library = Settings.of(context).library
    families = library.choose(None)
    policies = [_policy(library.policy(name)) for name in library.policies()]
    if as_json:
        found = [item for family in families for item in _family(family)]
        print_json({"monitors": found, "policies": policies})
        return
    rows = [
        (item["name"], item["stage"], item["verdict"], item["severity"], item["summary"])
        for family in families
        for item in _family(family)
    ]
    rows += [
        (
            item["name"],
            "all",
            ", ".join(t["verdict"] for t in item["thresholds"]),
            item["severity"],
            item["summary"],
        )
        for item in policies
    ]
    table(("monitor", "stage", "verdict", "severity", "sees"), rows)


@monitors.command("show")
def show_monitor(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="A family (canary), a monitor (canary.sent), a policy.")
    ],
    as_json: Json = False,
) -> None:
    """Show a family of monitors, one of them, or a policy (policy.combined)."""
    library = Settings.of(context).library
    wanted = name.removeprefix("policy.")
    if wanted in library.policies() and name not in library.names():
        _show_policy(library.policy(wanted), as_json=as_json)
        return
    family = library.family(name.partition(".")[0])
    found = [item for item in _family(family) if "." not in name or item["name"] == name]
    if not found:
        from sandbox.errors import nearest

        known = [item["name"] for item in _family(family)]
        raise InputError(f"unknown monitor {name!r}{nearest(name, known)}")
    if as_json:
        print_json(
            {
                "family": family.name,
                "file": str(family.path),
                "sha256": family.digest,
                "monitors": found,
            }
        )
        return
    out = console()
    out.print(f"{family.name}  {family.title}", style="bold")
    out.print(f"{family.path}  sha256 {family.digest}", style="dim")
    for item in found:
        out.print(f"\n{item.pop('name')}", style="bold")
        table(
            ("", ""),
            [
                (key, value if isinstance(value, str) else str(value))
                for key, value in item.items()
                if value
            ],
        )


def _show_policy(policy: Policy, *, as_json: bool) -> None:
    told = _policy(policy)
    if as_json:
        print_json(told)
        return
    out = console()
    out.print(f"{told['name']}  {told['summary']}", style="bold")
    out.print(f"sha256 {told['sha256']}", style="dim")
    rows = [
        (
            item["verdict"],
            f"{item['threshold']:g}",
            "–" if item["rate"] is None else f"{item['rate']:g}",
        )
        for item in told["thresholds"]
    ]
    table(("verdict", "above", "of runs without harm"), rows)
    out.print(f"\ncalibration {told['calibration']}", style="bold")
    out.print(f"sha256 {told['calibration_sha256']}", style="dim")
    table(("monitor", "weight"), [(key, f"{weight:g}") for key, weight in told["weights"].items()])
    table(("made on", ""), [(key, str(value)) for key, value in told["data"].items()])


def _policy(policy: Policy) -> dict[str, Any]:
    calibration = policy.calibration
    return {
        "name": policy.monitor,
        "kind": "policy",
        "summary": policy.summary,
        "severity": policy.file.severity,
        "tags": list(policy.file.tags),
        "sha256": policy.sha256,
        "thresholds": [
            {"verdict": level.verdict, "threshold": level.threshold, "rate": level.rate}
            for level in policy.levels
        ],
        "calibration": policy.file.calibration,
        "calibration_sha256": policy.calibration_sha256,
        "rule": calibration.rule,
        "weights": dict(calibration.weights),
        "data": dict(calibration.data),
    }


@monitors.command("check")
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
    from sandbox.monitors.examples import check_monitors, check_scenario
    from sandbox.scenario.selection import select

    settings = Settings.of(context)
    scenarios = [name for name in names or () if "/" in name]
    families = [name for name in names or () if "/" not in name]
    checked = [
        item
        for loaded in (select(settings.loader, scenarios) if scenarios else ())
        for item in check_scenario(loaded)
    ]
    if families or not scenarios:
        checked += check_monitors(settings.library, settings.loader.catalogue, families or None)
    if as_json:
        print_json(
            {
                "ok": all(item.ok for item in checked),
                "monitors": [item.as_data() for item in checked],
            }
        )
    else:
        _print_checked(checked)
    if not all(item.ok for item in checked):
        raise typer.Exit(1)


def _print_checked(checked: Sequence[ExampleReport]) -> None:
    from rich.text import Text

    from sandbox.terminal_escape import plain

    marks = {True: Text("ok", "green"), False: Text("wrong", "red bold")}
    rows = [
        (
            item.monitor,
            str(item.number("fires") or "–"),
            str(item.number("passes") or "–"),
            marks[item.ok],
        )
        for item in checked
    ]
    table(("monitor", "fire", "pass", ""), rows)
    for item in checked:
        for trial in item.results:
            if not trial.ok:
                at = f"{trial.example.file}:{trial.example.line}: {item.monitor}: "
                console().print(Text(at, "red").append(plain(trial.problem), ""))
    count = sum(len(item.results) for item in checked)
    without = sum(not (item.number("fires") and item.number("passes")) for item in checked)
    told = "all as they should" if all(item.ok for item in checked) else "not all as they should"
    more = f"; {without} monitors lack some that fire or some that pass" if without else ""
    console().print(f"{count} examples: {told}{more}", style="bold")


def _family(family: MonitorFamily) -> list[dict[str, Any]]:
    from sandbox.monitors.python_monitor import PythonMonitor, SandboxedMonitor
    from sandbox.monitors.rules import RuleMonitor

    found = []
    for monitor in family.monitors:
        item: dict[str, Any] = {
            "name": monitor.name,
            "stage": monitor.stage,
            "summary": monitor.summary,
        }
        if isinstance(monitor, RuleMonitor):
            rule = monitor.rule
            item |= {
                "kind": "rule",
                "verdict": rule.verdict,
                "severity": rule.severity,
                "score": rule.score,
            }
            item |= {
                "when": rule.when.strip(),
                "macros": monitor.used_macros,
                "tools": list(rule.tools),
                "labels": list(rule.labels),
                "needs": list(rule.needs),
            }
            item |= {"tags": list(rule.tags)}
        elif isinstance(monitor, PythonMonitor | SandboxedMonitor):
            marked = monitor.mark
            item |= {"kind": "python", "verdict": marked.verdict, "severity": marked.severity}
            item |= {"tags": list(marked.tags)}
        found.append(item)
    return found + [_judge(judge) for judge in family.judges]


def _judge(judge: Judge) -> dict[str, Any]:
    file = judge.file
    return {
        "name": judge.name,
        "stage": judge.stage,
        "summary": judge.summary,
        "kind": "judge",
        "verdict": file.verdict,
        "severity": file.severity,
        "threshold": file.threshold,
        "models": [model.name for model in judge.models],
        "scope": file.scope,
        "reasoning": file.reasoning,
        "samples": file.samples,
        "combine": file.combine,
        "tools": list(file.tools),
        "labels": list(file.labels),
        "tags": list(file.tags),
        "prompt": dict(file.prompt),
    }


def _toolkit(toolkit: Toolkit) -> dict[str, Any]:
    return {
        "toolkit": toolkit.name,
        "description": toolkit.description,
        "file": str(toolkit.path),
        "world": toolkit.world,
    }


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "labels": list(tool.labels),
        "recipients": list(tool.recipients),
        "paths": list(tool.paths),
        "annotations": tool.annotations,
    }


def _named(tool: Tool) -> list[str]:
    found = []
    for label in ("recipients", "paths", "shell", "python"):
        if names := getattr(tool, label):
            found.append(f"{label}: {', '.join(names)}")
    return found


def _kind(schema: dict[str, Any]) -> str:
    from sandbox.guest.arguments import describe

    return describe(schema)
