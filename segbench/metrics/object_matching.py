"""The objects of one case: their areas, what they share, and which belongs to which."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from segbench.metrics.empty_masks import EmptyDistance, resolve_empty_distance
from segbench.metrics.mask_pair import BoolArray, MaskPair

Instances = NDArray[np.integer]
Indices = NDArray[np.intp]
Areas = NDArray[np.int64]
Shares = NDArray[np.float64]
Box = tuple[slice, ...]


class InstancePair:
    """Predicted and reference objects of one case, and the table of the pixels they share.

    The table has an entry only where two objects overlap, so that thousands of objects are no trouble.
    Objects are addressed by index: 0, 1, ... in the order of their numbers in the map.

    Args:
        prediction: non-negative integers (*S): an object's pixels carry its number, 0 is background.
        reference: the same; the numbers of the two need not correspond.
        spacing: size of a pixel along each axis of S; distances are in its unit.
        ignored: bool (*S), the pixels that count for nothing, or None.
        empty_distance: the distance where one side has no object.

    Attributes:
        spacing: as given.
        empty_distance: as a number, in the unit of the spacing.
        prediction_areas: (P,) pixels of each predicted object.
        reference_areas: (R,) pixels of each reference object.
        rows: (M,) predicted object of each entry of the table.
        columns: (M,) reference object of each entry.
        shared: (M,) pixels that the two share, at least 1.

    Raises:
        ValueError: if shapes differ, a number is negative, or the spacing does not fit the shape.
    """

    def __init__(
        self,
        prediction: Instances,
        reference: Instances,
        spacing: Sequence[float],
        ignored: BoolArray | None = None,
        empty_distance: EmptyDistance = "diagonal",
    ) -> None:
        if prediction.shape != reference.shape:
            raise ValueError(f"shapes differ: prediction {prediction.shape}, reference {reference.shape}")
        if min(prediction.min(initial=0), reference.min(initial=0)) < 0:
            raise ValueError("the number of an object must not be negative")
        self.spacing = tuple(float(step) for step in spacing)
        self.empty_distance = resolve_empty_distance(empty_distance, prediction.shape, self.spacing)
        if ignored is not None:
            prediction, reference = np.where(ignored, 0, prediction), np.where(ignored, 0, reference)
        self._prediction, self._reference = prediction, reference
        self._matched: dict[float, Indices] = {}

        # One key per pixel holds both numbers. Neighbours mostly agree: sort runs of pixels, not pixels.
        keys = (prediction.astype(np.int64) << 32 | reference.astype(np.int64)).reshape(-1)
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        values, run_value = np.unique(keys[starts], return_inverse=True)
        counts = np.bincount(run_value, np.diff(starts, append=keys.size)).astype(np.int64)
        predicted, true = values >> 32, values & 0xFFFFFFFF

        self._prediction_numbers, self.prediction_areas = _areas(predicted, counts)
        self._reference_numbers, self.reference_areas = _areas(true, counts)
        both = (predicted > 0) & (true > 0)
        self.rows: Indices = np.searchsorted(self._prediction_numbers, predicted[both])
        self.columns: Indices = np.searchsorted(self._reference_numbers, true[both])
        self.shared: Areas = counts[both]

    @property
    def n_pred(self) -> int:
        """Number of predicted objects."""
        return len(self.prediction_areas)

    @property
    def n_ref(self) -> int:
        """Number of reference objects."""
        return len(self.reference_areas)

    @cached_property
    def dice(self) -> Shares:
        """(M,) Dice coefficient of each entry of the table."""
        return 2 * self.shared / (self.prediction_areas[self.rows] + self.reference_areas[self.columns])

    @cached_property
    def iou(self) -> Shares:
        """(M,) intersection over union of each entry of the table."""
        areas = self.prediction_areas[self.rows] + self.reference_areas[self.columns]
        return self.shared / (areas - self.shared)

    @cached_property
    def most_shared(self) -> Indices:
        """The entry with the most pixels, then the largest Dice, of each predicted object that has any."""
        order = np.lexsort((self.dice, self.shared, self.rows))
        return order[np.flatnonzero(np.diff(self.rows[order], append=-1))]

    @cached_property
    def swapped(self) -> InstancePair:
        """The same case with prediction and reference in each other's place."""
        return InstancePair(self._reference, self._prediction, self.spacing, empty_distance=self.empty_distance)

    @cached_property
    def _labels(self) -> tuple[Indices, Indices]:
        """(*S) index + 1 of the object at each pixel, 0 = background: prediction, reference."""
        return (
            np.searchsorted(self._prediction_numbers, self._prediction, side="right"),
            np.searchsorted(self._reference_numbers, self._reference, side="right"),
        )

    @cached_property
    def boxes(self) -> tuple[list[Box], list[Box]]:
        """The bounding box of every predicted and of every reference object."""
        predicted, true = self._labels
        return ndimage.find_objects(predicted), ndimage.find_objects(true)

    @cached_property
    def centroids(self) -> tuple[Shares, Shares]:
        """(P, len(S)) and (R, len(S)) centres of gravity of the objects, in the unit of the spacing."""
        found = []
        for labels, areas in zip(self._labels, (self.prediction_areas, self.reference_areas), strict=True):
            places = np.flatnonzero(labels)
            index = labels.reshape(-1)[places] - 1
            axes = np.unravel_index(places, labels.shape)
            sums = [np.bincount(index, axis, minlength=len(areas)) for axis in axes]
            found.append(np.stack(sums, axis=1) / areas[:, None] * self.spacing)
        return found[0], found[1]

    def masks(self, row: int, column: int) -> MaskPair:
        """A predicted and a reference object as masks, in the smallest box that holds both."""
        sides = zip(self.boxes[0][row], self.boxes[1][column], strict=True)
        box = tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in sides)
        predicted, true = self._labels
        return MaskPair(predicted[box] == row + 1, true[box] == column + 1, self.spacing)

    def matched_iou(self, threshold: float) -> Shares:
        """IoU of each pair of `matches`."""
        return self.iou[self.matches(threshold)]

    def matches(self, threshold: float) -> Indices:
        """The entries of the one-to-one matching of objects whose IoU exceeds a threshold; computed once for each.

        From 0.5 on no object can have two partners. Below, the matching has as many pairs as there can
        be and, of those, the largest sum of IoUs (Hungarian method), as in StarDist.
        """
        if threshold not in self._matched:
            entries = np.flatnonzero(self.iou > threshold)
            if threshold < 0.5 and entries.size:
                # All IoUs together weigh less than one object without a partner.
                entries = self._assigned(entries, 1 - self.iou[entries] / (2 * self.n_pred), alone=2.0)
            self._matched[threshold] = entries
        return self._matched[threshold]

    @cached_property
    def best_assignment(self) -> Indices:
        """The entries of the one-to-one matching of objects with the largest sum of IoUs."""
        return self._assigned(np.arange(len(self.iou)), 2 - self.iou, alone=2.0)

    def _assigned(self, entries: Indices, costs: Shares, alone: float) -> Indices:
        """The entries of the cheapest one-to-one matching, where a predicted object without partner costs `alone`."""
        if not entries.size:
            return entries
        rows, columns = self.rows[entries], self.columns[entries]
        dummies = np.arange(self.n_pred)
        weights = np.concatenate([costs, np.full(self.n_pred, alone)])
        ends = np.concatenate([rows, dummies]), np.concatenate([columns, self.n_ref + dummies])
        row, column = min_weight_full_bipartite_matching(coo_array((weights, ends)).tocsr())
        partner = np.full(self.n_pred, -1)
        partner[row] = column
        chosen: Indices = entries[partner[rows] == columns]
        return chosen


def _areas(numbers: NDArray[np.int64], counts: Areas) -> tuple[NDArray[np.int64], Areas]:
    """The objects' numbers, ascending and without the background, and their pixels."""
    unique, inverse = np.unique(numbers, return_inverse=True)
    areas = np.bincount(inverse, counts, minlength=len(unique)).astype(np.int64)
    return unique[unique > 0], areas[unique > 0]
