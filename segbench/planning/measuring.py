"""The fingerprint of decoded cases."""

from __future__ import annotations

from collections.abc import Sequence

from segbench.data.case import Dataset
from segbench.data.case_meta import CaseMeta
from segbench.planning.fingerprint import Fingerprint


def measure_fingerprint(dataset: Dataset, cases: Sequence[CaseMeta]) -> Fingerprint:
    """The fingerprint of a data set, from what is known of its cases without opening them.

    Args:
        dataset: the data set.
        cases: of which it is taken; those that the data set fixes as test cases are left out.
    """
    cases = [case for case in cases if case.part != "test"]
    return Fingerprint(
        name=dataset.name,
        modality=getattr(dataset, "modality", "image"),
        channels=dataset.channels,
        classes=len(dataset.classes),
        cases=len(cases),
        relative_size_after_cropping=1.0,
        spacings=tuple(case.spacing for case in cases),
        shapes=tuple(case.shape[1:] for case in cases),
    )
