"""Heads and losses -> one number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn.functional import interpolate

from segbench.config.instantiation import build
from segbench.data.case import IGNORE
from segbench.errors import UserError
from segbench.losses.attention import attention
from segbench.losses.pixel_weight import takes_weight, weighted_mean
from segbench.losses.regions import takes_regions
from segbench.training.loss_weights import Fixed, LossWeight

Loss = Callable[..., Tensor]


class Part(nn.Module):
    """The loss of one head and its weight in the sum.

    Args:
        loss: of the head.
        weight: makes its part in the sum.
        per_image: whether the head has one value per image: the mean of its logits over the pixels, against a target
            (B, K, 1, ..). It is a linear layer of the mean features, since convolutions and means commute.
        former: a head before it in the objective, such as the same of an earlier network: each pixel counts by how
            wrong that one was (see `attention`) times the weight that it had there. None: all count the same.
        normalize: whether these weights have the mean 1; else pixels that were right make the loss smaller.
    """

    def __init__(
        self,
        loss: Loss,
        weight: float | LossWeight = 1.0,
        per_image: bool = False,
        former: str | None = None,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        self.loss = loss
        self.weight: LossWeight = Fixed(weight) if isinstance(weight, int | float) else weight
        self.per_image = per_image
        self.former = former
        self.normalize = normalize


class Objective(nn.Module):
    """The weighted sum of the losses of all heads.

    Args:
        parts: for each head its loss and weight. A loss takes raw logits (B, K, *P) in float32 and the
            head's target, some also the pixels' weights (B, *P), and returns a scalar.
        weighted: whether batches have weights of the pixels.

    Raises:
        UserError: where they have, and none of the losses takes them; where a part has a former one that is not
            before it, or a loss that takes no weights.
    """

    def __init__(self, parts: Mapping[str, Part], weighted: bool = False) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.takers = {head for head, part in parts.items() if weighted and takes_weight(part.loss)}
        if weighted and not self.takers:
            names = ", ".join(type(part.loss).__name__ for part in parts.values())
            raise UserError(
                f"task.weight: {names} takes no weights of pixels; choose loss=cross_entropy or a sum that has it,"
                " such as loss=dice_ce, or another task"
            )
        known: list[str] = []
        for head, part in parts.items():
            _check_former(head, part, known)
            known.append(head)

    def weights(self, step: int) -> dict[str, float | Tensor]:
        """The weight of each head's loss at a step, of those whose weight changes."""
        changing = {head: part.weight for head, part in self.parts.items() if not isinstance(part.weight, Fixed)}
        return {head: weight.value(step) for head, weight in changing.items()}  # type: ignore[union-attr,operator]

    def forward(
        self, outputs: Mapping[str, Tensor | list[Tensor]], batch: Mapping[str, Tensor], step: int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss at an optimizer step and the unweighted loss of each head.

        Logits of fewer pixels than the target are those of its centre (valid convolutions, classifiers of
        a patch's centre). A head with deep supervision is a list, finest first: its i-th output counts 1 / 2^i, the
        coarsest not at all, and the weights sum to one (nnU-Net v2); targets follow as in `resize`.

        Raises:
            UserError: where the model has no output for a head of the objective, or its loss takes no regions.
        """
        named: dict[str, Tensor] = {}
        total: Tensor | None = None
        passed: dict[str, Tensor] = {}
        device = next(iter(batch.values())).device.type
        # DDP waits for a gradient of every parameter, those of a level that does not count too.
        waiting = torch.distributed.is_available() and torch.distributed.is_initialized()
        for head, part in self.parts.items():
            assert isinstance(part, Part)
            if head not in outputs:
                raise UserError(f"task.objective.{head}: the model returns no head {head!r}, only {', '.join(outputs)}")
            value = outputs[head]
            levels = value if isinstance(value, list) else [value]
            if part.per_image:
                levels = [logits.mean(dim=tuple(range(2, logits.ndim)), keepdim=True) for logits in levels]
            size = levels[0].shape[2:]
            target = centre(batch[head], size)
            if target.ndim == levels[0].ndim and not target.is_floating_point():
                _check_regions(head, part.loss)
            weights = [centre(batch["weight"], size)] if head in self.takers else []
            if part.former is not None:
                passed[head] = _passed_on(part.former, outputs, batch, size) * passed.get(part.former, 1.0)
                weights = [passed[head] * weights[0] if weights else passed[head]]
            # Sums over many pixels lose all precision in half floats.
            with torch.autocast(device, enabled=False):
                scales = list(zip(supervision_weights(len(levels)), levels, strict=True))
                losses = [
                    w * part.loss(logits.float(), *(resize(array, logits) for array in (target, *weights)))
                    for w, logits in scales
                    if w
                ]
                if waiting:
                    losses += [_nothing(logits) for w, logits in scales if not w]
                named[head] = torch.stack(losses).sum()
            if part.former is not None and not part.normalize:
                named[head] = named[head] * _mean(passed[head], target, batch.get("weight"))
            weighted = part.weight(named[head], step)
            total = weighted if total is None else total + weighted
        assert total is not None, "an objective has at least one head"
        return total, named


def _passed_on(
    former: str, outputs: Mapping[str, Tensor | list[Tensor]], batch: Mapping[str, Tensor], size: Sequence[int]
) -> Tensor:
    """The factor (B, *P) of each pixel's weight that a former head's outputs give."""
    logits = outputs[former]
    return attention(logits[0] if isinstance(logits, list) else logits, centre(batch[former], size))


def _mean(weights: Tensor, target: Tensor, base: Tensor | None) -> Tensor:
    """The mean of weights (B, *P) over pixels that count, each as much as `base` says."""
    counted = (target != IGNORE).to(weights.dtype)
    return weighted_mean(weights, counted if base is None else counted * centre(base, weights.shape[1:]))


def _check_former(head: str, part: Part, known: Sequence[str]) -> None:
    """Check that pixels of a part can be weighted by the mistakes of its former one."""
    if part.former is None:
        return
    if part.former not in known:
        raise UserError(
            f"task.objective.{head}.former={part.former}: must be a head before it in task.objective:"
            f" {', '.join(known) or 'there is none'}"
        )
    if not takes_weight(part.loss):
        raise UserError(
            f"task.objective.{head}: {_name(part.loss)} takes no weights of pixels, which former gives; choose"
            " loss=cross_entropy or a sum that has it, such as loss=dice_ce"
        )


def check_learnable(config: DictConfig) -> None:
    """Check that modules can be named as heads, and that losses can learn the regions that targets are.

    Targets that are masks of regions say so by their attribute `gives_regions`. There is no data yet: all is built with
    facts of a data set that does not exist, and a loss that refuses these is checked by the first batch.

    Args:
        config: of a run.

    Raises:
        UserError: naming the head or the loss that cannot, or what a target lacks.
    """
    for head in config.task.heads:
        if hasattr(nn.ModuleDict(), head):
            raise UserError(f"task.heads.{head}: is a name that modules of PyTorch have themselves: choose another")
    trial = config.copy()
    regions = {str(name): [1] for name in config.data.regions or {}}
    dims = 2 if config.data.patch_size is None else len(config.data.patch_size)  # a planner has still to choose it
    facts = {"spatial_dims": dims, "in_channels": 1, "image_channels": 1, "classes": 2}
    shares = {"class_frequencies": [0.5, 0.5], "class_frequencies_where_present": [0.5, 0.5]}
    trial.measured = {**config.measured, **facts, **shares, "regions": regions, "region_count": len(regions)}
    for head, target in trial.task.targets.items():
        if not getattr(build(target, f"task.targets.{head}"), "gives_regions", False):
            continue
        try:
            loss = build(trial.task.objective[head].loss, f"task.objective.{head}.loss")
        except UserError:
            continue
        _check_regions(str(head), loss)


def _check_regions(head: str, loss: object) -> None:
    """Check that the loss of a head whose target is the masks of regions can learn it."""
    if not takes_regions(loss):
        raise UserError(
            f"task.objective.{head}.loss: {_name(loss)} takes no overlapping regions; choose loss=bce, dice, dice_ce,"
            " tversky or another that does, or task=semantic"
        )


def supervision_weights(count: int) -> list[float]:
    """Weights of `count` outputs, finest first: 1, 1/2, 1/4, .., the last 0 (if not alone), sum 1."""
    raw = [0.5**i for i in range(count)]
    if count > 1:
        raw[-1] = 0.0
    return [weight / sum(raw) for weight in raw]


def _name(loss: object) -> str:
    """The name of a loss for a message; of a wrapped loss, that of the library's."""
    inner = getattr(loss, "loss", None)
    return type(loss).__name__ if inner is None else type(inner).__name__


def _nothing(logits: Tensor) -> Tensor:
    """0 whatever the logits are, NaN and infinity too, with a gradient of 0 for each of them."""
    return logits.flatten()[:0].float().sum()


def centre(target: Tensor, size: Sequence[int]) -> Tensor:
    """The middle of a target (B, *P) or (B, C, *P): from pixel (P - Q) // 2 on, Q pixels along each axis."""
    extents = target.shape[-len(size) :]
    starts = [(extent - length) // 2 for extent, length in zip(extents, size, strict=True)]
    for axis, (start, length) in enumerate(zip(starts, size, strict=True), start=-len(size)):
        target = target.narrow(axis, start, length)
    return target


def resize(target: Tensor, logits: Tensor) -> Tensor:
    """The target (B, *P) or (B, C, *P) at the size of logits (B, K, *Q).

    Classes, regions and weights of pixels are those of the nearest pixel; values (floats with channels, such as an
    image) are the means of the pixels that a coarser one covers.
    """
    size = logits.shape[2:]
    dims = len(size)
    if target.shape[-dims:] == size:
        return target
    if target.ndim == logits.ndim and target.is_floating_point():
        return interpolate(target, size=size, mode="area")
    channels = target.reshape(len(target), -1, *target.shape[-dims:])
    resized = interpolate(channels.float(), size=size, mode="nearest-exact")
    return resized.reshape(*target.shape[:-dims], *size).to(target.dtype)
