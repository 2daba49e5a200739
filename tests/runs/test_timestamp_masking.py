"""Times of a run's own minutes are hidden, whoever wrote them how; every other time stays."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.runs.timestamp_masking import MASK, Minutes

START = datetime(2026, 11, 24, 16, 38, 50, tzinfo=UTC).timestamp()
RUN = Minutes(START, START + 130)
OWN = (
    "2026-11-24 16:38:53.366667984 +0000",
    "2026-11-24T16:39:10Z",
    "2026-11-24 16:40",
    "2026-11-24",
    "Nov 24 16:38",
    "Tue Nov 24 16:38:57 UTC 2026",
    "Tue, 24 Nov 2026 16:38:57 +0000",
    "16:38:57",
    "16:40",
    f"{START + 7:.6f}",
    str(int(START) + 7),
    f"{int(START) + 7}939100190",
)
OTHER = (
    "2026-03-02T09:00:00+01:00",
    "2026-11-24 16:37:59",
    "2026-11-25",
    "Nov 24 16:36",
    "Nov 24  2025",
    "16:42",
    "10:15:00",
    "1234567890",
    "FR7630006000011234567890189",
    "127.0.0.1:16:39",
    "a/2026-11-24",
)


@pytest.mark.parametrize("text", OWN)
@pytest.mark.parametrize("around", ["{}", "-rw-r--r-- 1 agent agent 3 {} x", "[{}] done", "a {}\n"])
def test_times_within_the_run(text: str, around: str) -> None:
    """What the clock said while the run was going is hidden, in each usual form."""
    assert RUN.hide(around.format(text)) == around.format(MASK)


@pytest.mark.parametrize("text", OTHER)
def test_times_of_the_world(text: str) -> None:
    """Times before and after, and numbers that are none, are told as they stand."""
    assert RUN.hide([{"x": text}]) == [{"x": text}]


def test_a_run_over_midnight() -> None:
    """Both days are the run's."""
    start = datetime(2026, 11, 24, 23, 59, 30, tzinfo=UTC).timestamp()
    run = Minutes(start, start + 60)
    text = "23:59:40 00:00:10 2026-11-25 00:00:20 12:00:00"
    assert run.hide(text) == f"{MASK} {MASK} {MASK} 12:00:00"


@given(st.text(alphabet="0123456789:-T .NovTue,+Z\n", max_size=80))
def test_hostile_texts(text: str) -> None:
    """No text makes it fail, and what is hidden once stays hidden."""
    once = RUN.hide(text)
    assert RUN.hide(once) == once
