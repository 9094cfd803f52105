"""The results after training: scores of the test cases, previews, cost, and the summary of them all."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from segbench.data.case import Dataset
from segbench.data.labels.region_classes import RegionClasses
from segbench.data.preparation import Geometry
from segbench.data.store import StoredCase
from segbench.evaluation.montage import montage
from segbench.evaluation.previews import preview, preview_regions, write_picture
from segbench.evaluation.segmenting import Segmentation
from segbench.evaluation.volume_previews import preview_region_volume, preview_volume
from segbench.metrics import cost
from segbench.models.estimator import Estimator

if TYPE_CHECKING:
    from segbench.data.datamodule import DataModule
    from segbench.training.module import SegmentationModule

log = logging.getLogger(__name__)


_measured: dict[str, dict[str, Any]] = {}
"""The measured costs of this process's networks, by all that decides them."""


class PredictedLabels:
    """Label maps of the test cases as they were scored, compressed, for the few that are shown in the end."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[_Packed, _Packed | None]] = {}

    def keep(self, case: str, label: np.ndarray, regions: np.ndarray | None = None) -> None:
        """Keep the label map (*S) of one case, and the masks (R, *S) of regions that do not follow from it."""
        self._kept[case] = _packed(label), None if regions is None else _packed(regions)

    def get(self, case: str) -> tuple[np.ndarray, np.ndarray | None] | None:
        """The label map of a case and its regions; None for one that another process has scored."""
        if case not in self._kept:
            return None
        label, regions = self._kept[case]
        return _unpacked(label), None if regions is None else _unpacked(regions)


_Packed = tuple[bytes, np.dtype[Any], tuple[int, ...]]


def _packed(array: np.ndarray) -> _Packed:
    return zlib.compress(array.tobytes(), level=1), array.dtype, array.shape


def _unpacked(packed: _Packed) -> np.ndarray:
    content, dtype, shape = packed
    return np.frombuffer(zlib.decompress(content), dtype).reshape(shape)


def write_previews(
    cases: pd.DataFrame,
    labels: PredictedLabels,
    data: DataModule,
    trainer: L.Trainer,
    module: SegmentationModule,
    folder: Path,
    regions: RegionClasses | None = None,
) -> None:
    """Draw the best, the median and the worst test case by the mean of their first metric; of volumes a montage, too.

    Args:
        cases: the rows of `cases.csv`.
        labels: what was predicted for them.
        data: where the images are.
        trainer: gives the device and precision.
        module: predicts a case that another process has scored.
        folder: where `best.png`, `median.png` and `worst.png` go, and `montage.png` of the median volume.
        regions: the classes of each region, where the network finds regions.
    """
    metric = cases["metric"].iloc[0]
    means = cases[cases["metric"] == metric].groupby("case")["value"].mean().dropna().sort_values()
    if means.empty:
        return
    places = {"worst": 0, "median": (len(means) - 1) // 2, "best": len(means) - 1}
    for place, position in places.items():
        case = data.store[str(means.index[position])]
        label, masks = predicted_labels(labels, data, trainer, module, case.id)
        title = f"{place}: case {case.id}, mean {metric} {means.iloc[position]:.3f}"
        picture = _picture(case, label, masks, data.dataset, regions or {}, title)
        write_picture(folder / f"{place}.png", np.asarray(picture))
        if place == "median" and case.label.ndim == 3 and masks is None:
            shown = montage(
                np.asarray(case.image), np.asarray(case.label), label, data.dataset.background, title, case.spacing
            )
            write_picture(folder / "montage.png", np.asarray(shown))


def predicted_labels(
    labels: PredictedLabels, data: DataModule, trainer: L.Trainer, module: SegmentationModule, case_id: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """The label map of a case and its regions as kept, or predicted anew where another process has scored it."""
    found = labels.get(case_id)
    if found is not None:
        return found
    image = data.sampler.network_input.of_case(data.seen.store[case_id])
    return segment(module, trainer, image, data.seen.geometry(case_id))[:2]


def _picture(
    case: StoredCase,
    label: np.ndarray,
    masks: np.ndarray | None,
    dataset: Dataset,
    regions: RegionClasses,
    title: str,
) -> Image.Image:
    """The picture of a case, an image or a volume, with classes or with regions."""
    image, reference = np.asarray(case.image), np.asarray(case.label)
    if reference.ndim == 2:
        if masks is None:
            return preview(image, reference, label, dataset.background, title, dataset.classes)
        return preview_regions(image, reference, masks, regions, title)
    if masks is None:
        return preview_volume(image, reference, label, dataset.background, title, dataset.classes, case.spacing)
    return preview_region_volume(image, reference, masks, regions, title, case.spacing)


def predict(
    module: SegmentationModule, trainer: L.Trainer, image: np.ndarray, geometry: Geometry | None = None
) -> dict[str, Tensor]:
    """Logits (K, *S) of each head for one normalised image (C, *S), on the trainer's device and in its precision.

    Args:
        module: with its weights.
        trainer: gives the device and precision.
        image: as the network sees it.
        geometry: where it lies in the case that it was prepared from, whose size the logits get; None: it is the case.
    """
    with _on_device(module, trainer, image) as converted:
        return module.predict_case(converted, geometry)


def segment(
    module: SegmentationModule,
    trainer: L.Trainer,
    image: np.ndarray,
    geometry: Geometry | None = None,
    keep: bool = False,
) -> Segmentation:
    """The label map of one normalised image (C, *S); arguments as of `predict`, `keep`: its logits, too."""
    with _on_device(module, trainer, image) as converted:
        return module.segment(converted, geometry, keep)


@contextmanager
def _on_device(module: SegmentationModule, trainer: L.Trainer, image: np.ndarray) -> Iterator[Tensor]:
    """The image as a batch of one, where and as the trainer computes."""
    device = trainer.strategy.root_device
    module.to(device).eval()
    with torch.inference_mode(), trainer.precision_plugin.forward_context():
        converted = trainer.precision_plugin.convert_input(torch.from_numpy(np.ascontiguousarray(image))[None])
        yield converted.to(device)


def measure_cost(
    module: SegmentationModule, patch_shape: tuple[int, ...], field: bool, made_from: Any
) -> dict[str, Any]:
    """Parameters, operations for one patch, and (if asked) the receptive field in pixels.

    None of them depends on the weights: of runs in one process that have the same network only the first is measured.

    Args:
        module: the trained module.
        patch_shape: (C, *P).
        field: whether to find the receptive field, which takes three passes forward and back.
        made_from: the configuration of the model, as plain values.
    """
    shapes = {name: [*value.shape, value.requires_grad] for name, value in module.model.named_parameters()}
    key = json.dumps([made_from, shapes, patch_shape, field])
    if key not in _measured:
        _measured[key] = _measure_cost(module, patch_shape, field)
    return dict(_measured[key])


def _measure_cost(module: SegmentationModule, patch_shape: tuple[int, ...], field: bool) -> dict[str, Any]:
    model = module.model
    like = next(model.parameters(), torch.zeros(0))  # device and precision
    result: dict[str, Any] = {"parameters": cost.parameters(model)}
    if isinstance(model, Estimator):  # works outside PyTorch, where operations are not counted nor differentiated
        return result | {"flops": None, "flops_input": list(patch_shape), "receptive_field": None}
    result["flops"] = cost.flops(model, torch.zeros(1, *patch_shape, device=like.device, dtype=like.dtype))
    result["flops_input"] = list(patch_shape)
    if field:
        result["receptive_field"] = list(cost.receptive_field(model, patch_shape))
    return result
