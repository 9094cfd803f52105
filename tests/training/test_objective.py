"""The objective: a weighted sum over heads and resolutions."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import downscale_local_mean
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.unet import UNet
from segbench.training.objective import Objective, Part, resize, supervision_weights


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits, target, ignore_index=255)


def squared(logits: Tensor, target: Tensor) -> Tensor:
    return nn.functional.mse_loss(logits, target)


def logits(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), requires_grad=True)


def labels(*shape: int) -> Tensor:
    return torch.randint(0, 3, shape, generator=torch.Generator().manual_seed(1))


def test_weighted_sum_over_heads() -> None:
    mask, distance = logits(2, 3, 8, 8), logits(2, 1, 8, 8)
    batch = {"mask": labels(2, 8, 8), "distance": torch.rand(2, 1, 8, 8)}
    objective = Objective({"mask": Part(cross_entropy, 0.5), "distance": Part(squared, 3.0)})
    total, parts = objective({"mask": mask, "distance": distance, "unused": mask}, batch)
    assert list(parts) == ["mask", "distance"]
    assert parts["mask"] == cross_entropy(mask, batch["mask"])
    assert parts["distance"] == squared(distance, batch["distance"])
    torch.testing.assert_close(total, 0.5 * parts["mask"] + 3 * parts["distance"])
    total.backward()
    assert mask.grad is not None
    expected = torch.autograd.grad(0.5 * cross_entropy(mask, batch["mask"]), mask)[0]
    torch.testing.assert_close(mask.grad, expected)


def test_missing_head_is_named() -> None:
    objective = Objective({"contour": Part(cross_entropy)})
    with pytest.raises(UserError, match=r"task\.objective\.contour: the model returns no head 'contour', only a, b"):
        objective({"a": logits(1, 2, 4, 4), "b": logits(1, 2, 4, 4)}, {"contour": labels(1, 4, 4)})


@settings(deadline=None)
@given(st.integers(1, 9))
def test_supervision_weights_are_those_of_nnunet(count: int) -> None:
    """nnU-Net v2: halved at each resolution, the lowest 0, normalised."""
    expected = np.array([1 / (2**i) for i in range(count)])
    if count > 1:
        expected[-1] = 0
    np.testing.assert_allclose(supervision_weights(count), expected / expected.sum())


def test_published_supervision_weights() -> None:
    np.testing.assert_allclose(supervision_weights(5), np.array([8, 4, 2, 1, 0]) / 15)


@pytest.mark.parametrize("dims", [2, 3])
def test_deep_supervision(dims: int) -> None:
    """Each resolution against the label at its size; the coarsest has no part."""
    size = 16
    outputs = [logits(2, 3, *(size // 2**i,) * dims) for i in range(3)]
    target = labels(2, *(size,) * dims)
    total, parts = Objective({"mask": Part(cross_entropy, 2.0)})({"mask": outputs}, {"mask": target})
    half = target[:, *(slice(1, None, 2),) * dims]
    expected = cross_entropy(outputs[0], target) * 2 / 3 + cross_entropy(outputs[1], half) / 3
    torch.testing.assert_close(parts["mask"], expected)
    torch.testing.assert_close(total, 2 * expected)
    total.backward()
    assert outputs[1].grad is not None
    assert outputs[2].grad is None


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    """A single process that is told it is one of several."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.usefixtures("process_group")
def test_deep_supervision_in_several_processes(dims: int) -> None:
    """DDP refuses the second step where a parameter had no gradient in the first; the weights are those without it."""
    objective = Objective({"mask": Part(cross_entropy)})
    image, target = torch.rand(2, 1, *(16,) * dims), labels(2, *(16,) * dims)
    trained = []
    for wrap in (nn.parallel.DistributedDataParallel, lambda net: net):
        torch.manual_seed(0)
        net = UNet(dims, 1, {"mask": 3}, channels=(2, 4, 4, 4), deep_supervision=True)
        optimizer, wrapped = torch.optim.SGD(net.parameters(), lr=0.1), wrap(net)
        for _ in range(2):
            optimizer.zero_grad()
            objective(wrapped(image), {"mask": target})[0].backward()
            assert all(parameter.grad is not None for parameter in net.parameters())
            optimizer.step()
        trained.append(list(net.parameters()))
    assert all(torch.equal(one, other) for one, other in zip(*trained, strict=True))


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf"), -float("inf")])
@pytest.mark.usefixtures("process_group")
def test_the_level_that_does_not_count_adds_nothing_whatever_it_holds(value: float) -> None:
    outputs = [logits(2, 3, 8, 8), torch.full((2, 3, 4, 4), value, requires_grad=True)]
    target = labels(2, 8, 8)
    total, _ = Objective({"mask": Part(cross_entropy)})({"mask": outputs}, {"mask": target})
    assert total == cross_entropy(outputs[0], target)
    total.backward()
    assert outputs[1].grad is not None
    assert not outputs[1].grad.any()


