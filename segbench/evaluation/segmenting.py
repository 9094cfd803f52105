"""The label map of a whole case: predicted, brought back to the case as it was, and decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from segbench.data.preparation import Geometry
from segbench.decoders import ByPixel, Decoder
from segbench.errors import MachineError, UserError
from segbench.inference import Inference
from segbench.inference.restoring import Slab, restored

SURE = 20.0
"""The logit of the background where nothing was predicted, others being 0: outside the body."""


Watch = Callable[[tuple[slice, ...], Mapping[str, Tensor]], None]
"""A function that is shown the logits (K, *P) of each head in a part of the case."""


class Segmentation(NamedTuple):
    """A case as it was decided.

    Attributes:
        label: (*S) classes.
        regions: (R, *S) bool, where the network finds regions.
        outputs: logits (K, *S) of each head; none where they were decoded some slices at a time.
    """

    label: np.ndarray
    regions: np.ndarray | None
    outputs: Mapping[str, Tensor]


@contextmanager
def _memory_said() -> Iterator[None]:
    """Say in one line that the GPU's memory is full, and which key of the prediction to change."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise MachineError(
            "the memory of the GPU is full while a case is predicted: choose a smaller inference.batch_size or"
            " inference.window, or the accelerator cpu"
        ) from error


@_memory_said()
def segment(
    network: nn.Module,
    inference: Inference,
    decoder: Decoder,
    image: Tensor,
    geometry: Geometry | None = None,
    background: int | None = 0,
    keep: bool = False,
    watch: Watch | None = None,
) -> Segmentation:
    """Predict and decode one case.

    Args:
        network: image batch -> logits.
        inference: predicts whole images.
        decoder: makes label maps.
        image: (1, C, *S) as the network sees it.
        geometry: where it lies in the case as it was; None: it is the case.
        background: the class of what was cut off.
        keep: keep the logits of a volume, which are else forgotten slice by slice.
        watch: is shown all logits, those of a volume slab by slab.

    Raises:
        MachineError: where the GPU's memory is full.
        UserError: where the decoder has to see the image, and the image was resampled.
    """
    keep = keep or getattr(decoder, "needs_outputs", False)
    if image.ndim == 5 and not keep and isinstance(decoder, ByPixel):
        return _by_slab(network, inference, decoder, image, geometry, background, watch)
    outputs = predict_whole(network, inference, image, geometry, background)
    check_decoder(decoder, geometry)
    if watch is not None:
        watch(tuple(slice(0, length) for length in next(iter(outputs.values())).shape[1:]), outputs)
    return Segmentation(decoder.label(outputs, image[0]), decoder.regions(outputs), outputs)


def check_decoder(decoder: Decoder, geometry: Geometry | None) -> None:
    """Check that what a decoder has to see is there.

    Raises:
        UserError: where it looks at the image, which was resampled.
    """
    if geometry is not None and not isinstance(decoder, ByPixel):
        raise UserError(
            f"decoder: {type(decoder).__name__} looks at the image, which is resampled or cropped: set"
            " data.spacing=null and data.crop=false, or choose another decoder"
        )


@_memory_said()
def predict_whole(
    network: nn.Module, inference: Inference, image: Tensor, geometry: Geometry | None, background: int | None = 0
) -> dict[str, Tensor]:
    """Logits (K, *S) of each head for the whole of a case as it was; where nothing was predicted, for the background.

    Arguments are those of `segment`.
    """
    if geometry is None:
        return {head: logits[0] for head, logits in inference(network, image).items()}
    whole: dict[str, Tensor] = {}
    for start, logits in restored(_slabs(network, inference, image), geometry):
        for head, rows in logits.items():
            if head not in whole:
                whole[head] = torch.zeros((len(rows), *geometry.whole), device=rows.device)
                if head == "mask" and background is not None:
                    whole[head][background] = SURE
            first = geometry.box[0][0] + start
            whole[head][:, first : first + rows.shape[1], *geometry.inside[1:]] = rows
    return whole


def _by_slab(
    network: nn.Module,
    inference: Inference,
    decoder: ByPixel,
    image: Tensor,
    geometry: Geometry | None,
    background: int | None,
    watch: Watch | None,
) -> Segmentation:
    slabs: Iterator[Slab] = _slabs(network, inference, image)
    size = tuple(image.shape[2:])
    whole, inside = size, tuple(slice(0, length) for length in size)
    if geometry is not None:
        whole, inside, slabs = geometry.whole, geometry.inside, restored(slabs, geometry)
    label = np.full(whole, background or 0, np.uint8)
    regions: np.ndarray | None = None
    for start, logits in slabs:
        part = decoder.by_pixel(logits)
        rows = slice(inside[0].start + start, inside[0].start + start + len(part))
        label[rows, *inside[1:]] = part
        if watch is not None:
            watch((rows, *inside[1:]), logits)
        found = decoder.regions(logits)
        if found is not None:
            regions = np.zeros((len(found), *whole), bool) if regions is None else regions
            regions[:, rows, *inside[1:]] = found
    return Segmentation(decoder.finished(label), regions, {})


def _slabs(network: nn.Module, inference: Inference, image: Tensor) -> Iterator[Slab]:
    """The logits of a volume, some slices at a time if the inference can do that."""
    if hasattr(inference, "slabs"):
        yield from inference.slabs(network, image)
    else:
        yield 0, {head: logits[0] for head, logits in inference(network, image).items()}
