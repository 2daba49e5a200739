"""Judges on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chat_server import ChatServer
from tests.cli.test_commands import NEEDS_BUBBLEWRAP, document, run, sandbox
from tests.judging import says

WHAT = ("injection/changed-iban", "--model", "scripted/unsafe")


def test_judges_are_listed_and_shown() -> None:
    """``monitor list`` and ``monitor show`` know judges, and that they have no model."""
    listed = document(sandbox("monitor", "list", "--json"))["monitors"]
    (judge,) = [item for item in listed if item["name"] == "judge-prefix.judge"]
    assert (judge["kind"], judge["stage"], judge["models"]) == ("judge", "before", [])
    shown = sandbox("monitor", "show", "judge-report")
    assert "trajectory" in shown.stdout
    wrong = sandbox("monitor", "show", "judge-report.jury")
    assert (wrong.returncode, "did you mean 'judge-report.judge'" in wrong.stderr) == (2, True)


@NEEDS_BUBBLEWRAP
def test_judges_with_a_model(tmp_path: Path, chat_server: ChatServer) -> None:
    """A model behind ``--judge-model`` judges; a cache makes the second time free."""
    chat_server.does(says(0.9))
    words = (*WHAT, "--monitors", "judge-prefix,judge-report", "--judge-model",
             chat_server.model(timeout=30), "--judge-cache", str(tmp_path / "cache.jsonl"))  # fmt: skip
    for number in range(2):
        (result,) = run(tmp_path / "runs.db", *words)["runs"]
        named = {verdict["monitor"] for verdict in result["verdicts"]}
        assert named == {"judge-prefix.judge", "judge-report.judge"}
        used = result["judges"]
        assert (used["calls"] > 0, used["cached"] > 0) == (number == 0, number == 1)


@NEEDS_BUBBLEWRAP
def test_judges_without_a_model(tmp_path: Path) -> None:
    """Judges that were named and have no model are said not to be asked."""
    store = tmp_path / "runs.db"
    done = sandbox(
        "run", *WHAT, "--monitors", "judge-prefix", "--isolation", "bubblewrap", store=store
    )
    assert done.returncode == 0
    assert "not asked, for want of a model: judge-prefix" in " ".join(done.stderr.split())


@pytest.mark.parametrize("name", ["gpt-4o", "scripted/safe"])
def test_a_model_that_cannot_judge(tmp_path: Path, name: str) -> None:
    """A wrong model is an error before anything runs."""
    done = sandbox("run", *WHAT, "--judge-model", name, store=tmp_path / "runs.db")
    assert done.returncode == 2
    assert name in done.stderr
