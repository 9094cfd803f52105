"""Predicting a whole case: in one pass, by windows that are blended, or by tiles laid edge to edge.

An inference object is called with the network and a batch of whole images and returns what the
network returns: a dict of logits, each at the image's size (for deep supervision the finest only), in float32.
"""

from segbench.inference.dense_patches import DensePatches
from segbench.inference.overlap_tile import OverlapTile
from segbench.inference.views import Inference, Network, Outputs
from segbench.inference.windows import SlidingWindow, Whole, window_places, window_weight

__all__ = [
    "DensePatches",
    "Inference",
    "Network",
    "Outputs",
    "OverlapTile",
    "SlidingWindow",
    "Whole",
    "window_places",
    "window_weight",
]
