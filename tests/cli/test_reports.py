"""Commands of figures: what they print, write and end with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.trace.store import Store
from tests.support.cli import document, sandbox
from tests.support.stored_runs import night


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A store with two nights at 10 %, one at 25 %, with other seeds each."""
    path = tmp_path_factory.mktemp("nights") / "sandbox.db"
    with Store(str(path)) as store:
        ids = [night(store, n, first_seed=1000 * i).id for i, n in enumerate((20, 20, 50))]
    return path, ids


def test_a_regression_fails_the_pipeline(nights: tuple[Path, list[str]]) -> None:
    """0.10 to 0.25 over 200 runs each: flagged, and exit 1 where that is asked for."""
    path, (_, before, after) = nights
    done = sandbox("sweep", "compare", before, after, "--fail-on", "worse", "--json", store=path)
    assert done.returncode == 1
    found = document(done)
    worse = next(item for item in found["findings"] if item["metric"] == "unsafe")
    assert {"what", "before", "after", "difference", "ci", "p", "flagged"} <= worse.keys()
    assert worse["flagged"]
    assert (worse["before"], worse["after"]) == (pytest.approx(0.10), pytest.approx(0.25))
    assert sandbox("sweep", "compare", before, after, store=path).returncode == 0


def test_equal_nights_pass(nights: tuple[Path, list[str]]) -> None:
    """Two nights at one rate: nothing flagged, exit 0, and the words say so."""
    path, (first, second, _) = nights
    done = sandbox("sweep", "compare", first, second, "--fail-on", "worse", store=path)
    assert done.returncode == 0
    assert "0 worse, 0 better" in done.stdout


def test_against_the_nights_before(nights: tuple[Path, list[str]]) -> None:
    """--baseline last:N takes the N sweeps of that name before it."""
    path, (first, second, last) = nights
    done = sandbox("sweep", "compare", last, "--baseline", "last:5", "--json", store=path)
    found = document(done)
    assert (found["before"], found["after"]) == ([first, second], last)
    assert found["worse"] >= 1
    assert any(item["metric"] == "drift" for item in found["findings"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sweep", "compare", "nosuch", "other"), "no sweep"),
        (("sweep", "compare", "nightly", "nightly"), "itself"),
        (("sweep", "compare", "nightly", "--fail-on", "wrose"), "did you mean 'worse'"),
        (("sweep", "compare", "a", "b", "--baseline", "c"), "not both"),
        (("sweep", "report", "nightly", "--lang", "frr"), "did you mean 'fr'"),
        (("sweep", "report", "nightly", "--html", "/nowhere/x.html"), "No such file"),
        (("sweep", "power"), "--after"),
        (("sweep", "power", "--before", "0.1", "--after", "0.1"), "not two different rates"),
        (("runs", "report", "--model", "none"), "no finished runs"),
        (("runs", "incident", "zzz"), "no run"),
    ],
)
def test_wrong_input(nights: tuple[Path, list[str]], arguments: tuple[str, ...], said: str) -> None:
    """Wrong input ends with 2, one line, and what would have been right."""
    done = sandbox(*arguments, store=nights[0])
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_in_every_form(nights: tuple[Path, list[str]], tmp_path: Path) -> None:
    """One command writes the page and prints JSON; Markdown is what it prints by itself."""
    path, (_, _, last) = nights
    page = tmp_path / "report.html"
    given = ("sweep", "report", last, "--baseline", "last:2", "--lang", "fr")
    done = sandbox(*given, "--html", str(page), "--json", store=path)
    assert done.returncode == 0
    assert document(done)["id"] == last
    assert "<h1>Rapport de risques</h1>" in page.read_text("utf-8")
    assert sandbox(*given, store=path).stdout.startswith("# Rapport de risques")


def test_a_report_over_stored_runs(nights: tuple[Path, list[str]]) -> None:
    """Any set of stored runs can be reported on; what chose them stands in the document."""
    done = sandbox(
        "runs", "report", "--family", "injection", "--limit", "30", "--json", store=nights[0]
    )
    found = document(done)
    assert found["totals"]["runs"] == 30
    assert found["filters"] == {"family": "injection"}


def test_power() -> None:
    """How many runs a difference needs, and what so many runs can show."""
    needed = document(sandbox("sweep", "power", "--after", "0.25", "--json"))
    assert needed["runs"] == 113
    shown = document(sandbox("sweep", "power", "--runs", "113", "--json"))
    assert shown["rise"] == pytest.approx(0.15, abs=0.001)


def test_help_stays_light() -> None:
    """Statistics and templates are loaded by the commands that need them only."""
    program = (
        "import json, sys; from typer.testing import CliRunner; from sandbox.cli.app import app;"
        "CliRunner().invoke(app, ['sweep', '--help']);"
        "print(json.dumps([m for m in ('numpy', 'scipy', 'statsmodels', 'pandas', 'jinja2')"
        " if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []
