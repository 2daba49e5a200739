"""Escape and abuse: the same probes on every back end, each with the denial and the record it expects."""
