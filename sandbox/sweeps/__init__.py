"""Sweeps: a matrix of runs, planned in the store, executed, resumed, spread over a cluster."""
