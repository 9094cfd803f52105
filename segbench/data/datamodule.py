"""The only DataModule: patches by step number, and whole cases."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from segbench.data.augmentations.on_device import batch_of
from segbench.data.case import Dataset as CaseDataset
from segbench.data.network_input import NetworkInput
from segbench.data.patches import PatchSampler
from segbench.data.preparation import Seen
from segbench.data.splits import Split
from segbench.data.store import CaseStore
from segbench.errors import UserError
from segbench.system.signals import obey_parent_alone


class StepBatches:
    """Sample numbers of each batch, from the step on that training has reached.

    With several processes each takes its share of the same batch, so that neither their number nor a
    restart changes which samples a step sees.

    Args:
        step: returns the number of batches seen so far.
        batch_size: samples of one batch over all processes.
        rank: this process.
        world_size: number of processes; divides the batch size.
        last: the number of the last batch, which is given in any case; None goes on endlessly.
    """

    def __init__(
        self, step: Callable[[], int], batch_size: int, rank: int = 0, world_size: int = 1, last: int | None = None
    ) -> None:
        if batch_size % world_size:
            raise UserError(f"data.batch_size={batch_size}: is not divisible by the {world_size} processes")
        self.step = step
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.last = last

    def __iter__(self) -> Iterator[list[int]]:
        share = self.batch_size // self.world_size
        for step in itertools.count(self.step()):
            first = step * self.batch_size + self.rank * share
            yield list(range(first, first + share))
            if self.last is not None and step >= self.last:
                return


class PatchLoader(DataLoader[dict[str, Any]]):
    """A loader whose workers may begin before training asks for its first batch."""

    _begun: Iterator[dict[str, Any]] | None = None

    def begin(self) -> None:
        """Start the workers, which make the first batches while this process does something else."""
        self._begun = super().__iter__()

    def end(self) -> None:
        """End the workers that have begun, if their batches have not been asked for."""
        self._begun = None

    def __iter__(self) -> Any:
        begun, self._begun = self._begun, None
        return super().__iter__() if begun is None else begun


class WholeCases(Dataset[dict[str, Any]]):
    """Whole cases, normalised, as batches of one.

    Each is a dict: image (1, C, *S) float32 as the network sees it, and as arrays, since they are scored on the
    CPU, label, instances and `arrays`, the extra ones by name; spacing, case_id, group. The image may be cropped and
    resampled: `geometry` says how, and is None where it is not. All else is as decoded.

    Args:
        store: the decoded cases.
        cases: ids.
        network_input: what the network sees of a case.
        seen: the cases in the geometry in which networks see them.
        relabel: (256,) uint8, the class that each class of the label stands for; None keeps them.
    """

    def __init__(
        self,
        store: CaseStore,
        cases: Sequence[str],
        network_input: NetworkInput,
        seen: Seen,
        relabel: np.ndarray | None = None,
    ) -> None:
        self.store = store
        self.seen = seen
        self.cases = cases
        self.network_input = network_input
        self.relabel = relabel

    def loader(self) -> DataLoader[dict[str, Any]]:
        """One case after the other."""
        return DataLoader(self, batch_size=None, collate_fn=_as_it_is)

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> dict[str, Any]:
        case = self.store[self.cases[index]]
        return {
            "image": torch.from_numpy(self.network_input.of_case(self.seen.store[case.id]))[None],
            "geometry": self.seen.geometry(case.id),
            "label": np.asarray(case.label) if self.relabel is None else self.relabel[np.asarray(case.label)],
            "instances": None if case.instances is None else np.asarray(case.instances),
            "arrays": dict(case.arrays),
            "spacing": case.spacing,
            "case_id": case.id,
            "group": case.meta.group,
        }


def _as_it_is(case: Any) -> Any:
    return case


class DataModule(L.LightningDataModule):
    """Training patches and whole cases of one split of one data set.

    Attributes:
        dataset: names the classes.
        store: the decoded cases.
        seen: the cases in the geometry in which networks see them: those of the store, or prepared from them.
        split: which case is in which part.
        sampler: makes training sample number k.
        batch_size: samples of one optimizer step over all processes.
        workers: processes that make training samples; 0 makes them in the training process.
        gap_cases: how many training cases are predicted whole at each validation.
        batches: of the whole training, beyond which the workers make none; None does not say.
    """

    def __init__(
        self,
        dataset: CaseDataset,
        store: CaseStore,
        seen: Seen,
        split: Split,
        sampler: PatchSampler,
        batch_size: int,
        workers: int,
        gap_cases: int = 0,
        batches: int | None = None,
    ) -> None:
        super().__init__()
        self.dataset = dataset
        self.store = store
        self.seen = seen
        self.split = split
        self.sampler = sampler
        self.batch_size = batch_size
        self.workers = workers
        self.gap_cases = gap_cases
        self.batches = batches
        self._begun: PatchLoader | None = None

    def begin(self) -> None:
        """Let the workers of a training in one process, from its first step on, start before there is a trainer.

        Not where batches are pinned for a CUDA device, since which one that is, the trainer knows.
        """
        if self.workers and not torch.cuda.is_available():
            self._begun = self._patches()
            self._begun.begin()

    def end(self) -> None:
        """End the workers that have begun, if training never came to them."""
        if self._begun is not None:
            self._begun.end()

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Batches of patches from the trainer's step on; one more than training takes, so that it sees no end."""
        begun, self._begun = self._begun, None
        return self._patches() if begun is None else begun

    def _patches(self) -> PatchLoader:
        return PatchLoader(
            self.sampler,  # type: ignore[arg-type]  # what a loader needs of a data set is __getitem__
            batch_sampler=StepBatches(self._batches_done, self.batch_size, *self._place(), last=self.batches),  # type: ignore[arg-type]
            collate_fn=batch_of,
            num_workers=self.workers,
            worker_init_fn=obey_parent_alone,
            pin_memory=torch.cuda.is_available(),
            prefetch_factor=4 if self.workers else None,
        )

    def val_dataloader(self) -> list[DataLoader[Any]]:
        """The validation cases, and some training cases, the same every time, to see the gap between them."""
        loaders = [self._whole(self.split.validation)]
        if self.gap_cases:
            seen = self.split.train
            picked = [seen[index * len(seen) // self.gap_cases] for index in range(self.gap_cases)]
            loaders.append(self._whole(list(dict.fromkeys(picked))))
        return loaders

    def test_dataloader(self) -> DataLoader[Any]:
        """The test cases."""
        return self._whole(self.split.test)

    def _whole(self, cases: Sequence[str]) -> DataLoader[Any]:
        """This process's share of the cases, or None as its only case: without any Lightning would leave it out."""
        rank, world = self._place()
        mine = cases[rank::world]
        if not mine and world > 1:
            return DataLoader([None], batch_size=None, collate_fn=_as_it_is)  # type: ignore[arg-type, list-item]
        return WholeCases(self.store, mine, self.sampler.network_input, self.seen).loader()

    def _place(self) -> tuple[int, int]:
        """The number of this process, and how many there are."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _batches_done(self) -> int:
        return 0 if self.trainer is None else self.trainer.global_step * self.trainer.accumulate_grad_batches
