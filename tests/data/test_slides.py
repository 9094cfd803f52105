"""Whole slides at a fraction of their size."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from segbench.data.slides import read_slide
from segbench.errors import UserError
from tests.data_layouts import shrunk, write_slide

PIXELS = np.random.default_rng(0).integers(0, 256, (203, 310, 3)).astype(np.uint8)


@pytest.mark.parametrize("downsample", [1, 2, 3, 5, 7, 20])
@pytest.mark.parametrize("tile", [16, 48, 512])
def test_each_pixel_is_the_mean_of_those_it_stands_for(tmp_path: Path, downsample: int, tile: int) -> None:
    write_slide(tmp_path / "slide.svs", PIXELS, levels=[], tile=tile)
    slide = read_slide(tmp_path / "slide.svs", downsample)
    assert slide.image.dtype == np.uint8
    np.testing.assert_array_equal(np.moveaxis(slide.image, 0, -1), shrunk(PIXELS, downsample))
    assert slide.scale == (downsample, downsample)


@pytest.mark.parametrize(("downsample", "level"), [(4, 4), (8, 4), (12, 4), (16, 16), (2, 1), (6, 1)])
def test_the_nearest_level_of_the_pyramid_is_used(tmp_path: Path, downsample: int, level: int) -> None:
    path = tmp_path / "slide.svs"
    pixels = PIXELS[:192, :304]
    write_slide(path, np.ones_like(pixels), levels=[np.full_like(shrunk(pixels, level), level) for level in (4, 16)])
    slide = read_slide(path, downsample)
    assert set(np.unique(slide.image)) == {level}  # the levels' content tells which one was read
    assert slide.image.shape[1:] == (192 // downsample, 304 // downsample)


def test_a_level_whose_size_was_rounded(tmp_path: Path) -> None:
    write_slide(tmp_path / "slide.svs", PIXELS, levels=[shrunk(PIXELS, 4)])  # 203 x 310: its quarter is 50 x 77
    slide = read_slide(tmp_path / "slide.svs", 8)
    np.testing.assert_array_equal(np.moveaxis(slide.image, 0, -1), shrunk(shrunk(PIXELS, 4), 2))
    assert slide.scale == (203 / 50 * 2, 310 / 77 * 2)


def test_plain_tiff_in_strips(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "plain.tif", PIXELS, photometric="rgb", rowsperstrip=10)
    np.testing.assert_array_equal(np.moveaxis(read_slide(tmp_path / "plain.tif", 3).image, 0, -1), shrunk(PIXELS, 3))


def test_compressed_by_jpeg(tmp_path: Path) -> None:
    smooth = np.repeat(np.repeat(PIXELS[:8, :12], 24, 0), 24, 1)
    tifffile.imwrite(tmp_path / "slide.tif", smooth, photometric="rgb", tile=(48, 48), compression="jpeg")
    with tifffile.TiffFile(tmp_path / "slide.tif") as file:
        assert file.pages[0].photometric.name == "YCBCR"  # as scanners store it
    image = np.moveaxis(read_slide(tmp_path / "slide.tif", 24).image, 0, -1)
    assert np.abs(image.astype(int) - PIXELS[:8, :12]).max() < 12


def test_memory_stays_near_the_size_of_the_result(tmp_path: Path) -> None:
    import tracemalloc

    pixels = np.zeros((4000, 4000, 3), np.uint8)
    tifffile.imwrite(tmp_path / "large.tif", pixels, photometric="rgb", tile=(256, 256), compression="zlib")
    tracemalloc.start()
    read_slide(tmp_path / "large.tif", 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < pixels.nbytes / 4


def test_bad_slides(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "grey.tif", PIXELS[..., 0], photometric="minisblack")
    with pytest.raises(UserError, match=r"grey\.tif has 1 channels of uint8: a slide has 3 of uint8"):
        read_slide(tmp_path / "grey.tif", 2)
    tifffile.imwrite(tmp_path / "small.tif", PIXELS, photometric="rgb")
    with pytest.raises(UserError, match=r"small\.tif is 203 x 310 pixels: smaller than data\.dataset\.downsample=300"):
        read_slide(tmp_path / "small.tif", 300)
    (tmp_path / "text.svs").write_text("no slide")
    with pytest.raises(UserError, match=r"text\.svs cannot be read, it is damaged or no image"):
        read_slide(tmp_path / "text.svs", 2)
    with pytest.raises(UserError, match=r"there is no file .*none\.svs"):
        read_slide(tmp_path / "none.svs", 2)
