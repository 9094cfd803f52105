"""The command `describe`: a network before there is data."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from segbench.commands.outputs import check_file
from segbench.description.advice import Advice, advise
from segbench.description.memory import Memory
from segbench.description.network import Network
from segbench.system.atomic import write_atomically

ESTIMATED = (
    "a dry run of two training steps on sizes alone, in 32 bits, without what oneDNN or cuDNN take for themselves"
)


def describe(config: DictConfig) -> None:
    """Print what a configured network is and costs, and write it to `output`, where that is given.

    Raises:
        UserError: where a run with this network could not start, or the file cannot be written.
    """
    start = time.perf_counter()
    if config.output is not None:
        check_file(Path(config.output), "output", lambda text: "receptive_field" in json.loads(text), "description")
    network = Network(config)
    memory = _memory(network)
    advice = None if config.memory_gb is None else advise(config, config.memory_gb * 1e9)
    measured = _measured(network)
    if config.output is not None:
        write_atomically(Path(config.output), json.dumps(as_dict(network, memory, measured), indent=2) + "\n")
    show(network, memory, measured, Console())
    if advice is not None:
        Console().print(_advised(advice, config.memory_gb), highlight=False)
    Console().print(f"described in {time.perf_counter() - start:.1f} s, without data", style="dim", highlight=False)


def as_dict(network: Network, memory: list[Memory], measured: dict[str, Any] | None) -> dict[str, Any]:
    """The content of the file: numbers of parameters, of pixels, of operations and of bytes.

    Args:
        network: what is described.
        memory: estimated; the first is that of the given patch and batch.
        measured: on this machine's CUDA device.
    """
    parameters, trainable, buffers = network.counts
    return {
        "model": str(network.config.model["_target_"]),
        "source": network.source,
        "input": asdict(network.input),
        "heads": network.heads,
        "predicted": network.predicted,
        "parameters": parameters,
        "trainable": trainable,
        "frozen": parameters - trainable,
        "buffers": buffers,
        "stages": [asdict(stage) for stage in network.stages],
        "receptive_field": None if network.receptive_field is None else asdict(network.receptive_field),
        "flops": network.flops,
        "memory": {
            "how": ESTIMATED,
            "estimated": [asdict(one) for one in memory],
            "measured": measured,
        },
        "sizes": {**asdict(network.sizes), "text": str(network.sizes)},
    }


def show(network: Network, memory: list[Memory], measured: dict[str, Any] | None, console: Console) -> None:
    """Print it for a person."""
    given, (parameters, trainable, buffers) = network.input, network.counts
    rows = {
        "network": network.config.model["_target_"],
        "source": network.source or "its docstring names none",
        "heads": ", ".join(f"{name} ({channels})" for name, channels in network.heads.items()),
        "patch": f"{_text(given.patch)} pixels, {given.channels} channels; predicted are {_text(network.predicted)}",
        "sizes": f"{network.sizes} along each axis",
    }
    if network.fitted:
        rows["parameters"] = "none: it is fitted to the training cases in one go, without gradients or steps"
    else:
        console.print(_stages(network))
        rows["parameters"] = f"{parameters:,}: {trainable:,} trained, {parameters - trainable:,} frozen"
        rows["buffers"] = f"{buffers:,}"
        rows["receptive field"] = f"{network.receptive_field}"
        rows["operations"] = (
            f"{(network.flops or 0) / 1e9:.4g} GFLOPs for a patch (a multiplication and its addition: 2)"
        )
    console.print(_grid(rows))
    if memory:
        console.print(_memory_table(memory))
        console.print(f"estimated: {ESTIMATED}", style="dim", highlight=False)
    if measured is not None:
        console.print(
            f"measured on {measured['device']} in {measured['precision']}, a batch of {given.batch}: "
            + ("more than it has" if measured["peak"] is None else _bytes(measured["peak"])),
            highlight=False,
        )


def _advised(advice: Advice, limit: float) -> str:
    """The advice in words."""
    if not advice.changes and advice.fits:
        return f"memory_gb={limit:g}: it fits"
    changes = "; then ".join(f"{change} ({_bytes(peak)})" for change, peak in advice.changes) or "any change"
    return f"memory_gb={limit:g}: needs {_bytes(advice.peak)}. " + (
        f"It fits with {changes}" if advice.fits else f"It does not fit even with {changes}"
    )


def _memory(network: Network) -> list[Memory]:
    """Estimates for the given patch and batch, then for a single patch, and both for half and twice the patch."""
    patch, batch = network.input.patch, network.input.batch
    patches = [patch, *(tuple(int(size * factor) for size in patch) for factor in (0.5, 2))]
    found = [network.memory(size, count) for size in patches if min(size) for count in dict.fromkeys((batch, 1))]
    return [one for one in found if one is not None]


def _measured(network: Network) -> dict[str, Any] | None:
    """The peak on this machine's CUDA device; None without one."""
    if network.fitted or not torch.cuda.is_available():
        return None
    device = torch.device("cuda")
    peak, precision = network.measured_memory(device)
    return {"device": torch.cuda.get_device_name(device), "precision": precision, "peak": peak}


def _stages(network: Network) -> Table:
    table = Table("stage", "layer", "output", header_style="bold")
    table.add_column("parameters", justify="right")
    for stage in network.stages:
        output = "" if stage.output is None else _text(stage.output)
        table.add_row(stage.name, stage.kind, output, f"{stage.parameters:,}")
    return table


def _memory_table(memory: list[Memory]) -> Table:
    table = Table("patch", title="memory of a training step", title_justify="left", header_style="bold")
    for heading in ("batch", "weights", "gradients", "optimizer", "activations", "at most"):
        table.add_column(heading, justify="right")
    for one in memory:
        parts = (one.weights, one.gradients, one.optimizer, one.activations, one.peak)
        table.add_row(_text(one.patch), str(one.batch), *map(_bytes, parts))
    return table


def _grid(rows: dict[str, Any]) -> Table:
    table = Table(show_header=False, box=None)
    for name, value in rows.items():
        table.add_row(f"[bold]{name}[/]", str(value))
    return table


def _text(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


def _bytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
