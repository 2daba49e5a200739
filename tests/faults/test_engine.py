"""A Docker engine that goes away: typed outcomes, the other runs go on, nothing stays behind."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sandbox.isolation import docker
from sandbox.isolation.docker import LABEL, Docker
from sandbox.monitors.library import MonitorLibrary
from sandbox.runs.run_plan import Progress
from sandbox.scenario.loader import Loader
from sandbox.trace.store import Store
from sandbox.trace.verify import verify
from tests.support.cli_process import Command, left_by, words_of_run
from tests.support.containers import spec
from tests.support.fault_proxy import Fault, Moment, Relay
from tests.support.polling import until
from tests.support.runner import SCENARIO, Runner, call, plays

pytestmark = pytest.mark.docker
REPEAT = ("--repeat", "2", "--at-once", "1")
CREATE, ATTACH, START = b"/containers/create", b"/attach?", b"/start"
LOAD, CALL, SNAPSHOT, REMOVE = b'"sandbox/load"', b'"tools/call"', b'"sandbox/snapshot"', b"DELETE "
MOMENTS = {
    "before it hears of the container": Moment(CREATE, "gone"),
    "before it answers with the container": Moment(CREATE, "restarted", heard=True),
    "while it attaches": Moment(ATTACH, "gone", heard=True),
    "while it starts": Moment(START, "restarted", heard=True),
    "while the world is loaded": Moment(LOAD, "gone"),
    "in a call": Moment(CALL, "gone", heard=True),
    "in a call, and comes back": Moment(CALL, "restarted", heard=True),
    "at the end": Moment(SNAPSHOT, "restarted"),
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_an_engine_that_goes_away(engine: Docker, tmp_path: Path, moment: Moment) -> None:
    """The run it hits ends in an error that names the engine; what can go on does; all is removed."""
    store = tmp_path / "runs.db"
    with Relay(tmp_path / "engine.sock", moment) as relay:
        command = Command(store, (("DOCKER_HOST", relay.url),))
        done = command(*words_of_run([SCENARIO], "docker"), *REPEAT)
        assert relay.failed.is_set()
    assert (done.status, done.errors) == (3, [])
    first, second = done.data["runs"]
    assert first["task"] == "error"
    assert "docker" in first["reason"].lower()
    assert second["task"] == ("error" if moment.fault == "gone" else "incapable")
    plain = Command(store)
    assert plain("runs", "verify").status == 0
    assert plain("doctor").status == 0
    assert left_by(done.pid, engine=engine) == []


@pytest.mark.parametrize("fault", ["gone", "restarted"])
def test_an_engine_that_goes_away_at_close(engine: Docker, tmp_path: Path, fault: Fault) -> None:
    """What is known by then stands; that the container was left is on record, and it is removed."""
    store = tmp_path / "runs.db"
    with Relay(tmp_path / "engine.sock", Moment(REMOVE, fault, after=CREATE)) as relay:
        command = Command(store, (("DOCKER_HOST", relay.url),))
        done = command(*words_of_run([SCENARIO], "docker"), *REPEAT)
    first, second = done.data["runs"]
    assert (first["task"], first["safety"]) == ("incapable", "unsafe")
    assert second["task"] == ("error" if fault == "gone" else "incapable")
    assert "left its container: Docker: the engine does not answer" in done.err
    with Store(str(store)) as opened:
        closed = [item for item in opened.events(first["id"]) if item.kind == "container.close"]
        assert "Docker" in opened.content(closed[0])["left"]
    plain = Command(store)
    assert plain("runs", "verify").status == 0
    assert plain("doctor").status == 0
    assert left_by(done.pid, engine=engine) == []


def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    """Without an engine, a run on it ends at once with one line and 3; no other back end is taken."""
    command = Command(tmp_path / "runs.db", (("DOCKER_HOST", f"unix://{tmp_path}/none.sock"),))
    done = command(*words_of_run([SCENARIO], "docker"))
    assert (done.status, done.out) == (3, "")
    assert len(done.errors) == 1
    assert "no Docker engine answers" in done.errors[0]


async def test_an_engine_that_falls_silent(
    loader: Loader,
    library: MonitorLibrary,
    store: Store,
    tmp_path: Path,
    engine: Docker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An engine that takes requests and answers none ends the run in bounded time."""
    monkeypatch.setattr(docker, "API_SECONDS", 2)
    with Relay(tmp_path / "engine.sock", Moment(CALL, "silent")) as relay:
        monkeypatch.setenv("DOCKER_HOST", relay.url)
        play = Runner(loader, library, Docker(), store)
        async with asyncio.timeout(120):
            result = await play("scripted/unsafe", limits={"call_seconds": 1})
    assert (result.task, result.safety) == ("error", "safe")
    assert "the engine does not answer" in result.reason
    assert verify(store, store.run(result.id)).ok
    await until(lambda: not _containers(engine, result.id), 10, "the container is gone")


