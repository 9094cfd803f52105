"""The split into training, validation and test cases: grouped, stratified, the same for all runs with one seed."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from segbench.data.case import Part, Record
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
    """Deal groups to folds whose sizes differ by one group at most, with every class in each if possible.

    Greedy: groups with rare classes are dealt first, each to the fold that lacks its classes most.
    The result depends on the group names, their classes and the seed alone, not on their order.

    Args:
        groups: for each group the classes that are present in it.
        folds: number of folds, at least 1 and at most the number of groups.
        seed: decides among equally good places.

    Raises:
        UserError: where there are fewer groups than folds.
    """
    if not 1 <= folds <= len(groups):
        raise UserError(
            f"folds={folds}: the data has {len(groups)} groups of cases to deal to folds;"
            f" folds must be between 1 and {len(groups)}"
        )
    rng = np.random.default_rng(seed)
    names = sorted(groups)
    shuffled = [names[i] for i in rng.permutation(len(names))]
    frequency = Counter(value for present in groups.values() for value in present)
    rarity = {name: min((frequency[value] for value in groups[name]), default=len(names)) for name in names}
    size = [0] * folds
    held = [Counter[int]() for _ in range(folds)]
    result: dict[str, int] = {}
    for name in sorted(shuffled, key=rarity.__getitem__):
        rarest_first = sorted(groups[name], key=lambda value: (frequency[value], value))
        open_folds = [fold for fold in range(folds) if size[fold] == min(size)]
        chosen = min(open_folds, key=lambda fold: [held[fold][value] for value in rarest_first])
        result[name] = chosen
        size[chosen] += 1
        held[chosen].update(rarest_first)
    return result


def make_split(
    records: Sequence[Record], present: Mapping[str, frozenset[int]], *, folds: int, fold: int, seed: int
) -> Split:
    """The split of one fold.

    Fold `fold` tests, the next one validates and the others train. Where the data set itself fixes the
    test cases, these test in every fold, and fold `fold` validates; where it fixes the validation cases,
    these validate. Where it fixes both, all others train and there is only fold 0.

    Args:
        records: all cases.
        present: for each case id the classes that are present in it.
        folds: number of folds.
        fold: 0 .. folds - 1.
        seed: of the assignment of groups to folds.

    Raises:
        UserError: where `fold` or `folds` is impossible for these cases, or the data set has a group
            in two of its own parts.
    """
    if not 0 <= fold < folds:
        raise UserError(f"fold={fold}: must be between 0 and {folds - 1}, as folds={folds}")
    held_out: tuple[Part, ...] = ("test", "validation")
    parts: dict[str, list[str]] = {part: [record.id for record in records if record.part == part] for part in held_out}
    dealt = [record for record in records if record.part not in held_out]
    _check_groups(records)
    dealing = [part for part in held_out if not parts[part]]
    if not dealt:
        raise UserError("the data set has no training cases: all are fixed as test or validation cases")
    if not dealing and fold:
        raise UserError(f"fold={fold}: the data set itself fixes the test and the validation cases, so fold must be 0")
    least = len(dealing) + 1
    if folds < least:
        raise UserError(f"folds={folds}: must be at least {least}, one each for {', '.join(dealing)} and train")
    if dealing:
        _check_enough(dealt, dealing, folds)
        classes: dict[str, frozenset[int]] = defaultdict(frozenset)
        for record in dealt:
            classes[record.group] |= present[record.id]
        fold_of = assign_folds(classes, folds, seed)
        for step, part in enumerate(dealing):
            place = (fold + step) % folds
            parts[part] = [record.id for record in dealt if fold_of[record.group] == place]
    taken = {name for ids in parts.values() for name in ids}
    parts["train"] = [record.id for record in records if record.id not in taken]
    return Split(**{part: tuple(ids) for part, ids in parts.items()})


def _check_enough(dealt: Sequence[Record], dealing: Sequence[Part], folds: int) -> None:
    """Check that there is a group for each fold."""
    groups, least = len({record.group for record in dealt}), len(dealing) + 1
    if groups >= folds:
        return
    grouped = groups < len(dealt)
    found = f"only {len(dealt)} case{'s' * (len(dealt) != 1)}"
    found += f" in {groups} group{'s' * (groups != 1)}" if grouped else ""
    if groups >= least:
        raise UserError(
            f"folds={folds}: there are {found} to deal, and each fold needs one: set folds={groups}"
            f"{' or less' if groups > least else ''}, or add cases"
        )
    raise UserError(
        f"there {'is' if len(dealt) == 1 else 'are'} {found} to deal to {', '.join(dealing)} and train, which need one"
        f" each: add cases{', or let a finer group_pattern or smaller block_size make more groups' if grouped else ''}"
    )


def _check_groups(records: Sequence[Record]) -> None:
    """Check that no group is in two of the parts that the data set fixes."""
    part_of: dict[str, str] = {}
    for record in records:
        part = record.part or "train"
        if part_of.setdefault(record.group, part) != part:
            raise UserError(
                f"group {record.group!r} has cases both in {part_of[record.group]} and in {part}, as the data"
                f" set fixes them; {record.where} is one of them: a group belongs to one part"
            )


def read_split_file(path: Path) -> Any:
    """The content of a split file: a dict of parts, or a list of folds.

    Raises:
        UserError: where the file cannot be read, or is neither.
    """
    try:
        content = json.loads(path.expanduser().read_text())
    except OSError as error:
        raise UserError(f"split.file: cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"split.file: {path} is not JSON: {error}") from None
    if not content or not isinstance(content, dict | list):
        raise UserError(f"split.file: {path} has neither the parts of a split nor a list of folds")
    return content


def listed_split(content: Mapping[str, Any], records: Sequence[Record], path: Path) -> Split:
    """A split of a file {"train": [ids], "validation": [ids], "test": [ids]}.

    Raises:
        UserError: where a part is missing or empty, an id is unknown or twice, or a group is in two parts.
    """
    group_of = {record.id: record.group for record in records}
    part_of_group: dict[str, str] = {}
    parts: dict[str, tuple[str, ...]] = {}
    for part in (field.name for field in fields(Split)):
        ids = content.get(part)
        if not isinstance(ids, list) or not ids or not all(isinstance(name, str) for name in ids):
            raise UserError(f"split.file: {path} has no list of case ids under {part!r}")
        parts[part] = tuple(ids)
        for name, count in Counter(ids).items():
            if name not in group_of:
                raise UserError(f"split.file: {path} names case {name!r}, which the data set does not have")
            if count > 1:
                raise UserError(f"split.file: {path} names case {name!r} twice")
            if part_of_group.setdefault(group_of[name], part) != part:
                raise UserError(f"split.file: {path} puts group {group_of[name]!r} into two parts")
    return Split(**parts)
