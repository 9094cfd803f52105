"""Training samples: a function of seed and number, of the right size, with image and label in step."""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from scipy.ndimage import gaussian_filter, map_coordinates
from torch.utils.data import DataLoader

from segbench.data import normalize
from segbench.data.augmentation import Augmentation, Gamma, Noise
from segbench.data.case import IGNORE
from segbench.data.datamodule import StepBatches
from segbench.data.datasets.synthetic_cells import SyntheticCells
from segbench.data.elastic import ControlPoints
from segbench.data.patches import PatchSampler, mirror, read_patch
from segbench.data.places import CentreByClass, InsideImage, TrainingCases
from segbench.data.spatial import Spatial, SpatialDraw, offsets
from segbench.data.store import CaseStore
from segbench.data.targets import mask
from tests.data.arrays import ArrayCase, coordinate_case, random_case

EVERYTHING = Spatial(0.5, 180, 0.5, (0.6, 1.6), 0.5, 0.4, 0.5, elastic=ControlPoints(3), elastic_probability=0.5)
STANDARD = "conf/augmentation/standard.yaml"
seeds = st.integers(0, 2**32)


@st.composite
def situations(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], np.ndarray, np.random.Generator]:
    """An image's and a patch's size in 2D or 3D, each may be the larger, the patch's first pixel, a generator."""
    dims = draw(st.sampled_from((2, 3)))
    lengths = st.lists(st.integers(1, 24 if dims == 2 else 10), min_size=dims, max_size=dims)
    shape, patch = tuple(draw(lengths)), tuple(draw(lengths))
    start = [draw(st.integers(-size, length)) for size, length in zip(patch, shape, strict=True)]
    return shape, patch, np.array(start), np.random.default_rng(draw(seeds))


def plain(dims: int, **changes: Any) -> SpatialDraw:
    """A transform that does nothing but what is given."""
    return replace(SpatialDraw(np.eye(dims), np.zeros(dims), (False,) * dims, None), **changes)


def sampler(cases: list[ArrayCase], patch: tuple[int, ...], **changes: Any) -> PatchSampler:
    ids = [case.id for case in cases]
    background, seed = changes.pop("background", 0), changes.pop("seed", 0)
    values: dict[str, Any] = {
        "cases": TrainingCases(Cases({case.id: case for case in cases}), ids, background, seed),
        "patch_size": patch,
        "placement": InsideImage(changes.pop("foreground", 0.33)),
        "augmentation": Augmentation(),
        "targets": {"mask": mask},
        "normalize": normalize.none,
    }
    return PatchSampler(**(values | changes))


class Cases(dict[str, ArrayCase]):
    """Stands in for a store."""

    def meta(self, case: str) -> Any:
        """What is known of the case."""
        return self[case].meta


# Reading one patch


@settings(deadline=None)
@given(situations())
def test_same_as_scipy(situation: tuple) -> None:
    """Against `scipy.ndimage` at positions by the formula; labels where no rounding decides."""
    shape, patch, start, rng = situation
    case = random_case(rng, shape)
    draw = EVERYTHING.draw(patch, rng.uniform(0.3, 3, len(shape)), rng)
    image, label, instances = read_patch(case, start, draw, patch, normalize.none)

    middle = (np.reshape(patch, (-1, *(1,) * len(patch))) - 1) / 2
    where = start.reshape(middle.shape) + middle + offsets(draw, patch).astype(float)
    expected = np.stack([map_coordinates(channel, where, order=1, mode="mirror") for channel in case.image])
    axes = tuple(axis for axis, flip in enumerate(draw.flips) if flip)
    back = np.flip(image, [axis + 1 for axis in axes])
    np.testing.assert_allclose(back, expected, atol=2e-4)

    margin = int(np.abs(where).max()) + 2
    clear = (np.abs(where % 1 - 0.5) > 1e-3).all(axis=0)
    assert instances is not None
    assert case.instances is not None
    for result, source, beyond in ((label, case.label, IGNORE), (instances, case.instances, 0)):
        widened = np.pad(source, margin, constant_values=beyond)
        nearest = map_coordinates(widened, where + margin, order=0)
        assert result.dtype == source.dtype
        np.testing.assert_array_equal(np.flip(result, axes)[clear], nearest[clear])


