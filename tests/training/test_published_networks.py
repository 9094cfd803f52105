"""Networks that bring along their task: each trains a few steps, scores its test cases, and predicts."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torch import Tensor

from segbench.commands.predict import predict
from segbench.data.formats import read_image
from segbench.models.heads import Outputs
from segbench.models.y_autoencoder import YAutoencoder
from tests.data_sets import make
from tests.made_runs import TINY, configure, execute

SMALL = {
    "attentionboost": ["model.net.channels=[4,8]"],
    "fouriernet": ["model.net.channels=[4,8]", "task.targets.amplitudes.harmonics=2"],
    "deepdistance": ["model.channels=[4,8]"],
    "deepdistance_extended": ["model.channels=[4,8]"],
    "dcan": ["model.channels=[4,4,4,4,8,8]"],
    "nguyen_yae": ["model.width=0.5"],
    "segnetmri": ["model.net.channels=[4,8]"],
}
"""Model -> what makes it small."""

CURVES = {
    "attentionboost": {"mask", "stage_1", "stage_2", "stage_3", "stage_4"},
    "fouriernet": {"mask", "amplitudes"},
    "deepdistance": {"inner_distance", "outer_distance"},
    "deepdistance_extended": {"mask", "inner_distance", "outer_distance"},
    "dcan": {"mask", "contour", "mask_1", "contour_3"},
    "nguyen_yae": {"mask", "restored", "finding"},
    "segnetmri": {"mask", "restored", "mask_1", "mask_5"},
}
"""Model -> heads, whose losses are in the curves."""


@pytest.mark.parametrize("name", SMALL)
def test_trains_is_scored_and_predicts(tmp_path: Path, name: str) -> None:
    common = [one for one in TINY if not one.startswith("model.")]
    if name == "deepdistance":  # of one class alone
        root = make("dsb2018", tmp_path / "data")
        common = [one for one in common if "dataset" not in one] + ["data=dsb2018", f"data.root={root}"]
    run = execute(tmp_path / "run", *common, f"model={name}", *SMALL[name], "trainer.log_every=1", tiny=False)
    scores = pd.read_csv(run.cases)
    assert set(scores["metric"]) >= {"dice"}
    curves = pd.read_csv(run.path / "metrics.csv")
    losses = {head: curves[f"train/loss_{head}"].dropna() for head in CURVES[name]}
    assert all(len(values) and np.isfinite(values).all() for values in losses.values())
    (tmp_path / "in").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50), dtype=np.uint8)).save(tmp_path / "in" / "a.png")
    choice = (f"run={run.path}", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}", "accelerator=cpu")
    predict(configure(*choice, command="predict"))
    assert read_image(tmp_path / "out" / "a.png").shape[1:] == (40, 50)


def test_a_network_is_told_what_it_asks_for_while_it_learns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The finding of each patch, as its loss sees it; nothing when it predicts."""
    told: list[tuple[bool, object]] = []
    forward = YAutoencoder.forward

    def spy(self: YAutoencoder, image: Tensor, targets: Mapping[str, Tensor] | None = None) -> Outputs:
        told.append((self.training, targets))
        return forward(self, image, targets)

    monkeypatch.setattr(YAutoencoder, "forward", spy)
    common = [one for one in TINY if not one.startswith("model.")]
    execute(tmp_path / "run", *common, "model=nguyen_yae", "model.width=0.25", tiny=False)
    for training, targets in told:
        assert (targets is not None) == training
        if isinstance(targets, dict):
            assert set(targets) == {"finding"}
            assert (targets["finding"].sum(dim=1) == 1).all()
    assert {training for training, _ in told} == {True, False}


def test_another_optimizer_and_task_can_be_chosen() -> None:
    config = configure("model=fouriernet", "optimizer=adam", "task=semantic", "loss=dice_ce")
    assert config.optimizer["_target_"] == "torch.optim.Adam"
    assert list(config.task.heads) == ["mask"]
