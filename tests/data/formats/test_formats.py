"""Files of every format: read as other libraries read them, written back unchanged, damaged ones refused."""

import io
import struct
import zlib
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from segbench.data import formats
from segbench.data.formats import count_channels, read_mask, write_mask
from segbench.data.formats.tiff import count_pages
from segbench.errors import UserError

SIZE = (13, 17)


def read_image(path: Path) -> np.ndarray:
    """As segbench reads it; the header tells as many channels."""
    pixels = formats.read_image(path)
    assert count_channels(path) == len(pixels)
    return pixels


def random_pixels(shape: tuple[int, ...], dtype: str = "uint8") -> np.ndarray:
    rng = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)


@pytest.mark.parametrize("extension", [".png", ".tif", ".TIFF", ".bmp", ".PNG"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_formats_as_another_library_writes_them(tmp_path: Path, extension: str, channels: int) -> None:
    pixels = random_pixels((*SIZE, channels))
    path = tmp_path / f"image{extension}"
    iio.imwrite(path, pixels.squeeze(-1) if channels == 1 else pixels, extension=extension.lower())
    np.testing.assert_array_equal(read_image(path), np.moveaxis(pixels, -1, 0))


def test_jpeg_as_another_library_reads_it(tmp_path: Path) -> None:
    iio.imwrite(tmp_path / "image.jpg", random_pixels((*SIZE, 3)))
    expected = np.moveaxis(iio.imread(tmp_path / "image.jpg"), -1, 0)
    np.testing.assert_array_equal(read_image(tmp_path / "image.jpg"), expected)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("extension", [".png", ".tif"])
def test_alpha_is_dropped(tmp_path: Path, mode: str, extension: str) -> None:
    pixels = random_pixels((*SIZE, len(mode)))
    Image.fromarray(pixels, mode=mode).save(tmp_path / f"image{extension}")
    np.testing.assert_array_equal(read_image(tmp_path / f"image{extension}"), np.moveaxis(pixels[..., :-1], -1, 0))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_16_bits_keeps_all_bits(tmp_path: Path, channels: int) -> None:
    # Written here: of the libraries at hand, the one that writes such files is the one that reads them.
    pixels = random_pixels((*SIZE, channels), "uint16")
    (tmp_path / "image.png").write_bytes(png_of_16_bits(pixels))
    colours = {1: 1, 2: 1, 3: 3, 4: 3}[channels]
    read = read_image(tmp_path / "image.png")
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, np.moveaxis(pixels[..., :colours], -1, 0))


def png_of_16_bits(pixels: np.ndarray) -> bytes:
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        content += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return content


@pytest.mark.parametrize("extension", [".png", ".tif", ".bmp"])
def test_palette_is_colour_in_images_and_index_in_masks(tmp_path: Path, extension: str) -> None:
    index = np.random.default_rng(0).integers(0, 3, SIZE).astype(np.uint8)
    palette = np.array([[0, 0, 0], [255, 0, 0], [0, 128, 255]], np.uint8)
    image = Image.fromarray(index, mode="P")
    image.putpalette(palette.ravel().tolist())
    path = tmp_path / f"image{extension}"
    image.save(path)
    np.testing.assert_array_equal(read_image(path), np.moveaxis(palette[index], -1, 0))
    np.testing.assert_array_equal(read_mask(path), index)
    np.testing.assert_array_equal(read_mask(path, colours=True), np.array([0, 0xFF0000, 0x0080FF])[index])


@pytest.mark.parametrize("extension", [".png", ".tif"])
def test_grey_palette_is_grey(tmp_path: Path, extension: str) -> None:
    index = random_pixels(SIZE)
    image = Image.fromarray(index, mode="P")
    image.putpalette([255 - value for value in range(256) for _ in range(3)])
    image.save(tmp_path / f"image{extension}")
    np.testing.assert_array_equal(read_image(tmp_path / f"image{extension}"), 255 - index[None])


@pytest.mark.parametrize("extension", [".png", ".tif", ".bmp", ".jpg"])
@pytest.mark.parametrize("channels", [1, 3])
def test_channels_are_counted_without_the_pixels(tmp_path: Path, extension: str, channels: int) -> None:
    path = tmp_path / f"image{extension}"
    pixels = random_pixels((200, 200, channels))
    iio.imwrite(path, pixels.squeeze(-1) if channels == 1 else pixels)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"image\.\w+ cannot be read"):
        formats.read_image(path)
    if extension != ".tif":  # whose header may stand at the end
        assert count_channels(path) == channels
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"image\.\w+ cannot be read"):
        count_channels(path)


