"""The plan of a run: what a planner chooses for its data, where the user has not."""

from __future__ import annotations

import logging
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from segbench.config.instantiation import build
from segbench.data.case import Dataset
from segbench.data.slices import slice_axis
from segbench.data.splits import Split, read_split_file
from segbench.data.store import CaseStore
from segbench.planning.measuring import measure_fingerprint
from segbench.planning.values import planned_values
from segbench.system.processes import batch_on_each_device

PLANNED = "plan"
"""The value of `data.spacing` and `data.normalize` that stands for what is planned; part of the id as such a word."""

log = logging.getLogger(__name__)


def plan_run(config: DictConfig, dataset: Dataset, store: CaseStore, split: Split) -> None:
    """Fill in `measured.plan`, to which keys that a planned model leaves open refer, and geometry and normalisation.

    Nothing happens without a planner.

    It follows from size, spacing and number of the cases, neither from intensities nor from labels: of those that are
    not tested on where `split.file` is a single split, else of all that the data set does not fix as test cases, so
    that the folds of a cross-validation have the same plan.

    Raises:
        UserError: where the planner has nothing for such data.
    """
    if "plan" not in config:
        return
    file = config.split.file
    has_folds = file is None or isinstance(read_split_file(Path(file)), list)
    cases = store.ids if has_folds else (*split.train, *split.validation)
    data = config.data
    fingerprint = measure_fingerprint(dataset, [store.meta(case) for case in cases], data.crop)
    patch = None if data.patch_size is None else list(data.patch_size)
    across = None if data.slices is None or dataset.spatial_dims == 2 else slice_axis(data.slices, store)
    values = planned_values(build(config.plan, "plan"), fingerprint, patch, across)
    OmegaConf.update(config, "measured.plan", values, merge=False, force_add=True)
    if data.spacing == PLANNED:
        data.spacing = values["spacing"] if dataset.spatial_dims == 3 else None
    if data.normalize == PLANNED:
        data.normalize = values["normalize"]
    batch_on_each_device(config)
    log.info(
        "planned for %d cases: patches of %s, %d a batch, stages of %s channels, strides %s",
        fingerprint.cases, values["patch_size"], values["batch_size"], values["features"], values["strides"],
    )  # fmt: skip
