"""Policies on the command line."""

from __future__ import annotations

from pathlib import Path

from tests.support.cli import NEEDS_BUBBLEWRAP, document, run, sandbox

WHAT = ("fraud/split-payment", "--model", "scripted/unsafe")


def test_policies_are_listed_and_shown() -> None:
    """``monitor list`` and ``monitor show`` know policies, with what their calibration was made on."""
    (listed,) = document(sandbox("monitor", "list", "--json"))["policies"]
    assert (listed["name"], listed["calibration"]) == ("policy.combined", "combined")
    for name in ("combined", "policy.combined"):
        assert document(sandbox("monitor", "show", name, "--json")) == listed
    assert listed["data"]["labels"] == "corrected"
    shown = sandbox("monitor", "show", "combined").stdout
    assert "escalate" in shown
    assert "runs_sha256" in shown


@NEEDS_BUBBLEWRAP
def test_a_run_with_a_policy(tmp_path: Path) -> None:
    """The verdict of the policy is among those of the run, and what it needs watched too."""
    store = tmp_path / "runs.db"
    (result,) = run(store, *WHAT, "--monitors", "none", "--policy", "combined")["runs"]
    (verdict,) = [v for v in result["verdicts"] if v["monitor"] == "policy.combined"]
    assert (verdict["verdict"], verdict["policy"]["rate"]) == ("alert", 0.05)
    assert verdict["score"] > verdict["policy"]["threshold"]
    assert sandbox("runs", "verify", store=store).returncode == 0


def test_a_policy_that_cannot_be_used(tmp_path: Path) -> None:
    """An unknown name gets the nearest one; an unsound file its line. Nothing has run."""
    wrong = sandbox("run", *WHAT, "--policy", "combind", store=tmp_path / "runs.db")
    assert (wrong.returncode, "did you mean 'combined'" in wrong.stderr) == (2, True)
    file = tmp_path / "mine.yaml"
    file.write_text(
        "schema: 1\ntitle: x\ncalibration: combined\nthresholds:\n- { at: 2%, verdict: alert }\n"
    )
    wrong = sandbox("run", *WHAT, "--policy", str(file), store=tmp_path / "runs.db")
    assert wrong.returncode == 2
    assert "mine.yaml:5: the calibration has no threshold for 0.02; there are: 0.01, 0.05" in (
        " ".join(wrong.stderr.split())
    )
