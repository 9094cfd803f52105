"""A finished run, ready to predict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import lightning as L
import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from segbench.config.allowed_targets import check_trust
from segbench.config.history import completed
from segbench.data.arrays import ArraySpec
from segbench.data.decoding import image_digest
from segbench.data.network_input import NetworkInput
from segbench.data.preparation import SeenImage, seen_image
from segbench.errors import UserError
from segbench.evaluation.head_probabilities import head_probabilities
from segbench.evaluation.results import predict, segment
from segbench.evaluation.segmenting import Segmentation
from segbench.runs.directory import RunDirectory, read_config
from segbench.runs.stage_ids import Takes
from segbench.runs.stages import Stage, recorded_stages
from segbench.training import assembly
from segbench.training.kept_states import best_state
from segbench.training.module import SegmentationModule
from segbench.training.trainer import make_trainer

Outputs = Mapping[str, torch.Tensor]
Load = Callable[[Path], "FinishedRun"]
"""A function that loads the run of a directory."""


@dataclass(frozen=True)
class FinishedRun:
    """The best network of a run with all that it needs to predict a case.

    Attributes:
        directory: where it comes from.
        config: the run's configuration.
        labels: its data set's name and classes.
        module: with the best weights.
        trainer: gives the device and precision.
        stages: the runs whose predictions its network sees.
        load: loads one of these, in the way in which this run was loaded.
    """

    directory: RunDirectory
    config: DictConfig
    labels: assembly.Labels
    module: SegmentationModule
    trainer: L.Trainer
    stages: tuple[Stage, ...]
    load: Load

    @property
    def image_channels(self) -> int:
        """The channels of an image, without those of arrays that the network sees besides it."""
        specs, slices = self._specs(), assembly.slices_of(self.config)
        seen = self.config.measured.in_channels - sum(specs[name].inputs for name in self.config.data.input_arrays)
        return int(seen if slices is None else seen // slices.width)

    @property
    def image_dims(self) -> int:
        """The spatial dimensions of an image: 3 of a volume, also where a 2D network sees its slices."""
        return int(self.config.measured.case_dims or self.config.measured.spatial_dims)

    @property
    def file_arrays(self) -> Mapping[str, ArraySpec]:
        """The arrays that the network, or one of a stage, sees besides an image, other than predictions of stages."""
        own = [name for name in self.config.data.input_arrays if name not in {stage.name for stage in self.stages}]
        found = {name: self._specs()[name] for name in own}
        for stage in self.stages:
            found |= self._network(stage.runs[0].path).file_arrays
        return found

    def outputs(self, seen: SeenImage) -> Outputs:
        """Logits (K, *S) of each head for what the network sees of a case."""
        return predict(self.module, self.trainer, seen.image, seen.geometry)

    def predict(self, image: np.ndarray, spacing: Sequence[float] | None = None) -> np.ndarray:
        """Classes (*S) uint8 of one raw image (C, *S); see `segment`."""
        return self.segment(image, spacing=spacing).label

    def segment(
        self,
        image: np.ndarray,
        arrays: Mapping[str, np.ndarray] = MappingProxyType({}),
        spacing: Sequence[float] | None = None,
        keep: bool = False,
    ) -> Segmentation:
        """Classes (*S) uint8 of one raw image (C, *S), and the masks (R, *S) of regions, if the network finds some.

        Args:
            image: as a file has it.
            arrays: `file_arrays`, by name.
            spacing: of its axes in mm; None: not known.
            keep: keep the logits of a volume, for `probabilities`.
        """
        seen = self.seen(image, arrays, spacing)
        return segment(self.module, self.trainer, seen.image, seen.geometry, keep)

    @property
    def probability_names(self) -> Sequence[str]:
        """The classes, or the regions where the network finds these."""
        return list(self.config.measured.regions) if "regions" in self.config.task.heads else self.labels.classes

    def probabilities(self, outputs: Outputs) -> np.ndarray:
        """The probabilities (K, *S) of the classes or, each by itself, of the regions."""
        head = "regions" if "regions" in outputs else "mask"
        shares = head_probabilities(head, outputs[head])
        return np.asarray(shares.cpu().numpy())

    def seen(
        self,
        image: np.ndarray,
        arrays: Mapping[str, np.ndarray] = MappingProxyType({}),
        spacing: Sequence[float] | None = None,
    ) -> SeenImage:
        """The network's input for one raw image (C, *S) and `file_arrays`; its stages predict it first.

        Of each stage those runs predict it that do not know it, and where all do, or none does, all.
        """
        predicted = {stage.name: self._stage_array(stage, image, arrays, spacing) for stage in self.stages}
        specs = {name: self._specs()[name] for name in self.config.data.input_arrays}
        network_input = NetworkInput(assembly.normalization(self.config), specs)
        return self.view(network_input, image, spacing, {**arrays, **predicted})

    def view(
        self,
        network_input: NetworkInput,
        image: np.ndarray,
        spacing: Sequence[float] | None,
        arrays: Mapping[str, np.ndarray],
    ) -> SeenImage:
        """The network's input for one raw image (C, *S) and its extra arrays, cropped and resampled as in training."""
        edges = (1.0,) * (image.ndim - 1) if spacing is None else spacing
        return seen_image(assembly.preparation(self.config), network_input, image, edges, arrays)

    def taken(self, outputs: Sequence[Outputs], seen: SeenImage, takes: Takes) -> np.ndarray:
        """The label map (*S), probabilities (K, *S) or masks of regions (R, *S) of the mean of several runs' logits.

        Args:
            outputs: of runs of this method, this one among them.
            seen: what this run's network sees of the case.
            takes: which of the three.
        """
        mean = {head: torch.stack([each[head] for each in outputs]).mean(0) for head in outputs[0]}
        if takes == "labels":
            return self.module.decoder.label(mean, torch.from_numpy(seen.image))
        if takes == "regions":
            return np.asarray(self.module.decoder.regions(mean), dtype=np.uint8)
        return self.probabilities({"mask": mean["mask"]})

    @cached_property
    def _networks(self) -> dict[Path, FinishedRun]:
        """The runs of its stages that have been loaded."""
        return {}

    def _network(self, path: Path) -> FinishedRun:
        """A run of its stages, loaded once."""
        if path not in self._networks:
            self._networks[path] = self.load(path)
        return self._networks[path]

    def _stage_array(
        self, stage: Stage, image: np.ndarray, arrays: Mapping[str, np.ndarray], spacing: Sequence[float] | None
    ) -> np.ndarray:
        digest = image_digest(image)
        runs = [run for run in stage.runs if digest not in run.known.images] or stage.runs
        networks = [self._network(run.path) for run in runs]
        seen = [network.seen(image, arrays, spacing) for network in networks]
        outputs = [network.outputs(each) for network, each in zip(networks, seen, strict=True)]
        return networks[0].taken(outputs, seen[0], stage.takes)

    def _specs(self) -> Mapping[str, ArraySpec]:
        """The forms of the arrays that the network sees besides the image.

        Raises:
            UserError: where the run is of a version that did not record them.
        """
        recorded = self.directory.record.get("input_arrays") or {}
        specs = {name: ArraySpec(**form) for name, form in recorded.items()}
        specs |= {stage.name: stage.spec for stage in self.stages}
        others = [name for name in self.config.data.input_arrays if name not in specs]
        if others:
            raise UserError(
                f"run={self.directory.path}: its network sees {', '.join(others)} besides the image"
                " (data.input_arrays), of which a run of an earlier version does not say what they are; segbench"
                " evaluate scores data sets that have them"
            )
        return specs


