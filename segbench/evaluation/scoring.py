"""The scores of one case, from its label map to its rows in `cases.csv`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from segbench.data.labels.region_classes import RegionClasses, region_masks
from segbench.errors import UserError
from segbench.metrics.empty_masks import EmptyDistance
from segbench.metrics.score import ClassMetric, ObjectMetric, score_case, score_objects, score_regions

if TYPE_CHECKING:
    from segbench.evaluation.probabilities import ProbabilityMetric, ProbabilityScores

Row = dict[str, Any]


class Scorer(Protocol):
    """A function that scores one case."""

    @property
    def background(self) -> int | None:
        """The class left out, or None."""

    @property
    def scores_objects(self) -> bool:
        """True where predicted objects are of use."""

    def __call__(
        self,
        label: np.ndarray,
        instances: np.ndarray | None,
        case: Mapping[str, Any],
        regions: np.ndarray | None = None,
        probabilities: ProbabilityScores | None = None,
    ) -> list[Row]:
        """Return one row per class or region and metric."""

    def probabilities(self, case: Mapping[str, Any]) -> ProbabilityScores | None:
        """Return the counter of a case's probabilities while it is predicted, None where no metric is of them."""


@dataclass(frozen=True)
class CaseScorer:
    """A scorer of the cases of one data set by one set of metrics.

    Attributes:
        classes: names, by class index.
        background: the class left out, or None.
        class_metrics: functions of a mask pair, by name.
        object_metrics: functions of an instance pair, by name; used where a case has instances.
        empty_distance: the distance where a class is in only one of prediction and reference.
        columns: what every row starts with: dataset, split, fold, seed.
        regions: the classes of each region, by name.
        scored: "classes", "regions" or both.
        probability_metrics: functions of the counts of a class's probabilities, by name.

    Raises:
        UserError: where `scored` is something else, regions are missing, or a region has the name of a class.
    """

    classes: Sequence[str]
    background: int | None
    class_metrics: Mapping[str, ClassMetric]
    object_metrics: Mapping[str, ObjectMetric] = field(default_factory=dict)
    empty_distance: EmptyDistance = "diagonal"
    columns: Mapping[str, Any] = field(default_factory=dict)
    regions: RegionClasses = field(default_factory=dict)
    scored: Sequence[str] = ("classes",)
    probability_metrics: Mapping[str, ProbabilityMetric] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.scored or not set(self.scored) <= {"classes", "regions"}:
            raise UserError(
                f"task.scores=[{', '.join(self.scored)}]: must be [classes], [regions] or [classes, regions]"
            )
        if "regions" in self.scored and not self.regions:
            raise UserError("task.scores: there are no regions; name them in data.regions")
        twice = [name for name in self.regions if name in self.classes]
        if len(self.scored) > 1 and twice:
            raise UserError(f"data.regions.{twice[0]}: is a class, too; both are scored, so rename the region")

    @property
    def scores_objects(self) -> bool:
        """True where predicted objects are of use."""
        return bool(self.object_metrics)

    def probabilities(self, case: Mapping[str, Any]) -> ProbabilityScores | None:
        """The counter of the probabilities of a case while it is predicted, None where no metric is of them."""
        if not self.probability_metrics:
            return None
        from segbench.evaluation.probabilities import ProbabilityScores  # only now is PyTorch imported

        return ProbabilityScores(case["label"], self.classes, self.regions, self.background)

    def __call__(
        self,
        label: np.ndarray,
        instances: np.ndarray | None,
        case: Mapping[str, Any],
        regions: np.ndarray | None = None,
        probabilities: ProbabilityScores | None = None,
    ) -> list[Row]:
        """One row per class or region and metric.

        Args:
            label: predicted classes (*S).
            instances: predicted objects (*S), or None.
            case: the reference: label, instances, spacing, case_id, group.
            regions: predicted masks of the regions (R, *S); None: those of the predicted classes.
            probabilities: what has counted those of the case.
        """
        scores = []
        if "classes" in self.scored:
            scores += score_case(
                label, case["label"], case["spacing"], self.classes, self.class_metrics,
                background=self.background, empty_distance=self.empty_distance,
            )  # fmt: skip
        if "regions" in self.scored:
            masks = region_masks(label, self.regions) if regions is None else regions
            scores += score_regions(
                masks, case["label"], case["spacing"], self.regions, self.class_metrics,
                empty_distance=self.empty_distance,
            )  # fmt: skip
        if instances is not None and case["instances"] is not None:
            scores += score_objects(
                instances, case["instances"], case["spacing"], self.object_metrics,
                label=case["label"], empty_distance=self.empty_distance,
            )  # fmt: skip
        if probabilities is not None:
            scores += probabilities.scores(self.probability_metrics)
        start = {**self.columns, "case": case["case_id"], "group": case["group"]}
        return [
            {
                **start,
                "class": score.class_name,
                "metric": score.metric,
                "value": score.value,
                "n_ref": score.n_ref,
                "n_pred": score.n_pred,
            }
            for score in scores
        ]
