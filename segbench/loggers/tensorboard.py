"""TensorBoard; needs the extra `segbench[tensorboard]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from segbench.errors import UserError
from segbench.runs.directory import RunDirectory


class TensorBoard(TensorBoardLogger):
    """Event files in `tensorboard/` of the run directory: curves, previews, summary."""

    def __init__(self, directory: RunDirectory, config: Mapping[str, Any]) -> None:
        self.directory = directory
        try:
            super().__init__(save_dir=directory.path, name="tensorboard", version="")
        except ModuleNotFoundError as error:
            raise UserError("logger=tensorboard: pip install 'segbench[tensorboard]' first") from error

    @rank_zero_only
    def record_result(self, summary: Mapping[str, float]) -> None:
        """Write the previews and the summary."""
        for path in sorted(self.directory.path.glob("previews/*.png")):
            pixels = np.asarray(Image.open(path).convert("RGB"))
            self.experiment.add_image(f"previews/{path.stem}", pixels, dataformats="HWC")
        self.log_metrics(dict(summary))

    @rank_zero_only
    def close(self, failed: bool) -> None:
        """Close the event file."""
        self.finalize("failed" if failed else "success")