@settings(deadline=None)
@given(situations())
def test_image_and_label_stay_in_step(situation: tuple) -> None:
    """The image tells where each pixel was read: the label is that of the same pixel."""
    shape, patch, start, rng = situation
    case = coordinate_case(rng, shape)
    image, label, instances = read_patch(case, start, EVERYTHING.draw(patch, case.spacing, rng), patch, normalize.none)
    clear = (np.abs(image % 1 - 0.5) > 1e-2).all(axis=0) & (label != IGNORE)
    source = tuple(np.rint(image).astype(int)[:, clear])
    np.testing.assert_array_equal(label[clear], case.label[source])
    assert instances is not None
    assert case.instances is not None
    np.testing.assert_array_equal(instances[clear], case.instances[source])


@pytest.mark.parametrize("shape", [(96, 80), (40, 48, 32)])
def test_mask_of_the_transformed_image_is_the_transformed_mask(shape: tuple[int, ...]) -> None:
    agreement = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        image = gaussian_filter(rng.normal(size=shape), 5).astype(np.float32)
        case = ArrayCase(image[None], (image > 0).astype(np.uint8), None, (1.0,) * len(shape))
        draw = EVERYTHING.draw(shape, case.spacing, rng)
        turned, label, _ = read_patch(case, np.zeros(len(shape), int), draw, shape, normalize.none)
        agreement.append(((turned[0] > 0) == label)[label != IGNORE].mean())
    assert min(agreement) > 0.97


@settings(deadline=None)
@given(situations())
def test_labels_are_those_of_the_image(situation: tuple) -> None:
    shape, patch, start, rng = situation
    case = random_case(rng, shape)
    image, label, instances = read_patch(case, start, EVERYTHING.draw(patch, case.spacing, rng), patch, normalize.none)
    assert image.shape == (2, *patch)
    assert image.dtype == np.float32
    assert label.shape == patch
    assert instances is not None
    assert instances.shape == patch
    assert set(np.unique(label)) <= {*np.unique(case.label), IGNORE}
    assert set(np.unique(instances)) <= {*np.unique(case.instances), 0}
    assert not instances[label == IGNORE].any()
    # Linear interpolation makes no values beyond those that it has.
    assert image.min() >= case.image.min() - 1e-5
    assert image.max() <= case.image.max() + 1e-5


@settings(deadline=None)
@given(situations())
def test_untransformed_patch_is_cut_out_and_mirrored(situation: tuple) -> None:
    shape, patch, start, rng = situation
    case = random_case(rng, shape)
    shift = rng.integers(-5, 6, len(shape)).astype(float)
    image, label, instances = read_patch(case, start, plain(len(shape), shift=shift), patch, normalize.none)

    margin = 60  # more than any patch reads beyond the image
    first = start + shift.astype(int) + margin
    box = tuple(slice(low, low + size) for low, size in zip(first, patch, strict=True))
    widths = [(margin, margin)] * len(shape)
    np.testing.assert_array_equal(image, np.pad(case.image, [(0, 0), *widths], mode="reflect")[:, *box])
    np.testing.assert_array_equal(label, np.pad(case.label, widths, constant_values=IGNORE)[box])
    assert case.instances is not None
    np.testing.assert_array_equal(instances, np.pad(case.instances, widths)[box])


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(-99, 99))
def test_mirror_is_numpys_reflection(length: int, position: int) -> None:
    line = np.pad(np.arange(length), 99, mode="reflect")
    assert (
        mirror(np.array([position]), length)[0] == line[np.clip(position + 99, 0, len(line) - 1)]
        or position > length + 98
    )


@pytest.mark.parametrize("shape", [(16, 16), (15, 15), (6, 6, 6)])
def test_quarter_turns_are_exact(shape: tuple[int, ...]) -> None:
    """A turn by 90 degrees is numpy's, and four of them are nothing."""
    start = np.zeros(len(shape), int)
    turn = np.eye(len(shape))
    turn[:2, :2] = [[np.cos(np.pi / 2), 1], [-1, np.cos(np.pi / 2)]]
    case = first = random_case(np.random.default_rng(0), shape)
    for _ in range(4):
        image, label, instances = read_patch(case, start, plain(len(shape), matrix=turn), shape, normalize.none)
        np.testing.assert_allclose(image, np.rot90(case.image, axes=(1, 2)), atol=1e-5)
        np.testing.assert_array_equal(label, np.rot90(case.label))
        np.testing.assert_array_equal(instances, np.rot90(case.instances))
        case = ArrayCase(image, label, instances, case.spacing)
    np.testing.assert_allclose(case.image, first.image, atol=1e-5)
    np.testing.assert_array_equal(case.label, first.label)


