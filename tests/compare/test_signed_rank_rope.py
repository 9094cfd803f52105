"""The Bayesian signed-rank test against its formula written out, and where its answer is known."""

import numpy as np
import pytest

from segbench.compare.statistics.signed_rank_rope import signed_rank_rope


def by_the_formula(differences, relevant, draws, seed):
    values = np.append(0.0, differences)
    weights = np.random.default_rng(seed).dirichlet([0.5, *[1.0] * len(differences)], draws)
    sums = values[:, None] + values[None]
    parts = np.stack(
        [
            np.einsum("bi,bj,ij->b", weights, weights, region.astype(float))
            for region in (sums < -2 * relevant, np.abs(sums) <= 2 * relevant, sums > 2 * relevant)
        ]
    )
    return np.bincount(parts.argmax(axis=0), minlength=3) / draws


@pytest.mark.parametrize(("shift", "relevant"), [(0.0, 0.005), (0.01, 0.005), (-0.02, 0.01), (0.003, 0.0)])
def test_it_is_the_formula(shift, relevant):
    differences = np.random.default_rng(3).normal(shift, 0.02, 17)
    found = signed_rank_rope(differences, relevant, draws=20_000)
    assert found == pytest.approx(by_the_formula(differences, relevant, 20_000, 1).tolist(), abs=0.015)
    assert sum(found) == pytest.approx(1)


def test_what_is_certain():
    rng = np.random.default_rng(0)
    assert signed_rank_rope(rng.normal(0.1, 0.01, 30), 0.01, 2000)[2] > 0.99
    assert signed_rank_rope(rng.normal(-0.1, 0.01, 30), 0.01, 2000)[0] > 0.99
    assert signed_rank_rope(rng.normal(0, 0.001, 30), 0.01, 2000)[1] > 0.99
    better = signed_rank_rope(rng.normal(0.01, 0.02, 20), 0.0)
    assert better[0] + better[2] == pytest.approx(1, abs=0.01)
