"""Several runs that predict together, and the post-processing that their test cases decide."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from segbench.commands.execution import report
from segbench.data.formats import decode, read_mask, write_quantities
from segbench.evaluation.postprocessing import keep_largest
from segbench.runs.ensembles import ensemble
from tests.made_runs import execute

SMALL = ("data.dataset.cases=9", "folds=3", "trainer.max_steps=2", "trainer.gap_cases=0")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    """Three runs of one method, one of each fold, and one of another."""
    folder = tmp_path_factory.mktemp("sweeps") / "study"
    for fold in range(3):
        execute(folder / f"unet-fold{fold}-abc", *SMALL, f"fold={fold}")
    execute(folder / "other-fold0-abc", *SMALL, "loss=dice")
    return folder


@pytest.fixture
def images(tmp_path) -> Path:
    folder, rng = tmp_path / "images", np.random.default_rng(0)
    for name in ("a", "b"):
        folder.mkdir(exist_ok=True)
        write_quantities(folder / name, rng.random((40, 48)))
    return folder


def predicted(run: str, images: Path, output: Path, *others: str) -> dict[str, np.ndarray]:
    arguments = [f"run={run}", f"input={images}", f"output={output}", "probabilities=true", "accelerator=cpu", *others]
    assert report("predict", arguments) == 0
    return {str(path.relative_to(output)): decode(path).array for path in sorted(output.rglob("*.tif"))}


def test_all_folds_of_a_method_predict_the_mean_of_their_probabilities(sweep, images, tmp_path, capsys):
    alone = [predicted(f"{sweep}/unet-fold{k}-abc", images, tmp_path / f"alone{k}") for k in range(3)]
    together = predicted(f"{sweep}/unet", images, tmp_path / "together")
    shares = [name for name in together if name.startswith("probabilities")]
    for name in shares:
        np.testing.assert_allclose(together[name], np.mean([one[name] for one in alone], axis=0), atol=1e-6)
    for image in ("a.tif", "b.tif"):
        stacked = np.stack([together[name] for name in shares if name.endswith(image)])
        classes = [Path(name).parent.name for name in shares if name.endswith(image)]
        order = [json.loads((sweep / "unet-fold0-abc" / "run.json").read_text())["dataset"]["classes"].index(c)
                 for c in classes]  # fmt: skip
        np.testing.assert_array_equal(np.array(order)[stacked.argmax(0)], together[image])
    assert "the mean of the probabilities of 3 runs" in capsys.readouterr().out


def test_a_list_says_which_fold_it_lacks(sweep, images, tmp_path, capsys):
    predicted(f"[{sweep}/unet-fold0-abc,{sweep}/unet-fold2-abc]", images, tmp_path / "two")
    assert "note: none of them is of fold 1" in capsys.readouterr().out


def test_one_seed_of_one_fold_is_no_cross_validation(sweep):
    assert ensemble(f"{sweep}/other") == [sweep / "other-fold0-abc"]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("{sweep}", "are not of one method, they differ in"),
        ("{sweep}/nothing", "is no run directory, it has no run.json"),
        ("{copy}", "lacks runs of fold=1: train these, or name the runs that are to be averaged"),
        ("{half}", "is not finished (status running): start its command again"),
        ("[{sweep}/unet-fold0-abc,{classes}]", "find other classes"),
    ],
)
def test_mistakes_are_one_line(sweep, images, tmp_path, capsys, run, message):
    copies = {name: tmp_path / name for name in ("copy", "half", "classes")}
    shutil.copytree(sweep, copies["copy"], ignore=shutil.ignore_patterns("unet-fold1*", "other*"))
    for name, change in (("half", {"status": "running"}), ("classes", {"dataset": {"classes": ["x"]}})):
        shutil.copytree(sweep / "unet-fold0-abc", copies[name] / "unet-fold0-abc")
        record = copies[name] / "unet-fold0-abc" / "run.json"
        record.write_text(json.dumps(json.loads(record.read_text()) | change))
    copies["classes"] /= "unet-fold0-abc"
    output = tmp_path / "masks"
    arguments = [f"run={run.format(sweep=sweep, **copies)}", f"input={images}", f"output={output}"]
    assert report("predict", arguments) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not output.exists()


def test_postprocessing_is_decided_recorded_and_applied(sweep, images, tmp_path, capsys):
    file = tmp_path / "post.json"
    assert report("postprocess", [f"run={sweep}/unet", f"output={file}", "accelerator=cpu"]) == 0
    assert "decided by 9 cases of 3 runs" in capsys.readouterr().out
    decision = json.loads(file.read_text())
    assert decision["cases"] == 9
    assert len(decision["runs"]) == 3
    for step in decision["steps"]:  # whatever two steps of training have brought, that it is kept follows from Dice
        means = {side: np.nanmean([v for v in step[side].values() if v is not None]) for side in ("before", "after")}
        assert not step["kept"] or means["after"] > means["before"]
    decision["steps"] = [{**step, "kept": True} for step in decision["steps"]]
    file.write_text(json.dumps(decision))
    plain = predicted(f"{sweep}/unet", images, tmp_path / "plain")
    assert report("predict", [f"run={sweep}/unet", f"input={images}", f"output={tmp_path / 'clean'}",
                              f"postprocessing={file}"]) == 0  # fmt: skip
    for name in ("a.tif", "b.tif"):
        expected = plain[name][0]
        for step in decision["steps"]:
            expected = keep_largest(expected, step["classes"], 0)
        np.testing.assert_array_equal(read_mask(tmp_path / "clean" / name), expected)


def test_postprocessing_refuses_what_is_no_cross_validation_or_no_file(sweep, images, tmp_path, capsys):
    assert report("postprocess", [f"run={sweep}", f"output={tmp_path / 'p.json'}"]) == 2
    assert "are not of one method" in capsys.readouterr().err
    taken = tmp_path / "mine.json"
    taken.write_text("{}")
    assert report("postprocess", [f"run={sweep}/unet", f"output={taken}"]) == 2
    assert "is a file that is no post-processing, and is not written over" in capsys.readouterr().err
    arguments = [f"run={sweep}/unet", f"input={images}", f"output={tmp_path / 'masks'}", f"postprocessing={taken}"]
    assert report("predict", arguments) == 2
    assert "is no file of segbench postprocess" in capsys.readouterr().err
    assert not (tmp_path / "masks").exists()
