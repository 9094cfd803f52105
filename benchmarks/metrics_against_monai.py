"""Times all overlap and surface metrics of one volume against MONAI's functions for the same numbers.

    python benchmarks/metrics_against_monai.py

Both get what they take in a test loop: segbench the two label maps, MONAI the two one-hot tensors (made
beforehand, not timed). Prints each number of both, the largest difference, and the ratio of the times. Exits
with an error where the difference exceeds 1e-4 or the ratio is below 5.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from monai.metrics import (
    compute_average_surface_distance,
    compute_confusion_matrix_metric,
    compute_dice,
    compute_hausdorff_distance,
    compute_iou,
    compute_surface_dice,
    get_confusion_matrix,
)
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from segbench.metrics import overlap, surface
from segbench.metrics.score import score_case

SHAPE = (128, 192, 192)
SPACING = (2.0, 0.7, 0.7)
CLASSES = ("background", "one", "two", "three")
TOLERANCE = 2.0
METRICS = {
    "dice": overlap.dice,
    "iou": overlap.iou,
    "precision": overlap.precision,
    "recall": overlap.recall,
    "specificity": overlap.specificity,
    "hd95": surface.hd95,
    "assd": surface.assd,
    "nsd": partial(surface.normalised_surface_dice, tolerance=TOLERANCE),
}

Values = dict[str, list[float]]


def label_maps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A prediction and a reference of blobs: the classes are where smoothed noises are largest."""
    rng = np.random.default_rng(seed)

    def fields(sigma: float) -> np.ndarray:
        noises = [rng.standard_normal(SHAPE, dtype=np.float32) for _ in CLASSES]
        smooth = np.stack([ndimage.gaussian_filter(noise, sigma) for noise in noises])
        return smooth / smooth.std()

    true = fields(sigma=8)
    true[0] += 1
    predicted = true + 0.25 * fields(sigma=3)
    return predicted.argmax(axis=0).astype(np.uint8), true.argmax(axis=0).astype(np.uint8)


def by_segbench(prediction: np.ndarray, reference: np.ndarray) -> Values:
    """All metrics of all classes but the background, from label maps."""
    values: Values = {metric: [] for metric in METRICS}
    for score in score_case(prediction, reference, SPACING, CLASSES, METRICS):
        values[score.metric].append(score.value)
    return values


def by_monai(prediction: torch.Tensor, reference: torch.Tensor) -> Values:
    """The same from one-hot tensors (1, K, *S)."""
    confusion = get_confusion_matrix(prediction, reference, include_background=False)
    tensors = {
        "dice": compute_dice(prediction, reference, include_background=False),
        "iou": compute_iou(prediction, reference, include_background=False),
        "precision": compute_confusion_matrix_metric("precision", confusion),
        "recall": compute_confusion_matrix_metric("recall", confusion),
        "specificity": compute_confusion_matrix_metric("specificity", confusion),
        "hd95": compute_hausdorff_distance(prediction, reference, percentile=95, spacing=SPACING),
        "assd": compute_average_surface_distance(prediction, reference, symmetric=True, spacing=SPACING),
        "nsd": compute_surface_dice(prediction, reference, [TOLERANCE] * 3, spacing=SPACING),
    }
    return {metric: tensor[0].tolist() for metric, tensor in tensors.items()}


def timed(call: Callable[[], Values], repeats: int) -> tuple[Values, float]:
    """The result, and the median seconds of `repeats` calls after one to warm up."""
    values = call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return values, statistics.median(seconds)


def one_hot(labels: np.ndarray) -> torch.Tensor:
    """(1, K, *S) float32."""
    return torch.stack([torch.from_numpy(labels == index) for index in range(len(CLASSES))])[None].float()


def main() -> None:
    """Measures, prints, and fails where a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # MONAI warns of its own deprecations

    maps = label_maps(options.seed)
    tensors = [one_hot(labels) for labels in maps]
    ours, our_seconds = timed(lambda: by_segbench(*maps), options.repeats)
    theirs, their_seconds = timed(lambda: by_monai(*tensors), options.repeats)
    differences = {metric: np.abs(np.subtract(ours[metric], theirs[metric])).max() for metric in METRICS}

    table = Table("metric", *(f"{name}: segbench / MONAI" for name in CLASSES[1:]), "largest difference")
    for metric, difference in differences.items():
        cells = [f"{a:.6f} / {b:.6f}" for a, b in zip(ours[metric], theirs[metric], strict=True)]
        table.add_row(metric, *cells, f"{difference:.1e}")
    Console(width=120).print(table)
    ratio = their_seconds / our_seconds
    print(f"volume {SHAPE}, {len(CLASSES) - 1} classes; threads: segbench 1, MONAI {torch.get_num_threads()}")
    print(f"segbench {our_seconds:.3f} s, MONAI {their_seconds:.3f} s, ratio {ratio:.1f}")
    if max(differences.values()) > 1e-4 or ratio < 5:
        sys.exit("the numbers differ by more than 1e-4, or segbench is not 5 times as fast")


if __name__ == "__main__":
    main()
