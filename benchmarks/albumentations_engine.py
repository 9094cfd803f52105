"""segbench's augmentation and albumentations': samples per second of each preset, and each transform of pixels alone.

The same patches go through both, in turn, in one process. Transforms are compared at equal settings: over many draws,
do they change a patch alike (two-sample Kolmogorov-Smirnov tests of what each is about), and which is faster?
"""

import math
import statistics
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter
from scipy.stats import ks_2samp
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))

from segbench.data.augmentations.colour import HueJitter, StainJitter
from segbench.data.augmentations.pipeline import Blur, Brightness, Contrast, Gamma, LowResolution, Noise
from segbench.data.datasets.synthetic_cells import SyntheticCells
from segbench.data.normalize import zscore
from segbench.data.patches import PatchSampler
from segbench.data.placement import InsideImage, TrainingCases
from segbench.data.store import CaseStore
from segbench.data.targets import mask
from segbench.training.assembly import build_augmenter

import albumentations as A  # isort: skip  # after segbench, which keeps it off the network

PATCH = 256
ROUNDS, SAMPLES = 9, 30
DRAWS, CHANGED = 300, 0.01
PAIRS = (("light", "light"), ("standard", "standard"), ("standard", "heavy"), ("histology", "histology"))
CONF = Path(__file__).parents[1] / "conf" / "augmentation"


class Cells(SyntheticCells):
    """The same cells in another type or number of channels."""

    def __init__(self, dtype, channels):
        super().__init__(12, [512, 512], 0)
        self.dtype, self._channels = dtype, channels

    @property
    def channels(self):
        return self._channels

    def settings(self):
        return {**super().settings(), "dtype": self.dtype, "channels": self._channels}

    def load(self, record):
        case = super().load(record)
        image = np.repeat(case.image, self._channels, axis=0)
        return replace(case, image=image * np.uint16(257) if self.dtype == "uint16" else image)


def in_turn(*calls):
    """Processor time of one call of each in milliseconds: medians of the rounds, and of the ratio to the last."""
    rounds = []
    for number in range(ROUNDS + 1):
        seconds = []
        for call in calls:
            start = time.process_time()
            for sample in range(SAMPLES):
                call(number * SAMPLES + sample)
            seconds.append((time.process_time() - start) / SAMPLES)
        rounds.append(seconds)
    rounds = rounds[1:]
    times = [1e3 * statistics.median(one) for one in zip(*rounds, strict=True)]
    return times, statistics.median(one[0] / one[-1] for one in rounds)


def presets(folder):
    table = Table("image", "ours", "theirs", "ours, samples/s", "theirs, samples/s", "samples, ours / theirs")
    for dtype, channels in (("uint8", 1), ("uint16", 1), ("uint8", 3)):
        store = CaseStore(Cells(dtype, channels), folder)
        cases = TrainingCases(store, store.ids, 0, 0)
        for ours, theirs in PAIRS:
            if (ours == "histology") != (channels == 3):
                continue
            made = []
            for name in (ours, f"albumentations_{theirs}"):
                augmenter = build_augmenter(OmegaConf.load(CONF / f"{name}.yaml"))
                sampler = PatchSampler(cases, (PATCH, PATCH), InsideImage(0.33), augmentation=augmenter,
                                       targets={"mask": mask}, normalize=zscore)  # fmt: skip
                made.append(sampler.__getitem__)
            (mine, their), ratio = in_turn(*made)
            table.add_row(f"{PATCH} x {PATCH} x {channels} {dtype}", ours, f"albumentations_{theirs}",
                          f"{1e3 / mine:.0f}", f"{1e3 / their:.0f}", f"{1 / ratio:.2f}")  # fmt: skip
    Console(width=140).print(table)


def rough(image):
    """What blur and low resolution take away: the deviation of what is finer than two pixels."""
    return (image - gaussian_filter(image, (0, 2, 2))).std()


MOMENTS = {"mean": np.mean, "deviation": np.std, "median": np.median}
"""What of a z-scored patch is compared where a transform is about its values."""


