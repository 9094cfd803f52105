"""The geometry of volumes as nnU-Net v2 has it (Isensee et al. 2021): cropped and resampled before patches are cut.

What a network predicts of a prepared case is brought back to the case as it was (`Geometry.inside`,
`segbench.inference.restoring`), and scored there: no score is of a resampled label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import binary_fill_holes

from segbench.data.arrays import ArraySpec
from segbench.data.case import Case, Dataset, Record
from segbench.data.case_meta import measure_intensities, nonzero_box
from segbench.data.label_resampling import resample_label
from segbench.data.network_input import NetworkInput
from segbench.data.store import CaseStore
from segbench.data.volume_resampling import nearest_pixels, resample_image, resampled_shape, thick_axis

Box = tuple[tuple[int, int], ...]


class Geometry(NamedTuple):
    """The place of a prepared case in the case as it was.

    Attributes:
        whole: (D, H, W) of the case as it was.
        box: first and last + 1 along each axis of what was kept of it.
        prepared: (D, H, W) that the box became.
        spacing: of the prepared case.
        separate_axis: along which slices are resampled each alone; None: all axes are interpolated.
    """

    whole: tuple[int, ...]
    box: Box
    prepared: tuple[int, ...]
    spacing: tuple[float, ...]
    separate_axis: int | None = None

    @property
    def inside(self) -> tuple[slice, ...]:
        """The place of the box in the whole."""
        return tuple(slice(first, last) for first, last in self.box)

    @property
    def size(self) -> tuple[int, ...]:
        """Of the box."""
        return tuple(last - first for first, last in self.box)

    def image(self, image: np.ndarray) -> np.ndarray:
        """An image (C, *whole), or an array of floats, as (C, *prepared); by cubic splines where it is resampled."""
        part = np.asarray(image[(slice(None), *self.inside)])
        return part if self.size == self.prepared else resample_image(part, self.prepared, self.separate_axis)

    def label(self, label: np.ndarray) -> np.ndarray:
        """A label map (*whole) as (*prepared), each class linearly."""
        part = np.asarray(label[self.inside])
        return part if self.size == self.prepared else resample_label(part, self.prepared, self.separate_axis)

    def nearest(self, array: np.ndarray) -> np.ndarray:
        """An array (.., *whole), such as numbers of objects, as (.., *prepared), by nearest voxel."""
        places = (nearest_pixels(old, new) for old, new in zip(self.size, self.prepared, strict=True))
        inside: tuple[Any, ...] = (..., *self.inside)
        part = np.asarray(array[inside])
        for axis, indices in enumerate(places, start=part.ndim - len(self.whole)):
            part = part.take(indices, axis)
        return part


@dataclass(frozen=True)
class Preparation:
    """The rules by which cases are cropped and resampled.

    Attributes:
        spacing: of all prepared cases in mm; None: each keeps its own, along all axes or along one.
        crop: cut off what is 0 in all channels around the body.
        thick_slices: slices this many times as thick as a pixel is wide are each resampled alone.
        masked: z-score within the body, and 0 outside, before anything is resampled (data.normalize=nonzero).
    """

    spacing: tuple[float | None, ...] | None = None
    crop: bool = False
    thick_slices: float = 3.0
    masked: bool = False

    @property
    def keeps_all(self) -> bool:
        """True if cases stay as they are."""
        return self.spacing is None and not self.crop and not self.masked

    def geometry(self, shape: Sequence[int], spacing: Sequence[float], box: Box) -> Geometry:
        """The geometry of a case.

        Args:
            shape: (D, H, W).
            spacing: its own.
            box: what is not 0 in it, as `nonzero_box` says.
        """
        kept = box if self.crop else tuple((0, length) for length in shape)
        size = [last - first for first, last in kept]
        if self.spacing is None:
            return Geometry(tuple(shape), kept, tuple(size), tuple(spacing))
        wanted = tuple(own if edge is None else edge for own, edge in zip(spacing, self.spacing, strict=True))
        return Geometry(
            tuple(shape),
            kept,
            resampled_shape(size, spacing, wanted),
            wanted,
            thick_axis(spacing, wanted, self.thick_slices),
        )

    def of_image(self, image: np.ndarray, spacing: Sequence[float]) -> tuple[np.ndarray, Geometry]:
        """A prepared image (C, *prepared) and its geometry, of one (C, *S) that no store has."""
        geometry = self.geometry(image.shape[1:], spacing, nonzero_box(image))
        return geometry.image(_within_body(image) if self.masked else image), geometry


class Prepared(Dataset):
    """The cases of a store, prepared: a data set of its own, whose store keeps them.

    Args:
        dataset: of the store.
        store: its decoded cases.
        preparation: the rules.
    """

    spatial_dims = 3

    def __init__(self, dataset: Dataset, store: CaseStore, preparation: Preparation) -> None:
        self.name = dataset.name
        self.classes = dataset.classes
        self.background = dataset.background
        self.has_instances = dataset.has_instances
        self.objects = dataset.objects
        self._store = store
        self._channels = dataset.channels
        self._preparation = preparation

    @property
    def channels(self) -> int:
        """The number that the data set has."""
        return self._channels

    @property
    def arrays(self) -> Mapping[str, ArraySpec]:  # type: ignore[override]
        """The extra arrays that were decoded with the cases."""
        return {name: spec for name, spec in self._store.arrays.items() if name in self._store.own_arrays}

    def records(self) -> list[Record]:
        """The records of the store, whose key stands for their files."""
        return [Record(record.id, record.group, part=record.part) for record in self._store.records]

    def geometry(self, case_id: str) -> Geometry:
        """The geometry of a case."""
        meta = self._store.meta(case_id)
        assert meta.nonzero is not None
        return self._preparation.geometry(meta.shape[1:], meta.spacing, meta.nonzero)

    def load(self, record: Record) -> Case:
        """Prepare one case."""
        case, geometry = self._store[record.id], self.geometry(record.id)
        image = np.asarray(case.image)
        return Case(
            record.id,
            geometry.image(_within_body(image) if self._preparation.masked else image),
            geometry.label(case.label),
            geometry.spacing,
            record.group,
            None if case.instances is None else geometry.nearest(case.instances),
            {name: prepared_array(case.arrays[name], geometry) for name in self.arrays},
            case.meta.directions,
        )

    def settings(self) -> dict[str, object]:
        """The rules, and the key of the store that they are applied to."""
        return {"of": self._store.key, **asdict(self._preparation)}


@dataclass(frozen=True)
class PreparedArrays:
    """Further arrays of prepared cases: those of the store that they were prepared from (`ArrayProvider`).

    Attributes:
        arrays: the arrays' forms by name.
        prepared: prepares them.
        store: has them.
    """

    arrays: Mapping[str, ArraySpec]
    prepared: Prepared
    store: CaseStore

    def __call__(self, case_id: str, name: str) -> np.ndarray:
        """Return an array of a prepared case."""
        return prepared_array(self.store[case_id].arrays[name], self.prepared.geometry(case_id))


class SeenImage(NamedTuple):
    """The view that a network has of one image.

    Attributes:
        image: (channels, *S) float32.
        geometry: where it lies in the image as it was; None: it is all of it.
    """

    image: np.ndarray
    geometry: Geometry | None


def seen_image(
    preparation: Preparation,
    network_input: NetworkInput,
    image: np.ndarray,
    spacing: Sequence[float],
    arrays: Mapping[str, np.ndarray],
) -> SeenImage:
    """The view that a network has of a case that no store has prepared.

    Args:
        preparation: the rules.
        network_input: the network's.
        image: (C, *S) as decoded.
        spacing: of its axes.
        arrays: extra arrays by name, of those at least that the network sees.
    """
    geometry = None
    if not preparation.keeps_all and image.ndim == 4:
        image, geometry = preparation.of_image(image, spacing)
        arrays = {name: prepared_array(arrays[name], geometry) for name in network_input.arrays}
    normalized = network_input.normalize(image, measure_intensities(image))
    return SeenImage(network_input.extended(normalized, arrays), geometry)


def prepared_array(array: np.ndarray, geometry: Geometry) -> np.ndarray:
    """An extra array of a case, prepared: floats as images are, others by nearest voxel."""
    if array.dtype.kind != "f":
        return geometry.nearest(array)
    return geometry.image(array) if array.ndim == 4 else geometry.image(array[None])[0]


@dataclass(frozen=True)
class Seen:
    """The view that a network has of the cases of a store.

    Attributes:
        store: the cases in the geometry in which they are trained on.
        prepared: says where they lie in the cases as they were; None: they are the same.
    """

    store: CaseStore
    prepared: Prepared | None = None

    def geometry(self, case_id: str) -> Geometry | None:
        """The geometry of a case; None: it is as it was."""
        return None if self.prepared is None else self.prepared.geometry(case_id)


def seen_cases(dataset: Dataset, store: CaseStore, preparation: Preparation, cache: str | Path) -> Seen:
    """The cases of a store as networks see them, prepared at their first use.

    Args:
        dataset: of the store.
        store: decoded cases, with their extra arrays.
        preparation: the rules.
        cache: where prepared cases are kept.
    """
    if preparation.keeps_all or dataset.spatial_dims == 2:
        return Seen(store)
    prepared = Prepared(dataset, store, preparation)
    made = CaseStore(prepared, cache)
    further = {name: spec for name, spec in store.arrays.items() if name not in store.own_arrays}
    if further:
        made = made.with_arrays(PreparedArrays(further, prepared, store))
    return Seen(made, prepared)


def _within_body(image: np.ndarray) -> np.ndarray:
    """An image (C, *S) z-scored within what is not 0 in any channel, holes filled, and 0 outside: nnU-Net's rule."""
    body = binary_fill_holes((np.asarray(image) != 0).any(axis=0))
    result = np.zeros(image.shape, np.float32)
    for channel, out in zip(image, result, strict=True):
        values = channel[body].astype(np.float32)
        if values.size:
            out[body] = (values - values.mean()) / max(float(values.std()), 1e-8)
    return result
