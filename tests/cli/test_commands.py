"""The command line as its users see it: a process of its own, its output, its exit status."""

from __future__ import annotations

import json
import re
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import REPOSITORY
from tests.support.cli import NEEDS_BUBBLEWRAP, document, run, sandbox
from tests.support.polling import block_until
from tests.support.scaffolds import documented_module

HEAVY = ("langgraph", "litellm", "docker", "textual")
HELP_SECONDS = 0.3


def test_help_loads_nothing_heavy() -> None:
    """``sandbox --help`` imports none of the slow packages."""
    words = [sys.executable, "-X", "importtime", "-m", "sandbox", "--help"]
    told = subprocess.run(words, capture_output=True, text=True, check=True, cwd=REPOSITORY).stderr
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in told.splitlines()}
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.perf
def test_help_is_quick() -> None:
    """``sandbox --help`` answers at once: processor time, the best of five, machines are busy."""
    spent = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert sandbox("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) <= HELP_SECONDS


@NEEDS_BUBBLEWRAP
def test_every_danger_is_unsafe_and_named_in_observe_mode(tmp_path: Path) -> None:
    """With ``scripted/unsafe`` every danger ends unsafe and named; no benign twin alerts."""
    runs = run(tmp_path / "o.db", "scenarios/", "--model", "scripted/unsafe", "--lang", "all")[
        "runs"
    ]
    dangerous = [item for item in runs if not item["benign"]]
    assert len(dangerous) >= 16
    assert [i["scenario"] for i in dangerous if i["safety"] != "unsafe" or not i["verdicts"]] == []
    assert [i["scenario"] for i in runs if i["benign"] and i["verdicts"]] == []


@NEEDS_BUBBLEWRAP
def test_nothing_is_unsafe_in_enforce_mode(tmp_path: Path) -> None:
    """In ``enforce`` mode no unsafe reference reaches its goal."""
    found = run(tmp_path / "e.db", "scenarios/", "--model", "scripted/unsafe", "--mode", "enforce")
    assert [item["scenario"] for item in found["runs"] if item["safety"] == "unsafe"] == []


@NEEDS_BUBBLEWRAP
def test_safe_runs_alert_nobody(tmp_path: Path) -> None:
    """With ``scripted/safe`` no run is unsafe and no monitor speaks."""
    runs = run(tmp_path / "s.db", "scenarios/", "--model", "scripted/safe", "--lang", "all")["runs"]
    assert [i["scenario"] for i in runs if i["safety"] != "safe" or i["verdicts"]] == []


@NEEDS_BUBBLEWRAP
def test_json_of_a_run_is_the_contract(tmp_path: Path) -> None:
    """A run in JSON has the fields that other programs rely on."""
    found = run(tmp_path / "j.db", "injection/changed-iban", "--model", "scripted/unsafe")
    wanted = [
        "id",
        "scenario",
        "family",
        "model",
        "isolation",
        "mode",
        "lang",
        "seed",
        "task",
        "safety",
        "verdicts",
        "tool_calls",
        "tokens",
        "cost_eur",
        "energy_kwh",
        "seconds",
        "head",
    ]
    assert set(wanted) <= set(found["runs"][0])
    assert {"monitor", "verdict", "severity", "event", "reason", "score"} <= set(
        found["runs"][0]["verdicts"][0]
    )
    assert "summary" in found


@NEEDS_BUBBLEWRAP
def test_fail_on_sets_the_exit_status(tmp_path: Path) -> None:
    """``--fail-on unsafe`` ends with 1 where a run is unsafe, with 0 where none is."""
    store = tmp_path / "f.db"
    words = ("run", "injection/changed-iban", "--isolation", "bubblewrap", "--fail-on", "unsafe")
    assert sandbox(*words, "--model", "scripted/unsafe", store=store).returncode == 1
    assert sandbox(*words, "--model", "scripted/safe", store=store).returncode == 0


@NEEDS_BUBBLEWRAP
def test_a_killed_run_is_marked_and_leaves_nothing(tmp_path: Path) -> None:
    """After ``kill -9`` the store opens, what was written verifies, nothing runs on."""
    store = tmp_path / "k.db"
    words = [sys.executable, "-m", "sandbox", "--store", str(store), "run", "scenarios/"]
    words += ["--model", "scripted/unsafe", "--isolation", "bubblewrap", "--repeat", "50"]
    with subprocess.Popen(
        words, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        block_until(lambda: _finished(store) >= 5, 300, "five runs are finished")
        process.send_signal(signal.SIGKILL)
    verified = sandbox("runs", "verify", "--json", store=store)
    assert verified.returncode == 0, verified.stdout
    listed = document(sandbox("runs", "list", "--status", "interrupted", "--json", store=store))
    assert listed["runs"]
    assert (
        document(sandbox("runs", "list", "--status", "running", "--json", store=store))["runs"]
        == []
    )
    assert _bubblewraps_of(process.pid) == []


def _finished(store: Path) -> int:
    query = "SELECT COUNT(*) FROM run WHERE status = 'finished'"
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
            return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # its tables are not made yet


def _bubblewraps_of(pid: int) -> list[str]:
    done = subprocess.run(
        ["pgrep", "-P", str(pid), "-a"], capture_output=True, text=True, check=False
    )
    return [line for line in done.stdout.splitlines() if "bwrap" in line]


@NEEDS_BUBBLEWRAP
def test_a_changed_byte_is_found_and_the_event_named(tmp_path: Path) -> None:
    """``runs verify`` ends with 1 and names the event whose content was changed."""
    store = tmp_path / "v.db"
    run_id = run(store, "fraud/split-payment", "--model", "scripted/unsafe")["runs"][0]["id"]
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE event SET data = replace(data, '4612', '4613') WHERE seq = 9")
        changed = connection.execute("SELECT changes()").fetchone()[0]
        if (
            not changed
            or "4613"
            not in connection.execute("SELECT data FROM event WHERE seq = 9").fetchone()[0]
        ):
            connection.execute("UPDATE event SET data = data || ' ' WHERE seq = 9")
    done = sandbox("runs", "verify", run_id, "--json", store=store)
    assert (done.returncode, document(done)["runs"][0]["event"]) == (1, 9)


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (("run", "injektion", "-m", "scripted/safe"), "did you mean"),
        (("run", "injection", "-m", "scripted/saef"), "did you mean 'safe'"),
        (("run", "injection", "-m", "nothing"), "is no model"),
        (("run", "injection", "-m", "scripted/mixed"), "p=0.3"),
        (("run", "injection", "-m", "scripted/safe", "--mode", "obseve"), "'observe'"),
        (("run", "injection", "-m", "scripted/safe", "--limit", "turns=x"), "KEY=NUMBER"),
        (("run", "injection", "-m", "scripted/safe", "--limit", "turn=3"), "'turns'"),
        (("run", "injection", "-m", "scripted/safe", "--monitors", "canry"), "'canary'"),
        (("run", "injection", "-m", "scripted/safe", "--isolation", "dcoker"), "'docker'"),
        (("tool", "show", "mail.sned"), "'mail.send'"),
        (("monitor", "show", "canary.snet"), "'canary.sent'"),
        (("scenario", "show", "injection/changed-ibam"), "did you mean"),
    ],
)
def test_wrong_input_names_the_right_one(
    words: tuple[str, ...], fragment: str, tmp_path: Path
) -> None:
    """A wrong name ends with 2, no traceback, and the nearest right one."""
    done = sandbox(*words, store=tmp_path / "w.db")
    assert done.returncode == 2
    assert fragment in done.stderr
    assert "Traceback" not in done.stderr


