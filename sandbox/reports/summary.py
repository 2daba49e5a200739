"""The summary of a set of runs: a table for the terminal, figures for ``--json`` and for a paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from sandbox.analysis.rates import Rate
from sandbox.errors import INTERNAL
from sandbox.terminal_escape import one_line

if TYPE_CHECKING:  # loading it takes as long as all else that a list of runs needs
    from sandbox.runs.run_plan import RunResult

COLOURS = {
    "done": "green",
    "refused": "cyan",
    "incapable": "yellow",
    "limit": "yellow",
    "error": "red",
    "safe": "green",
    "attempted": "yellow",
    "unsafe": "red bold",
}


_WIDE = 100


@dataclass(frozen=True)
class RunFigures:
    """What a set of runs of one model shows. Runs with an error of the environment do not count."""

    model: str
    runs: int
    errors: int
    done: Rate
    refused: Rate
    unsafe: Rate
    """Of the runs of dangerous scenarios."""
    attempted: Rate
    """Tried but not achieved, of the runs of dangerous scenarios."""
    noticed: Rate
    """Named by a monitor, of the runs that were unsafe or attempted."""
    false_alarms: Rate
    """Named by a monitor, of the runs of benign twins that were safe."""
    tokens: int
    cost_eur: float

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        data = dict(vars(self))
        return {k: v.as_data() if isinstance(v, Rate) else v for k, v in data.items()}


def figures(results: Sequence[RunResult]) -> list[RunFigures]:
    """Return the figures of each model, in the order of first appearance."""
    models = dict.fromkeys(result.model for result in results)
    return [_figures(model, [r for r in results if r.model == model]) for model in models]


def _figures(model: str, results: Sequence[RunResult]) -> RunFigures:
    counted = [r for r in results if r.task != "error"]
    dangerous = [r for r in counted if not r.benign]
    bad = [r for r in counted if r.safety != "safe"]
    calm = [r for r in counted if r.benign and r.safety == "safe"]
    return RunFigures(
        model=model,
        runs=len(results),
        errors=len(results) - len(counted),
        done=_rate(counted, lambda r: r.task == "done"),
        refused=_rate(dangerous, lambda r: r.task == "refused"),
        unsafe=_rate(dangerous, lambda r: r.safety == "unsafe"),
        attempted=_rate(dangerous, lambda r: r.safety == "attempted"),
        noticed=_rate(bad, lambda r: bool(r.verdicts)),
        false_alarms=_rate(calm, lambda r: bool(r.verdicts)),
        tokens=sum(r.tokens for r in results),
        cost_eur=round(sum(r.cost_eur for r in results), 6),
    )


def _rate(results: Sequence[RunResult], holds: Any) -> Rate:
    return Rate(sum(map(holds, results)), len(results))


def as_data(results: Sequence[RunResult]) -> dict[str, object]:
    """Return the summary as ``--json`` prints it."""
    return {
        "runs": len(results),
        "task": dict(Counter(r.task for r in results)),
        # a run that a fault ended early is safe only because it did not get far
        "safety": dict(
            Counter(r.safety for r in results if (r.task, r.safety) != ("error", "safe"))
        ),
        "models": [item.as_data() for item in figures(results)],
    }


def runs_table(results: Sequence[RunResult], *, width: int) -> Table:
    """Return a table with a line for each run, all of one model; fewer columns where it is narrow."""
    wide = width >= _WIDE
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    table.add_column("run", style="dim", no_wrap=True)
    table.add_column("scenario", overflow="fold", min_width=30)
    table.add_column("task", no_wrap=True)
    table.add_column("safety", no_wrap=True)
    table.add_column("monitors", overflow="fold")
    if wide:
        table.add_column("calls", justify="right")
        table.add_column("s", justify="right")
    for result in results:
        cells: list[Any] = [result.id[:8], result.scenario + _lang(result)]
        cells += [coloured(result.task), coloured(result.safety)]
        cells.append(Text(named(result.verdicts) if wide else families(result.verdicts)))
        cells += [str(result.tool_calls), f"{result.seconds:.1f}"] if wide else []
        table.add_row(*cells)
    return table


def families(verdicts: Sequence[Mapping[str, object]]) -> str:
    """Return the families of the monitors that spoke."""
    names = dict.fromkeys(str(verdict["monitor"]).split(".")[0] for verdict in verdicts)
    return ", ".join(names) or "–"


def coloured(word: str) -> Text:
    """Return an outcome in its colour."""
    return Text(word, style=COLOURS.get(word, ""))


def named(verdicts: Sequence[Mapping[str, object]]) -> str:
    """Return which monitors spoke, with the number of times where it was more than once."""
    counts = Counter(str(verdict["monitor"]) for verdict in verdicts)
    return ", ".join(f"{name} ×{n}" if n > 1 else name for name, n in counts.items()) or "–"


def _lang(result: RunResult) -> str:
    return "" if result.lang == "en" else f" [{result.lang}]"


def errors_of(results: Sequence[RunResult]) -> list[str]:
    """Return why runs ended in an error, each reason once with its number, and whose fault it was."""
    return reasons(r.reason for r in results if r.task == "error")


def reasons(said: Iterable[str]) -> list[str]:
    """Return reasons of runs that ended in an error, each once with its number, and whose fault it was."""
    counts = Counter(one_line(reason, 200) for reason in said)
    return [
        f"{count}× {reason}" if reason.startswith(INTERNAL) else f"environment: {count}× {reason}"
        for reason, count in counts.items()
    ]


def judges(results: Sequence[RunResult]) -> str:
    """Return what the judges of these runs used, in a line; an empty text where none was asked."""
    used = [result.judges for result in results if result.judges.get("asked")]
    if not used:
        return ""

    def total(name: str) -> Any:
        return sum(item[name] for item in used)

    price = "" if all(item["price_known"] for item in used) else " at least: a price is not known"
    cached = f", {total('cached')} known from before" if total("cached") else ""
    return (
        f"judges: {total('asked')} questions, {total('unscored')} unscored; {total('calls')} requests"
        f"{cached}, {total('tokens')} tokens, {total('cost_eur'):.4f} €{price}"
    )


def paper(results: Sequence[RunResult], facts: Mapping[str, Any]) -> str:
    """Return a summary in Markdown to paste into a draft: how it was obtained, then the figures.

    Args:
        results: The runs.
        facts: ``version``, ``isolation``, ``scaffold``, ``monitors``, ``mode``,
            ``seeds`` of the runs.
    """
    families = len({r.family for r in results})
    scenarios = len({r.scenario for r in results})
    languages = ", ".join(sorted({r.lang for r in results}))
    lines = [
        f"{len(results)} runs of {scenarios} scenarios ({families} risk families; {languages}) with "  # noqa: ISC004 - one paragraph
        f"agent-risk-sandbox {facts['version']}, isolation {facts['isolation']}, scaffold {facts['scaffold']}, "
        f"mode {facts['mode']}, "
        f"monitors {facts['monitors']}, seeds {facts['seeds']}. Rates with 95 % Wilson intervals; runs "
        "that failed for reasons of the environment are left out of the rates.",
        "",
        "| model | runs | errors | task done | refused | unsafe | attempted | noticed | false alarms |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {f.model} | {f.runs} | {f.errors} | {f.done} | {f.refused} | {f.unsafe} | {f.attempted} "
        f"| {f.noticed} | {f.false_alarms} |"
        for f in figures(results)
    ]
    return "\n".join(lines)
