"""What is said of a key that there is not."""

import os

import pytest

from segbench.__main__ import report


@pytest.mark.parametrize(
    ("arguments", "suggested"),
    [
        (["model.chanels=[4,8]"], "model.channels"),
        (["max_steps=3"], "trainer.max_steps"),
        (["model=residual_unet", "model.num_res_units=3"], "model.net.num_res_units"),
        (["data=wbc", "data.dataset.rot=x"], "data.dataset.root"),
    ],
)
def test_the_nearest_key_of_the_chosen_options(arguments, suggested, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["segbench"])
    os.environ.pop("HYDRA_FULL_ERROR", None)
    assert report("train", arguments) == 2
    key = arguments[-1].partition("=")[0]
    said = capsys.readouterr().err
    assert (
        said == f"segbench: {key}: there is no such key; did you mean {suggested}? (a new key is added by +{key}=..)\n"
    )