def test_one_bit(tmp_path: Path) -> None:
    pixels = random_pixels(SIZE) > 100
    Image.fromarray(pixels).save(tmp_path / "image.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "image.png"), pixels)
    assert read_image(tmp_path / "image.png").dtype == np.uint8


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float32", "float64"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_tiff_types(tmp_path: Path, dtype: str, byteorder: str) -> None:
    pixels = random_pixels(SIZE, dtype)
    tifffile.imwrite(tmp_path / "image.tif", pixels, byteorder=byteorder)
    expected = pixels if dtype in ("uint8", "uint16") else pixels.astype(np.float32)
    read = read_image(tmp_path / "image.tif")
    assert read.dtype == expected.dtype
    np.testing.assert_array_equal(read[0], expected)


@pytest.mark.parametrize(
    ("shape", "options", "order", "shape_read"),
    [
        ((5, *SIZE), {"photometric": "minisblack"}, (0, 1, 2), (1, 5, *SIZE)),
        ((5, *SIZE), {"photometric": "minisblack", "compression": "lzw"}, (0, 1, 2), (1, 5, *SIZE)),
        ((5, *SIZE), {"imagej": True, "metadata": {"axes": "ZYX"}}, (0, 1, 2), (1, 5, *SIZE)),
        ((5, *SIZE), {"imagej": True, "metadata": {"axes": "CYX"}}, (0, 1, 2), (5, *SIZE)),
        ((5, 2, *SIZE), {"imagej": True, "metadata": {"axes": "ZCYX"}}, (1, 0, 2, 3), (2, 5, *SIZE)),
        ((2, *SIZE), {"ome": True, "metadata": {"axes": "CYX"}}, (0, 1, 2), (2, *SIZE)),
        ((3, *SIZE), {"photometric": "rgb", "planarconfig": "separate"}, (0, 1, 2), (3, *SIZE)),
        ((5, *SIZE, 3), {"photometric": "rgb"}, (3, 0, 1, 2), (3, 5, *SIZE)),
        ((1, *SIZE), {"photometric": "minisblack"}, (0, 1, 2), (1, *SIZE)),
    ],
)
def test_tiff_axes(
    tmp_path: Path,
    shape: tuple[int, ...],
    options: dict[str, object],
    order: tuple[int, ...],
    shape_read: tuple[int, ...],
) -> None:
    pixels = random_pixels(shape)
    tifffile.imwrite(tmp_path / "image.tif", pixels, **options)
    read = read_image(tmp_path / "image.tif")
    expected = pixels.transpose(order).reshape(read.shape)
    assert read.shape == shape_read
    np.testing.assert_array_equal(read, expected)


def test_tiff_pages_that_were_appended_one_by_one(tmp_path: Path) -> None:
    pixels = random_pixels((4, *SIZE))
    pages = [Image.fromarray(page) for page in pixels]
    pages[0].save(tmp_path / "image.tif", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(read_image(tmp_path / "image.tif"), pixels[None])
    assert count_pages(tmp_path / "image.tif") == 4


def test_tiff_that_lost_pages_is_refused_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with tifffile.TiffWriter(tmp_path / "image.tif") as file:
        for page in random_pixels((4, 40, 40)):
            file.write(page, contiguous=False, metadata=None)
    content = (tmp_path / "image.tif").read_bytes()
    (tmp_path / "image.tif").write_bytes(content[: len(content) * 6 // 10])
    with tifffile.TiffFile(tmp_path / "image.tif") as file:
        assert 0 < len(file.pages) < 4  # tifffile alone is content with what is left
    caplog.clear()
    with pytest.raises(UserError, match=r"image\.tif cannot be read, it is damaged"):
        read_image(tmp_path / "image.tif")
    assert not caplog.records


def test_tiff_of_different_pages_is_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "image.tif") as file:
        file.write(random_pixels(SIZE))
        file.write(random_pixels((5, 5)))
    with pytest.raises(UserError, match=r"image\.tif holds images of different sizes"):
        read_image(tmp_path / "image.tif")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_pixels_that_are_not_finite(tmp_path: Path, value: float) -> None:
    pixels = random_pixels(SIZE, "float64")
    pixels[3, 4] = value
    tifffile.imwrite(tmp_path / "image.tif", pixels)
    with pytest.raises(UserError, match=r"image\.tif has pixels that are NaN or infinite"):
        read_image(tmp_path / "image.tif")


def test_mask_of_fractions_is_refused_and_of_whole_floats_is_not(tmp_path: Path) -> None:
    mask = np.array([[0.0, 1.0], [2.0, 0.0]], np.float32)
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif"), mask)
    tifffile.imwrite(tmp_path / "mask.tif", mask + 0.5)
    with pytest.raises(UserError, match=r"mask\.tif is a mask with values that are not whole numbers"):
        read_mask(tmp_path / "mask.tif")


def test_mask_in_colours(tmp_path: Path) -> None:
    grey = np.repeat(random_pixels((*SIZE, 1)), 3, axis=-1)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "grey.png"), grey[..., 0])
    Image.fromarray(random_pixels((*SIZE, 3))).save(tmp_path / "colours.png")
    with pytest.raises(UserError, match=r"colours\.png is a mask in colours"):
        read_mask(tmp_path / "colours.png")


@pytest.mark.parametrize("extension", [".gif", ".webp"])
def test_gif_and_webp_are_found_and_read(tmp_path: Path, extension: str) -> None:
    mask = random_pixels(SIZE) % 3
    Image.fromarray(mask).save(tmp_path / f"mask{extension}", lossless=True)
    assert formats.image_files(tmp_path, "input") == {"mask": tmp_path / f"mask{extension}"}
    np.testing.assert_array_equal(read_image(tmp_path / f"mask{extension}")[0], mask)
    np.testing.assert_array_equal(read_mask(tmp_path / f"mask{extension}"), mask)
    assert write_mask(tmp_path / "written", mask, tmp_path / f"mask{extension}").suffix == ".png"


@pytest.mark.parametrize("extension", [".gif", ".webp", ".png"])
def test_several_frames_are_refused(tmp_path: Path, extension: str) -> None:
    frames = [Image.fromarray(frame) for frame in random_pixels((3, *SIZE))]
    frames[0].save(tmp_path / f"film{extension}", save_all=True, append_images=frames[1:])
    with pytest.raises(UserError, match=r"film\.\w+ holds several images: one is expected"):
        read_image(tmp_path / f"film{extension}")


@pytest.mark.parametrize(("kind", "name"), [("PNG", "image.tif"), ("TIFF", "image.png"), ("JPEG", "image.PNG")])
def test_files_are_read_by_content_not_by_name(tmp_path: Path, kind: str, name: str) -> None:
    pixels = random_pixels((*SIZE, 3))
    Image.fromarray(pixels).save(tmp_path / name, kind)
    np.testing.assert_array_equal(read_image(tmp_path / name), np.moveaxis(iio.imread(tmp_path / name), -1, 0))
    path = write_mask(tmp_path / "mask", pixels[..., 0], tmp_path / name)
    np.testing.assert_array_equal(read_mask(path), pixels[..., 0])


@pytest.mark.parametrize(
    ("name", "options", "lossy"),
    [
        ("a.png", {}, False), ("a.jpg", {}, True), ("a.webp", {}, True), ("a.webp", {"lossless": True}, False),
        ("a.tif", {}, False), ("a.tif", {"compression": "jpeg"}, True), ("a.gif", {}, False),
    ],
)  # fmt: skip
def test_formats_that_change_values(tmp_path: Path, name: str, options: dict[str, object], lossy: bool) -> None:
    Image.fromarray(random_pixels(SIZE)).save(tmp_path / name, **options)
    assert formats.decode(tmp_path / name).lossy == lossy


@pytest.mark.parametrize("extension", [".png", ".jpg", ".webp", ".tif"])
def test_orientation_is_told_not_applied_and_kept_by_masks(tmp_path: Path, extension: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(random_pixels(SIZE)).save(tmp_path / f"image{extension}", exif=exif)
    decoded = formats.decode(tmp_path / f"image{extension}")
    assert decoded.orientation == 6
    assert decoded.array.shape[1:] == SIZE
    mask = random_pixels(SIZE)
    path = write_mask(tmp_path / "mask", mask, tmp_path / f"image{extension}")
    with Image.open(path) as image:  # by another library: turned when shown
        np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(image)), np.rot90(mask, -1))
    np.testing.assert_array_equal(read_mask(path), mask)


