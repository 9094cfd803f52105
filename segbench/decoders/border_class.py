"""Objects that a class of their borders keeps apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from segbench.decoders.by_heads import head_of
from segbench.decoders.seeded import Seeded


class BorderClass(Seeded):
    """Objects from connected insides that grow over their borders; a border pixel has its likeliest class.

    The head has the classes of the data set, and the borders of objects as one more, the last.
    """

    def __init__(self, head: str = "classes_and_border", **others: Any) -> None:
        """Build the decoder.

        Args:
            head: see above.
            **others: see `Seeded`.
        """
        super().__init__(head, seeds_above=0.0, keep_unseeded=True, **others)

    def by_pixel(self, outputs: Mapping[str, Tensor]) -> np.ndarray:
        """The class of each pixel (*S) uint8: a border is of the likeliest class that forms objects."""
        logits = head_of(outputs, self.head)
        classes = logits.argmax(dim=0)
        within = logits[:-1].clone()
        if self.background is not None:
            within[self.background] = -np.inf
        return np.asarray(classes.where(classes < len(logits) - 1, within.argmax(dim=0)).byte().cpu().numpy())

    def divide(self, outputs: Mapping[str, Tensor], foreground: np.ndarray) -> np.ndarray:
        """The objects (*S) int32 that grow from what is inside; arguments as of `ByHeads.divide`."""
        logits = head_of(outputs, self.head)
        border = (logits.argmax(dim=0) == len(logits) - 1).cpu().numpy()
        return self.grown(foreground & ~border, -logits.softmax(dim=0)[-1].cpu().numpy(), foreground)
