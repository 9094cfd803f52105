"""Losses leave class 0 out where it is the background, and only there."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from segbench.config import schema
from segbench.config.identity import run_id
from segbench.config.instantiation import build
from segbench.training import assembly
from tests.data_sets import folder
from tests.losses.draws import draw
from tests.made_runs import configure

TISSUE = ("data=synthetic_tissue", "data.dataset.cases=8", "data.dataset.size=[128,128]", "data.patch_size=[32,32]")
CELLS = ("data=synthetic_cells", "data.dataset.cases=5", "data.dataset.size=[96,96]", "data.patch_size=[32,32]")
TERMS = {"dice_ce": "loss.terms.dice.loss", "boundary": "loss", "dice_boundary": "loss.terms.boundary.loss"}
"""Where a loss says whether it leaves class 0 out."""


def objective(*overrides: str) -> torch.nn.Module:
    config = configure("data.workers=0", "augmentation=none", *overrides)
    assembly.build_data(config)
    return build(config.task.objective, "task.objective")["mask"].loss


def soft_dice(logits: Tensor, target: Tensor, classes: range) -> Tensor:
    """Its mean over classes, over all pixels of the batch."""
    p = logits.softmax(1)
    scores = []
    for value in classes:
        truth = (target == value).float()
        scores.append(2 * (p[:, value] * truth).sum() / (p[:, value].sum() + truth.sum()))
    return torch.stack(scores).mean()


@pytest.mark.parametrize(("data", "first"), [(CELLS, 1), (TISSUE, 0)])
def test_the_dice_term_has_the_classes_that_count(data: tuple[str, ...], first: int) -> None:
    logits, target = draw(2, 16, 16, classes=4)
    expected = F.cross_entropy(logits, target) + 1 - soft_dice(logits, target, range(first, 4))
    torch.testing.assert_close(objective(*data)(logits, target), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("background", "counts"), [("0", False), ("1", True), ("null", True)])
@pytest.mark.parametrize("loss", TERMS)
def test_a_folder_says_which_class_is_the_background(tmp_path: Path, background: str, counts: bool, loss: str) -> None:
    folder(tmp_path / "images")
    data = ("data=folder", f"data.root={tmp_path / 'images'}", f"data.dataset.background={background}",
            "data.patch_size=[32,32]", f"loss={loss}")  # fmt: skip
    logits, target = draw(2, 8, 8, classes=2)
    said = [objective(*data, f"{TERMS[loss]}.include_background={value}")(logits, target) for value in (False, True)]
    assert said[0] != said[1]
    assert objective(*data)(logits, target) == said[counts]


@pytest.mark.parametrize("loss", TERMS)
def test_the_id_is_that_of_runs_in_whose_file_it_was_false(loss: str) -> None:
    for data in ("wbc", "synthetic_tissue"):
        config = configure(f"loss={loss}", f"data={data}")
        written = configure(f"loss={loss}", f"data={data}", f"{TERMS[loss]}.include_background=false")
        assert run_id(config) == run_id(written)
        schema.check(config)
        schema.check_targets(config)
