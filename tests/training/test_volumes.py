"""Volumes from the command's configuration to scores, pictures and masks that lie on their images."""

from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from segbench.commands.predict import predict
from segbench.data.datamodule import WholeCases
from segbench.errors import UserError
from segbench.evaluation.volume_previews import error_middle
from segbench.runs.directory import RunDirectory
from segbench.training.assembly import Labels, build_data, build_module
from tests.made_runs import configure, execute

TINY = (
    "data=synthetic_volumes",
    "data.dataset.cases=6",
    "data.dataset.size=[12,20,22]",
    "data.patch_size=[8,16,16]",
    "data.workers=0",
    "model.channels=[4,8]",
    "trainer=debug",
    "trainer.progress=false",
    "trainer.precision=32-true",
    "logger=csv",
)
OBLIQUE = np.array([[-0.7, 0.2, 0.4, 12.3], [0.15, 0.88, -0.2, -7.7], [0.2, 0.25, 2.9, 101.0], [0, 0, 0, 1]])


class Bright(torch.nn.Module):
    """A network that finds the organ where it is brighter than on average: known without training."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        value = image.mean(dim=1, keepdim=True)
        return {"mask": torch.cat([-value, value, *[torch.full_like(value, -9.0)] * 3], dim=1)}


@pytest.mark.parametrize("spacing", ["null", "[2,1.3,1]"])
def test_scores_are_of_the_cases_as_they_are(spacing: str) -> None:
    config = configure(*TINY, f"data.spacing={spacing}", "inference=whole")
    data = build_data(config)
    module = build_module(config, Labels.of(data.dataset, data.store))
    module.model = Bright()
    cases = WholeCases(data.store, data.split.test, data.sampler.network_input, data.seen)
    for case in cases:  # type: ignore[attr-defined]
        assert case["label"].shape == (12, 20, 22)
        module.test_step(case, 0)
        rows = {(row["class"], row["metric"]): row for row in module.rows}
        image = np.asarray(data.store[case["case_id"]].image)[0].astype(float)
        inside = tuple(slice(*edge) for edge in data.store.meta(case["case_id"]).nonzero or ())
        part = image[inside]
        found = np.zeros(image.shape, bool)
        found[inside] = part > part.mean()
        true = case["label"] == 1
        expected = 2 * (true & found).sum() / (true.sum() + found.sum())
        row = rows["organ", "dice"]
        assert row["n_ref"] == true.sum()
        assert row["value"] == pytest.approx(expected, abs=1e-6 if spacing == "null" else 0.05)
        assert rows["organ", "hd95"]["value"] <= np.linalg.norm(np.multiply((12, 20, 22), (3, 1, 1)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return execute(tmp_path_factory.mktemp("run") / "r", *TINY, "data.spacing=[2.5,1.2,1]", tiny=False)


def test_a_run_ends_with_scores_and_three_slices(finished: RunDirectory) -> None:
    assert (finished.path / "previews" / "montage.png").exists()
    rows = pd.read_csv(finished.cases)
    assert set(rows["class"]) == {"organ", "anterior", "posterior", "vessel"}
    assert {"dice", "hd95", "assd", "nsd"} <= set(rows["metric"])
    with Image.open(finished.path / "previews" / "worst.png") as picture:
        assert picture.height > picture.width / 2


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii"])
def test_predicted_masks_lie_on_their_images(finished: RunDirectory, tmp_path: Path, suffix: str) -> None:
    volume = np.random.default_rng(0).integers(1, 500, (9, 21, 17)).astype(np.int16)
    (tmp_path / "in").mkdir()
    nibabel.save(nibabel.Nifti1Image(volume.T, OBLIQUE), tmp_path / "in" / f"a{suffix}")
    config = configure(
        f"run={finished.path}", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}", "probabilities=true",
        "accelerator=cpu", command="predict",
    )  # fmt: skip
    predict(config)
    image, mask = (nibabel.load(tmp_path / folder / f"a{suffix}") for folder in ("in", "out"))
    assert mask.affine.tobytes() == image.affine.tobytes()
    assert mask.shape == image.shape
    shares = np.stack(
        [
            np.asarray(nibabel.load(tmp_path / "out" / "probabilities" / name / f"a{suffix}").dataobj)
            for name in ("background", "organ", "anterior", "posterior", "vessel")
        ]
    )
    np.testing.assert_allclose(shares.sum(axis=0), 1, atol=1e-5)
    sure = np.sort(shares, axis=0)[-1] - np.sort(shares, axis=0)[-2] > 1e-4
    np.testing.assert_array_equal(shares.argmax(axis=0)[sure], np.asarray(mask.dataobj)[sure])


def test_regions_of_volumes(tmp_path: Path) -> None:
    run = execute(tmp_path / "r", *TINY, "task=regions", "predictions=true", tiny=False)
    assert set(pd.read_csv(run.cases)["class"]) == {"whole", "nuclei", "front"}
    assert (run.path / "previews" / "best.png").exists()


def test_ct_goes_by_the_training_cases(tmp_path: Path) -> None:
    config = configure(*TINY, "data.normalize=ct")
    data = build_data(config)
    facts = config.measured.foreground[0]
    inside = np.concatenate(
        [np.asarray(data.store[case].image)[0][np.asarray(data.store[case].label) > 0] for case in data.split.train]
    )
    assert facts.mean == pytest.approx(inside.mean(), rel=0.02)
    assert OmegaConf.to_object(config.measured.normalize) == ["ct"]


def test_what_is_for_volumes_is_refused_for_images() -> None:
    with pytest.raises(UserError, match="ct: is for volumes"):
        build_data(configure("data.dataset.cases=10", "data.dataset.size=[96,96]", "data.normalize=ct"))


def test_the_middle_of_the_largest_error() -> None:
    wrong = np.zeros((9, 9, 9), bool)
    wrong[1, 1, 1] = True
    wrong[3:8, 5, 2:4] = True
    assert error_middle(wrong, wrong) in [(5, 5, 2), (5, 5, 3)]
    assert error_middle(np.zeros_like(wrong), wrong)[0] == 5
    assert error_middle(np.zeros_like(wrong), np.zeros_like(wrong)) == (4, 4, 4)


SLICED = (*(value for value in TINY if "patch_size" not in value), "data.patch_size=[16,16]")


@pytest.mark.parametrize("neighbours", [0, 1])
@pytest.mark.parametrize("direction", ["axial", "sagittal"])
def test_a_2d_network_sees_slices_and_is_scored_on_volumes(tmp_path: Path, direction: str, neighbours: int) -> None:
    config = configure(*SLICED, f"data.slices={direction}", f"data.neighbours={neighbours}", "inference=whole")
    data = build_data(config)
    assert config.measured.spatial_dims == 2
    assert config.measured.in_channels == 1 + 2 * neighbours
    sample = data.sampler[0]
    assert sample["image"].shape == (1 + 2 * neighbours, 16, 16)
    assert sample["mask"].shape == (16, 16)
    module = build_module(config, Labels.of(data.dataset, data.store))
    module.model = Middle()
    cases = WholeCases(data.store, data.split.test, data.sampler.network_input, data.seen)
    for case in cases:  # type: ignore[attr-defined]
        volume = case["image"][0, 0]
        label = module.segment(case["image"], case["geometry"]).label
        inside = tuple(slice(*edge) for edge in data.store.meta(case["case_id"]).nonzero or ())
        np.testing.assert_array_equal(label[inside], volume.numpy() > 0)


class Middle(torch.nn.Module):
    """A network that finds what is bright in the middle one of its slices."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        middle = image.shape[1] // 2
        value = image[:, middle : middle + 1]
        return {"mask": torch.cat([-value, value, *[torch.full_like(value, -9.0)] * 3], dim=1)}


