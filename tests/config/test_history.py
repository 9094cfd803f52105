"""What was recorded once keeps its id and still predicts, whatever has moved since."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hydra.utils import get_object
from omegaconf import OmegaConf, open_dict

from segbench.compare.reading.naming import differences
from segbench.compare.reading.runs import Run
from segbench.config import history
from segbench.config.history import ADDED, ARGUMENTS, MOVED, completed, current_name, essential, first_name
from segbench.config.identity import NOT_SCIENCE, run_id
from segbench.training.predictor import load_run
from tests.config.interface import compositions, keys
from tests.made_runs import configure

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*/*.yaml"))
INTERFACES = {
    path.parent.name: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent / "recorded").glob("*/interface.json"))
}
"""The promises of each former version: see `tests.config.interface`."""
BEFORE_IDS = "first"
"""Runs of the time before ids were public: they predict, and have other ids now."""


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_recorded_configuration_keeps_its_id(path):
    if path.parent.name == BEFORE_IDS:
        pytest.skip("its id has changed, once")
    facts = json.loads(path.with_suffix(".json").read_text())
    assert run_id(OmegaConf.create(facts["composed"])) == facts["id"]  # before facts of the data are filled in


@pytest.mark.parametrize("version", INTERFACES)
def test_later_arguments_have_defaults_that_stand_in_the_table(version):
    """With the defaults of Python recorded nodes are built; ids are without what came after they became public."""
    for former, before in INTERFACES[version]["arguments"].items():
        name = current_name(former)
        for argument in inspect.signature(get_object(name)).parameters.values():
            if argument.name in before or argument.kind in (argument.VAR_KEYWORD, argument.VAR_POSITIONAL):
                continue
            assert argument.default is not argument.empty, f"{name}.{argument.name}"
            if version != BEFORE_IDS:
                assert ARGUMENTS[name][argument.name] == argument.default, f"{name}.{argument.name}"


@pytest.mark.parametrize("version", INTERFACES)
def test_later_keys_stand_in_the_table(version):
    _, config = next(compositions(["trainer=auto"]))
    later = {*keys(OmegaConf.to_container(config, resolve=True))} - {*INTERFACES[version]["keys"]}
    known = (*ADDED, *NOT_SCIENCE, "metrics.classes", "metrics.objects")
    assert not [key for key in later if not any(key == name or key.startswith(f"{name}.") for name in known)]


def _check_ids(options):
    for version, interface in INTERFACES.items():
        if version != BEFORE_IDS:
            chosen = [option for option in interface["ids"] if options is None or option in options]
            assert {option: run_id(config) for option, config in compositions(chosen)} == {
                option: interface["ids"][option] for option in chosen
            }, version


def test_options_keep_their_ids(monkeypatch):
    """An option whose content was changed on purpose is taken out of the recorded file."""
    monkeypatch.delenv("SEGBENCH_DATA", raising=False)
    _check_ids(("data=folder", "model=external", "model=otsu", "task=regions", "callbacks=ema", "metrics=overlap"))


@pytest.mark.slow
def test_all_options_keep_their_ids(monkeypatch):
    monkeypatch.delenv("SEGBENCH_DATA", raising=False)
    _check_ids(None)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_recorded_run_still_predicts(path, tmp_path):
    facts = json.loads(path.with_suffix(".json").read_text())
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.yaml").write_text(path.read_text())
    record = {"id": facts["id"], "name": path.stem, "status": "finished", "dataset": facts["dataset"]}
    (tmp_path / "run.json").write_text(json.dumps(record))
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: torch.randn(size, generator=generator).abs().to(getattr(torch, kind))
        for name, (kind, *size) in facts["weights"].items()
    }
    torch.save({"state_dict": weights}, tmp_path / "checkpoints" / "best.ckpt")
    run = load_run(tmp_path, "cpu")
    channels = yaml.safe_load(path.read_text())["measured"]["in_channels"]
    label = run.predict(np.random.default_rng(0).integers(0, 255, (channels, 64, 64), dtype=np.uint8))
    assert label.shape == (64, 64)
    assert label.max() < len(facts["dataset"]["classes"])


@pytest.mark.parametrize("former", [*history.BEFORE_IDS, *MOVED])
def test_what_has_moved_is_where_the_table_says(former):
    get_object(current_name(former))
    with pytest.raises(ImportError):
        get_object(former)


def test_the_longest_name_that_fits_counts(monkeypatch):
    monkeypatch.setattr(history, "MOVED", {"a.b": "c", "a.b.D": "e.F"})
    assert [current_name(name) for name in ("a.b.x", "a.b.D", "a.b.D.y", "a.bc", "z")] == [
        "c.x", "e.F", "e.F.y", "a.bc", "z",
    ]  # fmt: skip


def test_ids_are_over_first_names(monkeypatch):
    monkeypatch.setattr(history, "BEFORE_IDS", {"old": "a"})
    monkeypatch.setattr(history, "MOVED", {"a": "c", "b": "c"})
    assert [first_name(name) for name in ("old.X", "a.X", "b.X", "c.X", "d.X")] == ["a.X", "a.X", "a.X", "a.X", "d.X"]


def test_a_moved_class_and_a_later_key_change_no_id(monkeypatch):
    now = configure("model=unet_small")
    then = now.copy()
    then.task.objective.mask._target_ = "segbench.objective.Part"
    then.task.targets.mask.path = "former.targets.mask"
    monkeypatch.setattr(history, "MOVED", {**MOVED, "former.targets": "segbench.data.targets"})
    assert run_id(then) == run_id(now)
    monkeypatch.setattr(history, "ADDED", {**history.ADDED, "model.flavour": "plain"})
    OmegaConf.update(now, "model.flavour", "plain", force_add=True)
    assert run_id(then) == run_id(now)
    now.model.flavour = "rich"
    assert run_id(then) != run_id(now)


def test_a_later_argument_of_a_class_changes_no_id():
    now = configure("data=folder")
    then = now.copy()
    with open_dict(then):
        for argument in ARGUMENTS[then.data.dataset._target_]:
            del then.data.dataset[argument]
        del then.data.input_arrays
    assert run_id(then) == run_id(now)
    now.data.dataset.arrays = {"fov": "fov"}
    assert run_id(then) != run_id(now)


def test_what_is_completed_is_what_is_left_out(monkeypatch):
    monkeypatch.setattr(history, "ADDED", {"model.flavour": "plain", "nowhere.at_all": 1})
    config = {"model": {"depth": 3}, "task": None}
    whole = completed(config)
    assert whole == {"model": {"depth": 3, "flavour": "plain"}, "task": None}
    assert essential(whole) == config == {"model": {"depth": 3}, "task": None}
    assert completed({"model": {"flavour": "rich"}}) == {"model": {"flavour": "rich"}}


def test_the_comparison_sees_no_difference_in_a_moved_name(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "ADDED", {"model.flavour": "plain"})
    record = {"id": "0", "name": "n", "dataset": {"name": "d"}, "choices": {}, "seed": 0, "fold": 0}
    runs = []
    for name, model in {
        "then": {"_target_": "segbench.models.flooding.Watershed"},
        "now": {"_target_": "segbench.models.region_growing.Watershed", "flavour": "plain"},
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(yaml.safe_dump({"model": model}))
        runs.append(Run(tmp_path / name, record))
    assert not differences(runs)
