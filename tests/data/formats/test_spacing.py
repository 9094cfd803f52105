"""Size of the pixels, as the programs that write it mean it."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from segbench.data.formats import decode, write_mask

SIZE = (6, 8)
IMAGEJ: dict[str, object] = {"imagej": True}


@pytest.mark.parametrize(
    ("options", "spacing"),
    [
        ({}, None),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
        ({"resolution": (96.0, 96.0), "resolutionunit": "INCH"}, None),
        ({"resolution": (1200, 1200), "resolutionunit": "INCH"}, None),
        ({"resolution": (118.11, 118.11), "resolutionunit": "CENTIMETER"}, None),  # 300 dpi
        ({"resolution": (2e4, 4e4), "resolutionunit": "CENTIMETER"}, (0.00025, 0.0005)),  # Y before X
        ({"resolution": (25400, 25400), "resolutionunit": "INCH"}, (0.001, 0.001)),
        ({"resolution": (2e4, 2e4), "resolutionunit": "NONE"}, None),
        ({"resolution": (4, 5), **IMAGEJ, "metadata": {"unit": "um"}}, (0.0002, 0.00025)),
        ({"resolution": (4, 5), **IMAGEJ, "metadata": {"unit": "\\u00B5m"}}, (0.0002, 0.00025)),
        ({"resolution": (4, 5), **IMAGEJ, "metadata": {"unit": "micron"}}, (0.0002, 0.00025)),
        ({"resolution": (0.2, 0.2), **IMAGEJ, "metadata": {"unit": "nm"}}, (5e-6, 5e-6)),
        ({"resolution": (2, 2), **IMAGEJ, "metadata": {"unit": "mm"}}, (0.5, 0.5)),
        ({"resolution": (4, 4), **IMAGEJ, "metadata": {"unit": "pixel"}}, None),
        ({"resolution": (4, 4), **IMAGEJ}, None),
        ({"resolution": (72, 72), **IMAGEJ, "metadata": {"unit": "inch"}}, None),
        ({"ome": True, "metadata": {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}}, (0.00025, 0.0005)),
        (
            {"ome": True, "metadata": {
                "PhysicalSizeX": 5, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 6, "PhysicalSizeYUnit": "nm",
            }},
            (6e-6, 5e-6),
        ),
        ({"ome": True, "metadata": {"PhysicalSizeX": 1, "PhysicalSizeXUnit": "pixel"}}, None),
        ({"ome": True, "metadata": {"PhysicalSizeX": 0.5}}, None),
        ({"ome": True}, None),
    ],
)  # fmt: skip
def test_tiff(tmp_path: Path, options: dict[str, object], spacing: tuple[float, ...] | None) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(SIZE, np.uint8), photometric="minisblack", **options)
    assert decode(tmp_path / "a.tif").spacing == spacing


@pytest.mark.parametrize(
    ("options", "spacing"),
    [
        ({**IMAGEJ, "metadata": {"axes": "ZYX", "unit": "um", "spacing": 2.5}}, (0.0025, 0.00025, 0.00025)),
        ({**IMAGEJ, "metadata": {"axes": "TYX", "unit": "um", "spacing": 2.5}}, None),
        ({**IMAGEJ, "metadata": {"axes": "ZYX", "unit": "um"}}, None),
        ({"resolutionunit": "CENTIMETER"}, None),  # thickness of the slices unknown
        (
            {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 1, "PhysicalSizeY": 2, "PhysicalSizeZ": 3}},
            (0.003, 0.002, 0.001),
        ),
    ],
)
def test_stacks(tmp_path: Path, options: dict[str, object], spacing: tuple[float, ...] | None) -> None:
    pixels = np.zeros((3, *SIZE), np.uint8)
    resolution = (4, 4) if options.get("imagej") else (4e4, 4e4)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", resolution=resolution, **options)
    assert decode(tmp_path / "a.tif").spacing == spacing


def test_square_pixels_stay_square(tmp_path: Path) -> None:
    """However the program has rounded the fractions: turns by 90 degrees ask for equal sizes."""
    resolution = ((1234567, 1000), (12346, 10))
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(SIZE, np.uint8), resolution=resolution, resolutionunit="CENTIMETER")
    spacing = decode(tmp_path / "a.tif").spacing
    assert spacing == (0.00810001, 0.00810001)


@pytest.mark.parametrize(("suffix", "dots", "spacing"), [
    (".png", 96, None), (".png", 300, None), (".png", 25400, (0.001, 0.001)), (".bmp", 25400, (0.001, 0.001)),
    (".jpg", 300, None), (".jpg", 5080, (0.005, 0.005)), (".gif", 72, None),
])  # fmt: skip
def test_raster(tmp_path: Path, suffix: str, dots: int, spacing: tuple[float, ...] | None) -> None:
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(tmp_path / f"a{suffix}", dpi=(dots, dots))
    assert decode(tmp_path / f"a{suffix}").spacing == (spacing and pytest.approx(spacing, rel=1e-4))


def test_mask_says_what_its_image_says(tmp_path: Path) -> None:
    like = tmp_path / "a.tif"
    tifffile.imwrite(like, np.zeros(SIZE, np.uint8), resolution=(2e4, 4e4), resolutionunit="CENTIMETER")
    assert decode(write_mask(tmp_path / "mask", np.ones(SIZE, np.uint8), like)).spacing == decode(like).spacing


def test_channel_names(tmp_path: Path) -> None:
    pixels = np.zeros((2, *SIZE), np.uint8)
    metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(tmp_path / "a.tif", pixels, ome=True, photometric="minisblack", metadata=metadata)
    assert decode(tmp_path / "a.tif").channels == ("DAPI", "GFP")
    tifffile.imwrite(tmp_path / "b.tif", pixels, imagej=True, metadata={"axes": "CYX", "Labels": ["red", "green"]})
    assert decode(tmp_path / "b.tif").channels == ("red", "green")
    tifffile.imwrite(tmp_path / "c.tif", pixels, photometric="minisblack", metadata={"axes": "CYX"})
    assert decode(tmp_path / "c.tif").channels == ()
