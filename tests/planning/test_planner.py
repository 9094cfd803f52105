"""The planners against plans that nnU-Net 2.8.1 made, and against what the papers print."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from segbench.errors import UserError
from segbench.planning.fingerprint import fingerprint_of
from segbench.planning.topology import by_spacing
from tests.planning.planners import alike, planner

ROWS = json.loads(gzip.decompress((Path(__file__).parent / "nnunet_plans.json.gz").read_bytes()))
PLANNERS = {
    "default": ("nnunet",),
    "default_24GB": ("nnunet", "plan.memory_gb=24"),
    "residual_M": ("nnunet_residual_m",),
}
PLANS = [(row["name"], kind) for row in ROWS for kind in row["plans"]]
LEFT_OVER = {(name, "default_24GB") for name in ("spleen_ct", "made_00", "made_03", "made_09", "made_12", "made_24")}
"""Plans with a low resolution and a cascade that are those of the 8 GB plan: nnU-Net keeps what an earlier plan of the
same file has and the new one has not. With 24 GB a patch covers a quarter of the median case: none is planned."""


def row(name):
    return next(one for one in ROWS if one["name"] == name)


@pytest.mark.parametrize(("name", "kind"), PLANS)
def test_plans_are_those_of_nnunet(name, kind):
    expected = row(name)["plans"][kind]
    if (name, kind) in LEFT_OVER:
        configurations = dict(expected["configurations"])
        assert configurations.pop("3d_lowres") == row(name)["plans"]["default"]["configurations"]["3d_lowres"]
        configurations.pop("3d_cascade_fullres")
        expected = expected | {"configurations": configurations}
    plan = planner(*PLANNERS[kind]).plan(fingerprint_of(row(name), name))
    assert json.loads(json.dumps(plan.as_json())) == expected


@pytest.mark.parametrize(
    ("spacing", "patch", "halved", "strides", "kernels"),
    [
        ((1, 1, 1), (128, 128, 128), [5, 5, 5], None, None),
        ((1, 1, 1), (40, 56, 40), [3, 3, 3], None, None),
        (
            (5, 1, 1),
            (20, 256, 256),
            [2, 6, 6],
            [(1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2), (1, 2, 2)],
            [(1, 3, 3), (1, 3, 3), *[(3, 3, 3)] * 5],
        ),
        ((1, 1), (512, 512), [7, 7], None, None),
        ((1, 1), (256, 256), [6, 6], None, None),
    ],
)
def test_worked_examples_of_the_topology(spacing, patch, halved, strides, kernels):
    topology = by_spacing(spacing, patch)
    assert [int(np.log2(step)) for step in topology.divisor] == halved
    assert len(topology.strides) == len(topology.kernels) == max(halved) + 1
    assert topology.patch == patch
    if strides is not None:
        assert [*topology.strides] == strides
        assert [*topology.kernels] == kernels


@pytest.mark.parametrize("name", ["nnunet", "nnunet_residual_m", "nnunet_residual_l", "nnunet_2019", "nnunet_2018"])
@pytest.mark.parametrize(
    ("shape", "spacing"), [((60, 500, 400), (5.0, 0.8, 0.8)), ((200, 180, 160), (1.0, 1.0, 1.0)), ((300, 500), (1, 1))]
)
def test_every_plan_holds_together(name, shape, spacing):
    plan = planner(name).plan(alike(shape, spacing))
    for one in plan.configurations.values():
        topology = one.layout.topology
        assert all(size % step == 0 for size, step in zip(topology.patch, topology.divisor, strict=True))
        assert len(topology.strides) == len(topology.kernels) == len(one.layout.features) == len(one.layout.encoder)
        assert len(one.layout.decoder) == len(one.layout.features) - 1
        assert one.batch >= 2
        assert topology.strides[0] == (1,) * len(topology.patch)
    assert (plan.full is None) == (len(shape) == 2)


def test_the_decathlon_table_of_2018():
    """Hippocampus as arXiv 1809.10486 prints it: 260 cases of 36 x 50 x 35 voxels; 3D 40 x 56 x 40, nine a batch."""
    plan = planner("nnunet_2018").plan(alike((36, 50, 35), (1.0, 1.0, 1.0), cases=260))
    assert (plan.full.patch, plan.full.batch) == ((40, 56, 40), 9)
    assert plan.full.layout.topology.divisor == (8, 8, 8)
    assert (plan.plane.patch, plan.plane.batch) == ((56, 40), 366)
    assert plan.low is None


def test_april_2019():
    """An axis with fewer poolings begins later; slices stay whole; 30 features at the top, no more than 320."""
    plan = planner("nnunet_2019").plan(alike((20, 320, 320), (3.6, 0.62, 0.62), modality="MRI", channels=2))
    topology = plan.full.layout.topology
    halved = [tuple(np.array(stride) == 2) for stride in topology.strides[1:]]
    first = [axis[0] for axis in halved]
    assert first == sorted(first)  # the thick axis is halved in the last stages alone
    assert sum(first) == 2
    assert plan.full.layout.features[:5] == (30, 60, 120, 240, 320)
    assert plan.plane.patch == (320, 320)
    low = planner("nnunet_2019").plan(alike((250, 500, 500), (1.0, 0.8, 0.8))).low
    assert np.prod(low.median_shape) <= 4 * 64 * 192 * 160


def test_more_memory_larger_patches():
    sizes = [
        np.prod(planner("nnunet", f"plan.memory_gb={gb}").plan(alike((200, 400, 400), (1.0, 0.8, 0.8))).full.patch)
        for gb in (4, 8, 24)
    ]
    assert sizes == sorted(set(sizes))


def test_too_little_memory_is_one_line():
    with pytest.raises(UserError, match=r"plan\.memory_gb=1e-06: no patch is small enough"):
        planner("nnunet", "plan.memory_gb=1e-6").plan(alike((200, 200, 200), (1.0, 1.0, 1.0)))
