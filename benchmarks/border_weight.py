"""What the border weights of U-Net cost beside one distance transform of the whole image per object.

512 x 512 pixels with 200 nuclei, one thread; also says how far the two are apart.

    OMP_NUM_THREADS=1 python benchmarks/border_weight.py [rounds]
"""

import sys
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt

sys.path.insert(0, str(Path(__file__).parents[1]))

from segbench.data.border_weight import BorderWeight
from segbench.data.sample import Sample


def nuclei(size: int = 512, count: int = 200, seed: int = 0) -> np.ndarray:
    """Disks of radius 7 to 13 that do not overlap but may touch, (size, size) int32."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    instances = np.zeros((size, size), np.int32)
    number = 0
    while number < count:
        y, x, radius = *rng.integers(0, size, 2), rng.integers(7, 14)
        disk = ((rows - y) ** 2 + (columns - x) ** 2 < radius**2) & (instances == 0)
        if disk.sum() > 60:
            number += 1
            instances[disk] = number
    return instances


def all_distances(instances: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Distances of every pixel to its two nearest objects, one transform of the image per object: (2, *P)."""
    first, second = (np.full(instances.shape, np.inf) for _ in range(2))
    for number in np.unique(instances[instances > 0]):
        distance = distance_transform_edt(instances != number, sampling=scale)
        second = np.minimum(second, np.maximum(first, distance))
        first = np.minimum(first, distance)
    return np.stack([first, second])


def brute_force(
    instances: np.ndarray, scale: np.ndarray, w0: float, sigma: float, background_only: bool = True
) -> np.ndarray:
    """The weights by the formula, (*P)."""
    gap = w0 * np.exp(-(all_distances(instances, scale).sum(0) ** 2) / (2 * sigma**2))
    return 1 + np.where(instances > 0, 0, gap) if background_only else 1 + gap


def seconds(function) -> float:
    """Of the processor, so that other work on the machine plays less of a part."""
    start = time.process_time()
    function()
    return time.process_time() - start


def main(rounds: int = 20) -> None:
    instances = nuclei()
    label = (instances > 0).astype(np.uint8)
    weigh, sample = BorderWeight(), Sample(label[None], label, instances, (1.0, 1.0))
    ours = np.array([seconds(lambda: weigh(sample)) for _ in range(rounds)])
    slow = seconds(lambda: brute_force(instances, np.ones(2), 10.0, 5.0))
    deviation = np.abs(weigh(sample) - brute_force(instances, np.ones(2), 10.0, 5.0)).max()
    print(f"{instances.max()} nuclei in {' x '.join(map(str, instances.shape))} pixels")
    print(f"segbench: {np.median(ours) * 1e3:.1f} ms (least {ours.min() * 1e3:.1f}), one transform each: {slow:.2f} s")
    print(f"ratio {slow / np.median(ours):.0f}; largest deviation {deviation:.1e} of weights from 1 to 11")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
