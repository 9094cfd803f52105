"""Commands write over nothing that they, or another command, read."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segbench.commands.evaluate_masks import evaluate_masks
from segbench.commands.outputs import check_masks, mark_masks
from segbench.commands.predict import predict
from segbench.data.case import Record
from segbench.errors import UserError
from segbench.runs.data_check import check_place
from segbench.system.atomic import write_atomically
from tests.made_runs import configure


@pytest.fixture
def images(tmp_path):
    """A folder of images, a.png and b.png."""
    folder = tmp_path / "data" / "images"
    folder.mkdir(parents=True)
    for name in "ab":
        Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(folder / f"{name}.png")
    return folder


def check(output: Path, source: Path) -> None:
    files = {path.stem: path for path in sorted(source.iterdir())} if source.is_dir() else {source.stem: source}
    check_masks(output, files, source, files.values())


@pytest.mark.parametrize("output", [".", "sub", "../images", "../../link"])
def test_masks_do_not_go_into_the_folder_of_their_images(images, output):
    (images.parent.parent / "link").symlink_to(images)
    with pytest.raises(UserError, match="masks would be taken for images"):
        check(images / output, images)


def test_a_mask_does_not_replace_the_only_image(images):
    with pytest.raises(UserError, match=r"would replace the image .*a\.png"):
        check(images, images / "a.png")
    other = images.parent / "other"
    other.mkdir()
    (other / "a.png").hardlink_to(images / "a.png")
    with pytest.raises(UserError, match="would replace the image"):
        check(other, images / "a.png")


def test_masks_replace_predictions_alone(images):
    truth = images.parent / "masks"
    truth.mkdir()
    (truth / "a.tif").touch()
    with pytest.raises(UserError, match=r"holds a\.tif, which was not predicted"):
        check(truth, images)
    mark_masks(truth, "run")
    check(truth, images)
    check(images.parent, images)


def test_predict_refuses_before_anything_is_read_or_written(images):
    before = {path: path.read_bytes() for path in images.iterdir()}
    options = ("run=nowhere", f"input={images}", f"output={images}")
    with pytest.raises(UserError, match="masks would be taken for images"):
        predict(configure(*options, command="predict"))
    assert {path: path.read_bytes() for path in images.iterdir()} == before


def test_scores_replace_scores_alone(images):
    options = (f"prediction={images}", f"reference={images}", "metrics=overlap")
    mask = images / "a.png"
    before = mask.read_bytes()
    with pytest.raises(UserError, match="is no table of scores"):
        evaluate_masks(configure(*options, f"output={mask}", command="evaluate"))
    assert mask.read_bytes() == before
    with pytest.raises(UserError, match="is a folder"):
        evaluate_masks(configure(*options, f"output={images}", command="evaluate"))
    table = images.parent / "scores.csv"
    for _ in range(2):
        evaluate_masks(configure(*options, f"output={table}", command="evaluate"))
    assert table.exists()


def test_a_run_is_not_among_its_images(images):
    records = [Record("a", "a", (images / "a.png",))]
    with pytest.raises(UserError, match="among the images"):
        check_place(images / "run", records, str(images.parent))
    check_place(images.parent / "run", records, str(images.parent))
    check_place(images / "runs" / "run", records, str(images))  # a data set that is a folder of files


def test_references_without_any_object(tmp_path, capsys):
    for kind in ("p", "r"):
        (tmp_path / kind).mkdir()
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / kind / "a.png")
    options = (f"prediction={tmp_path / 'p'}", f"reference={tmp_path / 'r'}", "metrics=overlap")
    evaluate_masks(configure(*options, command="evaluate"))
    assert capsys.readouterr().out.count("absent") == 2
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / "p" / "a.png")
    evaluate_masks(configure(*options, command="evaluate"))
    assert capsys.readouterr().out.count("0.000") == 2


def test_what_a_killed_command_has_left_among_masks_is_removed(tmp_path):
    process = subprocess.Popen(["true"])
    process.wait()
    masks = tmp_path / "masks"
    names: list[str] = []
    write_atomically(tmp_path / "x", lambda path: names.append(path.name) or path.touch())
    (masks / "left").mkdir(parents=True)
    left = masks / "left" / names[0].replace(f"-{os.getpid()}.", f"-{process.pid}.")
    for path in (left, masks / "a.png", masks / names[0]):
        path.touch()
    mark_masks(masks, str(tmp_path))
    assert sorted(path.name for path in masks.rglob("*") if path.is_file()) == sorted(
        [".predictions.json", "a.png", names[0]]
    )
