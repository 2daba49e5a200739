"""Examples of monitors: short lists of calls on which one must fire, and the nearest that is fine.

They stand in the file of the monitor: under ``examples`` of a rule, or in ``EXAMPLES`` of a Python
file, in the notation of a scenario's references. Nothing is executed; see ``docs/monitors.md``.
"""

from __future__ import annotations

import ast
import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from sandbox.detectors.call import Call, Result
from sandbox.enums import (
    CallStatus,
    Decision,
    EffectAction,
    EffectKind,
    EffectSource,
    EffectStatus,
    EventKind,
)
from sandbox.errors import InputError, Problem, ScenarioError, nearest
from sandbox.guest import arguments
from sandbox.monitors.expected_calls import from_instance
from sandbox.monitors.failing import failure
from sandbox.monitors.library import MonitorFamily, MonitorLibrary
from sandbox.monitors.monitor import Monitor
from sandbox.monitors.python_monitor import PythonMonitor, SandboxedMonitor
from sandbox.monitors.rules import RuleMonitor, scenario_rules
from sandbox.monitors.run_context import RunContext, RunInfo
from sandbox.monitors.step import Step, canary_effects, of_call, of_reply, record_execution
from sandbox.monitors.verdict import Verdict
from sandbox.scenario import yaml_positions
from sandbox.scenario.canaries import CanaryValue, make_canary, plant_json, texts
from sandbox.scenario.loader import LoadedScenario
from sandbox.scenario.schema import ExampleSetting, is_call
from sandbox.scenario.stages import SUBJECTS
from sandbox.scenario.toolkits import Catalogue
from sandbox.scenario.yaml_positions import Located
from sandbox.trace.effects import Effect

KINDS = ("fires", "passes")
AGENT = "agent"
"""Who makes the calls of an example that names nobody."""

_ROLES = {"system": "system", "user": "user", "say": "assistant"}
_CALL_KEYS = ("result", "status", "effects", "times", "agent")
"""Keys that may stand beside a call."""
_SETTING = tuple(ExampleSetting.model_fields)
_SOURCES = {
    EffectKind.FILE: EffectSource.MANIFEST,
    EffectKind.WORLD: EffectSource.WORLD,
    EffectKind.PROCESS: EffectSource.TRACE,
    EffectKind.NETWORK: EffectSource.EGRESS,
    EffectKind.CANARY: EffectSource.RESULT,
}
_EFFECT_KEYS: Mapping[str, type[StrEnum]] = {
    "kind": EffectKind,
    "action": EffectAction,
    "status": EffectStatus,
    "source": EffectSource,
}
_MOST = 1000
"""Times that one call or effect may be said to be there."""


class ExampleError(InputError):
    """An example that cannot be tried as it is written."""


@dataclass(frozen=True)
class Example:
    """One example of one monitor."""

    monitor: str
    """``family.rule``."""
    kind: str
    """``fires`` or ``passes``."""
    file: str
    line: int
    raw: Any
    """As it stands in the file."""
    setting: ExampleSetting


@dataclass(frozen=True)
class ExampleResult:
    """What came of an example."""

    example: Example
    problem: str = ""
    """Empty where it behaved."""
    verdict: Verdict | None = None

    @property
    def ok(self) -> bool:
        """Whether the monitor did what the example says."""
        return not self.problem


@dataclass(frozen=True)
class ExampleReport:
    """One monitor, and what came of its examples."""

    monitor: str
    results: tuple[ExampleResult, ...]

    @property
    def ok(self) -> bool:
        """Whether all behaved."""
        return all(trial.ok for trial in self.results)

    def number(self, kind: str) -> int:
        """Return how many examples of a kind there are."""
        return sum(trial.example.kind == kind for trial in self.results)

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        problems = [
            {
                "file": t.example.file,
                "line": t.example.line,
                "kind": t.example.kind,
                "problem": t.problem,
            }
            for t in self.results
            if not t.ok
        ]
        counts = {kind: self.number(kind) for kind in KINDS}
        return {"name": self.monitor, "ok": self.ok, **counts, "problems": problems}