def test_palette_of_8_bits_in_a_tiff_is_not_black(tmp_path: Path) -> None:
    index = np.arange(3, dtype=np.uint8)[None].repeat(2, 0)
    colours = np.zeros((3, 256), np.uint16)
    colours[:, :3] = [[0, 255, 0], [0, 0, 128], [0, 0, 64]]
    tifffile.imwrite(tmp_path / "image.tif", index, photometric="palette", colormap=colours)
    np.testing.assert_array_equal(read_image(tmp_path / "image.tif"), colours[:, index])


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no file .*nothing\.png"):
        read_image(tmp_path / "nothing.png")


def encoded(extension: str) -> tuple[bytes, np.ndarray]:
    """A file's bytes and pixels (C, *S)."""
    pixels = random_pixels((4, 40, 40)) if extension == ".tif" else random_pixels((40, 40, 3))
    content = io.BytesIO()
    if extension == ".tif":
        tifffile.imwrite(content, pixels, photometric="minisblack", compression="zlib")
        return content.getvalue(), pixels[None]
    Image.fromarray(pixels).save(content, {".jpg": "JPEG"}.get(extension, extension[1:].upper()))
    return content.getvalue(), np.moveaxis(np.asarray(Image.open(content).convert("RGB")), -1, 0)


def image_unless_refused(path: Path) -> np.ndarray | None:
    message = ""
    try:
        return read_image(path)
    except UserError as error:
        message = str(error)
    assert str(path) in message
    assert "\n" not in message
    return None


