"""The public face: scenarios and sweeps run from Python, and frames of what the store holds.

A thin layer over the engine, which the command line uses too. ``import sandbox`` names all of it.
"""
