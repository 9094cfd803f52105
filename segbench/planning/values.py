"""Values of the configuration that a plan sets, axes in the order of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from segbench.planning.feature_maps import Layout
from segbench.planning.fingerprint import Fingerprint
from segbench.planning.planner import Planner

T = TypeVar("T")


def planned_values(planner: Planner, fingerprint: Fingerprint, patch: Sequence[int] | None) -> dict[str, Any]:
    """Plan a run: the values of `measured.plan`.

    Args:
        planner: whose `configuration` says which of its configurations.
        fingerprint: of the cases that are trained on.
        patch: where it is set by hand, to which network and batch are then fitted.

    Raises:
        UserError: where the data has no such configuration, or nothing fits.
    """
    plan = planner.plan(fingerprint)
    one = plan.choose(planner.configuration)
    dims = len(one.patch)
    axes = sorted(range(dims), key=plan.order[3 - dims :].__getitem__)  # of the data -> of the plan
    if patch is not None and len(patch) == dims:
        order = sorted(range(dims), key=axes.__getitem__)
        one = planner.with_patch(fingerprint, one, [patch[axis] for axis in order])
    values = network_values(one.layout, axes)
    return values | {"batch_size": one.batch, "spacing": _ordered(one.spacing, axes)}


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
