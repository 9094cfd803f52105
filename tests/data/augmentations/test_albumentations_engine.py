"""Pipelines of albumentations: labels follow the image, no corner is empty, each sample is a function of its number."""

import itertools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import albumentations as A
import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy.ndimage import gaussian_filter
from torch.utils.data import DataLoader

from segbench.data import normalize
from segbench.data.augmentations.albumentations_engine import AlbumentationsEngine, saved_pipeline
from segbench.data.augmentations.augmenter import Augmenter, Place
from segbench.data.augmentations.pipeline import Augmentation
from segbench.data.case import IGNORE
from segbench.data.datamodule import StepBatches
from segbench.data.sample import Sample
from segbench.errors import UserError
from tests.data.arrays import ArrayCase, random_case
from tests.data.samplers import sampler

CONF = Path(__file__).parents[3] / "conf" / "augmentation"
PRESETS = ("light", "standard", "heavy", "histology")
ALONE = {
    "flips": [A.HorizontalFlip(), A.VerticalFlip()],
    "quarter turns": [A.RandomRotate90(p=1)],
    "the square's symmetries": [A.D4(p=1)],
    "transposition": [A.Transpose(p=1)],
    "grid shuffle": [A.RandomGridShuffle((3, 3), p=1)],
    "rotation": [A.Rotate((-180, 180), p=1)],
    "rotation, mirrored corners": [A.Rotate((-180, 180), border_mode=4, p=1)],
    "rotation, made smaller": [A.SafeRotate((-180, 180), p=1)],
    "affine": [A.Affine((0.6, 1.5), (-0.1, 0.1), rotate=(-180, 180), shear=(-10, 10), p=1)],
    "elastic": [A.ElasticTransform(300, 9, p=1)],
    "grid distortion": [A.GridDistortion(distort_limit=0.3, p=1)],
    "lens": [A.OpticalDistortion(0.4, p=1)],
    "perspective": [A.Perspective(p=1)],
    "thin plate": [A.ThinPlateSpline((0.1, 0.1), p=1)],
    "grid elastic": [A.GridElasticDeform((4, 4), 5, p=1)],
    "crop and pad": [A.CropAndPad(percent=(-0.1, 0.1), p=1)],
    "one of two": [A.OneOf([A.Rotate(p=1), A.Sequential([A.D4(), A.Affine((0.5, 0.6), p=1)])], p=1)],
    "turned, then changed": [A.Rotate(p=1), A.GaussNoise(p=0), A.CoarseDropout(p=0)],
}
EXACT = ("flips", "quarter turns", "the square's symmetries", "transposition", "grid shuffle")
SIZE = (40, 48)
INSIDE = np.array([80, 86])


def preset(name: str) -> AlbumentationsEngine:
    return AlbumentationsEngine(instantiate(OmegaConf.load(CONF / f"albumentations_{name}.yaml"), _convert_="all"))


def engine(*transforms: Any, p: float = 1.0) -> AlbumentationsEngine:
    return AlbumentationsEngine(A.Compose(list(transforms), p=p))


def patch(source: Augmenter, case: ArrayCase, seed: int = 0, start: Any = INSIDE, pinned: bool = False) -> Sample:
    rng = np.random.default_rng(seed)
    return source.patch(Place(case, np.asarray(start), SIZE, pinned), None, normalize.none, rng)  # type: ignore[arg-type]


def coordinates(arrays: bool = True) -> ArrayCase:
    """Rows, columns and rows again; labels and instances of noise; arrays of rows and columns."""
    rows, columns = np.indices((200, 220))
    case = random_case(np.random.default_rng(0), (200, 220))
    also = {"rows": rows.astype(np.int32), "columns": columns.astype(np.uint8), "both": np.stack([rows, columns]) + 1e3}
    image = np.stack([rows, columns, rows]).astype(np.float32)
    return replace(case, image=image, arrays=also if arrays else {})


def photograph(dtype: str = "uint8", channels: int = 3, size: tuple[int, int] = (90, 100)) -> ArrayCase:
    """Smooth colours of all 8 bits, in another type where that is asked for."""
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(size=(channels, *size)), (0, 4, 4))
    image = np.stack([np.interp(one, (one.min(), one.max()), (0, 255)) for one in smooth]).round()
    label = (image[0] > 128).astype(np.uint8)
    unit = {"uint8": 1.0, "uint16": 257.0, "float32": 1 / 50}[dtype]
    return ArrayCase((image * unit).astype(dtype), label, label.astype(np.int32) * 7, (1.0, 1.0))


