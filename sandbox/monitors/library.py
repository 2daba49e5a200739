"""Finding monitors by name: a family is a file in ``monitors/``: YAML rules, Python, a judge."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from pydantic import Field

from sandbox.errors import InputError, Problem, ScenarioError, nearest
from sandbox.monitors.judges import loading as judges
from sandbox.monitors.judges.judge import Judge as ModelJudge
from sandbox.monitors.judges.judge_pool import JudgePool
from sandbox.monitors.monitor import Monitor
from sandbox.monitors.policy import Policy
from sandbox.monitors.policy import read as read_policy
from sandbox.monitors.python_monitor import (
    MonitorFunction,
    MonitorMark,
    PythonMonitor,
    SandboxedMonitor,
    summary,
)
from sandbox.monitors.rules import SCENARIO_FAMILY, scenario_rules
from sandbox.scenario import yaml_positions
from sandbox.scenario.checks import rule_problems
from sandbox.scenario.content_paths import Content, library
from sandbox.scenario.localized_text import Text, in_language
from sandbox.scenario.schema import ExampleSetting, Rule
from sandbox.scenario.toolkits import Catalogue
from sandbox.scenario.validation import Strict, validate

POLICIES = "monitors/policies"
"""Folder of policies; their names are their files'."""
CALIBRATIONS = "monitors/calibrations"


class RuleFile(Strict):
    """A family of rules."""

    schema_: int = Field(alias="schema", ge=1, le=1)
    """Version of the format."""
    title: Text
    """One line for people."""
    macros: dict[str, str] = Field(default_factory=dict)
    """Name, or name(parameter, …) → the expression that conditions use by that name."""
    examples: ExampleSetting = Field(default_factory=ExampleSetting)
    """What holds in all examples of this file."""
    rules: tuple[Rule, ...] = Field(min_length=1)


@dataclass(frozen=True)
class MonitorFamily:
    """Monitors that belong together."""

    name: str
    title: str
    path: Path
    digest: str
    """SHA-256 of the file, in hex; stored with every run."""
    monitors: tuple[Monitor, ...]
    judges: tuple[ModelJudge, ...] = ()
    """Monitors that a model stands behind; a family has either these or the others."""

    @property
    def members(self) -> tuple[Monitor | ModelJudge, ...]:
        """Its monitors, whatever stands behind them."""
        return (*self.monitors, *self.judges)

    @property
    def lacks_model(self) -> bool:
        """True for a judge that has no model: it is not asked, and no run counts it as watching."""
        return bool(self.judges) and not any(judge.models for judge in self.judges)


