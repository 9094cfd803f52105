"""Files of the arrays that a network sees besides new images."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import DictConfig

from segbench.config.plain import as_plain
from segbench.data.folders.arrays import quantities
from segbench.data.formats import decode, image_files
from segbench.data.labels.mask_reader import MaskReader
from segbench.errors import UserError

if TYPE_CHECKING:
    from segbench.training.ensemble import Ensemble
    from segbench.training.predictor import FinishedRun


class ImageArrays:
    """A file for each image and array.

    Args:
        folders: by name of the array, a folder whose files are named as the images.
        run: what sees them.
        images: the images' names.

    Raises:
        UserError: where a folder is missing, is one too many, or has no file for an image.
    """

    def __init__(self, folders: DictConfig | None, run: FinishedRun | Ensemble, images: Collection[str]) -> None:
        self._specs, given = run.file_arrays, {} if folders is None else as_plain(folders)
        for name in given:
            if name not in self._specs:
                known = ", ".join(self._specs) or "none"
                raise UserError(f"arrays.{name}: the run sees no such array besides an image; it sees {known}")
        for name in self._specs:
            if name not in given:
                raise UserError(
                    f"run={run.directory.path}: its network sees {name} besides the image (data.input_arrays): give a"
                    f" folder with a file for each image, arrays={{{name}: FOLDER}}"
                )
        self._files = {name: image_files(Path(folder), f"arrays.{name}") for name, folder in given.items()}
        for name, files in self._files.items():
            if lacking := [image for image in images if image not in files]:
                raise UserError(f"arrays.{name}={given[name]}: has no file for the image {lacking[0]}")
        dataset = as_plain(run.config.data.dataset)
        self._labels = MaskReader(dataset.get("values"), dataset.get("ignore") or [], len(run.labels.classes))

    def of(self, image: str, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        """The arrays (*S) or (C, *S) of an image, by name.

        Args:
            image: its name.
            shape: its size (*S).

        Raises:
            UserError: where one does not fit it.
        """
        found = {}
        for name, spec in self._specs.items():
            path = self._files[name][image]
            array = self._labels(decode(path), path) if spec.classes else quantities(decode(path), path)
            if (fault := spec.fault(array, shape) or spec.fault_of_values(array)) is not None:
                raise UserError(f"arrays.{name}: {path} {fault}")
            found[name] = array
        return found
