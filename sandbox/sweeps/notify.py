"""Telling people how a sweep ended, by any of the services that Apprise knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sandbox.errors import EnvironmentFault, InputError
from sandbox.sweeps.running_rates import Tallies, Tally
from sandbox.sweeps.store import Sweeps
from sandbox.sweeps.sweep_state import RATE_FACTORS
from sandbox.sweeps.tables import SweepRow

_PARTS = 20
"""Lines with rates at most."""


def check(urls: Sequence[str]) -> None:
    """Check addresses before a long sweep.

    Raises:
        InputError: One is not understood. It is not repeated: it may hold a password.
        EnvironmentFault: Apprise is not installed.
    """
    if urls:
        _open(urls)


def send(urls: Sequence[str], title: str, body: str) -> None:
    """Send a message to all addresses.

    Raises:
        InputError: An address is not understood.
        EnvironmentFault: It could not be sent to one of them, or Apprise is not installed.
    """
    if urls and not _open(urls).notify(title=title, body=body, body_format="text"):
        raise EnvironmentFault("not every notification could be sent")


def _open(urls: Sequence[str]) -> Any:
    try:
        import apprise
    except ImportError as error:
        raise EnvironmentFault(
            f"--notify needs Apprise ({error}): pip install 'agent-risk-sandbox[notify]'"
        ) from error
    services = apprise.Apprise()
    for number, url in enumerate(urls, start=1):
        if not services.add(url):
            scheme = url.partition("://")[0] if "://" in url else "?"
            raise InputError(f"--notify: address {number} ({scheme}://…) is not understood")
    return services


def summary(sweeps: Sweeps, row: SweepRow, *, before: SweepRow | None = None) -> tuple[str, str]:
    """Return title and text of a message on how a sweep ended.

    Args:
        sweeps: Of the store.
        row: The sweep.
        before: The night before, if it did not finish.
    """
    counts = sweeps.counts(row.id)[()]
    tallies = Tallies(RATE_FACTORS, sweeps.outcomes(row.id, *RATE_FACTORS)).parts
    unsafe = sum(tally.unsafe for tally in tallies.values())
    title = f"sweep {row.name}: {row.status}, {unsafe} unsafe of {counts.finished} runs"
    lines = [
        f"sweep {row.id} of {row.name}: {row.status}" + (f" ({row.reason})" if row.reason else ""),
        f"{counts.finished} of {counts.planned} runs, {counts.failed} failed, {counts.skipped} left out",
        f"{row.seconds:.0f} s, {counts.tokens} tokens, {counts.cost_eur:.4f} EUR"
        + (f", {counts.energy_kwh:.4g} kWh" if counts.energy_kwh else "")
        + (
            f", judges {counts.judge_tokens} tokens, {counts.judge_cost_eur:.4f} EUR"
            if counts.judge_tokens
            else ""
        ),
        "",
        *(_line(part, tally) for part, tally in sorted(tallies.items())[:_PARTS]),
    ]
    if len(tallies) > _PARTS:
        lines.append(f"and {len(tallies) - _PARTS} more")
    if before is not None:
        why = f", {before.reason}" if before.reason else ""
        lines += ["", f"The night before ({before.id}) did not finish: {before.status}{why}"]
    return title, "\n".join(lines)


def failure(name: str, reason: str) -> tuple[str, str]:
    """Return title and text of a message on a sweep that could not be executed."""
    return f"sweep {name}: failed", f"The sweep {name} failed.\n\n{reason}"


def _line(part: tuple[str, ...], tally: Tally) -> str:
    count, total = tally.rate("unsafe")
    low, high = tally.interval("unsafe")
    rate = f"{count}/{total} unsafe ({100 * low:.0f} to {100 * high:.0f} %)" if total else "no rate"
    model, scaffold, defence = part
    names = (model, defence) if scaffold == "react" else part
    return f"{', '.join(names)}: {rate}, {tally.done}/{tally.runs} done"
