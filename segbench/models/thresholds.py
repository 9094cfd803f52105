"""Thresholds: Otsu's for a whole image, and adaptive ones that follow the local mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from skimage.filters import threshold_local, threshold_multiotsu, threshold_niblack, threshold_otsu, threshold_sauvola

from segbench.errors import UserError
from segbench.models.unsupervised_regions import GreyRegions, choose


class Otsu(GreyRegions):
    """Thresholds between which the variance between the regions' mean intensities is highest (Otsu 1979).

    They are found anew in every image; for more than two regions all at once (Liao, Chen and Chung 2001,
    as in scikit-image). Only which region is which class is learnt.

    Source: Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9, 1979.
    """

    def __init__(
        self,
        *sizes: Any,
        regions: int | None = None,
        bins: int = 256,
        **choices: Any,
    ) -> None:
        """Check the values.

        Args:
            regions: one more than the thresholds; None: as many as classes.
            bins: of the histogram; the time grows with their power of the number of thresholds.
            *sizes: see `GreyRegions`.
            **choices: see `GreyRegions`.
        """
        super().__init__(*sizes, **choices)
        self.bins = bins
        self._count = self.region_count(regions)

    @property
    def count(self) -> int:
        """Regions between the thresholds."""
        return self._count

    def regions(self, grey: np.ndarray) -> np.ndarray:
        """The number of thresholds below each pixel."""
        return np.asarray(np.digitize(grey, otsu_thresholds(grey, self.count, self.bins), right=True))


def otsu_thresholds(grey: np.ndarray, regions: int, bins: int = 256) -> np.ndarray:
    """Otsu's thresholds of an image (*S), ascending; fewer than regions - 1 where it has too few intensities."""
    if grey.min() == grey.max():
        return np.empty(0)
    for wanted in range(regions, 2, -1):
        try:
            return np.asarray(threshold_multiotsu(grey.ravel(), wanted, bins))
        except ValueError:  # fewer bins are filled than regions are wanted
            continue
    return np.array([threshold_otsu(grey.ravel(), bins)])


class AdaptiveThreshold(GreyRegions):
    """Two thresholds for each pixel, from the mean m and the deviation s around it: three regions.

    A pixel is darker than its surroundings (region 0), brighter (region 2), or neither:

    - "mean", "gaussian": m -+ offset; the Gaussian's deviation is (window - 1) / 6;
    - "niblack": m -+ k s (Niblack 1986);
    - "sauvola": below m (1 + k (s / R - 1)), R = 128, for intensities that the image's extremes bring to
      0..255 (Sauvola and Pietikainen 2000, who look for dark text), and above the same of the negative.

    Source: Niblack 1986; Sauvola and Pietikäinen, Pattern Recognition 33, 2000.
    """

    def __init__(
        self,
        *sizes: Any,
        method: str = "gaussian",
        window: int = 51,
        offset: float = 0.3,
        k: float = 0.2,
        **choices: Any,
    ) -> None:
        """Check the values.

        Args:
            method: "mean", "gaussian", "niblack" or "sauvola".
            window: pixels along each side of the neighbourhood, an odd number.
            offset: of "mean" and "gaussian", in the intensities of the normalised image.
            k: of "niblack" and "sauvola".
            *sizes: see `GreyRegions`.
            **choices: see `GreyRegions`.

        Raises:
            UserError: where the window is even, the method is not known, or a threshold would be above the other.
        """
        super().__init__(*sizes, **choices)
        if window < 3 or window % 2 == 0:
            raise UserError(f"model.window={window}: must be an odd number, 3 or more")
        for key, value in {"offset": offset, "k": k}.items():
            if value < 0:
                raise UserError(f"model.{key}={value}: must be at least 0; dark and bright are told apart anyway")
        self.thresholds = METHODS[choose("model.method", method, METHODS, best=False)[0]]
        self.window = window
        self.offset = offset
        self.k = k

    @property
    def count(self) -> int:
        """Darker, alike, brighter."""
        return 3

    def regions(self, grey: np.ndarray) -> np.ndarray:
        """0, 1 or 2 for pixels below, between and above their thresholds."""
        grey = grey.astype(np.float64)
        low, high = self.thresholds(grey, self.window, self.offset, self.k)
        return np.where(grey < low, 0, np.where(grey > high, 2, 1))


Thresholds = tuple[np.ndarray, np.ndarray]


def _mean(grey: np.ndarray, window: int, offset: float, k: float) -> Thresholds:
    middle = threshold_local(grey, window, "mean")
    return middle - offset, middle + offset


def _gaussian(grey: np.ndarray, window: int, offset: float, k: float) -> Thresholds:
    middle = threshold_local(grey, window, "gaussian")
    return middle - offset, middle + offset


def _niblack(grey: np.ndarray, window: int, offset: float, k: float) -> Thresholds:
    return threshold_niblack(grey, window, k), threshold_niblack(grey, window, -k)


def _sauvola(grey: np.ndarray, window: int, offset: float, k: float) -> Thresholds:
    low, step = grey.min(), max(np.ptp(grey), np.finfo(np.float64).tiny) / 255
    scaled = (grey - low) / step
    dark, bright = threshold_sauvola(scaled, window, k, r=128), 255 - threshold_sauvola(255 - scaled, window, k, r=128)
    return dark * step + low, bright * step + low


METHODS: dict[str, Callable[[np.ndarray, int, float, float], Thresholds]] = {
    "mean": _mean,
    "gaussian": _gaussian,
    "niblack": _niblack,
    "sauvola": _sauvola,
}
