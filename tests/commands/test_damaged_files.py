"""Every file of a run, empty, cut off, garbage or gone: each command repairs it, does without it, or says one line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

from segbench.commands.execution import report
from segbench.runs.directory import RunDirectory
from segbench.runs.uploads import Destination, find
from segbench.training.module import SegmentationModule
from tests.made_runs import TINY

SETTINGS = [*TINY, "trainer.max_steps=6", "trainer.validate_every=2", "trainer.checkpoint_every=1", "model.dropout=0.2"]
DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "garbage": lambda path: path.write_bytes(np.random.default_rng(0).bytes(500)),
    "gone": lambda path: path.unlink(),
}
FILES = ("run.json", "config.yaml", "split.json", "metrics.csv", "cases.csv", "checkpoints/last.ckpt",
         "checkpoints/former.ckpt", "checkpoints/best.ckpt")  # fmt: skip
REFUSED = {
    "continue": {"run.json"},
    "show": {"run.json", "cases.csv"},
    "predict": {"run.json", "config.yaml"},
    "evaluate": {"run.json", "config.yaml"},
    "compare": {"cases.csv", "config.yaml", "metrics.csv"},  # a run without its record is left out
    "status": set(),
    "publish": {"run.json", "config.yaml", "split.json", "metrics.csv", "cases.csv"},
}
"""The files without which a command cannot do its work."""
ALLOWED = {("compare", "metrics.csv", "gone"), ("publish", "metrics.csv", "gone"), ("publish", "run.json", "gone")}
"""Cases that are left out without being wrong."""
KINDS = list(DAMAGES)
EVERY = [
    pytest.param(file, damage, marks=() if KINDS.index(damage) == number % 4 else pytest.mark.slow)
    for number, file in enumerate(FILES)
    for damage in DAMAGES
]
"""Each file in each way; most of them when there is time for it."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that was never interrupted."""
    path = tmp_path_factory.mktemp("finished") / "run"
    assert call("train", *SETTINGS, f"hydra.run.dir={path}") == 0
    return path


@pytest.fixture(scope="module")
def interrupted(finished):
    """A run that was interrupted in its fifth step, after a checkpoint at the fourth."""
    path = finished.parent / "interrupted"
    original = SegmentationModule.training_step

    def training_step(self, batch, index):
        if self.global_step == 4:
            raise RuntimeError("a bug")
        return original(self, batch, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentationModule, "training_step", training_step)
        with pytest.raises(RuntimeError, match="a bug"):
            call("train", *SETTINGS, f"hydra.run.dir={path}")
    assert {file.name for file in (path / "checkpoints").iterdir()} == {"last.ckpt", "former.ckpt", "best.ckpt"}
    return path


def call(command, *arguments):
    GlobalHydra.instance().clear()
    return report(command, list(arguments))


def step_of(path):
    return torch.load(path, weights_only=True)["global_step"]


def check_line(text, path):
    """One line that names the file or the run, and says what to do."""
    (line,) = [line for line in text.splitlines() if line.startswith("segbench: ")]
    assert "Traceback" not in text
    assert str(path) in line
    assert any(word in line for word in ("delete", "makes it anew", "no run directory")), line


def damaged(source: Path, folder: Path, file: str, damage: str) -> Path:
    shutil.copytree(source, folder / "run")
    if (folder / "run" / file).exists():
        DAMAGES[damage](folder / "run" / file)
    return folder / "run"


