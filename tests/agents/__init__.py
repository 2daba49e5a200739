"""Tests of scaffolds."""
