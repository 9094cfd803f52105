"""The decision that is explained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import label as connected_components
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.evaluation.head_probabilities import head_probabilities


@dataclass(frozen=True)
class Decision:
    """A decision to explain: the logits of a class in a region of an image.

    Attributes:
        name: of the image.
        image: (1, C, *S) as the network sees it.
        head: of the network.
        index: the class.
        label: its name.
        region: (*S) bool.
        reference: (*S) bool, where the class really is; what the network found where that is not known.
    """

    name: str
    image: Tensor
    head: str
    index: int
    label: str
    region: Tensor
    reference: Tensor

    def score(self, network: nn.Module, image: Tensor) -> Tensor:
        """The sum of the class's logits over the region."""
        return logits_of(network, image, self.head)[self.index][self.region].sum()

    def probability(self, network: nn.Module, image: Tensor) -> float:
        """The mean probability of the class in the region."""
        logits = logits_of(network, image, self.head).detach()
        return float(head_probabilities(self.head, logits)[self.index][self.region].mean())

    def dice(self, network: nn.Module) -> float:
        """The Dice of the class, against its reference."""
        found = masks_of(logits_of(network, self.image, self.head), self.head)[self.index]
        both = 2 * (found & self.reference).sum()
        return float(both / (found.sum() + self.reference.sum()).clamp(min=1))


def logits_of(network: nn.Module, image: Tensor, head: str) -> Tensor:
    """The logits (K, *S) of a head for an image (1, C, *S).

    Raises:
        UserError: where the network gives fewer pixels than the image has.
    """
    outputs = network(image)[head]
    logits: Tensor = (outputs[0] if isinstance(outputs, list) else outputs)[0]
    if logits.shape[1:] != image.shape[2:]:
        raise UserError(
            "the network gives fewer pixels than the image has (it classifies patches, or its convolutions are valid):"
            " it cannot be explained as a whole"
        )
    return logits


def masks_of(logits: Tensor, head: str) -> Tensor:
    """The mask of each class or region: (K, *S) bool."""
    if head == "regions":
        return logits > 0
    return torch.stack([logits.argmax(0) == index for index in range(len(logits))])


def largest_part(mask: Tensor) -> Tensor:
    """The largest connected part of a mask."""
    parts, _ = connected_components(mask.numpy())
    return torch.from_numpy(parts == 1 + np.bincount(parts.ravel())[1:].argmax())