@pytest.mark.parametrize(("file", "damage"), EVERY)
def test_a_run_goes_on(finished, interrupted, tmp_path, file, damage, capsys):
    path = damaged(interrupted, tmp_path, file, damage)
    former, best = step_of(interrupted / "checkpoints/former.ckpt"), step_of(interrupted / "checkpoints/best.ckpt")
    code = call("train", *SETTINGS, f"hydra.run.dir={path}")
    said, wrong = capsys.readouterr()
    if file in REFUSED["continue"]:
        assert code == 2
        check_line(wrong, path)
        return
    assert code == 0
    if file == "checkpoints/last.ckpt":
        assert f"going on from the state before it, at step {former}" in said
    if file == "checkpoints/best.ckpt":
        assert best in (4, former), "else there is nothing to mend it with"
        assert "best.ckpt is damaged or gone" in said
    assert RunDirectory(path).finished
    assert not (path / "checkpoints" / "former.ckpt").exists()
    for name in ("last.ckpt", "best.ckpt"):
        ours, theirs = (torch.load(run / "checkpoints" / name, weights_only=True) for run in (path, finished))
        assert ours["global_step"] == theirs["global_step"]
        assert all(torch.equal(ours["state_dict"][key], value) for key, value in theirs["state_dict"].items())
    assert (path / "cases.csv").read_text() == (finished / "cases.csv").read_text()
    if file == "metrics.csv":
        assert "of the curves up to here those after step" in said
    else:
        assert (path / "metrics.csv").read_text() == (finished / "metrics.csv").read_text()


@pytest.mark.parametrize(("file", "damage"), EVERY)
def test_a_finished_run(finished, tmp_path, file, damage, capsys):
    path = damaged(finished, tmp_path, file, damage)
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "images" / "a.png")
    other = tmp_path / "other"
    shutil.copytree(finished, other)
    record = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps({**record, "id": "0123456789ab", "choices": {"model": "another"}}))
    commands = {
        "show": ("train", *SETTINGS, f"hydra.run.dir={path}"),
        "predict": ("predict", f"run={path}", f"input={tmp_path / 'images'}", f"output={tmp_path / 'masks'}"),
        "status": ("status", f"runs={path}"),
        "compare": ("compare", f"runs=[{path},{other}]", f"output={tmp_path / 'comparison'}", "bootstraps=100"),
        "evaluate": ("evaluate", f"run={path}"),  # the last, since it makes cases.csv anew
    }
    for name, arguments in commands.items():
        code = call(*arguments)
        text = capsys.readouterr().err
        refused = file in REFUSED[name] and (name, file, damage) not in ALLOWED
        if name in ("predict", "evaluate") and file == "checkpoints/best.ckpt":
            refused = step_of(finished / file) != step_of(finished / "checkpoints/last.ckpt")
        if name == "compare" and file == "run.json":
            refused = True  # since only one is left
        assert code == (2 if refused else 0), (name, text)
        if refused and (name, file) != ("compare", "run.json"):
            check_line(text, path)
        if name == "predict":
            assert (tmp_path / "masks" / "a.png").exists() != refused


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_cannot_be_published(finished, tmp_path, file, damage):
    path = damaged(finished, tmp_path, file, damage)
    found = find([path], Destination())
    if file in REFUSED["publish"] and ("publish", file, damage) not in ALLOWED:
        (line,) = found.wrong
        assert file in line
        assert not found.runs
    else:
        assert not found.wrong


def test_the_best_state_is_lost(finished, interrupted, tmp_path, capsys):
    """A loss for good is named before further steps are spent."""
    path = damaged(interrupted, tmp_path, "checkpoints/best.ckpt", "gone")
    for name in ("last.ckpt", "former.ckpt"):
        content = torch.load(path / "checkpoints" / name, weights_only=True)
        content["callbacks"]["Checkpoints"]["best_step"] = 1
        torch.save(content, path / "checkpoints" / name)
    assert call("train", *SETTINGS, f"hydra.run.dir={path}") == 2
    text = capsys.readouterr().err
    assert "best.ckpt is damaged or gone, and no other state is of its step (1): delete" in text
    path = damaged(finished, tmp_path / "b", "checkpoints/best.ckpt", "gone")
    (path / "checkpoints" / "last.ckpt").unlink()
    assert call("predict", f"run={path}", f"input={path / 'previews'}", f"output={tmp_path / 'masks'}") == 2
    check_line(capsys.readouterr().err, path)


def test_all_states_are_damaged(interrupted, tmp_path, capsys):
    path = damaged(interrupted, tmp_path, "checkpoints/last.ckpt", "cut off")
    DAMAGES["garbage"](path / "checkpoints" / "former.ckpt")
    assert call("train", *SETTINGS, f"hydra.run.dir={path}") == 2
    check_line(capsys.readouterr().err, path / "checkpoints" / "last.ckpt")
