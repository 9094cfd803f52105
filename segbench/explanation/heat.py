"""Heat maps: how much each place of an image speaks for a decision."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from captum.attr import IntegratedGradients, Occlusion
from torch import Tensor, nn
from torch.nn.functional import interpolate

from segbench.explanation.layers import Response, Score


def weights(found: Response) -> Tensor:
    """The weight of each filter (K,): the mean over the positions of the score's gradient.

    Seg-Grad-CAM (Vinogradova, Dibrov, Myers 2020): alpha_k = 1/N sum_uv d(sum of the logits of a region) / d A^k_uv;
    for a single output that is Grad-CAM (Selvaraju et al. 2017). Of disjoint regions the weights add up.
    """
    return found.gradient.flatten(1).mean(1)


def grad_cam(found: Response, size: Sequence[int]) -> Tensor:
    """ReLU(sum_k alpha_k A^k) at the image's size (*S)."""
    return _enlarged(_weighted(weights(found), found.features), size)


def grad_cam_plus_plus(found: Response, size: Sequence[int]) -> Tensor:
    """Grad-CAM++ (Chattopadhay et al. 2018, equation 19), at the image's size (*S).

    The weight of a filter is the sum over its positions of a_uv ReLU(g_uv), with
    a = g^2 / (2 g^2 + sum_uv A_uv g^3), g being the score's gradient.
    """
    g, features = found.gradient, found.features
    axes = tuple(range(1, g.ndim))
    divisor = 2 * g**2 + features.sum(dim=axes, keepdim=True) * g**3
    shares = torch.where(divisor != 0, g**2 / torch.where(divisor != 0, divisor, 1.0), 0.0)
    return _enlarged(_weighted((shares * g.relu()).sum(dim=axes), features), size)


def integrated_gradients(network: nn.Module, image: Tensor, score: Score, steps: int = 32) -> Tensor:
    """The sum over channels of |integrated gradients| (Sundararajan, Taly, Yan 2017) from the image's mean: (*S).

    Args:
        network: in evaluation mode.
        image: (1, C, *S).
        score: what is explained.
        steps: on the way from the baseline, a forward and a backward pass each.
    """
    method = IntegratedGradients(lambda images: _each(network, images, score))
    found = method.attribute(image, baselines=_mean(image), n_steps=steps, internal_batch_size=1)
    return torch.as_tensor(found[0]).abs().sum(0).detach()


def occlusion(network: nn.Module, image: Tensor, score: Score, windows: int = 12) -> Tensor:
    """The loss of score where a window of the image is its mean (Zeiler and Fergus 2014), at least 0: (*S).

    Args:
        network: in evaluation mode.
        image: (1, C, *S).
        score: what is explained.
        windows: along the longest edge; they overlap by a half, and each is a forward pass.
    """
    edge = max(1, max(image.shape[2:]) // windows)
    shape = (image.shape[1], *(min(2 * edge, length) for length in image.shape[2:]))
    strides = (image.shape[1], *(min(edge, length) for length in image.shape[2:]))
    with torch.no_grad():
        method = Occlusion(lambda images: _each(network, images, score))
        found = method.attribute(image, shape, strides=strides, baselines=_mean(image))
    return torch.as_tensor(found[0]).mean(0).relu()


def normalised(heat: Tensor) -> Tensor:
    """The map divided by its largest value; 0 where it is nowhere above 0."""
    top = heat.max()
    return heat / top if top > 0 else torch.zeros_like(heat)


def _weighted(alpha: Tensor, features: Tensor) -> Tensor:
    return torch.einsum("k,k...->...", alpha, features).relu()


def _enlarged(heat: Tensor, size: Sequence[int]) -> Tensor:
    mode = "bilinear" if heat.ndim == 2 else "trilinear"
    return interpolate(heat[None, None], size=tuple(size), mode=mode, align_corners=False)[0, 0]


def _mean(image: Tensor) -> Tensor:
    """The mean of each channel everywhere."""
    return image.mean(dim=tuple(range(2, image.ndim)), keepdim=True).expand_as(image)


def _each(network: nn.Module, images: Tensor, score: Score) -> Tensor:
    return torch.stack([score(network, image[None]) for image in images])
