"""Imports: each format is read by one module into the same form, and stored as normal runs."""
