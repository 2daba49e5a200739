"""What holds for the code as a whole, tests included."""

from __future__ import annotations

import re
import runpy
from typing import Any

import pytest

from tests.support import REPOSITORY

CODE = [
    path
    for folder in ("sandbox", "tools", "monitors", "scripts", "bench")
    for path in sorted((REPOSITORY / folder).rglob("*"))
    if path.suffix == ".py" or (folder == "scripts" and b"python" in path.read_bytes()[:40])
]
TESTS = sorted((REPOSITORY / "tests").rglob("*.py"))
FROM_A_TEST = re.compile(
    r"^\s*(?:from|import)\s+(tests(?:\.\w+)*\.(?:test_\w+|conftest)|\.\S*)", re.MULTILINE
)
TABLES = {"tests/monitors/evasions.py", "tests/agents/external/program.py"}
"""Cases of one test module, and a program that is started by its path."""


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    """What ``scripts/measure`` counts."""
    figures: dict[str, Any] = runpy.run_path(str(REPOSITORY / "scripts" / "measure"))["measure"]()
    return figures


def test_no_module_imports_from_a_test_module_or_a_conftest() -> None:
    """What is shared comes from ``tests.support``; a program in a text may import its own module."""
    wrong = []
    for path in TESTS:
        name = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        others = set(FROM_A_TEST.findall(path.read_text("utf-8"))) - {name}
        wrong += [f"{name} imports {other}" for other in sorted(others)]
    assert wrong == []


def test_shared_modules_lie_in_one_place() -> None:
    """Beside test modules there are conftests, tables of cases, and nothing else to import."""
    wrong = []
    for path in TESTS:
        place = path.relative_to(REPOSITORY)
        if place.parts[1] == "support" or "workspace" in place.parts or "probes" in place.parts:
            continue
        if not re.match(r"test_|conftest|__init__", path.name) and str(place) not in TABLES:
            wrong.append(str(place))
    assert wrong == []


def test_a_class_name_means_one_thing(measured: dict[str, Any]) -> None:
    """No two public classes of the package have the same name."""
    assert measured["names_twice"] == []


def test_no_module_is_long(measured: dict[str, Any]) -> None:
    """A module has one subject; one of more than 500 lines has several."""
    assert measured["modules_too_long"] == []


def test_most_modules_are_short(measured: dict[str, Any]) -> None:
    """Half of the modules of the package have at most 120 lines."""
    assert measured["module_lines_median"] <= 120


def test_few_signatures_are_loose(measured: dict[str, Any]) -> None:
    """Parameters and returns say what they hold."""
    assert len(measured["loose_signatures"]) < 150


def test_the_formatter_formats_everything() -> None:
    """No statement is kept from the formatter."""
    word = "# fmt: " + "skip"
    assert [str(path) for path in (*CODE, *TESTS) if word in path.read_text("utf-8")] == []
