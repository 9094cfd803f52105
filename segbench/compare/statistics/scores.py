"""The scores of one data set as an array: rows (a metric of a class) x methods x cases.

Seeds of one method are averaged per case, and folds fall into place, since each case is a test case
of one fold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segbench.compare.statistics.ties import Bools, Floats
from segbench.errors import UserError
from segbench.runs.criterion import DIRECTIONS

Missing = Literal["worst", "drop"] | float | None
Absent = Literal["ignore", "perfect"]

MEAN_OF_CLASSES = "mean of classes"
ALL_DATA_SETS = "all data sets"
ALL_CLASSES = "all classes"
FEW_GROUPS = 5
"""Fewer groups than this cannot be resampled: cases are, and it is said that this understates."""
LISTED = 5


class Row(NamedTuple):
    """One metric of one class: a row of the ranking."""

    metric: str
    label: str


@dataclass(frozen=True)
class Scores:
    """All scores of one data set.

    Attributes:
        dataset: where the cases are from.
        trained_on: the data set that the methods were trained on; another one than `dataset` where
            the cases are of a data set unseen in training.
        split: "test" or "unseen".
        methods: (M).
        rows: (R).
        cases: (N).
        groups: (N,) group number of each case.
        values: (R, M, N) mean over the seeds, NaN = no score.
        larger: (R,) whether a larger score is better.
        absent: (R, M) cases in which reference and prediction both lack the class.
        repeats: (R, M, S) mean over the cases of each of S repetitions (seeds), NaN where not run.
        lopsided: cases and rows in which some methods rightly predict nothing and others do not.
        folds: (N,) number of the fold that each case is tested in; None where there is one, or folds share cases.
        seeds: (S, R, M, N) the scores of each repetition where there are several, NaN where not run.
    """

    dataset: str
    trained_on: str
    split: str
    methods: tuple[str, ...]
    rows: tuple[Row, ...]
    cases: tuple[str, ...]
    groups: NDArray[np.intp]
    values: Floats
    larger: Bools
    absent: NDArray[np.intp]
    repeats: Floats
    lopsided: int = 0
    folds: NDArray[np.intp] | None = None
    seeds: Floats | None = None
    grouped: bool = field(init=False)

    def __post_init__(self) -> None:
        count = len(set(self.groups.tolist()))
        object.__setattr__(self, "grouped", FEW_GROUPS <= count < len(self.cases))

    @property
    def name(self) -> str:
        """The data set's name in a table."""
        return self.dataset if self.split == "test" else f"{self.dataset} (unseen, trained on {self.trained_on})"

    @property
    def units(self) -> NDArray[np.intp] | None:
        """Group of each case where groups are what is independent, None where cases are."""
        return self.groups if self.grouped else None

    @property
    def drawn(self) -> NDArray[np.intp]:
        """(N,) number of what the bootstrap draws: groups, or cases."""
        return self.groups if self.grouped else np.arange(len(self.cases))

    @property
    def unit_folds(self) -> NDArray[np.intp] | None:
        """Fold of each independent unit; None where cases were not cross-validated."""
        if self.folds is None or not self.grouped:
            return self.folds
        folds = np.zeros(int(self.groups.max()) + 1, dtype=np.intp)
        folds[self.groups] = self.folds
        return folds

    def only(self, metrics: Sequence[str]) -> Scores:
        """The rows of these metrics."""
        rows = self.chosen(metrics)
        kept = {name: getattr(self, name)[rows] for name in ("values", "larger", "absent", "repeats")}
        kept["seeds"] = None if self.seeds is None else self.seeds[:, rows]
        return replace(self, rows=tuple(r for r, keep in zip(self.rows, rows, strict=True) if keep), **kept)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Each metric once, in the order of the rows."""
        return tuple(dict.fromkeys(row.metric for row in self.rows))

    def chosen(self, metrics: Sequence[str]) -> Bools:
        """(R,) true for the rows of these metrics."""
        return np.array([row.metric in metrics for row in self.rows])


def tabulate(
    frame: pd.DataFrame,
    better: Mapping[str, str],
    *,
    missing: Missing = None,
    absent: Absent = "ignore",
) -> list[Scores]:
    """Put a table of scores, one to a line, into arrays.

    Args:
        frame: columns method (where categorical, in the order of its categories), case, value; and where
            known dataset, trained_on, split, seed, fold, group, class, metric, n_ref, n_pred (pixels or
            objects in reference and prediction).
        better: for each metric, "larger" or "smaller"; its order is that of the rows.
        missing: what a score counts that a method lacks: "worst" (0 where larger is better, if nothing
            is below; else the worst of the class), "drop" (leave it out), a number, or None: refuse.
        absent: what a case counts whose reference and prediction both lack the class: "ignore"
            (nothing, as in the runs' own means) or "perfect" (1 where larger is better, else 0).

    Returns:
        One set for each data set, data sets seen in training first.

    Raises:
        UserError: if a column is missing, a score is and `missing` is None, or it is not known which way a metric is
            better.
    """
    frame = completed(frame)
    for metric in frame["metric"].unique():
        if metric not in better:
            raise UserError(
                f"metric '{metric}': not known whether larger or smaller is better;"
                f" say better={{{metric}: larger}} or better={{{metric}: smaller}}"
            )
        if better[metric] not in DIRECTIONS:
            raise UserError(f"metric '{metric}': better={better[metric]} must be {' or '.join(DIRECTIONS)}")
    named = frame["method"]
    methods = list(
        named.cat.remove_unused_categories().cat.categories if named.dtype == "category" else dict.fromkeys(named)
    )
    frame = frame.assign(method=pd.Categorical(named, categories=methods))
    keys = frame[["split", "trained_on", "dataset"]].drop_duplicates().itertuples(index=False)
    ordered = sorted(keys, key=lambda key: key.split != "test")
    by_key = frame.groupby(["split", "trained_on", "dataset"], observed=True, sort=False)
    return [_one_set(by_key.get_group(tuple(key)), better, missing, absent) for key in ordered]


def completed(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with every column that `tabulate` reads.

    Raises:
        UserError: if method, case or value is not there, or a value is infinite.
    """
    for column in ("method", "case", "value"):
        if column not in frame:
            raise UserError(f"scores: column '{column}' is missing; there are {', '.join(map(str, frame.columns))}")
    if np.isinf(frame["value"].to_numpy(dtype=np.float64)).any():
        raise UserError("scores: column 'value' has an infinite number; leave it empty where nothing was measured")
    frame = frame.copy(deep=False)
    defaults: dict[str, Any] = {
        "dataset": "data",
        "split": "test",
        "seed": 0,
        "fold": 0,
        "class": "all",
        "metric": "score",
    }
    for name in ("n_ref", "n_pred", *defaults):
        if name not in frame:
            frame[name] = defaults.get(name, np.nan)
    for name, of in (("trained_on", "dataset"), ("group", "case")):
        if name not in frame:
            frame[name] = frame[of]
    return frame


def _one_set(frame: pd.DataFrame, better: Mapping[str, str], missing: Missing, absent: Absent) -> Scores:
    first = frame.iloc[0]
    case, cases = _numbered(frame["case"])
    metric, metrics = _numbered(frame["metric"])
    label, labels = _numbered(frame["class"])
    present = np.zeros((len(metrics), len(labels)), dtype=bool)
    present[metric, label] = True
    order = [metrics.index(name) for name in better if name in metrics]
    places = [(m, c) for m in order for c in range(len(labels)) if present[m, c]]
    rows = tuple(Row(metrics[m], labels[c]) for m, c in places)
    number = np.full(present.shape, -1)
    number[tuple(np.transpose(places))] = np.arange(len(places))
    row = number[metric, label]
    method = frame["method"].cat.codes.to_numpy().astype(np.intp)
    shape = (len(rows), len(frame["method"].cat.categories), len(cases))
    cell = np.ravel_multi_index((row, method, case), shape)

    value = frame["value"].to_numpy(dtype=np.float64)
    larger = np.array([better[r.metric] == "larger" for r in rows])
    is_absent = np.isnan(value) & (frame["n_ref"].to_numpy() == 0) & (frame["n_pred"].to_numpy() == 0)
    absences = np.bincount(cell[is_absent], minlength=np.prod(shape)).reshape(shape)
    if absent == "perfect":
        value = np.where(is_absent, np.where(larger[row], 1.0, 0.0), value)
    values = _means(value, cell, shape)
    repeat = _repetitions(frame, cell)
    count = int(repeat.max()) + 1
    repeated = (*shape[:2], count)
    of_repetition = cell + repeat * np.prod(shape)
    group, _ = _numbered(frame["group"])
    groups = np.zeros(len(cases), dtype=np.intp)
    groups[case[::-1]] = group[::-1]
    scored = ~np.isnan(values)
    lopsided = (~scored & (absences > 0)).any(axis=1) & scored.any(axis=1)
    run_at_all = np.bincount(method, minlength=shape[1]) > 0 if first["split"] == "unseen" else np.ones(shape[1], bool)
    lacking = ~scored & (absences == 0) & scored.any(axis=1, keepdims=True) & run_at_all[None, :, None]
    scores = Scores(
        dataset=str(first["dataset"]),
        trained_on=str(first["trained_on"]),
        split=str(first["split"]),
        methods=tuple(map(str, frame["method"].cat.categories)),
        rows=rows,
        cases=tuple(cases),
        groups=np.unique(groups, return_inverse=True)[1],
        values=values,
        larger=larger,
        absent=absences.astype(bool).sum(axis=2),
        repeats=_means(value, np.ravel_multi_index((row, method, repeat), repeated), repeated),
        lopsided=int(np.count_nonzero(lopsided)),
        folds=_folds(frame["fold"], case),
        seeds=_means(value, of_repetition, (count, *shape)) if count > 1 else None,
    )
    return replace(scores, values=_filled(scores, lacking, missing))


def _numbered(column: pd.Series) -> tuple[NDArray[np.intp], list[str]]:
    """Number of each entry, by order of appearance, and what the numbers stand for."""
    codes, texts = pd.factorize(column)
    return codes, [str(text) for text in texts]


def _means(values: Floats, cell: NDArray[np.intp], shape: tuple[int, ...]) -> Floats:
    """Mean of the values that fall into each cell of an array, NaN where there is none."""
    known = ~np.isnan(values)
    size = int(np.prod(shape))
    counts = np.bincount(cell[known], minlength=size)
    sums = np.bincount(cell[known], weights=values[known], minlength=size)
    return np.asarray(np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0).reshape(shape))


