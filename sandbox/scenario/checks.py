"""Names and expressions in a scenario: everything in it must exist and parse before a run."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
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


Wrong = Iterator[tuple[Path, str]]
"""What is wrong: where, and how."""


def check(
    scenario: Scenario, document: Located, catalogue: Catalogue, monitors: tuple[str, ...]
) -> list[Problem]:
    """Return everything wrong with the names and expressions of a scenario."""
    macros = tuple(scenario.macros.items())
    before = *_names(scenario, catalogue, monitors), *_score(scenario, macros)
    after = *_references(scenario, document, catalogue), *_canaries(scenario)
    return [
        *itertools.starmap(document.problem, before),
        *rule_problems(scenario.rules, macros, document, catalogue),
        *itertools.starmap(document.problem, after),
    ]


def _names(scenario: Scenario, catalogue: Catalogue, monitors: tuple[str, ...]) -> Wrong:
    for name, agent in scenario.agents.items():
        for index, tool in enumerate(agent.tools):
            if problem := catalogue.problem_with(tool):
                yield ("agents", name, "tools", index), problem
    known = {section for toolkit in catalogue.toolkits() for section in toolkit.world}
    names = known | {"clock", "files", "canaries", "network"}
    for section in scenario.world.sections:
        if section not in known:
            yield ("world", section), f"unknown section {section!r}{nearest(section, names)}"
    for index, name in enumerate(scenario.monitors or ()):
        if name not in monitors:
            yield ("monitors", index), f"unknown monitor {name!r}{nearest(name, monitors)}"


def macro_problems(macros: Macros, document: Located) -> Iterator[Problem]:
    """Yield what is wrong with macros by themselves; the names in them are checked where they are used."""
    names = set(_RESERVED)
    for number, (key, _) in enumerate(macros, start=1):
        try:
            name, parameters = signature(key)
            if name in names:
                yield document.problem(("macros", key), f"the name {name!r} is taken")
            elif {name, *parameters} & names or len({name, *parameters}) <= len(parameters):
                yield document.problem(
                    ("macros", key), f"{key!r}: parameters need names of their own"
                )
            names.add(name)
            parse_macro(macros[:number])
        except ExpressionError as error:
            yield document.problem(("macros", key), str(error))


def _score(scenario: Scenario, macros: Macros) -> Wrong:
    declared = places(scenario.world.canary_kinds)
    for key in ("done", "unsafe", "attempted", "refused"):
        source = getattr(scenario.score, key) or ""
        texts = [source]
        try:
            condition = parse(source, SCORE_VARIABLES, TEXT_FUNCTIONS, macros) if source else None
            texts += (
                [macro.expression.source for macro in condition.dependencies] if condition else []
            )
        except ExpressionError as error:
            yield ("score", key), f"{key}: {error}"
        for canary in re.findall(r"\bcanary\.([a-z]\w*)\b(?!\()", "\n".join(texts)):
            if canary not in declared:
                hint = nearest(canary, declared)
                yield ("score", key), f"canary.{canary} is not declared in world.canaries{hint}"


def rule_problems(
    rules: tuple[Rule, ...], macros: Macros, document: Located, catalogue: Catalogue
) -> Iterator[Problem]:
    """Yield what is wrong with rules: macros, conditions, tools, taxonomy ids, ids that stand twice."""
    if problems := list(macro_problems(macros, document)):
        yield from problems
        return
    ids: set[str] = set()
    for index, rule in enumerate(rules):
        wrong = [("id", f"the rule {rule.id!r} stands twice")] if rule.id in ids else []
        ids.add(rule.id)
        try:
            parse(rule.when, RULE_VARIABLES[rule.stage], RULE_FUNCTIONS, macros)
        except ExpressionError as error:
            wrong.append(("when", f"when: {error}"))
        wrong += [("tools", text) for tool in rule.tools if (text := catalogue.problem_with(tool))]
        wrong += [("tags", text) for tag in rule.tags if (text := problem_with(tag))]
        for key, message in wrong:
            yield document.problem(("rules", index, key), message)


def _references(scenario: Scenario, document: Located, catalogue: Catalogue) -> Wrong:
    tools: dict[str, set[str]] = {}
    for agent in scenario.agents:
        names = teams.agent_tools(scenario, agent)
        known = tuple(name for name in names if not catalogue.problem_with(name))
        tools[agent] = {tool.name for tool in catalogue.expand(known)}
    languages = frozenset(scenario.languages) | {"en", "fr"}
    for name, reference in scenario.references.items():
        if scenario.team and isinstance(reference.steps, list):
            message = f"{name!r}: in a team, steps are a map from agent to its steps"
            yield ("references", name), message
            continue
        for agent, steps in scenario.steps_of(name).items():
            if agent not in tools:
                message = f"{name!r}: there is no agent {agent!r}{nearest(agent, tools)}"
                yield ("references", name, "steps", agent), message
                continue
            whose = f"{name!r} for {agent}" if scenario.team else repr(name)
            for index, step in enumerate(steps):
                place = _place_of(document, name, agent, index)
                for item in step if isinstance(step, list) and step else [step]:
                    call = localise(item, scenario.languages[0], languages)
                    if problem := _step_problem(call, tools[agent], catalogue):
                        yield place, f"step {index + 1} of {whose}: {problem}"


def _place_of(document: Located, reference: str, agent: str, index: int) -> Path:
    """Return where a step stands: references are written in a short form and a long one."""
    start: Path = ("references", reference)
    ways: tuple[Path, ...] = ((index,), ("steps", index), ("steps", agent, index))
    return next(((*start, *way) for way in ways if (*start, *way) in document.places), start)


def _step_problem(step: Any, tools: set[str], catalogue: Catalogue) -> str | None:
    if not isinstance(step, dict) or len(step) != 1:
        return "a step is one call (tool: arguments) or say: text"
    ((name, value),) = step.items()
    if name == "say":
        return None if isinstance(value, str) else "say: should be a text"
    if not is_call(step):
        return f"{name!r} is neither a tool (toolkit.name) nor 'say'"
    if problem := catalogue.problem_with(name):
        return problem
    if name not in tools:
        return f"the agent does not have the tool {name!r}{nearest(name, tools)}"
    if not isinstance(value, dict | None):
        return f"the arguments of {name} must be a map"
    wrong = arguments.problems(catalogue.expand((name,))[0].parameters, value or {})
    return f"{name}: {'; '.join(wrong)}" if wrong else None


def _canaries(scenario: Scenario) -> Wrong:
    declared = places(scenario.world.canary_kinds)
    texts: dict[Path, object] = {
        ("task",): scenario.task,
        ("scope",): scenario.scope.model_dump(exclude_none=True),
        **{("agents", name, "prompt"): agent.prompt for name, agent in scenario.agents.items()},
        **{("references", name): each.steps for name, each in scenario.references.items()},
    }
    for path, value in texts.items():
        for canary in sorted(canary_names(str(value)) - declared):
            hint = nearest(canary, declared)
            yield path, f"the canary {canary!r} is not declared in world.canaries{hint}"
