"""Label maps of files whose values mean classes as a configuration says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from segbench.data.formats import as_mask
from segbench.data.formats.reader import Decoded
from segbench.data.labels.palettes import Palettes
from segbench.data.labels.pixel_values import LabelMapping, Value

KEY = "data.dataset.values"


class MaskReader:
    """A reader of the masks of one data set.

    Attributes:
        mapping: from pixel values to classes.
        black_and_white: whether a mask whose only values are 0 and 255 has the classes 0 and 1: where there are two
            classes without `values`.

    Args:
        values: per class its pixel value, a list of them, a range such as "128-255", or a colour. None: the classes'
            indices.
        ignore: pixel values that are neither learnt nor scored.
        classes: how many there are.

    Raises:
        UserError: where these do not fit together.
    """

    def __init__(self, values: Sequence[Value | Sequence[Value]] | None, ignore: Sequence[Value], classes: int) -> None:
        self.mapping = LabelMapping.parse(list(range(classes)) if values is None else values, ignore, classes, KEY)
        self.black_and_white = values is None and classes == 2
        self._palettes = Palettes(KEY, values is not None)

    def __call__(self, decoded: Decoded, path: Path) -> np.ndarray:
        """Return the classes (*S) uint8 of a file, 255 = ignore.

        Raises:
            UserError: naming the values that are no class.
        """
        mapping = self.mapping
        if not mapping.colours:
            self._palettes.check(decoded, path)
        mask = as_mask(decoded, path, mapping.colours)
        if self.black_and_white and 255 not in mapping.ignore and np.isin(mask, (0, 255)).all():
            mapping = replace(mapping, classes=((0,), (255,)))
        return mapping.apply(mask, path, decoded.lossy)
