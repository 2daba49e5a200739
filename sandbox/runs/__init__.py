"""Runs: one run from start to end, forks, and many runs over processes."""
