"""A configured network and what can be said of it before there is data."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from segbench.config import schema
from segbench.config.instantiation import build
from segbench.description.memory import Memory, estimate_memory, measure_memory
from segbench.description.receptive_field import Field, find_field
from segbench.description.sizes import Sizes, find_sizes
from segbench.description.source import find_source
from segbench.description.stages import Stage, count, list_stages
from segbench.errors import UserError
from segbench.metrics.cost import flops
from segbench.models.estimator import Estimator
from segbench.planning.values import network_values
from segbench.system.precision import choose_precision
from segbench.training.objective import Objective

META, CPU = torch.device("meta"), torch.device("cpu")
VOLUME = 64
"""Pixels along each axis of a patch, where none is given and the data is not of these dimensions."""
PLANNED, BATCH = 128, 2
"""Pixels along each axis of a patch, and patches of a step, where a planner would choose them for its data."""
SEARCHED = 256
"""Pixels within which the next size that a network takes must lie."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Buffers of batch norms."""
DTYPES = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
"""Precision in Lightning's words -> format of automatic mixed precision."""


@dataclass(frozen=True)
class Input:
    """The image, and the patches of a training step.

    Attributes:
        channels: of the image.
        classes: of the data.
        patch: pixels along each axis.
        batch: patches in a training step.
    """

    channels: int
    classes: int
    patch: tuple[int, ...]
    batch: int


def read_input(config: DictConfig) -> Input:
    """The channels, classes, patch and batch that are described, from a configuration of the command.

    Raises:
        UserError: where they do not agree, or a number is below 1.
    """
    patch, dims = config.patch, config.dims
    if patch is None and config.data.patch_size is None:
        patch = [PLANNED] * (dims or 2)
    elif patch is None:
        patch = list(config.data.patch_size)
        if dims not in (None, len(patch)):
            patch = [VOLUME] * dims
    elif dims not in (None, len(patch)):
        raise UserError(
            f"patch={list(patch)} has {len(patch)} sizes, but dims={dims}: give one size for each dimension"
        )
    if len(patch) not in (2, 3):
        raise UserError(f"dims={dims or len(patch)}: must be 2 or 3")
    batch = next(value for value in (config.batch, config.data.batch_size, BATCH) if value is not None)
    for key, value in (("channels", config.channels), ("classes", config.classes), ("batch", batch)):
        if value < 1:
            raise UserError(f"{key}={value}: must be at least 1")
    return Input(config.channels, config.classes, tuple(patch), batch)


