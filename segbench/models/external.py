"""Any network of the user's own, unchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from segbench.errors import UserError, as_line
from segbench.models.blocks import match_size, padded_size
from segbench.models.heads import Outputs, split_heads

Returns = Literal["logits", "probabilities"]

MAIN = ("out", "logits")
"""The keys of a dictionary of outputs that hold the logits: of torchvision's and of transformers' networks."""

_LEAST = 1e-7
"""The smallest probability whose logarithm is taken."""


class External(nn.Module):
    """A plain `nn.Module` with the interface of all models here.

    The module takes an image batch (B, C, *P) and returns logits (B, sum of K, *P); or a list or tuple of them, finest
    first (deep supervision), of which the coarser ones may have fewer pixels; or a dictionary with one tensor for each
    head, or with the key `out` (torchvision) or `logits` (transformers), of which the rest is left aside. One channel
    for a head of two classes is the logit z of the second one: the logits are then [0, z].
    """

    def __init__(
        self,
        net: nn.Module,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        input_channels: int | None = None,
        divisible_by: int = 1,
        upsample: bool | None = None,
        returns: Returns = "logits",
    ) -> None:
        """Keep `net` as it is.

        Args:
            net: the module.
            spatial_dims: 2 or 3: in the configuration, for `net`'s own values to refer to.
            in_channels: channels of the image: likewise.
            heads: name -> channels of its logits; the channels of `net`'s output in this order.
            input_channels: channels that `net` takes: a grey image is repeated to so many; None: those of the image.
            divisible_by: images are padded to multiples of so many pixels, and the logits cut back.
            upsample: whether logits of fewer pixels than the image are interpolated to its size; None: those of
                transformers' networks, which are smaller by design.
            returns: logits, or probabilities (after a softmax, or a sigmoid for one channel), whose logarithms are
                taken.

        Raises:
            UserError: where a value is impossible.
        """
        super().__init__()
        if input_channels not in (None, in_channels) and in_channels != 1:
            raise UserError(
                f"model.input_channels={input_channels}: only grey images are repeated, these have {in_channels}"
                " channels"
            )
        if divisible_by < 1:
            raise UserError(f"model.divisible_by={divisible_by}: must be at least 1")
        if returns not in ("logits", "probabilities"):
            raise UserError(f"model.returns={returns}: must be logits or probabilities")
        self.net = net
        self.in_channels = in_channels
        self.heads = dict(heads)
        self.repeats = (input_channels or in_channels) // in_channels
        self.divisible_by = divisible_by
        self.upsample = upsample
        self.returns = returns

    @property
    def name(self) -> str:
        """The network, for messages."""
        return f"model.net={type(self.net).__name__}"

    def forward(self, image: Tensor) -> Outputs:
        """Logits of every head, for `image` (B, C, *P).

        Raises:
            UserError: where `net` returns something else, or its output's channels or size are wrong.
        """
        size = image.shape[2:]
        if self.repeats > 1:
            image = image.repeat_interleave(self.repeats, dim=1)
        if self.divisible_by > 1:
            image = match_size(image, padded_size(size, self.divisible_by), "pad")
        returned = self.net(image)
        found = self._main(returned)
        levels = list(found) if isinstance(found, list | tuple) else [found]
        if not levels or not all(isinstance(logits, Tensor) for logits in levels):
            raise UserError(
                f"{self.name} must return a tensor of logits, a list of them, finest first, or a dictionary with the"
                f" heads' names, out or logits; not {_kind(returned)}"
            )
        smaller_by_design = levels[0] is getattr(returned, "logits", None)
        if smaller_by_design if self.upsample is None else self.upsample:
            levels[0] = match_size(levels[0], image.shape[2:], "interpolate")
        split = [self._split(self._as_logits(logits)) for logits in levels]
        self._check_size(levels[0], image.shape[2:])
        split[0] = {head: match_size(logits, size, "crop") for head, logits in split[0].items()}
        if isinstance(found, Tensor):
            return {**split[0]}
        return {head: [level[head] for level in split] for head in self.heads}

    def check_patch(self, patch_size: Sequence[int]) -> None:
        """Try the network on one batch, so that what does not fit is found before anything is read.

        Args:
            patch_size: of the training patches.

        Raises:
            UserError: where the network does not take such images, or returns something else than logits.
        """
        generator = torch.Generator().manual_seed(0)
        image = torch.randn((2, self.in_channels, *patch_size), generator=generator)
        training = self.training
        self.eval()
        try:
            with torch.no_grad(), torch.random.fork_rng():
                outputs = self(image)
        except RuntimeError as error:
            hint = _hint(as_line(error), self.in_channels * self.repeats)
            if hint is None:
                raise
            raise UserError(f"{self.name} fails on a batch of size {tuple(image.shape)}: {hint}") from error
        finally:
            self.train(training)
        if self.returns == "logits" and any(map(_are_probabilities, map(_finest, outputs.values()))):
            raise UserError(
                f"{self.name} ends in a softmax or sigmoid, but losses here take logits: leave that layer out, or say"
                " model.returns=probabilities"
            )

    def _main(self, returned: Any) -> Any:
        """The part of what the network returns that holds logits."""
        if not isinstance(returned, Mapping):
            return getattr(returned, "logits", returned)
        if set(self.heads) <= set(returned):
            return torch.cat([returned[head] for head in self.heads], dim=1)
        return next((returned[key] for key in MAIN if key in returned), returned)

    def _as_logits(self, output: Tensor) -> Tensor:
        """Logits of the heads' channels, whichever of its forms the output has."""
        if self.returns == "probabilities":
            output = output.clamp(_LEAST, 1 - _LEAST)
            output = torch.logit(output) if output.shape[1] == 1 else output.log()
        if output.shape[1] == 1 and list(self.heads.values()) == [2]:
            output = torch.cat([torch.zeros_like(output), output], dim=1)
        return output

    def _split(self, logits: Tensor) -> dict[str, Tensor]:
        wanted = sum(self.heads.values())
        if logits.shape[1] != wanted:
            heads = ", ".join(f"{head}: {channels}" for head, channels in self.heads.items())
            raise UserError(f"{self.name} returns {logits.shape[1]} channels, the heads need {wanted} ({heads})")
        return split_heads(logits, self.heads)

    def _check_size(self, logits: Tensor, size: torch.Size) -> None:
        if logits.shape[2:] != size:
            raise UserError(
                f"{self.name} returns logits of size {tuple(logits.shape[2:])} for an image of size {tuple(size)}; the"
                " sizes must be equal: say model.divisible_by=32 for a network that halves its input five times, or"
                " model.upsample=true to enlarge the logits"
            )


