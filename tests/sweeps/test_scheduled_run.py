"""Nights: what a scheduler's start is to do, what is kept, and who is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from sandbox.errors import EnvironmentFault, InputError
from sandbox.sweeps import notify
from sandbox.sweeps.retention import retain
from sandbox.sweeps.schedule.recurrence import When
from sandbox.sweeps.scheduled_run import NightPlan, find_dead, plan_night
from sandbox.sweeps.store import Sweeps
from sandbox.sweeps.tables import SweepRow
from sandbox.trace.store import Store
from sandbox.trace.verify import verify_all
from tests.support.databases import KINDS, database
from tests.support.sweeps import Sweeper, create

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")  # Apprise's own

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)  # a Wednesday
AT_TWO = When.parse("02:00")
SPEC = {"name": "nightly"}


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with database(request.param, tmp_path) as url, Store(url) as opened:
        yield opened


def entered(store: Store, status: str, hours_ago: float, **values: Any) -> SweepRow:
    """Enter a sweep that was begun so long before now."""
    row = create(store)
    created = (NOW - timedelta(hours=hours_ago)).timestamp()
    Sweeps(store).set(row.id, status=status, created=created, spec=SPEC, **values)
    return Sweeps(store).get(row.id)


def due(store: Store, spec: dict[str, Any] | None = None) -> NightPlan:
    """Return what is to be done now."""
    return plan_night(store, "nightly", SPEC if spec is None else spec, AT_TWO, NOW)


def test_the_first_night(store: Store) -> None:
    """Where no night has been, one is begun."""
    assert due(store) == NightPlan()


def test_a_night_that_has_been(store: Store) -> None:
    """A start after the night is done, such as after a restart of the machine, does nothing."""
    row = entered(store, "finished", 9)
    assert due(store) == NightPlan(done=row)


@pytest.mark.parametrize("status", ["interrupted", "failed", "running", "planned"])
def test_a_night_that_was_cut_short(store: Store, status: str) -> None:
    """A night that did not come to its end is gone on with, unless the file has changed since."""
    row = entered(store, status, 9)
    assert due(store) == NightPlan(resume=row)
    assert due(store, {"name": "nightly", "repeat": 9}) == NightPlan(before=row)


def test_the_night_before(store: Store) -> None:
    """An unfinished sweep of the night before is left and told of; a finished one is not."""
    row = entered(store, "interrupted", 11)
    assert due(store) == NightPlan(before=row)
    Sweeps(store).set(row.id, status="finished")
    assert due(store) == NightPlan()


def test_a_death_without_a_word(store: Store) -> None:
    """A sweep that is said to run by a process that is gone is found once."""
    row = entered(store, "running", 1)
    found = find_dead(store, "nightly")
    assert found is not None
    assert (found.id, found.status) == (row.id, "interrupted")
    assert find_dead(store, "nightly") is None
    assert find_dead(store, "other") is None


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("02:00", (4, 2, 0)),
        ("12:00", (4, 12, 0)),
        ("22:30", (3, 22, 30)),
        ("mon 02:00", (2, 2, 0)),
        ("thu-fri 1:05", (-1, 1, 5)),
        ("sat-mon 02:00", (2, 2, 0)),
    ],
)
def test_when_a_night_was_due(when: str, expected: tuple[int, int, int]) -> None:
    """The last moment at which it was due, also in the week before."""
    day, hour, minute = expected
    moment = datetime(2026, 3, 1, hour, minute, tzinfo=UTC) + timedelta(days=day - 1)
    assert When.parse(when).last_due(NOW) == moment


@pytest.mark.parametrize("when", ["", "2", "25:00", "02:60", "someday 02:00", "mon-xyz 02:00"])
def test_no_time(when: str) -> None:
    """What is no time is told, with an example or the nearest day."""
    with pytest.raises(InputError, match=r"write 02:00|unknown day"):
        When.parse(when)


async def test_nights_that_are_kept(sweeper: Sweeper) -> None:
    """Older nights go with their runs and texts; what stays verifies, tombstones too."""
    store, sweeps = sweeper.store, Sweeps(sweeper.store)
    rows = []
    for number in range(4):
        row = sweeper.create(models=["scripted/safe"], seed=number)
        rows.append(await sweeper.execute(row))
    other = await sweeper.execute(sweeper.create(name="other", models=["scripted/safe"]))
    before = _texts(store)
    purged = retain(store, rows[-1], 2, keep=rows[0].id)
    assert purged.runs == 1
    kept = {row.id for row in sweeps.list()}
    assert kept == {rows[0].id, rows[2].id, rows[3].id, other.id}
    assert sorted(run.status for run in store.runs()) == ["finished"] * 4 + ["purged"]
    assert all(found.ok for found in verify_all(store, store.runs()))
    assert _texts(store) == before - purged.texts
    retain(store, rows[-1], 1)
    assert {row.id for row in sweeps.list(name="nightly")} == {rows[-1].id}
    again = await sweeper.execute(sweeper.create(models=["scripted/safe"], seed=1))
    assert again.status == "finished"
    assert all(found.ok for found in verify_all(store, store.runs()))


def _texts(store: Store) -> int:
    with store.reading() as connection:
        return int(connection.execute(text("SELECT COUNT(*) FROM blob")).scalar_one())


@contextmanager
def mailbox() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Give the address of a service on loopback, and what it was told."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"json://127.0.0.1:{server.server_address[1]}/", told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_people_are_told(sweeper: Sweeper) -> None:
    """The message says how it ended, the rates with intervals, and what became of the night before."""
    row = await sweeper.execute(sweeper.create(models=["scripted/unsafe"], repeat=2))
    before = SweepRow(**{**row.model_dump(), "status": "interrupted", "reason": "power"})
    with mailbox() as (url, told):
        notify.send([url], *notify.summary(Sweeps(sweeper.store), row, before=before))
    (message,) = told
    assert message["title"] == "sweep nightly: finished, 2 unsafe of 2 runs"
    assert "scripted/unsafe, scenario: 2/2 unsafe (34 to 100 %)" in message["message"]
    assert "did not finish: interrupted, power" in message["message"]


def test_an_address_that_is_none() -> None:
    """An address that is not understood is told of before a sweep, without its secrets."""
    with pytest.raises(InputError, match="address 2") as error:
        notify.check(["json://127.0.0.1/", "nonsense://user:secret@host"])
    assert "secret" not in str(error.value)


def test_a_service_that_does_not_answer() -> None:
    """What could not be sent is an error that the caller sees."""
    with pytest.raises(EnvironmentFault, match="could be sent"):
        notify.send(["json://127.0.0.1:1/"], "title", "body")
