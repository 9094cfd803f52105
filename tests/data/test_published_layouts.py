"""Data sets that are not on this machine: small files in their layout, and bad copies of these."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage
from skimage import io as skimage_io

from segbench import schema
from segbench.data.case import IGNORE, Case, Dataset, Record, check_case
from segbench.data.splits import make_split
from segbench.data.store import CaseStore
from segbench.errors import UserError
from segbench.prepare import prepare
from tests import data_layouts
from tests.data_layouts import MAKERS, box, imagescope
from tests.runs import configure

Read = Callable[..., Dataset]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Gives the configured data set of files made on the spot (or of what is there, with made=False)."""

    def make(name: str, *overrides: str, made: bool = True) -> Dataset:
        if made:
            MAKERS[name](tmp_path / name)
        config = configure(f"data={name}", f"data.root={tmp_path / name}", *overrides, command="prepare")
        dataset = schema.build(config.data.dataset, "data.dataset")
        assert isinstance(dataset, Dataset)
        return dataset

    return make


def parts(dataset: Dataset) -> Counter[str | None]:
    return Counter(record.part for record in dataset.records())


def cases(dataset: Dataset) -> dict[str, tuple[Record, Case]]:
    result = {}
    for record in dataset.records():
        case = dataset.load(record)
        check_case(case, record, dataset)
        result[record.id] = record, case
    return result


@pytest.mark.parametrize("name", MAKERS)
def test_every_data_set_can_be_trained_on(read: Read, name: str, tmp_path: Path) -> None:
    dataset = read(name)
    store = CaseStore(dataset, tmp_path / "cache")
    assert all(sum(store.meta(case).pixels) for case in store.ids)
    for case in store.ids:
        stored = store[case]
        assert stored.label.shape == stored.image.shape[1:]
        if dataset.has_instances:
            assert stored.instances is not None
            np.testing.assert_array_equal(stored.instances > 0, stored.label == 1)
    present = {case: store.meta(case).present for case in store.ids}
    folds = 3 if name in ("drive", "cell_tracking") else 5
    if name != "epfl_mitochondria":  # its two made stacks have one block each
        split = make_split(dataset.records(), present, folds=folds, fold=0, seed=0)
        assert min(map(len, (split.train, split.validation, split.test))) > 0


