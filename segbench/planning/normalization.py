"""Normalisation of each channel, by its modality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Scheme(NamedTuple):
    """A normalisation in nnU-Net's word, and whether it can leave what lies outside the object at zero."""

    name: str
    masked: bool = False


SCHEMES = {
    "ct": Scheme("CTNormalization"),
    "nonorm": Scheme("NoNormalization"),
    "rescale_to_0_1": Scheme("RescaleTo01Normalization"),
    "rgb_to_0_1": Scheme("RGBTo01Normalization"),
}
"""Modality in small letters -> normalisation; of all others the z-score of each image."""
OTHER = Scheme("ZScoreNormalization", masked=True)
CROPPED = 0.75
"""Share of the voxels left after cropping, below which statistics are those inside the non-zero mask."""


def find_schemes(modalities: Sequence[str], relative_size: float) -> tuple[list[str], list[bool]]:
    """The normalisation of each channel, and whether it is that inside the non-zero mask.

    Args:
        modalities: of each channel.
        relative_size: median share of the voxels that is left after cropping.
    """
    schemes = [SCHEMES.get(modality.casefold(), OTHER) for modality in modalities]
    return [scheme.name for scheme in schemes], [scheme.masked and relative_size < CROPPED for scheme in schemes]
