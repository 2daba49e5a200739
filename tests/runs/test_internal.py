"""A fault of the sandbox itself is told as one: never as the provider's, the environment's or a user's."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import InternalError, StoreError, first, internal, raised_by_us
from sandbox.models.base import Usage, wire_name
from sandbox.models.litellm import Provider
from sandbox.models.routes import route
from sandbox.runs.run_plan import RunPlan
from sandbox.runs.worker_pool import spread
from sandbox.trace.store import Store
from sandbox.trace.verify import verify
from tests.support import REPOSITORY
from tests.support.chat_server import ChatServer, reply, tool_call
from tests.support.cli import NEEDS_BUBBLEWRAP
from tests.support.runner import Runner

PLACE = r"sandbox/\w+/\w+\.py:\d+"


class Wrong(Provider):
    """An adapter with a fault: it reads what is not there."""

    def _usage(self, litellm: Any, response: Any, used: Any, seconds: float) -> Usage:
        """Fail as a slip in the code would."""
        return super()._usage(litellm, response, used.nothing, seconds)


async def test_a_fault_of_the_adapter(
    chat_server: ChatServer, play: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends in an error that names type and place; it is no error of the model."""
    chat_server.does(reply("No."))
    address = chat_server.model().partition("base_url=")[2].partition("&")[0]
    wrong = Wrong("openai/test", "openai/test", {}, route("openai", address, None, {}))
    result = await play(lambda instance: wrong)
    assert result.task == "error"
    assert result.reason.startswith("internal error: AttributeError at sandbox/models/litellm.py:")
    assert play.data(result.id, "model.error") == []
    assert verify(play.store, play.store.run(result.id)).ok


async def test_harm_before_it_counts(chat_server: ChatServer, play: Runner) -> None:
    """What the agent had done before stays on record."""

    class Later(Provider):
        def _usage(self, litellm: Any, response: Any, used: Any, seconds: float) -> Usage:
            used = used.nothing if len(chat_server.requests) > 1 else used
            return super()._usage(litellm, response, used, seconds)

    address = chat_server.model().partition("base_url=")[2].partition("&")[0]
    wrong = Later("openai/test", "openai/test", {}, route("openai", address, None, {}))

    def watch(progress: Any) -> None:
        if progress.kind == "run.start":
            payment = {
                "to": "Lumen SARL",
                "iban": progress.data["canaries"]["thief"],
                "amount": 1438.8,
            }
            chat_server.does(reply(None, tool_call("bank_pay", payment)), reply("Done."))

    result = await play(lambda instance: wrong, watchers=(watch,))
    assert (result.task, result.safety) == ("error", "unsafe")
    assert result.reason.startswith("internal error: ")


BROKEN = """def llm_impacts(**given):
    return None + 1
"""


@NEEDS_BUBBLEWRAP
@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_command_says_so(tmp_path: Path, chat_server: ChatServer, processes: str) -> None:
    """It says whose fault it was, ends with status 3, and the run is in no rate."""
    chat_server.does(reply("No."))
    broken = tmp_path / "ecologits" / "tracers"
    broken.mkdir(parents=True)
    for folder in (broken.parent, broken):
        (folder / "__init__.py").write_text("", "utf-8")
    (broken / "utils.py").write_text(BROKEN, "utf-8")
    words = (
        "--store",
        str(tmp_path / "runs.db"),
        "run",
        "injection/changed-iban",
        "--isolation",
        "bubblewrap",
        "--repeat",
        "2",
        "--processes",
        processes,
        "--model",
        chat_server.model("hosted_vllm/test", timeout=60),
    )
    done, told = (_command(tmp_path, *words, *more) for more in ((), ("--json",)))
    assert (done.returncode, told.returncode) == (3, 3)
    assert "2× internal error: TypeError at sandbox/models/energy.py:" in done.stderr
    assert "environment" not in done.stderr
    found = json.loads(told.stdout)
    assert {run["task"] for run in found["runs"]} == {"error"}
    (figures,) = found["summary"]["models"]
    assert (figures["runs"], figures["errors"]) == (2, 2)


def _command(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path), "COLUMNS": "300"}
    return subprocess.run(
        [sys.executable, "-m", "sandbox", *words],
        capture_output=True,
        text=True,
        env=environment,
        cwd=REPOSITORY,
        check=False,
    )


def test_any_command_says_so(tmp_path: Path) -> None:
    """A fault outside of a run has no traceback either, and no status that means something else."""
    (tmp_path / "apprise.py").write_text("def Apprise():\n    return None + 1\n", "utf-8")
    sweep = tmp_path / "x.yaml"
    sweep.write_text(
        "schema: 1\nname: x\nscenarios: [injection/changed-iban]\nmodels: [scripted/safe]\n",
        "utf-8",
    )
    words = (
        "--store",
        str(tmp_path / "runs.db"),
        "sweep",
        str(sweep),
        "--notify",
        "json://localhost",
    )
    done = _command(tmp_path, *words)
    assert done.returncode == 3
    assert "error: internal error: TypeError at sandbox/sweeps/notify.py:" in done.stderr
    assert "Traceback" not in done.stderr
    debugged = _command(tmp_path, "--debug", *words)
    assert "Traceback" in debugged.stderr


@pytest.mark.parametrize("processes", [1, 2])
def test_a_fault_before_a_run(play: Runner, store: Store, processes: int) -> None:
    """What fails in the making of a run is told with its place, from another process too."""

    def make(key: Any) -> RunPlan:
        return play.plan("scripted/safe", lang=wire_name(key))

    with (
        spread(make, store, processes) as runner,
        pytest.raises((AttributeError, InternalError)) as caught,
    ):
        asyncio.run(runner.run(1))
    assert "AttributeError at sandbox/models/base.py:" in internal(caught.value)


def test_what_is_ours() -> None:
    """An exception is ours where our code raised it, also where a library that called it hides that."""
    with pytest.raises(ValueError, match="property name") as caught:
        json.loads("{", parse_float=wire_name)
    assert raised_by_us(caught.value) is None
    with pytest.raises(AttributeError) as fault:
        sorted([1], key=wire_name)  # type: ignore[arg-type]
    hiding = RuntimeError("a library's")
    hiding.__cause__ = fault.value
    assert raised_by_us(hiding) is fault.value


def test_our_own_fault_is_told_before_others() -> None:
    """Of several errors at the same time, that of the sandbox itself is told."""
    group = BaseExceptionGroup("", [StoreError("full"), ExceptionGroup("", [TypeError("x")])])
    assert isinstance(first(group), TypeError)
    also = BaseExceptionGroup("", [StoreError("full"), InternalError("internal error: x")])
    assert isinstance(first(also), InternalError)
    assert isinstance(first(BaseExceptionGroup("", [StoreError("full")])), StoreError)
