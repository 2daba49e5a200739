"""Scenarios: their files, loading and checking, worlds, toolkits, taxonomies."""
