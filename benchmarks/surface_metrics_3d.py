"""HD95, ASSD, NSD and Dice of five organs against MONAI and DeepMind's surface-distance: seconds of one core.

    python benchmarks/surface_metrics_3d.py [shape] [repeats]

surface-distance is no dependency of segbench: install it beside. MONAI's numbers are the same ones; DeepMind's
surfaces run between voxels and are weighed by their area, so that its distances are close and its Dice is equal.
"""

import statistics
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import surface_distance
import torch
from monai.metrics import (
    compute_average_surface_distance,
    compute_dice,
    compute_hausdorff_distance,
    compute_surface_dice,
)
from rich.console import Console
from rich.table import Table
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[1]))

from segbench.metrics import overlap, surface
from segbench.metrics.mask_pair import MaskPair

SPACING, TOLERANCE = (1.0, 0.8, 0.8), 2.0
METRICS = {
    "HD95": surface.hd95,
    "ASSD": surface.assd,
    "NSD": partial(surface.normalised_surface_dice, tolerance=TOLERANCE),
    "Dice": overlap.dice,
}
ORGANS = [  # centre and half axes, as shares of the volume
    ((0.5, 0.35, 0.35), (0.4, 0.2, 0.22)),
    ((0.45, 0.7, 0.4), (0.25, 0.1, 0.12)),
    ((0.5, 0.45, 0.75), (0.2, 0.12, 0.1)),
    ((0.6, 0.72, 0.72), (0.12, 0.08, 0.08)),
    ((0.3, 0.5, 0.57), (0.06, 0.04, 0.05)),
]


def organs(shape, seed):
    """A label map of five ellipsoids with uneven surfaces, which another seed shapes a little otherwise."""
    rng = np.random.default_rng(seed)
    lines = np.ix_(*(np.linspace(0, 1, length, dtype=np.float32) for length in shape))
    label = np.zeros(shape, np.uint8)
    for number, (centre, axes) in enumerate(ORGANS, start=1):
        radius = sum(((line - c) / a) ** 2 for line, c, a in zip(lines, centre, axes, strict=True))
        uneven = ndimage.zoom(rng.normal(0, 0.06, (8, 8, 8)).astype(np.float32), np.divide(shape, 8), order=1)
        label[radius + uneven < 1] = number
    return label


def ours(prediction, reference):
    result = []
    for number in range(1, len(ORGANS) + 1):
        pair = MaskPair(prediction == number, reference == number, SPACING)
        result.append([metric(pair) for metric in METRICS.values()])
    return np.array(result)


def monai(prediction, reference):
    result = []
    for number in range(1, len(ORGANS) + 1):
        masks = [torch.from_numpy(one == number)[None, None] for one in (prediction, reference)]
        options = {"include_background": True, "spacing": SPACING}
        result.append([
            compute_hausdorff_distance(*masks, percentile=95, **options).item(),
            compute_average_surface_distance(*masks, symmetric=True, **options).item(),
            compute_surface_dice(*masks, class_thresholds=[TOLERANCE], **options).item(),
            compute_dice(*masks).item(),
        ])  # fmt: skip
    return np.array(result)


def deepmind(prediction, reference):
    result = []
    for number in range(1, len(ORGANS) + 1):
        predicted, true = prediction == number, reference == number
        distances = surface_distance.compute_surface_distances(true, predicted, SPACING)
        both = surface_distance.compute_average_surface_distance(distances)
        result.append([
            surface_distance.compute_robust_hausdorff(distances, 95),
            np.mean(both),
            surface_distance.compute_surface_dice_at_tolerance(distances, TOLERANCE),
            surface_distance.compute_dice_coefficient(true, predicted),
        ])  # fmt: skip
    return np.array(result)


def main(shape: str = "300x512x512", repeats: int = 1) -> None:
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    size = [int(length) for length in shape.split("x")]
    maps = organs(size, 1), organs(size, 2)
    libraries = {"segbench": ours, "MONAI": monai, "surface-distance": deepmind}
    seconds, numbers = {name: [] for name in libraries}, {}
    for _ in range(repeats):
        for name, library in libraries.items():
            start = time.process_time()
            numbers[name] = library(*maps)
            seconds[name].append(time.process_time() - start)
    first = statistics.median(seconds["segbench"])
    table = Table(shape, "s", "ratio", *(f"{metric}, largest difference" for metric in METRICS))
    for name, values in numbers.items():
        apart = np.abs(values - numbers["segbench"]).max(axis=0)
        took = statistics.median(seconds[name])
        table.add_row(name, f"{took:.2f}", f"{took / first:.1f}", *(f"{one:.1e}" for one in apart))
    Console(width=130).print(table)
    print(numbers["segbench"].round(3))


if __name__ == "__main__":
    main(*(kind(text) for kind, text in zip((str, int), sys.argv[1:], strict=False)))
