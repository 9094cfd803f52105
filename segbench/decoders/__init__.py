"""Decoders: from the outputs of a network for a whole case to a label map and objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Decoder(Protocol):
    """A decoder: the outputs of all heads for a whole case in, a label map out.

    One whose objects are made of the outputs, and not of the label map alone, says so by an attribute `needs_outputs`.
    """

    def label(self, outputs: Mapping[str, Tensor], image: Tensor) -> np.ndarray:
        """Return the class map (*S) uint8, from logits (K, *S) and the image (C, *S) as the network saw it."""

    def regions(self, outputs: Mapping[str, Tensor]) -> np.ndarray | None:
        """Return the masks of overlapping regions (R, *S) bool; None where they follow from the label map."""

    def instances(self, outputs: Mapping[str, Tensor], label: np.ndarray) -> np.ndarray:
        """Return the objects (*S) int32, 0 = background."""


@runtime_checkable
class ByPixel(Decoder, Protocol):
    """A decoder that decides pixel by pixel, so that the logits of a volume need not be there all at once."""

    def by_pixel(self, outputs: Mapping[str, Tensor]) -> np.ndarray:
        """Return the class of each pixel (*S) uint8, from its logits (K, *S)."""

    def finished(self, label: np.ndarray) -> np.ndarray:
        """Return the class map of a whole case, from the classes of its pixels."""
