"""Interoperability: traces from and for the programs of others."""
