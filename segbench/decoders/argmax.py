"""The class with the largest logit; objects are connected regions of one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from segbench.data.labels.connected_regions import connected_regions
from segbench.errors import UserError


class Argmax:
    """Largest logit per pixel.

    Attributes:
        connectivity: which neighbours connect an object: 1 = faces, 2 = also edges, ..
        minimum_size: smaller objects, in pixels, are left out of the instances.
        background: the class that forms no objects where `objects` is None.
        objects: the classes whose connected regions are objects, or None: all but the background.
    """

    def __init__(
        self,
        connectivity: int = 1,
        minimum_size: int = 0,
        background: int | None = 0,
        objects: Sequence[int] | None = None,
    ) -> None:
        self.connectivity = connectivity
        self.minimum_size = minimum_size
        self.background = background
        self.objects = objects

    def label(self, outputs: Mapping[str, Tensor], image: Tensor) -> np.ndarray:
        """The class map (*S) uint8 of one case from its heads' logits (K, *S); the image is not looked at."""
        return self.finished(self.by_pixel(outputs))

    def by_pixel(self, outputs: Mapping[str, Tensor]) -> np.ndarray:
        """The class of each pixel by its own logits alone: some rows of a volume do as well as all."""
        if "mask" not in outputs:
            raise UserError(f"decoder: needs the head mask, not {', '.join(outputs)}; task=regions has decoder=regions")
        return np.asarray(outputs["mask"].argmax(0).byte().cpu().numpy())

    def finished(self, label: np.ndarray) -> np.ndarray:
        """The class map (*S) of a whole case, from the classes of its pixels."""
        return label

    def regions(self, outputs: Mapping[str, Tensor]) -> np.ndarray | None:
        """The masks of regions: none but those of the label map."""
        return None

    def instances(self, outputs: Mapping[str, Tensor], label: np.ndarray) -> np.ndarray:
        """The objects (*S) int32 of one case, numbered from 1 over all classes."""
        return connected_regions(label, self.object_classes(label), self.connectivity, self.minimum_size)

    def object_classes(self, label: np.ndarray) -> Sequence[int]:
        """The classes that form objects in a label map."""
        if self.objects is not None:
            return self.objects
        return [value for value in np.unique(label).tolist() if value != self.background]
