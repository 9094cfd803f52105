"""Objects that are stars: the best of the many that pixels propose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from skimage.draw import polygon
from torch import Tensor

from segbench.data.targets.stars import UNIT, directions
from segbench.decoders.by_heads import ByHeads, head_of, heights
from segbench.errors import UserError


class Stars(ByHeads):
    """Every pixel proposes the star that its distances along rays span; better ones suppress those that overlap them.

    From the highest score to the lowest a star becomes an object, unless its pixel is in one already, or more than a
    share of its area is taken by others: a non-maximum suppression (StarDist, Schmidt et al., MICCAI 2018; Weigert et
    al., WACV 2020) that draws each star once. Objects end where the mask does. In space a star reaches, in each
    direction, as far as the ray nearest to it.

    Attributes:
        head: of the distances, a channel for each ray.
        score_head: of the score, such as the distance to the border as a share of the largest.
        threshold: of the score, below which pixels propose nothing.
        overlap: the share.
    """

    def __init__(
        self,
        head: str = "stars",
        score_head: str = "outer_distance",
        threshold: float = 0.4,
        overlap: float = 0.4,
        **others: Any,
    ) -> None:
        """Check the values.

        Args:
            head: see above.
            score_head: see above.
            threshold: see above.
            overlap: see above.
            **others: see `ByHeads`.

        Raises:
            UserError: where the share is none.
        """
        super().__init__(**others)
        if not 0 <= overlap <= 1:
            raise UserError(f"decoder.overlap={overlap}: must be between 0 and 1")
        self.head = head
        self.score_head = score_head
        self.threshold = threshold
        self.overlap = overlap

    def divide(self, outputs: Mapping[str, Tensor], foreground: np.ndarray) -> np.ndarray:
        """The objects (*S) int32 of one case; arguments as of `ByHeads.divide`."""
        distances = UNIT * head_of(outputs, self.head).clamp_min(0).cpu().numpy()
        score = heights(head_of(outputs, self.score_head), "none")
        rays = directions(len(distances), foreground.ndim)
        result = np.zeros(foreground.shape, np.int32)
        candidates = np.argwhere(foreground & (score > self.threshold))
        count = 0
        for place in candidates[np.argsort(-score[tuple(candidates.T)], kind="stable")]:
            if result[tuple(place)]:
                continue
            pixels = star(place, distances[(slice(None), *place)], rays, foreground.shape)
            taken = result[pixels] > 0
            if not taken.size or taken.mean() > self.overlap:
                continue
            count += 1
            free = tuple(along[~taken] for along in pixels)
            result[free] = count
        return np.where(foreground, result, 0)


def star(centre: np.ndarray, distances: np.ndarray, rays: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """The pixels of a star, as indices for each axis of an image.

    Args:
        centre: a pixel, (D,).
        distances: to the outline along each ray, (R,), in pixels.
        rays: unit vectors, (R, D).
        shape: of the image.
    """
    ends = centre + distances[:, None] * rays
    if len(shape) == 2:
        rows, columns = polygon(ends[:, 0], ends[:, 1], shape)
        return rows, columns
    reach = int(np.ceil(distances.max(initial=0)))
    low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, shape)
    places = np.stack(np.meshgrid(*(np.arange(*ends) for ends in zip(low, high, strict=True)), indexing="ij"))
    offsets = (places.reshape(len(shape), -1).T - centre).astype(np.float32)
    nearest = (offsets @ rays.T.astype(np.float32)).argmax(axis=1)
    inside = np.linalg.norm(offsets, axis=1) <= distances[nearest]
    return tuple(places.reshape(len(shape), -1)[:, inside])
