"""The studies, each as its one command: at budget=smoke, with few of their methods."""

import json
import os
import shutil
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from segbench.commands.execution import report
from segbench.commands.resolvers import register_resolvers
from segbench.compare.reading.methods import load_runs
from segbench.compare.request import Request
from segbench.config import schema
from segbench.config.composing import referred_to
from segbench.config.identity import run_id
from segbench.config.instantiation import build
from segbench.config.paths import conf_folder
from segbench.config.study import check_study, comparison_settings
from segbench.runs.directory import RunDirectory
from segbench.runs.discovery import find_runs
from tests import data_layouts
from tests.data_sets import make
from tests.made_runs import configure

FOLDER = conf_folder() / "experiment"
STUDIES = sorted(path.stem for path in FOLDER.glob("*.yaml") if "budget:" in path.read_text())
QUICK = ("data.workers=0", "logger=none", "trainer.progress=false", "trainer.precision=32-true", "trainer.gap_cases=1")
SMALL = ("data.patch_size=[32,32]", "metrics=overlap")
DRAWN = ("data.dataset.cases=6", "data.dataset.size=[12,24,24]", "plan.volume.features=2", "plan.plane.features=2",
         "plan.volume.most_features=4", "plan.plane.most_features=4", "folds=3", "metrics=overlap")  # fmt: skip
