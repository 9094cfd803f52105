"""Metrics of torchmetrics over the pixels of many images together: curves and tables that decide nothing."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from segbench.config.instantiation import build
from segbench.data.case import IGNORE
from segbench.errors import UserError, as_line
from segbench.runs.criterion import Criterion

PARTS = ("train", "validation")

TAKEN = ("loss", "score", "gap")
"""Names of other curves."""


class Streaming(nn.Module):
    """A collection of metrics that is fed image by image; torchmetrics puts the processes of a run together.

    Args:
        metrics: by name; each takes probabilities (B, K, *P) and classes (B, *P), where 255 is ignored.
        classes: their names, by index.
    """

    def __init__(self, metrics: Mapping[str, Metric], classes: Sequence[str]) -> None:
        super().__init__()
        self.collection = MetricCollection(dict(metrics))
        self.classes = tuple(classes)

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Take in the pixels of a batch.

        Args:
            logits: (B, K, *P); where they are not of all classes, as for classes that overlap, nothing is done.
            target: (B, *P) class indices.
        """
        if logits.shape[1] == len(self.classes) and target.ndim == logits.ndim - 1:
            self.collection.update(logits.float().softmax(dim=1), target.long())

    def result(self) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Return the numbers and the tables (K, K) by name, and forget all images.

        A metric with a number for each class gives `name/class`.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*was called before the ``update``.*")
            values = self.collection.compute()
        self.collection.reset()
        numbers: dict[str, float] = {}
        tables: dict[str, Tensor] = {}
        for name, value in values.items():
            if value.ndim == 2:
                tables[name] = value.detach().cpu()
            elif value.ndim == 1 and len(value) == len(self.classes):
                numbers |= {f"{name}/{label}": float(one) for label, one in zip(self.classes, value, strict=True)}
            else:
                numbers[name] = float(value)
        return numbers, tables


def build_streaming(metrics: DictConfig, classes: Sequence[str], criterion: Criterion) -> dict[str, Streaming]:
    """Return the streaming metrics of the parts (train, validation) that have some.

    Args:
        metrics: the configuration.
        classes: their names, by index.
        criterion: whose curves have names, too.

    Raises:
        UserError: where one is no metric of torchmetrics, cannot score these classes, or has the name of another curve.
    """
    found: dict[str, Streaming] = {}
    for part, node in (metrics.get("streaming") or {}).items():
        if part not in PARTS:
            raise UserError(f"metrics.streaming.{part}: must be {' or '.join(PARTS)}")
        members = build(node, f"metrics.streaming.{part}") if node else {}
        for name, metric in members.items():
            key = f"metrics.streaming.{part}.{name}"
            if name in (*TAKEN, *criterion.metrics):
                raise UserError(f"{key}: another curve is called {part}/{name}; choose another name")
            _check(metric, key, len(classes))
        if members:
            found[str(part)] = Streaming(members, classes)
    return found


def _check(metric: object, key: str, classes: int) -> None:
    """Try a metric on a few pixels, before anything is trained."""
    if not isinstance(metric, Metric):
        raise UserError(f"{key}: is no metric of torchmetrics; per case and class it may be one of metrics.classes")
    if getattr(metric, "ignore_index", IGNORE) is None:
        metric.ignore_index = IGNORE
    target = torch.arange(6 * 10).reshape(1, 6, 10) % classes
    probabilities = nn.functional.one_hot(target, classes).movedim(-1, 1).float()
    try:
        metric.update(probabilities, target)
        value = metric.compute()
        metric.reset()
    except Exception as error:  # whatever a library fails by
        raise UserError(f"{key}: {type(metric).__name__} cannot score {classes} classes ({as_line(error)})") from error
    if not isinstance(value, Tensor) or tuple(value.shape) not in ((), (1,), (classes,), (classes, classes)):
        raise UserError(f"{key}: must have one number, one for each class, or a table of the classes")


logging.getLogger("torchmetrics").setLevel(logging.ERROR)
