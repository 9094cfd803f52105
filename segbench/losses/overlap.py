"""Losses of the soft overlap of prediction and reference that MONAI lacks with ignored pixels.

They have MONAI's settings (`include_background`, `batch`, a small number added to numerator and
denominator), so that they differ from its Dice and Tversky losses in the formula alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from segbench.data.case import IGNORE
from segbench.losses.regions import are_regions, known_masks


class Overlap(NamedTuple):
    """Sums over pixels of probabilities, (K,) per class, or (B, K) where samples are kept apart.

    Attributes:
        tp: soft true positives, sum of p g for probability p and one-hot reference g.
        fp: soft false positives, sum of p (1 - g).
        fn: soft false negatives, sum of (1 - p) g.
    """

    tp: Tensor
    fp: Tensor
    fn: Tensor


class OverlapLoss(nn.Module, ABC):
    """Base of the losses of soft overlap: from logits to the sums that a formula needs."""

    takes_regions: ClassVar[bool] = True

    def __init__(
        self,
        *,
        include_background: bool = True,
        batch: bool = True,
        smooth: float = 1e-5,
        ignore_index: int = IGNORE,
    ) -> None:
        """Keep the settings.

        Args:
            include_background: whether class 0 is one of the classes.
            batch: whether sums are over all pixels of the batch, or of each sample by itself.
            smooth: in pixels, added to numerator and denominator.
            ignore_index: value of the target's ignored pixels.
        """
        super().__init__()
        self.first_class = 0 if include_background else 1
        self.batch = batch
        self.smooth = smooth
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss, a scalar.

        Args:
            logits: (B, K, *P).
            target: (B, *P) int64 class indices, or (B, K, *P), the masks of regions.
        """
        if are_regions(logits, target):
            (g, kept), p, first = known_masks(logits, target, self.ignore_index), logits.sigmoid(), 0
        else:
            target = target.unsqueeze(1)
            kept = (target != self.ignore_index).to(logits.dtype)
            p, first = logits.softmax(dim=1), self.first_class
            g = torch.zeros_like(p).scatter(1, target.where(kept > 0, 0), kept)
        axes = [axis for axis in range(logits.ndim) if axis > 1 or (axis == 0 and self.batch)]
        sums = (p * g).sum(axes), (p * (kept - g)).sum(axes), ((1 - p) * g).sum(axes)
        return self.loss(Overlap(*(s[..., first:] for s in sums))).mean()

    @abstractmethod
    def loss(self, overlap: Overlap) -> Tensor:
        """The loss of each class, or of all together where they are not averaged; per sample or not."""


class LogDice(OverlapLoss):
    """Mean over the classes of (-ln Dice)^exponent, 0 for a class that the reference lacks.

    For that one, -ln(Dice) would be large and would never level off, however little of it is predicted;
    what is wrongly given to it counts as missed by its own class. With the exponent 0.3 it is the
    exponential logarithmic Dice loss of Wong et al. (MICCAI 2018). The formula is not ln(1 - Dice), as
    is also found: that is `LogOneMinusDice`. segmentation-models-pytorch has this loss without the
    settings of the others, and without a gradient where nearly nothing overlaps.
    """

    def __init__(self, *, exponent: float = 1.0, **settings: Any) -> None:
        """Keep the settings.

        Args:
            exponent: above 0; below 1 the gradient shifts to the classes that overlap well already.
            settings: as of `OverlapLoss`.
        """
        super().__init__(**settings)
        self.exponent = exponent

    def loss(self, overlap: Overlap) -> Tensor:
        """A difference of logarithms, because a small Dice is rounded to 0 in 1 - (1 - Dice).

        The slope of a power below 1 is infinite at 0, hence the bound.
        """
        tp, fp, fn = overlap
        loss = (2 * tp + fp + fn + self.smooth).log() - (2 * tp + self.smooth).log()
        if self.exponent != 1:
            loss = loss.clamp_min(torch.finfo(loss.dtype).tiny) ** self.exponent
        return torch.where(tp + fn > 0, loss, 0)


class LogOneMinusDice(OverlapLoss):
    """Mean over the classes of ln(1 - Dice + floor), 0 for a class that the reference lacks.

    This is a formula as found in print, to be compared with and not to be recommended: it has no lower bound but
    ln(floor), and the better a class is, the larger is its gradient, up to 1 / floor times that of Dice.
    """

    def __init__(self, *, floor: float = 1e-5, **settings: Any) -> None:
        """Keep the settings.

        Args:
            floor: above 0; keeps the logarithm finite where the overlap is perfect.
            settings: as of `OverlapLoss`.
        """
        super().__init__(**settings)
        self.floor = floor

    def loss(self, overlap: Overlap) -> Tensor:
        """1 - Dice from what is wrong, which is exact where little is."""
        tp, fp, fn = overlap
        wrong = (fp + fn) / (2 * tp + fp + fn + self.smooth)
        return torch.where(tp + fn > 0, (wrong + self.floor).log(), 0)


class FocalTversky(OverlapLoss):
    """Mean over the classes of (1 - Tversky index)^(1 / gamma) (Abraham and Khan, ISBI 2019).

    The paper's alpha weights false negatives. Here, as in Salehi et al. 2017 and in MONAI, alpha weights
    false positives and beta false negatives. A class that neither reference nor prediction has counts 0,
    one that only the prediction has counts 1. segmentation-models-pytorch has this loss with a gradient
    of NaN where nothing is wrong, as in a batch of ignored pixels.
    """

    def __init__(self, *, alpha: float = 0.3, beta: float = 0.7, gamma: float = 4 / 3, **settings: Any) -> None:
        """Keep the settings.

        Args:
            alpha: weight of the false positives.
            beta: weight of the false negatives.
            gamma: above 1 the gradient shifts to the classes that overlap well already.
            settings: as of `OverlapLoss`.
        """
        super().__init__(**settings)
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma

    def loss(self, overlap: Overlap) -> Tensor:
        """(1 - Tversky index)^(1 / gamma), bounded because the slope of the power is infinite at 0."""
        wrong = self.alpha * overlap.fp + self.beta * overlap.fn
        error = wrong / (overlap.tp + wrong + self.smooth)
        return error.clamp_min(torch.finfo(error.dtype).tiny) ** (1 / self.gamma)


class GeneralizedDice(OverlapLoss):
    """1 - Dice of all classes together, each weighted by 1 / (its pixels)^2 (Sudre et al., DLMIA 2017).

    A class that the reference lacks has the weight 0: what is wrongly given to it counts as missed by its
    own class. MONAI has this loss without ignored pixels.
    """

    def loss(self, overlap: Overlap) -> Tensor:
        """The weighted loss; the largest weight is 1, so that `smooth` stays small beside it in any image."""
        tp, fp, fn = overlap
        pixels = (tp + fn).detach()
        weight = torch.where(pixels > 0, 1 / pixels.clamp_min(1) ** 2, 0)
        weight = weight / weight.amax(dim=-1, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny)
        shared = (2 * weight * tp).sum(dim=-1)
        total = (weight * (2 * tp + fp + fn)).sum(dim=-1)
        return 1 - (shared + self.smooth) / (total + self.smooth)
