"""Predicting whole images: windows, weights and mirrors, against MONAI's, by brute force and by identities."""

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.inferers import sliding_window_inference
from omegaconf import OmegaConf
from scipy.stats import norm
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.inference import SlidingWindow, Whole, window_places, window_weight
from segbench.training import assembly
from tests.made_runs import configure

CONF = Path(__file__).parents[2] / "conf" / "inference"
SIZES = {2: (50, 37), 3: (20, 33, 18)}
WINDOWS = {2: (16, 12), 3: (8, 12, 10)}
dims = pytest.mark.parametrize("dims", [2, 3])
weightings = pytest.mark.parametrize("weighting", ["gaussian", "constant"])


def image(dims: int, batch: int = 1, channels: int = 2) -> Tensor:
    return torch.randn(batch, channels, *SIZES[dims], generator=torch.Generator().manual_seed(0))


def identity(windows: Tensor) -> dict[str, Tensor | list[Tensor]]:
    return {"mask": windows}


def network(dims: int) -> Callable[[Tensor], dict[str, Tensor]]:
    """Two convolutions, whose output differs where a window ends, and a second head."""
    torch.manual_seed(0)
    convolution: Any = (nn.Conv2d, nn.Conv3d)[dims - 2]
    layers = nn.Sequential(convolution(2, 5, 3, padding=1), nn.Tanh(), convolution(5, 3, 3, padding=1))

    def forward(windows: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            logits: Tensor = layers(windows)
        return {"mask": logits, "contour": logits[:, :1] ** 2}

    return forward


# Where windows lie and what they weigh


def starts(size: int, window: int, overlap: float) -> list[int]:
    return [place[0].start for place in window_places((size,), (window,), overlap)]


def test_published_positions() -> None:
    """The example of nnU-Net."""
    assert starts(110, 64, 0.5) == [0, 23, 46]


def starts_of_nnunet(size: int, window: int, overlap: float) -> list[int]:
    """As `compute_steps_for_sliding_window` of nnU-Net v2 does it, for one axis."""
    count = int(np.ceil((size - window) / (window * (1 - overlap)))) + 1
    step = (size - window) / (count - 1) if count > 1 else 99999999999
    return [int(np.round(step * number)) for number in range(count)]


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 100), st.floats(0, 0.9))
def test_positions_are_those_of_nnunet(size: int, window: int, overlap: float) -> None:
    size = max(size, window)
    assert starts(size, window, overlap) == starts_of_nnunet(size, window, overlap)


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 100), st.floats(0, 0.9))
def test_windows_cover_the_image_and_overlap(size: int, window: int, overlap: float) -> None:
    size = max(size, window)
    found = starts(size, window, overlap)
    assert found[0] == 0
    assert found[-1] == size - window
    steps = np.diff(found)
    # Half a pixel of rounding at each end, but never a gap.
    assert (steps >= 0).all()
    assert (steps <= min(window, window * (1 - overlap) + 1)).all()


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.sampled_from(["gaussian", "constant"]))
def test_weights_are_positive_and_at_most_one(window: list[int], weighting: str) -> None:
    weight = window_weight(tuple(window), weighting)
    assert weight.shape == tuple(window)
    assert weight.dtype == torch.float32
    assert weight.min() > 0
    assert weight.max() == 1
    assert weighting != "constant" or weight.min() == 1


def test_gaussian_is_the_normal_density() -> None:
    """Centred at half the window, of deviation window / 8."""
    weight = window_weight((64, 48), "gaussian").numpy()
    lines = [norm.pdf(np.arange(size), size // 2, size / 8) / norm.pdf(0, 0, size / 8) for size in (64, 48)]
    np.testing.assert_allclose(weight, np.outer(*lines), atol=1e-4)


# Blending


@dims
@weightings
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.7])
def test_same_as_brute_force(dims: int, weighting: str, overlap: float) -> None:
    """The weighted mean at every pixel over all windows that hold it."""
    forward, whole = network(dims), image(dims)
    weight = window_weight(WINDOWS[dims], weighting)
    result = SlidingWindow(WINDOWS[dims], overlap, weighting)(forward, whole)
    places = window_places(SIZES[dims], WINDOWS[dims], overlap)
    for head, channels in (("mask", 3), ("contour", 1)):
        total = torch.zeros(1, channels, *SIZES[dims], dtype=torch.float64)
        weights = torch.zeros(SIZES[dims], dtype=torch.float64)
        for place in places:
            total[:, :, *place] += forward(whole[:, :, *place])[head] * weight
            weights[place] += weight
        assert (weights > 0).all()
        torch.testing.assert_close(result[head].double(), total / weights, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("size", "window", "overlap"),
    [
        ((64, 48), (32, 16), 0.5),
        ((24, 40, 16), (16, 16, 8), 0.5),
        ((60, 60), (20, 20), 0.0),
        ((96,) * 2, (32,) * 2, 0.75),
    ],
)
@weightings
@pytest.mark.parametrize("batch", [1, 2])
def test_same_as_monai(
    size: tuple[int, ...], window: tuple[int, ...], overlap: float, weighting: str, batch: int
) -> None:
    """Where the sizes are such that both place the same windows."""
    forward = network(len(size))
    whole = torch.randn(batch, 2, *size)
    expected = sliding_window_inference(
        whole, window, 3, forward, overlap, mode="gaussian", roi_weight_map=window_weight(window, weighting)
    )
    result = SlidingWindow(window, overlap, weighting, 3)(forward, whole)
    for head in ("mask", "contour"):
        torch.testing.assert_close(result[head], expected[head], atol=1e-5, rtol=1e-5)


