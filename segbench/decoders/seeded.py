"""Objects that grow from seeds, over the heights that a head gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, generate_binary_structure
from scipy.ndimage import label as connected_components
from skimage.morphology import h_maxima
from skimage.segmentation import watershed
from torch import Tensor

from segbench.decoders.by_heads import Activation, ByHeads, head_of, heights
from segbench.decoders.object_maps import cleaned
from segbench.errors import UserError


class Seeded(ByHeads):
    """The marker-controlled watershed of a head's heights, within the mask.

    Seeds are the connected regions above a height, or the peaks that rise by h above the saddle to any higher one
    (h-maxima, as DeepDistance finds cells: Koyuncu et al., Medical Image Analysis 2020), or what is both. Each object
    has one seed. With seeds of certain pixels of a probability and a majority filter it is the growing of seeds of
    AttentionBoost (Gunesli et al., IEEE TMI 2020). Without a head `mask`, what is higher than `foreground` is the only
    class of objects.

    Attributes:
        head: the one that gives heights.
        activation: see `heights`.
        h: of the peaks; None: regions above `seeds_above`.
        seeds_above: height above which seeds are; None: everywhere.
        seed_size: smaller seeds, in pixels, are none.
        foreground: see above.
        smooth: deviation of a Gaussian that smooths the heights, in pixels; 0: none.
        keep_unseeded: connected regions of the mask without a seed are objects, too.
    """

    def __init__(
        self,
        head: str,
        activation: Activation = "none",
        h: float | None = None,
        seeds_above: float | None = None,
        seed_size: int = 0,
        foreground: float | None = None,
        smooth: float = 0.0,
        keep_unseeded: bool = False,
        classes: int | None = None,
        heads: Mapping[str, int] | None = None,
        **others: Any,
    ) -> None:
        """Check the values.

        Args:
            head: see above.
            activation: see above.
            h: see above.
            seeds_above: see above.
            seed_size: see above.
            foreground: see above.
            smooth: see above.
            keep_unseeded: see above.
            classes: of the data set, where it is known.
            heads: of the task, where they are known.
            **others: see `ByHeads`.

        Raises:
            UserError: where there is no rule for seeds, h is not above 0, or classes are more than the heights tell.
        """
        super().__init__(**others)
        if h is None and seeds_above is None:
            raise UserError("decoder.h and decoder.seeds_above are both null: one of them has to say where seeds are")
        if h is not None and h <= 0:
            raise UserError(f"decoder.h={h}: must be above 0")
        if heads is not None and "mask" not in heads and (foreground is None or (classes or 2) > 2):
            raise UserError(
                f"task: {', '.join(heads)} without mask tells one class of objects from the background, by"
                f" decoder.foreground={foreground}, and the data set has {classes} classes; choose a task with a mask,"
                " such as task=mask_and_distance"
            )
        self.head = head
        self.activation = activation
        self.h = h
        self.seeds_above = seeds_above
        self.seed_size = seed_size
        self.foreground = foreground
        self.smooth = smooth
        self.keep_unseeded = keep_unseeded

    def by_pixel(self, outputs: Mapping[str, Tensor]) -> np.ndarray:
        """The class of each pixel (*S) uint8: by the mask, or the only class of objects where it is high enough."""
        if "mask" in outputs or self.foreground is None:
            return super().by_pixel(outputs)
        background = self.background or 0
        inside = self.objects[0] if self.objects else int(background == 0)
        high = heights(head_of(outputs, self.head), self.activation, background) > self.foreground
        return np.where(high, inside, background).astype(np.uint8)

    def divide(self, outputs: Mapping[str, Tensor], foreground: np.ndarray) -> np.ndarray:
        """The objects (*S) int32 that grow from seeds; arguments as of `ByHeads.divide`."""
        height = heights(head_of(outputs, self.head), self.activation, self.background or 0)
        if self.smooth:
            height = gaussian_filter(height, self.smooth)
        places = foreground.copy()
        if self.seeds_above is not None:
            places &= height > self.seeds_above
        if self.h is not None:
            # What is not foreground has no peaks.
            level = np.where(foreground, height, min(0.0, float(height.min(initial=0))))
            places &= h_maxima(level.astype(np.float64), self.h) > 0
        return self.grown(places, height, foreground)

    def grown(self, places: np.ndarray, height: np.ndarray, foreground: np.ndarray) -> np.ndarray:
        """The objects (*S) int32 that grow from the connected regions of some places, from high to low.

        Args:
            places: (*S) bool, of seeds.
            height: (*S).
            foreground: (*S) bool, where objects are.
        """
        everywhere = generate_binary_structure(height.ndim, height.ndim)
        seeds = cleaned(connected_components(places, everywhere)[0], places, minimum_size=self.seed_size)
        structure = generate_binary_structure(height.ndim, min(self.connectivity, height.ndim))
        if self.keep_unseeded:
            regions, count = connected_components(foreground, structure)
            alone = np.setdiff1d(np.arange(1, count + 1), regions[seeds > 0])
            number = np.zeros(count + 1, np.int32)
            number[alone] = seeds.max() + 1 + np.arange(len(alone))
            seeds = np.maximum(seeds, number[regions])
        return np.asarray(watershed(-height, seeds, mask=foreground, connectivity=structure), np.int32)
