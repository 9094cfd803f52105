"""Checkpoints on disk: written in place, and read as numbers alone."""

from __future__ import annotations

import io
import pickle
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from segbench.errors import UserError, as_line

_GLOBAL = re.compile(r"\b[A-Za-z_]\w*(\.\w+)+(?= whose module| was not an allowed global)")
"""The name of a function or class in PyTorch's message."""


def read_checkpoint(path: Path, mapped: bool = True) -> dict[str, Any]:
    """The content of a checkpoint. A file of somebody else's may hold code: it is not executed but refused.

    Args:
        path: the file.
        mapped: whether tensors stay in the file until they are used, so that weights can be taken without the
            optimizer's state, which is twice as large.

    Raises:
        UserError: where the file is damaged, or holds more than numbers, texts and containers of them.
    """
    try:
        with zipfile.ZipFile(path) as file:  # PyTorch itself takes what the disk gives it
            wrong = file.testzip()
        if wrong is not None:
            raise ValueError(f"{wrong} is not what was written")
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except FileNotFoundError as error:
        raise UserError(f"{path}: is not there; delete {path.parents[1]} to make the run anew") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or as_line(error)}") from error
    except pickle.UnpicklingError as error:
        named = _GLOBAL.search(str(error))
        reason = f" ({named[0]})" if named else ""
        raise UserError(f"{path}: holds something else than numbers, which is not executed{reason}") from error
    except (RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path}: is damaged ({as_line(error)[:120]}); delete {path.parents[1]} to make the run anew"
        ) from error
    return content


class CheckpointFile(TorchCheckpointIO):
    """The writing of a checkpoint straight to where it is asked for, and the reading of one that nobody trusts.

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

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: Any = None) -> dict[str, Any]:
        """Read the file; whatever `weights_only` says, nothing in it is executed."""
        return read_checkpoint(Path(path), mapped=False)
