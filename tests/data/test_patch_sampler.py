"""Training samples: a function of seed and number alone, of the size asked for, with targets of what is seen."""

import itertools
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
from torch.utils.data import DataLoader

from segbench.data import normalize
from segbench.data.augmentations.pipeline import Augmentation, Gamma, Noise
from segbench.data.case import IGNORE
from segbench.data.datamodule import StepBatches
from segbench.data.datasets.synthetic_cells import SyntheticCells
from segbench.data.patches import PatchSampler
from segbench.data.placement import TrainingCases
from segbench.data.sample import Sample
from segbench.data.store import CaseStore
from segbench.data.targets import mask
from tests.data.arrays import random_case
from tests.data.samplers import EVERYTHING, sampler

STANDARD = "conf/augmentation/standard.yaml"


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


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 1000))
def test_patches_of_mixed_images_have_the_size_asked_for(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    cases = [random_case(rng, (*rng.integers(1, 40, 2),), f"case{n}") for n in range(3)]
    for augmentation in (Augmentation(), Augmentation(EVERYTHING)):
        sample = sampler(cases, (17, 24), augmentation=augmentation, seed=seed)[k]
        assert sample["image"].shape == (2, 17, 24)
        assert sample["image"].dtype == torch.float32
        assert sample["mask"].shape == (17, 24)
        assert sample["mask"].dtype == torch.int64


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
    def objects(sample: Sample) -> np.ndarray:
        assert sample.instances is not None
        assert tuple(sample.spacing) == (1.0, 1.0)
        return (sample.instances > 0) & (sample.label != IGNORE)

    sample = cells(targets={"mask": mask, "objects": objects})[0]
    assert torch.equal(sample["objects"], (sample["mask"] > 0) & (sample["mask"] != IGNORE))
    assert sample["objects"].any()
