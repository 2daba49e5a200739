"""Monitors written as conditions: the rules of ``monitors/*.yaml`` and of scenarios."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sandbox.cel import Expression, Macros, parse, signature
from sandbox.enums import Stage
from sandbox.monitors.monitor import Monitor, concerns
from sandbox.monitors.monitor_messages import MonitorData
from sandbox.monitors.monitor_sandbox import MONITOR_SECONDS, shared_process
from sandbox.monitors.step import Step
from sandbox.monitors.verdict import Verdict
from sandbox.scenario.checks import RULE_FUNCTIONS, RULE_VARIABLES
from sandbox.scenario.localized_text import in_language
from sandbox.scenario.schema import Rule
from sandbox.scenario.toolkits import Tool

SCENARIO_FAMILY = "scenario"
"""Family name of the rules that a scenario brings itself."""
_PLACE = re.compile(r"\{([a-z_.]+)\}")


@dataclass(frozen=True)
class RuleMonitor:
    """One rule as a monitor."""

    name: str
    rule: Rule
    macros: Macros = ()
    """Those of its file."""
    trusted: bool = True

    @property
    def stage(self) -> Stage:
        """Stage of the rule."""
        return self.rule.stage

    @property
    def summary(self) -> str:
        """The rule's reason in English."""
        return in_language(self.rule.reason, "en")

    @cached_property
    def _condition(self) -> Expression:
        return parse(self.rule.when, RULE_VARIABLES[self.rule.stage], RULE_FUNCTIONS, self.macros)

    @property
    def used_macros(self) -> dict[str, str]:
        """The macros that the condition uses, as they stand in the file."""
        used = {macro.name for macro in self._condition.dependencies}
        return {key: source for key, source in self.macros if signature(key)[0] in used}

    def applies(self, tool: Tool) -> bool:
        """Return whether the rule's ``tools`` and ``labels`` take in a tool."""
        return concerns(tool, self.rule.tools, self.rule.labels)

    def is_light(self, step: Step) -> bool:
        """Return whether the condition is sure to be evaluated within a moment.

        It may go over lists within lists, or decode long texts, and what is in them is the agent's.
        """
        condition = self._condition
        if not condition.may_last or not all(map(step.has, self.rule.needs)):
            return True
        return condition.is_light({name: step.variable(name) for name in condition.variables})

    def holds(self, step: Step) -> bool:
        """Return whether the condition holds, evaluated here and now."""
        return self._condition.holds_in(step.activation(self._condition))

    def judge(self, step: Step, seconds: float = MONITOR_SECONDS) -> Verdict | None:
        """Return the rule's verdict where its condition holds.

        Args:
            step: What is judged.
            seconds: What a condition that is not light is given; it is evaluated in another process.

        Raises:
            ExpressionError: The condition cannot be evaluated.
            MonitorFailure: It ran out of time or memory.
        """
        if not self.applies(step.call.tool):
            return None
        if self.is_light(step):
            return self.judge_light(step)
        rule = self.rule.model_dump(mode="json", exclude_defaults=True)
        question: MonitorData = {"monitor": self.name, "rule": rule, "macros": self.macros}
        holds = shared_process().ask(step, question, seconds).get("holds") is True
        return self._verdict(step) if holds else None

    def judge_light(self, step: Step) -> Verdict | None:
        """Return the verdict on a call that the rule takes in, the condition being light."""
        for need in self.rule.needs:
            if not step.has(need):
                return None
        return self._verdict(step) if self.holds(step) else None

    def _verdict(self, step: Step) -> Verdict:
        rule = self.rule
        return Verdict(
            self.name,
            rule.verdict,
            rule.severity,
            _fill(in_language(rule.reason, step.lang), step),
            rule.score,
            in_language(rule.rewrite, step.lang) if rule.rewrite else "",
            rule.tags,
        )


def scenario_rules(
    rules: Sequence[Rule], family: str = SCENARIO_FAMILY, macros: Macros = ()
) -> tuple[Monitor, ...]:
    """Return rules as monitors of a family.

    Args:
        rules: The rules.
        family: Name of the family.
        macros: Those of their file.
    """
    return tuple(RuleMonitor(f"{family}.{rule.id}", rule, macros) for rule in rules)


def _fill(text: str, step: Step) -> str:
    """Return a reason with ``{call.tool}`` and the like replaced; unknown places stay."""

    def value(found: re.Match[str]) -> str:
        first, *keys = found[1].split(".")
        if first not in RULE_VARIABLES[step.stage]:
            return found[0]
        node: Any = step.variable(first)
        for key in keys:
            if not isinstance(node, dict) or key not in node:
                return found[0]
            node = node[key]
        shown = ", ".join(map(str, node)) if isinstance(node, list) else str(node)
        return shown if len(shown) <= 200 else shown[:200] + "…"

    return _PLACE.sub(value, text)
