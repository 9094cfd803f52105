"""Masks and tables of other tools beside runs, in one comparison: the same scores, the same cases, one guard."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
import SimpleITK
from omegaconf import OmegaConf
from PIL import Image

from segbench.commands.compare import compare
from segbench.data.configured import open_dataset
from segbench.errors import UserError
from segbench.runs.directory import read_cases, read_config
from tests.made_runs import configure, execute


def run(*overrides: str) -> None:
    compare(configure(*overrides, "bootstraps=100", command="compare"))


def scores(output: Path) -> pd.DataFrame:
    """The scores of a comparison by method, metric and class."""
    return pd.read_csv(output / "scores.csv").set_index(["method", "metric", "class"])["score"]


def summary(output: Path) -> dict:
    return json.loads((output / "comparison.json").read_text())


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run of a few steps."""
    folder = tmp_path_factory.mktemp("trained")
    execute(folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def masks(trained, tmp_path_factory) -> Path:
    """Folders of masks for its test cases: `true`, and `shifted` by a pixel."""
    folder = tmp_path_factory.mktemp("masks")
    _, store = open_dataset(OmegaConf.create(read_config(trained)).data)
    for case in read_cases(trained / "cases.csv")["case"].unique():
        label = np.asarray(store[case].label)
        for name, mask in (("true", label), ("shifted", np.roll(label, 1, axis=0))):
            (folder / name).mkdir(exist_ok=True)
            Image.fromarray(mask).save(folder / name / f"{case}.png")
    return folder


def test_masks_beside_a_run_are_scored_by_its_metrics_on_its_cases(trained, masks, tmp_path):
    run(f"runs=[{trained},masks:{masks / 'true'},'ours=masks:{masks / 'shifted'}']", f"output={tmp_path / 'out'}")
    found = scores(tmp_path / "out")
    assert found["true", "dice"].drop("mean of classes").eq(1).all()
    own = read_cases(trained / "cases.csv")
    for metric in ("dice", "iou", "object_f1_50"):
        for label, of_class in own[own["metric"] == metric].groupby("class"):
            assert found[summary(tmp_path / "out")["methods"][0]["name"], metric, label] == pytest.approx(
                of_class["value"].mean()
            )
    notes = " ".join(summary(tmp_path / "out")["notes"])
    assert "'true', 'ours': made elsewhere; seeds, training cases, budget, code and costs are not known" in notes
    costs = pd.read_csv(tmp_path / "out" / "costs.csv").set_index("method")
    assert costs.loc["ours"].drop(["runs", "seeds"]).isna().all()


def test_cases_that_a_folder_lacks_are_named(trained, masks, tmp_path):
    cases = sorted(path.name for path in (masks / "true").iterdir())
    (tmp_path / "few").mkdir()
    for name in cases[1:]:
        (tmp_path / "few" / name).write_bytes((masks / "true" / name).read_bytes())
    with pytest.raises(UserError, match=rf"'few' lacks '{cases[0].removesuffix('.png')}'; strict=false compares"):
        run(f"runs=[{trained},masks:{tmp_path / 'few'}]", f"output={tmp_path / 'out'}")
    assert not (tmp_path / "out").exists()
    run(f"runs=[{trained},masks:{tmp_path / 'few'}]", f"output={tmp_path / 'out'}", "strict=false")
    assert summary(tmp_path / "out")["data_sets"][0]["cases"] == len(cases) - 1


@pytest.mark.parametrize(("change", "message"), [
    (lambda mask: mask[1:], r"is 95 x 96, case .* of the data set is 96 x 96"),
    (lambda mask: 50 * mask, r"it is no class: say which values are which class, such as 'values=\[0,\[1,255\]\]'"),
])  # fmt: skip
def test_masks_that_do_not_fit_a_data_set(trained, masks, tmp_path, change, message):
    (tmp_path / "a").mkdir()
    for path in (masks / "true").iterdir():
        Image.fromarray(change(np.asarray(Image.open(path)))).save(tmp_path / "a" / path.name)
    with pytest.raises(UserError, match=message):
        run(f"runs=[{trained},masks:{tmp_path / 'a'}]", f"output={tmp_path / 'out'}")


def test_names_that_no_case_has(trained, tmp_path):
    (tmp_path / "a").mkdir()
    Image.fromarray(np.zeros((96, 96), np.uint8)).save(tmp_path / "a" / "x.png")
    with pytest.raises(UserError, match=r"masks:.*a: no mask is called as a test case: there are 'x'; the test cases"):
        run(f"runs=[{trained},masks:{tmp_path / 'a'}]", f"output={tmp_path / 'out'}")


def ball(shift: int = 0) -> np.ndarray:
    z, y, x = np.mgrid[:12, :14, :16]
    return np.asarray((z - 6) ** 2 + (y - 7) ** 2 + (x - 7 - shift) ** 2 < 20, np.uint8)


def save_volume(path: Path, mask: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        nibabel.save(nibabel.Nifti1Image(mask.T, np.diag([-1.0, -1.0, 2.0, 1.0])), path)
    else:
        image = SimpleITK.GetImageFromArray(mask)
        image.SetSpacing((1.0, 1.0, 2.0))
        SimpleITK.WriteImage(image, str(path))


def test_folders_of_volumes_against_references(tmp_path):
    for case in range(3):
        save_volume(tmp_path / "truth" / f"case_{case}.nii.gz", ball())
        save_volume(tmp_path / "near" / f"case_{case}.nrrd", ball(1))
        save_volume(tmp_path / "far" / f"case_{case}.mha", ball(3 + case % 2))
    places = f"runs=[masks:{tmp_path / 'near'},masks:{tmp_path / 'far'}]"
    with pytest.raises(UserError, match=r"masks:.*near: what are the true masks\? reference=FOLDER"):
        run(places, f"output={tmp_path / 'out'}")
    run(places, f"reference={tmp_path / 'truth'}", f"output={tmp_path / 'out'}", "metrics=overlap")
    expected = 2 * np.count_nonzero(ball() & ball(1)) / (ball().sum() + ball(1).sum())
    assert scores(tmp_path / "out")["near", "dice", "class_1"] == pytest.approx(expected)
    assert summary(tmp_path / "out")["verdict"]["best"] == "near"


def test_objects_of_another_tool(tmp_path):
    one, two = np.zeros((2, 32, 32), np.uint8)
    one[4:10, 4:10], one[4:10, 10:16], one[20:26, 20:26] = 1, 2, 3
    two[one == 1], two[one == 2], two[one == 3] = 2, 2, 5
    for name, mask in (("truth", one), ("same", one * 7), ("merged", two)):
        (tmp_path / name).mkdir()
        for case in "abc":
            Image.fromarray(mask).save(tmp_path / name / f"{case}.png")
    folders = f"runs=[instances:{tmp_path / 'same'},instances:{tmp_path / 'merged'}]"
    run(
        folders,
        f"reference=instances:{tmp_path / 'truth'}",
        f"output={tmp_path / 'out'}",
        "metric=object_f1_75",
        "metrics=standard",
    )
    found = scores(tmp_path / "out")
    assert found["same", "object_f1_75", "objects"] == 1
    assert found["merged", "object_f1_75", "objects"] == pytest.approx(2 / 5)  # one of three found, two predicted
    assert found["merged", "dice", "object"] == 1


def write_nnunet(folder: Path, masks: bool, labels: dict | None = None) -> Path:
    """Results of nnU-Net v2, two folds of two cases; its scores are those of its masks."""
    model = folder / "Dataset004_Ball" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    for fold in range(2):
        validation = model / f"fold_{fold}" / "validation"
        validation.mkdir(parents=True)
        cases = []
        for case in (2 * fold, 2 * fold + 1):
            name = f"case_{case}.nii.gz"
            if masks:
                save_volume(validation / name, ball(case))
            both, either = int(np.count_nonzero(ball() & ball(case))), int(ball().sum() + ball(case).sum())
            metrics = {"Dice": 2 * both / either, "IoU": both / (either - both), "TP": both, "FP": 0, "FN": 0, "TN": 0,
                       "n_pred": int(ball(case).sum()), "n_ref": int(ball().sum())}  # fmt: skip
            cases.append({"metrics": {"1": metrics}, "prediction_file": f"/other/machine/{name}",
                          "reference_file": f"/other/truth/{name}"})  # fmt: skip
        (validation / "summary.json").write_text(json.dumps({"metric_per_case": cases, "mean": {}}))
    if labels is not None:
        (model / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder


def test_nnunets_masks_and_its_own_summary_agree(tmp_path):
    for case in range(4):
        save_volume(tmp_path / "truth" / f"case_{case}.nii.gz", ball())
        save_volume(tmp_path / "ours" / f"case_{case}.nii.gz", ball(1))
    results = write_nnunet(tmp_path / "results", masks=True, labels={"background": 0, "ball": 1})
    reference = f"reference={tmp_path / 'truth'}"
    run(
        f"runs=[nnunet:{results},masks:{tmp_path / 'ours'}]", reference, "metrics=overlap", f"output={tmp_path / 'out'}"
    )
    name = "nnUNetTrainer__nnUNetPlans__3d_fullres"
    scored = scores(tmp_path / "out")
    tables = write_nnunet(tmp_path / "tables", masks=False)
    run(f"runs=[masks:{tmp_path / 'ours'},'theirs=nnunet:{tables}']", reference, "metrics=overlap",
        "classes=[background,ball]", f"output={tmp_path / 'both'}")  # fmt: skip
    told = scores(tmp_path / "both")
    for metric in ("dice", "iou"):
        assert told["theirs", metric, "ball"] == pytest.approx(scored[name, metric, "ball"])
