"""Data sets that are drawn by code, so that everything works without any download."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from segbench.data.case import Case, Dataset, Record, Source
from segbench.errors import UserError


class Drawn(Dataset):
    """Images drawn by code: a case depends on the seed and its number alone.

    Args:
        cases: how many images.
        size: height and width in pixels.
        seed: another seed gives another data set.

    Raises:
        UserError: where a number is impossible.

    Attributes:
        prefix: of the cases' ids, before their number.
        smallest: height and width that the drawing needs.
        drawing: version of the rules that the subclass draws by.
    """

    source = Source(
        address="segbench itself: it is drawn by code",
        licence="that of segbench",
        citation="none",
        layout="no files",
    )
    prefix: ClassVar[str]
    smallest: ClassVar[int] = 32
    drawing: ClassVar[int] = 1

    def __init__(self, cases: int, size: Sequence[int], seed: int) -> None:
        if cases < 1 or seed < 0 or len(size) != 2 or min(size) < self.smallest:
            raise UserError(
                f"data.dataset has cases={cases}, seed={seed}, size={list(size)}: expected are at least 1 case, "
                f"a seed of at least 0 and two lengths of at least {self.smallest}"
            )
        self.cases = cases
        self.size = (int(size[0]), int(size[1]))
        self.seed = seed

    def records(self) -> list[Record]:
        """The numbers of the images."""
        return [Record(name, name) for name in (f"{self.prefix}_{index:04}" for index in range(self.cases))]

    def load(self, record: Record) -> Case:
        """Draw one image."""
        return self.draw(record, np.random.default_rng([self.seed, int(record.id.removeprefix(f"{self.prefix}_"))]))

    @abstractmethod
    def draw(self, record: Record, rng: np.random.Generator) -> Case:
        """Draw the case of a record with nothing but these random numbers."""

    def settings(self) -> dict[str, object]:
        """The settings that decide the drawing."""
        return {"drawing": self.drawing, "size": self.size, "seed": self.seed}
