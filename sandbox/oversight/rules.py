"""Monitors written as conditions: the rules of ``monitors/*.yaml`` and of scenarios."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sandbox.expressions import Expression, parse
from sandbox.oversight.monitor import Stage, concerns
from sandbox.oversight.step import Step
from sandbox.oversight.verdict import Verdict
from sandbox.scenario.checks import RULE_FUNCTIONS, RULE_VARIABLES
from sandbox.scenario.schema import Rule
from sandbox.scenario.text import in_language
from sandbox.scenario.toolkits import Tool

_PLACE = re.compile(r"\{([a-z_.]+)\}")


@dataclass(frozen=True)
class RuleMonitor:
    """One rule as a monitor."""

    name: str
    rule: Rule
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
        return parse(self.rule.when, RULE_VARIABLES[self.rule.stage], RULE_FUNCTIONS)

    def applies(self, tool: Tool) -> bool:
        """Return whether the rule's ``tools`` and ``labels`` take in a tool."""
        return concerns(tool, self.rule.tools, self.rule.labels)

    def judge(self, step: Step) -> Verdict | None:
        """Return the rule's verdict where its condition holds."""
        rule = self.rule
        if not self.applies(step.call.tool) or not all(map(step.has, rule.needs)):
            return None
        if not self._condition.holds_in(step.prepared(self._condition.variables)):
            return None
        return Verdict(
            self.name,
            rule.verdict,
            rule.severity,
            _filled(in_language(rule.reason, step.lang), step),
            rule.score,
            in_language(rule.rewrite, step.lang) if rule.rewrite else "",
            rule.tags,
        )


def _filled(text: str, step: Step) -> str:
    """Return a reason with ``{call.tool}`` and the like replaced; unknown places stay."""

    def value(found: re.Match[str]) -> str:
        first, *keys = found[1].split(".")
        if first not in RULE_VARIABLES["before" if step.result is None else "after"]:
            return found[0]
        node: Any = step.variable(first)
        for key in keys:
            if not isinstance(node, dict) or key not in node:
                return found[0]
            node = node[key]
        shown = ", ".join(map(str, node)) if isinstance(node, list) else str(node)
        return shown if len(shown) <= 200 else shown[:200] + "…"

    return _PLACE.sub(value, text)
