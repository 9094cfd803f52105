"""Advice for a network whose training step does not fit into a memory: what to change, in a teacher's order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf

from segbench.description.network import Network
from segbench.errors import UserError

LEAST_PATCH = 16
"""Pixels along an axis below which patches are not made smaller."""


@dataclass(frozen=True)
class Advice:
    """Changes, one after the other, until a training step fits.

    Attributes:
        peak: bytes of a step as it was asked for.
        changes: each as it is typed, and the bytes of a step with it and those before.
        fits: whether that is enough.
    """

    peak: int
    changes: tuple[tuple[str, int], ...]
    fits: bool


def advise(config: DictConfig, limit: float) -> Advice:
    """Try what makes a step smaller: strided convolutions, a smaller batch, fewer stages, a smaller patch.

    Each is measured in a dry run of the network itself, on sizes alone; what does not help is left out.

    Args:
        config: as `conf/describe.yaml` composes it.
        limit: bytes.
    """
    network = Network(config)
    config = config.copy()
    config.patch, config.batch = list(network.input.patch), network.input.batch
    first = peak = _peak(config)
    changes: list[tuple[str, int]] = []
    while peak is not None and peak > limit:
        for key, value in _changes(config):
            changed = config.copy()
            OmegaConf.update(changed, key, value)
            smaller = _peak(changed)
            if smaller is not None and smaller < peak:
                changes.append((f"{key}={value}", smaller))
                config, peak = changed, smaller
                break
        else:
            return Advice(first or 0, tuple(changes), False)
    return Advice(first or 0, tuple(changes), True)


def _changes(config: DictConfig) -> Iterator[tuple[str, object]]:
    """Keys and values that may make a step smaller, the mildest first."""
    model = config.model
    if model.get("down") not in (None, "strided_conv"):
        yield "model.down", "strided_conv"
    if config.batch > 1:
        yield "batch", math.ceil(config.batch / 2)
    channels = OmegaConf.to_container(model.channels) if OmegaConf.is_config(model.get("channels")) else None
    if isinstance(channels, list) and len(channels) > 3:
        yield "model.channels", channels[:-1]
    patch = [int(size) for size in config.patch]
    longest = patch.index(max(patch))
    if patch[longest] > LEAST_PATCH:
        patch[longest] = max(LEAST_PATCH, patch[longest] // 2)
        yield "patch", patch


def _peak(config: DictConfig) -> int | None:
    """Bytes of a training step; None where the network cannot be built so, or is fitted in one go."""
    try:
        network = Network(config)
        memory = network.memory(network.input.patch, network.input.batch)
    except UserError:
        return None
    return None if memory is None else memory.peak
