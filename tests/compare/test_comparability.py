"""Runs that may not be compared are refused, naming them and the difference."""

import pytest

from segbench.compare.reading.methods import Rules, load_runs
from segbench.errors import UserError
from segbench.runs.discovery import find_runs
from tests.compare.fake_runs import CLASSES, QUALITIES, case_names, make_run, make_sweep


def load(folder, **rules):
    return load_runs(find_runs(str(folder)), Rules(**rules))


@pytest.fixture
def sweep(tmp_path):
    make_sweep(tmp_path, QUALITIES, seeds=(0,))
    return tmp_path


def add(folder, **changes):
    return make_run(folder, choices={"model": "vnet", "loss": "dice", "optimizer": "adam"}, quality=0.7, **changes)


def refusal(folder, **rules):
    with pytest.raises(UserError) as error:
        load(folder, **rules)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_equal_conditions_pass(sweep):
    add(sweep)
    assert load(sweep).notes == []


@pytest.mark.parametrize(
    ("record", "difference"),
    [
        ({"budget": {"max_steps": 2000, "batch_size": 8, "patch_size": [128, 128]}}, "budget.max_steps: 1000 and 2000"),
        ({"versions": {"segbench": "0.2.0", "torch": "2.9"}}, "version of segbench: 0.1.0 and 0.2.0"),
        ({"chosen_by": {"hd95": "smaller"}}, "metrics.choose_by: dice and hd95"),
        ({"git": {"commit": "def", "dirty": False}}, "git commit: abc and def"),
        ({"metric_settings": {"nsd_tolerance": 3.0}}, "metrics.nsd_tolerance: 2.0 and 3.0"),
    ],
)
def test_other_conditions_are_refused_unless_told_otherwise(sweep, record, difference):
    path = add(sweep, record=record)
    message = refusal(sweep)
    assert difference in message
    assert path.name in message
    assert "strict=false" in message
    (note,) = load(sweep, strict=False).notes
    assert difference in note
    assert "compared nevertheless" in note


def test_steps_of_a_run_that_stopped_early_do_not_count(sweep):
    add(
        sweep,
        record={"budget": {"max_steps": 1000, "batch_size": 8, "patch_size": [128, 128]}, "training": {"steps": 600}},
    )
    assert load(sweep).notes == []


def test_other_test_cases(sweep):
    add(sweep, cases=case_names("wbc", 12)[2:])
    message = refusal(sweep)
    assert "test cases of 'wbc' differ: 10 of 12 are common" in message
    assert "'vnet / dice' with seed 0 lacks 'wbc_00', 'wbc_01'" in message
    loaded = load(sweep, strict=False)
    assert len(loaded.sets[0].cases) == 10
    assert "left out" in loaded.notes[0]
    assert len(load(sweep, missing="worst").sets[0].cases) == 12


def test_a_fold_that_is_missing(tmp_path):
    names = case_names("wbc", 12)
    for model in ("unet", "segnet"):
        for fold in range(3):
            if (model, fold) != ("segnet", 2):
                make_run(tmp_path, choices={"model": model}, quality=0.8, fold=fold, cases=names[fold::3])
    assert "'segnet' with seed 0 lacks 'wbc_02'" in refusal(tmp_path)


def test_classes_that_differ_in_spelling(sweep):
    add(sweep, classes=("nucleus", "cytoplasma"))
    message = refusal(sweep)
    assert "differ in classes" in message
    assert "'cytoplasma'; did you mean 'cytoplasm'?" in message
    assert [row.label for row in load(sweep, strict=False).sets[0].rows] == ["nucleus", "nucleus"]


def test_other_images_under_the_same_name(sweep):
    facts = {"name": "wbc", "classes": ["background", *CLASSES], "background": 0, "fingerprint": "other"}
    add(sweep, record={"dataset": facts})
    assert "images and masks (fingerprint)" in refusal(sweep)


def test_a_data_set_that_a_method_was_not_run_on(sweep):
    add(sweep)
    make_sweep(sweep, QUALITIES, seeds=(0,), datasets=("dsb",))
    assert "data set 'dsb': no scores of 'vnet / dice'" in refusal(sweep)
    assert [s.name for s in load(sweep, strict=False).sets] == ["wbc"]


def test_nothing_in_common(tmp_path):
    make_run(tmp_path, choices={"model": "a"}, quality=0.5, cases=["x"])
    make_run(tmp_path, choices={"model": "b"}, quality=0.5, cases=["y"])
    assert "nothing is left to compare" in refusal(tmp_path, strict=False)
    assert load(tmp_path, missing="drop").sets[0].values.shape == (4, 2, 2)


def test_one_method_twice_with_the_same_seed(sweep):
    make_run(
        sweep, choices={"model": "unet", "loss": "dice", "optimizer": "adam"}, quality=0.7, settings={"split.seed": 3}
    )
    assert "are one method ('unet / dice') with the same data set, seed and fold" in refusal(sweep)


def test_unseen_data_sets_that_only_some_were_scored_on(tmp_path):
    make_run(tmp_path, choices={"model": "a"}, quality=0.5, unseen={"other": 0.4})
    make_run(tmp_path, choices={"model": "b"}, quality=0.6)
    sets = load(tmp_path).sets
    assert [s.name for s in sets] == ["wbc", "other (unseen, trained on wbc)"]
