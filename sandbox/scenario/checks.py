"""Names and expressions in a scenario: everything in it must exist and parse before a run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sandbox.cel import STANDARD, ExpressionError, Macros, parse, parse_macro, signature
from sandbox.errors import Problem, nearest
from sandbox.guest import arguments
from sandbox.scenario import teams
from sandbox.scenario.canaries import canary_names, places
from sandbox.scenario.localized_text import localise
from sandbox.scenario.schema import Rule, Scenario, is_call
from sandbox.scenario.stages import SUBJECTS
from sandbox.scenario.taxonomy import problem_with
from sandbox.scenario.toolkits import Catalogue
from sandbox.scenario.yaml_positions import Located, Path

SCORE_VARIABLES = frozenset(
    {
        "world",
        "initial",
        "files",
        "calls",
        "effects",
        "network",
        "final",
        "finals",
        "canary",
        "lang",
    }
)
TEXT_FUNCTIONS = frozenset({"glob", "lower", "decoded", "holds"})
_ALWAYS = frozenset({"call", "scope", "canary", "history", "origin", "plan", "lang"})
RULE_VARIABLES = {
    stage: _ALWAYS | {"result", "effects"} if subject == "result" else _ALWAYS
    for stage, subject in SUBJECTS.items()
}
RULE_FUNCTIONS = TEXT_FUNCTIONS | {
    "count",
    "total",
    "before",
    "since",
    "within",
    "asked",
    "happened",
}
_RESERVED = frozenset({"true", "false", "null", "in"}).union(
    STANDARD, RULE_FUNCTIONS, SCORE_VARIABLES, *RULE_VARIABLES.values()
)
"""What no macro may be called."""


def check(
    scenario: Scenario, document: Located, catalogue: Catalogue, monitors: tuple[str, ...]
) -> list[Problem]:
    """Return everything wrong with the names and expressions of a scenario."""
    return [
        *_tool_problems(scenario, document, catalogue),
        *_section_problems(scenario, document, catalogue),
        *_monitor_problems(scenario, document, monitors),
        *_score_problems(scenario, document),
        *rule_problems(scenario.rules, tuple(scenario.macros.items()), document, catalogue),
        *_reference_problems(scenario, document, catalogue),
        *_canary_problems(scenario, document),
    ]


def _tool_problems(
    scenario: Scenario, document: Located, catalogue: Catalogue
) -> Iterator[Problem]:
    for name, agent in scenario.agents.items():
        for index, tool in enumerate(agent.tools):
            if problem := catalogue.problem_with(tool):
                yield document.problem(("agents", name, "tools", index), problem)


def _section_problems(
    scenario: Scenario, document: Located, catalogue: Catalogue
) -> Iterator[Problem]:
    known = {section for toolkit in catalogue.toolkits() for section in toolkit.world}
    for section in scenario.world.sections:
        if section not in known:
            names = known | {"clock", "files", "canaries", "network"}
            message = f"unknown section {section!r}{nearest(section, names)}"
            yield document.problem(("world", section), message)


def _monitor_problems(
    scenario: Scenario, document: Located, monitors: tuple[str, ...]
) -> Iterator[Problem]:
    for index, name in enumerate(scenario.monitors or ()):
        if name not in monitors:
            message = f"unknown monitor {name!r}{nearest(name, monitors)}"
            yield document.problem(("monitors", index), message)


def macro_problems(macros: Macros, document: Located) -> Iterator[Problem]:
    """Yield what is wrong with macros by themselves; the names in them are checked where they are used."""
    taken = set(_RESERVED)
    for number, (key, _) in enumerate(macros, start=1):
        try:
            name, parameters = signature(key)
            if name in taken:
                yield document.problem(("macros", key), f"the name {name!r} is taken")
            elif {name, *parameters} & taken or len({name, *parameters}) <= len(parameters):
                message = f"{key!r}: parameters need names of their own"
                yield document.problem(("macros", key), message)
            taken.add(name)
            parse_macro(macros[:number])
        except ExpressionError as error:
            yield document.problem(("macros", key), str(error))


def _score_problems(scenario: Scenario, document: Located) -> Iterator[Problem]:
    macros = tuple(scenario.macros.items())
    for key in ("done", "unsafe", "attempted", "refused"):
        source = getattr(scenario.score, key)
        if source is not None:
            yield from _expression_problems(
                source, SCORE_VARIABLES, TEXT_FUNCTIONS, macros, document, ("score", key)
            )


def rule_problems(
    rules: tuple[Rule, ...], macros: Macros, document: Located, catalogue: Catalogue
) -> Iterator[Problem]:
    """Yield what is wrong with rules: macros, conditions, tools, taxonomy ids, ids that stand twice."""
    if problems := list(macro_problems(macros, document)):
        yield from problems
        return
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        place: Path = ("rules", index)
        if rule.id in seen:
            yield document.problem((*place, "id"), f"the rule {rule.id!r} stands twice")
        seen.add(rule.id)
        names = RULE_VARIABLES[rule.stage]
        yield from _expression_problems(
            rule.when, names, RULE_FUNCTIONS, macros, document, (*place, "when")
        )
        for tool in rule.tools:
            if problem := catalogue.problem_with(tool):
                yield document.problem((*place, "tools"), problem)
        for tag in rule.tags:
            if problem := problem_with(tag):
                yield document.problem((*place, "tags"), problem)


def _expression_problems(
    source: str,
    variables: frozenset[str],
    functions: frozenset[str],
    macros: Macros,
    document: Located,
    path: Path,
) -> Iterator[Problem]:
    try:
        parse(source, variables, functions, macros)
    except ExpressionError as error:
        yield document.problem(path, f"{path[-1]}: {error}")


def _reference_problems(
    scenario: Scenario, document: Located, catalogue: Catalogue
) -> Iterator[Problem]:
    granted = {agent: _tool_names(scenario, agent, catalogue) for agent in scenario.agents}
    languages = frozenset(scenario.languages) | {"en", "fr"}
    for name, reference in scenario.references.items():
        if scenario.team and isinstance(reference.steps, list):
            message = f"{name!r}: in a team, steps are a map from agent to its steps"
            yield document.problem(("references", name), message)
            continue
        for agent, steps in scenario.steps_of(name).items():
            if agent not in granted:
                message = f"{name!r}: there is no agent {agent!r}{nearest(agent, granted)}"
                yield document.problem(("references", name, "steps", agent), message)
                continue
            whose = f"{name!r} for {agent}" if scenario.team else repr(name)
            for index, step in enumerate(steps):
                place = _place_of(document, name, agent, index)
                for item in step if isinstance(step, list) and step else [step]:
                    told = localise(item, scenario.languages[0], languages)
                    if problem := _step_problem(told, granted[agent], catalogue):
                        yield document.problem(place, f"step {index + 1} of {whose}: {problem}")


def _tool_names(scenario: Scenario, agent: str, catalogue: Catalogue) -> set[str]:
    """Return the names of an agent's tools, those that do not exist left out."""
    known = (
        name for name in teams.agent_tools(scenario, agent) if not catalogue.problem_with(name)
    )
    return {tool.name for tool in catalogue.expand(tuple(known))}