@dims
@weightings
@pytest.mark.parametrize("mirror", [False, True])
def test_identity_network_gives_the_image(dims: int, weighting: str, mirror: bool) -> None:
    whole = image(dims, batch=2)
    result = SlidingWindow(WINDOWS[dims], 0.6, weighting, 5, mirror)(identity, whole)["mask"]
    torch.testing.assert_close(result, whole, atol=1e-5, rtol=1e-5)


@dims
@weightings
def test_constant_network_gives_the_constant(dims: int, weighting: str) -> None:
    inference = SlidingWindow(WINDOWS[dims], 0.3, weighting)
    result = inference(lambda windows: {"mask": torch.full_like(windows, 7)}, image(dims))["mask"]
    torch.testing.assert_close(result, torch.full_like(result, 7))


@dims
@pytest.mark.parametrize("mirror", [False, True])
def test_windows_in_one_pass_do_not_matter(dims: int, mirror: bool) -> None:
    whole = image(dims, batch=2)
    results = [
        SlidingWindow(WINDOWS[dims], 0.5, "gaussian", count, mirror)(network(dims), whole) for count in (1, 4, 7, 999)
    ]
    for result, head in itertools.product(results[1:], ("mask", "contour")):
        torch.testing.assert_close(result[head], results[0][head], atol=1e-5, rtol=1e-5)


@dims
def test_no_more_windows_in_one_pass_than_asked(dims: int) -> None:
    sizes = []

    def forward(windows: Tensor) -> dict[str, Tensor]:
        sizes.append(windows.shape)
        return {"mask": windows}

    SlidingWindow(WINDOWS[dims], batch_size=3)(forward, image(dims))
    assert {size[1:] for size in sizes} == {(2, *WINDOWS[dims])}
    assert {size[0] for size in sizes[:-1]} == {3}
    assert sum(size[0] for size in sizes) == len(window_places(SIZES[dims], WINDOWS[dims], 0.5))


@pytest.mark.parametrize("size", [(5, 9), (16, 3), (15, 40), (40, 11), (1, 1), (16, 12)])
@pytest.mark.parametrize("mirror", [False, True])
def test_image_smaller_than_the_window(size: tuple[int, int], mirror: bool) -> None:
    """It is in the middle of a window of zeros, and the logits have its size."""
    whole = torch.randn(2, 2, *size)
    seen = []

    def forward(windows: Tensor) -> dict[str, Tensor]:
        seen.append(windows)
        return {"mask": windows}

    result = SlidingWindow((16, 12), mirror=mirror)(forward, whole)["mask"]
    torch.testing.assert_close(result, whole, atol=1e-5, rtol=1e-5)
    assert {window.shape[2:] for window in seen} == {(16, 12)}
    if all(length <= extent for length, extent in zip(size, (16, 12), strict=True)):
        expected = torch.zeros(2, 2, 16, 12)
        top, left = (16 - size[0]) // 2, (12 - size[1]) // 2
        expected[:, :, top : top + size[0], left : left + size[1]] = whole
        assert torch.equal(seen[0], expected)


def test_image_of_the_windows_size_is_one_pass() -> None:
    whole = torch.randn(1, 2, *WINDOWS[2])
    assert torch.equal(SlidingWindow(WINDOWS[2])(network(2), whole)["mask"], network(2)(whole)["mask"])


# Mirrors


def even(windows: Tensor) -> dict[str, Tensor]:
    """A network that commutes with mirroring: each pixel on its own."""
    return {"mask": windows**2 - 0.3 * windows}


@dims
def test_mirroring_changes_nothing_where_the_network_mirrors(dims: int) -> None:
    whole = image(dims)
    assert torch.equal(Whole(mirror=True)(even, whole)["mask"], even(whole)["mask"])
    plain, mirrored = (SlidingWindow(WINDOWS[dims], mirror=mirror)(even, whole)["mask"] for mirror in (False, True))
    torch.testing.assert_close(mirrored, plain)