def transforms():
    """Each transform at equal settings on a patch (C, H, W) of float32: ours z-scored, theirs in [0, 1]."""
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(size=(3, PATCH, PATCH)), (0, 3, 3))
    rgb = (smooth - smooth.min()) / np.ptp(smooth) * 0.6 + 0.2 + rng.normal(0, 0.02, smooth.shape)
    rgb = rgb.clip(0, 1).astype(np.float32)
    grey, mean, deviation = rgb[:1], rgb[0].mean(), rgb[0].std()
    scored = (grey - mean) / deviation
    adds = A.RandomBrightnessContrast(0.3 * deviation, 0, p=1)
    multiplies = A.RandomBrightnessContrast(0, 0.25, p=1)
    coarse = A.Downscale((0.5, 1.0), {"downscale": 0, "upscale": 2}, p=1)
    roughness = {"roughness": rough}
    pairs = {
        "Noise": (Noise(1.0, (0.0, 0.1)), A.GaussNoise((0, math.sqrt(0.1) * deviation), p=1), roughness),
        "Blur": (Blur(1.0, (0.5, 1.0)), A.GaussianBlur(0, (0.5, 1.0), p=1), roughness),
        "LowResolution": (LowResolution(1.0, (0.5, 1.0)), coarse, roughness),
        "Brightness": (Brightness(1.0, (-0.3, 0.3)), adds, MOMENTS),
        "Contrast": (Contrast(1.0, (0.75, 1.25)), multiplies, MOMENTS),
        "Gamma": (Gamma(1.0, (0.7, 1.5)), A.RandomGamma((70, 150), p=1), MOMENTS),
    }
    colours = {
        "StainJitter": (StainJitter(1.0, (0.9, 1.1), (-0.02, 0.02)),
                        A.HEStain("preset", "ruifrok", (0.9, 1.1), (-0.02, 0.02), augment_background=True, p=1)),
        "HueJitter": (HueJitter(1.0, (-0.04, 0.04), (0.8, 1.2), (0.9, 1.1)),
                      A.ColorJitter((0.9, 1.1), (1, 1), (0.8, 1.2), (-0.04, 0.04), p=1)),
    }  # fmt: skip
    last = {name: np.ascontiguousarray(np.moveaxis(one, 0, -1)) for name, one in (("grey", grey), ("rgb", rgb))}
    table = Table("ours", "theirs", "same distribution", "ours, ms", "theirs, ms", "time, ours / theirs")

    def row(name, ours, theirs, image, picture, back, statistics_):
        theirs.set_random_seed(0)
        mine = [ours(image, np.random.default_rng(draw)) for draw in range(DRAWS)]
        their = [back(np.moveaxis(theirs(image=picture)["image"], -1, 0)) for _ in range(DRAWS)]
        differs = [
            what for what, of in statistics_.items()
            if ks_2samp([of(one) for one in mine], [of(one) for one in their]).pvalue < CHANGED
        ]  # fmt: skip
        times, ratio = in_turn(
            lambda number: ours(image, np.random.default_rng(number)), lambda number: theirs(image=picture)
        )
        table.add_row(name, type(theirs).__name__, f"no: {', '.join(differs)}" if differs else "yes",
                      f"{times[0]:.2f}", f"{times[1]:.2f}", f"{ratio:.2f}")  # fmt: skip

    for name, (ours, theirs, about) in pairs.items():
        row(name, ours, theirs, scored, last["grey"], lambda one: (one - mean) / deviation, about)
    for name, (ours, theirs) in colours.items():
        about = {f"{what} of {colour}": lambda one, c=c, of=of: of(one[c])
                 for c, colour in enumerate(("red", "green", "blue")) for what, of in MOMENTS.items()}  # fmt: skip
        row(name, ours, theirs, rgb, last["rgb"], lambda one: one, about)
    Console(width=140).print(table)


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with threadpool_limits(1), tempfile.TemporaryDirectory() as folder:
        presets(folder)
        transforms()


if __name__ == "__main__":
    main()
