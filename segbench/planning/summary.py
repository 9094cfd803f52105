"""A plan in ten lines: what was found, what was chosen, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from segbench.planning.fingerprint import Fingerprint
from segbench.planning.plan import Configuration, Plan


def summarise(fingerprint: Fingerprint, plan: Plan) -> list[str]:
    """The lines for a person."""
    spacings, shapes = np.array(fingerprint.spacings), np.array(fingerprint.shapes)
    main = plan.full or plan.plane
    modalities = ", ".join(dict.fromkeys(fingerprint.modalities))
    lines = [
        f"found: {fingerprint.cases} cases of {fingerprint.name}, {fingerprint.channels} channels ({modalities}),"
        f" {fingerprint.classes} classes",
        f"sizes: {_range(shapes)} voxels, median {_by(np.median(shapes, axis=0))}; spacing {_range(spacings)}",
        f"grid: spacing {_by(main.spacing)}, median case {_by(main.median_shape)}: {_why(plan)}",
        "axes: two, so that nothing is planned in 3D"
        if plan.full is None
        else f"axes: in the order {', '.join(map(str, plan.order))}, that of the longest voxels first",
        f"normalisation: {', '.join(dict.fromkeys(main.schemes))}"
        + (", inside the non-zero mask" if any(main.masked) else ", of the whole image"),
    ]
    lines += [
        _line(name, one)
        for name, one in (("2d", plan.plane), ("3d_fullres", plan.full), ("3d_lowres", plan.low))
        if one is not None
    ]
    if plan.full is not None:
        share = math.prod(plan.full.patch) / math.prod(plan.full.median_shape)
        lines.append(
            f"cascade: {'yes' if plan.low else 'no'}, as a patch covers {min(share, 1):.0%} of the median case"
            + (", less than the quarter that shows the network its surroundings" if plan.low else "")
        )
    return lines


def _why(plan: Plan) -> str:
    coarse = plan.coarse and plan.full is not None
    return "the 10th percentile along the first axis, whose slices are few and thick" if coarse else "the median"


def _line(name: str, one: Configuration) -> str:
    pools = [int(math.log2(step)) for step in one.layout.topology.divisor]
    return (
        f"{name}: patches of {_by(one.patch)}, {one.batch} a batch, {len(one.layout.features)} stages of"
        f" {one.layout.features[0]} to {one.layout.features[-1]} channels, axes halved {', '.join(map(str, pools))}"
        f" times: about {one.memory_gb:.1f} GB"
    )


def _range(rows: np.ndarray) -> str:
    least, most = rows.min(axis=0), rows.max(axis=0)
    return _by(least) if (least == most).all() else f"{_by(least)} to {_by(most)}"


def _by(numbers: Sequence[float] | np.ndarray) -> str:
    return " x ".join(f"{number:.4g}" for number in numbers)
