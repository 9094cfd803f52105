"""Palettes of masks, whose indices mean the same only where their colours do."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segbench.data.formats.reader import Decoded
from segbench.errors import UserError

_WHITE, _BLACK = 0xFFFFFF, 0


class Palettes:
    """The colours that the masks of one data set give to each index. They are read in several threads.

    Args:
        key: the configuration's key for the values of the classes, for messages.
        given: whether the user has said which values are which class.
    """

    def __init__(self, key: str, given: bool) -> None:
        self.key = key
        self.given = given
        self._colours: dict[int, tuple[int, Path]] = {}

    def check(self, mask: Decoded, path: Path) -> None:
        """Check that the indices of a mask may be taken for its values.

        Args:
            mask: a file's content, with a palette or without.
            path: the file.

        Raises:
            UserError: where an index has another colour than in an earlier mask, as in files whose palettes
                are made anew for each, or where 0 is white and 1 is black, or any file says that 0 is white.
        """
        if mask.white_is_zero and not self.given:
            raise UserError(
                f"{path} is a TIFF file in which 0 is white (WhiteIsZero), so that viewers show the opposite of its"
                f" values: say what the stored values mean, such as {self.key}=[0,255] where 255, shown black, is the"
                " second class"
            )
        if mask.palette is None:
            return
        red, green, blue = mask.palette.astype(int).T
        colours = (red << 16 | green << 8 | blue).tolist()
        way_out = f"give the classes' colours as {self.key}, such as ['#000000', '#ffffff']"
        if colours[:2] == [_WHITE, _BLACK] and not any(colours[2:]):
            raise UserError(f"{path} has a palette in which 0 is white and 1 is black: {way_out}")
        for index in np.unique(mask.array).tolist():
            colour = colours[index] if index < len(colours) else _BLACK
            first, where = self._colours.setdefault(index, (colour, path))
            if first != colour:
                raise UserError(
                    f"the palette of {path} has #{colour:06x} where that of {where} has #{first:06x}: {way_out}"
                )
