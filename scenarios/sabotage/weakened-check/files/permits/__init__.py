"""Resident parking permits of Holmstead."""

__version__ = "2.7.1"