@NEEDS_BUBBLEWRAP
def test_init_makes_a_workspace_that_checks(tmp_path: Path) -> None:
    """What ``init`` makes is in order, and ``scenario new`` adds to it."""
    place = tmp_path / "mine"
    assert sandbox("init", str(place)).returncode == 0
    assert sandbox("--workspace", str(place), "scenario", "new", "power/more").returncode == 0
    words = ("--workspace", str(place), "scenario", "check", str(place / "scenarios"))
    done = sandbox(*words, "--isolation", "bubblewrap", "--json")
    assert done.returncode == 0, done.stdout
    assert len(document(done)["scenarios"]) == 4
    assert sandbox("init", str(place)).returncode == 2


@NEEDS_BUBBLEWRAP
def test_replay_tells_calls_and_verdicts(tmp_path: Path) -> None:
    """``replay --text`` shows the call, the verdict on it and the outcome."""
    store = tmp_path / "r.db"
    run_id = run(store, "injection/changed-iban", "--model", "scripted/unsafe")["runs"][0]["id"]
    told = sandbox("replay", run_id[:6], "--text", store=store).stdout
    assert "bank.pay" in told
    assert "BLOCK by canary.sent" in told
    assert "safety unsafe" in told


@NEEDS_BUBBLEWRAP
def test_a_defence_of_a_workspace(tmp_path: Path) -> None:
    """The defence in docs/scaffolds.md keeps the payment from going out, and its run says what it dropped."""
    (tmp_path / "defended.py").write_text(documented_module(defended=True), "utf-8")
    store = tmp_path / "d.db"
    words = ("injection/changed-iban", "--model", "scripted/unsafe", "--isolation", "bubblewrap")
    done = sandbox(
        "--workspace",
        str(tmp_path),
        "run",
        *words,
        "--scaffold",
        "defended:graph",
        "--json",
        store=store,
    )
    made = document(done)["runs"][0]
    assert (made["safety"], made["tool_calls"]) == ("safe", 2)
    shown = document(sandbox("runs", "show", made["id"], "--json", store=store))
    (at,) = shown["scaffold_changes"]["dropped"]
    assert shown["scaffold_changes"]["edited"] == []
    told = sandbox("runs", "show", made["id"], store=store).stdout
    assert re.search(rf"calls it dropped +1, at event {at}\b", told)
    assert "calls it edited" not in told
    replayed = sandbox("replay", made["id"], "--text", store=store).stdout
    assert "dropped by the scaffold: bank.pay" in replayed


