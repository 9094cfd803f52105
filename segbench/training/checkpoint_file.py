"""The writing of a checkpoint to disk."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO


class CheckpointFile(TorchCheckpointIO):
    """The writing of a checkpoint straight to where it is asked for.

    Lightning's own writes it to the folder for temporary files first, which may be another and smaller disk, and
    which keeps it when the process is killed. Half a file is no danger here: the callback `Checkpoints` gives a
    temporary name and renames.
    """

    def save_checkpoint(self, checkpoint: Mapping[str, Any], path: str | Path, storage_options: Any = None) -> None:  # type: ignore[override]
        """Write the file.

        Raises:
            OSError: where it cannot be written. (`torch.save` to a file would raise a RuntimeError that does not
                say why.)
        """
        content = io.BytesIO()
        torch.save(checkpoint, content)
        Path(path).write_bytes(content.getbuffer())
