"""The trace: what happened in a run, as a chain of events that shows any later change."""
