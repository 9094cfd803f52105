"""Every preset of albumentations, and a saved pipeline, train a few steps on drawn cells of several types."""

from pathlib import Path

import albumentations as A
import numpy as np
import pytest
import tifffile

from segbench.data.datasets.synthetic_cells import SyntheticCells
from tests.made_runs import TINY, execute

PRESETS = {"light": 1, "standard": 1, "heavy": 1, "histology": 3}
"""The least number of channels of each."""


def draw(root: Path, dtype: str, channels: int) -> list[str]:
    """Write a folder of drawn cells, and return the overrides that name it."""
    cells = SyntheticCells(8, [64, 64], 0)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for record in cells.records():
        case = cells.load(record)
        image = np.repeat(case.image, channels, axis=0).astype(dtype) * np.array(257 if dtype == "uint16" else 1, dtype)
        tifffile.imwrite(
            root / "images" / f"{case.id}.tif",
            np.moveaxis(image, 0, -1).squeeze(),
            photometric="rgb" if channels == 3 else "minisblack",
        )
        tifffile.imwrite(root / "masks" / f"{case.id}.tif", (case.label > 0).astype(np.uint8))
    return ["data=folder", f"data.root={root}"]


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 1), ("uint16", 1), ("uint8", 3)])
@pytest.mark.parametrize("preset", PRESETS)
def test_presets_train(tmp_path: Path, preset: str, dtype: str, channels: int) -> None:
    if channels < PRESETS[preset]:
        pytest.skip("needs RGB")
    tiny = [one for one in TINY if not one.startswith("data.dataset")]
    overrides = [f"augmentation=albumentations_{preset}", "trainer.max_steps=3", "trainer.validate_every=3"]
    data = draw(tmp_path / "data", dtype, channels)
    assert execute(tmp_path / "run", *data, *tiny, *overrides, tiny=False).finished


def test_a_saved_pipeline_trains(tmp_path: Path) -> None:
    A.save(A.Compose([A.D4(), A.Affine(scale=(0.8, 1.2))]), tmp_path / "pipeline.json")
    overrides = ["augmentation=albumentations_file", f"augmentation.file={tmp_path / 'pipeline.json'}"]
    run = execute(tmp_path / "run", *overrides, "trainer.max_steps=2", "trainer.validate_every=2")
    assert run.finished
    assert "D4" in (run.path / "config.yaml").read_text()
