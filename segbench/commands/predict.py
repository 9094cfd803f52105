"""The command `predict`: masks for new images by a finished run, or by several together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from segbench.commands.image_arrays import ImageArrays
from segbench.commands.outputs import check_masks, mark_masks
from segbench.config.schema import require
from segbench.data.datasets.nifti_folder import CHANNEL, files_by_case
from segbench.data.datasets.volumes import read_channels
from segbench.data.folders.files import few, files_left, is_series, stem_of
from segbench.data.formats import SUFFIXES, as_image, decode, image_files, write_mask, write_quantities
from segbench.errors import UserError
from segbench.runs.ensembles import ensemble, missing_folds

if TYPE_CHECKING:
    from segbench.evaluation.postprocessing import Postprocessing
    from segbench.training.assembly import Labels
    from segbench.training.ensemble import Ensemble
    from segbench.training.predictor import FinishedRun

_Image = tuple[np.ndarray, tuple[float, ...] | None]
"""Pixels (C, *S), and their spacing where it is known."""


def predict(config: DictConfig) -> None:
    """Predict an image or a folder of images; every file gets a mask of class indices in its own format.

    A stack given to a 2D network is predicted slice by slice.

    Raises:
        UserError: where run, input or output are not what they should be.
    """
    runs, output = ensemble(require(config, "run")), Path(require(config, "output"))
    source = Path(require(config, "input"))
    files, left = _inputs(source)
    every = list(chain.from_iterable(files.values()))
    check_masks(output, files, source, every)
    finished = _load(config, runs)
    clean = None
    if config.postprocessing is not None:
        clean = _postprocessing(Path(config.postprocessing), finished.labels)
    dims, channels = finished.image_dims, finished.image_channels
    named = list(enumerate(finished.config.measured.regions))
    if config.regions and "regions" not in finished.config.task.heads:
        raise UserError(f"regions=true: run={runs[0]} finds classes, not regions; leave it out")
    if config.probabilities and not {"mask", "regions"} & set(finished.config.task.heads):
        raise UserError(f"probabilities=true: run={runs[0]} has no head mask to have them; leave it out")
    if config.regions:
        check_masks(output, [f"{name}/{key}" for _, name in named for key in files], source, every)
    arrays = ImageArrays(config.arrays, finished, files)
    console = Console()
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"output={output}: cannot be written: {error.strerror}") from None
    mark_masks(output, ", ".join(map(str, runs)))
    read = partial(read_image, dims=dims, channels=channels)
    shown = track(_ahead(files, read), "predicting", len(files), console=console, transient=True)
    for key, (image, spacing) in shown:
        edges = spacing[-dims:] if spacing is not None else None
        parts = _parts(image, arrays.of(key, image.shape[1:]), dims)
        found = [finished.segment(*part, edges, config.probabilities) for part in parts]
        whole: Callable[[Sequence[np.ndarray]], np.ndarray] = np.stack if image.ndim == dims + 2 else _only
        like = files[key][0]
        masks = {"": whole([part.label if clean is None else clean(part.label) for part in found])}
        if config.regions:
            regions = [part.regions for part in found if part.regions is not None]
            masks |= {name: whole([part[number] for part in regions]).astype(np.uint8) for number, name in named}
        for region, mask in masks.items():
            write_mask(_place(output / region / key), mask, like=like)
        if config.probabilities:
            shares = [finished.probabilities(part.outputs) for part in found]
            for number, name in enumerate(finished.probability_names):
                of_class = whole([part[number] for part in shares])
                write_quantities(_place(output / "probabilities" / name / key), of_class, like=like)
    for remark in _remarks(runs):
        console.print(remark, soft_wrap=True, highlight=False, markup=False)
    names = ", ".join(f"{index} {name}" for index, name in enumerate(finished.labels.classes))
    if left:
        text = f"not predicted, since in no known format ({len(left)}): {few(left)}"
        console.print(text, soft_wrap=True, highlight=False, markup=False)
    console.print(f"{len(files)} masks in {output}: {names}", soft_wrap=True, highlight=False)


def _load(config: DictConfig, runs: Sequence[Path]) -> FinishedRun | Ensemble:
    """The run, or several as one."""
    from segbench.training.ensemble import Ensemble  # only now is PyTorch imported
    from segbench.training.predictor import load_run

    found = [load_run(run, config.accelerator, config.inference, config.trust, config.stages) for run in runs]
    return found[0] if len(found) == 1 else Ensemble(found)


def _postprocessing(path: Path, labels: Labels) -> Postprocessing:
    """The decision of a file."""
    from segbench.evaluation.postprocessing import read_postprocessing

    return read_postprocessing(path, labels.classes)


def _remarks(runs: Sequence[Path]) -> Iterator[str]:
    """Sentences about the runs of an ensemble."""
    if len(runs) > 1:
        yield f"the mean of the probabilities of {len(runs)} runs"
    if missing := missing_folds(runs):
        yield f"note: none of them is of fold {', '.join(map(str, missing))}"


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


def _place(path: Path) -> Path:
    """The same path, whose folder is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _inputs(path: Path) -> tuple[Mapping[str, Sequence[Path]], Sequence[Path]]:
    """The files of each image by the name that its mask gets, and the files that no reader knows.

    Channels of a volume may be in several files, NAME_0000, NAME_0001, ..
    """
    if is_series(path):
        return {path.name: [path]}, []
    if path.is_file():
        return {stem_of(path.name, SUFFIXES) or path.stem: [path]}, []
    files = image_files(path, "input")
    if all(CHANNEL.fullmatch(key) for key in files):
        return files_by_case(files), files_left(path, SUFFIXES)
    return {key: [file] for key, file in files.items()}, files_left(path, SUFFIXES)


def _ahead(
    files: Mapping[str, Sequence[Path]], read: Callable[[Sequence[Path]], _Image]
) -> Iterator[tuple[str, _Image]]:
    """The images by name, of which the next one is read while one is predicted."""
    with ThreadPoolExecutor(1) as pool:
        waiting: Future[_Image] | None = None
        for key, following in zip(files, [*list(files.values())[1:], None], strict=True):
            now = pool.submit(read, files[key]) if waiting is None else waiting
            image = now.result()
            waiting = None if following is None else pool.submit(read, following)
            yield key, image


def read_image(paths: Sequence[Path], dims: int, channels: int) -> _Image:
    """An image with the run's number of channels, and its spacing: grey is repeated for a run on colours."""
    path = paths[0]
    if len(paths) > 1:
        image, first = read_channels(paths)
    else:
        first = decode(path)
        image = as_image(first, path)
    if len(image) == 1 and channels == 3:
        image = np.repeat(image, 3, axis=0)
    if len(image) != channels:
        raise UserError(f"{path} has {len(image)} channels; the run was trained on {channels}")
    if image.ndim not in (dims + 1, dims + 2):
        raise UserError(f"{path} has {image.ndim - 1} spatial dimensions; the run was trained on {dims}")
    return image, first.spacing
