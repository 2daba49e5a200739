"""Energy of answers: what EcoLogits knows, and None for all else."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from sandbox.models import energy


def test_a_known_model() -> None:
    """500 tokens of a large model take about a watt-hour, and twice as many twice that."""
    once = energy.estimate("openai/gpt-4o", 500, 60.0)
    twice = energy.estimate("openai/gpt-4o", 1000, 120.0)
    assert once is not None
    assert twice is not None
    assert 1e-4 < once < 1e-2
    assert twice == pytest.approx(2 * once, rel=0.1)


def test_open_weights_wherever_they_run() -> None:
    """A model with public weights is known by its name on a server of one's own."""
    name = "hosted_vllm/mistralai/Mistral-7B-Instruct-v0.3"
    assert energy.estimate(name, 500, 5.0, base_url="http://127.0.0.1:8000/v1")


@pytest.mark.parametrize(
    ("model", "base_url"),
    [
        ("openai/no-such-model", None),
        ("openai/gpt-4o", "http://127.0.0.1:8000/v1"),
        ("unknown/model", None),
        ("scripted/safe", None),
        ("", None),
    ],
)
def test_unknown_is_none(model: str, base_url: str | None) -> None:
    """What is not known is None, not 0; a server of one's own may call anything gpt-4o."""
    assert energy.estimate(model, 500, 5.0, base_url=base_url) is None


def test_what_a_kilowatt_hour_emits() -> None:
    """The factor is that of EcoLogits' table for France, with its source."""
    mix = energy.mix()
    assert mix is not None
    assert mix.grams == pytest.approx(41.44)
    assert mix.source.startswith("EcoLogits ")


def test_logging_stays_as_it_was() -> None:
    """EcoLogits would put a class of its own in place for all loggers of the process."""
    program = (
        "import json, logging; from sandbox.models import energy;"
        "energy.estimate('openai/none', 5, 1.0);"
        "print(json.dumps([logging.getLoggerClass().__name__]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [logging.Logger.__name__]
    assert done.stderr == ""
