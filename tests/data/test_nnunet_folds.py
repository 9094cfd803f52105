"""Folds of nnU-Net: its default against scikit-learn's KFold, and its splits_final.json."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import KFold

from segbench.data.case import Record
from segbench.data.nnunet_folds import default_folds, listed_folds, split_of_fold
from segbench.errors import UserError
from segbench.training import assembly
from tests.made_runs import TINY, configure


def plain(count, part=None, prefix="case_"):
    return [Record(f"{prefix}{number:03}", f"{prefix}{number:03}", (), part) for number in range(count)]


def nothing(records):
    return {record.id: frozenset() for record in records}


def split(folds, records, fold=0, seed=0):
    return split_of_fold(folds, records, nothing(records), fold=fold, seed=seed, where="splits_final.json")


@pytest.mark.parametrize(("cases", "folds"), [(260, 5), (7, 5), (20, 3), (23, 10)])
def test_default_folds_are_those_of_scikit_learn(cases, folds):
    records = plain(cases)
    ids = np.array(sorted(record.id for record in records))
    expected = KFold(folds, shuffle=True, random_state=12345).split(ids)
    found = default_folds(records[::-1], folds)
    for fold, (train, val) in zip(found, expected, strict=True):
        assert sorted(fold.train) == ids[train].tolist()
        assert sorted(fold.val) == ids[val].tolist()


def test_cases_of_one_group_stay_together():
    records = [Record(f"{group}_{number}", group) for group in "abcdef" for number in range(3)]
    for fold in default_folds(records, 3):
        assert not {case[0] for case in fold.train} & {case[0] for case in fold.val}


def test_val_tests_and_a_tenth_of_train_validates():
    records = plain(260)
    folds = default_folds(records, 5)
    splits = [split(folds, records, fold) for fold in range(5)]
    for one, fold in zip(splits, folds, strict=True):
        assert one.test == fold.val
        assert sorted((*one.train, *one.validation)) == sorted(fold.train)
        assert len(one.validation) == 21  # of 208
    assert splits[0] == split(folds, records[::-1], 0)
    assert splits[0].validation != split(folds, records, 0, seed=1).validation
    assert sorted(case for one in splits for case in one.test) == [record.id for record in records]


def test_val_validates_where_the_test_cases_are_fixed():
    records = plain(10) + plain(4, "test", "t")
    folds = default_folds(records, 5)
    one = split(folds, records, 2)
    assert one.test == ("t000", "t001", "t002", "t003")
    assert (one.train, one.validation) == folds[2]


def test_fixed_validation_cases_validate():
    records = plain(10) + plain(2, "validation", "v")
    folds = default_folds(records, 5)
    one = split(folds, records, 1)
    assert one.validation == ("v000", "v001")
    assert (one.train, one.test) == folds[1]


def listed(*folds):
    return [{"train": list(train), "val": list(val)} for train, val in folds]


@pytest.mark.parametrize(
    ("content", "fold", "message"),
    [
        (listed(("ab", "c")), 1, "fold=1: splits_final.json has the folds 0 to 0"),
        ([{"train": ["a"]}], 0, "splits_final.json: fold 0 has no list of case ids under 'val'"),
        ([3], 0, "fold 0 has no list of case ids under 'train'"),
        (listed(("ab", "")), 0, "fold 0 has no list of case ids under 'val'"),
        (listed(("az", "c")), 0, "fold 0 names case 'z', which the data set does not have"),
        (listed(("aa", "c")), 0, "fold 0 names case 'a' twice"),
        (listed(("ab", "b")), 0, "fold 0 names case 'b' twice"),
        (listed(("ad", "e")), 0, "fold 0 has cases of group 'patient' in train and in val"),
        (listed(("a", "b")), 0, "fold 0 has one group of training cases: it needs two, of which one validates"),
    ],
)
def test_bad_folds(content, fold, message):
    records = [Record(name, name) for name in "abc"] + [Record(name, "patient") for name in "de"]
    with pytest.raises(UserError, match=message):
        split(listed_folds(content, "splits_final.json"), records, fold)


def test_fixed_parts_have_no_folds():
    records = [*plain(5), *plain(1, "test", "t"), *plain(1, "validation", "v")]
    with pytest.raises(UserError, match="itself fixes the test and the validation cases, so it has no folds"):
        split(default_folds(records, 2), records)
    with pytest.raises(UserError, match="fold 0 names case 't000', which the data set fixes as a test case"):
        split(listed_folds(listed((["case_000", "case_001"], ["t000"])), "f"), records[:-1])


def test_too_few_groups():
    with pytest.raises(UserError, match=r"folds=5: with split\.method=nnunet it must be from 2 to 4"):
        default_folds(plain(4), 5)


def test_runs_split_by_file_and_by_method(tmp_path: Path):
    _, store = assembly.build_dataset(configure(*TINY))
    folds = default_folds(store.records, 5)
    file = tmp_path / "splits_final.json"
    file.write_text(json.dumps([fold._asdict() for fold in folds]))
    by_method = assembly.build_split(configure(*TINY, "split.method=nnunet", "fold=3"), store)
    by_file = assembly.build_split(configure(*TINY, f"split.file={file}", "fold=3"), store)
    assert by_method == by_file
    assert by_file.test == folds[3].val
    with pytest.raises(UserError, match=r"folds=3: split\.file=.* has 5 folds, so give folds=5"):
        assembly.build_split(configure(*TINY, f"split.file={file}", "folds=3"), store)
    with pytest.raises(UserError, match=r"fold=7: .* has the folds 0 to 4"):
        assembly.build_split(configure(*TINY, f"split.file={file}", "fold=7"), store)


def test_all_folds_of_a_file_have_the_same_plan(tmp_path: Path):
    small = [one for one in TINY if "patch_size" not in one and "batch_size" not in one and "channels" not in one]
    _, store = assembly.build_dataset(configure(*TINY))
    file = tmp_path / "splits_final.json"
    file.write_text(json.dumps([fold._asdict() for fold in default_folds(store.records, 5)]))
    plans = []
    for fold in (0, 4):
        config = configure("model=nnunet", *small, f"split.file={file}", f"fold={fold}", "augmentation=none")
        assembly.build_data(config)
        plans.append(config.measured.plan)
    assert plans[0] == plans[1]
