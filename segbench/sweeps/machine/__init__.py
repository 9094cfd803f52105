"""Sweeps on one machine."""
