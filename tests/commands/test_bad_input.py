"""What a user can get wrong: one line that names the file or key, a code that is not 0, nothing half-written."""

import json
import os
import resource
import signal

import numpy as np
import pytest
from PIL import Image

from segbench.errors import UserError
from segbench.runs.directory import RunDirectory
from tests.data_sets import folder
from tests.made_runs import TINY, execute

OWN = ("data=folder", *(one for one in TINY if not one.startswith("data.dataset")))


@pytest.fixture
def root(tmp_path):
    folder(tmp_path / "images")
    return tmp_path / "images"


def refused(tmp_path, *overrides: str) -> str:
    """The message with which a run is refused before it begins."""
    path = tmp_path / "run"
    with pytest.raises(UserError) as caught:
        execute(path, *overrides, tiny=False)
    assert not (path / "run.json").exists()
    assert not list(path.glob("checkpoints/*"))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_missing_folder(tmp_path):
    assert str(tmp_path / "nowhere") in refused(tmp_path, *OWN, f"data.root={tmp_path}/nowhere")


def test_an_image_without_a_mask_and_a_mask_without_an_image(tmp_path, root):
    (root / "masks" / "case3.png").rename(root / "masks" / "other.png")
    assert "case3.png has no mask" in refused(tmp_path, *OWN, f"data.root={root}")
    (root / "images" / "case3.png").unlink()
    assert "other.png has no image" in refused(tmp_path, *OWN, f"data.root={root}")


def test_sizes_that_differ(tmp_path, root):
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(root / "masks" / "case1.png")
    message = refused(tmp_path, *OWN, f"data.root={root}")
    assert "case1.png" in message
    assert "3 x 4" in message


def test_a_label_value_that_no_class_has(tmp_path, root):
    mask = np.asarray(Image.open(root / "masks" / "case1.png")).copy()
    mask[0, 0] = 7
    Image.fromarray(mask).save(root / "masks" / "case1.png")
    message = refused(tmp_path, *OWN, f"data.root={root}")
    assert "case1.png" in message
    assert "7" in message


def test_a_truncated_file(tmp_path, root):
    path = root / "images" / "case2.png"
    path.write_bytes(path.read_bytes()[:100])
    assert "case2.png" in refused(tmp_path, *OWN, f"data.root={root}")


def test_a_class_that_no_training_case_has(tmp_path, root):
    message = refused(
        tmp_path, *OWN, f"data.root={root}", "data.dataset.classes=[a,b,rare]", "data.dataset.values=[0,255,9]"
    )
    assert "'rare'" in message


def test_fewer_cases_than_folds(tmp_path, root):
    assert "folds=20" in refused(tmp_path, *OWN, f"data.root={root}", "folds=20")


def test_a_fold_that_does_not_exist(tmp_path, root):
    assert "fold=5" in refused(tmp_path, *OWN, f"data.root={root}", "fold=5")


def test_a_patch_of_the_wrong_dimensions(tmp_path, root):
    assert "data.patch_size" in refused(tmp_path, *OWN, f"data.root={root}", "data.patch_size=[8,8,8]")


def test_a_patch_larger_than_the_image_is_padded_and_said(tmp_path, root, caplog):
    caplog.set_level("INFO")
    directory = execute(tmp_path / "run", *OWN, f"data.root={root}", "data.patch_size=[64,64]", tiny=False)
    assert directory.finished
    assert "padded by mirroring" in caplog.text


def test_words_that_do_not_exist(tmp_path):
    for override, known in (
        ("data.normalize=zscores", "zscore"), ("trainer.precision=bf17", "bf16-mixed"), ("model.norm=bach", "batch"),
        ("trainer.accelerator=tpu", "cpu"), ("inference.weighting=round", "gaussian"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=known) as caught:
            execute(tmp_path / override, override)
        assert override.partition("=")[2] in str(caught.value)


def test_a_run_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        execute(tmp_path / "file" / "run")


def test_other_images_under_a_begun_run(tmp_path, root, monkeypatch):
    from segbench.training.module import SegmentationModule

    with monkeypatch.context() as patch:
        patch.setattr(SegmentationModule, "training_step", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            execute(tmp_path / "run", *OWN, f"data.root={root}", tiny=False)
    Image.fromarray(np.full((40, 44), 9, np.uint8)).save(root / "images" / "case1.png")
    with pytest.raises(UserError, match="made on other images"):
        execute(tmp_path / "run", *OWN, f"data.root={root}", tiny=False)


def test_a_loss_that_is_not_finite_names_step_and_cases(tmp_path, monkeypatch):
    from segbench.training.module import SegmentationModule

    original = SegmentationModule.training_step

    def training_step(self, batch, index):
        if self.global_step == 2:
            batch["image"] = batch["image"] * float("nan")
        return original(self, batch, index)

    monkeypatch.setattr(SegmentationModule, "training_step", training_step)
    with pytest.raises(UserError, match=r"the loss is nan at step 2, with the cases cells_\d+"):
        execute(tmp_path, *TINY, "trainer.validate_every=4", tiny=False)
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()
    assert RunDirectory(tmp_path).status == "failed"


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    """A limit on the size of files fails a write half-way, as a full disk does."""
    overrides = [*TINY, "trainer.max_steps=4", "trainer.validate_every=2"]
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    from segbench.training.checkpoints import Checkpoints

    original = Checkpoints._save

    def limited(self, trainer):
        if trainer.global_step == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
        try:
            original(self, trainer)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    Checkpoints._save = limited
    try:
        with pytest.raises(UserError, match=r"last\.ckpt cannot be written.*still there"):
            execute(tmp_path, *overrides, tiny=False)
    finally:
        Checkpoints._save = original
        signal.signal(signal.SIGXFSZ, previous)
    assert sorted(os.listdir(tmp_path / "checkpoints")) == ["best.ckpt", "last.ckpt"]
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "failed"
    assert execute(tmp_path, *overrides, tiny=False).finished
