"""Random textures, for data sets that are drawn by code."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def smooth_noise(rng: np.random.Generator, size: tuple[int, ...], sigma: float) -> np.ndarray:
    """Gaussian noise, smoothed, of mean about 0 and standard deviation about 1."""
    # White noise on a coarse grid, enlarged: as smooth as a wide filter, in a fraction of the time.
    step = max(1, int(sigma / 2))
    coarse = rng.normal(size=[length // step + 6 for length in size])
    smooth = ndimage.gaussian_filter(coarse, sigma / step)
    smooth /= max(float(smooth.std()), 1e-6)
    enlarged = ndimage.zoom(smooth, step, order=1) if step > 1 else smooth
    return enlarged[tuple(slice(length) for length in size)]
