"""The picture of the curves: what it shows, and that it does not depend on those drawn before."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from segbench.evaluation import previews
from segbench.evaluation.previews import write_curves
from segbench.runs.criterion import Criterion


def curves(steps: int, **columns: list[float]) -> pd.DataFrame:
    falling = np.linspace(2, 0.05, steps)
    table = {"step": np.arange(1, steps + 1), "train/loss": falling, "lr": falling / 1000}
    table |= {f"validation/dice{name}": 1 - falling / part for name, part in (("", 2), ("/a", 3), ("/b", 1.5))}
    return pd.DataFrame(table | columns)


LONG = curves(60)
SHORT = curves(1)
NEGATIVE = curves(5, **{"train/loss": [1.0, 0.5, -0.1, -0.2, -0.3], "train/loss_mask": [1.0, 0.5, 0.1, 0.1, 0.1]})
SPARSE = curves(
    4,
    **{
        "validation/dice": [np.nan, 0.5, np.nan, 0.7],
        "validation/dice/a": [np.nan] * 4,
        "validation/dice/b": [np.nan] * 4,
    },
)
BARE = LONG[["step", "lr"]]


def draw(table: pd.DataFrame, folder: Path) -> np.ndarray:
    table.to_csv(folder / "metrics.csv", index=False)
    write_curves(folder / "metrics.csv", folder / "curves.png", Criterion())
    return np.asarray(Image.open(folder / "curves.png").convert("RGB"))


def test_a_picture_does_not_depend_on_those_before(tmp_path: Path):
    tables = [LONG, SHORT, NEGATIVE, SPARSE, BARE]
    first = [draw(table, tmp_path) for table in tables]
    for table, picture in reversed(list(zip(tables, first, strict=True))):
        np.testing.assert_array_equal(draw(table, tmp_path), picture)
    assert len({picture.tobytes() for picture in first}) == len(tables)


@pytest.mark.parametrize(
    ("change", "third"),
    [({"train/loss": [0.3] * 60}, 0), ({"validation/dice": [0.3] * 60}, 1), ({"lr": [0.3] * 60}, 2)],
)
def test_each_curve_has_its_panel(tmp_path: Path, change, third):
    before, after = draw(LONG, tmp_path), draw(curves(60, **change), tmp_path)
    places = np.flatnonzero((before != after).any(axis=(0, 2))) / before.shape[1]
    assert third / 3 - 0.02 < places.min() < places.max() < (third + 1) / 3 + 0.02


def test_a_single_class_is_drawn_once(tmp_path: Path):
    both = LONG.drop(columns="validation/dice/b").assign(**{"validation/dice/a": LONG["validation/dice"]})
    np.testing.assert_array_equal(draw(both, tmp_path), draw(both.drop(columns="validation/dice"), tmp_path))


def test_several_classes_have_a_legend():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (1, 40, 40)).astype(np.uint8)
    label = np.repeat(np.arange(4), 10)[:, None].repeat(40, axis=1).astype(np.uint8)
    names = ["background", "nucleus", "cytoplasm", "a name that is so long that it has a line of its own " * 3]
    plain = np.asarray(previews.preview(image, label, label, 0, "x"))
    with_legend = np.asarray(previews.preview(image, label, label, 0, "x", names))
    np.testing.assert_array_equal(with_legend[: len(plain)], plain)
    legend = with_legend[len(plain) :]
    rows = [np.argwhere((legend == colour.astype(np.uint8)).all(-1)) for colour in previews.PALETTE]
    assert [len(found) > 100 for found in rows] == [True] * 3 + [False] * 4  # the classes but the background
    assert rows[0][0][0] == rows[1][0][0] < rows[2][0][0]
    binary = (label > 0).astype(np.uint8)
    one_class = np.asarray(previews.preview(image, binary, binary, 0, "x", names[:2]))
    assert one_class.shape == plain.shape
    regions = np.stack([label >= 1, label >= 2])
    drawn = previews.preview_regions(image, label, regions, {"whole": (1, 2, 3), "core": (2, 3)}, "x")
    assert drawn.height == len(plain) + 20
