"""One configuration on several folders of one name is compared on several data sets."""

import json

import pytest

from segbench.compare.reading.methods import Rules, load_runs
from segbench.errors import UserError
from tests.compare.fake_runs import make_run


def run_on(root, loss, fingerprint, quality):
    path = make_run(root, choices={"model": "unet", "loss": loss}, quality=quality, dataset="cells")
    record = json.loads((path / "run.json").read_text())
    record["id"] = f"id of {loss}"
    record["dataset"]["fingerprint"] = fingerprint
    (path / "run.json").write_text(json.dumps(record))
    return path


def test_sites_are_data_sets(tmp_path):
    paths = [run_on(tmp_path / site / "cells", loss, site, 0.8) for site in ("A", "B") for loss in ("dice", "focal")]
    loaded = load_runs(paths, Rules())
    assert sorted(scores.dataset for scores in loaded.sets) == ["A/cells", "B/cells"]
    assert [method.name for method in loaded.methods] == ["dice", "focal"]
    assert {run.dataset for method in loaded.methods for run in method.runs} == {"A/cells", "B/cells"}


def test_equal_ends_of_paths(tmp_path):
    paths = [run_on(tmp_path / site / "x" / "cells", loss, site, 0.8) for site in "AB" for loss in ("dice", "focal")]
    assert sorted(scores.dataset for scores in load_runs(paths, Rules()).sets) == ["A/x/cells", "B/x/cells"]


def test_methods_on_different_images_are_still_refused(tmp_path):
    paths = [run_on(tmp_path / "A", "dice", "A", 0.8), run_on(tmp_path / "B", "focal", "B", 0.8)]
    with pytest.raises(UserError, match="fingerprint"):
        load_runs(paths, Rules())