@pytest.mark.parametrize("name", MAKERS)
def test_prepare(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configure(f"data={name}", f"data.root={tmp_path / name}", f"data.cache={tmp_path}", command="prepare")
    with pytest.raises(UserError, match=r"there is no .*; data\.root must name a folder with .* from http") as error:
        prepare(config)
    assert "\n" not in str(error.value)
    source = type(schema.build(config.data.dataset, "data.dataset")).source
    printed = " ".join(capsys.readouterr().out.split())
    for text in (source.address, source.licence, source.citation, source.layout):
        assert " ".join(text.split()[:3]) in printed
    MAKERS[name](tmp_path / name)
    prepare(config)
    printed = " ".join(capsys.readouterr().out.split())
    assert "ready" in printed
    assert ("were published" in printed) == (name != "cell_tracking")


# EPFL mitochondria


def test_epfl_slices(read: Read, tmp_path: Path) -> None:
    dataset = read("epfl_mitochondria", "data.dataset.block_size=5")
    records = dataset.records()
    assert parts(dataset) == {"train": 12, "test": 12}
    groups = [record.group for record in records[:12]]
    blocks = [("training_000_to_004", 5), ("training_005_to_009", 5), ("training_010_to_011", 2)]
    assert groups == [name for name, count in blocks for _ in range(count)]
    for stack, record in (("training", records[7]), ("testing", records[12 + 7])):
        case = dataset.load(record)
        image, truth = (skimage_io.imread(tmp_path / "epfl_mitochondria" / f"{stack}{end}.tif")[7] for end in ENDS)
        np.testing.assert_array_equal(case.image[0], image)
        np.testing.assert_array_equal(case.label, truth == 255)
        assert case.spacing == (1.0, 1.0)


ENDS = ("", "_groundtruth")


def test_epfl_volumes_and_spacing(read: Read, tmp_path: Path) -> None:
    settings = ("data.dataset.spatial_dims=3", "data.dataset.block_size=5", "data.dataset.spacing=5e-6")
    dataset = read("epfl_mitochondria", *settings)
    records = dataset.records()
    assert [record.id for record in records[:3]] == [
        "training_000_to_004",
        "training_005_to_009",
        "training_010_to_011",
    ]
    case = dataset.load(records[2])
    image, truth = (skimage_io.imread(tmp_path / "epfl_mitochondria" / f"training{end}.tif")[10:] for end in ENDS)
    np.testing.assert_array_equal(case.image, image[None])
    np.testing.assert_array_equal(case.label, truth == 255)
    assert case.spacing == (5e-6, 5e-6, 5e-6)
    store = CaseStore(dataset, tmp_path / "cache")
    assert store.meta("training_010_to_011").objects == ndimage.label(truth)[1]


def test_epfl_bad_input(read: Read, tmp_path: Path) -> None:
    dataset = read("epfl_mitochondria")
    root = tmp_path / "epfl_mitochondria"
    data_layouts.write_stack(root / "testing.tif", np.zeros((11, 40, 48), np.uint8))
    with pytest.raises(UserError, match=r"testing\.tif has 11 slices, but .*testing_groundtruth\.tif has 12"):
        dataset.records()
    data_layouts.write_stack(root / "testing.tif", np.zeros((12, 40, 47), np.uint8))
    with pytest.raises(UserError, match=r"testing\.tif has slices of 40 x 47, but .*groundtruth\.tif of 40 x 48"):
        dataset.load(dataset.records()[-1])
    data_layouts.write_stack(root / "testing_groundtruth.tif", np.full((12, 40, 48), 9, np.uint8))
    data_layouts.write_stack(root / "testing.tif", np.zeros((12, 40, 48), np.uint8))
    with pytest.raises(UserError, match=r"groundtruth\.tif has the label value 9.* known are 0, 255"):
        dataset.load(dataset.records()[-1])
    (root / "testing_groundtruth.tif").unlink()
    with pytest.raises(UserError, match=r"there is no .*testing_groundtruth\.tif"):
        dataset.records()
    for setting, message in (("block_size=0", "at least 1"), ("spatial_dims=4", "2 .slices. or 3 .blocks.")):
        with pytest.raises(UserError, match=message):
            read("epfl_mitochondria", f"data.dataset.{setting}", made=False)


# GlaS


@pytest.mark.parametrize(("test", "count"), [("A", 3), ("B", 2), ("AB", 5)])
def test_glas_parts(read: Read, test: str, count: int) -> None:
    dataset = read("glas", f"data.dataset.test={test}")
    assert parts(dataset) == {"train": 11, "test": count}
    assert dataset.published == {"train": 85, "test": {"A": 60, "B": 20, "AB": 80}[test]}


def test_glas(read: Read, tmp_path: Path) -> None:
    dataset = read("glas")
    records = dataset.records()
    assert [record.id for record in records[:11]] == [f"train_{number}" for number in range(1, 12)]
    assert [record.group for record in records[:4]] == ["train_patient_0"] * 2 + ["train_patient_1"] * 2
    assert records[11].group == "test_patient_0"  # of the same patient; the challenge's parts stay
    case = dataset.load(records[9])
    image, glands = (skimage_io.imread(tmp_path / "glas" / f"train_10{end}.bmp") for end in ("", "_anno"))
    np.testing.assert_array_equal(case.image, np.moveaxis(image, -1, 0))
    np.testing.assert_array_equal(case.instances, glands)
    np.testing.assert_array_equal(case.label, glands > 0)


def test_glas_bad_input(read: Read, tmp_path: Path) -> None:
    dataset = read("glas")
    root = tmp_path / "glas"
    (root / "testB_2_anno.bmp").unlink()
    with pytest.raises(UserError, match=r"testB_2\.bmp has no map of glands: a file named testB_2_anno\.bmp"):
        dataset.records()
    assert parts(read("glas", "data.dataset.test=A", made=False)) == {"train": 11, "test": 3}
    for path in root.glob("testB*"):
        path.unlink()
    with pytest.raises(UserError, match=r"there is no .*testB_1\.bmp"):
        dataset.records()
    grades = (root / "Grade.csv").read_text()
    (root / "Grade.csv").write_text(grades.replace("train_7,", "train_77,"))
    with pytest.raises(UserError, match=r"Grade\.csv has no line for train_7:"):
        dataset.records()
    (root / "Grade.csv").write_text("image,grade\n")
    with pytest.raises(UserError, match=r"Grade\.csv has the columns image, grade: expected are name and patient ID"):
        dataset.records()
    (root / "Grade.csv").unlink()
    with pytest.raises(UserError, match=r"there is no .*Grade\.csv"):
        dataset.records()
    with pytest.raises(UserError, match=r"data\.dataset\.test is 'C': expected is one of A, B, AB"):
        read("glas", "data.dataset.test=C", made=False)


# DRIVE


def test_drive(read: Read, tmp_path: Path) -> None:
    dataset = read("drive")
    assert parts(dataset) == {"train": 3, "test": 3}
    every = cases(dataset)
    assert list(every) == ["training_21", "training_22", "training_23", "test_01", "test_02", "test_03"]
    record, case = every["test_02"]
    rows, columns = np.indices((40, 38))
    inside = (rows - 20) ** 2 + (columns - 19) ** 2 < 17**2
    expected = np.where(columns % 9 == 2, 1, 0)  # the first observer's; the second drew the opposite
    np.testing.assert_array_equal(case.label, np.where(inside, expected, IGNORE))
    np.testing.assert_array_equal(case.image, np.moveaxis(skimage_io.imread(record.files[0]), -1, 0))
    # The made GIF files have a palette the wrong way round, so that their indices would say the opposite.
    assert np.asarray(Image.open(record.files[2]))[0, 0] == 1


def test_drive_without_the_truth_of_the_test_part(read: Read, tmp_path: Path) -> None:
    dataset = read("drive")
    for path in (tmp_path / "drive" / "test" / "1st_manual").iterdir():
        path.unlink()
    (tmp_path / "drive" / "test" / "1st_manual").rmdir()
    with pytest.raises(UserError, match=r"test has no 1st_manual.* data\.dataset\.parts=\[training\]"):
        dataset.records()
    assert parts(read("drive", "data.dataset.parts=[training]", made=False)) == {None: 3}


def test_drive_bad_input(read: Read, tmp_path: Path) -> None:
    dataset = read("drive")
    part = tmp_path / "drive" / "training"
    data_layouts.write_gif(part / "mask" / "22_training_mask.gif", np.zeros((40, 37), bool))
    with pytest.raises(UserError, match=r"22_training_mask\.gif is 40 x 37, but .*22_manual1\.gif is 40 x 38"):
        cases(dataset)
    Image.fromarray(np.full((40, 38), 77, np.uint8)).save(part / "1st_manual" / "21_manual1.gif")
    with pytest.raises(UserError, match=r"21_manual1\.gif has the label value #4d4d4d"):
        cases(dataset)
    (part / "mask" / "21_training_mask.gif").unlink()
    with pytest.raises(UserError, match=r"21_training\.tif has no field of view: a file named 21_training_mask\.gif"):
        dataset.records()
    (part / "1st_manual" / "23_manual1.gif").unlink()
    with pytest.raises(UserError, match=r"23_training\.tif has no mask of vessels: a file named 23_manual1\.gif"):
        dataset.records()
    with pytest.raises(UserError, match=r"data\.dataset\.parts is \['train'\]: expected are some of training, test"):
        read("drive", "data.dataset.parts=[train]", made=False)


# Cell Tracking Challenge


def test_cell_tracking_gold(read: Read, tmp_path: Path) -> None:
    dataset = read("cell_tracking")
    assert dataset.name == "PhC-C2DH-U373"
    assert parts(dataset) == {"train": 5, "test": 5}
    every = cases(dataset)
    assert list(every)[:5] == ["01_000", "01_003", "01_004", "01_007", "01_009"]  # the frames that have a truth
    groups = [record.group for record, _ in every.values()][:5]
    assert groups == ["01_000_to_003"] * 2 + ["01_004_to_007"] * 2 + ["01_009_to_009"]
    _, case = every["02_007"]
    root = tmp_path / "cell_tracking" / "PhC-C2DH-U373"
    truth = skimage_io.imread(root / "02_GT" / "SEG" / "man_seg007.tif")
    np.testing.assert_array_equal(case.image[0], skimage_io.imread(root / "02" / "t007.tif"))
    np.testing.assert_array_equal(case.instances, truth)
    assert 300 in truth


def test_cell_tracking_silver_and_whole_sequences(read: Read) -> None:
    dataset = read("cell_tracking", "data.dataset.truth=silver", "data.dataset.block_size=null")
    assert parts(dataset) == {"train": 10, "test": 10}
    assert {record.group for record in dataset.records()} == {"01_000_to_009", "02_000_to_009"}
    one = read("cell_tracking", "data.dataset.sequences=['01']", "data.dataset.test=[]")
    assert parts(one) == {None: 5}


def test_cell_tracking_bad_input(read: Read, tmp_path: Path) -> None:
    dataset = read("cell_tracking")
    root = tmp_path / "cell_tracking" / "PhC-C2DH-U373"
    (root / "02" / "t004.tif").unlink()
    with pytest.raises(UserError, match=r"02_GT/SEG/man_seg004\.tif has no image: expected is .*02/t\*4\.tif"):
        dataset.records()
    for path in (root / "01_GT" / "SEG").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"there is no .*01_GT/SEG/man_segNNN\.tif"):
        dataset.records()
    with pytest.raises(UserError, match=r"there is no .*DIC-C2DH-HeLa/01"):
        read("cell_tracking", "data.dataset.folder=DIC-C2DH-HeLa", made=False).records()
    for setting, message in (
        ("truth=bronze", r"truth is 'bronze': expected is one of gold, silver"),
        ("test=['03']", r"test is \['03'\]: it must name some, not all"),
        ("test=['01','02']", "not all"),
        ("block_size=0", "at least 1, or null"),
    ):
        with pytest.raises(UserError, match=message):
            read("cell_tracking", f"data.dataset.{setting}", made=False)


