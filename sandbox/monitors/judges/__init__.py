"""Judges: language models that are asked what they make of an agent's calls."""
