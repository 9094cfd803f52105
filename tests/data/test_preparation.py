"""Cropping and resampling of volumes, and the way back."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_fill_holes

from segbench.data.arrays import ArraySpec
from segbench.data.datasets.synthetic_volumes import SyntheticVolumes
from segbench.data.network_input import NetworkInput
from segbench.data.normalize import Ct, chosen_normalizations, foreground_statistics, none, normalization_of
from segbench.data.preparation import Geometry, Preparation, seen_cases, seen_image
from segbench.data.store import CaseStore
from segbench.data.volume_resampling import resample_probabilities
from segbench.errors import UserError
from segbench.inference.restoring import restored

SIZE = (14, 24, 26)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def dataset() -> SyntheticVolumes:
    return SyntheticVolumes(2, SIZE, (3.0, 1.0, 1.0), 0)


@pytest.fixture(scope="module")
def store(dataset: SyntheticVolumes, cache: Path) -> CaseStore:
    return CaseStore(dataset, cache)


def test_nothing_to_do_is_the_same_store(dataset: SyntheticVolumes, store: CaseStore, cache: Path) -> None:
    seen = seen_cases(dataset, store, Preparation(), cache)
    assert seen.store is store
    assert seen.geometry(store.ids[0]) is None


def test_cases_are_cropped_to_what_is_not_zero(dataset: SyntheticVolumes, store: CaseStore, cache: Path) -> None:
    seen = seen_cases(dataset, store, Preparation(crop=True), cache)
    for case in store.ids:
        geometry, image = seen.geometry(case), np.asarray(store[case].image)
        assert geometry is not None
        cropped = image[(0, *geometry.inside)]
        assert (cropped != 0).sum() == (image != 0).sum()
        assert all((cropped.take(end, axis) != 0).any() for axis in range(3) for end in (0, -1))
        np.testing.assert_array_equal(np.asarray(seen.store[case].image)[0], cropped)
        np.testing.assert_array_equal(seen.store[case].label, np.asarray(store[case].label)[geometry.inside])


def test_cases_are_resampled_to_one_spacing(dataset: SyntheticVolumes, store: CaseStore, cache: Path) -> None:
    seen = seen_cases(dataset, store, Preparation(spacing=(2.0, 1.5, 1.0)), cache)
    case = seen.store[store.ids[0]]
    assert case.spacing == (2.0, 1.5, 1.0)
    assert case.image.shape == (1, 21, 16, 26)
    assert case.label.shape == (21, 16, 26)
    assert set(np.unique(case.label)) <= {0, 1, 2, 3, 4}
    assert seen.store.meta(case.id).pixels[1] * 3.0 == pytest.approx(store.meta(case.id).pixels[1] * 3.0, rel=0.15)


def test_prepared_on_the_fly_as_in_the_store(dataset: SyntheticVolumes, store: CaseStore, cache: Path) -> None:
    rules = Preparation(spacing=(2.0, 1.5, 1.0), crop=True, masked=True)
    seen = seen_cases(dataset, store, rules, cache)
    case = store[store.ids[1]]
    alone = seen_image(rules, NetworkInput(none), np.asarray(case.image), case.spacing, {})
    np.testing.assert_array_equal(alone.image, seen.store[case.id].image)
    assert alone.geometry == seen.geometry(case.id)


def test_nonzero_is_zscore_in_the_body_and_zero_outside(
    dataset: SyntheticVolumes, store: CaseStore, cache: Path
) -> None:
    seen = seen_cases(dataset, store, Preparation(masked=True), cache)
    raw = np.asarray(store[store.ids[0]].image)[0].astype(np.float64)
    body = binary_fill_holes(raw != 0)
    image = np.asarray(seen.store[store.ids[0]].image)[0]
    assert not image[~body].any()
    np.testing.assert_allclose(image[body], (raw[body] - raw[body].mean()) / raw[body].std(), atol=1e-4)


def test_further_arrays_follow(dataset: SyntheticVolumes, store: CaseStore, cache: Path) -> None:
    class Provider:
        arrays: ClassVar = {"map": ArraySpec(classes=3), "share": ArraySpec(channels=2)}

        def __call__(self, case_id: str, name: str) -> np.ndarray:
            rng = np.random.default_rng(0)
            return rng.integers(0, 3, SIZE).astype(np.uint8) if name == "map" else np.ones((2, *SIZE), np.float32)

    seen = seen_cases(dataset, store.with_arrays(Provider()), Preparation(spacing=(2.0, 1.5, 1.0)), cache)
    case = seen.store[store.ids[0]]
    assert case.arrays["map"].shape == (21, 16, 26)
    assert set(np.unique(case.arrays["map"])) == {0, 1, 2}
    np.testing.assert_allclose(case.arrays["share"], np.ones((2, 21, 16, 26)), atol=1e-5)


@pytest.mark.parametrize("separate", [None, 0, 2])
@pytest.mark.parametrize("size", [(17, 9, 20), (4, 30, 14)])
def test_logits_come_back_slab_by_slab_as_in_one_piece(size: tuple[int, ...], separate: int | None) -> None:
    prepared = (10, 12, 14)
    logits = np.random.default_rng(0).normal(size=(3, *prepared)).astype(np.float32)
    geometry = Geometry(size, tuple((0, length) for length in size), prepared, (1.0, 1.0, 1.0), separate)
    whole = torch.from_numpy(logits)
    slabs = [(start, {"mask": whole[:, start:stop]}) for start, stop in ((0, 3), (3, 4), (4, 10))]
    found = list(restored(slabs, geometry))
    assert [start for start, _ in found] == np.cumsum([0, *(part["mask"].shape[1] for _, part in found)])[:-1].tolist()
    back = torch.cat([part["mask"] for _, part in found], 1)
    np.testing.assert_allclose(back, resample_probabilities(logits, size, separate), atol=1e-5)


def test_ct_is_normalised_by_the_foreground_of_the_training_cases(store: CaseStore) -> None:
    case = store[store.ids[0]]
    inside = np.asarray(case.image)[0][np.asarray(case.label) > 0]
    sample = np.asarray(case.foreground)
    assert sample.shape[0] == 1
    assert len(inside) * 0.98 <= sample.shape[1] <= len(inside) * 1.02
    (facts,) = foreground_statistics([sample])
    assert facts["mean"] == pytest.approx(inside.mean(), rel=0.01)
    assert (facts["low"], facts["high"]) == pytest.approx(tuple(np.percentile(inside, (0.5, 99.5))), rel=0.02)
    image = Ct([facts])(np.asarray(case.image), case.meta.intensities)
    expected = (np.clip(np.asarray(case.image), facts["low"], facts["high"]) - facts["mean"]) / facts["std"]
    np.testing.assert_allclose(image, expected, atol=1e-4)


def test_each_channel_by_what_it_is(store: CaseStore) -> None:
    assert chosen_normalizations("auto", ("CT", "T1"), 2) == ["ct", "zscore"]
    assert chosen_normalizations("auto", (), 2) == ["zscore", "zscore"]
    with pytest.raises(UserError, match="has 1 entries: the images have 2 channels"):
        chosen_normalizations(["ct"], ("CT", "T1"), 2)
    facts = [{"mean": 1.0, "std": 2.0, "low": -5.0, "high": 5.0}] * 2
    image = np.concatenate([np.asarray(store[store.ids[0]].image)] * 2)
    mixed = normalization_of(["ct", "zscore"], facts)(image, store.meta(store.ids[0]).intensities * 2)
    np.testing.assert_allclose(mixed[0], (np.clip(image[0], -5, 5) - 1) / 2)
    assert float(mixed[1].mean()) == pytest.approx(0, abs=1e-4)
