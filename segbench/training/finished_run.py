"""A finished run, ready to predict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from segbench.config.history import completed
from segbench.config.schema import as_plain
from segbench.config.trust import check_trust
from segbench.data.case_meta import measure_intensities
from segbench.errors import UserError
from segbench.evaluation.results import predict
from segbench.runs.directory import RunDirectory
from segbench.training import assembly
from segbench.training.checkpoint_file import read_checkpoint
from segbench.training.module import SegmentationModule
from segbench.training.trainer import make_trainer


@dataclass(frozen=True)
class FinishedRun:
    """The best network of a run with all that it needs to predict a case.

    Attributes:
        directory: where it comes from.
        config: the run's configuration.
        labels: its data set's name and classes.
        module: with the best weights.
        trainer: gives the device and precision.
    """

    directory: RunDirectory
    config: DictConfig
    labels: assembly.Labels
    module: SegmentationModule
    trainer: L.Trainer

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Classes (*S) uint8 of one raw image (C, *S); see `predict_regions`."""
        return self.predict_regions(image)[0]

    def predict_regions(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Classes (*S) uint8 of one raw image (C, *S), and the masks (R, *S) of regions, if the network finds some.

        Raises:
            UserError: where the network sees arrays besides the image.
        """
        names = self.config.data.input_arrays
        if names:
            raise UserError(
                f"run={self.directory.path}: its network sees {', '.join(names)} besides the image"
                " (data.input_arrays), which a file alone does not have; segbench evaluate scores data sets that do"
            )
        normal = assembly.normalization(self.config)(image, measure_intensities(image))
        outputs, decoder = predict(self.module, self.trainer, normal), self.module.decoder
        return decoder.label(outputs, torch.from_numpy(normal)), decoder.regions(outputs)


def load_run(path: Path, accelerator: str = "auto", inference: Any = None, trusted: Iterable[str] = ()) -> FinishedRun:
    """Load the best weights of a run.

    Args:
        path: the run directory.
        accelerator: where to predict.
        inference: a configuration that replaces the run's, or None.
        trusted: packages, besides ours and our libraries, of which the run may be made.

    Raises:
        UserError: where this is no run directory, the run has no weights yet, or it names code of another package.
    """
    if not (path / "run.json").exists():
        raise UserError(f"run={path}: is no run directory, it has no run.json")
    directory = RunDirectory(path)
    if not directory.best_checkpoint.exists():
        raise UserError(f"run={path}: has no {directory.best_checkpoint.name} yet (status {directory.status})")
    recorded = OmegaConf.load(path / "config.yaml")
    assert isinstance(recorded, DictConfig)
    plain = completed(as_plain(recorded))
    check_trust(plain, trusted, f"run={path}")
    config = OmegaConf.create(plain)
    if inference is not None:
        config.inference = inference
    if "weights" in config.model:
        config.model.weights = None  # they are in the checkpoint
    facts = directory.record["dataset"]
    objects = facts.get("objects")  # runs of earlier versions have none
    labels = assembly.Labels(
        facts["name"], tuple(facts["classes"]), facts["background"], None if objects is None else tuple(objects)
    )
    module = assembly.build_module(config, labels)
    module.load_state_dict(read_checkpoint(directory.best_checkpoint)["state_dict"])
    config.trainer.accelerator, config.trainer.devices, config.trainer.strategy = accelerator, 1, "auto"
    config.trainer.num_nodes = 1
    return FinishedRun(directory, config, labels, module, make_trainer(config.trainer, [], []))
