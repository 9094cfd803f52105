"""Cascades: the predictions of earlier runs as an input, without leakage, computed once."""

import json
import logging
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from segbench.commands.evaluate_run import evaluate_run
from segbench.commands.predict import predict
from segbench.compare.reading.methods import Rules, load_runs
from segbench.config.identity import run_id
from segbench.data.formats import read_image, write_mask
from segbench.data.preparation import SeenImage
from segbench.data.store import CaseStore
from segbench.errors import UserError
from segbench.runs.directory import RunDirectory, read_cases
from segbench.runs.discovery import find_runs
from segbench.runs.stages import TrainingImages, find_stages, recorded_stages
from segbench.training import assembly
from segbench.training.initial_weights import check_unseen
from segbench.training.predictor import FinishedRun, load_run
from segbench.training.stages import StagePredictions
from tests.ddp import launch  # noqa: F401
from tests.made_runs import TINY, configure, execute

SMALL = ("data.dataset.cases=9", "folds=3", "trainer.max_steps=2", "trainer.gap_cases=0")
INPUT = "data.input_arrays=[coarse]"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    """Three finished runs, one of each fold."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    for fold in range(3):
        execute(folder / f"fold{fold}", *SMALL, f"fold={fold}")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache of its own")


@pytest.fixture(scope="module")
def cascade(sweep, cache) -> RunDirectory:
    """A finished run of fold 0 that sees them."""
    return execute(sweep.parent / "cascade", *settings(sweep, cache), "predictions=true")


def settings(sweep: Path, cache: Path) -> tuple[str, ...]:
    return *SMALL, f"stages={{coarse: '{sweep}'}}", INPUT, f"data.cache='{cache}'"


load = partial(load_run, accelerator="cpu")


def store_of(*overrides: str) -> CaseStore:
    return assembly.build_dataset(configure(*TINY, *SMALL, *overrides))[1]


def parts(run: Path) -> dict[str, list[str]]:
    return dict(json.loads((run / "split.json").read_text()))


def predicted(stages_setting, cases, cache: Path, store: CaseStore | None = None) -> CaseStore:
    """The store with the predictions of stages."""
    found = find_stages(stages_setting)
    return StagePredictions(found, str(cache), load)("synthetic_cells", store or store_of(), cases)


def test_the_input_of_each_case_is_the_prediction_of_the_fold_that_tested_it(sweep, cascade, cache):
    store = store_of()
    arrays = predicted({"coarse": str(sweep)}, store.ids, cache)
    for fold in range(3):
        run = load_run(sweep / f"fold{fold}", "cpu")
        tested = parts(run.directory.path)["test"]
        assert len(tested) == 3
        for case in tested:
            np.testing.assert_array_equal(arrays[case].arrays["coarse"], run.predict(np.asarray(store[case].image)))


def test_the_network_sees_one_channel_for_each_class_behind_the_image(sweep, cascade, cache):
    assert load_run(cascade.path, "cpu").config.measured.in_channels == 1 + 4
    arrays = predicted({"coarse": str(sweep)}, store_of().ids, cache)
    network_input = assembly.network_input(configure(*TINY, *SMALL, INPUT), arrays)
    case = arrays["cells_0003"]
    seen = network_input.of_case(case)
    np.testing.assert_array_equal(seen[1:].argmax(0), case.arrays["coarse"])
    np.testing.assert_array_equal(seen[1:].sum(0), 1)


def test_it_is_recorded_which_run_has_predicted_which_case(sweep, cascade):
    coarse = cascade.record["stages"]["coarse"]
    assert coarse["takes"] == "labels"
    for run in coarse["runs"]:
        path = sweep / f"fold{run['fold']}"
        assert run["path"] == str(path)
        assert run["id"] == RunDirectory(path).record["id"]
        assert sorted(run["cases"]) == sorted(parts(path)["test"])


def test_predictions_are_made_once(sweep, cascade, cache, tmp_path, monkeypatch):
    def again(*_, **__):
        raise AssertionError("predicted again")

    before = {path: path.stat().st_mtime_ns for path in cache.rglob("stages/*/labels/*.npy")}
    assert len(before) == 9
    monkeypatch.setattr(FinishedRun, "outputs", again)
    other = execute(tmp_path / "other fold", *settings(sweep, cache), "fold=1")
    assert other.finished
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("stages/*/labels/*.npy")} == before


def test_a_stage_that_was_trained_again_is_not_mixed_up(sweep, cascade, cache, tmp_path):
    retrained = tmp_path / "first"
    shutil.copytree(sweep, retrained)
    path = retrained / "fold1" / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(path, weights_only=False)
    for name, tensor in checkpoint["state_dict"].items():
        if name.endswith("heads.mask.bias"):
            tensor += torch.tensor([9.0, 0, 0, 0])
    torch.save(checkpoint, path)
    store = store_of()
    case = parts(sweep / "fold1")["test"][0]
    expected = load_run(retrained / "fold1", "cpu").predict(np.asarray(store[case].image))
    arrays = predicted({"coarse": str(retrained)}, store.ids, cache)
    np.testing.assert_array_equal(arrays[case].arrays["coarse"], expected)


def test_a_leak_is_refused_before_anything_is_written(sweep, tmp_path):
    for folds, missing in (((0,), "1,2"), ((0, 1), "2")):
        named = "[" + ",".join(f"'{sweep}/fold{fold}'" for fold in folds) + "]"
        known = 9 - 3 * len(folds)
        with pytest.raises(
            UserError,
            match=rf"^stages\.coarse: {known} of 9 cases were training or validation cases of every run that it names,"
            rf" such as cells_\d+, so that .* name runs of all folds \(fold={missing} -m\)$",
        ):
            execute(tmp_path / "run", *SMALL, f"stages={{coarse: {named}}}", INPUT)
        assert RunDirectory(tmp_path / "run").status is None


def test_the_same_image_under_another_name_is_a_leak_too(sweep):
    (stage,) = find_stages({"coarse": [str(sweep / "fold0")]})
    store = store_of()
    trained, tested = (store.meta(parts(sweep / "fold0")[part][0]) for part in ("train", "test"))
    assert not stage.predictors("another data set", trained)
    assert stage.predictors("another data set", tested) == stage.runs


def test_the_id_follows_the_runs_of_the_stages_not_their_folders(sweep, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(sweep, moved)

    def identity(value: str) -> str:
        return run_id(configure(*TINY, *SMALL, f"stages={{coarse: {value}}}", INPUT))

    assert identity(f"'{sweep}'") == identity(f"'{moved}'") == identity(f"'{moved}/*'")
    others = [f"['{sweep}/fold0','{sweep}/fold1']", f"{{runs: '{sweep}', takes: probabilities}}"]
    ids = {identity(value) for value in (f"'{sweep}'", *others)} | {run_id(configure(*TINY, *SMALL, INPUT))}
    assert len(ids) == 4


def test_without_stages_the_id_is_what_it_was():
    config = configure(*TINY)
    before = {key: value for key, value in config.items_ex(resolve=False) if key not in ("stages", "stage_ids")}
    assert run_id(config) == run_id(OmegaConf.create(before))


def test_its_own_test_image_is_predicted_as_in_its_test(sweep, cascade, tmp_path):
    store = store_of()
    run = load_run(cascade.path, "cpu")
    for case in parts(cascade.path)["test"]:
        image = np.asarray(store[case].image)
        np.testing.assert_array_equal(run.predict(image), read_image(cascade.path / "predictions" / f"{case}.png")[0])


def test_a_new_image_is_predicted_by_the_mean_of_the_stage_first(sweep, cascade, tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (1, 40, 56), dtype=np.uint8)
    write_mask(tmp_path / "new", image[0], like=None)
    (written,) = tmp_path.iterdir()
    predict(configure(f"run={cascade.path}", f"input={written}", f"output={tmp_path}/out", command="predict"))
    (mask,) = (path for path in (tmp_path / "out").iterdir() if not path.name.startswith("."))
    runs = [load_run(sweep / f"fold{fold}", "cpu") for fold in range(3)]
    logits = torch.stack([run.outputs(run.seen(image))["mask"] for run in runs]).mean(0)
    coarse = logits.argmax(0).numpy().astype(np.uint8)
    last = load_run(cascade.path, "cpu")
    seen = np.concatenate([runs[0].seen(image).image, np.eye(4, dtype=np.float32)[:, coarse]])
    np.testing.assert_array_equal(read_image(mask)[0], last.outputs(SeenImage(seen, None))["mask"].argmax(0).numpy())


def test_stages_that_have_moved(sweep, cascade, tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (1, 48, 48), dtype=np.uint8)
    expected = load_run(cascade.path, "cpu").predict(image)
    moved, run = tmp_path / "moved", tmp_path / "cascade"
    shutil.copytree(sweep, moved)
    shutil.copytree(cascade.path, run)
    record = json.loads((run / "run.json").read_text())
    for facts in record["stages"]["coarse"]["runs"]:
        facts["path"] = facts["path"].replace(str(sweep), str(tmp_path / "gone"))
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"its stage coarse is the run \w+, and \S+/gone/fold0 is no run dir"):
        load_run(run, "cpu")
    places = configure("run=x", f"stages={{coarse: '{moved}'}}", command="evaluate").stages
    np.testing.assert_array_equal(load_run(run, "cpu", stages=places).predict(image), expected)


def test_its_own_cases_are_scored_again_alike(cascade):
    before = read_cases(cascade.cases)
    evaluate_run(configure(f"run={cascade.path}", "accelerator=cpu", command="evaluate"))
    assert read_cases(cascade.cases).equals(before)


def test_unseen_is_what_the_stages_do_not_know_either(sweep, cascade, cache):
    """Those of its own test part are fair for its own test alone: a run of its stage was trained on them."""
    evaluate_run(
        configure(
            f"run={cascade.path}",
            "accelerator=cpu",
            "data=synthetic_cells",
            "data.dataset.cases=11",
            "data.dataset.size=[96,96]",
            f"data.cache='{cache}'",
            command="evaluate",
        )
    )
    cases = read_cases(cascade.path / "unseen" / "synthetic_cells.csv")["case"]
    assert list(dict.fromkeys(cases)) == ["cells_0009", "cells_0010"]


def test_its_weights_know_its_own_images_the_cascade_knows_all(sweep, cascade):
    store, split = store_of(), parts(cascade.path)
    by_weights, by_stages = TrainingImages.of_run(cascade), TrainingImages.of_stages(cascade)
    digests = {case: store.meta(case).image_digest for case in store.ids}
    assert by_weights.images == {digests[case] for case in split["train"] + split["validation"]}
    assert by_stages.images == set(digests.values())
    config = configure(*TINY, *SMALL)
    check_unseen(cascade, "synthetic_cells", store, assembly.build_split(config, store))
    config.fold = 1
    with pytest.raises(UserError, match="was trained on 3 of the 3 test cases"):
        check_unseen(cascade, "synthetic_cells", store, assembly.build_split(config, store))


def test_of_several_seeds_the_mean_is_taken(sweep, tmp_path):
    second = execute(tmp_path / "seed1", *SMALL, "seed=1").path
    store, tested = store_of(), parts(sweep / "fold0")["test"]
    arrays = predicted({"coarse": [str(sweep / "fold0"), str(second)]}, tested, tmp_path)
    runs = [load_run(path, "cpu") for path in (sweep / "fold0", second)]
    for case in tested:
        image = np.asarray(store[case].image)
        mean = sum(run.outputs(run.seen(image))["mask"] for run in runs) / 2
        np.testing.assert_array_equal(arrays[case].arrays["coarse"], mean.argmax(0).numpy())


def test_probabilities_instead_of_classes(sweep, tmp_path):
    setting = {"coarse": {"runs": str(sweep), "takes": "probabilities"}}
    store = store_of()
    arrays = predicted(setting, store.ids, tmp_path)
    case = parts(sweep / "fold2")["test"][0]
    run = load_run(sweep / "fold2", "cpu")
    found = arrays[case].arrays["coarse"]
    logits = run.outputs(run.seen(np.asarray(store[case].image)))["mask"]
    np.testing.assert_allclose(found, torch.softmax(logits, 0).numpy(), atol=1e-6)
    network_input = assembly.network_input(configure(*TINY, *SMALL, INPUT), arrays)
    np.testing.assert_array_equal(network_input.of_case(arrays[case])[1:], found)


def test_regions_instead_of_classes(cache, tmp_path):
    for fold in range(3):
        execute(tmp_path / "first" / f"fold{fold}", *SMALL, "task=regions", f"fold={fold}")
    setting = {"coarse": {"runs": str(tmp_path / "first"), "takes": "regions"}}
    store = store_of()
    arrays = predicted(setting, store.ids, tmp_path)
    case = parts(tmp_path / "first" / "fold2")["test"][0]
    run = load_run(tmp_path / "first" / "fold2", "cpu")
    expected = run.outputs(run.seen(np.asarray(store[case].image)))["regions"].numpy() > 0
    np.testing.assert_array_equal(arrays[case].arrays["coarse"], expected)
    value = f"stages={{coarse: {{runs: '{tmp_path}/first', takes: regions}}}}"
    second = execute(tmp_path / "second", *SMALL, value, INPUT, f"data.cache='{cache}'")
    assert load_run(second.path, "cpu").config.measured.in_channels == 1 + 3
    assert load_run(second.path, "cpu").predict(np.asarray(store[case].image)).shape == (96, 96)


def test_what_a_stage_has_no_head_for_is_refused(sweep):
    with pytest.raises(UserError, match=r"coarse\.takes=regions: \S+ has no head regions; take labels"):
        find_stages({"coarse": {"runs": str(sweep), "takes": "regions"}})


def test_a_stage_may_have_stages(sweep, cache, tmp_path):
    for fold in range(3):
        execute(tmp_path / "second" / str(fold), *settings(sweep, cache), f"fold={fold}")
    store = store_of()
    case = parts(tmp_path / "second" / "2")["test"][0]
    arrays = predicted({"fine": str(tmp_path / "second")}, store.ids, cache)
    run = load_run(tmp_path / "second" / "2", "cpu")
    np.testing.assert_array_equal(arrays[case].arrays["fine"], run.predict(np.asarray(store[case].image)))
    (stage,) = recorded_stages(run.directory.path)
    assert [one.path for one in stage.runs] == [sweep / f"fold{fold}" for fold in range(3)]


def test_a_run_that_is_its_own_stage_is_refused(sweep, cascade, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(cascade.path, run)
    record = json.loads((run / "run.json").read_text())
    record["stages"]["coarse"]["runs"] = [{"id": record["id"], "path": str(run)}]
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="is a stage of itself"):
        load_run(run, "cpu")
    with pytest.raises(UserError, match="is a stage of itself"):
        find_stages({"coarse": str(run)})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"status": "interrupted"},
            r"the run \S+/fold1 is not finished \(status interrupted\): start",
        ),
        ({"fold": 0}, r"fold\d and \S+fold\d have the same seed and fold: leave one out"),
        ({"dataset": {"fingerprint": "another"}}, "were trained on different images or masks"),
    ],
)
def test_runs_that_are_no_stage(sweep, tmp_path, change, told):
    shutil.copytree(sweep, tmp_path / "sweep")
    path = tmp_path / "sweep" / "fold1" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=told):
        find_stages({"coarse": str(tmp_path / "sweep")})


def test_runs_of_two_methods_are_no_stage(sweep, tmp_path):
    wider = execute(tmp_path / "wider", *SMALL, "model.norm=instance", "fold=1").path
    with pytest.raises(UserError, match=r"are not of one method, they differ in model\.norm \(batch and instance\)"):
        find_stages({"coarse": [str(sweep / "fold0"), str(wider)]})


def test_weights_that_were_measured_on_a_fold_make_no_other_method(tmp_path):
    for fold in (0, 1):
        execute(tmp_path / str(fold), *SMALL, "loss=weighted_cross_entropy", f"fold={fold}")
    (stage,) = find_stages({"coarse": str(tmp_path)})
    assert [run.record["fold"] for run in stage.runs] == [0, 1]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("{coarse: nowhere}", "stages.coarse=nowhere: there is no such folder"),
        ("runs/a", "stages=runs/a: must have names, such as stages={coarse: runs/a}"),
        ("{coarse: 3}", "stages.coarse=3: must be a run directory, a folder, a glob, or a list of these"),
        ("{coarse: {runs: a, as: b}}", "stages.coarse: has the keys runs, as; it needs runs, and may have takes"),
        ("{coarse: {runs: a, takes: b}}", "stages.coarse.takes=b: must be one of labels, probabilities, regions"),
    ],
)
def test_a_stage_that_is_not_there_is_refused_when_the_configuration_is_composed(value, told):
    with pytest.raises(Exception, match=told.replace("{", r"\{")):
        run_id(configure(f"stages={value}"))


def test_a_stage_that_nothing_looks_at_is_told(sweep, cache, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        execute(tmp_path / "run", *SMALL, f"stages={{coarse: '{sweep}'}}", f"data.cache='{cache}'")
    assert "stages.coarse: nothing looks at it: name it in data.input_arrays=[coarse]" in caplog.text


def test_a_run_that_was_stopped_goes_on_and_knows_its_stages(sweep, cache, cascade, tmp_path, monkeypatch):
    run = (tmp_path / "run", *settings(sweep, cache))

    def stop(self, rows, name="cases.csv"):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "write_cases", stop)
        with pytest.raises(KeyboardInterrupt):
            execute(*run)
    again = execute(*run)
    assert again.record["stages"] == cascade.record["stages"]
    assert read_cases(again.cases).equals(read_cases(cascade.cases))


def test_predictions_that_were_stopped_go_on(sweep, tmp_path, monkeypatch):
    store = store_of()
    made: list[str] = []
    outputs = FinishedRun.outputs

    def stop():
        if len(made) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(FinishedRun, "outputs", lambda self, seen: (made.append("one"), outputs(self, seen))[1])
    found = find_stages({"coarse": str(sweep)})
    with pytest.raises(KeyboardInterrupt):
        StagePredictions(found, str(tmp_path), load, stop)("synthetic_cells", store, store.ids)
    assert len(list(tmp_path.rglob("*.npy"))) == 4
    StagePredictions(found, str(tmp_path), load)("synthetic_cells", store, store.ids)
    assert len(made) == len(list(tmp_path.rglob("*.npy"))) == 9


def test_the_comparison_puts_a_cascade_beside_its_first_stage(sweep, cache, cascade):
    loaded = load_runs(find_runs([str(sweep / "fold0"), str(cascade.path)]), Rules())
    assert {method.name for method in loaded.methods} == {"no coarse", "coarse unet_small"}


def test_several_processes_of_a_run_predict_once(sweep, cascade, tmp_path, launch):  # noqa: F811
    codes = launch(tmp_path / "run", 2, *settings(sweep, tmp_path / "cache"))
    assert codes == [0, 0]
    run = RunDirectory(tmp_path / "run")
    assert run.record["stages"] == cascade.record["stages"]
    assert len(list(tmp_path.rglob("stages/*/labels/*.npy"))) == 9
