"""The commands, and what stands before them.

Here stand their names alone. The module of a command is imported when it is called or its help is asked for, so
it imports what it needs at its top, and ``sandbox --help`` loads none of it.
"""

from __future__ import annotations

import ast
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command_from_info
from typer.models import CommandInfo

from sandbox.cli.command import Settings, note


class Deferred(TyperCommand):
    """A command that is a function of a module which is not imported yet."""

    def __init__(self, name: str, place: str) -> None:
        """Name a command.

        Args:
            name: Its name.
            place: Module below ``sandbox.cli``, and function.
        """
        super().__init__(name)
        self._module, _, self._function = place.partition(":")

    def load(self) -> Any:
        """Return the command itself."""
        callback = getattr(import_module(f"sandbox.cli.{self._module}"), self._function)
        information = CommandInfo(name=self.name, callback=callback)
        return get_command_from_info(
            information, pretty_exceptions_short=False, rich_markup_mode=None
        )

    def make_context(self, *args: Any, **named: Any) -> Any:
        """Read the command's words."""
        return self.load().make_context(*args, **named)

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the line that stands beside its name: its docstring is read, its module not imported."""
        words = docstrings(self._module)[self._function]
        return TyperCommand(self.name, help=words).get_short_help_str(limit)


@cache
def docstrings(module: str) -> dict[str, str | None]:
    """Return the docstring of every function of a module below ``sandbox.cli``."""
    tree = ast.parse(Path(__file__).with_name(f"{module}.py").read_text("utf-8"))
    return {
        node.name: ast.get_docstring(node)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


class FileOrCommand(TyperGroup):
    """``sandbox sweep FILE``: what is none of the commands is a file to ``start``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is meant."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["start", *args]
        return super().resolve_command(ctx, args)


def group(
    name: str, words: str, /, kind: type[TyperGroup] = TyperGroup, **places: str
) -> TyperGroup:
    """Return commands that stand behind a common name, each with its place."""
    return kind(
        name=name,
        help=words,
        commands=[Deferred(each, place) for each, place in places.items()],
        no_args_is_help=True,
        rich_markup_mode=None,
    )


class Root(TyperGroup):
    """All commands."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        for command in (
            Deferred("init", "init:init"),
            Deferred("doctor", "doctor:doctor"),
            group(
                "scenario",
                "Scenarios: see, check and make them.",
                list="scenario:list_",
                show="scenario:show",
                check="scenario:check",
                schema="scenario:schema",
                new="scenario:new",
            ),
            group(
                "tool",
                "Tools that scenarios may give.",
                list="catalog:list_tools",
                show="catalog:show_tool",
            ),
            group(
                "monitor",
                "Monitors: see, check, score and calibrate them.",
                list="catalog:list_monitors",
                show="catalog:show_monitor",
                check="catalog:check_monitors",
                score="monitor_score:score",
                calibrate="monitor_score:calibrate",
            ),
            Deferred("run", "run:run"),
            Deferred("serve", "serve:serve"),
            group(
                "runs",
                "Stored runs: see, verify, label, report, import, export, purge them.",
                TyperGroup,
                **{"import": "import_export:import_"},
                annotate="annotate:annotate",
                agreement="annotate:agreement",
                purge="purge:purge",
                export="import_export:export",
                list="runs:list_",
                show="runs:show",
                verify="verify:verify",
                report="reports:runs_report",
                incident="reports:incident",
            ),
            Deferred("replay", "replay:replay"),
            group(
                "sweep",
                "Execute a matrix of runs from a file: sandbox sweep FILE.",
                FileOrCommand,
                start="sweep:start",
                resume="sweep:resume",
                status="sweep:status",
                manifest="sweep:manifest",
                list="sweep:list_",
                schema="sweep:schema",
                compare="reports:compare",
                report="reports:report",
                power="reports:power_",
            ),
            group(
                "schedule",
                "Execute a sweep night after night: systemd, cron, Kubernetes.",
                install="schedule:install",
                list="schedule:list_",
                remove="schedule:remove",
                failed="schedule:failed",
            ),
            Deferred("fork", "fork:fork"),
            group("image", "The container image.", build="image:build"),
            group("key", "Keys that sign evidence packs.", new="import_export:new_key"),
        ):
            self.add_command(command)


app = typer.Typer(
    name="sandbox",
    cls=Root,
    help="Run LLM agents in isolated containers, watch every tool call, keep the evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(version("agent-risk-sandbox"))
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    store: Annotated[
        str | None,
        typer.Option(
            envvar="SANDBOX_STORE", help="Database of runs: a file or a URL.", metavar="URL"
        ),
    ] = None,
    workspace: Annotated[
        Path | None,
        typer.Option(
            envvar="SANDBOX_WORKSPACE",
            help="Folder with scenarios, tools and monitors.",
            metavar="DIR",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take what stands before a command."""
    context.obj = Settings(store, workspace, note)
