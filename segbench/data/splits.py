"""Which cases train, validate and test: grouped, stratified, the same for every run with the same seed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from segbench.data.case import Record
from segbench.errors import UserError


@dataclass(frozen=True)
class Split:
    """Ids of the cases of each part. No group is in two parts.

    Attributes:
        train: the network learns from these.
        validation: the checkpoint is chosen by these.
        test: scored once, at the end, and used for nothing else.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def as_dict(self) -> dict[str, list[str]]:
        """The ids as JSON values."""
        return {part: list(ids) for part, ids in asdict(self).items()}


def assign_folds(groups: Mapping[str, frozenset[int]], folds: int, seed: int) -> dict[str, int]:
    """Deals groups to folds of nearly equal size in which every class is nearly equally frequent.

    Greedy: groups with rare classes are dealt first, each to the fold that lacks its classes most.
    The result depends on the group names, their classes and the seed alone, not on their order.

    Args:
        groups: for each group the classes that are present in it.
        folds: number of folds, at least 1 and at most the number of groups.
        seed: decides among equally good places.

    Raises:
        UserError: where there are fewer groups than folds.
    """
    if folds < 1 or folds > len(groups):
        raise UserError(
            f"folds={folds}: the data has {len(groups)} groups of cases to deal to folds;"
            f" folds must be between 1 and {len(groups)}"
        )
    rng = np.random.default_rng(seed)
    names = sorted(groups)
    shuffled = [names[i] for i in rng.permutation(len(names))]
    frequency: dict[int, int] = defaultdict(int)
    for present in groups.values():
        for value in present:
            frequency[value] += 1
    rarity = {name: min((frequency[value] for value in groups[name]), default=len(names)) for name in names}
    size = [0] * folds
    held: list[dict[int, int]] = [defaultdict(int) for _ in range(folds)]
    result: dict[str, int] = {}
    for name in sorted(shuffled, key=rarity.__getitem__):
        present = sorted(groups[name], key=frequency.__getitem__)
        # Sizes differ by one at most: only the smallest folds are open.
        open_folds = [fold for fold in range(folds) if size[fold] == min(size)]
        fold = min(open_folds, key=lambda fold: [held[fold][value] for value in present])
        result[name] = fold
        size[fold] += 1
        for value in present:
            held[fold][value] += 1
    return result


def make_split(
    records: Sequence[Record], present: Mapping[str, frozenset[int]], *, folds: int, fold: int, seed: int
) -> Split:
    """The split of one fold.

    Where the data set itself fixes test cases, these are the test part, and fold `fold` of the
    others validates. Otherwise fold `fold` tests, the next one validates and the others train.

    Args:
        records: all cases.
        present: for each case id the classes that are present in it.
        folds: number of folds.
        fold: 0 .. folds - 1.
        seed: of the assignment of groups to folds.

    Raises:
        UserError: where `fold` or `folds` is impossible for these cases.
    """
    if not 0 <= fold < folds:
        raise UserError(f"fold={fold}: must be between 0 and {folds - 1}, as folds={folds}")
    fixed_test = [record for record in records if record.part == "test"]
    dealt = [record for record in records if record.part != "test"]
    least = 2 if fixed_test else 3
    if folds < least:
        raise UserError(f"folds={folds}: this data set needs at least {least} folds (train, validation, test)")
    classes: dict[str, frozenset[int]] = defaultdict(frozenset)
    for record in dealt:
        classes[record.group] |= present[record.id]
    shared = sorted({record.group for record in fixed_test} & set(classes))
    if shared:
        raise UserError(f"group {shared[0]!r} is both in the training and the test part of the data set")
    fold_of = assign_folds(classes, folds, seed)
    validating = fold if fixed_test else (fold + 1) % folds
    parts: dict[str, list[str]] = {"train": [], "validation": [], "test": [r.id for r in fixed_test]}
    for record in dealt:
        place = fold_of[record.group]
        if place == validating:
            parts["validation"].append(record.id)
        elif place == fold and not fixed_test:
            parts["test"].append(record.id)
        else:
            parts["train"].append(record.id)
    return Split(**{part: tuple(ids) for part, ids in parts.items()})


def read_split(path: Path, records: Sequence[Record]) -> Split:
    """A split from a JSON file {"train": [ids], "validation": [ids], "test": [ids]}.

    Raises:
        UserError: where the file cannot be read, a part is missing or empty, an id is unknown or
            twice, or a group is in two parts.
    """
    try:
        content = json.loads(path.expanduser().read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"split.file: cannot read {path}: {error}") from None
    group_of = {record.id: record.group for record in records}
    part_of_group: dict[str, str] = {}
    seen: set[str] = set()
    for part in ("train", "validation", "test"):
        ids = content.get(part) if isinstance(content, dict) else None
        if not isinstance(ids, list) or not ids:
            raise UserError(f"split.file: {path} has no list of ids under {part!r}")
        for name in ids:
            if name not in group_of:
                raise UserError(f"split.file: {path} names case {name!r}, which the data set does not have")
            if name in seen:
                raise UserError(f"split.file: {path} names case {name!r} twice")
            seen.add(name)
            if part_of_group.setdefault(group_of[name], part) != part:
                raise UserError(f"split.file: {path} puts group {group_of[name]!r} into two parts")
    return Split(*(tuple(content[part]) for part in ("train", "validation", "test")))
