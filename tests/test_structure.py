"""What holds for the code as a whole, tests included."""

from __future__ import annotations

import re

from tests.support import REPOSITORY

TESTS = sorted((REPOSITORY / "tests").rglob("*.py"))
FROM_A_TEST = re.compile(
    r"^\s*(?:from|import)\s+(tests(?:\.\w+)*\.(?:test_\w+|conftest)|\.\S*)", re.MULTILINE
)
TABLES = {"tests/monitors/evasions.py", "tests/agents/external/program.py"}
"""Cases of one test module, and a program that is started by its path."""


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
