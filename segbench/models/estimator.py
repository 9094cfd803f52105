"""Models that no gradient trains: fitted to the training cases in one go."""

from __future__ import annotations

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import skops.io
import torch
from skops.io.exceptions import UntrustedTypesFoundException
from torch import Tensor, nn

from segbench.errors import UserError, as_line
from segbench.models.heads import Outputs

CHECKED = ("sklearn.tree._tree.Tree",)
"""Types of scikit-learn that believe every number in a file: a model that uses them looks at the numbers first."""


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
        """The learnt state as bytes, none before `fit`: what checkpoints hold."""
        if self.learnt is None:
            return torch.zeros(0, dtype=torch.uint8)
        return torch.frombuffer(bytearray(skops.io.dumps(self.learnt)), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the learnt state of a checkpoint, of which nothing is executed.

        Raises:
            UserError: where it holds something else than scikit-learn's estimators, arrays, and classes of the package
                that this model belongs to.
        """
        if not len(state):
            self.learnt = None
            return
        content = state.cpu().numpy().tobytes()
        home = type(self).__module__.partition(".")[0]
        try:
            unknown = skops.io.get_untrusted_types(data=content)
            known = [name for name in unknown if name in CHECKED or name.partition(".")[0] in ("segbench", home)]
            self.learnt = skops.io.loads(content, trusted=known)
        except (UntrustedTypesFoundException, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"model: the learnt state of this checkpoint is not read: {as_line(error)}") from error
        self.check_learnt()

    def check_learnt(self) -> None:
        """Check a learnt state that was read from a file.

        Raises:
            UserError: where it cannot be used.
        """
