"""Parameters and outputs of a network, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor, nn

LISTS = (nn.ModuleList, nn.ModuleDict, nn.Sequential)
"""Modules that hold stages and compute nothing of their own."""


@dataclass(frozen=True)
class Stage:
    """One part of a network.

    Attributes:
        name: its place in the network, such as `encoder.0`.
        kind: its class.
        parameters: numbers in its weights.
        trainable: how many of them are trained.
        buffers: numbers in its buffers, such as the statistics of a batch norm.
        output: (channels, *pixels) of what it returns for the described patch; None where it is not called as a
            whole, or returns something else than one tensor.
    """

    name: str
    kind: str
    parameters: int
    trainable: int
    buffers: int
    output: tuple[int, ...] | None


def count(module: nn.Module) -> tuple[int, int, int]:
    """Numbers in all parameters, in trainable ones, and in buffers; what is shared counts once."""
    weights = list(module.parameters())
    trainable = sum(one.numel() for one in weights if one.requires_grad)
    return sum(one.numel() for one in weights), trainable, sum(one.numel() for one in module.buffers())


def list_stages(module: nn.Module, call: Callable[[], object]) -> list[Stage]:
    """The stages of a network: its children, those of a list one by one, wrappers left out.

    Args:
        module: the network.
        call: calls it with the image whose sizes are recorded.

    Returns:
        The stages in the order in which they were made, those without parameters left out, and where parameters lie
        outside of all of them, a last one for these.
    """
    parts = list(_parts(module, ""))
    outputs: dict[str, tuple[int, ...]] = {}

    def record(name: str) -> Callable[..., None]:
        def hook(part: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                outputs[name] = tuple(output.shape[1:])

        return hook

    hooks = [part.register_forward_hook(record(name)) for name, part in parts]
    try:
        call()
    finally:
        for hook in hooks:
            hook.remove()
    stages = []
    counted: set[int] = set()  # what several stages share is counted with the first
    for name, part in [*parts, ("(own)", module)]:
        new = [one for one in part.parameters() if id(one) not in counted]
        counted.update(map(id, new))
        numbers, trainable = (sum(one.numel() for one in some) for some in (new, [n for n in new if n.requires_grad]))
        buffers = 0 if part is module else count(part)[2]
        stages.append(Stage(name, type(part).__name__, numbers, trainable, buffers, outputs.get(name)))
    return [stage for stage in stages if stage.parameters]


def _parts(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    """Name and module of each stage."""
    total = count(module)[0]
    for name, child in module.named_children():
        path = f"{prefix}{name}"
        is_all = total > 0 and count(child)[0] == total  # a wrapper around it
        if any(True for _ in child.children()) and (is_all or (isinstance(child, LISTS) and not prefix)):
            yield from _parts(child, f"{path}.")
        else:
            yield path, child
