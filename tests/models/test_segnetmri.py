"""SegNetMRI: k-space, its measured lines, and blocks that keep them."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from segbench.errors import UserError
from segbench.models.segnetmri import SegNetMRI, consistent, fourier, inverse_fourier, sampled_lines
from segbench.models.unet import UNet

CPU = torch.device("cpu")


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def net(heads: dict[str, int] | None = None, **options: Any) -> SegNetMRI:
    torch.manual_seed(0)
    unet = partial(UNet, channels=[2, 4], norm="none")
    return SegNetMRI(2, 2, heads or {"mask": 3, "restored": 2}, net=unet, **{"blocks": 2, **options})


def test_the_transform_is_unitary() -> None:
    """Parseval, the inverse, and NumPy's."""
    image = draw(2, 1, 12, 9).to(torch.complex64)
    values = fourier(image)
    torch.testing.assert_close(values.abs().square().sum(), image.abs().square().sum())
    torch.testing.assert_close(inverse_fourier(values), image)
    np.testing.assert_allclose(values, np.fft.fft2(image.numpy(), norm="ortho"), atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 7, 64, 240])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 1.0])
def test_lines(count: int, share: float) -> None:
    lines = sampled_lines(count, share, 0.08, 0, CPU)[:, 0]
    assert lines.sum() == max(1, round(share * count))
    assert lines[0] == 1  # the mean of the image
    assert set(lines.tolist()) <= {0, 1}


def test_lines_are_drawn_by_the_seed() -> None:
    first, again, other = (sampled_lines(240, 0.2, 0.08, seed, CPU)[:, 0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    centre = np.abs(np.fft.fftfreq(240)) <= 0.04
    assert (first[centre] == 1).all()
    drawn = np.flatnonzero(first.numpy() * ~centre)
    assert np.ptp(drawn) > 120  # all over the k-space
    mean = np.mean([sampled_lines(240, 0.2, 0.0, seed, CPU)[:, 0].numpy() for seed in range(300)], axis=0)
    assert np.abs(mean[1:] - 0.2).max() < 0.1


def test_the_full_measurement_is_the_image() -> None:
    """After any block, whatever it adds."""
    image = draw(1, 2, 15, 12)
    torch.testing.assert_close(net(share=1.0)(image)["restored"], image, atol=1e-5, rtol=0)


def test_measured_lines_are_kept() -> None:
    image = draw(2, 2, 20, 12)
    lines = sampled_lines(20, 0.3, 0.1, 0, CPU)
    measured = fourier(image.to(torch.complex64)) * lines
    x = consistent(draw(2, 2, 20, 12).to(torch.complex64), measured, lines)
    assert (fourier(x) * lines - measured).abs().max() < 1e-6
    half = consistent(torch.zeros_like(x), measured, lines, trust=0.5)
    torch.testing.assert_close(fourier(half) * lines, measured / 2)


def test_nothing_else_of_the_image_is_seen() -> None:
    """Two images with the same measured lines give the same outputs."""
    model, image, other = net(share=0.3), draw(1, 2, 20, 12), torch.randn(1, 2, 20, 12)
    lines = sampled_lines(20, 0.3, 0.08, 0, CPU)
    # Real images have mirrored lines alike, so that only lines without a measured mirror image are free.
    free = 1 - torch.maximum(lines, torch.roll(lines.flip(0), 1, 0))
    changed = image + inverse_fourier(fourier(other.to(torch.complex64)) * free).real
    assert (changed - image).abs().max() > 0.1
    outputs, same = model(image), model(changed)
    for head in outputs:
        torch.testing.assert_close(outputs[head], same[head], atol=1e-4, rtol=1e-4)


def test_masks_of_blocks_are_merged() -> None:
    heads = {"mask": 3, "restored": 2, "mask_1": 3, "mask_2": 3}
    model = net(heads, auxiliary={"mask": ["mask_1", "mask_2"]})
    outputs = model(draw(1, 2, 16, 16))
    assert list(outputs) == list(heads)
    merged = model.merge["mask"](torch.cat([outputs["mask_1"], outputs["mask_2"]], dim=1))
    assert torch.equal(outputs["mask"], merged)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match=r"task.heads.restored=3: the reconstruction has the image's 2 channels"):
        net({"restored": 3})
    with pytest.raises(UserError, match=r"model.share=0: must be above 0"):
        net(share=0)
    with pytest.raises(UserError, match=r"model.auxiliary.mask: c must be of one of 2 blocks"):
        net({"mask": 2, "a": 2, "b": 2, "c": 2}, auxiliary={"mask": ["a", "b", "c"]})