@NEEDS_BUBBLEWRAP
def test_a_run_is_shown_with_the_audit_of_its_container(tmp_path: Path) -> None:
    """Each control has its place below the source that says what was found."""
    store = tmp_path / "s.db"
    made = run(store, "injection/changed-iban", "--model", "scripted/safe")["runs"][0]
    shown = sandbox("runs", "show", made["id"], store=store)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert re.search(r"\bcontrols +\w+: [a-z_]+ ", shown.stdout)


@NEEDS_BUBBLEWRAP
def test_a_fork_stops_the_harm_of_its_parent(tmp_path: Path) -> None:
    """A fork in enforce mode from the first verdict on ends otherwise, and both know each other."""
    store = tmp_path / "f.db"
    parent = run(store, "injection/changed-iban", "--model", "scripted/unsafe")["runs"][0]
    at = str(parent["verdicts"][0]["event"])
    done = sandbox("fork", parent["id"], "--at", at, "--mode", "enforce", "--json", store=store)
    made = document(done)
    assert (done.returncode, made["parent"], made["replay"]["agrees"]) == (0, parent["id"], True)
    assert (parent["safety"], made["run"]["safety"]) == ("unsafe", "attempted")
    shown = document(sandbox("runs", "show", parent["id"], "--json", store=store))
    assert [item["id"] for item in shown["forks"]] == [made["run"]["id"]]
    told = sandbox("runs", "show", made["run"]["id"], store=store).stdout
    assert re.search(rf"forked from +{parent['id']} at event {at}", told)


@NEEDS_BUBBLEWRAP
def test_labels_by_file(tmp_path: Path) -> None:
    """A queue is written, labelled by two people, read back twice, and their agreement told."""
    store, queue = tmp_path / "l.db", tmp_path / "queue.jsonl"
    run(store, "injection/changed-iban", "--model", "scripted/unsafe", "--repeat", "3")
    done = sandbox("runs", "annotate", "--queue", str(queue), "--json", store=store)
    assert document(done) == {"queue": str(queue), "runs": 3}
    lines = [json.loads(line) for line in queue.read_text("utf-8").splitlines()]
    for who, value in (("ada", "success"), ("bo", "attempted")):
        told = [json.dumps({**line, "outcome": value}) for line in lines]
        queue.write_text("\n".join(told), "utf-8")
        for added in (3, 0):
            words = ("runs", "annotate", "--read", str(queue), "--by", who, "--json")
            assert document(sandbox(*words, store=store))["added"] == added
    found = document(sandbox("runs", "agreement", "--resamples", "20", "--json", store=store))
    assert (found["runs"], found["labels"], len(found["disagreements"])) == (3, 6, 3)


@NEEDS_BUBBLEWRAP
def test_purging_what_is_kept_no_longer(tmp_path: Path) -> None:
    """A run that is kept no longer is removed on demand only, and verifies as purged then."""
    store = tmp_path / "p.db"
    words = ("injection/changed-iban", "--model", "scripted/safe", "--purpose", "a test")
    made = run(store, *words, "--retain", "0.000000001")["runs"][0]
    planned = document(sandbox("runs", "purge", "--expired", "--json", store=store))
    assert (planned["purged"], [item["id"] for item in planned["runs"]]) == (False, [made["id"]])
    done = sandbox("runs", "purge", "--expired", "--yes", "--vacuum", "--json", store=store)
    assert {**planned, "purged": True} == document(done)
    listed = document(sandbox("runs", "list", "--json", store=store))["runs"][0]
    assert (listed["status"], listed["purpose"], listed["safety"]) == ("purged", "a test", "safe")
    assert document(sandbox("runs", "verify", "--json", store=store))["ok"] is True
    shown = document(sandbox("runs", "show", made["id"], "--json", store=store))
    assert shown["tombstone"]["head"] == made["head"]
