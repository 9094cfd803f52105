"""Regions of an unsupervised method, and their classes by the training masks."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from segbench.data.case import IGNORE
from segbench.errors import UserError
from segbench.models.estimator import Estimator, TrainingCase

MOST_ASSIGNMENTS = 100_000


class Found(NamedTuple):
    """The learnt state of a method on one grey channel.

    Attributes:
        weights: (C,) what the image's channels are multiplied with before they are summed.
        rank: how regions are numbered: a key of `RANKS`.
        table: (regions, K) log-probability of each class in each region.
    """

    weights: np.ndarray
    rank: str
    table: np.ndarray


class GreyRegions(Estimator):
    """A method that divides a grey image into regions; each region is given a class by the training masks.

    Colours become grey by a weighted sum of the channels. Where channel or numbering are "best", `fit` tries
    all and keeps the pair with the highest Dice (mean over the classes, all training pixels together).
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        channel: str | int = "best",
        rank: str = "best",
        assign: str = "dice",
    ) -> None:
        """Check the values.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the image.
            heads: the head "mask" alone: name -> classes.
            channel: "mean" of the channels, "pca" (their first principal component in the training
                pixels), the number of one, or "best" of all these.
            rank: regions are numbered by "brightness" (darkest first), by "area" (largest first: right where
                objects are bright in some images and dark in others), or what is "best".
            assign: "vote": a region is the class that most of its training pixels have; "dice": the
                classes of all regions are chosen together, for the highest mean Dice.

        Raises:
            UserError: where a value is none of these.
        """
        super().__init__(spatial_dims, in_channels, heads)
        self.channel = channel
        self.ranks = choose("model.rank", rank, RANKS)
        self.assign = ASSIGNMENTS[choose("model.assign", assign, ASSIGNMENTS, best=False)[0]]
        if isinstance(channel, int) and not 0 <= channel < in_channels:
            raise UserError(f"model.channel={channel}: the images have the channels 0 to {in_channels - 1}")
        if isinstance(channel, str) and channel not in ("mean", "pca", "best"):
            raise UserError(f"model.channel={channel}: must be mean, pca, best or the number of a channel")

    @property
    @abstractmethod
    def count(self) -> int:
        """The largest possible number of regions."""

    @abstractmethod
    def regions(self, grey: np.ndarray) -> np.ndarray:
        """The region of each pixel, 0 to `count` - 1, darkest first, (*S) int, of a grey image (*S) float32."""

    def region_count(self, wanted: int | None) -> int:
        """Return how many regions are wanted; None stands for as many as classes.

        Raises:
            UserError: where there would be less than 2.
        """
        count = self.classes if wanted is None else wanted
        if count < 2:
            raise UserError(f"model.regions={wanted}: must be at least 2")
        return count

    def fit(self, cases: Sequence[TrainingCase]) -> None:
        """Count the classes in the regions of all training cases, and choose channel and numbering."""
        channels = self._channels(cases)
        counts = np.zeros((len(channels), len(self.ranks), self.count, self.classes), np.int64)
        for case in cases:
            for channel, weights in enumerate(channels):
                regions = self.regions(grey(case.image, weights))
                for number, rank in enumerate(self.ranks):
                    ranked = RANKS[rank](regions, self.count)
                    counts[channel, number] += count_classes(ranked, case.label, self.count, self.classes)
        choices = list(np.ndindex(counts.shape[:2]))
        tables = [class_table(counts[choice], self.assign) for choice in choices]
        scores = [
            mean_dice(counts[choice], table.argmax(axis=1)) for choice, table in zip(choices, tables, strict=True)
        ]
        best = int(np.argmax(scores))  # of equal ones the first
        channel, number = choices[best]
        self.learnt = Found(channels[channel], self.ranks[number], tables[best])

    def scores(self, image: np.ndarray) -> np.ndarray:
        """Logarithms of the probability of each class (K, *S)."""
        found: Found = self.learnt
        ranked = RANKS[found.rank](self.regions(grey(image, found.weights)), self.count)
        return np.moveaxis(found.table[ranked], -1, 0)

    def _channels(self, cases: Sequence[TrainingCase]) -> list[np.ndarray]:
        """The weights (C,) of every grey image to try."""
        one_each = list(np.eye(self.in_channels, dtype=np.float32))
        mean = np.full(self.in_channels, 1 / self.in_channels, np.float32)
        if self.in_channels == 1:
            return one_each
        if isinstance(self.channel, int):
            return [one_each[self.channel]]
        if self.channel == "mean":
            return [mean]
        component = principal_component(cases)
        return [component] if self.channel == "pca" else [mean, component, *one_each]


