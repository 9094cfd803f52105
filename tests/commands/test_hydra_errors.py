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
    ("arguments", "where", "hint"),
    [
        (["model=smp_unet,smp_fpn", "model.weihgts=imagenet"], "model=smp_unet", "; did you mean model.weights?"),
        (
            ["logger=none", "model=residual_unet,unet", "model.net.num_res_units=1"],
            "model=unet",
            ", only with model=residual_unet",
        ),
        (["model=context_a,context_b", "inference.strid=16"], "model=context_a", "; did you mean inference.stride?"),
        (["experiment=context_table", "inference.strid=16"], "model=context_a", "; did you mean inference.stride?"),
    ],
)
def test_in_a_sweep_the_option_without_the_key_is_named(arguments, where, hint, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["segbench"])
    monkeypatch.chdir(tmp_path)
    os.environ.pop("HYDRA_FULL_ERROR", None)
    assert report("train", [*arguments, "-m"]) == 2
    key = arguments[-1].partition("=")[0]
    said = capsys.readouterr().err
    assert said.startswith(f"segbench: {key}: there is no such key with {where}{hint} (a new key")
    assert len(said.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("override", "written"),
    [
        ("data.dataset.group_pattern=^[^_]+", "\"data.dataset.group_pattern='^[^_]+'\""),
        ("name=größe", "\"name='größe'\""),
        ("name='x", "\"name='x'\""),
        ("data.patch_size=[1,2", "data.patch_size=[a,b]"),
        ("my key=3", "without blanks around ="),
    ],
)
def test_an_override_that_cannot_be_read_is_named_with_the_way_to_write_it(override, written, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["segbench"])
    assert report("train", [override]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"segbench: {override}: ")
    assert written in told
    assert told.count("\n") == 1


def test_a_key_that_another_option_of_the_sweep_has_is_no_spelling_mistake(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["segbench"])
    monkeypatch.chdir(tmp_path)
    assert report("train", ["model=unet_small,fcn8s", "model.channels=[4,8]", "-m"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(
        "segbench: model.channels: there is no such key with model=fcn8s, only with model=unet_small ("
    )


def test_the_options_are_listed_where_none_is_near(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["segbench"])
    assert report("train", ["hydra/launcher=nosuch"]) == 2
    told = capsys.readouterr().err
    assert "hydra/launcher=nosuch: there is no such option; there are basic, local, slurm" in told
    assert "base" not in told.split("there are")[1].split(", ")
