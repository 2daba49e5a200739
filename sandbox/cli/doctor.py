"""``sandbox doctor``: what works here, and what to install for what does not."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from sandbox.cli.output import Json, console, print_json, table
from sandbox.cli.settings import Settings
from sandbox.errors import IsolationError
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
"""Providers and servers that are told of in any case; others where a variable of theirs is set."""


def doctor(
    context: typer.Context,
    image: Annotated[str | None, typer.Option(help="Image of the Docker back end.")] = None,
    as_json: Json = False,
) -> None:
    """Say what can isolate here, which store and content there are, which models have keys."""
    settings = Settings.of(context)
    checks = [*_isolation(image), _store(settings), *_content(settings), *_models()]
    isolated = any(item["ok"] for item in checks if item["what"] == "isolation")
    if as_json:
        print_json({"ok": isolated, "checks": checks})
    else:
        from rich.text import Text

        rows = []
        for item in checks:
            mark = Text("ok", "green") if item["ok"] else Text("no", "yellow")
            rows.append((item["what"], item["name"], mark, item["detail"]))
        table(("", "", "", ""), rows)
        if not isolated:
            console().print(
                "nothing here can isolate an agent: install one of the above", style="red bold"
            )
    if not isolated:
        raise typer.Exit(3)


def _check(what: str, name: str, problem: str | None, detail: str = "") -> dict[str, Any]:
    return {"what": what, "name": name, "ok": problem is None, "detail": problem or detail}


def _isolation(image: str | None) -> list[dict[str, Any]]:
    from sandbox.isolation.backends import every

    found = []
    for backend in every(image):
        problem = backend.unavailable()
        detail = ""
        try:
            if problem is None and (removed := backend.reap()):
                detail = f"removed {removed} left behind by processes that are gone"
        except (IsolationError, OSError) as error:
            problem = f"what earlier runs left behind could not be removed: {error}"
        found.append(_check("isolation", backend.name, problem, detail))
    return found


def _store(settings: Settings) -> dict[str, Any]:
    from sandbox.errors import StoreError

    try:
        with settings.open_store() as store:
            return _check("store", store.url, None, f"{len(store.runs(limit=1000))} runs")
    except StoreError as error:
        return _check("store", settings.store_url or str(settings.folder), str(error))


def _content(settings: Settings) -> list[dict[str, Any]]:
    content = settings.content
    found = {
        "scenarios": len(content.scenarios()),
        "tools": len(content.files("tools", (".py",))),
        "monitors": len(content.files("monitors", (".yaml", ".py"))),
    }
    roots = ", ".join(str(root) for root in content.roots())
    return [
        _check("content", name, None if count else "none found", f"{count} in {roots}")
        for name, count in found.items()
    ]


def _models() -> list[dict[str, Any]]:
    found = [
        _check("model", "scripted", None, "scripted/safe, scripted/unsafe, scripted/mixed?p=0.3")
    ]
    for name, family in FAMILIES.items():
        variables = (
            family.places if family.usual or not family.hosts else family.keys + family.signs
        )
        held = next((variable for variable in variables if os.environ.get(variable)), None)
        if held or name in USUAL:
            missing = None if held else f"{variables[0]} is not set"
            found.append(_check("model", name, missing, f"{held} is set"))
    return found