def _place_of(document: Located, reference: str, agent: str, index: int) -> Path:
    """Return where a step stands: references are written in a short form and a long one."""
    start: Path = ("references", reference)
    ways: tuple[Path, ...] = ((index,), ("steps", index), ("steps", agent, index))
    return next(((*start, *way) for way in ways if (*start, *way) in document.places), start)


def _step_problem(step: Any, granted: set[str], catalogue: Catalogue) -> str | None:
    if not isinstance(step, dict) or len(step) != 1:
        return "a step is one call (tool: arguments) or say: text"
    if not is_call(step):
        ((key, said),) = step.items()
        if key == "say":
            return None if isinstance(said, str) else "say: should be a text"
        return f"{key!r} is neither a tool (toolkit.name) nor 'say'"
    ((tool, given),) = step.items()
    if problem := catalogue.problem_with(tool):
        return problem
    if tool not in granted:
        return f"the agent does not have the tool {tool!r}{nearest(tool, granted)}"
    if not isinstance(given, dict | None):
        return f"the arguments of {tool} must be a map"
    schema = catalogue.expand((tool,))[0].parameters
    wrong = arguments.problems(schema, given or {})
    return f"{tool}: {'; '.join(wrong)}" if wrong else None


def _canary_problems(scenario: Scenario, document: Located) -> Iterator[Problem]:
    declared = places(scenario.world.canary_kinds)
    texts = {("task",): scenario.task, ("scope",): scenario.scope.model_dump(exclude_none=True)}
    for name, agent in scenario.agents.items():
        texts[("agents", name, "prompt")] = agent.prompt  # type: ignore[index]
    for name, reference in scenario.references.items():
        texts[("references", name)] = reference.steps  # type: ignore[index,assignment]
    for path, value in texts.items():
        for canary in sorted(canary_names(str(value)) - declared):
            message = f"the canary {canary!r} is not declared in world.canaries{nearest(canary, declared)}"
            yield document.problem(path, message)
    for key in ("unsafe", "attempted", "done", "refused"):
        source = getattr(scenario.score, key) or ""
        for canary in _canaries_read(source, tuple(scenario.macros.items())):
            if canary not in declared:
                message = (
                    f"canary.{canary} is not declared in world.canaries{nearest(canary, declared)}"
                )
                yield document.problem(("score", key), message)


def _canaries_read(source: str, macros: Macros) -> list[str]:
    """Return the canaries that a condition of the score names, by itself or by its macros."""
    texts = [source]
    with suppress(ExpressionError):  # which is told already
        condition = parse(source, SCORE_VARIABLES, TEXT_FUNCTIONS, macros)
        texts += [macro.expression.source for macro in condition.used]
    return re.findall(r"\bcanary\.([a-z]\w*)\b(?!\()", "\n".join(texts))
