"""Every YAML file composes and can be instantiated; every experiment runs a few steps."""

from pathlib import Path

import pytest
import torch
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from segbench.config import schema
from segbench.config.instantiation import build
from segbench.config.paths import conf_folder
from tests.made_runs import configure, execute

GROUPS = (
    "model", "loss", "optimizer", "scheduler", "data", "augmentation", "task", "inference", "decoder", "metrics",
    "trainer", "logger", "callbacks", "planner",
)  # fmt: skip
TASKS = {
    "decoder=border_class": ["task=three_class"],
    "decoder=distance_transform": ["task=distance_transform"],
    "decoder=flows": ["task=flows"],
    "decoder=fuse_contour": ["task=contour"],
    "decoder=h_maxima": ["task=inner_distance"],
    "decoder=outer_distance": ["task=outer_distance"],
    "decoder=stars": ["task=stars"],
}
"""Tasks that have the heads of a decoder."""
OPTIONS = [f"{group}={path.stem}" for group in GROUPS for path in sorted((conf_folder() / group).glob("*.yaml"))]
EXPERIMENTS = sorted(
    path.stem for path in (conf_folder() / "experiment").glob("*.yaml") if "MULTIRUN" not in path.read_text()
)
"""Single runs; for the studies see test_studies.py."""
UNFINISHED = {
    "model=external": "model.net._target_", "loss=weighted_sum": "loss.terms",
    "augmentation=albumentations_file": "augmentation.file",
}  # fmt: skip
"""Options that ask the user for something, and for what."""
VERY_LARGE = ("model=deconvnet", "model=fcn32s", "model=fcn16s", "model=fcn8s")
"""Options that are built without memory for their weights: half a gigabyte and more."""


def test_every_folder_of_the_configuration_is_known():
    folders = {path.name for path in conf_folder().iterdir() if path.is_dir()}
    assert folders == {*GROUPS, "ablation", "experiment", "hydra"}


@pytest.mark.parametrize("group", [*GROUPS, "experiment"])
def test_the_pages_name_every_option(group):
    docs = Path(__file__).parents[2] / "docs"
    named = "".join((docs / page).read_text() for page in ("options.md", "studies.md", "data-sets.md", "sweeps.md"))
    options = {path.stem for path in (conf_folder() / group).glob("*.yaml")}
    missing = {name for name in options if f"`{name}`" not in named and f"{group}={name}" not in named}
    assert not {name for name in missing if not name.startswith("context_")} - {"demo"}


def test_only_what_can_be_chosen_is_offered():
    """No file that others are made from, and no launcher of another package."""
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        offered = GlobalHydra.instance().config_loader().get_group_options
        assert "base" not in {*offered("data"), *offered("metrics")}
        assert offered("hydra/launcher") == ["basic", "local", "slurm", "slurm_cpu", "slurm_ddp"]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_and_its_classes_take_its_values(option):
    config = configure(*TASKS.get(option, ()), option)
    if option in UNFINISHED:
        assert OmegaConf.select(config, UNFINISHED[option]) is None
        return
    schema.check(config)
    schema.check_targets(config)


@pytest.mark.parametrize("option", [option for option in OPTIONS if option not in UNFINISHED])
def test_every_option_is_instantiated(option):
    group = option.partition("=")[0]
    config = configure(option, "trainer.max_steps=10")
    shares = {name: [0.8, 0.15, 0.05] for name in ("class_frequencies", "class_frequencies_where_present")}
    config.measured = {"spatial_dims": 2, "in_channels": 3, "image_channels": 3, "classes": 3,
                       "regions": {"whole": [1, 2], "core": [2]}, "region_count": 2, "class_0_counts": False, **shares,
                       "score": "validation/dice", "score_mode": "max",
                       "plan": {"features": [4, 8], "strides": [[1, 1], [2, 2]], "kernels": [[3, 3], [3, 3]],
                                "convs": [1, 1], "decoder_convs": [1]}}  # fmt: skip
    nodes = {"data": "data.dataset", "task": "task.objective", "metrics": "metrics.classes", "planner": "plan"}
    if group not in ("trainer", "logger", "callbacks", "data"):
        node = OmegaConf.select(config, nodes.get(group, group))
        with torch.device("meta" if option in VERY_LARGE else "cpu"):
            assert build(node, group) is not None


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs(name, tmp_path, monkeypatch):
    from tests.data_sets import make

    root = make(name, tmp_path / "data")
    overrides = [f"experiment={name}", "trainer.max_steps=2", "trainer.validate_every=1", "trainer.accelerator=cpu",
                 "trainer.precision=32-true", "data.batch_size=2", "data.patch_size=[32,32]", "data.workers=0",
                 "model.channels=[4,8]", "logger=none", "metrics=overlap", "trainer.progress=false",
                 "inference=whole"]  # fmt: skip
    overrides.append("data.dataset.cases=12" if root is None else f"data.root={root}")
    assert execute(tmp_path / "run", *overrides, tiny=False).finished


def test_an_experiment_with_a_misspelled_key_is_refused(tmp_path: Path):
    from hydra import compose, initialize_config_dir

    from segbench.commands.train import check_experiment
    from segbench.config.invocation import Invocation
    from segbench.errors import UserError

    folder = tmp_path / "experiment"
    folder.mkdir()
    (folder / "mine.yaml").write_text("# @package _global_\ntrainer:\n  max_stepps: 3\n")
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        overrides = [f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine"]
        config = compose(config_name="train", overrides=overrides)
        choices = {"model": "unet_small", "experiment": "mine"}
        with pytest.raises(UserError, match=r"experiment=mine: trainer\.max_stepps.*trainer\.max_steps"):
            check_experiment(config, Invocation(tmp_path, "x", choices, overrides))


def test_a_data_set_may_choose_its_metrics_and_decoder_and_the_user_has_the_last_word():
    chosen = configure("data=cell_tracking")
    assert "seg" in chosen.metrics.objects
    assert chosen.decoder._target_.endswith("Watershed")
    other = configure("data=cell_tracking", "decoder=argmax", "metrics=overlap")
    assert "seg" not in other.metrics.objects
    assert other.decoder._target_.endswith("Argmax")
    regions = configure("data=cell_tracking", "task=regions")
    assert regions.decoder._target_.endswith("Regions")
    for command in ("prepare", "evaluate", "describe"):
        assert configure("data=cell_tracking", command=command).data.dataset.folder == "PhC-C2DH-U373"
