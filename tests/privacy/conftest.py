"""A store of runs that were played, and of runs that were imported."""

from tests.support.mixed_store import mixed, mixed_file

__all__ = ["mixed", "mixed_file"]
