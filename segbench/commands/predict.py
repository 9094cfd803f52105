"""The command `predict`: masks for new images by a finished run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from segbench.commands.image_arrays import ImageArrays
from segbench.commands.outputs import check_masks, mark_masks
from segbench.config.schema import require
from segbench.data.folders.files import few, files_left, stem_of
from segbench.data.formats import SUFFIXES, image_files, read_image, write_mask
from segbench.errors import UserError


def predict(config: DictConfig) -> None:
    """Predict an image or a folder of images; every file gets a mask of class indices in its own format.

    A stack given to a 2D network is predicted slice by slice.

    Raises:
        UserError: where run, input or output are not what they should be.
    """
    run, output = Path(require(config, "run")), Path(require(config, "output"))
    source = Path(require(config, "input"))
    files, left = _inputs(source)
    check_masks(output, files, source, files.values())
    from segbench.training.predictor import FinishedRun, load_run  # only now is PyTorch imported

    finished: FinishedRun = load_run(run, config.accelerator, config.inference, config.trust, config.stages)
    dims, channels = finished.config.measured.spatial_dims, finished.image_channels
    named = list(enumerate(finished.config.measured.regions))
    if config.regions and "regions" not in finished.config.task.heads:
        raise UserError(f"regions=true: run={run} finds classes, not regions; leave it out")
    if config.regions:
        check_masks(output, [f"{name}/{key}" for _, name in named for key in files], source, files.values())
    arrays = ImageArrays(config.arrays, finished, files)
    console = Console()
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"output={output}: cannot be written: {error.strerror}") from None
    mark_masks(output, run)
    for key, path in track(files.items(), "predicting", console=console, transient=True):
        image = _fitting(read_image(path), dims, channels, path)
        parts = _parts(image, arrays.of(key, image.shape[1:]), dims)
        labels, regions = zip(*(finished.predict_regions(*part) for part in parts), strict=True)
        whole = np.stack if image.ndim == dims + 2 else _only
        masks = {"": whole(labels)}
        if config.regions:
            masks |= {name: whole([part[number] for part in regions]).astype(np.uint8) for number, name in named}
        for region, mask in masks.items():
            target = output / region / key
            target.parent.mkdir(parents=True, exist_ok=True)
            write_mask(target, mask, like=path)
    names = ", ".join(f"{index} {name}" for index, name in enumerate(finished.labels.classes))
    if left:
        text = f"not predicted, since in no known format ({len(left)}): {few(left)}"
        console.print(text, soft_wrap=True, highlight=False, markup=False)
    console.print(f"{len(files)} masks in {output}: {names}", soft_wrap=True, highlight=False)


def _parts(
    image: np.ndarray, arrays: Mapping[str, np.ndarray], dims: int
) -> list[tuple[np.ndarray, Mapping[str, np.ndarray]]]:
    """An image and its arrays; of a stack that is given to a 2D network those of each slice."""
    if image.ndim == dims + 1:
        return [(image, arrays)]
    axis = -dims - 1
    return [
        (image.take(index, axis), {name: array.take(index, axis) for name, array in arrays.items()})
        for index in range(image.shape[axis])
    ]


def _only(parts: Sequence[np.ndarray]) -> np.ndarray:
    """The only part of an image that is not predicted slice by slice."""
    return parts[0]


def _inputs(path: Path) -> tuple[Mapping[str, Path], Sequence[Path]]:
    """The image files by the name that their masks get, and the files that no reader knows."""
    if path.is_file():
        return {stem_of(path.name, SUFFIXES) or path.stem: path}, []
    return image_files(path, "input"), files_left(path, SUFFIXES)


def _fitting(image: np.ndarray, dims: int, channels: int, path: Path) -> np.ndarray:
    """The image with the run's number of channels: grey is repeated for a run on colours."""
    if len(image) == 1 and channels == 3:
        image = np.repeat(image, 3, axis=0)
    if len(image) != channels:
        raise UserError(f"{path} has {len(image)} channels; the run was trained on {channels}")
    if image.ndim not in (dims + 1, dims + 2):
        raise UserError(f"{path} has {image.ndim - 1} spatial dimensions; the run was trained on {dims}")
    return image