# MoNuSeg


def test_monuseg(read: Read) -> None:
    dataset = read("monuseg")
    assert parts(dataset) == {"train": 12, "test": 2}
    every = cases(dataset)
    groups = Counter(record.group for record, _ in every.values())
    assert set(groups.values()) == {2}  # two images of each patient
    assert "TCGA-00-2018" in groups
    for _, case in every.values():
        assert case.image[:, case.label == 1].mean() > case.image[:, case.label == 0].mean() + 80
    assert parts(read("monuseg", "data.dataset.test=null", made=False)) == {None: 12}


def test_monuseg_overlaps_go_to_the_first_nucleus(read: Read, tmp_path: Path) -> None:
    dataset = read("monuseg")
    record = dataset.records()[0]
    imagescope(record.files[1], [("", box(2, 2, 8, 8)), ("", box(5, 5, 12, 12)), ("", box(3.6, 3.6, 3.9, 3.9))])
    instances = dataset.load(record).instances
    assert instances is not None
    expected = np.zeros((40, 40), int)
    expected[5:12, 5:12] = 2
    expected[2:8, 2:8] = 1
    np.testing.assert_array_equal(instances, expected)  # the third encloses no pixel's centre


def test_monuseg_negative_regions_are_holes(read: Read) -> None:
    """Before or after their nucleus, and in all nuclei that they lie in."""
    dataset = read("monuseg")
    record = dataset.records()[0]
    expected = np.zeros((40, 40), int)
    expected[2:12, 8:18] = 3
    expected[2:12, 2:12] = 1
    expected[5:9, 6:15] = 0
    regions = [("", box(2, 2, 12, 12)), ("", box(6, 5, 15, 9)), ("", box(8, 2, 18, 12))]
    imagescope(record.files[1], regions, holes=[1])
    np.testing.assert_array_equal(dataset.load(record).instances, expected)
    np.testing.assert_array_equal(dataset.load(record).label, expected > 0)


