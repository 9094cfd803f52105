"""Values of the configuration that a plan sets, axes in the order of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from segbench.errors import UserError
from segbench.planning.feature_maps import Layout
from segbench.planning.fingerprint import Fingerprint
from segbench.planning.plan import Configuration, Plan
from segbench.planning.planner import Planner

T = TypeVar("T")


_NORMALIZATIONS = {
    "CTNormalization": "ct",
    "NoNormalization": "none",
    "RGBTo01Normalization": "unit",
    "ZScoreNormalization": "zscore",
}
"""Word of nnU-Net -> value of `data.normalize`."""


def planned_values(
    planner: Planner, fingerprint: Fingerprint, patch: Sequence[int] | None, slice_axis: int | None = None
) -> dict[str, Any]:
    """Plan a run: the values of `measured.plan`.

    Args:
        planner: whose `configuration` says which of its configurations.
        fingerprint: of the cases that are trained on.
        patch: where it is set by hand, to which network and batch are then fitted.
        slice_axis: along which a 2D network sees slices of volumes.

    Raises:
        UserError: where the data has no such configuration, it is of other slices, or nothing fits.
    """
    if slice_axis is not None and planner.configuration == "auto":
        planner = replace(planner, configuration="2d")
    plan = planner.plan(fingerprint)
    one = plan.choose(planner.configuration)
    dims = len(one.patch)
    _check_slices(fingerprint, plan, dims, slice_axis)
    axes = sorted(range(dims), key=plan.order[3 - dims :].__getitem__)  # of the data -> of the plan
    if patch is not None and len(patch) == dims:
        order = sorted(range(dims), key=axes.__getitem__)
        one = planner.with_patch(fingerprint, one, [patch[axis] for axis in order])
    values = network_values(one.layout, axes)
    spacing: list[float | None] = _ordered(one.spacing, axes)
    if dims < fingerprint.dims:
        spacing.insert(plan.order[0], None)  # slices stay where they are
    return values | {"batch_size": one.batch, "spacing": spacing, "normalize": normalizations(one)}


def normalizations(one: Configuration) -> list[str]:
    """The value of `data.normalize` for each channel.

    Of channels of several kinds none is normalised within the body alone.

    Raises:
        UserError: where there is none for a channel.
    """
    for scheme in one.schemes:
        if scheme not in _NORMALIZATIONS:
            known = ", ".join(_NORMALIZATIONS)
            raise UserError(
                f"a channel is planned to have {scheme}, of which there is none here ({known}); set data.normalize"
            )
    if all(one.masked):
        return ["nonzero"] * len(one.schemes)
    return [_NORMALIZATIONS[scheme] for scheme in one.schemes]


def _check_slices(fingerprint: Fingerprint, plan: Plan, dims: int, slice_axis: int | None) -> None:
    """Check that a network for slices is planned for those that it gets."""
    if fingerprint.dims == 2 or (dims == 3 and slice_axis is None):
        return
    if slice_axis is None:
        raise UserError("plan.configuration=2d: is for slices of volumes; say which, such as data.slices=axial")
    if dims == 3:
        raise UserError("data.slices: slices are for plan.configuration=2d (or auto)")
    if slice_axis != plan.order[0]:
        raise UserError(
            f"data.slices: they follow each other along axis {slice_axis}; planned are those along axis"
            f" {plan.order[0]}, across the longest voxels: choose these, or a network that is not planned (nnunet_2d)"
        )


def network_values(layout: Layout, axes: Sequence[int] | None = None) -> dict[str, Any]:
    """The values of a network and its patch.

    Args:
        layout: the network.
        axes: for each axis of the data the one of the plan; None: the same.
    """
    topology = layout.topology
    axes = range(len(topology.patch)) if axes is None else axes
    return {
        "patch_size": _ordered(topology.patch, axes),
        "features": list(layout.features),
        "strides": [_ordered(stride, axes) for stride in topology.strides],
        "kernels": [_ordered(kernel, axes) for kernel in topology.kernels],
        "convs": list(layout.encoder),
        "decoder_convs": list(layout.decoder),
    }


def _ordered(values: Sequence[T], axes: Sequence[int]) -> list[T]:
    return [values[axis] for axis in axes]
