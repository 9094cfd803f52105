"""Each method at the setting that its validation cases choose, and differences that are allowed by name."""

import json

import pytest

from segbench.compare.reading.methods import Rules, load_runs
from segbench.compare.reading.runs import read_runs
from segbench.compare.reading.selection import best_by_validation
from segbench.errors import UserError
from segbench.runs.discovery import find_runs
from tests.compare.fake_runs import make_run

SELECT = ("optimizer.lr",)
DICE = {
    # Seed 0 alone would choose 0.1 for sgd; the mean over seeds chooses 0.01. The test scores say the opposite.
    ("adam", 0.001): (0.80, 0.82),
    ("adam", 0.01): (0.70, 0.72),
    ("sgd", 0.01): (0.75, 0.79),
    ("sgd", 0.1): (0.78, 0.60),
}


def sweep(folder, dice=DICE, **more):
    for (optimizer, lr), of_seed in dice.items():
        for seed, value in enumerate(of_seed):
            make_run(
                folder,
                choices={"model": "unet", "loss": "dice", "optimizer": optimizer},
                settings={"optimizer.lr": lr},
                overrides=[f"optimizer={optimizer}"],
                quality=1 - value,
                seed=seed,
                record={"training": {"best_dice": value, "gap": 0.1 * value}},
                **more,
            )
    return find_runs(str(folder))


def test_validation_chooses_one_setting_for_all_seeds_of_a_method(tmp_path):
    loaded = load_runs(sweep(tmp_path), Rules(select=SELECT))
    chosen = {method.name: {run.config["optimizer"]["lr"] for run in method.runs} for method in loaded.methods}
    assert chosen == {"adam": {0.001}, "sgd": {0.01}}
    assert all(method.seeds == [0, 1] for method in loaded.methods)
    (note,) = [note for note in loaded.notes if note.startswith("sgd")]
    assert "lr 0.01 has the best validation dice (0.770); left out: lr 0.1 (0.690)" in note


def test_without_a_selection_all_settings_are_methods(tmp_path):
    assert len(load_runs(sweep(tmp_path), Rules()).methods) == 4


def test_each_data_set_makes_its_own_choice(tmp_path):
    sweep(tmp_path)
    swapped = {("adam", 0.001): (0.1, 0.1), ("adam", 0.01): (0.2, 0.2), ("sgd", 0.01): (0.3, 0.3)}
    directories = sweep(tmp_path, swapped, dataset="dsb")
    runs, _ = read_runs(directories)
    kept, _ = best_by_validation(runs, SELECT)
    adam = {
        (run.dataset, run.config["optimizer"]["lr"]) for run in kept if run.record["choices"]["optimizer"] == "adam"
    }
    assert adam == {("wbc", 0.001), ("dsb", 0.01)}
    assert [method.name for method in load_runs(directories, Rules(select=SELECT)).methods] == ["adam", "sgd"]


def test_a_setting_that_lacks_a_seed_is_not_chosen(tmp_path):
    dice = {**DICE, ("adam", 0.1): (0.99,)}
    loaded = load_runs(sweep(tmp_path, dice), Rules(select=SELECT))
    assert any("lr 0.1 (not finished with every seed)" in note for note in loaded.notes)
    assert {run.config["optimizer"]["lr"] for run in loaded.methods[0].runs} == {0.001}


def test_what_cannot_be_selected_is_said(tmp_path):
    directories = sweep(tmp_path)
    with pytest.raises(
        UserError, match=r"select=optimizer.rate: no run has such a setting; did you mean 'optimizer.lr'"
    ):
        load_runs(directories, Rules(select=("optimizer.rate",)))


def test_the_generalisation_gap_is_the_median_over_the_runs(tmp_path):
    loaded = load_runs(sweep(tmp_path), Rules(select=SELECT))
    assert [method.gap for method in loaded.methods] == pytest.approx([0.081, 0.077])


def test_a_budget_may_differ_where_that_is_said(tmp_path):
    for size in (1, 8):
        budget = {"max_steps": 1000, "batch_size": size, "patch_size": [128, 128]}
        make_run(
            tmp_path,
            choices={"model": "unet", "loss": "dice"},
            settings={"data.batch_size": size},
            quality=0.8,
            record={"budget": budget},
        )
    directories = find_runs(str(tmp_path))
    with pytest.raises(UserError, match=r"differ in budget.batch_size: [18] and [18]"):
        load_runs(directories, Rules())
    loaded = load_runs(directories, Rules(may_differ=("budget.batch_size",)))
    assert any("budget.batch_size" in note and "allowed by may_differ" in note for note in loaded.notes)
    with pytest.raises(UserError, match=r"differ in budget.batch_size"):
        load_runs(directories, Rules(may_differ=("budget.max_steps",)))


def test_a_distance_is_best_where_it_is_smallest_and_criteria_do_not_mix(tmp_path):
    far = {"chosen_by": {"hd95": "smaller"}}
    unet = {"choices": {"model": "unet"}, "quality": 0.8}
    paths = [
        make_run(tmp_path, **unet, settings={"optimizer.lr": lr}, record={**far, "training": {"best_score": score}})
        for lr, score in ((0.1, 7.0), (0.01, 9.0))
    ]
    paths.append(make_run(tmp_path, choices={"model": "segnet"}, quality=0.7, record=far))
    loaded = load_runs(paths, Rules(select=SELECT))
    assert "lr 0.1 has the best validation hd95 (7.000); left out: lr 0.01 (9.000)" in loaded.notes[0]
    odd = json.loads((paths[0] / "run.json").read_text())
    (paths[0] / "run.json").write_text(json.dumps(odd | {"chosen_by": {"dice": "larger"}}))
    with pytest.raises(UserError, match=r"chosen by its validation .* by .* \(metrics\.choose_by\)"):
        load_runs(paths, Rules(select=SELECT))
