"""TIFF with one or many pages, one or many channels; also ImageJ's and OME's."""

from __future__ import annotations

import io
import logging
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from segbench.data.formats.reader import Decoded, exact_spacing, is_grey, printless, reading
from segbench.errors import UserError

SUFFIXES: tuple[str, ...] = (".tif", ".tiff")
SIGNATURES: tuple[bytes, ...] = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_ALPHA = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)
_LOSSY = (tifffile.COMPRESSION.OJPEG, tifffile.COMPRESSION.JPEG, tifffile.COMPRESSION.JPEG_LOSSY)
_OTHER_COLOURS = (
    tifffile.PHOTOMETRIC.SEPARATED, tifffile.PHOTOMETRIC.CIELAB, tifffile.PHOTOMETRIC.ICCLAB,
    tifffile.PHOTOMETRIC.ITULAB, tifffile.PHOTOMETRIC.LOGLUV, tifffile.PHOTOMETRIC.LOGL,
)  # fmt: skip
_MILLIMETRES = {
    "m": 1e3, "mm": 1.0, "um": 1e-3, "micron": 1e-3, "microns": 1e-3, "micrometer": 1e-3, "nm": 1e-6, "pm": 1e-9,
    "å": 1e-7,
}  # fmt: skip
_PRINTER_MILLIMETRES = {"cm": 10.0, "in": 25.4, "inch": 25.4}  # what ImageJ writes of a photograph's resolution
_TAG_MILLIMETRES = {tifffile.RESUNIT.INCH: 25.4, tifffile.RESUNIT.CENTIMETER: 10.0}

_complaints = threading.local()  # files are read in several threads at once


def read(path: Path) -> Decoded:
    """Decode a TIFF file; its pages, without a channel axis, are the depth of a volume."""
    with _strict_tifffile(), tifffile.TiffFile(path) as file:
        series = file.series
        if len({(image.axes, image.shape) for image in series}) > 1:
            raise UserError(f"{path} holds images of different sizes: one image or one stack per file is expected")
        page = series[0].keyframe
        pixels, axes = series[0].asarray(), series[0].axes
        if len(series) > 1:
            pixels, axes = np.stack([image.asarray() for image in series]), "I" + axes
        pixels, space = _channels_first(pixels, axes, path)
        extra, alpha = sum(kind in _ALPHA for kind in page.extrasamples) if "S" in axes else 0, None
        if extra:
            pixels, alpha = pixels[:-extra], pixels[-extra]
        pixels = _in_red_green_and_blue(pixels, page, path)
        white_is_zero = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
        if white_is_zero and pixels.dtype == bool:  # as scanners and fax programs write black on white
            pixels, white_is_zero = ~pixels, False
        orientation = page.tags.get("Orientation")
        return Decoded(
            pixels.astype(pixels.dtype.newbyteorder("="), copy=False),
            palette=_palette(page),
            spacing=_spacing(file, space),
            channels=_channel_names(file, len(pixels)),
            orientation=int(orientation.value) if orientation is not None else 1,
            lossy=page.compression in _LOSSY,
            alpha=alpha,
            white_is_zero=white_is_zero,
        )


def count_channels(path: Path) -> int:
    """Channels of a TIFF file by its header."""
    with _strict_tifffile(), tifffile.TiffFile(path) as file:
        series, page = file.series[0], file.series[0].keyframe
        palette = _palette(page)
        if palette is not None:
            return 1 if is_grey(palette) else 3
        alpha = sum(extra in _ALPHA for extra in page.extrasamples) if "S" in series.axes else 0
        sizes = zip(series.axes, series.shape, strict=True)
        channels = int(math.prod(length for axis, length in sizes if axis in "SC")) - alpha
        return 3 if page.photometric == tifffile.PHOTOMETRIC.SEPARATED and channels == 4 else channels


def count_pages(path: Path) -> int:
    """Count the pages of a TIFF stack without decoding them.

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


def encode_mask(label: np.ndarray, like: Path | None) -> tuple[str, bytes] | None:
    """Encode a mask, which TIFF can hold whatever it is, with the resolution of a TIFF `like`."""
    content = io.BytesIO()
    geometry: dict[str, Any] = {"metadata": {"axes": "ZYX"[-label.ndim :]}}
    suffix = SUFFIXES[0]
    if like is not None and like.suffix.lower() in SUFFIXES:
        suffix = like.suffix
        with reading(like), tifffile.TiffFile(like) as file:
            geometry = _geometry(file, label)
    tifffile.imwrite(content, label, photometric="minisblack", compression="zlib", **geometry)
    return suffix, content.getvalue()


def _geometry(file: tifffile.TiffFile, label: np.ndarray) -> dict[str, Any]:
    """The arguments of `tifffile.imwrite` that repeat a file's resolution and orientation."""
    page = file.series[0].keyframe
    imagej = file.imagej_metadata or {}
    metadata = {"axes": "ZYX"[-label.ndim :]} | {key: imagej[key] for key in ("spacing", "unit") if key in imagej}
    orientation = page.tags.get("Orientation")
    turned = [] if orientation is None else [(orientation.code, "H", 1, int(orientation.value), True)]
    return {
        "metadata": metadata,
        "imagej": file.is_imagej and label.dtype in (np.uint8, np.uint16),
        "resolution": page.get_resolution(),
        "resolutionunit": page.resolutionunit,
        "extratags": turned,
    }


