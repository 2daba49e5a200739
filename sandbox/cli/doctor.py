"""``sandbox doctor``: what works here, and what to install for what does not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.text import Text

from sandbox.cli.command import Json, Settings, console, reply, table
from sandbox.errors import IsolationError, StoreError
from sandbox.isolation.backends import every
from sandbox.models.families import FAMILIES

USUAL = (
    "openai",
    "anthropic",
    "mistral",
    "gemini",
    "azure",
    "bedrock",
    "openrouter",
    "ollama",
    "hosted_vllm",
)
"""Providers and servers that are listed in any case; others if a variable of theirs is set."""


def doctor(
    context: typer.Context,
    image: Annotated[str | None, typer.Option(help="Image of the Docker back end.")] = None,
    as_json: Json = False,
) -> None:
    """Say what can isolate here, which store and content there are, which models have keys."""
    settings = Settings.of(context)
    checks = [*_isolation(image), _store(settings), *_content(settings), *_models()]
    isolated = any(check.ok for check in checks if check.what == "isolation")
    document = {"ok": isolated, "checks": [asdict(check) for check in checks]}
    reply(as_json, document, lambda: _print(checks, isolated), 0 if isolated else 3)


@dataclass(frozen=True)
class _Check:
    what: str
    name: str
    ok: bool
    detail: str


def _check(what: str, name: str, problem: str | None, detail: str = "") -> _Check:
    return _Check(what, name, problem is None, problem or detail)


def _print(checks: list[_Check], isolated: bool) -> None:
    marks = {True: Text("ok", "green"), False: Text("no", "yellow")}
    table(("", "", "", ""), [(c.what, c.name, marks[c.ok], c.detail) for c in checks])
    if not isolated:
        console().print(
            "nothing here can isolate an agent: install one of the above", style="red bold"
        )


def _isolation(image: str | None) -> Iterator[_Check]:
    for backend in every(image):
        problem, detail = backend.unavailable(), ""
        try:
            if problem is None and (removed := backend.reap()):
                detail = f"removed {removed} left behind by processes that are gone"
        except (IsolationError, OSError) as error:
            problem = f"what earlier runs left behind could not be removed: {error}"
        yield _check("isolation", backend.name, problem, detail)


def _store(settings: Settings) -> _Check:
    try:
        with settings.open_store() as store:
            return _check("store", store.url, None, f"{len(store.runs(limit=1000))} runs")
    except StoreError as error:
        return _check("store", settings.store_url or str(settings.folder), str(error))


def _content(settings: Settings) -> Iterator[_Check]:
    content = settings.content
    roots = ", ".join(str(root) for root in content.roots())
    for name, items in (
        ("scenarios", content.scenarios()),
        ("tools", content.files("tools", (".py",))),
        ("monitors", content.files("monitors", (".yaml", ".py"))),
    ):
        yield _check("content", name, None if items else "none found", f"{len(items)} in {roots}")


def _models() -> Iterator[_Check]:
    yield _check("model", "scripted", None, "scripted/safe, scripted/unsafe, scripted/mixed?p=0.3")
    for name, family in FAMILIES.items():
        variables = (
            family.places if family.usual or not family.hosts else family.keys + family.signs
        )
        present = next((variable for variable in variables if os.environ.get(variable)), None)
        if present or name in USUAL:
            missing = None if present else f"{variables[0]} is not set"
            yield _check("model", name, missing, f"{present} is set")
