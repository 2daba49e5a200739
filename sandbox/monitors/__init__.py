"""Monitors: what judges every call, by rules, by Python functions, by language models."""
