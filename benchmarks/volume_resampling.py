"""The cost of resampling a whole CT against nnU-Net's default: seconds of one thread, and the largest difference.

nnU-Net is no dependency of segbench: install nnunetv2 beside it. The CT and its label map are drawn.

    python benchmarks/volume_resampling.py [repeats] [shape]
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape
from rich.console import Console
from rich.table import Table
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[1]))

from segbench.data.label_resampling import resample_label
from segbench.data.volume_resampling import resample_image, resample_probabilities, resampled_shape, thick_axis

SPACINGS = [((1.5, 0.8, 0.8), (1.0, 1.0, 1.0)), ((5.0, 0.8, 0.8), (2.5, 1.0, 1.0))]
CLASSES = 6


def drawn(shape):
    """An image of noise and blobs, and the blobs' classes."""
    rng = np.random.default_rng(0)
    field = ndimage.zoom(rng.normal(size=[length // 20 + 2 for length in shape]), 20, order=1)
    field = field[tuple(slice(length) for length in shape)].astype(np.float32)
    label = np.digitize(field, np.linspace(0.3, 1.5, CLASSES - 1)).astype(np.uint8)
    return (field + 0.1 * rng.standard_normal(shape, dtype=np.float32))[None], label


def calls(image, probabilities, label, spacing, new_spacing):
    """By what is resampled, how segbench does it and how nnU-Net does."""
    target = resampled_shape(label.shape, spacing, new_spacing)
    axis = thick_axis(spacing, new_spacing)

    def nnunet(array, is_seg, order):
        return resample_data_or_seg_to_shape(array, target, spacing, new_spacing, is_seg, order, 0, None)

    return {
        "image": (lambda: resample_image(image, target, axis), lambda: nnunet(image, False, 3)),
        "2 probabilities": (
            lambda: resample_probabilities(probabilities, target, axis),
            lambda: nnunet(probabilities, False, 1),
        ),
        f"label, {CLASSES} classes": (
            lambda: resample_label(label, target, axis)[None],
            lambda: nnunet(label[None], True, 1),
        ),
    }


def main(repeats: int = 3, shape: str = "300x512x512") -> None:
    torch.set_num_threads(1)
    image, label = drawn([int(length) for length in shape.split("x")])
    probabilities = np.stack([label == 0, label == 1]).astype(np.float32)
    table = Table("", "to", "segbench, s", "nnU-Net, s", "ratio", "apart")
    for spacing, new_spacing in SPACINGS:
        for name, both in calls(image, probabilities, label, spacing, new_spacing).items():
            seconds, results = ([], []), [None, None]
            for _ in range(repeats):
                for which, call in enumerate(both):
                    start = time.perf_counter()
                    results[which] = call()
                    seconds[which].append(time.perf_counter() - start)
            ours, theirs = (statistics.median(one) for one in seconds)
            one, other = results
            apart = (
                f"{(one != other).mean():.0e} of it" if one.dtype == np.uint8 else f"{np.abs(one - other).max():.0e}"
            )
            size = " x ".join(map(str, one.shape[1:]))
            table.add_row(name, size, f"{ours:.2f}", f"{theirs:.2f}", f"{theirs / ours:.1f}", apart)
    Console(width=120).print(table)


if __name__ == "__main__":
    main(*(kind(text) for kind, text in zip((int, str), sys.argv[1:], strict=False)))
