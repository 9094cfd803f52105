"""The fingerprint of decoded cases."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from segbench.data.case import Dataset
from segbench.data.case_meta import CaseMeta
from segbench.planning.fingerprint import Fingerprint


def measure_fingerprint(dataset: Dataset, cases: Sequence[CaseMeta], cropped: bool) -> Fingerprint:
    """The fingerprint of a data set, from what is known of its cases without opening them.

    Args:
        dataset: the data set.
        cases: of which it is taken; those that the data set fixes as test cases are left out.
        cropped: whether zeros around the body of a volume are cut off before it is trained on (`data.crop`).
    """
    cases = [case for case in cases if case.part != "test"]
    names = [*dataset.channel_names, *["image"] * dataset.channels][: dataset.channels]
    whole = [case.shape[1:] for case in cases]
    boxes = [tuple(last - first for first, last in case.nonzero or ()) for case in cases]
    shapes = [box if cropped and box else shape for box, shape in zip(boxes, whole, strict=True)]
    shares = [math.prod(shape) / math.prod(size) for shape, size in zip(shapes, whole, strict=True)]
    return Fingerprint(
        name=dataset.name,
        modality=tuple(names) if len(set(names)) > 1 else names[0],
        channels=dataset.channels,
        classes=len(dataset.classes),
        cases=len(cases),
        relative_size_after_cropping=statistics.median(shares),
        spacings=tuple(case.spacing for case in cases),
        shapes=tuple(shapes),
    )
