"""The overlap-tile strategy and turned views, against one pass over the whole mirrored image and by identities."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from segbench.errors import UserError
from segbench.inference import OverlapTile, SlidingWindow, Whole
from segbench.inference.views import predict_views


def draw(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def valid(dims, kernel):
    """Convolutions that take kernel - 1 pixels away, and two heads."""
    torch.manual_seed(0)
    conv = (nn.Conv2d, nn.Conv3d)[dims - 2](2, 3, kernel)

    def network(image):
        with torch.no_grad():
            logits = conv(image).tanh()
        return {"mask": logits, "contour": logits[:, :1] ** 2}

    return network


def crop(margin):
    """Predicts the image itself, but for a margin."""
    inner = slice(margin, -margin)
    return lambda image: {"mask": image[(..., *[inner] * (image.ndim - 2))]}


@pytest.mark.parametrize(("dims", "kernel"), [(2, 5), (2, 4), (2, (3, 6)), (3, 3), (3, (1, 2, 4))])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_same_as_one_pass_over_the_mirrored_image(dims, kernel, batch_size):
    network, image = valid(dims, kernel), draw(2, 2, *(19, 14, 9)[:dims])
    kernels = [kernel] * dims if isinstance(kernel, int) else kernel
    result = OverlapTile((11, 9, 8)[:dims], batch_size=batch_size)(network, image)
    around = [n for k in reversed(kernels) for n in ((k - 1) // 2, k - 1 - (k - 1) // 2)]
    expected = network(F.pad(image, around, mode="reflect"))
    for head in ("mask", "contour"):
        torch.testing.assert_close(result[head], expected[head], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("window", [(9, 9), (30, 22), (64, 64)])
@pytest.mark.parametrize("size", [(19, 14), (1, 1), (3, 40), (8, 2)])
def test_pixels_go_where_they_came_from(window, size):
    image = draw(1, 2, *size)
    assert torch.equal(OverlapTile(window)(crop(4), image)["mask"], image)


def test_one_pixel_for_each_window():
    """A classifier of a window's centre, pixel (W - 1) // 2."""
    image = draw(1, 1, 7, 5)
    result = OverlapTile((5, 4), batch_size=6)(lambda windows: {"mask": windows[..., 2:3, 1:2]}, image)
    assert torch.equal(result["mask"], image)


def test_a_network_that_returns_one_pixel_for_each_place_of_its_window():
    """Larger tiles give the same with fewer passes."""
    conv, passes = valid(2, 6), []

    def network(image):
        passes.append(image.shape)
        return conv(image)

    image = draw(1, 2, 24, 17)
    windows = OverlapTile((6, 6), batch_size=64)(network, image)
    count = len(passes)
    dense = OverlapTile((20, 20))(network, image)
    assert len(passes) - count < count
    torch.testing.assert_close(dense["mask"], windows["mask"], atol=1e-6, rtol=1e-5)


def test_step_is_a_multiple_without_gaps():
    starts = []

    def network(tiles):
        starts.extend(tile[0, 0, 4].item() for tile in tiles[:, :, 4:5].movedim(2, 1))
        return crop(4)(tiles)

    image = torch.arange(60.0).expand(1, 1, 9, 60)
    result = OverlapTile((27, 27), step_multiple=8, batch_size=1)(network, image)
    assert torch.equal(result["mask"], image)
    # After the tile of zeros that is measured: 19 pixels are predicted of each tile, 16 are the step.
    assert starts[1:] == [0, 16, 32, 48]


def test_margin_makes_tiles_of_a_network_that_predicts_all_that_it_sees():
    torch.manual_seed(0)
    conv = nn.Conv2d(1, 2, 5, padding=2)
    image = draw(1, 1, 30, 26)
    with torch.no_grad():
        result = OverlapTile((16, 16), margin=2)(lambda tiles: {"mask": conv(tiles)}, image)["mask"]
        expected = F.conv2d(F.pad(image, [2] * 4, mode="reflect"), conv.weight, conv.bias)
    torch.testing.assert_close(result, expected, atol=1e-6, rtol=1e-5)


