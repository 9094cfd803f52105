"""What follows training: scores of the test cases, previews, cost, and the summary of them all."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from segbench.metrics import cost
from segbench.models.estimator import Estimator
from segbench.previews import preview

if TYPE_CHECKING:
    from segbench.data.datamodule import DataModule
    from segbench.module import SegmentationModule

log = logging.getLogger(__name__)


def write_previews(
    cases: pd.DataFrame, data: DataModule, trainer: L.Trainer, module: SegmentationModule, folder: Path
) -> None:
    """Draws the best, the median and the worst test case by the mean of their first metric.

    Args:
        cases: the rows of `cases.csv`.
        data: where the images are.
        trainer: gives the device and precision.
        module: predicts.
        folder: where `best.png`, `median.png` and `worst.png` go.
    """
    metric = cases["metric"].iloc[0]
    means = cases[cases["metric"] == metric].groupby("case")["value"].mean().dropna().sort_values()
    if means.empty:
        return
    places = {"worst": 0, "median": (len(means) - 1) // 2, "best": len(means) - 1}
    for place, position in places.items():
        case = data.store[str(means.index[position])]
        image = data.sampler.normalize(np.asarray(case.image), case.meta.intensities)
        label = module.decoder.label(predict(module, trainer, image), torch.from_numpy(image))
        title = f"{place}: case {case.id}, mean {metric} {means.iloc[position]:.3f}"
        picture = preview(np.asarray(case.image), np.asarray(case.label), label, data.dataset.background, title)
        picture.save(folder / f"{place}.png")


def predict(module: SegmentationModule, trainer: L.Trainer, image: np.ndarray) -> dict[str, Tensor]:
    """Logits (K, *S) of each head for one normalised image (C, *S), on the trainer's device and in its precision."""
    device = trainer.strategy.root_device
    module.to(device).eval()
    with torch.inference_mode(), trainer.precision_plugin.forward_context():
        return module.predict_case(torch.from_numpy(np.ascontiguousarray(image))[None].to(device))


def measure_cost(module: SegmentationModule, patch_shape: tuple[int, ...], field: bool) -> dict[str, Any]:
    """Parameters, operations for one patch, and (if asked) the receptive field in pixels.

    Args:
        module: the trained module.
        patch_shape: (C, *P).
        field: whether to find the receptive field, which takes three passes forward and back.
    """
    model = module.model
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    result: dict[str, Any] = {"parameters": cost.parameters(model)}
    if isinstance(model, Estimator):  # works outside PyTorch, where operations are not counted nor differentiated
        return result | {"flops": None, "flops_input": list(patch_shape), "receptive_field": None}
    result["flops"] = cost.flops(model, torch.zeros(1, *patch_shape, device=device))
    result["flops_input"] = list(patch_shape)
    if field:
        result["receptive_field"] = list(cost.receptive_field(model, patch_shape))
    return result


def summarise(cases: pd.DataFrame) -> dict[str, float]:
    """Mean over cases of each metric and class, and over classes: `test/dice/nucleus`, `test/dice`."""
    per_class = cases.groupby(["metric", "class"], sort=False)["value"].mean()
    keys = (f"test/{metric}/{name}" for metric, name in per_class.index)
    summary = dict(zip(keys, map(float, per_class), strict=True))
    means: Mapping[Any, float] = per_class.groupby(level="metric", sort=False).mean().to_dict()
    return summary | {f"test/{metric}": float(value) for metric, value in means.items()}
