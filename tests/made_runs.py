"""Small runs for tests: a few steps of a tiny network on a dozen small images."""

from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from segbench.commands.resolvers import register_resolvers
from segbench.config.invocation import Invocation
from segbench.config.paths import conf_folder
from segbench.runs.directory import RunDirectory

TINY = (
    "data.dataset.cases=10",
    "data.dataset.size=[96,96]",
    "data.patch_size=[32,32]",
    "data.batch_size=2",
    "data.workers=0",
    "model.channels=[4,8]",
    "trainer=debug",
    "trainer.progress=false",
    "metrics=overlap",
    "logger=csv",
)


def configure(*overrides: str, command: str = "train") -> DictConfig:
    """The configuration of a command."""
    register_resolvers()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose(config_name=command, overrides=list(overrides))


def execute(path: Path, *overrides: str, tiny: bool = True) -> RunDirectory:
    """Runs a configuration in this process."""
    from segbench.training.run import run

    config = configure(*(TINY if tiny else ()), *overrides)
    choices = {"model": "unet_small", "loss": "dice_ce", "data": "synthetic_cells"}
    return run(config, Invocation(path, "test", choices, list(overrides)))
