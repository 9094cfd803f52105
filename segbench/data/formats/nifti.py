"""NIfTI-1 and -2, plain or gzipped, by nibabel.

Nibabel keeps a header as it is, so that a mask gets the image's geometry to the bit; ITK computes quaternions and
matrices anew, and refuses those that are sheared. Arrays are turned from the file's (x, y, z) to (z, y, x), slices
first, as ITK and nnU-Net have them. Where a file has both an sform and a qform, the sform counts, as the standard and
nibabel have it; a mask gets both.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segbench.data.formats.reader import Decoded, checked_spacing
from segbench.errors import UserError

SUFFIXES: tuple[str, ...] = (".nii", ".nii.gz")
SIGNATURES: tuple[bytes, ...] = (b"\x5c\x01\0\0", b"\0\0\x01\x5c", b"\x1c\x02\0\0", b"\0\0\x02\x1c")

_MILLIMETRES = {1: 1e3, 3: 1e-3}
"""By the code of a unit of length: metres, micrometres. All others are taken for millimetres."""

_ALIKE = 0.01
"""The share by which sizes of voxels may differ, as the matrix and `pixdim` say them."""


def read(path: Path) -> Decoded:
    """Decode a volume; a 4th axis (or a 5th, of vectors) is that of the channels."""
    image = _opened(path)
    if image.get_data_dtype().fields is not None or image.get_data_dtype().kind not in "iuf":
        raise UserError(
            f"{path} holds colours or complex numbers ({image.get_data_dtype()}): expected is one number for each"
            " voxel, or channels along a 4th axis"
        )
    spacing = _spacing(image, path)
    plain = (image.dataobj.slope, image.dataobj.inter) == (1, 0)
    values = image.dataobj.get_unscaled() if plain else np.asarray(image.dataobj, dtype=np.float32)
    pixels = _one_channel_axis(values, path)
    affine = None
    if pixels.ndim == 4:
        affine = image.affine[:, [2, 1, 0, 3]]
        affine[:3] *= _unit(image)
    return Decoded(pixels.astype(pixels.dtype.newbyteorder("="), copy=False), spacing=spacing[::-1], affine=affine)


def count_channels(path: Path) -> int:
    """Channels of a volume by its header."""
    return int(np.prod(_opened(path).shape[3:], dtype=int))


def encode_mask(label: np.ndarray, like: Path | None) -> tuple[str, bytes] | None:
    """Encode a volume with the header of a NIfTI `like`, in which only the type of the values changes."""
    import nibabel

    if label.ndim != 3 or label.dtype.itemsize > 4 or like is None:
        return None
    source = _opened(like)
    header = source.header.copy()
    header.set_data_dtype(label.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    header.set_intent("none")
    kind = nibabel.Nifti2Image if isinstance(source, nibabel.Nifti2Image) else nibabel.Nifti1Image
    content = kind(label.T, None, header).to_bytes()  # no affine: that of the header stays
    if like.name.lower().endswith(".gz"):
        return ".nii.gz", gzip.compress(content, 5, mtime=0)
    return ".nii", content


def encode_volume(volume: np.ndarray, affine: np.ndarray) -> bytes:
    """Encode a volume that no NIfTI file is the model of, gzipped.

    Args:
        volume: (D, H, W).
        affine: (4, 4), indices along these axes to mm in the patient's coordinates.
    """
    import nibabel

    image = nibabel.Nifti1Image(volume.T, affine[:, [2, 1, 0, 3]])
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), 5, mtime=0)


def _opened(path: Path) -> Any:
    """The file's header, and the way to its values."""
    import nibabel

    image: Any = nibabel.load(path)
    if not isinstance(image, nibabel.Nifti1Pair):
        raise UserError(f"{path} is no NIfTI file, but {type(image).__name__}")
    return image


def _one_channel_axis(pixels: np.ndarray, path: Path) -> np.ndarray:
    """Values (x, y[, z[, t[, v]]]) as (C, *S), slices first."""
    if pixels.ndim > 5 or (pixels.ndim == 5 and 1 not in pixels.shape[3:]):
        raise UserError(f"{path} has the shape {pixels.shape}: a volume, with channels along a 4th axis, is expected")
    if pixels.ndim <= 3:
        return pixels.T[None]
    return np.moveaxis(pixels.reshape(*pixels.shape[:3], -1), -1, 0).transpose(0, 3, 2, 1)


def _spacing(image: Any, path: Path) -> tuple[float, ...]:
    """Size of a voxel along the file's own axes in mm.

    Raises:
        UserError: where a size is 0, negative or NaN, or the matrix says another one.
    """
    from nibabel.openers import ImageOpener

    unit, axes = _unit(image), min(image.ndim, 3)
    with ImageOpener(path) as file:  # nibabel puts 1 in the place of 0
        stored = type(image).header_class.from_fileobj(file, check=False)
    said = [abs(float(size)) * unit for size in stored["pixdim"][1 : axes + 1]]  # nibabel takes negative sizes so
    spacing = checked_spacing(said, path)
    by_matrix = np.sqrt((image.affine[:3, :axes] ** 2).sum(axis=0)) * unit
    if not np.allclose(by_matrix, spacing, rtol=_ALIKE):
        raise UserError(
            f"{path} contradicts itself: its voxels are {_text(spacing)} mm by pixdim, {_text(by_matrix)} mm by its"
            " matrix (sform or qform): correct its header"
        )
    return spacing


def _unit(image: Any) -> float:
    return _MILLIMETRES.get(int(image.header["xyzt_units"]) & 7, 1.0)


def _text(sizes: Sequence[float] | np.ndarray) -> str:
    return " x ".join(f"{size:.6g}" for size in sizes)
