"""Ranks, tests and intervals of scores."""