@pytest.mark.parametrize("extension", [".png", ".tif", ".bmp", ".jpg", ".gif", ".webp"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_truncated_file_is_refused_or_whole(tmp_path: Path, extension: str, share: float) -> None:
    content, pixels = encoded(extension)
    path = tmp_path / f"cut{extension}"
    path.write_bytes(content[: int(share * len(content))])
    read = image_unless_refused(path)
    if read is not None:
        np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize("extension", [".png", ".tif", ".bmp", ".jpg", ".gif", ".webp"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_file_gives_one_line_or_an_image(tmp_path: Path, extension: str, data: st.DataObject) -> None:
    content = bytearray(encoded(extension)[0])
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=20)):
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path / f"damaged{extension}"
    path.write_bytes(content)
    image_unless_refused(path)


@pytest.mark.parametrize("extension", [".png", ".tif", ".tiff", ".bmp", ".jpg", ".gif", ".webp", ".PNG", None])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mask_is_read_as_written(tmp_path: Path, extension: str | None, data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from([(1, 1), (5, 7), (2, 5, 7)]))
    highest = data.draw(st.sampled_from([0, 1, 254, 256, 65535, 65536, 2**31 - 1]))
    label = np.random.default_rng(highest).integers(0, highest, shape, endpoint=True)
    like = None
    if extension is not None:
        like = tmp_path / f"like{extension}"
        iio.imwrite(like, random_pixels((5, 7)), extension=extension.lower())
    path = write_mask(tmp_path / "case.1", label, like)
    assert path.name.startswith("case.1.")
    if highest < 256 and len(shape) == 2 and extension not in (".jpg", ".gif", ".webp"):
        assert path.suffix == (extension or ".png")
    np.testing.assert_array_equal(read_mask(path), label)


def test_mask_keeps_the_resolution_of_a_tiff(tmp_path: Path) -> None:
    like = tmp_path / "image.tif"
    tifffile.imwrite(
        like,
        random_pixels((3, *SIZE), "uint16"),
        imagej=True,
        resolution=(4.0, 5.0),
        metadata={"axes": "ZYX", "spacing": 2.5, "unit": "um"},
    )
    path = write_mask(tmp_path / "mask", np.ones((3, *SIZE), np.uint8), like)
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].get_resolution() == (4.0, 5.0)
        assert file.imagej_metadata["spacing"] == 2.5
        assert file.imagej_metadata["unit"] == "um"
        assert file.series[0].axes == "ZYX"


def test_unwritable_output(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"mask\.png cannot be written"):
        write_mask(tmp_path / "file" / "mask", np.zeros(SIZE, np.uint8))


@pytest.mark.parametrize("extension", [".png", ".tif"])
@pytest.mark.parametrize(("mode", "paint"), [("LA", (0,)), ("LA", (255,)), ("RGBA", (0, 0, 0)), ("RGBA", (9, 200, 3))])
def test_a_mask_that_was_drawn_in_one_colour_on_nothing(
    tmp_path: Path, extension: str, mode: str, paint: tuple[int, ...]
) -> None:
    drawn = random_pixels(SIZE) > 128
    path = tmp_path / f"mask{extension}"
    for mask in (drawn, np.zeros_like(drawn)):
        colour = np.broadcast_to(np.array(paint, np.uint8), (*SIZE, len(paint)))
        Image.fromarray(np.dstack([colour, mask.astype(np.uint8) * 255]), mode=mode).save(path)
        np.testing.assert_array_equal(read_mask(path), mask * 255)
    opaque = np.dstack([colour, np.full(SIZE, 255, np.uint8)])
    Image.fromarray(opaque, mode=mode).save(path)
    assert (read_mask(path, colours=True) == int(bytes((paint * 3)[:3]).hex(), 16)).all()


def test_a_mask_in_the_alpha_channel_of_16_bits(tmp_path: Path) -> None:
    pixels = np.zeros((*SIZE, 4), "uint16")
    pixels[..., 3] = random_pixels(SIZE, "uint16")
    (tmp_path / "mask.png").write_bytes(png_of_16_bits(pixels))
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), pixels[..., 3])


