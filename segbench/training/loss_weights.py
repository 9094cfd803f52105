"""Weights of the losses of heads: a number, one that falls with the steps, or one that is learnt."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor, nn

from segbench.errors import UserError


class LossWeight(Protocol):
    """The weight of a loss in the sum over heads."""

    def __call__(self, loss: Tensor, step: int) -> Tensor:
        """Return the part of a loss (a scalar) in the sum, at an optimizer step."""

    def value(self, step: int) -> float | Tensor:
        """Return the factor of the loss in it."""


class _Scheduled(ABC):
    """A factor that is a function of the step."""

    def __call__(self, loss: Tensor, step: int) -> Tensor:
        """The loss times the factor of the step."""
        return self.value(step) * loss

    @abstractmethod
    def value(self, step: int) -> float:
        """The factor of a step."""


class Fixed(_Scheduled):
    """The same factor at every step."""

    def __init__(self, weight: float) -> None:
        """Args: weight: the factor."""
        self.weight = weight

    def value(self, step: int) -> float:
        """The factor."""
        return self.weight


class InSteps(_Scheduled):
    """A factor that is multiplied again and again, until it is small.

    The auxiliary losses of DCAN (Chen et al., CVPR 2016) start at 1 and are divided by 10 every 10,000 steps, until
    1e-3.
    """

    def __init__(self, start: float = 1.0, factor: float = 0.1, every: int = 10_000, least: float = 1e-3) -> None:
        """Check the values.

        Args:
            start: at the first step.
            factor: by which it is multiplied.
            every: number of steps.
            least: it does not fall below.

        Raises:
            UserError: where there are no steps between.
        """
        if every < 1:
            raise UserError(f"task.objective: every={every}: must be at least 1")
        self.start, self.factor, self.every, self.least = start, factor, every, least

    def value(self, step: int) -> float:
        """The factor of a step."""
        return max(self.start * self.factor ** (step // self.every), self.least)


class Linear(_Scheduled):
    """A factor that goes from one value to another on a line, and stays there.

    So decay the auxiliary losses of programs for VoxResNet, from 1 to 0.001, and those of Zeng et al. 2017 towards 0.
    """

    def __init__(self, steps: int, start: float = 1.0, end: float = 1e-3) -> None:
        """Check the values.

        Args:
            steps: how long it takes.
            start: at the first step.
            end: from step `steps` on.

        Raises:
            UserError: where it takes no step.
        """
        if steps < 1:
            raise UserError(f"task.objective: steps={steps}: must be at least 1")
        self.steps, self.start, self.end = steps, start, end

    def value(self, step: int) -> float:
        """The factor of a step."""
        return self.start + (self.end - self.start) * min(step / self.steps, 1.0)


class Learned(nn.Module):
    """L / (2 s^2) + log s, whose s is a parameter of the run (Kendall, Gal and Cipolla, CVPR 2018, equation 7).

    s stands for the noise of the task; where L is constant, it becomes the square root of L. What is learnt is log s,
    so that s stays above 0.
    """

    def __init__(self, start: float = 1.0) -> None:
        """Check the value.

        Args:
            start: 1 / (2 s^2) at the first step.

        Raises:
            UserError: where it is not above 0.
        """
        super().__init__()
        if start <= 0:
            raise UserError(f"task.objective: start={start}: must be above 0")
        self.log_scale = nn.Parameter(torch.tensor(-0.5 * math.log(2 * start)))

    def forward(self, loss: Tensor, step: int) -> Tensor:
        """The loss by its noise, and the price of calling it noisy."""
        return loss * torch.exp(-2 * self.log_scale) / 2 + self.log_scale

    def value(self, step: int) -> Tensor:
        """The present 1 / (2 s^2)."""
        return torch.exp(-2 * self.log_scale.detach()) / 2
