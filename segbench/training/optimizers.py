"""Optimizers that torch does not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

import torch
from torch.optim import SGD, Adam, Optimizer
from torch.optim.optimizer import ParamsT


class AdamThenSGD(Optimizer):
    """Adam at first, stochastic gradient descent with momentum after a switch (after Keskar and Socher 2017, SWATS).

    Adam is faster at first and SGD often generalises better. The switch comes at a step, or when the gap
    between training and validation opens, whichever is first; it is not taken back. (SWATS itself chooses moment
    and learning rate from Adam's steps.) The momentum starts at 0 then, and Adam's moments are forgotten.

    The parameter groups' `lr` is Adam's, before and after: schedulers change it as they would Adam's, and SGD
    takes `sgd_lr / lr` (of the initial rates) times what it is then, so that one relative schedule goes on.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        sgd_lr: float = 1e-2,
        momentum: float = 0.9,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        switch_step: int | None = None,
        gap: float | None = None,
        patience: int = 1,
    ) -> None:
        """Keep the settings.

        Args:
            params: parameters, or groups of them.
            lr: Adam's learning rate, above 0.
            betas: Adam's.
            eps: Adam's.
            sgd_lr: SGD's learning rate where the schedule is at its start.
            momentum: SGD's.
            nesterov: whether SGD's momentum is Nesterov's.
            weight_decay: of both: so many times half the squared norm of the weights is added to the loss (L2).
            switch_step: number of steps of Adam; None: decided by the gap alone.
            gap: the largest gap that is not open, see `after_validation`; None: decided by the step alone.
            patience: number of validations in a row with an open gap that cause the switch.

        Raises:
            ValueError: where a value is not possible, or neither a step nor a gap is given.
        """
        if switch_step is None and gap is None:
            raise ValueError("nothing would switch from Adam to SGD: set switch_step or gap")
        if lr <= 0:
            raise ValueError(f"lr={lr}: must be above 0")
        if patience < 1:
            raise ValueError(f"patience={patience}: must be at least 1")
        self.switch_step = switch_step
        self.gap = gap
        self.patience = patience
        self.steps = 0
        self.open_validations = 0
        self.switched = False
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "momentum": momentum, "nesterov": nesterov, "sgd_share": sgd_lr / lr,
        }  # fmt: skip
        super().__init__(params, defaults)
        # They check the values, and take the steps: each over the groups and the state kept here.
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        self._adam = Adam(parameters, lr, betas, eps, weight_decay)
        self._sgd = SGD(parameters, sgd_lr, momentum, weight_decay=weight_decay, nesterov=nesterov)

    def after_validation(self, gap: float) -> None:
        """Take note of a validation.

        Args:
            gap: how much better the training cases are than the validation cases, as a difference of scores.
        """
        if self.gap is None or self.switched:
            return
        self.open_validations = self.open_validations + 1 if gap > self.gap else 0
        if self.open_validations >= self.patience:
            self._switch()

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Do one step of the optimizer whose turn it is."""
        if not self.switched and self.switch_step is not None and self.steps >= self.switch_step:
            self._switch()
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        active = self._sgd if self.switched else self._adam
        active.state = self.state
        active.param_groups = [
            {**active.defaults, **group, "lr": group["lr"] * (group["sgd_share"] if self.switched else 1)}
            for group in self.param_groups
        ]
        active.step()
        self.steps += 1
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The state of both optimizers and of the switch."""
        progress = {"steps": self.steps, "open_validations": self.open_validations, "switched": self.switched}
        return {**super().state_dict(), "progress": progress}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        super().load_state_dict(state_dict)
        for name, value in state_dict["progress"].items():
            setattr(self, name, value)

    def _switch(self) -> None:
        self.switched = True
        self.state.clear()
