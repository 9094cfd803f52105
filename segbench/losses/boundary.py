"""Boundary loss: probabilities weighted by the signed distance to the reference's boundary."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn

from segbench.data.case import IGNORE


class Boundary(nn.Module):
    """Mean over classes and pixels of phi p (Kervadec et al., MIDL 2019).

    phi is the distance of a pixel to the class's boundary in the reference, in pixels, negative inside: as in the
    authors' code, d outside and 1 - d inside, with d the distance to the nearest pixel of the other side. Where an
    image lacks a class, or is nothing else, there is no boundary and phi is 0, and so is the loss.

    Ignored pixels count neither in the mean nor as a boundary: d is the distance to the nearest pixel that is
    known to be of the class, or known not to be.

    The gradient does not vanish where the overlap is perfect, and is 0 for an empty class; the paper therefore adds
    the loss to generalised Dice. MONAI has this loss without ignored pixels.

    The distances are computed here, on the CPU, from the target as the loss sees it (cut to the pixels that
    are predicted, resized by deep supervision): for each image and class 2 transforms, 3 ms each for
    256 x 256 pixels on one core. The loader's workers could do it beside the GPU's work, but a head has one target.
    """

    def __init__(self, *, include_background: bool = False, ignore_index: int = IGNORE) -> None:
        """Keep the settings.

        Args:
            include_background: whether class 0 is one of the classes.
            ignore_index: value of the target's ignored pixels.
        """
        super().__init__()
        self.first_class = 0 if include_background else 1
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss, a scalar; negative where the prediction is good.

        Args:
            logits: (B, K, *P).
            target: (B, *P) int64 class indices.
        """
        p = logits.softmax(dim=1)[:, self.first_class :]
        labels = target.detach().cpu().numpy()
        values = range(self.first_class, logits.shape[1])
        phi = np.stack([[self._signed_distance(label, value) for value in values] for label in labels])
        weights = torch.from_numpy(phi).to(p)
        kept = (target != self.ignore_index).sum().clamp_min(1)
        return (weights * p).sum() / (kept * max(p.shape[1], 1))

    def _signed_distance(self, label: np.ndarray, value: int) -> np.ndarray:
        """Phi of one class: (*P) float32, 0 at ignored pixels."""
        known = label != self.ignore_index
        inside = label == value
        outside = known & ~inside
        if not (inside.any() and outside.any()):
            return np.zeros(label.shape, np.float32)
        phi = np.where(inside, 1 - distance_transform_edt(~outside), distance_transform_edt(~inside))
        return np.where(known, phi, 0).astype(np.float32)