def test_slices_are_those_of_the_volume() -> None:
    config = configure(*SLICED, "data.slices=coronal", "data.neighbours=1", "augmentation=none", "data.crop=false")
    data = build_data(config)
    volume = data.store[data.store.ids[0]]
    sliced, place = data.sampler.slices.cut(volume, np.array([3, 19, 4]))  # type: ignore[union-attr]
    image = np.asarray(volume.image)[0]
    np.testing.assert_array_equal(sliced.image, image[:, [18, 19, 19]].transpose(1, 0, 2))
    np.testing.assert_array_equal(sliced.label, np.asarray(volume.label)[:, 19])
    assert place.tolist() == [3, 4]
    assert sliced.spacing == (3.0, 1.0)


def test_a_run_on_slices_predicts_volumes(tmp_path: Path) -> None:
    run = execute(tmp_path / "r", *SLICED, "data.slices=axial", "data.neighbours=1", tiny=False)
    (tmp_path / "in").mkdir()
    volume = np.random.default_rng(0).integers(1, 500, (9, 21, 17)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(volume.T, OBLIQUE), tmp_path / "in" / "a.nii.gz")
    predict(configure(
        f"run={run.path}", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}", "accelerator=cpu",
        command="predict",
    ))  # fmt: skip
    assert nibabel.load(tmp_path / "out" / "a.nii.gz").shape == (17, 21, 9)
