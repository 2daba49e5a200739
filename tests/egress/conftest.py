"""A network of its own for each test."""

from __future__ import annotations

import pytest

from tests.support.egress_client import Guest


@pytest.fixture
def guest() -> Guest:
    """A guest whose clients see the hosts of these tests."""
    return Guest()
