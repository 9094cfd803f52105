"""Aggregated Jaccard: the IoU of all objects together, each with its partner."""

from __future__ import annotations

import numpy as np

from segbench.metrics.direction import larger_is_better
from segbench.metrics.empty_masks import by_empty_rule
from segbench.metrics.object_matching import Indices, InstancePair


@larger_is_better
def aggregated_jaccard(pair: InstancePair) -> float:
    """Aggregated Jaccard index, AJI, 0 to 1 (Kumar et al., IEEE Transactions on Medical Imaging 36:1550, 2017).

    The shared pixels of each reference object and the predicted object with the largest IoU, over the pixels of both
    together and of all predicted objects that are nobody's partner. A predicted object may be the partner of several
    reference objects, and then counts several times, which `aggregated_jaccard_plus` mends.
    """

    def aji() -> float:
        order = np.lexsort((pair.iou, pair.columns))
        return _aggregated(pair, order[np.flatnonzero(np.diff(pair.columns[order], append=-1))])

    return by_empty_rule(pair.n_pred, pair.n_ref, worst=0.0, formula=aji)


@larger_is_better
def aggregated_jaccard_plus(pair: InstancePair) -> float:
    """AJI+, 0 to 1 (Graham et al., Medical Image Analysis 58:101563, 2019): AJI with one-to-one partners.

    The partners are those with the largest sum of IoUs.
    """
    return by_empty_rule(pair.n_pred, pair.n_ref, worst=0.0, formula=lambda: _aggregated(pair, pair.best_assignment))


def _aggregated(pair: InstancePair, entries: Indices) -> float:
    rows, columns = pair.rows[entries], pair.columns[entries]
    shared = pair.shared[entries].sum()
    of_partners = (pair.prediction_areas[rows] + pair.reference_areas[columns]).sum() - shared
    extra = pair.prediction_areas.sum() - pair.prediction_areas[np.unique(rows)].sum()
    missed = pair.reference_areas.sum() - pair.reference_areas[columns].sum()
    return float(shared / (of_partners + extra + missed))