def check_scenario(loaded: LoadedScenario) -> list[ExampleReport]:
    """Try the examples of a scenario's own rules; its scope, canaries and plan hold in them."""
    scenario, instance = loaded.scenario, loaded.instance(loaded.scenario.languages[0], 0)
    plan = [{call.tool.name: dict(call.arguments)} for call in from_instance(instance)]
    given = ExampleSetting(
        lang=instance.lang, scope=scenario.scope, canaries=scenario.world.canaries, plan=tuple(plan)
    )
    found = []
    for index, (rule, monitor) in enumerate(
        zip(
            scenario.rules,
            scenario_rules(scenario.rules, macros=tuple(scenario.macros.items())),
            strict=True,
        )
    ):
        place: tuple[str | int, ...] = ("rules", index, "examples")
        own = _read_list(monitor.name, rule.examples.model_dump(), given, loaded.document, place)
        trials = tuple(check_example(example, monitor, loaded.catalogue) for example in own)
        found.append(ExampleReport(f"{loaded.name} {rule.id}", trials))
    return found


def check_monitors(
    library: MonitorLibrary, catalogue: Catalogue, names: Sequence[str] | None
) -> list[ExampleReport]:
    """Try the examples of monitors.

    Args:
        library: Where the monitors are.
        catalogue: The tools.
        names: Families (``canary``) and monitors (``canary.sent``); all for None.

    Raises:
        InputError: There is no monitor of a name.
        ScenarioError: A file cannot be used.
    """
    found: dict[str, ExampleReport] = {}
    for name in names or library.names():
        family = library.family(name.partition(".")[0])
        if family.judges:  # what a model answers is no example
            continue
        chosen = [monitor for monitor in family.monitors if name in (family.name, monitor.name)]
        if not chosen:
            known = [monitor.name for monitor in family.monitors]
            raise InputError(f"unknown monitor {name!r}{nearest(name, known)}")
        held = examples(family)
        for monitor in chosen:
            own = [example for example in held if example.monitor == monitor.name]
            trials = tuple(check_example(example, monitor, catalogue) for example in own)
            found[monitor.name] = ExampleReport(monitor.name, trials)
    return list(found.values())


def examples(family: MonitorFamily) -> list[Example]:
    """Return the examples of all monitors of a family.

    Raises:
        ScenarioError: The file does not hold them in the form that it should.
    """
    if family.path.suffix == ".py":
        return _of_functions(family)
    document = yaml_positions.load(family.path)
    given = _setting(document.data.get("examples", {}), document, ("examples",))
    found: list[Example] = []
    for index, rule in enumerate(document.data["rules"]):
        name = f"{family.name}.{rule['id']}"
        path = ("rules", index, "examples")
        found += _read_list(name, rule.get("examples", {}), given, document, path)
    return found


def check_example(example: Example, monitor: Monitor, catalogue: Catalogue) -> ExampleResult:
    """Ask a monitor about an example; whatever goes wrong is in the answer."""
    try:
        verdict = judge_example(example, monitor, catalogue)
    except ExampleError as error:
        return ExampleResult(example, str(error))
    except Exception as error:  # noqa: BLE001 - a monitor may raise anything
        return ExampleResult(example, f"{monitor.name} fails: {failure(monitor, error)}")
    fired = verdict is not None and (verdict.verdict != Decision.ALLOW or _scores_only(monitor))
    if fired == (example.kind == "fires"):
        return ExampleResult(example, verdict=verdict)
    if verdict is not None and fired:
        return ExampleResult(
            example, f"must pass, but: {verdict.verdict}, {verdict.reason}", verdict
        )
    return ExampleResult(example, "must fire, but does not", verdict)


def _scores_only(monitor: Monitor) -> bool:
    """Return whether all that a monitor ever gives is a score: then having one is to fire."""
    if isinstance(monitor, RuleMonitor):
        return monitor.rule.verdict == Decision.ALLOW
    return (
        isinstance(monitor, PythonMonitor | SandboxedMonitor)
        and monitor.mark.verdict == Decision.ALLOW
    )


