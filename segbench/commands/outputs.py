"""The places where commands write: never over their inputs, nor over a file that such a command did not write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from segbench.data.formats import SUFFIXES
from segbench.errors import UserError
from segbench.system.atomic import remove_abandoned, write_atomically

_MARK = ".predictions.json"
"""In a folder of predicted masks: what is in it may be predicted anew. A hidden file is no image."""


def check_file(path: Path, key: str, is_own: Callable[[str], bool], kind: str) -> None:
    """Check that a file may be written: that there is none, or an earlier result.

    Args:
        path: the file.
        key: the key that names it.
        is_own: whether the text of a file is such a result.
        kind: what is written, for the message.

    Raises:
        UserError: where something else is there.
    """
    if path.is_dir():
        raise UserError(f"{key}={path}: is a folder; name a file")
    if not path.exists():
        return
    try:
        own = is_own(path.read_text())
    except (OSError, ValueError, KeyError, TypeError):
        own = False
    if not own:
        raise UserError(f"{key}={path}: is a file that is no {kind}, and is not written over; name another one")


def check_masks(output: Path, names: Iterable[str], source: Path, inputs: Iterable[Path]) -> None:
    """Check that masks may be written into a folder.

    Args:
        output: the folder.
        names: of the masks below it, without their suffix.
        source: the image or the folder of images that they are of; links are followed.
        inputs: the images.

    Raises:
        UserError: where a mask would replace an image or another file that is no prediction, or be read as an image
            next time.
    """
    if output.exists() and not output.is_dir():
        raise UserError(f"output={output}: is a file; name a folder")
    if source.is_dir() and output.resolve().is_relative_to(source.resolve()):
        raise UserError(
            f"output={output}: lies in input={source}: masks would be taken for images; name another folder"
        )
    images = {(stat.st_dev, stat.st_ino) for stat in (path.stat() for path in inputs)}
    ours = (output / _MARK).exists()
    for name in names:
        for path in (output / f"{name}{suffix}" for suffix in SUFFIXES):
            if not path.exists():
                continue
            stat = path.stat()
            if (stat.st_dev, stat.st_ino) in images:
                raise UserError(f"output={output}: the mask would replace the image {path}; name another folder")
            if not ours:
                raise UserError(f"output={output}: holds {path.name}, which was not predicted; name another folder")


def mark_masks(output: Path, run: str) -> None:
    """Note in a folder that it holds predicted masks, and remove what killed commands have left there."""
    remove_abandoned(output)
    write_atomically(output / _MARK, json.dumps({"run": run}) + "\n")
