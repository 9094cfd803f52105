"""NRRD, MetaImage and DICOM series by SimpleITK, in which their geometry is kept in doubles.

Of the readers at hand it is the one that knows all three; for NIfTI, see `nifti`. A DICOM series is a folder.
"""

from __future__ import annotations

import locale
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from segbench.data.formats.reader import Decoded, checked_spacing
from segbench.errors import UserError

SUFFIXES: tuple[str, ...] = (".nrrd", ".nhdr", ".mha", ".mhd")
SIGNATURES: tuple[bytes, ...] = (b"NRRD",)

_POSITION = "0020|0032"
"""The DICOM tag of the position of a slice: x, y, z of its first pixel in mm."""

_WHOLE = {".nhdr": ".nrrd", ".mhd": ".mha"}
"""Suffixes of a header whose values are in a second file, and of the same format in one file."""

_LOCALE = threading.Lock()
"""The locale is the process's: files are read by several threads."""

_UNEVEN = 0.1
"""The share by which gaps between slices may differ; where one is missing, a gap is twice as large."""


def read(path: Path) -> Decoded:
    """Decode a volume, or a folder with the slices of a DICOM series."""
    import SimpleITK

    image = _series(path) if path.is_dir() else SimpleITK.ReadImage(str(path))
    dims, channels = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    pixels = SimpleITK.GetArrayFromImage(image)  # (*S) or (*S, C); of four axes the first one is that of the channels
    if dims > 4 or (dims == 4 and channels > 1):
        raise UserError(f"{path} has {dims} axes and {channels} channels: a volume is expected")
    if dims < 4:
        pixels = np.moveaxis(pixels, -1, 0) if channels > 1 else pixels[None]
    space = min(dims, 3)
    spacing = checked_spacing(image.GetSpacing()[:space][::-1], path)
    return Decoded(pixels, spacing=spacing, affine=_affine(image) if space == 3 else None)


def count_channels(path: Path) -> int:
    """Channels of a volume by its header."""
    import SimpleITK

    if path.is_dir():
        return 1
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    size = reader.GetSize()
    return int(size[3]) if len(size) > 3 else int(reader.GetNumberOfComponents())


def encode_mask(label: np.ndarray, like: Path | None) -> tuple[str, bytes] | None:
    """Encode a volume with the geometry of `like`; that of a DICOM series becomes NRRD."""
    import SimpleITK

    if label.ndim != 3 or like is None:
        return None
    source = _series(like) if like.is_dir() else SimpleITK.ReadImage(str(like))
    image = SimpleITK.GetImageFromArray(label)
    matrix = np.reshape(source.GetDirection(), (source.GetDimension(),) * 2)[:3, :3]
    image.SetSpacing(source.GetSpacing()[:3])
    image.SetOrigin(source.GetOrigin()[:3])
    image.SetDirection(matrix.ravel().tolist())
    suffix = ".nrrd" if like.is_dir() else _WHOLE.get(like.suffix.lower(), like.suffix)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"mask{suffix.lower()}")
        SimpleITK.WriteImage(image, str(file), useCompression=True)
        return suffix, file.read_bytes()


def _series(folder: Path) -> Any:
    """The volume of the only DICOM series of a folder.

    Raises:
        UserError: where there are none or several, or a slice is missing.
    """
    import SimpleITK

    with _locale_kept():
        series = SimpleITK.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
        if len(series) != 1:
            raise UserError(f"{folder} holds {len(series) or 'no'} DICOM series: expected is a folder for each series")
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), series[0]))
        reader.MetaDataDictionaryArrayUpdateOn()
        reader.GlobalWarningDisplayOff()  # on standard error; gaps between slices are looked at here
        image = reader.Execute()
    slices = range(len(reader.GetFileNames()))
    if all(reader.HasMetaDataKey(index, _POSITION) for index in slices):
        places = np.array([reader.GetMetaData(index, _POSITION).split("\\") for index in slices], float)
        gaps = np.linalg.norm(np.diff(places, axis=0), axis=1)
        if len(gaps) and gaps.max() > (1 + _UNEVEN) * gaps.min():
            raise UserError(
                f"{folder} has slices {gaps.min():g} to {gaps.max():g} mm apart: one is missing, or they are not of one"
                " series"
            )
    return image


@contextmanager
def _locale_kept() -> Iterator[None]:
    """Keep the locale of the process: GDCM sets another one, and text files would be read as ASCII from then on."""
    with _LOCALE:
        before = locale.setlocale(locale.LC_ALL)
        try:
            yield
        finally:
            locale.setlocale(locale.LC_ALL, before)


def _affine(image: Any) -> np.ndarray:
    """(4, 4) from indices (z, y, x) to mm, towards right, anterior and superior; ITK's go to left and posterior."""
    dims = image.GetDimension()
    direction = np.reshape(image.GetDirection(), (dims, dims))[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = (direction * np.array(image.GetSpacing()[:3]))[:, ::-1]
    affine[:3, 3] = image.GetOrigin()[:3]
    affine[:2] *= -1
    return affine
