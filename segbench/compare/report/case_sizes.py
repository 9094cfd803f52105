"""The sizes of a data set's volumes, in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from segbench.compare.reading.runs import Run


def volume_text(runs: Iterable[Run], dataset: str) -> str:
    """Voxels and spacing of a data set's volumes: "24 x 64 x 64 voxels (98,304) of 3 x 1 x 1 mm".

    Medians, with the least and the most where they differ. Empty of images in 2D, and where no run recorded it.
    """
    for run in runs:
        sizes = run.record["dataset"].get("sizes")
        if run.dataset == dataset and sizes and len(sizes["shape"]) == 3:
            voxels = f"{math.prod(sizes['shape']):,.0f}"
            return f"{_range(sizes, 'shape')} voxels ({voxels}) of {_range(sizes, 'spacing')} mm"
    return ""


def _range(sizes: Mapping[str, Any], name: str) -> str:
    least, most = sizes[f"least_{name}"], sizes[f"most_{name}"]
    middle = _by(sizes[name])
    return middle if least == most else f"{middle} ({_by(least)} to {_by(most)})"


def _by(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:.4g}" for number in numbers)
