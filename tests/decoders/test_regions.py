"""The decoder of overlapping regions: thresholds, and nnU-Net's rule for the label map."""

import numpy as np
import pytest
import torch

from segbench.decoders.regions import Regions
from segbench.errors import UserError

CLASSES = {"whole": [1, 2, 3], "core": [2, 3], "enhancing": [3]}


def nnunet(probabilities: np.ndarray, order: list[int], threshold: float) -> np.ndarray:
    """As nnU-Net's LabelManager writes regions: one after the other, where the probability is above 0.5."""
    segmentation = np.zeros(probabilities.shape[1:], np.uint16)
    for region, value in enumerate(order):
        segmentation[probabilities[region] > threshold] = value
    return segmentation


@pytest.mark.parametrize("threshold", [0.5, 0.2])
@pytest.mark.parametrize("order", [None, [3, 1, 2]])
def test_known_logits(threshold: float, order: list[int] | None) -> None:
    logits = torch.randn(3, 9, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    decoder = Regions(CLASSES, threshold, order)
    outputs = {"regions": logits}
    probabilities = logits.sigmoid().numpy()
    np.testing.assert_array_equal(decoder.regions(outputs), probabilities > threshold)
    label = decoder.label(outputs, torch.zeros(1, 9, 8))
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, nnunet(probabilities, order or [1, 2, 3], threshold))


def test_values_that_cannot_be() -> None:
    with pytest.raises(UserError, match=r"decoder.threshold=1: must be between 0 and 1"):
        Regions(CLASSES, 1)
    with pytest.raises(UserError, match=r"decoder.order=\[1\]: must have a class for each of whole, core, enhancing"):
        Regions(CLASSES, order=[1])
    with pytest.raises(UserError, match=r"decoder=regions: needs the head regions \(task=regions\), not mask"):
        Regions(CLASSES).label({"mask": torch.zeros(2, 3, 3)}, torch.zeros(1, 3, 3))
