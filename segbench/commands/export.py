"""The command `export`: a data set of segbench as one of nnU-Net."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from segbench.config.schema import require
from segbench.data.case import Dataset
from segbench.data.configured import all_splits, open_dataset
from segbench.data.nnunet_folds import Fold
from segbench.data.nnunet_writer import NnunetWriter
from segbench.data.splits import Split
from segbench.data.store import CaseStore
from segbench.errors import UserError

_NAME = re.compile(r"Dataset\d{3}_\w[\w-]*")


def export(config: DictConfig) -> None:
    """Write a data set into a new folder, which appears when it is whole.

    Raises:
        UserError: where the folder is there already or has no name for nnU-Net, or the data cannot be written so.
    """
    output = Path(require(config, "output")).expanduser()
    if not _NAME.fullmatch(output.name):
        raise UserError(f"output={output}: nnU-Net's data sets are called DatasetNNN_NAME, such as Dataset101_cells")
    if output.exists():
        raise UserError(f"output={output}: is there already; name a new folder, or remove it")
    dataset, store = open_dataset(config.data)
    folds = [_as_fold(split, store) for split in all_splits(config.split, config.folds, store)]
    partial = output.with_name(f".{output.name}.partial")
    writer = NnunetWriter(dataset, store, partial)
    console = Console()
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of a command that was killed
        cases = writer.write(folds)
        for _ in track(cases, "exporting", len(store), console=console, transient=True):
            pass
        partial.rename(output)
    except OSError as error:
        raise UserError(f"output={output}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for line in _summary(dataset, store, output, len(folds)):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _as_fold(split: Split, store: CaseStore) -> Fold:
    """A split in two parts: what tests is held out, or what validates where the data set has test cases of its own."""
    fixed = {record.id for record in store.records if record.part == "test"}
    if fixed:
        return Fold(split.train, split.validation)
    return Fold((*split.train, *split.validation), split.test)


def _summary(dataset: Dataset, store: CaseStore, output: Path, folds: int) -> list[str]:
    """The lines for a person."""
    number = output.name.removeprefix("Dataset")[:3]
    lines = [
        f"{len(store)} cases of {dataset.name} in {output}, with {folds} folds in splits_final.json",
        f"next: nnUNetv2_plan_and_preprocess -d {number} --verify_dataset_integrity; then, to train on these folds,"
        f" cp {output / 'splits_final.json'} $nnUNet_preprocessed/{output.name}/",
    ]
    if dataset.background is None:
        lines.append(f"note: nnU-Net takes the class 0, {dataset.classes[0]}, for the background and does not score it")
    if dataset.has_instances:
        lines.append("note: objects are not written: nnU-Net knows classes alone")
    return lines
