"""A random forest on filter responses: the learnt baseline that is no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude
from skimage.feature import hessian_matrix_eigvals
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree._tree import TREE_LEAF

from segbench.data.case import IGNORE
from segbench.errors import UserError
from segbench.models.estimator import Estimator, TrainingCase


class RandomForest(Estimator):
    """A classifier of each pixel by its filter responses (Breiman 2001; filters as in ilastik, Berg et al. 2019).

    Source: Breiman, Machine Learning 45, 2001.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        trees: int = 50,
        depth: int | None = None,
        leaf: int = 5,
        sigmas: Sequence[float] = (1.0, 2.0, 4.0, 8.0),
        pixels: int = 30_000,
        balanced: bool = False,
    ) -> None:
        """Check the values; what is random is drawn from PyTorch's generator here, once.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the image.
            heads: the head "mask" alone: name -> classes.
            trees: how many.
            depth: of each tree, at most; None: as deep as its leaves allow.
            leaf: training pixels in each leaf, at least.
            sigmas: deviations of the filters in pixels.
            pixels: of each class, drawn evenly from the training cases.
            balanced: whether all classes count the same, or as much as they are frequent.

        Raises:
            UserError: where a value is out of its range.
        """
        super().__init__(spatial_dims, in_channels, heads)
        for key, value in {"trees": trees, "leaf": leaf, "pixels": pixels}.items():
            if value < 1:
                raise UserError(f"model.{key}={value}: must be at least 1")
        if any(sigma <= 0 for sigma in sigmas):
            raise UserError(f"model.sigmas={list(sigmas)}: every one must be above 0")
        self.trees = trees
        self.depth = depth
        self.leaf = leaf
        self.sigmas = tuple(sigmas)
        self.pixels = pixels
        self.balanced = balanced
        self.seed = int(torch.randint(2**31, ()))

    def fit(self, cases: Sequence[TrainingCase]) -> None:
        """Draw pixels of each class from each case, and grow the trees."""
        share = -(-self.pixels // len(cases))
        drawn = [self._draw(case, share, np.random.default_rng([self.seed, k])) for k, case in enumerate(cases)]
        features, labels = (np.concatenate(parts) for parts in list(zip(*drawn, strict=True))[:2])
        frequency = sum(counts for _, _, counts in drawn)
        weight = np.ones(self.classes) if self.balanced else np.asarray(frequency, np.float64)
        weight /= np.maximum(np.bincount(labels, minlength=self.classes), 1)
        forest = RandomForestClassifier(
            self.trees, max_depth=self.depth, min_samples_leaf=self.leaf, random_state=self.seed, n_jobs=_jobs()
        )
        self.learnt = forest.fit(features, labels, weight[labels] / weight[labels].mean())

    def scores(self, image: np.ndarray) -> np.ndarray:
        """Logarithms of the mean over the trees of the probability of each class (K, *S)."""
        forest: RandomForestClassifier = self.learnt
        responses = filter_bank(image, self.sigmas)
        forest.n_jobs = _jobs()
        found = forest.predict_proba(responses.reshape(len(responses), -1).T)
        probability = np.zeros((self.classes, found.shape[0]), np.float32)
        probability[forest.classes_] = found.T  # a class that no training case has is never found
        return np.log(probability + 1e-6).reshape(-1, *image.shape[1:])

    def check_learnt(self) -> None:
        """Check that no node of a tree leads out of it: scikit-learn would follow it into any memory."""
        forest = self.learnt
        if not isinstance(forest, RandomForestClassifier):
            raise UserError(f"model: the checkpoint holds no forest but a {type(forest).__name__}")
        for tree in (estimator.tree_ for estimator in forest.estimators_):
            inner = tree.children_left != TREE_LEAF
            children = np.stack([tree.children_left, tree.children_right])[:, inner]
            features = tree.feature[inner]
            parents = np.flatnonzero(inner)
            right_shape = len(tree.value) == tree.node_count and tree.value.shape[-1] == len(forest.classes_)
            if not (
                right_shape
                and ((children > parents) & (children < tree.node_count)).all()  # a child comes later: no circles
                and ((features >= 0) & (features < tree.n_features)).all()
                and tree.n_features == forest.n_features_in_
                and (np.asarray(forest.classes_) < self.classes).all()
            ):
                raise UserError("model: a tree of this checkpoint is damaged: a node leads out of it")

    def _draw(
        self, case: TrainingCase, share: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Features (N, F), classes (N,) of up to `share` pixels of each class, and its pixels of each class (K,)."""
        label = case.label.ravel()
        counts = np.bincount(label[label != IGNORE], minlength=self.classes)
        places = [np.flatnonzero(label == k) for k in range(self.classes)]
        chosen = np.concatenate(
            [place if len(place) <= share else generator.choice(place, share, replace=False) for place in places]
        )
        responses = filter_bank(case.image, self.sigmas)
        return responses.reshape(len(responses), -1).T[chosen], label[chosen], counts


def filter_bank(image: np.ndarray, sigmas: Sequence[float]) -> np.ndarray:
    """Filter responses (F, *S) float32 of an image (C, *S).

    For each channel the intensity itself, and at each scale the smoothed intensity, the length of the
    gradient, and the eigenvalues of the Hessian matrix, the largest first: F = C (1 + (2 + D) scales).
    """
    responses: list[np.ndarray] = []
    dims = image.ndim - 1
    for channel in image:
        responses.append(channel)
        for sigma in sigmas:
            responses.append(gaussian_filter(channel, sigma))
            responses.append(gaussian_gradient_magnitude(channel, sigma))
            pairs = [(a, b) for a in range(dims) for b in range(a, dims)]
            orders = [[(axis == a) + (axis == b) for axis in range(dims)] for a, b in pairs]
            responses.extend(hessian_matrix_eigvals([gaussian_filter(channel, sigma, order) for order in orders]))
    return np.stack(responses).astype(np.float32)


def _jobs() -> int:
    """As many threads as PyTorch may use; the result does not depend on it."""
    return torch.get_num_threads()
