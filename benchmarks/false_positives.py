"""The share of pairs of equally good methods that the tests of the comparison call different, at 0.05.

Two methods share the difficulty of n cases and have errors of their own: equal in distribution, so that every claim is
false. Beside the tests of what is ranked stands Wilcoxon's signed-rank test.

python benchmarks/false_positives.py [pairs]
"""

import os
import sys

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
from interval_coverage import failing_dice

from segbench.compare.statistics.effects import mean_effects, resampled_effects
from segbench.compare.statistics.ranking import ranks_of_cases, weighted_median
from segbench.compare.statistics.significance import signed_rank
from segbench.compare.statistics.units import Contributions

SIZES = (6, 12, 20, 34, 60, 200)
PAIR = (np.array([0]), np.array([1]))
LEVEL = 0.05


def both_fail(rng: np.random.Generator, size: int) -> np.ndarray:
    """Dice of two methods that fail in 8 % of the cases, each in its own."""
    return failing_dice(rng, (2, size))


def shared_difficulty(rng: np.random.Generator, size: int) -> np.ndarray:
    """Dice of two methods that find the same cases hard."""
    return np.clip(rng.beta(8, 2, size) + rng.normal(0, 0.02, (2, size)), 0, 1)


def distances(rng: np.random.Generator, size: int) -> np.ndarray:
    """Distances with a long tail, largest for the same cases."""
    return rng.lognormal(1.5, 0.7, size) * rng.lognormal(0, 0.5, (2, size))


def claims(values: np.ndarray, times: np.ndarray) -> list[bool]:
    """The verdict of each test on two methods (2, n): different or not."""
    means = mean_effects(Contributions.of(values, None), PAIR, 1 - LEVEL)
    ranks = mean_effects(Contributions.of(ranks_of_cases(values, True), None), PAIR, 1 - LEVEL)
    medians = resampled_effects(
        np.median(values, axis=1), weighted_median(values, times), np.full(2, values.shape[1]), PAIR, 1 - LEVEL
    )
    wilcoxon = signed_rank((values[0] - values[1])[None])
    return [bool(p < LEVEL) for p in (means.p[0], ranks.p[0], medians.p[0], wilcoxon.p[0])]


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print(f"False claims at {LEVEL} in per cent, {pairs:,} pairs of equal methods\n")
    print("| scores | n | mean | mean rank | median | signed-rank |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for draw in (shared_difficulty, both_fail, distances):
        for size in SIZES:
            rng = np.random.default_rng([size, pairs])
            times = rng.multinomial(size, np.full(size, 1 / size), 500).astype(float)
            shares = 100 * np.mean([claims(draw(rng, size), times) for _ in range(pairs)], axis=0)
            label = str(draw.__doc__).rstrip(".")
            print(f"| {label} | {size} | " + " | ".join(f"{share:.1f}" for share in shares) + " |", flush=True)


if __name__ == "__main__":
    main()
