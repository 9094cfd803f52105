"""What the tests of losses share: random logits and targets, and sums of overlap in numpy."""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

CONF = Path(__file__).parents[2] / "conf"
NAMES = sorted({path.stem for path in (CONF / "loss").glob("*.yaml")} - {"weighted_sum", "l1", "mse"})
"""Every loss of classes that is complete as it stands."""

CLASSES = 3


def draw(*size, seed=0, classes=CLASSES, dtype=torch.float32):
    """Random logits (B, K, *P) and a target that has every class."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(size[0], classes, *size[1:], generator=generator, dtype=dtype)
    target = torch.randint(classes, size, generator=generator)
    target.view(-1)[:classes] = torch.arange(classes)
    return logits, target


def certain(target, logit=100.0, classes=CLASSES):
    """Logits that give each pixel its class: `logit` for it, -`logit` for the others."""
    return logit * (2 * F.one_hot(target, classes).movedim(-1, 1).float() - 1)


def probabilities(logits):
    """Softmax in numpy, in float64: (B, K, *P)."""
    z = np.exp(logits.double().numpy())
    return z / z.sum(axis=1, keepdims=True)


def soft_overlap(logits, target):
    """True positives, false positives and false negatives of each class, in numpy."""
    p = np.moveaxis(probabilities(logits), 1, 0).reshape(logits.shape[1], -1)
    g = np.stack([target.numpy().ravel() == c for c in range(logits.shape[1])])
    return (p * g).sum(1), (p * ~g).sum(1), ((1 - p) * g).sum(1)
