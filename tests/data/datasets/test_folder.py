"""Any folder of images and masks: its layouts, its mappings, and what is said about bad input."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageOps

from segbench.config.instantiation import build
from segbench.data.case import Dataset, check_case
from segbench.data.formats import count_channels
from segbench.data.store import CaseStore
from segbench.errors import UserError
from tests.made_runs import configure

SIZE = (12, 16)


def folder(root: Path, **settings: object) -> Dataset:
    """The data set as conf/data/folder.yaml says, with some settings changed."""
    config = configure("data=folder", f"data.root={root}", command="prepare")
    dataset: Dataset = build(config.data.dataset, "data.dataset", **settings)
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
    monkeypatch.setattr("segbench.data.datasets.folder.decode", None)
    dataset = folder(tmp_path)
    assert [dataset.channels for _ in range(2)] == [3, 3]
    assert opened == ["a.png", "b.png"]


@pytest.mark.parametrize("listed", [True, False])
def test_spacing_of_each_case_from_its_file_or_a_table(tmp_path: Path, listed: bool) -> None:
    for number, name in enumerate(("a", "b"), start=1):
        write_pair(tmp_path, f"{name}.tif", channels=1)
        image = np.zeros(SIZE, np.uint8)
        resolution = (1000 / number, 500 / number)
        tifffile.imwrite(
            tmp_path / "images" / f"{name}.tif", image, imagej=True, resolution=resolution, metadata={"unit": "mm"}
        )
    (tmp_path / "sizes.csv").write_text("case,y,x,remark\nb,0.25,0.5,\na,3,4,thick\n")
    dataset = folder(tmp_path, spacing_file="sizes.csv") if listed else folder(tmp_path)
    expected = [(3.0, 4.0), (0.25, 0.5)] if listed else [(0.002, 0.001), (0.004, 0.002)]
    store = CaseStore(dataset, tmp_path / "cache")
    assert [store[case].spacing for case in store.ids] == expected
    assert any("in mm" in remark for remark in dataset.remarks) != listed
    for given, spacing in ((("pixels"), (1.0, 1.0)), ([2, 3], (2.0, 3.0))):
        other = folder(tmp_path, spacing=given)
        assert [other.load(record).spacing for record in other.records()] == [spacing] * 2
        assert not any("in mm" in remark for remark in other.remarks)
        assert CaseStore(other, tmp_path / "cache").fingerprint != store.fingerprint
    (tmp_path / "sizes.csv").write_text("case,y,x\nb,0.25,0.5\na,3,5\n")
    again = folder(tmp_path, spacing_file="sizes.csv")
    assert CaseStore(again, tmp_path / "cache")["a"].spacing == (3.0, 5.0)  # not what the cache has


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_that_viewers_turn(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    pixels = np.random.default_rng(0).integers(0, 255, (*SIZE, 3)).astype(np.uint8)
    write_pair(tmp_path, "a.png")
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png", exif=exif)
    with Image.open(tmp_path / "images" / "a.png") as image:
        seen = np.moveaxis(np.asarray(ImageOps.exif_transpose(image)), -1, 0)
    stored = folder(tmp_path, orientation="stored")
    np.testing.assert_array_equal(stored.load(stored.records()[0]).image, np.moveaxis(pixels, -1, 0))
    shown = folder(tmp_path, orientation="shown")
    np.testing.assert_array_equal(shown.load(shown.records()[0]).image, seen)
    unsaid = folder(tmp_path)
    if orientation > 1:
        with pytest.raises(
            UserError, match=rf"images/a\.png \(EXIF orientation {orientation}\), but not .*masks/a\.png"
        ):
            unsaid.load(unsaid.records()[0])
    Image.fromarray(mask()).save(tmp_path / "masks" / "a.png", exif=exif)
    case = unsaid.load(unsaid.records()[0])  # both are turned alike
    np.testing.assert_array_equal(case.label, mask())


def test_webp_and_gif(tmp_path: Path) -> None:
    write_pair(tmp_path, "a.webp")
    (tmp_path / "masks" / "a.png").unlink()
    write(tmp_path / "masks" / "a.gif", 255 * mask())
    write(tmp_path / "images" / "notes.txt.png", mask())
    (tmp_path / "images" / "notes.txt.png").rename(tmp_path / "images" / "notes.txt")
    dataset = folder(tmp_path)
    np.testing.assert_array_equal(dataset.load(dataset.records()[0]).label, mask())
    assert any("no known format (1): notes.txt" in remark for remark in dataset.remarks)


def write_palette(path: Path, index: np.ndarray, *colours: tuple[int, int, int]) -> None:
    image = Image.fromarray(index, mode="P")
    image.putpalette(np.array(colours, np.uint8).ravel().tolist())
    image.save(path)


def test_palettes_that_agree(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_pair(tmp_path, f"{name}.png")
        write_palette(tmp_path / "masks" / f"{name}.png", mask(), (0, 0, 0), (128, 0, 0))
    dataset = folder(tmp_path)
    for record in dataset.records():
        np.testing.assert_array_equal(dataset.load(record).label, mask())


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


def write_arrays(root: Path, names: tuple[str, ...] = ("a.png", "b.png", "c.png")) -> None:
    """Images with a field of view, weights (with a suffix), another annotator's masks, and a prediction."""
    for name in names:
        write_pair(root, name, channels=1)
        field = np.zeros(SIZE, np.uint8)
        field[1:, :5] = 255
        write(root / "fov_masks" / name, field)
        write(root / "weights" / name.replace(".png", "_w.tif"), np.linspace(0, 2, 192, dtype=np.float32).reshape(SIZE))
        write(root / "masks2" / name, 255 * np.roll(mask(), 1, 0))
        write(root / "colours" / name, np.repeat(mask()[..., None], 3, -1))


