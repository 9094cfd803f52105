"""Memory of one training step: in a dry run, and on a CUDA device."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from segbench.metrics.cost import peak_memory, reset_peak_memory

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]


@dataclass(frozen=True)
class Memory:
    """Bytes in tensors during one training step.

    Attributes:
        patch: pixels along each axis.
        batch: patches.
        weights: parameters and buffers.
        gradients: of the trained parameters.
        optimizer: its state.
        activations: the rest of the peak: what the backward pass needs, and what lives beside it for a moment.
        peak: the most at once.
    """

    patch: tuple[int, ...]
    batch: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    peak: int


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of all tensors that are alive, as operations create them and Python or autograd lets them go.

    Attributes:
        now: bytes alive.
        peak: the most since it was set.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._alive: dict[int, int] = {}
        self.now = self.peak = 0

    def watch(self, tensor: Tensor) -> None:
        """Count a tensor's storage, once, until it is freed."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._alive:
            self._alive[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._free, key)

    def _free(self, key: int) -> None:
        self.now -= self._alive.pop(key)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Execute an operation and count what it returns."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.watch(leaf)
        return result


def estimate_memory(
    module: nn.Module, optimizer: MakeOptimizer, channels: int, patch: Sequence[int], batch: int
) -> Memory:
    """The memory of one training step in 32 bits, from a dry run of two steps.

    On the meta device, where tensors have sizes and no values, it takes no memory and little time: every tensor that
    PyTorch makes is counted from its creation to its end. The second step counts, in which the optimizer has its
    state. Not in it: what libraries such as cuDNN take for themselves, fragments of the allocator, and the loss, in
    whose place stands the cross entropy of every head.

    Args:
        module: the network, on any device.
        optimizer: makes the optimizer.
        channels: of the image.
        patch: pixels along each axis.
        batch: patches.
    """
    live = LiveBytes()
    for tensor in (*module.parameters(), *module.buffers()):
        live.watch(tensor)
    weights = live.now
    device = next(module.parameters()).device
    with _training(module) as trained, torch.device(device), live:
        steps = optimizer(trained)
        for _ in range(2):
            live.peak = live.now
            image = torch.zeros(batch, channels, *patch)
            loss = stand_in(module(image))
            del image
            loss.backward()  # type: ignore[no-untyped-call]
            del loss
            steps.step()
            steps.zero_grad()
    gradients = sum(one.numel() * one.element_size() for one in trained)
    state = live.now - weights
    activations = max(0, live.peak - weights - gradients - state)
    return Memory(tuple(patch), batch, weights, gradients, state, activations, live.peak)


def measure_memory(
    module: nn.Module, optimizer: MakeOptimizer, shape: Sequence[int], dtype: torch.dtype | None
) -> int | None:
    """The peak of two training steps on a CUDA device, in bytes of PyTorch's allocator; None where it is too small.

    Args:
        module: the network, on that device.
        optimizer: makes the optimizer.
        shape: (B, C, *P) of a batch.
        dtype: of automatic mixed precision; None: 32 bits.
    """
    device = next(module.parameters()).device
    reset_peak_memory(device)
    try:
        with _training(module) as trained:
            steps = optimizer(trained)
            for _ in range(2):
                with torch.autocast(device.type, dtype, enabled=dtype is not None):
                    loss = stand_in(module(torch.zeros(*shape, device=device)))
                loss.backward()  # type: ignore[no-untyped-call]
                del loss
                steps.step()
                steps.zero_grad()
    except torch.cuda.OutOfMemoryError:
        return None
    return peak_memory(device)


def stand_in(outputs: Any) -> Tensor:
    """A scalar that needs as much memory as a cross entropy of every head at every resolution."""
    logits = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]
    return torch.stack([torch.log_softmax(one.float(), 1).mean() for one in logits]).sum()


@contextmanager
def _training(module: nn.Module) -> Iterator[list[nn.Parameter]]:
    """The trained parameters of a module in training mode; afterwards it is as it was, without gradients."""
    modes = [(part, part.training) for part in module.modules()]
    module.train()
    try:
        yield [one for one in module.parameters() if one.requires_grad]
    finally:
        for part, training in modes:
            part.training = training
        module.zero_grad()
