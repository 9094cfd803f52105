"""The training of a model without gradients: fitted once, validated once, and kept like any other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import lightning as L
import numpy as np

from segbench.data.datamodule import DataModule
from segbench.models.estimator import Estimator, TrainingCase
from segbench.training.checkpoints import Checkpoints
from segbench.training.module import SegmentationModule
from segbench.training.stopper import Stopper


class FittingCases(Sequence[TrainingCase]):
    """The training cases of a split, each opened when it is asked for; a stop signal is heard before.

    Args:
        data: the cases and how they are normalised.
        stopper: knows whether the run should stop.
    """

    def __init__(self, data: DataModule, stopper: Stopper) -> None:
        self.data = data
        self.stopper = stopper

    def __len__(self) -> int:
        return len(self.data.split.train)

    @overload
    def __getitem__(self, index: int) -> TrainingCase: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[TrainingCase]: ...

    def __getitem__(self, index: int | slice) -> TrainingCase | Sequence[TrainingCase]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        self.stopper.check()
        case = self.data.seen.store[self.data.split.train[index]]
        return TrainingCase(self.data.sampler.network_input.of_case(case), np.asarray(case.label), case.spacing)


def fit(module: SegmentationModule, data: DataModule, trainer: L.Trainer, checkpoints: Checkpoints) -> None:
    """Fit the module's model, score the validation cases, and write both checkpoints.

    A run that is stopped or killed here begins anew: the fit is a function of the training cases and the seed.

    Raises:
        Stopped: on a signal.
    """
    assert isinstance(module.model, Estimator)
    checkpoints.on_train_start(trainer, module)
    module.model.fit(FittingCases(data, checkpoints.stopper))
    checkpoints.on_train_end(trainer, module)
    trainer.validate(module, data, verbose=False)
    checkpoints.keep(trainer)
