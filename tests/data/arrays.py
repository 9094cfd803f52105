"""Cases made of arrays in memory, which patches are read from as from stored ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from segbench.data.case_meta import CaseMeta, measure_intensities


@dataclass(frozen=True)
class ArrayCase:
    """What `StoredCase` has, without files."""

    image: np.ndarray
    label: np.ndarray
    instances: np.ndarray | None = None
    spacing: tuple[float, ...] = ()
    id: str = "case"
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def meta(self) -> CaseMeta:
        pixels = tuple(int((self.label == value).sum()) for value in range(4))
        return CaseMeta(
            id=self.id,
            group=self.id,
            part=None,
            spacing=self.spacing,
            shape=self.image.shape,
            dtype=str(self.image.dtype),
            intensities=measure_intensities(self.image),
            pixels=pixels,
            ignored=0,
            objects=None,
            image_digest="",
            digest="",
        )

    @cached_property
    def locations(self) -> dict[int, np.ndarray]:
        return {value: np.flatnonzero(self.label == value) for value in sorted(self.meta.present)}


class Cases(dict[str, ArrayCase]):
    """Cases by their ids, which stand in for a store."""

    def meta(self, case: str) -> CaseMeta:
        """What is known of the case."""
        return self[case].meta


def random_case(rng: np.random.Generator, shape: tuple[int, ...], id: str = "case") -> ArrayCase:
    """Two channels of noise, labels of four classes (class 3 rare), and instances."""
    label = rng.choice(np.arange(4, dtype=np.uint8), shape, p=[0.6, 0.2, 0.19, 0.01])
    instances = np.where(label > 0, rng.integers(1, 100, shape), 0).astype(np.int32)
    return ArrayCase(rng.normal(size=(2, *shape)).astype(np.float32), label, instances, (1.0,) * len(shape), id)


def coordinate_case(rng: np.random.Generator, shape: tuple[int, ...]) -> ArrayCase:
    """Like `random_case`, but channel i of the image holds the i-th coordinate of each pixel."""
    case = random_case(rng, shape)
    return ArrayCase(np.indices(shape, dtype=np.float32), case.label, case.instances, case.spacing)
