"""Runs and tables of scores as the comparison takes them in."""
