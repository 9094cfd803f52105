"""The task of overlapping regions, from the command's configuration to scores, pictures and masks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from segbench.commands.predict import predict
from segbench.config.task import OF_A_BATCH
from segbench.data.datamodule import WholeCases
from segbench.data.formats import read_image
from segbench.data.labels.region_classes import region_masks
from segbench.errors import UserError
from segbench.training import assembly
from segbench.training.assembly import Labels, build_data, build_module
from segbench.training.objective import check_learnable
from tests.made_runs import TINY, configure, execute

REGIONS = {"cell": [1, 2, 3], "compact": [1, 3], "hollow": [3]}


class Knowing(torch.nn.Module):
    """A network whose logits are those of the image's own brightness: known without training."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        value = image.mean(dim=1, keepdim=True)
        return {"regions": torch.cat([value, value - 0.5, 0.2 - value], dim=1)}


def test_scores_are_those_of_the_known_network_by_brute_force() -> None:
    config = configure(*TINY, "task=regions", "inference=whole")
    data = build_data(config)
    assert dict(config.measured.regions) == REGIONS
    assert config.measured.region_count == 3
    module = build_module(config, Labels.of(data.dataset, data.store))
    module.model = Knowing()
    cases = WholeCases(data.store, data.split.test, data.sampler.network_input, data.seen)
    for case in cases:  # type: ignore[attr-defined]
        value = case["image"][0].mean(dim=0).numpy()
        found = np.stack([value > 0, value > 0.5, value < 0.2])
        module.test_step(case, 0)
        rows = {row["class"]: row["value"] for row in module.rows[-6:] if row["metric"] == "dice"}
        for (name, members), mask in zip(REGIONS.items(), found, strict=True):
            true = np.isin(case["label"], members)
            expected = 2 * (true & mask).sum() / (true.sum() + mask.sum())
            assert rows[name] == pytest.approx(expected)


def test_both_tasks_are_compared_by_region(tmp_path: Path) -> None:
    runs = [
        execute(tmp_path / task, *TINY, f"task={task}", "task.scores=[regions]", tiny=False)
        for task in ("semantic", "regions")
    ]
    for run in runs:
        rows = pd.read_csv(run.cases)
        assert list(rows["class"].unique()) == list(REGIONS)
        log = pd.read_csv(run.path / "metrics.csv")
        assert {f"validation/dice/{name}" for name in REGIONS} <= set(log.columns)
        assert {path.stem for path in (run.path / "previews").iterdir()} == {"best", "median", "worst"}


def test_classes_and_regions_can_both_be_scored(tmp_path: Path) -> None:
    run = execute(tmp_path / "run", "task.scores=[classes,regions]")
    rows = pd.read_csv(run.cases)
    assert list(rows["class"].unique()) == ["round", "spindle", "ring", *REGIONS]
    with pytest.raises(UserError, match=r"data.regions.ring: is a class, too; both are scored, so rename"):
        execute(tmp_path / "twice", "task.scores=[classes,regions]", "+data.regions.ring=[ring]")
    with pytest.raises(UserError, match=r"task.scores=\[pixels\]: must be"):
        execute(tmp_path / "wrong", "task.scores=[pixels]")


@pytest.mark.parametrize("loss", ["lovasz", "dice_focal", "boundary", "weighted_cross_entropy"])
def test_a_loss_that_cannot_learn_regions_is_refused(loss: str) -> None:
    with pytest.raises(UserError, match=r"task.objective.regions.loss: \w+ takes no overlapping regions"):
        check_learnable(configure("task=regions", f"loss={loss}"))
    check_learnable(configure(f"loss={loss}"))


@pytest.mark.parametrize(
    ("override", "told"), [("loss=focal", "FocalLoss takes no overlapping"), ("data.regions=null", "has no regions")]
)
def test_no_data_is_read_for_what_cannot_be_learnt(
    override: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "build_data", None)
    with pytest.raises(UserError, match=told):
        execute(tmp_path / "run", "task=regions", override)


def test_a_head_that_no_module_can_be_named_as() -> None:
    heads = ("+task.heads.keys=2", "+task.targets.keys={_target_: builtins.dict}")
    with pytest.raises(UserError, match=r"task.heads.keys: is a name that modules of PyTorch have themselves"):
        check_learnable(configure(*heads, "+task.objective.keys={_target_: builtins.dict}"))


@pytest.mark.parametrize("loss", ["dice_ce", "bce", "tversky"])
def test_a_loss_of_regions_is_taken(loss: str) -> None:
    check_learnable(configure("task=regions", f"loss={loss}"))


def test_a_batch_has_what_heads_cannot_be_named() -> None:
    data = build_data(configure(*TINY, "task=border_weighted"))
    assert set(data.sampler[0]) == {"mask", *OF_A_BATCH}


def test_masks_of_regions_are_predicted(tmp_path: Path) -> None:
    run = execute(tmp_path / "run", "task=regions")
    (tmp_path / "in").mkdir()
    from PIL import Image

    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 44), dtype=np.uint8)).save(tmp_path / "in" / "a.png")
    choice = (f"run={run.path}", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}", "accelerator=cpu")
    predict(configure(*choice, "regions=true", command="predict"))
    label = read_image(tmp_path / "out" / "a.png")[0]
    assert label.shape == (40, 44)
    masks = {name: read_image(tmp_path / "out" / name / "a.png")[0] for name in REGIONS}
    for mask in masks.values():
        assert set(np.unique(mask)) <= {0, 1}
    # Later regions overwrite earlier ones: the last is whole in the label map.
    np.testing.assert_array_equal(label == 3, masks["hollow"] == 1)
    assert region_masks(label, REGIONS)[0].sum() >= masks["hollow"].sum()


def test_a_network_learns_the_image_beside_the_mask(tmp_path: Path) -> None:
    config = configure(*TINY, "task=mask_and_image", "augmentation=noise", "augmentation.intensity.noise.probability=1")
    noisy = build_data(config).sampler
    clean = build_data(configure(*TINY, "augmentation=none")).sampler
    for k in range(4):
        sample = noisy[k]
        torch.testing.assert_close(sample["restored"], clean[k]["image"], rtol=0, atol=0)
        assert not torch.equal(sample["image"], sample["restored"])
    run = execute(tmp_path / "run", "task=mask_and_image", "augmentation=noise", "trainer.max_steps=30")
    log = pd.read_csv(run.path / "metrics.csv")
    restored = log["train/loss_restored"].dropna().to_numpy()
    assert restored[-1] < restored[0]
    assert set(pd.read_csv(run.cases)["class"]) == {"round", "spindle", "ring"}
