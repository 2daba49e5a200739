"""Faults of the host: engine, disk, locks, clock, signals, memory, and many at once."""
