"""Rates, comparisons and detection figures, with their uncertainty."""
