"""Learning-rate schedules that torch has only in parts."""

from __future__ import annotations

from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ChainedScheduler, LinearLR, LRScheduler


def warmup(
    optimizer: Optimizer, steps: int, after: Callable[[Optimizer], LRScheduler], start_factor: float = 0.01
) -> ChainedScheduler:
    """Another schedule, multiplied by a factor that rises linearly to 1.

    Both count from the first step, so that the other schedule still ends at its own last step.

    Args:
        optimizer: whose learning rate is set.
        steps: until the factor is 1.
        after: builds the other schedule.
        start_factor: the factor at the first step, above 0.
    """
    rise = LinearLR(optimizer, start_factor=start_factor, total_iters=steps)
    return ChainedScheduler([rise, after(optimizer)], optimizer=optimizer)
