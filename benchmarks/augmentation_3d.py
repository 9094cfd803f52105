"""Augmented patches of volumes for each core: segbench's samples against the pipelines of three other libraries.

    python benchmarks/augmentation_3d.py [samples] [edges of the patch, with commas]

Milliseconds of processor time a sample, in turn, means over the same number of samples of each. batchgeneratorsv2 runs
the transforms that nnU-Net's trainer makes; MONAI and TorchIO the comparable ones of their own with the same
probabilities. They get their patches cut out already, as float32, larger by what nnU-Net reads around; segbench
reads its own from the int16 volume, and normalises it. nnunetv2, batchgeneratorsv2 and torchio are no dependencies
of segbench: install them beside it.
"""

import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
import torchio
from monai import transforms as monai
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[1]))

from segbench.data.augmentations.augmenter import Place
from segbench.data.normalize import zscore
from segbench.training.assembly import build_augmenter
from tests.data.arrays import ArrayCase

CONF = Path(__file__).parents[1] / "conf" / "augmentation" / "nnunet.yaml"
TURN = np.pi / 6
CLASSES = 3


def volume(edge):
    """An int16 volume twice as long as the patch, and its classes."""
    rng = np.random.default_rng(0)
    field = ndimage.zoom(rng.normal(size=(10, 10, 10)).astype(np.float32), edge / 5, order=1)
    noisy = 300 * field + 50 * rng.standard_normal(field.shape, dtype=np.float32)
    return noisy.astype(np.int16)[None], np.digitize(field, [0.5, 1.0]).astype(np.uint8)


def segbench(image, label, size):
    augmentation = build_augmenter(OmegaConf.create({"augmentation": OmegaConf.load(CONF)}).augmentation)
    case = ArrayCase(image, label, None, (1.0, 1.0, 1.0))
    _ = case.meta
    start = np.array([length // 4 for length in label.shape])

    def sample(number):
        made = augmentation.patch(Place(case, start, size), None, zscore, np.random.default_rng([0, number]))
        return made.image, made.label

    return sample


def larger_patch(image, label, size):
    """The patch that nnU-Net reads around: float32 (1, ..) and int16 (1, ..)."""
    wide = [int(edge) for edge in get_patch_size(size, *([(-TURN, TURN)] * 3), (0.85, 1.25))]
    cut = tuple(
        slice((length - edge) // 2, (length - edge) // 2 + edge) for length, edge in zip(label.shape, wide, strict=True)
    )
    part = image[0][cut].astype(np.float32)
    return ((part - part.mean()) / part.std())[None], label[cut][None].astype(np.int16)


def batchgenerators(image, label, size):
    transform = nnUNetTrainer.get_training_transforms(np.array(size), (-TURN, TURN), None, (0, 1, 2), False)
    image, label = (torch.from_numpy(array) for array in larger_patch(image, label, size))

    def sample(number):
        made = transform(image=image.clone(), segmentation=label.clone())
        return made["image"], made["segmentation"]

    return sample


def of_monai(image, label, size):
    both = ("image", "label")
    transform = monai.Compose([
        monai.RandAffined(both, prob=0.36, spatial_size=size, rotate_range=(TURN,) * 3, scale_range=(0.3,) * 3,
                          mode=("bilinear", "nearest"), padding_mode="zeros", cache_grid=True),
        monai.CenterSpatialCropd(both, size),
        monai.RandGaussianNoised("image", prob=0.1, std=0.3),
        monai.RandGaussianSmoothd("image", (0.5, 1), (0.5, 1), (0.5, 1), prob=0.1),
        monai.RandScaleIntensityd("image", 0.25, prob=0.15),
        monai.RandScaleIntensityFixedMeand("image", factors=0.25, prob=0.15, preserve_range=True),
        monai.RandSimulateLowResolutiond("image", prob=0.125, zoom_range=(0.5, 1)),
        monai.RandAdjustContrastd("image", prob=0.1, gamma=(0.7, 1.5), invert_image=True, retain_stats=True),
        monai.RandAdjustContrastd("image", prob=0.3, gamma=(0.7, 1.5), retain_stats=True),
        *(monai.RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in range(3)),
    ])  # fmt: skip
    image, label = (torch.from_numpy(array) for array in larger_patch(image, label, size))

    def sample(number):
        made = transform({"image": image.clone(), "label": label.clone()})
        return made["image"], made["label"]

    return sample


def of_torchio(image, label, size):
    transform = torchio.Compose([
        torchio.RandomAffine(p=0.36, scales=(0.7, 1.4), degrees=30, isotropic=True),
        torchio.CropOrPad(size),
        torchio.RandomNoise(p=0.1, std=(0, 0.3)),
        torchio.RandomBlur(p=0.1, std=(0.5, 1)),
        torchio.RandomGamma(p=0.4, log_gamma=(-0.36, 0.4)),
        torchio.RandomAnisotropy(p=0.125, downsampling=(1, 2)),
        torchio.RandomFlip(axes=(0, 1, 2), flip_probability=0.5),
    ])  # fmt: skip
    image, label = (torch.from_numpy(array) for array in larger_patch(image, label, size))

    def sample(number):
        subject = torchio.Subject(image=torchio.ScalarImage(tensor=image), label=torchio.LabelMap(tensor=label))
        made = transform(subject)
        return made["image"].data, made["label"].data

    return sample


def main(samples: int = 100, edges: str = "64,96,128") -> None:
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    table = Table("patch", "segbench, ms", "batchgeneratorsv2", "ratio", "MONAI", "ratio", "TorchIO", "ratio")
    for edge in map(int, edges.split(",")):
        size = (edge,) * 3
        makers = [make(*volume(edge), size) for make in (segbench, batchgenerators, of_monai, of_torchio)]
        np.random.seed(0)
        torch.manual_seed(0)
        seconds = np.zeros(len(makers))
        for number in range(-3, samples):
            for which, sample in enumerate(makers):
                start = time.process_time()
                image, label = sample(number + 3)
                took = time.process_time() - start
                assert image.shape[1:] == size == label.shape[-3:]
                seconds[which] += took if number >= 0 else 0
        times = 1e3 * seconds / samples
        others = [text for one in times[1:] for text in (f"{one:.1f}", f"{one / times[0]:.2f}")]
        table.add_row(f"{edge}^3", f"{times[0]:.1f}", *others)
    Console(width=120).print(table)


if __name__ == "__main__":
    main(*(kind(text) for kind, text in zip((int, str), sys.argv[1:], strict=False)))
