"""How many nights of a sweep are kept."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.isolation.process_identity import Owner
from sandbox.sweeps.store import Sweeps
from sandbox.sweeps.tables import SweepRow
from sandbox.trace import purging
from sandbox.trace.store import Store


@dataclass(frozen=True)
class Purged:
    """How much is gone."""

    runs: int
    """A tombstone stays of each; see :mod:`sandbox.trace.tombstones`."""
    texts: int
    """0 where a run was going: they go another time."""


def retain(store: Store, sweep: SweepRow, nights: int, *, keep: str | None = None) -> Purged:
    """Remove the sweeps of a name but the newest, with the runs that filled them.

    Only for who has the claim on the name.

    Args:
        store: Where they are.
        sweep: The newest that is kept.
        nights: How many are kept, this one among them.
        keep: Id, a beginning of it, or name of a sweep that is kept too: a baseline.

    Raises:
        StoreError: They could not be removed; those before are gone.
    """
    sweeps, by, runs = Sweeps(store), Owner.current().label, 0
    named = [row for row in sweeps.list(name=sweep.name) if row.created <= sweep.created]
    for old in named[nights:]:
        if keep and (old.id.startswith(keep) or old.name == keep):
            continue
        reason = f"the sweep {sweep.name} keeps {nights} nights"
        for item in sweeps.items(old.id):
            row = store.run(item.run) if item.run else None
            if row is not None and purging.removable(row):
                purging.purge(store, [row], reason=reason, by=by)
                runs += 1
        sweeps.delete(old.id)
    texts = purging.remove_texts(store, by) if runs else None
    store.forget_blobs()
    return Purged(runs, len(texts.names) if texts else 0)
