"""The input of a classifier of a patch's centre: a part of the patch, at the size that the network takes."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from segbench.errors import UserError
from segbench.models.heads import Outputs, split_heads


def centre_view(patch: Tensor, side: int, zoom: int = 1) -> Tensor:
    """The central 1 / zoom of a patch (B, C, H, W), as (B, C, side, side).

    The patch is resized to zoom * side pixels along each axis (cubic; smoothed where it becomes smaller) and the
    middle cut out. Resizing is linear and separable, so that one small matrix for each axis does both at once and
    reads the middle alone.

    Args:
        patch: of any size, also one pixel.
        side: height and width of what is returned, in pixels.
        zoom: how many times smaller the field that is seen is than the patch.
    """
    if zoom == 1 and patch.shape[2:] == torch.Size((side, side)):
        return patch
    (top, rows), (left, columns) = (_resizing(length, side, zoom, patch) for length in patch.shape[2:])
    part = patch[:, :, top : top + rows.shape[1], left : left + columns.shape[1]]
    return rows @ part @ columns.T


def _resizing(length: int, side: int, zoom: int, like: Tensor) -> tuple[int, Tensor]:
    """The first pixel of `length` that is read, and the matrix (side, read pixels) that resizes from there."""
    whole = interpolate(
        torch.eye(length, device=like.device)[None, None], (zoom * side, length), mode="bicubic", antialias=True
    )[0, 0]
    start = (zoom * side - side) // 2
    # The cubic kernel reaches two pixels, of the input or of the output, whichever are larger.
    reach = math.ceil(length / (2 * zoom) + 2 * max(1.0, length / (zoom * side))) + 1
    first, last = max(0, length // 2 - reach), min(length, length // 2 + reach + 1)
    return first, whole[start : start + side, first:last].to(like.dtype)


def one_pixel(logits: Tensor, heads: Mapping[str, int]) -> Outputs:
    """The logits (B, sum of K) of a patch's centre, dealt out to the heads as (B, K, 1, 1)."""
    return {**split_heads(logits[:, :, None, None], heads)}


def check_2d(spatial_dims: int, name: str) -> None:
    """Refuse volumes.

    Raises:
        UserError: where `spatial_dims` is not 2.
    """
    if spatial_dims != 2:
        raise UserError(f"model={name} takes 2D images only, but the data has {spatial_dims} spatial dimensions")
