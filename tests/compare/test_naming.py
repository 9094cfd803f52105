"""What methods are called."""

import itertools
from pathlib import Path

import pytest

from segbench.compare.reading.duplicates import without_unused_choices
from segbench.compare.reading.naming import differences, name_methods
from segbench.compare.reading.runs import Run
from segbench.errors import UserError

BASE = {
    "model": {"_target_": "M", "norm": "batch", "channels": [32, 64]},
    "loss": {"alpha": 0.5},
    "trainer": {"max_steps": 1000, "devices": 1},
    "data": {"root": "here", "workers": 2, "batch_size": 8},
    "logger": {"csv": {}},
    "seed": 0,
    "fold": 0,
}


def run(number, choices, settings=None, overrides=(), dataset="wbc", seed=0, fold=0):
    config = {key: dict(value) if isinstance(value, dict) else value for key, value in BASE.items()}
    config |= {"seed": seed, "fold": fold}
    for dotted, value in (settings or {}).items():
        group, _, key = dotted.partition(".")
        config[group][key] = value
    record = {
        "id": str(number),
        "name": str(number),
        "dataset": {"name": dataset},
        "choices": {"data": dataset, "logger": "csv", **choices},
        "overrides": list(overrides),
        "seed": seed,
        "fold": fold,
    }
    made = Run(Path(f"run{number}"), record)
    made.__dict__["config"] = config
    return made


def names(*runs, **rename):
    return name_methods([run(k, **spec) for k, spec in enumerate(runs)], rename or None)


def test_choices_that_differ_name_the_method_in_a_fixed_order():
    grid = itertools.product(("unet", "segnet"), ("tversky", "dice"), ("sgd", "adam"))
    specs = [{"choices": {"optimizer": o, "model": m, "loss": lo, "task": "semantic"}} for m, lo, o in grid]
    assert names(*specs)[0] == "unet / tversky / sgd"
    assert len(set(names(*specs))) == 8


def test_seeds_folds_paths_loggers_and_devices_never_do():
    specs = [
        {
            "choices": {"model": model, "logger": logger, "trainer": trainer},
            "seed": seed,
            "fold": fold,
            "settings": settings,
        }
        for model in ("unet", "segnet")
        for (seed, fold, logger, trainer, settings) in (
            (0, 0, "csv", "cpu", {"data.root": "a"}),
            (1, 0, "wandb", "gpu", {"trainer.devices": 4}),
            (0, 1, "csv", "ddp", {"data.workers": 9}),
        )
    ]
    assert names(*specs) == ["unet"] * 3 + ["segnet"] * 3


def test_other_choices_are_named_with_their_group():
    specs = [{"choices": {"model": "unet", "augmentation": a}} for a in ("none", "flips")]
    assert names(*specs) == ["augmentation none", "augmentation flips"]
    specs = [{"choices": {"model": "unet"}}, {"choices": {"model": "unet", "decoder": "crf"}}]
    assert names(*specs) == ["no decoder", "decoder crf"]


def test_settings_name_methods_of_equal_choices_only():
    specs = [
        {"choices": {"model": "unet"}, "settings": {"model.norm": n}, "overrides": [f"model.norm={n}"]}
        for n in ("batch", "instance")
    ]
    specs.append({"choices": {"model": "segnet"}, "settings": {"model.norm": "group"}})
    assert names(*specs) == ["unet / norm batch", "unet / norm instance", "segnet"]


def test_settings_that_follow_from_a_typed_one_are_left_out():
    specs = [
        {
            "choices": {"model": "unet"},
            "settings": {"model.channels": c, "loss.alpha": c[0]},
            "overrides": ["model.channels=x"],
        }
        for c in ([32, 64], [16, 32])
    ]
    assert names(*specs) == ["channels 32-64", "channels 16-32"]


def test_settings_measured_on_a_fold_do_not_split_a_method():
    specs = [
        {"choices": {"model": m}, "settings": {"loss.alpha": fold / 7}, "fold": fold}
        for m in ("unet", "segnet")
        for fold in range(3)
    ]
    assert set(names(*specs)) == {"unet", "segnet"}


def test_a_setting_that_differs_between_data_sets_only_names_nothing():
    specs = [
        {"choices": {"model": m}, "dataset": d, "settings": {"data.batch_size": size, "loss.alpha": size}}
        for m in ("unet", "segnet")
        for d, size in (("wbc", 8), ("isbi", 4))
    ]
    assert names(*specs) == ["unet", "unet", "segnet", "segnet"]


def test_equal_last_parts_of_keys_are_told_apart():
    specs = [
        {"choices": {}, "settings": {"model.norm": a, "loss.norm": b}, "overrides": ["model.norm=1", "loss.norm=1"]}
        for a, b in ((True, None), (False, 2))
    ]
    assert names(*specs) == ["model.norm on / loss.norm none", "model.norm off / loss.norm 2"]


def test_renaming():
    specs = [{"choices": {"model": m}} for m in ("unet", "segnet")]
    assert names(*specs, unet="ours") == ["ours", "segnet"]
    with pytest.raises(UserError, match=r"no method is called 'unt'; did you mean 'unet'\?"):
        names(*specs, unt="ours")
    with pytest.raises(UserError, match="two methods would be called 'segnet'"):
        names(*specs, unet="segnet")


def test_differences_lists_all_of_them():
    specs = [
        {"choices": {"model": "unet"}, "settings": {"model.norm": n, "data.root": n}, "seed": k}
        for k, n in enumerate("ab")
    ]
    assert differences([run(k, **spec) for k, spec in enumerate(specs)]) == {"model.norm": ["a", "b"]}


def test_a_method_without_optimizer_steps_is_not_named_after_a_loss():
    typed = ["model=unet", "loss=dice"]
    runs = [run(k, {"model": "unet", "loss": loss}, overrides=typed) for k, loss in enumerate(("dice", "ce"))]
    for number, (loss, rate) in enumerate((("dice", 0.1), ("ce", 0.1)), start=2):
        otsu = run(number, {"model": "otsu", "loss": loss}, {"loss.alpha": rate}, overrides=[f"loss={loss}"])
        otsu.record["training"] = {"steps": 0}
        runs.append(otsu)
    found = name_methods(runs)
    assert found == ["unet / dice", "unet / ce", "otsu", "otsu"]
    kept, names, notes = without_unused_choices(runs, found)
    assert (kept, names) == (runs[:3], found[:3])
    assert "run3 differs from run2 in nothing that 'otsu' uses" in notes[0]


def test_a_loss_that_all_others_share_stays_out_of_the_names():
    runs = [run(k, {"model": model, "loss": "dice"}, overrides=["loss=dice"]) for k, model in enumerate(("a", "otsu"))]
    runs[1].record["training"] = {"steps": 0}
    assert name_methods(runs) == ["a", "otsu"]
