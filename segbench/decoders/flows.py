"""Objects whose pixels flow to the same place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, generate_binary_structure, maximum_filter
from scipy.ndimage import label as connected_components
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn.functional import grid_sample

from segbench.decoders.by_heads import ByHeads, head_of
from segbench.errors import UserError


class Flows(ByHeads):
    """Every pixel of the mask is moved along the flow, step by step; those that end at one peak are an object.

    Flows are those of `GradientFlow` (Cellpose, Stringer et al., Nature Methods 2021), times a constant or not: steps
    are at most a pixel long. Where pixels end is counted; peaks of the smoothed count that are the highest within
    `reach` are objects, and a pixel that ends further than that from any peak is of none.

    Attributes:
        head: of the flows, a channel for each axis.
        steps: along the flow, about as many as the radius of the largest object has pixels, and more.
        reach: in pixels.
        least: pixels that end at a peak, at least.
    """

    def __init__(
        self, head: str = "flows", steps: int = 200, reach: float = 3.0, least: float = 10, **others: Any
    ) -> None:
        """Check the values.

        Args:
            head: see above.
            steps: see above.
            reach: see above.
            least: see above.
            **others: see `ByHeads`.

        Raises:
            UserError: where the reach is not above 0.
        """
        super().__init__(**others)
        if reach <= 0:
            raise UserError(f"decoder.reach={reach}: must be above 0")
        self.head = head
        self.steps = steps
        self.reach = reach
        self.least = least

    def divide(self, outputs: Mapping[str, Tensor], foreground: np.ndarray) -> np.ndarray:
        """The objects (*S) int32 of one case; arguments as of `ByHeads.divide`.

        Raises:
            UserError: where the flow has not a channel for each axis.
        """
        flow = head_of(outputs, self.head)
        if len(flow) != foreground.ndim:
            raise UserError(f"decoder.head={self.head}: has {len(flow)} channels, not one for each axis of the image")
        result = np.zeros(foreground.shape, np.int32)
        starts = np.argwhere(foreground)
        if not len(starts):
            return result
        inside = torch.from_numpy(foreground).to(flow.device)
        ends = follow(flow * inside, starts, self.steps)
        peaks = self.peaks(ends, foreground.shape)
        if len(peaks):
            tree = cKDTree(peaks[:, 1:])
            distance, nearest = map(np.asarray, tree.query(ends, distance_upper_bound=2 * self.reach))
            found = np.isfinite(distance)
            result[tuple(starts[found].T)] = peaks[nearest[found], 0]
        return result

    def peaks(self, ends: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The object and the place of each pixel that is a peak: (Q, 1 + D) integers.

        Args:
            ends: where pixels end, (M, D).
            shape: of the image.
        """
        places = np.ravel_multi_index(list(np.rint(ends).astype(int).T), shape)
        count = np.bincount(places, minlength=int(np.prod(shape))).reshape(shape).astype(np.float32)
        smooth = gaussian_filter(count, 1.0, mode="constant")
        window = 2 * int(np.ceil(self.reach)) + 1
        highest = (smooth == maximum_filter(smooth, window)) & (maximum_filter(count, 3) > 0)
        numbers, found = connected_components(highest, generate_binary_structure(count.ndim, count.ndim))
        near = maximum_filter(numbers, 3)  # the peak and its neighbours, where its pixels end
        enough = np.bincount(near.ravel(), weights=count.ravel(), minlength=found + 1) >= self.least
        enough[0] = False
        kept = np.argwhere(enough[numbers])
        return np.column_stack([numbers[tuple(kept.T)], kept])


def follow(flow: Tensor, starts: np.ndarray, steps: int) -> np.ndarray:
    """The places (M, D) that points reach along a flow, which is interpolated linearly between pixels.

    Args:
        flow: (D, *S), in pixels; longer vectors than 1 are shortened to it.
        starts: (M, D), pixels.
        steps: how many.
    """
    dims = len(flow)
    flow = flow / torch.linalg.vector_norm(flow, dim=0).clamp_min(1)
    last = torch.tensor(flow.shape[1:], device=flow.device).sub(1)
    # The last axis comes first in a grid, and goes from -1 to 1.
    scale = 2 / last.clamp_min(1).flip(0).float()
    places = torch.from_numpy(starts).to(flow.device, torch.float32)
    for _ in range(steps):
        grid = (places.flip(1) * scale - 1).reshape(1, *(1,) * (dims - 1), -1, dims)
        moved = grid_sample(flow[None], grid, mode="bilinear", padding_mode="border", align_corners=True)
        places = (places + moved.reshape(dims, -1).T).clamp_min(0).minimum(last)
    return np.asarray(places.cpu().numpy())
