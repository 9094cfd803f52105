"""Fetching trained weights ahead, for machines without a network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig, ListConfig, OmegaConf
from rich.console import Console

from segbench.config.instantiation import build
from segbench.errors import UserError


def fetch_weights(config: DictConfig, console: Console) -> None:
    """Download the weights that a model starts from, by building it as a run would, and say where they are.

    Args:
        config: with `model`, whose `encoder`, where it has one, may be a list.
        console: where it is said.

    Raises:
        UserError: where the model has no trained weights, or they cannot be downloaded.
    """
    if "weights" not in config.model:
        raise UserError("model: it starts from no trained weights, so that there is nothing to download")
    if config.model.weights is None:
        raise UserError("model.weights is not set, so that there is nothing to download: give model.weights=imagenet")
    encoders = config.model.get("encoder")
    folders = _caches()
    for encoder in encoders if isinstance(encoders, ListConfig) else [encoders]:
        model = OmegaConf.merge(config.model, {"spatial_dims": 2, "in_channels": 3, "heads": {"mask": 2}})
        if encoder is not None:
            model.encoder = encoder
        before = sum(map(_size, folders))
        build(model, "model")
        new = sum(map(_size, folders)) - before
        console.print(
            f"{model.weights} weights of {encoder or 'the model'}: "
            + (f"{new / 1e6:.1f} MB downloaded" if new else "were there already"),
            highlight=False,
        )
    for folder in folders:
        if size := _size(folder):
            console.print(f"in {folder}, {size / 1e6:.1f} MB in all", highlight=False, soft_wrap=True)
    console.print(
        "A run that sees this folder needs no network; with HF_HUB_OFFLINE=1 it does not look for one.",
        highlight=False,
    )


def _caches() -> list[Path]:
    """The folders in which the libraries keep what they download; HF_HOME and TORCH_HOME move them."""
    import torch
    from huggingface_hub import constants

    return [Path(constants.HF_HUB_CACHE), Path(torch.hub.get_dir())]


def _size(folder: Path) -> int:
    """Bytes of all files below a folder, of which links to others are none."""
    return sum(file.stat().st_size for file in _files(folder) if not file.is_symlink())


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)