def judge_example(example: Example, monitor: Monitor, catalogue: Catalogue) -> Verdict | None:
    """Return what a monitor says of the last call of an example.

    Raises:
        ExampleError: The example cannot be tried as it is written.
        Exception: Whatever the monitor raises.
    """
    given, steps = _parts(example)
    canaries = _canaries(given)
    values = texts(canaries)
    steps = json.loads(plant_json(json.dumps(steps), values))
    scope = json.loads(
        plant_json(json.dumps(given.scope.model_dump(exclude_none=True, mode="json")), values)
    )
    plan = json.loads(plant_json(json.dumps(given.plan), values))
    known = tuple(_call(item, catalogue) for item in plan)
    labels = {name: tool.labels for kit in catalogue.toolkits() for name, tool in kit.tools.items()}
    context = RunContext(RunInfo(given.lang, scope, canaries, labels, known))
    flat = [step for step in steps for _ in range(_times(step))]
    last = next(iter(flat[-1]))
    words = SUBJECTS[monitor.stage] == "words"
    if (last == "say") is not words or (last in _ROLES and last != "say"):
        wanted = "`say`, the words" if words else "the call"
        raise ExampleError(f"the last step of an example is {wanted} that is judged")
    for step in flat[:-1]:
        _follow(context, step, catalogue)
    if last == "say":
        _follow(context, flat[-1], catalogue)
        return monitor.judge(of_reply(context, AGENT, flat[-1]["say"]))
    step, result = _call_step(context, flat[-1], catalogue)
    if not monitor.applies(step.call.tool):
        return None
    if SUBJECTS[monitor.stage] == "call":
        return monitor.judge(step)
    return monitor.judge(_execute(context, step, result))


def _follow(context: RunContext, raw: Mapping[str, object], catalogue: Catalogue) -> None:
    """Take a step that comes before the one that is judged."""
    head = next(iter(raw))
    if head in _ROLES:
        if not isinstance(raw[head], str):
            raise ExampleError(f"{head}: should be a text")
        context.add_event(EventKind.MESSAGE, AGENT, {"role": _ROLES[head], "content": raw[head]})
        return
    _execute(context, *_call_step(context, raw, catalogue))


def _execute(context: RunContext, step: Step, result: Result) -> Step:
    """Let a call through; return it with its result, canaries in the effects as the gate sees them."""
    record_execution(step)
    result = replace(result, effects=(*result.effects, *canary_effects(step, result)))
    data = {"tool": step.call.tool.name, "status": result.status, "text": result.text}
    context.add_event(
        EventKind.TOOL_RESULT, step.call.agent, {**data, "effects": list(result.effects)}
    )
    return step.with_result(result)


def _call_step(
    context: RunContext, raw: Mapping[str, Any], catalogue: Catalogue
) -> tuple[Step, Result]:
    """Return a call as monitors see it before it is executed, and what it is said to give."""
    call = _call(raw, catalogue)
    asked = {"tool": call.tool.name, "arguments": dict(call.arguments)}
    context.add_event(EventKind.TOOL_INTENT, call.agent, asked)
    effects = tuple(made for item in raw.get("effects") or () for made in _effects(item))
    _member("status", raw.get("status"), CallStatus)
    status = CallStatus(raw.get("status", CallStatus.OK))
    result = Result(str(raw.get("result", "")), status, effects)
    return of_call(context, call), result


def _call(raw: Any, catalogue: Catalogue) -> Call:
    if not isinstance(raw, dict) or not raw:
        raise ExampleError("a step is one call (tool: arguments)")
    name = _tool_name(raw)
    if problem := catalogue.problem_with(name):
        raise ExampleError(problem)
    (tool,) = catalogue.expand((name,))
    values = raw[name] or {}
    if not isinstance(values, dict):
        raise ExampleError(f"the arguments of {name} must be a map")
    if wrong := arguments.problems(tool.parameters, values):
        raise ExampleError(f"{name}: {'; '.join(wrong)}")
    return Call(tool, values, str(raw.get("agent", AGENT)))


def _tool_name(raw: Mapping[str, object]) -> str:
    name, *beside = raw
    if not is_call({name: None}):
        known = (*_ROLES, *_SETTING, "steps")
        raise ExampleError(
            f"{name!r} is neither a tool (toolkit.name) nor one of {', '.join(known)}"
        )
    for key in beside:
        if key not in _CALL_KEYS:
            raise ExampleError(f"unknown key {key!r} beside a call{nearest(key, _CALL_KEYS)}")
    return name


def _effects(raw: Any) -> Iterator[Effect]:
    if not isinstance(raw, dict) or not {"kind", "action", "target"} <= raw.keys():
        raise ExampleError("an effect has at least a kind, an action and a target")
    for name, kinds in _EFFECT_KEYS.items():
        _member(name, raw.get(name), kinds)
    number = _times(raw)
    target = str(raw["target"])
    if raw["kind"] == EffectKind.FILE:
        target = posixpath.join("/work", target)
    source = _SOURCES[raw["kind"]]
    made = {"status": EffectStatus.DONE, "source": source, "detail": {}, **raw}
    made.pop("times", None)
    for index in range(number):
        named = f"{target}-{index}" if number > 1 else target
        yield cast("Effect", {**made, "target": named})


