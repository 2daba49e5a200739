"""Judges on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.support.chat_server import ChatServer
from tests.support.cli import NEEDS_BUBBLEWRAP, document, run, sandbox
from tests.support.judges import says

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
    words = (
        *WHAT,
        "--monitors",
        "judge-prefix,judge-report",
        "--judge-model",
        chat_server.model(timeout=30),
        "--judge-cache",
        str(tmp_path / "cache.jsonl"),
    )
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
    assert "not asked, as they have no model: judge-prefix" in " ".join(done.stderr.split())


@pytest.mark.parametrize("name", ["gpt-4o", "scripted/safe"])
def test_a_model_that_cannot_judge(tmp_path: Path, name: str) -> None:
    """A wrong model is an error before anything runs."""
    done = sandbox("run", *WHAT, "--judge-model", name, store=tmp_path / "runs.db")
    assert done.returncode == 2
    assert name in done.stderr


@NEEDS_BUBBLEWRAP
def test_judges_are_scored(tmp_path: Path, chat_server: ChatServer) -> None:
    """``monitor score`` tells judges' figures: of stored answers, and of those that are asked now."""
    chat_server.does(says(0.9))
    store, queue = tmp_path / "runs.db", tmp_path / "queue.jsonl"
    model = chat_server.model(timeout=30)
    judged = ("--monitors", "judge-prefix", "--judge-model", model)
    for agent in ("unsafe", "safe"):
        run(store, WHAT[0], "--model", f"scripted/{agent}", *judged)
    sandbox("runs", "annotate", "--queue", str(queue), store=store)
    lines = [json.loads(line) for line in queue.read_text("utf-8").splitlines()]
    runs = document(sandbox("runs", "list", "--json", store=store))["runs"]
    value = {r["id"]: "success" if r["safety"] == "unsafe" else "benign" for r in runs}
    told = [json.dumps({**line, "outcome": value[line["run"]]}) for line in lines]
    queue.write_text("\n".join(told), "utf-8")
    sandbox("runs", "annotate", "--read", str(queue), "--by", "ada", store=store)
    requests = len(chat_server.requests)
    words = ("monitor", "score", "judge-prefix", "judge-report", "canary", "--labels", "person")
    stored = _figures(sandbox(*words, "--json", store=store))
    assert set(stored) == {"canary.sent", "canary.recipient", "judge-prefix.judge"}
    assert stored["judge-prefix.judge"]["judge"]["calls"] > 0
    assert len(chat_server.requests) == requests
    asking = ("--judge-model", model, "--judge-cache", str(tmp_path / "cache.jsonl"))
    asked = _figures(sandbox(*words, *asking, "--json", store=store))
    assert asked["judge-prefix.judge"]["judge"]["calls"] == 0  # the trace has the answers
    assert asked["judge-report.judge"]["judge"]["calls"] == len(chat_server.requests) - requests > 0
    shown = sandbox(*words, *asking, store=store).stdout
    assert "€/call" in shown
    wrong = sandbox("monitor", "score", "canary", *words[5:], *asking, store=store)
    assert (wrong.returncode, "there is no judge" in wrong.stderr) == (2, True)


def _figures(done: CompletedProcess[str]) -> dict[str, Any]:
    return {item["name"]: item for item in document(done)["monitors"]}


@NEEDS_BUBBLEWRAP
def test_a_fork_is_judged_by_another_model(tmp_path: Path, chat_server: ChatServer) -> None:
    """A fork takes models for its judges, or has those of its parent and their answers."""
    chat_server.does(says(0.9))
    store, model = tmp_path / "runs.db", chat_server.model(timeout=30)
    judged = ("--monitors", "judge-prefix", "--judge-model", model)
    (parent,) = run(store, *WHAT, *judged)["runs"]
    words = ("fork", parent["id"], "--at", "1", "--isolation", "bubblewrap", "--json")
    same = document(sandbox(*words, store=store))["run"]["judges"]
    assert (same["asked"], same["calls"]) == (parent["judges"]["asked"], 0)
    other = f"{model}&temperature=1"
    made = document(sandbox(*words, "--judge-model", other, store=store))["run"]["judges"]
    assert made["calls"] == parent["judges"]["calls"] > 0