def _finest(output: Tensor | list[Tensor]) -> Tensor:
    return output[0] if isinstance(output, list) else output


def _are_probabilities(logits: Tensor) -> bool:
    """Return whether numbers (B, K, *P) are between 0 and 1 and sum to one, or are [0, z] with z between 0 and 1."""
    logits = logits.float()
    if logits.shape[1] == 2 and not logits[:, 0].any():
        logits = logits[:, 1:]
    within = bool((logits >= 0).all() and (logits <= 1).all())
    if logits.shape[1] == 1:
        return within and bool(logits.any())
    return within and bool(((logits.sum(dim=1) - 1).abs() < 1e-3).all())


def _hint(message: str, channels: int) -> str | None:
    """The remedy for an error of a network that takes other images; None for any other error."""
    if f"got {channels} channels" in message:
        return f"{message}; where it takes colours and the images are grey, say model.input_channels=3"
    if "Sizes of tensors must match" in message or "must match the size of tensor" in message:
        return f"{message}; where it halves its input, say model.divisible_by=32"
    return None


def _kind(returned: Any) -> str:
    if isinstance(returned, Mapping):
        return f"one with {', '.join(map(str, returned)) or 'nothing'}"
    return "an empty list" if isinstance(returned, list | tuple) and not returned else f"a {type(returned).__name__}"
