"""`export`: a data set written for nnU-Net is read back as it was, with its folds."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segbench.commands.execution import report
from segbench.data.case import IGNORE
from segbench.data.configured import all_splits, open_dataset, split_of
from tests.data.datasets.test_volumes import save
from tests.made_runs import configure

VOLUMES = ("data=synthetic_volumes", "data.dataset.cases=5", "data.dataset.size=[12,16,20]")


def exported(tmp_path: Path, *overrides: str):
    """The data set as it was, and as nnU-Net's."""
    output = tmp_path / "nnUNet_raw" / "Dataset101_made"
    assert report("export", [*overrides, f"output={output}"]) == 0
    before, back = configure(*overrides), configure("data=nnunet_raw", f"data.root={output.parent}", "data.task=101")
    return open_dataset(before.data), open_dataset(back.data), output


def check_equal(before, back, names=str):
    for case in before.ids:
        one, two = before[case], back[names(case)]
        np.testing.assert_array_equal(one.image, two.image)
        np.testing.assert_array_equal(one.label, two.label)
        assert one.image.dtype == two.image.dtype


def test_drawn_volumes(tmp_path):
    (dataset, before), (again, back), output = exported(tmp_path, *VOLUMES)
    check_equal(before, back)
    assert again.classes == list(dataset.classes)
    assert again.channel_names == ["MR"]
    for case in before.ids:
        assert before[case].spacing == back[case].spacing
        assert before.meta(case).directions == back.meta(case).directions
    folds = json.loads((output / "splits_final.json").read_text())
    config = configure(*VOLUMES)
    for number, fold in enumerate(folds):
        split = split_of(config.split, 5, number, before)
        assert fold == {"train": sorted((*split.train, *split.validation)), "val": sorted(split.test)}
    by_file = configure(f"split.file={output / 'splits_final.json'}")
    assert [split.test for split in all_splits(by_file.split, 5, back)] == [tuple(fold["val"]) for fold in folds]


def test_images_of_one_channel(tmp_path):
    (dataset, before), (again, back), _ = exported(tmp_path, "data.dataset.cases=5", "data.dataset.size=[32,40]")
    check_equal(before, back)
    assert again.spatial_dims == 2
    assert again.classes == list(dataset.classes)


def test_colours_subfolders_and_pixels_without_a_label(tmp_path):
    root, rng = tmp_path / "data", np.random.default_rng(0)
    for name in ("a/x", "a/y", "b/x", "b/y", "b/z"):
        for folder, array in (
            ("images", rng.integers(0, 255, (24, 20, 3), np.uint8)),
            ("masks", rng.choice(np.array([0, 1, 255], np.uint8), (24, 20))),
        ):
            path = root / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)
    settings = ("data=folder", f"data.root={root}", "data.dataset.values=[0,1]", "data.dataset.ignore=[255]",
                "data.dataset.classes=[back,cell]")  # fmt: skip
    (_, before), (again, back), output = exported(tmp_path, *settings)
    check_equal(before, back, lambda case: case.replace("/", "__"))
    assert (np.asarray(back[back.ids[0]].label) == IGNORE).any()
    about = json.loads((output / "dataset.json").read_text())
    assert about["labels"] == {"background": 0, "cell": 1, "ignore": 2}
    assert about["channel_names"] == {"0": "R", "1": "G", "2": "B"}
    assert again.channels == 3


def test_the_geometry_of_nifti_files_is_kept_to_the_bit(tmp_path):
    import nibabel

    root, rng = tmp_path / "data", np.random.default_rng(0)
    for number in range(3):
        for folder, array in (("images", rng.normal(size=(2, 7, 6, 5))), ("labels", rng.integers(0, 2, (7, 6, 5)))):
            (root / folder).mkdir(parents=True, exist_ok=True)
            save(root / folder / f"case{number}.nii.gz", array.astype(np.float32 if folder == "images" else np.uint8))
    settings = ("data=nifti_folder", f"data.root={root}", "folds=3")
    output = tmp_path / "nnUNet_raw" / "Dataset007_made"
    assert report("export", [*settings, f"output={output}"]) == 0
    _, before = open_dataset(configure(*settings).data)
    _, back = open_dataset(configure("data=nnunet_raw", f"data.root={output.parent}", "data.task=7").data)
    check_equal(before, back)
    stored = nibabel.load(root / "images" / "case0.nii.gz").affine
    for path in sorted(output.glob("*Tr/*.nii.gz")):
        np.testing.assert_array_equal(nibabel.load(path).affine, stored)
    assert len(list((output / "imagesTr").iterdir())) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "output is not set"),
        (["output=made"], r"nnU-Net's data sets are called DatasetNNN_NAME, such as Dataset101_cells"),
        (["output=Dataset001_there"], "output=Dataset001_there: is there already; name a new folder"),
        (["output=Dataset002_made", "folds=50"], "folds=50: there are only 5 cases to deal"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, capfd, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Dataset001_there").mkdir()
    assert report("export", [*VOLUMES, *arguments]) == 2
    assert message in capfd.readouterr().err.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["Dataset001_there"]
