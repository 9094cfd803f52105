"""The loaders: training by step number, whole cases one by one, each exactly once over all processes."""

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from segbench.data import normalize
from segbench.data.augmentations.pipeline import Augmentation
from segbench.data.case import IGNORE
from segbench.data.datamodule import DataModule, StepBatches, WholeCases
from segbench.data.datasets.synthetic_cells import SyntheticCells
from segbench.data.network_input import NetworkInput
from segbench.data.patches import PatchSampler
from segbench.data.placement import InsideImage, TrainingCases
from segbench.data.preparation import Seen
from segbench.data.splits import Split
from segbench.data.store import CaseStore
from segbench.data.targets import mask
from segbench.errors import UserError

DATASET = SyntheticCells(7, [32, 48], 0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CaseStore:
    return CaseStore(DATASET, tmp_path_factory.mktemp("cells"))


def module(store: CaseStore, rank: int = 0, processes: int = 1, step: int = 0, accumulate: int = 1) -> DataModule:
    """Under a trainer that stands at a step, as one of several processes."""
    split = Split(tuple(store.ids[:3]), tuple(store.ids[3:5]), tuple(store.ids[5:]))
    sampler = PatchSampler(
        TrainingCases(store, split.train, 0, 0),
        (16, 16),
        InsideImage(0.5),
        Augmentation(),
        {"mask": mask},
        normalize.zscore,
    )
    data = DataModule(DATASET, store, Seen(store), split, sampler, batch_size=4, workers=0)
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        global_step=step, global_rank=rank, world_size=processes, accumulate_grad_batches=accumulate
    )
    return data


def numbers(step: int, size: int, rank: int = 0, processes: int = 1, count: int = 3) -> list[list[int]]:
    return list(itertools.islice(StepBatches(lambda: step, size, rank, processes), count))


def test_batches_are_numbered_by_step() -> None:
    assert numbers(0, 4) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert numbers(1, 4, count=2) == numbers(0, 4)[1:]


@pytest.mark.parametrize("processes", [1, 2, 3, 6])
def test_processes_share_each_batch(processes: int) -> None:
    shares = [numbers(2, 6, rank, processes) for rank in range(processes)]
    joined = [list(itertools.chain.from_iterable(step)) for step in zip(*shares, strict=True)]
    assert joined == numbers(2, 6)


def test_step_is_asked_when_training_starts() -> None:
    """The loader exists before the checkpoint is read."""
    step = 0
    batches = StepBatches(lambda: step, 2)
    step = 5
    assert next(iter(batches)) == [10, 11]


@pytest.mark.parametrize(("step", "last", "given"), [(0, 3, 4), (2, 3, 2), (3, 3, 1), (5, 3, 1)])
def test_last_batch(step: int, last: int, given: int) -> None:
    """One is always given: a loader without any would let Lightning ask for ever."""
    assert list(StepBatches(lambda: step, 4, last=last)) == numbers(step, 4, count=given)


def test_batch_that_cannot_be_shared() -> None:
    with pytest.raises(UserError, match="batch_size=4: is not divisible by the 3 processes"):
        StepBatches(lambda: 0, 4, 0, 3)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_training_batches(store: CaseStore, accumulate: int) -> None:
    """The batches from the step that the trainer stands at."""
    data = module(store, step=2, accumulate=accumulate)
    for number, batch in enumerate(itertools.islice(data.train_dataloader(), 2), start=2 * accumulate):
        assert batch["image"].shape == (4, 1, 16, 16)
        assert batch["mask"].shape == (4, 16, 16)
        for place, k in enumerate(range(4 * number, 4 * number + 4)):
            sample = data.sampler[k]
            assert batch["case_id"][place] == sample["case_id"]
            assert torch.equal(batch["image"][place], sample["image"])
            assert torch.equal(batch["mask"][place], sample["mask"])


def test_begun_before_there_is_a_trainer(store: CaseStore) -> None:
    """The workers that begin early give the batches that they would have given later, once; then new ones do."""
    later, early = module(store), module(store)
    trainer, early.trainer, early.workers = early.trainer, None, 1
    early.begin()
    early.trainer = trainer
    for data in (early.train_dataloader(), early.train_dataloader()):
        for batch, expected in zip(itertools.islice(data, 3), later.train_dataloader(), strict=False):
            assert batch["case_id"] == expected["case_id"]
            assert torch.equal(batch["image"], expected["image"])


def test_whole_cases(store: CaseStore) -> None:
    data = module(store)
    for loader, ids in ((data.val_dataloader()[0], data.split.validation), (data.test_dataloader(), data.split.test)):
        cases: list[dict[str, Any]] = list(loader)
        assert tuple(case["case_id"] for case in cases) == ids
        for case in cases:
            stored = store[case["case_id"]]
            pixels = np.asarray(stored.image, dtype=float)
            assert case["image"].dtype == torch.float32
            np.testing.assert_allclose(case["image"][0], (pixels - pixels.mean()) / pixels.std(), atol=1e-5)
            np.testing.assert_array_equal(case["label"], stored.label)
            np.testing.assert_array_equal(case["instances"], stored.instances)
            assert (case["spacing"], case["group"]) == ((1.0, 1.0), stored.meta.group)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_every_case_goes_to_one_process(store: CaseStore, processes: int) -> None:
    shares = [list(module(store, rank, processes).test_dataloader()) for rank in range(processes)]
    assert sorted(case["case_id"] for share in shares for case in share if case is not None) == store.ids[5:]
    assert all(shares)  # Lightning leaves out a loop without batches, where the others would wait for it


def test_classes_of_another_data_set(store: CaseStore) -> None:
    table = np.zeros(256, np.uint8)
    table[[2, IGNORE]] = 1, IGNORE
    case = WholeCases(store, store.ids, NetworkInput(normalize.none), Seen(store), table)[0]
    np.testing.assert_array_equal(case["label"], store[store.ids[0]].label == 2)
