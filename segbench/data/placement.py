"""The placement of training patches: a case, and the patch's first pixel in it.

A placement is called with the training cases, the number of the sample, the patch's size and a random
generator, and returns a case and a start (D,) in pixels; a start may lie outside the image, whose
surroundings are then mirrored and ignored by the loss. One with a true `pins_centre` asks that
augmentation leaves the patch's central pixel where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

import numpy as np

from segbench.data.store import CaseStore, StoredCase


@dataclass(frozen=True)
class TrainingCases:
    """The cases that patches are cut from.

    Attributes:
        store: the decoded cases.
        ids: of the training cases.
        background: the class that does not count as foreground, or None.
        seed: of the whole run.
    """

    store: CaseStore
    ids: Sequence[str]
    background: int | None
    seed: int

    def in_turn(self, k: int) -> StoredCase:
        """The case of sample number k: each is drawn once before any is drawn again."""
        round_, turn = divmod(k, len(self.ids))
        return self.store[self.ids[case_order(self.seed, len(self.ids), round_)[turn]]]

    @cached_property
    def having(self) -> Mapping[int, Sequence[str]]:
        """By class that occurs, the cases that have it."""
        present = {case: self.store.meta(case).present for case in self.ids}
        classes = sorted(frozenset().union(*present.values()))
        return {value: [case for case in self.ids if value in present[case]] for value in classes}


Placement = Callable[[TrainingCases, int, Sequence[int], np.random.Generator], tuple[StoredCase, np.ndarray]]


@lru_cache(maxsize=4)
def case_order(seed: int, count: int, round_: int) -> np.ndarray:
    """The order in which the cases are drawn in their n-th round: a permutation."""
    return np.random.default_rng([seed, round_, count, 1]).permutation(count)


@dataclass(frozen=True)
class InsideImage:
    """Every case in turn; the patch lies inside the image as far as it fits, in the middle where it does not.

    Attributes:
        foreground: probability that the patch is centred on a pixel of a foreground class, the class
            being drawn evenly from those present; otherwise, and in a case without foreground, the
            place is uniform.
        margin: pixels by which the patch may reach beyond the image at each border: what a network of
            valid convolutions sees but does not predict.
    """

    foreground: float
    margin: int = 0

    def __call__(
        self, cases: TrainingCases, k: int, patch_size: Sequence[int], rng: np.random.Generator
    ) -> tuple[StoredCase, np.ndarray]:
        """The case of sample k, and a place in it."""
        case = cases.in_turn(k)
        shape, size = case.image.shape[1:], np.asarray(patch_size)
        room = np.asarray(shape) + 2 * self.margin - size
        start = rng.integers(0, np.maximum(room, 0) + 1)
        if rng.random() < self.foreground:
            present = [value for value in case.locations if value != cases.background]
            if present:
                start = draw_pixel(case, present[rng.integers(len(present))], rng) - size // 2 + self.margin
        return case, np.where(room < 0, room // 2, np.clip(start, 0, np.maximum(room, 0))) - self.margin


@dataclass(frozen=True)
class CentreByClass:
    """The patch's centre is a pixel of a class drawn evenly: how classifiers of the centre are trained.

    Rare classes are so seen as often as frequent ones. The class comes first, then one of the cases that
    have it, then one of its pixels, which becomes pixel (P - 1) // 2 of the patch and stays there under
    augmentation.
    """

    pins_centre: ClassVar[bool] = True

    def __call__(
        self, cases: TrainingCases, k: int, patch_size: Sequence[int], rng: np.random.Generator
    ) -> tuple[StoredCase, np.ndarray]:
        """A case, and a place around one of its pixels."""
        classes = list(cases.having)
        value = classes[int(rng.integers(len(classes)))]
        candidates = cases.having[value]
        case = cases.store[candidates[int(rng.integers(len(candidates)))]]
        return case, draw_pixel(case, value, rng) - (np.asarray(patch_size) - 1) // 2


def draw_pixel(case: StoredCase, value: int, rng: np.random.Generator) -> np.ndarray:
    """One of the remembered pixels of a class that the case has: (D,)."""
    pixels = case.locations[value]
    return np.asarray(np.unravel_index(pixels[rng.integers(len(pixels))], case.image.shape[1:]))
