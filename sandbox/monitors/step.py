"""What a monitor sees of one call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypedDict, cast
from weakref import ref

from sandbox import detectors
from sandbox.cel import Activation, Expression, Macros
from sandbox.detectors.call import WORDS, Call, Result, relative_path
from sandbox.detectors.canary_tracker import CanaryMatches
from sandbox.detectors.injection_compliance.features import ComplianceFeatures, features
from sandbox.detectors.injection_compliance.instructions import Instruction
from sandbox.detectors.provenance.origins import Origins
from sandbox.enums import EffectAction, EffectKind, EffectStatus, Stage
from sandbox.monitors.call_history import CallHistory
from sandbox.monitors.run_context import RunContext
from sandbox.scenario.schema import Need
from sandbox.trace.call_events import CallRequest
from sandbox.trace.effects import CanaryEffect, Effect


@dataclass(frozen=True)
class Step:
    """One call at one stage: what every monitor is handed."""

    call: Call
    context: RunContext
    """What happened before it."""
    position: int = 0
    """How many of the context's turns came before it, its own call among them."""
    result: Result | None = None
    """None at the stage before the call."""
    _cache: dict[str, Any] = field(default_factory=dict, repr=False)
    _activations: dict[tuple[frozenset[str], Macros], Activation] = field(
        default_factory=dict, repr=False
    )

    @property
    def stage(self) -> Stage:
        """Whether it is the call that is judged, what it did, or the agent's closing words."""
        for stage, tool in WORDS.items():
            if self.call.tool is tool:  # imported tools may be called anything
                return stage
        return Stage.BEFORE if self.result is None else Stage.AFTER

    @property
    def scope(self) -> Mapping[str, object]:
        """The scenario's scope."""
        return self.context.info.scope

    @property
    def lang(self) -> str:
        """Language of the run."""
        return self.context.info.lang

    @property
    def canaries(self) -> Mapping[str, str]:
        """Canary name → value."""
        return self.context.canaries

    @property
    def history(self) -> CallHistory:
        """The calls let through before this one."""
        return self.context.history

    @cached_property
    def canary_matches(self) -> CanaryMatches:
        """The canaries in the arguments."""
        return self.context.canary_tracker.find(self.call)

    @cached_property
    def origins(self) -> Origins:
        """Where the values of the arguments came from."""
        return Origins(self.context.text_index, self.call.arguments, self.position)

    @property
    def canaries_sent(self) -> list[str]:
        """Names of the canaries in the arguments: plain, encoded, or complete with this call."""
        return list(self.canary_matches.forms)

    def with_result(self, result: Result) -> Step:
        """Return the same call at the stage after; its arguments are not judged anew."""
        after = replace(self, result=result, _cache={}, _activations={})
        after.__dict__["canary_matches"] = self.canary_matches
        if "origins" in self.__dict__:  # else nobody asked, and no text has to be indexed for it
            after.__dict__["origins"] = self.origins
        return after

    @cached_property
    def secrets_sent(self) -> list[str]:
        """Kinds of secret that the arguments seem to hold."""
        return detectors.find_secrets(self.call.text)

    def has(self, what: Need) -> bool:
        """Return whether there is anything of a kind in this call or its result."""
        if what == "effects":
            return self.result is not None and bool(self.result.effects)
        if what == "plan":
            return bool(self.context.plan)
        if what == "canaries":
            return bool(self.canaries_sent)
        if what == "secrets":
            return bool(self.secrets_sent)
        return bool(self.call.recipients if what == "recipients" else self.call.paths)

    def variable(self, name: str) -> Any:
        """Return a variable of conditions by name; see ``docs/monitors.md``."""
        if name not in self._cache:
            self._cache[name] = getattr(self, f"_{name}")()
        return self._cache[name]

    @cached_property
    def compliance(self) -> tuple[ComplianceFeatures, Instruction | None]:
        """How far the call does what a result told the agent to do, and which instruction that is."""
        return features(self.call, self.context.instructions, self.position)

    def happened(self, kind: str, action: str) -> int:
        """Return how many effects of a kind and action were done, files in /tmp aside."""
        return self._effect_counts[kind, action]

    def _happened(self) -> Callable[[str, str], int]:
        """Return :meth:`happened` for a context, which must not hold the step that keeps it.

        The collector does not see into a context (Rust): a ring through one is never freed, and with
        the step goes all that its run has held.
        """
        step = ref(self)

        def happened(kind: str, action: str) -> int:
            found = step()
            assert found is not None  # who evaluates a condition holds the step
            return found.happened(kind, action)

        return happened

    @cached_property
    def _effect_counts(self) -> Counter[tuple[str, str]]:
        effects = self.result.effects if self.result else ()
        return Counter(
            (item["kind"], item["action"])
            for item in effects
            if item["status"] == EffectStatus.DONE
            and not (item["kind"] == EffectKind.FILE and item["target"].startswith("/tmp/"))
        )

    def activation(self, condition: Expression) -> Activation:
        """Return what a condition is evaluated in; those that read the same variables share it."""
        own = condition.variables
        names = _COMMON if own.issubset(_COMMON) else own
        key = names, condition.macros
        if key not in self._activations:
            functions = {
                **TEXT_FUNCTIONS,
                **self.history.functions,
                "asked": self.context.principal.holds,
                "happened": self._happened(),
            }
            variables = {name: self.variable(name) for name in names}
            self._activations[key] = Activation(variables, functions, condition.macros)
        return self._activations[key]

    def _call(self) -> dict[str, object]:
        call = self.call
        return {
            "tool": call.tool.name,
            "toolkit": call.tool.toolkit,
            "args": dict(call.arguments),
            "text": call.text,
            "labels": list(call.tool.labels),
            "recipients": list(call.recipients),
            "paths": list(call.paths),
            "agent": call.agent,
            "canaries": self.canaries_sent,
            "unread": not self.canary_matches.complete,
            "secrets": self.secrets_sent,
            **_original(call.original),
        }

    def _scope(self) -> dict[str, object]:
        return dict(self.scope)

    def _canary(self) -> dict[str, str]:
        return dict(self.canaries)

    def _history(self) -> dict[str, object]:
        return {
            "calls": self.history.calls,
            "identical": self.history.identical(self.call),
            "rounds": self.history.sequence.rounds(None if self.result else self.call),
            "failures": self.history.sequence.failures(self.call.tool.name),
            "total_to_recipient": self.history.total_to(self.call, "amount"),
        }

    def _plan(self) -> dict[str, object]:
        return self.context.plan

    def _origin(self) -> dict[str, dict[str, object]]:
        return self.origins.as_data()

    def _lang(self) -> str:
        return self.lang

    def _result(self) -> dict[str, object]:
        assert self.result is not None
        return {
            "text": self.result.text,
            "status": self.result.status,
            "canaries": detectors.find_values(self.result.text, self.canaries),
        }

    def _effects(self) -> list[ConditionEffect]:
        return [_effect(item) for item in self.result.effects] if self.result else []


