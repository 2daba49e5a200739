"""Exports: the same stored runs in the formats of other programs."""
