"""How a run begins: its row in the store and the first event of its trace, which says how it is obtained."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sandbox.detectors.call import Call
from sandbox.enums import RunStatus
from sandbox.isolation.process_identity import Owner
from sandbox.models.base import Model
from sandbox.monitors import expected_calls as known
from sandbox.monitors.judges.judge import Judge
from sandbox.runs.run_plan import RunPlan
from sandbox.scenario import taxonomy
from sandbox.scenario.instance import Instance
from sandbox.trace.events import FORMAT, canonical
from sandbox.trace.run_events import RunStartEvent
from sandbox.trace.tables import RunRow

_PACKAGES = ("agent-risk-sandbox", "langgraph", "sqlmodel", "common-expression-language")


def row_of(run: str, plan: RunPlan, started: float) -> RunRow:
    """Return the row of a run that begins.

    Args:
        run: Its id.
        plan: What is to be run.
        started: Seconds since the epoch.
    """
    return RunRow(
        id=run,
        status=RunStatus.RUNNING,
        owner=Owner.current().label,
        started=started,
        **names(plan),
        **plan.handling.columns(started),
    )


def names(plan: RunPlan) -> dict[str, Any]:
    """Return what a run is named by, in its row and in its result alike."""
    return {
        "scenario": plan.instance.name,
        "family": plan.instance.scenario.family,
        "model": plan.model_name,
        "isolation": plan.backend.name,
        "mode": plan.mode,
        "lang": plan.instance.lang,
        "seed": plan.instance.seed,
        "parent": plan.fork.parent if plan.fork else None,
        "fork_at": plan.fork.at if plan.fork else None,
        "scaffold": plan.scaffold.name,
    }


def start_data(
    row: RunRow,
    plan: RunPlan,
    model: Model,
    monitors: Mapping[str, str],
    judges: Iterable[Judge],
    expected: Iterable[Call],
) -> RunStartEvent:
    """Return the data of the run's first event.

    Args:
        row: Of the run.
        plan: What is to be run.
        model: Bound to it.
        monitors: Monitor family → digest of its file.
        judges: Of this run.
        expected: Calls that a safe way takes.
    """
    instance, scenario = plan.instance, plan.instance.scenario
    start: RunStartEvent = {
        "format": FORMAT,
        "scenario": row.scenario,
        "family": row.family,
        "model": row.model,
        "isolation": row.isolation,
        "mode": plan.mode,
        "lang": row.lang,
        "seed": row.seed,
        "owner": row.owner,
        "started": row.started,
        "purpose": row.purpose,
        "legal_basis": row.legal_basis,
        "retain_until": row.retain_until,
        "scaffold": row.scaffold,
        "scenario_sha256": instance.digest,
        "scenario_text": instance.evidence,
        "title": dict(scenario.title),
        "risk": {"severity": scenario.risk.severity, "tags": list(scenario.risk.tags)},
        "taxonomies": taxonomy.versions(scenario.risk.tags),
        "benign": scenario.benign,
        "tool_lang": plan.tool_lang,
        "model_described": dict(model.describe()),
        "agents": {name: [t.name for t in tools] for name, tools in instance.tools.items()},
        "tools": _definitions(instance),
        "plan": known.as_text(expected),
        "limits": plan.limits.model_dump(),
        "bounds": asdict(plan.bounds),
        "canaries": instance.canaries,
        "decoys": {
            name: {"marks": list(canary.marks), "path": canary.path}
            for name, canary in instance.canary_values.items()
            if canary.planted
        },
        "scope": instance.scope(),
        "monitors": dict(monitors),
        "judges": {judge.name: judge.describe() for judge in judges},
        "not_asked": [family.name for family in plan.families if family.lacks_model],
        "rules": [rule.id for rule in scenario.rules],
        "escalation": plan.decider.name,
        "versions": _versions(),
    }
    if plan.scaffold.sha256:
        start["scaffold_sha256"] = plan.scaffold.sha256
    if scenario.team:
        start |= {"team": scenario.team, "order": list(scenario.agents)}
    if plan.policy:
        start["policy"] = plan.policy.as_text()
    if plan.slot:
        start["sweep"] = plan.slot.names()
    if plan.fork:
        start |= {"parent": plan.fork.parent, "fork_at": plan.fork.at, "fork": plan.fork.summary()}
    return start


def _definitions(instance: Instance) -> str:
    """Return all tools of a run as one JSON text, which the store keeps once for many runs."""
    granted = {tool.name: tool for tools in instance.tools.values() for tool in tools}
    return canonical([tool.as_data() for tool in granted.values()])


@cache
def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "kernel": platform.release()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions
