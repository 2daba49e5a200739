"""What a toolkit imports. It runs inside a container, with Python's standard library and nothing else.

A toolkit is one Python file in ``tools/``; see ``docs/tools.md``.
"""

from sandbox.guest.toolkit import Completed, ToolError, World, best_matches, closest, fold, tool

__all__ = ["Completed", "ToolError", "World", "best_matches", "closest", "fold", "tool"]