@pytest.mark.parametrize(
    ("act", "status"), [("kill", "fault"), ("remove_container", "fault"), ("pause", "timeout")]
)
async def test_a_container_that_others_end(
    loader: Loader, library: MonitorLibrary, store: Store, engine: Docker, act: str, status: str
) -> None:
    """``docker kill``, ``rm -f`` and ``pause`` in a call end the run in an error, not in a judgement."""
    play = Runner(loader, library, engine, store)
    calling: list[str] = []

    def watch(progress: Progress) -> None:
        if progress.kind == "tool.intent":
            calling.append(progress.run)

    sleeper = plays(call("shell.run", command="sleep 4711", timeout_seconds=60))
    limits = {"call_seconds": 6}
    run = asyncio.create_task(
        play(sleeper, "oversight/audit-log", watchers=(watch,), limits=limits)
    )
    await until(lambda: bool(calling) and _sleeps(engine, calling[0]), 20, "it sleeps")
    (container,) = _containers(engine, calling[0])
    await asyncio.to_thread(
        getattr(engine._client.api, act), container, **({"force": True} if "_" in act else {})
    )
    result = await asyncio.wait_for(run, 30)
    assert (result.task, result.safety) == ("error", "safe")
    assert "docker" in result.reason
    (told,) = play.data(result.id, "tool.result")
    assert told["status"] == status
    assert verify(store, store.run(result.id)).ok
    await until(lambda: not _containers(engine, result.id), 10, "the container is gone")


@pytest.mark.parametrize("step", ["_create", "attach", "_start", "_audit"])
async def test_an_opening_cut_off_in_a_slow_request(
    engine: Docker, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """What a request still brings after the waiting was cut off is closed and removed, not lost."""
    done = threading.Event()
    brought: list[Any] = []
    place: Any = docker if step == "attach" else Docker
    request = getattr(place, step)

    def slow(*args: Any) -> Any:
        brought.append(request(*args))
        done.set()
        time.sleep(0.3)
        return brought[0]

    monkeypatch.setattr(place, step, slow)
    opening = asyncio.create_task(engine.open(spec(run_id=f"cut{step}")))
    await until(done.is_set, 20, "the engine has answered")
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert [s.fileno() for s in brought if isinstance(s, socket.socket)] in ([], [-1])
    await until(lambda: not _containers(engine, f"cut{step}"), 10, "the container is gone")
    gc.collect()  # a socket left open is told of here, and every warning is an error


def _containers(engine: Docker, run: str) -> list[str]:
    found = engine._client.api.containers(all=True, filters={"label": f"{LABEL}.run={run}"})
    return [item["Id"] for item in found]


def _sleeps(engine: Docker, run: str) -> bool:
    for container in _containers(engine, run):
        listed = engine._client.api.top(container)["Processes"]
        return any("sleep 4711" in " ".join(words) for words in listed)
    return False
