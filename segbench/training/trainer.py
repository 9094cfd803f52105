"""Lightning's Trainer, from the trainer's configuration."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector
from lightning.pytorch.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]
from omegaconf import DictConfig

from segbench.config.wording import suggestion
from segbench.errors import UserError, as_line
from segbench.system.precision import choose_precision
from segbench.system.processes import cluster_environments, devices_on_each_node
from segbench.training.checkpoint_file import CheckpointFile

OWN = ("callbacks", "logger", "plugins", "max_steps", "max_epochs")
"""Arguments of Lightning's Trainer that are not for the user to set."""


def make_trainer(
    config: DictConfig, callbacks: Sequence[Callback], loggers: Sequence[Logger], alone: bool = False
) -> L.Trainer:
    """The Trainer of one run.

    Args:
        config: the `trainer` group: see conf/trainer/auto.yaml for its keys.
        callbacks: in the order in which they are called.
        loggers: where curves go.
        alone: whether it has this process alone, whatever others were started beside it.

    Raises:
        UserError: where the hardware asked for is not there, or a value is impossible.
    """
    _quiet_lightning()
    accelerator = pick_accelerator(config.accelerator)
    devices = devices_on_each_node(config)
    options: dict[str, Any] = {
        "accelerator": accelerator,
        "devices": devices if str(config.devices) in ("auto", "-1") else config.devices,
        "num_nodes": config.num_nodes,
        "strategy": config.strategy,
        "precision": choose_precision(str(config.precision), accelerator),
        "max_steps": config.max_steps,
        "max_epochs": -1,
        "val_check_interval": validation_interval(config),
        "check_val_every_n_epoch": None,
        "gradient_clip_val": config.gradient_clip,
        "deterministic": config.deterministic,
        "log_every_n_steps": config.log_every,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": True,
        "sync_batchnorm": config.get("sync_batchnorm", False),  # runs of earlier versions have none
        "plugins": [CheckpointFile(), *([LightningEnvironment()] if alone else cluster_environments())],
    }
    options |= {str(key): value for key, value in config.lightning.items()}
    try:
        trainer = L.Trainer(callbacks=list(callbacks), logger=list(loggers), **options)
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise UserError(f"trainer: {as_line(error)}") from error
    trainer._signal_connector = _NoSignals(trainer)
    return trainer


def check_trainer(config: DictConfig) -> None:
    """Check that this machine has what the configuration asks for, and that Lightning takes its further arguments.

    Args:
        config: the `trainer` group.

    Raises:
        UserError: naming the key that is wrong and what would be right.
    """
    _check_devices(config, pick_accelerator(config.accelerator), devices_on_each_node(config))
    known = [name for name in inspect.signature(L.Trainer).parameters if name not in OWN]
    for name in map(str, config.lightning):
        key = f"trainer.lightning.{name}"
        if name in OWN:
            raise UserError(f"{key}: is set by segbench itself, see the keys of trainer, callbacks and logger")
        if name not in known:
            raise UserError(f"{key}: lightning.Trainer takes no {name!r}{suggestion(name, known)}")


class _NoSignals(_SignalConnector):
    """A signal connector that leaves the signals to `Stopper`.

    Lightning answers SIGTERM with a broadcast, which hangs where the other processes have not got the signal too.
    """

    def register_signal_handlers(self) -> None:
        """Register none."""


def _check_devices(config: DictConfig, accelerator: str, devices: int) -> None:
    if accelerator == "cuda" and devices > (there := torch.cuda.device_count()):
        raise UserError(
            f"trainer.devices={config.devices}: this process sees {there} CUDA device{'s' * (there != 1)}; set"
            f" trainer.devices={there}, or ask SLURM for more (hydra.launcher.gpus_per_node={devices})"
        )
    several = devices * config.num_nodes > 1
    if config.get("sync_batchnorm", False) and several and accelerator != "cuda":
        raise UserError(
            f"trainer.sync_batchnorm needs CUDA devices, and this is {accelerator}: set trainer.sync_batchnorm=false"
        )


def validation_interval(config: DictConfig) -> int:
    """Steps between validations: `validate_every`, by default a tenth of the training."""
    return max(1, min(int(config.validate_every or config.max_steps // 10), int(config.max_steps)))


def pick_accelerator(asked: str) -> str:
    """The accelerator by Lightning's name: "cuda", "mps" or "cpu".

    Raises:
        UserError: where it is not known or not on this machine.
    """
    if asked == "auto":
        return next((name for name in ("cuda", "mps") if _available(name)), "cpu")
    name = {"gpu": "cuda"}.get(asked, asked)
    if name not in ("cuda", "mps", "cpu"):
        raise UserError(f"trainer.accelerator={asked}: must be auto, cpu, gpu, cuda or mps")
    if not _available(name):
        raise UserError(f"trainer.accelerator={asked}: this machine has none; use trainer=auto or trainer=cpu")
    return name


def _available(name: str) -> bool:
    return bool(AcceleratorRegistry.get(name).is_available())


def _quiet_lightning() -> None:
    """Keep Lightning from advertising and from warning of what is meant to be so."""
    for name in (
        "lightning.pytorch.utilities.rank_zero",
        "lightning.pytorch.accelerators.cuda",
        "lightning.fabric.utilities.rank_zero",
        "lightning.fabric.utilities.distributed",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*num_workers.*",
        ".*Checkpoint directory.*",
        ".*isinstance.treespec.*",
        ".*`srun` command is available.*",
        ".*sync_dist=True.*",  # scores are gathered by the module
        ".*model that overrides the configure_model.*",  # which arranges weights, and makes none
    ):
        warnings.filterwarnings("ignore", message=message)
