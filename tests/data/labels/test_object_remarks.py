"""Doubts about objects: masks of classes taken for instances, and objects without a gap between them."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segbench.commands.prepare import prepare
from segbench.data.border_weight import BorderWeight
from segbench.training.assembly import build_data
from tests.made_runs import configure

OVERRIDES = ("data=folder", "data.dataset.masks_are=instances", "data.patch_size=[16,16]", "folds=3")


def settings(root: Path, masks: list[np.ndarray], *more: str) -> list[str]:
    rng = np.random.default_rng(0)
    for number, mask in enumerate(masks):
        image = rng.integers(0, 255, mask.shape).astype(np.uint8)
        for folder, pixels in (("images", image), ("masks", mask.astype(np.uint8))):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / folder / f"{number}.png")
    return [*OVERRIDES, f"data.root={root}", f"data.cache={root / 'cache'}", *more]


def squares(first: int, second: int, gap: int) -> np.ndarray:
    mask = np.zeros((16, 16), np.uint8)
    mask[4:8, 2:6] = first
    mask[4:8, 6 + gap : 10 + gap] = second
    return mask


def warnings(caplog: pytest.LogCaptureFixture, *overrides: str) -> str:
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="segbench"):
        build_data(configure(*overrides))
    return " ".join(caplog.messages)


@pytest.mark.parametrize(
    ("masks", "doubtful"),
    [
        ([squares(255, 255, 2)] * 6, True),
        ([squares(255, 0, 2)] * 5 + [squares(255, 255, 2)], True),
        ([squares(1, 2, 2)] * 6, False),
        ([squares(255, 0, 2)] * 6, False),  # one object in each case may be meant
        ([squares(1, 1, 2)] * 5 + [squares(1, 2, 2)], False),
    ],
)
def test_binary_masks_that_pass_as_instances(tmp_path, caplog, capsys, masks, doubtful) -> None:
    overrides = settings(tmp_path / "data", masks)
    said = "these masks seem to number no objects; data.dataset.masks_are=classes"
    assert (said in warnings(caplog, *overrides)) == doubtful
    prepare(configure(*overrides[:2], *overrides[-2:], command="prepare"))
    printed = " ".join(capsys.readouterr().out.split())
    assert (said in printed) == doubtful


@pytest.mark.parametrize(
    ("gap", "more", "doubtful"),
    [
        (0, (), True),
        (0, ("task.weight.background_only=false",), False),
        (1, (), False),
        (0, ("task.weight.w0=0",), False),
    ],
)
def test_border_weights_without_a_gap_to_weigh(tmp_path, caplog, gap, more, doubtful) -> None:
    overrides = settings(
        tmp_path / "data", [squares(1, 2, gap)] * 6, "task=border_weighted", "loss=cross_entropy", *more
    )
    said = warnings(caplog, *overrides)
    assert ("cases objects touch without background between them" in said) == doubtful
    assert said.count("background_only=false") == doubtful


def test_the_remark_agrees_with_the_weights() -> None:
    touching = squares(1, 2, 0)
    inside = touching > 0

    class Sample:
        label, instances, spacing = inside.astype(np.uint8), touching, (1.0, 1.0)

    only, everywhere = (BorderWeight(background_only=only)(Sample()) for only in (True, False))
    assert only[5, 5] == only[5, 6] == 1
    assert everywhere[5, 5] > 5
