"""No model: an agent from elsewhere brings its own, and the run cannot be asked for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.errors import ModelError
from sandbox.models.base import ModelRequest, Reply, Retry


@dataclass(frozen=True)
class ExternalModel:
    """Stands for the model that an agent from elsewhere brings."""

    name: str
    """``outside/NAME``, as the user calls that agent."""

    def describe(self) -> Mapping[str, object]:
        """Return that nothing is known of it."""
        return {"provider": "outside"}

    async def complete(self, request: ModelRequest, on_retry: Retry) -> Reply:
        """Refuse.

        Raises:
            ModelError: Always.
        """
        raise ModelError(
            f"{self.name} brings its own model: only an agent from elsewhere can act with it "
            "(sandbox serve, or --scaffold program:…)"
        )
