"""Splits: grouped, complete, of even size, stratified, and the same whatever the order of the cases."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segbench.data.case import Part, Record
from segbench.data.splits import Split, assign_folds, listed_split, make_split, read_split_file
from segbench.errors import UserError

PARTS = ("train", "validation", "test")


def read_split(path: Path, records: Sequence[Record]) -> Split:
    return listed_split(read_split_file(path), records, path)


Present = Mapping[str, frozenset[int]]
Cases = tuple[list[Record], Present]


@st.composite
def cases(draw: st.DrawFn) -> Cases:
    """3 to 12 groups of 1 to 4 cases with some of four classes each, in any order."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=3, max_size=12))
    records = [
        Record(f"case{group}_{number}", f"group{group}") for group, size in enumerate(sizes) for number in range(size)
    ]
    present = {record.id: draw(st.frozensets(st.integers(0, 3))) for record in records}
    return draw(st.permutations(records)), present


def splits(records: Sequence[Record], present: Present, folds: int, seed: int = 0) -> list[Split]:
    return [make_split(records, present, folds=folds, fold=fold, seed=seed) for fold in range(folds)]


def plain(count: int, part: Part | None = None, prefix: str = "") -> list[Record]:
    """Cases that are each a group of its own."""
    return [Record(f"{prefix}{number}", f"{prefix}{number}", (), part) for number in range(count)]


def nothing(records: Sequence[Record]) -> Present:
    return {record.id: frozenset() for record in records}


@settings(deadline=None)
@given(cases(), st.data())
def test_folds_share_out_all_cases(cases: Cases, data: st.DataObject) -> None:
    records, present = cases
    group_of = {record.id: record.group for record in records}
    groups = set(group_of.values())
    folds = data.draw(st.integers(3, len(groups)))
    every = splits(records, present, folds, data.draw(st.integers(0, 2**32)))
    for split in every:
        ids = [*split.train, *split.validation, *split.test]
        assert sorted(ids) == sorted(group_of)
        parts = [{group_of[name] for name in getattr(split, part)} for part in PARTS]
        assert all(parts)
        assert sum(map(len, parts)) == len(groups)
    for part in ("validation", "test"):
        held_out = [getattr(split, part) for split in every]
        assert sorted(name for ids in held_out for name in ids) == sorted(group_of)
        sizes = [len({group_of[name] for name in ids}) for ids in held_out]
        assert max(sizes) - min(sizes) <= 1


@settings(deadline=None)
@given(cases(), st.data())
def test_order_of_the_cases_does_not_matter(cases: Cases, data: st.DataObject) -> None:
    records, present = cases
    other_order = data.draw(st.permutations(records))
    for one, other in zip(splits(records, present, 3), splits(other_order, present, 3), strict=True):
        assert all(set(getattr(one, part)) == set(getattr(other, part)) for part in PARTS)


def test_fixed_for_ever() -> None:
    """Results that are compared over years need the same test cases."""
    groups = {name: frozenset({0, index % 3}) for index, name in enumerate("abcdefgh")}
    assert assign_folds(groups, 3, seed=0) == {"a": 1, "b": 0, "c": 0, "d": 2, "e": 2, "f": 1, "g": 0, "h": 1}


def test_seeds_differ() -> None:
    records = plain(20)
    tests = {make_split(records, nothing(records), folds=5, fold=0, seed=seed).test for seed in range(20)}
    assert len(tests) > 15


@pytest.mark.parametrize("rare", [5, 7, 11])
def test_rare_class_is_in_every_fold(rare: int) -> None:
    """Random folds of the same sizes leave it out of some."""
    count, folds = 40, 5
    groups = {str(number): frozenset({0, 1} if number < rare else {0}) for number in range(count)}
    spread, random_spread = [], []
    for seed in range(50):
        fold_of = assign_folds(groups, folds, seed)
        held = Counter(fold for name, fold in fold_of.items() if 1 in groups[name])
        spread.append(max(held.values()) - min(held[fold] for fold in range(folds)))
        by_chance = np.random.default_rng(seed).permutation(count)[:rare] % folds
        random_spread.append(int(np.ptp(np.bincount(by_chance, minlength=folds))))
    assert max(spread) <= 1
    assert np.mean(random_spread) > 1.5