def test_another_network_is_measured_anew():
    inference, image = OverlapTile((16, 16)), draw(1, 1, 20, 20)
    for margin in (2, 5, 2):
        assert torch.equal(inference(crop(margin), image)["mask"], image)


def test_finest_of_deep_supervision_in_float32():
    result = OverlapTile((16, 16))(
        lambda tiles: {"mask": [tiles[..., 2:-2, 2:-2].bfloat16(), tiles[..., ::2, ::2]]}, draw(1, 1, 9, 9)
    )
    assert result["mask"].dtype == torch.float32


@pytest.mark.parametrize(
    ("inference", "network", "message"),
    [
        (OverlapTile((16, 16)), lambda tiles: {"mask": tiles}, "inference=overlap_tile: the network predicts all"),
        (OverlapTile((16, 16)), lambda tiles: {"mask": F.pad(tiles, [1] * 4)}, r"the network returns more, \(18, 18\)"),
        (OverlapTile((16, 16), 16), crop(2), r"inference\.step_multiple=16: a tile of \(16, 16\) predicts only"),
        (Whole(), crop(2), r"inference=whole: the network predicts \(16, 16\) of the \(20, 20\) pixels"),
        (SlidingWindow((16, 16)), crop(2), r"inference=sliding_window: .*\(12, 12\) of the \(16, 16\).*overlap_tile"),
        (SlidingWindow((24, 24)), crop(2), r"inference=sliding_window: .*\(20, 20\) of the \(24, 24\)"),
    ],
)
def test_networks_of_another_kind(inference, network, message):
    with pytest.raises(UserError, match=message):
        inference(network, draw(1, 1, 20, 20))


@pytest.mark.parametrize("wrong", [{"step_multiple": 0}, {"batch_size": 0}, {"margin": 8}, {"margin": -1}])
def test_impossible_settings(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
        OverlapTile((16, 16), **wrong)


# Mirrored and turned views


@pytest.mark.parametrize(
    ("dims", "mirror", "rotate", "count"),
    [(2, False, False, 1), (2, True, False, 4), (2, False, True, 4), (2, True, True, 8), (3, False, True, 4),
     (3, True, True, 16)],
)  # fmt: skip
def test_every_view_is_seen_once_and_turned_back(dims, mirror, rotate, count):
    seen = []

    def network(image):
        seen.append(image)
        return {"mask": 3 * image}

    image = draw(1, 1, *[6] * dims)
    result = predict_views(network, image, mirror, rotate)["mask"]
    torch.testing.assert_close(result, 3 * image)
    assert len(seen) == count
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(seen, 2))


@pytest.mark.parametrize("mirror", [False, True])
def test_mean_over_turns(mirror):
    network, image = valid(2, 5), draw(1, 2, 16, 16)
    turns = [(k, flip) for k in range(4) for flip in ((False, True) if mirror else (False,))]
    expected = []
    for k, flip in turns:
        view = image.rot90(k, (2, 3))
        logits = network(view.flip(3) if flip else view)["mask"]
        expected.append((logits.flip(3) if flip else logits).rot90(-k, (2, 3)))
    result = predict_views(network, image, mirror, rotate=True)["mask"]
    torch.testing.assert_close(result, torch.stack(expected).mean(0), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "inference", [Whole(rotate=True), SlidingWindow((8, 8), rotate=True), OverlapTile((8, 8), rotate=True)]
)
def test_turned_tiles(inference):
    """A network that turns with the image gives what it gives without."""
    network = crop(2) if isinstance(inference, OverlapTile) else lambda image: {"mask": image}
    image = draw(1, 1, 16, 16)
    torch.testing.assert_close(inference(network, image)["mask"], image)
