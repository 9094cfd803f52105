"""Several annotators: predictions scored against each of them, and each of them against the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from segbench.data.labels.connected_regions import connected_regions
from segbench.data.store import CaseStore
from segbench.errors import UserError
from segbench.evaluation.scoring import CaseScorer, Row

REFERENCES, ANNOTATORS = "references", "annotators"
"""Folders of a run: predictions scored against an annotator, and annotators scored against the reference."""


def check_references(names: Sequence[str], store: CaseStore) -> None:
    """Check that the cases have a label map of each annotator.

    Raises:
        UserError: naming the first that is missing.
    """
    for name in names:
        spec = store.arrays.get(name)
        if spec is None or spec.classes is None:
            known = [array for array, form in store.arrays.items() if form.classes is not None]
            there = f"there are {', '.join(known)}" if known else "there are none"
            raise UserError(
                f"metrics.references: the cases have no label map {name!r}; {there}"
                " (data.dataset.arrays={NAME: {folder: FOLDER, labels: true}})"
            )


def score_annotators(
    names: Sequence[str],
    store: CaseStore,
    cases: Sequence[str],
    scorer: CaseScorer,
    predicted: Callable[[str], tuple[np.ndarray, np.ndarray | None]],
    object_classes: Sequence[int],
) -> dict[str, list[Row]]:
    """The rows of a table for each annotator and direction, by its path in the run directory.

    Args:
        names: of the annotators' label maps among the arrays of the cases.
        store: the cases.
        cases: the test cases.
        scorer: that of the test cases.
        predicted: the label map of a case and its regions, None where these follow from it.
        object_classes: the classes whose connected regions are an annotator's objects.
    """
    pixels = replace(
        scorer, object_metrics={}
    )  # nobody has numbered an annotator's objects, nor kept the predicted ones
    tables: dict[str, list[Row]] = {}
    for name in names:
        against, human = tables.setdefault(f"{REFERENCES}/{name}.csv", []), []
        for case_id in cases:
            case = store[case_id]
            drawn = np.asarray(case.arrays[name])
            facts = {"case_id": case.id, "group": case.meta.group, "spacing": case.spacing}
            label, regions = predicted(case_id)
            against += pixels(label, None, {**facts, "label": drawn, "instances": None}, regions)
            objects = connected_regions(drawn, object_classes) if case.instances is not None else None
            human += scorer(drawn, objects, {**facts, "label": case.label, "instances": case.instances})
        tables[f"{ANNOTATORS}/{name}.csv"] = human
    return tables