def grey(image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted sum (*S) float32 of the channels of an image (C, *S)."""
    return np.asarray(np.tensordot(weights, image, axes=1), np.float32)


def principal_component(cases: Sequence[TrainingCase]) -> np.ndarray:
    """The direction (C,) float32 of most variance of the pixels of all cases, pointing to brighter ones."""
    pixels = 0
    sums, products = np.zeros(1), np.zeros((1, 1))
    for case in cases:
        flat = case.image.reshape(len(case.image), -1).astype(np.float64)
        pixels, sums, products = pixels + flat.shape[1], sums + flat.sum(axis=1), products + flat @ flat.T
    mean = sums / pixels
    vector = np.linalg.eigh(products / pixels - np.outer(mean, mean)).eigenvectors[:, -1]
    return np.asarray(vector * (1 if vector.sum() >= 0 else -1), np.float32)


def count_classes(regions: np.ndarray, label: np.ndarray, count: int, classes: int) -> np.ndarray:
    """Pixels of each class in each region: (count, classes) int64; ignored pixels are left out."""
    seen = label != IGNORE
    pairs = regions[seen].astype(np.int64) * classes + label[seen]
    return np.bincount(pairs, minlength=count * classes).reshape(count, classes)


def class_table(counts: np.ndarray, assign: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Log-probability of each class in each region, (regions, K) float32, from pixels (regions, K).

    The relative frequencies, one pixel of each class added; where the assigned class is not the most
    frequent one, the two change places.
    """
    table = np.log((counts + 1) / (counts + 1).sum(axis=1, keepdims=True))
    rows, chosen, largest = np.arange(len(counts)), assign(counts), table.argmax(axis=1)
    table[rows, chosen], table[rows, largest] = table[rows, largest], table[rows, chosen]
    return np.asarray(table, np.float32)


def majority(counts: np.ndarray) -> np.ndarray:
    """The most frequent class of each region, (regions,) int."""
    return np.asarray(counts.argmax(axis=1))


def highest_dice(counts: np.ndarray) -> np.ndarray:
    """The class of each region, (regions,) int, such that the mean Dice over classes is highest.

    Raises:
        UserError: where there are too many assignments to try.
    """
    regions, classes = counts.shape
    if classes**regions > MOST_ASSIGNMENTS:
        raise UserError(
            f"model.assign=dice: {regions} regions can be given {classes} classes in {classes**regions} ways, too many"
            " to try; use model.assign=vote or fewer regions"
        )
    every = (np.array(chosen) for chosen in itertools.product(range(classes), repeat=regions))
    return max(every, key=lambda chosen: mean_dice(counts, chosen))


def mean_dice(counts: np.ndarray, chosen: np.ndarray) -> float:
    """Mean over classes of 2 |P and R| / (|P| + |R|) if every region is given its chosen class.

    Args:
        counts: (regions, K) pixels.
        chosen: (regions,) classes.
    """
    predicted = np.zeros((counts.shape[1], len(counts)))
    predicted[chosen, np.arange(len(counts))] = 1
    confusion = predicted @ counts
    total = confusion.sum(axis=0) + confusion.sum(axis=1)
    return float(np.mean(2 * confusion.diagonal() / np.maximum(total, 1)))


def choose(key: str, value: str, known: Mapping[str, Any], best: bool = True) -> list[str]:
    """The entry of this name among the known ones, or all for "best".

    Raises:
        UserError: where it is not known.
    """
    if best and value == "best":
        return list(known)
    if value not in known:
        raise UserError(f"{key}={value}: must be one of {', '.join([*known, *(['best'] if best else [])])}")
    return [value]


def _by_area(regions: np.ndarray, count: int) -> np.ndarray:
    """Regions numbered by their pixels, the largest first."""
    sizes = np.bincount(regions.ravel(), minlength=count)
    rank = np.empty(count, np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(count)
    return np.asarray(rank[regions])


RANKS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "brightness": lambda regions, count: regions,
    "area": _by_area,
}
ASSIGNMENTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"vote": majority, "dice": highest_dice}
