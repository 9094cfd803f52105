"""Image files in and out, by format: each is a module that keeps the contract of `reader.Reader`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segbench.data.folders.files import files_by_key
from segbench.data.formats import itk, nifti, npy, raster, tiff
from segbench.data.formats.reader import LOSSY, Decoded, Reader, is_grey, reading
from segbench.errors import UserError
from segbench.system.atomic import write_atomically

READERS: tuple[Reader, ...] = (raster, nifti, itk, npy, tiff)
"""All formats. The last one holds masks that others cannot."""

SUFFIXES: tuple[str, ...] = tuple(suffix for reader in READERS for suffix in reader.SUFFIXES)
"""Of the files that can be read, lower-case; upper-case ones are the same."""

_SCALED = 1e-3
"""The distance of a mask's values from whole numbers that is allowed: codes times a rounded scale slope have one."""


def image_files(folder: Path, key: str) -> dict[str, Path]:
    """The image files at any depth of a folder, by their path in it without suffix.

    Args:
        folder: where to look.
        key: the configuration's key that names it, for messages.

    Raises:
        UserError: where there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise UserError(f"{key}={folder}: there is no such file or folder")
    files = files_by_key(folder, SUFFIXES)
    if not files:
        raise UserError(f"{key}={folder}: holds no image; known are {', '.join(SUFFIXES)}")
    return files


def decode(path: Path) -> Decoded:
    """Decode a file of any format.

    Raises:
        UserError: where the file is not there, cannot be read or is truncated.
    """
    with reading(path):
        return _reader(path).read(path)


def read_image(path: Path) -> np.ndarray:
    """Read an image or a stack, as `as_image` gives it.

    Raises:
        UserError: where the file cannot be read, is truncated, or has NaN or infinite pixels.
    """
    return as_image(decode(path), path)


def as_image(decoded: Decoded, path: Path) -> np.ndarray:
    """The pixels of an image.

    Grey files have one channel, colour and colour-palette files three, TIFF files as many as they say.

    Args:
        decoded: the file's content.
        path: the file, for messages.

    Returns:
        (C, *S), S = (H, W), or (D, H, W) for a stack: uint8 and uint16 as stored, bright where viewers show it bright,
        1-bit as uint8, int16 as stored in a stack (CT), everything else as float32.

    Raises:
        UserError: where pixels are NaN or infinite.
    """
    pixels = _coloured(decoded, path)
    if decoded.white_is_zero and pixels.dtype.kind == "u":
        pixels = np.iinfo(pixels.dtype).max - pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8)
    if pixels.dtype in (np.uint8, np.uint16) or (pixels.dtype == np.int16 and pixels.ndim == 4):
        return pixels
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and said so below
        pixels = pixels.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise UserError(f"{path} has pixels that are NaN or infinite: every pixel must be a finite number")
    return pixels


def count_channels(path: Path) -> int:
    """Count the channels that `read_image` gives by the file's header, without decoding a pixel.

    Raises:
        UserError: where the file cannot be read.
    """
    with reading(path):
        return _reader(path).count_channels(path)


def read_mask(path: Path, colours: bool = False) -> np.ndarray:
    """Read a mask, one integer per pixel, as `as_mask` gives it.

    Raises:
        UserError: where the file cannot be read, has colours though none were asked for, or values that are
            not integers.
    """
    return as_mask(decode(path), path, colours)


def as_mask(decoded: Decoded, path: Path, colours: bool = False) -> np.ndarray:
    """The values of a mask.

    Args:
        decoded: the file's content.
        path: the file, for messages.
        colours: gives each pixel's colour as 0xRRGGBB, grey and palette files too. Otherwise the file must
            hold one value per pixel: grey, palette (the value is the palette's index), or RGB with
            three equal channels. Of a file whose colour is the same everywhere, but not its opacity, the values are
            how opaque it is.

    Returns:
        (*S) integer.

    Raises:
        UserError: where the mask has colours though none were asked for, or values that are not integers.
    """
    pixels = _coloured(decoded, path) if colours else decoded.array
    if decoded.alpha is not None and _is_in_alpha(decoded.array, decoded.alpha):
        pixels = decoded.alpha[None]
    if pixels.dtype.kind == "f":
        whole = np.round(pixels)
        if not (np.abs(pixels - whole) <= _SCALED).all():  # nor is NaN
            raise UserError(f"{path} is a mask with values that are not whole numbers")
        pixels = whole.astype(np.int32)
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


def as_instances(decoded: Decoded, path: Path) -> np.ndarray:
    """The values of an instance map, (*S) int32, 0 = background.

    Raises:
        UserError: where the format changes values, or they are no numbers of objects.
    """
    if decoded.lossy:
        raise UserError(f"{path} is an instance map: {LOSSY}")
    instances = as_mask(decoded, path)
    if instances.size and (instances.min() < 0 or instances.max() > np.iinfo(np.int32).max):
        raise UserError(f"{path} is an instance map with values that are negative or beyond 32 bits")
    return instances.astype(np.int32)


def write_mask(path: Path, label: np.ndarray, like: Path | None = None) -> Path:
    """Write a label map or instance map, whole or not at all.

    The format is that of `like` where it can hold the map: JPEG would change the values, BMP holds 8 bits,
    PNG 16 bits and no volume; TIFF holds all. A TIFF file gets the resolution of a TIFF `like`.

    Args:
        path: the file to write, without its suffix.
        label: (*S) integer >= 0.
        like: the image that the map belongs to; None stands for PNG.

    Returns:
        The file written.

    Raises:
        UserError: where it cannot be written.
    """
    return _write(path, label.astype(np.min_scalar_type(int(label.max(initial=0)))), like)


def write_quantities(path: Path, values: np.ndarray, like: Path | None = None) -> Path:
    """Write probabilities or other quantities as float32, in the format of `like` where it holds them, else in TIFF.

    Arguments, result and errors are those of `write_mask`.
    """
    return _write(path, values.astype(np.float32), like)


def _write(path: Path, label: np.ndarray, like: Path | None) -> Path:
    """Write an array of the type that it has."""
    writer = READERS[0] if like is None else _reader(like)
    encoded = writer.encode_mask(label, like) or READERS[-1].encode_mask(label, like)
    assert encoded is not None
    suffix, content = encoded
    path = path.with_name(path.name + suffix)
    write_atomically(path, content)
    return path


def _reader(path: Path) -> Reader:
    """The reader that knows the file's first bytes; else by its name."""
    if path.is_dir():  # of a DICOM series
        return itk
    start = b""
    if path.is_file():  # else whoever opens it says so; a mask's image may be gone
        with path.open("rb") as file:
            start = file.read(16)
    found = [reader for reader in READERS if start.startswith(reader.SIGNATURES)]
    found += [reader for reader in READERS if path.name.lower().endswith(reader.SUFFIXES)]
    if not found:
        raise UserError(f"{path} is in no known format: known are {', '.join(SUFFIXES)}")
    return found[0]


def _is_in_alpha(array: np.ndarray, alpha: np.ndarray) -> bool:
    """Return whether a mask (C, *S) was drawn in one colour on nothing, so that only its alpha channel tells where."""
    painted = bool(alpha.min() != alpha.max()) or not alpha.any()
    return painted and all(bool(channel.min() == channel.max()) for channel in array)


def _coloured(decoded: Decoded, path: Path) -> np.ndarray:
    """(C, *S) intensities: a palette's indices replaced by what they stand for, in one channel if that is grey."""
    if decoded.palette is None:
        return decoded.array
    colours = decoded.palette[:, :1] if is_grey(decoded.palette) else decoded.palette
    with reading(path):  # an index may be beyond the palette
        return np.moveaxis(colours[decoded.array[0]], -1, 0)