def test_single_output_in_a_list_is_that_output() -> None:
    one, target = logits(2, 3, 8, 8), labels(2, 8, 8)
    objective = Objective({"mask": Part(cross_entropy)})
    torch.testing.assert_close(objective({"mask": [one]}, {"mask": target}), objective({"mask": one}, {"mask": target}))


@pytest.mark.parametrize("shape", [(2, 12, 8), (2, 6, 12, 8)])
def test_resized_labels_of_blocks_are_the_blocks(shape: tuple[int, ...]) -> None:
    """A label of constant 2 x 2 (x 2) blocks loses nothing, ignored pixels included; block means agree."""
    dims = len(shape) - 1
    small = torch.from_numpy(np.random.default_rng(0).choice([0, 1, 2, 255], (2, *(n // 2 for n in shape[1:]))))
    large = small
    for axis in range(1, dims + 1):
        large = large.repeat_interleave(2, axis)
    result = resize(large, torch.zeros(2, 3, *small.shape[1:]))
    assert torch.equal(result, small)
    assert result.dtype == torch.int64
    means = downscale_local_mean(large.double().numpy(), (1, *(2,) * dims))
    np.testing.assert_array_equal(result.numpy(), means)


@settings(deadline=None)
@given(st.lists(st.integers(1, 20), min_size=2, max_size=2), st.lists(st.integers(1, 20), min_size=2, max_size=2))
def test_resized_by_nearest_centre(size: list[int], wanted: list[int]) -> None:
    target = torch.arange(size[0] * size[1]).reshape(1, *size)
    result = resize(target, torch.zeros(1, 2, *wanted))
    lines = [((np.arange(n) + 0.5) * have / n).astype(int) for have, n in zip(size, wanted, strict=True)]
    np.testing.assert_array_equal(result[0], target[0].numpy()[np.ix_(*lines)])


def test_targets_with_channels_are_resized_too() -> None:
    target = torch.rand(2, 3, 8, 8)
    result = resize(target, torch.zeros(2, 3, 4, 4))
    torch.testing.assert_close(result, torch.nn.functional.avg_pool2d(target, 2))  # values are averaged
    masks = (target > 0.5).to(torch.uint8)
    assert torch.equal(resize(masks, torch.zeros(2, 3, 4, 4)), masks[:, :, 1::2, 1::2])  # masks are not
    assert resize(target, torch.zeros(2, 7, 8, 8)) is target


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_see_float32(dtype: torch.dtype) -> None:
    """Also under autocast, where a matrix product in the loss would be computed in half precision."""
    seen = []

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        product = logits.flatten(1) @ logits.flatten(1).T
        seen.extend([logits.dtype, product.dtype])
        return product.mean()

    one = logits(2, 3, 4, 4).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for outputs in (one, [one, one[:, :, ::2, ::2], one[:, :, ::4, ::4]]):
            total, _ = Objective({"mask": Part(loss)})({"mask": outputs}, {"mask": labels(2, 4, 4)})
            assert total.dtype == torch.float32
    assert set(seen) == {torch.float32}


def test_losses_with_state_move_with_the_objective() -> None:
    loss = nn.CrossEntropyLoss(weight=torch.ones(3))
    objective = Objective({"mask": Part(loss)})
    assert "parts.mask.loss.weight" in objective.state_dict()


@pytest.mark.parametrize("inner", [(4, 6), (1, 1), (3, 5)])
def test_logits_of_the_centre_meet_the_centre_of_the_target(inner: tuple[int, int]) -> None:
    """As valid convolutions and classifiers of a patch's centre have them: the same margin on both sides."""
    small, target = logits(2, 3, *inner), labels(2, 10, 12)
    loss, _ = Objective({"mask": Part(cross_entropy)})({"mask": small}, {"mask": target})
    top, left = ((whole - part) // 2 for whole, part in zip((10, 12), inner, strict=True))
    middle = target[:, top : top + inner[0], left : left + inner[1]]
    assert loss == cross_entropy(small, middle)


def test_weights_of_pixels_reach_the_losses_that_take_them() -> None:
    class Weighted(nn.Module):
        def forward(self, logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
            return (weight * nn.functional.cross_entropy(logits, target, reduction="none")).mean()

    weighted = Weighted()
    mask, target, weight = logits(2, 3, 6, 6), labels(2, 10, 10), torch.rand(2, 10, 10)
    objective = Objective({"mask": Part(weighted), "other": Part(cross_entropy)}, weighted=True)
    _, parts = objective({"mask": mask, "other": mask}, {"mask": target, "other": target, "weight": weight})
    middle = target[:, 2:8, 2:8]
    assert parts["mask"] == weighted(mask, middle, weight[:, 2:8, 2:8])
    assert parts["other"] == cross_entropy(mask, middle)


def test_weights_that_no_loss_takes() -> None:
    with pytest.raises(UserError, match=r"task\.weight: function takes no weights of pixels; choose loss="):
        Objective({"mask": Part(cross_entropy)}, weighted=True)
