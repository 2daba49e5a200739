"""Noop: the smallest tool there can be, to measure what a call costs by itself."""

from __future__ import annotations

from sandbox.sdk.tools import World, tool


@tool()
def add(world: World, x: int, y: int) -> str:
    """Add two numbers.

    Args:
        x: First number.
        y: Second number.
    """
    return str(x + y)