# Geometry


@pytest.mark.parametrize("name", ALONE)
def test_label_instances_and_arrays_follow_the_image(name: str) -> None:
    """The image says where each pixel was read; inside the image nothing is empty."""
    case, source = coordinates(), engine(*ALONE[name])
    source.check(case, SIZE)
    distances = []
    for seed in range(12):
        sample = patch(source, case, seed)
        assert sample.image.shape == (3, *SIZE)
        assert sample.label.shape == SIZE
        assert (sample.label != IGNORE).all()
        read = np.stack([sample.arrays["rows"], sample.arrays["columns"]])
        assert sample.instances is not None
        assert case.instances is not None
        np.testing.assert_array_equal(sample.label, case.label[tuple(read)])
        np.testing.assert_array_equal(sample.instances, case.instances[tuple(read)])
        np.testing.assert_allclose(sample.arrays["both"] - 1e3, sample.image[:2], atol=0.05)
        np.testing.assert_allclose(sample.original, sample.image, atol=1e-3)
        distances.append(sample.image[:2] - read)
        # Nearest: within half a pixel, but for the 1/32 that OpenCV places pixels to.
        assert np.abs(distances[-1]).max() < (1e-3 if name in EXACT else 0.6)
    assert np.abs(np.mean(distances, axis=(0, 2, 3))).max() < 0.02  # to no side


@pytest.mark.parametrize("name", ALONE)
def test_mask_of_the_transformed_image_is_the_transformed_mask(name: str) -> None:
    source = engine(*ALONE[name])
    for seed in range(4):
        image = gaussian_filter(np.random.default_rng(seed).normal(size=(160, 160)), 4).astype(np.float32)
        sample = patch(source, ArrayCase(image[None], (image > 0).astype(np.uint8), None, (1.0, 1.0)), seed, [60, 56])
        agreement = ((sample.image[0] > 0) == sample.label).mean()
        assert agreement == 1 if name in EXACT else agreement > 0.95


@pytest.mark.parametrize("start", [[-20, -9], [170, 200], [-60, 100]])
def test_beyond_the_image_it_is_mirrored_and_ignored(start: list[int]) -> None:
    """As segbench's own engine does it, where nothing is transformed."""
    case = coordinates()
    plain, ours = (patch(one, case, start=start) for one in (engine(), Augmentation()))
    np.testing.assert_allclose(plain.image, ours.image, atol=1e-3)
    np.testing.assert_array_equal(plain.label, ours.label)
    np.testing.assert_array_equal(plain.instances, ours.instances)
    turned = patch(engine(A.Rotate((45, 45), p=1)), case, start=start)
    assert (turned.label == IGNORE).any()
    assert turned.instances is not None
    assert not turned.instances[turned.label == IGNORE].any()
    assert set(np.unique(turned.label)) <= {0, 1, 2, 3, IGNORE}


@pytest.mark.parametrize("name", ALONE)
def test_pinned_pixel_stays(name: str) -> None:
    """As near as an output pixel comes to it."""
    case, source = coordinates(arrays=False), engine(*ALONE[name])
    centre = np.subtract(SIZE, 1) // 2
    for seed in range(8):
        found = patch(source, case, seed, pinned=True).image[:2, *centre]
        assert np.abs(found - INSIDE - centre).max() < (1e-3 if name in EXACT else 1.6)


def test_a_hole_keeps_the_label_unless_it_is_told_to_fill_it() -> None:
    case = coordinates()
    hole: dict[str, Any] = {"num_holes_range": (3, 3), "fill": 0, "p": 1}
    before, kept, filled = (
        patch(engine(*one), case) for one in ([], [A.CoarseDropout(**hole)], [A.CoarseDropout(**hole, fill_mask=0)])
    )
    assert (kept.image[0] == 0).any()
    np.testing.assert_array_equal(kept.label, before.label)
    holes = filled.image[0] == 0
    assert (filled.label[holes] == IGNORE).all()
    np.testing.assert_array_equal(filled.label[~holes], before.label[~holes])
    assert filled.instances is not None
    assert not filled.instances[holes].any()
    np.testing.assert_array_equal(filled.arrays["rows"], before.arrays["rows"])
    # A hole before a rotation is no reason to look for more of the image.
    turned = patch(engine(A.CoarseDropout(**hole, fill_mask=0), A.Rotate((30, 30), p=1)), case)
    assert 0 < (turned.label == IGNORE).mean() < 0.7