@dims
def test_mirrored_mean_over_all_flips(dims: int) -> None:
    whole, forward = image(dims), network(dims)
    passes = []

    def counted(windows: Tensor) -> dict[str, Tensor]:
        passes.append(windows)
        return forward(windows)

    result = Whole(mirror=True)(counted, whole)
    assert len(passes) == 2**dims
    assert len({window.numpy().tobytes() for window in passes}) == 2**dims
    for head in ("mask", "contour"):
        flipped = []
        for chosen in itertools.product((False, True), repeat=dims):
            axes = [axis + 2 for axis, flip in enumerate(chosen) if flip]
            flipped.append(forward(whole.flip(axes))[head].flip(axes))
        torch.testing.assert_close(result[head], torch.stack(flipped).mean(0), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize("mirror", [*itertools.product((False, True), repeat=2)])
def test_mean_over_some_mirrors_and_turns(mirror: tuple[bool, bool], rotate: bool) -> None:
    """All that the chosen ones can do together, each once."""
    whole, forward = image(2)[..., :9, :9], network(2)
    generators = [lambda x, axis=axis: x.flip(axis + 2) for axis in (0, 1) if mirror[axis]]
    generators += [lambda x: x.rot90(1, (2, 3))] * rotate
    places = torch.arange(81.0).reshape(1, 1, 9, 9)
    group = {places.numpy().tobytes(): places}
    for _ in range(8):
        grown = [generate(member) for member in group.values() for generate in generators]
        group |= {member.numpy().tobytes(): member for member in grown}
    expected = torch.zeros_like(forward(whole)["mask"]).flatten(2)
    for member in group.values():
        order = member.flatten().long()
        view = whole.flatten(2)[..., order].reshape(whole.shape)
        expected[..., order] += forward(view)["mask"].flatten(2) / len(group)
    result = Whole(mirror=mirror, rotate=rotate)(forward, whole)["mask"]
    torch.testing.assert_close(result.flatten(2), expected, atol=1e-5, rtol=1e-4)


def test_mirrors_of_another_number_of_axes_are_refused() -> None:
    with pytest.raises(UserError, match=r"inference.mirror=\[False\]: must be .* for each of the 2 axes"):
        Whole(mirror=[False])(even, image(2))


@dims
def test_mirrored_prediction_of_a_symmetric_image_is_symmetric(dims: int) -> None:
    whole = image(dims)
    for axis in range(2, dims + 2):
        whole = whole + whole.flip(axis)
    result = Whole(mirror=True)(network(dims), whole)["mask"]
    for axis in range(2, dims + 2):
        torch.testing.assert_close(result.flip(axis), result, atol=1e-5, rtol=1e-5)


# What networks return


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("make", [Whole, partial(SlidingWindow, (16, 16))], ids=["whole", "sliding_window"])
def test_finest_output_of_deep_supervision_in_float32(make: Callable[..., Any], mirror: bool) -> None:
    def forward(windows: Tensor) -> dict[str, Tensor | list[Tensor]]:
        return {"mask": [windows.bfloat16(), windows[:, :, ::2, ::2].bfloat16()], "other": windows[:, :1].half()}

    whole = image(2).bfloat16().float()
    result = make(mirror=mirror)(forward, whole)
    assert {head: logits.dtype for head, logits in result.items()} == {"mask": torch.float32, "other": torch.float32}
    torch.testing.assert_close(result["mask"], whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(result["other"], whole[:, :1], atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"overlap": 1.0}, "overlap=1.0: must be at least 0 and below 1"),
        ({"overlap": -0.1}, "overlap=-0.1"),
        ({"weighting": "gauss"}, "weighting=gauss: must be one of gaussian, constant"),
        ({"batch_size": 0}, "batch_size=0: must be at least 1"),
    ],
)
def test_impossible_settings(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SlidingWindow((8, 8), **wrong)


@pytest.mark.parametrize("file", sorted(CONF.glob("*.yaml")), ids=lambda file: file.stem)
def test_configured_inferences(file: Path) -> None:
    config = OmegaConf.create({"data": {"patch_size": [16, 12]}, "inference": OmegaConf.load(file)})
    if "margin" in config.inference:
        config.inference.margin = 3  # the network predicts all that it sees
    if "spread" in config.inference:
        config.inference.update(stride=1, spread=1)  # every pixel by itself, nothing blended
    inference = instantiate(config.inference, _convert_="all")
    torch.testing.assert_close(inference(identity, image(2))["mask"], image(2), atol=1e-5, rtol=1e-5)


def test_mirrors_that_cannot_be_are_refused_before_training() -> None:
    config = configure("inference.mirror=[false,true,false]", "data.dataset.cases=6", "data.dataset.size=[96,128]")
    data = assembly.build_data(config)
    with pytest.raises(UserError, match=r"inference\.mirror=\[False, True, False\]: must be true, false, or one of"):
        assembly.build_module(config, assembly.Labels.of(data.dataset))


# Some rows at a time


@pytest.mark.parametrize("size", [(20, 33, 18), (8, 12, 10), (5, 30, 6), (9, 12, 25)])
@weightings
def test_slabs_are_the_rows_of_the_whole(size: tuple[int, ...], weighting: str) -> None:
    whole = torch.randn(1, 2, *size, generator=torch.Generator().manual_seed(0))
    inference = SlidingWindow(WINDOWS[3], weighting=weighting, batch_size=3)
    expected = inference(network(3), whole)
    found = list(inference.slabs(network(3), whole))
    row = 0
    for start, logits in found:
        assert start == row
        row += logits["mask"].shape[1]
    for head, logits in expected.items():
        torch.testing.assert_close(torch.cat([part[head] for _, part in found], 1), logits[0], atol=1e-5, rtol=1e-5)
