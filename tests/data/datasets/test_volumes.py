"""Data sets of volumes: what their files say, and one line for each thing that is wrong with them."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from segbench.data.datasets.msd import Msd
from segbench.data.datasets.nifti_folder import NiftiFolder
from segbench.data.datasets.nnunet_raw import NnunetRaw
from segbench.data.datasets.synthetic_volumes import SyntheticVolumes
from segbench.data.store import CaseStore
from segbench.errors import UserError

SHAPE = (4, 5, 6)  # (z, y, x)
AFFINE = np.array([[0, -0.5, 0, 3], [0.7, 0, 0, -2], [0, 0, 2, 9], [0, 0, 0, 1.0]])


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array.T, affine), path)


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 500, SHAPE).astype(np.int16)


def label(values: tuple[int, ...] = (0, 1, 2)) -> np.ndarray:
    return np.resize(np.array(values, np.uint8), SHAPE)


def folder(root: Path, **others: object) -> NiftiFolder:
    settings: dict[str, object] = {
        "name": "mine",
        "classes": ["background", "a", "b"],
        "background": 0,
        "values": None,
        "ignore": [],
        "channel_names": None,
        "images": "images",
        "labels": "labels",
        "group_pattern": None,
        "check_space": True,
    }
    return NiftiFolder(str(root), **(settings | others))  # type: ignore[arg-type]


def test_a_folder_of_volumes(tmp_path: Path) -> None:
    for case in ("p1_a", "p1_b", "p2_a"):
        save(tmp_path / "images" / f"{case}.nii.gz", image())
        save(tmp_path / "labels" / f"{case}.nii.gz", label())
    dataset = folder(tmp_path, group_pattern="^[^_]+")
    assert [(record.id, record.group) for record in dataset.records()] == [
        ("p1_a", "p1"),
        ("p1_b", "p1"),
        ("p2_a", "p2"),
    ]
    case = CaseStore(dataset, tmp_path / "cache")["p1_a"]
    np.testing.assert_array_equal(np.asarray(case.image)[0], image())
    np.testing.assert_array_equal(case.label, label())
    assert case.spacing == pytest.approx((2.0, 0.5, 0.7))
    assert case.meta.directions == "SLA"
    assert dataset.channels == 1


@pytest.mark.parametrize("fourth", [True, False], ids=["a 4th axis", "files"])
def test_several_channels(tmp_path: Path, fourth: bool) -> None:
    volumes = np.stack([image(0), image(1)])
    if fourth:
        save(tmp_path / "images" / "x.nii.gz", volumes)
    else:
        for number, volume in enumerate(volumes):
            save(tmp_path / "images" / f"x_{number:04}.nii.gz", volume)
    save(tmp_path / "labels" / "x.nii.gz", label())
    dataset = folder(tmp_path)
    assert dataset.channels == 2
    (record,) = dataset.records()
    np.testing.assert_array_equal(dataset.load(record).image, volumes)


def msd(root: Path, listed: int = 2) -> Path:
    task = root / "Task99_Mine"
    pairs = []
    for number in range(listed):
        save(task / "imagesTr" / f"c_{number}.nii.gz", np.stack([image(0), image(1)]))
        save(task / "labelsTr" / f"c_{number}.nii.gz", label().astype(np.float64))
        pairs.append({"image": f"./imagesTr/c_{number}.nii.gz", "label": f"./labelsTr/c_{number}.nii.gz"})
    about = {
        "labels": {"0": "background", "1": "liver", "2": "tumour"},
        "modality": {"0": "CT", "1": "PET"},
        "training": pairs,
        "numTraining": listed,
    }
    (task / "dataset.json").write_text(json.dumps(about))
    return task


def test_a_task_of_the_decathlon(tmp_path: Path) -> None:
    dataset = Msd(str(msd(tmp_path)), check_space=True)
    assert (dataset.name, dataset.classes, dataset.channels) == ("Task99_Mine", ["background", "liver", "tumour"], 2)
    assert dataset.channel_names == ["CT", "PET"]
    records = dataset.records()
    assert [record.id for record in records] == ["c_0", "c_1"]
    case = dataset.load(records[0])
    np.testing.assert_array_equal(case.image, np.stack([image(0), image(1)]))
    np.testing.assert_array_equal(case.label, label())


def nnunet(root: Path, labels: dict[str, object], channels: int = 2) -> Path:
    task = root / "Dataset042_Mine"
    for case in ("a", "b"):
        for channel in range(channels):
            save(task / "imagesTr" / f"{case}_{channel:04}.nii.gz", image(channel))
        save(task / "labelsTr" / f"{case}.nii.gz", label((0, 1, 2, 3, 4)))
    about = {
        "channel_names": {str(channel): f"T{channel}" for channel in range(channels)},
        "labels": labels,
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    (task / "dataset.json").write_text(json.dumps(about))
    return task


@pytest.mark.parametrize("task", [42, "42", "Dataset042_Mine"])
def test_a_data_set_of_nnunet(tmp_path: Path, task: int | str) -> None:
    nnunet(tmp_path, {"background": 0, "a": 1, "b": 2, "c": 3, "ignore": 4})
    dataset = NnunetRaw(str(tmp_path), task, check_space=True)
    assert dataset.classes == ["background", "a", "b", "c"]
    case = dataset.load(dataset.records()[0])
    np.testing.assert_array_equal(case.label, np.where(label((0, 1, 2, 3, 4)) == 4, 255, label((0, 1, 2, 3, 4))))
    np.testing.assert_array_equal(case.image, np.stack([image(0), image(1)]))


def test_regions_of_nnunet(tmp_path: Path) -> None:
    nnunet(tmp_path, {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4})
    dataset = NnunetRaw(str(tmp_path), 42, check_space=True)
    assert dataset.classes == ["background", "label_1", "label_2", "label_3"]
    assert dataset.regions == {"whole": [1, 2, 3], "core": [2, 3], "enhancing": [3]}


def test_synthetic_volumes_depend_on_seed_and_number_alone() -> None:
    first, again, other = (SyntheticVolumes(2, (16, 24, 26), (3, 1, 1), seed) for seed in (0, 0, 1))
    record = first.records()[1]
    case = first.load(record)
    np.testing.assert_array_equal(case.image, again.load(record).image)
    assert (case.image != other.load(record).image).any()
    assert case.spacing == (3.0, 1.0, 1.0)
    assert case.label is not None
    assert set(np.unique(case.label)) == {0, 1, 2, 3, 4}
    assert not case.image[0][0, 0, 0]


def larger(root: Path) -> None:
    save(root / "labels" / "x.nii.gz", np.zeros((4, 5, 7), np.uint8))


def coarser(root: Path) -> None:
    save(root / "labels" / "x.nii.gz", label(), AFFINE @ np.diag([2, 1, 1, 1]))


def turned(root: Path) -> None:
    save(root / "labels" / "x.nii.gz", label(), AFFINE @ np.diag([-1, 1, 1, 1]))


def shifted(root: Path) -> None:
    save(root / "labels" / "x.nii.gz", label(), AFFINE + np.eye(4, k=3) * 5)


def flat(root: Path) -> None:
    save(root / "images" / "x.nii.gz", image()[0])


def unknown(root: Path) -> None:
    save(root / "labels" / "x.nii.gz", label((0, 1, 2, 7)))


def fractions(root: Path) -> None:
    save(root / "labels" / "x.nii.gz", label() / 2)


def lacking(root: Path) -> None:
    (root / "labels" / "x.nii.gz").unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (larger, r"do not lie on each other: their size is 4 x 5 x 6 and 4 x 5 x 7"),
        (coarser, r"their spacing is 2 x 0.5 x 0.7 mm and 2 x 0.5 x 1.4 mm"),
        (turned, r"their direction is SLA and SLP"),
        (shifted, r"their origin is \[3.0, -2.0, 9.0\] mm and \[8.0, -2.0, 9.0\] mm"),
        (flat, r"x.nii.gz is 5 x 6: volumes are expected"),
        (unknown, r"x.nii.gz has the label value 7, which no class has"),
        (fractions, r"is a mask with values that are not whole numbers"),
        (lacking, r"x.nii.gz has no label"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    save(tmp_path / "images" / "x.nii.gz", image())
    save(tmp_path / "images" / "y.nii.gz", image())
    save(tmp_path / "labels" / "x.nii.gz", label())
    save(tmp_path / "labels" / "y.nii.gz", label())
    spoil(tmp_path)
    with pytest.raises(UserError, match=message) as error:
        CaseStore(folder(tmp_path), tmp_path / "cache")
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "cache").glob("*/*/index.json"))


def test_space_is_not_checked_where_it_is_not_asked_for(tmp_path: Path) -> None:
    save(tmp_path / "images" / "x.nii.gz", image())
    save(tmp_path / "labels" / "x.nii.gz", label(), np.eye(4))
    dataset = folder(tmp_path, check_space=False)
    assert dataset.load(dataset.records()[0]).spacing == pytest.approx((2.0, 0.5, 0.7))


def test_a_missing_channel_is_named(tmp_path: Path) -> None:
    for name in ("x_0000", "x_0001", "y_0000"):
        save(tmp_path / "images" / f"{name}.nii.gz", image())
    for name in ("x", "y"):
        save(tmp_path / "labels" / f"{name}.nii.gz", label())
    with pytest.raises(UserError, match=r"the case y has 1 channel files .*, the case x has 2: a file is missing"):
        folder(tmp_path).records()
    (tmp_path / "images" / "x_0000.nii.gz").unlink()
    with pytest.raises(UserError, match="its channel file x_0000 is missing"):
        folder(tmp_path).records()
    task = nnunet(tmp_path, {"background": 0, "a": 1, "b": 2, "c": 3, "ignore": 4})
    (task / "imagesTr" / "b_0001.nii.gz").unlink()
    with pytest.raises(UserError, match=r"there is no .*b_0001.nii.gz: the case b must have 2 channels"):
        NnunetRaw(str(tmp_path), 42, check_space=True).records()


def test_an_unknown_data_set_of_nnunet(tmp_path: Path) -> None:
    nnunet(tmp_path, {"background": 0, "a": 1})
    with pytest.raises(UserError, match=r"data.task=7: there is no such data set .* which has Dataset042_Mine"):
        NnunetRaw(str(tmp_path), 7, check_space=True).records()


def test_what_dataset_json_lists_must_be_there(tmp_path: Path) -> None:
    task = msd(tmp_path)
    (task / "labelsTr" / "c_1.nii.gz").unlink()
    with pytest.raises(UserError, match=r"there is no .*c_1.nii.gz, which .*dataset.json lists"):
        Msd(str(task), check_space=True).records()
    (task / "dataset.json").write_text("{}")
    with pytest.raises(UserError, match="has no key 'labels'"):
        _ = Msd(str(task), check_space=True).classes
