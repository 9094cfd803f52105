"""NumPy's own files: an image (H, W), a volume (D, H, W), or one with channels (C, D, H, W)."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from segbench.data.formats.reader import Decoded
from segbench.errors import UserError

SUFFIXES: tuple[str, ...] = (".npy",)
SIGNATURES: tuple[bytes, ...] = (b"\x93NUMPY",)


def read(path: Path) -> Decoded:
    """Decode an array of numbers, whose spacing no such file says."""
    pixels = np.load(path, allow_pickle=False)
    if pixels.ndim not in (2, 3, 4) or pixels.dtype.kind not in "biuf":
        raise UserError(f"{path} is an array {pixels.shape} of {pixels.dtype}: (H, W), (D, H, W) or (C, D, H, W)")
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    return Decoded(pixels if pixels.ndim == 4 else pixels[None])


def count_channels(path: Path) -> int:
    """Channels of an array by its header."""
    shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    return int(shape[0]) if len(shape) == 4 else 1


def encode_mask(label: np.ndarray, like: Path | None) -> tuple[str, bytes] | None:
    """Encode a mask, of any size and type."""
    content = io.BytesIO()
    np.save(content, label)
    return SUFFIXES[0], content.getvalue()
