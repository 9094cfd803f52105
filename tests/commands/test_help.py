"""`segbench help` and docs/reference.md say the same of every key as the check of its value."""

from pathlib import Path

import pytest

from segbench.commands.execution import COMMANDS, report
from segbench.commands.reference_page import page
from segbench.config.comments import read_comments
from segbench.config.paths import conf_folder


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trainer.max_steps"], ["trainer.max_steps=1000", "an integer of at least 1"]),
        (["trainer.validate_every"], ["trainer.validate_every=null", "steps; null: a tenth of max_steps"]),
        (["ranking"], ["segbench compare ranking=mean", "one of mean, median, per_case"]),
        (["model"], ["model=unet: U-Net", "segbench help model="]),
        (["optimizer=sgd_momentum"], ["optimizer.momentum=0.9", "optimizer.lr="]),
        (["model.kernel"], ["model=care", "model.kernel=5", "an odd integer"]),
        (["model.kernel", "model=segnet_basic"], ["model.kernel=7"]),
        (["compare"], ["bootstraps=10000", "wandb.project=null"]),
        (["predict"], ["run=???\n    a text, or a list of at least 1, each a text; it must be given\n    run dir"]),
        (["model.norm"], ["model.norm=batch\n    one of batch, instance, group, layer, none\nEND"]),
        (["hydra/launcher=slurm"], [".yaml (which git does not\ntrack):\n  defaults: [slurm]\n  partition: gpu\n"]),
    ],
)
def test_help(arguments, said, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert report("help", arguments) == 0
    text = capsys.readouterr().out + "END"
    assert not [part for part in said if part not in text], text


@pytest.mark.parametrize(
    ("arguments", "suggested"),
    [(["inference.windw"], "inference.window"), (["model=unett"], "unet"), (["modle=unet"], "model")],
)
def test_what_there_is_not(arguments, suggested, capsys):
    assert report("help", arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"did you mean {suggested}?" in line


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"]])
def test_help_of_help_is_help(arguments, capsys):
    with pytest.raises(SystemExit):  # Hydra's way
        report("help", arguments)
    assert "segbench help NAME" in capsys.readouterr().out


def test_a_name_that_is_near_nothing_is_one_short_line(capsys):
    assert report("help", ["xyzzy"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "xyzzy: there is no such command, group or key; there are commands (train, " in line
    assert len(line) < 400


def test_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert report("help", ["data.normalize"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60


def test_comments_of_several_lines_and_in_braces():
    folder = conf_folder()
    assert read_comments(folder / "train.yaml").meanings["split.file"].endswith("}")
    normalize = read_comments(folder / "common_data.yaml").meanings["normalize"]
    assert normalize.startswith("per image")
    assert normalize.endswith("[ct, zscore]")
    assert read_comments(folder / "experiment" / "wbc.yaml").package == ""


@pytest.mark.slow
def test_the_reference_is_up_to_date():
    written = (Path(__file__).parents[2] / "docs" / "reference.md").read_text()
    assert written == page(), "make reference"
    without_keys = {"prepare", "doctor"}  # of their own
    assert all(f"### segbench {command}\n" in written for command in COMMANDS if command not in without_keys)
