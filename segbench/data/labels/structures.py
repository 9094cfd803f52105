"""The structures of a data set that decide which metric says something: how large, how many, how thin, how rare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.ndimage import binary_erosion, generate_binary_structure
from scipy.ndimage import label as connected_components

from segbench.data.case import IGNORE, Dataset
from segbench.data.labels.object_remarks import some, touching_objects
from segbench.data.metric_advice import Structures
from segbench.data.store import CaseStore

_MOST = 2**26
"""Pixels of labels that are looked at; volumes beyond are not opened."""
_ROUND = {2: 2.5, 3: 7.3}
"""Pixels of a disc and of a ball over the power of their width, drawn in pixels: their borders are not smooth."""


def measure_structures(dataset: Dataset, store: CaseStore) -> dict[str, Any]:
    """The structures of each class in some of the cases, for `run.json`.

    Returns:
        `classes`, for each class but the background the values of `Structures`, those that no case has left out;
        `objects`, whether they are numbered; `touching`, the share of the cases in which two touch.
    """
    looked_at: list[str] = []
    pixels = 0
    for case in some(store.ids):
        pixels += int(np.prod(store.meta(case).shape[1:]))
        if looked_at and pixels > _MOST:
            break
        looked_at.append(case)
    labels = [np.asarray(store[case].label) for case in looked_at]
    known = [label != IGNORE for label in labels]
    objects = [store[case].instances if dataset.has_instances else None for case in looked_at]
    found = {}
    for index, name in enumerate(dataset.classes):
        structures = structures_of([label == index for label in labels], known, objects)
        if index != dataset.background and structures is not None:
            found[name] = asdict(structures)
    touching = touching_objects(store, looked_at) if dataset.has_instances else []
    return {"classes": found, "objects": dataset.has_instances, "touching": len(touching) / max(1, len(looked_at))}


def structures_of(
    masks: Sequence[np.ndarray], known: Sequence[np.ndarray], objects: Sequence[np.ndarray | None]
) -> Structures | None:
    """The structures of masks (*S) of one class, one a case; None where none has a pixel.

    Args:
        masks: of the class.
        known: the pixels whose class is known.
        objects: numbers of the objects in each, or None.
    """
    facts = [_of_case(*case) for case in zip(masks, known, objects, strict=True) if case[0].any()]
    if not facts:
        return None
    sizes = np.concatenate([fact["sizes"] for fact in facts])
    medians = {
        key: float(np.median([fact[key] for fact in facts])) for key in ("share", "number", "width", "elongation")
    }
    tenth, half, most = (float(value) for value in np.percentile(sizes, (10, 50, 90)))
    return Structures(
        present=len(facts) / len(masks), size=half, smallest=tenth, largest=most, dimensions=masks[0].ndim, **medians
    )  # fmt: skip


def _of_case(mask: np.ndarray, known: np.ndarray, objects: np.ndarray | None) -> Mapping[str, Any]:
    pixels = int(np.count_nonzero(mask))
    sizes = _sizes(mask, objects)
    border = pixels - int(np.count_nonzero(binary_erosion(mask, generate_binary_structure(mask.ndim, 1))))
    width = 2 * pixels / border
    return {
        "sizes": sizes,
        "share": pixels / max(1, int(np.count_nonzero(known))),
        "number": len(sizes),
        "width": width,
        "elongation": pixels / (len(sizes) * width**mask.ndim * _ROUND[mask.ndim]),
    }


def _sizes(mask: np.ndarray, objects: np.ndarray | None) -> np.ndarray:
    """Pixels of each structure of a mask."""
    numbered = None if objects is None else np.where(mask, objects, 0)
    if numbered is None or not numbered.any():
        numbered, _ = connected_components(mask, generate_binary_structure(mask.ndim, mask.ndim))
    counts = np.bincount(np.asarray(numbered).ravel())[1:]
    return counts[counts > 0]