class Network:
    """A network and its task, built without data and without downloading weights.

    It stands on the meta device, where tensors have sizes and no values, so that the largest network takes no memory
    and little time; where it cannot, on the CPU. Each property is computed when it is asked for.

    Attributes:
        config: the configuration, with `measured`, `data.patch_size` and `data.batch_size` filled in.
        input: the image, the patch and the batch.
        module: the network.
        device: the device that it stands on.
    """

    def __init__(self, config: DictConfig) -> None:
        """Build the network.

        Args:
            config: as `conf/describe.yaml` composes it.

        Raises:
            UserError: where a run with this network could not start.
        """
        self.config = config.copy()
        self.input = read_input(config)
        if "weights" in self.config.model:
            self.config.model.weights = None
        self._fill_in()
        schema.check(self.config)
        schema.check_targets(self.config)
        self.device, self.module = self._build()
        if config.patch is None and not self._accepts(self.input.patch):
            patch = tuple(self._nearest(size) for size in self.input.patch)
            self.input = replace(self.input, patch=patch)
            self._fill_in()
        Objective(build(self.config.task.objective, "task.objective"), self.config.task.weight is not None)
        self._try(self.input.patch, self.input.batch)

    @property
    def fitted(self) -> bool:
        """True where it is fitted to cases instead of trained by gradients."""
        return isinstance(self.module, Estimator)

    @property
    def heads(self) -> dict[str, int]:
        """Name -> channels of the logits of each head of the task."""
        return {str(name): int(channels) for name, channels in self.config.task.heads.items()}

    @cached_property
    def source(self) -> str | None:
        """The publication that it comes from."""
        return find_source(self.config.model)

    @cached_property
    def counts(self) -> tuple[int, int, int]:
        """Numbers in all parameters, in trainable ones, and in buffers."""
        return count(self.module)

    @property
    def parameters(self) -> int:
        """Numbers in all parameters."""
        return self.counts[0]

    @cached_property
    def stages(self) -> list[Stage]:
        """The parts, with their parameters and outputs."""
        return [] if self.fitted else list_stages(self.module, lambda: self._predict(self.input.patch))

    @cached_property
    def predicted(self) -> tuple[int, ...]:
        """Pixels of the logits of the first head for the patch; for what is fitted, the patch."""
        return self.input.patch if self.fitted else self._predict(self.input.patch)

    @cached_property
    def flops(self) -> int | None:
        """Operations of the prediction of a patch, see `cost.flops`; None for what is fitted."""
        if self.fitted:
            return None
        with self.device:
            return flops(self.module, torch.zeros(1, self.input.channels, *self.input.patch))

    @cached_property
    def sizes(self) -> Sizes:
        """The sizes of patches that it takes, along each axis."""
        return find_sizes(lambda size: self._accepts((size,) * len(self.input.patch)))

    @cached_property
    def receptive_field(self) -> Field | None:
        """The receptive field; None for what is fitted."""
        if self.fitted:
            return None
        patch = self.input.patch
        twice = tuple(2 * size for size in patch)
        one = set(self.predicted) == {1} and self._accepts(twice) and set(self._predict(twice)) == {1}
        whole = one or not self.sizes.multiple  # it takes no longer image
        module = self.module if self.device != META or not _has_values(self.module) else self.instantiate(CPU)
        return find_field(module, self.input.channels, patch, next(iter(self.heads)), self._nearest, whole)

    def memory(self, patch: Sequence[int], batch: int) -> Memory | None:
        """The estimated memory of a training step; None for what is fitted, or where the network refuses the sizes."""
        if self.fitted or not self._accepts(patch, batch):
            return None
        optimizer = build(self.config.optimizer, "optimizer")
        return estimate_memory(self.module, optimizer, self.input.channels, patch, batch)

    def measured_memory(self, device: torch.device) -> tuple[int | None, str]:
        """Peak bytes of a training step on a CUDA device, None where its memory is too small; and the precision."""
        optimizer = build(self.config.optimizer, "optimizer")
        precision = choose_precision(self.config.trainer.precision, "cuda")
        module = self.instantiate(CPU).to(device)
        shape = (self.input.batch, self.input.channels, *self.input.patch)
        return measure_memory(module, optimizer, shape, DTYPES.get(precision)), precision

    def _fill_in(self) -> None:
        """Set in the configuration what a run takes from its data."""
        shares = [1 / self.input.classes] * self.input.classes
        regions = {str(name): [1] for name in self.config.data.regions or {}}
        planned = {}
        if "plan" in self.config:
            planned = {"plan": network_values(build(self.config.plan, "plan").network(self.input.patch))}
        self.config.data.patch_size = list(self.input.patch)
        self.config.data.batch_size = self.input.batch
        self.config.measured = {
            **planned,
            "spatial_dims": len(self.input.patch),
            "in_channels": self.input.channels,
            "image_channels": self.input.channels,
            "regions": regions,
            "region_count": len(regions),
            "classes": self.input.classes,
            "class_frequencies": shares,
            "class_frequencies_where_present": shares,
            "class_0_counts": False,
        }

    def _build(self) -> tuple[torch.device, nn.Module]:
        """The network on the meta device, or on the CPU where its code needs values.

        Anything may be wrong with code that was written for tensors with values.
        """
        try:
            module = self.instantiate(META)
        except UserError:
            raise
        except Exception:
            module = self.instantiate(CPU)
        if isinstance(module, Estimator):
            return CPU, module
        try:
            module = module.to(META)
            with META, torch.no_grad(), suppress(UserError):  # it may take other sizes
                module(torch.zeros(2, self.input.channels, *self.input.patch))
        except Exception:
            return CPU, self.instantiate(CPU)
        return META, module

    def instantiate(self, device: torch.device) -> nn.Module:
        """The network anew, on a device."""
        with device:
            module: nn.Module = build(self.config.model, "model")
        return module

    def _predict(self, patch: Sequence[int]) -> tuple[int, ...]:
        """Pixels of the finest logits of the first head for a patch."""
        self.module.eval()
        with self.device, torch.no_grad():
            logits = self.module(torch.zeros(1, self.input.channels, *patch))[next(iter(self.heads))]
        finest: Tensor = logits[0] if isinstance(logits, list) else logits
        return tuple(finest.shape[2:])

    def _accepts(self, patch: Sequence[int], batch: int | None = None) -> bool:
        """True where the network can be trained on patches of a size."""
        try:
            self._try(patch, self.input.batch if batch is None else batch)
        except (UserError, RuntimeError, ValueError, AssertionError, IndexError, ZeroDivisionError):
            return False
        return True

    def _try(self, patch: Sequence[int], batch: int) -> None:
        if self.fitted:
            return
        if (check := getattr(self.module, "check_patch", None)) is not None:
            check(patch)
        self.module.train()
        with self.device, torch.no_grad():
            self.module(torch.zeros(batch, self.input.channels, *patch))

    def _nearest(self, size: int) -> int:
        """The smallest size along all axes that the network takes and that is not below `size`; else `size`."""
        candidates = range(size, size + SEARCHED)
        return next((one for one in candidates if self._accepts((one,) * len(self.input.patch))), size)


def _has_values(module: nn.Module) -> bool:
    """True where buffers other than the statistics of norms count."""
    return any(name.rpartition(".")[2] not in STATISTICS for name, _ in module.named_buffers())
