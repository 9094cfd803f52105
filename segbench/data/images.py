"""Image files in and out: PNG, TIFF with one or many pages, BMP and JPEG.

Pixels are taken as stored: neither EXIF orientation, nor gamma, nor "white is zero" is applied, so that
an image and a mask that were saved together stay together. Alpha channels are dropped.
"""

from __future__ import annotations

import io
import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from segbench.data.files import files_by_key
from segbench.errors import UserError
from segbench.system.atomic import write_atomically

EXTENSIONS = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")
"""What can be read, lower-case; upper-case extensions are the same."""

_TIFF = (".tif", ".tiff")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_DEPTH, _PNG_COLOUR = 24, 25  # offsets of the bits per channel and of the kind of pixels in a PNG file
_PNG_PALETTE, _PNG_COLOURS = 3, (2, 6)  # kinds of pixels: those with a palette, those in red, green and blue
_ALPHA = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)

_complaints = threading.local()  # files are read in several threads at once

# Pillow refuses very large images to protect servers from hostile uploads; here they are whole slides.
Image.MAX_IMAGE_PIXELS = None


def image_files(folder: Path, key: str) -> dict[str, Path]:
    """The image files at any depth of a folder, by their path in it without extension.

    Args:
        folder: where to look.
        key: the configuration's key that names it, for messages.

    Raises:
        UserError: where there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise UserError(f"{key}={folder}: there is no such file or folder")
    files = files_by_key(folder, EXTENSIONS)
    if not files:
        raise UserError(f"{key}={folder}: holds no image; known are {', '.join(EXTENSIONS)}")
    return files


def read_image(path: Path) -> np.ndarray:
    """Read an image or a stack.

    Grey files have one channel, colour and colour-palette files three, TIFF files as many as they say.
    The pages of a TIFF file without a channel axis are the depth of a volume.

    Returns:
        (C, *S), S = (H, W), or (D, H, W) for a TIFF stack: uint8 and uint16 as stored, 1-bit as uint8,
        everything else as float32.

    Raises:
        UserError: where the file cannot be read, is truncated, or has NaN or infinite pixels.
    """
    pixels = _decode(path, expand_palette=True)
    if pixels.dtype == bool:
        return pixels.astype(np.uint8)
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and said so below
        pixels = pixels.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise UserError(f"{path} has pixels that are NaN or infinite: every pixel must be a finite number")
    return pixels


def count_channels(path: Path) -> int:
    """Count the channels that `read_image` gives, by the file's header: no pixel is decoded unless there is a palette.

    Raises:
        UserError: where the file cannot be read.
    """
    with reading(path):
        return _count_tiff(path) if path.suffix.lower() in _TIFF else _count_flat(path)


def read_mask(path: Path, colours: bool = False) -> np.ndarray:
    """Read a mask: one integer per pixel.

    Args:
        path: an image file.
        colours: gives each pixel's colour as 0xRRGGBB, grey and palette files too. Otherwise the file must
            hold one value per pixel: grey, palette (the value is the palette's index), or RGB with
            three equal channels.

    Returns:
        (*S) integer.

    Raises:
        UserError: where the file cannot be read, has colours though none were asked for, or values
            that are not integers.
    """
    pixels = _decode(path, expand_palette=colours)
    if pixels.dtype.kind == "f":
        if not np.array_equal(pixels, np.round(pixels)):  # NaN differs from itself
            raise UserError(f"{path} is a mask with values that are not whole numbers")
        pixels = pixels.astype(np.int64)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    if colours:
        if pixels.dtype != np.uint8 or len(pixels) not in (1, 3):
            raise UserError(f"{path} is no mask of 8-bit colours: {len(pixels)} channels of {pixels.dtype}")
        red, green, blue = np.broadcast_to(pixels, (3, *pixels.shape[1:])).astype(np.int32)
        return np.asarray(red << 16 | green << 8 | blue)
    if len(pixels) > 1 and not (pixels == pixels[:1]).all():
        raise UserError(f"{path} is a mask in colours: data.dataset.values must give each class one, such as '#ff0000'")
    return np.asarray(pixels[0])


def count_pages(path: Path) -> int:
    """Count the pages of a TIFF stack, without decoding them.

    Raises:
        UserError: where the file cannot be read.
    """
    with reading(path), _strict_tifffile(), tifffile.TiffFile(path) as file:
        return len(file.pages)


def read_pages(path: Path, start: int, stop: int) -> np.ndarray:
    """Read some pages of a stack of grey pages, without decoding the others.

    Args:
        path: a TIFF file.
        start: the first page, from 0.
        stop: the page after the last one.

    Returns:
        (stop - start, H, W) in the file's own type.

    Raises:
        UserError: where the file cannot be read, or its pages have several channels or sizes.
    """
    with reading(path), _strict_tifffile(), tifffile.TiffFile(path) as file:
        pages = np.stack([file.pages[index].asarray() for index in range(start, stop)])
        if pages.ndim != 3:
            raise UserError(f"{path} has pages of shape {pages.shape[1:]}: grey ones are expected")
        return pages.astype(pages.dtype.newbyteorder("="), copy=False)


def write_mask(path: Path, label: np.ndarray, like: Path | None = None) -> Path:
    """Write a label map or instance map, whole or not at all.

    The format is that of `like` where it can hold the map: JPEG would change the values, BMP holds 8 bits,
    PNG 16 bits and no volume; TIFF holds all. A TIFF file gets the resolution of a TIFF `like`.

    Args:
        path: the file to write, without its extension.
        label: (*S) integer >= 0.
        like: the image that the map belongs to; None stands for PNG.

    Returns:
        The file written.

    Raises:
        UserError: where it cannot be written.
    """
    highest = int(label.max(initial=0))
    label = label.astype(np.min_scalar_type(highest))
    extension = like.suffix if like is not None else ".png"
    if extension.lower() in (".jpg", ".jpeg") or (extension.lower() == ".bmp" and highest > 255):
        extension = ".png"
    if label.ndim > 2 or highest > 65535:
        extension = extension if extension.lower() in _TIFF else ".tif"
    content = io.BytesIO()
    if extension.lower() in _TIFF:
        tifffile.imwrite(content, label, photometric="minisblack", compression="zlib", **_geometry(like, label))
    else:
        Image.fromarray(label).save(content, extension[1:].upper())
    path = path.with_name(path.name + extension)
    write_atomically(path, content.getvalue())
    return path


def _geometry(like: Path | None, label: np.ndarray) -> dict[str, Any]:
    """The arguments of `tifffile.imwrite` that repeat a TIFF file's resolution."""
    metadata: dict[str, Any] = {"axes": "ZYX"[-label.ndim :]}
    if like is None or like.suffix.lower() not in _TIFF:
        return {"metadata": metadata}
    with reading(like), tifffile.TiffFile(like) as file:
        page = file.series[0].keyframe
        imagej = file.imagej_metadata or {}
        metadata |= {key: imagej[key] for key in ("spacing", "unit") if key in imagej}
        resolution = {"resolution": page.get_resolution(), "resolutionunit": page.resolutionunit}
        imagej_has_type = label.dtype in (np.uint8, np.uint16)
        return {"metadata": metadata, "imagej": file.is_imagej and imagej_has_type, **resolution}


def _decode(path: Path, expand_palette: bool) -> np.ndarray:
    """Any file as (C, *S) in its own type and this machine's byte order, without alpha."""
    with reading(path):
        decode = _decode_tiff if path.suffix.lower() in _TIFF else _decode_flat
        pixels = decode(path, expand_palette)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises at a file into one line.

    Raises:
        UserError: where the file is not there or cannot be read.
    """
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}") from error
    except Exception as error:  # the decoders raise nearly anything at a damaged file
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read, it is damaged or no image: {reason}") from error


def _decode_flat(path: Path, expand_palette: bool) -> np.ndarray:
    """PNG, BMP and JPEG as (C, H, W)."""
    content = path.read_bytes()
    is_png = content.startswith(_PNG_SIGNATURE)
    if is_png and content[_PNG_DEPTH] == 16:  # of which Pillow makes 8 bits where there are colours
        pixels = imagecodecs.png_decode(content)
        if pixels.ndim == 3 and pixels.shape[-1] in (2, 4):
            pixels = pixels[..., :-1]
    else:
        with Image.open(io.BytesIO(content)) as image:
            pixels = np.asarray(_plain_mode(image, expand_palette))
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def _count_flat(path: Path) -> int:
    """Channels of a PNG, BMP or JPEG file."""
    with path.open("rb") as file:
        start = file.read(_PNG_COLOUR + 1)
    if start.startswith(_PNG_SIGNATURE) and len(start) > _PNG_COLOUR and start[_PNG_COLOUR] != _PNG_PALETTE:
        return 3 if start[_PNG_COLOUR] in _PNG_COLOURS else 1
    with Image.open(path) as image:
        mode = _plain_mode(image, expand_palette=True).mode if image.mode == "P" else image.mode
        return 3 if _is_colour(mode) else 1


def _is_colour(mode: str) -> bool:
    """Return whether Pillow's mode has more than brightness and transparency."""
    return not (mode in ("1", "L", "LA", "I", "F") or mode.startswith("I;16"))


def _plain_mode(image: Image.Image, expand_palette: bool) -> Image.Image:
    """Grey or RGB: alpha dropped, other colour spaces converted."""
    if image.mode == "P":
        if not expand_palette:
            return image
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        return image.convert("L" if _is_grey(palette.T) else "RGB")
    if image.mode == "LA":
        return image.convert("L")
    return image.convert("RGB") if _is_colour(image.mode) and image.mode != "RGB" else image


def _count_tiff(path: Path) -> int:
    """Channels of a TIFF file."""
    with _strict_tifffile(), tifffile.TiffFile(path) as file:
        series, page = file.series[0], file.series[0].keyframe
        if page.colormap is not None:
            return 1 if _is_grey(page.colormap >> 8) else 3
        alpha = sum(extra in _ALPHA for extra in page.extrasamples) if "S" in series.axes else 0
        sizes = zip(series.axes, series.shape, strict=True)
        return int(math.prod(length for axis, length in sizes if axis in "SC")) - alpha


def _decode_tiff(path: Path, expand_palette: bool) -> np.ndarray:
    """TIFF as (C, *S)."""
    with _strict_tifffile(), tifffile.TiffFile(path) as file:
        series = file.series
        if len({(one.axes, one.shape) for one in series}) > 1:
            raise UserError(f"{path} holds images of different sizes: one image or one stack per file is expected")
        page = series[0].keyframe
        pixels, axes = series[0].asarray(), series[0].axes
        if len(series) > 1:
            pixels, axes = np.stack([one.asarray() for one in series]), "I" + axes
        pixels = _channels_first(pixels, axes, path)
        alpha = sum(extra in _ALPHA for extra in page.extrasamples)
        if alpha and "S" in axes:
            pixels = pixels[:-alpha]
        if page.colormap is not None and expand_palette:
            colours = np.asarray(page.colormap >> 8, np.uint8)  # stored as 16 bits
            pixels = (colours[:1] if _is_grey(colours) else colours)[:, pixels[0]]
    return np.asarray(pixels)


def _channels_first(pixels: np.ndarray, axes: str, path: Path) -> np.ndarray:
    """Order the axes of a TIFF series, named as tifffile names them, as (C, *S)."""
    kept = [axis for axis, length in zip(axes, pixels.shape, strict=True) if length > 1 or axis in "SCYX"]
    pixels = pixels.reshape([pixels.shape[axes.index(axis)] for axis in kept])
    channel = [axis for axis in kept if axis in "SC"]
    space = [axis for axis in kept if axis not in "SC"]
    if len(channel) > 1 or len(space) not in (2, 3) or space[-2:] != ["Y", "X"]:
        raise UserError(f"{path} has the axes {axes}: one image or one stack per file is expected")
    if not channel:
        return pixels[None]
    return np.moveaxis(pixels, kept.index(channel[0]), 0)


def _is_grey(palette: np.ndarray) -> bool:
    """Return whether a palette (3, N) has shades of grey only."""
    return bool((palette == palette[:1]).all())


@contextmanager
def _strict_tifffile() -> Iterator[None]:
    """Raise what tifffile only logs, such as pages that a truncated file has lost."""
    messages: list[str] = []
    _complaints.messages = messages
    try:
        yield
    finally:
        _complaints.messages = None
    if messages:
        raise ValueError(messages[0])


def _collect_complaint(record: logging.LogRecord) -> bool:
    """Keep errors that the calling thread's `_strict_tifffile` will raise out of the log."""
    messages: list[str] | None = getattr(_complaints, "messages", None)
    if messages is None or record.levelno < logging.ERROR:
        return True
    messages.append(record.getMessage())
    return False


logging.getLogger("tifffile").addFilter(_collect_complaint)