@pytest.mark.parametrize("flips", itertools.product((False, True), repeat=3))
def test_flips_are_involutions(flips: tuple[bool, ...]) -> None:
    shape = (4, 5, 6)
    case = random_case(np.random.default_rng(0), shape)
    draw, start = plain(3, flips=flips), np.zeros(3, int)
    once = ArrayCase(*read_patch(case, start, draw, shape, normalize.none))
    axes = [axis for axis, flip in enumerate(flips) if flip]
    np.testing.assert_array_equal(once.label, np.flip(case.label, axes))
    image, label, instances = read_patch(once, start, draw, shape, normalize.none)
    np.testing.assert_array_equal(image, case.image)
    np.testing.assert_array_equal(label, case.label)
    np.testing.assert_array_equal(instances, case.instances)


def test_zoom_magnifies() -> None:
    """A disc of radius 8 has radius 16 in a patch that is zoomed by 2, and 4 in one by 0.5."""
    disc = np.hypot(*(np.indices((65, 65)) - 32)) <= 8
    case = ArrayCase(disc[None].astype(np.float32), disc.astype(np.uint8), None, (1.0, 1.0))
    for zoom in (2, 0.5):
        draw = Spatial(scaling=(zoom, zoom)).draw((65, 65), case.spacing, np.random.default_rng(0))
        _, label, _ = read_patch(case, np.zeros(2, int), draw, (65, 65), normalize.none)
        assert (label == 1).sum() == pytest.approx(disc.sum() * zoom**2, rel=0.05)


