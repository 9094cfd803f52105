"""Objects that further heads tell apart: the common base of the decoders of contours, distances, flows and stars."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor

from segbench.decoders.argmax import Argmax
from segbench.decoders.object_maps import cleaned
from segbench.errors import UserError

Activation = Literal["none", "sigmoid", "softmax"]


class ByHeads(Argmax):
    """The class with the largest logit; what is of a class that forms objects is divided among them.

    Attributes:
        needs_outputs: the logits of a whole case have to be there when its objects are looked for.
        majority: the side of the window, in pixels, whose most frequent object each pixel gets; 0: none.
        fill_holes: whether background that an object encloses belongs to it.
    """

    needs_outputs: ClassVar[bool] = True

    def __init__(self, majority: int = 0, fill_holes: bool = False, **others: Any) -> None:
        """Check the values.

        Args:
            majority: see above, an odd number.
            fill_holes: see above.
            **others: see `Argmax`.

        Raises:
            UserError: where the window is even.
        """
        super().__init__(**others)
        if majority < 0 or (majority and majority % 2 == 0):
            raise UserError(f"decoder.majority={majority}: must be 0 or an odd number")
        self.majority = majority
        self.fill_holes = fill_holes

    @abstractmethod
    def divide(self, outputs: Mapping[str, Tensor], foreground: np.ndarray) -> np.ndarray:
        """Return the objects (*S) int32 of a case.

        Args:
            outputs: logits (K, *S) of each head.
            foreground: (*S) bool, the pixels of classes that form objects.
        """

    def instances(self, outputs: Mapping[str, Tensor], label: np.ndarray) -> np.ndarray:
        """The objects (*S) int32 of one case, numbered from 1; they may consist of several classes."""
        foreground = np.isin(label, self.object_classes(label))
        return cleaned(
            self.divide(outputs, foreground), foreground,
            majority=self.majority, fill_holes=self.fill_holes, minimum_size=self.minimum_size,
        )  # fmt: skip


def head_of(outputs: Mapping[str, Tensor], head: str) -> Tensor:
    """The output (K, *S) of a head, in float32.

    Raises:
        UserError: where there is none.
    """
    if head not in outputs:
        raise UserError(f"decoder: needs the head {head}, and the task has {', '.join(outputs)}; choose another")
    return outputs[head].float()


def heights(output: Tensor, activation: Activation, background: int = 0) -> np.ndarray:
    """One value per pixel (*S) float32 of the output (K, *S) of a head.

    Args:
        output: see above.
        activation: none: the first channel as it is; sigmoid: the probability that it is the logit of; softmax: the
            probability of all classes but one.
        background: that class.

    Raises:
        UserError: where the activation is unknown.
    """
    if activation == "none":
        value = output[0]
    elif activation == "sigmoid":
        value = output[0].sigmoid()
    elif activation == "softmax":
        value = 1 - output.softmax(dim=0)[background]
    else:
        raise UserError(f"decoder.activation={activation}: must be none, sigmoid or softmax")
    return np.asarray(value.cpu().numpy())