def _repetitions(frame: pd.DataFrame, cell: NDArray[np.intp]) -> NDArray[np.intp]:
    """Number of the repetition of each line: its seed, or seed and fold where folds share their cases."""
    seed, seeds = pd.factorize(frame["seed"])
    with_seed = cell * len(seeds) + seed
    if len(np.unique(with_seed)) == len(with_seed):
        return seed
    return pd.factorize(pd.MultiIndex.from_frame(frame[["seed", "fold"]]))[0]


def _folds(column: pd.Series, case: NDArray[np.intp]) -> NDArray[np.intp] | None:
    """Number of the fold of each case, where there are several and no case is tested in two."""
    fold, names = pd.factorize(column)
    folds = np.zeros(int(case.max()) + 1, dtype=np.intp)
    folds[case] = fold
    return folds if len(names) > 1 and (folds[case] == fold).all() else None


def _filled(scores: Scores, lacking: Bools, missing: Missing) -> Floats:
    """The values with what is missing filled in as the policy says."""
    values = scores.values.copy()
    places = np.argwhere(lacking)
    if not len(places) or missing == "drop":
        return values
    if missing is None:
        listed = [
            f"'{scores.methods[m]}' has no {scores.rows[r].metric} of '{scores.rows[r].label}'"
            f" in case '{scores.cases[n]}'"
            for r, m, n in places[:LISTED]
        ]
        more = f" and {len(places) - LISTED} more" if len(places) > LISTED else ""
        raise UserError(
            f"data set '{scores.dataset}': {len(places)} scores are missing: {'; '.join(listed)}{more};"
            " name a policy: missing=worst, missing=drop or missing=<number>"
        )
    for r, larger in enumerate(scores.larger):
        worst = min(0.0, np.nanmin(values[r])) if larger else np.nanmax(values[r])
        values[r][lacking[r]] = worst if missing == "worst" else missing
    return values


