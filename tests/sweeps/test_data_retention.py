"""Runs of sweeps say what their workspace says of personal data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sandbox.runs.data_retention import DAY
from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import Loader
from tests.support.sweeps import Sweeper


async def test_purpose_and_retention_of_a_sweep(sweeper: Sweeper, tmp_path: Path) -> None:
    """Purpose and retention of ``sandbox.yaml`` stand in every run of a sweep."""
    settings = "personal_data: {purpose: nightly evaluation, retain_days: 10}\n"
    (tmp_path / "sandbox.yaml").write_text(settings)
    placed = replace(sweeper, loader=Loader(Content(tmp_path)))
    await placed.execute(placed.create())
    (run,) = placed.store.runs()
    assert (run.purpose, run.retain_until) == ("nightly evaluation", run.started + 10 * DAY)
