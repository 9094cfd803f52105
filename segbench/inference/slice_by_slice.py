"""A volume by a 2D network, slice by slice."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from segbench.data.slices import Slices
from segbench.inference.views import Inference, Network

_BATCH = 8
"""Slices in one call of the inference of slices."""


class SliceBySlice:
    """Every slice of a volume predicted by itself, or with its neighbours as further channels.

    Attributes:
        inference: predicts slices.
        slices: says how they are cut.
        image_channels: of the volume, which are followed by those of extra arrays, of which no neighbours are seen.
    """

    def __init__(self, inference: Inference, slices: Slices, image_channels: int) -> None:
        self.inference = inference
        self.slices = slices
        self.image_channels = image_channels

    def __call__(self, network: Network, image: Tensor) -> dict[str, Tensor]:
        """Logits (B, K, D, H, W) of every head for image (B, C, D, H, W), in float32."""
        cases = [list(self.slabs(network, one[None])) for one in image]
        heads = cases[0][0][1]
        return {head: torch.stack([torch.cat([part[head] for _, part in case], 1) for case in cases]) for head in heads}

    def slabs(self, network: Network, image: Tensor) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """The same of one image (1, C, D, H, W), some slices at a time if they follow each other along the first axis.

        Yields:
            The first row of the first axis, and logits (K, rows, ..) of every head.
        """
        axis = 2 + self.slices.axis
        volume = image.movedim(axis, 0)[:, 0]  # (slices, C, ..)
        parts = []
        for start in range(0, len(volume), _BATCH):
            stop = min(start + _BATCH, len(volume))
            logits = self.inference(network, self._seen(volume, start, stop))  # type: ignore[arg-type]
            part = {head: value.movedim(0, self.slices.axis + 1) for head, value in logits.items()}
            if self.slices.axis == 0:
                yield start, part
            else:
                parts.append(part)
        if parts:
            yield 0, {head: torch.cat([part[head] for part in parts], self.slices.axis + 1) for head in parts[0]}

    def _seen(self, volume: Tensor, start: int, stop: int) -> Tensor:
        """Some slices of (slices, C, H, W) as a network sees them, channels in the order of `SliceCase.image`."""
        if self.slices.neighbours == 0:
            return volume[start:stop]
        reach = torch.arange(-self.slices.neighbours, self.slices.neighbours + 1)
        wanted = (torch.arange(start, stop)[:, None] + reach).clamp(0, len(volume) - 1).to(volume.device)
        around = volume[wanted, : self.image_channels]  # (slices, width, C, H, W)
        stacked = around.movedim(1, 2).flatten(1, 2)
        return torch.cat([stacked, volume[start:stop, self.image_channels :]], 1)
