"""The Bayesian signed-rank test with a region of practical equivalence: a second opinion on what is relevant.

Source: Benavoli, Corani, Demsar and Zaffalon 2017, "Time for a change", JMLR 18(77), section 4.2; and Benavoli et al.
2014, ICML, theorem 1.
"""

from __future__ import annotations

import numpy as np

from segbench.compare.statistics.ties import Floats

PRIOR = 0.5
"""Weight of the prior's one pseudo-observation, a difference of 0."""
BLOCK = 2**21


def signed_rank_rope(
    differences: Floats, relevant: float, draws: int = 10_000, seed: int = 0
) -> tuple[float, float, float]:
    """Posterior probability that the first method is worse, equivalent, better by more than `relevant`.

    With weights w ~ Dirichlet(s, 1, .., 1) of the pseudo-observation 0 and the n differences z, a draw puts

        sum over i, j of w_i w_j [z_i + z_j < -2 r], [|z_i + z_j| <= 2 r], [z_i + z_j > 2 r]

    on the three; each probability is the share of draws in which its part is the largest.

    Args:
        differences: (n,) of the scores, first minus second, larger = better.
        relevant: r, the half width of the region.
        draws: of the weights.
        seed: of the draws.
    """
    values = np.sort(np.append(differences[~np.isnan(differences)], 0.0))
    prior = int(np.searchsorted(values, 0.0))
    shape = np.ones(len(values))
    shape[prior] = PRIOR
    below = np.searchsorted(values, -2 * relevant - values, side="left")  # z_j < -2 r - z_i
    within = np.searchsorted(values, 2 * relevant - values, side="right")  # z_j <= 2 r - z_i
    generator = np.random.default_rng(seed)
    won = np.zeros(3)
    block = max(1, BLOCK // len(values))
    for begin in range(0, draws, block):
        weights = generator.gamma(shape, size=(min(block, draws - begin), len(values)))
        weights /= weights.sum(axis=1, keepdims=True)
        reached = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights, axis=1)], axis=1)
        worse = (weights * reached[:, below]).sum(axis=1)
        not_better = (weights * reached[:, within]).sum(axis=1)
        parts = np.stack([worse, not_better - worse, 1 - not_better], axis=1)
        leads = parts == parts.max(axis=1, keepdims=True)
        won += (leads / leads.sum(axis=1, keepdims=True)).sum(axis=0)
    shares = won / draws
    return float(shares[0]), float(shares[1]), float(shares[2])