_COMMON = frozenset({"call", "history"})
"""Variables that most conditions read: one context for all that read no others."""

TEXT_FUNCTIONS: dict[str, Any] = {
    "glob": detectors.matches,
    "lower": str.lower,
    "decoded": detectors.decode_text,
    "holds": detectors.holds,
}
"""Functions of conditions that do not depend on a step."""


def of_call(context: RunContext, call: Call) -> Step:
    """Return a call that was asked for as monitors of the stage ``before`` see it."""
    return _step(context, call, len(context.turns))


def of_reply(context: RunContext, agent: str, text: str) -> Step:
    """Return the closing words that were taken in last as monitors of the stage ``reply`` see them."""
    return _step(context, Call(WORDS[Stage.REPLY], {"text": text}, agent), len(context.turns) - 1)


def record_execution(step: Step) -> None:
    """Take it that a call goes ahead: it counts in the history from now on."""
    step.context.journal.append(("execute", step.position))
    step.context.history.add(step.call)
    step.context.canary_tracker.record_execution(step.canary_matches)


def refusal_effects(step: Step) -> list[CanaryEffect]:
    """Return the effects on canaries of a call that was refused."""
    return step.context.canary_tracker.effects(step.call, step.canary_matches, None)


def canary_effects(step: Step, result: Result, *, late: bool = False) -> list[CanaryEffect]:
    """Return the effects on canaries of a call that was executed.

    Args:
        step: The call.
        result: What it gave.
        late: Whether it is what the call did after it had returned: its arguments were told before.
    """
    step.context.journal.append(("result", step.position, result, late))
    matches = CanaryMatches() if late else step.canary_matches
    return step.context.canary_tracker.effects(step.call, matches, result)


def _step(context: RunContext, call: Call, position: int) -> Step:
    context.journal.append(("step", position, call))
    return Step(call, context, position)


class ConditionEffect(TypedDict):
    """An effect as conditions see it; one on a canary has its ``detail`` beside."""

    kind: str
    action: str
    status: str
    source: str
    target: str
    to: str
    argv: list[str]


def _effect(item: Effect) -> ConditionEffect:
    seen: ConditionEffect = {
        "kind": item["kind"],
        "action": item["action"],
        "status": item["status"],
        "source": item["source"],
        "target": item["target"],
        "to": "",
        "argv": [],
    }
    if item["kind"] == EffectKind.FILE:
        seen["target"] = relative_path(item["target"])
        if item["action"] == EffectAction.RENAME:
            seen["to"] = relative_path(item["detail"]["to"])
    elif item["kind"] == EffectKind.PROCESS:
        seen["argv"] = item.get("detail", {}).get("argv", [])
    elif item["kind"] == EffectKind.CANARY:
        return cast("ConditionEffect", {**seen, "form": "", **item["detail"]})
    return seen


def _original(request: CallRequest | None) -> dict[str, object]:
    if request is None:
        return {}
    return {"original": {"tool": request["tool"], "args": request.get("arguments", {})}}
