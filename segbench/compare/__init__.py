"""Ranks of methods and the certainty of their order; needs neither torch nor a run directory."""

from segbench.compare.api import intervals, pairwise, rank, rank_sums

__all__ = ["intervals", "pairwise", "rank", "rank_sums"]