def test_monuseg_bad_input(read: Read, tmp_path: Path) -> None:
    dataset = read("monuseg")
    folder = tmp_path / "monuseg" / "MoNuSeg 2018 Training Data"
    path = sorted((folder / "Annotations").iterdir())[0]
    path.write_text("<Annotations/>")
    with pytest.raises(UserError, match=r"\.xml has no contour"):
        dataset.load(dataset.records()[0])
    path.unlink()
    with pytest.raises(UserError, match=r"DX1\.tif has no contours: a file named TCGA-.*-DX1\.xml is expected"):
        dataset.records()
    copy = sorted((folder / "Tissue Images").iterdir())[0]
    (folder / copy.name).write_bytes(copy.read_bytes())
    with pytest.raises(UserError, match="have the same name: keep one of them"):
        dataset.records()
    with pytest.raises(UserError, match=r"there is no .*monuseg/none;"):
        read("monuseg", "data.dataset.train=none", made=False).records()


# BACH


@pytest.mark.parametrize("downsample", [4, 8, 10])
def test_bach(read: Read, tmp_path: Path, downsample: int) -> None:
    dataset = read("bach", f"data.dataset.downsample={downsample}")
    every = cases(dataset)
    assert list(every) == ["A01", "A02", "A03", "A04", "A05"]  # the slide without contours is left out
    for number in range(1, 6):
        expected = np.zeros((320, 400), int)
        for value in (1, 2, 3):
            top, left = 40 * number % 200, 120 * value - 80
            expected[top : top + 80, left : left + 80] = value
        _, case = every[f"A{number:02}"]
        np.testing.assert_array_equal(case.label, expected[::downsample, ::downsample])
        means = [case.image[:, case.label == value].mean() for value in range(4)]
        np.testing.assert_allclose(means, [50, 110, 170, 230], atol=3)


