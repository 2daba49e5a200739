"""The manifest of a sweep: its file, its items and what filled them, versions, images, heads of all chains."""

from __future__ import annotations

import hashlib

from sandbox.attestation.in_toto import SweepPredicate
from sandbox.attestation.statement import entries
from sandbox.errors import InputError
from sandbox.sweeps.store import Sweeps
from sandbox.sweeps.tables import SweepRow
from sandbox.trace.events import canonical
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

_SWEEP = ("id", "name", "created", "ended", "status", "reason", "planned", "seconds", "scenarios")
_ITEM = (
    "key",
    "number",
    "scenario",
    "family",
    "model",
    "scaffold",
    "defence",
    "monitors",
    "mode",
    "lang",
    "parameters",
    "params",
    "repetition",
    "seed",
    "status",
    "run",
    "attempts",
    "failures",
    "task",
    "safety",
)


def manifest(store: Store, sweep: SweepRow) -> SweepPredicate:
    """Return what is stated of a sweep, for :func:`sandbox.attestation.statement.write`.

    Items that were not executed stand in it as well: nothing can be left out afterwards.

    Raises:
        InputError: A run of it is still going.
        StoreError: A run cannot be read.
    """
    items = list(Sweeps(store).items(sweep.id))
    rows: list[RunRow] = []
    for item in items:
        if item.run is not None:
            rows += store.runs(id=item.run)
    going = next((row.id for row in rows if row.status == "running"), None)
    if going:
        raise InputError(f"sweep {sweep.id}: its run {going} is still going")
    fields = {name: getattr(sweep, name) for name in _SWEEP}
    digest = hashlib.sha256(canonical(sweep.spec).encode()).hexdigest()
    return SweepPredicate(
        sweep={**fields, "spec": sweep.spec, "spec_sha256": digest},
        items=[{name: getattr(item, name) for name in _ITEM} for item in items],
        runs=entries(store, rows),
    )
