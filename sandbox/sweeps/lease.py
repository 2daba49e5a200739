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
"""Time between two heartbeats."""
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
        self._mine = {"name": name, "owner": Owner.current().label}
        while not self._take(name, sweep):
            pass  # another process was faster: look who has it now

    def _take(self, name: str, sweep: str) -> bool:
        values = {**self._mine, "sweep": sweep, "beat": time.time()}
        other = check_free(self._store, name)
        if other is None:
            try:
                self._store.execute("claim a sweep in", insert(ClaimRow).values(**values))
            except StoreError:
                if holder(self._store, name) is None:
                    raise
                return False
            return True
        same = {"name": name, "owner": other.owner, "beat": other.beat}
        statement = update(ClaimRow).filter_by(**same).values(**values)
        if not self._store.execute("claim a sweep in", statement)[0]:
            return False
        silent = time.time() - other.beat
        fields = {"sweep": other.sweep, "owner": other.owner, "silent": silent}
        log("claim.taken_over", level=logging.WARNING, name=name, **fields)
        return True

    def beat(self) -> None:
        """Send a heartbeat.

        Raises:
            TakenError: Another process took this one for dead and has taken over.
        """
        statement = update(ClaimRow).filter_by(**self._mine).values(beat=time.time())
        if not self._store.execute("keep a claim in", statement)[0]:
            raise TakenError(f"the sweep {self._mine['name']!r} was taken over by another process")

    def release(self) -> None:
        """Give the name back. Safe to repeat."""
        statement = delete(ClaimRow).filter_by(**self._mine)
        self._store.execute("give a claim back in", statement)


def holder(store: Store, name: str) -> ClaimRow | None:
    """Return who has a name."""
    query = select(*ClaimRow.__table__.columns).where(col(ClaimRow.name) == name)  # type: ignore[attr-defined]
    with store.reading() as connection:
        row = connection.execute(query).mappings().first()
    return ClaimRow(**row) if row else None


def check_free(store: Store, name: str) -> ClaimRow | None:
    """Check that no living process has a name; return the claim that a dead one has left, if any.

    Raises:
        TakenError: One has; the message says which.
    """
    claim = holder(store, name)
    if claim is not None and not is_stale(claim):
        raise TakenError(
            f"the sweep {claim.name!r} is being executed ({claim.sweep}, by process {claim.owner}); "
            f"its last heartbeat was {max(0.0, time.time() - claim.beat):.0f} s ago"
        )
    return claim


def is_stale(claim: ClaimRow) -> bool:
    """Return whether the process that has a claim is gone."""
    owner = Owner.of(claim.owner)
    elsewhere = owner.machine != Owner.current().machine
    return owner.gone() or (elsewhere and time.time() - claim.beat > STALE_SECONDS)
