"""Metrics of torchmetrics as functions of one class of one case.

The Hausdorff distance of torchmetrics 1.9.0 is not to be trusted: it is right on square images alone, infinite where
one mask is empty, and fails where both are. With masks of 6 x 10 pixels:

    import torch
    from torchmetrics.functional.segmentation import hausdorff_distance

    a, b = torch.zeros(2, 1, 6, 10, dtype=torch.bool)
    a[:, 1:4, 1:4], b[:, 3:5, 3:6] = True, True
    both = [torch.stack([~mask, mask], dim=1).long() for mask in (a, b)]
    hausdorff_distance(*both, num_classes=2, include_background=False)  # 6.7082; it is sqrt(8) = 2.8284

`segbench.metrics.surface.hd` and `hd95` are right there, and know spacings.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torchmetrics import Metric

from segbench.data.case import IGNORE
from segbench.errors import as_line
from segbench.metrics.direction import direction_of
from segbench.metrics.mask_pair import BoolArray, MaskPair
from segbench.runs.criterion import Direction

PROBE = (6, 10)
"""Pixels of the masks that a metric is tried on before it is used: not square."""


class CaseMetric:
    """A metric of torchmetrics as a function of a `MaskPair`.

    It is given both masks as (1, *S) integers, 1 in the class. Pixels that count for nothing are marked by the metric's
    own `ignore_index` where it has one, and are else outside the class in both.

    Empty masks follow `empty_masks.by_empty_rule` as far as the library knows no better: a class that both lack is NaN,
    and where the library finds no finite number the value is the worst there is, 0 or `MaskPair.empty_distance`.

    Args:
        metric: with one number as its value.
        direction: which values are better, for a metric that does not say so itself.

    Raises:
        ValueError: where it cannot score masks, or has several values.
    """

    def __init__(self, metric: Metric, direction: Direction | None = None) -> None:
        self.metric = metric
        self.marks = hasattr(metric, "ignore_index")
        if self.marks:
            metric.ignore_index = IGNORE
        # The cases of one process are none of the others'.
        metric.sync_on_compute = metric._to_sync = False
        self.worst_is_zero = (direction_of(metric) or direction) != "smaller"
        self._try()

    @property
    def higher_is_better(self) -> bool | None:
        """The direction as the library states it, None where it does not."""
        stated: bool | None = self.metric.higher_is_better
        return stated

    def __call__(self, pair: MaskPair) -> float:
        """Score one class of one case."""
        if pair.n_pred == pair.n_ref == 0:
            return math.nan
        value = self._value(*pair.whole)
        if math.isfinite(value):
            return value
        return 0.0 if self.worst_is_zero else pair.empty_distance

    def _value(self, prediction: BoolArray, reference: BoolArray, ignored: BoolArray | None) -> float:
        found, true = prediction.astype(np.int64), reference.astype(np.int64)
        if ignored is not None:
            found[ignored], true[ignored] = 0, IGNORE if self.marks else 0
        self.metric.reset()
        self.metric.update(torch.from_numpy(found)[None], torch.from_numpy(true)[None])
        return float(self.metric.compute())

    def _try(self) -> None:
        prediction, reference = np.zeros((2, *PROBE), dtype=bool)
        prediction[1:4, 1:4], reference[3:5, 3:6] = True, True
        try:
            self._value(prediction, reference, None)
        except Exception as error:  # whatever a library fails by
            name, size = type(self.metric).__name__, " x ".join(map(str, PROBE))
            raise ValueError(f"{name} cannot score masks of {size} pixels ({as_line(error)})") from error
