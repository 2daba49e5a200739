"""Nights: a sweep that a scheduler starts, and what is to be done when it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from sandbox.sweeps.lease import holder, is_stale
from sandbox.sweeps.schedule.recurrence import When
from sandbox.sweeps.spec import SweepFile
from sandbox.sweeps.store import Sweeps
from sandbox.sweeps.tables import SweepRow
from sandbox.trace.store import Store

OVER = ("finished", "stopped")
"""Status of a sweep that is not resumed by itself."""


@dataclass(frozen=True)
class NightPlan:
    """What is to be done for a night that is due."""

    resume: SweepRow | None = None
    """The sweep to resume; if there is none, a new one begins."""
    done: SweepRow | None = None
    """The sweep that this night has had."""
    before: SweepRow | None = None
    """The night before, if it did not finish."""


def plan_night(
    store: Store, name: str, spec: Mapping[str, object], when: When, now: datetime
) -> NightPlan:
    """Return what is to be done.

    Args:
        store: Where the sweeps are.
        name: Of the sweep.
        spec: The sweep file as JSON data: a night is resumed if it is the same.
        when: When nights are due.
        now: The time here.
    """
    newest = next(iter(Sweeps(store).list(name=name, limit=1)), None)
    if newest is None:
        return NightPlan()
    if newest.created < when.last_due(now).timestamp():
        return NightPlan(before=None if newest.status in OVER else newest)
    if newest.status in OVER:
        return NightPlan(done=newest)
    return (
        NightPlan(resume=newest)
        if _whole(newest.spec) == _whole(spec)
        else NightPlan(before=newest)
    )


def _whole(spec: Mapping[str, object]) -> Mapping[str, object]:
    """Return a stored sweep file with the keys that its version lacked; as it is if it is none any more."""
    try:
        return SweepFile.model_validate(spec).model_dump(mode="json", by_alias=True)
    except ValidationError:
        return spec


def find_dead(store: Store, name: str) -> SweepRow | None:
    """Return the newest sweep of a name, if the process that executed it died silently."""
    newest = next(iter(Sweeps(store).list(name=name, limit=1)), None)
    if newest is None or newest.status not in {"running", "planned"}:
        return None
    claim = holder(store, name)
    if claim is not None and not is_stale(claim):
        return None
    Sweeps(store).set(newest.id, status="interrupted", reason="its process died silently")
    return Sweeps(store).get(newest.id)