class MonitorLibrary:
    """The monitors that one workspace sees."""

    def __init__(
        self, content: Content, catalogue: Catalogue, pool: JudgePool | None = None
    ) -> None:
        self._content = content
        self._files = content.files("monitors", (".yaml", ".py"))
        self._catalogue = catalogue
        self._pool = pool or JudgePool()
        self._families: dict[str, MonitorFamily] = {}

    def with_judges(self, pool: JudgePool) -> MonitorLibrary:
        """Return the same monitors with other models for the judges among them."""
        return MonitorLibrary(self._content, self._catalogue, pool)

    def names(self) -> tuple[str, ...]:
        """Return the names of all families."""
        return tuple(sorted(self._files))

    def family(self, name: str) -> MonitorFamily:
        """Return a family by name.

        Raises:
            InputError: There is none of that name.
            ScenarioError: Its file cannot be used.
        """
        if name not in self._files:
            raise InputError(f"unknown monitor {name!r}{nearest(name, self._files)}")
        if name not in self._families:
            path = self._files[name]
            self._families[name] = (
                self._python(name, path) if path.suffix == ".py" else self._rules(name, path)
            )
        return self._families[name]

    def choose(self, names: Sequence[str] | None) -> tuple[MonitorFamily, ...]:
        """Return families by name, or all of them for None."""
        return tuple(self.family(name) for name in (self.names() if names is None else names))

    def policies(self) -> dict[str, Path]:
        """Return the files of all policies by name."""
        return self._content.files(POLICIES, (".yaml",))

    def policy(self, wanted: str) -> Policy:
        """Return a policy by name, or by the path of its file.

        Raises:
            InputError: There is none of that name.
            ScenarioError: Its file cannot be used.
        """
        known = self.policies()
        path = known.get(wanted) or Path(wanted)
        if not path.is_file():
            raise InputError(f"unknown policy {wanted!r}{nearest(wanted, known)}")
        document = yaml_positions.load(path)
        named = document.data.get("calibration") if isinstance(document.data, dict) else None
        made = self._calibration(named, path) if isinstance(named, str) else None
        if isinstance(named, str) and made is None:
            known = self._content.files(CALIBRATIONS, (".json",))
            problem = f"unknown calibration {named!r}{nearest(named, known)}"
            raise ScenarioError([document.problem(("calibration",), problem)])
        policy = read_policy(path.stem, path.read_text("utf-8"), document, made or "")
        names = [m.name for family in self._contributors(policy) for m in family.members]
        for name in policy.contributors:
            if name not in names and not name.startswith(f"{SCENARIO_FAMILY}."):
                problem = f"the calibration weighs {name!r}, which is no monitor"
                problem += nearest(name, names or self.names())
                raise ScenarioError([document.problem(("calibration",), problem)])
        return policy

    def with_contributors(
        self, families: Sequence[MonitorFamily], policy: Policy | None
    ) -> tuple[MonitorFamily, ...]:
        """Return families with those that a policy needs and that are not among them."""
        if policy is None:
            return tuple(families)
        there = {family.name for family in families}
        needed = (family for family in self._contributors(policy) if family.name not in there)
        return (*families, *needed)

    def _contributors(self, policy: Policy) -> list[MonitorFamily]:
        return [self.family(name) for name in policy.families if name in self._files]

    def _calibration(self, named: str, path: Path) -> str | None:
        """Return the text of a calibration by name, or by its path from the policy's file."""
        beside = path.parent / named
        file = self._content.files(CALIBRATIONS, (".json",)).get(named) or beside
        try:
            return file.read_text("utf-8") if file.is_file() else None
        except (OSError, ValueError):
            return None

    def _rules(self, name: str, path: Path) -> MonitorFamily:
        document = yaml_positions.load(path)
        if judges.is_judge(document):
            judge, digest = judges.load(name, path, document, self._catalogue, self._pool)
            return MonitorFamily(name, judge.summary, path, digest, (), (judge,))
        file = validate(RuleFile, document)
        macros = tuple(file.macros.items())
        problems = list(rule_problems(file.rules, macros, document, self._catalogue))
        if problems:
            raise ScenarioError(problems)
        monitors = scenario_rules(file.rules, name, macros)
        return MonitorFamily(name, in_language(file.title, "en"), path, _digest(path), monitors)

    def _python(self, name: str, path: Path) -> MonitorFamily:
        try:
            module = _module(name, path)
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            if isinstance(error, ImportError) and str(error.name).startswith("sandbox."):
                message += "; monitors import from sandbox.sdk.monitors: see docs/sdk.md"
            raise ScenarioError([Problem(str(path), _line(error, path), message)]) from error
        own = path.resolve().is_relative_to(library())
        monitors: tuple[Monitor, ...] = tuple(
            PythonMonitor(f"{name}.{key}", function, marked, trusted=True)
            if own
            else SandboxedMonitor(f"{name}.{key}", path, marked, summary(function))
            for key, function, marked in _python_monitors(module)
        )
        title = (module.__doc__ or name).strip().splitlines()[0]
        return MonitorFamily(name, title, path, _digest(path), monitors)


def functions(name: str, path: Path) -> dict[str, MonitorFunction]:
    """Return the marked functions of a Python file by name; it is run for that.

    Raises:
        Exception: Whatever the file raises.
    """
    return {key: function for key, function, _ in _python_monitors(_module(name, path))}


def _module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"sandbox_monitors_{name}", path)
    if spec is None or spec.loader is None:
        raise ImportError("cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look up the names in annotations
    spec.loader.exec_module(module)
    return module


def _python_monitors(module: ModuleType) -> Iterator[tuple[str, MonitorFunction, MonitorMark]]:
    for key, value in vars(module).items():
        if isinstance(marked := getattr(value, "__monitor__", None), MonitorMark):
            yield key, value, marked


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _line(error: Exception, path: Path) -> int:
    """Return the last line of a file that an error went through; 0 if it is none of its own."""
    frames = extract_tb(error.__traceback__)
    return next((f.lineno or 0 for f in reversed(frames) if f.filename == str(path)), 0)
