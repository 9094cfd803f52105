"""From what a network predicts of a prepared volume to the volume as it was, some slices at a time.

Logits are brought back linearly, and along thick slices by the nearest one, as nnU-Net v2 does; so those of many
classes never exist for a whole volume at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from segbench.data.preparation import Geometry

Slab = tuple[int, Mapping[str, Tensor]]
"""The first slice along the first axis, and the logits (K, slices, H, W) of each head."""

_VALUES = 2**24
"""Numbers that are brought back at a time. Sets memory only."""


def restored(slabs: Iterable[Slab], geometry: Geometry) -> Iterator[Slab]:
    """The logits at the size of the geometry's box, in slabs of its first axis.

    Args:
        slabs: of the prepared volume, in order and without gaps.
        geometry: where it lies in the volume as it was.
    """
    if geometry.size == geometry.prepared:
        yield from slabs
        return
    nearest = [axis == geometry.separate_axis for axis in range(3)]
    low, high, share = _positions(geometry.prepared[0], geometry.size[0], nearest[0])
    held: dict[str, Tensor] = {}
    first, done = 0, 0  # first slice that is held; slices that have been brought back
    for start, logits in slabs:
        held = {head: torch.cat([held[head], new], 1) if held else new for head, new in logits.items()}
        end = start + next(iter(logits.values())).shape[1]
        ready = int((high < end).sum())
        while done < ready:
            channels = max(value.shape[0] for value in held.values())
            stop = min(ready, done + max(1, _VALUES // (channels * geometry.size[1] * geometry.size[2])))
            part = slice(done, stop)
            yield (
                done,
                {
                    head: _along_rows(value, low[part] - first, high[part] - first, share[part], geometry, nearest)
                    for head, value in held.items()
                },
            )
            done = stop
        if done < geometry.size[0]:
            keep = min(int(low[done]), end)  # slices between may not be needed, and not have come yet
            held = {head: value[:, keep - first :] for head, value in held.items()}
            first = keep


def _along_rows(
    logits: Tensor, low: Tensor, high: Tensor, share: Tensor, geometry: Geometry, nearest: list[bool]
) -> Tensor:
    logits = _between(logits, 1, low, high, share)
    for axis in (1, 2):
        old, new = geometry.prepared[axis], geometry.size[axis]
        if old != new:
            logits = _between(logits, axis + 1, *_positions(old, new, nearest[axis]))
    return logits


def _between(values: Tensor, axis: int, low: Tensor, high: Tensor, share: Tensor) -> Tensor:
    """Values between two places of an axis, by the share of the second."""
    device = values.device
    first = values.index_select(axis, low.to(device))
    if not share.any():
        return first
    weight = share.to(device).reshape(-1, *(1,) * (values.ndim - 1 - axis))
    return torch.lerp(first.float(), values.index_select(axis, high.to(device)).float(), weight)


def _positions(old: int, new: int, nearest: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The two old pixels beside the centre of each new one, and the share of the second."""
    position = ((torch.arange(new, dtype=torch.float64) + 0.5) * (old / new) - 0.5).clamp(0, old - 1)
    if nearest:
        at = torch.floor(position + 0.5).long().clamp(0, old - 1)
        return at, at, torch.zeros(new)
    low = position.floor().long()
    return low, (low + 1).clamp(max=old - 1), (position - low).float()
