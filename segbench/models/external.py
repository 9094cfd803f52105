"""Any network of the user's own, unchanged."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.heads import Outputs, split_heads


class External(nn.Module):
    """A plain `nn.Module` with the interface of all models here.

    The module takes an image batch (B, C, *P) and returns logits (B, sum of K, *P), or a list or tuple
    of them, finest first (deep supervision), of which the coarser ones may have fewer pixels.
    """

    def __init__(self, net: nn.Module, spatial_dims: int, in_channels: int, heads: Mapping[str, int]) -> None:
        """Keep `net` as it is.

        Args:
            net: the module.
            spatial_dims: 2 or 3: in the configuration, for `net`'s own values to refer to.
            in_channels: channels of the image: likewise.
            heads: name -> channels of its logits; the channels of `net`'s output in this order.
        """
        super().__init__()
        self.net = net
        self.heads = dict(heads)

    def forward(self, image: Tensor) -> Outputs:
        """Logits of every head, for `image` (B, C, *P).

        Raises:
            UserError: where `net` returns something else, or its output's channels or size are wrong.
        """
        returned = self.net(image)
        levels = list(returned) if isinstance(returned, (list, tuple)) else [returned]
        self._check(levels, image)
        split = [split_heads(logits, self.heads) for logits in levels]
        if isinstance(returned, Tensor):
            return {**split[0]}
        return {name: [level[name] for level in split] for name in self.heads}

    def _check(self, levels: list[Tensor], image: Tensor) -> None:
        name = type(self.net).__name__
        if not levels or not all(isinstance(logits, Tensor) for logits in levels):
            raise UserError(f"model.net={name} must return a tensor of logits, or a list of them, finest first")
        wanted = sum(self.heads.values())
        for logits in levels:
            if logits.shape[1] != wanted:
                heads = ", ".join(f"{head}: {channels}" for head, channels in self.heads.items())
                raise UserError(
                    f"model.net={name} returns {logits.shape[1]} channels, the heads need {wanted} ({heads})"
                )
        if levels[0].shape[2:] != image.shape[2:]:
            raise UserError(
                f"model.net={name} returns logits of size {tuple(levels[0].shape[2:])} for an image of size "
                f"{tuple(image.shape[2:])}; the sizes must be equal"
            )
