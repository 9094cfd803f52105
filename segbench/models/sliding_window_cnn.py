"""The sliding-window network of Ciresan, Giusti, Gambardella and Schmidhuber (NIPS 2012), which U-Net replaced.

Deep neural networks segment neuronal membranes in electron microscopy images: the class of a window's central pixel.
The layers of their network N4 are recalled from the paper, not read again; their sizes lead from 95 x 95 pixels to
one. Not built: foveation, non-uniform sampling, and the polynomial that calibrates the mean of four networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d

from segbench.errors import UserError
from segbench.models.blocks import ACTIVATIONS, choose, initialise
from segbench.models.centre_view import check_2d
from segbench.models.heads import Outputs, split_heads


class SlidingWindowCNN(nn.Module):
    """Convolutions and 2x2 poolings down to a few pixels, one hidden layer, and the class of the window's centre.

    A window gives one pixel of logits. A larger image gives one for each place of the window: layers after a pooling
    of stride 2 then read every second pixel of one of stride 1, and so on ("a trous"), which computes the same
    numbers without doing anything twice. In training a larger patch is cut to the window around its centre, whose class
    is what the network learns.

    Source: Ciresan, Giusti, Gambardella and Schmidhuber, NIPS 2012.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        channels: Sequence[int] = (48, 48, 48, 48),
        kernels: Sequence[int] = (4, 5, 4, 4),
        rest: int = 3,
        hidden: int = 200,
        act: str = "relu",
        slope: float = 0.01,
        init: str = "he_normal",
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2.
            in_channels: channels of the image.
            heads: name -> channels of its logits.
            channels: of each convolution.
            kernels: height and width of each convolution's kernel; a 2x2 max pooling follows each.
            rest: pixels that are left of the window after the last pooling, which the hidden layer sees all.
            hidden: units of the hidden layer.
            act: a key of `blocks.ACTIVATIONS`.
            slope: of a leaky ReLU below zero.
            init: a key of `blocks.INITIALISATIONS`.

        Raises:
            UserError: where a name is unknown, there is not one kernel for each convolution, or the data is 3D.
        """
        super().__init__()
        check_2d(spatial_dims, "sliding_window_cnn")
        if len(channels) != len(kernels) or not channels or min(*channels, *kernels, rest, hidden) < 1:
            raise UserError(
                f"model.channels={list(channels)} and model.kernels={list(kernels)}: one of each is needed for every"
                " convolution, all at least 1, as are model.rest and model.hidden"
            )
        activation = choose(ACTIVATIONS, act, "model.act")
        pieces = activation.pieces
        self.window = rest
        for kernel in reversed(kernels):
            self.window = 2 * self.window + kernel - 1
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after * pieces, kernel)
            for (before, after), kernel in zip(pairwise([in_channels, *channels]), kernels, strict=True)
        )
        self.hidden = nn.Conv2d(channels[-1], hidden * pieces, rest)
        self.activations = nn.ModuleList(activation.build(width, slope) for width in [*channels, hidden])
        self.last = nn.Conv2d(hidden, sum(heads.values()), 1)
        self.heads = dict(heads)
        initialise(self, init)

    def check_patch(self, size: Sequence[int]) -> None:
        """Refuse patches (H, W) that are smaller than the window.

        Raises:
            UserError: saying the least size.
        """
        if min(size) < self.window:
            raise UserError(
                f"data.patch_size={list(size)} is smaller than the window of model=sliding_window_cnn: it needs"
                f" at least [{self.window}, {self.window}], or smaller model.kernels"
            )

    def forward(self, image: Tensor) -> Outputs:
        """Logits of every head for the centre of each window.

        Args:
            image: (B, C, H, W), at least as large as the window w.

        Returns:
            Head name -> logits (B, K, H - w + 1, W - w + 1); in training (B, K, 1, 1).

        Raises:
            UserError: where the image is smaller than the window.
        """
        height, width = image.shape[2:]
        self.check_patch((height, width))
        if self.training:
            top, left = ((length - 1) // 2 - (self.window - 1) // 2 for length in (height, width))
            image = image[:, :, top : top + self.window, left : left + self.window]
        strided = image.shape[2] == image.shape[3] == self.window
        x, dilation = image, 1
        *early, last = self.activations
        for conv, activation in zip(self.convs, early, strict=True):
            assert isinstance(conv, nn.Conv2d)
            x = activation(conv2d(x, conv.weight, conv.bias, dilation=dilation))
            if strided:
                x = max_pool2d(x, 2)
            else:
                x = max_pool2d(x, 2, stride=1, dilation=dilation)
                dilation *= 2
        x = last(conv2d(x, self.hidden.weight, self.hidden.bias, dilation=dilation))
        return {**split_heads(self.last(x), self.heads)}
