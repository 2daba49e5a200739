"""What holds for the code as a whole, tests included."""

from __future__ import annotations

import ast
import re
import statistics
from collections import Counter

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


def test_a_class_name_means_one_thing() -> None:
    """No two public classes of the package have the same name."""
    names = Counter(
        node.name
        for path in CODE
        if path.is_relative_to(REPOSITORY / "sandbox")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, count in names.items() if count > 1} == set()


def _lines() -> dict[str, int]:
    return {str(path.relative_to(REPOSITORY)): path.read_text("utf-8").count("\n") for path in CODE}


def test_no_module_is_long() -> None:
    """A module has one subject; one of more than 500 lines has several."""
    assert {name: count for name, count in _lines().items() if count > 500} == {}


def test_most_modules_are_short() -> None:
    """Half of the modules of the package have at most 120 lines."""
    counts = [count for name, count in _lines().items() if name.startswith("sandbox/")]
    assert statistics.median(counts) <= 120


def test_the_formatter_formats_everything() -> None:
    """No statement is kept from the formatter."""
    word = "# fmt: " + "skip"
    assert [str(path) for path in (*CODE, *TESTS) if word in path.read_text("utf-8")] == []
