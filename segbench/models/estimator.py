"""Models that no gradient trains: fitted to the training cases in one go."""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.heads import Outputs


@dataclass(frozen=True)
class TrainingCase:
    """One case to fit to.

    Attributes:
        image: (C, *S) float32, normalised as every model sees it.
        label: (*S) uint8, class index per pixel, 255 = ignore.
        spacing: size of a pixel along each axis of S, in mm, or 1.0 where only pixels are known.
    """

    image: np.ndarray
    label: np.ndarray
    spacing: tuple[float, ...]


class Estimator(nn.Module, ABC):
    """A model with `fit` in place of training steps; in all else it is a model like any other.

    It has no parameters. What it has learnt is its `learnt` state, which checkpoints keep through PyTorch's
    extra state. It sees whole images best: its YAML sets `inference=whole`.

    Attributes:
        learnt: what `fit` has found, or None before.
    """

    def __init__(self, spatial_dims: int, in_channels: int, heads: Mapping[str, int]) -> None:
        """Keep the sizes.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the image.
            heads: must be the head "mask" alone: name -> classes.

        Raises:
            UserError: where the task has other heads.
        """
        super().__init__()
        if list(heads) != ["mask"]:
            raise UserError(
                f"task.heads: {type(self).__name__} finds classes and nothing else, so the task must have the head"
                f" mask alone, not {', '.join(heads)}"
            )
        self.spatial_dims = spatial_dims
        self.in_channels = in_channels
        self.classes = heads["mask"]
        self.learnt: Any = None

    @abstractmethod
    def fit(self, cases: Sequence[TrainingCase]) -> None:
        """Learn from the training cases, each of which is opened when it is asked for, and set `learnt`."""

    @abstractmethod
    def scores(self, image: np.ndarray) -> np.ndarray:
        """Logarithms of the probability of each class, (K, *S) float32, for one image (C, *S) float32."""

    def forward(self, image: Tensor) -> Outputs:
        """Log-probabilities (B, K, *P) of the head `mask`, for `image` (B, C, *P), on the CPU inside.

        Raises:
            UserError: where nothing has been fitted yet.
        """
        if self.learnt is None:
            raise UserError(f"model: {type(self).__name__} has not been fitted to training cases yet")
        found = [self.scores(array) for array in image.detach().float().cpu().numpy()]
        return {"mask": torch.from_numpy(np.stack(found)).to(image.device, torch.float32)}

    def get_extra_state(self) -> Tensor:
        """The learnt state as bytes: what checkpoints hold."""
        return torch.frombuffer(bytearray(pickle.dumps(self.learnt)), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the learnt state of a checkpoint. As with every pickle: of a file that is trusted."""
        self.learnt = pickle.loads(state.cpu().numpy().tobytes())
