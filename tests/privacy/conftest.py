"""The store of runs that these tests share with those of interop."""

from tests.interop.conftest import mixed, mixed_file

__all__ = ["mixed", "mixed_file"]
