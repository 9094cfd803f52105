"""Networks of the user's own."""

import pytest
import torch
from torch import nn

from segbench.errors import UserError
from segbench.models.external import External


class Returns(nn.Module):
    """Returns what a function makes of the image."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, image):
        return self.function(image)


def run(function, image, **heads):
    return External(Returns(function), spatial_dims=image.ndim - 2, in_channels=image.shape[1], heads=heads)(image)


@pytest.mark.parametrize("size", [(6, 5), (6, 5, 4)])
def test_one_tensor_is_dealt_out_to_the_heads(size):
    image = torch.rand(2, 3, *size)
    outputs = run(lambda x: x, image, mask=2, contour=1)
    assert torch.equal(outputs["mask"], image[:, :2])
    assert torch.equal(outputs["contour"], image[:, 2:])


@pytest.mark.parametrize("kind", [list, tuple])
def test_list_is_deep_supervision(kind):
    image = torch.rand(2, 3, 6, 4)
    outputs = run(lambda x: kind([x, x[..., ::2, ::2]]), image, mask=2, contour=1)
    assert [logits.shape for logits in outputs["mask"]] == [(2, 2, 6, 4), (2, 2, 3, 2)]
    assert torch.equal(outputs["contour"][1], image[:, 2:, ::2, ::2])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x[:, :1], "returns 1 channels, the heads need 3 (mask: 2, contour: 1)"),
        (lambda x: [x, x[:, :1]], "returns 1 channels, the heads need 3 (mask: 2, contour: 1)"),
        (
            lambda x: x[..., 1:-1],
            "returns logits of size (6, 3) for an image of size (6, 5); the sizes must be equal",
        ),
        (lambda x: {"out": x}, "must return a tensor of logits, or a list of them, finest first"),
        (lambda x: [], "must return a tensor of logits, or a list of them, finest first"),
    ],
)
def test_errors_say_what_is_wrong(function, message):
    with pytest.raises(UserError) as error:
        run(function, torch.rand(2, 3, 6, 5), mask=2, contour=1)
    assert str(error.value) == f"model.net=Returns {message}"
