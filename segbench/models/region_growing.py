"""Region growing and watershed: from seeds to whole regions."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_gradient_magnitude, generate_binary_structure, label
from skimage.filters import sobel
from skimage.segmentation import watershed

from segbench.errors import UserError
from segbench.models.seeds import RULES, Seeds
from segbench.models.unsupervised_regions import GreyRegions, choose


class Flooding(GreyRegions):
    """The common part of region growing and watershed: regions grow from seeds in Otsu's regions."""

    def __init__(
        self,
        *sizes: Any,
        regions: int | None = None,
        seeds: str = "core",
        depth: float = 3.0,
        share: float = 0.3,
        connectivity: int = 1,
        **choices: Any,
    ) -> None:
        """Check the values.

        Args:
            regions: of Otsu's thresholds; None: as many as classes.
            seeds: "core", "peak" or "sure": see `segbench.models.seeds.Seeds`.
            depth: of "core" and "peak", in pixels.
            share: of "sure".
            connectivity: which pixels are neighbours: 1 = faces, 2 = also edges, ..
            *sizes: see `GreyRegions`.
            **choices: see `GreyRegions`.

        Raises:
            UserError: where a value is out of its range.
        """
        super().__init__(*sizes, **choices)
        wanted = self.region_count(regions)
        if not 0 < share <= 1:
            raise UserError(f"model.share={share}: must be above 0 and at most 1")
        if depth <= 0:
            raise UserError(f"model.depth={depth}: must be above 0")
        self.seeds = Seeds(wanted, choose("model.seeds", seeds, RULES, best=False)[0], depth, share)
        self.structure = generate_binary_structure(self.spatial_dims, min(max(connectivity, 1), self.spatial_dims))


class RegionGrowing(Flooding):
    """Growth of every seed over its neighbours whose intensity is near the mean of its region's seeds.

    Where two grow to the same pixel, the one with the nearer mean has it. Pixels that none reaches are
    a region of their own.

    Source: Adams and Bischof, PAMI 16, 1994.
    """

    def __init__(self, *sizes: Any, tolerance: float = 0.7, **choices: Any) -> None:
        """Check the values.

        Args:
            tolerance: how far from the mean, in the intensities of the normalised image.
            *sizes: see `GreyRegions`.
            **choices: see `Flooding` and `GreyRegions`.

        Raises:
            UserError: where a value is out of its range.
        """
        super().__init__(*sizes, **choices)
        if tolerance < 0:
            raise UserError(f"model.tolerance={tolerance}: must be at least 0")
        self.tolerance = tolerance

    @property
    def count(self) -> int:
        """Otsu's regions, and the rest."""
        return self.seeds.regions + 1

    def regions(self, grey: np.ndarray) -> np.ndarray:
        """The region that has grown over each pixel; the rest has the highest number."""
        markers = self.seeds(grey)
        result = np.full(grey.shape, self.seeds.regions, np.int64)
        nearest = np.full(grey.shape, np.inf)
        for marker in np.unique(markers[markers > 0]):
            seeds = markers == marker
            mean = float(grey[seeds].mean(dtype=np.float64))
            # A seed stays in its own region, whatever its intensity.
            distance = np.where(seeds, -1.0, np.where(markers > 0, np.inf, np.abs(grey - mean)))
            won = grow(grey, seeds, mean, self.tolerance, self.structure) & (distance < nearest)
            result[won], nearest[won] = marker - 1, distance[won]
        return result


def grow(grey: np.ndarray, seeds: np.ndarray, mean: float, tolerance: float, structure: np.ndarray) -> np.ndarray:
    """The pixels (*S) bool that are connected to a seed through pixels with |intensity - mean| <= tolerance.

    Args:
        grey: (*S).
        seeds: (*S) bool; they belong to the result whatever their intensity.
        mean: the intensity that others are compared with.
        tolerance: how far from it.
        structure: 3 x .. x 3, which neighbours connect.
    """
    parts, found = label(seeds | (np.abs(grey - mean) <= tolerance), structure)
    reached = np.zeros(found + 1, bool)
    reached[parts[seeds]] = True
    reached[0] = False
    return np.asarray(reached[parts])


class Watershed(Flooding):
    """The watershed of the gradient, flooded from the seeds (Beucher and Meyer 1993).

    Source: Beucher and Meyer, in Mathematical Morphology in Image Processing, 1993.
    """

    def __init__(self, *sizes: Any, sigma: float = 1.0, **choices: Any) -> None:
        """Check the values.

        Args:
            sigma: deviation in pixels of the Gaussian whose gradient is the relief; 0: the Sobel filter.
            *sizes: see `GreyRegions`.
            **choices: see `Flooding` and `GreyRegions`.

        Raises:
            UserError: where a value is out of its range.
        """
        super().__init__(*sizes, **choices)
        if sigma < 0:
            raise UserError(f"model.sigma={sigma}: must be at least 0")
        self.sigma = sigma

    @property
    def count(self) -> int:
        """Otsu's regions."""
        return self.seeds.regions

    def regions(self, grey: np.ndarray) -> np.ndarray:
        """The region whose seeds have flooded each pixel."""
        relief = gaussian_gradient_magnitude(grey, self.sigma) if self.sigma else sobel(grey)
        return np.asarray(watershed(relief, self.seeds(grey), connectivity=self.structure), np.int64) - 1
