"""What a run's weights know: images, under whatever name, also those of the runs before it."""

import json
import logging
import shutil
from pathlib import Path

import pytest

from segbench.commands.evaluate_run import evaluate_run
from segbench.data.splits import Split
from segbench.data.store import CaseStore
from segbench.errors import UserError
from segbench.runs.directory import RunDirectory, read_cases
from segbench.training import assembly
from segbench.training.initial_weights import check_unseen
from tests.made_runs import TINY, configure, execute

IMAGES = ("data=synthetic_cells", "data.dataset.size=[96,96]")
OTHERS = "data.dataset.seed=1"
"""Other images by the same ids."""


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """A finished run."""
    path = tmp_path_factory.mktemp("runs") / "first"
    execute(path)
    return path


@pytest.fixture(scope="module")
def second(first) -> Path:
    """A finished run on other images, whose first weights are those of the first."""
    path = first.parent / "second"
    execute(path, OTHERS, f"initial_weights={first}")
    return path


@pytest.fixture(scope="module")
def before_hashes(first, second) -> tuple[Path, Path]:
    """Both as an earlier version left them, which wrote the ids of the cases alone."""
    folder = first.parent / "before"
    copies = folder / "first", folder / "second"
    for path, copy in zip((first, second), copies, strict=True):
        shutil.copytree(path, copy)
        split = json.loads((copy / "split.json").read_text())
        del split["seen"]
        (copy / "split.json").write_text(json.dumps(split))
    config = copies[1] / "config.yaml"
    config.write_text(config.read_text().replace(str(first), str(copies[0])))
    return copies


def images(*overrides: str) -> tuple[CaseStore, Split]:
    config = configure(*TINY, *overrides)
    _, store = assembly.build_dataset(config)
    return store, assembly.build_split(config, store)


def unseen(run: Path, *overrides: str) -> list[str]:
    """The cases that are scored as unseen ones."""
    evaluate_run(configure(f"run={run}", "accelerator=cpu", *IMAGES, *overrides, command="evaluate"))
    return list(dict.fromkeys(read_cases(run / "unseen" / "synthetic_cells.csv")["case"]))


@pytest.mark.parametrize("version", ["now", "before"])
def test_only_images_that_the_run_never_saw_are_scored_as_unseen(first, before_hashes, caplog, version):
    run = first if version == "now" else before_hashes[0]
    split = json.loads((run / "split.json").read_text())
    with caplog.at_level(logging.INFO):
        assert unseen(run, "data.dataset.cases=12") == [*sorted(split["test"]), "cells_0010", "cells_0011"]
    (line,) = [record.message for record in caplog.records if record.name == "segbench.commands.evaluate_run"]
    assert line.startswith("8 of 12 cases of synthetic_cells are left out, such as cells_")


def test_other_images_by_the_same_ids_are_unseen(first):
    assert unseen(first, "data.dataset.cases=3", OTHERS) == ["cells_0000", "cells_0001", "cells_0002"]


def test_nothing_unseen_is_refused(first):
    split = json.loads((first / "split.json").read_text())
    assert "cells_0000" in split["train"] + split["validation"]
    with pytest.raises(UserError, match="was trained or validated on all 1 images of synthetic_cells; leave data out"):
        unseen(first, "data.dataset.cases=1")


def test_weights_know_images_not_names(first):
    store, split = images("fold=1")
    for name in ("synthetic_cells", "another_name"):
        with pytest.raises(UserError, match=r"was trained on 2 of the 2 test cases, such as cells_"):
            check_unseen(RunDirectory(first), name, store, split)
    check_unseen(RunDirectory(first), "synthetic_cells", *images())
    check_unseen(RunDirectory(first), "synthetic_cells", *images("fold=1", OTHERS))


def test_without_hashes_weights_know_the_names(before_hashes):
    other = RunDirectory(before_hashes[0])
    with pytest.raises(UserError, match="was trained on 2 of the 2 test cases"):
        check_unseen(other, "synthetic_cells", *images("fold=1"))
    check_unseen(other, "another_name", *images("fold=1"))


@pytest.mark.parametrize("version", ["now", "before", "the first is gone"])
def test_weights_know_what_the_run_before_knew(first, second, before_hashes, tmp_path, version):
    run = before_hashes[1] if version == "before" else second
    if version == "the first is gone":
        shutil.copytree(second, tmp_path / "second")
        run = tmp_path / "second"
        config = run / "config.yaml"
        config.write_text(config.read_text().replace(str(first), str(tmp_path / "gone")))
    mine, earlier = (json.loads((path / "split.json").read_text()) for path in (second, first))
    case = next(case for case in mine["test"] if case in earlier["train"])  # whose id the second does not know
    store, _ = images()
    with pytest.raises(UserError, match=f"was trained on 1 of the 1 test cases, such as {case}"):
        check_unseen(RunDirectory(run), "synthetic_cells", store, Split(("cells_0000",), ("cells_0001",), (case,)))
    assert unseen(run, "data.dataset.cases=11")[-1] == "cells_0010"


def test_what_cannot_be_followed_is_said(before_hashes, tmp_path, caplog):
    shutil.copytree(before_hashes[1], tmp_path / "second")
    config = tmp_path / "second" / "config.yaml"
    config.write_text(config.read_text().replace(str(before_hashes[0]), str(tmp_path / "gone")))
    check_unseen(RunDirectory(tmp_path / "second"), "synthetic_cells", *images(OTHERS))
    assert f"began with the weights of {tmp_path / 'gone'}, which is not there" in caplog.text
    (tmp_path / "second" / "split.json").unlink()
    with pytest.raises(UserError, match=r"split\.json: cannot be read \(No such file .*\), so that nobody knows what"):
        check_unseen(RunDirectory(tmp_path / "second"), "synthetic_cells", *images())


def test_a_run_that_goes_on_keeps_what_it_took_over(first, tmp_path, monkeypatch):
    source = tmp_path / "source"
    shutil.copytree(first, source)
    run = (tmp_path / "run", OTHERS, f"initial_weights={source}")

    def stop(self, rows, name="cases.csv"):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "write_cases", stop)
        with pytest.raises(KeyboardInterrupt):
            execute(*run)
    shutil.rmtree(source)
    with pytest.raises(UserError, match="was trained on 2 of the 2 test cases"):
        check_unseen(execute(*run), "synthetic_cells", *images("fold=1"))


def test_an_image_that_the_new_run_trains_on_itself_is_no_leak_of_the_weights(first):
    """Two equal images in one data set: no other run could be taken instead."""
    store, split = images()
    seen = split.train[0]
    check_unseen(RunDirectory(first), "another_name", store, Split(split.train, split.validation, (seen,)))
