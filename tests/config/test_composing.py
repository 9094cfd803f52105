"""Configurations of a sweep are Hydra's own, though its files are read once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra._internal.utils import create_automatic_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, ListConfig, Node, OmegaConf

from segbench.commands.resolvers import register_resolvers
from segbench.commands.train import check_experiment
from segbench.config.composing import SweepLoader, pinned
from segbench.config.invocation import Invocation
from segbench.config.paths import conf_folder

EXPERIMENTS = sorted(path.stem for path in (conf_folder() / "experiment").glob("*.yaml"))


@pytest.fixture
def hydra() -> Iterator[ConfigLoader]:
    register_resolvers()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        yield GlobalHydra.instance().hydra.config_loader


def loader_of_a_sweep(hydra: ConfigLoader) -> ConfigLoader:
    return pinned(HydraContext(hydra, Callbacks())).config_loader


def compose(loader: ConfigLoader, *overrides: str) -> DictConfig:
    return loader.load_configuration("train", list(overrides), RunMode.RUN)


def everything(node: Node) -> Any:
    """Values as written, in their order, and what OmegaConf knows of them besides: types and flags."""
    about = vars(node._metadata) | {"resolver_cache": None}
    if isinstance(node, DictConfig) and isinstance(node._content, dict):
        return about, {key: everything(node._get_node(key)) for key in node._content}
    if isinstance(node, ListConfig) and isinstance(node._content, list):
        return about, [everything(child) for child in node._content]
    return about, node._value()


def assert_same(one: DictConfig, other: DictConfig) -> None:
    assert OmegaConf.to_yaml(one) == OmegaConf.to_yaml(other)
    assert everything(one) == everything(other)


@pytest.mark.parametrize("experiment", [None, *EXPERIMENTS])
def test_configurations_are_hydras_own(hydra, experiment):
    pins = loader_of_a_sweep(hydra)
    choice = [] if experiment is None else [f"experiment={experiment}"]
    compose(pins, *choice, "seed=1", "hydra.sweep.dir=here")
    again = [*choice, "seed=2", "hydra.sweep.dir=here", "trainer.max_steps=3"]
    assert_same(compose(pins, *again), compose(hydra, *again))


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=unet", "loss=tversky", "model.norm=instance", "loss.alpha=0.3"],
        ["seed=1", "model=segnet", "seed=2"],
        ["callbacks=[early_stopping,ema]", "~augmentation.intensity.blur"],
        ["+trainer.lightning.accumulate_grad_batches=2", "++trainer.lightning.benchmark=true", "seed=1"],
        ["trainer={max_steps: 7}", "trainer.max_steps=8", "data.patch_size=[32,32]"],
        ["name='a b'", "data.dataset.size=[64,64]", "~experiment"],
        ["hydra.verbose=true", "hydra.job.env_copy=[HOME]", "trainer=cpu", "model.channels=[4,8]"],
        ["hydra/job_logging=stdout", "logger=csv"],
    ],
)
def test_every_kind_of_override(hydra, overrides):
    pins = loader_of_a_sweep(hydra)
    compose(pins)
    for _ in range(2):
        assert_same(compose(pins, *overrides), compose(hydra, *overrides))


def test_runs_of_a_sweep(hydra):
    """By the function that sweepers and launchers call, which adds what the sweep was started with."""
    started = ["hydra.sweep.dir=here", "model=unet,segnet", "seed=0,1"]
    master = hydra.load_configuration("train", started, RunMode.MULTIRUN)
    assert_same(loader_of_a_sweep(hydra).load_configuration("train", started, RunMode.MULTIRUN), master)
    pins = loader_of_a_sweep(hydra)
    for run in (["model=unet", "seed=0"], ["model=unet", "seed=1"], ["model=segnet", "seed=1"]):
        config = pins.load_sweep_config(master, run)
        assert_same(config, hydra.load_sweep_config(master, run))
        assert config.hydra.sweep.dir == "here"
        assert list(config.hydra.overrides.task) == run


@pytest.mark.parametrize(
    "wrong",
    [
        "model=unett",  # no such option
        "trainer.max_stepps=3",  # no such key
        "nothing=3",
        "+seed=3",  # is there already
        "~trainer.nothing",
        "~seed=5",  # has another value
        "seed=1,2",  # a sweep in a single run
        "seed=",
        "model@here=unet",
        "seed=[",
        "+model=unet",
        "++model=unet",
        "data@x=wbc",
    ],
)
def test_errors_are_hydras_own(hydra, wrong):
    pins = loader_of_a_sweep(hydra)
    compose(pins, "seed=1")
    told = []
    for loader in (hydra, pins, pins):
        try:
            config = compose(loader, "loss=dice", wrong)
        except HydraException as error:
            told.append((type(error), str(error)))
        else:
            told.append((None, OmegaConf.to_yaml(config)))
    assert told[0] == told[1] == told[2]


def test_a_configuration_can_be_changed_without_changing_the_next(hydra):
    pins = loader_of_a_sweep(hydra)
    first = compose(pins, "data.patch_size=[32,32]")
    first.measured.classes = 3
    first.data.patch_size.append(5)
    OmegaConf.set_readonly(first, True)
    assert_same(compose(pins, "data.patch_size=[32,32]"), compose(hydra, "data.patch_size=[32,32]"))


def test_files_are_read_once(hydra, monkeypatch):
    pins = loader_of_a_sweep(hydra)
    compose(pins, "seed=0", "model=unet")
    read: list[str] = []
    files = next(type(source) for source in hydra.get_sources() if source.scheme() == "file")
    load = files.load_config

    def noted(source: Any, config_path: str) -> Any:
        read.append(config_path)
        return load(source, config_path)

    monkeypatch.setattr(files, "load_config", noted)
    compose(pins, "seed=1", "model=unet")
    compose(pins, "seed=1", "model=unet", "trainer.max_steps=5")
    assert read == []
    compose(pins, "seed=1", "model=segnet", "loss=tversky")
    assert sorted(read) == ["loss/tversky", "model/segnet"]
    compose(hydra, "seed=1")
    assert len(read) > 10  # as it would be without


def test_a_sweep_keeps_to_the_files_that_it_began_with(hydra, tmp_path: Path):
    file = tmp_path / "optimizer" / "mine.yaml"
    file.parent.mkdir()
    file.write_text("lr: 0.25\n")
    overrides = [f"hydra.searchpath=[file://{tmp_path}]", "optimizer=mine"]
    pins = loader_of_a_sweep(hydra)
    assert_same(compose(pins, *overrides, "seed=1"), compose(hydra, *overrides, "seed=1"))
    file.write_text("lr: 0.5\n")
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "mine.yaml").write_text("alpha: 3\n")
    assert compose(pins, *overrides, "seed=2").optimizer.lr == 0.25
    assert compose(loader_of_a_sweep(hydra), *overrides, "seed=2").optimizer.lr == 0.5
    with pytest.raises(HydraException, match="optimizer/mine"):
        compose(pins, "optimizer=mine")  # a search path is part of what is asked for


def test_an_experiment_beside_an_option_of_a_search_path(hydra, tmp_path: Path, monkeypatch):
    """Its keys are compared with those of the same options without it, wherever these come from."""
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "mine.yaml").write_text("_target_: torch.optim.SGD\nlr: 0.25\n")
    config = compose(hydra, f"hydra.searchpath=[file://{tmp_path}]", "experiment=demo", "optimizer=mine")
    monkeypatch.setattr(HydraConfig.instance(), "cfg", config)
    of_task = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    check_experiment(of_task, Invocation(tmp_path, "x", {"experiment": "demo", "optimizer": "mine"}, []))


# The configuration that a sweep starts from


def started(*overrides: str) -> tuple[HydraContext, DictConfig]:
    """What Hydra hands to a sweeper."""
    loader = SweepLoader(create_automatic_config_search_path(None, None, str(conf_folder())))
    config = loader.load_configuration("train", list(overrides), RunMode.MULTIRUN)
    return HydraContext(loader, Callbacks()), config


@pytest.mark.parametrize(
    ("swept", "value", "key"),
    [
        (["model=smp_unet", "model=smp_fpn"], "model.weights=imagenet", "model.weights"),
        (["model=attention_unet", "model=residual_unet"], "model.net.dropout=0.25", "model.net.dropout"),
        (["model=context_a", "model=context_j"], "inference.stride=16", "inference.stride"),
        (["augmentation=unet", "augmentation=elastic"], "~augmentation.spatial.elastic", None),
    ],
)
def test_values_that_only_the_swept_options_have_are_set_in_each_run(hydra, swept, value, key):
    group = swept[0].partition("=")[0]
    choices = ",".join(one.partition("=")[2] for one in swept)
    context, config = started(f"{group}={choices}", value, "seed=7")
    assert config.seed == 7
    assert list(config.hydra.overrides.task) == [f"{group}={choices}", value, "seed=7"]
    for one in swept:
        composed = pinned(context).config_loader.load_sweep_config(config, [one, value, "seed=7"])
        if key is None:
            assert "elastic" not in composed.augmentation.spatial
        else:
            assert str(OmegaConf.select(composed, key)) == value.partition("=")[2]


def test_a_sweep_without_options_is_told_of_a_wrong_key_at_once(hydra):
    with pytest.raises(HydraException, match=r"Could not override 'model\.wieghts'"):
        started("model=smp_unet", "seed=1,2", "model.wieghts=imagenet")


def test_without_such_values_the_configuration_is_hydras_own(hydra):
    overrides = ["model=unet,segnet", "seed=1", "hydra.sweep.dir=here"]
    assert_same(started(*overrides)[1], hydra.load_configuration("train", overrides, RunMode.MULTIRUN))
