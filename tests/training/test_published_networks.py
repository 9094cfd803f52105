"""Networks that bring along their task: each trains a few steps, scores its test cases, and predicts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from segbench.commands.predict import predict
from segbench.data.formats import read_image
from tests.made_runs import TINY, configure, execute

SMALL = {
    "attentionboost": ["model.net.channels=[4,8]"],
    "fouriernet": ["model.net.channels=[4,8]", "task.targets.amplitudes.harmonics=2"],
    "segnetmri": ["model.net.channels=[4,8]"],
}
"""Model -> what makes it small."""

CURVES = {
    "attentionboost": {"mask", "stage_1", "stage_2", "stage_3", "stage_4"},
    "fouriernet": {"mask", "amplitudes"},
    "segnetmri": {"mask", "restored", "mask_1", "mask_5"},
}
"""Model -> heads, whose losses are in the curves."""


@pytest.mark.parametrize("name", SMALL)
def test_trains_is_scored_and_predicts(tmp_path: Path, name: str) -> None:
    common = [one for one in TINY if not one.startswith("model.")]
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