def test_the_network_input_arrays_and_original_do_not_change_colour() -> None:
    case = coordinates()
    sample = patch(engine(A.InvertImg(p=1), A.D4(p=1), A.InvertImg(p=1), A.GaussNoise((0.2, 0.2), p=1)), case, 3)
    np.testing.assert_allclose(sample.original[0], sample.arrays["rows"], atol=1e-3)
    np.testing.assert_allclose(sample.arrays["both"][0] - 1e3, sample.arrays["rows"], atol=1e-3)
    assert np.abs(sample.image - sample.original).mean() > 5


# Intensities


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_nothing_is_the_identity(dtype: str) -> None:
    case = photograph(dtype)
    sample = patch(engine(), case, start=[10, 20])
    np.testing.assert_allclose(sample.image, case.image[:, 10:50, 20:68].astype(np.float32), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("transform", [A.RandomBrightnessContrast(p=1), A.RandomGamma(p=1), A.CLAHE(p=1), A.D4(p=1)])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_other_types_look_as_8_bits_do(transform: Any, dtype: str) -> None:
    """The same picture in another unit comes back in its unit, changed alike, to a level or two."""
    unit = {"uint16": 257.0, "float32": 1 / 50}[dtype]
    one, other = (patch(engine(transform), photograph(each), 5, [10, 20]) for each in ("uint8", dtype))
    np.testing.assert_allclose(other.image / unit, one.image, atol=3)
    np.testing.assert_array_equal(one.label, other.label)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_any_number_of_channels(channels: int, dtype: str) -> None:
    case, source = photograph(dtype, channels), preset("standard")
    source.check(case, SIZE)
    for seed in range(8):
        sample = patch(source, case, seed, [10, 20])
        assert sample.image.shape == (channels, *SIZE)
        assert sample.image.dtype == np.float32
        assert np.isfinite(sample.image).all()


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_presets_keep_the_range_and_the_classes(name: str, dtype: str) -> None:
    case, source = photograph(dtype), preset(name)
    source.check(case, SIZE)
    different = 0
    for seed in range(15):
        sample = patch(source, case, seed, [10, 20])
        low, high = case.image.min() - 1e-2, case.image.max() * 1.001
        assert low <= sample.image.min() <= sample.image.max() <= (255 if dtype == "uint8" else high)
        assert set(np.unique(sample.label)) <= {0, 1, IGNORE}
        different += not np.allclose(sample.image, sample.original, atol=1e-3 * high)
    assert different > 2


# Randomness


def batches(source: Any, numbers: StepBatches, count: int, workers: int = 0) -> list[dict[str, Any]]:
    loader: DataLoader[dict[str, Any]] = DataLoader(source, batch_sampler=numbers, num_workers=workers)  # type: ignore[arg-type]
    return list(itertools.islice(loader, count))


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return torch.equal(one["image"], other["image"]) and torch.equal(one["mask"], other["mask"])


@pytest.fixture(params=["standard", "heavy", "histology"])
def make(request: pytest.FixtureRequest) -> Callable[[], Any]:
    cases = [replace(photograph(), id=name) for name in "ab"]
    return lambda: sampler(cases, (24, 20), augmentation=preset(request.param), normalize=normalize.zscore)


@pytest.mark.parametrize("workers", [1, 2])
def test_same_samples_with_any_number_of_workers(make: Callable[[], Any], workers: int) -> None:
    alone, together = (batches(make(), StepBatches(lambda: 0, 4), 4, count) for count in (0, workers))
    assert all(itertools.starmap(same, zip(alone, together, strict=True)))


def test_same_samples_after_a_restart(make: Callable[[], Any]) -> None:
    whole = batches(make(), StepBatches(lambda: 0, 4), 5)
    rest = batches(make(), StepBatches(lambda: 3, 4), 2)
    assert all(itertools.starmap(same, zip(whole[3:], rest, strict=True)))


def test_samples_do_not_depend_on_earlier_ones_nor_on_global_state(make: Callable[[], Any]) -> None:
    used = make()
    forth = [used[k] for k in range(10)]
    np.random.seed(1)
    state = np.random.get_state()[1].copy()  # type: ignore[index,union-attr]
    assert all(same(used[k], forth[k]) for k in reversed(range(10)))
    assert all(same(make()[k], forth[k]) for k in (7, 2))
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # type: ignore[index]
    assert not any(same(one, other) for one, other in itertools.combinations(forth, 2))


def test_transforms_are_drawn_independently() -> None:
    """Given a seed by albumentations' own function, two flips would always come together."""
    case, source = coordinates(arrays=False), engine(A.HorizontalFlip(), A.VerticalFlip())
    images = [patch(source, case, seed).image for seed in range(200)]
    found = [(image[0, 0, 0] > image[0, -1, 0], image[1, 0, 0] > image[1, 0, -1]) for image in images]
    for flips in itertools.product([False, True], repeat=2):
        assert 25 < sum(one == flips for one in found) < 75


def test_probability_of_the_whole_pipeline() -> None:
    case, source = coordinates(arrays=False), engine(A.VerticalFlip(p=1), A.InvertImg(p=1), p=0.3)
    plain = patch(engine(), case).image
    assert 0.15 < np.mean([not np.allclose(patch(source, case, seed).image, plain) for seed in range(100)]) < 0.45


# What does not suit


@pytest.mark.parametrize(
    ("transform", "channels", "message"),
    [
        (A.HEStain(p=0.01), 1, r"HEStain does not work on images with 1 channel of uint8: .*expects 3-channel images"),
        (A.OneOf([A.CLAHE(), A.RandomFog(p=0)], p=0.01), 5, r"CLAHE does not work on images with 5 channels"),
        (A.RandomCrop(16, 16, p=0.01), 3, r"RandomCrop changes the image's size .* data\.patch_size"),
        (A.Resize(24, 24), 3, r"Resize changes the image's size"),
        (A.RandomResizedCrop((24, 24)), 3, r"RandomResizedCrop changes the image's size"),
        (A.Normalize(p=0.1), 3, r"Normalize changes the type of the image: leave it out, data\.normalize does that"),
        (A.ToRGB(), 1, r"ToRGB changes the image's size or channels"),
        (A.HistogramMatching(metadata_key="other"), 1, r"HistogramMatching .* missing keys"),
    ],
)  # fmt: skip
def test_unsuitable_transforms_are_refused_before_training(transform: Any, channels: int, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        engine(transform).check(photograph(channels=channels), SIZE)
    assert "\n" not in str(caught.value)


def test_volumes_are_refused() -> None:
    with pytest.raises(UserError, match=r"albumentations is for images, .* 3 dimensions: .* augmentation=standard_3d"):
        engine().check(random_case(np.random.default_rng(0), (8, 8, 8)), (4, 4, 4))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_unknown_arguments_and_other_things_are_refused() -> None:
    with pytest.raises(UserError, match="Rotate takes no angle"):
        engine(A.Rotate(angle=3))
    with pytest.raises(UserError, match=r"str is no augmentation; give .* albumentations\.Compose"):
        AlbumentationsEngine("flip")  # type: ignore[arg-type]


# Files


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_saved_pipelines(tmp_path: Path, form: str) -> None:
    made = A.Compose([A.D4(), A.OneOf([A.Affine((0.8, 1.2)), A.ElasticTransform()]), A.RandomGamma()], p=0.9)
    A.save(made, tmp_path / f"it.{form}", data_format=form)
    content = OmegaConf.to_container(OmegaConf.load(tmp_path / f"it.{form}"))
    loaded = saved_pipeline("it", content)  # type: ignore[arg-type]
    for seed in range(6):
        direct, again = (patch(AlbumentationsEngine(one), photograph(), seed) for one in (made, loaded))
        np.testing.assert_array_equal(direct.image, again.image)
    for wrong in ({"a": 1}, {"transform": {"__class_fullname__": "Nothing"}}):
        with pytest.raises(UserError, match=r"augmentation\.file: it is no pipeline saved by albumentations 2\."):
            saved_pipeline("it", wrong)


def test_albumentations_is_not_imported_without_need_and_stays_off_the_network() -> None:
    code = (
        "import os, sys, segbench.training.assembly;"
        "assert 'albumentations' not in sys.modules and 'cv2' not in sys.modules;"
        "assert os.environ['NO_ALBUMENTATIONS_UPDATE'] == '1';"
        "import socket; socket.socket.connect = None; import segbench.data.augmentations.albumentations_engine, cv2;"
        "assert cv2.getNumThreads() == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
