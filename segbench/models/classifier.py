"""Networks made to classify whole photographs, as classifiers of a patch's centre: AlexNet, VGG and their kin."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from segbench.errors import UserError, as_line
from segbench.models.centre_view import centre_view, check_2d, one_pixel
from segbench.models.heads import Outputs


class PatchClassifier(nn.Module):
    """A classification network of a library with the interface of all models here."""

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        net: Callable[..., nn.Module],
        view: int = 224,
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2.
            in_channels: channels of the image; for a number other than three the first convolution is drawn anew.
            heads: name -> channels of its logits; all heads share the network's last layer.
            net: makes the network from `num_classes`, as the functions of `torchvision.models` do.
            view: height and width in pixels to which a patch is resized.

        Raises:
            UserError: where the data is 3D, or the view too small for the network.
        """
        super().__init__()
        check_2d(spatial_dims, "torchvision_classifier")
        self.net = net(num_classes=sum(heads.values()))
        if in_channels != 3:
            _replace_first(self.net, in_channels)
        self.side = view
        self.heads = dict(heads)
        self._check_view(in_channels)

    def _check_view(self, in_channels: int) -> None:
        """Check that the network takes patches of this size, by a patch of zeros: no library says which it takes."""
        try:
            with torch.no_grad():
                self.net.eval()(torch.zeros(1, in_channels, self.side, self.side))
        except RuntimeError as error:
            raise UserError(
                f"model.view={self.side}: {type(self.net).__name__} takes no patches of that size"
                f" ({as_line(error)}); 64 suit most such networks, and 224 all of them"
            ) from error
        finally:
            self.net.train()

    def forward(self, image: Tensor) -> Outputs:
        """Logits (B, K, 1, 1) of every head: of the centre of `image` (B, C, H, W), of any size."""
        return one_pixel(self.net(centre_view(image, self.side)), self.heads)


def _replace_first(net: nn.Module, in_channels: int) -> None:
    """Put a convolution of as many channels in the place of the first, otherwise the same."""
    name, old = next((name, module) for name, module in net.named_modules() if isinstance(module, nn.Conv2d))
    parent, _, child = name.rpartition(".")
    new = nn.Conv2d(
        in_channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]  # torch types a pair as a tuple of any length
        old.stride,  # type: ignore[arg-type]
        old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    setattr(net.get_submodule(parent), child, new)
