"""Masks of any tool against reference masks: encodings, sizes of pixels, and what is refused."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from segbench.commands.evaluate_masks import evaluate_masks
from segbench.errors import UserError
from segbench.runs.directory import read_cases
from tests.made_runs import configure


def disc(shift: int = 0) -> np.ndarray:
    rows, columns = np.mgrid[:40, :40]
    return np.asarray((rows - 20) ** 2 + (columns - 15 - shift) ** 2 < 100, np.uint8)


def evaluate(root: Path, *overrides: str) -> dict[str, float]:
    """The mean of each metric."""
    folders = (
        f"prediction={root / 'p'}",
        f"reference={root / 'r'}",
        f"output={root / 'scores.csv'}",
        "metrics=standard",
    )
    evaluate_masks(configure(*folders, "metrics=standard", *overrides, command="evaluate"))
    return read_cases(root / "scores.csv").groupby("metric")["value"].mean().to_dict()


def save(path: Path, mask: np.ndarray, *colours: tuple[int, int, int]) -> None:
    path.parent.mkdir(exist_ok=True)
    image = Image.fromarray(mask)
    if colours:
        image.putpalette(np.array(colours, np.uint8).ravel().tolist())
    image.save(path)


def test_spacing_scales_distances_alone(tmp_path: Path) -> None:
    save(tmp_path / "p" / "a.png", disc(3))
    save(tmp_path / "r" / "a.gif", disc())
    plain, scaled = evaluate(tmp_path), evaluate(tmp_path, "spacing=[0.5,0.5]")
    assert scaled["hd95"] == plain["hd95"] / 2 > 0
    assert scaled["dice"] == plain["dice"]


@pytest.mark.parametrize(("spacing", "message"), [
    ("[1,1,1]", "spacing has 3 numbers: 2 are expected"), ("[0,1]", "spacing: 0 is no size"),
    ("0.5", "spacing=0.5: 2 numbers are expected"),
])  # fmt: skip
def test_spacing_that_is_none(tmp_path: Path, spacing: str, message: str) -> None:
    save(tmp_path / "p" / "a.png", disc())
    save(tmp_path / "r" / "a.png", disc())
    with pytest.raises(UserError, match=message):
        evaluate(tmp_path, f"spacing={spacing}")


def test_masks_of_a_format_that_changes_values(tmp_path: Path) -> None:
    save(tmp_path / "p" / "a.png", 255 * disc())
    save(tmp_path / "r" / "a.jpg", 255 * disc())
    with pytest.raises(UserError, match=r"r/a\.jpg has \d+ values: the format changes pixel values"):
        evaluate(tmp_path)
    with pytest.raises(UserError, match=r"r/a\.jpg has the label values .* the format changes pixel values"):
        evaluate(tmp_path, "values=[0,255]")
    with pytest.raises(UserError, match=r"r/a\.jpg is an instance map: the format changes pixel values"):
        evaluate(tmp_path, "masks_are=instances")


def test_palettes_that_differ_need_colours(tmp_path: Path) -> None:
    black, red = (0, 0, 0), (255, 0, 0)
    for folder in "pr":
        save(tmp_path / folder / "a.png", disc(), black, red)
        save(tmp_path / folder / "b.png", 1 - disc(), red, black)
    with pytest.raises(
        UserError, match=r"the palette of .*b\.png has #ff0000 where that of .*a\.png has #000000: .* as values,"
    ):
        evaluate(tmp_path)
    scores = evaluate(tmp_path, "values=['#000000','#ff0000']")
    assert scores["dice"] == 1


def test_sizes_that_differ(tmp_path: Path) -> None:
    save(tmp_path / "p" / "a.png", disc())
    save(tmp_path / "r" / "a.png", disc()[1:])
    with pytest.raises(UserError, match=r"p/a\.png is 40 x 40, its reference .*r/a\.png is 39 x 40"):
        evaluate(tmp_path)


def test_smoothed_edges_are_no_classes(tmp_path: Path) -> None:
    drawn = disc() * 255
    drawn[drawn.shape[0] // 2, 3:20] = np.arange(40, 57)
    for folder in "pr":
        save(tmp_path / folder / "a.png", drawn)
    with pytest.raises(UserError, match=r"have 17 values between 0 and 255; they are grey values") as caught:
        evaluate(tmp_path)
    assert "\"values=['0-127','128-255']\"" in str(caught.value)
    assert evaluate(tmp_path, "values=['0-127','128-255']")["dice"] == 1
    drawn[drawn == 255] = 254
    for folder in "pr":
        save(tmp_path / folder / "a.png", drawn)
    names = ",".join(f"c{value}" for value in range(255))
    assert evaluate(tmp_path, f"classes=[{names}]")["dice"] == 1


def test_masks_in_which_0_is_white_need_their_values(tmp_path: Path) -> None:
    for folder in "pr":
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "a.tif", disc() * 255, photometric="miniswhite")
    with pytest.raises(UserError, match=r"a\.tif is a TIFF file in which 0 is white .*such as values=\[0,255\]"):
        evaluate(tmp_path)
    assert evaluate(tmp_path, "values=[0,255]")["dice"] == 1


def test_masks_in_the_alpha_channel_alone(tmp_path: Path) -> None:
    save(tmp_path / "r" / "a.png", disc() * 255)
    (tmp_path / "p").mkdir()
    Image.fromarray(np.dstack([np.zeros((40, 40, 3), np.uint8), disc() * 255])).save(tmp_path / "p" / "a.png")
    assert evaluate(tmp_path)["dice"] == 1


def test_masks_that_viewers_turn_in_different_ways(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    save(tmp_path / "r" / "a.png", disc())
    (tmp_path / "p").mkdir()
    Image.fromarray(disc()).save(tmp_path / "p" / "a.png", exif=exif)
    with pytest.raises(UserError, match=r"viewers turn .*p/a\.png \(EXIF orientation 3\), but not its reference"):
        evaluate(tmp_path)


def test_volumes_are_scored_in_the_millimetres_of_their_files(tmp_path: Path) -> None:
    affine = np.diag([0.5, 0.5, 3.0, 1.0])
    volume = np.zeros((6, 12, 12), np.uint8)
    volume[2:4, 3:9, 3:9] = 1
    for folder, label in (("r", volume), ("p", np.roll(volume, 1, axis=0))):
        (tmp_path / folder).mkdir()
        nibabel.save(nibabel.Nifti1Image(label.T, affine), tmp_path / folder / "a.nii.gz")
    scores = evaluate(tmp_path)
    assert scores["dice"] == pytest.approx(0.5)
    assert scores["hd95"] == pytest.approx(3.0)
    affine[0, 3] = 40
    nibabel.save(nibabel.Nifti1Image(volume.T, affine), tmp_path / "p" / "a.nii.gz")
    with pytest.raises(UserError, match="do not lie on each other: their origin"):
        evaluate(tmp_path)
