"""What the tests of estimators share: cases whose classes are known, fitted models, and their Dice."""

import numpy as np
import torch

from segbench.models.estimator import TrainingCase


def ball(size, centre, radius):
    return sum((line - c) ** 2 for line, c in zip(np.indices(size), centre, strict=True)) < radius**2


def cells(size, seed=0, dark=False, channels=1):
    """A nucleus in a cell on a background: classes 2 in 1 in 0, each brighter than the last, or darker."""
    rng = np.random.default_rng(seed)
    middle = [length / 2 for length in size]
    label = ball(size, middle, min(size) / 2.6).astype(np.uint8) + ball(size, middle, min(size) / 5)
    values = np.array([-1.0, 0.4, 2.0], np.float32) * (-1 if dark else 1)
    noise = rng.normal(0, 0.1, (channels, *size)).astype(np.float32)
    return TrainingCase(values[label][None] + noise, label.astype(np.uint8), (1.0,) * len(size))


def fitted(make, *cases, **choices):
    dims, classes = cases[0].label.ndim, max(2, int(max(case.label[case.label < 255].max() for case in cases)) + 1)
    torch.manual_seed(0)
    model = make(dims, len(cases[0].image), {"mask": classes}, **choices)
    model.fit(cases)
    return model


def predict(model, case):
    return model(torch.from_numpy(case.image)[None])["mask"][0].argmax(0).numpy()


def dice(found, label):
    return np.mean(
        [2 * ((found == k) & (label == k)).sum() / ((found == k).sum() + (label == k).sum()) for k in range(3)]
    )
