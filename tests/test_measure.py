"""``scripts/measure``: what counts as a loose signature."""

from __future__ import annotations

import ast
import runpy
from typing import Any

import pytest

from tests.support import REPOSITORY

MEASURE: dict[str, Any] = runpy.run_path(str(REPOSITORY / "scripts" / "measure"))
ALIASES = "Json = dict[str, Any]\nDeep = list[Json]\nEXACT = dict[str, int]\n"


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("dict[str, Any]", True),
        ("Mapping[str, Any] | None", True),
        ("tuple[dict[str, Any], ...]", True),
        ("Callable[[list[Any]], int]", True),
        ("'Sequence[Any]'", True),
        ("dict", True),
        ("Annotated[dict[str, Any], 'doc']", True),
        ("Json", True),
        ("Deep", True),
        ("Far", True),
        ("Any", False),
        ("EXACT", False),
        ("Mapping[str, object]", False),
        ("Literal['dict']", False),
        ("list[tuple[str, Any]]", False),
        ("Annotated[int, dict]", False),
    ],
)
def test_what_is_loose(annotation: str, expected: bool) -> None:
    """Containers of Any are, however deep they stand and by whatever name; others are not."""
    far = ast.parse(ALIASES)
    near = ast.parse(f"{ALIASES}from far import Deep as Far\ndef f(x: {annotation}): ...")
    known = {"far": MEASURE["aliases"](far), "near": MEASURE["aliases"](near)}
    found = list(MEASURE["loose"]("near.py", near, known))
    assert found == (["near.py:5: f(x)"] if expected else [])


def test_parameters_and_returns_count_each() -> None:
    """Every kind of parameter, of nested functions too, and what is returned."""
    text = (
        "def f(a: dict, /, *b: dict, c: dict, **d: dict) -> dict:\n    async def g() -> dict: ..."
    )
    found = MEASURE["loose"]("m.py", ast.parse(text), {})
    assert [line.split(": ")[1] for line in found] == [
        "f(a)",
        "f(c)",
        "f(b)",
        "f(d)",
        "f ->",
        "g ->",
    ]
