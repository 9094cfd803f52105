"""A run whose model is planned: values of its own data, by hand where they are set, kept for predictions."""

import json

import numpy as np
import pytest
import yaml

from segbench.config.identity import run_id
from segbench.config.instantiation import build
from segbench.errors import UserError
from segbench.planning.fingerprint import Fingerprint
from segbench.planning.values import planned_values
from segbench.training import assembly
from tests.made_runs import configure, execute

SMALL = (
    "data.dataset.cases=10", "data.dataset.size=[96,96]", "data.workers=0", "trainer=debug", "trainer.progress=false",
    "metrics=overlap", "logger=csv", "plan.plane.features=4", "plan.plane.most_features=8", "augmentation=none",
)  # fmt: skip


def planned(*overrides):
    config = configure("model=nnunet", *SMALL, *overrides)
    data = assembly.build_data(config)
    return config, data


def test_all_folds_have_the_same_plan():
    plans = [planned(f"fold={fold}")[0].measured.plan for fold in (0, 4)]
    assert plans[0] == plans[1]


def test_patch_batch_and_network_are_planned():
    config, data = planned()
    assert list(config.data.patch_size) == [96, 96]
    assert config.data.batch_size == data.batch_size == 2
    assert list(config.model.channels) == [4, *[8] * (len(config.model.channels) - 1)]
    assert list(config.inference.window) == [96, 96]
    module = assembly.build_module(config, assembly.Labels.of(data.dataset))
    assert len(module.model.encoder) == len(config.model.strides) == 5  # 96 is halved four times to 6


def test_what_is_set_by_hand_counts_and_the_rest_follows():
    config, _ = planned("data.patch_size=[32,32]", "data.batch_size=3", "model.kernels=[[3,3],[3,3],[5,5],[3,3]]")
    assert list(config.data.patch_size) == [32, 32]
    assert config.data.batch_size == 3
    assert [list(stride) for stride in config.model.strides] == [[1, 1], [2, 2], [2, 2], [2, 2]]
    assert list(config.model.kernels[2]) == [5, 5]


def test_the_plan_is_part_of_the_identity():
    ids = {
        run_id(configure("model=nnunet", *overrides))
        for overrides in ([], ["plan.memory_gb=4"], ["planner=nnunet_2019"], ["data.patch_size=[64,64]"],
                          ["data.batch_size=4"], ["model.channels=[4,8]"])
    }  # fmt: skip
    assert len(ids) == 6


def test_a_run_keeps_its_plan(tmp_path):
    directory = execute(tmp_path / "run", "model=nnunet", *SMALL, "trainer.max_steps=2", tiny=False)
    assert directory.status == "finished"
    config = yaml.safe_load((directory.path / "config.yaml").read_text())
    assert config["measured"]["plan"]["patch_size"] == config["data"]["patch_size"] == [96, 96]
    record = json.loads((directory.path / "run.json").read_text())
    assert record["budget"]["batch_size"] == config["data"]["batch_size"] == 2
    again = execute(tmp_path / "run", "model=nnunet", *SMALL, "trainer.max_steps=2", tiny=False)
    assert again.record["id"] == record["id"]


VOLUMES = (
    *SMALL[1:], "data=synthetic_volumes", "data.dataset.cases=6", "data.dataset.size=[12,24,24]", "metrics=overlap",
    "plan.volume.features=4", "plan.volume.most_features=8", "folds=3",
)  # fmt: skip


def planned_volumes(*overrides):
    config = configure("model=nnunet", *(one for one in VOLUMES if "size=[96" not in one), *overrides)
    data = assembly.build_data(config)
    return config, data


def test_spacing_and_normalisation_are_taken_over():
    config, data = planned_volumes("data.dataset.spacing=[2.5,1,1]")
    assert list(config.data.spacing) == list(config.measured.plan.spacing) == [2.5, 1, 1]
    body = [np.prod([last - first for first, last in data.store.meta(case).nonzero]) for case in data.store.ids]
    masked = np.median(body) < 0.75 * 12 * 24 * 24
    assert list(config.data.normalize) == ["nonzero" if masked else "zscore"]


def test_cases_are_resampled_to_the_planned_spacing():
    config, _ = planned_volumes("data.dataset.spacing=[2,1,1]", "data.spacing=[2,2,2]")
    assert list(config.data.spacing) == [2, 2, 2]
    config, _ = planned_volumes("data.spacing=null", "data.normalize=auto")
    assert config.data.spacing is None
    assert list(config.measured.normalize) == ["zscore"]


def test_spacing_by_hand_is_another_run():
    ids = {
        run_id(configure("model=nnunet", "data=synthetic_volumes", *overrides))
        for overrides in ([], ["data.spacing=null"], ["data.normalize=auto"])
    }
    assert len(ids) == 3


def test_slices_are_planned_in_2d():
    config, _ = planned_volumes("data.slices=axial", "plan.plane.features=4", "plan.plane.most_features=8")
    assert len(config.data.patch_size) == len(config.model.strides[0]) == 2
    assert list(config.data.spacing) == [None, 1.0, 1.0]


def test_channels_called_ct_are_normalised_as_such():
    config = configure("model=nnunet", "data=synthetic_volumes")
    planner = build(config.plan, "plan")
    facts = {"name": "n", "channels": 2, "classes": 2, "cases": 3, "relative_size_after_cropping": 0.5}
    spacings, shapes = ((1.0, 1.0, 1.0),) * 3, ((32, 32, 32),) * 3
    for modality, expected in (
        ("CT", ["ct", "ct"]),
        (("MR", "CT"), ["zscore", "ct"]),
        ("MR", ["nonzero", "nonzero"]),
        (("noNorm", "rgb_to_0_1"), ["none", "unit"]),
    ):
        fingerprint = Fingerprint(modality=modality, spacings=spacings, shapes=shapes, **facts)
        assert planned_values(planner, fingerprint, None)["normalize"] == expected
    fingerprint = Fingerprint(modality="rescale_to_0_1", spacings=spacings, shapes=shapes, **facts)
    with pytest.raises(UserError, match="planned to have RescaleTo01Normalization, of which there is none here"):
        planned_values(planner, fingerprint, None)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["plan.configuration=2d"],
            r"plan\.configuration=2d: is for slices of volumes; say which, such as",
        ),
        (
            ["data.slices=axial", "plan.configuration=3d_fullres"],
            "slices are for plan.configuration=2d",
        ),
        (["data.slices=coronal"], r"data\.slices: they follow each other along axis 1; planned are those along axis 0"),
    ],
)
def test_mistakes_with_volumes_are_said(overrides, message):
    with pytest.raises(UserError, match=message):
        planned_volumes(*overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["plan.configuration=3d_fullres"], "plan.configuration=3d_fullres: this data has 2d"),
        (["model.channels=[4,4,4,4,4,4,4]"], r"model\.strides=.*which has 7"),
    ],
)
def test_mistakes_are_said(overrides, message):
    config = configure("model=nnunet", *SMALL, *overrides)
    with pytest.raises(UserError, match=message):  # noqa: PT012
        data = assembly.build_data(config)
        assembly.build_module(config, assembly.Labels.of(data.dataset))


def test_a_patch_is_needed_where_nobody_plans():
    from segbench.config import schema

    with pytest.raises(UserError, match=r"data\.patch_size=null: is for models that are planned"):
        schema.check(configure("data.patch_size=null"))
