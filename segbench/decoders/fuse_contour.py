"""Objects that a head of contours cuts apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.ndimage import binary_opening, generate_binary_structure
from scipy.ndimage import label as connected_components
from skimage.morphology import ball, disk
from skimage.segmentation import expand_labels
from torch import Tensor

from segbench.decoders.by_heads import ByHeads, head_of, heights
from segbench.decoders.object_maps import cleaned
from segbench.errors import UserError


class FuseContour(ByHeads):
    """The parts of the mask that are no contour, grown back over the contours between them.

    A pixel is inside an object where the mask says object and the probability of a contour is below a threshold; it is
    smoothed, parts of it that are too small go, and the connected ones are objects (DCAN, Chen et al., CVPR 2016).

    Attributes:
        head: of the contours: two classes (softmax), or one channel (sigmoid).
        threshold: of the probability of a contour.
        smooth: radius of the disk by which the insides are opened, in pixels; 0: not at all.
        grow: pixels by which objects grow back, within the mask.
    """

    def __init__(
        self, head: str = "contour", threshold: float = 0.5, smooth: int = 0, grow: int = 3, **others: Any
    ) -> None:
        """Check the values.

        Args:
            head: see above.
            threshold: see above.
            smooth: see above.
            grow: see above.
            **others: see `ByHeads`.

        Raises:
            UserError: where the threshold is no probability.
        """
        super().__init__(**others)
        if not 0 < threshold < 1:
            raise UserError(f"decoder.threshold={threshold}: must be between 0 and 1")
        self.head = head
        self.threshold = threshold
        self.smooth = smooth
        self.grow = grow

    def divide(self, outputs: Mapping[str, Tensor], foreground: np.ndarray) -> np.ndarray:
        """The objects (*S) int32 of the insides; arguments as of `ByHeads.divide`."""
        contour = head_of(outputs, self.head)
        inside = foreground & (heights(contour, "sigmoid" if len(contour) == 1 else "softmax") < self.threshold)
        if self.smooth:
            inside = binary_opening(inside, (disk if inside.ndim == 2 else ball)(self.smooth))
        structure = generate_binary_structure(inside.ndim, min(self.connectivity, inside.ndim))
        objects, _ = connected_components(inside, structure)
        if self.minimum_size:  # before they grow: crumbs of a contour would grow, too
            objects = cleaned(objects, foreground, minimum_size=self.minimum_size)
        return np.where(foreground, expand_labels(objects, self.grow), 0).astype(np.int32)
