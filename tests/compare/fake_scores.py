"""Score sets made from an array."""

import numpy as np

from segbench.compare.statistics.scores import Row, Scores


def make_scores(values, groups=None, larger=True):
    values = np.asarray(values, dtype=float)
    rows, methods, cases = values.shape
    return Scores(
        dataset="d",
        trained_on="d",
        split="test",
        methods=tuple(f"m{k}" for k in range(methods)),
        rows=tuple(Row("dice", f"c{k}") for k in range(rows)),
        cases=tuple(map(str, range(cases))),
        groups=np.arange(cases) if groups is None else np.asarray(groups),
        values=values,
        larger=np.full(rows, larger),
        absent=np.zeros((rows, methods), dtype=int),
        repeats=np.full((rows, methods, 1), np.nan),
    )
