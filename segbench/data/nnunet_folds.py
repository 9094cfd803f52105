"""Folds as nnU-Net v2 has them: those of a splits_final.json, and its default.

A fold of nnU-Net has two parts: `train`, which the network learns from, and `val`, by which folds are judged and
ensembles are chosen. In our words the latter tests, and what chooses the checkpoint must be another part: a tenth of
the groups in `train` validates. They are dealt as our own folds are (`segbench.data.splits.assign_folds`), by
`split.seed` and by classes, so that they are the same for all methods and machines. A tenth, since nnU-Net, which keeps
the last weights, trains on all of `train`: the less is taken from it, the fairer is a comparison with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from segbench.data.case import Record
from segbench.data.splits import Split, assign_folds
from segbench.errors import UserError

SEED = 12345
"""Of nnU-Net's shuffle, whatever the seed of a training."""

_SHARES = 10
"""Into which the groups of `train` are dealt; one of them validates."""


class Fold(NamedTuple):
    """The ids of one fold.

    Attributes:
        train: the network learns from these, but for those that validate.
        val: held out.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]


def default_folds(records: Sequence[Record], folds: int) -> list[Fold]:
    """The folds that nnU-Net draws where there is no splits_final.json.

    They are those of scikit-learn's KFold(folds, shuffle=True, random_state=12345) over the sorted groups, which are
    nnU-Net's cases where each case is a group of its own. Cases that the data set fixes as test or validation cases are
    in none of them.

    Raises:
        UserError: where there are fewer groups than folds.
    """
    dealt = [record for record in records if record.part in (None, "train")]
    groups = sorted({record.group for record in dealt})
    if not 2 <= folds <= len(groups):
        raise UserError(
            f"folds={folds}: with split.method=nnunet it must be from 2 to {len(groups)}, the groups of cases"
        )
    order = np.arange(len(groups))
    np.random.RandomState(SEED).shuffle(order)
    held_out = [{groups[index] for index in part} for part in np.array_split(order, folds)]
    return [
        Fold(
            tuple(record.id for record in dealt if record.group not in val),
            tuple(record.id for record in dealt if record.group in val),
        )
        for val in held_out
    ]


def listed_folds(content: Sequence[Any], where: str) -> list[Fold]:
    """The folds of a splits_final.json, a list of {"train": [ids], "val": [ids]}.

    Args:
        content: of the file.
        where: the file, for messages.

    Raises:
        UserError: naming the first fold that is none.
    """
    found = []
    for number, fold in enumerate(content):
        parts = [fold.get(part) if isinstance(fold, dict) else None for part in Fold._fields]
        for part, ids in zip(Fold._fields, parts, strict=True):
            if not isinstance(ids, list) or not ids or not all(isinstance(name, str) for name in ids):
                raise UserError(f"{where}: fold {number} has no list of case ids under {part!r}")
        found.append(Fold(*(tuple(ids or ()) for ids in parts)))
    return found


def split_of_fold(
    folds: Sequence[Fold],
    records: Sequence[Record],
    present: Mapping[str, frozenset[int]],
    *,
    fold: int,
    seed: int,
    where: str,
) -> Split:
    """The split of one fold.

    `val` tests, and a tenth of the groups in `train` validates, at least one. Where the data set itself fixes the test
    cases these test, and `val` validates, as in nnU-Net; where it fixes the validation cases, these validate.

    Args:
        folds: all of them.
        records: all cases.
        present: for each case id the classes that are present in it.
        fold: which one.
        seed: of the validation part.
        where: the folds are from, for messages.

    Raises:
        UserError: where there is no such fold, it names a case that the data set does not have or fixes, or a case or
            group is in two parts.
    """
    if not 0 <= fold < len(folds):
        raise UserError(f"fold={fold}: {where} has the folds 0 to {len(folds) - 1}")
    train, val = folds[fold]
    record_of = {record.id: record for record in records}
    fixed = {part: tuple(r.id for r in records if r.part == part) for part in ("test", "validation")}
    if all(fixed.values()):
        raise UserError(f"{where}: the data set itself fixes the test and the validation cases, so it has no folds")
    for case in (*train, *val):
        if case not in record_of:
            raise UserError(f"{where}: fold {fold} names case {case!r}, which the data set does not have")
        if record_of[case].part in ("test", "validation"):
            part = record_of[case].part
            raise UserError(f"{where}: fold {fold} names case {case!r}, which the data set fixes as a {part} case")
    _check_apart([record_of[case] for case in train], [record_of[case] for case in val], f"{where}: fold {fold}")
    if fixed["test"]:
        return Split(train, val, fixed["test"])
    if fixed["validation"]:
        return Split(train, fixed["validation"], val)
    validation = _validating([record_of[case] for case in train], present, seed, f"{where}: fold {fold}")
    return Split(
        tuple(case for case in train if case not in validation),
        tuple(case for case in train if case in validation),
        val,
    )


def _validating(train: Sequence[Record], present: Mapping[str, frozenset[int]], seed: int, where: str) -> set[str]:
    """The ids of the training cases that validate."""
    classes: dict[str, frozenset[int]] = {}
    for record in train:
        classes[record.group] = classes.get(record.group, frozenset()) | present[record.id]
    if len(classes) < 2:
        raise UserError(f"{where} has one group of training cases: it needs two, of which one validates")
    share_of = assign_folds(classes, min(_SHARES, len(classes)), seed)
    return {record.id for record in train if share_of[record.group] == 0}


def _check_apart(train: Sequence[Record], val: Sequence[Record], where: str) -> None:
    """Check that no case is twice in a fold, and no group in both parts."""
    part_of: dict[str, str] = {}
    seen: set[str] = set()
    for part, records in (("train", train), ("val", val)):
        for record in records:
            if record.id in seen:
                raise UserError(f"{where} names case {record.id!r} twice")
            seen.add(record.id)
            if part_of.setdefault(record.group, part) != part:
                raise UserError(f"{where} has cases of group {record.group!r} in train and in val")
