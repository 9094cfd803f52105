"""Pixels that surely belong to a region: where growing and flooding begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage.morphology import h_maxima

from segbench.models.thresholds import otsu_thresholds


@dataclass(frozen=True)
class Seeds:
    """Seeds by a rule, from the regions between Otsu's thresholds.

    Attributes:
        regions: how many regions.
        rule: "core": pixels deep inside their region; "peak": the points of each part of a region that are
            deepest inside it; "sure": pixels whose intensity is far from the thresholds.
        depth: of "core": pixels to the region's border, at least; of "peak": how much deeper than the
            saddle to the next one it must be (the h of the h-maxima).
        share: of "sure": share of the region's pixels that are seeds.
    """

    regions: int
    rule: str
    depth: float
    share: float

    def __call__(self, grey: np.ndarray) -> np.ndarray:
        """(*S) int: 0 = no seed, r + 1 = a seed of region r; regions that are empty have none."""
        found = np.digitize(grey, otsu_thresholds(grey, self.regions), right=True)
        markers = np.zeros(grey.shape, np.int32)
        present = np.unique(found)
        for region in present:
            mask = found == region
            if len(present) == 1:
                markers[mask] = region + 1
            else:
                markers[RULES[self.rule](self, grey, mask, region == present[0], region == present[-1])] = region + 1
        return markers


def _core(seeds: Seeds, grey: np.ndarray, mask: np.ndarray, lowest: bool, highest: bool) -> np.ndarray:
    depth = distance_transform_edt(mask)
    return np.asarray(depth >= min(seeds.depth, depth.max()))


def _peak(seeds: Seeds, grey: np.ndarray, mask: np.ndarray, lowest: bool, highest: bool) -> np.ndarray:
    depth = distance_transform_edt(mask)
    return np.asarray((h_maxima(depth, min(seeds.depth, depth.max() / 2)) > 0) & mask)


def _sure(seeds: Seeds, grey: np.ndarray, mask: np.ndarray, lowest: bool, highest: bool) -> np.ndarray:
    """The darkest pixels of the darkest region, the brightest of the brightest, the middle ones of others."""
    first = 0.0 if lowest else 1 - seeds.share if highest else (1 - seeds.share) / 2
    low, high = np.quantile(grey[mask], (first, first + seeds.share))
    return np.asarray(mask & (grey >= low) & (grey <= high))


RULES: dict[str, Callable[[Seeds, np.ndarray, np.ndarray, bool, bool], np.ndarray]] = {
    "core": _core,
    "peak": _peak,
    "sure": _sure,
}