def test_bach_later_contours_and_holes(read: Read) -> None:
    dataset = read("bach", "data.dataset.downsample=4")
    record = dataset.records()[0]
    regions = [("benign", box(0, 0, 80, 80)), ("Carcinoma invasive", box(40, 0, 120, 80)), ("", box(0, 40, 120, 60))]
    imagescope(record.files[1], regions, holes=[2])
    label = dataset.load(record).label
    assert label is not None
    expected = np.zeros((80, 100), int)
    expected[:20, :10], expected[:20, 10:30], expected[10:15, :30] = 1, 3, 0
    np.testing.assert_array_equal(label, expected)


def test_bach_bad_input(read: Read, tmp_path: Path) -> None:
    dataset = read("bach")
    record = dataset.records()[0]
    imagescope(record.files[1], [("Artefact", box(0, 0, 80, 80))])
    with pytest.raises(UserError, match=r"A01\.xml has a region called 'Artefact': .*benign, in situ, invasive"):
        dataset.load(record)
    record.files[0].rename(record.files[0].with_suffix(".ndpi"))
    with pytest.raises(UserError, match=r"A01\.xml has no slide: .*\.svs, \.tif, \.tiff; another format must be conv"):
        dataset.records()
    for path in (tmp_path / "bach" / "WSI").glob("*.xml"):
        path.unlink()
    with pytest.raises(UserError, match=r"there is no .*WSI/NAME\.xml"):
        dataset.records()
    with pytest.raises(UserError, match=r"data\.dataset\.downsample is 0: at least 1"):
        read("bach", "data.dataset.downsample=0", made=False)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("bach", ["downsample=8", "downsample=4"]),
        ("epfl_mitochondria", ["block_size=5", "block_size=6", "spacing=5e-6"]),
        ("cell_tracking", ["truth=gold", "truth=silver", "test=[]", "block_size=null"]),
        ("glas", ["test=A", "test=B"]),
        ("drive", ["parts=[training]", "parts=[training,test]"]),
    ],
)
def test_another_value_is_another_cache(read: Read, tmp_path: Path, name: str, values: list[str]) -> None:
    MAKERS[name](tmp_path / name)
    sets = [read(name, f"data.dataset.{value}", made=False) for value in values]
    assert len({CaseStore(dataset, tmp_path / "cache").folder for dataset in sets}) == len(values)


def test_a_stack_of_coloured_pages_is_refused(read: Read, tmp_path: Path) -> None:
    dataset = read("epfl_mitochondria")
    pages = np.zeros((12, 40, 48, 3), np.uint8)
    tifffile.imwrite(tmp_path / "epfl_mitochondria" / "training.tif", pages, photometric="rgb")
    with pytest.raises(UserError, match=r"training\.tif has pages of shape .*: grey ones are expected"):
        dataset.load(dataset.records()[0])
