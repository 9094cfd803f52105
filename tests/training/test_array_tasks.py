"""Tasks that learn from extra arrays of a data set, from the files to the scores."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from segbench.errors import UserError
from segbench.training.assembly import build_data
from tests.data_sets import folder
from tests.made_runs import configure, execute

SMALL = (
    "data=folder", "data.patch_size=[32,32]", "data.batch_size=2", "data.workers=0", "model.channels=[4,8]",
    "trainer=debug", "trainer.progress=false", "metrics=overlap", "logger=csv",
)  # fmt: skip
FOV = ("data.dataset.arrays={fov: fov}", "data.dataset.field_of_view=fov")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images and masks with a field of view (the left half), weights and a second annotator's masks."""
    root = tmp_path_factory.mktemp("folder") / "made"
    folder(root)
    for name in ("fov", "weights", "second"):
        (root / name).mkdir()
    for path in (root / "masks").iterdir():
        mask = np.asarray(Image.open(path))
        field = np.zeros_like(mask)
        field[:, : mask.shape[1] // 2] = 255
        Image.fromarray(field).save(root / "fov" / path.name)
        Image.fromarray(np.where(mask > 0, 3, 1).astype(np.uint8)).save(root / "weights" / path.name)
        Image.fromarray(np.roll(mask, 2, 0)).save(root / "second" / path.name)
    return root


def test_outside_the_field_of_view_nothing_is_learnt_nor_scored(root: Path, tmp_path: Path) -> None:
    run = execute(tmp_path / "run", *SMALL, f"data.root={root}", *FOV, tiny=False)
    rows = pd.read_csv(run.cases).drop_duplicates("case").set_index("case")
    for case, n_ref in rows["n_ref"].items():
        mask = np.asarray(Image.open(root / "masks" / f"{case}.png"))
        assert n_ref == (mask[:, : mask.shape[1] // 2] > 0).sum()


def test_weights_are_an_array(root: Path, tmp_path: Path) -> None:
    choice = (*SMALL, f"data.root={root}", "task=array_weighted", "data.dataset.arrays={weights: weights}")
    sample = build_data(configure(*choice)).sampler[0]
    expected = torch.tensor([1.0, 3.0] + [0.0] * 254)[sample["mask"]]
    torch.testing.assert_close(sample["weight"], expected)
    assert execute(tmp_path / "run", *choice, tiny=False).finished
    with pytest.raises(UserError, match=r"the data set has no array 'weights', it has none"):
        build_data(configure(*SMALL, f"data.root={root}", "task=array_weighted"))


def test_a_second_annotator_is_another_head(root: Path, tmp_path: Path) -> None:
    arrays = "data.dataset.arrays={second: {folder: second, labels: true}}"
    choice = (
        *SMALL,
        f"data.root={root}",
        "task=second_annotator",
        arrays,
        "augmentation=none",
        "metrics.references=[second]",
    )
    run = execute(tmp_path / "run", *choice, tiny=False)
    assert run.finished
    log = pd.read_csv(run.path / "metrics.csv")
    assert {"train/loss_mask", "train/loss_second"} <= set(log.columns)
    own, against, human = (
        pd.read_csv(run.path / name).query("metric == 'dice'").set_index("case")["value"]
        for name in ("cases.csv", "references/second.csv", "annotators/second.csv")
    )
    assert set(own.index) == set(against.index) == set(human.index)
    for case in own.index:
        mask, second = (np.asarray(Image.open(root / folder / f"{case}.png")) > 0 for folder in ("masks", "second"))
        assert human[case] == pytest.approx(2 * (mask & second).sum() / (mask.sum() + second.sum()))


def test_arrays_as_input(root: Path, tmp_path: Path) -> None:
    """In training, validation, test; the network has a channel more for each, two for a label map of two classes."""
    arrays = "data.dataset.arrays={second: {folder: second, labels: true}, weights: weights}"
    choice = (*SMALL, f"data.root={root}", arrays, "data.input_arrays=[weights,second]")
    config = configure(*choice)
    data = build_data(config)
    assert config.measured.in_channels == 4
    assert data.sampler[0]["image"].shape == (4, 32, 32)
    for case in (*data.test_dataloader(), *data.val_dataloader()[0]):
        assert case["image"].shape == (1, 4, 40, 44)
        second = np.asarray(Image.open(root / "second" / f"{case['case_id']}.png")) > 0
        np.testing.assert_array_equal(case["image"][0, 3], second)
        np.testing.assert_array_equal(case["arrays"]["second"], second)
    run = execute(tmp_path / "run", *choice, tiny=False)
    assert run.finished
    with pytest.raises(UserError, match=r"data.input_arrays: there is no array 'other'; the cases have second"):
        build_data(configure(*SMALL, f"data.root={root}", arrays, "data.input_arrays=[other]"))


def test_a_run_that_sees_arrays_is_scored_again_and_predicts_files_that_have_them(root: Path, tmp_path: Path) -> None:
    from segbench.commands.evaluate import evaluate
    from segbench.commands.predict import predict

    arrays = "data.dataset.arrays={second: {folder: second, labels: true}, weights: weights}"
    choice = (*SMALL, f"data.root={root}", arrays, "data.input_arrays=[second,weights]", "predictions=true")
    run = execute(tmp_path / "run", *choice, tiny=False)
    before = pd.read_csv(run.cases)
    evaluate(configure(f"run={run.path}", "accelerator=cpu", command="evaluate"))
    pd.testing.assert_frame_equal(pd.read_csv(run.cases), before)

    def predicted(*overrides: str) -> Path:
        output = tmp_path / "masks"
        predict(configure(f"run={run.path}", f"input={root}/images", f"output={output}", *overrides, command="predict"))
        return output

    output = predicted(f"arrays={{second: '{root}/second', weights: '{root}/weights'}}")
    for tested in (run.path / "predictions").iterdir():
        np.testing.assert_array_equal(np.asarray(Image.open(tested)), np.asarray(Image.open(output / tested.name)))
    for overrides, told in (
        ("arrays=null", r"sees second besides the image \(data.input_arrays\): .* arrays={second: FOLDER}"),
        (f"arrays={{second: '{root}/second'}}", "sees weights besides the image"),
        (f"arrays={{other: '{root}/second'}}", "arrays.other: the run sees no such array .*; it sees second, weights"),
        (f"arrays={{second: '{tmp_path}/none', weights: '{root}/weights'}}", "arrays.second=.*none"),
        (f"arrays={{second: '{root}/images', weights: '{root}/weights'}}", "images"),
    ):
        with pytest.raises(UserError, match=told):
            predicted(overrides)