FLAT = ("plan.volume.most_features=8", "plan.memory_gb=0.004", "metrics=overlap")
FEW = {
    "architecture_table": ("model=otsu,unet_small", *SMALL),
    "augmentation": ("augmentation=none,flips", "model.channels=[4,8]", *SMALL),
    "cascade": ("data.dataset.cases=9", "data.dataset.size=[96,96]", "model.channels=[4,8]", *SMALL),
    "context_table": ("model=context_a,context_d", "data.dataset.cases=10", "inference.stride=32", "metrics=overlap"),
    "encoder_variants": ("model.encoder=resnet18,mobilenet_v2", *SMALL),
    "instances_table": ("task=semantic", "hydra.sweeper.then=null", "model.channels=[4,8]", "data.patch_size=[32,32]"),
    "multitask_ablation": ("task=semantic,contour_and_distance", "model.channels=[4,8]", "data.patch_size=[32,32]"),
    "losses": ("loss=dice,focal", "model.channels=[4,8]", *SMALL),
    "normalization": ("model.norm=group,none", "data.batch_size=1,2", "model.act=relu", "model.channels=[4,8]", *SMALL),
    "nnunet_cascade": ("data.dataset.cases=6", "data.dataset.size=[16,48,48]", "plan.volume.features=4", *FLAT),
    "nnunet_ablation": ("ablation=vanilla,no_augmentation", *DRAWN),
    "optimizers": ("optimizer=adam,sgd_momentum", "study.rate=low,high", "model.channels=[4,8]", *SMALL),
    "unet_isbi2012": ("seed=0,1", "metrics=overlap"),
    "volumes_table": ("model=nnunet,nnunet_slices", *DRAWN),
}
METHODS = {"nnunet_cascade": 3, "normalization": 4, "unet_isbi2012": 1}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A working directory with small data sets beside it."""
    for name in ("wbc", "isbi2012", "dsb2018"):
        make(name, tmp_path / "data" / name)
    data_layouts.bach(tmp_path / "data" / "bach")
    monkeypatch.setenv("SEGBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["segbench"])
    return tmp_path


def study(name: str, *overrides: str) -> int:
    os.environ.pop("HYDRA_FULL_ERROR", None)  # the command sets it, and where it is set tells no short story
    return report("train", [f"experiment={name}", "budget=smoke", *overrides, *QUICK])


def records(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*/run.json"))]


def test_every_study_is_tested():
    assert sorted(FEW) == STUDIES


@pytest.mark.parametrize("budget", ["smoke", "small", "full"])
@pytest.mark.parametrize("name", STUDIES)
def test_every_budget_is_complete(name, budget):
    register_resolvers()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        overrides = [f"experiment={name}", f"budget={budget}"]
        config = compose(config_name="train", overrides=overrides, return_hydra_config=True)
    check_study(config)
    with referred_to(config):  # a study may choose by ${hydra:runtime.choices.optimizer}
        schema.check(config)
    assert config.trainer.max_steps == config.study.budgets[budget].steps


@pytest.mark.parametrize("budget", ["smoke", "full"])
def test_what_comes_then_in_the_table_of_instances_is_composed(budget):
    """Each list of values, of which the first of each key."""
    register_resolvers()
    overrides = ["experiment=instances_table", f"budget={budget}"]
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        study = compose(config_name="train", overrides=overrides, return_hydra_config=True)
        later = [[f"{key}={value}" for key, value in values.items()] for values in study.hydra.sweeper.then]
        assert len(later) == 5
        for values in later:
            firsts = [value if "[" in value else value.partition(",")[0] for value in values]
            config = compose(config_name="train", overrides=[*overrides, *firsts])
            with referred_to(config):
                schema.check(config)
                schema.check_targets(config)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_has_three_budgets_and_known_settings_of_its_comparison(name):
    register_resolvers()
    config = OmegaConf.load(FOLDER / f"{name}.yaml")
    assert list(config.study.budgets) == ["smoke", "small", "full"]
    assert config.hydra.mode == "MULTIRUN"
    Request.of_settings(comparison_settings(config))


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_runs_and_its_runs_can_be_compared(name, here, monkeypatch):
    compared = []
    monkeypatch.setattr("segbench.commands.compare.compare_sweep", lambda *arguments: compared.append(arguments))
    assert study(name, *FEW[name]) == 0
    ((folder, settings),) = compared
    assert folder.parent == Path("sweeps")
    assert all(record["status"] == "finished" for record in records(folder))
    if METHODS.get(name) == 1:
        assert len(records(folder)) == 2
        return
    loaded = load_runs(find_runs(str(folder)), Request.of_settings(settings).rules)
    assert len(loaded.methods) == METHODS.get(name, 2)


def test_one_command_ends_in_the_table_and_a_second_time_does_what_is_not_done(here, capfd):
    few = ("model=otsu,unet_resnet18", *SMALL)
    assert study("architecture_table", *few) == 0
    (folder,) = (here / "sweeps").iterdir()
    assert folder.name.startswith("architecture_table-wbc-smoke-otsu+unet_resnet18-")
    table = (folder / "comparison" / "table.md").read_text()
    assert "| otsu |" in table
    assert "| unet\\_resnet18 |" in table
    for row in ("cytoplasm", "nucleus", "rank sum", "parameters", "run time (s)", "generalisation gap"):
        assert f"| {row} |" in table
    otsu, network = sorted(folder.glob("*/run.json"))
    before = otsu.stat().st_mtime_ns, network.stat().st_mtime_ns
    shutil.rmtree(network.parent)
    assert study("architecture_table", *few) == 0
    assert otsu.stat().st_mtime_ns == before[0]
    assert network.stat().st_mtime_ns > before[1]
    assert {record["status"] for record in records(folder)} == {"finished"}


@pytest.mark.slow
def test_what_comes_then_waits_for_the_first_runs_and_is_not_done_twice(here, capfd):
    few = (*FEW["cascade"], "fold=0,1,2")
    assert study("cascade", *few, "loss=dice") == 0
    (folder,) = (here / "sweeps").iterdir()
    alone, cascades = ([json.loads(path.read_text()) for path in sorted(folder.glob(f"{name}-*/run.json"))]
                       for name in ("alone", "cascade"))  # fmt: skip
    assert [len(alone), len(cascades)] == [3, 3]
    for record in cascades:
        assert {run["id"] for run in record["stages"]["first"]["runs"]} == {first["id"] for first in alone}
        assert record["started"] > max(first["finished"] for first in alone)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/run.json")}
    assert study("cascade", *few, "loss=dice") == 0
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*/run.json")} == before
    assert study("cascade", *FEW["cascade"], "fold=0") == 2
    assert "name runs of all folds (fold=1,2 -m)" in capfd.readouterr().err


TISSUE = {
    "synthetic_tissue": ("data.dataset.cases=10", "data.dataset.size=[128,128]", "data.dataset.scale=0.125"),
    "bach": (),
}
"""Data set -> what makes it small."""


@pytest.mark.parametrize("data", TISSUE)
@pytest.mark.parametrize(
    ("name", "models", "small"),
    [
        ("architecture_table", "otsu,kmeans,unet_small", ()),
        ("context_table", "context_a,context_d", ("inference.stride=32",)),
    ],
)
def test_tissue_drawn_by_code_and_whole_slides(name, models, small, data, here):
    assert study(name, f"data={data}", f"model={models}", *TISSUE[data], *small, *SMALL) == 0
    (folder,) = (here / "sweeps").iterdir()
    assert {record["status"] for record in records(folder)} == {"finished"}
    table = (folder / "comparison" / "table.md").read_text().replace("\\", "")
    classes = build(configure(f"data={data}").data.dataset, "data.dataset").classes
    for row in (*classes[1:], "rank sum", "parameters"):
        assert f"| {row} |" in table
    for method in models.split(","):
        assert f"| {method} |" in table


def test_a_failed_run_is_named_in_the_table(here):
    few = ("model.encoder=resnet18,resnet20,mobilenet_v2", *SMALL)
    assert study("encoder_variants", *few) == 2
    (folder,) = (here / "sweeps").iterdir()
    statuses = {record["status"] for record in records(folder)}
    assert statuses == {"finished", "failed"}
    table = (folder / "comparison" / "table.md").read_text()
    assert "not finished: encoderresnet20" in table.replace("\\", "")


def test_what_the_user_sets_wins_over_the_budget_and_the_list(here, monkeypatch):
    monkeypatch.setattr("segbench.commands.compare.compare_sweep", lambda *_: None)
    assert study("losses", "loss=dice", "seed=3", "trainer.max_steps=1", "model.channels=[4,8]", *SMALL) == 0
    (record,) = records(next((here / "sweeps").iterdir()))
    assert record["choices"]["loss"] == "dice"
    assert record["seed"] == 3
    assert record["budget"]["max_steps"] == 1


def test_a_budget_changes_a_runs_identity_by_what_it_sets_only():
    set_by_hand = ("experiment=losses", "trainer.max_steps=1", "trainer.validate_every=1")
    one, two = (run_id(configure(*set_by_hand, f"budget={budget}")) for budget in ("small", "full"))
    assert one == two
    three, four = (run_id(configure("experiment=losses", f"budget={budget}")) for budget in ("small", "full"))
    assert three != four


def test_a_budget_that_does_not_exist_is_one_line(here, capfd):
    assert study("losses", "budget=tiny") == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert line == "segbench: budget=tiny: must be one of smoke, small, full"


def test_a_budget_without_a_study_is_refused():
    from segbench.errors import UserError

    with pytest.raises(UserError, match="budget=small: only studies have budgets"):
        check_study(configure("budget=small"))


def test_a_misspelled_setting_of_the_comparison_is_refused():
    from segbench.errors import UserError

    with pytest.raises(UserError, match=r"study.comparison.selct: must be one of .*select"):
        check_study(configure("+study.comparison.selct=[optimizer.lr]"))


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_the_whole_list_of_a_study_runs(name, here):
    few = {"unet_isbi2012": (), "context_table": FEW["context_table"][1:]}
    small = few.get(name, ("data.patch_size=[96,96]", "metrics=overlap"))
    code = study(name, *small)
    (folder,) = (here / "sweeps").iterdir()
    assert {record["status"] for record in records(folder)} == {"finished"}
    assert code == 0
    assert RunDirectory(next(folder.glob("*/run.json")).parent).finished
