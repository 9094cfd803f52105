"""A run is shown, or goes on, only where its images and masks are what they were."""

import logging
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from segbench.data import store as stores
from segbench.errors import UserError
from segbench.runs.data_check import check_still_same
from segbench.runs.directory import RunDirectory
from tests.data_sets import folder
from tests.made_runs import TINY, configure, execute

SETTINGS = (
    "data=folder",
    *(setting for setting in TINY if not setting.startswith("data.dataset")),
    "trainer.max_steps=1",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run, and the folder that holds its data."""
    place = tmp_path_factory.mktemp("made")
    folder(place / "data")
    return execute(place / "run", *_at(place), tiny=False)


def _at(place):
    return (*SETTINGS, f"data.root={place / 'data'}", f"data.cache={place / 'cache'}")


@pytest.fixture
def here(made, tmp_path):
    """A copy of both that a test may change, the times of the files included."""
    shutil.copytree(made.path.parent, tmp_path / "copy")
    return tmp_path / "copy"


def run_again(here, *more):
    return execute(here / "run", *_at(here), *more, tiny=False)


def check(here):
    check_still_same([RunDirectory(here / "run")], configure(*_at(here)).data)


def test_the_same_data_elsewhere_is_no_difference(here):
    assert run_again(here).finished
    check(here)


def test_where_no_file_has_changed_nothing_is_decoded(made, monkeypatch):
    shutil.rmtree(made.path.parent / "cache")
    monkeypatch.setattr(stores, "decode_all", pytest.fail)
    check(made.path.parent)


def test_corrected_added_and_removed_cases_are_named(here):
    first, second, *_ = sorted((here / "data" / "masks").iterdir())
    mask = np.asarray(Image.open(first)).copy()
    mask[:9] = 255 - mask[:9]
    Image.fromarray(mask).save(first)
    scores = (here / "run" / "cases.csv").read_bytes()
    with pytest.raises(UserError, match=rf"1 changed \({first.stem}\); choose another hydra\.run\.dir"):
        run_again(here)
    for kind in ("images", "masks"):
        (here / "data" / kind / second.name).rename(here / "data" / kind / "new.png")
    with pytest.raises(UserError, match=rf"1 changed \({first.stem}\), 1 added \(new\), 1 removed \({second.stem}\)"):
        run_again(here)
    assert (here / "run" / "cases.csv").read_bytes() == scores
    assert RunDirectory(here / "run").finished


def test_a_run_under_way_does_not_go_on_with_other_data(here):
    directory = RunDirectory(here / "run")
    directory.update(status="interrupted")
    os.remove(min((here / "data" / "masks").iterdir()))
    os.remove(min((here / "data" / "images").iterdir()))
    with pytest.raises(UserError, match="1 removed"):
        run_again(here)


def test_masks_that_are_wrong_now_are_a_difference_too(here):
    first = min((here / "data" / "masks").iterdir())
    Image.fromarray(np.full((96, 96), 7, np.uint8)).save(first)
    with pytest.raises(UserError, match=r"was made on other images or masks .*label value 7"):
        check(here)


def test_without_its_data_a_finished_run_is_shown(here, caplog):
    shutil.rmtree(here / "data")
    with caplog.at_level(logging.WARNING):
        assert run_again(here).finished
    assert "cannot be checked" in caplog.text