@pytest.mark.parametrize(
    ("mode", "name"), [("CMYK", "a.tif"), ("YCbCr", "a.tif"), ("CMYK", "a.jpg"), ("YCbCr", "a.jpg")]
)
def test_printers_and_cameras_colours_as_another_library_shows_them(tmp_path: Path, mode: str, name: str) -> None:
    pixels = random_pixels((*SIZE, len(mode) if mode == "CMYK" else 3))
    Image.fromarray(pixels, mode=mode).save(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        expected = np.moveaxis(np.asarray(image.convert("RGB")), -1, 0)
    assert np.abs(read_image(tmp_path / name).astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("mode", "grey"), [("CMYK", (0, 0, 0)), ("YCbCr", (128, 128))])
def test_a_mask_in_printers_or_cameras_colours_has_its_grey_values(tmp_path: Path, mode: str, grey: tuple[int]) -> None:
    values = random_pixels(SIZE) % 3
    others = np.broadcast_to(np.array(grey, np.uint8), (*SIZE, len(grey)))
    pixels = np.dstack([others, 255 - values] if mode == "CMYK" else [values, others])
    Image.fromarray(pixels, mode=mode).save(tmp_path / "mask.tif")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif"), values)


def test_16_bits_of_ink(tmp_path: Path) -> None:
    ink = np.zeros((1, 2, 4), np.uint16)
    ink[0, 1] = (65535, 0, 32768, 0)
    tifffile.imwrite(tmp_path / "a.tif", ink, photometric="separated")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[:, 0], [[65535, 0], [65535, 65535], [65535, 32767]])


def test_colours_of_other_kinds_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", random_pixels((*SIZE, 3)), photometric="cielab")
    with pytest.raises(UserError, match=r"a\.tif is in colours of the kind CIELAB: save it in grey or RGB"):
        formats.read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_images_in_which_0_is_white_are_bright_where_viewers_show_them_bright(tmp_path: Path, dtype: str) -> None:
    pixels = random_pixels(SIZE, dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0], np.iinfo(dtype).max - pixels)
    if dtype == "uint8":
        with Image.open(tmp_path / "a.tif") as image:
            np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0], np.asarray(image))
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), pixels)  # see segbench.data.labels.palettes


@pytest.mark.parametrize("compression", [None, "packbits", "tiff_deflate", "group3", "group4"])
def test_1_bit_tiff_as_another_library_writes_it(tmp_path: Path, compression: str | None) -> None:
    mask = random_pixels(SIZE) > 128
    Image.fromarray(mask).save(tmp_path / "mask.tif", compression=compression)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif"), mask)
    np.testing.assert_array_equal(read_image(tmp_path / "mask.tif")[0], mask)
