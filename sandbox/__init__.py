"""Agent risk sandbox."""