ARRAYS = {
    "fov": "fov_masks",
    "weights": {"folder": "weights", "suffix": "_w"},
    "second": {"folder": "masks2", "labels": True},
    "colours": "colours",
}


def test_arrays_and_field_of_view(tmp_path: Path) -> None:
    write_arrays(tmp_path)
    plain, dataset = folder(tmp_path), folder(tmp_path, arrays=ARRAYS, field_of_view="fov")
    forms = {name: (spec.channels, spec.classes) for name, spec in dataset.arrays.items()}
    assert forms == {"fov": (None, None), "weights": (None, None), "second": (None, 2), "colours": (3, None)}
    for record in dataset.records():
        case = dataset.load(record)
        check_case(case, record, dataset)
        assert case.label is not None
        outside = case.arrays["fov"] == 0
        assert (case.label[outside] == 255).all()
        np.testing.assert_array_equal(case.label[~outside], mask()[~outside])
        np.testing.assert_array_equal(case.arrays["second"], np.roll(mask(), 1, 0))
        assert case.arrays["weights"].dtype == np.float32
        assert case.arrays["weights"][-1, -1] == 2
        np.testing.assert_array_equal(case.arrays["colours"][1], mask())
    stores = [CaseStore(one, tmp_path / "cache") for one in (plain, dataset, folder(tmp_path, arrays=ARRAYS))]
    assert len({store.fingerprint for store in stores}) == 3
    assert [store.meta("a").ignored > 0 for store in stores] == [False, True, False]


def test_arrays_that_are_missing_or_misnamed(tmp_path: Path) -> None:
    write_arrays(tmp_path)
    with pytest.raises(UserError, match=r"field_of_view=field: is none of data.dataset.arrays \(fov\)"):
        folder(tmp_path, arrays={"fov": "fov_masks"}, field_of_view="field")
    with pytest.raises(UserError, match=r"data.dataset.arrays: each must be a folder, .* 'file'"):
        folder(tmp_path, arrays={"fov": {"file": "fov_masks"}})
    with pytest.raises(UserError, match=r"data.dataset.arrays: 'a/b' is no name"):
        folder(tmp_path, arrays={"a/b": "fov_masks"})
    (tmp_path / "fov_masks" / "b.png").unlink()
    with pytest.raises(UserError, match=r"b.png has no array fov"):
        folder(tmp_path, arrays={"fov": "fov_masks"}).records()
    with pytest.raises(UserError, match=r"there is no .*nothing"):
        folder(tmp_path, arrays={"fov": "nothing"}).records()


BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (255, 0, 0)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ((BLACK, RED), (RED, BLACK), "has #ff0000 where that of"),
        ((BLACK, WHITE), (WHITE, BLACK), "has a palette in which 0 is white and 1 is black"),
    ],
)
def test_palettes_that_differ(tmp_path: Path, first: tuple[object], second: tuple[object], message: str) -> None:
    for name, colours in (("a", first), ("b", second)):
        write_pair(tmp_path / "data", f"{name}.png")
        index = mask() if name == "a" else 1 - mask()
        write_palette(tmp_path / "data" / "masks" / f"{name}.png", index, *colours)
    refused = refusal(tmp_path / "data", tmp_path / "cache")
    assert message in refused or "has #000000 where that of" in refused  # whichever is read first
    assert "as data.dataset.values" in refused
    values = ["#000000", "#ff0000" if RED in first else "#ffffff"]
    dataset = folder(tmp_path / "data", values=values)  # the way out
    for record in dataset.records():
        np.testing.assert_array_equal(dataset.load(record).label, mask())


def test_mask_of_a_format_that_changes_values(tmp_path: Path) -> None:
    write_pair(tmp_path / "data", "a.png")
    (tmp_path / "data" / "masks" / "a.png").unlink()
    write(tmp_path / "data" / "masks" / "a.jpg", 255 * mask())
    message = refusal(tmp_path / "data", tmp_path / "cache")
    assert "masks/a.jpg has the label values" in message
    assert "the format changes pixel values, as JPEG does; masks must be PNG or TIFF" in message
    assert "the format changes" in refusal(tmp_path / "data", tmp_path / "cache", masks_are="instances")


def test_all_values_without_a_class_at_once(tmp_path: Path) -> None:
    write_pair(tmp_path / "data", "a.png")
    write(tmp_path / "data" / "masks" / "a.png", np.arange(12 * 16, dtype=np.uint8).reshape(SIZE))
    message = refusal(tmp_path / "data", tmp_path / "cache")
    assert "has the label values 2, 3, 4, 5, 6, 7, 8, 9 and 182 more, which no class has" in message
    assert "in 190 of 192 pixels" in message


def test_suffixes_are_named_where_a_partner_lacks(tmp_path: Path) -> None:
    write_pair(tmp_path / "data", "b_img.png", mask_name="a_seg.png")
    message = refusal(tmp_path / "data", tmp_path / "cache", image_suffix="_img", mask_suffix="_seg")
    assert "b_img.png has no mask: a file named b_seg.* is expected" in message


def test_known_and_unknown_spacings(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_pair(tmp_path / "data", f"{name}.tif", channels=1)
    options = {"resolution": (1e4, 1e4), "metadata": {"unit": "cm"}}
    tifffile.imwrite(tmp_path / "data" / "images" / "b.tif", np.zeros(SIZE, np.uint8), imagej=True, **options)
    message = refusal(tmp_path / "data", tmp_path / "cache")
    assert "images/b.tif says how large its pixels are" in message
    assert "images/a.tif does not" in message
    assert "data.dataset.spacing=pixels" in message


@pytest.mark.parametrize(
    ("spacing", "message"),
    [
        ([0, 0], "spacing: 0 is no size of a pixel"),
        ([0.5, -1.0], "spacing: -1.0 is no size"),
        ([0.5, "x"], "spacing: 'x' is no size"),
        ([float("nan"), 1.0], "spacing: nan is no size"),
        (0.5, r"spacing=0.5: 2 numbers are expected, such as \[0.5, 0.5\]"),
        ("mm", "spacing=mm: 2 numbers are expected"),
    ],
)
def test_spacing_that_is_none(tmp_path: Path, spacing: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        folder(tmp_path, spacing=spacing)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "spacing_file=.*sizes.csv: cannot be read: No such file"),
        ("", "has no column case"),
        ("case,x\na,1\n", "has no column y: expected are case, y, x"),
        ("case,y,x\na,1,0\n", "sizes.csv, a, x: '0' is no size"),
        ("case,y,x\na,1\n", "sizes.csv, a, x: None is no size"),
        ("case,y,x\nb,1,1\n", "sizes.csv has no row for the case a"),
    ],
)
def test_tables_of_spacing_that_are_wrong(tmp_path: Path, content: str | None, message: str) -> None:
    write_pair(tmp_path / "data", "a.png")
    if content is not None:
        (tmp_path / "data" / "sizes.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        CaseStore(folder(tmp_path / "data", spacing_file="sizes.csv"), tmp_path / "cache")
    with pytest.raises(UserError, match="give one of the two"):
        folder(tmp_path / "data", spacing_file="sizes.csv", spacing=[1.0, 1.0])
