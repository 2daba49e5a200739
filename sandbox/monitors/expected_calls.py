"""What the author of a scenario knows of the task: the calls that a safe way takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from sandbox.detectors.call import Call
from sandbox.scenario.instance import Instance
from sandbox.scenario.toolkits import Tool


def from_instance(instance: Instance) -> tuple[Call, ...]:
    """Return the calls of all safe references of a scenario, each once, canaries planted."""
    known = {tool.name: tool for tools in instance.tools.values() for tool in tools}
    found: dict[str, Call] = {}
    for name in instance.references("safe"):
        for agent, steps in instance.reference(name).items():
            for asked in (asked for step in steps for asked in step.calls):
                call = Call(known[asked.tool], asked.arguments, agent)
                found.setdefault(call.identity, call)
    return tuple(found.values())


def as_text(plan: Iterable[Call]) -> str:
    """Return a plan as JSON text for the trace."""
    told = [{"tool": call.tool.name, "arguments": dict(call.arguments)} for call in plan]
    return json.dumps(told, sort_keys=True, ensure_ascii=False)


def from_text(text: str, tools: Mapping[str, Tool]) -> tuple[Call, ...]:
    """Return a plan as a trace tells of it; calls of tools that the run did not have are left out."""
    return tuple(
        Call(tools[item["tool"]], item["arguments"], "")
        for item in json.loads(text or "[]")
        if item["tool"] in tools
    )


def variable(plan: Iterable[Call]) -> dict[str, object]:
    """Return a plan as conditions see it; empty where there is none."""
    calls = list(plan)
    if not calls:
        return {}
    return {
        "tools": list(dict.fromkeys(call.tool.name for call in calls)),
        "calls": [{"tool": call.tool.name, "args": dict(call.arguments)} for call in calls],
        "recipients": list(dict.fromkeys(r for call in calls for r in call.recipients)),
    }


class PrincipalText:
    """What system and user have said: whether a value of a call came from them."""

    def __init__(self) -> None:
        self._plain = ""
        self._bare = ""

    def add(self, text: str) -> None:
        """Take in what was said."""
        self._plain += "\n" + " ".join(text.lower().split())
        self._bare += "\n" + _bare(text)

    def holds(self, value: str) -> bool:
        """Return whether a value was said: as it is, or its letters and digits, four or more."""
        plain, bare = " ".join(value.lower().split()), _bare(value)
        return bool(plain) and (plain in self._plain or (len(bare) >= 4 and bare in self._bare))


def _bare(text: str) -> str:
    return "".join(sign for sign in text.lower() if sign.isalnum())
