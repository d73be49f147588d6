"""Scaling laws: forms, solver, bootstrap, intervals, warnings."""
