"""Small files in the layout of the real data sets."""

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image


def make(name: str, root: Path) -> Path | None:
    """The folder of a made data set, or None for one that is drawn by code."""
    maker = MAKERS.get(name)
    if maker is None:
        return None
    root.mkdir(parents=True)
    maker(root)
    return root


def _disks(rng: np.random.Generator, size: int, count: int) -> list[np.ndarray]:
    rows, columns = np.mgrid[:size, :size]
    centres = rng.uniform(10, size - 10, (count, 2))
    return [(rows - y) ** 2 + (columns - x) ** 2 < 36 for y, x in centres]


def _isbi2012(root: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.full((30, 48, 48), 255, np.uint8)
    labels[:, ::8] = 0
    images = np.clip(labels * 0.5 + rng.normal(60, 20, labels.shape), 0, 255).astype(np.uint8)
    tifffile.imwrite(root / "train-volume.tif", images, photometric="minisblack")
    tifffile.imwrite(root / "train-labels.tif", labels, photometric="minisblack")


def _dsb2018(root: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(10):
        folder = root / "stage1_train" / f"{number:04x}"
        (folder / "images").mkdir(parents=True)
        (folder / "masks").mkdir()
        nuclei = _disks(rng, 48, 4)
        grey = np.clip(sum(nuclei) * 120 + rng.normal(40, 10, (48, 48)), 0, 255).astype(np.uint8)
        alpha = np.full_like(grey, 255)
        Image.fromarray(np.stack([grey, grey, grey, alpha], -1)).save(folder / "images" / f"{folder.name}.png")
        for index, nucleus in enumerate(nuclei):
            Image.fromarray(nucleus.astype(np.uint8) * 255).save(folder / "masks" / f"{index}.png")


def _wbc(root: Path) -> None:
    rng = np.random.default_rng(0)
    folder = root / "Dataset 1"
    folder.mkdir()
    for number in range(1, 11):
        cell, nucleus = _disks(rng, 40, 2)
        label = np.where(nucleus, 255, np.where(cell, 128, 0)).astype(np.uint8)
        image = np.clip(label[..., None] * 0.5 + rng.normal(60, 10, (40, 40, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / f"{number:03d}.bmp")
        Image.fromarray(label).save(folder / f"{number:03d}.png")


def folder(root: Path, cases: int = 8, size: tuple[int, int] = (40, 44), channels: int = 1) -> None:
    """images/ and masks/ with values 0 and 255."""
    rng = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for number in range(cases):
        mask = np.zeros(size, np.uint8)
        top, left = rng.integers(4, 20, 2)
        mask[top : top + 14, left : left + 14] = 255
        image = np.clip(mask[..., None] * 0.5 + rng.normal(60, 15, (*size, channels)), 0, 255).astype(np.uint8)
        Image.fromarray(image[..., 0] if channels == 1 else image).save(root / "images" / f"case{number}.png")
        Image.fromarray(mask).save(root / "masks" / f"case{number}.png")


MAKERS = {"isbi2012": _isbi2012, "dsb2018": _dsb2018, "wbc": _wbc}
