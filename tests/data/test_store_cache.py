"""Data sets that the runs of a sweep share."""

import shutil
from pathlib import Path

import pytest

from segbench.data import store_cache
from segbench.training.assembly import build_dataset
from tests.made_runs import configure


def cells(cache: Path, cases: int = 5):
    return configure(
        "data=synthetic_cells", f"data.dataset.cases={cases}", "data.dataset.size=[32,32]", f"data.cache={cache}"
    )


@pytest.fixture
def kept():
    with store_cache.kept():
        yield


def test_a_data_set_is_opened_once(tmp_path, kept):
    assert build_dataset(cells(tmp_path))[1] is build_dataset(cells(tmp_path))[1]


def test_other_settings_are_another_data_set(tmp_path, kept):
    few, many = (build_dataset(cells(tmp_path, cases))[1] for cases in (5, 6))
    assert [len(few), len(many)] == [5, 6]
    assert build_dataset(cells(tmp_path / "elsewhere"))[1].folder != few.folder


def test_a_cache_that_was_removed_is_made_anew(tmp_path, kept):
    before = build_dataset(cells(tmp_path))[1]
    shutil.rmtree(before.folder)
    after = build_dataset(cells(tmp_path))[1]
    assert after.complete
    assert after.fingerprint == before.fingerprint


def test_outside_of_a_sweep_every_run_looks_anew(tmp_path):
    with store_cache.kept():
        inside = build_dataset(cells(tmp_path))[1]
    outside = [build_dataset(cells(tmp_path))[1] for _ in range(2)]
    assert inside is not outside[0]
    assert outside[0] is not outside[1]