def class_means(scores: Scores) -> Scores:
    """One row a metric: case by case, the mean over the classes in which all methods have a score.

    Methods without any score in the data set are left out of "all".
    """
    present: Bools = np.logical_or.reduce(np.isfinite(scores.values), axis=(0, 2))
    masks = [scores.chosen([metric]) for metric in scores.metrics]
    values = np.full((len(masks), *scores.values.shape[1:]), np.nan)
    for k, mask in enumerate(masks):
        classes = scores.values[mask]
        shared: Bools = np.logical_and.reduce(np.isfinite(classes[:, present]), axis=1)
        counts = shared.sum(axis=0)
        sums = np.where(shared[:, None], classes, 0.0).sum(axis=0)
        values[k] = np.where((counts > 0) & present[:, None], sums / np.maximum(counts, 1), np.nan)
    return replace(
        scores,
        rows=tuple(Row(metric, MEAN_OF_CLASSES) for metric in scores.metrics),
        values=values,
        larger=np.array([scores.larger[mask][0] for mask in masks]),
        absent=np.zeros((len(masks), len(scores.methods)), dtype=np.intp),
        repeats=np.stack([_mean_of_known(scores.repeats[mask]) for mask in masks]),
        lopsided=0,
        seeds=None,
    )


def _mean_of_known(values: Floats) -> Floats:
    """Mean over the first axis of what is not NaN."""
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    return np.where(counts > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def all_data_sets(means: Sequence[Scores]) -> Scores:
    """The class means of several data sets side by side, as the cases of one.

    What each data set draws (groups or cases) stays what is independent. Seeds of different data
    sets are averaged.
    """
    first = means[0]
    if len(means) == 1:
        return first
    metrics = [row for row in first.rows if all(row in other.rows for other in means)]
    chosen = [[other.rows.index(row) for row in metrics] for other in means]
    offsets = np.cumsum([0] + [len(other.cases) for other in means[:-1]])
    seeds = max(other.repeats.shape[2] for other in means)
    repeats = [
        np.pad(o.repeats[c], [(0, 0), (0, 0), (0, seeds - o.repeats.shape[2])], constant_values=np.nan)
        for o, c in zip(means, chosen, strict=True)
    ]
    groups = np.concatenate([other.drawn + offset for other, offset in zip(means, offsets, strict=True)])
    return replace(
        first,
        dataset=ALL_DATA_SETS,
        trained_on=ALL_DATA_SETS,
        rows=tuple(metrics),
        cases=tuple(f"{other.dataset}: {case}" for other in means for case in other.cases),
        groups=np.unique(groups, return_inverse=True)[1],
        values=np.concatenate([other.values[c] for other, c in zip(means, chosen, strict=True)], axis=2),
        larger=first.larger[chosen[0]],
        absent=np.zeros((len(metrics), len(first.methods)), dtype=np.intp),
        repeats=_mean_of_known(np.stack(repeats)),
        folds=None,
    )


def classes_as_cases(sets: Sequence[Scores]) -> Scores:
    """The classes of all data sets as the cases of one: for tables with one score a class and method."""
    metrics = [m for m in sets[0].metrics if all(m in other.metrics for other in sets)]
    values = [np.concatenate([s.values[s.chosen([m])][:, :, 0].T for s in sets], axis=1) for m in metrics]
    widest = max(v.shape[1] for v in values)
    padded = [np.pad(v, [(0, 0), (0, widest - v.shape[1])], constant_values=np.nan) for v in values]
    larger = [bool(sets[0].larger[sets[0].chosen([m])][0]) for m in metrics]
    return replace(
        sets[0],
        dataset=ALL_CLASSES,
        trained_on=ALL_CLASSES,
        rows=tuple(Row(m, MEAN_OF_CLASSES) for m in metrics),
        cases=tuple(f"class {k + 1}" for k in range(widest)),
        groups=np.arange(widest),
        values=np.stack(padded),
        larger=np.array(larger),
        absent=np.zeros((len(metrics), len(sets[0].methods)), dtype=np.intp),
        repeats=np.full((len(metrics), len(sets[0].methods), 1), np.nan),
        lopsided=0,
        folds=None,
        seeds=None,
    )
