"""Claims on names: one process at a time, the dead are taken over."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from sandbox.errors import TakenError
from sandbox.isolation.process_identity import Owner
from sandbox.sweeps.lease import STALE_SECONDS, Claim, check_free, holder
from sandbox.sweeps.tables import ClaimRow
from sandbox.trace.store import Store
from tests.support.databases import KINDS, database

CLAIMER = """
import sys
from sandbox.errors import TakenError
from sandbox.sweeps.lease import Claim
from sandbox.trace.store import Store
with Store(sys.argv[1]) as store:
    sys.stdin.readline()
    try:
        Claim(store, "nightly", "s")
        print("mine", flush=True)
    except TakenError:
        print("taken", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with database(request.param, tmp_path) as url, Store(url) as opened:
        yield opened


def test_of_many_that_claim_at_once_one_has_it(store: Store) -> None:
    """Processes that claim a name at the same moment: one gets it; when it dies, the next one does."""
    claimers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMER, store.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    try:
        for claimer in claimers:
            assert claimer.stdin is not None
            claimer.stdin.write("\n")
            claimer.stdin.flush()
        said = [claimer.stdout.readline().strip() for claimer in claimers if claimer.stdout]
        assert sorted(said) == ["mine", "taken", "taken"]
        with pytest.raises(TakenError, match="is being executed"):
            check_free(store, "nightly")
        claimers[said.index("mine")].kill()
        claimers[said.index("mine")].wait(10)
        Claim(store, "nightly", "t")
        held = holder(store, "nightly")
        assert held is not None
        assert (held.sweep, held.owner) == ("t", Owner.current().label)
    finally:
        for claimer in claimers:
            claimer.kill()
            claimer.communicate()


def test_another_machine_is_dead_when_it_is_silent(store: Store) -> None:
    """A process of another machine is believed to live until it has been silent for long."""
    claim = Claim(store, "nightly", "s")
    elsewhere = "00000000-11111111-42-4242"
    store.execute("x", update(ClaimRow).values(owner=elsewhere))
    with pytest.raises(TakenError):
        Claim(store, "nightly", "t")
    with pytest.raises(TakenError, match="taken over"):
        claim.beat()
    silent = time.time() - STALE_SECONDS - 1
    store.execute("x", update(ClaimRow).values(owner=elsewhere, beat=silent))
    Claim(store, "nightly", "t").beat()


def test_what_is_released_is_free(store: Store) -> None:
    """A released name can be claimed again; other names were never touched."""
    one, other = Claim(store, "one", "s"), Claim(store, "other", "s")
    one.release()
    one.release()
    check_free(store, "one")
    other.beat()