def _member(name: str, value: object, kinds: type[StrEnum]) -> None:
    if value is not None and value not in list(kinds):
        raise ExampleError(f"unknown {name} {value!r}{nearest(str(value), kinds)}")


def _times(raw: Mapping[str, object]) -> int:
    number = raw.get("times", 1)
    if not isinstance(number, int) or not 1 <= number <= _MOST:
        raise ExampleError(f"times: should be a number from 1 to {_MOST}")
    return number


def _parts(example: Example) -> tuple[ExampleSetting, list[dict[str, object]]]:
    """Return what holds for an example, and its steps."""
    raw, given = example.raw, example.setting
    if isinstance(raw, dict) and "steps" in raw:
        own = {key: value for key, value in raw.items() if key != "steps"}
        try:
            changed = ExampleSetting.model_validate(own)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            hint = nearest(place, _SETTING) if first["type"] == "extra_forbidden" else ""
            raise ExampleError(f"{place}: {first['msg']}{hint}") from None
        given = given.model_copy(update={key: getattr(changed, key) for key in own})
        raw = raw["steps"]
    steps = raw if isinstance(raw, list) else [raw]
    if not steps or not all(isinstance(step, dict) and step for step in steps):
        raise ExampleError("an example is a call, a list of calls, or a map with 'steps'")
    return given, steps


def _canaries(setting: ExampleSetting) -> dict[str, CanaryValue]:
    found = {}
    for name, canary in setting.canaries.items():
        made = make_canary(name, canary.kind, 0, "examples")
        if canary.plant:
            made = replace(made, path=canary.plant.file or "", planted=True)
        found[name] = made
    return found


def _read_list(
    monitor: str, raw: Any, setting: ExampleSetting, document: Located, path: tuple[str | int, ...]
) -> list[Example]:
    """Return the examples of one monitor, each with the line on which it stands."""
    found = []
    for kind in KINDS:
        items = raw.get(kind) or ()
        for index, item in enumerate(items):
            file, line = document.place((*path, kind, index))
            found.append(Example(monitor, kind, file, line, item, setting))
    return found


def _setting(raw: Any, document: Located, path: tuple[str | int, ...]) -> ExampleSetting:
    try:
        return ExampleSetting.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = (*path, *first["loc"])
        message = f"{'.'.join(map(str, place))}: {first['msg']}"
        raise ScenarioError([document.problem(place, message)]) from None


def _of_functions(family: MonitorFamily) -> list[Example]:
    """Return the examples in ``EXAMPLES`` of a Python file: a YAML text, read without running it."""
    text, line = _literal(family.path)
    file = yaml_positions.display_path(family.path)
    if not text:
        return []
    document = yaml_positions.parse("\n" * (line - 1) + text, file)
    if not isinstance(document.data, dict):
        raise ScenarioError(
            [Problem(file, line, "EXAMPLES should be a map from monitor to examples")]
        )
    data = dict(document.data)
    given = _setting(data.pop("given", {}), document, ("given",))
    names = [monitor.name.partition(".")[2] for monitor in family.monitors]
    found: list[Example] = []
    for name, raw in data.items():
        if name not in names:
            message = f"there is no monitor {name!r}{nearest(name, names)}"
            raise ScenarioError([document.problem((name,), message)])
        if not isinstance(raw, dict) or not raw.keys() <= set(KINDS):
            raise ScenarioError([document.problem((name,), f"{name}: has 'fires' and 'passes'")])
        found += _read_list(f"{family.name}.{name}", raw, given, document, (name,))
    return found


def _literal(path: Path) -> tuple[str, int]:
    """Return the text that a module gives to ``EXAMPLES`` and its first line; empty without one."""
    for node in ast.parse(path.read_text("utf-8")).body:
        targets: Sequence[ast.expr] = node.targets if isinstance(node, ast.Assign) else ()
        named = any(isinstance(item, ast.Name) and item.id == "EXAMPLES" for item in targets)
        if named and isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            return str(node.value.value), node.value.lineno
    return "", 0
