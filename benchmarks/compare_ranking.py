"""The whole computation of a comparison on one core: 20 methods, 1,000 cases, 5 classes, 3 metrics.

All five rankings, 10,000 resamples of cases and three seeds of the four quick ones, intervals, every pair tested,
components of variance. Seconds of the processor, since others may use it too. Beside it, autorank's test of
one metric (one class after the other), which resamples nothing.

python benchmarks/compare_ranking.py [resamples]
"""

import contextlib
import io
import os
import resource
import sys
import time
import warnings

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
import pandas as pd

from segbench.compare.statistics.comparison import Settings, compare_scores
from segbench.compare.statistics.scores import Row, Scores

METHODS, CASES, CLASSES, METRICS = 20, 1000, 5, 3


def make_scores() -> Scores:
    """Methods a little apart, on cases that are hard for all or easy for all."""
    rng = np.random.default_rng(0)
    rows = CLASSES * METRICS
    hardness = rng.normal(0.8, 0.1, (rows, 1, CASES))
    values = hardness + rng.normal(0, 0.05, (rows, METHODS, CASES)) + np.linspace(0, 0.02, METHODS)[:, None]
    return Scores(
        dataset="benchmark",
        trained_on="benchmark",
        split="test",
        methods=tuple(f"method {k}" for k in range(METHODS)),
        rows=tuple(Row(f"metric {m}", f"class {c}") for m in range(METRICS) for c in range(CLASSES)),
        cases=tuple(map(str, range(CASES))),
        groups=np.arange(CASES),
        values=np.clip(values, 0, 1),
        seeds=np.clip(
            values + rng.normal(0, 0.01, (3, rows, METHODS, 1)) + rng.normal(0, 0.02, (3, *values.shape)), 0, 1
        ),
        larger=np.full(rows, True),
        absent=np.zeros((rows, METHODS), dtype=np.intp),
        repeats=rng.normal(0.8, 0.01, (rows, METHODS, 3)),
    )


def main() -> None:
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    scores = make_scores()
    start = time.process_time()
    comparison = compare_scores([scores], Settings(metrics=scores.metrics, bootstraps=draws))
    ours = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"segbench: {len(comparison.pairs):,} pairs tested, {draws:,} resamples of 4 rankings and the scores")
    print(f"          {ours:.2f} s on one core, {memory:.0f} MiB")

    from autorank import autorank

    start = time.process_time()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for values in scores.values[:CLASSES]:
            autorank(pd.DataFrame(values.T), force_mode="nonparametric", verbose=False)
    theirs = time.process_time() - start
    print(f"autorank: {theirs:.2f} s for one metric; ratio {ours / theirs:.2f} for three metrics with resampling")


if __name__ == "__main__":
    main()
