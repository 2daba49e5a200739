"""Claims: a name's sweeps are executed by one process at a time, and a dead one's claim is taken over."""

from __future__ import annotations

import logging
import time

from sqlalchemy import delete, insert
from sqlmodel import col, select, update

from sandbox.errors import StoreError, TakenError
from sandbox.isolation.process_identity import Owner
from sandbox.sweeps.log import log
from sandbox.sweeps.tables import ClaimRow
from sandbox.trace.store import Store

BEAT_SECONDS = 20.0
"""Time between two signs of life."""
STALE_SECONDS = 600.0
"""Without a sign for so long, a process of another machine is taken for dead."""


class Claim:
    """A name that this process has to itself."""

    def __init__(self, store: Store, name: str, sweep: str) -> None:
        """Claim a name.

        Args:
            store: Where processes meet.
            name: Of the sweep.
            sweep: Id of the sweep that is to be executed.

        Raises:
            TakenError: A process that lives has it; the message says which.
        """
        self._store = store
        self._name = name
        self._owner = Owner.current().label
        self._take(sweep)

    def _take(self, sweep: str) -> None:
        values = {"sweep": sweep, "owner": self._owner, "beat": time.time()}
        while True:
            held = holder(self._store, self._name)
            if held is None:
                try:
                    self._store.execute(
                        "claim a sweep in", insert(ClaimRow).values(name=self._name, **values)
                    )
                except StoreError:
                    if holder(self._store, self._name) is None:
                        raise
                    continue  # another process was faster
                return
            _refuse(held)
            taken = (
                update(ClaimRow)
                .where(col(ClaimRow.name) == held.name, col(ClaimRow.owner) == held.owner)
                .where(col(ClaimRow.beat) == held.beat)
                .values(**values)
            )
            if self._store.execute("claim a sweep in", taken)[0]:
                fields = {
                    "sweep": held.sweep,
                    "owner": held.owner,
                    "silent": time.time() - held.beat,
                }
                log("claim.taken_over", level=logging.WARNING, name=held.name, **fields)
                return

    def beat(self) -> None:
        """Give a sign of life.

        Raises:
            TakenError: Another process took this one for dead and has taken over.
        """
        mine = col(ClaimRow.name) == self._name, col(ClaimRow.owner) == self._owner
        statement = update(ClaimRow).where(*mine).values(beat=time.time())
        if not self._store.execute("keep a claim in", statement)[0]:
            raise TakenError(f"the sweep {self._name!r} was taken over by another process")

    def release(self) -> None:
        """Give the name back. Safe to repeat."""
        mine = col(ClaimRow.name) == self._name, col(ClaimRow.owner) == self._owner
        self._store.execute("give a claim back in", delete(ClaimRow).where(*mine))


def holder(store: Store, name: str) -> ClaimRow | None:
    """Return who has a name."""
    query = select(*ClaimRow.__table__.columns).where(col(ClaimRow.name) == name)  # type: ignore[attr-defined]
    with store.reading() as connection:
        found = connection.execute(query).mappings().first()
    return ClaimRow(**found) if found else None


def check_free(store: Store, name: str) -> None:
    """Check that no living process has a name.

    Raises:
        TakenError: One has; the message says which.
    """
    held = holder(store, name)
    if held is not None:
        _refuse(held)


def _refuse(held: ClaimRow) -> None:
    if not is_stale(held):
        raise TakenError(
            f"the sweep {held.name!r} is being executed ({held.sweep}, by process {held.owner}); "
            f"its last sign of life was {max(0.0, time.time() - held.beat):.0f} s ago"
        )


def is_stale(claim: ClaimRow) -> bool:
    """Return whether the process that has a claim is gone."""
    owner = Owner.of(claim.owner)
    if owner.gone():
        return True
    elsewhere = owner.machine != Owner.current().machine
    return elsewhere and time.time() - claim.beat > STALE_SECONDS
