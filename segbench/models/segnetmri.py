"""SegNetMRI of Sun et al. (IPMI 2019, arXiv 1805.02165): a part of the k-space becomes an image and a mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.blocks import CONV
from segbench.models.heads import Outputs

AXES = (-2, -1)
"""Of the plane that is Fourier transformed; in volumes each slice is."""


class SegNetMRI(nn.Module):
    """Blocks that each correct a reconstruction, keep what was measured, and segment what they see.

    The image that it is given is what a complete measurement would show: it is measured here, by lines of its k-space
    (1D Cartesian, `sampled_lines`), and the network sees no more of it than that. A block is a network with shared
    encoder whose one decoder adds to the reconstruction and whose others segment; then the measured lines
    are put back. The segmentations of all blocks are merged by a convolution.

    The paper's three phases are three runs, each with `initial_weights` of the one before: the reconstruction alone
    (segmenting heads' weights 0), all lines measured (`share=1`), and everything.

    Layers and the numbers of blocks and lines are recalled or those of another program, not verified.

    Source: Sun, Fan, Ding, Huang and Paisley, IPMI 2019, arXiv 1805.02165.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        net: Callable[..., nn.Module],
        blocks: int = 5,
        restored: str = "restored",
        auxiliary: Mapping[str, Sequence[str]] | None = None,
        share: float = 0.2,
        centre: float = 0.08,
        seed: int = 0,
        noise: float = 0.0,
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the image, each measured by itself, with the same lines.
            heads: name -> channels of its outputs.
            net: makes the network of each block from spatial_dims, in_channels and heads.
            blocks: how many.
            restored: the head that is the reconstruction, of as many channels as the image.
            auxiliary: head -> names of the heads that are the same of each block, before they are merged.
            share: of the lines that are measured.
            centre: share of the lines that are measured in the middle of the k-space, where its energy is.
            seed: of the other lines.
            noise: of the measurement y: a reconstruction X becomes (noise X + y) / (noise + 1); 0 trusts y wholly.

        Raises:
            UserError: where the numbers do not agree.
        """
        super().__init__()
        if heads.get(restored, in_channels) != in_channels:
            raise UserError(
                f"task.heads.{restored}={heads[restored]}: the reconstruction has the image's {in_channels} channels"
            )
        if not 0 < share <= 1:
            raise UserError(f"model.share={share}: must be above 0 and at most 1")
        named = {
            one: (head, level)
            for head, others in (auxiliary or {}).items()
            for level, one in enumerate(others)
            if one in heads
        }
        for one, (head, level) in named.items():
            if head not in heads or heads[head] != heads[one] or level >= blocks:
                raise UserError(
                    f"model.auxiliary.{head}: {one} must be of one of {blocks} blocks, with as many channels as {head}"
                )
        self.restored = restored
        self.share, self.centre, self.seed, self.trust = share, centre, seed, 1 / (1 + noise)
        self.sources = {head: named.get(head, (head, None)) for head in heads}
        merged = {head: classes for head, classes in heads.items() if head != restored and head not in named}
        self.blocks = nn.ModuleList()
        for number in range(1, blocks + 1):
            # The last reconstruction is made only where it is asked for.
            corrects = number < blocks or restored in heads
            outputs = {**({restored: 2 * in_channels} if corrects else {}), **merged}
            self.blocks.append(net(spatial_dims=spatial_dims, in_channels=2 * in_channels, heads=outputs))
        self.merge = nn.ModuleDict(
            {head: CONV[spatial_dims](blocks * classes, classes, 1) for head, classes in merged.items()}
        )

    def forward(self, image: Tensor) -> Outputs:
        """Outputs (B, K, *P) of every head, for `image` (B, C, *P), any P."""
        lines = sampled_lines(image.shape[-2], self.share, self.centre, self.seed, image.device)
        measured = fourier(image.float().to(torch.complex64)) * lines
        x = inverse_fourier(measured)
        parts: dict[str, list[Tensor]] = {head: [] for head in self.merge}
        for block in self.blocks:
            outputs = block(torch.cat([x.real, x.imag], dim=1).to(image.dtype))
            if self.restored in outputs:
                real, imaginary = outputs[self.restored].float().chunk(2, dim=1)
                x = consistent(x + torch.complex(real, imaginary), measured, lines, self.trust)
            for head, found in parts.items():
                found.append(outputs[head])
        whole = {head: merge(torch.cat(parts[head], dim=1)) for head, merge in self.merge.items()}
        whole[self.restored] = x.real.to(image.dtype)
        return {
            head: whole[source] if level is None else parts[source][level]
            for head, (source, level) in self.sources.items()
        }


def sampled_lines(count: int, share: float, centre: float, seed: int, device: torch.device) -> Tensor:
    """The lines of the k-space that are measured: (count, 1) of 0 and 1, in the order of `fourier`.

    Those of the lowest frequencies are, and as many others, drawn evenly, as make up the share; one at least.
    """
    number = torch.arange(count, device=device)
    frequency = torch.minimum(number, count - number)
    # Drawn by a hash of the line's number, which every device and every exported network computes alike.
    hashed = (number + 1) * 2654435761 % 2**32 + seed * 40503
    hashed = (hashed ^ (hashed >> 15)) * 2246822519 % 2**32
    hashed = (hashed ^ (hashed >> 13)) * 3266489917 % 2**32
    drawn = (hashed ^ (hashed >> 16)).double() / 2**32
    first = torch.where(frequency <= centre * count / 2, frequency - count, drawn)
    order = first.argsort(stable=True)
    lines = torch.zeros(count, device=device)
    lines[order[: max(1, round(share * count))]] = 1
    return lines[:, None]


def fourier(image: Tensor) -> Tensor:
    """The unitary Fourier transform of the last two axes."""
    values: Tensor = torch.fft.fft2(image, dim=AXES, norm="ortho")
    return values


def inverse_fourier(values: Tensor) -> Tensor:
    """Its inverse, which is its adjoint."""
    image: Tensor = torch.fft.ifft2(values, dim=AXES, norm="ortho")
    return image


def consistent(image: Tensor, measured: Tensor, lines: Tensor, trust: float = 1.0) -> Tensor:
    """The image whose measured lines are drawn to the measurement: with a trust of 1 they are what was measured."""
    values = fourier(image)
    return inverse_fourier(torch.where(lines > 0, values + trust * (measured - values), values))
