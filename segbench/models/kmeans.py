"""k-means clustering of pixels by their colour, and if wanted by their place."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from sklearn.cluster import KMeans as Lloyd
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances_argmin

from segbench.errors import UserError
from segbench.models.estimator import Estimator, TrainingCase
from segbench.models.unsupervised_regions import ASSIGNMENTS, choose, class_table, count_classes


class Clusters(NamedTuple):
    """The learnt state of k-means.

    Attributes:
        centres: (clusters, F), or None where every image has its own.
        table: (clusters, K) log-probability of each class in each cluster.
    """

    centres: np.ndarray | None
    table: np.ndarray


class KMeans(Estimator):
    """Pixels belong to the nearest of k centres (Lloyd's algorithm, k-means++ start); classes by the masks.

    Centres are numbered by their brightness, so that the numbers mean the same in every image.

    Source: Lloyd, IEEE Transactions on Information Theory 28, 1982.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        clusters: int = 8,
        per_image: bool = False,
        place: float = 0.0,
        pixels: int = 20_000,
        starts: int = 10,
        assign: str = "vote",
    ) -> None:
        """Check the values; what is random is drawn from PyTorch's generator here, once.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the image.
            heads: the head "mask" alone: name -> classes.
            clusters: k.
            per_image: whether every image is clustered anew, or the training pixels once for all.
            place: weight of a pixel's place: how much it adds to the features, in intensities of the
                normalised image, from the middle of the image to its border; 0: colour alone.
            pixels: how many of them are clustered.
            starts: the best of so many random starts is kept.
            assign: "vote" or "dice": see `segbench.models.unsupervised_regions.GreyRegions`.

        Raises:
            UserError: where a value is out of its range.
        """
        super().__init__(spatial_dims, in_channels, heads)
        if clusters < 2:
            raise UserError(f"model.clusters={clusters}: must be at least 2")
        self.clusters = clusters
        self.per_image = per_image
        self.place = place
        self.pixels = max(pixels, clusters)
        self.starts = starts
        self.assign = ASSIGNMENTS[choose("model.assign", assign, ASSIGNMENTS, best=False)[0]]
        self.seed = int(torch.randint(2**31, ()))

    def fit(self, cases: Sequence[TrainingCase]) -> None:
        """Clusters the training pixels and counts the classes in each cluster."""
        centres = None
        if not self.per_image:
            generator = np.random.default_rng(self.seed)
            share = -(-self.pixels // len(cases))
            centres = self._cluster(
                np.concatenate([_some(self._features(case.image), share, generator) for case in cases])
            )
        counts = np.zeros((self.clusters, self.classes), np.int64)
        for case in cases:
            counts += count_classes(self._regions(case.image, centres), case.label, self.clusters, self.classes)
        self.learnt = Clusters(centres, class_table(counts, self.assign))

    def scores(self, image: np.ndarray) -> np.ndarray:
        """Logarithms of the probability of each class (K, *S)."""
        learnt: Clusters = self.learnt
        return np.moveaxis(learnt.table[self._regions(image, learnt.centres)], -1, 0)

    def _regions(self, image: np.ndarray, centres: np.ndarray | None) -> np.ndarray:
        """The number of the nearest centre for each pixel, (*S) int."""
        features = self._features(image)
        if centres is None:
            centres = self._cluster(_some(features, self.pixels, np.random.default_rng(self.seed)))
        return np.asarray(pairwise_distances_argmin(features, centres)).reshape(image.shape[1:])

    def _features(self, image: np.ndarray) -> np.ndarray:
        """(pixels, C) intensities, or (pixels, C + D) with the place."""
        parts = list(image)
        if self.place:
            lines = [np.linspace(-self.place, self.place, size, dtype=np.float32) for size in image.shape[1:]]
            parts += np.meshgrid(*lines, indexing="ij")
        return np.stack([part.ravel() for part in parts], axis=1)

    def _cluster(self, features: np.ndarray) -> np.ndarray:
        """The centres, darkest first, (clusters, F) float32; fewer where fewer pixels differ."""
        distinct = len(np.unique(features, axis=0)) if len(features) < 10 * self.clusters else self.clusters
        lloyd = Lloyd(min(self.clusters, distinct), n_init=self.starts, random_state=self.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer pixels differ than clusters are wanted
            centres = lloyd.fit(features).cluster_centers_
        brightness = centres[:, : self.in_channels].mean(axis=1)
        return np.asarray(centres[np.lexsort([*centres.T[::-1], brightness])], np.float32)


def _some(features: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """A random choice of `count` pixels, or all where there are fewer."""
    return features if len(features) <= count else features[generator.choice(len(features), count, replace=False)]