def _in_red_green_and_blue(pixels: np.ndarray, page: Any, path: Path) -> np.ndarray:
    """The pixels (C, *S) of a file in a printer's or a video camera's colours as (3, *S); all others as they are.

    Source: TIFF 6.0, sections 16 (CMYK images) and 21 (YCbCr images), with its default coefficients and ranges.

    Raises:
        UserError: where the colours are others, such as CIELab.
    """
    kind = page.photometric
    if kind == tifffile.PHOTOMETRIC.SEPARATED and len(pixels) == 4 and pixels.dtype.kind == "u":
        most = np.iinfo(pixels.dtype).max
        ink = pixels.astype(np.float64)
        return np.asarray(np.round((most - ink[:3]) * (most - ink[3:]) / most), pixels.dtype)
    if kind == tifffile.PHOTOMETRIC.YCBCR and page.compression not in _LOSSY and pixels.dtype == np.uint8:
        luma, blue, red = pixels.astype(np.float64) - np.array([0, 128, 128]).reshape(3, *[1] * (pixels.ndim - 1))
        colours = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
        return np.asarray(np.round(np.clip(colours, 0, 255)), np.uint8)
    if kind in _OTHER_COLOURS:
        raise UserError(f"{path} is in colours of the kind {kind.name}: save it in grey or RGB")
    return pixels


def _channels_first(pixels: np.ndarray, axes: str, path: Path) -> tuple[np.ndarray, list[str]]:
    """Order the axes of a TIFF series, named as tifffile names them, as (C, *S); with the names of S."""
    kept = [axis for axis, length in zip(axes, pixels.shape, strict=True) if length > 1 or axis in "SCYX"]
    pixels = pixels.reshape([pixels.shape[axes.index(axis)] for axis in kept])
    channel = [axis for axis in kept if axis in "SC"]
    space = [axis for axis in kept if axis not in "SC"]
    if len(channel) > 1 or len(space) not in (2, 3) or space[-2:] != ["Y", "X"]:
        raise UserError(f"{path} has the axes {axes}: one image or one stack per file is expected")
    if not channel:
        return pixels[None], space
    return np.moveaxis(pixels, kept.index(channel[0]), 0), space


def _palette(page: Any) -> np.ndarray | None:
    """The colours (N, 3) uint8 of a palette file, or None."""
    if page.colormap is None:
        return None
    colours = np.asarray(page.colormap)
    # Stored as 16 bits; some programs write 8, which would all be black.
    return (colours >> 8 if colours.max() > 255 else colours).T.astype(np.uint8)


def _spacing(file: tifffile.TiffFile, space: Sequence[str]) -> tuple[float, ...] | None:
    """Size of a pixel along each axis in mm: as OME says, else ImageJ, else the tags of the resolution."""
    if file.is_ome:
        sizes = _ome_sizes(file)
    elif file.is_imagej:
        sizes = _imagej_sizes(file)
    else:
        page = file.series[0].keyframe
        unit = _TAG_MILLIMETRES.get(page.resolutionunit)
        sizes = {axis: printless(_size(page, axis, unit)) for axis in "XY"}
    return exact_spacing(*(sizes.get(axis) for axis in space))


def _size(page: Any, axis: str, unit: float | None) -> float | None:
    """Size of a pixel along X or Y in mm by the tag of the resolution, which counts pixels per unit."""
    tag = page.tags.get(f"{axis}Resolution")
    if tag is None or unit is None:
        return None
    pixels, units = tag.value
    return unit * units / pixels if pixels else None


def _ome_sizes(file: tifffile.TiffFile) -> Mapping[str, float | None]:
    """PhysicalSizeX, Y and Z; the unit is um where none is given.

    Source: OME schema 2016-06, element Pixels.
    """
    pixels = _ome_pixels(file)
    sizes: dict[str, float | None] = {}
    for axis in "XYZ" if pixels is not None else "":
        size, unit = pixels.get(f"PhysicalSize{axis}"), _millimetres(pixels.get(f"PhysicalSize{axis}Unit", "um"))
        sizes[axis] = float(size) * unit if size is not None and unit is not None else None
    return sizes


def _ome_pixels(file: tifffile.TiffFile) -> Any:
    """The element Pixels of the first image, or None."""
    root = ElementTree.fromstring(file.ome_metadata or "<OME/>")
    return next((element for element in root.iter() if element.tag.rpartition("}")[2] == "Pixels"), None)


def _imagej_sizes(file: tifffile.TiffFile) -> Mapping[str, float | None]:
    """The resolution in ImageJ's own unit, and the spacing of slices; lengths for printing are none."""
    page, metadata = file.series[0].keyframe, file.imagej_metadata or {}
    name = str(metadata.get("unit", ""))
    unit, printed = _millimetres(name), _PRINTER_MILLIMETRES.get(name)
    if printed is not None:
        sizes = {axis: printless(_size(page, axis, printed)) for axis in "XY"}
    else:
        sizes = {axis: _size(page, axis, unit) for axis in "XY"}
    depth, unit = metadata.get("spacing"), unit or printed
    return sizes | {"Z": float(depth) * unit if depth is not None and unit is not None else None}


def _millimetres(unit: str) -> float | None:
    """Length of a unit in mm, or None where it is none of length; micro is written in three ways."""
    return _MILLIMETRES.get(unit.replace("\\u00B5", "u").replace("\u00b5", "u").replace("\u03bc", "u").lower())


def _channel_names(file: tifffile.TiffFile, count: int) -> tuple[str, ...]:
    """Names of the channels, where the file has one for each."""
    names: list[Any] = []
    if file.is_ome and (pixels := _ome_pixels(file)) is not None:
        names = [element.get("Name") for element in pixels if element.tag.rpartition("}")[2] == "Channel"]
    elif file.is_imagej:
        names = list((file.imagej_metadata or {}).get("Labels", []))
    return tuple(map(str, names)) if len(names) == count and all(names) else ()


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
