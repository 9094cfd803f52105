"""The share of simulated methods whose true mean (median, pass rate) the intervals of the comparison cover.

A nominal 95 % interval is to cover in 95 of 100 samples of n test cases. Beside the interval that segbench chooses
stand the usual ones, with the median of their widths by the first: the price of covering more.

python benchmarks/interval_coverage.py [samples]
"""

import os
import sys
from collections.abc import Callable

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np

from segbench.compare.statistics.interval_methods import bca, bootstrap_t, clopper_pearson, percentile, student
from segbench.compare.statistics.intervals import mean_intervals
from segbench.compare.statistics.ranking import weighted_median
from segbench.compare.statistics.scales import LOG, LOGIT, PLAIN, Scale
from segbench.compare.statistics.units import Contributions

SIZES = (3, 6, 12, 20, 34, 60, 200)
DRAWS = 2000
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def failing_dice(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return np.where(rng.random(shape) < 0.08, rng.beta(1, 6, shape), rng.beta(20, 3, shape))


DISTRIBUTIONS: dict[str, tuple[Draw, float, Scale]] = {
    "Dice, 8 % of cases fail": (failing_dice, 0.08 / 7 + 0.92 * 20 / 23, LOGIT),
    "Dice, tight": (lambda rng, shape: rng.beta(60, 5, shape), 60 / 65, LOGIT),
    "HD95, log-normal, sd 1.0": (lambda rng, shape: rng.lognormal(1.5, 1.0, shape), float(np.exp(2.0)), LOG),
    "HD95, log-normal, sd 0.7": (lambda rng, shape: rng.lognormal(1.5, 0.7, shape), float(np.exp(1.745)), LOG),
    "normal": (lambda rng, shape: rng.normal(0.0, 1.0, shape), 0.0, PLAIN),
}
"""Scores, their true mean and the scale that they are treated on."""


def chosen(units: np.ndarray, scale: Scale, confidence: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    parts = Contributions.of(units[None], None)
    found = mean_intervals(parts, [scale], [False], confidence=confidence, draws=DRAWS, seed=seed)
    return found.low[0], found.high[0]


def covered(ends: tuple[np.ndarray, np.ndarray], truth: float) -> float:
    return 100 * float(np.mean((ends[0] <= truth) & (truth <= ends[1])))


def coverages(samples: int, size: int, draw: Draw, truth: float, scale: Scale) -> dict[str, tuple[float, float]]:
    """Coverage in per cent and median width of every interval of a mean."""
    rng = np.random.default_rng([size, samples])
    units = draw(rng, (samples, size))
    ends = {
        "chosen": chosen(units, scale, 0.95),
        "percentile": percentile(units, 0.95, DRAWS, rng),
        "BCa": bca(units, 0.95, DRAWS, rng),
        "t": student(units, PLAIN, 0.95),
        "t on the scale": student(units, scale, 0.95),
        "bootstrap-t": bootstrap_t(units, PLAIN, 0.95, DRAWS, rng),
        "bootstrap-t on the scale": bootstrap_t(units, scale, 0.95, DRAWS, rng),
    }
    return {name: (covered(pair, truth), float(np.median(pair[1] - pair[0]))) for name, pair in ends.items()}


def median_coverage(samples: int, size: int) -> float:
    """Coverage of the percentile interval of the median of Dice with failures."""
    rng = np.random.default_rng([size, 1])
    truth = float(np.median(failing_dice(np.random.default_rng(0), (1, 1_000_001))))
    times = rng.multinomial(size, np.full(size, 1 / size), DRAWS).astype(float)
    medians = weighted_median(failing_dice(rng, (samples, size)), times)
    low, high = np.quantile(medians, [0.025, 0.975], axis=0)
    return covered((low, high), truth)


def proportion_coverage(samples: int, size: int, rate: float) -> float:
    """Coverage of the exact interval of a pass rate."""
    passed = np.random.default_rng([size, 2]).binomial(size, rate, samples).astype(float)
    return covered(clopper_pearson(passed, size, 0.95), rate)


def main() -> None:
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    names = ["chosen", "percentile", "BCa", "t", "t on the scale", "bootstrap-t", "bootstrap-t on the scale"]
    print(f"Coverage of 95 % intervals of the mean in per cent, {samples:,} samples; in brackets width by `chosen`\n")
    print("| scores | n | " + " | ".join(names) + " |\n| --- | ---: |" + " ---: |" * len(names))
    for label, (draw, truth, scale) in DISTRIBUTIONS.items():
        for size in SIZES:
            found = coverages(samples, size, draw, truth, scale)
            width = found["chosen"][1]
            cells = [f"{found[name][0]:.1f} ({found[name][1] / width:.2f})" for name in names[1:]]
            print(f"| {label} | {size} | **{found['chosen'][0]:.1f}** | " + " | ".join(cells) + " |", flush=True)
    print("\nThe median (percentile), and pass rates (Clopper and Pearson)\n")
    print("| n | median of Dice, 8 % of cases fail | pass rate 0.95 | pass rate 0.8 |\n| ---: | ---: | ---: | ---: |")
    for size in SIZES[1:]:
        rates = [f"{proportion_coverage(samples, size, rate):.1f}" for rate in (0.95, 0.8)]
        print(f"| {size} | {median_coverage(samples, size):.1f} | " + " | ".join(rates) + " |", flush=True)


if __name__ == "__main__":
    main()
