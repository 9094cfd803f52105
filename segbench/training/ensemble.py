"""Several runs that predict as one: the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from segbench.data.arrays import ArraySpec
from segbench.errors import UserError
from segbench.evaluation.head_probabilities import head_probabilities
from segbench.evaluation.segmenting import Segmentation, check_decoder
from segbench.runs.directory import RunDirectory
from segbench.training.assembly import Labels
from segbench.training.predictor import FinishedRun, Outputs

_LEAST = 1e-7
"""Probability from which on logarithms are taken."""


@dataclass(frozen=True)
class Ensemble:
    """Runs with the same classes; methods may differ. What decides (the decoder) is that of the first one.

    Attributes:
        members: two or more.
    """

    members: Sequence[FinishedRun]

    def __post_init__(self) -> None:
        """Check that the runs fit each other.

        Raises:
            UserError: where they take or find different things.
        """
        first = self.members[0]
        for member in self.members[1:]:
            for what, mine, other in (
                ("channels", first.image_channels, member.image_channels),
                ("dimensions", first.image_dims, member.image_dims),
                ("heads", sorted(first.config.task.heads), sorted(member.config.task.heads)),
            ):
                if mine != other:
                    raise UserError(
                        f"run: {first.directory.path} and {member.directory.path} cannot predict together: their {what}"
                        f" are {mine} and {other}"
                    )

    @property
    def directory(self) -> RunDirectory:
        """That of the first run, for messages."""
        return self.members[0].directory

    @property
    def config(self) -> DictConfig:
        """That of the first run."""
        return self.members[0].config

    @property
    def labels(self) -> Labels:
        """The classes of all."""
        return self.members[0].labels

    @property
    def image_channels(self) -> int:
        """The channels of an image."""
        return self.members[0].image_channels

    @property
    def image_dims(self) -> int:
        """The spatial dimensions of an image."""
        return self.members[0].image_dims

    @property
    def probability_names(self) -> Sequence[str]:
        """The classes or regions."""
        return self.members[0].probability_names

    def probabilities(self, outputs: Outputs) -> np.ndarray:
        """The mean probabilities (K, *S) of the classes or regions."""
        return self.members[0].probabilities(outputs)

    @property
    def file_arrays(self) -> Mapping[str, ArraySpec]:
        """The arrays that one of the networks sees besides an image."""
        return {name: spec for member in self.members for name, spec in member.file_arrays.items()}

    def segment(
        self,
        image: np.ndarray,
        arrays: Mapping[str, np.ndarray] = MappingProxyType({}),
        spacing: Sequence[float] | None = None,
        keep: bool = False,
    ) -> Segmentation:
        """Classes (*S) uint8 of one raw image (C, *S), and the masks of regions; arguments as of a single run."""
        first, total = self.members[0], dict[str, Tensor]()
        views = [
            member.seen(image, {name: arrays[name] for name in member.file_arrays}, spacing) for member in self.members
        ]
        check_decoder(first.module.decoder, views[0].geometry)
        for member, view in zip(self.members, views, strict=True):
            outputs = member.outputs(view)
            for head, logits in outputs.items():
                share = head_probabilities(head, logits).cpu() / len(self.members)
                total[head] = share if head not in total else total[head].add_(share)
        outputs = {head: _logits(head, total.pop(head)) for head in list(total)}
        decoder = first.module.decoder
        label = decoder.label(outputs, torch.from_numpy(views[0].image))
        return Segmentation(label, decoder.regions(outputs), outputs if keep else {})


def _logits(head: str, mean: Tensor) -> Tensor:
    """Logits whose probabilities are these."""
    if head == "mask":
        return mean.clamp_(min=_LEAST).log_()
    return mean.clamp_(_LEAST, 1 - _LEAST).logit_() if head == "regions" else mean
