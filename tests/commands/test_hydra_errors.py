"""What is said of a key that there is not."""

import os

import pytest

from segbench.commands.execution import report


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


@pytest.mark.parametrize(
    ("arguments", "where", "suggested"),
    [
        (["model=smp_unet,smp_fpn", "model.weihgts=imagenet"], "model=smp_unet", "model.weights"),
        (["logger=none", "model=residual_unet,unet", "model.net.num_res_units=1"], "model=unet", None),
        (["model=context_a,context_b", "inference.strid=16"], "model=context_a", "inference.stride"),
        (["experiment=context_table", "inference.strid=16"], "model=context_a", "inference.stride"),
    ],
)
def test_in_a_sweep_the_option_without_the_key_is_named(arguments, where, suggested, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["segbench"])
    monkeypatch.chdir(tmp_path)
    os.environ.pop("HYDRA_FULL_ERROR", None)
    assert report("train", [*arguments, "-m"]) == 2
    key = arguments[-1].partition("=")[0]
    said = capsys.readouterr().err
    nearest = f"; did you mean {suggested}?" if suggested else ""
    assert said.startswith(f"segbench: {key}: there is no such key with {where}{nearest} (a new key")
    assert len(said.splitlines()) == 1
    assert not list(tmp_path.iterdir())
