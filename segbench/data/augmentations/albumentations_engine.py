"""Any pipeline of albumentations as the augmentation of images in 2D.

Transforms that move pixels see a region larger than the patch, from which the patch is then cut, so that a turned
patch has no empty corners where the image goes on; the transforms behind the last of them see the patch alone. A region
that turns out to be too small is read again, larger, with the same random numbers. What the transforms would fill
empty places with (`border_mode`, `fill_mask`) is of no account: there are none, or the label is 255 there.

Images of 8 bits stay uint8. All others become float32 between 0 and 1, which are the least and the largest value of
each channel of the case, and are brought back to their unit before they are normalised.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import albumentations as A
import cv2
import numpy as np
from albumentations.augmentations.dropout.transforms import BaseDropout
from albumentations.core.composition import BaseCompose
from albumentations.core.transforms_interface import BasicTransform

from segbench.data.arrays import LazyArrays
from segbench.data.augmentations.augmenter import Place
from segbench.data.case import IGNORE
from segbench.data.normalize import Normalize
from segbench.data.patches import _cut as cut
from segbench.data.placement import TrainingCases
from segbench.data.sample import Sample
from segbench.data.store import StoredCase
from segbench.errors import UserError

cv2.setNumThreads(0)  # the processes that make patches share the cores already

_STAYING = (BaseDropout, A.MaskDropout, A.PixelDropout, A.NoOp)
"""Transforms of image and mask that leave every pixel where it is."""

_EXCHANGING = (A.HorizontalFlip, A.VerticalFlip, A.Transpose, A.D4, A.RandomRotate90, A.RandomGridShuffle)
"""Transforms that exchange the pixels of a square, and so need none beyond it."""

_EMPTY, _DROPPED = -1, -2
"""Values of mask pixels that nothing was read for, and that were dropped by intention."""

_GROWTH, _TRIES = 1.6, 4


@dataclass(frozen=True)
class _Layers:
    """Arrays that are transformed alike.

    Attributes:
        image: (H, W, C) uint8, or float32 in [0, 1].
        label: (H, W) int32.
        instances: (N, H, W) int32; N is 0 or 1.
    """

    image: np.ndarray
    label: np.ndarray
    instances: np.ndarray


@dataclass(frozen=True)
class _Draw:
    """All that decides where the pixels of a patch come from.

    Attributes:
        place: where it is cut.
        low: the first pixel of the square region that is read, (2,).
        side: of the region.
        seed: of the random numbers.
        applies: whether the pipeline is applied at all.
        at: the patch's first pixel in the transformed region.
    """

    place: Place
    low: np.ndarray
    side: int
    seed: int
    applies: bool
    at: np.ndarray

    def region(self, array: np.ndarray, beyond: int | None = None) -> np.ndarray:
        """The region of an array (.., *S) of the case; beyond the image it is mirrored, or `beyond`."""
        return cut(array, self.low, self.low + self.side, beyond)

    def window(self, region: np.ndarray, beyond: int | None = None) -> np.ndarray:
        """The patch of a transformed region (.., H, W)."""
        return cut(region, self.at, self.at + self.place.size, beyond)


class AlbumentationsEngine:
    """An `Augmenter` made of a pipeline of albumentations."""

    def __init__(self, pipeline: BaseCompose | BasicTransform) -> None:
        """Copy and divide the pipeline.

        Raises:
            UserError: if it is none, or one of its transforms was given an argument that it does not have.
        """
        if not isinstance(pipeline, BaseCompose | BasicTransform):
            raise UserError(
                f"augmentation: {type(pipeline).__name__} is no augmentation; give one of "
                "segbench.data.augmentations.pipeline"
                " or a pipeline of albumentations, such as albumentations.Compose"
            )
        pipeline = deepcopy(pipeline)
        self._leaves = list(_leaves(pipeline))
        for leaf in self._leaves:
            if leaf.invalid_args:
                raise UserError(f"augmentation: {_name(leaf)} takes no {', '.join(leaf.invalid_args)}")
            _prepare(leaf)
        steps = pipeline.transforms if isinstance(pipeline, A.Compose) else [pipeline]
        moving = [number for number, step in enumerate(steps) if any(map(_moves, _leaves(step)))]
        divide = moving[-1] + 1 if moving else 0
        self._probability = pipeline.p if isinstance(pipeline, A.Compose) else 1.0
        self._of_region = A.Sequential(steps[:divide], p=1.0)
        self._of_patch = A.Sequential(steps[divide:], p=1.0)
        self._exchanges = all(isinstance(leaf, _EXCHANGING) for leaf in self._leaves if _moves(leaf))

    def check(self, case: StoredCase, patch_size: Sequence[int]) -> None:
        """See `Augmenter`: applies each transform once, whatever its probability."""
        if len(patch_size) != 2:
            raise UserError(
                f"augmentation: albumentations is for images, and these have {len(patch_size)} dimensions:"
                " choose another, such as augmentation=standard_3d"
            )
        side = self._side(patch_size, 0)
        image = np.random.default_rng(0).integers(0, 256, (side, side, case.meta.shape[0]), np.uint8)
        if case.meta.dtype != "uint8":
            image = image.astype(np.float32) / 255
        blank = np.zeros((side, side), np.int32)
        for leaf in self._leaves:
            certain = deepcopy(leaf)
            certain.p = 1.0
            _apply(A.Sequential([certain], p=1.0), 0, _Layers(image, blank, blank[None]))

    def patch(self, place: Place, cases: TrainingCases, normalize: Normalize, rng: np.random.Generator) -> Sample:
        """See `Augmenter`."""
        seed, applies = int(rng.integers(2**63)), bool(rng.random() < self._probability)
        for attempt in range(_TRIES):
            draw, moved = self._draw(place, seed, applies, attempt)
            label = draw.window(moved.label, beyond=_EMPTY)
            if not (label == _EMPTY).any():
                break
        image = _last(draw.window(_first(moved.image)))
        layers = _Layers(image, label, draw.window(moved.instances, beyond=_EMPTY))
        if applies:
            layers, _ = _apply(self._of_patch, seed + 1, layers)
        case = place.case
        channels = case.meta.intensities

        def original() -> np.ndarray:
            return normalize(self._follow(draw, case.image).astype(np.float32), channels)

        return Sample(
            image=normalize(_as_decoded(_first(layers.image), case), channels),
            label=np.where(layers.label < 0, IGNORE, layers.label).astype(np.uint8),
            instances=None if case.instances is None else layers.instances[0].clip(0),
            spacing=case.spacing,
            arrays=LazyArrays(case.arrays, lambda name: self._follow(draw, case.arrays[name])),
            make_original=original,
        )

    def _side(self, patch_size: Sequence[int], attempt: int) -> int:
        """The side of the square that is read."""
        side = float(max(patch_size) if self._exchanges else math.hypot(*patch_size) + 4)
        return math.ceil(side * _GROWTH**attempt)

    def _draw(self, place: Place, seed: int, applies: bool, attempt: int) -> tuple[_Draw, _Layers]:
        """Return the draw of a patch, and its region after all transforms that move pixels."""
        side = self._side(place.size, attempt)
        margin = np.subtract(side, place.size) // 2
        draw = _Draw(place, place.start - margin, side, seed, applies, margin)
        layers = self._layers(draw)
        if not applies:
            return draw, layers
        if not place.pins_centre:
            return draw, _apply(self._of_region, seed, layers)[0]
        numbers = np.arange(side * side, dtype=np.int32).reshape(1, side, side)
        layers, moved = _apply(self._of_region, seed, layers, nearest=numbers)
        centre = np.subtract(place.size, 1) // 2
        return replace(draw, at=_found(moved["nearest"][0], margin + centre) - centre), layers

    def _layers(self, draw: _Draw) -> _Layers:
        """The region before it is transformed."""
        case = draw.place.case
        image = draw.region(case.image)
        if case.meta.dtype != "uint8":
            least, width = _range(case)
            image = (image.astype(np.float32) - least) / width
        label = draw.region(case.label, beyond=IGNORE).astype(np.int32)
        if draw.applies and not self._exchanges:
            # Between the outermost pixels and what is beyond them, images are interpolated with nothing.
            label[[0, -1]] = label[:, [0, -1]] = _EMPTY
        instances = np.empty((0, *label.shape), np.int32)
        if case.instances is not None:
            instances = draw.region(case.instances, beyond=0).astype(np.int32)[None]
        return _Layers(_last(image), label, instances)

    def _follow(self, draw: _Draw, array: np.ndarray) -> np.ndarray:
        """The patch of an array (*S) or (C, *S) of the case: of floats linearly, of others by nearest pixel."""
        floating = array.dtype.kind == "f" or array is draw.place.case.image
        region = draw.region(array).astype(np.float32 if floating else np.int32)
        region = region.reshape(-1, draw.side, draw.side)
        if draw.applies:
            way = "linear" if floating else "nearest"
            region = _apply(self._of_region, draw.seed, self._layers(draw), **{way: region})[1][way]
        patch = draw.window(region).astype(region.dtype if floating else array.dtype)
        return patch.reshape(*array.shape[:-2], *patch.shape[-2:])


def saved_pipeline(file: str, pipeline: Mapping[str, Any]) -> BaseCompose | BasicTransform:
    """Build a pipeline that was written by `albumentations.save`.

    Args:
        file: that it was read from, for messages.
        pipeline: the file's content.

    Raises:
        UserError: if it is no pipeline of the version that is installed.
    """
    try:
        built = A.from_dict(dict(pipeline))
    except (KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"augmentation.file: {file} is no pipeline saved by albumentations {A.__version__}: {reason}"
        ) from error
    return built


def _as_decoded(image: np.ndarray, case: StoredCase) -> np.ndarray:
    """An image (C, *P) in the unit that the case has on disk."""
    if case.meta.dtype == "uint8":
        return image
    least, width = _range(case)
    return np.asarray(image * width + least)


def _range(case: StoredCase) -> tuple[np.ndarray, np.ndarray]:
    """The least value of each channel of a case, and from there to the largest: (C, 1, 1) float32 each."""
    channels = case.meta.intensities
    least = np.array([one.minimum for one in channels], np.float32).reshape(-1, 1, 1)
    width = np.array([one.maximum for one in channels], np.float32).reshape(-1, 1, 1) - least
    return least, np.where(width > 0, width, np.float32(1))


def _apply(
    step: BaseCompose, seed: int, layers: _Layers, **followers: np.ndarray
) -> tuple[_Layers, Mapping[str, np.ndarray]]:
    """The layers after a step of the pipeline, with random numbers of a seed.

    Args:
        step: is applied.
        seed: of its random numbers.
        layers: to transform.
        followers: what is only moved: `nearest` (N, H, W) int32, `linear` (N, H, W) float32; returned by name.

    Raises:
        UserError: if a transform refuses them, or changes their size or type.
    """
    # A seed given to the step itself would give each of its transforms the same random numbers.
    step.set_random_state(np.random.default_rng(seed), random.Random(seed))
    name = " or ".join(dict.fromkeys(map(_name, _leaves(step))))
    masks = {"masks": layers.instances} if len(layers.instances) else {}
    try:
        done = step(image=layers.image, mask=layers.label, **masks, **followers)
    except Exception as error:  # transforms raise errors of all kinds, also OpenCV's own
        reason = " ".join(str(error).split())
        channels = "1 channel" if layers.image.shape[-1] == 1 else f"{layers.image.shape[-1]} channels"
        raise UserError(
            f"augmentation: {name} does not work on images with {channels} of {layers.image.dtype}: {reason}"
        ) from error
    image = done["image"]
    if not isinstance(image, np.ndarray) or image.dtype != layers.image.dtype:
        raise UserError(f"augmentation: {name} changes the type of the image: leave it out, data.normalize does that")
    if image.shape != layers.image.shape:
        raise UserError(
            f"augmentation: {name} changes the image's size or channels: leave it out; data.patch_size says how large"
            " patches are, and albumentations.Affine scales within them"
        )
    return _Layers(image, done["mask"], done.get("masks", layers.instances)), done


def _prepare(leaf: BasicTransform) -> None:
    """Let a transform move what follows, and fill masks with what can be told from labels."""
    if _moves(leaf):
        leaf.add_targets({"nearest": "masks", "linear": "images"})
        resizes = isinstance(leaf, A.CropAndPad)  # OpenCV's other way of resizing is half a pixel off
        nearest = cv2.INTER_NEAREST_EXACT if resizes else cv2.INTER_NEAREST
        for name, value in {
            "mask_interpolation": nearest, "border_mode": cv2.BORDER_CONSTANT, "fill_mask": _EMPTY
        }.items():  # fmt: skip
            if hasattr(leaf, name):
                setattr(leaf, name, value)
    elif isinstance(leaf, A.DualTransform):
        for name in ("fill_mask", "mask_drop_value"):
            if getattr(leaf, name, None) is not None:  # without a value for masks it leaves them
                setattr(leaf, name, _DROPPED)


def _leaves(step: BaseCompose | BasicTransform) -> Iterator[BasicTransform]:
    """The transforms of a pipeline, in their order."""
    if isinstance(step, BaseCompose):
        for inner in step.transforms:
            yield from _leaves(inner)
    else:
        yield step


def _moves(leaf: BasicTransform) -> bool:
    return isinstance(leaf, A.DualTransform) and not isinstance(leaf, _STAYING)


def _found(numbers: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """The place that a pixel has come to: the middle of those that were read nearest to it.

    Args:
        numbers: (S, S) the number of the pixel that each place was read from; negative where there is none.
        pixel: that is looked for, (2,).
    """
    rows, columns = np.divmod(numbers, len(numbers))
    distance = np.where(numbers < 0, np.inf, (rows - pixel[0]) ** 2 + (columns - pixel[1]) ** 2)
    places = np.argwhere(distance == distance.min())
    return np.asarray(places[((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin()])


def _name(leaf: BasicTransform) -> str:
    return type(leaf).__name__


def _first(array: np.ndarray) -> np.ndarray:
    """(H, W, C) -> (C, H, W)."""
    return np.moveaxis(array, -1, 0)


def _last(array: np.ndarray) -> np.ndarray:
    """(C, H, W) -> (H, W, C), a copy: transforms may write into what they are given."""
    return np.array(np.moveaxis(array, 0, -1), order="C")
