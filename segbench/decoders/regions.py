"""Overlapping regions, each by its own threshold, and the label map that they make together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segbench.data.labels.region_classes import RegionClasses, default_order
from segbench.decoders.argmax import Argmax
from segbench.errors import UserError


class Regions(Argmax):
    """A pixel is in every region whose probability, the sigmoid of its logit, is above a threshold.

    The label map is written region by region in their order, later ones over earlier ones (nnU-Net, Isensee et al.
    2021, `regions_class_order`); a pixel of no region is background.

    Attributes:
        classes: the classes of each region, by its name.
        threshold: of the probability.
        order: the class that each region is written as.
    """

    def __init__(
        self, classes: RegionClasses, threshold: float = 0.5, order: Sequence[int] | None = None, **others: Any
    ) -> None:
        """Check the values.

        Args:
            classes: see above.
            threshold: see above.
            order: see above; None: `default_order`.
            **others: see `Argmax`.

        Raises:
            UserError: where the threshold is no probability, or the order has not one class of each region.
        """
        super().__init__(**others)
        if not 0 < threshold < 1:
            raise UserError(f"decoder.threshold={threshold}: must be between 0 and 1")
        if order is not None and len(order) != len(classes):
            raise UserError(f"decoder.order={list(order)}: must have a class for each of {', '.join(classes)}")
        self.classes = classes
        self.order = default_order(classes) if order is None else list(order)
        self.logit = float(np.log(threshold) - np.log1p(-threshold))

    def by_pixel(self, outputs: Mapping[str, Tensor]) -> np.ndarray:
        """The class of each pixel (*S) uint8 by its regions' logits (R, *S)."""
        inside = self._inside(outputs)
        label = torch.full(inside.shape[1:], self.background or 0, dtype=torch.uint8, device=inside.device)
        for mask, value in zip(inside, self.order, strict=True):
            label[mask] = value
        return np.asarray(label.cpu().numpy())

    def regions(self, outputs: Mapping[str, Tensor]) -> np.ndarray:
        """The masks of the regions: (R, *S) bool."""
        return np.asarray(self._inside(outputs).cpu().numpy())

    def _inside(self, outputs: Mapping[str, Tensor]) -> Tensor:
        if "regions" not in outputs:
            raise UserError(f"decoder=regions: needs the head regions (task=regions), not {', '.join(outputs)}")
        return outputs["regions"] > self.logit