def load_run(
    path: Path,
    accelerator: str = "auto",
    inference: Any = None,
    trusted: Iterable[str] = (),
    stages: DictConfig | None = None,
) -> FinishedRun:
    """Load the best weights of a run.

    Args:
        path: the run directory.
        accelerator: where to predict.
        inference: a configuration that replaces the run's, or None.
        trusted: packages, besides ours and our libraries, of which the run may be made.
        stages: where the runs of its stages are now, as `stages` names them; None: where they were.

    Raises:
        UserError: where this is no run directory, the run has no weights yet, it names code of another package, or a
            stage is not where it was.
    """
    if not (path / "run.json").exists():
        raise UserError(f"run={path}: is no run directory, it has no run.json")
    directory = RunDirectory(path)
    if not directory.best_checkpoint.exists() and not directory.finished:
        raise UserError(f"run={path}: has no {directory.best_checkpoint.name} yet (status {directory.status})")
    plain = completed(read_config(path))
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
    module.load_state_dict(best_state(directory)["state_dict"])
    config.trainer.accelerator, config.trainer.devices, config.trainer.strategy = accelerator, 1, "auto"
    config.trainer.num_nodes = 1
    trainer = make_trainer(config.trainer, [], [], alone=True)
    load = partial(load_run, accelerator=accelerator, trusted=trusted, stages=stages)
    return FinishedRun(directory, config, labels, module, trainer, recorded_stages(path, stages), load)
