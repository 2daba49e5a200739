"""``sandbox runs import``: traces of other programs into the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from sandbox.cli.context import Settings
from sandbox.cli.output import Json, complain, console, errors, print_json

if TYPE_CHECKING:
    from sandbox.exchange.importing.entering import Report

_SHOWN = 20
"""Problems that are printed one by one."""


def import_(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(help="Files, or folders of files.", metavar="PATH…")
    ],
    format_: Annotated[
        str,
        typer.Option("--format", help="agentdojo, inspect, chat; auto looks at the file."),
    ] = "auto",
    labels: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns path and class: corrected outcomes.", metavar="FILE"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Import runs: AgentDojo's, logs of Inspect, plain chats. What is there already stays as it is."""
    from sandbox.exchange.importing import entering

    corrected = entering.read_labels(labels) if labels else {}
    found = entering.files(paths)
    with Settings.of(context).open_store() as store, _Progress() as told:
        report = entering.enter(
            store, found, format_name=format_, corrected=corrected, progress=told
        )
    _tell(report, as_json=as_json)
    if report.problems:
        raise typer.Exit(1)


class _Progress:
    """Tells on a terminal how far an import is."""

    def __enter__(self) -> Self:
        self._status = errors().status("reading …") if errors().is_terminal else None
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def __call__(self, report: Report, path: Path) -> None:
        if self._status:
            from sandbox.report.plain import one_line

            count = f"{report.entered} imported, {report.present} there already"
            self._status.update(f"{one_line(path.name, 40)}: {count}")


def _tell(report: Report, *, as_json: bool) -> None:
    from sandbox.errors import InputError

    if as_json:
        problems = [vars(problem) for problem in report.problems]
        print_json(
            {
                "imported": report.entered, "present": report.present, "labels": report.labelled,
                "runs": report.runs, "problems": problems,
            }
        )  # fmt: skip
        return
    for problem in report.problems[:_SHOWN]:
        complain(InputError(str(problem)))
    if len(report.problems) > _SHOWN:
        complain(InputError(f"{len(report.problems) - _SHOWN} more problems; --json lists all"))
    parts = [f"{report.entered} runs imported", f"{report.present} were there already"]
    parts += [f"{report.labelled} labels set"] if report.labelled else []
    parts += [f"{len(report.problems)} records could not be used"] if report.problems else []
    console().print(", ".join(parts), style="bold")
