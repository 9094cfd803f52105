"""Raw intensities -> float32 for the network, by the case's own statistics or by fixed numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segbench.data.case_meta import Intensities
from segbench.errors import UserError

Normalize = Callable[[np.ndarray, Sequence[Intensities]], np.ndarray]
"""(C, *P) raw, and the statistics of each channel of the whole case -> (C, *P) float32."""

_IMAGENET = {3: ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), 1: ([0.449], [0.226])}
"""Mean and standard deviation of each channel from 0 to 1, as torchvision's weights were trained; grey: their mean."""


def zscore(image: np.ndarray, channels: Sequence[Intensities]) -> np.ndarray:
    """Mean 0 and standard deviation 1 per channel of the case."""
    return _scale(image, [channel.mean for channel in channels], [channel.std for channel in channels])


def percentile(image: np.ndarray, channels: Sequence[Intensities]) -> np.ndarray:
    """Clipped to the 0.5 and 99.5 percentiles of each channel of the case, then scaled to [-1, 1]."""
    low = [channel.percentile_00_5 for channel in channels]
    high = [channel.percentile_99_5 for channel in channels]
    middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    half = [(b - a) / 2 for a, b in zip(low, high, strict=True)]
    scaled = _scale(image, middle, half)
    return scaled.clip(-1.0, 1.0, out=scaled)


def unit(image: np.ndarray, channels: Sequence[Intensities]) -> np.ndarray:
    """Values of 8 bits divided by 255: from 0 to 1, with no mean taken off.

    Raises:
        UserError: where values are larger.
    """
    _check_8_bits(channels, "unit")
    return _scale(image, [0.0] * len(image), [255.0] * len(image))


def imagenet(image: np.ndarray, channels: Sequence[Intensities]) -> np.ndarray:
    """Values of 8 bits as weights trained on ImageNet saw theirs: by its means and standard deviations.

    Raises:
        UserError: where the image is neither RGB nor grey, or values are larger.
    """
    if len(image) not in _IMAGENET:
        raise UserError(
            f"data.normalize=imagenet is for 3 channels (RGB) or 1 (grey), not for {len(image)}: use zscore"
        )
    _check_8_bits(channels, "imagenet")
    mean, std = _IMAGENET[len(image)]
    return _scale(image, [255 * value for value in mean], [255 * value for value in std])


def none(image: np.ndarray, channels: Sequence[Intensities]) -> np.ndarray:
    """The raw intensities, unchanged."""
    return image.astype(np.float32)


@dataclass(frozen=True)
class Ct:
    """Intensities that mean the same in all cases, such as Hounsfield units: nnU-Net's rule for CT.

    Clipped to the 0.5 and 99.5 percentiles of the foreground of the training cases, minus its mean, divided by its
    standard deviation.

    Attributes:
        channels: `mean`, `std`, `low` and `high` of the foreground in each channel.
    """

    channels: Sequence[Mapping[str, float]]

    def __call__(self, image: np.ndarray, channels: Sequence[Intensities]) -> np.ndarray:
        """Return the image as float32; the case's own statistics do not count."""
        each = len(image) // len(self.channels)  # slices of each channel, of a 2.5D network
        facts = [of for of in self.channels for _ in range(each)]
        shape = (-1, *(1,) * (image.ndim - 1))
        low, high = (np.array([of[key] for of in facts], np.float32).reshape(shape) for key in ("low", "high"))
        clipped = np.clip(image.astype(np.float32), low, high)
        return _scale(clipped, [of["mean"] for of in facts], [of["std"] for of in facts])


@dataclass(frozen=True)
class EachChannel:
    """A normalisation for each channel."""

    functions: Sequence[Normalize]

    def __call__(self, image: np.ndarray, channels: Sequence[Intensities]) -> np.ndarray:
        """Return the image as float32."""
        each = len(image) // len(self.functions)
        functions = [function for function in self.functions for _ in range(each)]
        own = zip(functions, image, channels, strict=True)
        return np.concatenate([function(channel[None], [facts]) for function, channel, facts in own])


def foreground_statistics(samples: Sequence[np.ndarray]) -> list[dict[str, float]]:
    """The facts that `Ct` needs of each channel, from intensities (C, N) of the foreground of each training case."""
    return [
        {
            "mean": float(channel.mean(dtype=np.float64)),
            "std": float(channel.std(dtype=np.float64)),
            "low": float(np.percentile(channel, 0.5)),
            "high": float(np.percentile(channel, 99.5)),
        }
        for channel in np.concatenate([np.asarray(sample) for sample in samples], axis=1)
    ]


def chosen_normalizations(chosen: str | Sequence[str], channel_names: Sequence[str], channels: int) -> list[str]:
    """The normalisation of each channel, where `data.normalize` is one for all, one for each, or auto.

    Args:
        chosen: `data.normalize`.
        channel_names: of the data set; none where they are not known.
        channels: of its images.

    Raises:
        UserError: where there is not one for each channel, or a channel of several cannot have it.
    """
    names = [chosen] * channels if isinstance(chosen, str) else list(chosen)
    if len(names) != channels:
        raise UserError(f"data.normalize has {len(names)} entries: the images have {channels} channels")
    known = [*channel_names, *[""] * (channels - len(channel_names))]
    found = [
        ("ct" if channel.strip().lower() == "ct" else "zscore") if name == "auto" else name
        for name, channel in zip(names, known, strict=False)
    ]
    if len(set(found)) > 1 and {"nonzero", "imagenet"} & set(found):
        raise UserError("data.normalize: nonzero and imagenet are for all channels together; give it as one word")
    return found


def normalization_of(names: Sequence[str], foreground: Sequence[Mapping[str, float]] | None) -> Normalize:
    """The function of the normalisations of all channels, by their names.

    Args:
        names: of each channel.
        foreground: statistics of each channel for "ct".

    Raises:
        UserError: where a name is unknown.
    """
    for name in names:
        if name not in NORMALIZATIONS and name != "ct":
            raise UserError(f"data.normalize={name}: must be one of {', '.join(NORMALIZATIONS)}, ct, auto")
    if set(names) == {"ct"}:
        return Ct(list(foreground or ()))
    if len(set(names)) == 1:
        return NORMALIZATIONS[names[0]]
    return EachChannel(
        [Ct([(foreground or ())[k]]) if name == "ct" else NORMALIZATIONS[name] for k, name in enumerate(names)]
    )


NORMALIZATIONS: dict[str, Normalize] = {
    "zscore": zscore,
    "percentile": percentile,
    "unit": unit,
    "imagenet": imagenet,
    "none": none,
    "nonzero": none,  # done before cases are resampled, see `segbench.data.preparation`
}


def _check_8_bits(channels: Sequence[Intensities], name: str) -> None:
    largest = max(channel.percentile_99_5 for channel in channels)
    if largest > 255:
        raise UserError(f"data.normalize={name} is for values of 8 bits, up to 255, not {largest:g}")


def _scale(image: np.ndarray, centre: list[float], width: list[float]) -> np.ndarray:
    shape = (-1, *(1,) * (image.ndim - 1))
    # A constant channel has no width: it becomes 0.
    factor = np.array([1 / w if w > 0 else 0.0 for w in width], dtype=np.float32)
    scaled: np.ndarray = np.subtract(image, np.array(centre, dtype=np.float32).reshape(shape), dtype=np.float32)
    scaled *= factor.reshape(shape)
    return scaled
