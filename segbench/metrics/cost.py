"""The cost of a network: parameters, operations, memory, time, and the extent of its receptive field."""

from __future__ import annotations

import contextlib
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _NormBase
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

_PROCESS = Path("/proc/self")


def parameters(module: nn.Module) -> int:
    """Number of trainable parameters; buffers, such as the statistics of a batch norm, are none."""
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)


def flops(module: nn.Module, image: Tensor) -> int:
    """Floating point operations of one prediction; a multiplication and its addition are two.

    Counts convolutions, matrix products and attention, as `torch.utils.flop_counter` does: the rest
    (norms, activations, pooling, interpolation) is left out.

    Args:
        module: the network, which is put back into the mode that it was in.
        image: (B, C, *P), on the device of the network.
    """
    counter = FlopCounterMode(display=False)
    with _evaluating(module), torch.no_grad(), counter:
        module(image)
    return int(counter.get_total_flops())


def seconds_per_call(call: Callable[[], object], device: torch.device, warm_up: int = 3, repeats: int = 5) -> float:
    """Median wall-clock seconds of a call, with all that it put on the device finished.

    Args:
        call: what is timed.
        device: the device that it works on.
        warm_up: calls before the first that is timed (the device chooses algorithms, fills caches).
        repeats: calls that are timed.
    """
    for _ in range(warm_up):
        call()
    seconds = []
    for _ in range(repeats):
        _synchronise(device)
        start = time.perf_counter()
        call()
        _synchronise(device)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def reset_peak_memory(device: torch.device) -> bool:
    """Start a new measurement of `peak_memory`.

    Returns:
        Whether it could: the peak of a process can be forgotten on Linux only, and not in every
        container. Where it cannot, `peak_memory` is the peak since the process started.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        (_PROCESS / "clear_refs").write_text("5")  # 5: reset the high water mark, see proc(5)
    except OSError:
        return False
    return True


def peak_memory(device: torch.device) -> int:
    """The most bytes in use at once since `reset_peak_memory`.

    On CUDA: bytes in tensors, as PyTorch's allocator counts them (without its cache and the context).
    Elsewhere: resident memory of the whole process, with Python, the libraries and the images in it.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError, StopIteration):
        lines = (_PROCESS / "status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def receptive_field(module: nn.Module, shape: Sequence[int], head: str = "mask", seed: int = 0) -> tuple[int, ...]:
    """Extent of the input that the central pixel of the output depends on, found by its gradient.

    A network as it is hides part of its field: a ReLU that is off and a pixel that is not the maximum
    pass no gradient. It is therefore called with random positive weights in place of its own, for which
    no two paths cancel, and with inputs that rise and fall along all axes, for which the maximum lies in
    the last and in the first pixel of every window. Its own weights, gradients, modes and norm statistics
    are left as they are. A network on the meta device is called on the CPU; its buffers are taken for statistics of
    norms. Convolutions are replaced by cheaper ones that see as much (`_Factorised`).

    A norm over the image (instance, group, layer) sees all of it, and that is what is returned; batch
    norm, in evaluation, does not. The field of a pixel depends on its place relative to the strides:
    this is the one of index P // 2.

    Args:
        module: the network.
        shape: (C, *P) of the input. Where the field reaches its border, it may be larger in truth.
        head: the output that counts where there are several, the first where it is missing; of a list it is the first.
        seed: of the weights.

    Returns:
        Pixels along each axis of P of the smallest box that holds the field; 0 where there is none.
    """
    generator = torch.Generator().manual_seed(seed)
    state = _positive_weights(module, generator) | _neutral_statistics(module)
    like = next(iter(state.values()), torch.zeros(0))  # device and precision
    field = torch.zeros(tuple(shape[1:]), dtype=torch.bool)
    with _evaluating(module), torch.enable_grad(), _Factorised(generator):
        for image in _probes(shape, generator):
            image = image.to(like).requires_grad_()
            output = _logits(functional_call(module, state, image), head)
            centre = [slice(size // 2, size // 2 + 1) for size in output.shape[2:]]
            (gradient,) = torch.autograd.grad(output[:, :, *centre].sum(), image)
            field |= (gradient[0] != 0).any(dim=0).cpu()
    if not field.any():
        return (0,) * field.ndim
    seen = field.nonzero()
    return tuple((seen.amax(dim=0) - seen.amin(dim=0) + 1).tolist())


def _probes(shape: Sequence[int], generator: torch.Generator) -> Iterator[Tensor]:
    """Positive images (1, C, *P): rising, falling, and random where a norm turns one half of a ramp off."""
    axes = [torch.linspace(0.5, 1.5, size) for size in shape[1:]]
    ramp = torch.stack(torch.meshgrid(*axes, indexing="ij")).mean(dim=0)
    yield ramp.expand(1, *shape).clone()
    yield (2 - ramp).expand(1, *shape).clone()
    yield torch.rand((1, *shape), generator=generator) + 0.5


def _positive_weights(module: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """Random positive values for all parameters, such that depth neither blows up nor saturates anything.

    Kernels have a mean of one over the fan-in, scales of 1, and biases, which would push a tanh or a
    sigmoid to where differences round to nothing, of 0.2.
    """
    weights = {}
    for name, old in module.named_parameters():
        mean = 1 / old[0].numel() if old.ndim > 1 else 0.2 if name.endswith("bias") else 1.0
        weights[name] = _positive(old.shape, mean, generator).to(_device(old), old.dtype)
    return weights


def _positive(shape: Sequence[int], mean: float, generator: torch.Generator) -> Tensor:
    """Random values between half and one and a half times their mean.

    Row i + 1 of a matrix is row i moved by one, so that a large matrix takes no more memory than a row and a column.
    """
    rows, *rest = shape or (1,)
    columns = math.prod(rest)
    values = (torch.rand(rows + columns - 1, generator=generator) + 0.5) * mean
    return values.as_strided((rows, columns), (1, 1)).view(shape) if rest else values.reshape(shape)


def _device(tensor: Tensor) -> torch.device:
    """The device of a tensor; the CPU for one without values."""
    return torch.device("cpu") if tensor.is_meta else tensor.device


class _Factorised(TorchFunctionMode):
    """Convolutions and linear layers by way of a few channels, whatever their weights.

    A positive matrix from all channels to a few, a positive kernel between these, and a positive matrix to all
    channels connect the same pixels as a full kernel, for a small part of its operations.
    """

    CHANNELS = 3  # more than one: a norm over channels would hide a single one
    CONVOLUTIONS: ClassVar[dict[Any, Any]] = {
        torch.conv1d: torch.conv1d, torch.conv_transpose1d: torch.conv1d,
        torch.conv2d: torch.conv2d, torch.conv_transpose2d: torch.conv2d,
        torch.conv3d: torch.conv3d, torch.conv_transpose3d: torch.conv3d,
    }  # fmt: skip
    """Convolution -> that of its dimension which is not transposed."""

    def __init__(self, generator: torch.Generator) -> None:
        """Args: generator: of the matrices and kernels."""
        super().__init__()
        self.generator = generator

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of PyTorch, or what stands in its place."""
        kwargs = dict(kwargs or {})
        if func in self.CONVOLUTIONS:
            return self._convolve(func, *args, **kwargs)
        return func(*args, **kwargs)

    def _convolve(self, func: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None, *args: Any, **kw: Any) -> Any:
        # The fourth of the further arguments of all convolutions.
        groups = kw.get("groups", args[3] if len(args) > 3 else 1)
        pointwise, few = self.CONVOLUTIONS[func], self.CHANNELS
        first, last = weight.shape[:2] if pointwise is not func else weight.shape[1::-1]
        if groups != 1 or min(first, last) <= few:
            return func(x, weight, bias, *args, **kw)
        ones = (1,) * (weight.ndim - 2)
        kernel = self._draw(weight, few, few, *weight.shape[2:])
        narrow = pointwise(x, self._draw(weight, few, first, *ones))
        wide = pointwise(func(narrow, kernel, None, *args, **kw), self._draw(weight, last, few, *ones))
        return wide if bias is None else wide + bias.reshape(-1, *ones)

    def _draw(self, like: Tensor, *shape: int) -> Tensor:
        return _positive(shape, 1 / math.prod(shape[1:]), self.generator).to(like)


def _neutral_statistics(module: nn.Module) -> dict[str, Tensor]:
    """Running statistics of all norms with which they change nothing: mean 0, variance 1."""
    neutral: dict[str, Tensor] = {}
    for name, norm in module.named_modules():
        if isinstance(norm, _NormBase) and norm.running_mean is not None and norm.running_var is not None:
            prefix = f"{name}." if name else ""
            device = _device(norm.running_mean)
            neutral[f"{prefix}running_mean"] = torch.zeros_like(norm.running_mean, device=device)
            neutral[f"{prefix}running_var"] = torch.ones_like(norm.running_var, device=device)
    return neutral


def _logits(output: object, head: str) -> Tensor:
    """The tensor that counts of whatever a network returns: dictionary of heads, list of scales, tensor."""
    if isinstance(output, Mapping):
        output = output[head] if head in output else next(iter(output.values()))
    if isinstance(output, list | tuple):
        output = output[0]
    if not isinstance(output, Tensor):
        raise TypeError(f"a network must return tensors, not {type(output).__name__}")
    return output


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode and afterwards each of its modules back into its own mode."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
