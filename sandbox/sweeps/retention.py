"""How many nights of a sweep are kept."""

from __future__ import annotations

from sandbox.sweeps.store import Sweeps
from sandbox.sweeps.tables import SweepRow
from sandbox.trace.purge import Purged, purge
from sandbox.trace.store import Store


def retain(store: Store, sweep: SweepRow, nights: int, *, keep: str | None = None) -> Purged:
    """Delete the sweeps of a name but the newest, with their runs.

    Only for who has the claim on the name.

    Args:
        store: Where they are.
        sweep: The newest that is kept.
        nights: How many are kept, this one among them.
        keep: Id, a beginning of it, or name of a sweep that is kept too: a baseline.

    Raises:
        StoreError: They could not be deleted.
    """
    sweeps = Sweeps(store)
    named = [row for row in sweeps.list(name=sweep.name) if row.created <= sweep.created]
    runs = texts = 0
    for old in named[nights:]:
        if keep and (old.id.startswith(keep) or old.name == keep):
            continue
        purged = purge(store, [item.run for item in sweeps.items(old.id) if item.run])
        sweeps.delete(old.id)
        runs, texts = runs + purged.runs, texts + purged.blobs
    return Purged(runs, texts)