def test_raw_intensities_are_normalised() -> None:
    """By the statistics of the whole case, before or after the interpolation: they commute."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (2, 40, 40), dtype=np.uint8)
    case = ArrayCase(image, np.zeros((40, 40), np.uint8), None, (1.0, 1.0))
    draw = Spatial(rotation=45).draw((20, 20), case.spacing, rng)
    start = np.array([10, 10])
    raw = read_patch(case, start, draw, (20, 20), normalize.none)[0]
    scaled = read_patch(case, start, draw, (20, 20), normalize.zscore)[0]
    mean, std = (getattr(image, name)(axis=(1, 2))[:, None, None] for name in ("mean", "std"))
    np.testing.assert_allclose(scaled, (raw - mean) / std, atol=1e-4)


# Which patch


@settings(deadline=None)
@given(seeds, st.integers(0, 1000))
def test_patches_of_mixed_images_have_the_size_asked_for(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    cases = [random_case(rng, (*rng.integers(1, 40, 2),), f"case{n}") for n in range(3)]
    for augmentation in (Augmentation(), Augmentation(EVERYTHING)):
        sample = sampler(cases, (17, 24), augmentation=augmentation, seed=seed)[k]
        assert sample["image"].shape == (2, 17, 24)
        assert sample["image"].dtype == torch.float32
        assert sample["mask"].shape == (17, 24)
        assert sample["mask"].dtype == torch.int64


def test_small_image_is_in_the_middle_of_the_patch() -> None:
    case = random_case(np.random.default_rng(0), (6, 30))
    for k in range(20):
        sample = sampler([case], (11, 8))[k]
        np.testing.assert_array_equal(sample["mask"][:3] == IGNORE, True)
        np.testing.assert_array_equal(sample["mask"][3:9] == IGNORE, False)
        np.testing.assert_array_equal(sample["mask"][9:] == IGNORE, True)


def test_places_are_uniform() -> None:
    """Without foreground, every place where the patch fits is as likely as the others."""
    case = coordinate_case(np.random.default_rng(0), (8, 6))
    source = sampler([case], (4, 4), foreground=0.0)
    corners = Counter(tuple(source[k]["image"][:, 0, 0].int().tolist()) for k in range(3000))
    assert set(corners) == set(itertools.product(range(5), range(3)))
    assert sum((count - 200) ** 2 / 200 for count in corners.values()) < 36  # chi squared, 14 degrees: p = 0.001


def test_share_of_foreground() -> None:
    """Patches centred on foreground, evenly from the classes present, are as many as asked for."""
    shape = (200, 200)
    label = np.zeros(shape, np.uint8)
    label[60:100, 60:100] = 1
    label[150, 150] = 2
    case = ArrayCase(np.indices(shape, dtype=np.float32), label, None, (1.0, 1.0))
    source = sampler([case], (3, 3), foreground=0.4)
    centres = Counter(int(source[k]["mask"][1, 1]) for k in range(2000))
    assert centres[2] / 2000 == pytest.approx(0.2, abs=0.03)
    assert centres[1] / 2000 == pytest.approx(0.2 + 0.6 * 0.04, abs=0.03)


def test_without_background_every_class_is_foreground() -> None:
    label = np.zeros((50, 50), np.uint8)
    label[25, 25] = 1
    case = ArrayCase(np.zeros((1, 50, 50), np.float32), label, None, (1.0, 1.0))
    for background, share in ((0, 1.0), (None, 0.5)):
        source = sampler([case], (3, 3), foreground=1.0, background=background)
        centres = [int(source[k]["mask"][1, 1]) for k in range(400)]
        assert np.mean(centres) == pytest.approx(share, abs=0.08)


@pytest.mark.parametrize("patch", [(4, 6), (5, 7)])
def test_wanted_pixel_is_in_the_patch(patch: tuple[int, int]) -> None:
    """In its middle, except that the patch stays inside the image."""
    for row, column in itertools.product((0, 1, 9, 18, 19), repeat=2):
        label = np.zeros((20, 20), np.uint8)
        label[row, column] = 1
        sample = sampler([ArrayCase(np.zeros((1, 20, 20)), label, None, (1.0, 1.0))], patch, foreground=1.0)[0]
        found = np.argwhere(sample["mask"].numpy() == 1).tolist()
        expected = [min(max(at - size // 2, 0), 20 - size) for at, size in zip((row, column), patch, strict=True)]
        assert found == [[row - expected[0], column - expected[1]]]


def test_centres_are_drawn_evenly_by_class() -> None:
    """Whatever the classes' sizes, and in how few cases they are; the pixel drawn is the target's."""
    common, rare = np.zeros((20, 30), np.uint8), np.zeros((20, 30), np.uint8)
    common[3:5] = 1
    rare[0, 0] = 2  # at the corner: most of its patch lies outside
    cases = [ArrayCase(np.zeros((1, 20, 30)), label, None, (1.0, 1.0), str(k)) for k, label in enumerate([common] * 4)]
    cases.append(ArrayCase(np.zeros((1, 20, 30)), rare, None, (1.0, 1.0), "rare"))
    for patch in [(8, 8), (7, 9), (40, 50)]:
        source = sampler(cases, patch, placement=CentreByClass())
        samples = [source[k]["mask"] for k in range(600)]
        middle = tuple((size - 1) // 2 for size in patch)
        drawn = Counter(int(target[middle]) for target in samples)
        assert set(drawn) == {0, 1, 2}
        assert all(150 < count < 250 for count in drawn.values())
        assert all(target[0, 0] == IGNORE for target in samples if target[middle] == 2)


def test_case_without_foreground_is_read_anywhere() -> None:
    case = coordinate_case(np.random.default_rng(0), (20, 20))
    case = replace(case, label=np.zeros((20, 20), np.uint8))
    source = sampler([case], (4, 4), foreground=1.0)
    assert len({tuple(source[k]["image"][:, 0, 0].tolist()) for k in range(50)}) > 30


@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_case_is_drawn_once_in_a_round(count: int) -> None:
    cases = [random_case(np.random.default_rng(n), (5, 5), f"case{n}") for n in range(count)]
    source = sampler(cases, (4, 4))
    rounds = [[source[round_ * count + turn]["case_id"] for turn in range(count)] for round_ in range(20)]
    assert all(sorted(names) == sorted(source.cases.ids) for names in rounds)
    assert count < 7 or len({tuple(names) for names in rounds}) > 15


# The same sample everywhere


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., PatchSampler]:
    """Makes samplers of real stored cases with the standard augmentation."""
    store = CaseStore(SyntheticCells(6, [64, 64], 0), tmp_path_factory.mktemp("cells"))
    augmentation = instantiate(OmegaConf.load(Path(__file__).parents[2] / STANDARD), _convert_="all")

    def make(**changes: Any) -> PatchSampler:
        cases = TrainingCases(store, store.ids, 0, changes.pop("seed", 0))
        values = {"normalize": normalize.zscore, "augmentation": augmentation, "cases": cases}
        return replace(sampler([], (48, 40)), **(values | changes))

    return make


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return (
        list(one["case_id"]) == list(other["case_id"])
        and torch.equal(one["image"], other["image"])
        and torch.equal(one["mask"], other["mask"])
    )


def batches(source: PatchSampler, numbers: StepBatches, count: int, workers: int = 0) -> list[dict[str, Any]]:
    loader: DataLoader[dict[str, Any]] = DataLoader(source, batch_sampler=numbers, num_workers=workers)  # type: ignore[arg-type]
    return list(itertools.islice(loader, count))


@pytest.mark.parametrize("workers", [1, 2])
def test_same_samples_with_any_number_of_workers(cells: Callable[..., PatchSampler], workers: int) -> None:
    numbers = StepBatches(lambda: 0, 4)
    alone, together = (batches(cells(), numbers, 6, count) for count in (0, workers))
    assert all(itertools.starmap(same, zip(alone, together, strict=True)))


def test_same_samples_after_a_restart(cells: Callable[..., PatchSampler]) -> None:
    whole = batches(cells(), StepBatches(lambda: 0, 4), 6)
    rest = batches(cells(), StepBatches(lambda: 4, 4), 2)
    assert all(itertools.starmap(same, zip(whole[4:], rest, strict=True)))


@pytest.mark.parametrize("processes", [2, 3, 6])
def test_same_samples_with_any_number_of_processes(cells: Callable[..., PatchSampler], processes: int) -> None:
    whole = batches(cells(), StepBatches(lambda: 3, 6), 2)
    shares = [batches(cells(), StepBatches(lambda: 3, 6, rank, processes), 2) for rank in range(processes)]
    for step in range(2):
        joined = {key: torch.cat([share[step][key] for share in shares]) for key in ("image", "mask")}
        names = [name for share in shares for name in share[step]["case_id"]]
        assert same(whole[step], joined | {"case_id": names})


def test_samples_follow_seed_and_number_alone(cells: Callable[..., PatchSampler]) -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    state = (torch.get_rng_state(), np.random.get_state()[1].copy())  # type: ignore[index,union-attr]
    first = [cells()[k] for k in range(12)]
    assert torch.equal(torch.get_rng_state(), state[0])
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])  # type: ignore[index]
    torch.manual_seed(2)
    np.random.seed(2)
    assert all(same(cells()[k], first[k]) for k in reversed(range(12)))
    assert not any(same(one, other) for one, other in itertools.combinations(first, 2))
    assert not any(same(cells(seed=1)[k], first[k]) for k in range(12))


def test_intensity_transforms_leave_the_mask(cells: Callable[..., PatchSampler]) -> None:
    changed = Augmentation(EVERYTHING, intensity={"noise": Noise(1.0, (0.1, 0.1)), "gamma": Gamma(1.0, (2.0, 2.0))})
    for k in range(5):
        before, after = cells(augmentation=Augmentation(EVERYTHING))[k], cells(augmentation=changed)[k]
        assert torch.equal(before["mask"], after["mask"])
        assert not torch.equal(before["image"], after["image"])


def test_targets_are_made_of_the_transformed_label(cells: Callable[..., PatchSampler]) -> None:
    def objects(label: np.ndarray, instances: np.ndarray | None, spacing: tuple[float, ...]) -> np.ndarray:
        assert instances is not None
        assert tuple(spacing) == (1.0, 1.0)
        return (instances > 0) & (label != IGNORE)

    sample = cells(targets={"mask": mask, "objects": objects})[0]
    assert torch.equal(sample["objects"], (sample["mask"] > 0) & (sample["mask"] != IGNORE))
    assert sample["objects"].any()
