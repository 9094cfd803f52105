"""Any folder of images and masks: its layouts, its mappings, and what is said about bad input."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from segbench.config import schema
from segbench.data.case import Dataset, check_case
from segbench.data.formats import count_channels
from segbench.data.store import CaseStore
from segbench.errors import UserError
from tests.made_runs import configure

SIZE = (12, 16)


def folder(root: Path, **settings: object) -> Dataset:
    """The data set as conf/data/folder.yaml says, with some settings changed."""
    config = configure("data=folder", f"data.root={root}", command="prepare")
    dataset: Dataset = schema.build(config.data.dataset, "data.dataset", **settings)
    return dataset


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels)
    else:
        Image.fromarray(pixels).save(path)


def write_pair(root: Path, name: str, high: int = 255, channels: int = 3, mask_name: str | None = None) -> None:
    rng = np.random.default_rng(len(name))
    image = rng.integers(0, 255, (*SIZE, channels)).astype(np.uint8)
    write(root / "images" / name, image.squeeze(-1) if channels == 1 else image)
    write(root / "masks" / (mask_name or Path(name).with_suffix(".png")), high * mask())


def mask() -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[2:5, 3:9] = 1
    return mask


def test_images_and_masks(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.tif", "c.BMP", "patient1/d.png"):
        write_pair(tmp_path, name)
    dataset = folder(tmp_path)
    records = dataset.records()
    assert [record.id for record in records] == ["a", "b", "c", "patient1_d"]
    assert len({record.group for record in records}) == 4
    assert {record.part for record in records} == {None}
    assert dataset.channels == 3
    for record in records:
        case = dataset.load(record)
        check_case(case, record, dataset)
        np.testing.assert_array_equal(case.label, mask())
        assert case.spacing == (1.0, 1.0)


def test_one_folder_per_part(tmp_path: Path) -> None:
    for part in ("train", "test", "val"):
        write_pair(tmp_path / part, "001.png")
    parts = {record.id: record.part for record in folder(tmp_path).records()}
    assert parts == {"train_001": "train", "val_001": "validation", "test_001": "test"}


def test_names_groups_and_suffixes(tmp_path: Path) -> None:
    for name in ("ann_1", "ann_2", "bob_1"):
        write_pair(tmp_path, f"{name}_img.png", mask_name=f"{name}_seg.png")
    dataset = folder(tmp_path, image_suffix="_img", mask_suffix="_seg", group_pattern="^([a-z]+)_")
    assert [(record.id, record.group) for record in dataset.records()] == [
        ("ann_1", "ann"),
        ("ann_2", "ann"),
        ("bob_1", "bob"),
    ]
    with pytest.raises(UserError, match=r"group_pattern 'x\+' does not match the image 'ann_1'"):
        folder(tmp_path, image_suffix="_img", mask_suffix="_seg", group_pattern="x+").records()
    with pytest.raises(UserError, match=r"group_pattern '\(' is no regular expression"):
        folder(tmp_path, group_pattern="(")


@pytest.mark.parametrize(
    ("high", "settings"),
    [(1, {}), (255, {}), (7, {"values": [0, 7]}), (7, {"values": [[0, 3], [7, 9]]})],
)
def test_mask_values(tmp_path: Path, high: int, settings: dict[str, object]) -> None:
    write_pair(tmp_path, "a.png", high=high)
    dataset = folder(tmp_path, **settings)
    np.testing.assert_array_equal(dataset.load(dataset.records()[0]).label, mask())


def test_black_and_white_is_not_guessed_where_255_is_ignored(tmp_path: Path) -> None:
    write_pair(tmp_path, "a.png", high=255)
    dataset = folder(tmp_path, ignore=[255])
    np.testing.assert_array_equal(dataset.load(dataset.records()[0]).label, 255 * mask())


def test_colour_masks(tmp_path: Path) -> None:
    write_pair(tmp_path, "a.png")
    colours = np.array([[0, 0, 0], [0, 128, 255]], np.uint8)
    write(tmp_path / "masks" / "a.png", colours[mask()])
    dataset = folder(tmp_path, values=["#000000", "#0080ff"])
    np.testing.assert_array_equal(dataset.load(dataset.records()[0]).label, mask())


def test_masks_of_instances(tmp_path: Path) -> None:
    write_pair(tmp_path, "a.png")
    objects = mask().astype(np.uint16) * 300
    objects[8, 8] = 70
    (tmp_path / "masks" / "a.png").unlink()
    write(tmp_path / "masks" / "a.tif", objects)
    dataset = folder(tmp_path, masks_are="instances")
    assert dataset.has_instances
    case = dataset.load(dataset.records()[0])
    np.testing.assert_array_equal(case.instances, objects)
    np.testing.assert_array_equal(case.label, objects > 0)
    with pytest.raises(UserError, match="masks_are is instances: this needs two classes"):
        folder(tmp_path, masks_are="instances", classes=["a", "b", "c"])
    with pytest.raises(UserError, match=r"masks_are is 'objects': expected"):
        folder(tmp_path, masks_are="objects")


def test_folder_of_instances_beside_the_masks(tmp_path: Path) -> None:
    write_pair(tmp_path, "a.png")
    write(tmp_path / "instances" / "a.png", 3 * mask())
    dataset = folder(tmp_path, instances="instances")
    case = dataset.load(dataset.records()[0])
    np.testing.assert_array_equal(case.instances, 3 * mask())
    np.testing.assert_array_equal(case.label, mask())


def test_volumes(tmp_path: Path) -> None:
    write(tmp_path / "images" / "a.tif", np.random.default_rng(0).normal(size=(5, *SIZE)).astype(np.float32))
    write(tmp_path / "masks" / "a.tif", np.stack([mask()] * 5))
    dataset = folder(tmp_path, spatial_dims=3, spacing=[3.0, 0.5, 0.5])
    record = dataset.records()[0]
    case = dataset.load(record)
    check_case(case, record, dataset)
    assert case.image.shape == (1, 5, *SIZE)
    assert case.spacing == (3.0, 0.5, 0.5)
    with pytest.raises(UserError, match=r"a\.tif is 5 x 12 x 16: data\.dataset\.spatial_dims is 2"):
        folder(tmp_path).load(record)
    with pytest.raises(UserError, match=r"spacing has 2 numbers: 3 are expected"):
        folder(tmp_path, spatial_dims=3, spacing=[1.0, 1.0])


@pytest.mark.parametrize("extension", [".png", ".tif"])
@pytest.mark.parametrize("colours", ["a", "b", "c"])
def test_grey_images_among_colour_images_get_three_channels(tmp_path: Path, colours: str, extension: str) -> None:
    """Whichever comes first."""
    for name in "abc":
        write_pair(tmp_path, f"{name}{extension}", channels=3 if name == colours else 1)
    dataset = folder(tmp_path)
    assert dataset.channels == 3
    for record in dataset.records():
        case = dataset.load(record)
        check_case(case, record, dataset)
        assert np.array_equal(case.image[0], case.image[2]) == (record.id != colours)


def test_grey_images_alone_have_one_channel(tmp_path: Path) -> None:
    for name in ("a.png", "b.tif", "c.jpg"):
        write_pair(tmp_path, name, channels=1)
    dataset = folder(tmp_path)
    assert dataset.channels == 1
    assert dataset.load(dataset.records()[0]).image.shape == (1, *SIZE)


def test_only_as_many_headers_are_read_as_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "b.png", "c.png", "d.png"):
        write_pair(tmp_path, name, channels=1 if name == "a.png" else 3)
    opened: list[str] = []

    def count(path: Path) -> int:
        opened.append(path.name)
        return count_channels(path)

    monkeypatch.setattr("segbench.data.datasets.folder.count_channels", count)
    monkeypatch.setattr("segbench.data.datasets.folder.read_image", None)
    dataset = folder(tmp_path)
    assert [dataset.channels for _ in range(2)] == [3, 3]
    assert opened == ["a.png", "b.png"]


# Bad input: one line that names the file, and nothing in the cache.


def refusal(root: Path, cache: Path, **settings: object) -> str:
    with pytest.raises(UserError) as error:
        CaseStore(folder(root, **settings), cache)
    assert "\n" not in str(error.value)
    assert not [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return str(error.value)


def test_missing_folder(tmp_path: Path) -> None:
    message = refusal(tmp_path / "nothing", tmp_path / "cache")
    assert f"there is no {tmp_path / 'nothing'}" in message
    assert "images/NAME.* and masks/NAME.*" in message
    assert "data.root must name a folder" in message


def test_missing_masks_folder(tmp_path: Path) -> None:
    write(tmp_path / "data" / "images" / "a.png", mask())
    assert f"there is no {tmp_path / 'data' / 'masks'}" in refusal(tmp_path / "data", tmp_path / "cache")


def test_no_images(tmp_path: Path) -> None:
    (tmp_path / "data" / "other").mkdir(parents=True)
    message = refusal(tmp_path / "data", tmp_path / "cache")
    assert f"{tmp_path / 'data'} has no images" in message
    assert ".png" in message


@pytest.mark.parametrize(("removed", "lacks"), [("masks", "has no mask"), ("images", "has no image")])
def test_image_and_mask_without_each_other(tmp_path: Path, removed: str, lacks: str) -> None:
    write_pair(tmp_path / "data", "a.png")
    write_pair(tmp_path / "data", "b.png")
    (tmp_path / "data" / removed / "b.png").unlink()
    message = refusal(tmp_path / "data", tmp_path / "cache")
    assert "b.png" in message
    assert lacks in message


def test_sizes_that_differ(tmp_path: Path) -> None:
    write_pair(tmp_path / "data", "a.png")
    write(tmp_path / "data" / "masks" / "a.png", mask()[:-1])
    message = refusal(tmp_path / "data", tmp_path / "cache")
    assert "images/a.png is 12 x 16, but its mask is 11 x 16" in message


def test_channels_that_differ(tmp_path: Path) -> None:
    write_pair(tmp_path / "data", "a.png", channels=1)
    write_pair(tmp_path / "data", "b.tif")
    two = np.zeros((2, *SIZE), np.uint8)
    tifffile.imwrite(tmp_path / "data" / "images" / "b.tif", two, imagej=True, metadata={"axes": "CYX"})
    message = refusal(tmp_path / "data", tmp_path / "cache")
    assert "b.tif has 2 channels and 2 spatial dimensions; the data set data has 1 and 2" in message


def test_label_value_that_is_not_in_the_mapping(tmp_path: Path) -> None:
    write_pair(tmp_path / "data", "a.png", high=7)
    message = refusal(tmp_path / "data", tmp_path / "cache")
    assert "masks/a.png has the label value 7" in message
    assert "data.dataset.values" in message


@pytest.mark.parametrize("name", ["images/a.png", "masks/a.png"])
def test_truncated_file(tmp_path: Path, name: str) -> None:
    write_pair(tmp_path / "data", "a.png")
    file = tmp_path / "data" / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert f"{name} cannot be read" in refusal(tmp_path / "data", tmp_path / "cache")


def test_pixels_that_are_not_finite(tmp_path: Path) -> None:
    write_pair(tmp_path / "data", "a.png")
    write(tmp_path / "data" / "images" / "b.tif", np.full((*SIZE, 3), np.nan, np.float32))
    write(tmp_path / "data" / "masks" / "b.png", mask())
    assert "images/b.tif has pixels that are NaN or infinite" in refusal(tmp_path / "data", tmp_path / "cache")


def test_two_cases_with_one_id(tmp_path: Path) -> None:
    write_pair(tmp_path / "data", "a_b.png")
    write_pair(tmp_path / "data", "a/b.png")
    assert "two cases with the id a_b" in refusal(tmp_path / "data", tmp_path / "cache")