def test_every_class_is_spread() -> None:
    """Four classes of different frequency in any combination: much more even than by chance."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        has = rng.random((100, 4)) < (0.1, 0.2, 0.4, 0.8)
        groups = {str(n): frozenset(np.flatnonzero(row).tolist()) for n, row in enumerate(has)}
        fold_of = assign_folds(groups, 5, seed)
        ours = np.array([fold_of[str(n)] for n in range(100)])
        spread, random_spread = (
            np.mean([np.ptp(np.bincount(folds[present], minlength=5)) for present in has.T])
            for folds in (ours, rng.permutation(100) % 5)
        )
        assert spread < 2
        assert spread < random_spread


def test_fixed_test_cases_test_in_every_fold() -> None:
    records = plain(3, "test", "t") + plain(7, "train")
    every = splits(records, nothing(records), 3)
    assert {split.test for split in every} == {("t0", "t1", "t2")}
    validated = sorted(name for split in every for name in split.validation)
    assert validated == [record.id for record in records[3:]]


def test_fixed_validation_cases_validate_in_every_fold() -> None:
    records = plain(2, "validation", "v") + plain(7)
    every = splits(records, nothing(records), 3)
    assert {split.validation for split in every} == {("v0", "v1")}
    assert sorted(name for split in every for name in split.test) == [record.id for record in records[2:]]


def test_all_parts_fixed() -> None:
    records = plain(2, "validation", "v") + plain(1, "test", "t") + plain(2, "train")
    split = make_split(records, nothing(records), folds=5, fold=0, seed=0)
    assert split == Split(("0", "1"), ("v0", "v1"), ("t0",))
    with pytest.raises(UserError, match=r"fold=1: .* so fold must be 0"):
        make_split(records, nothing(records), folds=5, fold=1, seed=0)


@pytest.mark.parametrize(
    ("records", "folds", "fold", "message"),
    [
        (plain(9), 5, 5, "fold=5: must be between 0 and 4, as folds=5"),
        (plain(9), 5, -1, "fold=-1: must be between 0 and 4"),
        (plain(9), 2, 0, "folds=2: must be at least 3, one each for test, validation and train"),
        (plain(9) + plain(1, "test", "t"), 1, 0, "folds=1: must be at least 2, one each for validation and train"),
        (
            plain(4),
            5,
            0,
            "folds=5: there are only 4 cases to deal, and each fold needs one: set folds=4 or less, or",
        ),
        (plain(3), 5, 0, "folds=5: there are only 3 cases to deal, and each fold needs one: set folds=3, or add cases"),
        (
            [Record(str(k), str(k // 2), ()) for k in range(7)],
            5,
            0,
            "folds=5: there are only 7 cases in 4 groups to deal, and each fold needs one: set folds=4 or less",
        ),
        (plain(1), 5, 0, "there is only 1 case to deal to test, validation and train, which need one each: add cases$"),
        (
            [Record(str(k), "g", ()) for k in range(7)],
            3,
            0,
            "there are only 7 cases in 1 group to deal to test, validation and train, .* or let a finer group_pattern",
        ),
        (plain(1) + plain(2, "test", "t"), 5, 0, "there is only 1 case to deal to validation and train"),
        (plain(4, "test"), 5, 0, "no training cases"),
        ([Record("a", "g", (), "test"), Record("b", "g", (), "train"), *plain(9)], 5, 0, "'g' has cases both in test"),
        ([Record("a", "g", (), "validation"), Record("b", "g"), *plain(9)], 5, 0, "'g' has cases both in validation"),
    ],
)
def test_impossible_splits(records: list[Record], folds: int, fold: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_split(records, nothing(records), folds=folds, fold=fold, seed=0)


@settings(deadline=None)
@given(cases())
def test_split_file_round_trip(tmp_path_factory: pytest.TempPathFactory, cases: Cases) -> None:
    records, present = cases
    split = make_split(records, present, folds=3, fold=1, seed=0)
    file = tmp_path_factory.getbasetemp() / "split.json"
    file.write_text(json.dumps({**split.as_dict(), "fold": 1, "folds": 3}))
    assert read_split(file, records) == split


def parts(train: object, validation: object = ("b",), test: object = ("c",)) -> str:
    return json.dumps({"train": train, "validation": validation, "test": test})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read .*split.json: No such file"),
        ("{", "is not JSON"),
        ("[]", "has neither the parts of a split nor a list of folds"),
        ("3", "has neither the parts of a split nor a list of folds"),
        ('{"train": ["a"]}', "has no list of case ids under 'validation'"),
        (parts([]), "has no list of case ids under 'train'"),
        (parts([1]), "has no list of case ids under 'train'"),
        (parts([["a"]]), "has no list of case ids under 'train'"),
        (parts("a"), "has no list of case ids under 'train'"),
        (parts(["a", "z"]), "names case 'z', which the data set does not have"),
        (parts(["a", "a"]), "names case 'a' twice"),
        (parts(["a", "b"]), "puts group 'b' into two parts"),
        (parts(["a", "d"], ["e"]), "puts group 'patient' into two parts"),
    ],
)
def test_bad_split_files(tmp_path: Path, content: str | None, message: str) -> None:
    records = [Record(name, name) for name in "abc"] + [Record(name, "patient") for name in "de"]
    file = tmp_path / "split.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=message):
        read_split(file, records)
