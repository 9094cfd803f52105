"""What augmentation and reading cost: milliseconds of one core for one sample.

Prints for each transform alone what it adds to a patch of 256 x 256, the elastic deformation against the same
by MONAI and by scikit-image, and what it saves that the last cases stay open.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from monai.transforms import Rand2DElasticd
from rich.console import Console
from rich.table import Table
from skimage.transform import warp

sys.path.insert(0, str(Path(__file__).parents[1]))

import segbench.data.store as store_module
from segbench.data.augmentations.colour import HistogramMatching, HueJitter, StainJitter
from segbench.data.augmentations.elastic import ControlPoints, SmoothedNoise
from segbench.data.augmentations.pipeline import (
    Augmentation,
    Blur,
    Brightness,
    Contrast,
    Gamma,
    LowResolution,
    Noise,
)
from segbench.data.augmentations.spatial import Spatial
from segbench.data.datasets.synthetic_cells import SyntheticCells
from segbench.data.normalize import zscore
from segbench.data.patches import PatchSampler, read_patch
from segbench.data.placement import InsideImage, TrainingCases
from segbench.data.store import CaseStore
from segbench.data.targets import mask
from tests.data.arrays import ArrayCase

PATCH = 256
CASES = 20
ROUNDS, SAMPLES = 7, 20

ALONE = {
    "none": Augmentation(),
    "flips": Augmentation(Spatial(flip=0.5)),
    "quarter turns": Augmentation(Spatial(quarter_turns=1.0)),
    "translation": Augmentation(Spatial(translation=0.1)),
    "rotation": Augmentation(Spatial(rotation=180)),
    "scaling": Augmentation(Spatial(scaling=(0.7, 1.4))),
    "elastic, U-Net": Augmentation(Spatial(elastic=ControlPoints(10))),
    "elastic, B-splines": Augmentation(Spatial(elastic=ControlPoints(8, 4, "spline"))),
    "elastic, Simard": Augmentation(Spatial(elastic=SmoothedNoise((0, 200), (9, 13)))),
    "distortion": Augmentation(Spatial(distortion=(-0.2, 0.2))),
    "noise": Augmentation(intensity={"": Noise(1.0, (0.0, 0.1))}),
    "blur": Augmentation(intensity={"": Blur(1.0, (0.5, 1.0))}),
    "brightness": Augmentation(intensity={"": Brightness(1.0, (-0.3, 0.3))}),
    "contrast": Augmentation(intensity={"": Contrast(1.0, (0.75, 1.25))}),
    "gamma": Augmentation(intensity={"": Gamma(1.0, (0.7, 1.5))}),
    "low resolution": Augmentation(intensity={"": LowResolution(1.0, (0.5, 1.0))}),
    "histogram matching": Augmentation(matching=HistogramMatching(1.0)),
}
IN_RGB = {
    "none": Augmentation(),
    "flips": Augmentation(Spatial(flip=0.5)),
    "stain jitter": Augmentation(colour={"": StainJitter(1.0, (0.9, 1.1), (-0.02, 0.02))}),
    "hue jitter": Augmentation(colour={"": HueJitter(1.0, (-0.04, 0.04), (0.8, 1.2), (0.9, 1.1))}),
}


class Coloured(SyntheticCells):
    """The same cells in three channels."""

    channels = 3

    def load(self, record):
        case = super().load(record)
        return replace(case, image=np.repeat(case.image, 3, axis=0))


def milliseconds(calls: Sequence[Callable[[int], object]]) -> list[float]:
    """Processor time of one call of each, called in turn: medians of the rounds."""
    rounds = []
    for _ in range(ROUNDS + 1):
        seconds = []
        for call in calls:
            start = time.process_time()
            for number in range(SAMPLES):
                call(number)
            seconds.append((time.process_time() - start) / SAMPLES)
        rounds.append(seconds)
    return [1e3 * statistics.median(one) for one in zip(*rounds[1:], strict=True)]


def sampler(store: CaseStore, augmentation: Augmentation, patch: int) -> PatchSampler:
    cases = TrainingCases(store, store.ids, 0, 0)
    return PatchSampler(cases, (patch, patch), InsideImage(0.33), augmentation, {"mask": mask}, zscore)


def transforms(store: CaseStore, named: dict[str, Augmentation], patch: int) -> None:
    table = Table(f"{patch} x {patch} x {store.meta(store.ids[0]).shape[0]}", "sample, ms", "more than none, ms")
    times = milliseconds([sampler(store, augmentation, patch).__getitem__ for augmentation in named.values()])
    for name, took in zip(named, times, strict=True):
        table.add_row(name, f"{took:.2f}", f"{took - times[0]:+.2f}")
    Console().print(table)


def elastic() -> None:
    """Image and mask of a patch bent: by segbench's sampler of an array, by MONAI, by scikit-image."""
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, PATCH, PATCH)).astype(np.float32)
    label = (image[0] > 0).astype(np.uint8)
    by_monai = Rand2DElasticd(
        ("image", "mask"),
        spacing=(PATCH // 2, PATCH // 2),
        magnitude_range=(10, 10),
        prob=1.0,
        mode=("bilinear", "nearest"),
        padding_mode="reflection",
    )
    bend = ControlPoints(10)
    rows = np.indices((PATCH, PATCH), dtype=np.float32)
    case = ArrayCase(image, label, None, (1.0, 1.0))
    spatial, start = Spatial(elastic=bend), np.zeros(2, int)
    no_change = lambda raw, channels: raw  # noqa: E731
    _ = case.meta

    def ours(number: int) -> None:
        draw = spatial.draw((PATCH, PATCH), case.spacing, np.random.default_rng(number))
        read_patch(case, start, draw, (PATCH, PATCH), no_change)

    def monai(number: int) -> None:
        by_monai.set_random_state(number)
        by_monai({"image": image, "mask": label[None]})

    def scikit(number: int) -> None:
        where = rows + bend((PATCH, PATCH), np.random.default_rng(number))
        warp(image[0], where, order=1, mode="reflect")
        warp(label, where, order=0, cval=255, preserve_range=True)

    times = milliseconds([ours, monai, scikit])
    print(f"elastic deformation of image and mask, {PATCH} x {PATCH}: {times[0]:.2f} ms")
    for name, took in zip(("MONAI", "scikit-image"), times[1:], strict=True):
        print(f"  {name} {took:.2f} ms: ratio {times[0] / took:.2f}")


def opening(store: CaseStore, again: CaseStore) -> None:
    source, other = (sampler(one, Augmentation(), 64) for one in (store, again))

    def closed(number: int) -> None:
        again._open.clear()
        other[number]

    kept, opened = milliseconds([source.__getitem__, closed])
    print(f"a sample of 64 x 64: {kept:.3f} ms with the last {store_module._OPEN_CASES} cases open, "
          f"{opened:.3f} ms opening its case ({opened / kept:.1f} times)")  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        grey = CaseStore(SyntheticCells(CASES, [512, 512], 0), folder)
        colour = CaseStore(Coloured(CASES, [512, 512], 0), folder)
        transforms(grey, ALONE, PATCH)
        transforms(colour, IN_RGB, PATCH)
        transforms(colour, {name: IN_RGB[name] for name in ("none", "flips")}, 512)
        elastic()
        opening(grey, CaseStore(SyntheticCells(CASES, [512, 512], 0), folder))


if __name__ == "__main__":
    main()
